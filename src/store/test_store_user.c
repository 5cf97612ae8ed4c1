/*
 * Users, domains and folders.
 */
#include "store/test_store_util.h"

static struct user *load_user(struct world *w, struct owner_id id)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *user = NULL;

	REQUIRE_OK(store_user_load(rd, id, w->arena, &user, &err), &err);
	return user;
}

/* ---- users ---- */

static int add_twins(struct store_tx *tx, struct world *w, struct err *err)
{
	struct owner_id id;

	if (store_user_add(tx, "carl", "example.org", "", "h", 1, &id, err) < 0 ||
		store_user_add(tx, "carl", "example.net", "", "h", 1, &id, err) < 0)
		return -1;
	return store_alias_add(tx, w->anna, "Post@Example.NET", err);
}

static void test_find_login(void)
{
	static const struct {
		const char *name, *default_domain, *found; /* login@domain; NULL: nobody */
	} rows[] = {
		{"anna@example.org", "", "anna@example.org"},
		{"ANNA@EXAMPLE.ORG", NULL, "anna@example.org"},
		{"anna", "", "anna@example.org"},
		{"Anna", "example.net", "anna@example.org"},
		{"post@example.net", "", "anna@example.org"},
		{"post", "example.net", "anna@example.org"},
		{"post", "", NULL},
		{"carl", "", NULL},
		{"carl", "Example.Net", "carl@example.net"},
		{"carl", "example.org", "carl@example.org"},
		{"carl", "nowhere.org", NULL},
		{"example.org\\carl", "example.net", "carl@example.org"},
		{"EXAMPLE\\anna", "", "anna@example.org"},
		{"EXAMPLE\\carl", "", NULL},
		{"example.ne\\bob", "", NULL},
		{"OTHER\\anna", "example.org", NULL},
		{"\\anna", "", "anna@example.org"},
		{"OTHER\\bob@example.net", "", "bob@example.net"},
		{"%\\anna", "", NULL},
		{"", "example.org", NULL},
		{"@", "", NULL},
		{"\\", "example.org", NULL},
		{"anna@", "example.org", NULL},
	};
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct store_read *rd;
	char long_name[2000];

	REQUIRE_OK(transact(w, add_twins, &err), &err);
	rd = reading(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct user *user = NULL;
		const char *got = NULL;
		int rc = store_user_find_login(
			rd, rows[i].name, rows[i].default_domain, w->arena, &user, &err);

		if (rc < 0)
			CHECK_INT(err.code, ERR_NOT_FOUND);
		else
			got = arena_x_printf(w->arena, "%s@%s", user->login, user->domain);
		CHECK_STR(got, rows[i].found);
	}
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	CHECK_INT(store_user_find_login(
			  rd, long_name, "x.org", w->arena, &(struct user *){NULL}, &err),
		-1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	store_read_end(&rd);
	world_free(&w);
}

struct add_user {
	const char *login, *domain;
	struct owner_id id;
};

static int add_one(struct store_tx *tx, void *owner, struct err *err)
{
	struct add_user *a = owner;

	return store_user_add(tx, a->login, a->domain, "", "h", 1, &a->id, err);
}

static void test_add_user(void)
{
	static const struct {
		const char *login, *domain;
		enum err_code code;
	} rows[] = {
		{"anna", "example.org", ERR_CONFLICT},
		{"ANNA", "EXAMPLE.ORG", ERR_CONFLICT},
		{"dora", "nowhere.org", ERR_NOT_FOUND},
		{"", "example.org", ERR_BAD_INPUT},
		{"a@b", "example.org", ERR_BAD_INPUT},
		{"a b", "example.org", ERR_BAD_INPUT},
		{"a\\b", "example.org", ERR_BAD_INPUT},
		{"a\x80", "example.org", ERR_BAD_INPUT},
		{"zoë", "example.org", ERR_NONE},
		{"anna", "example.net", ERR_NONE},
	};
	struct world *w = world_new();
	struct user *user = load_user(w, w->anna);
	struct err err = ERR_INIT;

	CHECK_STR(user->login, "anna");
	CHECK_STR(user->domain, "example.org");
	CHECK_STR(user->display_name, "Anna A.");
	CHECK_STR(user->password_hash, "$y$hash");
	CHECK(!user->disabled);
	CHECK_INT(user->epoch, 1);
	CHECK_INT(user->created_at, 1000);
	CHECK_INT(user->quota_bytes, 0);
	CHECK(user->seq > 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct add_user add = {rows[i].login, rows[i].domain, {0}};
		int rc;

		w->event_count = 0;
		rc = store_transact(w->store, add_one, &add, &err);
		CHECK_INT(rc < 0 ? err.code : ERR_NONE, rows[i].code);
		CHECK_INT(w->event_count, rc == 0);
		if (rc == 0)
			CHECK_INT(w->events[0].kinds, CHANGE_USER);
	}
	world_free(&w);
}

static int set_same_enabled(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_disabled(tx, w->anna, false, err);
}

static int disable(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_disabled(tx, w->anna, true, err);
}

static int set_password(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_password(tx, w->anna, "new", err);
}

static int set_stranger_password(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_user_set_password(tx, (struct owner_id){77}, "new", err);
}

static void test_epoch(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t seq = seq_of(w, w->anna);

	REQUIRE_OK(transact(w, set_same_enabled, &err), &err);
	CHECK_INT(load_user(w, w->anna)->epoch, 1);
	CHECK_INT(w->event_count, 0);
	REQUIRE_OK(transact(w, disable, &err), &err);
	CHECK(load_user(w, w->anna)->disabled);
	CHECK_INT(load_user(w, w->anna)->epoch, 2);
	REQUIRE_OK(transact(w, set_password, &err), &err);
	CHECK_STR(load_user(w, w->anna)->password_hash, "new");
	CHECK_INT(load_user(w, w->anna)->epoch, 3);
	CHECK_INT(load_user(w, w->bob)->epoch, 1);
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[1].kinds, CHANGE_USER);
	CHECK_INT(w->events[1].owner.v, w->anna.v);
	CHECK_INT(w->events[1].seq, seq + 2);
	CHECK_INT(transact(w, set_stranger_password, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	world_free(&w);
}

/* ---- aliases, domains ---- */

struct name_op {
	int (*fn)(struct store_tx *tx, const char *name, struct err *err);
	struct owner_id owner; /* 0: fn; else store_alias_add */
	const char *name;
};

static int run_name_op(struct store_tx *tx, void *owner, struct err *err)
{
	struct name_op *op = owner;

	return op->owner.v != 0 ? store_alias_add(tx, op->owner, op->name, err)
				: op->fn(tx, op->name, err);
}

static enum err_code name_op(struct world *w, struct owner_id owner,
	int (*fn)(struct store_tx *tx, const char *name, struct err *err), const char *name)
{
	struct name_op op = {fn, owner, name};
	struct err err = ERR_INIT;

	return store_transact(w->store, run_name_op, &op, &err) < 0 ? err.code : ERR_NONE;
}

static const char *addresses_text(struct world *w, struct owner_id id)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	const char **addresses, *text = "";
	struct err err = ERR_INIT;
	size_t count;

	REQUIRE_OK(store_user_addresses(rd, id, w->arena, &addresses, &count, &err), &err);
	for (size_t i = 0; i < count; i++)
		text = arena_x_printf(w->arena, "%s%s%s", text, i > 0 ? " " : "", addresses[i]);
	return text;
}

static void test_aliases(void)
{
	const struct owner_id none = {0};
	struct world *w = world_new();
	uint64_t epoch;

	CHECK_INT(name_op(w, w->anna, NULL, "Zebra@Example.org"), ERR_NONE);
	CHECK_INT(name_op(w, w->anna, NULL, "a@example.net"), ERR_NONE);
	CHECK_INT(name_op(w, w->bob, NULL, "a@example.net"), ERR_CONFLICT);
	CHECK_INT(name_op(w, w->bob, NULL, "ANNA@example.org"), ERR_CONFLICT);
	CHECK_INT(name_op(w, w->bob, NULL, "b@elsewhere.org"), ERR_NOT_FOUND);
	CHECK_INT(name_op(w, w->bob, NULL, "no-at-sign"), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, w->bob, NULL, "@example.org"), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, (struct owner_id){99}, NULL, "q@example.org"), ERR_NOT_FOUND);
	CHECK_STR(addresses_text(w, w->anna), "anna@example.org zebra@example.org a@example.net");
	CHECK_STR(addresses_text(w, w->bob), "bob@example.net");
	epoch = load_user(w, w->anna)->epoch;
	CHECK_INT(name_op(w, none, store_alias_delete, "zebra@example.ORG"), ERR_NONE);
	CHECK_INT(load_user(w, w->anna)->epoch, epoch + 1);
	CHECK_INT(name_op(w, none, store_alias_delete, "zebra@example.org"), ERR_NOT_FOUND);
	CHECK_INT(name_op(w, none, store_alias_delete, "anna@example.org"), ERR_NOT_FOUND);
	CHECK_STR(addresses_text(w, w->anna), "anna@example.org a@example.net");
	world_free(&w);
}

