#include "store/store_access.h"
#include "store/store_counts.h"
#include "store/store_wipe.h"

#include "store/test_store_util.h"

static struct device phone;

static int add_phone(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	phone = (struct device){.owner = w->anna,
		.device_id = "PHONE1",
		.policy_key = 7,
		.policy_key_temporary = 8,
		.credential = "$y$hash"};
	return store_device_save(tx, &phone, err);
}

/* One call in a transaction of its own. */
struct move {
	enum wipe_event event;
	bool account_only;
	int64_t at;
	enum wipe_state from;
};

static int run_move(struct store_tx *tx, void *owner, struct err *err)
{
	struct move *s = owner;

	if (s->event == WIPE_EVENT_ORDER)
		return store_wipe_order(tx, phone.id, s->account_only, false, "admin", s->at, err);
	return store_wipe_move(tx, phone.id, s->event, "boss", s->at, &s->from, err);
}

static int move(struct world *w, enum wipe_event event, int64_t at)
{
	struct move s = {.event = event, .at = at};
	struct err err = ERR_INIT;

	if (store_transact(w->store, run_move, &s, &err) == 0)
		return 0;
	CHECK_INT(err.code, ERR_CONFLICT);
	return -1;
}

static struct device *load(struct world *w, struct wipe **ret)
{
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct device *device;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_device_load(rd, phone.id, w->arena, &device, &err), &err);
	REQUIRE_OK(store_wipe_last(rd, w->anna, phone.id, w->arena, ret, &err), &err);
	store_read_end(&rd);
	return device;
}

static struct world *world_with_phone(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, add_phone, w, &err), &err);
	return w;
}

static void test_machine(void)
{
	/* Rows: states; columns: order, send, acknowledge, fail, cancel, clear. */
	static const char *const want[] = {"P-----", "-SAFN-", "-SAFN-", "-FAFN-", "--A--N"};
	static const enum wipe_state rows[] = {
		WIPE_NONE, WIPE_ORDERED, WIPE_SENT, WIPE_FAILED, WIPE_DONE};
	static const char letter[] = {[WIPE_NONE] = 'N',
		[WIPE_ORDERED] = 'P',
		[WIPE_SENT] = 'S',
		[WIPE_DONE] = 'A',
		[WIPE_FAILED] = 'F'};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int event = 0; event < WIPE_EVENT_COUNT; event++) {
			enum wipe_state to = WIPE_NONE;
			bool may = wipe_next(rows[i], (enum wipe_event)event, &to);

			CHECK_INT(may ? letter[to] : '-', want[i][event]);
		}
	}
	CHECK(!wipe_is_pending(WIPE_NONE) && !wipe_is_pending(WIPE_DONE));
	CHECK(wipe_is_pending(WIPE_FAILED));
}

static void test_obeyed_and_cleared(void)
{
	struct world *w = world_with_phone();
	struct device *device;
	struct wipe *wipe;
	struct err err = ERR_INIT;

	CHECK_INT(move(w, WIPE_EVENT_SEND, 1), -1);
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 10), 0);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_DEVICE);
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 11), -1);
	CHECK_INT(move(w, WIPE_EVENT_CLEAR, 11), -1);
	CHECK_INT(move(w, WIPE_EVENT_SEND, 20), 0);
	CHECK_INT(move(w, WIPE_EVENT_SEND, 21), 0);
	device = load(w, &wipe);
	CHECK_INT(device->wipe, WIPE_SENT);
	CHECK_INT(device->policy_key, 7);
	CHECK_STR(wipe_to_str(wipe), "sent");
	CHECK_INT(wipe->sent_at, 20);
	CHECK_INT(move(w, WIPE_EVENT_FAIL, 30), 0);
	CHECK_INT(move(w, WIPE_EVENT_SEND, 31), 0);
	device = load(w, &wipe);
	CHECK_INT(device->wipe, WIPE_FAILED);
	CHECK_INT(wipe->answered_at, 30);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 40), 0);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 41), 0);
	CHECK_INT(move(w, WIPE_EVENT_CANCEL, 42), -1);
	device = load(w, &wipe);
	CHECK_INT(device->wipe, WIPE_DONE);
	CHECK_INT(device->policy_key, 0);
	CHECK_INT(device->policy_key_temporary, 0);
	CHECK_STR(device->credential, "");
	CHECK_INT(wipe->answered_at, 40);
	CHECK_STR(wipe_to_str(wipe), "acknowledged");
	CHECK_STR(wipe->asked_by, "admin");
	CHECK_INT(move(w, WIPE_EVENT_CLEAR, 50), 0);
	device = load(w, &wipe);
	CHECK_INT(device->wipe, WIPE_NONE);
	CHECK_STR(wipe_to_str(wipe), "cleared");
	CHECK_STR(wipe->ended_by, "boss");
	CHECK_INT(wipe->ended_at, 50);
	REQUIRE_OK(move(w, WIPE_EVENT_ORDER, 60), &err);
	(void)load(w, &wipe);
	CHECK_INT(wipe->number, 2);
	world_free(&w);
}

