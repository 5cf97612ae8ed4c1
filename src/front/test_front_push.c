/* Scenarios of waiting: park, wake, expiry, renewal, and engines that die. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

#define PING                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Authorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345"
#define SYNC                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Content-Length: 0\r\n\r\n"

static struct rig rig;

static void begin(const char *conf)
{
	rig_start(&rig, conf, false);
	engine_up(&rig);
}

/* A phone sends a Ping which the engine parks. */
static struct ipc_handle parked_phone(struct phone *p, uint32_t heartbeat_s, uint32_t renew_s)
{
	struct ipc_handle h;

	phone_connect(&rig, p);
	phone_send(&rig, p, PING);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, heartbeat_s, renew_s);
	CHECK(phone_silent(&rig, p));
	return h;
}

static void expect_expired(struct phone *p)
{
	static const uint8_t body[] = {3, 1, 0x6a, 0, 0, 0x0d, 0x45, 0x47, 3, 0x31, 0, 1, 1};
	size_t len = 0;
	const char *text = phone_answer(&rig, p, &len);

	CHECK(str_starts(text, "HTTP/1.1 200 OK\r\nDate: "));
	CHECK(strstr(text, "Content-Type: application/vnd.ms-sync.wbxml\r\n") != NULL);
	CHECK(strstr(text, "Content-Length: 13\r\n") != NULL);
	CHECK(strstr(text, "Connection:") == NULL);
	REQUIRE(len > sizeof(body));
	CHECK_MEM(text + len - sizeof(body), sizeof(body), body, sizeof(body));
}

