/*
 * Requests read back through the decoder, answers built with the writer, answers that are wrong.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "client/answer.h"
#include "client/request.h"

static struct arena *arena;

static struct arena *shared(void)
{
	if (arena == NULL)
		arena = arena_new(0);
	return arena;
}

static struct wbxml_node *decode(const struct buf *b)
{
	struct wbxml_node *root = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(answer_decode(shared(), b->data, b->len, &root, &err), &err);
	return root;
}

static void done(struct buf *b)
{
	buf_deinit(b);
	arena_free(&arena);
}

static void test_versions(void)
{
	CHECK_INT(version_choose("2.5,12.0,12.1,14.0,14.1,16.0,16.1"), VERSION_161);
	CHECK_INT(version_choose("1.0, 2.0, 2.1, 2.5, 12.0"), VERSION_120);
	CHECK_INT(version_choose("14.1,2.5,99.9"), VERSION_141);
	CHECK_INT(version_choose(""), 0);
	CHECK_INT(version_choose(NULL), 0);
	CHECK_INT(version_choose(",,,"), 0);
	CHECK_INT(version_parse("16.0"), VERSION_160);
	CHECK_INT(version_parse("16"), 0);
	CHECK_INT(version_parse("14.10"), 0);
	CHECK_STR(version_to_str(VERSION_25), "2.5");
	CHECK_STR(version_to_str(7), "?");
	CHECK(version_listed("2.5,14.1", VERSION_141));
	CHECK(!version_listed("2.5,14.1", VERSION_140));
	CHECK(!version_listed("2.5", 0));
}

static void test_queries(void)
{
	struct request_device d = {.user = "d\\anna b@x.org",
		.id = "v140Device",
		.type = "SmartPhone",
		.version = VERSION_140};
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	REQUIRE_OK(request_query(&d, REQUEST_SYNC, false, &b, &err), &err);
	CHECK_STR(buf_cstr(&b),
		"Cmd=Sync&User=d%5Canna%20b%40x.org&DeviceId=v140Device&DeviceType=SmartPhone");
	buf_clear(&b);
	d.version = VERSION_121;
	REQUIRE_OK(request_query(&d, REQUEST_SEND_MAIL, true, &b, &err), &err);
	CHECK(str_ends(buf_cstr(&b), "&SaveInSent=T"));
	buf_clear(&b);
	d.base64 = true;
	d.version = VERSION_120; /* knows no base64 form */
	CHECK(!request_uses_base64(&d));
	done(&b);
}

static void test_base64_query(void)
{
	/* The worked example of [MS-ASHTTP], and our User field behind it. */
	static const uint8_t want[] = {0x8c, 0x00, 0x09, 0x04, 0x0a, 'v', '1', '4', '0', 'D', 'e',
		'v', 'i', 'c', 'e', 0x00, 0x0a, 'S', 'm', 'a', 'r', 't', 'P', 'h', 'o', 'n', 'e',
		0x08, 0x01, 'u'};
	struct request_device d = {.user = "u",
		.id = "v140Device",
		.type = "SmartPhone",
		.version = VERSION_140,
		.base64 = true};
	struct buf b = BUF_INIT, raw = BUF_INIT;
	struct err err = ERR_INIT;
	char longer[300];

	REQUIRE_OK(request_query(&d, REQUEST_SYNC, false, &b, &err), &err);
	REQUIRE(base64_decode(&raw, (const char *)b.data, b.len) == 0);
	CHECK_MEM(raw.data, raw.len, want, sizeof(want));
	buf_clear(&b);
	buf_clear(&raw);
	d.policy_key = 0x01020304;
	d.version = VERSION_121;
	REQUIRE_OK(request_query(&d, REQUEST_SEND_MAIL, true, &b, &err), &err);
	REQUIRE(base64_decode(&raw, (const char *)b.data, b.len) == 0);
	CHECK_INT(raw.data[0], 121);
	CHECK_INT(raw.data[1], 1);
	CHECK_MEM(raw.data + 15, 5, "\x04\x04\x03\x02\x01", 5);
	CHECK_MEM(raw.data + 31, 3, "\x07\x01\x01", 3);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	d.user = longer;
	CHECK(request_query(&d, REQUEST_SYNC, false, &b, &err) < 0);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	buf_deinit(&raw);
	done(&b);
}

