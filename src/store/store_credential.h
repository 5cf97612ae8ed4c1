#ifndef BELLHOP_STORE_CREDENTIAL_H
#define BELLHOP_STORE_CREDENTIAL_H

#include "store/store.h"

/*
 * What lets somebody in beside the user's own password: app passwords of phones, API tokens of
 * scripts, sessions of web browsers. None of the secrets is kept: rows hold hashes, which
 * auth/auth_secret.h makes, and are found by them.
 *
 * Times are wall-clock seconds; 0: never. Results lie in the arena. Reading functions take a
 * snapshot, changing ones a transaction, as all of store/store.h.
 */

/* ---- app passwords ---- */
enum { STORE_APP_NAME_MAX = 64 };

enum app_binding {
	APP_UNBOUND = 0,   /* any device of the user */
	APP_FIRST_USE = 1, /* becomes APP_BOUND to the first device that uses it */
	APP_BOUND = 2,     /* to device_id alone */
};

struct app_password {
	struct owner_id owner;
	uint64_t id;
	const char *name;
	const char *verifier; /* "$bellhop-app$..." */
	enum app_binding binding;
	const char *device_id; /* of APP_BOUND; else "" */
	int64_t created_at;
	const char *created_by; /* actor, as the event log names it */
	int64_t last_used_at;
	const char *last_device_id, *last_address; /* of the last use; "" */
};

/* By the whole verifier. ERR_NOT_FOUND. */
NODISCARD int store_app_password_find(struct store_read *rd, struct owner_id owner,
	const char *verifier, struct arena *arena, struct app_password **ret, struct err *err);
NODISCARD int store_app_password_load(struct store_read *rd, struct owner_id owner, uint64_t id,
	struct arena *arena, struct app_password **ret, struct err *err);
/* The owner's, oldest first. */
NODISCARD int store_app_password_list(struct store_read *rd, struct owner_id owner,
	struct arena *arena, struct app_password **ret, size_t *ret_count, struct err *err);
/* id is set by it. ERR_CONFLICT: the owner has one of that name. ERR_QUOTA: he has max already. */
NODISCARD int store_app_password_add(
	struct store_tx *tx, struct app_password *app, size_t max, struct err *err);
/* One that is bound at first use becomes bound. ERR_CONFLICT: it is bound to another device. */
NODISCARD int store_app_password_bind(struct store_tx *tx, struct owner_id owner, uint64_t id,
	const char *device_id, struct err *err);
NODISCARD int store_app_password_used(struct store_tx *tx, struct owner_id owner, uint64_t id,
	const char *device_id, const char *address, int64_t now_at, struct err *err);
/* Waiting phones of the owner are looked at again (CHANGE_USER). ERR_NOT_FOUND. */
NODISCARD int store_app_password_delete(
	struct store_tx *tx, struct owner_id owner, uint64_t id, struct err *err);

/* ---- API tokens ---- */
enum { STORE_TOKEN_NAME_MAX = 64 };

struct api_token {
	uint64_t id;
	struct owner_id owner; /* on whose behalf; 0: of the machine's administrator */
	const char *name;      /* unique */
	const char *hash;
	const char *scopes; /* words separated by blanks */
	int64_t created_at;
	const char *created_by;
	int64_t expires_at;
	int64_t last_used_at;
	const char *last_address;
};

/* ERR_NOT_FOUND. Expired ones are found, too. */
NODISCARD int store_token_find(struct store_read *rd, const char *hash, struct arena *arena,
	struct api_token **ret, struct err *err);
NODISCARD int store_token_load(struct store_read *rd, const char *name, struct arena *arena,
	struct api_token **ret, struct err *err);
/* By name. */
NODISCARD int store_token_list(struct store_read *rd, struct arena *arena, struct api_token **ret,
	size_t *ret_count, struct err *err);
/* id is set by it. ERR_CONFLICT: the name is taken. */
NODISCARD int store_token_add(struct store_tx *tx, struct api_token *token, struct err *err);
NODISCARD int store_token_used(
	struct store_tx *tx, uint64_t id, const char *address, int64_t now_at, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_token_delete(struct store_tx *tx, uint64_t id, struct err *err);

/* ---- sessions of web browsers ---- */
struct web_session {
	const char *hash; /* of the cookie */
	struct owner_id owner;
	const char *csrf; /* what changing requests must know */
	int64_t created_at, last_seen_at, expires_at;
	const char *address;    /* who signed in */
	const char *user_agent; /* at most 256 bytes of it */
};

/* Of living users that are not disabled, and before expires_at; else ERR_NOT_FOUND. */
NODISCARD int store_session_find(struct store_read *rd, const char *hash, int64_t now_at,
	struct arena *arena, struct web_session **ret, struct err *err);
/* The oldest of the owner's go, so that he has at most max. */
NODISCARD int store_session_add(
	struct store_tx *tx, const struct web_session *session, size_t max, struct err *err);
/* Somebody is there: not before expires_at it ends. Nothing happens to one that is over. */
NODISCARD int store_session_seen(
	struct store_tx *tx, const char *hash, int64_t now_at, int64_t expires_at, struct err *err);
NODISCARD int store_session_end(struct store_tx *tx, const char *hash, struct err *err);
/* All of the owner's: changes of password, disabled and administrator do it by themselves. */
NODISCARD int store_session_end_all(struct store_tx *tx, struct owner_id owner, struct err *err);
/* The owner's that are not over, newest first. */
NODISCARD int store_session_list(struct store_read *rd, struct owner_id owner, int64_t now_at,
	struct arena *arena, struct web_session **ret, size_t *ret_count, struct err *err);
/* Removes at most limit that are over. 1: more are left. Not inside a transaction. */
NODISCARD int store_session_sweep(
	struct store *store, int64_t now_at, size_t limit, struct err *err);

#endif
