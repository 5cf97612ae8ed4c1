/*
 * The administrator's socket. A connection has one request at a time: while it runs nothing is
 * read. Bytes that follow a request (admin.h) are gathered before it runs.
 *
 * Limits: CONNECTIONS_MAX, ADMIN_REQUEST_MAX bytes of a line, admin_body_max() behind it,
 * BODIES_MAX connections with such at once, IDLE_MS of silence. Threads: the loop's; admin_handle()
 * on the pool. A connection with a job running is freed when the job is back. At a stop,
 * connections go to the next engine, with a request that was not begun.
 */
#include "engine/admin_link.h"

#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "loop/worker.h"
#include "net/baton.h"
#include "net/listen.h"
#include "net/stream.h"

#define CONNECTIONS_MAX 32
#define THREADS         2
#define BODIES_MAX      4
#define READ_BYTES      65536
#define KEEP_BYTES      ((size_t)1 << 20) /* of a buffer, from one request to the next */
#define IDLE_MS         60000
#define ANSWER_MAX      ((size_t)64 * 1024 * 1024)

struct admin_link {
	struct loop *loop;
	struct admin *admin;
	struct workers *workers;
	int listen_fd, baton_fd;
	struct loop_fd *watch;
	struct list_node connections;
	unsigned count;
	unsigned bodies; /* connections with one */
	uint8_t scratch[READ_BYTES];
};

struct connection {
	struct job job; /* running while busy */
	struct list_node node;
	struct admin_link *link;
	struct net_stream stream;
	struct loop_fd *watch;
	struct loop_timer idle;
	struct admin_caller caller;
	char actor[ADMIN_ACTOR_MAX];
	struct buf in, out;
	size_t line_len; /* of the request at hand; 0: none yet */
	size_t body_len;
	size_t out_at;
	bool busy, closing;
	bool has_body; /* counts in link->bodies */
};

static void conn_free(struct connection *c)
{
	loop_timer_clear(&c->idle);
	loop_fd_free(&c->watch);
	net_stream_close(&c->stream);
	list_remove(&c->node);
	c->link->count--;
	c->link->bodies -= c->has_body;
	/* A request may hold a password. */
	if (c->in.data != NULL)
		secret_wipe(c->in.data, c->in.cap);
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	mem_free(c);
}

/* Freed now, or when its job is back. */
static void conn_end(struct connection *c)
{
	c->closing = true;
	if (!c->busy)
		conn_free(c);
}

static void run_request(struct job *job, void *thread_state)
{
	struct connection *c = LIST_ENTRY(job, struct connection, job);

	(void)thread_state;
	admin_handle_body(c->link->admin, (const char *)c->in.data, c->line_len,
		c->in.data + c->line_len + 1, c->body_len, &c->caller, &c->out);
}

static void conn_go_on(struct connection *c);

static void on_request_done(struct job *job, bool cancelled)
{
	struct connection *c = LIST_ENTRY(job, struct connection, job);

	c->busy = false;
	/* It was not begun: the next engine will. */
	if (cancelled) {
		c->line_len = c->body_len = 0;
		return;
	}
	secret_wipe(c->in.data, c->line_len);
	buf_drop(&c->in, MIN(c->line_len + 1 + c->body_len, c->in.len));
	c->line_len = c->body_len = 0;
	if (c->in.len == 0 && c->in.cap > KEEP_BYTES)
		buf_deinit(&c->in);
	c->in.max = ADMIN_REQUEST_MAX + 1;
	if (c->closing || c->out.failed)
		conn_free(c);
	else
		conn_go_on(c);
}

/* True: everything is written. False: more later, or the connection is gone. */
static bool conn_write(struct connection *c)
{
	while (c->out_at < c->out.len) {
		int64_t n = net_stream_write(
			&c->stream, c->out.data + c->out_at, c->out.len - c->out_at);

		if (n == NET_AGAIN)
			return false;
		if (n < 0) {
			conn_end(c);
			return false;
		}
		c->out_at += (size_t)n;
	}
	c->out_at = 0;
	buf_clear(&c->out);
	return true;
}

/* The line is whole: room for what follows it. False: that is too much. */
static bool take_line(struct connection *c, const uint8_t *lf)
{
	size_t line_len = (size_t)(lf - c->in.data);
	uint64_t body = admin_body_bytes((const char *)c->in.data, line_len);

	if (body > admin_body_max(c->link->admin))
		return false;
	if (body > 0 && !c->has_body) {
		if (c->link->bodies == BODIES_MAX)
			return false;
		c->has_body = true;
		c->link->bodies++;
	}
	c->line_len = line_len;
	c->body_len = (size_t)body;
	c->in.max = ADMIN_REQUEST_MAX + 1 + c->body_len + READ_BYTES;
	return true;
}

/* Starts the next request when it is whole. True: it runs, or the connection is gone. */
static bool conn_start(struct connection *c)
{
	if (c->line_len == 0) {
		uint8_t *lf = c->in.len > 0 ? memchr(c->in.data, '\n', c->in.len) : NULL;

		if (lf == NULL)
			return false;
		if (!take_line(c, lf)) {
			conn_end(c);
			return true;
		}
	}
	if (c->in.len < c->line_len + 1 + c->body_len)
		return false;
	c->job = (struct job){.name = "admin", .run = run_request, .done = on_request_done};
	c->busy = workers_submit(c->link->workers, &c->job);
	if (!c->busy)
		conn_end(c);
	return true;
}

