/*
 * One login: parse the header, look the user up, ask the memory, ask crypt(3), count what failed.
 *
 * A request of a known phone costs a base64 decoding, two SipHashes and one lookup in the store,
 * a second one when its password looks like an app password (auth_secret.h);
 * the lookup also brings the user's epoch, which ends what was remembered. Over a limit nothing is
 * checked, with one exception: remembered credentials from the address that they came from last,
 * when that address has not failed for this user. So somebody else's guesses do not cut a phone
 * off, and guessing gains nothing by it.
 *
 * Threads: any. crypt(3) wants 16 MB and some ten milliseconds each time: HASHES_AT_ONCE run,
 * others wait and then ask the memory again, so that a herd of equal logins costs one hash. Limits:
 * cache_entries; the throttle's table.
 */
#include "auth/auth_internal.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth_secret.h"
#include "base/blocking.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define HASHES_AT_ONCE 4u
/* While phones must use app passwords, nobody looks at any other that they send, so these failures
 * give no guess away. They are counted apart: phones that were not told yet must not keep their
 * user from the page where he makes an app password. */
#define PHONES_APART   UINT64_C(0x6a09e667f3bcc908)
#define CREDENTIAL_OWN 0u /* the user's own password, in the memory of logins */

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
	char name[AUTH_LOGGED_NAME_BYTES + 1];

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

	l->user_key = key_of_user(l) ^ l->space;
	pair[0] = l->user_key;
	pair[1] = l->address_key;
	l->pair_key = siphash(l->auth->keys[2], pair, sizeof(pair));
}

/* ---- the check ---- */

/* By what is typed, in the snapshot where the user was found: what was revoked is gone at once. */
static int find_app(struct login *l, struct store_read *rd, struct err *err)
{
	char letters[AUTH_APP_LETTERS + 1], verifier[AUTH_VERIFIER_SIZE];
	int rc;

	if (l->kind != LOGIN_PHONE || l->options.app_passwords == AUTH_APPS_OFF ||
		!auth_app_parse(l->basic.password, letters))
		return 0;
	auth_app_verifier(l->user->id, letters, verifier);
	secret_wipe(letters, sizeof(letters));
	rc = store_app_password_find(rd, l->user->id, verifier, l->arena, &l->app, err);
	return rc == 0 || err->code == ERR_NOT_FOUND ? 0 : -1;
}

static int find_user(struct login *l, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(l->auth->store, &rd, err) < 0)
		return -1;
	if (store_user_find_login(
		    rd, l->basic.name, l->options.default_domain, l->arena, &l->user, err) == 0)
		return find_app(l, rd, err);
	l->user = NULL;
	return err->code == ERR_NOT_FOUND ? 0 : -1;
}

static bool find_entry(struct login *l, struct auth_cache_entry *ret)
{
	bool found;

	if (l->kind != LOGIN_PHONE)
		return false;
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

	if (expires_at <= l->now_at || l->kind != LOGIN_PHONE)
		return;
	(void)pthread_rwlock_rdlock(&l->auth->options_lock);
	auth_cache_put(l->auth->cache, &entry, l->now_at);
	(void)pthread_rwlock_unlock(&l->auth->options_lock);
}

static void enter_gate(struct auth *auth)
{
	/* Hashing is meant to take long: others go on meanwhile. */
	store_hold_end(auth->store);
	blocking_begin();
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
	blocking_end();
}

