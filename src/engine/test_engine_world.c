#include "engine/test_engine_world.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/remember.h"
#include "eas/wipe.h"

#define PATIENCE 200 /* rounds of 50 ms */

struct world world;

/* ---- credentials ---- */

enum auth_result auth_check_basic(struct auth *auth, const char *authorization, const char *address,
	const struct auth_fallback *fallback, struct arena *arena, struct auth_grant *ret,
	struct err *err)
{
	(void)auth;
	(void)address;
	(void)fallback;
	atomic_fetch_add(&world.auths, 1);
	if (str_eq(authorization, "Basic flood"))
		return AUTH_THROTTLED;
	if (str_eq(authorization, "Basic trouble")) {
		(void)err_set(err, ERR_BACKEND, "no store");
		return AUTH_FAILED;
	}
	if (!str_starts(authorization, "Basic good"))
		return AUTH_WRONG;
	*ret = (struct auth_grant){
		.user = arena_x_new(arena, struct user), .expires_at = INT64_MAX, .verifier = ""};
	ret->user->id.v = 1;
	return AUTH_OK;
}

void auth_refuse(struct auth *auth, const struct user *user, const char *address,
	struct arena *arena, const char *reason)
{
	(void)auth;
	(void)user;
	(void)address;
	(void)arena;
	(void)reason;
}

const char *eas_wipe_credential(
	void *owner, const struct user *user, struct arena *arena, bool *ret_proved)
{
	(void)ret_proved;
	(void)owner;
	(void)user;
	(void)arena;
	return NULL;
}

void eas_wipe_device(void *owner, const struct user *user, struct arena *arena, const char **ret_id,
	const char **ret_type)
{
	(void)owner;
	(void)user;
	(void)arena;
	(void)ret_id;
	(void)ret_type;
}

void eas_remember_refused(struct telemetry *telemetry, struct store *store,
	const struct ipc_request *http, struct owner_id user, unsigned http_status,
	struct arena *arena)
{
	(void)telemetry;
	(void)store;
	(void)http;
	(void)user;
	(void)http_status;
	(void)arena;
}

/* ---- the store ---- */

uint64_t store_commits(const struct store *store)
{
	(void)store;
	return 1;
}

void store_hold_begin(struct store *store)
{
	(void)store;
}

void store_hold_end(struct store *store)
{
	(void)store;
}

/* ---- the protocol ---- */

void eas_server_init(struct eas_server *server, struct store *store, struct watches *watches,
	const struct settings *settings)
{
	*server = (struct eas_server){store, watches, settings, NULL};
}

void eas_server_deinit(struct eas_server *server)
{
	server->watches = NULL;
}

static void answer(struct eas_reply *reply, const char *text)
{
	buf_deinit(&reply->body);
	*reply = (struct eas_reply){.kind = EAS_REPLY_ANSWER, .status = 200, .reason = ""};
	reply->headers[reply->header_count++] = (struct ipc_header){"Content-Type", "text/test"};
	buf_add_str(&reply->body, text);
}

/* Waits unless there is something; says what is checked to the watch, as the real one does. */
static void check_mailbox(
	struct eas_server *server, struct watch_id id, uint64_t mailbox, struct eas_reply *reply)
{
	uint64_t delivered = atomic_load(&world.delivered[mailbox]);

	watch_checked(server->watches, id, (struct owner_id){mailbox}, delivered);
	if (delivered != atomic_load(&world.synced[mailbox])) {
		answer(reply, "changed");
		return;
	}
	reply->kind = EAS_REPLY_WAIT;
	reply->watch = id;
	reply->heartbeat_s = 480;
	reply->expiry = IPC_EXPIRY_PING;
	reply->cookie_len = 1;
	reply->cookie[0] = (uint8_t)mailbox;
}

static struct watch_id begin(struct eas_server *server, uint64_t mailbox)
{
	struct watch_folder folder = {{mailbox}, {2}, INT64_MIN, ITEM_MAIL, false};
	struct watch_spec spec = {.kind = WATCH_PING,
		.user = {mailbox},
		.device = {mailbox},
		.heartbeat_s = 480,
		.folders = &folder,
		.folder_count = 1};

