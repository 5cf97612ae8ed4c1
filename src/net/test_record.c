/*
 * The record layer against itself: two states that mirror each other, a peer that may break every
 * rule. (That it agrees with OpenSSL's is test_detach.c's matter.)
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/nonce_set.h"
#include "net/record.h"

#define ALERT     21
#define HANDSHAKE 22
#define DATA      23

static struct err err;
static struct record_crypto *crypto;
static struct nonce_set *nonces;
static struct record_state ours, theirs;
static uint8_t wire[RECORD_WIRE_MAX + 64], plain[RECORD_WIRE_MAX + 64];
static size_t plain_len;
static uint8_t alert;

static void begin(enum record_version version, enum record_suite suite)
{
	uint8_t a[48], b[48], master[48];

	if (crypto == NULL) {
		REQUIRE_OK(record_crypto_new(&crypto, &err), &err);
		REQUIRE_OK(nonce_set_open(NULL, 20, &nonces, &err), &err);
		record_crypto_watch_nonces(crypto, nonces);
	}
	record_crypto_rest(crypto); /* other connections take the place of those before */
	record_crypto_set_limits(crypto, RECORD_UPDATES_PER_MINUTE, RECORD_UPDATE_AFTER);
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	random_bytes(master, sizeof(master));
	if (version == RECORD_TLS_1_3) {
		record_init_13(&ours, suite, a, b);
		record_init_13(&theirs, suite, b, a);
	} else {
		REQUIRE_OK(record_init_12(&ours, suite, master, a, b, true, &err), &err);
		REQUIRE_OK(record_init_12(&theirs, suite, master, a, b, false, &err), &err);
		random_bytes(ours.key.nonce, 8);
		memset(theirs.key.nonce, 0xff, 8); /* the next one wraps */
	}
}

/* What we make of one record of the peer's. */
static enum record_event take(size_t len)
{
	size_t whole;

	plain_len = 0;
	alert = 255;
	whole = record_length(&ours, wire, &alert);
	if (whole == 0)
		return RECORD_BAD;
	REQUIRE(whole == len);
	return record_open(crypto, &ours, wire, len, plain, &plain_len, &alert);
}

static enum record_event peer(uint8_t type, const void *bytes, size_t len, size_t padding)
{
	return take(record_seal_any(crypto, &theirs, type, bytes, len, padding, wire));
}

static void check_bad(enum record_event event, uint8_t want)
{
	CHECK_INT(event, RECORD_BAD);
	CHECK_INT(alert, want);
	/* Whatever comes behind it is not even looked at. */
	CHECK((ours.flags & RECORD_CLOSE_SEEN) != 0 || record_length(&ours, wire, &alert) == 0);
}

static void exchange(const char *text)
{
	size_t n = record_seal(crypto, &theirs, (const uint8_t *)text, strlen(text), wire);

	CHECK_INT(take(n), RECORD_DATA);
	CHECK_MEM(plain, plain_len, text, strlen(text));
	n = record_seal(crypto, &ours, (const uint8_t *)text, strlen(text), wire);
	CHECK_INT(record_length(&theirs, wire, &alert), n);
	CHECK_INT(record_open(
			  crypto, &theirs, wire, n, wire + RECORD_HEADER_BYTES, &plain_len, &alert),
		RECORD_DATA);
	CHECK_MEM(wire + RECORD_HEADER_BYTES, plain_len, text, strlen(text));
}

static void test_both_ways(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
			begin(version, suite);
			for (int i = 0; i < 300; i++) {
				exchange("hello");
				exchange("a rather longer piece of text than the first one");
				if (i % 7 == 0)
					record_crypto_rest(crypto);
			}
			CHECK_INT(ours.read_seq, 600);
			CHECK_INT(ours.write_seq, 600);
			CHECK(record_state_is_sound(&ours));
		}
	}
}

