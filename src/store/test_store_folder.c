/*
 * Folders that move and go, and what they held.
 */
#include "store/test_store_util.h"

enum folder_op_kind { FOLDER_ADD, FOLDER_UPDATE, FOLDER_DELETE, FOLDER_DELETE_BELOW, FOLDER_EMPTY };

struct folder_op {
	enum folder_op_kind kind;
	struct owner_id owner;
	struct folder_id id, parent;
	const char *name;
	uint64_t seq;
};

static int run_folder_op(struct store_tx *tx, void *owner, struct err *err)
{
	struct folder_op *op = owner;

	switch (op->kind) {
	case FOLDER_ADD:
		return store_folder_add(
			tx, op->owner, op->parent, op->name, FOLDER_USER_MAIL, &op->id, err);
	case FOLDER_UPDATE:
		return store_folder_update(
			tx, op->owner, op->id, op->parent, op->name, &op->seq, err);
	case FOLDER_DELETE:
		return store_folder_delete(tx, op->owner, op->id, &op->seq, err);
	case FOLDER_DELETE_BELOW:
		return store_folder_delete_below(tx, op->owner, op->id, err);
	case FOLDER_EMPTY:
		return store_folder_empty(tx, op->owner, op->id, (struct device_id){7}, err);
	}
	return -1;
}

static enum err_code try_op(struct world *w, struct folder_op *op)
{
	struct err err = ERR_INIT;

	if (op->owner.v == 0)
		op->owner = w->anna;
	return store_transact(w->store, run_folder_op, op, &err) == 0 ? ERR_NONE : err.code;
}

static struct folder_id add(struct world *w, struct folder_id parent, const char *name)
{
	struct folder_op op = {.kind = FOLDER_ADD, .parent = parent, .name = name};

	REQUIRE(try_op(w, &op) == ERR_NONE);
	return op.id;
}

static enum err_code update(
	struct world *w, struct folder_id id, struct folder_id parent, const char *name)
{
	struct folder_op op = {.kind = FOLDER_UPDATE, .id = id, .parent = parent, .name = name};

	return try_op(w, &op);
}

static enum err_code apply(struct world *w, enum folder_op_kind kind, struct folder_id id)
{
	struct folder_op op = {.kind = kind, .id = id};

	return try_op(w, &op);
}

/* "-" before deleted ones: ids of what changed after that seq. */
static const char *changed(struct world *w, uint64_t after_seq)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folders;
	const char *text = "";
	size_t count;

	REQUIRE_OK(store_folder_changes(rd, w->anna, after_seq, w->arena, &folders, &count, &err),
		&err);
	for (size_t i = 0; i < count; i++)
		text = arena_x_printf(
			w->arena, "%s%s%s", text, folders[i].deleted ? " -" : " ", folders[i].name);
	return text;
}

static const struct folder_id root = {0};

static void test_update(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a"), b = add(w, root, "b"), c = add(w, a, "c");
	uint64_t seq = seq_of(w, w->anna);

	w->event_count = 0;
	CHECK_INT(update(w, a, b, "a"), ERR_NONE);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_HIERARCHY);
	CHECK_INT(w->events[0].folder.v, a.v);
	CHECK_INT(w->events[0].seq, seq + 1);
	/* The same again takes no seq. */
	CHECK_INT(update(w, a, b, "a"), ERR_NONE);
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	/* Parents first, whichever is older. */
	CHECK_INT(update(w, c, a, "c2"), ERR_NONE);
	CHECK_STR(changed(w, seq - 3), " b a c2");

	CHECK_INT(update(w, b, c, "b"), ERR_BAD_INPUT);
	CHECK_INT(update(w, b, b, "b"), ERR_BAD_INPUT);
	CHECK_INT(update(w, b, (struct folder_id){999}, "b"), ERR_NOT_FOUND);
	CHECK_INT(update(w, (struct folder_id){999}, root, "b"), ERR_NOT_FOUND);
	CHECK_INT(update(w, b, root, "Inbox"), ERR_CONFLICT);
	CHECK_INT(update(w, b, root, ""), ERR_BAD_INPUT);
	CHECK_INT(update(w, w->inbox, root, "x"), ERR_DENIED);
	CHECK_INT(seq_of(w, w->anna), seq + 2);
	world_free(&w);
}

