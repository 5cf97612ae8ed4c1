/* The rig for the front's scenario tests; see test_rig.h. */
#include "front/test_rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "loop/loop.h"
#include "net/listen.h"
#include "shared/shared.h"

#define JITTER_DEFAULT  5
#define PATIENCE_ROUNDS 40000
#define START_WALL_MS   1600000000000

void rig_spin(struct rig *r)
{
	for (int i = 0; i < 6; i++) {
		if (r->other.front != NULL)
			(void)loop_run_once(front_loop(r->other.front), 0);
		(void)loop_run_once(front_loop(r->front), 0);
	}
}

/* Reads what the front wrote, so that its socket never fills by our idleness. */
static void pull(int fd, struct buf *in)
{
	while (fd >= 0 && buf_reserve(in, 65536)) {
		ssize_t n = recv(fd, in->data + in->len, 65536, MSG_DONTWAIT);

		if (n <= 0)
			return;
		in->len += (size_t)n;
	}
}

/* Most of the time it is the scenario's turn after a round, so only some rounds wait for the
 * front: else each would cost a millisecond. */
static void one_round(struct rig *r)
{
	bool wait = ++r->rounds % 8 == 0;

	if (r->other.front != NULL)
		(void)loop_run_once(front_loop(r->other.front), 0);
	(void)loop_run_once(front_loop(r->front), wait ? 1 : 0);
	pull(r->control, &r->control_in);
	pull(r->bulk, &r->bulk_in);
	pull(r->other.control, &r->other.control_in);
	pull(r->other.bulk, &r->other.bulk_in);
}

void rig_pass(struct rig *r, int64_t ms)
{
	rig_spin(r);
	clock_fake_advance_ms(ms);
	rig_spin(r);
}

uint64_t rig_count(struct rig *r, const char *name)
{
	return front_counter(r->front, name);
}

void rig_until(struct rig *r, const char *name, uint64_t value)
{
	for (int i = 0; i < PATIENCE_ROUNDS && front_counter(r->front, name) < value; i++)
		one_round(r);
	if (front_counter(r->front, name) < value)
		printf("# %s is %" PRIu64 "\n", name, front_counter(r->front, name));
	REQUIRE(front_counter(r->front, name) >= value);
}

void engine_listen(struct rig *r)
{
	struct err err = ERR_INIT;

	REQUIRE_OK(net_listen_unix(r->engine_path, 0600, &r->engine_listener, &err), &err);
}

static void make_folder(struct rig *r, const char *conf)
{
	FILE *file;

	(void)snprintf(r->folder, sizeof(r->folder), "/tmp/test_front_XXXXXX");
	REQUIRE(mkdtemp(r->folder) != NULL);
	(void)snprintf(r->engine_path, sizeof(r->engine_path), "%s/engine.sock", r->folder);
	(void)snprintf(r->conf_path, sizeof(r->conf_path), "%s/bellhop.conf", r->folder);
	(void)snprintf(r->cert, sizeof(r->cert), "%s/cert.pem", r->folder);
	(void)snprintf(r->key, sizeof(r->key), "%s/key.pem", r->folder);
	file = fopen(r->conf_path, "we");
	REQUIRE(file != NULL);
	(void)fputs(conf, file);
	(void)fclose(file);
}

