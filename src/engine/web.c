/*
 * Requests that are not of phones: pages, the REST API, monitors. They have threads of their own,
 * so that pages never keep a phone waiting, nor phones a page; and a small pool it is, for people
 * are few and patient.
 *
 * A normal case: the front has the whole request; a web worker runs api_handle(); the answer goes
 * the way of every answer, large ones by credit. Large bodies are refused: nothing here uploads.
 *
 * Threads: the loop's; on_web() on the pool. Limits: web.requests_max waiting or at work,
 * web.request_max_bytes of body, half of the threads for one client address.
 */
#include <string.h>

#include "base/str.h"
#include "engine/engine_internal.h"

static void run_web(struct job *job, void *thread_state)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	(void)thread_state;
	r->reply.kind = EAS_REPLY_ANSWER;
	r->engine->on_web(
		r->engine->web_owner, r->settings, &r->http, r->arena, &r->reply, &r->stream);
}

void web_uncount(struct errand *r)
{
	r->engine->web_count -= r->web_counted;
	r->web_counted = false;
	if (r->http.body_len > 0) /* there may be a password in it */
		secret_wipe((uint8_t *)(uintptr_t)r->http.body, r->http.body_len);
	r->http.body_len = 0;
}

static void on_web_done(struct job *job, bool cancelled)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	web_uncount(r);
	if (!errand_still_wanted(&r))
		return;
	if (cancelled)
		errand_leave(&r);
	else if (!stream_admit(r))
		errand_refuse_busy(&r);
	else
		errand_answer(&r);
}

static void web_start(struct errand *r)
{
	r->state = ERRAND_RUNNING;
	r->job = (struct job){.name = "web", .run = run_web, .done = on_web_done};
	if (r->engine->web_workers == NULL || !workers_submit(r->engine->web_workers, &r->job))
		on_web_done(&r->job, true);
}

/* What can be answered without a worker. True: answered. */
static bool refuse_at_once(struct errand **rp)
{
	struct errand *r = *rp;
	struct engine *e = r->engine;

	if (e->on_web == NULL || !r->settings->web_enabled)
		errand_refuse(rp, 404, NULL, NULL);
	else if (r->http.body_follows ||
		 r->http.content_length > (int64_t)r->settings->web_request_max_bytes)
		errand_refuse(rp, r->http.content_length < 0 ? 411 : 413, NULL, NULL);
	else if (e->stopping)
		errand_leave(rp);
	else if (e->web_count >= r->settings->web_requests_max)
		errand_refuse_busy(rp);
	return *rp == NULL;
}

void web_begin(struct errand **rp, const struct ipc_request *frame)
{
	struct errand *r = *rp;

	r->is_web = true;
	if (refuse_at_once(rp))
		return;
	*rp = NULL;
	if (frame->body_len > r->settings->web_request_max_bytes) { /* it came in chunks */
		errand_refuse(&r, 413, NULL, NULL);
		return;
	}
	r->http.body = arena_x_alloc(r->arena, frame->body_len + 1);
	memcpy((uint8_t *)(uintptr_t)r->http.body, frame->body, frame->body_len);
	r->http.body_len = frame->body_len;
	r->body_complete = true;
	r->start = web_start;
	r->web_counted = true;
	r->engine->web_count++;
	switch (lane_enter(r->engine->web_lanes, &r->lane, r->http.address)) {
	case LANE_RUN:
		web_start(r);
		return;
	case LANE_WAIT:
		r->state = ERRAND_QUEUED;
		return;
	case LANE_FULL:
		errand_refuse_busy(&r);
		return;
	}
}
