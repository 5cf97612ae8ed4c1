#ifndef BELLHOP_NET_RECORD_H
#define BELLHOP_NET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Our own TLS record layer: seals and opens records of a connection whose handshake OpenSSL has
 * done and whose SSL object is gone (docs/internals/tls.md). TLS 1.3 (RFC 8446, section 5) and the
 * AEAD suites of TLS 1.2 (RFC 5246, section 6.2.3.3; RFC 5288; RFC 7905). No input or output here:
 * records in, records out. What follows a handshake is decided here: KeyUpdate, alerts, floods.
 *
 * A connection is one struct record_state. The OpenSSL contexts that take its keys belong to the
 * loop: struct record_crypto. One thread.
 */

enum record_suite {
	RECORD_SUITE_NONE = 0,
	RECORD_AES_128_GCM,       /* with SHA-256 */
	RECORD_AES_256_GCM,       /* with SHA-384 */
	RECORD_CHACHA20_POLY1305, /* with SHA-256 */
	RECORD_SUITE_END
};

enum record_version { RECORD_TLS_1_2 = 3, RECORD_TLS_1_3 = 4 };

#define RECORD_HEADER_BYTES 5u
#define RECORD_PLAIN_MAX    16384u
/* The longest that is taken: header, plain text, and what TLS 1.3 allows beside it. */
#define RECORD_WIRE_MAX (RECORD_HEADER_BYTES + RECORD_PLAIN_MAX + 256u)
/* What a record that we seal is longer than its plain text, at most (1.2: explicit nonce and tag).
 */
#define RECORD_OVERHEAD   (RECORD_HEADER_BYTES + 8u + 16u)
#define RECORD_SECRET_MAX 48u

/* Bits of record_state.flags. */
#define RECORD_CLOSE_SEEN 1u /* the peer's close_notify: nothing is read any more */
#define RECORD_CLOSE_SENT 2u /* ours, or a fatal alert: nothing is sealed any more */

/*
 * All of a detached connection. No pointer in it: its first RECORD_STATE_BYTES may be handed to
 * another process byte for byte, and must then be dead here before they leave. Sequence numbers are
 * those of the next record; a connection ends before one of them wraps.
 */
struct record_state {
	uint8_t version;        /* enum record_version */
	uint8_t suite;          /* enum record_suite */
	uint8_t max_fragment;   /* code of RFC 6066, section 4; 0: 16,384 */
	uint8_t flags;          /* RECORD_... */
	uint8_t idle;           /* records in a row that carried no data */
	uint8_t updates_minute; /* the minute (modulo 256) in which `updates` came */
	uint16_t updates;       /* KeyUpdates of the peer */
	uint32_t read_seq, write_seq;
	union {
		struct { /* TLS 1.3: application traffic secrets; 32 or 48 bytes are used */
			uint8_t read[RECORD_SECRET_MAX], write[RECORD_SECRET_MAX];
		} secret;
		struct { /* TLS 1.2 */
			uint8_t read_key[32], write_key[32];
			uint8_t read_iv[12], write_iv[12]; /* GCM: 4 bytes, the implicit part */
			uint8_t nonce[8]; /* GCM: the explicit part of the next record sealed */
		} key;
	};
	/* TLS 1.3: made of the secrets (record_derive()), which takes longer than all else that a
	 * short record needs. */
	struct record_keys {
		uint8_t read_key[32], write_key[32];
		uint8_t read_iv[12], write_iv[12];
	} derived;
};

#define RECORD_STATE_BYTES 112
_Static_assert(offsetof(struct record_state, derived) == RECORD_STATE_BYTES, "what is handed over");
_Static_assert(sizeof(struct record_state) == 200, "what detached TLS costs");

/* ---- what the loop owns ---- */

struct record_crypto;
struct nonce_set;

NODISCARD int record_crypto_new(struct record_crypto **ret, struct err *err);
void record_crypto_free(struct record_crypto **c);
/* KeyUpdates taken of one peer in a minute; and after how many records of our own we update. */
void record_crypto_set_limits(
	struct record_crypto *c, uint32_t updates_per_minute, uint32_t update_after);
#define RECORD_UPDATES_PER_MINUTE 1200
#define RECORD_UPDATE_AFTER       (1u << 23) /* RFC 8446, 5.5: AES-GCM is good for 2^24.5 */
/* Keeps every key and nonce that is used from now on, and aborts on a repeat. NULL: no more. Kept,
 * must outlive. */
void record_crypto_watch_nonces(struct record_crypto *c, struct nonce_set *nonces);
/*
 * After any number of record_open() and record_seal(): no key is left in the contexts. Must be
 * called before another connection's state may take the place of one that was used, and before the
 * loop sleeps.
 */
