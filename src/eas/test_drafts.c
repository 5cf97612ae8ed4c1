/*
 * Drafts through eas_handle(), with a disk that fails at each step in turn: a request is done or
 * not done, the phone that repeats it gets its answer, and nothing is there twice.
 */
#include "eas/test_eas_util.h"

#define CONFIG "[policy]\nrequired = no\n"

struct counts {
	uint64_t inbox, drafts, sent; /* bert's, anna's, anna's */
};

static struct folder_id folder_of(struct world *w, struct owner_id owner, enum folder_type type)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;
	struct folder_id id;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(rd, owner, type, arena, &folder, &err), &err);
	id = folder->id;
	store_read_end(&rd);
	return id;
}

static uint64_t count(struct world *w, struct owner_id owner, enum folder_type type)
{
	struct folder_id folder = folder_of(w, owner, type);
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	uint64_t n;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_item_count(rd, owner, folder, INT64_MIN, 0, &n, &err), &err);
	store_read_end(&rd);
	return n;
}

static struct counts count_all(struct world *w)
{
	return (struct counts){count(w, w->bert, FOLDER_INBOX), count(w, w->anna, FOLDER_DRAFTS),
		count(w, w->anna, FOLDER_SENT)};
}

static void add_file(struct wbxml_writer *w)
{
	wbxml_start(w, TAG_AirSyncBase_Attachments);
	wbxml_start(w, TAG_AirSyncBase_Add);
	wbxml_add_text(w, TAG_AirSyncBase_ClientId, "file");
	wbxml_add_text(w, TAG_AirSyncBase_Method, "1");
	wbxml_add_opaque(w, TAG_AirSyncBase_Content, "\0\1", 2);
	wbxml_add_text(w, TAG_AirSyncBase_DisplayName, "a.bin");
	wbxml_end(w);
	wbxml_end(w);
}

/* An Add, or a Change of that item. */
static void add_command(struct wbxml_writer *w, const char *client_id, const char *server_id,
	const char *subject, bool file, bool send)
{
	wbxml_start(w, server_id != NULL ? TAG_AirSync_Change : TAG_AirSync_Add);
	if (server_id != NULL)
		wbxml_add_text(w, TAG_AirSync_ServerId, server_id);
	else
		wbxml_add_text(w, TAG_AirSync_ClientId, client_id);
	wbxml_start(w, TAG_AirSync_ApplicationData);
	wbxml_add_text(w, TAG_Email_To, "bert@example.org");
	wbxml_add_text(w, TAG_Email_Subject, subject);
	if (file)
		add_file(w);
	wbxml_end(w);
	if (send)
		wbxml_add_empty(w, TAG_Email2_Send);
	wbxml_end(w);
}

struct request {
	char folder[24], *key;
	const char *change; /* the draft that is changed; NULL: two Adds */
	bool send;          /* the second of the Adds, or the Change */
};

/* The collection of the answer; NULL: it failed. */
static struct wbxml_node *sync_once(struct phone *p, const struct request *r, bool commands)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	wbxml_start(&w, TAG_AirSync_Collection);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, r->key);
	wbxml_add_text(&w, TAG_AirSync_CollectionId, r->folder);
	if (commands) {
		wbxml_start(&w, TAG_AirSync_Commands);
		if (r->change == NULL)
			add_command(&w, "kept", NULL, "kept", true, false);
		add_command(&w, "second", r->change, "second", r->change != NULL, r->send);
		wbxml_end(&w);
	}
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	phone_send(p, "Sync", &body);
	return wbxml_find(wbxml_find(p->root, TAG_AirSync_Collections), TAG_AirSync_Collection);
}

static void take_key(const struct request *r, const struct wbxml_node *collection)
{
	const char *key = wbxml_text(collection, TAG_AirSync_SyncKey);

	REQUIRE(key != NULL);
	(void)snprintf(r->key, 20, "%s", key);
}

static const struct wbxml_node *response(const struct wbxml_node *collection, unsigned tag)
{
	return wbxml_find(wbxml_find(collection, TAG_AirSync_Responses), tag);
}

