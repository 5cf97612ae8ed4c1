/*
 * Expiry of Junk and Deleted Items, and the warning of a nearly full mailbox, on a clock that the
 * test moves.
 */
#include "store/test_store_util.h"

#define START_MS INT64_C(1790000000000)
#define DAY_MS   INT64_C(86400000)

static struct world *begin(void)
{
	clock_fake_set(START_MS, 0);
	return world_new();
}

static void end(struct world **w)
{
	world_free(w);
	clock_fake_off();
}

static struct item_id move_to(struct world *w, struct folder_id target, struct item_id id)
{
	struct op op = {.kind = OP_MOVE, .id = id, .target = target};
	struct err err = ERR_INIT;

	REQUIRE_OK(do_op(w, &op, &err), &err);
	return op.id;
}

static struct folder_id junk_of(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folders;
	size_t count;

	REQUIRE_OK(store_folder_list(rd, w->anna, w->arena, &folders, &count, &err), &err);
	for (size_t i = 0; i < count; i++) {
		if (folders[i].role == FOLDER_ROLE_JUNK)
			return folders[i].id;
	}
	REQUIRE(false);
	return (struct folder_id){0};
}

static struct store_expiry pass(struct world *w, uint64_t junk_days, uint64_t deleted_days,
	size_t limit, unsigned *ret_steps)
{
	struct store_expiry e = {
		.now_at = clock_now_at(), .junk_days = junk_days, .deleted_days = deleted_days};
	struct err err = ERR_INIT;
	unsigned steps = 1;
	int rc;

	while ((rc = store_expire_step(w->store, &e, limit, &err)) == 1 && steps < 1000)
		steps++;
	REQUIRE_OK(rc, &err);
	if (ret_steps != NULL)
		*ret_steps = steps;
	return e;
}

static void test_age_counts_from_the_move(void)
{
	struct world *w = begin();
	struct item_id first = add_item(w, "a mail of long ago", 500), second, third;
	struct store_expiry e;

	/* Forty days in the Inbox do not count. */
	clock_fake_advance_ms(40 * DAY_MS);
	second = add_item(w, "another", 500);
	first = move_to(w, w->trash, first);
	clock_fake_advance_ms(6 * DAY_MS);
	second = move_to(w, w->trash, second);
	third = add_item(w, "stays in the Inbox", 500);
	CHECK_INT(pass(w, 0, 7, 100, NULL).removed, 0);
	clock_fake_advance_ms(DAY_MS + 1000);
	w->event_count = 0;
	e = pass(w, 0, 7, 100, NULL);
	CHECK_INT(e.removed, 1);
	CHECK_INT(e.mailboxes, 1);
	CHECK(load_item(w, w->trash, first) == NULL);
	CHECK(load_item(w, w->trash, second) != NULL);
	CHECK(load_item(w, w->inbox, third) != NULL);
	/* As any deletion: an event for whoever waits, nobody's, and a tombstone. */
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_DELETE);
	CHECK_INT(w->events[0].folder.v, w->trash.v);
	CHECK_INT(w->events[0].item.v, first.v);
	CHECK_INT(w->events[0].device.v, 0);
	CHECK(strstr(changes_text(w, w->trash, 0, 10), "-1@") != NULL);
	CHECK_INT(pass(w, 0, 0, 100, NULL).removed, 0);
	clock_fake_advance_ms(100 * DAY_MS);
	CHECK_INT(pass(w, 0, 0, 100, NULL).removed, 0);
	CHECK_INT(pass(w, 1, 0, 100, NULL).removed, 0);
	CHECK_INT(pass(w, 0, 1, 100, NULL).removed, 1);
	end(&w);
}

struct wish {
	struct owner_id owner;
	int64_t junk_days, deleted_days;
};

static int set_wish(struct store_tx *tx, void *owner, struct err *err)
{
	const struct wish *wish = owner;

	return store_user_set_expiry(tx, wish->owner, wish->junk_days, wish->deleted_days, err);
}

