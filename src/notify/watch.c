/*
 * The life of watches: begin, check, park, end. What a change event does to them is in
 * watch_publish.c, how a phone that comes back is known in watch_memory.c.
 *
 * A normal case: a worker begins the watch of a Ping (CHECKING), looks into each folder, and the
 * loop parks it under its handle (PARKED). A delivery marks it (MARKED), on_marked makes the engine
 * call watch_check_begin() (CHECKING again), and either the answer goes out after watch_end(), or
 * watch_park() takes it back.
 *
 * Invariants: a device has at most one watch. by_handle holds exactly those which are held. A watch
 * in PARKED has no marks. Calls to the outside are made without the lock. Threads: any.
 */
#include "notify/watch.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "notify/watch_internal.h"

/* With its packed folders and the slots of the tables this is what a parked phone costs in the
 * engine. */
static_assert(sizeof(struct watch) <= 192, "a watch is kept small");

static uint64_t handle_hash(const struct ipc_handle *h)
{
	return watch_hash(
		(uint64_t)h->front << 32 | h->slot, (uint64_t)h->generation << 32 | h->request);
}

static uint64_t hash_by_id(const struct watch_link *link)
{
	return watch_hash(WATCH_OF(link, const struct watch, by_id)->id, 0);
}

static uint64_t hash_by_user(const struct watch_link *link)
{
	return watch_hash(WATCH_OF(link, const struct watch, by_user)->user.v, 0);
}

static uint64_t hash_by_device(const struct watch_link *link)
{
	return watch_hash(WATCH_OF(link, const struct watch, by_device)->device.v, 0);
}

static uint64_t hash_by_handle(const struct watch_link *link)
{
	return handle_hash(&WATCH_OF(link, const struct watch, by_handle)->handle);
}

static uint64_t hash_by_print(const struct watch_link *link)
{
	return WATCH_OF(link, const struct watch, by_print)->print.a;
}

static uint64_t hash_guest(const struct watch_link *link)
{
	return watch_hash(WATCH_OF(link, const struct watch_guest, by_owner)->owner.v, 0);
}

struct watches *watches_new(const struct watch_options *options)
{
	struct watches *w = x_new(struct watches);

	w->options = *options;
	(void)pthread_mutex_init(&w->lock, NULL);
	watch_index_init(&w->by_id, hash_by_id);
	watch_index_init(&w->by_user, hash_by_user);
	watch_index_init(&w->by_device, hash_by_device);
	watch_index_init(&w->by_handle, hash_by_handle);
	watch_index_init(&w->by_print, hash_by_print);
	watch_index_init(&w->guests, hash_guest);
	list_init(&w->timers);
	list_init(&w->remembered);
	return w;
}

void watch_hold(struct watches *w, struct watch *watch, const struct ipc_handle *handle)
{
	watch_let_go(w, watch);
	watch->handle = *handle;
	watch->held = true;
	watch_index_add(&w->by_handle, &watch->by_handle);
}

void watch_let_go(struct watches *w, struct watch *watch)
{
	if (watch->held)
		watch_index_remove(&w->by_handle, &watch->by_handle);
	watch->held = false;
}

static void remove_guests(struct watches *w, struct watch *watch)
{
	while (watch->guests != NULL) {
		struct watch_guest *guest = watch->guests;

		watch->guests = guest->next;
		watch_index_remove(&w->guests, &guest->by_owner);
		mem_free(guest);
	}
}

void watch_remove(struct watches *w, struct watch *watch)
{
	remove_guests(w, watch);
	watch_let_go(w, watch);
	watch_forget_print(w, watch);
	watch_index_remove(&w->by_id, &watch->by_id);
	watch_index_remove(&w->by_user, &watch->by_user);
	watch_index_remove(&w->by_device, &watch->by_device);
	list_remove(&watch->queue);
	if (watch->state == WATCH_REMEMBERED)
		w->remembered_count--;
	mem_free(watch);
}

