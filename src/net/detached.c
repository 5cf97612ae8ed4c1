/*
 * Reading and writing a detached connection. Raw bytes pass through the pool's scratch; a
 * connection has memory of its own (struct detached_busy) only while part of a record is under way
 * in either direction, and gives it back when that is over.
 *
 * Invariants: what is sealed goes out whole and in order. The rest of it waits in busy.out, and
 * whatever else is to be said queues behind. net_stream_write() reports a byte only when its
 * record has gone, the last one when all of it has; so its caller comes back, and nothing is sealed
 * twice. The pool's cipher contexts keep a connection's keys until another one's cover them, it is
 * closed, or detach_pool_rest() is called, which the loop does before it sleeps.
 *
 * Limit: detach_pool.max_held over all connections.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/detach_internal.h"

static struct record_state *state_of(const struct net_stream *s)
{
	return s->form == NET_BUSY ? s->busy->records : s->records;
}

static struct detach_pool *pool_of(const struct net_stream *s)
{
	return vault_owner(state_of(s));
}

/* ---- being busy ---- */

/* NULL when memory is short. */
static struct detached_busy *be_busy(struct net_stream *s)
{
	struct detached_busy *b;

	if (s->form == NET_BUSY)
		return s->busy;
	b = mem_try_alloc(sizeof(*b));
	if (b == NULL)
		return NULL;
	b->records = s->records;
	s->busy = b;
	s->form = NET_BUSY;
	return b;
}

/* Counts what is held. False: too much, or memory was short. */
static bool charge(struct detach_pool *p, struct detached_busy *b)
{
	size_t now = sizeof(*b) + b->in.cap + b->plain.cap + b->out.cap;

	p->held += now - b->charged;
	b->charged = now;
	return p->held <= p->max_held && !b->in.failed && !b->plain.failed && !b->out.failed;
}

static void free_busy(struct detach_pool *p, struct detached_busy *b)
{
	p->held -= b->charged;
	if (b->plain.data != NULL)
		secret_wipe(b->plain.data, b->plain.cap);
	buf_deinit(&b->in);
	buf_deinit(&b->plain);
	buf_deinit(&b->out);
	mem_free(b);
}

/* Nothing under way any more: only the state remains. */
static void settle(struct net_stream *s)
{
	struct detached_busy *b = s->form == NET_BUSY ? s->busy : NULL;
	struct record_state *state;

	if (b == NULL || b->in.len > 0 || b->plain.len > 0 || b->out.len > 0 || b->accepted > 0 ||
		b->shut_due)
		return;
	state = b->records;
	free_busy(pool_of(s), b);
	s->records = state;
	s->form = NET_DETACHED;
}

/* ---- sending ---- */

/* How many bytes the socket took, all or the rest later; NET_FAILED. */
static int64_t send_some(int fd, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = send(fd, bytes + at, len - at, MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			return NET_FAILED;
	}
	return (int64_t)at;
}

/* Keeps sealed bytes that the socket did not take. */
static bool keep_out(struct net_stream *s, const uint8_t *bytes, size_t len)
{
	struct detached_busy *b = be_busy(s);

	if (b == NULL)
		return false;
	buf_add(&b->out, bytes, len);
	return charge(pool_of(s), b);
}

/* Sealed bytes go out behind what waits. */
static bool send_behind(struct net_stream *s, const uint8_t *bytes, size_t len)
{
	int64_t n = 0;

	if (s->form != NET_BUSY || s->busy->out.len == 0)
		n = send_some(s->fd, bytes, len);
	if (n < 0)
		return false;
	return (size_t)n == len || keep_out(s, bytes + n, len - (size_t)n);
}

