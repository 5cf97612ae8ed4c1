#ifndef BELLHOP_TELEMETRY_PROMETHEUS_H
#define BELLHOP_TELEMETRY_PROMETHEUS_H

#include <stdint.h>

#include "base/buf.h"
#include "telemetry/histogram.h"

/*
 * Prometheus' text format, version 0.0.4: families with HELP and TYPE, then their samples. Pure.
 * Names are ours; help has no newline and no backslash; values of labels are escaped.
 */
enum prometheus_type { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE, PROMETHEUS_HISTOGRAM };

/* The head of a family; its samples follow at once. */
void prometheus_family(
	struct buf *out, const char *name, enum prometheus_type type, const char *help);
/* labels: as prometheus_label() made them; NULL or "": none. */
void prometheus_sample(struct buf *out, const char *name, const char *labels, uint64_t value);
/* A value in thousandths or millionths: seconds out of milliseconds or microseconds. */
void prometheus_sample_scaled(
	struct buf *out, const char *name, const char *labels, uint64_t value, unsigned decimals);
/* All samples of one histogram, in seconds. */
void prometheus_histogram(
	struct buf *out, const char *name, const char *labels, const struct histogram_view *v);
/* Appends name="value", with a comma before it when labels is not empty. */
void prometheus_label(struct buf *labels, const char *name, const char *value);
/* A family of one sample. */
void prometheus_single(struct buf *out, const char *name, enum prometheus_type type,
	const char *help, uint64_t value);

#endif
