/*
 * The link to the engine: two Unix sockets, one for control frames and one for bulk bytes, and what
 * to do when they break.
 *
 * Frames are gathered and written once per round of the loop. Both sockets live and die together.
 * When they die, requests in flight are answered 503, phones stay parked, and the front tries again
 * with back-off; the new engine is told of each watch by REGISTER, REGISTER_BATCH every
 * REGISTER_PACE_MS. A watch knows the number of the engine that knows it (conn.watch_engine), so
 * that one which was parked meanwhile is not told twice.
 *
 * The link is up when the engine has answered HELLO on both sockets and so named the version that
 * both speak. An engine of version 1 hangs up on our HELLO: every third attempt speaks its version,
 * to which there is no answer. An engine that said BYE stopped in order; the small requests that it
 * has not answered were not begun and wait for the next one.
 *
 * Nothing here is called back while a frame is being worked on: sending only gathers, so a
 * connection cannot lose the link under its feet.
 *
 * Limits: CONTROL_QUEUE_MAX bytes gathered for an engine that does not read (then requests are
 * held); BULK_QUEUE_MAX for bulk (then uploads pause).
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "front/front_internal.h"

#define READ_BYTES        (64u * 1024)
#define CONTROL_QUEUE_MAX (32u * 1024 * 1024)
#define BULK_QUEUE_MAX    (1024u * 1024)
#define BACKOFF_MIN_MS    20
#define BACKOFF_MAX_MS    1000
#define REGISTER_BATCH    1000
#define REGISTER_PACE_MS  10
#define OLD_VERSION_EVERY 3

static size_t queued(const struct channel *ch)
{
	return ch->out.len - ch->out_at;
}

bool link_ready(const struct front *f)
{
	return f->link.up && queued(&f->link.control) < CONTROL_QUEUE_MAX;
}

bool link_bulk_room(const struct front *f)
{
	return f->link.up && queued(&f->link.bulk) < BULK_QUEUE_MAX;
}

/* ---- losing it ---- */

static void channel_close(struct channel *ch)
{
	loop_fd_free(&ch->watch);
	net_stream_close(&ch->stream);
	buf_deinit(&ch->in);
	buf_deinit(&ch->out);
	ch->out_at = 0;
}

/* Each request that the engine had is answered now, as far as that is still possible; what it left
 * untouched in good order waits for the next one. */
static void fail_requests(struct front *f, bool in_order)
{
	LIST_FOREACH_SAFE(node, &f->requests) {
		struct request *r = LIST_ENTRY(node, struct request, all);
		struct conn *c = slab_get(f->conns, r->slot);

		if (r->answered && r->answer_left > 0)
			conn_close(f, c);
		else if (in_order && r->sent && !r->answered && !r->body_follows)
			request_hold_again(f, c);
		else if (r->sent && !r->answered)
			(void)answer_unavailable(f, c, false);
	}
}

static void close_both(struct front *f)
{
	struct engine_link *l = &f->link;

	l->up = l->greeting = false;
	channel_close(&l->control);
	channel_close(&l->bulk);
}

static void try_later(struct front *f)
{
	struct engine_link *l = &f->link;

	loop_timer_set(&l->retry, clock_now_ms() + l->backoff_ms);
	l->backoff_ms = MIN(l->backoff_ms * 2, BACKOFF_MAX_MS);
}

static void link_lost(struct front *f, const char *why)
{
	struct engine_link *l = &f->link;
	bool was_up = l->up, in_order = l->bye;

	close_both(f);
	loop_timer_clear(&l->pace);
	if (!was_up) {
		log_debug(&f->lc, "engine_unreachable", F_STR("reason", why));
		try_later(f);
		return;
	}
	l->lost_ms = clock_now_ms();
	l->attempts = 0;
	l->backoff_ms = BACKOFF_MIN_MS;
	try_later(f);
	if (in_order)
		log_info(&f->lc, "engine_stopped", F_UINT("parked", f->counters[COUNT_parked]));
	else
		log_warn(&f->lc, "engine_lost", F_STR("reason", why),
			F_UINT("parked", f->counters[COUNT_parked]));
	fail_requests(f, in_order);
}

/* ---- sending ---- */

void link_send(struct front *f, const struct ipc_frame *frame)
{
	struct channel *ch = frame->type == IPC_BODY ? &f->link.bulk : &f->link.control;

	if (f->link.up)
		ipc_encode_for(frame, f->link.version, &ch->out);
}