void watches_free(struct watches **w)
{
	if (*w == NULL)
		return;
	for (size_t i = 0; i < (*w)->by_id.slot_count; i++) {
		while ((*w)->by_id.slots[i] != NULL)
			watch_remove(*w, WATCH_OF((*w)->by_id.slots[i], struct watch, by_id));
	}
	watch_due_deinit(*w);
	watch_index_deinit(&(*w)->by_id);
	watch_index_deinit(&(*w)->by_user);
	watch_index_deinit(&(*w)->by_device);
	watch_index_deinit(&(*w)->by_handle);
	watch_index_deinit(&(*w)->by_print);
	watch_index_deinit(&(*w)->guests);
	(void)pthread_mutex_destroy(&(*w)->lock);
	mem_free(*w);
	*w = NULL;
}

void watches_set_limits(struct watches *w, uint32_t flag_wake_delay_s, uint32_t remember_max)
{
	(void)pthread_mutex_lock(&w->lock);
	w->options.flag_wake_delay_s = flag_wake_delay_s;
	w->options.remember_max = remember_max;
	while (!list_empty(&w->remembered))
		watch_remove(w, LIST_ENTRY(w->remembered.next, struct watch, queue));
	(void)pthread_mutex_unlock(&w->lock);
}

struct watch *watch_find_id(struct watches *w, struct watch_id id)
{
	for (struct watch_link *l = watch_index_chain(&w->by_id, watch_hash(id.v, 0)); l != NULL;
		l = l->next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_id);

		if (watch->id == id.v)
			return watch;
	}
	return NULL;
}

static struct watch *find_device(struct watches *w, struct device_id device)
{
	for (struct watch_link *l = watch_index_chain(&w->by_device, watch_hash(device.v, 0));
		l != NULL; l = l->next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_device);

		if (watch->device.v == device.v)
			return watch;
	}
	return NULL;
}

struct watch *watch_find_handle(struct watches *w, const struct ipc_handle *handle)
{
	for (struct watch_link *l = watch_index_chain(&w->by_handle, handle_hash(handle));
		l != NULL; l = l->next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_handle);

		if (ipc_handle_eq(&watch->handle, handle))
			return watch;
	}
	return NULL;
}

/* With its folders, in one piece. */
static struct watch *new_watch(const struct watch_spec *spec)
{
	struct buf packed = BUF_INIT;
	struct watch *watch;

	watch_folders_pack(&packed, spec->user, spec->folders, spec->folder_count);
	watch = x_calloc(1, sizeof(*watch) + packed.len);
	list_init(&watch->queue);
	watch->kind = (uint8_t)spec->kind;
	watch->state = WATCH_CHECKING;
	watch->user = spec->user;
	watch->device = spec->device;
	watch->user_epoch = (uint32_t)spec->user_epoch;
	watch->device_epoch = (uint32_t)spec->device_epoch;
	watch->heartbeat_s = (uint16_t)MIN(spec->heartbeat_s, UINT16_MAX);
	watch->hierarchy = spec->hierarchy;
	watch->plain = spec->plain;
	watch->muted = spec->muted;
	if (spec->replaces != NULL)
		watch->handle = spec->handle;
	watch->packed_len = (uint32_t)packed.len;
	if (packed.len > 0)
		memcpy(watch->packed, packed.data, packed.len);
	buf_deinit(&packed);
	return watch;
}

static bool has_guest(const struct watch *watch, struct owner_id owner)
{
	for (const struct watch_guest *g = watch->guests; g != NULL; g = g->next) {
		if (g->owner.v == owner.v)
			return true;
	}
	return false;
}

/* With the lock: into all tables. */
static void add_watch(struct watches *w, struct watch *watch)
{
	struct watch_folders it;
	struct watch_folder f;

	watch->id = ++w->last_id;
	watch_index_add(&w->by_id, &watch->by_id);
	watch_index_add(&w->by_user, &watch->by_user);
	watch_index_add(&w->by_device, &watch->by_device);
	watch_folders_begin(&it, watch->packed, watch->packed_len, watch->user);
	while (watch_folders_next(&it, &f)) {
		struct watch_guest *guest;

		if (f.owner.v == watch->user.v || has_guest(watch, f.owner))
			continue;
		guest = x_new(struct watch_guest);
		guest->owner = f.owner;
		guest->watch = watch;
		guest->next = watch->guests;
		watch->guests = guest;
		watch_index_add(&w->guests, &guest->by_owner);
	}
}

