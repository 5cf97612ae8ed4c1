/*
 * The wheel. Time is cut into ticks of a second, counted from zero of the monotonic clock; an entry
 * for tick t lies in slot t % WHEEL_SLOTS. Lists are doubly linked by index, because a pointer is
 * twice as long and an index survives a process dump.
 *
 * Invariant: every entry in slot s belongs to the one tick t in (tick, tick + WHEEL_SLOTS) with t %
 * WHEEL_SLOTS == s.
 */
#include "base/wheel.h"

#include "base/mem.h"

#define NONE    UINT32_MAX
#define TICK_MS 1000

struct wheel {
	wheel_link_fn link;
	void *owner;
	int64_t tick; /* the last one that ran */
	uint32_t count;
	uint32_t heads[WHEEL_SLOTS];
};

_Static_assert(sizeof(struct wheel_link) == 12, "a million of them");

struct wheel *wheel_new(int64_t now_ms, wheel_link_fn link, void *owner)
{
	struct wheel *w = x_new(struct wheel);

	w->link = link;
	w->owner = owner;
	w->tick = now_ms / TICK_MS;
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		w->heads[i] = NONE;
	return w;
}

void wheel_free(struct wheel **w)
{
	mem_free(*w);
	*w = NULL;
}

void wheel_clear(struct wheel *w, uint32_t index)
{
	struct wheel_link *l = w->link(w->owner, index);

	if (!l->armed)
		return;
	if (l->prev == NONE)
		w->heads[l->slot] = l->next;
	else
		w->link(w->owner, l->prev)->next = l->next;
	if (l->next != NONE)
		w->link(w->owner, l->next)->prev = l->prev;
	l->armed = 0;
	w->count--;
}

void wheel_set(struct wheel *w, uint32_t index, int64_t now_ms, int64_t deadline_ms)
{
	struct wheel_link *l = w->link(w->owner, index);
	int64_t tick = deadline_ms / TICK_MS + (deadline_ms % TICK_MS > 0);

	wheel_clear(w, index);
	if (w->count == 0)
		w->tick = MAX(w->tick, now_ms / TICK_MS);
	tick = MAX(tick, w->tick + 1);
	tick = MIN(tick, w->tick + WHEEL_SLOTS - 1);
	l->slot = (uint16_t)(tick % WHEEL_SLOTS);
	l->prev = NONE;
	l->next = w->heads[l->slot];
	l->armed = 1;
	if (l->next != NONE)
		w->link(w->owner, l->next)->prev = index;
	w->heads[l->slot] = index;
	w->count++;
}

void wheel_run(struct wheel *w, int64_t now_ms, void (*fn)(void *owner, uint32_t index))
{
	int64_t now = now_ms / TICK_MS;

	while (w->tick < now) {
		uint32_t *head;

		if (w->count == 0) {
			w->tick = now;
			return;
		}
		w->tick++;
		/* What fn sets goes to a later tick, so this ends. */
		head = &w->heads[w->tick % WHEEL_SLOTS];
		while (*head != NONE) {
			uint32_t index = *head;

			wheel_clear(w, index);
			fn(w->owner, index);
		}
	}
}

int64_t wheel_next_ms(const struct wheel *w)
{
	return w->count == 0 ? -1 : (w->tick + 1) * TICK_MS;
}
