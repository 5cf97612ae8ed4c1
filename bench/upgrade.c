/*
 * upgrade: what phones notice when parts of the server are replaced under them; nothing, that is.
 * --phones phones wait and mail comes in, --rate messages a second, each for another phone. First
 * the engine is killed (SIGKILL) --kills times. Then `bellhop upgrade` replaces all processes,
 * while further phones connect, 500 a second. None may be dropped, refused, or woken for nothing,
 * and every message that was accepted must reach its phone, also one accepted a moment before. A
 * message whose 250 never came may be there or not, and wake its phone or not.
 * --help has all options.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "crowd.h"
#include "options.h"
#include "postmen.h"

#define PHONES       5000u
#define FOLDERS      20u
#define KILLS        3u
#define RATE         50u
#define THREADS      4u
#define CALM_S       2.0 /* of mail before each event, and after the last */
#define CONNECT_RATE 500u
#define CONNECT_S    6u
#define PATIENCE_US  300000000
#define SETTINGS     "[push]\nheartbeat_min_s = 1\n[policy]\nrequired = no\n[store]\ncache_kib = 2048\n"

struct world {
	struct bench bench;
	struct crowd crowd;
	struct fleet *fleet;
	struct post *posts;
	unsigned parked, newcomers, kills, events; /* events: messages of each phase */
	double rate, longest_s;                    /* of all kills, or of the upgrade */
	unsigned wakes_before;
	struct tally before;
};

/* Kills it, waits until a new one knows all watches again. */
static void kill_engine(struct world *w)
{
	pid_t pid = bench_engine_pid(&w->bench);
	int64_t start_us = bench_now_us();
	/* Phones that were woken stay out; no more of them than messages. */
	unsigned wanted = w->parked - MIN(w->parked, 2 * w->events);

	if (pid == 0)
		bench_die("bellhopd has no engine");
	(void)kill(pid, SIGKILL);
	while (bench_engine_pid(&w->bench) == pid ||
		bench_counter(&w->bench, "engine_pid") == (uint64_t)pid ||
		bench_counter(&w->bench, "watches") < MAX(wanted, 1u)) {
		if (bench_now_us() - start_us > PATIENCE_US)
			bench_die("the new engine does not know all watches after 300 s");
		(void)poll(NULL, 0, 100);
		(void)fprintf(stderr, "\rupgrade: registering: %.1f s   ",
			(double)(bench_now_us() - start_us) / 1e6);
	}
	w->longest_s = MAX(w->longest_s, (double)(bench_now_us() - start_us) / 1e6);
}

static void kills(struct world *w)
{
	for (unsigned i = 0; i < w->kills; i++) {
		crowd_pause(&w->crowd, w->fleet, CALM_S, "mail");
		kill_engine(w);
	}
}

static void upgrade(struct world *w)
{
	struct fleet_command command = {.order = FLEET_START,
		.first = w->parked,
		.count = w->newcomers,
		.rate = CONNECT_RATE,
		.on_news = FLEET_STAY_OUT};
	int64_t start_us;

	crowd_pause(&w->crowd, w->fleet, CALM_S, "mail");
	fleet_give(w->fleet, &command);
	crowd_pause(&w->crowd, w->fleet, 0.5, "phones connect");
	start_us = bench_now_us();
	if (bench_ctl(&w->bench, "upgrade") != 0)
		bench_die("bellhop upgrade failed");
	w->longest_s = (double)(bench_now_us() - start_us) / 1e6;
}

static unsigned count_wakes(const struct world *w)
{
	unsigned wakes = 0;

	for (unsigned i = 0; i < w->crowd.options.phones; i++)
		wakes += fleet_marks(w->fleet)[i].wakes;
	return wakes;
}

static void figure(const struct world *w, const char *prefix, const char *name, double value,
	const char *unit, const char *aim, const char *conditions)
{
	CLEANUP(mem_freep) char *full = x_printf("%s%s", prefix, name);

	bench_figure(&w->bench, full, value, unit, aim, conditions);
}

static void judge(struct world *w, unsigned first, const char *prefix, const char *what)
{
	const struct fleet_mark *marks = fleet_marks(w->fleet);
	unsigned accepted = 0, lost = 0, expected = 0, wakes = count_wakes(w);
	static struct tally t;
	char conditions[300];

	for (unsigned i = first; i < first + w->events; i++) {
		const struct fleet_mark *m = &marks[w->posts[i].user];

		accepted += w->posts[i].done_us != 0;
		lost += w->posts[i].done_us != 0 && m->wakes == 0;
		expected += MIN(m->wakes, 1u);
	}
	fleet_read(w->fleet, &t);
	(void)snprintf(conditions, sizeof(conditions),
		"%s, %u phones parked (%u folders); %u messages accepted meanwhile, each for "
		"another phone, "
		"%u more without a 250",
		what, w->parked, w->crowd.options.folders, accepted, w->events - accepted);
	figure(w, prefix, "dropped", (double)(t.dropped - w->before.dropped), "phones", "0",
		conditions);
	figure(w, prefix, "false_wakes", wakes - w->wakes_before - expected, "wakes", "0",
		conditions);
	figure(w, prefix, "lost", lost, "events", "0", conditions);
	figure(w, prefix, "refused",
		(double)(t.refused + t.connect_failed - w->before.refused -
			 w->before.connect_failed),
		"phones", "0", conditions);
	if (t.wrong + t.hierarchy + t.unauthorized > 0)
		bench_die("phones were answered 401 (%llu), 7 (%llu) or worse (%llu)",
			(unsigned long long)t.unauthorized, (unsigned long long)t.hierarchy,
			(unsigned long long)t.wrong);
	w->before = t;
	w->wakes_before = wakes;
}

