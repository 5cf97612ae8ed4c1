/*
 * A request head and, behind it, a chunked body that comes in two pieces cut at a place which the
 * first byte names: the result may not depend on the cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Decodes bytes up to *at; returns the last result. */
static enum http_chunked_result decode(
	struct http_chunked *c, const uint8_t *bytes, size_t len, size_t *at, size_t *body)
{
	enum http_chunked_result r;

	do {
		const uint8_t *piece = NULL;
		size_t used = 0, piece_len = 0;

		r = http_chunked_next(c, bytes + *at, len - *at, &used, &piece, &piece_len);
		if (used > len - *at || (r == HTTP_CHUNKED_MORE && used != len - *at))
			abort();
		if (r == HTTP_CHUNKED_PIECE) {
			if (piece_len == 0 || piece < bytes || piece + piece_len > bytes + len)
				abort();
			*body += piece_len;
		}
		*at += used;
	} while (r == HTTP_CHUNKED_PIECE);
	return r;
}

static void try_chunked(const uint8_t *bytes, size_t len)
{
	struct http_chunked whole = {0}, cut = {0};
	size_t whole_at = 0, cut_at = 0, whole_body = 0, cut_body = 0;
	size_t first = len > 0 ? bytes[0] % len : 0;
	enum http_chunked_result a = decode(&whole, bytes, len, &whole_at, &whole_body);
	enum http_chunked_result b = decode(&cut, bytes, first, &cut_at, &cut_body);

	if (b == HTTP_CHUNKED_MORE)
		b = decode(&cut, bytes, len, &cut_at, &cut_body);
	if (a != b || whole_at != cut_at || whole_body != cut_body)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = mem_try_alloc(len);
	struct http_request request;
	struct err err = ERR_INIT;
	size_t scan = 0, blank, head;
	int status = 0;

	if (copy == NULL)
		return 0;
	if (len > 0)
		memcpy(copy, bytes, len);
	try_chunked(bytes, len);
	blank = http_head_blank(bytes, len);
	head = http_head_end(bytes + blank, len - blank, &scan);
	if (head > 0) {
		if (http_head_parse(copy + blank, head, &request, &status, &err) < 0) {
			if (status < 400 || status > 505)
				abort();
		} else {
			if (request.target[0] != '/' && request.target[0] != '*')
				abort();
			for (size_t i = 0; i < request.header_count; i++) {
				if (strpbrk(request.headers[i].value, "\r\n") != NULL)
					abort();
			}
		}
		try_chunked(bytes + blank + head, len - blank - head);
	}
	mem_free(copy);
	return 0;
}
