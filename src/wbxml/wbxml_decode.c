/*
 * Bytes to tree. One loop without recursion: the depth of a document costs parent pointers, no
 * stack.
 *
 * Invariants: each node takes at least one byte of input, each byte of text at most one byte of
 * arena (plus a terminator per run), so memory grows linearly with the input; each byte is looked
 * at a bounded number of times. `open` is the innermost open element; `skipping` counts open
 * elements of page 254 (a vendor's annotations, or anything inside them), for which no nodes exist.
 *
 * Limits: struct wbxml_limits; the arena's own bound. Pure, any thread.
 */
#include "wbxml/wbxml.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define TOKEN_SWITCH_PAGE 0x00
#define TOKEN_END         0x01
#define TOKEN_STR_I       0x03
#define TOKEN_OPAQUE      0xc3

#define BIT_ATTRIBUTES 0x80u
#define BIT_CONTENT    0x40u

#define PAGE_ANNOTATIONS 254u
#define PAGE_FIND        25u

#define NO_TEXT ""

struct decoder {
	struct arena *arena;
	const uint8_t *begin, *p, *end;
	const struct wbxml_limits *limits;
	struct err *err;
	struct wbxml_node *root, *open;
	size_t depth, nodes, skipping;
	unsigned page;
};

static int bad(struct decoder *d, const char *what)
{
	return err_set(
		d->err, ERR_BAD_INPUT, "wbxml: %s at byte %zu", what, (size_t)(d->p - d->begin));
}

static size_t left(const struct decoder *d)
{
	return (size_t)(d->end - d->p);
}

/* Multi-byte unsigned integer, big end first, seven bits a byte ([WBXML] 5.1). */
static int read_mb_u32(struct decoder *d, uint32_t *ret)
{
	uint32_t v = 0;

	for (int i = 0; i < 5; i++) {
		uint8_t byte;

		if (left(d) == 0)
			return bad(d, "number cut off");
		if (v > UINT32_MAX >> 7)
			return bad(d, "number too large");
		byte = *d->p++;
		v = v << 7 | (byte & 0x7fu);
		if ((byte & 0x80) == 0) {
			*ret = v;
			return 0;
		}
	}
	return bad(d, "number too long");
}

static int read_header(struct decoder *d)
{
	uint32_t public_id, charset, table;

	if (left(d) == 0)
		return bad(d, "empty document");
	if (*d->p != 0x03)
		return bad(d, "version is not 1.3");
	d->p++;
	if (read_mb_u32(d, &public_id) < 0)
		return -1;
	if (public_id == 0)
		return bad(d, "public id from a string table");
	if (read_mb_u32(d, &charset) < 0)
		return -1;
	if (charset != 106)
		return bad(d, "charset is not UTF-8");
	if (read_mb_u32(d, &table) < 0)
		return -1;
	if (table != 0)
		return bad(d, "string table");
	return 0;
}

static int switch_page(struct decoder *d)
{
	d->p++;
	if (left(d) == 0)
		return bad(d, "page switch cut off");
	/* Known pages have at least one tag, most of them 0x05; the tag decides, not the switch. */
	d->page = *d->p++;
	return 0;
}

/* One run of STR_I or OPAQUE: where its bytes lie. The cursor stands behind it then. */
static int read_run(struct decoder *d, const uint8_t **ret_bytes, size_t *ret_len, bool *ret_opaque)
{
	const uint8_t *nul;
	uint32_t len;

	if (*d->p == TOKEN_OPAQUE) {
		d->p++;
		if (read_mb_u32(d, &len) < 0)
			return -1;
		if (len > left(d))
			return bad(d, "opaque data cut off");
		*ret_bytes = d->p;
		*ret_len = len;
		*ret_opaque = true;
		d->p += len;
	} else {
		d->p++;
		nul = memchr(d->p, 0, left(d));
		if (nul == NULL)
			return bad(d, "string without end");
		*ret_bytes = d->p;
		*ret_len = (size_t)(nul - d->p);
		*ret_opaque = false;
		d->p = nul + 1;
	}
	return 0;
}

/*
 * All runs that follow each other are one text. They are measured first and copied once, so that a
 * thousand small runs cost no more than one large one.
 */
