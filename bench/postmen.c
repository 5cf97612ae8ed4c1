/*
 * Threads, one LMTP connection each. Post i is taken at its due time by whoever is free. Owned by
 * the caller: the posts; each is written by the thread that took it, and `done` counts with release
 * order, so whoever waits for the end sees all.
 */
#include "postmen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "fleet/fleet.h"

#define THREADS_MAX 64u
#define RETRY_MS    20

struct postmen {
	const struct bench *bench;
	struct postmen_options options;
	struct post *posts;
	unsigned count;
	_Atomic unsigned next, done;
	uint64_t start_us;
	unsigned thread_count;
	pthread_t threads[THREADS_MAX];
};

struct session {
	int fd;              /* -1: none */
	uint64_t stamped_us; /* of the bytes read last */
	size_t len;          /* of what is in text, not looked at yet */
	char text[4096];
};

static void pause_ms(int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	if (ms > 0)
		(void)nanosleep(&ts, NULL);
}

static ssize_t read_stamped(struct session *s, void *bytes, size_t len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct timespec)) * 2];
	} control;
	struct iovec iov = {bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(s->fd, &msg, 0);

	s->stamped_us = fleet_now_us();
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL; c != NULL;
		c = CMSG_NXTHDR(&msg, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		s->stamped_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	}
	return n;
}

/* One answer after another until so many came; false: gone, or another code. */
static bool answers(struct session *s, const char *code, unsigned wanted)
{
	while (wanted > 0) {
		char *end = memchr(s->text, '\n', s->len);
		size_t used;
		ssize_t n;

		if (end != NULL) {
			used = (size_t)(end - s->text) + 1;
			if (used < 4 || memcmp(s->text, code, 3) != 0)
				return false;
			wanted -= s->text[3] != '-';
			s->len -= used;
			memmove(s->text, s->text + used, s->len);
			continue;
		}
		n = read_stamped(s, s->text + s->len, sizeof(s->text) - s->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s->len += (size_t)n;
	}
	return true;
}

static bool say(struct session *s, const struct buf *text)
{
	size_t at = 0;

	while (at < text->len) {
		ssize_t n = send(s->fd, text->data + at, text->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static bool open_session(const struct postmen *p, struct session *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(p->bench->lmtp_port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	CLEANUP(buf_deinit) struct buf hello = BUF_INIT;
	struct timeval patience = {.tv_sec = 30};
	int one = 1;

	if (s->fd >= 0)
		return true;
	s->len = 0;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fd_close(&s->fd);
		return false;
	}
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	buf_add_str(&hello, "LHLO bench.example\r\n");
	if (answers(s, "220", 1) && say(s, &hello) && answers(s, "250", 1))
		return true;
	fd_close(&s->fd);
	return false;
}

/* True: accepted. *ret_begun: the message was sent whole, so it may be there although no 250 came.
 */
static bool deliver(const struct postmen *p, struct session *s, unsigned i, bool *ret_begun)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(buf_deinit) struct buf message = BUF_INIT;
	struct post *post = &p->posts[i];
	char to[48];

	*ret_begun = false;
	if (!open_session(p, s))
		return false;
	(void)snprintf(to, sizeof(to), "user%u@bench.example", post->user);
	buf_addf(&text, "MAIL FROM:<sender@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n", to);
	if (!say(s, &text) || !answers(s, "250", 2) || !answers(s, "354", 1))
		return false;
	bench_mail(i, BENCH_PLAIN, to, p->options.body_bytes, &message);
	buf_add_str(&message, ".\r\n");
	*ret_begun = true;
	post->sent_us = fleet_now_us();
	if (!say(s, &message) || !answers(s, "250", 1))
		return false;
	post->done_us = s->stamped_us;
	return true;
}

static void *work(void *owner)
{
	struct postmen *p = owner;
	struct session s = {.fd = -1};
	unsigned i;

	while ((i = atomic_fetch_add(&p->next, 1)) < p->count) {
		uint64_t due_us = p->start_us;
		bool begun = false;

		if (p->options.rate > 0)
			due_us += (uint64_t)((double)i * 1e6 / p->options.rate);
		pause_ms(((int64_t)due_us - (int64_t)fleet_now_us()) / 1000);
		while (!deliver(p, &s, i, &begun)) {
			fd_close(&s.fd);
			if (!p->options.patient)
				bench_die("LMTP: delivery %u failed", i);
			if (begun)
				break;
			pause_ms(RETRY_MS);
		}
		atomic_fetch_add_explicit(&p->done, 1, memory_order_release);
	}
	fd_close(&s.fd);
	return NULL;
}

struct postmen *postmen_start(const struct bench *b, const struct postmen_options *options,
	struct post *posts, unsigned count)
{
	struct postmen *p = x_new(struct postmen);

	*p = (struct postmen){.bench = b,
		.options = *options,
		.posts = posts,
		.count = count,
		.start_us = fleet_now_us(),
		.thread_count = MIN(MAX(options->threads, 1u), THREADS_MAX)};
	for (unsigned i = 0; i < p->thread_count; i++) {
		if (pthread_create(&p->threads[i], NULL, work, p) != 0)
			bench_die("no thread");
	}
	return p;
}

unsigned postmen_done(const struct postmen *p)
{
	return atomic_load_explicit(&p->done, memory_order_acquire);
}

void postmen_finish(struct postmen **p)
{
	for (unsigned i = 0; i < (*p)->thread_count; i++)
		(void)pthread_join((*p)->threads[i], NULL);
	mem_free(*p);
	*p = NULL;
}
