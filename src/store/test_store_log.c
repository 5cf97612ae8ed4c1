/*
 * Searching and forgetting the event log.
 */
#include "store/test_store_util.h"

/* Times are not in the order of the ids: the clock was put back before the fifth. */
static const struct log_row log_rows[] = {
	{.at = 100, .actor = "admin:uid=0", .user = "anna@example.org", .action = "user passwd"},
	{.at = 110,
		.actor = "device",
		.user = "anna@example.org",
		.address = "192.0.2.1",
		.device_id = "PHONE1",
		.device_type = "iPhone",
		.action = "wipe",
		.result = "sent"},
	{.at = 120,
		.actor = "device",
		.user = "anna@example.org",
		.address = "192.0.2.1",
		.device_id = "PHONE1",
		.device_type = "iPhone",
		.action = "wipe",
		.result = "acknowledged"},
	{.at = 130,
		.actor = "server",
		.user = "bob@example.net",
		.address = "198.51.100.7",
		.action = "login_failed",
		.result = "password"},
	{.at = 105, .actor = "server", .action = "login_failed", .result = "100%_sure\\"},
	{.at = 140,
		.actor = "web:anna@example.org",
		.user = "bob@example.net",
		.action = "user quota"},
};

static int add_rows(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	for (size_t i = 0; i < ARRAY_LEN(log_rows); i++) {
		if (store_log_add(tx, &log_rows[i], err) < 0)
			return -1;
	}
	return 0;
}

static const char *find(struct world *w, const struct log_filter *filter, size_t limit)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct log_row *rows;
	const char *ids = "";
	size_t count = 0;

	REQUIRE_OK(store_log_find(rd, filter, limit, w->arena, &rows, &count, &err), &err);
	for (size_t i = 0; i < count; i++)
		ids = arena_x_printf(w->arena, "%s%s%" PRIu64, ids, i > 0 ? " " : "", rows[i].id);
	return ids;
}

static void test_find(void)
{
	static const struct {
		struct log_filter filter;
		size_t limit;
		const char *ids;
	} rows[] = {
		{{0}, 10, "6 4 3 2 5 1"},
		{{0}, 2, "6 4"},
		{{0}, 0, ""},
		{{.before_id = 4}, 2, "3 2"},
		{{.before_id = 2}, 10, "5 1"},
		{{.before_id = 1}, 10, ""},
		{{.before_id = 99}, 10, ""},
		{{.before_id = UINT64_MAX}, 1, "6"},
		{{.since_at = 110, .until_at = 130}, 10, "3 2"},
		{{.since_at = 105}, 10, "6 4 3 2 5"},
		{{.until_at = 105}, 10, "1"},
		{{.user = "anna@example.org"}, 10, "3 2 1"},
		{{.user = "anna@example.org", .action = "wipe"}, 10, "3 2"},
		{{.user = "anna"}, 10, ""},
		{{.user = ""}, 10, "6 4 3 2 5 1"},
		{{.device_id = "PHONE1"}, 10, "3 2"},
		{{.device_id = "PHONE1", .before_id = 3}, 10, "2"},
		{{.device_id = "PHONE1", .result = "sent", .user = "anna@example.org"}, 10, "2"},
		{{.device_id = "PHONE2"}, 10, ""},
		{{.action = "login_failed"}, 10, "4 5"},
		{{.action = "login_failed", .since_at = 106}, 10, "4"},
		{{.actor = "server"}, 10, "4 5"},
		{{.actor = "server", .result = "password"}, 10, "4"},
		{{.result = "acknowledged"}, 10, "3"},
		{{.text = "iphone"}, 10, "3 2"},
		{{.text = "phone1"}, 10, "3 2"},
		{{.text = "198.51"}, 10, "4"},
		{{.text = "EXAMPLE.ORG"}, 10, "6 3 2 1"},
		{{.text = "%"}, 10, "5"},
		{{.text = "_sure"}, 10, "5"},
		{{.text = "\\"}, 10, "5"},
		{{.text = "' OR 1 = 1 --"}, 10, ""},
	};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, add_rows, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(find(w, &rows[i].filter, rows[i].limit), rows[i].ids);
	world_free(&w);
}

static void test_actions(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_read *rd;
	const char **names;
	size_t count;

	rd = reading(w);
	REQUIRE_OK(store_log_actions(rd, w->arena, &names, &count, &err), &err);
	CHECK_INT(count, 0);
	store_read_end(&rd);
	REQUIRE_OK(transact(w, add_rows, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_log_actions(rd, w->arena, &names, &count, &err), &err);
	REQUIRE(count == 4);
	CHECK_STR(names[0], "login_failed");
	CHECK_STR(names[3], "wipe");
	store_read_end(&rd);
	world_free(&w);
}

static void test_sweep(void)
{
	const struct log_filter all = {.before_id = 0}, next = {.before_id = 2};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, add_rows, &err), &err);
	CHECK_INT(store_log_sweep(w->store, 111, 2, &err), 1);
	CHECK_STR(find(w, &all, 10), "6 4 3 2");
	CHECK_INT(store_log_sweep(w->store, 111, 2, &err), 0);
	CHECK_STR(find(w, &all, 10), "6 4 3");
	/* Who was about to see the next page finds it empty. */
	CHECK_STR(find(w, &next, 10), "");
	CHECK_INT(store_log_sweep(w->store, 111, 2, &err), 0);
	world_free(&w);
}

static int add_repeated(struct store_tx *tx, struct world *w, struct err *err)
{
	struct log_row row = log_rows[1];

	(void)w;
	for (int i = 0; i < 5; i++) {
		row.at = 1000 + i * 30; /* the first, and the one a minute after */
		if (store_log_add_once(tx, &row, 60, err) < 0)
			return -1;
	}
	row.result = "failed";
	return store_log_add_once(tx, &row, 60, err);
}

static void test_once(void)
{
	const struct log_filter all = {.before_id = 0};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, add_repeated, &err), &err);
	CHECK_STR(find(w, &all, 10), "4 3 2 1");
	world_free(&w);
}

TEST_MAIN(TEST(test_once), TEST(test_find), TEST(test_actions), TEST(test_sweep))
