/*
 * Answers: status to bytes, errors to statuses. The version split of failures ([MS-ASCMD] 2.2.2) is
 * here and nowhere else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/command.h"

void eas_reply_header(struct eas_reply *reply, const char *name, const char *value)
{
	if (reply->header_count < ARRAY_LEN(reply->headers))
		reply->headers[reply->header_count++] = (struct ipc_header){name, value};
}

void eas_reply_http(struct eas_call *call, int status)
{
	buf_clear(&call->reply->body);
	call->reply->status = status;
	if (status == 449)
		call->reply->reason = "Retry after sending a PROVISION command";
	if (status == 503)
		eas_reply_header(call->reply, "Retry-After", "30");
}

void eas_reply_retry(struct eas_call *call, uint64_t after_s)
{
	buf_clear(&call->reply->body);
	call->reply->status = 503;
	eas_reply_header(
		call->reply, "Retry-After", arena_x_printf(call->arena, "%" PRIu64, after_s));
}

void eas_reply_limit(struct eas_call *call, unsigned status, uint64_t limit)
{
	buf_clear(&call->reply->body);
	call->reply->status = 200;
	call->reply->eas_status = (uint16_t)(status == EAS_STATUS_SUCCESS ? 0 : status);
	eas_status_write(&call->reply->body, call->query->command, EAS_PLACE_ROOT, status, limit);
}

void eas_reply_status(struct eas_call *call, unsigned status)
{
	eas_reply_limit(call, status, 0);
}

void eas_reply_outcome(struct eas_call *call, const struct eas_outcome *outcome)
{
	if (outcome->wbxml)
		eas_reply_status(call, outcome->status);
	else
		eas_reply_http(call, outcome->http);
}

void eas_reply_common(struct eas_call *call, unsigned status)
{
	struct eas_outcome outcome = eas_status_outcome(
		call->query->command, call->version, status, call->query->policy_key_sent);

	log_info(&call->reply->log, "command_refused", F_UINT("status", status),
		F_STR("meaning", eas_status_to_str(status)));
	eas_reply_outcome(call, &outcome);
	call->reply->eas_status = (uint16_t)status;
}

void eas_reply_error(struct eas_call *call, const struct err *err)
{
	unsigned status = eas_status_of_err(call->query->command, call->version, err->code);

	log_warn(&call->reply->log, "command_failed", F_STR("code", err_code_to_str(err->code)),
		F_ERR(err));
	call->reply->why = arena_x_strdup(call->arena, err->text);
	if (status >= 100)
		eas_reply_common(call, status);
	else
		eas_reply_status(call, status);
}

bool eas_folder_id_parse(const char *text, struct folder_id *ret)
{
	struct err ignored = ERR_INIT;

	/* One spelling each: two names of a folder in one request would be two states. */
	return text[0] != '0' && text[0] != '+' &&
	       str_parse_u64(text, INT64_MAX, &ret->v, &ignored) == 0 && ret->v != 0;
}

bool eas_server_id_parse(const char *text, struct folder_id folder, struct item_id *ret)
{
	struct err ignored = ERR_INIT;
	char prefix[24];
	size_t len;

	eas_folder_id_print(folder, prefix);
	len = strlen(prefix);
	if (strncmp(text, prefix, len) != 0 || text[len] != ':')
		return false;
	text += len + 1;
	return text[0] != '0' && text[0] != '+' &&
	       str_parse_u64(text, INT64_MAX, &ret->v, &ignored) == 0 && ret->v != 0;
}

void eas_folder_id_print(struct folder_id id, char text[24])
{
	(void)snprintf(text, 24, "%" PRIu64, id.v);
}

void eas_server_id_print(struct folder_id folder, struct item_id item, char text[48])
{
	(void)snprintf(text, 48, "%" PRIu64 ":%" PRIu64, folder.v, item.v);
}

bool eas_folder_is_mail(enum folder_type type)
{
	switch (type) {
	case FOLDER_INBOX:
	case FOLDER_DRAFTS:
	case FOLDER_DELETED:
	case FOLDER_SENT:
	case FOLDER_OUTBOX:
	case FOLDER_USER_MAIL:
	case FOLDER_USER_GENERIC:
		return true;
	default:
		return false;
	}
}
