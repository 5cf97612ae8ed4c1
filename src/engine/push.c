/*
 * Waiting phones: from a command's WAIT to PARK, from a mark to WAKE.
 *
 * Whatever the watches tell, on whichever thread, becomes an event in a queue that the loop empties
 * in order; so PARK, STALE and WAKE of one phone leave in the order in which they happened. A
 * certain change is answered on the loop from memory, anything else by a check on a worker. A check
 * ends in an answer, or the watch is parked again; marks that came meanwhile start the next check.
 *
 * Invariant: at most one check of a watch at a time (watch_check_begin() refuses a second). Jobs of
 * checks are never refused: a check lost would be a phone that sleeps over its mail.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_internal.h"
#include "net/listen.h"

enum event_kind { EVENT_MARKED, EVENT_ENDED, EVENT_STALE };

struct event {
	enum event_kind kind;
	enum watch_kind watch_kind;
	struct watch_id id;
	struct ipc_handle handle;
	int64_t at_us; /* when it was published */
};

struct push {
	struct engine *engine;
	struct loop_note note, timer_note;
	struct loop_timer flag_timer;
	pthread_mutex_t lock; /* the two below */
	struct event *events;
	size_t count, cap;
};

/* How a watch is parked. */
struct parking {
	struct watch_id watch;
	struct ipc_handle handle;
	bool send_park; /* the front does not hold it as parked yet, or is to be told anew */
	bool restored;  /* by REGISTER: answers are WAKEs */
	uint32_t heartbeat_s, renew_for_s;
	enum ipc_expiry expiry;
	uint8_t cookie[IPC_COOKIE_MAX];
	uint8_t cookie_len;
};

/* A look into the store for one watch. */
struct check {
	struct job job;
	struct engine *engine;
	struct arena *arena;
	const struct settings *settings;
	int64_t since_us;       /* what it looks for was published then; 0: not known */
	struct errand *request; /* that is not parked yet; NULL: a parked one */
	bool restore;           /* eas_watch_restore() with reg, else eas_watch_check() with view */
	struct watch_view view;
	struct ipc_register reg;
	struct parking parking;
	struct eas_reply reply;
};

static void on_events(struct loop_note *note);
static void on_arm_timer(struct loop_note *note);
static void on_flag_timer(void *owner);
static void park(struct engine *e, const struct parking *p, struct errand **request);
static void arm_timer(struct push *push);

struct push *push_new(struct engine *e)
{
	struct push *push = x_new(struct push);

	push->engine = e;
	push->note = (struct loop_note){.name = "push_events", .fn = on_events};
	push->timer_note = (struct loop_note){.name = "push_arm_timer", .fn = on_arm_timer};
	loop_timer_init(&push->flag_timer, e->loop, "push_flag_timer", on_flag_timer, push);
	(void)pthread_mutex_init(&push->lock, NULL);
	return push;
}

void push_free(struct push **p)
{
	struct push *push = *p;

	if (push == NULL)
		return;
	loop_timer_clear(&push->flag_timer);
	loop_post_cancel(push->engine->loop, &push->note);
	loop_post_cancel(push->engine->loop, &push->timer_note);
	(void)pthread_mutex_destroy(&push->lock);
	mem_free(push->events);
	mem_free(push);
	*p = NULL;
}

/* ---- from any thread ---- */

static void add_event(struct engine *e, const struct event *event)
{
	struct push *push = e->push;

	(void)pthread_mutex_lock(&push->lock);
	if (push->count == push->cap) {
		push->cap = MAX(push->cap * 2, 64);
		push->events = x_realloc(push->events, push->cap * sizeof(*push->events));
	}
	push->events[push->count++] = *event;
	(void)pthread_mutex_unlock(&push->lock);
	loop_post(e->loop, &push->note);
}

void push_on_marked(struct watch_id id, unsigned marks, void *owner)
{
	(void)marks; /* the view has them, with those that came since */
	add_event(owner, &(struct event){.kind = EVENT_MARKED, .id = id, .at_us = clock_now_us()});
}

void push_on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner)
{
	add_event(
		owner, &(struct event){.kind = EVENT_ENDED, .watch_kind = kind, .handle = *handle});
}

void push_on_stale(const struct ipc_handle *handle, void *owner)
{
	add_event(owner, &(struct event){.kind = EVENT_STALE, .handle = *handle});
}

void push_publish(const struct change_event *events, size_t count, void *owner)
{
	struct engine *e = owner;

	watches_publish(e->watches, events, count);
	if (watches_next_timer_ms(e->watches, clock_now_ms()) >= 0)
		loop_post(e->loop, &e->push->timer_note);
}

/* ---- answers ---- */

