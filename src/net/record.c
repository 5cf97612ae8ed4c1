/*
 * TLS records after the handshake: what may come, what it means, what it makes of the state.
 *
 * Nothing here waits or allocates. A record that is opened has either moved the state on by exactly
 * one sequence number, or ended the connection; a record that is sealed has used one up, whatever
 * becomes of it. The state never goes back.
 *
 * What a server meets after a handshake, and our answer:
 *	data			taken
 *	KeyUpdate (1.3)		followed; answered when asked for; bounded per minute
 *	ClientHello (1.2)	no_renegotiation, a warning, and on
 *	close_notify		the end of reading
 *	user_canceled, and the other warnings of 1.2: passed over
 *	any other alert		the end
 *	everything else		an alert and the end
 * IDLE_MAX records in a row without data are borne, no matter what they are.
 */
#include "net/record.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/record_internal.h"

#define TYPE_CHANGE_CIPHER_SPEC 20
#define TYPE_ALERT              21
#define TYPE_HANDSHAKE          22
#define TYPE_DATA               23

#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_KEY_UPDATE   24

#define LEVEL_WARNING       1
#define LEVEL_FATAL         2
#define ALERT_USER_CANCELED 90

#define IDLE_MAX           32
#define EXPLICIT_BYTES     8u
#define EXPANSION_13       256u /* RFC 8446, 5.2: what TLSCiphertext may have beside its content */
#define SEQ_MAX            (UINT32_MAX - 1)
#define MINUTE_MS          60000
#define MAX_FRAGMENT_CODES 4
#define FLAGS_KNOWN        (RECORD_CLOSE_SEEN | RECORD_CLOSE_SENT)

static bool is_gcm(const struct record_state *s)
{
	return s->suite != RECORD_CHACHA20_POLY1305;
}

/* Bytes of explicit nonce in a record. */
static size_t explicit_bytes(const struct record_state *s)
{
	return s->version == RECORD_TLS_1_2 && is_gcm(s) ? EXPLICIT_BYTES : 0;
}

size_t record_plain_max(const struct record_state *s)
{
	/* RFC 6066, 4: 1 is 2^9, ... 4 is 2^12. */
	return s->max_fragment == 0 ? RECORD_PLAIN_MAX : (size_t)256 << s->max_fragment;
}

/* ---- states ---- */

void record_init_13(struct record_state *s, enum record_suite suite, const uint8_t *read_secret,
	const uint8_t *write_secret)
{
	*s = (struct record_state){.version = RECORD_TLS_1_3, .suite = (uint8_t)suite};
	memcpy(s->secret.read, read_secret, record_secret_bytes(suite));
	memcpy(s->secret.write, write_secret, record_secret_bytes(suite));
	record_derive(s);
}

bool record_state_is_sound(const struct record_state *s)
{
	return (s->version == RECORD_TLS_1_2 || s->version == RECORD_TLS_1_3) &&
	       s->suite > RECORD_SUITE_NONE && s->suite < RECORD_SUITE_END &&
	       s->max_fragment <= MAX_FRAGMENT_CODES && (s->flags & ~FLAGS_KNOWN) == 0 &&
	       s->idle <= IDLE_MAX + 1;
}

void record_next_read(struct record_crypto *c, struct record_state *s)
{
	record_crypto_advance(s, RECORD_READ);
	record_crypto_forget(c, RECORD_READ);
	s->read_seq = 0;
}

void record_next_write(struct record_crypto *c, struct record_state *s)
{
	record_crypto_advance(s, RECORD_WRITE);
	record_crypto_forget(c, RECORD_WRITE);
	s->write_seq = 0;
}

/* ---- opening ---- */

static enum record_event bad(uint8_t alert, uint8_t *ret_alert)
{
	*ret_alert = alert;
	return RECORD_BAD;
}