int detached_flush(struct net_stream *s)
{
	struct detached_busy *b = s->form == NET_BUSY ? s->busy : NULL;
	int64_t n;

	if (b == NULL || b->out.len == 0)
		return 1;
	n = send_some(s->fd, b->out.data + b->out_at, b->out.len - b->out_at);
	if (n < 0)
		return NET_FAILED;
	b->out_at += (size_t)n;
	if (b->out_at < b->out.len)
		return NET_AGAIN;
	buf_deinit(&b->out);
	b->out_at = 0;
	b->update_sent = false;
	if (b->shut_due)
		(void)shutdown(s->fd, SHUT_WR);
	b->shut_due = false;
	(void)charge(pool_of(s), b);
	settle(s);
	return 1;
}

/* Sends an alert. False: it was sealed and will not arrive, so the connection is over. */
static bool say(struct net_stream *s, bool fatal, uint8_t alert)
{
	struct detach_pool *p = pool_of(s);
	size_t n = record_seal_alert(p->crypto, state_of(s), fatal, alert, p->out);

	return send_behind(s, p->out, n);
}

/* One answer to all KeyUpdates since our last one went out, RFC 8446, 4.6.3. */
static bool answer_update(struct net_stream *s)
{
	struct detach_pool *p = pool_of(s);
	size_t n;

	if (s->form == NET_BUSY && s->busy->update_sent)
		return true;
	n = record_seal_update(p->crypto, state_of(s), false, p->out);
	if (!send_behind(s, p->out, n))
		return false;
	if (s->form == NET_BUSY && s->busy->out.len > 0)
		s->busy->update_sent = true;
	return true;
}

/* ---- writing ---- */

/* Seals from bytes what fits; *ret_taken plain bytes. */
static size_t seal_some(struct detach_pool *p, struct record_state *state, const uint8_t *bytes,
	size_t len, size_t *ret_taken)
{
	size_t taken = 0, at = 0;

	len = MIN(len, (size_t)DETACH_SEAL);
	while (taken < len) {
		size_t n = MIN(len - taken, record_plain_max(state)), sealed;

		if (record_update_is_due(p->crypto, state))
			at += record_seal_update(p->crypto, state, false, p->out + at);
		if (at + n + 3 * RECORD_OVERHEAD > sizeof(p->out))
			break;
		sealed = record_seal(p->crypto, state, bytes + taken, n, p->out + at);
		if (sealed == 0)
			break;
		at += sealed;
		taken += n;
	}
	*ret_taken = taken;
	return at;
}

/* Sends what waits, and says how many of the accepted bytes have gone in the meantime. */
static int64_t report(struct net_stream *s)
{
	struct detached_busy *b = s->busy;
	size_t pending = b->out.len - b->out_at, accepted = b->accepted, left;
	int rc = detached_flush(s);

	if (rc == NET_FAILED)
		return NET_FAILED;
	if (rc == 1 && accepted == 0)
		return 1; /* and b is gone */
	if (rc == 1) {
		b->accepted = 0;
		settle(s);
		return (int64_t)accepted;
	}
	/* In proportion: the caller sees progress, and keeps at least one byte to come back for. */
	left = b->out.len - b->out_at;
	b->accepted = (accepted * left + pending - 1) / pending;
	return accepted > b->accepted ? (int64_t)(accepted - b->accepted) : NET_AGAIN;
}

int64_t detached_write(struct net_stream *s, const void *bytes, size_t len)
{
	struct detach_pool *p = pool_of(s);
	size_t taken = 0, sealed;
	int64_t n;

	if ((state_of(s)->flags & RECORD_CLOSE_SENT) != 0)
		return NET_FAILED;
	if (s->form == NET_BUSY && (s->busy->out.len > 0 || s->busy->accepted > 0)) {
		bool waiting = s->busy->accepted > 0;

		n = report(s);
		if (n < 0 || waiting) {
			assert(n <= (int64_t)len);
			return n;
		}
	}
	sealed = seal_some(p, state_of(s), bytes, len, &taken);
	if (sealed == 0)
		return NET_FAILED;
	n = send_some(s->fd, p->out, sealed);
	if (n < 0)
		return NET_FAILED;
	if ((size_t)n == sealed)
		return (int64_t)taken;
	if (!keep_out(s, p->out + n, sealed - (size_t)n))
		return NET_FAILED;
	s->busy->accepted = (taken * (sealed - (size_t)n) + sealed - 1) / sealed;
	return taken > s->busy->accepted ? (int64_t)(taken - s->busy->accepted) : NET_AGAIN;
}

