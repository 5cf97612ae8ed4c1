/*
 * Walks over devices by state, by answer to their policy and by name, and lists of aliases.
 */
#include <string.h>

#include "store/store_access.h"
#include "store/store_page.h"
#include "store/store_wipe.h"
#include "store/test_store_util.h"

#define PHONES 8

static struct device phones[PHONES];

/* Of each state one, and the last is blocked by a rule. */
static int add_phones(struct store_tx *tx, struct world *w, struct err *err)
{
	static const enum wipe_state wipes[PHONES] = {
		[1] = WIPE_ORDERED, [2] = WIPE_SENT, [3] = WIPE_DONE, [4] = WIPE_FAILED};

	for (size_t i = 0; i < PHONES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "P%zu", i);
		phones[i] = (struct device){.owner = i % 2 ? w->anna : w->bob,
			.device_id = arena_x_strdup(w->arena, name),
			.model = i < 5 ? "b" : "A",
			.last_seen_at = (int64_t)i,
			.wipe = wipes[i],
			.policy_key = i > 6,
			.policy_status = (uint8_t)(i % 5)};
		if (store_device_save(tx, &phones[i], err) < 0)
			return -1;
	}
	if (store_device_set_access(tx, phones[5].id, ACCESS_BLOCK, err) < 0)
		return -1;
	return store_device_note_access(
		tx, phones[6].id, ACCESS_QUARANTINE, "rule", 5, ACCESS_REPORT_NONE, err);
}

struct found {
	struct world *w;
	struct store_read *rd;
	struct buf text;
};

static int note(void *owner, struct device_id id, struct err *err)
{
	struct found *found = owner;
	struct device *device;

	if (store_device_load(found->rd, id, found->w->arena, &device, err) < 0)
		return -1;
	buf_addf(&found->text, "%s ", device->device_id);
	return 1;
}

static const char *walk(struct world *w, struct store_device_filter filter)
{
	struct found found = {w, reading(w), BUF_INIT};
	struct err err = ERR_INIT;
	const char *text;

	CHECK_INT(
		store_device_walk(found.rd, &filter, DEVICES_BY_ADDRESS, false, note, &found, &err),
		0);
	text = arena_x_strdup(w->arena, buf_cstr(&found.text));
	buf_deinit(&found.text);
	store_read_end(&found.rd);
	return text;
}

static struct store_device_filter in_states(uint32_t states)
{
	return (struct store_device_filter){.states = states};
}

static const char *walk_sorted(struct world *w, const struct store_device_filter *filter,
	enum store_device_sort sort, bool down)
{
	struct found found = {w, reading(w), BUF_INIT};
	struct err err = ERR_INIT;
	const char *text;

	CHECK_INT(store_device_walk(found.rd, filter, sort, down, note, &found, &err), 0);
	text = arena_x_strdup(w->arena, buf_cstr(&found.text));
	buf_deinit(&found.text);
	store_read_end(&found.rd);
	return text;
}

