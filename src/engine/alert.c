/*
 * What the fronts notice and the administrator should find in the event log: that heartbeats have
 * become short, and that they are well again. All fronts tell the same; a row is written when it
 * changes, by a worker. The loop's thread, but for the job. Lost with the engine: the next one
 * writes the row again when it is still so.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_internal.h"

struct alert {
	struct job job;
	struct store *store;
	int64_t now_at;
	char result[64];
	const char *action;
};

static int write_row(struct store_tx *tx, void *owner, struct err *err)
{
	const struct alert *a = owner;
	const struct log_row row = {
		.at = a->now_at, .actor = "server", .action = a->action, .result = a->result};

	return store_log_add(tx, &row, err);
}

static void run(struct job *job, void *thread_state)
{
	struct alert *a = LIST_ENTRY(job, struct alert, job);
	struct err err = ERR_INIT;

	(void)thread_state;
	if (store_transact(a->store, write_row, a, &err) < 0)
		log_error(NULL, "event_lost", F_STR("action", a->action), F_ERR(&err));
}

static void on_done(struct job *job, bool cancelled)
{
	(void)cancelled;
	mem_free(LIST_ENTRY(job, struct alert, job));
}

static uint64_t value_of(const struct ipc_stats *frame, const char *name)
{
	for (size_t i = 0; i < frame->count; i++) {
		if (str_eq(frame->counters[i].name, name))
			return frame->counters[i].value;
	}
	return 0;
}

void alert_on_stats(struct engine *e, const struct ipc_stats *frame)
{
	bool are_short = value_of(frame, "all_heartbeats_short") != 0;
	struct alert *a;

	if (are_short == e->heartbeats_short)
		return;
	e->heartbeats_short = are_short;
	a = x_new(struct alert);
	a->job = (struct job){.name = "alert", .run = run, .done = on_done};
	a->store = e->store;
	a->now_at = clock_now_at();
	a->action = are_short ? "heartbeats short" : "heartbeats well";
	(void)snprintf(a->result, sizeof(a->result), "%" PRIu64 " s on average",
		value_of(frame, "all_heartbeat_average_s"));
	engine_submit(e, &a->job);
}
