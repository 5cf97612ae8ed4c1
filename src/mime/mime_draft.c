/*
 * Writing drafts: a new one from what a phone gives, or the old one with what it changes. The
 * fields that it names are replaced, all others stay. The content is
 *
 *     as it was, where neither body nor attachments change;
 *     mixed { related { the new body, inline images }, attachments } for a new body;
 *     else the old structure without what is removed, and what is added behind it.
 *
 * Numbers of attachments stand in X-Bellhop-Attachments, in the order of the parts: the next
 * number, then number:mark for each. A message without that field, or one that does not fit it,
 * numbers its attachments by their parts.
 *
 * Limits: FIELD_MAX bytes for each property; those of the reader. Pure but for boundaries and ids;
 * any thread.
 */
#include "mime/mime_draft.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_internal.h"

#define FIELD_MAX    ((size_t)32768)
#define NAME_MAX_LEN ((size_t)255)
#define NUMBERS      "x-bellhop-attachments"
enum { NUMBERS_IN_A_LINE = 3 };

/* ---- numbers ---- */

static void number_by_part(const struct mime_summary *s, struct mime_draft_numbers *ret)
{
	for (size_t i = 0; i < ret->count; i++) {
		ret->v[i].number = ret->v[i].part;
		ret->v[i].mark = 0;
	}
	ret->next = s->part_count;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool are_distinct(struct arena *arena, const struct mime_draft_numbers *n)
{
	uint32_t *sorted = arena_x_alloc(arena, (n->count + 1) * sizeof(*sorted));

	for (size_t i = 0; i < n->count; i++) {
		if (n->v[i].number >= n->next)
			return false;
		sorted[i] = n->v[i].number;
	}
	qsort(sorted, n->count, sizeof(*sorted), compare_u32);
	for (size_t i = 1; i < n->count; i++) {
		if (sorted[i] == sorted[i - 1])
			return false;
	}
	return true;
}

/* The next word, cut off at its end; NULL when there is none. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	*at = word + strcspn(word, " \t");
	if (**at != 0)
		*(*at)++ = 0;
	return *word != 0 ? word : NULL;
}

static bool parse_numbers(struct arena *arena, char *text, struct mime_draft_numbers *n)
{
	struct err ignored = ERR_INIT;
	char *word = next_word(&text), *mark;
	uint64_t number;
	size_t i = 0;

	if (word == NULL || str_parse_u64(word, UINT32_MAX - 1, &number, &ignored) < 0)
		return false;
	n->next = (uint32_t)number;
	for (; (word = next_word(&text)) != NULL; i++) {
		mark = strchr(word, ':');
		if (mark == NULL || i >= n->count)
			return false;
		*mark++ = 0;
		if (str_parse_u64(word, UINT32_MAX, &number, &ignored) < 0 ||
			str_parse_u64(mark, UINT64_MAX, &n->v[i].mark, &ignored) < 0)
			return false;
		n->v[i].number = (uint32_t)number;
	}
	return i == n->count && are_distinct(arena, n);
}

void mime_draft_numbers_read(struct arena *arena, const struct mime_summary *s, const void *raw,
	size_t len, struct mime_draft_numbers *ret)
{
	char *text = mime_field_text(arena, raw, len, NUMBERS);

	*ret = (struct mime_draft_numbers){
		.v = arena_x_alloc(arena, (s->part_count + 1) * sizeof(*ret->v))};
	for (uint32_t i = 0; i < s->part_count; i++) {
		if (s->parts[i].is_attachment)
			ret->v[ret->count++] = (struct mime_draft_number){.part = i};
	}
	if (text == NULL || !parse_numbers(arena, text, ret))
		number_by_part(s, ret);
}

/* ---- taking apart ---- */

/* A message that the draft is made from. */
struct base {
	const char *raw;
	size_t len;
	struct mime_summary *summary; /* NULL: there is none */
	struct mime_tree tree;        /* nodes have their part's index */
	struct mime_draft_numbers numbers;
};

/* What is attached in the end, in the order in which it stands in the message. */
struct piece {
	const struct mime_node *node; /* of the base; NULL: added */
	const struct mime_draft_attachment *added;
	uint32_t number;
	uint64_t mark;
	bool related; /* goes with the HTML */
};

struct writer {
	const struct mime_draft *d;
	struct arena *arena;
	struct base old, mime; /* as it was; the body, when that is a message */
	struct base *base;     /* one of them, or an empty one */
	bool *gone;            /* which parts of the base */
	bool fresh_body;
	struct piece *pieces;
	size_t piece_count, related_count;
	uint32_t next_number;
	struct buf text; /* the new body with CRLF, clean */
	struct buf *out;
};

static int open_base(
	struct writer *w, const void *raw, size_t len, struct base *ret, struct err *err)
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

static bool is_message(const void *raw, size_t len)
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
	if (d->body_type == MIME_BODY_MIME && !is_message(d->body, d->body_len))
		return err_set(err, ERR_BAD_INPUT, "the body is not a message");
	return 0;
}

/* ---- what is attached ---- */

