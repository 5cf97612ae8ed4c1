#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

#define CROWD 20000u

static void test_err_wraps(void)
{
	struct err err = ERR_INIT;

	CHECK_INT(err_set(&err, ERR_NOT_FOUND, "no folder %d", 7), -1);
	CHECK_INT(err_wrap(&err, "syncing"), -1);
	CHECK_STR(err.text, "syncing: no folder 7");
	CHECK_INT(err.code, ERR_NOT_FOUND);
	(void)err_set_errno(&err, 28 /* ENOSPC */, "writing");
	CHECK_INT(err.code, ERR_QUOTA);
}

static int next_number(int *n)
{
	return ++*n;
}

/* A clock that went on between two looks made a loop sleep for ever. */
static void test_min_max_look_once(void)
{
	int n = 0;

	CHECK_INT(MIN(next_number(&n), 10), 1);
	CHECK_INT(MAX(next_number(&n), 1), 2);
	CHECK_INT(MAX(MIN(next_number(&n), 3), 0), 3);
	CHECK_INT(n, 3);
}

static void test_buf_bound(void)
{
	struct buf b;

	buf_init(&b, 10);
	buf_addf(&b, "%s", "12345");
	buf_add_u32(&b, 0x01020304);
	CHECK_INT(b.len, 9);
	CHECK_INT(b.data[5], 4);
	buf_add(&b, "xx", 2);
	CHECK(b.failed);
	CHECK_INT(b.len, 9);
	buf_clear(&b);
	buf_add_byte(&b, 'a');
	CHECK_STR(buf_cstr(&b), "a");
	buf_deinit(&b);
}

static void test_buf_add_byte_keeps_bound(void)
{
	struct buf b;

	buf_init(&b, 3);
	for (int i = 0; i < 5; i++)
		buf_add_byte(&b, 'x');
	CHECK_INT(b.len, 3);
	CHECK(b.failed);
	buf_deinit(&b);
}

static void test_reader(void)
{
	struct buf b = BUF_INIT;
	struct rd r;

	buf_add_varint(&b, 300);
	buf_add_u64(&b, UINT64_MAX);
	rd_init(&r, b.data, b.len);
	CHECK_INT(rd_varint(&r), 300);
	CHECK(rd_u64(&r) == UINT64_MAX);
	CHECK(!r.failed);
	CHECK_INT(rd_u8(&r), 0);
	CHECK(r.failed);
	buf_deinit(&b);
}

static void test_arena_bound(void)
{
	struct arena *a = arena_new(1000);

	CHECK(arena_try_alloc(a, 900) != NULL);
	CHECK(arena_try_alloc(a, 200) == NULL);
	arena_clear(a);
	CHECK_STR(arena_x_printf(a, "%d-%s", 5, "x"), "5-x");
	arena_free(&a);
	CHECK(a == NULL);
}

static void test_base64(void)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&b);
		base64_add(&b, cases[i].plain, strlen(cases[i].plain));
		CHECK_STR(buf_cstr(&b), cases[i].coded);
		buf_clear(&b);
		CHECK_INT(base64_decode(&b, cases[i].coded, strlen(cases[i].coded)), 0);
		CHECK_STR(buf_cstr(&b), cases[i].plain);
	}
	buf_clear(&b);
	CHECK_INT(base64_decode(&b, "Zg", 2), 0);
	CHECK_STR(buf_cstr(&b), "f");
	CHECK_INT(base64_decode(&b, "Z", 1), -1);
	CHECK_INT(base64_decode(&b, "Z*==", 4), -1);
	buf_deinit(&b);
}

