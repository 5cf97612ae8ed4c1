/*
 * The frames between front and engine. Pure: bytes in, struct out, and back.
 *
 * Encoding: u32 length of what follows, u8 type, payload; see the field order of each type in its
 * put_/get_ pair below, which stand next to each other on purpose. Integers little-endian; a string
 * is varint length (counting its NUL) + bytes + NUL, so that decoding borrows it; a blob is varint
 * length + bytes. Booleans are one byte, 0 or 1.
 *
 * Fields of version 2 stand behind those of version 1. Bytes behind the known fields are a later
 * version's and skipped.
 *
 * Invariant: whatever ipc_decode() accepts lies wholly inside the frame. Limits:
 * IPC_FRAME_MAX, IPC_HEADERS_MAX, IPC_COOKIE_MAX, IPC_STATS_MAX.
 */
#include "ipc/ipc.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define LENGTH_BYTES 4

bool ipc_handle_eq(const struct ipc_handle *a, const struct ipc_handle *b)
{
	return a->front == b->front && a->slot == b->slot && a->generation == b->generation &&
	       a->request == b->request;
}

const char *ipc_header_find(const struct ipc_header *headers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq_nocase(headers[i].name, name))
			return headers[i].value;
	}
	return NULL;
}

static void put_string(struct buf *out, const char *s)
{
	size_t len = strlen(s) + 1;

	buf_add_varint(out, len);
	buf_add(out, s, len);
}

static const char *get_string(struct rd *r)
{
	uint64_t len = rd_varint(r);
	const uint8_t *at;

	if (len == 0 || len > IPC_FRAME_MAX) {
		r->failed = true;
		return "";
	}
	at = rd_bytes(r, len);
	if (at == NULL)
		return "";
	if (memchr(at, 0, len) != at + len - 1) {
		r->failed = true;
		return "";
	}
	return (const char *)at;
}

static void put_blob(struct buf *out, const void *bytes, size_t len)
{
	buf_add_varint(out, len);
	buf_add(out, bytes, len);
}

static const uint8_t *get_blob(struct rd *r, size_t *ret_len)
{
	uint64_t len = rd_varint(r);
	const uint8_t *at = len > IPC_FRAME_MAX ? NULL : rd_bytes(r, len);

	if (at == NULL) {
		r->failed = true;
		*ret_len = 0;
		return NULL;
	}
	*ret_len = len;
	return at;
}

static void put_bool(struct buf *out, bool v)
{
	buf_add_byte(out, v ? 1 : 0);
}

static bool get_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

static void put_handle(struct buf *out, const struct ipc_handle *h)
{
	buf_add_u32(out, h->front);
	buf_add_u32(out, h->slot);
	buf_add_u32(out, h->generation);
	buf_add_u32(out, h->request);
}

static void get_handle(struct rd *r, struct ipc_handle *ret)
{
	ret->front = rd_u32(r);
	ret->slot = rd_u32(r);
	ret->generation = rd_u32(r);
	ret->request = rd_u32(r);
}

static void put_headers(struct buf *out, const struct ipc_header *headers, size_t count)
{
	if (count > IPC_HEADERS_MAX)
		out->failed = true;
	buf_add_varint(out, count);
	for (size_t i = 0; i < count && !out->failed; i++) {
		put_string(out, headers[i].name);
		put_string(out, headers[i].value);
	}
}

static void get_headers(struct rd *r, struct ipc_header *ret, size_t *ret_count)
{
	uint64_t count = rd_varint(r);

	if (count > IPC_HEADERS_MAX) {
		r->failed = true;
		count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		ret[i].name = get_string(r);
		ret[i].value = get_string(r);
	}
	*ret_count = count;
}

static void put_hello(struct buf *out, const struct ipc_hello *h)
{
	buf_add_u32(out, h->version);
	buf_add_u32(out, h->front);
	buf_add_byte(out, (uint8_t)h->channel);
}

