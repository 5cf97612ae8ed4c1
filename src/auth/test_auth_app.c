/* App passwords, sign-ins on the web pages, API tokens: against a real store. */
#include "auth/auth_secret.h"
#include "auth/test_auth_util.h"

#define PHONE_ADDRESS "192.0.2.7"

static struct auth_grant grant; /* of the last good login */

static enum auth_result phone(struct world *w, const char *name_and_password, const char *address)
{
	struct err err = ERR_INIT;

	grant = (struct auth_grant){NULL};
	return auth_check_basic(
		w->auth, basic(w, name_and_password), address, NULL, w->arena, &grant, &err);
}

static enum auth_result web(struct world *w, const char *name, const char *password)
{
	struct err err = ERR_INIT;

	grant = (struct auth_grant){NULL};
	return auth_check_password(w->auth, name, password, PHONE_ADDRESS, w->arena, &grant, &err);
}

static void set_apps(struct world *w, enum auth_apps apps)
{
	w->options.app_passwords = apps;
	auth_set_options(w->auth, &w->options);
}

/* ---- the secrets ---- */

static void test_texts(void)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"bcdf-ghjk-mnpq-rstv-wxyz", true},
		{"BCDF-GHJK-MNPQ-RSTV-WXYZ", true},
		{"bcdfghjkmnpqrstvwxyz", true},
		{" Bcdf ghjk mnpq rstv wxyz ", true},
		{"bcdf-ghjk-mnpq-rstv-wxya", false},
		{"bcdf-ghjk-mnpq-rstv-wxyzb", false},
		{"bcdf-ghjk-mnpq-rstv-wxy", false},
		{"bcdf-ghjk-mnpq-rstv-wxyl", false},
		{"bcdf-ghjk-mnpq-rstv-wxy\xc3", false},
		{"secret", false},
		{"", false},
	};
	char text[AUTH_APP_TEXT_SIZE], other[AUTH_APP_TEXT_SIZE], letters[AUTH_APP_LETTERS + 1];
	char one[AUTH_VERIFIER_SIZE], two[AUTH_VERIFIER_SIZE], secret[AUTH_SECRET_SIZE];
	struct owner_id owner = {0};
	char hash[AUTH_HASH_SIZE], cookie_hash[AUTH_HASH_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK(auth_app_parse(rows[i].text, letters) == rows[i].good);
		if (rows[i].good)
			CHECK_STR(letters, "bcdfghjkmnpqrstvwxyz");
	}
	for (int i = 0; i < 100; i++) {
		auth_app_make(text);
		auth_app_make(other);
		CHECK(auth_app_parse(text, letters));
		CHECK(strcmp(text, other) != 0);
	}
	/* The same letters are another secret for another user. */
	auth_app_verifier((struct owner_id){1}, letters, one);
	auth_app_verifier((struct owner_id){2}, letters, two);
	CHECK(strcmp(strrchr(one, '$'), strrchr(two, '$')) != 0);
	CHECK(auth_verifier_is_app(two, &owner));
	CHECK_INT(owner.v, 2);
	CHECK(!auth_verifier_is_app("$y$j9T$...", &owner));
	CHECK(auth_check_verifier(text, one));
	CHECK(!auth_check_verifier(other, one));
	CHECK(!auth_check_verifier("secret", one));
	CHECK(!auth_check_verifier(text, "$bellhop-app$1$"));
	CHECK(!auth_check_verifier(text, "$bellhop-app$x"));
	/* Nor is a token a cookie. */
	auth_secret_make(AUTH_API_TOKEN, secret);
	CHECK(str_starts(secret, "bht_"));
	CHECK_INT(strlen(secret), 47);
	auth_secret_hash(AUTH_API_TOKEN, secret, hash);
	auth_secret_hash(AUTH_WEB_SESSION, secret, cookie_hash);
	CHECK_INT(strlen(hash), 64);
	CHECK(strcmp(hash, cookie_hash) != 0);
}

/* ---- app passwords ---- */

static char anna_text[AUTH_APP_TEXT_SIZE];

