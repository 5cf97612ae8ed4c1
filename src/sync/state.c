/*
 * Sync states: options, encoding, generations. The blob begins with a format number; a blob of
 * another format counts as no state, and the phone starts that collection over.
 */
#include "sync/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define BLOB_FORMAT 1
#define DAY_S       86400

void sync_options_default(struct sync_options *options)
{
	*options = (struct sync_options){
		.conflict = 1,
		.truncation = SYNC_TRUNCATION_NONE,
		.mime_truncation = SYNC_TRUNCATION_NONE,
	};
}

static bool preference_equal(
	const struct sync_body_preference *a, const struct sync_body_preference *b)
{
	return a->type == b->type && a->has_truncation == b->has_truncation &&
	       a->all_or_none == b->all_or_none && a->truncation_bytes == b->truncation_bytes &&
	       a->preview_chars == b->preview_chars;
}

bool sync_options_equal(const struct sync_options *a, const struct sync_options *b)
{
	if (a->filter != b->filter || a->conflict != b->conflict ||
		a->mime_support != b->mime_support || a->truncation != b->truncation ||
		a->mime_truncation != b->mime_truncation ||
		a->preference_count != b->preference_count)
		return false;
	for (size_t i = 0; i < a->preference_count; i++) {
		if (!preference_equal(&a->preferences[i], &b->preferences[i]))
			return false;
	}
	return true;
}

int64_t sync_filter_span_s(uint8_t filter)
{
	static const int64_t days[] = {0, 1, 3, 7, 14, 31, 92, 183, 0};

	return filter < ARRAY_LEN(days) ? days[filter] * DAY_S : 0;
}

int64_t sync_filter_cutoff(uint8_t filter, int64_t now_at)
{
	int64_t span = sync_filter_span_s(filter);

	return span == 0 ? INT64_MIN : (now_at - span) / 3600 * 3600;
}

void sync_state_init(struct sync_state *s)
{
	*s = (struct sync_state){.cutoff_at = INT64_MIN};
	sync_options_default(&s->options);
}

void sync_state_deinit(struct sync_state *s)
{
	id_set_deinit(&s->inventory);
	mem_free(s->own);
	mem_free(s->answers);
	sync_state_init(s);
}

void sync_state_copy(struct sync_state *to, const struct sync_state *from)
{
	sync_state_deinit(to);
	*to = *from;
	to->inventory = (struct id_set)ID_SET_INIT;
	id_set_copy(&to->inventory, &from->inventory);
	to->own = NULL;
	to->own_count = 0;
	for (size_t i = 0; i < from->own_count; i++)
		sync_state_add_own(to, from->own[i].item, from->own[i].group, from->own[i].seq);
	to->answers = NULL;
	to->answer_count = 0;
}

static void add_i64(struct buf *out, int64_t v)
{
	buf_add_u64(out, (uint64_t)v);
}

static void options_encode(const struct sync_options *o, struct buf *out)
{
	buf_add_byte(out, o->filter);
	buf_add_byte(out, o->conflict);
	buf_add_byte(out, o->mime_support);
	buf_add_byte(out, o->truncation);
	buf_add_byte(out, o->mime_truncation);
	buf_add_byte(out, o->preference_count);
	for (size_t i = 0; i < o->preference_count; i++) {
		const struct sync_body_preference *p = &o->preferences[i];

		buf_add_byte(out, p->type);
		buf_add_byte(
			out, (uint8_t)((p->has_truncation ? 1 : 0) | (p->all_or_none ? 2 : 0)));
		buf_add_varint(out, p->truncation_bytes);
		buf_add_byte(out, p->preview_chars);
	}
}

static void options_decode(struct rd *in, struct sync_options *o)
{
	o->filter = rd_u8(in);
	o->conflict = rd_u8(in);
	o->mime_support = rd_u8(in);
	o->truncation = rd_u8(in);
	o->mime_truncation = rd_u8(in);
	o->preference_count = rd_u8(in);
	if (o->preference_count > SYNC_BODY_PREFERENCES_MAX)
		in->failed = true;
	for (size_t i = 0; i < o->preference_count && !in->failed; i++) {
		struct sync_body_preference *p = &o->preferences[i];
		uint8_t bits;

		p->type = rd_u8(in);
		bits = rd_u8(in);
		p->has_truncation = (bits & 1) != 0;
		p->all_or_none = (bits & 2) != 0;
		p->truncation_bytes = (uint32_t)rd_varint(in);
		p->preview_chars = rd_u8(in);
	}
}

void sync_state_encode(const struct sync_state *s, struct buf *out)
{
	buf_add_byte(out, BLOB_FORMAT);
	buf_add_u16(out, s->version);
	buf_add_varint(out, s->position);
	buf_add_varint(out, s->partial_seq);
	buf_add_varint(out, s->partial_item);
	add_i64(out, s->cutoff_at);
	buf_add_byte(out, s->scan.active);
	if (s->scan.active) {
		add_i64(out, s->scan.cursor.date_at);
		buf_add_u64(out, s->scan.cursor.id.v);
		add_i64(out, s->scan.since_at);
	}
	options_encode(&s->options, out);
	buf_add_varint(out, s->window);
	id_set_encode(&s->inventory, out);
	buf_add_varint(out, s->own_count);
	for (size_t i = 0; i < s->own_count; i++) {
		buf_add_varint(out, s->own[i].item);
		buf_add_varint(out, s->own[i].seq);
		buf_add_byte(out, s->own[i].group);
	}
	buf_add_varint(out, s->answer_count);
	for (size_t i = 0; i < s->answer_count; i++) {
		const struct sync_answer *a = &s->answers[i];

		buf_add_u64(out, a->command_hash);
		buf_add_varint(out, a->status);
		buf_add_varint(out, a->item);
		buf_add_varint(out, a->own_seq);
		buf_add_byte(out, a->own_groups);
		buf_add_byte(out, a->removed);
	}
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
		struct sync_answer a;

		a.command_hash = rd_u64(in);
		a.status = (uint32_t)rd_varint(in);
		a.item = rd_varint(in);
		a.own_seq = rd_varint(in);
		a.own_groups = rd_u8(in);
		a.removed = rd_u8(in) != 0;
		if (!in->failed)
			sync_state_add_answer(s, &a);
	}
}

