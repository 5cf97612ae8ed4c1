/* Our TLS13-KDF against OpenSSL's. */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/kdf.h"

static struct net_kdf *provider;
static struct err err;

struct derivation {
	int mode;
	const char *digest, *label;
	const uint8_t *key, *salt, *data;
	size_t key_len, salt_len, data_len, len;
};

static int derive_by(const char *query, const struct derivation *d, uint8_t ret[64])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, query);
	EVP_KDF_CTX *k = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[8], *p = params;
	int mode = d->mode, rc;

	REQUIRE(k != NULL);
	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*p++ = OSSL_PARAM_construct_utf8_string(
		OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)d->digest, 0);
	if (d->key != NULL)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)d->key, d->key_len);
	if (d->salt != NULL)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)d->salt, d->salt_len);
	if (d->data != NULL)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_DATA, (void *)(uintptr_t)d->data, d->data_len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6);
	*p++ = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)d->label, strlen(d->label));
	*p = OSSL_PARAM_construct_end();
	memset(ret, 0xee, 64);
	rc = EVP_KDF_derive(k, ret, d->len, params);
	EVP_KDF_CTX_free(k);
	EVP_KDF_free(kdf);
	return rc;
}

static void check_same(const struct derivation *d)
{
	uint8_t ours[64], theirs[64];

	CHECK_INT(derive_by("provider=bellhop", d, ours), 1);
	CHECK_INT(derive_by("provider=default", d, theirs), 1);
	CHECK_MEM(ours, sizeof(ours), theirs, sizeof(theirs));
}

static const struct {
	const char *name;
	size_t bytes;
} digests[] = {{"SHA256", 32}, {"SHA2-256", 32}, {"sha384", 48}, {"SHA2-384", 48}};

static void test_expand(void)
{
	static const char *const labels[] = {"key", "iv", "c ap traffic", "res binder", ""};
	uint8_t key[48], data[48];

	random_bytes(key, sizeof(key));
	random_bytes(data, sizeof(data));
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		for (size_t l = 0; l < ARRAY_LEN(labels); l++) {
			for (size_t len = 1; len <= digests[i].bytes; len++) {
				struct derivation d = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
					.digest = digests[i].name,
					.label = labels[l],
					.key = key,
					.key_len = digests[i].bytes,
					.data = l % 2 == 0 ? data : NULL,
					.data_len = digests[i].bytes,
					.len = len};

				check_same(&d);
			}
		}
	}
}

static void test_extract(void)
{
	uint8_t key[300], salt[48];

	random_bytes(key, sizeof(key));
	random_bytes(salt, sizeof(salt));
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		for (unsigned has = 0; has < 4; has++) {
			struct derivation d = {.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
				.digest = digests[i].name,
				.label = "derived",
				.key = has % 2 == 1 ? key : NULL,
				.key_len = 32,
				.salt = has >= 2 ? salt : NULL,
				.salt_len = digests[i].bytes,
				.len = digests[i].bytes};

			check_same(&d);
			/* What a group with large shared secrets gives. */
			d.key_len = sizeof(key);
			check_same(&d);
		}
	}
}

static void test_refusals(void)
{
	static const uint8_t key[200];
	const struct derivation good = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.digest = "SHA384",
		.label = "key",
		.key = key,
		.key_len = 48,
		.len = 32};
	struct derivation bad[] = {good, good, good, good, good, good};
	uint8_t ret[64];

	bad[0].digest = "SHA512";
	bad[1].mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
	bad[2].key = NULL;
	bad[3].len = 49;
	bad[4].key_len = sizeof(key);
	bad[5].mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY; /* and not all of it wanted */
	CHECK_INT(derive_by("provider=bellhop", &good, ret), 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK(derive_by("provider=bellhop", &bad[i], ret) != 1);
		CHECK_INT(ret[0], 0xee);
	}
}

static struct {
	unsigned count;
	enum net_kdf_side side;
	uint8_t secret[48];
	size_t len;
} heard;

static void on_heard(void *listener, enum net_kdf_side side, const uint8_t *secret, size_t len)
{
	CHECK(listener == &heard);
	REQUIRE(len <= sizeof(heard.secret));
	heard.count++;
	heard.side = side;
	heard.len = len;
	memcpy(heard.secret, secret, len);
}

static void test_listening(void)
{
	static const char *const others[] = {"key", "s hs traffic", "c hs traffic", "exp master",
		"c ap traffi", "c ap traffic1"};
	static const uint8_t key[48] = {1};
	struct derivation d = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.digest = "SHA384",
		.label = "c ap traffic",
		.key = key,
		.key_len = 48,
		.len = 48};
	uint8_t ret[64];

	net_kdf_listen(provider, on_heard, &heard);
	CHECK_INT(derive_by("provider=bellhop", &d, ret), 1);
	CHECK_INT(heard.count, 1);
	CHECK_INT(heard.side, NET_KDF_CLIENT);
	CHECK_MEM(heard.secret, heard.len, ret, 48);
	d.label = "s ap traffic";
	d.digest = "SHA256";
	d.len = d.key_len = 32;
	CHECK_INT(derive_by("provider=bellhop", &d, ret), 1);
	CHECK_INT(heard.count, 2);
	CHECK_INT(heard.side, NET_KDF_SERVER);
	CHECK_MEM(heard.secret, heard.len, ret, 32);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		d.label = others[i];
		CHECK_INT(derive_by("provider=bellhop", &d, ret), 1);
	}
	d.label = "c ap traffic";
	d.len = 33; /* refused */
	CHECK(derive_by("provider=bellhop", &d, ret) != 1);
	d.len = 32;
	net_kdf_listen(provider, NULL, NULL);
	CHECK_INT(derive_by("provider=bellhop", &d, ret), 1);
	CHECK_INT(heard.count, 2);
}

static bool is_there(void)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, "provider=bellhop");

	EVP_KDF_free(kdf);
	return kdf != NULL;
}

static void test_unload(void)
{
	EVP_KDF *other;

	net_kdf_unload(&provider);
	CHECK(provider == NULL);
	CHECK(!is_there());
	other = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NET_KDF_WANTED);
	CHECK(other != NULL);
	EVP_KDF_free(other);
	REQUIRE_OK(net_kdf_load(&provider, &err), &err);
	CHECK(is_there());
}

static void test_load(void)
{
	REQUIRE_OK(net_kdf_load(&provider, &err), &err);
}

static void test_end(void)
{
	net_kdf_unload(&provider);
}

TEST_MAIN(TEST(test_load), TEST(test_expand), TEST(test_extract), TEST(test_refusals),
	TEST(test_listening), TEST(test_unload), TEST(test_end))