void record_crypto_rest(struct record_crypto *c);
/* This state goes away, or begins anew: the same, when its keys are in the contexts. */
void record_crypto_leave(struct record_crypto *c, const struct record_state *s);

/* ---- a connection ---- */

/* Bytes of a traffic secret. */
size_t record_secret_bytes(enum record_suite suite);
/* TLS 1.3, from the secrets: read is the peer's. Sequence numbers 0. */
void record_init_13(struct record_state *s, enum record_suite suite, const uint8_t *read_secret,
	const uint8_t *write_secret);
/* TLS 1.2, from the master secret (48 bytes) and both randoms (32 each). Sequence numbers 0. */
NODISCARD int record_init_12(struct record_state *s, enum record_suite suite, const uint8_t *master,
	const uint8_t *client_random, const uint8_t *server_random, bool server, struct err *err);
/* TLS 1.3: makes `derived` anew, after the secrets were written or came from another process. */
void record_derive(struct record_state *s);
/* Is this a state that we could have made? For what comes from another process. */
bool record_state_is_sound(const struct record_state *s);
/* TLS 1.3: the next generation of the secret on one side; its sequence number begins anew. */
void record_next_read(struct record_crypto *c, struct record_state *s);
void record_next_write(struct record_crypto *c, struct record_state *s);

/* ---- opening ---- */

enum record_event {
	RECORD_DATA,    /* *ret_len > 0 bytes of the application */
	RECORD_NOTHING, /* a record without any; go on */
	RECORD_UPDATE,  /* the peer has new keys, and wants us to have some: record_seal_update() */
	RECORD_REFUSE,  /* a wish for renegotiation: record_seal_alert(warning, no_renegotiation) */
	RECORD_CLOSED,  /* close_notify */
	RECORD_GONE,    /* an alert that ends the connection: the peer has given up */
	RECORD_BAD,     /* against the rules: send the fatal alert *ret_alert and close */
};

/* Alerts of ours, RFC 8446, section 6. */
enum record_alert {
	RECORD_ALERT_CLOSE_NOTIFY = 0,
	RECORD_ALERT_UNEXPECTED_MESSAGE = 10,
	RECORD_ALERT_BAD_RECORD_MAC = 20,
	RECORD_ALERT_RECORD_OVERFLOW = 22,
	RECORD_ALERT_ILLEGAL_PARAMETER = 47,
	RECORD_ALERT_DECODE_ERROR = 50,
	RECORD_ALERT_PROTOCOL_VERSION = 70,
	RECORD_ALERT_INTERNAL_ERROR = 80,
	RECORD_ALERT_NO_RENEGOTIATION = 100,
};

/*
 * Length of the record that begins here, header included, for at least RECORD_HEADER_BYTES bytes.
 * 0: no such record may come (*ret_alert says what to answer), known before its body is here.
 */
size_t record_length(const struct record_state *s, const uint8_t *header, uint8_t *ret_alert);
/*
 * Opens one whole record, `len` as record_length() said. The plain text goes to out, which may be
 * the record's own place (record + RECORD_HEADER_BYTES, or record) and has room for len bytes.
 */
enum record_event record_open(struct record_crypto *c, struct record_state *s,
	const uint8_t *record, size_t len, uint8_t *out, size_t *ret_len, uint8_t *ret_alert);

/* ---- sealing ---- */

/* Plain bytes that one record takes at most. */
size_t record_plain_max(const struct record_state *s);
/* Is it time for new keys of our own (1.3)? Then record_seal_update() before anything else. */
bool record_update_is_due(const struct record_crypto *c, const struct record_state *s);
/*
 * Each writes one record to out, which has room for the plain text + RECORD_OVERHEAD and does not
 * overlap, and gives its length. It uses up a sequence number: what was sealed is sent, byte for
 * byte and in this order, or the connection dies. 0: nothing may be sealed any more (closed, or the
 * sequence numbers are used up).
 */
size_t record_seal(struct record_crypto *c, struct record_state *s, const uint8_t *bytes,
	size_t len, uint8_t *out);
size_t record_seal_alert(
	struct record_crypto *c, struct record_state *s, bool fatal, uint8_t alert, uint8_t *out);
/* TLS 1.3: KeyUpdate, and then new keys on our side. requested: the peer is to do the same. */
size_t record_seal_update(
	struct record_crypto *c, struct record_state *s, bool requested, uint8_t *out);
/* Tests: any content type, with `padding` zero bytes behind it in 1.3. */
size_t record_seal_any(struct record_crypto *c, struct record_state *s, uint8_t type,
	const uint8_t *bytes, size_t len, size_t padding, uint8_t *out);

#endif
