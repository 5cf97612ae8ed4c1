/*
 * Who asks: a session of somebody who signed in on the pages, by cookie, or a token of a script.
 *
 * A session: the cookie holds a random secret, the store its hash. It ends when it was not used for
 * web.session_idle_s, in any case web.session_max_s after it began, at signing out, and when the
 * password or what the user may changes. The cookie is HttpOnly and SameSite=Strict; over TLS it
 * bears the prefix __Host-, so that no other host and no plain page can set it, and one without the
 * prefix is not looked at.
 *
 * Forged requests: what is no GET needs the session's own token in X-CSRF-Token, which another site
 * cannot read, and must not come from another site as far as the browser says so (Sec-Fetch-Site,
 * Origin). The last is demanded of a sign-in, too, or somebody could be signed in as another. A
 * bearer token is nothing that a browser sends by itself, so it needs none of this.
 *
 * Administrators are that only from web.admin_networks; from elsewhere they are users.
 *
 * Threads: any worker. Limits: web.sessions_per_user; failed logins are throttled by auth.
 */
#include <string.h>

#include "api/api_internal.h"
#include "auth/auth_secret.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/nets.h"
#include "store/store_credential.h"

#define SEEN_EVERY_S 60 /* being there is written down at most so often */

/* ---- forged requests ---- */

static bool is_safe(const struct api_call *call)
{
	return str_eq(call->method, "GET") || str_eq(call->method, "OPTIONS");
}

/* Did another site make the browser send this? What is not said counts as no. */
bool api_session_from_elsewhere(const struct api_call *call)
{
	const char *site = api_header(call->http, "sec-fetch-site");
	const char *origin = api_header(call->http, "origin");

	if (site != NULL && !str_eq(site, "same-origin"))
		return true;
	/* X-Forwarded-Host: nobody needs to trust it here, for no page can make a browser send it
	 * to another site. */
	return origin != NULL &&
	       !api_origin_is(origin, call->http->tls, api_header(call->http, "host")) &&
	       !api_origin_is(origin, call->http->tls, api_header(call->http, "x-forwarded-host"));
}

static bool is_forged(const struct api_call *call, const struct web_session *session)
{
	const char *token = api_header(call->http, "x-csrf-token");

	return api_session_from_elsewhere(call) || token == NULL ||
	       strlen(token) != strlen(session->csrf) ||
	       !bytes_equal_secret(token, session->csrf, strlen(token));
}

/* It asks for no token: the browser may have a session whose page is long closed. */
static bool is_sign_in(const struct api_call *call)
{
	return str_eq(call->method, "POST") && call->target.segment_count == 3 &&
	       str_eq(call->target.segments[2], "session");
}

void api_session_reply_forged(struct api_call *call)
{
	api_reply_trouble(call, 403, "csrf",
		"this request did not come from the pages of this server, or lacks X-CSRF-Token");
}

void api_session_reply_throttled(struct api_call *call)
{
	api_add_header(call, "Retry-After",
		arena_x_printf(call->arena, "%llu",
			(unsigned long long)call->settings->auth_fail_window_s));
	api_reply_trouble(call, 429, "busy", "too many failed attempts; please wait some minutes");
}

/* ---- who it is ---- */

static bool may_administer_from_here(const struct api_call *call)
{
	const struct settings_words *nets = &call->settings->web_admin_networks;
	struct net_address address;

	return nets->count == 0 || (net_address_parse(call->http->address, &address) &&
					   nets_hold(nets->words, nets->count, &address));
}

/* user NULL: a token that the machine's administrator made for no user. */
static void become(struct api_call *call, enum admin_caller_kind kind, const struct user *user)
{
	struct admin_caller *caller = &call->caller;

	*caller = (struct admin_caller){.kind = kind,
		.address = call->http->address,
		.is_admin = may_administer_from_here(call) && (user == NULL || user->admin)};
	if (user != NULL) {
		caller->user = user->id;
		caller->user_address =
			arena_x_printf(call->arena, "%s@%s", user->login, user->domain);
	}
	call->signed_in = true;
}

void api_session_become(struct api_call *call, const struct user *user)
{
	become(call, ADMIN_CALLER_SESSION, user);
	call->caller.actor = arena_x_printf(call->arena, "web:%s", call->caller.user_address);
}

static const char *session_secret(const struct api_call *call)
{
	const char *secret = api_cookie(call->arena, call->http, API_COOKIE_TLS);

	if (secret == NULL && !call->http->tls)
		secret = api_cookie(call->arena, call->http, API_COOKIE_PLAIN);
	return secret;
}

struct seen {
	const char *hash, *address;
	uint64_t token;
	int64_t now_at, expires_at;
};

