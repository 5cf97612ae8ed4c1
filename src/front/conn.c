/*
 * Connections: from accept to close, and the bytes in between.
 *
 * Owns: struct conn and its socket. conn_enter() is the only writer of the state and asserts the
 * way. Every deadline of a connection is the one entry that it has in the wheel; what it means
 * depends on the state (conn_on_deadline). conn_close() ends it on every path: it tells the engine,
 * gives back request, socket, count and slot.
 *
 * The usual life: HANDSHAKE (or PROXY, behind a reverse proxy), IDLE, HEAD, BODY, ENGINE, PARKED,
 * ANSWER, IDLE, ... until the phone leaves.
 *
 * Events are edge-triggered and a request is not read past its end, so that bytes may wait in the
 * socket which no event will tell of again: `input_seen` remembers it, and front_again() comes back
 * to it.
 *
 * Limits: those of admit.c; DRAIN_ROUND bytes of one lingering connection per round.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"

#define LINGER_IDLE_MS 5000   /* of silence */
#define LINGER_MS      120000 /* in all: a client that first sends 50 MB and then looks for its 401 */
#define DRAIN_ROUND    (64u * 1024)
#define QUEUED_MS      1000 /* until a handshake that waits for its turn is looked at again */

/* What a connection may become. */
#define TO(state) (1u << (state))
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[CONN_HANDSHAKE] = {"handshake", TO(CONN_IDLE) | TO(CONN_LINGER)},
	[CONN_PROXY] = {"proxy", TO(CONN_IDLE) | TO(CONN_LINGER)},
	[CONN_IDLE] = {"idle", TO(CONN_HEAD) | TO(CONN_PARKED) | TO(CONN_PASSED) | TO(CONN_LINGER)},
	[CONN_HEAD] = {"head", TO(CONN_IDLE) | TO(CONN_BODY) | TO(CONN_UPLOAD) | TO(CONN_ENGINE) |
				       TO(CONN_PARKED) | TO(CONN_ANSWER) | TO(CONN_LINGER)},
	[CONN_BODY] = {"body", TO(CONN_UPLOAD) | TO(CONN_ENGINE) | TO(CONN_PARKED) |
				       TO(CONN_ANSWER) | TO(CONN_LINGER)},
	[CONN_UPLOAD] = {"upload", TO(CONN_ENGINE) | TO(CONN_ANSWER) | TO(CONN_LINGER)},
	[CONN_ENGINE] = {"engine", TO(CONN_PARKED) | TO(CONN_ANSWER) | TO(CONN_LINGER)},
	[CONN_PARKED] = {"parked", TO(CONN_ANSWER) | TO(CONN_PASSED) | TO(CONN_LINGER)},
	[CONN_ANSWER] = {"answer", TO(CONN_IDLE) | TO(CONN_LINGER)},
	[CONN_PASSED] = {"passed", 0},
	[CONN_LINGER] = {"linger", 0},
};

struct log_context conn_log(
	const struct front *f, const struct conn *c, char address[NET_ADDRESS_TEXT])
{
	struct log_context lc = f->lc;

	lc.address = net_address_to_str(&c->address, address);
	lc.connection = (uint64_t)c->generation << 32 | c->slot;
	return lc;
}

/* Levels of two states are counters. */
static void count_state(struct front *f, uint8_t state, int by)
{
	if (state == CONN_PARKED)
		f->counters[COUNT_parked] += (uint64_t)by;
	if (state == CONN_ENGINE || state == CONN_UPLOAD)
		f->counters[COUNT_in_flight] += (uint64_t)by;
}

void conn_enter(struct front *f, struct conn *c, enum conn_state state)
{
	char address[NET_ADDRESS_TEXT];

	assert((states[c->state].next & TO(state)) != 0);
	if (log_enabled(LOG_LEVEL_DEBUG)) {
		struct log_context lc = conn_log(f, c, address);

		log_debug(&lc, "connection_entered", F_STR("state", states[state].name),
			F_STR("from", states[c->state].name));
	}
	if (c->state == CONN_HANDSHAKE)
		turns_ended(f, c);
	count_state(f, c->state, -1);
	count_state(f, state, 1);
	c->state = (uint8_t)state;
	if (state == CONN_IDLE || state == CONN_PARKED)
		pass_on_rest(f);
}