/* Writes, then runs or reads, as far as it goes. */
static void conn_go_on(struct connection *c)
{
	for (;;) {
		uint8_t *bytes = c->link->scratch;
		int64_t n;

		if (c->busy || !conn_write(c))
			return;
		loop_timer_set(&c->idle, clock_now_ms() + IDLE_MS);
		if (conn_start(c))
			return;
		n = net_stream_read(&c->stream, bytes, READ_BYTES);
		if (n == NET_AGAIN)
			return;
		if (n > 0)
			buf_add(&c->in, bytes, (size_t)n);
		secret_wipe(bytes, n > 0 ? (size_t)n : 0);
		if (n <= 0 || c->in.failed) {
			conn_end(c);
			return;
		}
	}
}

static void on_conn_event(void *owner, unsigned events)
{
	struct connection *c = owner;

	(void)events;
	if (!c->closing)
		conn_go_on(c);
}

static void on_idle(void *owner)
{
	struct connection *c = owner;

	/* While a request runs it may take its time. */
	if (c->busy)
		loop_timer_set(&c->idle, clock_now_ms() + IDLE_MS);
	else
		conn_end(c);
}

static void take_connection(struct admin_link *link, int fd, const uint8_t *request, size_t len)
{
	struct connection *c;
	struct err err = ERR_INIT;
	struct ucred peer;
	socklen_t peer_len = sizeof(peer);

	if (link->count >= CONNECTIONS_MAX ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0) {
		fd_close(&fd);
		return;
	}
	c = x_new(struct connection);
	c->link = link;
	admin_caller_local(&c->caller, c->actor, peer.uid);
	link->count++;
	list_append(&link->connections, &c->node);
	buf_init(&c->in, MAX((size_t)ADMIN_REQUEST_MAX + 1, len));
	buf_add(&c->in, request, len);
	buf_init(&c->out, ANSWER_MAX);
	loop_timer_init(&c->idle, link->loop, "admin_idle", on_idle, c);
	if (net_stream_init(&c->stream, fd, NULL, &err) < 0 ||
		loop_fd_new(link->loop, fd, "admin_connection", on_conn_event, c, &c->watch, &err) <
			0) {
		log_error(NULL, "admin_refused", F_ERR(&err));
		conn_free(c);
		return;
	}
	conn_go_on(c);
}

static void on_listener(void *owner, unsigned events)
{
	struct admin_link *link = owner;
	struct net_address from;
	int fd;

	(void)events;
	while ((fd = net_accept(link->listen_fd, &from)) >= 0)
		take_connection(link, fd, NULL, 0);
}

/* Imports parse mail: each thread has a place to note what. */
static int on_thread_start(void *owner, uint32_t thread, void **ret_thread_state, struct err *err)
{
	(void)owner;
	(void)thread;
	(void)err;
	*ret_thread_state = NULL;
	notes_thread_join();
	return 0;
}

static void on_thread_stop(void *owner, void *thread_state)
{
	(void)owner;
	(void)thread_state;
	notes_thread_leave();
}

int admin_link_start(
	const struct admin_link_options *options, struct admin_link **ret, struct err *err)
{
	const struct workers_options pool = {.name = "admin",
		.threads = THREADS,
		.queue_max = CONNECTIONS_MAX,
		.on_start = on_thread_start,
		.on_stop = on_thread_stop,
		.loop = options->loop};
	CLEANUP(admin_link_stop) struct admin_link *link = x_new(struct admin_link);

	link->loop = options->loop;
	link->admin = options->admin;
	link->listen_fd = options->listen_fd;
	link->baton_fd = options->baton_fd;
	list_init(&link->connections);
	if (workers_new(&pool, &link->workers, err) < 0 ||
		(link->listen_fd < 0 &&
			net_listen_unix(options->path, 0600, &link->listen_fd, err) < 0) ||
		loop_fd_new(link->loop, link->listen_fd, "admin_listener", on_listener, link,
			&link->watch, err) < 0)
		return err_wrap(err, "the administrator's socket");
	*ret = TAKE(link);
	return 0;
}

void admin_link_adopt(struct admin_link *link, int fd, const uint8_t *request, size_t len)
{
	take_connection(link, fd, request, len);
}

/* Between two requests, or before one that was not begun. */
static void pass_on(const struct connection *c)
{
	if (c->link->baton_fd >= 0 && !c->closing && c->out.len == 0)
		(void)net_baton_pass(
			c->link->baton_fd, ADMIN_LINK_BATON, c->stream.fd, c->in.data, c->in.len);
}

void admin_link_stop(struct admin_link **lp)
{
	struct admin_link *link = *lp;

	if (link == NULL)
		return;
	loop_fd_free(&link->watch);
	fd_close(&link->listen_fd);
	workers_free(&link->workers); /* answers go out from done() */
	LIST_FOREACH_SAFE(node, &link->connections) {
		struct connection *c = LIST_ENTRY(node, struct connection, node);

		pass_on(c);
		conn_free(c);
	}
	mem_free(link);
	*lp = NULL;
}
