#include "ipc/ipc.h"

#include <string.h>

#include "base/mem.h"
#include "base/test.h"

static const struct ipc_handle handle = {3, 70000, 9, 0xfffffff0u};

/* Encodes, decodes, checks that every shorter piece asks for more; `out` keeps what *ret borrows.
 */
static void round_trip(const struct ipc_frame *in, struct buf *out, struct ipc_frame *ret)
{
	struct err err = ERR_INIT;
	size_t used = 0;

	ipc_encode(in, out);
	REQUIRE(!out->failed);
	for (size_t n = 0; n < out->len; n++)
		CHECK_INT(ipc_decode(out->data, n, ret, &used, &err), 0);
	REQUIRE_OK(ipc_decode(out->data, out->len, ret, &used, &err), &err);
	CHECK_INT(used, out->len);
	CHECK_INT(ret->type, in->type);
}

static void test_hello(void)
{
	struct ipc_frame in = {.type = IPC_HELLO, .hello = {IPC_VERSION, 7, IPC_CHANNEL_BULK}}, got;
	struct buf out = BUF_INIT;

	round_trip(&in, &out, &got);
	CHECK_INT(got.hello.version, IPC_VERSION);
	CHECK_INT(got.hello.front, 7);
	CHECK_INT(got.hello.channel, IPC_CHANNEL_BULK);
	buf_deinit(&out);
}

static void test_request(void)
{
	struct ipc_frame in = {.type = IPC_REQUEST}, got;
	struct buf out = BUF_INIT;

	in.request = (struct ipc_request){.handle = handle,
		.method = "POST",
		.target = "/Microsoft-Server-ActiveSync?Cmd=Ping",
		.address = "192.0.2.1",
		.tls = true,
		.served = true,
		.content_length = -1,
		.header_count = 2,
		.headers = {{"host", "a"}, {"x-empty", ""}},
		.body = (const uint8_t *)"\x03\x01\x6a\x00",
		.body_len = 4};
	round_trip(&in, &out, &got);
	CHECK(ipc_handle_eq(&got.request.handle, &handle));
	CHECK_STR(got.request.method, "POST");
	CHECK_STR(got.request.target, in.request.target);
	CHECK_STR(got.request.address, "192.0.2.1");
	CHECK(got.request.tls && got.request.served && !got.request.body_follows);
	CHECK_INT(got.request.content_length, -1);
	CHECK_INT(got.request.header_count, 2);
	CHECK_STR(ipc_header_find(got.request.headers, 2, "Host"), "a");
	CHECK_STR(ipc_header_find(got.request.headers, 2, "X-Empty"), "");
	CHECK_STR(ipc_header_find(got.request.headers, 2, "none"), NULL);
	CHECK_MEM(got.request.body, got.request.body_len, "\x03\x01\x6a\x00", 4);
	buf_deinit(&out);
}

static void test_response(void)
{
	struct ipc_frame in = {.type = IPC_RESPONSE}, got;
	struct buf out = BUF_INIT;

	in.response = (struct ipc_response){.handle = handle,
		.status = 449,
		.reason = "Retry",
		.close = true,
		.header_count = 1,
		.headers = {{"Content-Type", "text/plain"}},
		.body = (const uint8_t *)"no",
		.body_len = 2};
	round_trip(&in, &out, &got);
	CHECK_INT(got.response.status, 449);
	CHECK_STR(got.response.reason, "Retry");
	CHECK(got.response.close && !got.response.body_follows);
	CHECK_MEM(got.response.body, got.response.body_len, "no", 2);
	buf_clear(&out);
	in.type = IPC_WAKE;
	in.response.body_follows = true;
	in.response.body = NULL;
	in.response.body_len = (uint64_t)5 << 32;
	round_trip(&in, &out, &got);
	CHECK(got.response.body_follows && got.response.body == NULL);
	CHECK_INT(got.response.body_len, (int64_t)5 << 32);
	buf_deinit(&out);
}

static void test_park_and_register(void)
{
	struct ipc_frame in = {.type = IPC_PARK}, got;
	struct buf out = BUF_INIT;

	in.park = (struct ipc_park){handle, 900, IPC_EXPIRY_SYNC, 3600, 3, {1, 0, 2}};
	round_trip(&in, &out, &got);
	CHECK_INT(got.park.heartbeat_s, 900);
	CHECK_INT(got.park.expiry, IPC_EXPIRY_SYNC);
	CHECK_INT(got.park.renew_for_s, 3600);
	CHECK_MEM(got.park.cookie, got.park.cookie_len, "\1\0\2", 3);
	buf_clear(&out);
	in = (struct ipc_frame){.type = IPC_REGISTER};
	in.reg = (struct ipc_register){.handle = handle,
		.parked = true,
		.left_s = 12,
		.expiry = IPC_EXPIRY_PING,
		.cookie_len = IPC_COOKIE_MAX,
		.cookie = {5},
		.stale = true,
		.moved = true,
		.before = {9, 8, 7, 6}};
	round_trip(&in, &out, &got);
	CHECK(got.reg.stale && got.reg.moved && ipc_handle_eq(&got.reg.before, &in.reg.before));
	CHECK(got.reg.parked && ipc_handle_eq(&got.reg.handle, &handle));
	CHECK_INT(got.reg.left_s, 12);
	CHECK_MEM(got.reg.cookie, got.reg.cookie_len, in.reg.cookie, IPC_COOKIE_MAX);
	buf_deinit(&out);
}

