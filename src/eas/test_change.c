/*
 * FolderCreate, FolderUpdate, FolderDelete and MoveItems when writing fails: nothing or everything,
 * and the same request afterwards does it once.
 */
#include "eas/test_eas_util.h"

static const char config[] = "[policy]\nrequired = no\n";

struct traveller {
	struct phone phone;
	char key[20], folder[24], item[48];
};

static const char *answer_text(const struct traveller *t, unsigned tag)
{
	const char *text = wbxml_text(t->phone.root, tag);

	return text != NULL ? text : "";
}

static void folder_sync(struct traveller *t, const char *key)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_FolderHierarchy_FolderSync);
	wbxml_add_text(&w, TAG_FolderHierarchy_SyncKey, key);
	wbxml_end(&w);
	phone_send(&t->phone, "FolderSync", &body);
	REQUIRE(root_status(&t->phone, TAG_FolderHierarchy_Status) == 1);
	(void)snprintf(t->key, sizeof(t->key), "%s", answer_text(t, TAG_FolderHierarchy_SyncKey));
}

static unsigned told(struct traveller *t)
{
	const struct wbxml_node *changes;

	folder_sync(t, t->key);
	changes = wbxml_find(t->phone.root, TAG_FolderHierarchy_Changes);
	return (unsigned)strtoul(wbxml_text(changes, TAG_FolderHierarchy_Count), NULL, 10);
}

static unsigned change(struct traveller *t, const char *command, unsigned tag, const char *name)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;
	bool create = strcmp(command, "FolderCreate") == 0;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, tag);
	wbxml_add_text(&w, TAG_FolderHierarchy_SyncKey, t->key);
	if (!create)
		wbxml_add_text(&w, TAG_FolderHierarchy_ServerId, t->folder);
	if (name != NULL) {
		wbxml_add_text(&w, TAG_FolderHierarchy_ParentId, "0");
		wbxml_add_text(&w, TAG_FolderHierarchy_DisplayName, name);
	}
	if (create)
		wbxml_add_text(&w, TAG_FolderHierarchy_Type, "12");
	wbxml_end(&w);
	phone_send(&t->phone, command, &body);
	return root_status(&t->phone, TAG_FolderHierarchy_Status);
}

/* The n-th write fails, for n = 1, 2, ... until none does. */
static void change_at_last(struct traveller *t, const char *command, unsigned tag, const char *name)
{
	struct store *store = t->phone.w->store;

	for (unsigned n = 1;; n++) {
		unsigned status;

		REQUIRE(n < 100);
		store_fail_after(store, n, ERR_BACKEND);
		status = change(t, command, tag, name);
		store_fail_after(store, 0, ERR_NONE);
		if (status == 1)
			break;
		CHECK_INT(status, 6);
		CHECK_STR(answer_text(t, TAG_FolderHierarchy_SyncKey), "");
	}
	(void)snprintf(t->key, sizeof(t->key), "%s", answer_text(t, TAG_FolderHierarchy_SyncKey));
}

static void test_folders(void)
{
	struct world *w = world_new(config);
	struct traveller t = {{.w = w, .login = "anna", .device_id = "one", .version = "14.1"}};
	struct traveller o = {{.w = w, .login = "anna", .device_id = "two", .version = "2.5"}};

	folder_sync(&t, "0");
	folder_sync(&o, "0");
	change_at_last(&t, "FolderCreate", TAG_FolderHierarchy_FolderCreate, "New");
	(void)snprintf(
		t.folder, sizeof(t.folder), "%s", answer_text(&t, TAG_FolderHierarchy_ServerId));
	CHECK_INT(told(&t), 0);
	CHECK_INT(told(&o), 1);
	change_at_last(&t, "FolderUpdate", TAG_FolderHierarchy_FolderUpdate, "Newer");
	CHECK_INT(told(&t), 0);
	CHECK_INT(told(&o), 1);
	change_at_last(&t, "FolderDelete", TAG_FolderHierarchy_FolderDelete, NULL);
	CHECK_INT(told(&t), 0);
	CHECK_INT(told(&o), 1);
	CHECK_INT(told(&o), 0);
	phone_forget(&t.phone);
	phone_forget(&o.phone);
	world_free(&w);
}

/* The answer got lost, the disk is full by now: the phone hears what was done all the same, and
 * goes on from there. */
static void test_repeated_on_full_disk(void)
{
	struct world *w = world_new(config);
	struct traveller t = {{.w = w, .login = "anna", .device_id = "one", .version = "14.1"}};
	char key[20];

	folder_sync(&t, "0");
	CHECK_INT(change(&t, "FolderCreate", TAG_FolderHierarchy_FolderCreate, "New"), 1);
	(void)snprintf(key, sizeof(key), "%s", answer_text(&t, TAG_FolderHierarchy_SyncKey));
	(void)snprintf(
		t.folder, sizeof(t.folder), "%s", answer_text(&t, TAG_FolderHierarchy_ServerId));
	store_fail_after(w->store, 1, ERR_QUOTA);
	CHECK_INT(change(&t, "FolderCreate", TAG_FolderHierarchy_FolderCreate, "New"), 1);
	CHECK_STR(answer_text(&t, TAG_FolderHierarchy_SyncKey), key);
	CHECK_STR(answer_text(&t, TAG_FolderHierarchy_ServerId), t.folder);
	/* What was not done before is not done now. */
	store_fail_after(w->store, 1, ERR_QUOTA);
	(void)snprintf(t.key, sizeof(t.key), "%s", key);
	CHECK(change(&t, "FolderCreate", TAG_FolderHierarchy_FolderCreate, "Newest") != 1);
	store_fail_after(w->store, 0, ERR_NONE);
	CHECK_INT(change(&t, "FolderUpdate", TAG_FolderHierarchy_FolderUpdate, "Newer"), 1);
	phone_forget(&t.phone);
	world_free(&w);
}

