/* Logins against a real store: forms, memory, throttling, what is logged. */
#include "auth/test_auth_util.h"

static enum auth_result login_from(
	struct world *w, const char *name_and_password, const char *address)
{
	struct err err = ERR_INIT;
	struct auth_grant grant = {NULL};
	enum auth_result result = auth_check_basic(
		w->auth, basic(w, name_and_password), address, NULL, w->arena, &grant, &err);

	CHECK((result == AUTH_OK) == (grant.user != NULL));
	if (result != AUTH_OK)
		return result;
	CHECK(grant.expires_at >= clock_now_at());
	CHECK(!grant.by_fallback);
	CHECK(auth_check_verifier(strchr(name_and_password, ':') + 1, grant.verifier) ||
		!utf8_valid(name_and_password, strlen(name_and_password)));
	return result;
}

static enum auth_result login(struct world *w, const char *name_and_password)
{
	return login_from(w, name_and_password, "192.0.2.7");
}

static size_t count_lines(const struct world *w, const char *with)
{
	size_t n = 0;

	for (const char *p = strstr(w->lines, with); p != NULL; p = strstr(p + 1, with))
		n++;
	return n;
}

static int step_set_password(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	struct crypt_data *work = x_new(struct crypt_data);
	int rc = store_user_set_password(tx, w->anna, quick_hash("changed", work), err);

	mem_free(work);
	return rc;
}

static int step_disable(struct store_tx *tx, void *owner, struct err *err)
{
	return store_user_set_disabled(tx, ((struct world *)owner)->anna, true, err);
}

static int step_delete(struct store_tx *tx, void *owner, struct err *err)
{
	return store_user_delete(tx, ((struct world *)owner)->anna, err);
}

static void transact(struct world *w, store_tx_fn fn)
{
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(w->store, fn, w, &err), &err);
}

static void test_forms(void)
{
	static const char *const good[] = {"anna:secret", "ANNA:secret", "anna@example.org:secret",
		"Anna@Example.ORG:secret", "EXAMPLE\\anna:secret", "example.org\\anna:secret",
		"ann@example.org:secret", "bob:p\xc3\xa4ss:w", "bob:p\xe4ss:w"};
	static const char *const wrong[] = {"anna:", "anna:Secret", "anna:secret ", "bob:secret",
		"nobody:secret", "anna@example.net:secret", "bob:p\xc3\xa4ss", "@:x"};
	static const char *const headers[] = {
		NULL, "", "Basic", "Basic ", "Bearer abc", "Basically YTpi", "Digest x"};
	struct world w;
	struct err err = ERR_INIT;
	struct auth_grant grant = {NULL};

	world_open(&w);
	w.options.fail_limit_user = w.options.fail_limit_address = 1000;
	auth_set_options(w.auth, &w.options);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK_INT(login(&w, good[i]), AUTH_OK);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_INT(login(&w, wrong[i]), AUTH_WRONG);
	CHECK_INT(count_lines(&w, "login_failed"), ARRAY_LEN(wrong));
	/* No credentials, no failure: clients ask for the challenge like this. */
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		CHECK_INT(auth_check_basic(
				  w.auth, headers[i], "192.0.2.7", NULL, w.arena, &grant, &err),
			AUTH_WRONG);
	CHECK_INT(count_lines(&w, "login_failed"), ARRAY_LEN(wrong));
	CHECK(grant.user == NULL);
	world_close(&w);
}

static void test_memory_ends_with_the_epoch(void)
{
	struct world w;

	world_open(&w);
	CHECK_INT(login(&w, "anna:secret"), AUTH_OK);
	transact(&w, step_set_password);
	CHECK_INT(login(&w, "anna:secret"), AUTH_WRONG);
	CHECK_INT(login(&w, "anna:changed"), AUTH_OK);
	transact(&w, step_disable);
	/* Disabled users are let through here; the caller decides. */
	CHECK_INT(login(&w, "anna:changed"), AUTH_OK);
	transact(&w, step_delete);
	CHECK_INT(login(&w, "anna:changed"), AUTH_WRONG);
	world_close(&w);
}

