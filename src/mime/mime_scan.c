/*
 * The structure of a message, found in one pass over its lines: which bytes are headers, contents
 * and boundaries. Nothing is copied or decoded but the few header fields that say what a part is.
 *
 * One normal case: the fields of the message are read; its type is multipart/mixed, so its boundary
 * goes onto the stack. Each line that begins with "--" is compared with the stack, innermost first.
 * A hit closes what is open above it and begins a part: its fields are read, and so on. A closing
 * delimiter pops the multipart. The end of the input closes everything. Embedded messages are
 * leaves.
 *
 * Invariant: stack[] holds the open multiparts from the outside in; leaf, if >= 0, is the open
 * leaf. Limits: parts (then the rest becomes one leaf), depth (a deeper multipart is a leaf),
 * header_bytes (fields behind are not looked at). Time is linear in the input times the depth; no
 * recursion.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { DEPTH_MAX = 200 };

struct open_multipart {
	int32_t node;
	const char *boundary;
	size_t boundary_len;
	bool is_digest;
};

struct scan {
	struct arena *arena, *scratch; /* scratch: cleared after each header */
	const char *raw, *end;
	const struct mime_limits *limits;
	struct mime_tree *tree;
	struct open_multipart stack[DEPTH_MAX];
	size_t depth;
	int32_t leaf; /* the open one; -1: none */
};

static uint32_t offset_of(const struct scan *s, const char *p)
{
	return (uint32_t)(p - s->raw);
}

/* NULL when memory is short: the scan ends there. */
static struct mime_node *node_add(struct scan *s, const char *header)
{
	struct mime_tree *t = s->tree;
	struct mime_node *n;

