#ifndef BELLHOP_FLEET_REPORT_H
#define BELLHOP_FLEET_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "fleet/fleet.h"

/*
 * What a run showed: samples while it went on, and the sums at its end, as a table, as JSON, and as
 * plots.
 */
struct report_sample {
	double at_s, parked, connected, fleet_bytes, server_bytes; /* server_bytes 0: unknown */
};

struct report {
	const struct scenario *scenario;
	const char *url;
	struct report_sample *samples; /* owned */
	size_t sample_count, sample_cap;
	double took_s, server_cpu_s; /* server_cpu_s 0: unknown */
	uint64_t mail_sent, mail_failed;
	struct tally sum;
};

void report_add(struct report *r, const struct report_sample *sample);
void report_deinit(struct report *r);
void report_table(const struct report *r, FILE *out);
/* Whole files, replaced if they exist. */
NODISCARD int report_json(const struct report *r, const char *path, struct err *err);
/* parked.svg, latency.svg, memory.svg in an existing folder. */
NODISCARD int report_plots(const struct report *r, const char *folder, struct err *err);
NODISCARD int report_write(const char *path, const struct buf *text, struct err *err);

#endif