static void shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* With a copy of the listener, as every child has one. */
static void make_front(struct rig *r, uint32_t life, int takeover_fd)
{
	struct front_listener listener = {fcntl(r->listener, F_DUPFD_CLOEXEC, 0), r->tls};
	struct front_options o = {.number = 3,
		.life = life,
		.config_path = r->conf_path,
		.tls_certificate = r->tls ? r->cert : NULL,
		.tls_key = r->tls ? r->key : NULL,
		.listeners = &listener,
		.listener_count = 1,
		.engine_path = r->engine_path,
		.takeover_fd = takeover_fd,
		.shared_fd = r->shared_fd};
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	int pair[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	REQUIRE_OK(settings_parse_file(r->conf_path, &settings, NULL, &err), &err);
	/* A scenario says to the second when a wait ends, unless it is about this. */
	if (settings->push_jitter_percent == JITTER_DEFAULT) {
		const struct settings *parsed = settings;

		REQUIRE_OK(
			settings_with(parsed, "push.jitter_percent", "0", &settings, &err), &err);
		settings_unref(&parsed);
	}
	o.settings = settings;
	o.control_fd = pair[0];
	r->supervisor = pair[1];
	r->number = front_number(3, life);
	REQUIRE_OK(front_new(&o, &r->front, &err), &err);
	settings_unref(&settings);
}

/* Set by test_rig_detach.c or test_rig_keep.c, which are linked to the same tests: every phone
 * speaks TLS, and this is tls.park. */
extern const char *const rig_tls_park __attribute__((weak));

void rig_start(struct rig *r, const char *conf, bool tls)
{
	const struct shared_sizes sizes = {
		.parts = 2, .part_slots = 25000, .counts = 50000, .rates = 16384};
	struct err err = ERR_INIT;
	char more[4096];
	int fds[2];
	unsigned count;

	*r = (struct rig){
		.control = -1, .bulk = -1, .other = {.control = -1, .bulk = -1, .supervisor = -1}};
	net_setup();
	clock_fake_set(START_WALL_MS, 1000000);
	if (&rig_tls_park != NULL) {
		(void)snprintf(more, sizeof(more), "%s\n[tls]\npark = %s\nhandshakes_rate = 0\n",
			conf, rig_tls_park);
		conf = more;
		tls = true;
	}
	make_folder(r, conf);
	/* A front and its successor must not seal with the same nonce. */
	(void)snprintf(r->nonces, sizeof(r->nonces), "%s/nonces", r->folder);
	(void)setenv("BELLHOP_NONCES", r->nonces, 1);
	REQUIRE_OK(net_listen_tcp("127.0.0.1", 0, false, fds, &count, &err), &err);
	r->listener = fds[0];
	REQUIRE_OK(shared_create(&sizes, &r->shared_fd, &err), &err);
	r->tls = tls;
	r->port = net_local_port(fds[0]);
	engine_listen(r);
	if (tls) {
		REQUIRE_OK(net_tls_self_signed(r->cert, r->key, "localhost", &err), &err);
		REQUIRE_OK(net_tls_client_new(&r->client_tls, &err), &err);
	}
	make_front(r, 0, -1);
}

void rig_swap(struct rig *r)
{
	struct rig_side side = {r->front, r->control, r->bulk, r->control_in, r->bulk_in,
		r->control_used, r->bulk_used, r->supervisor, r->number};

	r->front = r->other.front;
	r->control = r->other.control;
	r->bulk = r->other.bulk;
	r->control_in = r->other.control_in;
	r->bulk_in = r->other.bulk_in;
	r->control_used = r->other.control_used;
	r->bulk_used = r->other.bulk_used;
	r->supervisor = r->other.supervisor;
	r->number = r->other.number;
	r->other = side;
}

void rig_succeed(struct rig *r, int takeover_fd)
{
	REQUIRE(r->other.front == NULL);
	rig_swap(r);
	make_front(r, 1, takeover_fd);
}

void rig_end_other(struct rig *r)
{
	front_free(&r->other.front);
	shut(&r->other.control);
	shut(&r->other.bulk);
	shut(&r->other.supervisor);
	buf_deinit(&r->other.control_in);
	buf_deinit(&r->other.bulk_in);
	r->other.control_used = r->other.bulk_used = 0;
}

void rig_stop(struct rig *r)
{
	rig_end_other(r);
	front_free(&r->front);
	shut(&r->listener);
	shut(&r->shared_fd);
	net_tls_free(&r->client_tls);
	shut(&r->control);
	shut(&r->bulk);
	shut(&r->engine_listener);
	shut(&r->supervisor);
	buf_deinit(&r->control_in);
	buf_deinit(&r->bulk_in);
	(void)unlink(r->engine_path);
	(void)unlink(r->conf_path);
	(void)unlink(r->cert);
	(void)unlink(r->key);
	(void)unlink(r->nonces);
	CHECK(rmdir(r->folder) == 0);
	clock_fake_off();
}

/* ---- the engine ---- */

void engine_die(struct rig *r)
{
	rig_spin(r);
	shut(&r->control);
	shut(&r->bulk);
	shut(&r->engine_listener);
	(void)unlink(r->engine_path);
	buf_clear(&r->control_in);
	buf_clear(&r->bulk_in);
	r->control_used = r->bulk_used = 0;
	rig_spin(r);
}

/* 1 and a frame, or 0. The previous one is dropped first. */
static int next_frame(struct buf *in, size_t *used, struct ipc_frame *frame)
{
	struct err err = ERR_INIT;
	int rc;

	buf_drop(in, *used);
	*used = 0;
	rc = ipc_decode(in->data, in->len, frame, used, &err);
	REQUIRE_OK(rc, &err);
	return rc;
}

static int accept_one(struct rig *r)
{
	struct net_address a;
	int fd = -1;

	for (int i = 0; i < PATIENCE_ROUNDS && fd < 0; i++) {
		/* The front tries again after a while of its own clock. */
		clock_fake_advance_ms(i > 0 && i % 400 == 0 ? 20 : 0);
		one_round(r);
		fd = net_accept(r->engine_listener, &a);
	}
	REQUIRE(fd >= 0);
	return fd;
}

static void engine_greet(int fd, enum ipc_channel channel)
{
	struct ipc_frame hello = {.type = IPC_HELLO, .hello = {IPC_VERSION, 3, channel}};
	struct buf out = BUF_INIT;

	ipc_encode(&hello, &out);
	REQUIRE(send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len);
	buf_deinit(&out);
}

void engine_hang_up(struct rig *r)
{
	r->control = accept_one(r);
	r->bulk = accept_one(r);
	shut(&r->control);
	shut(&r->bulk);
	buf_clear(&r->control_in);
	buf_clear(&r->bulk_in);
	rig_spin(r);
}

void engine_up(struct rig *r)
{
	engine_up_as(r, IPC_VERSION);
}

void engine_up_as(struct rig *r, uint32_t version)
{
	const struct ipc_frame *f;

	r->control = accept_one(r);
	r->bulk = accept_one(r);
	f = engine_next(r, IPC_HELLO);
	CHECK_INT(f->hello.version, version);
	CHECK_INT(f->hello.front, r->number);
	CHECK_INT(f->hello.channel, IPC_CHANNEL_CONTROL);
	if (version > 1)
		engine_greet(r->control, IPC_CHANNEL_CONTROL);
	f = engine_next_bulk(r);
	CHECK_INT(f->type, IPC_HELLO);
	CHECK_INT(f->hello.channel, IPC_CHANNEL_BULK);
	if (version > 1)
		engine_greet(r->bulk, IPC_CHANNEL_BULK);
	rig_spin(r);
}

const struct ipc_frame *engine_poll(struct rig *r)
{
	static struct ipc_frame frame;

	do {
		rig_spin(r);
		pull(r->control, &r->control_in);
		if (next_frame(&r->control_in, &r->control_used, &frame) == 0)
			return NULL;
	} while (frame.type == IPC_STATS || frame.type == IPC_WAITED);
	return &frame;
}

const struct ipc_frame *engine_next(struct rig *r, enum ipc_type want)
{
	static struct ipc_frame frame;
	int got = 0;

	for (int i = 0; i < PATIENCE_ROUNDS && got == 0; i++) {
		got = next_frame(&r->control_in, &r->control_used, &frame);
		if (got == 1 && frame.type != want &&
			(frame.type == IPC_STATS || frame.type == IPC_WAITED))
			got = 0;
		else if (got == 0)
			one_round(r);
	}
	REQUIRE(got == 1);
	CHECK_INT(frame.type, want);
	REQUIRE(frame.type == want);
	return &frame;
}

const struct ipc_frame *engine_next_bulk(struct rig *r)
{
	static struct ipc_frame frame;
	int got = 0;

	for (int i = 0; i < PATIENCE_ROUNDS && got == 0; i++) {
		got = next_frame(&r->bulk_in, &r->bulk_used, &frame);
		if (got == 0)
			one_round(r);
	}
	REQUIRE(got == 1);
	return &frame;
}

void engine_send(struct rig *r, const struct ipc_frame *frame)
{
	struct buf out = BUF_INIT;
	int fd = frame->type == IPC_BODY ? r->bulk : r->control;
	size_t at = 0;

	ipc_encode(frame, &out);
	REQUIRE(!out.failed);
	while (at < out.len) {
		ssize_t n = send(fd, out.data + at, out.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else
			one_round(r);
	}
	buf_deinit(&out);
	rig_spin(r);
}

void engine_send_handle(struct rig *r, enum ipc_type type, const struct ipc_handle *h)
{
	struct ipc_frame frame = {.type = type, .handle = *h};

	engine_send(r, &frame);
}

void engine_park(struct rig *r, const struct ipc_handle *h, uint32_t heartbeat_s, uint32_t renew_s)
{
	struct ipc_frame frame = {.type = IPC_PARK};

	frame.park = (struct ipc_park){*h, heartbeat_s, IPC_EXPIRY_PING, renew_s, 6, "cookie"};
	engine_send(r, &frame);
}

void engine_answer(
	struct rig *r, enum ipc_type type, const struct ipc_handle *h, int status, const char *body)
{
	struct ipc_frame frame = {.type = type};

	frame.response = (struct ipc_response){.handle = *h,
		.status = (uint16_t)status,
		.reason = "",
		.header_count = 1,
		.headers = {{"X-Engine", "yes"}},
		.body = (const uint8_t *)body,
		.body_len = strlen(body)};
	engine_send(r, &frame);
}

/* ---- phones ---- */

void phone_connect_raw(struct rig *r, struct phone *p)
{
	phone_connect_from(r, p, 1);
}

void phone_connect_from(struct rig *r, struct phone *p, int host)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(r->port)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct err err = ERR_INIT;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	*p = (struct phone){.stream.fd = -1};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)host);
	REQUIRE(fd >= 0);
	REQUIRE(bind(fd, (struct sockaddr *)(void *)&from, sizeof(from)) == 0);
	REQUIRE(connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0);
	REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	/* What it says is at the front when the call returns: rig_spin() waits for no kernel. */
	REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	REQUIRE_OK(net_stream_init(&p->stream, fd, NULL, &err), &err);
	(void)loop_run_once(front_loop(r->front), 0);
}

