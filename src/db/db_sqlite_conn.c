/*
 * Connections and statements of the SQLite driver. A connection owns its prepared statements,
 * cached by the address of their text, so a hot path never parses SQL. A statement that is asked
 * for while it is in use gets a second, uncached copy.
 *
 * $1, $2 ... are names for SQLite and numbered by their first appearance, so each statement has a
 * table of places.
 *
 * Threads: a connection belongs to one thread at a time (SQLITE_OPEN_NOMUTEX); whoever lends it
 * synchronizes. Limits: SQLITE_PARAMS_MAX parameters.
 */
#include "db/db_sqlite_internal.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* 8 KiB: a row of up to 2 KB stays in its leaf, and a mail of 7 KB takes one overflow page (4 KiB:
 * two, 16 KiB: one that is more than half empty). */
#define PAGE_BYTES "8192"
/* A WAL that grew beyond this in a burst is cut back to it. */
#define WAL_KEEP_BYTES "67108864"

static enum err_code code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ERR_QUOTA;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CONSTRAINT:
		return ERR_CONFLICT;
	case SQLITE_NOMEM:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
	case SQLITE_MISUSE:
	case SQLITE_ERROR:
		return ERR_INTERNAL;
	default:
		return ERR_BACKEND;
	}
}

/* Failures after which the transaction can't be trusted, as opposed to those of one statement. */
static bool is_fatal(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
	case SQLITE_MISMATCH:
		return false;
	default:
		return true;
	}
}

int db_sqlite_error(struct sqlite_conn *conn, int rc, const char *what, struct err *err)
{
	return err_set(err, code_of(rc), "%s (SQLite %d): %.160s", sqlite3_errmsg(conn->handle),
		sqlite3_extended_errcode(conn->handle), what);
}

static void note_failure(struct sqlite_conn *conn, const struct err *err)
{
	if (!conn->is_writer || conn->failed)
		return;
	conn->failed = true;
	conn->failed_err = *err;
}

bool db_sqlite_injected(struct sqlite_conn *conn, struct err *err)
{
	struct sqlite_db *db = conn->db;

	if (atomic_load_explicit(&db->fail_countdown, memory_order_relaxed) == 0)
		return false;
	if (atomic_fetch_sub(&db->fail_countdown, 1) != 1)
		return false;
	(void)err_set(err, (enum err_code)atomic_load(&db->fail_code), "injected failure");
	return true;
}

/* ---- opening ---- */

