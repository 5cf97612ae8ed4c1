/*
 * Rules for single items: their faults leave the rest of the request alone (schema.h). Pure.
 */
#include "eas/schema_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/request.h"

static size_t count_children(const struct wbxml_node *node)
{
	size_t n = 0;

	for (const struct wbxml_node *child = node->child; child != NULL; child = child->next)
		n++;
	return n;
}

/* ---- MoveItems, ItemOperations ---- */

SCHEMA_RULE(moves)
{
	if (count_children(node) > c->limits->moves)
		return schema_raise(c, node, 0, "has more than %u items", c->limits->moves);
	return 0;
}

SCHEMA_RULE(move)
{
	if (wbxml_next(wbxml_find(node, TAG_Move_DstFldId), TAG_Move_DstFldId) != NULL)
		return schema_raise(c, node, 5, "has two targets");
	return 0;
}

SCHEMA_RULE(operations)
{
	size_t n = count_children(node);

	if (n == 0)
		return schema_raise(c, node, 0, "is empty");
	if (n > c->limits->operations)
		return schema_raise(
			c, node, 11, "has more than %u operations", c->limits->operations);
	return 0;
}

/* Options that fit what is fetched ([MS-ASCMD] 2.2.3.125.3). */
static int check_fetch_options(
	struct schema_checker *c, struct wbxml_node *options, bool is_attachment, bool is_document)
{
	for (struct wbxml_node *o = options == NULL ? NULL : options->child; o != NULL;
		o = o->next) {
		bool is_range = o->tag == TAG_ItemOperations_Range;
		bool is_login = o->tag == TAG_ItemOperations_UserName ||
				o->tag == TAG_ItemOperations_Password;

		if (is_attachment ? !is_range : is_document ? !is_range && !is_login : is_range)
			return schema_raise(c, o, 0, "does not fit what is fetched");
	}
	return 0;
}

SCHEMA_RULE(fetch)
{
	const char *store = wbxml_text(node, TAG_ItemOperations_Store);
	bool mailbox = str_eq_nocase(store, "Mailbox");
	bool by_id = eas_has(node, TAG_AirSync_ServerId);
	bool by_folder = eas_has(node, TAG_AirSync_CollectionId);
	bool by_long_id = eas_has(node, TAG_Search_LongId);
	bool attachment = eas_has(node, TAG_AirSyncBase_FileReference);
	bool document = eas_has(node, TAG_DocumentLibrary_LinkId);

	if (!mailbox && !str_eq_nocase(store, "DocumentLibrary") &&
		!str_eq_nocase(store, "Document Library"))
		return schema_raise(c, node, 9, "names an unknown Store");
	if (by_id != by_folder)
		return schema_raise(c, node, 0, "has one of CollectionId and ServerId");
	if (by_id + by_long_id + attachment + document != 1)
		return schema_raise(c, node, 0, "does not name one item");
	if (document == mailbox)
		return schema_raise(c, node, 0, "names an item of the other Store");
	return check_fetch_options(
		c, wbxml_find(node, TAG_ItemOperations_Options), attachment, document);
}

SCHEMA_RULE(move_conversation)
{
	const struct wbxml_node *options = wbxml_find(node, TAG_ItemOperations_Options);

	if (!eas_has(options, TAG_ItemOperations_MoveAlways))
		return schema_raise(
			c, node, EAS_STATUS_MOVE_ALWAYS_MISSING, "MoveAlways is missing");
	return 0;
}

/* ---- MeetingResponse ---- */

SCHEMA_RULE(meeting_requests)
{
	if (count_children(node) > c->limits->meeting_requests)
		return schema_raise(
			c, node, 0, "has more than %u requests", c->limits->meeting_requests);
	return 0;
}

SCHEMA_RULE(meeting_request)
{
	bool by_id = eas_has(node, TAG_MeetingResponse_RequestId);
	bool by_long_id = eas_has(node, TAG_Search_LongId);

	if (by_id && by_long_id)
		return schema_raise(c, node, EAS_STATUS_INVALID_COMBINATION_OF_IDS,
			"has both RequestId and LongId");
	return by_id || by_long_id ? 0 : schema_raise(c, node, 2, "names no item");
}

