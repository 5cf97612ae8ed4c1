#ifndef BELLHOP_DB_DB_H
#define BELLHOP_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "telemetry/histogram.h"

/*
 * One prepared-statement API over several databases. The SQL text is common to all drivers ($1
 * parameters, ON CONFLICT, RETURNING). The driver here is SQLite 3 (WAL, synchronous FULL).
 *
 * Writing: db_transact(fn) is the only way. fn runs on the writer thread, which gathers what is
 * waiting into one transaction with a savepoint each; the call returns when the group is committed
 * and on disk. fn may run again when its group fails, so it touches only its connection: no I/O, no
 * lock, no clock, no side effect but in its own argument, which it must be able to set up anew. A
 * debug build aborts where it does not keep to that (base/pure.h).
 *
 * Reading: db_read_begin() lends a connection with a consistent snapshot to this thread; keep it
 * short, never across client or upstream I/O, and never two at once (when all are lent, the second
 * would wait for the first).
 *
 * Tables are declared with types that all drivers know: BIGINT, TEXT, BYTEA. DDL may end in WITHOUT
 * ROWID, which drivers without such a thing leave out.
 */
struct db;
struct db_conn;
struct db_stmt;

struct db_options {
	const char *path;     /* file; its folder must exist */
	uint32_t readers_max; /* connections for reading; further readers wait */
	uint32_t group_max;   /* transactions gathered into one commit */
	uint32_t busy_timeout_ms;
	uint64_t cache_kib; /* page cache, per connection */
	uint64_t mmap_bytes;
	/* The file must be there and nothing in it is changed, also by another process' side: no
	 * writer is started, db_transact() must not be called. Several processes may have it open.
	 */
	bool read_only;
};

/* Opens or creates. Starts the writer thread. ERR_BACKEND. */
NODISCARD int db_open(const struct db_options *options, struct db **ret, struct err *err);
/* Waits for the writer to finish what is queued. */
void db_close(struct db **db);

typedef int (*db_txn_fn)(struct db_conn *conn, void *owner, struct err *err);
/* Blocks until fn's effects are on disk (0) or undone (-1, err from fn, or ERR_BACKEND, ERR_BUSY,
 * ERR_QUOTA for a full disk). A failed write step fails the transaction even when fn makes nothing
 * of it, unless it broke a constraint (ERR_CONFLICT), which fn may go on after. Any thread but the
 * writer's own (asserted). */
NODISCARD int db_transact(struct db *db, db_txn_fn fn, void *owner, struct err *err);

NODISCARD int db_read_begin(struct db *db, struct db_conn **ret, struct err *err);
void db_read_end(struct db_conn **conn);
/* For assertions: this is the writer's thread, where nothing may block. */
bool db_on_writer(struct db *db);

/* sql must be a string literal (statements are cached by its address). The statement is reset and
 * its bindings cleared; it belongs to the caller until db_done(). */
NODISCARD int db_prepare(
	struct db_conn *conn, const char *sql, struct db_stmt **ret, struct err *err);
/* Parameters from 1. Bytes and text are borrowed until db_done(). */
void db_bind_u64(struct db_stmt *st, int at, uint64_t v);
void db_bind_i64(struct db_stmt *st, int at, int64_t v);
void db_bind_text(struct db_stmt *st, int at, const char *text); /* NULL binds NULL */
void db_bind_blob(struct db_stmt *st, int at, const void *bytes, size_t len);
void db_bind_null(struct db_stmt *st, int at);
/* 1: a row is there; 0: done; -1: failed. */
NODISCARD int db_step(struct db_stmt *st, struct err *err);
/* Columns from 0. Text and blobs are borrowed until the next step. */
uint64_t db_col_u64(struct db_stmt *st, int at);
int64_t db_col_i64(struct db_stmt *st, int at);
const char *db_col_text(struct db_stmt *st, int at); /* "" for NULL */
const void *db_col_blob(struct db_stmt *st, int at, size_t *ret_len);
bool db_col_null(struct db_stmt *st, int at);
void db_done(struct db_stmt **st);
/* For statements without parameters and rows; parsed anew each time. */
NODISCARD int db_exec(struct db_conn *conn, const char *sql, struct err *err);
/* Rows changed by the last statement. */
uint64_t db_changes(struct db_conn *conn);

/*
 * Copies the whole snapshot of this reader into a new database file, while others write on: one
 * file that needs no log beside it. Not synced to disk. go_on (may be NULL) is asked between pieces
 * of some megabytes; false ends it with ERR_BUSY. A failure leaves a file that is of no use.
 */
NODISCARD int db_copy(struct db_conn *conn, const char *path, bool (*go_on)(void *owner),
	void *owner, struct err *err);
/* The driver's own look at its file: tells each damage it finds. quick: without comparing indexes
 * with tables. -1 only when it could not look. */
NODISCARD int db_check(struct db_conn *conn, bool quick,
	void (*found)(const char *text, void *owner), void *owner, struct err *err);

/* What the writer has done since db_open(). Any thread. */
struct db_stats {
	uint64_t groups, transactions;
	struct histogram_view commit; /* one for each group: what it takes until it is on disk */
};
void db_stats_read(const struct db *db, struct db_stats *ret);

/* Tests only: the n-th write step or commit of the writer from now on fails with this code, as a
 * full disk or a broken one would (the group is taken back); 0 switches it off. */
void db_fail_after(struct db *db, unsigned n, enum err_code code);

#endif
