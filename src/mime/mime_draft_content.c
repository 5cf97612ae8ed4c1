/*
 * The content of a draft: a fresh one around a new body, the old structure with what is removed
 * left out and what is added behind it, or all as it was.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_draft_internal.h"

#define NAME_MAX_LEN ((size_t)255)

static void write_delimiter(struct draft_writer *w, const char *boundary)
{
	buf_addf(w->out, "\r\n--%s\r\n", boundary);
}

static void write_multipart(struct draft_writer *w, const char *type, char boundary[33])
{
	mime_pieces_boundary(boundary);
	buf_addf(w->out, "Content-Type: multipart/%s; boundary=\"%s\"\r\n", type, boundary);
}

/* Clean, with CRLF. */
void mime_draft_take_text(struct draft_writer *w)
{
	struct buf clean = BUF_INIT;
	const char *p, *end;

	if (w->d->body_len > 0)
		utf8_add_clean(&clean, w->d->body, w->d->body_len);
	p = mime_bytes(clean.data, clean.len);
	end = p + clean.len;
	while (p < end) {
		size_t n = (size_t)(end - p);
		const char *nl = memchr(p, '\n', n);

		n = nl != NULL ? (size_t)(nl - p) : n;
		buf_add(&w->text, p, n - (nl != NULL && n > 0 && p[n - 1] == '\r'));
		if (nl != NULL)
			buf_add_str(&w->text, "\r\n");
		p += n + (nl != NULL);
	}
	w->text.failed |= clean.failed;
	buf_deinit(&clean);
}

