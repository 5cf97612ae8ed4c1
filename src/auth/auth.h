#ifndef BELLHOP_AUTH_AUTH_H
#define BELLHOP_AUTH_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Who is asking: HTTP Basic credentials against the store (crypt(3), yescrypt for new ones; every
 * scheme of libxcrypt is read). Good credentials are remembered as a keyed hash (random key, in
 * memory only), with the user's epoch, so that a request costs no password hash; a changed password
 * or a disabled user changes the epoch and so ends the memory at once.
 *
 * Failures are counted per user and per address in a sliding window; over the limit nothing is
 * checked any more and the answer is AUTH_THROTTLED. Each failure is one log line, event
 * `login_failed`, with user= and address=, for fail2ban, and an event-log row (rate limited).
 * Unknown users cost as much time as known ones.
 *
 * Threads: any; blocks on crypt(3), so workers only.
 */
struct auth;

struct auth_options {
	uint32_t cache_ttl_s, cache_entries;
	uint32_t fail_limit_user, fail_limit_address, fail_window_s;
	const char *default_domain;
};

enum auth_result {
	AUTH_OK,
	AUTH_WRONG /* or none given */,
	AUTH_THROTTLED,
	AUTH_FAILED /* store trouble: err says */
};

struct auth *auth_new(struct store *store, const struct auth_options *options);
void auth_free(struct auth **auth);
void auth_set_options(struct auth *auth, const struct auth_options *options); /* reload */

/*
 * authorization: the header's value or NULL. The user's name may be user, user@domain, DOMAIN\user;
 * bytes are taken as UTF-8 and, when that fails, as ISO-8859-1 (Outlook). AUTH_OK sets *ret_user
 * (in the arena), disabled users included: the caller decides. *ret_expires_at: until when this
 * check may be relied upon (cache_ttl_s from now).
 */
enum auth_result auth_check_basic(struct auth *auth, const char *authorization, const char *address,
	struct arena *arena, struct user **ret_user, int64_t *ret_expires_at, struct err *err);

/* A new crypt(3) hash (yescrypt), heap string (mem_free). Slow by purpose. */
NODISCARD int auth_hash_password(const char *password, char **ret, struct err *err);

#endif
