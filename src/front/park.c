/*
 * Waiting. A watch belongs to a connection and is named by the number of the request that parked it
 * (conn.watch).
 *
 * One normal case: the engine answers a Ping with PARK; the request object is given back and the
 * connection waits. Nothing happens for the heartbeat: the front answers by itself and keeps the
 * watch. The phone sends the same bytes again within renew_gap: parked again, without a frame. Mail
 * comes: WAKE carries the answer, the watch is over.
 *
 * A watch ends by WAKE, by GONE (park_forget), or with the connection; nothing else clears
 * conn.watch. Between an expiry and the renewal a STALE or a WAKE makes the next Ping go to the
 * engine: STALE marks, WAKE ends the watch.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "front/front_internal.h"

void park_forget(struct front *f, struct conn *c)
{
	if (c->watch == 0)
		return;
	link_send_handle(f, IPC_GONE, c, c->watch);
	front_count(f, gone);
	c->watch = 0;
}

bool park_on_input(struct front *f, struct conn *c)
{
	int64_t n = net_stream_read(&c->stream, f->scratch, SCRATCH_BYTES);
	bool cut;

	if (n == NET_AGAIN && !c->half_closed) {
		c->input_seen = false;
		return true;
	}
	cut = n == NET_FAILED && conn_was_cut(f, c);
	path_wait_over(f, c, cut ? IPC_WAIT_CUT : IPC_WAIT_CLOSED);
	if (cut)
		path_broken(f, c);
	c->wait_s = 0; /* a reset that answers our goodbye tells nothing more */
	/* It talks, or it is gone; a TLS peer is told goodbye, or what it did wrong. */
	if (n > 0)
		conn_close(f, c);
	else
		conn_linger(f, c);
	return false;
}

/* The connection waits from now on; its request object, if it had one, is gone. */
static bool enter_parked(struct front *f, struct conn *c)
{
	struct err ignored = ERR_INIT;

	if (c->untuned) {
		c->untuned = false;
		(void)!front_tune(f, c->stream.fd, &ignored);
	}
	if (c->request != NULL)
		c->request->answered = true;
	request_free(f, c);
	conn_enter(f, c, CONN_PARKED);
	c->wait_s = (uint16_t)path_wait_s(f, c);
	conn_set_deadline(f, c, (int64_t)c->wait_s * 1000);
	/* What came while the request was with the engine ends the wait. */
	return c->input_seen || c->half_closed ? park_on_input(f, c) : true;
}

static void take_terms(struct front *f, struct conn *c, const struct ipc_park *park)
{
	c->renew_until_ms =
		park->renew_for_s > 0 ? clock_now_ms() + (int64_t)park->renew_for_s * 1000 : 0;
	c->expiry = (uint8_t)park->expiry;
	c->cookie_len = park->cookie_len;
	for (uint8_t i = 0; i < park->cookie_len; i++)
		c->cookie[i] = park->cookie[i];
	c->watch_engine = f->engine_epoch;
}

void park_on_park(struct front *f, const struct ipc_park *park)
{
	struct conn *c = conn_find(f, &park->handle);
	struct ipc_frame gone = {.type = IPC_GONE};

	if (c != NULL && c->watch == park->handle.request) {
		/* Registered with a new engine, or checked and found clean: the heartbeat goes on.
		 */
		take_terms(f, c, park);
		return;
	}
	if (c != NULL && c->state == CONN_ENGINE && c->request->number == park->handle.request &&
		c->request->sent) {
		if (c->request->rest.len > 0 || f->stopping) {
			conn_close(f, c);
			return;
		}
		front_count(f, parks);
		c->served = true;
		take_terms(f, c, park);
		c->watch = park->handle.request;
		c->heartbeat_s = (uint16_t)MIN(MAX(park->heartbeat_s, 1), UINT16_MAX);
		c->print = c->request->print;
		/* Nothing is kept that would say later that this was HTTP/1.0. */
		c->keep_alive = c->request->keep_alive && !c->request->old_http;
		c->stale = false;
		(void)enter_parked(f, c);
		return;
	}
	/* The phone went away while this was under way. */
	gone.handle = park->handle;
	link_send(f, &gone);
}

void park_on_wake(struct front *f, const struct ipc_response *wake)
{
	struct conn *c = conn_find(f, &wake->handle);

	if (c == NULL || c->watch != wake->handle.request)
		return;
	front_count(f, wakes);
	if (c->state == CONN_PARKED)
		path_wait_over(f, c, wake->close ? IPC_WAIT_CUT : IPC_WAIT_WOKEN);
	if (wake->close) /* it waits elsewhere now */
		path_replaced(f, c);
	if (c->state == CONN_PARKED) {
		c->wait_s = c->wait_s > 0 ? (uint16_t)path_waited_s(c) : 0;
		(void)answer_engine(f, c, wake);
		return;
	}
	c->watch = 0;
	/* Nobody will take the rest of the answer. */
	if (wake->body_follows)
		link_send_handle(f, IPC_GONE, c, wake->handle.request);
	/* Its next request has the time that any other has. */
	if (c->state == CONN_IDLE && c->request == NULL)
		conn_set_deadline(f, c, (int64_t)f->settings->http_keepalive_timeout_s * 1000);
}

void park_on_stale(struct front *f, const struct ipc_handle *handle)
{
	struct conn *c = conn_find(f, handle);

	if (c == NULL || c->watch != handle->request)
		return;
	front_count(f, stale);
	c->stale = true;
}

bool park_may_renew(const struct front *f, const struct conn *c)
{
	return c->watch != 0 && !c->stale && !f->stopping && clock_now_ms() < c->renew_until_ms;
}

bool park_again(struct front *f, struct conn *c)
{
	front_count(f, renewals_memory);
	return enter_parked(f, c);
}

bool park_try_renew(struct front *f, struct conn *c, bool *ret_alive)
{
	struct request *r = c->request;

	if (!park_may_renew(f, c) || r->print.a != c->print.a || r->print.b != c->print.b)
		return false;
	*ret_alive = park_again(f, c);
	return true;
}

bool park_on_expiry(struct front *f, struct conn *c)
{
	bool alive;

	front_count(f, heartbeats_expired);
	path_wait_over(f, c, IPC_WAIT_EXPIRED);
	return renew_answer(f, c, &alive) ? alive : answer_expiry(f, c);
}
