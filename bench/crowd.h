#ifndef BELLHOP_BENCH_CROWD_H
#define BELLHOP_BENCH_CROWD_H

#include "bench.h"
#include "fleet/fleet.h"

/*
 * Very many users and phones for the benchmarks of waiting, set up in bulk: one phone does it as
 * phones do (FolderSync, Sync of each folder, Ping), against a server that runs for that only; its
 * rows are copied for all others with SQL. So all have the same folders, keys and password, and
 * nobody's first Ping writes anything.
 *
 * Phone p is `BENCH<p>` of user p % users, user<n>@bench.example with the password "secret0".
 */
#define CROWD_FOLDERS_MAX 64u
#define CROWD_PHONES_MAX  2000000u

struct crowd_options {
	unsigned phones, users, folders; /* users 0: 20 phones to each */
	unsigned burst;                  /* phones `BURST<j>` of one more user */
	unsigned heartbeat_s;
	bool held_sync;
	unsigned first_every; /* only every n-th phone of a user watches the Inbox */
};

struct crowd {
	struct bench *bench;
	struct crowd_options options;
	char ids[CROWD_FOLDERS_MAX][72], keys[CROWD_FOLDERS_MAX][72];
	const char *id_list[CROWD_FOLDERS_MAX], *key_list[CROWD_FOLDERS_MAX];
	struct fleet_known known;
	struct scenario scenario, burst_scenario;
};

/* Between bench_init() and bench_start(). */
void crowd_make(struct crowd *c, struct bench *b, const struct crowd_options *options);
/* A fleet of the first `phones` phones, or of the burst's; none begins yet. */
struct fleet *crowd_fleet(struct crowd *c, bool tls, bool marks);
/* The same phones, which talk to a plain HTTP server on another port. */
struct fleet *crowd_fleet_at(struct crowd *c, uint16_t port);
struct fleet *crowd_burst_fleet(struct crowd *c, bool tls);

/* So many phones begin before the server is asked how many wait; those of one user queue up behind
 * each other, and beyond the bound of their queue are answered 503. */
#define CROWD_CHUNK      500u
#define CROWD_CHUNK_USER 20u

/*
 * Phones first .. first + count begin, as fast as the server parks them; returns when it says that
 * all are parked besides the `already` that were. Ends the program when nothing moves for a long
 * time. Returns the seconds it took.
 */
double crowd_fill(struct crowd *c, struct fleet *fleet, const struct fleet_command *how,
	unsigned first, unsigned count, unsigned already, unsigned chunk);
/* Waits until the server has so many parked. what: for the progress line. Seconds. */
double crowd_wait_parked(struct crowd *c, struct fleet *fleet, unsigned wanted, const char *what);
/* Ends the program if phones were dropped, refused or met anything that makes no sense. */
void crowd_check(struct crowd *c, struct fleet *fleet, const char *when);

/* How many the server has parked at once: the most of some looks, for renewals go on. */
unsigned crowd_parked(struct crowd *c);
/* Bytes of Private_Dirty of all processes of the server, with all its files written to disk. */
double crowd_memory(const struct crowd *c);
/* CPU microseconds of the fronts alone. */
double crowd_fronts_cpu_us(const struct crowd *c);
/* Waits by the clock, with a progress line. */
void crowd_pause(struct crowd *c, struct fleet *fleet, double s, const char *what);

#endif
