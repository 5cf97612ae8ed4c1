/*
 * Taking a connection out of OpenSSL. Three things are noted down while its object lives (struct
 * notes), because nobody can be asked for them afterwards:
 * - the two application secrets of TLS 1.3, straight into the state where they will stay: from our
 *   key schedule, which makes them; or, where OpenSSL's own does, from the key log callback. Of the
 *   other lines of the key log nothing is kept; and most are never made: the callback is there only
 *   from a Finished on, within the steps of that connection's handshake, and until our own secret
 *   has come;
 * - how many records went each way under the application keys: a callback on the socket's BIO
 *   follows the record headers. In 1.3 the count begins with the secret, in 1.2 behind
 *   ChangeCipherSpec;
 * - in 1.2 the last explicit nonce that we sent, for OpenSSL began with a random one and ours must
 *   go on from there.
 *
 * Invariant: a connection is detached only between two records, in both directions, with nothing
 * inside OpenSSL (SSL_has_pending; read-ahead is off, so it never reads past the record at hand;
 * SSL_want_write: a sealed record of which the socket has taken nothing yet).
 * What it does not know how to take over stays with OpenSSL: suites that are not AEAD, keys that
 * were updated meanwhile.
 */
#include "net/detach.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/detach_internal.h"
#include "net/kdf.h"

#define TYPE_CHANGE_CIPHER_SPEC 20
#define EXPLICIT_BYTES          8u
#define HANDSHAKE_CLIENT_HELLO  1
#define HANDSHAKE_FINISHED      20
#define HANDSHAKE_KEY_UPDATE    24
#define MINUTE_MS               60000

/* One direction of the wire, as far as record headers tell. */
struct wire {
	uint8_t head[RECORD_HEADER_BYTES + EXPLICIT_BYTES];
	uint8_t head_len;
	size_t left;      /* of the record at hand, behind the header */
	uint32_t records; /* under the application keys */
};

struct notes {
	struct record_state *state; /* owned; holds the secrets of 1.3 */
	struct wire read, write;
	size_t read_secret, write_secret; /* bytes; 0: not there */
	bool updated;                     /* KeyUpdate: the secrets are old */
	bool finished;                    /* ours is out: the secrets come now */
};

/* ---- the pool ---- */

int detach_pool_new(size_t max_held_bytes, struct detach_pool **ret, struct err *err)
{
	CLEANUP(detach_pool_free) struct detach_pool *p = x_new(struct detach_pool);

	p->states = vault_new(sizeof(struct record_state), p);
	p->max_held = max_held_bytes;
	if (record_crypto_new(&p->crypto, err) < 0)
		return -1;
	*ret = TAKE(p);
	return 0;
}

void detach_pool_free(struct detach_pool **pp)
{
	struct detach_pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	vault_free(&p->states);
	record_crypto_free(&p->crypto);
	secret_wipe(p, sizeof(*p));
	mem_free(p);
}

struct record_crypto *detach_pool_crypto(struct detach_pool *p)
{
	return p->crypto;
}

void detach_pool_set_kdf(struct detach_pool *p, struct net_kdf *kdf)
{
	p->kdf = kdf;
}

void detach_pool_set_max_held(struct detach_pool *p, size_t max_bytes)
{
	p->max_held = max_bytes;
}

size_t detach_pool_held(const struct detach_pool *p)
{
	return p->held;
}

size_t detach_pool_count(const struct detach_pool *p)
{
	return vault_count(p->states);
}

int detach_pool_lock_error(const struct detach_pool *p)
{
	return vault_lock_error(p->states);
}

void detach_pool_rest(struct detach_pool *p)
{
	record_crypto_rest(p->crypto);
}

struct record_state *detach_state_take(struct detach_pool *p)
{
	struct record_state *state = vault_take(p->states);

	if (state != NULL)
		record_crypto_leave(p->crypto, state);
	return state;
}

void detach_state_put(struct record_state *state)
{
	struct detach_pool *p = state != NULL ? vault_owner(state) : NULL;

	if (p == NULL)
		return;
	record_crypto_leave(p->crypto, state);
	vault_put(state);
}

/* ---- noting down ---- */

