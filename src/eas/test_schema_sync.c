/* Sync requests and their items against the schema. */
#include "eas/test_schema_util.h"

/* Collection with these children. */
#define SYNC(children) "Sync{Collections{Collection{" children "}}}"
#define KEYS           "SyncKey=1 CollectionId=5 "
#define OPTIONS(c)     SYNC(KEYS "Options{" c "}")
#define CHANGE(data)   SYNC(KEYS "Commands{Change{ServerId=5:1 ApplicationData{" data "}}}")

static void test_sync_root(void)
{
	static const struct row rows[] = {
		{141, SYNC(KEYS), 0, NULL, 0},
		{25, SYNC("Class=Email " KEYS), 0, NULL, 0},
		{25, SYNC("SyncKey=0 Class=Email"), 0, NULL, 0},
		{120, SYNC("SyncKey=0 Class=Email"), 4, "CollectionId is missing", 0},
		{141, "Ping:Ping", 4, "Ping: is not the root of a Sync", 0},
		{141, "Sync", 4, "Sync: has neither Collections nor Partial", 0},
		{141, "Sync=text", 4, "Sync: has text in it", 0},
		{141, "Sync{Wait=5}", 4, "neither", 0},
		{141, "Sync{Partial}", 4, "nothing but Partial", 0},
		{141, "Sync{Partial Wait=5}", 0, NULL, 0},
		{120, "Sync{Partial Wait=5}", 4, "Sync/Partial: does not exist in this version", 0},
		{141, "Sync{Collections}", 4, "Sync/Collections: Collection is missing", 0},
		{141, "Sync{Partial Collections{Collection{" KEYS "}} Wait=5 HeartbeatInterval=60}",
			4, "both", 0},
		{141, "Sync{Collections{Collection{" KEYS "}} Wait=99999999999999999999}", 0, NULL,
			0},
		{141, "Sync{Collections{Collection{" KEYS "}} HeartbeatInterval=-1}", 0, NULL, 0},
		{141, "Sync{Collections{Collection{" KEYS "}} HeartbeatInterval=1x}", 4,
			"Sync/HeartbeatInterval: 1x is not a number", 0},
		{121, "Sync{Collections{Collection{" KEYS "}} HeartbeatInterval=60}", 4, "version",
			0},
		{141, "Sync{Collections{Collection{" KEYS "}} WindowSize=9999}", 0, NULL, 0},
		{141, "Sync{Collections{Collection{" KEYS "}} Status=1}", 4,
			"Sync/Status: cannot stand here", 0},
		{141, "Sync{Collections{Collection{" KEYS "}} MoreAvailable}", 4, "cannot stand",
			0},
		{141,
			"Sync{Collections{Collection{" KEYS "} Collection{" KEYS
			"WindowSize=9x} Collection{" KEYS "}}}",
			4, "Sync/Collections/Collection[2]/WindowSize: 9x is not a number", 0},
	};

	CHECK_ROWS(Sync, rows);
}

