/*
 * Writing drafts: a new one from what a phone gives, or the old one with what it changes. The
 * fields that it names are replaced, all others stay. The content is
 *
 *     as it was, where neither body nor attachments change;
 *     mixed { related { the new body, inline images }, attachments } for a new body;
 *     else the old structure without what is removed, and what is added behind it.
 *
 * Limits: FIELD_MAX bytes for each property; those of the reader. Pure but for boundaries and ids;
 * any thread.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_draft_internal.h"

#define FIELD_MAX ((size_t)32768)
enum { NUMBERS_IN_A_LINE = 3 };

/* ---- taking apart ---- */

static int open_base(struct draft_writer *w, const void *raw, size_t len, struct draft_base *ret,
	struct err *err)
{
	int32_t part = 0;

	if (raw == NULL)
		return 0;
	ret->raw = mime_bytes(raw, len);
	ret->len = len;
	if (mime_summarize(w->arena, raw, len, w->d->limits, &ret->summary, err) < 0)
		return -1;
	mime_scan(w->arena, ret->raw, len, w->d->limits, &ret->tree);
	if (ret->tree.count == 0)
		return err_set(err, ERR_INTERNAL, "no memory for the parts of a draft");
	for (size_t i = 0; i < ret->tree.count; i++) {
		struct mime_node *n = &ret->tree.nodes[i];

		n->part = n->kind == MIME_NODE_MULTIPART ? -1 : part++;
	}
	mime_draft_numbers_read(w->arena, ret->summary, raw, len, &ret->numbers);
	return 0;
}

bool mime_draft_is_message(const void *raw, size_t len)
{
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct mime_field f;

	return mime_header_next(&r, &f) == 1;
}

static int check_lengths(const struct mime_draft *d, struct err *err)
{
	const char *const texts[] = {d->to, d->cc, d->bcc, d->reply_to, d->subject};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i] != NULL && strlen(texts[i]) > FIELD_MAX)
			return err_set(
				err, ERR_BAD_INPUT, "a property of %zu bytes", strlen(texts[i]));
	}
	if (d->body_type == MIME_BODY_RTF)
		return err_set(err, ERR_BAD_INPUT, "the body of a mail cannot be RTF");
	if (d->body_type == MIME_BODY_MIME && !mime_draft_is_message(d->body, d->body_len))
		return err_set(err, ERR_BAD_INPUT, "the body is not a message");
	return 0;
}

/* ---- what is attached ---- */

static int mark_removed(struct draft_writer *w, struct err *err)
{
	const struct draft_base *old = &w->old;

	w->gone = arena_x_alloc(
		w->arena, (w->base->summary != NULL ? w->base->summary->part_count : 0) + 1);
	for (size_t i = 0; i < w->d->remove_count; i++) {
		size_t k = 0;

		while (k < old->numbers.count && old->numbers.v[k].number != w->d->remove[i])
			k++;
		if (k == old->numbers.count)
			return err_set(err, ERR_NOT_FOUND, "the draft has no attachment %" PRIu32,
				w->d->remove[i]);
		/* A whole new message has brought its own. */
		if (w->base == old)
			w->gone[old->numbers.v[k].part] = true;
	}
	return 0;
}

bool mime_draft_shows_html(const struct draft_writer *w)
{
	return w->fresh_body && w->d->body_type == MIME_BODY_HTML;
}

static void add_piece(struct draft_writer *w, const struct draft_piece *piece)
{
	w->related_count += piece->related;
	w->pieces[w->piece_count++] = *piece;
}

static void add_old_pieces(struct draft_writer *w)
{
	const struct draft_base *b = w->base;
	size_t k = 0;

	for (size_t i = 0; b->summary != NULL && i < b->tree.count; i++) {
		const struct mime_node *n = &b->tree.nodes[i];
		const struct mime_part *part;
		struct draft_piece piece = {.node = n};

		if (n->part < 0 || !b->summary->parts[n->part].is_attachment)
			continue;
		part = &b->summary->parts[n->part];
		piece.number = b == &w->old ? b->numbers.v[k].number : w->next_number++;
		piece.mark = b == &w->old ? b->numbers.v[k].mark : 0;
		piece.related =
			mime_draft_shows_html(w) && part->is_inline && *part->content_id != 0;
		k++;
		if (!w->gone[n->part])
			add_piece(w, &piece);
	}
}

