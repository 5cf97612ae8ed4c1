/*
 * Request heads. The parser walks a complete head once, in place.
 *
 * What is refused although some servers take it, because a proxy before us could read it otherwise:
 * bare LF or CR, folded lines, blanks before a colon, more than one Content-Length (also equal
 * ones), Content-Length together with Transfer-Encoding, any coding but chunked, a
 * Transfer-Encoding in HTTP/1.0, a missing or second Host in HTTP/1.1, control characters anywhere.
 *
 * Limits: HTTP_HEADERS_MAX fields, HTTP_METHOD_MAX; the length of the head is the caller's
 * business.
 */
#include "http/http.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define BLANK_LINES_MAX 2

struct parser {
	char *p, *end; /* the head without the final blank line */
	struct http_request *out;
	int status;
	struct err *err;
	bool has_length, has_coding, has_host;
	bool wants_close, wants_keep_alive;
};

static int refuse(struct parser *h, int status, const char *why)
{
	h->status = status;
	return err_set(h->err, ERR_BAD_INPUT, "%s", why);
}

size_t http_head_end(const uint8_t *bytes, size_t len, size_t *scan)
{
	size_t at = *scan;

	while (at + 4 <= len) {
		const uint8_t *cr = memchr(bytes + at, '\r', len - at - 3);

		if (cr == NULL) {
			at = len - 3;
			break;
		}
		at = (size_t)(cr - bytes);
		if (memcmp(cr, "\r\n\r\n", 4) == 0)
			return at + 4;
		at++;
	}
	*scan = at;
	return 0;
}

size_t http_head_blank(const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < 2 * BLANK_LINES_MAX && at + 2 <= len && memcmp(bytes + at, "\r\n", 2) == 0)
		at += 2;
	return at;
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *s)
{
	if (*s == 0)
		return false;
	for (; *s != 0; s++) {
		if (!is_token_char((unsigned char)*s))
			return false;
	}
	return true;
}

/* The next line, terminated in place; NULL when it holds a NUL or a bare CR or LF. */
static char *take_line(struct parser *h)
{
	char *line = h->p, *at;

	for (at = line; at < h->end; at++) {
		if (*at == '\r') {
			if (at + 1 >= h->end || at[1] != '\n')
				return NULL;
			*at = 0;
			h->p = at + 2;
			return line;
		}
		if (*at == '\n' || *at == 0)
			return NULL;
	}
	return NULL;
}

/* What is after scheme and host of an absolute target: RFC 9112, 3.2.2 wants it accepted. */
static char *strip_origin(char *target)
{
	char *path;

	if (str_starts_nocase(target, "http://"))
		target += 7;
	else if (str_starts_nocase(target, "https://"))
		target += 8;
	else
		return NULL;
	path = strpbrk(target, "/?#");
	if (path == NULL || path == target || *path != '/')
		return NULL;
	return path;
}

static int parse_target(struct parser *h, char *target)
{
	for (const char *c = target; *c != 0; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '#')
			return refuse(h, 400, "bad character in the request target");
	}
	if (*target != '/' && !str_eq(target, "*")) {
		target = strip_origin(target);
		if (target == NULL)
			return refuse(h, 400, "request target is not a path");
	}
	if (str_eq(target, "*") && !str_eq(h->out->method, "OPTIONS"))
		return refuse(h, 400, "request target * without OPTIONS");
	h->out->target = target;
	return 0;
}

