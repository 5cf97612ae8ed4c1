/*
 * The stream form of a detached connection, against a peer that seals its own records and may break
 * every rule: how bytes are cut, queued, counted and ended. No handshakes here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "net/detach_internal.h"
#include "net/nonce_set.h"

#define ALERT     21
#define HANDSHAKE 22
#define DATA      23
#define HELD_MAX  (256u * 1024)

static struct err err;
static struct detach_pool *pool;
static struct record_crypto *crypto; /* the peer's own */
static struct nonce_set *nonces;
static struct net_stream s;
static struct record_state peer;
static int fd = -1;   /* the peer's end */
static struct buf in; /* what it received and has not opened */
static uint8_t plain[RECORD_WIRE_MAX];
static size_t plain_len;
static uint8_t big[600000];

static void begin_as(enum record_version version, enum record_suite suite, int buffer)
{
	uint8_t a[48], b[48], master[48];
	struct record_state state;
	int fds[2];

	if (pool == NULL) {
		REQUIRE_OK(detach_pool_new(HELD_MAX, &pool, &err), &err);
		REQUIRE_OK(record_crypto_new(&crypto, &err), &err);
		REQUIRE_OK(nonce_set_open(NULL, 22, &nonces, &err), &err);
		record_crypto_watch_nonces(pool->crypto, nonces);
		random_bytes(big, sizeof(big));
	}
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	random_bytes(master, sizeof(master));
	if (version == RECORD_TLS_1_3) {
		record_init_13(&state, suite, a, b);
		record_init_13(&peer, suite, b, a);
	} else {
		REQUIRE_OK(record_init_12(&state, suite, master, a, b, true, &err), &err);
		REQUIRE_OK(record_init_12(&peer, suite, master, a, b, false, &err), &err);
	}
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	if (buffer > 0)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	fd = fds[1];
	REQUIRE_OK(net_stream_import(&s, fds[0], pool, &state, &err), &err);
	buf_clear(&in);
}

static void begin(void)
{
	begin_as(RECORD_TLS_1_3, RECORD_AES_256_GCM, 0);
}

static void end(void)
{
	net_stream_close(&s);
	if (fd >= 0)
		(void)close(fd);
	fd = -1;
	CHECK_INT(detach_pool_count(pool), 0);
	CHECK_INT(detach_pool_held(pool), 0);
}

/* ---- the peer ---- */

static size_t seal(uint8_t type, const void *bytes, size_t len, size_t padding, uint8_t *out)
{
	size_t n = record_seal_any(crypto, &peer, type, bytes, len, padding, out);

	record_crypto_rest(crypto);
	return n;
}

