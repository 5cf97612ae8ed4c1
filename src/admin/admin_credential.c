/*
 * Verbs about what lets somebody in: app passwords, API tokens, web sessions, and who administers.
 * A secret is in the answer of the verb that made it, once, and nowhere else. Threads and
 * transactions: see admin.c.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "auth/auth_secret.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_credential.h"

#define DAY_S          86400
#define TOKEN_DAYS_MAX 3650

/* A name that people can tell apart in a list: 1 to max bytes, not only blanks. */
static int check_name(const char *name, size_t max, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > max || strspn(name, " ") == len)
		return err_set(err, ERR_BAD_INPUT, "a name has 1 to %zu bytes", max);
	return 0;
}

/* ---- app passwords ---- */

static const char *binding_to_str(enum app_binding binding)
{
	switch (binding) {
	case APP_UNBOUND:
		return "any";
	case APP_FIRST_USE:
		return "first_use";
	case APP_BOUND:
		break;
	}
	return "bound";
}

static json_t *app_to_json(const struct app_password *app)
{
	json_t *object = json_object();

	admin_put_number(object, "id", app->id);
	admin_put(object, "name", app->name);
	admin_put(object, "binding", binding_to_str(app->binding));
	admin_put(object, "device", app->device_id);
	admin_put_number(object, "created_at", (uint64_t)app->created_at);
	admin_put(object, "created_by", app->created_by);
	admin_put_number(object, "last_used_at", (uint64_t)app->last_used_at);
	admin_put(object, "last_device", app->last_device_id);
	admin_put(object, "last_address", app->last_address);
	return object;
}

int admin_app_password_add(struct admin_call *call, struct err *err)
{
	const char *device = admin_text(call, "bind");
	struct app_password app = {.name = admin_text(call, "name"),
		.created_at = call->now_at,
		.created_by = call->caller->actor};
	char text[AUTH_APP_TEXT_SIZE], letters[AUTH_APP_LETTERS + 1], verifier[AUTH_VERIFIER_SIZE];
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_change(call, user, err) < 0 ||
		check_name(app.name, STORE_APP_NAME_MAX, err) < 0)
		return -1;
	if (device != NULL && admin_check_device_id(device, err) < 0)
		return -1;
	app.owner = user->id;
	app.binding = device != NULL                                           ? APP_BOUND
		      : json_is_true(json_object_get(call->args, "first_use")) ? APP_FIRST_USE
									       : APP_UNBOUND;
	app.device_id = device != NULL ? device : "";
	auth_app_make(text);
	(void)auth_app_parse(text, letters);
	auth_app_verifier(user->id, letters, verifier);
	app.verifier = verifier;
	app.last_device_id = app.last_address = "";
	if (store_app_password_add(call->tx, &app, call->limits.app_passwords_max, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = app_to_json(&app);
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "password", text);
	call->log_result = arena_x_strdup(call->arena, app.name);
	secret_wipe(text, sizeof(text));
	secret_wipe(letters, sizeof(letters));
	return 0;
}

