/*
 * The SQLite driver's view of a whole file: copying a reader's snapshot into another file, and
 * looking for damage.
 *
 * A copy reads through a connection that is inside a transaction, so the snapshot stands still
 * however long it takes; writers go on, and only the log cannot be cut back meanwhile. The copy
 * gets a rollback journal instead of a log (WAL): one file, which can be read where nothing may be
 * written.
 *
 * Threads: the connection's. Limits: DAMAGES_MAX findings of one look.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "db/db_sqlite_internal.h"

/* Pages between two questions whether to go on: 8 MB. */
#define PIECE_PAGES 1024
#define DAMAGES_MAX "100"

static int copy_error(sqlite3 *to, int rc, const char *path, struct err *err)
{
	enum err_code code = (rc & 0xff) == SQLITE_FULL ? ERR_QUOTA : ERR_BACKEND;

	return err_set(err, code, "copying the database to %s: %s (SQLite %d)", path,
		to != NULL && sqlite3_errcode(to) != SQLITE_OK ? sqlite3_errmsg(to)
							       : sqlite3_errstr(rc),
		rc);
}

/* A transaction that was only begun has no snapshot before its first statement. */
static int take_snapshot(struct sqlite_conn *conn, struct err *err)
{
	struct db_stmt *st;
	int rc;

	if (db_sqlite_prepare(&conn->base, "SELECT COUNT(*) FROM sqlite_master", &st, err) < 0)
		return -1;
	rc = db_sqlite_step(st, err);
	db_sqlite_done(st);
	return rc < 0 ? -1 : 0;
}

static int copy_pages(struct sqlite_conn *conn, sqlite3 *to, const char *path,
	bool (*go_on)(void *owner), void *owner, struct err *err)
{
	sqlite3_backup *copy = sqlite3_backup_init(to, "main", conn->handle, "main");
	bool stopped = false;
	int rc;

	if (copy == NULL)
		return copy_error(to, sqlite3_errcode(to), path, err);
	do {
		rc = sqlite3_backup_step(copy, PIECE_PAGES);
		stopped = rc == SQLITE_OK && go_on != NULL && !go_on(owner);
	} while (rc == SQLITE_OK && !stopped);
	(void)sqlite3_backup_finish(copy);
	if (stopped)
		return err_set(err, ERR_BUSY, "the copy of the database was ended early");
	return rc == SQLITE_DONE ? 0 : copy_error(to, rc, path, err);
}

int db_sqlite_copy(struct db_conn *base, const char *path, bool (*go_on)(void *owner), void *owner,
	struct err *err)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)base;
	sqlite3 *to = NULL;
	int rc, result;

	if (take_snapshot(conn, err) < 0)
		return -1;
	rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	/* A failed copy is thrown away: it needs no journal, and the caller syncs. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
			NULL, NULL);
	result = rc == SQLITE_OK ? copy_pages(conn, to, path, go_on, owner, err)
				 : copy_error(to, rc, path, err);
	/* The pages say WAL, as their original does. */
	if (result == 0) {
		rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			result = copy_error(to, rc, path, err);
	}
	rc = sqlite3_close(to);
	if (result == 0 && rc != SQLITE_OK)
		result = copy_error(NULL, rc, path, err);
	return result;
}

int db_sqlite_check(struct db_conn *base, bool quick, void (*found)(const char *text, void *owner),
	void *owner, struct err *err)
{
	struct db_stmt *st;
	int rc;

	if (db_sqlite_prepare(base,
		    quick ? "PRAGMA quick_check(" DAMAGES_MAX ")"
			  : "PRAGMA integrity_check(" DAMAGES_MAX ")",
		    &st, err) < 0)
		return -1;
	while ((rc = db_sqlite_step(st, err)) > 0) {
		const char *text = db_sqlite_col_text(st, 0);

		if (strcmp(text, "ok") != 0)
			found(text, owner);
	}
	db_sqlite_done(st);
	return rc;
}