static void test_body(void)
{
	struct ipc_frame in = {.type = IPC_BODY}, got;
	struct buf out = BUF_INIT;
	static uint8_t bytes[IPC_BULK_CHUNK];

	memset(bytes, 0xa5, sizeof(bytes));
	in.body = (struct ipc_body){handle, true, false, bytes, sizeof(bytes)};
	round_trip(&in, &out, &got);
	CHECK(got.body.last && !got.body.aborted);
	CHECK_MEM(got.body.bytes, got.body.len, bytes, sizeof(bytes));
	buf_clear(&out);
	in.body = (struct ipc_body){handle, false, true, NULL, 0};
	round_trip(&in, &out, &got);
	CHECK(!got.body.last && got.body.aborted);
	CHECK_INT(got.body.len, 0);
	buf_deinit(&out);
}

static void test_small_frames(void)
{
	static const enum ipc_type named[] = {IPC_STALE, IPC_GONE, IPC_DROP};
	struct ipc_frame got;

	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		struct ipc_frame in = {.type = named[i], .handle = handle};
		struct buf out = BUF_INIT;

		round_trip(&in, &out, &got);
		CHECK(ipc_handle_eq(&got.handle, &handle));
		buf_deinit(&out);
	}
	for (int i = 0; i < 2; i++) {
		struct ipc_frame in = {
			.type = i == 0 ? IPC_GRANT : IPC_CREDIT, .amount = {handle, 0x80000001u}};
		struct buf out = BUF_INIT;

		round_trip(&in, &out, &got);
		CHECK_INT(got.amount.bytes, 0x80000001u);
		buf_deinit(&out);
	}
}

static void test_stats(void)
{
	struct ipc_frame in = {.type = IPC_STATS,
				 .stats = {2, 2, {{"parked", 5}, {"wakes", ~0ull}}}},
			 got;
	struct buf out = BUF_INIT;

	round_trip(&in, &out, &got);
	CHECK_INT(got.stats.front, 2);
	CHECK_INT(got.stats.count, 2);
	CHECK_STR(got.stats.counters[0].name, "parked");
	CHECK(got.stats.counters[1].value == ~0ull);
	buf_deinit(&out);
}

static void test_two_in_a_row(void)
{
	struct ipc_frame in = {.type = IPC_GONE, .handle = handle}, got;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t used = 0;

	ipc_encode(&in, &out);
	in.type = IPC_STALE;
	ipc_encode(&in, &out);
	CHECK_INT(ipc_decode(out.data, out.len, &got, &used, &err), 1);
	CHECK_INT(got.type, IPC_GONE);
	buf_drop(&out, used);
	CHECK_INT(ipc_decode(out.data, out.len, &got, &used, &err), 1);
	CHECK_INT(got.type, IPC_STALE);
	CHECK_INT(used, out.len);
	buf_deinit(&out);
}

static void test_too_large(void)
{
	struct ipc_frame in = {.type = IPC_BODY};
	struct buf out = BUF_INIT;
	uint8_t *bytes = mem_try_alloc(IPC_FRAME_MAX);

	REQUIRE(bytes != NULL);
	in.body = (struct ipc_body){handle, true, false, bytes, IPC_FRAME_MAX};
	ipc_encode(&in, &out);
	CHECK(out.failed);
	buf_clear(&out);
	/* The longest head that settings allow and the longest inline body fit together. */
	in = (struct ipc_frame){.type = IPC_REQUEST};
	memset(bytes, 'x', 65536);
	in.request = (struct ipc_request){.handle = handle,
		.method = "POST",
		.target = (char *)bytes,
		.address = "::1",
		.body = bytes,
		.body_len = IPC_INLINE_BODY_MAX};
	ipc_encode(&in, &out);
	CHECK(!out.failed);
	buf_deinit(&out);
	mem_free(bytes);
}

static void test_garbage(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		int want;
	} table[] = {
		{"\0\0\0\0\0", 5, -1},                      /* no type */
		{"\xff\xff\xff\xff\1", 5, -1},              /* too long */
		{"\xfc\x7f\2\0\1", 5, 0},                   /* the longest allowed */
		{"\xfd\x7f\2\0\1", 5, -1},                  /* one more */
		{"\1\0\0\0\x7f", 5, 1},                     /* a later version's type */
		{"\1\0\0\0\1", 5, -1},                      /* HELLO without fields */
		{"\x0a\0\0\0\1\1\0\0\0\1\0\0\0\3", 14, -1}, /* no such channel */
		{"\x0b\0\0\0\1\1\0\0\0\1\0\0\0\1x", 15, 1}, /* and its field */
		{"\x11\0\0\0\x0a"
		 "0123456789abcdef",
			21, 1}, /* GONE */
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		uint8_t copy[64];
		struct ipc_frame got;
		struct err err = ERR_INIT;
		size_t used = 0;

		memcpy(copy, table[i].bytes, table[i].len);
		CHECK_INT(ipc_decode(copy, table[i].len, &got, &used, &err), table[i].want);
		CHECK((err.code == ERR_BAD_INPUT) == (table[i].want < 0));
	}
}

