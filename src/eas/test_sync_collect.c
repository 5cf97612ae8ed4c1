/* What cannot be seen over the wire: where a response ends by time, and what is kept of Supported.
 */
#include "eas/command/sync_internal.h"
#include "eas/ping_internal.h"
#include "eas/test_eas_util.h"

#define CONFIG "[policy]\nrequired = no\n"

struct bench {
	struct world *w;
	struct phone p;
	struct arena *arena;
	struct store_read *rd;
	struct folder *folder;
	struct eas_reply reply;
	struct eas_call call;
	struct sync_collection gens;
};

/* The first collection of a request with that key; Supported names these properties. */
static void begin(
	struct phone *p, const char *folder, char key[20], const unsigned *tags, size_t count)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;
	const char *text;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	wbxml_start(&w, TAG_AirSync_Collection);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, key);
	wbxml_add_text(&w, TAG_AirSync_CollectionId, folder);
	if (tags != NULL) {
		wbxml_start(&w, TAG_AirSync_Supported);
		for (size_t i = 0; i < count; i++)
			wbxml_add_empty(&w, tags[i]);
		wbxml_end(&w);
	}
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	phone_send(p, "Sync", &body);
	text = wbxml_text(
		wbxml_find(wbxml_find(p->root, TAG_AirSync_Collections), TAG_AirSync_Collection),
		TAG_AirSync_SyncKey);
	if (text != NULL)
		(void)snprintf(key, 20, "%s", text);
}

/* The states of a folder of that type, as stored. */
static void look(struct bench *b, enum folder_type type)
{
	struct device *device;
	struct err err = ERR_INIT;

	b->arena = arena_new(0);
	REQUIRE_OK(store_read_begin(b->w->store, &b->rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(b->rd, b->w->anna, type, b->arena, &b->folder, &err), &err);
	REQUIRE_OK(store_device_find(b->rd, b->w->anna, "one", b->arena, &device, &err), &err);
	REQUIRE_OK(
		sync_collection_load(b->rd, device->id, b->w->anna, b->folder->id, &b->gens, &err),
		&err);
	REQUIRE(eas_wait_call(
		&b->w->server, b->arena, WATCH_SYNC, b->w->anna, device->id, &b->reply, &b->call));
}

static void look_done(struct bench *b)
{
	sync_collection_deinit(&b->gens);
	store_read_end(&b->rd);
	buf_deinit(&b->reply.body);
	arena_free(&b->arena);
}

static void folder_id(struct world *w, enum folder_type type, char text[24])
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(rd, w->anna, type, arena, &folder, &err), &err);
	eas_folder_id_print(folder->id, text);
	store_read_end(&rd);
}

/* One collection with that much time and room. */
static struct sync_job collect(struct bench *b, int64_t time_ms, size_t bytes)
{
	struct sync_job job = {.folder = b->folder, .window = 512, .get_changes = true};
	struct sync_run run = {.call = &b->call,
		.window = 512,
		.bytes_left = bytes,
		.deadline_ms = clock_now_ms() + time_ms};
	struct err err = ERR_INIT;

	sync_state_init(&job.next);
	sync_state_copy(&job.next, &b->gens.states[SYNC_CURRENT]);
	job.base = &b->gens.states[SYNC_CURRENT];
	REQUIRE_OK(sync_collect_job(&run, &job, b->rd, &err), &err);
	buf_deinit(&job.items);
	sync_state_deinit(&job.next);
	return job;
}

static void test_time(void)
{
	struct bench b = {.w = world_new(CONFIG)};
	char key[20] = "0", inbox[24];
	struct sync_job job;

	b.p = (struct phone){.w = b.w, .login = "anna", .device_id = "one", .version = "14.1"};
	folder_id(b.w, FOLDER_INBOX, inbox);
	for (int i = 0; i < 5; i++)
		deliver(b.w, b.w->anna, "message");
	begin(&b.p, inbox, key, NULL, 0);
	look(&b, FOLDER_INBOX);
	job = collect(&b, 1000, 1 << 20);
	CHECK_INT(job.item_count, 5);
	CHECK(!job.more);
	/* The time is over before it began, and the room is too small for anything: one item goes
	 * all the same, with a key of its own, and the rest is announced. */
	job = collect(&b, 0, 1 << 20);
	CHECK_INT(job.item_count, 1);
	CHECK(job.more && job.new_key);
	job = collect(&b, 1000, 1);
	CHECK_INT(job.item_count, 1);
	CHECK(job.more && job.new_key);
	look_done(&b);
	phone_forget(&b.p);
	world_free(&b.w);
}

