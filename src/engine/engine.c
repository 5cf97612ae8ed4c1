/*
 * The engine's process: opens the store, starts the threads, listens, runs the loop, and takes
 * everything down again in the opposite order. What happens with requests is in fronts.c, errand.c
 * and push.c.
 *
 * Threads: the loop (this one), workers, two for the administrator, the store's writer, those of
 * the queue of outgoing mail, one for each LMTP connection. Killing the process at any moment loses
 * nothing that was acknowledged: only the store keeps state.
 */
#include "engine/engine.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "eas/repair.h"
#include "engine/access_timer.h"
#include "engine/admin_link.h"
#include "engine/control_line.h"
#include "engine/engine_internal.h"
#include "engine/housekeeping.h"
#include "engine/metrics.h"
#include "engine/poison.h"
#include "ingest/lmtp.h"
#include "mime/mime.h"
#include "net/baton.h"
#include "net/listen.h"
#include "submit/queue.h"

struct process {
	const struct engine_options *options;
	const struct settings *settings;
	struct loop *loop;
	struct store *store;
	struct auth *auth;
	struct admin *admin;
	struct admin_link *admin_link;
	struct api *api;
	struct control_line *control;
	struct lmtp_server *lmtp;
	struct submit_queue *queue;
	struct metrics *metrics;
	struct engine engine;
	int listen_fd;
	struct loop_fd *listen_watch;
	struct access_timer *access_timer;
	struct housekeeping *housekeeping;
};

/* ---- settings ---- */

static enum auth_apps apps_of(const char *choice)
{
	if (str_eq(choice, "required"))
		return AUTH_APPS_REQUIRED;
	return str_eq(choice, "off") ? AUTH_APPS_OFF : AUTH_APPS_ALLOWED;
}

static struct auth_options auth_options_of(const struct settings *s)
{
	return (struct auth_options){.cache_ttl_s = (uint32_t)s->auth_cache_ttl_s,
		.cache_entries = (uint32_t)s->auth_cache_entries,
		.fail_limit_user = (uint32_t)s->auth_fail_limit_user,
		.fail_limit_address = (uint32_t)s->auth_fail_limit_address,
		.fail_window_s = (uint32_t)s->auth_fail_window_s,
		.default_domain = s->auth_default_domain,
		.app_passwords = apps_of(s->auth_app_passwords)};
}

static void set_admin_limits(struct process *p, const struct settings *s)
{
	const struct admin_limits limits = {.message_max_bytes = s->lmtp_message_max_bytes,
		.folders_max = s->eas_folders_max,
		.mime = {.parts = s->mime_parts_max,
			.depth = s->mime_depth_max,
			.header_bytes = s->mime_header_max_bytes},
		.policy = {.required = s->policy_required,
			.allow_non_provisionable = s->policy_allow_non_provisionable,
			.refresh_interval_h = (uint32_t)s->policy_refresh_interval_h},
		.refuse_s = (uint32_t)s->poison_request_refuse_s,
		.app_passwords_max = (uint32_t)s->auth_app_passwords_max,
		.oof_max_bytes = s->eas_oof_max_bytes,
		.wipe_device = s->wipe_device,
		.wipe_users_device = s->wipe_users_device,
		.wipe_stale_days = (uint32_t)s->wipe_stale_days};

	admin_set_limits(p->admin, &limits);
	admin_set_settings(p->admin, s);
}

static void set_log_level(const struct settings *s)
{
	int level = log_level_parse(s->server_log_level);

	if (level >= 0)
		log_set_level((enum log_level)level);
}

static void take_settings(void *owner)
{
	struct process *p = owner;
	const struct settings *next, *old = p->settings;
	struct auth_options auth_options;
	struct err err = ERR_INIT;

	if (p->options->reload == NULL)
		return;
	if (p->options->reload(p->options->owner, &next, &err) < 0) {
		log_error(NULL, "reload_finished", F_STR("result", err_code_to_str(err.code)),
			F_ERR(&err));
		return;
	}
	auth_options = auth_options_of(next);
	auth_set_options(p->auth, &auth_options);
	lmtp_server_set_settings(p->lmtp, next);
	submit_queue_set_settings(p->queue, next);
	set_admin_limits(p, next);
	metrics_set_settings(p->metrics, next);
	engine_set_settings(&p->engine, next);
	set_log_level(next);
	p->settings = next;
	settings_unref(&old);
	store_set_quota_warning(p->store, next->mail_quota_warn_percent);
	housekeeping_settings_changed(p->housekeeping);
	log_info(NULL, "reload_finished", F_STR("result", "ok"));
}

