/*
 * Counts of connections per key, over all processes.
 *
 * A word holds 40 bits of the key's hash and a count of 24; a word that counts nothing is 0 and
 * free, so nothing has to be swept. A key lives in one of two buckets, in the emptier one when it
 * comes. Everything is one compare-and-swap of one word.
 *
 * Two processes may begin the same key at once in two words, so whoever has counted adds up all
 * words of the key, and takes itself back when that is above the limit. The last of them sees all
 * others: never more than the limit get in; of several that race for the last place all may be told
 * no.
 *
 * Around each change the slot of the connection says PENDING. Of a process that died there nobody
 * knows whether it had counted; then the slots of all parts are counted instead (recount), when
 * they rest for the microseconds that this takes.
 *
 * Limits: a count below 2^24; a key that finds both buckets full is not counted.
 */
#include <sched.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "shared/shared_internal.h"

#define COUNT_BITS 24
#define COUNT_MASK (((uint64_t)1 << COUNT_BITS) - 1)
#define KEY_MAX    64
#define RECOUNTS   50
#define NOWHERE    UINT32_MAX

/* Where a key may be. */
struct spot {
	uint64_t tag; /* in its place in the word */
	uint32_t bucket[2];
};

/* What was found there. */
struct look {
	uint64_t sum;
	uint64_t word;  /* of the key, the first one; 0: none */
	uint32_t place; /* of it, or of a free word; NOWHERE: no room */
};

static struct spot spot_of(
	const struct shared *s, enum shared_kind kind, const void *key, size_t len)
{
	uint32_t mask = s->page->sizes.counts / SHARED_BUCKET - 1;
	uint8_t bytes[1 + KEY_MAX];
	struct spot spot;
	uint64_t hash;

	len = MIN(len, (size_t)KEY_MAX);
	bytes[0] = (uint8_t)kind;
	memcpy(bytes + 1, key, len);
	hash = siphash(s->page->key, bytes, 1 + len);
	spot.tag = hash & ~COUNT_MASK;
	if (spot.tag == 0)
		spot.tag = COUNT_MASK + 1;
	/* The bits of the tag that lie lowest, and the others: both independent enough. */
	spot.bucket[0] = (uint32_t)(hash & COUNT_MASK) & mask;
	spot.bucket[1] = (uint32_t)((hash * 0x9E3779B97F4A7C15u) >> 38) & mask;
	return spot;
}

static struct look look_at(const struct shared *s, const struct spot *spot)
{
	struct look look = {.place = NOWHERE};
	uint32_t best_free = 0;

	for (int b = 0; b < 2; b++) {
		uint32_t first_free = NOWHERE, free_count = 0;

		if (b == 1 && spot->bucket[1] == spot->bucket[0])
			break;
		for (uint32_t i = 0; i < SHARED_BUCKET; i++) {
			uint32_t place = spot->bucket[b] * SHARED_BUCKET + i;
			uint64_t word = atomic_load(&s->counts[place]);

			if (word == 0) {
				first_free = first_free == NOWHERE ? place : first_free;
				free_count++;
			} else if ((word & ~COUNT_MASK) == spot->tag) {
				look.sum += word & COUNT_MASK;
				look.place = look.word == 0 ? place : look.place;
				look.word = look.word == 0 ? word : look.word;
			}
		}
		if (look.word == 0 && free_count > best_free) {
			best_free = free_count;
			look.place = first_free;
		}
	}
	return look;
}

/* One less in the word at a place. */
static void count_down(struct shared *s, uint32_t place)
{
	uint64_t word = atomic_load(&s->counts[place]);

	while ((word & COUNT_MASK) != 0 && !atomic_compare_exchange_weak(&s->counts[place], &word,
						   (word & COUNT_MASK) == 1 ? 0 : word - 1))
		;
}

static void give_back(struct shared *s, atomic_uint *noted, uint32_t place)
{
	atomic_store(noted, (place + 1) | SHARED_PENDING);
	count_down(s, place);
	atomic_store(noted, 0);
}

/* Counts one more for the key; *ret_place is where, NOWHERE for no room. False: the limit. `noted`
 * says PENDING at that place afterwards. */
static bool count_up(struct shared *s, const struct spot *spot, atomic_uint *noted, uint32_t limit,
	uint32_t *ret_place)
{
	for (;;) {
		struct look look = look_at(s, spot);
		uint64_t word = look.word;

		if (limit > 0 && look.sum >= limit) {
			atomic_store(noted, 0);
			return false;
		}
		if (look.place == NOWHERE || (word & COUNT_MASK) == COUNT_MASK) {
			(void)atomic_fetch_add(&s->page->overflows, 1);
			atomic_store(noted, 0);
			*ret_place = NOWHERE;
			return true;
		}
		atomic_store(noted, (look.place + 1) | SHARED_PENDING);
		if (!atomic_compare_exchange_strong(
			    &s->counts[look.place], &word, word == 0 ? spot->tag | 1 : word + 1))
			continue;
		*ret_place = look.place;
		if (limit > 0 && look_at(s, spot).sum > limit) {
			give_back(s, noted, look.place);
			return false;
		}
		return true;
	}
}