size_t record_length(const struct record_state *s, const uint8_t *header, uint8_t *ret_alert)
{
	size_t len = (size_t)header[3] << 8 | header[4];
	size_t beside = explicit_bytes(s) + RECORD_TAG_BYTES;
	uint8_t type = header[0];

	if (header[1] != 3 || header[2] != 3) {
		*ret_alert = RECORD_ALERT_PROTOCOL_VERSION;
		return 0;
	}
	/* In 1.3 everything is dressed up as data, from the handshake on. */
	if (s->version == RECORD_TLS_1_3
			? type != TYPE_DATA
			: type != TYPE_ALERT && type != TYPE_HANDSHAKE && type != TYPE_DATA) {
		*ret_alert = RECORD_ALERT_UNEXPECTED_MESSAGE;
		return 0;
	}
	if (len > RECORD_PLAIN_MAX + (s->version == RECORD_TLS_1_3 ? EXPANSION_13 : beside)) {
		*ret_alert = RECORD_ALERT_RECORD_OVERFLOW;
		return 0;
	}
	if (len < beside + (s->version == RECORD_TLS_1_3 ? 1 : 0)) {
		*ret_alert = RECORD_ALERT_BAD_RECORD_MAC;
		return 0;
	}
	return RECORD_HEADER_BYTES + len;
}

/* RFC 5246, 6.2.3.3. */
static size_t make_aad_12(uint32_t seq, uint8_t type, size_t plain_len, uint8_t aad[13])
{
	memset(aad, 0, 4);
	for (int i = 0; i < 4; i++)
		aad[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
	aad[8] = type;
	aad[9] = 3;
	aad[10] = 3;
	aad[11] = (uint8_t)(plain_len >> 8);
	aad[12] = (uint8_t)plain_len;
	return 13;
}

/* Decrypts; *ret_len is that of the inner plain text. */
static bool decrypt(struct record_crypto *c, struct record_state *s, const uint8_t *record,
	size_t len, uint8_t *out, size_t *ret_len)
{
	const uint8_t *body = record + RECORD_HEADER_BYTES;
	size_t explicit = explicit_bytes(s);
	size_t plain = len - RECORD_HEADER_BYTES - explicit - RECORD_TAG_BYTES;
	uint8_t aad[13];
	size_t aad_len = RECORD_HEADER_BYTES;

	if (s->version == RECORD_TLS_1_2)
		aad_len = make_aad_12(s->read_seq, record[0], plain, aad);
	else
		memcpy(aad, record, RECORD_HEADER_BYTES);
	if (s->read_seq > SEQ_MAX ||
		!record_crypto_run(c, s, RECORD_READ, s->read_seq, explicit > 0 ? body : NULL, aad,
			aad_len, body + explicit, plain, out))
		return false;
	s->read_seq++;
	*ret_len = plain;
	return true;
}

static enum record_event open_alert(
	const struct record_state *s, const uint8_t *bytes, size_t len, uint8_t *ret_alert)
{
	if (len != 2)
		return bad(RECORD_ALERT_DECODE_ERROR, ret_alert);
	if (bytes[1] == RECORD_ALERT_CLOSE_NOTIFY)
		return RECORD_CLOSED;
	/* In 1.3 the level means nothing, and everything but these two is the end. */
	if (bytes[1] == ALERT_USER_CANCELED ||
		(s->version == RECORD_TLS_1_2 && bytes[0] == LEVEL_WARNING))
		return RECORD_NOTHING;
	return RECORD_GONE;
}

/* May the peer have new keys once more? */
static bool count_update(struct record_crypto *c, struct record_state *s)
{
	uint8_t minute = (uint8_t)(clock_now_ms() / MINUTE_MS);

	if (s->updates_minute != minute) {
		s->updates_minute = minute;
		s->updates = 0;
	}
	if (s->updates >= MIN(record_crypto_limits(c)->updates_per_minute, (uint32_t)UINT16_MAX))
		return false;
	s->updates++;
	return true;
}

/* RFC 8446, 4.6.3. One whole message, alone in its record: a peer has nothing else to say. */
static enum record_event open_handshake_13(struct record_crypto *c, struct record_state *s,
	const uint8_t *bytes, size_t len, uint8_t *ret_alert)
{
	static const uint8_t key_update[4] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1};
	bool requested;

	if (len != 5 || memcmp(bytes, key_update, 4) != 0)
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	if (bytes[4] > 1)
		return bad(RECORD_ALERT_ILLEGAL_PARAMETER, ret_alert);
	requested = bytes[4] == 1;
	if (!count_update(c, s))
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	record_next_read(c, s);
	return requested ? RECORD_UPDATE : RECORD_NOTHING;
}

