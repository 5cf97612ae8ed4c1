/* Two processes of a front: what goes from the old one to the new one, and what must not be lost.
 */
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/handover.h"
#include "front/test_rig.h"
#include "net/fds.h"
#include "shared/shared.h"

#define PING                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Authorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345"

static struct rig rig;

static struct ipc_handle request_of(struct phone *p)
{
	phone_connect(&rig, p);
	phone_send(&rig, p, PING);
	return engine_next(&rig, IPC_REQUEST)->request.handle;
}

static struct ipc_handle parked_phone(struct phone *p, uint32_t heartbeat_s, uint32_t renew_s)
{
	struct ipc_handle h = request_of(p);

	engine_park(&rig, &h, heartbeat_s, renew_s);
	CHECK(phone_silent(&rig, p));
	return h;
}

/* The old process gets its order; our end for the new one. */
static int order_handover(void)
{
	int pair[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	REQUIRE(net_fds_send(rig.supervisor, "H", 1, &pair[0], 1) == 1);
	(void)close(pair[0]);
	return pair[1];
}

/* A new process, with the engine behind it. */
static void succeed(void)
{
	rig_succeed(&rig, order_handover());
	engine_up(&rig);
	rig_spin(&rig);
}

static uint64_t old_count(const char *name)
{
	return front_counter(rig.other.front, name);
}

/* As the fronts count together. */
static uint64_t connections_of_all(void)
{
	struct shared *s = NULL;
	struct err err = ERR_INIT;
	uint64_t count;

	REQUIRE_OK(shared_open(rig.shared_fd, &s, &err), &err);
	count = shared_connections(s);
	shared_close(&s);
	return count;
}

static bool told_supervisor(char what)
{
	char byte = 0;

	rig_spin(&rig);
	return recv(rig.supervisor, &byte, 1, MSG_DONTWAIT) == 1 && byte == what;
}

static void test_parked_phones_go_along(void)
{
	struct phone waits, between, idle;
	struct ipc_handle h, h_between, now;
	const struct ipc_register *g;

	rig_start(&rig, "", false);
	engine_up(&rig);
	h_between = parked_phone(&between, 100, 3600);
	rig_pass(&rig, 101000);
	CHECK(str_starts(phone_answer(&rig, &between, NULL), "HTTP/1.1 200 OK"));
	h = parked_phone(&waits, 900, 3600);
	phone_connect(&rig, &idle);
	rig_spin(&rig);
	succeed();
	CHECK(told_supervisor('t'));
	CHECK_INT(rig_count(&rig, "connections"), 3);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	CHECK_INT(old_count("connections"), 0);
	CHECK_INT(connections_of_all(), 3);
	/* The engine is told whom it knew them as. */
	g = &engine_next(&rig, IPC_REGISTER)->reg;
	CHECK(g->moved && !g->parked && ipc_handle_eq(&g->before, &h_between));
	CHECK_INT(g->handle.front, 3 + 65536);
	g = &engine_next(&rig, IPC_REGISTER)->reg;
	CHECK(g->moved && g->parked && ipc_handle_eq(&g->before, &h));
	CHECK_MEM(g->cookie, g->cookie_len, "cookie", 6);
	now = g->handle;
	/* It is renewed from memory here: the print is good, the lease goes on. */
	phone_send(&rig, &between, PING);
	rig_until(&rig, "renewals_memory", 1);
	phone_send(&rig, &idle, PING);
	CHECK_INT(engine_next(&rig, IPC_REQUEST)->request.handle.front, 3 + 65536);
	/* The heartbeat goes on where it stood. */
	rig_pass(&rig, 890000);
	CHECK(phone_silent(&rig, &waits));
	engine_answer(&rig, IPC_WAKE, &now, 200, "mail");
	CHECK(strstr(phone_answer(&rig, &waits, NULL), "mail") != NULL);
	rig_end_other(&rig);
	CHECK_INT(connections_of_all(), 3);
	phone_close(&waits);
	phone_close(&between);
	phone_close(&idle);
	rig_spin(&rig);
	CHECK_INT(connections_of_all(), 0);
	rig_stop(&rig);
}

static void test_heartbeat_ends_in_time(void)
{
	struct phone p;

	rig_start(&rig, "", false);
	engine_up(&rig);
	(void)parked_phone(&p, 100, 3600);
	rig_pass(&rig, 60000);
	succeed();
	rig_pass(&rig, 39000);
	CHECK(phone_silent(&rig, &p));
	rig_pass(&rig, 2500);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK"));
	phone_close(&p);
	rig_stop(&rig);
}

/* What is in flight is finished by the old process; then it follows. */
static void test_requests_in_flight(void)
{
	struct phone asks, waits, half;
	struct ipc_handle h, h_waits;

	rig_start(&rig, "", false);
	engine_up(&rig);
	h = request_of(&asks);
	h_waits = request_of(&waits);
	phone_connect(&rig, &half);
	phone_send(&rig, &half, "POST /Microsoft-Server-ActiveSync?Cmd=Pi");
	succeed();
	CHECK(told_supervisor('t'));
	CHECK_INT(old_count("connections"), 3);
	rig_swap(&rig);
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "done");
	CHECK(strstr(phone_answer(&rig, &asks, NULL), "Connection: close") == NULL);
	engine_park(&rig, &h_waits, 900, 3600);
	phone_send(&rig, &half, "ng&User=a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "late");
	CHECK(strstr(phone_answer(&rig, &half, NULL), "late") != NULL);
	rig_pass(&rig, 100);
	rig_pass(&rig, 100);
	rig_swap(&rig);
	rig_until(&rig, "adopted", 3);
	CHECK_INT(old_count("connections"), 0);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_REGISTER)->reg.before, &h_waits));
	phone_send(&rig, &asks, PING);
	CHECK_INT(engine_next(&rig, IPC_REQUEST)->request.handle.front, 3 + 65536);
	phone_close(&asks);
	phone_close(&waits);
	phone_close(&half);
	rig_stop(&rig);
}

