/*
 * The mode that compares: Direct Push beside polling and SMS, a month of virtual time for each. The
 * bytes are those of economy.c's tables, or measured anew when servers are named. The table, the
 * JSON and the plots are for docs/PUSH-ECONOMY.md.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "fleet/economy.h"
#include "fleet/measure.h"
#include "fleet/modes.h"
#include "fleet/plot.h"
#include "fleet/report.h"

#define WH_J 3600.0

struct compare {
	const char *url, *plain_url, *user, *password_file, *lmtp, *json, *plots;
	uint64_t days, mail_per_day, heartbeat_s, seed, mail_bytes;
	struct economy_options assumed; /* but days, mail_per_day, seed and bytes */
	struct economy_bytes plain_bytes, tls_bytes;
	struct economy_result plain[ECONOMY_WAYS], tls[ECONOMY_WAYS];
	char password[1024];
};

static int read_options(struct compare *c, int argc, char **argv, struct err *err)
{
	const struct modes_option options[] = {
		{"--url", MODES_TEXT, &c->url, 0, 0},
		{"--plain-url", MODES_TEXT, &c->plain_url, 0, 0},
		{"--user", MODES_TEXT, &c->user, 0, 0},
		{"--password-file", MODES_TEXT, &c->password_file, 0, 0},
		{"--lmtp", MODES_TEXT, &c->lmtp, 0, 0},
		{"--heartbeat", MODES_SPAN, &c->heartbeat_s, 1, 3540},
		{"--days", MODES_NUMBER, &c->days, 1, 3650},
		{"--mail-per-day", MODES_NUMBER, &c->mail_per_day, 1, 100000},
		{"--mail-bytes", MODES_NUMBER, &c->mail_bytes, 1, 1000000},
		{"--seed", MODES_NUMBER, &c->seed, 0, UINT32_MAX},
		{"--weekend", MODES_REAL, &c->assumed.weekend, 0, 1},
		{"--sms-delay", MODES_REAL, &c->assumed.sms_delay_s, 0, 86400},
		{"--sms-fee", MODES_REAL, &c->assumed.sms_fee, 0, 1000},
		{"--sms-bytes", MODES_REAL, &c->assumed.sms_bytes, 0, 10000},
		{"--radio-wake", MODES_REAL, &c->assumed.radio.promotion_s, 0, 60},
		{"--radio-wake-watts", MODES_REAL, &c->assumed.radio.promotion_w, 0, 100},
		{"--radio-watts", MODES_REAL, &c->assumed.radio.awake_w, 0, 100},
		{"--radio-tail", MODES_REAL, &c->assumed.radio.tail_s, 0, 600},
		{"--radio-rtt", MODES_REAL, &c->assumed.radio.rtt_s, 0, 60},
		{"--radio-rate", MODES_REAL, &c->assumed.radio.bytes_per_s, 1, 10000000000},
		{"--battery", MODES_REAL, &c->assumed.battery_wh, 1, 1000},
		{"--json", MODES_TEXT, &c->json, 0, 0},
		{"--plots", MODES_TEXT, &c->plots, 0, 0},
	};
	bool measured;

	if (modes_parse(argc, argv, options, ARRAY_LEN(options), NULL, err) < 0)
		return -1;
	measured = c->url != NULL || c->plain_url != NULL;
	if (measured && (c->user == NULL || c->password_file == NULL || c->lmtp == NULL))
		return err_set(err, ERR_BAD_INPUT,
			"compare: to measure, --user, --password-file and --lmtp are needed, too");
	if (modes_folder(c->plots, err) < 0)
		return -1;
	return measured ? modes_password(c->password_file, c->password, sizeof(c->password), err)
			: 0;
}

static int measure(struct compare *c, const char *url, struct economy_bytes *ret, struct err *err)
{
	struct measure_options options = {.url = url,
		.user = c->user,
		.password = c->password,
		.lmtp = c->lmtp,
		.heartbeat_s = (unsigned)c->heartbeat_s,
		.mail_bytes = (unsigned)c->mail_bytes};

	if (url == NULL)
		return 0;
	(void)fprintf(stderr, "bellhop-bench: measuring %s, two heartbeats of %u s\n", url,
		options.heartbeat_s);
	return measure_run(&options, ret, err);
}

