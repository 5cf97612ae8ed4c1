/*
 * The test at start. A peer within the process, OpenSSL's client on the other end of a socket pair,
 * does with a detached connection what phones do. It shows that the assumptions hold that no
 * interface of OpenSSL promises: when the key log speaks, what a record counts, where the nonces
 * of 1.2 stand.
 */
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/detach_internal.h"
#include "net/tls.h"

#define ROUNDS 50

static const struct test_case {
	const char *name;
	int version;
	const char *ciphers;
} cases[] = {
	{"TLS 1.3, AES-128", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
	{"TLS 1.3, AES-256", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
	{"TLS 1.3, ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
	{"TLS 1.2, AES-128", TLS1_2_VERSION,
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"},
	{"TLS 1.2, AES-256", TLS1_2_VERSION,
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"},
	{"TLS 1.2, ChaCha20", TLS1_2_VERSION,
		"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"},
};

struct test {
	struct detach_pool *pool;
	struct ssl_ctx_st *server_ctx, *client_ctx;
	struct net_stream server, client;
	SSL_SESSION *session; /* of the full handshake */
};

static void end_test(struct test *t)
{
	net_stream_close(&t->server);
	net_stream_close(&t->client);
}

static int begin_test(struct test *t, const struct test_case *x, struct err *err)
{
	int fds[2];
	SSL *ssl;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return err_set(err, ERR_INTERNAL, "no sockets");
	if (net_stream_init(&t->server, fds[0], t->server_ctx, err) < 0)
		return -1;
	net_stream_prepare_detach(&t->server, t->pool);
	if (net_stream_init_client(&t->client, fds[1], t->client_ctx, err) < 0)
		return -1;
	ssl = t->client.ssl;
	/* A close_notify is wanted at the end, not just an end. */
	(void)SSL_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (SSL_set_min_proto_version(ssl, x->version) != 1 ||
		SSL_set_max_proto_version(ssl, x->version) != 1 ||
		(x->version == TLS1_3_VERSION ? SSL_set_ciphersuites(ssl, x->ciphers)
					      : SSL_set_cipher_list(ssl, x->ciphers)) != 1 ||
		(t->session != NULL && SSL_set_session(ssl, t->session) != 1))
		return err_set(err, ERR_INTERNAL, "the client refuses the suite");
	return 0;
}

/* 1: done; 0: the two have nothing in common. */
static int shake_hands(struct test *t)
{
	struct err ignored = ERR_INIT;
	int server = NET_AGAIN, client = NET_AGAIN;

	for (int i = 0; i < ROUNDS && (server != 1 || client != 1); i++) {
		client = net_stream_handshake(&t->client, &ignored);
		if (server != 1)
			server = net_stream_handshake(&t->server, &ignored);
		if (client == NET_FAILED || server == NET_FAILED)
			return 0;
	}
	return server == 1 && client == 1;
}

static bool pass(struct net_stream *from, struct net_stream *to, const char *text)
{
	char got[64];
	int64_t n, len = (int64_t)strlen(text);

	if (net_stream_write(from, text, (size_t)len) != len)
		return false;
	n = net_stream_read(to, got, sizeof(got));
	return n == len && memcmp(got, text, (size_t)n) == 0;
}

static bool talk(struct test *t)
{
	/* From the server first: with it come the tickets of 1.3. */
	return pass(&t->server, &t->client, "from the server") &&
	       pass(&t->client, &t->server, "from the client") &&
	       pass(&t->client, &t->server, "and once more") &&
	       pass(&t->server, &t->client, "an answer");
}

static bool say_goodbye(struct test *t)
{
	char got[8];

	net_stream_shut(&t->server);
	return net_stream_read(&t->client, got, sizeof(got)) == NET_EOF &&
	       (SSL_get_shutdown(t->client.ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static int run_phases(struct test *t, const struct test_case *x, const char *how, struct err *err)
{
	bool resume = t->session != NULL;

	if (resume && SSL_session_reused(t->client.ssl) != 1)
		return err_set(err, ERR_INTERNAL, "%s: no resumption", x->name);
	if (!net_stream_detach(&t->server))
		return err_set(err, ERR_INTERNAL, "%s, %s: cannot be detached", x->name, how);
	if (!talk(t))
		return err_set(err, ERR_INTERNAL, "%s, %s: data goes wrong", x->name, how);
	if (!resume)
		t->session = SSL_get1_session(t->client.ssl);
	if (x->version == TLS1_3_VERSION &&
		(SSL_key_update(t->client.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
			!pass(&t->client, &t->server, "with new keys") || !talk(t)))
		return err_set(err, ERR_INTERNAL, "%s, %s: new keys go wrong", x->name, how);
	if (!say_goodbye(t))
		return err_set(err, ERR_INTERNAL, "%s, %s: close_notify goes wrong", x->name, how);
	return 0;
}

/* 1: tested; 0: the context does not serve this. */
static int run_case(struct test *t, const struct test_case *x, struct err *err)
{
	int result = begin_test(t, x, err);

	if (result < 0)
		return -1;
	result = shake_hands(t);
	if (result == 0 && t->session != NULL)
		return err_set(err, ERR_INTERNAL, "%s: no resumption", x->name);
	if (result == 0)
		return 0;
	return run_phases(t, x, t->session != NULL ? "resumed" : "full", err) == 0 ? 1 : -1;
}

int detach_self_test(struct detach_pool *p, struct ssl_ctx_st *ctx, struct err *err)
{
	struct test t = {.pool = p, .server_ctx = ctx, .server = {.fd = -1}, .client = {.fd = -1}};
	size_t tested = 0;
	int result = net_tls_client_new(&t.client_ctx, err);

	for (size_t i = 0; result >= 0 && i < ARRAY_LEN(cases); i++) {
		result = run_case(&t, &cases[i], err);
		end_test(&t);
		if (result == 1) {
			tested++;
			result = run_case(&t, &cases[i], err);
			end_test(&t);
		}
		SSL_SESSION_free(t.session);
		t.session = NULL;
	}
	net_tls_free(&t.client_ctx);
	if (result < 0)
		return -1;
	return tested > 0 ? 0 : err_set(err, ERR_INTERNAL, "no suite that could be tested");
}
