/* The memory of raw requests: what goes in comes out, the oldest goes first, nothing leaks. */
#include "base/mem.h"
#include "base/test.h"
#include "telemetry/traces.h"

static struct arena *arena;
static struct trace *got;
static size_t count;

static void add(struct traces *t, uint64_t device, uint8_t fill, uint32_t request, uint32_t answer)
{
	uint8_t *a = x_calloc(1, request + 1), *b = x_calloc(1, answer + 1);

	memset(a, fill, request);
	memset(b, fill + 1, answer);
	traces_add(t, &(struct trace){.device = device,
			      .http = fill,
			      .request = a,
			      .request_len = request,
			      .answer = b,
			      .answer_len = answer});
	mem_free(a);
	mem_free(b);
}

static void check_bytes(const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->request_kept; i++)
		REQUIRE(trace->request[i] == (uint8_t)trace->http);
	for (uint32_t i = 0; i < trace->answer_kept; i++)
		REQUIRE(trace->answer[i] == (uint8_t)(trace->http + 1));
}

static void read_all(struct traces *t, uint64_t device, uint64_t after)
{
	arena_free(&arena);
	arena = arena_new(0);
	traces_read(t, device, after, arena, &got, &count);
	for (size_t i = 0; i < count; i++)
		check_bytes(&got[i]);
}

static void test_order(void)
{
	const struct traces_limits limits = {3, 1000, 1 << 20};
	struct traces *t = traces_new(&limits);

	read_all(t, 1, 0);
	CHECK_INT(count, 0);
	for (uint8_t i = 1; i <= 5; i++)
		add(t, 1, i, i * 10u, i * 300u);
	add(t, 2, 9, 0, 0);
	read_all(t, 1, 0);
	CHECK_INT(count, 3);
	CHECK_INT(got[0].http, 3);
	CHECK_INT(got[2].http, 5);
	CHECK_INT(got[2].answer_len, 1500);
	CHECK_INT(got[2].answer_kept, 1000);
	CHECK(got[0].number < got[1].number && got[1].number < got[2].number);
	read_all(t, 1, got[1].number);
	CHECK_INT(count, 1);
	CHECK_INT(got[0].http, 5);
	traces_add(t, &(struct trace){.device = 3, .request_len = 5, .answer_len = 6});
	read_all(t, 3, 0);
	CHECK_INT(count, 1);
	CHECK_INT(got[0].answer_len, 6);
	CHECK_INT(got[0].answer_kept, 0);
	read_all(t, 2, 0);
	CHECK_INT(count, 1);
	CHECK_INT(got[0].request_kept, 0);
	traces_free(&t);
}

/* More than fits, of all sizes, for very long: each trace is whole or gone. */
static void test_full(void)
{
	const struct traces_limits limits = {4, 3000, 64 * 1024};
	struct traces *t = traces_new(&limits);
	uint32_t seed = 1;
	size_t left = 0;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1664525 + 1013904223;
		add(t, seed >> 8 & 63, (uint8_t)(seed >> 16), seed >> 4 & 2047, seed >> 12 & 4095);
		if (i % 97 == 0)
			read_all(t, seed >> 8 & 63, 0);
	}
	for (uint64_t device = 0; device < 64; device++) {
		read_all(t, device, 0);
		CHECK(count <= 4);
		left += count;
	}
	CHECK(left >= 8);
	traces_free(&t);
}

static void test_none(void)
{
	const struct traces_limits nothing = {4, 3000, 0}, tiny = {4, 3000, 8 * 512};
	struct traces *t = traces_new(&nothing);

	add(t, 1, 1, 10, 10);
	read_all(t, 1, 0);
	CHECK_INT(count, 0);
	traces_free(&t);
	t = traces_new(&tiny);
	/* Larger than all there is: not kept, and nothing is lost of the memory. */
	for (int i = 0; i < 10; i++)
		add(t, 1, 1, 2000, 0);
	read_all(t, 1, 0);
	CHECK_INT(count, 0);
	add(t, 1, 2, 10, 10);
	read_all(t, 1, 0);
	CHECK_INT(count, 1);
	traces_free(&t);
	arena_free(&arena);
}

TEST_MAIN(TEST(test_order), TEST(test_full), TEST(test_none))
