/* Sync of mail, driven through eas_handle(): keys, windows, filters, changes of several phones. */
#include "eas/test_eas_util.h"

#define CONFIG "[policy]\nrequired = no\n"

struct collection_request {
	const char *folder;
	char *key; /* updated from the answer */
	int window, filter;
	bool has_filter;
	const char *delete_id, *read_id; /* commands */
	bool read_value, final_delete;
};

static void encode_commands(struct wbxml_writer *w, const struct collection_request *r)
{
	if (r->delete_id == NULL && r->read_id == NULL)
		return;
	wbxml_start(w, TAG_AirSync_Commands);
	if (r->read_id != NULL) {
		wbxml_start(w, TAG_AirSync_Change);
		wbxml_add_text(w, TAG_AirSync_ServerId, r->read_id);
		wbxml_start(w, TAG_AirSync_ApplicationData);
		wbxml_add_bool(w, TAG_Email_Read, r->read_value);
		wbxml_end(w);
		wbxml_end(w);
	}
	if (r->delete_id != NULL) {
		wbxml_start(w, TAG_AirSync_Delete);
		wbxml_add_text(w, TAG_AirSync_ServerId, r->delete_id);
		wbxml_end(w);
	}
	wbxml_end(w);
}

static struct wbxml_node *sync_once(struct phone *p, struct collection_request r)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;
	struct wbxml_node *collection;
	const char *key;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	wbxml_start(&w, TAG_AirSync_Collection);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, r.key);
	wbxml_add_text(&w, TAG_AirSync_CollectionId, r.folder);
	if (r.final_delete)
		wbxml_add_bool(&w, TAG_AirSync_DeletesAsMoves, false);
	if (r.window > 0)
		wbxml_add_uint(&w, TAG_AirSync_WindowSize, (uint64_t)r.window);
	if (r.has_filter) {
		wbxml_start(&w, TAG_AirSync_Options);
		wbxml_add_uint(&w, TAG_AirSync_FilterType, (uint64_t)r.filter);
		wbxml_end(&w);
	}
	encode_commands(&w, &r);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	phone_send(p, "Sync", &body);
	CHECK_INT(p->reply.status, 200);
	collection =
		wbxml_find(wbxml_find(p->root, TAG_AirSync_Collections), TAG_AirSync_Collection);
	key = wbxml_text(collection, TAG_AirSync_SyncKey);
	if (key != NULL)
		(void)snprintf(r.key, 20, "%s", key);
	return collection;
}

static size_t count_commands(const struct wbxml_node *collection, unsigned tag)
{
	const struct wbxml_node *n = wbxml_find(wbxml_find(collection, TAG_AirSync_Commands), tag);
	size_t count = 0;

	for (; n != NULL; n = wbxml_next(n, tag))
		count++;
	return count;
}

static void find_folders(struct world *w, char inbox[24], char trash[24])
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(rd, w->anna, FOLDER_INBOX, arena, &folder, &err), &err);
	(void)snprintf(inbox, 24, "%llu", (unsigned long long)folder->id.v);
	REQUIRE_OK(store_folder_by_type(rd, w->anna, FOLDER_DELETED, arena, &folder, &err), &err);
	(void)snprintf(trash, 24, "%llu", (unsigned long long)folder->id.v);
	store_read_end(&rd);
}

/* A fresh phone that has listed the Inbox. */
static struct phone phone_with_inbox(struct world *w, const char *device_id, const char *inbox)
{
	struct phone p = {.w = w,
		.login = "anna",
		.device_id = device_id,
		.version = "14.1",
		.inbox_key = "0"};

	(void)sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key});
	while (wbxml_find(sync_once(&p,
				  (struct collection_request){.folder = inbox, .key = p.inbox_key}),
		       TAG_AirSync_MoreAvailable) != NULL)
		;
	return p;
}

