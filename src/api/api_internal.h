#ifndef BELLHOP_API_API_INTERNAL_H
#define BELLHOP_API_API_INTERNAL_H

#include <jansson.h>
#include <pthread.h>

#include "admin/verbs.h"
#include "api/api.h"
#include "store/store_credential.h"

/* What the files of this room share. */

struct api {
	struct api_options options;
	pthread_mutex_t lock; /* making the key for profiles; the last look at the store */
	int64_t probed_ms;    /* api_health.c: the last look began then; 0: none has */
	bool probing, probe_ok;
};

/* ---- api_http.c: what a browser sends ---- */

#define API_SEGMENTS_MAX 12
#define API_PAIRS_MAX    32

struct api_pair {
	const char *name, *value;
};

/* "/users/anna%40example.org?limit=5", taken apart and decoded. */
struct api_target {
	size_t segment_count;
	const char *segments[API_SEGMENTS_MAX];
	size_t pair_count;
	struct api_pair pairs[API_PAIRS_MAX];
};

/*
 * Takes the target of a request apart, in the arena. ERR_BAD_INPUT: what does not decode, is no
 * UTF-8, holds control characters, or has a segment that is empty, "." or ".." - whatever two
 * programs could read in two ways.
 */
NODISCARD int api_target_parse(
	struct arena *arena, const char *target, struct api_target *ret, struct err *err);
const char *api_target_find(const struct api_target *target, const char *name);

/* The value of the cookie in the request's Cookie fields, in the arena; NULL when there is none, or
 * more than one of that name. */
const char *api_cookie(struct arena *arena, const struct ipc_request *http, const char *name);
/* The credentials of "Bearer ..."; NULL: another scheme. Borrowed. */
const char *api_bearer(const char *authorization);
/* "https://host:443" and the like: is it the origin that a request for this host came to? */
bool api_origin_is(const char *origin, bool tls, const char *host);
/* Does the client take gzip? */
bool api_takes_gzip(const struct ipc_request *http);
/* Is the entity tag among those of If-None-Match? */
bool api_etag_matches(const char *if_none_match, const char *etag);
const char *api_header(const struct ipc_request *http, const char *name);

/* ---- api_reply.c: what it gets ---- */

/* A request under way. */
struct api_call {
	struct api *api;
	const struct settings *settings;
	const struct ipc_request *http;
	struct arena *arena;
	struct api_reply *reply;
	struct api_target target;
	const char *method;         /* GET for HEAD, too */
	struct admin_caller caller; /* api_session.c; good once somebody signed in */
	bool signed_in;
	struct web_session *session; /* NULL: a token, or nobody */
};

void api_add_header(struct api_call *call, const char *name, const char *value);
/* Those that every answer has: nosniff and so on. */
void api_add_safety(struct api_call *call);
/* JSON; borrows the value. */
void api_reply_json(struct api_call *call, int status, const json_t *value);
/* {"error": {"code", "text"}} with the status that fits the code. */
void api_reply_error(struct api_call *call, const struct err *err);
/* The same with a status and a code of its own. */
void api_reply_trouble(struct api_call *call, int status, const char *code, const char *text);
void api_reply_bytes(
	struct api_call *call, int status, const char *type, const void *bytes, size_t len);

/* ---- api_route.c: verbs by method and path ---- */

struct api_extra;

struct api_route {
	const struct admin_verb *verb; /* whose arguments and scope count */
	enum admin_verb_id id;
	const struct api_extra *extra; /* NULL: it is the verb itself */
	const char *path;              /* that fits */
	bool for_self;
};

enum api_found { API_FOUND, API_NOT_FOUND, API_OTHER_METHOD };
/* segments: those behind /api/v1. *ret_allow, of API_OTHER_METHOD: "GET, PUT", in the arena. */
enum api_found api_route_find(const char *const *segments, size_t count, const char *method,
	struct arena *arena, struct api_route *ret, const char **ret_allow);
/* The arguments from path, query and body, an object that the caller drops. */
NODISCARD int api_route_args(
	struct api_call *call, const struct api_route *route, json_t **ret, struct err *err);

/* ---- api_health.c: for monitors, without a login ---- */

/* GET of /readyz and /metrics. */
void api_health_ready(struct api_call *call);
void api_health_metrics(struct api_call *call);

/* ---- openapi.c ---- */

/* The description of all that the API can do (OpenAPI 3.1); json_decref() it. */
json_t *api_openapi(void);

/* ---- api_static.c: the pages ---- */

/* False: no such page. */
bool api_static_serve(struct api_call *call);

/* ---- api_session.c: who asks ---- */

#define API_COOKIE_TLS   "__Host-bellhop"
#define API_COOKIE_PLAIN "bellhop"

/* By cookie or token; call->signed_in says whether. -1: the request is answered. */
NODISCARD int api_session_enter(struct api_call *call);
/* The caller is this user's session from now on. */
void api_session_become(struct api_call *call, const struct user *user);
/* Did another site make the browser send this? */
bool api_session_from_elsewhere(const struct api_call *call);
void api_session_reply_forged(struct api_call *call);
/* Too many failed logins. */
void api_session_reply_throttled(struct api_call *call);
/* Until when a session is good that is used now. */
int64_t api_session_end(const struct settings *s, int64_t created_at, int64_t now_at);

/* ---- api_login.c: signing in and out ---- */

/* GET, POST and DELETE of /session. */
void api_login_serve(struct api_call *call);

#endif
