/* Watches that are known again: what is remembered of those whose phone went (watch_memory.c). */
#include "notify/test_watch_util.h"

#define PRINT ((struct watch_print){11, 12})

static struct watch_id begin_known(struct watches *w, struct device_id device,
	const struct watch_print *print, uint32_t request)
{
	struct watch_id id = begin(w, device);
	unsigned marks;

	watch_set_print(w, id, print, clock_now_ms() + 60000);
	REQUIRE(park(w, id, request, &marks));
	return id;
}

static bool park_known(struct watches *w, const struct watch_print *print, uint32_t request)
{
	struct ipc_handle handle = {1, 2, 3, request};
	struct watch_known known = {0};
	int sent = 0;
	bool parked =
		watch_park_known(w, print, clock_now_ms(), &handle, &known, count_sent, &sent);

	CHECK_INT(sent, parked ? 1 : 0);
	if (parked) {
		CHECK_INT(known.user.v, USER.v);
		CHECK_INT(known.heartbeat_s, 480);
		CHECK_INT(known.kind, WATCH_PING);
	}
	return parked;
}

static void gone(struct watches *w, uint32_t request)
{
	struct ipc_handle handle = {1, 2, 3, request};

	watch_gone(w, &handle);
}

static void test_comes_back(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct watch_print other = {11, 13};
	struct told told;
	struct watches *w = new_watches(&told);

	CHECK(!park_known(w, &PRINT, 1));
	(void)begin_known(w, PHONE, &PRINT, 1);
	gone(w, 1);
	CHECK_INT(watches_count(w), 0);
	CHECK_INT(watches_remembered_count(w), 1);
	CHECK(!park_known(w, &other, 2));
	CHECK(park_known(w, &PRINT, 2));
	CHECK_INT(watches_remembered_count(w), 0);
	/* It waits like any other. */
	watches_publish(w, &e, 1);
	CHECK_INT(told.marks, WATCH_MARK_CHANGED);
	CHECK_INT(told.ended, 0);
	/* Marked: no more. */
	CHECK(!park_known(w, &PRINT, 3));
	gone(w, 2);
	CHECK_INT(watches_remembered_count(w), 0);
	CHECK(!park_known(w, &PRINT, 3));
	watches_free(&w);
	clock_fake_off();
}

/* The new connection was faster than the news of the end of the old one. */
static void test_comes_back_before_it_went(void)
{
	struct told told;
	struct watches *w = new_watches(&told);

	(void)begin_known(w, PHONE, &PRINT, 1);
	CHECK(park_known(w, &PRINT, 2));
	CHECK_INT(told.ended, 1);
	CHECK_INT(told.handle.request, 1);
	gone(w, 1);
	CHECK_INT(watches_count(w), 1);
	gone(w, 2);
	CHECK_INT(watches_remembered_count(w), 1);
	watches_free(&w);
	clock_fake_off();
}

/* Whatever happens while it is away ends what is known of it. */
static void test_forgotten(void)
{
	static const struct {
		const char *what;
		unsigned kinds;
		uint64_t device, folder;
		bool known;
	} t[] = {
		{"mail", CHANGE_ADD, 0, 2, false},
		{"read", CHANGE_READ, 0, 2, false},
		{"deleted", CHANGE_DELETE, 4, 8, false},
		{"by itself", CHANGE_READ, 3, 2, false},
		{"in another folder", CHANGE_ADD, 0, 3, true},
		{"hierarchy", CHANGE_HIERARCHY, 0, 99, false},
		{"user", CHANGE_USER, 0, 0, false},
		{"device", CHANGE_DEVICE, 3, 0, false},
		{"another device", CHANGE_DEVICE, 4, 0, true},
		{"everything", CHANGE_GLOBAL, 0, 0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct change_event e =
			item_event(t[i].kinds, 600, (struct device_id){t[i].device});
		struct told told;
		struct watches *w = new_watches(&told);

		e.folder.v = t[i].folder;
		(void)begin_known(w, PHONE, &PRINT, 1);
		gone(w, 1);
		watches_publish(w, &e, 1);
		CHECK_INT(told.marked, 0);
		if (park_known(w, &PRINT, 2) != t[i].known)
			test_fail_(__FILE__, __LINE__, "%s", t[i].what);
		watches_free(&w);
	}
	clock_fake_off();
}

static void test_not_known(void)
{
	struct change_event read = item_event(CHANGE_READ, 600, OTHER);
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id;
	unsigned marks;

	/* Another command of the device, while it is parked and while it is away. */
	(void)begin_known(w, PHONE, &PRINT, 1);
	watch_touch_device(w, PHONE);
	CHECK(!park_known(w, &PRINT, 2));
	(void)begin_known(w, PHONE, &PRINT, 2);
	gone(w, 2);
	watch_touch_device(w, PHONE);
	CHECK_INT(watches_remembered_count(w), 0);
	CHECK(!park_known(w, &PRINT, 3));
	/* A change that is being gathered. */
	(void)begin_known(w, PHONE, &PRINT, 3);
	watches_publish(w, &read, 1);
	CHECK(!park_known(w, &PRINT, 4));
	gone(w, 3);
	CHECK_INT(watches_remembered_count(w), 0);
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), -1);
	/* Another Ping of the device; one that is still being checked; a held Sync. */
	(void)begin_known(w, PHONE, &PRINT, 4);
	(void)begin_parked(w, PHONE, 5);
	CHECK(!park_known(w, &PRINT, 6));
	id = begin(w, PHONE);
	watch_set_print(w, id, &PRINT, clock_now_ms() + 60000);
	CHECK(!park_known(w, &PRINT, 6));
	id = begin_kind(w, PHONE, WATCH_SYNC);
	watch_set_print(w, id, &PRINT, clock_now_ms() + 60000);
	CHECK(park(w, id, 7, &marks));
	CHECK(!park_known(w, &PRINT, 8));
	/* The credentials are to be checked again. */
	(void)begin_known(w, PHONE, &PRINT, 9);
	gone(w, 9);
	clock_fake_advance_ms(60000);
	CHECK(!park_known(w, &PRINT, 10));
	watches_free(&w);
	clock_fake_off();
}