static int mark_removed(struct writer *w, struct err *err)
{
	const struct base *old = &w->old;

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

static bool shows_html(const struct writer *w)
{
	return w->fresh_body && w->d->body_type == MIME_BODY_HTML;
}

static void add_piece(struct writer *w, const struct piece *piece)
{
	w->related_count += piece->related;
	w->pieces[w->piece_count++] = *piece;
}

static void add_old_pieces(struct writer *w)
{
	const struct base *b = w->base;
	size_t k = 0;

	for (size_t i = 0; b->summary != NULL && i < b->tree.count; i++) {
		const struct mime_node *n = &b->tree.nodes[i];
		const struct mime_part *part;
		struct piece piece = {.node = n};

		if (n->part < 0 || !b->summary->parts[n->part].is_attachment)
			continue;
		part = &b->summary->parts[n->part];
		piece.number = b == &w->old ? b->numbers.v[k].number : w->next_number++;
		piece.mark = b == &w->old ? b->numbers.v[k].mark : 0;
		piece.related = shows_html(w) && part->is_inline && *part->content_id != 0;
		k++;
		if (!w->gone[n->part])
			add_piece(w, &piece);
	}
}

static void collect_pieces(struct writer *w)
{
	const struct base *b = w->base;
	struct piece *sorted;

	w->pieces = arena_x_alloc(w->arena,
		((b->summary != NULL ? b->summary->part_count : 0) + w->d->add_count + 1) *
			sizeof(*w->pieces));
	w->next_number = w->old.numbers.next;
	add_old_pieces(w);
	for (size_t i = 0; i < w->d->add_count; i++) {
		const struct mime_draft_attachment *a = &w->d->add[i];
		struct piece piece = {.added = a,
			.number = w->next_number++,
			.mark = a->mark,
			.related = shows_html(w) && a->is_inline && *a->content_id != 0};

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
	static const char *const always[] = {"date", "mime-version", NUMBERS, NULL};
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

static void keep_fields(struct writer *w, struct had *had)
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

static int write_people(
	struct writer *w, const char *name, const char *kept, const char *text, struct err *err)
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

static void write_numbers(struct writer *w)
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

static int write_fields(struct writer *w, struct err *err)
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

/* ---- content ---- */

static void write_delimiter(struct writer *w, const char *boundary)
{
	buf_addf(w->out, "\r\n--%s\r\n", boundary);
}

static void write_multipart(struct writer *w, const char *type, char boundary[33])
{
	mime_pieces_boundary(boundary);
	buf_addf(w->out, "Content-Type: multipart/%s; boundary=\"%s\"\r\n", type, boundary);
}

/* Clean, with CRLF. */
static void take_text(struct writer *w)
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
static void write_body(struct writer *w)
{
	const char *text = mime_bytes(w->text.data, w->text.len);
	const char *subtype = shows_html(w) ? "html" : "plain";
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
	return a->is_message && is_message(a->content, a->len) &&
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

static void write_added(struct writer *w, const struct mime_draft_attachment *a)
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

static void write_piece(struct writer *w, const struct piece *piece, const char *boundary)
{
	write_delimiter(w, boundary);
	if (piece->added != NULL)
		write_added(w, piece->added);
	else
		mime_pieces_add_part(w->out, w->base->raw, piece->node);
}

/* A new body, and everything that is attached around it. */
static void write_fresh(struct writer *w)
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
static bool find_below(const struct writer *w, size_t at, bool gone)
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

static size_t next_child(const struct writer *w, size_t at, size_t after)
{
	const struct mime_tree *t = &w->base->tree;

	for (size_t i = after + 1; i < t->count; i++) {
		if (t->nodes[i].parent == (int32_t)at && find_below(w, i, false))
			return i;
	}
	return 0;
}

static void write_verbatim(struct writer *w, const struct mime_node *n)
{
	mime_pieces_add_fields(w->out, w->base->raw, n, false, false);
	buf_add_str(w->out, "\r\n");
	buf_add(w->out, w->base->raw + n->body, n->end - n->body);
}

/* What stays of a node, in the form that it has. */
static void write_rest(struct writer *w, size_t at)
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

static void write_rest_or_nothing(struct writer *w)
{
	if (find_below(w, 0, false))
		write_rest(w, 0);
	else
		write_body(w); /* an empty one */
}

/* The old body stays; attachments go and come. */
static void write_changed(struct writer *w)
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

static void write_content(struct writer *w)
{
	if (w->fresh_body)
		write_fresh(w);
	else if (w->d->add_count > 0 || w->d->remove_count > 0)
		write_changed(w);
	else
		write_verbatim(w, &w->base->tree.nodes[0]);
}

/* ---- the whole ---- */

static int write_draft(struct writer *w, struct err *err)
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
		take_text(w);
	if (write_fields(w, err) < 0)
		return -1;
	write_content(w);
	return w->out->failed || w->text.failed ? err_set(err, ERR_BUSY, "no memory for a draft")
						: 0;
}

int mime_draft_write(const struct mime_draft *d, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct writer w = {.d = d, .arena = arena, .out = out};
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
	static const char *const own[] = {"date", NUMBERS, MIME_DRAFT_TO, MIME_DRAFT_CC,
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