static enum record_event open_handshake_12(const uint8_t *bytes, size_t len, uint8_t *ret_alert)
{
	size_t message;

	if (len < 4 || bytes[0] != HANDSHAKE_CLIENT_HELLO)
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	message = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (message != len - 4)
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	return RECORD_REFUSE;
}

static enum record_event open_content(struct record_crypto *c, struct record_state *s, uint8_t type,
	const uint8_t *bytes, size_t len, size_t *ret_len, uint8_t *ret_alert)
{
	if (len > record_plain_max(s))
		return bad(RECORD_ALERT_RECORD_OVERFLOW, ret_alert);
	switch (type) {
	case TYPE_DATA:
		*ret_len = len;
		return len > 0 ? RECORD_DATA : RECORD_NOTHING;
	case TYPE_ALERT:
		return open_alert(s, bytes, len, ret_alert);
	case TYPE_HANDSHAKE:
		return s->version == RECORD_TLS_1_3 ? open_handshake_13(c, s, bytes, len, ret_alert)
						    : open_handshake_12(bytes, len, ret_alert);
	default:
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	}
}

static enum record_event open_one(struct record_crypto *c, struct record_state *s,
	const uint8_t *record, size_t len, uint8_t *out, size_t *ret_len, uint8_t *ret_alert)
{
	enum record_event event;
	uint8_t type = record[0];
	size_t plain = 0;

	if (!decrypt(c, s, record, len, out, &plain))
		return bad(RECORD_ALERT_BAD_RECORD_MAC, ret_alert);
	if (s->version == RECORD_TLS_1_3) {
		/* TLSInnerPlaintext, RFC 8446, 5.4: content, its type, zeros. */
		if (plain > RECORD_PLAIN_MAX + 1)
			return bad(RECORD_ALERT_RECORD_OVERFLOW, ret_alert);
		while (plain > 0 && out[plain - 1] == 0)
			plain--;
		if (plain == 0)
			return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
		type = out[--plain];
	}
	event = open_content(c, s, type, out, plain, ret_len, ret_alert);
	if (event == RECORD_DATA)
		s->idle = 0;
	/* KeyUpdates have a bound of their own. */
	if ((event == RECORD_NOTHING || event == RECORD_REFUSE) &&
		(s->version == RECORD_TLS_1_2 || type != TYPE_HANDSHAKE) && s->idle++ >= IDLE_MAX)
		return bad(RECORD_ALERT_UNEXPECTED_MESSAGE, ret_alert);
	return event;
}

enum record_event record_open(struct record_crypto *c, struct record_state *s,
	const uint8_t *record, size_t len, uint8_t *out, size_t *ret_len, uint8_t *ret_alert)
{
	enum record_event event;

	if ((s->flags & RECORD_CLOSE_SEEN) != 0)
		return RECORD_CLOSED;
	event = open_one(c, s, record, len, out, ret_len, ret_alert);
	if (event == RECORD_CLOSED || event == RECORD_GONE || event == RECORD_BAD)
		s->flags |= RECORD_CLOSE_SEEN;
	return event;
}

/* ---- sealing ---- */

