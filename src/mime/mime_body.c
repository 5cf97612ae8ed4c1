/*
 * Bodies and parts, from the part map and the raw bytes; no parsing.
 *
 * The steps: transfer encoding -> UTF-8 -> the wanted form -> clean lines, cut at max_bytes. A step
 * that has nothing to do hands its input on without a copy. Of a long part only a window is looked
 * at when less is wanted; the size is then estimated from it.
 *
 * Limits: WHOLE_BYTES are always read, so that the usual message has an exact size;
 * MIME_TEXT_WORK_BYTES and MIME_HTML_WORK_BYTES of input at most. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define WHOLE_BYTES ((size_t)256 * 1024)
/* Text that HTML may give before it is cut for less: keeps the sizes of short messages exact. */
#define STOP_BYTES ((uint64_t)8 * 1024)
/* A part that is read in pieces: encoded bytes of one. */
#define PIECE_BYTES ((size_t)256 * 1024)
/* Of a larger message, unclean bytes become U+FFFD. */
#define RECODE_BYTES ((size_t)32 * 1024 * 1024)

/* Bytes on their way through the steps: borrowed, or in own. */
struct flow {
	const char *p;
	size_t len;
	struct buf own;
};

/* The result of a step replaces what it was made of. */
static void flow_take(struct flow *f, struct buf *made)
{
	buf_deinit(&f->own);
	f->own = *made;
	*made = (struct buf)BUF_INIT;
	f->p = f->own.data != NULL ? (const char *)f->own.data : "";
	f->len = f->own.len;
}

/* The first `window` encoded bytes of a part as UTF-8 (declared UTF-8 may still be broken). */
static void flow_open(struct flow *f, const struct mime_part *p, const char *raw, size_t window)
{
	struct buf made = BUF_INIT;
	const char *charset = p->charset;
	char named[64];

	*f = (struct flow){raw + p->offset, MIN((size_t)p->length, window), BUF_INIT};
	if (!mime_transfer_is_identity(p->encoding)) {
		mime_transfer_add(&made, p->encoding, f->p, f->len);
		flow_take(f, &made);
	}
	if (window < p->length)
		f->len = mime_text_whole(f->p, f->len);
	if (f->len >= 3 && memcmp(f->p, "\xef\xbb\xbf", 3) == 0) {
		f->p += 3;
		f->len -= 3;
	} else if (!mime_charset_is_utf8(charset, f->p, f->len)) {
		if (*charset == 0 && strcmp(p->content_type, "text/html") == 0) {
			mime_html_charset(f->p, f->len, named, sizeof(named));
			charset = str_starts_nocase(named, "utf") ? "" : named;
		}
		mime_charset_add(&made, charset, f->p, f->len);
		flow_take(f, &made);
	}
}

void mime_body_start(
	struct buf *out, const struct mime_part *p, const char *raw, size_t max, uint32_t *ret_cpid)
{
	struct flow f;
	uint32_t cpid = mime_charset_cpid(p->charset);

	flow_open(&f, p, raw, max);
	if (cpid == 0 || (cpid == 20127 && mime_charset_ascii_span(f.p, f.len) < f.len)) {
		if (mime_charset_ascii_span(f.p, f.len) == f.len)
			cpid = 20127;
		else
			cpid = f.own.data != NULL && mime_transfer_is_identity(p->encoding) ? 1252
											    : 65001;
	}
	*ret_cpid = cpid;
	if (p->format_flowed)
		mime_text_unflow(out, f.p, f.len, p->delsp);
	else
		buf_add(out, f.p, f.len);
	buf_deinit(&f.own);
}

/* Turns the UTF-8 of the part into the form that is asked for, lines not yet settled. stop_bytes of
 * output are enough. Returns how much of the part went into it. */
static double flow_convert(struct flow *f, const struct mime_part *p, bool is_html,
	enum mime_body_type type, size_t stop_bytes)
{
	struct buf made = BUF_INIT, clean = BUF_INIT;
	double share = 1;

