#ifndef BELLHOP_NET_DETACH_INTERNAL_H
#define BELLHOP_NET_DETACH_INTERNAL_H

#include "base/buf.h"
#include "net/detach.h"
#include "net/record.h"
#include "net/stream.h"
#include "net/vault.h"

/*
 * The parts of detached TLS: detach.c takes a connection out of OpenSSL, detached.c reads and
 * writes it afterwards, detach_test.c is the test at start.
 */

#define DETACH_CHUNK (32u * 1024) /* read at once */
#define DETACH_SEAL  (2u * RECORD_PLAIN_MAX)

struct detach_pool {
	struct vault *states; /* of struct record_state */
	struct record_crypto *crypto;
	struct net_kdf *kdf; /* not owned; NULL: secrets come from the key log */
	size_t held, max_held;
	/* Scratch: raw input behind what was left of the last, opened records, sealed records. */
	uint8_t in[RECORD_WIRE_MAX + DETACH_CHUNK];
	uint8_t plain[RECORD_WIRE_MAX];
	uint8_t out[DETACH_SEAL + 70 * RECORD_OVERHEAD];
};

/* What a connection has only while a record is under way. */
struct detached_busy {
	struct record_state *records; /* owned */
	struct buf in;                /* the beginning of a record */
	struct buf plain;             /* opened, and not asked for yet */
	struct buf out;               /* sealed, and not taken by the socket yet */
	size_t out_at;
	size_t accepted;  /* plain bytes in `out` that net_stream_write() has not reported */
	size_t charged;   /* counted in the pool's held */
	bool update_sent; /* an answer to a KeyUpdate is in `out` already */
	bool shut_due;    /* SHUT_WR when `out` is empty */
};

/* The only ways to states of the pool and back: what the cipher contexts hold of one that lay in
 * the same place does not outlive it. take: NULL when memory is short. */
struct record_state *detach_state_take(struct detach_pool *p);
void detach_state_put(struct record_state *state);

int64_t detached_read(struct net_stream *s, void *bytes, size_t max);
int64_t detached_write(struct net_stream *s, const void *bytes, size_t len);
int detached_flush(struct net_stream *s);
void detached_shut(struct net_stream *s);
void detached_close(struct net_stream *s);

/* A step of the handshake begins, or is over. */
void detach_step(struct net_stream *s, bool begins);
/* The note-taking that net_stream_prepare_detach() began; before SSL_free(). */
void detach_abandon(struct net_stream *s);

#endif
