/*
 * The body of a request: its coding, its type, WBXML, the schema. And the coding of an answer's.
 */
#include <string.h>
#include <zlib.h>

#include "base/crash_test.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/eas_internal.h"
#include "eas/schema.h"

static int inflate_body(struct eas_call *call, struct buf *out, struct err *err)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)call->request->body,
		.avail_in = (uInt)call->request->body_len};
	int result = Z_OK;

	if (inflateInit2(&z, 15 + 32) != Z_OK)
		return err_set(err, ERR_INTERNAL, "no memory to decompress a request");
	while (result == Z_OK) {
		if (!buf_reserve(out, 65536))
			break;
		z.next_out = out->data + out->len;
		z.avail_out = 65536;
		result = inflate(&z, Z_NO_FLUSH);
		out->len += 65536 - z.avail_out;
	}
	(void)inflateEnd(&z);
	if (out->failed)
		return err_set(err, ERR_QUOTA,
			"a compressed request grows beyond http.inflated_max_bytes");
	return result == Z_STREAM_END
		       ? 0
		       : err_set(err, ERR_BAD_INPUT, "a compressed request is broken");
}

/* Content-Encoding; *scratch holds what was decompressed. False: the reply is set. */
static bool decode_content(struct eas_call *call, struct buf *scratch)
{
	const char *encoding = ipc_header_find(call->request->http->headers,
		call->request->http->header_count, "content-encoding");
	struct err err = ERR_INIT;

	call->body = call->request->body;
	call->body_len = call->request->body_len;
	if (encoding == NULL || str_eq_nocase(encoding, "identity") || call->body_len == 0)
		return true;
	if (!str_eq_nocase(encoding, "gzip") && !str_eq_nocase(encoding, "x-gzip") &&
		!str_eq_nocase(encoding, "deflate")) {
		eas_reply_http(call, 415);
		return false;
	}
	scratch->max = call->settings->http_inflated_max_bytes + 65536;
	if (inflate_body(call, scratch, &err) < 0) {
		log_info(&call->reply->log, "request_refused", F_ERR(&err));
		if (err.code == ERR_QUOTA)
			eas_reply_http(call, 413);
		else
			eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	call->body = scratch->data;
	call->body_len = scratch->len;
	return true;
}

static bool type_is(const char *header, const char *type)
{
	size_t n = strlen(type);

	return header != NULL && str_starts_nocase(header, type) &&
	       (header[n] == 0 || header[n] == ';' || header[n] == ' ');
}

/* Before 14.0 mail comes as it is. */
static bool body_is_message(const struct eas_call *call)
{
	enum eas_command command = call->query->command;

	return call->version < 140 &&
	       (command == EAS_CMD_SendMail || command == EAS_CMD_SmartReply ||
		       command == EAS_CMD_SmartForward);
}

static bool content_type_fits(const struct eas_call *call)
{
	const char *type = ipc_header_find(
		call->request->http->headers, call->request->http->header_count, "content-type");

	if (body_is_message(call))
		return type == NULL || type_is(type, "message/rfc822");
	return type_is(type, WBXML_TYPE) || type_is(type, "application/vnd.ms-sync");
}

static bool decode_wbxml(struct eas_call *call)
{
	const struct eas_command_info *info = eas_command_info(call->query->command);
	struct wbxml_limits limits = {
		.depth = call->settings->eas_wbxml_depth_max,
		.nodes = call->settings->eas_wbxml_nodes_max,
		.text_bytes = call->settings->http_inflated_max_bytes,
		/* Messages to be sent: call->body stays as long as the call. */
		.borrowed_tag = TAG_ComposeMail_Mime,
	};
	struct schema_limits counts = schema_limits_default();
	struct schema_fault fault;
	struct err err = ERR_INIT;

	CRASH_TEST_FAULT(call->body, call->body_len, "bellhop-crash-request");
	if (wbxml_decode(call->arena, call->body, call->body_len, &limits, &call->root, &err) < 0) {
		log_info(&call->reply->log, "request_refused", F_UINT("status", info->undecodable),
			F_ERR(&err));
		call->reply->why = arena_x_strdup(call->arena, err.text);
		if (info->undecodable >= 100)
			eas_reply_common(call, info->undecodable);
		else
			eas_reply_status(call, info->undecodable);
		return false;
	}
	counts.sync_commands = (uint32_t)call->settings->sync_commands_max;
	counts.sync_collections = (uint32_t)call->settings->sync_collections_max;
	if (schema_check(call->query->command, call->version, call->root, &counts, &fault) < 0) {
		log_info(&call->reply->log, "request_refused", F_UINT("status", fault.status),
			F_STR("element", fault.text));
		call->reply->why = arena_x_strdup(call->arena, fault.text);
		if (fault.status >= 100)
			eas_reply_common(call, fault.status);
		else
			eas_reply_limit(call, fault.status, fault.limit);
		return false;
	}
	if (fault.item_faults > 0)
		log_info(&call->reply->log, "request_items_refused",
			F_UINT("items", fault.item_faults), F_STR("element", fault.text));
	return true;
}

bool eas_body_read(struct eas_call *call, struct buf *scratch)
{
	const struct eas_command_info *info = eas_command_info(call->query->command);

	if (!decode_content(call, scratch))
		return false;
	if (call->body_len == 0) {
		if (info->empty_body)
			return true;
		log_info(&call->reply->log, "request_refused",
			F_STR("reason", "the body is missing"));
		eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	if (!content_type_fits(call)) {
		log_info(&call->reply->log, "request_refused",
			F_STR("reason", "wrong Content-Type"),
			F_STR("content_type",
				ipc_header_find(call->request->http->headers,
					call->request->http->header_count, "content-type")));
		eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	return body_is_message(call) || decode_wbxml(call);
}

bool eas_body_compress(struct eas_call *call)
{
	struct buf *body = &call->reply->body;
	struct buf out = BUF_INIT;
	z_stream z = {.next_in = body->data, .avail_in = (uInt)body->len};
	bool good;

	if (deflateInit2(&z, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	good = buf_reserve(&out, deflateBound(&z, body->len));
	if (good) {
		z.next_out = out.data;
		z.avail_out = (uInt)(out.cap - 1);
		good = deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < body->len;
		out.len = z.total_out;
	}
	(void)deflateEnd(&z);
	if (!good) {
		buf_deinit(&out);
		return false;
	}
	buf_deinit(body);
	*body = out;
	return true;
}
