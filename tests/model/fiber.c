/*
 * Fibers and the scheduler (fiber.h). A mutex keeps its holder's number in its first word, which is
 * zero after either kind of initialisation; a condition is only its address. Everything runs on one
 * thread, so nothing here needs a lock. Ends of fibers give their stacks back to a list.
 */
#include "fiber.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define FIBERS_MAX  32
#define STACK_BYTES ((size_t)1 << 20)

enum fiber_state {
	FIBER_FREE,
	FIBER_READY,
	FIBER_ON_MUTEX, /* until nobody holds `waits_for` */
	FIBER_ON_COND,  /* until somebody signals `waits_for` */
	FIBER_ON_END,   /* until the fiber `waits_for` has ended */
	FIBER_ON_ALL,   /* main: until all that were started have ended */
	FIBER_ENDED,    /* of a thread, not joined yet */
};

struct fiber {
	enum fiber_state state;
	const void *waits_for;
	ucontext_t context;
	char *stack;
	bool is_thread; /* made by pthread_create(): somebody joins it */
	fiber_fn fn;
	void *(*thread_fn)(void *);
	void *arg, *owner;
#ifdef WITH_ASAN
	void *fake_stack;
#endif
};

static struct fiber fibers[FIBERS_MAX] = {{.state = FIBER_READY}}; /* 0: main */
static unsigned current, started;
static struct rng choices;

/* ASan wants to know of each change of stacks, and where main's is. */
#ifdef WITH_ASAN
static unsigned previous;
static const void *main_stack;
static size_t main_stack_bytes;

static void leave(unsigned from, unsigned to)
{
	bool ends = fibers[from].state == FIBER_FREE || fibers[from].state == FIBER_ENDED;

	previous = from;
	__sanitizer_start_switch_fiber(ends ? NULL : &fibers[from].fake_stack,
		to == 0 ? main_stack : fibers[to].stack, to == 0 ? main_stack_bytes : STACK_BYTES);
}

static void arrive(void *fake_stack)
{
	const void *bottom;
	size_t bytes;

	__sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
	if (previous == 0 && main_stack == NULL) {
		main_stack = bottom;
		main_stack_bytes = bytes;
	}
}
#else
static void leave(unsigned from, unsigned to)
{
	(void)from;
	(void)to;
}
#endif

/* ---- numbers ---- */

void rng_seed(struct rng *r, uint64_t seed)
{
	r->state = seed * 0x9e3779b97f4a7c15u + 0x243f6a8885a308d3u;
}

/* splitmix64 */
uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

bool rng_percent(struct rng *r, uint32_t percent)
{
	return rng_below(r, 100) < percent;
}

/* ---- who goes on ---- */

static bool is_free(const void *mutex)
{
	unsigned holder;

	memcpy(&holder, mutex, sizeof(holder));
	return holder == 0;
}

static bool can_run(const struct fiber *f)
{
	switch (f->state) {
	case FIBER_READY:
		return true;
	case FIBER_ON_MUTEX:
		return is_free(f->waits_for);
	case FIBER_ON_END:
		return ((const struct fiber *)f->waits_for)->state == FIBER_ENDED;
	case FIBER_ON_ALL:
		return started == 0;
	default:
		return false;
	}
}

static void switch_to(unsigned to)
{
	unsigned from = current;

	fibers[to].state = FIBER_READY;
	if (to == from)
		return;
	current = to;
	leave(from, to);
	(void)swapcontext(&fibers[from].context, &fibers[to].context);
#ifdef WITH_ASAN
	arrive(fibers[from].fake_stack);
#endif
}

static void schedule(void)
{
	unsigned ready[FIBERS_MAX], count = 0;

	for (unsigned i = 0; i < FIBERS_MAX; i++) {
		if (can_run(&fibers[i]))
			ready[count++] = i;
	}
	if (count == 0) {
		(void)fprintf(stderr, "# every fiber waits for another one\n");
		abort();
	}
	switch_to(ready[count == 1 ? 0 : rng_below(&choices, count)]);
}