static void test_provision_requests(void)
{
	struct request_device_info info = {.model = "m", .os = "Linux"};
	struct buf b = BUF_INIT;
	struct wbxml_node *root, *policy;

	request_provision(VERSION_161, &info, &b);
	root = decode(&b);
	CHECK_INT(root->child->tag, TAG_Settings_DeviceInformation);
	CHECK_STR(wbxml_text(wbxml_find(root->child, TAG_Settings_Set), TAG_Settings_Model), "m");
	buf_clear(&b);
	request_provision(VERSION_25, &info, &b);
	root = decode(&b);
	CHECK_INT(root->child->tag, TAG_Provision_Policies);
	policy = wbxml_find(root->child, TAG_Provision_Policy);
	CHECK_STR(wbxml_text(policy, TAG_Provision_PolicyType), "MS-WAP-Provisioning-XML");
	buf_clear(&b);
	request_provision_ack(VERSION_141, 4294967295u, 2, &b);
	policy = wbxml_find(decode(&b)->child, TAG_Provision_Policy);
	CHECK_STR(wbxml_text(policy, TAG_Provision_PolicyKey), "4294967295");
	CHECK_INT(policy->last_child->tag, TAG_Provision_Status);
	buf_clear(&b);
	request_wipe_ack(true, 1, &b);
	CHECK(wbxml_find(decode(&b), TAG_Provision_AccountOnlyRemoteWipe) != NULL);
	done(&b);
}

/* The tags of the children, in order. */
static void check_order(const struct wbxml_node *node, const unsigned *want, size_t count)
{
	const struct wbxml_node *c = node->child;

	for (size_t i = 0; i < count; i++) {
		CHECK_INT(c == NULL ? 0 : c->tag, want[i]);
		c = c == NULL ? NULL : c->next;
	}
	CHECK(c == NULL);
}

static void test_sync_requests(void)
{
	static const unsigned first_old[] = {TAG_AirSync_Class, TAG_AirSync_SyncKey,
		TAG_AirSync_CollectionId, TAG_AirSync_Options};
	static const unsigned later[] = {TAG_AirSync_SyncKey, TAG_AirSync_CollectionId,
		TAG_AirSync_DeletesAsMoves, TAG_AirSync_GetChanges, TAG_AirSync_WindowSize,
		TAG_AirSync_Options, TAG_AirSync_Commands};
	struct request_change changes[] = {{REQUEST_CHANGE_READ, "1:1", true},
		{REQUEST_CHANGE_FLAG, "1:2", true}, {REQUEST_CHANGE_FLAG, "1:3", false},
		{REQUEST_DELETE, "1:4", false}, {REQUEST_FETCH, "1:5", false}};
	struct request_sync c = {.sync_key = "0",
		.collection_id = "1",
		.body_type = 4,
		.truncation = -1,
		.window = 50,
		.changes = changes,
		.change_count = 5};
	struct buf b = BUF_INIT;
	struct wbxml_node *collection;

	request_sync(VERSION_121, &c, 1, 0, &b);
	check_order(decode(&b)->child->child, first_old, ARRAY_LEN(first_old));
	buf_clear(&b);
	c.sync_key = "k1";
	request_sync(VERSION_161, &c, 1, 300, &b);
	collection = decode(&b)->child->child;
	check_order(collection, later, ARRAY_LEN(later));
	CHECK_STR(wbxml_text(collection, TAG_AirSync_WindowSize), "50");
	CHECK_STR(wbxml_text(collection->parent->parent, TAG_AirSync_HeartbeatInterval), "300");
	buf_clear(&b);
	/* No flags in 2.5; a Commands of nothing else is left out. */
	c.changes = &changes[1];
	c.change_count = 2;
	request_sync(VERSION_25, &c, 1, 300, &b);
	collection = decode(&b)->child->child;
	CHECK(wbxml_find(collection, TAG_AirSync_Commands) == NULL);
	CHECK(wbxml_find(collection->parent->parent, TAG_AirSync_HeartbeatInterval) == NULL);
	buf_clear(&b);
	request_sync(VERSION_121, &c, 1, 30, &b);
	CHECK_STR(wbxml_text(decode(&b), TAG_AirSync_Wait), "1");
	done(&b);
}

