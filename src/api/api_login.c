/*
 * Signing in and out: POST, GET and DELETE of /api/v1/session; the own password.
 *
 * Only the user's own password lets in, never that of an app, so a lost phone opens no page. Failed
 * attempts are counted together with those of phones (auth/auth.h). A browser that signs in gets a
 * new session always; the one it had ends.
 *
 * Threads: any worker; a sign-in blocks on crypt(3). Limits: web.sessions_per_user.
 */
#include <string.h>

#include "api/api_extra.h"
#include "auth/auth_secret.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* The browser says in Origin what it sees, also behind a proxy that does not say so. */
static bool browser_has_tls(const struct api_call *call)
{
	const char *origin = api_header(call->http, "origin");

	return call->http->tls || (origin != NULL && str_starts(origin, "https://"));
}

/* Empty: the browser forgets it. */
static void set_cookie(struct api_call *call, bool secure, const char *value)
{
	api_add_header(call, "Set-Cookie",
		arena_x_printf(call->arena, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
			secure ? API_COOKIE_TLS : API_COOKIE_PLAIN, value, secure ? "; Secure" : "",
			value[0] == '\0' ? "; Max-Age=0" : ""));
}

static void reply_session(struct api_call *call, const struct web_session *session)
{
	json_t *body = json_object();

	(void)json_object_set_new(body, "address", json_string(call->caller.user_address));
	(void)json_object_set_new(body, "admin", json_boolean(call->caller.is_admin));
	(void)json_object_set_new(body, "csrf", json_string(session->csrf));
	(void)json_object_set_new(body, "created_at", json_integer(session->created_at));
	(void)json_object_set_new(body, "expires_at", json_integer(session->expires_at));
	api_reply_json(call, 200, body);
	json_decref(body);
}

/* What happens to sessions in one transaction, with its row in the event log. */
struct change {
	const struct api_call *call;
	struct web_session *begin; /* NULL: none */
	const char *end;           /* hash; NULL: none */
	bool end_all;
	const char *action;
	int64_t now_at;
};

static int change_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct change *c = owner;
	const struct log_row row = {.at = c->now_at,
		.actor = c->call->caller.actor,
		.user = c->call->caller.user_address,
		.address = c->call->http->address,
		.device_id = "",
		.device_type = "",
		.action = c->action,
		.result = "ok"};

	if (c->end != NULL && store_session_end(tx, c->end, err) < 0)
		return -1;
	if (c->end_all && store_session_end_all(tx, c->call->caller.user, err) < 0)
		return -1;
	if (c->begin != NULL &&
		store_session_add(tx, c->begin, c->call->settings->web_sessions_per_user, err) < 0)
		return -1;
	return store_log_add(tx, &row, err);
}