static void test_cancelled(void)
{
	static const enum wipe_event before[] = {
		WIPE_EVENT_ORDER, WIPE_EVENT_SEND, WIPE_EVENT_FAIL};
	struct world *w = world_with_phone();
	struct device *device;
	struct wipe *wipe;

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		CHECK_INT(move(w, WIPE_EVENT_ORDER, 10), 0);
		if (before[i] != WIPE_EVENT_ORDER)
			CHECK_INT(move(w, before[i], 11), 0);
		CHECK_INT(move(w, WIPE_EVENT_CANCEL, 12), 0);
		CHECK_INT(move(w, WIPE_EVENT_CANCEL, 13), -1);
		/* Sent or answered a moment too late: nothing comes back. */
		CHECK_INT(move(w, WIPE_EVENT_SEND, 13), -1);
		CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 13), -1);
		device = load(w, &wipe);
		CHECK_INT(device->wipe, WIPE_NONE);
		CHECK_INT(device->policy_key, 7);
		CHECK_STR(wipe_to_str(wipe), "cancelled");
	}
	CHECK_INT(wipe->number, ARRAY_LEN(before));
	world_free(&w);
}

static void test_history_is_bounded(void)
{
	struct world *w = world_with_phone();
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct wipe *wipes;
	size_t count;

	for (int i = 0; i < STORE_WIPES_KEPT + 5; i++) {
		CHECK_INT(move(w, WIPE_EVENT_ORDER, 100 + i), 0);
		CHECK_INT(move(w, WIPE_EVENT_CANCEL, 100 + i), 0);
	}
	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_wipe_list(rd, w->anna, 0, 100, w->arena, &wipes, &count, &err), &err);
	CHECK_INT(count, STORE_WIPES_KEPT);
	CHECK_INT(wipes[0].number, STORE_WIPES_KEPT + 5);
	REQUIRE_OK(store_wipe_list(rd, w->bob, 0, 10, w->arena, &wipes, &count, &err), &err);
	CHECK_INT(count, 0);
	REQUIRE_OK(
		store_wipe_list(rd, (struct owner_id){0}, 0, 100, w->arena, &wipes, &count, &err),
		&err);
	CHECK_INT(count, STORE_WIPES_KEPT);
	store_read_end(&rd);
	world_free(&w);
}

static const char *credential(struct world *w, const char *device_id)
{
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	const char *got = "";
	uint32_t policy_key;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_wipe_credential(rd, w->anna, device_id, w->arena, &got, &policy_key, &err),
		&err);
	store_read_end(&rd);
	return got;
}

static void test_credential(void)
{
	struct world *w = world_with_phone();
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	uint64_t pending;

	CHECK(credential(w, "PHONE1") == NULL);
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 10), 0);
	CHECK_STR(credential(w, "PHONE1"), "$y$hash");
	CHECK_STR(credential(w, NULL), "$y$hash");
	CHECK(credential(w, "PHONE2") == NULL);
	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_wipe_pending(rd, w->anna, &pending, &err), &err);
	CHECK_INT(pending, 1);
	REQUIRE_OK(store_wipe_pending(rd, w->bob, &pending, &err), &err);
	CHECK_INT(pending, 0);
	store_read_end(&rd);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 11), 0);
	CHECK(credential(w, "PHONE1") == NULL);
	world_free(&w);
}

