/*
 * The counters of the fronts. A question has a number; it is answered when each front that is
 * connected has told its counters after it. Questions that come meanwhile share the next round.
 *
 * There may be sixty fronts, so they are summed up once for a question, with the last answer, and
 * what they tell by themselves together, SUM_AFTER_MS after the first. Does a front hang, then what
 * the others answered is in the sums then, too.
 *
 * Threads: fronts and their numbers are the loop's; `lock` guards the sums and the two numbers of
 * questions.
 */
#include "engine/stats.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_internal.h"

#define WAIT_S       1
#define SUM_AFTER_MS 1000

struct stats {
	struct engine *engine;
	struct loop_note note;
	struct loop_timer soon; /* the loop's: what fronts told by themselves is summed up then */
	pthread_mutex_t lock;   /* all below */
	pthread_cond_t answered;
	uint64_t asked, done; /* questions */
	struct stats_counter sums[IPC_STATS_MAX];
	size_t sum_count;
	/* What was said last of that which only grows: while the counts of a front that ended are
	 * on their way to the next one (shared/shared.h) the sum stands still. */
	struct stats_counter floors[IPC_STATS_MAX];
	size_t floor_count;
};

static void on_asked(struct loop_note *note);
static void on_soon(void *owner);

struct stats *stats_new(struct engine *e)
{
	struct stats *s = x_new(struct stats);

	s->engine = e;
	s->note = (struct loop_note){.name = "stats_asked", .fn = on_asked};
	loop_timer_init(&s->soon, e->loop, "stats", on_soon, s);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->answered, NULL);
	return s;
}

void stats_free(struct stats **stats)
{
	if (*stats == NULL)
		return;
	loop_post_cancel((*stats)->engine->loop, &(*stats)->note);
	loop_timer_clear(&(*stats)->soon);
	(void)pthread_mutex_destroy(&(*stats)->lock);
	(void)pthread_cond_destroy(&(*stats)->answered);
	mem_free(*stats);
	*stats = NULL;
}

size_t stats_known(struct stats *s, struct stats_counter *out, size_t max)
{
	size_t count;

	(void)pthread_mutex_lock(&s->lock);
	count = MIN(max, s->sum_count);
	memcpy(out, s->sums, count * sizeof(*out));
	(void)pthread_mutex_unlock(&s->lock);
	return count;
}

size_t stats_read(struct stats *s, struct stats_counter *out, size_t max)
{
	struct timespec until;
	uint64_t question;
	size_t count;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	(void)pthread_mutex_lock(&s->lock);
	question = ++s->asked;
	loop_post(s->engine->loop, &s->note);
	while (s->done < question && rc == 0)
		rc = pthread_cond_timedwait(&s->answered, &s->lock, &until);
	count = MIN(max, s->sum_count);
	memcpy(out, s->sums, count * sizeof(*out));
	(void)pthread_mutex_unlock(&s->lock);
	return count;
}

/* With the lock. What begins with all_ every front says of all: the newest is not known, the
 * largest is good enough. */
static void add(struct stats *s, size_t place, const struct stats_counter *counter)
{
	/* Fronts of one version tell the same in the same order. */
	if (place >= s->sum_count || !str_eq(s->sums[place].name, counter->name)) {
		place = 0;
		while (place < s->sum_count && !str_eq(s->sums[place].name, counter->name))
			place++;
	}
	if (place == ARRAY_LEN(s->sums))
		return;
	if (place == s->sum_count)
		s->sums[s->sum_count++] = *counter;
	else if (str_starts(counter->name, "all_"))
		s->sums[place].value = MAX(s->sums[place].value, counter->value);
	else
		s->sums[place].value += counter->value;
}

static bool only_grows(const char *name)
{
#define GROWS_LEVEL false
#define GROWS_ALL   false
#define GROWS_COUNT true
#define GROWS_PUSH  true
	static const struct {
		const char *name;
		bool grows;
	} counters[] = {
#define COUNTER(name, kind, help) {#name, GROWS_##kind},
#include "front/counters.def"
#undef COUNTER
	};

	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		if (str_eq(counters[i].name, name))
			return counters[i].grows;
	}
	return false;
}

