/*
 * How long a delivery by LMTP takes while somebody imports 100,000 messages through the same store,
 * and how much the engine grows while a phone lists messages of 10 MB.
 *
 * The import does what the engine does for `bellhop import`: the LMTP server, the store and an
 * importing thread in one process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench.h"
#include "ingest/lmtp.h"
#include "sync.h"

#define IMPORTED     100000u
#define IDLE_SAMPLES 3000u
#define SAMPLES_MAX  200000u
#define LARGE        512u
#define GZIPPED      64u /* of them, because compressing costs as much as all the rest */
#define LARGE_BYTES  10000000u
#define LARGE_KINDS  8u /* different ones; equal bodies share a file */

/* ---- deliveries beside an import ---- */

static void make_import(unsigned i, struct buf *out)
{
	bench_mail(i, BENCH_PLAIN, "user1@bench.example", 6500, out);
}

struct import {
	struct bench *bench;
	struct owner_id owner;
	_Atomic bool done;
};

static void *run_import(void *owner)
{
	struct import *import = owner;

	bench_fill(import->bench, import->owner, IMPORTED, make_import);
	atomic_store(&import->done, true);
	return NULL;
}

static void drop_line(const char *line, void *owner)
{
	(void)line;
	(void)owner;
}

static int listen_lmtp(const struct bench *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(b->lmtp_port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		bench_die("LMTP: listening: %s", strerror(errno));
	return fd;
}

/* Milliseconds from the last byte of a message to its 250: the p-th percentile of count deliveries,
 * or of all until *done. */
static double deliver(
	const struct bench *b, unsigned count, _Atomic bool *done, unsigned *ret_count)
{
	CLEANUP(mem_freep) double *took_ms = x_calloc(count, sizeof(*took_ms));
	CLEANUP(buf_deinit) struct buf message = BUF_INIT;
	struct bench_lmtp lmtp;
	unsigned n = 0;

	bench_mail(1, BENCH_PLAIN, "user0@bench.example", 6500, &message);
	bench_lmtp_open(b, &lmtp);
	while (n < count && (done == NULL || !atomic_load(done))) {
		int64_t sent_us;

		bench_lmtp_send(&lmtp, "user0@bench.example", message.data, message.len);
		sent_us = bench_now_us();
		bench_lmtp_answer(&lmtp);
		took_ms[n++] = (double)(bench_now_us() - sent_us) / 1e3;
	}
	bench_lmtp_close(&lmtp);
	*ret_count = n;
	return bench_percentile(took_ms, n, 0.99);
}

static void compare(struct bench *b, struct import *import)
{
	int64_t began_us;
	double idle, busy;
	pthread_t thread;
	char conditions[300];
	unsigned count;

	(void)deliver(b, 200, NULL, &count); /* warm */
	idle = deliver(b, IDLE_SAMPLES, NULL, &count);
	began_us = bench_now_us();
	if (pthread_create(&thread, NULL, run_import, import) != 0)
		bench_die("no thread");
	busy = deliver(b, SAMPLES_MAX, &import->done, &count);
	(void)pthread_join(thread, NULL);
	(void)snprintf(conditions, sizeof(conditions),
		"7 KB messages one after the other over one LMTP connection, from the last byte to "
		"the "
		"250, "
		"while another thread imports 100000 messages of 7 KB in transactions of 64; %u "
		"deliveries in %.1f s",
		count, (double)(bench_now_us() - began_us) / 1e6);
	bench_figure(b, "idle_lmtp_p99", idle, "ms", NULL,
		"the same 3000 times with nothing else to do");
	bench_figure(b, "import_lmtp_p99", busy, "ms", "10 times the former", conditions);
	bench_figure(b, "import_lmtp_ratio", busy / idle, "times", "at most 10",
		"import_lmtp_p99 / idle_lmtp_p99");
}

void sync_bench_import(int argc, char **argv)
{
	const struct settings *settings = settings_default();
	struct lmtp_server *server = NULL;
	struct import import = {0};
	struct err err = ERR_INIT;
	struct bench b;
	int fd;

	bench_init(&b, "sync", argc, argv);
	import.bench = &b;
	(void)bench_add_user(&b, 0);
	import.owner = bench_add_user(&b, 1);
	fd = listen_lmtp(&b);
	log_capture(drop_line, NULL);
	BENCH_OK(lmtp_server_start(
			 &(struct lmtp_server_options){
				 .store = b.store, .settings = settings, .fds = &fd, .fd_count = 1},
			 &server, &err),
		&err);
	compare(&b, &import);
	lmtp_server_stop(&server);
	log_capture(NULL, NULL);
	settings_unref(&settings);
	bench_finish(&b);
}

/* ---- messages of 10 MB ---- */

static void make_large(unsigned i, struct buf *out)
{
	static const enum bench_mail_kind kinds[] = {
		BENCH_PLAIN, BENCH_ALTERNATIVE, BENCH_HTML, BENCH_LARGE_PAPER};
	unsigned seed = i % LARGE_KINDS;
	enum bench_mail_kind kind = kinds[seed % ARRAY_LEN(kinds)];

	bench_mail(seed, kind, "user0@bench.example",
		kind == BENCH_ALTERNATIVE ? LARGE_BYTES / 2 : LARGE_BYTES, out);
}

/* The first count messages; all: until nothing is left. */
static void sync_large(struct bench_phone *p, unsigned count)
{
	struct arena *arena = arena_new(0);
	unsigned total = 0;
	bool more = true;

	while (total < count || (count == LARGE && more)) {
		arena_clear(arena);
		total += bench_phone_sync(p, arena, &more);
		if (!more && total < count)
			bench_die("the listing was not complete");
	}
	if (total != count)
		bench_die("a response brought more than one message of 10 MB");
	arena_free(&arena);
}

/* A new engine for each, so that nothing of the one before is taken for granted. */
static double list_large(
	struct bench *b, unsigned count, unsigned body_type, bool gzip, const char *figure)
{
	struct bench_phone p;
	char conditions[400], device[16];
	double before, grown;
	pid_t engine;

	bench_start(b);
	engine = bench_engine_pid(b);
	(void)snprintf(device, sizeof(device), "LARGE%u%u", body_type, gzip);
	bench_phone_init(b, &p, 0, device);
	p.body_type = body_type;
	p.truncation = -1;
	p.gzip = gzip;
	bench_phone_set_up(&p);
	before = bench_memory(engine);
	sync_large(&p, count);
	grown = bench_memory_peak(engine) - before;
	(void)snprintf(conditions, sizeof(conditions),
		"peak RSS of the engine over its RSS before, while one phone lists %u messages of "
		"10 MB (text, text and HTML, HTML, attachments), body type %u, untruncated, "
		"plain HTTP%s; %.0f MB of bodies",
		count, body_type, gzip ? " with gzip" : "", (double)p.body_bytes / 1e6);
	bench_figure(b, figure, grown, "MiB", "under 64", conditions);
	bench_phone_clear(&p);
	bench_stop(b);
	return grown;
}

void sync_bench_memory(int argc, char **argv)
{
	struct bench b;
	static const struct {
		const char *figure;
		unsigned count, body_type;
		bool gzip;
	} listings[] = {
		{"engine_memory_text", LARGE, 1, false},
		{"engine_memory_html", LARGE, 2, false},
		{"engine_memory_mime", LARGE, 4, false},
		{"engine_memory_gzip", GZIPPED, 1, true},
	};
	double worst = 0;

	bench_init(&b, "sync", argc, argv);
	bench_fill(&b, bench_add_user(&b, 0), LARGE, make_large);
	for (size_t i = 0; i < ARRAY_LEN(listings); i++) {
		double grown = list_large(&b, listings[i].count, listings[i].body_type,
			listings[i].gzip, listings[i].figure);

		worst = MAX(worst, grown);
	}
	bench_figure(&b, "engine_memory_10mb", worst, "MiB", "under 64", "the largest of these");
	bench_finish(&b);
}
