#include <sched.h>
#include <unistd.h>

#include "api/api.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/test_engine_world.h"

#define EAS "/Microsoft-Server-ActiveSync"

static atomic_bool pages_wait;
static atomic_int pages_begun;

/* An answer of PIECES pieces, or one that fails in the third. */
#define PIECES      20
#define PIECE_BYTES 100000

struct pieces {
	struct api_stream stream;
	int count;
	bool fails;
};

static atomic_int streams;

static int next_piece(struct api_stream *stream, struct buf *out, struct err *err)
{
	struct pieces *p = LIST_ENTRY(stream, struct pieces, stream);

	if (p->fails && p->count == 2)
		return err_set(err, ERR_BACKEND, "the third piece is broken");
	for (size_t i = 0; i < PIECE_BYTES; i++)
		buf_add_byte(out, (uint8_t)('a' + p->count));
	return ++p->count < PIECES ? 1 : 0;
}

static void free_pieces(struct api_stream *stream)
{
	atomic_fetch_sub(&streams, 1);
	mem_free(LIST_ENTRY(stream, struct pieces, stream));
}

/* A page that says how long its body was, when it may. */
static void on_web(void *owner, const struct settings *settings, const struct ipc_request *http,
	struct arena *arena, struct eas_reply *reply, struct api_stream **stream)
{
	(void)owner;
	(void)settings;
	(void)arena;
	atomic_fetch_add(&pages_begun, 1);
	while (atomic_load(&pages_wait))
		(void)usleep(1000);
	reply->status = 200;
	if (strncmp(http->target, "/export", 7) == 0) {
		struct pieces *p = x_new(struct pieces);

		p->stream = (struct api_stream){next_piece, free_pieces};
		p->fails = strcmp(http->target, "/export/broken") == 0;
		atomic_fetch_add(&streams, 1);
		*stream = &p->stream;
		if (strcmp(http->target, "/export/late") == 0)
			return;
	}
	buf_addf(&reply->body, "page of %zu", http->body_len);
}

static void open_with_pages(void)
{
	world_open();
	world.engine.on_web = on_web;
	atomic_store(&pages_begun, 0);
	atomic_store(&pages_wait, false);
}

static struct settings *settings_of(void)
{
	return (struct settings *)(uintptr_t)world.engine.settings;
}

static unsigned next_status(uint32_t *ret_number)
{
	const struct ipc_frame *f = world_next();

	REQUIRE(f != NULL && f->type == IPC_RESPONSE);
	if (ret_number != NULL)
		*ret_number = f->response.handle.request;
	return f->response.status;
}

static void wait_for_pages(int count)
{
	while (atomic_load(&pages_begun) < count)
		(void)loop_run_once(world.loop, 10);
}

static void test_page(void)
{
	const struct ipc_frame *f;

	open_with_pages();
	/* No credentials are asked for here: pages have other ones. */
	world_request(1, "/api/v1/session", NULL, "abc");
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->response.status, 200);
	CHECK_INT(f->response.body_len, strlen("page of 3"));
	CHECK_INT(atomic_load(&world.auths), 0);
	CHECK_INT(world.engine.web_count, 0);
	world_close();
}

