/*
 * The contract of db.h, against every driver: a second one adds its options to `drivers` below.
 */
#include "db/db.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pure.h"
#include "base/test.h"

static char *folder;

static struct db *open_fresh(void)
{
	CLEANUP(mem_freep) char *path = NULL;
	struct db_options options = {.readers_max = 4,
		.group_max = 16,
		.busy_timeout_ms = 2000,
		.cache_kib = 1024,
		.mmap_bytes = 1 << 24};
	char template[] = "/tmp/bellhop-test-db-XXXXXX";
	struct err err = ERR_INIT;
	struct db *db = NULL;

	REQUIRE(mkdtemp(template) != NULL);
	mem_free(folder);
	folder = x_strdup(template);
	path = x_printf("%s/test.db", folder);
	options.path = path;
	REQUIRE_OK(db_open(&options, &db, &err), &err);
	return db;
}

static struct db *open_again(void)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/test.db", folder);
	struct db_options options = {.path = path,
		.readers_max = 4,
		.group_max = 16,
		.busy_timeout_ms = 2000,
		.cache_kib = 1024};
	struct err err = ERR_INIT;
	struct db *db = NULL;

	REQUIRE_OK(db_open(&options, &db, &err), &err);
	return db;
}

static void close_and_remove(struct db **db)
{
	static const char *const names[] = {"test.db", "test.db-wal", "test.db-shm"};

	db_close(db);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = x_printf("%s/%s", folder, names[i]);

		(void)unlink(path);
		mem_free(path);
	}
	(void)rmdir(folder);
	mem_free(folder);
	folder = NULL;
}

/* ---- transactions used by the tests ---- */

static int create_tables(struct db_conn *conn, void *owner, struct err *err)
{
	(void)owner;
	if (db_exec(conn,
		    "CREATE TABLE things (owner BIGINT NOT NULL, id BIGINT NOT NULL, name TEXT, "
		    "bytes BYTEA,"
		    " PRIMARY KEY (owner, id)) WITHOUT ROWID",
		    err) < 0)
		return -1;
	if (db_exec(conn,
		    "CREATE TABLE counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL) WITHOUT "
		    "ROWID",
		    err) < 0)
		return -1;
	return db_exec(conn, "INSERT INTO counters VALUES (1, 0)", err);
}

struct thing {
	uint64_t owner, id;
	const char *name;
	const void *bytes;
	size_t len;
	enum err_code fail; /* after the insert */
	unsigned runs;
	uint64_t counter; /* out */
};

static int add_thing(struct db_conn *conn, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *count = NULL;
	struct thing *thing = owner;

	thing->runs++;
	/* The numbers appear out of order on purpose. */
	if (db_prepare(conn, "INSERT INTO things (name, bytes, id, owner) VALUES ($3, $4, $2, $1)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, thing->owner);
	db_bind_u64(st, 2, thing->id);
	db_bind_text(st, 3, thing->name);
	db_bind_blob(st, 4, thing->bytes, thing->len);
	if (db_step(st, err) < 0)
		return -1;
	if (db_prepare(conn, "UPDATE counters SET value = value + 1 WHERE id = 1 RETURNING value",
		    &count, err) < 0)
		return -1;
	if (db_step(count, err) != 1)
		return -1;
	thing->counter = db_col_u64(count, 0);
	if (db_step(count, err) != 0)
		return -1;
	return thing->fail == ERR_NONE ? 0 : err_set(err, thing->fail, "fn failed");
}

static uint64_t count_things(struct db *db)
{
	CLEANUP(db_read_end) struct db_conn *conn = NULL;
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	REQUIRE_OK(db_prepare(conn,
			   "SELECT count(*), (SELECT value FROM counters WHERE id = 1) FROM things",
			   &st, &err),
		&err);
	REQUIRE(db_step(st, &err) == 1);
	CHECK_INT(db_col_u64(st, 0), db_col_u64(st, 1));
	return db_col_u64(st, 0);
}

/* ---- tests ---- */

static void test_values(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct thing full = {
		.owner = UINT64_MAX, .id = 1, .name = "Zoë", .bytes = "a\0b", .len = 3};
	struct thing nulls = {.owner = 1, .id = 2};
	struct thing empty = {.owner = 1, .id = 3, .name = "", .bytes = "", .len = 0};
	struct db_conn *conn = NULL;
	struct db_stmt *st = NULL;
	const void *bytes;
	size_t len = 0;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &full, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &nulls, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &empty, &err), &err);
	CHECK_INT(empty.counter, 3);
	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	REQUIRE_OK(db_prepare(conn, "SELECT owner, name, bytes, id FROM things ORDER BY id", &st,
			   &err),
		&err);
	CHECK_INT(db_step(st, &err), 1);
	CHECK(db_col_u64(st, 0) == UINT64_MAX);
	CHECK_INT(db_col_i64(st, 0), -1);
	CHECK_STR(db_col_text(st, 1), "Zoë");
	bytes = db_col_blob(st, 2, &len);
	CHECK_MEM(bytes, len, "a\0b", 3);
	CHECK_INT(db_step(st, &err), 1);
	CHECK(db_col_null(st, 1));
	CHECK_STR(db_col_text(st, 1), "");
	CHECK(db_col_null(st, 2));
	CHECK_INT(db_step(st, &err), 1);
	CHECK(!db_col_null(st, 1));
	CHECK(!db_col_null(st, 2));
	(void)db_col_blob(st, 2, &len);
	CHECK_INT(len, 0);
	CHECK_INT(db_step(st, &err), 0);
	db_done(&st);
	CHECK(st == NULL);
	db_read_end(&conn);
	close_and_remove(&db);
}

