#ifndef BELLHOP_NET_STREAM_H
#define BELLHOP_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A connected non-blocking socket, plain or TLS. All of EINTR, EAGAIN, partial transfers, SIGPIPE
 * and OpenSSL's wants and errors is settled here, once. A value of 16 bytes: embed it. One thread.
 *
 * With edge-triggered events: read until NET_AGAIN, write until NET_AGAIN, and on any event try
 * whatever you want to do, because TLS may need the other direction than the one you asked for.
 */
struct ssl_st;
struct ssl_ctx_st;

struct net_stream {
	int fd;             /* owned; -1: closed */
	struct ssl_st *ssl; /* owned; NULL: plain */
};

/* Results below zero; else a count of bytes. */
enum net_result {
	NET_EOF = 0,     /* read: the peer has finished sending, cleanly */
	NET_AGAIN = -1,  /* would block */
	NET_FAILED = -2, /* broken: close it */
};

/* Once in main, before the first thread: SIGPIPE is ignored (OpenSSL writes with write(2)), OpenSSL
 * is initialised. */
void net_setup(void);

/* Takes fd. ssl_ctx: a TLS server on it (the context may be freed or replaced later); NULL: plain.
 */
NODISCARD int net_stream_init(
	struct net_stream *s, int fd, struct ssl_ctx_st *ssl_ctx, struct err *err);
/* The same as a TLS client which checks nothing: for tests and local probes. */
NODISCARD int net_stream_init_client(
	struct net_stream *s, int fd, struct ssl_ctx_st *ssl_ctx, struct err *err);
/* 1: done (plain: always), NET_AGAIN, or NET_FAILED with *err saying why. */
int net_stream_handshake(struct net_stream *s, struct err *err);

/* Count (> 0), NET_EOF, NET_AGAIN or NET_FAILED. max must not be 0. */
int64_t net_stream_read(struct net_stream *s, void *bytes, size_t max);
/* Count (> 0; may be fewer than len), NET_AGAIN or NET_FAILED. After NET_AGAIN offer the same bytes
 * again (more may follow). */
int64_t net_stream_write(struct net_stream *s, const void *bytes, size_t len);

/*
 * The end in three steps, so that the last answer is not lost to a reset: shut (TLS close_notify,
 * SHUT_WR), then drain until NET_EOF, NET_FAILED or the caller's patience ends, then close.
 */
void net_stream_shut(struct net_stream *s);
/* Reads and throws away at most max bytes of the raw socket: NET_AGAIN, NET_EOF, NET_FAILED, or the
 * bytes taken. */
int64_t net_stream_drain(struct net_stream *s, size_t max);
/* Harmless when closed. A TLS session stays resumable. */
void net_stream_close(struct net_stream *s);

/* "TLSv1.3"; "" for plain. Static storage. */
const char *net_stream_tls_version(const struct net_stream *s);

#endif
