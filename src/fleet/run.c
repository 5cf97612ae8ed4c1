/*
 * The mode that runs a scenario: command line, the fleet, a look at it every second, the results.
 *
 * One normal run: the phones begin at the scenario's rate, mail begins when they have, everything
 * is cut once if the scenario says so, and at the end of its duration, or at SIGINT or SIGTERM, the
 * results are told of what was until then.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/mailer.h"
#include "fleet/modes.h"
#include "fleet/procs.h"
#include "fleet/report.h"

#define PASSWORD_MAX   1024
#define SAMPLE_MS      1000
#define MEMORY_EVERY   5 /* samples: reading it walks page tables */
#define CUT_STAY_OUT_S 2

struct run {
	const char *path, *url, *user, *password_file, *lmtp, *json, *plots;
	uint64_t phones, users, duration_s, rate, worker_phones, server_pid;
	bool quiet;
	char password[PASSWORD_MAX];
	struct scenario scenario;
	struct fleet *fleet;
	struct mailer *mailer;
	struct report report;
	int64_t start_ms;
	bool cut, returned;
	char shown[TALLY_TROUBLES][TALLY_TROUBLE_TEXT]; /* troubles */
	size_t shown_count;
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

static int read_options(struct run *r, int argc, char **argv, struct err *err)
{
	const struct modes_option options[] = {
		{"--url", MODES_TEXT, &r->url, 0, 0},
		{"--user", MODES_TEXT, &r->user, 0, 0},
		{"--password-file", MODES_TEXT, &r->password_file, 0, 0},
		{"--lmtp", MODES_TEXT, &r->lmtp, 0, 0},
		{"--json", MODES_TEXT, &r->json, 0, 0},
		{"--plots", MODES_TEXT, &r->plots, 0, 0},
		{"--phones", MODES_NUMBER, &r->phones, 1, SCENARIO_PHONES_MAX},
		{"--users", MODES_NUMBER, &r->users, 1, SCENARIO_PHONES_MAX},
		{"--rate", MODES_NUMBER, &r->rate, 1, 1000000},
		{"--duration", MODES_SPAN, &r->duration_s, 1, 2678400},
		{"--worker-phones", MODES_NUMBER, &r->worker_phones, 1, 19000},
		{"--server-pid", MODES_NUMBER, &r->server_pid, 1, INT32_MAX},
		{"--quiet", MODES_FLAG, &r->quiet, 0, 0},
	};

	if (modes_parse(argc, argv, options, ARRAY_LEN(options), &r->path, err) < 0)
		return -1;
	if (r->path == NULL)
		return err_set(err, ERR_BAD_INPUT, "run: name a scenario file");
	if (r->url == NULL || r->user == NULL || r->password_file == NULL)
		return err_set(err, ERR_BAD_INPUT, "run: %s is missing",
			r->url == NULL    ? "--url"
			: r->user == NULL ? "--user"
					  : "--password-file");
	return modes_folder(r->plots, err);
}

/* What the command line says counts more than the file. */
static int load(struct run *r, struct err *err)
{
	struct scenario *s = &r->scenario;

	if (modes_password(r->password_file, r->password, sizeof(r->password), err) < 0 ||
		scenario_load(r->path, s, err) < 0)
		return -1;
	if (r->phones != 0) {
		/* As many phones to a user as in the file. */
		if (r->users == 0)
			s->users = (uint32_t)MAX(r->phones * s->users / s->phones, (uint64_t)1);
		s->phones = (uint32_t)r->phones;
	}
	if (r->users != 0)
		s->users = (uint32_t)r->users;
	if (r->duration_s != 0)
		s->duration_s = (uint32_t)r->duration_s;
	if (r->rate != 0)
		s->connect_rate = (uint32_t)r->rate;
	if (s->mail_rate > 0 && r->lmtp == NULL)
		return err_set(err, ERR_BAD_INPUT,
			"%s has mail in it (mail_rate): say with --lmtp where it goes in", r->path);
	return 0;
}

static bool is_loopback(const char *url)
{
	const char *host = strstr(url, "://");

	return host != NULL && str_starts(host + 3, "127.");
}

static int start(struct run *r, struct err *err)
{
	struct fleet_options options = {
		.url = r->url,
		.user = r->user,
		.password = r->password,
		.device_prefix = "BENCH",
		.scenario = &r->scenario,
		.worker_phones = (uint32_t)r->worker_phones,
		.spread = is_loopback(r->url),
	};
	struct fleet_command begin = {
		.order = FLEET_START, .rate = r->scenario.connect_rate, .on_news = FLEET_SYNC};

	if (fleet_open(&options, &r->fleet, err) < 0)
		return -1;
	if (r->scenario.mail_rate > 0) {
		struct mailer_options mail = {.lmtp = r->lmtp,
			.user = r->user,
			.users = r->scenario.users,
			.mail_bytes = r->scenario.mail_bytes,
			.rate = r->scenario.mail_rate,
			.seed = r->scenario.seed};

		if (mailer_start(r->fleet, &mail, &r->mailer, err) < 0)
			return -1;
	}
	fleet_give(r->fleet, &begin);
	return 0;
}

/* Each the first time that it happens: nobody should have to wait for the end to see why no phone
 * is parked. */
static void show_troubles(struct run *r)
{
	const struct tally_trouble *t = r->report.sum.troubles;

	for (size_t i = 0; !r->quiet && i < TALLY_TROUBLES && t[i].count > 0; i++) {
		size_t k = 0;

		while (k < r->shown_count && !str_eq(r->shown[k], t[i].text))
			k++;
		if (k < r->shown_count || k == TALLY_TROUBLES)
			continue;
		memcpy(r->shown[r->shown_count++], t[i].text, TALLY_TROUBLE_TEXT);
		(void)fprintf(stderr, "\r%-110s\n", t[i].text);
	}
}

static void progress(const struct run *r, const struct report_sample *s, const struct tally *t)
{
	if (r->quiet)
		return;
	(void)fprintf(stderr,
		"\r%6.0f s: %.0f parked of %.0f connected, %llu woken, %llu news, %llu dropped,"
		" %llu refused, %llu failed",
		s->at_s, s->parked, s->connected, (unsigned long long)t->woken,
		(unsigned long long)t->news, (unsigned long long)t->dropped,
		(unsigned long long)t->refused, (unsigned long long)t->connect_failed);
	if (t->unauthorized > 0)
		(void)fprintf(stderr, ", %llu answered 401", (unsigned long long)t->unauthorized);
	if (t->wrong > 0)
		(void)fprintf(stderr, ", %llu wrong", (unsigned long long)t->wrong);
	(void)fputs("   ", stderr);
	(void)fflush(stderr);
}

static void sample(struct run *r, unsigned number)
{
	struct report_sample s = {.at_s = (double)(clock_now_ms() - r->start_ms) / 1000};

	fleet_read(r->fleet, &r->report.sum);
	s.parked = (double)r->report.sum.parked;
	s.connected = (double)r->report.sum.connected;
	if (number % MEMORY_EVERY == 0) {
		s.fleet_bytes = (double)procs_memory_of_tree(getpid()).private_dirty;
		if (r->server_pid != 0)
			s.server_bytes =
				(double)procs_memory_of_tree((pid_t)r->server_pid).private_dirty;
	} else if (r->report.sample_count > 0) {
		const struct report_sample *last = &r->report.samples[r->report.sample_count - 1];

		s.fleet_bytes = last->fleet_bytes;
		s.server_bytes = last->server_bytes;
	}
	report_add(&r->report, &s);
	show_troubles(r);
	progress(r, &s, &r->report.sum);
}

/* The scenario's one great cut. */
static void cut(struct run *r, int64_t elapsed_ms)
{
	const struct scenario *s = &r->scenario;
	struct fleet_command c = {.on_news = FLEET_SYNC, .spread_ms = s->cut_spread_s * 1000};

	if (s->cut_at_s == 0)
		return;
	if (!r->cut && elapsed_ms >= (int64_t)s->cut_at_s * 1000) {
		c.order = FLEET_CUT;
		fleet_give(r->fleet, &c);
		r->cut = true;
	}
	if (r->cut && !r->returned &&
		elapsed_ms >= (int64_t)(s->cut_at_s + CUT_STAY_OUT_S) * 1000) {
		c.order = FLEET_RETURN;
		fleet_give(r->fleet, &c);
		r->returned = true;
	}
}

static int watch(struct run *r, struct err *err)
{
	int64_t end_ms, next_ms;

	r->start_ms = next_ms = clock_now_ms();
	end_ms = r->start_ms + (int64_t)r->scenario.duration_s * 1000;
	for (unsigned number = 0; stop_asked == 0 && clock_now_ms() < end_ms; number++) {
		struct timespec pause = {0};
		int64_t left_ms;

		sample(r, number);
		cut(r, clock_now_ms() - r->start_ms);
		if (fleet_alive(r->fleet, err) < 0)
			return -1;
		next_ms += SAMPLE_MS;
		left_ms = MAX(MIN(next_ms, end_ms) - clock_now_ms(), (int64_t)0);
		pause.tv_sec = left_ms / 1000;
		pause.tv_nsec = left_ms % 1000 * 1000000;
		(void)nanosleep(&pause, NULL);
	}
	sample(r, 0);
	if (!r->quiet)
		(void)fprintf(stderr, "\n");
	return 0;
}

static int run(struct run *r, struct err *err)
{
	double cpu_us = r->server_pid != 0 ? procs_cpu_us_of_tree((pid_t)r->server_pid) : 0;
	int rc = start(r, err);

	if (rc == 0)
		rc = watch(r, err);
	if (r->fleet != NULL)
		fleet_read(r->fleet, &r->report.sum);
	mailer_read(r->mailer, &r->report.mail_sent, &r->report.mail_failed);
	if (r->server_pid != 0)
		r->report.server_cpu_s =
			(procs_cpu_us_of_tree((pid_t)r->server_pid) - cpu_us) / 1e6;
	r->report.took_s = (double)(clock_now_ms() - r->start_ms) / 1000;
	mailer_stop(&r->mailer);
	fleet_close(&r->fleet);
	if (rc < 0)
		return -1;
	report_table(&r->report, stdout);
	if (r->json != NULL && report_json(&r->report, r->json, err) < 0)
		return -1;
	return r->plots != NULL ? report_plots(&r->report, r->plots, err) : 0;
}

int modes_run(int argc, char **argv)
{
	CLEANUP(mem_freep) struct run *r = x_new(struct run);
	struct sigaction action = {.sa_handler = on_stop};
	struct err err = ERR_INIT;
	int rc;

	if (read_options(r, argc, argv, &err) < 0 || load(r, &err) < 0) {
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
		return MODES_USAGE;
	}
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	r->report.scenario = &r->scenario;
	r->report.url = r->url;
	rc = run(r, &err);
	if (rc < 0)
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
	report_deinit(&r->report);
	secret_wipe(r->password, sizeof(r->password));
	return rc < 0 ? MODES_FAILED : 0;
}