static void test_other_requests(void)
{
	struct request_ping_folder folders[] = {{"1", "Email"}, {"7", "Calendar"}};
	struct buf b = BUF_INIT;
	struct wbxml_node *root, *mime;

	request_ping(480, folders, 2, &b);
	root = decode(&b);
	CHECK_STR(wbxml_text(root, TAG_Ping_HeartbeatInterval), "480");
	CHECK_STR(wbxml_text(wbxml_find(root, TAG_Ping_Folders)->last_child, TAG_Ping_Id), "7");
	buf_clear(&b);
	request_send_mail("c1", true, "a\0b", 3, &b);
	root = decode(&b);
	mime = wbxml_find(root, TAG_ComposeMail_Mime);
	REQUIRE(mime != NULL);
	CHECK(mime->opaque);
	CHECK_MEM(mime->text, mime->len, "a\0b", 3);
	buf_clear(&b);
	request_fetch("1", "1:9", 4, &b);
	root = decode(&b);
	CHECK_STR(wbxml_text(root->child, TAG_AirSync_ServerId), "1:9");
	buf_clear(&b);
	request_folder_sync("0", &b);
	CHECK_STR(wbxml_text(decode(&b), TAG_FolderHierarchy_SyncKey), "0");
	CHECK_STR(request_command_to_str(REQUEST_PING), "Ping");
	CHECK_STR(request_command_to_str((enum request_command)99), NULL);
	done(&b);
}

static void test_dates(void)
{
	static const struct {
		const char *text;
		int64_t at;
	} cases[] = {
		{"2010-03-01T12:00:00.000Z", 1267444800},
		{"2010-03-01T12:00:00Z", 1267444800},
		{"20100301T120000Z", 1267444800},
		{"1970-01-01T00:00:01.000Z", 1},
		{"2024-02-29T23:59:60.000Z", 1709251200},
		{"2010-13-01T12:00:00.000Z", 0},
		{"2010-03-01T12:00:00.000", 0},
		{"yesterday", 0},
		{"", 0},
		{NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(answer_date(cases[i].text), cases[i].at);
}

static void add_add(struct wbxml_writer *w, const char *id, const char *mime)
{
	wbxml_start(w, TAG_AirSync_Add);
	if (id != NULL)
		wbxml_add_text(w, TAG_AirSync_ServerId, id);
	wbxml_start(w, TAG_AirSync_ApplicationData);
	wbxml_add_text(w, TAG_Email_Subject, "Hi");
	wbxml_add_text(w, TAG_Email_DateReceived, "2010-03-01T12:00:00.000Z");
	wbxml_add_text(w, TAG_Email_Read, "1");
	wbxml_start(w, TAG_AirSyncBase_Body);
	wbxml_add_text(w, TAG_AirSyncBase_Type, "4");
	wbxml_add_text(w, TAG_AirSyncBase_EstimatedDataSize, "999");
	if (mime != NULL)
		wbxml_add_text(w, TAG_AirSyncBase_Data, mime);
	wbxml_end(w);
	wbxml_end(w);
	wbxml_end(w);
}

static void build_sync(struct buf *b)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, b);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	wbxml_start(&w, TAG_AirSync_Collection);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, "k2");
	wbxml_add_text(&w, TAG_AirSync_CollectionId, "5");
	wbxml_add_text(&w, TAG_AirSync_Status, "1");
	wbxml_add_empty(&w, TAG_AirSync_MoreAvailable);
	wbxml_start(&w, TAG_AirSync_Commands);
	add_add(&w, "5:1", "Subject: Hi\r\n\r\n.");
	add_add(&w, NULL, "no id: skipped");
	add_add(&w, "5:2", NULL);
	wbxml_start(&w, TAG_AirSync_SoftDelete);
	wbxml_add_text(&w, TAG_AirSync_ServerId, "5:3");
	wbxml_end(&w);
	wbxml_add_empty(&w, TAG_AirSync_Fetch); /* not legal here */
	wbxml_end(&w);
	wbxml_start(&w, TAG_AirSync_Responses);
	wbxml_start(&w, TAG_AirSync_Change);
	wbxml_add_text(&w, TAG_AirSync_ServerId, "5:9");
	wbxml_add_text(&w, TAG_AirSync_Status, "7");
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
}

