/* The text format of Prometheus. Pure; any thread; the output is bounded by its buffer. */
#include "telemetry/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const char *type_to_str(enum prometheus_type type)
{
	switch (type) {
	case PROMETHEUS_COUNTER:
		return "counter";
	case PROMETHEUS_GAUGE:
		return "gauge";
	case PROMETHEUS_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void prometheus_family(
	struct buf *out, const char *name, enum prometheus_type type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_to_str(type));
}

static void begin(struct buf *out, const char *name, const char *labels)
{
	buf_add_str(out, name);
	if (labels != NULL && labels[0] != '\0')
		buf_addf(out, "{%s}", labels);
	buf_add_byte(out, ' ');
}

void prometheus_sample(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	begin(out, name, labels);
	buf_addf(out, "%" PRIu64 "\n", value);
}

static void add_scaled(struct buf *out, uint64_t value, unsigned decimals)
{
	uint64_t one = 1;

	for (unsigned i = 0; i < decimals; i++)
		one *= 10;
	buf_addf(out, "%" PRIu64, value / one);
	if (value % one != 0)
		buf_addf(out, ".%0*" PRIu64, (int)decimals, value % one);
}

void prometheus_sample_scaled(
	struct buf *out, const char *name, const char *labels, uint64_t value, unsigned decimals)
{
	begin(out, name, labels);
	add_scaled(out, value, decimals);
	buf_add_byte(out, '\n');
}

void prometheus_histogram(
	struct buf *out, const char *name, const char *labels, const struct histogram_view *v)
{
	const char *comma = labels != NULL && labels[0] != '\0' ? "," : "";
	uint64_t sum = 0;
	char part[64];

	if (labels == NULL)
		labels = "";
	for (size_t i = 0; i < HISTOGRAM_RANGES; i++) {
		sum += v->counts[i];
		buf_addf(out, "%s_bucket{%s%sle=\"", name, labels, comma);
		if (i < ARRAY_LEN(histogram_bounds_us))
			add_scaled(out, histogram_bounds_us[i], 6);
		else
			buf_add_str(out, "+Inf");
		buf_addf(out, "\"} %" PRIu64 "\n", sum);
	}
	(void)snprintf(part, sizeof(part), "%.56s_sum", name);
	prometheus_sample_scaled(out, part, labels, v->sum_us, 6);
	(void)snprintf(part, sizeof(part), "%.56s_count", name);
	prometheus_sample(out, part, labels, sum);
}

void prometheus_label(struct buf *labels, const char *name, const char *value)
{
	buf_addf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n') {
			buf_add_str(labels, "\\n");
			continue;
		}
		if (*p == '"' || *p == '\\')
			buf_add_byte(labels, '\\');
		buf_add_byte(labels, (uint8_t)*p);
	}
	buf_add_byte(labels, '"');
}

void prometheus_single(struct buf *out, const char *name, enum prometheus_type type,
	const char *help, uint64_t value)
{
	prometheus_family(out, name, type, help);
	prometheus_sample(out, name, NULL, value);
}