/* ---- the supervisor and signals ---- */

/* On one of the administrator's threads. */
static int ask_reload(void *owner, struct err *err)
{
	struct process *p = owner;

	return control_line_ask(p->control, 'R', err);
}

/* The same. */
static int ask_upgrade(void *owner, struct err *err)
{
	struct process *p = owner;

	return control_line_ask(p->control, 'U', err);
}

static void stop(void *owner, const char *why)
{
	struct process *p = owner;

	if (!loop_stopping(p->loop))
		log_info(NULL, "engine_stopping", F_STR("result", why));
	loop_stop(p->loop);
}

static void on_signal(void *owner, int signo)
{
	stop(owner, strsignal(signo));
}

static void on_front(void *owner, unsigned events)
{
	struct process *p = owner;
	struct net_address from;
	int fd;

	(void)events;
	while ((fd = net_accept(p->listen_fd, &from)) >= 0)
		fronts_accept(&p->engine, fd);
}

/* ---- counters for the administrator; any thread ---- */

static size_t add_counter(
	struct admin_counter *out, size_t at, size_t max, const char *name, uint64_t value)
{
	if (at >= max)
		return at;
	(void)snprintf(out[at].name, sizeof(out[at].name), "%.63s", name);
	out[at].value = value;
	return at + 1;
}

/* Of the last hour: what there was since the start is among the counters of the fronts. */
static size_t add_recent(
	struct telemetry *telemetry, struct admin_counter *out, size_t at, size_t max)
{
	static const char *const names[SERIES_TURNED_AWAY] = {
		"refused_all_last_hour", "refused_address_last_hour", "refused_busy_last_hour"};
	struct series_point *points = x_calloc(SERIES_FINE, sizeof(*points));
	size_t count = series_read_fine(telemetry->series, points);

	for (unsigned why = 0; why < SERIES_TURNED_AWAY; why++) {
		struct series_recent recent;

		series_recent(points, count, clock_now_at(), SERIES_FINE * SERIES_STEP_S,
			(enum series_turned_away)why, &recent);
		at = add_counter(out, at, max, names[why], recent.count);
	}
	mem_free(points);
	return at;
}

static size_t counters(void *owner, struct admin_counter *out, size_t max)
{
	struct process *p = owner;
	struct engine *e = &p->engine;
	struct stats_counter fronts[IPC_STATS_MAX];
	struct submit_queue_counters queue;
	size_t n = 0, count = stats_read(e->stats, fronts, ARRAY_LEN(fronts));

	for (size_t i = 0; i < count; i++)
		n = add_counter(out, n, max, fronts[i].name, fronts[i].value);
	n = add_counter(out, n, max, "engine_pid", (uint64_t)getpid());
	n = add_counter(out, n, max, "workers_busy", workers_running(e->workers));
	n = add_counter(out, n, max, "workers_waiting", workers_waiting(e->workers));
	n = add_counter(out, n, max, "watches_returning", atomic_load(&e->restores_left));
	n = add_counter(out, n, max, "upgrading", control_line_upgrading(p->control));
	n = add_counter(out, n, max, "upgrade_failed", control_line_upgrade_failed(p->control));
	n = add_counter(out, n, max, "requests_refused_busy", atomic_load(&e->refused_busy));
	n = add_counter(
		out, n, max, "requests_refused_newcomers", atomic_load(&e->refused_newcomers));
	n = add_counter(out, n, max, "requests_refused_user", atomic_load(&e->refused_lane));
	n = add_recent(e->telemetry, out, n, max);
	n = add_counter(out, n, max, "watches", watches_count(e->watches));
	n = add_counter(out, n, max, "watches_remembered", watches_remembered_count(e->watches));
	n = add_counter(out, n, max, "pings_known", e->pings_known);
	n = add_counter(out, n, max, "items_expired", housekeeping_expired(p->housekeeping));
	n = add_counter(out, n, max, "lmtp_connections", lmtp_server_connections(p->lmtp));
	submit_queue_read_counters(p->queue, &queue);
	n = add_counter(out, n, max, "relay_sent", queue.sent);
	n = add_counter(out, n, max, "relay_deferred", queue.deferred);
	n = add_counter(out, n, max, "relay_failed", queue.failed);
	n = add_counter(out, n, max, "relay_reports", queue.reports);
	n = add_counter(out, n, max, "relay_trouble", queue.trouble);
	return n;
}

