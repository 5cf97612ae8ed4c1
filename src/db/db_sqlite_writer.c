/*
 * The writer of the SQLite driver: one thread, one connection. It takes what is waiting, up to
 * group_max, into one WAL transaction with synchronous FULL, each in a savepoint of its own, so one
 * fsync serves them all. While that fsync runs, the next group gathers.
 *
 * A function that fails takes back only its own savepoint. A failure of the whole transaction (disk
 * full, I/O, busy, at a step or at the commit) takes back the group, and each member runs again
 * alone: whoever can succeed, does. Callers are woken only after the commit.
 *
 * Checkpoints: SQLite's own would run inside a commit and delay its callers. Here they run after
 * the callers were woken: as soon as the queue is empty, and in any case when the WAL is large.
 *
 * Threads: the queue is under queue_mutex, never held while SQL runs. Limits: group_max members in
 * a group.
 */
#include "db/db_sqlite_internal.h"

#include <assert.h>
#include <string.h>

#include "base/blocking.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/pure.h"

/* In frames of one page. Under full load the second one bounds how long a checkpoint holds up the
 * queue (16 MB: some 20 ms on a disk that does 800 MB/s). */
enum { CHECKPOINT_IDLE_FRAMES = 500, CHECKPOINT_FRAMES = 2000 };

static void take_back(struct sqlite_conn *conn)
{
	db_sqlite_reset_all(conn);
	/* SQLite may have rolled back by itself already. */
	if (sqlite3_get_autocommit(conn->handle) == 0)
		(void)sqlite3_exec(conn->handle, "ROLLBACK", NULL, NULL, NULL);
}

/* In its savepoint (or alone, without one). False: the whole transaction has failed. */
static bool run_one(struct sqlite_conn *conn, struct sqlite_txn *txn, bool alone)
{
	txn->rc = -1;
	if (!alone && db_sqlite_run(conn, "SAVEPOINT one", txn->err) < 0)
		return false;
	pure_begin("a transaction");
	notes_work_for(txn->notes); /* a fault in it is its caller's */
	txn->rc = txn->fn(&conn->base, txn->owner, txn->err);
	notes_work_for(NULL);
	pure_end();
	db_sqlite_reset_all(conn);
	if (conn->failed || sqlite3_get_autocommit(conn->handle) != 0) {
		if (conn->failed)
			*txn->err = conn->failed_err;
		else
			(void)err_set(
				txn->err, ERR_BACKEND, "the database took the transaction back");
		txn->rc = -1;
		return false;
	}
	if (alone)
		return txn->rc == 0;
	if (txn->rc < 0 && db_sqlite_run(conn, "ROLLBACK TO one", txn->err) < 0)
		return false;
	if (db_sqlite_run(conn, "RELEASE one", txn->err) < 0) {
		txn->rc = -1;
		return false;
	}
	return true;
}

static void fail_all(struct sqlite_txn **txns, size_t count, const struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		txns[i]->rc = -1;
		*txns[i]->err = *err;
	}
}

/* The WAL is synced in it. */
static int commit(struct sqlite_conn *conn, size_t count, struct err *err)
{
	int64_t begun_us = clock_now_us();

	if (db_sqlite_run(conn, "COMMIT", err) < 0)
		return -1;
	histogram_add(&conn->db->commit, (uint64_t)(clock_now_us() - begun_us));
	(void)atomic_fetch_add_explicit(&conn->db->groups, 1, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&conn->db->transactions, count, memory_order_relaxed);
	return 0;
}

/* True: every member has its result. False: nothing happened, run them one by one. */
static bool run_together(struct sqlite_conn *conn, struct sqlite_txn **txns, size_t count)
{
	struct err err = ERR_INIT;

	conn->failed = false;
	if (db_sqlite_run(conn, "BEGIN IMMEDIATE", &err) < 0) {
		fail_all(txns, count, &err);
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (!run_one(conn, txns[i], count == 1)) {
			take_back(conn);
			return count == 1;
		}
	}
	if (db_sqlite_injected(conn, &err) || commit(conn, count, &err) < 0) {
		take_back(conn);
		fail_all(txns, count, &err);
		return count == 1;
	}
	return true;
}

