/*
 * Plain text: a bounded output, line ends, format=flowed, previews. Any thread; pure.
 *
 * Invariant of struct mime_out: buf->len <= max, buf holds the first bytes of what was added, total
 * counts all of it.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void mime_out_add(struct mime_out *o, const char *s, size_t len)
{
	uint64_t room = o->max - o->buf->len;

	o->total += len;
	if (o->cut)
		return;
	if (len > room) {
		o->cut = true;
		len = utf8_floor(s, len, (size_t)room);
	}
	buf_add(o->buf, s, len);
}

/* The run at the start that needs no thought: no controls but tab, nothing above 0x7f. */
static size_t plain_span(const char *s, size_t len)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t w, hit;

		memcpy(&w, s + i, sizeof(w));
		hit = ((w - ones * 0x20) | w) & high;
		if (hit != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			return i + (size_t)(__builtin_ctzll(hit) / 8);
#else
			break;
#endif
		}
	}
	while (i < len && (uint8_t)s[i] >= 0x20 && (uint8_t)s[i] < 0x80)
		i++;
	return i;
}

/* Bytes at s that are good as they are: valid UTF-8 of two to four bytes, nothing XML forbids. */
static size_t good_utf8(const uint8_t *s, size_t len)
{
	uint8_t c = s[0];

	if (c >= 0xc2 && c < 0xe0)
		return len >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (c >= 0xe0 && c < 0xf0) {
		if (len < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] >= 0xa0))
			return 0;
		return c == 0xef && s[1] == 0xbf && s[2] >= 0xbe ? 0 : 3;
	}
	if (c >= 0xf0 && c < 0xf5) {
		if (len < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 ||
			(s[3] & 0xc0) != 0x80)
			return 0;
		return (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] >= 0x90) ? 0 : 4;
	}
	return 0;
}

void mime_text_add_lines(struct mime_out *o, const char *s, size_t len)
{
	size_t start = 0, i = 0; /* s[start..i) is good and not yet added */

	while (i < len) {
		size_t n;

		i += plain_span(s + i, len - i);
		if (i == len)
			break;
		if (s[i] == '\t' || (s[i] == '\r' && i + 1 < len && s[i + 1] == '\n')) {
			i += s[i] == '\t' ? 1 : 2;
			continue;
		}
		n = (uint8_t)s[i] >= 0x80 ? good_utf8((const uint8_t *)s + i, len - i) : 0;
		if (n > 0) {
			i += n;
			continue;
		}
		mime_out_add(o, s + start, i - start);
		if (s[i] == '\n' || s[i] == '\r')
			mime_out_add(o, "\r\n", 2);
		else
			mime_out_add(o, "\xef\xbf\xbd", 3);
		start = ++i;
	}
	mime_out_add(o, s + start, i - start);
}

bool mime_text_is_clean(const char *s, size_t len)
{
	size_t i = 0;

	while ((i += plain_span(s + i, len - i)) < len) {
		size_t n = 1;

		if ((uint8_t)s[i] >= 0x80)
			n = good_utf8((const uint8_t *)s + i, len - i);
		else if (s[i] != '\t' && s[i] != '\n' && s[i] != '\r')
			return false;
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t mime_text_whole(const char *s, size_t len)
{
	size_t i = len, need;

	while (i > 0 && len - i < 3 && ((uint8_t)s[i - 1] & 0xc0) == 0x80)
		i--;
	if (i == 0 || (uint8_t)s[i - 1] < 0xc2)
		return len;
	i--;
	need = (uint8_t)s[i] < 0xe0 ? 2 : (uint8_t)s[i] < 0xf0 ? 3 : 4;
	return len - i < need ? i : len;
}

/* One line of flowed text. */
struct flowed_line {
	size_t depth;
	const char *text; /* behind quote marks and stuffing */
	size_t len;
	bool is_flowed;
};

static struct flowed_line flowed_line(const char *p, size_t len)
{
	struct flowed_line l = {0, p, len, false};

	while (l.len > 0 && *l.text == '>') {
		l.text++;
		l.len--;
		l.depth++;
	}
	if (l.len > 0 && *l.text == ' ') {
		l.text++;
		l.len--;
	}
	l.is_flowed = l.len > 0 && l.text[l.len - 1] == ' ' &&
		      !(l.len == 3 && memcmp(l.text, "-- ", 3) == 0);
	return l;
}

void mime_text_unflow(struct buf *out, const char *s, size_t len, bool delsp)
{
	const char *p = s, *end = s + len;
	bool open = false; /* the last line wants to go on */
	size_t open_depth = 0;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl != NULL ? nl : end;
		struct flowed_line l;

		if (stop > p && stop[-1] == '\r')
			stop--;
		l = flowed_line(p, (size_t)(stop - p));
		p = nl != NULL ? nl + 1 : end;
		if (open && (l.depth != open_depth || (l.len == 3 && !l.is_flowed &&
							      memcmp(l.text, "-- ", 3) == 0))) {
			buf_add_byte(out, '\n');
			open = false;
		}
		if (!open && l.depth > 0) {
			for (size_t i = 0; i < l.depth; i++)
				buf_add_byte(out, '>');
			if (l.len > 0)
				buf_add_byte(out, ' ');
		}
		buf_add(out, l.text, l.is_flowed && delsp ? l.len - 1 : l.len);
		open = l.is_flowed;
		open_depth = l.depth;
		if (!open && nl != NULL)
			buf_add_byte(out, '\n');
	}
}

static bool is_space(const char *p, size_t left, size_t *ret_len)
{
	/* White space, controls, and the invisible padding that newsletters hide behind: no-break
	 * space, zero width (non-)joiners and marks, soft hyphen, combining grapheme joiner. */
	static const char *const wide[] = {"\xc2\xa0", "\xe2\x80\x8b", "\xe2\x80\x8c",
		"\xe2\x80\x8d", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xef\xbb\xbf", "\xc2\xad",
		"\xcd\x8f", "\xe2\x80\x87"};

	*ret_len = 1;
	if ((uint8_t)*p <= 0x20 || *p == 0x7f)
		return true;
	if ((uint8_t)*p < 0x80)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
		*ret_len = strlen(wide[i]);
		if (left >= *ret_len && memcmp(p, wide[i], *ret_len) == 0)
			return true;
	}
	return false;
}

char *mime_text_preview(struct arena *arena, const char *s, size_t len, size_t max)
{
	char out[MIME_PREVIEW_CHARS * 4 + 1];
	size_t n = 0, chars = 0, skip;
	bool blank = false;

	max = MIN(max, MIME_PREVIEW_CHARS);
	for (size_t i = 0; i < len;) {
		size_t width;

		if (is_space(s + i, len - i, &skip)) {
			blank = chars > 0;
			i += skip;
			continue;
		}
		if (chars + blank + 1 > max)
			break;
		if (blank)
			out[n++] = ' ';
		chars += (size_t)blank + 1;
		blank = false;
		width = (uint8_t)s[i] < 0x80 ? 1 : good_utf8((const uint8_t *)s + i, len - i);
		if (width > 0)
			memcpy(out + n, s + i, width);
		else
			memcpy(out + n, "\xef\xbf\xbd", 3);
		n += width > 0 ? width : 3;
		i += width > 0 ? width : 1;
	}
	return arena_x_strndup(arena, out, n);
}
