/*
 * Response heads. Pure; everything is appended to a buffer whose sticky `failed` tells of a bound.
 */
#include "http/http.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{302, "Found"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{411, "Length Required"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	/* [MS-ASPROV] 3.1.5.1 */
	{449, "Retry after sending a PROVISION command"},
	{451, "Redirect"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}

void http_date_add(struct buf *out, int64_t at)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	buf_addf(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday % 7], tm.tm_mday,
		months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void add_clean(struct buf *out, const char *text)
{
	for (; *text != 0; text++)
		buf_add_byte(
			out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : (uint8_t)*text);
}

void http_response_begin(
	struct buf *out, int status, const char *reason, int64_t now_at, enum http_after after)
{
	buf_addf(out, "HTTP/1.1 %03d ", status);
	add_clean(out, reason != NULL && *reason != 0 ? reason : http_reason(status));
	buf_add_str(out, "\r\nDate: ");
	http_date_add(out, now_at);
	buf_add_str(out, "\r\n");
	if (after == HTTP_CLOSE)
		buf_add_str(out, "Connection: close\r\n");
	else if (after == HTTP_KEEP_OLD)
		buf_add_str(out, "Connection: keep-alive\r\n");
}

void http_response_header(struct buf *out, const char *name, const char *value)
{
	add_clean(out, name);
	buf_add_str(out, ": ");
	add_clean(out, value);
	buf_add_str(out, "\r\n");
}

void http_response_end_bare(struct buf *out)
{
	buf_add_str(out, "\r\n");
}

void http_response_end(struct buf *out, uint64_t content_length)
{
	buf_addf(out, "Content-Length: %llu\r\n\r\n", (unsigned long long)content_length);
}

void http_response_end_unsized(struct buf *out, bool chunked)
{
	buf_add_str(out, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

void http_chunk_add(struct buf *out, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	buf_addf(out, "%zx\r\n", len);
	buf_add(out, bytes, len);
	buf_add_str(out, "\r\n");
}

void http_chunk_end(struct buf *out)
{
	buf_add_str(out, "0\r\n\r\n");
}