static int add_app(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	char letters[AUTH_APP_LETTERS + 1], verifier[AUTH_VERIFIER_SIZE];
	struct app_password app = {
		.owner = w->anna, .name = "Phone", .verifier = verifier, .created_by = "test"};

	CHECK(auth_app_parse(anna_text, letters));
	auth_app_verifier(w->anna, letters, verifier);
	return store_app_password_add(tx, &app, 10, err);
}

static int revoke_app(struct store_tx *tx, void *owner, struct err *err)
{
	return store_app_password_delete(tx, ((struct world *)owner)->anna, 1, err);
}

static void give_anna_one(struct world *w)
{
	struct err err = ERR_INIT;

	auth_app_make(anna_text);
	REQUIRE_OK(store_transact(w->store, add_app, w, &err), &err);
}

static const char *with_app(struct world *w, const char *name)
{
	return arena_x_printf(w->arena, "%s:%s", name, anna_text);
}

static void test_app_password(void)
{
	struct err err = ERR_INIT;
	struct world w;

	world_open(&w);
	give_anna_one(&w);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_OK);
		REQUIRE(grant.app_password != NULL);
		CHECK_STR(grant.app_password->name, "Phone");
		CHECK(auth_check_verifier(anna_text, grant.verifier));
		CHECK_INT(grant.expires_at, clock_now_at() + 3600);
	}
	/* Hers alone, and not for the web pages. */
	CHECK_INT(phone(&w, with_app(&w, "bob"), PHONE_ADDRESS), AUTH_WRONG);
	CHECK_INT(web(&w, "anna", anna_text), AUTH_WRONG);
	CHECK_INT(phone(&w, "anna:secret", PHONE_ADDRESS), AUTH_OK);
	CHECK(grant.app_password == NULL);
	set_apps(&w, AUTH_APPS_OFF);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_WRONG);
	set_apps(&w, AUTH_APPS_ALLOWED);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_OK);
	REQUIRE_OK(store_transact(w.store, revoke_app, &w, &err), &err);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_WRONG);
	CHECK(strstr(w.lines, anna_text) == NULL);
	world_close(&w);
}

/* Guesses at the password do not cut off who has an app password: nobody guesses that. */
static void test_app_password_is_not_throttled(void)
{
	char text[40];
	struct world w;

	world_open(&w);
	give_anna_one(&w);
	for (int i = 0; i < 5; i++)
		CHECK_INT(phone(&w, "anna:wrong", PHONE_ADDRESS), AUTH_WRONG);
	CHECK_INT(phone(&w, "anna:secret", PHONE_ADDRESS), AUTH_THROTTLED);
	CHECK_INT(phone(&w, with_app(&w, "anna"), "198.51.100.1"), AUTH_OK);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_OK);
	/* A flooded address ends it for who was not there before. */
	for (int i = 0; i < 20; i++) {
		(void)snprintf(text, sizeof(text), "nobody%d:x", i);
		(void)phone(&w, text, "203.0.113.1");
	}
	CHECK_INT(phone(&w, with_app(&w, "Anna"), "203.0.113.1"), AUTH_THROTTLED);
	for (int i = 0; i < 15; i++) {
		(void)snprintf(text, sizeof(text), "nobody%d:x", i);
		(void)phone(&w, text, PHONE_ADDRESS);
	}
	CHECK_INT(phone(&w, "anna:secret", PHONE_ADDRESS), AUTH_THROTTLED);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_OK);
	world_close(&w);
}

static void test_required(void)
{
	struct world w;

	world_open(&w);
	give_anna_one(&w);
	CHECK_INT(phone(&w, "anna:secret", PHONE_ADDRESS), AUTH_OK);
	set_apps(&w, AUTH_APPS_REQUIRED);
	/* Also what was remembered; and as often as the phone likes: the web page stays open. */
	for (int i = 0; i < 30; i++)
		CHECK(phone(&w, "anna:secret", PHONE_ADDRESS) != AUTH_OK);
	CHECK(strstr(w.lines, "reason=no_app_password") != NULL);
	CHECK_INT(web(&w, "anna", "secret"), AUTH_OK);
	CHECK_INT(phone(&w, with_app(&w, "anna"), PHONE_ADDRESS), AUTH_OK);
	world_close(&w);
}

