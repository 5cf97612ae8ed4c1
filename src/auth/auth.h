#ifndef BELLHOP_AUTH_AUTH_H
#define BELLHOP_AUTH_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/store_credential.h"

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

/* What phones log in with. The web pages take the user's own password, always. */
enum auth_apps {
	AUTH_APPS_ALLOWED, /* app passwords or the user's own */
	AUTH_APPS_REQUIRED,
	AUTH_APPS_OFF,
};

struct auth_options {
	uint32_t cache_ttl_s, cache_entries;
	uint32_t fail_limit_user, fail_limit_address, fail_window_s;
	const char *default_domain;
	enum auth_apps app_passwords;
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

/* What a good login gives. Everything lies in the request's arena. */
struct auth_grant {
	struct user *user;  /* disabled ones included: the caller decides */
	int64_t expires_at; /* until when this check may be relied upon (cache_ttl_s from it) */
	/*
	 * What accepted the password: a crypt(3) hash, or an app password's hash. Durable: kept
	 * somewhere, it accepts the same password later, whatever became of user and app password
	 * since (struct auth_fallback). Never NULL.
	 */
	const char *verifier;
	/*
	 * NULL: the user's own password. Else the caller, who knows the device, sees to it that it
	 * is the one that the app password is bound to.
	 */
	const struct app_password *app_password;
	bool by_fallback; /* only the fallback accepted it: good for nothing else */
};

/*
 * What may still be accepted when the user's passwords do not fit, or nobody looks at them any more
 * because of failures: the verifier that a device with a pending wipe was last let in by, so that
 * a wipe reaches it after the password was changed. A password that fits it is no failure: nothing
 * is counted and nothing told. No limit on the user or on the address keeps it from being asked, so
 * that others who fail, also behind the same address, do not hold a wipe up. Guesses against it
 * have a limit of their own, fail_limit_user for all addresses together, which somebody could use
 * up on purpose: who has proved by something else to be that device is under none.
 */
struct auth_fallback {
	/* The verifier for this user, in the arena; NULL: there is none. *ret_proved: the request
	 * has something that only the device knows and nobody can guess. Called at most once, on
	 * the same thread, and only when all else has failed; may read the store. */
	const char *(*find)(
		void *owner, const struct user *user, struct arena *arena, bool *ret_proved);
	/* For the event log: which device of the user's it is that fails. In the arena; both stay
	 * as they are when it is none that is known: a stranger's words are not kept. NULL: nobody
	 * knows. Same thread; may read the store. */
	void (*find_device)(void *owner, const struct user *user, struct arena *arena,
		const char **ret_id, const char **ret_type);
	void *owner;
};

/*
 * authorization: the header's value or NULL. The user's name may be user, user@domain, DOMAIN\user;
 * bytes are taken as UTF-8 and, when that fails, as ISO-8859-1 (Outlook). fallback: NULL for none.
 * AUTH_OK sets *ret.
 */
enum auth_result auth_check_basic(struct auth *auth, const char *authorization, const char *address,
	const struct auth_fallback *fallback, struct arena *arena, struct auth_grant *ret,
	struct err *err);

/* Does the password fit a verifier of a struct auth_grant? Slow for a crypt(3) hash. Counts and
 * remembers nothing: for a request, give auth_check_basic() a fallback instead. */
bool auth_check_verifier(const char *password, const char *verifier);

/*
 * A sign-in on the web pages: the user's own password, never an app password; of disabled users
 * none. Failures count together with those of phones, from the same address and of the same user;
 * nothing is remembered.
 */
enum auth_result auth_check_password(struct auth *auth, const char *name, const char *password,
	const char *address, struct arena *arena, struct auth_grant *ret, struct err *err);

/* What let this user in is not for this device: told like a failure, and counted for the address.
 */
void auth_refuse(struct auth *auth, const struct user *user, const char *address,
	struct arena *arena, const char *reason);

/* An API token and the user on whose behalf it is; NULL: the administrator of the machine. */
struct auth_token {
	const struct api_token *token;
	const struct user *user;
};
/* secret: what stands behind "Bearer ". Failures count for the address. The caller notes the use
 * (store_token_used()). */
enum auth_result auth_check_token(struct auth *auth, const char *secret, const char *address,
	struct arena *arena, struct auth_token *ret, struct err *err);

/* A new crypt(3) hash (yescrypt), heap string (mem_free). Slow by purpose. */
NODISCARD int auth_hash_password(const char *password, char **ret, struct err *err);

#endif
