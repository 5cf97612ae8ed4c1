/* What the fronts share: counts over processes, and what becomes of them when one is killed. */
#include "shared/shared.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"
#include "shared/shared_internal.h"

static const struct shared_sizes sizes = {64, 2000, 4096, 256, 16};

static int make(const struct shared_sizes *of, struct shared **ret)
{
	struct err err = ERR_INIT;
	int fd = -1;

	REQUIRE_OK(shared_create(of, &fd, &err), &err);
	REQUIRE_OK(shared_open(fd, ret, &err), &err);
	return fd;
}

static bool enter(struct shared *s, int part, uint32_t slot, const char *key, uint32_t limit)
{
	return shared_enter(s, part, slot, SHARED_ADDRESS, key, strlen(key), limit);
}

static uint32_t count(struct shared *s, const char *key)
{
	return shared_count(s, SHARED_ADDRESS, key, strlen(key));
}

static void test_counts(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), a = shared_part_take(s, 11), b = shared_part_take(s, 12);

	CHECK(a >= 0 && b >= 0 && a != b);
	CHECK(enter(s, a, 0, "one", 2));
	CHECK(enter(s, b, 7, "one", 2));
	CHECK(!enter(s, a, 1, "one", 2));
	CHECK(enter(s, a, 1, "two", 2));
	CHECK(enter(s, a, 1, "two", 2)); /* again: the same */
	CHECK_INT(count(s, "one"), 2);
	CHECK_INT(count(s, "two"), 1);
	/* The other kind is another count. */
	CHECK(shared_enter(s, a, 0, SHARED_USER, "one", 3, 1));
	CHECK_INT(shared_count(s, SHARED_USER, "one", 3), 1);
	shared_leave(s, b, 7, SHARED_ADDRESS);
	shared_leave(s, b, 7, SHARED_ADDRESS);
	CHECK_INT(count(s, "one"), 1);
	/* A connection that comes to count for another key. */
	CHECK(enter(s, a, 1, "one", 2));
	CHECK_INT(count(s, "one"), 2);
	CHECK_INT(count(s, "two"), 0);
	CHECK(enter(s, a, 2, "one", 0)); /* no limit */
	CHECK_INT(count(s, "one"), 3);
	shared_part_release(s, a);
	CHECK_INT(count(s, "one"), 0);
	CHECK_INT(shared_count(s, SHARED_USER, "one", 3), 0);
	CHECK_INT((int)shared_overflows(s), 0);
	shared_close(&s);
	fd_close(&fd);
}

static void test_move(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), a = shared_part_take(s, 11), b = shared_part_take(s, 12);

	CHECK(shared_connect(s, a, 0));
	CHECK(enter(s, a, 5, "one", 1));
	CHECK(shared_enter(s, a, 5, SHARED_USER, "anna", 4, 1));
	REQUIRE(shared_move(s, a, 5, b, 900));
	CHECK_INT(count(s, "one"), 1);
	CHECK(!enter(s, a, 6, "one", 1));
	/* The old one's end takes nothing away, the new one's does. */
	shared_bury(s, 11);
	CHECK_INT(count(s, "one"), 1);
	CHECK_INT(shared_connections(s), 1);
	shared_bury(s, 12);
	CHECK_INT(count(s, "one"), 0);
	CHECK_INT(shared_count(s, SHARED_USER, "anna", 4), 0);
	CHECK_INT(shared_connections(s), 0);
	CHECK(!shared_move(s, 64, 0, b, 0));
	CHECK(!shared_move(s, -1, 0, b, 0));
	CHECK(!shared_move(s, a, 2000, b, 0));
	shared_close(&s);
	fd_close(&fd);
}

static void test_connections(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), a = shared_part_take(s, 11), b = shared_part_take(s, 12);

	CHECK(shared_connect(s, a, 2));
	CHECK(shared_connect(s, b, 2));
	CHECK(!shared_connect(s, b, 2));
	CHECK_INT((int)shared_connections(s), 2);
	shared_bury(s, 12);
	CHECK_INT((int)shared_connections(s), 1);
	CHECK(shared_connect(s, a, 2));
	shared_disconnect(s, a);
	shared_disconnect(s, a);
	CHECK_INT((int)shared_connections(s), 0);
	CHECK_INT(shared_part_take(s, 13), b);
	shared_close(&s);
	fd_close(&fd);
}

