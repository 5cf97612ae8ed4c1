/*
 * Results. Owns the samples; everything else is read.
 */
#include "fleet/report.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/plot.h"

#define LATENCIES 4

void report_add(struct report *r, const struct report_sample *sample)
{
	if (r->sample_count == r->sample_cap) {
		r->sample_cap = MAX(r->sample_cap * 2, (size_t)256);
		r->samples = x_realloc(r->samples, r->sample_cap * sizeof(*r->samples));
	}
	r->samples[r->sample_count++] = *sample;
}

void report_deinit(struct report *r)
{
	mem_free(r->samples);
	r->samples = NULL;
	r->sample_count = r->sample_cap = 0;
}

static const struct tally_times *times_of(const struct report *r, size_t i, const char **ret_name)
{
	static const char *const names[LATENCIES] = {"connect", "answer", "wake", "settled"};
	const struct tally_times *times[LATENCIES] = {
		&r->sum.connect, &r->sum.answer, &r->sum.wake, &r->sum.settled};

	*ret_name = names[i];
	return times[i];
}

void report_table(const struct report *r, FILE *out)
{
	const struct {
		const char *name, *text;
		uint64_t value;
	} rows[] = {
#define ROW(name, text) {#name, text, r->sum.name},
		TALLY_FIELDS(ROW)
#undef ROW
	};

	(void)fprintf(out, "%u phones of %u users, %.0f s\n", r->scenario->phones,
		r->scenario->users != 0 ? r->scenario->users : r->scenario->phones, r->took_s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		(void)fprintf(out, "  %-16s %14llu  %s\n", rows[i].name,
			(unsigned long long)rows[i].value, rows[i].text);
	(void)fprintf(out, "  %-16s %14llu  %s\n", "mail_sent", (unsigned long long)r->mail_sent,
		"messages that the server took");
	if (r->mail_failed > 0)
		(void)fprintf(out, "  %-16s %14llu  %s\n", "mail_failed",
			(unsigned long long)r->mail_failed, "messages that it did not");
	if (r->server_cpu_s > 0)
		(void)fprintf(out, "  %-16s %14.2f  %s\n", "server_cpu_s", r->server_cpu_s,
			"seconds of CPU of the server's processes");
	for (size_t i = 0; i < TALLY_TROUBLES && r->sum.troubles[i].count > 0; i++)
		(void)fprintf(out, "%s  %16s %14llu  %s\n", i == 0 ? "  what went wrong\n" : "", "",
			(unsigned long long)r->sum.troubles[i].count, r->sum.troubles[i].text);
	(void)fprintf(out, "  %-10s %10s %10s %10s %10s %10s   ms\n", "times", "count", "mean",
		"p50", "p99", "max");
	for (size_t i = 0; i < LATENCIES; i++) {
		const char *name;
		const struct tally_times *t = times_of(r, i, &name);

		(void)fprintf(out, "  %-10s %10llu %10.2f %10.2f %10.2f %10.2f\n", name,
			(unsigned long long)t->count, (double)tally_mean(t) / 1000,
			(double)tally_percentile(t, 0.5) / 1000,
			(double)tally_percentile(t, 0.99) / 1000, (double)t->max_us / 1000);
	}
}

int report_write(const char *path, const struct buf *text, struct err *err)
{
	FILE *f = fopen(path, "we");
	bool written;

	if (f == NULL)
		return err_set_errno(err, errno, "%s", path);
	written = fwrite(text->data, 1, text->len, f) == text->len;
	if (fclose(f) != 0 || !written)
		return err_set_errno(err, errno, "writing %s", path);
	return 0;
}

int report_json(const struct report *r, const char *path, struct err *err)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	buf_addf(&out, "{\"phones\":%u,\"users\":%u,\"seconds\":%.3f,\"counts\":{",
		r->scenario->phones,
		r->scenario->users != 0 ? r->scenario->users : r->scenario->phones, r->took_s);
#define PAIR(name, text) buf_addf(&out, "\"" #name "\":%llu,", (unsigned long long)r->sum.name);
	TALLY_FIELDS(PAIR)
#undef PAIR
	buf_addf(&out,
		"\"mail_sent\":%llu,\"mail_failed\":%llu},\"server_cpu_s\":%.3f,\"times_us\":{",
		(unsigned long long)r->mail_sent, (unsigned long long)r->mail_failed,
		r->server_cpu_s);
	for (size_t i = 0; i < LATENCIES; i++) {
		const char *name;
		const struct tally_times *t = times_of(r, i, &name);

		buf_addf(&out,
			"%s\"%s\":{\"count\":%llu,\"mean\":%llu,\"p50\":%llu,\"p90\":%llu,"
			"\"p99\":%llu,\"max\":%llu}",
			i > 0 ? "," : "", name, (unsigned long long)t->count,
			(unsigned long long)tally_mean(t),
			(unsigned long long)tally_percentile(t, 0.5),
			(unsigned long long)tally_percentile(t, 0.9),
			(unsigned long long)tally_percentile(t, 0.99),
			(unsigned long long)t->max_us);
	}
	buf_add_str(&out, "},\"troubles\":[");
	for (size_t i = 0; i < TALLY_TROUBLES && r->sum.troubles[i].count > 0; i++) {
		buf_addf(&out, "%s{\"count\":%llu,\"what\":\"", i > 0 ? "," : "",
			(unsigned long long)r->sum.troubles[i].count);
		for (const char *c = r->sum.troubles[i].text; *c != 0; c++) {
			if (*c == '"' || *c == '\\')
				buf_add_byte(&out, '\\');
			buf_add_byte(&out, (uint8_t)*c);
		}
		buf_add_str(&out, "\"}");
	}
	buf_add_str(&out, "],\"samples\":[");
	for (size_t i = 0; i < r->sample_count; i++)
		buf_addf(&out,
			"%s{\"s\":%.1f,\"parked\":%.0f,\"connected\":%.0f,\"fleet_bytes\":%.0f,"
			"\"server_bytes\":%.0f}",
			i > 0 ? "," : "", r->samples[i].at_s, r->samples[i].parked,
			r->samples[i].connected, r->samples[i].fleet_bytes,
			r->samples[i].server_bytes);
	buf_add_str(&out, "]}\n");
	return report_write(path, &out, err);
}

