/*
 * Header fields that the server writes itself: texts, addresses, dates, parameters. Whatever comes
 * in, what goes out is one field: no line end of the text's own survives. Pure but for the random
 * part of a Message-ID; any thread.
 */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_internal.h"

/* What is left of the 75 characters of an encoded word (RFC 2047, section 2). */
#define WORD_CHARS ((size_t)63)
/* A text that needs no words may be that long: a line of RFC 5322, 2.1.1 with its name. */
#define PLAIN_CHARS ((size_t)900)

static bool is_plain_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Q rather than B: GMime reads the words of a run as one, and stops at padding. */
void mime_header_encode(struct buf *out, const char *text, size_t len)
{
	size_t room = 0;

	for (size_t at = 0; at < len;) {
		size_t n = 1;

		while (at + n < len && ((uint8_t)text[at + n] & 0xc0) == 0x80 && n < 4)
			n++;
		/* Whole characters in each word. */
		if (room < 3 * n) {
			buf_add_str(out, at == 0 ? "=?utf-8?Q?" : "?=\r\n =?utf-8?Q?");
			room = WORD_CHARS;
		}
		for (size_t end = at + n; at < end; at++) {
			if (is_plain_char(text[at])) {
				buf_add_byte(out, (uint8_t)text[at]);
				room--;
			} else {
				buf_addf(out, "=%02X", (uint8_t)text[at]);
				room -= 3;
			}
		}
	}
	buf_add_str(out, "?=");
}

/* Printable ASCII that reads back as it stands. */
static bool is_plain(const char *s, size_t len)
{
	if (len == 0 || len > PLAIN_CHARS || s[0] == ' ' || s[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < ' ' || s[i] >= 0x7f || (s[i] == '=' && i + 1 < len && s[i + 1] == '?'))
			return false;
	}
	return true;
}

void mime_write_text(struct buf *out, const char *name, const char *text)
{
	char *copy = x_strdup(text);
	size_t len = strlen(copy);

	for (char *p = copy; *p != 0; p++) {
		if ((uint8_t)*p < ' ' || *p == 0x7f)
			*p = ' ';
	}
	buf_addf(out, "%s: ", name);
	if (is_plain(copy, len))
		buf_add(out, copy, len);
	else if (len > 0)
		mime_header_encode(out, copy, len);
	buf_add_str(out, "\r\n");
	mem_free(copy);
}

static void write_name(struct buf *out, const char *name)
{
	size_t len = strlen(name);

	if (!is_plain(name, len)) {
		mime_header_encode(out, name, len);
		return;
	}
	buf_add_byte(out, '"');
	for (; *name != 0; name++) {
		if (*name == '"' || *name == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)*name);
	}
	buf_add_byte(out, '"');
}

void mime_write_addresses(struct buf *out, const char *name, const struct mime_addresses *list)
{
	bool first = true;

	for (size_t i = 0; i < list->count; i++) {
		const struct mime_address *a = &list->v[i];

		if (!mime_address_is_valid(a->addr))
			continue;
		if (first)
			buf_addf(out, "%s: ", name);
		else
			buf_add_str(out, ",\r\n ");
		first = false;
		if (*a->name != 0) {
			write_name(out, a->name);
			buf_add_byte(out, ' ');
		}
		buf_addf(out, *a->name != 0 ? "<%s>" : "%s", a->addr);
	}
	if (!first)
		buf_add_str(out, "\r\n");
}

void mime_add_date(struct buf *out, int64_t at)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t when = (time_t)at;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL)
		return;
	buf_addf(out, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday,
		tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

void mime_write_date(struct buf *out, int64_t at)
{
	buf_add_str(out, "Date: ");
	mime_add_date(out, at);
	buf_add_str(out, "\r\n");
}

void mime_write_message_id(struct buf *out, const char *domain)
{
	buf_addf(out, "Message-ID: <%016llx%016llx@%s>\r\n", (unsigned long long)random_u64(),
		(unsigned long long)random_u64(), domain);
}

void mime_write_parameter(struct buf *out, const char *name, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = strlen(value);

	if (is_plain(value, len)) {
		buf_addf(out, ";\r\n %s=\"", name);
		for (; *value != 0; value++) {
			if (*value == '"' || *value == '\\')
				buf_add_byte(out, '\\');
			buf_add_byte(out, (uint8_t)*value);
		}
		buf_add_byte(out, '"');
		return;
	}
	buf_addf(out, ";\r\n %s*=utf-8''", name);
	for (; *value != 0; value++) {
		if (is_plain_char(*value)) {
			buf_add_byte(out, (uint8_t)*value);
			continue;
		}
		buf_add_byte(out, '%');
		buf_add_byte(out, (uint8_t)hex[(uint8_t)*value >> 4]);
		buf_add_byte(out, (uint8_t)hex[(uint8_t)*value & 15]);
	}
}
