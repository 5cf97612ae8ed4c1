#include "base/wheel.h"

#include "base/mem.h"
#include "base/test.h"

#define ENTRIES 8

static struct wheel *wheel;
static int64_t now;
static struct wheel_link links[ENTRIES];
static int fired[ENTRIES];
static int64_t again_ms; /* entry 7 sets itself again to this */

static struct wheel_link *link_of(void *owner, uint32_t index)
{
	return &links[index];
}

static void on_fire(void *owner, uint32_t index)
{
	fired[index]++;
	if (index == 7 && again_ms > 0)
		wheel_set(wheel, 7, now, again_ms);
}

static void begin(int64_t now_ms)
{
	memset(links, 0, sizeof(links));
	memset(fired, 0, sizeof(fired));
	again_ms = 0;
	now = now_ms;
	wheel = wheel_new(now_ms, link_of, NULL);
}

static void test_fires_once_not_early(void)
{
	begin(10500);
	CHECK_INT(wheel_next_ms(wheel), -1);
	wheel_set(wheel, 1, now, 12100);
	wheel_set(wheel, 2, now, 12000);
	wheel_set(wheel, 3, now, 12999);
	CHECK_INT(wheel_next_ms(wheel), 11000);
	wheel_run(wheel, 11999, on_fire);
	CHECK_INT(fired[1] + fired[2] + fired[3], 0);
	wheel_run(wheel, 12000, on_fire);
	CHECK_INT(fired[2], 1);
	CHECK_INT(fired[1], 0);
	wheel_run(wheel, 13000, on_fire);
	CHECK_INT(fired[1], 1);
	CHECK_INT(fired[3], 1);
	wheel_run(wheel, 90000000, on_fire);
	CHECK_INT(fired[1] + fired[2] + fired[3], 3);
	CHECK_INT(wheel_next_ms(wheel), -1);
	wheel_free(&wheel);
}

static void test_clear_and_move(void)
{
	begin(0);
	for (uint32_t i = 0; i < 4; i++)
		wheel_set(wheel, i, now, 5000);
	wheel_clear(wheel, 1);
	wheel_clear(wheel, 1);
	wheel_set(wheel, 2, now, 9000);
	wheel_run(wheel, 5000, on_fire);
	CHECK_INT(fired[0], 1);
	CHECK_INT(fired[1], 0);
	CHECK_INT(fired[2], 0);
	CHECK_INT(fired[3], 1);
	wheel_run(wheel, 9000, on_fire);
	CHECK_INT(fired[2], 1);
	wheel_free(&wheel);
}

static void test_past_and_far(void)
{
	begin(100000);
	wheel_set(wheel, 0, now, 5);                     /* long over: the next second */
	wheel_set(wheel, 1, now, 100000 + 10000 * 1000); /* beyond the wheel: fires at its end */
	wheel_run(wheel, 101000, on_fire);
	CHECK_INT(fired[0], 1);
	wheel_run(wheel, 100000 + 4094 * 1000, on_fire);
	CHECK_INT(fired[1], 0);
	wheel_run(wheel, 100000 + 4095 * 1000, on_fire);
	CHECK_INT(fired[1], 1);
	wheel_free(&wheel);
}

static void test_set_again_while_it_runs(void)
{
	begin(0);
	again_ms = 1; /* in the past: the next tick, not the same one for ever */
	wheel_set(wheel, 7, now, 1000);
	wheel_run(wheel, 3000, on_fire);
	CHECK_INT(fired[7], 3);
	wheel_free(&wheel);
}

static void test_after_a_long_rest(void)
{
	begin(0);
	now = 50000000;
	wheel_set(wheel, 0, now, now + 10000);
	wheel_run(wheel, now + 9000, on_fire);
	CHECK_INT(fired[0], 0);
	wheel_run(wheel, now + 10000, on_fire);
	CHECK_INT(fired[0], 1);
	wheel_free(&wheel);
}

TEST_MAIN(TEST(test_after_a_long_rest), TEST(test_fires_once_not_early), TEST(test_clear_and_move),
	TEST(test_past_and_far), TEST(test_set_again_while_it_runs))