static void test_delete(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a"), b = add(w, root, "b"), c = add(w, a, "c");
	uint64_t seq = seq_of(w, w->anna);

	CHECK_INT(update(w, a, b, "a"), ERR_NONE);
	w->event_count = 0;
	CHECK_INT(apply(w, FOLDER_DELETE_BELOW, b), ERR_NONE);
	CHECK_STR(changed(w, seq + 1), " -a -c");
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[0].seq, seq + 2);
	CHECK_INT(w->events[1].seq, seq + 2);
	CHECK_INT(apply(w, FOLDER_DELETE, c), ERR_NOT_FOUND);
	CHECK_INT(apply(w, FOLDER_DELETE, w->trash), ERR_DENIED);
	CHECK_INT(apply(w, FOLDER_DELETE, b), ERR_NONE);
	CHECK_INT(apply(w, FOLDER_DELETE, b), ERR_NOT_FOUND);
	/* Nothing can be made in it, and its name is free. */
	CHECK_INT(try_op(w, &(struct folder_op){.kind = FOLDER_ADD, .parent = b, .name = "x"}),
		ERR_NOT_FOUND);
	CHECK(add(w, root, "b").v > c.v);
	world_free(&w);
}

static uint64_t used_bytes(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *user = NULL;

	REQUIRE_OK(store_user_load(rd, w->anna, w->arena, &user, &err), &err);
	return user->used_bytes;
}

static struct item_id add_to(struct world *w, struct folder_id folder, const char *text)
{
	struct op op = {.kind = OP_ADD, .folder = folder, .text = text, .date_at = 1};
	struct err err = ERR_INIT;

	REQUIRE_OK(do_op(w, &op, &err), &err);
	return op.id;
}

static int step(struct world *w, struct folder_id folder, size_t limit)
{
	struct err err = ERR_INIT;
	int rc = store_purge_step(w->store, w->anna, folder, limit, &err);

	CHECK(rc >= 0);
	return rc;
}

/* What was there goes, step by step; what comes meanwhile stays. */
static void test_empty(void)
{
	struct world *w = world_new();
	struct item_id kept;
	uint64_t seq;

	for (int i = 0; i < 5; i++)
		(void)add_to(w, w->inbox, "12345");
	seq = seq_of(w, w->anna);
	CHECK_INT(apply(w, FOLDER_EMPTY, (struct folder_id){999}), ERR_NOT_FOUND);
	CHECK_INT(step(w, w->inbox, 2), 0);
	CHECK_INT(apply(w, FOLDER_EMPTY, w->inbox), ERR_NONE);
	kept = add_to(w, w->inbox, "later");
	CHECK_INT(step(w, w->trash, 2), 0);
	w->event_count = 0;
	CHECK_INT(step(w, w->inbox, 2), 1);
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[0].kinds, CHANGE_DELETE);
	CHECK_INT(w->events[0].device.v, 7);
	CHECK_INT(used_bytes(w), 20);
	/* The engine dies here; the next one's sweep goes on. */
	store_close(&w->store);
	world_open_store(w);
	{
		struct err err = ERR_INIT;

		CHECK(store_sweep(w->store, 0, 1000, &err) >= 0);
	}
	CHECK_INT(step(w, root, 2), 0);
	CHECK_INT(used_bytes(w), 5);
	CHECK(load_item(w, w->inbox, kept) != NULL);
	CHECK_STR(changes_text(w, w->inbox, seq, 10), "6@7 -1@8 -2@8 -3@9 -4@9 -5@9");
	world_free(&w);
}