static void test_domains(void)
{
	const struct owner_id none = {0};
	struct world *w = world_new();
	struct store_read *rd;
	struct err err = ERR_INIT;
	const char **names;
	size_t count;
	bool exists = false;

	CHECK_INT(name_op(w, none, store_domain_add, "EXAMPLE.org"), ERR_CONFLICT);
	CHECK_INT(name_op(w, none, store_domain_add, "Other.example"), ERR_NONE);
	CHECK_INT(name_op(w, none, store_domain_add, "bücher.example"), ERR_NONE);
	CHECK_INT(name_op(w, none, store_domain_add, "localhost"), ERR_NONE);
	CHECK_INT(name_op(w, none, store_domain_add, ""), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, none, store_domain_add, "a..b"), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, none, store_domain_add, "a b"), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, none, store_domain_add, "-a.b"), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, none, store_domain_add, "a.b."), ERR_BAD_INPUT);
	CHECK_INT(name_op(w, none, store_domain_delete, "example.net"), ERR_CONFLICT);
	CHECK_INT(name_op(w, none, store_domain_delete, "LOCALHOST"), ERR_NONE);
	CHECK_INT(name_op(w, none, store_domain_delete, "localhost"), ERR_NOT_FOUND);
	rd = reading(w);
	REQUIRE_OK(store_domain_list(rd, w->arena, &names, &count, &err), &err);
	CHECK_INT(count, 4);
	CHECK_STR(names[0], "bücher.example");
	CHECK_STR(names[3], "other.example");
	REQUIRE_OK(store_domain_exists(rd, "Example.Org", &exists, &err), &err);
	CHECK(exists);
	REQUIRE_OK(store_domain_exists(rd, "localhost", &exists, &err), &err);
	CHECK(!exists);
	store_read_end(&rd);
	world_free(&w);
}

