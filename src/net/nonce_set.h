#ifndef BELLHOP_NET_NONCE_SET_H
#define BELLHOP_NET_NONCE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Every (key, nonce) that was ever used to seal, as 64-bit prints in a table that several processes
 * may share: a second use aborts, for with AES-GCM it would give the key away. For tests and debug
 * builds, never for serving. Lock-free; any number of threads and processes.
 */
struct nonce_set;

/* A table of 2^bits prints (8 bytes each). path: a file that processes share, made when it is not
 * there; NULL: this process alone. */
NODISCARD int nonce_set_open(
	const char *path, unsigned bits, struct nonce_set **ret, struct err *err);
void nonce_set_close(struct nonce_set **s);

uint64_t nonce_set_print(const struct nonce_set *s, const void *key, size_t len);
/* Aborts with a line on standard error when it was there before, or when the table is full. */
void nonce_set_add(struct nonce_set *s, uint64_t key_print, const uint8_t *nonce, size_t len);
/* How many are in it. */
uint64_t nonce_set_count(const struct nonce_set *s);

#endif
