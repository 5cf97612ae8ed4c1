/*
 * Answers that are made while they go out: exports, which may be of any size. What is there of one
 * is one piece; when its last byte is on its way a web worker makes the next, so a slow client
 * costs a piece and no thread, and each piece waits in its lane like a request of its own.
 *
 * An answer that cannot go on is cut: the end of its body was not said, so nobody takes it for
 * whole. Threads: the loop's; pieces on the pool. Limits: web.exports_max.
 */
#include "api/api.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_internal.h"

#define UNSIZED_VERSION 3 /* of frames: older fronts want to know the length first */

static void cut(struct errand **rp)
{
	struct errand *r = *rp;
	struct ipc_frame frame = {.type = IPC_BODY};

	frame.body = (struct ipc_body){.handle = r->handle, .aborted = true};
	if (r->front != NULL && r->front->bulk != NULL)
		fronts_send(r->front->bulk, &frame);
	errand_free(rp);
}

static void run_piece(struct job *job, void *thread_state)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	(void)thread_state;
	r->stream_result = r->stream->next(r->stream, &r->reply.body, &r->err);
	if (r->reply.body.failed)
		r->stream_result = err_set(&r->err, ERR_BUSY, "no memory for a piece of an answer");
}

static void on_piece_done(struct job *job, bool cancelled)
{
	struct errand *r = LIST_ENTRY(job, struct errand, job);

	if (!errand_still_wanted(&r))
		return;
	if (!cancelled && r->stream_result < 0)
		log_error(NULL, "answer_cut", F_STR("address", r->http.address), F_ERR(&r->err));
	if (cancelled || r->stream_result < 0 || r->front->bulk == NULL) {
		cut(&r);
		return;
	}
	if (r->stream_result == 0)
		stream_end(r);
	r->state = ERRAND_SENDING;
	list_append(&r->front->sending, &r->sending_node);
}

static void start_piece(struct errand *r)
{
	r->state = ERRAND_RUNNING;
	r->job = (struct job){.name = "web_piece", .run = run_piece, .done = on_piece_done};
	/* At the end there is no pool any more. */
	if (r->engine->web_workers == NULL || !workers_submit(r->engine->web_workers, &r->job))
		on_piece_done(&r->job, true);
}

void stream_next(struct errand *r)
{
	buf_clear(&r->reply.body);
	r->sent = 0;
	if (str_eq(r->http.method, "HEAD")) { /* nobody wants the rest */
		stream_end(r);
		return;
	}
	list_remove(&r->sending_node);
	r->start = start_piece;
	switch (lane_enter(r->engine->web_lanes, &r->lane, r->http.address)) {
	case LANE_WAIT:
		r->state = ERRAND_QUEUED;
		return;
	case LANE_RUN:
	case LANE_FULL: /* it is in already; there are web.exports_max at most */
		start_piece(r);
		return;
	}
}

void stream_end(struct errand *r)
{
	if (r->stream == NULL)
		return;
	r->stream->free(r->stream);
	r->stream = NULL;
	if (r->stream_counted)
		r->engine->streams--;
	r->stream_counted = false;
}

bool stream_admit(struct errand *r)
{
	if (r->stream == NULL)
		return true;
	if (r->engine->streams >= r->settings->web_exports_max || r->front->control == NULL ||
		r->front->control->version < UNSIZED_VERSION) {
		stream_end(r);
		return false;
	}
	r->engine->streams++;
	r->stream_counted = true;
	return true;
}
