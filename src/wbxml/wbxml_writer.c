/*
 * Elements to bytes. The writer keeps no stack: END needs no name, and the only thing known of the
 * past is whether the last thing written was a start tag (open_empty), whose content bit is then
 * taken back.
 *
 * Invariant: while open_empty, out->data[last_tag_at] is that start tag, unless the buffer has
 * failed; a failed buffer is never written or read again. One thread.
 */
#include "wbxml/wbxml.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define BIT_CONTENT 0x40u

static const uint8_t document_header[4] = {0x03, 0x01, 0x6a, 0x00};

void wbxml_writer_init(struct wbxml_writer *w, struct buf *out)
{
	*w = (struct wbxml_writer){.out = out};
}

static void put_tag(struct wbxml_writer *w, unsigned tag, unsigned content_bit)
{
	uint8_t page = (uint8_t)(tag >> 8);

	assert(wbxml_tag_known(tag));
	/* A second root would be no document. */
	assert(w->depth > 0 || !w->begun);
	if (!w->begun) {
		buf_add(w->out, document_header, sizeof(document_header));
		w->begun = true;
		w->page = 0;
	}
	if (page != w->page) {
		buf_add_byte(w->out, 0x00);
		buf_add_byte(w->out, page);
		w->page = page;
	}
	w->last_tag_at = w->out->len;
	buf_add_byte(w->out, (uint8_t)((tag & 0x3fu) | content_bit));
}

void wbxml_start(struct wbxml_writer *w, unsigned tag)
{
	put_tag(w, tag, BIT_CONTENT);
	w->open_empty = true;
	w->depth++;
}

void wbxml_end(struct wbxml_writer *w)
{
	assert(w->depth > 0);
	w->depth--;
	if (!w->open_empty)
		buf_add_byte(w->out, 0x01);
	else if (!w->out->failed)
		w->out->data[w->last_tag_at] &= (uint8_t)~BIT_CONTENT;
	w->open_empty = false;
}

void wbxml_add_empty(struct wbxml_writer *w, unsigned tag)
{
	put_tag(w, tag, 0);
	w->open_empty = false;
}

void wbxml_add_text(struct wbxml_writer *w, unsigned tag, const char *text)
{
	wbxml_add_textn(w, tag, text, text == NULL ? 0 : strlen(text));
}

void wbxml_add_textn(struct wbxml_writer *w, unsigned tag, const char *text, size_t len)
{
	if (len == 0) {
		wbxml_add_empty(w, tag);
		return;
	}
	put_tag(w, tag, BIT_CONTENT);
	buf_add_byte(w->out, 0x03);
	utf8_add_clean(w->out, text, len);
	buf_add(w->out, "\0\x01", 2);
	w->open_empty = false;
}

void wbxml_add_clean(struct wbxml_writer *w, unsigned tag, const char *text, size_t len)
{
	if (len == 0) {
		wbxml_add_empty(w, tag);
		return;
	}
	wbxml_text_begin(w, tag);
	buf_add(w->out, text, len);
	wbxml_text_end(w);
}

void wbxml_text_begin(struct wbxml_writer *w, unsigned tag)
{
	put_tag(w, tag, BIT_CONTENT);
	buf_add_byte(w->out, 0x03);
}

void wbxml_text_end(struct wbxml_writer *w)
{
	buf_add(w->out, "\0\x01", 2);
	w->open_empty = false;
}

void wbxml_add_uint(struct wbxml_writer *w, unsigned tag, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

	wbxml_add_clean(w, tag, text, (size_t)n);
}

void wbxml_add_bool(struct wbxml_writer *w, unsigned tag, bool v)
{
	wbxml_add_clean(w, tag, v ? "1" : "0", 1);
}

void wbxml_add_opaque(struct wbxml_writer *w, unsigned tag, const void *bytes, size_t len)
{
	uint8_t digits[5];
	size_t n = 0;

	if (len == 0) {
		wbxml_add_empty(w, tag);
		return;
	}
	/* Its length is a 32-bit number; responses are bounded far below. */
	assert(len <= UINT32_MAX);
	put_tag(w, tag, BIT_CONTENT);
	buf_add_byte(w->out, 0xc3);
	for (size_t rest = len; rest > 0 || n == 0; rest >>= 7)
		digits[n++] = (uint8_t)(rest & 0x7f);
	while (n > 1)
		buf_add_byte(w->out, digits[--n] | 0x80u);
	buf_add_byte(w->out, digits[0]);
	buf_add(w->out, bytes, len);
	buf_add_byte(w->out, 0x01);
	w->open_empty = false;
}

void wbxml_writer_init_part(struct wbxml_writer *part, struct buf *out, uint8_t page)
{
	*part = (struct wbxml_writer){.out = out, .begun = true, .page = page, .depth = 1};
}

void wbxml_append(
	struct wbxml_writer *w, const struct buf *part, uint8_t page_before, uint8_t page_after)
{
	assert(w->depth > 0);
	if (part->failed)
		w->out->failed = true;
	if (part->len == 0 || part->failed)
		return;
	if (w->page != page_before) {
		buf_add_byte(w->out, 0x00);
		buf_add_byte(w->out, page_before);
	}
	buf_add(w->out, part->data, part->len);
	w->page = page_after;
	w->open_empty = false;
}

struct wbxml_mark wbxml_mark(const struct wbxml_writer *w)
{
	return (struct wbxml_mark){.len = w->out->len,
		.page = w->page,
		.open_empty = w->open_empty,
		.depth = w->depth,
		.last_tag_at = w->last_tag_at};
}

void wbxml_rewind(struct wbxml_writer *w, const struct wbxml_mark *mark)
{
	assert(mark->len <= w->out->len);
	assert(mark->depth <= w->depth);
	w->out->len = mark->len;
	w->page = mark->page;
	w->open_empty = mark->open_empty;
	w->depth = mark->depth;
	w->last_tag_at = mark->last_tag_at;
	/* A mark at depth 0 was taken before the document's first element. */
	w->begun = w->begun && mark->depth > 0;
}
