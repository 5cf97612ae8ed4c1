/*
 * Charsets of bodies and headers to UTF-8. Single-byte charsets have tables, filled once from
 * iconv; the others go through iconv. A charset that nobody knows, and us-ascii with 8-bit bytes,
 * is guessed: UTF-8 when valid, else windows-1252.
 *
 * Names that mail uses for a larger set are read as that set, as browsers do (iso-8859-1 is
 * windows-1252, gb2312 is GB18030, ks_c_5601 is UHC, shift_jis is CP932).
 *
 * Threads: the tables are written by mime_charset_init() only. Each conversion opens its own
 * iconv_t.
 */
#include "mime/mime_internal.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum charset_kind { KIND_UTF8, KIND_GUESS, KIND_SINGLE, KIND_MULTI };

struct charset {
	const char *key; /* lower case, letters and digits only */
	const char *iconv;
	uint32_t cpid;
	enum charset_kind kind;
};

/* Sorted by nothing: the frequent ones first, a search ends there. */
static const struct charset charsets[] = {
	{"utf8", "UTF-8", 65001, KIND_UTF8},
	{"usascii", "WINDOWS-1252", 20127, KIND_GUESS},
	{"iso88591", "WINDOWS-1252", 28591, KIND_SINGLE},
	{"windows1252", "WINDOWS-1252", 1252, KIND_SINGLE},
	{"iso885915", "ISO-8859-15", 28605, KIND_SINGLE},
	{"ascii", "WINDOWS-1252", 20127, KIND_GUESS},
	{"ansix341968", "WINDOWS-1252", 20127, KIND_GUESS},
	{"unicode11utf8", "UTF-8", 65001, KIND_UTF8},
	{"cp65001", "UTF-8", 65001, KIND_UTF8},
	{"latin1", "WINDOWS-1252", 28591, KIND_SINGLE},
	{"cp1252", "WINDOWS-1252", 1252, KIND_SINGLE},
	{"iso88592", "ISO-8859-2", 28592, KIND_SINGLE},
	{"latin2", "ISO-8859-2", 28592, KIND_SINGLE},
	{"iso88593", "ISO-8859-3", 28593, KIND_SINGLE},
	{"iso88594", "ISO-8859-4", 28594, KIND_SINGLE},
	{"iso88595", "ISO-8859-5", 28595, KIND_SINGLE},
	{"iso88596", "ISO-8859-6", 28596, KIND_SINGLE},
	{"iso88597", "ISO-8859-7", 28597, KIND_SINGLE},
	{"iso88598", "ISO-8859-8", 28598, KIND_SINGLE},
	{"iso88598i", "ISO-8859-8", 38598, KIND_SINGLE},
	{"iso88598e", "ISO-8859-8", 28598, KIND_SINGLE},
	{"iso88599", "WINDOWS-1254", 28599, KIND_SINGLE},
	{"latin5", "WINDOWS-1254", 28599, KIND_SINGLE},
	{"iso885910", "ISO-8859-10", 28600, KIND_SINGLE},
	{"iso885911", "CP874", 874, KIND_SINGLE},
	{"tis620", "CP874", 874, KIND_SINGLE},
	{"windows874", "CP874", 874, KIND_SINGLE},
	{"cp874", "CP874", 874, KIND_SINGLE},
	{"iso885913", "ISO-8859-13", 28603, KIND_SINGLE},
	{"iso885914", "ISO-8859-14", 28604, KIND_SINGLE},
	{"latin9", "ISO-8859-15", 28605, KIND_SINGLE},
	{"iso885916", "ISO-8859-16", 28606, KIND_SINGLE},
	{"windows1250", "WINDOWS-1250", 1250, KIND_SINGLE},
	{"windows1251", "WINDOWS-1251", 1251, KIND_SINGLE},
	{"windows1253", "WINDOWS-1253", 1253, KIND_SINGLE},
	{"windows1254", "WINDOWS-1254", 1254, KIND_SINGLE},
	{"windows1255", "WINDOWS-1255", 1255, KIND_SINGLE},
	{"windows1256", "WINDOWS-1256", 1256, KIND_SINGLE},
	{"windows1257", "WINDOWS-1257", 1257, KIND_SINGLE},
	{"windows1258", "WINDOWS-1258", 1258, KIND_SINGLE},
	{"cp1250", "WINDOWS-1250", 1250, KIND_SINGLE},
	{"cp1251", "WINDOWS-1251", 1251, KIND_SINGLE},
	{"cp1253", "WINDOWS-1253", 1253, KIND_SINGLE},
	{"cp1254", "WINDOWS-1254", 1254, KIND_SINGLE},
	{"cp1255", "WINDOWS-1255", 1255, KIND_SINGLE},
	{"cp1256", "WINDOWS-1256", 1256, KIND_SINGLE},
	{"cp1257", "WINDOWS-1257", 1257, KIND_SINGLE},
	{"cp1258", "WINDOWS-1258", 1258, KIND_SINGLE},
	{"koi8r", "KOI8-R", 20866, KIND_SINGLE},
	{"koi8u", "KOI8-U", 21866, KIND_SINGLE},
	{"koi8ru", "KOI8-U", 21866, KIND_SINGLE},
	{"cp437", "CP437", 437, KIND_SINGLE},
	{"ibm437", "CP437", 437, KIND_SINGLE},
	{"cp850", "CP850", 850, KIND_SINGLE},
	{"ibm850", "CP850", 850, KIND_SINGLE},
	{"cp852", "CP852", 852, KIND_SINGLE},
	{"ibm852", "CP852", 852, KIND_SINGLE},
	{"cp866", "CP866", 866, KIND_SINGLE},
	{"ibm866", "CP866", 866, KIND_SINGLE},
	{"macintosh", "MACINTOSH", 10000, KIND_SINGLE},
	{"xmacroman", "MACINTOSH", 10000, KIND_SINGLE},
	{"macroman", "MACINTOSH", 10000, KIND_SINGLE},
	{"xmaccyrillic", "MAC-CYRILLIC", 10007, KIND_SINGLE},
	{"gb2312", "GB18030", 936, KIND_MULTI},
	{"gbk", "GB18030", 936, KIND_MULTI},
	{"xgbk", "GB18030", 936, KIND_MULTI},
	{"cp936", "GB18030", 936, KIND_MULTI},
	{"gb18030", "GB18030", 54936, KIND_MULTI},
	{"gb231280", "GB18030", 936, KIND_MULTI},
	{"euccn", "GB18030", 936, KIND_MULTI},
	{"hzgb2312", "GB18030", 52936, KIND_MULTI},
	{"big5", "BIG5-HKSCS", 950, KIND_MULTI},
	{"big5hkscs", "BIG5-HKSCS", 950, KIND_MULTI},
	{"cnbig5", "BIG5-HKSCS", 950, KIND_MULTI},
	{"cp950", "BIG5-HKSCS", 950, KIND_MULTI},
	{"euctw", "EUC-TW", 51950, KIND_MULTI},
	{"shiftjis", "CP932", 932, KIND_MULTI},
	{"sjis", "CP932", 932, KIND_MULTI},
	{"xsjis", "CP932", 932, KIND_MULTI},
	{"windows31j", "CP932", 932, KIND_MULTI},
	{"cp932", "CP932", 932, KIND_MULTI},
	{"mskanji", "CP932", 932, KIND_MULTI},
	{"iso2022jp", "ISO-2022-JP-3", 50220, KIND_MULTI},
	{"iso2022jp1", "ISO-2022-JP-3", 50220, KIND_MULTI},
	{"iso2022jp2", "ISO-2022-JP-2", 50220, KIND_MULTI},
	{"iso2022jp3", "ISO-2022-JP-3", 50220, KIND_MULTI},
	{"csiso2022jp", "ISO-2022-JP-3", 50221, KIND_MULTI},
	{"cp50220", "ISO-2022-JP-3", 50220, KIND_MULTI},
	{"cp50221", "ISO-2022-JP-3", 50221, KIND_MULTI},
	{"eucjp", "EUC-JP-MS", 51932, KIND_MULTI},
	{"xeucjp", "EUC-JP-MS", 51932, KIND_MULTI},
	{"euckr", "UHC", 51949, KIND_MULTI},
	{"ksc56011987", "UHC", 949, KIND_MULTI},
	{"ksc5601", "UHC", 949, KIND_MULTI},
	{"cp949", "UHC", 949, KIND_MULTI},
	{"windows949", "UHC", 949, KIND_MULTI},
	{"uhc", "UHC", 949, KIND_MULTI},
	{"iso2022kr", "ISO-2022-KR", 50225, KIND_MULTI},
	{"johab", "JOHAB", 1361, KIND_MULTI},
	{"utf7", "UTF-7", 65000, KIND_MULTI},
	{"unicode11utf7", "UTF-7", 65000, KIND_MULTI},
	{"utf16", "UTF-16", 1200, KIND_MULTI},
	{"utf16le", "UTF-16LE", 1200, KIND_MULTI},
	{"utf16be", "UTF-16BE", 1201, KIND_MULTI},
	{"utf32", "UTF-32", 12000, KIND_MULTI},
	{"utf32le", "UTF-32LE", 12000, KIND_MULTI},
	{"utf32be", "UTF-32BE", 12001, KIND_MULTI},
};