/* One from before the engine's start has come late when its device has begun another since. */
static bool may_replace(const struct watch *older, const struct ipc_handle *handle)
{
	return older->state == WATCH_REMEMBERED || ipc_handle_eq(&older->handle, handle);
}

struct watch_id watch_begin(struct watches *w, const struct watch_spec *spec)
{
	struct watch *watch = new_watch(spec), *older;
	struct ipc_handle ended;
	enum watch_kind ended_kind = 0;
	struct watch_id id;
	bool tell = false;

	(void)pthread_mutex_lock(&w->lock);
	older = find_device(w, spec->device);
	if (older != NULL && spec->replaces != NULL && !may_replace(older, spec->replaces)) {
		(void)pthread_mutex_unlock(&w->lock);
		mem_free(watch);
		return (struct watch_id){0};
	}
	if (older != NULL) {
		/* One that never parked belongs to a request under way, which finds out when it
		 * wants to park. */
		tell = older->held && spec->replaces == NULL;
		ended = older->handle;
		ended_kind = older->kind;
		watch_remove(w, older);
	}
	add_watch(w, watch);
	id.v = watch->id;
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_ended != NULL)
		w->options.on_ended(&ended, ended_kind, w->options.owner);
	return id;
}

void watch_checked(struct watches *w, struct watch_id id, struct owner_id user, uint64_t seq)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	if (watch != NULL && watch->user.v == user.v)
		watch->seen_seq = MAX(watch->seen_seq, seq);
	(void)pthread_mutex_unlock(&w->lock);
}

static void clear_marks(struct watch *watch)
{
	struct watch_folders it;
	struct watch_folder f;

	watch->marks = 0;
	watch_folders_begin(&it, watch->packed, watch->packed_len, watch->user);
	while (watch_folders_next(&it, &f))
		watch_folders_set_changed(&it, false);
}

bool watch_park(struct watches *w, struct watch_id id, const struct ipc_handle *handle,
	unsigned *ret_marks, void (*send)(void *arg), void *arg)
{
	struct watch *watch;
	bool parked, stale = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	*ret_marks = watch != NULL ? watch->marks : 0;
	parked = watch != NULL && watch->marks == 0;
	if (parked) {
		assert(watch->state == WATCH_CHECKING);
		watch_hold(w, watch, handle);
		watch->state = WATCH_PARKED;
		stale = watch->stale;
		send(arg);
	} else if (watch != NULL) {
		watch->due = watch->due && !(watch->marks & WATCH_MARK_ADMIN);
		clear_marks(watch);
	}
	(void)pthread_mutex_unlock(&w->lock);
	/* Its device sent another command while this one was being checked. */
	if (stale && w->options.on_stale != NULL)
		w->options.on_stale(handle, w->options.owner);
	return parked;
}

bool watch_end(struct watches *w, struct watch_id id, struct ipc_handle *ret_handle)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	if (watch != NULL && ret_handle != NULL)
		*ret_handle = watch->handle;
	if (watch != NULL)
		watch_remove(w, watch);
	(void)pthread_mutex_unlock(&w->lock);
	return watch != NULL;
}

static void end_sync(struct watches *w, struct device_id device, bool held_only)
{
	struct ipc_handle ended;
	struct watch *watch;
	bool tell = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_device(w, device);
	if (watch != NULL && watch->kind == WATCH_SYNC && (watch->held || !held_only)) {
		tell = watch->held;
		ended = watch->handle;
		watch_remove(w, watch);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_ended != NULL)
		w->options.on_ended(&ended, WATCH_SYNC, w->options.owner);
}

void watch_end_held(struct watches *w, struct device_id device)
{
	end_sync(w, device, true);
}

void watch_end_sync(struct watches *w, struct device_id device)
{
	end_sync(w, device, false);
}

enum watch_rename watch_rename(
	struct watches *w, const struct ipc_handle *from, const struct ipc_handle *to)
{
	enum watch_rename result = WATCH_NOT_RENAMED;
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_handle(w, from);
	if (watch != NULL && watch->state == WATCH_PARKED) {
		watch_hold(w, watch, to);
		result = watch->stale ? WATCH_RENAMED_STALE : WATCH_RENAMED;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return result;
}

void watch_gone(struct watches *w, const struct ipc_handle *handle)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_handle(w, handle);
	if (watch != NULL)
		watch_put_aside(w, watch, clock_now_ms());
	(void)pthread_mutex_unlock(&w->lock);
}