bool shared_enter(struct shared *s, int part, uint32_t slot, enum shared_kind kind, const void *key,
	size_t len, uint32_t limit)
{
	struct shared_slot *mine = shared_slot_of(s, part, slot);
	atomic_uint *noted = &mine->place[kind];
	uint32_t before = atomic_load(noted), place = NOWHERE;
	struct spot spot = spot_of(s, kind, key, len);
	bool entered;

	if (atomic_load(&s->parts[part].used) <= slot)
		atomic_store(&s->parts[part].used, slot + 1);
	if (before != 0 && (atomic_load(&s->counts[before - 1]) & ~COUNT_MASK) == spot.tag)
		return true;
	/* There is room to note one place only. */
	if (before != 0)
		give_back(s, noted, before - 1);
	entered = count_up(s, &spot, noted, limit, &place);
	if (entered)
		atomic_store(noted, place == NOWHERE ? 0 : place + 1);
	return entered;
}

void shared_leave(struct shared *s, int part, uint32_t slot, enum shared_kind kind)
{
	atomic_uint *noted = &shared_slot_of(s, part, slot)->place[kind];
	uint32_t place = atomic_load(noted);

	if (place != 0)
		give_back(s, noted, place - 1);
}

bool shared_move(struct shared *s, int from, uint32_t from_slot, int to, uint32_t to_slot)
{
	struct shared_slot *source, *target;

	if (from < 0 || (uint32_t)from >= s->page->sizes.parts ||
		from_slot >= s->page->sizes.part_slots || to_slot >= s->page->sizes.part_slots)
		return false;
	source = shared_slot_of(s, from, from_slot);
	target = shared_slot_of(s, to, to_slot);
	if (atomic_load(&s->parts[to].used) <= to_slot)
		atomic_store(&s->parts[to].used, to_slot + 1);
	/* Noted twice for an instant: a death in it counts one too few, not one for ever. */
	for (int kind = 0; kind < SHARED_KINDS; kind++) {
		atomic_store(&target->place[kind], atomic_load(&source->place[kind]));
		atomic_store(&source->place[kind], 0);
	}
	atomic_store(&target->device, atomic_load(&source->device));
	(void)atomic_fetch_add(&s->parts[to].connections, 1);
	(void)atomic_fetch_sub(&s->parts[from].connections, 1);
	return true;
}

uint32_t shared_count(struct shared *s, enum shared_kind kind, const void *key, size_t len)
{
	struct spot spot = spot_of(s, kind, key, len);

	return (uint32_t)look_at(s, &spot).sum;
}

/* ---- after a death ---- */

/* What the slots say of a place. */
struct census {
	uint64_t count;
	uint64_t who; /* other slots make another sum */
};

/* False: a slot is being changed right now. */
static bool take_census(const struct shared *s, uint32_t place, struct census *ret)
{
	*ret = (struct census){0, 0};
	for (uint32_t part = 0; part < s->page->sizes.parts; part++) {
		uint32_t used = MIN(atomic_load(&s->parts[part].used), s->page->sizes.part_slots);

		for (uint32_t slot = 0; slot < used; slot++) {
			const struct shared_slot *at = shared_slot_of(s, (int)part, slot);

			for (int kind = 0; kind < SHARED_KINDS; kind++) {
				uint32_t noted = atomic_load(&at->place[kind]);

				if (noted == ((place + 1) | SHARED_PENDING))
					return false;
				if (noted != place + 1)
					continue;
				ret->count++;
				ret->who += (uint64_t)(at - s->slots + 1) * 0x9E3779B97F4A7C15u;
			}
		}
	}
	return true;
}

/* Sets the word at a place to what the slots say, when they say the same twice and the word did not
 * move. False: it moves all the time. */
static bool recount(struct shared *s, uint32_t place)
{
	for (int i = 0; i < RECOUNTS; i++) {
		uint64_t word = atomic_load(&s->counts[place]), next;
		struct census first, second;

		if ((word & COUNT_MASK) == 0)
			return true;
		if (!take_census(s, place, &first) || !take_census(s, place, &second) ||
			first.who != second.who || first.count != second.count) {
			(void)sched_yield(); /* whoever is changing it may wait for this processor
					      */
			continue;
		}
		next = first.count == 0 ? 0 : (word & ~COUNT_MASK) | (first.count & COUNT_MASK);
		if (atomic_compare_exchange_strong(&s->counts[place], &word, next))
			return true;
	}
	return false;
}

/* Later, when it rests. */
static void doubt(struct shared *s, uint32_t place)
{
	for (int i = 0; i < SHARED_DOUBTS; i++) {
		unsigned none = 0;

		if (atomic_compare_exchange_strong(&s->page->doubts[i], &none, place + 1))
			return;
	}
}

void shared_tend(struct shared *s)
{
	for (int i = 0; i < SHARED_DOUBTS; i++) {
		uint32_t place = 0;

		if (atomic_load_explicit(&s->page->doubts[i], memory_order_relaxed) != 0)
			place = atomic_exchange(&s->page->doubts[i], 0);
		if (place != 0 && !recount(s, place - 1))
			doubt(s, place - 1);
	}
}

void shared_slot_release(struct shared *s, int part, uint32_t slot)
{
	struct shared_slot *at = shared_slot_of(s, part, slot);

	for (int kind = 0; kind < SHARED_KINDS; kind++) {
		uint32_t noted = atomic_exchange(&at->place[kind], 0);
		uint32_t place = (noted & ~SHARED_PENDING) - 1;

		if (noted == 0 || place >= s->page->sizes.counts)
			continue;
		if ((noted & SHARED_PENDING) == 0)
			count_down(s, place);
		else if (!recount(s, place))
			doubt(s, place);
	}
}