/* What the front says by itself when a heartbeat ends: Ping{Status 1}, or an empty Sync. */
static void fill_expiry(struct eas_reply *reply, enum ipc_expiry expiry)
{
	/* WBXML 1.3, UTF-8; page 13: Ping, Status "1". */
	static const uint8_t ping_over[] = {
		0x03, 0x01, 0x6a, 0x00, 0x00, 0x0d, 0x45, 0x47, 0x03, '1', 0x00, 0x01, 0x01};

	*reply = (struct eas_reply){.kind = EAS_REPLY_ANSWER, .status = 200, .reason = ""};
	if (expiry != IPC_EXPIRY_PING)
		return;
	reply->headers[reply->header_count++] =
		(struct ipc_header){"Content-Type", "application/vnd.ms-sync.wbxml"};
	buf_add(&reply->body, ping_over, sizeof(ping_over));
}

/* An answer too large for a frame (of a held Sync) takes the way of other large answers. */
static void send_large_wake(struct engine *e, const struct ipc_handle *handle,
	struct eas_reply *reply, int64_t since_us)
{
	struct front *front = engine_front(e, handle->front);
	struct errand *errand;

	if (front == NULL)
		return;
	errand = errand_new(e, front, handle);
	errand->wakes = true;
	errand->since_us = since_us;
	errand->reply = *reply;
	reply->body = (struct buf)BUF_INIT;
	errand_answer(&errand);
}

static void send_wake(struct engine *e, const struct ipc_handle *handle, struct eas_reply *reply,
	bool close, int64_t since_us)
{
	struct ipc_frame frame = {.type = IPC_WAKE};
	struct ipc_response *wake = &frame.response;

	if (reply->body.len > IPC_INLINE_BODY_MAX) {
		send_large_wake(e, handle, reply, since_us);
		return;
	}
	wake->handle = *handle;
	wake->status = (uint16_t)reply->status;
	wake->reason = reply->reason != NULL ? reply->reason : "";
	wake->close = close;
	wake->since_us = (uint64_t)since_us;
	wake->body = reply->body.data;
	wake->body_len = reply->body.len;
	wake->header_count = reply->header_count;
	memcpy(wake->headers, reply->headers, reply->header_count * sizeof(reply->headers[0]));
	engine_send(e, handle->front, &frame);
}

static void send_stale(struct engine *e, const struct ipc_handle *handle)
{
	struct ipc_frame frame = {.type = IPC_STALE, .handle = *handle};

	engine_send(e, handle->front, &frame);
}

/* ---- checks ---- */

static void check_free(struct check *c)
{
	buf_deinit(&c->reply.body);
	settings_unref(&c->settings);
	arena_free(&c->arena);
	mem_free(c);
}

static void run_check(struct job *job, void *thread_state)
{
	struct check *c = LIST_ENTRY(job, struct check, job);
	struct eas_server server = engine_eas(c->engine, c->settings);

	(void)thread_state;
	if (c->restore)
		eas_watch_restore(&server, c->arena, &c->reg, &c->reply);
	else
		eas_watch_check(&server, c->arena, &c->view, &c->reply);
}

/* The watch of a restored phone is known only now. */
static void take_restored(struct check *c)
{
	c->parking.watch = c->reply.watch;
	c->parking.expiry = c->reply.expiry;
	/* Of a parked phone what is left of its heartbeat; credentials were not seen, so the next
	 * Ping brings them here. */
	c->parking.heartbeat_s = c->reg.parked ? MAX(c->reg.left_s, 1) : c->reply.heartbeat_s;
	c->parking.cookie_len = c->reply.cookie_len;
	memcpy(c->parking.cookie, c->reply.cookie, sizeof(c->parking.cookie));
}

static void answer_check(struct check *c)
{
	struct engine *e = c->engine;
	bool ended = c->parking.watch.v != 0 && watch_end(e->watches, c->parking.watch, NULL);

	/* Somebody else ended it: a newer Ping of the device, or the phone went away. */
	if (!c->restore && !ended && c->request == NULL)
		return;
	if (c->parking.restored || c->request == NULL) {
		send_wake(e, &c->parking.handle, &c->reply, false, c->since_us);
		return;
	}
	buf_deinit(&c->request->reply.body);
	c->request->reply = c->reply;
	c->reply.body = (struct buf)BUF_INIT;
	/* Its strings live in the check's arena, which ends after the frame is made. */
	errand_answer(&c->request);
}

