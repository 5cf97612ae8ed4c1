/* Evidence about paths, and the window over heartbeats. Times are given, nothing waits. */
#include "shared/shared_path.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"

static const struct shared_path_terms terms = {5, 1, 60, 3600};
static struct shared *s;
static int fd;
static int64_t now_ms;

static void begin(uint32_t paths)
{
	const struct shared_sizes sizes = {1, 16, 16, 16, paths};
	struct err err = ERR_INIT;

	now_ms = 1000000;
	REQUIRE_OK(shared_create(&sizes, &fd, &err), &err);
	REQUIRE_OK(shared_open(fd, &s, &err), &err);
}

static void end(void)
{
	shared_close(&s);
	fd_close(&fd);
}

static uint32_t path_of(uint64_t key)
{
	return shared_path_find(s, key, now_ms);
}

/* count times, far enough from each other. */
static void note(uint32_t path, enum shared_silence what, uint32_t silence_s, int count)
{
	while (count-- > 0) {
		now_ms += 10000;
		shared_path_note(s, path, what, silence_s, &terms, now_ms);
	}
}

static uint32_t limit(uint32_t path)
{
	return shared_path_limit(s, path, &terms, now_ms);
}

static void test_cut(void)
{
	static const uint32_t times[] = {240, 540, 960, 1860};

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		uint32_t p;

		begin(64);
		p = path_of(7);
		note(p, SHARED_CUT, times[i], 4);
		CHECK_INT(limit(p), 0); /* too little evidence */
		note(p, SHARED_CUT, times[i], 1);
		CHECK_INT(limit(p), times[i]);
		CHECK_INT(limit(path_of(8)), 0); /* another path */
		CHECK_INT(shared_paths_limited(s), 1);
		end();
	}
}

/* Shorter silences survive, longer ones are cut; who hangs up early is outvoted. */
static void test_outvoted(void)
{
	uint32_t p;

	begin(64);
	p = path_of(7);
	note(p, SHARED_LIVED, 230, 30);
	note(p, SHARED_CUT, 130, 6);
	CHECK_INT(limit(p), 0);
	note(p, SHARED_CUT, 241, 10);
	CHECK_INT(limit(p), 241);
	note(p, SHARED_LIVED, 900, 40);
	CHECK_INT(limit(p), 241); /* weighed at the next cut */
	note(p, SHARED_CUT, 241, 1);
	CHECK_INT(limit(p), 0);
	end();
}

/* Found late, the limit goes down in steps until waits survive. */
static void test_late(void)
{
	uint32_t p, wait_s = 3540;
	int cuts = 0;

	begin(64);
	p = path_of(7);
	while (wait_s > 250 && cuts < 200) { /* the path cuts after 250 s */
		note(p, SHARED_FOUND, wait_s, 1);
		cuts++;
		if (limit(p) != 0)
			wait_s = limit(p) - 5;
	}
	CHECK(wait_s > 190 && wait_s <= 250);
	CHECK(cuts < 150);
	for (int i = 0; i < 30; i++)
		note(p, SHARED_LIVED, wait_s, 1);
	CHECK_INT(limit(p), wait_s + 5);
	end();
}

/* A mast fails: a thousand phones cut at one moment are one cut. */
static void test_all_at_once(void)
{
	uint32_t p;

	begin(64);
	p = path_of(7);
	for (int i = 0; i < 1000; i++)
		shared_path_note(s, p, SHARED_CUT, 300 + (uint32_t)i % 7, &terms, now_ms + i);
	CHECK_INT(limit(p), 0);
	end();
}

static void test_forgotten(void)
{
	uint32_t p;

	begin(64);
	p = path_of(7);
	note(p, SHARED_CUT, 300, 100);
	CHECK_INT(limit(p), 300);
	now_ms += 2 * 3600000;
	CHECK_INT(limit(p), 300);
	for (int i = 0; i < 4; i++) {
		now_ms += 3600000;
		(void)limit(p);
	}
	CHECK_INT(limit(p), 0);
	end();
}

