/*
 * Sockets and TLS of a worker's phones: connecting without blocking, from a source address of the
 * loopback net when the fleet is spread, sending, receiving. Each phone owns its descriptor and its
 * TLS object, and its last session ticket as bytes; wire_close() gives all but the ticket back.
 *
 * No certificate is checked: this is a load, not a client to trust with a password that matters.
 *
 * Limits: SOURCE_CONNECTIONS for one source address, because connect() looks for a free port there
 * and crawls when few are left; IP_BIND_ADDRESS_NO_PORT leaves the choice to connect(), which may
 * use a port again for another address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/fleet_internal.h"

#define SOURCE_CONNECTIONS 6000u
#define DEFAULT_PATH       "/Microsoft-Server-ActiveSync"
#define SUITES             "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* ---- where to ---- */

static int resolve(struct target *t, const char *port, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list;
	int rc = getaddrinfo(t->host, port, &hints, &list);

	if (rc != 0) {
		hints.ai_flags = 0; /* on a machine with nothing but loopback */
		rc = getaddrinfo(t->host, port, &hints, &list);
	}
	if (rc != 0)
		return err_set(err, ERR_BAD_INPUT, "%.200s: %s", t->host, gai_strerror(rc));
	memcpy(&t->address, list->ai_addr, list->ai_addrlen);
	t->address_len = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

int wire_target(const char *url, struct target *ret, struct err *err)
{
	struct target t = {0};
	const char *host = url, *slash;
	char port[8];
	char *colon;
	size_t len;

	if (str_starts_nocase(url, "https://") || str_starts_nocase(url, "http://")) {
		t.tls = str_starts_nocase(url, "https://");
		host = strstr(url, "://") + 3;
	} else {
		return err_set(
			err, ERR_BAD_INPUT, "\"%.200s\" is no URL: http://... or https://...", url);
	}
	slash = strchr(host, '/');
	len = slash != NULL ? (size_t)(slash - host) : strlen(host);
	if (len == 0 || len >= sizeof(t.host) || strpbrk(url, " \t\r\n@?#") != NULL ||
		(slash != NULL && strlen(slash) >= sizeof(t.path)))
		return err_set(err, ERR_BAD_INPUT, "\"%.200s\" is no URL of a server", url);
	memcpy(t.host, host, len);
	(void)snprintf(t.host_header, sizeof(t.host_header), "%s", t.host);
	(void)snprintf(t.path, sizeof(t.path), "%s",
		slash != NULL && slash[1] != 0 ? slash : DEFAULT_PATH);
	(void)snprintf(port, sizeof(port), "%s", t.tls ? "443" : "80");
	colon = strrchr(t.host, ':');
	if (colon != NULL && strchr(colon, ']') == NULL) {
		(void)snprintf(port, sizeof(port), "%.7s", colon + 1);
		*colon = 0;
	}
	if (t.host[0] == '[') {
		memmove(t.host, t.host + 1, strlen(t.host));
		t.host[strcspn(t.host, "]")] = 0;
	}
	if (resolve(&t, port, err) < 0)
		return -1;
	*ret = t;
	return 0;
}

/* ---- TLS ---- */

/* A ticket came: it takes the place of the one before. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct phone *p = SSL_get_app_data(ssl);
	int len = i2d_SSL_SESSION(session, NULL);
	uint8_t *to;

	if (len <= 0 || len > 16384)
		return 0;
	if (p->ticket == NULL || p->ticket->len < (uint32_t)len)
		p->ticket = x_realloc(p->ticket, sizeof(*p->ticket) + (size_t)len);
	p->ticket->len = (uint32_t)len;
	to = p->ticket->bytes;
	(void)i2d_SSL_SESSION(session, &to);
	return 0;
}

void wire_setup(struct worker *w)
{
	const char *suites = w->options->tls_suites != NULL ? w->options->tls_suites : SUITES;

	if (!w->target->tls)
		return;
	w->tls = SSL_CTX_new(TLS_client_method());
	if (w->tls == NULL || SSL_CTX_set_ciphersuites(w->tls, suites) != 1) {
		(void)fprintf(
			stderr, "bellhop-bench: OpenSSL does not take the suites %s\n", suites);
		_exit(1);
	}
	(void)SSL_CTX_set_min_proto_version(w->tls, TLS1_2_VERSION);
	if (w->options->tls_12)
		(void)SSL_CTX_set_max_proto_version(w->tls, TLS1_2_VERSION);
	/* Old servers are measured too. */
	(void)SSL_CTX_set_options(
		w->tls, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(w->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(w->tls, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_session_cache_mode(
		w->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(w->tls, on_session);
}

static void start_tls(struct worker *w, struct phone *p)
{
	p->ssl = SSL_new(w->tls);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1)
		abort();
	SSL_set_app_data(p->ssl, p);
	SSL_set_connect_state(p->ssl);
	/* The macro drops const by itself, with a warning. */
	(void)SSL_set_tlsext_host_name(p->ssl, (char *)(uintptr_t)w->target->host);
	if (p->ticket != NULL) {
		const uint8_t *from = p->ticket->bytes;
		SSL_SESSION *session = d2i_SSL_SESSION(NULL, &from, (long)p->ticket->len);

		if (session != NULL) {
			(void)SSL_set_session(p->ssl, session);
			SSL_SESSION_free(session);
		}
	}
}

/* ---- connecting ---- */

static bool bind_source(struct worker *w, const struct phone *p, int fd)
{
	const uint32_t local = (uint32_t)(p - w->phones);
	struct sockaddr_in a = {.sin_family = AF_INET};
	int one = 1;

	/* 127.16.0.1 for the first 6,000 phones of the first worker. */
	a.sin_addr.s_addr = htonl(
		(127u << 24) + (16u << 16) + (w->number << 8) + 1 + local / SOURCE_CONNECTIONS);
	return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0 &&
	       bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

bool wire_connect(struct worker *w, struct phone *p)
{
	const struct sockaddr *to = (const struct sockaddr *)&w->target->address;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = (uint32_t)(p - w->phones)};
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	w->tally->connects++;
	if (fd < 0)
		return false;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (w->marks != NULL)
		(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	if ((w->options->spread && !bind_source(w, p, fd)) ||
		(connect(fd, to, w->target->address_len) < 0 && errno != EINPROGRESS) ||
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int error = errno;

		fd_close(&fd);
		errno = error;
		return false;
	}
	p->fd = fd;
	p->used = p->close_after = p->resumed = false;
	if (w->tls != NULL)
		start_tls(w, p);
	w->tally->connected++;
	return true;
}

int wire_go_on(struct worker *w, struct phone *p)
{
	int error = 0, rc;
	const char *reason;
	socklen_t len = sizeof(error);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		tally_trouble(w->tally, 1, "no connection: %s", strerror(error));
		return -1;
	}
	if (getpeername(p->fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return errno == ENOTCONN ? 0 : -1;
	if (p->ssl == NULL)
		return 1;
	ERR_clear_error();
	rc = SSL_connect(p->ssl);
	if (rc == 1) {
		w->tally->handshakes++;
		p->resumed = SSL_session_reused(p->ssl) == 1;
		w->tally->resumed += p->resumed;
		return 1;
	}
	rc = SSL_get_error(p->ssl, rc);
	if (rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE)
		return 0;
	reason = ERR_reason_error_string(ERR_peek_error());
	tally_trouble(w->tally, 1, "the TLS handshake failed: %s",
		reason != NULL ? reason : "the connection ended");
	return -1;
}

void wire_close(struct worker *w, struct phone *p, bool reset)
{
	if (p->fd < 0)
		return;
	if (p->ssl != NULL) {
		/* A session is good again only when its connection counts as closed in order. */
		SSL_set_quiet_shutdown(p->ssl, reset ? 1 : 0);
		(void)SSL_shutdown(p->ssl);
		SSL_free(p->ssl);
		p->ssl = NULL;
		ERR_clear_error();
	}
	if (reset) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	fd_close(&p->fd);
	w->tally->connected--;
	if (p->out != NULL)
		buf_deinit(p->out);
	if (p->in != NULL)
		buf_deinit(p->in);
	mem_free(p->out);
	mem_free(p->in);
	p->in = p->out = NULL;
}

/* ---- bytes ---- */

/* Bytes taken; -1: none now; -2: broken. */
static ssize_t write_some(struct phone *p, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (p->ssl != NULL) {
		int rc;

		ERR_clear_error();
		rc = SSL_write(p->ssl, bytes, (int)len);
		if (rc > 0)
			return rc;
		rc = SSL_get_error(p->ssl, rc);
		return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? -1 : -2;
	}
	do
		n = send(p->fd, bytes, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : -2;
	return n;
}

bool wire_send(struct worker *w, struct phone *p, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	w->tally->bytes_out += len;
	while (len > 0 && p->out == NULL) {
		ssize_t n = write_some(p, at, len);

		if (n == -2)
			return false;
		if (n < 0)
			break;
		at += n;
		len -= (size_t)n;
	}
	if (len == 0)
		return true;
	if (p->out == NULL)
		p->out = x_new(struct buf);
	buf_add(p->out, at, len);
	return true;
}

bool wire_flush(struct worker *w, struct phone *p)
{
	(void)w;
	while (p->out != NULL) {
		ssize_t n = write_some(p, p->out->data, p->out->len);

		if (n == -2)
			return false;
		if (n < 0)
			return true;
		buf_drop(p->out, (size_t)n);
		if (p->out->len == 0) {
			buf_deinit(p->out);
			mem_free(p->out);
			p->out = NULL;
		}
	}
	return true;
}

/* With the moment at which the kernel had the bytes: they are at the phone then, whenever this
 * process gets to run. */
static ssize_t read_stamped(struct worker *w, struct phone *p, void *bytes, size_t len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct timespec)) * 2];
	} control;
	struct iovec iov = {bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(p->fd, &msg, 0);

	w->arrived_us = 0;
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL; c != NULL;
		c = CMSG_NXTHDR(&msg, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		w->arrived_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	}
	return n;
}

ssize_t wire_read(struct worker *w, struct phone *p, void *bytes, size_t len)
{
	ssize_t n;

	if (p->ssl != NULL) {
		int rc;

		ERR_clear_error();
		rc = SSL_read(p->ssl, bytes, (int)len);
		w->arrived_us = 0;
		if (rc > 0) {
			w->tally->bytes_in += (uint64_t)rc;
			return rc;
		}
		rc = SSL_get_error(p->ssl, rc);
		if (rc == SSL_ERROR_ZERO_RETURN)
			return 0;
		return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? -1 : -2;
	}
	do
		n = w->marks != NULL ? read_stamped(w, p, bytes, len) : recv(p->fd, bytes, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : -2;
	w->tally->bytes_in += (uint64_t)n;
	return n;
}