/* Runs of eight are skipped at once: a bad byte must be seen at each place in them. */
static void test_utf8_in_long_text(void)
{
	for (size_t at = 0; at < 26; at++) {
		char text[] = "abcdefghijklmnopqrstuvwxyz~ \x7f";
		struct buf b = BUF_INIT;

		CHECK(utf8_valid(text, sizeof(text) - 1));
		text[at] = (char)0x80;
		CHECK(!utf8_valid(text, sizeof(text) - 1));
		text[at] = 0x1f;
		CHECK(utf8_valid(text, sizeof(text) - 1));
		utf8_add_clean(&b, text, sizeof(text) - 1);
		CHECK_INT(b.len, sizeof(text) + 1);
		CHECK_MEM(b.data, at, "abcdefghijklmnopqrstuvwxyz", at);
		CHECK_MEM(b.data + at, 3, "\xef\xbf\xbd", 3);
		CHECK_MEM(b.data + at + 3, b.len - at - 3, text + at + 1, sizeof(text) - at - 2);
		buf_deinit(&b);
	}
}

static void test_utf8(void)
{
	struct buf b = BUF_INIT;

	CHECK(utf8_valid("gr\xc3\xbc\xc3\x9f", 6));
	CHECK(!utf8_valid("\xc0\x80", 2));
	CHECK(!utf8_valid("\xed\xa0\x80", 3));
	CHECK(utf8_visible("gr\xc3\xbc\xc3\x9f e", 8));
	CHECK(utf8_visible("\xe9\x83\xa8\xf0\x9f\x93\xb1", 7)); /* a character of CJK, a phone */
	CHECK(utf8_visible("", 0));
	CHECK(!utf8_visible("\xc0\x80", 2));
	CHECK(!utf8_visible("a\tb", 3));
	CHECK(!utf8_visible("a\xc2\x85", 3));     /* a control character */
	CHECK(!utf8_visible("a\xc2\xa0", 3));     /* a blank */
	CHECK(!utf8_visible("a\xe2\x80\xae", 4)); /* from right to left */
	CHECK(!utf8_visible("a\xe2\x80\x8b", 4)); /* a blank without width */
	CHECK(!utf8_visible("\xef\xbb\xbf"
			    "a",
		4));                                  /* a byte order mark */
	CHECK(!utf8_visible("a\xf3\xa0\x81\x81", 5)); /* a tag */
	CHECK_INT(utf8_floor("a\xc3\xbc", 3, 2), 1);
	CHECK_INT(utf8_floor("a\xc3\xbc", 3, 3), 3);
	utf8_add_clean(&b, "a\0b\xff\tc", 6);
	CHECK_STR(buf_cstr(&b), "a\xef\xbf\xbd"
				"b\xef\xbf\xbd\tc");
	buf_deinit(&b);
}

static void test_numbers(void)
{
	struct err err = ERR_INIT;
	uint64_t u = 1;
	int64_t i = 1;

	CHECK_INT(str_parse_u64("18446744073709551615", UINT64_MAX, &u, &err), 0);
	CHECK(u == UINT64_MAX);
	CHECK_INT(str_parse_u64("18446744073709551616", UINT64_MAX, &u, &err), -1);
	CHECK_INT(str_parse_u64("", 9, &u, &err), -1);
	CHECK_INT(str_parse_u64("10", 9, &u, &err), -1);
	CHECK_INT(str_parse_i64("-5", -5, 5, &i, &err), 0);
	CHECK_INT(i, -5);
	CHECK_INT(str_parse_i64("-6", -5, 5, &i, &err), -1);
}

static void test_map(void)
{
	struct map *m = map_new();
	int values[100];
	char key[16];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		CHECK(map_put_str(m, key, &values[i]) == NULL);
	}
	CHECK_INT(map_count(m), 100);
	CHECK(map_find_str(m, "key42") == &values[42]);
	CHECK(map_remove_str(m, "key42") == &values[42]);
	CHECK(map_find_str(m, "key42") == NULL);
	CHECK(map_put_str(m, "key1", &values[2]) == &values[1]);
	map_free(&m);
}

