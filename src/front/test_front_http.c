/* Scenarios of HTTP: slow, hostile and odd clients, limits, reload, TLS. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

#define SYNC                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Content-Length: 0\r\n\r\n"
#define POST    "POST /x HTTP/1.1\r\nHost: h\r\n"
#define HEALTHZ "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

static struct rig rig;

static void begin(const char *conf)
{
	rig_start(&rig, conf, false);
	engine_up(&rig);
}

static void expect_status(struct phone *p, int status)
{
	char want[32];
	const char *text = phone_answer(&rig, p, NULL);

	(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (!str_starts(text, want))
		printf("# got: %.60s\n", text);
	CHECK(str_starts(text, want));
}

static void test_healthz(void)
{
	static const char head[] =
		"HEAD /healthz?x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	struct phone p;

	rig_start(&rig, "", false); /* no engine */
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "\r\n" HEALTHZ);
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "\r\n\r\nok\n"));
	phone_send(&rig, &p, head);
	rig_until(&rig, "requests", 2);
	rig_spin(&rig);
	{
		char got[512] = "";
		int64_t n = net_stream_read(&p.stream, got, sizeof(got) - 1);

		CHECK(n > 0 && str_ends(got, "Content-Length: 3\r\n\r\n"));
	}
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

/* A load balancer hears of an engine that hangs, or is not there, in time. */
static void test_readyz_in_time(void)
{
	static const char readyz[] = "GET /readyz?now HTTP/1.1\r\nHost: h\r\n\r\n";
	struct phone p, other;
	struct ipc_handle h;

	begin("[web]\nready_timeout_s = 3\n");
	phone_connect(&rig, &other);
	phone_send(&rig, &other, SYNC);
	(void)engine_next(&rig, IPC_REQUEST);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, readyz);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	rig_pass(&rig, 2000);
	CHECK(phone_silent(&rig, &p));
	rig_pass(&rig, 2000);
	expect_status(&p, 503);
	/* It answers after all; nobody takes that for the answer to the next. */
	CHECK_INT(engine_next(&rig, IPC_GONE)->handle.request, h.request);
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "late");
	phone_send(&rig, &p, readyz);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "ready");
	expect_status(&p, 200);
	/* Other requests have their time. */
	rig_pass(&rig, 60000);
	CHECK(phone_silent(&rig, &other));
	phone_close(&other);
	/* There is none, and one that hangs comes when half the time is over. */
	engine_die(&rig);
	phone_send(&rig, &p, readyz);
	rig_spin(&rig);
	CHECK(phone_silent(&rig, &p));
	engine_listen(&rig);
	rig_pass(&rig, 1500);
	engine_up(&rig);
	(void)engine_next(&rig, IPC_REQUEST);
	rig_pass(&rig, 2000);
	expect_status(&p, 503);
	phone_close(&p);
	rig_stop(&rig);
}

/* Pages and API, too, but later; and what may have been done is not asked for again blindly. */
static void test_pages_in_time(void)
{
	static const struct {
		const char *request, *type, *text;
	} rows[] = {
		{"GET /api/v1/users HTTP/1.1\r\nHost: h\r\n\r\n", "application/json",
			"{\"error\":{\"code\":\"timeout\",\"text\":\""
			"the server did not answer in time: try again\"}}\n"},
		{"POST /api/v1/groups HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
			"application/json",
			"may still do what was asked: look before you try again"},
		{"DELETE /api/v1/groups/a HTTP/1.1\r\nHost: h\r\n\r\n", "application/json",
			"may still do what was asked"},
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "text/plain",
			"\r\n\r\nthe server did not answer in time: try again\n"},
	};
	struct phone p, other;
	struct ipc_handle h;

	begin("[web]\nanswer_timeout_s = 10\n");
	phone_connect(&rig, &other);
	phone_send(&rig, &other, SYNC);
	(void)engine_next(&rig, IPC_REQUEST);
	phone_connect(&rig, &p);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *answer;

		phone_send(&rig, &p, rows[i].request);
		h = engine_next(&rig, IPC_REQUEST)->request.handle;
		rig_pass(&rig, 9000);
		CHECK(phone_silent(&rig, &p));
		rig_pass(&rig, 2000);
		answer = phone_answer(&rig, &p, NULL);
		CHECK(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
		CHECK(strstr(answer, "\r\nRetry-After: ") != NULL);
		CHECK(strstr(answer, rows[i].type) != NULL);
		CHECK(strstr(answer, rows[i].text) != NULL);
		CHECK_INT(engine_next(&rig, IPC_GONE)->handle.request, h.request);
	}
	/* One that has begun may go on for as long as it moves. */
	phone_send(&rig, &p, rows[0].request);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	rig_pass(&rig, 9000);
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "in time");
	expect_status(&p, 200);
	/* An upload that the engine does not take. */
	phone_send(&rig, &p,
		"POST /api/v1/groups HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n{");
	(void)engine_next(&rig, IPC_REQUEST);
	rig_pass(&rig, 11000);
	expect_status(&p, 503);
	phone_close(&p);
	/* Phones have their time. */
	CHECK(phone_silent(&rig, &other));
	phone_close(&other);
	rig_stop(&rig);
}

