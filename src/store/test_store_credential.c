/*
 * App passwords, API tokens, web sessions, and who administers.
 */
#include "store/store_credential.h"

#include "store/test_store_util.h"

static struct user *load(struct world *w, struct owner_id id)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct user *user = NULL;

	REQUIRE_OK(store_user_load(rd, id, w->arena, &user, &err), &err);
	return user;
}

/* ---- app passwords ---- */

static int add_apps(struct store_tx *tx, struct world *w, struct err *err)
{
	struct app_password one = {.owner = w->anna,
		.name = "Phone",
		.verifier = "v1",
		.binding = APP_FIRST_USE,
		.created_at = 7,
		.created_by = "admin:uid=0"};
	struct app_password two = {
		.owner = w->anna, .name = "Tablet", .verifier = "v2", .created_at = 8};

	if (store_app_password_add(tx, &one, 2, err) < 0 ||
		store_app_password_add(tx, &two, 2, err) < 0)
		return -1;
	CHECK_INT(one.id, 1);
	CHECK_INT(two.id, 2);
	return 0;
}

static int add_same_name(struct store_tx *tx, struct world *w, struct err *err)
{
	struct app_password app = {.owner = w->anna, .name = "Phone", .verifier = "v3"};

	return store_app_password_add(tx, &app, 9, err);
}

static int add_third(struct store_tx *tx, struct world *w, struct err *err)
{
	struct app_password app = {.owner = w->anna, .name = "Third", .verifier = "v3"};

	return store_app_password_add(tx, &app, 2, err);
}

static int bind_first(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_app_password_bind(tx, w->anna, 1, "PHONE1", err);
}

static int bind_other(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_app_password_bind(tx, w->anna, 1, "PHONE2", err);
}

static int bind_unbound(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_app_password_bind(tx, w->anna, 2, "PHONE2", err);
}

static int use_first(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_app_password_used(tx, w->anna, 1, "PHONE1", "192.0.2.9", 77, err);
}

static int delete_first(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_app_password_delete(tx, w->anna, 1, err);
}