static void test_failing_fn_changes_nothing(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct thing good = {.owner = 1, .id = 1}, bad = {.owner = 1, .id = 2, .fail = ERR_DENIED};
	struct thing twin = {.owner = 1, .id = 1};

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &good, &err), &err);
	CHECK_INT(db_transact(db, add_thing, &bad, &err), -1);
	CHECK_INT(err.code, ERR_DENIED);
	CHECK_STR(err.text, "fn failed");
	CHECK_INT(db_transact(db, add_thing, &twin, &err), -1);
	CHECK_INT(err.code, ERR_CONFLICT);
	CHECK_INT(count_things(db), 1);
	close_and_remove(&db);
}

static void test_snapshot(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct thing one = {.owner = 1, .id = 1}, two = {.owner = 1, .id = 2};
	struct db_conn *conn = NULL;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &one, &err), &err);
	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	for (int round = 0; round < 2; round++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;

		REQUIRE_OK(db_prepare(conn, "SELECT count(*) FROM things", &st, &err), &err);
		REQUIRE(db_step(st, &err) == 1);
		CHECK_INT(db_col_u64(st, 0), 1);
		if (round == 0)
			REQUIRE_OK(db_transact(db, add_thing, &two, &err), &err);
	}
	db_read_end(&conn);
	CHECK_INT(count_things(db), 2);
	close_and_remove(&db);
}

static void test_statement_in_use_twice(void)
{
	static const char sql[] = "SELECT id FROM things WHERE id >= $1 ORDER BY id";
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct db_conn *conn = NULL;
	struct db_stmt *outer = NULL, *inner = NULL;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	for (uint64_t i = 1; i <= 2; i++) {
		struct thing thing = {.owner = 1, .id = i};

		REQUIRE_OK(db_transact(db, add_thing, &thing, &err), &err);
	}
	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	REQUIRE_OK(db_prepare(conn, sql, &outer, &err), &err);
	db_bind_u64(outer, 1, 1);
	CHECK_INT(db_step(outer, &err), 1);
	REQUIRE_OK(db_prepare(conn, sql, &inner, &err), &err);
	db_bind_u64(inner, 1, 2);
	CHECK_INT(db_step(inner, &err), 1);
	CHECK_INT(db_col_u64(inner, 0), 2);
	CHECK_INT(db_step(inner, &err), 0);
	db_done(&inner);
	CHECK_INT(db_step(outer, &err), 1);
	CHECK_INT(db_col_u64(outer, 0), 2);
	/* Left open on purpose: the end of the read ends it. */
	db_read_end(&conn);
	CHECK_INT(count_things(db), 2);
	close_and_remove(&db);
}

static void test_bad_sql(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct db_conn *conn = NULL;
	struct db_stmt *st = NULL;

	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	CHECK_INT(db_prepare(conn, "SELECT nonsense FROM nowhere", &st, &err), -1);
	CHECK_INT(err.code, ERR_INTERNAL);
	CHECK(strstr(err.text, "nowhere") != NULL);
	CHECK(st == NULL);
	CHECK_INT(db_exec(conn, "CREATE TABLE t (a BIGINT)", &err), -1);
	db_read_end(&conn);
	close_and_remove(&db);
}