static void test_refused_at_once(void)
{
	static const struct {
		const char *text;
		int status;
	} table[] = {
		{"GET /\r\n\r\n", 400},
		{"\x16\x03\x01\x02\r\n\r\n", 400},
		{POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{POST "Content-Length: 104857601\r\n\r\n", 413},
		{POST "Content-Length: 104857601\r\nExpect: 100-continue\r\n\r\n", 413},
		{POST "Content-Length: 999999999999999999999999\r\n\r\n", 413},
		{POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{POST "Expect: something\r\n\r\n", 417},
		{POST "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"GET / HTTP/3.0\r\n\r\n", 505},
	};

	begin("");
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct phone p;

		phone_connect(&rig, &p);
		phone_send(&rig, &p, table[i].text);
		expect_status(&p, table[i].status);
		CHECK(phone_ended(&rig, &p));
		phone_close(&p);
	}
	CHECK(engine_poll(&rig) == NULL);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	rig_stop(&rig);
}

static void test_header_flood(void)
{
	struct phone p;
	char line[1025];

	begin("");
	memset(line, 'x', 1024);
	line[1024] = 0;
	memcpy(line, "A: ", 3);
	memcpy(line + 1022, "\r\n", 2);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET / HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 20; i++)
		phone_send(&rig, &p, line);
	expect_status(&p, 431);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET / HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 110; i++)
		phone_send(&rig, &p, "A: b\r\n");
	phone_send(&rig, &p, "\r\n");
	expect_status(&p, 431);
	phone_close(&p);
	CHECK(engine_poll(&rig) == NULL);
	CHECK_INT(rig_count(&rig, "refused_size"), 2);
	rig_stop(&rig);
}

static void test_slow_heads(void)
{
	enum { PHONES = 50 };
	struct phone phones[PHONES], quick;
	struct ipc_handle h;

	begin("");
	for (int i = 0; i < PHONES; i++) {
		phone_connect(&rig, &phones[i]);
		phone_send(&rig, &phones[i], "POST /x HT");
	}
	for (int s = 0; s < 29; s++) {
		phone_send(&rig, &phones[s], "T");
		rig_pass(&rig, 1000);
	}
	CHECK(rig_count(&rig, "buffered_bytes") < PHONES * 4096);
	/* Nobody else is harmed. */
	phone_connect(&rig, &quick);
	phone_send(&rig, &quick, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "quick");
	expect_status(&quick, 200);
	rig_pass(&rig, 2000);
	for (int i = 0; i < PHONES; i++) {
		expect_status(&phones[i], 408);
		CHECK(phone_ended(&rig, &phones[i]));
		phone_close(&phones[i]);
	}
	phone_close(&quick);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	CHECK_INT(rig_count(&rig, "slow_senders"), PHONES);
	rig_stop(&rig);
}

