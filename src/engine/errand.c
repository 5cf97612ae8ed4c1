/*
 * One request of a phone, from its REQUEST frame to the last byte of its answer.
 *
 * A normal case: a small request comes whole, a worker authenticates and runs it (RUNNING), the
 * answer goes out in one frame. With a large body, a worker checks the credentials first
 * (ADMITTING), then credit is granted piece by piece (RECEIVING, SPOOLING), so that a stranger's
 * upload costs nothing; a large answer goes out by credit (SENDING), so that the worker never waits
 * for a slow client, and one without an end in sight piece by piece (stream.c).
 *
 * Invariants: a request is in engine.errands and, unless its front is lost, in front.errands.
 * While a job runs (ADMITTING, SPOOLING, RUNNING) the loop touches nothing but `gone`, `front` and
 * `credit`, and nobody frees it. Threads: the loop's, jobs on workers. Limits: UPLOADS_MAX bodies
 * by credit at once, SPOOL_MEMORY of memory each; server_requests_waiting_max requests waiting for
 * a worker, half of them of newcomers: phones that come in a storm never take the places of those
 * that are in.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/remember.h"
#include "eas/wipe.h"
#include "engine/engine_internal.h"
#include "http/http.h"

#define EAS_PATH     "/Microsoft-Server-ActiveSync"
#define UPLOADS_MAX  256
#define BACK_PER_S   1000 /* phones that were sent away may come back at this rate */
#define BULK_OUT_MAX ((size_t)256 * 1024) /* waiting in the link; more only when it has drained */

static void on_body_passed(void *owner, const void *upto)
{
	struct errand *r = owner;

	spool_passed(&r->spool, upto);
}

static void run_command(struct job *job, void *thread_state);
static void on_command_done(struct job *job, bool cancelled);

/* ---- life ---- */

struct errand *errand_new(struct engine *e, struct front *front, const struct ipc_handle *handle)
{
	struct errand *r = x_new(struct errand);

	r->engine = e;
	r->front = front;
	r->handle = *handle;
	r->arena = arena_new(0);
	r->settings = settings_ref(e->settings);
	spool_init(&r->spool);
	list_init(&r->sending_node);
	list_append(&front->errands, &r->node);
	(void)map_put(e->errands, &r->handle, sizeof(r->handle), r);
	return r;
}

static void leave_lane(struct errand *r)
{
	lane_leave(r->is_web ? r->engine->web_lanes : r->engine->lanes, &r->lane);
}

void errand_free(struct errand **rp)
{
	struct errand *r = *rp;

	if (r == NULL)
		return;
	if (map_find(r->engine->errands, &r->handle, sizeof(r->handle)) == r)
		(void)map_remove(r->engine->errands, &r->handle, sizeof(r->handle));
	if (r->http.body_follows)
		r->engine->uploads--;
	leave_lane(r);
	if (r->is_web)
		web_uncount(r);
	stream_end(r);
	list_remove(&r->node);
	list_remove(&r->sending_node);
	spool_deinit(&r->spool);
	buf_deinit(&r->reply.body);
	settings_unref(&r->settings);
	arena_free(&r->arena);
	mem_free(r);
	*rp = NULL;
}

static bool has_job(const struct errand *r)
{
	return r->state == ERRAND_ADMITTING || r->state == ERRAND_SPOOLING ||
	       r->state == ERRAND_RUNNING;
}

static void submit(struct errand *r, enum errand_state state, const char *name,
	void (*run)(struct job *, void *), void (*done)(struct job *, bool))
{
	r->state = state;
	r->job = (struct job){.name = name, .run = run, .done = done};
	engine_submit(r->engine, &r->job);
}

/* ---- answering ---- */

