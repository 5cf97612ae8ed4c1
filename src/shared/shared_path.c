/*
 * Evidence about paths. A record has a bucket for each range of silences, and in each bucket how
 * many were survived, how many were cut, and the shortest cut.
 *
 * The limit is in the first bucket at which as many were cut as the terms ask for, at this silence
 * or a shorter one, and enough to outvote those that survived it. It is worked out when a cut is
 * noted and when the counts are halved, and kept in the record, so that asking costs a load.
 *
 * A cut that was found late happened somewhere before, so it counts for one bucket less: the limit
 * goes down in steps until waits survive.
 *
 * What cuts many connections at one moment is no time-out (a mast that fails, a process that is
 * killed): within CUT_PAUSE_S a record takes one cut only.
 *
 * Limits: PROBES records are looked at; counts end at COUNT_MAX, so that new evidence weighs.
 */
#include "shared/shared_path.h"

#include "base/mem.h"
#include "shared/shared_internal.h"

#define PROBES      8
#define COUNT_MAX   40
#define CUT_PAUSE_S 5

#if SHARED_OTHER_LAYOUT
static const uint16_t edges[SHARED_SILENCES] = {
	60, 100, 150, 200, 240, 300, 400, 500, 600, 750, 900, 1200, 1500, 1800, 2700, 3600};
#else
static const uint16_t edges[SHARED_SILENCES] = {60, 75, 90, 120, 150, 180, 210, 240, 270, 300, 360,
	420, 480, 540, 600, 720, 840, 960, 1080, 1260, 1500, 1800, 2400, 3600};
#endif

static uint32_t load(const atomic_uint *a)
{
	return atomic_load_explicit(a, memory_order_relaxed);
}

static void store(atomic_uint *a, uint32_t v)
{
	atomic_store_explicit(a, v, memory_order_relaxed);
}

/* The bucket whose range ends at or after the silence; the last one has no end. */
static int bucket_of(uint32_t silence_s)
{
	int b = 0;

	while (b < SHARED_SILENCES - 1 && silence_s > edges[b])
		b++;
	return b;
}

static void count_one(atomic_ushort *count)
{
	uint16_t was = atomic_load_explicit(count, memory_order_relaxed);

	if (was < COUNT_MAX)
		atomic_store_explicit(count, (uint16_t)(was + 1), memory_order_relaxed);
}

/* ---- finding ---- */

static void set_limit(struct shared *s, struct shared_path *p, uint32_t limit_s)
{
	uint32_t was = atomic_exchange(&p->limit_s, limit_s);

	if ((was == 0) != (limit_s == 0))
		(void)atomic_fetch_add(&s->page->paths_limited, limit_s == 0 ? UINT32_MAX : 1);
}

/* For another path from now on. */
static void take_over(struct shared *s, struct shared_path *p)
{
	set_limit(s, p, 0);
	store(&p->cut_at, 0);
	for (int i = 0; i < SHARED_SILENCES; i++) {
		atomic_store_explicit(&p->lived[i], 0, memory_order_relaxed);
		atomic_store_explicit(&p->cut[i], 0, memory_order_relaxed);
		atomic_store_explicit(&p->shortest_s[i], 0, memory_order_relaxed);
	}
}

uint32_t shared_path_find(struct shared *s, uint64_t key, int64_t now_ms)
{
	uint32_t mask = s->page->sizes.paths - 1, oldest = SHARED_NO_PATH;
	uint32_t now_s = (uint32_t)(now_ms / 1000);
	uint64_t oldest_key = 0;

	key = key == 0 ? 1 : key;
	for (uint32_t i = 0; i < PROBES; i++) {
		uint32_t at = ((uint32_t)key + i) & mask;
		struct shared_path *p = &s->paths[at];
		uint64_t has = atomic_load(&p->key);

		if (has == key) {
			store(&p->used_at, now_s);
			return at;
		}
		/* One that is nobody's, else the one that nobody has asked for the longest. */
		if (oldest == SHARED_NO_PATH ||
			(oldest_key != 0 &&
				(has == 0 ||
					load(&p->used_at) < load(&s->paths[oldest].used_at)))) {
			oldest = at;
			oldest_key = has;
		}
	}
	if (!atomic_compare_exchange_strong(&s->paths[oldest].key, &oldest_key, key))
		return SHARED_NO_PATH; /* somebody was faster: next time */
	take_over(s, &s->paths[oldest]);
	store(&s->paths[oldest].used_at, now_s);
	store(&s->paths[oldest].halved_at, now_s);
	return oldest;
}

