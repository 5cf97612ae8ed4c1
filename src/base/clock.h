#ifndef BELLHOP_BASE_CLOCK_H
#define BELLHOP_BASE_CLOCK_H

#include <stdint.h>

/*
 * The only source of time. `_at` values are wall-clock seconds since 1970 (UTC); `_ms` values are
 * monotonic milliseconds. Tests freeze both with clock_fake_set() and move them by hand.
 *
 * Thread-safe. Not inside a transaction (base/pure.h), which is handed the time it needs.
 */
int64_t clock_now_at(void);
int64_t clock_now_ms(void);
/* The same clock, for durations. */
int64_t clock_now_us(void);
/* Wall clock in milliseconds, for item dates and logs. */
int64_t clock_wall_ms(void);

/* Tests only: from now on time stands still at these values. */
void clock_fake_set(int64_t wall_ms, int64_t mono_ms);
void clock_fake_advance_ms(int64_t ms);
void clock_fake_off(void);

#endif