static void test_windows(void)
{
	struct world *w = world_new(CONFIG);
	struct phone p = {
		.w = w, .login = "anna", .device_id = "one", .version = "14.1", .inbox_key = "0"};
	char inbox[24], trash[24];
	struct wbxml_node *c;
	size_t total = 0, rounds = 0;

	find_folders(w, inbox, trash);
	for (int i = 0; i < 25; i++)
		deliver(w, w->anna, "message");
	c = sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key});
	CHECK_STR(wbxml_text(c, TAG_AirSync_Status), "1");
	CHECK(wbxml_find(c, TAG_AirSync_Commands) == NULL);
	do {
		c = sync_once(&p, (struct collection_request){
					  .folder = inbox, .key = p.inbox_key, .window = 10});
		total += count_commands(c, TAG_AirSync_Add);
		rounds++;
	} while (c != NULL && wbxml_find(c, TAG_AirSync_MoreAvailable) != NULL && rounds < 10);
	CHECK_INT(total, 25);
	CHECK_INT(rounds, 3);
	CHECK(sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key}) ==
		NULL);
	CHECK_INT(p.reply.body.len, 0);
	phone_forget(&p);
	world_free(&w);
}

static void test_lost_answer(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24], old[20], lost[20];
	struct phone p;

	find_folders(w, inbox, trash);
	p = phone_with_inbox(w, "one", inbox);
	(void)snprintf(old, sizeof(old), "%s", p.inbox_key);
	deliver(w, w->anna, "first");
	CHECK_INT(count_commands(sync_once(&p, (struct collection_request){.folder = inbox,
						       .key = p.inbox_key}),
			  TAG_AirSync_Add),
		1);
	(void)snprintf(lost, sizeof(lost), "%s", p.inbox_key);
	(void)snprintf(p.inbox_key, 20, "%s", old);
	deliver(w, w->anna, "second");
	CHECK_INT(count_commands(sync_once(&p, (struct collection_request){.folder = inbox,
						       .key = p.inbox_key}),
			  TAG_AirSync_Add),
		2);
	/* The answer was only late: its key still works, and knows of the second message. */
	CHECK_INT(count_commands(
			  sync_once(&p, (struct collection_request){.folder = inbox, .key = lost}),
			  TAG_AirSync_Add),
		1);
	(void)snprintf(p.inbox_key, 20, "%s", "00000000deadbeef");
	CHECK_STR(wbxml_text(sync_once(&p, (struct collection_request){.folder = inbox,
						   .key = p.inbox_key}),
			  TAG_AirSync_Status),
		"3");
	phone_forget(&p);
	world_free(&w);
}

static void test_read_is_not_echoed(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24], id[64], old[20];
	struct wbxml_node *c, *change;
	struct phone p, q;

	find_folders(w, inbox, trash);
	deliver(w, w->anna, "first");
	p = phone_with_inbox(w, "one", inbox);
	q = phone_with_inbox(w, "two", inbox);
	(void)snprintf(id, sizeof(id), "%s:1", inbox);
	(void)snprintf(old, sizeof(old), "%s", p.inbox_key);
	c = sync_once(&p,
		(struct collection_request){
			.folder = inbox, .key = p.inbox_key, .read_id = id, .read_value = true});
	CHECK_STR(wbxml_text(c, TAG_AirSync_Status), "1");
	CHECK(wbxml_find(c, TAG_AirSync_Commands) == NULL &&
		wbxml_find(c, TAG_AirSync_Responses) == NULL);
	CHECK(sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key}) ==
		NULL);
	c = sync_once(&q, (struct collection_request){.folder = inbox, .key = q.inbox_key});
	change = wbxml_find(wbxml_find(c, TAG_AirSync_Commands), TAG_AirSync_Change);
	CHECK_STR(wbxml_text(wbxml_find(change, TAG_AirSync_ApplicationData), TAG_Email_Read), "1");
	CHECK(wbxml_find(wbxml_find(change, TAG_AirSync_ApplicationData), TAG_Email_Subject) ==
		NULL);
	/* The same request once more, with the key before: done already, nothing to say but a key.
	 */
	c = sync_once(&p, (struct collection_request){
				  .folder = inbox, .key = old, .read_id = id, .read_value = true});
	CHECK_STR(wbxml_text(c, TAG_AirSync_Status), "1");
	CHECK(wbxml_find(c, TAG_AirSync_Commands) == NULL &&
		wbxml_find(c, TAG_AirSync_Responses) == NULL);
	phone_forget(&p);
	phone_forget(&q);
	world_free(&w);
}