static void test_wishes_and_junk(void)
{
	struct world *w = begin();
	struct folder_id junk = junk_of(w);
	struct wish wish = {w->anna, 3, 0};
	struct err err = ERR_INIT;
	struct op op = {.kind = OP_ADD, .text = "spam", .folder = junk};

	REQUIRE_OK(do_op(w, &op, &err), &err);
	(void)move_to(w, w->trash, add_item(w, "deleted", 500));
	clock_fake_advance_ms(5 * DAY_MS);
	CHECK_INT(pass(w, 0, 0, 100, NULL).removed, 0);
	CHECK_INT(pass(w, 6, 6, 100, NULL).removed, 0);
	/* Her own wish goes before the server's. */
	REQUIRE_OK(store_transact(w->store, set_wish, &wish, &err), &err);
	CHECK_INT(pass(w, 0, 1, 100, NULL).removed, 1);
	CHECK(load_item(w, junk, op.id) == NULL);
	wish = (struct wish){w->anna, STORE_DAYS_DEFAULT, STORE_DAYS_DEFAULT};
	REQUIRE_OK(store_transact(w->store, set_wish, &wish, &err), &err);
	CHECK_INT(pass(w, 0, 1, 100, NULL).removed, 1);
	wish.junk_days = STORE_DAYS_MAX + 1;
	CHECK_INT(store_transact(w->store, set_wish, &wish, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	wish = (struct wish){{4711}, 1, 1};
	CHECK_INT(store_transact(w->store, set_wish, &wish, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	end(&w);
}

static void test_bounded_steps(void)
{
	struct world *w = begin();
	struct store_expiry e;
	unsigned steps;

	for (int i = 0; i < 25; i++)
		(void)move_to(w, w->trash, add_item(w, "many", 500));
	clock_fake_advance_ms(2 * DAY_MS);
	for (int i = 0; i < 5; i++)
		(void)move_to(w, w->trash, add_item(w, "new", 500));
	e = pass(w, 0, 1, 10, &steps);
	CHECK_INT(e.removed, 25);
	CHECK_INT(e.mailboxes, 1);
	CHECK_INT(steps, 3);
	CHECK_INT(pass(w, 0, 1, 10, &steps).removed, 0);
	CHECK_INT(steps, 1);
	end(&w);
}

static int forget_arrivals(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_run_id(tx, "UPDATE items SET arrived_at = 0 WHERE owner = $1", w->anna.v, err);
}

/* What was there before arrivals were written down counts from the first pass. */
static void test_unknown_arrival(void)
{
	struct world *w = begin();
	struct err err = ERR_INIT;

	(void)move_to(w, w->trash, add_item(w, "older than this version", 500));
	REQUIRE_OK(transact(w, forget_arrivals, &err), &err);
	clock_fake_advance_ms(50 * DAY_MS);
	CHECK_INT(pass(w, 0, 30, 10, NULL).removed, 0);
	clock_fake_advance_ms(29 * DAY_MS);
	CHECK_INT(pass(w, 0, 30, 10, NULL).removed, 0);
	clock_fake_advance_ms(2 * DAY_MS);
	CHECK_INT(pass(w, 0, 30, 10, NULL).removed, 1);
	end(&w);
}

/* A write that fails leaves a pass which can go on. */
static void test_failures(void)
{
	struct world *w = begin();
	struct err err = ERR_INIT;
	struct store_expiry e = {.deleted_days = 1};
	unsigned failures = 0;

	for (int i = 0; i < 3; i++)
		(void)move_to(w, w->trash, add_item(w, "old", 500));
	clock_fake_advance_ms(2 * DAY_MS);
	e.now_at = clock_now_at();
	for (unsigned n = 1; n < 100; n++) {
		int rc;

		store_fail_after(w->store, n, ERR_QUOTA);
		rc = store_expire_step(w->store, &e, 10, &err);
		store_fail_after(w->store, 0, ERR_NONE);
		if (rc == 0)
			break;
		CHECK_INT(rc, -1);
		CHECK_INT(err.code, ERR_QUOTA);
		err = (struct err)ERR_INIT;
		failures++;
	}
	CHECK(failures > 3);
	CHECK_INT(e.removed, 3);
	end(&w);
}

/* ---- the quota ---- */

static int set_quota(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_quota(tx, w->anna, 1000, err);
}

static size_t warnings(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct log_row *rows;
	size_t count, found = 0;

	REQUIRE_OK(store_log_list(rd, "anna@example.org", 0, 100, w->arena, &rows, &count, &err),
		&err);
	for (size_t i = 0; i < count; i++)
		found += strcmp(rows[i].action, "mailbox nearly full") == 0;
	return found;
}

static void test_nearly_full(void)
{
	struct world *w = begin();
	struct op op = {.kind = OP_DELETE};
	struct err err = ERR_INIT;
	char text[100];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	store_set_quota_warning(w->store, 90);
	REQUIRE_OK(transact(w, set_quota, &err), &err);
	for (int i = 0; i < 9; i++)
		op.id = add_item(w, text, 500);
	CHECK_INT(warnings(w), 0);
	op.id = add_item(w, text, 500);
	CHECK_INT(warnings(w), 1);
	/* Once, also when a little goes and comes. */
	REQUIRE_OK(do_op(w, &op, &err), &err);
	op.id = add_item(w, text, 500);
	CHECK_INT(warnings(w), 1);
	/* Full is full, to the byte. */
	text[10] = 0;
	(void)add_item(w, text, 500);
	op = (struct op){.kind = OP_ADD, .text = "y"};
	CHECK_INT(do_op(w, &op, &err), -1);
	CHECK_INT(err.code, ERR_QUOTA);
	/* Again when a tenth had become free. */
	err = (struct err)ERR_INIT;
	for (uint64_t id = 1; id <= 4; id++) {
		op = (struct op){.kind = OP_DELETE, .id = {id}};
		REQUIRE_OK(do_op(w, &op, &err), &err);
	}
	text[10] = 'x';
	for (int i = 0; i < 4; i++)
		(void)add_item(w, text, 500);
	CHECK_INT(warnings(w), 2);
	/* A move needs no room. */
	(void)move_to(w, w->trash, (struct item_id){5});
	end(&w);
}

TEST_MAIN(TEST(test_age_counts_from_the_move), TEST(test_wishes_and_junk), TEST(test_bounded_steps),
	TEST(test_unknown_arrival), TEST(test_failures), TEST(test_nearly_full))