void conn_set_deadline(struct front *f, struct conn *c, int64_t from_now_ms)
{
	int64_t now_ms = clock_now_ms();

	c->deadline_ms = now_ms + from_now_ms;
	wheel_set(f->wheel, c->slot, now_ms, c->deadline_ms);
	front_tick_set(f);
}

void conn_set_deadline_at(struct front *f, struct conn *c, int64_t deadline_ms)
{
	c->deadline_ms = deadline_ms;
	wheel_set(f->wheel, c->slot, clock_now_ms(), deadline_ms);
	front_tick_set(f);
}

/* How long the next request may take to begin. */
static uint64_t idle_patience_s(const struct front *f, const struct conn *c)
{
	if (c->refused)
		return MIN(
			f->settings->http_request_timeout_s, f->settings->http_keepalive_timeout_s);
	return c->watch != 0 ? f->settings->http_renew_gap_s
			     : f->settings->http_keepalive_timeout_s;
}

void conn_enter_idle(struct front *f, struct conn *c)
{
	conn_enter(f, c, CONN_IDLE);
	conn_set_deadline(f, c, (int64_t)idle_patience_s(f, c) * 1000);
}

struct conn *conn_find(struct front *f, const struct ipc_handle *handle)
{
	if (handle->front != f->options.number)
		return NULL;
	return slab_find(f->conns, (struct slab_handle){handle->slot, handle->generation});
}

struct ipc_handle conn_handle(const struct front *f, const struct conn *c, uint32_t number)
{
	return (struct ipc_handle){f->options.number, c->slot, c->generation, number};
}

bool conn_set_address(struct front *f, struct conn *c, const struct net_address *address)
{
	if (!c->refused && !admit_address(f, c->slot, address))
		return false;
	c->address = *address;
	return true;
}

/* ---- beginning ---- */

static void refuse(struct front *f, int fd, const struct net_address *address, const char *why)
{
	struct net_stream s = {.fd = fd};

	net_stream_close(&s);
	admit_refused(f, address, why);
}

static void conn_handshake(struct front *f, struct conn *c)
{
	struct err err = ERR_INIT;
	char address[NET_ADDRESS_TEXT];
	struct log_context lc;

	if (!turns_has(f, c)) {
		if (c->half_closed)
			conn_close(f, c);
		return;
	}
	if (!pace_step(f)) {
		if (c->queued_ms == 0)
			c->queued_ms = clock_now_ms();
		front_again(f, c);
		return;
	}
	if (c->queued_ms != 0) { /* this was our time, not the peer's */
		conn_set_deadline_at(f, c, c->deadline_ms + clock_now_ms() - c->queued_ms);
		c->queued_ms = 0;
	}
	if (c->stream.form == NET_PLAIN && secure_begin(f, c, &err) < 0) {
		log_warn(&f->lc, "connection_failed", F_ERR(&err));
		conn_close(f, c);
		return;
	}
	switch (net_stream_handshake(&c->stream, &err)) {
	case 1:
		secure_established(f, c);
		conn_enter_idle(f, c);
		(void)conn_read(f, c);
		return;
	case NET_AGAIN:
		if (!c->greeted && net_stream_greeted(&c->stream)) {
			c->greeted = true;
			conn_set_deadline(
				f, c, (int64_t)f->settings->tls_handshake_timeout_s * 1000);
		}
		return;
	default:
		front_count(f, tls_failed);
		lc = conn_log(f, c, address);
		log_debug(&lc, "handshake_failed", F_ERR(&err));
		conn_linger(f, c);
	}
}

static struct conn *new_conn(struct front *f, int fd, const struct net_address *address)
{
	struct err err = ERR_INIT;
	struct slab_handle handle;
	struct conn *c = slab_take(f->conns, &handle);

	if (c == NULL)
		return NULL;
	c->slot = handle.slot;
	c->generation = handle.generation;
	c->address = *address;
	c->stream = (struct net_stream){.fd = fd};
	if (loop_many_add(f->loop, f->conn_kind, fd, c->slot, c->generation, &err) == 0)
		return c;
	slab_put(f->conns, handle.slot);
	log_warn(&f->lc, "connection_failed", F_ERR(&err));
	return NULL;
}

/* Plain, or with the state of its TLS. */
static int open_passed(
	struct front *f, struct conn *c, int fd, const struct handover_conn *d, struct err *err)
{
	struct record_state state = {0};
	int status;