static void test_supported(void)
{
	static const unsigned names[] = {TAG_Contacts_FirstName, TAG_Contacts2_NickName};
	static const unsigned others[] = {TAG_Contacts_LastName};
	struct bench b = {.w = world_new(CONFIG)};
	char key[20] = "0", contacts[24];
	const struct sync_state *s = &b.gens.states[SYNC_CURRENT];

	b.p = (struct phone){.w = b.w, .login = "anna", .device_id = "one", .version = "14.1"};
	folder_id(b.w, FOLDER_CONTACTS, contacts);
	begin(&b.p, contacts, key, names, 2);
	/* With another key it is no news. */
	begin(&b.p, contacts, key, others, 1);
	look(&b, FOLDER_CONTACTS);
	CHECK(s->has_supported);
	REQUIRE(s->supported_count == 2);
	CHECK_INT(s->supported[0], TAG_Contacts_FirstName);
	CHECK_INT(s->supported[1], TAG_Contacts2_NickName);
	look_done(&b);
	/* An empty one is not the same as none. */
	(void)snprintf(key, sizeof(key), "0");
	begin(&b.p, contacts, key, names, 0);
	look(&b, FOLDER_CONTACTS);
	CHECK(s->has_supported);
	CHECK_INT(s->supported_count, 0);
	look_done(&b);
	(void)snprintf(key, sizeof(key), "0");
	begin(&b.p, contacts, key, NULL, 0);
	look(&b, FOLDER_CONTACTS);
	CHECK(!s->has_supported);
	look_done(&b);
	phone_forget(&b.p);
	world_free(&b.w);
}

/* ---- waiting ---- */

static void look_at(struct bench *b, uint64_t folder, struct sync_look *ret)
{
	struct sync_look looks[3] = {{.folder.v = 99}, {.folder.v = folder}, {.folder.v = 99}};
	struct err err = ERR_INIT;

	REQUIRE_OK(
		sync_look(b->rd, b->call.device->id, b->w->anna, START_AT, looks, 3, &err), &err);
	CHECK(!looks[0].found && !looks[2].found);
	CHECK_INT(looks[1].folder.v, folder);
	*ret = looks[1];
}

/* What all folders are asked together says the same as what each would be asked alone. */
static void test_look(void)
{
	struct bench b = {.w = world_new(CONFIG)};
	char inbox[24], key[20] = "0";
	struct sync_look seen;

	b.p = (struct phone){.w = b.w, .login = "anna", .device_id = "one", .version = "14.1"};
	folder_id(b.w, FOLDER_INBOX, inbox);
	begin(&b.p, inbox, key, NULL, 0);
	begin(&b.p, inbox, key, NULL, 0);
	look(&b, FOLDER_INBOX);
	look_at(&b, b.folder->id.v, &seen);
	CHECK(seen.found && seen.synced && !seen.pending);
	CHECK_INT(seen.type, FOLDER_INBOX);
	CHECK(seen.cutoff_at == INT64_MIN);
	look_at(&b, b.folder->id.v + 1, &seen); /* Drafts, which were never synced */
	CHECK(seen.found && !seen.synced && !seen.pending);
	CHECK_INT(seen.type, FOLDER_DRAFTS);
	look_done(&b);
	deliver(b.w, b.w->anna, "news");
	look(&b, FOLDER_INBOX);
	look_at(&b, b.folder->id.v, &seen);
	CHECK(seen.pending);
	look_done(&b);
	begin(&b.p, inbox, key, NULL, 0);
	look(&b, FOLDER_INBOX);
	look_at(&b, b.folder->id.v, &seen);
	CHECK(!seen.pending);
	look_done(&b);
	phone_forget(&b.p);
	world_free(&b.w);
}

/* As a command holds that had read all this when `commits` was the store's. */
static bool hold(struct bench *b, uint64_t commits, struct wait_verdict *ret)
{
	struct watch_folder folder = {.owner = b->w->anna,
		.folder = b->folder->id,
		.cutoff_at = INT64_MIN,
		.item_class = ITEM_MAIL};
	struct err err = ERR_INIT;
	bool held;

	b->call.commits = commits;
	if (b->call.rules == NULL)
		REQUIRE_OK(rules_get(b->w->server.rules, b->rd, &b->call.rules, &err), &err);
	held = eas_hold(&b->call, WATCH_PING, &folder, 1, true, 600, ret);
	if (held)
		(void)watch_end(b->w->watches, b->call.reply->watch, NULL);
	return held;
}

/* What a command has read is good for the look only as long as nothing has been committed. */
static void test_hold(void)
{
	struct bench b = {.w = world_new(CONFIG)};
	char inbox[24], key[20] = "0";
	struct wait_verdict verdict;
	uint64_t before;

	b.p = (struct phone){.w = b.w, .login = "anna", .device_id = "one", .version = "14.1"};
	folder_id(b.w, FOLDER_INBOX, inbox);
	begin(&b.p, inbox, key, NULL, 0);
	begin(&b.p, inbox, key, NULL, 0);
	look(&b, FOLDER_INBOX);
	before = store_commits(b.w->store);
	CHECK(hold(&b, before, &verdict));
	deliver(b.w, b.w->anna, "news");
	CHECK(!hold(&b, before, &verdict));
	CHECK_INT(verdict.changed_count, 1);
	CHECK(!hold(&b, 0, &verdict));
	/* Believed as long as the number says so: nothing is read. */
	CHECK(hold(&b, store_commits(b.w->store), &verdict));
	/* But for what is kept in memory alone. */
	eas_resync_note(&b.w->server, b.call.device->id, b.folder->id);
	CHECK(!hold(&b, store_commits(b.w->store), &verdict));
	CHECK_INT(verdict.changed_count, 1);
	rules_unref(&b.call.rules);
	look_done(&b);
	phone_forget(&b.p);
	world_free(&b.w);
}

TEST_MAIN(TEST(test_time), TEST(test_supported), TEST(test_look), TEST(test_hold))
