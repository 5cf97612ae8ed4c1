/*
 * The middle of the engine: what links, requests and waiting phones share, apart from listeners,
 * mail and configuration (engine.c).
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "engine/engine_internal.h"

#define LANE_WAITING_MAX  100  /* requests of one user that wait */
#define WORKERS_AWAKE_MIN 2    /* also on one core: a page fault that reads holds nobody up */
#define FLUSH_MS          2000 /* at the end: for answers which are still in our buffers */

/* Each worker has a place to note what it is at work on. */
static int on_worker_start(void *owner, uint32_t thread, void **ret_thread_state, struct err *err)
{
	(void)owner;
	(void)thread;
	(void)err;
	*ret_thread_state = NULL;
	notes_thread_join();
	return 0;
}

static void on_worker_stop(void *owner, void *thread_state)
{
	(void)owner;
	(void)thread_state;
	notes_thread_leave();
}

int engine_init(struct engine *e, struct loop *loop, struct store *store, struct auth *auth,
	const struct settings *settings, struct err *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	const struct workers_options pool = {.name = "worker",
		.threads = (uint32_t)settings->server_workers,
		.awake_max = (uint32_t)MAX(cores, WORKERS_AWAKE_MIN),
		.queue_max = UINT32_MAX /
			     2, /* requests have a bound of their own; checks must not be lost */
		.on_start = on_worker_start,
		.on_stop = on_worker_stop,
		.loop = loop};
	const struct watch_options watch_options = {
		.flag_wake_delay_s = (uint32_t)settings->push_flag_wake_delay_s,
		.remember_max = (uint32_t)settings->push_remember_max,
		.on_marked = push_on_marked,
		.on_ended = push_on_ended,
		.on_stale = push_on_stale,
		.owner = e};

	const struct workers_options web_pool = {.name = "web",
		.threads = (uint32_t)settings->web_workers,
		.queue_max = UINT32_MAX / 2, /* web.requests_max bounds them */
		.loop = loop};
	const struct telemetry_limits telemetry_limits = {
		.traces = {.per_device = (uint32_t)settings->trace_requests_per_device,
			.message_bytes = (uint32_t)settings->trace_message_bytes,
			.total_bytes = settings->trace_total_bytes},
		.waits = settings->trace_waits_max,
		.faults = settings->trace_errors_max};

	*e = (struct engine){.loop = loop, .store = store, .auth = auth};
	if (workers_new(&pool, &e->workers, err) < 0 ||
		workers_new(&web_pool, &e->web_workers, err) < 0)
		return err_wrap(err, "worker threads");
	e->settings = settings_ref(settings);
	list_init(&e->links);
	list_init(&e->dirty);
	list_init(&e->fronts);
	e->errands = map_new();
	e->lanes = lanes_new(MAX(pool.threads / 2, 1), LANE_WAITING_MAX, errand_start);
	e->web_lanes = lanes_new(MAX(web_pool.threads / 2, 1), LANE_WAITING_MAX, errand_start);
	e->stats = stats_new(e);
	e->telemetry = telemetry_new(&telemetry_limits);
	e->push = push_new(e);
	e->restores = restores_new(e);
	known_init(e);
	e->watches = watches_new(&watch_options);
	eas_server_init(&e->eas, store, e->watches, settings);
	e->eas.telemetry = e->telemetry;
	loop_set_round_end(loop, "engine_round_end", fronts_round_end, e);
	return 0;
}

/* Writes what is in our buffers. */
static void flush(struct engine *e)
{
	int64_t until_ms = clock_now_ms() + FLUSH_MS;

	do {
		fronts_round_end(e);
		(void)loop_run_once(e->loop, 10);
	} while (!fronts_idle(e) && clock_now_ms() < until_ms);
}

void engine_deinit(struct engine *e)
{
	if (e->workers == NULL)
		return;
	e->stopping = true;
	workers_free(&e->web_workers);
	workers_free(&e->workers);
	flush(e);
	fronts_say_bye(e);
	flush(e);
	fronts_free(e);
	loop_set_round_end(e->loop, "none", NULL, NULL);
	eas_server_deinit(&e->eas);
	stats_free(&e->stats);
	telemetry_free(&e->telemetry);
	restores_free(&e->restores);
	push_free(&e->push);
	watches_free(&e->watches);
	buf_deinit(&e->print_scratch);
	map_free(&e->errands);
	lanes_free(&e->lanes);
	lanes_free(&e->web_lanes);
	settings_unref(&e->settings);
}

/* What a phone that waits was judged by when it came, beside what the store says. */
static bool judge_alike(const struct settings *a, const struct settings *b)
{
	bool alike = a->eas_versions.count == b->eas_versions.count &&
		     a->push_heartbeat_min_s == b->push_heartbeat_min_s &&
		     a->push_heartbeat_max_s == b->push_heartbeat_max_s &&
		     a->push_folders_max == b->push_folders_max &&
		     a->policy_required == b->policy_required &&
		     a->policy_allow_non_provisionable == b->policy_allow_non_provisionable &&
		     a->policy_refresh_interval_h == b->policy_refresh_interval_h;

	for (size_t i = 0; alike && i < a->eas_versions.count; i++)
		alike = str_eq(a->eas_versions.words[i], b->eas_versions.words[i]);
	return alike;
}

void engine_set_settings(struct engine *e, const struct settings *settings)
{
	const struct change_event all = {.kinds = CHANGE_GLOBAL};
	const struct settings *old = e->settings;

	e->settings = settings_ref(settings);
	watches_set_limits(e->watches, (uint32_t)settings->push_flag_wake_delay_s,
		(uint32_t)settings->push_remember_max);
	/* As if the rules had changed: else fronts renew by the old bounds until their leases end.
	 */
	if (!judge_alike(old, settings))
		watches_publish(e->watches, &all, 1);
	settings_unref(&old);
}

struct eas_server engine_eas(const struct engine *e, const struct settings *settings)
{
	struct eas_server server = e->eas;

	server.settings = settings;
	return server;
}

void engine_submit(struct engine *e, struct job *job)
{
	/* The queue has no bound that matters; only a pool that ends refuses. */
	if (e->workers == NULL || !workers_submit(e->workers, job))
		job->done(job, true);
}