/* Empty lines are no request: who sends nothing else has the time of a client that is silent. */
static void test_empty_lines(void)
{
	struct phone p, halves;
	int one = 1;

	begin("[http]\nkeepalive_timeout_s = 20\n");
	phone_connect(&rig, &p);
	phone_connect(&rig, &halves);
	/* The clock of the rig runs faster than the kernel's, which else gathers such pieces. */
	(void)setsockopt(p.stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(halves.stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int s = 0; s < 18; s++) {
		phone_send(&rig, &p, "\r\n");
		phone_send(&rig, &halves, s % 2 == 0 ? "\r" : "\n");
		rig_pass(&rig, 1000);
	}
	CHECK(phone_silent(&rig, &p));
	phone_send(&rig, &p, "\r\n");
	rig_pass(&rig, 5000);
	CHECK(phone_ended(&rig, &p));
	CHECK(phone_ended(&rig, &halves));
	phone_close(&p);
	phone_close(&halves);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	CHECK_INT(rig_count(&rig, "timeouts"), 2);
	CHECK_INT(rig_count(&rig, "slow_senders"), 0);
	rig_stop(&rig);
}

/* What can never become a head is refused at once, not when its time is over. */
static void test_binary_garbage(void)
{
	static const char *const garbage[] = {"\x16\x03\x01\x02", "GET /\x01", "\x7f\x45LF\x02"};
	struct phone p;

	begin("");
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		phone_connect(&rig, &p);
		phone_send(&rig, &p, garbage[i]);
		expect_status(&p, 400);
		phone_close(&p);
	}
	/* Other letters than ours may stand in a value. */
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Name: \xfc\t");
	CHECK(phone_silent(&rig, &p));
	phone_send(&rig, &p, "\r\n\r\n");
	expect_status(&p, 200);
	phone_close(&p);
	CHECK_INT(rig_count(&rig, "requests_bad"), 3);
	rig_stop(&rig);
}

static void test_slow_body(void)
{
	struct phone slow, steady;

	begin("");
	phone_connect(&rig, &slow);
	phone_send(&rig, &slow, POST "Content-Length: 60000\r\n\r\n");
	phone_connect(&rig, &steady);
	phone_send(&rig, &steady, POST "Content-Length: 60000\r\n\r\n");
	for (int s = 0; s < 31; s++) {
		char piece[251];

		memset(piece, 'x', 250);
		piece[250] = 0;
		phone_send(&rig, &slow, "x");
		phone_send(&rig, &steady, piece);
		rig_pass(&rig, 1000);
	}
	expect_status(&slow, 408);
	CHECK(phone_silent(&rig, &steady));
	CHECK_INT(rig_count(&rig, "timeouts"), 1);
	CHECK_INT(rig_count(&rig, "slow_senders"), 1);
	phone_close(&slow);
	phone_close(&steady);
	rig_stop(&rig);
}

static void test_idle_ends(void)
{
	struct phone p;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, HEALTHZ);
	expect_status(&p, 200);
	rig_pass(&rig, 119000);
	CHECK(phone_silent(&rig, &p));
	rig_pass(&rig, 2000);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- pipelining, half-close, old clients ---- */

