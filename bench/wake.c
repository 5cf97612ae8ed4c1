/*
 * wake: how soon phones hear. --phones phones wait; --rate messages a second come in by LMTP, each
 * for another user, for --seconds; one phone of each user watches the Inbox, so each message wakes
 * one. Then one message wakes --burst phones of one user at once.
 *
 * The time of an event is that of the 250 leaving the server, the phone's that of the bytes
 * reaching its socket, both by the kernel's clock (postmen.h). A phone whose answer was there
 * before the 250 counts as 0. Beside it the time from the last byte of the message sent, with
 * parsing and the durable commit in it: the truth lies between.
 * --help has all options.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crowd.h"
#include "options.h"
#include "postmen.h"

#define PHONES   20000u
#define BURST    10000u
#define RATE     2000u
#define SECONDS  10u
#define FOLDERS  20u
#define THREADS  16u
#define LISTEN_S 2.0
#define SETTINGS "[push]\nheartbeat_min_s = 1\n[policy]\nrequired = no\n[store]\ncache_kib = 2048\n"

struct world {
	struct bench bench;
	struct crowd crowd;
	struct fleet *fleet, *burst_fleet;
	unsigned events;
	double rate;
	struct post *posts;
	double *after_250_ms, *after_data_ms;
	unsigned heard, lost;
};

/* The phone of a user that watches the Inbox: its first. */
static const struct fleet_mark *mark_of(const struct world *w, unsigned user)
{
	return &fleet_marks(w->fleet)[user];
}

static void take_times(struct world *w)
{
	for (unsigned i = 0; i < w->events; i++) {
		const struct post *p = &w->posts[i];
		const struct fleet_mark *m = mark_of(w, p->user);
		double after_ms = ((double)m->woken_us - (double)p->done_us) / 1000;

		if (m->wakes == 0) {
			w->lost++;
			continue;
		}
		w->after_250_ms[w->heard] = MAX(after_ms, 0.0);
		w->after_data_ms[w->heard++] = ((double)m->woken_us - (double)p->sent_us) / 1000;
	}
}

static unsigned false_wakes(const struct world *w)
{
	unsigned wakes = 0;

	for (unsigned i = 0; i < w->crowd.options.phones; i++)
		wakes += fleet_marks(w->fleet)[i].wakes;
	return wakes - w->heard;
}

static void wakes(struct world *w)
{
	struct bench *b = &w->bench;
	struct postmen_options options = {.threads = THREADS, .rate = w->rate, .body_bytes = 2000};
	struct postmen *postmen;
	char conditions[300];
	int64_t start_us = bench_now_us();
	double took_s;

	w->posts = x_calloc(w->events, sizeof(*w->posts));
	w->after_250_ms = x_calloc(w->events, sizeof(double));
	w->after_data_ms = x_calloc(w->events, sizeof(double));
	for (unsigned i = 0; i < w->events; i++)
		w->posts[i].user = i;
	postmen = postmen_start(b, &options, w->posts, w->events);
	while (postmen_done(postmen) < w->events)
		crowd_pause(&w->crowd, w->fleet, 0.5, "events");
	postmen_finish(&postmen);
	took_s = (double)(bench_now_us() - start_us) / 1e6;
	crowd_pause(&w->crowd, w->fleet, LISTEN_S, "listening");
	take_times(w);
	(void)snprintf(conditions, sizeof(conditions),
		"%u parked (plain HTTP, %u folders each), %u messages of 2 KB by LMTP in %.1f s "
		"(%.0f/s), "
		"durable, each wakes one phone; from the 250 to the bytes at the phone, by the "
		"kernel's "
		"stamps; fleet and senders on the same machine",
		w->crowd.options.phones, w->crowd.options.folders, w->events, took_s,
		w->events / took_s);
	bench_figure(b, "wake_p50", bench_percentile(w->after_250_ms, w->heard, 0.5), "ms", "0.25",
		conditions);
	bench_figure(b, "wake_p99", bench_percentile(w->after_250_ms, w->heard, 0.99), "ms", "3",
		conditions);
	bench_figure(b, "data_to_wake_p50", bench_percentile(w->after_data_ms, w->heard, 0.5), "ms",
		NULL, "the same from the last byte of the message: with parsing and commit");
	bench_figure(b, "data_to_wake_p99", bench_percentile(w->after_data_ms, w->heard, 0.99),
		"ms", NULL, "the same from the last byte of the message: with parsing and commit");
	bench_figure(b, "lost", w->lost, "events", "0", conditions);
	bench_figure(b, "false_wakes", false_wakes(w), "wakes", "0", conditions);
}

