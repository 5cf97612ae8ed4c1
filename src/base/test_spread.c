/* Retry-After: spread, the wider the more are sent away, and back to little when it is quiet. */
#include "base/spread.h"

#include "base/mem.h"
#include "base/test.h"

static uint32_t latest(struct spread *s, uint32_t per_s, int64_t now_ms, uint32_t count)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = spread_next_s(s, per_s, now_ms);

		CHECK(at >= SPREAD_MIN_S && at <= SPREAD_MAX_S);
		most = MAX(most, at);
	}
	return most;
}

static void test_widens(void)
{
	struct spread s = {0};
	uint32_t few = latest(&s, 100, 50000, 100), many;

	CHECK(few > 10 && few < 25);
	many = latest(&s, 100, 50000, 20000);
	CHECK(many > 100);
	/* The window before counts as well, the one before that does not. */
	CHECK(latest(&s, 100, 60000, 100) > 100);
	CHECK(latest(&s, 100, 80000, 100) < 25);
	CHECK(latest(&s, 1, 80000, 5000) > 250); /* and never beyond the maximum */
}

/* They come back evenly: no second gets a multiple of its share. */
static void test_even(void)
{
	static uint32_t seconds[SPREAD_MAX_S + 1];
	struct spread s = {0};

	(void)latest(&s, 100, 1000, 10000);
	for (int i = 0; i < 10000; i++)
		seconds[spread_next_s(&s, 100, 11000)]++;
	for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
		CHECK(seconds[i] < 200);
}

TEST_MAIN(TEST(test_widens), TEST(test_even))