/* Neither below the minimum nor from silences below it. */
static void test_bounds(void)
{
	uint32_t p;

	begin(64);
	p = path_of(7);
	note(p, SHARED_CUT, 30, 50);
	CHECK_INT(limit(p), 0);
	note(p, SHARED_FOUND, 61, 50);
	CHECK_INT(limit(p), 60);
	note(p, SHARED_CUT, 4000000, 1);
	shared_path_note(s, SHARED_NO_PATH, SHARED_CUT, 300, &terms, now_ms);
	CHECK_INT(shared_path_limit(s, SHARED_NO_PATH, &terms, now_ms), 0);
	end();
}

/* More paths than records: the one that was not seen for longest goes, with what was known of it.
 */
static void test_room(void)
{
	uint32_t busy;

	begin(16);
	busy = path_of(3);
	note(busy, SHARED_CUT, 300, 5);
	for (uint64_t i = 100; i < 1000; i++) {
		now_ms += 1000;
		CHECK(path_of(i) < 16);
		CHECK_INT(path_of(3), busy);
	}
	CHECK_INT(limit(busy), 300);
	for (uint64_t i = 1000; i < 1100; i++) {
		now_ms += 1000;
		(void)path_of(i);
	}
	CHECK_INT(limit(path_of(3)), 0);
	end();
}

static void test_devices(void)
{
	const uint64_t phone = (uint64_t)77 << 32, other = (uint64_t)78 << 32;

	begin(16);
	shared_device_seen(s, 0, 1, phone, 1111);
	CHECK(shared_device_is_in(s, 0, 1, 1111));
	CHECK(!shared_device_is_in(s, 0, 1, 2222));
	shared_device_seen(s, 0, 2, phone, 2222); /* on another connection */
	CHECK(!shared_device_is_in(s, 0, 1, 1111));
	shared_device_seen(s, 0, 3, other, 1111);
	CHECK(!shared_device_is_in(s, 0, 1, 1111));
	end();
}

static void test_window(void)
{
	struct shared_heartbeats h;

	begin(16);
	for (int i = 0; i < 199; i++)
		CHECK_INT(shared_heartbeat_note(s, 480, 200, 540), SHARED_HEARTBEAT_SAME);
	CHECK(!shared_heartbeats_of(s).are_short);
	CHECK_INT(shared_heartbeat_note(s, 480, 200, 540), SHARED_HEARTBEAT_SHORT);
	for (int i = 0; i < 50; i++)
		CHECK_INT(shared_heartbeat_note(s, 480, 200, 540), SHARED_HEARTBEAT_SAME);
	h = shared_heartbeats_of(s);
	CHECK(h.are_short);
	CHECK_INT(h.count, 200);
	CHECK_INT((int)h.sum_s, 480 * 200);
	/* The old ones leave the window. 110 % of the threshold ends it. */
	for (int i = 0; i < 27; i++)
		CHECK_INT(shared_heartbeat_note(s, 1320, 200, 540), SHARED_HEARTBEAT_SAME);
	CHECK_INT(shared_heartbeat_note(s, 1320, 200, 540), SHARED_HEARTBEAT_WELL);
	CHECK(!shared_heartbeats_of(s).are_short);
	/* Another window begins anew. */
	CHECK_INT(shared_heartbeat_note(s, 60, 2, 540), SHARED_HEARTBEAT_SAME);
	CHECK_INT(shared_heartbeat_note(s, 60, 2, 540), SHARED_HEARTBEAT_SHORT);
	end();
}

TEST_MAIN(TEST(test_cut), TEST(test_outvoted), TEST(test_late), TEST(test_all_at_once),
	TEST(test_forgotten), TEST(test_bounds), TEST(test_room), TEST(test_devices),
	TEST(test_window))