static void follow(struct wire *w, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n;

		if (w->head_len < RECORD_HEADER_BYTES) {
			w->head[w->head_len++] = *bytes;
			bytes++;
			len--;
			if (w->head_len < RECORD_HEADER_BYTES)
				continue;
			w->left = (size_t)w->head[3] << 8 | w->head[4];
			w->records = w->head[0] == TYPE_CHANGE_CIPHER_SPEC ? 0 : w->records + 1;
		}
		n = MIN(len, w->left);
		for (size_t i = 0; i < n && w->head_len < sizeof(w->head); i++)
			w->head[w->head_len++] = bytes[i];
		w->left -= n;
		bytes += n;
		len -= n;
		/* The head of the last record stays until the next one begins. */
		if (w->left == 0 && len > 0)
			w->head_len = 0;
	}
}

static bool between_records(const struct wire *w)
{
	return w->left == 0 && (w->head_len == 0 || w->head_len >= RECORD_HEADER_BYTES);
}

static long on_bio(BIO *bio, int oper, const char *bytes, size_t len, int argi, long argl, int ret,
	size_t *processed)
{
	struct notes *n = (struct notes *)(void *)BIO_get_callback_arg(bio);

	if (ret > 0 && processed != NULL && *processed > 0) {
		if (oper == (BIO_CB_READ | BIO_CB_RETURN))
			follow(&n->read, (const uint8_t *)bytes, *processed);
		else if (oper == (BIO_CB_WRITE | BIO_CB_RETURN))
			follow(&n->write, (const uint8_t *)bytes, *processed);
	}
	return ret;
}

/* Count of bytes; 0: that is no secret of ours. */
static size_t take_secret(const char *hex, uint8_t secret[RECORD_SECRET_MAX])
{
	size_t n = 0;

	for (; n < RECORD_SECRET_MAX && hex_value(hex[2 * n]) >= 0; n++) {
		if (hex_value(hex[2 * n + 1]) < 0)
			return 0;
		secret[n] = (uint8_t)(hex_value(hex[2 * n]) << 4 | hex_value(hex[2 * n + 1]));
	}
	return hex[2 * n] == '\0' ? n : 0;
}

/* "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>": the keys of that side are installed now. */
static void on_keylog(const SSL *ssl, const char *line)
{
	struct notes *n = SSL_get_app_data(ssl);
	const char *last = strrchr(line, ' ');

	if (n == NULL || last == NULL)
		return;
	if (str_starts(line, "CLIENT_TRAFFIC_SECRET_0 ")) {
		n->read_secret = take_secret(last + 1, n->state->secret.read);
		n->read.records = 0;
	} else if (str_starts(line, "SERVER_TRAFFIC_SECRET_0 ")) {
		n->write_secret = take_secret(last + 1, n->state->secret.write);
		n->write.records = 0;
		SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), NULL);
	}
}

/* The secret of either side, from our key schedule. */
static void on_secret(void *listener, enum net_kdf_side side, const uint8_t *secret, size_t len)
{
	struct notes *n = listener;
	bool client = side == NET_KDF_CLIENT;

	if (!n->finished || len > RECORD_SECRET_MAX)
		return;
	memcpy(client ? n->state->secret.read : n->state->secret.write, secret, len);
	*(client ? &n->read_secret : &n->write_secret) = len;
	(client ? &n->read : &n->write)->records = 0;
}

static struct net_kdf *kdf_of(const struct notes *n)
{
	const struct detach_pool *p = vault_owner(n->state);

	return p->kdf;
}

/* ---- new keys of those that stay with OpenSSL ---- */

/* Numbers kept with a context, the limit, and with a connection, minute and count, as pointers. */
static int updates_slot(bool of_connection)
{
	static int slots[2] = {-1, -1};

	if (slots[0] < 0) {
		slots[0] = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
		slots[1] = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	}
	return slots[of_connection];
}

/* OpenSSL follows new keys as long as some come, without ever coming back to us, so it is told here
 * that nothing comes any more when there were too many. */
