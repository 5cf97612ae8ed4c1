/*
 * Errors of the REST API that are told before the API itself has the request: by a front, or by the
 * engine's loop. They look like all others of it (docs/API.md). Pure.
 */
#include <string.h>

#include "base/mem.h"
#include "http/http.h"

#define API "/api/"

static const struct {
	int status;
	const char *code, *text;
} troubles[] = {
	{400, "bad_input", "the request is no HTTP/1.1 that a server can take"},
	{404, "not_found", "pages and API are switched off (web.enabled)"},
	{408, "timeout", "the request came too slowly"},
	{411, "bad_input", "the body needs a Content-Length"},
	{413, "bad_input", "the body is larger than the server takes"},
	{417, "bad_input", "the server expects nothing but 100-continue"},
	{431, "bad_input", "the head is larger than the server takes"},
	{501, "bad_input", "the server knows no such transfer coding"},
	{502, "backend", "the answer was cut"},
	{503, "busy", "there is too much to do, or the server is stopping: try again"},
	{505, "bad_input", "the server speaks HTTP/1.0 and HTTP/1.1"},
};

bool http_target_is_api(const char *target)
{
	return strncmp(target, API, strlen(API)) == 0;
}

bool http_head_is_api(const uint8_t *head, size_t len)
{
	const char want[] = " " API;
	size_t at = 0;

	while (at < MIN(len, (size_t)HTTP_METHOD_MAX) && head[at] != ' ')
		at++;
	return len - at >= strlen(want) && memcmp(head + at, want, strlen(want)) == 0;
}

const char *http_late_text(bool is_read)
{
	return is_read ? "the server did not answer in time: try again"
		       : "the server did not answer in time, and may still do what was asked: "
			 "look before you try again";
}

static void add_error(struct buf *out, const char *code, const char *text)
{
	buf_addf(out, "{\"error\":{\"code\":\"%s\",\"text\":\"%s\"}}\n", code, text);
}

void http_trouble_add_late(struct buf *out, bool is_read)
{
	add_error(out, "timeout", http_late_text(is_read));
}

void http_trouble_add(struct buf *out, int status)
{
	const char *code = "internal", *text = http_reason(status);

	for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
		if (troubles[i].status == status) {
			code = troubles[i].code;
			text = troubles[i].text;
		}
	}
	add_error(out, code, text);
}