void watch_front_gone(struct watches *w, uint32_t front)
{
	int64_t now_ms = clock_now_ms();

	(void)pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < w->by_handle.slot_count; i++) {
		struct watch_link *link = w->by_handle.slots[i];

		while (link != NULL) {
			struct watch *watch = WATCH_OF(link, struct watch, by_handle);

			link = link->next;
			if (watch->handle.front == front)
				watch_put_aside(w, watch, now_ms);
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static void fill_folders(struct watch *watch, struct arena *arena, struct watch_view *view)
{
	struct watch_folders it;
	struct watch_folder *folders, f;
	uint32_t *changed;
	size_t count = 0, changed_count = 0;

	watch_folders_begin(&it, watch->packed, watch->packed_len, watch->user);
	while (watch_folders_next(&it, &f))
		count++;
	folders = arena_x_alloc(arena, MAX(count, 1) * sizeof(*folders));
	changed = arena_x_alloc(arena, MAX(count, 1) * sizeof(*changed));
	watch_folders_begin(&it, watch->packed, watch->packed_len, watch->user);
	for (size_t i = 0; watch_folders_next(&it, &folders[i]); i++) {
		if (watch_folders_changed(&it))
			changed[changed_count++] = (uint32_t)i;
	}
	view->spec.folders = folders;
	view->spec.folder_count = count;
	view->changed = changed;
	view->changed_count = changed_count;
}

static void fill_view(struct watch *watch, struct arena *arena, struct watch_view *view)
{
	*view = (struct watch_view){
		.id = {watch->id},
		.spec = {.kind = watch->kind,
			.user = watch->user,
			.device = watch->device,
			.heartbeat_s = watch->heartbeat_s,
			.user_epoch = watch->user_epoch,
			.device_epoch = watch->device_epoch,
			.hierarchy = watch->hierarchy,
			.plain = watch->plain,
			.muted = watch->muted},
		.handle = watch->handle,
		.marks = watch->marks,
		.parked = watch->held,
	};
	fill_folders(watch, arena, view);
}

static bool take_for_check(struct watches *w, struct watch_id id, bool again, struct arena *arena,
	struct watch_view *ret)
{
	struct watch *watch;
	bool taken;

	(void)pthread_mutex_lock(&w->lock);
	watch = watch_find_id(w, id);
	taken = watch != NULL && watch->state != WATCH_REMEMBERED &&
		(watch->state == WATCH_CHECKING) == again;
	if (taken) {
		fill_view(watch, arena, ret);
		watch->due = watch->due && !(watch->marks & WATCH_MARK_ADMIN);
		clear_marks(watch);
		watch->state = WATCH_CHECKING;
		/* The check will see what the timer was to tell. */
		watch->flag_due_ms = 0;
		list_remove(&watch->queue);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return taken;
}

bool watch_check_begin(
	struct watches *w, struct watch_id id, struct arena *arena, struct watch_view *ret)
{
	return take_for_check(w, id, false, arena, ret);
}

bool watch_check_again(
	struct watches *w, struct watch_id id, struct arena *arena, struct watch_view *ret)
{
	return take_for_check(w, id, true, arena, ret);
}

void watch_touch_device(struct watches *w, struct device_id device)
{
	struct ipc_handle handle;
	struct watch *watch;
	bool tell = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_device(w, device);
	if (watch != NULL && watch->state == WATCH_REMEMBERED) {
		watch_remove(w, watch);
	} else if (watch != NULL && !watch->stale) {
		watch->stale = true;
		tell = watch->held;
		handle = watch->handle;
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_stale != NULL)
		w->options.on_stale(&handle, w->options.owner);
}

size_t watches_count(struct watches *w)
{
	size_t count;

	(void)pthread_mutex_lock(&w->lock);
	count = w->by_id.count - w->remembered_count;
	(void)pthread_mutex_unlock(&w->lock);
	return count;
}