/* ---- weighing ---- */

static uint32_t limit_of(const struct shared_path *p, const struct shared_path_terms *terms)
{
	uint32_t cuts = 0, lived = 0;

	for (int i = 0; i < SHARED_SILENCES; i++)
		lived += atomic_load_explicit(&p->lived[i], memory_order_relaxed);
	for (int i = 0; i < SHARED_SILENCES; i++) {
		uint32_t here = atomic_load_explicit(&p->cut[i], memory_order_relaxed);

		cuts += here;
		if (here > 0 && cuts >= terms->evidence && cuts >= (uint64_t)lived * terms->outvote)
			return MAX(atomic_load_explicit(&p->shortest_s[i], memory_order_relaxed),
				terms->min_s);
		/* What was survived in this bucket says nothing of longer silences. */
		lived -= MIN(lived, atomic_load_explicit(&p->lived[i], memory_order_relaxed));
	}
	return 0;
}

static void weigh(struct shared *s, struct shared_path *p, const struct shared_path_terms *terms)
{
	set_limit(s, p, limit_of(p, terms));
}

static void halve(atomic_ushort *count)
{
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) / 2, memory_order_relaxed);
}

/* Time goes over it. */
static void age(struct shared *s, struct shared_path *p, const struct shared_path_terms *terms,
	uint32_t now_s)
{
	uint32_t halved_at = load(&p->halved_at);

	if (now_s - halved_at < terms->memory_s || now_s < halved_at ||
		!atomic_compare_exchange_strong(
			&p->halved_at, &halved_at, halved_at + MAX(terms->memory_s, 1)))
		return;
	for (int i = 0; i < SHARED_SILENCES; i++) {
		halve(&p->lived[i]);
		halve(&p->cut[i]);
	}
	weigh(s, p, terms);
}

static void note_cut(struct shared_path *p, bool late, uint32_t silence_s, uint32_t now_s)
{
	uint32_t cut_at = load(&p->cut_at), shortest_s = silence_s, was;
	int b = bucket_of(silence_s);

	if ((cut_at != 0 && now_s - cut_at < CUT_PAUSE_S) ||
		!atomic_compare_exchange_strong(&p->cut_at, &cut_at, now_s))
		return;
	if (late && b > 0)
		shortest_s = edges[--b];
	was = atomic_load_explicit(&p->shortest_s[b], memory_order_relaxed);
	if (was == 0 || was > shortest_s ||
		atomic_load_explicit(&p->cut[b], memory_order_relaxed) == 0)
		atomic_store_explicit(
			&p->shortest_s[b], (uint16_t)MIN(shortest_s, 65535u), memory_order_relaxed);
	count_one(&p->cut[b]);
}

void shared_path_note(struct shared *s, uint32_t path, enum shared_silence what, uint32_t silence_s,
	const struct shared_path_terms *terms, int64_t now_ms)
{
	uint32_t now_s = (uint32_t)(now_ms / 1000);
	struct shared_path *p;
	int b;

	if (path >= s->page->sizes.paths || silence_s < terms->min_s)
		return;
	p = &s->paths[path];
	age(s, p, terms, now_s);
	if (what != SHARED_LIVED) {
		note_cut(p, what == SHARED_FOUND, silence_s, now_s);
		weigh(s, p, terms);
		return;
	}
	/* The silence reached into the range of b, and survived those below. */
	b = bucket_of(silence_s);
	if (silence_s < edges[b])
		b--;
	if (b >= 0)
		count_one(&p->lived[b]);
}

