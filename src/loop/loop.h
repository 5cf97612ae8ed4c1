#ifndef BELLHOP_LOOP_LOOP_H
#define BELLHOP_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * One event loop: descriptors (epoll, edge-triggered), timers, signals, and notes from other
 * threads. A loop belongs to one thread; only loop_post() and loop_stop() may be called from
 * others. Callbacks must not block: with the log level at debug a watchdog writes `callback_slow`
 * with the name of each one over 5 ms.
 *
 * Edge-triggered: a callback reads or writes until EAGAIN, or comes back by itself (loop_post to
 * its own loop). Tests drive a loop by hand with loop_run_once() under clock_fake_set().
 */
struct loop;

#define LOOP_READ   1u /* readable */
#define LOOP_WRITE  2u /* writable again */
#define LOOP_HANGUP 4u /* the peer closed, or closed its half (EPOLLRDHUP) */
#define LOOP_ERROR  8u /* the socket is broken; a read or write says why */

NODISCARD int loop_new(struct loop **ret, struct err *err);
/* Everything that was watched is forgotten, not closed; notes which are still waiting are dropped.
 */
void loop_free(struct loop **l);

/* Until loop_stop(). */
void loop_run(struct loop *l);
/* One round: waits at most timeout_ms (-1: until something happens), then runs what is due. False
 * after loop_stop(). */
bool loop_run_once(struct loop *l, int64_t timeout_ms);
/* Any thread, also a callback: loop_run() returns after the round at hand. */
void loop_stop(struct loop *l);
bool loop_stopping(const struct loop *l);
/* Called at the end of each round, before the loop sleeps: the place for work that the callbacks
 * have gathered. One per loop. */
void loop_set_round_end(struct loop *l, const char *name, void (*fn)(void *owner), void *owner);

/* ---- descriptors, a few: each with its own callback ---- */

struct loop_fd;
typedef void (*loop_fd_fn)(void *owner, unsigned events);

/* Watches fd for everything. name: static storage, for the watchdog. The descriptor stays the
 * caller's. */
NODISCARD int loop_fd_new(struct loop *l, int fd, const char *name, loop_fd_fn fn, void *owner,
	struct loop_fd **ret, struct err *err);
/*
 * Whether room for writing is an event; it is at first. A Unix socket whose peer reads tells its
 * sender so each time, and a process that sleeps is woken for it: who has nothing queued should not
 * ask. Asking again reports room that is there already.
 */
NODISCARD int loop_fd_want_write(struct loop_fd *f, bool wanted, struct err *err);
/* Stops watching (before the caller closes fd). Safe inside any callback: no event comes after it.
 */
void loop_fd_free(struct loop_fd **f);

/* ---- descriptors, very many: nothing is kept per descriptor ---- */

/*
 * A kind is one callback for many descriptors, told apart by index and tag (a slab slot and 24 bits
 * of its generation). An event that was fetched before its descriptor was closed may still arrive:
 * the owner compares the tag.
 */
typedef void (*loop_many_fn)(void *owner, uint32_t index, uint32_t tag, unsigned events);
#define LOOP_TAG_MASK 0xffffffu

/* At most 16 kinds per loop. name: static storage. */
uint8_t loop_kind_new(struct loop *l, const char *name, loop_many_fn fn, void *owner);
NODISCARD int loop_many_add(
	struct loop *l, uint8_t kind, int fd, uint32_t index, uint32_t tag, struct err *err);
/* close(2) does it as well, when no other process holds the descriptor. */
void loop_many_remove(struct loop *l, int fd);

/* ---- gathering under load ---- */

/*
 * How long at most, in microseconds (0, the default: never), events of the very many may wait for
 * others to come, so that a loop does not go to sleep and is not woken for each of them. It gathers
 * only while they come thick (GATHER_FROM of them within some two milliseconds); urgent descriptors
 * and notes never wait, timers at most as long.
 */
void loop_set_gather(struct loop *l, uint32_t gather_us);
/* How often it has. */
uint64_t loop_gathers(const struct loop *l);
/* Input from f ends the gathering at once. At most 4 of a loop at a time; others are not urgent. */
void loop_fd_set_urgent(struct loop_fd *f);

/* ---- timers ---- */

typedef void (*loop_timer_fn)(void *owner);

/* Storage of the caller; loop_timer_init() first. */
struct loop_timer {
	struct loop *loop;
	const char *name; /* static storage */
	loop_timer_fn fn;
	void *owner;
	int64_t deadline_ms;
	uint32_t place; /* in the heap, from 1; 0: not set */
};

void loop_timer_init(
	struct loop_timer *t, struct loop *l, const char *name, loop_timer_fn fn, void *owner);
/* Sets or moves. A deadline in the past fires in the next round. Fires once. */
void loop_timer_set(struct loop_timer *t, int64_t deadline_ms);
/* Harmless when it is not set. Call it before the storage goes away. */
void loop_timer_clear(struct loop_timer *t);

/* ---- notes between threads ---- */

/* Storage of the caller; owned by the loop from loop_post() until fn is called. */
struct loop_note {
	struct loop_note *next;
	const char *name; /* static storage */
	void (*fn)(struct loop_note *note);
	bool posted;
};

/* Any thread. fn runs on the loop's thread, after the caller returned. Posting a note that is
 * posted already is harmless. */
void loop_post(struct loop *l, struct loop_note *note);
/* Loop thread only: takes it back when it has not run yet. */
void loop_post_cancel(struct loop *l, struct loop_note *note);

/* ---- signals ---- */

/* Blocks signo in this thread (do it before other threads start) and has fn called on the loop for
 * it. name: static storage. */
NODISCARD int loop_signal_add(struct loop *l, int signo, const char *name,
	void (*fn)(void *owner, int signo), void *owner, struct err *err);

#endif