static void test_sync_collection(void)
{
	static const struct row rows[] = {
		{141, SYNC("CollectionId=5 SyncKey=1"), 4, "SyncKey: stands in the wrong order", 0},
		{121, SYNC("CollectionId=5 SyncKey=1"), 4, "wrong order", 0},
		{120, SYNC("CollectionId=5 SyncKey=1"), 0, NULL, 0},
		{25, SYNC("WindowSize=5 GetChanges " KEYS), 0, NULL, 0},
		{141, SYNC(KEYS "WindowSize=5 GetChanges"), 4,
			"Sync/Collections/Collection/GetChanges: stands in the wrong order", 0},
		{141, SYNC("Class=Email " KEYS), 4, "Class: does not exist in this version", 0},
		{121, SYNC("Class=Email " KEYS), 0, NULL, 0},
		{121, SYNC("Class=Notes " KEYS), 4, "Notes is no class", 0},
		{121, SYNC("Class=email " KEYS), 4, "email is no class", 0},
		{141, SYNC("SyncKey=1"), 4, "CollectionId is missing", 0},
		{141, SYNC("CollectionId=1"), 4, "SyncKey is missing", 0},
		{141, SYNC("SyncKey CollectionId=1"), 4, "too short", 0},
		{141,
			SYNC("SyncKey=1 "
			     "CollectionId=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			     "aaaaaaaaaaaaaaaaa"),
			4, "too long", 0},
		{141, SYNC("SyncKey=#31 CollectionId=#35"), 0, NULL, 0},
		{141, SYNC("SyncKey=#ff CollectionId=5"), 4, "is not text", 0},
		{141, SYNC("SyncKey=#3100 CollectionId=5"), 4, "is not text", 0},
		{141, SYNC(KEYS "GetChanges=2"), 4, "2 is not a boolean", 0},
		{141, SYNC(KEYS "GetChanges=#32"), 4, "GetChanges: is not a boolean", 0},
		{141, SYNC(KEYS "WindowSize=600"), 0, NULL, 0},
		{141, SYNC(KEYS "WindowSize=-1"), 4, "not a number", 0},
		{141, SYNC(KEYS "WindowSize=4294967296"), 4, "out of range", 0},
		{141, SYNC(KEYS "WindowSize"), 4, "not a number", 0},
		{141, SYNC(KEYS "WindowSize{GetChanges}"), 4, "has elements in it", 0},
		{141, SYNC("SyncKey=0 CollectionId=5"), 0, NULL, 0},
		{141, SYNC("SyncKey=0 CollectionId=5 GetChanges=0"), 0, NULL, 0},
		{141, SYNC("SyncKey=0 CollectionId=5 GetChanges"), 4, "with SyncKey 0", 0},
		{141, SYNC("SyncKey=0 CollectionId=5 GetChanges=1"), 4, "with SyncKey 0", 0},
		{141, SYNC("SyncKey=0 CollectionId=5 Commands{Fetch{ServerId=1}}"), 4,
			"commands with SyncKey 0", 0},
		{141, SYNC("SyncKey=0 CollectionId=5 Commands"), 0, NULL, 0},
		{25, SYNC(KEYS "NotifyGUID=x"), 0, NULL, 0},
		{120, SYNC(KEYS "NotifyGUID=x"), 4, "version", 0},
		{140, SYNC(KEYS "ConversationMode=1"), 0, NULL, 0},
		{121, SYNC(KEYS "ConversationMode=1"), 4, "version", 0},
		{141,
			SYNC("SyncKey=0 CollectionId=9 Supported{Contacts:FileAs "
			     "Contacts2:NickName}"),
			0, NULL, 0},
		{141, SYNC("SyncKey=0 CollectionId=9 Supported"), 0, NULL, 0},
		{141, SYNC("SyncKey=0 CollectionId=9 Supported{Ping:Id}"), 4, "name of a property",
			0},
		{141, SYNC("SyncKey=0 Supported CollectionId=9"), 4, "wrong order", 0},
	};

	CHECK_ROWS(Sync, rows);
}

static void test_sync_options(void)
{
	static const struct row rows[] = {
		{141, OPTIONS(""), 0, NULL, 0},
		{141, OPTIONS("FilterType=5 Conflict=1 MIMESupport=2 MIMETruncation=8"), 0, NULL,
			0},
		{141, OPTIONS("FilterType=9"), 4, "9 is out of range", 0},
		{141, OPTIONS("Truncation=1"), 4, "version", 0},
		{25, OPTIONS("Truncation=9"), 0, NULL, 0},
		{25, OPTIONS("Truncation=10"), 4, "range", 0},
		{140, OPTIONS("Class=SMS FilterType=2 FilterType=3"), 0, NULL, 0},
		{121, OPTIONS("Class=Email"), 4, "version", 0},
		{141, SYNC(KEYS "Options{FilterType=1} Options{Class=SMS}"), 0, NULL, 0},
		{141, SYNC(KEYS "Options{Class=SMS} Options{Class=Email}"), 0, NULL, 0},
		{141, SYNC(KEYS "Options Options"), 4, "second one for Email", 0},
		{141, SYNC(KEYS "Options{Class=SMS} Options{Class=SMS}"), 4, "second one", 0},
		{141, SYNC(KEYS "Options{Class=SMS} Options{Class=Calendar}"), 4, "second one", 0},
		{141, SYNC(KEYS "Options Options{Class=SMS} Options"), 4,
			"Options[3]: comes too often", 0},
		{141,
			OPTIONS("AirSyncBase:BodyPreference{Type=1 TruncationSize=4294967295 "
				"AllOrNone Preview=255} AirSyncBase:BodyPreference{Type=2}"),
			0, NULL, 0},
		{25, OPTIONS("AirSyncBase:BodyPreference{Type=1}"), 6, "version", 0},
		{121, OPTIONS("AirSyncBase:BodyPreference{Type=1 Preview=3}"), 6, "version", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{TruncationSize=5 Type=1}"), 4, "order",
			0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=1 Type=1}"), 4, "too often", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=1 AllOrNone=2}"), 4,
			"2 is not a boolean", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=1 AllOrNone=1 AllOrNone=1}"), 4,
			"too often", 0},
		{141,
			OPTIONS("AirSyncBase:BodyPreference{Type=1} "
				"AirSyncBase:BodyPreference{Type=1}"),
			4, "repeats a Type", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=5}"), 6, "range", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{TruncationSize=5}"), 6, "Type is missing",
			0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=1 TruncationSize=4294967296}"), 6,
			"range", 0},
		{141, OPTIONS("AirSyncBase:BodyPreference{Type=1 Data=x}"), 6, "cannot stand", 0},
		{141, OPTIONS("AirSyncBase:BodyPartPreference{Type=2 TruncationSize=5}"), 0, NULL,
			0},
		{141, OPTIONS("AirSyncBase:BodyPartPreference{Type=1}"), 164, "range", 0},
		{140, OPTIONS("AirSyncBase:BodyPartPreference{Type=2}"), 6, "version", 0},
		{141, OPTIONS("RightsManagement:RightsManagementSupport=1"), 0, NULL, 0},
		{140, OPTIONS("RightsManagement:RightsManagementSupport=1"), 4, "version", 0},
		{141, SYNC(KEYS "AirSyncBase:BodyPreference{Type=1}"), 6, "cannot stand", 0},
	};
	struct checked r;

	CHECK_ROWS(Sync, rows);
	check_text(
		&r, EAS_CMD_Sync, 141, OPTIONS("FilterType=2 Conflict=0 FilterType=3 MaxItems=9"));
	CHECK_INT(r.rc, 0);
	r.root = r.root->child->child->last_child;
	CHECK_INT(r.root->tag, TAG_AirSync_Options);
	CHECK_INT(eas_get_uint(r.root, TAG_AirSync_FilterType, 0), 3);
	CHECK(wbxml_next(wbxml_find(r.root, TAG_AirSync_FilterType), TAG_AirSync_FilterType) ==
		NULL);
	CHECK_INT(eas_get_uint(r.root, TAG_AirSync_MaxItems, 0), 9);
	arena_free(&r.arena);
}