void link_send_handle(struct front *f, enum ipc_type type, const struct conn *c, uint32_t number)
{
	struct ipc_frame frame = {.type = type};

	frame.handle = conn_handle(f, c, number);
	link_send(f, &frame);
}

/* False: broken. */
static bool channel_flush(struct channel *ch)
{
	struct err err = ERR_INIT;

	while (queued(ch) > 0) {
		int64_t n = net_stream_write(&ch->stream, ch->out.data + ch->out_at, queued(ch));

		if (n == NET_AGAIN)
			break;
		if (n < 0)
			return false;
		ch->out_at += (size_t)n;
	}
	if (ch->quiet && loop_fd_want_write(ch->watch, queued(ch) > 0, &err) < 0)
		return false;
	if (queued(ch) == 0 || ch->out_at > BULK_QUEUE_MAX) {
		buf_drop(&ch->out, ch->out_at);
		ch->out_at = 0;
	}
	/* A burst must not keep its memory. */
	if (ch->out.len == 0 && ch->out.cap > BULK_QUEUE_MAX)
		buf_deinit(&ch->out);
	return true;
}

/* Requests that waited for an engine, or for this one to read. */
static void hand_over(struct front *f)
{
	while (link_ready(f) && !list_empty(&f->held)) {
		struct request *r = LIST_ENTRY(f->held.next, struct request, queued);

		(void)request_hand_over(f, slab_get(f->conns, r->slot));
	}
}

void link_flush(struct front *f)
{
	struct engine_link *l = &f->link;

	if (!l->up) {
		if (l->greeting && (!channel_flush(&l->control) || !channel_flush(&l->bulk)))
			link_lost(f, "write failed");
		return;
	}
	hand_over(f);
	if (l->control.out.failed || l->bulk.out.failed) {
		link_lost(f, "memory");
		return;
	}
	if (!channel_flush(&l->control) || !channel_flush(&l->bulk)) {
		link_lost(f, "write failed");
		return;
	}
	if (link_bulk_room(f)) {
		LIST_FOREACH_SAFE(node, &f->paused) {
			struct request *r = LIST_ENTRY(node, struct request, queued);

			list_remove(node);
			front_again(f, slab_get(f->conns, r->slot));
		}
	}
}

/* ---- receiving ---- */

static void link_found(struct front *f);

/* The connection that a frame about a request in flight means; NULL: it is gone, drop the frame. */
static struct conn *in_flight(struct front *f, const struct ipc_handle *handle)
{
	struct conn *c = conn_find(f, handle);

	return c != NULL && c->request != NULL && c->request->number == handle->request &&
			       c->request->sent
		       ? c
		       : NULL;
}

static void on_response(struct front *f, const struct ipc_response *response)
{
	struct conn *c = in_flight(f, &response->handle);

	if (c != NULL && !c->request->answered)
		(void)answer_engine(f, c, response);
}

static void on_drop(struct front *f, const struct ipc_handle *handle)
{
	struct conn *c = conn_find(f, handle);

	if (c == NULL)
		return;
	if (c->watch == handle->request) {
		c->watch = 0;
		conn_close(f, c);
	} else if ((c = in_flight(f, handle)) != NULL) {
		c->request->answered = true;
		conn_close(f, c);
	}
}

static bool on_control_frame(struct front *f, const struct ipc_frame *frame)
{
	struct conn *c;

	switch (frame->type) {
	case IPC_RESPONSE:
		on_response(f, &frame->response);
		return true;
	case IPC_PARK:
		park_on_park(f, &frame->park);
		return true;
	case IPC_WAKE:
		/* Before its PARK it is an answer like any other. */
		c = in_flight(f, &frame->response.handle);
		if (c != NULL && !c->request->answered)
			on_response(f, &frame->response);
		else
			park_on_wake(f, &frame->response);
		return true;
	case IPC_STALE:
		park_on_stale(f, &frame->handle);
		return true;
	case IPC_GRANT:
		c = in_flight(f, &frame->amount.handle);
		if (c != NULL)
			(void)request_on_grant(f, c, frame->amount.bytes);
		return true;
	case IPC_DROP:
		on_drop(f, &frame->handle);
		return true;
	case IPC_STATS:
		front_send_stats(f);
		return true;
	case IPC_BYE:
		f->link.bye = true;
		return true;
	case IPC_UNKNOWN:
	case IPC_HELLO:
	case IPC_REQUEST:
	case IPC_BODY:
	case IPC_CREDIT:
	case IPC_GONE:
	case IPC_REGISTER:
	case IPC_WAITED:
		break;
	}
	return false;
}

