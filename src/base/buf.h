#ifndef BELLHOP_BASE_BUF_H
#define BELLHOP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A growing run of bytes with a bound. Appending beyond the bound, or when memory is short, sets
 * the sticky flag `failed` and appends nothing more: a builder checks once, at the end.
 *
 * Storage of the caller: BUF_INIT or buf_init(), then buf_deinit(). A buffer belongs to one thread.
 */
struct buf {
	uint8_t *data; /* owned; not terminated unless buf_cstr() was called */
	size_t len, cap;
	size_t max; /* bytes; 0 = no bound of its own */
	bool failed;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		NULL, 0, 0, 0, false                                                               \
	}

void buf_init(struct buf *b, size_t max_bytes);
void buf_deinit(struct buf *b);
/* Empty and reusable; keeps the memory. Clears `failed`. */
void buf_clear(struct buf *b);

/* Makes room for n more bytes. False: sets failed. */
bool buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_byte(struct buf *b, uint8_t byte);
void buf_add_str(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Little-endian integers, for our own frames and blobs. */
void buf_add_u16(struct buf *b, uint16_t v);
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);
/* LEB128. */
void buf_add_varint(struct buf *b, uint64_t v);

/* Removes n bytes at the front (memmove). */
void buf_drop(struct buf *b, size_t n);
/* Terminated text, owned by the buffer, good until the next change. "" when empty or failed. */
const char *buf_cstr(struct buf *b);
/* Hands the bytes over, terminated with a NUL that is not counted (mem_free); the buffer is empty
 * then. NULL when empty or failed. */
uint8_t *buf_take(struct buf *b, size_t *ret_len);

/*
 * A reader over borrowed bytes: every get_ past the end gives zero and sets `failed`.
 */
struct rd {
	const uint8_t *p, *end;
	bool failed;
};

void rd_init(struct rd *r, const void *bytes, size_t len);
size_t rd_left(const struct rd *r);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint64_t rd_varint(struct rd *r);
/* Borrowed pointer into the input; NULL and failed when fewer are left. */
const uint8_t *rd_bytes(struct rd *r, size_t len);

#endif
