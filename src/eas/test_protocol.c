/* The command table, versions, and the forms in which a Status reaches a client. */
#include "base/mem.h"
#include "base/test.h"
#include "eas/protocol.h"
#include "eas/status.h"
#include "wbxml/wbxml.h"

static void test_codes_are_the_published_ones(void)
{
	static const char *const names[] = {[0] = "Sync",
		[1] = "SendMail",
		[2] = "SmartForward",
		[3] = "SmartReply",
		[4] = "GetAttachment",
		[9] = "FolderSync",
		[10] = "FolderCreate",
		[11] = "FolderDelete",
		[12] = "FolderUpdate",
		[13] = "MoveItems",
		[14] = "GetItemEstimate",
		[15] = "MeetingResponse",
		[16] = "Search",
		[17] = "Settings",
		[18] = "Ping",
		[19] = "ItemOperations",
		[20] = "Provision",
		[21] = "ResolveRecipients",
		[22] = "ValidateCert",
		[23] = "Find"};

	for (unsigned code = 0; code < 300; code++) {
		enum eas_command command = eas_command_from_code(code);

		if (code >= ARRAY_LEN(names) || names[code] == NULL) {
			CHECK_INT(command, EAS_CMD_NONE);
			continue;
		}
		CHECK_STR(eas_command_info(command)->name, names[code]);
		CHECK_INT(eas_command_find(names[code]), command);
	}
	CHECK_INT(eas_command_find("fOLDERsYNC"), EAS_CMD_FolderSync);
	CHECK_INT(eas_command_find("OPTIONS"), EAS_CMD_NONE);
	CHECK_INT(eas_command_find("GetHierarchy"), EAS_CMD_GetHierarchy);
	CHECK_INT(eas_command_find(""), EAS_CMD_NONE);
	CHECK_STR(eas_command_info((enum eas_command)9999)->name, "none");
}

static void test_roots_have_the_commands_name(void)
{
	for (unsigned c = EAS_CMD_OPTIONS + 1; c < EAS_CMD_COUNT; c++) {
		const struct eas_command_info *info = eas_command_info((enum eas_command)c);
		char name[64];

		if (info->root == 0)
			continue;
		wbxml_tag_to_str(info->root, name, sizeof(name));
		CHECK_STR(strchr(name, ':') + 1, info->name);
		wbxml_tag_to_str(info->status, name, sizeof(name));
		CHECK_STR(strchr(name, ':') + 1, "Status");
		CHECK_INT(info->root >> 8, info->status >> 8);
	}
}

static void test_only_what_works_is_advertised(void)
{
	struct buf out = BUF_INIT;

	eas_add_commands(&out, true);
	CHECK_STR(buf_cstr(&out),
		"Sync,SendMail,SmartForward,SmartReply,GetAttachment,FolderSync,FolderCreate,FolderDelete,FolderUpdate,MoveItems,GetItemEstimate,Settings,Ping,ItemOperations,Provision");
	buf_deinit(&out);
}

static void test_versions(void)
{
	CHECK_INT(eas_version_parse("2.5"), 25);
	CHECK_INT(eas_version_parse(" 16.1 "), 161);
	CHECK_INT(eas_version_parse("14"), 0);
	CHECK_INT(eas_version_parse("14.10"), 0);
	CHECK_INT(eas_version_parse("14.1,16.0"), 0);
	CHECK_INT(eas_version_parse("14.1 16.0"), 0);
	CHECK_INT(eas_version_parse(""), 0);
	CHECK_INT(eas_version_parse("1.0"), 0);
	CHECK_INT(eas_version_parse("14.111111111111111111111111"), 0);
	for (const uint8_t *v = eas_versions(); *v != 0; v++) {
		CHECK(eas_version_known(*v));
		CHECK_INT(eas_version_parse(eas_version_to_str(*v)), *v);
	}
	CHECK_STR(eas_version_to_str(123), "unknown");
	CHECK(!eas_command_in_version(EAS_CMD_ItemOperations, 25));
	CHECK(eas_command_in_version(EAS_CMD_ItemOperations, 120));
	CHECK(!eas_command_in_version(EAS_CMD_GetAttachment, 140));
	CHECK(eas_command_in_version(EAS_CMD_Find, 161));
	CHECK(!eas_command_in_version(EAS_CMD_Find, 160));
}

