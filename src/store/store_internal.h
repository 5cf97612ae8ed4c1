#ifndef BELLHOP_STORE_STORE_INTERNAL_H
#define BELLHOP_STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "db/db.h"
#include "store/store.h"

/* What the files of this room share. */

/* bodies/00 to bodies/ff */
enum { STORE_HASH_DIRS = 256 };

struct store {
	struct db *db;
	char *data_dir;
	uint64_t body_inline_max;
	uint64_t schema_version;
	store_publish_fn publish;
	void *publish_owner;
	/* Held while a body file is put in its place, and while the sweep looks whether one may go.
	 */
	pthread_mutex_t bodies_mutex;
	/* Rows of poison_requests, and of poison_contents, may be there. */
	atomic_bool poisoned, poisoned_contents;
	/* Calls of store_transact() that came back, and one. */
	_Atomic uint64_t commits;
	/* A mailbox that is so full is told of; 0: never. */
	_Atomic uint64_t quota_warn_percent;
	unsigned sweep_dir; /* where the next sweep of body files goes on; under bodies_mutex */
	/* Folders below bodies/ whose names are known to be on disk; under bodies_mutex. */
	bool folder_synced[STORE_HASH_DIRS];
};

struct store_read {
	struct db_conn *conn;
	struct store *store;
	uint64_t commits; /* store_commits() before the snapshot was begun */
};

/* The seq that a transaction took for one owner. */
struct store_taken_seq {
	struct owner_id owner;
	uint64_t seq;
};

struct store_tx {
	struct store_read read;
	int64_t now_at; /* when store_transact() was called */
	struct store_taken_seq *seqs;
	size_t seq_count, seq_cap;
	struct change_event *events;
	size_t event_count, event_cap;
};

/* ---- transactions ---- */

/* The owner's seq of this transaction: taken at the first call. ERR_NOT_FOUND without such an
 * owner. */
NODISCARD int store_tx_seq(
	struct store_tx *tx, struct owner_id owner, uint64_t *ret, struct err *err);
/* Published after the commit, in this order. Property changes of one item by one device become one
 * event. */
void store_tx_event(struct store_tx *tx, const struct change_event *event);

/* ---- statements ---- */

NODISCARD int store_prepare(
	struct store_read *rd, const char *sql, struct db_stmt **ret, struct err *err);
NODISCARD int store_prepare_tx(
	struct store_tx *tx, const char *sql, struct db_stmt **ret, struct err *err);
/* Steps to the end, ignoring rows. */
NODISCARD int store_run(struct db_stmt *st, struct err *err);
/* The first column of the first row, then to the end: 1; no row: 0. */
NODISCARD int store_run_u64(struct db_stmt *st, uint64_t *ret, struct err *err);
/* A statement with one number as its only parameter, without rows. */
NODISCARD int store_run_id(struct store_tx *tx, const char *sql, uint64_t id, struct err *err);
/*
 * Forgets old rows in a transaction of its own: sql deletes at most $2 rows that are older than $1.
 * 1: there may be more, 0: that was all.
 */
NODISCARD int store_sweep_rows(struct store *store, const char *sql, int64_t before_at,
	size_t limit, const char *what, struct err *err);
/* The next value of a counter of the whole store. */
NODISCARD int store_counter_next(
	struct store_tx *tx, const char *name, uint64_t *ret, struct err *err);

/* Reading a row into an arena; the check whether it had room comes at the end (store_row_end). */
struct store_row {
	struct db_stmt *st;
	struct arena *arena;
	int at; /* next column */
	bool failed;
};
uint64_t store_row_u64(struct store_row *row);
int64_t store_row_i64(struct store_row *row);
const char *store_row_text(struct store_row *row);
/* NULL for NULL. */
const uint8_t *store_row_blob(struct store_row *row, size_t *ret_len);
NODISCARD int store_row_end(const struct store_row *row, struct err *err);

/* Room for one more element: grows by doubling. ERR_INTERNAL beyond the arena's bound. */
NODISCARD int store_grow(
	struct arena *arena, void **array, size_t count, size_t *cap, size_t size, struct err *err);
#define STORE_GROW(arena, array, count, cap, err)                                                  \
	store_grow((arena), (void **)(void *)(array), (count), (cap), sizeof(**(array)), (err))

/* Reads the row that a statement stands at into a struct of the caller's kind. */
typedef int store_read_row_fn(struct db_stmt *st, struct arena *arena, void *ret, struct err *err);
/* 1: the first row, in *ret; 0: there is none. */
NODISCARD int store_read_one(struct db_stmt *st, struct arena *arena, size_t size,
	store_read_row_fn *read, void **ret, struct err *err);