	if (!is_html && p->format_flowed) {
		mime_text_unflow(&made, f->p, f->len, p->delsp);
		flow_take(f, &made);
	}
	if (is_html == (type == MIME_BODY_HTML)) {
		if (!is_html)
			return share;
		mime_html_add_as_utf8(&made, f->p, f->len);
	} else if (!is_html) {
		mime_html_from_text(&made, f->p, f->len);
	} else {
		utf8_add_clean(&clean, f->p, f->len);
		if (clean.len > 0)
			share = (double)mime_html_to_text(&made, (const char *)clean.data,
					clean.len, stop_bytes, true) /
				(double)clean.len;
		buf_deinit(&clean);
	}
	flow_take(f, &made);
	return share;
}

/* Which part a body of that type is made of; NULL: there is none. */
static const struct mime_part *source_part(
	const struct mime_summary *s, enum mime_body_type type, bool *ret_is_html)
{
	int32_t first = type == MIME_BODY_HTML ? s->html_part : s->text_part;
	int32_t second = type == MIME_BODY_HTML ? s->text_part : s->html_part;
	int32_t index = first >= 0 ? first : second;

	*ret_is_html = index >= 0 && index == s->html_part;
	return index >= 0 ? &s->parts[index] : NULL;
}

static bool part_fits(const struct mime_part *p, size_t len)
{
	return p->offset <= len && p->length <= len - p->offset;
}

/* Encoded bytes to look at: three for one in quoted-printable, two for one in UTF-16, and markup.
 */
static size_t window_for(uint64_t max_bytes, bool converts_html)
{
	size_t most = converts_html ? MIME_HTML_WORK_BYTES : MIME_TEXT_WORK_BYTES;

	if (max_bytes >= most / 8)
		return most;
	return MAX(WHOLE_BYTES, (size_t)max_bytes * 8);
}

static void render_part(const struct mime_part *p, bool is_html, const char *raw,
	enum mime_body_type type, struct mime_out *o, struct mime_body *ret)
{
	size_t window = window_for(o->max, is_html && type == MIME_BODY_TEXT);
	double share;
	struct flow f;

	flow_open(&f, p, raw, window);
	share = flow_convert(
		&f, p, is_html, type, (size_t)MIN(MAX(o->max, STOP_BYTES), (uint64_t)SIZE_MAX));
	if (window < p->length)
		share *= (double)window / (double)p->length;
	if (!f.own.failed)
		(void)buf_reserve(o->buf, (size_t)MIN(o->max, (uint64_t)f.len + f.len / 16));
	mime_text_add_lines(o, f.p, f.len);
	if (o->cut && type == MIME_BODY_HTML && o->buf->len > 0)
		o->buf->len = mime_html_floor((const char *)o->buf->data, o->buf->len);
	buf_deinit(&f.own);
	ret->estimated_bytes = o->total;
	ret->truncated = o->cut;
	if (share > 0 && share < 1) {
		ret->truncated = true;
		ret->estimated_bytes = (uint64_t)((double)o->total / share);
	}
}

/* The message itself. When what is wanted of it holds bytes that no string can carry, that much is
 * made anew. */
static void render_mime(const char *raw, size_t len, struct mime_out *o, struct mime_body *ret)
{
	/* Lines only grow: no more than max bytes of input can be needed. */
	size_t window = MIN(len, MAX(WHOLE_BYTES, (size_t)MIN(o->max, (uint64_t)len)));
	size_t behind;
	struct buf recoded = BUF_INIT;

	if (window < len)
		window = mime_text_whole(raw, window);
	behind = len - window;

	if (window <= RECODE_BYTES && !mime_text_is_clean(raw, window)) {
		mime_recode(&recoded, raw, window);
		if (!recoded.failed) {
			raw = (const char *)recoded.data;
			window = recoded.len;
		}
	}
	mime_text_add_lines(o, raw, window);
	ret->estimated_bytes = o->total + behind;
	ret->truncated = o->cut || behind > 0;
	buf_deinit(&recoded);
}