/* Who connects in the middle comes to the new process, from the same queue. */
static void test_nobody_is_refused(void)
{
	struct phone early, late;

	rig_start(&rig, "", false);
	engine_up(&rig);
	rig_succeed(&rig, order_handover());
	phone_connect(&rig, &early); /* the old one is still the one that listens */
	phone_send(&rig, &early, PING);
	CHECK_INT(old_count("accepted"), 1);
	engine_up(&rig);
	rig_spin(&rig);
	phone_connect(&rig, &late);
	phone_send(&rig, &late, PING);
	CHECK_INT(engine_next(&rig, IPC_REQUEST)->request.handle.front, 3 + 65536);
	CHECK_INT(old_count("accepted"), 1);
	rig_swap(&rig);
	CHECK_INT(engine_next(&rig, IPC_REQUEST)->request.handle.front, 3);
	phone_close(&early);
	phone_close(&late);
	rig_stop(&rig);
}

/* The new process dies before it has taken anything: the old one goes on as if nothing had been. */
static void test_new_one_dies(void)
{
	struct phone p, more;
	struct ipc_handle h;

	rig_start(&rig, "", false);
	engine_up(&rig);
	h = parked_phone(&p, 900, 3600);
	rig_succeed(&rig, order_handover());
	rig_spin(&rig);
	rig_swap(&rig);
	rig_end_other(&rig);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	phone_connect(&rig, &more);
	phone_send(&rig, &more, PING);
	(void)engine_next(&rig, IPC_REQUEST);
	engine_answer(&rig, IPC_WAKE, &h, 200, "mail");
	CHECK(strstr(phone_answer(&rig, &p, NULL), "mail") != NULL);
	phone_close(&p);
	phone_close(&more);
	rig_stop(&rig);
}

/* In the middle: one batch is lost, not more, and the old process listens again. */
static void test_new_one_dies_in_the_middle(void)
{
	enum { PHONES = 300 };
	static struct phone phones[PHONES];
	struct buf hello = BUF_INIT;
	uint8_t message[65536];
	int fds[NET_FDS_MAX], takeover;
	size_t count, lost = 0;
	struct phone more;

	rig_start(&rig, "", false);
	engine_up(&rig);
	for (int i = 0; i < PHONES; i++)
		(void)parked_phone(&phones[i], 900, 3600);
	takeover = order_handover();
	rig_spin(&rig);
	handover_encode(
		&(struct handover_message){.type = HANDOVER_HELLO, .version = HANDOVER_VERSION},
		&hello);
	REQUIRE(net_fds_send(takeover, hello.data, hello.len, NULL, 0) > 0);
	rig_spin(&rig);
	REQUIRE(net_fds_receive(takeover, message, sizeof(message), fds, &count) > 0);
	CHECK_INT(message[0], HANDOVER_BEGIN);
	REQUIRE(net_fds_receive(takeover, message, sizeof(message), fds, &count) > 0);
	CHECK_INT(message[0], HANDOVER_CONNS);
	CHECK_INT(count, HANDOVER_BATCH_MAX);
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
	/* Nobody listens here meanwhile, and nothing more comes before the ACK. */
	CHECK(net_fds_receive(takeover, message, sizeof(message), fds, &count) == NET_AGAIN);
	(void)close(takeover);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "parked"), PHONES - HANDOVER_BATCH_MAX);
	CHECK_INT(rig_count(&rig, "connections"), PHONES - HANDOVER_BATCH_MAX);
	CHECK_INT(connections_of_all(), PHONES - HANDOVER_BATCH_MAX);
	for (int i = 0; i < PHONES; i++)
		lost += !phone_silent(&rig, &phones[i]);
	CHECK_INT(lost, HANDOVER_BATCH_MAX);
	phone_connect(&rig, &more);
	phone_send(&rig, &more, PING);
	(void)engine_next(&rig, IPC_REQUEST);
	for (int i = 0; i < PHONES; i++)
		phone_close(&phones[i]);
	phone_close(&more);
	buf_deinit(&hello);
	rig_stop(&rig);
}

