/*
 * A worker: one process, one thread, one epoll, its share of the phones. It never returns; the
 * coordinator ends it by a signal, and it dies with the coordinator.
 *
 * Owns its phones and its tally, in memory shared with the coordinator, of which it is the only
 * writer. Orders come through the same memory; an eventfd tells of them, and `done_number` that
 * one has been taken.
 *
 * Phones that begin are spread over the round's milliseconds; no more than OPENING_MAX connections
 * are under way, so that a slow server is not buried.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fleet/fleet_internal.h"

#define ROUND_EVENTS 512
#define ROUND_MS     5
#define IDLE_MS      200
#define OPENING_MAX  512u
#define ORDER_INDEX  UINT32_MAX
#define SOON_MS      20000
#define SOON_RATE    100

uint32_t worker_number_of(const struct worker *w, const struct phone *p)
{
	return w->first + (uint32_t)(p - w->phones);
}

void worker_no_deadline(struct worker *w, struct phone *p)
{
	wheel_clear(p->soon ? w->soon : w->wheel, (uint32_t)(p - w->phones));
}

/* Ticks of the wheel last a second; that of near deadlines runs a hundred times as fast. */
static void set_wheel(struct worker *w, struct phone *p, int64_t in_ms)
{
	uint32_t index = (uint32_t)(p - w->phones);

	worker_no_deadline(w, p);
	p->soon = in_ms < SOON_MS;
	if (p->soon)
		wheel_set(w->soon, index, w->now_ms * SOON_RATE, (w->now_ms + in_ms) * SOON_RATE);
	else
		wheel_set(w->wheel, index, w->now_ms, w->now_ms + in_ms);
}

void worker_deadline(struct worker *w, struct phone *p, uint32_t in_ms)
{
	p->deadline_ms = worker_clock(w) + in_ms;
	set_wheel(w, p, in_ms);
}

uint32_t worker_below(struct worker *w, const struct phone *p, uint32_t n)
{
	if (n == 0)
		return 0;
	return (uint32_t)(scenario_chance(w->scenario->seed, worker_number_of(w, p),
				  ((uint64_t)p->connection << 40) + worker_clock(w)) %
			  n);
}

static struct wheel_link *link_of(void *owner, uint32_t index)
{
	struct worker *w = owner;

	return &w->phones[index].link;
}

static void on_deadline(void *owner, uint32_t index)
{
	struct worker *w = owner;
	struct phone *p = &w->phones[index];

	/* Further away than the wheel reaches. */
	if ((int32_t)(p->deadline_ms - worker_clock(w)) > 1500) {
		set_wheel(w, p, p->deadline_ms - worker_clock(w));
		return;
	}
	phone_on_deadline(w, p);
}

static void begin_phones(struct worker *w, int64_t elapsed_ms)
{
	w->allowance = MIN(w->allowance + w->rate * (double)elapsed_ms / 1000, w->rate / 10 + 1);
	while (w->next < w->end && w->allowance >= 1 && w->opening < OPENING_MAX) {
		phone_begin(w, &w->phones[w->next++]);
		w->allowance -= 1;
	}
}

static uint32_t clamp(uint32_t value, uint32_t from, uint32_t to)
{
	return value < from ? from : value > to ? to : value;
}

static void take_order(struct worker *w)
{
	uint32_t number = atomic_load_explicit(&w->shared->order_number, memory_order_acquire);
	struct fleet_command c;
	uint32_t first, end;
	uint64_t ignored;

	(void)!read(w->order_fd, &ignored, sizeof(ignored));
	if (number == w->order_number)
		return;
	w->order_number = number;
	c = w->shared->command;
	w->set = c;
	first = clamp(c.first, w->first, w->first + w->count) - w->first;
	end = c.count == 0 || c.count > UINT32_MAX - c.first
		      ? w->count
		      : clamp(c.first + c.count, w->first, w->first + w->count) - w->first;
	if (c.order == FLEET_START && first < end) {
		/* The next ones go behind those which have not begun yet. */
		if (w->next >= w->end || first != w->end)
			w->next = first;
		w->end = end;
		/* Its share of the rate, as of the phones. */
		w->rate = (double)c.rate * (double)(w->end - first) /
			  (double)(c.count != 0 ? c.count : w->scenario->phones);
	} else if (c.order != FLEET_START) {
		for (uint32_t i = first; i < end; i++)
			phone_order(w, &w->phones[i], &c);
	}
	atomic_store_explicit(&w->shared->done_number, number, memory_order_release);
}

static void set_up(struct worker *w)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = ORDER_INDEX};

	w->start_ms = w->now_ms = clock_now_ms();
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->arena = arena_new(0);
	w->phones = x_calloc(w->count, sizeof(*w->phones));
	w->wheel = wheel_new(w->now_ms, link_of, w);
	w->soon = wheel_new(w->now_ms * SOON_RATE, link_of, w);
	if (w->epoll < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->order_fd, &ev) < 0)
		abort();
	for (uint32_t i = 0; i < w->count; i++) {
		struct phone *p = &w->phones[i];
		const struct scenario_group *g = scenario_group_of(w->scenario, w->first + i);

		p->fd = -1;
		p->group = (uint8_t)(g - w->scenario->groups);
		habits_init(g, &p->heartbeat);
	}
	wire_setup(w);
}

/* Until when the loop may sleep. */
static int patience_ms(struct worker *w)
{
	int64_t next_ms = wheel_next_ms(w->wheel), soon = wheel_next_ms(w->soon);

	if (w->set.awake)
		return 0;
	if (soon >= 0)
		next_ms = MIN((uint64_t)next_ms, (uint64_t)(soon / SOON_RATE + 1));
	if (w->next < w->end)
		return ROUND_MS;
	if (next_ms < 0)
		return IDLE_MS;
	return (int)MIN(MAX(next_ms - clock_now_ms(), 0), (int64_t)IDLE_MS * 5);
}

void worker_run(struct worker *w)
{
	static struct epoll_event events[ROUND_EVENTS];
	int64_t before_ms;

	set_up(w);
	for (before_ms = w->now_ms;;) {
		int n = epoll_wait(w->epoll, events, ROUND_EVENTS, patience_ms(w));

		if (n < 0 && errno != EINTR)
			abort();
		w->now_ms = clock_now_ms();
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == ORDER_INDEX)
				take_order(w);
			else
				phone_on_event(w, &w->phones[events[i].data.u32], events[i].events);
		}
		w->now_ms = clock_now_ms();
		if (w->next < w->end)
			begin_phones(w, w->now_ms - before_ms);
		before_ms = w->now_ms;
		if (wheel_next_ms(w->wheel) >= 0)
			wheel_run(w->wheel, w->now_ms, on_deadline);
		if (wheel_next_ms(w->soon) >= 0)
			wheel_run(w->soon, w->now_ms * SOON_RATE, on_deadline);
	}
}
