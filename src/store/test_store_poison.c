/* What crashed the engine: counting, setting aside, refusing, releasing. */
#include "store/test_store_util.h"

/* One call of the room as a transaction. */
struct poison_op {
	enum { COUNT_ITEM, COUNT_REQUEST, SET_ASIDE, RELEASE_ITEM, RELEASE_REQUEST, TOUCH } kind;
	struct owner_id owner;
	struct folder_id folder;
	struct item_id item;
	uint64_t hash, crash;
	int64_t since_at;
	bool now; /* out: */
	size_t count;
};

static int run_poison_op(struct store_tx *tx, void *owner, struct err *err)
{
	struct poison_op *op = owner;
	const struct poison_request request = {
		.owner = op->owner, .hash = op->hash, .device = {7}, .command = "Sync"};

	switch (op->kind) {
	case COUNT_ITEM:
		return store_poison_count_item(
			tx, op->owner, op->folder, op->item, op->crash, &op->now, err);
	case COUNT_REQUEST:
		return store_poison_count_request(
			tx, &request, op->crash, op->since_at, &op->now, err);
	case SET_ASIDE:
		return store_poison_set_aside(tx, op->owner, op->folder, op->item, 5, "why", err);
	case RELEASE_ITEM:
		return store_poison_release_item(
			tx, op->owner, op->folder, op->item, &op->count, err);
	case RELEASE_REQUEST:
		return store_poison_release_request(tx, op->owner, op->hash, err);
	case TOUCH:
		return store_item_touch(tx, op->owner, op->folder, op->item, err);
	}
	return -1;
}

static int do_poison(struct world *w, struct poison_op *op, struct err *err)
{
	if (op->owner.v == 0 && op->kind != COUNT_REQUEST)
		op->owner = w->anna;
	if (op->folder.v == 0)
		op->folder = w->inbox;
	op->now = false;
	return store_transact(w->store, run_poison_op, op, err);
}

static bool count_item(struct world *w, struct item_id item, uint64_t crash)
{
	struct poison_op op = {.kind = COUNT_ITEM, .item = item, .crash = crash};
	struct err err = ERR_INIT;

	REQUIRE_OK(do_poison(w, &op, &err), &err);
	return op.now;
}

static size_t list_items(struct world *w, struct owner_id owner, struct poison_item **ret)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	size_t count = 99;

	REQUIRE_OK(store_poison_items(rd, owner, w->arena, ret, &count, &err), &err);
	return count;
}

static const struct owner_id everybody = {0};

static void test_second_crash_sets_aside(void)
{
	struct world *w = world_new();
	struct item_id guilty = add_item(w, "guilty", 1000), other = add_item(w, "other", 1001);
	struct poison_item *items;
	uint64_t seq = seq_of(w, w->anna);

	clock_fake_set(5000 * 1000, 1);
	CHECK(!count_item(w, guilty, 1));
	CHECK(!count_item(w, guilty, 1)); /* the same crash, read once more */
	CHECK(!count_item(w, other, 1));
	CHECK_INT(load_item(w, w->inbox, guilty)->set_aside_at, 0);
	CHECK_INT(list_items(w, everybody, &items), 0);
	CHECK(count_item(w, guilty, 2));
	CHECK(!count_item(w, guilty, 3)); /* only once */
	CHECK_INT(load_item(w, w->inbox, guilty)->set_aside_at, 5000);
	CHECK_INT(load_item(w, w->inbox, other)->set_aside_at, 0);
	CHECK_INT(list_items(w, w->bob, &items), 0);
	CHECK_INT(list_items(w, w->anna, &items), 1);
	CHECK_INT(list_items(w, everybody, &items), 1);
	CHECK_INT(items[0].owner.v, w->anna.v);
	CHECK_INT(items[0].folder.v, w->inbox.v);
	CHECK_INT(items[0].item.v, guilty.v);
	CHECK_INT(items[0].crashes, 3);
	CHECK_INT(items[0].set_aside_at, 5000);
	CHECK_INT(items[0].received_at, 1000);
	CHECK(items[0].reason[0] != '\0');
	/* Phones that hold the true one keep it: nothing changed. */
	CHECK_INT(seq_of(w, w->anna), seq);
	clock_fake_off();
	world_free(&w);
}