/* The upper half of each single-byte charset, in UTF-8: length, then up to three bytes. */
struct single {
	char upper[128][4];
};
static struct single *singles[ARRAY_LEN(charsets)];

static void single_fill(struct single *table, const char *iconv_name)
{
	iconv_t cd = iconv_open("UTF-8", iconv_name);

	for (unsigned i = 0; i < 128; i++) {
		char byte = (char)(0x80 + i), *in = &byte, *out = &table->upper[i][1];
		size_t in_left = 1, out_left = 3;

		/* Some hold a letter back, to see whether an accent follows: the second call. */
		if (cd == (iconv_t)-1 || iconv(cd, &in, &in_left, &out, &out_left) != 0 ||
			iconv(cd, NULL, NULL, &out, &out_left) != 0 || out_left == 3) {
			memcpy(&table->upper[i][1], "\xef\xbf\xbd", 3);
			out_left = 0;
		}
		table->upper[i][0] = (char)(3 - out_left);
		if (cd != (iconv_t)-1)
			(void)iconv(cd, NULL, NULL, NULL, NULL);
	}
	if (cd != (iconv_t)-1)
		(void)iconv_close(cd);
}

void mime_charset_init(void)
{
	for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
		if (charsets[i].kind != KIND_SINGLE && charsets[i].kind != KIND_GUESS)
			continue;
		for (size_t k = 0; k < i && singles[i] == NULL; k++) {
			if (singles[k] != NULL && strcmp(charsets[k].iconv, charsets[i].iconv) == 0)
				singles[i] = singles[k];
		}
		if (singles[i] != NULL)
			continue;
		singles[i] = x_new(struct single);
		single_fill(singles[i], charsets[i].iconv);
	}
}