/* ---- reading ---- */

/* A run over the records that lie in the pool's `in`. */
struct run {
	struct net_stream *s;
	struct detach_pool *p;
	struct record_state *state;
	size_t at, len; /* of p->in */
	uint8_t *bytes; /* the caller's */
	size_t max, got;
	bool update_due;
	bool full; /* a whole record is here that found no room */
	bool end;  /* nothing comes any more */
	bool broken;
};

/* Plain text for which the caller has no room is kept. */
static void keep_plain(struct run *r, const uint8_t *bytes, size_t len)
{
	struct detached_busy *b = be_busy(r->s);

	if (b == NULL) {
		r->broken = true;
		return;
	}
	buf_add(&b->plain, bytes, len);
	r->broken = !charge(r->p, b);
}

static void take_plain(struct run *r, const uint8_t *bytes, size_t len)
{
	size_t n = MIN(len, r->max - r->got);

	if (bytes != r->bytes + r->got)
		memcpy(r->bytes + r->got, bytes, n);
	r->got += n;
	if (n < len)
		keep_plain(r, bytes + n, len - n);
}

static void end_with(struct run *r, uint8_t alert)
{
	r->state->flags |= RECORD_CLOSE_SEEN;
	r->s->blame = NET_BLAME_PEER;
	(void)say(r->s, true, alert);
	r->end = r->broken = true;
}

static void on_record(struct run *r, size_t len)
{
	bool direct = r->max - r->got >= len;
	uint8_t *out = direct ? r->bytes + r->got : r->p->plain, alert = 0;
	size_t plain_len = 0;

	switch (record_open(
		r->p->crypto, r->state, r->p->in + r->at, len, out, &plain_len, &alert)) {
	case RECORD_DATA:
		take_plain(r, out, plain_len);
		break;
	case RECORD_NOTHING:
		break;
	case RECORD_UPDATE:
		r->update_due = true;
		break;
	case RECORD_REFUSE:
		r->broken = !say(r->s, false, RECORD_ALERT_NO_RENEGOTIATION);
		break;
	case RECORD_CLOSED:
		r->end = true;
		break;
	case RECORD_GONE:
		r->s->blame = NET_BLAME_NOBODY;
		r->end = r->broken = true;
		break;
	case RECORD_BAD:
		end_with(r, alert);
		break;
	}
	r->at += len;
}

/* Opens whole records, as long as the caller has room. */
static void open_records(struct run *r)
{
	while (!r->end && !r->broken && r->len - r->at >= RECORD_HEADER_BYTES) {
		uint8_t alert = 0;
		size_t len = record_length(r->state, r->p->in + r->at, &alert);

		if (len == 0) {
			end_with(r, alert);
			return;
		}
		if (r->len - r->at < len)
			return;
		if (r->got > 0 && r->max - r->got < len) {
			r->full = true;
			return;
		}
		on_record(r, len);
	}
}

/* What was left of the last read comes first. */
static void take_left(struct run *r)
{
	struct detached_busy *b = r->s->form == NET_BUSY ? r->s->busy : NULL;

	if (b == NULL || b->in.len == 0)
		return;
	memcpy(r->p->in, b->in.data, b->in.len);
	r->len = b->in.len;
	buf_deinit(&b->in);
	(void)charge(r->p, b);
}

static void keep_left(struct run *r)
{
	struct detached_busy *b;

	if (r->end || r->broken || r->at == r->len)
		return;
	b = be_busy(r->s);
	if (b == NULL) {
		r->broken = true;
		return;
	}
	buf_add(&b->in, r->p->in + r->at, r->len - r->at);
	if (charge(r->p, b))
		return;
	/* The connection may linger for seconds yet, and others need what it holds. */
	r->broken = true;
	buf_deinit(&b->in);
	(void)charge(r->p, b);
}