static void prime(struct phone *p, struct request *r, char key[20])
{
	(void)snprintf(key, 20, "0");
	r->key = key;
	(void)snprintf(r->folder, sizeof(r->folder), "%llu",
		(unsigned long long)folder_of(p->w, p->w->anna, FOLDER_DRAFTS).v);
	take_key(r, sync_once(p, r, false));
}

/* The request while the n-th write fails, then again. True: nothing failed any more. */
static bool try_failing(struct phone *p, struct request *r, unsigned n, struct counts before,
	struct counts expected)
{
	struct wbxml_node *collection;
	struct counts now;
	bool failed;

	store_fail_after(p->w->store, n, ERR_BACKEND);
	collection = sync_once(p, r, true);
	store_fail_after(p->w->store, 0, 0);
	failed = collection == NULL || wbxml_text(collection, TAG_AirSync_Status) == NULL;
	now = count_all(p->w);
	if (failed) {
		/* All of it or nothing: the last write is that of the answer's own state. */
		CHECK((now.inbox == before.inbox && now.sent == before.sent &&
			      now.drafts == before.drafts) ||
			(now.inbox == expected.inbox && now.sent == expected.sent &&
				now.drafts == expected.drafts));
		collection = sync_once(p, r, true);
	}
	REQUIRE(collection != NULL);
	CHECK_STR(wbxml_text(collection, TAG_AirSync_Status), "1");
	now = count_all(p->w);
	CHECK_INT(now.inbox, expected.inbox);
	CHECK_INT(now.drafts, expected.drafts);
	CHECK_INT(now.sent, expected.sent);
	/* And once more with the same key, as if the answer had got lost. */
	collection = sync_once(p, r, true);
	REQUIRE(collection != NULL);
	now = count_all(p->w);
	CHECK_INT(now.inbox, expected.inbox);
	CHECK_INT(now.drafts, expected.drafts);
	CHECK_INT(now.sent, expected.sent);
	if (r->change == NULL)
		CHECK_STR(
			wbxml_text(response(collection, TAG_AirSync_Add), TAG_AirSync_Status), "1");
	return !failed;
}

static void check_failures(bool change)
{
	for (unsigned n = 1; n < 200; n++) {
		struct world *w = world_new(CONFIG);
		struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "16.1"};
		struct request r = {.send = true};
		struct counts before, expected = {1, 1, 1};
		char key[20], id[48];
		bool clean;

		prime(&p, &r, key);
		if (change) {
			struct request add = {.key = key};
			const struct wbxml_node *c;

			memcpy(add.folder, r.folder, sizeof(add.folder));
			c = sync_once(&p, &add, true);
			(void)snprintf(id, sizeof(id), "%s",
				wbxml_text(response(c, TAG_AirSync_Add), TAG_AirSync_ServerId));
			take_key(&r, c);
			r.change = id;
		}
		before = count_all(w);
		clean = try_failing(&p, &r, n, before, expected);
		phone_forget(&p);
		world_free(&w);
		if (clean) {
			CHECK(n > 10);
			return;
		}
	}
	CHECK(!"a request that never succeeds");
}

static void test_failing_adds(void)
{
	check_failures(false);
}

static void test_failing_change(void)
{
	check_failures(true);
}

/* What the answer to an attachment says, both times. */
static void test_references(void)
{
	struct world *w = world_new(CONFIG);
	struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "16.0"};
	struct request r = {.send = false};
	char key[20], first[80] = "";

	prime(&p, &r, key);
	for (int round = 0; round < 2; round++) {
		const struct wbxml_node *add = response(sync_once(&p, &r, true), TAG_AirSync_Add);
		const struct wbxml_node *list = wbxml_find(
			wbxml_find(add, TAG_AirSync_ApplicationData), TAG_AirSyncBase_Attachments);
		const char *text = wbxml_text(wbxml_find(list, TAG_AirSyncBase_Attachment),
			TAG_AirSyncBase_FileReference);

		REQUIRE(text != NULL);
		if (round == 1)
			CHECK_STR(text, first);
		(void)snprintf(first, sizeof(first), "%s", text);
	}
	CHECK_INT(count(w, w->anna, FOLDER_DRAFTS), 2);
	phone_forget(&p);
	world_free(&w);
}

TEST_MAIN(TEST(test_failing_adds), TEST(test_failing_change), TEST(test_references))