static void test_conflict(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24], id[64];
	struct wbxml_node *c, *answer;
	struct phone p, q;

	find_folders(w, inbox, trash);
	deliver(w, w->anna, "first");
	p = phone_with_inbox(w, "one", inbox);
	q = phone_with_inbox(w, "two", inbox);
	(void)snprintf(id, sizeof(id), "%s:1", inbox);
	(void)sync_once(&p,
		(struct collection_request){
			.folder = inbox, .key = p.inbox_key, .read_id = id, .read_value = true});
	c = sync_once(&q,
		(struct collection_request){
			.folder = inbox, .key = q.inbox_key, .read_id = id, .read_value = false});
	answer = wbxml_find(wbxml_find(c, TAG_AirSync_Responses), TAG_AirSync_Change);
	CHECK_STR(wbxml_text(answer, TAG_AirSync_Status), "7");
	CHECK_INT(count_commands(c, TAG_AirSync_Change), 1);
	phone_forget(&p);
	phone_forget(&q);
	world_free(&w);
}

struct touch {
	struct world *w;
	struct folder_id folder;
	uint64_t item;
	bool flag; /* else Read */
};

static int touch_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct touch *t = owner;
	struct device_id nobody = {0};
	struct item_id item = {t->item};

	if (t->flag)
		return store_item_set_flag(
			tx, t->w->anna, t->folder, item, 2, NULL, 0, nobody, NULL, err);
	return store_item_set_read(tx, t->w->anna, t->folder, item, true, nobody, NULL, err);
}

static void touch(struct world *w, const char *inbox, uint64_t item, bool flag)
{
	struct touch t = {w, {strtoull(inbox, NULL, 10)}, item, flag};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, touch_tx, &t, &err), &err);
}

/* An item stands in the log at its newest change only: what moved before must be told with it,
 * also when a window ends between the two. */
static void test_two_groups(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24], id[64];

	find_folders(w, inbox, trash);
	for (int i = 0; i < 3; i++)
		deliver(w, w->anna, "message");
	(void)snprintf(id, sizeof(id), "%s:2", inbox);
	for (int window = 1; window <= 100; window += 99) {
		struct phone p = phone_with_inbox(w, window == 1 ? "one" : "two", inbox);
		const struct wbxml_node *read = NULL, *c, *change;

		if (window == 1) {
			touch(w, inbox, 2, false);
			touch(w, inbox, 1, false);
			touch(w, inbox, 3, false);
			touch(w, inbox, 2, true);
		} else {
			deliver(w, w->anna, "another");
			touch(w, inbox, 4, false);
			touch(w, inbox, 1, true);
			touch(w, inbox, 4, true);
			(void)snprintf(id, sizeof(id), "%s:4", inbox);
		}
		do {
			c = sync_once(
				&p, (struct collection_request){
					    .folder = inbox, .key = p.inbox_key, .window = window});
			change = wbxml_find(c, TAG_AirSync_Commands);
			for (change = change != NULL ? change->child : NULL; change != NULL;
				change = change->next) {
				if (strcmp(wbxml_text(change, TAG_AirSync_ServerId), id) == 0)
					read = wbxml_find(
						wbxml_find(change, TAG_AirSync_ApplicationData),
						TAG_Email_Read);
			}
			CHECK(read == NULL || strcmp(read->text, "1") == 0);
			if (read != NULL)
				break;
		} while (c != NULL && wbxml_find(c, TAG_AirSync_MoreAvailable) != NULL);
		CHECK(read != NULL);
		phone_forget(&p);
	}
	world_free(&w);
}

