/*
 * A front that takes the place of another process: it gets the connections one batch at a time
 * (handover.h, pass.c) and goes on with each where the old one stopped.
 *
 * A normal case: the process starts with a socket to the old one, finds the engine, says HELLO, and
 * gets BEGIN: from now on it takes connections, from the same listening sockets, in whose queues
 * nothing was lost. Each connection of a batch gets a slot here, its deadline and its watch, and
 * the engine is told that the watch goes by another handle now. Then the batch is acknowledged.
 *
 * When the old process is gone, in order or not, this one is a front like any other. Room is kept
 * for the connections that are still to come.
 */
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"
#include "front/handover.h"
#include "net/fds.h"

static void adopt_close(struct front *f)
{
	loop_fd_free(&f->adopt.watch);
	fd_close(&f->adopt.fd);
	f->adopt.coming = 0;
}

/* The old process is gone, or talks nonsense. */
static void adopt_over(struct front *f, const char *why)
{
	struct err err = ERR_INIT;
	bool listening = f->adopt.begun;

	if (!f->adopt.swept)
		log_error(&f->lc, "takeover_failed", F_STR("reason", why),
			F_UINT("connections", slab_count(f->conns)));
	adopt_close(f);
	if (!listening && !f->stopping && front_listen(f, &err) < 0)
		log_error(&f->lc, "listen_failed", F_ERR(&err));
	f->adopt.begun = true;
	front_taken_over(f);
}

static bool say(struct front *f, enum handover_type type)
{
	struct handover_message m = {.type = type,
		.version = HANDOVER_VERSION,
		.counted = f->adopt.part >= 0,
		.shared_proof = shared_proof(f->shared),
		.takes_tls = f->detach != NULL};
	struct buf message = BUF_INIT;
	bool sent;

	handover_encode(&m, &message);
	sent = !message.failed && net_fds_send(f->adopt.fd, message.data, message.len, NULL, 0) > 0;
	buf_deinit(&message);
	if (!sent)
		adopt_over(f, "the old process does not read");
	return sent;
}

/* ---- connections ---- */

static void take_watch(struct front *f, struct conn *c, const struct handover_conn *d)
{
	c->watch = front_next_number(f);
	/* In other memory it counts for no user until its next request says whose it is. */
	c->renew_until_ms = f->adopt.part >= 0 ? d->renew_until_ms : 0;
	c->print = (struct print){d->print[0], d->print[1]};
	c->heartbeat_s = (uint16_t)MIN(d->heartbeat_s, UINT16_MAX);
	c->expiry = (uint8_t)d->expiry;
	c->stale = d->stale;
	c->keep_alive = d->keep_alive;
	c->cookie_len = d->cookie_len;
	memcpy(c->cookie, d->cookie, d->cookie_len);
	link_send_moved(f, c, &d->handle);
}

static void adopt_one(struct front *f, const struct handover_conn *d, int fd)
{
	struct conn *c = conn_adopt(f, fd, d);

	if (f->adopt.coming > 0)
		f->adopt.coming--;
	if (c == NULL) {
		front_count(f, adopt_lost);
		return;
	}
	front_count(f, adopted);
	if (d->handle.request != 0)
		take_watch(f, c, d);
	conn_set_deadline_at(f, c, d->deadline_ms);
}

static void on_conns(struct front *f, struct handover_message *m, int *fds, size_t count)
{
	size_t taken = 0;

	while (taken < count && taken < m->count) {
		struct handover_conn d;

		if (!handover_next_conn(m, &d))
			break;
		adopt_one(f, &d, fds[taken]);
		secret_wipe(&d, sizeof(d));
		fds[taken++] = -1;
	}
	if (taken < m->count || taken < count)
		adopt_over(f, "a batch is malformed");
	else
		(void)say(f, HANDOVER_ACK);
}

/* ---- what the old process says ---- */

static void on_counters(struct front *f, struct handover_message *m)
{
	struct shared_counted c;

	for (uint32_t i = 0; i < m->count && handover_next_counter(m, &c); i++)
		shared_counters_give(f->shared, &c, 1);
}

static void on_begin(struct front *f, const struct handover_message *m)
{
	struct err err = ERR_INIT;

	if (f->adopt.begun || m->version == 0 || m->version > HANDOVER_VERSION) {
		adopt_over(f, "BEGIN may not come now");
		return;
	}
	f->adopt.begun = true;
	f->adopt.coming = m->connections;
	f->adopt.part = m->shared_proof == shared_proof(f->shared) ? (int)m->part : -1;
	memcpy(f->print_keys, m->print_keys, sizeof(f->print_keys));
	log_info(&f->lc, "takeover_begun", F_UINT("connections", m->connections));
	if (front_listen(f, &err) < 0)
		log_error(&f->lc, "listen_failed", F_ERR(&err));
}

static void on_message(struct front *f, const uint8_t *bytes, size_t len, int *fds, size_t count)
{
	struct handover_message m;
	struct err err = ERR_INIT;

	if (handover_decode(bytes, len, &m, &err) < 0) {
		adopt_over(f, err.text);
		return;
	}
	switch (m.type) {
	case HANDOVER_BEGIN:
		on_begin(f, &m);
		secret_wipe(&m, sizeof(m));
		return;
	case HANDOVER_CONNS:
		if (f->adopt.begun)
			on_conns(f, &m, fds, count);
		else
			adopt_over(f, "CONNS before BEGIN");
		return;
	case HANDOVER_SWEPT:
		f->adopt.swept = true;
		log_info(
			&f->lc, "takeover_finished", F_UINT("adopted", f->counters[COUNT_adopted]));
		front_taken_over(f);
		return;
	case HANDOVER_COUNTERS:
		on_counters(f, &m);
		return;
	case HANDOVER_UNKNOWN:
		return;
	case HANDOVER_HELLO:
	case HANDOVER_ACK:
		adopt_over(f, "a message that only the new process sends");
		return;
	}
}

static void on_event(void *owner, unsigned events)
{
	struct front *f = owner;

	(void)events;
	while (f->adopt.fd >= 0) {
		int fds[NET_FDS_MAX];
		size_t count = 0;
		int64_t n = net_fds_receive(
			f->adopt.fd, f->adopt.message, HANDOVER_BYTES_MAX, fds, &count);

		if (n == NET_AGAIN)
			return;
		if (n <= 0)
			adopt_over(f, n == NET_EOF ? "the old process ended" : "broken");
		else
			on_message(f, f->adopt.message, (size_t)n, fds, count);
		if (n > 0)
			secret_wipe(f->adopt.message, (size_t)n);
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
	}
}

/* ---- beginning and end ---- */

int adopt_start(struct front *f, int fd, struct err *err)
{
	f->adopt.fd = fd;
	f->adopt.part = -1;
	if (fd < 0)
		return 0;
	f->adopt.message = x_calloc(1, HANDOVER_BYTES_MAX);
	return loop_fd_new(f->loop, fd, "takeover", on_event, f, &f->adopt.watch, err);
}

void adopt_on_engine(struct front *f)
{
	if (f->adopt.fd < 0 || f->adopt.greeted)
		return;
	f->adopt.greeted = true;
	(void)say(f, HANDOVER_HELLO);
}

void adopt_stop(struct front *f)
{
	adopt_close(f);
	mem_free(f->adopt.message);
	f->adopt.message = NULL;
}