void errand_answer(struct errand **rp)
{
	struct errand *r = *rp;
	struct ipc_frame frame = {.type = r->wakes ? IPC_WAKE : IPC_RESPONSE};
	struct ipc_response *response = &frame.response;

	response->handle = r->handle;
	response->since_us = (uint64_t)r->since_us;
	response->status = (uint16_t)r->reply.status;
	response->reason = r->reply.reason != NULL ? r->reply.reason : "";
	/* What is left of the body is not read any more. */
	response->close = r->http.body_follows && !r->body_complete;
	response->body_len = r->stream != NULL ? IPC_LENGTH_UNKNOWN : r->reply.body.len;
	response->header_count = r->reply.header_count;
	memcpy(response->headers, r->reply.headers,
		r->reply.header_count * sizeof(r->reply.headers[0]));
	response->body_follows = r->stream != NULL || r->reply.body.len > IPC_INLINE_BODY_MAX;
	if (!response->body_follows)
		response->body = r->reply.body.data;
	engine_send(r->engine, r->handle.front, &frame);
	if (!response->body_follows || r->front == NULL || r->front->bulk == NULL) {
		errand_free(rp);
		return;
	}
	r->state = ERRAND_SENDING;
	r->credit = IPC_BULK_CREDIT;
	list_append(&r->front->sending, &r->sending_node);
	*rp = NULL;
}

void errand_refuse(
	struct errand **rp, int status, const char *header_name, const char *header_value)
{
	struct errand *r = *rp;

	stream_end(r);
	buf_deinit(&r->reply.body);
	r->reply = (struct eas_reply){.kind = EAS_REPLY_ANSWER, .status = status, .reason = ""};
	if (header_name != NULL)
		r->reply.headers[r->reply.header_count++] =
			(struct ipc_header){header_name, header_value};
	if (r->is_web && http_target_is_api(r->http.target)) {
		r->reply.headers[r->reply.header_count++] =
			(struct ipc_header){"Content-Type", "application/json"};
		http_trouble_add(&r->reply.body, status);
	}
	errand_answer(rp);
}

void errand_refuse_busy(struct errand **rp)
{
	struct errand *r = *rp;

	errand_refuse(rp, 503, "Retry-After",
		arena_x_printf(r->arena, "%u",
			spread_next_s(&r->engine->sent_away, BACK_PER_S, clock_now_ms())));
}

/* An engine that stops has not begun it. A front of version 2 keeps small requests for the next one
 * (BYE). */
void errand_leave(struct errand **rp)
{
	struct errand *r = *rp;

	if (r->engine->stopping && !r->http.body_follows && r->front != NULL &&
		r->front->control != NULL && r->front->control->version >= 2)
		errand_free(rp);
	else
		errand_refuse_busy(rp);
}

/* True: the credentials are good. False: answered, r is gone. */
static bool check_auth_result(struct errand **rp)
{
	struct errand *r = *rp;

	switch (r->auth) {
	case AUTH_OK:
		return true;
	case AUTH_WRONG:
		errand_refuse(rp, 401, "WWW-Authenticate",
			arena_x_printf(r->arena, "Basic realm=\"%s\"", r->settings->auth_realm));
		return false;
	case AUTH_THROTTLED:
		r->reply.headers[0] = (struct ipc_header){"Retry-After",
			arena_x_printf(r->arena, "%llu",
				(unsigned long long)r->settings->auth_fail_window_s)};
		r->reply.headers[1] = (struct ipc_header){"X-MS-ASThrottle", "FailedLogins"};
		r->reply.header_count = 2;
		r->reply.status = 503;
		errand_answer(rp);
		return false;
	case AUTH_FAILED:
		break;
	}
	log_error(NULL, "authentication_failed", F_STR("result", err_code_to_str(r->err.code)),
		F_ERR(&r->err));
	errand_refuse_busy(rp);
	return false;
}

/* A job came back: true when its client still waits. False: r is gone, with its watch. */
bool errand_still_wanted(struct errand **rp)
{
	struct errand *r = *rp;

	leave_lane(r);
	if (!r->gone && r->front != NULL)
		return true;
	if (r->reply.kind == EAS_REPLY_WAIT)
		(void)watch_end(r->engine->watches, r->reply.watch, NULL);
	errand_free(rp);
	return false;
}