	if (t->count == t->cap) {
		size_t cap = MAX(t->cap * 2, (size_t)8);
		struct mime_node *more = mem_try_realloc(t->nodes, cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		t->nodes = more;
		t->cap = cap;
	}
	n = &t->nodes[t->count++];
	*n = (struct mime_node){
		.parent = s->depth > 0 ? s->stack[s->depth - 1].node : -1,
		.header = offset_of(s, header),
		.body = offset_of(s, header),
		.end = offset_of(s, s->end),
		.disposition = "",
		.filename = "",
		.part = -1,
	};
	if (n->parent >= 0)
		n->index_in_parent = t->nodes[n->parent].children++;
	return n;
}

/* The open multipart whose delimiter stands at the line p, or -1. */
static int find_boundary(
	const struct scan *s, const char *p, const char *line_end, bool *ret_closing)
{
	size_t len;

	while (line_end > p && (line_end[-1] == '\n' || line_end[-1] == '\r' ||
				       line_end[-1] == ' ' || line_end[-1] == '\t'))
		line_end--;
	if (line_end - p < 2 || p[0] != '-' || p[1] != '-')
		return -1;
	p += 2;
	len = (size_t)(line_end - p);
	for (size_t i = s->depth; i-- > 0;) {
		const struct open_multipart *o = &s->stack[i];

		if (len != o->boundary_len && len != o->boundary_len + 2)
			continue;
		if (*p != *o->boundary || memcmp(p, o->boundary, o->boundary_len) != 0)
			continue;
		*ret_closing = len != o->boundary_len;
		if (*ret_closing && memcmp(line_end - 2, "--", 2) != 0)
			continue;
		return (int)i;
	}
	return -1;
}

static const char *line_after(const struct scan *s, const char *p)
{
	const char *nl = memchr(p, '\n', (size_t)(s->end - p));

	return nl != NULL ? nl + 1 : s->end;
}

static void take_field(struct scan *s, struct mime_node *n, const struct mime_field *f)
{
	if (f->name.len < 10 || (f->name.p[0] | 0x20) != 'c')
		return;
	if (mime_header_is(f, "content-type") && !n->has_type) {
		n->has_type = true;
		mime_param_content_type(s->arena, s->scratch, f->value, &n->type);
	} else if (mime_header_is(f, "content-transfer-encoding")) {
		n->encoding = mime_param_encoding(f->value);
	} else if (mime_header_is(f, "content-disposition") && *n->disposition == 0) {
		mime_param_disposition(
			s->arena, s->scratch, f->value, &n->disposition, &n->filename);
	} else if (mime_header_is(f, "content-id") && n->id.p == NULL) {
		n->id = f->value;
	} else if (mime_header_is(f, "content-location") && n->location.p == NULL) {
		n->location = f->value;
	}
}

/* Reads the fields at p into n; where its content begins. A delimiter ends a header, too. */
static const char *read_fields(struct scan *s, struct mime_node *n, const char *p)
{
	struct mime_header_reader r = {p, s->end};
	struct mime_field f;

	for (;;) {
		bool closing;

		if (s->depth > 0 && s->end - r.p >= 2 && r.p[0] == '-' && r.p[1] == '-' &&
			find_boundary(s, r.p, line_after(s, r.p), &closing) >= 0)
			return r.p;
		if (mime_header_next(&r, &f) == 0)
			return r.p;
		if ((size_t)(r.p - p) <= s->limits->header_bytes)
			take_field(s, n, &f);
	}
}

/* Blanks behind a boundary do not count, on either side. */
static size_t boundary_len(const char *boundary)
{
	size_t len = strlen(boundary);

	while (len > 0 && (boundary[len - 1] == ' ' || boundary[len - 1] == '\t'))
		len--;
	return len;
}

static void settle_kind(struct scan *s, struct mime_node *n)
{
	bool in_digest = s->depth > 0 && s->stack[s->depth - 1].is_digest;

	if (n->type.type == NULL || *n->type.type == 0) {
		const char *type = in_digest && !n->has_type ? "message/rfc822" : "text/plain";

		if (n->type.type == NULL)
			mime_param_content_type(
				s->arena, s->scratch, (struct mime_slice){NULL, 0}, &n->type);
		n->type.type = type;
	}
	n->kind = MIME_NODE_LEAF;
	if (strcmp(n->type.type, "message/rfc822") == 0 ||
		strcmp(n->type.type, "message/global") == 0)
		n->kind = MIME_NODE_MESSAGE;
	else if (str_starts(n->type.type, "multipart/") && boundary_len(n->type.boundary) > 0 &&
		 s->depth < MIN(s->limits->depth, (size_t)DEPTH_MAX))
		n->kind = MIME_NODE_MULTIPART;
}

/* A part (or the message itself) begins at p; where to go on. NULL: no memory for more. */
static const char *begin_node(struct scan *s, const char *p)
{
	struct mime_node *n = node_add(s, p);

	if (n == NULL)
		return NULL;
	p = read_fields(s, n, p);
	arena_clear(s->scratch);
	n->body = offset_of(s, p);
	settle_kind(s, n);
	if (n->kind == MIME_NODE_MULTIPART) {
		struct open_multipart *o = &s->stack[s->depth++];

		o->node = (int32_t)(n - s->tree->nodes);
		o->boundary = n->type.boundary;
		o->boundary_len = boundary_len(o->boundary);
		o->is_digest = strcmp(n->type.type, "multipart/digest") == 0;
		s->leaf = -1;
	} else {
		s->leaf = (int32_t)(n - s->tree->nodes);
	}
	return p;
}

/* The content ends before the line p; the line end before a delimiter belongs to it. */
static void close_at(struct scan *s, int32_t node, const char *p)
{
	struct mime_node *n = &s->tree->nodes[node];
	const char *body = s->raw + n->body;

	if (p > body && p[-1] == '\n')
		p--;
	if (p > body && p[-1] == '\r')
		p--;
	n->end = offset_of(s, p);
}

/* Delimiter of stack[level] at the line p. */
static void close_above(struct scan *s, size_t level, const char *p)
{
	if (s->leaf >= 0)
		close_at(s, s->leaf, p);
	s->leaf = -1;
	while (s->depth > level + 1)
		close_at(s, s->stack[--s->depth].node, p);
}

static void add_rest(struct scan *s, const char *p)
{
	struct mime_node *n = node_add(s, p);

	if (n == NULL)
		return;
	mime_param_content_type(s->arena, s->scratch, (struct mime_slice){NULL, 0}, &n->type);
	n->type.type = "text/plain";
	n->encoding = MIME_ENC_8BIT;
	n->is_rest = true;
}

/* Nothing but empty lines stands between this delimiter and the next, or the end: no part. */
static bool is_empty_part(const struct scan *s, const char *p)
{
	bool closing;

	while (p < s->end && (*p == '\n' || (*p == '\r' && s->end - p > 1 && p[1] == '\n')))
		p += *p == '\n' ? 1 : 2;
	return p == s->end || find_boundary(s, p, line_after(s, p), &closing) >= 0;
}

static void scan_bodies(struct scan *s, const char *p)
{
	while (p != NULL && p < s->end && s->depth > 0) {
		const char *next = line_after(s, p);
		bool closing = false;
		int level = p[0] == '-' ? find_boundary(s, p, next, &closing) : -1;

		if (level < 0) {
			p = next;
			continue;
		}
		close_above(s, (size_t)level, p);
		if (closing) {
			s->depth = (size_t)level;
			close_at(s, s->stack[level].node, p);
			p = next;
		} else if (is_empty_part(s, next)) {
			p = next;
		} else if (s->tree->count >= s->limits->parts) {
			add_rest(s, p);
			return;
		} else {
			p = begin_node(s, next);
		}
	}
}

void mime_scan(struct arena *arena, const char *raw, size_t len, const struct mime_limits *limits,
	struct mime_tree *ret)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct scan s = {.arena = arena,
		.scratch = scratch,
		.raw = raw,
		.end = raw + MIN(len, (size_t)UINT32_MAX),
		.limits = limits,
		.tree = ret,
		.leaf = -1};
	const char *p;

	*ret = (struct mime_tree){0};
	p = begin_node(&s, raw);
	scan_bodies(&s, p);
	for (size_t i = 0; i < ret->count; i++) {
		struct mime_node *n = &ret->nodes[i];

		/* No delimiter ever came, or none was named: what is there is shown as text. */
		if (n->kind == MIME_NODE_MULTIPART && n->children == 0) {
			n->kind = MIME_NODE_LEAF;
			n->is_shown_as_text = true;
			n->type.type = "text/plain";
		} else if (i == 0 && n->kind == MIME_NODE_LEAF &&
			   str_starts(n->type.type, "multipart/")) {
			n->is_shown_as_text = true;
			n->type.type = "text/plain";
		}
	}
}

void mime_scan_free(struct mime_tree *tree)
{
	mem_free(tree->nodes);
	*tree = (struct mime_tree){0};
}
