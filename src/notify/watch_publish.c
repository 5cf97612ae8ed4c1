/*
 * What a change event does to watches. An event costs what it touches: the watches of its owner (a
 * phone or two, with the few bytes of their folders) or device.
 *
 * The decision (ARCHITECTURE.md, Rules): a new item of the right class inside the filter, not
 * brought by the phone itself, is certain to be sent by the folder's next Sync. A change of Read,
 * Flag, Categories or verb alone waits for others of its kind. Everything else is looked at by the
 * exact check, which knows what the phone has and what is not echoed to it.
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

bool watch_mark(struct watches *w, struct watch *watch, unsigned marks, struct watch_calls *calls)
{
	unsigned fresh = marks & ~(unsigned)watch->marks;

	if (watch->state == WATCH_REMEMBERED) {
		watch_remove(w, watch);
		return false;
	}
	watch->marks |= (uint8_t)marks;
	if (watch->state == WATCH_PARKED) {
		watch->state = WATCH_MARKED;
		add_call(calls, (struct watch_call){{watch->id}, watch->marks});
	} else if (watch->state == WATCH_MARKED && (fresh & WATCH_MARK_ADMIN)) {
		/* Told even while another mark is on its way: renewals from memory end at once. */
		add_call(calls, (struct watch_call){{watch->id}, watch->marks});
	}
	return true;
}

/* Starts the gathering of flag changes, unless it runs. False: the watch is gone. */
static bool gather(struct watches *w, struct watch *watch, struct watch_calls *calls)
{
	struct list_node *at;

	if (w->options.flag_wake_delay_s == 0 || watch->state == WATCH_REMEMBERED)
		return watch_mark(w, watch, WATCH_MARK_CHECK, calls);
	if (watch->flag_due_ms != 0)
		return true;
	watch->flag_due_ms = clock_now_ms() + (int64_t)w->options.flag_wake_delay_s * 1000;
	/* Soonest first; the delay is the same for all unless it was just changed, so this is one
	 * step. */
	at = w->timers.prev;
	while (at != &w->timers &&
		LIST_ENTRY(at, struct watch, queue)->flag_due_ms > watch->flag_due_ms)
		at = at->prev;
	list_append(at->next, &watch->queue);
	return true;
}

/* False: the watch is gone. */
static bool mark_folder(struct watches *w, struct watch *watch, struct watch_folders *it,
	const struct watch_folder *f, const struct change_event *event, struct watch_calls *calls)
{
	unsigned kinds = event->kinds & KINDS_ITEM;
	bool own = event->device.v != 0 && event->device.v == watch->device.v;

	if (event->owner.v == watch->user.v && event->seq != 0 && event->seq <= watch->seen_seq)
		return true;
	if (own)
		return watch_mark(w, watch, WATCH_MARK_CHECK, calls);
	if ((kinds & CHANGE_ADD) && !(kinds & CHANGE_DELETE) && !f->exact && !watch->stale &&
		event->item_class == f->item_class && event->date_at >= f->cutoff_at) {
		watch_folders_set_changed(it, true);
		return watch_mark(w, watch, WATCH_MARK_CHANGED, calls);
	}
	if (kinds & ~(unsigned)KINDS_GATHERED)
		return watch_mark(w, watch, WATCH_MARK_CHECK, calls);
	return gather(w, watch, calls);
}

/* A phone names a folder twice if it likes. */
static void mark_folders(struct watches *w, struct watch *watch, const struct change_event *event,
	struct watch_calls *calls)
{
	struct watch_folders it;
	struct watch_folder f;

	watch_folders_begin(&it, watch->packed, watch->packed_len, watch->user);
	while (watch_folders_next(&it, &f)) {
		if (f.folder.v == event->folder.v && f.owner.v == event->owner.v &&
			!mark_folder(w, watch, &it, &f, event, calls))
			return;
	}
}

static void publish_items(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	uint64_t hash = watch_hash(event->owner.v, 0);
	struct watch_link *next;

	for (struct watch_link *l = watch_index_chain(&w->by_user, hash); l != NULL; l = next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_user);

		next = l->next;
		if (watch->user.v == event->owner.v)
			mark_folders(w, watch, event, calls);
	}
	for (struct watch_link *l = watch_index_chain(&w->guests, hash); l != NULL; l = next) {
		struct watch_guest *guest = WATCH_OF(l, struct watch_guest, by_owner);

		next = l->next;
		if (guest->owner.v == event->owner.v)
			mark_folders(w, guest->watch, event, calls);
	}
}

static void publish_user(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	struct watch_link *link = watch_index_chain(&w->by_user, watch_hash(event->owner.v, 0));
	struct watch_link *next;

	for (; link != NULL; link = next) {
		struct watch *watch = WATCH_OF(link, struct watch, by_user);
		unsigned marks = 0;

		next = link->next;
		if (watch->user.v != event->owner.v)
			continue;
		if ((event->kinds & CHANGE_HIERARCHY) && watch->hierarchy)
			marks |= WATCH_MARK_HIERARCHY;
		if (event->kinds & CHANGE_USER)
			marks |= WATCH_MARK_ADMIN;
		if (marks != 0)
			(void)watch_mark(w, watch, marks, calls);
	}
}

static void publish_device(
	struct watches *w, const struct change_event *event, struct watch_calls *calls)
{
	struct watch_link *link = watch_index_chain(&w->by_device, watch_hash(event->device.v, 0));
	struct watch_link *next;

	for (; link != NULL; link = next) {
		struct watch *watch = WATCH_OF(link, struct watch, by_device);

		next = link->next;
		if (watch->device.v == event->device.v)
			(void)watch_mark(w, watch, WATCH_MARK_ADMIN, calls);
	}
}

static void publish_global(struct watches *w, struct watch_calls *calls)
{
	for (size_t i = 0; i < w->by_id.slot_count; i++) {
		struct watch_link *next;

		for (struct watch_link *l = w->by_id.slots[i]; l != NULL; l = next) {
			next = l->next;
			(void)watch_mark(
				w, WATCH_OF(l, struct watch, by_id), WATCH_MARK_ADMIN, calls);
		}
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
	int64_t left = -1, due_ms;

	(void)pthread_mutex_lock(&w->lock);
	if (!list_empty(&w->timers))
		left = MAX(
			LIST_ENTRY(w->timers.next, struct watch, queue)->flag_due_ms - now_ms, 0);
	due_ms = watch_due_next_ms(w);
	if (due_ms >= 0 && (left < 0 || due_ms - now_ms < left))
		left = MAX(due_ms - now_ms, 0);
	(void)pthread_mutex_unlock(&w->lock);
	return left;
}

void watches_run_timers(struct watches *w, int64_t now_ms)
{
	struct watch_calls calls;

	watch_calls_init(&calls);
	(void)pthread_mutex_lock(&w->lock);
	while (!list_empty(&w->timers)) {
		struct watch *watch = LIST_ENTRY(w->timers.next, struct watch, queue);

		if (watch->flag_due_ms > now_ms)
			break;
		watch->flag_due_ms = 0;
		list_remove(&watch->queue);
		(void)watch_mark(w, watch, WATCH_MARK_CHECK, &calls);
	}
	watch_due_run(w, now_ms, &calls);
	(void)pthread_mutex_unlock(&w->lock);
	watch_calls_run(&calls, w);
}
