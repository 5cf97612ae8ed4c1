/*
 * Phones over plain sockets: requests are built by client/, sent as prepared bytes, answers are
 * read with Content-Length only (what the server sends for everything here). One thread per phone
 * at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench.h"

#define HEAD_MAX 16384

static int open_connection(const struct bench *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(b->http_port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		bench_die("HTTP: connecting: %s", strerror(errno));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void bench_phone_reconnect(const struct bench *b, struct bench_phone *p)
{
	fd_close(&p->fd);
	p->in.len = 0;
	p->fd = open_connection(b);
}

void bench_phone_init(
	const struct bench *b, struct bench_phone *p, unsigned user, const char *device)
{
	CLEANUP(buf_deinit) struct buf basic = BUF_INIT;
	char credentials[64];
	int n;

	*p = (struct bench_phone){.n = user, .body_type = 1, .truncation = 32768, .window = 512};
	(void)snprintf(p->device_id, sizeof(p->device_id), "%s%u", device, user);
	n = snprintf(credentials, sizeof(credentials), "user%u@bench.example:secret%u", user, user);
	base64_add(&basic, credentials, (size_t)n);
	(void)snprintf(p->authorization, sizeof(p->authorization), "Basic %s", buf_cstr(&basic));
	p->fd = open_connection(b);
}

void bench_phone_clear(struct bench_phone *p)
{
	fd_close(&p->fd);
	buf_deinit(&p->in);
	buf_deinit(&p->plain);
	buf_deinit(&p->ping);
}

void bench_phone_request(const struct bench_phone *p, enum request_command command,
	const void *body, size_t len, struct buf *out)
{
	char user[48];
	struct request_device device = {
		.user = user, .id = p->device_id, .type = "BenchPhone", .version = VERSION_141};
	struct err err = ERR_INIT;

	(void)snprintf(user, sizeof(user), "user%u@bench.example", p->n);
	buf_add_str(out, "POST /Microsoft-Server-ActiveSync?");
	BENCH_OK(request_query(&device, command, false, out, &err), &err);
	buf_addf(out,
		" HTTP/1.1\r\nHost: bench.example\r\nAuthorization: %s\r\nUser-Agent: Bench/1.0\r\n"
		"MS-ASProtocolVersion: 14.1\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n",
		p->authorization);
	if (command != REQUEST_PING)
		buf_addf(out, "X-MS-PolicyKey: %u\r\n", p->policy_key);
	if (p->gzip)
		buf_add_str(out, "Accept-Encoding: gzip\r\n");
	buf_addf(out, "Content-Length: %zu\r\n\r\n", len);
	buf_add(out, body, len);
}

void bench_phone_send(struct bench_phone *p, const struct buf *request)
{
	size_t at = 0;

	while (at < request->len) {
		ssize_t n = send(p->fd, request->data + at, request->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			bench_die("HTTP: sending: %s", strerror(errno));
		at += (size_t)n;
	}
}

/* Length of the head with its blank line; 0: not whole yet. *ret_length: Content-Length. */
static size_t head_length(struct buf *in, size_t *ret_length)
{
	const char *end, *length;

	if (in->len == 0)
		return 0;
	end = memmem(in->data, in->len, "\r\n\r\n", 4);
	if (end == NULL && in->len > HEAD_MAX)
		bench_die("HTTP: an endless head");
	if (end == NULL)
		return 0;
	(void)buf_cstr(in);
	end = strstr((const char *)in->data, "\r\n\r\n");
	if (end == NULL || strncmp((const char *)in->data, "HTTP/1.1 200", 12) != 0)
		bench_die("HTTP: %.*s", (int)strcspn((const char *)in->data, "\r"),
			(const char *)in->data);
	length = strcasestr((const char *)in->data, "\r\nContent-Length:");
	if (length == NULL || length > end)
		bench_die("HTTP: no Content-Length");
	*ret_length = strtoul(length + 17, NULL, 10);
	return (size_t)(end + 4 - (const char *)in->data);
}

/* Into p->plain. */
static void inflate_answer(struct bench_phone *p, size_t head, size_t length)
{
	z_stream z = {.next_in = p->in.data + head, .avail_in = (uInt)length};
	int result = Z_OK;

	buf_clear(&p->plain);
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		bench_die("memory");
	while (result == Z_OK) {
		if (!buf_reserve(&p->plain, 1u << 20))
			bench_die("memory");
		z.next_out = p->plain.data + p->plain.len;
		z.avail_out = 1u << 20;
		result = inflate(&z, Z_NO_FLUSH);
		p->plain.len += (1u << 20) - z.avail_out;
	}
	(void)inflateEnd(&z);
	if (result != Z_STREAM_END)
		bench_die("an answer is not gzip");
}

static bool is_compressed(const struct bench_phone *p, size_t head)
{
	return memmem(p->in.data, head, "Content-Encoding: gzip", 22) != NULL;
}

bool bench_phone_receive(struct bench_phone *p, const uint8_t **ret_body, size_t *ret_len)
{
	for (;;) {
		size_t length = 0, head = head_length(&p->in, &length);
		ssize_t n;

		if (head > 0 && p->in.len >= head + length) {
			*ret_body = p->in.data + head;
			*ret_len = length;
			p->in.len = 0; /* the bytes stay until the next call */
			if (is_compressed(p, head)) {
				inflate_answer(p, head, length);
				*ret_body = p->plain.data;
				*ret_len = p->plain.len;
			}
			return true;
		}
		if (!buf_reserve(&p->in, MAX((size_t)4096, head + length)))
			bench_die("memory");
		n = recv(p->fd, p->in.data + p->in.len, p->in.cap - p->in.len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n <= 0)
			bench_die("HTTP: the server closed the connection of %s", p->device_id);
		p->in.len += (size_t)n;
	}
}

