/*
 * The provider of TLS13-KDF (EVP_KDF-TLS13_KDF(7) says what OpenSSL asks of one). A derivation has
 * all that it needs in its parameters, so behind every context is the one object of the provider,
 * which knows who listens. What it does not know it refuses, and the handshake fails: that is why
 * the front shakes hands with itself once before it relies on this (front/secure.c).
 *
 * Limits: keys and salts up to a block of the hash, which those of TLS 1.3 are, pre-shared and
 * agreed ones apart; longer ones are hashed first, as HMAC demands.
 */
#include "net/kdf.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/hkdf.h"

/* The provider's own. */
struct ear {
	net_kdf_heard *heard; /* NULL: nobody listens */
	void *listener;
};

struct net_kdf {
	OSSL_PROVIDER *provider;
	struct ear *ear; /* of the provider */
};

struct job {
	enum hkdf_hash hash;
	int mode;
	struct hkdf_bytes key, salt, data, prefix, label;
};

/* ---- derivations ---- */

/* HKDF-Extract(Derive-Secret(salt, label, ""), key), RFC 8446, 7.1. Without a salt, or a key,
 * zeros. */
static bool extract(const struct job *j, uint8_t *ret)
{
	static const uint8_t zeros[HKDF_BYTES_MAX];
	uint8_t salt[HKDF_BYTES_MAX] = {0}, empty[HKDF_BYTES_MAX];
	size_t bytes = hkdf_hash_bytes(j->hash);
	struct hkdf_bytes key = j->key.at != NULL ? j->key : (struct hkdf_bytes){zeros, bytes};
	struct hkdf_key k;

	if (j->salt.at != NULL) {
		hkdf_hash_empty(j->hash, empty);
		hkdf_begin(&k, j->hash, j->salt.at, j->salt.len);
		hkdf_expand_label(
			&k, &j->prefix, &j->label, &(struct hkdf_bytes){empty, bytes}, bytes, salt);
	}
	hkdf_begin(&k, j->hash, salt, bytes);
	hkdf_hmac(&k, &key, 1, ret);
	hkdf_end(&k);
	secret_wipe(salt, sizeof(salt));
	return true;
}

static bool expand(const struct job *j, uint8_t *ret, size_t len)
{
	struct hkdf_key k;

	if (j->key.at == NULL || j->salt.at != NULL)
		return false;
	hkdf_begin(&k, j->hash, j->key.at, j->key.len);
	hkdf_expand_label(&k, &j->prefix, &j->label, &j->data, len, ret);
	hkdf_end(&k);
	return true;
}

static bool is_label(const struct job *j, const char *label)
{
	return j->label.len == strlen(label) && memcmp(j->label.at, label, j->label.len) == 0;
}

static void tell(const struct ear *ear, const struct job *j, const uint8_t *secret, size_t len)
{
	if (is_label(j, "c ap traffic"))
		ear->heard(ear->listener, NET_KDF_CLIENT, secret, len);
	else if (is_label(j, "s ap traffic"))
		ear->heard(ear->listener, NET_KDF_SERVER, secret, len);
}

static void take_bytes(const OSSL_PARAM *p, struct hkdf_bytes *ret)
{
	ret->at = p->data;
	ret->len = p->data != NULL ? p->data_size : 0;
}

static bool take_hash(const OSSL_PARAM *p, struct job *j)
{
	static const struct {
		const char *name;
		enum hkdf_hash hash;
	} known[] = {{"SHA256", HKDF_SHA256}, {"SHA2-256", HKDF_SHA256}, {"SHA384", HKDF_SHA384},
		{"SHA2-384", HKDF_SHA384}};
	const char *name = NULL;

	if (OSSL_PARAM_get_utf8_string_ptr(p, &name) != 1 || name == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcasecmp(name, known[i].name) == 0) {
			j->hash = known[i].hash;
			return true;
		}
	}
	return false;
}

static bool take_mode(const OSSL_PARAM *p, int *ret)
{
	const char *name = NULL;

	if (OSSL_PARAM_get_int(p, ret) == 1)
		return true;
	if (OSSL_PARAM_get_utf8_string_ptr(p, &name) != 1 || name == NULL)
		return false;
	if (strcasecmp(name, "EXTRACT_ONLY") == 0)
		*ret = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	else if (strcasecmp(name, "EXPAND_ONLY") == 0)
		*ret = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	else
		return false;
	return true;
}

