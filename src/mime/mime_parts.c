/*
 * The part map: which leaves of the tree are the body, which are attachments, and what those are
 * called.
 *
 * The body is the first text that is meant to be read: not an attachment, in the first place of a
 * multipart/related or multipart/signed. When it stands in a multipart/alternative, its HTML or
 * plain counterpart there is the other form. Everything else is listed as an attachment, so that
 * nothing is lost, but for other alternatives of the body.
 *
 * Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define NAME_MAX_BYTES     ((size_t)255)
#define LOCATION_MAX_BYTES ((size_t)2000)
/* The header of an embedded message, looked at for its subject. */
#define EMBEDDED_BYTES ((size_t)64 * 1024)

static bool type_is(const struct mime_node *n, const char *type)
{
	return strcmp(n->type.type, type) == 0;
}

static const struct mime_node *parent_of(const struct mime_tree *t, const struct mime_node *n)
{
	return n->parent >= 0 ? &t->nodes[n->parent] : NULL;
}

static bool is_readable(const struct mime_node *n)
{
	if (type_is(n, "text/plain") || type_is(n, "text/html"))
		return true;
	/* A message that is nothing but an unusual text. */
	return n->parent < 0 && str_starts(n->type.type, "text/") && !type_is(n, "text/calendar") &&
	       !type_is(n, "text/vcard") && !type_is(n, "text/x-vcard");
}

/* Text that may be the body, seen from where it stands. A text file shown inline is one only when
 * nothing else is (lenient). */
static bool may_be_body(const struct mime_tree *t, const struct mime_node *n, bool lenient)
{
	if (n->kind != MIME_NODE_LEAF || n->is_rest || !is_readable(n) ||
		strcmp(n->disposition, "attachment") == 0)
		return false;
	if (!lenient && n->parent >= 0 && *n->disposition != 0 &&
		(*n->filename != 0 || *n->type.name != 0))
		return false;
	for (const struct mime_node *up = parent_of(t, n); up != NULL;
		n = up, up = parent_of(t, up)) {
		if (n->index_in_parent > 0 &&
			(type_is(up, "multipart/related") || type_is(up, "multipart/signed")))
			return false;
	}
	return true;
}

/* The outermost multipart/alternative around n, or NULL. */
static const struct mime_node *alternative_around(
	const struct mime_tree *t, const struct mime_node *n)
{
	const struct mime_node *found = NULL;

	for (n = parent_of(t, n); n != NULL; n = parent_of(t, n)) {
		if (type_is(n, "multipart/alternative"))
			found = n;
	}
	return found;
}

struct body_choice {
	const struct mime_node *text, *html, *alternative;
};

static void choose_body(const struct mime_tree *t, bool lenient, struct body_choice *c)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct mime_node *n = &t->nodes[i];
		const struct mime_node **slot = type_is(n, "text/html") ? &c->html : &c->text;

		if (!may_be_body(t, n, lenient) || *slot != NULL)
			continue;
		if (c->text == NULL && c->html == NULL) {
			*slot = n;
			c->alternative = alternative_around(t, n);
			if (c->alternative == NULL)
				return;
		} else if (alternative_around(t, n) == c->alternative) {
			*slot = n;
		}
	}
}

/* Another form of the body, which a reader never shows. */
static bool is_unused_alternative(const struct mime_tree *t, const struct mime_node *n)
{
	const struct mime_node *up = parent_of(t, n);

	return up != NULL && type_is(up, "multipart/alternative") && n->kind == MIME_NODE_LEAF &&
	       str_starts(n->type.type, "text/") && !type_is(n, "text/calendar") &&
	       strcmp(n->disposition, "attachment") != 0 && *n->filename == 0 && *n->type.name == 0;
}

/* --- names --- */

