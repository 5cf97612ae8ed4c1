/*
 * Chunked bodies (RFC 9112, 7.1), byte by byte but for the data itself, which is handed out where
 * it lies. Line ends are CR LF and nothing else; extensions are skipped.
 *
 * Limits: LINE_MAX_BYTES for a size line with its extensions, TRAILER_MAX_BYTES for all trailers,
 * 15 digits of size.
 */
#include "http/http.h"

#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

#define LINE_MAX_BYTES    512
#define TRAILER_MAX_BYTES 8192
#define SIZE_MAX_VALUE    ((uint64_t)1 << 60)

enum chunked_state {
	AT_SIZE,      /* digits of a chunk's size */
	AT_EXTENSION, /* after the size, up to the line's end */
	AT_SIZE_LF,   /* CR seen */
	AT_DATA,      /* `left` bytes to come */
	AT_DATA_CR,   /* the chunk's own line end */
	AT_DATA_LF,
	AT_TRAILER_START, /* at the beginning of a trailer line */
	AT_TRAILER,       /* inside one */
	AT_TRAILER_LF,    /* its CR seen */
	AT_END_LF,        /* CR of the last, empty line seen */
	AT_END,
};

static bool on_size(struct http_chunked *c, uint8_t byte)
{
	int digit = hex_value((char)byte);

	if (++c->line_len > LINE_MAX_BYTES)
		return false;
	if (digit >= 0) {
		c->digits = true;
		c->left = c->left * 16 + (uint64_t)digit;
		return c->left < SIZE_MAX_VALUE;
	}
	if (!c->digits)
		return false;
	if (byte == '\r')
		c->state = AT_SIZE_LF;
	else if (byte == ';' || byte == ' ' || byte == '\t')
		c->state = AT_EXTENSION;
	else
		return false;
	return true;
}

static bool is_text(uint8_t byte)
{
	return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

static bool on_trailer(struct http_chunked *c, uint8_t byte)
{
	if (++c->trailer_len > TRAILER_MAX_BYTES)
		return false;
	if (byte == '\r') {
		c->state = c->state == AT_TRAILER_START ? AT_END_LF : AT_TRAILER_LF;
		return true;
	}
	c->state = AT_TRAILER;
	return is_text(byte);
}

static bool on_line_feed(struct http_chunked *c, uint8_t byte, uint8_t next)
{
	c->state = next;
	return byte == '\n';
}

static void begin_size(struct http_chunked *c)
{
	c->left = 0;
	c->line_len = 0;
	c->digits = false;
}

/* One byte of framing. */
static bool step(struct http_chunked *c, uint8_t byte)
{
	switch ((enum chunked_state)c->state) {
	case AT_SIZE:
		return on_size(c, byte);
	case AT_EXTENSION:
		if (byte == '\r')
			c->state = AT_SIZE_LF;
		else if (++c->line_len > LINE_MAX_BYTES || !is_text(byte))
			return false;
		return true;
	case AT_SIZE_LF:
		return on_line_feed(c, byte, c->left > 0 ? AT_DATA : AT_TRAILER_START);
	case AT_DATA_CR:
		c->state = AT_DATA_LF;
		return byte == '\r';
	case AT_DATA_LF:
		begin_size(c);
		return on_line_feed(c, byte, AT_SIZE);
	case AT_TRAILER_START:
	case AT_TRAILER:
		return on_trailer(c, byte);
	case AT_TRAILER_LF:
		return on_line_feed(c, byte, AT_TRAILER_START);
	case AT_END_LF:
		return on_line_feed(c, byte, AT_END);
	case AT_DATA:
	case AT_END:
		break;
	}
	return false;
}

enum http_chunked_result http_chunked_next(struct http_chunked *c, const uint8_t *bytes, size_t len,
	size_t *ret_used, const uint8_t **ret_piece, size_t *ret_piece_len)
{
	size_t at = 0;

	while (c->state != AT_END && at < len) {
		if (c->state == AT_DATA) {
			size_t n = (size_t)MIN(c->left, (uint64_t)(len - at));

			*ret_piece = bytes + at;
			*ret_piece_len = n;
			*ret_used = at + n;
			c->left -= n;
			if (c->left == 0)
				c->state = AT_DATA_CR;
			return HTTP_CHUNKED_PIECE;
		}
		if (!step(c, bytes[at])) {
			*ret_used = at;
			return HTTP_CHUNKED_BAD;
		}
		at++;
	}
	*ret_used = at;
	return c->state == AT_END ? HTTP_CHUNKED_DONE : HTTP_CHUNKED_MORE;
}
