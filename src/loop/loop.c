/*
 * The loop over epoll.
 *
 * Owns: the epoll descriptor, an eventfd that wakes it, a signalfd when signals are wanted, the
 * heap of timers and the list of notes. Descriptors that are watched belong to their callers.
 *
 * One round (loop_run_once): wait; events of descriptors; notes of other threads; timers; the
 * round's end. Falling asleep and being woken costs more than most events do, so under pressure a
 * loop may first gather (loop_set_gather): it sleeps on what is urgent alone, for a fixed time, and
 * meanwhile events collect in epoll and wake nobody.
 *
 * What epoll gives back for a descriptor is one number: kind (8 bits), tag (24), index (32). Kind 0
 * is the loop's own (eventfd, signalfd), kind 1 are the descriptors with a callback each, which lie
 * in a slab: an event fetched before loop_fd_free() does not find its handle any more.
 *
 * Threads: the loop's, but for post_lock with the list of notes, and stop.
 * Limits: EVENTS_MAX per round, KINDS_MAX kinds, FDS_MAX descriptors with a callback each,
 * URGENT_MAX of them urgent.
 */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"

#define EVENTS_MAX  256
#define KINDS_MAX   16
#define KIND_OWN    0
#define KIND_FD     1
#define FDS_MAX     65536
#define SLOW_MS     5
#define OWN_EVENT   0
#define OWN_SIGNAL  1
#define SIGNAL_MAX  65
#define URGENT_MAX  4
#define GATHER_FROM 16 /* the pressure from which on it pays */
/* Our own descriptors are only read: an eventfd that was read has room again, which would be an
 * event, and so a round of the loop, after each note. */
#define EVENTS_OWN EPOLLIN
#define EVENTS_ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

struct loop_fd {
	struct loop *loop;
	int fd;
	uint32_t slot, tag;
	bool ignores_write, urgent;
	const char *name;
	loop_fd_fn fn;
	void *owner;
};

struct kind {
	const char *name;
	loop_many_fn fn;
	void *owner;
};

struct signal_entry {
	const char *name;
	void (*fn)(void *owner, int signo);
	void *owner;
};

struct loop {
	int epoll_fd, event_fd, signal_fd;
	_Atomic bool stop;
	struct kind kinds[KINDS_MAX];
	uint8_t kind_count;
	struct slab *fds;
	struct pollfd urgent[URGENT_MAX + 1]; /* the first is event_fd */
	uint32_t urgent_count, gather_us;
	uint32_t pressure; /* events of the very many, halved with each millisecond */
	int64_t pressure_ms;
	uint64_t gathers;
	struct loop_timer **heap; /* heap[1] is due first */
	uint32_t heap_count, heap_cap;
	pthread_mutex_t post_lock;
	struct loop_note *notes, **notes_end; /* under post_lock */
	sigset_t signal_set;
	struct signal_entry signals[SIGNAL_MAX];
	const char *round_end_name;
	void (*round_end)(void *owner);
	void *round_end_owner;
};

/* ---- watchdog ---- */

static int64_t watch_begin(void)
{
	return log_enabled(LOG_LEVEL_DEBUG) ? clock_now_ms() : -1;
}

static void watch_end(int64_t began_ms, const char *name)
{
	int64_t took_ms;

	if (began_ms < 0)
		return;
	took_ms = clock_now_ms() - began_ms;
	if (took_ms > SLOW_MS)
		log_debug(NULL, "callback_slow", F_STR("name", name), F_INT("took_ms", took_ms));
}

/* ---- epoll ---- */

static uint64_t token(uint8_t kind, uint32_t index, uint32_t tag)
{
	return (uint64_t)kind << 56 | (uint64_t)(tag & LOOP_TAG_MASK) << 32 | index;
}

static int epoll_add(struct loop *l, int fd, uint32_t events, uint64_t tok, struct err *err)
{
	struct epoll_event ev = {events | EPOLLET, {.u64 = tok}};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_set_errno(err, errno, "watching descriptor %d", fd);
	return 0;
}