/* ---- folders ---- */

static void test_default_folders(void)
{
	static const struct {
		enum folder_type type;
		enum folder_role role;
		const char *name;
	} wanted[] = {{FOLDER_INBOX, 0, "Inbox"}, {FOLDER_DRAFTS, 0, "Drafts"},
		{FOLDER_SENT, 0, "Sent Items"}, {FOLDER_DELETED, 0, "Deleted Items"},
		{FOLDER_USER_MAIL, FOLDER_ROLE_JUNK, "Junk E-mail"}, {FOLDER_OUTBOX, 0, "Outbox"},
		{FOLDER_CALENDAR, 0, "Calendar"}, {FOLDER_CONTACTS, 0, "Contacts"},
		{FOLDER_TASKS, 0, "Tasks"}, {FOLDER_NOTES, 0, "Notes"},
		{FOLDER_JOURNAL, 0, "Journal"}};
	struct world *w = world_new();
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct folder *folders;
	size_t count;

	REQUIRE_OK(store_folder_list(rd, w->bob, w->arena, &folders, &count, &err), &err);
	CHECK_INT(count, ARRAY_LEN(wanted));
	for (size_t i = 0; i < count; i++) {
		CHECK_INT(folders[i].id.v, i + 1);
		CHECK_INT(folders[i].parent.v, 0);
		CHECK_STR(folders[i].name, wanted[i].name);
		CHECK_INT(folders[i].type, wanted[i].type);
		CHECK_INT(folders[i].role, wanted[i].role);
		CHECK(!folders[i].deleted);
		CHECK(folders[i].created_seq > 0);
	}
	store_read_end(&rd);
	world_free(&w);
}

struct add_folder {
	struct owner_id owner;
	struct folder_id parent, id;
	const char *name;
	enum folder_type type;
};

static int add_folder(struct store_tx *tx, void *owner, struct err *err)
{
	struct add_folder *a = owner;

	return store_folder_add(tx, a->owner, a->parent, a->name, a->type, &a->id, err);
}