static void test_sync_commands(void)
{
	static const struct row rows[] = {
		{141, CHANGE("Email:Read=1"), 0, NULL, 0},
		{141, CHANGE("Email:Read"), 0, NULL, 0},
		{141, CHANGE(""), 0, NULL, 0},
		{141, SYNC(KEYS "Commands"), 0, NULL, 0},
		{141, SYNC(KEYS "Commands{Delete{ServerId=5:1} Fetch{ServerId=5:2}}"), 0, NULL, 0},
		{141, SYNC(KEYS "Commands{Delete}"), 4, "ServerId is missing", 0},
		{141, SYNC(KEYS "Commands{SoftDelete{ServerId=1}}"), 4, "cannot stand", 0},
		{141, SYNC(KEYS "Commands{Change{ServerId=1}}"), 4, "ApplicationData is missing",
			0},
		{141, SYNC(KEYS "Commands{Add{ApplicationData}}"), 4, "ClientId is missing", 0},
		{141, SYNC(KEYS "Commands{Add{Class=SMS ClientId=c1 ApplicationData{Email:To=x}}}"),
			0, NULL, 0},
		{121, SYNC(KEYS "Commands{Add{Class=Email ClientId=c ApplicationData}}"), 4,
			"version", 0},
		{161, SYNC(KEYS "Commands{Add{ClientId=c ApplicationData Email2:Send}}"), 0, NULL,
			0},
		{141, SYNC(KEYS "Commands{Add{ClientId=c ApplicationData Email2:Send}}"), 4,
			"version", 0},
		{160,
			SYNC(KEYS "Commands{Delete{ServerId=1 "
				  "AirSyncBase:InstanceId=20100301T120000Z}}"),
			0, NULL, 0},
		{160, SYNC(KEYS "Commands{Delete{ServerId=1 AirSyncBase:InstanceId=soon}}"), 0,
			"Delete/InstanceId: soon is not a date", 1},
		{141, CHANGE("Email:Read=yes"), 0,
			"Change/ApplicationData/Read: yes is not a boolean", 1},
		{141, CHANGE("Email:DisplayTo=x"), 0, "DisplayTo: cannot stand here", 1},
		{141, CHANGE("Email2:ConversationId=#01"), 0, "cannot stand", 1},
		{141, CHANGE("Email:Read=1 Calendar:Subject=x"), 0, "Subject: cannot stand", 1},
		{141, CHANGE("Email:Subject=a_secret_thing Email:Importance=7"), 0, "7 is out", 1},
		{121, CHANGE("Email:Categories{Category=x}"), 0, "version", 1},
		{140, CHANGE("Email:Categories{Category=x Category}"), 0, NULL, 0},
		{25, CHANGE("Email:Flag"), 0, "version", 1},
		{121, CHANGE("Email:Flag"), 0, NULL, 0},
		{141, CHANGE("Email:Flag{Status=2 FlagType=Flag_for_follow_up}"), 0, NULL, 0},
		{141, CHANGE("Email:Flag{Status=3}"), 0, "Flag/Status: 3 is out of range", 1},
		{141, CHANGE("Email:Flag{Status=2 Status=2}"), 0, "too often", 1},
		{141, CHANGE("Email:Flag{Status=1}"), 0, "says not when", 1},
		{141,
			CHANGE("Email:Flag{Status=1 Tasks:DateCompleted=2010-03-01T12:00:00.000Z "
			       "CompleteTime=2010-03-01T12:00:00.000Z}"),
			0, NULL, 0},
		{141, CHANGE("Email:Flag{Status=2 Tasks:StartDate=2010-03-01T12:00:00.000Z}"), 0,
			"some of the four", 1},
		{141,
			CHANGE("Email:Flag{Status=2 Tasks:StartDate=2010-03-01T12:00:00.000Z "
			       "Tasks:UtcStartDate=2010-03-01T12:00:00.000Z "
			       "Tasks:DueDate=2010-03-02T12:00:00.000Z "
			       "Tasks:UtcDueDate=20100302T120000Z}"),
			0, NULL, 0},
		{141,
			CHANGE("Email:Flag{Status=2 Tasks:StartDate=2010-03-01T12:00:00.000Z "
			       "Tasks:UtcStartDate=2010-03-03T12:00:00.000Z "
			       "Tasks:DueDate=2010-03-02T12:00:00.000Z "
			       "Tasks:UtcDueDate=2010-03-02T12:00:00.000Z}"),
			0, "after it is due", 1},
		{141, CHANGE("Email:Flag{Status=2 Tasks:ReminderSet=1}"), 0, "ReminderTime", 1},
		{141, CHANGE("Email:Flag{Status=2 Tasks:ReminderSet=0}"), 0, NULL, 0},
		{141, CHANGE("Email:Flag{Status=2 Tasks:ReminderSet=1 Tasks:ReminderTime=never}"),
			0, "never is not a date", 1},
		{141, CHANGE("AirSyncBase:Body{Type=1 Data=x}"), 0, NULL, 0},
		{141, CHANGE("AirSyncBase:Body{Data=x Type=1}"), 0, "order", 1},
		{141, CHANGE("AirSyncBase:Attachments"), 0, "version", 1},
	};

	CHECK_ROWS(Sync, rows);
}