/* Connections of all suites take turns at the same contexts. */
static void test_many_connections(void)
{
	enum { COUNT = 12 };
	struct record_state a[COUNT], b[COUNT];

	for (int i = 0; i < COUNT; i++) {
		begin(i % 2 == 0 ? RECORD_TLS_1_2 : RECORD_TLS_1_3, 1 + i % 3);
		a[i] = ours;
		b[i] = theirs;
	}
	for (int round = 0; round < 200; round++) {
		int i = round * 7 % COUNT;
		size_t n = record_seal(crypto, &a[i], (const uint8_t *)"x", 1, wire);

		if (round % 3 == 0)
			record_crypto_rest(crypto);
		CHECK_INT(record_open(crypto, &b[i], wire, n, plain, &plain_len, &alert),
			RECORD_DATA);
	}
	record_crypto_rest(crypto);
}

static void test_sizes(void)
{
	static uint8_t big[RECORD_PLAIN_MAX + 300];

	for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
		begin(RECORD_TLS_1_3, suite);
		CHECK_INT(peer(DATA, big, RECORD_PLAIN_MAX, 0), RECORD_DATA);
		CHECK_INT(plain_len, RECORD_PLAIN_MAX);
		CHECK_INT(peer(DATA, big, 100, RECORD_PLAIN_MAX - 100), RECORD_DATA);
		CHECK_INT(plain_len, 100);
		CHECK_INT(peer(DATA, big, 0, 1000), RECORD_NOTHING);
		/* One byte of padding too many; one byte of content too many. */
		check_bad(
			peer(DATA, big, 100, RECORD_PLAIN_MAX - 99), RECORD_ALERT_RECORD_OVERFLOW);
		begin(RECORD_TLS_1_3, suite);
		check_bad(peer(DATA, big, RECORD_PLAIN_MAX + 1, 0), RECORD_ALERT_RECORD_OVERFLOW);
		begin(RECORD_TLS_1_2, suite);
		CHECK_INT(peer(DATA, big, RECORD_PLAIN_MAX, 0), RECORD_DATA);
		check_bad(peer(DATA, big, RECORD_PLAIN_MAX + 1, 0), RECORD_ALERT_RECORD_OVERFLOW);
	}
}

