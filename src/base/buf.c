/*
 * Growing byte buffers and a checked reader. Invariant: len <= cap, and len <= max when max != 0.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes};
}

void buf_deinit(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

bool buf_reserve(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *data;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->len, n, &want) || want > SIZE_MAX / 4 ||
		(b->max != 0 && want > b->max)) {
		b->failed = true;
		return false;
	}
	/* One spare byte, so that buf_cstr() and buf_take() can always terminate. */
	if (want < b->cap)
		return true;
	cap = MAX(want + 1, MAX(b->cap * 2, (size_t)64));
	data = mem_try_realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0 || !buf_reserve(b, len))
		return;
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
}

void buf_add_byte(struct buf *b, uint8_t byte)
{
	if (b->len + 1 < b->cap && !b->failed && (b->max == 0 || b->len < b->max))
		b->data[b->len++] = byte;
	else
		buf_add(b, &byte, 1);
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0 && buf_reserve(b, (size_t)n)) {
		(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

static void add_le(struct buf *b, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_add(b, bytes, width);
}

void buf_add_u16(struct buf *b, uint16_t v)
{
	add_le(b, v, 2);
}

void buf_add_u32(struct buf *b, uint32_t v)
{
	add_le(b, v, 4);
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	add_le(b, v, 8);
}

void buf_add_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_add_byte(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	buf_add_byte(b, (uint8_t)v);
}

void buf_drop(struct buf *b, size_t n)
{
	n = MIN(n, b->len);
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
	if (b->failed || b->data == NULL)
		return "";
	b->data[b->len] = 0;
	return (const char *)b->data;
}

uint8_t *buf_take(struct buf *b, size_t *ret_len)
{
	uint8_t *data = b->data;

	if (b->failed || data == NULL)
		return NULL;
	data[b->len] = 0;
	*ret_len = b->len;
	*b = (struct buf){.max = b->max};
	return data;
}

void rd_init(struct rd *r, const void *bytes, size_t len)
{
	/* Without bytes any pointer will do, but NULL: arithmetic on it is undefined. */
	r->p = len > 0 ? bytes : (const uint8_t *)"";
	r->end = r->p + len;
	r->failed = false;
}

size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

const uint8_t *rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *at = r->p;

	if (r->failed || len > rd_left(r)) {
		r->failed = true;
		return NULL;
	}
	r->p += len;
	return at;
}

static uint64_t get_le(struct rd *r, size_t width)
{
	const uint8_t *at = rd_bytes(r, width);
	uint64_t v = 0;

	if (at == NULL)
		return 0;
	for (size_t i = 0; i < width; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return get_le(r, 8);
}

uint64_t rd_varint(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = rd_u8(r);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return v;
	}
	r->failed = true;
	return 0;
}
