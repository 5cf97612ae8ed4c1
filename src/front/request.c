/*
 * Requests: the object, and its ways to the engine. request_input.c is how its bytes come in.
 *
 * Owns: struct request, which lives from the first byte of a request to the last of its answer. Its
 * buffers: `in` for the head, `body` for what is gathered or waits for credit, `rest` for bytes
 * behind the request. A small request is kept until it is answered, for an engine may stop without
 * having begun it.
 *
 * Three ways to the engine: no body, or one of at most IPC_INLINE_BODY_MAX: whole in the REQUEST. A
 * larger one, or one of unknown length whose client waits for 100 Continue: REQUEST first, then
 * BODY as the engine grants. A chunked one: gathered; when it grows too large it becomes an upload.
 * While no engine is there requests are held for HOLD_MS.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "front/request_internal.h"

#define HOLD_MS        5000
#define ENGINE_WAIT_MS 600000

_Static_assert(HTTP_HEADERS_MAX <= IPC_HEADERS_MAX, "every head fits into a frame");

/* ---- the object ---- */

struct request *request_new(struct front *f, struct conn *c)
{
	struct request *r = mem_try_alloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	list_init(&r->queued);
	list_append(&f->requests, &r->all);
	r->slot = c->slot;
	r->body.max = IPC_INLINE_BODY_MAX + SCRATCH_BYTES;
	r->rest.max = SCRATCH_BYTES;
	r->early.max = IPC_BULK_CREDIT + IPC_BULK_CHUNK;
	c->request = r;
	request_charge(f, r);
	return r;
}

void request_charge(struct front *f, struct request *r)
{
	size_t now = sizeof(*r) + r->in.cap + r->body.cap + r->rest.cap + r->early.cap + r->out.cap;

	f->buffered += now - r->charged;
	r->charged = now;
}

void request_tell_gone(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	if (!r->sent)
		return;
	if (r->answered) { /* what the engine still has of a large answer nobody takes any more */
		if (r->answer_left > 0)
			link_send_handle(f, IPC_GONE, c, r->number);
		r->answer_left = 0;
		return;
	}
	if (r->body_follows && c->state == CONN_UPLOAD) {
		struct ipc_frame frame = {.type = IPC_BODY};

		frame.body.handle = conn_handle(f, c, r->number);
		frame.body.aborted = true;
		link_send(f, &frame);
	}
	link_send_handle(f, IPC_GONE, c, r->number);
	front_count(f, gone);
	r->answered = true;
}

void request_free(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	if (r == NULL)
		return;
	request_tell_gone(f, c);
	c->request = NULL;
	list_remove(&r->all);
	list_remove(&r->queued);
	buf_deinit(&r->in);
	buf_deinit(&r->body);
	buf_deinit(&r->rest);
	buf_deinit(&r->early);
	buf_deinit(&r->out);
	f->buffered -= r->charged;
	f->holding -= r->holding;
	mem_free(r);
}

/* ---- to the engine ---- */

static void send_request(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	struct ipc_frame frame = {.type = IPC_REQUEST};
	struct ipc_request *q = &frame.request;
	struct net_address client;
	char address[NET_ADDRESS_TEXT];

	forwarded_client(f->settings, &r->http, &c->address, &client);
	if (c->proxy == 0 && forwarded_is_by_proxy(f->settings, &r->http, &c->address))
		path_set_proxy(f, c, &c->address);
	q->handle = conn_handle(f, c, r->number);
	q->method = r->http.method;
	q->target = r->http.target;
	q->address = net_address_to_str(&client, address);
	q->served = c->served;
	q->tls = net_stream_is_tls(&c->stream) || forwarded_tls(f->settings, &r->http, &c->address);
	q->body_follows = r->body_follows;
	q->content_length = r->http.content_length;
	q->header_count = r->http.header_count;
	for (size_t i = 0; i < r->http.header_count; i++) {
		q->headers[i].name = r->http.headers[i].name;
		q->headers[i].value = r->http.headers[i].value;
	}
	if (!r->body_follows) {
		q->body = r->body.data;
		q->body_len = r->body.len;
	}
	link_send(f, &frame);
	r->sent = true;
	if (r->body_follows)
		buf_deinit(&r->in);
	request_charge(f, r);
}

bool request_is_late(const struct request *r)
{
	return r->answer_by_ms != 0 && clock_now_ms() >= r->answer_by_ms;
}

/*
 * People look at pages, and scripts have plans: both must hear of an engine that hangs, sooner than
 * a proxy on the way tells them something of its own. Phones send neither; their commands have
 * limits of their own, and a phone that is refused comes again with the same.
 */
static void limit_wait(struct front *f, struct request *r)
{
	if (r->answer_by_ms == 0 && (r->is_api || r->is_read))
		r->answer_by_ms =
			clock_now_ms() + (int64_t)f->settings->web_answer_timeout_s * 1000;
}