static void test_parts_end(void)
{
	const struct shared_sizes two = {2, 16, 64, 16, 16};
	struct shared *s = NULL;
	int fd = make(&two, &s);

	CHECK_INT(shared_part_take(s, 1), 0);
	CHECK_INT(shared_part_take(s, 2), 1);
	CHECK_INT(shared_part_take(s, 3), -1);
	shared_part_release(s, 0);
	CHECK_INT(shared_part_take(s, 3), 0);
	shared_close(&s);
	fd_close(&fd);
}

/* A full table lets everybody in, and says so. */
static void test_full(void)
{
	const struct shared_sizes small = {1, 1000, 16, 16, 16};
	struct shared *s = NULL;
	int fd = make(&small, &s), part = shared_part_take(s, 1);
	uint32_t counted = 0;
	char key[16];

	for (uint32_t i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "%u", i);
		CHECK(enter(s, part, i, key, 1));
		counted += count(s, key);
	}
	CHECK_INT(counted, 16);
	CHECK_INT((int)shared_overflows(s), 184);
	shared_part_release(s, part);
	for (uint32_t i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "%u", i);
		CHECK_INT(count(s, key), 0);
	}
	shared_close(&s);
	fd_close(&fd);
}

static void test_other_layout(void)
{
	const struct shared_sizes small = {1, 10, 16, 16, 16};
	struct shared *s = NULL, *again = NULL;
	struct err err = ERR_INIT;
	int fd = make(&small, &s);

	s->page->layout++;
	CHECK(shared_open(fd, &again, &err) < 0);
	CHECK_INT(err.code, ERR_CONFLICT);
	s->page->layout--;
	CHECK(ftruncate(fd, 4096) == 0);
	CHECK(shared_open(fd, &again, &err) < 0);
	CHECK(again == NULL);
	shared_close(&s); /* its first page is still there */
	fd_close(&fd);
}

/* ---- several processes ---- */

#define CHILDREN 52
#define ROUNDS   3000
#define LIMIT    100

/* Comes and goes, or comes until there is no more room; says how often it was let in. */
static uint32_t child(int fd, bool stays, uint32_t seed)
{
	struct shared *s = NULL;
	struct err err = ERR_INIT;
	uint32_t in = 0;
	int part;

	if (shared_open(fd, &s, &err) < 0)
		_exit(1);
	part = shared_part_take(s, getpid());
	for (uint32_t i = 0; i < ROUNDS && part >= 0; i++) {
		uint32_t slot = stays ? in : (seed + i) % 50;

		if (enter(s, part, slot, "all", LIMIT))
			in++;
		if (!stays && i % 3 == 0)
			shared_leave(s, part, (seed + i * 7) % 50, SHARED_ADDRESS);
		if (!stays)
			(void)enter(s, part, 60 + seed % 3, i % 2 == 0 ? "x" : "y", 0);
	}
	shared_close(&s);
	return in;
}

/* With 52 processes the limit is exact, however they race. */
static void test_exact(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), status;
	pid_t pids[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			(void)child(fd, true, (uint32_t)i);
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK_INT(status, 0);
	}
	/* Nobody left: all places are taken, and no more. */
	CHECK_INT(count(s, "all"), LIMIT);
	for (int i = 0; i < CHILDREN; i++)
		shared_bury(s, pids[i]);
	CHECK_INT(count(s, "all"), 0);
	shared_close(&s);
	fd_close(&fd);
}

/* Killed in the middle of it, again and again: what they counted is given back to the last. */
static void test_killed(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), status;

	for (int round = 0; round < 20; round++) {
		pid_t pids[4];

		for (int i = 0; i < 4; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				for (;;)
					(void)child(fd, false, (uint32_t)i);
			}
		}
		/* Until they are all at it. */
		while (atomic_load(&s->parts[3].used) < 50)
			;
		for (int i = 0; i < 4; i++) {
			CHECK(kill(pids[i], SIGKILL) == 0);
			CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		}
		for (int i = 0; i < 4; i++)
			shared_bury(s, pids[i]);
		CHECK_INT(count(s, "all"), 0);
		CHECK_INT(count(s, "x"), 0);
		CHECK_INT(count(s, "y"), 0);
	}
	shared_close(&s);
	fd_close(&fd);
}

/* A process that died between noting and counting. */
static void test_pending(void)
{
	struct shared *s = NULL;
	int fd = make(&sizes, &s), a = shared_part_take(s, 11), b = shared_part_take(s, 12);
	struct shared_slot *slot;

	CHECK(enter(s, a, 3, "key", 5));
	CHECK(enter(s, b, 4, "key", 5));
	slot = shared_slot_of(s, b, 4);
	/* It had counted. */
	slot->place[SHARED_ADDRESS] |= SHARED_PENDING;
	shared_bury(s, 12);
	CHECK_INT(count(s, "key"), 1);
	/* It had not. */
	b = shared_part_take(s, 12);
	slot = shared_slot_of(s, b, 0);
	slot->place[SHARED_ADDRESS] =
		shared_slot_of(s, a, 3)->place[SHARED_ADDRESS] | SHARED_PENDING;
	atomic_store(&s->parts[b].used, 1);
	shared_bury(s, 12);
	CHECK_INT(count(s, "key"), 1);
	shared_close(&s);
	fd_close(&fd);
}

