#ifndef BELLHOP_MIME_MIME_INTERNAL_H
#define BELLHOP_MIME_MIME_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mime/mime.h"

/*
 * What the files of this room share. Nothing here fails on bad mail; memory that a message makes us
 * take is bounded by the limits below and by the size of the message.
 */

#define MIME_PARTS_DEFAULT        ((size_t)1000)
#define MIME_DEPTH_DEFAULT        ((size_t)50)
#define MIME_HEADER_BYTES_DEFAULT ((size_t)256 * 1024)
/* Addresses of one kind. */
#define MIME_ADDRESSES_MAX ((size_t)10000)
/* One field's value is looked at up to here. */
#define MIME_VALUE_MAX ((size_t)64 * 1024)
/* Address lists and other decoded fields are kept up to here (32768). */
#define MIME_TEXT_FIELD_MAX  ((size_t)32 * 1024)
#define MIME_PREVIEW_CHARS   ((size_t)255)
#define MIME_TEXT_WORK_BYTES ((size_t)64 * 1024 * 1024)
#define MIME_HTML_WORK_BYTES ((size_t)8 * 1024 * 1024)

/* Borrowed bytes. */
struct mime_slice {
	const char *p; /* NULL: absent */
	size_t len;
};

/* A caller may have no bytes at no address. */
static inline const char *mime_bytes(const void *raw, size_t len)
{
	return len > 0 ? raw : "";
}

/* --- mime_init.c: GMime's options for header decoding, good after mime_global_init(). */
void *mime_init_options(void);

/* --- mime_header.c: fields of a header block --- */
struct mime_field {
	struct mime_slice name, value; /* value: folds inside, without the last line end */
};

struct mime_header_reader {
	const char *p, *end;
};

/* 1: a field. 0: the block is over and p stands at the body. */
int mime_header_next(struct mime_header_reader *r, struct mime_field *ret);
bool mime_header_is(const struct mime_field *f, const char *name);
/* Unfolded, trimmed, NUL bytes dropped, a tab or a lone CR made a blank; raw bytes otherwise. */
char *mime_header_unfold(struct arena *arena, struct mime_slice value);
/* Unfolded and made UTF-8 (valid as it is, else windows-1252), RFC 2047 not yet decoded. */
char *mime_header_utf8(struct arena *arena, struct mime_slice value);
/* Decoded (RFC 2047), clean UTF-8. Never NULL. */
char *mime_header_text(struct arena *arena, struct mime_slice value);
/* The first <...> or word; without < >. "" when absent. */
char *mime_header_msgid(struct arena *arena, struct mime_slice value);
/* Seconds since 1970; 0 when broken. */
int64_t mime_header_date(struct arena *arena, struct mime_slice value);
/* Clean UTF-8 copy of at most max bytes. */
char *mime_header_clean(struct arena *arena, const char *s, size_t len, size_t max);

/* --- mime_param.c: Content-Type and Content-Disposition --- */
struct mime_content_type {
	const char *type; /* "text/plain", lower case; "" when absent or broken */
	const char *charset, *boundary, *name, *method, *protocol, *smime_type;
	bool format_flowed, delsp;
};
/* What is kept goes to the arena, the rest to scratch. */
void mime_param_content_type(struct arena *arena, struct arena *scratch, struct mime_slice value,
	struct mime_content_type *ret);
/* disposition: lower case or "". */
void mime_param_disposition(struct arena *arena, struct arena *scratch, struct mime_slice value,
	const char **disposition, const char **filename);
enum mime_encoding mime_param_encoding(struct mime_slice value);

/* --- mime_address.c --- */
struct mime_address {
	const char *name; /* decoded or "" */
	const char *addr; /* bare; "" for an empty group, whose name stands in name */
};
struct mime_addresses {
	struct mime_address *v; /* in the arena */
	size_t count, cap;
};
/* Appends what one field holds. */
void mime_address_parse(struct arena *arena, struct mime_slice value, struct mime_addresses *list);
/* One more; beyond MIME_ADDRESSES_MAX it is left out. */
void mime_address_add(
	struct arena *arena, struct mime_addresses *list, const struct mime_address *address);
/* `"Name" <addr>, ...`, at most MIME_TEXT_FIELD_MAX bytes, whole addresses. */
char *mime_address_format(struct arena *arena, const struct mime_addresses *list, const char *sep);
/* Names, or addresses where there is none, joined by ";". */
char *mime_address_display(struct arena *arena, const struct mime_addresses *list);

/* --- mime_scan.c: the tree of a message --- */
enum mime_node_kind { MIME_NODE_LEAF, MIME_NODE_MULTIPART, MIME_NODE_MESSAGE };