static void test_open_failures(void)
{
	struct db_options options = {
		.path = "/nonexistent/folder/x.db", .readers_max = 1, .group_max = 1};
	struct err err = ERR_INIT;
	struct db *db = NULL;

	CHECK_INT(db_open(&options, &db, &err), -1);
	CHECK_INT(err.code, ERR_BACKEND);
	CHECK(strstr(err.text, "/nonexistent/folder/x.db") != NULL);
	CHECK(db == NULL);
	db_close(&db);
}

enum { WRITERS = 8, WRITES = 150 };

struct writer {
	pthread_t thread;
	struct db *db;
	uint64_t owner;
	uint64_t counters[WRITES];
	unsigned conflicts;
};

static void *write_things(void *owner)
{
	struct writer *w = owner;

	for (uint64_t i = 0; i < WRITES; i++) {
		struct thing thing = {.owner = w->owner, .id = i};
		struct err err = ERR_INIT;

		/* Every tenth fails after its writes, in the middle of other people's group. */
		if (i % 10 == 9) {
			thing.fail = ERR_DENIED;
			CHECK_INT(db_transact(w->db, add_thing, &thing, &err), -1);
			w->conflicts += err.code == ERR_DENIED;
			continue;
		}
		REQUIRE_OK(db_transact(w->db, add_thing, &thing, &err), &err);
		w->counters[i] = thing.counter;
	}
	return NULL;
}

static void *read_things(void *owner)
{
	_Atomic bool *stop = ((void **)owner)[1];

	while (!atomic_load(stop))
		(void)count_things(((void **)owner)[0]);
	return NULL;
}

/* Each success is counted once, in an order without gaps, whoever shared its group. */
static void test_concurrent_writers(void)
{
	static bool seen[WRITERS * WRITES + 1];
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct writer writers[WRITERS];
	_Atomic bool stop = false;
	void *reader_args[2] = {db, &stop};
	pthread_t readers[6];

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		REQUIRE(pthread_create(&readers[i], NULL, read_things, reader_args) == 0);
	for (uint64_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.db = db, .owner = i + 1};
		REQUIRE(pthread_create(&writers[i].thread, NULL, write_things, &writers[i]) == 0);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		(void)pthread_join(writers[i].thread, NULL);
		CHECK_INT(writers[i].conflicts, WRITES / 10);
		for (size_t k = 0; k < WRITES; k++) {
			if (writers[i].counters[k] == 0)
				continue;
			CHECK(!seen[writers[i].counters[k]]);
			seen[writers[i].counters[k]] = true;
		}
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		(void)pthread_join(readers[i], NULL);
	for (size_t i = 1; i <= WRITERS * WRITES * 9 / 10; i++)
		CHECK(seen[i]);
	CHECK_INT(count_things(db), WRITERS * WRITES * 9 / 10);
	close_and_remove(&db);
}

/* Each write step and the commit fail in turn: nothing of it is there, and the next one works. */
static void test_injected_failures(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	unsigned n;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	for (n = 1; n < 20; n++) {
		struct thing thing = {.owner = 1, .id = n};

		db_fail_after(db, n, n % 2 == 0 ? ERR_QUOTA : ERR_BACKEND);
		if (db_transact(db, add_thing, &thing, &err) == 0)
			break;
		CHECK_INT(err.code, n % 2 == 0 ? ERR_QUOTA : ERR_BACKEND);
		CHECK_INT(count_things(db), n - 1);
		db_fail_after(db, 0, ERR_NONE);
		REQUIRE_OK(db_transact(db, add_thing, &thing, &err), &err);
		CHECK_INT(count_things(db), n);
	}
	/* Two statements and the commit. */
	CHECK_INT(n, 4);
	db_fail_after(db, 0, ERR_NONE);
	close_and_remove(&db);
}

static int swallow_error(struct db_conn *conn, void *owner, struct err *err)
{
	(void)add_thing(conn, owner, err);
	return 0;
}

static void test_swallowed_failure_fails(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct thing thing = {.owner = 1, .id = 1};

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	db_fail_after(db, 2, ERR_QUOTA);
	CHECK_INT(db_transact(db, swallow_error, &thing, &err), -1);
	CHECK_INT(err.code, ERR_QUOTA);
	CHECK_INT(count_things(db), 0);
	close_and_remove(&db);
}

static int insert_or_go_on(struct db_conn *conn, void *owner, struct err *err)
{
	struct thing *thing = owner;
	struct thing other = {.owner = thing->owner, .id = thing->id + 1};

	CHECK_INT(add_thing(conn, thing, err), -1);
	CHECK_INT(err->code, ERR_CONFLICT);
	return add_thing(conn, &other, err);
}

