/*
 * Watches that must be looked at though nothing marks them: a phone is to provision again after so
 * many hours. They are in a heap, soonest first, of (time, id); whoever is gone when the time comes
 * is passed over, and the heap is swept when most in it are gone.
 *
 * With the lock of the watches, all but watch_set_due().
 */
#include <string.h>

#include "base/mem.h"
#include "notify/watch_internal.h"

enum { SWEEP_FROM = 1024 };

static void move_up(struct watch_due *heap, size_t at)
{
	while (at > 0 && heap[(at - 1) / 2].at_ms > heap[at].at_ms) {
		struct watch_due parent = heap[(at - 1) / 2];

		heap[(at - 1) / 2] = heap[at];
		heap[at] = parent;
		at = (at - 1) / 2;
	}
}

static void move_down(struct watch_due *heap, size_t count, size_t at)
{
	for (;;) {
		size_t least = at;
		struct watch_due moved = heap[at];

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
			if (heap[child].at_ms < heap[least].at_ms)
				least = child;
		}
		if (least == at)
			return;
		heap[at] = heap[least];
		heap[least] = moved;
		at = least;
	}
}

static struct watch *waits_for(struct watches *w, const struct watch_due *due)
{
	struct watch *watch = watch_find_id(w, (struct watch_id){due->id});

	return watch != NULL && watch->due ? watch : NULL;
}

/* Drops those whose watch is gone. */
static void sweep(struct watches *w)
{
	size_t left = 0;

	for (size_t i = 0; i < w->due_count; i++) {
		if (waits_for(w, &w->due[i]) != NULL)
			w->due[left++] = w->due[i];
	}
	w->due_count = left;
	for (size_t i = left / 2; i-- > 0;)
		move_down(w->due, left, i);
}

static void add(struct watches *w, struct watch_due due)
{
	if (w->due_count == w->due_cap && w->due_count >= SWEEP_FROM &&
		w->due_count > 2 * w->by_id.count)
		sweep(w);
	if (w->due_count == w->due_cap) {
		w->due_cap = MAX(w->due_cap * 2, (size_t)64);
		w->due = x_realloc(w->due, w->due_cap * sizeof(*w->due));
	}
	w->due[w->due_count] = due;
	move_up(w->due, w->due_count++);
}

void watch_set_due(struct watches *w, struct watch_id id, int64_t at_ms)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	if (watch != NULL && !watch->due) {
		watch->due = true;
		add(w, (struct watch_due){at_ms, id.v});
	}
	(void)pthread_mutex_unlock(&w->lock);
}

int64_t watch_due_next_ms(const struct watches *w)
{
	return w->due_count > 0 ? w->due[0].at_ms : -1;
}

void watch_due_run(struct watches *w, int64_t now_ms, struct watch_calls *calls)
{
	while (w->due_count > 0 && w->due[0].at_ms <= now_ms) {
		struct watch *watch = waits_for(w, &w->due[0]);

		w->due[0] = w->due[--w->due_count];
		if (w->due_count > 0)
			move_down(w->due, w->due_count, 0);
		if (watch == NULL)
			continue;
		watch->due = false;
		(void)watch_mark(w, watch, WATCH_MARK_ADMIN, calls);
	}
}

void watch_due_deinit(struct watches *w)
{
	mem_free(w->due);
	w->due = NULL;
	w->due_count = w->due_cap = 0;
}
