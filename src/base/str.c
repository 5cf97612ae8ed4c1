/*
 * Text, UTF-8, base64, randomness. Pure but for random_bytes(). Thread-safe.
 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

bool str_eq(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool eq_nocase_n(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
		if (a[i] == 0)
			return true;
	}
	return true;
}

bool str_eq_nocase(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return eq_nocase_n(a, b, SIZE_MAX);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_starts_nocase(const char *s, const char *prefix)
{
	return eq_nocase_n(s, prefix, strlen(prefix));
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

char *str_lower(char *s)
{
	for (char *p = s; *p != 0; p++)
		*p = (char)lower(*p);
	return s;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

char *str_trim(char *s)
{
	size_t n;

	while (is_blank(*s))
		s++;
	n = strlen(s);
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	s[n] = 0;
	return s;
}

int str_parse_u64(const char *s, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t v = 0;

	if (*s == 0)
		return err_set(err, ERR_BAD_INPUT, "empty where a number is due");
	for (const char *p = s; *p != 0; p++) {
		if (*p < '0' || *p > '9')
			return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is not a number", s);
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v) || v > max)
			return err_set(err, ERR_BAD_INPUT, "%.40s is above %llu", s,
				(unsigned long long)max);
	}
	*ret = v;
	return 0;
}

int str_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	bool minus = *s == '-';
	uint64_t v;
	int64_t signed_v;

	if (str_parse_u64(s + minus, INT64_MAX, &v, err) < 0)
		return -1;
	signed_v = minus ? -(int64_t)v : (int64_t)v;
	if (signed_v < min || signed_v > max)
		return err_set(err, ERR_BAD_INPUT, "%.40s is outside %lld to %lld", s,
			(long long)min, (long long)max);
	*ret = signed_v;
	return 0;
}

/* Decodes one character; its length in bytes, or 0 when the bytes are not valid UTF-8. */
static size_t utf8_one(const uint8_t *p, size_t left, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n;
	uint32_t c;

	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] < 0xe0) {
		n = 2;
		c = p[0] & 0x1fu;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		n = 3;
		c = p[0] & 0x0fu;
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		n = 4;
		c = p[0] & 0x07u;
	} else {
		return 0;
	}
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Bytes from p on that are surely printable ASCII, counted in steps of eight: most text is. */
static size_t plain_run(const uint8_t *p, size_t left)
{
	const uint64_t high = UINT64_C(0x8080808080808080), blanks = UINT64_C(0x2020202020202020);
	size_t n = 0;

	for (; n + 8 <= left; n += 8) {
		uint64_t v;

		memcpy(&v, p + n, 8);
		/* No byte from 0x80 on, none below 0x20. */
		if ((v & high) != 0 || ((v - blanks) & high) != 0)
			break;
	}
	return n;
}

bool utf8_valid(const void *bytes, size_t len)
{
	const uint8_t *p = bytes, *end;

	if (len == 0)
		return true;
	end = p + len;
	while (p < end) {
		uint32_t c;
		size_t n = plain_run(p, (size_t)(end - p));

		if (n == 0)
			n = utf8_one(p, (size_t)(end - p), &c);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

static bool shows(uint32_t c)
{
	/* Unicode's Cc, Cf, Zl, Zp, and Zs but ' '; letters that are blank; in order. */
	static const struct {
		uint32_t from, to;
	} hidden[] = {{0, 0x1f}, {0x7f, 0xa0}, {0xad, 0xad}, {0x34f, 0x34f}, {0x600, 0x605},
		{0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891}, {0x8e2, 0x8e2},
		{0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
		{0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x2800, 0x2800},
		{0x3000, 0x3000}, {0x3164, 0x3164}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
		{0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
		{0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]) && hidden[i].from <= c; i++) {
		if (c <= hidden[i].to)
			return false;
	}
	return true;
}

bool utf8_visible(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		uint32_t c;
		size_t n = utf8_one(p, len, &c);

		if (n == 0 || !shows(c))
			return false;
		p += n;
		len -= n;
	}
	return true;
}

size_t utf8_floor(const char *s, size_t len, size_t n)
{
	if (n >= len)
		return len;
	while (n > 0 && ((uint8_t)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static bool xml_char(uint32_t c)
{
	return c >= 0x20 ? c != 0xfffe && c != 0xffff : c == '\t' || c == '\n' || c == '\r';
}

void utf8_add_clean(struct buf *out, const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s, *end, *good = p;

	if (len == 0)
		return; /* s may be NULL then */
	end = p + len;
	while (p < end) {
		uint32_t c;
		size_t n;

		if (*p >= 0x20 && *p < 0x80) { /* the usual case */
			n = plain_run(p, (size_t)(end - p));
			p += n != 0 ? n : 1;
			continue;
		}
		n = utf8_one(p, (size_t)(end - p), &c);
		if (n != 0 && xml_char(c)) {
			p += n;
			continue;
		}
		buf_add(out, good, (size_t)(p - good));
		buf_add(out, "\xef\xbf\xbd", 3);
		p += n != 0 ? n : 1;
		good = p;
	}
	buf_add(out, good, (size_t)(p - good));
}

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t *to;

	if (!buf_reserve(out, len / 3 * 4 + 4))
		return;
	to = out->data + out->len;
	for (; len >= 3; p += 3, len -= 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = (uint8_t)base64_alphabet[v >> shift & 63];
	}
	out->len = (size_t)(to - out->data);
	if (len > 0) {
		uint32_t v = (uint32_t)p[0] << 16 | (len == 2 ? (uint32_t)p[1] << 8 : 0);

		buf_add_byte(out, (uint8_t)base64_alphabet[v >> 18 & 63]);
		buf_add_byte(out, (uint8_t)base64_alphabet[v >> 12 & 63]);
		buf_add_byte(out, len == 2 ? (uint8_t)base64_alphabet[v >> 6 & 63] : '=');
		buf_add_byte(out, '=');
	}
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

int base64_decode(struct buf *out, const char *text, size_t len)
{
	uint32_t bits = 0;
	unsigned count = 0, padding = 0;

	for (size_t i = 0; i < len; i++) {
		int v = base64_value(text[i]);

		if (is_blank(text[i]))
			continue;
		if (text[i] == '=') {
			padding++;
			continue;
		}
		if (v < 0 || padding > 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (++count == 4) {
			buf_add_byte(out, (uint8_t)(bits >> 16));
			buf_add_byte(out, (uint8_t)(bits >> 8));
			buf_add_byte(out, (uint8_t)bits);
			bits = 0;
			count = 0;
		}
	}
	if (count == 1 || padding > 2)
		return -1;
	if (count >= 2)
		buf_add_byte(out, (uint8_t)(bits >> (count == 2 ? 4 : 10)));
	if (count == 3)
		buf_add_byte(out, (uint8_t)(bits >> 2));
	return out->failed ? -1 : 0;
}

void hex_add(struct buf *out, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++) {
		buf_add_byte(out, (uint8_t) "0123456789abcdef"[p[i] >> 4]);
		buf_add_byte(out, (uint8_t) "0123456789abcdef"[p[i] & 15]);
	}
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool bytes_equal_secret(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

void random_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)fputs("bellhop: the kernel gives no random bytes\n", stderr);
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

void secret_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
