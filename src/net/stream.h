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
 * TLS has two forms. It begins with OpenSSL's object; net_stream_detach() leaves of it what
 * net/record.h needs (docs/internals/tls.md). All else works the same for all forms.
 *
 * With edge-triggered events: read until NET_AGAIN, write until NET_AGAIN, and on any event try
 * whatever you want to do, because TLS may need the other direction than the one you asked for.
 */
struct ssl_st;
struct ssl_ctx_st;
struct detach_pool;
struct record_state;

enum net_form {
	NET_PLAIN,
	NET_SSL,      /* OpenSSL's */
	NET_DETACHED, /* our own record layer, nothing under way: what a waiting phone has */
	NET_BUSY,     /* the same, with bytes under way that belong to it */
};

/* Who made a read fail. */
enum net_blame {
	NET_BLAME_NETWORK, /* or something in between */
	NET_BLAME_NOBODY,  /* the peer meant it: an alert, or an end within a record */
	NET_BLAME_PEER,    /* its TLS is broken */
};

struct net_stream {
	int fd;        /* owned; -1: closed */
	uint8_t form;  /* enum net_form */
	uint8_t blame; /* enum net_blame, after a read that failed */
	/* After a read: more may wait, in the socket or in here, that no event will tell of. */
	bool more;
	union { /* all owned */
		struct ssl_st *ssl;
		struct record_state *records;
		struct detached_busy *busy;
	};
};

/* Results below zero; else a count of bytes. */
enum net_result {
	NET_EOF = 0,     /* read: the peer has finished sending, cleanly */
	NET_AGAIN = -1,  /* would block */
	NET_FAILED = -2, /* broken: close it */
};

/* Once in main, before the first thread and before anything else uses OpenSSL: SIGPIPE is ignored
 * (OpenSSL writes with write(2)), OpenSSL is initialised, and wipes what it frees. */
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
/* Of a server, during the handshake: a whole ClientHello came, and it was good. */
bool net_stream_greeted(const struct net_stream *s);
/* Bytes lie in the socket that nobody has read yet. */
bool net_stream_unread(const struct net_stream *s);

/* Count (> 0), NET_EOF, NET_AGAIN or NET_FAILED. max must not be 0. What a TLS peer wants answered
 * (KeyUpdate, an alert) is answered here. */
int64_t net_stream_read(struct net_stream *s, void *bytes, size_t max);
/* Count (> 0; may be fewer than len), NET_AGAIN or NET_FAILED. After NET_AGAIN offer the same bytes
 * again (more may follow): some may be sealed already, and nothing is sealed twice. */
int64_t net_stream_write(struct net_stream *s, const void *bytes, size_t len);
/* Does something wait to be sent that no net_stream_write() will bring: an answer to a KeyUpdate, a
 * close_notify behind half a record? Then net_stream_flush() when there is room. */
bool net_stream_unsent(const struct net_stream *s);
/* 1: nothing waits, NET_AGAIN, NET_FAILED. */
int net_stream_flush(struct net_stream *s);

/*
 * The end in three steps, so that the last answer is not lost to a reset: shut (TLS close_notify,
 * SHUT_WR; behind what is unsent), then drain until NET_EOF, NET_FAILED or the caller's patience
 * ends, then close.
 */
void net_stream_shut(struct net_stream *s);
/* Reads and throws away at most max bytes of the raw socket: NET_AGAIN, NET_EOF, NET_FAILED, or the
 * bytes taken. Sends what is unsent. */
int64_t net_stream_drain(struct net_stream *s, size_t max);
/* What is closed next was not finished: the peer shall see a reset, not an end. */
void net_stream_cut(struct net_stream *s);
/* Harmless when closed. A TLS session stays resumable; keys are wiped. */
void net_stream_close(struct net_stream *s);

bool net_stream_is_tls(const struct net_stream *s);
/* Was the session of an earlier connection resumed? While OpenSSL has it. */
bool net_stream_resumed(const struct net_stream *s);
/* Has TCP given the connection up, because the peer acknowledged nothing for too long? */
bool net_stream_peer_dead(const struct net_stream *s);
/* "TLSv1.3"; "" for plain. Static storage. */
const char *net_stream_tls_version(const struct net_stream *s);

/* ---- detaching ---- */

/*
 * Right after net_stream_init(), so that what detaching needs is noted down from the first byte:
 * nothing happens to a plain stream, or when memory is short. The pool must outlive the stream. The
 * context was prepared by detach_context().
 */
void net_stream_prepare_detach(struct net_stream *s, struct detach_pool *pool);
/*
 * At any time after the handshake. True: OpenSSL's object is gone and the form is NET_DETACHED;
 * read until NET_AGAIN then. False: not now (half a record is under way), or never (another suite
 * than ours; not prepared): it works on as it is. What is wanted of the peer's certificate must be
 * copied out before.
 */
bool net_stream_detach(struct net_stream *s);

/*
 * For handing a connection to another process: the record layer's state is moved out, and s is a
 * plain socket which must only be closed. False: not detached, or bytes are under way (then flush,
 * and try again later). *ret is a secret: wipe it when it has been sent.
 */
bool net_stream_export(struct net_stream *s, struct record_state *ret);
/* The other half. Takes fd; state is copied, and checked. */
NODISCARD int net_stream_import(struct net_stream *s, int fd, struct detach_pool *pool,
	const struct record_state *state, struct err *err);

#endif
