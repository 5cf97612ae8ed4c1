/*
 * The bytes of a request as they come in: heads, which say where it goes, and bodies, gathered or
 * passed on.
 *
 * Limits: http_header_max_bytes, http_body_max_bytes, http_buffer_max_bytes over all requests; per
 * request one head, IPC_INLINE_BODY_MAX and one scratch of body, one scratch of rest.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/request_internal.h"

/* ---- bodies ---- */

static bool refuse_body(struct front *f, struct conn *c, int status)
{
	front_count(f, requests_bad);
	return answer_local(f, c, status, true);
}

static bool refuse_size(struct front *f, struct conn *c, int status, const char *why)
{
	front_count(f, refused);
	front_count(f, refused_size);
	request_log_refused(f, c, why);
	return refuse_body(f, c, status);
}

/* len decoded bytes of the body. */
static bool take_body(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	struct request *r = c->request;
	size_t direct = 0;

	r->body_seen += len;
	if (r->body_seen > f->settings->http_body_max_bytes)
		return refuse_size(f, c, 413, "http.body_max_bytes");
	if (c->state == CONN_BODY && r->body.len + len > IPC_INLINE_BODY_MAX) {
		if (!request_upload_begin(f, c))
			return false;
		if (c->state != CONN_UPLOAD)
			return true;
	}
	/* The usual upload: nothing waits, there is credit, the bytes go straight through. */
	if (c->state == CONN_UPLOAD && r->body.len == 0 && r->granted > 0 && link_bulk_room(f)) {
		direct = MIN(MIN(len, r->granted), IPC_BULK_CHUNK);
		request_send_body(f, c, bytes, direct, false);
	}
	if (direct < len)
		buf_add(&r->body, bytes + direct, len - direct);
	if (r->body.failed)
		return answer_unavailable(f, c, true);
	/* Also when nothing is left: a full link must be noted, or nobody reads on when it drains.
	 */
	return c->state == CONN_UPLOAD ? request_upload_flush(f, c) : true;
}

static bool body_end(struct front *f, struct conn *c)
{
	c->request->body_done = true;
	return c->state == CONN_BODY ? request_complete(f, c) : request_upload_flush(f, c);
}

/* An answer may have come in between. */
static bool still_taking(const struct conn *c)
{
	return c->state == CONN_BODY || c->state == CONN_UPLOAD;
}

static bool counted_input(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, size_t *ret_used)
{
	struct request *r = c->request;
	size_t n = (size_t)MIN((uint64_t)len, r->wire_left);

	*ret_used = n;
	r->moved += n;
	r->wire_left -= n;
	if (!take_body(f, c, bytes, n))
		return false;
	if (still_taking(c) && r->wire_left == 0)
		return body_end(f, c);
	return true;
}

static bool chunked_input(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, size_t *ret_used)
{
	struct request *r = c->request;
	const uint8_t *piece = NULL;
	size_t used = 0, piece_len = 0;
	enum http_chunked_result result =
		http_chunked_next(&r->chunked, bytes, len, &used, &piece, &piece_len);

	*ret_used = used;
	r->moved += used;
	switch (result) {
	case HTTP_CHUNKED_PIECE:
		return take_body(f, c, piece, piece_len);
	case HTTP_CHUNKED_DONE:
		return body_end(f, c);
	case HTTP_CHUNKED_MORE:
		return true;
	case HTTP_CHUNKED_BAD:
		break;
	}
	return refuse_body(f, c, 400);
}

/* ---- heads ---- */

/* Without a request, which would need memory. */
static void answer_busy(struct front *f, struct conn *c)
{
	char busy[160];
	int len = snprintf(busy, sizeof(busy),
		"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %u\r\n"
		"Connection: close\r\nContent-Length: 0\r\n\r\n",
		shared_retry_s(f->shared, clock_now_ms()));

	(void)net_stream_write(&c->stream, busy, (size_t)len);
	front_count(f, requests_503);
}

