/*
 * One request, from its target to its answer: what it is for decides who looks after it.
 *
 * The normal case: the target is taken apart; /api/v1/... finds out who asks (api_session.c), the
 * verb (api_route.c), and runs it; everything else is a page (api_static.c) or one of the two or
 * three paths for monitors.
 *
 * Threads: any worker; a struct api does not change after api_new(). Limits: web.request_max_bytes,
 * checked by the engine before a body is taken.
 */
#include "api/api.h"

#include <string.h>

#include "api/api_internal.h"
#include "base/mem.h"
#include "base/str.h"

struct api *api_new(const struct api_options *options)
{
	struct api *api = x_new(struct api);

	api->options = *options;
	random_bytes(api->csrf_key, sizeof(api->csrf_key));
	return api;
}

void api_free(struct api **api)
{
	if (*api == NULL)
		return;
	secret_wipe((*api)->csrf_key, sizeof((*api)->csrf_key));
	mem_free(*api);
	*api = NULL;
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

static void serve_verb(struct api_call *call, const struct api_route *route)
{
	struct err err = ERR_INIT;
	json_t *args = NULL, *result = NULL;

	call->caller.for_self = route->for_self;
	if (api_route_args(call, route, &args, &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	if (admin_run(call->api->options.admin, route->id, args, &call->caller, &result, &err) < 0)
		api_reply_error(call, &err);
	else
		api_reply_json(call, 200, result);
	json_decref(result);
	json_decref(args);
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
		api_session_serve(call);
		return;
	}
	if (wants_sign_in(call))
		return;
	switch (api_route_find(segments, count, call->method, call->arena, &route, &allow)) {
	case API_FOUND:
		serve_verb(call, &route);
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

static int touch(struct store_tx *tx, void *owner, struct err *err)
{
	(void)tx;
	(void)owner;
	(void)err;
	return 0;
}

/* Ready: this engine answers, and the store takes writes. Says so without a login, and nothing
 * else. */
static void serve_ready(struct api_call *call)
{
	struct err err = ERR_INIT;
	bool ready = store_transact(call->api->options.store, touch, NULL, &err) == 0;
	const char *text = ready ? "ready\n" : "the store takes no writes\n";

	api_add_header(call, "Cache-Control", "no-store");
	if (!ready)
		api_add_header(call, "Retry-After", "5");
	api_reply_bytes(call, ready ? 200 : 503, "text/plain; charset=utf-8", text, strlen(text));
}

static void serve_nothing(struct api_call *call)
{
	static const char text[] = "There is nothing here. The pages begin at /, the API at "
				   "/api/v1, phones use /Microsoft-Server-ActiveSync.\n";

	api_add_header(call, "Cache-Control", "no-store");
	api_reply_bytes(call, 404, "text/plain; charset=utf-8", text, sizeof(text) - 1);
}

static void serve(struct api_call *call)
{
	const struct api_target *target = &call->target;

	if (target->segment_count >= 2 && str_eq(target->segments[0], "api") &&
		str_eq(target->segments[1], "v1"))
		serve_api(call);
	else if (path_is(call, "readyz") && str_eq(call->method, "GET"))
		serve_ready(call);
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
		reply->status = 500;
	}
}
