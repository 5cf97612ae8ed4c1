/*
 * A phone that counts: 14.1, one connection at a time, blocking, and as short of words as the
 * protocol lets a phone be: the base64 query, no header that it can do without, empty Pings. Bytes
 * over the air are what TCP_INFO says of the connection, and HEADER_BYTES for each of its segments:
 * IPv4, TCP, and the time stamps that every system sends. What ends a connection is not counted by
 * anybody then; CLOSE_SEGMENTS are added for it.
 *
 * Owns its socket, its TLS object and session. Limits: ANSWER_MAX bytes of an answer.
 */
#include "fleet/measure.h"

#include <errno.h>
#include <linux/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/answer.h"
#include "client/version.h"
#include "fleet/fleet_internal.h"
#include "fleet/mailer.h"
#include "fleet/reply.h"

#define HEADER_BYTES   52.0
#define CLOSE_SEGMENTS 4.0
#define SETTLE_MS      300 /* acknowledgements may be late by a fifth of a second */
#define ANSWER_MAX     (4u << 20)
#define SLACK_S        30
#define FURTHER        4 /* messages, for what each further one costs */
#define DEVICE         "BENCHMEASURE"

struct meter {
	const struct measure_options *options;
	struct target target;
	SSL_CTX *tls; /* NULL: plain */
	SSL *ssl;
	SSL_SESSION *session;
	int fd;
	struct arena *arena;
	struct buf in;
	uint32_t policy_key;
	char inbox[72], key[72];
};

/* ---- the connection ---- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct meter *m = SSL_get_app_data(ssl);

	SSL_SESSION_free(m->session);
	m->session = session;
	return 1; /* the reference is ours */
}

static int start_tls(struct meter *m, struct err *err)
{
	m->ssl = SSL_new(m->tls);
	if (m->ssl == NULL || SSL_set_fd(m->ssl, m->fd) != 1)
		return err_set(err, ERR_INTERNAL, "OpenSSL");
	SSL_set_app_data(m->ssl, m);
	if (m->session != NULL)
		(void)SSL_set_session(m->ssl, m->session);
	if (SSL_connect(m->ssl) != 1)
		return err_set(err, ERR_BACKEND, "the TLS handshake with %s failed: %.120s",
			m->options->url, ERR_reason_error_string(ERR_peek_error()));
	return 0;
}

static int dial(struct meter *m, struct err *err)
{
	const struct sockaddr *to = (const struct sockaddr *)&m->target.address;
	struct timeval patience = {.tv_sec = m->options->heartbeat_s + SLACK_S};
	int one = 1;

	m->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (m->fd < 0 || connect(m->fd, to, m->target.address_len) < 0)
		return err_set_errno(err, errno, "connecting to %s", m->options->url);
	(void)setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return m->tls != NULL ? start_tls(m, err) : 0;
}

static void hang_up(struct meter *m)
{
	if (m->ssl != NULL)
		(void)SSL_shutdown(m->ssl);
	SSL_free(m->ssl);
	m->ssl = NULL;
	fd_close(&m->fd);
}

/* Of this connection until now. */
static double air_bytes(struct meter *m)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	(void)poll(NULL, 0, SETTLE_MS);
	(void)getsockopt(m->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return (double)info.tcpi_bytes_sent + (double)info.tcpi_bytes_received +
	       HEADER_BYTES * ((double)info.tcpi_segs_out + (double)info.tcpi_segs_in);
}

