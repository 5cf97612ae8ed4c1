/*
 * The worker pool.
 *
 * A job's way: submit -> queue -> a thread: run() -> outbox -> note on the loop -> done(). The
 * outbox is ours and not the loop's, so that workers_free() can hand out what is left there itself.
 *
 * Threads: `lock` guards the queue, the outbox and the counters; it is never held across run() or
 * done(). Limits: queue_max jobs waiting; the outbox is bounded by what was admitted.
 *
 * The thread that went to sleep last is called first: its stack and what it keeps between jobs (a
 * database connection) are still warm, and the others sleep on. It sleeps on a semaphore: after a
 * wait for a condition glibc takes the lock for contended, and each unlock is a system call.
 *
 * `awake` counts threads that were called and have not gone to sleep since, without those which
 * say that they wait. While jobs wait, and fewer than awake_max are awake, one is called: at a
 * submit, and when one begins to wait. So jobs never wait for a thread that is not awake; and for
 * those that are awake but stuck the clock `late` runs.
 */
#include "loop/worker.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include "base/blocking.h"
#include "base/clock.h"
#include "base/mem.h"

#define THREADS_MAX 1024
#define LATE_MS     5

struct worker {
	struct blocking blocking;
	struct workers *pool;
	uint32_t number;
	pthread_t thread;
	sem_t wake;               /* posted once for each time that it is called, and at the stop */
	struct worker *next_idle; /* under the pool's lock, as is: */
	bool called;
};

struct queue {
	struct job *first, **end;
	uint32_t count;
};

struct workers {
	struct workers_options options;
	pthread_mutex_t lock;
	pthread_cond_t started; /* a thread finished its start */
	struct queue queue, outbox;
	struct worker *idle; /* who went to sleep last is on top */
	uint32_t running, threads, started_count, awake;
	uint64_t taken, taken_before; /* jobs by threads; at the last look of `late` */
	bool watched;                 /* `late` runs, or is about to */
	struct loop_note watch_note;
	struct loop_timer late;
	bool stop, failed;
	struct err start_err;
	struct loop_note note;
	struct worker *workers;
};

static void queue_add(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
	q->count++;
}

static struct job *queue_pop(struct queue *q)
{
	struct job *job = q->first;

	if (job == NULL)
		return NULL;
	q->first = job->next;
	if (q->first == NULL)
		q->end = &q->first;
	q->count--;
	return job;
}

/*
 * Under the lock. Takes one from the stack of sleepers, whom the caller posts outside of the lock
 * (or it would wake only to wait for it). NULL: all that there may be are awake.
 */
static struct worker *call(struct workers *w, uint32_t awake_max)
{
	struct worker *called = w->idle;

	if (called == NULL || w->awake >= awake_max)
		return NULL;
	w->idle = called->next_idle;
	called->called = true;
	w->awake++;
	return called;
}

static void post(struct worker *called)
{
	if (called != NULL)
		(void)sem_post(&called->wake);
}

/* ---- threads that are stuck ---- */

/* On the loop. */
static void on_late(void *owner)
{
	struct workers *w = owner;
	struct worker *called = NULL;

	(void)pthread_mutex_lock(&w->lock);
	if (w->queue.count == 0)
		w->watched = false;
	else if (w->taken == w->taken_before)
		called = call(w, w->threads);
	w->taken_before = w->taken;
	if (w->watched)
		loop_timer_set(&w->late, clock_now_ms() + LATE_MS);
	(void)pthread_mutex_unlock(&w->lock);
	post(called);
}

static void on_watch_note(struct loop_note *note)
{
	struct workers *w =
		(struct workers *)(void *)((char *)note - offsetof(struct workers, watch_note));

	loop_timer_set(&w->late, clock_now_ms() + LATE_MS);
}

/* Under the lock. Jobs that wait for those which are awake, while others sleep, are looked after.
 */
static void watch(struct workers *w)
{
	if (w->queue.count == 0 || w->idle == NULL || w->watched)
		return;
	w->watched = true;
	loop_post(w->options.loop, &w->watch_note);
}

