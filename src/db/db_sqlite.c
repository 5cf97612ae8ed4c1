/*
 * The SQLite driver: opening, closing, and the pool of readers. Readers are opened when first
 * needed, up to readers_max, and the most recently used one is lent first, for its warm cache. A
 * lent reader is inside a transaction: its snapshot is that of its first statement.
 *
 * Threads: the pool is under readers_mutex, held for a few instructions only.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blocking.h"
#include "base/mem.h"
#include "db/db_sqlite_internal.h"

/* SQLite would create it with the mode of the process; its -wal and -shm follow the file's mode. */
static int create_private(const char *path, struct err *err)
{
	FILE *file;
	int rc;

	if (access(path, F_OK) == 0)
		return 0;
	file = fopen(path, "wxe");
	if (file == NULL)
		return errno == EEXIST ? 0 : err_set_errno(err, errno, "creating %s", path);
	rc = fchmod(fileno(file), S_IRUSR | S_IWUSR);
	if (rc < 0)
		rc = err_set_errno(err, errno, "creating %s", path);
	(void)fclose(file);
	return rc;
}

static void db_free(struct sqlite_db **db)
{
	struct sqlite_conn *conn;

	if (*db == NULL)
		return;
	while ((conn = (*db)->readers_free) != NULL) {
		(*db)->readers_free = conn->next_free;
		db_sqlite_conn_close(&conn);
	}
	db_sqlite_conn_close(&(*db)->writer_conn);
	(void)pthread_mutex_destroy(&(*db)->readers_mutex);
	(void)pthread_cond_destroy(&(*db)->reader_freed);
	(void)pthread_mutex_destroy(&(*db)->queue_mutex);
	(void)pthread_cond_destroy(&(*db)->queue_filled);
	mem_free((void *)(uintptr_t)(*db)->options.path);
	mem_free(*db);
	*db = NULL;
}

static int sqlite_open_db(const struct db_options *options, struct db **ret, struct err *err)
{
	CLEANUP(db_free) struct sqlite_db *db = x_new(struct sqlite_db);

	db->base.driver = &db_sqlite;
	db->options = *options;
	db->options.path = x_strdup(options->path);
	db->options.readers_max = MAX(options->readers_max, 1u);
	db->options.group_max = MAX(options->group_max, 1u);
	(void)pthread_mutex_init(&db->readers_mutex, NULL);
	(void)pthread_cond_init(&db->reader_freed, NULL);
	(void)pthread_mutex_init(&db->queue_mutex, NULL);
	(void)pthread_cond_init(&db->queue_filled, NULL);
	if (options->read_only) {
		/* Opened now, so that what is wrong with the file shows here. */
		if (db_sqlite_conn_open(db, false, &db->readers_free, err) < 0)
			return -1;
		db->readers_count = 1;
		*ret = &TAKE(db)->base;
		return 0;
	}
	if (create_private(options->path, err) < 0 ||
		db_sqlite_conn_open(db, true, &db->writer_conn, err) < 0 ||
		db_sqlite_writer_start(db, err) < 0)
		return -1;
	*ret = &TAKE(db)->base;
	return 0;
}

static void sqlite_close_db(struct db *base)
{
	struct sqlite_db *db = (struct sqlite_db *)base;

	if (!db->options.read_only)
		db_sqlite_writer_stop(db);
	db_free(&db);
}

/* A free connection, or NULL and the right to open one. */
static struct sqlite_conn *pool_take(struct sqlite_db *db)
{
	struct sqlite_conn *conn;

	(void)pthread_mutex_lock(&db->readers_mutex);
	while (db->readers_free == NULL && db->readers_count >= db->options.readers_max) {
		blocking_begin();
		(void)pthread_cond_wait(&db->reader_freed, &db->readers_mutex);
		blocking_end();
	}
	conn = db->readers_free;
	if (conn != NULL)
		db->readers_free = conn->next_free;
	else
		db->readers_count++;
	(void)pthread_mutex_unlock(&db->readers_mutex);
	return conn;
}

/* conn NULL: the right to open one goes back. */
static void pool_give(struct sqlite_db *db, struct sqlite_conn *conn)
{
	(void)pthread_mutex_lock(&db->readers_mutex);
	if (conn != NULL) {
		conn->next_free = db->readers_free;
		db->readers_free = conn;
	} else {
		db->readers_count--;
	}
	(void)pthread_cond_signal(&db->reader_freed);
	(void)pthread_mutex_unlock(&db->readers_mutex);
}

/* BEGIN and COMMIT through the cache: these two run around each read. */
static int run_cached(struct sqlite_conn *conn, const char *sql, struct err *err)
{
	struct db_stmt *st;
	int rc;

	if (db_sqlite_prepare(&conn->base, sql, &st, err) < 0)
		return -1;
	rc = db_sqlite_step(st, err);
	db_sqlite_done(st);
	return rc < 0 ? -1 : 0;
}

static int sqlite_read_begin(struct db *base, struct db_conn **ret, struct err *err)
{
	struct sqlite_db *db = (struct sqlite_db *)base;
	struct sqlite_conn *conn = pool_take(db);

	if (conn == NULL && db_sqlite_conn_open(db, false, &conn, err) < 0) {
		pool_give(db, NULL);
		return -1;
	}
	if (run_cached(conn, "BEGIN", err) < 0) {
		db_sqlite_conn_close(&conn);
		pool_give(db, NULL);
		return -1;
	}
	*ret = &conn->base;
	return 0;
}

static void sqlite_read_end(struct db_conn *base)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)base;
	struct sqlite_db *db = conn->db;
	struct err ignored = ERR_INIT;

	db_sqlite_reset_all(conn);
	/* Without an end its snapshot would live on: a connection like that is not used again. */
	if (run_cached(conn, "COMMIT", &ignored) < 0)
		db_sqlite_conn_close(&conn);
	pool_give(db, conn);
}

static bool sqlite_on_writer(struct db *base)
{
	return pthread_equal(pthread_self(), ((struct sqlite_db *)base)->writer) != 0;
}

static void sqlite_fail_after(struct db *base, unsigned n, enum err_code code)
{
	struct sqlite_db *db = (struct sqlite_db *)base;

	atomic_store(&db->fail_code, (int)code);
	atomic_store(&db->fail_countdown, n);
}

const struct db_driver db_sqlite = {
	.name = "sqlite",
	.open = sqlite_open_db,
	.close = sqlite_close_db,
	.transact = db_sqlite_transact,
	.read_begin = sqlite_read_begin,
	.read_end = sqlite_read_end,
	.prepare = db_sqlite_prepare,
	.bind_i64 = db_sqlite_bind_i64,
	.bind_text = db_sqlite_bind_text,
	.bind_blob = db_sqlite_bind_blob,
	.bind_null = db_sqlite_bind_null,
	.step = db_sqlite_step,
	.col_i64 = db_sqlite_col_i64,
	.col_text = db_sqlite_col_text,
	.col_blob = db_sqlite_col_blob,
	.col_null = db_sqlite_col_null,
	.done = db_sqlite_done,
	.exec = db_sqlite_exec,
	.changes = db_sqlite_changes,
	.on_writer = sqlite_on_writer,
	.copy = db_sqlite_copy,
	.check = db_sqlite_check,
	.stats_read = db_sqlite_stats_read,
	.fail_after = sqlite_fail_after,
};
