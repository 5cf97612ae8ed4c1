/*
 * What a change event does to watches. An event costs what it touches: the watches of its folder,
 * user or device.
 *
 * The decision (DESIGN.md, section 6): a new item of the right class inside the filter, not brought
 * by the phone itself, is certain to be sent by the folder's next Sync. A change of Read, Flag,
 * Categories or verb alone waits for others of its kind. Everything else is looked at by the exact
 * check, which knows what the phone has and what is not echoed to it.
 */
#include "notify/watch_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define KINDS_GATHERED (CHANGE_READ | CHANGE_FLAG | CHANGE_CATEGORIES | CHANGE_VERB)
#define KINDS_ITEM     (CHANGE_ADD | CHANGE_CONTENT | CHANGE_DELETE | KINDS_GATHERED)

void watch_calls_init(struct watch_calls *calls)
{
	calls->calls = calls->few;
	calls->count = 0;
	calls->cap = ARRAY_LEN(calls->few);
}

static void add_call(struct watch_calls *calls, struct watch_call call)
{
	if (calls->count == calls->cap) {
		struct watch_call *more = x_calloc(calls->cap * 2, sizeof(*more));

		memcpy(more, calls->calls, calls->count * sizeof(*more));
		if (calls->calls != calls->few)
			mem_free(calls->calls);
		calls->calls = more;
		calls->cap *= 2;
	}
	calls->calls[calls->count++] = call;
}

void watch_calls_run(struct watch_calls *calls, struct watches *w)
{
	for (size_t i = 0; i < calls->count; i++)
		w->options.on_marked(calls->calls[i].id, calls->calls[i].marks, w->options.owner);
	if (calls->calls != calls->few)
		mem_free(calls->calls);
	watch_calls_init(calls);
}

void watch_mark(struct watch *watch, unsigned marks, struct watch_calls *calls)
{
	unsigned fresh = marks & ~(unsigned)watch->marks;

	watch->marks |= (uint8_t)marks;
	if (watch->state == WATCH_PARKED) {
		watch->state = WATCH_MARKED;
		add_call(calls, (struct watch_call){{watch->id}, watch->marks});
	} else if (watch->state == WATCH_MARKED && (fresh & WATCH_MARK_ADMIN)) {
		/* Told even while another mark is on its way: renewals from memory end at once. */
		add_call(calls, (struct watch_call){{watch->id}, watch->marks});
	}
}

/* Starts the gathering of flag changes, unless it runs. */
static void gather(struct watches *w, struct watch *watch, struct watch_calls *calls)
{
	struct list_node *at;

	if (w->options.flag_wake_delay_s == 0) {
		watch_mark(watch, WATCH_MARK_CHECK, calls);
		return;
	}
	if (watch->flag_due_ms != 0)
		return;
	watch->flag_due_ms = clock_now_ms() + (int64_t)w->options.flag_wake_delay_s * 1000;
	/* Soonest first; the delay is the same for all unless it was just changed, so this is one
	 * step. */
	at = w->timers.prev;
	while (at != &w->timers &&
		LIST_ENTRY(at, struct watch, timer)->flag_due_ms > watch->flag_due_ms)
		at = at->prev;
	list_append(at->next, &watch->timer);
}

static void mark_entry(struct watches *w, struct watch_entry *e, const struct change_event *event,
	struct watch_calls *calls)
{
	struct watch *watch = e->watch;
	unsigned kinds = event->kinds & KINDS_ITEM;
	bool own = event->device.v != 0 && event->device.v == watch->device.v;

	if (event->owner.v == watch->user.v && event->seq != 0 && event->seq <= watch->seen_seq)
		return;
	if (own) {
		watch_mark(watch, WATCH_MARK_CHECK, calls);
	} else if ((kinds & CHANGE_ADD) && !(kinds & CHANGE_DELETE) && !e->exact && !watch->stale &&
		   event->item_class == e->item_class && event->date_at >= e->cutoff_at) {
		e->changed = true;
		watch_mark(watch, WATCH_MARK_CHANGED, calls);
	} else if (kinds & ~(unsigned)KINDS_GATHERED) {
		watch_mark(watch, WATCH_MARK_CHECK, calls);
	} else {
		gather(w, watch, calls);
	}
}

