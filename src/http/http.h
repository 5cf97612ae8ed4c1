#ifndef BELLHOP_HTTP_HTTP_H
#define BELLHOP_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The server's half of HTTP/1.1 (RFC 9110, RFC 9112), without any I/O: a strict parser over a
 * complete request head, chunked bodies piece by piece, and the writing of response heads. What two
 * servers could read in two ways is refused. No allocation, no state beyond the structs.
 */
#define HTTP_HEADERS_MAX 100
#define HTTP_METHOD_MAX  32

struct http_header {
	const char *name, *value; /* name in lower case; value without blanks around it */
};

struct http_request {
	const char *method, *target; /* target in origin form: path and query; "*" of OPTIONS */
	const char *host;            /* "" when HTTP/1.0 sends none */
	uint8_t minor;               /* 0 or 1 */
	bool keep_alive;             /* the client's wish */
	bool expect_continue;
	bool chunked;
	int64_t content_length; /* bytes; 0 when there is no body; -1 when chunked */
	size_t header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

/*
 * Looks for the blank line that ends a head. *scan: where to go on, 0 at first; keeps a slow sender
 * from costing the square of its head. Returns the length of the head with its blank line, or 0.
 */
size_t http_head_end(const uint8_t *bytes, size_t len, size_t *scan);
/* Empty lines before a request line (at most two), which some clients send after a body: their
 * bytes. */
size_t http_head_blank(const uint8_t *bytes, size_t len);

/*
 * Parses one complete head (as http_head_end() found it), writing into it: names in lower case,
 * texts terminated; *ret borrows from it. On failure *ret_status says what to answer: 400, 417,
 * 431, 501, 505.
 */
NODISCARD int http_head_parse(
	uint8_t *head, size_t len, struct http_request *ret, int *ret_status, struct err *err);
/* The value of the first header of that name (lower case); NULL when there is none. */
const char *http_header_find(const struct http_request *request, const char *name);

/* ---- the PROXY protocol, in front of a connection's first request ---- */

#define HTTP_PROXY_MAX 4096 /* bytes of a header with all that it brings along */

struct http_proxy {
	bool has_client;    /* false: the proxy speaks for itself, or does not know */
	uint8_t client[16]; /* IPv6, or IPv4 mapped into it */
};

enum http_proxy_result {
	HTTP_PROXY_BAD = -1, /* begins like a header and is none: close */
	HTTP_PROXY_MORE = 0, /* may become one; never beyond HTTP_PROXY_MAX bytes */
	HTTP_PROXY_DONE = 1, /* *ret is set, *ret_used bytes are the header's */
	HTTP_PROXY_NONE = 2, /* the bytes are something else */
};

enum http_proxy_result http_proxy_parse(
	const uint8_t *bytes, size_t len, size_t *ret_used, struct http_proxy *ret);

/* ---- chunked request bodies ---- */

struct http_chunked {
	uint8_t state;
	bool digits;       /* a size has at least one */
	uint64_t left;     /* bytes of this chunk still to come */
	uint32_t line_len; /* of the line at hand */
	uint32_t trailer_len;
};

/* Zero the struct first. */
enum http_chunked_result {
	HTTP_CHUNKED_BAD = -1,  /* not chunked coding: answer 400 and close */
	HTTP_CHUNKED_MORE = 0,  /* all bytes are used, more are needed */
	HTTP_CHUNKED_PIECE = 1, /* *ret_piece: bytes of the body, borrowed from `bytes`; call again
				   with the rest */
	HTTP_CHUNKED_DONE = 2,  /* the body and its trailers are over */
};

/* Takes *ret_used bytes. Trailers are read and thrown away. */
enum http_chunked_result http_chunked_next(struct http_chunked *c, const uint8_t *bytes, size_t len,
	size_t *ret_used, const uint8_t **ret_piece, size_t *ret_piece_len);

/* ---- responses ---- */

/* The usual reason phrase; "" for unknown codes. Knows EAS's own 449. */
const char *http_reason(int status);
/* "Sun, 06 Nov 1994 08:49:37 GMT", appended. */
void http_date_add(struct buf *out, int64_t at);

/* What becomes of the connection. That it stays goes without saying since HTTP/1.1 (RFC 9112 9.3):
 * 24 bytes less of each heartbeat. */
enum http_after { HTTP_CLOSE, HTTP_KEEP, HTTP_KEEP_OLD /* the client speaks HTTP/1.0 */ };

/* Status line, Date, Connection where it is needed. reason "" or NULL: the usual one. HTTP/1.1
 * always. */
void http_response_begin(
	struct buf *out, int status, const char *reason, int64_t now_at, enum http_after after);
/* Control characters in a value become blanks: no header can smuggle in another. */
void http_response_header(struct buf *out, const char *name, const char *value);
/* The blank line alone, for 204 and 304, which have no body and tell no length (RFC 9110 8.6). */
void http_response_end_bare(struct buf *out);
/* Content-Length and the blank line. */
void http_response_end(struct buf *out, uint64_t content_length);
/* The length is not known yet: chunked (RFC 9112 7.1), or, for HTTP/1.0, until the connection's end
 * (9112 6.3), which HTTP_CLOSE has announced. */
void http_response_end_unsized(struct buf *out, bool chunked);
/* A chunk; nothing when len is 0, which would be the end. */
void http_chunk_add(struct buf *out, const void *bytes, size_t len);
void http_chunk_end(struct buf *out);

/* ---- errors of the REST API that it does not tell itself ---- */

/* Is the request for the API? By its target; or by the bytes of a head, parsed or not, whole or
 * not. */
bool http_target_is_api(const char *target);
bool http_head_is_api(const uint8_t *head, size_t len);
/* {"error": {"code", "text"}} for the status. */
void http_trouble_add(struct buf *out, int status);
/* The same, of a 503 because nothing was answered in time, and its text alone. is_read: the request
 * can have changed nothing. */
void http_trouble_add_late(struct buf *out, bool is_read);
const char *http_late_text(bool is_read);

#endif