/* The engine's answer: the version that both speak. */
static bool on_hello(struct front *f, struct channel *ch, const struct ipc_hello *hello)
{
	struct engine_link *l = &f->link;

	if (ch->greeted || hello->version < IPC_VERSION_MIN || hello->version > IPC_VERSION)
		return false;
	ch->greeted = true;
	l->version = hello->version;
	if (l->control.greeted && l->bulk.greeted)
		link_found(f);
	return true;
}

static bool on_frame(struct front *f, struct channel *ch, const struct ipc_frame *frame)
{
	struct conn *c;

	if (frame->type == IPC_HELLO)
		return on_hello(f, ch, &frame->hello);
	if (!ch->greeted)
		return false;
	if (frame->type == IPC_UNKNOWN)
		return true;
	if (ch == &f->link.control)
		return on_control_frame(f, frame);
	if (frame->type != IPC_BODY)
		return false;
	c = in_flight(f, &frame->body.handle);
	if (c != NULL && (!c->request->answered || c->request->answer_left > 0))
		(void)answer_on_bulk(f, c, &frame->body);
	return true;
}

/* False: garbage. */
static bool take_frames(struct front *f, struct channel *ch)
{
	struct err err = ERR_INIT;
	size_t at = 0;
	int rc;

	for (;;) {
		struct ipc_frame frame;
		size_t used = 0;

		rc = ipc_decode(ch->in.data + at, ch->in.len - at, &frame, &used, &err);
		if (rc <= 0)
			break;
		at += used;
		if (!on_frame(f, ch, &frame)) {
			rc = err_set(&err, ERR_BAD_INPUT, "frame of type %d may not come here",
				(int)frame.type);
			break;
		}
	}
	if (rc < 0) {
		log_error(&f->lc, "engine_frame_bad", F_STR("channel", ch->name), F_ERR(&err));
		return false;
	}
	buf_drop(&ch->in, at);
	return true;
}

/* A read that got less than it had room for has emptied the socket, and what comes then is another
 * event; only the engine's end may stand behind the bytes already. */
static void channel_event(struct front *f, struct channel *ch, unsigned events)
{
	bool to_the_end = (events & (LOOP_HANGUP | LOOP_ERROR)) != 0;

	for (;;) {
		int64_t n;

		if (!buf_reserve(&ch->in, READ_BYTES)) {
			link_lost(f, "memory");
			return;
		}
		n = net_stream_read(&ch->stream, ch->in.data + ch->in.len, READ_BYTES);
		if (n == NET_AGAIN)
			break;
		if (n <= 0) {
			link_lost(f, n == NET_EOF ? "closed" : "read failed");
			return;
		}
		ch->in.len += (size_t)n;
		if (!take_frames(f, ch)) {
			link_lost(f, "bad frame");
			return;
		}
		if (!ch->stream.more && !to_the_end)
			break;
	}
	if (ch->in.len == 0)
		buf_deinit(&ch->in);
}

static void on_control(void *owner, unsigned events)
{
	struct front *f = owner;

	channel_event(f, &f->link.control, events);
}

static void on_bulk(void *owner, unsigned events)
{
	struct front *f = owner;

	channel_event(f, &f->link.bulk, events);
}

/* ---- finding it ---- */

static int channel_open(struct front *f, struct channel *ch, enum ipc_channel which,
	loop_fd_fn on_event, struct err *err)
{
	struct ipc_frame hello = {
		.type = IPC_HELLO, .hello = {f->link.version, f->options.number, which}};
	int fd;

	ch->name = which == IPC_CHANNEL_CONTROL ? "engine control" : "engine bulk";
	ch->quiet = which == IPC_CHANNEL_CONTROL;
	if (net_connect_unix(f->engine_path, &fd, err) < 0)
		return -1;
	if (net_stream_init(&ch->stream, fd, NULL, err) < 0)
		return -1;
	if (loop_fd_new(f->loop, fd, ch->name, on_event, f, &ch->watch, err) < 0)
		return -1;
	loop_fd_set_urgent(ch->watch); /* news for phones come here */
	buf_init(&ch->in, IPC_FRAME_MAX + 2 * READ_BYTES);
	buf_init(&ch->out, 0);
	ch->greeted = f->link.version < 2;
	ipc_encode(&hello, &ch->out);
	return 0;
}

