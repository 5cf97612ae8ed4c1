#include <sched.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/test_engine_world.h"

#define EAS "/Microsoft-Server-ActiveSync"

static const char *body_text(const struct ipc_response *r)
{
	static char text[256];

	(void)snprintf(
		text, sizeof(text), "%.*s", (int)MIN(r->body_len, 200), (const char *)r->body);
	return text;
}

/* The next frame answers that request. */
static void expect_response(enum ipc_type type, uint32_t number, unsigned status, const char *body)
{
	const struct ipc_frame *f = world_next();

	REQUIRE(f != NULL);
	CHECK_INT(f->type, type);
	CHECK_INT(f->response.handle.request, number);
	CHECK_INT(f->response.status, status);
	if (body != NULL)
		CHECK_STR(body_text(&f->response), body);
}

static void expect_parked(uint32_t number)
{
	const struct ipc_frame *f = world_next();

	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_PARK);
	CHECK_INT(f->park.handle.request, number);
}

static void send_handle(enum ipc_type type, uint32_t number)
{
	struct ipc_frame f = {.type = type, .handle = world_handle(number)};

	world_send(&f);
}

static void test_paths(void)
{
	CHECK(engine_is_eas_path("/Microsoft-Server-ActiveSync"));
	CHECK(engine_is_eas_path("/microsoft-server-activesync/"));
	CHECK(engine_is_eas_path("/MICROSOFT-SERVER-ACTIVESYNC?Cmd=Ping"));
	CHECK(engine_is_eas_path("/Microsoft-Server-ActiveSync/?Cmd=Ping"));
	CHECK(engine_is_eas_path("https://mail.example.org/Microsoft-Server-ActiveSync?x"));
	CHECK(!engine_is_eas_path("https://mail.example.org"));
	CHECK(!engine_is_eas_path("/"));
	CHECK(!engine_is_eas_path(""));
	CHECK(!engine_is_eas_path("/Microsoft-Server-ActiveSyncX"));
	CHECK(!engine_is_eas_path("/Microsoft-Server-ActiveSync//"));
	CHECK(!engine_is_eas_path("/x/Microsoft-Server-ActiveSync"));
}

static void test_small_request(void)
{
	world_open();
	world_request(1, EAS "?Len", "Basic good", "abc");
	expect_response(IPC_RESPONSE, 1, 200, "3 bytes, last c");
	world_close();
}

static void test_refusals(void)
{
	static const struct {
		const char *target, *authorization;
		unsigned status;
		const char *header, *value;
		int auths;
	} t[] = {
		{"/", "Basic good", 404, NULL, NULL, 0},
		{EAS "?Len", NULL, 401, "WWW-Authenticate", "Basic realm=\"Bellhop\"", 0},
		{EAS "?Len", "Basic bad", 401, "WWW-Authenticate", "Basic realm=\"Bellhop\"", 1},
		{EAS "?Len", "Basic flood", 503, "Retry-After", "300", 1},
		{EAS "?Len", "Basic trouble", 503, "Retry-After", NULL, 1},
	};

	world_open();
	for (uint32_t i = 0; i < ARRAY_LEN(t); i++) {
		const struct ipc_frame *f;

		atomic_store(&world.auths, 0);
		world_request(i, t[i].target, t[i].authorization, "abc");
		f = world_next();
		REQUIRE(f != NULL);
		CHECK_INT(f->response.status, t[i].status);
		CHECK_INT(atomic_load(&world.auths), t[i].auths);
		if (t[i].header != NULL)
			CHECK(ipc_header_find(f->response.headers, f->response.header_count,
				      t[i].header) != NULL);
		if (t[i].value != NULL)
			CHECK_STR(ipc_header_find(f->response.headers, f->response.header_count,
					  t[i].header),
				t[i].value);
	}
	CHECK_INT(atomic_load(&world.commands), 0);
	world_close();
}

static void announce_upload(uint32_t number, const char *authorization, int64_t len)
{
	struct ipc_frame frame = {.type = IPC_REQUEST};
	struct ipc_request *r = &frame.request;

	r->handle = world_handle(number);
	r->method = "POST";
	r->target = EAS "?Len";
	r->address = "192.0.2.7";
	r->content_length = len;
	r->body_follows = true;
	if (authorization != NULL)
		r->headers[r->header_count++] = (struct ipc_header){"authorization", authorization};
	world_send(&frame);
}