static int suspend(struct store_tx *tx, void *owner, struct err *err)
{
	return store_wipe_suspend_all(tx, "restore", 99, owner, err);
}

static int remove_phone(struct store_tx *tx, void *owner, struct err *err)
{
	(void)owner;
	return store_device_delete(tx, phone.id, err);
}

static void test_suspended(void)
{
	struct world *w = world_with_phone();
	struct err err = ERR_INIT;
	struct device *device;
	struct wipe *wipe;
	uint64_t count = 77;

	CHECK_INT(move(w, WIPE_EVENT_ORDER, 10), 0);
	CHECK_INT(move(w, WIPE_EVENT_SEND, 11), 0);
	REQUIRE_OK(store_transact(w->store, suspend, &count, &err), &err);
	CHECK_INT(count, 1);
	device = load(w, &wipe);
	CHECK_INT(device->wipe, WIPE_NONE);
	CHECK(device->blocked);
	CHECK_STR(wipe_to_str(wipe), "cancelled");
	CHECK_STR(wipe->ended_by, "restore");
	/* What is over stays as it was. */
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 100), 0);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 101), 0);
	REQUIRE_OK(store_transact(w->store, suspend, &count, &err), &err);
	CHECK_INT(count, 0);
	CHECK_INT(load(w, &wipe)->wipe, WIPE_DONE);
	REQUIRE_OK(store_transact(w->store, remove_phone, NULL, &err), &err);
	world_free(&w);
}

/* ---- phones which outlive their user's entry ---- */

static int save_device(struct store_tx *tx, void *owner, struct err *err)
{
	return store_device_save(tx, owner, err);
}

static int delete_anna(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	return store_user_delete(tx, w->anna, err);
}

static int add_alias(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	return store_alias_add(tx, w->anna, "Also@Example.org", err);
}

static int add_anna(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	return store_user_add(tx, "anna", "example.org", "", "$y$hash", 3000, &w->anna, err);
}

static int give_bob_alias(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;

	return store_alias_add(tx, w->bob, "also@example.org", err);
}

/* The user's phone of that name; NULL: there is none. */
static struct device *find_phone(struct world *w, struct owner_id user, struct wipe **ret)
{
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct device *device = NULL;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	if (store_device_find(rd, user, "PHONE1", w->arena, &device, &err) < 0)
		CHECK_INT(err.code, ERR_NOT_FOUND);
	else
		REQUIRE_OK(store_wipe_last(rd, user, device->id, w->arena, ret, &(struct err){0}),
			&err);
	store_read_end(&rd);
	return device;
}

static void check_kept(struct world *w, struct owner_id user)
{
	struct wipe *order = NULL;
	struct device *device = find_phone(w, user, &order);

	REQUIRE(device != NULL && order != NULL);
	CHECK_INT(device->wipe, WIPE_DONE);
	CHECK(device->wipe_account);
	CHECK_INT(device->wipe_at, 12);
	CHECK_INT(device->policy_key, 0);
	CHECK_STR(device->credential, "");
	CHECK_STR(wipe_to_str(order), "acknowledged");
	CHECK(order->account_only);
	CHECK(!order->by_owner); /* whoever has the address now did not order it */
	CHECK_STR(order->asked_by, "admin");
	CHECK_INT(order->asked_at, 10);
	CHECK_INT(order->sent_at, 11);
	CHECK_INT(order->answered_at, 12);
}

static void test_outlives_user(void)
{
	struct world *w = world_with_phone();
	struct move order = {.event = WIPE_EVENT_ORDER, .account_only = true, .at = 10};
	struct wipe *last;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, add_alias, w, &err), &err);
	REQUIRE_OK(store_transact(w->store, run_move, &order, &err), &err);
	CHECK_INT(move(w, WIPE_EVENT_SEND, 11), 0);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 12), 0);
	/* As often as it happens, and by each of the addresses. */
	for (int i = 0; i < 2; i++) {
		REQUIRE_OK(store_transact(w->store, delete_anna, w, &err), &err);
		REQUIRE_OK(store_transact(w->store, add_anna, w, &err), &err);
		check_kept(w, w->anna);
	}
	CHECK(find_phone(w, w->bob, &last) == NULL);
	REQUIRE_OK(store_transact(w->store, give_bob_alias, w, &err), &err);
	check_kept(w, w->bob);
	/* What was cleared is not kept. */
	phone.id = find_phone(w, w->anna, &last)->id;
	CHECK_INT(move(w, WIPE_EVENT_CLEAR, 20), 0);
	REQUIRE_OK(store_transact(w->store, delete_anna, w, &err), &err);
	REQUIRE_OK(store_transact(w->store, add_anna, w, &err), &err);
	CHECK(find_phone(w, w->anna, &last) == NULL);
	world_free(&w);
}