static void test_app_passwords(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct app_password *app, *list;
	struct store_read *rd;
	uint64_t epoch, seq;
	size_t count;

	REQUIRE_OK(transact(w, add_apps, &err), &err);
	CHECK_INT(transact(w, add_same_name, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(transact(w, add_third, &err), -1);
	CHECK_INT(err.code, ERR_QUOTA);
	REQUIRE_OK(transact(w, bind_first, &err), &err);
	REQUIRE_OK(transact(w, bind_first, &err), &err);
	CHECK_INT(transact(w, bind_other, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(transact(w, bind_unbound, &err), -1);
	REQUIRE_OK(transact(w, use_first, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_app_password_find(rd, w->anna, "v1", w->arena, &app, &err), &err);
	CHECK_INT(app->id, 1);
	CHECK_STR(app->name, "Phone");
	CHECK_INT(app->binding, APP_BOUND);
	CHECK_STR(app->device_id, "PHONE1");
	CHECK_INT(app->last_used_at, 77);
	CHECK_STR(app->last_address, "192.0.2.9");
	CHECK_STR(app->created_by, "admin:uid=0");
	/* Of her alone. */
	CHECK_INT(store_app_password_find(rd, w->bob, "v1", w->arena, &app, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	CHECK_INT(store_app_password_load(rd, w->bob, 1, w->arena, &app, &err), -1);
	REQUIRE_OK(store_app_password_list(rd, w->anna, w->arena, &list, &count, &err), &err);
	REQUIRE(count == 2);
	CHECK_STR(list[1].name, "Tablet");
	CHECK_INT(list[1].last_used_at, 0);
	store_read_end(&rd);
	/* Waiting phones are looked at; no login of others ends. */
	epoch = load(w, w->anna)->epoch;
	seq = load(w, w->anna)->seq;
	REQUIRE_OK(transact(w, delete_first, &err), &err);
	CHECK_INT(load(w, w->anna)->epoch, epoch);
	CHECK(load(w, w->anna)->seq > seq);
	CHECK_INT(transact(w, delete_first, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	world_free(&w);
}

/* ---- tokens ---- */

static int add_token(struct store_tx *tx, struct world *w, struct err *err)
{
	struct api_token token = {.owner = w->anna,
		.name = "backup",
		.hash = "h1",
		.scopes = "read log",
		.created_at = 5,
		.created_by = "web:anna@example.org",
		.expires_at = 500};

	return store_token_add(tx, &token, err);
}

static int use_token(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_token_used(tx, 1, "192.0.2.1", 99, err);
}

static int delete_token(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_token_delete(tx, 1, err);
}

static int delete_anna(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->anna, err);
}

static void test_tokens(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct api_token *token, *list;
	struct store_read *rd;
	size_t count;

	REQUIRE_OK(transact(w, add_token, &err), &err);
	CHECK_INT(transact(w, add_token, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	REQUIRE_OK(transact(w, use_token, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_token_find(rd, "h1", w->arena, &token, &err), &err);
	CHECK_STR(token->name, "backup");
	CHECK_STR(token->scopes, "read log");
	CHECK_INT(token->owner.v, w->anna.v);
	CHECK_INT(token->expires_at, 500);
	CHECK_INT(token->last_used_at, 99);
	CHECK_STR(token->last_address, "192.0.2.1");
	REQUIRE_OK(store_token_load(rd, "backup", w->arena, &token, &err), &err);
	CHECK_INT(store_token_find(rd, "h2", w->arena, &token, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	REQUIRE_OK(store_token_list(rd, w->arena, &list, &count, &err), &err);
	CHECK_INT(count, 1);
	store_read_end(&rd);
	REQUIRE_OK(transact(w, delete_token, &err), &err);
	CHECK_INT(transact(w, delete_token, &err), -1);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	/* They go with their user. */
	REQUIRE_OK(transact(w, add_token, &err), &err);
	REQUIRE_OK(transact(w, add_apps, &err), &err);
	REQUIRE_OK(transact(w, delete_anna, &err), &err);
	rd = reading(w);
	CHECK_INT(store_token_find(rd, "h1", w->arena, &token, &err), -1);
	REQUIRE_OK(store_app_password_list(
			   rd, w->anna, w->arena, &(struct app_password *){NULL}, &count, &err),
		&err);
	CHECK_INT(count, 0);
	store_read_end(&rd);
	world_free(&w);
}

/* ---- sessions ---- */

static int add_sessions(struct store_tx *tx, struct world *w, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		char hash[] = "s0";
		struct web_session session = {.hash = hash,
			.owner = w->anna,
			.csrf = "c",
			.created_at = 10 + i,
			.expires_at = 100 + i,
			.address = "192.0.2.1",
			.user_agent = "Firefox"};

		hash[1] = (char)('1' + i);
		if (store_session_add(tx, &session, 2, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_there(struct world *w, const char *hash, int64_t now_at)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	struct web_session *session;

	if (store_session_find(rd, hash, now_at, w->arena, &session, &err) == 0)
		return true;
	CHECK_INT(err.code, ERR_NOT_FOUND);
	return false;
}

static int see_second(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_session_seen(tx, "s2", 50, 200, err);
}

static int see_too_late(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_session_seen(tx, "s3", 102, 300, err);
}

static int end_second(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_session_end(tx, "s2", err);
}

static void test_sessions(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	struct web_session *list;
	struct store_read *rd;
	size_t count;

	REQUIRE_OK(transact(w, add_sessions, &err), &err);
	/* Two at most: the oldest went. */
	CHECK(!is_there(w, "s1", 20));
	CHECK(is_there(w, "s2", 20));
	CHECK(is_there(w, "s3", 101));
	CHECK(!is_there(w, "s3", 102));
	REQUIRE_OK(transact(w, see_second, &err), &err);
	REQUIRE_OK(transact(w, see_too_late, &err), &err);
	CHECK(is_there(w, "s2", 199));
	CHECK(!is_there(w, "s3", 102));
	rd = reading(w);
	REQUIRE_OK(store_session_list(rd, w->anna, 60, w->arena, &list, &count, &err), &err);
	REQUIRE(count == 2);
	CHECK_STR(list[0].hash, "s3");
	CHECK_INT(list[1].last_seen_at, 50);
	CHECK_STR(list[1].user_agent, "Firefox");
	store_read_end(&rd);
	CHECK_INT(store_session_sweep(w->store, 102, 1, &err), 1);
	CHECK_INT(store_session_sweep(w->store, 102, 1, &err), 0);
	CHECK(!is_there(w, "s3", 20));
	REQUIRE_OK(transact(w, end_second, &err), &err);
	CHECK(!is_there(w, "s2", 60));
	world_free(&w);
}

static int change_password(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_password(tx, w->anna, "x", err);
}

static int disable(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_disabled(tx, w->anna, true, err);
}

static int enable(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_disabled(tx, w->anna, false, err);
}

static int promote(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_admin(tx, w->anna, true, err);
}

static int demote(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_set_admin(tx, w->anna, false, err);
}

static void test_what_ends_sessions(void)
{
	int (*const enders[])(struct store_tx * tx, struct world * w, struct err * err) = {
		change_password, disable, enable, promote, demote, delete_anna};
	struct world *w = world_new();
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(enders); i++) {
		REQUIRE_OK(transact(w, add_sessions, &err), &err);
		/* A disabled user's would not be found anyhow. */
		CHECK(is_there(w, "s3", 20) == (enders[i] != enable));
		REQUIRE_OK(transact(w, enders[i], &err), &err);
		CHECK(!is_there(w, "s3", 20));
	}
	world_free(&w);
}

static void test_admin_flag(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t epoch = load(w, w->anna)->epoch;

	CHECK(!load(w, w->anna)->admin);
	REQUIRE_OK(transact(w, promote, &err), &err);
	CHECK(load(w, w->anna)->admin);
	CHECK_INT(load(w, w->anna)->epoch, epoch);
	REQUIRE_OK(transact(w, add_sessions, &err), &err);
	REQUIRE_OK(transact(w, promote, &err), &err);
	CHECK(is_there(w, "s3", 20)); /* nothing changed */
	REQUIRE_OK(transact(w, demote, &err), &err);
	CHECK(!load(w, w->anna)->admin);
	world_free(&w);
}

TEST_MAIN(TEST(test_app_passwords), TEST(test_tokens), TEST(test_sessions),
	TEST(test_what_ends_sessions), TEST(test_admin_flag))