/* Sends what is granted, chunk by chunk, until len bytes are there. */
static void upload(uint32_t number, size_t len)
{
	static uint8_t chunk[IPC_BULK_CHUNK];
	size_t sent = 0, granted = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (sent < len) {
		size_t n = MIN(MIN(granted, sizeof(chunk)), len - sent);
		struct ipc_frame f = {.type = IPC_BODY};

		if (granted == 0) {
			const struct ipc_frame *g = world_next();

			REQUIRE(g != NULL && g->type == IPC_GRANT);
			CHECK_INT(g->amount.handle.request, number);
			granted = g->amount.bytes;
			continue;
		}
		f.body = (struct ipc_body){.handle = world_handle(number),
			.last = sent + n == len,
			.bytes = chunk,
			.len = n};
		if (f.body.last)
			chunk[n - 1] = 'z';
		world_send_bulk(&f);
		sent += n;
		granted -= n;
	}
}

static void test_upload_by_credit(void)
{
	world_open();
	announce_upload(1, "Basic good", 100000);
	upload(1, 100000);
	expect_response(IPC_RESPONSE, 1, 200, "100000 bytes, last z");
	/* Larger than what is kept in memory. */
	announce_upload(2, "Basic good", 5000000);
	upload(2, 5000000);
	expect_response(IPC_RESPONSE, 2, 200, "5000000 bytes, last z");
	CHECK_INT(world.engine.uploads, 0);
	world_close();
}

/* 200 strangers with 50 MB each: refused before a byte, without a worker. */
static void test_uploads_of_strangers(void)
{
	world_open();
	for (uint32_t i = 0; i < 200; i++)
		announce_upload(i, i % 2 == 0 ? NULL : "Basic bad", 50000000);
	for (uint32_t i = 0; i < 200; i++) {
		const struct ipc_frame *f = world_next();

		REQUIRE(f != NULL);
		CHECK_INT(f->type, IPC_RESPONSE);
		CHECK_INT(f->response.status, 401);
		CHECK(f->response.close);
	}
	CHECK_INT(atomic_load(&world.auths), 100);
	CHECK_INT(world.engine.uploads, 0);
	announce_upload(900, "Basic good", 1 << 30);
	expect_response(IPC_RESPONSE, 900, 413, "");
	world_close();
}