/* A broken constraint takes back its statement; the transaction may go on. */
static void test_going_on_after_conflict(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct thing thing = {.owner = 1, .id = 1};

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	REQUIRE_OK(db_transact(db, add_thing, &thing, &err), &err);
	REQUIRE_OK(db_transact(db, insert_or_go_on, &thing, &err), &err);
	CHECK_INT(count_things(db), 2);
	close_and_remove(&db);
}

/* A real one: the file may not grow any more. What was there stays, and when there is room again it
 * goes on. */
static void test_full_disk(void)
{
	CLEANUP(mem_freep) char *bytes = x_calloc(1, 50000);
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct rlimit limit, old;
	struct thing thing = {.owner = 1, .bytes = bytes, .len = 50000};
	uint64_t written = 0;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	(void)signal(SIGXFSZ, SIG_IGN);
	REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit = old;
	limit.rlim_cur = 1000 * 1000;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (thing.id = 1; thing.id < 100; thing.id++) {
		if (db_transact(db, add_thing, &thing, &err) < 0)
			break;
		written++;
	}
	CHECK(written > 3 && written < 99);
	CHECK(err.code == ERR_BACKEND || err.code == ERR_QUOTA);
	CHECK_INT(count_things(db), written);
	CHECK_INT(db_transact(db, add_thing, &thing, &err), -1);
	CHECK_INT(count_things(db), written);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &old) == 0);
	REQUIRE_OK(db_transact(db, add_thing, &thing, &err), &err);
	CHECK_INT(count_things(db), written + 1);
	db_close(&db);
	db = open_again();
	CHECK_INT(count_things(db), written + 1);
	close_and_remove(&db);
}

/* While others run in the same group, a failure of the group makes each run again: all succeed. */
static void *write_some(void *owner)
{
	struct writer *w = owner;

	for (uint64_t i = 0; i < WRITES; i++) {
		struct thing thing = {.owner = w->owner, .id = i};
		struct err err = ERR_INIT;

		if (db_transact(w->db, add_thing, &thing, &err) < 0) {
			CHECK_INT(err.code, ERR_QUOTA);
			w->conflicts++;
		}
	}
	return NULL;
}

static void test_group_failures(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	struct writer writers[WRITERS];
	unsigned failed = 0;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	for (uint64_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.db = db, .owner = i + 1};
		REQUIRE(pthread_create(&writers[i].thread, NULL, write_some, &writers[i]) == 0);
	}
	for (unsigned round = 0; round < 200; round++) {
		db_fail_after(db, 1 + round % 7, ERR_QUOTA);
		(void)sched_yield();
	}
	for (size_t i = 0; i < WRITERS; i++) {
		(void)pthread_join(writers[i].thread, NULL);
		failed += writers[i].conflicts;
	}
	db_fail_after(db, 0, ERR_NONE);
	CHECK_INT(count_things(db), WRITERS * WRITES - failed);
	close_and_remove(&db);
}

static int transact_within(struct db_conn *conn, void *owner, struct err *err)
{
	(void)conn;
	return db_transact(owner, create_tables, NULL, err);
}

static int read_within(struct db_conn *conn, void *owner, struct err *err)
{
	struct db_conn *other = NULL;

	(void)conn;
	if (db_read_begin(owner, &other, err) < 0)
		return -1;
	db_read_end(&other);
	return 0;
}

static int write_within(struct db_conn *conn, void *owner, struct err *err)
{
	(void)conn;
	(void)owner;
	(void)err;
	(void)!write(-1, "x", 1);
	return 0;
}

static int clock_within(struct db_conn *conn, void *owner, struct err *err)
{
	(void)conn;
	(void)owner;
	(void)err;
	(void)clock_now_at();
	return 0;
}

static bool transaction_aborts(db_txn_fn fn)
{
	struct err err = ERR_INIT;
	int status = 0;
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (child == 0) {
		struct db *db;

		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		(void)signal(SIGABRT, SIG_DFL);
		db = open_again();
		_exit(db_transact(db, fn, db, &err) == 0 ? 0 : 2);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status)) {
		CHECK_INT(WEXITSTATUS(status), 0);
		return false;
	}
	return WTERMSIG(status) == SIGABRT;
}

/* Another transaction would wait for itself: that ends every build. What else a function must not
 * do ends a debug build. */
