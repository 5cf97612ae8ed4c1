/*
 * The sockets and threads of LMTP: one listener thread, one thread for each connection with plain
 * blocking code (lmtp_session.c). Connections are few and long: mail servers keep them open and
 * send one message after the other.
 *
 * Invariants: `connections` holds exactly those whose threads run; a thread takes its connection
 * out, under the lock, before it closes the socket, so that stop never touches a descriptor that is
 * somebody else's by then.
 */
#include "ingest/lmtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "ingest/lmtp_internal.h"
#include "net/baton.h"

#define STACK_BYTES     ((size_t)1024 * 1024)
#define ACCEPT_PAUSE_MS 100  /* when the process is out of descriptors */
#define REFUSE_MS       100  /* to write one line to somebody who gets no thread */
#define STOP_WRITE_MS   2000 /* for answers that are under way at a stop */

struct lmtp_server {
	struct store *store;
	struct submit_queue *queue;
	int *fds;
	size_t fd_count;
	int stop_fd; /* can be read from the stop on */
	int baton_fd;
	pthread_t listener;
	struct lmtp_budget budget;
	atomic_bool stopping;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t ended;
	const struct settings *settings;
	struct list_node connections;
	uint32_t connection_count;
};

struct connection {
	struct list_node node;
	struct lmtp_server *server;
	const struct settings *settings; /* of the transaction at hand */
	int fd;
	char peer[INET6_ADDRSTRLEN + 8];
	struct arena *arena; /* of resume */
	uint8_t *state;      /* the same */
	struct lmtp_baton resume;
	bool resumes;
};

/* ---- one connection ---- */

/* A stop ends waiting for bytes at once; answers still get a moment to go out. */
static int wait_for(const struct connection *c, short what, int64_t deadline_ms, struct err *err)
{
	for (;;) {
		bool stopping = atomic_load(&c->server->stopping);
		struct pollfd p[2] = {{.fd = c->fd, .events = what},
			{.fd = stopping ? -1 : c->server->stop_fd, .events = POLLIN}};
		int64_t left;
		int rc;

		if (stopping && what == POLLIN)
			return err_set(err, ERR_BUSY, "the server is stopping");
		if (stopping)
			deadline_ms = MIN(deadline_ms, clock_now_ms() + STOP_WRITE_MS);
		left = deadline_ms - clock_now_ms();
		if (left <= 0)
			return err_set(err, ERR_TIMEOUT, "the client is silent");
		rc = poll(p, 2, (int)MIN(left, 3600000));
		if (rc > 0 && p[0].revents != 0)
			return 0;
		if (rc == 0 && stopping)
			return err_set(err, ERR_TIMEOUT, "the client reads nothing");
		if (rc < 0 && errno != EINTR)
			return err_set_errno(err, errno, "waiting for the client");
	}
}

static ssize_t conn_read(void *owner, void *bytes, size_t max, int64_t deadline_ms, struct err *err)
{
	struct connection *c = owner;

	for (;;) {
		ssize_t n = recv(c->fd, bytes, max, MSG_DONTWAIT);

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_set_errno(err, errno, "reading");
		if (wait_for(c, POLLIN, deadline_ms, err) < 0)
			return -1;
	}
}

static int conn_write(
	void *owner, const void *bytes, size_t len, int64_t deadline_ms, struct err *err)
{
	struct connection *c = owner;
	const uint8_t *p = bytes;

	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_for(c, POLLOUT, deadline_ms, err) < 0)
				return -1;
		} else if (errno != EINTR) {
			return err_set_errno(err, errno, "writing");
		}
	}
	return 0;
}

static bool conn_pass(void *owner, const struct lmtp_baton *baton)
{
	const struct connection *c = owner;
	struct buf state = BUF_INIT;
	bool passed;

	lmtp_baton_encode(baton, &state);
	passed = c->server->baton_fd >= 0 && !state.failed &&
		 net_baton_pass(c->server->baton_fd, LMTP_BATON, c->fd, state.data, state.len);
	buf_deinit(&state);
	/* The client that sends on and on must not hold up the stop. */
	if (!passed)
		(void)shutdown(c->fd, SHUT_RD);
	return passed;
}

static void conn_limits(void *owner, struct lmtp_limits *ret)
{
	struct connection *c = owner;
	const struct settings *old = c->settings;

	(void)pthread_mutex_lock(&c->server->lock);
	c->settings = settings_ref(c->server->settings);
	(void)pthread_mutex_unlock(&c->server->lock);
	settings_unref(&old);
	ret->message_max_bytes = c->settings->lmtp_message_max_bytes;
	ret->recipients_max = (uint32_t)c->settings->lmtp_recipients_max;
	ret->timeout_s = (uint32_t)c->settings->lmtp_timeout_s;
	ret->reject_full = strcmp(c->settings->lmtp_full_mailbox, "reject") == 0;
}

