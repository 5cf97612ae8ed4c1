/*
 * Transfer encodings, decoded as readers of real mail do it: what does not belong is skipped, what
 * cannot be an escape stays as it is. Nothing fails. The sizes are counted by the same rules.
 *
 * Pure; any thread. Output is never longer than the input.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "base/mem.h"

bool mime_transfer_is_identity(enum mime_encoding encoding)
{
	return encoding == MIME_ENC_7BIT || encoding == MIME_ENC_8BIT ||
	       encoding == MIME_ENC_BINARY;
}

/* --- base64: characters outside the alphabet are skipped; complete padding ends it --- */

enum { B64_VALID = 0x40, B64_PAD = 1 };

/* B64_VALID | value; B64_PAD; 0: to be skipped. */
/* clang-format off */
static const uint8_t b64[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7e, 0, 0, 0, 0x7f,
	0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0, 0, 0, 0x01, 0, 0,
	0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e,
	0x4f, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0, 0, 0, 0, 0,
	0, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
	0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0, 0, 0, 0, 0,
};
/* clang-format on */

/* Four characters of the alphabet at p, as 24 bits; negative: not four of them. */
static inline int32_t b64_quad(const uint8_t *p)
{
	uint32_t a = b64[p[0]], b = b64[p[1]], c = b64[p[2]], d = b64[p[3]];

	if ((a & b & c & d & B64_VALID) == 0)
		return -1;
	return (int32_t)((a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63));
}

/* out may be NULL: only counts. */
static size_t b64_feed(struct mime_transfer *t, uint8_t *out, const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;
	uint32_t bits = t->bits;
	unsigned have = t->have, pads = t->pads;

	while (p < end && !t->over) {
		uint8_t v;

		while (have == 0 && end - p >= 4) {
			int32_t quad = b64_quad(p);

			if (quad < 0)
				break;
			if (out != NULL) {
				out[n] = (uint8_t)(quad >> 16);
				out[n + 1] = (uint8_t)(quad >> 8);
				out[n + 2] = (uint8_t)quad;
			}
			n += 3;
			p += 4;
		}
		if (p == end)
			break;
		v = b64[*p++];
		if (v == B64_PAD && have >= 2 && have + ++pads >= 4) {
			t->over = true;
			break;
		}
		if ((v & B64_VALID) == 0)
			continue;
		pads = 0;
		bits = bits << 6 | (v & 63u);
		if (++have < 4)
			continue;
		if (out != NULL) {
			out[n] = (uint8_t)(bits >> 16);
			out[n + 1] = (uint8_t)(bits >> 8);
			out[n + 2] = (uint8_t)bits;
		}
		n += 3;
		have = 0;
		bits = 0;
	}
	t->bits = bits;
	t->have = have;
	t->pads = pads;
	return n;
}

/* Two or three characters without their padding still hold one or two bytes. */
static size_t b64_finish(const struct mime_transfer *t, uint8_t *out)
{
	size_t n = t->have >= 2 ? t->have - 1 : 0;

	if (out != NULL && n > 0)
		out[0] = (uint8_t)(t->bits >> (t->have == 2 ? 4 : 10));
	if (out != NULL && n > 1)
		out[1] = (uint8_t)(t->bits >> 2);
	return n;
}

/* A line of base64: something, with blanks only at its ends. */
static bool is_b64_line(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	for (start = p; p < end && b64[*p] != 0;)
		p++;
	return p == end && p > start;
}

bool mime_transfer_is_base64(const char *in, size_t len)
{
	const uint8_t *p = (const uint8_t *)in, *end = p + len;

	for (unsigned i = 0; i < 4 && p < end; i++) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));

		if (is_b64_line(p, nl != NULL ? nl : end))
			return true;
		p = nl != NULL ? nl + 1 : end;
	}
	return false;
}

/* --- quoted-printable --- */

/* Value + 1; 0: no hexadecimal digit. */
/* clang-format off */
static const uint8_t hex_digits[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 0,
	0, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};
/* clang-format on */

static inline int hex(uint8_t c)
{
	return hex_digits[c] - 1;
}

