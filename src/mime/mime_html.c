/*
 * HTML without taking it apart: text made HTML, the charset named in a head made utf-8, cid: links.
 * All in one pass over the bytes. Any thread; pure.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

/* A charset named behind this many bytes is not looked for by clients either. */
#define HEAD_BYTES ((size_t)16 * 1024)

static void add_escaped(struct buf *out, const char *s, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		const char *entity = NULL;

		switch (s[i]) {
		case '&':
			entity = "&amp;";
			break;
		case '<':
			entity = "&lt;";
			break;
		case '>':
			entity = "&gt;";
			break;
		case '"':
			entity = "&quot;";
			break;
		default:
			continue;
		}
		buf_add(out, s + start, i - start);
		buf_add_str(out, entity);
		start = i + 1;
	}
	buf_add(out, s + start, len - start);
}

/* Length of a web address at p, or 0. */
static size_t link_len(const char *p, size_t left)
{
	size_t n = 0;

	if (!(left > 8 && memcmp(p, "https://", 8) == 0) &&
		!(left > 7 && memcmp(p, "http://", 7) == 0))
		return 0;
	while (n < left && (uint8_t)p[n] > ' ' && strchr("<>\"'`{}|\\^", p[n]) == NULL)
		n++;
	while (n > 0 && strchr(".,;:!?)]", p[n - 1]) != NULL)
		n--;
	return n > 8 ? n : 0;
}

static void add_link(struct buf *out, const char *url, size_t len)
{
	buf_add_str(out, "<a href=\"");
	add_escaped(out, url, len);
	buf_add_str(out, "\">");
	add_escaped(out, url, len);
	buf_add_str(out, "</a>");
}

/* A stretch of a line without runs of blanks. */
static void add_line(struct buf *out, const char *s, size_t len)
{
	while (len > 0) {
		const char *h = memmem(s, len, "http", 4);
		size_t n = h != NULL ? (size_t)(h - s) : len, url = 0;

		add_escaped(out, s, n);
		s += n;
		len -= n;
		if (len == 0)
			return;
		url = link_len(s, len);
		if (url > 0)
			add_link(out, s, url);
		else
			add_escaped(out, s, url = 1);
		s += url;
		len -= url;
	}
}

/* Blanks that HTML would swallow: those at the start of a line, and all but the last of a run. */
static size_t add_blanks(struct buf *out, const char *s, size_t len, bool at_start)
{
	size_t n = 0;

	while (n < len && (s[n] == ' ' || s[n] == '\t')) {
		bool last = n + 1 == len || (s[n + 1] != ' ' && s[n + 1] != '\t');

		if (s[n] == '\t')
			buf_add_str(out, "&nbsp;&nbsp;&nbsp; ");
		else if (last && !at_start)
			buf_add_byte(out, ' ');
		else
			buf_add_str(out, "&nbsp;");
		n++;
	}
	return n;
}

static void add_text_line(struct buf *out, const char *s, size_t len)
{
	size_t i = add_blanks(out, s, len, true), start = i;

	for (; i < len; i++) {
		if (s[i] != '\t' && !(s[i] == ' ' && i + 1 < len && s[i + 1] == ' '))
			continue;
		add_line(out, s + start, i - start);
		i += add_blanks(out, s + i, len - i, false);
		start = i--;
	}
	add_line(out, s + start, len - start);
}

void mime_html_from_text(struct buf *out, const char *text, size_t len)
{
	const char *p = text, *end = text + len;

	buf_add_str(out, "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; "
			 "charset=utf-8\"></head><body>\r\n");
	while (p < end) {
		size_t n = 0;

		while (p + n < end && p[n] != '\n' && p[n] != '\r')
			n++;
		add_text_line(out, p, n);
		p += n;
		if (p == end)
			break;
		p += *p == '\r' && end - p > 1 && p[1] == '\n' ? 2 : 1;
		buf_add_str(out, "<br>\r\n");
	}
	buf_add_str(out, "</body></html>\r\n");
}

/* The value of charset= inside a tag; its length, 0 when there is none. */
static size_t charset_value(const char *tag, size_t len, const char **ret)
{
	static const char stop[] = " \t\r\n\"';/>";

	for (size_t i = 0; i + 8 < len; i++) {
		size_t at = i + 7, n = 0;

		if ((tag[i] | 0x20) != 'c' || strncasecmp(tag + i, "charset", 7) != 0)
			continue;
		while (at < len && strchr(" \t\r\n", tag[at]) != NULL && tag[at] != 0)
			at++;
		if (at == len || tag[at++] != '=')
			continue;
		while (at < len && tag[at] != 0 && strchr(" \t\r\n\"'", tag[at]) != NULL)
			at++;
		while (at + n < len && tag[at + n] != 0 && strchr(stop, tag[at + n]) == NULL)
			n++;
		*ret = tag + at;
		return n;
	}
	return 0;
}

void mime_html_add_as_utf8(struct buf *out, const char *html, size_t len)
{
	const char *p = html, *done = html, *head_end = html + MIN(len, HEAD_BYTES);

	if (!buf_reserve(out, len))
		return;
	while ((p = memchr(p, '<', (size_t)(head_end - p))) != NULL && head_end - p > 5) {
		const char *gt, *value;
		size_t n;

		if (strncasecmp(p, "<body", 5) == 0)
			break;
		p++;
		if (strncasecmp(p, "meta", 4) != 0 && strncasecmp(p, "?xml", 4) != 0)
			continue;
		gt = memchr(p, '>', (size_t)(html + len - p));
		if (gt == NULL)
			break;
		n = charset_value(p, (size_t)(gt - p), &value);
		if (n > 0 && !(n == 5 && strncasecmp(value, "utf-8", 5) == 0)) {
			buf_add(out, done, (size_t)(value - done));
			buf_add_str(out, "utf-8");
			done = value + n;
		}
		p = gt < head_end ? gt : head_end;
	}
	buf_add(out, done, (size_t)(html + len - done));
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *mime_html_next_cid(const char *p, const char *end, char *ret, size_t ret_size)
{
	while ((p = memchr(p, ':', (size_t)(end - p))) != NULL) {
		const char *start = p - 3;
		size_t n = 0;

		p++;
		if (ret_size == 0 || strncasecmp(start, "cid", 3) != 0)
			continue;
		while (p < end && n + 1 < ret_size && *p != 0 &&
			strchr("\"' >)\t\r\n", *p) == NULL) {
			char c = *p++;

			if (c == '%' && end - p >= 2 && hex_value(p[0]) >= 0 &&
				hex_value(p[1]) >= 0) {
				c = (char)(hex_value(p[0]) << 4 | hex_value(p[1]));
				p += 2;
			}
			ret[n++] = c;
		}
		ret[n] = 0;
		return p;
	}
	return NULL;
}
