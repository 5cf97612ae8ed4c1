/*
 * Two rings of points. A point comes from two readings of counters that only grow; when one went
 * back (its process was replaced, and nobody carried it over) the step counts from 0. Time that
 * stood still or jumped (a suspended machine) changes the length of one step, not its truth: rates
 * are by the time that has passed.
 *
 * Threads: one lock, held for a copy.
 */
#include "telemetry/series.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

struct ring {
	struct series_point *points;
	size_t max, next, count;
	bool begun;
	int64_t since_at;
	struct series_counts since;
};

struct series {
	pthread_mutex_t lock; /* all below */
	struct ring fine, lengthy;
	unsigned step;
};

static void ring_init(struct ring *r, size_t max)
{
	r->points = x_calloc(max, sizeof(*r->points));
	r->max = max;
}

struct series *series_new(void)
{
	struct series *s = x_new(struct series);

	(void)pthread_mutex_init(&s->lock, NULL);
	ring_init(&s->fine, SERIES_FINE);
	ring_init(&s->lengthy, SERIES_LONG);
	return s;
}

void series_free(struct series **series)
{
	if (*series == NULL)
		return;
	(void)pthread_mutex_destroy(&(*series)->lock);
	mem_free((*series)->fine.points);
	mem_free((*series)->lengthy.points);
	mem_free(*series);
	*series = NULL;
}

static float per_minute(uint64_t now, uint64_t before, int64_t passed_s)
{
	return (float)(now < before ? now : now - before) * 60.0f / (float)passed_s;
}

static uint32_t difference(uint64_t now, uint64_t before)
{
	return (uint32_t)MIN(now < before ? now : now - before, UINT32_MAX);
}

static void add_point(struct ring *r, int64_t now_at, const struct series_counts *now)
{
	int64_t passed_s = MAX(now_at - r->since_at, 1);
	const struct series_counts *before = &r->since;
	struct histogram_view push;

	if (r->begun) {
		histogram_since(&now->push, &before->push, &push);
		r->points[r->next] = (struct series_point){.at = now_at,
			.parked = (uint32_t)now->parked,
			.connections = (uint32_t)now->connections,
			.heartbeat_s = (uint32_t)now->heartbeat_s,
			.pushes = per_minute(now->pushes, before->pushes, passed_s),
			.syncs = per_minute(now->syncs, before->syncs, passed_s),
			.requests = per_minute(now->requests, before->requests, passed_s),
			.errors = per_minute(now->errors, before->errors, passed_s),
			.logins_refused =
				per_minute(now->logins_refused, before->logins_refused, passed_s),
			.logins_throttled = per_minute(
				now->logins_throttled, before->logins_throttled, passed_s),
			.push_p50_us = (uint32_t)histogram_quantile_us(&push, 50),
			.push_p99_us = (uint32_t)histogram_quantile_us(&push, 99)};
		for (size_t i = 0; i < SERIES_TURNED_AWAY; i++)
			r->points[r->next].turned_away[i] =
				difference(now->turned_away[i], before->turned_away[i]);
		r->next = (r->next + 1) % r->max;
		r->count = MIN(r->count + 1, r->max);
	}
	r->begun = true;
	r->since = *now;
	r->since_at = now_at;
}

void series_add(struct series *s, int64_t now_at, const struct series_counts *counts)
{
	(void)pthread_mutex_lock(&s->lock);
	add_point(&s->fine, now_at, counts);
	if (s->step++ % SERIES_PER_LONG == 0)
		add_point(&s->lengthy, now_at, counts);
	(void)pthread_mutex_unlock(&s->lock);
}

static size_t read_ring(struct series *s, const struct ring *r, struct series_point *out)
{
	size_t count;

	(void)pthread_mutex_lock(&s->lock);
	count = r->count;
	for (size_t i = 0; i < count; i++)
		out[i] = r->points[(r->next + r->max - count + i) % r->max];
	(void)pthread_mutex_unlock(&s->lock);
	return count;
}

size_t series_read_fine(struct series *s, struct series_point *out)
{
	return read_ring(s, &s->fine, out);
}

size_t series_read_long(struct series *s, struct series_point *out)
{
	return read_ring(s, &s->lengthy, out);
}

void series_recent(const struct series_point *points, size_t count, int64_t now_at, int64_t for_s,
	enum series_turned_away why, struct series_recent *ret)
{
	*ret = (struct series_recent){.count = 0};
	for (size_t i = 0; i < count; i++) {
		if (points[i].turned_away[why] == 0 || points[i].at < now_at - for_s)
			continue;
		ret->count += points[i].turned_away[why];
		ret->last_at = points[i].at;
		if (ret->first_at == 0)
			ret->first_at = points[i].at;
	}
}