/* One line without its end, text only; the number of bytes it gives. */
static size_t qp_line(uint8_t *out, const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	while (p < end) {
		const uint8_t *eq = memchr(p, '=', (size_t)(end - p));
		size_t run = (size_t)((eq != NULL ? eq : end) - p);

		if (run > 0 && out != NULL)
			memcpy(out + n, p, run);
		n += run;
		p += run;
		while (p < end && *p == '=') {
			bool good = end - p >= 3 && hex(p[1]) >= 0 && hex(p[2]) >= 0;

			if (out != NULL)
				out[n] = good ? (uint8_t)(hex(p[1]) << 4 | hex(p[2])) : '=';
			n++;
			p += good ? 3 : 1;
		}
	}
	return n;
}

static size_t qp_decode(uint8_t *out, const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *stop = nl != NULL ? nl : end, *next = nl != NULL ? nl + 1 : end;
		size_t eol = (size_t)(next - stop);

		if (stop > p && eol == 1 && stop[-1] == '\r') {
			stop--;
			eol = 2;
		}
		/* Blanks at the end of a line were added on the way (RFC 2045, 6.7 rule 3). */
		while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if (stop > p && stop[-1] == '=') {
			n += qp_line(out != NULL ? out + n : NULL, p, stop - 1);
		} else {
			n += qp_line(out != NULL ? out + n : NULL, p, stop);
			if (out != NULL)
				memcpy(out + n, next - eol, eol);
			n += eol;
		}
		p = next;
	}
	return n;
}

/* --- uuencode --- */

static size_t uu_line(uint8_t *out, const uint8_t *p, const uint8_t *end)
{
	size_t want = (size_t)((*p - ' ') & 63), n = 0;

	for (p++; n < want && end - p >= 2; p += 4) {
		uint32_t bits = 0;

		for (size_t i = 0; i < 4; i++)
			bits = bits << 6 | (p + i < end ? (uint32_t)(p[i] - ' ') & 63 : 0);
		for (int shift = 16; shift >= 0 && n < want; shift -= 8, n++) {
			if (out != NULL)
				out[n] = (uint8_t)(bits >> shift);
		}
		if (end - p < 4)
			break;
	}
	return n;
}

static size_t uu_feed(struct mime_transfer *t, uint8_t *out, const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;

	while (p < end && !t->over) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *next = nl != NULL ? nl + 1 : end, *stop = nl != NULL ? nl : end;

		while (stop > p && stop[-1] == '\r')
			stop--;
		if (!t->inside && stop - p > 6 && memcmp(p, "begin ", 6) == 0)
			t->inside = true;
		else if (t->inside && stop - p == 3 && memcmp(p, "end", 3) == 0)
			t->over = true;
		else if (t->inside && stop > p)
			n += uu_line(out != NULL ? out + n : NULL, p, stop);
		p = next;
	}
	return n;
}

size_t mime_transfer_feed(
	struct mime_transfer *t, uint8_t *out, const char *in, size_t len, bool last)
{
	const uint8_t *p = (const uint8_t *)in;
	size_t n;

	switch (t->encoding) {
	case MIME_ENC_BASE64:
		n = b64_feed(t, out, p, p + len);
		if (last)
			n += b64_finish(t, out != NULL ? out + n : NULL);
		return n;
	case MIME_ENC_QP:
		return qp_decode(out, p, p + len);
	case MIME_ENC_UUENCODE:
		return uu_feed(t, out, p, p + len);
	case MIME_ENC_7BIT:
	case MIME_ENC_8BIT:
	case MIME_ENC_BINARY:
		break;
	}
	if (out != NULL && len > 0)
		memcpy(out, in, len);
	return len;
}

size_t mime_transfer_piece(enum mime_encoding encoding, const char *in, size_t len, size_t want)
{
	const char *nl;

	if (len <= want)
		return len;
	if (encoding != MIME_ENC_QP && encoding != MIME_ENC_UUENCODE)
		return want;
	nl = memrchr(in, '\n', want);
	if (nl == NULL)
		nl = memchr(in + want, '\n', len - want);
	return nl != NULL ? (size_t)(nl - in) + 1 : len;
}

size_t mime_transfer_decoded_bytes(enum mime_encoding encoding, const char *in, size_t len)
{
	struct mime_transfer t = {.encoding = encoding};

	return mime_transfer_feed(&t, NULL, in, len, true);
}

void mime_transfer_add(struct buf *out, enum mime_encoding encoding, const char *in, size_t len)
{
	struct mime_transfer t = {.encoding = encoding};

	if (buf_reserve(out, mime_transfer_room(len)))
		out->len += mime_transfer_feed(&t, out->data + out->len, in, len, true);
}
