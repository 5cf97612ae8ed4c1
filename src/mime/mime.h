#ifndef BELLHOP_MIME_MIME_H
#define BELLHOP_MIME_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * Reading messages (RFC 5322, 2045-2049, 2231, 2047). A message is parsed once, when it is stored:
 * mime_summarize() gives everything that listings need, and a part map with byte offsets into the raw
 * message, so that a body is later rendered without parsing again. The summary is kept as a blob
 * beside the item (mime_summary_encode / _decode).
 *
 * Pure but for the global state of GMime and libxml2: mime_global_init() in main, before the first
 * thread. Any thread; no object crosses threads. Broken input never fails: the worst message is one text part.
 */
void mime_global_init(void);

struct mime_limits {
	size_t parts;  /* part map entries; the rest is left inside its parent */
	size_t depth;  /* nesting of multiparts and embedded messages */
	size_t header_bytes;
};

enum mime_encoding { MIME_ENC_7BIT, MIME_ENC_8BIT, MIME_ENC_BINARY, MIME_ENC_QP, MIME_ENC_BASE64, MIME_ENC_UUENCODE };

/* One leaf of the message, or an embedded message/rfc822 (a leaf for us: Method 5). */
struct mime_part {
	uint32_t offset, length;  /* of the encoded content in the raw message, bytes */
	uint32_t decoded_bytes;   /* exact after decoding the transfer encoding (text: before charset) */
	enum mime_encoding encoding;
	const char *content_type; /* "text/plain", lower case; never NULL */
	const char *charset;      /* lower case, or "" */
	const char *name;         /* file name, decoded to UTF-8; made up when an attachment has none; "" for bodies */
	const char *content_id;   /* without < >, or "" */
	const char *content_location; /* or "" */
	bool is_attachment;       /* listed in Attachments */
	bool is_inline;           /* inline disposition, or referenced by cid: from the HTML body */
	bool format_flowed, delsp; /* RFC 3676 */
};

struct mime_summary {
	const char *from, *to, *cc, *bcc, *reply_to, *sender; /* decoded, `"Name" <addr>, ...`; "" when absent */
	const char *display_to;   /* names (or addresses) of To, joined by ";" */
	const char *subject, *thread_topic; /* decoded; topic: without Re:/Fwd:/AW: ... prefixes */
	const char *message_id;   /* without < > */
	const char *root_id;      /* first of References, else In-Reply-To, else message_id */
	const char *message_class; /* [MS-ASEMAIL] 2.2.2.49 */
	const char *content_class;
	const char *preview;      /* plain text, white space folded, at most 255 characters */
	int64_t date_at;          /* Date header; 0 when absent or broken */
	uint8_t importance;       /* 0 low, 1 normal, 2 high */
	uint8_t native_body;      /* NativeBodyType: 1 plain, 2 HTML */
	bool is_smime;            /* signed or enveloped: MIMESupport 1 applies */
	uint32_t cpid;            /* Windows code page */
	uint8_t conversation_id[16];
	uint8_t conversation_index[64];
	uint8_t conversation_index_len; /* 5 + 5 n */
	uint32_t raw_bytes;
	int32_t text_part, html_part; /* indexes into parts; -1: none. What a body is rendered from */
	uint32_t part_count;
	const struct mime_part *parts;
};

/* Everything returned lives in the arena. raw is borrowed. Never fails for bad mail; ERR_INTERNAL only. */
NODISCARD int mime_summarize(struct arena *arena, const void *raw, size_t len,
	const struct mime_limits *limits, struct mime_summary **ret, struct err *err);

/* The blob starts with a format version; decode refuses others (ERR_BAD_INPUT), checks every bound, and
 * borrows from `blob` nothing: strings are copied into the arena. */
void mime_summary_encode(const struct mime_summary *s, struct buf *out);
NODISCARD int mime_summary_decode(
	struct arena *arena, const void *blob, size_t len, struct mime_summary **ret, struct err *err);

enum mime_body_type { MIME_BODY_TEXT = 1, MIME_BODY_HTML = 2, MIME_BODY_RTF = 3, MIME_BODY_MIME = 4 };

struct mime_body {
	enum mime_body_type type;
	uint64_t estimated_bytes; /* of the whole body in that type */
	bool truncated;
	struct buf data;          /* clean UTF-8 (as utf8_add_clean); the caller deinits */
};

/*
 * Renders the body of a message as type 1, 2 or 4, at most max_bytes of UTF-8 (UINT64_MAX: all), never
 * cutting a character, nor a tag or an entity of HTML. Text from HTML by libxml2 (links, lists, tables readable; scripts and styles left out); HTML from
 * text by escaping. Line ends are CRLF. Charset: as declared, else detected (UTF-8 valid, else windows-1252).
 * Type 4 is the raw message; when it holds bytes that are not clean UTF-8, its 8-bit parts are made quoted-printable or
 * base64 and its headers UTF-8, and what is still not clean is replaced by U+FFFD.
 * At most 64 MB of a text and 8 MB of an HTML part that becomes text are converted; beyond that the body counts as truncated.
 */
NODISCARD int mime_body_render(const struct mime_summary *s, const void *raw, size_t len,
	enum mime_body_type type, uint64_t max_bytes, struct mime_body *ret, struct err *err);

