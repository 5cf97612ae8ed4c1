/*
 * Devices, sync states, sent mail, the policy and the event log.
 */
#include "store/test_store_util.h"

#include <pthread.h>

/* ---- devices ---- */

static void test_device_save(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct device *got, copy;
	size_t count;

	new_phone(w);
	CHECK(phone.id.v > 0);
	got = load_phone(w);
	REQUIRE(got != NULL);
	CHECK_INT(got->owner.v, w->anna.v);
	CHECK_STR(got->device_id, "DEV1");
	CHECK_STR(got->device_type, "Phone");
	CHECK_STR(got->user_agent, "UA/1");
	CHECK_STR(got->model, "M");
	CHECK_STR(got->os, "O");
	CHECK_STR(got->friendly_name, "F");
	CHECK_STR(got->phone_number, "+49");
	CHECK_STR(got->imei, "I");
	CHECK_STR(got->language, "de");
	CHECK_STR(got->operator_name, "T");
	CHECK_INT(got->protocol_version, 161);
	CHECK_INT(got->first_seen_at, 5);
	CHECK_INT(got->last_seen_at, 6);
	CHECK_INT(got->policy_key, UINT32_MAX);
	CHECK_INT(got->policy_key_temporary, 8);
	CHECK_INT(got->policy_status, 1);
	CHECK_INT(got->policy_version, 3);
	CHECK_INT(got->provisioned_at, 9);
	CHECK_INT(got->wipe, WIPE_NONE);
	CHECK(!got->blocked);
	CHECK_INT(got->epoch, 1);
	CHECK_INT(got->ping_heartbeat_s, 480);
	CHECK_MEM(got->ping_folders, got->ping_folders_len, "pf", 2);
	CHECK(got->sync_request == NULL);
	copy = phone;
	phone.id.v = 0;
	CHECK_INT(transact(w, save_phone, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(phone.id.v, 0);
	phone = copy;
	phone.model = "M2";
	REQUIRE_OK(transact(w, save_phone, &err), &err);
	CHECK_STR(load_phone(w)->model, "M2");
	CHECK_INT(w->event_count, 0);
	rd = reading(w);
	REQUIRE_OK(store_device_find(rd, w->anna, "DEV1", w->arena, &got, &err), &err);
	CHECK_INT(got->id.v, phone.id.v);
	CHECK_INT(store_device_find(rd, w->bob, "DEV1", w->arena, &got, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	REQUIRE_OK(store_device_list(rd, w->anna, w->arena, &got, &count, &err), &err);
	CHECK_INT(count, 1);
	REQUIRE_OK(store_device_list(rd, w->bob, w->arena, &got, &count, &err), &err);
	CHECK_INT(count, 0);
	REQUIRE_OK(store_device_list(rd, (struct owner_id){0}, w->arena, &got, &count, &err), &err);
	CHECK_INT(count, 1);
	store_read_end(&rd);
	world_free(&w);
}

static int set_groups(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	if (store_device_set_ping(tx, phone.id, 900, "folders", 7, err) < 0 ||
		store_device_set_sync_request(tx, phone.id, "request", 7, err) < 0 ||
		store_device_set_seen(tx, phone.id, 140, "UA/2", "PocketPC", 77, err) < 0)
		return -1;
	return store_device_set_policy(tx, phone.id, 1, 2, 4, 5, 78, err);
}

static int order_wipe(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_set_wipe(tx, phone.id, WIPE_ORDERED, 99, err);
}

static int block(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_set_blocked(tx, phone.id, true, err);
}

static int remove_phone(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_delete(tx, phone.id, err);
}

static void test_device_groups(void)
{
	static const step_fn all[] = {set_groups, order_wipe, block, remove_phone};
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct device *got;
	uint64_t seq;

	new_phone(w);
	REQUIRE_OK(transact(w, set_groups, &err), &err);
	got = load_phone(w);
	CHECK_INT(got->ping_heartbeat_s, 900);
	CHECK_MEM(got->ping_folders, got->ping_folders_len, "folders", 7);
	CHECK_MEM(got->sync_request, got->sync_request_len, "request", 7);
	CHECK_INT(got->protocol_version, 140);
	CHECK_STR(got->user_agent, "UA/2");
	CHECK_STR(got->device_type, "PocketPC");
	CHECK_INT(got->last_seen_at, 77);
	CHECK_INT(got->policy_key_temporary, 1);
	CHECK_INT(got->policy_key, 2);
	CHECK_INT(got->policy_status, 4);
	CHECK_INT(got->policy_version, 5);
	CHECK_INT(got->provisioned_at, 78);
	CHECK_INT(got->epoch, 1);
	CHECK_INT(w->event_count, 0);
	seq = seq_of(w, w->anna);
	REQUIRE_OK(transact(w, order_wipe, &err), &err);
	REQUIRE_OK(transact(w, block, &err), &err);
	got = load_phone(w);
	CHECK_INT(got->wipe, WIPE_ORDERED);
	CHECK_INT(got->wipe_at, 99);
	CHECK(got->blocked);
	CHECK_INT(got->epoch, 3);
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[0].kinds, CHANGE_DEVICE);
	CHECK_INT(w->events[0].device.v, phone.id.v);
	CHECK_INT(w->events[0].owner.v, w->anna.v);
	CHECK_INT(w->events[1].seq, seq + 2);
	REQUIRE_OK(transact(w, remove_phone, &err), &err);
	CHECK(load_phone(w) == NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		CHECK_INT(transact(w, all[i], &err), -1);
		CHECK_INT(err.code, ERR_NOT_FOUND);
	}
	world_free(&w);
}

/* ---- sync states, sent mail ---- */

static const char *states_text(struct world *w, struct owner_id owner, struct folder_id folder)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct sync_state_row *rows;
	struct sync_chunk_row *chunks;
	size_t chunk_count;
	struct err err = ERR_INIT;
	const char *text = "";
	size_t count;

	REQUIRE_OK(store_sync_state_load(rd, phone.id, owner, folder, w->arena, &rows, &count,
			   &chunks, &chunk_count, &err),
		&err);
	for (size_t i = 0; i < count; i++)
		text = arena_x_printf(w->arena, "%s[%d %llx %.*s]", text, rows[i].generation,
			(unsigned long long)rows[i].key, (int)rows[i].blob_len,
			(const char *)rows[i].blob);
	return text;
}

static void test_sync_states(void)
{
	struct world *w = world_new();
	struct states s = {w->anna, {1}, {STATE(UINT64_MAX, 0, "abc"), STATE(7, 1, "old")}, 2};
	struct states hierarchy = {w->anna, {0}, {STATE(9, 0, "h")}, 1};
	struct store_read *rd;
	struct sync_collection_ref *refs;
	struct err err = ERR_INIT;
	uint64_t seq;
	size_t count;

	new_phone(w);
	seq = seq_of(w, w->anna);
	CHECK_STR(states_text(w, w->anna, s.folder), "");
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	REQUIRE_OK(store_transact(w->store, save_states, &hierarchy, &err), &err);
	CHECK_STR(states_text(w, w->anna, s.folder), "[0 ffffffffffffffff abc][1 7 old]");
	CHECK_STR(states_text(w, w->anna, hierarchy.folder), "[0 9 h]");
	CHECK_STR(states_text(w, w->bob, s.folder), "");
	rd = reading(w);
	REQUIRE_OK(store_sync_state_list(rd, phone.id, w->arena, &refs, &count, &err), &err);
	CHECK_INT(count, 2);
	CHECK_INT(refs[0].folder.v, 0);
	CHECK_INT(refs[1].folder.v, 1);
	CHECK_INT(refs[1].owner.v, w->anna.v);
	store_read_end(&rd);
	/* A sibling of the current one, and no older one any more. */
	s.rows[1] = (struct sync_state_row)STATE(6, 2, "twin");
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	CHECK_STR(states_text(w, w->anna, s.folder), "[0 ffffffffffffffff abc][2 6 twin]");
	s.rows[1].generation = STORE_SYNC_GENERATIONS_MAX;
	CHECK_INT(store_transact(w->store, save_states, &s, &err), -1);
	CHECK_INT(err.code, ERR_INTERNAL);
	s.rows[1].generation = 0;
	CHECK_INT(store_transact(w->store, save_states, &s, &err), -1);
	CHECK_STR(states_text(w, w->anna, s.folder), "[0 ffffffffffffffff abc][2 6 twin]");
	s.count = 1;
	s.rows[0] = (struct sync_state_row)STATE(8, 0, "new");
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	CHECK_STR(states_text(w, w->anna, s.folder), "[0 8 new]");
	s.count = 0;
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	CHECK_STR(states_text(w, w->anna, s.folder), "");
	/* Nobody's data changed. */
	CHECK_INT(seq_of(w, w->anna), seq);
	CHECK_INT(w->event_count, 0);
	world_free(&w);
}

static const char *folder_states_text(struct world *w, const uint64_t *numbers, size_t count)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct folder_state_row rows[STORE_FOLDER_STATES_MAX];
	struct folder_id ids[STORE_FOLDER_STATES_MAX];
	struct err err = ERR_INIT;
	const char *text = "";
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		ids[i].v = numbers[i];
	REQUIRE_OK(store_folder_states_load(
			   rd, phone.id, w->anna, ids, count, w->arena, rows, &found, &err),
		&err);
	for (size_t i = 0; i < found; i++) {
		const struct folder_state_row *r = &rows[i];

		text = arena_x_printf(
			w->arena, "%s[%d type %d", text, (int)r->folder.v, (int)r->type);
		if (r->has_state)
			text = arena_x_printf(w->arena, "%s: %d %llx %.*s", text,
				r->state.generation, (unsigned long long)r->state.key,
				(int)r->state.blob_len, (const char *)r->state.blob);
		text = arena_x_printf(w->arena, "%s]", text);
	}
	return text;
}

static int delete_folder(struct store_tx *tx, void *arg, struct err *err)
{
	struct world *w = arg;
	struct folder_id below;

	if (store_folder_add(
		    tx, w->anna, (struct folder_id){0}, "Gone", FOLDER_USER_MAIL, &below, err) < 0)
		return -1;
	CHECK_INT(below.v, 12);
	return store_folder_delete(tx, w->anna, below, NULL, err);
}

/* Of many folders at once: only the current generation, with or without a state, however many. */
static void test_folder_states(void)
{
	struct world *w = world_new();
	struct states one = {w->anna, {1}, {STATE(8, 0, "one"), STATE(7, 1, "old")}, 2};
	struct states three = {w->anna, {3}, {STATE(9, 0, "three")}, 1};
	struct states old = {w->anna, {4}, {STATE(6, 1, "old")}, 1};
	struct states bobs = {w->bob, {2}, {STATE(5, 0, "bob")}, 1};
	uint64_t many[STORE_FOLDER_STATES_MAX];
	struct err err = ERR_INIT;

	new_phone(w);
	REQUIRE_OK(store_transact(w->store, save_states, &one, &err), &err);
	REQUIRE_OK(store_transact(w->store, save_states, &three, &err), &err);
	REQUIRE_OK(store_transact(w->store, save_states, &old, &err), &err);
	REQUIRE_OK(store_transact(w->store, save_states, &bobs, &err), &err);
	REQUIRE_OK(store_transact(w->store, delete_folder, w, &err), &err);
	CHECK_STR(folder_states_text(w, NULL, 0), "");
	CHECK_STR(folder_states_text(w, (uint64_t[]){3, 1}, 2),
		"[1 type 2: 0 8 one][3 type 5: 0 9 three]");
	/* Its state has no current generation; another owner's; unknown; deleted; twice the same.
	 */
	CHECK_STR(folder_states_text(w, (uint64_t[]){4, 2, 99, 12, 1, 1}, 6),
		"[1 type 2: 0 8 one][2 type 3][4 type 4]");
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = i < 8 ? 90 + i : ARRAY_LEN(many) - i;
	CHECK_STR(folder_states_text(w, many, 7), "");
	CHECK_INT(strlen(folder_states_text(w, many, ARRAY_LEN(many))) > 100, true);
	CHECK(strstr(folder_states_text(w, many, ARRAY_LEN(many)),
		      "[1 type 2: 0 8 one][2 type 3][3 type 5: 0 9 three][4 type 4]") != NULL);
	world_free(&w);
}

/* Moves with each commit, before its events go out. */
static void test_commits(void)
{
	struct world *w = world_new();
	struct states s = {w->anna, {1}, {STATE(8, 0, "one")}, 1};
	struct err err = ERR_INIT;
	uint64_t before;

	new_phone(w);
	before = store_commits(w->store);
	CHECK(before != 0);
	(void)states_text(w, w->anna, s.folder);
	CHECK_INT(store_commits(w->store), before);
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	CHECK(store_commits(w->store) != before);
	world_free(&w);
}

static uint64_t seq_of_anna(struct world *w)
{
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct user *user;
	uint64_t seq;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_user_load(rd, w->anna, w->arena, &user, &err), &err);
	seq = user->seq;
	store_read_end(&rd);
	return seq;
}

