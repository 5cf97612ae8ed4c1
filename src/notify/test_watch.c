/* Watches: marks, decisions, timers, and how they end. */
#include "notify/test_watch_util.h"

/* One event on a fresh parked watch; what it leads to at once. */
static void test_decisions(void)
{
	static const struct {
		const char *what;
		unsigned kinds;
		int64_t date_at;
		uint64_t device;
		uint64_t folder;
		uint8_t item_class;
		unsigned marks;
	} t[] = {
		{"mail comes in", CHANGE_ADD, 600, 0, 2, ITEM_MAIL, WATCH_MARK_CHANGED},
		{"on the edge of the filter", CHANGE_ADD, 500, 0, 2, ITEM_MAIL, WATCH_MARK_CHANGED},
		{"outside the filter", CHANGE_ADD, 499, 0, 2, ITEM_MAIL, WATCH_MARK_CHECK},
		{"another class", CHANGE_ADD, 600, 0, 2, ITEM_SMS, WATCH_MARK_CHECK},
		{"another phone moves in", CHANGE_ADD, 600, 4, 2, ITEM_MAIL, WATCH_MARK_CHANGED},
		{"the phone itself adds", CHANGE_ADD, 600, 3, 2, ITEM_MAIL, WATCH_MARK_CHECK},
		{"the phone itself reads", CHANGE_READ, 600, 3, 2, ITEM_MAIL, WATCH_MARK_CHECK},
		{"an exact folder", CHANGE_ADD, 600, 0, 8, ITEM_CALENDAR, WATCH_MARK_CHECK},
		{"deleted", CHANGE_DELETE, 600, 0, 2, ITEM_MAIL, WATCH_MARK_CHECK},
		{"added and deleted at once", CHANGE_ADD | CHANGE_DELETE, 600, 0, 2, ITEM_MAIL,
			WATCH_MARK_CHECK},
		{"content", CHANGE_CONTENT | CHANGE_READ, 600, 0, 2, ITEM_MAIL, WATCH_MARK_CHECK},
		{"read", CHANGE_READ, 600, 0, 2, ITEM_MAIL, 0},
		{"flagged and answered", CHANGE_FLAG | CHANGE_VERB, 600, 4, 2, ITEM_MAIL, 0},
		{"a folder not watched", CHANGE_ADD, 600, 0, 3, ITEM_MAIL, 0},
		{"hierarchy", CHANGE_HIERARCHY, 0, 0, 99, 0, WATCH_MARK_HIERARCHY},
		{"user", CHANGE_USER, 0, 0, 0, 0, WATCH_MARK_ADMIN},
		{"device", CHANGE_DEVICE, 0, 3, 0, 0, WATCH_MARK_ADMIN},
		{"another device", CHANGE_DEVICE, 0, 4, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct change_event e =
			item_event(t[i].kinds, t[i].date_at, (struct device_id){t[i].device});
		struct told told;
		struct watches *w = new_watches(&told);

		e.folder.v = t[i].folder;
		e.item_class = t[i].item_class;
		(void)begin_parked(w, PHONE, 1);
		watches_publish(w, &e, 1);
		if (told.marks != t[i].marks || told.marked != (t[i].marks != 0))
			test_fail_(__FILE__, __LINE__, "%s: marks %u, not %u", t[i].what,
				told.marks, t[i].marks);
		watches_free(&w);
	}
	clock_fake_off();
}

static void test_other_owner(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);

	(void)begin_parked(w, PHONE, 1);
	e.owner.v = 8;
	watches_publish(w, &e, 1);
	e.kinds = CHANGE_USER | CHANGE_HIERARCHY;
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 0);
	e.kinds = CHANGE_GLOBAL;
	e.owner.v = 0;
	watches_publish(w, &e, 1);
	CHECK_INT(told.marks, WATCH_MARK_ADMIN);
	watches_free(&w);
	clock_fake_off();
}

static void test_change_between_check_and_park(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin(w, PHONE);
	unsigned marks = 0;

	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 0);
	CHECK(!park(w, id, 1, &marks));
	CHECK_INT(marks, WATCH_MARK_CHANGED);
	CHECK(park(w, id, 1, &marks));
	CHECK_INT(marks, 0);
	CHECK_INT(told.marked, 0);
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 1);
	watches_free(&w);
	clock_fake_off();
}