	c->stream = (struct net_stream){.fd = fd};
	if (d->tls_len == 0)
		return 0;
	if (f->detach == NULL || d->tls_len != RECORD_STATE_BYTES)
		return err_set(err, ERR_BAD_INPUT, "detached TLS that cannot go on here");
	memcpy(&state, d->tls, RECORD_STATE_BYTES);
	status = net_stream_import(&c->stream, fd, f->detach, &state, err);
	secret_wipe(&state, sizeof(state));
	return status;
}

struct conn *conn_adopt(struct front *f, int fd, const struct handover_conn *d)
{
	struct err err = ERR_INIT;
	struct slab_handle handle;
	struct conn *c = slab_take(f->conns, &handle);

	if (c == NULL) {
		fd_close(&fd);
		return NULL;
	}
	c->slot = handle.slot;
	c->generation = handle.generation;
	memcpy(c->address.bytes, d->address, sizeof(c->address.bytes));
	if (open_passed(f, c, fd, d, &err) < 0 ||
		loop_many_add(f->loop, f->conn_kind, fd, c->slot, c->generation, &err) < 0) {
		net_stream_close(&c->stream);
		slab_put(f->conns, handle.slot);
		log_warn(&f->lc, "connection_failed", F_ERR(&err));
		return NULL;
	}
	c->served = true;
	c->wait_s = d->wait_s;
	c->port = d->port;
	admit_adopted(f, c, d->handle.slot);
	c->state = d->parked ? CONN_PARKED : CONN_IDLE;
	count_state(f, c->state, 1);
	return c;
}

/* How long the first thing that is due may take. */
static uint64_t first_deadline_s(const struct front *f, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_HANDSHAKE: /* who waits takes nobody's place */
		return c->waits ? f->settings->tls_handshake_timeout_s : pace_timeout_s(f);
	case CONN_PROXY:
		return f->settings->http_request_timeout_s;
	default:
		return idle_patience_s(f, c);
	}
}

/* What the limits say. False: it is closed and gone. */
static bool admit(struct front *f, struct conn *c)
{
	const char *why = "max_connections";

	switch (admit_connection(f, &c->address, c->slot)) {
	case ADMIT_IN:
		return true;
	case ADMIT_FULL:
		c->refused = true;
		if (f->refusing++ < ADMIT_REFUSALS_MAX) {
			admit_refused(f, &c->address, why);
			return true;
		}
		break;
	case ADMIT_ADDRESS:
		c->refused = true;
		f->refusing++;
		why = "connections_per_address";
		break;
	}
	admit_refused(f, &c->address, why);
	conn_close(f, c);
	return false;
}

void conn_accepted(struct listener *l, int fd, const struct net_address *address)
{
	struct front *f = l->front;
	enum conn_state first = CONN_HANDSHAKE;
	bool tls = l->tls;
	struct conn *c;

	front_count(f, accepted);
	if (!tls && !proxied_begin(f, address, &first)) {
		refuse(f, fd, address, "proxy_protocol");
		return;
	}
	c = new_conn(f, fd, address);
	if (c == NULL) {
		refuse(f, fd, address, "memory");
		return;
	}
	c->port = l->port;
	c->state = (uint8_t)first;
	c->queued_ms = 0;
	if (first == CONN_HANDSHAKE)
		turns_accepted(f, c);
	if (admit(f, c))
		conn_set_deadline(f, c, (int64_t)first_deadline_s(f, c) * 1000);
}

/* ---- bytes ---- */

bool conn_was_cut(struct front *f, const struct conn *c)
{
	if (c->stream.blame == NET_BLAME_PEER)
		front_count(f, tls_broken);
	return c->stream.blame == NET_BLAME_NETWORK;
}

bool conn_read(struct front *f, struct conn *c)
{
	bool alive;

	while (request_wants_input(f, c)) {
		int64_t n = net_stream_read(&c->stream, f->scratch, SCRATCH_BYTES);

		if (n == NET_AGAIN) {
			c->input_seen = false;
			return true;
		}
		if (n <= 0) {
			if (n == NET_FAILED && conn_was_cut(f, c))
				path_broken(f, c);
			else
				path_heard(f, c);
			conn_linger(f, c);
			return false;
		}
		path_heard(f, c);
		c->input_seen = c->stream.more;
		f->counters[COUNT_bytes_in] += (uint64_t)n;
		if (renew_request(f, c, f->scratch, (size_t)n, &alive))
			return alive;
		if (c->state == CONN_PROXY ? !proxied_input(f, c, f->scratch, (size_t)n)
					   : !request_input(f, c, f->scratch, (size_t)n))
			return false;
	}
	return true;
}

