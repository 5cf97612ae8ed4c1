/*
 * Passes each call to the driver of the database. Owns nothing, locks nothing.
 */
#include "db/db.h"

#include <assert.h>

#include "base/pure.h"
#include "db/db_internal.h"

int db_open(const struct db_options *options, struct db **ret, struct err *err)
{
	return db_sqlite.open(options, ret, err);
}

void db_close(struct db **db)
{
	if (*db == NULL)
		return;
	(*db)->driver->close(*db);
	*db = NULL;
}

int db_transact(struct db *db, db_txn_fn fn, void *owner, struct err *err)
{
	pure_check("db_transact");
	assert(!db->driver->on_writer(db));
	return db->driver->transact(db, fn, owner, err);
}

int db_read_begin(struct db *db, struct db_conn **ret, struct err *err)
{
	pure_check("db_read_begin");
	assert(!db->driver->on_writer(db));
	return db->driver->read_begin(db, ret, err);
}

void db_read_end(struct db_conn **conn)
{
	if (*conn == NULL)
		return;
	(*conn)->driver->read_end(*conn);
	*conn = NULL;
}

bool db_on_writer(struct db *db)
{
	return db->driver->on_writer(db);
}

int db_prepare(struct db_conn *conn, const char *sql, struct db_stmt **ret, struct err *err)
{
	return conn->driver->prepare(conn, sql, ret, err);
}

void db_bind_u64(struct db_stmt *st, int at, uint64_t v)
{
	st->driver->bind_i64(st, at, (int64_t)v);
}

void db_bind_i64(struct db_stmt *st, int at, int64_t v)
{
	st->driver->bind_i64(st, at, v);
}

void db_bind_text(struct db_stmt *st, int at, const char *text)
{
	if (text == NULL)
		st->driver->bind_null(st, at);
	else
		st->driver->bind_text(st, at, text);
}

void db_bind_blob(struct db_stmt *st, int at, const void *bytes, size_t len)
{
	if (bytes == NULL)
		st->driver->bind_null(st, at);
	else
		st->driver->bind_blob(st, at, bytes, len);
}

void db_bind_null(struct db_stmt *st, int at)
{
	st->driver->bind_null(st, at);
}

int db_step(struct db_stmt *st, struct err *err)
{
	return st->driver->step(st, err);
}

uint64_t db_col_u64(struct db_stmt *st, int at)
{
	return (uint64_t)st->driver->col_i64(st, at);
}

int64_t db_col_i64(struct db_stmt *st, int at)
{
	return st->driver->col_i64(st, at);
}

const char *db_col_text(struct db_stmt *st, int at)
{
	return st->driver->col_text(st, at);
}

const void *db_col_blob(struct db_stmt *st, int at, size_t *ret_len)
{
	return st->driver->col_blob(st, at, ret_len);
}

bool db_col_null(struct db_stmt *st, int at)
{
	return st->driver->col_null(st, at);
}

void db_done(struct db_stmt **st)
{
	if (*st == NULL)
		return;
	(*st)->driver->done(*st);
	*st = NULL;
}

int db_exec(struct db_conn *conn, const char *sql, struct err *err)
{
	return conn->driver->exec(conn, sql, err);
}

uint64_t db_changes(struct db_conn *conn)
{
	return conn->driver->changes(conn);
}

int db_copy(struct db_conn *conn, const char *path, bool (*go_on)(void *owner), void *owner,
	struct err *err)
{
	return conn->driver->copy(conn, path, go_on, owner, err);
}

int db_check(struct db_conn *conn, bool quick, void (*found)(const char *text, void *owner),
	void *owner, struct err *err)
{
	return conn->driver->check(conn, quick, found, owner, err);
}

void db_stats_read(const struct db *db, struct db_stats *ret)
{
	db->driver->stats_read(db, ret);
}

void db_fail_after(struct db *db, unsigned n, enum err_code code)
{
	db->driver->fail_after(db, n, code);
}