static void test_outcomes(void)
{
	static const struct {
		enum eas_command command;
		unsigned version, status;
		bool key;
		bool wbxml;
		unsigned http;
	} rows[] = {
		{EAS_CMD_Sync, 25, 4, true, true, 200},
		{EAS_CMD_Sync, 161, 4, true, true, 200},
		{EAS_CMD_Sync, 121, 142, true, false, 449},
		{EAS_CMD_Sync, 140, 142, true, true, 200},
		{EAS_CMD_Sync, 121, 140, true, false, 449},
		{EAS_CMD_Sync, 121, 140, false, false, 403},
		{EAS_CMD_FolderSync, 25, 126, true, false, 403},
		{EAS_CMD_GetItemEstimate, 121, 103, true, false, 400},
		{EAS_CMD_GetItemEstimate, 141, 103, true, true, 200},
		{EAS_CMD_SendMail, 121, 106, true, false, 500},
		{EAS_CMD_Sync, 121, 106, true, false, 400},
		{EAS_CMD_Provision, 121, 132, true, false, 500},
		{EAS_CMD_Sync, 121, 132, true, false, 403},
		{EAS_CMD_Sync, 121, 113, true, false, 507},
		{EAS_CMD_Sync, 121, 111, true, false, 503},
		{EAS_CMD_NONE, 141, 137, true, false, 501},
		{EAS_CMD_GetAttachment, 141, 138, true, false, 400},
		{EAS_CMD_Sync, 0, 138, true, false, 400},
		{EAS_CMD_Find, 141, 137, true, false, 501},
		{EAS_CMD_Find, 161, 137, true, true, 200},
		{EAS_CMD_Sync, 25, 199, true, false, 500},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct eas_outcome o = eas_status_outcome(
			rows[i].command, rows[i].version, rows[i].status, rows[i].key);

		CHECK_INT(o.wbxml, rows[i].wbxml);
		CHECK_INT(o.http, rows[i].http);
		CHECK_INT(o.status, rows[i].wbxml ? rows[i].status : 0);
	}
	CHECK_STR(eas_status_to_str(103), "INVALID_XML");
	CHECK_STR(eas_status_to_str(4), "");
	CHECK_STR(eas_status_to_str(158), "");
}

static void test_status_of_errors(void)
{
	CHECK_INT(eas_status_of_err(EAS_CMD_Sync, 141, ERR_BACKEND), 5);
	CHECK_INT(eas_status_of_err(EAS_CMD_Sync, 141, ERR_BUSY), 16);
	CHECK_INT(eas_status_of_err(EAS_CMD_Sync, 120, ERR_BUSY), 5);
	CHECK_INT(eas_status_of_err(EAS_CMD_Ping, 25, ERR_INTERNAL), 8);
	CHECK_INT(eas_status_of_err(EAS_CMD_SendMail, 141, ERR_BUSY), 111);
	CHECK_INT(eas_status_of_err(EAS_CMD_SendMail, 141, ERR_INTERNAL), 110);
	CHECK_INT(eas_status_of_err(EAS_CMD_FolderSync, 141, ERR_BAD_INPUT), 10);
	CHECK_INT(eas_status_of_err(EAS_CMD_FolderSync, 141, ERR_QUOTA), 113);
	CHECK_INT(eas_status_of_err(EAS_CMD_FolderSync, 141, ERR_DENIED), 130);
}

static void check_document(enum eas_command command, enum eas_place place, unsigned status,
	uint64_t limit, const char *want)
{
	static const struct wbxml_limits limits = {.depth = 8, .nodes = 20, .text_bytes = 20};
	struct arena *arena = arena_new(0);
	struct buf out = BUF_INIT, text = BUF_INIT;
	struct wbxml_node *root;
	struct err err = ERR_INIT;

	eas_status_write(&out, command, place, status, limit);
	REQUIRE_OK(wbxml_decode(arena, out.data, out.len, &limits, &root, &err), &err);
	wbxml_dump(root, false, &text);
	CHECK_STR(buf_cstr(&text), want);
	buf_deinit(&out);
	buf_deinit(&text);
	arena_free(&arena);
}

static void test_status_documents(void)
{
	check_document(EAS_CMD_Sync, EAS_PLACE_ROOT, 15, 1000,
		"<AirSync:Sync>\n  <AirSync:Status>15</AirSync:Status>\n"
		"  <AirSync:Limit>1000</AirSync:Limit>\n</AirSync:Sync>\n");
	check_document(EAS_CMD_Sync, EAS_PLACE_ROOT, 4, 1000,
		"<AirSync:Sync>\n  <AirSync:Status>4</AirSync:Status>\n</AirSync:Sync>\n");
	check_document(EAS_CMD_Ping, EAS_PLACE_ROOT, 6, 7,
		"<Ping:Ping>\n  <Ping:Status>6</Ping:Status>\n"
		"  <Ping:MaxFolders>7</Ping:MaxFolders>\n</Ping:Ping>\n");
	check_document(EAS_CMD_MeetingResponse, EAS_PLACE_ROOT, 103, 0,
		"<MeetingResponse:MeetingResponse>\n  <MeetingResponse:Result>\n"
		"    <MeetingResponse:Status>103</MeetingResponse:Status>\n"
		"  </MeetingResponse:Result>\n</MeetingResponse:MeetingResponse>\n");
	check_document(EAS_CMD_Search, EAS_PLACE_STORE, 2, 0,
		"<Search:Search>\n  <Search:Status>1</Search:Status>\n  <Search:Response>\n"
		"    <Search:Store>\n      <Search:Status>2</Search:Status>\n    </Search:Store>\n"
		"  </Search:Response>\n</Search:Search>\n");
}

TEST_MAIN(TEST(test_codes_are_the_published_ones), TEST(test_roots_have_the_commands_name),
	TEST(test_only_what_works_is_advertised), TEST(test_versions), TEST(test_outcomes),
	TEST(test_status_of_errors), TEST(test_status_documents))
