#ifndef BELLHOP_DB_DB_SQLITE_INTERNAL_H
#define BELLHOP_DB_DB_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "db/db_internal.h"

/* What the files of the SQLite driver share: connections (db_sqlite_conn.c), the writer
 * (db_sqlite_writer.c). */

enum { SQLITE_PARAMS_MAX = 48, SQLITE_CACHE_BUCKETS = 256 };

struct sqlite_stmt {
	struct db_stmt base;
	struct sqlite_conn *conn;
	sqlite3_stmt *handle;
	const char *sql;          /* the literal; its address is the cache's key */
	struct sqlite_stmt *next; /* in its bucket */
	int param_count;
	uint8_t param_at[SQLITE_PARAMS_MAX + 1]; /* where SQLite put $n */
	int bind_rc;                             /* first failed bind since the last reset */
	bool in_use, cached, writes;
};

/* One connection: at any time it belongs to one thread. */
struct sqlite_conn {
	struct db_conn base;
	sqlite3 *handle;
	struct sqlite_db *db;
	struct sqlite_conn *next_free; /* in the pool of readers */
	struct sqlite_stmt *buckets[SQLITE_CACHE_BUCKETS];
	bool is_writer;
	/* The writer's: a step met a failure of the whole transaction (disk full, I/O), whatever fn
	 * made of it. */
	bool failed;
	struct err failed_err;
	int wal_frames; /* after the last commit */
};

/* One caller of db_transact(), on its stack. */
struct sqlite_txn {
	struct sqlite_txn *next;
	db_txn_fn fn;
	void *owner;
	struct err *err;
	int rc;
	bool done;
	struct notes_slot *notes; /* of the caller */
	pthread_cond_t finished;
};

struct sqlite_db {
	struct db base;
	struct db_options options; /* path is ours */

	/* readers: under readers_mutex */
	pthread_mutex_t readers_mutex;
	pthread_cond_t reader_freed;
	struct sqlite_conn *readers_free;
	uint32_t readers_count; /* open, lent ones included */

	/* writer: the queue under queue_mutex, the connection belongs to the thread */
	pthread_t writer;
	pthread_mutex_t queue_mutex;
	pthread_cond_t queue_filled;
	struct sqlite_txn *queue_head, **queue_tail;
	bool closing;
	struct sqlite_conn *writer_conn;

	/* counted by the writer */
	_Atomic uint64_t groups, transactions;
	struct histogram commit;

	/* tests: countdown of write steps, 0: off */
	_Atomic unsigned fail_countdown;
	_Atomic int fail_code;
};

/* Opens the file and sets it up for reading or writing. */
NODISCARD int db_sqlite_conn_open(
	struct sqlite_db *db, bool is_writer, struct sqlite_conn **ret, struct err *err);
void db_sqlite_conn_close(struct sqlite_conn **conn);
/* A fixed statement without rows (BEGIN, COMMIT ...). Its failure is not remembered in
 * conn->failed. */
NODISCARD int db_sqlite_run(struct sqlite_conn *conn, const char *sql, struct err *err);
/* Fills err from the connection's last error; returns -1. */
int db_sqlite_error(struct sqlite_conn *conn, int rc, const char *what, struct err *err);
/* Tests: true when this write step must fail; err is set then. */
bool db_sqlite_injected(struct sqlite_conn *conn, struct err *err);
/* Ends the use of all statements (after a rollback, at the end of a read). */
void db_sqlite_reset_all(struct sqlite_conn *conn);

int db_sqlite_prepare(struct db_conn *conn, const char *sql, struct db_stmt **ret, struct err *err);
void db_sqlite_bind_i64(struct db_stmt *st, int at, int64_t v);
void db_sqlite_bind_text(struct db_stmt *st, int at, const char *text);
void db_sqlite_bind_blob(struct db_stmt *st, int at, const void *bytes, size_t len);
void db_sqlite_bind_null(struct db_stmt *st, int at);
int db_sqlite_step(struct db_stmt *st, struct err *err);
int64_t db_sqlite_col_i64(struct db_stmt *st, int at);
const char *db_sqlite_col_text(struct db_stmt *st, int at);
const void *db_sqlite_col_blob(struct db_stmt *st, int at, size_t *ret_len);
bool db_sqlite_col_null(struct db_stmt *st, int at);
void db_sqlite_done(struct db_stmt *st);
int db_sqlite_exec(struct db_conn *conn, const char *sql, struct err *err);
uint64_t db_sqlite_changes(struct db_conn *conn);

/* db_sqlite_copy.c */
int db_sqlite_copy(struct db_conn *conn, const char *path, bool (*go_on)(void *owner), void *owner,
	struct err *err);
int db_sqlite_check(struct db_conn *conn, bool quick, void (*found)(const char *text, void *owner),
	void *owner, struct err *err);

/* The writer thread: starts with db->writer_conn open; stop finishes what is queued. */
NODISCARD int db_sqlite_writer_start(struct sqlite_db *db, struct err *err);
void db_sqlite_writer_stop(struct sqlite_db *db);
void db_sqlite_stats_read(const struct db *db, struct db_stats *ret);
int db_sqlite_transact(struct db *db, db_txn_fn fn, void *owner, struct err *err);

#endif