static void test_request_as_the_engine_sees_it(void)
{
	const struct ipc_request *q;
	struct phone p;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, PING);
	q = &engine_next(&rig, IPC_REQUEST)->request;
	CHECK_STR(q->method, "POST");
	CHECK_STR(q->target, "/Microsoft-Server-ActiveSync?Cmd=Ping&User=a");
	CHECK_STR(q->address, "127.0.0.1");
	CHECK(q->tls == net_stream_is_tls(&p.stream) && !q->body_follows);
	CHECK_INT(q->content_length, 5);
	CHECK_INT(q->header_count, 3);
	CHECK_STR(ipc_header_find(q->headers, q->header_count, "authorization"), "Basic YTpi");
	CHECK_MEM(q->body, q->body_len, "12345", 5);
	CHECK_INT(q->handle.front, 3);
	engine_answer(&rig, IPC_RESPONSE, &(struct ipc_handle){.front = 3}, 200, "wrong handle");
	CHECK(phone_silent(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_park_and_wake(void)
{
	struct phone p;
	struct ipc_handle h;
	const char *text;

	begin("");
	h = parked_phone(&p, 900, 3600);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	rig_pass(&rig, 840000);
	CHECK(phone_silent(&rig, &p));
	engine_answer(&rig, IPC_WAKE, &h, 200, "changed");
	text = phone_answer(&rig, &p, NULL);
	CHECK(str_starts(text, "HTTP/1.1 200 OK\r\n"));
	CHECK(strstr(text, "X-Engine: yes\r\n") != NULL);
	CHECK(str_ends(text, "\r\n\r\nchanged"));
	CHECK_INT(rig_count(&rig, "parked"), 0);
	/* The watch is over: the same Ping goes to the engine, and nothing is said of the old one.
	 */
	phone_send(&rig, &p, PING);
	CHECK(engine_next(&rig, IPC_REQUEST)->request.handle.request != h.request);
	engine_answer(&rig, IPC_WAKE, &h, 200, "late");
	CHECK(phone_silent(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_expiry_and_renewal_from_memory(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 900, 3600);
	for (int i = 0; i < 3; i++) {
		rig_pass(&rig, 899000);
		CHECK(phone_silent(&rig, &p));
		rig_pass(&rig, 2000);
		expect_expired(&p);
		rig_pass(&rig, 1000);
		phone_send(&rig, &p, PING);
		rig_until(&rig, "renewals_memory", (uint64_t)i + 1);
		CHECK(phone_silent(&rig, &p));
		CHECK(engine_poll(&rig) == NULL);
	}
	CHECK_INT(rig_count(&rig, "heartbeats_expired"), 3);
	CHECK_INT(rig_count(&rig, "buffered_bytes"), 0);
	/* A renewed watch is woken by its first handle. */
	engine_answer(&rig, IPC_WAKE, &h, 200, "changed");
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "changed"));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_renewal_lease_ends(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 900, 1000);
	rig_pass(&rig, 901000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	rig_until(&rig, "renewals_memory", 1);
	rig_pass(&rig, 901000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	CHECK(engine_next(&rig, IPC_REQUEST)->request.handle.request != h.request);
	phone_close(&p);
	rig_stop(&rig);
}

/* Anything but the identical bytes goes to the engine, after GONE. */
static void test_other_bytes_do_not_renew(void)
{
	static const char *const others[] = {
		SYNC,
		"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"
		"Authorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12346",
		"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"
		"Authorization: Basic YTpj\r\nContent-Length: 5\r\n\r\n12345",
		"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nhost: h\r\n"
		"Authorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345",
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct phone p;
		struct ipc_handle h;

		begin("");
		h = parked_phone(&p, 60, 3600);
		rig_pass(&rig, 61000);
		expect_expired(&p);
		phone_send(&rig, &p, others[i]);
		CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
		(void)engine_next(&rig, IPC_REQUEST);
		CHECK_INT(rig_count(&rig, "renewals_memory"), 0);
		phone_close(&p);
		rig_stop(&rig);
	}
}

static void test_never_from_memory(void)
{
	struct phone p;

	begin("");
	(void)parked_phone(&p, 60, 0);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	(void)engine_next(&rig, IPC_GONE);
	(void)engine_next(&rig, IPC_REQUEST);
	phone_close(&p);
	rig_stop(&rig);
}

/* STALE while parked, and between expiry and renewal. */
static void test_stale(void)
{
	for (int late = 0; late < 2; late++) {
		struct phone p;
		struct ipc_handle h;

		begin("");
		h = parked_phone(&p, 60, 3600);
		if (!late)
			engine_send_handle(&rig, IPC_STALE, &h);
		CHECK(phone_silent(&rig, &p));
		CHECK_INT(rig_count(&rig, "parked"), 1);
		rig_pass(&rig, 61000);
		expect_expired(&p);
		if (late)
			engine_send_handle(&rig, IPC_STALE, &h);
		CHECK_INT(rig_count(&rig, "stale"), 1);
		phone_send(&rig, &p, PING);
		CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
		(void)engine_next(&rig, IPC_REQUEST);
		phone_close(&p);
		rig_stop(&rig);
	}
}

static void test_wake_between_expiry_and_renewal(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 60, 3600);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	engine_answer(&rig, IPC_WAKE, &h, 200, "changed");
	CHECK(phone_silent(&rig, &p));
	phone_send(&rig, &p, PING);
	(void)engine_next(&rig, IPC_REQUEST);
	CHECK_INT(rig_count(&rig, "renewals_memory"), 0);
	phone_close(&p);
	rig_stop(&rig);
}

/* The heartbeat ends in the round in which the wake comes: one answer, and it tells of the change.
 */
static void test_wake_and_expiry_in_one_round(void)
{
	struct ipc_frame wake = {.type = IPC_WAKE};
	struct buf out = BUF_INIT;
	struct phone p;

	begin("");
	wake.response = (struct ipc_response){.handle = parked_phone(&p, 60, 3600),
		.status = 200,
		.reason = "",
		.body = (const uint8_t *)"changed",
		.body_len = 7};
	ipc_encode(&wake, &out);
	clock_fake_advance_ms(61000);
	REQUIRE(send(rig.control, out.data, out.len, 0) == (ssize_t)out.len);
	CHECK(str_ends(phone_answer(&rig, &p, NULL), "changed"));
	CHECK(phone_silent(&rig, &p));
	phone_send(&rig, &p, PING);
	(void)engine_next(&rig, IPC_REQUEST);
	CHECK_INT(rig_count(&rig, "heartbeats_expired"), 0);
	buf_deinit(&out);
	phone_close(&p);
	rig_stop(&rig);
}

/* A held Sync is woken with more than fits into one frame. */
static void test_wake_with_bulk_body(void)
{
	struct ipc_frame frame = {.type = IPC_WAKE};
	struct phone p;
	struct ipc_handle h;
	size_t len = 0;

	begin("");
	h = parked_phone(&p, 900, 3600);
	frame.response = (struct ipc_response){
		.handle = h, .status = 200, .reason = "", .body_follows = true, .body_len = 10};
	engine_send(&rig, &frame);
	frame = (struct ipc_frame){
		.type = IPC_BODY, .body = {h, true, false, (const uint8_t *)"0123456789", 10}};
	engine_send(&rig, &frame);
	CHECK(str_ends(phone_answer(&rig, &p, &len), "\r\n\r\n0123456789"));
	CHECK(engine_poll(&rig) == NULL);
	phone_close(&p);
	rig_stop(&rig);
}

/* The engine takes PARK back while the phone comes again: a wait that is parked anew is renewed
 * anew. */
static void test_parked_again_after_stale(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 60, 3600);
	engine_send_handle(&rig, IPC_STALE, &h);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	(void)engine_next(&rig, IPC_GONE);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, 60, 3600);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	rig_until(&rig, "renewals_memory", 1);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_held_sync_expires_empty(void)
{
	struct phone p;
	struct ipc_frame park = {.type = IPC_PARK};
	const char *text;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC);
	park.park = (struct ipc_park){
		engine_next(&rig, IPC_REQUEST)->request.handle, 100, IPC_EXPIRY_SYNC, 0, 0, {0}};
	engine_send(&rig, &park);
	rig_pass(&rig, 101000);
	text = phone_answer(&rig, &p, NULL);
	CHECK(str_starts(text, "HTTP/1.1 200 OK\r\n"));
	CHECK(str_ends(text, "Content-Length: 0\r\n\r\n"));
	CHECK(strstr(text, "Content-Type") == NULL);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_gone(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 900, 3600); /* closes */
	phone_close(&p);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	h = parked_phone(&p, 900, 3600); /* half-closes */
	(void)shutdown(p.stream.fd, SHUT_WR);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	h = parked_phone(&p, 900, 3600); /* talks */
	phone_send(&rig, &p, "GET ");
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	phone_close(&p);
	h = parked_phone(&p, 60, 3600); /* does not come again */
	rig_pass(&rig, 61000);
	expect_expired(&p);
	rig_pass(&rig, 299000);
	CHECK(engine_poll(&rig) == NULL);
	rig_pass(&rig, 2000);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	CHECK_INT(rig_count(&rig, "parked"), 0);
	rig_stop(&rig);
}

/* The phone leaves, or talks, while the engine is still thinking. */
static void test_gone_before_park(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	for (int i = 0; i < 3; i++) {
		phone_connect(&rig, &p);
		phone_send(&rig, &p, PING);
		h = engine_next(&rig, IPC_REQUEST)->request.handle;
		if (i == 0) { /* resets: seen at once; the PARK for nobody is answered by GONE, too
			       */
			struct linger now = {1, 0};

			(void)setsockopt(p.stream.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
			phone_close(&p);
			CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
		} else if (i == 1) {
			(void)shutdown(p.stream.fd, SHUT_WR);
		} else {
			phone_send(&rig, &p, "garbage");
		}
		rig_spin(&rig);
		engine_park(&rig, &h, 900, 3600);
		CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
		CHECK_INT(rig_count(&rig, "parked"), 0);
		CHECK_INT(rig_count(&rig, "connections"), 0);
		phone_close(&p);
	}
	rig_stop(&rig);
}

static void test_connection_close_ends_the_watch(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p,
		"POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, 60, 3600);
	rig_pass(&rig, 61000);
	CHECK(strstr(phone_answer(&rig, &p, NULL), "Connection: close\r\n") != NULL);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_GONE)->handle, &h));
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_drop(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	phone_connect(&rig, &p);
	phone_send(&rig, &p, PING);
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_send_handle(&rig, IPC_DROP, &h);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	h = parked_phone(&p, 900, 0);
	engine_send_handle(&rig, IPC_DROP, &h);
	CHECK(phone_ended(&rig, &p));
	CHECK(engine_poll(&rig) == NULL);
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- engines that die ---- */

static void test_engine_dies_and_returns(void)
{
	struct phone waits, between, asks;
	struct ipc_handle h, h_between;
	const struct ipc_register *g;
	bool seen_waits = false, seen_between = false;

	begin("");
	h_between = parked_phone(&between, 100, 3600);
	rig_pass(&rig, 50000);
	h = parked_phone(&waits, 900, 3600);
	rig_pass(&rig, 51000);
	expect_expired(&between);
	phone_connect(&rig, &asks);
	phone_send(&rig, &asks, SYNC);
	(void)engine_next(&rig, IPC_REQUEST);
	engine_die(&rig);
	/* In flight: 503; parked: still there. */
	{
		const char *text = phone_answer(&rig, &asks, NULL);

		CHECK(str_starts(text, "HTTP/1.1 503 Service Unavailable\r\n"));
		CHECK(strstr(text, "Retry-After: ") != NULL);
		CHECK(strstr(text, "Connection:") == NULL);
	}
	CHECK(phone_silent(&rig, &waits) && phone_silent(&rig, &between));
	CHECK_INT(rig_count(&rig, "parked"), 1);
	rig_pass(&rig, 10000);
	engine_listen(&rig);
	engine_up(&rig);
	for (int i = 0; i < 2; i++) {
		g = &engine_next(&rig, IPC_REGISTER)->reg;
		CHECK_MEM(g->cookie, g->cookie_len, "cookie", 6);
		if (ipc_handle_eq(&g->handle, &h)) {
			seen_waits = true;
			CHECK(g->parked);
			CHECK(g->left_s > 900 - 70 && g->left_s < 900 - 55);
		} else {
			seen_between = ipc_handle_eq(&g->handle, &h_between) && !g->parked;
		}
	}
	CHECK(seen_waits && seen_between);
	engine_park(&rig, &h, 900, 3600);
	engine_answer(&rig, IPC_WAKE, &h, 200, "from the new engine");
	CHECK(str_ends(phone_answer(&rig, &waits, NULL), "from the new engine"));
	/* The other renews: its terms were kept. */
	engine_park(&rig, &h_between, 100, 3600);
	phone_send(&rig, &between, PING);
	rig_until(&rig, "renewals_memory", 1);
	CHECK(engine_poll(&rig) == NULL);
	phone_close(&waits);
	phone_close(&between);
	phone_close(&asks);
	rig_stop(&rig);
}

static void test_heartbeat_without_engine(void)
{
	struct phone p;
	struct ipc_handle h;

	begin("");
	h = parked_phone(&p, 60, 3600);
	engine_die(&rig);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	rig_until(&rig, "renewals_memory", 1);
	engine_listen(&rig);
	engine_up(&rig);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_REGISTER)->reg.handle, &h));
	/* The new engine does not want it as it is. */
	engine_send_handle(&rig, IPC_STALE, &h);
	rig_pass(&rig, 61000);
	expect_expired(&p);
	phone_send(&rig, &p, PING);
	(void)engine_next(&rig, IPC_GONE);
	(void)engine_next(&rig, IPC_REQUEST);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_requests_are_held_for_a_while(void)
{
	struct phone held, late;

	begin("");
	engine_die(&rig);
	phone_connect(&rig, &late);
	phone_send(&rig, &late, SYNC);
	CHECK(phone_silent(&rig, &late));
	rig_pass(&rig, 4000);
	CHECK(phone_silent(&rig, &late));
	phone_connect(&rig, &held);
	phone_send(&rig, &held, PING);
	rig_pass(&rig, 2000);
	CHECK(str_starts(phone_answer(&rig, &late, NULL), "HTTP/1.1 503 "));
	engine_listen(&rig);
	engine_up(&rig);
	CHECK(strstr(engine_next(&rig, IPC_REQUEST)->request.target, "Cmd=Ping") != NULL);
	CHECK(engine_poll(&rig) == NULL);
	phone_close(&held);
	phone_close(&late);
	rig_stop(&rig);
}

