/*
 * Failure counters over a sliding window: the failures of this window, plus those of the one before
 * it, weighted by how much of it the sliding window still covers.
 *
 * Threads: one lock, held for a look at eight counters. Limits: SETS * WAYS counters, however many
 * keys there are.
 */
#include "auth/auth_internal.h"

#include <pthread.h>

#include "base/mem.h"

#define SETS 4096u
#define WAYS 8u

struct counter {
	uint64_t key;
	uint64_t window; /* number of the window that `now` counts */
	uint32_t now, before;
	bool told;
};

struct auth_throttle {
	pthread_mutex_t lock;
	struct counter counters[SETS * WAYS];
};

struct auth_throttle *auth_throttle_new(void)
{
	struct auth_throttle *throttle = x_new(struct auth_throttle);

	(void)pthread_mutex_init(&throttle->lock, NULL);
	return throttle;
}

void auth_throttle_free(struct auth_throttle **throttle)
{
	if (*throttle == NULL)
		return;
	(void)pthread_mutex_destroy(&(*throttle)->lock);
	mem_free(*throttle);
	*throttle = NULL;
}

/* Moves a counter to the window that is now. */
static void roll(struct counter *c, uint64_t window)
{
	if (c->window == window)
		return;
	c->before = c->window + 1 == window ? c->now : 0;
	c->now = 0;
	c->told = false;
	c->window = window;
}

static uint32_t estimate(const struct counter *c, int64_t now_ms, int64_t window_ms)
{
	int64_t left_ms = window_ms - now_ms % window_ms;

	return c->now + (uint32_t)((int64_t)c->before * left_ms / window_ms);
}

/* The key's counter, rolled to now; NULL when there is none and `make` is false. */
static struct counter *find_counter(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, int64_t window_ms, bool make)
{
	struct counter *set = &throttle->counters[key % SETS * WAYS], *least = NULL;
	uint64_t window = (uint64_t)(now_ms / window_ms);

	for (size_t i = 0; i < WAYS; i++) {
		roll(&set[i], window);
		if (set[i].key == key)
			return &set[i];
		if (least == NULL ||
			estimate(&set[i], now_ms, window_ms) < estimate(least, now_ms, window_ms))
			least = &set[i];
	}
	if (!make)
		return NULL;
	*least = (struct counter){.key = key, .window = window};
	return least;
}

static int64_t window_of(uint32_t window_s)
{
	return (int64_t)MAX(window_s, 1u) * 1000;
}

uint32_t auth_throttle_count(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s)
{
	const struct counter *c;
	uint32_t n;

	(void)pthread_mutex_lock(&throttle->lock);
	c = find_counter(throttle, key, now_ms, window_of(window_s), false);
	n = c == NULL ? 0 : estimate(c, now_ms, window_of(window_s));
	(void)pthread_mutex_unlock(&throttle->lock);
	return n;
}

uint32_t auth_throttle_add(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s)
{
	struct counter *c;
	uint32_t n;

	(void)pthread_mutex_lock(&throttle->lock);
	c = find_counter(throttle, key, now_ms, window_of(window_s), true);
	n = estimate(c, now_ms, window_of(window_s));
	c->now += c->now < UINT32_MAX / 2;
	(void)pthread_mutex_unlock(&throttle->lock);
	return n;
}

bool auth_throttle_tell(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s)
{
	struct counter *c;
	bool first;

	(void)pthread_mutex_lock(&throttle->lock);
	c = find_counter(throttle, key, now_ms, window_of(window_s), false);
	first = c != NULL && !c->told;
	if (c != NULL)
		c->told = true;
	(void)pthread_mutex_unlock(&throttle->lock);
	return first;
}
