#ifndef BELLHOP_NOTIFY_WATCH_INTERNAL_H
#define BELLHOP_NOTIFY_WATCH_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "notify/watch.h"
#include "notify/watch_index.h"

enum watch_state {
	WATCH_CHECKING =
		1, /* registered; somebody looks into the store. Marks are kept for watch_park() */
	WATCH_PARKED, /* the front holds the phone. The first mark calls on_marked */
	WATCH_MARKED, /* on_marked was called; further marks only gather until watch_check_begin()
		       */
};

/* One folder of one watch. */
struct watch_entry {
	struct watch_link by_folder;
	struct watch *watch;
	struct owner_id owner;
	struct folder_id folder;
	int64_t cutoff_at;
	uint8_t item_class;
	bool exact, changed;
};

/* Kept small: there is one for each parked phone. */
struct watch {
	struct watch_link by_id, by_user, by_device, by_handle; /* by_handle: once it was parked */
	struct list_node timer; /* in watches.timers while flag_due_ms is not 0 */
	uint64_t id;
	int64_t flag_due_ms;
	struct owner_id user;
	struct device_id device;
	uint64_t user_epoch, device_epoch;
	uint64_t seen_seq;           /* of `user`: changes up to it were seen by the check */
	struct watch_entry *entries; /* owned */
	uint32_t entry_count;
	uint32_t heartbeat_s;
	struct ipc_handle handle;
	uint8_t kind, state;
	uint8_t marks;
	bool hierarchy;
	bool stale; /* its device sent other commands since: nothing is decided from memory any more
		     */
};

struct watches {
	pthread_mutex_t lock; /* all below */
	struct watch_options options;
	struct watch_index by_id, by_user, by_device, by_handle, by_folder;
	struct list_node timers; /* of watches, soonest first */
	uint64_t last_id;
};

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
/* With the lock: adds marks, and when the watch is parked notes the call. */
void watch_mark(struct watch *watch, unsigned marks, struct watch_calls *calls);

#endif
