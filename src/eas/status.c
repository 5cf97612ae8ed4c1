/*
 * Failures on their way to the client: Status to HTTP status, error code to Status, and the
 * smallest document that carries a Status. Constant tables; any thread.
 */
#include "eas/status.h"

#include <assert.h>

#include "wbxml/wbxml.h"

#define COMMON_FIRST 101u
#define COMMON_LAST  184u

struct common {
	const char *name;
	uint16_t http;
};

static const struct common commons[COMMON_LAST - COMMON_FIRST + 1] = {
#define EAS_COMMON(value, name, http) [(value)-COMMON_FIRST] = {#name, (http)},
#include "eas/status.def"
#undef EAS_COMMON
};

static const struct common *find_common(unsigned status)
{
	if (status < COMMON_FIRST || status > COMMON_LAST)
		return NULL;
	return &commons[status - COMMON_FIRST];
}

static uint16_t http_of(enum eas_command command, unsigned status, bool policy_key_sent)
{
	const struct common *common = find_common(status);

	if (status == EAS_STATUS_REMOTE_WIPE && !policy_key_sent)
		return 403;
	if (status == EAS_STATUS_INVALID_IDS && command == EAS_CMD_SendMail)
		return 500;
	if (status == EAS_STATUS_STATE_NOT_FOUND && command == EAS_CMD_Provision)
		return 500;
	return common != NULL && common->http != 0 ? common->http : 500;
}

struct eas_outcome eas_status_outcome(
	enum eas_command command, unsigned version, unsigned status, bool policy_key_sent)
{
	/* A root that came with a later version is nothing that this client could read. */
	bool has_root = eas_command_info(command)->root != 0 &&
			(version == 0 || eas_command_in_version(command, version));

	if (has_root && (status < COMMON_FIRST || version >= 140))
		return (struct eas_outcome){.wbxml = true, .http = 200, .status = (uint16_t)status};
	return (struct eas_outcome){.http = http_of(command, status, policy_key_sent)};
}

static unsigned limit_tag(enum eas_command command, unsigned status)
{
	if (command == EAS_CMD_Sync && (status == 14 || status == 15))
		return TAG_AirSync_Limit;
	if (command == EAS_CMD_Ping && status == 5)
		return TAG_Ping_HeartbeatInterval;
	if (command == EAS_CMD_Ping && status == 6)
		return TAG_Ping_MaxFolders;
	return 0;
}

void eas_status_write(struct buf *out, enum eas_command command, enum eas_place place,
	unsigned status, uint64_t limit)
{
	const struct eas_command_info *info = eas_command_info(command);
	unsigned tag = limit_tag(command, status);
	struct wbxml_writer w;

	assert(info->root != 0);
	wbxml_writer_init(&w, out);
	wbxml_start(&w, info->root);
	if (place == EAS_PLACE_STORE) {
		wbxml_add_uint(&w, info->status, EAS_STATUS_SUCCESS);
		wbxml_start(&w, TAG_Search_Response);
		wbxml_start(&w, TAG_Search_Store);
		wbxml_add_uint(&w, TAG_Search_Status, status);
		wbxml_end(&w);
		wbxml_end(&w);
	} else if (command == EAS_CMD_MeetingResponse) {
		/* Its root has no Status of its own. */
		wbxml_start(&w, TAG_MeetingResponse_Result);
		wbxml_add_uint(&w, info->status, status);
		wbxml_end(&w);
	} else {
		wbxml_add_uint(&w, info->status, status);
		if (tag != 0 && limit != 0)
			wbxml_add_uint(&w, tag, limit);
	}
	wbxml_end(&w);
}

unsigned eas_status_of_err(enum eas_command command, unsigned version, enum err_code code)
{
	const struct eas_command_info *info = eas_command_info(command);
	bool own = info->trouble < COMMON_FIRST && info->trouble != 0;

	switch (code) {
	case ERR_QUOTA:
		return EAS_STATUS_MAILBOX_FULL;
	case ERR_AUTH:
	case ERR_DENIED:
		return EAS_STATUS_ACCESS_DENIED;
	case ERR_BAD_INPUT:
		return info->bad == 0 ? EAS_STATUS_INVALID_XML : info->bad;
	case ERR_BUSY:
	case ERR_TIMEOUT:
		if (command == EAS_CMD_Sync && version >= 121)
			return 16;
		return own ? info->trouble : EAS_STATUS_RETRY_LATER;
	case ERR_BACKEND:
		return own ? info->trouble : EAS_STATUS_RETRY_LATER;
	default:
		return own ? info->trouble : EAS_STATUS_SERVER_ERROR;
	}
}

const char *eas_status_to_str(unsigned status)
{
	const struct common *common = find_common(status);

	return common == NULL || common->name == NULL ? "" : common->name;
}