static ssize_t read_some(struct meter *m, void *bytes, size_t len)
{
	ssize_t n;

	if (m->ssl != NULL)
		return SSL_read(m->ssl, bytes, (int)len);
	do
		n = recv(m->fd, bytes, len, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static bool write_all(struct meter *m, const struct buf *text)
{
	size_t at = 0;

	if (m->ssl != NULL)
		return SSL_write(m->ssl, text->data, (int)text->len) == (int)text->len;
	while (at < text->len) {
		ssize_t n = send(m->fd, text->data + at, text->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* ---- commands ---- */

static void build(
	struct meter *m, enum request_command command, const struct buf *body, struct buf *out)
{
	struct request_device device = {.user = m->options->user,
		.id = DEVICE,
		.type = "BellhopBench",
		.version = VERSION_141,
		.policy_key = m->policy_key,
		.base64 = true};
	CLEANUP(buf_deinit) struct buf credentials = BUF_INIT;
	struct err ignored = ERR_INIT;

	buf_addf(&credentials, "%s:%s", m->options->user, m->options->password);
	buf_addf(out, "POST %s?", m->target.path);
	(void)!request_query(&device, command, false, out, &ignored);
	buf_addf(out, " HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic ", m->target.host_header);
	base64_add(out, credentials.data, credentials.len);
	buf_add_str(out, "\r\n");
	if (body->len > 0)
		buf_add_str(out, "Content-Type: application/vnd.ms-sync.wbxml\r\n");
	buf_addf(out, "Content-Length: %zu\r\n\r\n", body->len);
	buf_add(out, body->data, body->len);
	secret_wipe(credentials.data, credentials.len);
}

static int say(
	struct meter *m, enum request_command command, const struct buf *body, struct err *err)
{
	CLEANUP(buf_deinit) struct buf request = BUF_INIT;

	build(m, command, body, &request);
	return write_all(m, &request) ? 0
				      : err_set(err, ERR_BACKEND, "%s: the connection broke",
						request_command_to_str(command));
}

static int hear(
	struct meter *m, enum request_command command, struct wbxml_node **ret, struct err *err)
{
	const char *name = request_command_to_str(command);
	struct reply reply;
	char text[200];
	int rc = 0;

	arena_clear(m->arena);
	for (buf_clear(&m->in); rc == 0;) {
		ssize_t n;

		if (m->in.len > ANSWER_MAX || !buf_reserve(&m->in, 65536))
			return err_set(err, ERR_BACKEND, "%s: an endless answer", name);
		n = read_some(m, m->in.data + m->in.len, 65536);
		if (n <= 0)
			return err_set(err, ERR_BACKEND, "%s: no answer came", name);
		m->in.len += (size_t)n;
		rc = reply_parse(m->in.data, m->in.len, false, &reply);
	}
	if (rc < 0)
		return err_set(err, ERR_BACKEND, "%s: what came is no HTTP", name);
	if (reply.status == 200 &&
		answer_decode(m->arena, reply.body, reply.body_len, ret, err) == 0)
		return 0;
	reply_describe(&reply, text, sizeof(text));
	return err_set(err, ERR_BACKEND, "%s: %s", name, text);
}

static int command(struct meter *m, enum request_command number, const struct buf *body,
	struct wbxml_node **ret, struct err *err)
{
	return say(m, number, body, err) < 0 ? -1 : hear(m, number, ret, err);
}

static int provision(struct meter *m, struct err *err)
{
	struct request_device_info info = {.model = "bellhop-bench"};
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct answer_provision answer;
	struct wbxml_node *root;

	request_provision(VERSION_141, &info, &body);
	if (command(m, REQUEST_PROVISION, &body, &root, err) < 0 ||
		answer_provision(root, &answer, err) < 0)
		return -1;
	if (answer.policy_key == 0)
		return 0;
	buf_clear(&body);
	request_provision_ack(VERSION_141, answer.policy_key, 1, &body);
	if (command(m, REQUEST_PROVISION, &body, &root, err) < 0 ||
		answer_provision(root, &answer, err) < 0)
		return -1;
	m->policy_key = answer.policy_key;
	return 0;
}

static int find_inbox(struct meter *m, struct err *err)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct answer_folders answer;
	struct wbxml_node *root;

	request_folder_sync("0", &body);
	if (command(m, REQUEST_FOLDER_SYNC, &body, &root, err) < 0 ||
		answer_folders(m->arena, root, &answer, err) < 0)
		return -1;
	for (size_t i = 0; i < answer.added_count; i++) {
		if (answer.added[i].type == 2)
			(void)snprintf(m->inbox, sizeof(m->inbox), "%s", answer.added[i].id);
	}
	(void)snprintf(m->key, sizeof(m->key), "0");
	return m->inbox[0] != 0 ? 0 : err_set(err, ERR_BACKEND, "FolderSync: there is no Inbox");
}

static int sync_once(struct meter *m, size_t *ret_count, bool *ret_more, struct err *err)
{
	struct request_sync collection = {.sync_key = m->key,
		.collection_id = m->inbox,
		.window = 100,
		.body_type = 1,
		.truncation = 4096};
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	const struct answer_collection *c;
	struct answer_sync answer;
	struct wbxml_node *root;

	*ret_count = 0;
	*ret_more = false;
	request_sync(VERSION_141, &collection, 1, 0, &body);
	if (command(m, REQUEST_SYNC, &body, &root, err) < 0)
		return -1;
	if (root == NULL)
		return 0;
	if (answer_sync(m->arena, root, &answer, err) < 0)
		return -1;
	c = answer_sync_find(&answer, m->inbox);
	if (c == NULL || c->sync_key == NULL || c->status > 1)
		return err_set(err, ERR_BACKEND, "Sync: no good answer for the Inbox");
	(void)snprintf(m->key, sizeof(m->key), "%s", c->sync_key);
	*ret_count = c->item_count;
	*ret_more = c->more;
	return 0;
}

static int sync_all(struct meter *m, struct err *err)
{
	bool more = true;
	size_t count;

	if (sync_once(m, &count, &more, err) < 0) /* the key */
		return -1;
	for (more = true; more;) {
		if (sync_once(m, &count, &more, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what is measured ---- */

/* A Sync that must bring so many. */
static int sync_counted(struct meter *m, size_t wanted, double *ret_bytes, struct err *err)
{
	double before = air_bytes(m);
	size_t count;
	bool more;

	if (sync_once(m, &count, &more, err) < 0)
		return -1;
	if (count != wanted)
		return err_set(
			err, ERR_BACKEND, "a Sync brought %zu messages, not %zu", count, wanted);
	*ret_bytes = air_bytes(m) - before;
	return 0;
}

/* An empty Ping asks for the same as the one before ([MS-ASCMD] 2.2.1.13). */
static int ping(struct meter *m, bool empty, struct err *err)
{
	struct request_ping_folder folder = {m->inbox, "Email"};
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;

	if (!empty)
		request_ping(m->options->heartbeat_s, &folder, 1, &body);
	return say(m, REQUEST_PING, &body, err);
}

static int pinged(struct meter *m, unsigned wanted, struct err *err)
{
	struct answer_ping answer;
	struct wbxml_node *root;

	if (hear(m, REQUEST_PING, &root, err) < 0 || root == NULL ||
		answer_ping(m->arena, root, &answer, err) < 0)
		return err->code != ERR_NONE ? -1
					     : err_set(err, ERR_BACKEND, "Ping: an empty answer");
	return answer.status == wanted ? 0
				       : err_set(err, ERR_BACKEND, "Ping: Status %u, not %u",
						 answer.status, wanted);
}

static int measure_heartbeat(struct meter *m, struct economy_bytes *b, struct err *err)
{
	double before;

	if (ping(m, false, err) < 0 || pinged(m, 1, err) < 0)
		return -1;
	before = air_bytes(m);
	if (ping(m, true, err) < 0 || pinged(m, 1, err) < 0)
		return -1;
	b->heartbeat = air_bytes(m) - before;
	return 0;
}

static int post(struct meter *m, unsigned count, struct err *err)
{
	struct mailer_options mail = {.lmtp = m->options->lmtp,
		.user = m->options->user,
		.users = 1,
		.mail_bytes = m->options->mail_bytes};

	for (unsigned i = 0; i < count; i++) {
		if (mailer_deliver(&mail, i, err) < 0)
			return -1;
	}
	return 0;
}

static int measure_news(struct meter *m, struct economy_bytes *b, struct err *err)
{
	double before = air_bytes(m), many;

	if (ping(m, true, err) < 0)
		return -1;
	(void)poll(NULL, 0, SETTLE_MS); /* parked, not answered at once */
	if (post(m, 1, err) < 0 || pinged(m, 2, err) < 0)
		return -1;
	b->wake = air_bytes(m) - before;
	if (sync_counted(m, 1, &b->sync_news, err) < 0 || post(m, 1 + FURTHER, err) < 0 ||
		sync_counted(m, 1 + FURTHER, &many, err) < 0)
		return -1;
	b->per_news = (many - b->sync_news) / FURTHER;
	return 0;
}

/* Everything of a connection but the Sync on it; the session of the one before is resumed. */
static int measure_connection(struct meter *m, struct economy_bytes *b, struct err *err)
{
	size_t count;
	bool more;

	hang_up(m);
	if (dial(m, err) < 0 || sync_once(m, &count, &more, err) < 0)
		return -1;
	b->connect = air_bytes(m) + CLOSE_SEGMENTS * HEADER_BYTES - b->sync_empty;
	return 0;
}

static int measure(struct meter *m, struct economy_bytes *b, struct err *err)
{
	if (dial(m, err) < 0 || provision(m, err) < 0 || find_inbox(m, err) < 0 ||
		sync_all(m, err) < 0)
		return -1;
	if (sync_counted(m, 0, &b->sync_empty, err) < 0 || measure_heartbeat(m, b, err) < 0 ||
		measure_news(m, b, err) < 0)
		return -1;
	return measure_connection(m, b, err);
}

int measure_run(const struct measure_options *options, struct economy_bytes *ret, struct err *err)
{
	struct meter m = {.options = options, .fd = -1, .arena = arena_new(0)};
	struct economy_bytes bytes = {0};
	int rc = wire_target(options->url, &m.target, err);

	if (rc == 0 && m.target.tls) {
		m.tls = SSL_CTX_new(TLS_client_method());
		if (m.tls == NULL)
			rc = err_set(err, ERR_INTERNAL, "OpenSSL");
	}
	if (m.tls != NULL) {
		(void)SSL_CTX_set_session_cache_mode(
			m.tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(m.tls, on_session);
	}
	if (rc == 0)
		rc = measure(&m, &bytes, err);
	hang_up(&m);
	SSL_SESSION_free(m.session);
	SSL_CTX_free(m.tls);
	arena_free(&m.arena);
	buf_deinit(&m.in);
	if (rc == 0)
		*ret = bytes;
	return rc;
}
