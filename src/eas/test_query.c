/* Both query forms, the habits of clients, and what is answered to each kind of nonsense. */
#include "eas/query.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

#define PATH "/Microsoft-Server-ActiveSync?"

struct parsed {
	struct arena *arena;
	struct ipc_request http;
	struct eas_query q;
	struct err err;
	int rc;
};

/* headers: name, value, ..., NULL */
static void parse(struct parsed *p, const char *target, const char *const *headers)
{
	memset(p, 0, sizeof(*p));
	p->arena = arena_new(0);
	p->http.method = "POST";
	p->http.target = target;
	for (size_t i = 0; headers != NULL && headers[i] != NULL; i += 2)
		p->http.headers[p->http.header_count++] =
			(struct ipc_header){.name = headers[i], .value = headers[i + 1]};
	p->rc = eas_query_parse(p->arena, &p->http, &p->q, &p->err);
}

static void done(struct parsed *p)
{
	arena_free(&p->arena);
}

/* Bytes as a base64 query; url_safe: that alphabet, without padding. */
static const char *base64_target(struct arena *arena, const void *bytes, size_t len, bool url_safe)
{
	struct buf out = BUF_INIT;
	char *text;

	buf_add_str(&out, PATH);
	base64_add(&out, bytes, len);
	text = arena_x_strdup(arena, buf_cstr(&out));
	for (char *c = text + strlen(PATH); url_safe && *c != 0; c++) {
		if (*c == '+')
			*c = '-';
		if (*c == '/')
			*c = '_';
		if (*c == '=')
			*c = 0;
	}
	buf_deinit(&out);
	return text;
}

static const char *const v141[] = {"ms-asprotocolversion", "14.1", NULL};

static void test_plain(void)
{
	static const char *const headers[] = {"ms-asprotocolversion", " 14.1", "x-ms-policykey",
		"3942919513", "user-agent", "Apple-iPhone11C8/2007.75", "accept-encoding",
		"gzip, deflate", NULL};
	struct parsed p;

	parse(&p,
		PATH "DeviceType=iPhone&user=EXAMPLE%5Canna&Cmd=sync&DeviceId=Appl87&Unknown=x&&"
		     "CollectionId=5%3A7&Cmd=Ping&SaveInSent=t",
		headers);
	CHECK_INT(p.rc, 0);
	CHECK_INT(p.q.command, EAS_CMD_Sync);
	CHECK_INT(p.q.version, 141);
	CHECK_STR(p.q.user, "EXAMPLE\\anna");
	CHECK_STR(p.q.device_id, "Appl87");
	CHECK_STR(p.q.device_type, "iPhone");
	CHECK_STR(p.q.collection_id, "5:7");
	CHECK_STR(p.q.item_id, "");
	CHECK(p.q.policy_key_sent && p.q.policy_key == 3942919513u);
	CHECK(p.q.save_in_sent && !p.q.accept_multipart && p.q.accept_gzip);
	CHECK_STR(p.q.user_agent, "Apple-iPhone11C8/2007.75");
	done(&p);

	parse(&p, "/microsoft-server-ACTIVESYNC/?Cmd=Ping&DeviceId=x&DeviceType=y", v141);
	CHECK_INT(p.rc, 0);
	CHECK(!p.q.policy_key_sent && !p.q.accept_gzip);
	done(&p);
}

static void test_base64_example(void)
{
	struct parsed p;

	parse(&p, PATH "jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l", NULL);
	CHECK_INT(p.rc, 0);
	CHECK_INT(p.q.command, EAS_CMD_Sync);
	CHECK_INT(p.q.version, 140);
	CHECK_INT(p.q.locale, 0x0409);
	CHECK_STR(p.q.device_id, "v140Device");
	CHECK_STR(p.q.device_type, "SmartPhone");
	CHECK(!p.q.policy_key_sent);
	done(&p);
}

