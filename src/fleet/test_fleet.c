/*
 * The parts of the fleet that need no server: scenarios, times in buckets, HTTP answers, habits,
 * plots, addresses.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "client/version.h"
#include "fleet/economy.h"
#include "fleet/fleet_internal.h"
#include "fleet/plot.h"
#include "fleet/reply.h"

static void test_scenario(void)
{
	static const char text[] = "# a comment\n[fleet]\nphones = 300 # more\nusers=100\n"
				   "duration = 2h\nmail_rate = 0.25\n\n[group a]\nshare = 3\n"
				   "version = 2.5\nbehaviour = windows-mobile\nthink = 500ms..10s\n"
				   "path = 4m:1 31m:2 none\nloss = 0.5%\n[group b b]\n"
				   "connection = new\nwait_with = sync\nheartbeat = 15m\n";
	struct scenario s;
	struct err err = ERR_INIT;
	unsigned first = 0;

	REQUIRE_OK(scenario_parse(text, sizeof(text) - 1, "x", &s, &err), &err);
	CHECK_INT(s.phones, 300);
	CHECK_INT(s.users, 100);
	CHECK_INT(s.duration_s, 7200);
	CHECK_INT(s.mail_rate * 100, 25);
	CHECK_INT(s.group_count, 2);
	CHECK_STR(s.groups[1].name, "b b");
	CHECK_INT(s.groups[0].version, VERSION_25);
	CHECK_INT(s.groups[0].think_min_ms, 500);
	CHECK_INT(s.groups[0].think_max_ms, 10000);
	CHECK_INT(s.groups[0].loss_ppm, 5000);
	CHECK_INT(s.groups[0].path_count, 3);
	CHECK_INT(s.groups[0].paths[1].idle_s, 1860);
	CHECK_INT(s.groups[0].paths[2].idle_s, 0);
	CHECK(s.groups[1].new_connection && s.groups[1].held_sync);
	for (uint32_t i = 0; i < 4000; i++) {
		CHECK(scenario_group_of(&s, i) == scenario_group_of(&s, i));
		first += scenario_group_of(&s, i) == &s.groups[0];
	}
	CHECK(first > 2800 && first < 3200); /* three of four */
	CHECK_INT(scenario_path_of(&s, &s.groups[1], 1, 1), 0);
}