static void test_upload_misbehaves(void)
{
	struct ipc_frame f = {.type = IPC_BODY};
	static uint8_t chunk[IPC_BULK_CHUNK];
	const struct ipc_frame *g;

	world_open();
	/* No length announced, and more than is allowed. */
	((struct settings *)(uintptr_t)world.engine.settings)->http_body_max_bytes = 100000;
	announce_upload(1, "Basic good", -1);
	g = world_next();
	REQUIRE(g != NULL && g->type == IPC_GRANT);
	f.body = (struct ipc_body){.handle = world_handle(1), .bytes = chunk, .len = sizeof(chunk)};
	for (int i = 0; i < 4; i++)
		world_send_bulk(&f);
	expect_response(IPC_RESPONSE, 1, 413, "");
	/* Aborted half way; bytes for requests that are not there. */
	announce_upload(2, "Basic good", -1);
	g = world_next();
	REQUIRE(g != NULL && g->type == IPC_GRANT);
	f.body = (struct ipc_body){.handle = world_handle(2), .aborted = true};
	world_send_bulk(&f);
	f.body = (struct ipc_body){
		.handle = world_handle(77), .bytes = chunk, .len = 10, .last = true};
	world_send_bulk(&f);
	CHECK(world_quiet());
	CHECK_INT(world.engine.uploads, 0);
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

static void test_large_answer_by_credit(void)
{
	const size_t len = 1000000;
	const struct ipc_frame *f;
	size_t got = 0, unacknowledged = 0;
	bool last = false;

	world_open();
	world_request(1, EAS "?Big=1000000", "Basic good", "");
	f = world_next();
	REQUIRE(f != NULL && f->type == IPC_RESPONSE);
	CHECK(f->response.body_follows);
	CHECK_INT(f->response.body_len, len);
	while (!last) {
		struct ipc_frame credit = {.type = IPC_CREDIT};

		f = world_next_bulk();
		REQUIRE(f != NULL && f->type == IPC_BODY);
		if (f->body.len > 0)
			CHECK_INT(f->body.bytes[0], 'a' + (len - got) % 26);
		got += f->body.len;
		unacknowledged += f->body.len;
		CHECK(unacknowledged <= IPC_BULK_CREDIT);
		last = f->body.last;
		if (unacknowledged == IPC_BULK_CREDIT || last) {
			credit.amount =
				(struct ipc_amount){world_handle(1), (uint32_t)unacknowledged};
			unacknowledged = 0;
			world_send(&credit);
		}
	}
	CHECK_INT(got, len);
	CHECK(world_quiet());
	CHECK_INT(map_count(world.engine.errands), 0);
	/* One whose client goes away in the middle. */
	world_request(2, EAS "?Big=1000000", "Basic good", "");
	REQUIRE(world_next() != NULL);
	send_handle(IPC_GONE, 2);
	CHECK(world_quiet());
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

static void test_client_goes_while_its_command_runs(void)
{
	world_open();
	atomic_store(&world.block, true);
	world_request(1, EAS "?Ping=5", "Basic good", "");
	while (atomic_load(&world.commands) == 0)
		(void)loop_run_once(world.loop, 10);
	send_handle(IPC_GONE, 1);
	(void)loop_run_once(world.loop, 10);
	atomic_store(&world.block, false);
	CHECK(world_quiet());
	CHECK_INT(watches_count(world.engine.watches), 0);
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

static void test_park_and_wake(void)
{
	const struct ipc_frame *f;

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	f = world_next();
	REQUIRE(f != NULL && f->type == IPC_PARK);
	CHECK_INT(f->park.heartbeat_s, 480);
	CHECK_INT(f->park.renew_for_s, 3600);
	CHECK_INT(f->park.expiry, IPC_EXPIRY_PING);
	CHECK_INT(f->park.cookie_len, 1);
	CHECK_INT(map_count(world.engine.errands), 0);
	world_deliver(6);
	CHECK(world_quiet());
	world_deliver(5);
	expect_response(IPC_WAKE, 1, 200, "changed");
	CHECK_INT(atomic_load(&world.answers), 1); /* from memory */
	CHECK_INT(atomic_load(&world.checks), 0);
	CHECK_INT(watches_count(world.engine.watches), 0);
	world_close();
}

static void test_check_finds_nothing(void)
{
	struct change_event deleted = {
		.owner = {5}, .folder = {2}, .kinds = CHANGE_DELETE, .seq = 9};

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	push_publish(&deleted, 1, &world.engine);
	CHECK(world_quiet());
	CHECK_INT(atomic_load(&world.checks), 1);
	/* It is still parked, and wakes. */
	world_deliver(5);
	world_deliver(5);
	CHECK_INT(watches_count(world.engine.watches), 1);
	deleted.seq = 10;
	push_publish(&deleted, 1, &world.engine);
	expect_response(IPC_WAKE, 1, 200, "changed");
	CHECK(world_quiet());
	world_close();
}

/* Administrative changes end renewals from memory before anything else is known. */
static void test_admin_mark(void)
{
	struct change_event user = {.owner = {5}, .kinds = CHANGE_USER};
	const struct ipc_frame *f;

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	push_publish(&user, 1, &world.engine);
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_STALE);
	CHECK_INT(f->handle.request, 1);
	CHECK(world_quiet());
	CHECK_INT(atomic_load(&world.checks), 1);
	CHECK_INT(watches_count(world.engine.watches), 1);
	watch_touch_device(world.engine.watches, (struct device_id){5});
	f = world_next();
	REQUIRE(f != NULL && f->type == IPC_STALE);
	world_close();
}

static void test_newer_ping_ends_the_older(void)
{
	const struct ipc_frame *f;
	int seen = 0;

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	world_request(2, EAS "?Ping=5", "Basic good", "");
	for (int i = 0; i < 2; i++) {
		f = world_next();
		REQUIRE(f != NULL);
		if (f->type == IPC_WAKE) {
			CHECK_INT(f->response.handle.request, 1);
			CHECK(f->response.close);
			CHECK_MEM(f->response.body, f->response.body_len,
				"\x03\x01\x6a\x00\x00\x0d\x45\x47\x03"
				"1\x00\x01\x01",
				13);
			seen |= 1;
		} else if (f->type == IPC_PARK) {
			CHECK_INT(f->park.handle.request, 2);
			seen |= 2;
		}
	}
	CHECK_INT(seen, 3);
	CHECK_INT(watches_count(world.engine.watches), 1);
	world_close();
}

static void test_flags_wake_after_their_delay(void)
{
	struct change_event read = {.owner = {5}, .folder = {2}, .kinds = CHANGE_READ, .seq = 1};

	world_open();
	watches_set_limits(world.engine.watches, 1, 100);
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	atomic_store(&world.delivered[5], 1);
	push_publish(&read, 1, &world.engine);
	CHECK(world_quiet());
	expect_response(IPC_WAKE, 1, 200, "changed");
	CHECK_INT(atomic_load(&world.checks), 1);
	world_close();
}

static void register_phone(uint32_t number, uint8_t mailbox, bool parked)
{
	struct ipc_frame f = {.type = IPC_REGISTER};

	f.reg = (struct ipc_register){.handle = world_handle(number),
		.parked = parked,
		.left_s = 100,
		.expiry = IPC_EXPIRY_PING,
		.cookie_len = 1,
		.cookie = {mailbox}};
	world_send(&f);
}

static void test_front_comes_back(void)
{
	const struct ipc_frame *f;

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	world_request(2, EAS "?Ping=6", "Basic good", "");
	expect_parked(2);
	world_reconnect();
	while (watches_count(world.engine.watches) > 0)
		(void)loop_run_once(world.loop, 10);
	world_deliver(6); /* meanwhile */
	register_phone(1, 5, true);
	f = world_next();
	REQUIRE(f != NULL && f->type == IPC_PARK);
	CHECK_INT(f->park.handle.request, 1);
	CHECK_INT(f->park.heartbeat_s, 100);
	CHECK_INT(f->park.renew_for_s, 0);
	register_phone(2, 6, true);
	expect_response(IPC_WAKE, 2, 200, "changed");
	world_deliver(5);
	expect_response(IPC_WAKE, 1, 200, "changed");
	CHECK_INT(atomic_load(&world.restores), 2);
	/* One that goes while it is being restored. */
	register_phone(3, 7, true);
	send_handle(IPC_GONE, 3);
	(void)world_quiet();
	CHECK_INT(watches_count(world.engine.watches), 0);
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

/* Bytes and end come as one event, and nothing is written that would fail. */
static void test_front_goes_behind_its_last_frame(void)
{
	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	expect_parked(1);
	send_handle(IPC_GONE, 9);
	fd_close(&world.front.control);
	for (unsigned i = 0; i < 500 && watches_count(world.engine.watches) > 0; i++)
		(void)loop_run_once(world.loop, 10);
	CHECK_INT(watches_count(world.engine.watches), 0);
	world_reconnect();
	CHECK(world_quiet());
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

static void test_front_lost_with_commands_running(void)
{
	world_open();
	atomic_store(&world.block, true);
	for (uint32_t i = 1; i <= 8; i++)
		world_request(i, i % 2 == 0 ? EAS "?Ping=5" : EAS "?Len", "Basic good", "");
	announce_upload(20, "Basic good", 100000);
	while (atomic_load(&world.commands) < 2)
		(void)loop_run_once(world.loop, 10);
	world_reconnect();
	world_request(1, EAS "?Len", "Basic good", "new"); /* the same handle again */
	(void)loop_run_once(world.loop, 10);
	atomic_store(&world.block, false);
	expect_response(IPC_RESPONSE, 1, 200, "3 bytes, last w");
	CHECK(world_quiet());
	CHECK_INT(watches_count(world.engine.watches), 0);
	CHECK_INT(map_count(world.engine.errands), 0);
	CHECK_INT(world.engine.uploads, 0);
	world_close();
}

/* One user's slow commands leave workers for the others, and wait in a bounded line. */
static void test_one_user_does_not_take_all_workers(void)
{
	world_open();
	atomic_store(&world.block, true);
	for (uint32_t i = 1; i <= 110; i++)
		world_request(i, EAS "?Len", "Basic good", "");
	for (uint32_t i = 103; i <= 110; i++) /* 2 run, 100 wait */
		expect_response(IPC_RESPONSE, i, 503, "");
	world_request(900, EAS "?Len", "Basic bad", "");
	expect_response(IPC_RESPONSE, 900, 401, "");
	while (workers_running(world.engine.workers) != 2) /* the refused one just ends */
		(void)sched_yield();
	send_handle(IPC_GONE, 50);
	atomic_store(&world.block, false);
	for (uint32_t i = 1; i <= 101; i++) {
		const struct ipc_frame *f = world_next();

		REQUIRE(f != NULL);
		CHECK_INT(f->response.status, 200);
		CHECK(f->response.handle.request != 50);
	}
	CHECK(world_quiet());
	CHECK_INT(map_count(world.engine.errands), 0);
	world_close();
}

/* Requests of so many users, each another one; so many of them are refused, and so many wait then.
 */
static void storm(uint32_t first, uint32_t count, uint32_t refused, uint32_t waiting)
{
	char user[32];

	for (uint32_t i = first; i < first + count; i++) {
		(void)snprintf(user, sizeof(user), "Basic good%u", i);
		world_request(i, EAS "?Len", user, "");
	}
	for (uint32_t i = 0; i < refused; i++) {
		const struct ipc_frame *f = world_next();

		REQUIRE(f != NULL);
		CHECK_INT(f->response.status, 503);
		CHECK(ipc_header_find(f->response.headers, f->response.header_count,
			      "Retry-After") != NULL);
	}
	while (workers_waiting(world.engine.workers) != waiting ||
		workers_running(world.engine.workers) != 4)
		(void)loop_run_once(world.loop, 0);
}

/* Half of the places are kept for those that are in. */
static void test_newcomers(void)
{
	const uint32_t max = 20;
	uint32_t served = 0;

	world_open();
	((struct settings *)(uintptr_t)world.engine.settings)->server_requests_waiting_max = max;
	atomic_store(&world.block, true);
	/* All workers are taken before anybody waits. */
	storm(1, 4, 0, 0);
	storm(100, max / 2 + 5, 5, max / 2);
	CHECK_INT((int)atomic_load(&world.engine.refused_newcomers), 5);
	world.served = true;
	storm(1000, max / 2 + 3, 3, max);
	CHECK_INT((int)atomic_load(&world.engine.refused_busy), 3);
	atomic_store(&world.block, false);
	while (served < max + 4) {
		const struct ipc_frame *f = world_next();

		REQUIRE(f != NULL);
		CHECK_INT(f->response.status, 200);
		served++;
	}
	world.served = false;
	world_close();
}

static void *ask_stats(void *arg)
{
	struct stats_counter counters[IPC_STATS_MAX];
	size_t count = stats_read(world.engine.stats, counters, ARRAY_LEN(counters));
	uint64_t *sum = arg;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(counters[i].name, "parked") == 0)
			sum[0] = counters[i].value;
		if (strcmp(counters[i].name, "fronts") == 0)
			sum[1] = counters[i].value;
	}
	return NULL;
}

/* Whoever asks gets numbers that are newer than the question. */
static void test_stats(void)
{
	struct ipc_frame answer = {.type = IPC_STATS, .stats = {.front = 1, .count = 1}};
	const struct ipc_frame *f;
	uint64_t sum[2] = {0, 0};
	pthread_t asker;

	world_open();
	answer.stats.counters[0].name = "parked";
	answer.stats.counters[0].value = 3;
	world_send(&answer);
	CHECK(world_quiet());
	REQUIRE(pthread_create(&asker, NULL, ask_stats, sum) == 0);
	f = world_next();
	REQUIRE(f != NULL && f->type == IPC_STATS);
	answer.stats.counters[0].value = 8;
	world_send(&answer);
	CHECK(world_quiet());
	(void)pthread_join(asker, NULL);
	CHECK_INT(sum[0], 8);
	CHECK_INT(sum[1], 1);
	world_close();
}

static void test_garbage_ends_the_link(void)
{
	static const uint8_t garbage[] = {4, 0, 0, 0, IPC_GONE, 1, 2, 3};

	world_open();
	REQUIRE(write(world.front.control, garbage, sizeof(garbage)) == sizeof(garbage));
	CHECK(world_next() == NULL);
	CHECK(list_empty(&world.engine.fronts));
	/* Something else than HELLO first. */
	world_reconnect();
	CHECK(world_quiet());
	CHECK(!list_empty(&world.engine.fronts));
	world_close();
}

static void test_stop_answers_what_runs(void)
{
	const struct ipc_frame *f;

	world_open();
	world_request(1, EAS "?Len", "Basic good", "abc");
	while (atomic_load(&world.commands) == 0)
		(void)loop_run_once(world.loop, 10);
	engine_deinit(&world.engine);
	expect_response(IPC_RESPONSE, 1, 200, "3 bytes, last c");
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_BYE);
	CHECK(world_next() == NULL);
	world_close();
}

/* What it has not begun it leaves without an answer: BYE says so. An upload is refused. */
static void test_stop_leaves_what_was_not_begun(void)
{
	const struct ipc_frame *f;

	world_open();
	atomic_store(&world.block, true);
	for (uint32_t i = 1; i <= 4; i++) /* 2 run, one user's others wait */
		world_request(i, EAS "?Len", "Basic good", "abc");
	while (atomic_load(&world.commands) < 2)
		(void)loop_run_once(world.loop, 10);
	atomic_store(&world.block, false);
	engine_deinit(&world.engine);
	for (int answers = 0; (f = world_next()) != NULL && f->type != IPC_BYE; answers++) {
		CHECK_INT(f->type, IPC_RESPONSE);
		CHECK_INT(f->response.status, 200);
	}
	REQUIRE(f != NULL);
	CHECK(world_next() == NULL);
	world_close();
}

/* A front of the release before: no greeting, no BYE, refusals instead. */
static void test_front_of_the_release_before(void)
{
	const struct ipc_frame *f;

	world_open();
	world_reconnect_as(1);
	world_request(1, EAS "?Len", "Basic good", "abc");
	expect_response(IPC_RESPONSE, 1, 200, "3 bytes, last c");
	world_request(2, EAS "?Ping=5", "Basic good", "");
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_PARK);
	engine_deinit(&world.engine);
	CHECK(world_next() == NULL);
	world_close();
	/* And one of a time to come is answered in our version. */
	world_open();
	world_reconnect_as(IPC_VERSION + 7);
	world_request(1, EAS "?Len", "Basic good", "abc");
	expect_response(IPC_RESPONSE, 1, 200, "3 bytes, last c");
	world_close();
}