static bool begin(struct front *f, struct conn *c)
{
	if (front_short_of_memory(f, sizeof(struct request)) || request_new(f, c) == NULL) {
		answer_busy(f, c);
		conn_linger(f, c);
		return false;
	}
	c->request->idle_until_ms = c->deadline_ms;
	conn_enter(f, c, CONN_HEAD);
	conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	return true;
}

static bool is_asked_for(const struct http_request *q, const char *path)
{
	size_t len = strcspn(q->target, "?");

	return len == strlen(path) && memcmp(q->target, path, len) == 0;
}

/* "?hold=SECONDS": 0 when it is not there, or more than may be. */
static uint64_t hold_asked_s(const struct front *f, const struct http_request *q)
{
	const char *at = strchr(q->target, '?');
	struct err ignored = ERR_INIT;
	uint64_t seconds = 0;

	if (at == NULL || !str_starts(at, "?hold=") ||
		str_parse_u64(at + strlen("?hold="), f->settings->http_hold_max_s, &seconds,
			&ignored) < 0)
		return 0;
	return seconds;
}

/*
 * For the doctor, who measures how long a silent request survives on its way here: it is answered
 * when the time is over, as a Ping would be. A few at once; it costs what a parked phone costs, and
 * a request object.
 */
static bool healthz(struct front *f, struct conn *c, bool close)
{
	uint64_t hold_s = hold_asked_s(f, &c->request->http);

	park_forget(f, c);
	if (strstr(c->request->http.target, "?hold=") == NULL)
		return answer_local(f, c, 200, close);
	if (hold_s == 0 || f->holding >= f->settings->http_holds_max || close || f->stopping)
		return answer_unavailable(f, c, close);
	f->holding++;
	c->request->holding = true;
	conn_enter(f, c, CONN_ENGINE);
	conn_set_deadline(f, c, (int64_t)hold_s * 1000);
	return true;
}

static bool gather_body(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	bool counted = !r->http.chunked;

	if (counted && (front_short_of_memory(f, r->wire_left) ||
			       !buf_reserve(&r->body, (size_t)r->wire_left)))
		return answer_unavailable(f, c, true);
	r->checked_ms = clock_now_ms();
	conn_enter(f, c, CONN_BODY);
	conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	request_charge(f, r);
	if (r->continue_due) {
		r->continue_due = false;
		return answer_interim(f, c);
	}
	return true;
}

/* What to do with a good head. */
static bool head_route(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	int64_t length = r->http.content_length;

	r->keep_alive = r->http.keep_alive;
	r->old_http = r->http.minor == 0;
	r->is_head = str_eq(r->http.method, "HEAD");
	r->is_read = r->is_head || str_eq(r->http.method, "GET");
	r->continue_due = r->http.expect_continue;
	r->body_done = length == 0;
	if (length > 0 && (uint64_t)length > f->settings->http_body_max_bytes)
		return refuse_size(f, c, 413, "http.body_max_bytes");
	if (c->refused)
		return answer_unavailable(f, c, true);
	if (r->is_read && is_asked_for(&r->http, "/healthz"))
		return healthz(f, c, length != 0);
	if (r->is_read && is_asked_for(&r->http, "/readyz"))
		r->answer_by_ms = clock_now_ms() + (int64_t)f->settings->web_ready_timeout_s * 1000;
	if (length == 0)
		return request_complete(f, c);
	r->wire_left = length > 0 ? (uint64_t)length : 0;
	if (length > (int64_t)IPC_INLINE_BODY_MAX || (length < 0 && r->continue_due))
		return request_upload_begin(f, c);
	return gather_body(f, c);
}

static bool head_complete(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	struct err err = ERR_INIT;
	char address[NET_ADDRESS_TEXT];
	int status = 400;

	front_count(f, requests);
	r->number = front_next_number(f);
	renew_print_head(f, r);
	r->is_api = http_head_is_api(r->in.data, r->in.len);
	if (http_head_parse(r->in.data, r->in.len, &r->http, &status, &err) < 0) {
		struct log_context lc = conn_log(f, c, address);

		if (status == 431)
			return refuse_size(f, c, status, err.text);
		front_count(f, requests_bad);
		log_debug(&lc, "request_refused", F_INT("status", status), F_ERR(&err));
		return answer_local(f, c, status, true);
	}
	return head_route(f, c);
}