/* ---- plots ---- */

static int write_plot(
	const struct plot *plot, const char *folder, const char *name, struct err *err)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", folder, name);

	plot_svg(plot, &out);
	return report_write(path, &out, err);
}

/* One member of all samples, times a factor; to be freed. */
static double *column(const struct report *r, size_t offset, double factor)
{
	double *values = x_calloc(r->sample_count + 1, sizeof(*values));

	for (size_t i = 0; i < r->sample_count; i++) {
		memcpy(&values[i], (const char *)&r->samples[i] + offset, sizeof(*values));
		values[i] *= factor;
	}
	return values;
}

static int plot_samples(const struct report *r, const char *folder, struct err *err)
{
	size_t n = r->sample_count;
	double *s = column(r, offsetof(struct report_sample, at_s), 1);
	double *parked = column(r, offsetof(struct report_sample, parked), 1);
	double *connected = column(r, offsetof(struct report_sample, connected), 1);
	double *fleet = column(r, offsetof(struct report_sample, fleet_bytes), 1.0 / 1048576);
	double *server = column(r, offsetof(struct report_sample, server_bytes), 1.0 / 1048576);
	struct plot phones = {.title = "Phones parked over time",
		.x_title = "seconds",
		.y_title = "phones",
		.line_count = 2,
		.lines = {{"parked", s, parked, n}, {"connected", s, connected, n}}};
	struct plot memory = {.title = "Memory over time (Private_Dirty)",
		.x_title = "seconds",
		.y_title = "MiB",
		.line_count = 2,
		.lines = {{"fleet", s, fleet, n}, {"server", s, server, n}}};
	int rc;

	if (n > 0 && server[n - 1] <= 0)
		memory.line_count = 1;
	rc = write_plot(&phones, folder, "parked.svg", err);
	if (rc == 0)
		rc = write_plot(&memory, folder, "memory.svg", err);
	mem_free(s);
	mem_free(parked);
	mem_free(connected);
	mem_free(fleet);
	mem_free(server);
	return rc;
}

/* How many in a hundred took at most so long. */
static size_t distribution(const struct tally_times *t, double *x, double *y)
{
	size_t count = 0;
	uint64_t seen = 0;

	for (size_t i = 0; i < TALLY_BUCKETS; i++) {
		if (t->buckets[i] == 0)
			continue;
		seen += t->buckets[i];
		x[count] = (double)MAX(tally_bucket_end(i), (uint64_t)1) / 1000;
		y[count++] = 100.0 * (double)seen / (double)t->count;
	}
	return count;
}

int report_plots(const struct report *r, const char *folder, struct err *err)
{
	struct plot plot = {.title = "Latency: how many in a hundred took at most so long",
		.x_title = "milliseconds",
		.y_title = "percent",
		.x_log = true};
	double *x[LATENCIES], *y[LATENCIES];
	int rc;

	for (size_t i = 0; i < LATENCIES; i++) {
		struct plot_line *line = &plot.lines[plot.line_count];
		const struct tally_times *t = times_of(r, i, &line->name);

		x[i] = x_calloc(TALLY_BUCKETS, sizeof(double));
		y[i] = x_calloc(TALLY_BUCKETS, sizeof(double));
		line->x = x[i];
		line->y = y[i];
		line->count = distribution(t, x[i], y[i]);
		plot.line_count += line->count > 0;
	}
	rc = write_plot(&plot, folder, "latency.svg", err);
	for (size_t i = 0; i < LATENCIES; i++) {
		mem_free(x[i]);
		mem_free(y[i]);
	}
	return rc < 0 ? -1 : plot_samples(r, folder, err);
}
