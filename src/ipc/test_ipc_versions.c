/*
 * Frames of the release before, as that one wrote them: they are read, and what is written for it
 * are the same bytes, for it reads nothing else.
 */
#include "ipc/ipc.h"

#include <string.h>

#include "base/mem.h"
#include "base/test.h"

static const struct ipc_handle handle = {3, 70000, 9, 0xfffffff0u};

static const struct {
	enum ipc_type type;
	const char *hex;
} version_1[] = {
	{IPC_HELLO, "0a00000001010000000700000002"},
	{IPC_REQUEST, "4800000002030000007011010009000000f0ffffff05504f5354000c2f61"
		      "3f436d643d50696e67000a3139322e302e322e3100010004000000000000"
		      "000105686f7374000261000403016a00"},
	{IPC_BODY, "1700000003030000007011010009000000f0ffffff01000378797a"},
	{IPC_GRANT, "1500000004030000007011010009000000f0ffffff00000100"},
	{IPC_RESPONSE, "2800000006030000007011010009000000f0ffffffc10106526574727900"
		       "01000104582d4100026200026e6f"},
	{IPC_PARK, "1e00000007030000007011010009000000f0ffffff8403000002100e0000"
		   "03010002"},
	{IPC_REGISTER, "1b0000000b030000007011010009000000f0ffffff010c00000001030506"
		       "07"},
	{IPC_GONE, "110000000a030000007011010009000000f0ffffff"},
	{IPC_STATS, "180000000d0200000001096163636570746564004d00000000000000"},
};

static void from_hex(const char *hex, struct buf *out)
{
	for (; hex[0] != 0; hex += 2)
		buf_add_byte(out, (uint8_t)strtoul((char[]){hex[0], hex[1], 0}, NULL, 16));
}

static void read_old(size_t i, struct buf *bytes, struct ipc_frame *ret)
{
	struct err err = ERR_INIT;
	size_t used = 0;

	from_hex(version_1[i].hex, bytes);
	REQUIRE_OK(ipc_decode(bytes->data, bytes->len, ret, &used, &err), &err);
	CHECK_INT(used, bytes->len);
	CHECK_INT(ret->type, version_1[i].type);
}

static void test_old_frames_are_read_and_written(void)
{
	for (size_t i = 0; i < ARRAY_LEN(version_1); i++) {
		struct buf bytes = BUF_INIT, again = BUF_INIT;
		struct ipc_frame frame;

		read_old(i, &bytes, &frame);
		ipc_encode_for(&frame, 1, &again);
		CHECK_MEM(again.data, again.len, bytes.data, bytes.len);
		buf_deinit(&bytes);
		buf_deinit(&again);
	}
}

static void test_old_register(void)
{
	struct buf bytes = BUF_INIT;
	struct ipc_frame frame;
	size_t i = 0;

	while (version_1[i].type != IPC_REGISTER)
		i++;
	read_old(i, &bytes, &frame);
	CHECK(ipc_handle_eq(&frame.reg.handle, &handle));
	CHECK(frame.reg.parked && !frame.reg.stale && !frame.reg.moved);
	CHECK_INT(frame.reg.left_s, 12);
	CHECK_MEM(frame.reg.cookie, frame.reg.cookie_len, "\5\6\7", 3);
	buf_deinit(&bytes);
}

/* What the old one does not know it is not sent. */
static void test_nothing_new_for_old_ones(void)
{
	struct ipc_frame in = {.type = IPC_REGISTER}, bye = {.type = IPC_BYE},
			 stats = {.type = IPC_STATS}, got;
	struct buf old = BUF_INIT, new = BUF_INIT, many = BUF_INIT;
	struct err err = ERR_INIT;
	size_t used = 0;

	in.reg = (struct ipc_register){.handle = handle,
		.parked = true,
		.left_s = 12,
		.expiry = IPC_EXPIRY_PING,
		.cookie_len = 3,
		.cookie = {5, 6, 7},
		.stale = true,
		.moved = true,
		.before = handle};
	ipc_encode_for(&in, 1, &old);
	ipc_encode(&in, &new);
	CHECK_INT(new.len, old.len + 18);
	from_hex(version_1[6].hex, &many);
	CHECK_MEM(old.data, old.len, many.data, many.len);
	buf_clear(&old);
	ipc_encode_for(&bye, 1, &old);
	CHECK_INT(old.len, 0);
	CHECK(!old.failed);
	buf_clear(&many);
	stats.stats.count = IPC_STATS_MAX;
	for (size_t i = 0; i < IPC_STATS_MAX; i++)
		stats.stats.counters[i].name = "c";
	ipc_encode_for(&stats, 1, &many);
	REQUIRE_OK(ipc_decode(many.data, many.len, &got, &used, &err), &err);
	CHECK_INT(got.stats.count, IPC_STATS_MAX_V1);
	buf_deinit(&old);
	buf_deinit(&new);
	buf_deinit(&many);
}

/* And what a later one sends is skipped: fields behind the known ones, counters beyond ours. */
static void test_later_fields_are_skipped(void)
{
	struct ipc_frame in = {.type = IPC_PARK}, got;
	struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	size_t used = 0;

	in.park = (struct ipc_park){handle, 900, IPC_EXPIRY_SYNC, 3600, 3, {1, 0, 2}};
	ipc_encode(&in, &bytes);
	buf_add(&bytes, "later", 5);
	bytes.data[0] = (uint8_t)(bytes.data[0] + 5);
	REQUIRE_OK(ipc_decode(bytes.data, bytes.len, &got, &used, &err), &err);
	CHECK_INT(used, bytes.len);
	CHECK_INT(got.park.renew_for_s, 3600);
	buf_clear(&bytes);
	in = (struct ipc_frame){.type = IPC_BYE};
	ipc_encode(&in, &bytes);
	bytes.data[4] = 99;
	REQUIRE_OK(ipc_decode(bytes.data, bytes.len, &got, &used, &err), &err);
	CHECK_INT(got.type, IPC_UNKNOWN);
	buf_deinit(&bytes);
}

TEST_MAIN(TEST(test_old_frames_are_read_and_written), TEST(test_old_register),
	TEST(test_nothing_new_for_old_ones), TEST(test_later_fields_are_skipped))
