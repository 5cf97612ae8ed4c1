/*
 * Answers: the engine's, small ones and bulk ones, and the few that a front gives by itself.
 *
 * An answer is gathered in request.out and written as the client takes it. Of a bulk answer the
 * engine may have IPC_BULK_CREDIT bytes under way, and gets CREDIT back for what the client has
 * taken: so a slow reader costs that much and no more. Bulk bytes may overtake their RESPONSE,
 * which comes on another socket: they wait in request.early.
 *
 * An answer whose length the engine does not know (IPC_LENGTH_UNKNOWN) goes out in chunks; to a
 * client of HTTP/1.0 until the connection's end.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"
#include "telemetry/histogram.h"

#define COMPACT_BYTES (64u * 1024)
#define CREDIT_BYTES  (64u * 1024)

/* Status line and the front's own headers; the state is ANSWER then. */
static struct request *answer_begin(
	struct front *f, struct conn *c, int status, const char *reason, bool close)
{
	struct request *r = c->request;

	/* A process that ends keeps nobody but those whom it hands on. */
	r->keep_alive = r->keep_alive && !close && r->body_done && !c->half_closed &&
			!f->stopping && (!f->pass.begun || pass_can(f, c));
	list_remove(&r->queued);
	conn_enter(f, c, CONN_ANSWER);
	r->answered = true;
	buf_deinit(&r->in);
	buf_deinit(&r->body);
	r->moved = 0;
	r->checked_ms = clock_now_ms();
	http_response_begin(&r->out, status, reason, clock_now_at(),
		!r->keep_alive ? HTTP_CLOSE
		: r->old_http  ? HTTP_KEEP_OLD
			       : HTTP_KEEP);
	return r;
}

/* The head is whole, and the body, if it has one, is in r->out. */
static bool answer_send(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	request_charge(f, r);
	if (r->out.failed) {
		conn_close(f, c);
		return false;
	}
	conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	return answer_flush(f, c);
}

static bool answer_end(struct front *f, struct conn *c, const void *body, size_t len)
{
	struct request *r = c->request;

	http_response_end(&r->out, len);
	if (!r->is_head)
		buf_add(&r->out, body, len);
	return answer_send(f, c);
}

