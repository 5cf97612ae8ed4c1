#ifndef BELLHOP_SHARED_SHARED_PATH_H
#define BELLHOP_SHARED_SHARED_PATH_H

#include "shared/shared.h"

/*
 * What the fronts have seen of the paths to the phones: how long a connection may be silent before
 * something on the way (NAT, firewall, proxy) forgets it. One record per path, a network or a
 * listener, named by a shared_hash(); the one that was not used for longest makes room.
 *
 * A record counts, by length, silences that connections survived and silences at which they were
 * found cut. A limit follows from it when enough were cut and most of those that were silent for as
 * long. The counts are halved again and again, so that what is long over is forgotten.
 *
 * Any process, any thread; races cost a count.
 */

/* No record. */
#define SHARED_NO_PATH UINT32_MAX

enum shared_silence {
	SHARED_LIVED, /* bytes came after it */
	SHARED_CUT,   /* cut just then */
	SHARED_FOUND, /* cut some time before: it was found only then */
};

struct shared_path_terms {
	uint32_t evidence; /* cuts that make a limit */
	uint32_t outvote;  /* and so many for each silence as long that was survived */
	uint32_t min_s;    /* shorter silences say nothing, and no limit is lower */
	uint32_t memory_s; /* counts are halved after so long */
};

/* The record, made when there is none. */
uint32_t shared_path_find(struct shared *s, uint64_t key, int64_t now_ms);
void shared_path_note(struct shared *s, uint32_t path, enum shared_silence what, uint32_t silence_s,
	const struct shared_path_terms *terms, int64_t now_ms);
/* Silences from this length on are cut; 0: none are, as far as is known. */
uint32_t shared_path_limit(
	struct shared *s, uint32_t path, const struct shared_path_terms *terms, int64_t now_ms);
/* Records that have one. */
uint32_t shared_paths_limited(const struct shared *s);

/* Another connection has the slot. */
void shared_slot_forget(struct shared *s, int part, uint32_t slot);
/* The record that a connection goes by, for as long as it lives; SHARED_NO_PATH: none yet. */
void shared_slot_set_path(struct shared *s, int part, uint32_t slot, uint32_t path);
uint32_t shared_slot_path(const struct shared *s, int part, uint32_t slot);

/* ---- where devices are ---- */

/* A request of a device came from a network (a shared_hash()); over the connection in this slot. */
void shared_device_seen(struct shared *s, int part, uint32_t slot, uint64_t device, uint64_t net);
/* Was the last request of the device of this slot from this network? False also when it is not
 * known any more. */
bool shared_device_is_in(const struct shared *s, int part, uint32_t slot, uint64_t net);

/* ---- heartbeats ---- */

#define SHARED_WINDOW_MAX 10000

enum shared_heartbeat { SHARED_HEARTBEAT_SAME, SHARED_HEARTBEAT_SHORT, SHARED_HEARTBEAT_WELL };

/* One more heartbeat was begun. Says when the average of the last `window` has come to lie below
 * threshold_s, or well above it again; each is said to one caller only. */
enum shared_heartbeat shared_heartbeat_note(
	struct shared *s, uint32_t heartbeat_s, uint32_t window, uint32_t threshold_s);
/* Of the last `window`: how many, their sum, and whether they are short. */
struct shared_heartbeats {
	uint32_t count;
	uint64_t sum_s;
	bool are_short;
};
struct shared_heartbeats shared_heartbeats_of(const struct shared *s);

#endif