static void count_update(SSL *ssl)
{
	uintptr_t limit = (uintptr_t)SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), updates_slot(false));
	uintptr_t was = (uintptr_t)SSL_get_ex_data(ssl, updates_slot(true));
	uintptr_t minute = (uintptr_t)(clock_now_ms() / MINUTE_MS) << 16 & UINT32_MAX;
	uintptr_t count = (was & ~(uintptr_t)UINT16_MAX) == minute ? was & UINT16_MAX : 0;

	if (count >= limit ||
		SSL_set_ex_data(ssl, updates_slot(true), (void *)(minute | (count + 1))) != 1)
		SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

/* ---- what OpenSSL tells on its way ---- */

static void on_message(
	int sent, int version, int content_type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	struct notes *n = arg;

	if (content_type != SSL3_RT_HANDSHAKE || len == 0)
		return;
	if (sent == 0 && *(const uint8_t *)bytes == HANDSHAKE_KEY_UPDATE)
		count_update(ssl);
	if (n == NULL)
		return;
	if (*(const uint8_t *)bytes == HANDSHAKE_KEY_UPDATE)
		n->updated = true;
	/* It would free, and so wipe, 17 KB after each record of the handshake, and allocate them
	 * anew. Who has not said Hello yet holds nothing. */
	if (*(const uint8_t *)bytes == HANDSHAKE_CLIENT_HELLO)
		(void)SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	/* Ours, or later, and mostly in a later step, the client's. */
	if (*(const uint8_t *)bytes == HANDSHAKE_FINISHED) {
		n->finished = n->finished || sent == 1;
		if (kdf_of(n) == NULL)
			SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), on_keylog);
	}
}

void detach_step(struct net_stream *s, bool begins)
{
	struct notes *n = SSL_get_app_data(s->ssl);

	if (n == NULL)
		return;
	if (kdf_of(n) != NULL)
		net_kdf_listen(kdf_of(n), begins ? on_secret : NULL, begins ? n : NULL);
	else
		SSL_CTX_set_keylog_callback(
			SSL_get_SSL_CTX(s->ssl), begins && n->finished ? on_keylog : NULL);
}

void detach_context(struct ssl_ctx_st *ctx, uint32_t updates_per_minute)
{
	uintptr_t limit = MIN(updates_per_minute, (uint32_t)UINT16_MAX - 1);

	(void)SSL_CTX_set_ex_data(ctx, updates_slot(false), (void *)limit);
	SSL_CTX_set_msg_callback(ctx, on_message);
	SSL_CTX_set_read_ahead(ctx, 0);
}

void net_stream_prepare_detach(struct net_stream *s, struct detach_pool *pool)
{
	struct notes *n;

	if (s->form != NET_SSL || SSL_get_app_data(s->ssl) != NULL)
		return;
	n = mem_try_alloc(sizeof(*n));
	if (n == NULL)
		return;
	n->state = detach_state_take(pool);
	if (n->state == NULL || SSL_set_app_data(s->ssl, n) != 1) {
		detach_state_put(n->state);
		mem_free(n);
		return;
	}
	BIO_set_callback_arg(SSL_get_rbio(s->ssl), (char *)n);
	BIO_set_callback_ex(SSL_get_rbio(s->ssl), on_bio);
	SSL_set_msg_callback_arg(s->ssl, n);
}

static struct record_state *end_notes(SSL *ssl)
{
	struct notes *n = SSL_get_app_data(ssl);
	struct record_state *state = n->state;

	BIO_set_callback_ex(SSL_get_rbio(ssl), NULL);
	SSL_set_msg_callback_arg(ssl, NULL);
	(void)SSL_set_app_data(ssl, NULL);
	mem_free(n);
	return state;
}

void detach_abandon(struct net_stream *s)
{
	if (s->form == NET_SSL && SSL_get_app_data(s->ssl) != NULL)
		detach_state_put(end_notes(s->ssl));
}

/* ---- detaching ---- */

static enum record_suite suite_of(const SSL *ssl)
{
	const SSL_CIPHER *c = SSL_get_current_cipher(ssl);
	const EVP_MD *md = c != NULL ? SSL_CIPHER_get_handshake_digest(c) : NULL;
	int hash = md != NULL ? EVP_MD_get_type(md) : NID_undef;

