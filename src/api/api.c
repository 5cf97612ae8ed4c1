/*
 * One request, from its target to its answer: what it is for decides who looks after it.
 *
 * The normal case: the target is taken apart; /api/v1/... finds out who asks (api_session.c), the
 * verb (api_route.c), and runs it; everything else is a page (api_static.c) or one of the two or
 * three paths for monitors.
 *
 * Threads: any worker; of a struct api only what is under its lock changes. Limits:
 * web.request_max_bytes, checked by the engine before a body is taken.
 */
#include "api/api.h"

#include <string.h>

#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"

struct api *api_new(const struct api_options *options)
{
	struct api *api = x_new(struct api);

	api->options = *options;
	api->probe_ok = true; /* it has been opened */
	(void)pthread_mutex_init(&api->lock, NULL);
	return api;
}

void api_free(struct api **api)
{
	if (*api == NULL)
		return;
	(void)pthread_mutex_destroy(&(*api)->lock);
	mem_free(*api);
	*api = NULL;
}

void api_stream_free(struct api_stream **stream)
{
	if (*stream != NULL)
		(*stream)->free(*stream);
	*stream = NULL;
}

static bool path_is(const struct api_call *call, const char *name)
{
	return call->target.segment_count == 1 && str_eq(call->target.segments[0], name);
}

/* ---- /api/v1 ---- */

static bool wants_sign_in(struct api_call *call)
{
	if (call->signed_in)
		return false;
	api_reply_trouble(call, 401, "auth", "sign in first");
	return true;
}

/* Before the arguments are looked at: a stranger learns nothing of what they lack. */
static int may(struct api_call *call, const struct api_route *route, struct err *err)
{
	json_t *about = json_object();
	int status;

	if (route->for_self && call->caller.user_address != NULL)
		(void)json_object_set_new(about, "address", json_string(call->caller.user_address));
	status = admin_may(&call->caller, route->verb, about, err);
	json_decref(about);
	return status;
}

static int run(struct api_call *call, const struct api_route *route, struct err *err)
{
	json_t *args = NULL, *result = NULL;
	int status = 0;

	if (may(call, route, err) < 0 || api_route_args(call, route, &args, err) < 0)
		return -1;
	if (route->extra != NULL)
		route->extra->serve(call, args);
	else
		status = admin_run(
			call->api->options.admin, route->id, args, &call->caller, &result, err);
	if (result != NULL)
		api_reply_json(call, 200, result);
	json_decref(result);
	json_decref(args);
	return status;
}

static void serve_route(struct api_call *call, const struct api_route *route)
{
	struct err err = ERR_INIT;

	call->caller.for_self = route->for_self;
	if (run(call, route, &err) < 0)
		api_reply_error(call, &err);
}

static void serve_description(struct api_call *call)
{
	json_t *document = api_openapi();

	api_reply_json(call, 200, document);
	json_decref(document);
}

static void serve_api(struct api_call *call)
{
	const char *const *segments = call->target.segments + 2;
	size_t count = call->target.segment_count - 2;
	const char *allow = NULL;
	struct api_route route;

	if (api_session_enter(call) < 0)
		return;
	if (count == 1 && str_eq(segments[0], "session")) {
		api_login_serve(call);
		return;
	}
	if (count == 1 && str_eq(segments[0], "openapi.json") && str_eq(call->method, "GET")) {
		serve_description(call);
		return;
	}
	if (wants_sign_in(call))
		return;
	switch (api_route_find(segments, count, call->method, call->arena, &route, &allow)) {
	case API_FOUND:
		serve_route(call, &route);
		return;
	case API_OTHER_METHOD:
		api_add_header(call, "Allow", allow);
		api_reply_trouble(call, 405, "method", "that path has other methods");
		return;
	case API_NOT_FOUND:
		break;
	}
	api_reply_trouble(call, 404, "not_found", "the API has no such path");
}

/* ---- the rest ---- */

static void serve_nothing(struct api_call *call)
{
	static const char text[] = "There is nothing here. The pages begin at /, the API at "
				   "/api/v1, phones use /Microsoft-Server-ActiveSync.\n";

	api_add_header(call, "Cache-Control", "no-store");
	api_reply_bytes(call, 404, "text/plain; charset=utf-8", text, sizeof(text) - 1);
}

static bool is_api(const struct api_target *target)
{
	return target->segment_count >= 2 && str_eq(target->segments[0], "api") &&
	       str_eq(target->segments[1], "v1");
}

/* Not one page either: whoever is on the way could ask for the password in its stead. */
static bool lacks_tls(const struct api_call *call)
{
	return call->settings->web_require_tls && !call->http->tls;
}

static void serve_insecure(struct api_call *call)
{
	api_reply_trouble(call, 403, "denied",
		"pages and API are served over TLS alone (web.require_tls): come by https; a proxy "
		"that does TLS must say X-Forwarded-Proto: https");
}

static void serve(struct api_call *call)
{
	const struct api_target *target = &call->target;

	if (path_is(call, "readyz") && str_eq(call->method, "GET"))
		api_health_ready(call);
	else if (path_is(call, "metrics") && str_eq(call->method, "GET"))
		api_health_metrics(call);
	else if (lacks_tls(call))
		serve_insecure(call);
	else if (is_api(target))
		serve_api(call);
	else if (!api_static_serve(call))
		serve_nothing(call);
}

void api_handle(struct api *api, const struct settings *settings, const struct ipc_request *http,
	struct arena *arena, struct api_reply *reply)
{
	struct api_call call = {.api = api,
		.settings = settings,
		.http = http,
		.arena = arena,
		.reply = reply,
		.method = str_eq(http->method, "HEAD") ? "GET" : http->method};
	struct err err = ERR_INIT;

	api_add_safety(&call);
	if (api_target_parse(arena, http->target, &call.target, &err) < 0)
		api_reply_error(&call, &err);
	else
		serve(&call);
	if (reply->body.failed) {
		buf_deinit(&reply->body);
		api_stream_free(&reply->stream);
		reply->status = 500;
	}
}
