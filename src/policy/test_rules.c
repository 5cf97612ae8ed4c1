#include "policy/rules.h"

#include "base/str.h"
#include "store/store_policy.h"
#include "store/test_store_util.h"

static uint64_t sales, staff, field;

static int make_groups(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_group_add(tx, "Sales", 50, &sales, err) < 0 ||
			       store_group_add(tx, "field", 100, &field, err) < 0 ||
			       store_group_add(tx, "Staff", 100, &staff, err) < 0 ||
			       store_group_join(tx, staff, w->anna, err) < 0 ||
			       store_group_join(tx, field, w->anna, err) < 0 ||
			       store_group_join(tx, sales, w->bob, err) < 0
		       ? -1
		       : 0;
}

static const struct rules *load(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	const struct rules *rules = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(rules_load(rd, &rules, &err), &err);
	return rules;
}

static void test_precedence(void)
{
	struct world *w = world_new();
	struct rules_subject anna = {w->anna, {7}, "example.org"};
	struct rules_subject bob = {w->bob, {8}, "example.net"};
	struct err err = ERR_INIT;
	const struct rules *rules;
	struct rules_table *table;
	struct rules_walk walk;
	struct scope from;

	REQUIRE_OK(transact(w, make_groups, &err), &err);
	rules = load(w);
	table = rules_table_new((struct rules *)(uintptr_t)rules);
	CHECK(rules_pick(rules, table, &anna, &from) == NULL);
	rules_table_put(table, &(struct scope){SCOPE_ORG, 0, ""}, "org");
	rules_table_put(table, &(struct scope){SCOPE_DOMAIN, 0, "example.org"}, "domain");
	CHECK_STR(rules_pick(rules, table, &anna, &from), "domain");
	CHECK_STR(rules_pick(rules, table, &bob, &from), "org");
	CHECK_INT(from.kind, SCOPE_ORG);
	rules_table_put(table, &(struct scope){SCOPE_GROUP, staff, ""}, "staff");
	rules_table_put(table, &(struct scope){SCOPE_GROUP, sales, ""}, "sales");
	CHECK_STR(rules_pick(rules, table, &anna, &from), "staff");
	CHECK_STR(from.name, "Staff");
	/* Of the same rank, but earlier in the alphabet. */
	rules_table_put(table, &(struct scope){SCOPE_GROUP, field, ""}, "field");
	CHECK_STR(rules_pick(rules, table, &anna, &from), "field");
	CHECK_STR(rules_pick(rules, table, &bob, &from), "sales");
	rules_table_put(table, &(struct scope){SCOPE_USER, w->anna.v, ""}, "user");
	rules_table_put(table, &(struct scope){SCOPE_DEVICE, 7, ""}, "device");

	rules_walk_begin(&walk, rules, table, &anna);
	CHECK_STR(rules_walk_next(&walk, &from), "device");
	CHECK_STR(rules_walk_next(&walk, &from), "user");
	CHECK_STR(rules_walk_next(&walk, &from), "field");
	CHECK_STR(rules_walk_next(&walk, &from), "staff");
	CHECK_STR(rules_walk_next(&walk, &from), "domain");
	CHECK_STR(rules_walk_next(&walk, &from), "org");
	CHECK(rules_walk_next(&walk, &from) == NULL);
	CHECK(rules_walk_next(&walk, &from) == NULL);
	rules_unref(&rules);
	world_free(&w);
}

static int left;

static int leave(struct store_tx *tx, struct world *w, struct err *err)
{
	left = store_group_leave(tx, staff, w->anna, err);
	return left < 0 ? -1 : 0;
}

static int drop_sales(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_group_delete(tx, sales, err);
}

static int drop_anna(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->anna, err);
}

static const struct rules *get(struct world *w, struct rules_cache *cache)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	const struct rules *rules = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(rules_get(cache, rd, &rules, &err), &err);
	return rules;
}

static void test_cache(void)
{
	struct world *w = world_new();
	struct rules_cache *cache = rules_cache_new();
	const struct rules *first, *same, *next;
	const struct user_group *const *groups;
	struct err err = ERR_INIT;

	first = get(w, cache);
	CHECK_INT(rules_groups_of(first, w->anna, &groups), 0);
	same = get(w, cache);
	CHECK(same == first);
	rules_unref(&same);
	REQUIRE_OK(transact(w, make_groups, &err), &err);
	CHECK_INT(w->events[w->event_count - 1].kinds, CHANGE_GLOBAL);
	next = get(w, cache);
	CHECK(next != first && next->version > first->version);
	CHECK_INT(rules_groups_of(first, w->anna, &groups), 0);
	CHECK_INT(rules_groups_of(next, w->anna, &groups), 2);
	rules_unref(&first);
	rules_unref(&next);
	REQUIRE_OK(transact(w, leave, &err), &err);
	CHECK_INT(left, 1);
	w->event_count = 0;
	REQUIRE_OK(transact(w, leave, &err), &err);
	CHECK_INT(left, 0);
	CHECK_INT(w->event_count, 0);
	REQUIRE_OK(transact(w, drop_sales, &err), &err);
	next = get(w, cache);
	CHECK_INT(rules_groups_of(next, w->anna, &groups), 1);
	CHECK_STR(groups[0]->name, "field");
	CHECK_INT(rules_groups_of(next, w->bob, &groups), 0);
	rules_unref(&next);
	rules_cache_free(&cache);
	REQUIRE_OK(transact(w, drop_anna, &err), &err);
	next = load(w);
	CHECK_INT(map_count(next->members), 0);
	rules_unref(&next);
	world_free(&w);
}

