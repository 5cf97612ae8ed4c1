/*
 * Pieces of messages that the server puts together (mime_compose.c, mime_draft.c): fields, texts,
 * and parts that come from another message.
 *
 * That message is hostile as any mail: of its parts only Content- fields are taken over, and
 * boundaries are random. Pure but for them; any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_internal.h"

bool mime_pieces_is_content(const struct mime_field *f)
{
	return f->name.len > 8 && strncasecmp(f->name.p, "content-", 8) == 0;
}

void mime_pieces_add_field(struct buf *out, const struct mime_field *f, const char *behind)
{
	buf_add(out, f->name.p, (size_t)(behind - f->name.p));
	if (behind[-1] != '\n')
		buf_add_str(out, "\r\n");
}

void mime_pieces_add_fields(struct buf *out, const char *raw, const struct mime_node *n,
	bool without_type, bool without_encoding)
{
	struct mime_header_reader r = {raw + n->header, raw + n->body};
	struct mime_field f;

	while (mime_header_next(&r, &f) == 1) {
		if (!mime_pieces_is_content(&f) || mime_header_is(&f, "content-length") ||
			(without_type && mime_header_is(&f, "content-type")) ||
			(without_encoding && (mime_header_is(&f, "content-transfer-encoding") ||
						     mime_header_is(&f, "content-md5"))))
			continue;
		mime_pieces_add_field(out, &f, r.p);
	}
}

void mime_pieces_boundary(char out[33])
{
	struct buf hex = BUF_INIT;
	uint8_t bytes[16];

	random_bytes(bytes, sizeof(bytes));
	hex_add(&hex, bytes, sizeof(bytes));
	memcpy(out, hex.data, 32);
	out[32] = 0;
	buf_deinit(&hex);
}

void mime_pieces_add_text(struct buf *out, const char *subtype, const struct buf *text)
{
	const char *bytes = mime_bytes(text->data, text->len);

	buf_addf(out,
		"Content-Type: text/%s; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
		subtype);
	mime_recode_add_qp(out, bytes, bytes + text->len);
}

/* Bytes that no line-wise transport keeps: not text, and not encoded. */
static bool needs_encoding(const struct mime_node *n)
{
	return mime_transfer_is_identity(n->encoding) && n->kind != MIME_NODE_MESSAGE &&
	       !str_starts(n->type.type, "text/") && !str_starts(n->type.type, "message/");
}

void mime_pieces_add_part(struct buf *out, const char *raw, const struct mime_node *n)
{
	const char *body = raw + n->body, *end = raw + n->end;
	bool uuencoded = n->encoding == MIME_ENC_UUENCODE, encode = needs_encoding(n) || uuencoded;
	bool without_type = n->is_rest || n->is_shown_as_text;
	struct buf decoded = BUF_INIT;

	mime_pieces_add_fields(out, raw, n, without_type, encode || n->is_rest);
	/* Said, because a part without a field and without bytes would be none, and because not
	 * everywhere a part without a type is a text (RFC 2046, 5.1.5). */
	if (without_type || !n->has_type)
		buf_addf(out, "Content-Type: %s\r\n",
			n->kind == MIME_NODE_MESSAGE ? "message/rfc822" : "text/plain");
	if (encode)
		buf_add_str(out, "Content-Transfer-Encoding: base64\r\n");
	buf_add_str(out, "\r\n");
	if (uuencoded) {
		mime_transfer_add(&decoded, n->encoding, body, (size_t)(end - body));
		if (decoded.failed)
			out->failed = true;
		else if (decoded.len > 0)
			mime_recode_add_base64(out, (const char *)decoded.data,
				(const char *)decoded.data + decoded.len);
		buf_deinit(&decoded);
	} else if (encode) {
		mime_recode_add_base64(out, body, end);
	} else {
		buf_add(out, body, (size_t)(end - body));
	}
}
