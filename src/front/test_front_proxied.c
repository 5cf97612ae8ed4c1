/* Scenarios of the PROXY protocol on plain connections: whole, in pieces, missing, forged. */
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

#define REQUEST                                                                                    \
	"POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Content-Length: 0\r\n\r\n"
#define LINE     "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"
#define V2       "\r\n\r\n\0\r\nQUIT\n"
#define FOUR     "\x21\x11\0\x10\xc0\x00\x02\x07\x0a\x00\x00\x01\xdc\x04\x01\xbb\x04\0\x01x"
#define LOCAL    "\x20\0\0\0"
#define REQUIRED "[http]\nproxy_protocol = required\n"
#define OPTIONAL "[http]\nproxy_protocol = optional\n"

static struct rig rig;

static void begin(const char *conf)
{
	rig_start(&rig, conf, false);
	engine_up(&rig);
}

/* What the engine hears of the client of the next request, which is answered. */
static void expect_client(struct phone *p, const char *client)
{
	const struct ipc_frame *frame = engine_next(&rig, IPC_REQUEST);
	struct ipc_handle handle = frame->request.handle;

	CHECK_STR(frame->request.address, client);
	engine_answer(&rig, IPC_RESPONSE, &handle, 200, "ok");
	CHECK(str_starts(phone_answer(&rig, p, NULL), "HTTP/1.1 200 "));
}

/* In pieces of that size; 0: at once. */
static void send_in_pieces(struct phone *p, const char *bytes, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece) {
		if (piece == 0)
			piece = len;
		phone_send_bytes(&rig, p, bytes + at, MIN(piece, len - at));
		rig_spin(&rig);
	}
}

static const struct {
	const char *conf, *bytes;
	size_t len;
	const char *client; /* NULL: closed */
} connections[] = {
#define IN(text) (text), sizeof(text) - 1
	{REQUIRED, IN(LINE REQUEST), "192.0.2.7"},
	{REQUIRED, IN(V2 FOUR REQUEST), "192.0.2.7"},
	{REQUIRED, IN(V2 LOCAL REQUEST), "127.0.0.1"},
	{REQUIRED, IN("PROXY UNKNOWN\r\n" REQUEST), "127.0.0.1"},
	{REQUIRED, IN("PROXY TCP4 127.0.0.2 10.0.0.1 1 2\r\n" REQUEST), "127.0.0.2"},
	{REQUIRED, IN(REQUEST), NULL},
	{REQUIRED, IN("PROXY TCP4 nonsense\r\n" REQUEST), NULL},
	{REQUIRED, IN(V2 "\x21\x11\0\x01" REQUEST), NULL},
	{OPTIONAL, IN(LINE REQUEST), "192.0.2.7"},
	{OPTIONAL, IN(V2 FOUR REQUEST), "192.0.2.7"},
	{OPTIONAL, IN(REQUEST), "127.0.0.1"},
	{OPTIONAL, IN("\r\n" REQUEST), "127.0.0.1"},
	{OPTIONAL, IN("PROXY TCP4 nonsense\r\n" REQUEST), NULL},
#undef IN
};

static void test_connections(void)
{
	static const size_t pieces[] = {0, 1, 13};

	for (size_t i = 0; i < ARRAY_LEN(connections); i++) {
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
			struct phone p;

			begin(connections[i].conf);
			phone_connect(&rig, &p);
			send_in_pieces(&p, connections[i].bytes, connections[i].len, pieces[k]);
			if (connections[i].client != NULL)
				expect_client(&p, connections[i].client);
			else
				CHECK(phone_ended(&rig, &p));
			phone_close(&p);
			rig_stop(&rig);
		}
	}
}

/* It stands in front of the connection, not of each request; X-Forwarded-For of a client is not
 * believed. */
static void test_once(void)
{
	struct phone p;

	begin(REQUIRED);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, LINE REQUEST);
	expect_client(&p, "192.0.2.7");
	phone_send(&rig, &p,
		"POST /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: h\r\n"
		"X-Forwarded-For: 198.51.100.9\r\nContent-Length: 0\r\n\r\n");
	expect_client(&p, "192.0.2.7");
	phone_send(&rig, &p, LINE REQUEST);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 400 "));
	phone_close(&p);
	rig_stop(&rig);
}

/* A stranger may not speak for others, and with `required` not at all. */
static void test_strangers(void)
{
	struct phone p;

	begin(OPTIONAL "trusted_proxies = 192.0.2.1\n");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, LINE REQUEST);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 400 "));
	phone_close(&p);
	rig_stop(&rig);

	begin(REQUIRED "trusted_proxies = 192.0.2.1\n");
	phone_connect(&rig, &p);
	rig_until(&rig, "refused", 1);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, LINE REQUEST);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 400 "));
	phone_close(&p);
	rig_stop(&rig);
}

/* Connections count for the client they are from; one that says nothing is not kept. */
static void test_limits(void)
{
	struct phone p[4];

	begin(REQUIRED "connections_per_address = 2\n");
	for (int i = 0; i < 3; i++) {
		phone_connect(&rig, &p[i]);
		phone_send(&rig, &p[i], LINE);
		rig_until(&rig, "accepted", (uint64_t)i + 1);
		rig_spin(&rig);
	}
	CHECK(phone_ended(&rig, &p[2]));
	CHECK(phone_silent(&rig, &p[0]));
	phone_connect(&rig, &p[3]);
	phone_send(&rig, &p[3], "PROXY TCP4 192.0.2.8 10.0.0.1 56324 443\r\n" REQUEST);
	expect_client(&p[3], "192.0.2.8");
	for (int i = 0; i < 4; i++)
		phone_close(&p[i]);
	rig_spin(&rig);
	/* They are given back. */
	phone_connect(&rig, &p[0]);
	phone_send(&rig, &p[0], LINE REQUEST);
	expect_client(&p[0], "192.0.2.7");
	phone_close(&p[0]);
	rig_stop(&rig);

	begin(REQUIRED "request_timeout_s = 2\n");
	phone_connect(&rig, &p[0]);
	phone_send(&rig, &p[0], "PROX");
	rig_spin(&rig);
	rig_pass(&rig, 3000);
	CHECK(phone_ended(&rig, &p[0]));
	phone_close(&p[0]);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_connections), TEST(test_once), TEST(test_strangers), TEST(test_limits))