static void test_an_item_that_is_gone(void)
{
	struct world *w = world_new();
	struct item_id guilty = add_item(w, "guilty", 1000), never = {4711};
	struct op remove = {.kind = OP_DELETE, .id = guilty};
	struct poison_item *items;
	struct err err = ERR_INIT;

	CHECK(!count_item(w, never, 1));
	CHECK(!count_item(w, never, 2));
	CHECK(!count_item(w, guilty, 1));
	CHECK(count_item(w, guilty, 2));
	REQUIRE_OK(do_op(w, &remove, &err), &err);
	CHECK(!count_item(w, guilty, 3));
	CHECK_INT(list_items(w, everybody, &items), 0);
	CHECK_INT(store_poison_sweep(w->store, 0, 10, &err), 0);
	CHECK_INT(list_items(w, everybody, &items), 0);
	world_free(&w);
}

static void test_it_moves_along(void)
{
	struct world *w = world_new();
	struct item_id guilty = add_item(w, "guilty", 1000);
	struct op move = {.kind = OP_MOVE, .id = guilty, .target = w->trash};
	struct poison_op release = {.kind = RELEASE_ITEM, .item = guilty};
	struct err err = ERR_INIT;

	CHECK(!count_item(w, guilty, 1));
	CHECK(count_item(w, guilty, 2));
	REQUIRE_OK(do_op(w, &move, &err), &err);
	CHECK(load_item(w, w->trash, move.id)->set_aside_at != 0);
	CHECK(do_poison(w, &release, &err) < 0);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	release.folder = w->trash;
	release.item = move.id;
	REQUIRE_OK(do_poison(w, &release, &err), &err);
	CHECK_INT(load_item(w, w->trash, move.id)->set_aside_at, 0);
	world_free(&w);
}

static void test_release(void)
{
	struct world *w = world_new();
	struct item_id guilty = add_item(w, "guilty", 1000), other = add_item(w, "other", 1001);
	struct poison_op release = {.kind = RELEASE_ITEM, .item = guilty};
	struct poison_op aside = {.kind = SET_ASIDE, .item = guilty};
	struct err err = ERR_INIT;
	uint64_t seq;

	REQUIRE_OK(do_poison(w, &aside, &err), &err);
	CHECK(load_item(w, w->inbox, guilty)->set_aside_at != 0);
	seq = seq_of(w, w->anna);
	w->event_count = 0;
	REQUIRE_OK(do_poison(w, &release, &err), &err);
	/* Every phone hears of new content. */
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	CHECK_INT(load_item(w, w->inbox, guilty)->row.content_seq, seq + 1);
	CHECK_INT(load_item(w, w->inbox, guilty)->row.changed_seq, seq + 1);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_CONTENT);
	CHECK_INT(w->events[0].item.v, guilty.v);
	CHECK_INT(load_item(w, w->inbox, guilty)->set_aside_at, 0);
	/* The count begins anew. */
	CHECK(!count_item(w, guilty, 3));
	CHECK(count_item(w, guilty, 4));
	/* One that is not set aside stays as it is. */
	seq = seq_of(w, w->anna);
	release.item = other;
	CHECK(do_poison(w, &release, &err) < 0);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(seq_of(w, w->anna), seq);
	world_free(&w);
}

/* Is it set aside now, as somebody finds who loads it? */
static bool meet(struct world *w, struct item_id id)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct item *item = load_item(w, w->inbox, id);
	struct err err = ERR_INIT;
	bool copy = false;

	REQUIRE_OK(store_poison_check_copy(rd, w->anna, w->inbox, item, &copy, &err), &err);
	return copy;
}

