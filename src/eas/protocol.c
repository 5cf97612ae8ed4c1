/*
 * The command table of commands.def and the list of versions. Constant; any thread.
 */
#include "eas/protocol.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wbxml/wbxml.h"

/* Namespaces of commands.def to tags: root_AirSync(Sync) is TAG_AirSync_Sync. */
#define ROOT_AirSync(id)           TAG_AirSync_##id
#define ROOT_ComposeMail(id)       TAG_ComposeMail_##id
#define ROOT_FolderHierarchy(id)   TAG_FolderHierarchy_##id
#define ROOT_Move(id)              TAG_Move_##id
#define ROOT_GetItemEstimate(id)   TAG_GetItemEstimate_##id
#define ROOT_MeetingResponse(id)   TAG_MeetingResponse_##id
#define ROOT_Search(id)            TAG_Search_##id
#define ROOT_Settings(id)          TAG_Settings_##id
#define ROOT_Ping(id)              TAG_Ping_##id
#define ROOT_ItemOperations(id)    TAG_ItemOperations_##id
#define ROOT_Provision(id)         TAG_Provision_##id
#define ROOT_ResolveRecipients(id) TAG_ResolveRecipients_##id
#define ROOT_ValidateCert(id)      TAG_ValidateCert_##id
#define ROOT_Find(id)              TAG_Find_##id
#define ROOT_NONE(id)              0

enum { W = 1, E = 2, N = 4 };

static const struct eas_command_info infos[EAS_CMD_COUNT] = {
	[EAS_CMD_NONE] = {.name = "none"},
	[EAS_CMD_OPTIONS] = {.name = "OPTIONS"},
#define EAS_COMMAND(id, code, from, to, page, bad_, undecodable_, trouble_, flags)                 \
	[EAS_CMD_##id] = {.name = #id,                                                             \
		.first = (from),                                                                   \
		.last = (to),                                                                      \
		.root = ROOT_##page(id),                                                           \
		.status = ROOT_##page(Status),                                                     \
		.bad = (bad_),                                                                     \
		.undecodable = (undecodable_),                                                     \
		.trouble = (trouble_),                                                             \
		.works = ((flags)&W) != 0,                                                         \
		.empty_body = ((flags)&E) != 0,                                                    \
		.no_policy_key = ((flags)&N) != 0},
#include "eas/commands.def"
#undef EAS_COMMAND
};

static const int8_t codes[EAS_CMD_COUNT] = {
	[EAS_CMD_NONE] = -1,
	[EAS_CMD_OPTIONS] = -1,
#define EAS_COMMAND(id, code, first, last, page, bad, undecodable, trouble, flags)                 \
	[EAS_CMD_##id] = (code),
#include "eas/commands.def"
#undef EAS_COMMAND
};

#define FIRST_COMMAND (EAS_CMD_OPTIONS + 1)

static const struct {
	uint8_t number;
	const char *text;
} versions[] = {{25, "2.5"}, {120, "12.0"}, {121, "12.1"}, {140, "14.0"}, {141, "14.1"},
	{160, "16.0"}, {161, "16.1"}};

const struct eas_command_info *eas_command_info(enum eas_command command)
{
	return &infos[(unsigned)command < EAS_CMD_COUNT ? command : EAS_CMD_NONE];
}

enum eas_command eas_command_find(const char *name)
{
	for (unsigned i = FIRST_COMMAND; i < EAS_CMD_COUNT; i++)
		if (str_eq_nocase(infos[i].name, name))
			return (enum eas_command)i;
	return EAS_CMD_NONE;
}

enum eas_command eas_command_from_code(unsigned code)
{
	for (unsigned i = FIRST_COMMAND; i < EAS_CMD_COUNT; i++)
		if (codes[i] >= 0 && (unsigned)codes[i] == code)
			return (enum eas_command)i;
	return EAS_CMD_NONE;
}

bool eas_command_in_version(enum eas_command command, unsigned version)
{
	const struct eas_command_info *info = eas_command_info(command);

	return version >= info->first && version <= info->last;
}

void eas_add_commands(struct buf *out, bool with_ping)
{
	const char *comma = "";

	for (unsigned i = FIRST_COMMAND; i < EAS_CMD_COUNT; i++) {
		if (!infos[i].works || (i == EAS_CMD_Ping && !with_ping))
			continue;
		buf_addf(out, "%s%s", comma, infos[i].name);
		comma = ",";
	}
}

unsigned eas_version_parse(const char *text)
{
	char copy[16];
	size_t len;

	text += strspn(text, " \t");
	len = strcspn(text, " \t");
	if (len >= sizeof(copy) || text[len + strspn(text + len, " \t")] != 0)
		return 0;
	memcpy(copy, text, len);
	copy[len] = 0;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (strcmp(versions[i].text, copy) == 0)
			return versions[i].number;
	return 0;
}

bool eas_version_known(unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (versions[i].number == version)
			return true;
	return false;
}

const char *eas_version_to_str(unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (versions[i].number == version)
			return versions[i].text;
	return "unknown";
}

const uint8_t *eas_versions(void)
{
	static const uint8_t all[] = {25, 120, 121, 140, 141, 160, 161, 0};

	return all;
}