/* ---- rates ---- */

static void test_rate(void)
{
	const struct shared_sizes small = {1, 1, 16, 16, 16};
	struct shared *s = NULL;
	int fd = make(&small, &s);
	int64_t now_ms = ((int64_t)1 << 32) / 16 - 1000; /* the times wrap meanwhile */
	uint64_t key = shared_hash(s, "device", 6);
	uint32_t wait_s = 0;

	for (int i = 0; i < 20; i++)
		CHECK(shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
	CHECK(!shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
	CHECK_INT(wait_s, 1);
	/* Another one is not touched by it. */
	CHECK(shared_rate_try(s, shared_hash(s, "another", 7), 10, 20, now_ms, &wait_s));
	for (int i = 0; i < 30; i++) {
		now_ms += 100;
		CHECK(shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
		CHECK(!shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
	}
	CHECK(shared_rate_try(s, key, 0, 20, now_ms, &wait_s)); /* no limit */
	now_ms += 2000;
	for (int i = 0; i < 20; i++)
		CHECK(shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
	CHECK(!shared_rate_try(s, key, 10, 20, now_ms, &wait_s));
	shared_close(&s);
	fd_close(&fd);
}

/* Many keys share a small table; what has run empty makes room. */
static void test_rate_room(void)
{
	const struct shared_sizes small = {1, 1, 16, 16, 16};
	struct shared *s = NULL;
	int fd = make(&small, &s);
	uint32_t wait_s = 0;

	for (int64_t i = 0; i < 1000; i++)
		CHECK(shared_rate_try(
			s, shared_hash(s, &i, sizeof(i)), 100, 1, 5000 + i * 11, &wait_s));
	CHECK_INT((int)shared_overflows(s), 0);
	for (int64_t i = 0; i < 1000; i++)
		CHECK(shared_rate_try(s, shared_hash(s, &i, sizeof(i)), 1, 1, 100000, &wait_s));
	CHECK((int)shared_overflows(s) > 900);
	shared_close(&s);
	fd_close(&fd);
}

/* What a process has counted goes to the next one that asks, under the names that both have. */
static void test_counters(void)
{
	static const char *const names[] = {"level", "apples", "pears"},
				 *const lasting[] = {NULL, "apples", "pears"},
				 *const later[] = {"pears", "plums", "apples"};
	struct shared *s = NULL;
	int fd = make(&sizes, &s), a = shared_part_take(s, 11), b = shared_part_take(s, 12);
	uint64_t *old = shared_counters(s, a, lasting, ARRAY_LEN(names)), next[3] = {5, 0, 1};

	old[0] = 7;
	old[1] = 3;
	old[2] = 2;
	shared_counters_inherit(s, later, ARRAY_LEN(later), next);
	CHECK_INT(next[2], 1);
	shared_bury(s, 11);
	shared_counters_inherit(s, later, ARRAY_LEN(later), next);
	CHECK_INT(next[0], 7);
	CHECK_INT(next[1], 0);
	CHECK_INT(next[2], 4);
	/* Once only; and two that end one after the other add up. */
	shared_counters_inherit(s, later, ARRAY_LEN(later), next);
	CHECK_INT(next[0], 7);
	shared_counters(s, b, lasting, ARRAY_LEN(lasting))[1] = 10;
	shared_part_release(s, b);
	a = shared_part_take(s, 13);
	CHECK_INT(shared_counters(s, a, lasting, ARRAY_LEN(lasting))[1], 0);
	shared_counters(s, a, lasting, ARRAY_LEN(lasting))[1] = 1;
	shared_part_release(s, a);
	shared_counters_inherit(s, later, ARRAY_LEN(later), next);
	CHECK_INT(next[2], 15);
	shared_close(&s);
	fd_close(&fd);
}

TEST_MAIN(TEST(test_counters), TEST(test_counts), TEST(test_move), TEST(test_connections),
	TEST(test_parts_end), TEST(test_full), TEST(test_other_layout), TEST(test_exact),
	TEST(test_killed), TEST(test_pending), TEST(test_rate), TEST(test_rate_room))