/* The old process dies: the new one is the front. */
static void test_old_one_dies(void)
{
	struct phone p, more;

	rig_start(&rig, "", false);
	engine_up(&rig);
	(void)parked_phone(&p, 900, 3600);
	rig_succeed(&rig, order_handover());
	rig_end_other(&rig);
	engine_up(&rig);
	CHECK(told_supervisor('t'));
	phone_connect(&rig, &more);
	phone_send(&rig, &more, PING);
	CHECK_INT(engine_next(&rig, IPC_REQUEST)->request.handle.front, 3 + 65536);
	phone_close(&p);
	phone_close(&more);
	rig_stop(&rig);
}

/* Detached TLS goes on with its next record, in both directions. */
static void test_tls_goes_along(void)
{
	struct phone p;

	rig_start(&rig, "", true);
	engine_up(&rig);
	(void)parked_phone(&p, 100, 3600);
	succeed();
	CHECK(told_supervisor('t'));
	CHECK_INT(old_count("connections"), 0);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	(void)engine_next(&rig, IPC_REGISTER);
	rig_pass(&rig, 101000);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK"));
	phone_send(&rig, &p, PING);
	rig_until(&rig, "renewals_memory", 1);
	/* New keys in mid-wait, both ways: still parked, and the answer is under the new ones. */
	CHECK_INT(SSL_key_update(p.stream.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	CHECK_INT(SSL_do_handshake(p.stream.ssl), 1);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	rig_pass(&rig, 101000);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK"));
	phone_send(&rig, &p, PING);
	rig_until(&rig, "renewals_memory", 2);
	rig_pass(&rig, 101000);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK"));
	phone_close(&p);
	rig_stop(&rig);
}

/* TLS with its OpenSSL object cannot go along: it is served to its next answer, which closes. */
static void test_what_cannot_go_along(void)
{
	struct phone p;
	struct ipc_handle h;

	rig_start(&rig, "[tls]\npark = keep\n", true);
	engine_up(&rig);
	h = parked_phone(&p, 900, 3600);
	succeed();
	CHECK(told_supervisor('t'));
	CHECK_INT(old_count("parked"), 1);
	CHECK(phone_silent(&rig, &p));
	rig_swap(&rig);
	engine_answer(&rig, IPC_WAKE, &h, 200, "mail");
	CHECK(strstr(phone_answer(&rig, &p, NULL), "Connection: close") != NULL);
	phone_close(&p);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "connections"), 0);
	rig_stop(&rig);
}

/* But not for ever. */
static void test_drain_has_an_end(void)
{
	struct phone p;

	rig_start(&rig, "[server]\ndrain_s = 100\n[tls]\npark = keep\n", true);
	engine_up(&rig);
	(void)parked_phone(&p, 900, 3600);
	succeed();
	rig_pass(&rig, 99000);
	CHECK(phone_silent(&rig, &p));
	/* Not in mid-air: it is told that its heartbeat is over. */
	rig_swap(&rig);
	rig_pass(&rig, 2000);
	rig_pass(&rig, 1000);
	CHECK(strstr(phone_answer(&rig, &p, NULL), "Connection: close") != NULL);
	CHECK(phone_ended(&rig, &p));
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_parked_phones_go_along), TEST(test_heartbeat_ends_in_time),
	TEST(test_requests_in_flight), TEST(test_nobody_is_refused), TEST(test_new_one_dies),
	TEST(test_new_one_dies_in_the_middle), TEST(test_old_one_dies), TEST(test_tls_goes_along),
	TEST(test_what_cannot_go_along), TEST(test_drain_has_an_end))