static int parse_request_line(struct parser *h)
{
	char *line = take_line(h), *target, *version;

	if (line == NULL)
		return refuse(h, 400, "bad line end or NUL in the request line");
	target = strchr(line, ' ');
	version = target != NULL ? strchr(target + 1, ' ') : NULL;
	if (version == NULL)
		return refuse(h, 400, "request line has not three parts");
	*target++ = 0;
	*version++ = 0;
	if (!is_token(line) || strlen(line) > HTTP_METHOD_MAX)
		return refuse(h, 400, "bad method");
	h->out->method = line;
	if (strlen(version) != 8 || !str_starts(version, "HTTP/") || version[6] != '.' ||
		version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9')
		return refuse(h, 400, "bad HTTP version");
	if (version[5] != '1')
		return refuse(h, 505, "HTTP version not supported");
	h->out->minor = version[7] == '0' ? 0 : 1;
	return parse_target(h, target);
}

static int parse_content_length(struct parser *h, const char *value)
{
	struct err ignored = ERR_INIT;
	uint64_t length;

	if (h->has_length)
		return refuse(h, 400, "more than one Content-Length");
	h->has_length = true;
	/* A number too large for us is as far over every limit as INT64_MAX. */
	if (*value == 0 || strspn(value, "0123456789") != strlen(value))
		return refuse(h, 400, "bad Content-Length");
	if (str_parse_u64(value, INT64_MAX, &length, &ignored) < 0)
		length = INT64_MAX;
	h->out->content_length = (int64_t)length;
	return 0;
}

static int parse_coding(struct parser *h, const char *value)
{
	if (h->has_coding)
		return refuse(h, 400, "more than one Transfer-Encoding");
	h->has_coding = true;
	if (!str_eq_nocase(value, "chunked"))
		return refuse(h, 501, "Transfer-Encoding other than chunked");
	return 0;
}

static void parse_connection(struct parser *h, const char *value)
{
	while (*value != 0) {
		size_t len = strcspn(value, ", \t");

		if (len == 5 && strncasecmp(value, "close", len) == 0)
			h->wants_close = true;
		if (len == 10 && strncasecmp(value, "keep-alive", len) == 0)
			h->wants_keep_alive = true;
		value += len;
		value += strspn(value, ", \t");
	}
}

static int parse_special(struct parser *h, const struct http_header *f)
{
	if (str_eq(f->name, "content-length"))
		return parse_content_length(h, f->value);
	if (str_eq(f->name, "transfer-encoding"))
		return parse_coding(h, f->value);
	if (str_eq(f->name, "connection"))
		parse_connection(h, f->value);
	if (str_eq(f->name, "host")) {
		if (h->has_host)
			return refuse(h, 400, "more than one Host");
		h->has_host = true;
		h->out->host = f->value;
	}
	if (str_eq(f->name, "expect")) {
		if (!str_eq_nocase(f->value, "100-continue"))
			return refuse(h, 417, "unknown Expect");
		h->out->expect_continue = true;
	}
	return 0;
}

static int parse_field(struct parser *h)
{
	char *line = take_line(h), *colon, *value;
	struct http_header *f;

	if (line == NULL)
		return refuse(h, 400, "bad line end or NUL in a header");
	if (*line == ' ' || *line == '\t')
		return refuse(h, 400, "folded header");
	colon = strchr(line, ':');
	if (colon == NULL)
		return refuse(h, 400, "header without a colon");
	*colon = 0;
	if (!is_token(line))
		return refuse(h, 400, "bad header name");
	if (h->out->header_count == HTTP_HEADERS_MAX)
		return refuse(h, 431, "too many headers");
	value = str_trim(colon + 1);
	for (const char *c = value; *c != 0; c++) {
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return refuse(h, 400, "control character in a header");
	}
	f = &h->out->headers[h->out->header_count++];
	f->name = str_lower(line);
	f->value = value;
	return parse_special(h, f);
}

static int check_whole(struct parser *h)
{
	struct http_request *q = h->out;

	if (h->has_coding && (h->has_length || q->minor == 0))
		return refuse(h, 400, "Transfer-Encoding where it may not stand");
	if (!h->has_host && q->minor > 0)
		return refuse(h, 400, "no Host");
	q->chunked = h->has_coding;
	if (q->chunked)
		q->content_length = -1;
	q->keep_alive = !h->wants_close && (q->minor > 0 || h->wants_keep_alive);
	/* RFC 9110, 10.1.1: not for HTTP/1.0, and not without a body. */
	if (q->minor == 0 || q->content_length == 0)
		q->expect_continue = false;
	return 0;
}

int http_head_parse(
	uint8_t *head, size_t len, struct http_request *ret, int *ret_status, struct err *err)
{
	struct parser h = {.p = (char *)head, .out = ret, .err = err};
	int rc;

	/* Not the header array: 1.6 KB for each request would be cleared for nothing. */
	memset(ret, 0, offsetof(struct http_request, headers));
	ret->host = "";
	if (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) {
		*ret_status = 400;
		return err_set(err, ERR_BAD_INPUT, "request head without end");
	}
	h.end = h.p + len - 2;
	rc = parse_request_line(&h);
	while (rc == 0 && h.p < h.end)
		rc = parse_field(&h);
	if (rc == 0)
		rc = check_whole(&h);
	if (rc < 0)
		*ret_status = h.status;
	return rc;
}

const char *http_header_find(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (str_eq(request->headers[i].name, name))
			return request->headers[i].value;
	}
	return NULL;
}
