/*
 * An LMTP client that costs little: the envelope in one write (PIPELINING), the message in another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "bench.h"

static void send_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			bench_die("LMTP: sending: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
}

/* Reads one answer (all its lines); it must begin with that digit. */
static void expect(struct bench_lmtp *l, char first)
{
	for (;;) {
		char *end = memchr(l->line, '\n', l->len);
		bool last = end != NULL && (end - l->line < 4 || l->line[3] != '-');
		size_t used;
		ssize_t n;

		if (end != NULL) {
			used = (size_t)(end - l->line) + 1;
			if (l->line[0] != first)
				bench_die("LMTP: %.*s", (int)used, l->line);
			memmove(l->line, l->line + used, l->len - used);
			l->len -= used;
			if (last)
				return;
			continue;
		}
		if (l->len == sizeof(l->line))
			bench_die("LMTP: an endless line");
		n = recv(l->fd, l->line + l->len, sizeof(l->line) - l->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			bench_die("LMTP: the server closed the connection");
		l->len += (size_t)n;
	}
}

void bench_lmtp_open(const struct bench *b, struct bench_lmtp *l)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(b->lmtp_port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int one = 1;

	l->len = 0;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		bench_die("LMTP: connecting: %s", strerror(errno));
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	expect(l, '2');
	send_all(l->fd, "LHLO bench\r\n", 12);
	expect(l, '2');
}

void bench_lmtp_send(struct bench_lmtp *l, const char *to, const void *message, size_t len)
{
	char envelope[400];
	int n = snprintf(envelope, sizeof(envelope),
		"MAIL FROM:<sender@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n", to);

	send_all(l->fd, envelope, (size_t)n);
	expect(l, '2');
	expect(l, '2');
	expect(l, '3');
	send_all(l->fd, message, len); /* generated: CRLF throughout, no line begins with a dot */
	send_all(l->fd, ".\r\n", 3);
}

void bench_lmtp_answer(struct bench_lmtp *l)
{
	expect(l, '2');
}

void bench_lmtp_close(struct bench_lmtp *l)
{
	fd_close(&l->fd);
}
