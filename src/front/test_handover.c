/* The messages between two processes of a front. */
#include "front/handover.h"

#include <string.h>

#include "base/mem.h"
#include "base/test.h"

static const struct handover_conn example = {
	.handle = {3, 70000, 9, 0xfffffff0u},
	.parked = true,
	.keep_alive = true,
	.expiry = IPC_EXPIRY_SYNC,
	.heartbeat_s = 900,
	.wait_s = 900,
	.port = 443,
	.deadline_ms = 0x123456789abcdef,
	.renew_until_ms = -1,
	.print = {1, 0xfedcba9876543210u},
	.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
	.cookie_len = 3,
	.tls_len = 2,
	.cookie = {5, 6, 7},
	.tls = {8, 9},
};

/* A batch as version 1 wrote it. Never to be changed: an old process writes nothing else. */
static const char version_1[] = "03010000004d00030000007011010009000000f0ffffff050284030000ef"
				"cdab8967452301ffffffffffffffff01000000000000001032547698badc"
				"fe00000000000000000000ffffc000020103050607020809";

static void check_example(const struct handover_conn *c)
{
	CHECK(ipc_handle_eq(&c->handle, &example.handle));
	CHECK(c->parked && !c->stale && c->keep_alive);
	CHECK_INT(c->expiry, IPC_EXPIRY_SYNC);
	CHECK_INT(c->heartbeat_s, 900);
	CHECK(c->deadline_ms == example.deadline_ms);
	CHECK(c->renew_until_ms == -1);
	CHECK(c->print[0] == 1 && c->print[1] == example.print[1]);
	CHECK_MEM(c->address, 16, example.address, 16);
	CHECK_MEM(c->cookie, c->cookie_len, "\5\6\7", 3);
	CHECK_MEM(c->tls, c->tls_len, "\x8\x9", 2);
}

static void test_conns(void)
{
	struct handover_conn second = example, got;
	struct buf out = BUF_INIT;
	struct handover_message m;
	struct err err = ERR_INIT;

	second.handle.request = 0;
	second.parked = second.keep_alive = false;
	second.expiry = 0;
	handover_begin_conns(&out, 2);
	handover_add_conn(&out, &example);
	handover_add_conn(&out, &second);
	REQUIRE_OK(handover_decode(out.data, out.len, &m, &err), &err);
	CHECK_INT(m.type, HANDOVER_CONNS);
	CHECK_INT(m.count, 2);
	REQUIRE(handover_next_conn(&m, &got));
	check_example(&got);
	REQUIRE(handover_next_conn(&m, &got));
	CHECK(!got.parked && got.handle.request == 0);
	CHECK(!handover_next_conn(&m, &got));
	buf_deinit(&out);
}

static void test_others(void)
{
	struct handover_message in = {.type = HANDOVER_BEGIN, .version = 1, .connections = 20000},
				got;
	static const enum handover_type bare[] = {HANDOVER_ACK, HANDOVER_SWEPT};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	memset(in.print_keys, 0xa5, sizeof(in.print_keys));
	handover_encode(&in, &out);
	REQUIRE_OK(handover_decode(out.data, out.len, &got, &err), &err);
	CHECK_INT(got.type, HANDOVER_BEGIN);
	CHECK_INT(got.connections, 20000);
	CHECK_MEM(got.print_keys, 32, in.print_keys, 32);
	for (size_t n = 0; n < out.len; n++) {
		err = (struct err)ERR_INIT;
		CHECK(n == 0 || handover_decode(out.data, n, &got, &err) < 0);
	}
	buf_clear(&out);
	in = (struct handover_message){.type = HANDOVER_HELLO, .version = 7};
	handover_encode(&in, &out);
	REQUIRE_OK(handover_decode(out.data, out.len, &got, &err), &err);
	CHECK_INT(got.version, 7);
	for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
		buf_clear(&out);
		in.type = bare[i];
		handover_encode(&in, &out);
		REQUIRE_OK(handover_decode(out.data, out.len, &got, &err), &err);
		CHECK_INT(got.type, bare[i]);
	}
	buf_deinit(&out);
}

static void from_hex(const char *hex, struct buf *out)
{
	for (; hex[0] != 0; hex += 2)
		buf_add_byte(out, (uint8_t)strtoul((char[]){hex[0], hex[1], 0}, NULL, 16));
}

