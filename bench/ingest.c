/*
 * ingest: messages of 7 KB by LMTP, each durable before its 250, over 8 connections and over one.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "bench.h"
#include "options.h"

#define CONNECTIONS 8u
#define EACH        1000u
#define SINGLE      1500u

struct sender {
	struct bench *bench;
	unsigned n, count;
	struct buf message;
};

static void *send_all(void *owner)
{
	struct sender *s = owner;
	struct bench_lmtp lmtp;
	char to[48];

	(void)snprintf(to, sizeof(to), "user%u@bench.example", s->n);
	bench_lmtp_open(s->bench, &lmtp);
	for (unsigned i = 0; i < s->count; i++) {
		bench_lmtp_send(&lmtp, to, s->message.data, s->message.len);
		bench_lmtp_answer(&lmtp);
	}
	bench_lmtp_close(&lmtp);
	return NULL;
}

/* Messages per second of wall clock over so many connections. */
static double measure(struct bench *b, unsigned connections, unsigned each)
{
	struct sender senders[CONNECTIONS];
	pthread_t threads[CONNECTIONS];
	int64_t began_us = bench_now_us();

	for (unsigned i = 0; i < connections; i++) {
		senders[i] = (struct sender){.bench = b, .n = i, .count = each};
		bench_mail(i, BENCH_PLAIN, "user@bench.example", 6500, &senders[i].message);
		if (pthread_create(&threads[i], NULL, send_all, &senders[i]) != 0)
			bench_die("no thread");
	}
	for (unsigned i = 0; i < connections; i++) {
		(void)pthread_join(threads[i], NULL);
		buf_deinit(&senders[i].message);
	}
	return connections * each / ((double)(bench_now_us() - began_us) / 1e6);
}

static const struct bench_usage usage = {
	.name = "ingest", .what = "messages by LMTP, over one connection and over eight."};

int main(int argc, char **argv)
{
	struct bench b;

	bench_options(argc, argv, &usage);
	bench_init(&b, "ingest", argc, argv);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		(void)bench_add_user(&b, i);
	bench_start(&b);
	(void)measure(&b, 1, 100); /* warm */
	bench_figure(&b, "lmtp_rate", measure(&b, CONNECTIONS, EACH), "messages/s", "1000",
		"7 KB messages over 8 LMTP connections, one user each, durable before each 250");
	bench_figure(&b, "lmtp_rate_single", measure(&b, 1, SINGLE), "messages/s", "200",
		"7 KB messages over one LMTP connection, durable before each 250");
	bench_finish(&b);
	return 0;
}
