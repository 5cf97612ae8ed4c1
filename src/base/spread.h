#ifndef BELLHOP_BASE_SPREAD_H
#define BELLHOP_BASE_SPREAD_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * When those that are sent away come back (Retry-After): spread over time, and the more are sent
 * away the longer, so that they come at a rate that can be borne and nobody is sent away twice.
 *
 * Only atomics: any thread, and memory that processes share. Zeroed is ready.
 */
struct spread {
	atomic_int_least64_t window; /* number of the present one */
	atomic_uint present, before; /* sent away in it, and in the one before */
};

#define SPREAD_MIN_S 5
#define SPREAD_MAX_S 300

/* One more is sent away; seconds after which it may come back. per_s: how many a second may. */
uint32_t spread_next_s(struct spread *s, uint32_t per_s, int64_t now_ms);

#endif
