#ifndef BELLHOP_NET_DETACH_H
#define BELLHOP_NET_DETACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Detached TLS: what belongs to a loop (the pool), and how a context is prepared for it. The
 * connections themselves are streams (net/stream.h).
 */
struct detach_pool;
struct net_kdf;
struct record_crypto;
struct ssl_ctx_st;

/* One thread. max_held_bytes: of parts of records and of sealed bytes that wait for room, over all
 * connections; what would be above it breaks its connection. */
NODISCARD int detach_pool_new(size_t max_held_bytes, struct detach_pool **ret, struct err *err);
/* All its streams are closed. */
void detach_pool_free(struct detach_pool **p);
struct record_crypto *detach_pool_crypto(struct detach_pool *p);
/* Secrets come from our key schedule (net/kdf.h), which must outlive the handshakes; NULL, as at
 * first: from the key log, whose lines OpenSSL must print. */
void detach_pool_set_kdf(struct detach_pool *p, struct net_kdf *kdf);
/* Covers the keys of whoever read or wrote last. The loop's, before it sleeps. */
void detach_pool_rest(struct detach_pool *p);
void detach_pool_set_max_held(struct detach_pool *p, size_t max_bytes);
/* Bytes that are held now, beside the states. */
size_t detach_pool_held(const struct detach_pool *p);
/* Connections; and 0, or the errno of the first attempt to lock their keys into memory. */
size_t detach_pool_count(const struct detach_pool *p);
int detach_pool_lock_error(const struct detach_pool *p);

/* Connections of this context can be detached from now on. Of those that stay with OpenSSL, too
 * many KeyUpdates in a minute are the end. */
void detach_context(struct ssl_ctx_st *ctx, uint32_t updates_per_minute);

/*
 * Does our record layer agree with this OpenSSL? Handshakes within the process, with the context
 * that will serve, for each suite in both versions, full and resumed, with data both ways and new
 * keys. Some milliseconds. Suites that the context does not serve are left out. -1 says what went
 * wrong: then nothing should be detached.
 */
NODISCARD int detach_self_test(struct detach_pool *p, struct ssl_ctx_st *ctx, struct err *err);

#endif
