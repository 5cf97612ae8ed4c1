/*
 * push: 1,000 parked phones, 200 deliveries one after the other, each to another phone's user. From
 * the moment that LMTP said 250 to the Ping's answer, and to the end of the Sync that brings the
 * message. A Ping that is answered before the 250 was read counts as 0. False wakes: phones of
 * other users that were answered, and answers 2 whose Sync brings nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "bench.h"
#include "options.h"

#define PHONES     1000u
#define DELIVERIES 200u
#define STRIDE     5u
#define LISTEN_MS  2000 /* after the last delivery: for wakes that should not be */

struct world {
	struct bench bench;
	struct bench_phone phones[PHONES];
	int epoll;
	unsigned false_wakes;
	double ping_ms[DELIVERIES], synced_ms[DELIVERIES];
	double whole_ms[DELIVERIES]; /* from the message's last byte sent to the Ping's answer */
	struct arena *arena;
};

static void set_up_phone(void *owner, unsigned i)
{
	struct world *w = owner;
	struct bench_phone *p = &w->phones[i];

	bench_phone_init(&w->bench, p, i, "PUSH");
	bench_phone_set_up(p);
	(void)bench_phone_sync_all(p);
	bench_phone_make_ping(p, 3540);
	bench_phone_send(p, &p->ping);
}

static void watch(struct world *w)
{
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < PHONES; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		struct err err = ERR_INIT;

		BENCH_OK(fd_set_blocking(w->phones[i].fd, 0, &err), &err);
		if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->phones[i].fd, &ev) < 0)
			bench_die("epoll: %s", strerror(errno));
	}
}

/* The status of a Ping's answer. */
static unsigned ping_status(struct world *w, const uint8_t *body, size_t len)
{
	struct wbxml_node *root = NULL;
	struct answer_ping answer;
	struct err err = ERR_INIT;

	BENCH_OK(answer_decode(w->arena, body, len, &root, &err), &err);
	BENCH_OK(answer_ping(w->arena, root, &answer, &err), &err);
	return answer.status;
}

/*
 * Waits for the answer of this phone; anything from another phone is a false wake, which parks
 * again. False: nothing within ms.
 */
static bool wait_answer(
	struct world *w, unsigned wanted, int ms, const uint8_t **ret_body, size_t *ret_len)
{
	int64_t end_us = bench_now_us() + ms * 1000LL;

	for (;;) {
		struct epoll_event ev;
		int64_t left_us = end_us - bench_now_us();
		int n = epoll_wait(w->epoll, &ev, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
		struct bench_phone *p;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && bench_now_us() >= end_us)
			return false;
		if (n <= 0)
			continue;
		p = &w->phones[ev.data.u32];
		if (!bench_phone_receive(p, ret_body, ret_len))
			continue;
		if (ev.data.u32 == wanted)
			return true;
		w->false_wakes++;
		bench_phone_send(p, &p->ping);
	}
}

static void sync_and_park(struct world *w, unsigned i, int64_t delivered_us, double *ret_ms)
{
	struct bench_phone *p = &w->phones[i];
	CLEANUP(buf_deinit) struct buf request = BUF_INIT;
	const uint8_t *body;
	size_t len;
	bool more;

	bench_phone_sync_request(p, &request);
	bench_phone_send(p, &request);
	if (!wait_answer(w, i, 20000, &body, &len))
		bench_die("no answer to the Sync of phone %u", i);
	*ret_ms = (double)MAX(bench_now_us() - delivered_us, 0) / 1000;
	if (bench_phone_take_sync(p, w->arena, body, len, &more) != 1)
		w->false_wakes++;
	bench_phone_send(p, &p->ping);
}

static void deliver(struct world *w, struct bench_lmtp *lmtp, unsigned n)
{
	unsigned i = n * STRIDE % PHONES;
	CLEANUP(buf_deinit) struct buf message = BUF_INIT;
	int64_t sent_us, delivered_us;
	const uint8_t *body;
	char to[48];
	size_t len;

	arena_clear(w->arena);
	(void)snprintf(to, sizeof(to), "user%u@bench.example", i);
	bench_mail(n, BENCH_PLAIN, to, 4000, &message);
	bench_lmtp_send(lmtp, to, message.data, message.len);
	sent_us = bench_now_us();
	bench_lmtp_answer(lmtp);
	delivered_us = bench_now_us();
	if (!wait_answer(w, i, 20000, &body, &len))
		bench_die("phone %u was not woken", i);
	w->ping_ms[n] = (double)MAX(bench_now_us() - delivered_us, 0) / 1000;
	w->whole_ms[n] = (double)(bench_now_us() - sent_us) / 1000;
	if (ping_status(w, body, len) != 2)
		bench_die("phone %u was answered with Status %u", i, ping_status(w, body, len));
	sync_and_park(w, i, delivered_us, &w->synced_ms[n]);
}

static const struct bench_usage usage = {
	.name = "push", .what = "how soon 1,000 phones hear of 200 messages, one after the other."};

int main(int argc, char **argv)
{
	static const char conditions[] = "1000 parked phones (own users, 14.1, plain HTTP), 200 "
					 "deliveries of 4 KB one after "
					 "the other, durable; from LMTP 250";
	struct rlimit files = {.rlim_cur = 8192, .rlim_max = 8192};
	struct world *w = x_new(struct world);
	struct bench_lmtp lmtp;
	const uint8_t *body;
	size_t len;

	bench_options(argc, argv, &usage);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	bench_init(&w->bench, "push", argc, argv);
	w->arena = arena_new(0);
	for (unsigned i = 0; i < PHONES; i++)
		(void)bench_add_user(&w->bench, i);
	bench_start(&w->bench);
	bench_parallel(PHONES, set_up_phone, w);
	watch(w);
	bench_lmtp_open(&w->bench, &lmtp);
	if (wait_answer(w, PHONES, LISTEN_MS, &body, &len) || w->false_wakes > 0)
		bench_die("%u phones did not stay parked", w->false_wakes);
	for (unsigned n = 0; n < DELIVERIES; n++)
		deliver(w, &lmtp, n);
	(void)wait_answer(w, PHONES, LISTEN_MS, &body, &len);
	bench_figure(&w->bench, "ping_p50", bench_percentile(w->ping_ms, DELIVERIES, 0.50), "ms",
		NULL, conditions);
	bench_figure(&w->bench, "ping_p99", bench_percentile(w->ping_ms, DELIVERIES, 0.99), "ms",
		"under 10", conditions);
	bench_figure(&w->bench, "data_to_ping_p99", bench_percentile(w->whole_ms, DELIVERIES, 0.99),
		"ms", NULL,
		"the same deliveries, from the last byte of the message sent to the Ping's answer: "
		"with "
		"parsing and the durable commit");
	bench_figure(&w->bench, "synced_p99", bench_percentile(w->synced_ms, DELIVERIES, 0.99),
		"ms", "under 25", conditions);
	bench_figure(&w->bench, "false_wakes", w->false_wakes, "wakes", "0", conditions);
	bench_lmtp_close(&lmtp);
	for (unsigned i = 0; i < PHONES; i++)
		bench_phone_clear(&w->phones[i]);
	fd_close(&w->epoll);
	arena_free(&w->arena);
	bench_finish(&w->bench);
	mem_free(w);
	return 0;
}
