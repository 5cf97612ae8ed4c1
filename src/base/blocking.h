#ifndef BELLHOP_BASE_BLOCKING_H
#define BELLHOP_BASE_BLOCKING_H

#include <stdbool.h>

/*
 * Threads that say when they wait. A pool which keeps no more threads awake than there are cores
 * (loop/worker.h) lets another one run while one waits for a disk, for another thread, or computes
 * for long on purpose (a password's hash); whoever waits says so here and need not know the pool.
 *
 * Any thread; on one that nobody listens to, nothing happens. Stretches may nest: the outermost
 * counts. What they are told comes without a lock of ours, and may take one of the listener's.
 */
struct blocking {
	/* On the thread itself: it begins (true) or ends to wait. */
	void (*changed)(struct blocking *b, bool blocked);
};

/* Of the calling thread from now on, until it says NULL or ends; not inside a stretch. */
void blocking_listen(struct blocking *b);
void blocking_begin(void);
void blocking_end(void);

#endif
