#ifndef BELLHOP_FLEET_REPLY_H
#define BELLHOP_FLEET_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One HTTP response, as a phone reads it: what any server may send, told apart just far enough.
 * Pure; the body is borrowed from the input, which chunked bodies are put together in.
 */
struct reply {
	int status;
	uint32_t retry_after_s; /* 0: not said */
	bool close;             /* the connection ends with it */
	size_t head_len;        /* with the blank line */
	/* Headers, borrowed; NULL: not there. */
	const uint8_t *location, *type, *coding;
	size_t location_len, type_len, coding_len;
	const uint8_t *body;
	size_t body_len;
	size_t len; /* of the whole response */
};

/*
 * 1: *ret is the first response in the bytes; 0: more bytes are needed; -1: this is no HTTP.
 * closed: no more bytes will come, which ends a body without a length.
 */
int reply_parse(uint8_t *bytes, size_t len, bool closed, struct reply *ret);

/* What is wrong with a response whose status is not 200, or whose body is no WBXML; in words, cut
 * where the text is full. */
void reply_describe(const struct reply *r, char *text, size_t size);

#endif
