#include "loop/worker.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/blocking.h"
#include "base/test.h"

static struct err err;
static struct loop *loop;
static _Atomic int started, stopped, ran, inside;
static int finished, cancelled;
static pthread_t loop_thread;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int on_start(void *owner, uint32_t thread, void **ret_thread_state, struct err *e)
{
	if (owner != NULL && thread == 1)
		return err_set(e, ERR_BACKEND, "no database");
	started++;
	*ret_thread_state = &started;
	return 0;
}

static void on_stop(void *owner, void *thread_state)
{
	stopped += thread_state == &started;
}

static void run(struct job *job, void *thread_state)
{
	CHECK(thread_state == &started);
	CHECK(!pthread_equal(pthread_self(), loop_thread));
	(void)pthread_mutex_lock(&gate);
	(void)pthread_mutex_unlock(&gate);
	ran++;
}

static void done(struct job *job, bool was_cancelled)
{
	CHECK(pthread_equal(pthread_self(), loop_thread));
	finished++;
	cancelled += was_cancelled;
}

static void run_and_wait(struct job *job, void *thread_state)
{
	blocking_begin();
	inside++;
	run(job, thread_state);
	blocking_end();
}

static void run_stuck(struct job *job, void *thread_state)
{
	inside++;
	run(job, thread_state);
}

static struct workers *begin_awake(uint32_t threads, uint32_t queue_max, uint32_t awake_max)
{
	struct workers_options o = {.name = "test",
		.threads = threads,
		.queue_max = queue_max,
		.awake_max = awake_max,
		.on_start = on_start,
		.on_stop = on_stop};
	struct workers *w;

	started = stopped = ran = inside = 0;
	finished = cancelled = 0;
	loop_thread = pthread_self();
	REQUIRE_OK(loop_new(&loop, &err), &err);
	o.loop = loop;
	REQUIRE_OK(workers_new(&o, &w, &err), &err);
	return w;
}

static struct workers *begin(uint32_t threads, uint32_t queue_max)
{
	return begin_awake(threads, queue_max, 0);
}

static void test_all_jobs_are_done_on_the_loop(void)
{
	struct workers *w = begin(4, 1000);
	static struct job jobs[500];

	for (int i = 0; i < 500; i++) {
		jobs[i] = (struct job){.name = "job", .run = run, .done = done};
		CHECK(workers_submit(w, &jobs[i]));
	}
	while (finished < 500)
		(void)loop_run_once(loop, 1000);
	CHECK_INT(ran, 500);
	CHECK_INT(cancelled, 0);
	workers_free(&w);
	CHECK_INT(started, 4);
	CHECK_INT(stopped, 4);
	loop_free(&loop);
}

static void test_queue_is_bounded_and_cancelled(void)
{
	struct workers *w;
	static struct job jobs[5];
	int taken = 0;

	w = begin(1, 2);
	(void)pthread_mutex_lock(&gate);
	for (int i = 0; i < 5; i++) {
		jobs[i] = (struct job){.name = "job", .run = run, .done = done};
		taken += workers_submit(w, &jobs[i]);
	}
	CHECK_INT(taken, 3); /* one for the thread, two may wait */
	CHECK_INT(finished, 0);
	(void)pthread_mutex_unlock(&gate);
	workers_free(&w);
	CHECK_INT(finished, 3);
	CHECK_INT(ran + cancelled, 3);
	loop_free(&loop);
}

static void submit(struct workers *w, struct job *jobs, int count,
	void (*fn)(struct job *job, void *thread_state))
{
	for (int i = 0; i < count; i++) {
		jobs[i] = (struct job){.name = "job", .run = fn, .done = done};
		CHECK(workers_submit(w, &jobs[i]));
	}
}

/* The loop does not run: nobody but the threads that wait can have called the others. */
static void test_who_waits_is_replaced(void)
{
	struct workers *w = begin_awake(6, 100, 1);
	static struct job jobs[6];

	(void)pthread_mutex_lock(&gate);
	submit(w, jobs, 6, run_and_wait);
	while (inside < 6)
		(void)sched_yield();
	(void)pthread_mutex_unlock(&gate);
	while (finished < 6)
		(void)loop_run_once(loop, 1000);
	workers_free(&w);
	loop_free(&loop);
}

static void test_no_more_are_awake(void)
{
	struct workers *w = begin_awake(6, 100, 2);
	static struct job jobs[8];

	(void)pthread_mutex_lock(&gate);
	submit(w, jobs, 8, run_stuck);
	while (inside < 2)
		(void)sched_yield();
	CHECK_INT(workers_running(w), 2);
	CHECK_INT(workers_waiting(w), 6);
	/* Those two are stuck: the clock calls the others, one by one. */
	while (inside < 6)
		(void)loop_run_once(loop, 1000);
	CHECK_INT(workers_waiting(w), 2);
	(void)pthread_mutex_unlock(&gate);
	while (finished < 8)
		(void)loop_run_once(loop, 1000);
	workers_free(&w);
	CHECK_INT(stopped, 6);
	loop_free(&loop);
}

/* Jobs that wait and jobs that do not, with fewer awake than wait: none is left lying. */
static void test_none_is_left_lying(void)
{
	struct workers *w = begin_awake(8, 4000, 2);
	static struct job waiting[1000], jobs[1000];

	for (int i = 0; i < 1000; i++) {
		submit(w, &waiting[i], 1, run_and_wait);
		submit(w, &jobs[i], 1, run_stuck);
	}
	while (finished < 2000)
		(void)loop_run_once(loop, 1000);
	CHECK_INT(ran, 2000);
	workers_free(&w);
	loop_free(&loop);
}

static void test_start_fails(void)
{
	struct workers_options o = {.name = "test",
		.threads = 3,
		.queue_max = 1,
		.on_start = on_start,
		.on_stop = on_stop,
		.owner = &err};
	struct workers *w = NULL;
	struct err e = ERR_INIT;

	started = stopped = 0;
	CHECK_INT(workers_new(&o, &w, &e), -1);
	CHECK(w == NULL);
	CHECK_INT(e.code, ERR_BACKEND);
	CHECK_STR(e.text, "no database");
	CHECK_INT(started, stopped);
}

TEST_MAIN(TEST(test_all_jobs_are_done_on_the_loop), TEST(test_queue_is_bounded_and_cancelled),
	TEST(test_who_waits_is_replaced), TEST(test_no_more_are_awake),
	TEST(test_none_is_left_lying), TEST(test_start_fails))
