/*
 * A session as bytes, for the process that goes on with it. Written by one release and read by the
 * next: a version, then fields; new ones stand at the end and are 0 when they are absent. Pure.
 *
 * Invariant: what decodes can be gone on with, whoever wrote it.
 */
#include <string.h>

#include "base/mem.h"
#include "ingest/lmtp_internal.h"

#define VERSION         1
#define RECIPIENT_BYTES 12 /* at least: an owner and a length */

enum flag {
	FLAG_TRANSACTION = 1,
	FLAG_SMTPUTF8 = 2,
	FLAG_DATA = 4,
	FLAG_LAST_WAS_CR = 8,
	FLAG_TOO_BIG = 16,
	FLAG_NO_MEMORY = 32,
};

static void put_blob(struct buf *out, const void *bytes, size_t len)
{
	buf_add_u32(out, (uint32_t)len);
	buf_add(out, bytes, len);
}

void lmtp_baton_encode(const struct lmtp_baton *b, struct buf *out)
{
	const char *sender = b->sender != NULL ? b->sender : "";

	buf_add_u32(out, VERSION);
	buf_add_u32(out,
		(b->sender != NULL ? FLAG_TRANSACTION : 0) | (b->smtputf8 ? FLAG_SMTPUTF8 : 0) |
			(b->in_data ? FLAG_DATA : 0) | (b->last_was_cr ? FLAG_LAST_WAS_CR : 0) |
			(b->too_big ? FLAG_TOO_BIG : 0) | (b->no_memory ? FLAG_NO_MEMORY : 0));
	buf_add_u32(out, b->errors);
	buf_add_u64(out, b->size);
	buf_add_byte(out, (uint8_t)b->data_state);
	buf_add_u64(out, b->data_seen);
	buf_add_u64(out, b->header_len);
	put_blob(out, b->client, strlen(b->client));
	put_blob(out, sender, strlen(sender));
	buf_add_u32(out, (uint32_t)b->recipient_count);
	for (size_t i = 0; i < b->recipient_count; i++) {
		buf_add_u64(out, b->recipients[i].owner.v);
		put_blob(out, b->recipients[i].address, strlen(b->recipients[i].address));
	}
	put_blob(out, b->input, b->input_len);
	put_blob(out, b->message, b->message_len);
}

static const uint8_t *get_blob(struct rd *r, size_t max, size_t *ret_len)
{
	uint32_t len = rd_u32(r);

	if (len > max)
		r->failed = true;
	*ret_len = r->failed ? 0 : len;
	return rd_bytes(r, *ret_len);
}

/* A text without a zero in it; "" when it failed. */
static const char *get_text(struct rd *r, struct arena *arena, size_t max)
{
	size_t len;
	const uint8_t *bytes = get_blob(r, max, &len);

	if (bytes == NULL || memchr(bytes, '\0', len) != NULL) {
		r->failed = true;
		return "";
	}
	return arena_x_printf(arena, "%.*s", (int)len, (const char *)bytes);
}

static void get_recipients(struct rd *r, struct arena *arena, struct lmtp_baton *b)
{
	size_t count = rd_u32(r);
	struct lmtp_recipient *recipients;

	if (count > rd_left(r) / RECIPIENT_BYTES)
		r->failed = true;
	if (r->failed || count == 0)
		return;
	recipients = arena_x_alloc(arena, count * sizeof(*recipients));
	for (size_t i = 0; i < count; i++) {
		recipients[i].owner.v = rd_u64(r);
		recipients[i].address = get_text(r, arena, LMTP_ADDRESS_MAX);
	}
	b->recipients = recipients;
	b->recipient_count = count;
}

static bool is_sound(const struct lmtp_baton *b, uint8_t state)
{
	if (b->sender == NULL && (b->recipient_count > 0 || b->in_data))
		return false;
	if (b->in_data && (b->recipient_count == 0 || state >= LMTP_DATA_END))
		return false;
	return b->header_len <= b->message_len || b->too_big || b->no_memory;
}

int lmtp_baton_decode(const uint8_t *bytes, size_t len, struct arena *arena, struct lmtp_baton *ret,
	struct err *err)
{
	struct lmtp_baton b = {.sender = NULL};
	uint32_t version, flags;
	const char *sender;
	uint8_t state;
	struct rd r;

	rd_init(&r, bytes, len);
	version = rd_u32(&r);
	flags = rd_u32(&r);
	b.smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
	b.in_data = (flags & FLAG_DATA) != 0;
	b.last_was_cr = (flags & FLAG_LAST_WAS_CR) != 0;
	b.too_big = (flags & FLAG_TOO_BIG) != 0;
	b.no_memory = (flags & FLAG_NO_MEMORY) != 0;
	b.errors = rd_u32(&r);
	b.size = rd_u64(&r);
	state = rd_u8(&r);
	b.data_seen = rd_u64(&r);
	b.header_len = rd_u64(&r);
	b.client = get_text(&r, arena, LMTP_CLIENT_MAX);
	sender = get_text(&r, arena, LMTP_ADDRESS_MAX);
	b.sender = (flags & FLAG_TRANSACTION) != 0 ? sender : NULL;
	get_recipients(&r, arena, &b);
	b.input = get_blob(&r, LMTP_INPUT_BYTES, &b.input_len);
	b.message = get_blob(&r, SIZE_MAX, &b.message_len);
	if (r.failed || version != VERSION || !is_sound(&b, state))
		return err_set(
			err, ERR_BAD_INPUT, "an LMTP session of version %u is malformed", version);
	b.data_state = (enum lmtp_data_state)state;
	*ret = b;
	return 0;
}