static const struct {
	const char *type, *stem, *extension;
} made_up[] = {
	{"text/plain", "text", "txt"},
	{"text/html", "text", "html"},
	{"text/calendar", "invite", "ics"},
	{"text/vcard", "contact", "vcf"},
	{"text/x-vcard", "contact", "vcf"},
	{"text/csv", "table", "csv"},
	{"text/rfc822-headers", "headers", "txt"},
	{"message/rfc822", "message", "eml"},
	{"message/global", "message", "eml"},
	{"message/delivery-status", "delivery-status", "txt"},
	{"message/disposition-notification", "disposition-notification", "txt"},
	{"message/feedback-report", "feedback-report", "txt"},
	{"message/rfc822-headers", "headers", "txt"},
	{"message/partial", "partial-message", "txt"},
	{"message/external-body", "external-body", "txt"},
	{"image/jpeg", "image", "jpg"},
	{"image/png", "image", "png"},
	{"image/gif", "image", "gif"},
	{"image/bmp", "image", "bmp"},
	{"image/tiff", "image", "tif"},
	{"image/webp", "image", "webp"},
	{"image/heic", "image", "heic"},
	{"image/svg+xml", "image", "svg"},
	{"audio/mpeg", "audio", "mp3"},
	{"audio/wav", "audio", "wav"},
	{"audio/x-wav", "audio", "wav"},
	{"audio/mp4", "audio", "m4a"},
	{"video/mp4", "video", "mp4"},
	{"video/quicktime", "video", "mov"},
	{"application/pdf", "document", "pdf"},
	{"application/zip", "archive", "zip"},
	{"application/json", "data", "json"},
	{"application/xml", "data", "xml"},
	{"text/xml", "data", "xml"},
	{"application/ics", "invite", "ics"},
	{"application/msword", "document", "doc"},
	{"application/rtf", "document", "rtf"},
	{"application/ms-tnef", "winmail", "dat"},
	{"application/pgp-signature", "signature", "asc"},
	{"application/pgp-encrypted", "version", "txt"},
	{"application/pgp-keys", "key", "asc"},
	{"application/pkcs7-signature", "smime", "p7s"},
	{"application/x-pkcs7-signature", "smime", "p7s"},
	{"application/pkcs7-mime", "smime", "p7m"},
	{"application/x-pkcs7-mime", "smime", "p7m"},
};

/* Nothing that a client could take for a path, no controls; whole characters. */
static char *tidy_name(struct arena *arena, const char *name, size_t max)
{
	char *copy = mime_header_clean(arena, name, strlen(name), max);

	for (char *p = copy; *p != 0; p++) {
		if ((uint8_t)*p < 0x20 || *p == 0x7f || *p == '/' || *p == '\\')
			*p = '_';
	}
	copy = str_trim(copy);
	return strcmp(copy, ".") == 0 || strcmp(copy, "..") == 0 ? arena_x_strdup(arena, "") : copy;
}

static char *make_name(struct arena *arena, const struct mime_node *n, unsigned number)
{
	for (size_t i = 0; i < ARRAY_LEN(made_up); i++) {
		if (type_is(n, made_up[i].type))
			return arena_x_printf(
				arena, "%s-%u.%s", made_up[i].stem, number, made_up[i].extension);
	}
	return arena_x_printf(arena, "attachment-%u.%s", number,
		str_starts(n->type.type, "text/") || n->is_rest ? "txt" : "bin");
}

/* Subject of the message inside n, or "". */
static char *embedded_subject(struct arena *arena, const struct mime_node *n, const char *raw)
{
	size_t len = MIN((size_t)(n->end - n->body), EMBEDDED_BYTES);
	struct mime_header_reader r = {raw + n->body, raw + n->body + len};
	struct buf decoded = BUF_INIT;
	struct mime_field f;
	char *subject = NULL;

	if (!mime_transfer_is_identity(n->encoding)) {
		mime_transfer_add(&decoded, n->encoding, r.p, len);
		if (decoded.failed || decoded.data == NULL)
			return arena_x_strdup(arena, "");
		r = (struct mime_header_reader){
			(const char *)decoded.data, (const char *)decoded.data + decoded.len};
	}
	while (subject == NULL && mime_header_next(&r, &f) == 1) {
		if (mime_header_is(&f, "subject"))
			subject = mime_header_text(arena, f.value);
	}
	buf_deinit(&decoded);
	return subject != NULL ? subject : arena_x_strdup(arena, "");
}

static char *attachment_name(
	struct arena *arena, const struct mime_node *n, const char *raw, unsigned number)
{
	char *name = tidy_name(arena, n->filename, NAME_MAX_BYTES);

	if (*name == 0)
		name = tidy_name(arena, n->type.name, NAME_MAX_BYTES);
	if (*name == 0 && n->kind == MIME_NODE_MESSAGE) {
		name = tidy_name(
			arena, embedded_subject(arena, n, raw), NAME_MAX_BYTES - strlen(".eml"));
		if (*name != 0)
			name = arena_x_printf(arena, "%s.eml", name);
	}
	return *name != 0 ? name : make_name(arena, n, number);
}

/* --- the map --- */

static char *content_id(struct arena *arena, struct mime_slice value)
{
	char *id;

	if (value.p == NULL)
		return arena_x_strdup(arena, "");
	id = mime_header_msgid(arena, value);
	/* Some name it as they link to it. */
	return str_starts_nocase(id, "cid:") ? id + 4 : id;
}

