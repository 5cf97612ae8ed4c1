/*
 * upgrade: the engine is killed (SIGKILL) --kills times while --phones phones wait and mail comes
 * in, --rate messages a second, each for another user. None may be dropped, none woken for nothing,
 * and every message that was accepted must reach its phone, also one accepted a moment before a
 * kill. A message whose 250 never came may be there or not, and wake its phone or not.
 *
 *     bench-upgrade --build-dir build [--phones N] [--users N] [--folders N] [--rate N] [--kills N]
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "crowd.h"
#include "postmen.h"

#define PHONES   5000u
#define FOLDERS  20u
#define KILLS    3u
#define RATE     50u
#define THREADS  4u
#define CALM_S   2.0 /* of mail before each kill, and after the last */
#define SETTINGS "[push]\nheartbeat_min_s = 1\n[policy]\nrequired = no\n[store]\ncache_kib = 2048\n"

struct world {
	struct bench bench;
	struct crowd crowd;
	struct fleet *fleet;
	struct post *posts;
	unsigned events, kills;
	double rate, register_s; /* the longest of all kills */
};

/* Kills it, waits until a new one knows all watches again. */
static void kill_engine(struct world *w)
{
	pid_t pid = bench_engine_pid(&w->bench);
	int64_t start_us = bench_now_us(), give_up_us = start_us + 300000000;
	unsigned wanted = w->crowd.options.phones - w->events;

	if (pid == 0)
		bench_die("bellhopd has no engine");
	(void)kill(pid, SIGKILL);
	while (bench_counter(&w->bench, "watches") < wanted || bench_engine_pid(&w->bench) == pid) {
		if (bench_now_us() > give_up_us)
			bench_die("the new engine does not know all watches after 300 s");
		(void)poll(NULL, 0, 100);
		(void)fprintf(stderr, "\rupgrade: registering: %.1f s   ",
			(double)(bench_now_us() - start_us) / 1e6);
	}
	w->register_s = MAX(w->register_s, (double)(bench_now_us() - start_us) / 1e6);
}

static void run(struct world *w)
{
	struct postmen_options options = {
		.threads = THREADS, .rate = w->rate, .body_bytes = 1000, .patient = true};
	struct postmen *postmen = postmen_start(&w->bench, &options, w->posts, w->events);

	for (unsigned i = 0; i < w->kills; i++) {
		crowd_pause(&w->crowd, w->fleet, CALM_S, "mail");
		kill_engine(w);
	}
	while (postmen_done(postmen) < w->events)
		crowd_pause(&w->crowd, w->fleet, 0.5, "mail");
	postmen_finish(&postmen);
	crowd_pause(&w->crowd, w->fleet, CALM_S, "listening");
}

static void judge(struct world *w)
{
	struct bench *b = &w->bench;
	const struct fleet_mark *marks = fleet_marks(w->fleet);
	unsigned wakes = 0, accepted = 0, lost = 0, uncertain = 0, expected = 0;
	static struct tally t;
	char conditions[300];

	for (unsigned i = 0; i < w->crowd.options.phones; i++)
		wakes += marks[i].wakes;
	for (unsigned i = 0; i < w->events; i++) {
		const struct fleet_mark *m = &marks[w->posts[i].user];

		accepted += w->posts[i].done_us != 0;
		lost += w->posts[i].done_us != 0 && m->wakes == 0;
		uncertain += w->posts[i].done_us == 0;
		expected += MIN(m->wakes, 1u);
	}
	fleet_read(w->fleet, &t);
	(void)snprintf(conditions, sizeof(conditions),
		"engine killed %u times with %u phones parked (plain HTTP, %u folders); %u "
		"messages accepted "
		"meanwhile, each for another phone, %u more without a 250; all watches known again "
		"after at "
		"most %.1f s",
		w->kills, w->crowd.options.phones, w->crowd.options.folders, accepted, uncertain,
		w->register_s);
	bench_figure(
		b, "dropped", (double)(t.dropped + t.connect_failed), "phones", "0", conditions);
	bench_figure(b, "false_wakes", wakes - expected, "wakes", "0", conditions);
	bench_figure(b, "lost", lost, "events", "0", conditions);
	bench_figure(b, "register_seconds", w->register_s, "s", NULL, conditions);
	if (t.refused + t.wrong + t.hierarchy + t.unauthorized > 0)
		bench_die("phones were answered 503 (%llu), 401 (%llu), 7 (%llu) or worse (%llu)",
			(unsigned long long)t.refused, (unsigned long long)t.unauthorized,
			(unsigned long long)t.hierarchy, (unsigned long long)t.wrong);
}

int main(int argc, char **argv)
{
	struct world *w = x_new(struct world);
	struct crowd_options options = {.heartbeat_s = 3540};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};

	options.phones = (unsigned)bench_number(argc, argv, "--phones", PHONES);
	options.folders = (unsigned)bench_number(argc, argv, "--folders", FOLDERS);
	w->rate = (double)bench_number(argc, argv, "--rate", RATE);
	w->kills = (unsigned)bench_number(argc, argv, "--kills", KILLS);
	w->events = (unsigned)(w->rate * (CALM_S + 2) * (w->kills + 1));
	options.users = (unsigned)bench_number(
		argc, argv, "--users", MIN(options.phones, MAX(options.phones / 20, w->events)));
	w->events = MIN(w->events, options.users);
	options.first_every = options.phones;
	bench_init(&w->bench, "upgrade", argc, argv);
	w->bench.settings = SETTINGS;
	crowd_make(&w->crowd, &w->bench, &options);
	bench_start(&w->bench);
	w->posts = x_calloc(w->events, sizeof(*w->posts));
	for (unsigned i = 0; i < w->events; i++)
		w->posts[i].user = i;
	w->fleet = crowd_fleet(&w->crowd, false, true);
	(void)crowd_fill(&w->crowd, w->fleet, &how, 0, options.phones, 0, CROWD_CHUNK);
	run(w);
	judge(w);
	fleet_close(&w->fleet);
	bench_finish(&w->bench);
	mem_free(w->posts);
	mem_free(w);
	return 0;
}
