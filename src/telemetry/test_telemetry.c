/* Histograms, the series, the rings, the text format. */
#include "base/mem.h"
#include "base/test.h"
#include "telemetry/prometheus.h"
#include "telemetry/telemetry.h"

static void test_histogram(void)
{
	struct histogram h = {0};
	struct histogram_view v, before = {0}, since;

	histogram_read(&h, &v);
	CHECK_INT(histogram_quantile_us(&v, 50), 0);
	CHECK_INT(histogram_range(500), 0);
	CHECK_INT(histogram_range(501), 1);
	CHECK_INT(histogram_range(UINT64_MAX), HISTOGRAM_RANGES - 1);
	for (int i = 0; i < 99; i++)
		histogram_add(&h, 1500);
	histogram_read(&h, &before);
	histogram_add(&h, 4000000);
	histogram_read(&h, &v);
	CHECK_INT(v.count, 100);
	CHECK_INT(v.sum_us, 99 * 1500 + 4000000);
	CHECK(histogram_quantile_us(&v, 50) > 1000 && histogram_quantile_us(&v, 50) <= 2000);
	CHECK_INT(histogram_quantile_us(&v, 99), 2000);
	CHECK(histogram_quantile_us(&v, 100) > 2000000);
	histogram_since(&v, &before, &since);
	CHECK_INT(since.count, 1);
	CHECK_INT(since.sum_us, 4000000);
	/* A process was replaced: nothing is counted below zero. */
	histogram_since(&before, &v, &since);
	CHECK_INT(since.count, 0);
	CHECK_INT(since.sum_us, 0);
}

static void test_series(void)
{
	struct series *s = series_new();
	struct series_point *points = x_calloc(SERIES_LONG, sizeof(*points));
	struct series_counts counts = {.parked = 5};

	series_add(s, 1000, &counts);
	CHECK_INT(series_read_fine(s, points), 0);
	for (int i = 1; i <= 400; i++) {
		counts.pushes += 10;
		counts.parked = (uint64_t)i;
		counts.push.counts[2] += 10;
		counts.push.count += 10;
		series_add(s, 1000 + i * SERIES_STEP_S, &counts);
	}
	CHECK_INT(series_read_fine(s, points), SERIES_FINE);
	CHECK_INT(points[SERIES_FINE - 1].at, 1000 + 400 * SERIES_STEP_S);
	CHECK_INT(points[SERIES_FINE - 1].parked, 400);
	CHECK_INT(points[0].parked, 41);
	CHECK_INT(points[0].pushes, 60);
	CHECK(points[0].push_p50_us > 1000 && points[0].push_p50_us <= 2000);
	CHECK_INT(series_read_long(s, points), 400 / SERIES_PER_LONG);
	CHECK_INT(points[0].at, 1000 + SERIES_PER_LONG * SERIES_STEP_S);
	CHECK_INT(points[0].pushes, 60);
	/* Counters that began anew count from 0. */
	counts.pushes = 5;
	series_add(s, 1000 + 401 * SERIES_STEP_S, &counts);
	(void)series_read_fine(s, points);
	CHECK_INT(points[SERIES_FINE - 1].pushes, 30);
	mem_free(points);
	series_free(&s);
}

/* What is over is not told for ever. */
static void test_turned_away(void)
{
	struct series *s = series_new();
	struct series_point *points = x_calloc(SERIES_FINE, sizeof(*points));
	struct series_counts counts = {.turned_away[SERIES_FULL] = 1000}; /* before this engine */
	struct series_recent recent;
	size_t count;

	for (int i = 0; i <= 20; i++) {
		counts.turned_away[SERIES_FULL] += i == 3 ? 7 : i == 5 ? 2 : 0;
		series_add(s, 1000 + i * SERIES_STEP_S, &counts);
	}
	count = series_read_fine(s, points);
	series_recent(points, count, 1200, 3600, SERIES_FULL, &recent);
	CHECK_INT(recent.count, 9);
	CHECK_INT(recent.first_at, 1030);
	CHECK_INT(recent.last_at, 1050);
	series_recent(points, count, 1200, 3600, SERIES_ADDRESS, &recent);
	CHECK_INT(recent.count, 0);
	CHECK_INT(recent.first_at, 0);
	/* The first of them are longer ago, then all. */
	series_recent(points, count, 1640, 600, SERIES_FULL, &recent);
	CHECK_INT(recent.count, 2);
	CHECK_INT(recent.first_at, 1050);
	series_recent(points, count, 1651, 600, SERIES_FULL, &recent);
	CHECK_INT(recent.count, 0);
	for (int i = 1; i <= SERIES_FINE; i++)
		series_add(s, 1200 + i * SERIES_STEP_S, &counts);
	count = series_read_fine(s, points);
	series_recent(points, count, 1200 + 3600, 3600, SERIES_FULL, &recent);
	CHECK_INT(recent.count, 0);
	mem_free(points);
	series_free(&s);
}

