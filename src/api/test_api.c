#include <string.h>

#include "api/api_extra.h"
#include "api/api_static.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

/* The segments joined by |, then ? and the pairs; "code" of what is refused. */
static const char *parse(const char *target)
{
	static char text[1024];
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct api_target parsed;
	struct err err = ERR_INIT;
	size_t n = 0;

	if (api_target_parse(arena, target, &parsed, &err) < 0)
		return err_code_to_str(err.code);
	text[0] = '\0';
	for (size_t i = 0; i < parsed.segment_count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "|%s", parsed.segments[i]);
	for (size_t i = 0; i < parsed.pair_count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "?%s=%s", parsed.pairs[i].name,
			parsed.pairs[i].value);
	return text;
}

static void test_targets(void)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
		{"/", ""},
		{"/app.js", "|app.js"},
		{"/api/v1/users/anna%40example.org", "|api|v1|users|anna@example.org"},
		{"/a/b?x=1&y=%C3%A4+b&z", "|a|b?x=1?y=\xc3\xa4 b?z="},
		{"/a+b", "|a+b"},
		{"/a?", "|a"},
		{"/a?&&x=1", "|a?x=1"},
		{"https://mail.example.org/a?b=c", "|a?b=c"},
		{"http://mail.example.org", ""},
		{"/..%2fetc%2fpasswd", "|../etc/passwd"}, /* one segment: no path leads anywhere */
		{"/..", "bad_input"},
		{"/a/../b", "bad_input"},
		{"/a/%2e%2E/b", "bad_input"},
		{"/./a", "bad_input"},
		{"//a", "bad_input"},
		{"/a//b", "bad_input"},
		{"/a/", "bad_input"},
		{"/a%", "bad_input"},
		{"/a%4", "bad_input"},
		{"/a%zz", "bad_input"},
		{"/a%00b", "bad_input"},
		{"/a%0a", "bad_input"},
		{"/a%ff", "bad_input"},
		{"/a%c0%af", "bad_input"},
		{"/a#b", "bad_input"},
		{"a", "bad_input"},
		{"", "bad_input"},
		{"*", "bad_input"},
		{"/a?x=1&x=2", "bad_input"},
		{"/a?x=%", "bad_input"},
		{"/1/2/3/4/5/6/7/8/9/10/11/12/13", "bad_input"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(parse(cases[i].target), cases[i].want);
}

static void test_too_many_pairs(void)
{
	struct buf target = BUF_INIT;

	buf_add_str(&target, "/a?");
	for (int i = 0; i < API_PAIRS_MAX; i++)
		buf_addf(&target, "k%d=&", i);
	CHECK(strlen(parse(buf_cstr(&target))) > API_PAIRS_MAX);
	buf_add_str(&target, "more=1");
	CHECK_STR(parse(buf_cstr(&target)), "bad_input");
	buf_deinit(&target);
}

static void test_cookies(void)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{"bellhop=abc", "abc"}, {"a=b; bellhop=abc; c=d", "abc"},
		{"a=b;bellhop=abc ", "abc"}, {"bellhop=a=b", "a=b"}, {"xbellhop=abc", NULL},
		{"bellhopx=abc", NULL}, {"__Host-bellhop=abc", NULL}, {"bellhop", NULL}, {"", NULL},
		{";;;", NULL}, {"bellhop=one; bellhop=two", NULL}, /* whose is it? */
	};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ipc_request http = {
			.header_count = 1, .headers = {{"cookie", cases[i].value}}};

		CHECK_STR(api_cookie(arena, &http, "bellhop"), cases[i].want);
	}
}