static void simulate(struct compare *c)
{
	struct economy_options options = c->assumed;

	options.days = (unsigned)c->days;
	options.mail_per_day = (double)c->mail_per_day;
	options.seed = c->seed;
	for (size_t i = 0; i < ECONOMY_WAYS; i++) {
		options.bytes = c->plain_bytes;
		economy_run(&options, &economy_ways[i], &c->plain[i]);
		options.bytes = c->tls_bytes;
		economy_run(&options, &economy_ways[i], &c->tls[i]);
	}
}

static void print_bytes(const char *name, const struct economy_bytes *b)
{
	(void)printf(
		"%-6s heartbeat %5.0f, wake %5.0f, Sync with nothing %5.0f, with a message %5.0f,"
		" each further one %5.0f, connection %5.0f\n",
		name, b->heartbeat, b->wake, b->sync_empty, b->sync_news, b->per_news, b->connect);
}

static void print_delay(double s)
{
	if (s < 10)
		(void)printf(" %9.2fs", s);
	else if (s < 600)
		(void)printf(" %9.0fs", s);
	else
		(void)printf(" %8.0fmin", s / 60);
}

static void print_assumed(const struct economy_options *o)
{
	(void)printf("\nAssumed: SMS %g s late, %g each, %g bytes; radio awake after %g s at %g W, "
		     "then %g W until %g s after the last byte, round trip %g s, %g bytes/s; "
		     "battery %g Wh.\n",
		o->sms_delay_s, o->sms_fee, o->sms_bytes, o->radio.promotion_s,
		o->radio.promotion_w, o->radio.awake_w, o->radio.tail_s, o->radio.rtt_s,
		o->radio.bytes_per_s, o->battery_wh);
}

static void print_table(const struct compare *c)
{
	(void)printf("Bytes over the air of each exchange, both directions, with TCP and IP:\n");
	print_bytes("plain", &c->plain_bytes);
	print_bytes("TLS", &c->tls_bytes);
	(void)printf("\n%llu days, %llu messages on a working day, %.0f on others (%u in all); the "
		     "same for all:\n\n",
		(unsigned long long)c->days, (unsigned long long)c->mail_per_day,
		(double)c->mail_per_day * c->assumed.weekend, c->tls[0].news);
	(void)printf("%-12s %10s %10s %10s %10s %10s %10s %9s %8s\n", "", "delay mean", "p99",
		"KB/day TLS", "KB/d plain", "MB/month", "wake-ups/d", "battery/d", "fees/mon");
	for (size_t i = 0; i < ECONOMY_WAYS; i++) {
		const struct economy_result *r = &c->tls[i];

		(void)printf("%-12s", economy_ways[i].name);
		print_delay(r->delay_mean_s);
		print_delay(r->delay_p99_s);
		(void)printf(" %10.1f %10.1f %10.2f %10.0f %8.1f%% %8.2f\n", r->bytes_day / 1000,
			c->plain[i].bytes_day / 1000, r->bytes_month / 1e6, r->wakeups_day,
			100 * r->joule_day / (c->assumed.battery_wh * WH_J), r->fees_month);
	}
	print_assumed(&c->assumed);
}

static void add_assumed(struct buf *out, const struct economy_options *o)
{
	buf_addf(out,
		"\"assumed\":{\"weekend\":%g,\"sms_delay_s\":%g,\"sms_fee\":%g,\"sms_bytes\":%g,"
		"\"radio_wake_s\":%g,\"radio_wake_w\":%g,\"radio_w\":%g,\"radio_tail_s\":%g,"
		"\"radio_rtt_s\":%g,\"radio_bytes_per_s\":%.0f,\"battery_wh\":%g},",
		o->weekend, o->sms_delay_s, o->sms_fee, o->sms_bytes, o->radio.promotion_s,
		o->radio.promotion_w, o->radio.awake_w, o->radio.tail_s, o->radio.rtt_s,
		o->radio.bytes_per_s, o->battery_wh);
}

static void add_bytes(struct buf *out, const char *name, const struct economy_bytes *b)
{
	buf_addf(out,
		"\"%s\":{\"heartbeat\":%.0f,\"wake\":%.0f,\"sync_empty\":%.0f,\"sync_news\":%.0f,"
		"\"per_news\":%.0f,\"connect\":%.0f},",
		name, b->heartbeat, b->wake, b->sync_empty, b->sync_news, b->per_news, b->connect);
}