static void test_scenario_errors(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"", "there is no [group NAME]"},
		{"phones = 3\n", "x:1: phones stands before any section"},
		{"[fleet]\nphones\n", "x:2: line: \"phones\" is not a section, a comment or key"},
		{"[fleet]\nphones = many\n", "x:2: phones: \"many\" is not a number from 1"},
		{"[fleet]\n\nfones = 3\n", "x:3: fleet: \"fones\" is not a key"},
		{"[fleet]\nphones = 3\nphones = 4\n", "x:3: phones comes twice"},
		{"[fleet]\n[fleet]\n", "x:2: section fleet comes twice"},
		{"[flee]\n", "x:1: section"},
		{"[fleet\n", "x:1: section"},
		{"[", "x:1: section"},
		{"[group a]\n[group a]\n", "x:2: group a comes twice"},
		{"[group ]\n", "x:1: group"},
		{"[group a]\nphones = 3\n", "x:2: group: \"phones\" is not a key"},
		{"[group a]\nversion = 13.0\n", "16.0 or 16.1"},
		{"[group a]\nbehaviour = nokia\n", "fixed, windows-mobile, ios or android"},
		{"[group a]\nheartbeat = 2h\n", "x:2: heartbeat: \"2h\" is not a time"},
		{"[group a]\nheartbeat = 15x\n", "is not a time"},
		{"[group a]\nheartbeat = \n", "is not a time"},
		{"[group a]\nthink = 9s..2s\n", "is not a time, or two"},
		{"[group a]\npath = 4m:0\n", "is not a list"},
		{"[group a]\npath = 1 1 1 1 1 1 1 1 1\n", "at most 8 paths"},
		{"[group a]\nloss = 5\n", "is not a percentage"},
		{"[group a]\nloss = 101%\n", "from 0% to 100%"},
		{"[group a]\nconnection = old\n", "new or keep"},
		{"[group a]\nheartbeat = 20m\nheartbeat_max = 10m\n", "is below heartbeat"},
		{"[group a]\nwait_with = sync\nversion = 2.5\n", "held Syncs came with 12.1"},
		{"[fleet]\nphones = 2\nusers = 3\n[group a]\n", "more than the 2 phones"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scenario s;
		struct err err = ERR_INIT;

		CHECK_INT(scenario_parse(cases[i].text, strlen(cases[i].text), "x", &s, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		if (strstr(err.text, cases[i].error) == NULL)
			CHECK_STR(err.text, cases[i].error);
	}
}

static void test_tally(void)
{
	static struct tally_times t;
	static struct tally a, b;

	for (uint64_t us = 0; us < 200000; us = us < 100 ? us + 1 : us + us / 50) {
		t = (struct tally_times){0};
		tally_time(&t, us);
		tally_time(&t, 1ull << 37); /* what is shown is not bound to the maximum */
		CHECK(tally_percentile(&t, 0.0) >= us);
		CHECK(tally_percentile(&t, 0.0) <= us + us / 14 + 1);
	}
	t = (struct tally_times){0};
	CHECK_INT(tally_percentile(&t, 0.5), 0);
	for (uint64_t us = 1; us <= 1000; us++)
		tally_time(&t, us);
	CHECK(tally_percentile(&t, 0.5) > 480 && tally_percentile(&t, 0.5) < 540);
	CHECK(tally_percentile(&t, 0.99) > 960 && tally_percentile(&t, 0.99) <= 1000);
	CHECK_INT(tally_percentile(&t, 1), 1000);
	CHECK_INT(tally_mean(&t), 500);
	tally_time(&t, UINT64_MAX / 4);
	CHECK_INT(t.count, 1001);
	a.parked = 3;
	b.parked = 4;
	tally_time(&b.wake, 7);
	tally_add(&a, &b);
	CHECK_INT(a.parked, 7);
	CHECK_INT(a.wake.max_us, 7);
}

static void test_troubles(void)
{
	static struct tally a, b;

	tally_trouble(&a, 1, "HTTP %d", 500);
	tally_trouble(&a, 2, "an \x1b[31m odd \xff word");
	tally_trouble(&b, 3, "HTTP 500");
	for (int i = 0; i < 40; i++)
		tally_trouble(&b, 1, "number %d", i);
	tally_trouble(&b, 1, "number 3");
	CHECK_STR(a.troubles[1].text, "an ?[31m odd ? word");
	CHECK_STR(b.troubles[4].text, "number 3");
	CHECK_INT(b.troubles[4].count, 2);
	tally_add(&a, &b);
	CHECK_STR(a.troubles[0].text, "HTTP 500");
	CHECK_INT(a.troubles[0].count, 4);
	CHECK_INT(a.troubles[1].count, 2);
	CHECK_STR(a.troubles[TALLY_TROUBLES - 1].text, "something else");
	/* All are in it, whichever names they lost. */
	for (int i = 2; i < TALLY_TROUBLES; i++)
		a.troubles[0].count += a.troubles[i].count;
	CHECK_INT(a.troubles[0].count, 4 + 41);
}

static void test_replies(void)
{
	static const struct {
		const char *text;
		bool closed;
		int result, status;
		const char *body;
		unsigned retry_after_s;
		bool close;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, 1, 200, "abc", 0, false},
		{"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabcd", false, 1, 200, "abc", 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, 0, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true, -1, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Len", false, 0, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\n\r\nab", false, 0, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\n\r\nab", true, 1, 200, "ab", 0, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
			false, 1, 200, "abc", 0, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n",
			false, 0, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n", false, -1, 0, NULL,
			0, false},
		{"HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nConnection: close\r\nContent-Length: 0"
		 "\r\n\r\n",
			false, 1, 503, "", 17, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, 1, 200, "", 0, true},
		{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", false, 1,
			200, "", 0, false},
		{"HTTP/1.1 449 Retry after sending a PROVISION command\r\nContent-Length: "
		 "0\r\n\r\n",
			false, 1, 449, "", 0, false},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
			false, 1, 200, "abc", 0, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", false, 0, 0, NULL, 0, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", true, -1, 0, NULL, 0, false},
		{"SSH-2.0-OpenSSH\r\n\r\n", false, -1, 0, NULL, 0, false},
		{"HTTP/1.1 abc\r\n\r\n", false, -1, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", false, -1, 0, NULL, 0, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", false, -1, 0, NULL, 0,
			false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].text);
		uint8_t *copy = x_calloc(1, len + 1);
		struct reply r;
		int rc;

		memcpy(copy, cases[i].text, len);
		rc = reply_parse(copy, len, cases[i].closed, &r);
		CHECK_INT(rc, cases[i].result);
		if (rc == 1 && cases[i].result == 1) {
			CHECK_INT(r.status, cases[i].status);
			CHECK_MEM(r.body, r.body_len, cases[i].body, strlen(cases[i].body));
			CHECK_INT(r.retry_after_s, cases[i].retry_after_s);
			CHECK(r.close == cases[i].close);
			CHECK(r.len <= len);
		}
		mem_free(copy);
	}
}

