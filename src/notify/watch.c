/*
 * The life of watches: begin, check, park, end. What a change event does to them is in
 * watch_publish.c.
 *
 * A normal case: a worker begins the watch of a Ping (CHECKING), looks into each folder, and the
 * loop parks it under its handle (PARKED). A delivery marks it (MARKED), on_marked makes the engine
 * call watch_check_begin() (CHECKING again), and either the answer goes out after watch_end(), or
 * watch_park() takes it back.
 *
 * Invariants: a device has at most one watch. by_handle holds exactly those which were parked once.
 * A watch in PARKED has no marks. Calls to the outside are made without the lock. Threads: any.
 */
#include "notify/watch.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "notify/watch_internal.h"

/* With its folders' entries (64 bytes each) this is what a parked phone costs in the engine. */
static_assert(sizeof(struct watch) <= 192, "a watch is kept small");
static_assert(sizeof(struct watch_entry) <= 64, "a watched folder is kept small");

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

static uint64_t hash_by_folder(const struct watch_link *link)
{
	const struct watch_entry *e = WATCH_OF(link, const struct watch_entry, by_folder);

	return watch_hash(e->owner.v, e->folder.v);
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
	watch_index_init(&w->by_folder, hash_by_folder);
	list_init(&w->timers);
	return w;
}

/* With the lock. */
static void remove_watch(struct watches *w, struct watch *watch)
{
	for (uint32_t i = 0; i < watch->entry_count; i++)
		watch_index_remove(&w->by_folder, &watch->entries[i].by_folder);
	watch_index_remove(&w->by_id, &watch->by_id);
	watch_index_remove(&w->by_user, &watch->by_user);
	watch_index_remove(&w->by_device, &watch->by_device);
	watch_index_remove(&w->by_handle, &watch->by_handle);
	list_remove(&watch->timer);
	mem_free(watch->entries);
	mem_free(watch);
}

void watches_free(struct watches **w)
{
	if (*w == NULL)
		return;
	for (size_t i = 0; i < (*w)->by_id.slot_count; i++) {
		while ((*w)->by_id.slots[i] != NULL)
			remove_watch(*w, WATCH_OF((*w)->by_id.slots[i], struct watch, by_id));
	}
	watch_index_deinit(&(*w)->by_id);
	watch_index_deinit(&(*w)->by_user);
	watch_index_deinit(&(*w)->by_device);
	watch_index_deinit(&(*w)->by_handle);
	watch_index_deinit(&(*w)->by_folder);
	(void)pthread_mutex_destroy(&(*w)->lock);
	mem_free(*w);
	*w = NULL;
}

void watches_set_flag_delay(struct watches *w, uint32_t flag_wake_delay_s)
{
	(void)pthread_mutex_lock(&w->lock);
	w->options.flag_wake_delay_s = flag_wake_delay_s;
	(void)pthread_mutex_unlock(&w->lock);
}

static struct watch *find_id(struct watches *w, struct watch_id id)
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

static struct watch *find_handle(struct watches *w, const struct ipc_handle *handle)
{
	for (struct watch_link *l = watch_index_chain(&w->by_handle, handle_hash(handle));
		l != NULL; l = l->next) {
		struct watch *watch = WATCH_OF(l, struct watch, by_handle);

		if (ipc_handle_eq(&watch->handle, handle))
			return watch;
	}
	return NULL;
}

static bool has_handle(const struct watch *watch)
{
	return watch->by_handle.pprev != NULL;
}

static struct watch *new_watch(const struct watch_spec *spec)
{
	struct watch *watch = x_new(struct watch);

	list_init(&watch->timer);
	watch->kind = (uint8_t)spec->kind;
	watch->state = WATCH_CHECKING;
	watch->user = spec->user;
	watch->device = spec->device;
	watch->user_epoch = spec->user_epoch;
	watch->device_epoch = spec->device_epoch;
	watch->heartbeat_s = spec->heartbeat_s;
	watch->hierarchy = spec->hierarchy;
	watch->entry_count = (uint32_t)spec->folder_count;
	watch->entries = x_calloc(MAX(spec->folder_count, 1), sizeof(*watch->entries));
	for (size_t i = 0; i < spec->folder_count; i++) {
		struct watch_entry *e = &watch->entries[i];

		e->watch = watch;
		e->owner = spec->folders[i].owner;
		e->folder = spec->folders[i].folder;
		e->cutoff_at = spec->folders[i].cutoff_at;
		e->item_class = spec->folders[i].item_class;
		e->exact = spec->folders[i].exact;
	}
	return watch;
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
	if (older != NULL && spec->replaces != NULL &&
		!(has_handle(older) && ipc_handle_eq(&older->handle, spec->replaces))) {
		(void)pthread_mutex_unlock(&w->lock);
		mem_free(watch->entries);
		mem_free(watch);
		return (struct watch_id){0};
	}
	if (older != NULL) {
		/* One that never parked belongs to a request under way, which finds out when it
		 * wants to park. */
		tell = has_handle(older) && spec->replaces == NULL;
		ended = older->handle;
		ended_kind = older->kind;
		remove_watch(w, older);
	}
	watch->id = id.v = ++w->last_id;
	watch_index_add(&w->by_id, &watch->by_id);
	watch_index_add(&w->by_user, &watch->by_user);
	watch_index_add(&w->by_device, &watch->by_device);
	for (uint32_t i = 0; i < watch->entry_count; i++)
		watch_index_add(&w->by_folder, &watch->entries[i].by_folder);
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_ended != NULL)
		w->options.on_ended(&ended, ended_kind, w->options.owner);
	return id;
}