int sync_state_decode(const void *blob, size_t len, struct sync_state *ret, struct err *err)
{
	struct sync_state s;
	struct rd in;

	sync_state_init(&s);
	rd_init(&in, blob, len);
	if (rd_u8(&in) != BLOB_FORMAT)
		return err_set(err, ERR_BAD_INPUT, "sync state of an unknown format");
	s.version = rd_u16(&in);
	s.position = rd_varint(&in);
	s.partial_seq = rd_varint(&in);
	s.partial_item = rd_varint(&in);
	s.cutoff_at = (int64_t)rd_u64(&in);
	s.scan.active = rd_u8(&in) != 0;
	if (s.scan.active) {
		s.scan.cursor.date_at = (int64_t)rd_u64(&in);
		s.scan.cursor.id.v = rd_u64(&in);
		s.scan.since_at = (int64_t)rd_u64(&in);
	}
	options_decode(&in, &s.options);
	s.window = (uint16_t)rd_varint(&in);
	if (in.failed || id_set_decode(&in, &s.inventory, err) < 0) {
		sync_state_deinit(&s);
		return err_set(err, ERR_BAD_INPUT, "sync state cut short");
	}
	lists_decode(&in, &s);
	if (in.failed || rd_left(&in) != 0) {
		sync_state_deinit(&s);
		return err_set(err, ERR_BAD_INPUT, "sync state with a broken tail");
	}
	s.key = ret->key;
	sync_state_deinit(ret);
	*ret = s;
	return 0;
}

void sync_state_add_own(struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq)
{
	s->own = x_realloc(s->own, (s->own_count + 1) * sizeof(*s->own));
	s->own[s->own_count++] = (struct sync_own){item, seq, group};
}

bool sync_state_is_own(const struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq)
{
	for (size_t i = 0; i < s->own_count; i++) {
		const struct sync_own *own = &s->own[i];

		if (own->item == item && own->group == group && own->seq == seq)
			return true;
	}
	return false;
}

void sync_state_prune(struct sync_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->own_count; i++) {
		if (s->own[i].seq > s->position)
			s->own[kept++] = s->own[i];
	}
	s->own_count = kept;
}

void sync_state_add_answer(struct sync_state *s, const struct sync_answer *answer)
{
	s->answers = x_realloc(s->answers, (s->answer_count + 1) * sizeof(*s->answers));
	s->answers[s->answer_count++] = *answer;
}

const struct sync_answer *sync_state_find_answer(const struct sync_state *s, uint64_t command_hash)
{
	for (size_t i = 0; i < s->answer_count; i++) {
		if (s->answers[i].command_hash == command_hash)
			return &s->answers[i];
	}
	return NULL;
}

void sync_collection_deinit(struct sync_collection *c)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		sync_state_deinit(&c->states[g]);
		c->present[g] = false;
	}
}

int sync_collection_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct sync_collection *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct sync_state_row *rows;
	size_t count;

	*ret = (struct sync_collection){.device = device, .owner = owner, .folder = folder};
	for (size_t g = 0; g < SYNC_GENERATIONS; g++)
		sync_state_init(&ret->states[g]);
	if (store_sync_state_load(rd, device, owner, folder, arena, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct err ignored = ERR_INIT;
		uint8_t g = rows[i].generation;

		if (g >= SYNC_GENERATIONS)
			continue;
		ret->present[g] = sync_state_decode(rows[i].blob, rows[i].blob_len, &ret->states[g],
					  &ignored) == 0;
		ret->states[g].key = rows[i].key;
	}
	return 0;
}

int sync_collection_save(struct store_tx *tx, const struct sync_collection *c, struct err *err)
{
	struct sync_state_row rows[SYNC_GENERATIONS];
	struct buf blobs[SYNC_GENERATIONS];
	size_t count = 0;
	int result;

	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (!c->present[g])
			continue;
		buf_init(&blobs[count], 0);
		sync_state_encode(&c->states[g], &blobs[count]);
		rows[count] = (struct sync_state_row){
			.key = c->states[g].key,
			.generation = (uint8_t)g,
			.blob = blobs[count].data,
			.blob_len = blobs[count].len,
		};
		count++;
	}
	result = store_sync_state_save(tx, c->device, c->owner, c->folder, rows, count, err);
	for (size_t i = 0; i < count; i++)
		buf_deinit(&blobs[i]);
	return result;
}

bool sync_key_parse(const char *text, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = strlen(text);

	if (strcmp(text, "0") == 0) {
		*ret = 0;
		return true;
	}
	if (n != 16)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return v != 0;
}

void sync_key_print(uint64_t key, char text[17])
{
	(void)snprintf(text, 17, "%016" PRIx64, key);
}

uint64_t sync_key_new(void)
{
	uint64_t key;

	/* The highest bit stays clear: databases keep signed integers. */
	do
		key = random_u64() >> 1;
	while (key == 0);
	return key;
}