static void test_sync_answers(void)
{
	struct buf b = BUF_INIT;
	struct answer_sync a;
	const struct answer_collection *c;
	struct err err = ERR_INIT;

	build_sync(&b);
	REQUIRE_OK(answer_sync(shared(), decode(&b), &a, &err), &err);
	c = answer_sync_find(&a, "5");
	REQUIRE(c != NULL);
	CHECK(answer_sync_find(&a, "6") == NULL);
	CHECK_STR(c->sync_key, "k2");
	CHECK(c->more);
	REQUIRE(c->item_count == 3);
	CHECK_INT(c->items[0].kind, ANSWER_ADD);
	CHECK_STR(c->items[0].mail.subject, "Hi");
	CHECK_INT(c->items[0].mail.received_at, 1267444800);
	CHECK(c->items[0].mail.read && !c->items[0].mail.truncated);
	CHECK_INT(c->items[0].mail.body_type, 4);
	CHECK(c->items[1].mail.truncated && c->items[1].mail.data == NULL);
	CHECK_INT(c->items[2].kind, ANSWER_SOFT_DELETE);
	REQUIRE(c->response_count == 1);
	CHECK_INT(c->responses[0].status, 7);
	done(&b);
}

static void test_folder_answers(void)
{
	struct buf b = BUF_INIT;
	struct wbxml_writer w;
	struct answer_folders a;
	struct err err = ERR_INIT;

	wbxml_writer_init(&w, &b);
	wbxml_start(&w, TAG_FolderHierarchy_FolderSync);
	wbxml_add_text(&w, TAG_FolderHierarchy_Status, "1");
	wbxml_add_text(&w, TAG_FolderHierarchy_SyncKey, "f1");
	wbxml_start(&w, TAG_FolderHierarchy_Changes);
	wbxml_add_text(&w, TAG_FolderHierarchy_Count, "2");
	wbxml_start(&w, TAG_FolderHierarchy_Add);
	wbxml_add_text(&w, TAG_FolderHierarchy_ServerId, "1");
	wbxml_add_text(&w, TAG_FolderHierarchy_DisplayName, "Inbox");
	wbxml_add_text(&w, TAG_FolderHierarchy_Type, "2");
	wbxml_end(&w);
	wbxml_start(&w, TAG_FolderHierarchy_Delete);
	wbxml_add_text(&w, TAG_FolderHierarchy_ServerId, "4");
	wbxml_end(&w);
	wbxml_add_empty(&w, TAG_FolderHierarchy_Update);
	wbxml_end(&w);
	wbxml_end(&w);
	REQUIRE_OK(answer_folders(shared(), decode(&b), &a, &err), &err);
	CHECK_INT(a.added_count, 1);
	CHECK_STR(a.added[0].parent_id, "0");
	CHECK_INT(a.added[0].type, 2);
	CHECK_INT(a.deleted_count, 1);
	CHECK_INT(a.updated_count, 0);
	CHECK(answer_folders(shared(), NULL, &a, &err) < 0);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	done(&b);
}