/* Quoted-printable makes three of each byte that is not ASCII, base64 four of three of all. */
static void write_body(struct draft_writer *w)
{
	const char *text = mime_bytes(w->text.data, w->text.len);
	const char *subtype = mime_draft_shows_html(w) ? "html" : "plain";
	size_t odd = 0;

	for (size_t i = 0; i < w->text.len; i++)
		odd += (uint8_t)text[i] >= 0x7f;
	if (odd <= w->text.len / 6) {
		mime_pieces_add_text(w->out, subtype, &w->text);
		return;
	}
	buf_addf(w->out,
		"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		subtype);
	mime_recode_add_base64(w->out, text, text + w->text.len);
}

/* type/subtype of tokens alone, one that may stand for any bytes; else NULL. */
static const char *good_type(struct arena *arena, const char *type)
{
	char *copy = arena_x_strdup(arena, type), *slash;

	copy[strcspn(copy, "; \t")] = 0;
	slash = strchr(copy, '/');
	for (const char *p = copy; *p != 0; p++) {
		if ((uint8_t)*p <= ' ' || (uint8_t)*p >= 0x7f ||
			strchr("()<>@,;:\\\"[]?=", *p) != NULL || (*p == '/' && p != slash))
			return NULL;
	}
	if (slash == NULL || slash == copy || slash[1] == 0 || strlen(copy) > 127 ||
		str_starts_nocase(copy, "multipart/") || str_starts_nocase(copy, "message/"))
		return NULL;
	return copy;
}

/* Such a part cannot be encoded (RFC 2046, 5.2.1), so not all bytes can be one. */
static bool can_be_embedded(const struct mime_draft_attachment *a)
{
	return a->is_message && mime_draft_is_message(a->content, a->len) &&
	       memchr(a->content, 0, a->len) == NULL;
}

static void write_id(struct buf *out, const char *id)
{
	struct buf clean = BUF_INIT;

	for (; *id != 0; id++) {
		if ((uint8_t)*id > ' ' && (uint8_t)*id < 0x7f && *id != '<' && *id != '>')
			buf_add_byte(&clean, (uint8_t)*id);
	}
	if (clean.len > 0 && clean.len < 900)
		buf_addf(out, "Content-ID: <%s>\r\n", buf_cstr(&clean));
	buf_deinit(&clean);
}

static void write_added(struct draft_writer *w, const struct mime_draft_attachment *a)
{
	bool embedded = can_be_embedded(a);
	const char *type = embedded ? "message/rfc822" : good_type(w->arena, a->content_type);
	bool text = type != NULL && str_starts_nocase(type, "text/");
	char *name = arena_x_strndup(
		w->arena, a->name, utf8_floor(a->name, strlen(a->name), NAME_MAX_LEN));

	for (char *p = name; *p != 0; p++) {
		if ((uint8_t)*p < ' ' || *p == 0x7f)
			*p = '_';
	}
	buf_addf(w->out, "Content-Type: %s\r\n", type != NULL ? type : "application/octet-stream");
	if (*a->content_id != 0)
		write_id(w->out, a->content_id);
	if (*a->content_location != 0)
		mime_write_text(w->out, "Content-Location", a->content_location);
	/* A text shown inline would be taken for a body. */
	buf_addf(w->out, "Content-Disposition: %s",
		a->is_inline && !text && !embedded ? "inline" : "attachment");
	if (*name != 0)
		mime_write_parameter(w->out, "filename", name);
	buf_addf(w->out, "\r\nContent-Transfer-Encoding: %s\r\n\r\n", embedded ? "8bit" : "base64");
	if (embedded)
		buf_add(w->out, a->content, a->len);
	else if (a->len > 0)
		mime_recode_add_base64(w->out, a->content, (const char *)a->content + a->len);
}

static void write_piece(
	struct draft_writer *w, const struct draft_piece *piece, const char *boundary)
{
	write_delimiter(w, boundary);
	if (piece->added != NULL)
		write_added(w, piece->added);
	else
		mime_pieces_add_part(w->out, w->base->raw, piece->node);
}

/* A new body, and everything that is attached around it. */
static void write_fresh(struct draft_writer *w)
{
	bool mixed = w->piece_count > w->related_count;
	char outer[33], inner[33];

	if (mixed) {
		write_multipart(w, "mixed", outer);
		write_delimiter(w, outer);
	}
	if (w->related_count > 0) {
		write_multipart(w, "related; type=\"text/html\"", inner);
		write_delimiter(w, inner);
	}
	write_body(w);
	for (size_t i = 0; i < w->related_count; i++)
		write_piece(w, &w->pieces[i], inner);
	if (w->related_count > 0)
		buf_addf(w->out, "\r\n--%s--\r\n", inner);
	for (size_t i = w->related_count; i < w->piece_count; i++)
		write_piece(w, &w->pieces[i], outer);
	if (mixed)
		buf_addf(w->out, "\r\n--%s--\r\n", outer);
}

/* Does anything of a node stay; is any of it gone? Children stand behind their parents. */
static bool find_below(const struct draft_writer *w, size_t at, bool gone)
{
	const struct mime_tree *t = &w->base->tree;
	const struct mime_node *n = &t->nodes[at];

	if (n->part >= 0)
		return w->gone[n->part] == gone;
	for (size_t i = at + 1; i < t->count; i++) {
		if (t->nodes[i].parent == (int32_t)at && find_below(w, i, gone))
			return true;
	}
	return false;
}

static size_t next_child(const struct draft_writer *w, size_t at, size_t after)
{
	const struct mime_tree *t = &w->base->tree;

	for (size_t i = after + 1; i < t->count; i++) {
		if (t->nodes[i].parent == (int32_t)at && find_below(w, i, false))
			return i;
	}
	return 0;
}

static void write_verbatim(struct draft_writer *w, const struct mime_node *n)
{
	mime_pieces_add_fields(w->out, w->base->raw, n, false, false);
	buf_add_str(w->out, "\r\n");
	buf_add(w->out, w->base->raw + n->body, n->end - n->body);
}

/* What stays of a node, in the form that it has. */
static void write_rest(struct draft_writer *w, size_t at)
{
	const struct mime_node *n = &w->base->tree.nodes[at];
	size_t first = next_child(w, at, at);
	char boundary[33];

	if (n->part >= 0) {
		mime_pieces_add_part(w->out, w->base->raw, n);
	} else if (!find_below(w, at, true)) {
		write_verbatim(w, n);
	} else if (next_child(w, at, first) == 0) {
		write_rest(w, first);
	} else {
		write_multipart(w,
			strcmp(n->type.type, "multipart/related") == 0       ? "related"
			: strcmp(n->type.type, "multipart/alternative") == 0 ? "alternative"
									     : "mixed",
			boundary);
		for (size_t i = first; i != 0; i = next_child(w, at, i)) {
			write_delimiter(w, boundary);
			write_rest(w, i);
		}
		buf_addf(w->out, "\r\n--%s--\r\n", boundary);
	}
}

static void write_rest_or_nothing(struct draft_writer *w)
{
	if (find_below(w, 0, false))
		write_rest(w, 0);
	else
		write_body(w); /* an empty one */
}

/* The old body stays; attachments go and come. */
static void write_changed(struct draft_writer *w)
{
	const struct mime_node *root = &w->base->tree.nodes[0];
	char boundary[33];

	if (w->d->add_count == 0) {
		write_rest_or_nothing(w);
		return;
	}
	write_multipart(w, "mixed", boundary);
	if (strcmp(root->type.type, "multipart/mixed") == 0 && find_below(w, 0, false)) {
		for (size_t i = next_child(w, 0, 0); i != 0; i = next_child(w, 0, i)) {
			write_delimiter(w, boundary);
			write_rest(w, i);
		}
	} else {
		write_delimiter(w, boundary);
		write_rest_or_nothing(w);
	}
	for (size_t i = w->piece_count - w->d->add_count; i < w->piece_count; i++)
		write_piece(w, &w->pieces[i], boundary);
	buf_addf(w->out, "\r\n--%s--\r\n", boundary);
}

void mime_draft_write_content(struct draft_writer *w)
{
	if (w->fresh_body)
		write_fresh(w);
	else if (w->d->add_count > 0 || w->d->remove_count > 0)
		write_changed(w);
	else
		write_verbatim(w, &w->base->tree.nodes[0]);
}
