/*
 * The bare server of bare.h: forked processes, each with a listener of its own on one port. They
 * die with the program that started them.
 */
#include "bare.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"

#define PROCESSES_MAX 4u
#define EVENTS_MAX    256
#define SLOTS         64u /* seconds; heartbeats are shorter */

static const char answer[] =
	"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
	"Content-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: 13\r\n\r\n"
	"\x03\x01\x6A\x00\x00\x0D\x45\x47\x03\x31\x00\x01\x01";

struct bare {
	unsigned processes;
	uint16_t port;
	pid_t pids[PROCESSES_MAX];
};

/* Who is due in which second. */
struct slot {
	int *fds;
	size_t count, cap;
};

static int listen_on(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		bench_die("a bare server cannot listen: %s", strerror(errno));
	*port = ntohs(a.sin_port);
	return fd;
}

static void watch(int epoll, int fd, bool stream)
{
	struct epoll_event ev = {
		.events = EPOLLIN | (stream ? EPOLLET | EPOLLRDHUP : 0), .data.fd = fd};
	int on = 1;

	if (stream)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		_exit(1);
}

static void be_due(struct slot *slots, int64_t at_s, int fd)
{
	struct slot *s = &slots[at_s % SLOTS];

	if (s->count == s->cap) {
		s->cap = MAX(s->cap * 2, (size_t)64);
		s->fds = x_realloc(s->fds, s->cap * sizeof(*s->fds));
	}
	s->fds[s->count++] = fd;
}

static void answer_due(struct slot *s)
{
	for (size_t i = 0; i < s->count; i++)
		(void)!send(s->fds[i], answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	s->count = 0;
}

static _Noreturn void serve(int listener, unsigned heartbeat_s)
{
	static struct slot slots[SLOTS];
	static struct epoll_event events[EVENTS_MAX];
	static char bytes[65536];
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd;
	int64_t second = clock_now_ms() / 1000;

	watch(epoll, listener, false);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX,
			(int)((second + 1) * 1000 - MIN(clock_now_ms(), (second + 1) * 1000)));

		for (int i = 0; i < n; i++) {
			fd = events[i].data.fd;
			if (fd == listener) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
					watch(epoll, fd, true);
			} else if (recv(fd, bytes, sizeof(bytes), 0) > 0) {
				be_due(slots, second + 1 + heartbeat_s, fd);
			} /* else it is gone, at the end of the measurement */
		}
		while (clock_now_ms() / 1000 > second)
			answer_due(&slots[++second % SLOTS]);
	}
}

struct bare *bare_start(unsigned processes, unsigned heartbeat_s)
{
	struct bare *b = x_new(struct bare);
	int listeners[PROCESSES_MAX];

	if (processes > PROCESSES_MAX || heartbeat_s + 2 > SLOTS)
		bench_die("a bare server has %u processes, and heartbeats below %u s",
			PROCESSES_MAX, SLOTS - 2);
	b->processes = processes;
	for (unsigned i = 0; i < processes; i++)
		listeners[i] = listen_on(&b->port);
	for (unsigned i = 0; i < processes; i++) {
		b->pids[i] = fork();
		if (b->pids[i] < 0)
			bench_die("fork: %s", strerror(errno));
		if (b->pids[i] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (unsigned k = 0; k < processes; k++) {
				if (k != i)
					(void)close(listeners[k]);
			}
			serve(listeners[i], heartbeat_s);
		}
	}
	for (unsigned i = 0; i < processes; i++)
		(void)close(listeners[i]);
	return b;
}

uint16_t bare_port(const struct bare *b)
{
	return b->port;
}

double bare_cpu_us(const struct bare *b)
{
	double us = 0;

	for (unsigned i = 0; i < b->processes; i++) {
		struct timespec t = {0, 0};
		clockid_t clock;

		if (clock_getcpuclockid(b->pids[i], &clock) != 0 || clock_gettime(clock, &t) < 0)
			bench_die("a bare server has died");
		us += (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
	}
	return us;
}

void bare_stop(struct bare **bp)
{
	struct bare *b = *bp;

	*bp = NULL;
	for (unsigned i = 0; i < b->processes; i++) {
		(void)kill(b->pids[i], SIGKILL);
		(void)waitpid(b->pids[i], NULL, 0);
	}
	mem_free(b);
}