#define STORE_READ_ONE(st, arena, read, ret, err)                                                  \
	store_read_one((st), (arena), sizeof(**(ret)), (read), (void **)(void *)(ret), (err))
/* All rows, an array of that size each. */
NODISCARD int store_read_all(struct db_stmt *st, struct arena *arena, size_t size,
	store_read_row_fn *read, void **ret, size_t *ret_count, struct err *err);
#define STORE_READ_ALL(st, arena, read, ret, ret_count, err)                                       \
	store_read_all((st), (arena), sizeof(**(ret)), (read), (void **)(void *)(ret),             \
		(ret_count), (err))

/* The first column of all rows. */
NODISCARD int store_read_texts(struct db_stmt *st, struct arena *arena, const char ***ret,
	size_t *ret_count, struct err *err);
/* NULL becomes "": columns of text are never NULL. */
static inline const char *store_text(const char *text)
{
	return text != NULL ? text : "";
}

/* ---- names that administrators give (store_group.c) ---- */

/* what: "group"; ERR_BAD_INPUT says what a name may be. */
NODISCARD int store_check_name(const char *what, const char *name, struct err *err);
/* By which it is found, without regard to ASCII case; x_ memory. */
char *store_name_key(const char *name);

/* ---- the schema (store_schema.c) ---- */

struct store_schema_step {
	const char *const *statements; /* NULL at the end */
};
/* The steps of this program: step i leads from version i to i + 1. */
extern const struct store_schema_step store_schema_steps[];
extern const size_t store_schema_step_count;
NODISCARD int store_schema_migrate(
	struct db *db, const struct store_schema_step *steps, size_t count, struct err *err);
/* Of a database that is only read; ERR_BACKEND when it is newer than this program, or no store. */
NODISCARD int store_schema_read(struct db *db, uint64_t *ret, struct err *err);

/* ---- helpers of single files ---- */

/* Something about the user is another now, but no login ends by it: waiting phones are looked at
 * again. */
NODISCARD int store_user_touch(struct store_tx *tx, struct owner_id id, struct err *err);

/* The folders that each user has from the beginning; no events. */
NODISCARD int store_folder_add_defaults(
	struct store_tx *tx, struct owner_id owner, struct err *err);
/* A row for the body; takes its bytes from the owner's quota (checked before). */
NODISCARD int store_body_add(struct store_tx *tx, struct owner_id owner,
	const struct store_new_body *body, uint64_t *ret_body_id, struct err *err);
NODISCARD int store_body_delete(struct store_tx *tx, struct owner_id owner, uint64_t body_id,
	uint64_t body_bytes, struct err *err);
/* Looks at the body files of up to limit names from store->sweep_dir on; removes those that nothing
 * names. 1: there are others. */
NODISCARD int store_body_sweep(struct store *store, size_t limit, struct err *err);

/* From so many bytes on a mailbox counts as nearly full. */
static inline uint64_t store_quota_near(uint64_t quota_bytes, uint64_t percent)
{
	return quota_bytes / 100 * percent + quota_bytes % 100 * percent / 100;
}
/* The mailbox has become nearly full: an event, and the note that it was given. */
NODISCARD int store_quota_warn(struct store_tx *tx, struct owner_id owner, struct err *err);

/* Inside the transaction that deletes a folder: all that it holds is to go. */
NODISCARD int store_purge_folder(
	struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct err *err);
/* A step of all owners' purges; *room: items that may still go. */
NODISCARD int store_purge_any(struct store_tx *tx, size_t *room, struct err *err);
/* What is counted against an item goes with it. */
NODISCARD int store_poison_move(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, struct folder_id target, struct item_id target_item, struct err *err);
/* Looks whether any request was ever counted, for store_poison_any(). */
NODISCARD int store_poison_open(struct store *store, struct err *err);
/* Body files that rows name, each once, in the order of their names and after that one; *ret_count
 * 0: no more. One short snapshot each. Only the right shape of the name has been checked. */
struct store_body_file {
	char name[72];
	uint64_t bytes;
};
NODISCARD int store_body_files(struct store *store, const char *after, struct store_body_file *ret,
	size_t max, size_t *ret_count, struct err *err);
/* Holds the sweep back, in this process and in others, until *ret_fd is closed: whatever a snapshot
 * taken from now on names stays. */
NODISCARD int store_bodies_hold(const char *data_dir, int *ret_fd, struct err *err);
/* bodies/ab/<sha256> under that folder; x_ memory. */
char *store_body_file_path(const char *data_dir, const char *file);

/* How long a body file that no row names (yet) is kept, in seconds. */
enum { STORE_BODY_GRACE_S = 3600 };

#endif
