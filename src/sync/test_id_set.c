#include "sync/id_set.h"

#include "base/mem.h"
#include "base/test.h"

static void check_print(const struct id_set *s, const char *want)
{
	struct buf b = BUF_INIT;

	id_set_print(s, &b);
	CHECK_STR(buf_cstr(&b), want);
	buf_deinit(&b);
}

static void test_add_remove(void)
{
	struct id_set s = ID_SET_INIT;

	for (uint64_t i = 1; i <= 480; i++)
		CHECK(id_set_add(&s, i));
	CHECK(id_set_add(&s, 512));
	CHECK(!id_set_add(&s, 100));
	check_print(&s, "1:480,512");
	CHECK(id_set_remove(&s, 100));
	CHECK(!id_set_remove(&s, 100));
	CHECK(id_set_remove(&s, 1));
	CHECK(id_set_remove(&s, 512));
	check_print(&s, "2:99,101:480");
	CHECK(id_set_add(&s, 100));
	check_print(&s, "2:480");
	CHECK_INT(id_set_count(&s), 479);
	id_set_deinit(&s);
}

/* Against a plain array of booleans. */
static void test_against_model(void)
{
	struct id_set s = ID_SET_INIT, back = ID_SET_INIT;
	bool model[200] = {false};
	uint64_t seed = 12345;

	for (int step = 0; step < 20000; step++) {
		uint64_t id;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		id = 1 + (seed >> 33) % 199;
		if ((seed >> 20 & 1) != 0) {
			CHECK(id_set_add(&s, id) == !model[id]);
			model[id] = true;
		} else {
			CHECK(id_set_remove(&s, id) == model[id]);
			model[id] = false;
		}
		CHECK(id_set_has(&s, id) == model[id]);
		for (size_t r = 1; r < s.count; r++)
			CHECK(s.runs[r].first > s.runs[r - 1].last + 1);
	}
	{
		struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		struct rd rd;

		id_set_encode(&s, &b);
		rd_init(&rd, b.data, b.len);
		REQUIRE_OK(id_set_decode(&rd, &back, &err), &err);
		for (uint64_t id = 1; id < 200; id++)
			CHECK(id_set_has(&back, id) == model[id]);
		buf_deinit(&b);
	}
	id_set_deinit(&s);
	id_set_deinit(&back);
}

static void test_broken_blobs(void)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
	} cases[] = {{{2, 1, 0}, 3}, {{1, 0, 0}, 3}, {{2, 1, 0, 1, 0}, 5}, {{0xff, 0xff, 0xff}, 3},
		{{1, 1}, 2}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct id_set s = ID_SET_INIT;
		struct err err = ERR_INIT;
		struct rd rd;

		rd_init(&rd, cases[i].bytes, cases[i].len);
		CHECK_INT(id_set_decode(&rd, &s, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		id_set_deinit(&s);
	}
}

TEST_MAIN(TEST(test_add_remove), TEST(test_against_model), TEST(test_broken_blobs))