/* A phone that the user of the address has by now is not taken from him. */
static void test_does_not_take_over(void)
{
	struct world *w = world_with_phone();
	struct device own = {.owner = w->bob, .device_id = "PHONE1", .policy_key = 9};
	struct wipe *last;
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, add_alias, w, &err), &err);
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 10), 0);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 12), 0);
	REQUIRE_OK(store_transact(w->store, delete_anna, w, &err), &err);
	REQUIRE_OK(store_transact(w->store, save_device, &own, &err), &err);
	REQUIRE_OK(store_transact(w->store, give_bob_alias, w, &err), &err);
	CHECK_INT(find_phone(w, w->bob, &last)->wipe, WIPE_NONE);
	CHECK_INT(find_phone(w, w->bob, &last)->policy_key, 9);
	world_free(&w);
}

struct laid_down {
	enum access_state own, decided;
};

static int lay_down(struct store_tx *tx, void *owner, struct err *err)
{
	const struct laid_down *l = owner;

	if (store_device_set_access(tx, phone.id, l->own, err) < 0)
		return -1;
	return store_device_note_access(tx, phone.id, l->decided, "", 1, ACCESS_REPORT_NONE, err);
}

static struct store_counts count(struct world *w)
{
	struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	struct store_counts counts;

	REQUIRE_OK(store_read_begin(w->store, &rd, &err), &err);
	REQUIRE_OK(store_counts_read(rd, &counts, &err), &err);
	store_read_end(&rd);
	return counts;
}

/* A phone is counted once, in the state that decides about it. */
static void test_counts(void)
{
	struct world *w = world_with_phone();
	static const struct {
		struct laid_down laid_down;
		uint64_t blocked, quarantined;
	} rows[] = {{{ACCESS_NONE, ACCESS_NONE}, 0, 0}, {{ACCESS_BLOCK, ACCESS_NONE}, 1, 0},
		{{ACCESS_NONE, ACCESS_BLOCK}, 1, 0}, {{ACCESS_NONE, ACCESS_QUARANTINE}, 0, 1},
		{{ACCESS_QUARANTINE, ACCESS_ALLOW}, 0, 1},
		{{ACCESS_ALLOW, ACCESS_QUARANTINE}, 0, 0},
		{{ACCESS_QUARANTINE, ACCESS_BLOCK}, 0, 1}};
	struct store_counts counts;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct laid_down laid_down = rows[i].laid_down;

		REQUIRE_OK(store_transact(w->store, lay_down, &laid_down, &err), &err);
		counts = count(w);
		CHECK_INT(counts.blocked, rows[i].blocked);
		CHECK_INT(counts.quarantined, rows[i].quarantined);
		CHECK_INT(counts.provisioned + counts.unprovisioned,
			1 - rows[i].blocked - rows[i].quarantined);
	}
	CHECK_INT(move(w, WIPE_EVENT_ORDER, 100), 0);
	counts = count(w);
	CHECK_INT(counts.wipes[WIPE_ORDERED], 1);
	CHECK_INT(counts.quarantined, 0);
	CHECK_INT(move(w, WIPE_EVENT_ACKNOWLEDGE, 101), 0);
	CHECK_INT(count(w).wipes[WIPE_DONE], 1);
	world_free(&w);
}

TEST_MAIN(TEST(test_machine), TEST(test_obeyed_and_cleared), TEST(test_cancelled),
	TEST(test_history_is_bounded), TEST(test_credential), TEST(test_suspended),
	TEST(test_outlives_user), TEST(test_does_not_take_over), TEST(test_counts))
