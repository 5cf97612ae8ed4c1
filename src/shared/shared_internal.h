#ifndef BELLHOP_SHARED_SHARED_INTERNAL_H
#define BELLHOP_SHARED_SHARED_INTERNAL_H

#include <stdatomic.h>

#include "base/spread.h"
#include "shared/shared.h"
#include "shared/shared_path.h"

/*
 * A program that lays the memory out differently, for the tests of upgrades (daemon/meson.build):
 * with 1 it is another release, as far as this room goes.
 */
#ifndef SHARED_OTHER_LAYOUT
#define SHARED_OTHER_LAYOUT 0
#endif

/* The memory itself: this header, then the tables, each beginning on a page. */

#define SHARED_DOUBTS 16
#define SHARED_BUCKET 8 /* words of a bucket: one cache line */

/* What a part counts for one connection: the place of the word in the table of counts, from 1. */
struct shared_slot {
#if SHARED_OTHER_LAYOUT
	atomic_uint_least64_t grown; /* so that nothing lies where it lay */
#endif
	atomic_uint place[SHARED_KINDS];
	atomic_uint path;   /* from 1; 0: none */
	atomic_uint device; /* a piece of its hash */
};

/* The word at this place is being changed: whether it was, is not known to others. */
#define SHARED_PENDING (1u << 31)

struct shared_part {
	atomic_int pid; /* 0: free */
	atomic_uint_least64_t connections;
	atomic_uint used; /* slots that were ever used */
} __attribute__((aligned(64)));

/* Silences are counted by length: the ranges are in shared_path.c. */
#if SHARED_OTHER_LAYOUT
#define SHARED_SILENCES 16
#else
#define SHARED_SILENCES 24
#endif

struct shared_path {
	atomic_uint_least64_t key;              /* 0: nobody's */
	atomic_uint used_at, halved_at, cut_at; /* seconds, monotonic */
	atomic_uint limit_s;                    /* 0: none */
	atomic_ushort lived[SHARED_SILENCES], cut[SHARED_SILENCES], shortest_s[SHARED_SILENCES];
} __attribute__((aligned(64)));

struct shared_counters {
	uint64_t keys[SHARED_COUNTERS]; /* of their names; 0: not kept */
	uint64_t values[SHARED_COUNTERS];
};

struct shared_page {
	uint64_t magic;
	uint32_t layout;
	struct shared_sizes sizes; /* the counts and rates are powers of two */
	uint8_t key[16];
	uint64_t proof; /* random: who knows it maps this very memory */
	/* Offsets of the tables. */
	uint64_t parts_at, slots_at, counts_at, rates_at, devices_at, paths_at, counters_at, bytes;
	__attribute__((aligned(64))) atomic_uint_least64_t connections;
	atomic_uint_least64_t overflows;
	struct spread sent_away;
	atomic_uint paths_limited;
	atomic_uint heartbeat_window, heartbeats_short;
	atomic_uint_least64_t heartbeat_next, heartbeat_sum;
	atomic_ushort heartbeats[SHARED_WINDOW_MAX];
	/* What processes that are gone had counted (shared_counters.c). */
	atomic_uint_least64_t past_keys[SHARED_COUNTERS], past[SHARED_COUNTERS];
	atomic_uint doubts[SHARED_DOUBTS]; /* places of words to be counted anew, from 1; 0: none */
};

struct shared {
	struct shared_page *page;
	struct shared_part *parts;
	struct shared_slot *slots;
	atomic_uint_least64_t *counts, *rates, *devices;
	struct shared_path *paths;
	struct shared_counters *counters;
};

static inline struct shared_slot *shared_slot_of(const struct shared *s, int part, uint32_t slot)
{
	return &s->slots[(size_t)part * s->page->sizes.part_slots + slot];
}

/* shared_count.c: all that a slot counts is given back, by its process or after its death. */
void shared_slot_release(struct shared *s, int part, uint32_t slot);
/* shared_path.c: what a record says, and a fresh one made to say it. */
struct shared_path_range {
	uint16_t reached_s; /* survived silences reached it */
	uint16_t lived, cut;
	uint16_t shortest_s; /* of those cut */
};
struct shared_path_ranges {
	uint16_t count;
	struct shared_path_range at[64];
};
void shared_path_read(const struct shared_path *p, struct shared_path_ranges *ret);
void shared_path_write(
	struct shared *s, uint32_t path, const struct shared_path_ranges *ranges, uint32_t limit_s);
/* shared_heartbeat.c: one that was noted in other memory. */
void shared_heartbeat_take(struct shared *s, uint32_t heartbeat_s, uint32_t window);
/* shared_counters.c: the same of what it has counted. */
void shared_counters_release(struct shared *s, int part);

#endif