static int read_text(struct decoder *d)
{
	const uint8_t *start = d->p, *bytes, *behind;
	size_t total = 0, len, runs = 0;
	bool opaque, any_opaque = false;
	char *text;

	while (left(d) > 0 && (*d->p == TOKEN_STR_I || *d->p == TOKEN_OPAQUE)) {
		if (read_run(d, &bytes, &len, &opaque) < 0)
			return -1;
		runs++;
		total += len; /* no overflow: the runs lie in the input */
		any_opaque = any_opaque || opaque;
		if (!opaque && d->skipping == 0 && !utf8_valid(bytes, len))
			return bad(d, "string is not UTF-8");
		if (total > d->limits->text_bytes || total > UINT32_MAX)
			return bad(d, "text too long");
	}
	if (d->skipping > 0)
		return 0;
	if (d->open == NULL)
		return bad(d, "text outside of the root");
	if (d->open->child != NULL || d->open->len > 0)
		return bad(d, "text beside elements");
	d->open->opaque = any_opaque;
	if (total == 0)
		return 0;
	d->open->len = (uint32_t)total;
	if (runs == 1 && opaque && d->open->tag == d->limits->borrowed_tag) {
		d->open->text = (const char *)bytes;
		return 0;
	}
	behind = d->p;
	text = arena_try_alloc(d->arena, total + 1);
	if (text == NULL)
		return err_set(
			d->err, ERR_INTERNAL, "wbxml: no memory for %zu bytes of text", total);
	d->open->text = text;
	for (d->p = start; total > 0; total -= len, text += len) {
		if (read_run(d, &bytes, &len, &opaque) < 0)
			return -1;
		memcpy(text, bytes, len);
	}
	d->p = behind;
	return 0;
}

static int add_node(struct decoder *d, unsigned tag, bool has_content)
{
	struct wbxml_node *node;

	if (d->open == NULL && d->root != NULL)
		return bad(d, "second root");
	if (d->open != NULL && d->open->len > 0)
		return bad(d, "element beside text");
	node = arena_try_alloc(d->arena, sizeof(*node));
	if (node == NULL)
		return err_set(d->err, ERR_INTERNAL, "wbxml: no memory for element %zu", d->nodes);
	node->tag = (uint16_t)tag;
	node->has_content = has_content;
	node->text = NO_TEXT;
	node->parent = d->open;
	if (d->open == NULL)
		d->root = node;
	else if (d->open->last_child == NULL)
		d->open->child = node;
	else
		d->open->last_child->next = node;
	if (d->open != NULL)
		d->open->last_child = node;
	if (has_content)
		d->open = node;
	return 0;
}

static int read_tag(struct decoder *d)
{
	uint8_t byte = *d->p;
	bool has_content = (byte & BIT_CONTENT) != 0;
	unsigned token = byte & 0x3fu, tag;

	if ((byte & BIT_ATTRIBUTES) != 0)
		return bad(d, "attributes, entity or extension token");
	if (token < 0x05)
		return bad(d, "global token that is not in use");
	if (d->nodes >= d->limits->nodes)
		return bad(d, "too many elements");
	if (has_content && d->depth >= d->limits->depth)
		return bad(d, "nested too deep");
	d->nodes++;
	if (d->skipping > 0 || d->page == PAGE_ANNOTATIONS) {
		if (d->open == NULL)
			return bad(d, "annotation outside of the root");
		d->skipping += has_content;
	} else {
		/* Another public table has these three one column higher. */
		if (d->page == PAGE_FIND && token >= 0x1a && token <= 0x1c)
			token += 0x06;
		tag = d->page << 8 | token;
		if (!wbxml_tag_known(tag)) {
			char name[64];

			return err_set(d->err, ERR_BAD_INPUT, "wbxml: unknown tag (%s) at byte %zu",
				wbxml_tag_to_str(tag, name, sizeof(name)),
				(size_t)(d->p - d->begin));
		}
		if (add_node(d, tag, has_content) < 0)
			return -1;
	}
	d->depth += has_content;
	d->p++;
	return 0;
}

static int read_end(struct decoder *d)
{
	if (d->depth == 0)
		return bad(d, "END without an open element");
	d->p++;
	d->depth--;
	if (d->skipping > 0)
		d->skipping--;
	else
		d->open = d->open->parent;
	return 0;
}

static int read_token(struct decoder *d)
{
	switch (*d->p) {
	case TOKEN_SWITCH_PAGE:
		return switch_page(d);
	case TOKEN_END:
		return read_end(d);
	case TOKEN_STR_I:
	case TOKEN_OPAQUE:
		return read_text(d);
	default:
		return read_tag(d);
	}
}

int wbxml_decode(struct arena *arena, const void *bytes, size_t len,
	const struct wbxml_limits *limits, struct wbxml_node **ret_root, struct err *err)
{
	struct decoder d = {.arena = arena,
		.begin = bytes,
		.p = bytes,
		.end = (const uint8_t *)bytes + len,
		.limits = limits,
		.err = err};

	if (len == 0)
		return err_set(err, ERR_BAD_INPUT, "wbxml: empty document");
	if (read_header(&d) < 0)
		return -1;
	while (d.p < d.end) {
		if (d.root != NULL && d.depth == 0)
			return bad(&d, "bytes after the root");
		if (read_token(&d) < 0)
			return -1;
	}
	if (d.root == NULL)
		return bad(&d, "no root");
	if (d.depth > 0)
		return bad(&d, "document cut off");
	*ret_root = d.root;
	return 0;
}
