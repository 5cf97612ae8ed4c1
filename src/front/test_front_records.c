/*
 * What phones may do with their TLS and what they may not, once the handshake is over: the same
 * scenarios for connections that are detached and for those that OpenSSL keeps. A phone here is
 * OpenSSL's client; where it is to break a rule, a record layer of ours speaks in its stead, with
 * its keys.
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"
#include "net/record.h"

#define PING                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Content-Length: 0\r\n\r\n"
#define ALERT      21
#define HANDSHAKE  22
#define DATA       23
#define FATAL(n)   (SSL3_AL_FATAL << 8 | (n))
#define WARNING(n) (SSL3_AL_WARNING << 8 | (n))
#define JOINED     -1 /* OpenSSL waits for the rest, RFC 8446, 5.1 */

extern const char *const rig_tls_park;

static struct rig rig;
static struct phone p;
static struct ipc_handle waiting;
static struct record_crypto *crypto;
static struct record_state peer; /* the phone's side, as seen by our record layer */
static uint8_t secrets[2][RECORD_SECRET_MAX];
static int alert;                      /* that the phone was sent last */
static unsigned updates, certificates; /* KeyUpdates it was sent; how often it was asked for one */
static uint8_t wire[RECORD_WIRE_MAX + 64];

static bool detaches(void)
{
	return strcmp(rig_tls_park, "detach") == 0;
}

/* ---- the phone ---- */

static void on_keylog(const SSL *ssl, const char *line)
{
	static const char *const labels[] = {
		"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};
	const char *hex = strrchr(line, ' ') + 1;

	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (!str_starts(line, labels[i]))
			continue;
		for (size_t k = 0; k < RECORD_SECRET_MAX && hex[2 * k] != 0; k++)
			CHECK_INT(sscanf(hex + 2 * k, "%2hhx", &secrets[i][k]), 1);
	}
}

static void on_info(const SSL *ssl, int where, int value)
{
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		alert = value;
}

static void on_message(
	int sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	updates += sent == 0 && type == SSL3_RT_HANDSHAKE && len > 0 &&
		   *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE;
}

static int on_certificate(SSL *ssl, X509 **x, EVP_PKEY **key)
{
	certificates++;
	return 0;
}

static void begin(const char *conf, int version)
{
	rig_start(&rig, conf, true);
	engine_up(&rig);
	REQUIRE(SSL_CTX_set_min_proto_version(rig.client_tls, version) == 1);
	REQUIRE(SSL_CTX_set_max_proto_version(rig.client_tls, version) == 1);
	REQUIRE(SSL_CTX_set_cipher_list(rig.client_tls, "ECDHE-ECDSA-AES256-GCM-SHA384") == 1);
	SSL_CTX_set_keylog_callback(rig.client_tls, on_keylog);
	SSL_CTX_set_info_callback(rig.client_tls, on_info);
	SSL_CTX_set_msg_callback(rig.client_tls, on_message);
	SSL_CTX_set_client_cert_cb(rig.client_tls, on_certificate);
}

static void end(void)
{
	phone_close(&p);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	rig_stop(&rig);
}

static void send_ping(void)
{
	phone_send(&rig, &p, PING);
	waiting = engine_next(&rig, IPC_REQUEST)->request.handle;
}

/* A phone that waits. */
static void park(void)
{
	alert = 0;
	updates = 0;
	phone_connect(&rig, &p);
	send_ping();
	engine_park(&rig, &waiting, 900, 3600);
	CHECK(phone_silent(&rig, &p));
	CHECK_INT(rig_count(&rig, "parked"), 1);
	CHECK_INT(rig_count(&rig, detaches() ? "tls_detached" : "tls_kept"), 1);
}

static void wake_up(void)
{
	engine_answer(&rig, IPC_WAKE, &waiting, 200, "changed");
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "changed"));
}

/* Our record layer goes on where OpenSSL's client is after `said` records of data. */
static void take_its_place(uint32_t said)
{
	struct err err = ERR_INIT;
	uint8_t master[48], randoms[2][32];
	SSL *ssl = p.stream.ssl;

	if (crypto == NULL)
		REQUIRE_OK(record_crypto_new(&crypto, &err), &err);
	if (SSL_version(ssl) == TLS1_3_VERSION) {
		record_init_13(&peer, RECORD_AES_256_GCM, secrets[1], secrets[0]);
		peer.write_seq = said;
		return;
	}
	CHECK_INT(SSL_SESSION_get_master_key(SSL_get_session(ssl), master, 48), 48);
	CHECK_INT(SSL_get_client_random(ssl, randoms[0], 32), 32);
	CHECK_INT(SSL_get_server_random(ssl, randoms[1], 32), 32);
	REQUIRE_OK(record_init_12(
			   &peer, RECORD_AES_256_GCM, master, randoms[0], randoms[1], false, &err),
		&err);
	peer.write_seq = 1 + said; /* Finished */
	random_bytes(peer.key.nonce, sizeof(peer.key.nonce));
}

