#ifndef BELLHOP_NOTIFY_TEST_WATCH_UTIL_H
#define BELLHOP_NOTIFY_TEST_WATCH_UTIL_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "notify/watch.h"

/* What the tests of watches share: one user with two phones, and what the callbacks said. */

#define USER     ((struct owner_id){7})
#define PHONE    ((struct device_id){3})
#define OTHER    ((struct device_id){4})
#define INBOX    ((struct folder_id){2})
#define CALENDAR ((struct folder_id){8})

struct told {
	int marked, ended, stale;
	unsigned marks;
	enum watch_kind kind; /* of the one that ended */
	struct watch_id id;
	struct ipc_handle handle;
};

static inline void on_marked(struct watch_id id, unsigned marks, void *owner)
{
	struct told *told = owner;

	told->marked++;
	told->marks = marks;
	told->id = id;
}

static inline void on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner)
{
	struct told *told = owner;

	told->kind = kind;
	told->ended++;
	told->handle = *handle;
}

static inline void on_stale(const struct ipc_handle *handle, void *owner)
{
	struct told *told = owner;

	told->stale++;
	told->handle = *handle;
}

static inline struct watches *new_watches(struct told *told)
{
	struct watch_options o = {15, 3, on_marked, on_ended, on_stale, told};

	clock_fake_set(1000000, 5000);
	*told = (struct told){0};
	return watches_new(&o);
}

static inline struct watch_id begin_kind(
	struct watches *w, struct device_id device, enum watch_kind kind)
{
	const struct watch_folder folders[] = {
		{USER, INBOX, 500, ITEM_MAIL, false},
		{USER, CALENDAR, INT64_MIN, ITEM_CALENDAR, true},
	};
	struct watch_spec spec = {.kind = kind,
		.user = USER,
		.device = device,
		.heartbeat_s = 480,
		.hierarchy = true,
		.folders = folders,
		.folder_count = 2};

	return watch_begin(w, &spec);
}

static inline struct watch_id begin(struct watches *w, struct device_id device)
{
	return begin_kind(w, device, WATCH_PING);
}

static inline void count_sent(void *arg)
{
	++*(int *)arg;
}

static inline bool park(
	struct watches *w, struct watch_id id, uint32_t request, unsigned *ret_marks)
{
	struct ipc_handle handle = {1, 2, 3, request};
	int sent = 0;
	bool parked = watch_park(w, id, &handle, ret_marks, count_sent, &sent);

	CHECK_INT(sent, parked ? 1 : 0);
	return parked;
}

static inline struct watch_id begin_parked(
	struct watches *w, struct device_id device, uint32_t request)
{
	struct watch_id id = begin(w, device);
	unsigned marks;

	REQUIRE(park(w, id, request, &marks));
	return id;
}

static inline struct change_event item_event(
	unsigned kinds, int64_t date_at, struct device_id device)
{
	return (struct change_event){.owner = USER,
		.folder = INBOX,
		.item = {9},
		.seq = 70,
		.kinds = kinds,
		.date_at = date_at,
		.item_class = ITEM_MAIL,
		.device = device};
}

#endif