/* Text that is declared to be base64 and is not: nobody could read what a decoder makes of it. */
static enum mime_encoding true_encoding(const struct mime_node *n, const char *raw)
{
	if (n->encoding == MIME_ENC_BASE64 && str_starts(n->type.type, "text/") &&
		n->end > n->body && !mime_transfer_is_base64(raw + n->body, n->end - n->body))
		return MIME_ENC_8BIT;
	return n->encoding;
}

static void fill_part(
	struct arena *scratch, struct mime_node *n, const char *raw, struct mime_part *p)
{
	n->encoding = true_encoding(n, raw);
	*p = (struct mime_part){
		.offset = n->body,
		.length = n->end - n->body,
		.decoded_bytes = (uint32_t)mime_transfer_decoded_bytes(
			n->encoding, raw + n->body, n->end - n->body),
		.encoding = n->encoding,
		.content_type = n->type.type,
		.charset = n->type.charset,
		.name = "",
		.content_id = content_id(scratch, n->id),
		.content_location = "",
		.is_inline = strcmp(n->disposition, "inline") == 0,
		.format_flowed = n->type.format_flowed,
		.delsp = n->type.delsp,
	};
	if (n->location.p != NULL) {
		char *location = mime_header_text(scratch, n->location);

		p->content_location =
			mime_header_clean(scratch, location, strlen(location), LOCATION_MAX_BYTES);
	}
}

/* What fill_part() and attachment_name() left in scratch. */
static void keep_strings(struct arena *arena, struct mime_part *p)
{
	p->name = *p->name != 0 ? arena_x_strdup(arena, p->name) : "";
	p->content_id = *p->content_id != 0 ? arena_x_strdup(arena, p->content_id) : "";
	p->content_location =
		*p->content_location != 0 ? arena_x_strdup(arena, p->content_location) : "";
}

/* Parts that the HTML shows by cid: are inline. */
static void mark_inline(struct mime_summary *s, struct mime_part *parts, const char *raw)
{
	struct map *by_id;
	struct buf html = BUF_INIT;
	struct mime_slice in;
	char id[1000];
	size_t ids = 0;

	if (s->html_part < 0)
		return;
	by_id = map_new();
	for (uint32_t i = 0; i < s->part_count; i++) {
		if (parts[i].is_attachment && !parts[i].is_inline && *parts[i].content_id != 0) {
			(void)map_put_str(by_id, parts[i].content_id, &parts[i]);
			ids++;
		}
	}
	in = mime_parts_encoded(&parts[s->html_part], raw);
	if (ids > 0)
		mime_transfer_add(&html, parts[s->html_part].encoding, in.p,
			MIN(in.len, MIME_HTML_WORK_BYTES));
	if (html.len > 3) {
		const char *p = (const char *)html.data + 3,
			   *end = (const char *)html.data + html.len;

		while ((p = mime_html_next_cid(p, end, id, sizeof(id))) != NULL) {
			struct mime_part *part = map_find_str(by_id, id);

			if (part != NULL)
				part->is_inline = true;
		}
	}
	buf_deinit(&html);
	map_free(&by_id);
}

struct mime_slice mime_parts_encoded(const struct mime_part *p, const char *raw)
{
	return (struct mime_slice){raw + p->offset, p->length};
}

void mime_parts_map(
	struct arena *arena, const char *raw, struct mime_tree *tree, struct mime_summary *s)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct body_choice body = {0};
	struct mime_part *parts = arena_x_alloc(arena, tree->count * sizeof(*parts));
	unsigned attachments = 0;

	choose_body(tree, false, &body);
	if (body.text == NULL && body.html == NULL)
		choose_body(tree, true, &body);
	s->text_part = s->html_part = -1;
	for (size_t i = 0; i < tree->count; i++) {
		struct mime_node *n = &tree->nodes[i];
		struct mime_part *p = &parts[s->part_count];

		if (n->kind == MIME_NODE_MULTIPART)
			continue;
		fill_part(scratch, n, raw, p);
		n->part = (int32_t)s->part_count;
		if (n == body.text)
			s->text_part = n->part;
		else if (n == body.html)
			s->html_part = n->part;
		else
			p->is_attachment = !is_unused_alternative(tree, n);
		if (p->is_attachment)
			p->name = attachment_name(scratch, n, raw, ++attachments);
		keep_strings(arena, p);
		arena_clear(scratch);
		s->part_count++;
	}
	s->parts = parts;
	s->native_body = s->html_part >= 0 ? MIME_BODY_HTML : MIME_BODY_TEXT;
	mark_inline(s, parts, raw);
}