static int take_seq(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	uint64_t ignored;

	return store_tx_seq(tx, w->anna, &ignored, err);
}

static void *take_seq_elsewhere(void *owner)
{
	struct world *w = owner;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, take_seq, w, &err), &err);
	return NULL;
}

static void commit_elsewhere(struct world *w)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, take_seq_elsewhere, w) == 0);
	(void)pthread_join(thread, NULL);
}

/* A snapshot is kept as long as nothing is committed, and no longer. */
static void test_hold(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_read *rd, *inner;
	uint64_t seq, commits;

	store_hold_begin(w->store);
	seq = seq_of_anna(w);
	/* What is on disk, but not counted yet, only a new one would show. */
	commits = store_commits(w->store);
	commit_elsewhere(w);
	atomic_store(&w->store->commits, commits);
	CHECK_INT(seq_of_anna(w), seq);
	commit_elsewhere(w);
	CHECK_INT(seq_of_anna(w), seq + 2);
	REQUIRE_OK(store_transact(w->store, take_seq, w, &err), &err);
	CHECK_INT(seq_of_anna(w), seq + 3);
	/* Two at once: each its own, and one of them is kept. */
	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_read_begin(w->store, &inner, &err), &err);
	CHECK(rd->conn != inner->conn);
	store_read_end(&inner);
	store_read_end(&rd);
	store_hold_end(w->store);
	store_hold_end(w->store);
	CHECK_INT(seq_of_anna(w), seq + 3);
	world_free(&w);
}

