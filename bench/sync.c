/*
 * sync: what the server pays, in CPU microseconds of all its processes, for a Sync that brings
 * nothing, for a Ping renewed from memory, and for one new message in a folder of 10,000 and of
 * 100,000. The parts with a server of their own are in sync_state.c and sync_load.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "bench.h"
#include "options.h"
#include "sync.h"

#define EMPTY_SYNCS    5000u
#define RENEWAL_PHONES 500u
#define RENEWAL_ROUNDS 12u
#define DELTAS         300u
#define USER_10K       0u
#define USER_100K      1u
#define USER_RENEWAL   2u /* and the following */

static void make_small(unsigned i, struct buf *out)
{
	bench_mail(i, BENCH_PLAIN, "user@bench.example", 600, out);
}

static void empty_sync(struct bench *b, struct bench_phone *p)
{
	struct arena *arena = arena_new(0);
	double before_us;
	bool more;

	for (unsigned i = 0; i < 200; i++) /* warm */
		(void)bench_phone_sync(p, arena, &more);
	before_us = bench_server_cpu_us(b);
	for (unsigned i = 0; i < EMPTY_SYNCS; i++) {
		arena_clear(arena);
		if (bench_phone_sync(p, arena, &more) != 0)
			bench_die("an empty Sync brought something");
	}
	bench_figure(b, "empty_sync_cpu", (bench_server_cpu_us(b) - before_us) / EMPTY_SYNCS, "us",
		"100",
		"Sync of an Inbox of 10000 with nothing new, 5000 on one connection, 14.1, plain "
		"HTTP; "
		"CPU of all processes");
	arena_free(&arena);
}

/* One new message each, delivered outside the measured time. */
static double delta(struct bench *b, struct bench_phone *p)
{
	struct arena *arena = arena_new(0);
	struct bench_lmtp lmtp;
	double sum_us = 0;
	char to[48];

	bench_lmtp_open(b, &lmtp);
	(void)snprintf(to, sizeof(to), "user%u@bench.example", p->n);
	for (unsigned i = 0; i < DELTAS; i++) {
		CLEANUP(buf_deinit) struct buf message = BUF_INIT;
		double before_us;
		bool more;

		arena_clear(arena);
		bench_mail(1000000 + i, BENCH_PLAIN, to, 4000, &message);
		bench_lmtp_send(&lmtp, to, message.data, message.len);
		bench_lmtp_answer(&lmtp);
		before_us = bench_server_cpu_us(b);
		if (bench_phone_sync(p, arena, &more) != 1 || more)
			bench_die("a Sync did not bring the one new message");
		sum_us += bench_server_cpu_us(b) - before_us;
	}
	bench_lmtp_close(&lmtp);
	arena_free(&arena);
	return sum_us / DELTAS;
}

struct renewal {
	struct bench *bench;
	struct bench_phone phones[RENEWAL_PHONES];
};

static void set_up_phone(void *owner, unsigned i)
{
	struct renewal *r = owner;
	struct bench_phone *p = &r->phones[i];

	bench_phone_init(r->bench, p, USER_RENEWAL + i, "RENEW");
	bench_phone_set_up(p);
	(void)bench_phone_sync_all(p);
	bench_phone_make_ping(p, 1);
	bench_phone_send(p, &p->ping);
}

/* Renews each as its heartbeat ends, so many times in all. */
static void renew(struct renewal *r, int epoll, unsigned count)
{
	while (count > 0) {
		struct epoll_event ev;
		const uint8_t *body;
		struct bench_phone *p;
		size_t len;

		if (epoll_wait(epoll, &ev, 1, 5000) <= 0)
			bench_die("no heartbeat ended within 5 s: %s", strerror(errno));
		p = &r->phones[ev.data.u32];
		if (!bench_phone_receive(p, &body, &len))
			continue;
		bench_phone_send(p, &p->ping);
		count--;
	}
}

