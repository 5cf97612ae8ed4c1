/*
 * The window over the last heartbeats of all phones: a ring of what they asked for, with its sum.
 * Each place is exchanged for the new value and the sum moved by the difference, so the sum is
 * right whoever writes when.
 *
 * Limits: SHARED_WINDOW_MAX places; another length of the window begins anew.
 */
#include "base/mem.h"
#include "shared/shared_internal.h"
#include "shared/shared_path.h"

#define WELL_PERCENT 110 /* of the threshold: so that one around it does not warn all the time */

static void begin(struct shared_page *p, uint32_t window)
{
	for (uint32_t i = 0; i < SHARED_WINDOW_MAX; i++)
		atomic_store(&p->heartbeats[i], 0);
	atomic_store(&p->heartbeat_sum, 0);
	atomic_store(&p->heartbeat_next, 0);
	atomic_store(&p->heartbeat_window, window);
}

/* One more into the ring; returns how many came before it, and the sum with it. */
static uint64_t add(struct shared_page *p, uint32_t heartbeat_s, uint32_t window, uint64_t *ret_sum)
{
	uint64_t n;
	unsigned was;

	if (atomic_load_explicit(&p->heartbeat_window, memory_order_relaxed) != window)
		begin(p, window);
	heartbeat_s = MIN(heartbeat_s, 65535u);
	n = atomic_fetch_add_explicit(&p->heartbeat_next, 1, memory_order_relaxed);
	was = atomic_exchange_explicit(
		&p->heartbeats[n % window], (uint16_t)heartbeat_s, memory_order_relaxed);
	*ret_sum = atomic_fetch_add_explicit(
			   &p->heartbeat_sum, (uint64_t)heartbeat_s - was, memory_order_relaxed) +
		   heartbeat_s - was;
	return n;
}

void shared_heartbeat_take(struct shared *s, uint32_t heartbeat_s, uint32_t window)
{
	uint64_t sum;

	(void)add(s->page, heartbeat_s, window, &sum);
}

enum shared_heartbeat shared_heartbeat_note(
	struct shared *s, uint32_t heartbeat_s, uint32_t window, uint32_t threshold_s)
{
	struct shared_page *p = s->page;
	uint64_t n, sum = 0, threshold;
	unsigned was;

	window = MIN(MAX(window, 1u), (uint32_t)SHARED_WINDOW_MAX);
	n = add(p, heartbeat_s, window, &sum);
	if (n + 1 < window)
		return SHARED_HEARTBEAT_SAME;
	threshold = (uint64_t)threshold_s * window;
	was = atomic_load_explicit(&p->heartbeats_short, memory_order_relaxed);
	if (was == 0 && sum < threshold &&
		atomic_compare_exchange_strong(&p->heartbeats_short, &was, 1))
		return SHARED_HEARTBEAT_SHORT;
	if (was == 1 && sum * 100 >= threshold * WELL_PERCENT &&
		atomic_compare_exchange_strong(&p->heartbeats_short, &was, 0))
		return SHARED_HEARTBEAT_WELL;
	return SHARED_HEARTBEAT_SAME;
}

struct shared_heartbeats shared_heartbeats_of(const struct shared *s)
{
	const struct shared_page *p = s->page;
	uint64_t next = atomic_load(&p->heartbeat_next);
	uint32_t window = atomic_load(&p->heartbeat_window);

	return (struct shared_heartbeats){(uint32_t)MIN(next, (uint64_t)window),
		atomic_load(&p->heartbeat_sum), atomic_load(&p->heartbeats_short) != 0};
}