static void test_base64_parameters(void)
{
	static const uint8_t bytes[] = {161, 19, 0x07, 0x04, 16, 0xfb, 0xff, 0xbe, 0, 4, 5, 6, 7, 8,
		9, 10, 11, 12, 13, 14, 15, 4, 0x78, 0x56, 0x34, 0x12, 2, 'W', 'P', 1, 1, '5', 0, 3,
		'a', '/', 'b', 3, 3, '5', ':', '1', 4, 1, 'L', 6, 1, 'O', 7, 1, 3, 8, 4, 'a', 'n',
		0xff, 'a', 99, 1, 0};
	struct arena *arena = arena_new(0);

	for (int url_safe = 0; url_safe < 2; url_safe++) {
		struct parsed p;

		parse(&p, base64_target(arena, bytes, sizeof(bytes), url_safe), NULL);
		CHECK_INT(p.rc, 0);
		CHECK_INT(p.q.command, EAS_CMD_ItemOperations);
		CHECK_INT(p.q.version, 161);
		CHECK_STR(p.q.device_id, "fbffbe000405060708090a0b0c0d0e0f");
		CHECK_STR(p.q.device_type, "WP");
		CHECK(p.q.policy_key_sent && p.q.policy_key == 0x12345678);
		CHECK_STR(p.q.collection_id, "5");
		CHECK_STR(p.q.attachment_name, "a/b");
		CHECK_STR(p.q.item_id, "5:1");
		CHECK_STR(p.q.long_id, "L");
		CHECK_STR(p.q.occurrence, "O");
		CHECK(p.q.save_in_sent && p.q.accept_multipart);
		CHECK_STR(p.q.user, "an\xef\xbf\xbd"
				    "a");
		done(&p);
	}
	arena_free(&arena);
}

static void test_base64_escapes(void)
{
	struct parsed p;

	parse(&p, PATH "jAAJBAF2AAF0%3D%3D", NULL); /* padding that is too much is harmless */
	CHECK_INT(p.rc, 0);
	CHECK_STR(p.q.device_type, "t");
	done(&p);
	parse(&p, PATH "%6aAAJBAF2AAF0", NULL);
	CHECK_INT(p.rc, 0);
	done(&p);
}

static void test_header_wins(void)
{
	/* An odd version byte, a zero-length policy key, a user field. */
	static const uint8_t odd[] = {
		0x91, 18, 9, 4, 2, 'i', 'd', 0, 2, 't', 'y', 8, 4, 'a', 'n', 'n', 'a'};
	static const uint8_t bad[] = {0x77, 0, 9, 4, 2, 'i', 'd', 4, 0, 0, 0, 0, 1, 't'};
	static const uint8_t both[] = {121, 0, 9, 4, 2, 'i', 'd', 4, 9, 0, 0, 0, 1, 't'};
	static const char *const v160[] = {"ms-asprotocolversion", "16.0", "x-ms-policykey", "7",
		"ms-asacceptmultipart", "T", NULL};
	static const char *const nonsense[] = {
		"ms-asprotocolversion", "99.9", "x-ms-policykey", "0", NULL};
	struct arena *arena = arena_new(0);
	struct parsed p;

	parse(&p, base64_target(arena, odd, sizeof(odd), true), NULL);
	CHECK_INT(p.rc, 0);
	CHECK_INT(p.q.version, 141);
	CHECK_STR(p.q.user, "anna");
	CHECK(!p.q.policy_key_sent);
	done(&p);
	parse(&p, base64_target(arena, odd, sizeof(odd), false), v160);
	CHECK_INT(p.q.version, 160);
	CHECK_INT(p.q.policy_key, 7);
	CHECK(p.q.accept_multipart);
	done(&p);
	parse(&p, base64_target(arena, bad, sizeof(bad), false), v160);
	CHECK_INT(p.rc, 0);
	CHECK_INT(p.q.version, 160);
	CHECK_INT(p.q.policy_key, 7);
	done(&p);
	parse(&p, base64_target(arena, bad, sizeof(bad), false), NULL);
	CHECK_INT(p.rc, -1);
	CHECK_INT(eas_query_outcome(&p.q).http, 400);
	CHECK(p.q.policy_key_sent && p.q.policy_key == 0);
	done(&p);
	parse(&p, base64_target(arena, both, sizeof(both), false), nonsense);
	CHECK_INT(p.rc, 0);
	CHECK_INT(p.q.version, 121);
	CHECK_INT(p.q.policy_key, 9);
	done(&p);
	arena_free(&arena);
}