/* The engine has so long. Whoever asks whether it is well must hear of it also when it hangs. */
static void wait_for_engine(struct front *f, struct conn *c, int64_t from_now_ms)
{
	int64_t until_ms = clock_now_ms() + from_now_ms;

	if (c->request->answer_by_ms != 0)
		until_ms = MIN(until_ms, c->request->answer_by_ms);
	conn_set_deadline_at(f, c, until_ms);
}

/* Now, or as soon as there is an engine. */
static bool send_or_hold(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	if (link_ready(f)) {
		send_request(f, c);
		wait_for_engine(f, c,
			c->state == CONN_UPLOAD
				? (int64_t)f->settings->http_request_timeout_s * 1000
				: ENGINE_WAIT_MS);
		return true;
	}
	if (f->stopping)
		return answer_unavailable(f, c, true);
	list_append(&f->held, &r->queued);
	wait_for_engine(f, c, HOLD_MS);
	return true;
}

bool request_hand_over(struct front *f, struct conn *c)
{
	list_remove(&c->request->queued);
	c->request->checked_ms = clock_now_ms();
	return send_or_hold(f, c);
}

void request_hold_again(struct front *f, struct conn *c)
{
	struct request *r = c->request;

	r->sent = false;
	buf_deinit(&r->early);
	r->early_last = false;
	request_charge(f, r);
	list_remove(&r->queued);
	list_append(&f->held, &r->queued);
	wait_for_engine(f, c, HOLD_MS);
}

void request_log_refused(const struct front *f, const struct conn *c, const char *why)
{
	char address[NET_ADDRESS_TEXT];
	struct log_context lc = conn_log(f, c, address);

	log_warn(&lc, "request_refused", F_STR("reason", why));
}

/* Is it too much of something? Then it is answered, and *ret_alive says whether the connection
 * lives. */
static bool refuse_excess(struct front *f, struct conn *c, bool close, bool *ret_alive)
{
	uint32_t wait_s;
	const char *why = admit_request(f, c, &wait_s);

	if (why == NULL)
		return false;
	request_log_refused(f, c, why);
	*ret_alive = answer_later(f, c, close, wait_s);
	return true;
}

bool request_complete(struct front *f, struct conn *c)
{
	bool alive;

	c->request->body_done = true;
	c->request->print = renew_print(c->request);
	if (park_try_renew(f, c, &alive))
		return alive;
	park_forget(f, c);
	if (refuse_excess(f, c, false, &alive))
		return alive;
	limit_wait(f, c->request);
	conn_enter(f, c, CONN_ENGINE);
	return send_or_hold(f, c);
}

/* ---- uploads ---- */

void request_send_body(struct front *f, struct conn *c, const uint8_t *bytes, size_t len, bool last)
{
	struct request *r = c->request;
	struct ipc_frame frame = {.type = IPC_BODY};

	frame.body = (struct ipc_body){
		conn_handle(f, c, r->number), .last = last, .bytes = bytes, .len = len};
	link_send(f, &frame);
	r->granted -= len;
}

bool request_upload_flush(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	size_t at = 0;

	while (at < r->body.len && r->granted > 0 && link_bulk_room(f)) {
		size_t n = MIN(MIN(r->body.len - at, IPC_BULK_CHUNK), r->granted);
		bool last = r->body_done && at + n == r->body.len;

		request_send_body(f, c, r->body.data + at, n, last);
		at += n;
		if (last)
			conn_enter(f, c, CONN_ENGINE);
	}
	buf_drop(&r->body, at);
	if (c->state == CONN_UPLOAD && r->sent && r->body_done && r->body.len == 0) {
		request_send_body(f, c, NULL, 0, true);
		conn_enter(f, c, CONN_ENGINE);
	}
	if (c->state == CONN_ENGINE) {
		buf_deinit(&r->body);
		wait_for_engine(f, c, ENGINE_WAIT_MS);
	} else if (r->granted > 0 && !link_bulk_room(f)) {
		list_remove(&r->queued);
		list_append(&f->paused, &r->queued);
	}
	request_charge(f, r);
	return true;
}

bool request_upload_begin(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	bool alive;

	park_forget(f, c);
	if (refuse_excess(f, c, true, &alive))
		return alive;
	if (front_short_of_memory(f, IPC_INLINE_BODY_MAX))
		return answer_unavailable(f, c, true);
	r->body_follows = true;
	r->moved = 0;
	r->checked_ms = clock_now_ms();
	limit_wait(f, r);
	conn_enter(f, c, CONN_UPLOAD);
	return send_or_hold(f, c);
}

bool request_on_grant(struct front *f, struct conn *c, uint32_t bytes)
{
	struct request *r = c->request;

	if (c->state != CONN_UPLOAD || !r->sent)
		return true;
	if (r->granted == 0 && bytes > 0) {
		/* The client's clock starts now. */
		r->moved = 0;
		r->checked_ms = clock_now_ms();
		conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
	}
	r->granted += bytes;
	if (r->continue_due && bytes > 0) {
		r->continue_due = false;
		if (!answer_interim(f, c))
			return false;
	}
	if (!request_upload_flush(f, c))
		return false;
	return c->input_seen ? conn_read(f, c) : true;
}