static struct lmtp_delivery delivery_of(const struct connection *c)
{
	return (struct lmtp_delivery){.store = c->server->store,
		.mime = {.parts = c->settings->mime_parts_max,
			.depth = c->settings->mime_depth_max,
			.header_bytes = c->settings->mime_header_max_bytes},
		.settings = c->settings,
		.queue = c->server->queue,
		.default_domain = c->settings->auth_default_domain,
		.refuse_s = (uint32_t)c->settings->poison_request_refuse_s};
}

static enum lmtp_outcome conn_resolve(
	void *owner, const char *address, uint64_t size, struct owner_id *ret, struct err *err)
{
	struct lmtp_delivery d = delivery_of(owner);

	return lmtp_delivery_resolve(&d, address, size, ret, err);
}

static void conn_deliver(void *owner, const struct lmtp_message *message,
	enum lmtp_outcome *outcomes, struct err *err)
{
	struct lmtp_delivery d = delivery_of(owner);

	lmtp_delivery_run(&d, message, outcomes, err);
}

static void conn_free(struct connection *c)
{
	fd_close(&c->fd);
	arena_free(&c->arena);
	mem_free(c->state);
	mem_free(c);
}

static void *run_connection(void *arg)
{
	struct connection *c = arg;
	struct lmtp_server *server = c->server;
	const struct lmtp_io io = {conn_read, conn_write, c, conn_pass};
	const struct lmtp_backend backend = {conn_limits, conn_resolve, conn_deliver, c};
	struct lmtp_limits limits;
	struct lmtp_session_options options = {.io = &io,
		.backend = &backend,
		.budget = &server->budget,
		.peer = c->peer,
		.stopping = &server->stopping,
		.resume = c->resumes ? &c->resume : NULL};
	const struct settings *first;

	conn_limits(c, &limits);
	first = settings_ref(c->settings); /* the name in the greeting stays the same for all of the
					      connection */
	options.hostname = first->hostname;
	notes_thread_join();
	lmtp_session_run(&options);
	notes_thread_leave();
	settings_unref(&first);
	settings_unref(&c->settings);

	(void)pthread_mutex_lock(&server->lock);
	list_remove(&c->node);
	(void)pthread_mutex_unlock(&server->lock);
	conn_free(c);
	(void)pthread_mutex_lock(&server->lock);
	server->connection_count--;
	(void)pthread_cond_signal(&server->ended);
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* ---- the listener ---- */

static void name_peer(struct connection *c, const struct sockaddr_storage *from)
{
	const struct sockaddr_in6 *in6 = (const void *)from;
	const struct sockaddr_in *in = (const void *)from;

	(void)snprintf(c->peer, sizeof(c->peer), "unix");
	if (from->ss_family == AF_INET)
		(void)inet_ntop(AF_INET, &in->sin_addr, c->peer, sizeof(c->peer));
	else if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		(void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], c->peer, sizeof(c->peer));
	else if (from->ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, c->peer, sizeof(c->peer));
}

/* A detached thread with every signal blocked. */
static int start_thread(struct connection *c)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, run_connection, c);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void refuse(struct connection *c)
{
	static const char text[] = "421 4.3.2 Too many connections, try again later\r\n";
	struct err err;

	(void)conn_write(c, text, sizeof(text) - 1, clock_now_ms() + REFUSE_MS, &err);
	log_warn(NULL, "lmtp_refused", F_STR("address", c->peer),
		F_STR("result", "too many connections"));
	conn_free(c);
}

static struct connection *conn_new(
	struct lmtp_server *server, int fd, const struct sockaddr_storage *from)
{
	struct connection *c = x_new(struct connection);

	c->server = server;
	c->fd = fd;
	name_peer(c, from);
	list_init(&c->node);
	return c;
}

static void take_connection(struct connection *c)
{
	struct lmtp_server *server = c->server;
	bool taken;

	(void)pthread_mutex_lock(&server->lock);
	taken = server->connection_count < server->settings->lmtp_connections_max &&
		start_thread(c) == 0;
	if (taken) {
		list_append(&server->connections, &c->node);
		server->connection_count++;
	}
	(void)pthread_mutex_unlock(&server->lock);
	if (!taken)
		refuse(c);
}

/* False: no descriptors are left. */
static bool accept_all(struct lmtp_server *server, int listen_fd)
{
	for (;;) {
		struct sockaddr_storage from = {0};
		socklen_t from_len = sizeof(from);
		int fd = accept4(listen_fd, (struct sockaddr *)&from, &from_len, SOCK_CLOEXEC);

		if (fd >= 0)
			take_connection(conn_new(server, fd, &from));
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			return false;
		else if (errno != EINTR && errno != ECONNABORTED)
			return true;
	}
}

