#ifndef BELLHOP_NET_HKDF_H
#define BELLHOP_NET_HKDF_H

#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

/*
 * HMAC and HKDF (RFC 5869) as TLS 1.3 uses them (RFC 8446, 7.1), on the bare hash functions: some
 * twenty of these make the keys of a connection, and OpenSSL's general interfaces cost more than
 * the hashing. Pure; nothing is allocated. What is left on the stack is wiped.
 */

enum hkdf_hash { HKDF_SHA256, HKDF_SHA384, HKDF_HASHES };

#define HKDF_BLOCK_MAX 128u
#define HKDF_BYTES_MAX 64u /* what the hash functions may write */

/* What HMAC makes of a secret before the message comes. Holds what is as good as the secret: end it
 * with hkdf_end(). */
struct hkdf_key {
	enum hkdf_hash hash;
	union hkdf_state {
		SHA256_CTX s256;
		SHA512_CTX s512; /* of SHA-384, too */
	} inner, outer;
};

struct hkdf_bytes {
	const void *at;
	size_t len;
};

/* Bytes of a hash, and of its block. */
size_t hkdf_hash_bytes(enum hkdf_hash hash);
size_t hkdf_hash_block(enum hkdf_hash hash);
/* len: at most the hash's block. */
void hkdf_begin(struct hkdf_key *k, enum hkdf_hash hash, const uint8_t *secret, size_t len);
void hkdf_end(struct hkdf_key *k);
/* HMAC of the parts, one behind the other, as long as the hash. Any number under the same key. */
void hkdf_hmac(
	const struct hkdf_key *k, const struct hkdf_bytes *parts, size_t count, uint8_t *ret);
/* HKDF-Expand-Label: prefix ("tls13 ") and label are 255 bytes at most together, the context too;
 * len: at most that of the hash. */
void hkdf_expand_label(const struct hkdf_key *k, const struct hkdf_bytes *prefix,
	const struct hkdf_bytes *label, const struct hkdf_bytes *context, size_t len, uint8_t *ret);
/* Of nothing. */
void hkdf_hash_empty(enum hkdf_hash hash, uint8_t *ret);

#endif