void phone_connect(struct rig *r, struct phone *p)
{
	struct err err = ERR_INIT;
	int fd, rc = NET_AGAIN;

	phone_connect_raw(r, p);
	if (r->client_tls == NULL)
		return;
	fd = p->stream.fd;
	REQUIRE_OK(net_stream_init_client(&p->stream, fd, r->client_tls, &err), &err);
	for (int i = 0; i < PATIENCE_ROUNDS && rc == NET_AGAIN; i++) {
		rc = net_stream_handshake(&p->stream, &err);
		one_round(r);
	}
	CHECK_INT(rc, 1);
}

void phone_close(struct phone *p)
{
	net_stream_close(&p->stream);
	buf_deinit(&p->in);
}

void phone_send_bytes(struct rig *r, struct phone *p, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (int i = 0; i < PATIENCE_ROUNDS && len > 0; i++) {
		int64_t n = net_stream_write(&p->stream, at, len);

		REQUIRE(n != NET_FAILED);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else {
			one_round(r);
		}
	}
	REQUIRE(len == 0);
	rig_spin(r);
}

void phone_send(struct rig *r, struct phone *p, const char *text)
{
	phone_send_bytes(r, p, text, strlen(text));
}

static void phone_pull(struct phone *p)
{
	while (!p->eof && buf_reserve(&p->in, 65536)) {
		int64_t n = net_stream_read(&p->stream, p->in.data + p->in.len, 65536);

		if (n == NET_AGAIN)
			return;
		if (n <= 0)
			p->eof = true;
		else
			p->in.len += (size_t)n;
	}
}

