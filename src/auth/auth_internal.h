#ifndef BELLHOP_AUTH_AUTH_INTERNAL_H
#define BELLHOP_AUTH_AUTH_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "store/ids.h"
#include "store/store_credential.h"

/* What the files of this room share. */

/* ---- auth_basic.c: the header ---- */
struct auth_basic {
	const char *name, *password; /* UTF-8, in the arena */
};

enum auth_parse {
	AUTH_PARSE_NONE /* no header, or another scheme */,
	AUTH_PARSE_BAD,
	AUTH_PARSE_GOOD
};

enum auth_parse auth_basic_parse(
	struct arena *arena, const char *authorization, struct auth_basic *ret);

/* ---- auth_cache.c: good credentials ---- */
/*
 * A set-associative table of fixed size: a tag belongs to one set of eight entries, the least
 * recently used of which makes room. Threads: any.
 */
struct auth_cache;

struct auth_tag {
	uint64_t a, b; /* two SipHashes with keys of their own */
};

struct auth_cache_entry {
	struct auth_tag tag; /* of the header's bytes */
	struct owner_id owner;
	uint64_t epoch; /* of the user when the password was checked */
	/* Hash of what accepted it: 0: the user's own password; else an app password's id, or a
	 * fallback's verifier. */
	uint64_t credential;
	int64_t expires_at;
	uint64_t address; /* hash of the address that logged in last */
	uint64_t used;    /* order of use; 0: free */
};

struct auth_cache *auth_cache_new(uint32_t entries);
void auth_cache_free(struct auth_cache **cache);
/* Copies the entry out; false when there is none that is good at now_at. */
bool auth_cache_find(struct auth_cache *cache, const struct auth_tag *tag, int64_t now_at,
	struct auth_cache_entry *ret);
/* Puts or replaces; `used` is the cache's own. */
void auth_cache_put(struct auth_cache *cache, const struct auth_cache_entry *entry, int64_t now_at);

/* ---- auth_throttle.c: failures in a sliding window ---- */
/*
 * Counters in a table of fixed size (about 1 MB); when a set is full, the counter with the fewest
 * failures makes room, so a flood of other names cannot wash out one that is at its limit. Threads:
 * any.
 */
struct auth_throttle;

struct auth_throttle *auth_throttle_new(void);
void auth_throttle_free(struct auth_throttle **throttle);
/* Failures of that key in the window that ends now. */
uint32_t auth_throttle_count(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s);
/* One more; returns the count before it. */
uint32_t auth_throttle_add(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s);
/* True once per key and window: for saying that it is over the limit. */
bool auth_throttle_tell(
	struct auth_throttle *throttle, uint64_t key, int64_t now_ms, uint32_t window_s);

/* ---- auth_password.c: crypt(3) ---- */
/*
 * True when the password fits the hash. Slow by purpose, and hungry (16 MB for yescrypt). An empty
 * or locked hash fits nothing.
 */
bool auth_password_fits(const char *password, const char *hash);

/* ---- auth.c and auth_failure.c: a login ---- */

#define AUTH_LOGGED_NAME_BYTES 128u

enum login_kind {
	LOGIN_PHONE, /* HTTP Basic, app passwords too, as auth.app_passwords says */
	LOGIN_WEB,   /* the user's own password alone */
	LOGIN_TOKEN, /* an API token: no user's name */
};

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

/* One login on its way. The tag is that of the Authorization header; LOGIN_WEB has none, and is
 * not remembered. */
struct login {
	struct auth *auth;
	struct arena *arena;
	const char *address;
	const struct auth_fallback *fallback; /* NULL: none */
	struct auth_options options;
	enum login_kind kind;
	struct auth_basic basic;
	struct auth_tag tag;
	struct user *user;        /* NULL: unknown */
	struct app_password *app; /* the password is this one; NULL: none of the user's */
	uint64_t space;           /* in which the keys count */
	uint64_t address_key, user_key, pair_key;
	int64_t now_at, now_ms;
	struct auth_grant grant; /* filled in when it is good */
};

/* One failure more: counted and told. AUTH_WRONG. */
enum auth_result auth_fail(struct login *l, const char *reason);
/* The same, but nothing is counted against the user. */
void auth_fail_elsewhere(struct login *l, const char *reason);
bool auth_over(struct login *l, uint64_t key, uint32_t limit);
/* Told once for each window. AUTH_THROTTLED. */
enum auth_result auth_throttled(struct login *l, uint64_t key);

#endif