static void conn_drain(struct front *f, struct conn *c)
{
	int64_t n = net_stream_drain(&c->stream, DRAIN_ROUND);
	int64_t left_ms = c->linger_until_ms - clock_now_ms();

	if (n == NET_EOF || n == NET_FAILED || left_ms <= 0) {
		conn_close(f, c);
		return;
	}
	if (n > 0)
		conn_set_deadline(f, c, MIN(left_ms, (int64_t)LINGER_IDLE_MS));
	if (n == DRAIN_ROUND)
		front_again(f, c);
}

void conn_on_event(void *owner, uint32_t slot, uint32_t tag, unsigned events)
{
	struct front *f = owner;
	struct conn *c = slab_get(f->conns, slot);

	if (c == NULL || (c->generation & LOOP_TAG_MASK) != tag)
		return;
	if ((events & LOOP_ERROR) != 0) {
		if (net_stream_peer_dead(&c->stream))
			front_count(f, peers_dead);
		if (c->state == CONN_PARKED)
			path_wait_over(f, c, IPC_WAIT_CUT);
		path_broken(f, c);
		conn_close(f, c);
		return;
	}
	if ((events & (LOOP_READ | LOOP_HANGUP)) != 0)
		c->input_seen = true;
	if ((events & LOOP_HANGUP) != 0)
		c->half_closed = true;
	/* A proxy has had enough of waiting: another may be held. */
	if (c->half_closed && c->request != NULL && c->request->holding) {
		conn_linger(f, c);
		return;
	}
	if (net_stream_flush(&c->stream) == NET_FAILED) {
		conn_close(f, c);
		return;
	}
	switch ((enum conn_state)c->state) {
	case CONN_HANDSHAKE:
		conn_handshake(f, c);
		return;
	case CONN_PROXY:
	case CONN_IDLE:
	case CONN_HEAD:
		if (c->input_seen)
			(void)conn_read(f, c);
		return;
	case CONN_BODY:
	case CONN_UPLOAD:
		if (answer_flush(f, c) && c->input_seen)
			(void)conn_read(f, c);
		return;
	case CONN_PARKED:
		if (c->input_seen)
			(void)park_on_input(f, c);
		return;
	case CONN_ENGINE:
	case CONN_ANSWER:
		(void)answer_flush(f, c);
		return;
	case CONN_LINGER:
		conn_drain(f, c);
		return;
	case CONN_PASSED:
		return;
	}
}

void conn_look_again(struct front *f, struct conn *c)
{
	c->again = false;
	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
		if (c->request != NULL)
			(void)request_resume(f, c);
		else
			(void)conn_read(f, c);
		return;
	case CONN_PROXY:
	case CONN_HEAD:
	case CONN_BODY:
		(void)conn_read(f, c);
		return;
	case CONN_UPLOAD:
		(void)request_on_grant(f, c, 0);
		return;
	case CONN_LINGER:
		conn_drain(f, c);
		return;
	case CONN_HANDSHAKE:
		conn_handshake(f, c);
		return;
	case CONN_ENGINE:
	case CONN_PARKED:
	case CONN_ANSWER:
	case CONN_PASSED:
		return;
	}
}

/* ---- deadlines ---- */

/* Is it our side that has nothing for the peer to do? */
static bool peer_is_not_to_blame(const struct front *f, const struct conn *c)
{
	const struct request *r = c->request;

	if (c->state == CONN_UPLOAD)
		return r->granted == 0 || !link_bulk_room(f);
	return c->state == CONN_ANSWER && r->out_at == r->out.len;
}

/* A phone that lost its network looks like this, too: no reason to warn. */
static void cut_slow(struct front *f, struct conn *c, const char *why)
{
	bool reader = c->state == CONN_ANSWER;
	char address[NET_ADDRESS_TEXT];
	struct log_context lc = conn_log(f, c, address);

	front_count(f, timeouts);
	f->counters[reader ? COUNT_slow_readers : COUNT_slow_senders]++;
	if (reader) {
		log_info(&lc, "answer_cut", F_STR("reason", why));
		conn_close(f, c);
	} else {
		log_info(&lc, "request_refused", F_STR("reason", why));
		(void)answer_local(f, c, 408, true);
	}
}

