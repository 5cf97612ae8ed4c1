/*
 * Rates: a leaky bucket per key in one word, 32 bits of the key's hash and the time at which the
 * bucket will have run empty. A word whose time has passed holds nothing and may be taken by
 * anybody, so the table cleans itself.
 *
 * Times are sixteenths of a millisecond, in 32 bits: three days around now.
 *
 * Limits: a bucket of keys that are all busy has no room for one more, which is let through.
 */
#include "base/mem.h"
#include "shared/shared_internal.h"

#define TICKS_PER_MS 16
#define TICKS_PER_S  (1000 * TICKS_PER_MS)
#define BACK_PER_S   1000                /* phones that were sent away may come back at this rate */
#define AHEAD_MAX    ((uint64_t)1 << 30) /* nothing is ever further ahead */

/* How far the time in a word lies ahead; 0: passed, also when it is further away than any can be: a
 * time of days ago looks like one to come. */
static uint64_t ahead(uint64_t word, uint32_t now, uint64_t room)
{
	uint32_t left = (uint32_t)word - now;

	return word == 0 || left > room ? 0 : left;
}

/* The key's word, else one that holds nothing; NULL: all are busy. */
static atomic_uint_least64_t *find(struct shared *s, uint64_t tag, uint32_t bucket, uint32_t now,
	uint64_t room, uint64_t *ret_word)
{
	atomic_uint_least64_t *words = s->rates + (size_t)bucket * SHARED_BUCKET, *free_ = NULL;

	for (int i = 0; i < SHARED_BUCKET; i++) {
		uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);

		if (word >> 32 == tag) {
			*ret_word = word;
			return &words[i];
		}
		if (free_ == NULL && ahead(word, now, room) == 0) {
			*ret_word = word;
			free_ = &words[i];
		}
	}
	return free_;
}

uint32_t shared_retry_s(struct shared *s, int64_t now_ms)
{
	return spread_next_s(&s->page->sent_away, BACK_PER_S, now_ms);
}

bool shared_rate_try(struct shared *s, uint64_t key, uint32_t per_s, uint32_t burst, int64_t now_ms,
	uint32_t *ret_wait_s)
{
	uint32_t mask = s->page->sizes.rates / SHARED_BUCKET - 1, now;
	uint64_t tag = key >> 32, interval, room, word = 0;

	if (per_s == 0)
		return true;
	now = (uint32_t)((uint64_t)now_ms * TICKS_PER_MS);
	interval = MAX(TICKS_PER_S / per_s, 1);
	room = MIN(interval * MAX(burst, 1), AHEAD_MAX);
	tag = tag == 0 ? 1 : tag;
	for (;;) {
		atomic_uint_least64_t *at = find(s, tag, (uint32_t)key & mask, now, room, &word);
		uint64_t next;

		if (at == NULL) {
			(void)atomic_fetch_add(&s->page->overflows, 1);
			return true;
		}
		next = (word >> 32 == tag ? ahead(word, now, room) : 0) + interval;
		if (next > room) {
			*ret_wait_s = (uint32_t)((next - room + TICKS_PER_S - 1) / TICKS_PER_S);
			return false;
		}
		if (atomic_compare_exchange_weak(at, &word, tag << 32 | (uint32_t)(now + next)))
			return true;
	}
}
