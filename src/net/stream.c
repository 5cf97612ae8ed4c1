/*
 * Streams: plain ones and those of OpenSSL; detached ones are sent on to detached.c. These two are
 * the only places that call recv, send, SSL_read and SSL_write.
 *
 * OpenSSL keeps errors in a queue per thread: it is cleared before each call, else an old error of
 * another connection would be taken for one of ours. Modes are set on the context (tls.c): partial
 * writes, moving write buffers, released buffers.
 */
#include "net/stream.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/detach_internal.h"

#define DRAIN_CHUNK (64u * 1024)

/* ---- OpenSSL's memory ---- */

/* OpenSSL wipes most of its secrets, but not what lies inside the connection's object: so
 * everything is wiped that it gives back. Some microseconds for a handshake. */

static void *ssl_malloc(size_t size, const char *file, int line)
{
	return malloc(size);
}

static void ssl_free(void *p, const char *file, int line)
{
	if (p == NULL)
		return;
	secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static void *ssl_realloc(void *old, size_t size, const char *file, int line)
{
	size_t had = old != NULL ? malloc_usable_size(old) : 0;
	void *p;

	if (had >= size && size > 0)
		return old;
	p = size > 0 ? malloc(size) : NULL;
	if (p != NULL && had > 0)
		memcpy(p, old, had);
	if (p != NULL || size == 0)
		ssl_free(old, file, line);
	return p;
}

void net_setup(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	/* Refused when OpenSSL has allocated before: then this was called twice. */
	(void)CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free);
	(void)OPENSSL_init_ssl(0, NULL);
}

/* ---- beginning ---- */

static int init_tls(struct net_stream *s, int fd, struct ssl_ctx_st *ssl_ctx, struct err *err)
{
	ERR_clear_error();
	s->ssl = SSL_new(ssl_ctx);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1) {
		SSL_free(s->ssl);
		s->ssl = NULL;
		return err_set(err, ERR_INTERNAL, "no memory for a TLS connection");
	}
	s->form = NET_SSL;
	return 0;
}

int net_stream_init(struct net_stream *s, int fd, struct ssl_ctx_st *ssl_ctx, struct err *err)
{
	*s = (struct net_stream){.fd = fd};
	if (ssl_ctx == NULL)
		return 0;
	if (init_tls(s, fd, ssl_ctx, err) < 0) {
		net_stream_close(s);
		return -1;
	}
	SSL_set_accept_state(s->ssl);
	return 0;
}

int net_stream_init_client(
	struct net_stream *s, int fd, struct ssl_ctx_st *ssl_ctx, struct err *err)
{
	*s = (struct net_stream){.fd = fd};
	if (init_tls(s, fd, ssl_ctx, err) < 0) {
		net_stream_close(s);
		return -1;
	}
	SSL_set_connect_state(s->ssl);
	return 0;
}

/* Alerts that came are errors like any other to OpenSSL, with numbers of their own. */
static uint8_t blame_of(int code)
{
	if (code != SSL_ERROR_SSL)
		return NET_BLAME_NETWORK;
	return ERR_GET_REASON(ERR_peek_error()) > SSL_AD_REASON_OFFSET ? NET_BLAME_NOBODY
								       : NET_BLAME_PEER;
}

/* What OpenSSL made of a call that did not succeed. */
static int tls_result(struct net_stream *s, int rc)
{
	int code = SSL_get_error(s->ssl, rc);

	switch (code) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return NET_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return NET_EOF;
	default:
		s->blame = blame_of(code);
		return NET_FAILED;
	}
}

bool net_stream_greeted(const struct net_stream *s)
{
	return s->form == NET_SSL && SSL_get_pending_cipher(s->ssl) != NULL;
}

bool net_stream_unread(const struct net_stream *s)
{
	int count = 0;

	return ioctl(s->fd, FIONREAD, &count) == 0 && count > 0;
}

int net_stream_handshake(struct net_stream *s, struct err *err)
{
	unsigned long code;
	int rc, result;

	if (s->form != NET_SSL)
		return 1;
	ERR_clear_error();
	errno = 0;
	detach_step(s, true);
	rc = SSL_do_handshake(s->ssl);
	detach_step(s, false);
	if (rc == 1)
		return 1;
	result = tls_result(s, rc);
	if (result == NET_AGAIN)
		return NET_AGAIN;
	code = ERR_peek_last_error();
	if (code != 0) {
		const char *reason = ERR_reason_error_string(code);

		(void)err_set(err, ERR_BAD_INPUT, "TLS handshake: %s",
			reason != NULL ? reason : "unknown error");
	} else if (errno != 0) {
		(void)err_set_errno(err, errno, "TLS handshake");
	} else {
		(void)err_set(err, ERR_BAD_INPUT, "TLS handshake: closed by the client");
	}
	return NET_FAILED;
}

/* ---- bytes ---- */