int loop_new(struct loop **ret, struct err *err)
{
	CLEANUP(loop_free) struct loop *l = x_new(struct loop);

	l->epoll_fd = l->event_fd = l->signal_fd = -1;
	(void)pthread_mutex_init(&l->post_lock, NULL);
	l->notes_end = &l->notes;
	l->kind_count = KIND_FD + 1;
	l->fds = slab_new(sizeof(struct loop_fd), FDS_MAX);
	(void)sigemptyset(&l->signal_set);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return err_set_errno(err, errno, "epoll_create1");
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event_fd < 0)
		return err_set_errno(err, errno, "eventfd");
	if (epoll_add(l, l->event_fd, EVENTS_OWN, token(KIND_OWN, OWN_EVENT, 0), err) < 0)
		return -1;
	l->urgent[l->urgent_count++] = (struct pollfd){.fd = l->event_fd, .events = POLLIN};
	*ret = TAKE(l);
	return 0;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	fd_close(&l->epoll_fd);
	fd_close(&l->event_fd);
	fd_close(&l->signal_fd);
	(void)pthread_mutex_destroy(&l->post_lock);
	slab_free(&l->fds);
	mem_free(l->heap);
	mem_free(l);
}

int loop_fd_new(struct loop *l, int fd, const char *name, loop_fd_fn fn, void *owner,
	struct loop_fd **ret, struct err *err)
{
	struct slab_handle h;
	struct loop_fd *f = slab_take(l->fds, &h);

	if (f == NULL)
		return err_set(err, ERR_BUSY, "too many descriptors on one loop");
	*f = (struct loop_fd){.loop = l,
		.fd = fd,
		.slot = h.slot,
		.tag = h.generation & LOOP_TAG_MASK,
		.name = name,
		.fn = fn,
		.owner = owner};
	if (epoll_add(l, fd, EVENTS_ALL, token(KIND_FD, h.slot, h.generation), err) < 0) {
		slab_put(l->fds, h.slot);
		return -1;
	}
	*ret = f;
	return 0;
}

int loop_fd_want_write(struct loop_fd *f, bool wanted, struct err *err)
{
	struct epoll_event ev = {EPOLLIN | EPOLLRDHUP | EPOLLET | (wanted ? EPOLLOUT : 0),
		{.u64 = token(KIND_FD, f->slot, f->tag)}};

	if (wanted == !f->ignores_write)
		return 0;
	if (epoll_ctl(f->loop->epoll_fd, EPOLL_CTL_MOD, f->fd, &ev) < 0)
		return err_set_errno(err, errno, "watching descriptor %d", f->fd);
	f->ignores_write = !wanted;
	return 0;
}

void loop_fd_set_urgent(struct loop_fd *f)
{
	struct loop *l = f->loop;

	if (f->urgent || l->urgent_count > URGENT_MAX)
		return;
	f->urgent = true;
	l->urgent[l->urgent_count++] = (struct pollfd){.fd = f->fd, .events = POLLIN};
}

static void not_urgent(struct loop *l, int fd)
{
	for (uint32_t i = 1; i < l->urgent_count; i++) {
		if (l->urgent[i].fd == fd)
			l->urgent[i--] = l->urgent[--l->urgent_count];
	}
}

