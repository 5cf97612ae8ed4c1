/*
 * The record layer's use of OpenSSL: one cipher context per suite and direction, owned by the loop
 * and none by a connection.
 *
 * Invariants: a context holds the key of at most one connection, the one in `holder`; the key is
 * taken out of the state when the first record of a run is sealed or opened, and covered by the
 * next connection's, or with zeros by record_crypto_rest(). Keys exist only in the states and in
 * these contexts and, while they are made, on the stack. Writing a record needs a sequence number
 * that no record had before; the caller counts, a nonce_set makes sure where there is one.
 *
 * Key and IV are derived by HMACs (RFC 8446, 7.1 and 7.3) under the same secret, so its two padded
 * blocks are hashed once for both (net/hkdf.h). That is six blocks of SHA-384 a direction, 1 us,
 * twice what opening or sealing a short record takes else: hence they are kept with the connection.
 */
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/hkdf.h"
#include "net/nonce_set.h"
#include "net/record_internal.h"

static const struct suite {
	const char *cipher, *digest;
	enum hkdf_hash hash;
	uint8_t key_bytes, iv_bytes_12; /* iv_bytes_12: what the key block of 1.2 gives */
} suites[RECORD_SUITE_END] = {
	[RECORD_AES_128_GCM] = {"AES-128-GCM", "SHA256", HKDF_SHA256, 16, 4},
	[RECORD_AES_256_GCM] = {"AES-256-GCM", "SHA384", HKDF_SHA384, 32, 4},
	[RECORD_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", "SHA256", HKDF_SHA256, 32, 12},
};

struct direction {
	EVP_CIPHER_CTX *ciphers[RECORD_SUITE_END];
	const struct record_state *holder; /* whose key is in it; NULL: nobody's */
	enum record_suite suite;           /* of holder */
	uint8_t iv[RECORD_NONCE_BYTES];
	uint64_t key_print; /* for nonces */
};

struct record_crypto {
	struct direction way[2];
	struct record_limits limits;
	struct nonce_set *nonces;
};

/* ---- making it ---- */

void record_crypto_free(struct record_crypto **cp)
{
	struct record_crypto *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (int way = 0; way < 2; way++) {
		for (int i = 0; i < RECORD_SUITE_END; i++)
			EVP_CIPHER_CTX_free(c->way[way].ciphers[i]);
	}
	secret_wipe(c, sizeof(*c));
	mem_free(c);
}

static EVP_CIPHER_CTX *new_cipher(const char *name, enum record_way way)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = cipher != NULL && x != NULL &&
		  EVP_CipherInit_ex2(x, cipher, NULL, NULL, way == RECORD_WRITE, NULL) == 1;

	EVP_CIPHER_free(cipher);
	if (ok)
		return x;
	EVP_CIPHER_CTX_free(x);
	return NULL;
}

int record_crypto_new(struct record_crypto **ret, struct err *err)
{
	CLEANUP(record_crypto_free) struct record_crypto *c = x_new(struct record_crypto);

	c->limits = (struct record_limits){RECORD_UPDATES_PER_MINUTE, RECORD_UPDATE_AFTER};
	for (int way = RECORD_READ; way <= RECORD_WRITE; way++) {
		for (int i = RECORD_SUITE_NONE + 1; i < RECORD_SUITE_END; i++) {
			c->way[way].ciphers[i] = new_cipher(suites[i].cipher, (enum record_way)way);
			if (c->way[way].ciphers[i] == NULL)
				return err_set(
					err, ERR_INTERNAL, "OpenSSL has no %s", suites[i].cipher);
		}
	}
	*ret = TAKE(c);
	return 0;
}

void record_crypto_set_limits(
	struct record_crypto *c, uint32_t updates_per_minute, uint32_t update_after)
{
	c->limits = (struct record_limits){updates_per_minute, update_after};
}

const struct record_limits *record_crypto_limits(const struct record_crypto *c)
{
	return &c->limits;
}

void record_crypto_watch_nonces(struct record_crypto *c, struct nonce_set *nonces)
{
	c->nonces = nonces;
}

/* ---- keys ---- */