static void on_check_done(struct job *job, bool cancelled)
{
	struct check *c = LIST_ENTRY(job, struct check, job);
	bool gone = c->request != NULL && (c->request->gone || c->request->front == NULL);
	struct engine *e = c->engine;
	bool restored = c->restore;

	if (c->restore && !cancelled)
		take_restored(c);
	if (gone || cancelled) {
		/* When the engine stops, the front keeps the phone and tells the next one. */
		if (c->parking.watch.v != 0)
			(void)watch_end(c->engine->watches, c->parking.watch, NULL);
	} else if (c->reply.kind == EAS_REPLY_ANSWER) {
		answer_check(c);
	} else {
		park(c->engine, &c->parking, &c->request);
	}
	errand_free(&c->request);
	check_free(c);
	if (restored)
		restores_done(e->restores);
}

static struct check *check_new(struct engine *e, const struct parking *p, struct errand *request)
{
	struct check *c = x_new(struct check);

	c->job = (struct job){.name = "check", .run = run_check, .done = on_check_done};
	c->engine = e;
	c->arena = arena_new(0);
	c->settings = settings_ref(e->settings);
	c->request = request;
	c->parking = *p;
	return c;
}

/* ---- parking ---- */

struct park_call {
	struct engine *engine;
	const struct parking *parking;
};

/* Under the lock of the watches: only queues bytes. */
static void send_park(void *arg)
{
	const struct park_call *call = arg;
	const struct parking *p = call->parking;
	struct ipc_frame frame = {.type = IPC_PARK};

	if (!p->send_park)
		return;
	frame.park = (struct ipc_park){.handle = p->handle,
		.heartbeat_s = p->heartbeat_s,
		.expiry = p->expiry,
		.renew_for_s = p->renew_for_s,
		.cookie_len = p->cookie_len};
	memcpy(frame.park.cookie, p->cookie, p->cookie_len);
	engine_send(call->engine, p->handle.front, &frame);
}

/* Its device began another watch while this one was being checked: one that was parked was told by
 * on_ended. */
static void answer_superseded(struct engine *e, const struct parking *p, struct errand **request)
{
	struct eas_reply reply;

	if (*request == NULL)
		return;
	fill_expiry(&reply, p->expiry);
	if (p->restored) {
		send_wake(e, &p->handle, &reply, true, 0);
		buf_deinit(&reply.body);
		return;
	}
	buf_deinit(&(*request)->reply.body);
	(*request)->reply = reply;
	errand_answer(request);
}

/* request: of a watch that was not parked before, else NULL inside; taken when it goes on to a
 * check or is answered. */
static void park(struct engine *e, const struct parking *p, struct errand **request)
{
	struct park_call call = {e, p};
	struct check *check;
	unsigned marks;

	if (watch_park(e->watches, p->watch, &p->handle, &marks, send_park, &call)) {
		arm_timer(e->push);
		return;
	}
	if (marks == 0) {
		answer_superseded(e, p, request);
		return;
	}
	check = check_new(e, p, TAKE(*request));
	if (!watch_check_again(e->watches, p->watch, check->arena, &check->view)) {
		answer_superseded(e, p, &check->request);
		errand_free(&check->request);
		check_free(check);
		return;
	}
	check->view.marks |= marks;
	check->view.handle = p->handle;
	check->since_us = clock_now_us();
	if (check->request != NULL)
		check->request->state = ERRAND_RUNNING;
	engine_submit(e, &check->job);
}

static uint32_t renewal_time(const struct errand *r)
{
	int64_t left = r->auth_until_at - clock_now_at();

	if (left <= 0 || r->reply.no_renewal)
		return 0;
	return (uint32_t)MIN((uint64_t)left, r->settings->push_renew_lease_s);
}

void push_wait(struct errand **rp)
{
	struct errand *r = *rp;
	struct parking p = {.watch = r->reply.watch,
		.handle = r->handle,
		.send_park = true,
		.heartbeat_s = r->reply.heartbeat_s,
		.renew_for_s = renewal_time(r),
		.expiry = r->reply.expiry,
		.cookie_len = r->reply.cookie_len};

	memcpy(p.cookie, r->reply.cookie, sizeof(p.cookie));
	if (r->printed && p.renew_for_s > 0)
		watch_set_print(r->engine->watches, p.watch, &r->print,
			clock_now_ms() + (int64_t)p.renew_for_s * 1000);
	park(r->engine, &p, rp);
	errand_free(rp);
}

/* From one front to another, with nothing to tell but what may have been told to the old one. */
static bool renamed(struct engine *e, const struct ipc_register *reg)
{
	switch (watch_rename(e->watches, &reg->before, &reg->handle)) {
	case WATCH_RENAMED:
		return true;
	case WATCH_RENAMED_STALE:
		if (!reg->stale)
			send_stale(e, &reg->handle);
		return true;
	case WATCH_NOT_RENAMED:
		break;
	}
	return false;
}

