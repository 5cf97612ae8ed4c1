/*
 * A front that hands its connections to the process that takes its place, and ends (handover.h).
 *
 * A normal case: the supervisor sends 'H' with a socket; the new process says HELLO on it; this one
 * stops taking connections, says BEGIN, and sends one batch after the other, each when the one
 * before was acknowledged. Connections with a request in flight come later, when they are at rest.
 * Those that cannot be handed over (their TLS needs OpenSSL's object) stay, are served as before,
 * and close with their next answer. With the last connection the process ends, at the latest after
 * server_drain_s, when the heartbeats of those that still wait are declared over.
 *
 * Invariants: a connection is out of the loop and dead (PASSED) before its message leaves, so
 * nothing is answered or sealed twice. Its slot, and what it counts for, rests until the ACK: the
 * new process counts on with the same counts. At most one batch is under way. When the new process
 * dies before everything is over, listeners are taken up again; the batch under way is lost.
 *
 * When the two share no memory, because their releases lay it out differently, what this one has
 * counted goes to the new one as its last message.
 *
 * Limits: HANDOVER_BATCH_MAX connections in a batch; one look at all slots every SWEEP_MS at most.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"
#include "front/handover.h"
#include "net/fds.h"
#include "net/record.h"

#define SWEEP_MS        50
#define LAST_ANSWERS_MS 4000 /* after the drain; less than the supervisor's patience */

bool pass_can(const struct front *f, const struct conn *c)
{
	if (c->refused || c->stream.form == NET_SSL)
		return false;
	return c->stream.form == NET_PLAIN || f->pass.takes_tls;
}

/* At rest: nothing of a request is here. */
static bool is_at_rest(const struct conn *c)
{
	return (c->state == CONN_PARKED || c->state == CONN_IDLE) && c->request == NULL &&
	       !c->half_closed;
}

/* Can it go now? Bytes of its TLS that are under way go out first. */
static bool is_ready(struct front *f, const struct conn *c)
{
	if (!is_at_rest(c) || !pass_can(f, c))
		return false;
	if (c->stream.form == NET_BUSY)
		pass_on_rest(f);
	return c->stream.form != NET_BUSY;
}

/* ---- the end of it ---- */

/* What was under way is the new process's now, or lost. counted: the other one counts them. */
static void forget_batch(struct front *f, bool counted)
{
	struct pass *p = &f->pass;

	for (size_t i = 0; i < p->batch_count; i++) {
		struct conn *c = slab_get(f->conns, p->batch[i]);

		c->uncounted = counted;
		conn_close(f, c);
	}
	p->batch_count = 0;
}

static void pass_close(struct front *f)
{
	struct pass *p = &f->pass;

	loop_fd_free(&p->watch);
	fd_close(&p->fd);
	loop_timer_clear(&p->sweep);
	loop_timer_clear(&p->drain);
	p->begun = p->swept = p->takes_tls = p->drained = false;
}

static void pass_failed(struct front *f, const char *why)
{
	struct err err = ERR_INIT;
	bool begun = f->pass.begun;

	log_error(&f->lc, "handover_failed", F_STR("reason", why),
		F_UINT("lost", f->pass.batch_count),
		F_UINT("connections", slab_count(f->conns) - f->pass.batch_count));
	pass_close(f);
	forget_batch(f, false);
	if (begun && !f->stopping && front_listen(f, &err) < 0)
		log_error(&f->lc, "listen_failed", F_ERR(&err));
}

void pass_end_if_empty(struct front *f)
{
	if (f->pass.swept && slab_count(f->conns) == 0)
		loop_stop(f->loop);
}

/* ---- batches ---- */

static void describe(const struct front *f, const struct conn *c, struct handover_conn *ret)
{
	*ret = (struct handover_conn){
		.handle = conn_handle(f, c, c->watch),
		.parked = c->state == CONN_PARKED,
		.stale = c->stale,
		.keep_alive = c->keep_alive,
		.expiry = (enum ipc_expiry)c->expiry,
		.heartbeat_s = c->heartbeat_s,
		.wait_s = c->wait_s,
		.port = c->port,
		.deadline_ms = c->deadline_ms,
		.renew_until_ms = c->watch != 0 ? c->renew_until_ms : 0,
		.print = {c->print.a, c->print.b},
		.cookie_len = c->watch != 0 ? c->cookie_len : 0,
	};
	memcpy(ret->address, c->address.bytes, sizeof(ret->address));
	memcpy(ret->cookie, c->cookie, ret->cookie_len);
}

