#ifndef BELLHOP_NOTIFY_WATCH_H
#define BELLHOP_NOTIFY_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "ipc/ipc.h"
#include "store/store.h"

/*
 * Watches: who waits for what (ARCHITECTURE.md, the life of a Ping). One watch is one waiting
 * request of one device; a new watch of a device ends the older one. A change event only marks;
 * what a mark leads to is decided here without a database when it is certain, and otherwise by an
 * exact check on a worker.
 *
 * The order that loses nothing: watch_begin() registers, then the caller checks each folder in the
 * database, then watch_park(). A change between the first and the last makes watch_park() say
 * "marked": check again, answer or park again.
 *
 * Threads: every function may be called from any thread; one mutex, held for microseconds, never
 * across I/O or callbacks.
 */
struct watches;

/* A keyed hash of all that a request says; who makes it keeps the key. */
struct watch_print {
	uint64_t a, b;
};

/* Who a watch is; a number that is never used again. 0: none. */
struct watch_id {
	uint64_t v;
};

struct watch_folder {
	struct owner_id owner;
	struct folder_id folder;
	int64_t cutoff_at;  /* items with an older date are outside the filter; INT64_MIN: no filter
			     */
	uint8_t item_class; /* enum item_class that the folder's Sync would send */
	bool exact;         /* never decide from memory: always let the exact check decide */
};

enum watch_kind { WATCH_PING = 1, WATCH_SYNC = 2 };

struct watch_spec {
	enum watch_kind kind;
	struct owner_id user;
	struct device_id device;
	uint32_t heartbeat_s;
	uint64_t user_epoch, device_epoch;  /* as read from the store before the check */
	bool hierarchy;                     /* wake for CHANGE_HIERARCHY of `user` */
	bool plain;                         /* its phone waits without TLS; kept for who asks */
	bool muted;                         /* it is to hear of nothing; kept for who asks */
	const struct watch_folder *folders; /* copied */
	size_t folder_count;
	/* A watch from before the engine's start: it yields to any other of its device but the one
	 * under this handle. NULL: it is the device's newest. */
	const struct ipc_handle *replaces;
	struct ipc_handle handle; /* with replaces: the one that it is to be parked under */
};

/* Why a watch must be looked at. */
enum watch_mark {
	WATCH_MARK_NONE = 0,
	WATCH_MARK_CHANGED = 1, /* certain: folder_index will send something */
	WATCH_MARK_CHECK = 2,   /* uncertain: run the exact check */
	WATCH_MARK_HIERARCHY = 4,
	WATCH_MARK_ADMIN = 8, /* user, device or policy changed: authenticate and check again */
};

/* A snapshot of a watch, in the caller's arena. */
struct watch_view {
	struct watch_id id;
	struct watch_spec spec;
	struct ipc_handle handle;
	unsigned marks;
	const uint32_t *changed; /* indexes into spec.folders with a certain change */
	size_t changed_count;
	bool parked;
};

/* Called without the mutex, on the thread that published or on the timer's thread: a parked watch
 * got a mark. The engine wakes it or runs the exact check on a worker. Flag and Read changes alone
 * arrive after flag_wake_delay_s. Once until watch_check_begin(), and again when WATCH_MARK_ADMIN
 * comes on top. */
typedef void (*watch_marked_fn)(struct watch_id id, unsigned marks, void *owner);
/* A watch that was parked ended because its device began another one: tell the front. */
typedef void (*watch_ended_fn)(const struct ipc_handle *handle, enum watch_kind kind, void *owner);
/* The watch stays, but may not be renewed from memory any more (device epoch raised): tell the
 * front. */
typedef void (*watch_stale_fn)(const struct ipc_handle *handle, void *owner);

struct watch_options {
	uint32_t flag_wake_delay_s;
	uint32_t remember_max; /* watches of phones that went away */
	watch_marked_fn on_marked;
	watch_ended_fn on_ended;
	watch_stale_fn on_stale;
	void *owner;
};

struct watches *watches_new(const struct watch_options *options);
void watches_free(struct watches **w);
/* Reload: for changes from now on. What was remembered is forgotten. */
void watches_set_limits(struct watches *w, uint32_t flag_wake_delay_s, uint32_t remember_max);

/* Registers; state: checking. Ends an older watch of the same device (on_ended). 0: it yielded. */
struct watch_id watch_begin(struct watches *w, const struct watch_spec *spec);
/*
 * What the check saw: the data of `user` in a snapshot with this owner seq. A commit is published a
 * moment after it can be read; a change that the check has seen already and that is published only
 * now marks nothing (or the phone would be woken for what it has).
 */
