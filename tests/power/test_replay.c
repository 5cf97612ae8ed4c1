/*
 * Logs made by hand: what is synced is always there, what is not is not always, and nothing is lost
 * in a way that no disk could.
 */
#include "replay.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/test.h"

#define SEEDS 100

enum inode { ROOT = 2, IN, OUT, BODY, OTHER };

static char dir[64];
static FILE *log_file;

static void add(enum power_kind kind, uint64_t inode, uint64_t offset, const char *path,
	const char *other, const char *bytes)
{
	struct power_record r = {.kind = kind,
		.path_len = (uint32_t)strlen(path),
		.other_len = (uint32_t)strlen(other),
		.bytes_len = (uint32_t)strlen(bytes),
		.inode = inode,
		.offset = offset};
	size_t len = sizeof(r) + r.path_len + r.other_len + r.bytes_len;

	REQUIRE(fwrite(&r, sizeof(r), 1, log_file) == 1);
	(void)fprintf(log_file, "%s%s%s", path, other, bytes);
	(void)fwrite("\0\0\0\0\0\0\0", 1, POWER_ALIGN(len) - len, log_file);
}

static void add_sync(uint64_t inode, const char *path)
{
	static uint64_t number;

	add(POWER_SYNC_BEGIN, inode, ++number, path, "", "");
	add(POWER_SYNC_END, 0, number, "", "", "");
}

static void begin_log(void)
{
	CLEANUP(mem_freep) char *path = NULL;

	(void)snprintf(dir, sizeof(dir), "/tmp/bellhop-test-replay-XXXXXX");
	REQUIRE(mkdtemp(dir) != NULL);
	path = x_printf("%s/log", dir);
	log_file = fopen(path, "we");
	REQUIRE(log_file != NULL);
	add(POWER_ROOT, ROOT, 0, "", "", "");
}