/* SQLite answers with the mode that it has, and goes on without WAL where it can't do it. */
static int use_wal(struct sqlite_conn *conn, struct err *err)
{
	sqlite3_stmt *st = NULL;
	bool wal = false;
	int rc = sqlite3_prepare_v2(conn->handle, "PRAGMA journal_mode = WAL", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		wal = sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
	else
		(void)db_sqlite_error(conn, rc, "PRAGMA journal_mode = WAL", err);
	(void)sqlite3_finalize(st);
	if (rc == SQLITE_ROW && !wal)
		return err_set(
			err, ERR_BACKEND, "the file system can't do a write-ahead log (WAL)");
	return wal ? 0 : -1;
}

static int set_up(struct sqlite_conn *conn, struct err *err)
{
	const struct db_options *o = &conn->db->options;
	char cache[96];
	/* The page size counts only when the file is new. Checkpoints are the writer's own
	 * business. */
	static const char *const writer_pragmas[] = {"PRAGMA page_size = " PAGE_BYTES,
		"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
		"PRAGMA wal_autocheckpoint = 0", "PRAGMA journal_size_limit = " WAL_KEEP_BYTES};

	(void)sqlite3_busy_timeout(conn->handle, (int)MIN(o->busy_timeout_ms, (uint32_t)INT_MAX));
	/* The page size counts only when the file is new, and before its first write. */
	if (conn->is_writer && (db_sqlite_run(conn, "PRAGMA page_size = " PAGE_BYTES, err) < 0 ||
				       use_wal(conn, err) < 0))
		return -1;
	for (size_t i = 0; conn->is_writer && i < ARRAY_LEN(writer_pragmas); i++) {
		if (db_sqlite_run(conn, writer_pragmas[i], err) < 0)
			return -1;
	}
	(void)snprintf(cache, sizeof(cache), "PRAGMA cache_size = -%llu; PRAGMA mmap_size = %llu",
		(unsigned long long)o->cache_kib, (unsigned long long)o->mmap_bytes);
	if (db_sqlite_run(conn, cache, err) < 0 ||
		db_sqlite_run(conn, "PRAGMA temp_store = MEMORY", err) < 0)
		return -1;
	return conn->is_writer ? 0 : db_sqlite_run(conn, "PRAGMA query_only = 1", err);
}

static int on_commit(void *owner, sqlite3 *handle, const char *name, int frames)
{
	struct sqlite_conn *conn = owner;

	(void)handle;
	(void)name;
	conn->wal_frames = frames;
	return SQLITE_OK;
}

int db_sqlite_conn_open(
	struct sqlite_db *db, bool is_writer, struct sqlite_conn **ret, struct err *err)
{
	CLEANUP(db_sqlite_conn_close) struct sqlite_conn *conn = x_new(struct sqlite_conn);
	int flags = SQLITE_OPEN_NOMUTEX | (is_writer ? SQLITE_OPEN_CREATE : 0) |
		    (db->options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	int rc;

	conn->base.driver = &db_sqlite;
	conn->db = db;
	conn->is_writer = is_writer;
	rc = sqlite3_open_v2(db->options.path, &conn->handle, flags, NULL);
	if (rc != SQLITE_OK)
		return err_set(err, code_of(rc), "opening %s: %s", db->options.path,
			conn->handle != NULL ? sqlite3_errmsg(conn->handle) : "out of memory");
	(void)sqlite3_extended_result_codes(conn->handle, 1);
	if (set_up(conn, err) < 0)
		return err_wrap(err, "opening %s", db->options.path);
	if (is_writer)
		(void)sqlite3_wal_hook(conn->handle, on_commit, conn);
	*ret = TAKE(conn);
	return 0;
}

static void stmt_free(struct sqlite_stmt *st)
{
	(void)sqlite3_finalize(st->handle);
	mem_free(st);
}

void db_sqlite_conn_close(struct sqlite_conn **conn)
{
	if (*conn == NULL)
		return;
	for (size_t i = 0; i < SQLITE_CACHE_BUCKETS; i++) {
		for (struct sqlite_stmt *st = (*conn)->buckets[i], *next; st != NULL; st = next) {
			next = st->next;
			stmt_free(st);
		}
	}
	(void)sqlite3_close_v2((*conn)->handle);
	mem_free(*conn);
	*conn = NULL;
}

/* ---- statements ---- */

int db_sqlite_run(struct sqlite_conn *conn, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(conn->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_sqlite_error(conn, rc, sql, err);
}

int db_sqlite_exec(struct db_conn *base, const char *sql, struct err *err)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)base;
	int rc;

	if (conn->is_writer && db_sqlite_injected(conn, err)) {
		note_failure(conn, err);
		return -1;
	}
	rc = sqlite3_exec(conn->handle, sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return 0;
	(void)db_sqlite_error(conn, rc, sql, err);
	if (is_fatal(rc))
		note_failure(conn, err);
	return -1;
}

static int find_params(struct sqlite_stmt *st, struct err *err)
{
	st->param_count = sqlite3_bind_parameter_count(st->handle);
	if (st->param_count > SQLITE_PARAMS_MAX)
		return err_set(err, ERR_INTERNAL, "more than %d parameters: %.160s",
			SQLITE_PARAMS_MAX, st->sql);
	for (int i = 1; i <= st->param_count; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "$%d", i);
		st->param_at[i] = (uint8_t)sqlite3_bind_parameter_index(st->handle, name);
		if (st->param_at[i] == 0)
			return err_set(err, ERR_INTERNAL, "no parameter %s: %.160s", name, st->sql);
	}
	return 0;
}

static int stmt_new(struct sqlite_conn *conn, const char *sql, bool cached,
	struct sqlite_stmt **ret, struct err *err)
{
	struct sqlite_stmt *st = x_new(struct sqlite_stmt);
	int rc;

	st->base.driver = &db_sqlite;
	st->conn = conn;
	st->sql = sql;
	st->cached = cached;
	rc = sqlite3_prepare_v3(
		conn->handle, sql, -1, cached ? SQLITE_PREPARE_PERSISTENT : 0, &st->handle, NULL);
	if (rc != SQLITE_OK) {
		(void)db_sqlite_error(conn, rc, sql, err);
		if (is_fatal(rc))
			note_failure(conn, err);
		stmt_free(st);
		return -1;
	}
	st->writes = sqlite3_stmt_readonly(st->handle) == 0;
	if (find_params(st, err) < 0) {
		stmt_free(st);
		return -1;
	}
	*ret = st;
	return 0;
}

static size_t bucket_of(const char *sql)
{
	return (size_t)(((uint64_t)(uintptr_t)sql * 0x9e3779b97f4a7c15u) >> 56);
}

int db_sqlite_prepare(struct db_conn *base, const char *sql, struct db_stmt **ret, struct err *err)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)base;
	struct sqlite_stmt **bucket = &conn->buckets[bucket_of(sql)], *st = *bucket;

	while (st != NULL && st->sql != sql)
		st = st->next;
	if (st == NULL) {
		if (stmt_new(conn, sql, true, &st, err) < 0)
			return -1;
		st->next = *bucket;
		*bucket = st;
	} else if (st->in_use) {
		if (stmt_new(conn, sql, false, &st, err) < 0)
			return -1;
	}
	st->in_use = true;
	st->bind_rc = SQLITE_OK;
	*ret = &st->base;
	return 0;
}

