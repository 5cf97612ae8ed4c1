/*
 * The stored form of a sync state. It begins with a format number; a blob of another format counts
 * as no state, and the phone starts that collection over.
 */
#include "sync/state.h"

#include "base/mem.h"

#define BLOB_FORMAT 5

static void add_i64(struct buf *out, int64_t v)
{
	buf_add_u64(out, (uint64_t)v);
}

static int64_t rd_i64(struct rd *in)
{
	return (int64_t)rd_u64(in);
}

/* Beside the number of preferences: one for the new part of a message stands behind them. */
#define HAS_PART 0x80

static void preference_encode(const struct sync_body_preference *p, struct buf *out)
{
	buf_add_byte(out, p->type);
	buf_add_byte(out, (uint8_t)((p->has_truncation ? 1 : 0) | (p->all_or_none ? 2 : 0)));
	buf_add_varint(out, p->truncation_bytes);
	buf_add_byte(out, p->preview_chars);
}

static void preference_decode(struct rd *in, struct sync_body_preference *p)
{
	uint8_t bits;

	p->type = rd_u8(in);
	bits = rd_u8(in);
	p->has_truncation = (bits & 1) != 0;
	p->all_or_none = (bits & 2) != 0;
	p->truncation_bytes = (uint32_t)rd_varint(in);
	p->preview_chars = rd_u8(in);
}

static void options_encode(const struct sync_options *o, struct buf *out)
{
	buf_add_byte(out, o->filter);
	buf_add_byte(out, o->conflict);
	buf_add_byte(out, o->mime_support);
	buf_add_byte(out, o->truncation);
	buf_add_byte(out, o->mime_truncation);
	buf_add_byte(out, (uint8_t)(o->preference_count | (o->part.type != 0 ? HAS_PART : 0)));
	for (size_t i = 0; i < o->preference_count; i++)
		preference_encode(&o->preferences[i], out);
	if (o->part.type != 0)
		preference_encode(&o->part, out);
}

static void options_decode(struct rd *in, struct sync_options *o)
{
	uint8_t count;

	o->filter = rd_u8(in);
	o->conflict = rd_u8(in);
	o->mime_support = rd_u8(in);
	o->truncation = rd_u8(in);
	o->mime_truncation = rd_u8(in);
	count = rd_u8(in);
	o->preference_count = (uint8_t)(count & ~HAS_PART);
	if (o->preference_count > SYNC_BODY_PREFERENCES_MAX)
		in->failed = true;
	for (size_t i = 0; i < o->preference_count && !in->failed; i++)
		preference_decode(in, &o->preferences[i]);
	if ((count & HAS_PART) != 0 && !in->failed)
		preference_decode(in, &o->part);
}

static void scope_encode(const struct sync_state *s, struct buf *out)
{
	buf_add_byte(out, (uint8_t)((s->scope.sms ? 1 : 0) | (s->scope.conversation_mode ? 2 : 0) |
				    (s->notice == SYNC_NOTICE_HELD ? 4 : 0)));
	options_encode(&s->scope.options, out);
	add_i64(out, s->cutoff_at);
	if (s->scope.sms) {
		options_encode(&s->scope.sms_options, out);
		add_i64(out, s->sms_cutoff_at);
	}
}

static void scope_decode(struct rd *in, struct sync_state *s)
{
	uint8_t bits = rd_u8(in);

	s->scope.sms = (bits & 1) != 0;
	s->scope.conversation_mode = (bits & 2) != 0;
	s->notice = (bits & 4) != 0 ? SYNC_NOTICE_HELD : SYNC_NOTICE_NONE;
	options_decode(in, &s->scope.options);
	s->cutoff_at = rd_i64(in);
	if (s->scope.sms) {
		options_decode(in, &s->scope.sms_options);
		s->sms_cutoff_at = rd_i64(in);
	}
}

static void scan_encode(const struct sync_scan *scan, struct buf *out)
{
	buf_add_byte(out, (uint8_t)((scan->active ? 1 : 0) | (scan->vanished ? 2 : 0)));
	if (!scan->active)
		return;
	add_i64(out, scan->cursor.date_at);
	buf_add_u64(out, scan->cursor.id.v);
	add_i64(out, scan->since_at);
}

static void scan_decode(struct rd *in, struct sync_scan *scan)
{
	uint8_t bits = rd_u8(in);

	scan->active = (bits & 1) != 0;
	scan->vanished = (bits & 2) != 0;
	if (!scan->active)
		return;
	scan->cursor.date_at = rd_i64(in);
	scan->cursor.id.v = rd_u64(in);
	scan->since_at = rd_i64(in);
}

static void lists_encode(const struct sync_state *s, struct buf *out)
{
	id_set_encode(&s->withheld, out);
	buf_add_varint(out, s->own_count);
	for (size_t i = 0; i < s->own_count; i++) {
		buf_add_varint(out, s->own[i].item);
		buf_add_varint(out, s->own[i].seq);
		buf_add_byte(out, s->own[i].group);
	}
	buf_add_varint(out, s->resend_count);
	for (size_t i = 0; i < s->resend_count; i++) {
		buf_add_varint(out, s->resend[i].item);
		buf_add_byte(out, s->resend[i].groups);
	}
	buf_add_varint(out, s->has_supported ? s->supported_count + 1 : 0);
	for (size_t i = 0; i < s->supported_count; i++)
		buf_add_u16(out, s->supported[i]);
}