static void collect_pieces(struct draft_writer *w)
{
	const struct draft_base *b = w->base;
	struct draft_piece *sorted;

	w->pieces = arena_x_alloc(w->arena,
		((b->summary != NULL ? b->summary->part_count : 0) + w->d->add_count + 1) *
			sizeof(*w->pieces));
	w->next_number = w->old.numbers.next;
	add_old_pieces(w);
	for (size_t i = 0; i < w->d->add_count; i++) {
		const struct mime_draft_attachment *a = &w->d->add[i];
		struct draft_piece piece = {.added = a,
			.number = w->next_number++,
			.mark = a->mark,
			.related = mime_draft_shows_html(w) && a->is_inline && *a->content_id != 0};

		add_piece(w, &piece);
	}
	/* Related ones come first, else as they are. */
	sorted = arena_x_alloc(w->arena, (w->piece_count + 1) * sizeof(*sorted));
	for (int related = 1, at = 0; related >= 0; related--) {
		for (size_t i = 0; i < w->piece_count; i++) {
			if (w->pieces[i].related == (related != 0))
				sorted[at++] = w->pieces[i];
		}
	}
	w->pieces = sorted;
}

/* ---- fields ---- */

static bool is_any(const struct mime_field *f, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (mime_header_is(f, *names))
			return true;
	}
	return false;
}

/* Fields of the base that do not stay. */
static bool is_replaced(const struct mime_draft *d, const struct mime_field *f)
{
	static const char *const always[] = {"date", "mime-version", MIME_DRAFT_NUMBERS, NULL};
	static const char *const to[] = {"to", MIME_DRAFT_TO, NULL};
	static const char *const cc[] = {"cc", MIME_DRAFT_CC, NULL};
	static const char *const bcc[] = {"bcc", MIME_DRAFT_BCC, NULL};
	static const char *const reply_to[] = {"reply-to", MIME_DRAFT_REPLY_TO, NULL};
	static const char *const subject[] = {"subject", "thread-topic", NULL};
	static const char *const importance[] = {
		"importance", "x-priority", "priority", "x-msmail-priority", NULL};

	return mime_pieces_is_content(f) || is_any(f, always) || (d->to != NULL && is_any(f, to)) ||
	       (d->cc != NULL && is_any(f, cc)) || (d->bcc != NULL && is_any(f, bcc)) ||
	       (d->reply_to != NULL && is_any(f, reply_to)) ||
	       (d->subject != NULL && is_any(f, subject)) ||
	       (d->importance >= 0 && is_any(f, importance));
}

struct had {
	bool from, message_id;
};

static void keep_fields(struct draft_writer *w, struct had *had)
{
	const char *raw = mime_bytes(w->base->raw, w->base->len);
	struct mime_header_reader r = {raw, raw + w->base->len};
	struct mime_field f;

	while (w->base->summary != NULL && mime_header_next(&r, &f) == 1) {
		if (is_replaced(w->d, &f))
			continue;
		had->from |= mime_header_is(&f, "from");
		had->message_id |= mime_header_is(&f, "message-id");
		mime_pieces_add_field(w->out, &f, r.p);
	}
}

static int write_people(struct draft_writer *w, const char *name, const char *kept,
	const char *text, struct err *err)
{
	struct mime_addresses list = {0};
	size_t before = w->out->len;

	if (text == NULL || *text == 0)
		return 0;
	if (!mime_send_addresses(w->arena, (struct mime_slice){text, strlen(text)}, &list)) {
		buf_addf(w->out, "%s: ", kept);
		mime_header_encode(w->out, text, strlen(text));
		buf_add_str(w->out, "\r\n");
	}
	mime_write_addresses(w->out, name, &list);
	/* What could not be read back must not be taken. */
	if (w->out->len - before > MIME_VALUE_MAX)
		return err_set(err, ERR_BAD_INPUT, "%s of %zu bytes", name, strlen(text));
	return 0;
}

static void write_numbers(struct draft_writer *w)
{
	if (w->next_number == 0)
		return;
	buf_addf(w->out, "X-Bellhop-Attachments: %" PRIu32, w->next_number);
	for (size_t i = 0; i < w->piece_count; i++)
		buf_addf(w->out, "%s %" PRIu32 ":%" PRIu64,
			i % NUMBERS_IN_A_LINE == 0 ? "\r\n" : "", w->pieces[i].number,
			w->pieces[i].mark);
	buf_add_str(w->out, "\r\n");
}