static int place(struct sqlite_stmt *st, int at)
{
	assert(at >= 1 && at <= st->param_count);
	return st->param_at[at];
}

static void bound(struct sqlite_stmt *st, int rc)
{
	if (rc != SQLITE_OK && st->bind_rc == SQLITE_OK)
		st->bind_rc = rc;
}

void db_sqlite_bind_i64(struct db_stmt *base, int at, int64_t v)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;

	bound(st, sqlite3_bind_int64(st->handle, place(st, at), v));
}

void db_sqlite_bind_text(struct db_stmt *base, int at, const char *text)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;

	bound(st, sqlite3_bind_text64(st->handle, place(st, at), text, strlen(text), SQLITE_STATIC,
			  SQLITE_UTF8));
}

void db_sqlite_bind_blob(struct db_stmt *base, int at, const void *bytes, size_t len)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;

	bound(st, sqlite3_bind_blob64(st->handle, place(st, at), bytes, len, SQLITE_STATIC));
}

void db_sqlite_bind_null(struct db_stmt *base, int at)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;

	bound(st, sqlite3_bind_null(st->handle, place(st, at)));
}

int db_sqlite_step(struct db_stmt *base, struct err *err)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;
	struct sqlite_conn *conn = st->conn;
	int rc;

	if (st->bind_rc != SQLITE_OK)
		return err_set(err, code_of(st->bind_rc), "%s: %.160s", sqlite3_errstr(st->bind_rc),
			st->sql);
	if (st->writes && conn->is_writer && !sqlite3_stmt_busy(st->handle) &&
		db_sqlite_injected(conn, err)) {
		note_failure(conn, err);
		return -1;
	}
	rc = sqlite3_step(st->handle);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	(void)db_sqlite_error(conn, rc, st->sql, err);
	if (is_fatal(rc))
		note_failure(conn, err);
	return -1;
}

int64_t db_sqlite_col_i64(struct db_stmt *base, int at)
{
	return sqlite3_column_int64(((struct sqlite_stmt *)base)->handle, at);
}

const char *db_sqlite_col_text(struct db_stmt *base, int at)
{
	const unsigned char *text = sqlite3_column_text(((struct sqlite_stmt *)base)->handle, at);

	return text != NULL ? (const char *)text : "";
}

const void *db_sqlite_col_blob(struct db_stmt *base, int at, size_t *ret_len)
{
	sqlite3_stmt *handle = ((struct sqlite_stmt *)base)->handle;
	const void *bytes = sqlite3_column_blob(handle, at);

	*ret_len = (size_t)sqlite3_column_bytes(handle, at);
	return bytes;
}

bool db_sqlite_col_null(struct db_stmt *base, int at)
{
	return sqlite3_column_type(((struct sqlite_stmt *)base)->handle, at) == SQLITE_NULL;
}

void db_sqlite_done(struct db_stmt *base)
{
	struct sqlite_stmt *st = (struct sqlite_stmt *)base;

	if (!st->cached) {
		stmt_free(st);
		return;
	}
	(void)sqlite3_reset(st->handle);
	(void)sqlite3_clear_bindings(st->handle);
	st->in_use = false;
}

void db_sqlite_reset_all(struct sqlite_conn *conn)
{
	for (size_t i = 0; i < SQLITE_CACHE_BUCKETS; i++) {
		for (struct sqlite_stmt *st = conn->buckets[i]; st != NULL; st = st->next) {
			if (st->in_use)
				db_sqlite_done(&st->base);
		}
	}
}

uint64_t db_sqlite_changes(struct db_conn *base)
{
	return (uint64_t)sqlite3_changes64(((struct sqlite_conn *)base)->handle);
}
