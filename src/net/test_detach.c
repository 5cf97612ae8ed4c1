/*
 * Detached connections between the front's end and OpenSSL's client on the other.
 */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/detach_internal.h"
#include "net/nonce_set.h"
#include "net/tls.h"

static struct err err;
static char folder[64], cert[96], key[96];
static struct detach_pool *pool;
static struct nonce_set *nonces;
static SSL_CTX *server_ctx, *client_ctx;
static struct net_stream server, client;

static void set_up(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/test_detach_XXXXXX");
	net_setup();
	REQUIRE(mkdtemp(folder) != NULL);
	(void)snprintf(cert, sizeof(cert), "%s/cert.pem", folder);
	(void)snprintf(key, sizeof(key), "%s/key.pem", folder);
	REQUIRE_OK(net_tls_self_signed(cert, key, "localhost", &err), &err);
	REQUIRE_OK(net_tls_server_new(cert, key, NULL, &server_ctx, &err), &err);
	detach_context(server_ctx);
	REQUIRE_OK(net_tls_client_new(&client_ctx, &err), &err);
	REQUIRE_OK(detach_pool_new(1u << 20, &pool, &err), &err);
	REQUIRE_OK(nonce_set_open(NULL, 22, &nonces, &err), &err);
	record_crypto_watch_nonces(detach_pool_crypto(pool), nonces);
}

static void test_self_test(void)
{
	set_up();
	REQUIRE_OK(detach_self_test(pool, server_ctx, &err), &err);
	CHECK_INT(detach_pool_count(pool), 0);
	CHECK_INT(detach_pool_held(pool), 0);
}

/* An OpenSSL that speaks otherwise than we think: the self-test must say so. */
static void test_self_test_fails(void)
{
	struct err why = ERR_INIT;
	SSL_CTX *odd;

	REQUIRE_OK(net_tls_server_new(cert, key, NULL, &odd, &err), &err);
	CHECK_INT(detach_self_test(pool, odd, &why), -1);
	CHECK(strstr(why.text, "cannot be detached") != NULL);
	CHECK_INT(detach_pool_count(pool), 0);
	net_tls_free(&odd);
}

static void open_pair(const char *ciphers_12)
{
	int fds[2], c = 0, s = 0;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	REQUIRE_OK(net_stream_init(&server, fds[0], server_ctx, &err), &err);
	net_stream_prepare_detach(&server, pool);
	REQUIRE_OK(net_stream_init_client(&client, fds[1], client_ctx, &err), &err);
	if (ciphers_12 != NULL) {
		REQUIRE(SSL_set_max_proto_version(client.ssl, TLS1_2_VERSION) == 1);
		REQUIRE(SSL_set_cipher_list(client.ssl, ciphers_12) == 1);
	}
	for (int i = 0; i < 50 && (c != 1 || s != 1); i++) {
		c = net_stream_handshake(&client, &err);
		s = net_stream_handshake(&server, &err);
		REQUIRE(c != NET_FAILED && s != NET_FAILED);
	}
	REQUIRE(c == 1 && s == 1);
}

static void close_pair(void)
{
	net_stream_close(&client);
	net_stream_close(&server);
	CHECK_INT(detach_pool_count(pool), 0);
	CHECK_INT(detach_pool_held(pool), 0);
}

static void exchange(struct net_stream *from, struct net_stream *to, const char *text)
{
	char got[64];

	CHECK_INT(net_stream_write(from, text, strlen(text)), strlen(text));
	CHECK_INT(net_stream_read(to, got, sizeof(got)), strlen(text));
	CHECK_MEM(got, strlen(text), text, strlen(text));
}

/* A suite that is not AEAD stays with OpenSSL, and works. */
static void test_other_suites_stay(void)
{
	open_pair("ECDHE-ECDSA-AES128-SHA256");
	CHECK(!net_stream_detach(&server));
	CHECK_INT(server.form, NET_SSL);
	exchange(&client, &server, "kept");
	exchange(&server, &client, "as it was");
	CHECK_STR(net_stream_tls_version(&server), "TLSv1.2");
	close_pair();
}

/* Detached late: OpenSSL has read and written application data before. */
static void test_late(void)
{
	for (int old = 0; old < 2; old++) {
		open_pair(old ? "ECDHE-ECDSA-AES256-GCM-SHA384" : NULL);
		for (int i = 0; i < 20; i++) {
			exchange(&client, &server, "401");
			exchange(&server, &client, "OPTIONS");
		}
		CHECK(net_stream_detach(&server));
		CHECK_INT(server.form, NET_DETACHED);
		CHECK_STR(net_stream_tls_version(&server), old ? "TLSv1.2" : "TLSv1.3");
		exchange(&client, &server, "Ping");
		exchange(&server, &client, "an answer");
		close_pair();
	}
}

/* From here to another process and back: the peer notices nothing. */
static void test_export(void)
{
	struct record_state state;
	int fd;

	open_pair(NULL);
	CHECK(!net_stream_export(&server, &state));
	CHECK(net_stream_detach(&server));
	exchange(&client, &server, "before");
	CHECK(net_stream_export(&server, &state));
	CHECK_INT(detach_pool_count(pool), 0);
	CHECK(!net_stream_is_tls(&server));
	fd = fcntl(server.fd, F_DUPFD_CLOEXEC, 0);
	net_stream_close(&server);
	REQUIRE_OK(net_stream_import(&server, fd, pool, &state, &err), &err);
	exchange(&server, &client, "after");
	exchange(&client, &server, "and on");
	close_pair();
	state.suite = 99;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK_INT(net_stream_import(&server, fd, pool, &state, &err), -1);
	CHECK(fcntl(fd, F_GETFD) < 0);
}

static void test_clean_up(void)
{
	CHECK(nonce_set_count(nonces) > 50);
	net_tls_free(&server_ctx);
	net_tls_free(&client_ctx);
	detach_pool_free(&pool);
	nonce_set_close(&nonces);
	(void)unlink(cert);
	(void)unlink(key);
	CHECK(rmdir(folder) == 0);
}

TEST_MAIN(TEST(test_self_test), TEST(test_self_test_fails), TEST(test_other_suites_stay),
	TEST(test_late), TEST(test_export), TEST(test_clean_up))