/* The same message in many mailboxes (here all summaries are the same): two crashes are enough. */
static void test_copies(void)
{
	struct world *w = world_new();
	struct item_id ids[4];
	struct poison_op release = {.kind = RELEASE_ITEM};
	struct poison_item *items;
	struct log_row *rows = NULL;
	struct store_read *rd;
	struct err err = ERR_INIT;
	size_t count = 0;
	uint64_t seq;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = add_item(w, "copy", 1000);
	CHECK(!meet(w, ids[0]));
	CHECK(!count_item(w, ids[0], 1));
	CHECK(!meet(w, ids[1]));
	CHECK(count_item(w, ids[1], 2));
	CHECK(meet(w, ids[2]));
	CHECK(load_item(w, w->inbox, ids[2])->set_aside_at != 0);
	CHECK_INT(list_items(w, w->anna, &items), 2);
	CHECK_INT(items[1].item.v, ids[2].v);
	rd = reading(w);
	REQUIRE_OK(
		store_log_list(rd, "anna@example.org", 0, 10, w->arena, &rows, &count, &err), &err);
	store_read_end(&rd);
	CHECK_INT(count, 1);
	CHECK_STR(rows[0].action, "item set aside");
	/* A restart of the house remembers. */
	store_close(&w->store);
	world_open_store(w);
	CHECK(meet(w, ids[0]));
	/* One release for all of them. */
	seq = seq_of(w, w->anna);
	release.item = ids[1];
	REQUIRE_OK(do_poison(w, &release, &err), &err);
	CHECK_INT(release.count, 3);
	CHECK_INT(list_items(w, w->anna, &items), 0);
	CHECK_INT(seq_of(w, w->anna), seq + 1);
	for (size_t i = 0; i < 3; i++)
		CHECK_INT(load_item(w, w->inbox, ids[i])->row.content_seq, seq + 1);
	CHECK(!meet(w, ids[0]));
	CHECK(!meet(w, ids[3]));
	CHECK(!count_item(w, ids[3], 3));
	world_free(&w);
}

/* ---- requests ---- */

static bool count_request(
	struct world *w, struct owner_id owner, uint64_t hash, uint64_t crash, int64_t since_at)
{
	struct poison_op op = {.kind = COUNT_REQUEST,
		.owner = owner,
		.hash = hash,
		.crash = crash,
		.since_at = since_at};
	struct err err = ERR_INIT;

	REQUIRE_OK(do_poison(w, &op, &err), &err);
	return op.now;
}

static uint64_t crashes(struct world *w, struct owner_id owner, uint64_t hash, int64_t since_at)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t count = 99;

	REQUIRE_OK(store_poison_crashes(rd, owner, hash, since_at, &count, &err), &err);
	return count;
}

static size_t list_requests(
	struct world *w, struct owner_id owner, int64_t since_at, struct poison_request **ret)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	size_t count = 99;

	REQUIRE_OK(store_poison_requests(rd, owner, since_at, w->arena, ret, &count, &err), &err);
	return count;
}

static void test_requests(void)
{
	struct world *w = world_new();
	struct poison_op release = {.kind = RELEASE_REQUEST, .owner = w->anna, .hash = 5};
	struct poison_request *requests;
	struct err err = ERR_INIT;

	clock_fake_set(5000 * 1000, 1);
	CHECK(!store_poison_any(w->store));
	CHECK(!count_request(w, w->anna, 5, 1, 0));
	CHECK(store_poison_any(w->store));
	CHECK(!count_request(w, w->anna, 5, 1, 0));
	CHECK(!count_request(w, w->bob, 5, 1, 0));
	CHECK(!count_request(w, w->anna, 6, 2, 0));
	CHECK_INT(list_requests(w, everybody, 0, &requests), 0);
	clock_fake_set(6000 * 1000, 1);
	CHECK(count_request(w, w->anna, 5, 3, 0));
	CHECK(!count_request(w, w->anna, 5, 4, 0));
	CHECK_INT(crashes(w, w->anna, 5, 6000), 3);
	CHECK_INT(crashes(w, w->anna, 5, 6001), 0); /* too long ago */
	CHECK_INT(crashes(w, w->anna, 6, 0), 1);
	CHECK_INT(crashes(w, w->anna, 7, 0), 0);
	CHECK_INT(list_requests(w, w->bob, 0, &requests), 0);
	CHECK_INT(list_requests(w, everybody, 6001, &requests), 0);
	CHECK_INT(list_requests(w, everybody, 0, &requests), 1);
	CHECK_INT(requests[0].owner.v, w->anna.v);
	CHECK_INT(requests[0].hash, 5);
	CHECK_INT(requests[0].device.v, 7);
	CHECK_INT(requests[0].refused_at, 6000);
	CHECK_STR(requests[0].command, "Sync");
	/* A restart of the house remembers. */
	store_close(&w->store);
	world_open_store(w);
	CHECK(store_poison_any(w->store));
	CHECK_INT(crashes(w, w->anna, 5, 0), 3);
	REQUIRE_OK(do_poison(w, &release, &err), &err);
	CHECK_INT(crashes(w, w->anna, 5, 0), 0);
	CHECK(do_poison(w, &release, &err) < 0);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	clock_fake_off();
	world_free(&w);
}

