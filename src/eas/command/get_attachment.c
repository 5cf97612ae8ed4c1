/*
 * GetAttachment ([MS-ASCMD] 2.2.1.7), before 14.0: the attachment itself as the answer's body. Its
 * failures have nothing but HTTP 500.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "eas/command.h"
#include "eas/command/attachment.h"

static int load(struct eas_call *call, const char **ret_type, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct attachment a;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0 ||
		attachment_open(
			rd, call->user->id, call->query->attachment_name, call->arena, &a, err) < 0)
		return -1;
	*ret_type = a.type;
	if (a.total > call->settings->eas_operations_max_bytes)
		result = err_set(err, ERR_QUOTA, "an attachment of %" PRIu64 " bytes", a.total);
	else
		result = attachment_read(&a, 0, a.total, false, &call->reply->body, err);
	attachment_close(&a);
	return result;
}

/* What a message says of itself becomes a header of ours only when it can be one. */
static const char *header_type(const char *type)
{
	for (const char *c = type; *c != 0; c++) {
		if (*c <= ' ' || *c > '~')
			return "application/octet-stream";
	}
	return *type != 0 ? type : "application/octet-stream";
}

void eas_get_attachment(struct eas_call *call)
{
	struct err err = ERR_INIT;
	const char *type;

	if (load(call, &type, &err) == 0) {
		eas_reply_header(call->reply, "Content-Type", header_type(type));
		return;
	}
	log_info(&call->reply->log, "attachment_refused", F_ERR(&err));
	if (err.code == ERR_BUSY || err.code == ERR_TIMEOUT)
		eas_reply_http(call, 503);
	else
		eas_reply_http(call, 500);
}
