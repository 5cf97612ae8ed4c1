#ifndef BELLHOP_NOTIFY_WATCH_INTERNAL_H
#define BELLHOP_NOTIFY_WATCH_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "notify/watch.h"
#include "notify/watch_folders.h"
#include "notify/watch_index.h"

enum watch_state {
	WATCH_CHECKING =
		1, /* registered; somebody looks into the store. Marks are kept for watch_park() */
	WATCH_PARKED, /* the front holds the phone. The first mark calls on_marked */
	WATCH_MARKED, /* on_marked was called; further marks only gather until watch_check_begin()
		       */
	WATCH_REMEMBERED, /* the phone went away and may come back with the same bytes. The first
			     mark ends it */
};

/* Kept small, and in one piece with its folders: there is one for each parked phone. */
struct watch {
	struct watch_link by_id, by_user, by_device;
	struct watch_link by_handle; /* while held */
	struct watch_link by_print;  /* while known */
	struct list_node queue; /* REMEMBERED: in watches.remembered; else in watches.timers while
				   flag_due_ms is not 0 */
	uint64_t id;
	int64_t flag_due_ms;
	struct owner_id user;
	struct device_id device;
	uint64_t seen_seq;          /* of `user`: changes up to it were seen by the check */
	struct watch_print print;   /* of the request, while known */
	struct watch_guest *guests; /* owned: folders of other owners */
	struct ipc_handle handle;
	/* The low half is enough to see that an epoch has moved on; one that needs more is never
	 * found equal, so its phone is always looked at anew. */
	uint32_t user_epoch, device_epoch;
	uint32_t known_until_s; /* seconds of clock_now_ms(), rounded down */
	uint32_t packed_len;
	uint16_t heartbeat_s;
	uint8_t kind, state, marks;
	bool hierarchy : 1;
	bool stale : 1; /* its device sent other commands since: nothing is decided from memory any
			   more */
	bool held : 1;  /* parked once: a front knows the handle */
	bool plain : 1;
	bool muted : 1;
	bool known : 1;   /* the same request may park again from memory */
	bool due : 1;     /* is in watches.due */
	uint8_t packed[]; /* its folders (watch_folders.h) */
};

/* Another owner than the watch's user has folders in it. */
struct watch_guest {
	struct watch_link by_owner;
	struct owner_id owner;
	struct watch *watch;
	struct watch_guest *next; /* of the same watch */
};

/* A watch that is to be looked at then (watch_due.c). */
struct watch_due {
	int64_t at_ms;
	uint64_t id;
};

struct watches {
	pthread_mutex_t lock; /* all below */
	struct watch_options options;
	struct watch_index by_id, by_user, by_device, by_handle, by_print, guests;
	struct list_node timers;     /* of watches, soonest first */
	struct list_node remembered; /* those which have been so for longest first */
	size_t remembered_count;
	struct watch_due *due; /* a heap, soonest first; of watches that may be gone */
	size_t due_count, due_cap;
	uint64_t last_id;
};

/* All with the lock. */
struct watch *watch_find_id(struct watches *w, struct watch_id id);
struct watch *watch_find_handle(struct watches *w, const struct ipc_handle *handle);
void watch_remove(struct watches *w, struct watch *watch);
void watch_hold(struct watches *w, struct watch *watch, const struct ipc_handle *handle);
void watch_let_go(struct watches *w, struct watch *watch);
/* Its phone went away: remembered where that may be, else removed. */
void watch_put_aside(struct watches *w, struct watch *watch, int64_t now_ms);
void watch_forget_print(struct watches *w, struct watch *watch);

/* What must be told once the lock is released. */
struct watch_call {
	struct watch_id id;
	unsigned marks;
};

struct watch_calls {
	struct watch_call few[32];
	struct watch_call *calls; /* few, or heap */
	size_t count, cap;
};

void watch_calls_init(struct watch_calls *calls);
/* Without the lock: makes the calls, then forgets them. */
void watch_calls_run(struct watch_calls *calls, struct watches *w);
/* With the lock: adds marks, and when the watch is parked notes the call. False: it was only
 * remembered and is gone. */
bool watch_mark(struct watches *w, struct watch *watch, unsigned marks, struct watch_calls *calls);

/* ---- watch_due.c, with the lock ---- */
/* -1: nothing is due. */
int64_t watch_due_next_ms(const struct watches *w);
/* Marks what is due. */
void watch_due_run(struct watches *w, int64_t now_ms, struct watch_calls *calls);
void watch_due_deinit(struct watches *w);

#endif