struct mime_node {
	enum mime_node_kind kind;
	int32_t parent;             /* -1: the root */
	uint32_t header, body, end; /* offsets: first field, content, behind the content */
	uint32_t children;          /* of a multipart */
	uint32_t index_in_parent;
	struct mime_content_type type; /* type.type is never "" */
	const char *disposition, *filename;
	struct mime_slice id, location;
	enum mime_encoding encoding;
	bool has_type;         /* a Content-Type was there */
	bool is_rest;          /* what lies behind the last part that the limits allow */
	bool is_shown_as_text; /* its type says multipart, and no part can be told from another */
	int32_t part;          /* index in the part map, -1 */
};

struct mime_tree {
	struct mime_node *nodes; /* in the order of the message; owned, see mime_scan_free() */
	size_t count, cap;
};

/* parts_max, depth_max, header_bytes must be set. */
void mime_scan(struct arena *arena, const char *raw, size_t len, const struct mime_limits *limits,
	struct mime_tree *ret);
void mime_scan_free(struct mime_tree *tree);

/* --- mime_transfer.c: transfer encodings --- */
/* A part that is decoded piece by piece: begins as zeros and its encoding. */
struct mime_transfer {
	enum mime_encoding encoding;
	uint32_t bits; /* of base64: characters that are no byte yet */
	unsigned have, pads;
	bool inside, over;
};
/* Bytes that decoding len bytes may need: uuencode gives at most three for two. */
static inline size_t mime_transfer_room(size_t len)
{
	return len + len / 2 + 4;
}
/* Decodes a piece; last: there is no other. out: mime_transfer_room(len) bytes; NULL: only counts.
 */
size_t mime_transfer_feed(
	struct mime_transfer *t, uint8_t *out, const char *in, size_t len, bool last);
/* How much of the input makes a piece of about `want` bytes: whole lines where the encoding has
 * them. */
size_t mime_transfer_piece(enum mime_encoding encoding, const char *in, size_t len, size_t want);
size_t mime_transfer_decoded_bytes(enum mime_encoding encoding, const char *in, size_t len);
void mime_transfer_add(struct buf *out, enum mime_encoding encoding, const char *in, size_t len);
/* False: none of the first lines can be base64, whatever the header says. */
bool mime_transfer_is_base64(const char *in, size_t len);
/* 7bit, 8bit and binary need no decoding. */
bool mime_transfer_is_identity(enum mime_encoding encoding);

/* --- mime_charset.c --- */
void mime_charset_init(void);
/* Windows code page of a charset name; 0 when unknown. */
uint32_t mime_charset_cpid(const char *name);
/* True: the bytes are UTF-8 already (as declared, or by looking). */
bool mime_charset_is_utf8(const char *name, const char *in, size_t len);
/* Converts what mime_charset_is_utf8() refused. Appends UTF-8; what cannot be read becomes U+FFFD.
 */
void mime_charset_add(struct buf *out, const char *name, const char *in, size_t len);
/* Length of the ASCII run at the start. */
size_t mime_charset_ascii_span(const char *in, size_t len);
bool mime_charset_utf8_valid(const char *in, size_t len);

/* --- mime_text.c: a bounded output of clean text with CRLF line ends --- */
struct mime_out {
	struct buf *buf;
	uint64_t max;   /* bytes that may be in buf */
	uint64_t total; /* bytes that would be there without the bound */
	bool cut;
};
/* Valid UTF-8 only; cuts between characters. */
void mime_out_add(struct mime_out *o, const char *s, size_t len);
/* CR, LF, CRLF become CRLF, the rest is cleaned (utf8_add_clean's rules). */
void mime_text_add_lines(struct mime_out *o, const char *s, size_t len);
/* The length without half a UTF-8 character at the end, where the bytes were cut off. */
size_t mime_text_whole(const char *s, size_t len);
/* mime_text_add_lines() would change nothing but line ends. */
bool mime_text_is_clean(const char *s, size_t len);
/* RFC 3676: paragraphs joined, stuffing removed. In and out UTF-8; out has LF or CRLF as it comes.
 */
void mime_text_unflow(struct buf *out, const char *s, size_t len, bool delsp);
/* White space folded into single blanks, at most max characters. Input any bytes. */
char *mime_text_preview(struct arena *arena, const char *s, size_t len, size_t max);

/* --- mime_html.c, mime_html_text.c --- */
/* HTML (clean UTF-8) to text with LF line ends. Ends soon after stop_bytes of output; returns how
 * much of the HTML was read. links: "text (url)". */
size_t mime_html_to_text(
	struct buf *out, const char *html, size_t len, size_t stop_bytes, bool links);