static struct heartbeat habit(
	enum scenario_behaviour behaviour, unsigned heartbeat_s, struct scenario_group *g)
{
	struct heartbeat hb;

	*g = (struct scenario_group){
		.behaviour = behaviour, .heartbeat_s = heartbeat_s, .heartbeat_max_s = 3540};
	habits_init(g, &hb);
	return hb;
}

static void test_habits(void)
{
	struct scenario_group g;
	struct heartbeat hb = habit(SCENARIO_FIXED, 900, &g);

	habits_cut(&g, &hb, 300);
	habits_expired(&g, &hb, 900);
	CHECK_INT(habits_wait_s(&g, &hb), 900);
	habits_bound(&g, &hb, 600);
	CHECK_INT(habits_wait_s(&g, &hb), 600);
	hb = habit(SCENARIO_WINDOWS_MOBILE, 480, &g);
	habits_expired(&g, &hb, 480);
	CHECK(habits_wait_s(&g, &hb) > 480);
	hb = habit(SCENARIO_IOS, 3540, &g);
	habits_cut(&g, &hb, 960);
	CHECK_INT(habits_wait_s(&g, &hb), 1770);
	habits_expired(&g, &hb, 1770);
	CHECK_INT(habits_wait_s(&g, &hb), 3540);
	hb = habit(SCENARIO_ANDROID, 480, &g);
	for (int i = 0; i < 10; i++)
		habits_expired(&g, &hb, habits_wait_s(&g, &hb));
	CHECK_INT(habits_wait_s(&g, &hb), 1020);
	hb = habit(SCENARIO_ANDROID, 480, &g);
	habits_expired(&g, &hb, 480); /* 660 next */
	habits_cut(&g, &hb, 540);
	CHECK_INT(habits_wait_s(&g, &hb), 480);
	habits_expired(&g, &hb, 480); /* what broke is not tried again */
	CHECK_INT(habits_wait_s(&g, &hb), 480);
}

