/*
 * Spreading by counting: who was sent away in the last WINDOW_MS or two divides by the rate at
 * which they may return, and a random point of that time is chosen. Limits: SPREAD_MIN_S to
 * SPREAD_MAX_S.
 */
#include "base/spread.h"

#include "base/mem.h"
#include "base/str.h"

#define WINDOW_MS  10000
#define SPREAD_LOW 20 /* seconds over which even a few are spread */

uint32_t spread_next_s(struct spread *s, uint32_t per_s, int64_t now_ms)
{
	int64_t window = now_ms / WINDOW_MS + 1, seen = atomic_load(&s->window);
	uint32_t sent_away, over_s;

	if (seen != window && atomic_compare_exchange_strong(&s->window, &seen, window)) {
		uint32_t last = atomic_exchange(&s->present, 0);

		atomic_store(&s->before, seen == window - 1 ? last : 0);
	}
	sent_away = atomic_fetch_add(&s->present, 1) + 1 + atomic_load(&s->before);
	over_s = MAX(sent_away / MAX(per_s, 1u), (uint32_t)SPREAD_LOW);
	over_s = MIN(over_s, (uint32_t)(SPREAD_MAX_S - SPREAD_MIN_S));
	return SPREAD_MIN_S + (uint32_t)(random_u64() % over_s);
}
