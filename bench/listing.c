/*
 * listing: the first Sync of 10,000 messages of 68 MB in all (65 % plain text, 30 % text and HTML,
 * 5 % with a 40 kB attachment), windows of 512, 32 KB truncation. Messages per second of server
 * CPU, as text and as HTML.
 */
#include <stdio.h>

#include "base/mem.h"
#include "bench.h"

#define MESSAGES 10000u

static size_t total_bytes;

static void make(unsigned i, struct buf *out)
{
	unsigned part = i % 20; /* 13 plain, 6 alternative, 1 with an attachment */

	if (part < 13)
		bench_mail(i, BENCH_PLAIN, "user0@bench.example", 2600 + i % 1000, out);
	else if (part < 19)
		bench_mail(i, BENCH_ALTERNATIVE, "user0@bench.example", 1600 + i % 1000, out);
	else
		bench_mail(i, BENCH_ATTACHMENT, "user0@bench.example", 2500, out);
	total_bytes += out->len;
}

static void list(struct bench *b, const char *device, unsigned body_type, const char *figure,
	const char *aim)
{
	struct bench_phone p;
	double before_us, used_us;
	int64_t began_us;
	char conditions[400];

	bench_phone_init(b, &p, 0, device);
	p.body_type = body_type;
	bench_phone_set_up(&p);
	before_us = bench_server_cpu_us(b);
	began_us = bench_now_us();
	if (bench_phone_sync_all(&p) != MESSAGES)
		bench_die("the first listing was not complete");
	began_us = bench_now_us() - began_us;
	used_us = bench_server_cpu_us(b) - before_us;
	(void)snprintf(conditions, sizeof(conditions),
		"first Sync of %u messages, %.0f MB, body type %u, 32 KB truncation, window 512, "
		"14.1, "
		"no gzip, %.0f MB of bodies in the answers; messages per second of server CPU; "
		"wall "
		"clock %.2f s",
		MESSAGES, (double)total_bytes / 1e6, body_type, (double)p.body_bytes / 1e6,
		(double)began_us / 1e6);
	bench_figure(b, figure, MESSAGES / (used_us / 1e6), "messages/s", aim, conditions);
	bench_phone_clear(&p);
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, "listing", argc, argv);
	bench_fill(&b, bench_add_user(&b, 0), MESSAGES, make);
	bench_start(&b);
	list(&b, "TEXT", 1, "first_sync_rate", "10000");
	list(&b, "HTML", 2, "first_sync_html_rate", "5000");
	bench_finish(&b);
	return 0;
}