int admin_app_password_list(struct admin_call *call, struct err *err)
{
	struct app_password *apps;
	struct user *user;
	size_t count;

	if (admin_user(call, &user, err) < 0 ||
		store_app_password_list(call->rd, user->id, call->arena, &apps, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(call->result, app_to_json(&apps[i]));
	return 0;
}

int admin_app_password_revoke(struct admin_call *call, struct err *err)
{
	uint64_t id = admin_number(call, "id", 0);
	struct app_password *app;
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_change(call, user, err) < 0)
		return -1;
	if (store_app_password_load(call->rd, user->id, id, call->arena, &app, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "%s has no app password %" PRIu64,
					 admin_user_address(call, user), id)
			       : -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put_number(call->result, "id", id);
	admin_put(call->result, "name", app->name);
	call->log_result = app->name;
	return store_app_password_delete(call->tx, user->id, id, err);
}

/* ---- API tokens ---- */

/* Each word a scope, and none that the caller lacks. */
static int check_scopes(
	struct admin_call *call, const char *scopes, const char **ret, struct err *err)
{
	char *words = arena_x_strdup(call->arena, scopes), *rest = words, *word;
	const char *clean = "";

	while ((word = strsep(&rest, " ,")) != NULL) {
		enum admin_scope scope = admin_scope_find(word);

		if (word[0] == '\0')
			continue;
		if (scope == ADMIN_SCOPE_NONE)
			return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is no scope", word);
		clean = arena_x_printf(
			call->arena, "%s%s%s", clean, clean[0] != '\0' ? " " : "", word);
	}
	if (clean[0] == '\0')
		return err_set(err, ERR_BAD_INPUT, "a token needs a scope at least");
	*ret = clean;
	return 0;
}

static int owner_of_token(struct admin_call *call, struct owner_id *ret, struct err *err)
{
	struct user *user;

	*ret = call->caller->user; /* 0 for a caller of this machine */
	if (admin_text(call, "for") == NULL)
		return 0;
	if (store_user_find_address(call->rd, admin_text(call, "for"), call->arena, &user, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "there is no user %.200s",
					 admin_text(call, "for"))
			       : -1;
	*ret = user->id;
	return 0;
}

static json_t *token_to_json(
	struct admin_call *call, const struct api_token *token, struct err *err)
{
	json_t *object = json_object();
	const char *owner = "";
	struct user *user;

	if (token->owner.v != 0 &&
		store_user_load(call->rd, token->owner, call->arena, &user, err) == 0)
		owner = admin_user_address(call, user);
	admin_put(object, "name", token->name);
	admin_put(object, "scopes", token->scopes);
	admin_put(object, "for", owner);
	admin_put_number(object, "created_at", (uint64_t)token->created_at);
	admin_put(object, "created_by", token->created_by);
	admin_put_number(object, "expires_at", (uint64_t)token->expires_at);
	admin_put_number(object, "last_used_at", (uint64_t)token->last_used_at);
	admin_put(object, "last_address", token->last_address);
	return object;
}

int admin_token_add(struct admin_call *call, struct err *err)
{
	uint64_t days = admin_number(call, "days", 0);
	char secret[AUTH_SECRET_SIZE], hash[AUTH_HASH_SIZE];
	struct api_token token = {.name = admin_text(call, "name"),
		.hash = hash,
		.created_at = call->now_at,
		.created_by = call->caller->actor,
		.last_address = ""};

	if (call->caller->kind == ADMIN_CALLER_TOKEN)
		return err_set(err, ERR_DENIED, "a token makes no tokens: sign in");
	if (days > TOKEN_DAYS_MAX)
		return err_set(err, ERR_BAD_INPUT, "days go up to %d", TOKEN_DAYS_MAX);
	if (check_name(token.name, STORE_TOKEN_NAME_MAX, err) < 0 ||
		check_scopes(call, admin_text(call, "scopes"), &token.scopes, err) < 0 ||
		owner_of_token(call, &token.owner, err) < 0)
		return -1;
	token.expires_at = days > 0 ? call->now_at + (int64_t)days * DAY_S : 0;
	auth_secret_make(AUTH_API_TOKEN, secret);
	auth_secret_hash(AUTH_API_TOKEN, secret, hash);
	if (store_token_add(call->tx, &token, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = token_to_json(call, &token, err);
	admin_put(call->result, "token", secret);
	call->log_result = arena_x_printf(call->arena, "%s: %s", token.name, token.scopes);
	secret_wipe(secret, sizeof(secret));
	return 0;
}

int admin_token_list(struct admin_call *call, struct err *err)
{
	struct api_token *tokens;
	size_t count;

	if (store_token_list(call->rd, call->arena, &tokens, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(call->result, token_to_json(call, &tokens[i], err));
	return 0;
}

int admin_token_revoke(struct admin_call *call, struct err *err)
{
	const char *name = admin_text(call, "name");
	struct api_token *token;

	if (admin_may_rule(call, err) < 0)
		return -1;
	if (store_token_load(call->rd, name, call->arena, &token, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "there is no token \"%.80s\"", name)
			       : -1;
	admin_put(call->result, "name", token->name);
	call->log_result = token->name;
	return store_token_delete(call->tx, token->id, err);
}

/* ---- web sessions ---- */

int admin_session_list(struct admin_call *call, struct err *err)
{
	struct web_session *sessions;
	struct user *user;
	size_t count;

	if (admin_user(call, &user, err) < 0 || store_session_list(call->rd, user->id, call->now_at,
							call->arena, &sessions, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		admin_put_number(row, "created_at", (uint64_t)sessions[i].created_at);
		admin_put_number(row, "last_seen_at", (uint64_t)sessions[i].last_seen_at);
		admin_put_number(row, "expires_at", (uint64_t)sessions[i].expires_at);
		admin_put(row, "from", sessions[i].address);
		admin_put(row, "user_agent", sessions[i].user_agent);
		(void)json_array_append_new(call->result, row);
	}
	return 0;
}

int admin_session_end(struct admin_call *call, struct err *err)
{
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_change(call, user, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	return store_session_end_all(call->tx, user->id, err);
}

/* ---- administrators ---- */

int admin_user_admin(struct admin_call *call, struct err *err)
{
	bool on = json_is_true(json_object_get(call->args, "on"));
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_rule(call, err) < 0)
		return -1;
	/* Nobody locks himself out by mistake; another administrator may do it. */
	if (!on && call->caller->kind != ADMIN_CALLER_LOCAL && call->caller->user.v == user->id.v)
		return err_set(err, ERR_CONFLICT,
			"you are signed in by it: let another administrator do that");
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put_bool(call->result, "admin", on);
	call->log_result = on ? "on" : "off";
	return store_user_set_admin(call->tx, user->id, on, err);
}