static void test_view_names_changed_folders(void)
{
	struct change_event e[2] = {item_event(CHANGE_ADD, 600, (struct device_id){0}),
		item_event(CHANGE_ADD, 600, (struct device_id){0})};
	struct arena *arena = arena_new(0);
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin_parked(w, PHONE, 5);
	struct watch_view view;
	struct ipc_handle handle = {0};

	e[1].folder = CALENDAR;
	watches_publish(w, e, 2);
	CHECK_INT(told.marked, 1);
	CHECK_INT(told.id.v, id.v);
	CHECK(watch_check_begin(w, id, arena, &view));
	CHECK_INT(view.marks, WATCH_MARK_CHANGED | WATCH_MARK_CHECK);
	CHECK_INT(view.changed_count, 1);
	CHECK_INT(view.changed[0], 0);
	CHECK(view.parked);
	CHECK_INT(view.handle.request, 5);
	CHECK_INT(view.spec.folder_count, 2);
	CHECK_INT(view.spec.folders[0].cutoff_at, 500);
	CHECK_INT(view.spec.heartbeat_s, 480);
	/* Taken marks do not come twice, fresh ones do. */
	CHECK(!watch_check_begin(w, id, arena, &view)); /* somebody does it already */
	CHECK(watch_check_again(w, id, arena, &view));
	CHECK_INT(view.marks, 0);
	CHECK_INT(view.changed_count, 0);
	CHECK(watch_end(w, id, &handle));
	CHECK_INT(handle.request, 5);
	CHECK(!watch_end(w, id, &handle));
	CHECK(!watch_check_begin(w, id, arena, &view));
	CHECK(!watch_check_again(w, id, arena, &view));
	CHECK_INT(watches_count(w), 0);
	watches_free(&w);
	arena_free(&arena);
	clock_fake_off();
}

static void test_flags_gather(void)
{
	struct change_event e = item_event(CHANGE_READ, 600, OTHER);
	struct arena *arena = arena_new(0);
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin_parked(w, PHONE, 1);
	struct watch_view view;
	unsigned marks;

	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), -1);
	watches_publish(w, &e, 1);
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), 15000);
	clock_fake_advance_ms(10000);
	watches_publish(w, &e, 1); /* gathered: the timer does not start again */
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), 5000);
	watches_run_timers(w, clock_now_ms());
	CHECK_INT(told.marked, 0);
	clock_fake_advance_ms(5000);
	watches_run_timers(w, clock_now_ms());
	CHECK_INT(told.marked, 1);
	CHECK_INT(told.marks, WATCH_MARK_CHECK);
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), -1);
	/* A check that comes first covers what the timer was to tell. */
	CHECK(watch_check_begin(w, id, arena, &view));
	CHECK(park(w, id, 1, &marks));
	watches_publish(w, &e, 1);
	CHECK(watch_check_begin(w, id, arena, &view));
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), -1);
	CHECK(park(w, id, 1, &marks));
	/* Without a delay they count at once. */
	watches_set_limits(w, 0, 3);
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 2);
	watches_free(&w);
	arena_free(&arena);
	clock_fake_off();
}

static void test_timers_in_order_of_time(void)
{
	struct change_event e = item_event(CHANGE_READ, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);

	(void)begin_parked(w, PHONE, 1);
	watches_publish(w, &e, 1);
	(void)begin_parked(w, OTHER, 2);
	watches_set_limits(w, 2, 3);
	watches_publish(w, &e, 1);
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), 2000);
	clock_fake_advance_ms(2000);
	watches_run_timers(w, clock_now_ms());
	CHECK_INT(told.marked, 1);
	CHECK_INT(watches_next_timer_ms(w, clock_now_ms()), 13000);
	watches_free(&w);
	clock_fake_off();
}

/* Looked at when its time has come, though nothing happened; once. */
static void test_due(void)
{
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin_parked(w, PHONE, 1), other = begin_parked(w, OTHER, 2);
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct watch_view view;
	unsigned marks;

	CHECK_INT(watches_next_timer_ms(w, 5000), -1);
	for (int i = 0; i < 3000; i++) /* a second time says nothing */
		watch_set_due(w, id, 9000);
	watch_set_due(w, other, 7000);
	watch_set_due(w, (struct watch_id){999}, 6000);
	CHECK_INT(watches_next_timer_ms(w, 5000), 2000);
	watches_run_timers(w, 6999);
	CHECK_INT(told.marked, 0);
	watches_run_timers(w, 7000);
	CHECK_INT(told.marked, 1);
	CHECK(told.id.v == other.v);
	CHECK_INT(told.marks, WATCH_MARK_ADMIN);
	CHECK_INT(watches_next_timer_ms(w, 7000), 2000);
	/* An administrator's change may have moved it: it can be set again. */
	watches_publish(w, &(struct change_event){.kinds = CHANGE_GLOBAL}, 1);
	REQUIRE(watch_check_begin(w, id, arena, &view));
	watch_set_due(w, id, 8000);
	REQUIRE(park(w, id, 1, &marks));
	told.marked = 0;
	watches_run_timers(w, 8000);
	CHECK_INT(told.marked, 1);
	/* One that is gone is passed over. */
	CHECK(watch_end(w, id, NULL));
	watches_run_timers(w, 20000);
	CHECK_INT(told.marked, 1);
	CHECK_INT(watches_next_timer_ms(w, 20000), -1);
	watches_free(&w);
	clock_fake_off();
}