static int bad_names(struct store_tx *tx, struct world *w, struct err *err)
{
	static const char *const names[] = {"", " x", "x ", "a/b", "a\"b", "a\nb", "\xff"};
	uint64_t id;

	(void)w;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_INT(store_group_add(tx, names[i], 1, &id, err), -1);
		CHECK_INT(err->code, ERR_BAD_INPUT);
	}
	CHECK_INT(store_group_add(tx, "x", 10000, &id, err), -1);
	CHECK_INT(store_group_add(tx, "SALES", 1, &id, err), -1);
	CHECK_INT(err->code, ERR_CONFLICT);
	CHECK_INT(store_group_delete(tx, 999, err), -1);
	CHECK_INT(err->code, ERR_NOT_FOUND);
	return 0;
}

static void test_bad_names(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, make_groups, &err), &err);
	REQUIRE_OK(transact(w, bad_names, &err), &err);
	world_free(&w);
}

/* ---- policies ---- */

static uint64_t strict, lax;
static struct policy_scope policy_scope;

static int make_policies(struct store_tx *tx, struct world *w, struct err *err)
{
	struct policy_row row = {.name = "Strict",
		.description = "",
		.settings = "{\"AllowCamera\":false}",
		.options = ""};

	(void)w;
	if (store_policy_add(tx, &row, &strict, err) < 0)
		return -1;
	row.name = "lax";
	row.settings = "";
	return store_policy_add(tx, &row, &lax, err);
}

static int assign(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_policy_assign(tx, &policy_scope, err);
}

static int unassign(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_policy_unassign(tx, &policy_scope, err);
}

static void give(struct world *w, bool exception, struct scope scope, uint64_t policy)
{
	struct err err = ERR_INIT;

	policy_scope = (struct policy_scope){scope, exception, policy};
	REQUIRE_OK(transact(w, assign, &err), &err);
}

static void check_policy(struct world *w, const struct rules_subject *subject, const char *name,
	enum scope_kind kind, bool exception)
{
	const struct rules *rules = load(w);
	struct rules_policy_from from;

	CHECK_STR(rules_policy(rules, subject, &from)->name, name);
	CHECK_INT(from.scope.kind, kind);
	CHECK_INT(from.exception, exception);
	rules_unref(&rules);
}

static void test_policies(void)
{
	struct world *w = world_new();
	struct rules_subject anna = {w->anna, {7}, "example.org"};
	struct rules_subject bob = {w->bob, {8}, "example.net"};
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, make_groups, &err), &err);
	REQUIRE_OK(transact(w, make_policies, &err), &err);
	check_policy(w, &anna, "default", SCOPE_ORG, false);
	give(w, false, (struct scope){SCOPE_DOMAIN, 0, "example.org"}, lax);
	check_policy(w, &anna, "lax", SCOPE_DOMAIN, false);
	check_policy(w, &bob, "default", SCOPE_ORG, false);
	give(w, false, (struct scope){SCOPE_GROUP, staff, ""}, strict);
	check_policy(w, &anna, "Strict", SCOPE_GROUP, false);
	give(w, false, (struct scope){SCOPE_USER, w->anna.v, ""}, lax);
	check_policy(w, &anna, "lax", SCOPE_USER, false);
	give(w, true, (struct scope){SCOPE_USER, w->anna.v, ""}, 0);
	check_policy(w, &anna, "", SCOPE_USER, true);
	give(w, true, (struct scope){SCOPE_DEVICE, 7, ""}, strict);
	check_policy(w, &anna, "Strict", SCOPE_DEVICE, true);
	anna.device.v = 9;
	check_policy(w, &anna, "", SCOPE_USER, true);
	/* What is there already is no change. */
	w->event_count = 0;
	give(w, true, (struct scope){SCOPE_DEVICE, 7, ""}, strict);
	CHECK_INT(w->event_count, 0);
	REQUIRE_OK(transact(w, unassign, &err), &err);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(transact(w, unassign, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	/* Whoever goes takes along what was laid down. */
	REQUIRE_OK(transact(w, drop_anna, &err), &err);
	check_policy(w, &anna, "lax", SCOPE_DOMAIN, false);
	world_free(&w);
}

static int change_policies(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	CHECK_INT(store_policy_delete(tx, 1, err), -1);
	CHECK_INT(err->code, ERR_CONFLICT);
	CHECK_INT(store_policy_set_default(tx, strict, err), 0);
	CHECK_INT(store_policy_delete(tx, 1, err), 0);
	CHECK_INT(store_policy_delete(tx, 1, err), -1);
	CHECK_INT(err->code, ERR_NOT_FOUND);
	CHECK_INT(store_policy_change(tx, strict, NULL, "{}", NULL, err), 0);
	CHECK_INT(store_policy_change(tx, strict, "x", NULL, NULL, err), 0);
	return 0;
}

static void test_policy_changes(void)
{
	struct world *w = world_new();
	struct rules_subject bob = {w->bob, {8}, "example.net"};
	struct err err = ERR_INIT;
	const struct rules *rules;

	REQUIRE_OK(transact(w, make_policies, &err), &err);
	CHECK_INT(transact(w, make_policies, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	REQUIRE_OK(transact(w, change_policies, &err), &err);
	rules = load(w);
	CHECK_INT(rules->policy_count, 2);
	CHECK_STR(rules->policies[0].name, "Strict");
	CHECK_INT(rules->policies[0].version, 3);
	CHECK(rules_policy_hash(&rules->policies[0], 141) ==
		rules_policy_hash(rules->no_policy, 141));
	CHECK_INT(rules_policy(rules, &bob, NULL)->options.required, -1);
	rules_unref(&rules);
	world_free(&w);
}

TEST_MAIN(TEST(test_policies), TEST(test_policy_changes), TEST(test_precedence), TEST(test_cache),
	TEST(test_bad_names))
