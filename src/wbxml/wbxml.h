#ifndef BELLHOP_WBXML_WBXML_H
#define BELLHOP_WBXML_WBXML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * WBXML as Exchange ActiveSync uses it ([MS-ASWBXML] 2.1): version 1.3, UTF-8, an empty string
 * table, SWITCH_PAGE, END, STR_I and OPAQUE, no attributes. Pure: no I/O, no locks.
 *
 * A tag is page << 8 | token (token without its content bit). The names come from code_pages.def,
 * the one table: TAG_<Namespace>_<Element>, for example TAG_AirSync_SyncKey, TAG_Email2_UmCallerID.
 */
enum wbxml_tag {
#define WBXML_PAGE(number, ns)
#define WBXML_TAG(page, ns, token, name, versions) TAG_##ns##_##name = (page) << 8 | (token),
#include "wbxml/code_pages.def"
#undef WBXML_PAGE
#undef WBXML_TAG
};

/* "AirSync:SyncKey", or "page 3 token 0x2f" for unknown ones. buf: at least 64 bytes; returns it.
 */
const char *wbxml_tag_to_str(unsigned tag, char *text, size_t text_size);
/* False for tags which no published code page has. */
bool wbxml_tag_known(unsigned tag);
/* First and last protocol version (times ten; last 255: still in use) of a known tag; 0, 0:
 * obsolete. */
void wbxml_tag_versions(unsigned tag, unsigned *ret_first, unsigned *ret_last);

/* A node lives in the arena given to wbxml_decode. Text is valid UTF-8 and terminated (text[len] is
 * 0). */
struct wbxml_node {
	uint16_t tag;
	bool opaque;      /* its content came as OPAQUE: any bytes; terminated all the same */
	bool has_content; /* the content bit was set: <a></a> rather than <a/> */
	uint16_t fault;   /* set by eas/schema on items: the Status for this item; 0 = good */
	uint32_t len;     /* bytes of text */
	const char *text; /* "" when there is none; never NULL */
	struct wbxml_node *parent, *child, *last_child, *next; /* child: first one */
};

struct wbxml_limits {
	size_t depth; /* open elements */
	size_t nodes;
	size_t text_bytes; /* of one run */
	/* OPAQUE content of this element is not copied: it is borrowed from the input, and not terminated. 0: none. */
	unsigned borrowed_tag;
};

/*
 * Decodes a whole document. Unknown tokens on known pages and unknown pages are errors, as are
 * string tables, entities, attributes, mixed content, bytes after the root, and anything over the
 * limits. Page 25's 0x1A..0x1C are read as 0x20..0x22; page 254 (a vendor's annotations) is
 * skipped. ERR_BAD_INPUT names the offset. Memory comes from the arena alone and grows with the
 * input only. Text that is not valid UTF-8 is an error; NUL inside STR_I cannot occur; OPAQUE keeps
 * any bytes.
 */
NODISCARD int wbxml_decode(struct arena *arena, const void *bytes, size_t len,
	const struct wbxml_limits *limits, struct wbxml_node **ret_root, struct err *err);

/* First child with that tag, or NULL. node may be NULL. */
struct wbxml_node *wbxml_find(const struct wbxml_node *node, unsigned tag);
/* Next sibling with that tag, or NULL. */
struct wbxml_node *wbxml_next(const struct wbxml_node *node, unsigned tag);
/* Text of the first child with that tag, or NULL when it is absent. */
const char *wbxml_text(const struct wbxml_node *node, unsigned tag);
/* Appends an indented XML-like rendering, for traces; texts of tags listed in redact are hidden
 * when redact is true (Mime, Data, Body, Subject, From, To, Cc, names...). */
void wbxml_dump(const struct wbxml_node *node, bool redact, struct buf *out);

/* May a trace show this text of this element? Only keys, ids, numbers, times and fixed words of
 * elements that are known to be harmless (public.def). */
bool wbxml_text_is_public(unsigned tag, const char *text, size_t len);
/* The same rendering, redacted, of bytes that need not be a whole document, nor one at all. */
void wbxml_trace(const void *bytes, size_t len, struct buf *out);

/*
 * The writer. Starts the document with 03 01 6A 00 at the first element; switches pages by itself.
 * Misuse (an end too many, text beside elements) is our bug: assert. Limits are those of the
 * buffer.
 *
 *     struct wbxml_writer w;
 *     wbxml_writer_init(&w, &out);
 *     wbxml_start(&w, TAG_Ping_Ping);
 *     wbxml_add_text(&w, TAG_Ping_Status, "1");
 *     wbxml_end(&w);
 */
struct wbxml_writer {
	struct buf *out; /* borrowed until the document is done */
	uint8_t page;
	bool begun;
	bool open_empty; /* the last start tag has no content yet: wbxml_end turns it into <a/> */
	unsigned depth;
	size_t last_tag_at;
};

void wbxml_writer_init(struct wbxml_writer *w, struct buf *out);
void wbxml_start(struct wbxml_writer *w, unsigned tag);
/* Ends the innermost element; one without content becomes an empty tag (without content bit). */
void wbxml_end(struct wbxml_writer *w);
void wbxml_add_empty(struct wbxml_writer *w, unsigned tag);
/* Text is cleaned as utf8_add_clean() says; NULL or "" gives an empty tag. */
void wbxml_add_text(struct wbxml_writer *w, unsigned tag, const char *text);
void wbxml_add_textn(struct wbxml_writer *w, unsigned tag, const char *text, size_t len);
/* The same for text which the caller knows to be clean (no check, no copy but one). */
void wbxml_add_clean(struct wbxml_writer *w, unsigned tag, const char *text, size_t len);
/* The same for text that comes in pieces: between the two the caller appends clean text without NUL
 * to w->out, at least one byte. */
void wbxml_text_begin(struct wbxml_writer *w, unsigned tag);
void wbxml_text_end(struct wbxml_writer *w);
void wbxml_add_uint(struct wbxml_writer *w, unsigned tag, uint64_t v);
void wbxml_add_bool(struct wbxml_writer *w, unsigned tag, bool v);
void wbxml_add_opaque(struct wbxml_writer *w, unsigned tag, const void *bytes, size_t len);
/*
 * For parts that are written before it is known what stands in front of them:
 * wbxml_writer_init_part() makes a writer of children without a document header, which begin on the
 * code page of w; wbxml_append() puts its bytes, all elements ended, into the element that w has
 * open.
 */
void wbxml_writer_init_part(struct wbxml_writer *part, struct buf *out, uint8_t page);
void wbxml_append(
	struct wbxml_writer *w, const struct buf *part, uint8_t page_before, uint8_t page_after);

/*
 * Marks for taking back: a writer that finds an element useless (an empty Responses) returns to
 * where it was. Only within the same open parent.
 */
struct wbxml_mark {
	size_t len;
	uint8_t page;
	bool open_empty;
	unsigned depth;
	size_t last_tag_at;
};
struct wbxml_mark wbxml_mark(const struct wbxml_writer *w);
void wbxml_rewind(struct wbxml_writer *w, const struct wbxml_mark *mark);

#endif