static void test_policy_answers(void)
{
	struct buf b = BUF_INIT;
	struct wbxml_writer w;
	struct answer_provision a;
	struct err err = ERR_INIT;

	wbxml_writer_init(&w, &b);
	wbxml_start(&w, TAG_Provision_Provision);
	wbxml_add_text(&w, TAG_Provision_Status, "1");
	wbxml_start(&w, TAG_Provision_Policies);
	wbxml_start(&w, TAG_Provision_Policy);
	wbxml_add_text(&w, TAG_Provision_Status, "1");
	wbxml_add_text(&w, TAG_Provision_PolicyKey, "77");
	wbxml_start(&w, TAG_Provision_Data);
	wbxml_start(&w, TAG_Provision_EASProvisionDoc);
	wbxml_add_text(&w, TAG_Provision_DevicePasswordEnabled, "1");
	wbxml_add_text(&w, TAG_Provision_MaxEmailAgeFilter, "3");
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_add_empty(&w, TAG_Provision_RemoteWipe);
	wbxml_end(&w);
	REQUIRE_OK(answer_provision(decode(&b), &a, &err), &err);
	CHECK_INT(a.policy_key, 77);
	CHECK(a.wants_password && !a.wants_encryption && a.remote_wipe && !a.account_only_wipe);
	CHECK_INT(a.max_filter, 3);
	done(&b);
}

static void test_wap_policy(void)
{
	static const struct {
		const char *text;
		bool password;
	} cases[] = {
		{"<characteristic type=\"SecurityPolicy\"><parm name=\"4131\" value=\"0\"/>", true},
		{"<characteristic type='SecurityPolicy'><parm name='4131' value='1'/>", false},
		{"<parm name=\"4131\"", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		struct wbxml_writer w;
		struct answer_provision a;
		struct err err = ERR_INIT;

		wbxml_writer_init(&w, &b);
		wbxml_start(&w, TAG_Provision_Provision);
		wbxml_start(&w, TAG_Provision_Policies);
		wbxml_start(&w, TAG_Provision_Policy);
		wbxml_add_text(&w, TAG_Provision_Data, cases[i].text);
		wbxml_end(&w);
		wbxml_end(&w);
		wbxml_end(&w);
		REQUIRE_OK(answer_provision(decode(&b), &a, &err), &err);
		CHECK_INT(a.wants_password, cases[i].password);
		CHECK_INT(a.status, 0);
		done(&b);
	}
}

static void test_ping_answers(void)
{
	struct buf b = BUF_INIT;
	struct wbxml_writer w;
	struct answer_ping a;
	struct answer_mail mail;
	struct err err = ERR_INIT;
	unsigned status;

	wbxml_writer_init(&w, &b);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_add_text(&w, TAG_Ping_Status, "2");
	wbxml_start(&w, TAG_Ping_Folders);
	wbxml_add_text(&w, TAG_Ping_Folder, "5");
	wbxml_add_empty(&w, TAG_Ping_Folder);
	wbxml_end(&w);
	wbxml_end(&w);
	REQUIRE_OK(answer_ping(shared(), decode(&b), &a, &err), &err);
	CHECK_INT(answer_status(decode(&b)), 2);
	CHECK_INT(a.folder_count, 1);
	CHECK_STR(a.folders[0], "5");
	CHECK(answer_fetch(decode(&b), &status, &mail, &err) < 0);
	buf_clear(&b);
	wbxml_writer_init(&w, &b);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_add_text(&w, TAG_Ping_Status, "99999999999999999999");
	wbxml_end(&w);
	CHECK(answer_ping(shared(), decode(&b), &a, &err) < 0);
	CHECK_STR(answer_common_text(142), "device not provisioned");
	CHECK_STR(answer_common_text(2), NULL);
	done(&b);
}

TEST_MAIN(TEST(test_versions), TEST(test_queries), TEST(test_base64_query),
	TEST(test_provision_requests), TEST(test_sync_requests), TEST(test_other_requests),
	TEST(test_dates), TEST(test_sync_answers), TEST(test_folder_answers),
	TEST(test_policy_answers), TEST(test_wap_policy), TEST(test_ping_answers))
