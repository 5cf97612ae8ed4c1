/* Sessions over time, through api_handle(), with a real store and a clock that stands still. */
#include <crypt.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

#define WALL_MS  INT64_C(1767323045678)
#define IDLE_S   600
#define MAX_S    1800
#define MINUTE_S 60

static struct {
	char dir[64];
	struct store *store;
	struct auth *auth;
	struct admin *admin;
	struct api *api;
	const struct settings *settings;
	struct owner_id anna;
	char cookie[256], csrf[128];
	struct arena *arena;
	struct api_reply reply;
} w;

static int add_anna(struct store_tx *tx, void *owner, struct err *err)
{
	if (store_domain_add(tx, "example.org", err) < 0)
		return -1;
	return store_user_add(tx, "anna", "example.org", "Anna", owner, 1000, &w.anna, err);
}

static void set(const char *name, const char *value)
{
	const struct settings *next, *old = w.settings;
	struct err err = ERR_INIT;

	REQUIRE_OK(settings_with(old, name, value, &next, &err), &err);
	w.settings = next;
	settings_unref(&old);
}

static void set_up(void)
{
	struct store_options options = {.data_dir = w.dir,
		.readers_max = 2,
		.group_max = 8,
		.body_inline_max = 131072,
		.cache_kib = 1024};
	const struct auth_options auth_options = {.cache_ttl_s = 10,
		.cache_entries = 16,
		.fail_limit_user = 10,
		.fail_limit_address = 100,
		.fail_window_s = 300,
		.default_domain = "example.org"};
	struct crypt_data *work = x_new(struct crypt_data);
	struct err err = ERR_INIT;

	(void)snprintf(w.dir, sizeof(w.dir), "/tmp/bellhop-api-XXXXXX");
	REQUIRE(mkdtemp(w.dir) != NULL);
	clock_fake_set(WALL_MS, 1000);
	REQUIRE_OK(store_open(&options, &w.store, &err), &err);
	REQUIRE_OK(
		store_transact(w.store, add_anna,
			crypt_rn("secret", "$5$rounds=1000$saltsalt", work, sizeof(*work)), &err),
		&err);
	mem_free(work);
	w.auth = auth_new(w.store, &auth_options);
	w.admin = admin_new(&(struct admin_options){.store = w.store, .control_fd = -1});
	w.api = api_new(&(struct api_options){.store = w.store, .auth = w.auth, .admin = w.admin});
	w.settings = settings_default();
	set("web.session_idle_s", "600");
	set("web.session_max_s", "1800");
	w.cookie[0] = w.csrf[0] = '\0';
}

