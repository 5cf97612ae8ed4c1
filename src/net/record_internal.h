#ifndef BELLHOP_NET_RECORD_INTERNAL_H
#define BELLHOP_NET_RECORD_INTERNAL_H

#include "net/record.h"

/*
 * Between record.c, which knows the rules, and record_crypto.c, which knows OpenSSL.
 */

#define RECORD_TAG_BYTES   16u
#define RECORD_NONCE_BYTES 12u

enum record_way { RECORD_READ, RECORD_WRITE };

struct record_limits {
	uint32_t updates_per_minute, update_after;
};

const struct record_limits *record_crypto_limits(const struct record_crypto *c);
/* The key of a direction has changed: it is taken anew before the next record. */
void record_crypto_forget(struct record_crypto *c, enum record_way way);
/* The next generation of a direction: HKDF-Expand-Label(secret, "traffic upd", "", length of the
 * hash), in place, and the keys of that. */
void record_crypto_advance(struct record_state *s, enum record_way way);
/*
 * One AEAD operation with the connection's key for this direction. explicit_nonce: 8 bytes, for GCM
 * in 1.2, else NULL. Write: len plain bytes from in, then the tag behind them in out. Read: len
 * bytes with the tag behind them; false when it is wrong. in and out are the same or apart.
 */
bool record_crypto_run(struct record_crypto *c, const struct record_state *s, enum record_way way,
	uint32_t seq, const uint8_t *explicit_nonce, const uint8_t *aad, size_t aad_len,
	const uint8_t *in, size_t len, uint8_t *out);

#endif
