/*
 * One login: parse the header, look the user up, ask the memory, ask crypt(3), count what failed.
 *
 * A request of a known phone costs a base64 decoding, two SipHashes and one lookup in the store;
 * the lookup also brings the user's epoch, which ends what was remembered. Over a limit nothing is
 * checked, with one exception: remembered credentials from the address that they came from last,
 * when that address has not failed for this user. So somebody else's guesses do not cut a phone
 * off, and guessing gains nothing by it.
 *
 * Threads: any. crypt(3) wants 16 MB and some ten milliseconds each time: HASHES_AT_ONCE run,
 * others wait and then ask the memory again, so that a herd of equal logins costs one hash. Limits:
 * cache_entries; the throttle's table; LOG_ROWS_PER_MINUTE rows in the event log.
 */
#include "auth/auth_internal.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define HASHES_AT_ONCE      4u
#define LOG_ROWS_PER_MINUTE 60u
#define LOGGED_NAME_BYTES   128u
#define CREDENTIAL_OWN      0u /* the user's own password, in the memory of logins */

struct auth {
	struct store *store;
	uint8_t keys[4][16]; /* SipHash: two for tags, one for names, one for addresses */
	char *nobody_hash;   /* what the password of an unknown user is checked against */
	struct auth_throttle *throttle;

	pthread_rwlock_t options_lock; /* options, default_domain, cache */
	struct auth_options options;
	char *default_domain;
	struct auth_cache *cache;

	pthread_mutex_t gate_lock;
	pthread_cond_t gate_opened;
	unsigned hashing;

	pthread_mutex_t rows_lock; /* event-log rows of this minute */
	int64_t rows_minute;
	unsigned rows;
};

/* One login on its way. */
struct login {
	struct auth *auth;
	struct arena *arena;
	const char *address;
	const struct auth_fallback *fallback; /* NULL: none */
	struct auth_options options;
	struct auth_basic basic;
	struct auth_tag tag;
	struct user *user; /* NULL: unknown */
	uint64_t address_key, user_key, pair_key;
	int64_t now_at, now_ms;
	struct auth_grant grant; /* filled in when it is good */
};

static void free_options(struct auth *auth)
{
	auth_cache_free(&auth->cache);
	mem_free(auth->default_domain);
}

static void take_options(struct auth *auth, const struct auth_options *options)
{
	bool same_size =
		auth->cache != NULL && auth->options.cache_entries == options->cache_entries;

	if (!same_size) {
		auth_cache_free(&auth->cache);
		auth->cache = auth_cache_new(options->cache_entries);
	}
	mem_free(auth->default_domain);
	auth->default_domain =
		x_strdup(options->default_domain == NULL ? "" : options->default_domain);
	auth->options = *options;
	auth->options.default_domain = auth->default_domain;
}

struct auth *auth_new(struct store *store, const struct auth_options *options)
{
	struct auth *auth = x_new(struct auth);
	struct err err = ERR_INIT;
	char secret[33];