static void send_raw(const void *bytes, size_t len)
{
	REQUIRE(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void send_record(uint8_t type, const void *bytes, size_t len)
{
	uint8_t wire[RECORD_WIRE_MAX];

	send_raw(wire, seal(type, bytes, len, 0, wire));
}

static void send_update(bool requested)
{
	uint8_t wire[64];
	size_t n = record_seal_update(crypto, &peer, requested, wire);

	record_crypto_rest(crypto);
	send_raw(wire, n);
}

static void pull(void)
{
	while (buf_reserve(&in, 65536)) {
		ssize_t n = recv(fd, in.data + in.len, 65536, 0);

		if (n <= 0)
			return;
		in.len += (size_t)n;
	}
}

/* Opens the next whole record: 0 when there is none, else its length; *ret its event. */
static size_t next_record(enum record_event *ret)
{
	uint8_t alert = 0;
	size_t len = in.len >= 5 ? record_length(&peer, in.data, &alert) : 0;

	plain_len = 0;
	if (len == 0 || in.len < len)
		return 0;
	*ret = record_open(crypto, &peer, in.data, len, plain, &plain_len, &alert);
	record_crypto_rest(crypto);
	buf_drop(&in, len);
	return len;
}

static void expect_event(enum record_event want)
{
	enum record_event event = RECORD_BAD;

	pull();
	CHECK(next_record(&event) > 0);
	CHECK_INT(event, want);
}

static void expect_data(const char *text)
{
	expect_event(RECORD_DATA);
	CHECK_MEM(plain, plain_len, text, strlen(text));
}

/* The alert that came last, as level * 256 + number. Our own record_open() hides it. */
static int last_alert(void)
{
	uint8_t key_in[64];
	struct record_state copy = peer;
	size_t len;
	int found = -1;

	pull();
	while (in.len >= 5) {
		uint8_t ignored = 0;
		enum record_event event;

		len = record_length(&peer, in.data, &ignored);
		if (len == 0 || in.len < len)
			break;
		copy = peer;
		event = record_open(crypto, &peer, in.data, len, plain, &plain_len, &ignored);
		record_crypto_rest(crypto);
		if (event != RECORD_DATA && (copy.version == RECORD_TLS_1_2 || len == 24)) {
			/* The plain text of an alert still lies where it was opened. */
			memcpy(key_in, plain, 2);
			found = key_in[0] * 256 + key_in[1];
		}
		buf_drop(&in, len);
	}
	return found;
}

static void expect_read(const char *text)
{
	uint8_t got[RECORD_WIRE_MAX];
	int64_t n = net_stream_read(&s, got, sizeof(got));

	CHECK_INT(n, strlen(text));
	if (n > 0)
		CHECK_MEM(got, (size_t)n, text, strlen(text));
}

static int64_t read_nothing(void)
{
	uint8_t got[RECORD_WIRE_MAX];

	return net_stream_read(&s, got, sizeof(got));
}

/* ---- reading ---- */

static void test_split_at_every_byte(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		uint8_t wire[256];
		size_t len;

		begin_as(version, RECORD_AES_128_GCM, 0);
		len = seal(DATA, "0123456789", 10, 0, wire);
		len += seal(DATA, "", 0, 0, wire + len);
		len += seal(DATA, "abcdef", 6, 0, wire + len);
		for (size_t cut = 1; cut < len; cut++) {
			struct record_state state;
			struct buf got = BUF_INIT;

			for (size_t i = 0; i < 2; i++) {
				uint8_t bytes[64];
				int64_t n;

				send_raw(wire + (i == 0 ? 0 : cut), i == 0 ? cut : len - cut);
				while ((n = net_stream_read(&s, bytes, sizeof(bytes))) > 0)
					buf_add(&got, bytes, (size_t)n);
				CHECK_INT(n, NET_AGAIN);
				CHECK(!s.more);
			}
			CHECK_MEM(got.data, got.len, "0123456789abcdef", 16);
			CHECK_INT(s.form, NET_DETACHED);
			buf_deinit(&got);
			/* The same bytes once more, for a state as it was. */
			REQUIRE(net_stream_export(&s, &state));
			state.read_seq = 0;
			state.idle = 0;
			REQUIRE_OK(net_stream_import(&s, s.fd, pool, &state, &err), &err);
		}
		end();
	}
}

static void test_byte_by_byte(void)
{
	uint8_t wire[300];
	size_t len;

	begin();
	len = seal(DATA, "one", 3, 100, wire);
	len += record_seal_update(crypto, &peer, false, wire + len);
	record_crypto_rest(crypto);
	len += seal(DATA, "two", 3, 0, wire + len);
	for (size_t i = 0; i < len; i++) {
		int64_t n;

		send_raw(wire + i, 1);
		n = read_nothing();
		CHECK(n == NET_AGAIN || n == 3);
		CHECK_INT(s.form == NET_BUSY, detach_pool_held(pool) > 0);
	}
	CHECK_INT(s.form, NET_DETACHED);
	end();
}

/* Any size of the caller's buffer gives the same bytes. */
static void test_small_reads(void)
{
	static const size_t sizes[] = {1, 2, 7, 100, 5000, 16384, 20000, 32768, 70000};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t at = 0, want = sizes[i] < 7 ? 3000 : 60000;
		uint8_t got[70000];

		begin();
		for (size_t sent = 0; sent < want; sent += want / 5)
			send_record(DATA, big + sent, want / 5);
		while (at < want) {
			int64_t n = net_stream_read(&s, got, sizes[i]);

			REQUIRE(n > 0);
			CHECK_MEM(got, (size_t)n, big + at, (size_t)n);
			at += (size_t)n;
		}
		CHECK_INT(net_stream_read(&s, got, sizes[i]), NET_AGAIN);
		CHECK_INT(s.form, NET_DETACHED);
		end();
	}
}