/* Length of the first whole response, or 0. Interim ones have no body. */
static size_t whole_answer(struct phone *p)
{
	const char *text = buf_cstr(&p->in), *end = strstr(text, "\r\n\r\n"), *length;
	size_t head;

	if (p->in.len == 0 || end == NULL)
		return 0;
	head = (size_t)(end - text) + 4;
	if (str_starts(text, "HTTP/1.1 100"))
		return head;
	length = strstr(text, "Content-Length: ");
	REQUIRE(length != NULL && length < end);
	head += strtoull(length + 16, NULL, 10);
	return p->in.len >= head ? head : 0;
}

const char *phone_answer(struct rig *r, struct phone *p, size_t *ret_len)
{
	static struct buf answer;
	size_t len = 0;

	for (int i = 0; i < PATIENCE_ROUNDS && (len = whole_answer(p)) == 0 && !p->eof; i++) {
		one_round(r);
		phone_pull(p);
	}
	if (len == 0)
		return "";
	buf_deinit(&answer);
	buf_add(&answer, p->in.data, len);
	buf_drop(&p->in, len);
	if (ret_len != NULL)
		*ret_len = len;
	return buf_cstr(&answer);
}

bool phone_ended(struct rig *r, struct phone *p)
{
	for (int i = 0; i < PATIENCE_ROUNDS && !p->eof; i++) {
		one_round(r);
		phone_pull(p);
	}
	return p->eof && p->in.len == 0;
}

bool phone_silent(struct rig *r, struct phone *p)
{
	rig_spin(r);
	phone_pull(p);
	return !p->eof && p->in.len == 0;
}
