/*
 * Phones that come back with the same request: Android closes the connection after each Ping, a
 * reverse proxy may send the next one over another connection, a front may end.
 *
 * A watch that nothing has marked since its check is the knowledge that nothing has happened. It
 * stays when its phone goes away, gets the marks of changes like any other, and the first one ends
 * it. The request that brings the same bytes as the one before (the print covers everything that it
 * says, credentials too) can therefore be parked without the database.
 *
 * A normal case: watch_set_print() while the first Ping is checked, watch_gone() when the phone
 * closed (REMEMBERED), watch_park_known() when it is back (PARKED). Limits: remember_max, beyond
 * which those go that have waited longest; and the time until which the credentials count.
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "notify/watch_internal.h"

void watch_forget_print(struct watches *w, struct watch *watch)
{
	if (watch->known)
		watch_index_remove(&w->by_print, &watch->by_print);
	watch->known = false;
}

static struct watch *find_print(struct watches *w, const struct watch_print *print)
{
	for (struct watch_link *l = watch_index_chain(&w->by_print, print->a); l != NULL;
		l = l->next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_print);

		if (watch->print.a == print->a && watch->print.b == print->b)
			return watch;
	}
	return NULL;
}

void watch_set_print(
	struct watches *w, struct watch_id id, const struct watch_print *print, int64_t until_ms)
{
	struct watch *watch, *older;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	if (watch != NULL && watch->state == WATCH_CHECKING && watch->kind == WATCH_PING) {
		/* Only the same device says the same; its older watch has ended already. */
		older = find_print(w, print);
		if (older != NULL)
			watch_forget_print(w, older);
		watch_forget_print(w, watch);
		watch->print = *print;
		watch->known_until_s = (uint32_t)(MAX(until_ms, 0) / 1000);
		watch->known = true;
		watch_index_add(&w->by_print, &watch->by_print);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static int64_t known_until_ms(const struct watch *watch)
{
	return (int64_t)watch->known_until_s * 1000;
}

/* Has nothing happened since the check, and may that be relied upon? */
static bool is_clean(const struct watch *watch, int64_t now_ms)
{
	return watch->known && !watch->stale && watch->marks == 0 && watch->flag_due_ms == 0 &&
	       now_ms < known_until_ms(watch) &&
	       (watch->state == WATCH_PARKED || watch->state == WATCH_REMEMBERED);
}

/* Some whose time is over, and one when there are too many. */
static void tidy(struct watches *w, int64_t now_ms)
{
	while (!list_empty(&w->remembered)) {
		struct watch *oldest = LIST_ENTRY(w->remembered.next, struct watch, queue);

		if (w->remembered_count <= w->options.remember_max &&
			known_until_ms(oldest) > now_ms)
			return;
		watch_remove(w, oldest);
	}
}

void watch_put_aside(struct watches *w, struct watch *watch, int64_t now_ms)
{
	if (watch->state != WATCH_PARKED || !is_clean(watch, now_ms)) {
		watch_remove(w, watch);
		return;
	}
	watch_let_go(w, watch);
	watch->state = WATCH_REMEMBERED;
	list_append(&w->remembered, &watch->queue);
	w->remembered_count++;
	tidy(w, now_ms);
}

static void take_back(struct watches *w, struct watch *watch)
{
	if (watch->state != WATCH_REMEMBERED)
		return;
	list_remove(&watch->queue);
	w->remembered_count--;
	watch->state = WATCH_PARKED;
}

bool watch_park_known(struct watches *w, const struct watch_print *print, int64_t now_ms,
	const struct ipc_handle *handle, struct watch_known *ret, void (*send)(void *arg),
	void *arg)
{
	struct ipc_handle ended;
	struct watch *watch;
	bool parked, tell = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_print(w, print);
	parked = watch != NULL && is_clean(watch, now_ms);
	if (parked) {
		take_back(w, watch);
		tell = watch->held;
		ended = watch->handle;
		watch_hold(w, watch, handle);
		*ret = (struct watch_known){.kind = watch->kind,
			.user = watch->user,
			.device = watch->device,
			.user_epoch = watch->user_epoch,
			.device_epoch = watch->device_epoch,
			.seen_seq = watch->seen_seq,
			.heartbeat_s = watch->heartbeat_s,
			.plain = watch->plain,
			.muted = watch->muted,
			.until_ms = known_until_ms(watch)};
		send(arg);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_ended != NULL)
		w->options.on_ended(&ended, WATCH_PING, w->options.owner);
	return parked;
}

size_t watches_remembered_count(struct watches *w)
{
	size_t count;

	(void)pthread_mutex_lock(&w->lock);
	count = w->remembered_count;
	(void)pthread_mutex_unlock(&w->lock);
	return count;
}
