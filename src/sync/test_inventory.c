/*
 * Inventories on their way to the store and back: small and large ones, what two generations share,
 * what is swallowed, and what is refused.
 */
#include "sync/inventory.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/test.h"

static void add_range(struct id_set *s, uint64_t first, uint64_t last, uint64_t step)
{
	for (uint64_t id = first; id <= last; id += step)
		(void)id_set_add(s, id);
}

static bool equal(const struct id_set *a, const struct id_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->runs[i].first != b->runs[i].first || a->runs[i].last != b->runs[i].last)
			return false;
	}
	return true;
}

static int by_id(const void *a, const void *b)
{
	uint64_t left = ((const struct sync_chunk_row *)a)->id;
	uint64_t right = ((const struct sync_chunk_row *)b)->id;

	return left < right ? -1 : left > right;
}

/* What the store does: chunks come back in the order of their ids. */
static void sort(struct sync_chunk_list *list)
{
	if (list->count > 0)
		qsort(list->rows, list->count, sizeof(*list->rows), by_id);
}

static size_t check_round(const struct id_set *set, size_t *ret_chunks)
{
	struct sync_chunk_list chunks = SYNC_CHUNK_LIST_INIT;
	struct id_set back = ID_SET_INIT;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct rd in;
	size_t len;

	sync_inventory_encode(set, &out, &chunks);
	sort(&chunks);
	rd_init(&in, out.data, out.len);
	REQUIRE_OK(sync_inventory_decode(&in, chunks.rows, chunks.count, &back, &err), &err);
	CHECK_INT(rd_left(&in), 0);
	CHECK(equal(set, &back));
	len = out.len;
	*ret_chunks = chunks.count;
	for (size_t i = 0; i < chunks.count; i++)
		CHECK(chunks.rows[i].len <= 4096 + 16);
	sync_chunk_list_deinit(&chunks);
	id_set_deinit(&back);
	buf_deinit(&out);
	return len;
}

static void test_round(void)
{
	static const struct {
		const char *name; /* for the reader */
		uint64_t first, last, step;
		size_t chunks, len_max;
	} cases[] = {
		{"empty", 2, 1, 1, 0, 2},
		{"one id", 1, 1, 1, 0, 8},
		{"a whole mailbox", 1, 100000, 1, 0, 8},
		{"fits", 1, 4000, 2, 0, 4100},
		{"every second, equal chunks are one", 1, 100000, 2, 2, 400},
		{"every third", 7, 200000, 3, 5, 800},
		{"high ids", (1ull << 40) + 5, (1ull << 40) + 40000, 3, 5, 400},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct id_set set = ID_SET_INIT;
		size_t chunks, len;

		add_range(&set, cases[i].first, cases[i].last, cases[i].step);
		len = check_round(&set, &chunks);
		CHECK(len <= cases[i].len_max);
		CHECK(chunks <= cases[i].chunks);
		CHECK((chunks > 0) == (cases[i].chunks > 0));
		id_set_deinit(&set);
	}
}

/* Runs across the borders of chunks, and at them. */
static void test_borders(void)
{
	struct id_set set = ID_SET_INIT;
	size_t chunks;

	add_range(&set, 20000, 40000, 2);
	for (uint64_t id = 4090; id < 4103; id++) {
		(void)id_set_add(&set, id);
		(void)check_round(&set, &chunks);
	}
	add_range(&set, 4097, 3 * 4096, 1);
	(void)check_round(&set, &chunks);
	(void)id_set_remove(&set, 2 * 4096);
	(void)check_round(&set, &chunks);
	(void)id_set_remove(&set, 2 * 4096 + 1);
	(void)check_round(&set, &chunks);
	id_set_deinit(&set);
}

/* One deletion touches one chunk. */
static void test_sharing(void)
{
	struct sync_chunk_list before = SYNC_CHUNK_LIST_INIT, after = SYNC_CHUNK_LIST_INIT;
	struct id_set set = ID_SET_INIT;
	struct buf out = BUF_INIT;
	size_t fresh = 0;

	for (uint64_t id = 1; id < 60000; id += 2 + id / 4096)
		(void)id_set_add(&set, id);
	sync_inventory_encode(&set, &out, &before);
	(void)id_set_remove(&set, set.runs[set.count / 2].first);
	sync_inventory_encode(&set, &out, &after);
	CHECK(before.count > 5);
	for (size_t i = 0; i < after.count; i++) {
		size_t k = 0;

		while (k < before.count && before.rows[k].id != after.rows[i].id)
			k++;
		fresh += k == before.count;
	}
	CHECK_INT(fresh, 1);
	sync_chunk_list_deinit(&before);
	sync_chunk_list_deinit(&after);
	id_set_deinit(&set);
	buf_deinit(&out);
}

static void test_damage(void)
{
	struct sync_chunk_list chunks = SYNC_CHUNK_LIST_INIT;
	struct id_set set = ID_SET_INIT, back = ID_SET_INIT;
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	struct rd in;

	add_range(&set, 1, 30000, 3);
	sync_inventory_encode(&set, &out, &chunks);
	sort(&chunks);
	rd_init(&in, out.data, out.len);
	CHECK_INT(sync_inventory_decode(&in, chunks.rows + 1, chunks.count - 1, &back, &err), -1);
	CHECK_INT(err.code, ERR_BAD_INPUT);
	CHECK(strstr(err.text, "is missing") != NULL);
	CHECK_INT(back.count, 0);
	for (size_t len = 0; len < out.len; len++) {
		rd_init(&in, out.data, len);
		CHECK_INT(sync_inventory_decode(&in, chunks.rows, chunks.count, &back, &err), -1);
	}
	rd_init(&in, "\x02", 1);
	CHECK_INT(sync_inventory_decode(&in, NULL, 0, &back, &err), -1);
	sync_chunk_list_deinit(&chunks);
	id_set_deinit(&set);
	buf_deinit(&out);
}

static void test_swallow(void)
{
	static const struct {
		const char *name;          /* for the reader */
		uint64_t held[8], live[8]; /* ended by 0 */
		const char *result;
	} cases[] = {
		{"nothing held", {0}, {1, 2}, ""},
		{"all gone between", {1, 3, 5}, {1, 3, 5}, "1:5"},
		{"one lives between", {1, 3, 5}, {1, 3, 4, 5}, "1:3,5"},
		{"the first gap lives", {1, 3, 5, 9}, {2}, "1,3:9"},
		{"before and behind count for nothing", {4, 6}, {1, 2, 8}, "4:6"},
		{"the folder is empty", {4, 6, 100}, {0}, "4:100"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct id_set set = ID_SET_INIT;
		struct item_id live[8];
		struct buf text = BUF_INIT;
		size_t count = 0, before;

		for (size_t k = 0; k < 8 && cases[i].held[k] != 0; k++)
			(void)id_set_add(&set, cases[i].held[k]);
		while (count < 8 && cases[i].live[count] != 0) {
			live[count].v = cases[i].live[count];
			count++;
		}
		before = set.count;
		CHECK_INT(sync_inventory_swallow(&set, live, count), set.count < before);
		id_set_print(&set, &text);
		CHECK_STR(buf_cstr(&text), cases[i].result);
		buf_deinit(&text);
		id_set_deinit(&set);
	}
}

TEST_MAIN(TEST(test_round), TEST(test_borders), TEST(test_sharing), TEST(test_damage),
	TEST(test_swallow))
