#ifndef BELLHOP_DB_DB_INTERNAL_H
#define BELLHOP_DB_DB_INTERNAL_H

#include "db/db.h"

/*
 * What a driver is. Its own structs begin with these; db.c passes calls on. The contracts are those
 * of the functions of the same name in db.h.
 */
struct db_driver {
	const char *name;
	int (*open)(const struct db_options *options, struct db **ret, struct err *err);
	void (*close)(struct db *db);
	int (*transact)(struct db *db, db_txn_fn fn, void *owner, struct err *err);
	int (*read_begin)(struct db *db, struct db_conn **ret, struct err *err);
	void (*read_end)(struct db_conn *conn);
	int (*prepare)(
		struct db_conn *conn, const char *sql, struct db_stmt **ret, struct err *err);
	void (*bind_i64)(struct db_stmt *st, int at, int64_t v);
	void (*bind_text)(struct db_stmt *st, int at, const char *text);
	void (*bind_blob)(struct db_stmt *st, int at, const void *bytes, size_t len);
	void (*bind_null)(struct db_stmt *st, int at);
	int (*step)(struct db_stmt *st, struct err *err);
	int64_t (*col_i64)(struct db_stmt *st, int at);
	const char *(*col_text)(struct db_stmt *st, int at);
	const void *(*col_blob)(struct db_stmt *st, int at, size_t *ret_len);
	bool (*col_null)(struct db_stmt *st, int at);
	void (*done)(struct db_stmt *st);
	int (*exec)(struct db_conn *conn, const char *sql, struct err *err);
	uint64_t (*changes)(struct db_conn *conn);
	bool (*on_writer)(struct db *db);
	int (*copy)(struct db_conn *conn, const char *path, bool (*go_on)(void *owner), void *owner,
		struct err *err);
	int (*check)(struct db_conn *conn, bool quick, void (*found)(const char *text, void *owner),
		void *owner, struct err *err);
	void (*stats_read)(const struct db *db, struct db_stats *ret);
	void (*fail_after)(struct db *db, unsigned n, enum err_code code);
};

struct db {
	const struct db_driver *driver;
};
struct db_conn {
	const struct db_driver *driver;
};
struct db_stmt {
	const struct db_driver *driver;
};

extern const struct db_driver db_sqlite;

#endif