static void test_memory_costs_no_hash(void)
{
	struct world w;
	struct err err = ERR_INIT;
	struct auth_grant grant = {NULL};
	int64_t first;
	struct timespec before, after;
	int64_t us;

	world_open(&w);
	CHECK_INT(auth_check_basic(
			  w.auth, basic(&w, "anna:secret"), "x", NULL, w.arena, &grant, &err),
		AUTH_OK);
	first = grant.expires_at;
	CHECK_INT(first, WALL_MS / 1000 + 3600);
	clock_fake_advance_ms(1000000);
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(auth_check_basic(w.auth, basic(&w, "anna:secret"), "x", NULL, w.arena,
				  &grant, &err),
			AUTH_OK);
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	printf("# %" PRId64 " us of CPU for 1000 remembered logins\n", us);
	/* The check itself is as old as it was. */
	CHECK_INT(grant.expires_at, first);
	CHECK_INT(grant.user->id.v, w.anna.v);
	/* After its time the password is asked for again. */
	clock_fake_advance_ms(3000000);
	CHECK_INT(auth_check_basic(
			  w.auth, basic(&w, "anna:secret"), "x", NULL, w.arena, &grant, &err),
		AUTH_OK);
	CHECK_INT(grant.expires_at, clock_now_at() + 3600);
	/* Without a memory it works as well. */
	w.options.cache_ttl_s = 0;
	w.options.cache_entries = 16;
	auth_set_options(w.auth, &w.options);
	CHECK_INT(login(&w, "anna:secret"), AUTH_OK);
	CHECK_INT(login(&w, "anna:secret"), AUTH_OK);
	world_close(&w);
}

struct last_login {
	const char *verifier; /* NULL: no wipe is pending */
	unsigned asked;
	bool proved;
};

static const char *find_last(
	void *owner, const struct user *user, struct arena *arena, bool *ret_proved)
{
	struct last_login *last = owner;

	CHECK_STR(user->login, "anna");
	last->asked++;
	*ret_proved = last->proved;
	return last->verifier == NULL ? NULL : arena_x_strdup(arena, last->verifier);
}

static enum auth_result login_or_last(
	struct world *w, const char *name_and_password, struct last_login *last, bool *ret_last)
{
	const struct auth_fallback fallback = {find_last, NULL, last};
	struct auth_grant grant = {NULL};
	struct err err = ERR_INIT;
	enum auth_result result = auth_check_basic(w->auth, basic(w, name_and_password),
		"192.0.2.7", &fallback, w->arena, &grant, &err);

	*ret_last = grant.by_fallback;
	if (result == AUTH_OK)
		CHECK(auth_check_verifier(strchr(name_and_password, ':') + 1, grant.verifier));
	return result;
}

static void test_fallback(void)
{
	struct crypt_data *work = x_new(struct crypt_data);
	struct last_login last = {NULL, 0, false};
	struct world w;
	bool by_last;

	world_open(&w);
	last.verifier = x_strdup(quick_hash("secret", work));
	/* What is good is not asked twice. */
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_OK);
	CHECK(!by_last);
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_OK);
	CHECK_INT(last.asked, 0);
	transact(&w, step_set_password);
	transact(&w, step_disable);
	for (int i = 0; i < 50; i++) {
		CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_OK);
		CHECK(by_last);
	}
	CHECK_INT(last.asked, 50);
	/* It is good for the fallback only, and no failure. */
	CHECK_INT(count_lines(&w, "login_failed"), 0);
	CHECK_INT(login(&w, "anna:secret"), AUTH_WRONG);
	CHECK_INT(login_or_last(&w, "anna:changed", &last, &by_last), AUTH_OK);
	CHECK(!by_last);
	/* Nobody is cut off from it by guesses, as long as those are not at it. */
	for (int i = 0; i < 4; i++)
		CHECK_INT(login(&w, "anna:guess"), AUTH_WRONG);
	CHECK_INT(login(&w, "anna:guess"), AUTH_THROTTLED);
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_OK);
	for (int i = 0; i < 20; i++)
		CHECK_INT(login_or_last(&w, "anna:guess", &last, &by_last), AUTH_THROTTLED);
	clock_fake_advance_ms(3601000);
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_OK);
	/* Without a wipe there is none. */
	mem_free((void *)(uintptr_t)last.verifier);
	last.verifier = NULL;
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_WRONG);
	CHECK(!by_last);
	mem_free(work);
	world_close(&w);
}

