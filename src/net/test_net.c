#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/listen.h"
#include "net/stream.h"
#include "net/tls.h"

static struct err err;
static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	if (folder[0] == 0) {
		(void)snprintf(folder, sizeof(folder), "/tmp/test_net_XXXXXX");
		REQUIRE(mkdtemp(folder) != NULL);
	}
	(void)snprintf(path[turn], sizeof(path[0]), "%s/%s", folder, name);
	return path[turn];
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(fd >= 0);
	REQUIRE(connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0);
	REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

/* Until the peer has had time to answer: never longer than needed. */
static void wait_for(const struct net_stream *s)
{
	struct pollfd p = {s->fd, POLLIN, 0};

	(void)poll(&p, 1, 1000);
}

static void pair(struct net_stream *client, struct net_stream *server, SSL_CTX *client_ctx,
	SSL_CTX *server_ctx)
{
	int fds[2];
	unsigned count;
	struct net_address address;
	char text[NET_ADDRESS_TEXT];
	int fd, c = 0, s = 0;

	REQUIRE_OK(net_listen_tcp("127.0.0.1", 0, true, fds, &count, &err), &err);
	REQUIRE_OK(net_listen_tune(fds[0], &err), &err);
	fd = connect_to(net_local_port(fds[0]));
	if (client_ctx != NULL)
		REQUIRE_OK(net_stream_init_client(client, fd, client_ctx, &err), &err);
	else
		REQUIRE_OK(net_stream_init(client, fd, NULL, &err), &err);
	fd = net_accept(fds[0], &address);
	REQUIRE(fd >= 0);
	CHECK_STR(net_address_to_str(&address, text), "127.0.0.1");
	CHECK(net_accept(fds[0], &address) < 0 && errno == EAGAIN);
	REQUIRE_OK(net_stream_init(server, fd, server_ctx, &err), &err);
	(void)close(fds[0]);
	for (int i = 0; i < 100 && (c != 1 || s != 1); i++) {
		c = net_stream_handshake(client, &err);
		s = net_stream_handshake(server, &err);
		REQUIRE(c != NET_FAILED && s != NET_FAILED);
	}
	CHECK(c == 1 && s == 1);
}

static void exchange(struct net_stream *a, struct net_stream *b)
{
	char got[16];

	CHECK_INT(net_stream_read(b, got, sizeof(got)), NET_AGAIN);
	CHECK_INT(net_stream_write(a, "hello", 5), 5);
	wait_for(b);
	CHECK_INT(net_stream_read(b, got, sizeof(got)), 5);
	CHECK_MEM(got, 5, "hello", 5);
}

