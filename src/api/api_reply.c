/*
 * Answers: their status, the header fields that every one of them has, JSON. No threads, no limits
 * of its own.
 */
#include <string.h>

#include "api/api_internal.h"
#include "base/str.h"

void api_add_header(struct api_call *call, const char *name, const char *value)
{
	struct api_reply *reply = call->reply;

	if (reply->header_count < API_HEADERS_MAX)
		reply->headers[reply->header_count++] = (struct ipc_header){name, value};
}

/*
 * Nothing is loaded from anywhere else, no script stands in a page, and nobody may put a page into
 * a frame. The pages set the style of their charts by script, which this policy allows.
 */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "          \
	"connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "              \
	"form-action 'self'; frame-ancestors 'none'"

#define PERMISSIONS                                                                                \
	"accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), "             \
	"microphone=(), payment=(), usb=()"

void api_add_safety(struct api_call *call)
{
	api_add_header(call, "X-Content-Type-Options", "nosniff");
	api_add_header(call, "Content-Security-Policy", POLICY);
	api_add_header(call, "X-Frame-Options", "DENY");
	api_add_header(call, "Referrer-Policy", "same-origin");
	api_add_header(call, "Permissions-Policy", PERMISSIONS);
	api_add_header(call, "Cross-Origin-Opener-Policy", "same-origin");
	api_add_header(call, "Cross-Origin-Resource-Policy", "same-origin");
	/* RFC 6797 7.2: not where anybody on the way could have written it. */
	if (call->http->tls)
		api_add_header(call, "Strict-Transport-Security",
			arena_x_printf(call->arena, "max-age=%llu",
				(unsigned long long)call->settings->web_hsts_s));
}

void api_reply_bytes(
	struct api_call *call, int status, const char *type, const void *bytes, size_t len)
{
	call->reply->status = status;
	if (type != NULL)
		api_add_header(call, "Content-Type", type);
	buf_clear(&call->reply->body);
	buf_add(&call->reply->body, bytes, len);
}

static int dump_into(const char *bytes, size_t len, void *owner)
{
	struct buf *out = owner;

	buf_add(out, bytes, len);
	return out->failed ? -1 : 0;
}

void api_reply_json(struct api_call *call, int status, const json_t *value)
{
	call->reply->status = status;
	api_add_header(call, "Content-Type", "application/json");
	api_add_header(call, "Cache-Control", "no-store");
	buf_clear(&call->reply->body);
	(void)json_dump_callback(value, dump_into, &call->reply->body, JSON_COMPACT);
	buf_add_byte(&call->reply->body, '\n');
}

static int status_of(enum err_code code)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_AUTH:
		return 401;
	case ERR_DENIED:
		return 403;
	case ERR_QUOTA:
		return 507;
	case ERR_TIMEOUT:
		return 504;
	case ERR_BACKEND:
		return 500;
	case ERR_BAD_INPUT:
		return 400;
	case ERR_BUSY:
		return 503;
	case ERR_NONE:
	case ERR_INTERNAL:
		break;
	}
	return 500;
}

void api_reply_trouble(struct api_call *call, int status, const char *code, const char *text)
{
	json_t *body = json_object(), *error = json_object();
	struct buf clean = BUF_INIT;

	utf8_add_clean(&clean, text, strlen(text)); /* it may quote what was sent */
	(void)json_object_set_new(error, "code", json_string(code));
	(void)json_object_set_new(error, "text", json_string(buf_cstr(&clean)));
	(void)json_object_set_new(body, "error", error);
	if (status == 503)
		api_add_header(call, "Retry-After", "5");
	api_reply_json(call, status, body);
	json_decref(body);
	buf_deinit(&clean);
}

void api_reply_error(struct api_call *call, const struct err *err)
{
	api_reply_trouble(call, status_of(err->code), err_code_to_str(err->code), err->text);
}