	auth->store = store;
	random_bytes(auth->keys, sizeof(auth->keys));
	auth->throttle = auth_throttle_new();
	(void)pthread_rwlock_init(&auth->options_lock, NULL);
	(void)pthread_mutex_init(&auth->gate_lock, NULL);
	(void)pthread_cond_init(&auth->gate_opened, NULL);
	(void)pthread_mutex_init(&auth->rows_lock, NULL);
	take_options(auth, options);
	/* Of a password that nobody knows. Without yescrypt unknown users would be told by time
	 * alone. */
	random_bytes(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (char)('A' + ((uint8_t)secret[i] & 15));
	secret[sizeof(secret) - 1] = 0;
	if (auth_hash_password(secret, &auth->nobody_hash, &err) < 0)
		auth->nobody_hash = NULL;
	return auth;
}

void auth_free(struct auth **auth)
{
	if (*auth == NULL)
		return;
	free_options(*auth);
	auth_throttle_free(&(*auth)->throttle);
	(void)pthread_rwlock_destroy(&(*auth)->options_lock);
	(void)pthread_mutex_destroy(&(*auth)->gate_lock);
	(void)pthread_cond_destroy(&(*auth)->gate_opened);
	(void)pthread_mutex_destroy(&(*auth)->rows_lock);
	mem_free((*auth)->nobody_hash);
	secret_wipe((*auth)->keys, sizeof((*auth)->keys));
	mem_free(*auth);
	*auth = NULL;
}

void auth_set_options(struct auth *auth, const struct auth_options *options)
{
	(void)pthread_rwlock_wrlock(&auth->options_lock);
	take_options(auth, options);
	(void)pthread_rwlock_unlock(&auth->options_lock);
}

/* ---- keys ---- */

/* An IPv6 client has a whole /64 at its hands. */
static uint64_t key_of_address(const struct auth *auth, const char *address)
{
	struct in6_addr ip6;

	if (inet_pton(AF_INET6, address, &ip6) == 1)
		return siphash(auth->keys[3], &ip6, 8);
	return siphash(auth->keys[3], address, strlen(address));
}

/* The user by id, so that all names of one user count together; unknown ones by what was typed. */
static uint64_t key_of_user(const struct login *l)
{
	char name[LOGGED_NAME_BYTES + 1];

	if (l->user != NULL)
		return siphash(l->auth->keys[2], &l->user->id, sizeof(l->user->id));
	(void)snprintf(name, sizeof(name), "%s", l->basic.name);
	(void)str_lower(name);
	return siphash(l->auth->keys[2], name, strlen(name));
}

static void set_tag(struct login *l, const char *authorization)
{
	l->tag.a = siphash(l->auth->keys[0], authorization, strlen(authorization));
	l->tag.b = siphash(l->auth->keys[1], authorization, strlen(authorization));
}

static void set_user_keys(struct login *l)
{
	uint64_t pair[2];

	l->user_key = key_of_user(l);
	pair[0] = l->user_key;
	pair[1] = l->address_key;
	l->pair_key = siphash(l->auth->keys[2], pair, sizeof(pair));
}

/* ---- what is told ---- */

static int add_row(struct store_tx *tx, void *owner, struct err *err)
{
	return store_log_add(tx, owner, err);
}

static bool row_allowed(struct login *l)
{
	int64_t minute = l->now_ms / 60000;
	bool allowed;

	(void)pthread_mutex_lock(&l->auth->rows_lock);
	if (l->auth->rows_minute != minute)
		l->auth->rows = 0;
	l->auth->rows_minute = minute;
	allowed = l->auth->rows < LOG_ROWS_PER_MINUTE;
	l->auth->rows += allowed;
	(void)pthread_mutex_unlock(&l->auth->rows_lock);
	return allowed;
}

/* The line is for fail2ban (packaging/fail2ban/bellhop.conf); the row for the administrator. */
static void tell(struct login *l, const char *reason, bool with_row)
{
	const char *typed = l->basic.name == NULL ? "" : l->basic.name;
	char name[LOGGED_NAME_BYTES + 1];
	struct log_context lc = {.user = name, .address = l->address};
	struct log_row row = {.at = l->now_at,
		.actor = "server",
		.user = name,
		.address = l->address,
		.device_id = "",
		.device_type = "",
		.action = "login_failed",
		.result = reason};
	struct err err = ERR_INIT;

	(void)snprintf(name, sizeof(name), "%.*s",
		(int)utf8_floor(typed, strlen(typed), LOGGED_NAME_BYTES), typed);
	log_info(&lc, "login_failed", F_STR("reason", reason));
	if (!with_row || !row_allowed(l))
		return;
	if (store_transact(l->auth->store, add_row, &row, &err) < 0)
		log_debug(&lc, "login_row_finished", F_STR("result", err_code_to_str(err.code)));
}

static enum auth_result fail(struct login *l, const char *reason)
{
	uint32_t window_s = l->options.fail_window_s;
	bool first = auth_throttle_add(l->auth->throttle, l->address_key, l->now_ms, window_s) == 0;