static void renewal(struct bench *b)
{
	struct renewal *r = x_new(struct renewal);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	double before_us;

	r->bench = b;
	bench_parallel(RENEWAL_PHONES, set_up_phone, r);
	for (unsigned i = 0; i < RENEWAL_PHONES; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		struct err err = ERR_INIT;

		BENCH_OK(fd_set_blocking(r->phones[i].fd, 0, &err), &err);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, r->phones[i].fd, &ev) < 0)
			bench_die("epoll: %s", strerror(errno));
	}
	renew(r, epoll, RENEWAL_PHONES * 2); /* warm */
	before_us = bench_server_cpu_us(b);
	renew(r, epoll, RENEWAL_PHONES * RENEWAL_ROUNDS);
	bench_figure(b, "renewal_cpu",
		(bench_server_cpu_us(b) - before_us) / (RENEWAL_PHONES * RENEWAL_ROUNDS), "us",
		"20",
		"500 phones with a heartbeat of 1 s, 6000 renewals: expiry, answer, request, "
		"parked again; "
		"plain HTTP; CPU of all processes");
	for (unsigned i = 0; i < RENEWAL_PHONES; i++)
		bench_phone_clear(&r->phones[i]);
	fd_close(&epoll);
	mem_free(r);
}

static void list_all(struct bench *b, struct bench_phone *p, unsigned user, unsigned count)
{
	bench_phone_init(b, p, user, "LISTS");
	bench_phone_set_up(p);
	if (bench_phone_sync_all(p) != count)
		bench_die("the first listing was not complete");
}

static void deltas(struct bench *b, struct bench_phone *small)
{
	struct bench_phone large;
	double small_us, large_us;

	list_all(b, &large, USER_100K, 100000);
	small_us = delta(b, small);
	large_us = delta(b, &large);
	bench_figure(b, "delta_10k_cpu", small_us, "us", "under 1000",
		"Sync of one new 4 KB message in a folder of 10000, 300 times; CPU of all "
		"processes");
	bench_figure(b, "delta_100k_cpu", large_us, "us", "under 1000, 1.2 times the former",
		"Sync of one new 4 KB message in a folder of 100000, 300 times; CPU of all "
		"processes");
	bench_figure(b, "delta_ratio", large_us / small_us, "times", "at most 1.2",
		"delta_100k_cpu / delta_10k_cpu");
	bench_phone_clear(&large);
}

static void commands(int argc, char **argv)
{
	struct bench b;
	struct bench_phone small;

	bench_init(&b, "sync", argc, argv);
	b.settings = "[push]\nheartbeat_min_s = 1\n";
	bench_fill(&b, bench_add_user(&b, USER_10K), 10000, make_small);
	if (bench_wants(&b, "delta"))
		bench_fill(&b, bench_add_user(&b, USER_100K), 100000, make_small);
	for (unsigned i = 0; i < RENEWAL_PHONES; i++)
		(void)bench_add_user(&b, USER_RENEWAL + i);
	bench_start(&b);
	list_all(&b, &small, USER_10K, 10000);
	if (bench_wants(&b, "empty"))
		empty_sync(&b, &small);
	if (bench_wants(&b, "delta"))
		deltas(&b, &small);
	if (bench_wants(&b, "renewal"))
		renewal(&b);
	bench_phone_clear(&small);
	bench_finish(&b);
}

static const char *const part_names[] = {
	"empty", "delta", "renewal", "state", "invisible", "import", "memory", NULL};
static const struct bench_usage usage = {.name = "sync",
	.what = "what Syncs, renewals and stored states cost the server.",
	.parts = part_names};

int main(int argc, char **argv)
{
	static const struct {
		const char *parts; /* of --only */
		void (*run)(int argc, char **argv);
	} parts[] = {
		{"empty delta renewal", commands},
		{"state", sync_bench_state},
		{"invisible", sync_bench_invisible},
		{"import", sync_bench_import},
		{"memory", sync_bench_memory},
	};
	const char *only = bench_only(argc, argv);

	bench_options(argc, argv, &usage);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (only != NULL && strstr(parts[i].parts, only) == NULL)
			continue;
		parts[i].run(argc, argv);
	}
	return 0;
}