/* Neither others behind its address nor guesses at it keep a phone from its wipe. */
static void test_fallback_under_fire(void)
{
	struct crypt_data *work = x_new(struct crypt_data);
	struct last_login last = {NULL, 0, false};
	struct world w;
	bool by_last;

	world_open(&w);
	last.verifier = x_strdup(quick_hash("old", work));
	for (int i = 0; i < 20; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "nobody%d:x", i);
		CHECK_INT(login_from(&w, text, "192.0.2.7"), AUTH_WRONG);
	}
	CHECK_INT(login(&w, "anna:old"), AUTH_THROTTLED);
	CHECK_INT(login_or_last(&w, "anna:old", &last, &by_last), AUTH_OK);
	CHECK(by_last);
	/* The right password of now is not looked at, nor anybody's who is not asked for. */
	CHECK_INT(login_or_last(&w, "anna:secret", &last, &by_last), AUTH_THROTTLED);
	CHECK_INT(login_or_last(&w, "nobody7:old", &last, &by_last), AUTH_THROTTLED);
	/* Guesses at the fallback end, the right one among them, but for who proves himself. */
	clock_fake_advance_ms(3601000);
	for (int i = 0; i < 30; i++)
		CHECK(login_or_last(&w, "anna:guess", &last, &by_last) != AUTH_OK);
	CHECK_INT(login_or_last(&w, "anna:old", &last, &by_last), AUTH_THROTTLED);
	last.proved = true;
	CHECK_INT(login_or_last(&w, "anna:guess", &last, &by_last), AUTH_THROTTLED);
	CHECK_INT(login_or_last(&w, "anna:old", &last, &by_last), AUTH_OK);
	CHECK(by_last);
	/* Known from now on, also without proof. */
	last.proved = false;
	CHECK_INT(login_or_last(&w, "anna:old", &last, &by_last), AUTH_OK);
	mem_free((void *)(uintptr_t)last.verifier);
	mem_free(work);
	world_close(&w);
}

static void test_throttled_user(void)
{
	struct world w;

	world_open(&w);
	for (int i = 0; i < 5; i++)
		CHECK_INT(login(&w, i % 2 ? "anna:wrong" : "ann@example.org:wrong"), AUTH_WRONG);
	CHECK_INT(login(&w, "anna:secret"), AUTH_THROTTLED);
	CHECK_INT(login_from(&w, "anna:secret", "198.51.100.1"), AUTH_THROTTLED);
	CHECK_INT(login(&w, "anna:wrong"), AUTH_THROTTLED);
	CHECK_INT(login(&w, "bob:p\xc3\xa4ss:w"), AUTH_OK);
	/* One line for each failure, one more for the limit. */
	CHECK_INT(count_lines(&w, "reason=password"), 5);
	CHECK_INT(count_lines(&w, "reason=throttled"), 1);
	/* The window slides: half of it later half of the failures count. */
	clock_fake_advance_ms(300000 + 150000);
	CHECK_INT(login(&w, "anna:secret"), AUTH_OK);
	world_close(&w);
}

static void test_a_known_phone_is_not_cut_off(void)
{
	struct world w;

	world_open(&w);
	CHECK_INT(login_from(&w, "anna:secret", "198.51.100.1"), AUTH_OK);
	for (int i = 0; i < 5; i++)
		CHECK_INT(login_from(&w, "anna:guess", "203.0.113.5"), AUTH_WRONG);
	/* Hers goes on; the right guess from elsewhere is not even looked at. */
	CHECK_INT(login_from(&w, "anna:secret", "203.0.113.5"), AUTH_THROTTLED);
	CHECK_INT(login_from(&w, "anna:secret", "198.51.100.1"), AUTH_OK);
	/* Unless her address fails, too. */
	clock_fake_advance_ms(1000000);
	CHECK_INT(login_from(&w, "anna:secret", "198.51.100.1"), AUTH_OK);
	for (int i = 0; i < 5; i++)
		CHECK_INT(login_from(&w, "anna:guess", "198.51.100.1"), AUTH_WRONG);
	CHECK_INT(login_from(&w, "anna:secret", "198.51.100.1"), AUTH_THROTTLED);
	world_close(&w);
}

static void test_throttled_address(void)
{
	struct world w;
	char text[40];

	world_open(&w);
	CHECK_INT(login_from(&w, "bob:p\xc3\xa4ss:w", "2001:db8::1"), AUTH_OK);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(text, sizeof(text), "nobody%d:x", i);
		/* A whole /64 is one address. */
		CHECK_INT(
			login_from(&w, text, i % 2 ? "2001:db8::1" : "2001:db8::2:1"), AUTH_WRONG);
	}
	CHECK_INT(login_from(&w, "anna:secret", "2001:db8::77"), AUTH_THROTTLED);
	CHECK_INT(login_from(&w, "bob:p\xc3\xa4ss:w", "2001:db8::1"), AUTH_OK);
	CHECK_INT(login_from(&w, "anna:secret", "2001:db8:0:1::1"), AUTH_OK);
	CHECK_INT(count_lines(&w, "reason=unknown_user"), 20);
	world_close(&w);
}

