#ifndef BELLHOP_LOOP_WORKER_H
#define BELLHOP_LOOP_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

/*
 * A pool of threads for work that blocks: N threads, one bounded queue, first come, first served.
 *
 * Threads that compute gain nothing from being more than the cores, they only push each other's
 * memory out of the caches. With awake_max no more are awake at once; one that waits
 * (base/blocking.h) does not count, and when none has taken a job for 5 ms while jobs wait, one more
 * is called, whatever the others are stuck in.
 *
 * A job owns all its data and knows its connection only by handle: when done() runs, the connection
 * may be gone. done() runs on the loop's thread, never before workers_submit() has returned; it
 * frees the job. Embed struct job as a member and come back with LIST_ENTRY-style offsetof, or put
 * it first.
 */
struct workers;

struct job {
	const char *name; /* static storage; for logs and the watchdog */
	/* On a worker; may block. thread_state: what on_start of this thread gave. */
	void (*run)(struct job *job, void *thread_state);
	/* On the loop (on the worker when the pool has no loop). cancelled: run() was never called.
	 */
	void (*done)(struct job *job, bool cancelled);
	struct job *next; /* the pool's */
	bool cancelled;   /* the pool's */
};

struct workers_options {
	const char *name;   /* threads are called name-0, name-1, ...; at most 10 letters count */
	uint32_t threads;   /* 1 to 1024 */
	uint32_t awake_max; /* of them at once, those which wait not counted; 0: all. Needs a loop */
	uint32_t queue_max; /* jobs waiting, beyond those that run */
	struct loop *loop;  /* where done() runs; must outlive the pool. NULL: on the worker */
	/* Each thread, first and last: a database connection, for example. NULL: none. A thread
	 * whose on_start fails makes workers_new() fail. */
	int (*on_start)(void *owner, uint32_t thread, void **ret_thread_state, struct err *err);
	void (*on_stop)(void *owner, void *thread_state);
	void *owner;
};

/* Returns when every thread has started; all signals are blocked in them. */
NODISCARD int workers_new(
	const struct workers_options *options, struct workers **ret, struct err *err);
/*
 * Loop thread. Waits for jobs that run; those which only wait are cancelled. done() of all of them
 * has been called when it returns.
 */
void workers_free(struct workers **w);

/* Any thread. False: the queue is full or the pool is ending; the job stays the caller's. */
bool workers_submit(struct workers *w, struct job *job);
/* Jobs waiting, and running; any thread. */
uint32_t workers_waiting(struct workers *w);
uint32_t workers_running(struct workers *w);

#endif