/* Phones that come again and again leave nothing behind. */
static void test_due_is_swept(void)
{
	struct told told;
	struct watches *w = new_watches(&told);

	for (int i = 0; i < 20000; i++)
		watch_set_due(w, begin(w, PHONE), 9000 + i % 7);
	watches_run_timers(w, 9100);
	CHECK_INT(watches_next_timer_ms(w, 9100), -1);
	watches_free(&w);
	clock_fake_off();
}

static void test_one_watch_per_device(void)
{
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id first = begin_parked(w, PHONE, 1), second;
	unsigned marks = 77;

	(void)begin_parked(w, OTHER, 9);
	second = begin(w, PHONE);
	CHECK_INT(told.kind, WATCH_PING);
	CHECK_INT(told.ended, 1);
	CHECK_INT(told.handle.request, 1);
	CHECK(!park(w, first, 1, &marks));
	CHECK_INT(marks, 0);
	CHECK_INT(watches_count(w), 2);
	/* One that never parked ends without a word. */
	(void)begin_parked(w, PHONE, 3);
	CHECK_INT(told.ended, 1);
	CHECK(!park(w, second, 2, &marks));
	CHECK_INT(watches_count(w), 2);
	watches_free(&w);
	clock_fake_off();
}

/* A newer Sync ends the one that is held, and nothing else. */
static void test_held_ends(void)
{
	struct told told;
	struct watches *w = new_watches(&told);
	unsigned marks;

	(void)begin_parked(w, PHONE, 1);
	watch_end_held(w, PHONE); /* a Ping */
	CHECK_INT(told.ended, 0);
	(void)begin_kind(w, OTHER, WATCH_SYNC);
	watch_end_held(w, OTHER); /* on its way: its request finds out by itself */
	CHECK_INT(told.ended, 0);
	CHECK_INT(watches_count(w), 2);
	watch_end_sync(w, PHONE);
	CHECK_INT(watches_count(w), 2);
	watch_end_sync(w, OTHER);
	CHECK_INT(told.ended, 0);
	CHECK_INT(watches_count(w), 1);
	CHECK(park(w, begin_kind(w, OTHER, WATCH_SYNC), 2, &marks));
	watch_end_held(w, PHONE);
	CHECK_INT(told.ended, 0);
	watch_end_held(w, OTHER);
	CHECK_INT(told.ended, 1);
	CHECK_INT(told.kind, WATCH_SYNC);
	CHECK_INT(told.handle.request, 2);
	CHECK_INT(watches_count(w), 1);
	watch_end_held(w, OTHER);
	CHECK_INT(told.ended, 1);
	watches_free(&w);
	clock_fake_off();
}

static void test_touch(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id;
	unsigned marks;

	watch_touch_device(w, PHONE);
	(void)begin_parked(w, PHONE, 1);
	CHECK_INT(told.stale, 0);
	watch_touch_device(w, PHONE);
	watch_touch_device(w, PHONE);
	CHECK_INT(told.stale, 1);
	/* From memory nothing is certain any more. */
	watches_publish(w, &e, 1);
	CHECK_INT(told.marks, WATCH_MARK_CHECK);
	/* Touched while it is checked: told as soon as it is parked. */
	id = begin(w, PHONE);
	watch_touch_device(w, PHONE);
	CHECK_INT(told.stale, 1);
	CHECK(park(w, id, 2, &marks));
	CHECK_INT(told.stale, 2);
	CHECK_INT(told.handle.request, 2);
	watches_free(&w);
	clock_fake_off();
}

static void test_admin_is_told_on_top(void)
{
	struct change_event e[2] = {
		item_event(CHANGE_DELETE, 600, OTHER), item_event(CHANGE_USER, 0, OTHER)};
	struct told told;
	struct watches *w = new_watches(&told);

	(void)begin_parked(w, PHONE, 1);
	watches_publish(w, e, 1);
	watches_publish(w, e, 1);
	CHECK_INT(told.marked, 1);
	watches_publish(w, e + 1, 1);
	CHECK_INT(told.marked, 2);
	CHECK_INT(told.marks, WATCH_MARK_CHECK | WATCH_MARK_ADMIN);
	watches_publish(w, e + 1, 1);
	CHECK_INT(told.marked, 2);
	watches_free(&w);
	clock_fake_off();
}

/* A commit can be read before it is published: what the check saw wakes nobody afterwards. */
static void test_published_late(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin(w, PHONE);
	unsigned marks;

	watch_checked(w, id, USER, 70);
	watch_checked(w, id, (struct owner_id){8}, 90);
	CHECK(park(w, id, 1, &marks));
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 0);
	e.seq = 71;
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 1);
	watches_free(&w);
	clock_fake_off();
}