/* A thread says that it waits, or no longer does. */
static void on_blocking(struct blocking *b, bool blocked)
{
	struct workers *w = ((struct worker *)(void *)b)->pool;
	struct worker *called = NULL;

	(void)pthread_mutex_lock(&w->lock);
	if (!blocked) {
		w->awake++;
	} else {
		w->awake--;
		if (w->queue.count > 0)
			called = call(w, w->options.awake_max);
		watch(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
	post(called);
}

/* ---- jobs ---- */

/* On the loop: every done() that waits. */
static void deliver(struct workers *w)
{
	struct job *job;

	for (;;) {
		(void)pthread_mutex_lock(&w->lock);
		job = queue_pop(&w->outbox);
		(void)pthread_mutex_unlock(&w->lock);
		if (job == NULL)
			return;
		job->done(job, job->cancelled);
	}
}

static void on_note(struct loop_note *note)
{
	deliver((struct workers *)(void *)((char *)note - offsetof(struct workers, note)));
}

static void run_job(struct workers *w, struct job *job, void *state)
{
	job->run(job, state);
	if (w->options.loop == NULL) {
		job->done(job, false);
		return;
	}
	(void)pthread_mutex_lock(&w->lock);
	queue_add(&w->outbox, job);
	(void)pthread_mutex_unlock(&w->lock);
	loop_post(w->options.loop, &w->note);
}

/*
 * False: on_start failed; the first error is kept. Else the lock is held, until the thread sleeps:
 * when workers_new() has seen them all, they do.
 */
static bool start(struct workers *w, struct worker *self, void **state)
{
	struct err err = ERR_INIT;
	bool ok = w->options.on_start == NULL ||
		  w->options.on_start(w->options.owner, self->number, state, &err) == 0;

	(void)pthread_mutex_lock(&w->lock);
	if (!ok && !w->failed) {
		w->failed = true;
		w->start_err = err;
	}
	w->started_count++;
	(void)pthread_cond_broadcast(&w->started);
	if (!ok)
		(void)pthread_mutex_unlock(&w->lock);
	return ok;
}

/* Under the lock. Whoever calls takes us off the stack. */
static void sleep_until_called(struct workers *w, struct worker *self)
{
	w->awake--;
	self->called = false;
	self->next_idle = w->idle;
	w->idle = self;
	watch(w);
	while (!self->called && !w->stop) {
		(void)pthread_mutex_unlock(&w->lock);
		while (sem_wait(&self->wake) < 0)
			; /* a signal */
		(void)pthread_mutex_lock(&w->lock);
	}
}

static void *worker_main(void *arg)
{
	struct worker *self = arg;
	struct workers *w = self->pool;
	bool too_many = false;
	void *state = NULL;

	if (!start(w, self, &state))
		return NULL;
	self->blocking.changed = on_blocking;
	blocking_listen(&self->blocking);
	for (;;) {
		struct job *job = w->stop || too_many ? NULL : queue_pop(&w->queue);

		if (job != NULL) {
			w->running++;
			w->taken++;
			(void)pthread_mutex_unlock(&w->lock);
			run_job(w, job, state);
			(void)pthread_mutex_lock(&w->lock);
			w->running--;
			/* Others came while it waited; they take what there is. */
			too_many = w->awake > w->options.awake_max;
		} else if (w->stop) {
			break;
		} else {
			too_many = false;
			sleep_until_called(w, self);
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
	blocking_listen(NULL);
	if (w->options.on_stop != NULL)
		w->options.on_stop(w->options.owner, state);
	return NULL;
}

static int start_threads(struct workers *w, struct err *err)
{
	sigset_t all, before;
	int failed = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	for (uint32_t i = 0; i < w->options.threads && failed == 0; i++) {
		char name[24]; /* the kernel takes 15 letters: 10, a dash, and up to four digits */

		w->workers[i] = (struct worker){.pool = w, .number = i};
		(void)sem_init(&w->workers[i].wake, 0, 0);
		failed = pthread_create(&w->workers[i].thread, NULL, worker_main, &w->workers[i]);
		if (failed != 0)
			break;
		w->threads++;
		(void)snprintf(name, sizeof(name), "%.10s-%u", w->options.name, i);
		(void)pthread_setname_np(w->workers[i].thread, name);
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed == 0 ? 0 : err_set_errno(err, failed, "starting a worker thread");
}

int workers_new(const struct workers_options *options, struct workers **ret, struct err *err)
{
	CLEANUP(workers_free) struct workers *w = x_new(struct workers);

	assert(options->threads >= 1 && options->threads <= THREADS_MAX);
	w->options = *options;
	assert(options->awake_max == 0 || options->loop != NULL);
	if (options->awake_max == 0)
		w->options.awake_max = options->threads;
	w->awake = options->threads; /* they go to sleep once they have started */
	w->queue.end = &w->queue.first;
	w->outbox.end = &w->outbox.first;
	w->note.fn = on_note;
	w->note.name = options->name;
	w->watch_note.fn = on_watch_note;
	w->watch_note.name = options->name;
	if (options->loop != NULL)
		loop_timer_init(&w->late, options->loop, options->name, on_late, w);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->started, NULL);
	w->workers = x_calloc(options->threads, sizeof(*w->workers));
	if (start_threads(w, err) < 0)
		return -1;
	(void)pthread_mutex_lock(&w->lock);
	while (w->started_count < w->threads)
		(void)pthread_cond_wait(&w->started, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	if (w->failed) {
		*err = w->start_err;
		return -1;
	}
	*ret = TAKE(w);
	return 0;
}

void workers_free(struct workers **wp)
{
	struct workers *w = *wp;
	struct job *job;

	*wp = NULL;
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stop = true;
	for (uint32_t i = 0; i < w->threads; i++)
		(void)sem_post(&w->workers[i].wake);
	(void)pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->threads; i++) {
		(void)pthread_join(w->workers[i].thread, NULL);
		(void)sem_destroy(&w->workers[i].wake);
	}
	if (w->options.loop != NULL) {
		loop_post_cancel(w->options.loop, &w->note);
		loop_post_cancel(w->options.loop, &w->watch_note);
		loop_timer_clear(&w->late);
	}
	while ((job = queue_pop(&w->queue)) != NULL) {
		job->cancelled = true;
		queue_add(&w->outbox, job);
	}
	deliver(w);
	(void)pthread_cond_destroy(&w->started);
	(void)pthread_mutex_destroy(&w->lock);
	mem_free(w->workers);
	mem_free(w);
}

bool workers_submit(struct workers *w, struct job *job)
{
	struct worker *called = NULL;
	bool taken;

	(void)pthread_mutex_lock(&w->lock);
	/* A free thread takes the job at once, so it does not count as waiting. */
	taken = !w->stop && w->queue.count < w->options.queue_max + (w->threads - w->running);
	if (taken) {
		job->cancelled = false;
		queue_add(&w->queue, job);
		called = call(w, w->options.awake_max);
		watch(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
	post(called);
	return taken;
}

uint32_t workers_waiting(struct workers *w)
{
	uint32_t count;

	(void)pthread_mutex_lock(&w->lock);
	count = w->queue.count;
	(void)pthread_mutex_unlock(&w->lock);
	return count;
}

uint32_t workers_running(struct workers *w)
{
	uint32_t count;

	(void)pthread_mutex_lock(&w->lock);
	count = w->running;
	(void)pthread_mutex_unlock(&w->lock);
	return count;
}