static void send_raw(const void *bytes, size_t len)
{
	REQUIRE(send(p.stream.fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
	rig_spin(&rig);
}

static void send_record(uint8_t type, const void *bytes, size_t len)
{
	send_raw(wire, record_seal_any(crypto, &peer, type, bytes, len, 0, wire));
	record_crypto_rest(crypto);
}

/* The phone reads what came; gives the alert. */
static int read_alert(void)
{
	alert = 0;
	for (int i = 0; i < 50 && alert == 0; i++) {
		(void)phone_silent(&rig, &p);
		rig_spin(&rig);
	}
	return alert;
}

/* ---- what breaks a rule ends the wait with its alert ---- */

static void expect_broken(int want)
{
	CHECK_INT(read_alert(), want);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &waiting));
	CHECK_INT(rig_count(&rig, "tls_broken"), 1);
	CHECK_INT(rig_count(&rig, "parked"), 0);
}

static uint8_t over[RECORD_PLAIN_MAX + 1];

static const struct broken {
	int version;
	uint8_t type;
	const void *bytes;
	size_t len;
	int detached, kept;
} broken[] = {
	/* Zeros and nothing else; too long. */
	{TLS1_3_VERSION, 0, over, 20, FATAL(10), FATAL(10)},
	{TLS1_3_VERSION, DATA, over, sizeof(over), FATAL(22), FATAL(22)},
	{TLS1_2_VERSION, DATA, over, sizeof(over), FATAL(22), FATAL(22)},
	/* Two messages in one record; KeyUpdate of no kind. */
	{TLS1_3_VERSION, HANDSHAKE, "\x18\0\0\1\0\x18\0\0\1\0", 10, FATAL(10), FATAL(10)},
	{TLS1_3_VERSION, HANDSHAKE, "\x18\0\0\1\7", 5, FATAL(47), FATAL(47)},
	/* Hello, the end of early data, a certificate behind the handshake, Finished. */
	{TLS1_3_VERSION, HANDSHAKE, "\1\0\0\1\0", 5, FATAL(10), FATAL(10)},
	{TLS1_3_VERSION, HANDSHAKE, "\5\0\0\0", 4, FATAL(10), FATAL(10)},
	{TLS1_3_VERSION, HANDSHAKE, "\xb\0\0\4\0\0\0\0", 8, FATAL(10), FATAL(10)},
	{TLS1_2_VERSION, HANDSHAKE, "\x14\0\0\4\0\0\0\0", 8, FATAL(10), FATAL(10)},
	/* A part of a message, and data instead of the rest. */
	{TLS1_3_VERSION, HANDSHAKE, "\x18\0\0\1", 4, FATAL(10), JOINED},
	{TLS1_2_VERSION, HANDSHAKE, "\1\0\0\4\0", 5, FATAL(10), JOINED},
};

static void test_broken(void)
{
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		const struct broken *x = &broken[i];
		int want = detaches() ? x->detached : x->kept;

		printf("# %zu\n", i);
		begin("", x->version);
		park();
		take_its_place(1);
		send_record(x->type, x->bytes, x->len);
		if (want == JOINED) {
			CHECK_INT(rig_count(&rig, "parked"), 1);
			send_record(DATA, "x", 1);
			want = FATAL(10);
		}
		expect_broken(want);
		end();
	}
}

static void test_spoiled(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		size_t n;

		begin("", version);
		park();
		take_its_place(1);
		n = record_seal(crypto, &peer, (const uint8_t *)"x", 1, wire);
		record_crypto_rest(crypto);
		wire[n - 1] ^= 1;
		send_raw(wire, n);
		expect_broken(FATAL(20));
		end();
	}
}