static int note_session(struct store_tx *tx, void *owner, struct err *err)
{
	const struct seen *seen = owner;

	return store_session_seen(tx, seen->hash, seen->now_at, seen->expires_at, err);
}

static int note_token(struct store_tx *tx, void *owner, struct err *err)
{
	const struct seen *seen = owner;

	return store_token_used(tx, seen->token, seen->address, seen->now_at, err);
}

int64_t api_session_end(const struct settings *s, int64_t created_at, int64_t now_at)
{
	return MIN(now_at + (int64_t)s->web_session_idle_s,
		created_at + (int64_t)s->web_session_max_s);
}

/* Trouble of the store is no "not signed in". True: it is answered. */
static bool is_trouble(struct api_call *call, const struct err *err)
{
	if (err->code == ERR_NOT_FOUND)
		return false;
	api_reply_error(call, err);
	return true;
}

static int load_session(
	struct api_call *call, const char *hash, struct user **ret_user, struct err *err)
{
	struct store_read *rd;
	int status;

	if (store_read_begin(call->api->options.store, &rd, err) < 0)
		return -1;
	status = store_session_find(rd, hash, clock_now_at(), call->arena, &call->session, err);
	if (status == 0)
		status = store_user_load(rd, call->session->owner, call->arena, ret_user, err);
	store_read_end(&rd);
	return status;
}

static int enter_session(struct api_call *call, const char *secret)
{
	struct err err = ERR_INIT;
	struct seen seen = {.now_at = clock_now_at()};
	char hash[AUTH_HASH_SIZE];
	struct user *user;

	auth_secret_hash(AUTH_WEB_SESSION, secret, hash);
	seen.hash = hash;
	if (load_session(call, seen.hash, &user, &err) < 0) {
		call->session = NULL;
		return is_trouble(call, &err) ? -1 : 0;
	}
	if (seen.now_at >= call->session->created_at + (int64_t)call->settings->web_session_max_s) {
		call->session = NULL;
		return 0;
	}
	api_session_become(call, user);
	if (!is_safe(call) && !is_sign_in(call) && is_forged(call, call->session)) {
		api_session_reply_forged(call);
		return -1;
	}
	if (seen.now_at < call->session->last_seen_at + SEEN_EVERY_S)
		return 0;
	seen.expires_at = api_session_end(call->settings, call->session->created_at, seen.now_at);
	if (store_transact(call->api->options.store, note_session, &seen, &err) < 0) {
		api_reply_error(call, &err);
		return -1;
	}
	return 0;
}

/* ---- tokens ---- */

static uint32_t scopes_of(struct arena *arena, const char *words)
{
	char *text = arena_x_strdup(arena, words), *word;
	uint32_t scopes = 0;

	while ((word = strsep(&text, " ")) != NULL) {
		enum admin_scope scope = admin_scope_find(word);

		if (scope != ADMIN_SCOPE_NONE)
			scopes |= 1u << scope;
	}
	return scopes;
}

static int refuse_token(struct api_call *call, enum auth_result result, const struct err *err)
{
	if (result == AUTH_FAILED) {
		api_reply_error(call, err);
	} else if (result == AUTH_THROTTLED) {
		api_session_reply_throttled(call);
	} else {
		api_add_header(call, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
		api_reply_trouble(call, 401, "auth",
			"there is no such token, it has expired, or its user is disabled");
	}
	return -1;
}

static int enter_token(struct api_call *call, const char *secret)
{
	struct err err = ERR_INIT;
	struct seen seen = {.now_at = clock_now_at(), .address = call->http->address};
	struct auth_token token = {0};
	enum auth_result result = auth_check_token(
		call->api->options.auth, secret, call->http->address, call->arena, &token, &err);

	if (result != AUTH_OK)
		return refuse_token(call, result, &err);
	become(call, ADMIN_CALLER_TOKEN, token.user);
	call->caller.actor = arena_x_printf(call->arena, "token:%s", token.token->name);
	call->caller.scopes = scopes_of(call->arena, token.token->scopes);
	seen.token = token.token->id;
	if (seen.now_at < token.token->last_used_at + SEEN_EVERY_S)
		return 0;
	if (store_transact(call->api->options.store, note_token, &seen, &err) < 0) {
		api_reply_error(call, &err);
		return -1;
	}
	return 0;
}

int api_session_enter(struct api_call *call)
{
	const char *authorization = api_header(call->http, "authorization");
	const char *bearer = api_bearer(authorization), *secret;

	if (bearer != NULL)
		return enter_token(call, bearer);
	secret = session_secret(call);
	return secret != NULL ? enter_session(call, secret) : 0;
}