static void test_what_a_function_must_not_do(void)
{
	struct db *db = open_fresh();

	db_close(&db);
	CHECK(!transaction_aborts(create_tables));
	CHECK(transaction_aborts(transact_within));
	CHECK(transaction_aborts(read_within));
	CHECK_INT(transaction_aborts(write_within), PURE_CHECKS != 0);
	CHECK_INT(transaction_aborts(clock_within), PURE_CHECKS != 0);
	db = open_again();
	close_and_remove(&db);
}

/* A child writes and is killed without warning: what it was told to be safe is there. */
static void test_killed(void)
{
	struct db *db = open_fresh();
	struct err err = ERR_INIT;
	int pipe_fds[2];
	uint64_t told = 0, last = 0;
	pid_t child;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	db_close(&db);
	REQUIRE(pipe(pipe_fds) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		db = open_again();
		for (uint64_t i = 1;; i++) {
			struct thing thing = {.owner = 1, .id = i};

			if (db_transact(db, add_thing, &thing, &err) < 0)
				_exit(1);
			if (write(pipe_fds[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
				_exit(1);
		}
	}
	while (told < 200 && read(pipe_fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
		;
	CHECK_INT(told, 200);
	REQUIRE(kill(child, SIGKILL) == 0);
	REQUIRE(waitpid(child, NULL, 0) == child);
	db = open_again();
	last = count_things(db);
	CHECK(last >= told);
	close_and_remove(&db);
}

static bool write_and_go_on(void *owner)
{
	struct thing thing = {.owner = 7, .id = 100000};
	struct err err = ERR_INIT;
	static uint64_t id;

	thing.id += ++id;
	REQUIRE_OK(db_transact(owner, add_thing, &thing, &err), &err);
	return true;
}

static bool end(void *owner)
{
	(void)owner;
	return false;
}

static int add_many(struct db_conn *conn, void *owner, struct err *err)
{
	(void)owner;
	return db_exec(conn,
		"INSERT INTO things (owner, id, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
		" SELECT i + 1 FROM n WHERE i < 50000) SELECT 5, i, hex(randomblob(200)) FROM n",
		err);
}

static uint64_t count_rows(struct db *db)
{
	struct db_conn *conn = NULL;
	struct db_stmt *st = NULL;
	struct err err = ERR_INIT;
	uint64_t count;

	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	REQUIRE_OK(db_prepare(conn, "SELECT COUNT(*) FROM things", &st, &err), &err);
	REQUIRE(db_step(st, &err) == 1);
	count = db_col_u64(st, 0);
	db_done(&st);
	db_read_end(&conn);
	return count;
}

static void count_finding(const char *text, void *owner)
{
	(void)text;
	++*(int *)owner;
}

/* A copy is one snapshot, whatever is written meanwhile, and can be read where nothing is written.
 */
static void test_copy(void)
{
	struct db *db = open_fresh(), *copy = NULL;
	struct db_conn *conn = NULL;
	CLEANUP(mem_freep) char *path = x_printf("%s/copy.db", folder);
	struct db_options options = {.path = path, .readers_max = 1, .read_only = true};
	struct err err = ERR_INIT;
	int damages = 0;

	REQUIRE_OK(db_transact(db, create_tables, NULL, &err), &err);
	REQUIRE_OK(db_transact(db, add_many, NULL, &err), &err);
	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	CHECK(db_copy(conn, path, end, NULL, &err) < 0);
	CHECK_INT(err.code, ERR_BUSY);
	(void)unlink(path);
	REQUIRE_OK(db_copy(conn, path, write_and_go_on, db, &err), &err);
	db_read_end(&conn);
	CHECK(count_rows(db) > 50000);
	REQUIRE_OK(db_open(&options, &copy, &err), &err);
	CHECK_INT(count_rows(copy), 50000);
	REQUIRE_OK(db_read_begin(copy, &conn, &err), &err);
	REQUIRE_OK(db_check(conn, false, count_finding, &damages, &err), &err);
	CHECK_INT(damages, 0);
	db_read_end(&conn);
	db_close(&copy);
	CHECK_INT(unlink(path), 0);
	close_and_remove(&db);
}

TEST_MAIN(TEST(test_copy), TEST(test_values), TEST(test_failing_fn_changes_nothing),
	TEST(test_snapshot), TEST(test_statement_in_use_twice), TEST(test_bad_sql),
	TEST(test_open_failures), TEST(test_concurrent_writers), TEST(test_injected_failures),
	TEST(test_swallowed_failure_fails), TEST(test_going_on_after_conflict),
	TEST(test_full_disk), TEST(test_group_failures), TEST(test_what_a_function_must_not_do),
	TEST(test_killed))