/* All threads for pages are at work, more pages wait: a phone is answered at once. */
static void test_pages_starve_no_phone(void)
{
	uint32_t number;

	open_with_pages();
	atomic_store(&pages_wait, true);
	for (uint32_t i = 1; i <= 50; i++)
		world_request(i, "/", NULL, "");
	wait_for_pages(2); /* of one address, half of the threads */
	world_request(100, EAS "?Len", "Basic good", "");
	CHECK_INT(next_status(&number), 200);
	CHECK_INT(number, 100);
	CHECK_INT(atomic_load(&pages_begun), 2);
	atomic_store(&pages_wait, false);
	for (int i = 1; i <= 50; i++)
		CHECK_INT(next_status(NULL), 200);
	CHECK_INT(world.engine.web_count, 0);
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

/* And the reverse. */
static void test_phones_starve_no_page(void)
{
	char user[32];
	uint32_t number;

	open_with_pages();
	atomic_store(&world.block, true);
	for (uint32_t i = 1; i <= 20; i++) {
		(void)snprintf(user, sizeof(user), "Basic good%u", i);
		world_request(i, EAS "?Len", user, "");
	}
	while (workers_running(world.engine.workers) != 4)
		(void)loop_run_once(world.loop, 10);
	world_request(100, "/", NULL, "");
	CHECK_INT(next_status(&number), 200);
	CHECK_INT(number, 100);
	atomic_store(&world.block, false);
	for (int i = 1; i <= 20; i++)
		CHECK_INT(next_status(NULL), 200);
	world_close();
}

static void test_limits(void)
{
	struct ipc_frame upload = {.type = IPC_REQUEST};

	open_with_pages();
	upload.request = (struct ipc_request){.handle = world_handle(1),
		.method = "POST",
		.target = "/api/v1/session",
		.address = "192.0.2.7",
		.content_length = 1000000,
		.body_follows = true};
	world_send(&upload);
	CHECK_INT(next_status(NULL), 413);
	upload.request.content_length = -1;
	world_send(&upload);
	CHECK_INT(next_status(NULL), 411);
	settings_of()->web_request_max_bytes = 3;
	world_request(2, "/", NULL, "abc");
	CHECK_INT(next_status(NULL), 200);
	world_request(3, "/", NULL, "abcd");
	CHECK_INT(next_status(NULL), 413);
	settings_of()->web_requests_max = 4;
	atomic_store(&pages_wait, true);
	for (uint32_t i = 10; i < 15; i++)
		world_request(i, "/", NULL, "");
	CHECK_INT(next_status(NULL), 503); /* the fifth */
	atomic_store(&pages_wait, false);
	for (int i = 0; i < 4; i++)
		CHECK_INT(next_status(NULL), 200);
	settings_of()->web_enabled = false;
	world_request(20, "/", NULL, "");
	CHECK_INT(next_status(NULL), 404);
	CHECK_INT(world.engine.web_count, 0);
	world_close();
}

/* Nobody waits any more: for one that is at work, and one that waits for its turn. */
static void test_client_goes(void)
{
	open_with_pages();
	atomic_store(&pages_wait, true);
	for (uint32_t i = 1; i <= 4; i++)
		world_request(i, "/", NULL, "");
	wait_for_pages(2);
	for (uint32_t i = 1; i <= 4; i += 3) {
		struct ipc_frame gone = {.type = IPC_GONE, .handle = world_handle(i)};

		world_send(&gone);
	}
	while (map_count(world.engine.errands) != 3) /* the fourth is free at once */
		(void)loop_run_once(world.loop, 10);
	atomic_store(&pages_wait, false);
	for (int i = 0; i < 2; i++)
		CHECK_INT(next_status(NULL), 200);
	while (map_count(world.engine.errands) > 0) /* the one that was at work may come last */
		(void)loop_run_once(world.loop, 10);
	CHECK(world_quiet());
	CHECK_INT(world.engine.web_count, 0);
	world_close();
}

/* ---- answers that are made while they go out ---- */

static void send_credit(uint32_t number, uint32_t bytes)
{
	struct ipc_frame credit = {.type = IPC_CREDIT};

	credit.amount = (struct ipc_amount){world_handle(number), bytes};
	world_send(&credit);
}

/* Takes all of an answer that begins with `head`; false: it was cut. */
static bool take_answer(uint32_t number, const char *head)
{
	size_t head_len = strlen(head), at = 0, wrong = 0;
	bool last = false;

	while (!last) {
		const struct ipc_frame *f = world_next_bulk();

		REQUIRE(f != NULL && f->type == IPC_BODY);
		if (f->body.aborted)
			return false;
		for (size_t i = 0; i < f->body.len; i++, at++)
			wrong += f->body.bytes[i] !=
				 (at < head_len ? head[at]
						: (char)('a' + (at - head_len) / PIECE_BYTES));
		last = f->body.last;
		if (!last)
			send_credit(number, (uint32_t)f->body.len);
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(at, head_len + (size_t)PIECES * PIECE_BYTES);
	return true;
}

static void test_stream(void)
{
	static const char *const targets[] = {"/export", "/export/late"};
	const struct ipc_frame *f;

	open_with_pages();
	for (uint32_t i = 0; i < 2; i++) {
		world_request(i + 1, targets[i], NULL, "");
		f = world_next();
		REQUIRE(f != NULL && f->type == IPC_RESPONSE);
		CHECK(f->response.body_follows);
		CHECK(f->response.body_len == IPC_LENGTH_UNKNOWN);
		CHECK(take_answer(i + 1, i == 0 ? "page of 0" : ""));
		CHECK_INT(atomic_load(&streams), 0);
		CHECK_INT(world.engine.streams, 0);
		CHECK_INT(map_count(world.engine.errands), 0);
	}
	/* One that breaks is cut, not ended. */
	world_request(3, "/export/broken", NULL, "");
	CHECK_INT(next_status(NULL), 200);
	CHECK(!take_answer(3, "page of 0"));
	CHECK_INT(atomic_load(&streams), 0);
	world_close();
}

/* A client that does not read costs what is ahead, and no thread; one that goes takes it along. */
static void test_stream_waits_for_its_client(void)
{
	struct ipc_frame gone = {.type = IPC_GONE, .handle = world_handle(1)};
	uint64_t taken = 0;

	open_with_pages();
	settings_of()->web_exports_max = 1;
	world_request(1, "/export", NULL, "");
	CHECK_INT(next_status(NULL), 200);
	while (taken < IPC_BULK_CREDIT)
		taken += world_next_bulk()->body.len;
	CHECK_INT(taken, IPC_BULK_CREDIT);
	while (workers_running(world.engine.web_workers) > 0)
		(void)loop_run_once(world.loop, 10);
	world_request(2, "/", NULL, "");
	CHECK_INT(next_status(NULL), 200);
	world_request(3, "/export", NULL, ""); /* web.exports_max */
	CHECK_INT(next_status(NULL), 503);
	world_send(&gone);
	while (map_count(world.engine.errands) > 0)
		(void)loop_run_once(world.loop, 10);
	CHECK_INT(atomic_load(&streams), 0);
	CHECK_INT(world.engine.streams, 0);
	world_close();
}

/* The front wants to know the length, or the engine ends in the middle of it. */
static void test_stream_cannot_be(void)
{
	open_with_pages();
	world_reconnect_as(2);
	world_request(1, "/export", NULL, "");
	CHECK_INT(next_status(NULL), 503);
	CHECK_INT(atomic_load(&streams), 0);
	world_reconnect();
	world_request(2, "/export", NULL, "");
	CHECK_INT(next_status(NULL), 200);
	CHECK_INT(atomic_load(&streams), 1);
	world_close();
	CHECK_INT(atomic_load(&streams), 0);
}

TEST_MAIN(TEST(test_stream), TEST(test_stream_waits_for_its_client), TEST(test_stream_cannot_be),
	TEST(test_page), TEST(test_pages_starve_no_phone), TEST(test_phones_starve_no_page),
	TEST(test_limits), TEST(test_client_goes))
