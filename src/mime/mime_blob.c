/*
 * The stored form of a summary. Version byte, numbers as varints, strings as length, bytes, NUL, so
 * that decoding is one copy of the blob into the arena and pointers into that copy.
 *
 * Decoding believes nothing: each length is checked, strings must end where they say, the body
 * indexes must name parts, and parts must lie inside raw_bytes. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { VERSION = 1 };

enum part_flag { PART_ATTACHMENT = 1, PART_INLINE = 2, PART_FLOWED = 4, PART_DELSP = 8 };

/* The strings of a summary, in their order in the blob. */
static const size_t strings[] = {
	offsetof(struct mime_summary, from),
	offsetof(struct mime_summary, to),
	offsetof(struct mime_summary, cc),
	offsetof(struct mime_summary, bcc),
	offsetof(struct mime_summary, reply_to),
	offsetof(struct mime_summary, sender),
	offsetof(struct mime_summary, display_to),
	offsetof(struct mime_summary, subject),
	offsetof(struct mime_summary, thread_topic),
	offsetof(struct mime_summary, message_id),
	offsetof(struct mime_summary, root_id),
	offsetof(struct mime_summary, message_class),
	offsetof(struct mime_summary, content_class),
	offsetof(struct mime_summary, preview),
};

static const size_t part_strings[] = {
	offsetof(struct mime_part, content_type),
	offsetof(struct mime_part, charset),
	offsetof(struct mime_part, name),
	offsetof(struct mime_part, content_id),
	offsetof(struct mime_part, content_location),
};

static const char **string_at(void *object, size_t offset)
{
	return (const char **)(void *)((char *)object + offset);
}

static const char *const_string_at(const void *object, size_t offset)
{
	return *(const char *const *)(const void *)((const char *)object + offset);
}

static void add_string(struct buf *out, const char *s)
{
	size_t len = s != NULL ? strlen(s) : 0;

	buf_add_varint(out, len);
	buf_add(out, s != NULL ? s : "", len + 1);
}

static void add_part(struct buf *out, const struct mime_part *p)
{
	buf_add_varint(out, p->offset);
	buf_add_varint(out, p->length);
	buf_add_varint(out, p->decoded_bytes);
	buf_add_byte(out, (uint8_t)p->encoding);
	buf_add_byte(
		out, (uint8_t)((p->is_attachment ? PART_ATTACHMENT : 0) |
			       (p->is_inline ? PART_INLINE : 0) |
			       (p->format_flowed ? PART_FLOWED : 0) | (p->delsp ? PART_DELSP : 0)));
	for (size_t i = 0; i < ARRAY_LEN(part_strings); i++)
		add_string(out, const_string_at(p, part_strings[i]));
}

void mime_summary_encode(const struct mime_summary *s, struct buf *out)
{
	size_t index_len = MIN((size_t)s->conversation_index_len, sizeof(s->conversation_index));

	buf_add_byte(out, VERSION);
	buf_add_byte(out, s->importance);
	buf_add_byte(out, s->native_body);
	buf_add_byte(out, s->is_smime);
	buf_add_varint(out, (uint64_t)s->date_at);
	buf_add_varint(out, s->cpid);
	buf_add_varint(out, s->raw_bytes);
	buf_add_varint(out, (uint64_t)((int64_t)s->text_part + 1));
	buf_add_varint(out, (uint64_t)((int64_t)s->html_part + 1));
	buf_add_varint(out, s->part_count);
	buf_add(out, s->conversation_id, sizeof(s->conversation_id));
	buf_add_byte(out, (uint8_t)index_len);
	buf_add(out, s->conversation_index, index_len);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		add_string(out, const_string_at(s, strings[i]));
	for (uint32_t i = 0; i < s->part_count; i++)
		add_part(out, &s->parts[i]);
}

/* Numbers above the bound fail the reader. */
static uint32_t get_u32(struct rd *r, uint32_t max)
{
	uint64_t v = rd_varint(r);

	if (v > max) {
		r->failed = true;
		return 0;
	}
	return (uint32_t)v;
}