/* NULL: unknown, to be guessed. */
static const struct charset *find(const char *name)
{
	char key[32];
	size_t n = 0;

	for (; *name != 0; name++) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			continue;
		if (n == sizeof(key) - 1)
			return NULL;
		key[n++] = c;
	}
	key[n] = 0;
	for (size_t i = 0; n > 0 && i < ARRAY_LEN(charsets); i++) {
		if (charsets[i].key[0] == key[0] && strcmp(charsets[i].key, key) == 0)
			return &charsets[i];
	}
	return NULL;
}

uint32_t mime_charset_cpid(const char *name)
{
	const struct charset *c = find(name);

	return c != NULL ? c->cpid : 0;
}

size_t mime_charset_ascii_span(const char *in, size_t len)
{
	const uint64_t high = 0x8080808080808080u;
	size_t i = 0;

	for (; i + 32 <= len; i += 32) {
		uint64_t w[4];

		memcpy(w, in + i, sizeof(w));
		if (((w[0] | w[1] | w[2] | w[3]) & high) != 0)
			break;
	}
	while (i < len && (uint8_t)in[i] < 0x80)
		i++;
	return i;
}

bool mime_charset_utf8_valid(const char *in, size_t len)
{
	size_t i = 0;

	while ((i += mime_charset_ascii_span(in + i, len - i)) < len) {
		size_t end = i;

		while (end < len && (uint8_t)in[end] >= 0x80)
			end++;
		if (!utf8_valid(in + i, end - i))
			return false;
		i = end;
	}
	return true;
}

bool mime_charset_is_utf8(const char *name, const char *in, size_t len)
{
	const struct charset *c = find(name);

	if (c != NULL && c->kind == KIND_UTF8)
		return true;
	if (c != NULL && c->kind == KIND_MULTI) {
		/* The shifting ones hide behind 7-bit bytes, the wide ones behind NUL. */
		return c->cpid < 50000 && c->cpid != 1200 && c->cpid != 1201 && c->cpid != 12000 &&
		       c->cpid != 12001 && mime_charset_ascii_span(in, len) == len;
	}
	if (c != NULL && c->kind == KIND_SINGLE)
		return mime_charset_ascii_span(in, len) == len;
	return mime_charset_utf8_valid(in, len);
}

static void add_single(struct buf *out, const struct single *table, const char *in, size_t len)
{
	size_t i = 0;

	if (!buf_reserve(out, len * 3))
		return;
	while (i < len) {
		size_t run = mime_charset_ascii_span(in + i, len - i);

		memcpy(out->data + out->len, in + i, run);
		out->len += run;
		for (i += run; i < len && (uint8_t)in[i] >= 0x80; i++) {
			const char *c = table->upper[(uint8_t)in[i] - 0x80];

			memcpy(out->data + out->len, c + 1, 3);
			out->len += (size_t)c[0];
		}
	}
}

static void add_iconv(struct buf *out, iconv_t cd, const char *in, size_t len)
{
	char *p = (char *)(uintptr_t)in; /* iconv does not write to it */

	while (len > 0) {
		char chunk[4096], *to = chunk;
		size_t left = sizeof(chunk);
		size_t done = iconv(cd, &p, &len, &to, &left);
		int why = errno;

		buf_add(out, chunk, sizeof(chunk) - left);
		if (done != (size_t)-1 || why == E2BIG)
			continue;
		/* A bad sequence, or half a character at the end. */
		buf_add_str(out, "\xef\xbf\xbd");
		if (why == EINVAL)
			break;
		p++;
		len--;
	}
}

void mime_charset_add(struct buf *out, const char *name, const char *in, size_t len)
{
	const struct charset *c = find(name);
	iconv_t cd;

	if (c == NULL || c->kind == KIND_GUESS || c->kind == KIND_UTF8)
		c = &charsets[1];
	mime_global_init();
	if (c->kind != KIND_MULTI) {
		add_single(out, singles[c - charsets], in, len);
		return;
	}
	cd = iconv_open("UTF-8", c->iconv);
	if (cd == (iconv_t)-1) {
		add_single(out, singles[1], in, len);
		return;
	}
	add_iconv(out, cd, in, len);
	(void)iconv_close(cd);
}
