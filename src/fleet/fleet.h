#ifndef BELLHOP_FLEET_FLEET_H
#define BELLHOP_FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "fleet/scenario.h"
#include "fleet/tally.h"

/*
 * A fleet of simulated phones against one ActiveSync server: worker processes of one thread each,
 * one for every worker_phones phones, and the coordinator, which is the caller. Workers tell what
 * they do in shared memory; the coordinator gives them orders.
 *
 * Phone i belongs to user i % users and has the device id `<device_prefix><i>`. Its behaviour is
 * that of its group in the scenario.
 *
 * One thread. Functions block only where they say so. Workers die with the coordinator.
 */
struct fleet;

/* What its phones say they are. */
#define FLEET_USER_AGENT  "bellhop-bench"
#define FLEET_DEVICE_TYPE "BellhopBench"

/* What phones are given that need not set themselves up: collections that exist and were synced. */
struct fleet_known {
	size_t count;
	const char *const *ids, *const *sync_keys; /* sync_keys: NULL when nobody is to sync */
	uint32_t policy_key;
	/* Only every n-th phone watches the first collection, the others all but it; 0 and 1: all
	 * do. */
	uint32_t first_every;
};

/* What became of a phone's waits; one for each, in shared memory, when wanted. */
struct fleet_mark {
	uint64_t woken_us; /* clock of fleet_now_us(): when the last news were here */
	uint32_t wakes;    /* waits that ended with news */
	uint32_t waits;    /* waits begun */
};

struct fleet_options {
	const char *url; /* http or https; without a path: /Microsoft-Server-ActiveSync */
	const char *user, *password; /* "%u" in them becomes the number of the user */
	const char *device_prefix;
	const struct scenario *scenario; /* must outlive the fleet */
	const struct fleet_known *known; /* NULL: phones provision, list and sync first */
	uint32_t worker_phones;          /* 0: as many as descriptors allow, 19,000 at most */
	bool marks;
	bool spread;            /* source addresses 127.x.y.z, 6,000 connections each */
	bool tls_12;            /* nothing newer */
	const char *tls_suites; /* TLS 1.3 suites, OpenSSL's names; NULL: AES-256-GCM first */
};

enum fleet_order {
	FLEET_START,  /* phones first .. first + count begin, `rate` a second over all workers */
	FLEET_CUT,    /* all connections are cut (reset); phones stay out until FLEET_RETURN */
	FLEET_CLOSE,  /* the same, closed in order */
	FLEET_RETURN, /* they come back, spread over spread_ms */
	FLEET_SET,    /* only sets what is below */
};

/* What phones do when a wait ended with news. */
enum fleet_on_news { FLEET_SYNC, FLEET_PING_AGAIN, FLEET_STAY_OUT };

struct fleet_command {
	enum fleet_order order;
	uint32_t first, count; /* START, CUT, CLOSE, RETURN; count 0: all */
	uint32_t rate;         /* START: per second */
	uint32_t spread_ms;    /* RETURN */
	enum fleet_on_news on_news;
	bool stay_out_expired; /* a wait whose heartbeat ended is not renewed */
	uint32_t heartbeat_s;  /* all groups wait so long from now on; 0: as the scenario says */
	/* Workers poll and never sleep: a whole core for each, and no server pays for waking its
	 * phones, which no server does that has a network between. */
	bool awake;
};

/* Starts the workers; no phone does anything yet. */
NODISCARD int fleet_open(const struct fleet_options *options, struct fleet **ret, struct err *err);
/* Ends the workers: connections are reset. Blocks until they are gone. */
void fleet_close(struct fleet **fleet);

void fleet_give(struct fleet *fleet, const struct fleet_command *command);
/* The sums of all workers. Large: give it static or heap storage. */
void fleet_read(struct fleet *fleet, struct tally *ret);
/* False: a worker died; *err says which, and how. */
NODISCARD int fleet_alive(struct fleet *fleet, struct err *err);
const struct fleet_mark *fleet_marks(const struct fleet *fleet);

/* News for a user are on their way since then; 0: none. Phones that are woken take their time from
 * it. */
void fleet_news(struct fleet *fleet, uint32_t user, uint64_t at_us);
/* The wall clock in microseconds, which the kernel stamps arriving bytes with. */
uint64_t fleet_now_us(void);

#endif
