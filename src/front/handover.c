/*
 * The messages between the old process of a front and the new one. Pure.
 *
 * Invariant: what decodes is sound in itself (states and lengths within their bounds), whoever
 * wrote it; whether its TLS state is one that can be is net's to say. Limits: those of handover.h.
 */
#include "front/handover.h"

#include <string.h>

#define CONN_LENGTH_BYTES 2

enum flag { FLAG_PARKED = 1, FLAG_STALE = 2, FLAG_KEEP_ALIVE = 4 };

void handover_encode(const struct handover_message *m, struct buf *out)
{
	buf_add_byte(out, (uint8_t)m->type);
	if (m->type == HANDOVER_HELLO || m->type == HANDOVER_BEGIN)
		buf_add_u32(out, m->version);
	if (m->type == HANDOVER_HELLO)
		buf_add_byte(out, m->takes_tls ? 1 : 0);
	if (m->type == HANDOVER_HELLO)
		buf_add_u64(out, m->shared_proof);
	if (m->type == HANDOVER_BEGIN) {
		buf_add_u32(out, m->connections);
		buf_add(out, m->print_keys, sizeof(m->print_keys));
		buf_add_u32(out, m->part);
		buf_add_u64(out, m->shared_proof);
	}
	if (m->type == HANDOVER_ACK)
		buf_add_byte(out, m->counted ? 1 : 0);
}

void handover_begin_conns(struct buf *out, uint32_t count)
{
	buf_add_byte(out, HANDOVER_CONNS);
	buf_add_u32(out, count);
}

static void put_blob(struct buf *out, const uint8_t *bytes, uint8_t len)
{
	buf_add_byte(out, len);
	buf_add(out, bytes, len);
}

void handover_add_conn(struct buf *out, const struct handover_conn *c)
{
	size_t start = out->len, len;

	buf_add_u16(out, 0);
	buf_add_u32(out, c->handle.front);
	buf_add_u32(out, c->handle.slot);
	buf_add_u32(out, c->handle.generation);
	buf_add_u32(out, c->handle.request);
	buf_add_byte(out, (uint8_t)((c->parked ? FLAG_PARKED : 0) | (c->stale ? FLAG_STALE : 0) |
				    (c->keep_alive ? FLAG_KEEP_ALIVE : 0)));
	buf_add_byte(out, (uint8_t)c->expiry);
	buf_add_u32(out, c->heartbeat_s);
	buf_add_u64(out, (uint64_t)c->deadline_ms);
	buf_add_u64(out, (uint64_t)c->renew_until_ms);
	buf_add_u64(out, c->print[0]);
	buf_add_u64(out, c->print[1]);
	buf_add(out, c->address, sizeof(c->address));
	put_blob(out, c->cookie, c->cookie_len);
	put_blob(out, c->tls, c->tls_len);
	buf_add_u16(out, c->wait_s);
	buf_add_u16(out, c->port);
	if (out->failed)
		return;
	len = out->len - start - CONN_LENGTH_BYTES;
	out->data[start] = (uint8_t)len;
	out->data[start + 1] = (uint8_t)(len >> 8);
}

void handover_encode_counters(
	struct buf *out, const struct shared_counted *counters, uint32_t count)
{
	buf_add_byte(out, HANDOVER_COUNTERS);
	buf_add_u16(out, (uint16_t)count);
	for (uint32_t i = 0; i < count; i++) {
		buf_add_u64(out, counters[i].key);
		buf_add_u64(out, counters[i].value);
	}
}

static void get_bytes(struct rd *r, void *ret, size_t len)
{
	const uint8_t *at = rd_bytes(r, len);

	if (at != NULL)
		memcpy(ret, at, len);
}