/* With the lock. */
static void never_back(struct stats *s)
{
	for (size_t i = 0; i < s->sum_count; i++) {
		size_t at = 0;

		if (!only_grows(s->sums[i].name))
			continue;
		while (at < s->floor_count && !str_eq(s->floors[at].name, s->sums[i].name))
			at++;
		if (at == ARRAY_LEN(s->floors))
			continue;
		if (at == s->floor_count)
			s->floors[s->floor_count++] = s->sums[i];
		s->sums[i].value = s->floors[at].value = MAX(s->floors[at].value, s->sums[i].value);
	}
}

/* Sums what is known; the oldest question that a front has not answered yet stays open. */
static void sum_up(struct stats *s)
{
	struct engine *e = s->engine;
	struct stats_counter fronts = {"fronts", 0};
	uint64_t done;

	loop_timer_clear(&s->soon);
	(void)pthread_mutex_lock(&s->lock);
	done = s->asked;
	s->sum_count = 0;
	LIST_FOREACH(node, &e->fronts) {
		const struct front *front = LIST_ENTRY(node, const struct front, node);

		if (front->control == NULL)
			continue;
		fronts.value++;
		done = MIN(done, front->stats_answered);
		for (size_t i = 0; i < front->stats_count; i++)
			add(s, i, &front->stats[i]);
	}
	add(s, s->sum_count, &fronts);
	never_back(s);
	s->done = MAX(s->done, done);
	(void)pthread_cond_broadcast(&s->answered);
	(void)pthread_mutex_unlock(&s->lock);
}

static void on_soon(void *owner)
{
	sum_up(owner);
}

static void on_asked(struct loop_note *note)
{
	struct stats *s = LIST_ENTRY(note, struct stats, note);
	struct ipc_frame frame = {.type = IPC_STATS};
	uint64_t asked;

	(void)pthread_mutex_lock(&s->lock);
	asked = s->asked;
	(void)pthread_mutex_unlock(&s->lock);
	LIST_FOREACH(node, &s->engine->fronts) {
		struct front *front = LIST_ENTRY(node, struct front, node);

		if (front->control == NULL)
			continue;
		front->stats_asked = asked;
		frame.stats.front = front->number;
		fronts_send(front->control, &frame);
	}
	sum_up(s); /* there may be no front */
}

static bool is_open(struct stats *s)
{
	bool open;

	(void)pthread_mutex_lock(&s->lock);
	open = s->done < s->asked;
	(void)pthread_mutex_unlock(&s->lock);
	return open;
}

/* All that are connected have answered the newest question that they were asked. */
static bool all_answered(const struct stats *s)
{
	LIST_FOREACH(node, &s->engine->fronts) {
		const struct front *front = LIST_ENTRY(node, const struct front, node);

		if (front->control != NULL && front->stats_answered < front->stats_asked)
			return false;
	}
	return true;
}

void stats_on_frame(struct stats *s, struct front *front, const struct ipc_stats *frame)
{
	front->stats_count = 0;
	for (size_t i = 0; i < frame->count; i++) {
		struct stats_counter *c = &front->stats[front->stats_count++];

		(void)snprintf(c->name, sizeof(c->name), "%.31s", frame->counters[i].name);
		c->value = frame->counters[i].value;
	}
	/* One that was sent by itself just before the question counts, too: it is as new as the
	 * answer. */
	front->stats_answered = front->stats_asked;
	if (is_open(s) && all_answered(s))
		sum_up(s);
	else if (s->soon.place == 0)
		loop_timer_set(&s->soon, clock_now_ms() + SUM_AFTER_MS);
}

void stats_on_front_lost(struct stats *s)
{
	sum_up(s);
}

bool stats_told_by_all(struct stats *s)
{
	bool told = false;

	LIST_FOREACH(node, &s->engine->fronts) {
		const struct front *front = LIST_ENTRY(node, const struct front, node);

		if (front->control != NULL && front->stats_count == 0)
			return false;
		told = told || front->control != NULL;
	}
	if (s->soon.place != 0)
		sum_up(s);
	return told;
}