/* One user's requests take half of the workers at most. */
static void wait_turn(struct errand *r, void (*start)(struct errand *r))
{
	const char *key = ipc_header_find(r->http.headers, r->http.header_count, "authorization");

	r->start = start;
	switch (lane_enter(r->engine->lanes, &r->lane, key)) {
	case LANE_RUN:
		start(r);
		return;
	case LANE_WAIT:
		r->state = ERRAND_QUEUED;
		return;
	case LANE_FULL:
		atomic_fetch_add(&r->engine->refused_lane, 1);
		errand_refuse_busy(&r);
		return;
	}
}

void errand_start(struct lane_member *member)
{
	struct errand *r = LIST_ENTRY(member, struct errand, lane);

	r->start(r);
}

/* ---- the command ---- */

/* Also again after a long upload: the user may have been disabled since. */
static bool authenticate(struct errand *r, struct auth_grant *ret)
{
	struct eas_wipe_request wipe = {.store = r->engine->store, .http = &r->http};
	struct auth_fallback fallback = {eas_wipe_credential, eas_wipe_device, &wipe};

	r->auth = auth_check_basic(r->engine->auth,
		ipc_header_find(r->http.headers, r->http.header_count, "authorization"),
		r->http.address, &fallback, r->arena, ret, &r->err);
	if (r->auth == AUTH_OK)
		r->auth_until_at = ret->expires_at;
	telemetry_count(&r->engine->telemetry->logins[r->auth]);
	if (r->auth == AUTH_WRONG || r->auth == AUTH_THROTTLED)
		eas_remember_refused(r->engine->telemetry, r->engine->store, &r->http, wipe.refused,
			r->auth == AUTH_WRONG ? 401 : 503, r->arena);
	return r->auth == AUTH_OK;
}

static void check_and_run(struct errand *r)
{
	struct eas_server server = engine_eas(r->engine, r->settings);
	struct eas_request request = {
		.arena = r->arena,
		.http = &r->http,
		.body_passed = on_body_passed,
		.body_owner = r,
		.commits = store_commits(r->engine->store),
	};
	struct auth_grant grant;

	if (!authenticate(r, &grant))
		return;
	request.user = grant.user;
	request.grant = &grant;
	if (spool_open(&r->spool, r->settings->server_data_dir, &request.body, &request.body_len,
		    &r->err) < 0)
		r->auth = AUTH_FAILED; /* answered like any trouble before the command */
	else
		eas_handle(&server, &request, &r->reply);
	if (r->auth == AUTH_OK && r->reply.login_refused != NULL)
		auth_refuse(r->engine->auth, grant.user, r->http.address, r->arena,
			r->reply.login_refused);
}

/* User, device and what a Ping looks at are read from one snapshot. */
static void run_command(struct job *job, void *thread_state)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	(void)thread_state;
	store_hold_begin(r->engine->store);
	check_and_run(r);
	store_hold_end(r->engine->store);
}

static void on_command_done(struct job *job, bool cancelled)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	if (!errand_still_wanted(&r))
		return;
	if (cancelled)
		errand_leave(&r);
	else if (check_auth_result(&r)) {
		if (r->reply.kind == EAS_REPLY_WAIT)
			push_wait(&r);
		else
			errand_answer(&r);
	}
}

static void submit_command(struct errand *r)
{
	submit(r, ERRAND_RUNNING, "command", run_command, on_command_done);
}

static void start_command(struct errand *r)
{
	r->body_complete = true;
	wait_turn(r, submit_command);
}

/* ---- large bodies ---- */

static void grant(struct errand *r)
{
	struct ipc_frame frame = {.type = IPC_GRANT};
	size_t bytes = SPOOL_MEMORY - MIN(r->spool.memory.len, SPOOL_MEMORY);

	r->state = ERRAND_RECEIVING;
	r->granted = bytes;
	frame.amount = (struct ipc_amount){r->handle, (uint32_t)bytes};
	engine_send(r->engine, r->handle.front, &frame);
}