static void send_moved(uint32_t before, uint32_t now)
{
	struct ipc_frame f = {.type = IPC_REGISTER};

	f.reg = (struct ipc_register){.handle = world_handle(now),
		.parked = true,
		.left_s = 100,
		.expiry = IPC_EXPIRY_PING,
		.cookie_len = 1,
		.cookie = {5},
		.moved = true,
		.before = world_handle(before)};
	world_send(&f);
}

/* A phone went from one front to the next: the watch goes along, without a look and a word. */
static void test_watch_goes_along(void)
{
	const struct ipc_frame *f;

	world_open();
	world_request(1, EAS "?Ping=5", "Basic good", "");
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_PARK);
	send_moved(1, 2);
	CHECK(world_quiet());
	CHECK_INT(atomic_load(&world.restores), 0);
	world_deliver(5);
	expect_response(IPC_WAKE, 2, 200, "changed");
	/* What happens on the way, and is told to the old front in vain, is found. */
	atomic_store(&world.synced[5], 1);
	world_request(3, EAS "?Ping=5", "Basic good", "");
	f = world_next();
	REQUIRE(f != NULL);
	CHECK_INT(f->type, IPC_PARK);
	world_deliver(5);
	expect_response(IPC_WAKE, 3, 200, "changed");
	send_moved(3, 4);
	expect_response(IPC_WAKE, 4, 200, "changed");
	CHECK_INT(atomic_load(&world.restores), 1);
	CHECK_INT(watches_count(world.engine.watches), 0);
	world_close();
}

TEST_MAIN(TEST(test_paths), TEST(test_small_request), TEST(test_refusals),
	TEST(test_upload_by_credit), TEST(test_uploads_of_strangers), TEST(test_upload_misbehaves),
	TEST(test_large_answer_by_credit), TEST(test_client_goes_while_its_command_runs),
	TEST(test_park_and_wake), TEST(test_check_finds_nothing), TEST(test_admin_mark),
	TEST(test_newer_ping_ends_the_older), TEST(test_flags_wake_after_their_delay),
	TEST(test_front_comes_back), TEST(test_front_goes_behind_its_last_frame),
	TEST(test_front_lost_with_commands_running), TEST(test_one_user_does_not_take_all_workers),
	TEST(test_newcomers), TEST(test_stats), TEST(test_garbage_ends_the_link),
	TEST(test_stop_answers_what_runs), TEST(test_stop_leaves_what_was_not_begun),
	TEST(test_front_of_the_release_before), TEST(test_watch_goes_along))