static void test_add_folder(void)
{
	struct world *w = world_new();
	uint64_t seq = seq_of(w, w->anna);
	struct add_folder top = {.owner = w->anna, .name = "Projects", .type = FOLDER_USER_MAIL};
	struct add_folder below, bad;
	struct store_read *rd;
	struct folder *folders;
	struct err err = ERR_INIT;
	size_t count;

	REQUIRE_OK(store_transact(w->store, add_folder, &top, &err), &err);
	below = (struct add_folder){
		.owner = w->anna, .parent = top.id, .name = "Projects", .type = FOLDER_USER_MAIL};
	REQUIRE_OK(store_transact(w->store, add_folder, &below, &err), &err);
	CHECK_INT(w->event_count, 2);
	CHECK_INT(w->events[1].kinds, CHANGE_HIERARCHY);
	CHECK_INT(w->events[1].folder.v, below.id.v);
	CHECK_INT(w->events[1].seq, seq + 2);
	CHECK_INT(store_transact(w->store, add_folder, &below, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	bad = (struct add_folder){
		.owner = w->anna, .parent = {99}, .name = "x", .type = FOLDER_USER_MAIL};
	CHECK_INT(store_transact(w->store, add_folder, &bad, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	bad = (struct add_folder){.owner = w->anna, .name = "", .type = FOLDER_USER_MAIL};
	CHECK_INT(store_transact(w->store, add_folder, &bad, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	bad = (struct add_folder){.owner = {99}, .name = "x", .type = FOLDER_USER_MAIL};
	CHECK_INT(store_transact(w->store, add_folder, &bad, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);

	rd = reading(w);
	REQUIRE_OK(store_folder_changes(rd, w->anna, seq, w->arena, &folders, &count, &err), &err);
	CHECK_INT(count, 2);
	CHECK_INT(folders[0].id.v, top.id.v);
	CHECK_INT(folders[0].changed_seq, seq + 1);
	CHECK_INT(folders[1].parent.v, top.id.v);
	REQUIRE_OK(
		store_folder_changes(rd, w->anna, seq + 2, w->arena, &folders, &count, &err), &err);
	CHECK_INT(count, 0);
	REQUIRE_OK(store_folder_load(rd, w->anna, top.id, w->arena, &folders, &err), &err);
	CHECK_STR(folders->name, "Projects");
	CHECK_INT(folders->items_seq, 0);
	CHECK_INT(store_folder_load(rd, w->bob, top.id, w->arena, &folders, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	store_read_end(&rd);
	/* A change of an item is none of the folder. */
	(void)add_item(w, "x", 1);
	rd = reading(w);
	REQUIRE_OK(store_folder_load(rd, w->anna, w->inbox, w->arena, &folders, &err), &err);
	CHECK_INT(folders->items_seq, seq + 3);
	CHECK(folders->changed_seq <= seq);
	store_read_end(&rd);
	world_free(&w);
}

/* ---- deleting a user ---- */

static int delete_anna(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->anna, err);
}

static uint64_t rows_of(struct world *w, const char *sql)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct err err = ERR_INIT;
	uint64_t count = 0;

	REQUIRE_OK(store_prepare(rd, sql, &st, &err), &err);
	db_bind_u64(st, 1, w->anna.v);
	REQUIRE_OK(store_run_u64(st, &count, &err), &err);
	return count;
}

static void test_delete_user(void)
{
	struct world *w = world_new();
	struct states s = {w->anna, {1}, {STATE(1, 0, "abc")}, 1};
	struct add_user again = {"anna", "example.org", {0}};
	struct store_read *rd;
	struct err err = ERR_INIT;
	struct user *user;
	int rounds = 0, rc;

	new_phone(w);
	REQUIRE_OK(store_transact(w->store, save_states, &s, &err), &err);
	for (int i = 0; i < 20; i++)
		(void)add_item(w, "x", i);
	w->event_count = 0;
	REQUIRE_OK(transact(w, delete_anna, &err), &err);
	CHECK_INT(w->event_count, 1);
	CHECK_INT(w->events[0].kinds, CHANGE_USER);
	CHECK_INT(w->events[0].owner.v, w->anna.v);
	rd = reading(w);
	CHECK_INT(store_user_find_login(rd, "anna", "", w->arena, &user, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(store_user_find_address(rd, "anna@example.org", w->arena, &user, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	store_read_end(&rd);
	CHECK(load_phone(w) == NULL);
	CHECK_INT(transact(w, delete_anna, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	while ((rc = store_sweep(w->store, 0, 7, &err)) > 0 && rounds++ < 100)
		;
	CHECK_INT(rc, 0);
	CHECK(rounds > 3);
	CHECK_INT(rows_of(w, "SELECT (SELECT count(*) FROM items WHERE owner = $1)"
			     " + (SELECT count(*) FROM bodies WHERE owner = $1)"
			     " + (SELECT count(*) FROM tombstones WHERE owner = $1)"
			     " + (SELECT count(*) FROM folders WHERE owner = $1)"
			     " + (SELECT count(*) FROM sync_states WHERE owner = $1)"
			     " + (SELECT count(*) FROM addresses WHERE owner = $1)"
			     " + (SELECT count(*) FROM owners WHERE id = $1)"),
		0);
	/* The name is free, the id is not used again. */
	REQUIRE_OK(store_transact(w->store, add_one, &again, &err), &err);
	CHECK(again.id.v > w->bob.v);
	world_free(&w);
}

static void test_user_list(void)
{
	struct world *w = world_new();
	struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *users;
	size_t count;

	REQUIRE_OK(store_user_list(rd, w->arena, &users, &count, &err), &err);
	CHECK_INT(count, 2);
	CHECK_STR(users[0].login, "bob");
	CHECK_STR(users[1].login, "anna");
	store_read_end(&rd);
	world_free(&w);
}

TEST_MAIN(TEST(test_find_login), TEST(test_add_user), TEST(test_epoch), TEST(test_aliases),
	TEST(test_domains), TEST(test_default_folders), TEST(test_add_folder),
	TEST(test_delete_user), TEST(test_user_list))