static int unlink_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void tear_down(void)
{
	api_stream_free(&w.reply.stream);
	buf_deinit(&w.reply.body);
	arena_free(&w.arena);
	api_free(&w.api);
	admin_free(&w.admin);
	auth_free(&w.auth);
	store_close(&w.store);
	settings_unref(&w.settings);
	clock_fake_off();
	(void)nftw(w.dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The status. The reply stays in w. */
static int ask(const char *method, const char *target, const char *body)
{
	struct ipc_request http = {.method = method,
		.target = target,
		.address = "192.0.2.1",
		.body = (const uint8_t *)body,
		.body_len = strlen(body)};

	api_stream_free(&w.reply.stream);
	buf_deinit(&w.reply.body);
	w.reply = (struct api_reply){0};
	arena_free(&w.arena);
	w.arena = arena_new(0);
	http.headers[http.header_count++] = (struct ipc_header){"host", "mail.example.org"};
	http.headers[http.header_count++] = (struct ipc_header){"content-type", "application/json"};
	if (w.cookie[0] != '\0')
		http.headers[http.header_count++] = (struct ipc_header){"cookie", w.cookie};
	if (w.csrf[0] != '\0')
		http.headers[http.header_count++] = (struct ipc_header){"x-csrf-token", w.csrf};
	api_handle(w.api, w.settings, &http, w.arena, &w.reply);
	return w.reply.status;
}

static void sign_in(void)
{
	const char *set_cookie;
	json_t *answer;

	REQUIRE(ask("POST", "/api/v1/session",
			"{\"address\":\"anna@example.org\",\"password\":\"secret\"}") == 200);
	set_cookie = ipc_header_find(w.reply.headers, w.reply.header_count, "Set-Cookie");
	REQUIRE(set_cookie != NULL);
	(void)snprintf(
		w.cookie, sizeof(w.cookie), "%.*s", (int)strcspn(set_cookie, ";"), set_cookie);
	answer = json_loadb((char *)w.reply.body.data, w.reply.body.len, 0, NULL);
	(void)snprintf(
		w.csrf, sizeof(w.csrf), "%s", json_string_value(json_object_get(answer, "csrf")));
	json_decref(answer);
}

static void pass(int64_t seconds)
{
	clock_fake_advance_ms(seconds * 1000);
}

static void test_idle(void)
{
	set_up();
	CHECK_INT(ask("GET", "/api/v1/me", ""), 401);
	sign_in();
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	pass(IDLE_S - 1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200); /* which begins the time anew */
	pass(IDLE_S - 1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	pass(IDLE_S);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 401);
	tear_down();
}

static void test_in_all(void)
{
	set_up();
	sign_in();
	for (int i = 0; i < MAX_S / MINUTE_S - 1; i++) {
		pass(MINUTE_S);
		CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	}
	pass(MINUTE_S - 1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	pass(1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 401);
	tear_down();
}

/* What the configuration says now counts, also for a session that began under another one. */
static void test_shorter_times(void)
{
	set_up();
	sign_in();
	pass(300);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	set("web.session_max_s", "240");
	CHECK_INT(ask("GET", "/api/v1/me", ""), 401);
	set("web.session_max_s", "1800");
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	tear_down();
}

/* Being seen is written down once in a minute at most: a page that asks all the time costs no
 * writes. */
static int64_t last_seen(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct web_session *sessions;
	struct store_read *rd;
	struct err err = ERR_INIT;
	size_t count;

	REQUIRE_OK(store_read_begin(w.store, &rd, &err), &err);
	REQUIRE_OK(store_session_list(rd, w.anna, clock_now_at(), arena, &sessions, &count, &err),
		&err);
	store_read_end(&rd);
	REQUIRE(count == 1);
	return sessions[0].last_seen_at;
}

static void test_few_writes(void)
{
	int64_t begun_at;

	set_up();
	sign_in();
	begun_at = last_seen();
	pass(MINUTE_S - 1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	CHECK_INT(last_seen(), begun_at);
	pass(1);
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	CHECK_INT(last_seen(), begun_at + MINUTE_S);
	tear_down();
}

/* Nothing of what opens a session lies in the store. */
static void test_only_hashes_are_kept(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct web_session *sessions;
	struct store_read *rd;
	struct err err = ERR_INIT;
	size_t count;

	set_up();
	sign_in();
	REQUIRE_OK(store_read_begin(w.store, &rd, &err), &err);
	REQUIRE_OK(store_session_list(rd, w.anna, clock_now_at(), arena, &sessions, &count, &err),
		&err);
	store_read_end(&rd);
	CHECK(strstr(w.cookie, sessions[0].hash) == NULL &&
		strstr(sessions[0].hash, w.cookie + 8) == NULL);
	tear_down();
}

static void test_ready(void)
{
	set_up();
	CHECK_INT(ask("GET", "/readyz", ""), 200);
	CHECK_INT(ask("GET", "/metrics", ""), 401);
	CHECK_INT(ask("GET", "/metrics", ""), 401);
	set("metrics.networks", "192.0.2.0/24");
	CHECK_INT(ask("GET", "/metrics", ""), 404); /* nobody counts here */
	tear_down();
}

/* A transaction takes no lock, and makes no call that gives the processor away. */
struct gate {
	atomic_bool entered, open;
};

/* A transaction that lasts, as one does while another program keeps the database to itself. */
static int wait_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct gate *gate = owner;

	(void)tx;
	(void)err;
	atomic_store(&gate->entered, true);
	while (!atomic_load(&gate->open))
		;
	return 0;
}

static void *keep_the_store(void *gate)
{
	struct err err = ERR_INIT;

	CHECK_INT(store_transact(w.store, wait_tx, gate, &err), 0);
	return NULL;
}

static void *ask_ready(void *ret_status)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct ipc_request http = {
		.method = "GET", .target = "/readyz", .address = "192.0.2.2"};
	struct api_reply reply = {0};

	api_handle(w.api, w.settings, &http, arena, &reply);
	*(int *)ret_status = reply.status;
	buf_deinit(&reply.body);
	return NULL;
}

static bool is_probing(void)
{
	bool probing;

	(void)pthread_mutex_lock(&w.api->lock);
	probing = w.api->probing;
	(void)pthread_mutex_unlock(&w.api->lock);
	return probing;
}

/* One looks; the others do not stand behind it, nor does anybody who has a session. */
static void test_ready_while_the_store_waits(void)
{
	struct gate gate = {false, false};
	pthread_t keeper, looker;
	int status = 0;

	set_up();
	sign_in();
	CHECK_INT(ask("GET", "/readyz", ""), 200);
	pass(2);
	REQUIRE(pthread_create(&keeper, NULL, keep_the_store, &gate) == 0);
	while (!atomic_load(&gate.entered))
		(void)sched_yield();
	REQUIRE(pthread_create(&looker, NULL, ask_ready, &status) == 0);
	while (!is_probing())
		(void)sched_yield();
	CHECK_INT(ask("GET", "/readyz", ""), 200); /* as it was last */
	pass(1);
	CHECK_INT(ask("GET", "/readyz", ""), 503); /* it takes too long */
	CHECK_INT(ask("GET", "/api/v1/me", ""), 200);
	CHECK(is_probing());
	atomic_store(&gate.open, true);
	(void)pthread_join(looker, NULL);
	(void)pthread_join(keeper, NULL);
	CHECK_INT(status, 200);
	CHECK_INT(ask("GET", "/readyz", ""), 200);
	tear_down();
}

TEST_MAIN(TEST(test_idle), TEST(test_in_all), TEST(test_shorter_times), TEST(test_few_writes),
	TEST(test_only_hashes_are_kept), TEST(test_ready), TEST(test_ready_while_the_store_waits))
