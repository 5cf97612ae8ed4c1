/* What goes from memory of one layout into memory of another. Times are given, nothing waits. */
#include "shared/shared_carry.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"
#include "shared/shared_internal.h"

static const struct shared_sizes sizes = {2, 16, 64, 64, 64};
static const struct shared_path_terms terms = {5, 1, 60, 3600};
static struct shared *old, *new;

static struct shared *make(void)
{
	struct shared *s = NULL;
	struct err err = ERR_INIT;
	int fd = -1;

	REQUIRE_OK(shared_create(&sizes, &fd, &err), &err);
	REQUIRE_OK(shared_open(fd, &s, &err), &err);
	fd_close(&fd);
	return s;
}

static void begin(void)
{
	old = make();
	new = make();
}

static void end(void)
{
	shared_close(&old);
	shared_close(&new);
}

static void carry(void)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	shared_export(old, &out);
	REQUIRE_OK(shared_import(new, out.data, out.len, &err), &err);
	buf_deinit(&out);
}

static void test_paths(void)
{
	uint32_t p, q, r;
	int64_t now_ms = 1000000;

	begin();
	p = shared_path_find(old, 7, now_ms);
	q = shared_path_find(old, 8, now_ms);
	(void)shared_path_find(old, 9, now_ms);
	for (int i = 0; i < 5; i++) {
		now_ms += 10000;
		shared_path_note(old, p, SHARED_CUT, 960 + (uint32_t)i, &terms, now_ms);
		shared_path_note(old, p, SHARED_LIVED, 600, &terms, now_ms);
		if (i < 4)
			shared_path_note(old, q, SHARED_CUT, 540, &terms, now_ms);
	}
	carry();
	CHECK_INT(shared_paths_limited(new), 1);
	r = shared_path_find(new, 7, now_ms);
	CHECK_INT(shared_path_limit(new, r, &terms, now_ms), 961);
	/* Four cuts of five came along: one more makes the limit. */
	r = shared_path_find(new, 8, now_ms);
	CHECK_INT(shared_path_limit(new, r, &terms, now_ms), 0);
	now_ms += 10000;
	shared_path_note(new, r, SHARED_CUT, 540, &terms, now_ms);
	CHECK_INT(shared_path_limit(new, r, &terms, now_ms), 540);
	/* It grows old from when it was learnt. */
	now_ms = 1000000 + 3601000;
	(void)shared_path_limit(new, r, &terms, now_ms);
	CHECK_INT(shared_path_limit(new, r, &terms, now_ms), 0);
	end();
}

static bool has_path(const struct shared *s, uint64_t key)
{
	for (uint32_t i = 0; i < s->page->sizes.paths; i++) {
		if (atomic_load(&s->paths[i].key) == key)
			return true;
	}
	return false;
}

/* None pushes another out in a table as large, wherever they stand; nor one that is as old as the
 * system. */
static void test_crowded_paths(void)
{
	enum { PATHS = 64, HOME = 60 };

	begin();
	REQUIRE(old->page->sizes.paths == PATHS);
	for (uint64_t i = 0; i < 8; i++) /* four of them at the end, four at the beginning */
		(void)shared_path_find(old, HOME + PATHS * i, i == 0 ? 0 : 1000000);
	for (uint64_t i = 1; i <= 4; i++)
		(void)shared_path_find(old, PATHS * i, 0);
	for (int i = 0; i < 2; i++) {
		for (uint64_t k = 0; k < 8; k++)
			CHECK(has_path(i == 0 ? old : new, HOME + PATHS * k));
		for (uint64_t k = 1; k <= 4; k++)
			CHECK(has_path(i == 0 ? old : new, PATHS * k));
		carry();
	}
	end();
}

/* A network is found again, because hashes are the same; the memory is not taken for the old. */
static void test_keys(void)
{
	begin();
	CHECK(shared_hash(old, "net", 3) != shared_hash(new, "net", 3));
	carry();
	CHECK(shared_hash(old, "net", 3) == shared_hash(new, "net", 3));
	CHECK(shared_proof(old) != shared_proof(new));
	end();
}