static bool answer_plainly(struct front *f, struct conn *c, int status, bool close, uint32_t wait_s)
{
	struct request *r = c->request;
	struct buf text = BUF_INIT;
	bool as_json, alive, late = status == 503 && r->sent && request_is_late(r);

	/* The engine must not go on with what is answered here. */
	request_tell_gone(f, c);
	if (c->state == CONN_HEAD && !r->is_api) /* before it was looked at */
		r->is_api = http_head_is_api(r->in.data, r->in.len);
	as_json = r->is_api && status >= 400;
	r = answer_begin(f, c, status, NULL, close);
	if (status == 503) {
		uint32_t after_s = shared_retry_s(f->shared, clock_now_ms());
		char after[16];

		(void)snprintf(after, sizeof(after), "%u", MAX(after_s, wait_s));
		http_response_header(&r->out, "Retry-After", after);
		front_count(f, requests_503);
	}
	http_response_header(&r->out, "Content-Type", as_json ? "application/json" : "text/plain");
	/* It may be a browser that asked: like the engine's answers, these are never a page. */
	http_response_header(&r->out, "X-Content-Type-Options", "nosniff");
	http_response_header(
		&r->out, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	if (as_json && late)
		http_trouble_add_late(&text, r->is_read);
	else if (as_json)
		http_trouble_add(&text, status);
	else if (late)
		buf_addf(&text, "%s\n", http_late_text(r->is_read));
	else
		buf_addf(&text, "%s\n", status == 200 ? "ok" : http_reason(status));
	alive = answer_end(f, c, text.data, text.len);
	buf_deinit(&text);
	return alive;
}

bool answer_local(struct front *f, struct conn *c, int status, bool close)
{
	return answer_plainly(f, c, status, close, 0);
}

bool answer_unavailable(struct front *f, struct conn *c, bool close)
{
	return answer_plainly(f, c, 503, close, 0);
}

bool answer_later(struct front *f, struct conn *c, bool close, uint32_t wait_s)
{
	return answer_plainly(f, c, 503, close, wait_s);
}

/* What a waiting phone was told is on its way to it. */
static void count_push(struct front *f, struct request *r)
{
	int64_t took_us = clock_now_us() - (int64_t)r->since_us;

	if (r->since_us == 0)
		return;
	r->since_us = 0;
	took_us = MAX(took_us, 0);
	f->counters[COUNT_push_range_0 + histogram_range((uint64_t)took_us)]++;
	f->counters[COUNT_push_us] += (uint64_t)took_us;
}

_Static_assert(COUNT_push_us == COUNT_push_range_0 + HISTOGRAM_RANGES, "the ranges stand in a row");

/* A phone that was parked has no request object. It gets one under the name of its watch, for bulk
 * bytes find it by that. */
static bool revive(struct front *f, struct conn *c)
{
	if (c->request != NULL)
		return true;
	if (request_new(f, c) == NULL) {
		conn_close(f, c);
		return false;
	}
	c->request->number = c->watch;
	c->request->sent = true;
	c->request->keep_alive = c->keep_alive;
	c->request->body_done = true;
	return true;
}

static bool is_ours(const char *name)
{
	return str_eq_nocase(name, "Content-Length") || str_eq_nocase(name, "Date") ||
	       str_eq_nocase(name, "Connection") || str_eq_nocase(name, "Transfer-Encoding");
}

bool answer_engine(struct front *f, struct conn *c, const struct ipc_response *response)
{
	struct request *r;

	if (!revive(f, c))
		return false;
	c->watch = 0; /* its answer is here */
	c->served = c->served || response->status < 400;
	r = c->request;
	r->unsized = response->body_follows && response->body_len == IPC_LENGTH_UNKNOWN;
	r = answer_begin(f, c, response->status, response->reason,
		response->close || (r->unsized && r->old_http));
	r->since_us = response->since_us;
	for (size_t i = 0; i < response->header_count; i++) {
		if (!is_ours(response->headers[i].name))
			http_response_header(
				&r->out, response->headers[i].name, response->headers[i].value);
	}
	if (response->status == 204 || response->status == 304) {
		http_response_end_bare(&r->out);
		return answer_send(f, c);
	}
	if (!response->body_follows)
		return answer_end(f, c, response->body, (size_t)response->body_len);
	if (r->unsized)
		http_response_end_unsized(&r->out, !r->old_http);
	else
		http_response_end(&r->out, response->body_len);
	r->answer_left = response->body_len;
	r->uncredited = -(int64_t)r->out.len;
	conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	if (r->early.len > 0 || r->early_last) {
		struct buf early = r->early;
		struct ipc_body body = {
			.last = r->early_last, .bytes = early.data, .len = early.len};
		bool alive;

		r->early = (struct buf)BUF_INIT;
		alive = answer_on_bulk(f, c, &body);
		buf_deinit(&early);
		return alive;
	}
	return answer_flush(f, c);
}

bool answer_expiry(struct front *f, struct conn *c)
{
	struct request *r;
	const void *body;
	size_t len;

	if (!revive(f, c))
		return false;
	r = answer_begin(f, c, 200, NULL, false);
	renew_body(c, &body, &len);
	if (len > 0)
		http_response_header(&r->out, "Content-Type", RENEW_PING_TYPE);
	return answer_end(f, c, body, len);
}

static void add_body(struct request *r, const struct ipc_body *body)
{
	bool chunked = r->unsized && !r->old_http && !r->is_head;
	size_t before = r->out.len;

	r->answer_left -= body->len;
	if (r->is_head)
		r->uncredited += (int64_t)body->len;
	else if (chunked)
		http_chunk_add(&r->out, body->bytes, body->len);
	else
		buf_add(&r->out, body->bytes, body->len);
	if (r->unsized && body->last) {
		r->answer_left = 0;
		if (chunked)
			http_chunk_end(&r->out);
	}
	/* What frames the chunks is not the engine's. */
	if (chunked)
		r->uncredited -= (int64_t)(r->out.len - before - body->len);
}

bool answer_on_bulk(struct front *f, struct conn *c, const struct ipc_body *body)
{
	struct request *r = c->request;

	if (body->aborted || (r->answered && body->len > r->answer_left)) {
		log_warn(&f->lc, "answer_cut",
			F_STR("reason", body->aborted ? "aborted" : "too long"));
		if (!r->answered)
			return answer_local(f, c, 502, true);
		conn_close(f, c);
		return false;
	}
	if (!r->answered) {
		buf_add(&r->early, body->bytes, body->len);
		r->early_last = body->last;
	} else {
		add_body(r, body);
	}
	request_charge(f, r);
	if (r->early.failed || r->out.failed || front_short_of_memory(f, 0)) {
		log_warn(&f->lc, "answer_cut", F_STR("reason", "memory"));
		conn_close(f, c);
		return false;
	}
	return r->answered ? answer_flush(f, c) : true;
}

/* ---- writing ---- */

static void give_credit(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	struct ipc_frame frame = {.type = IPC_CREDIT};

	if (r->answer_left == 0 || r->uncredited <= 0 ||
		(r->uncredited < CREDIT_BYTES && r->out.len > 0))
		return;
	frame.amount = (struct ipc_amount){
		conn_handle(f, c, r->number), (uint32_t)MIN(r->uncredited, (int64_t)UINT32_MAX)};
	link_send(f, &frame);
	r->uncredited -= frame.amount.bytes;
}

static bool answer_finish(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	if (!r->keep_alive) {
		conn_linger(f, c);
		return false;
	}
	conn_enter_idle(f, c);
	if (r->rest.len > 0) {
		buf_deinit(&r->out);
		request_charge(f, r);
		front_again(f, c);
		return true;
	}
	request_free(f, c);
	if (c->input_seen)
		front_again(f, c);
	return true;
}

bool answer_flush(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	while (r->out_at < r->out.len) {
		int64_t n = net_stream_write(
			&c->stream, r->out.data + r->out_at, r->out.len - r->out_at);

		if (n == NET_AGAIN)
			break;
		if (n < 0) {
			conn_close(f, c);
			return false;
		}
		r->out_at += (size_t)n;
		r->moved += (uint64_t)n;
		if (r->answered)
			r->uncredited += n;
		f->counters[COUNT_bytes_out] += (uint64_t)n;
	}
	if (r->out_at == r->out.len || r->out_at >= COMPACT_BYTES) {
		buf_drop(&r->out, r->out_at);
		r->out_at = 0;
	}
	if (c->state != CONN_ANSWER)
		return true;
	give_credit(f, c);
	if (r->out.len > 0 || r->answer_left > 0)
		return true;
	count_push(f, r);
	return answer_finish(f, c);
}

bool answer_interim(struct front *f, struct conn *c)
{
	buf_add_str(&c->request->out, "HTTP/1.1 100 Continue\r\n\r\n");
	request_charge(f, c->request);
	return answer_flush(f, c);
}
