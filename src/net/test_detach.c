/*
 * Detached connections between the front's end and OpenSSL's client on the other.
 */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/detach_internal.h"
#include "net/kdf.h"
#include "net/nonce_set.h"
#include "net/tickets.h"
#include "net/tls.h"

#define UPDATES 1000 /* in a minute */

static struct err err;
static char folder[64], cert[96], key[96];
static struct detach_pool *pool;
static struct nonce_set *nonces;
static struct net_kdf *kdf;
static unsigned lines; /* of the key log */
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
	detach_context(server_ctx, UPDATES);
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

/* ---- what is counted ---- */

struct phase {
	int version;
	const char *ciphers;
};

static const struct phase phases[] = {
	{TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
	{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
	{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

/* Both ends of sockets, nothing said yet. */
static void open_ends(const struct phase *x, SSL_SESSION *session, int fds[2])
{
	SSL *ssl;

	REQUIRE_OK(net_stream_init(&server, fds[0], server_ctx, &err), &err);
	net_stream_prepare_detach(&server, pool);
	REQUIRE_OK(net_stream_init_client(&client, fds[1], client_ctx, &err), &err);
	ssl = client.ssl;
	REQUIRE(SSL_set_min_proto_version(ssl, x->version) == 1);
	REQUIRE(SSL_set_max_proto_version(ssl, x->version) == 1);
	REQUIRE((x->version == TLS1_3_VERSION ? SSL_set_ciphersuites(ssl, x->ciphers)
					      : SSL_set_cipher_list(ssl, x->ciphers)) == 1);
	if (session != NULL)
		REQUIRE(SSL_set_session(ssl, session) == 1);
}

static void socket_pair(int fds[2])
{
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
}

static void shake_hands(void)
{
	int c = 0, s = 0;

	for (int i = 0; i < 50 && (c != 1 || s != 1); i++) {
		c = net_stream_handshake(&client, &err);
		s = net_stream_handshake(&server, &err);
		REQUIRE(c != NET_FAILED && s != NET_FAILED);
	}
	REQUIRE(c == 1 && s == 1);
}

/* 0, 1 or 2 tickets, full and resumed; the session survives a detached close of each kind. */
static void test_tickets(void)
{
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (size_t tickets = 0; tickets <= 2; tickets++) {
			SSL_SESSION *session = NULL;

			REQUIRE(SSL_CTX_set_num_tickets(server_ctx, tickets) == 1);
			for (int round = 0; round < 3; round++) {
				int fds[2];

				socket_pair(fds);
				open_ends(&phases[i], session, fds);
				shake_hands();
				CHECK_INT(SSL_session_reused(client.ssl), session != NULL);
				CHECK(net_stream_detach(&server));
				exchange(&client, &server, "request");
				exchange(&server, &client, "answer");
				exchange(&client, &server, "another");
				if (round == 1)
					net_stream_shut(&server);
				if (tickets > 0 || phases[i].version == TLS1_2_VERSION) {
					SSL_SESSION_free(session);
					session = SSL_get1_session(client.ssl);
					/* No early data is offered. */
					CHECK_INT(SSL_SESSION_get_max_early_data(session), 0);
				}
				close_pair();
			}
			SSL_SESSION_free(session);
		}
	}
	REQUIRE(SSL_CTX_set_num_tickets(server_ctx, 1) == 1);
}

/* ---- how the bytes arrive ---- */

/* Moves at most max bytes; false: there were none. */
static bool carry(int from, int to, size_t max)
{
	char bytes[4096];
	ssize_t n = recv(from, bytes, MIN(max, sizeof(bytes)), 0);

	if (n <= 0)
		return false;
	REQUIRE(send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n);
	return true;
}

/* The server's side as a front does it: handshake, detach, read until nothing comes. */
static void serve(struct buf *got, bool *done)
{
	char bytes[256];
	int64_t n;

	if (!*done) {
		int rc = net_stream_handshake(&server, &err);

		REQUIRE(rc != NET_FAILED);
		if (rc != 1)
			return;
		*done = true;
		CHECK(net_stream_detach(&server));
	}
	while ((n = net_stream_read(&server, bytes, sizeof(bytes))) > 0)
		buf_add(got, bytes, (size_t)n);
	CHECK_INT(n, NET_AGAIN);
}

/* The client's Finished and its request leave together, and arrive `piece` bytes at a time. */
static void finished_and_request(const struct phase *x, size_t piece)
{
	struct buf got = BUF_INIT;
	int near[2], far[2], c = 0;
	bool done = false;

	socket_pair(near);
	socket_pair(far);
	{
		int ends[2] = {near[0], far[0]};

		open_ends(x, NULL, ends);
	}
	for (int i = 0; i < 20000 && got.len < 7; i++) {
		if (c != 1) {
			c = net_stream_handshake(&client, &err);
			REQUIRE(c != NET_FAILED);
			if (c == 1)
				CHECK_INT(net_stream_write(&client, "request", 7), 7);
		}
		if (carry(far[1], near[1], piece))
			serve(&got, &done);
		else if (x->version == TLS1_2_VERSION)
			serve(&got, &done);
		(void)carry(near[1], far[1], 4096);
	}
	CHECK_MEM(got.data, got.len, "request", 7);
	CHECK_INT(net_stream_write(&server, "answer", 6), 6);
	while (carry(near[1], far[1], 4096))
		;
	{
		char bytes[16];

		CHECK_INT(net_stream_read(&client, bytes, sizeof(bytes)), 6);
	}
	buf_deinit(&got);
	(void)close(near[1]);
	(void)close(far[1]);
	close_pair();
}

static void test_finished_and_request(void)
{
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		finished_and_request(&phases[i], 4096);
		finished_and_request(&phases[i], 1);
		finished_and_request(&phases[i], 23);
	}
}

/* ---- what the peer may do ---- */

static void test_thousand_updates(void)
{
	open_pair(NULL);
	CHECK(net_stream_detach(&server));
	for (int i = 0; i < 1000; i++) {
		REQUIRE(SSL_key_update(client.ssl, i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED
							      : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
		exchange(&client, &server, "with new keys");
		if (i % 10 == 0)
			exchange(&server, &client, "and here");
	}
	close_pair();
}

/* Keys that changed before we could look: it stays with OpenSSL. */
static void test_update_before(void)
{
	open_pair(NULL);
	REQUIRE(SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	exchange(&client, &server, "with new keys");
	CHECK(!net_stream_detach(&server));
	exchange(&server, &client, "works on");
	close_pair();
}

/* Those that OpenSSL keeps are bounded, too. */
static void test_updates_kept(void)
{
	uint8_t byte;

	clock_fake_set(1600000000000, 600000);
	for (int too_many = 0; too_many < 2; too_many++) {
		open_pair(NULL);
		for (int i = 0; i < UPDATES + too_many; i++) {
			REQUIRE(SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
			REQUIRE(SSL_do_handshake(client.ssl) == 1);
			if (i < UPDATES)
				CHECK_INT(net_stream_read(&server, &byte, 1), NET_AGAIN);
		}
		/* At once, not only when something follows. */
		CHECK_INT(net_stream_read(&server, &byte, 1), too_many ? NET_EOF : NET_AGAIN);
		close_pair();
	}
	/* A minute later as many may come again. */
	open_pair(NULL);
	for (int i = 0; i < 2 * UPDATES; i++) {
		REQUIRE(SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
		REQUIRE(SSL_do_handshake(client.ssl) == 1);
		CHECK_INT(net_stream_read(&server, &byte, 1), NET_AGAIN);
		if (i == UPDATES - 1)
			clock_fake_advance_ms(60000);
	}
	close_pair();
	clock_fake_off();
}

/* Megabytes both ways at once, through full sockets, with keys that change meanwhile. */
static void test_large(void)
{
	enum { BYTES = 1500000 };
	uint8_t *out = mem_try_alloc(BYTES), in[20000];
	size_t sent[2] = {0}, received[2] = {0};

	REQUIRE(out != NULL);
	random_bytes(out, BYTES);
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		int fds[2];
		bool same = true;

		socket_pair(fds);
		open_ends(&phases[i], NULL, fds);
		shake_hands();
		CHECK(net_stream_detach(&server));
		record_crypto_set_limits(detach_pool_crypto(pool), 1000, 10);
		memset(sent, 0, sizeof(sent));
		memset(received, 0, sizeof(received));
		while (received[0] < BYTES || received[1] < BYTES) {
			for (int side = 0; side < 2; side++) {
				struct net_stream *me = side == 0 ? &server : &client;
				int64_t n;

				if (sent[side] < BYTES) {
					n = net_stream_write(
						me, out + sent[side], BYTES - sent[side]);
					REQUIRE(n != NET_FAILED);
					sent[side] += n > 0 ? (size_t)n : 0;
				} else {
					(void)net_stream_flush(me);
				}
				n = net_stream_read(me, in, sizeof(in));
				REQUIRE(n != NET_FAILED);
				if (n <= 0)
					continue;
				same = same && memcmp(in, out + received[side], (size_t)n) == 0;
				received[side] += (size_t)n;
			}
		}
		CHECK(same);
		close_pair();
	}
	record_crypto_set_limits(detach_pool_crypto(pool), 1200, RECORD_UPDATE_AFTER);
	mem_free(out);
}

/* max_fragment_length as the client asks for it in its hello. */
static void test_max_fragment(void)
{
	uint8_t out[4000] = {0}, in[4000], header[5];
	int fds[2], c = 0, s = 0;
	size_t got = 0;

	socket_pair(fds);
	open_ends(&phases[0], NULL, fds);
	REQUIRE(SSL_set_tlsext_max_fragment_length(client.ssl, TLSEXT_max_fragment_length_512) ==
		1);
	for (int i = 0; i < 50 && (c != 1 || s != 1); i++) {
		c = net_stream_handshake(&client, &err);
		s = net_stream_handshake(&server, &err);
	}
	REQUIRE(c == 1 && s == 1);
	CHECK(net_stream_detach(&server));
	CHECK_INT(server.records->max_fragment, 1);
	exchange(&server, &client, "tickets come with it");
	CHECK_INT(net_stream_write(&server, out, sizeof(out)), sizeof(out));
	REQUIRE(recv(client.fd, header, 5, MSG_PEEK) == 5);
	CHECK_INT(header[3] << 8 | header[4], 512 + 1 + 16);
	while (got < sizeof(out)) {
		int64_t n = net_stream_read(&client, in, sizeof(in));

		REQUIRE(n > 0);
		got += (size_t)n;
	}
	exchange(&client, &server, "fine");
	close_pair();
}

/* The certificate and the context change under a connection that waits. */
static void test_rotation_under_it(void)
{
	SSL_CTX *old = server_ctx;

	open_pair(NULL);
	CHECK(net_stream_detach(&server));
	REQUIRE_OK(net_tls_self_signed(cert, key, "other.example", &err), &err);
	REQUIRE_OK(net_tls_server_new(cert, key, NULL, &server_ctx, &err), &err);
	detach_context(server_ctx, UPDATES);
	net_tls_free(&old);
	exchange(&client, &server, "still");
	exchange(&server, &client, "here");
	close_pair();
	open_pair(NULL);
	CHECK(net_stream_detach(&server));
	exchange(&client, &server, "with the new one");
	close_pair();
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

/* Keys change under the connections: sessions of the two generations before resume, older ones
 * shake hands in full; contexts of two processes agree. */
static void test_ticket_rotation(void)
{
	struct net_tickets *tickets = NULL;
	SSL_SESSION *session = NULL;
	bool rotated = false;
	int keys_fd = -1;

	REQUIRE_OK(net_tickets_create(&keys_fd, &err), &err);
	REQUIRE_OK(net_tickets_open(keys_fd, &tickets, &err), &err);
	net_tickets_use(server_ctx, tickets, 7200);
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (int rotations = 0; rotations <= NET_TICKETS_GENERATIONS; rotations++) {
			for (int again = 0; again < 2; again++) {
				int fds[2];

				socket_pair(fds);
				open_ends(&phases[i], again ? session : NULL, fds);
				shake_hands();
				CHECK_INT(SSL_session_reused(client.ssl),
					again && rotations < NET_TICKETS_GENERATIONS);
				CHECK(net_stream_detach(&server));
				exchange(&server, &client, "ticket");
				exchange(&client, &server, "request");
				if (!again)
					session = SSL_get1_session(client.ssl);
				close_pair();
				for (int n = 0; n < rotations && !again; n++)
					REQUIRE_OK(net_tickets_rotate(keys_fd, 0, &rotated, &err),
						&err);
			}
			SSL_SESSION_free(session);
		}
	}
	REQUIRE_OK(net_tickets_rotate(keys_fd, 3600, &rotated, &err), &err);
	CHECK(!rotated);
	net_tls_free(&server_ctx);
	net_tickets_close(&tickets);
	(void)close(keys_fd);
	REQUIRE_OK(net_tls_server_new(cert, key, NULL, &server_ctx, &err), &err);
	detach_context(server_ctx, UPDATES);
}

/* Detached late: OpenSSL has read and written application data before. */
static void test_late(void)
{
	for (int old = 0; old < 2; old++) {
		SSL_SESSION *session;

		open_pair(old ? "ECDHE-ECDSA-AES256-GCM-SHA384" : NULL);
		for (int i = 0; i < 20; i++) {
			exchange(&client, &server, "401");
			exchange(&server, &client, "OPTIONS");
		}
		session = SSL_get1_session(server.ssl);
		/* In 1.2 it is in the ticket alone. */
		CHECK_INT(SSL_SESSION_is_resumable(session), !old);
		CHECK(net_stream_detach(&server));
		CHECK_INT(server.form, NET_DETACHED);
		CHECK_INT(SSL_SESSION_is_resumable(session), !old);
		SSL_SESSION_free(session);
		CHECK_STR(net_stream_tls_version(&server), old ? "TLSv1.2" : "TLSv1.3");
		exchange(&client, &server, "Ping");
		exchange(&server, &client, "an answer");
		close_pair();
	}
}

/* The explicit nonce of the record that the server sends now, RFC 5288, 3. */
static uint64_t nonce_of_next(void)
{
	uint8_t bytes[RECORD_HEADER_BYTES + 8];
	uint64_t nonce = 0;

	CHECK_INT(net_stream_write(&server, "answer", 6), 6);
	REQUIRE(recv(client.fd, bytes, sizeof(bytes), MSG_PEEK) == sizeof(bytes));
	for (size_t i = RECORD_HEADER_BYTES; i < sizeof(bytes); i++)
		nonce = nonce << 8 | bytes[i];
	CHECK_INT(net_stream_read(&client, bytes, sizeof(bytes)), 6);
	return nonce;
}

/* 1.2 with GCM: OpenSSL began at random, and ours goes on from its last one. */
static void test_explicit_nonce(void)
{
	uint64_t last;

	open_pair("ECDHE-ECDSA-AES128-GCM-SHA256");
	last = nonce_of_next();
	CHECK(nonce_of_next() == last + 1);
	CHECK(net_stream_detach(&server));
	for (uint64_t i = 2; i < 10; i++)
		CHECK(nonce_of_next() == last + i);
	close_pair();
}

/* What OpenSSL has opened and nobody has read yet would be lost. */
static void test_not_while_pending(void)
{
	for (int old = 0; old < 2; old++) {
		char got[16];

		open_pair(old ? "ECDHE-ECDSA-AES128-GCM-SHA256" : NULL);
		CHECK_INT(net_stream_write(&client, "0123456789", 10), 10);
		CHECK_INT(net_stream_read(&server, got, 4), 4);
		CHECK(!net_stream_detach(&server));
		CHECK_INT(net_stream_read(&server, got, sizeof(got)), 6);
		CHECK_MEM(got, 6, "456789", 6);
		CHECK(net_stream_detach(&server));
		exchange(&client, &server, "more");
		close_pair();
	}
}

/* The states in which nothing may be taken over, beside those that have a test of their own. */
static void test_not_in_the_middle(void)
{
	static uint8_t large[16000];
	int buffer = 4096;
	int64_t n;

	/* A record has gone in part: it would be lost, or sealed twice. */
	open_pair(NULL);
	(void)setsockopt(server.fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	while ((n = net_stream_write(&server, large, sizeof(large))) > 0)
		;
	CHECK_INT(n, NET_AGAIN);
	CHECK(!net_stream_detach(&server));
	close_pair();
	/* Nor when the socket has taken nothing of it yet. */
	open_pair(NULL);
	while (send(server.fd, large, sizeof(large), MSG_NOSIGNAL) > 0)
		;
	CHECK_INT(net_stream_write(&server, large, 10), NET_AGAIN);
	CHECK(!net_stream_detach(&server));
	close_pair();
	/* The client has said that nothing more comes. */
	open_pair(NULL);
	net_stream_shut(&client);
	CHECK_INT(net_stream_read(&server, large, 1), NET_EOF);
	CHECK(!net_stream_detach(&server));
	close_pair();
}

static bool keeps_buffers(void)
{
	return (SSL_get_mode(server.ssl) & SSL_MODE_RELEASE_BUFFERS) == 0;
}

/* OpenSSL's buffers stay from the client's hello to the end of the handshake, and no longer. */
static void test_buffers_are_kept_meanwhile(void)
{
	int fds[2];

	socket_pair(fds);
	open_ends(&phases[0], NULL, fds);
	CHECK_INT(net_stream_handshake(&server, &err), NET_AGAIN);
	CHECK(!keeps_buffers());
	CHECK_INT(net_stream_handshake(&client, &err), NET_AGAIN);
	CHECK_INT(net_stream_handshake(&server, &err), NET_AGAIN);
	CHECK(keeps_buffers());
	shake_hands();
	CHECK(net_stream_detach(&server));
	close_pair();
	open_pair("ECDHE-ECDSA-AES128-SHA256");
	CHECK(keeps_buffers());
	CHECK(!net_stream_detach(&server)); /* for good */
	CHECK(!keeps_buffers());
	close_pair();
}

/* Half of a handshake, one of somebody else, the other half: each has its own secrets, and between
 * the steps nothing is heard at all. */
static void test_secrets_of_others(void)
{
	struct net_stream half[2];
	int fds[2], c = 0, s = 0;

	socket_pair(fds);
	open_ends(&phases[0], NULL, fds);
	CHECK_INT(net_stream_handshake(&client, &err), NET_AGAIN);
	CHECK_INT(net_stream_handshake(&server, &err), NET_AGAIN);
	CHECK(SSL_CTX_get_keylog_callback(server_ctx) == NULL);
	half[0] = client;
	half[1] = server;
	socket_pair(fds);
	REQUIRE_OK(net_stream_init(&server, fds[0], server_ctx, &err), &err);
	REQUIRE_OK(net_stream_init_client(&client, fds[1], client_ctx, &err), &err);
	for (int i = 0; i < 50 && (c != 1 || s != 1); i++) {
		c = net_stream_handshake(&client, &err);
		s = net_stream_handshake(&server, &err);
	}
	CHECK(!net_stream_detach(&server)); /* nobody took notes */
	exchange(&client, &server, "another's");
	net_stream_close(&client);
	net_stream_close(&server);
	client = half[0];
	server = half[1];
	shake_hands();
	CHECK(SSL_CTX_get_keylog_callback(server_ctx) == NULL);
	CHECK(net_stream_detach(&server));
	exchange(&client, &server, "mine");
	exchange(&server, &client, "and yours");
	close_pair();
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

/* All of it once more, with secrets from our key schedule. */
static void test_own_kdf(void)
{
	net_tls_free(&server_ctx);
	REQUIRE_OK(net_kdf_load(&kdf, &err), &err);
	REQUIRE_OK(net_tls_server_new(cert, key, NULL, &server_ctx, &err), &err);
	detach_context(server_ctx, UPDATES);
	detach_pool_set_kdf(pool, kdf);
	REQUIRE_OK(detach_self_test(pool, server_ctx, &err), &err);
}

static void on_line(const SSL *ssl, const char *line)
{
	lines++;
}

/* Nothing asks OpenSSL to print secrets, and nobody is listened to between steps. */
static void test_own_kdf_asks_no_log(void)
{
	open_pair(NULL);
	SSL_CTX_set_keylog_callback(server_ctx, on_line);
	CHECK(net_stream_detach(&server));
	close_pair();
	open_pair(NULL);
	CHECK(lines > 0);
	CHECK(SSL_CTX_get_keylog_callback(server_ctx) == on_line);
	CHECK(net_stream_detach(&server));
	close_pair();
	SSL_CTX_set_keylog_callback(server_ctx, NULL);
}

static void test_clean_up(void)
{
	detach_pool_set_kdf(pool, NULL);
	net_kdf_unload(&kdf);
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
	TEST(test_late), TEST(test_explicit_nonce), TEST(test_not_while_pending),
	TEST(test_not_in_the_middle), TEST(test_buffers_are_kept_meanwhile),
	TEST(test_secrets_of_others), TEST(test_export), TEST(test_tickets),
	TEST(test_ticket_rotation), TEST(test_finished_and_request), TEST(test_thousand_updates),
	TEST(test_update_before), TEST(test_updates_kept), TEST(test_large),
	TEST(test_max_fragment), TEST(test_rotation_under_it), TEST(test_own_kdf),
	TEST(test_own_kdf_asks_no_log), TEST(test_self_test_fails), TEST(test_other_suites_stay),
	TEST(test_late), TEST(test_explicit_nonce), TEST(test_not_while_pending),
	TEST(test_not_in_the_middle), TEST(test_buffers_are_kept_meanwhile),
	TEST(test_secrets_of_others), TEST(test_export), TEST(test_tickets),
	TEST(test_ticket_rotation), TEST(test_finished_and_request), TEST(test_thousand_updates),
	TEST(test_update_before), TEST(test_updates_kept), TEST(test_large),
	TEST(test_max_fragment), TEST(test_rotation_under_it), TEST(test_clean_up))