static void test_siphash_vector(void)
{
	uint8_t key[16], in[15];

	for (int i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (int i = 0; i < 15; i++)
		in[i] = (uint8_t)i;
	CHECK(siphash(key, in, 15) == 0xa129ca6149be45e5ull); /* from the SipHash paper */
}

static void test_siphash128(void)
{
	/* From the reference's vectors_sip128: the first bytes 0, 1, 2, ... of that many. */
	static const struct {
		size_t len;
		uint8_t sum[16];
	} vectors[] = {
		{0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
			    0x55, 0x02, 0x93}},
		{1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
			    0x22, 0xfc, 0x45}},
		{15, {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97,
			     0xcf, 0xc3, 0xd9}},
	};
	uint8_t key[16], in[64];
	struct siphash128 h;
	uint64_t sum[2], whole[2];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	memcpy(key, in, sizeof(key));
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		siphash128_init(&h, key);
		siphash128_add(&h, in, vectors[i].len);
		siphash128_get(&h, sum);
		CHECK_MEM(sum, 16, vectors[i].sum, 16);
	}
	siphash128_init(&h, key);
	siphash128_add(&h, in, sizeof(in));
	siphash128_get(&h, whole);
	for (size_t a = 0; a <= sizeof(in); a++) {
		for (size_t b = a; b <= sizeof(in); b++) {
			siphash128_init(&h, key);
			siphash128_add(&h, in, a);
			siphash128_add(&h, in + a, b - a);
			siphash128_add(&h, in + b, sizeof(in) - b);
			siphash128_get(&h, sum);
			CHECK(sum[0] == whole[0] && sum[1] == whole[1]);
		}
	}
}

static void keep_line(const char *line, void *owner)
{
	(void)snprintf(owner, 256, "%s", line);
}

static void test_log_quotes(void)
{
	struct log_context lc = {.user = "anna b", .connection = 7};
	char line[256] = "";

	log_capture(keep_line, line);
	clock_fake_set(0, 0);
	log_warn(&lc, "login_failed", F_STR("reason", "a\n\"b\""), F_INT("n", -1));
	CHECK_STR(line, "1970-01-01T00:00:00.000Z warn login_failed process=bellhop "
			"user=\"anna b\" connection=7 reason=\"a\\x0a\\\"b\\\"\" n=-1");
	clock_fake_off();
	log_capture(NULL, NULL);
}

static void test_list(void)
{
	struct list_node head, a, b;
	int n = 0;

	list_init(&head);
	list_append(&head, &a);
	list_append(&head, &b);
	LIST_FOREACH_SAFE(node, &head) {
		list_remove(node);
		n++;
	}
	CHECK_INT(n, 2);
	CHECK(list_empty(&head));
}

#if !POOLS_ARE_MALLOC
static uint64_t dirty_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[200];

	CHECK(f != NULL);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "Private_Dirty: %lu kB", &kib);
	if (f != NULL)
		(void)fclose(f);
	CHECK(kib > 0);
	return kib;
}
#endif

/* Blocks of a crowd are freed from all over the heap: what malloc keeps of them holds a page each,
 * at first. */
static void test_trim_gives_back_what_a_crowd_took(void)
{
#if !POOLS_ARE_MALLOC
	static void *blocks[CROWD];
	uint64_t before;

	mem_trim();
	before = dirty_kib();
	for (size_t i = 0; i < CROWD; i++)
		blocks[i] = x_calloc(1, 24 + i % 64 * 16);
	CHECK(dirty_kib() > before + 8000);
	/* 641 has no divisor with CROWD in common, so each is freed once. */
	for (size_t i = 0; i < CROWD; i++)
		mem_free(blocks[i * 641 % CROWD]);
	mem_trim();
	CHECK(dirty_kib() < before + 500);
#endif
}

TEST_MAIN(TEST(test_err_wraps), TEST(test_min_max_look_once), TEST(test_buf_bound),
	TEST(test_buf_add_byte_keeps_bound), TEST(test_reader), TEST(test_arena_bound),
	TEST(test_base64), TEST(test_utf8), TEST(test_utf8_in_long_text), TEST(test_numbers),
	TEST(test_map), TEST(test_siphash_vector), TEST(test_siphash128), TEST(test_log_quotes),
	TEST(test_list), TEST(test_trim_gives_back_what_a_crowd_took))