static struct wbxml_node *decode(struct arena *arena, const uint8_t *body, size_t len)
{
	struct wbxml_node *root = NULL;
	struct err err = ERR_INIT;

	BENCH_OK(answer_decode(arena, body, len, &root, &err), &err);
	return root;
}

struct wbxml_node *bench_phone_call(struct bench_phone *p, enum request_command command,
	const struct buf *body, struct arena *arena)
{
	CLEANUP(buf_deinit) struct buf request = BUF_INIT;
	const uint8_t *answer;
	size_t len;

	bench_phone_request(p, command, body->data, body->len, &request);
	bench_phone_send(p, &request);
	while (!bench_phone_receive(p, &answer, &len)) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

		(void)poll(&pfd, 1, 1000);
	}
	return decode(arena, answer, len);
}

static void provision(struct bench_phone *p, struct arena *arena)
{
	struct request_device_info info = {.model = "bench"};
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct answer_provision policy;
	struct err err = ERR_INIT;

	request_provision(VERSION_141, &info, &body);
	BENCH_OK(answer_provision(
			 bench_phone_call(p, REQUEST_PROVISION, &body, arena), &policy, &err),
		&err);
	if (policy.policy_key == 0)
		bench_die("Provision: Status %u, policy Status %u", policy.status,
			policy.policy_status);
	p->policy_key = policy.policy_key;
	buf_clear(&body);
	request_provision_ack(VERSION_141, policy.policy_key, 1, &body);
	BENCH_OK(answer_provision(
			 bench_phone_call(p, REQUEST_PROVISION, &body, arena), &policy, &err),
		&err);
	p->policy_key = policy.policy_key;
}

static void find_inbox(struct bench_phone *p, struct arena *arena)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct answer_folders folders;
	struct err err = ERR_INIT;

	request_folder_sync("0", &body);
	BENCH_OK(answer_folders(arena, bench_phone_call(p, REQUEST_FOLDER_SYNC, &body, arena),
			 &folders, &err),
		&err);
	for (size_t i = 0; i < folders.added_count; i++) {
		if (folders.added[i].type == 2)
			(void)snprintf(p->inbox, sizeof(p->inbox), "%s", folders.added[i].id);
	}
	if (p->inbox[0] == 0)
		bench_die("FolderSync: Status %u, no Inbox", folders.status);
}

void bench_phone_sync_request(const struct bench_phone *p, struct buf *out)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct request_sync sync = {.sync_key = p->sync_key,
		.collection_id = p->inbox,
		.window = p->window,
		.filter = p->filter,
		.body_type = p->body_type,
		.truncation = p->truncation};

	request_sync(VERSION_141, &sync, 1, 0, &body);
	bench_phone_request(p, REQUEST_SYNC, body.data, body.len, out);
}

unsigned bench_phone_take_sync(
	struct bench_phone *p, struct arena *arena, const uint8_t *body, size_t len, bool *ret_more)
{
	const struct wbxml_node *root = decode(arena, body, len);
	const struct answer_collection *c;
	struct answer_sync sync;
	struct err err = ERR_INIT;

	*ret_more = false;
	if (root == NULL)
		return 0;
	BENCH_OK(answer_sync(arena, root, &sync, &err), &err);
	c = answer_sync_find(&sync, p->inbox);
	if (sync.status > 1 || c == NULL || c->status != 1 || c->sync_key == NULL)
		bench_die("Sync: Status %u, collection Status %u", sync.status,
			c == NULL ? 0 : c->status);
	(void)snprintf(p->sync_key, sizeof(p->sync_key), "%s", c->sync_key);
	for (size_t i = 0; i < c->item_count; i++) {
		if (c->items[i].kind == ANSWER_DELETE && p->gone_counts)
			continue;
		if (c->items[i].kind != ANSWER_ADD || c->items[i].mail.body_type != p->body_type ||
			c->items[i].mail.data_len == 0)
			bench_die("message %s came without its body", c->items[i].server_id);
		p->body_bytes += c->items[i].mail.data_len;
	}
	*ret_more = c->more;
	return (unsigned)c->item_count;
}

unsigned bench_phone_sync(struct bench_phone *p, struct arena *arena, bool *ret_more)
{
	CLEANUP(buf_deinit) struct buf request = BUF_INIT;
	const uint8_t *body;
	size_t len;

	bench_phone_sync_request(p, &request);
	bench_phone_send(p, &request);
	while (!bench_phone_receive(p, &body, &len)) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

		(void)poll(&pfd, 1, 1000);
	}
	return bench_phone_take_sync(p, arena, body, len, ret_more);
}

unsigned bench_phone_sync_all(struct bench_phone *p)
{
	struct arena *arena = arena_new(0);
	unsigned total = 0;
	bool more = true;

	while (more) {
		arena_clear(arena);
		total += bench_phone_sync(p, arena, &more);
	}
	arena_free(&arena);
	return total;
}

void bench_phone_set_up(struct bench_phone *p)
{
	struct arena *arena = arena_new(0);
	bool more;

	provision(p, arena);
	find_inbox(p, arena);
	(void)snprintf(p->sync_key, sizeof(p->sync_key), "0");
	if (bench_phone_sync(p, arena, &more) != 0 || strcmp(p->sync_key, "0") == 0)
		bench_die("Sync with key 0 brought something else than a key");
	arena_free(&arena);
}

void bench_phone_make_ping(struct bench_phone *p, unsigned heartbeat_s)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct request_ping_folder folder = {p->inbox, "Email"};

	request_ping(heartbeat_s, &folder, 1, &body);
	buf_clear(&p->ping);
	bench_phone_request(p, REQUEST_PING, body.data, body.len, &p->ping);
}