size_t record_secret_bytes(enum record_suite suite)
{
	return hkdf_hash_bytes(suites[suite].hash);
}

/* These fail only when memory fails inside OpenSSL, or by a mistake of ours. */
static void must(int rc)
{
	assert(rc == 1);
}

/* HKDF-Expand-Label with an empty context, RFC 8446, 7.1. */
static void expand(const struct hkdf_key *k, const char *label, size_t len, uint8_t *ret)
{
	const struct hkdf_bytes prefix = {"tls13 ", 6}, name = {label, strlen(label)},
				none = {NULL, 0};

	hkdf_expand_label(k, &prefix, &name, &none, len, ret);
}

static uint8_t *secret_of(struct record_state *s, enum record_way way)
{
	return way == RECORD_READ ? s->secret.read : s->secret.write;
}

static void derive(struct record_state *s, enum record_way way)
{
	const struct suite *x = &suites[s->suite];
	struct record_keys *d = &s->derived;
	bool read = way == RECORD_READ;
	struct hkdf_key k;

	hkdf_begin(&k, x->hash, secret_of(s, way), hkdf_hash_bytes(x->hash));
	expand(&k, "key", x->key_bytes, read ? d->read_key : d->write_key);
	expand(&k, "iv", RECORD_NONCE_BYTES, read ? d->read_iv : d->write_iv);
	hkdf_end(&k);
}

void record_derive(struct record_state *s)
{
	if (s->version != RECORD_TLS_1_3)
		return;
	derive(s, RECORD_READ);
	derive(s, RECORD_WRITE);
}

void record_crypto_advance(struct record_state *s, enum record_way way)
{
	enum hkdf_hash hash = suites[s->suite].hash;
	uint8_t *secret = secret_of(s, way);
	struct hkdf_key k;

	hkdf_begin(&k, hash, secret, hkdf_hash_bytes(hash));
	expand(&k, "traffic upd", hkdf_hash_bytes(hash), secret);
	hkdf_end(&k);
	derive(s, way);
}

int record_init_12(struct record_state *s, enum record_suite suite, const uint8_t *master,
	const uint8_t *client_random, const uint8_t *server_random, bool server, struct err *err)
{
	const struct suite *x = &suites[suite];
	size_t need = 2 * ((size_t)x->key_bytes + x->iv_bytes_12);
	uint8_t block[2 * (32 + 12)], label[13 + 64];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *k = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[8];
	uint8_t secret[48];
	OSSL_PARAM params[4];
	const uint8_t *keys[2], *ivs[2];
	int ok;

	(void)snprintf(digest, sizeof(digest), "%s", x->digest);
	memcpy(secret, master, sizeof(secret));
	memcpy(label, "key expansion", 13);
	memcpy(label + 13, server_random, 32);
	memcpy(label + 45, client_random, 32);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, 48);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, sizeof(label));
	params[3] = OSSL_PARAM_construct_end();
	ok = k != NULL && EVP_KDF_derive(k, block, need, params) == 1;
	EVP_KDF_CTX_free(k);
	EVP_KDF_free(kdf);
	secret_wipe(secret, sizeof(secret));
	if (!ok)
		return err_set(err, ERR_INTERNAL, "OpenSSL has no PRF of TLS 1.2");
	*s = (struct record_state){.version = RECORD_TLS_1_2, .suite = (uint8_t)suite};
	/* The client's comes first; what the server reads is what the client writes. */
	keys[0] = block;
	keys[1] = block + x->key_bytes;
	ivs[0] = block + 2 * (size_t)x->key_bytes;
	ivs[1] = ivs[0] + x->iv_bytes_12;
	memcpy(s->key.read_key, keys[!server], x->key_bytes);
	memcpy(s->key.write_key, keys[server], x->key_bytes);
	memcpy(s->key.read_iv, ivs[!server], x->iv_bytes_12);
	memcpy(s->key.write_iv, ivs[server], x->iv_bytes_12);
	secret_wipe(block, sizeof(block));
	return 0;
}

/* ---- one record ---- */