/* Halves of records over all connections have a bound. */
static void test_held_bound(void)
{
	uint8_t wire[RECORD_WIRE_MAX];
	size_t len;

	begin();
	detach_pool_set_max_held(pool, 9000);
	len = seal(DATA, big, 16000, 0, wire);
	send_raw(wire, 2000);
	CHECK_INT(read_nothing(), NET_AGAIN);
	CHECK(detach_pool_held(pool) >= 2000 && detach_pool_held(pool) < 9000);
	send_raw(wire + 2000, len - 2000 - 1);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(detach_pool_held(pool), 0);
	CHECK_INT(read_nothing(), NET_EOF);
	end();
	detach_pool_set_max_held(pool, HELD_MAX);
}

static void test_ends_of_stream(void)
{
	uint8_t wire[64];

	begin();
	send_record(DATA, "last", 4);
	(void)shutdown(fd, SHUT_WR);
	expect_read("last");
	CHECK_INT(read_nothing(), NET_EOF);
	end();
	begin(); /* in the middle of a record */
	send_raw(wire, seal(DATA, "last", 4, 0, wire) - 1);
	(void)shutdown(fd, SHUT_WR);
	CHECK_INT(read_nothing(), NET_FAILED);
	end();
	begin(); /* close_notify behind data; what follows is not looked at */
	send_record(DATA, "last", 4);
	send_record(ALERT, "\x01\x00", 2);
	send_raw("garbage", 7);
	expect_read("last");
	CHECK(s.more);
	CHECK_INT(read_nothing(), NET_EOF);
	CHECK_INT(read_nothing(), NET_EOF);
	/* The other half still works. */
	CHECK_INT(net_stream_write(&s, "answer", 6), 6);
	expect_data("answer");
	end();
}

/* ---- what is against the rules gets its alert ---- */

static void test_fatal_alerts(void)
{
	static uint8_t zeros[64], over[RECORD_PLAIN_MAX + 1];
	static const struct {
		enum record_version version;
		uint8_t type;
		const void *bytes;
		size_t len;
		uint8_t alert;
	} table[] = {
		{RECORD_TLS_1_3, 0, zeros, 20, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_3, DATA, over, sizeof(over), RECORD_ALERT_RECORD_OVERFLOW},
		{RECORD_TLS_1_2, DATA, over, sizeof(over), RECORD_ALERT_RECORD_OVERFLOW},
		{RECORD_TLS_1_3, HANDSHAKE, "\x18\0\0\1", 4, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_3, HANDSHAKE, "\x18\0\0\1\7", 5, RECORD_ALERT_ILLEGAL_PARAMETER},
		{RECORD_TLS_1_3, HANDSHAKE, "\1\0\0\1\0", 5, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_2, HANDSHAKE, "\1\0\0\7\0", 5, RECORD_ALERT_UNEXPECTED_MESSAGE},
		{RECORD_TLS_1_3, ALERT, "\1", 1, RECORD_ALERT_DECODE_ERROR},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		begin_as(table[i].version, RECORD_AES_128_GCM, 0);
		send_record(table[i].type, table[i].bytes, table[i].len);
		CHECK_INT(read_nothing(), NET_FAILED);
		CHECK_INT(last_alert(), 2 * 256 + table[i].alert);
		CHECK_INT(read_nothing(), NET_EOF);
		CHECK_INT(net_stream_write(&s, "x", 1), NET_FAILED);
		end();
	}
	begin(); /* a header that cannot be; a record that was changed on its way */
	send_raw("GET / HTTP/1.1\r\n\r\n", 18);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(last_alert(), 2 * 256 + RECORD_ALERT_PROTOCOL_VERSION);
	end();
	begin();
	send_raw("\x17\3\3\0\x20"
		 "0123456789abcdef0123456789abcdef",
		37);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(last_alert(), 2 * 256 + RECORD_ALERT_BAD_RECORD_MAC);
	end();
}