/* In each order, pages joined are the whole, whichever way the rows are found. */
static void test_pages_join(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	const struct store_device_filter filters[] = {{.limit = 0}, {.search = "P"},
		{.user = w->bob}, {.states = 1u << DEVICE_WIPED | 1u << DEVICE_BLOCKED}};

	REQUIRE_OK(transact(w, add_phones, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(filters) * 12; i++) {
		enum store_device_sort sort = (enum store_device_sort)(i % 6);
		struct store_device_filter filter = filters[i / 12];
		const char *whole = walk_sorted(w, &filter, sort, i / 6 % 2 != 0), *page;
		struct buf joined = BUF_INIT;

		filter.limit = 3;
		do {
			page = walk_sorted(w, &filter, sort, i / 6 % 2 != 0);
			buf_add_str(&joined, page);
			filter.offset += filter.limit;
		} while (*page != '\0');
		CHECK(*whole != '\0');
		CHECK_STR(buf_cstr(&joined), whole);
		buf_deinit(&joined);
	}
	CHECK_STR(walk_sorted(w, &filters[0], DEVICES_BY_SEEN, false), "P0 P1 P2 P3 P4 P5 P6 P7 ");
	CHECK_STR(walk_sorted(w, &filters[0], DEVICES_BY_SEEN, true), "P7 P6 P5 P4 P3 P2 P1 P0 ");
	world_free(&w);
}

static void test_walks(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct found found;

	REQUIRE_OK(transact(w, add_phones, &err), &err);
	CHECK_STR(walk(w, in_states(0)), "P0 P2 P4 P6 P1 P3 P5 P7 ");
	for (unsigned i = 0; i < PHONES; i++) {
		char want[16];

		(void)snprintf(want, sizeof(want), "P%u ", i);
		CHECK_STR(walk(w, in_states(1u << i)), want);
	}
	CHECK_STR(walk(w, in_states(1u << DEVICE_BLOCKED | 1u << DEVICE_PROVISIONED)), "P5 P7 ");
	CHECK_STR(walk(w, (struct store_device_filter){.user = w->bob,
				  .states = 1u << DEVICE_QUARANTINED}),
		"P6 ");
	CHECK_STR(walk(w, (struct store_device_filter){.has_policy_status = true,
				  .policy_status = 2}),
		"P2 P7 ");
	CHECK_STR(walk(w, (struct store_device_filter){.has_policy_status = true,
				  .policy_status = 0}),
		"P0 P5 ");
	CHECK_STR(
		walk(w, (struct store_device_filter){.search = "P5", .states = 1u << DEVICE_WIPED}),
		"");
	found = (struct found){w, reading(w), BUF_INIT};
	CHECK_INT(store_device_walk_named(found.rd, "P3", 2, note, &found, &err), 0);
	CHECK_INT(store_device_walk_named(found.rd, "p3", 2, note, &found, &err), 0);
	CHECK_STR(buf_cstr(&found.text), "P3 ");
	buf_deinit(&found.text);
	store_read_end(&found.rd);
	world_free(&w);
}

/* The words for people say what the database counts. */
static void test_states(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct device *got;

	REQUIRE_OK(transact(w, add_phones, &err), &err);
	rd = reading(w);
	for (unsigned i = 0; i < PHONES; i++) {
		REQUIRE_OK(store_device_load(rd, phones[i].id, w->arena, &got, &err), &err);
		CHECK_INT(store_device_state_of(got), i);
	}
	CHECK_STR(store_device_state_to_str(DEVICE_WIPED), "wiped");
	CHECK_STR(store_device_state_to_str(DEVICE_QUARANTINED), "quarantine");
	store_read_end(&rd);
	world_free(&w);
}

static int add_aliases(struct store_tx *tx, struct world *w, struct err *err)
{
	if (store_alias_add(tx, w->bob, "robert@example.org", err) < 0 ||
		store_alias_add(tx, w->anna, "ann@example.org", err) < 0)
		return -1;
	return store_alias_add(tx, w->anna, "anne@example.org", err);
}

static void test_aliases(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_alias *list;
	struct store_read *rd;
	size_t count, before;

	rd = reading(w);
	REQUIRE_OK(store_alias_list(rd, (struct owner_id){0}, NULL, 0, UINT64_MAX, w->arena, &list,
			   &before, &err),
		&err);
	store_read_end(&rd);
	REQUIRE_OK(transact(w, add_aliases, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_alias_list(rd, (struct owner_id){0}, NULL, 0, UINT64_MAX, w->arena, &list,
			   &count, &err),
		&err);
	CHECK_INT(count, before + 3);
	REQUIRE_OK(store_alias_list(
			   rd, (struct owner_id){0}, "ANN", 1, 1, w->arena, &list, &count, &err),
		&err);
	REQUIRE(count == 1);
	CHECK_STR(list[0].alias, "anne@example.org");
	CHECK_STR(list[0].address, "anna@example.org");
	REQUIRE_OK(store_alias_list(rd, w->bob, "", 0, 10, w->arena, &list, &count, &err), &err);
	CHECK_STR(list[count - 1].alias, "robert@example.org");
	store_read_end(&rd);
	world_free(&w);
}

TEST_MAIN(TEST(test_walks), TEST(test_pages_join), TEST(test_states), TEST(test_aliases))
