/*
 * HTTP responses: status line, the headers that matter, bodies with Content-Length, chunked,
 * or to the end of the connection. Pure. Limits: HEAD_MAX bytes of head; Content-Length below 1 GB.
 */
#include "fleet/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "http/http.h"

#define HEAD_MAX   65536u
#define LENGTH_MAX (1u << 30)

struct head {
	bool chunked, has_length;
	size_t length;
};

static bool number(const uint8_t *p, const uint8_t *end, size_t max, size_t *ret)
{
	size_t n = 0;

	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (size_t)(*p - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	return true;
}

static bool is_name(const uint8_t *line, size_t name_len, const char *name)
{
	return strlen(name) == name_len && strncasecmp((const char *)line, name, name_len) == 0;
}

static bool has_word(const uint8_t *value, const uint8_t *end, const char *word)
{
	size_t len = strlen(word);

	for (; value + len <= end; value++) {
		if (strncasecmp((const char *)value, word, len) == 0)
			return true;
	}
	return false;
}

/* Of a redirection (451 has a name of its own), and of bodies that are none of ActiveSync. */
static void keep(const uint8_t *line, size_t name_len, const uint8_t *value, const uint8_t *end,
	struct reply *r)
{
	size_t len = (size_t)(end - value);

	if (is_name(line, name_len, "Location") || is_name(line, name_len, "X-MS-Location")) {
		r->location = value;
		r->location_len = len;
	} else if (is_name(line, name_len, "Content-Type")) {
		r->type = value;
		r->type_len = len;
	} else if (is_name(line, name_len, "Content-Encoding")) {
		r->coding = value;
		r->coding_len = len;
	}
}

static bool header(const uint8_t *line, const uint8_t *end, struct reply *r, struct head *h)
{
	const uint8_t *colon = memchr(line, ':', (size_t)(end - line));
	const uint8_t *value;
	size_t name_len, n;

	if (colon == NULL)
		return false;
	name_len = (size_t)(colon - line);
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
		value++;
	if (is_name(line, name_len, "Content-Length")) {
		h->has_length = true;
		return number(value, end, LENGTH_MAX, &h->length);
	}
	if (is_name(line, name_len, "Transfer-Encoding"))
		h->chunked = has_word(value, end, "chunked");
	else if (is_name(line, name_len, "Connection"))
		r->close = has_word(value, end, "close") ||
			   (r->close && !has_word(value, end, "keep-alive"));
	else if (is_name(line, name_len, "Retry-After") && number(value, end, 86400, &n))
		r->retry_after_s = (uint32_t)n;
	else
		keep(line, name_len, value, end, r);
	return true;
}

static bool parse_head(const uint8_t *bytes, size_t len, struct reply *r, struct head *h)
{
	const uint8_t *end = bytes + len, *line = memchr(bytes, '\n', len);
	size_t status;

	if (len < 14 || memcmp(bytes, "HTTP/1.", 7) != 0 || bytes[8] != ' ' || line == NULL ||
		!number(bytes + 9, bytes + 12, 999, &status))
		return false;
	r->status = (int)status;
	r->close = bytes[7] == '0';
	for (line++; line < end;) {
		const uint8_t *next = memchr(line, '\n', (size_t)(end - line));
		const uint8_t *stop = next != NULL ? next : end;

		if (stop > line && stop[-1] == '\r')
			stop--;
		if (stop == line)
			return true;
		if (!header(line, stop, r, h))
			return false;
		line = next != NULL ? next + 1 : end;
	}
	return true;
}

/* Puts the pieces together where the first of them stands. */
static int dechunk(uint8_t *body, size_t len, struct reply *r)
{
	struct http_chunked state = {0};
	size_t at = 0, to = 0;

	for (;;) {
		const uint8_t *piece = NULL;
		size_t used = 0, piece_len = 0;

		switch (http_chunked_next(&state, body + at, len - at, &used, &piece, &piece_len)) {
		case HTTP_CHUNKED_PIECE:
			memmove(body + to, piece, piece_len);
			to += piece_len;
			break;
		case HTTP_CHUNKED_DONE:
			r->body = body;
			r->body_len = to;
			r->len = r->head_len + at + used;
			return 1;
		case HTTP_CHUNKED_MORE:
			return 0;
		case HTTP_CHUNKED_BAD:
			return -1;
		}
		at += used;
	}
}

/* Pieces are moved only once all of them are here, so a dry run comes first. */
static int chunked_whole(const uint8_t *body, size_t len)
{
	struct http_chunked state = {0};
	size_t at = 0;

	for (;;) {
		const uint8_t *piece = NULL;
		size_t used = 0, piece_len = 0;
		enum http_chunked_result result =
			http_chunked_next(&state, body + at, len - at, &used, &piece, &piece_len);

		if (result != HTTP_CHUNKED_PIECE)
			return result == HTTP_CHUNKED_DONE  ? 1
			       : result == HTTP_CHUNKED_BAD ? -1
							    : 0;
		at += used;
	}
}

/* The head at hand, behind those of answers that only announce another one (100, 103). */
static int final_head(uint8_t *bytes, size_t len, bool closed, struct reply *r, struct head *h)
{
	size_t before = 0, scan;

	for (;;) {
		scan = 0;
		*r = (struct reply){0};
		*h = (struct head){0};
		r->head_len = http_head_end(bytes + before, len - before, &scan);
		if (r->head_len == 0)
			return len - before > HEAD_MAX || closed ? -1 : 0;
		if (!parse_head(bytes + before, r->head_len, r, h))
			return -1;
		if (r->status < 100 || r->status > 199 || r->status == 101)
			break;
		before += r->head_len;
	}
	r->head_len += before;
	return 1;
}

int reply_parse(uint8_t *bytes, size_t len, bool closed, struct reply *ret)
{
	struct reply r;
	struct head h;
	int rc = final_head(bytes, len, closed, &r, &h);

	if (rc <= 0)
		return rc;
	r.body = bytes + r.head_len;
	if (h.chunked) {
		rc = chunked_whole(r.body, len - r.head_len);
		if (rc == 1)
			rc = dechunk(bytes + r.head_len, len - r.head_len, &r);
		if (rc <= 0)
			return closed ? -1 : rc;
	} else if (h.has_length || r.status == 204 || r.status == 304) {
		if (len - r.head_len < h.length)
			return closed ? -1 : 0;
		r.body_len = h.length;
		r.len = r.head_len + h.length;
	} else {
		if (!closed)
			return 0;
		r.close = true;
		r.body_len = len - r.head_len;
		r.len = len;
	}
	*ret = r;
	return 1;
}

/* "%.*s" of a header, which may not be there. */
#define PART(member, max)                                                                          \
	(int)MIN(r->member##_len, (size_t)(max)), r->member != NULL ? (const char *)r->member : ""

void reply_describe(const struct reply *r, char *text, size_t size)
{
	if (r->status == 200 && r->coding != NULL)
		(void)snprintf(text, size, "Content-Encoding %.*s, which nobody asked for",
			PART(coding, 30));
	else if (r->status == 200)
		(void)snprintf(
			text, size, "the body is no WBXML (Content-Type %.*s)", PART(type, 60));
	else if (r->location != NULL)
		(void)snprintf(text, size, "HTTP %d, to be asked at %.*s (give that as --url)",
			r->status, PART(location, 90));
	else
		(void)snprintf(text, size, "HTTP %d%s", r->status,
			r->status == 401 ? ": user or password are wrong" : "");
}