static void test_pipelining(void)
{
	struct buf many = BUF_INIT;
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC HEALTHZ SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	CHECK(phone_silent(&rig, &p));
	CHECK(engine_poll(&rig) == NULL); /* the third waits for the first two */
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "first");
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "first"));
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "ok\n"));
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "third");
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "third"));
	for (int i = 0; i < 1000; i++)
		buf_add_str(&many, HEALTHZ);
	phone_send_bytes(&rig, &p, many.data, many.len);
	for (int i = 0; i < 1000; i++)
		REQUIRE(str_ends(phone_answer(&rig, &p, NULL), "ok\n"));
	buf_deinit(&many);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_half_close_gets_its_answer(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	REQUIRE(net_stream_write(&p.stream, SYNC, strlen(SYNC)) == (int64_t)strlen(SYNC));
	(void)shutdown(p.stream.fd, SHUT_WR);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "answer");
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "answer"));
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_http_1_0(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "OPTIONS /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "");
	CHECK(strstr(phone_answer(&rig, &p, NULL), "Connection: keep-alive\r\n") != NULL);
	phone_send(&rig, &p, "OPTIONS /x HTTP/1.0\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "");
	CHECK(strstr(phone_answer(&rig, &p, NULL), "Connection: close\r\n") != NULL);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- limits ---- */

static void test_limits_of_connections(void)
{
	struct phone p[4];

	begin("[http]\nconnections_per_address = 3\n");
	for (int i = 0; i < 3; i++) {
		phone_connect(&rig, &p[i]);
		phone_send(&rig, &p[i], HEALTHZ);
		expect_status(&p[i], 200);
	}
	phone_connect_raw(&rig, &p[3]);
	CHECK(phone_ended(&rig, &p[3]));
	CHECK_INT(rig_count(&rig, "refused"), 1);
	phone_close(&p[3]);
	phone_close(&p[0]);
	rig_spin(&rig);
	phone_connect(&rig, &p[3]);
	phone_send(&rig, &p[3], HEALTHZ);
	expect_status(&p[3], 200);
	for (int i = 1; i < 4; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

static void test_limit_of_all_connections(void)
{
	struct phone p[17];

	const char *answer;

	begin("[server]\nmax_connections = 16\n");
	for (int i = 0; i < 16; i++)
		phone_connect(&rig, &p[i]);
	rig_until(&rig, "connections", 16);
	/* One more is told to come back later; it disturbs nobody. */
	phone_connect(&rig, &p[16]);
	phone_send(&rig, &p[16], HEALTHZ);
	answer = phone_answer(&rig, &p[16], NULL);
	CHECK(str_starts(answer, "HTTP/1.1 503 "));
	CHECK(strstr(answer, "\r\nRetry-After: ") != NULL);
	CHECK(phone_ended(&rig, &p[16]));
	CHECK_INT(rig_count(&rig, "refused"), 1);
	phone_send(&rig, &p[0], HEALTHZ);
	expect_status(&p[0], 200);
	/* A place that is free is given away again. */
	phone_close(&p[16]);
	phone_close(&p[0]);
	rig_spin(&rig);
	phone_connect(&rig, &p[16]);
	phone_send(&rig, &p[16], HEALTHZ);
	expect_status(&p[16], 200);
	for (int i = 0; i < 17; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

/* Where there is no memory for as much as a request, phones are told to come back, and not all at
 * the same second. */
static void test_no_memory_for_requests(void)
{
	enum { PHONES = 300 };
	static struct phone phones[PHONES];
	static char half[7000];
	const char *text;
	char first[40] = "";
	bool differ = false;
	int refused = 0, count = 0;

	begin("[http]\nbuffer_max_bytes = 1048576\n");
	memset(half, 'x', sizeof(half) - 1);
	for (int i = 0; i < PHONES && refused < 20; i++) {
		count++;
		phone_connect(&rig, &phones[i]);
		phone_send(&rig, &phones[i], "GET / HTTP/1.1\r\nX-Long: ");
		if (phone_silent(&rig, &phones[i])) {
			phone_send(&rig, &phones[i], half);
			continue;
		}
		text = phone_answer(&rig, &phones[i], NULL);
		CHECK(str_starts(text, "HTTP/1.1 503 "));
		text = strstr(text, "\r\nRetry-After: ");
		REQUIRE(text != NULL);
		if (first[0] == 0)
			memcpy(first, text, sizeof(first) - 1);
		differ |= strncmp(first, text, sizeof(first) - 1) != 0;
		CHECK(phone_ended(&rig, &phones[i]));
		refused++;
	}
	CHECK_INT(refused, 20);
	CHECK(differ);
	/* Nobody new comes in then; the head of the last one in may still grow. */
	CHECK(rig_count(&rig, "buffered_bytes") <= 1048576 + 16384);
	for (int i = 0; i < count; i++)
		phone_close(&phones[i]);
	rig_stop(&rig);
}

/* Bodies which are not read by the engine fill the memory that they may have; what comes then gets
 * 503. */
static void test_limit_of_memory(void)
{
	enum { PHONES = 40 };
	static struct phone phones[PHONES];
	static char half[32000];
	int refused = 0;

	begin("[http]\nbuffer_max_bytes = 1048576\n");
	memset(half, 'x', sizeof(half) - 1);
	for (int i = 0; i < PHONES; i++) {
		phone_connect(&rig, &phones[i]);
		phone_send(&rig, &phones[i], POST "Content-Length: 64000\r\n\r\n");
		phone_send(&rig, &phones[i], half);
		CHECK(rig_count(&rig, "buffered_bytes") <= 1048576);
	}
	for (int i = 0; i < PHONES; i++) {
		if (!phone_silent(&rig, &phones[i])) {
			expect_status(&phones[i], 503);
			refused++;
		}
		phone_close(&phones[i]);
	}
	CHECK(refused > 10 && refused < 30);
	CHECK_INT(rig_count(&rig, "requests_503"), refused);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	rig_stop(&rig);
}

/* ---- reload, TLS ---- */

static void test_reload_of_settings(void)
{
	struct phone p;
	FILE *file;

	begin("");
	for (int i = 0; i < 2; i++) {
		file = fopen(rig.conf_path, "we");
		REQUIRE(file != NULL);
		(void)fputs(
			i == 0 ? "[http]\nbody_max_bytes = 100000\n" : "[http]\nno = 1\n", file);
		(void)fclose(file);
		REQUIRE(write(rig.supervisor, "R", 1) == 1);
		rig_spin(&rig);
		/* The second file is wrong: the first stays. */
		phone_connect(&rig, &p);
		phone_send(&rig, &p, POST "Content-Length: 100001\r\n\r\n");
		expect_status(&p, 413);
		phone_close(&p);
	}
	rig_stop(&rig);
}

static void tls_begin(int version)
{
	rig_start(&rig, "", true);
	engine_up(&rig);
	CHECK(SSL_CTX_set_min_proto_version(rig.client_tls, version) == 1);
	CHECK(SSL_CTX_set_max_proto_version(rig.client_tls, version) == 1);
}

static void test_tls(void)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct phone p;
		struct ipc_handle h;
		const struct ipc_request *q;

		tls_begin(version);
		phone_connect(&rig, &p);
		for (int i = 0; i < 2; i++) {
			phone_send(&rig, &p, SYNC);
			q = &engine_next(&rig, IPC_REQUEST)->request;
			CHECK(q->tls);
			h = q->handle;
			engine_park(&rig, &h, 900, 3600);
			CHECK(phone_silent(&rig, &p));
			CHECK_INT(rig_count(&rig, "parked"), 1);
			if (i == 0) {
				engine_answer(&rig, IPC_WAKE, &h, 200, "changed");
				CHECK(str_ends(phone_answer(&rig, &p, NULL), "changed"));
			}
		}
		rig_pass(&rig, 901000);
		expect_status(&p, 200);
		phone_send(&rig, &p, SYNC);
		rig_until(&rig, "renewals_memory", 1);
		CHECK_INT(rig_count(&rig, "tls_handshakes"), 1);
		/* close_notify alone ends the wait, and is answered by ours. */
		(void)SSL_clear_options(p.stream.ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
		CHECK_INT(SSL_shutdown(p.stream.ssl), 0);
		CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
		CHECK(phone_ended(&rig, &p));
		CHECK((SSL_get_shutdown(p.stream.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
		phone_close(&p);
		rig_stop(&rig);
	}
}

static void test_tls_hostile(void)
{
	struct phone garbage, slow;

	tls_begin(TLS1_3_VERSION);
	phone_connect_raw(&rig, &garbage);
	phone_send(&rig, &garbage, "GET / HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 100 && !garbage.eof; i++)
		(void)phone_silent(&rig, &garbage);
	CHECK(garbage.eof);
	phone_connect_raw(&rig, &slow);
	phone_send_bytes(&rig, &slow, "\x16\x03\x01", 3);
	rig_pass(&rig, 14000);
	CHECK(phone_silent(&rig, &slow));
	rig_pass(&rig, 2000);
	CHECK(phone_ended(&rig, &slow));
	CHECK_INT(rig_count(&rig, "tls_failed"), 2);
	phone_close(&garbage);
	phone_close(&slow);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	rig_stop(&rig);
}

static void certificate_of(const struct phone *p, char text[64])
{
	X509 *x = SSL_get1_peer_certificate(p->stream.ssl);
	unsigned char hash[32];
	unsigned len = 0;

	REQUIRE(x != NULL && X509_digest(x, EVP_sha256(), hash, &len) == 1);
	for (int i = 0; i < 16; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
	X509_free(x);
}

static void test_certificate_reload_drops_nobody(void)
{
	struct phone before, after;
	struct err err = ERR_INIT;
	struct ipc_handle h;
	char one[64], two[64];

	tls_begin(TLS1_3_VERSION);
	phone_connect(&rig, &before);
	phone_send(&rig, &before, SYNC);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, 900, 3600);
	REQUIRE_OK(net_tls_self_signed(rig.cert, rig.key, "localhost", &err), &err);
	REQUIRE(write(rig.supervisor, "R", 1) == 1);
	rig_spin(&rig);
	phone_connect(&rig, &after);
	certificate_of(&before, one);
	certificate_of(&after, two);
	CHECK(strcmp(one, two) != 0);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	engine_answer(&rig, IPC_WAKE, &h, 200, "changed");
	CHECK(str_ends(phone_answer(&rig, &before, NULL), "changed"));
	phone_close(&before);
	phone_close(&after);
	rig_stop(&rig);
}

/* Errors of the front look to a client of the API like all others of it. */
static void test_api_errors(void)
{
	static const struct {
		const char *request, *status, *code;
	} rows[] = {
		{"GET /api/v1/users HTTP/1.1\r\n\r\n", "400", "bad_input"}, /* no Host */
		{"GET /api/v1/users HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "501",
			"bad_input"},
		{"GET /api/v1/users HTTP/3.0\r\nHost: h\r\n\r\n", "505", "bad_input"},
		{"GET /api/v1/users \001", "400", "bad_input"}, /* before the head is whole */
		{"POST /api/v1/users HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
			"413", "bad_input"},
		{"POST /api/v1/users HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
		 "chunked\r\n\r\nzz\r\n",
			"400", "bad_input"},
		{"GET /apiary HTTP/1.1\r\n\r\n", "400", NULL},
		{"POST /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: h\r\n"
		 "Content-Length: 99999999999\r\n\r\n",
			"413", NULL},
	};
	char line[1025], want[64];
	struct phone p;

	begin("");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text;

		phone_connect(&rig, &p);
		phone_send(&rig, &p, rows[i].request);
		text = phone_answer(&rig, &p, NULL);
		CHECK(strncmp(text + strlen("HTTP/1.1 "), rows[i].status, 3) == 0);
		(void)snprintf(want, sizeof(want), "{\"error\":{\"code\":\"%s\",\"text\":\"",
			rows[i].code != NULL ? rows[i].code : "");
		CHECK((strstr(text, want) != NULL) == (rows[i].code != NULL));
		CHECK((strstr(text, "Content-Type: application/json\r\n") != NULL) ==
			(rows[i].code != NULL));
		phone_close(&p);
	}
	memset(line, 'x', 1024);
	line[1024] = 0;
	memcpy(line, "A: ", 3);
	memcpy(line + 1022, "\r\n", 2);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET /api/v1/users HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 20; i++)
		phone_send(&rig, &p, line);
	CHECK(strstr(phone_answer(&rig, &p, NULL), "\r\n\r\n{\"error\":{\"code\":\"bad_input\"") !=
		NULL);
	phone_close(&p);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET /api/v1/users HTTP/1.1\r\nHost: h\r\n");
	rig_spin(&rig);
	clock_fake_advance_ms(600000);
	CHECK(strstr(phone_answer(&rig, &p, NULL), "\r\n\r\n{\"error\":{\"code\":\"timeout\"") !=
		NULL);
	phone_close(&p);
	/* The engine is gone, and with it what it was asked. */
	phone_connect(&rig, &p);
	phone_send(&rig, &p, "GET /api/v1/users HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(engine_next(&rig, IPC_REQUEST) != NULL);
	engine_die(&rig);
	CHECK(strstr(phone_answer(&rig, &p, NULL), "\r\n\r\n{\"error\":{\"code\":\"busy\"") !=
		NULL);
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_api_errors), TEST(test_healthz), TEST(test_readyz_in_time),
	TEST(test_pages_in_time), TEST(test_refused_at_once), TEST(test_header_flood),
	TEST(test_slow_heads), TEST(test_empty_lines), TEST(test_binary_garbage),
	TEST(test_slow_body), TEST(test_idle_ends), TEST(test_pipelining),
	TEST(test_half_close_gets_its_answer), TEST(test_http_1_0),
	TEST(test_limits_of_connections), TEST(test_limit_of_all_connections),
	TEST(test_no_memory_for_requests), TEST(test_limit_of_memory),
	TEST(test_reload_of_settings), TEST(test_tls), TEST(test_tls_hostile),
	TEST(test_certificate_reload_drops_nobody))
