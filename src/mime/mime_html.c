/*
 * HTML without taking it apart: text made HTML (links are left to the clients, which all find
 * them), the charset named in a head made utf-8, cid: links. All in one pass over the bytes. Any
 * thread; pure.
 */
#include "mime/mime_internal.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

/* A charset named behind this many bytes is not looked for by clients either. */
#define HEAD_BYTES ((size_t)16 * 1024)

/* The longest name of an entity in HTML has 33 bytes. */
#define ENTITY_BYTES 34

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* Sixteen bytes from p; 0xff in each place that mime_html_from_text() has to look at: markup,
 * blanks that are not single, line ends, what may begin "http". next holds the bytes from p + 1. */
static bytes16 special16(bytes16 v, bytes16 next)
{
	return (bytes16)((v == '&') | (v == '<') | (v == '>') | (v == '"') | (v == '\n') |
			 (v == '\r') | (v == '\t') |
			 ((v == ' ') & ((next == ' ') | (next == '\t'))));
}

static bool is_special(const char *p, const char *end)
{
	char next = p + 1 < end ? p[1] : 0;

	switch (*p) {
	case '&':
	case '<':
	case '>':
	case '"':
	case '\n':
	case '\r':
	case '\t':
		return true;
	case ' ':
		return next == ' ' || next == '\t';
	default:
		return false;
	}
}

/* The next special byte at or behind p, or end. */
static const char *find_special(const char *p, const char *end)
{
	while (end - p >= 17) {
		bytes16 v, next, hit;
		uint64_t half[2];

		memcpy(&v, p, sizeof(v));
		memcpy(&next, p + 1, sizeof(next));
		hit = special16(v, next);
		memcpy(half, &hit, sizeof(half));
		if ((half[0] | half[1]) != 0)
			break;
		p += 16;
	}
	while (p < end && !is_special(p, end))
		p++;
	return p;
}

static const char *entity_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	default:
		return NULL;
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

/* Writes what stands for the special byte at p; how many bytes that were. */
static size_t add_special(struct buf *out, const char *p, const char *end)
{
	const char *entity = entity_of(*p);
	size_t n = 1;

	if (entity != NULL) {
		buf_add_str(out, entity);
	} else if (*p == '\n' || *p == '\r') {
		buf_add(out, "<br>\r\n", 6);
		n = *p == '\r' && end - p > 1 && p[1] == '\n' ? 2 : 1;
		n += add_blanks(out, p + n, (size_t)(end - p) - n, true);
	} else {
		n = add_blanks(out, p, (size_t)(end - p), false);
	}
	return n;
}

void mime_html_from_text(struct buf *out, const char *text, size_t len)
{
	const char *p = text, *end = text + len;

	if (!buf_reserve(out, len + len / 8 + 256))
		return;
	buf_add_str(out, "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; "
			 "charset=utf-8\"></head><body>\r\n");
	p += add_blanks(out, p, len, true);
	while (p < end) {
		const char *special = find_special(p, end);

		buf_add(out, p, (size_t)(special - p));
		p = special;
		if (p < end)
			p += add_special(out, p, end);
	}
	buf_add_str(out, "</body></html>\r\n");
}

static bool begins_tag(const char *p, const char *end)
{
	return end - p > 1 && (p[1] == '/' || p[1] == '!' || (unsigned)((p[1] | 0x20) - 'a') < 26u);
}

/* Is there anything that no name of an entity has? */
static bool ends_entity(const char *p, const char *end)
{
	while (p < end &&
		(*p == '#' || (*p >= '0' && *p <= '9') || (unsigned)((*p | 0x20) - 'a') < 26u))
		p++;
	return p < end;
}

size_t mime_html_floor(const char *html, size_t len)
{
	const char *open = memrchr(html, '<', len), *close = memrchr(html, '>', len), *entity;

	/* A '<' alone may be half a tag, too. */
	if (open != NULL && (close == NULL || open > close) &&
		(open + 1 == html + len || begins_tag(open, html + len)))
		len = (size_t)(open - html);
	entity = memrchr(html, '&', len);
	if (entity != NULL && html + len - entity < ENTITY_BYTES &&
		!ends_entity(entity + 1, html + len))
		len = (size_t)(entity - html);
	return len;
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

/* The next charset that the head names at or behind *p; moves *p behind its tag. NULL: no more. */
static const char *next_charset(
	const char **p, const char *html_end, const char *head_end, size_t *ret_len)
{
	while ((*p = memchr(*p, '<', (size_t)(head_end - *p))) != NULL && head_end - *p > 5) {
		const char *gt, *value;

		if (strncasecmp(*p, "<body", 5) == 0)
			return NULL;
		(*p)++;
		if (strncasecmp(*p, "meta", 4) != 0 && strncasecmp(*p, "?xml", 4) != 0)
			continue;
		gt = memchr(*p, '>', (size_t)(html_end - *p));
		if (gt == NULL)
			return NULL;
		*ret_len = charset_value(*p, (size_t)(gt - *p), &value);
		*p = gt < head_end ? gt : head_end;
		if (*ret_len > 0)
			return value;
	}
	return NULL;
}

void mime_html_charset(const char *html, size_t len, char *ret, size_t ret_size)
{
	const char *p = html;
	size_t n = 0;
	const char *value = next_charset(&p, html + len, html + MIN(len, HEAD_BYTES), &n);

	n = value != NULL && n < ret_size ? n : 0;
	if (n > 0)
		memcpy(ret, value, n);
	ret[n] = 0;
}

void mime_html_add_as_utf8(struct buf *out, const char *html, size_t len)
{
	const char *p = html, *done = html, *value;
	size_t n;

	if (!buf_reserve(out, len))
		return;
	while ((value = next_charset(&p, html + len, html + MIN(len, HEAD_BYTES), &n)) != NULL) {
		if (n == 5 && strncasecmp(value, "utf-8", 5) == 0)
			continue;
		buf_add(out, done, (size_t)(value - done));
		buf_add_str(out, "utf-8");
		done = value + n;
	}
	buf_add(out, done, (size_t)(html + len - done));
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