static void get_hello(struct rd *r, struct ipc_hello *ret)
{
	ret->version = rd_u32(r);
	ret->front = rd_u32(r);
	ret->channel = (enum ipc_channel)rd_u8(r);
	if (ret->channel != IPC_CHANNEL_CONTROL && ret->channel != IPC_CHANNEL_BULK)
		r->failed = true;
}

static void put_request(struct buf *out, const struct ipc_request *q, uint32_t version)
{
	put_handle(out, &q->handle);
	put_string(out, q->method);
	put_string(out, q->target);
	put_string(out, q->address);
	put_bool(out, q->tls);
	put_bool(out, q->body_follows);
	buf_add_u64(out, (uint64_t)q->content_length);
	put_headers(out, q->headers, q->header_count);
	put_blob(out, q->body, q->body_len);
	if (version >= 2)
		put_bool(out, q->served);
}

static void get_request(struct rd *r, struct ipc_request *ret)
{
	get_handle(r, &ret->handle);
	ret->method = get_string(r);
	ret->target = get_string(r);
	ret->address = get_string(r);
	ret->tls = get_bool(r);
	ret->body_follows = get_bool(r);
	ret->content_length = (int64_t)rd_u64(r);
	get_headers(r, ret->headers, &ret->header_count);
	ret->body = get_blob(r, &ret->body_len);
	ret->served = rd_left(r) > 0 && get_bool(r);
	if (ret->content_length < -1 || (ret->body_follows && ret->body_len > 0))
		r->failed = true;
}

/* The body's length stands for itself when the body follows on the bulk connection. */
static void put_response(struct buf *out, const struct ipc_response *p, uint32_t version)
{
	put_handle(out, &p->handle);
	buf_add_u16(out, p->status);
	put_string(out, p->reason != NULL ? p->reason : "");
	put_bool(out, p->close);
	put_bool(out, p->body_follows);
	put_headers(out, p->headers, p->header_count);
	if (p->body_follows)
		buf_add_u64(out, p->body_len);
	else
		put_blob(out, p->body, p->body_len);
	if (version >= 2)
		buf_add_u64(out, p->since_us);
}

static void get_response(struct rd *r, struct ipc_response *ret)
{
	size_t len = 0;

	get_handle(r, &ret->handle);
	ret->status = rd_u16(r);
	ret->reason = get_string(r);
	ret->close = get_bool(r);
	ret->body_follows = get_bool(r);
	get_headers(r, ret->headers, &ret->header_count);
	if (ret->body_follows) {
		ret->body_len = rd_u64(r);
	} else {
		ret->body = get_blob(r, &len);
		ret->body_len = len;
	}
	ret->since_us = rd_left(r) > 0 ? rd_u64(r) : 0;
	if (ret->status < 200 || ret->status > 599)
		r->failed = true;
}

static void put_cookie(struct buf *out, const uint8_t *cookie, uint8_t len)
{
	if (len > IPC_COOKIE_MAX)
		out->failed = true;
	else
		put_blob(out, cookie, len);
}

static void get_cookie(struct rd *r, uint8_t *ret, uint8_t *ret_len)
{
	size_t len;
	const uint8_t *at = get_blob(r, &len);

	*ret_len = 0;
	if (at == NULL || len > IPC_COOKIE_MAX) {
		r->failed = true;
		return;
	}
	memcpy(ret, at, len);
	*ret_len = (uint8_t)len;
}

static enum ipc_expiry get_expiry(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v != IPC_EXPIRY_PING && v != IPC_EXPIRY_SYNC)
		r->failed = true;
	return (enum ipc_expiry)v;
}

static void put_park(struct buf *out, const struct ipc_park *p)
{
	put_handle(out, &p->handle);
	buf_add_u32(out, p->heartbeat_s);
	buf_add_byte(out, (uint8_t)p->expiry);
	buf_add_u32(out, p->renew_for_s);
	put_cookie(out, p->cookie, p->cookie_len);
}

static void get_park(struct rd *r, struct ipc_park *ret)
{
	get_handle(r, &ret->handle);
	ret->heartbeat_s = rd_u32(r);
	ret->expiry = get_expiry(r);
	ret->renew_for_s = rd_u32(r);
	get_cookie(r, ret->cookie, &ret->cookie_len);
}