static void phase(struct world *w, unsigned first, void (*disturb)(struct world *w))
{
	struct postmen_options options = {
		.threads = THREADS, .rate = w->rate, .body_bytes = 1000, .patient = true};
	struct postmen *postmen = postmen_start(&w->bench, &options, w->posts + first, w->events);

	w->longest_s = 0;
	disturb(w);
	while (postmen_done(postmen) < w->events)
		crowd_pause(&w->crowd, w->fleet, 0.5, "mail");
	postmen_finish(&postmen);
	crowd_pause(&w->crowd, w->fleet, CALM_S, "listening");
}

static void run(struct world *w)
{
	char what[80];

	phase(w, 0, kills);
	(void)snprintf(what, sizeof(what), "engine killed %u times", w->kills);
	judge(w, 0, "", what);
	bench_figure(&w->bench, "register_seconds", w->longest_s, "s", NULL,
		"from SIGKILL to a new engine that knows all watches; the longest");
	phase(w, w->events, upgrade);
	(void)snprintf(what, sizeof(what), "bellhop upgrade, %u phones connecting at %u/s",
		w->newcomers, CONNECT_RATE);
	judge(w, w->events, "upgrade_", what);
	bench_figure(&w->bench, "upgrade_seconds", w->longest_s, "s", NULL,
		"bellhop upgrade, until it says that all processes are new");
	(void)crowd_wait_parked(&w->crowd, w->fleet,
		w->crowd.options.phones - MIN(w->crowd.options.phones, w->wakes_before),
		"at the end");
}

static const struct bench_option all_options[] = {
	{"--phones", 4, CROWD_PHONES_MAX, "phones, newcomers among them (5000)"},
	{"--users", 2, CROWD_PHONES_MAX, "whose they are (as many as the mail wants)"},
	{"--folders", 1, CROWD_FOLDERS_MAX, "that each watches (20)"},
	{"--rate", 1, 10000, "messages a second meanwhile (50)"},
	{"--kills", 0, 100, "times that the engine is killed (3)"},
	{"--tls", 0, 1, "1: TLS, else plain HTTP (0)"},
};
static const struct bench_usage usage = {.name = "upgrade",
	.what = "what phones notice of a dead engine and of an upgrade: nothing.",
	.options = all_options,
	.count = ARRAY_LEN(all_options)};

int main(int argc, char **argv)
{
	struct world *w = x_new(struct world);
	struct crowd_options options = {.heartbeat_s = 3540};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};

	bench_options(argc, argv, &usage);
	options.phones = (unsigned)bench_number(argc, argv, "--phones", PHONES);
	options.folders = (unsigned)bench_number(argc, argv, "--folders", FOLDERS);
	w->newcomers = MIN(CONNECT_RATE * CONNECT_S, options.phones / 4);
	w->parked = options.phones - w->newcomers;
	w->rate = (double)bench_number(argc, argv, "--rate", RATE);
	w->kills = (unsigned)bench_number(argc, argv, "--kills", KILLS);
	w->events = MIN((unsigned)(w->rate * (CALM_S + 2) * (w->kills + 1)), w->parked / 2);
	options.users = (unsigned)bench_number(
		argc, argv, "--users", MIN(w->parked, MAX(options.phones / 20, 2 * w->events)));
	w->events = MIN(w->events, options.users / 2);
	/* One phone of each user watches the Inbox: its first, which is parked from the beginning.
	 */
	options.first_every = options.phones;
	bench_init(&w->bench, "upgrade", argc, argv);
	w->bench.settings = SETTINGS;
	crowd_make(&w->crowd, &w->bench, &options);
	bench_start(&w->bench);
	w->posts = x_calloc(2 * w->events, sizeof(*w->posts));
	for (unsigned i = 0; i < 2 * w->events; i++)
		w->posts[i].user = i;
	w->fleet = crowd_fleet(&w->crowd, bench_number(argc, argv, "--tls", 0) != 0, true);
	(void)crowd_fill(&w->crowd, w->fleet, &how, 0, w->parked, 0, CROWD_CHUNK);
	run(w);
	fleet_close(&w->fleet);
	bench_finish(&w->bench);
	mem_free(w->posts);
	mem_free(w);
	return 0;
}