static void burst(struct world *w)
{
	unsigned count = w->crowd.options.burst, woken = 0;
	const struct fleet_mark *marks = fleet_marks(w->burst_fleet);
	struct postmen_options options = {.threads = 1, .body_bytes = 2000};
	struct post post = {.user = w->crowd.options.users};
	struct postmen *postmen = postmen_start(&w->bench, &options, &post, 1);
	uint64_t first_us = UINT64_MAX, last_us = 0;
	char conditions[240];

	postmen_finish(&postmen);
	for (int i = 0; i < 100 && woken < count; i++) {
		crowd_pause(&w->crowd, w->burst_fleet, 0.2, "burst");
		woken = 0;
		for (unsigned n = 0; n < count; n++)
			woken += marks[n].wakes > 0;
	}
	for (unsigned n = 0; n < count; n++) {
		first_us = MIN(first_us, marks[n].wakes > 0 ? marks[n].woken_us : UINT64_MAX);
		last_us = MAX(last_us, marks[n].woken_us);
	}
	if (woken < count)
		bench_die("burst: only %u of %u phones were woken", woken, count);
	(void)snprintf(conditions, sizeof(conditions),
		"one message to a user with %u of %u waiting phones: from its 250, or the first "
		"phone's "
		"answer, whichever was sooner, to the bytes at the last phone; from its last byte "
		"sent: "
		"%.1f ms",
		count, count + w->crowd.options.phones, (double)(last_us - post.sent_us) / 1000);
	bench_figure(&w->bench, "burst_10k", (double)(last_us - MIN(first_us, post.done_us)) / 1000,
		"ms", "under 250 with 10000", conditions);
}

static const struct bench_option all_options[] = {
	{"--phones", 2, CROWD_PHONES_MAX,
		"phones that wait, those of the burst among them (20000)"},
	{"--users", 1, CROWD_PHONES_MAX, "whose they are (a sixth of them, or the messages)"},
	{"--folders", 1, CROWD_FOLDERS_MAX, "that each watches (20)"},
	{"--rate", 1, 100000, "messages a second, each for another user (2000)"},
	{"--seconds", 1, 3600, "for so long (10)"},
	{"--burst", 1, CROWD_PHONES_MAX, "phones of one user (10000, half of all at most)"},
};
static const struct bench_usage usage = {.name = "wake",
	.what = "how soon phones hear, one by one and many at once.",
	.options = all_options,
	.count = ARRAY_LEN(all_options)};

int main(int argc, char **argv)
{
	struct world *w = x_new(struct world);
	struct crowd_options options = {.heartbeat_s = 3540};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	unsigned others;

	bench_options(argc, argv, &usage);
	options.phones = (unsigned)bench_number(argc, argv, "--phones", PHONES);
	options.burst = (unsigned)bench_number(
		argc, argv, "--burst", MIN(BURST, MAX(options.phones / 2, 1u)));
	options.phones -= MIN(options.burst, options.phones - 1);
	options.folders = (unsigned)bench_number(argc, argv, "--folders", FOLDERS);
	w->rate = (double)bench_number(argc, argv, "--rate", RATE);
	w->events = (unsigned)(w->rate * (double)bench_number(argc, argv, "--seconds", SECONDS));
	options.users = (unsigned)bench_number(
		argc, argv, "--users", MIN(options.phones, MAX(options.phones / 6, w->events)));
	w->events = MIN(w->events, options.users);
	/* Nobody but the first phone of each user has the Inbox. */
	options.first_every = options.phones;
	bench_init(&w->bench, "wake", argc, argv);
	w->bench.settings = SETTINGS;
	crowd_make(&w->crowd, &w->bench, &options);
	bench_start(&w->bench);
	w->fleet = crowd_fleet(&w->crowd, false, true);
	(void)crowd_fill(&w->crowd, w->fleet, &how, 0, options.phones, 0, CROWD_CHUNK);
	w->crowd.known.first_every = 1;
	w->burst_fleet = crowd_burst_fleet(&w->crowd, false);
	others = options.phones;
	(void)crowd_fill(
		&w->crowd, w->burst_fleet, &how, 0, options.burst, others, CROWD_CHUNK_USER);
	wakes(w);
	burst(w);
	crowd_check(&w->crowd, w->fleet, "at the end");
	fleet_close(&w->burst_fleet);
	fleet_close(&w->fleet);
	bench_finish(&w->bench);
	mem_free(w->posts);
	mem_free(w->after_250_ms);
	mem_free(w->after_data_ms);
	mem_free(w);
	return 0;
}
