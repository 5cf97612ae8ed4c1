/*
 * A message with 8-bit bytes that are not UTF-8, made 7-bit, so that it can travel as a string:
 * parts that need it become quoted-printable (text) or base64, with their
 * Content-Transfer-Encoding; 8-bit header fields become UTF-8. Everything else stays byte for byte.
 * Embedded messages are done the same way inside, since they may not be encoded as a whole.
 *
 * Limits: NESTING_MAX embedded messages in each other; behind, bytes stay as they are. Any thread;
 * pure.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { NESTING_MAX = 5, QP_LINE = 73, BASE64_LINE_BYTES = 57 };

static bool qp_literal(uint8_t c, bool at_end)
{
	if (c == ' ' || c == '\t')
		return !at_end;
	return c > ' ' && c < 0x7f && c != '=';
}

void mime_recode_add_qp(struct buf *out, const char *p, const char *end)
{
	size_t column = 0;

	for (; p < end; p++) {
		bool at_end = p + 1 == end || p[1] == '\n' || p[1] == '\r';

		if (*p == '\n' || (*p == '\r' && end - p > 1 && p[1] == '\n')) {
			buf_add_byte(out, (uint8_t)*p);
			column = 0;
			continue;
		}
		if (column >= QP_LINE) {
			buf_add_str(out, "=\r\n");
			column = 0;
		}
		if (qp_literal((uint8_t)*p, at_end)) {
			buf_add_byte(out, (uint8_t)*p);
			column++;
		} else {
			buf_addf(out, "=%02X", (uint8_t)*p);
			column += 3;
		}
	}
}

void mime_recode_add_base64(struct buf *out, const char *p, const char *end)
{
	while (p < end) {
		size_t n = MIN((size_t)(end - p), (size_t)BASE64_LINE_BYTES);

		base64_add(out, p, n);
		p += n;
		if (p < end)
			buf_add_str(out, "\r\n");
	}
}

/* Bytes between contents: header fields, delimiters, preambles. */
static void add_outside(struct buf *out, const char *p, const char *end)
{
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl != NULL ? nl + 1 : end) - p);

		if (mime_charset_is_utf8("", p, n))
			buf_add(out, p, n);
		else
			mime_charset_add(out, "", p, n);
		p += n;
	}
}

/* The fields of n without its transfer encoding, then the given one, then the empty line. */
static void add_header(
	struct buf *out, const struct mime_node *n, const char *raw, const char *encoding)
{
	struct mime_header_reader r = {raw + n->header, raw + n->body};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		if (!mime_header_is(&f, "content-transfer-encoding"))
			add_outside(out, f.name.p, r.p);
	}
	buf_addf(out, "Content-Transfer-Encoding: %s\r\n\r\n", encoding);
}

static void add_message(struct buf *out, const char *raw, size_t len, unsigned nesting);

static void add_part(struct buf *out, const struct mime_node *n, const char *raw, unsigned nesting)
{
	const char *body = raw + n->body, *end = raw + n->end;
	bool is_text =
		str_starts(n->type.type, "text/") && memchr(body, 0, (size_t)(end - body)) == NULL;

	if (n->kind == MIME_NODE_MESSAGE) {
		add_outside(out, raw + n->header, body);
		add_message(out, body, (size_t)(end - body), nesting + 1);
	} else if (is_text) {
		add_header(out, n, raw, "quoted-printable");
		mime_recode_add_qp(out, body, end);
	} else {
		add_header(out, n, raw, "base64");
		mime_recode_add_base64(out, body, end);
	}
}

static void add_message(struct buf *out, const char *raw, size_t len, unsigned nesting)
{
	const struct mime_limits limits = {
		MIME_PARTS_DEFAULT, MIME_DEPTH_DEFAULT, MIME_HEADER_BYTES_DEFAULT};
	struct arena *scratch;
	struct mime_tree tree;
	const char *done = raw;

	if (nesting > NESTING_MAX) {
		buf_add(out, raw, len);
		return;
	}
	scratch = arena_new(0);
	mime_scan(scratch, raw, len, &limits, &tree);
	for (size_t i = 0; i < tree.count; i++) {
		const struct mime_node *n = &tree.nodes[i];

		if (n->kind == MIME_NODE_MULTIPART || n->is_rest ||
			!mime_transfer_is_identity(n->encoding) ||
			mime_text_is_clean(raw + n->body, n->end - n->body))
			continue;
		add_outside(out, done, raw + n->header);
		add_part(out, n, raw, nesting);
		done = raw + n->end;
	}
	add_outside(out, done, raw + len);
	mime_scan_free(&tree);
	arena_free(&scratch);
}

void mime_recode(struct buf *out, const char *raw, size_t len)
{
	add_message(out, raw, len, 0);
}