static void test_targets(void)
{
	static const struct {
		const char *url, *host, *path, *error;
		bool tls;
		unsigned port;
	} cases[] = {
		{"http://127.0.0.1:8080", "127.0.0.1", "/Microsoft-Server-ActiveSync", NULL, false,
			8080},
		{"https://127.0.0.1/", "127.0.0.1", "/Microsoft-Server-ActiveSync", NULL, true,
			443},
		{"http://127.0.0.1:1/eas", "127.0.0.1", "/eas", NULL, false, 1},
		{"http://[::1]:81", "::1", "/Microsoft-Server-ActiveSync", NULL, false, 81},
		{"127.0.0.1", NULL, NULL, "is no URL", false, 0},
		{"ftp://127.0.0.1", NULL, NULL, "is no URL", false, 0},
		{"http://", NULL, NULL, "is no URL", false, 0},
		{"http://a@b/", NULL, NULL, "is no URL", false, 0},
		{"http://a b/", NULL, NULL, "is no URL", false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct target t;
		struct err err = ERR_INIT;
		int rc = wire_target(cases[i].url, &t, &err);

		CHECK_INT(rc, cases[i].error == NULL ? 0 : -1);
		if (rc < 0) {
			CHECK(strstr(err.text, cases[i].error != NULL ? cases[i].error : "?"));
			continue;
		}
		CHECK_STR(t.host, cases[i].host);
		CHECK_STR(t.path, cases[i].path);
		CHECK(t.tls == cases[i].tls);
		/* The port stands at the same place in both families. */
		CHECK_INT(
			ntohs(((struct sockaddr_in *)(void *)&t.address)->sin_port), cases[i].port);
	}
}

static void test_patterns(void)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	talk_pattern("user%u@example.org", 17, &out);
	CHECK_STR(buf_cstr(&out), "user17@example.org");
	buf_clear(&out);
	talk_pattern("100% sure", 17, &out);
	CHECK_STR(buf_cstr(&out), "100% sure");
}

/* The labels below the frame. */
static void x_labels(const char *svg, struct buf *out)
{
	static const char place[] = "y=\"378.0\" text-anchor=\"middle\">";

	buf_clear(out);
	for (const char *at = svg; (at = strstr(at, place)) != NULL; at += strlen(place)) {
		const char *label = at + strlen(place);

		buf_add(out, label, strcspn(label, "<"));
		buf_add_byte(out, ' ');
	}
}

static void test_ticks(void)
{
	static const struct {
		double from, to;
		bool log;
		const char *labels;
	} cases[] = {
		{0, 63, false, "0 20 40 60 "},
		{0, 60, false, "0 20 40 60 "},
		{0.01, 0.93, false, "0.2 0.4 0.6 0.8 "},
		{-3, 4, false, "-2 0 2 4 "},
		{90, 110, false, "90 95 100 105 110 "},
		{0.7, 340, true, "0.1 1 10 100 1000 "},
		{0.001, 0.001, true, "0.001 0.01 0.1 1 10 "},
		{10, 100, true, "10 100 "},
	};
	CLEANUP(buf_deinit) struct buf svg = BUF_INIT;
	CLEANUP(buf_deinit) struct buf labels = BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double x[] = {cases[i].from, cases[i].to}, y[] = {1, 2};
		struct plot plot = {.title = "t",
			.x_title = "x",
			.y_title = "y",
			.x_log = cases[i].log,
			.line_count = 1,
			.lines = {{"one", x, y, 2}}};

		buf_clear(&svg);
		plot_svg(&plot, &svg);
		x_labels(buf_cstr(&svg), &labels);
		CHECK_STR(buf_cstr(&labels), cases[i].labels);
	}
}