/* The connection's key, which goes into the context of its suite. */
static const uint8_t *take_key(
	struct record_crypto *c, const struct record_state *s, enum record_way way)
{
	bool read = way == RECORD_READ, is_13 = s->version == RECORD_TLS_1_3;
	struct direction *d = &c->way[way];
	const uint8_t *key, *iv;

	if (d->holder != NULL && d->suite != s->suite)
		record_crypto_rest(c);
	if (read) {
		key = is_13 ? s->derived.read_key : s->key.read_key;
		iv = is_13 ? s->derived.read_iv : s->key.read_iv;
	} else {
		key = is_13 ? s->derived.write_key : s->key.write_key;
		iv = is_13 ? s->derived.write_iv : s->key.write_iv;
	}
	memcpy(d->iv, iv, RECORD_NONCE_BYTES);
	if (c->nonces != NULL && !read)
		d->key_print = nonce_set_print(c->nonces, key, suites[s->suite].key_bytes);
	d->holder = s;
	d->suite = (enum record_suite)s->suite;
	return key;
}

void record_crypto_forget(struct record_crypto *c, enum record_way way)
{
	/* The key stays in its context until the next one covers it, or rest(): hence no change of
	 * holder to NULL, which would make rest() believe that nothing is there. */
	static const struct record_state nobody;

	if (c->way[way].holder != NULL)
		c->way[way].holder = &nobody;
}

void record_crypto_rest(struct record_crypto *c)
{
	static const uint8_t zeros[32];

	for (int way = RECORD_READ; way <= RECORD_WRITE; way++) {
		struct direction *d = &c->way[way];

		if (d->holder == NULL)
			continue;
		must(EVP_CipherInit_ex2(d->ciphers[d->suite], NULL, zeros, zeros, -1, NULL));
		secret_wipe(d->iv, sizeof(d->iv));
		d->holder = NULL;
	}
}

void record_crypto_leave(struct record_crypto *c, const struct record_state *s)
{
	if (c->way[RECORD_READ].holder == s || c->way[RECORD_WRITE].holder == s)
		record_crypto_rest(c);
}

/* RFC 8446, 5.3; RFC 5288, 3; RFC 7905, 2. */
static void make_nonce(const struct direction *d, uint32_t seq, const uint8_t *explicit_nonce,
	uint8_t ret[RECORD_NONCE_BYTES])
{
	memcpy(ret, d->iv, RECORD_NONCE_BYTES);
	if (explicit_nonce != NULL) {
		memcpy(ret + 4, explicit_nonce, 8);
		return;
	}
	for (int i = 0; i < 4; i++)
		ret[11 - i] ^= (uint8_t)(seq >> (8 * i));
}

bool record_crypto_run(struct record_crypto *c, const struct record_state *s, enum record_way way,
	uint32_t seq, const uint8_t *explicit_nonce, const uint8_t *aad, size_t aad_len,
	const uint8_t *in, size_t len, uint8_t *out)
{
	struct direction *d = &c->way[way];
	EVP_CIPHER_CTX *x = d->ciphers[s->suite];
	uint8_t nonce[RECORD_NONCE_BYTES], tag[RECORD_TAG_BYTES];
	bool write = way == RECORD_WRITE, ok;
	const uint8_t *key = d->holder != s ? take_key(c, s, way) : NULL;
	int n = 0, rest = 0;

	make_nonce(d, seq, explicit_nonce, nonce);
	if (write && c->nonces != NULL)
		nonce_set_add(c->nonces, d->key_print, nonce, sizeof(nonce));
	must(EVP_CipherInit_ex2(x, NULL, key, nonce, -1, NULL));
	if (!write) {
		/* Out of the way: the plain text may come to lie where the tag is. */
		memcpy(tag, in + len, sizeof(tag));
		must(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag));
	}
	must(EVP_CipherUpdate(x, NULL, &n, aad, (int)aad_len));
	must(EVP_CipherUpdate(x, out, &n, in, (int)len));
	ok = EVP_CipherFinal_ex(x, out + n, &rest) == 1;
	if (write) {
		must(ok);
		must(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), out + len));
	}
	return ok;
}