static void test_sync_items_fail_alone(void)
{
	static const unsigned faults[] = {0, 6, 6, 6};
	struct checked r;
	const struct wbxml_node *item;
	size_t i = 0;

	check_text(&r, EAS_CMD_Sync, 141,
		SYNC(KEYS "Commands{"
			  "Change{ServerId=1 ApplicationData{Email:Read=1}} "
			  "Change{ServerId=2 ApplicationData{Email:Read=x}} "
			  "Add{ClientId=3 ApplicationData{Email2:Sender}} "
			  "Change{ServerId=4 ApplicationData{Email:Flag{Status=9}}}}"));
	CHECK_INT(r.rc, 0);
	CHECK_INT(r.fault.item_faults, 3);
	CHECK_STR(r.fault.text, "Sync/Collections/Collection/Commands/Change[2]/ApplicationData/"
				"Read: x is not a boolean");
	item = r.root->child->child->last_child->child;
	for (; item != NULL; item = item->next)
		CHECK_INT(item->fault, i < 4 ? faults[i++] : 0);
	CHECK_INT(i, 4);
	arena_free(&r.arena);
}

static void test_classes(void)
{
	static const struct row rows[] = {
		{141,
			CHANGE("Calendar:StartTime=20100301T120000Z Calendar:Reminder "
			       "Calendar:BusyStatus=2 Calendar:MeetingStatus=15"),
			0, NULL, 0},
		{140, CHANGE("Calendar:Reminder"), 0, "not a number", 1},
		{141, CHANGE("Calendar:MeetingStatus=2"), 0, "none of the allowed", 1},
		{141, CHANGE("Calendar:BusyStatus=4"), 0, "range", 1},
		{160, CHANGE("Calendar:BusyStatus=4"), 0, NULL, 0},
		{141, CHANGE("Calendar:StartTime=20100301"), 0, "not a date", 1},
		{160, CHANGE("Calendar:StartTime=20100301"), 0, NULL, 0},
		{160, CHANGE("Calendar:UID=x"), 0, "version", 1},
		{160,
			CHANGE("Calendar:ClientUid=x AirSyncBase:Location{DisplayName=x "
			       "Latitude=-1.5e1}"),
			0, NULL, 0},
		{160, CHANGE("AirSyncBase:Location{Latitude=north}"), 0, "not a number", 1},
		{141, CHANGE("Calendar:Timezone=AAAA"), 0, "wrong length", 1},
		{141, CHANGE("Calendar:Timezone=!"), 0, "not base64", 1},
		{141, CHANGE("Calendar:Recurrence{Type=1 DayOfWeek=62 Interval=1}"), 0, NULL, 0},
		{141, CHANGE("Calendar:Recurrence{Type=4}"), 0, "none of the allowed", 1},
		{141, CHANGE("Calendar:Recurrence{Type=1 DayOfMonth=1}"), 0, "fit the Type", 1},
		{141, CHANGE("Calendar:Recurrence{Type=2 DayOfMonth=1 CalendarType=13}"), 0,
			"none of the allowed", 1},
		{141, CHANGE("Calendar:Recurrence{Type=2 DayOfMonth=1 CalendarType=20}"), 0, NULL,
			0},
		{141, CHANGE("Calendar:Recurrence"), 0, "Type is missing", 1},
		{161, CHANGE("Calendar:Recurrence"), 0, NULL, 0},
		{141, CHANGE("Calendar:Exceptions{Exception{Deleted=1}}"), 0, "ExceptionStartTime",
			1},
		{141, CHANGE("Calendar:Attendees{Attendee{Email=a Name=b AttendeeStatus=1}}"), 0,
			"none of the allowed", 1},
		{141,
			CHANGE("Contacts:FileAs Contacts:Birthday Contacts:Picture "
			       "Contacts2:NickName=x"),
			0, NULL, 0},
		{141, CHANGE("Contacts:Birthday=1980"), 0, "not a date", 1},
		{141, CHANGE("Contacts:WeightedRank=1"), 0, "cannot stand", 1},
		{25, CHANGE("Contacts:Body=x Contacts:BodySize=1"), 0, NULL, 0},
		{120, CHANGE("Contacts:Body=x"), 0, "version", 1},
		{141,
			CHANGE("Tasks:Complete=0 Tasks:Recurrence{Type=1 "
			       "Start=2010-03-01T12:00:00.000Z DayOfWeek=2}"),
			0, NULL, 0},
		{141, CHANGE("Tasks:Subject=x"), 0, "Complete is missing", 1},
		{141, CHANGE("Tasks:Complete=0 Tasks:Recurrence{Type=1}"), 0, "Start is missing",
			1},
		{141,
			CHANGE("Tasks:Complete=0 Tasks:Recurrence{Type=2 "
			       "Start=2010-03-01T12:00:00.000Z DayOfWeek=2}"),
			0, "fit the Type", 1},
		{140, CHANGE("Notes:MessageClass=IPM.StickyNote.x"), 0, NULL, 0},
		{140, CHANGE("Notes:MessageClass=IPM.Note"), 0, "IPM.StickyNote", 1},
		{121, CHANGE("Notes:MessageClass=IPM.StickyNote"), 0, "version", 1},
		{160,
			CHANGE("AirSyncBase:Attachments{Add{ClientId=1 Method=1 Content=#00 "
			       "DisplayName=x IsInline} Delete{FileReference=x}}"),
			0, NULL, 0},
		{160,
			CHANGE("AirSyncBase:Attachments{Add{ClientId=1 Method=2 Content=#00 "
			       "DisplayName=x}}"),
			0, "none of the allowed", 1},
	};

	CHECK_ROWS(Sync, rows);
}

TEST_MAIN(TEST(test_sync_root), TEST(test_sync_collection), TEST(test_sync_options),
	TEST(test_sync_commands), TEST(test_sync_items_fail_alone), TEST(test_classes))
