#ifndef BELLHOP_ENGINE_METRICS_H
#define BELLHOP_ENGINE_METRICS_H

#include "base/buf.h"
#include "conf/settings.h"
#include "engine/engine_internal.h"
#include "store/store_counts.h"

struct lmtp_server;
struct submit_queue;

/*
 * All that is counted, for Prometheus (docs/MONITORING.md), and the time series of the overview.
 * What costs to count (rows of tables, the disk, the certificate) is remembered for a minute.
 */
struct metrics;

struct metrics_sources { /* the caller's; they outlive it */
	struct engine *engine;
	struct store *store;
	struct submit_queue *queue;
	struct lmtp_server *lmtp;
};

/* Takes a reference of the settings. Loop thread: it takes samples until metrics_free(). */
struct metrics *metrics_new(const struct metrics_sources *sources, const struct settings *settings);
void metrics_free(struct metrics **metrics);
/* LMTP is about to stop: it is not asked any more. */
void metrics_detach(struct metrics *metrics);
/* Reload. Any thread. */
void metrics_set_settings(struct metrics *metrics, const struct settings *settings);

/* Appends them. Any thread but the loop's; blocks for a second at most. */
void metrics_render(struct metrics *metrics, struct buf *out);

/* What costs to count. false of a part: it could not be found out. */
struct metrics_slow {
	bool counted, disk_known, certificate_known;
	struct store_counts counts;
	uint64_t queue_mails, queue_recipients, queue_held, queue_bytes;
	uint64_t disk_bytes, disk_free_bytes;
	int64_t certificate_until_at;
	bool certificate_self_signed;
	bool program_replaced; /* another one is installed than the one that runs */
};
/* Not older than a minute. Any thread but the loop's. */
void metrics_slow_read(struct metrics *metrics, struct metrics_slow *ret);
/* As of the last seconds. Any thread. */
void metrics_counts(struct metrics *metrics, struct series_counts *ret);
const struct settings *metrics_settings(struct metrics *metrics); /* a reference */
int64_t metrics_started_at(const struct metrics *metrics);

/* overview.c: puts "series", "now" and "warnings" into the object. Any thread but the loop's. */
struct json_t;
NODISCARD int overview_fill(
	struct metrics *metrics, struct engine *engine, struct json_t *result, struct err *err);

#endif