static void *run_listener(void *arg)
{
	struct lmtp_server *server = arg;
	struct pollfd *polls = x_calloc(server->fd_count + 1, sizeof(*polls));

	for (size_t i = 0; i < server->fd_count; i++)
		polls[i + 1] = (struct pollfd){.fd = server->fds[i], .events = POLLIN};
	polls[0] = (struct pollfd){.fd = server->stop_fd, .events = POLLIN};
	while (!atomic_load(&server->stopping)) {
		bool short_of_fds = false;

		if (poll(polls, server->fd_count + 1, -1) < 0)
			continue;
		for (size_t i = 1; i <= server->fd_count; i++) {
			if (polls[i].revents != 0 && !accept_all(server, polls[i].fd))
				short_of_fds = true;
		}
		if (short_of_fds) {
			log_error(
				NULL, "lmtp_accept_failed", F_STR("result", "out of descriptors"));
			(void)poll(polls, 1, ACCEPT_PAUSE_MS);
		}
	}
	mem_free(polls);
	return NULL;
}

/* ---- the server ---- */

static void free_server(struct lmtp_server **server)
{
	struct lmtp_server *s = *server;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->fd_count; i++)
		fd_close(&s->fds[i]);
	mem_free(s->fds);
	fd_close(&s->stop_fd);
	settings_unref(&s->settings);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->ended);
	mem_free(s);
	*server = NULL;
}

int lmtp_server_start(
	const struct lmtp_server_options *options, struct lmtp_server **ret, struct err *err)
{
	CLEANUP(free_server) struct lmtp_server *s = x_new(struct lmtp_server);
	sigset_t all, old;
	int rc;

	s->store = options->store;
	s->queue = options->queue;
	s->baton_fd = options->baton_fd != NULL ? *options->baton_fd : -1;
	s->settings = settings_ref(options->settings);
	/* One message of the largest size must always fit. */
	atomic_init(&s->budget.left,
		MAX(s->settings->lmtp_buffer_max_bytes, 2 * s->settings->lmtp_message_max_bytes));
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->ended, NULL);
	list_init(&s->connections);
	s->fds = x_calloc(MAX(options->fd_count, 1), sizeof(int));
	for (; s->fd_count < options->fd_count; s->fd_count++) {
		s->fds[s->fd_count] = options->fds[s->fd_count];
		if (fd_set_blocking(s->fds[s->fd_count], 0, err) < 0)
			return err_wrap(err, "LMTP listener");
	}
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0)
		return err_set_errno(err, errno, "eventfd");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->listener, NULL, run_listener, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set_errno(err, rc, "LMTP listener thread");
	*ret = TAKE(s);
	return 0;
}

void lmtp_server_set_settings(struct lmtp_server *server, const struct settings *settings)
{
	const struct settings *old;

	(void)pthread_mutex_lock(&server->lock);
	old = server->settings;
	server->settings = settings_ref(settings);
	(void)pthread_mutex_unlock(&server->lock);
	settings_unref(&old);
}

void lmtp_server_adopt(struct lmtp_server *server, int fd, const uint8_t *state, size_t len)
{
	static const char sorry[] = "421 4.3.2 Try again\r\n";
	struct sockaddr_storage from = {0};
	socklen_t from_len = sizeof(from);
	struct err err = ERR_INIT;
	struct connection *c;

	(void)getpeername(fd, (struct sockaddr *)&from, &from_len);
	c = conn_new(server, fd, &from);
	c->arena = arena_new(0);
	c->state = x_calloc(1, MAX(len, (size_t)1));
	memcpy(c->state, state, len);
	c->resumes = lmtp_baton_decode(c->state, len, c->arena, &c->resume, &err) == 0;
	if (c->resumes) {
		take_connection(c);
		return;
	}
	log_error(NULL, "lmtp_session_lost", F_ERR(&err));
	(void)conn_write(c, sorry, sizeof(sorry) - 1, clock_now_ms() + REFUSE_MS, &err);
	conn_free(c);
}

uint32_t lmtp_server_connections(struct lmtp_server *server)
{
	uint32_t count;

	(void)pthread_mutex_lock(&server->lock);
	count = server->connection_count;
	(void)pthread_mutex_unlock(&server->lock);
	return count;
}

void lmtp_server_stop(struct lmtp_server **server)
{
	struct lmtp_server *s = *server;
	const uint64_t one = 1;

	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	(void)!write(s->stop_fd, &one, sizeof(one));
	(void)pthread_join(s->listener, NULL);
	(void)pthread_mutex_lock(&s->lock);
	/* Whoever waits for bytes was woken by stop_fd; whoever delivers goes on, and answers. */
	while (s->connection_count > 0)
		(void)pthread_cond_wait(&s->ended, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	free_server(server);
}