bool record_update_is_due(const struct record_crypto *c, const struct record_state *s)
{
	return s->version == RECORD_TLS_1_3 &&
	       s->write_seq >= record_crypto_limits(c)->update_after;
}

static void put_header(uint8_t *out, uint8_t type, size_t len)
{
	out[0] = type;
	out[1] = 3;
	out[2] = 3;
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
}

/* The explicit nonce counts on from wherever OpenSSL began. */
static void next_nonce(uint8_t nonce[EXPLICIT_BYTES])
{
	for (int i = EXPLICIT_BYTES - 1; i >= 0 && ++nonce[i] == 0; i--)
		;
}

static size_t seal_12(struct record_crypto *c, struct record_state *s, uint32_t seq, uint8_t type,
	const uint8_t *bytes, size_t len, uint8_t *out)
{
	size_t explicit = explicit_bytes(s), body = explicit + len + RECORD_TAG_BYTES;
	uint8_t *nonce = out + RECORD_HEADER_BYTES, aad[13];
	size_t aad_len = make_aad_12(seq, type, len, aad);

	put_header(out, type, body);
	memcpy(nonce, s->key.nonce, explicit);
	next_nonce(s->key.nonce);
	(void)record_crypto_run(c, s, RECORD_WRITE, seq, explicit > 0 ? nonce : NULL, aad, aad_len,
		bytes, len, nonce + explicit);
	return RECORD_HEADER_BYTES + body;
}

static size_t seal_13(struct record_crypto *c, const struct record_state *s, uint32_t seq,
	uint8_t type, const uint8_t *bytes, size_t len, size_t padding, uint8_t *out)
{
	size_t inner = len + 1 + padding, body = inner + RECORD_TAG_BYTES;
	uint8_t *plain = out + RECORD_HEADER_BYTES;

	put_header(out, TYPE_DATA, body);
	if (len > 0)
		memcpy(plain, bytes, len);
	plain[len] = type;
	memset(plain + len + 1, 0, padding);
	(void)record_crypto_run(
		c, s, RECORD_WRITE, seq, NULL, out, RECORD_HEADER_BYTES, plain, inner, plain);
	return RECORD_HEADER_BYTES + body;
}

size_t record_seal_any(struct record_crypto *c, struct record_state *s, uint8_t type,
	const uint8_t *bytes, size_t len, size_t padding, uint8_t *out)
{
	uint32_t seq;

	if ((s->flags & RECORD_CLOSE_SENT) != 0 || s->write_seq > SEQ_MAX)
		return 0;
	seq = s->write_seq++; /* used up, whatever comes */
	return s->version == RECORD_TLS_1_3 ? seal_13(c, s, seq, type, bytes, len, padding, out)
					    : seal_12(c, s, seq, type, bytes, len, out);
}

size_t record_seal(struct record_crypto *c, struct record_state *s, const uint8_t *bytes,
	size_t len, uint8_t *out)
{
	return record_seal_any(c, s, TYPE_DATA, bytes, len, 0, out);
}

size_t record_seal_alert(
	struct record_crypto *c, struct record_state *s, bool fatal, uint8_t alert, uint8_t *out)
{
	uint8_t bytes[2] = {fatal ? LEVEL_FATAL : LEVEL_WARNING, alert};
	size_t n = record_seal_any(c, s, TYPE_ALERT, bytes, sizeof(bytes), 0, out);

	if (fatal || alert == RECORD_ALERT_CLOSE_NOTIFY)
		s->flags |= RECORD_CLOSE_SENT;
	return n;
}

size_t record_seal_update(
	struct record_crypto *c, struct record_state *s, bool requested, uint8_t *out)
{
	uint8_t bytes[5] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1, requested ? 1 : 0};
	size_t n = record_seal_any(c, s, TYPE_HANDSHAKE, bytes, sizeof(bytes), 0, out);

	if (n > 0)
		record_next_write(c, s);
	return n;
}