static void run_admission(struct job *job, void *thread_state)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);
	struct auth_grant grant;

	(void)thread_state;
	(void)authenticate(r, &grant);
}

static void on_admission_done(struct job *job, bool cancelled)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	if (!errand_still_wanted(&r))
		return;
	if (cancelled)
		errand_refuse_busy(&r);
	else if (check_auth_result(&r))
		grant(r);
}

static void submit_admission(struct errand *r)
{
	submit(r, ERRAND_ADMITTING, "admission", run_admission, on_admission_done);
}

static void run_spooling(struct job *job, void *thread_state)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	(void)thread_state;
	if (spool_flush(&r->spool, r->settings->server_data_dir, &r->err) < 0)
		r->auth = AUTH_FAILED;
}

static void on_spooling_done(struct job *job, bool cancelled)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	if (!errand_still_wanted(&r))
		return;
	if (cancelled)
		errand_refuse_busy(&r);
	else if (check_auth_result(&r))
		grant(r);
}

static struct errand *find(struct engine *e, const struct ipc_handle *handle)
{
	return map_find(e->errands, handle, sizeof(*handle));
}

void errand_body(struct engine *e, const struct ipc_body *body)
{
	struct errand *r = find(e, &body->handle);

	/* Answered early, or gone: what was under way is dropped. */
	if (r == NULL || r->state != ERRAND_RECEIVING)
		return;
	if (body->aborted) {
		errand_free(&r);
		return;
	}
	if (body->len > r->granted || r->spool.len + body->len > r->settings->http_body_max_bytes) {
		errand_refuse(&r, 413, NULL, NULL);
		return;
	}
	r->granted -= body->len;
	spool_add(&r->spool, body->bytes, body->len);
	if (body->last)
		start_command(r);
	else if (spool_full(&r->spool))
		submit(r, ERRAND_SPOOLING, "spooling", run_spooling, on_spooling_done);
}

/* ---- the beginning ---- */

bool engine_is_eas_path(const char *target)
{
	size_t len = strlen(EAS_PATH);

	/* The absolute form, as proxies send it. */
	if (str_starts_nocase(target, "http://") || str_starts_nocase(target, "https://")) {
		target = strchr(strstr(target, "//") + 2, '/');
		if (target == NULL)
			return false;
	}
	if (!str_starts_nocase(target, EAS_PATH))
		return false;
	if (target[len] == '/')
		len++;
	return target[len] == '\0' || target[len] == '?';
}

static void copy_head(struct errand *r, const struct ipc_request *frame)
{
	r->http = *frame;
	r->http.method = arena_x_strdup(r->arena, frame->method);
	r->http.target = arena_x_strdup(r->arena, frame->target);
	r->http.address = arena_x_strdup(r->arena, frame->address);
	for (size_t i = 0; i < frame->header_count; i++) {
		r->http.headers[i].name = arena_x_strdup(r->arena, frame->headers[i].name);
		r->http.headers[i].value = arena_x_strdup(r->arena, frame->headers[i].value);
	}
	r->http.body = NULL;
	r->http.body_len = 0;
}

static bool is_too_much(struct errand *r)
{
	struct engine *e = r->engine;
	uint64_t waiting = workers_waiting(e->workers);
	uint64_t max = r->settings->server_requests_waiting_max;

	if (waiting >= max || e->uploads > UPLOADS_MAX) {
		atomic_fetch_add(&e->refused_busy, 1);
		return true;
	}
	if (!r->http.served && waiting >= max / 2) {
		atomic_fetch_add(&e->refused_newcomers, 1);
		return true;
	}
	return false;
}