/* ---- up and down ---- */

static int open_store(struct process *p, struct err *err)
{
	const struct settings *s = p->settings;
	const struct store_options o = {.data_dir = s->server_data_dir,
		.readers_max = (uint32_t)s->store_readers,
		.group_max = (uint32_t)s->store_group_max,
		.body_inline_max = s->store_body_inline_max,
		.cache_kib = s->store_cache_kib,
		.mmap_bytes = s->store_mmap_bytes};

	if (store_open(&o, &p->store, err) < 0)
		return -1;
	/* Nothing commits before engine_init() is done. */
	store_set_publisher(p->store, push_publish, &p->engine);
	store_set_quota_warning(p->store, s->mail_quota_warn_percent);
	return 0;
}

static int listen_for_fronts(struct process *p, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/engine.sock", p->settings->server_runtime_dir);

	if (net_listen_unix(path, 0600, &p->listen_fd, err) < 0)
		return err_wrap(err, "the socket for the fronts");
	return loop_fd_new(
		p->loop, p->listen_fd, "engine_listener", on_front, p, &p->listen_watch, err);
}

/* Any thread. */
static int repair(void *owner, struct device_id device, struct owner_id folder_owner,
	struct folder_id folder, struct err *err)
{
	struct process *p = owner;

	return eas_repair(&p->engine.eas, device, folder_owner, folder, err);
}

/* Any thread. */
static int release(void *owner, struct device_id device, struct owner_id folder_owner,
	struct folder_id folder, struct item_id item, struct err *err)
{
	struct process *p = owner;

	return eas_release(&p->engine.eas, device, folder_owner, folder, item, err);
}

/* Any thread. */
static int resync(void *owner, struct device_id device, struct owner_id folder_owner,
	struct folder_id folder, struct err *err)
{
	struct process *p = owner;

	return eas_resync(&p->engine.eas, device, folder_owner, folder, err);
}

/* Any thread. */
static void render_metrics(void *owner, struct buf *out)
{
	struct process *p = owner;

	metrics_render(p->metrics, out);
}

/* Any thread. */
static int overview(void *owner, struct json_t *result, struct err *err)
{
	struct process *p = owner;

	return overview_fill(p->metrics, &p->engine, result, err);
}

/* Any thread. */
static void retry_queue(void *owner)
{
	struct process *p = owner;

	submit_queue_retry_now(p->queue);
}

static int start_queue(struct process *p, struct err *err)
{
	const struct submit_queue_options o = {.store = p->store,
		.settings = p->settings,
		.threads = (uint32_t)p->settings->relay_connections};

	if (submit_queue_start(&o, &p->queue, err) < 0)
		return -1;
	p->engine.eas.queue = p->queue;
	return 0;
}

static int start_admin(struct process *p, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/admin.sock", p->settings->server_runtime_dir);
	const struct admin_options o = {.store = p->store,
		.config_path = p->options->config_path,
		.control_fd = p->options->control_fd,
		.reload = ask_reload,
		.upgrade = ask_upgrade,
		.repair = repair,
		.release = release,
		.resync = resync,
		.metrics = render_metrics,
		.overview = overview,
		.telemetry = p->engine.telemetry,
		.retry_queue = retry_queue,
		.counters = counters,
		.owner = p};

	p->metrics = metrics_new(
		&(struct metrics_sources){&p->engine, p->store, p->queue, p->lmtp}, p->settings);
	p->admin = admin_new(&o);
	set_admin_limits(p, p->settings);
	return admin_link_start(&(struct admin_link_options){p->loop, p->admin, path,
					p->options->admin_fd, p->options->baton_fds[0]},
		&p->admin_link, err);
}

/* On a web worker. */
static void on_web(void *owner, const struct settings *settings, const struct ipc_request *http,
	struct arena *arena, struct eas_reply *reply, struct api_stream **stream)
{
	struct process *p = owner;
	struct api_reply answer = {0};

	api_handle(p->api, settings, http, arena, &answer);
	reply->status = answer.status;
	reply->body = answer.body;
	*stream = answer.stream;
	reply->header_count = MIN(answer.header_count, ARRAY_LEN(reply->headers));
	memcpy(reply->headers, answer.headers, reply->header_count * sizeof(answer.headers[0]));
}

static void start_api(struct process *p)
{
	const struct api_options o = {.store = p->store,
		.auth = p->auth,
		.admin = p->admin,
		.metrics = render_metrics,
		.owner = p};

	p->api = api_new(&o);
	p->engine.on_web = on_web;
	p->engine.web_owner = p;
}