static void put_register(struct buf *out, const struct ipc_register *g, uint32_t version)
{
	put_handle(out, &g->handle);
	put_bool(out, g->parked);
	buf_add_u32(out, g->left_s);
	buf_add_byte(out, (uint8_t)g->expiry);
	put_cookie(out, g->cookie, g->cookie_len);
	if (version < 2)
		return;
	put_bool(out, g->stale);
	put_bool(out, g->moved);
	put_handle(out, &g->before);
}

static void get_register(struct rd *r, struct ipc_register *ret)
{
	get_handle(r, &ret->handle);
	ret->parked = get_bool(r);
	ret->left_s = rd_u32(r);
	ret->expiry = get_expiry(r);
	get_cookie(r, ret->cookie, &ret->cookie_len);
	if (rd_left(r) == 0)
		return;
	ret->stale = get_bool(r);
	ret->moved = get_bool(r);
	get_handle(r, &ret->before);
}

static void put_waited(struct buf *out, const struct ipc_waited *w)
{
	buf_add_u32(out, w->asked_s);
	buf_add_u32(out, w->lasted_s);
	buf_add_byte(out, (uint8_t)w->end);
	put_bool(out, !w->proxied); /* all that engines before knew of it */
	put_cookie(out, w->cookie, w->cookie_len);
	if (w->proxied)
		buf_add(out, w->proxy, sizeof(w->proxy));
}

static void get_waited(struct rd *r, struct ipc_waited *ret)
{
	const uint8_t *address;
	uint8_t end;

	ret->asked_s = rd_u32(r);
	ret->lasted_s = rd_u32(r);
	end = rd_u8(r);
	(void)get_bool(r);
	if (end < IPC_WAIT_EXPIRED || end > IPC_WAIT_CUT)
		r->failed = true;
	ret->end = (enum ipc_wait_end)end;
	get_cookie(r, ret->cookie, &ret->cookie_len);
	address = rd_left(r) > 0 ? rd_bytes(r, sizeof(ret->proxy)) : NULL;
	ret->proxied = address != NULL;
	if (address != NULL)
		memcpy(ret->proxy, address, sizeof(ret->proxy));
}

static void put_body(struct buf *out, const struct ipc_body *b)
{
	put_handle(out, &b->handle);
	put_bool(out, b->last);
	put_bool(out, b->aborted);
	put_blob(out, b->bytes, b->len);
}

static void get_body(struct rd *r, struct ipc_body *ret)
{
	get_handle(r, &ret->handle);
	ret->last = get_bool(r);
	ret->aborted = get_bool(r);
	ret->bytes = get_blob(r, &ret->len);
}

static void put_stats(struct buf *out, const struct ipc_stats *s, uint32_t version)
{
	size_t count = version < 2 ? MIN(s->count, (size_t)IPC_STATS_MAX_V1) : s->count;

	if (count > IPC_STATS_MAX)
		out->failed = true;
	buf_add_u32(out, s->front);
	buf_add_varint(out, count);
	for (size_t i = 0; i < count && !out->failed; i++) {
		put_string(out, s->counters[i].name);
		buf_add_u64(out, s->counters[i].value);
	}
}

static void get_stats(struct rd *r, struct ipc_stats *ret)
{
	uint64_t count;

	ret->front = rd_u32(r);
	count = rd_varint(r);
	count = MIN(count, (uint64_t)IPC_STATS_MAX);
	for (size_t i = 0; i < count; i++) {
		ret->counters[i].name = get_string(r);
		ret->counters[i].value = rd_u64(r);
	}
	ret->count = count;
}