struct chunks {
	struct world *w;
	struct sync_chunk_row rows[3];
	size_t count;
};

static int save_chunks(struct store_tx *tx, void *arg, struct err *err)
{
	struct chunks *c = arg;
	struct sync_state_row state = STATE(1, 0, "blob");

	return store_sync_state_save(
		tx, phone.id, c->w->anna, (struct folder_id){1}, &state, 1, c->rows, c->count, err);
}

static const char *chunks_text(struct world *w)
{
	struct sync_state_row *rows;
	struct sync_chunk_row *chunks;
	size_t count, chunk_count;
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	const char *text = "";

	REQUIRE_OK(store_sync_state_load(rd, phone.id, w->anna, (struct folder_id){1}, w->arena,
			   &rows, &count, &chunks, &chunk_count, &err),
		&err);
	for (size_t i = 0; i < chunk_count; i++)
		text = arena_x_printf(w->arena, "%s[%d %.*s]", text, (int)chunks[i].id,
			(int)chunks[i].len, (const char *)chunks[i].bytes);
	store_read_end(&rd);
	return text;
}

/* Chunks are shared, kept while a state names them, and gone with their device. */
static void test_sync_chunks(void)
{
	struct world *w = world_new();
	struct chunks c = {w,
		{{7, (const uint8_t *)"seven", 5}, {3, (const uint8_t *)"three", 5},
			{9, (const uint8_t *)"nine", 4}},
		2};
	struct err err = ERR_INIT;

	new_phone(w);
	REQUIRE_OK(store_transact(w->store, save_chunks, &c, &err), &err);
	CHECK_STR(chunks_text(w), "[3 three][7 seven]");
	/* What is there is named by its content: the same name is not written again. */
	c.rows[0].bytes = (const uint8_t *)"SEVEN";
	c.rows[1] = c.rows[2];
	REQUIRE_OK(store_transact(w->store, save_chunks, &c, &err), &err);
	CHECK_STR(chunks_text(w), "[7 seven][9 nine]");
	c.count = 0;
	REQUIRE_OK(store_transact(w->store, save_chunks, &c, &err), &err);
	CHECK_STR(chunks_text(w), "");
	world_free(&w);
}

