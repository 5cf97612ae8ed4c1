/*
 * listing: the first Sync of 10,000 messages, windows of 512, 32 KB truncation, as text and as
 * HTML; messages per second of server CPU. Two mailboxes: one of 68 MB (65 % plain text, 30 % text
 * and HTML, 5 % with a 40 kB attachment), and one such as people have who get newsletters, 189 MB:
 * 20 % plain text, 20 % text and HTML, 20 % HTML alone of 2 to 5 KB, 25 % HTML alone of 10 to 40
 * KB, which text has to be made of, and 15 % with a 40 kB attachment.
 */
#include <stdio.h>

#include "base/mem.h"
#include "bench.h"
#include "options.h"

#define MESSAGES 10000u

static size_t total_bytes, mixed_bytes;

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

/* Of every 20: 4 plain, 4 alternative, 4 HTML, 5 newsletters, 3 with an attachment. */
static void make_mixed(unsigned i, struct buf *out)
{
	static const enum bench_mail_kind kinds[20] = {BENCH_PLAIN, BENCH_ALTERNATIVE, BENCH_HTML,
		BENCH_NEWSLETTER, BENCH_ATTACHMENT, BENCH_PLAIN, BENCH_ALTERNATIVE, BENCH_HTML,
		BENCH_NEWSLETTER, BENCH_ATTACHMENT, BENCH_PLAIN, BENCH_ALTERNATIVE, BENCH_HTML,
		BENCH_NEWSLETTER, BENCH_ATTACHMENT, BENCH_PLAIN, BENCH_ALTERNATIVE, BENCH_HTML,
		BENCH_NEWSLETTER, BENCH_NEWSLETTER};
	enum bench_mail_kind kind = kinds[i % ARRAY_LEN(kinds)];

	bench_mail(i, kind, "user1@bench.example",
		kind == BENCH_NEWSLETTER ? 10000 + i * 7919 % 30000 : 2000 + i % 3000, out);
	mixed_bytes += out->len;
}

static void list(struct bench *b, unsigned user, const char *device, unsigned body_type,
	const char *figure, const char *aim)
{
	struct bench_phone p;
	double before_us, used_us;
	int64_t began_us;
	char conditions[400];

	bench_phone_init(b, &p, user, device);
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
		MESSAGES, (double)(user == 0 ? total_bytes : mixed_bytes) / 1e6, body_type,
		(double)p.body_bytes / 1e6, (double)began_us / 1e6);
	bench_figure(b, figure, MESSAGES / (used_us / 1e6), "messages/s", aim, conditions);
	bench_phone_clear(&p);
}

static const struct bench_usage usage = {
	.name = "listing", .what = "first Syncs of 10,000 messages."};

int main(int argc, char **argv)
{
	struct bench b;

	bench_options(argc, argv, &usage);
	bench_init(&b, "listing", argc, argv);
	bench_fill(&b, bench_add_user(&b, 0), MESSAGES, make);
	bench_fill(&b, bench_add_user(&b, 1), MESSAGES, make_mixed);
	bench_start(&b);
	list(&b, 0, "TEXT", 1, "first_sync_rate", "10000");
	list(&b, 0, "HTML", 2, "first_sync_html_rate", "5000");
	list(&b, 1, "TEXT", 1, "mixed_text_rate", "5000");
	list(&b, 1, "HTML", 2, "mixed_html_rate", "5000");
	bench_finish(&b);
	return 0;
}