static void check_rate(struct front *f, struct conn *c)
{
	struct request *r = c->request;
	int64_t now_ms = clock_now_ms(), elapsed_ms = now_ms - r->checked_ms;
	uint64_t wanted = f->settings->http_body_min_rate * (uint64_t)elapsed_ms / 1000;

	if (r->moved >= wanted || peer_is_not_to_blame(f, c)) {
		r->moved = 0;
		r->checked_ms = now_ms;
		conn_set_deadline(f, c, (int64_t)f->settings->http_request_timeout_s * 1000);
		return;
	}
	cut_slow(f, c, "http.body_min_rate");
}

void conn_on_deadline(void *owner, uint32_t slot)
{
	struct front *f = owner;
	struct conn *c = slab_get(f->conns, slot);
	int64_t now_ms = clock_now_ms();

	if (now_ms < c->deadline_ms) {
		wheel_set(f->wheel, slot, now_ms, c->deadline_ms);
		return;
	}
	switch ((enum conn_state)c->state) {
	case CONN_HANDSHAKE:
		/* It has said what it has to, and waits for us; perhaps we have not even heard it
		 * yet, because so many speak. */
		if (!c->waits && c->queued_ms == 0 && net_stream_unread(&c->stream)) {
			c->queued_ms = now_ms;
			front_again(f, c);
		}
		if (c->queued_ms != 0) {
			conn_set_deadline(f, c, QUEUED_MS);
			return;
		}
		front_count(f, tls_failed);
		front_count(f, timeouts);
		conn_close(f, c);
		return;
	case CONN_PROXY:
		front_count(f, timeouts);
		conn_close(f, c);
		return;
	case CONN_IDLE:
		front_count(f, timeouts);
		path_unheard(f, c);
		conn_linger(f, c);
		return;
	case CONN_HEAD:
		cut_slow(f, c, "http.request_timeout_s");
		return;
	case CONN_UPLOAD:
		if (!c->request->sent || request_is_late(c->request)) {
			(void)answer_unavailable(f, c, true);
			return;
		}
		check_rate(f, c);
		return;
	case CONN_BODY:
	case CONN_ANSWER:
		check_rate(f, c);
		return;
	case CONN_ENGINE:
		if (c->request->holding)
			(void)answer_local(f, c, 200, false);
		else
			(void)answer_unavailable(f, c, false);
		return;
	case CONN_PARKED:
		(void)park_on_expiry(f, c);
		return;
	case CONN_LINGER:
		conn_close(f, c);
		return;
	case CONN_PASSED:
		return;
	}
}

/* ---- the end ---- */

void conn_linger(struct front *f, struct conn *c)
{
	park_forget(f, c);
	request_free(f, c);
	net_stream_shut(&c->stream);
	if (c->half_closed) {
		conn_close(f, c);
		return;
	}
	conn_enter(f, c, CONN_LINGER);
	c->linger_until_ms = clock_now_ms() + LINGER_MS;
	conn_set_deadline(f, c, LINGER_IDLE_MS);
	conn_drain(f, c);
}

void conn_close(struct front *f, struct conn *c)
{
	char address[NET_ADDRESS_TEXT];

	if (log_enabled(LOG_LEVEL_DEBUG)) {
		struct log_context lc = conn_log(f, c, address);

		log_debug(&lc, "connection_finished", F_STR("state", states[c->state].name));
	}
	/* Until the connection's end would be taken for whole. */
	if (c->request != NULL && c->request->unsized && c->request->answer_left > 0)
		net_stream_cut(&c->stream);
	park_forget(f, c);
	request_free(f, c);
	if (c->state == CONN_HANDSHAKE)
		turns_ended(f, c);
	count_state(f, c->state, -1);
	wheel_clear(f->wheel, c->slot);
	net_stream_close(&c->stream);
	admit_leave(f, c);
	slab_put(f->conns, c->slot);
	if (f->stopping && slab_count(f->conns) == 0)
		loop_stop(f->loop);
	pass_end_if_empty(f);
}
