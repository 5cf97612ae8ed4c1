/*
 * The postman: one LMTP connection, blocking, one message after the other (RFC 2033). When the
 * connection breaks it makes another after a second. Counts lie in memory shared with the caller.
 */
#include "fleet/mailer.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "fleet/fleet_internal.h"

#define TIMEOUT_S 30

struct counts {
	_Atomic uint64_t sent, failed;
};

struct mailer {
	pid_t pid;
	struct counts *counts; /* mapped */
};

struct session {
	const struct mailer_options *options;
	int fd; /* -1: none */
};

static int dial(const char *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	struct timeval patience = {.tv_sec = TIMEOUT_S};
	char host[256];
	char *colon;
	int fd = -1;

	(void)snprintf(host, sizeof(host), "%s", address);
	colon = strrchr(host, ':');
	if (colon == NULL)
		return -1;
	*colon = 0;
	if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) < 0)
		fd_close(&fd);
	freeaddrinfo(list);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* One answer, also of several lines: its code; -1: the connection is gone. */
static int answer(struct session *s)
{
	char line[1024];
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(s->fd, line + len, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		if (line[len] != '\n') {
			len = MIN(len + 1, sizeof(line) - 1);
			continue;
		}
		if (len < 3)
			return -1;
		if (line[3] != '-')
			return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
		len = 0;
	}
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

static bool ask(struct session *s, const char *line, int wanted)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	buf_addf(&text, "%s\r\n", line);
	return say(s, &text) && answer(s) == wanted;
}

static bool open_session(struct session *s)
{
	if (s->fd >= 0)
		return true;
	s->fd = dial(s->options->lmtp);
	if (s->fd >= 0 && answer(s) == 220 && ask(s, "LHLO bellhop-bench", 250))
		return true;
	fd_close(&s->fd);
	return false;
}

static void compose(
	const struct mailer_options *o, uint64_t number, const char *to, struct buf *out)
{
	buf_addf(out,
		"From: bench@example.org\r\nTo: %s\r\nSubject: message %llu\r\n"
		"Message-ID: <%llu.%llx@bellhop-bench.example>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain\r\n\r\n",
		to, (unsigned long long)number, (unsigned long long)number,
		(unsigned long long)fleet_now_us());
	for (size_t begin = out->len; out->len - begin < o->mail_bytes;)
		buf_add_str(out, "The quick brown fox jumps over the lazy dog, and again.\r\n");
	buf_add_str(out, ".\r\n");
}

/* fleet: NULL when nobody waits for the time. */
static bool deliver(struct session *s, struct fleet *fleet, uint64_t number)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT, to = BUF_INIT, line = BUF_INIT;
	uint32_t user =
		(uint32_t)(scenario_chance(s->options->seed, number, 7) % s->options->users);

	talk_pattern(s->options->user, user, &to);
	buf_addf(&line, "RCPT TO:<%s>", buf_cstr(&to));
	if (!open_session(s) || !ask(s, "MAIL FROM:<bench@example.org>", 250) ||
		!ask(s, buf_cstr(&line), 250) || !ask(s, "DATA", 354))
		return false;
	compose(s->options, number, buf_cstr(&to), &text);
	if (fleet != NULL)
		fleet_news(fleet, user, fleet_now_us());
	return say(s, &text) && answer(s) == 250;
}

int mailer_deliver(const struct mailer_options *options, uint64_t number, struct err *err)
{
	struct session s = {.options = options, .fd = -1};
	bool good = deliver(&s, NULL, number);

	fd_close(&s.fd);
	return good ? 0
		    : err_set(err, ERR_BACKEND, "--lmtp %.200s did not take a message",
			      options->lmtp);
}

_Noreturn static void work(struct fleet *fleet, const struct mailer_options *o, struct counts *c)
{
	struct session s = {.options = o, .fd = -1};
	int64_t start_ms = clock_now_ms();

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_IGN);
	for (uint64_t number = 0;; number++) {
		int64_t due_ms = start_ms + (int64_t)((double)number * 1000 / o->rate);
		int64_t wait_ms = due_ms - clock_now_ms();
		struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000};

		if (wait_ms > 0)
			(void)nanosleep(&pause, NULL);
		if (deliver(&s, fleet, number)) {
			atomic_fetch_add(&c->sent, 1);
		} else {
			struct timespec second = {.tv_sec = 1};

			atomic_fetch_add(&c->failed, 1);
			fd_close(&s.fd);
			(void)nanosleep(&second, NULL);
		}
	}
}

int mailer_start(struct fleet *fleet, const struct mailer_options *options, struct mailer **ret,
	struct err *err)
{
	struct session probe = {.options = options, .fd = -1};
	struct mailer *m;

	if (!open_session(&probe))
		return err_set(err, ERR_BACKEND, "--lmtp %.200s: no LMTP server answers there",
			options->lmtp);
	fd_close(&probe.fd);
	m = x_new(struct mailer);
	m->counts = mmap(NULL, sizeof(*m->counts), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->counts == MAP_FAILED) {
		mem_free(m);
		return err_set_errno(err, errno, "shared memory");
	}
	(void)fflush(NULL);
	m->pid = fork();
	if (m->pid == 0)
		work(fleet, options, m->counts);
	if (m->pid < 0) {
		(void)munmap(m->counts, sizeof(*m->counts));
		mem_free(m);
		return err_set_errno(err, errno, "fork");
	}
	*ret = m;
	return 0;
}

void mailer_read(const struct mailer *m, uint64_t *ret_sent, uint64_t *ret_failed)
{
	*ret_sent = m != NULL ? atomic_load(&m->counts->sent) : 0;
	*ret_failed = m != NULL ? atomic_load(&m->counts->failed) : 0;
}

void mailer_stop(struct mailer **mailer)
{
	struct mailer *m = *mailer;

	if (m == NULL)
		return;
	(void)kill(m->pid, SIGKILL);
	(void)waitpid(m->pid, NULL, 0);
	(void)munmap(m->counts, sizeof(*m->counts));
	mem_free(m);
	*mailer = NULL;
}