static void test_plain(void)
{
	struct net_stream c, s;
	int one = 0;
	socklen_t len = sizeof(one);

	pair(&c, &s, NULL, NULL);
	exchange(&c, &s);
	exchange(&s, &c);
	CHECK(getsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &one, &len) == 0 && one == 1);
	CHECK(getsockopt(s.fd, SOL_SOCKET, SO_KEEPALIVE, &one, &len) == 0 && one == 1);
	CHECK(getsockopt(s.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &one, &len) == 0 && one == 600000);
	CHECK((fcntl(s.fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK_STR(net_stream_tls_version(&s), "");
	net_stream_close(&c);
	net_stream_close(&s);
	net_stream_close(&s);
	CHECK_INT(net_stream_write(&s, "x", 1), NET_FAILED);
}

/* The last answer arrives although the client is still sending. */
static void test_shut_and_drain(void)
{
	struct net_stream c, s;
	char got[16];

	pair(&c, &s, NULL, NULL);
	CHECK_INT(net_stream_write(&c, "0123456789", 10), 10);
	CHECK_INT(net_stream_write(&s, "answer", 6), 6);
	net_stream_shut(&s);
	CHECK_INT(net_stream_drain(&s, 4), 4);
	CHECK_INT(net_stream_drain(&s, 100), 6);
	CHECK_INT(net_stream_drain(&s, 100), NET_AGAIN);
	wait_for(&c);
	CHECK_INT(net_stream_read(&c, got, sizeof(got)), 6);
	CHECK_INT(net_stream_read(&c, got, sizeof(got)), NET_EOF);
	net_stream_close(&c);
	wait_for(&s);
	CHECK_INT(net_stream_drain(&s, 100), NET_EOF);
	net_stream_close(&s);
}

static void make_certificate(const char *name)
{
	char cert[64], key[64];

	(void)snprintf(cert, sizeof(cert), "%s.pem", name);
	(void)snprintf(key, sizeof(key), "%s.key", name);
	REQUIRE_OK(net_tls_self_signed(in_folder(cert), in_folder(key), "mail.example.org", &err),
		&err);
}

static SSL_CTX *server_context(const uint8_t *ticket_keys)
{
	SSL_CTX *ctx;

	make_certificate("a");
	REQUIRE_OK(
		net_tls_server_new(in_folder("a.pem"), in_folder("a.key"), ticket_keys, &ctx, &err),
		&err);
	return ctx;
}

static void test_tls(void)
{
	SSL_CTX *server = server_context(NULL), *client;
	struct net_stream c, s;
	char got[16];

	REQUIRE_OK(net_tls_client_new(&client, &err), &err);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		CHECK(SSL_CTX_set_min_proto_version(client, version) == 1);
		CHECK(SSL_CTX_set_max_proto_version(client, version) == 1);
		pair(&c, &s, client, server);
		CHECK_STR(net_stream_tls_version(&s),
			version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
		exchange(&c, &s);
		exchange(&s, &c);
		net_stream_shut(&c);
		wait_for(&s);
		CHECK_INT(net_stream_read(&s, got, sizeof(got)), NET_EOF);
		net_stream_close(&c);
		net_stream_close(&s);
	}
	net_tls_free(&server);
	net_tls_free(&client);
}

static void test_tls_large(void)
{
	enum { BYTES = 3000000 };
	SSL_CTX *server = server_context(NULL), *client;
	struct net_stream c, s;
	uint8_t *out = mem_try_alloc(BYTES), in[20000];
	size_t sent = 0, received = 0;
	bool same = true;

	REQUIRE(out != NULL);
	for (size_t i = 0; i < BYTES; i++)
		out[i] = (uint8_t)(i * 2654435761u >> 24);
	REQUIRE_OK(net_tls_client_new(&client, &err), &err);
	pair(&c, &s, client, server);
	while (received < BYTES) {
		int64_t n = sent < BYTES ? net_stream_write(&s, out + sent, BYTES - sent) : 0;

		REQUIRE(n != NET_FAILED);
		sent += n > 0 ? (size_t)n : 0;
		while ((n = net_stream_read(&c, in, sizeof(in))) > 0) {
			same = same && memcmp(in, out + received, (size_t)n) == 0;
			received += (size_t)n;
		}
		REQUIRE(n == NET_AGAIN);
	}
	CHECK(same);
	mem_free(out);
	net_stream_close(&c);
	net_stream_close(&s);
	net_tls_free(&server);
	net_tls_free(&client);
}

/* A session of one front resumes at another that shares the ticket keys. */
static void test_tls_resumption(void)
{
	uint8_t keys[NET_TICKET_KEYS_BYTES];
	SSL_CTX *one, *two, *client;
	struct net_stream c, s;
	SSL_SESSION *session;
	char got[4];
	int fd;

	random_bytes(keys, sizeof(keys));
	one = server_context(keys);
	REQUIRE_OK(
		net_tls_server_new(in_folder("a.pem"), in_folder("a.key"), keys, &two, &err), &err);
	REQUIRE_OK(net_tls_client_new(&client, &err), &err);
	pair(&c, &s, client, one);
	exchange(&s, &c); /* TLS 1.3 tickets come with the first data */
	session = SSL_get1_session(c.ssl);
	REQUIRE(session != NULL);
	net_stream_close(&c);
	net_stream_close(&s);
	{
		int fds[2];
		unsigned count;
		struct net_address address;

		REQUIRE_OK(net_listen_tcp("127.0.0.1", 0, false, fds, &count, &err), &err);
		fd = connect_to(net_local_port(fds[0]));
		REQUIRE_OK(net_stream_init_client(&c, fd, client, &err), &err);
		CHECK(SSL_set_session(c.ssl, session) == 1);
		REQUIRE_OK(net_stream_init(&s, net_accept(fds[0], &address), two, &err), &err);
		(void)close(fds[0]);
	}
	for (int i = 0; i < 10; i++) {
		(void)net_stream_handshake(&c, &err);
		(void)net_stream_handshake(&s, &err);
	}
	CHECK(SSL_session_reused(s.ssl) == 1);
	CHECK_INT(net_stream_read(&c, got, sizeof(got)), NET_AGAIN);
	SSL_SESSION_free(session);
	net_stream_close(&c);
	net_stream_close(&s);
	net_tls_free(&one);
	net_tls_free(&two);
	net_tls_free(&client);
}

static void test_tls_garbage(void)
{
	SSL_CTX *server = server_context(NULL);
	struct err why = ERR_INIT;
	struct net_stream s;
	int p[2], rc;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) == 0);
	REQUIRE(write(p[1], "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	REQUIRE_OK(net_stream_init(&s, p[0], server, &err), &err);
	rc = net_stream_handshake(&s, &why);
	CHECK_INT(rc, NET_FAILED);
	CHECK(str_starts(why.text, "TLS handshake: "));
	net_stream_close(&s);
	(void)close(p[1]);
	net_tls_free(&server);
}

static void test_certificate_files(void)
{
	SSL_CTX *ctx = NULL;
	struct err why = ERR_INIT;
	struct stat st;
	char print[96], again[96];

	make_certificate("b");
	REQUIRE(stat(in_folder("b.key"), &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	REQUIRE_OK(net_tls_fingerprint(in_folder("b.pem"), print, &err), &err);
	CHECK_INT(strlen(print), 95);
	make_certificate("b");
	REQUIRE_OK(net_tls_fingerprint(in_folder("b.pem"), again, &err), &err);
	CHECK(strcmp(print, again) != 0);
	CHECK_INT(net_tls_server_new(in_folder("none.pem"), in_folder("b.key"), NULL, &ctx, &why),
		-1);
	CHECK(strstr(why.text, "none.pem") != NULL);
	make_certificate("c");
	CHECK_INT(net_tls_server_new(in_folder("b.pem"), in_folder("c.key"), NULL, &ctx, &why), -1);
	CHECK(strstr(why.text, "c.key") != NULL);
	CHECK_INT(net_tls_self_signed("/nowhere/x.pem", "/nowhere/x.key", "10.0.0.1", &why), -1);
	CHECK(strstr(why.text, "/nowhere/x.key") != NULL);
	REQUIRE_OK(net_tls_self_signed(in_folder("c.pem"), in_folder("c.key"), "2001:db8::1", &err),
		&err);
}

static void test_addresses(void)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"2001:db8::5", "2001:db8::5"},
		{"::1", "::1"},
		{"localhost", NULL},
		{"1.2.3", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct net_address a;
		char text[NET_ADDRESS_TEXT];
		bool ok = net_address_parse(table[i].in, &a);

		CHECK_STR(ok ? net_address_to_str(&a, text) : NULL, table[i].out);
	}
}

static void test_listeners(void)
{
	int fds[2], more[2], fd, peer;
	unsigned count = 0, more_count = 0;
	uint16_t port;
	struct err why = ERR_INIT;
	struct net_address a;

	REQUIRE_OK(net_listen_tcp("*", 0, true, fds, &count, &err), &err);
	CHECK(count >= 1);
	port = net_local_port(fds[0]);
	for (unsigned i = 0; i < count; i++)
		CHECK_INT(net_local_port(fds[i]), port);
	REQUIRE_OK(net_listen_tcp("*", port, true, more, &more_count, &err), &err);
	CHECK_INT(more_count, count);
	CHECK_INT(net_listen_tcp("127.0.0.1", port, false, more, &more_count, &why), -1);
	CHECK_INT(net_listen_tcp("example.org", 1, false, more, &more_count, &why), -1);
	CHECK_INT(why.code, ERR_BAD_INPUT);
	for (unsigned i = 0; i < count; i++) {
		(void)close(fds[i]);
		(void)close(more[i]);
	}
	for (int i = 0; i < 2; i++) { /* the second finds a stale file */
		REQUIRE_OK(net_listen_unix(in_folder("sock"), 0600, &fd, &err), &err);
		REQUIRE_OK(net_listen_tune(fd, &err), &err);
		REQUIRE_OK(net_connect_unix(in_folder("sock"), &peer, &err), &err);
		CHECK_INT(net_local_port(fd), 0);
		(void)close(peer);
		peer = net_accept(fd, &a);
		CHECK(peer >= 0);
		(void)close(peer);
		(void)close(fd);
	}
	CHECK_INT(net_connect_unix(in_folder("sock"), &peer, &why), -1);
}

static void test_clean_up(void)
{
	static const char *const names[] = {
		"a.pem", "a.key", "b.pem", "b.key", "c.pem", "c.key", "sock"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(in_folder(names[i]));
	CHECK(rmdir(folder) == 0);
}

TEST_MAIN(TEST(test_plain), TEST(test_shut_and_drain), TEST(test_tls), TEST(test_tls_large),
	TEST(test_tls_resumption), TEST(test_tls_garbage), TEST(test_certificate_files),
	TEST(test_addresses), TEST(test_listeners), TEST(test_clean_up))