static unsigned deletions(struct traveller *t)
{
	const struct wbxml_node *changes;
	unsigned count = 0;

	folder_sync(t, t->key);
	changes = wbxml_find(t->phone.root, TAG_FolderHierarchy_Changes);
	for (const struct wbxml_node *n = changes->child; n != NULL; n = n->next)
		count += n->tag == TAG_FolderHierarchy_Delete;
	return count;
}

/* A phone that comes back after its deletions were forgotten is told of them all the same, once. */
static void test_forgotten(void)
{
	struct world *w = world_new(config);
	struct traveller t = {{.w = w, .login = "anna", .device_id = "one", .version = "14.1"}};
	struct traveller o = {{.w = w, .login = "anna", .device_id = "two", .version = "16.1"}};
	struct err err = ERR_INIT;

	folder_sync(&t, "0");
	change_at_last(&t, "FolderCreate", TAG_FolderHierarchy_FolderCreate, "New");
	(void)snprintf(
		t.folder, sizeof(t.folder), "%s", answer_text(&t, TAG_FolderHierarchy_ServerId));
	folder_sync(&o, "0");
	change_at_last(&t, "FolderDelete", TAG_FolderHierarchy_FolderDelete, NULL);
	CHECK(store_sweep(w->store, START_AT + 1, 1000, &err) >= 0);
	CHECK_INT(deletions(&o), 1);
	CHECK_INT(deletions(&o), 0);
	CHECK_INT(deletions(&t), 0);
	phone_forget(&t.phone);
	phone_forget(&o.phone);
	world_free(&w);
}

static const char *sole_item(struct traveller *t, const char *folder)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct folder_id id = {strtoull(folder, NULL, 10)};
	struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	struct item_row *rows;
	struct err err = ERR_INIT;
	size_t count;

	REQUIRE_OK(store_read_begin(t->phone.w->store, &rd, &err), &err);
	REQUIRE_OK(store_item_scan(rd, t->phone.w->anna, id, start, INT64_MIN, 10, t->phone.arena,
			   &rows, &count, &err),
		&err);
	if (count != 1)
		return "";
	(void)snprintf(
		t->item, sizeof(t->item), "%s:%llu", folder, (unsigned long long)rows[0].id.v);
	return t->item;
}

static const struct wbxml_node *move(
	struct traveller *t, const char *item, const char *from, const char *to)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_Move_MoveItems);
	wbxml_start(&w, TAG_Move_Move);
	wbxml_add_text(&w, TAG_Move_SrcMsgId, item);
	wbxml_add_text(&w, TAG_Move_SrcFldId, from);
	wbxml_add_text(&w, TAG_Move_DstFldId, to);
	wbxml_end(&w);
	wbxml_end(&w);
	phone_send(&t->phone, "MoveItems", &body);
	return wbxml_find(t->phone.root, TAG_Move_Response);
}

static void test_moves(void)
{
	struct world *w = world_new(config);
	struct traveller t = {{.w = w, .login = "anna", .device_id = "one", .version = "14.1"}};
	char item[48];

	folder_sync(&t, "0");
	deliver(w, w->anna, "x");
	(void)snprintf(item, sizeof(item), "%s", sole_item(&t, "1"));
	CHECK_STR(item, "1:1");
	for (unsigned n = 1;; n++) {
		const struct wbxml_node *response;

		REQUIRE(n < 100);
		store_fail_after(w->store, n, ERR_BACKEND);
		response = move(&t, item, "1", "3");
		store_fail_after(w->store, 0, ERR_NONE);
		if (response != NULL) {
			CHECK_STR(wbxml_text(response, TAG_Move_Status), "3");
			CHECK_STR(wbxml_text(response, TAG_Move_DstMsgId), "3:1");
			break;
		}
		CHECK_INT(root_status(&t.phone, TAG_Move_Status), 111);
		CHECK_STR(sole_item(&t, "1"), item);
		CHECK_STR(sole_item(&t, "3"), "");
	}
	CHECK_STR(wbxml_text(move(&t, item, "1", "3"), TAG_Move_DstMsgId), "3:1");
	CHECK_STR(sole_item(&t, "3"), "3:1");
	CHECK_STR(sole_item(&t, "1"), "");
	phone_forget(&t.phone);
	world_free(&w);
}

TEST_MAIN(TEST(test_folders), TEST(test_repeated_on_full_disk), TEST(test_forgotten),
	TEST(test_moves))