SCHEMA_RULE(send_response)
{
	if (eas_has(node, TAG_MeetingResponse_ProposedStartTime) !=
		eas_has(node, TAG_MeetingResponse_ProposedEndTime))
		return schema_raise(c, node, 2, "has one of ProposedStartTime and ProposedEndTime");
	return 0;
}

/* ---- mail flags ---- */

SCHEMA_RULE(flag)
{
	static const unsigned dates[] = {TAG_Tasks_StartDate, TAG_Tasks_DueDate,
		TAG_Tasks_UtcStartDate, TAG_Tasks_UtcDueDate};
	int64_t at[4] = {0};
	size_t present = 0;

	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		present += eas_has(node, dates[i]);
		at[i] = eas_get_date_ms(node, dates[i], 0);
	}
	if (present != 0 && present != ARRAY_LEN(dates))
		return schema_raise(c, node, 0, "has some of the four start and due dates");
	if (at[0] > at[1] || at[2] > at[3])
		return schema_raise(c, node, 0, "starts after it is due");
	if (eas_get_bool(node, TAG_Tasks_ReminderSet, false) &&
		!eas_has(node, TAG_Tasks_ReminderTime))
		return schema_raise(c, node, 0, "ReminderTime is missing");
	if (eas_get_uint(node, TAG_Email_Status, 0) == 1 &&
		(!eas_has(node, TAG_Tasks_DateCompleted) || !eas_has(node, TAG_Email_CompleteTime)))
		return schema_raise(c, node, 0, "is complete, but says not when");
	return 0;
}

/* ---- recurrences ([MS-ASCAL], [MS-ASTASK]) ---- */

struct needs {
	unsigned tag, types; /* bit mask of the Types that the element fits */
};

static int check_pattern(struct schema_checker *c, struct wbxml_node *node, unsigned type_tag,
	const struct needs *needs, size_t count)
{
	uint64_t type = eas_get_uint(node, type_tag, 0);
	char name[64];

	if (!eas_has(node, type_tag))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (eas_has(node, needs[i].tag) && (needs[i].types >> type & 1) == 0)
			return schema_raise(c, wbxml_find(node, needs[i].tag), 0,
				"%s does not fit the Type",
				wbxml_tag_to_str(needs[i].tag, name, sizeof(name)));
	return 0;
}

SCHEMA_RULE(recurrence)
{
	static const struct needs needs[] = {
		{TAG_Calendar_DayOfMonth, 1u << 2 | 1u << 5},
		{TAG_Calendar_DayOfWeek, 1u << 0 | 1u << 1 | 1u << 3 | 1u << 6},
		{TAG_Calendar_MonthOfYear, 1u << 5 | 1u << 6},
		{TAG_Calendar_WeekOfMonth, 1u << 3 | 1u << 6},
	};

	return check_pattern(c, node, TAG_Calendar_Type, needs, ARRAY_LEN(needs));
}

SCHEMA_RULE(task_recurrence)
{
	static const struct needs needs[] = {
		{TAG_Tasks_DayOfMonth, 1u << 2 | 1u << 5},
		{TAG_Tasks_DayOfWeek, 1u << 0 | 1u << 1 | 1u << 3 | 1u << 6},
		{TAG_Tasks_WeekOfMonth, 1u << 3 | 1u << 6},
		{TAG_Tasks_CalendarType, 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6},
	};

	return check_pattern(c, node, TAG_Tasks_Type, needs, ARRAY_LEN(needs));
}

SCHEMA_RULE(notes)
{
	const char *message_class = wbxml_text(node, TAG_Notes_MessageClass);

	if (message_class != NULL && !str_eq_nocase(message_class, "IPM.StickyNote") &&
		!str_starts_nocase(message_class, "IPM.StickyNote."))
		return schema_raise(
			c, wbxml_find(node, TAG_Notes_MessageClass), 0, "is not IPM.StickyNote");
	return 0;
}