static void link_found(struct front *f)
{
	struct engine_link *l = &f->link;
	int64_t now_ms = clock_now_ms();

	l->up = true;
	l->greeting = l->bye = false;
	l->backoff_ms = BACKOFF_MIN_MS;
	f->engine_epoch++;
	l->register_next = 0;
	front_count(f, engine_connects);
	log_info(&f->lc, "engine_connected", F_UINT("parked", f->counters[COUNT_parked]),
		F_INT("away_ms", f->engine_epoch > 1 ? now_ms - l->lost_ms : 0));
	loop_timer_set(&l->pace, now_ms);
	adopt_on_engine(f);
}

static void on_retry(void *owner)
{
	struct front *f = owner;
	struct engine_link *l = &f->link;
	struct err err = ERR_INIT;

	l->version = l->attempts % OLD_VERSION_EVERY == OLD_VERSION_EVERY - 1 ? IPC_VERSION_MIN
									      : IPC_VERSION;
	if (channel_open(f, &l->control, IPC_CHANNEL_CONTROL, on_control, &err) < 0 ||
		channel_open(f, &l->bulk, IPC_CHANNEL_BULK, on_bulk, &err) < 0) {
		log_debug(&f->lc, "engine_unreachable", F_ERR(&err));
		close_both(f);
		try_later(f);
		return;
	}
	/* Only who was connected says something of versions. */
	l->attempts++;
	l->greeting = true;
	if (l->control.greeted)
		link_found(f);
}

/* ---- telling a new engine who waits ---- */

/* before: the handle under which the living engine may know the watch; NULL: it cannot. */
static void send_register(struct front *f, struct conn *c, const struct ipc_handle *before)
{
	struct ipc_frame frame = {.type = IPC_REGISTER};
	struct ipc_register *g = &frame.reg;
	int64_t left_ms = c->deadline_ms - clock_now_ms();

	g->handle = conn_handle(f, c, c->watch);
	g->parked = c->state == CONN_PARKED;
	g->left_s = g->parked && left_ms > 0 ? (uint32_t)((left_ms + 999) / 1000) : 0;
	g->expiry = (enum ipc_expiry)c->expiry;
	g->cookie_len = c->cookie_len;
	memcpy(g->cookie, c->cookie, c->cookie_len);
	g->stale = c->stale;
	if (before != NULL) {
		g->moved = true;
		g->before = *before;
	}
	link_send(f, &frame);
	c->watch_engine = f->engine_epoch;
	front_count(f, registered);
}

void link_send_moved(struct front *f, struct conn *c, const struct ipc_handle *before)
{
	if (f->link.up)
		send_register(f, c, before);
}

static void on_pace(void *owner)
{
	struct front *f = owner;
	struct engine_link *l = &f->link;
	uint32_t sent = 0, slots = slab_slots(f->conns);

	while (l->register_next < slots && sent < REGISTER_BATCH && link_ready(f)) {
		struct conn *c = slab_get(f->conns, l->register_next++);

		if (c == NULL || c->watch == 0 || c->watch_engine == f->engine_epoch)
			continue;
		send_register(f, c, NULL);
		sent++;
	}
	if (l->register_next < slots)
		loop_timer_set(&l->pace, clock_now_ms() + REGISTER_PACE_MS);
}

void link_start(struct front *f)
{
	struct engine_link *l = &f->link;

	l->control.stream.fd = l->bulk.stream.fd = -1;
	l->backoff_ms = BACKOFF_MIN_MS;
	loop_timer_init(&l->retry, f->loop, "engine retry", on_retry, f);
	loop_timer_init(&l->pace, f->loop, "engine register", on_pace, f);
	loop_timer_set(&l->retry, clock_now_ms());
}

void link_stop(struct front *f)
{
	struct engine_link *l = &f->link;

	if (l->retry.loop == NULL)
		return;
	if (l->up)
		link_flush(f);
	l->up = false;
	loop_timer_clear(&l->retry);
	loop_timer_clear(&l->pace);
	channel_close(&l->control);
	channel_close(&l->bulk);
}