/* What the first version wrote is read for ever; what a later one adds is skipped. */
static void test_versions(void)
{
	struct buf bytes = BUF_INIT, ours = BUF_INIT;
	struct handover_message m;
	struct handover_conn got;
	struct err err = ERR_INIT;

	from_hex(version_1, &bytes);
	REQUIRE_OK(handover_decode(bytes.data, bytes.len, &m, &err), &err);
	REQUIRE(handover_next_conn(&m, &got));
	check_example(&got);
	CHECK_INT(got.wait_s, 0);
	/* Since then it says how long the connection waits, and where it came in. */
	buf_add(&bytes, "\x84\x03\xbb\x01", 4);
	bytes.data[5] = (uint8_t)(bytes.data[5] + 4);
	REQUIRE_OK(handover_decode(bytes.data, bytes.len, &m, &err), &err);
	REQUIRE(handover_next_conn(&m, &got));
	CHECK_INT(got.wait_s, 900);
	CHECK_INT(got.port, 443);
	handover_begin_conns(&ours, 1);
	handover_add_conn(&ours, &example);
	CHECK_MEM(ours.data, ours.len, bytes.data, bytes.len);
	buf_add(&bytes, "later", 5);
	bytes.data[5] = (uint8_t)(bytes.data[5] + 5);
	REQUIRE_OK(handover_decode(bytes.data, bytes.len, &m, &err), &err);
	REQUIRE(handover_next_conn(&m, &got));
	check_example(&got);
	bytes.data[0] = 99;
	REQUIRE_OK(handover_decode(bytes.data, bytes.len, &m, &err), &err);
	CHECK_INT(m.type, HANDOVER_UNKNOWN);
	buf_deinit(&bytes);
	buf_deinit(&ours);
}

static void test_what_cannot_be(void)
{
	static const struct {
		bool parked;
		uint32_t request, heartbeat_s;
		int expiry;
	} t[] = {{true, 0, 900, IPC_EXPIRY_PING}, {true, 1, 0, IPC_EXPIRY_PING}, {true, 1, 900, 0},
		{false, 1, 900, 3}};
	struct buf out = BUF_INIT;
	struct handover_message m;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct handover_conn c = example, got;

		c.parked = t[i].parked;
		c.handle.request = t[i].request;
		c.heartbeat_s = t[i].heartbeat_s;
		c.expiry = (enum ipc_expiry)t[i].expiry;
		buf_clear(&out);
		handover_begin_conns(&out, 1);
		handover_add_conn(&out, &c);
		REQUIRE_OK(handover_decode(out.data, out.len, &m, &err), &err);
		CHECK(!handover_next_conn(&m, &got));
	}
	buf_clear(&out);
	handover_begin_conns(&out, HANDOVER_BATCH_MAX + 1);
	CHECK(handover_decode(out.data, out.len, &m, &err) < 0);
	buf_deinit(&out);
}

/* Every cut and every wrong byte (ASan looks on). */
static void test_every_byte_wrong(void)
{
	struct buf out = BUF_INIT;
	struct handover_message m;
	struct handover_conn got;

	handover_begin_conns(&out, 1);
	handover_add_conn(&out, &example);
	for (size_t n = 0; n < out.len; n++) {
		struct err err = ERR_INIT;
		uint8_t *cut = mem_try_alloc(n + 1);

		REQUIRE(cut != NULL);
		memcpy(cut, out.data, n);
		if (handover_decode(cut, n, &m, &err) == 0 && m.type == HANDOVER_CONNS)
			CHECK(!handover_next_conn(&m, &got));
		mem_free(cut);
	}
	for (size_t i = 0; i < out.len; i++) {
		uint8_t was = out.data[i];

		for (unsigned v = 0; v < 256; v++) {
			struct err err = ERR_INIT;

			out.data[i] = (uint8_t)v;
			if (handover_decode(out.data, out.len, &m, &err) == 0 &&
				m.type == HANDOVER_CONNS)
				(void)handover_next_conn(&m, &got);
		}
		out.data[i] = was;
	}
	buf_deinit(&out);
}

TEST_MAIN(TEST(test_conns), TEST(test_others), TEST(test_versions), TEST(test_what_cannot_be),
	TEST(test_every_byte_wrong))