static void wait_as(enum fiber_state state, const void *object)
{
	fibers[current].state = state;
	fibers[current].waits_for = object;
	schedule();
}

/* ---- beginnings and ends ---- */

static void fiber_main(void)
{
	struct fiber *f = &fibers[current];

#ifdef WITH_ASAN
	arrive(NULL);
#endif
	if (f->is_thread)
		(void)f->thread_fn(f->arg);
	else
		f->fn(f->arg);
	if (!f->is_thread)
		started--;
	f->state = f->is_thread ? FIBER_ENDED : FIBER_FREE;
	schedule();
	abort();
}

static struct fiber *fiber_new(void)
{
	struct fiber *f = NULL;

	for (size_t i = 1; f == NULL && i < FIBERS_MAX; i++) {
		if (fibers[i].state == FIBER_FREE)
			f = &fibers[i];
	}
	if (f == NULL)
		abort();
	if (f->stack == NULL) {
		f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (f->stack == MAP_FAILED)
			abort();
	}
	(void)getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK_BYTES;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
	f->state = FIBER_READY;
	f->owner = NULL;
	return f;
}

void fiber_seed(uint64_t seed)
{
	rng_seed(&choices, seed);
}

void fiber_start(fiber_fn fn, void *arg, void *owner)
{
	struct fiber *f = fiber_new();

	f->is_thread = false;
	f->fn = fn;
	f->arg = arg;
	f->owner = owner;
	started++;
}

void fiber_run_all(void)
{
	if (started > 0)
		wait_as(FIBER_ON_ALL, NULL);
}

void fiber_yield(void)
{
	schedule();
}

void *fiber_owner(void)
{
	return fibers[current].owner;
}

void fiber_set_owner(void *owner)
{
	fibers[current].owner = owner;
}

/* ---- what the linker puts in the place of <pthread.h> ---- */

int __wrap_pthread_create(
	pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t thread, void **ret);
pthread_t __wrap_pthread_self(void);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
uint64_t __wrap_random_u64(void);

int __wrap_pthread_create(
	pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	struct fiber *f = fiber_new();

	(void)attr;
	f->is_thread = true;
	f->thread_fn = fn;
	f->arg = arg;
	*ret = (pthread_t)(f - fibers);
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
	struct fiber *f = &fibers[thread];

	while (f->state != FIBER_ENDED)
		wait_as(FIBER_ON_END, f);
	f->state = FIBER_FREE;
	if (ret != NULL)
		*ret = NULL;
	return 0;
}

pthread_t __wrap_pthread_self(void)
{
	return (pthread_t)current;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	unsigned holder = current + 1;

	if (started > 0 && rng_percent(&choices, 50))
		schedule();
	while (!is_free(mutex))
		wait_as(FIBER_ON_MUTEX, mutex);
	memcpy(mutex, &holder, sizeof(holder));
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	unsigned holder = 0;

	memcpy(mutex, &holder, sizeof(holder));
	return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	(void)__wrap_pthread_mutex_unlock(mutex);
	wait_as(FIBER_ON_COND, cond);
	while (!is_free(mutex))
		wait_as(FIBER_ON_MUTEX, mutex);
	return __wrap_pthread_mutex_lock(mutex);
}

static int wake(const void *cond, bool all)
{
	unsigned waiting[FIBERS_MAX], count = 0;

	for (unsigned i = 0; i < FIBERS_MAX; i++) {
		if (fibers[i].state == FIBER_ON_COND && fibers[i].waits_for == cond)
			waiting[count++] = i;
	}
	if (count > 0 && !all)
		fibers[waiting[rng_below(&choices, count)]].state = FIBER_READY;
	for (unsigned i = 0; all && i < count; i++)
		fibers[waiting[i]].state = FIBER_READY;
	return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	return wake(cond, false);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
	return wake(cond, true);
}

/* SyncKeys: the same for the same seed. */
uint64_t __wrap_random_u64(void)
{
	return rng_next(&choices);
}