	if (l->basic.name != NULL) {
		(void)auth_throttle_add(l->auth->throttle, l->user_key, l->now_ms, window_s);
		first = auth_throttle_add(l->auth->throttle, l->pair_key, l->now_ms, window_s) == 0;
	}
	tell(l, reason, first);
	return AUTH_WRONG;
}

static bool over(struct login *l, uint64_t key, uint32_t limit)
{
	return auth_throttle_count(l->auth->throttle, key, l->now_ms, l->options.fail_window_s) >=
	       limit;
}

static enum auth_result throttled(struct login *l, uint64_t key)
{
	/* Once: the failures before it have been told one by one. */
	if (auth_throttle_tell(l->auth->throttle, key, l->now_ms, l->options.fail_window_s))
		tell(l, "throttled", true);
	return AUTH_THROTTLED;
}

/* ---- the check ---- */

static int find_user(struct login *l, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(l->auth->store, &rd, err) < 0)
		return -1;
	if (store_user_find_login(
		    rd, l->basic.name, l->options.default_domain, l->arena, &l->user, err) == 0)
		return 0;
	l->user = NULL;
	return err->code == ERR_NOT_FOUND ? 0 : -1;
}

static bool find_entry(struct login *l, struct auth_cache_entry *ret)
{
	bool found;

	(void)pthread_rwlock_rdlock(&l->auth->options_lock);
	found = auth_cache_find(l->auth->cache, &l->tag, l->now_at, ret);
	(void)pthread_rwlock_unlock(&l->auth->options_lock);
	return found;
}

/* Remembered as accepted by that credential, and nothing happened to the user since. */
static bool remembered(struct login *l, uint64_t credential, struct auth_cache_entry *ret)
{
	return find_entry(l, ret) && l->user != NULL && ret->owner.v == l->user->id.v &&
	       ret->epoch == l->user->epoch && ret->credential == credential;
}

static void remember(struct login *l, uint64_t credential, int64_t expires_at)
{
	struct auth_cache_entry entry = {.tag = l->tag,
		.owner = l->user->id,
		.epoch = l->user->epoch,
		.credential = credential,
		.expires_at = expires_at,
		.address = l->address_key};

	if (expires_at <= l->now_at)
		return;
	(void)pthread_rwlock_rdlock(&l->auth->options_lock);
	auth_cache_put(l->auth->cache, &entry, l->now_at);
	(void)pthread_rwlock_unlock(&l->auth->options_lock);
}

static void enter_gate(struct auth *auth)
{
	(void)pthread_mutex_lock(&auth->gate_lock);
	while (auth->hashing >= HASHES_AT_ONCE)
		(void)pthread_cond_wait(&auth->gate_opened, &auth->gate_lock);
	auth->hashing++;
	(void)pthread_mutex_unlock(&auth->gate_lock);
}

static void leave_gate(struct auth *auth)
{
	(void)pthread_mutex_lock(&auth->gate_lock);
	auth->hashing--;
	(void)pthread_cond_signal(&auth->gate_opened);
	(void)pthread_mutex_unlock(&auth->gate_lock);
}

static bool user_over(struct login *l)
{
	return over(l, l->user_key, l->options.fail_limit_user);
}

static void grant_own(struct login *l, int64_t expires_at)
{
	l->grant = (struct auth_grant){
		.user = l->user, .expires_at = expires_at, .verifier = l->user->password_hash};
}

/* True: let in from memory. */
static bool pass_remembered(struct login *l, bool is_over)
{
	struct auth_cache_entry entry;

	if (!remembered(l, CREDENTIAL_OWN, &entry))
		return false;
	if (is_over && (entry.address != l->address_key || over(l, l->pair_key, 1)))
		return false;
	if (entry.address != l->address_key)
		remember(l, CREDENTIAL_OWN, entry.expires_at); /* from here, now */
	grant_own(l, entry.expires_at);
	return true;
}

enum verdict { VERDICT_FITS, VERDICT_REMEMBERED, VERDICT_WRONG, VERDICT_OVER };

/* Others may have answered the question, or failed too often, while this one waited at the gate. */
static enum verdict ask_crypt(struct login *l)
{
	bool fits;

	if (user_over(l))
		return VERDICT_OVER;
	if (pass_remembered(l, false))
		return VERDICT_REMEMBERED;
	fits = auth_password_fits(
		l->basic.password, l->user == NULL ? l->auth->nobody_hash : l->user->password_hash);
	return fits && l->user != NULL ? VERDICT_FITS : VERDICT_WRONG;
}

/* ---- the fallback ---- */

