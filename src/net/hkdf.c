/*
 * HKDF of TLS 1.3 on the bare hash functions. No state, any thread. OpenSSL calls these functions
 * deprecated: by way of EVP the same takes three times as long, for an algorithm is looked for, and
 * a state cannot be copied without an allocation.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "net/hkdf.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct {
	size_t bytes, block;
} hashes[HKDF_HASHES] = {
	[HKDF_SHA256] = {32, 64},
	[HKDF_SHA384] = {48, 128},
};

size_t hkdf_hash_bytes(enum hkdf_hash hash)
{
	return hashes[hash].bytes;
}

size_t hkdf_hash_block(enum hkdf_hash hash)
{
	return hashes[hash].block;
}

/* The hash functions cannot fail. */
static void must(int rc)
{
	assert(rc == 1);
}

static void sha_begin(enum hkdf_hash hash, union hkdf_state *x)
{
	must(hash == HKDF_SHA256 ? SHA256_Init(&x->s256) : SHA384_Init(&x->s512));
}

static void sha_add(enum hkdf_hash hash, union hkdf_state *x, const void *bytes, size_t len)
{
	must(hash == HKDF_SHA256 ? SHA256_Update(&x->s256, bytes, len)
				 : SHA384_Update(&x->s512, bytes, len));
}

static void sha_end(enum hkdf_hash hash, union hkdf_state *x, uint8_t *ret)
{
	must(hash == HKDF_SHA256 ? SHA256_Final(ret, &x->s256) : SHA384_Final(ret, &x->s512));
}

static void begin_with(enum hkdf_hash hash, union hkdf_state *x, const uint8_t *secret, size_t len,
	uint8_t pad_with)
{
	uint8_t pad[HKDF_BLOCK_MAX];

	memset(pad, pad_with, sizeof(pad));
	for (size_t i = 0; i < len; i++)
		pad[i] ^= secret[i];
	sha_begin(hash, x);
	sha_add(hash, x, pad, hashes[hash].block);
	secret_wipe(pad, sizeof(pad));
}

void hkdf_begin(struct hkdf_key *k, enum hkdf_hash hash, const uint8_t *secret, size_t len)
{
	assert(len <= hashes[hash].block);
	k->hash = hash;
	begin_with(hash, &k->inner, secret, len, 0x36);
	begin_with(hash, &k->outer, secret, len, 0x5c);
}

void hkdf_end(struct hkdf_key *k)
{
	secret_wipe(k, sizeof(*k));
}

void hkdf_hmac(const struct hkdf_key *k, const struct hkdf_bytes *parts, size_t count, uint8_t *ret)
{
	uint8_t full[HKDF_BYTES_MAX];
	union hkdf_state x = k->inner;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > 0)
			sha_add(k->hash, &x, parts[i].at, parts[i].len);
	}
	sha_end(k->hash, &x, full);
	x = k->outer;
	sha_add(k->hash, &x, full, hashes[k->hash].bytes);
	sha_end(k->hash, &x, full);
	memcpy(ret, full, hashes[k->hash].bytes);
	secret_wipe(full, sizeof(full));
	secret_wipe(&x, sizeof(x));
}

void hkdf_expand_label(const struct hkdf_key *k, const struct hkdf_bytes *prefix,
	const struct hkdf_bytes *label, const struct hkdf_bytes *context, size_t len, uint8_t *ret)
{
	const uint8_t head[3] = {
		(uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(prefix->len + label->len)};
	const uint8_t context_len = (uint8_t)context->len, block = 1;
	/* The first and only block of HKDF-Expand. */
	const struct hkdf_bytes info[] = {
		{head, sizeof(head)}, *prefix, *label, {&context_len, 1}, *context, {&block, 1}};
	uint8_t full[HKDF_BYTES_MAX];

	assert(len <= hashes[k->hash].bytes && prefix->len + label->len <= UINT8_MAX &&
		context->len <= UINT8_MAX);
	hkdf_hmac(k, info, ARRAY_LEN(info), full);
	memcpy(ret, full, len);
	secret_wipe(full, sizeof(full));
}

void hkdf_hash_empty(enum hkdf_hash hash, uint8_t *ret)
{
	union hkdf_state x;
	uint8_t full[HKDF_BYTES_MAX];

	sha_begin(hash, &x);
	sha_end(hash, &x, full);
	memcpy(ret, full, hashes[hash].bytes);
}
