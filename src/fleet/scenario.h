#ifndef BELLHOP_FLEET_SCENARIO_H
#define BELLHOP_FLEET_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Which phones a fleet has and what they do: a small text file (docs/FLEETS.md has the grammar).
 * Pure but for scenario_load(). ERR_BAD_INPUT names file, line, what was read and what would be
 * right.
 */
enum scenario_behaviour {
	/* The same heartbeat always. */
	SCENARIO_FIXED,
	/* Windows Mobile: longer step by step until the network cuts, then halving the gap. */
	SCENARIO_WINDOWS_MOBILE,
	/* iOS: one long heartbeat; half of it after a cut, back to the long one when it held. */
	SCENARIO_IOS,
	/* Android: three minutes longer each time up to 17; a connection of its own for each
	 * request. */
	SCENARIO_ANDROID,
};

#define SCENARIO_PATHS_MAX  8
#define SCENARIO_GROUPS_MAX 16
#define SCENARIO_PHONES_MAX 4000000u

struct scenario_path {
	uint32_t idle_s; /* silent connections are forgotten after this long; 0: never */
	uint32_t weight;
};

struct scenario_group {
	char name[32];
	uint32_t share; /* of the fleet, beside the shares of the others */
	unsigned version;
	enum scenario_behaviour behaviour;
	bool held_sync; /* waits with a held Sync instead of Ping */
	uint32_t heartbeat_s, heartbeat_max_s;
	uint32_t folders;
	uint32_t think_min_ms, think_max_ms; /* between an answer and the next request */
	uint32_t move_s;     /* mean time until the phone changes its network; 0: never */
	uint32_t loss_ppm;   /* answers lost on the way, of a million */
	bool path_reset;     /* a path resets what it forgets; else it is silent */
	bool new_connection; /* for each request */
	size_t path_count;
	struct scenario_path paths[SCENARIO_PATHS_MAX];
};

struct scenario {
	uint32_t phones, users;
	uint32_t duration_s;
	uint32_t connect_rate; /* phones that begin, per second */
	uint64_t seed;
	double mail_rate; /* messages per second, each to one user */
	uint32_t mail_bytes;
	uint32_t cut_at_s;     /* everything is cut once, this long after the start; 0: never */
	uint32_t cut_spread_s; /* and comes back within so long */
	size_t group_count;
	struct scenario_group groups[SCENARIO_GROUPS_MAX];
};

/* One group of fixed heartbeats with everybody in it; for the benchmarks. */
void scenario_default(struct scenario *s);
/* name: for errors. */
NODISCARD int scenario_parse(
	const char *text, size_t len, const char *name, struct scenario *ret, struct err *err);
NODISCARD int scenario_load(const char *path, struct scenario *ret, struct err *err);
/* The group of a phone: the same phone always has the same. */
const struct scenario_group *scenario_group_of(const struct scenario *s, uint32_t phone);
/* The idle time-out of a phone's path, 0: none. number: of the network it is in. */
uint32_t scenario_path_of(
	const struct scenario *s, const struct scenario_group *g, uint32_t phone, uint32_t number);
const char *scenario_behaviour_to_str(enum scenario_behaviour behaviour);
/* A number that depends on all three and on nothing else. */
uint64_t scenario_chance(uint64_t seed, uint64_t a, uint64_t b);

#endif