/* A deleted folder's items go without a trace, the states with them. */
static void test_purge_deleted(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a"), b = add(w, a, "b");
	struct states s = {.owner = w->anna, .folder = a, .rows = {STATE(1, 0, "x")}, .count = 1};
	struct err err = ERR_INIT;
	struct op op = {.kind = OP_ADD, .folder = a, .text = "x"};

	new_phone(w);
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	for (int i = 0; i < 3; i++) {
		(void)add_to(w, a, "12345");
		(void)add_to(w, b, "12345");
	}
	(void)add_to(w, w->inbox, "1");
	CHECK_INT(apply(w, FOLDER_DELETE, a), ERR_NONE);
	CHECK_INT(do_op(w, &op, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	w->event_count = 0;
	for (int i = 0; step(w, root, 2) > 0; i++)
		REQUIRE(i < 10);
	CHECK_INT(w->event_count, 0);
	CHECK_INT(used_bytes(w), 1);
	CHECK_STR(changes_text(w, a, 0, 10), "");
	{
		CLEANUP(store_read_end) struct store_read *rd = reading(w);
		struct sync_collection_ref *refs;
		size_t count;

		REQUIRE_OK(
			store_sync_state_list(rd, phone.id, w->arena, &refs, &count, &err), &err);
		CHECK_INT(count, 0);
	}
	world_free(&w);
}

/* The row of a deleted folder goes with the tombstones of its time, not before its items. */
static void test_forget(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a");
	uint64_t seq, floor = 99;
	struct err err = ERR_INIT;

	(void)add_to(w, a, "12345");
	clock_fake_set(1000000, 0);
	CHECK_INT(apply(w, FOLDER_DELETE, a), ERR_NONE);
	seq = seq_of(w, w->anna);
	CHECK(store_sweep(w->store, 1000, 1000, &err) >= 0);
	CHECK_STR(changed(w, seq - 1), " -a");
	{
		CLEANUP(store_read_end) struct store_read *rd = reading(w);

		REQUIRE_OK(store_folder_floor(rd, w->anna, &floor, &err), &err);
		CHECK_INT(floor, 0);
	}
	CHECK(store_sweep(w->store, 1001, 1000, &err) >= 0);
	CHECK_STR(changed(w, seq - 1), "");
	{
		CLEANUP(store_read_end) struct store_read *rd = reading(w);

		REQUIRE_OK(store_folder_floor(rd, w->anna, &floor, &err), &err);
		CHECK_INT(floor, seq);
	}
	CHECK(add(w, root, "a").v > a.v);
	clock_fake_off();
	world_free(&w);
}

/* A write fails, whichever: nothing or everything. */
static void test_failures(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a"), b = add(w, a, "b");
	uint64_t seq;

	(void)add_to(w, b, "12345");
	seq = seq_of(w, w->anna);
	for (unsigned n = 1;; n++) {
		enum err_code code;

		REQUIRE(n < 100);
		store_fail_after(w->store, n, ERR_BACKEND);
		code = apply(w, FOLDER_DELETE, a);
		store_fail_after(w->store, 0, ERR_NONE);
		if (code == ERR_NONE)
			break;
		CHECK_INT(seq_of(w, w->anna), seq);
		CHECK_STR(changed(w, seq), "");
	}
	CHECK_STR(changed(w, seq), " -a -b");
	for (unsigned n = 1;; n++) {
		struct err err = ERR_INIT;
		int rc;

		REQUIRE(n < 100);
		store_fail_after(w->store, n, ERR_BACKEND);
		rc = store_purge_step(w->store, w->anna, root, 10, &err);
		store_fail_after(w->store, 0, ERR_NONE);
		if (rc == 0)
			break;
	}
	CHECK_INT(used_bytes(w), 0);
	world_free(&w);
}

struct rule {
	struct world *w;
	uint64_t conversation;
	struct folder_id folder;
};

static int set_rule(struct store_tx *tx, void *owner, struct err *err)
{
	const struct rule *rule = owner;

	tx->now_at = (int64_t)rule->conversation; /* the number is its age, too */
	return store_conversation_rule_set(
		tx, rule->w->anna, rule->conversation, rule->folder, 3, err);
}

static void set(struct world *w, uint64_t conversation, struct folder_id folder)
{
	struct rule rule = {w, conversation, folder};
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, set_rule, &rule, &err), &err);
}

static uint64_t rule_of(struct world *w, struct owner_id owner, uint64_t conversation)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder_id folder = {99};

	REQUIRE_OK(store_conversation_rule_find(rd, owner, conversation, &folder, &err), &err);
	return folder.v;
}

static void test_conversation_rules(void)
{
	struct world *w = world_new();
	struct folder_id a = add(w, root, "a");

	CHECK_INT(rule_of(w, w->anna, 0), 0);
	CHECK_INT(rule_of(w, w->anna, 1), 0);
	set(w, 1, a);
	set(w, 2, a);
	set(w, 3, w->trash);
	CHECK_INT(rule_of(w, w->anna, 1), a.v);
	CHECK_INT(rule_of(w, w->bob, 1), 0);
	/* Three fit: the oldest goes, whether it was made or made anew. */
	set(w, 3, a);
	CHECK_INT(rule_of(w, w->anna, 1), a.v);
	set(w, 4, w->trash);
	CHECK_INT(rule_of(w, w->anna, 1), 0);
	CHECK_INT(rule_of(w, w->anna, 2), a.v);
	set(w, 2, root);
	CHECK_INT(rule_of(w, w->anna, 2), 0);
	CHECK_INT(rule_of(w, w->anna, 3), a.v);
	CHECK_INT(apply(w, FOLDER_DELETE, a), ERR_NONE);
	CHECK_INT(rule_of(w, w->anna, 3), 0);
	CHECK_INT(rule_of(w, w->anna, 4), w->trash.v);
	CHECK_INT(step(w, root, 10), 1);
	CHECK_INT(step(w, root, 10), 0);
	world_free(&w);
}

TEST_MAIN(TEST(test_conversation_rules), TEST(test_forget), TEST(test_update), TEST(test_delete),
	TEST(test_empty), TEST(test_purge_deleted), TEST(test_failures))
