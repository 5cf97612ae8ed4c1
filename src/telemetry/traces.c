/*
 * Raw requests in a fixed piece of memory. It is cut into blocks; a trace is a chain of blocks, of
 * which the first begins with struct head. The heads of a part are in one list by age, and those
 * whose devices have the same hash are in a chain, newest first.
 *
 * Invariants, under the part's lock: a block is free or in exactly one trace; `used` traces are in
 * the list. Memory is touched when it is made, so that it does not grow with the number of phones.
 * Limits: traces_limits.
 */
#include "telemetry/traces.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

#define PARTS       8
#define BUCKETS     1024
#define BLOCK_BYTES 256
#define NONE        UINT32_MAX

struct head {
	struct trace trace; /* its pointers mean nothing here */
	uint32_t older, newer;
	uint32_t same_hash; /* the next older one */
};

struct block {
	uint32_t next;
	uint8_t bytes[BLOCK_BYTES - sizeof(uint32_t)];
} __attribute__((aligned(8)));

/* The head stands in its block behind the link, where it is aligned. */
#define HEAD_AT    8
#define FIRST_ROOM (BLOCK_BYTES - HEAD_AT - sizeof(struct head))
#define ROOM       sizeof(((struct block *)0)->bytes)

_Static_assert(HEAD_AT + sizeof(struct head) < BLOCK_BYTES, "the head of a trace fits a block");

struct part {
	pthread_mutex_t lock; /* all below */
	struct block *blocks;
	uint32_t count, free;
	uint32_t oldest, newest;
	uint32_t buckets[BUCKETS];
};

struct traces {
	struct traces_limits limits;
	_Atomic uint64_t next_number;
	struct part parts[PARTS];
};

static struct head *head_of(struct part *p, uint32_t at)
{
	return (struct head *)(void *)((uint8_t *)&p->blocks[at] + HEAD_AT);
}

static void part_init(struct part *p, uint64_t bytes)
{
	(void)pthread_mutex_init(&p->lock, NULL);
	p->count = (uint32_t)MIN(bytes / BLOCK_BYTES, (uint64_t)NONE - 1);
	p->blocks = x_calloc(MAX(p->count, 1), sizeof(*p->blocks));
	p->oldest = p->newest = NONE;
	p->free = p->count > 0 ? 0 : NONE;
	for (uint32_t i = 0; i < p->count; i++)
		p->blocks[i].next = i + 1 < p->count ? i + 1 : NONE;
	for (size_t i = 0; i < BUCKETS; i++)
		p->buckets[i] = NONE;
}

struct traces *traces_new(const struct traces_limits *limits)
{
	struct traces *t = x_new(struct traces);

	t->limits = *limits;
	atomic_init(&t->next_number, 1);
	for (size_t i = 0; i < PARTS; i++)
		part_init(&t->parts[i], limits->total_bytes / PARTS);
	return t;
}

void traces_free(struct traces **traces)
{
	if (*traces == NULL)
		return;
	for (size_t i = 0; i < PARTS; i++) {
		(void)pthread_mutex_destroy(&(*traces)->parts[i].lock);
		mem_free((*traces)->parts[i].blocks);
	}
	mem_free(*traces);
	*traces = NULL;
}

static uint64_t mix(uint64_t device)
{
	return device * 0x9e3779b97f4a7c15u;
}

static struct part *part_of(struct traces *t, uint64_t device)
{
	return &t->parts[mix(device) >> 61];
}

static uint32_t *bucket_of(struct part *p, uint64_t device)
{
	return &p->buckets[mix(device) >> 32 & (BUCKETS - 1)];
}

/* ---- taking away ---- */

static void drop(struct part *p, uint32_t at)
{
	struct head *h = head_of(p, at);
	uint32_t *link = bucket_of(p, h->trace.device);

	while (*link != at)
		link = &head_of(p, *link)->same_hash;
	*link = h->same_hash;
	if (h->older != NONE)
		head_of(p, h->older)->newer = h->newer;
	else
		p->oldest = h->newer;
	if (h->newer != NONE)
		head_of(p, h->newer)->older = h->older;
	else
		p->newest = h->older;
	while (at != NONE) {
		uint32_t next = p->blocks[at].next;

		p->blocks[at].next = p->free;
		p->free = at;
		at = next;
	}
}

/* The device has its share: the oldest of it goes. */
static void make_share(struct part *p, uint64_t device, uint32_t max)
{
	uint32_t last = NONE, count = 0;

	for (uint32_t at = *bucket_of(p, device); at != NONE; at = head_of(p, at)->same_hash) {
		if (head_of(p, at)->trace.device != device)
			continue;
		last = at;
		count++;
	}
	if (count >= max && last != NONE)
		drop(p, last);
}