/* One walk instead of a search for each. */
static bool take_params(const OSSL_PARAM *p, struct job *j)
{
	for (; p->key != NULL; p++) {
		if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0) {
			if (!take_mode(p, &j->mode))
				return false;
		} else if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0) {
			if (!take_hash(p, j))
				return false;
		} else if (strcmp(p->key, OSSL_KDF_PARAM_KEY) == 0) {
			take_bytes(p, &j->key);
		} else if (strcmp(p->key, OSSL_KDF_PARAM_SALT) == 0) {
			take_bytes(p, &j->salt);
		} else if (strcmp(p->key, OSSL_KDF_PARAM_DATA) == 0) {
			take_bytes(p, &j->data);
		} else if (strcmp(p->key, OSSL_KDF_PARAM_PREFIX) == 0) {
			take_bytes(p, &j->prefix);
		} else if (strcmp(p->key, OSSL_KDF_PARAM_LABEL) == 0) {
			take_bytes(p, &j->label);
		}
	}
	return true;
}

static bool has_room(const struct job *j, size_t len)
{
	size_t bytes = hkdf_hash_bytes(j->hash);

	return len <= bytes && j->salt.len <= bytes && j->data.len <= UINT8_MAX &&
	       j->prefix.len <= UINT8_MAX && j->label.len <= UINT8_MAX &&
	       j->prefix.len + j->label.len <= UINT8_MAX;
}

static int on_derive(void *context, unsigned char *ret, size_t len, const OSSL_PARAM *params)
{
	const struct ear *ear = context;
	struct job j = {.hash = HKDF_HASHES, .mode = -1};

	if (params == NULL || !take_params(params, &j) || j.hash == HKDF_HASHES ||
		!has_room(&j, len))
		return 0;
	if (j.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
		return len == hkdf_hash_bytes(j.hash) && extract(&j, ret);
	if (j.mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || j.key.len > hkdf_hash_block(j.hash) ||
		!expand(&j, ret, len))
		return 0;
	if (ear->heard != NULL)
		tell(ear, &j, ret, len);
	return 1;
}

/* ---- what OpenSSL sees ---- */

static void *on_new(void *ear)
{
	return ear;
}

static void on_free(void *context)
{
}

static void on_reset(void *context)
{
}

/* A dispatch table has functions of every kind under one type. */
#define ENTRY(id, function)                                                                        \
	{                                                                                          \
		id, (void (*)(void))(function)                                                     \
	}

static const OSSL_DISPATCH functions[] = {ENTRY(OSSL_FUNC_KDF_NEWCTX, on_new),
	ENTRY(OSSL_FUNC_KDF_FREECTX, on_free), ENTRY(OSSL_FUNC_KDF_RESET, on_reset),
	ENTRY(OSSL_FUNC_KDF_DERIVE, on_derive), {0, NULL}};

static const OSSL_ALGORITHM algorithms[] = {
	{OSSL_KDF_NAME_TLS1_3_KDF, "provider=bellhop", functions, "TLS 1.3"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *on_query(void *ear, int operation, int *no_cache)
{
	*no_cache = 0;
	return operation == OSSL_OP_KDF ? algorithms : NULL;
}

static void on_teardown(void *ear)
{
	mem_free(ear);
}

static const OSSL_DISPATCH provider_functions[] = {ENTRY(OSSL_FUNC_PROVIDER_TEARDOWN, on_teardown),
	ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, on_query), {0, NULL}};

static int on_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *from_core,
	const OSSL_DISPATCH **ret, void **ret_provider)
{
	*ret = provider_functions;
	*ret_provider = x_new(struct ear);
	return 1;
}

int net_kdf_load(struct net_kdf **ret, struct err *err)
{
	static const char name[] = "bellhop";
	OSSL_PROVIDER *provider = NULL;

	/* Known already when it has been loaded before: then the first is refused, not the second.
	 */
	(void)OSSL_PROVIDER_add_builtin(NULL, name, on_init);
	provider = OSSL_PROVIDER_try_load(NULL, name, 1);
	ERR_clear_error();
	if (provider == NULL)
		return err_set(err, ERR_INTERNAL, "OpenSSL refuses the key schedule");
	*ret = x_new(struct net_kdf);
	(*ret)->provider = provider;
	(*ret)->ear = OSSL_PROVIDER_get0_provider_ctx(provider);
	return 0;
}

void net_kdf_listen(struct net_kdf *k, net_kdf_heard *heard, void *listener)
{
	*k->ear = (struct ear){heard, listener};
}

void net_kdf_unload(struct net_kdf **k)
{
	if (*k == NULL)
		return;
	(void)OSSL_PROVIDER_unload((*k)->provider);
	mem_free(*k);
	*k = NULL;
}
