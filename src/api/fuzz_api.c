/* Any target, cookie, origin and body: nothing crashes, what is taken is UTF-8 without controls,
 * and no segment leads upwards. Lines: target, cookie, origin, accept-encoding, body. */
#include <stdlib.h>
#include <string.h>

#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool good)
{
	if (!good)
		abort();
}

static void check_text(const char *text)
{
	require(text != NULL && utf8_valid(text, strlen(text)));
	for (; *text != '\0'; text++)
		require((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_target(const struct api_target *target)
{
	require(target->segment_count <= API_SEGMENTS_MAX && target->pair_count <= API_PAIRS_MAX);
	for (size_t i = 0; i < target->segment_count; i++) {
		check_text(target->segments[i]);
		require(target->segments[i][0] != '\0' && !str_eq(target->segments[i], "..") &&
			!str_eq(target->segments[i], "."));
	}
	for (size_t i = 0; i < target->pair_count; i++) {
		check_text(target->pairs[i].name);
		check_text(target->pairs[i].value);
	}
}

static void try_routes(struct api_call *call)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
	size_t skip = call->target.segment_count < 2 ? call->target.segment_count : 2;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct api_route route = {0};
		struct err err = ERR_INIT;
		const char *allow;
		json_t *args = NULL;

		call->method = methods[i];
		if (api_route_find(call->target.segments + skip, call->target.segment_count - skip,
			    methods[i], call->arena, &route, &allow) != API_FOUND ||
			skip < 2)
			continue;
		if (api_route_args(call, &route, &args, &err) == 0)
			require(json_is_object(args));
		else
			require(err.code == ERR_BAD_INPUT);
		json_decref(args);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	CLEANUP(arena_free) struct arena *arena = arena_new((size_t)4 << 20);
	char *text = x_strndup((const char *)bytes, len), *rest = text, *line[5] = {0};
	struct api_reply reply = {0};
	struct ipc_request http = {.header_count = 2};
	struct api_call call = {.arena = arena, .http = &http, .reply = &reply};
	struct err err = ERR_INIT;
	const char *cookie;

	for (size_t i = 0; i < ARRAY_LEN(line); i++) {
		line[i] = i + 1 < ARRAY_LEN(line) ? strsep(&rest, "\n") : rest;
		if (line[i] == NULL)
			line[i] = strchr(text, '\0');
	}
	http.headers[0] = (struct ipc_header){"cookie", line[1]};
	http.headers[1] = (struct ipc_header){"accept-encoding", line[3]};
	http.body = (const uint8_t *)line[4];
	http.body_len = strlen(line[4]);
	cookie = api_cookie(arena, &http, "bellhop");
	require(cookie == NULL || strlen(cookie) <= strlen(line[1]));
	(void)api_takes_gzip(&http);
	(void)api_etag_matches(line[1], "\"a\"");
	require(!api_origin_is(line[2], true, "mail.example.org") ||
		str_starts(line[2], "https://"));
	call.caller.user_address = "me@example.org";
	if (api_target_parse(arena, line[0], &call.target, &err) == 0) {
		check_target(&call.target);
		call.method = "GET";
		(void)api_static_serve(&call);
		try_routes(&call);
	}
	api_stream_free(&reply.stream);
	buf_deinit(&reply.body);
	mem_free(text);
	return 0;
}