static int write_json(const struct compare *c, struct err *err)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	buf_addf(&out, "{\"days\":%llu,\"mail_per_day\":%llu,\"news\":%u,",
		(unsigned long long)c->days, (unsigned long long)c->mail_per_day, c->tls[0].news);
	add_assumed(&out, &c->assumed);
	add_bytes(&out, "plain_bytes", &c->plain_bytes);
	add_bytes(&out, "tls_bytes", &c->tls_bytes);
	buf_add_str(&out, "\"ways\":[");
	for (size_t i = 0; i < ECONOMY_WAYS; i++) {
		const struct economy_result *r = &c->tls[i];

		buf_addf(&out,
			"%s{\"way\":\"%s\",\"delay_mean_s\":%.3f,\"delay_p50_s\":%.3f,"
			"\"delay_p99_s\":%.3f,\"delay_max_s\":%.3f,\"bytes_day\":%.0f,"
			"\"bytes_day_plain\":%.0f,\"bytes_month\":%.0f,\"wakeups_day\":%.1f,"
			"\"joule_day\":%.1f,\"fees_month\":%.2f}",
			i > 0 ? "," : "", economy_ways[i].name, r->delay_mean_s, r->delay_p50_s,
			r->delay_p99_s, r->delay_max_s, r->bytes_day, c->plain[i].bytes_day,
			r->bytes_month, r->wakeups_day, r->joule_day, r->fees_month);
	}
	buf_add_str(&out, "]}\n");
	return report_write(c->json, &out, err);
}

static int write_bars(const struct compare *c, const char *name, const struct plot_bars *plot,
	const double *values, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", c->plots, name);
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	struct plot_bar bars[ECONOMY_WAYS];
	struct plot_bars filled = *plot;

	for (size_t i = 0; i < ECONOMY_WAYS; i++)
		bars[i] = (struct plot_bar){
			economy_ways[i].name, values[i], (unsigned)economy_ways[i].kind};
	filled.bars = bars;
	filled.count = ECONOMY_WAYS;
	plot_bars_svg(&filled, &out);
	return report_write(path, &out, err);
}

static int write_plots(const struct compare *c, struct err *err)
{
	/* From a third of a second to an hour. */
	static const struct plot_bars late = {.title = "How late news are, on average",
		.y_title = "seconds (logarithmic)",
		.y_log = true};
	static const struct plot_bars moved = {
		.title = "Data over the air, with TLS", .y_title = "KB a day"};
	static const struct plot_bars woken = {
		.title = "How often the radio wakes up", .y_title = "times a day"};
	double delay[ECONOMY_WAYS], data[ECONOMY_WAYS], wakeups[ECONOMY_WAYS];

	for (size_t i = 0; i < ECONOMY_WAYS; i++) {
		delay[i] = c->tls[i].delay_mean_s;
		data[i] = c->tls[i].bytes_day / 1000;
		wakeups[i] = c->tls[i].wakeups_day;
	}
	if (write_bars(c, "push-delay.svg", &late, delay, err) < 0 ||
		write_bars(c, "push-data.svg", &moved, data, err) < 0)
		return -1;
	return write_bars(c, "push-wakeups.svg", &woken, wakeups, err);
}

int modes_compare(int argc, char **argv)
{
	struct compare c = {.days = 30,
		.mail_per_day = 40,
		.heartbeat_s = 60,
		.seed = 1,
		.mail_bytes = 2000,
		.plain_bytes = economy_plain,
		.tls_bytes = economy_tls};
	struct err err = ERR_INIT;
	int rc;

	economy_defaults(&c.assumed);
	if (read_options(&c, argc, argv, &err) < 0) {
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
		return MODES_USAGE;
	}
	rc = measure(&c, c.plain_url, &c.plain_bytes, &err);
	if (rc == 0)
		rc = measure(&c, c.url, &c.tls_bytes, &err);
	secret_wipe(c.password, sizeof(c.password));
	if (rc == 0) {
		simulate(&c);
		print_table(&c);
	}
	if (rc == 0 && c.json != NULL)
		rc = write_json(&c, &err);
	if (rc == 0 && c.plots != NULL)
		rc = write_plots(&c, &err);
	if (rc < 0)
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
	return rc < 0 ? MODES_FAILED : 0;
}