static void run_group(struct sqlite_conn *conn, struct sqlite_txn **txns, size_t count)
{
	if (run_together(conn, txns, count))
		return;
	for (size_t i = 0; i < count; i++)
		(void)run_together(conn, &txns[i], 1);
}

/* Waits for work; 0: closing and nothing left. */
static size_t take_group(struct sqlite_db *db, struct sqlite_txn **txns)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&db->queue_mutex);
	while (db->queue_head == NULL && !db->closing)
		(void)pthread_cond_wait(&db->queue_filled, &db->queue_mutex);
	while (db->queue_head != NULL && count < db->options.group_max) {
		txns[count++] = db->queue_head;
		db->queue_head = db->queue_head->next;
	}
	if (db->queue_head == NULL)
		db->queue_tail = &db->queue_head;
	(void)pthread_mutex_unlock(&db->queue_mutex);
	return count;
}

/* True when nobody waits. Members live on their callers' stacks: not to be touched afterwards. */
static bool wake_group(struct sqlite_db *db, struct sqlite_txn **txns, size_t count)
{
	bool idle;

	(void)pthread_mutex_lock(&db->queue_mutex);
	for (size_t i = 0; i < count; i++) {
		txns[i]->done = true;
		(void)pthread_cond_signal(&txns[i]->finished);
	}
	idle = db->queue_head == NULL;
	(void)pthread_mutex_unlock(&db->queue_mutex);
	return idle;
}

static void checkpoint(struct sqlite_conn *conn, bool idle)
{
	if (conn->wal_frames < (idle ? CHECKPOINT_IDLE_FRAMES : CHECKPOINT_FRAMES))
		return;
	/* What can't be moved now (a reader needs it) is moved next time. */
	(void)sqlite3_wal_checkpoint_v2(conn->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	conn->wal_frames = 0;
}

static void *writer_main(void *owner)
{
	struct sqlite_db *db = owner;
	struct sqlite_txn **txns = x_calloc(db->options.group_max, sizeof(struct sqlite_txn *));
	size_t count;

	while ((count = take_group(db, txns)) > 0) {
		run_group(db->writer_conn, txns, count);
		checkpoint(db->writer_conn, wake_group(db, txns, count));
	}
	mem_free(txns);
	return NULL;
}

int db_sqlite_transact(struct db *base, db_txn_fn fn, void *owner, struct err *err)
{
	struct sqlite_db *db = (struct sqlite_db *)base;
	struct sqlite_txn txn = {.fn = fn, .owner = owner, .err = err, .notes = notes_self()};

	(void)pthread_cond_init(&txn.finished, NULL);
	blocking_begin();
	(void)pthread_mutex_lock(&db->queue_mutex);
	assert(!db->closing);
	if (db->queue_head == NULL)
		(void)pthread_cond_signal(&db->queue_filled);
	*db->queue_tail = &txn;
	db->queue_tail = &txn.next;
	while (!txn.done)
		(void)pthread_cond_wait(&txn.finished, &db->queue_mutex);
	(void)pthread_mutex_unlock(&db->queue_mutex);
	blocking_end();
	(void)pthread_cond_destroy(&txn.finished);
	return txn.rc < 0 ? -1 : 0;
}

void db_sqlite_stats_read(const struct db *base, struct db_stats *ret)
{
	const struct sqlite_db *db = (const struct sqlite_db *)base;

	ret->groups = atomic_load_explicit(&db->groups, memory_order_relaxed);
	ret->transactions = atomic_load_explicit(&db->transactions, memory_order_relaxed);
	histogram_read(&db->commit, &ret->commit);
}

int db_sqlite_writer_start(struct sqlite_db *db, struct err *err)
{
	int rc;

	db->queue_tail = &db->queue_head;
	rc = pthread_create(&db->writer, NULL, writer_main, db);
	return rc == 0 ? 0 : err_set_errno(err, rc, "starting the writer thread");
}

void db_sqlite_writer_stop(struct sqlite_db *db)
{
	(void)pthread_mutex_lock(&db->queue_mutex);
	db->closing = true;
	(void)pthread_cond_signal(&db->queue_filled);
	(void)pthread_mutex_unlock(&db->queue_mutex);
	(void)pthread_join(db->writer, NULL);
}