static void test_plots(void)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	double x[] = {0, 1, 2, 1000}, y[] = {0, 5, 0.5, 70000};
	struct plot plot = {.title = "a < b & c",
		.x_title = "x",
		.y_title = "y",
		.line_count = 2,
		.lines = {{"one", x, y, 4}, {"none", x, y, 0}}};
	struct plot_bar values[] = {{"a", 3, 0}, {"b", 0, 1}, {"c", 2500, 1}};
	struct plot_bars bars = {.title = "t", .y_title = "y", .bars = values};

	for (int i = 0; i < 4; i++) {
		plot.x_log = (i & 1) != 0;
		plot.y_log = (i & 2) != 0;
		buf_clear(&out);
		plot_svg(&plot, &out);
		CHECK(str_starts(buf_cstr(&out), "<svg ") && str_ends(buf_cstr(&out), "</svg>\n"));
		CHECK(strstr(buf_cstr(&out), "a &lt; b &amp; c") != NULL);
		CHECK(strstr(buf_cstr(&out), "nan") == NULL);
		CHECK(strstr(buf_cstr(&out), "inf") == NULL);
	}
	plot.line_count = 0;
	plot_svg(&plot, &out);
	for (size_t i = 0; i < 8; i++) {
		bars.y_log = i >= 4;
		bars.count = i % 4;
		buf_clear(&out);
		plot_bars_svg(&bars, &out);
		CHECK(strstr(buf_cstr(&out), "nan") == NULL);
		CHECK(strstr(buf_cstr(&out), "inf") == NULL);
		CHECK(strstr(buf_cstr(&out), "height=\"-") == NULL);
	}
	/* Powers of ten around 3 and 2500: the bar of 10 would be a quarter of the height. */
	CHECK(strstr(buf_cstr(&out), ">1e+04<") == NULL && strstr(buf_cstr(&out), ">10k<") != NULL);
	CHECK(strstr(buf_cstr(&out), ">1<") != NULL && strstr(buf_cstr(&out), ">0.1<") == NULL);
}

static void test_economy(void)
{
	struct economy_result r[ECONOMY_WAYS], again;
	struct economy_options o;

	economy_defaults(&o);
	for (size_t i = 0; i < ECONOMY_WAYS; i++) {
		economy_run(&o, &economy_ways[i], &r[i]);
		economy_run(&o, &economy_ways[i], &again);
		CHECK(memcmp(&r[i], &again, sizeof(again)) == 0);
		CHECK_INT(r[i].news, r[0].news); /* all get all of it */
		CHECK(r[i].delay_mean_s > 0 && r[i].delay_p99_s >= r[i].delay_p50_s);
		CHECK(r[i].delay_max_s >= r[i].delay_p99_s);
	}
	CHECK(r[0].news > 800 && r[0].news < 1400);
	CHECK(r[0].fees_month > 0 && r[0].fees_month <= r[0].news * o.sms_fee);
	/* Polls: half of the interval late on average, never more than all of it. */
	for (size_t i = 1; i <= 3; i++) {
		double s = economy_ways[i].interval_s;

		CHECK(r[i].delay_mean_s > s * 0.45 && r[i].delay_mean_s < s * 0.55);
		CHECK(r[i].delay_max_s < s + 2);
		CHECK_INT(r[i].fees_month, 0);
		CHECK_INT(r[i].wakeups_day + 0.5, 86400 / economy_ways[i].interval_s);
	}
	/* Push: at once, and the cheaper the longer the heartbeat. */
	for (size_t i = 4; i < ECONOMY_WAYS; i++) {
		CHECK(r[i].delay_p99_s < 2);
		CHECK(i == 4 || (r[i].bytes_day < r[i - 1].bytes_day &&
					r[i].wakeups_day < r[i - 1].wakeups_day &&
					r[i].joule_day < r[i - 1].joule_day));
	}
	/* A phone without mail: its heartbeats and nothing else. */
	o.mail_per_day = 1e-9;
	economy_run(&o, &economy_ways[5], &again);
	CHECK_INT(again.news, 0);
	CHECK(again.bytes_day > o.bytes.heartbeat * 95 && again.bytes_day < o.bytes.heartbeat * 97);
}

TEST_MAIN(TEST(test_economy), TEST(test_scenario), TEST(test_scenario_errors), TEST(test_tally),
	TEST(test_replies), TEST(test_troubles), TEST(test_habits), TEST(test_targets),
	TEST(test_patterns), TEST(test_ticks), TEST(test_plots))
