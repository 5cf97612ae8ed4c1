/* Watches that outlive an engine: what a new one reads and finds. */
#include "eas/test_eas_util.h"
#include "store/store.h"
#include "sync/generations.h"

#define CONFIG "[policy]\nrequired = no\n"

static struct folder_id inbox_of(struct world *w)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct folder *folder;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_folder_by_type(rd, w->anna, FOLDER_INBOX, arena, &folder, &err), &err);
	store_read_end(&rd);
	return folder->id;
}

static void sync_inbox(struct phone *p, const char *inbox)
{
	const char *key;
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	wbxml_start(&w, TAG_AirSync_Collection);
	wbxml_add_text(&w, TAG_AirSync_SyncKey, p->inbox_key);
	wbxml_add_text(&w, TAG_AirSync_CollectionId, inbox);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	phone_send(p, "Sync", &body);
	key = wbxml_text(
		wbxml_find(wbxml_find(p->root, TAG_AirSync_Collections), TAG_AirSync_Collection),
		TAG_AirSync_SyncKey);
	if (key != NULL)
		(void)snprintf(p->inbox_key, sizeof(p->inbox_key), "%s", key);
}

/* A phone that has everything and waits; the cookie is in its reply. */
static void waiting_phone(struct phone *p, struct world *w)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer out;
	char inbox[24];

	*p = (struct phone){
		.w = w, .login = "anna", .device_id = "one", .version = "14.1", .inbox_key = "0"};
	(void)snprintf(inbox, sizeof(inbox), "%llu", (unsigned long long)inbox_of(w).v);
	for (int i = 0; i < 3; i++)
		sync_inbox(p, inbox);
	wbxml_writer_init(&out, &body);
	wbxml_start(&out, TAG_Ping_Ping);
	wbxml_add_uint(&out, TAG_Ping_HeartbeatInterval, 480);
	wbxml_start(&out, TAG_Ping_Folders);
	wbxml_start(&out, TAG_Ping_Folder);
	wbxml_add_text(&out, TAG_Ping_Id, inbox);
	wbxml_add_text(&out, TAG_Ping_Class, "Email");
	wbxml_end(&out);
	wbxml_end(&out);
	wbxml_end(&out);
	phone_send(p, "Ping", &body);
	REQUIRE(p->reply.kind == EAS_REPLY_WAIT);
}

/* The engine that had the watch is gone, and so is the watch. */
static struct ipc_register forget_watch(const struct phone *p)
{
	struct ipc_register reg = {.handle = {1, 2, 3, 4},
		.parked = true,
		.left_s = 100,
		.expiry = IPC_EXPIRY_PING,
		.cookie_len = p->reply.cookie_len};

	CHECK(watch_end(p->w->watches, p->reply.watch, NULL));
	memcpy(reg.cookie, p->reply.cookie, sizeof(reg.cookie));
	return reg;
}

struct restored {
	struct arena *arena;
	struct eas_reply reply;
	bool exact; /* its folders were not looked at */
	size_t folders;
};

static void restore(struct world *w, const struct ipc_register *reg, struct restored *ret)
{
	struct watch_view view;

	*ret = (struct restored){.arena = arena_new(0)};
	eas_watch_restore(&w->server, ret->arena, reg, &ret->reply);
	if (ret->reply.kind != EAS_REPLY_WAIT)
		return;
	REQUIRE(watch_check_again(w->watches, ret->reply.watch, ret->arena, &view));
	ret->folders = view.spec.folder_count;
	ret->exact = ret->folders > 0 && view.spec.folders[0].exact;
}

static void done(struct world *w, struct restored *r)
{
	if (r->reply.kind == EAS_REPLY_WAIT)
		(void)watch_end(w->watches, r->reply.watch, NULL);
	buf_deinit(&r->reply.body);
	arena_free(&r->arena);
}

static void test_clean_reads_no_folder(void)
{
	struct world *w = world_new(CONFIG);
	struct ipc_register reg;
	struct restored r;
	struct phone p;

	deliver(w, w->anna, "old");
	waiting_phone(&p, w);
	reg = forget_watch(&p);
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_WAIT);
	CHECK_INT(r.folders, 1);
	CHECK(r.exact);
	/* The new cookie says the same. */
	CHECK_MEM(r.reply.cookie, r.reply.cookie_len, reg.cookie, reg.cookie_len);
	done(w, &r);
	/* Not when the front was told that it is stale, nor by a cookie of the release before. */
	reg.stale = true;
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_WAIT);
	CHECK(!r.exact);
	done(w, &r);
	reg.stale = false;
	reg.cookie_len = 40;
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_WAIT);
	CHECK(!r.exact);
	done(w, &r);
	reg.cookie_len = 39;
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_ANSWER);
	CHECK_INT(r.reply.status, 503);
	done(w, &r);
	phone_forget(&p);
	world_free(&w);
}

static void test_news_while_away(void)
{
	struct world *w = world_new(CONFIG);
	struct ipc_register reg;
	struct restored r;
	struct phone p;

	waiting_phone(&p, w);
	reg = forget_watch(&p);
	deliver(w, w->anna, "while away");
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_ANSWER);
	CHECK_INT(r.reply.status, 200);
	CHECK_INT(watches_count(w->watches), 0);
	done(w, &r);
	phone_forget(&p);
	world_free(&w);
}

/* Another user's mail raises nothing of ours. */
static void test_others_do_not_matter(void)
{
	struct world *w = world_new(CONFIG);
	struct ipc_register reg;
	struct restored r;
	struct phone p;

	waiting_phone(&p, w);
	reg = forget_watch(&p);
	deliver(w, w->bert, "not anna's");
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_WAIT);
	CHECK(r.exact);
	done(w, &r);
	phone_forget(&p);
	world_free(&w);
}

static int disable_tx(struct store_tx *tx, void *owner, struct err *err)
{
	return store_user_set_disabled(tx, *(struct owner_id *)owner, true, err);
}

static void test_administered_while_away(void)
{
	struct world *w = world_new(CONFIG);
	struct err err = ERR_INIT;
	struct ipc_register reg;
	struct restored r;
	struct phone p;

	waiting_phone(&p, w);
	reg = forget_watch(&p);
	REQUIRE_OK(store_transact(w->store, disable_tx, &w->anna, &err), &err);
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_ANSWER);
	done(w, &r);
	phone_forget(&p);
	world_free(&w);
}

/* The phone waits on another connection by now: the old one is told that its time is over. */
static void test_superseded(void)
{
	struct world *w = world_new(CONFIG);
	struct ipc_register reg;
	struct restored r;
	struct phone p;

	waiting_phone(&p, w);
	reg = forget_watch(&p);
	phone_forget(&p);
	waiting_phone(&p, w);
	restore(w, &reg, &r);
	CHECK_INT(r.reply.kind, EAS_REPLY_ANSWER);
	CHECK_INT(r.reply.status, 200);
	CHECK_INT(r.reply.body.len, 13);
	CHECK_INT(watches_count(w->watches), 1);
	done(w, &r);
	phone_forget(&p);
	world_free(&w);
}

TEST_MAIN(TEST(test_clean_reads_no_folder), TEST(test_news_while_away),
	TEST(test_others_do_not_matter), TEST(test_administered_while_away), TEST(test_superseded))