static void publish_items(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	struct watch_link *link =
		watch_index_chain(&w->by_folder, watch_hash(event->owner.v, event->folder.v));

	for (; link != NULL; link = link->next) {
		struct watch_entry *e = WATCH_OF(link, struct watch_entry, by_folder);

		if (e->owner.v == event->owner.v && e->folder.v == event->folder.v)
			mark_entry(w, e, event, calls);
	}
}

static void publish_user(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	struct watch_link *link = watch_index_chain(&w->by_user, watch_hash(event->owner.v, 0));

	for (; link != NULL; link = link->next) {
		struct watch *watch = WATCH_OF(link, struct watch, by_user);

		if (watch->user.v != event->owner.v)
			continue;
		if ((event->kinds & CHANGE_HIERARCHY) && watch->hierarchy)
			watch_mark(watch, WATCH_MARK_HIERARCHY, calls);
		if (event->kinds & CHANGE_USER)
			watch_mark(watch, WATCH_MARK_ADMIN, calls);
	}
}

static void publish_device(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	struct watch_link *link = watch_index_chain(&w->by_device, watch_hash(event->device.v, 0));

	for (; link != NULL; link = link->next) {
		struct watch *watch = WATCH_OF(link, struct watch, by_device);

		if (watch->device.v == event->device.v)
			watch_mark(watch, WATCH_MARK_ADMIN, calls);
	}
}

static void publish_global(struct watches *w, struct watch_calls *calls)
{
	for (size_t i = 0; i < w->by_id.slot_count; i++) {
		for (struct watch_link *l = w->by_id.slots[i]; l != NULL; l = l->next)
			watch_mark(WATCH_OF(l, struct watch, by_id), WATCH_MARK_ADMIN, calls);
	}
}

void watches_publish(struct watches *w, const struct change_event *events, size_t count)
{
	struct watch_calls calls;

	watch_calls_init(&calls);
	(void)pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < count; i++) {
		if (events[i].kinds & KINDS_ITEM)
			publish_items(w, &events[i], &calls);
		if (events[i].kinds & (CHANGE_HIERARCHY | CHANGE_USER))
			publish_user(w, &events[i], &calls);
		if (events[i].kinds & CHANGE_DEVICE)
			publish_device(w, &events[i], &calls);
		if (events[i].kinds & CHANGE_GLOBAL)
			publish_global(w, &calls);
	}
	(void)pthread_mutex_unlock(&w->lock);
	watch_calls_run(&calls, w);
}

int64_t watches_next_timer_ms(struct watches *w, int64_t now_ms)
{
	int64_t left = -1;

	(void)pthread_mutex_lock(&w->lock);
	if (!list_empty(&w->timers))
		left = MAX(
			LIST_ENTRY(w->timers.next, struct watch, timer)->flag_due_ms - now_ms, 0);
	(void)pthread_mutex_unlock(&w->lock);
	return left;
}

void watches_run_timers(struct watches *w, int64_t now_ms)
{
	struct watch_calls calls;

	watch_calls_init(&calls);
	(void)pthread_mutex_lock(&w->lock);
	while (!list_empty(&w->timers)) {
		struct watch *watch = LIST_ENTRY(w->timers.next, struct watch, timer);

		if (watch->flag_due_ms > now_ms)
			break;
		watch->flag_due_ms = 0;
		list_remove(&watch->timer);
		watch_mark(watch, WATCH_MARK_CHECK, &calls);
	}
	(void)pthread_mutex_unlock(&w->lock);
	watch_calls_run(&calls, w);
}