void watch_checked(struct watches *w, struct watch_id id, struct owner_id user, uint64_t seq)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_id(w, id);
	if (watch != NULL && watch->user.v == user.v)
		watch->seen_seq = MAX(watch->seen_seq, seq);
	(void)pthread_mutex_unlock(&w->lock);
}

static void clear_marks(struct watch *watch)
{
	watch->marks = 0;
	for (uint32_t i = 0; i < watch->entry_count; i++)
		watch->entries[i].changed = false;
}

bool watch_park(struct watches *w, struct watch_id id, const struct ipc_handle *handle,
	unsigned *ret_marks, void (*send)(void *arg), void *arg)
{
	struct watch *watch;
	bool parked, stale = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_id(w, id);
	*ret_marks = watch != NULL ? watch->marks : 0;
	parked = watch != NULL && watch->marks == 0;
	if (parked) {
		assert(watch->state == WATCH_CHECKING);
		watch_index_remove(&w->by_handle, &watch->by_handle);
		watch->handle = *handle;
		watch_index_add(&w->by_handle, &watch->by_handle);
		watch->state = WATCH_PARKED;
		stale = watch->stale;
		send(arg);
	} else if (watch != NULL) {
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
	watch = find_id(w, id);
	if (watch != NULL && ret_handle != NULL)
		*ret_handle = watch->handle;
	if (watch != NULL)
		remove_watch(w, watch);
	(void)pthread_mutex_unlock(&w->lock);
	return watch != NULL;
}

void watch_end_held(struct watches *w, struct device_id device)
{
	struct ipc_handle ended;
	struct watch *watch;
	bool tell = false;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_device(w, device);
	if (watch != NULL && watch->kind == WATCH_SYNC && has_handle(watch)) {
		tell = true;
		ended = watch->handle;
		remove_watch(w, watch);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (tell && w->options.on_ended != NULL)
		w->options.on_ended(&ended, WATCH_SYNC, w->options.owner);
}

enum watch_rename watch_rename(
	struct watches *w, const struct ipc_handle *from, const struct ipc_handle *to)
{
	enum watch_rename result = WATCH_NOT_RENAMED;
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_handle(w, from);
	if (watch != NULL && watch->state == WATCH_PARKED) {
		watch_index_remove(&w->by_handle, &watch->by_handle);
		watch->handle = *to;
		watch_index_add(&w->by_handle, &watch->by_handle);
		result = watch->stale ? WATCH_RENAMED_STALE : WATCH_RENAMED;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return result;
}

void watch_gone(struct watches *w, const struct ipc_handle *handle)
{
	struct watch *watch;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_handle(w, handle);
	if (watch != NULL)
		remove_watch(w, watch);
	(void)pthread_mutex_unlock(&w->lock);
}

void watch_front_gone(struct watches *w, uint32_t front)
{
	(void)pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < w->by_handle.slot_count; i++) {
		struct watch_link *link = w->by_handle.slots[i];

		while (link != NULL) {
			struct watch *watch = WATCH_OF(link, struct watch, by_handle);

			link = link->next;
			if (watch->handle.front == front)
				remove_watch(w, watch);
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static void fill_view(const struct watch *watch, struct arena *arena, struct watch_view *view)
{
	struct watch_folder *folders =
		arena_x_alloc(arena, MAX(watch->entry_count, 1) * sizeof(struct watch_folder));
	uint32_t *changed = arena_x_alloc(arena, MAX(watch->entry_count, 1) * sizeof(uint32_t));

	*view = (struct watch_view){
		.id = {watch->id},
		.spec = {.kind = watch->kind,
			.user = watch->user,
			.device = watch->device,
			.heartbeat_s = watch->heartbeat_s,
			.user_epoch = watch->user_epoch,
			.device_epoch = watch->device_epoch,
			.hierarchy = watch->hierarchy,
			.folders = folders,
			.folder_count = watch->entry_count},
		.handle = watch->handle,
		.marks = watch->marks,
		.changed = changed,
		.parked = has_handle(watch),
	};
	for (uint32_t i = 0; i < watch->entry_count; i++) {
		const struct watch_entry *e = &watch->entries[i];

		folders[i] = (struct watch_folder){.owner = e->owner,
			.folder = e->folder,
			.cutoff_at = e->cutoff_at,
			.item_class = e->item_class,
			.exact = e->exact};
		if (e->changed)
			changed[view->changed_count++] = i;
	}
}

static bool take_for_check(struct watches *w, struct watch_id id, bool again, struct arena *arena,
	struct watch_view *ret)
{
	struct watch *watch;
	bool taken;

	(void)pthread_mutex_lock(&w->lock);
	watch = find_id(w, id);
	taken = watch != NULL && (watch->state == WATCH_CHECKING) == again;
	if (taken) {
		fill_view(watch, arena, ret);
		clear_marks(watch);
		watch->state = WATCH_CHECKING;
		/* The check will see what the timer was to tell. */
		watch->flag_due_ms = 0;
		list_remove(&watch->timer);
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
	if (watch != NULL && !watch->stale) {
		watch->stale = true;
		tell = has_handle(watch);
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
	count = w->by_id.count;
	(void)pthread_mutex_unlock(&w->lock);
	return count;
}
