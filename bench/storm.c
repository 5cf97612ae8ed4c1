/*
 * storm: everything is cut at once, and all phones come back. --phones phones over TLS (--plain 1:
 * plain HTTP) are parked, every connection is reset, and within --spread-ms each phone connects
 * again, resumes its session and pings. A phone that is answered 503 comes back when it was told
 * to. Measured: until the server has all parked again, and its CPU for each phone, from the cut on.
 * --help has all options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "crowd.h"
#include "options.h"

#define PHONES    10000u
#define FOLDERS   20u
#define SPREAD_MS 5000u
#define SETTINGS  "[push]\nheartbeat_min_s = 1\n[policy]\nrequired = no\n[store]\ncache_kib = 2048\n"

static void cut(struct crowd *c, struct fleet *fleet)
{
	struct fleet_command command = {.order = FLEET_CUT, .on_news = FLEET_STAY_OUT};

	fleet_give(fleet, &command);
	while (bench_counter(c->bench, "parked") > 0)
		crowd_pause(c, fleet, 0.2, "cut");
}

/* Connections for which a listener's queue had no room, of the whole machine. */
static uint64_t queue_overflows(void)
{
	CLEANUP(buf_deinit) struct buf names = BUF_INIT, values = BUF_INIT;
	char line[8192], *name, *value, *at_name = NULL, *at_value = NULL;
	uint64_t count = 0;
	FILE *f = fopen("/proc/net/netstat", "re");

	if (f == NULL)
		return 0;
	/* A line of names, then one of their values. */
	while (fgets(line, sizeof(line), f) != NULL) {
		if (!str_starts(line, "TcpExt:"))
			continue;
		buf_add_str(names.len == 0 ? &names : &values, line);
	}
	(void)fclose(f);
	if (values.len == 0)
		return 0;
	buf_add_byte(&names, 0);
	buf_add_byte(&values, 0);
	name = strtok_r((char *)names.data, " \n", &at_name);
	value = strtok_r((char *)values.data, " \n", &at_value);
	while (name != NULL && value != NULL) {
		if (strcmp(name, "ListenOverflows") == 0)
			count = strtoull(value, NULL, 10);
		name = strtok_r(NULL, " \n", &at_name);
		value = strtok_r(NULL, " \n", &at_value);
	}
	return count;
}

static void storm(struct crowd *c, struct fleet *fleet, unsigned spread_ms, bool tls)
{
	struct bench *b = c->bench;
	struct fleet_command command = {
		.order = FLEET_RETURN, .spread_ms = spread_ms, .on_news = FLEET_STAY_OUT};
	static struct tally before, after;
	unsigned phones = c->options.phones;
	double cpu_us = bench_server_cpu_us(b), took_s;
	uint64_t overflows = queue_overflows();
	char conditions[600];
	int64_t start_us;

	fleet_read(fleet, &before);
	cut(c, fleet);
	start_us = bench_now_us();
	fleet_give(fleet, &command);
	(void)crowd_wait_parked(c, fleet, phones, "coming back");
	took_s = (double)(bench_now_us() - start_us) / 1e6;
	cpu_us = bench_server_cpu_us(b) - cpu_us;
	fleet_read(fleet, &after);
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones with %u folders, %s, all cut (reset), all coming back within %u ms; "
		"fleet on "
		"the same cores; %llu answers 503, %llu connections that failed (%llu of them "
		"not answered in the 30 s that a phone waits, %llu for want of a port or "
		"descriptor), %llu times the queue of a listener was full, %llu connections that "
		"the server closed, %llu answers that did not come, %llu sessions resumed",
		phones, c->options.folders, tls ? "TLS 1.3, AES-256-GCM" : "plain HTTP", spread_ms,
		(unsigned long long)(after.refused - before.refused),
		(unsigned long long)(after.connect_failed - before.connect_failed),
		(unsigned long long)(after.connect_late - before.connect_late),
		(unsigned long long)(after.connect_local - before.connect_local),
		(unsigned long long)(queue_overflows() - overflows),
		(unsigned long long)(after.dropped - before.dropped),
		(unsigned long long)(after.timed_out - before.timed_out),
		(unsigned long long)(after.resumed - before.resumed));
	bench_figure(b, "storm_seconds", took_s, "s", "180 with 100000", conditions);
	bench_figure(b, "storm_cpu", cpu_us / phones, "us", "650", conditions);
	bench_figure(b, "refused_twice", (double)(after.refused_again - before.refused_again),
		"phones", "0", conditions);
}

static const struct bench_option all_options[] = {
	{"--phones", 1, CROWD_PHONES_MAX, "phones that are cut and come back (10000)"},
	{"--users", 1, CROWD_PHONES_MAX, "whose they are (a twentieth of them)"},
	{"--folders", 1, CROWD_FOLDERS_MAX, "that each watches (20)"},
	{"--spread-ms", 0, 3600000, "they come back within this time (5000)"},
	{"--plain", 0, 1, "1: plain HTTP, else TLS (0)"},
};
static const struct bench_usage usage = {.name = "storm",
	.what = "everything is cut at once, and all phones come back.",
	.options = all_options,
	.count = ARRAY_LEN(all_options)};

int main(int argc, char **argv)
{
	struct crowd_options options = {.heartbeat_s = 3540};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	bool tls;
	struct fleet *fleet;
	struct bench b;
	static struct crowd c;

	bench_options(argc, argv, &usage);
	tls = bench_number(argc, argv, "--plain", 0) == 0;
	options.phones = (unsigned)bench_number(argc, argv, "--phones", PHONES);
	options.users = (unsigned)bench_number(argc, argv, "--users", 0);
	options.folders = (unsigned)bench_number(argc, argv, "--folders", FOLDERS);
	bench_init(&b, "storm", argc, argv);
	b.settings = SETTINGS;
	crowd_make(&c, &b, &options);
	bench_start(&b);
	fleet = crowd_fleet(&c, tls, false);
	(void)crowd_fill(&c, fleet, &how, 0, options.phones, 0, CROWD_CHUNK);
	storm(&c, fleet, (unsigned)bench_number(argc, argv, "--spread-ms", SPREAD_MS), tls);
	fleet_close(&fleet);
	bench_finish(&b);
	return 0;
}