static void test_lines_for_fail2ban(void)
{
	struct buf want = BUF_INIT;
	struct world w;
	struct err err = ERR_INIT;
	struct auth_grant grant = {NULL};
	char path[512];
	FILE *sample;
	int c;

	/* The compiler and the test run in the same folder. */
	(void)snprintf(path, sizeof(path), "%.*s/../../packaging/fail2ban/sample.log",
		(int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	sample = fopen(path, "r");
	REQUIRE(sample != NULL);
	while ((c = getc(sample)) != EOF)
		buf_add_byte(&want, (uint8_t)c);
	(void)fclose(sample);
	world_open(&w);
	w.options.fail_limit_user = 1;
	auth_set_options(w.auth, &w.options);
	CHECK_INT(login_from(&w, "anna@example.org:wrong", "192.0.2.7"), AUTH_WRONG);
	CHECK_INT(login_from(&w, "nobody address=203.0.113.9 \" x:wrong", "192.0.2.8"), AUTH_WRONG);
	CHECK_INT(auth_check_basic(w.auth, "Basic !!!", "2001:db8::9", NULL, w.arena, &grant, &err),
		AUTH_WRONG);
	CHECK_INT(login_from(&w, "anna@example.org:wrong", "192.0.2.7"), AUTH_THROTTLED);
	CHECK_STR(w.lines, buf_cstr(&want));
	buf_deinit(&want);
	world_close(&w);
}

static void test_event_log(void)
{
	struct world w;
	struct store_read *rd = NULL;
	struct log_row *rows = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;
	char text[40];

	world_open(&w);
	w.options.fail_limit_address = w.options.fail_limit_user = 100000;
	auth_set_options(w.auth, &w.options);
	/* One row for each pair of user and address in a window ... */
	for (int i = 0; i < 4; i++)
		CHECK_INT(login(&w, "anna:wrong"), AUTH_WRONG);
	REQUIRE_OK(store_read_begin(w.store, &rd, &err), &err);
	REQUIRE_OK(store_log_list(rd, "", 0, 100, w.arena, &rows, &count, &err), &err);
	REQUIRE(count == 1);
	CHECK_STR(rows[0].action, "login_failed");
	CHECK_STR(rows[0].user, "anna@example.org");
	CHECK_STR(rows[0].address, "192.0.2.7");
	CHECK_STR(rows[0].result, "password");
	CHECK_INT(rows[0].at, WALL_MS / 1000);
	store_read_end(&rd);
	/* ... and no more than so many a minute. */
	for (int i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof(text), "bob%d:x", i);
		(void)auth_check_basic(w.auth, basic(&w, "bob:x"),
			arena_x_printf(w.arena, "10.0.0.%d", i), NULL, w.arena,
			&(struct auth_grant){NULL}, &err);
	}
	REQUIRE_OK(store_read_begin(w.store, &rd, &err), &err);
	REQUIRE_OK(store_log_list(rd, "", 0, 1000, w.arena, &rows, &count, &err), &err);
	CHECK_INT(count, 60);
	store_read_end(&rd);
	world_close(&w);
}

static void test_hashes(void)
{
	/* From libxcrypt's own documentation and RFCs of the schemes: "password" in each. */
	static const char *const settings[] = {"$1$saltsalt", "$5$rounds=1000$saltsalt",
		"$6$rounds=1000$saltsalt", "$2b$04$abcdefghijklmnopqrstuu", "ab"};
	struct crypt_data *work = x_new(struct crypt_data);
	struct err err = ERR_INIT;
	char *hash = NULL, *again = NULL, long_password[600];

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const char *made = crypt_rn("password", settings[i], work, (int)sizeof(*work));

		REQUIRE(made != NULL);
		made = x_strdup(made);
		CHECK(auth_password_fits("password", made));
		CHECK(!auth_password_fits("passwort", made));
		CHECK(!auth_password_fits("", made));
		mem_free((void *)(uintptr_t)made);
	}
	mem_free(work);
	REQUIRE_OK(auth_hash_password("password", &hash, &err), &err);
	REQUIRE_OK(auth_hash_password("password", &again, &err), &err);
	CHECK(str_starts(hash, "$y$"));
	CHECK(strcmp(hash, again) != 0);
	CHECK(auth_password_fits("password", hash));
	CHECK(!auth_password_fits("password ", hash));
	mem_free(hash);
	mem_free(again);
	CHECK(!auth_password_fits("", ""));
	CHECK(!auth_password_fits("*", "*"));
	CHECK(!auth_password_fits("x", "!"));
	CHECK(!auth_password_fits("x", "no such scheme"));
	CHECK(!auth_password_fits("x", "$9$x$y"));
	CHECK(!auth_password_fits("x", NULL));
	memset(long_password, 'x', sizeof(long_password));
	long_password[599] = 0;
	CHECK_INT(auth_hash_password(long_password, &hash, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
}

static void test_cache_is_bounded(void)
{
	struct auth_cache *cache = auth_cache_new(64);
	struct auth_cache_entry entry = {.expires_at = 100}, got;
	size_t found = 0;

	for (uint64_t i = 1; i <= 1000; i++) {
		entry.tag = (struct auth_tag){i * UINT64_C(0x9e3779b97f4a7c15), i};
		entry.owner.v = i;
		auth_cache_put(cache, &entry, 50);
		/* The very first one is used all the time and so stays. */
		CHECK(auth_cache_find(
			cache, &(struct auth_tag){UINT64_C(0x9e3779b97f4a7c15), 1}, 50, &got));
		CHECK_INT(got.owner.v, 1);
	}
	for (uint64_t i = 1; i <= 1000; i++)
		found += auth_cache_find(
			cache, &(struct auth_tag){i * UINT64_C(0x9e3779b97f4a7c15), i}, 50, &got);
	CHECK_INT(found, 64);
	CHECK(!auth_cache_find(
		cache, &(struct auth_tag){UINT64_C(0x9e3779b97f4a7c15), 1}, 100, &got));
	/* Half a tag is none. */
	CHECK(!auth_cache_find(cache, &entry.tag, 100, &got));
	auth_cache_put(cache, &entry, 50);
	entry.tag.b++;
	CHECK(!auth_cache_find(cache, &entry.tag, 50, &got));
	auth_cache_free(&cache);
	auth_cache_free(&cache);
}

static void test_counters(void)
{
	struct auth_throttle *t = auth_throttle_new();
	int64_t now = INT64_C(300000) * 1000;

	CHECK_INT(auth_throttle_count(t, 7, now, 300), 0);
	CHECK(!auth_throttle_tell(t, 7, now, 300));
	for (uint32_t i = 0; i < 100; i++)
		CHECK_INT(auth_throttle_add(t, 7, now, 300), i);
	CHECK(auth_throttle_tell(t, 7, now, 300));
	CHECK(!auth_throttle_tell(t, 7, now, 300));
	CHECK_INT(auth_throttle_count(t, 7, now + 299999, 300), 100);
	CHECK_INT(auth_throttle_count(t, 7, now + 300000, 300), 100);
	CHECK_INT(auth_throttle_count(t, 7, now + 375000, 300), 75);
	CHECK_INT(auth_throttle_count(t, 7, now + 600000, 300), 0);
	/* A flood of others does not wash it out. */
	for (uint32_t i = 0; i < 100; i++)
		(void)auth_throttle_add(t, 9, now + 700000, 300);
	for (uint64_t i = 100; i < 1000000; i++)
		(void)auth_throttle_add(t, i, now + 700000, 300);
	CHECK_INT(auth_throttle_count(t, 9, now + 700000, 300), 100);
	auth_throttle_free(&t);
	auth_throttle_free(&t);
}

static void *login_often(void *owner)
{
	struct world *shared = owner, w = *shared;
	size_t good = 0;

	w.arena = arena_new(0);
	for (int i = 0; i < 50; i++) {
		good += login(&w, "anna:secret") == AUTH_OK;
		good += login(&w, "bob:p\xc3\xa4ss:w") == AUTH_OK;
		if (i == 25)
			auth_set_options(w.auth, &w.options);
	}
	arena_free(&w.arena);
	return (void *)good;
}

static void test_many_threads(void)
{
	pthread_t threads[8];
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		REQUIRE(pthread_create(&threads[i], NULL, login_often, &w) == 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *good = NULL;

		CHECK_INT(pthread_join(threads[i], &good), 0);
		CHECK_INT((uintptr_t)good, 100);
	}
	world_close(&w);
}

TEST_MAIN(TEST(test_forms), TEST(test_memory_ends_with_the_epoch), TEST(test_memory_costs_no_hash),
	TEST(test_fallback), TEST(test_fallback_under_fire), TEST(test_throttled_user),
	TEST(test_a_known_phone_is_not_cut_off), TEST(test_throttled_address),
	TEST(test_lines_for_fail2ban), TEST(test_event_log), TEST(test_hashes),
	TEST(test_cache_is_bounded), TEST(test_counters), TEST(test_many_threads))