/* No head holds control characters but these three: what does will never become one. */
static bool is_no_head(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
			return true;
	}
	return false;
}

static bool head_input(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, size_t *ret_used)
{
	struct request *r = c->request;
	size_t limit = f->settings->http_header_max_bytes;
	size_t n = MIN(len, limit + 1 - r->in.len), blank, head_len;

	*ret_used = n;
	buf_add(&r->in, bytes, n);
	request_charge(f, r);
	if (r->in.failed)
		return answer_unavailable(f, c, true);
	blank = http_head_blank(r->in.data, r->in.len);
	if (blank > 0) {
		buf_drop(&r->in, blank);
		r->scan = 0;
	}
	if (r->in.len == 0) { /* nothing but empty lines: no request has begun */
		int64_t idle_until_ms = r->idle_until_ms;

		request_free(f, c);
		conn_enter(f, c, CONN_IDLE);
		conn_set_deadline_at(f, c, idle_until_ms);
		return true;
	}
	head_len = http_head_end(r->in.data, r->in.len, &r->scan);
	if (head_len > limit || (head_len == 0 && r->in.len > limit))
		return refuse_size(f, c, 431, "http.header_max_bytes");
	if (head_len == 0) {
		if (!is_no_head(bytes, n))
			return true;
		front_count(f, requests_bad);
		return answer_local(f, c, 400, true);
	}
	*ret_used = n - (r->in.len - head_len);
	r->in.len = head_len;
	return head_complete(f, c);
}

/* ---- input ---- */

bool request_wants_input(const struct front *f, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
		return c->request == NULL;
	case CONN_PROXY:
	case CONN_HEAD:
	case CONN_BODY:
		return true;
	case CONN_UPLOAD:
		return c->request->granted > c->request->body.len && link_bulk_room(f) &&
		       !c->request->body_done;
	case CONN_HANDSHAKE:
	case CONN_ENGINE:
	case CONN_PARKED:
	case CONN_ANSWER:
	case CONN_PASSED:
	case CONN_LINGER:
		break;
	}
	return false;
}

/* Bytes behind the request that is being worked on. */
static bool keep_rest(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	if (c->state == CONN_PARKED) { /* a phone that waits has nothing to say */
		conn_close(f, c);
		return false;
	}
	if (c->request == NULL || (c->request->answered && !c->request->keep_alive))
		return true;
	buf_add(&c->request->rest, bytes, len);
	request_charge(f, c->request);
	if (c->request->rest.failed) {
		conn_close(f, c);
		return false;
	}
	return true;
}

bool request_input(struct front *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	bool alive = true;

	while (alive && len > 0) {
		size_t used = 0;

		switch ((enum conn_state)c->state) {
		case CONN_IDLE:
			alive = begin(f, c);
			break;
		case CONN_HEAD:
			alive = head_input(f, c, bytes, len, &used);
			break;
		case CONN_BODY:
		case CONN_UPLOAD:
			if (c->request->body_done)
				return keep_rest(f, c, bytes, len);
			alive = c->request->http.chunked ? chunked_input(f, c, bytes, len, &used)
							 : counted_input(f, c, bytes, len, &used);
			break;
		case CONN_PROXY:
		case CONN_HANDSHAKE:
		case CONN_ENGINE:
		case CONN_PARKED:
		case CONN_ANSWER:
		case CONN_PASSED:
		case CONN_LINGER:
			return keep_rest(f, c, bytes, len);
		}
		bytes += used;
		len -= used;
	}
	return alive;
}

bool request_resume(struct front *f, struct conn *c)
{
	struct buf rest = c->request->rest;
	bool alive;

	c->request->rest = (struct buf)BUF_INIT;
	request_free(f, c);
	alive = request_input(f, c, rest.data, rest.len);
	buf_deinit(&rest);
	return alive && c->input_seen ? conn_read(f, c) : alive;
}