static void test_origins(void)
{
	static const struct {
		const char *origin;
		bool tls;
		const char *host;
		bool want;
	} cases[] = {
		{"https://mail.example.org", true, "mail.example.org", true},
		{"https://Mail.Example.org", true, "mail.example.org", true},
		{"https://mail.example.org", true, "mail.example.org:443", true},
		{"https://mail.example.org:8443", true, "mail.example.org:8443", true},
		{"https://mail.example.org", false, "mail.example.org", true}, /* a silent proxy */
		{"http://127.0.0.1:8080", false, "127.0.0.1:8080", true},
		{"http://mail.example.org", true, "mail.example.org", false},
		{"https://mail.example.org:8443", true, "mail.example.org", false},
		{"https://evil.example", true, "mail.example.org", false},
		{"https://mail.example.org.evil.example", true, "mail.example.org", false},
		{"https://mail.example.or", true, "mail.example.org", false},
		{"null", true, "mail.example.org", false},
		{"", false, "", false},
		{"https://", true, "", false},
		{"https://a", true, NULL, false},
		{"file://mail.example.org", false, "mail.example.org", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(
			api_origin_is(cases[i].origin, cases[i].tls, cases[i].host), cases[i].want);
}

static void test_fields(void)
{
	static const struct {
		const char *accept;
		bool want;
	} codings[] = {{"gzip", true}, {"deflate, gzip;q=1.0, *;q=0.5", true}, {"br", false},
		{"gzip;q=0", false}, {"gzip;q=0.000", false}, {"gzip;q=0.1", true}, {"", false},
		{"xgzip", false}};

	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		const struct ipc_request http = {
			.header_count = 1, .headers = {{"accept-encoding", codings[i].accept}}};

		CHECK_INT(api_takes_gzip(&http), codings[i].want);
	}
	CHECK(api_etag_matches("\"a\"", "\"a\""));
	CHECK(api_etag_matches("\"b\", W/\"a\"", "\"a\""));
	CHECK(api_etag_matches("*", "\"a\""));
	CHECK(!api_etag_matches("\"b\"", "\"a\""));
	CHECK(!api_etag_matches(NULL, "\"a\""));
	CHECK_STR(api_bearer("Bearer  abc"), "abc");
	CHECK_STR(api_bearer("bearer abc"), "abc");
	CHECK(api_bearer("Basic abc") == NULL && api_bearer(NULL) == NULL);
}

/* ---- routes ---- */

static const char *route(const char *method, const char *path)
{
	static char text[128];
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct api_target target;
	struct api_route found = {0};
	struct err err = ERR_INIT;
	const char *allow = "";

	REQUIRE_OK(api_target_parse(arena, path, &target, &err), &err);
	switch (api_route_find(
		target.segments, target.segment_count, method, arena, &found, &allow)) {
	case API_FOUND:
		(void)snprintf(text, sizeof(text), "%s%s", found.verb->name,
			found.for_self ? " self" : "");
		return text;
	case API_OTHER_METHOD:
		(void)snprintf(text, sizeof(text), "allow %s", allow);
		return text;
	case API_NOT_FOUND:
		break;
	}
	return "none";
}

static void test_routes(void)
{
	CHECK_STR(route("GET", "/users"), "user list");
	CHECK_STR(route("GET", "/users/a@b.de"), "user show");
	CHECK_STR(route("PUT", "/users/a@b.de/password"), "user passwd");
	CHECK_STR(route("GET", "/me/devices"), "device list self");
	CHECK_STR(route("GET", "/devices"), "device list");
	CHECK_STR(route("POST", "/me/devices/X/wipe"), "device wipe self");
	CHECK_STR(route("GET", "/me/setup"), "me setup self");
	CHECK_STR(route("GET", "/log.csv"), "log csv");
	/* The own password is not the verb alone, which asks for no old one. */
	CHECK_STR(route("PUT", "/me/password"), "me password self");
	CHECK_STR(route("GET", "/nothing"), "none");
	CHECK_STR(route("GET", "/"), "none");
	CHECK_STR(route("GET", "/users/a@b.de/nothing"), "none");
	CHECK_STR(route("PATCH", "/log"), "allow GET, HEAD");
	/* A fixed word wins over {mail}; the other method is still that of the other path. */
	CHECK_STR(route("POST", "/queue/retry"), "queue retry");
	CHECK_STR(route("DELETE", "/queue/7"), "queue drop");
}

/* Each verb that the API has is found under its own path. */
static void test_every_verb_is_routed(void)
{
	for (int i = 0; i < ADMIN_VERB_COUNT; i++) {
		const struct admin_verb *verb = &admin_verbs[i];
		char path[160];
		size_t n = 0;

		if (verb->path == NULL)
			continue;
		for (const char *p = verb->path; *p != '\0' && n < sizeof(path) - 2; p++) {
			if (*p == '{')
				p += strcspn(p, "}");
			path[n++] = *p == '}' ? 'v' : *p;
		}
		path[n] = '\0';
		CHECK_STR(route(verb->method, path), verb->name);
	}
}

static void test_arguments(void)
{
	static const struct {
		const char *method, *target, *body, *want;
	} cases[] = {
		{"GET", "/api/v1/log?limit=5", "", "{\"limit\":5}"},
		{"GET", "/api/v1/log?limit=x", "", "bad_input"},
		{"GET", "/api/v1/log?nonsense=1", "", "bad_input"},
		{"DELETE", "/api/v1/users/a@b.de?yes=true", "",
			"{\"address\":\"a@b.de\",\"yes\":true}"},
		{"DELETE", "/api/v1/users/a@b.de?yes=1", "", "bad_input"},
		{"DELETE", "/api/v1/queue/7", "{\"yes\":true}", "{\"mail\":7,\"yes\":true}"},
		{"DELETE", "/api/v1/queue/seven", "", "bad_input"},
		{"PUT", "/api/v1/users/a@b.de/password", "{\"password\":\"x\"}",
			"{\"address\":\"a@b.de\",\"password\":\"x\"}"},
		/* A password does not belong where logs of proxies have it. */
		{"PUT", "/api/v1/users/a@b.de/password?password=x", "", "bad_input"},
		{"PUT", "/api/v1/users/a@b.de/password", "{\"address\":\"c@b.de\"}", "bad_input"},
		{"PUT", "/api/v1/users/a@b.de/password", "[]", "bad_input"},
		{"PUT", "/api/v1/users/a@b.de/password", "{", "bad_input"},
		{"PUT", "/api/v1/users/a@b.de/password", "{\"a\":1,\"a\":2}", "bad_input"},
		/* Whose phones: the path of /me says it, nothing else. */
		{"GET", "/api/v1/me/devices?address=c@b.de", "", "bad_input"},
		{"GET", "/api/v1/me/devices", "", "{\"address\":\"me@b.de\"}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(arena_free) struct arena *arena = arena_new(0);
		const struct ipc_request http = {
			.body = (const uint8_t *)cases[i].body, .body_len = strlen(cases[i].body)};
		struct api_call call = {
			.arena = arena, .http = &http, .caller = {.user_address = "me@b.de"}};
		struct api_route found = {0};
		struct err err = ERR_INIT;
		const char *allow;
		json_t *args = NULL;
		char *dump;

		REQUIRE_OK(api_target_parse(arena, cases[i].target, &call.target, &err), &err);
		REQUIRE(api_route_find(call.target.segments + 2, call.target.segment_count - 2,
				cases[i].method, arena, &found, &allow) == API_FOUND);
		if (api_route_args(&call, &found, &args, &err) < 0) {
			CHECK_STR(err_code_to_str(err.code), cases[i].want);
			continue;
		}
		dump = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
		CHECK_STR(dump, cases[i].want);
		free(dump);
		json_decref(args);
	}
}

/* ---- who may ---- */

/* Every verb and extra, each kind of caller: the table of the authorization, in one place. */
static void check_may(const struct admin_verb *verb)
{
	json_t *own = json_pack("{s:s}", "address", "me@b.de");
	json_t *other = json_pack("{s:s}", "address", "you@b.de");
	json_t *nobody = json_object();
	struct admin_caller user = {.kind = ADMIN_CALLER_SESSION, .user_address = "me@b.de"};
	struct admin_caller boss = user, token = user, machine = {.kind = ADMIN_CALLER_TOKEN};
	struct err err = ERR_INIT;
	bool hidden = verb->scope == ADMIN_SCOPE_NONE, self = verb->self_path != NULL;

	boss.is_admin = token.is_admin = machine.is_admin = true;
	token.kind = ADMIN_CALLER_TOKEN;
	/* A user: nothing by the paths of administrators, not even of himself. */
	CHECK(admin_may(&user, verb, own, &err) < 0 && err.code == ERR_DENIED);
	CHECK(admin_may(&user, verb, other, &err) < 0);
	/* An administrator: all that is offered. */
	CHECK((admin_may(&boss, verb, other, &err) == 0) == !hidden);
	/* A token: by its scope, and only as long as its user is an administrator. */
	token.scopes = ~(1u << verb->scope);
	CHECK(admin_may(&token, verb, other, &err) < 0);
	token.scopes = 1u << verb->scope;
	CHECK((admin_may(&token, verb, other, &err) == 0) == !hidden);
	token.is_admin = false;
	CHECK(admin_may(&token, verb, other, &err) < 0);
	/* By /me: his own, where the verb has such a path. */
	user.for_self = token.for_self = boss.for_self = machine.for_self = true;
	CHECK((admin_may(&user, verb, own, &err) == 0) == (self && !hidden));
	CHECK(admin_may(&user, verb, other, &err) < 0);
	CHECK(admin_may(&user, verb, nobody, &err) < 0);
	CHECK(admin_may(&boss, verb, other, &err) < 0);
	token.scopes = ~(1u << ADMIN_SCOPE_SELF);
	CHECK(admin_may(&token, verb, own, &err) < 0);
	token.scopes = 1u << ADMIN_SCOPE_SELF;
	CHECK((admin_may(&token, verb, own, &err) == 0) == (self && !hidden));
	/* A token of nobody has no self. */
	machine.scopes = ~0u;
	CHECK(admin_may(&machine, verb, nobody, &err) < 0);
	json_decref(own);
	json_decref(other);
	json_decref(nobody);
}

static void test_who_may(void)
{
	for (int i = 0; i < ADMIN_VERB_COUNT; i++)
		check_may(&admin_verbs[i]);
}

static void test_who_may_extras(void)
{
	for (size_t i = 0; i < api_extra_count; i++) {
		const struct admin_verb *verb = &api_extras[i].verb;

		CHECK(verb->name != NULL && str_ends(verb->help, ".") && verb->columns != NULL);
		CHECK(verb->scope != ADMIN_SCOPE_NONE && verb->method != NULL);
		CHECK(verb->changes == !str_eq(verb->method, "GET"));
		if (verb->scope != ADMIN_SCOPE_SELF)
			check_may(verb);
	}
}

/* ---- pages and the description ---- */

static void test_pages(void)
{
	bool has_index = false;

	CHECK(api_file_count > 2);
	for (size_t i = 0; i < api_file_count; i++) {
		const struct api_file *file = &api_files[i];

		CHECK(file->len > 0 && file->path[0] == '/' && strchr(file->path + 1, '/') == NULL);
		CHECK(file->gzip == NULL || file->gzip_len < file->len);
		if (!str_eq(file->path, "/index.html"))
			continue;
		has_index = true;
		/* Its files are named with their versions, and nothing stands in the page itself.
		 */
		CHECK(memmem(file->bytes, file->len, "app.js?v=", 9) != NULL);
		CHECK(memmem(file->bytes, file->len, " style=", 7) == NULL);
		CHECK(memmem(file->bytes, file->len, " onload=", 8) == NULL);
	}
	CHECK(has_index);
}

static void test_description(void)
{
	json_t *document = api_openapi(), *paths = json_object_get(document, "paths"), *item;
	const char *path;

	CHECK_STR(json_string_value(json_object_get(document, "openapi")), "3.1.0");
	for (int i = 0; i < ADMIN_VERB_COUNT; i++) {
		char full[160], method[8] = "";

		if (admin_verbs[i].path == NULL)
			continue;
		(void)snprintf(full, sizeof(full), "/api/v1%s", admin_verbs[i].path);
		(void)snprintf(method, sizeof(method), "%s", admin_verbs[i].method);
		item = json_object_get(json_object_get(paths, full), str_lower(method));
		if (item == NULL)
			test_fail_(__FILE__, __LINE__, "%s is not described", full);
	}
	json_object_foreach(paths, path, item) CHECK(json_object_size(item) > 0);
	json_decref(document);
}

TEST_MAIN(TEST(test_targets), TEST(test_too_many_pairs), TEST(test_cookies), TEST(test_origins),
	TEST(test_fields), TEST(test_routes), TEST(test_every_verb_is_routed), TEST(test_arguments),
	TEST(test_who_may), TEST(test_who_may_extras), TEST(test_pages), TEST(test_description))
