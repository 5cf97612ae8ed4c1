/*
 * Time, real or fake. Reads are one vDSO call, so nothing is cached.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

#include "base/pure.h"

static _Atomic int fake_on;
static _Atomic int64_t fake_wall_ms, fake_mono_ms;

static int64_t read_ms(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	pure_check("the clock");
	return atomic_load(&fake_on) ? atomic_load(&fake_wall_ms) : read_ms(CLOCK_REALTIME);
}

int64_t clock_now_at(void)
{
	return clock_wall_ms() / 1000;
}

int64_t clock_now_ms(void)
{
	pure_check("the clock");
	return atomic_load(&fake_on) ? atomic_load(&fake_mono_ms) : read_ms(CLOCK_MONOTONIC);
}

int64_t clock_now_us(void)
{
	struct timespec ts;

	pure_check("the clock");
	if (atomic_load(&fake_on))
		return atomic_load(&fake_mono_ms) * 1000;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_fake_set(int64_t wall_ms, int64_t mono_ms)
{
	atomic_store(&fake_wall_ms, wall_ms);
	atomic_store(&fake_mono_ms, mono_ms);
	atomic_store(&fake_on, 1);
}

void clock_fake_advance_ms(int64_t ms)
{
	atomic_fetch_add(&fake_wall_ms, ms);
	atomic_fetch_add(&fake_mono_ms, ms);
}

void clock_fake_off(void)
{
	atomic_store(&fake_on, 0);
}