/* A request whose frame is changed at every byte must never be read outside (ASan) nor crash. */
static void test_every_byte_wrong(void)
{
	struct ipc_frame in = {.type = IPC_REQUEST}, got;
	struct buf out = BUF_INIT;

	in.request = (struct ipc_request){.handle = handle,
		.method = "GET",
		.target = "/",
		.address = "::1",
		.header_count = 1,
		.headers = {{"a", "b"}},
		.body = (const uint8_t *)"xyz",
		.body_len = 3};
	ipc_encode(&in, &out);
	for (size_t i = 0; i < out.len; i++) {
		uint8_t was = out.data[i];

		for (unsigned v = 0; v < 256; v++) {
			struct err err = ERR_INIT;
			size_t used = 0;

			out.data[i] = (uint8_t)v;
			if (ipc_decode(out.data, out.len, &got, &used, &err) == 1)
				CHECK(used <= out.len);
		}
		out.data[i] = was;
	}
	buf_deinit(&out);
}

static void test_waited(void)
{
	struct ipc_frame in = {.type = IPC_WAITED}, got;

	for (int end = IPC_WAIT_EXPIRED; end <= IPC_WAIT_CUT; end++) {
		struct buf out = BUF_INIT;

		in.waited = (struct ipc_waited){.asked_s = 3540,
			.lasted_s = 70001,
			.end = (enum ipc_wait_end)end,
			.proxied = end % 2 == 0,
			.cookie_len = 3,
			.cookie = {5, 6, 7}};
		memcpy(in.waited.proxy, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\5", 16);
		round_trip(&in, &out, &got);
		CHECK_INT(got.waited.asked_s, 3540);
		CHECK_INT(got.waited.lasted_s, 70001);
		CHECK_INT(got.waited.end, end);
		CHECK_MEM(got.waited.cookie, got.waited.cookie_len, "\5\6\7", 3);
		CHECK_INT(got.waited.proxied, end % 2 == 0);
		if (got.waited.proxied)
			CHECK_MEM(got.waited.proxy, 16, in.waited.proxy, 16);
		buf_deinit(&out);
	}
}

/* The end of a wait is one that is known, and an address is whole. */
static void test_waited_is_checked(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		int want;
	} table[] = {
#define IN(text) (text), sizeof(text) - 1
		{IN("\x0c\0\0\0\x0f\1\0\0\0\2\0\0\0\4\1\0"), 1},
		{IN("\x0c\0\0\0\x0f\1\0\0\0\2\0\0\0\5\1\0"), -1},
		{IN("\x0c\0\0\0\x0f\1\0\0\0\2\0\0\0\0\1\0"), -1},
		{IN("\x0d\0\0\0\x0f\1\0\0\0\2\0\0\0\4\1\0\7"), -1},
#undef IN
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ipc_frame got = {.type = IPC_UNKNOWN};
		struct err err = ERR_INIT;
		uint8_t copy[40];
		size_t used = 0;

		memcpy(copy, table[i].bytes, table[i].len);
		copy[4] = IPC_WAITED;
		CHECK_INT(ipc_decode(copy, table[i].len, &got, &used, &err), table[i].want);
		if (table[i].want == 1)
			CHECK(got.waited.lasted_s == 2 && !got.waited.proxied);
	}
}

/* When what it tells was committed: all 64 bits of it. */
static void test_wake(void)
{
	struct ipc_frame in = {.type = IPC_WAKE}, got;
	struct buf out = BUF_INIT;

	in.response = (struct ipc_response){
		.handle = handle, .status = 200, .reason = "", .since_us = 0x0102030405060708u};
	round_trip(&in, &out, &got);
	CHECK_INT(got.response.since_us, 0x0102030405060708);
	CHECK_INT(got.response.status, 200);
	buf_clear(&out);
	ipc_encode_for(&in, 1, &out);
	CHECK(!out.failed);
	{
		struct err err = ERR_INIT;
		size_t used = 0;

		REQUIRE_OK(ipc_decode(out.data, out.len, &got, &used, &err), &err);
		CHECK_INT(got.response.since_us, 0);
	}
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_waited), TEST(test_waited_is_checked), TEST(test_wake), TEST(test_hello),
	TEST(test_request), TEST(test_response), TEST(test_park_and_register), TEST(test_body),
	TEST(test_small_frames), TEST(test_stats), TEST(test_two_in_a_row), TEST(test_too_large),
	TEST(test_garbage), TEST(test_every_byte_wrong))