static void test_renegotiation_is_refused(void)
{
	static const uint8_t hello[8] = {1, 0, 0, 4, 3, 3, 0, 0};

	begin_as(RECORD_TLS_1_2, RECORD_CHACHA20_POLY1305, 0);
	send_record(HANDSHAKE, hello, sizeof(hello));
	send_record(DATA, "and on", 6);
	expect_read("and on");
	CHECK_INT(last_alert(), 1 * 256 + RECORD_ALERT_NO_RENEGOTIATION);
	CHECK_INT(net_stream_write(&s, "fine", 4), 4);
	expect_data("fine");
	end();
}

/* What was sealed arrives, or the connection ends. */
static void test_refusal_that_cannot_wait(void)
{
	static const uint8_t hello[8] = {1, 0, 0, 4, 3, 3, 0, 0};

	begin_as(RECORD_TLS_1_2, RECORD_AES_128_GCM, 4096);
	while (net_stream_write(&s, big, sizeof(big)) > 0)
		;
	CHECK(net_stream_unsent(&s));
	detach_pool_set_max_held(pool, 1000);
	send_record(HANDSHAKE, hello, sizeof(hello));
	send_record(DATA, "and on", 6);
	CHECK_INT(read_nothing(), NET_FAILED);
	end();
	detach_pool_set_max_held(pool, HELD_MAX);
}

static void test_empty_records(void)
{
	begin();
	for (int i = 0; i < 32; i++)
		send_record(DATA, "", 0);
	CHECK_INT(read_nothing(), NET_AGAIN);
	send_record(DATA, "x", 1);
	expect_read("x");
	for (int i = 0; i < 33; i++)
		send_record(DATA, "", 0);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(last_alert(), 2 * 256 + RECORD_ALERT_UNEXPECTED_MESSAGE);
	end();
}

/* ---- writing ---- */

/* Everything arrives once and in order, through a socket that takes little at a time. */
static void write_all(size_t want, size_t *ret_again)
{
	size_t at = 0, received = 0;
	bool same = true;

	*ret_again = 0;
	while (received < want) {
		enum record_event event;
		int64_t n = at < want ? net_stream_write(&s, big + at, want - at) : NET_AGAIN;

		REQUIRE(n != NET_FAILED);
		if (n > 0)
			at += (size_t)n;
		if (n != NET_AGAIN && at < want)
			continue;
		(*ret_again)++;
		pull();
		while (next_record(&event) > 0) {
			CHECK(event == RECORD_DATA || event == RECORD_NOTHING);
			same = same && memcmp(plain, big + received, plain_len) == 0;
			received += plain_len;
		}
	}
	CHECK(same);
	CHECK_INT(at, want);
	CHECK_INT(received, want);
	CHECK(!net_stream_unsent(&s));
	CHECK_INT(s.form, NET_DETACHED);
}

static void test_blocked_writer(void)
{
	for (int version = RECORD_TLS_1_2; version <= RECORD_TLS_1_3; version++) {
		for (int suite = RECORD_AES_128_GCM; suite < RECORD_SUITE_END; suite++) {
			size_t again;

			begin_as(version, suite, 4096);
			write_all(sizeof(big), &again);
			CHECK(again > 10);
			end();
		}
	}
}

static void test_our_own_updates(void)
{
	size_t again;

	begin_as(RECORD_TLS_1_3, RECORD_AES_256_GCM, 4096);
	record_crypto_set_limits(pool->crypto, 1000, 3);
	write_all(300000, &again);
	CHECK(s.records->write_seq <= 4);
	record_crypto_set_limits(pool->crypto, 1000, RECORD_UPDATE_AFTER);
	end();
}

static void test_max_fragment(void)
{
	enum record_event event;
	size_t len, total = 0;

	begin();
	s.records->max_fragment = 1;
	CHECK_INT(net_stream_write(&s, big, 20000), 20000);
	pull();
	while ((len = next_record(&event)) > 0) {
		CHECK(plain_len <= 512);
		CHECK_MEM(plain, plain_len, big + total, plain_len);
		total += plain_len;
	}
	CHECK_INT(total, 20000);
	send_record(DATA, big, 513);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(last_alert(), 2 * 256 + RECORD_ALERT_RECORD_OVERFLOW);
	end();
}

