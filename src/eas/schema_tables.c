/* schema.def as constant tables, and which of its shapes belongs to what. */
#include "eas/schema_internal.h"

#include <assert.h>

#include "base/mem.h"

#define UNORDERED 256u

#define ONE     .min = 1, .max = 1
#define OPT     .min = 0, .max = 1
#define ANY     .min = 0, .max = SCHEMA_MANY
#define SOME    .min = 1, .max = SCHEMA_MANY
#define UPTO(n) .min = 0, .max = (n)
#define LAST    .min = 0, .max = SCHEMA_MANY, .last_wins = true

#define SINCE(v)      .since = (v), .until = 255
#define BETWEEN(v, w) .since = (v), .until = (w)
#define ONLY(v)       .since = (v), .until = (v)

#define IN(name)           .shape = SHAPE_##name
#define LIMIT(least, most) .low = (least), .high = (most)
#define FAULT(n)           .status = (n)
#define NULLABLE           .nullable = true
#define ITEM_SELF(n)       .scope = SCOPE_SELF, .item_status = (n)
#define ITEM_PARENT(n)     .scope = SCOPE_PARENT, .item_status = (n)

#define SHAPE(name, ordered, rule) static const struct schema_row rows_##name[] = {
#define E(element, kind, ...)      {.tag = TAG_##element, .type = SCHEMA_##kind, __VA_ARGS__},
#define END                                                                                        \
	}                                                                                          \
	;
#include "eas/schema.def"
#undef SHAPE
#undef E
#undef END

#define SHAPE(id, from, rule_name)                                                                 \
	[SHAPE_##id] = {.name = #id,                                                               \
		.rows = rows_##id,                                                                 \
		.count = ARRAY_LEN(rows_##id),                                                     \
		.ordered = (from),                                                                 \
		.rule = schema_rule_##rule_name},
#define E(...)
#define END
static const struct schema_shape shapes[SHAPE_COUNT] = {
#include "eas/schema.def"
};
#undef SHAPE
#undef E
#undef END

static const uint16_t roots[EAS_CMD_COUNT] = {
	[EAS_CMD_Sync] = SHAPE_sync,
	[EAS_CMD_SendMail] = SHAPE_send_mail,
	[EAS_CMD_SmartForward] = SHAPE_smart_forward,
	[EAS_CMD_SmartReply] = SHAPE_smart_reply,
	[EAS_CMD_FolderSync] = SHAPE_folder_sync,
	[EAS_CMD_FolderCreate] = SHAPE_folder_create,
	[EAS_CMD_FolderDelete] = SHAPE_folder_delete,
	[EAS_CMD_FolderUpdate] = SHAPE_folder_update,
	[EAS_CMD_MoveItems] = SHAPE_move_items,
	[EAS_CMD_GetItemEstimate] = SHAPE_get_item_estimate,
	[EAS_CMD_MeetingResponse] = SHAPE_meeting_response,
	[EAS_CMD_Search] = SHAPE_search,
	[EAS_CMD_Settings] = SHAPE_settings,
	[EAS_CMD_Ping] = SHAPE_ping,
	[EAS_CMD_ItemOperations] = SHAPE_item_operations,
	[EAS_CMD_Provision] = SHAPE_provision,
	[EAS_CMD_ResolveRecipients] = SHAPE_resolve_recipients,
	[EAS_CMD_ValidateCert] = SHAPE_validate_cert,
	[EAS_CMD_Find] = SHAPE_find,
};

const struct schema_shape *schema_shape(enum schema_shape_id id)
{
	assert(id > SHAPE_NONE && id < SHAPE_COUNT);
	return &shapes[id];
}

enum schema_shape_id schema_root_shape(enum eas_command command)
{
	return (enum schema_shape_id)roots[(unsigned)command < EAS_CMD_COUNT ? command : 0];
}

bool schema_class_page(unsigned page)
{
	switch (page) {
	case 1:  /* Contacts */
	case 2:  /* Email */
	case 4:  /* Calendar */
	case 9:  /* Tasks */
	case 12: /* Contacts2 */
	case 17: /* AirSyncBase */
	case 22: /* Email2 */
	case 23: /* Notes */
		return true;
	default:
		return false;
	}
}

enum schema_shape_id schema_data_shape(const struct wbxml_node *data)
{
	for (const struct wbxml_node *child = data->child; child != NULL; child = child->next) {
		switch (child->tag >> 8) {
		case 1:
		case 12:
			return SHAPE_contacts;
		case 2:
		case 22:
			return SHAPE_email;
		case 4:
			return SHAPE_calendar;
		case 9:
			return SHAPE_tasks;
		case 23:
			return SHAPE_notes;
		default:
			break;
		}
	}
	return SHAPE_any_class;
}

struct schema_limits schema_limits_default(void)
{
	return (struct schema_limits){.sync_commands = 200,
		.sync_collections = 1000,
		.estimate_collections = 1000,
		.operations = 100,
		.moves = 1000,
		.meeting_requests = 100,
		.recipients = 100,
		.certificates = 100};
}