static void begin_session(struct api_call *call, const struct user *user)
{
	const char *agent = api_header(call->http, "user-agent");
	char secret[AUTH_SECRET_SIZE], csrf[AUTH_SECRET_SIZE], hash[AUTH_HASH_SIZE];
	struct web_session session = {.owner = user->id, .address = call->http->address};
	struct change change = {call, .begin = &session, .action = "signed in"};
	struct err err = ERR_INIT;

	/* The session that the browser has had, if it is the same user's or not. */
	if (call->session != NULL)
		change.end = call->session->hash;
	api_session_become(call, user);
	change.now_at = session.created_at = session.last_seen_at = clock_now_at();
	auth_secret_make(AUTH_WEB_SESSION, secret);
	auth_secret_make(AUTH_CSRF, csrf);
	auth_secret_hash(AUTH_WEB_SESSION, secret, hash);
	session.hash = hash;
	session.csrf = csrf;
	session.user_agent = agent != NULL ? agent : "";
	session.expires_at =
		api_session_end(call->settings, session.created_at, session.created_at);
	if (store_transact(call->api->options.store, change_tx, &change, &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	set_cookie(call, browser_has_tls(call), secret);
	secret_wipe(secret, sizeof(secret));
	reply_session(call, &session);
}

/* {"address": "...", "password": "..."}; false: answered. */
static bool read_credentials(struct api_call *call, json_t **ret)
{
	const char *type = api_header(call->http, "content-type");
	json_t *body = json_loadb(
		(const char *)call->http->body, call->http->body_len, JSON_REJECT_DUPLICATES, NULL);

	/* A form of another site can send anything but this type. */
	if (type == NULL || !str_starts_nocase(type, "application/json")) {
		api_reply_trouble(call, 415, "bad_input", "the body must be application/json");
	} else if (json_string_value(json_object_get(body, "address")) == NULL ||
		   json_string_value(json_object_get(body, "password")) == NULL) {
		api_reply_trouble(call, 400, "bad_input",
			"signing in needs {\"address\": \"...\", \"password\": \"...\"}");
	} else {
		*ret = body;
		return true;
	}
	json_decref(body);
	return false;
}

static void sign_in(struct api_call *call)
{
	struct auth_grant grant = {0};
	struct err err = ERR_INIT;
	json_t *body = NULL;
	enum auth_result result;

	if (api_session_from_elsewhere(call)) {
		api_session_reply_forged(call);
		return;
	}
	if (!read_credentials(call, &body))
		return;
	result = auth_check_password(call->api->options.auth,
		json_string_value(json_object_get(body, "address")),
		json_string_value(json_object_get(body, "password")), call->http->address,
		call->arena, &grant, &err);
	json_decref(body);
	if (result == AUTH_THROTTLED) {
		api_session_reply_throttled(call);
	} else if (result == AUTH_FAILED) {
		api_reply_error(call, &err);
	} else if (result == AUTH_WRONG || grant.user->disabled) {
		api_reply_trouble(call, 401, "auth", "address or password is wrong");
	} else {
		begin_session(call, grant.user);
	}
}

/* ?everywhere=true: all sessions of the user. */
static void sign_out(struct api_call *call)
{
	const char *everywhere = api_target_find(&call->target, "everywhere");
	struct change change = {call, .action = "signed out", .now_at = clock_now_at()};
	struct err err = ERR_INIT;
	json_t *body;

	change.end = call->session->hash;
	change.end_all = everywhere != NULL && str_eq(everywhere, "true");
	if (change.end_all)
		change.action = "signed out everywhere";
	if (store_transact(call->api->options.store, change_tx, &change, &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	set_cookie(call, browser_has_tls(call), "");
	body = json_pack("{s:b}", "everywhere", change.end_all);
	api_reply_json(call, 200, body);
	json_decref(body);
}

/* ---- the own password ---- */

static void reply_login(struct api_call *call, enum auth_result result, const struct err *err)
{
	if (result == AUTH_THROTTLED)
		api_session_reply_throttled(call);
	else if (result == AUTH_FAILED)
		api_reply_error(call, err);
	else
		api_reply_trouble(call, 403, "denied", "the password so far is wrong");
}

/* Who only found a page open must not take the account over: the password so far is asked for. */
void api_login_change_password(struct api_call *call, json_t *args)
{
	struct auth_grant grant = {0};
	struct err err = ERR_INIT;
	const char *old = json_string_value(json_object_get(args, "old"));
	enum auth_result result;
	json_t *changed = NULL;

	if (old == NULL || json_string_value(json_object_get(args, "password")) == NULL) {
		api_reply_trouble(call, 400, "bad_input",
			"the password so far (old) and the new one (password) are needed");
		return;
	}
	result = auth_check_password(call->api->options.auth, call->caller.user_address, old,
		call->http->address, call->arena, &grant, &err);
	if (result != AUTH_OK) {
		reply_login(call, result, &err);
		return;
	}
	(void)json_object_del(args, "old");
	if (admin_run(call->api->options.admin, ADMIN_USER_PASSWD, args, &call->caller, &changed,
		    &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	json_decref(changed);
	(void)json_object_del(args, "password");
	/* The change has ended all sessions: this browser, which knows the new one, gets another.
	 */
	if (call->session != NULL)
		begin_session(call, grant.user);
	else
		api_reply_json(call, 200, args);
}

void api_login_serve(struct api_call *call)
{
	if (str_eq(call->method, "POST")) {
		sign_in(call);
	} else if (!str_eq(call->method, "GET") && !str_eq(call->method, "DELETE")) {
		api_add_header(call, "Allow", "GET, HEAD, POST, DELETE");
		api_reply_trouble(call, 405, "method", "a session is made, looked at and ended");
	} else if (call->session == NULL) {
		api_reply_trouble(call, 401, "auth", "sign in first");
	} else if (str_eq(call->method, "GET")) {
		reply_session(call, call->session);
	} else {
		sign_out(call);
	}
}