	return watch_begin(server->watches, &spec);
}

static uint64_t number_after(const char *target, const char *name)
{
	const char *at = strstr(target, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void eas_handle(
	struct eas_server *server, const struct eas_request *request, struct eas_reply *reply)
{
	const char *target = request->http->target;
	char text[64];

	atomic_fetch_add(&world.commands, 1);
	while (atomic_load(&world.block))
		(void)sched_yield();
	if (strstr(target, "Ping=") != NULL) {
		uint64_t mailbox = number_after(target, "Ping=");
		struct watch_id id = begin(server, mailbox);

		check_mailbox(server, id, mailbox, reply);
		if (reply->kind == EAS_REPLY_ANSWER)
			(void)watch_end(server->watches, id, NULL);
		return;
	}
	answer(reply, "");
	(void)snprintf(text, sizeof(text), "%zu bytes, last %c", request->body_len,
		request->body_len > 0 ? request->body[request->body_len - 1] : '-');
	if (strstr(target, "Len") != NULL)
		buf_add_str(&reply->body, text);
	for (uint64_t n = number_after(target, "Big="); n > 0; n--)
		buf_add_byte(&reply->body, (uint8_t)('a' + n % 26));
}

struct device_id eas_watch_cookie_device(const uint8_t *cookie, size_t len)
{
	return (struct device_id){len > 0 ? cookie[0] : 0};
}

void eas_watch_check(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply)
{
	(void)arena;
	atomic_fetch_add(&world.checks, 1);
	check_mailbox(server, view->id, view->spec.folders[0].owner.v, reply);
}

void eas_watch_answer(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply)
{
	(void)server;
	(void)arena;
	(void)view;
	atomic_fetch_add(&world.answers, 1);
	answer(reply, "changed");
}

void eas_watch_cookie(
	const struct watch_known *known, uint8_t cookie[IPC_COOKIE_MAX], uint8_t *ret_len)
{
	cookie[0] = (uint8_t)known->user.v;
	*ret_len = 1;
}

void eas_watch_restore(struct eas_server *server, struct arena *arena,
	const struct ipc_register *reg, struct eas_reply *reply)
{
	struct watch_id id = begin(server, reg->cookie[0]);

	(void)arena;
	atomic_fetch_add(&world.restores, 1);
	check_mailbox(server, id, reg->cookie[0], reply);
	if (reply->kind == EAS_REPLY_ANSWER)
		(void)watch_end(server->watches, id, NULL);
}

/* ---- the front ---- */

static void die(const char *what)
{
	perror(what);
	abort();
}

static void write_frame(int fd, const struct ipc_frame *frame)
{
	struct buf out = BUF_INIT;
	size_t done = 0;

	ipc_encode(frame, &out);
	if (out.failed)
		die("encode");
	while (done < out.len) {
		ssize_t n = write(fd, out.data + done, out.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			(void)loop_run_once(world.loop, 10);
		else
			die("write");
	}
	buf_deinit(&out);
}

void world_send(const struct ipc_frame *frame)
{
	write_frame(world.front.control, frame);
}

void world_send_bulk(const struct ipc_frame *frame)
{
	write_frame(world.front.bulk, frame);
}

static void connect_one(int *ret_fd, enum ipc_channel channel, uint32_t version)
{
	struct ipc_frame hello = {.type = IPC_HELLO, .hello = {version, 1, channel}};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		die("socketpair");
	*ret_fd = fds[0];
	fronts_accept(&world.engine, fds[1]);
	write_frame(fds[0], &hello);
}

/* HELLO comes back, and nothing else yet. */
static void take_greeting(int fd, uint32_t version)
{
	uint8_t bytes[14];
	size_t len = 0;

	for (int tries = 0; len < sizeof(bytes) && tries < 1000; tries++) {
		ssize_t n;

		(void)loop_run_once(world.loop, 10);
		n = read(fd, bytes + len, sizeof(bytes) - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len < sizeof(bytes) || bytes[4] != IPC_HELLO || bytes[5] != MIN(version, IPC_VERSION))
		die("no greeting");
}

void world_reconnect(void)
{
	world_reconnect_as(IPC_VERSION);
}

void world_reconnect_as(uint32_t version)
{
	fd_close(&world.front.control);
	fd_close(&world.front.bulk);
	world.front.in_len = world.front.drop = 0;
	connect_one(&world.front.control, IPC_CHANNEL_CONTROL, version);
	connect_one(&world.front.bulk, IPC_CHANNEL_BULK, version);
	if (version < 2)
		return;
	take_greeting(world.front.control, version);
	take_greeting(world.front.bulk, version);
}

void world_open(void)
{
	const struct settings *settings = settings_default();
	struct err err;

	world = (struct world){.front = {.control = -1, .bulk = -1}};
	((struct settings *)(uintptr_t)settings)->server_workers = 4;
	((struct settings *)(uintptr_t)settings)->server_data_dir = "/tmp";
	net_setup();
	if (loop_new(&world.loop, &err) < 0 ||
		engine_init(&world.engine, world.loop, NULL, NULL, settings, &err) < 0)
		die(err.text);
	settings_unref(&settings);
	world_reconnect();
}

void world_close(void)
{
	/* Before the engine ends: it would wait for a front that reads no more. */
	fd_close(&world.front.control);
	fd_close(&world.front.bulk);
	engine_deinit(&world.engine);
	loop_free(&world.loop);
}

static bool decode(struct ipc_frame *ret)
{
	struct peer *p = &world.front;
	struct err err;
	int rc;

	memmove(p->in, p->in + p->drop, p->in_len - p->drop);
	p->in_len -= p->drop;
	p->drop = 0;
	rc = ipc_decode(p->in, p->in_len, ret, &p->drop, &err);
	if (rc < 0)
		die(err.text);
	return rc == 1;
}

static const struct ipc_frame *next(int fd, int patience)
{
	static struct ipc_frame frame;
	struct peer *p = &world.front;

	for (int tries = 0; tries < patience;) {
		ssize_t n;

		if (decode(&frame))
			return &frame;
		n = read(fd, p->in + p->in_len, sizeof(p->in) - p->in_len);
		if (n > 0) {
			p->in_len += (size_t)n;
			continue;
		}
		if (n == 0)
			return NULL;
		(void)loop_run_once(world.loop, patience > 1 ? 50 : 0);
		tries++;
	}
	return NULL;
}

/* One reader at a time: a connection must be read to a frame's end before the other is looked at.
 */
const struct ipc_frame *world_next(void)
{
	return next(world.front.control, PATIENCE);
}

const struct ipc_frame *world_next_bulk(void)
{
	return next(world.front.bulk, PATIENCE);
}

bool world_quiet(void)
{
	for (int i = 0; i < 20; i++) {
		if (next(world.front.control, 1) != NULL)
			return false;
		if (workers_running(world.engine.workers) > 0 ||
			workers_waiting(world.engine.workers) > 0)
			i = 0;
	}
	return true;
}

struct ipc_handle world_handle(uint32_t number)
{
	return (struct ipc_handle){1, number, 1, number};
}

void world_request(uint32_t number, const char *target, const char *authorization, const char *body)
{
	struct ipc_frame frame = {.type = IPC_REQUEST};
	struct ipc_request *r = &frame.request;

	r->handle = world_handle(number);
	r->method = "POST";
	r->target = target;
	r->address = "192.0.2.7";
	r->content_length = body != NULL ? (int64_t)strlen(body) : 0;
	r->body = (const uint8_t *)body;
	r->body_len = body != NULL ? strlen(body) : 0;
	r->served = world.served;
	if (authorization != NULL)
		r->headers[r->header_count++] = (struct ipc_header){"authorization", authorization};
	world_send(&frame);
}

void world_deliver(uint64_t mailbox)
{
	struct change_event e = {.owner = {mailbox},
		.folder = {2},
		.item = {1},
		.kinds = CHANGE_ADD,
		.item_class = ITEM_MAIL};

	e.seq = atomic_fetch_add(&world.delivered[mailbox], 1) + 1;
	push_publish(&e, 1, &world.engine);
}