/* ---- the web pages ---- */

static int disable(struct store_tx *tx, void *owner, struct err *err)
{
	return store_user_set_disabled(tx, ((struct world *)owner)->anna, true, err);
}

static void test_web(void)
{
	struct err err = ERR_INIT;
	struct world w;

	world_open(&w);
	CHECK_INT(web(&w, "anna@example.org", "secret"), AUTH_OK);
	CHECK_STR(grant.user->login, "anna");
	CHECK_INT(web(&w, "anna", "Secret"), AUTH_WRONG);
	CHECK_INT(web(&w, "nobody", "secret"), AUTH_WRONG);
	CHECK_INT(web(&w, "", ""), AUTH_WRONG);
	/* Failures of phones and of pages are one count. */
	CHECK_INT(phone(&w, "anna:wrong", "198.51.100.1"), AUTH_WRONG);
	for (int i = 0; i < 3; i++)
		CHECK_INT(web(&w, "anna", "guess"), AUTH_WRONG);
	CHECK_INT(web(&w, "anna", "secret"), AUTH_THROTTLED);
	CHECK_INT(phone(&w, "anna:secret", "198.51.100.1"), AUTH_THROTTLED);
	clock_fake_advance_ms(1000000);
	REQUIRE_OK(store_transact(w.store, disable, &w, &err), &err);
	CHECK_INT(web(&w, "anna", "secret"), AUTH_WRONG);
	CHECK(strstr(w.lines, "reason=disabled") != NULL);
	world_close(&w);
}

/* ---- tokens ---- */

static char token_text[AUTH_SECRET_SIZE];

static int add_tokens(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	char hash[AUTH_HASH_SIZE];
	struct api_token token = {.owner = w->anna,
		.name = "script",
		.hash = hash,
		.scopes = "read",
		.expires_at = WALL_MS / 1000 + 100};

	auth_secret_hash(AUTH_API_TOKEN, token_text, hash);
	return store_token_add(tx, &token, err);
}

static enum auth_result with_token(struct world *w, const char *secret, struct auth_token *ret)
{
	struct err err = ERR_INIT;

	*ret = (struct auth_token){NULL, NULL};
	return auth_check_token(w->auth, secret, PHONE_ADDRESS, w->arena, ret, &err);
}

static void test_tokens(void)
{
	struct err err = ERR_INIT;
	struct auth_token token;
	struct world w;

	world_open(&w);
	auth_secret_make(AUTH_API_TOKEN, token_text);
	REQUIRE_OK(store_transact(w.store, add_tokens, &w, &err), &err);
	CHECK_INT(with_token(&w, token_text, &token), AUTH_OK);
	REQUIRE(token.user != NULL);
	CHECK_STR(token.user->login, "anna");
	CHECK_STR(token.token->scopes, "read");
	CHECK_INT(with_token(&w, "bht_x", &token), AUTH_WRONG);
	CHECK_INT(with_token(&w, "", &token), AUTH_WRONG);
	clock_fake_advance_ms(100000);
	CHECK_INT(with_token(&w, token_text, &token), AUTH_WRONG);
	CHECK(strstr(w.lines, "reason=token_expired") != NULL);
	clock_fake_advance_ms(-50000);
	REQUIRE_OK(store_transact(w.store, disable, &w, &err), &err);
	CHECK_INT(with_token(&w, token_text, &token), AUTH_WRONG);
	for (int i = 0; i < 20; i++)
		(void)with_token(&w, "bht_guess", &token);
	CHECK_INT(with_token(&w, token_text, &token), AUTH_THROTTLED);
	CHECK(strstr(w.lines, token_text) == NULL);
	world_close(&w);
}

TEST_MAIN(TEST(test_texts), TEST(test_app_password), TEST(test_app_password_is_not_throttled),
	TEST(test_required), TEST(test_web), TEST(test_tokens))