void loop_fd_free(struct loop_fd **fp)
{
	struct loop_fd *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	if (f->urgent)
		not_urgent(f->loop, f->fd);
	(void)epoll_ctl(f->loop->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
	slab_put(f->loop->fds, f->slot);
}

uint8_t loop_kind_new(struct loop *l, const char *name, loop_many_fn fn, void *owner)
{
	assert(l->kind_count < KINDS_MAX);
	l->kinds[l->kind_count] = (struct kind){name, fn, owner};
	return l->kind_count++;
}

int loop_many_add(
	struct loop *l, uint8_t kind, int fd, uint32_t index, uint32_t tag, struct err *err)
{
	return epoll_add(l, fd, EVENTS_ALL, token(kind, index, tag), err);
}

void loop_many_remove(struct loop *l, int fd)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- timers: a binary heap, earliest at place 1 ---- */

void loop_timer_init(
	struct loop_timer *t, struct loop *l, const char *name, loop_timer_fn fn, void *owner)
{
	*t = (struct loop_timer){l, name, fn, owner, 0, 0};
}

static void heap_put(struct loop *l, uint32_t place, struct loop_timer *t)
{
	l->heap[place] = t;
	t->place = place;
}

static void heap_up(struct loop *l, struct loop_timer *t, uint32_t place)
{
	while (place > 1 && l->heap[place / 2]->deadline_ms > t->deadline_ms) {
		heap_put(l, place, l->heap[place / 2]);
		place /= 2;
	}
	heap_put(l, place, t);
}

static void heap_down(struct loop *l, struct loop_timer *t, uint32_t place)
{
	while (place * 2 <= l->heap_count) {
		uint32_t child = place * 2;

		if (child < l->heap_count &&
			l->heap[child + 1]->deadline_ms < l->heap[child]->deadline_ms)
			child++;
		if (l->heap[child]->deadline_ms >= t->deadline_ms)
			break;
		heap_put(l, place, l->heap[child]);
		place = child;
	}
	heap_put(l, place, t);
}

void loop_timer_clear(struct loop_timer *t)
{
	struct loop *l = t->loop;
	uint32_t place = t->place;
	struct loop_timer *last;

	if (place == 0)
		return;
	t->place = 0;
	last = l->heap[l->heap_count--];
	if (last == t)
		return;
	heap_up(l, last, place);
	heap_down(l, last, last->place);
}

void loop_timer_set(struct loop_timer *t, int64_t deadline_ms)
{
	struct loop *l = t->loop;

	loop_timer_clear(t);
	t->deadline_ms = deadline_ms;
	if (l->heap_count + 1 >= l->heap_cap) {
		l->heap_cap = MAX(l->heap_cap * 2, (uint32_t)16);
		l->heap = x_realloc(l->heap, l->heap_cap * sizeof(struct loop_timer *));
	}
	heap_up(l, t, ++l->heap_count);
}

static void run_timers(struct loop *l)
{
	int64_t now_ms = clock_now_ms();
	/* A timer that sets itself into the past waits for the next round: no callback can keep us
	 * here. */
	uint32_t budget = l->heap_count;

	while (budget-- > 0 && l->heap_count > 0 && l->heap[1]->deadline_ms <= now_ms) {
		struct loop_timer *t = l->heap[1];
		const char *name = t->name;
		int64_t began_ms = watch_begin();

		loop_timer_clear(t);
		t->fn(t->owner);
		watch_end(began_ms, name);
	}
}

/* ---- notes ---- */

static void wake(struct loop *l)
{
	uint64_t one = 1;

	(void)!write(l->event_fd, &one, sizeof(one));
}

void loop_post(struct loop *l, struct loop_note *note)
{
	bool first = false;

	(void)pthread_mutex_lock(&l->post_lock);
	if (!note->posted) {
		first = l->notes == NULL;
		note->posted = true;
		note->next = NULL;
		*l->notes_end = note;
		l->notes_end = &note->next;
	}
	(void)pthread_mutex_unlock(&l->post_lock);
	if (first)
		wake(l);
}

void loop_post_cancel(struct loop *l, struct loop_note *note)
{
	(void)pthread_mutex_lock(&l->post_lock);
	for (struct loop_note **at = &l->notes; *at != NULL; at = &(*at)->next) {
		if (*at != note)
			continue;
		*at = note->next;
		if (*at == NULL)
			l->notes_end = at;
		note->posted = false;
		break;
	}
	(void)pthread_mutex_unlock(&l->post_lock);
}

static struct loop_note *pop_note(struct loop *l)
{
	struct loop_note *n;

	(void)pthread_mutex_lock(&l->post_lock);
	n = l->notes;
	if (n != NULL) {
		l->notes = n->next;
		if (l->notes == NULL)
			l->notes_end = &l->notes;
		n->posted = false;
	}
	(void)pthread_mutex_unlock(&l->post_lock);
	return n;
}

/* Runs what was there at the beginning; what callbacks post waits for the next round. */
static void run_notes(struct loop *l)
{
	uint32_t budget = 0;
	struct loop_note *n;

	(void)pthread_mutex_lock(&l->post_lock);
	for (n = l->notes; n != NULL; n = n->next)
		budget++;
	(void)pthread_mutex_unlock(&l->post_lock);
	while (budget-- > 0 && (n = pop_note(l)) != NULL) {
		const char *name = n->name;
		int64_t began_ms = watch_begin();

		n->fn(n);
		watch_end(began_ms, name);
	}
}

static bool notes_waiting(struct loop *l)
{
	bool waiting;

	(void)pthread_mutex_lock(&l->post_lock);
	waiting = l->notes != NULL;
	(void)pthread_mutex_unlock(&l->post_lock);
	return waiting;
}

/* ---- signals ---- */

int loop_signal_add(struct loop *l, int signo, const char *name, void (*fn)(void *owner, int signo),
	void *owner, struct err *err)
{
	int fd;

	assert(signo > 0 && signo < SIGNAL_MAX);
	(void)sigaddset(&l->signal_set, signo);
	if (pthread_sigmask(SIG_BLOCK, &l->signal_set, NULL) != 0)
		return err_set(err, ERR_INTERNAL, "blocking signal %d", signo);
	fd = signalfd(l->signal_fd, &l->signal_set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_set_errno(err, errno, "signalfd");
	l->signals[signo] = (struct signal_entry){name, fn, owner};
	if (l->signal_fd < 0) {
		l->signal_fd = fd;
		return epoll_add(l, fd, EVENTS_OWN, token(KIND_OWN, OWN_SIGNAL, 0), err);
	}
	return 0;
}

static void run_signals(struct loop *l)
{
	struct signalfd_siginfo info;

	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		const struct signal_entry *s = &l->signals[info.ssi_signo % SIGNAL_MAX];
		int64_t began_ms = watch_begin();

		if (s->fn != NULL)
			s->fn(s->owner, (int)info.ssi_signo);
		watch_end(began_ms, s->name);
	}
}

/* ---- rounds ---- */

static void on_own(struct loop *l, uint32_t index)
{
	uint64_t count;

	if (index == OWN_SIGNAL)
		run_signals(l);
	else
		(void)!read(l->event_fd, &count, sizeof(count));
}

static void on_event(struct loop *l, const struct epoll_event *ev)
{
	uint8_t kind = (uint8_t)(ev->data.u64 >> 56);
	uint32_t index = (uint32_t)ev->data.u64, tag = ev->data.u64 >> 32 & LOOP_TAG_MASK;
	unsigned events = ((ev->events & EPOLLIN) ? LOOP_READ : 0) |
			  ((ev->events & EPOLLOUT) ? LOOP_WRITE : 0) |
			  ((ev->events & (EPOLLRDHUP | EPOLLHUP)) ? LOOP_HANGUP : 0) |
			  ((ev->events & EPOLLERR) ? LOOP_ERROR : 0);
	int64_t began_ms = watch_begin();
	const char *name = "loop";

	if (kind == KIND_OWN) {
		on_own(l, index);
	} else if (kind == KIND_FD) {
		struct loop_fd *f = slab_get(l->fds, index);

		if (f != NULL && f->tag == tag) {
			name = f->name;
			f->fn(f->owner, events);
		}
	} else {
		l->pressure++;
		name = l->kinds[kind].name;
		l->kinds[kind].fn(l->kinds[kind].owner, index, tag, events);
	}
	watch_end(began_ms, name);
}

static int wait_ms(struct loop *l, int64_t timeout_ms)
{
	if (notes_waiting(l) || atomic_load(&l->stop))
		return 0;
	if (l->heap_count > 0) {
		int64_t left_ms = MAX(l->heap[1]->deadline_ms - clock_now_ms(), (int64_t)0);

		if (timeout_ms < 0 || left_ms < timeout_ms)
			timeout_ms = left_ms;
	}
	return timeout_ms < 0 ? -1 : (int)MIN(timeout_ms, (int64_t)3600000);
}

void loop_set_gather(struct loop *l, uint32_t gather_us)
{
	l->gather_us = gather_us;
}

/* The pressure of this moment: about the events of the last two milliseconds. */
static uint32_t pressure_now(struct loop *l)
{
	int64_t now_ms = clock_now_ms(), passed_ms = now_ms - l->pressure_ms;

	if (passed_ms != 0) {
		l->pressure = passed_ms > 0 && passed_ms < 32 ? l->pressure >> passed_ms : 0;
		l->pressure_ms = now_ms;
	}
	return l->pressure;
}

/* Lets events collect while they come thick. Cut short by what is urgent; what it was, epoll says.
 */
static void gather(struct loop *l, int wait_ms)
{
	struct timespec time = {l->gather_us / 1000000, (long)(l->gather_us % 1000000) * 1000};

	if (l->gather_us == 0 || wait_ms == 0 || pressure_now(l) < GATHER_FROM)
		return;
	l->gathers++;
	(void)ppoll(l->urgent, l->urgent_count, &time, NULL);
}

uint64_t loop_gathers(const struct loop *l)
{
	return l->gathers;
}

bool loop_run_once(struct loop *l, int64_t timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count, wait = wait_ms(l, timeout_ms);

	gather(l, wait);
	count = epoll_wait(l->epoll_fd, events, EVENTS_MAX, wait);
	(void)pressure_now(l); /* what comes now presses from now on */
	for (int i = 0; i < count; i++)
		on_event(l, &events[i]);
	run_notes(l);
	run_timers(l);
	if (l->round_end != NULL) {
		int64_t began_ms = watch_begin();

		l->round_end(l->round_end_owner);
		watch_end(began_ms, l->round_end_name);
	}
	return !atomic_load(&l->stop);
}

void loop_run(struct loop *l)
{
	while (loop_run_once(l, -1))
		;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	wake(l);
}

bool loop_stopping(const struct loop *l)
{
	return atomic_load(&l->stop);
}

void loop_set_round_end(struct loop *l, const char *name, void (*fn)(void *owner), void *owner)
{
	l->round_end_name = name;
	l->round_end = fn;
	l->round_end_owner = owner;
}