static bool fallback_fits(struct login *l, const char *verifier)
{
	uint64_t pair[2] = {l->user_key, siphash(l->auth->keys[2], verifier, strlen(verifier))};
	uint64_t credential = pair[1] | 1, key = siphash(l->auth->keys[2], pair, sizeof(pair));
	struct auth_cache_entry entry;
	bool fits;

	if (remembered(l, credential, &entry))
		return true;
	if (over(l, key, l->options.fail_limit_user))
		return false;
	enter_gate(l->auth);
	fits = auth_check_verifier(l->basic.password, verifier);
	leave_gate(l->auth);
	if (fits)
		remember(l, credential, l->now_at + l->options.cache_ttl_s);
	else
		(void)auth_throttle_add(
			l->auth->throttle, key, l->now_ms, l->options.fail_window_s);
	return fits;
}

/* The last resort of a login that is about to be refused. */
static bool pass_fallback(struct login *l)
{
	const char *verifier = NULL;

	if (l->fallback != NULL && l->user != NULL)
		verifier = l->fallback->find(l->fallback->owner, l->user, l->arena);
	if (verifier == NULL || !fallback_fits(l, verifier))
		return false;
	l->grant = (struct auth_grant){.user = l->user,
		.expires_at = l->now_at,
		.verifier = verifier,
		.by_fallback = true};
	return true;
}

/* ---- the whole of it ---- */

static enum auth_result refuse_throttled(struct login *l, uint64_t key)
{
	return pass_fallback(l) ? AUTH_OK : throttled(l, key);
}

static enum auth_result check_password(struct login *l)
{
	enum verdict verdict;

	enter_gate(l->auth);
	verdict = ask_crypt(l);
	leave_gate(l->auth);
	switch (verdict) {
	case VERDICT_FITS:
		grant_own(l, l->now_at + l->options.cache_ttl_s);
		remember(l, CREDENTIAL_OWN, l->grant.expires_at);
		return AUTH_OK;
	case VERDICT_REMEMBERED:
		return AUTH_OK;
	case VERDICT_OVER:
		return refuse_throttled(l, l->user_key);
	case VERDICT_WRONG:
		break;
	}
	if (pass_fallback(l))
		return AUTH_OK;
	return fail(l, l->user == NULL ? "unknown_user" : "password");
}

static enum auth_result check(struct login *l, const char *authorization, struct err *err)
{
	enum auth_parse parsed = auth_basic_parse(l->arena, authorization, &l->basic);
	bool address_over, is_over;
	struct auth_cache_entry entry;

	if (parsed == AUTH_PARSE_NONE)
		return AUTH_WRONG;
	address_over = over(l, l->address_key, l->options.fail_limit_address);
	set_tag(l, authorization);
	/* A flood ends here, before the store. */
	if (address_over && (parsed == AUTH_PARSE_BAD || !find_entry(l, &entry)))
		return throttled(l, l->address_key);
	if (parsed == AUTH_PARSE_BAD)
		return fail(l, "malformed");
	if (find_user(l, err) < 0)
		return AUTH_FAILED;
	set_user_keys(l);
	is_over = address_over || user_over(l);
	if (pass_remembered(l, is_over))
		return AUTH_OK;
	if (is_over)
		return refuse_throttled(l, address_over ? l->address_key : l->user_key);
	return check_password(l);
}

enum auth_result auth_check_basic(struct auth *auth, const char *authorization, const char *address,
	const struct auth_fallback *fallback, struct arena *arena, struct auth_grant *ret,
	struct err *err)
{
	struct login l = {.auth = auth,
		.arena = arena,
		.address = address == NULL ? "" : address,
		.fallback = fallback,
		.now_at = clock_now_at(),
		.now_ms = clock_now_ms()};
	enum auth_result result;

	l.address_key = key_of_address(auth, l.address);
	(void)pthread_rwlock_rdlock(&auth->options_lock);
	l.options = auth->options;
	l.options.default_domain = arena_x_strdup(arena, auth->default_domain);
	(void)pthread_rwlock_unlock(&auth->options_lock);
	result = check(&l, authorization, err);
	if (result == AUTH_OK)
		*ret = l.grant;
	if (l.basic.password != NULL)
		secret_wipe((void *)(uintptr_t)l.basic.password, strlen(l.basic.password));
	return result;
}