#define GOOD "&DeviceId=d1&DeviceType=t"

static void test_refusals(void)
{
	static const struct {
		const char *target, *version;
		unsigned http;
		unsigned status; /* not 0: as WBXML */
	} rows[] = {
		{"/elsewhere?Cmd=Sync" GOOD, "14.1", 404, 0},
		{"/Microsoft-Server-ActiveSyncX?Cmd=Sync" GOOD, "14.1", 404, 0},
		{"/Microsoft-Server-ActiveSync", "14.1", 400, 0}, {PATH, "14.1", 400, 0},
		{PATH "DeviceId=1&DeviceType=2", "14.1", 400, 0},
		{PATH "Cmd=" GOOD, "14.1", 501, 0}, {PATH "Cmd=Nonsense" GOOD, "12.1", 501, 0},
		{PATH "Cmd=Nonsense" GOOD, "14.1", 501, 0},
		{PATH "Cmd=ValidateCert" GOOD, "12.1", 501, 0},
		{PATH "Cmd=ValidateCert" GOOD, "14.1", 200, 137},
		{PATH "Cmd=GetHierarchy" GOOD, "14.1", 501, 0},
		{PATH "Cmd=Sync&DeviceType=t", "12.1", 400, 0},
		{PATH "Cmd=Sync&DeviceType=t", "14.0", 200, 108},
		{PATH "Cmd=Sync&DeviceId=&DeviceType=t", "14.0", 200, 108},
		{PATH "Cmd=Sync&DeviceId=a,b&DeviceType=t", "14.0", 200, 108},
		{PATH "Cmd=Sync&DeviceId=123456789012345678901234567890123&DeviceType=t", "14.0",
			200, 108},
		{PATH "Cmd=Sync&DeviceId=d", "14.0", 200, 109},
		{PATH "Cmd=Sync&DeviceId=d&DeviceType=%07", "14.0", 200, 109},
		{PATH "Cmd=Sync&DeviceId=d&DeviceType=%07", "12.1", 400, 0},
		{PATH "Cmd=Sync" GOOD, NULL, 400, 0}, {PATH "Cmd=Sync" GOOD, "13.0", 400, 0},
		{PATH "Cmd=Sync" GOOD, "1.0", 505, 0},
		{PATH "Cmd=ItemOperations" GOOD, "2.5", 400, 0},
		{PATH "Cmd=Sync&User=%zz" GOOD, "14.1", 400, 0},
		{PATH "Cmd=Sync&User=%4", "14.1", 400, 0},
		{PATH "Cmd=Sync%00" GOOD, "14.1", 400, 0},
		{PATH "Cmd=Sync&ItemId=%ff" GOOD, "14.1", 400, 0}, {PATH "!!!!", "14.1", 400, 0},
		{PATH "jAAJ", "14.1", 400, 0}, {PATH "jAAJBAp2MTQw", "14.1", 400, 0},
		{PATH "jAUJBAF2AAF0", "14.1", 501, 0},     /* code 5 */
		{PATH "jBAJBAF2AAF0", "14.1", 200, 137},   /* Search */
		{PATH "jAAJBAAAAXQ=", "14.1", 200, 108},   /* no device id */
		{PATH "jAAJBAF2AAA=", "14.1", 200, 109},   /* no device type */
		{PATH "jAAJBAF2AwECAwF0", "14.1", 400, 0}, /* a key of 3 bytes */
		{PATH "jAAJBAF2AAF0AQUx", "14.1", 400, 0}, /* a parameter cut off */
		{PATH "jAAJBAF2AAF0AQ==", "14.1", 400, 0},
		{PATH "jAAJBAF2AAF0BwIBAQ==", "14.1", 400, 0}, /* two bytes of Options */
		{PATH "jAAJBAF2AAF0AQIAMQ==", "14.1", 400, 0}, /* NUL in a text */
		{PATH "eAAJBAF2AAF0", NULL, 400, 0},           /* 12.0 has no base64 form */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const headers[] = {"ms-asprotocolversion", rows[i].version, NULL};
		struct eas_outcome o;
		struct parsed p;

		parse(&p, rows[i].target, rows[i].version == NULL ? NULL : headers);
		o = eas_query_outcome(&p.q);
		if (p.rc != -1 || o.http != rows[i].http || o.status != rows[i].status)
			test_fail_(__FILE__, __LINE__, "%s: %d, HTTP %u, Status %u", rows[i].target,
				p.rc, o.http, o.status);
		CHECK_INT(o.wbxml, rows[i].status != 0);
		CHECK(p.err.text[0] != 0);
		done(&p);
	}
}

