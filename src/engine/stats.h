#ifndef BELLHOP_ENGINE_STATS_H
#define BELLHOP_ENGINE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/ipc.h"

/*
 * What the fronts count, summed by name. Somebody who asks (the administrator) waits until each
 * front has told its newest numbers.
 */
struct engine;
struct front;
struct stats;

struct stats_counter {
	char name[32];
	uint64_t value;
};

struct stats *stats_new(struct engine *e);
void stats_free(struct stats **stats);

/* Any thread but the loop's. Blocks until all fronts have answered, for a second at most. Returns
 * how many were filled. */
size_t stats_read(struct stats *stats, struct stats_counter *out, size_t max);

/* What they told last by themselves, some seconds ago at most. Any thread. */
size_t stats_known(struct stats *stats, struct stats_counter *out, size_t max);

/* Loop thread: a front told its numbers; a front is gone. */
void stats_on_frame(struct stats *stats, struct front *front, const struct ipc_stats *frame);
void stats_on_front_lost(struct stats *stats);
/* Loop thread: there are fronts, and what all of them told is in the sums. */
bool stats_told_by_all(struct stats *stats);

#endif