static void test_headers(void)
{
	static const struct {
		enum record_version version;
		uint8_t header[5];
		size_t len;
		uint8_t alert;
	} table[] = {
		{RECORD_TLS_1_3, {23, 3, 3, 0, 17}, 22, 0},
		{RECORD_TLS_1_3, {23, 3, 3, 0, 16}, 0, RECORD_ALERT_BAD_RECORD_MAC},
		{RECORD_TLS_1_3, {23, 3, 3, 0x41, 0}, 5 + 16640, 0},
		{RECORD_TLS_1_3, {23, 3, 3, 0x41, 1}, 0, RECORD_ALERT_RECORD_OVERFLOW},
		{RECORD_TLS_1_3, {23, 3, 1, 0, 17}, 0, RECORD_ALERT_PROTOCOL_VERSION},
		{RECORD_TLS_1_3, {20, 3, 3, 0, 1}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_3, {21, 3, 3, 0, 2}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_3, {22, 3, 3, 0, 50}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_2, {23, 3, 3, 0, 24}, 29, 0},
		{RECORD_TLS_1_2, {23, 3, 3, 0, 23}, 0, RECORD_ALERT_BAD_RECORD_MAC},
		{RECORD_TLS_1_2, {23, 3, 3, 0x40, 24}, 5 + 16408, 0},
		{RECORD_TLS_1_2, {23, 3, 3, 0x40, 25}, 0, RECORD_ALERT_RECORD_OVERFLOW},
		{RECORD_TLS_1_2, {22, 3, 3, 0, 24}, 29, 0},
		{RECORD_TLS_1_2, {20, 3, 3, 0, 24}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_2, {24, 3, 3, 0, 24}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		begin(table[i].version, RECORD_AES_128_GCM);
		alert = 0;
		CHECK_INT(record_length(&ours, table[i].header, &alert), table[i].len);
		CHECK_INT(alert, table[i].alert);
	}
}

/* RFC 8446, 5.4: a record of nothing but zeros has no type. */
static void test_all_zero(void)
{
	static const uint8_t zeros[200];

	begin(RECORD_TLS_1_3, RECORD_AES_256_GCM);
	check_bad(peer(0, zeros, 150, 20), RECORD_ALERT_UNEXPECTED_MESSAGE);
	begin(RECORD_TLS_1_3, RECORD_AES_256_GCM);
	check_bad(peer(0, zeros, 0, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
}

static void test_spoiled(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		for (size_t at = 0; at < 40; at++) {
			size_t n;
			enum record_event event;

			begin(version, RECORD_AES_128_GCM);
			n = record_seal(crypto, &theirs, (const uint8_t *)"0123456789", 10, wire);
			wire[at < n ? at : n - 1] ^= 0x10;
			alert = 0;
			if (record_length(&ours, wire, &alert) != n)
				continue;
			event = record_open(crypto, &ours, wire, n, plain, &plain_len, &alert);
			CHECK_INT(event, RECORD_BAD);
			CHECK_INT(alert, RECORD_ALERT_BAD_RECORD_MAC);
		}
		/* The same record twice, and one that was left out. */
		begin(version, RECORD_AES_128_GCM);
		CHECK_INT(peer(DATA, "x", 1, 0), RECORD_DATA);
		check_bad(take(record_length(&ours, wire, &alert)), RECORD_ALERT_BAD_RECORD_MAC);
		begin(version, RECORD_AES_128_GCM);
		(void)record_seal(crypto, &theirs, (const uint8_t *)"x", 1, wire);
		check_bad(peer(DATA, "y", 1, 0), RECORD_ALERT_BAD_RECORD_MAC);
	}
}

static void test_alerts(void)
{
	static const struct {
		uint8_t bytes[3];
		size_t len;
		enum record_event want_12, want_13;
	} table[] = {
		{{1, 0}, 2, RECORD_CLOSED, RECORD_CLOSED},
		{{2, 0}, 2, RECORD_CLOSED, RECORD_CLOSED},
		{{1, 90}, 2, RECORD_NOTHING, RECORD_NOTHING},
		{{1, 100}, 2, RECORD_NOTHING, RECORD_GONE},
		{{2, 40}, 2, RECORD_GONE, RECORD_GONE},
		{{1, 40}, 2, RECORD_NOTHING, RECORD_GONE},
		{{1}, 1, RECORD_BAD, RECORD_BAD},
		{{1, 0, 1}, 3, RECORD_BAD, RECORD_BAD},
		{{0}, 0, RECORD_BAD, RECORD_BAD},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		begin(RECORD_TLS_1_2, RECORD_AES_256_GCM);
		CHECK_INT(peer(ALERT, table[i].bytes, table[i].len, 0), table[i].want_12);
		begin(RECORD_TLS_1_3, RECORD_AES_256_GCM);
		CHECK_INT(peer(ALERT, table[i].bytes, table[i].len, 0), table[i].want_13);
		if (table[i].want_13 == RECORD_CLOSED)
			CHECK_INT(peer(DATA, "late", 4, 0), RECORD_CLOSED);
	}
}

/* 32 in a row are borne, of whatever kind; data begins the count anew. */
static void test_floods(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		begin(version, RECORD_AES_128_GCM);
		for (int i = 0; i < 32; i++)
			CHECK_INT(peer(DATA, "", 0, 0), RECORD_NOTHING);
		CHECK_INT(peer(DATA, "x", 1, 0), RECORD_DATA);
		for (int i = 0; i < 32; i++) {
			if (i % 2 == 0)
				CHECK_INT(peer(ALERT, "\x01\x5a", 2, 0), RECORD_NOTHING);
			else
				CHECK_INT(peer(DATA, "", 0, version == RECORD_TLS_1_3 ? 9 : 0),
					RECORD_NOTHING);
		}
		CHECK(record_state_is_sound(&ours));
		check_bad(peer(DATA, "", 0, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
		CHECK(record_state_is_sound(&ours));
	}
}

static void test_renegotiation(void)
{
	static const uint8_t hello[8] = {1, 0, 0, 4, 3, 3, 0, 0};
	static const uint8_t two[16] = {1, 0, 0, 4, 3, 3, 0, 0, 1, 0, 0, 4, 3, 3, 0, 0};
	static const uint8_t finished[8] = {20, 0, 0, 4, 3, 3, 0, 0};

	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	CHECK_INT(peer(HANDSHAKE, hello, 8, 0), RECORD_REFUSE);
	exchange("still here");
	for (int i = 0; i < 32; i++)
		CHECK_INT(peer(HANDSHAKE, hello, 8, 0), RECORD_REFUSE);
	check_bad(peer(HANDSHAKE, hello, 8, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	/* A part of one, two in one record, another message, an empty record. */
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	check_bad(peer(HANDSHAKE, hello, 7, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	check_bad(peer(HANDSHAKE, hello, 3, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	check_bad(peer(HANDSHAKE, two, 16, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	check_bad(peer(HANDSHAKE, finished, 8, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	check_bad(peer(HANDSHAKE, hello, 0, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
}

/* The peer changes its keys; perhaps it wants ours changed. */
static enum record_event peer_updates(bool requested)
{
	return take(record_seal_update(crypto, &theirs, requested, wire));
}

static void we_update(void)
{
	size_t n = record_seal_update(crypto, &ours, false, wire);

	CHECK_INT(record_open(crypto, &theirs, wire, n, plain, &plain_len, &alert), RECORD_NOTHING);
}

static void test_key_update(void)
{
	for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
		struct record_state before;

		begin(RECORD_TLS_1_3, suite);
		exchange("one");
		before = ours;
		CHECK_INT(peer_updates(false), RECORD_NOTHING);
		CHECK_INT(ours.read_seq, 0);
		CHECK(memcmp(before.secret.read, ours.secret.read, 32) != 0);
		CHECK(memcmp(before.secret.write, ours.secret.write, 48) == 0);
		exchange("two");
		CHECK_INT(peer_updates(true), RECORD_UPDATE);
		we_update();
		CHECK_INT(ours.write_seq, 0);
		exchange("three");
	}
}

static void test_key_update_rules(void)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
		uint8_t alert;
	} table[] = {
		{{24, 0, 0, 1, 2}, 5, RECORD_ALERT_ILLEGAL_PARAMETER},
		{{24, 0, 0, 1}, 4, RECORD_ALERT_UNEXPECTED_MESSAGE}, /* a piece */
		{{24}, 1, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{{24, 0, 0, 1, 0, 24, 0, 0, 1, 0}, 10, RECORD_ALERT_UNEXPECTED_MESSAGE}, /* two */
		{{24, 0, 0, 2, 0, 0}, 6, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{{1, 0, 0, 1, 0}, 5, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{{11, 0, 0, 1, 0}, 5, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{{13, 0, 0, 0}, 4, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{{0}, 0, RECORD_ALERT_UNEXPECTED_MESSAGE},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
		check_bad(peer(HANDSHAKE, table[i].bytes, table[i].len, 0), table[i].alert);
	}
	/* Content types that nobody has after a handshake. */
	for (int type = 1; type < 256; type++) {
		if (type == DATA || type == HANDSHAKE || type == ALERT)
			continue;
		begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
		check_bad(peer((uint8_t)type, "\x01", 1, 0), RECORD_ALERT_UNEXPECTED_MESSAGE);
	}
}

static void test_key_update_bound(void)
{
	clock_fake_set(1600000000000, 600000);
	begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
	record_crypto_set_limits(crypto, 1000, RECORD_UPDATE_AFTER);
	for (int minute = 0; minute < 3; minute++) {
		for (int i = 0; i < 1000; i++)
			CHECK_INT(peer_updates(false), RECORD_NOTHING);
		clock_fake_advance_ms(60000);
	}
	for (int i = 0; i < 1000; i++)
		CHECK_INT(peer_updates(i % 2 == 0), i % 2 == 0 ? RECORD_UPDATE : RECORD_NOTHING);
	exchange("after four thousand");
	check_bad(peer_updates(false), RECORD_ALERT_UNEXPECTED_MESSAGE);
	clock_fake_off();
}

static void test_our_update_is_due(void)
{
	begin(RECORD_TLS_1_3, RECORD_AES_256_GCM);
	record_crypto_set_limits(crypto, 1000, 10);
	for (int i = 0; i < 10; i++) {
		CHECK(!record_update_is_due(crypto, &ours));
		exchange("x");
	}
	CHECK(record_update_is_due(crypto, &ours));
	we_update();
	CHECK(!record_update_is_due(crypto, &ours));
	exchange("y");
	begin(RECORD_TLS_1_2, RECORD_AES_256_GCM);
	record_crypto_set_limits(crypto, 1000, 0);
	CHECK(!record_update_is_due(crypto, &ours));
}

static void test_max_fragment(void)
{
	static uint8_t bytes[5000];

	for (uint8_t code = 1; code <= 4; code++) {
		size_t max = (size_t)256 << code;

		begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
		ours.max_fragment = code;
		CHECK_INT(record_plain_max(&ours), max);
		CHECK_INT(peer(DATA, bytes, max, 0), RECORD_DATA);
		check_bad(peer(DATA, bytes, max + 1, 0), RECORD_ALERT_RECORD_OVERFLOW);
	}
	CHECK_INT(record_plain_max(&theirs), RECORD_PLAIN_MAX);
}

/* Nothing is sealed behind our own end, and none when the numbers are used up. */
static void test_the_end(void)
{
	begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
	CHECK(record_seal_alert(crypto, &ours, false, RECORD_ALERT_CLOSE_NOTIFY, wire) > 0);
	CHECK_INT(record_seal(crypto, &ours, (const uint8_t *)"x", 1, wire), 0);
	CHECK_INT(record_seal_update(crypto, &ours, false, wire), 0);
	CHECK_INT(peer(DATA, "x", 1, 0), RECORD_DATA);
	begin(RECORD_TLS_1_2, RECORD_AES_128_GCM);
	CHECK(record_seal_alert(crypto, &ours, false, RECORD_ALERT_NO_RENEGOTIATION, wire) > 0);
	CHECK(record_seal(crypto, &ours, (const uint8_t *)"x", 1, wire) > 0);
	ours.write_seq = UINT32_MAX - 1;
	CHECK(record_seal(crypto, &ours, (const uint8_t *)"x", 1, wire) > 0);
	CHECK_INT(record_seal(crypto, &ours, (const uint8_t *)"x", 1, wire), 0);
	CHECK_INT(ours.write_seq, UINT32_MAX);
	theirs.write_seq = ours.read_seq = UINT32_MAX - 1;
	CHECK_INT(peer(DATA, "x", 1, 0), RECORD_DATA);
	theirs.write_seq = UINT32_MAX - 1;
	check_bad(peer(DATA, "x", 1, 0), RECORD_ALERT_BAD_RECORD_MAC);
}

static void test_unsound(void)
{
	struct record_state s;

	begin(RECORD_TLS_1_3, RECORD_AES_128_GCM);
	CHECK(record_state_is_sound(&ours));
	s = ours;
	s.version = 2;
	CHECK(!record_state_is_sound(&s));
	s = ours;
	s.suite = RECORD_SUITE_END;
	CHECK(!record_state_is_sound(&s));
	s = ours;
	s.max_fragment = 5;
	CHECK(!record_state_is_sound(&s));
	s = ours;
	s.flags = 0x80;
	CHECK(!record_state_is_sound(&s));
}

/* A copy of a state that goes on by itself would use nonces twice: the set must see it. */
static void test_nonce_repeat_aborts(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		struct record_state copy;
		uint64_t before;
		int status = 0;
		pid_t child;

		begin(version, RECORD_AES_128_GCM);
		before = nonce_set_count(nonces);
		copy = ours;
		(void)record_seal(crypto, &ours, (const uint8_t *)"x", 1, wire);
		CHECK_INT(nonce_set_count(nonces), before + 1);
		child = fork();
		REQUIRE(child >= 0);
		if (child == 0) {
			(void)close(STDERR_FILENO);
			(void)signal(SIGABRT, SIG_DFL);
			(void)record_seal(crypto, &copy, (const uint8_t *)"y", 1, wire);
			_exit(0);
		}
		REQUIRE(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

static void test_clean_up(void)
{
	CHECK(nonce_set_count(nonces) > 10000);
	record_crypto_free(&crypto);
	nonce_set_close(&nonces);
}

TEST_MAIN(TEST(test_both_ways), TEST(test_many_connections), TEST(test_sizes), TEST(test_headers),
	TEST(test_all_zero), TEST(test_spoiled), TEST(test_alerts), TEST(test_floods),
	TEST(test_renegotiation), TEST(test_key_update), TEST(test_key_update_rules),
	TEST(test_key_update_bound), TEST(test_our_update_is_due), TEST(test_max_fragment),
	TEST(test_the_end), TEST(test_unsound), TEST(test_nonce_repeat_aborts), TEST(test_clean_up))