	switch (c != NULL ? SSL_CIPHER_get_cipher_nid(c) : NID_undef) {
	case NID_aes_128_gcm:
		return hash == NID_sha256 ? RECORD_AES_128_GCM : RECORD_SUITE_NONE;
	case NID_aes_256_gcm:
		return hash == NID_sha384 ? RECORD_AES_256_GCM : RECORD_SUITE_NONE;
	case NID_chacha20_poly1305:
		return hash == NID_sha256 ? RECORD_CHACHA20_POLY1305 : RECORD_SUITE_NONE;
	default:
		return RECORD_SUITE_NONE;
	}
}

static bool take_13(const struct notes *n, enum record_suite suite)
{
	size_t want = record_secret_bytes(suite);

	if (n->read_secret != want || n->write_secret != want || n->updated)
		return false;
	n->state->version = RECORD_TLS_1_3;
	n->state->suite = (uint8_t)suite;
	record_derive(n->state);
	return true;
}

static bool take_12(const struct notes *n, const SSL *ssl, enum record_suite suite)
{
	struct err err = ERR_INIT;
	uint8_t master[48], client[32], server[32];
	bool ok = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master)) ==
			  sizeof(master) &&
		  SSL_get_client_random(ssl, client, sizeof(client)) == sizeof(client) &&
		  SSL_get_server_random(ssl, server, sizeof(server)) == sizeof(server) &&
		  n->read.records > 0 && n->write.records > 0 &&
		  n->write.head_len == sizeof(n->write.head) &&
		  record_init_12(n->state, suite, master, client, server, true, &err) == 0;

	secret_wipe(master, sizeof(master));
	if (!ok)
		return false;
	if (suite == RECORD_CHACHA20_POLY1305)
		return true;
	memcpy(n->state->key.nonce, n->write.head + RECORD_HEADER_BYTES, EXPLICIT_BYTES);
	for (int i = EXPLICIT_BYTES - 1; i >= 0 && ++n->state->key.nonce[i] == 0; i--)
		;
	return true;
}

/* Puts all that matters into the state. */
static bool take_over(const SSL *ssl, const struct notes *n)
{
	enum record_suite suite = suite_of(ssl);
	int version = SSL_version(ssl);
	bool taken = false;

	if (suite == RECORD_SUITE_NONE || SSL_get_current_compression(ssl) != NULL)
		return false;
	if (version == TLS1_3_VERSION)
		taken = take_13(n, suite);
	else if (version == TLS1_2_VERSION)
		taken = take_12(n, ssl, suite);
	if (!taken)
		return false;
	n->state->read_seq = n->read.records;
	n->state->write_seq = n->write.records;
	n->state->max_fragment = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
	return record_state_is_sound(n->state);
}

bool net_stream_detach(struct net_stream *s)
{
	SSL *ssl = s->form == NET_SSL ? s->ssl : NULL;
	struct notes *n = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
	struct record_state *state;

	if (ssl != NULL)
		(void)SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	if (n == NULL || !SSL_is_server(ssl) || !SSL_is_init_finished(ssl) ||
		SSL_has_pending(ssl) != 0 || SSL_want_write(ssl) || SSL_get_shutdown(ssl) != 0 ||
		!between_records(&n->read) || !between_records(&n->write))
		return false;
	if (!take_over(ssl, n)) {
		/* It will not get any better. */
		detach_abandon(s);
		return false;
	}
	state = end_notes(ssl);
	/* Without this the session would be taken for a broken one. */
	SSL_set_quiet_shutdown(ssl, 1);
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	s->form = NET_DETACHED;
	s->records = state;
	return true;
}

/* ---- from one process to another ---- */

bool net_stream_export(struct net_stream *s, struct record_state *ret)
{
	if (s->form != NET_DETACHED)
		return false;
	*ret = *s->records;
	detach_state_put(s->records);
	s->records = NULL;
	s->form = NET_PLAIN;
	return true;
}

int net_stream_import(struct net_stream *s, int fd, struct detach_pool *pool,
	const struct record_state *state, struct err *err)
{
	*s = (struct net_stream){.fd = fd};
	s->records = record_state_is_sound(state) ? detach_state_take(pool) : NULL;
	if (s->records == NULL) {
		net_stream_close(s);
		return err_set(err, ERR_BAD_INPUT, "a TLS connection that is none of ours");
	}
	*s->records = *state;
	record_derive(s->records);
	s->form = NET_DETACHED;
	return 0;
}