static const char *get_string(struct rd *r)
{
	size_t len = get_u32(r, UINT32_MAX - 1);
	const uint8_t *bytes = rd_bytes(r, len + 1);

	if (bytes == NULL || bytes[len] != 0 || memchr(bytes, 0, len) != NULL) {
		r->failed = true;
		return "";
	}
	return (const char *)bytes;
}

static void get_part(struct rd *r, uint32_t raw_bytes, struct mime_part *p)
{
	uint8_t flags;

	p->offset = get_u32(r, raw_bytes);
	p->length = get_u32(r, raw_bytes - p->offset);
	p->decoded_bytes = get_u32(r, UINT32_MAX);
	p->encoding = (enum mime_encoding)rd_u8(r);
	if (p->encoding > MIME_ENC_UUENCODE)
		r->failed = true;
	flags = rd_u8(r);
	p->is_attachment = (flags & PART_ATTACHMENT) != 0;
	p->is_inline = (flags & PART_INLINE) != 0;
	p->format_flowed = (flags & PART_FLOWED) != 0;
	p->delsp = (flags & PART_DELSP) != 0;
	for (size_t i = 0; i < ARRAY_LEN(part_strings); i++)
		*string_at(p, part_strings[i]) = get_string(r);
}

static void get_fixed(struct rd *r, struct mime_summary *s)
{
	const uint8_t *bytes;

	s->importance = rd_u8(r);
	s->native_body = rd_u8(r);
	s->is_smime = rd_u8(r) != 0;
	s->date_at = (int64_t)rd_varint(r);
	s->cpid = get_u32(r, UINT32_MAX);
	s->raw_bytes = get_u32(r, UINT32_MAX);
	s->text_part = (int32_t)get_u32(r, INT32_MAX) - 1;
	s->html_part = (int32_t)get_u32(r, INT32_MAX) - 1;
	s->part_count = get_u32(r, INT32_MAX);
	bytes = rd_bytes(r, sizeof(s->conversation_id));
	if (bytes != NULL)
		memcpy(s->conversation_id, bytes, sizeof(s->conversation_id));
	s->conversation_index_len = rd_u8(r);
	if (s->conversation_index_len > sizeof(s->conversation_index)) {
		r->failed = true;
		return;
	}
	bytes = rd_bytes(r, s->conversation_index_len);
	if (bytes != NULL)
		memcpy(s->conversation_index, bytes, s->conversation_index_len);
}

static bool get_parts(struct arena *arena, struct rd *r, struct mime_summary *s)
{
	/* Ten bytes each at least: a count that the blob cannot hold asks for no memory. */
	if (s->part_count > rd_left(r) / 10 + 1) {
		r->failed = true;
		return true;
	}
	if (s->part_count > 0) {
		struct mime_part *parts =
			arena_try_alloc(arena, s->part_count * sizeof(struct mime_part));

		if (parts == NULL)
			return false;
		s->parts = parts;
		for (uint32_t i = 0; i < s->part_count && !r->failed; i++)
			get_part(r, s->raw_bytes, &parts[i]);
	}
	return true;
}

int mime_summary_decode(struct arena *arena, const void *blob, size_t len,
	struct mime_summary **ret, struct err *err)
{
	struct mime_summary *s;
	struct rd r;
	char *copy;

	if (len == 0 || *(const uint8_t *)blob != VERSION)
		return err_set(err, ERR_BAD_INPUT, "message summary of another format");
	s = arena_try_alloc(arena, sizeof(*s));
	copy = arena_try_strndup(arena, blob, len);
	if (s == NULL || copy == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for a message summary");
	rd_init(&r, copy + 1, len - 1);
	get_fixed(&r, s);
	for (size_t i = 0; i < ARRAY_LEN(strings) && !r.failed; i++)
		*string_at(s, strings[i]) = get_string(&r);
	if (!r.failed && !get_parts(arena, &r, s))
		return err_set(err, ERR_INTERNAL, "no memory for the parts of a message");
	if (r.failed || rd_left(&r) != 0 || s->text_part >= (int64_t)s->part_count ||
		s->html_part >= (int64_t)s->part_count)
		return err_set(err, ERR_BAD_INPUT, "damaged message summary");
	*ret = s;
	return 0;
}