/* Text (UTF-8) to a small HTML document. */
void mime_html_from_text(struct buf *out, const char *text, size_t len);
/* Appends html with the charsets that its head names made utf-8. */
void mime_html_add_as_utf8(struct buf *out, const char *html, size_t len);
/* The charset that the head of the HTML names, or "". */
void mime_html_charset(const char *html, size_t len, char *ret, size_t ret_size);
/* The length without half a tag and half an entity at the end, where HTML was cut off. */
size_t mime_html_floor(const char *html, size_t len);
/* The next cid: link at or behind p, percent-decoded and cut to ret_size - 1; where to go on, or
 * NULL. p must stand at least three bytes behind the start of the HTML. */
const char *mime_html_next_cid(const char *p, const char *end, char *ret, size_t ret_size);

/* --- mime_parts.c: the part map --- */
/* Fills parts, part_count, text_part, html_part, native_body. */
void mime_parts_map(
	struct arena *arena, const char *raw, struct mime_tree *tree, struct mime_summary *s);
/* The bytes of a part as they stand in the message. */
struct mime_slice mime_parts_encoded(const struct mime_part *p, const char *raw);

/* --- mime_body.c --- */
/* The start of a text part as UTF-8 (not yet cleaned): max encoded bytes of it. *ret_cpid: of its
 * charset, looked at when none is named. */
void mime_body_start(struct buf *out, const struct mime_part *p, const char *raw, size_t max,
	uint32_t *ret_cpid);

/* --- mime_recode.c --- */
/* Text with CRLF as quoted-printable; bytes as base64 in lines, without a line end behind. */
void mime_recode_add_qp(struct buf *out, const char *p, const char *end);
void mime_recode_add_base64(struct buf *out, const char *p, const char *end);
/* The message in UTF-8 headers and 7-bit contents. */
void mime_recode(struct buf *out, const char *raw, size_t len);

/* --- mime_thread.c: conversations --- */
/* The subject without Re:, Fwd: and their like in other languages; points into subject. */
const char *mime_thread_topic(const char *subject);
/* Does the subject begin as programs begin that of a forward? */
bool mime_thread_is_forward(const char *subject);
/* Fills conversation_id and conversation_index. thread_index: the header's value or absent. */
void mime_thread_fill(struct arena *arena, struct mime_slice thread_index, struct mime_summary *s);

/* --- mime_class.c --- */
void mime_class_find(const struct mime_tree *tree, const char *raw, struct mime_summary *s);

/* --- mime_quote.c: the text of a reply and of a forward --- */
struct mime_quote {
	const struct mime_summary *mine, *theirs;
	const char *raw, *source;
	size_t len, source_len;
	bool forward;
	size_t max; /* bytes of the original */
};
/* Clean UTF-8 with CRLF: what the client wrote, then the original. */
NODISCARD int mime_quote_text(const struct mime_quote *q, struct buf *out, struct err *err);
NODISCARD int mime_quote_html(const struct mime_quote *q, struct buf *out, struct err *err);

/* --- mime_pieces.c: what messages are put together of --- */
/* A field that describes content (Content-...). */
bool mime_pieces_is_content(const struct mime_field *f);
/* As it stands, with a line end in any case; behind: where the reader stands then. */
void mime_pieces_add_field(struct buf *out, const struct mime_field *f, const char *behind);
/* The Content- fields of n; without those that say how its content is encoded when it is replaced.
 */
void mime_pieces_add_fields(struct buf *out, const char *raw, const struct mime_node *n,
	bool without_type, bool without_encoding);
void mime_pieces_boundary(char out[33]);
/* Text in UTF-8 with CRLF: its fields, the empty line, its content. */
void mime_pieces_add_text(struct buf *out, const char *subtype, const struct buf *text);
/* A part of another message in the same way, so that a transport keeps its bytes. */
void mime_pieces_add_part(struct buf *out, const char *raw, const struct mime_node *n);

/* --- mime_write.c: header fields of our own making --- */
/* Name: value with its line end; unstructured text of any kind, controls become blanks. */
void mime_write_text(struct buf *out, const char *name, const char *text);
/* A list of addresses, one a line; those without an address are left out. Nothing for an empty one.
 */
void mime_write_addresses(struct buf *out, const char *name, const struct mime_addresses *list);
void mime_write_date(struct buf *out, int64_t at);
void mime_write_message_id(struct buf *out, const char *domain);
/* ; name=value, as it fits (RFC 2231). */
void mime_write_parameter(struct buf *out, const char *name, const char *value);

/* --- mime_send.c --- */
/* Appends what the value holds to the list, as the envelope reads it. False: something in it is no
 * address, or there are too many. */
bool mime_send_addresses(struct arena *arena, struct mime_slice value, struct mime_addresses *list);

#endif