static void put_payload(const struct ipc_frame *f, uint32_t version, struct buf *out)
{
	switch (f->type) {
	case IPC_HELLO:
		put_hello(out, &f->hello);
		return;
	case IPC_REQUEST:
		put_request(out, &f->request, version);
		return;
	case IPC_BODY:
		put_body(out, &f->body);
		return;
	case IPC_GRANT:
	case IPC_CREDIT:
		put_handle(out, &f->amount.handle);
		buf_add_u32(out, f->amount.bytes);
		return;
	case IPC_RESPONSE:
	case IPC_WAKE:
		put_response(out, &f->response, version);
		return;
	case IPC_PARK:
		put_park(out, &f->park);
		return;
	case IPC_REGISTER:
		put_register(out, &f->reg, version);
		return;
	case IPC_STALE:
	case IPC_GONE:
	case IPC_DROP:
		put_handle(out, &f->handle);
		return;
	case IPC_STATS:
		put_stats(out, &f->stats, version);
		return;
	case IPC_WAITED:
		put_waited(out, &f->waited);
		return;
	case IPC_BYE:
		return;
	case IPC_UNKNOWN:
		break;
	}
	out->failed = true;
}

void ipc_encode(const struct ipc_frame *frame, struct buf *out)
{
	ipc_encode_for(frame, IPC_VERSION, out);
}

void ipc_encode_for(const struct ipc_frame *frame, uint32_t version, struct buf *out)
{
	size_t start = out->len, len;

	if (version < 2 && (frame->type == IPC_BYE || frame->type == IPC_WAITED))
		return;
	buf_add_u32(out, 0);
	buf_add_byte(out, (uint8_t)frame->type);
	put_payload(frame, version, out);
	if (out->failed)
		return;
	len = out->len - start - LENGTH_BYTES;
	if (len + LENGTH_BYTES > IPC_FRAME_MAX) {
		out->len = start;
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < LENGTH_BYTES; i++)
		out->data[start + i] = (uint8_t)(len >> (8 * i));
}

static void get_payload(struct rd *r, struct ipc_frame *ret)
{
	switch (ret->type) {
	case IPC_HELLO:
		get_hello(r, &ret->hello);
		return;
	case IPC_REQUEST:
		get_request(r, &ret->request);
		return;
	case IPC_BODY:
		get_body(r, &ret->body);
		return;
	case IPC_GRANT:
	case IPC_CREDIT:
		get_handle(r, &ret->amount.handle);
		ret->amount.bytes = rd_u32(r);
		return;
	case IPC_RESPONSE:
	case IPC_WAKE:
		get_response(r, &ret->response);
		return;
	case IPC_PARK:
		get_park(r, &ret->park);
		return;
	case IPC_REGISTER:
		get_register(r, &ret->reg);
		return;
	case IPC_STALE:
	case IPC_GONE:
	case IPC_DROP:
		get_handle(r, &ret->handle);
		return;
	case IPC_STATS:
		get_stats(r, &ret->stats);
		return;
	case IPC_WAITED:
		get_waited(r, &ret->waited);
		return;
	case IPC_BYE:
		return;
	case IPC_UNKNOWN:
		break;
	}
	ret->type = IPC_UNKNOWN;
}

int ipc_decode(uint8_t *bytes, size_t len, struct ipc_frame *ret, size_t *ret_used, struct err *err)
{
	struct ipc_frame frame = {0};
	struct rd r;
	uint32_t frame_len;
	uint8_t type;

	if (len < LENGTH_BYTES)
		return 0;
	rd_init(&r, bytes, len);
	frame_len = rd_u32(&r);
	if (frame_len == 0 || frame_len > IPC_FRAME_MAX - LENGTH_BYTES)
		return err_set(err, ERR_BAD_INPUT, "frame of %u bytes", frame_len);
	if (rd_left(&r) < frame_len)
		return 0;
	rd_init(&r, bytes + LENGTH_BYTES, frame_len);
	type = rd_u8(&r);
	frame.type = (enum ipc_type)type;
	get_payload(&r, &frame);
	if (r.failed || type == 0)
		return err_set(err, ERR_BAD_INPUT, "frame of type %u is malformed", type);
	*ret = frame;
	*ret_used = LENGTH_BYTES + frame_len;
	return 1;
}