/* Of records without data 32 in a row are borne. */
static void test_floods(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		begin("", version);
		park();
		take_its_place(1);
		for (int i = 0; i < 32; i++)
			send_record(DATA, "", 0);
		CHECK_INT(rig_count(&rig, "parked"), 1);
		CHECK_INT(rig_count(&rig, "tls_broken"), 0);
		send_record(DATA, "", 0);
		expect_broken(FATAL(10));
		end();
	}
}

/* Smaller records than usual were agreed on: we keep to it, and the phone has to. */
static void test_max_fragment(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		begin("", version);
		REQUIRE(SSL_CTX_set_tlsext_max_fragment_length(
				rig.client_tls, TLSEXT_max_fragment_length_512) == 1);
		park();
		memset(over, 'x', 2000);
		over[2000] = 0;
		engine_answer(&rig, IPC_WAKE, &waiting, 200, (const char *)over);
		for (int i = 0; i < 50 && recv(p.stream.fd, wire, 5, MSG_PEEK) != 5; i++)
			rig_spin(&rig);
		CHECK((wire[3] << 8 | wire[4]) <= 512 + 8 + 1 + 16);
		CHECK(str_ends(phone_answer(&rig, &p, NULL), "xxxxxxxx"));
		memset(over, 0, sizeof(over));
		send_ping();
		engine_park(&rig, &waiting, 900, 3600);
		CHECK(phone_silent(&rig, &p));
		take_its_place(2);
		send_record(DATA, over, 513);
		expect_broken(FATAL(22));
		end();
	}
}

/* ---- what is allowed does not end it ---- */

/* Takes a record of 1.2 off the wire, unopened; gives its type. */
static int recv_record(void)
{
	ssize_t n = 0;

	for (int i = 0; i < 50 && n <= 0; i++) {
		rig_spin(&rig);
		n = recv(p.stream.fd, wire, 5, MSG_DONTWAIT);
	}
	CHECK_INT(n, 5);
	CHECK(recv(p.stream.fd, wire + 5, (size_t)(wire[3] << 8 | wire[4]), MSG_DONTWAIT) > 0);
	return wire[0];
}

/* 1.2: a phone that wants a new handshake is told no, and waits on. */
static void test_renegotiation(void)
{
	begin("", TLS1_2_VERSION);
	park();
	take_its_place(1);
	send_record(HANDSHAKE, "\1\0\0\4\3\3\0\0", 8);
	/* OpenSSL's client would take it for the end, and not wait on: so the record alone is seen.
	 */
	CHECK_INT(recv_record(), ALERT);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	CHECK_INT(rig_count(&rig, "tls_broken"), 0);
	engine_answer(&rig, IPC_WAKE, &waiting, 200, "changed");
	CHECK_INT(recv_record(), DATA);
	end();
	/* And that is what the alert says. */
	begin("", TLS1_2_VERSION);
	park();
	take_its_place(1);
	send_record(HANDSHAKE, "\1\0\0\4\3\3\0\0", 8);
	CHECK_INT(read_alert(), WARNING(100));
	end();
}

static void update(int type)
{
	REQUIRE(SSL_key_update(p.stream.ssl, type) == 1);
	REQUIRE(SSL_do_handshake(p.stream.ssl) == 1);
	rig_spin(&rig);
}

/* New keys in mid-wait, of one side and of both. */
static void test_new_keys(void)
{
	begin("", TLS1_3_VERSION);
	park();
	update(SSL_KEY_UPDATE_NOT_REQUESTED);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	wake_up();
	CHECK_INT(updates, 0);
	send_ping();
	engine_park(&rig, &waiting, 900, 3600);
	for (int i = 0; i < 10; i++)
		update(SSL_KEY_UPDATE_REQUESTED);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	wake_up();
	CHECK(updates >= 1);
	rig_pass(&rig, 1000);
	send_ping();
	wake_up();
	end();
}