static void test_requests_are_forgotten(void)
{
	struct world *w = world_new();
	struct poison_request *requests;
	struct err err = ERR_INIT;

	clock_fake_set(1000 * 1000, 1);
	CHECK(!count_request(w, everybody, 5, 1, 0));
	CHECK(count_request(w, everybody, 5, 2, 0));
	/* Long after: it counts from the beginning. */
	clock_fake_set(9000 * 1000, 1);
	CHECK(!count_request(w, everybody, 5, 3, 8000));
	CHECK_INT(list_requests(w, everybody, 0, &requests), 0);
	CHECK(count_request(w, everybody, 5, 4, 8000));
	CHECK_INT(list_requests(w, everybody, 0, &requests), 1);
	CHECK_INT(requests[0].owner.v, 0);
	CHECK_INT(store_poison_sweep(w->store, 9000, 10, &err), 0);
	CHECK_INT(crashes(w, everybody, 5, 0), 2);
	CHECK(!count_request(w, everybody, 6, 5, 8000));
	CHECK_INT(store_poison_sweep(w->store, 9001, 1, &err), 1);
	CHECK_INT(store_poison_sweep(w->store, 9001, 2, &err), 0);
	CHECK_INT(crashes(w, everybody, 5, 0) + crashes(w, everybody, 6, 0), 0);
	clock_fake_off();
	world_free(&w);
}

/* A write that fails leaves nothing half counted. */
static void test_failing_writes(void)
{
	struct world *w = world_new();
	struct item_id guilty = add_item(w, "guilty", 1000);
	struct poison_op count = {.kind = COUNT_ITEM, .item = guilty};
	struct poison_op release = {.kind = RELEASE_ITEM, .item = guilty};
	struct err err = ERR_INIT;
	unsigned n;

	CHECK(!count_item(w, guilty, 1));
	count.crash = 2;
	for (n = 1; n < 50; n++) {
		store_fail_after(w->store, n, ERR_QUOTA);
		if (do_poison(w, &count, &err) == 0)
			break;
		store_fail_after(w->store, 0, ERR_NONE);
		CHECK_INT(load_item(w, w->inbox, guilty)->set_aside_at, 0);
	}
	store_fail_after(w->store, 0, ERR_NONE);
	CHECK(n > 1 && n < 50);
	CHECK(load_item(w, w->inbox, guilty)->set_aside_at != 0);
	for (n = 1; n < 50; n++) {
		store_fail_after(w->store, n, ERR_QUOTA);
		if (do_poison(w, &release, &err) == 0)
			break;
		store_fail_after(w->store, 0, ERR_NONE);
		CHECK(load_item(w, w->inbox, guilty)->set_aside_at != 0);
	}
	store_fail_after(w->store, 0, ERR_NONE);
	CHECK(n > 1 && n < 50);
	CHECK_INT(load_item(w, w->inbox, guilty)->set_aside_at, 0);
	world_free(&w);
}

TEST_MAIN(TEST(test_second_crash_sets_aside), TEST(test_an_item_that_is_gone),
	TEST(test_it_moves_along), TEST(test_release), TEST(test_copies), TEST(test_requests),
	TEST(test_requests_are_forgotten), TEST(test_failing_writes))
