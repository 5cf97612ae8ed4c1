/*
 * Replies and forwards to which the server adds the original. The client's message keeps its
 * structure: its text parts are replaced in their places by longer ones, and where parts of the
 * original come along, the whole of it becomes the first part of a new multipart:
 *
 *     mixed { related { what the client wrote, inline images }, attachments }
 *
 * with the levels that are needed. The fields of the message stay outside, those that describe
 * content (Content-...) go inside with it.
 *
 * The original is hostile as any mail. Of its parts only Content- fields are taken over, whatever
 * else stands in their headers is left out; boundaries are random.
 *
 * Limits: IDS_MAX message ids in References. Pure but for the boundaries; any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_internal.h"

enum { IDS_MAX = 20, ID_BYTES_MAX = 250 };

/* One of the two messages, taken apart. */
struct parsed {
	const char *raw;
	size_t len;
	struct mime_summary *summary;
	struct mime_tree tree; /* nodes have their part's index */
};

struct composer {
	const struct mime_compose *c;
	struct arena *arena;
	struct parsed mine, theirs;
	struct buf text, html; /* what takes the place of the client's text parts */
	bool with_images;      /* its HTML is there to show them */
	bool whole;            /* the original goes along as one attachment */
	size_t image_count, attachment_count;
	struct buf *out;
};

/* ---- taking apart ---- */

static int parse(
	struct composer *k, const void *raw, size_t len, struct parsed *ret, struct err *err)
{
	uint32_t part = 0;

	ret->raw = mime_bytes(raw, len);
	ret->len = len;
	if (mime_summarize(k->arena, raw, len, k->c->limits, &ret->summary, err) < 0)
		return -1;
	mime_scan(k->arena, ret->raw, len, k->c->limits, &ret->tree);
	/* As the part map numbers them. */
	for (size_t i = 0; i < ret->tree.count; i++) {
		struct mime_node *n = &ret->tree.nodes[i];

		n->part = n->kind == MIME_NODE_MULTIPART ? -1 : (int32_t)part++;
	}
	return 0;
}

static const struct mime_part *part_of(const struct parsed *m, const struct mime_node *n)
{
	return n->part >= 0 && (uint32_t)n->part < m->summary->part_count
		       ? &m->summary->parts[n->part]
		       : NULL;
}

/* ---- the client's message ---- */

/* What takes the place of n's content; NULL: nothing. */
static const struct buf *replacement(const struct composer *k, const struct mime_node *n)
{
	const struct mime_summary *s = k->mine.summary;

	if (n->part < 0)
		return NULL;
	if (n->part == s->text_part && k->text.len > 0)
		return &k->text;
	if (n->part == s->html_part && k->html.len > 0)
		return &k->html;
	return NULL;
}

static void add_replaced(struct composer *k, const struct mime_node *n, const struct buf *text)
{
	mime_pieces_add_fields(k->out, k->mine.raw, n, true, true);
	mime_pieces_add_text(k->out, text == &k->html ? "html" : "plain", text);
}

/* Its content with its Content- fields. */
static void add_client_entity(struct composer *k)
{
	const struct mime_node *root = &k->mine.tree.nodes[0];
	const struct buf *text = replacement(k, root);
	const char *raw = k->mine.raw, *done = raw + root->body;

	if (text != NULL) {
		add_replaced(k, root, text);
		return;
	}
	mime_pieces_add_fields(k->out, raw, root, false, false);
	buf_add_str(k->out, "\r\n");
	for (size_t i = 1; i < k->mine.tree.count; i++) {
		const struct mime_node *n = &k->mine.tree.nodes[i];

		text = replacement(k, n);
		if (text == NULL || raw + n->header < done)
			continue;
		buf_add(k->out, done, (size_t)(raw + n->header - done));
		add_replaced(k, n, text);
		done = raw + n->end;
	}
	buf_add(k->out, done, (size_t)(raw + k->mine.len - done));
}

/* ---- parts of the original ---- */

static bool is_image(const struct composer *k, const struct mime_part *p)
{
	return k->with_images && p->is_attachment && p->is_inline && *p->content_id != 0;
}