static int start_lmtp(struct process *p, struct err *err)
{
	const struct lmtp_server_options o = {.store = p->store,
		.settings = p->settings,
		.queue = p->queue,
		.fds = p->options->lmtp_fds,
		.fd_count = p->options->lmtp_fd_count,
		.baton_fd = p->options->baton_fds[0] >= 0 ? &p->options->baton_fds[0] : NULL};

	return lmtp_server_start(&o, &p->lmtp, err);
}

/* What the engine before this one was in the middle of. */
static void take_batons(struct process *p)
{
	uint8_t *state = NULL;
	size_t len = 0;
	char kind = 0;
	int fd = -1;

	while (p->options->baton_fds[1] >= 0 &&
		net_baton_take(p->options->baton_fds[1], &kind, &fd, &state, &len)) {
		if (kind == LMTP_BATON)
			lmtp_server_adopt(p->lmtp, fd, state, len);
		else if (kind == ADMIN_LINK_BATON)
			admin_link_adopt(p->admin_link, fd, state, len);
		else
			fd_close(&fd);
		/* A request may hold a password. */
		secret_wipe(state, len);
		mem_free(state);
	}
}

static int start_watching(struct process *p, struct err *err)
{
	const struct control_line_options o = {.loop = p->loop,
		.fd = p->options->control_fd,
		.upgrading = p->options->upgrading,
		.on_reload = take_settings,
		.on_stop = stop,
		.owner = p};

	if (loop_signal_add(p->loop, SIGTERM, "sigterm", on_signal, p, err) < 0 ||
		loop_signal_add(p->loop, SIGINT, "sigint", on_signal, p, err) < 0)
		return -1;
	return control_line_start(&o, &p->control, err);
}

static int start(struct process *p, struct err *err)
{
	const struct auth_options auth_options = auth_options_of(p->settings);

	mime_global_init();
	relay_global_init();
	net_setup();
	if (loop_new(&p->loop, err) < 0 || start_watching(p, err) < 0 || open_store(p, err) < 0)
		return -1;
	if (p->options->notes_fd >= 0 && notes_attach(p->options->notes_fd, err) < 0)
		return -1;
	poison_count(p->store, p->settings);
	notes_begin_process();
	p->auth = auth_new(p->store, &auth_options);
	if (engine_init(&p->engine, p->loop, p->store, p->auth, p->settings, err) < 0)
		return -1;
	p->housekeeping = housekeeping_new(&p->engine, p->store);
	if (start_queue(p, err) < 0 || start_lmtp(p, err) < 0 || start_admin(p, err) < 0 ||
		listen_for_fronts(p, err) < 0)
		return -1;
	start_api(p);
	take_batons(p);
	p->engine.on_stats = alert_on_stats;
	p->access_timer = access_timer_new(&p->engine, p->store, p->queue);
	return 0;
}

/* Whatever start() got to. */
static void take_down(struct process *p)
{
	loop_fd_free(&p->listen_watch);
	fd_close(&p->listen_fd);
	if (p->control != NULL)
		control_line_close(p->control);
	admin_link_stop(&p->admin_link);
	if (p->metrics != NULL)
		metrics_detach(p->metrics);
	lmtp_server_stop(&p->lmtp);
	engine_deinit(&p->engine);
	metrics_free(&p->metrics); /* nobody's thread asks for them any longer */
	submit_queue_stop(&p->queue);
	access_timer_free(&p->access_timer);
	housekeeping_free(&p->housekeeping);
	api_free(&p->api);
	admin_free(&p->admin);
	auth_free(&p->auth);
	if (p->store != NULL)
		store_close(&p->store);
	control_line_free(&p->control);
	if (p->loop != NULL)
		loop_free(&p->loop);
	settings_unref(&p->settings);
}

int engine_run(const struct engine_options *options, struct err *err)
{
	struct process *p = x_new(struct process);
	int rc;

	p->options = options;
	p->settings = settings_ref(options->settings);
	p->listen_fd = -1;
	set_log_level(p->settings);
	rc = start(p, err);
	if (rc == 0) {
		log_info(NULL, "engine_started", F_UINT("workers", p->settings->server_workers),
			F_UINT("lmtp_listeners", options->lmtp_fd_count));
		control_line_say_ready(p->control);
		loop_run(p->loop);
	}
	take_down(p);
	mem_free(p);
	if (rc == 0)
		log_info(NULL, "engine_stopped", F_STR("result", "ok"));
	return rc;
}