uint32_t shared_path_limit(
	struct shared *s, uint32_t path, const struct shared_path_terms *terms, int64_t now_ms)
{
	if (path >= s->page->sizes.paths || load(&s->paths[path].limit_s) == 0)
		return 0;
	age(s, &s->paths[path], terms, (uint32_t)(now_ms / 1000));
	return load(&s->paths[path].limit_s);
}

uint32_t shared_paths_limited(const struct shared *s)
{
	return load(&s->page->paths_limited);
}

/* ---- from and to other memory ---- */

_Static_assert(SHARED_SILENCES <= ARRAY_LEN(((struct shared_path_ranges *)NULL)->at), "room");

void shared_path_read(const struct shared_path *p, struct shared_path_ranges *ret)
{
	ret->count = 0;
	for (int i = 0; i < SHARED_SILENCES; i++) {
		struct shared_path_range range = {edges[i],
			atomic_load_explicit(&p->lived[i], memory_order_relaxed),
			atomic_load_explicit(&p->cut[i], memory_order_relaxed),
			atomic_load_explicit(&p->shortest_s[i], memory_order_relaxed)};

		if (range.lived != 0 || range.cut != 0)
			ret->at[ret->count++] = range;
	}
}

static void add_to(atomic_ushort *count, uint16_t more)
{
	unsigned sum = atomic_load_explicit(count, memory_order_relaxed) + more;

	atomic_store_explicit(count, (uint16_t)MIN(sum, (unsigned)COUNT_MAX), memory_order_relaxed);
}

void shared_path_write(
	struct shared *s, uint32_t path, const struct shared_path_ranges *ranges, uint32_t limit_s)
{
	struct shared_path *p = &s->paths[path];

	for (uint16_t i = 0; i < ranges->count; i++) {
		const struct shared_path_range *range = &ranges->at[i];
		int lived_in = bucket_of(range->reached_s), cut_in = bucket_of(range->shortest_s);
		uint16_t shortest_s =
			atomic_load_explicit(&p->shortest_s[cut_in], memory_order_relaxed);

		/* A range counts what got to its end. */
		if (range->reached_s < edges[lived_in])
			lived_in--;
		if (lived_in >= 0)
			add_to(&p->lived[lived_in], range->lived);
		if (range->cut == 0)
			continue;
		add_to(&p->cut[cut_in], range->cut);
		if (shortest_s == 0 || shortest_s > range->shortest_s)
			atomic_store_explicit(
				&p->shortest_s[cut_in], range->shortest_s, memory_order_relaxed);
	}
	set_limit(s, p, limit_s);
}

/* ---- what a slot goes by ---- */

void shared_slot_forget(struct shared *s, int part, uint32_t slot)
{
	store(&shared_slot_of(s, part, slot)->path, 0);
	store(&shared_slot_of(s, part, slot)->device, 0);
}

void shared_slot_set_path(struct shared *s, int part, uint32_t slot, uint32_t path)
{
	store(&shared_slot_of(s, part, slot)->path, path + 1);
}

uint32_t shared_slot_path(const struct shared *s, int part, uint32_t slot)
{
	return load(&shared_slot_of(s, part, slot)->path) - 1;
}

/* A word per device: 32 bits of it, 32 of the network. The next one at the same place replaces it;
 * it has to last only from a request to the end of the watch that it replaces. */
void shared_device_seen(struct shared *s, int part, uint32_t slot, uint64_t device, uint64_t net)
{
	uint32_t name = (uint32_t)(device >> 32);

	store(&shared_slot_of(s, part, slot)->device, name);
	atomic_store_explicit(&s->devices[name & (s->page->sizes.rates - 1)],
		(uint64_t)name << 32 | (uint32_t)net, memory_order_relaxed);
}

bool shared_device_is_in(const struct shared *s, int part, uint32_t slot, uint64_t net)
{
	uint32_t name = load(&shared_slot_of(s, part, slot)->device);

	return atomic_load_explicit(&s->devices[name & (s->page->sizes.rates - 1)],
		       memory_order_relaxed) == ((uint64_t)name << 32 | (uint32_t)net);
}