/* What can be answered without a worker. True: answered. */
static bool refuse_at_once(struct errand **rp)
{
	struct errand *r = *rp;
	struct engine *e = r->engine;

	if (r->http.content_length > 0 &&
		(uint64_t)r->http.content_length > r->settings->http_body_max_bytes) {
		errand_refuse(rp, 413, NULL, NULL);
	} else if (ipc_header_find(r->http.headers, r->http.header_count, "authorization") ==
		   NULL) {
		r->auth = AUTH_WRONG;
		(void)check_auth_result(rp);
	} else if (e->stopping) {
		errand_leave(rp);
	} else if (is_too_much(r)) {
		errand_refuse_busy(rp);
	}
	return *rp == NULL;
}

void errand_begin(struct engine *e, struct front *front, const struct ipc_request *frame)
{
	struct errand *r = find(e, &frame->handle);
	struct watch_print print;
	bool printed;

	if (r != NULL) { /* the front's bug; two under one name cannot be */
		log_error(NULL, "request_refused", F_STR("result", "its handle is in use"));
		return;
	}
	printed = known_print(e, frame, &print);
	if (printed && known_park(e, &print, &frame->handle))
		return;
	r = errand_new(e, front, &frame->handle);
	r->printed = printed;
	r->print = print;
	copy_head(r, frame);
	e->uploads += r->http.body_follows;
	if (!engine_is_eas_path(r->http.target)) {
		web_begin(&r, frame);
		return;
	}
	if (refuse_at_once(&r))
		return;
	if (r->http.body_follows) {
		wait_turn(r, submit_admission);
		return;
	}
	spool_add(&r->spool, frame->body, frame->body_len);
	start_command(r);
}

/* ---- the end ---- */

/* Nobody waits for the answer. Freed now, or when its job is back. */
static void abandon(struct errand *r)
{
	r->gone = true;
	if (!has_job(r))
		errand_free(&r);
}

void errand_gone(struct engine *e, const struct ipc_handle *handle)
{
	struct errand *r = find(e, handle);

	if (r != NULL)
		abandon(r);
	restores_gone(e->restores, handle);
	watch_gone(e->watches, handle);
}

void errand_front_lost(struct engine *e, struct front *front)
{
	restores_front_lost(e->restores, front);
	LIST_FOREACH_SAFE(node, &front->errands) {
		struct errand *r = LIST_ENTRY(node, struct errand, node);

		list_remove(&r->node);
		list_remove(&r->sending_node);
		r->front = NULL;
		/* The front may come back and use the handle again. */
		(void)map_remove(e->errands, &r->handle, sizeof(r->handle));
		abandon(r);
	}
}

void errand_credit(struct engine *e, const struct ipc_amount *amount)
{
	struct errand *r = find(e, &amount->handle);

	/* Also while the next piece of a long answer is made. */
	if (r != NULL && (r->state == ERRAND_SENDING || r->stream != NULL))
		r->credit += amount->bytes;
}

static void send_chunk(struct link *bulk, struct errand *r)
{
	struct ipc_frame frame = {.type = IPC_BODY};
	size_t len = MIN(r->reply.body.len - r->sent, IPC_BULK_CHUNK);

	len = MIN(len, r->credit);
	frame.body = (struct ipc_body){.handle = r->handle,
		.last = r->stream == NULL && r->sent + len == r->reply.body.len,
		.bytes = len > 0 ? r->reply.body.data + r->sent : NULL,
		.len = len};
	fronts_send(bulk, &frame);
	r->sent += len;
	r->credit -= len;
	if (frame.body.last)
		errand_free(&r);
	else if (r->sent == r->reply.body.len)
		stream_next(r);
}

void errand_pump(struct engine *e, struct front *front)
{
	bool moved = true;

	(void)e;
	if (front->bulk == NULL)
		return;
	while (moved && front->bulk->out.len < BULK_OUT_MAX) {
		moved = false;
		/* Each gets a chunk in turn, so that one large answer does not hold up the others.
		 */
		LIST_FOREACH_SAFE(node, &front->sending) {
			struct errand *r = LIST_ENTRY(node, struct errand, sending_node);

			if (r->credit == 0 && r->sent < r->reply.body.len)
				continue;
			moved = true;
			send_chunk(front->bulk, r);
		}
	}
}