int handover_decode(const uint8_t *bytes, size_t len, struct handover_message *ret, struct err *err)
{
	struct handover_message m = {.type = HANDOVER_UNKNOWN};
	uint8_t type;
	struct rd r;

	rd_init(&r, bytes, len);
	type = rd_u8(&r);
	if (type >= HANDOVER_HELLO && type <= HANDOVER_COUNTERS)
		m.type = (enum handover_type)type;
	if (m.type == HANDOVER_HELLO || m.type == HANDOVER_BEGIN)
		m.version = rd_u32(&r);
	if (m.type == HANDOVER_HELLO)
		m.takes_tls = rd_u8(&r) == 1;
	if (m.type == HANDOVER_HELLO && rd_left(&r) > 0)
		m.shared_proof = rd_u64(&r);
	if (m.type == HANDOVER_BEGIN) {
		m.connections = rd_u32(&r);
		get_bytes(&r, m.print_keys, sizeof(m.print_keys));
		m.part = rd_u32(&r);
		m.shared_proof = rd_u64(&r);
	}
	if (m.type == HANDOVER_ACK)
		m.counted = rd_u8(&r) == 1;
	if (m.type == HANDOVER_CONNS) {
		m.count = rd_u32(&r);
		m.rest = r;
	}
	if (m.type == HANDOVER_COUNTERS) {
		m.count = rd_u16(&r);
		m.rest = r;
	}
	if (r.failed ||
		m.count > (m.type == HANDOVER_CONNS ? HANDOVER_BATCH_MAX : HANDOVER_COUNTERS_MAX))
		return err_set(
			err, ERR_BAD_INPUT, "handover message of type %u is malformed", type);
	*ret = m;
	return 0;
}

static void get_blob(struct rd *r, uint8_t *ret, size_t max, uint8_t *ret_len)
{
	uint8_t len = rd_u8(r);

	if (len > max)
		r->failed = true;
	else
		get_bytes(r, ret, len);
	*ret_len = len;
}

static bool is_sound(const struct handover_conn *c)
{
	if (c->handle.request == 0)
		return !c->parked;
	return (c->expiry == IPC_EXPIRY_PING || c->expiry == IPC_EXPIRY_SYNC) && c->heartbeat_s > 0;
}

bool handover_next_conn(struct handover_message *m, struct handover_conn *ret)
{
	struct handover_conn c = {.handle = {0}};
	uint16_t len = rd_u16(&m->rest);
	const uint8_t *bytes = rd_bytes(&m->rest, len);
	uint8_t flags;
	struct rd r;

	if (bytes == NULL)
		return false;
	rd_init(&r, bytes, len);
	c.handle.front = rd_u32(&r);
	c.handle.slot = rd_u32(&r);
	c.handle.generation = rd_u32(&r);
	c.handle.request = rd_u32(&r);
	flags = rd_u8(&r);
	c.parked = (flags & FLAG_PARKED) != 0;
	c.stale = (flags & FLAG_STALE) != 0;
	c.keep_alive = (flags & FLAG_KEEP_ALIVE) != 0;
	c.expiry = (enum ipc_expiry)rd_u8(&r);
	c.heartbeat_s = rd_u32(&r);
	c.deadline_ms = (int64_t)rd_u64(&r);
	c.renew_until_ms = (int64_t)rd_u64(&r);
	c.print[0] = rd_u64(&r);
	c.print[1] = rd_u64(&r);
	get_bytes(&r, c.address, sizeof(c.address));
	get_blob(&r, c.cookie, sizeof(c.cookie), &c.cookie_len);
	get_blob(&r, c.tls, sizeof(c.tls), &c.tls_len);
	if (rd_left(&r) > 0) {
		c.wait_s = rd_u16(&r);
		c.port = rd_u16(&r);
	}
	if (r.failed || !is_sound(&c))
		return false;
	*ret = c;
	return true;
}

bool handover_next_counter(struct handover_message *m, struct shared_counted *ret)
{
	struct shared_counted c;

	c.key = rd_u64(&m->rest);
	c.value = rd_u64(&m->rest);
	if (m->rest.failed)
		return false;
	*ret = c;
	return true;
}