/* A free block; the oldest traces make room. NONE: there is no memory at all. */
static uint32_t take_block(struct part *p)
{
	uint32_t at;

	if (p->free == NONE && p->oldest != NONE)
		drop(p, p->oldest);
	at = p->free;
	if (at != NONE) {
		p->free = p->blocks[at].next;
		p->blocks[at].next = NONE;
	}
	return at;
}

/* ---- putting in ---- */

/* Where the next byte of a trace goes. */
struct place {
	uint32_t block;
	uint8_t *at;
	size_t room;
};

/* False: no block is left but those of this trace. */
static bool put(struct part *p, struct place *place, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = MIN(len, place->room);

		memcpy(place->at, bytes, n);
		place->at += n;
		place->room -= n;
		bytes += n;
		len -= n;
		if (len > 0) {
			uint32_t next = take_block(p);

			if (next == NONE)
				return false;
			p->blocks[place->block].next = next;
			*place = (struct place){next, p->blocks[next].bytes, ROOM};
		}
	}
	return true;
}

static void free_chain(struct part *p, uint32_t at)
{
	while (at != NONE) {
		uint32_t next = p->blocks[at].next;

		p->blocks[at].next = p->free;
		p->free = at;
		at = next;
	}
}

static void link_in(struct part *p, uint32_t at)
{
	struct head *h = head_of(p, at);
	uint32_t *bucket = bucket_of(p, h->trace.device);

	h->same_hash = *bucket;
	*bucket = at;
	h->newer = NONE;
	h->older = p->newest;
	if (p->newest != NONE)
		head_of(p, p->newest)->newer = at;
	else
		p->oldest = at;
	p->newest = at;
}

static void add_locked(struct part *p, const struct trace *kept)
{
	uint32_t first = take_block(p);
	struct place place;
	struct head *h;

	if (first == NONE)
		return;
	h = head_of(p, first);
	*h = (struct head){.trace = *kept};
	place = (struct place){first, (uint8_t *)h + sizeof(*h), FIRST_ROOM};
	if (put(p, &place, kept->request, kept->request_kept) &&
		put(p, &place, kept->answer, kept->answer_kept))
		link_in(p, first);
	else
		free_chain(p, first);
}

static uint32_t kept_of(const struct traces *t, const uint8_t *bytes, uint32_t len)
{
	return bytes != NULL ? MIN(len, t->limits.message_bytes) : 0;
}

void traces_add(struct traces *t, const struct trace *trace)
{
	struct part *p = part_of(t, trace->device);
	struct trace kept = *trace;

	if (p->count == 0 || t->limits.per_device == 0)
		return;
	kept.request_kept = kept_of(t, trace->request, trace->request_len);
	kept.answer_kept = kept_of(t, trace->answer, trace->answer_len);
	(void)pthread_mutex_lock(&p->lock);
	kept.number = atomic_fetch_add_explicit(&t->next_number, 1, memory_order_relaxed);
	make_share(p, trace->device, t->limits.per_device);
	add_locked(p, &kept);
	(void)pthread_mutex_unlock(&p->lock);
}

/* ---- reading ---- */

static void copy_out(struct part *p, uint32_t at, struct arena *arena, struct trace *ret)
{
	const struct head *h = head_of(p, at);
	size_t left = (size_t)h->trace.request_kept + h->trace.answer_kept;
	uint8_t *bytes = arena_x_alloc(arena, left + 1), *to = bytes;
	const uint8_t *from = (const uint8_t *)h + sizeof(*h);
	size_t room = FIRST_ROOM;

	*ret = h->trace;
	ret->request = bytes;
	ret->answer = bytes + h->trace.request_kept;
	while (left > 0) {
		size_t n = MIN(left, room);

		memcpy(to, from, n);
		to += n;
		left -= n;
		at = p->blocks[at].next;
		if (left > 0) {
			from = p->blocks[at].bytes;
			room = ROOM;
		}
	}
}

void traces_read(struct traces *t, uint64_t device, uint64_t after, struct arena *arena,
	struct trace **ret, size_t *ret_count)
{
	struct part *p = part_of(t, device);
	struct trace *out = arena_x_alloc(arena, (t->limits.per_device + 1) * sizeof(*out));
	size_t count = 0;

	(void)pthread_mutex_lock(&p->lock);
	for (uint32_t at = *bucket_of(p, device); at != NONE && count < t->limits.per_device;
		at = head_of(p, at)->same_hash) {
		const struct trace *trace = &head_of(p, at)->trace;

		if (trace->device == device && trace->number > after)
			copy_out(p, at, arena, &out[count++]);
	}
	(void)pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < count / 2; i++) {
		struct trace swap = out[i];

		out[i] = out[count - 1 - i];
		out[count - 1 - i] = swap;
	}
	*ret = out;
	*ret_count = count;
}