/* Fills the socket until half a record stays with us. Gives what was reported. */
static size_t block(void)
{
	size_t at = 0;

	for (;;) {
		int64_t n = net_stream_write(&s, big + at, sizeof(big) - at);

		REQUIRE(n != NET_FAILED);
		if (n < 0)
			return at;
		at += (size_t)n;
	}
}

/* Takes everything that comes until the connection has nothing unsent; checks the data. */
static size_t drain_peer(size_t want)
{
	size_t received = 0, others = 0;

	for (int i = 0; i < 10000; i++) {
		enum record_event event;

		(void)net_stream_flush(&s);
		pull();
		while (next_record(&event) > 0) {
			CHECK_MEM(plain, plain_len, big + received, plain_len);
			received += plain_len;
			others += event != RECORD_DATA;
			CHECK(event == RECORD_DATA || event == RECORD_NOTHING ||
				event == RECORD_CLOSED);
		}
		if (!net_stream_unsent(&s) && in.len == 0)
			break;
	}
	CHECK(received >= want);
	return others;
}

/* A thousand KeyUpdates behind a writer who cannot: one answer, behind the half record. */
static void test_thousand_updates(void)
{
	size_t written, held;

	begin_as(RECORD_TLS_1_3, RECORD_AES_128_GCM, 4096);
	written = block();
	CHECK(net_stream_unsent(&s));
	held = detach_pool_held(pool);
	for (int i = 0; i < 1000; i++) {
		send_update(true);
		if (i % 3 == 0)
			CHECK_INT(read_nothing(), NET_AGAIN);
	}
	CHECK_INT(read_nothing(), NET_AGAIN);
	CHECK(detach_pool_held(pool) <= 2 * held); /* a buffer doubles */
	CHECK_INT(drain_peer(written), 1);
	send_record(DATA, "new keys", 8);
	expect_read("new keys");
	/* The bytes that were sealed already are reported now, not sealed again. */
	CHECK(net_stream_write(&s, big + written, sizeof(big) - written) > 0);
	end();
}

static void test_updates_are_bounded(void)
{
	begin();
	record_crypto_set_limits(pool->crypto, 50, RECORD_UPDATE_AFTER);
	for (int i = 0; i < 50; i++) {
		send_update(true);
		CHECK_INT(read_nothing(), NET_AGAIN);
		expect_event(RECORD_NOTHING);
	}
	send_update(true);
	CHECK_INT(read_nothing(), NET_FAILED);
	CHECK_INT(last_alert(), 2 * 256 + RECORD_ALERT_UNEXPECTED_MESSAGE);
	record_crypto_set_limits(pool->crypto, 1200, RECORD_UPDATE_AFTER);
	end();
}

/* close_notify waits its turn, and the write half is shut only behind it. */
static void test_shut_behind_half_a_record(void)
{
	size_t written;

	begin_as(RECORD_TLS_1_3, RECORD_AES_256_GCM, 4096);
	written = block();
	net_stream_shut(&s);
	CHECK(net_stream_unsent(&s));
	for (int i = 0; i < 1000 && net_stream_unsent(&s); i++) {
		pull();
		CHECK_INT(net_stream_drain(&s, 100), NET_AGAIN);
	}
	CHECK_INT(drain_peer(written), 1);
	CHECK((peer.flags & RECORD_CLOSE_SEEN) != 0);
	CHECK_INT(recv(fd, plain, 1, 0), 0);
	CHECK_INT(net_stream_write(&s, "x", 1), NET_FAILED);
	(void)shutdown(fd, SHUT_WR);
	CHECK_INT(net_stream_drain(&s, 100), NET_EOF);
	end();
}

/* There is room again, and half a record before it: close_notify does not push in. */
static void test_shut_does_not_overtake(void)
{
	size_t written;

	begin_as(RECORD_TLS_1_3, RECORD_AES_128_GCM, 4096);
	written = block();
	pull();
	net_stream_shut(&s);
	CHECK_INT(drain_peer(written), 1);
	CHECK((peer.flags & RECORD_CLOSE_SEEN) != 0);
	end();
	/* With nothing before it the half is shut at once. */
	begin_as(RECORD_TLS_1_2, RECORD_AES_128_GCM, 0);
	net_stream_shut(&s);
	CHECK_INT(drain_peer(0), 1);
	CHECK_INT(recv(fd, plain, 1, 0), 0);
	end();
}