static int64_t read_raw(int fd, void *bytes, size_t max, int flags)
{
	for (;;) {
		ssize_t n = recv(fd, bytes, max, flags);

		if (n >= 0)
			return n;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return NET_AGAIN;
		if (errno != EINTR)
			return NET_FAILED;
	}
}

int64_t net_stream_read(struct net_stream *s, void *bytes, size_t max)
{
	size_t got = 0;
	int64_t n;
	int rc;

	if (s->fd < 0)
		return NET_FAILED;
	switch ((enum net_form)s->form) {
	case NET_PLAIN:
		n = read_raw(s->fd, bytes, max, 0);
		/* A short read has emptied it. */
		s->more = n == (int64_t)max;
		return n;
	case NET_SSL:
		ERR_clear_error();
		rc = SSL_read_ex(s->ssl, bytes, max, &got);
		n = rc == 1 ? (int64_t)got : tls_result(s, rc);
		/* Told so by count_update() (detach.c), it would look at the next record only. */
		if (n == NET_AGAIN && (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
			n = NET_EOF;
		s->more = n != NET_AGAIN; /* there may be another record inside */
		return n;
	case NET_DETACHED:
	case NET_BUSY:
		break;
	}
	return detached_read(s, bytes, max);
}

static int64_t write_raw(int fd, const void *bytes, size_t len)
{
	for (;;) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n >= 0)
			return n;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return NET_AGAIN;
		if (errno != EINTR)
			return NET_FAILED;
	}
}

int64_t net_stream_write(struct net_stream *s, const void *bytes, size_t len)
{
	size_t put = 0;
	int rc;

	if (s->fd < 0)
		return NET_FAILED;
	switch ((enum net_form)s->form) {
	case NET_PLAIN:
		return write_raw(s->fd, bytes, len);
	case NET_SSL:
		ERR_clear_error();
		rc = SSL_write_ex(s->ssl, bytes, len, &put);
		if (rc == 1)
			return (int64_t)put;
		return tls_result(s, rc) == NET_AGAIN ? NET_AGAIN : NET_FAILED;
	case NET_DETACHED:
	case NET_BUSY:
		break;
	}
	return detached_write(s, bytes, len);
}

bool net_stream_unsent(const struct net_stream *s)
{
	return s->form == NET_BUSY && s->busy->out.len > 0;
}

int net_stream_flush(struct net_stream *s)
{
	return net_stream_unsent(s) ? detached_flush(s) : 1;
}

/* ---- the end ---- */

void net_stream_shut(struct net_stream *s)
{
	if (s->fd < 0)
		return;
	if (s->form == NET_DETACHED || s->form == NET_BUSY) {
		detached_shut(s);
		return;
	}
	if (s->form == NET_SSL && SSL_is_init_finished(s->ssl)) {
		ERR_clear_error();
		(void)SSL_shutdown(s->ssl);
	}
	(void)shutdown(s->fd, SHUT_WR);
}

int64_t net_stream_drain(struct net_stream *s, size_t max)
{
	char bin[DRAIN_CHUNK];
	size_t taken = 0;

	if (s->fd < 0 || net_stream_flush(s) == NET_FAILED)
		return NET_FAILED;
	while (taken < max) {
		/* MSG_TRUNC: TCP throws it away without a copy. */
		int64_t n = read_raw(s->fd, bin, MIN(sizeof(bin), max - taken), MSG_TRUNC);

		if (n <= 0)
			return taken > 0 && n == NET_AGAIN ? (int64_t)taken : n;
		taken += (size_t)n;
	}
	return (int64_t)taken;
}

static void close_ssl(struct net_stream *s)
{
	detach_abandon(s);
	ERR_clear_error();
	/* Without this the session would be taken for a broken one. */
	SSL_set_quiet_shutdown(s->ssl, 1);
	(void)SSL_shutdown(s->ssl);
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->form = NET_PLAIN;
}

void net_stream_cut(struct net_stream *s)
{
	const struct linger now = {.l_onoff = 1};

	if (s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void net_stream_close(struct net_stream *s)
{
	if (s->form == NET_SSL)
		close_ssl(s);
	else if (s->form != NET_PLAIN)
		detached_close(s);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

bool net_stream_is_tls(const struct net_stream *s)
{
	return s->form != NET_PLAIN;
}

bool net_stream_resumed(const struct net_stream *s)
{
	return s->form == NET_SSL && SSL_session_reused(s->ssl) == 1;
}

bool net_stream_peer_dead(const struct net_stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	       (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH);
}

const char *net_stream_tls_version(const struct net_stream *s)
{
	const struct record_state *state;

	if (s->form == NET_PLAIN)
		return "";
	if (s->form == NET_SSL)
		return SSL_get_version(s->ssl);
	state = s->form == NET_BUSY ? s->busy->records : s->records;
	return state->version == RECORD_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}