/*
 * What the message adds to its conversation, as type 2: its body without the quotes of earlier messages (BodyPart, [MS-ASCON] 2.2.2.1).
 * preview: at most preview_chars of its text are appended; may be NULL when that is 0. ERR_QUOTA: a body of more than 8 MB.
 */
NODISCARD int mime_body_render_new(const struct mime_summary *s, const void *raw, size_t len, uint64_t max_bytes,
	unsigned preview_chars, struct mime_body *ret, struct buf *preview, struct err *err);

/* Of a text that is no message, in UTF-8: HTML to text with LF line ends, text to a small HTML document. Appended. */
void mime_text_from_html(struct buf *out, const char *html);
void mime_text_to_html(struct buf *out, const char *text);

/*
 * Bytes first to first + count of what a part decodes to (less, where it ends before), handed over in
 * pieces: memory does not depend on their number. ERR_NOT_FOUND for a bad index.
 */
struct mime_part_range {
	uint64_t first, count;
	void (*take)(void *owner, const void *bytes, size_t len);
	void (*passed)(void *owner, size_t raw_offset); /* what lies below is not looked at any more; may be NULL */
	void *owner;
};
NODISCARD int mime_part_read(const struct mime_summary *s, const void *raw, size_t len,
	uint32_t part_index, const struct mime_part_range *range, struct err *err);

/* Decoded bytes of one part (attachments: FileReference fetches). ERR_NOT_FOUND for a bad index. */
NODISCARD int mime_part_decode(const struct mime_summary *s, const void *raw, size_t len,
	uint32_t part_index, struct buf *out, struct err *err);

/* When the site took the message in: the date of its topmost Received field; 0 when it has none that can be read. */
int64_t mime_received_at(const void *raw, size_t len);
/* Did it come over a mailing list, or was it sent on by somebody? Then its To does not say who got it. */
bool mime_was_distributed(const void *raw, size_t len);

/* Must no program answer it (RFC 3834, section 2)? Sent by a program, to a list or many, a report, or marked as spam by a filter. */
bool mime_is_automatic(const void *raw, size_t len);

/* The first field of that name (lower case) in the header, decoded; NULL when there is none. */
char *mime_field_text(struct arena *arena, const void *raw, size_t len, const char *name);

/* Appends text as encoded words (RFC 2047), folded. Any bytes; nothing of them but letters and digits stands bare. */
void mime_header_encode(struct buf *out, const char *text, size_t len);

/* What SendMail needs of a message to be sent. Lists are in the arena; addresses are bare addr-specs. */
struct mime_envelope {
	const char **to; /* To, Cc and Bcc of the message, each address once (ASCII case ignored) */
	size_t to_count;
	const char **senders; /* all addresses of From and Sender, those of From first */
	size_t sender_count;
	bool bad_sender;  /* From or Sender holds what is no address */
	const char *from; /* first From address or "" */
	const char *message_id;
	const char *bad_recipient; /* the first in To, Cc or Bcc that is no address; NULL: all are */
	size_t received_count;     /* Received fields */
};
/* ERR_BAD_INPUT when it is not a message at all (no header line). */
NODISCARD int mime_envelope_read(
	struct arena *arena, const void *raw, size_t len, struct mime_envelope **ret, struct err *err);
/* local@domain, without blanks, controls and angle brackets, within the lengths of RFC 5321. */
bool mime_address_is_valid(const char *address);
/* For an input whose memory can be given back meanwhile: it will not be looked at below `upto`. */
struct mime_progress {
	void (*passed)(void *owner, const void *upto);
	void *owner;
};
/*
 * The message as it leaves: Bcc removed (its fields are appended to bcc, which may be NULL; put before the message they give the
 * sender's own copy), From (`"Name" <addr>` or addr), Date, Message-ID (under `domain`) and MIME-Version added when missing, empty
 * and further From fields removed, bare LF made CRLF. Everything else byte for byte. progress may be NULL.
 */
NODISCARD int mime_prepare_send(const void *raw, size_t len, const char *from, const char *domain,
	int64_t now_at, const struct mime_progress *progress, struct buf *out, struct buf *bcc, struct err *err);

/* A reply or forward whose original the server adds (SmartReply, SmartForward). */
struct mime_compose {
	const void *raw; /* what the client wrote */
	size_t len;
	const void *source; /* the original */
	size_t source_len;
	bool forward;       /* with its attachments, and unquoted */
	bool replace;       /* nothing of the original is added (ReplaceMime), but the threading */
	size_t quote_max;   /* bytes of the original's text, and of its HTML */
	const struct mime_limits *limits;
};
/*
 * The client's message with the original below its text, in each form (plain, HTML) that the client wrote; inline images of the original
 * with its HTML, attachments when it is a forward; In-Reply-To and References where the client left them out. The structure of the
 * client's message stays. A signed or encrypted message of the client is left as it is; a signed or encrypted original is forwarded
 * as an attachment. Not a message at all: it passes through. Appends; failures of memory only.
 */
NODISCARD int mime_compose(const struct mime_compose *c, struct buf *out, struct err *err);

/* Appends a time (seconds) as header fields have it, in UTC: "Tue, 01 Jul 2003 08:52:37 +0000". */
void mime_add_date(struct buf *out, int64_t at);

#endif
