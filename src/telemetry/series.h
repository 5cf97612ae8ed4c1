#ifndef BELLHOP_TELEMETRY_SERIES_H
#define BELLHOP_TELEMETRY_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "telemetry/histogram.h"

/*
 * What the overview draws: one hour in steps of 10 s, one day in steps of a minute. Fixed in size,
 * in memory only. One thread adds, any may read.
 */
#define SERIES_STEP_S   10
#define SERIES_FINE     360
#define SERIES_PER_LONG 6
#define SERIES_LONG     1440

/* Who was turned away, and why. */
enum series_turned_away {
	SERIES_FULL,    /* connections, by server.max_connections */
	SERIES_ADDRESS, /* connections, by http.connections_per_address */
	SERIES_BUSY,    /* requests, for lack of workers */
	SERIES_TURNED_AWAY,
};

struct series;

/* What somebody has counted so far; all but `parked`, `connections` and `heartbeat_s` only grow. */
struct series_counts {
	uint64_t parked, connections, heartbeat_s;
	uint64_t pushes, syncs, requests, errors, logins_refused, logins_throttled;
	uint64_t turned_away[SERIES_TURNED_AWAY];
	struct histogram_view push;
};

/* A step. Rates are per minute; who was turned away is a number. */
struct series_point {
	int64_t at; /* its end */
	uint32_t parked, connections, heartbeat_s;
	float pushes, syncs, requests, errors, logins_refused, logins_throttled;
	uint32_t turned_away[SERIES_TURNED_AWAY];
	uint32_t push_p50_us, push_p99_us; /* 0: no push */
};

/* How often of late, and the ends of the first and the last step in which it was; 0: never. */
struct series_recent {
	uint64_t count;
	int64_t first_at, last_at;
};

struct series *series_new(void);
void series_free(struct series **series);
/* Every SERIES_STEP_S. The first only notes where the counts begin. */
void series_add(struct series *series, int64_t now_at, const struct series_counts *counts);
/* The newest last; out: SERIES_FINE, SERIES_LONG points. Returns how many. */
size_t series_read_fine(struct series *series, struct series_point *out);
size_t series_read_long(struct series *series, struct series_point *out);
/* Of the points that are not older than for_s. */
void series_recent(const struct series_point *points, size_t count, int64_t now_at, int64_t for_s,
	enum series_turned_away why, struct series_recent *ret);

#endif