/* With a record under way a connection cannot be handed on. */
static void test_export_when_busy(void)
{
	struct record_state state;
	uint8_t wire[64];
	size_t len;

	begin();
	len = seal(DATA, "whole", 5, 0, wire);
	send_raw(wire, 9);
	CHECK_INT(read_nothing(), NET_AGAIN);
	CHECK(!net_stream_export(&s, &state));
	send_raw(wire + 9, len - 9);
	expect_read("whole");
	CHECK(net_stream_export(&s, &state));
	end();
}

/* Many connections come and go: the vault gives memory back and reuses it wiped. */
static void test_vault(void)
{
	static void *objects[5000];
	struct vault *v = vault_new(112, &err);
	bool clean = true;

	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		objects[i] = vault_take(v);
		REQUIRE(objects[i] != NULL);
		CHECK(vault_owner(objects[i]) == &err);
		memset(objects[i], 0xaa, 112);
	}
	CHECK_INT(vault_count(v), ARRAY_LEN(objects));
	CHECK(vault_bytes(v) < ARRAY_LEN(objects) * 113 + 65536 || POOLS_ARE_MALLOC);
	for (size_t i = 0; i < ARRAY_LEN(objects); i += 2)
		vault_put(objects[i]);
	for (size_t i = 0; i < ARRAY_LEN(objects); i += 2) {
		uint8_t *object = vault_take(v);

		for (size_t k = 0; k < 112; k++)
			clean = clean && object[k] == 0;
		objects[i] = object;
	}
	CHECK(clean);
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		vault_put(objects[i]);
	vault_put(NULL);
	CHECK_INT(vault_count(v), 0);
	CHECK(vault_bytes(v) <= 65536);
	vault_free(&v);
}

/* The flags of the mapping that an object lies in, proc(5): "VmFlags: rd wr ...". */
static void flags_of(const void *object, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[400];
	bool here = false;

	REQUIRE(f != NULL);
	*ret = 0;
	while (*ret == 0 && fgets(line, sizeof(line), f) != NULL) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			here = (uintptr_t)object >= from && (uintptr_t)object < to;
		if (here && str_starts(line, "VmFlags:"))
			(void)snprintf(ret, size, "%.*s", (int)size - 1, line);
	}
	(void)fclose(f);
}

/* Keys are locked into memory, left out of cores and of children, and wiped when given back. */
static void test_vault_keeps_secrets(void)
{
	struct vault *v = vault_new(112, &err);
	uint8_t *object = vault_take(v), *other = vault_take(v);

	REQUIRE(object != NULL && other != NULL);
#if !POOLS_ARE_MALLOC
	char flags[200];

	flags_of(object, flags, sizeof(flags));
	CHECK((strstr(flags, " lo") != NULL) == (vault_lock_error(v) == 0));
	CHECK(strstr(flags, " dd") != NULL);
	CHECK(strstr(flags, " wf") != NULL);
	memset(object, 0xaa, 112);
	vault_put(object);
	CHECK(memchr(object, 0xaa, 112) == NULL);
#else
	(void)flags_of;
	vault_put(object);
#endif
	vault_put(other);
	vault_free(&v);
}

static void test_clean_up(void)
{
	CHECK(nonce_set_count(nonces) > 100);
	buf_deinit(&in);
	detach_pool_free(&pool);
	record_crypto_free(&crypto);
	nonce_set_close(&nonces);
}

TEST_MAIN(TEST(test_split_at_every_byte), TEST(test_byte_by_byte), TEST(test_small_reads),
	TEST(test_held_bound), TEST(test_ends_of_stream), TEST(test_fatal_alerts),
	TEST(test_renegotiation_is_refused), TEST(test_empty_records),
	TEST(test_refusal_that_cannot_wait), TEST(test_blocked_writer), TEST(test_our_own_updates),
	TEST(test_max_fragment), TEST(test_thousand_updates), TEST(test_updates_are_bounded),
	TEST(test_shut_behind_half_a_record), TEST(test_shut_does_not_overtake),
	TEST(test_export_when_busy), TEST(test_vault), TEST(test_vault_keeps_secrets),
	TEST(test_clean_up))