int mime_body_render(const struct mime_summary *s, const void *raw, size_t len,
	enum mime_body_type type, uint64_t max_bytes, struct mime_body *ret, struct err *err)
{
	struct mime_body body = {.type = type};
	struct mime_out o = {.buf = &body.data, .max = max_bytes};
	const char *bytes = mime_bytes(raw, len);
	const struct mime_part *p;
	bool is_html = false;

	if (type != MIME_BODY_TEXT && type != MIME_BODY_HTML && type != MIME_BODY_MIME)
		return err_set(err, ERR_BAD_INPUT, "body type %d cannot be made", (int)type);
	p = source_part(s, type, &is_html);
	if (type == MIME_BODY_MIME) {
		render_mime(bytes, len, &o, &body);
	} else if (p != NULL) {
		if (!part_fits(p, len))
			return err_set(err, ERR_BAD_INPUT, "summary and message do not match");
		render_part(p, is_html, bytes, type, &o, &body);
	}
	if (body.data.failed) {
		buf_deinit(&body.data);
		return err_set(err, ERR_INTERNAL, "no memory for a body");
	}
	*ret = body;
	return 0;
}

/* 0: *ret is the part. */
static int find_part(const struct mime_summary *s, uint32_t index, size_t len,
	const struct mime_part **ret, struct err *err)
{
	if (index >= s->part_count)
		return err_set(err, ERR_NOT_FOUND, "the message has no part %u", index);
	if (!part_fits(&s->parts[index], len))
		return err_set(err, ERR_BAD_INPUT, "summary and message do not match");
	*ret = &s->parts[index];
	return 0;
}

int mime_part_read(const struct mime_summary *s, const void *raw, size_t len, uint32_t part_index,
	const struct mime_part_range *range, struct err *err)
{
	const char *bytes = mime_bytes(raw, len);
	struct buf piece = BUF_INIT;
	struct mime_transfer t = {0};
	const struct mime_part *p;
	uint64_t at = 0, end;
	bool failed;

	if (find_part(s, part_index, len, &p, err) < 0)
		return -1;
	t.encoding = p->encoding;
	end = range->count > UINT64_MAX - range->first ? UINT64_MAX : range->first + range->count;
	for (size_t done = 0, n; done < p->length && at < end; done += n) {
		const char *in = bytes + p->offset + done;
		uint64_t from, to;

		n = mime_transfer_piece(p->encoding, in, p->length - done, PIECE_BYTES);
		buf_clear(&piece);
		if (!buf_reserve(&piece, mime_transfer_room(n)))
			break;
		piece.len = mime_transfer_feed(&t, piece.data, in, n, done + n == p->length);
		from = MIN(MAX(at, range->first), at + piece.len);
		to = MIN(at + piece.len, end);
		if (from < to)
			range->take(range->owner, piece.data + (from - at), (size_t)(to - from));
		at += piece.len;
		if (range->passed != NULL)
			range->passed(range->owner, p->offset + done + n);
	}
	if (piece.failed)
		(void)err_set(err, ERR_INTERNAL, "no memory for a part");
	failed = piece.failed;
	buf_deinit(&piece);
	return failed ? -1 : 0;
}

int mime_part_decode(const struct mime_summary *s, const void *raw, size_t len, uint32_t part_index,
	struct buf *out, struct err *err)
{
	const struct mime_part *p;

	if (find_part(s, part_index, len, &p, err) < 0)
		return -1;
	mime_transfer_add(out, p->encoding, mime_bytes(raw, len) + p->offset, p->length);
	return out->failed ? err_set(err, ERR_INTERNAL, "no memory for a part") : 0;
}