struct sent {
	const char *key;
	int64_t now_at, forget_before_at;
	int rc;
};

static int note_sent(struct store_tx *tx, void *owner, struct err *err)
{
	struct sent *sent = owner;

	sent->rc =
		store_sent_note(tx, phone.id, sent->key, sent->now_at, sent->forget_before_at, err);
	return sent->rc < 0 ? -1 : 0;
}

static void test_sent(void)
{
	struct sent rows[] = {{"a", 100, 0, 0}, {"a", 101, 0, 1}, {"b", 102, 0, 0},
		{"a", 103, 101, 0}, {"b", 104, 101, 1}, {"b", 104, 102, 1}, {"b", 105, 103, 0}};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	new_phone(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sent row = rows[i];

		REQUIRE_OK(store_transact(w->store, note_sent, &row, &err), &err);
		CHECK_INT(row.rc, rows[i].rc);
	}
	phone.id.v = 99;
	CHECK_INT(store_transact(w->store, note_sent, &rows[0], &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	world_free(&w);
}

struct added {
	uint64_t folder, hash, item;
	int64_t now_at, forget_before_at;
};

static int note_added(struct store_tx *tx, void *owner, struct err *err)
{
	const struct added *a = owner;

	return store_added_note(tx, phone.owner, phone.id, (struct folder_id){a->folder}, a->hash,
		(struct item_id){a->item}, a->now_at, a->forget_before_at, err);
}

static uint64_t added_item(struct world *w, uint64_t folder, uint64_t hash)
{
	struct store_read *rd = reading(w);
	struct item_id id = {0};
	struct err err = ERR_INIT;

	if (store_added_find(
		    rd, phone.owner, phone.id, (struct folder_id){folder}, hash, &id, &err) < 0)
		CHECK_INT(err.code, ERR_NOT_FOUND);
	store_read_end(&rd);
	return id.v;
}

static int delete_phone(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_device_delete(tx, phone.id, err);
}

static void test_added(void)
{
	struct added rows[] = {{2, 7, 70, 100, 0}, {3, 7, 71, 101, 0}, {2, 8, 80, 102, 101}};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	new_phone(w);
	CHECK_INT(added_item(w, 2, 7), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		REQUIRE_OK(store_transact(w->store, note_added, &rows[i], &err), &err);
	CHECK_INT(added_item(w, 2, 7), 0); /* forgotten */
	CHECK_INT(added_item(w, 3, 7), 71);
	CHECK_INT(added_item(w, 2, 8), 80);
	CHECK_INT(added_item(w, 3, 8), 0);
	REQUIRE_OK(transact(w, delete_phone, &err), &err);
	CHECK_INT(added_item(w, 2, 8), 0);
	world_free(&w);
}

/* ---- log ---- */

static int add_log(struct store_tx *tx, struct world *w, struct err *err)
{
	struct log_row row = {.at = 5, .actor = "server", .user = "anna", .action = "wipe"};

	(void)w;
	for (int i = 0; i < 3; i++) {
		row.user = i == 1 ? "bob" : "anna";
		if (store_log_add(tx, &row, err) < 0)
			return -1;
	}
	return 0;
}

static void test_log(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct log_row *rows;
	struct store_read *rd;
	size_t count;

	REQUIRE_OK(transact(w, add_log, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_log_list(rd, "", 0, 2, w->arena, &rows, &count, &err), &err);
	CHECK_INT(count, 2);
	CHECK_INT(rows[0].id, 3);
	CHECK_INT(rows[1].id, 2);
	CHECK_STR(rows[1].user, "bob");
	CHECK_STR(rows[1].actor, "server");
	CHECK_STR(rows[1].action, "wipe");
	CHECK_STR(rows[1].result, "");
	CHECK_INT(rows[1].at, 5);
	REQUIRE_OK(store_log_list(rd, "", 2, 10, w->arena, &rows, &count, &err), &err);
	CHECK_INT(count, 1);
	REQUIRE_OK(store_log_list(rd, "anna", 3, 10, w->arena, &rows, &count, &err), &err);
	CHECK_INT(count, 1);
	CHECK_INT(rows[0].id, 1);
	store_read_end(&rd);
	world_free(&w);
}

TEST_MAIN(TEST(test_device_save), TEST(test_device_groups), TEST(test_sync_states),
	TEST(test_folder_states), TEST(test_commits), TEST(test_hold), TEST(test_sync_chunks),
	TEST(test_sent), TEST(test_added), TEST(test_log))
