#ifndef BELLHOP_SHARED_SHARED_H
#define BELLHOP_SHARED_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * What all fronts must know together, in one piece of memory that they all map: how many
 * connections an address and a user have, how fast a device sends. The supervisor makes it (an
 * anonymous file) and hands it to each front; it lives as long as the supervisor. Everything in it
 * is an atomic; nobody ever waits for anybody, so a process may be killed at any instruction.
 *
 * Fixed in size. What finds no room is not counted, never refused (shared_overflows()).
 *
 * Each front notes in a part of its own what it counts where, by the slot of the connection. So
 * whoever buries a front can give its share back to the last connection.
 *
 * Threads: any process, any thread, but one part and one slot of it belong to one thread.
 */
struct shared;

struct shared_sizes {
	uint32_t parts;      /* processes that count at once */
	uint32_t part_slots; /* connections of each */
	uint32_t counts;     /* addresses and users counted at once; rounded up */
	uint32_t rates;      /* devices measured at once; rounded up */
	uint32_t paths;      /* networks and listeners of which something is known; rounded up */
};

/* ---- making and mapping ---- */

/* An empty one; *ret_fd is close-on-exec. */
NODISCARD int shared_create(const struct shared_sizes *sizes, int *ret_fd, struct err *err);
/* Maps it; fd stays the caller's. ERR_CONFLICT: made by a version with another layout.
 * ERR_BAD_INPUT: it is none. */
NODISCARD int shared_open(int fd, struct shared **ret, struct err *err);
/* Unmaps; parts that were taken stay taken. */
void shared_close(struct shared **s);
/* Slots that each part has. */
uint32_t shared_part_slots(const struct shared *s);
/* Times that something found no room and was not counted. */
uint64_t shared_overflows(const struct shared *s);

/* ---- parts ---- */

/* A free part for this process; -1: none is left. */
int shared_part_take(struct shared *s, pid_t pid);
/* Gives back all that the part still counts, and the part. By its process, or by whoever knows that
 * it is dead. */
void shared_part_release(struct shared *s, int part);
/* All parts of a process that died. */
void shared_bury(struct shared *s, pid_t pid);
/* Now and then, by anybody: counts anew what a death left in doubt and nobody could count yet. */
void shared_tend(struct shared *s);

/* ---- connections ---- */

/* One connection more of all fronts together; false: limit are there. limit 0: none. */
bool shared_connect(struct shared *s, int part, uint64_t limit);
void shared_disconnect(struct shared *s, int part);
uint64_t shared_connections(const struct shared *s);
/* An upgrade: the connection that `from` counted in this slot, its keys too, is counted by `to` in
 * that one. The slot of `from` rests meanwhile. False: there is no such part or slot. */
bool shared_move(struct shared *s, int from, uint32_t from_slot, int to, uint32_t to_slot);

enum shared_kind { SHARED_ADDRESS = 0, SHARED_USER = 1, SHARED_KINDS };

/*
 * Counts the connection in this slot for a key; what it counted before for this kind is given back.
 * False: limit are counted already; then it counts for nothing of this kind. limit 0: none. Exact
 * over all processes: never more than limit are let in.
 */
NODISCARD bool shared_enter(struct shared *s, int part, uint32_t slot, enum shared_kind kind,
	const void *key, size_t len, uint32_t limit);
/* Harmless when it counts for nothing. */
void shared_leave(struct shared *s, int part, uint32_t slot, enum shared_kind kind);
uint32_t shared_count(struct shared *s, enum shared_kind kind, const void *key, size_t len);

/* A number for a key that nobody outside can foresee; the same in all processes. */
uint64_t shared_hash(const struct shared *s, const void *bytes, size_t len);

/* A number that only who maps this very memory knows. */
uint64_t shared_proof(const struct shared *s);

/* ---- counters ---- */

#define SHARED_COUNTERS 128

/*
 * Numbers of this part, all 0, that its process raises with plain stores. What they count under a
 * name is not lost with the process: shared_counters_inherit(). names[i] NULL: of no use later.
 */
uint64_t *shared_counters(struct shared *s, int part, const char *const *names, size_t count);
/* Adds to values what processes that are gone had counted under these names; nobody else gets it
 * again. */
void shared_counters_inherit(
	struct shared *s, const char *const *names, size_t count, uint64_t *values);

/* For memory of another layout: what this part has counted, and what lies here of processes that
 * are gone, is taken out, under the keys of its names. Returns how many. */
struct shared_counted {
	uint64_t key, value;
};
size_t shared_counters_take(
	struct shared *s, int part, struct shared_counted out[2 * SHARED_COUNTERS]);
/* As if a process that is gone had counted it here. */
void shared_counters_give(struct shared *s, const struct shared_counted *in, size_t count);

/* ---- rates ---- */

/* For a phone that is sent away: seconds until it may come back, all fronts considered
 * (base/spread.h). */
uint32_t shared_retry_s(struct shared *s, int64_t now_ms);

/*
 * May one more come from this key, which may send per_s a second and burst at once? False: no;
 * *ret_wait_s is when it may. per_s 0: always. key: a shared_hash().
 */
bool shared_rate_try(struct shared *s, uint64_t key, uint32_t per_s, uint32_t burst, int64_t now_ms,
	uint32_t *ret_wait_s);

#endif