/* Count, 0 at the end of the stream, NET_AGAIN, NET_FAILED. */
static int64_t fill(struct run *r, size_t room)
{
	for (;;) {
		ssize_t n = recv(r->s->fd, r->p->in + r->len, room, 0);

		if (n >= 0) {
			r->len += (size_t)n;
			return n;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return NET_AGAIN;
		if (errno != EINTR)
			return NET_FAILED;
	}
}

/* Until there is something for the caller, or nothing in the socket. Gives the last of fill(), or
 * NET_FAILED. */
static int64_t run_records(struct run *r)
{
	take_left(r);
	open_records(r);
	while (r->got == 0 && !r->end && !r->broken) {
		size_t room;
		int64_t n;

		memmove(r->p->in, r->p->in + r->at, r->len - r->at);
		r->len -= r->at;
		r->at = 0;
		/* No more than the caller has room for, but a whole record in any case. */
		room = MIN(MAX(r->max, (size_t)RECORD_WIRE_MAX) - r->len, (size_t)DETACH_CHUNK);
		n = fill(r, room);
		if (n <= 0)
			return n;
		open_records(r);
		if (r->got > 0)
			r->s->more = r->full || r->end || n == (int64_t)room ||
				     (r->s->form == NET_BUSY && r->s->busy->plain.len > 0);
	}
	return r->broken ? NET_FAILED : 1;
}

static int64_t fetch_plain(struct net_stream *s, void *bytes, size_t max)
{
	struct detached_busy *b = s->busy;
	size_t n = MIN(max, b->plain.len);

	memcpy(bytes, b->plain.data, n);
	buf_drop(&b->plain, n);
	s->more = true;
	settle(s);
	return (int64_t)n;
}

int64_t detached_read(struct net_stream *s, void *bytes, size_t max)
{
	struct run r = {.s = s, .p = pool_of(s), .state = state_of(s), .bytes = bytes, .max = max};
	int64_t last;

	s->more = true;
	if (s->form == NET_BUSY && s->busy->plain.len > 0)
		return fetch_plain(s, bytes, max);
	if (detached_flush(s) == NET_FAILED)
		return NET_FAILED;
	if ((r.state->flags & RECORD_CLOSE_SEEN) != 0)
		return NET_EOF;
	last = run_records(&r);
	if (r.update_due && !r.broken && !answer_update(s))
		r.broken = true;
	keep_left(&r);
	if (r.broken) {
		r.state->flags |= RECORD_CLOSE_SEEN;
		s->more = true;
	}
	settle(s);
	if (r.got > 0)
		return (int64_t)r.got;
	if (r.broken || last == NET_FAILED)
		return NET_FAILED;
	if (r.end)
		return NET_EOF;
	/* The end of the stream: between two records, or within one. */
	if (last == 0 && s->form == NET_BUSY && s->busy->in.len > 0) {
		s->blame = NET_BLAME_NOBODY;
		return NET_FAILED;
	}
	if (last == 0)
		return NET_EOF;
	s->more = false;
	return NET_AGAIN;
}

/* ---- the end ---- */

void detached_shut(struct net_stream *s)
{
	struct record_state *state = state_of(s);

	if ((state->flags & RECORD_CLOSE_SENT) == 0)
		(void)say(s, false, RECORD_ALERT_CLOSE_NOTIFY);
	if (detached_flush(s) == NET_AGAIN)
		s->busy->shut_due = true;
	else
		(void)shutdown(s->fd, SHUT_WR);
}

void detached_close(struct net_stream *s)
{
	struct record_state *state = state_of(s);

	if (s->form == NET_BUSY)
		free_busy(vault_owner(state), s->busy);
	detach_state_put(state);
	s->records = NULL;
	s->form = NET_PLAIN;
}