static bool user_over(struct login *l)
{
	return auth_over(l, l->user_key, l->options.fail_limit_user);
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
	if (is_over && (entry.address != l->address_key || auth_over(l, l->pair_key, 1)))
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

/* Nobody guesses an app password, so failures do not hold it up. It is remembered for the address
 * that it comes from, should that be flooded. */
static void pass_app(struct login *l)
{
	uint64_t credential = siphash(l->auth->keys[2], &l->app->id, sizeof(l->app->id)) | 1;
	struct auth_cache_entry entry;

	l->grant = (struct auth_grant){.user = l->user,
		.expires_at = l->now_at + l->options.cache_ttl_s,
		.verifier = l->app->verifier,
		.app_password = l->app};
	if (!remembered(l, credential, &entry) || entry.address != l->address_key)
		remember(l, credential, l->grant.expires_at);
}

static bool own_password_will_do(const struct login *l)
{
	return l->kind == LOGIN_WEB || l->options.app_passwords != AUTH_APPS_REQUIRED;
}

/* ---- the fallback ---- */

static bool fallback_fits(struct login *l, const char *verifier, bool proved)
{
	uint64_t pair[2] = {l->user_key, siphash(l->auth->keys[2], verifier, strlen(verifier))};
	uint64_t credential = pair[1] | 1, key = siphash(l->auth->keys[2], pair, sizeof(pair));
	struct auth_cache_entry entry;
	bool fits;

	if (remembered(l, credential, &entry))
		return true;
	if (!proved && auth_over(l, key, l->options.fail_limit_user))
		return false;
	enter_gate(l->auth); /* it may be a slow one */
	fits = auth_check_verifier(l->basic.password, verifier);
	leave_gate(l->auth);
	if (fits)
		remember(l, credential, l->now_at + l->options.cache_ttl_s);
	else if (!proved)
		(void)auth_throttle_add(
			l->auth->throttle, key, l->now_ms, l->options.fail_window_s);
	return fits;
}

/* The last resort of a login that is about to be refused. */
static bool pass_fallback(struct login *l)
{
	const char *verifier = NULL;
	bool proved = false;

	if (l->fallback != NULL && l->user != NULL)
		verifier = l->fallback->find(l->fallback->owner, l->user, l->arena, &proved);
	if (verifier == NULL || !fallback_fits(l, verifier, proved))
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
	return pass_fallback(l) ? AUTH_OK : auth_throttled(l, key);
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
	return auth_fail(l, l->user == NULL ? "unknown_user" : "password");
}

/* Name and password are known. */
static enum auth_result check_user(struct login *l, bool address_over, struct err *err)
{
	bool is_over;

	if (find_user(l, err) < 0)
		return AUTH_FAILED;
	set_user_keys(l);
	if (l->app != NULL) {
		pass_app(l);
		return AUTH_OK;
	}
	is_over = address_over || user_over(l);
	if (own_password_will_do(l) && pass_remembered(l, is_over))
		return AUTH_OK;
	if (is_over)
		return refuse_throttled(l, address_over ? l->address_key : l->user_key);
	if (own_password_will_do(l))
		return check_password(l);
	return pass_fallback(l) ? AUTH_OK : auth_fail(l, "no_app_password");
}

/* Of an address over its limit, nothing of which is remembered: only the fallback is asked, also
 * when the password is right. */
static enum auth_result check_flooding(struct login *l, struct err *err)
{
	if (l->fallback == NULL)
		return auth_throttled(l, l->address_key);
	if (find_user(l, err) < 0)
		return AUTH_FAILED;
	set_user_keys(l);
	return refuse_throttled(l, l->address_key);
}

static bool address_over(struct login *l)
{
	return auth_over(l, l->address_key, l->options.fail_limit_address);
}

static enum auth_result check_header(struct login *l, const char *authorization, struct err *err)
{
	enum auth_parse parsed = auth_basic_parse(l->arena, authorization, &l->basic);
	struct auth_cache_entry entry;
	bool is_over;

	if (parsed == AUTH_PARSE_NONE)
		return AUTH_WRONG;
	is_over = address_over(l);
	set_tag(l, authorization);
	/* A flood ends here, at the price of two or three rows, and without crypt(3). */
	if (is_over && parsed == AUTH_PARSE_BAD)
		return auth_throttled(l, l->address_key);
	if (parsed == AUTH_PARSE_BAD)
		return auth_fail(l, "malformed");
	if (is_over && !find_entry(l, &entry))
		return check_flooding(l, err);
	return check_user(l, is_over, err);
}

static void begin(struct login *l, struct auth *auth, enum login_kind kind, const char *address,
	struct arena *arena)
{
	*l = (struct login){.auth = auth,
		.arena = arena,
		.address = address == NULL ? "" : address,
		.kind = kind,
		.now_at = clock_now_at(),
		.now_ms = clock_now_ms()};
	(void)pthread_rwlock_rdlock(&auth->options_lock);
	l->options = auth->options;
	l->options.default_domain = arena_x_strdup(arena, auth->default_domain);
	(void)pthread_rwlock_unlock(&auth->options_lock);
	if (kind == LOGIN_PHONE && l->options.app_passwords == AUTH_APPS_REQUIRED)
		l->space = PHONES_APART;
	l->address_key = key_of_address(auth, l->address) ^ l->space;
}

enum auth_result auth_check_basic(struct auth *auth, const char *authorization, const char *address,
	const struct auth_fallback *fallback, struct arena *arena, struct auth_grant *ret,
	struct err *err)
{
	enum auth_result result;
	struct login l;

	begin(&l, auth, LOGIN_PHONE, address, arena);
	l.fallback = fallback;
	result = check_header(&l, authorization, err);
	if (result == AUTH_OK)
		*ret = l.grant;
	if (l.basic.password != NULL)
		secret_wipe((void *)(uintptr_t)l.basic.password, strlen(l.basic.password));
	return result;
}

enum auth_result auth_check_password(struct auth *auth, const char *name, const char *password,
	const char *address, struct arena *arena, struct auth_grant *ret, struct err *err)
{
	enum auth_result result;
	struct login l;

	begin(&l, auth, LOGIN_WEB, address, arena);
	l.basic = (struct auth_basic){name, password};
	if (address_over(&l))
		return auth_throttled(&l, l.address_key);
	result = check_user(&l, false, err);
	if (result == AUTH_OK && l.user->disabled)
		result = auth_fail(&l, "disabled");
	if (result == AUTH_OK)
		*ret = l.grant;
	return result;
}

void auth_refuse(struct auth *auth, const struct user *user, const char *address,
	struct arena *arena, const char *reason)
{
	struct login l;

	begin(&l, auth, LOGIN_PHONE, address, arena);
	l.user = (struct user *)(uintptr_t)user; /* only read */
	set_user_keys(&l);
	auth_fail_elsewhere(&l, reason);
}

/* ---- tokens ---- */

static int find_token(struct login *l, const char *secret, struct api_token **ret, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	char hash[AUTH_HASH_SIZE];

	auth_secret_hash(AUTH_API_TOKEN, secret, hash);
	*ret = NULL;
	if (store_read_begin(l->auth->store, &rd, err) < 0)
		return -1;
	if (store_token_find(rd, hash, l->arena, ret, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	if ((*ret)->owner.v != 0 && store_user_load(rd, (*ret)->owner, l->arena, &l->user, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	return 0;
}

enum auth_result auth_check_token(struct auth *auth, const char *secret, const char *address,
	struct arena *arena, struct auth_token *ret, struct err *err)
{
	struct api_token *token;
	struct login l;

	begin(&l, auth, LOGIN_TOKEN, address, arena);
	if (address_over(&l))
		return auth_throttled(&l, l.address_key);
	if (find_token(&l, secret, &token, err) < 0)
		return AUTH_FAILED;
	if (token == NULL)
		return auth_fail(&l, "token");
	if (token->expires_at != 0 && token->expires_at <= l.now_at)
		return auth_fail(&l, "token_expired");
	if (token->owner.v != 0 && (l.user == NULL || l.user->disabled))
		return auth_fail(&l, "disabled");
	*ret = (struct auth_token){token, l.user};
	return AUTH_OK;
}