static struct replay *end_log(void)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/log", dir);
	struct replay *r = NULL;
	struct err err = ERR_INIT;

	REQUIRE(fclose(log_file) == 0);
	REQUIRE_OK(replay_open(path, &r, &err), &err);
	return r;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	CHECK_INT(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The text of a file below data/; "(none)" when it is not there. */
static const char *text_of(const char *name)
{
	static char text[20000];
	CLEANUP(mem_freep) char *path = x_printf("%s/data/%s", dir, name);
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return "(none)";
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	/* Holes. */
	for (size_t i = 0; i < n; i++)
		text[i] = text[i] != 0 ? text[i] : '0';
	(void)fclose(f);
	return text;
}

/* How many of the seeds leave exactly this; *ret_other (may be NULL): how many neither this nor
 * `also`. */
static unsigned count(const char *skip, const char *name, const char *wanted, const char *also,
	unsigned *ret_other)
{
	CLEANUP(mem_freep) char *log = x_printf("%s/log", dir);
	CLEANUP(mem_freep) char *data = x_printf("%s/data", dir);
	unsigned found = 0, other = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		CLEANUP(replay_free) struct replay *r = NULL;
		struct err err = ERR_INIT;
		const char *text;

		REQUIRE_OK(replay_open(log, &r, &err), &err);
		replay_skip_syncs(r, skip);
		REQUIRE_OK(replay_cut(r, replay_count(r), seed, data, &err), &err);
		text = text_of(name);
		if (strcmp(text, wanted) == 0)
			found++;
		else if (strcmp(text, also) != 0)
			other++;
		(void)nftw(data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	if (ret_other != NULL)
		*ret_other = other;
	return found;
}

/* A body as the store writes it: made, written, synced, moved, its folder synced. */
static void test_one_sync_left_out(void)
{
	struct replay *r;
	unsigned other;

	begin_log();
	add(POWER_MKDIR, IN, 0, "in", "", "");
	add(POWER_MKDIR, OUT, 0, "out", "", "");
	add_sync(ROOT, "");
	add(POWER_CREATE, BODY, 0, "in/x", "", "");
	add(POWER_WRITE, BODY, 0, "", "", "the body");
	add_sync(BODY, "in/x");
	add(POWER_RENAME, 0, 0, "in/x", "out/body", "");
	add_sync(OUT, "out");
	r = end_log();
	replay_free(&r);
	CHECK_INT(count(NULL, "out/body", "the body", "", NULL), SEEDS);
	/* Without the sync of the file it is there, and empty or full of nothing. */
	CHECK_INT(count("in/x", "out/body", "(none)", "the body", &other), 0);
	CHECK(other > SEEDS / 10);
	/* Without the sync of the folder it may not be there. */
	CHECK(count("out/", "out/body", "(none)", "the body", &other) > SEEDS / 10);
	CHECK_INT(other, 0);
	remove_dir();
}

static void test_rename_is_never_half(void)
{
	CLEANUP(mem_freep) char *data = NULL;
	CLEANUP(mem_freep) char *log = NULL;
	struct replay *r;
	unsigned undone = 0;

	begin_log();
	add(POWER_CREATE, BODY, 0, "old", "", "");
	add(POWER_WRITE, BODY, 0, "", "", "text");
	add_sync(BODY, "old");
	add_sync(ROOT, "");
	add(POWER_RENAME, 0, 0, "old", "new", "");
	r = end_log();
	replay_free(&r);
	data = x_printf("%s/data", dir);
	log = x_printf("%s/log", dir);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct err err = ERR_INIT;
		bool old, new;

		REQUIRE_OK(replay_open(log, &r, &err), &err);
		REQUIRE_OK(replay_cut(r, replay_count(r), seed, data, &err), &err);
		old = strcmp(text_of("old"), "text") == 0;
		new = strcmp(text_of("new"), "text") == 0;
		CHECK(old || new);
		undone += old && !new;
		(void)nftw(data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		replay_free(&r);
	}
	CHECK(undone > 0 && undone < SEEDS);
	remove_dir();
}

/* Sectors of one write are independent of each other, and so are two writes. */
static void test_torn_and_reordered(void)
{
	char first[8193], second[8193];
	struct replay *r;
	unsigned other;

	memset(first, 'a', 8192);
	memset(second, 'b', 8192);
	first[8192] = second[8192] = 0;
	begin_log();
	add(POWER_CREATE, BODY, 0, "file", "", "");
	add_sync(ROOT, "");
	add(POWER_WRITE, BODY, 0, "", "", first);
	add_sync(BODY, "file");
	add(POWER_WRITE, BODY, 0, "", "", second);
	r = end_log();
	replay_free(&r);
	CHECK(count(NULL, "file", first, second, &other) > 0);
	CHECK(count(NULL, "file", second, first, NULL) > 0);
	CHECK(other > 0); /* torn */
	CHECK_INT(count("file", "file", "(none)", "", NULL), 0);
	remove_dir();
}

/* A sync counts for what was there when it began, and only when it has ended. */
static void test_sync_under_way(void)
{
	struct replay *r;

	begin_log();
	add(POWER_CREATE, BODY, 0, "file", "", "");
	add_sync(ROOT, "");
	add(POWER_WRITE, BODY, 0, "", "", "1");
	add(POWER_SYNC_BEGIN, BODY, 1000, "file", "", "");
	add(POWER_WRITE, BODY, 1, "", "", "2");
	add(POWER_SYNC_END, 0, 1000, "", "", "");
	add(POWER_SYNC_BEGIN, BODY, 1001, "file", "", "");
	r = end_log();
	replay_free(&r);
	CHECK(count(NULL, "file", "1", "12", NULL) > 0);
	CHECK(count(NULL, "file", "12", "1", NULL) > 0);
	CHECK_INT(count(NULL, "file", "", "", NULL), 0);
	remove_dir();
}

static void test_truncation(void)
{
	struct replay *r;
	unsigned other;

	begin_log();
	add(POWER_CREATE, BODY, 0, "file", "", "");
	add_sync(ROOT, "");
	add(POWER_WRITE, BODY, 0, "", "", "long text");
	add_sync(BODY, "file");
	add(POWER_TRUNCATE, BODY, 4, "", "", "");
	r = end_log();
	replay_free(&r);
	CHECK(count(NULL, "file", "long", "long text", &other) > 0);
	CHECK(count(NULL, "file", "long text", "long", NULL) > 0);
	remove_dir();
}

/* Without a loss everything is as it was done, whatever was synced. */
static void test_whole(void)
{
	CLEANUP(mem_freep) char *data = NULL;
	struct replay *r;
	struct err err = ERR_INIT;

	begin_log();
	add(POWER_MKDIR, IN, 0, "in", "", "");
	add(POWER_CREATE, BODY, 0, "in/a", "", "");
	add(POWER_WRITE, BODY, 0, "", "", "first");
	add(POWER_WRITE, BODY, 2, "", "", "RS");
	add(POWER_LINK, 0, 0, "in/a", "b", "");
	add(POWER_CREATE, OTHER, 0, "c", "", "");
	add(POWER_WRITE, OTHER, 3, "", "", "gap");
	add(POWER_RENAME, 0, 0, "in/a", "d", "");
	add(POWER_UNLINK, 0, 0, "c", "", "");
	/* The number of the file is used again. */
	add(POWER_CREATE, OTHER, 0, "e", "", "");
	add(POWER_WRITE, OTHER, 1, "", "", "new");
	r = end_log();
	data = x_printf("%s/data", dir);
	REQUIRE_OK(replay_whole(r, data, &err), &err);
	CHECK_STR(text_of("in/a"), "(none)");
	CHECK_STR(text_of("b"), "fiRSt");
	CHECK_STR(text_of("c"), "(none)");
	CHECK_STR(text_of("d"), "fiRSt");
	CHECK_STR(text_of("e"), "0new");
	replay_free(&r);
	remove_dir();
}

static void test_bad_logs(void)
{
	CLEANUP(mem_freep) char *path = NULL;
	struct replay *r = NULL;
	struct err err = ERR_INIT;

	begin_log();
	add(POWER_TROUBLE, 0, 0, "", "", "writev");
	REQUIRE(fclose(log_file) == 0);
	path = x_printf("%s/log", dir);
	CHECK_INT(replay_open(path, &r, &err), -1);
	CHECK(strstr(err.text, "writev") != NULL);
	remove_dir();
	begin_log();
	add(POWER_WRITE, 77, 0, "", "", "to nothing");
	r = end_log();
	CHECK_INT(replay_whole(r, "/nonexistent/folder", &err), -1);
	CHECK(strstr(err.text, "does not exist") != NULL);
	replay_free(&r);
	remove_dir();
}

TEST_MAIN(TEST(test_one_sync_left_out), TEST(test_rename_is_never_half),
	TEST(test_torn_and_reordered), TEST(test_sync_under_way), TEST(test_truncation),
	TEST(test_whole), TEST(test_bad_logs))