/* The front's end of the phone's connection takes little at a time. */
static void narrow(void)
{
	struct sockaddr_in ours, theirs;
	int size = 4096, narrowed = 0;

	for (int fd = 3; fd < 1000; fd++) {
		socklen_t len = sizeof(ours), len2 = sizeof(theirs);

		if (getsockname(p.stream.fd, (struct sockaddr *)(void *)&ours, &len) == 0 &&
			getpeername(fd, (struct sockaddr *)(void *)&theirs, &len2) == 0 &&
			theirs.sin_family == AF_INET && theirs.sin_port == ours.sin_port)
			narrowed += setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0;
	}
	CHECK_INT(narrowed, 1);
	CHECK(setsockopt(p.stream.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
}

/* New keys while a large answer does not get on: ours come behind the record at hand. */
static void test_new_keys_in_mid_answer(void)
{
	enum { LEN = 150000 };
	char *body = mem_try_alloc(LEN + 1);
	size_t len = 0;

	REQUIRE(body != NULL);
	memset(body, 'y', LEN);
	body[LEN] = 0;
	begin("", TLS1_3_VERSION);
	park();
	narrow();
	engine_answer(&rig, IPC_WAKE, &waiting, 200, body);
	for (int i = 0; i < 100; i++)
		update(i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
	CHECK(rig_count(&rig, "buffered_bytes") > 0);
	CHECK(str_ends(phone_answer(&rig, &p, &len), "yyyyyyyy"));
	CHECK(len > LEN);
	send_ping();
	wake_up();
	/* One answer of ours is for all that came meanwhile; OpenSSL answers each. */
	CHECK_INT(updates, detaches() ? 1 : 50);
	end();
	mem_free(body);
}

/* As many in a minute as the setting says, which a reload changes. */
static void test_new_keys_are_bounded(void)
{
	for (int reloaded = 0; reloaded < 2; reloaded++) {
		int most = reloaded ? 20 : 10;

		begin("[tls]\nkey_updates_per_minute = 10\n", TLS1_3_VERSION);
		if (reloaded) {
			FILE *file = fopen(rig.conf_path, "we");

			REQUIRE(file != NULL);
			(void)fprintf(file, "[tls]\nkey_updates_per_minute = 20\npark = %s\n",
				rig_tls_park);
			(void)fclose(file);
			REQUIRE(write(rig.supervisor, "R", 1) == 1);
			rig_spin(&rig);
		}
		park();
		for (int i = 0; i < most; i++)
			update(SSL_KEY_UPDATE_NOT_REQUESTED);
		CHECK_INT(rig_count(&rig, "parked"), 1);
		rig_pass(&rig, 61000);
		for (int i = 0; i < most; i++)
			update(SSL_KEY_UPDATE_NOT_REQUESTED);
		CHECK_INT(rig_count(&rig, "parked"), 1);
		update(SSL_KEY_UPDATE_NOT_REQUESTED);
		CHECK_INT(read_alert(), detaches() ? FATAL(10) : WARNING(0));
		CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &waiting));
		end();
	}
}

/* Nobody is asked for a certificate; a session is resumed on the next connection, however the one
 * before has ended. */
static void test_sessions(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_SESSION *session = NULL;
		struct err err = ERR_INIT;

		begin("", version);
		for (int i = 0; i < 4; i++) {
			int rc = NET_AGAIN;

			phone_connect_raw(&rig, &p);
			REQUIRE_OK(net_stream_init_client(
					   &p.stream, p.stream.fd, rig.client_tls, &err),
				&err);
			if (session != NULL)
				REQUIRE(SSL_set_session(p.stream.ssl, session) == 1);
			for (int k = 0; k < 50 && rc == NET_AGAIN; k++) {
				rc = net_stream_handshake(&p.stream, &err);
				rig_spin(&rig);
			}
			REQUIRE(rc == 1);
			CHECK_INT(SSL_session_reused(p.stream.ssl), i > 0);
			send_ping();
			wake_up();
			SSL_SESSION_free(session);
			session = SSL_get1_session(p.stream.ssl);
			CHECK_INT(SSL_SESSION_get_max_early_data(session), 0);
			if (i == 1) {
				net_stream_shut(&p.stream);
				rig_spin(&rig);
			} else if (i == 2) {
				net_stream_cut(&p.stream);
			}
			phone_close(&p);
			rig_spin(&rig);
		}
		CHECK_INT(rig_count(&rig, "tls_resumed"), 3);
		CHECK_INT(rig_count(&rig, detaches() ? "tls_detached" : "tls_kept"), 4);
		SSL_SESSION_free(session);
		rig_stop(&rig);
	}
	CHECK_INT(certificates, 0);
}

static void test_clean_up(void)
{
	record_crypto_free(&crypto);
}

TEST_MAIN(TEST(test_broken), TEST(test_spoiled), TEST(test_floods), TEST(test_max_fragment),
	TEST(test_renegotiation), TEST(test_new_keys), TEST(test_new_keys_in_mid_answer),
	TEST(test_new_keys_are_bounded), TEST(test_sessions), TEST(test_clean_up))