static void test_methods(void)
{
	struct ipc_request http = {.method = "OPTIONS", .target = "/Microsoft-Server-ActiveSync"};
	struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct eas_query q;

	CHECK_INT(eas_query_parse(arena, &http, &q, &err), 0);
	CHECK_INT(q.command, EAS_CMD_OPTIONS);
	http.target = PATH "User=anna&DeviceId=1&DeviceType=WindowsMail";
	CHECK_INT(eas_query_parse(arena, &http, &q, &err), 0);
	CHECK_STR(q.device_type, "WindowsMail");
	http.target = PATH "Cmd=OPTIONS&User=%zz";
	CHECK_INT(eas_query_parse(arena, &http, &q, &err), 0);
	http.target = "/";
	CHECK_INT(eas_query_parse(arena, &http, &q, &err), -1);
	CHECK_INT(eas_query_outcome(&q).http, 404);
	http.method = "GET";
	http.target = PATH "Cmd=Sync" GOOD;
	CHECK_INT(eas_query_parse(arena, &http, &q, &err), -1);
	CHECK_INT(eas_query_outcome(&q).http, 501);
	arena_free(&arena);
}

static void test_long_queries_stay_bounded(void)
{
	struct arena *arena = arena_new(0);
	char *target = x_calloc(1, 60001);
	struct parsed p;

	memset(target, 'A', 60000);
	memcpy(target, PATH, strlen(PATH));
	parse(&p, target, v141);
	CHECK_INT(p.rc, -1);
	CHECK(arena_used(p.arena) < 200000);
	done(&p);
	memset(target, '&', 60000);
	memcpy(target, PATH "Cmd=Sync" GOOD, strlen(PATH "Cmd=Sync" GOOD));
	parse(&p, target, v141);
	CHECK_INT(p.rc, 0);
	done(&p);
	mem_free(target);
	arena_free(&arena);
}

static void test_accept_encoding(void)
{
	CHECK(!eas_accepts_gzip(NULL));
	CHECK(!eas_accepts_gzip(""));
	CHECK(!eas_accepts_gzip("deflate, gzipped"));
	CHECK(eas_accepts_gzip("gzip"));
	CHECK(eas_accepts_gzip("deflate,\tGZIP;q=0.5"));
	CHECK(!eas_accepts_gzip("gzip;q=0, deflate;q=1"));
	CHECK(!eas_accepts_gzip("gzip; q=0.000"));
	CHECK(eas_accepts_gzip("gzip; q=0.001"));
	CHECK(eas_accepts_gzip("x-gzip"));
}

TEST_MAIN(TEST(test_plain), TEST(test_base64_example), TEST(test_base64_parameters),
	TEST(test_base64_escapes), TEST(test_header_wins), TEST(test_refusals), TEST(test_methods),
	TEST(test_long_queries_stay_bounded), TEST(test_accept_encoding))