/* A phone that wants to wait and to be told nothing waits, although there is something. */
static void test_wait_without_changes(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24];
	struct wbxml_writer writer;
	struct buf body = BUF_INIT;
	struct phone p;

	find_folders(w, inbox, trash);
	p = phone_with_inbox(w, "one", inbox);
	deliver(w, w->anna, "first");
	wbxml_writer_init(&writer, &body);
	wbxml_start(&writer, TAG_AirSync_Sync);
	wbxml_start(&writer, TAG_AirSync_Collections);
	wbxml_start(&writer, TAG_AirSync_Collection);
	wbxml_add_text(&writer, TAG_AirSync_SyncKey, p.inbox_key);
	wbxml_add_text(&writer, TAG_AirSync_CollectionId, inbox);
	wbxml_add_bool(&writer, TAG_AirSync_GetChanges, false);
	wbxml_end(&writer);
	wbxml_end(&writer);
	wbxml_add_uint(&writer, TAG_AirSync_HeartbeatInterval, 60);
	wbxml_end(&writer);
	phone_send(&p, "Sync", &body);
	CHECK_INT(p.reply.kind, EAS_REPLY_WAIT);
	phone_forget(&p);
	world_free(&w);
}

static void test_delete(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24], id[64], old[20];
	struct phone p, q;
	struct wbxml_node *c;

	find_folders(w, inbox, trash);
	deliver(w, w->anna, "first");
	p = phone_with_inbox(w, "one", inbox);
	q = phone_with_inbox(w, "two", inbox);
	(void)snprintf(q.trash_key, 20, "0");
	(void)sync_once(&q, (struct collection_request){.folder = trash, .key = q.trash_key});
	(void)snprintf(id, sizeof(id), "%s:1", inbox);
	(void)snprintf(old, sizeof(old), "%s", p.inbox_key);
	c = sync_once(&p,
		(struct collection_request){.folder = inbox, .key = p.inbox_key, .delete_id = id});
	CHECK(wbxml_find(c, TAG_AirSync_Commands) == NULL &&
		wbxml_find(c, TAG_AirSync_Responses) == NULL);
	c = sync_once(
		&p, (struct collection_request){.folder = inbox, .key = old, .delete_id = id});
	CHECK(wbxml_find(c, TAG_AirSync_Responses) == NULL);
	c = sync_once(
		&p, (struct collection_request){
			    .folder = inbox, .key = old, .read_id = "9:99", .read_value = true});
	CHECK_STR(wbxml_text(wbxml_find(wbxml_find(c, TAG_AirSync_Responses), TAG_AirSync_Change),
			  TAG_AirSync_Status),
		"8");
	CHECK_INT(count_commands(sync_once(&q, (struct collection_request){.folder = inbox,
						       .key = q.inbox_key}),
			  TAG_AirSync_Delete),
		1);
	CHECK_INT(count_commands(sync_once(&q, (struct collection_request){.folder = trash,
						       .key = q.trash_key}),
			  TAG_AirSync_Add),
		1);
	phone_forget(&p);
	phone_forget(&q);
	world_free(&w);
}