static void test_register_is_paced(void)
{
	enum { PHONES = 1500 };
	static struct phone phones[PHONES];
	struct ipc_frame park = {.type = IPC_PARK};
	struct buf parks = BUF_INIT;

	begin("[http]\nconnections_per_user = 0\n");
	/* Not by phone_send() and engine_send(), which wait for quiet each time. */
	for (int i = 0; i < PHONES; i++) {
		phone_connect(&rig, &phones[i]);
		REQUIRE(net_stream_write(&phones[i].stream, PING, strlen(PING)) ==
			(int64_t)strlen(PING));
	}
	for (int i = 0; i < PHONES; i++) {
		park.park = (struct ipc_park){engine_next(&rig, IPC_REQUEST)->request.handle, 3000,
			IPC_EXPIRY_PING, 3600, 0, {0}};
		ipc_encode(&park, &parks);
	}
	REQUIRE(send(rig.control, parks.data, parks.len, MSG_NOSIGNAL) == (ssize_t)parks.len);
	buf_deinit(&parks);
	rig_until(&rig, "parks", PHONES);
	CHECK_INT(rig_count(&rig, "parked"), PHONES);
	engine_die(&rig);
	CHECK_INT(rig_count(&rig, "parked"), PHONES);
	engine_listen(&rig);
	engine_up(&rig);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "registered"), 1000);
	rig_pass(&rig, 10);
	for (int i = 0; i < PHONES; i++)
		(void)engine_next(&rig, IPC_REGISTER);
	CHECK_INT(rig_count(&rig, "registered"), PHONES);
	for (int i = 0; i < PHONES; i++)
		phone_close(&phones[i]);
	rig_stop(&rig);
}

