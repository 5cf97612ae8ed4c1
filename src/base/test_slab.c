#include "base/slab.h"

#include "base/mem.h"
#include "base/test.h"

static void test_take_and_put(void)
{
	struct slab *s = slab_new(24, 3);
	struct slab_handle a, b, c, d;
	uint64_t *one = slab_take(s, &a);

	REQUIRE(one != NULL && slab_take(s, &b) != NULL && slab_take(s, &c) != NULL);
	CHECK(slab_take(s, &d) == NULL);
	CHECK_INT(slab_count(s), 3);
	one[2] = 77;
	CHECK(slab_find(s, a) == one && slab_get(s, a.slot) == one);
	slab_put(s, a.slot);
	CHECK(slab_find(s, a) == NULL && slab_get(s, a.slot) == NULL);
	one = slab_take(s, &d);
	REQUIRE(one != NULL);
	CHECK_INT(d.slot, a.slot);
	CHECK(d.generation != a.generation);
	CHECK_INT(one[2], 0);
	CHECK(slab_find(s, a) == NULL && slab_find(s, d) == one);
	slab_free(&s);
	CHECK(s == NULL);
}

static void test_many(void)
{
	enum { COUNT = 5000 };
	struct slab *s = slab_new(sizeof(uint32_t), COUNT);
	static struct slab_handle handles[COUNT];

	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t *v = slab_take(s, &handles[i]);

		REQUIRE(v != NULL);
		*v = i;
	}
	for (uint32_t i = 0; i < COUNT; i += 2)
		slab_put(s, handles[i].slot);
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t *v = slab_find(s, handles[i]);

		CHECK((v == NULL) == (i % 2 == 0));
		if (v != NULL)
			CHECK_INT(*v, i);
	}
	CHECK_INT(slab_count(s), COUNT / 2);
	CHECK_INT(slab_slots(s), COUNT);
	CHECK(slab_find(s, (struct slab_handle){COUNT + 5, 1}) == NULL);
	slab_free(&s);
}

static void test_memory_short(void)
{
	/* The n-th allocation fails for each n until the take succeeds. */
	for (unsigned n = 1; n < 10; n++) {
		struct slab *s = slab_new(64, 10);
		struct slab_handle h;
		void *object;

		mem_fail_after(n);
		object = slab_take(s, &h);
		mem_fail_after(0);
		CHECK_INT(slab_count(s), object != NULL);
		CHECK(object != NULL || n < 5);
		CHECK(slab_take(s, &h) != NULL);
		slab_free(&s);
	}
}

TEST_MAIN(TEST(test_take_and_put), TEST(test_many), TEST(test_memory_short))
