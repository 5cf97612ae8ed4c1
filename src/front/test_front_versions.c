/* Engines that stop in order, and engines of another release. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/test.h"
#include "front/test_rig.h"

#define SYNC                                                                                       \
	"POST /Microsoft-Server-ActiveSync?Cmd=Sync&User=a HTTP/1.1\r\nHost: h\r\n"                \
	"Authorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345"

static struct rig rig;

static struct ipc_handle in_flight(struct phone *p)
{
	phone_connect(&rig, p);
	phone_send(&rig, p, SYNC);
	return engine_next(&rig, IPC_REQUEST)->request.handle;
}

/* BYE: what was not answered was not begun. The next engine gets it whole. */
static void test_the_next_engine_gets_the_request(void)
{
	const struct ipc_request *q;
	struct ipc_handle h;
	struct phone p;

	rig_start(&rig, "", false);
	engine_up(&rig);
	h = in_flight(&p);
	engine_send(&rig, &(struct ipc_frame){.type = IPC_BYE});
	engine_die(&rig);
	CHECK(phone_silent(&rig, &p));
	engine_listen(&rig);
	engine_up(&rig);
	q = &engine_next(&rig, IPC_REQUEST)->request;
	CHECK(ipc_handle_eq(&q->handle, &h));
	CHECK_STR(q->target, "/Microsoft-Server-ActiveSync?Cmd=Sync&User=a");
	CHECK_STR(ipc_header_find(q->headers, q->header_count, "authorization"), "Basic YTpi");
	CHECK_MEM(q->body, q->body_len, "12345", 5);
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "done");
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK\r\n"));
	CHECK_INT(rig_count(&rig, "requests_503"), 0);
	/* A crash says nothing: then the phone is to ask again itself. */
	phone_send(&rig, &p, SYNC);
	(void)engine_next(&rig, IPC_REQUEST);
	engine_die(&rig);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 503 "));
	phone_close(&p);
	rig_stop(&rig);
}

static void test_nobody_takes_the_request_over(void)
{
	struct phone p;

	rig_start(&rig, "", false);
	engine_up(&rig);
	(void)in_flight(&p);
	engine_send(&rig, &(struct ipc_frame){.type = IPC_BYE});
	engine_die(&rig);
	rig_pass(&rig, 6000);
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 503 "));
	phone_close(&p);
	rig_stop(&rig);
}

/* An engine of the release before hangs up on our HELLO. */
static void test_engine_of_the_release_before(void)
{
	struct ipc_handle h;
	struct phone p;

	rig_start(&rig, "", false);
	engine_hang_up(&rig);
	engine_hang_up(&rig);
	engine_up_as(&rig, 1);
	h = in_flight(&p);
	engine_park(&rig, &h, 900, 3600);
	rig_until(&rig, "parks", 1);
	/* The next one is spoken to in our version again. */
	engine_die(&rig);
	engine_listen(&rig);
	engine_up(&rig);
	CHECK(ipc_handle_eq(&engine_next(&rig, IPC_REGISTER)->reg.handle, &h));
	phone_close(&p);
	rig_stop(&rig);
}

/* Nothing is sent before the greeting, so nothing is lost with an engine that does not greet. */
static void test_requests_wait_for_the_greeting(void)
{
	struct phone p;

	rig_start(&rig, "", false);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, SYNC);
	engine_hang_up(&rig);
	CHECK(phone_silent(&rig, &p));
	engine_up(&rig);
	(void)engine_next(&rig, IPC_REQUEST);
	phone_close(&p);
	rig_stop(&rig);
}

/* What a later engine says beyond our knowledge is passed over. */
static void test_unknown_frames(void)
{
	static const uint8_t later[] = {4, 0, 0, 0, 99, 1, 2, 3};
	struct ipc_handle h;
	struct phone p;

	rig_start(&rig, "", false);
	engine_up(&rig);
	h = in_flight(&p);
	REQUIRE(write(rig.control, later, sizeof(later)) == sizeof(later));
	engine_answer(&rig, IPC_RESPONSE, &h, 200, "done");
	CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 OK\r\n"));
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_the_next_engine_gets_the_request), TEST(test_nobody_takes_the_request_over),
	TEST(test_engine_of_the_release_before), TEST(test_requests_wait_for_the_greeting),
	TEST(test_unknown_frames))