void push_register(struct engine *e, struct front *front, const struct ipc_register *reg)
{
	if (map_find(e->errands, &reg->handle, sizeof(reg->handle)) == NULL &&
		!(reg->moved && renamed(e, reg)))
		restores_add(e->restores, front, reg);
}

bool push_restore(struct engine *e, struct front *front, const struct ipc_register *reg)
{
	struct parking p = {.handle = reg->handle, .send_park = true, .restored = true};
	struct check *check;

	/* By now its old front may have brought it back itself. */
	if (reg->moved && renamed(e, reg))
		return false;
	/* Stands for the phone, so that GONE finds it. */
	check = check_new(e, &p, errand_new(e, front, &reg->handle));
	check->request->state = ERRAND_RUNNING;
	check->restore = true;
	check->reg = *reg;
	engine_submit(e, &check->job);
	return true;
}

/* ---- events, on the loop ---- */

static void on_marked_watch(struct engine *e, struct watch_id id, int64_t at_us)
{
	const struct parking none = {0};
	struct check *check = check_new(e, &none, NULL);
	struct watch_view *view = &check->view;
	struct eas_server server = engine_eas(e, e->settings);

	check->since_us = at_us;
	if (!watch_check_begin(e->watches, id, check->arena, view)) {
		check_free(check);
		return;
	}
	check->parking = (struct parking){.watch = id,
		.handle = view->handle,
		.expiry = view->spec.kind == WATCH_PING ? IPC_EXPIRY_PING : IPC_EXPIRY_SYNC};
	if (view->marks & WATCH_MARK_ADMIN)
		send_stale(e, &view->handle);
	if (view->marks != WATCH_MARK_CHANGED || view->spec.kind != WATCH_PING) {
		engine_submit(e, &check->job);
		return;
	}
	eas_watch_answer(&server, check->arena, view, &check->reply);
	if (watch_end(e->watches, id, NULL))
		send_wake(e, &view->handle, &check->reply, false, at_us);
	check_free(check);
}

static void on_ended_watch(struct engine *e, const struct event *event)
{
	struct eas_reply reply;

	fill_expiry(&reply, event->watch_kind == WATCH_PING ? IPC_EXPIRY_PING : IPC_EXPIRY_SYNC);
	/* Most often the phone is long on another connection and this one leads nowhere: it closes.
	 */
	send_wake(e, &event->handle, &reply, true, 0);
	buf_deinit(&reply.body);
}

static void on_events(struct loop_note *note)
{
	struct push *push = LIST_ENTRY(note, struct push, note);
	struct event *events;
	size_t count;

	(void)pthread_mutex_lock(&push->lock);
	events = push->events;
	count = push->count;
	push->events = NULL;
	push->count = push->cap = 0;
	(void)pthread_mutex_unlock(&push->lock);
	for (size_t i = 0; i < count; i++) {
		if (events[i].kind == EVENT_MARKED)
			on_marked_watch(push->engine, events[i].id, events[i].at_us);
		else if (events[i].kind == EVENT_ENDED)
			on_ended_watch(push->engine, &events[i]);
		else
			send_stale(push->engine, &events[i].handle);
	}
	mem_free(events);
}

void push_waited(struct engine *e, const struct ipc_waited *waited)
{
	struct wait wait = {.device = eas_watch_cookie_device(waited->cookie, waited->cookie_len).v,
		.ended_at = (uint32_t)clock_now_at(),
		.asked_s = (uint16_t)MIN(waited->asked_s, UINT16_MAX),
		.lasted_s = (uint16_t)MIN(waited->lasted_s, UINT16_MAX),
		.end = (uint8_t)waited->end};
	struct net_address proxy;
	char text[NET_ADDRESS_TEXT];

	if (wait.device == 0)
		return;
	memcpy(proxy.bytes, waited->proxy, sizeof(proxy.bytes));
	if (waited->proxied)
		wait.proxy = waits_proxy(e->telemetry->waits, net_address_to_str(&proxy, text));
	waits_add(e->telemetry->waits, &wait);
}

static void arm_timer(struct push *push)
{
	int64_t now_ms = clock_now_ms(),
		left_ms = watches_next_timer_ms(push->engine->watches, now_ms);

	if (left_ms >= 0)
		loop_timer_set(&push->flag_timer, now_ms + left_ms);
	else
		loop_timer_clear(&push->flag_timer);
}

static void on_arm_timer(struct loop_note *note)
{
	arm_timer(LIST_ENTRY(note, struct push, timer_note));
}

static void on_flag_timer(void *owner)
{
	struct push *push = owner;

	watches_run_timers(push->engine->watches, clock_now_ms());
	arm_timer(push);
}