void watch_checked(struct watches *w, struct watch_id id, struct owner_id user, uint64_t seq);
/* The watch is to be looked at then, as if somebody had changed something about its device
 * (WATCH_MARK_ADMIN). What was set before stays, unless such a mark came since. */
void watch_set_due(struct watches *w, struct watch_id id, int64_t at_ms);
/*
 * Checking -> parked under this handle. True: parked; `send(arg)` was called under the mutex, so
 * that no WAKE can be queued before the PARK (send only queues bytes). False: marks arrived since
 * watch_begin() (they are cleared and given back); the watch stays in checking. False with no
 * marks: the watch ended meanwhile.
 */
bool watch_park(struct watches *w, struct watch_id id, const struct ipc_handle *handle,
	unsigned *ret_marks, void (*send)(void *arg), void *arg);
/*
 * While it is checked: until then, the same request may park again from memory, also on another
 * connection, and without a check as long as nothing has marked the watch. Its phone may be away
 * meanwhile: the watch is then remembered, and the first mark or other command of the device ends
 * it. For a Ping only.
 */
void watch_set_print(
	struct watches *w, struct watch_id id, const struct watch_print *print, int64_t until_ms);
/* What is parked again. */
struct watch_known {
	enum watch_kind kind;
	struct owner_id user;
	struct device_id device;
	uint64_t user_epoch, device_epoch;
	uint64_t seen_seq; /* of `user`, of the last check (watch_checked()) */
	uint32_t heartbeat_s;
	bool plain, muted;
	int64_t until_ms;
};
/*
 * A request that begins: true when it is known and nothing has happened since. It is parked under
 * the handle then, and send(arg) was called under the mutex with *ret filled. An older request of
 * the device which still waits is ended (on_ended).
 */
bool watch_park_known(struct watches *w, const struct watch_print *print, int64_t now_ms,
	const struct ipc_handle *handle, struct watch_known *ret, void (*send)(void *arg),
	void *arg);

/* Ends it, if it is still there. True: it was there. The handle it was parked under is given back
 * when ret_handle is not NULL. */
bool watch_end(struct watches *w, struct watch_id id, struct ipc_handle *ret_handle);
/* Ends the device's held Sync, if there is one (on_ended): a newer Sync speaks for the phone. */
void watch_end_held(struct watches *w, struct device_id device);
/* The same for one that is only being registered, or looked at: what is remembered of the device's
 * requests is not what it asked for any more. */
void watch_end_sync(struct watches *w, struct device_id device);
enum watch_rename { WATCH_RENAMED, WATCH_RENAMED_STALE, WATCH_NOT_RENAMED };
/*
 * The phone of a parked watch that nothing has happened to goes on under another handle, at another
 * front. NOT_RENAMED: there is none under the old handle, or it has a mark, or is being checked:
 * what is told of it goes to the old handle, so the caller registers it anew.
 */
enum watch_rename watch_rename(
	struct watches *w, const struct ipc_handle *from, const struct ipc_handle *to);
/* The front says the phone is gone. It may be remembered (watch_set_print()). */
void watch_gone(struct watches *w, const struct ipc_handle *handle);
/* All watches of one front (its connection ended). */
void watch_front_gone(struct watches *w, uint32_t front);
/* Takes a parked watch back to checking, for the exact check: the marks are cleared and given in
 * the view. False: it is gone, or somebody is checking it already and will see the marks in
 * watch_park(). */
bool watch_check_begin(
	struct watches *w, struct watch_id id, struct arena *arena, struct watch_view *ret);
/* The same for who checks it already (watch_park() was false) and looks again. False: it is gone.
 */
bool watch_check_again(
	struct watches *w, struct watch_id id, struct arena *arena, struct watch_view *ret);
/* Raises the device's epoch: its watch, if any, may not be renewed from memory (on_stale). Called
 * at every command but Ping. */
void watch_touch_device(struct watches *w, struct device_id device);
/* Milliseconds until watches_run_timers() is due (-1: nothing waits). */
int64_t watches_next_timer_ms(struct watches *w, int64_t now_ms);
void watches_run_timers(struct watches *w, int64_t now_ms);
/* The store's publisher calls this. */
void watches_publish(struct watches *w, const struct change_event *events, size_t count);
/* Without those which are only remembered. */
size_t watches_count(struct watches *w);
size_t watches_remembered_count(struct watches *w);

#endif
