#ifndef BELLHOP_BASE_WHEEL_H
#define BELLHOP_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A one-level timer wheel for very many deadlines: WHEEL_SLOTS slots of one second. Entries are
 * named by an index of the owner (a slab slot); the owner stores the 12 bytes of links. Setting and
 * clearing cost the same whatever the number of entries. A deadline fires in the second that
 * follows it; never early, but one further away than WHEEL_SLOTS - 1 seconds fires then: its owner
 * looks at its own deadline and sets it again.
 *
 * One thread.
 */
struct wheel;

#define WHEEL_SLOTS 4096

struct wheel_link {
	uint32_t prev, next;
	uint16_t slot;
	uint16_t armed; /* 0: in no slot; a zeroed link is a clear one */
};

/* Gives the link of an entry. */
typedef struct wheel_link *(*wheel_link_fn)(void *owner, uint32_t index);

struct wheel *wheel_new(int64_t now_ms, wheel_link_fn link, void *owner);
void wheel_free(struct wheel **w);

/* Sets, or moves, the deadline of an entry. now_ms: an empty wheel is not run, so it must be told.
 */
void wheel_set(struct wheel *w, uint32_t index, int64_t now_ms, int64_t deadline_ms);
/* Harmless when it is not set. */
void wheel_clear(struct wheel *w, uint32_t index);

/*
 * Calls fn for each entry whose second has passed; the entry is cleared before. fn may set and
 * clear any entry, and free its own or others after clearing them.
 */
void wheel_run(struct wheel *w, int64_t now_ms, void (*fn)(void *owner, uint32_t index));
/* When wheel_run() has to be called next: the next full second; -1: nothing is set. */
int64_t wheel_next_ms(const struct wheel *w);

#endif
