#ifndef BELLHOP_MODEL_FIBER_H
#define BELLHOP_MODEL_FIBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Threads of the model: fibers on one thread of the system, so that a seed decides who goes on.
 *
 * The program is linked with --wrap for what our rooms use of <pthread.h>: a thread that the store
 * starts is a fiber, a mutex or a condition blocks a fiber, and each lock is a place where another
 * one may be chosen. Libraries (SQLite, glib) keep the real ones; no fiber is left inside them but
 * in SQLite's busy handler.
 */
struct rng {
	uint64_t state;
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* 0 ... n - 1; n > 0. */
uint32_t rng_below(struct rng *r, uint32_t n);
/* True in so many of 100 cases. */
bool rng_percent(struct rng *r, uint32_t percent);

typedef void (*fiber_fn)(void *arg);

/* The choices from now on are those of this seed. */
void fiber_seed(uint64_t seed);
/* Ready to run; owner is what fiber_owner() gives while it runs. */
void fiber_start(fiber_fn fn, void *arg, void *owner);
/* Runs all that were started with fiber_start() to their ends. Called by main only. */
void fiber_run_all(void);
/* Lets others go on, perhaps. */
void fiber_yield(void);
/* Of the fiber that runs; main's is what fiber_set_owner() said. */
void *fiber_owner(void);
void fiber_set_owner(void *owner);

#endif