static void answers_encode(const struct sync_state *s, struct buf *out)
{
	buf_add_varint(out, s->answer_count);
	for (size_t i = 0; i < s->answer_count; i++) {
		const struct sync_answer *a = &s->answers[i];

		buf_add_u64(out, a->command_hash);
		buf_add_varint(out, a->status);
		buf_add_varint(out, a->item);
		buf_add_varint(out, a->own_seq);
		buf_add_varint(out, a->seen_seq);
		buf_add_byte(out, a->own_groups);
		buf_add_byte(out, (uint8_t)((a->removed ? 1 : 0) | (a->added ? 2 : 0)));
		buf_add_byte(out, a->resend_groups);
	}
}

void sync_state_encode(const struct sync_state *s, struct buf *out, struct sync_chunk_list *chunks)
{
	buf_add_byte(out, BLOB_FORMAT);
	buf_add_u16(out, s->version);
	buf_add_varint(out, s->since);
	buf_add_varint(out, s->position);
	buf_add_varint(out, s->partial_seq);
	buf_add_varint(out, s->partial_item);
	scope_encode(s, out);
	scan_encode(&s->scan, out);
	sync_inventory_encode(&s->inventory, out, chunks);
	buf_add_byte(out, s->swallowed);
	buf_add_varint(out, s->runs_swallowed);
	lists_encode(s, out);
	answers_encode(s, out);
	buf_add_byte(out, s->used);
	buf_add_varint(out, s->repeats);
	buf_add_varint(out, s->suspect);
}

static void lists_decode(struct rd *in, struct sync_state *s)
{
	uint64_t count = rd_varint(in);

	for (uint64_t i = 0; i < count && !in->failed; i++) {
		uint64_t item = rd_varint(in), seq = rd_varint(in);
		uint8_t group = rd_u8(in);

		if (!in->failed)
			sync_state_add_own(s, item, group, seq);
	}
	count = rd_varint(in);
	for (uint64_t i = 0; i < count && !in->failed; i++) {
		uint64_t item = rd_varint(in);
		uint8_t groups = rd_u8(in);

		if (!in->failed && !sync_state_add_resend(s, item, groups))
			in->failed = true;
	}
	count = rd_varint(in);
	s->has_supported = count > 0;
	if (count > SYNC_SUPPORTED_MAX + 1)
		in->failed = true;
	if (in->failed || count < 2)
		return;
	s->supported = x_calloc(count - 1, sizeof(*s->supported));
	s->supported_count = count - 1;
	for (size_t i = 0; i < s->supported_count; i++)
		s->supported[i] = rd_u16(in);
}

static void answers_decode(struct rd *in, struct sync_state *s)
{
	uint64_t count = rd_varint(in);

	for (uint64_t i = 0; i < count && !in->failed; i++) {
		struct sync_answer a;
		uint8_t bits;

		a.command_hash = rd_u64(in);
		a.status = (uint32_t)rd_varint(in);
		a.item = rd_varint(in);
		a.own_seq = rd_varint(in);
		a.seen_seq = rd_varint(in);
		a.own_groups = rd_u8(in);
		bits = rd_u8(in);
		a.removed = (bits & 1) != 0;
		a.added = (bits & 2) != 0;
		a.resend_groups = rd_u8(in);
		if (!in->failed)
			sync_state_add_answer(s, &a);
	}
}

static int decode(struct rd *in, const struct sync_chunk_row *chunks, size_t chunk_count,
	struct sync_state *s, struct err *err)
{
	if (rd_u8(in) != BLOB_FORMAT)
		return err_set(err, ERR_BAD_INPUT, "sync state of an unknown format");
	s->version = rd_u16(in);
	s->since = rd_varint(in);
	s->position = rd_varint(in);
	s->partial_seq = rd_varint(in);
	s->partial_item = rd_varint(in);
	scope_decode(in, s);
	scan_decode(in, &s->scan);
	if (in->failed)
		return err_set(err, ERR_BAD_INPUT, "sync state cut short");
	if (sync_inventory_decode(in, chunks, chunk_count, &s->inventory, err) < 0)
		return -1;
	s->swallowed = rd_u8(in) != 0;
	s->runs_swallowed = (uint32_t)rd_varint(in);
	if (id_set_decode(in, &s->withheld, err) < 0)
		return -1;
	lists_decode(in, s);
	answers_decode(in, s);
	s->used = rd_u8(in) != 0;
	s->repeats = (uint16_t)rd_varint(in);
	s->suspect = rd_varint(in);
	if (in->failed || rd_left(in) != 0)
		return err_set(err, ERR_BAD_INPUT, "sync state with a broken tail");
	return 0;
}

int sync_state_decode(const void *blob, size_t len, const struct sync_chunk_row *chunks,
	size_t chunk_count, struct sync_state *ret, struct err *err)
{
	struct sync_state s;
	struct rd in;

	sync_state_init(&s);
	rd_init(&in, blob, len);
	if (decode(&in, chunks, chunk_count, &s, err) < 0) {
		sync_state_deinit(&s);
		return -1;
	}
	s.key = ret->key;
	sync_state_deinit(ret);
	*ret = s;
	return 0;
}