static void test_waits(void)
{
	struct waits *w = waits_new(4);
	struct wait out[4];

	CHECK_INT(waits_read(w, 1, out, 4), 0);
	for (uint16_t i = 0; i < 6; i++)
		waits_add(w, &(struct wait){.device = i % 2, .asked_s = i, .end = WAIT_WOKEN});
	CHECK_INT(waits_read(w, 1, out, 4), 2);
	CHECK_INT(out[0].asked_s, 5);
	CHECK_INT(out[1].asked_s, 3);
	CHECK_INT(waits_read(w, 1, out, 1), 1);
	CHECK_STR(wait_end_to_str((enum wait_end)out[0].end), "woken");
	waits_free(&w);
	w = waits_new(1);
	CHECK_INT(waits_proxy(w, ""), 0);
	CHECK_INT(waits_proxy(w, "10.0.0.5"), 1);
	CHECK_INT(waits_proxy(w, "2001:db8::7"), 2);
	CHECK_INT(waits_proxy(w, "10.0.0.5"), 1);
	CHECK_STR(waits_proxy_address(w, 2), "2001:db8::7");
	CHECK_STR(waits_proxy_address(w, 0), "");
	for (int i = 2; i <= WAITS_PROXIES; i++) {
		char address[20];

		(void)snprintf(address, sizeof(address), "10.1.0.%d", i);
		CHECK_INT(waits_proxy(w, address), i < WAITS_PROXIES ? i + 1 : 0);
	}
	CHECK_INT(waits_proxy(w, "10.0.0.5"), 1);
	CHECK_STR(waits_proxy_address(w, WAITS_PROXIES + 1), "");
	waits_free(&w);
	w = waits_new(0);
	waits_add(w, &(struct wait){.device = 1});
	CHECK_INT(waits_read(w, 1, out, 4), 0);
	waits_free(&w);
}

static void test_faults(void)
{
	struct faults *f = faults_new(2);
	struct fault out[2];

	for (uint16_t i = 1; i <= 3; i++)
		faults_add(f, &(struct fault){.device = 7, .status = i, .text = "why"});
	CHECK_INT(faults_read(f, 7, out, 2), 2);
	CHECK_INT(out[0].status, 3);
	CHECK_INT(out[1].status, 2);
	CHECK_STR(out[0].text, "why");
	CHECK_INT(faults_read(f, 8, out, 2), 0);
	faults_free(&f);
}

static void test_answers(void)
{
	const struct telemetry_limits limits = {{2, 64, 65536}, 1, 1};
	struct telemetry *t = telemetry_new(&limits);

	telemetry_answer(t, 3, 200, 1);
	telemetry_answer(t, 3, 200, 9999);
	telemetry_answer(t, 99, 449, 0);
	telemetry_answer(t, 99, 7, 5);
	CHECK_INT(telemetry_value(&t->http[200 - TELEMETRY_HTTP_MIN]), 2);
	CHECK_INT(telemetry_value(&t->http[449 - TELEMETRY_HTTP_MIN]), 1);
	CHECK_INT(telemetry_value(&t->status[3][1]), 1);
	CHECK_INT(telemetry_value(&t->status[3][TELEMETRY_STATUSES - 1]), 1);
	CHECK_INT(telemetry_value(&t->status[0][5]), 1);
	telemetry_free(&t);
	CHECK(t == NULL);
}

static void test_text(void)
{
	struct histogram_view v = {
		.counts = {[1] = 2, [HISTOGRAM_RANGES - 1] = 1}, .sum_us = 1500001};
	struct buf out = BUF_INIT, labels = BUF_INIT;
	const char *text;

	prometheus_single(&out, "bellhop_x_total", PROMETHEUS_COUNTER, "How many.", 3);
	prometheus_family(&out, "bellhop_y_seconds", PROMETHEUS_HISTOGRAM, "How long.");
	prometheus_label(&labels, "a", "q\"u\\o\nte");
	prometheus_histogram(&out, "bellhop_y_seconds", buf_cstr(&labels), &v);
	prometheus_label(&labels, "b", "2");
	prometheus_sample_scaled(&out, "bellhop_z", buf_cstr(&labels), 1050, 3);
	text = buf_cstr(&out);
	CHECK(strstr(text, "# HELP bellhop_x_total How many.\n# TYPE bellhop_x_total counter\n"
			   "bellhop_x_total 3\n") == text);
	CHECK(strstr(text, "bellhop_y_seconds_bucket{a=\"q\\\"u\\\\o\\nte\",le=\"0.000500\"} 0\n"));
	CHECK(strstr(text, "le=\"0.001000\"} 2\n"));
	CHECK(strstr(text, "le=\"30\"} 2\n"));
	CHECK(strstr(text, "le=\"+Inf\"} 3\n"));
	CHECK(strstr(text, "bellhop_y_seconds_sum{a=\"q\\\"u\\\\o\\nte\"} 1.500001\n"));
	CHECK(strstr(text, "bellhop_y_seconds_count{a=\"q\\\"u\\\\o\\nte\"} 3\n"));
	CHECK(strstr(text, "bellhop_z{a=\"q\\\"u\\\\o\\nte\",b=\"2\"} 1.050\n"));
	buf_deinit(&out);
	buf_deinit(&labels);
}

TEST_MAIN(TEST(test_histogram), TEST(test_series), TEST(test_turned_away), TEST(test_waits),
	TEST(test_faults), TEST(test_answers), TEST(test_text))