/* Takes it out of everything, its TLS state too; returns its descriptor. */
static int make_dead(struct front *f, struct conn *c, struct handover_conn *d)
{
	int fd = c->stream.fd;
	struct record_state state;

	if (net_stream_export(&c->stream, &state)) {
		_Static_assert(RECORD_STATE_BYTES <= sizeof(d->tls), "it has its room");
		memcpy(d->tls, &state, RECORD_STATE_BYTES);
		d->tls_len = RECORD_STATE_BYTES;
		secret_wipe(&state, sizeof(state));
	}
	/* A descriptor that lives on elsewhere would still fire here. */
	loop_many_remove(f->loop, fd);
	wheel_clear(f->wheel, c->slot);
	conn_enter(f, c, CONN_PASSED);
	c->watch = 0;
	c->stream.fd = -1;
	return fd;
}

static void send_batch(struct front *f, const uint32_t *slots, uint32_t count)
{
	struct pass *p = &f->pass;
	struct buf message = BUF_INIT;
	int fds[HANDOVER_BATCH_MAX];
	int64_t sent;

	/* At once, or secrets would stay behind when it moves. */
	(void)buf_reserve(&message, HANDOVER_BYTES_MAX);
	handover_begin_conns(&message, count);
	for (uint32_t i = 0; i < count; i++) {
		struct conn *c = slab_get(f->conns, slots[i]);
		struct handover_conn d;

		describe(f, c, &d);
		fds[i] = make_dead(f, c, &d);
		handover_add_conn(&message, &d);
		secret_wipe(&d, sizeof(d));
	}
	sent = message.failed ? NET_FAILED
			      : net_fds_send(p->fd, message.data, message.len, fds, count);
	for (uint32_t i = 0; i < count; i++)
		fd_close(&fds[i]);
	if (message.data != NULL)
		secret_wipe(message.data, message.len);
	buf_deinit(&message);
	memcpy(p->batch, slots, count * sizeof(*slots));
	p->batch_count = count;
	f->counters[COUNT_passed] += count;
	if (sent < 0)
		pass_failed(f, "a batch was not taken");
}

static bool say(struct front *f, const struct handover_message *m)
{
	struct buf message = BUF_INIT;
	bool sent;

	handover_encode(m, &message);
	sent = !message.failed && net_fds_send(f->pass.fd, message.data, message.len, NULL, 0) > 0;
	if (message.data != NULL)
		secret_wipe(message.data, message.len);
	buf_deinit(&message);
	if (!sent)
		pass_failed(f, "the new process does not read");
	return sent;
}

/* The next batch; after the last slot SWEPT, once. */
static void pump(struct front *f)
{
	struct pass *p = &f->pass;
	uint32_t slots[HANDOVER_BATCH_MAX], count = 0, all = slab_slots(f->conns);

	if (!p->begun || p->batch_count > 0)
		return;
	while (count < HANDOVER_BATCH_MAX && p->next < all) {
		const struct conn *c = slab_get(f->conns, p->next++);

		if (c != NULL && is_ready(f, c))
			slots[count++] = c->slot;
	}
	if (count > 0) {
		send_batch(f, slots, count);
		return;
	}
	p->next = 0;
	if (p->swept || !say(f, &(struct handover_message){.type = HANDOVER_SWEPT}))
		return;
	p->swept = true;
	log_info(&f->lc, "handover_finished", F_UINT("passed", f->counters[COUNT_passed]),
		F_UINT("left", slab_count(f->conns)));
	pass_end_if_empty(f);
}

void pass_on_rest(struct front *f)
{
	struct pass *p = &f->pass;

	if (p->begun && p->sweep.place == 0)
		loop_timer_set(&p->sweep, clock_now_ms() + SWEEP_MS);
}

static void on_sweep(void *owner)
{
	pump(owner);
}

static void on_drained(void *owner)
{
	struct front *f = owner;

	if (!f->pass.drained) {
		/* Waits end as with their heartbeat, by a whole answer. */
		f->pass.drained = true;
		for (uint32_t i = 0; i < slab_slots(f->conns); i++) {
			struct conn *c = slab_get(f->conns, i);

			if (c != NULL && c->state == CONN_PARKED)
				conn_set_deadline(f, c, 0);
		}
		loop_timer_set(&f->pass.drain, clock_now_ms() + LAST_ANSWERS_MS);
		return;
	}
	log_info(&f->lc, "drain_finished", F_UINT("left", slab_count(f->conns)));
	front_stop(f);
}