static void test_heartbeats(void)
{
	struct shared_heartbeats h;

	begin();
	for (uint32_t i = 0; i < 15; i++)
		(void)shared_heartbeat_note(old, 100 + i, 10, 540);
	CHECK(shared_heartbeats_of(old).are_short);
	carry();
	h = shared_heartbeats_of(new);
	CHECK_INT(h.count, 10);
	CHECK_INT(h.sum_s, shared_heartbeats_of(old).sum_s);
	CHECK(h.are_short);
	/* It was said already. */
	CHECK_INT(shared_heartbeat_note(new, 100, 10, 540), SHARED_HEARTBEAT_SAME);
	end();
}

static void test_sent_away(void)
{
	begin();
	for (int i = 0; i < 50; i++)
		(void)shared_retry_s(old, 1000000);
	(void)shared_retry_s(old, 1010000);
	carry();
	(void)shared_retry_s(new, 1010000);
	CHECK_INT(atomic_load(&new->page->sent_away.before), 50);
	CHECK_INT(atomic_load(&new->page->sent_away.present), 2);
	end();
}

/* Of a release with other ranges, with a tag and a version that are not known here. */
static void test_other_release(void)
{
	static const uint16_t ranges[][4] = {{100, 9, 0, 0}, {1000, 0, 5, 777}, {65535, 7, 0, 0}};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	uint32_t p;

	begin();
	buf_add_u16(&out, 99);
	buf_add_u16(&out, 1);
	buf_add_u32(&out, 3);
	buf_add(&out, "new", 3);
	buf_add_u16(&out, 1); /* the key, in a later version */
	buf_add_u16(&out, 2);
	buf_add_u32(&out, 0);
	buf_add_u16(&out, 2);
	buf_add_u16(&out, 1);
	buf_add_u32(&out, 8 + 16 + 2 + 24 + 1); /* a field more at its end */
	buf_add_u64(&out, 7);
	for (int i = 0; i < 3; i++)
		buf_add_u32(&out, 1000);
	buf_add_u32(&out, 0);
	buf_add_u16(&out, 3);
	for (size_t i = 0; i < 12; i++)
		buf_add_u16(&out, ranges[i / 4][i % 4]);
	buf_add_byte(&out, 1);
	REQUIRE_OK(shared_import(new, out.data, out.len, &err), &err);
	p = shared_path_find(new, 7, 1000000);
	CHECK_INT(shared_path_limit(new, p, &terms, 1000000), 0);
	CHECK_INT(atomic_load(&new->paths[p].lived[2]), 9); /* up to 90 s: 100 is not 120 */
	CHECK_INT(atomic_load(&new->paths[p].lived[SHARED_SILENCES - 1]), 7);
	CHECK_INT(atomic_load(&new->paths[p].shortest_s[16]), 777);
	buf_deinit(&out);
	end();
}

/* Cut anywhere, it is said; nothing is read beyond it. */
static void test_cut(void)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	begin();
	(void)shared_path_find(old, 7, 1000);
	shared_export(old, &out);
	for (size_t len = 1; len < out.len; len++) {
		/* Between two entries there is nothing to see. */
		if (shared_import(new, out.data, len, &err) == 0)
			CHECK(len == 24 || len == 24 + 34 || len == out.len - 24);
		else
			CHECK_INT(err.code, ERR_BAD_INPUT);
	}
	buf_deinit(&out);
	end();
}

static void test_counters(void)
{
	static const char *const names[] = {"apples", NULL, "pears"};
	struct shared_counted taken[2 * SHARED_COUNTERS];
	uint64_t *mine, got[3] = {1, 1, 1};
	int gone, part;
	size_t count;

	begin();
	gone = shared_part_take(old, 11);
	shared_counters(old, gone, names, 3)[2] = 30;
	shared_part_release(old, gone);
	part = shared_part_take(old, 12);
	mine = shared_counters(old, part, names, 3);
	mine[0] = 5;
	mine[1] = 99; /* lasts no longer than its process */
	mine[2] = 2;
	count = shared_counters_take(old, part, taken);
	CHECK_INT(count, 3);
	CHECK_INT(mine[0] + mine[2], 0);
	CHECK_INT(shared_counters_take(old, part, taken + count), 0);
	shared_counters_give(new, taken, count);
	shared_counters_inherit(new, names, 3, got);
	CHECK_INT(got[0], 6);
	CHECK_INT(got[1], 1);
	CHECK_INT(got[2], 33);
	end();
}

TEST_MAIN(TEST(test_paths), TEST(test_crowded_paths), TEST(test_keys), TEST(test_heartbeats),
	TEST(test_sent_away), TEST(test_other_release), TEST(test_cut), TEST(test_counters))
