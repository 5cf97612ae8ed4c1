/*
 * Keys that are over are nowhere in the memory of the process. What is looked for is kept masked,
 * so that it is not found where it is kept. Not with -Dpools=malloc: ASan keeps what is freed, and
 * lets nobody look.
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/detach_internal.h"
#include "net/record_internal.h"

#define MASK       0x5a
#define NEEDLE_MAX 48u

#if !POOLS_ARE_MALLOC

static struct err err;
static struct detach_pool *pool;

struct needle {
	uint8_t masked[NEEDLE_MAX];
	size_t len;
};

static struct needle hide(const uint8_t *bytes, size_t len)
{
	struct needle n = {.len = len};

	for (size_t i = 0; i < len; i++)
		n.masked[i] = bytes[i] ^ MASK;
	return n;
}

static unsigned found_in(const uint8_t *at, const uint8_t *end, const struct needle *n)
{
	unsigned found = 0;

	while (end - at >= (ptrdiff_t)n->len &&
		(at = memchr(at, n->masked[0] ^ MASK, (size_t)(end - at))) != NULL) {
		size_t i = 1;

		while (i < n->len && at + i < end && (at[i] ^ MASK) == n->masked[i])
			i++;
		found += i == n->len;
		at++;
	}
	return found;
}

/* How often it lies in memory that can be written. */
static unsigned found(const struct needle *n)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[400], mode[8];
	unsigned count = 0;

	REQUIRE(maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL) {
		uintptr_t begin, end;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &begin, &end, mode) == 3 &&
			str_starts(mode, "rw"))
			count += found_in((const uint8_t *)begin, (const uint8_t *)end, n);
	}
	(void)fclose(maps);
	return count;
}

/* A connection that is its own peer: what it seals, it opens. */
struct talk {
	struct record_state *state;
	struct needle secret, key, iv;
};

static struct talk begin(enum record_suite suite)
{
	struct talk t = {.state = detach_state_take(pool)};
	uint8_t secret[RECORD_SECRET_MAX];

	REQUIRE(t.state != NULL);
	random_bytes(secret, sizeof(secret));
	record_init_13(t.state, suite, secret, secret);
	t.secret = hide(secret, record_secret_bytes(suite));
	t.key = hide(t.state->derived.write_key, suite == RECORD_AES_128_GCM ? 16 : 32);
	t.iv = hide(t.state->derived.write_iv, RECORD_NONCE_BYTES);
	secret_wipe(secret, sizeof(secret));
	return t;
}

static enum record_event open_again(const struct talk *t, const uint8_t *record, size_t len)
{
	uint8_t plain[64], alert = 0;
	size_t plain_len = 0;

	return record_open(
		detach_pool_crypto(pool), t->state, record, len, plain, &plain_len, &alert);
}

static void talk(const struct talk *t)
{
	uint8_t record[64];
	size_t len = record_seal(
		detach_pool_crypto(pool), t->state, (const uint8_t *)"hello", 5, record);

	CHECK_INT(open_again(t, record, len), RECORD_DATA);
}

static void expect_gone(const struct talk *t)
{
	CHECK_INT(found(&t->secret), 0);
	CHECK_INT(found(&t->key), 0);
	CHECK_INT(found(&t->iv), 0);
}

/* At rest they lie in the state, once for each direction, and when that is given back nowhere. */
static void test_at_rest_and_after_the_end(void)
{
	for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
		struct talk t = begin(suite);

		talk(&t);
		/* AES may be kept in another form. */
		if (suite == RECORD_CHACHA20_POLY1305)
			CHECK_INT(found(&t.key), 4);
		CHECK(found(&t.iv) > 2);
		detach_pool_rest(pool);
		CHECK_INT(found(&t.secret), 2);
		CHECK_INT(found(&t.key), 2);
		CHECK_INT(found(&t.iv), 2);
		talk(&t);
		detach_state_put(t.state);
		expect_gone(&t);
	}
}

/* Old keys end with a KeyUpdate. */
static void test_after_updates(void)
{
	for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
		struct talk t = begin(suite);
		uint8_t record[64];
		size_t len;

		talk(&t);
		len = record_seal_update(detach_pool_crypto(pool), t.state, false, record);
		CHECK_INT(open_again(&t, record, len), RECORD_NOTHING);
		detach_pool_rest(pool);
		expect_gone(&t);
		talk(&t);
		detach_state_put(t.state);
	}
}

/* Nor are they left in the context of one suite by a connection with another. */
static void test_after_others(void)
{
	struct talk first = begin(RECORD_CHACHA20_POLY1305), second = begin(RECORD_AES_128_GCM);

	talk(&first);
	talk(&second);
	detach_state_put(first.state);
	expect_gone(&first);
	detach_state_put(second.state);
	expect_gone(&second);
}

static void test_what_openssl_frees(void)
{
	uint8_t *block = OPENSSL_malloc(3000), *next;
	struct needle n;

	REQUIRE(block != NULL);
	random_bytes(block, 3000);
	n = hide(block + 1000, NEEDLE_MAX);
	CHECK_INT(found(&n), 1);
	next = OPENSSL_realloc(block, 300000);
	REQUIRE(next != NULL);
	CHECK_INT(found(&n), 1);
	OPENSSL_free(next);
	CHECK_INT(found(&n), 0);
}

static void test_set_up(void)
{
	net_setup();
	REQUIRE_OK(detach_pool_new(1u << 20, &pool, &err), &err);
}

static void test_clean_up(void)
{
	detach_pool_free(&pool);
}

TEST_MAIN(TEST(test_set_up), TEST(test_at_rest_and_after_the_end), TEST(test_after_updates),
	TEST(test_after_others), TEST(test_what_openssl_frees), TEST(test_clean_up))

#else

static void test_nothing(void)
{
}

TEST_MAIN(TEST(test_nothing))

#endif