static void test_remembers_so_many(void)
{
	struct told told;
	struct watches *w = new_watches(&told);

	for (uint32_t i = 1; i <= 5; i++) {
		(void)begin_known(w, (struct device_id){i}, &(struct watch_print){i, i}, i);
		gone(w, i);
	}
	CHECK_INT(watches_remembered_count(w), 3);
	CHECK(!park_known(w, &(struct watch_print){2, 2}, 6));
	CHECK(park_known(w, &(struct watch_print){3, 3}, 6));
	/* All phones of a front that ended may come back. */
	watch_front_gone(w, 1);
	CHECK_INT(watches_remembered_count(w), 3);
	CHECK(park_known(w, &(struct watch_print){3, 3}, 7));
	/* A front that lost its line to the engine brings its phones anew. */
	watch_front_gone(w, 1);
	CHECK_INT(watches_remembered_count(w), 3);
	CHECK(watch_begin(w, &(struct watch_spec){.kind = WATCH_PING,
				     .user = USER,
				     .device = {3},
				     .replaces = &(struct ipc_handle){1, 2, 3, 3}})
			.v != 0);
	CHECK_INT(watches_remembered_count(w), 2);
	/* Other rules: everything is checked anew. */
	watches_set_limits(w, 15, 3);
	CHECK_INT(watches_remembered_count(w), 0);
	/* Those whose time is over go first of all. */
	(void)begin_known(w, (struct device_id){8}, &(struct watch_print){8, 8}, 8);
	gone(w, 8);
	clock_fake_advance_ms(60000);
	(void)begin_known(w, (struct device_id){9}, &(struct watch_print){9, 9}, 9);
	gone(w, 9);
	CHECK_INT(watches_remembered_count(w), 1);
	watches_free(&w);
	clock_fake_off();
}

/* Folders of another owner, and one that is named twice. */
static void test_guests(void)
{
	const struct owner_id team = {20}, board = {21};
	const struct watch_folder folders[] = {
		{team, {5}, 700, ITEM_MAIL, false},
		{USER, INBOX, 700, ITEM_MAIL, false},
		{team, {6}, 700, ITEM_MAIL, false},
		{board, {1ull << 40}, INT64_MIN, ITEM_MAIL, false},
		{USER, INBOX, 500, ITEM_MAIL, false},
	};
	struct watch_spec spec = {.kind = WATCH_PING,
		.user = USER,
		.device = PHONE,
		.heartbeat_s = 480,
		.folders = folders,
		.folder_count = ARRAY_LEN(folders)};
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct arena *arena = arena_new(0);
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = watch_begin(w, &spec);
	struct watch_view view;
	unsigned marks;

	CHECK(park(w, id, 1, &marks));
	e.owner = board;
	watches_publish(w, &e, 1); /* another folder of theirs */
	CHECK_INT(told.marked, 0);
	e.folder.v = 1ull << 40;
	watches_publish(w, &e, 1);
	CHECK_INT(told.marks, WATCH_MARK_CHANGED);
	e.owner = USER;
	e.folder = INBOX;
	watches_publish(w, &e, 1);
	CHECK(watch_check_begin(w, id, arena, &view));
	CHECK_INT(view.spec.folder_count, ARRAY_LEN(folders));
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		CHECK_INT(view.spec.folders[i].owner.v, folders[i].owner.v);
		CHECK_INT(view.spec.folders[i].folder.v, folders[i].folder.v);
		CHECK_INT(view.spec.folders[i].cutoff_at, folders[i].cutoff_at);
	}
	CHECK_INT(view.changed_count, 2);
	CHECK_INT(view.changed[0], 3);
	CHECK_INT(view.changed[1], 4);
	CHECK(watch_end(w, id, NULL));
	told.marked = 0;
	e.owner = team;
	e.folder.v = 5;
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 0);
	watches_free(&w);
	arena_free(&arena);
	clock_fake_off();
}

TEST_MAIN(TEST(test_comes_back), TEST(test_comes_back_before_it_went), TEST(test_forgotten),
	TEST(test_not_known), TEST(test_remembers_so_many), TEST(test_guests))