static bool is_attachment(const struct composer *k, const struct mime_part *p)
{
	return k->c->forward && p->is_attachment && !is_image(k, p);
}

static void count_parts(struct composer *k)
{
	k->whole = k->c->forward && k->theirs.summary->is_smime;
	if (k->whole)
		k->attachment_count = 1;
	for (size_t i = 0; i < k->theirs.tree.count && !k->whole; i++) {
		const struct mime_part *p = part_of(&k->theirs, &k->theirs.tree.nodes[i]);

		if (p == NULL)
			continue;
		k->image_count += is_image(k, p);
		k->attachment_count += is_attachment(k, p);
	}
}

static void add_parts(struct composer *k, const char *boundary,
	bool (*wanted)(const struct composer *k, const struct mime_part *p))
{
	for (size_t i = 0; i < k->theirs.tree.count; i++) {
		const struct mime_node *n = &k->theirs.tree.nodes[i];
		const struct mime_part *p = part_of(&k->theirs, n);

		if (p == NULL || !wanted(k, p))
			continue;
		buf_addf(k->out, "\r\n--%s\r\n", boundary);
		mime_pieces_add_part(k->out, k->theirs.raw, n);
	}
}

/* The original as it is, inside an attachment. */
static void add_whole(struct composer *k, const char *boundary)
{
	buf_addf(k->out,
		"\r\n--%s\r\nContent-Type: message/rfc822\r\n"
		"Content-Disposition: attachment; filename=\"original.eml\"\r\n\r\n",
		boundary);
	buf_add(k->out, k->theirs.raw, k->theirs.len);
}

/* ---- levels ---- */

static void add_related(struct composer *k)
{
	char boundary[33];

	if (k->image_count == 0) {
		add_client_entity(k);
		return;
	}
	mime_pieces_boundary(boundary);
	buf_addf(k->out, "Content-Type: multipart/related; boundary=\"%s\"\r\n\r\n--%s\r\n",
		boundary, boundary);
	add_client_entity(k);
	add_parts(k, boundary, is_image);
	buf_addf(k->out, "\r\n--%s--\r\n", boundary);
}

/* The client wrote no text at all: the original gets a part of its own. */
static bool has_no_text(const struct composer *k)
{
	return k->mine.summary->text_part < 0 && k->mine.summary->html_part < 0;
}

static void add_mixed(struct composer *k)
{
	char boundary[33];

	if (k->attachment_count == 0 && !has_no_text(k)) {
		add_related(k);
		return;
	}
	mime_pieces_boundary(boundary);
	buf_addf(k->out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", boundary);
	if (has_no_text(k)) {
		buf_addf(k->out, "--%s\r\n", boundary);
		mime_pieces_add_text(k->out, "plain", &k->text);
		buf_add_str(k->out, "\r\n");
	}
	buf_addf(k->out, "--%s\r\n", boundary);
	add_related(k);
	if (k->whole)
		add_whole(k, boundary);
	else
		add_parts(k, boundary, is_attachment);
	buf_addf(k->out, "\r\n--%s--\r\n", boundary);
}

/* ---- the fields of the message ---- */

struct had {
	bool in_reply_to, references, mime_version;
};

static void look_at_fields(const char *raw, const struct mime_node *root, struct had *had)
{
	struct mime_header_reader r = {raw + root->header, raw + root->body};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		had->in_reply_to |= mime_header_is(&f, "in-reply-to");
		had->references |= mime_header_is(&f, "references");
		had->mime_version |= mime_header_is(&f, "mime-version");
	}
}

static bool is_id(const char *p, size_t len)
{
	if (len < 3 || len > ID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((uint8_t)p[i] <= ' ' || p[i] == 0x7f || p[i] == '<' || p[i] == '>')
			return false;
	}
	return true;
}