static void test_gone(void)
{
	struct told told;
	struct watches *w = new_watches(&told);
	struct ipc_handle handle = {1, 2, 3, 1}, other = {2, 2, 3, 1};
	unsigned marks;

	(void)begin_parked(w, PHONE, 1);
	watch_gone(w, &other);
	CHECK_INT(watches_count(w), 1);
	watch_gone(w, &handle);
	CHECK_INT(watches_count(w), 0);
	for (uint64_t i = 1; i <= 100; i++) {
		struct watch_id id = begin(w, (struct device_id){i});

		other = (struct ipc_handle){i % 2 + 1, (uint32_t)i, 1, 1};
		CHECK(watch_park(w, id, &other, &marks, count_sent, &(int){0}));
	}
	watch_front_gone(w, 2);
	CHECK_INT(watches_count(w), 50);
	watch_front_gone(w, 1);
	CHECK_INT(watches_count(w), 0);
	CHECK_INT(told.ended, 0);
	watches_free(&w);
	clock_fake_off();
}

/* More watches on one folder than the inline list of calls holds. */
static void test_many_on_one_folder(void)
{
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);

	for (uint32_t i = 1; i <= 1000; i++)
		(void)begin_parked(w, (struct device_id){i}, i);
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 1000);
	watches_free(&w);
	clock_fake_off();
}

/* A watch of before the engine's start does not end the one that its device has begun since. */
static void test_restored_yields(void)
{
	const struct ipc_handle old = {1, 2, 3, 5};
	struct told told;
	struct watches *w = new_watches(&told);
	const struct ipc_handle moved = {2, 9, 9, 9};
	struct watch_spec spec = {
		.kind = WATCH_PING, .user = USER, .device = PHONE, .replaces = &old, .handle = old};
	struct watch_id newest = begin(w, PHONE);
	unsigned marks;

	CHECK_INT(watch_begin(w, &spec).v, 0);
	REQUIRE(park(w, newest, 4, &marks));
	CHECK_INT(watch_begin(w, &spec).v, 0);
	/* Its own, under its own handle, is taken over without a word to that. */
	(void)begin_parked(w, OTHER, 5);
	spec.device = OTHER;
	CHECK(watch_begin(w, &spec).v != 0);
	/* That one is not parked yet when its phone has gone to another front: the next one knows
	 * it all the same. */
	spec.handle = moved;
	CHECK(watch_begin(w, &spec).v != 0);
	CHECK_INT(watch_begin(w, &spec).v, 0);
	CHECK_INT(told.ended, 0);
	CHECK_INT(watches_count(w), 2);
	watches_free(&w);
	clock_fake_off();
}

static void test_rename(void)
{
	const struct ipc_handle old = {1, 2, 3, 1}, new = {2, 9, 9, 9}, newer = {3, 1, 1, 1};
	struct change_event e = item_event(CHANGE_ADD, 600, (struct device_id){0});
	struct told told;
	struct watches *w = new_watches(&told);
	struct watch_id id = begin(w, PHONE);
	struct ipc_handle at;
	unsigned marks;

	CHECK_INT(watch_rename(w, &old, &new), WATCH_NOT_RENAMED); /* not parked yet */
	REQUIRE(park(w, id, 1, &marks));
	CHECK_INT(watch_rename(w, &old, &new), WATCH_RENAMED);
	CHECK_INT(watch_rename(w, &old, &new), WATCH_NOT_RENAMED);
	watch_gone(w, &old);
	watch_front_gone(w, 1); /* the old front's end is none of its business */
	CHECK_INT(watches_count(w), 1);
	watch_touch_device(w, PHONE);
	CHECK_INT(watch_rename(w, &new, &newer), WATCH_RENAMED_STALE);
	watches_publish(w, &e, 1);
	CHECK_INT(told.marked, 1);
	CHECK_INT(watch_rename(w, &newer, &new), WATCH_NOT_RENAMED); /* marked */
	REQUIRE(watch_end(w, id, &at));
	CHECK(ipc_handle_eq(&at, &newer));
	watches_free(&w);
	clock_fake_off();
}

TEST_MAIN(TEST(test_decisions), TEST(test_other_owner), TEST(test_change_between_check_and_park),
	TEST(test_view_names_changed_folders), TEST(test_flags_gather),
	TEST(test_timers_in_order_of_time), TEST(test_due), TEST(test_due_is_swept),
	TEST(test_one_watch_per_device), TEST(test_held_ends), TEST(test_touch),
	TEST(test_admin_is_told_on_top), TEST(test_published_late), TEST(test_gone),
	TEST(test_many_on_one_folder), TEST(test_restored_yields), TEST(test_rename))