static void test_bad_frame_is_the_end_of_an_engine(void)
{
	struct phone p;

	begin("");
	(void)parked_phone(&p, 900, 3600);
	REQUIRE(write(rig.control, "\xff\xff\xff\xff\xff", 5) == 5);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	engine_die(&rig);
	engine_listen(&rig);
	engine_up(&rig);
	(void)engine_next(&rig, IPC_REGISTER);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_stats(void)
{
	struct phone p;
	const struct ipc_stats *s;
	bool found = false;

	begin("");
	(void)parked_phone(&p, 900, 3600);
	engine_send(&rig, &(struct ipc_frame){.type = IPC_STATS});
	s = &engine_next(&rig, IPC_STATS)->stats;
	CHECK_INT(s->front, 3);
	for (size_t i = 0; i < s->count; i++)
		found = found ||
			(str_eq(s->counters[i].name, "parked") && s->counters[i].value == 1);
	CHECK(found);
	rig_pass(&rig, 5000);
	(void)engine_next(&rig, IPC_STATS);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_stop(void)
{
	struct phone waits, asks;

	begin("");
	(void)parked_phone(&waits, 900, 3600);
	phone_connect(&rig, &asks);
	phone_send(&rig, &asks, SYNC);
	{
		struct ipc_handle h = engine_next(&rig, IPC_REQUEST)->request.handle;

		(void)close(rig.supervisor);
		rig.supervisor = -1;
		CHECK(phone_ended(&rig, &waits));
		engine_answer(&rig, IPC_RESPONSE, &h, 200, "last");
	}
	CHECK(strstr(phone_answer(&rig, &asks, NULL), "Connection: close\r\n") != NULL);
	phone_close(&waits);
	phone_close(&asks);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_request_as_the_engine_sees_it), TEST(test_park_and_wake),
	TEST(test_expiry_and_renewal_from_memory), TEST(test_renewal_lease_ends),
	TEST(test_other_bytes_do_not_renew), TEST(test_never_from_memory), TEST(test_stale),
	TEST(test_wake_between_expiry_and_renewal), TEST(test_wake_and_expiry_in_one_round),
	TEST(test_wake_with_bulk_body), TEST(test_parked_again_after_stale),
	TEST(test_held_sync_expires_empty), TEST(test_gone), TEST(test_gone_before_park),
	TEST(test_connection_close_ends_the_watch), TEST(test_drop),
	TEST(test_engine_dies_and_returns), TEST(test_heartbeat_without_engine),
	TEST(test_requests_are_held_for_a_while), TEST(test_register_is_paced),
	TEST(test_bad_frame_is_the_end_of_an_engine), TEST(test_stats), TEST(test_stop))