static void test_filter(void)
{
	struct world *w = world_new(CONFIG);
	struct phone p = {
		.w = w, .login = "anna", .device_id = "one", .version = "14.1", .inbox_key = "0"};
	char inbox[24], trash[24];
	struct wbxml_node *c;

	find_folders(w, inbox, trash);
	deliver(w, w->anna, "old");
	clock_fake_advance_ms((int64_t)2 * 86400 * 1000);
	deliver(w, w->anna, "new");
	(void)sync_once(
		&p, (struct collection_request){
			    .folder = inbox, .key = p.inbox_key, .has_filter = true, .filter = 1});
	c = sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key});
	CHECK_INT(count_commands(c, TAG_AirSync_Add), 1);
	c = sync_once(
		&p, (struct collection_request){
			    .folder = inbox, .key = p.inbox_key, .has_filter = true, .filter = 2});
	CHECK_INT(count_commands(c, TAG_AirSync_Add), 1);
	c = sync_once(
		&p, (struct collection_request){
			    .folder = inbox, .key = p.inbox_key, .has_filter = true, .filter = 1});
	CHECK_INT(count_commands(c, TAG_AirSync_SoftDelete), 1);
	clock_fake_advance_ms((int64_t)2 * 86400 * 1000);
	c = sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key});
	CHECK_INT(count_commands(c, TAG_AirSync_SoftDelete), 1);
	CHECK(sync_once(&p, (struct collection_request){.folder = inbox, .key = p.inbox_key}) ==
		NULL);
	(void)sync_once(
		&p, (struct collection_request){
			    .folder = inbox, .key = p.inbox_key, .has_filter = true, .filter = 6});
	CHECK_INT(root_status(&p, TAG_AirSync_Status), 4);
	phone_forget(&p);
	world_free(&w);
}

static void ping(struct phone *p, const char *folder, const char *heartbeat)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_add_text(&w, TAG_Ping_HeartbeatInterval, heartbeat);
	if (folder != NULL) {
		wbxml_start(&w, TAG_Ping_Folders);
		wbxml_start(&w, TAG_Ping_Folder);
		wbxml_add_text(&w, TAG_Ping_Id, folder);
		wbxml_add_text(&w, TAG_Ping_Class, "Email");
		wbxml_end(&w);
		wbxml_end(&w);
	}
	wbxml_end(&w);
	phone_send(p, "Ping", &body);
}

static void test_ping(void)
{
	struct world *w = world_new(CONFIG);
	char inbox[24], trash[24];
	struct phone p;

	find_folders(w, inbox, trash);
	p = phone_with_inbox(w, "one", inbox);
	phone_send(&p, "Ping", NULL);
	CHECK_INT(root_status(&p, TAG_Ping_Status), 3);
	ping(&p, inbox, "30");
	CHECK_INT(root_status(&p, TAG_Ping_Status), 5);
	CHECK_STR(wbxml_text(p.root, TAG_Ping_HeartbeatInterval), "60");
	ping(&p, "4711", "600");
	CHECK_INT(root_status(&p, TAG_Ping_Status), 7);
	ping(&p, inbox, "600");
	CHECK_INT(p.reply.kind, EAS_REPLY_WAIT);
	phone_send(&p, "Ping", NULL);
	CHECK_INT(p.reply.kind, EAS_REPLY_WAIT);
	deliver(w, w->bert, "not for Anna");
	CHECK_INT(w->marks, 0);
	deliver(w, w->anna, "for Anna");
	phone_send(&p, "Ping", NULL);
	CHECK_INT(root_status(&p, TAG_Ping_Status), 2);
	CHECK_STR(wbxml_text(wbxml_find(p.root, TAG_Ping_Folders), TAG_Ping_Folder), inbox);
	CHECK_INT(count_commands(sync_once(&p, (struct collection_request){.folder = inbox,
						       .key = p.inbox_key}),
			  TAG_AirSync_Add),
		1);
	phone_send(&p, "Ping", NULL);
	CHECK_INT(p.reply.kind, EAS_REPLY_WAIT);
	phone_forget(&p);
	world_free(&w);
}

TEST_MAIN(TEST(test_windows), TEST(test_lost_answer), TEST(test_read_is_not_echoed),
	TEST(test_conflict), TEST(test_two_groups), TEST(test_wait_without_changes),
	TEST(test_delete), TEST(test_filter), TEST(test_ping))