static int write_fields(struct draft_writer *w, struct err *err)
{
	static const char *const importances[] = {"low", "normal", "high"};
	const struct mime_draft *d = w->d;
	struct had had = {0};

	keep_fields(w, &had);
	if (!had.from && d->from != NULL) {
		struct mime_addresses from = {0};

		(void)mime_send_addresses(
			w->arena, (struct mime_slice){d->from, strlen(d->from)}, &from);
		mime_write_addresses(w->out, "From", &from);
	}
	if (write_people(w, "To", MIME_DRAFT_TO, d->to, err) < 0 ||
		write_people(w, "Cc", MIME_DRAFT_CC, d->cc, err) < 0 ||
		write_people(w, "Bcc", MIME_DRAFT_BCC, d->bcc, err) < 0 ||
		write_people(w, "Reply-To", MIME_DRAFT_REPLY_TO, d->reply_to, err) < 0)
		return -1;
	if (d->subject != NULL && *d->subject != 0)
		mime_write_text(w->out, "Subject", d->subject);
	if (d->importance >= 0)
		buf_addf(w->out, "Importance: %s\r\n", importances[MIN(d->importance, 2)]);
	mime_write_date(w->out, d->now_at);
	if (!had.message_id && w->old.summary != NULL && *w->old.summary->message_id != 0)
		buf_addf(w->out, "Message-ID: <%s>\r\n", w->old.summary->message_id);
	else if (!had.message_id)
		mime_write_message_id(w->out, d->domain);
	buf_add_str(w->out, "MIME-Version: 1.0\r\n");
	write_numbers(w);
	return 0;
}

/* ---- the whole ---- */

static int write_draft(struct draft_writer *w, struct err *err)
{
	const struct mime_draft *d = w->d;

	if (check_lengths(d, err) < 0 || open_base(w, d->old, d->old_len, &w->old, err) < 0)
		return -1;
	w->base = &w->old;
	if (d->body_type == MIME_BODY_MIME) {
		if (open_base(w, d->body, d->body_len, &w->mime, err) < 0)
			return -1;
		w->base = &w->mime;
	}
	w->fresh_body = d->body_type == MIME_BODY_TEXT || d->body_type == MIME_BODY_HTML ||
			w->base->summary == NULL;
	if (mark_removed(w, err) < 0)
		return -1;
	collect_pieces(w);
	if (w->fresh_body)
		mime_draft_take_text(w);
	if (write_fields(w, err) < 0)
		return -1;
	mime_draft_write_content(w);
	return w->out->failed || w->text.failed ? err_set(err, ERR_BUSY, "no memory for a draft")
						: 0;
}

int mime_draft_write(const struct mime_draft *d, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct draft_writer w = {.d = d, .arena = arena, .out = out};
	int result = write_draft(&w, err);

	mime_scan_free(&w.old.tree);
	mime_scan_free(&w.mime.tree);
	buf_deinit(&w.text);
	return result;
}

/* ---- sending ---- */

bool mime_draft_is_complete(const void *raw, size_t len)
{
	static const char *const kept[] = {MIME_DRAFT_TO, MIME_DRAFT_CC, MIME_DRAFT_BCC, NULL};
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		if (is_any(&f, kept))
			return false;
	}
	return true;
}

int mime_draft_to_send(const void *raw, size_t len, struct buf *out, struct err *err)
{
	static const char *const own[] = {"date", MIME_DRAFT_NUMBERS, MIME_DRAFT_TO, MIME_DRAFT_CC,
		MIME_DRAFT_BCC, MIME_DRAFT_REPLY_TO, NULL};
	struct mime_header_reader r = {mime_bytes(raw, len), mime_bytes(raw, len) + len};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		if (!is_any(&f, own))
			mime_pieces_add_field(out, &f, r.p);
	}
	buf_add_str(out, "\r\n");
	buf_add(out, r.p, (size_t)(r.end - r.p));
	return out->failed ? err_set(err, ERR_BUSY, "no memory for a draft to be sent") : 0;
}