/* The ids in a field of the original, in angle brackets. */
static size_t read_ids(struct composer *k, const char *name, struct mime_slice *ids, size_t max)
{
	const struct mime_node *root = &k->theirs.tree.nodes[0];
	struct mime_header_reader r = {k->theirs.raw + root->header, k->theirs.raw + root->body};
	struct mime_field f;
	size_t count = 0;

	while (mime_header_next(&r, &f) == 1) {
		const char *p = f.value.p, *end = p + f.value.len, *gt;

		if (!mime_header_is(&f, name))
			continue;
		while (p < end && (p = memchr(p, '<', (size_t)(end - p))) != NULL &&
			(gt = memchr(p, '>', (size_t)(end - p))) != NULL) {
			struct mime_slice id = {p + 1, (size_t)(gt - p - 1)};

			p = gt + 1;
			if (!is_id(id.p, id.len))
				continue;
			/* The first and the newest are those that count. */
			if (count == max)
				memmove(ids + 1, ids + 2, (max - 2) * sizeof(*ids));
			ids[count < max ? count++ : max - 1] = id;
		}
		break;
	}
	return count;
}

/* Puts the message into the conversation of the original. */
static void add_threading(struct composer *k, const struct had *had)
{
	const char *id = k->theirs.summary->message_id;
	struct mime_slice ids[IDS_MAX];
	size_t count;

	if (!is_id(id, strlen(id)))
		return;
	if (!had->in_reply_to)
		buf_addf(k->out, "In-Reply-To: <%s>\r\n", id);
	if (had->references)
		return;
	count = read_ids(k, "references", ids, IDS_MAX);
	if (count == 0)
		count = read_ids(k, "in-reply-to", ids, IDS_MAX);
	buf_add_str(k->out, "References:");
	for (size_t i = 0; i < count; i++)
		buf_addf(k->out, " <%.*s>\r\n", (int)ids[i].len, ids[i].p);
	buf_addf(k->out, " <%s>\r\n", id);
}

/* All but what describes the content. */
static void add_message_fields(struct composer *k)
{
	const struct mime_node *root = &k->mine.tree.nodes[0];
	struct mime_header_reader r = {k->mine.raw + root->header, k->mine.raw + root->body};
	struct had had = {0};
	struct mime_field f;

	look_at_fields(k->mine.raw, root, &had);
	while (mime_header_next(&r, &f) == 1) {
		if (!mime_pieces_is_content(&f))
			mime_pieces_add_field(k->out, &f, r.p);
	}
	add_threading(k, &had);
	if (!had.mime_version)
		buf_add_str(k->out, "MIME-Version: 1.0\r\n");
}

/* ---- the whole ---- */

static int make_texts(struct composer *k, struct err *err)
{
	const struct mime_quote quote = {.mine = k->mine.summary,
		.theirs = k->theirs.summary,
		.raw = k->mine.raw,
		.source = k->theirs.raw,
		.len = k->mine.len,
		.source_len = k->theirs.len,
		.forward = k->c->forward,
		.max = k->c->quote_max};

	if ((k->mine.summary->text_part >= 0 || has_no_text(k)) &&
		mime_quote_text(&quote, &k->text, err) < 0)
		return -1;
	return k->mine.summary->html_part >= 0 ? mime_quote_html(&quote, &k->html, err) : 0;
}

static int compose(struct composer *k, struct err *err)
{
	bool untouched;

	if (parse(k, k->c->raw, k->c->len, &k->mine, err) < 0 ||
		parse(k, k->c->source, k->c->source_len, &k->theirs, err) < 0)
		return -1;
	if (k->mine.tree.count == 0 || k->theirs.tree.count == 0) {
		buf_add(k->out, k->c->raw, k->c->len);
		return 0;
	}
	untouched = k->c->replace || k->mine.summary->is_smime;
	if (!untouched && make_texts(k, err) < 0)
		return -1;
	k->with_images = k->html.len > 0;
	add_message_fields(k);
	if (untouched) {
		add_client_entity(k);
		return 0;
	}
	count_parts(k);
	add_mixed(k);
	return 0;
}

int mime_compose(const struct mime_compose *c, struct buf *out, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct composer k = {.c = c, .arena = arena, .out = out};
	int result = compose(&k, err);

	if (result == 0 && out->failed)
		result = err_set(err, ERR_INTERNAL, "no memory for a reply");
	mime_scan_free(&k.mine.tree);
	mime_scan_free(&k.theirs.tree);
	buf_deinit(&k.text);
	buf_deinit(&k.html);
	return result;
}