/* ---- what the new process says ---- */

static void on_hello(struct front *f, const struct handover_message *hello)
{
	struct handover_message begin = {.type = HANDOVER_BEGIN,
		.version = MIN(hello->version, (uint32_t)HANDOVER_VERSION),
		.connections = slab_count(f->conns),
		.part = (uint32_t)f->part,
		.shared_proof = shared_proof(f->shared)};
	bool sent;

	if (hello->version == 0 || f->pass.begun || f->stopping) {
		pass_failed(f, "HELLO may not come now");
		return;
	}
	front_deafen(f);
	f->pass.begun = true;
	f->pass.takes_tls = hello->takes_tls;
	f->pass.shares = hello->shared_proof == 0 || hello->shared_proof == begin.shared_proof;
	f->pass.next = 0;
	_Static_assert(sizeof(f->print_keys) == HANDOVER_KEY_BYTES, "both keys of the prints");
	memcpy(begin.print_keys, f->print_keys, HANDOVER_KEY_BYTES);
	sent = say(f, &begin);
	secret_wipe(&begin, sizeof(begin));
	if (!sent)
		return;
	log_info(&f->lc, "handover_begun", F_UINT("connections", slab_count(f->conns)));
	loop_timer_set(
		&f->pass.drain, clock_now_ms() + (int64_t)f->settings->server_drain_s * 1000);
	pump(f);
}

static void on_message(struct front *f, const uint8_t *bytes, size_t len)
{
	struct handover_message m;
	struct err err = ERR_INIT;

	if (handover_decode(bytes, len, &m, &err) < 0) {
		pass_failed(f, err.text);
		return;
	}
	switch (m.type) {
	case HANDOVER_HELLO:
		on_hello(f, &m);
		return;
	case HANDOVER_ACK:
		forget_batch(f, m.counted);
		pass_end_if_empty(f);
		pump(f);
		return;
	case HANDOVER_UNKNOWN:
		return;
	case HANDOVER_BEGIN:
	case HANDOVER_CONNS:
	case HANDOVER_SWEPT:
	case HANDOVER_COUNTERS:
		pass_failed(f, "a message that only the old process sends");
		return;
	}
}

static void on_event(void *owner, unsigned events)
{
	struct front *f = owner;

	(void)events;
	while (f->pass.fd >= 0) {
		int fds[NET_FDS_MAX];
		size_t count = 0;
		int64_t n = net_fds_receive(f->pass.fd, f->scratch, SCRATCH_BYTES, fds, &count);

		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
		if (n == NET_AGAIN)
			return;
		if (n <= 0)
			pass_failed(f, n == NET_EOF ? "the new process ended" : "broken");
		else
			on_message(f, f->scratch, (size_t)n);
	}
}

/* ---- beginning ---- */

void pass_init(struct front *f)
{
	f->pass.fd = -1;
	loop_timer_init(&f->pass.sweep, f->loop, "handover sweep", on_sweep, f);
	loop_timer_init(&f->pass.drain, f->loop, "drain", on_drained, f);
}

void pass_to(struct front *f, int fd)
{
	struct err err = ERR_INIT;

	if (f->pass.fd >= 0)
		pass_failed(f, "another one is to take over");
	f->pass.fd = fd;
	if (loop_fd_new(f->loop, fd, "handover", on_event, f, &f->pass.watch, &err) < 0)
		pass_failed(f, err.text);
}

/* The new process cannot find them where this one counts. To the engine they are gone here before
 * they are there, so no sum counts them twice. */
static void pass_counters(struct front *f)
{
	struct shared_counted counted[2 * SHARED_COUNTERS];
	struct buf message = BUF_INIT;
	size_t count;

	if (!f->pass.begun || f->pass.shares || f->shared == NULL)
		return;
	count = shared_counters_take(f->shared, f->part, counted);
	front_send_stats(f);
	link_flush(f);
	handover_encode_counters(&message, counted, (uint32_t)count);
	if (net_fds_send(f->pass.fd, message.data, message.len, NULL, 0) <= 0)
		log_warn(&f->lc, "counters_lost");
	buf_deinit(&message);
}

void pass_stop(struct front *f)
{
	if (f->pass.drain.loop == NULL)
		return;
	pass_counters(f);
	pass_close(f);
	forget_batch(f, false);
}
