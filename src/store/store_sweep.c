/*
 * Housekeeping in bounded steps: old tombstones, what deleted users left behind, what deleted and
 * emptied folders held, body files without a row.
 *
 * Each step is a transaction of its own of at most `limit` rows, so that nobody waits long behind
 * it.
 */
#include <string.h>

#include "base/mem.h"
#include "store/store_internal.h"

struct sweep {
	int64_t before_at;
	size_t limit;
	size_t removed; /* by the last step */
};

/* ---- tombstones ---- */

struct stone {
	uint64_t owner, folder, seq, id;
};

static int collect_stones(struct store_tx *tx, const struct sweep *s, struct stone *stones,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT owner, folder, seq, id FROM tombstones WHERE deleted_at < $1"
		    " ORDER BY deleted_at, owner, folder, seq, id LIMIT $2",
		    &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, s->before_at);
	db_bind_u64(st, 2, s->limit);
	while ((rc = db_step(st, err)) > 0) {
		stones[count++] = (struct stone){
			db_col_u64(st, 0), db_col_u64(st, 1), db_col_u64(st, 2), db_col_u64(st, 3)};
	}
	*ret_count = count;
	return rc;
}

static int remove_stone(struct store_tx *tx, const struct stone *stone, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *floor = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM tombstones WHERE owner = $1 AND folder = $2 AND seq = $3 AND id = "
		    "$4",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, stone->owner);
	db_bind_u64(st, 2, stone->folder);
	db_bind_u64(st, 3, stone->seq);
	db_bind_u64(st, 4, stone->id);
	if (store_run(st, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "UPDATE owners SET tombstone_floor = $2 WHERE id = $1 AND tombstone_floor < $2",
		    &floor, err) < 0)
		return -1;
	db_bind_u64(floor, 1, stone->owner);
	db_bind_u64(floor, 2, stone->seq);
	return store_run(floor, err);
}

static int sweep_stones(struct store_tx *tx, void *owner, struct err *err)
{
	struct sweep *s = owner;
	CLEANUP(mem_freep) struct stone *stones = x_calloc(s->limit, sizeof(*stones));
	size_t count = 0;

	if (collect_stones(tx, s, stones, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (remove_stone(tx, &stones[i], err) < 0)
			return -1;
	}
	s->removed = count;
	return 0;
}

/* ---- deleted folders of which every phone has heard ---- */

static int collect_folders(struct store_tx *tx, const struct sweep *s, struct stone *folders,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT f.owner, f.id, f.changed_seq FROM folders f WHERE f.deleted = 1"
		    " AND f.deleted_at < $1 AND NOT EXISTS (SELECT 1 FROM purges p WHERE"
		    " p.owner = f.owner AND p.folder = f.id)"
		    " ORDER BY f.deleted_at, f.owner, f.id LIMIT $2",
		    &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, s->before_at);
	db_bind_u64(st, 2, s->limit);
	while ((rc = db_step(st, err)) > 0)
		folders[count++] = (struct stone){.owner = db_col_u64(st, 0),
			.folder = db_col_u64(st, 1),
			.seq = db_col_u64(st, 2)};
	*ret_count = count;
	return rc;
}

static int remove_folder(struct store_tx *tx, const struct stone *folder, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *floor = NULL;

	if (store_prepare_tx(tx, "DELETE FROM folders WHERE owner = $1 AND id = $2", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, folder->owner);
	db_bind_u64(st, 2, folder->folder);
	if (store_run(st, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "UPDATE owners SET folder_floor = $2 WHERE id = $1 AND folder_floor < $2",
		    &floor, err) < 0)
		return -1;
	db_bind_u64(floor, 1, folder->owner);
	db_bind_u64(floor, 2, folder->seq);
	return store_run(floor, err);
}

static int sweep_folders(struct store_tx *tx, void *owner, struct err *err)
{
	struct sweep *s = owner;
	CLEANUP(mem_freep) struct stone *folders = x_calloc(s->limit, sizeof(*folders));
	size_t count = 0;

	if (collect_folders(tx, s, folders, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (remove_folder(tx, &folders[i], err) < 0)
			return -1;
	}
	s->removed = count;
	return 0;
}

/* ---- what deleted users left ---- */

/* sql deletes up to $2 rows of owner $1; *room goes down by their number. */
static int remove_rows(
	struct store_tx *tx, const char *sql, uint64_t owner, size_t *room, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (*room == 0)
		return 0;
	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner);
	db_bind_u64(st, 2, *room);
	if (store_run(st, err) < 0)
		return -1;
	*room -= MIN(*room, (size_t)db_changes(tx->read.conn));
	return 0;
}

static int sweep_owner(struct store_tx *tx, uint64_t owner, size_t *room, struct err *err)
{
	static const char *const statements[] = {
		"DELETE FROM poison_items WHERE owner = $1 AND (folder, item) IN"
		" (SELECT folder, item FROM poison_items WHERE owner = $1 LIMIT $2)",
		"DELETE FROM poison_requests WHERE owner = $1 AND hash IN"
		" (SELECT hash FROM poison_requests WHERE owner = $1 LIMIT $2)",
		"DELETE FROM imported WHERE owner = $1 AND (folder, hash) IN"
		" (SELECT folder, hash FROM imported WHERE owner = $1 LIMIT $2)",
		"DELETE FROM items WHERE owner = $1 AND (folder, id) IN"
		" (SELECT folder, id FROM items WHERE owner = $1 LIMIT $2)",
		"DELETE FROM bodies WHERE owner = $1 AND id IN"
		" (SELECT id FROM bodies WHERE owner = $1 LIMIT $2)",
		"DELETE FROM tombstones WHERE owner = $1 AND (folder, seq, id) IN"
		" (SELECT folder, seq, id FROM tombstones WHERE owner = $1 LIMIT $2)",
	};

	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		if (remove_rows(tx, statements[i], owner, room, err) < 0)
			return -1;
	}
	if (*room == 0)
		return 0;
	(*room)--;
	return store_run_id(tx, "DELETE FROM owners WHERE id = $1", owner, err);
}

static int sweep_owners(struct store_tx *tx, void *owner, struct err *err)
{
	struct sweep *s = owner;
	size_t room = s->limit;

	while (room > 0) {
		CLEANUP(db_done) struct db_stmt *st = NULL;
		uint64_t id = 0;
		int rc;

		if (store_prepare_tx(
			    tx, "SELECT id FROM owners WHERE deleted = 1 LIMIT 1", &st, err) < 0)
			return -1;
		rc = store_run_u64(st, &id, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		if (sweep_owner(tx, id, &room, err) < 0)
			return -1;
	}
	s->removed = s->limit - room;
	return 0;
}

static int sweep_purges(struct store_tx *tx, void *owner, struct err *err)
{
	struct sweep *s = owner;
	size_t room = s->limit;

	if (store_purge_any(tx, &room, err) < 0)
		return -1;
	s->removed = s->limit - room;
	return 0;
}

int store_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err)
{
	/* A step holds the writer: larger ones help nobody. */
	struct sweep s = {
		.before_at = before_at, .limit = MIN(MAX(limit, (size_t)1), (size_t)10000)};
	bool more = false;
	int rc;

	if (store_transact(store, sweep_stones, &s, err) < 0)
		return err_wrap(err, "sweeping tombstones");
	more = s.removed == s.limit;
	if (store_transact(store, sweep_folders, &s, err) < 0)
		return err_wrap(err, "sweeping rows of deleted folders");
	more = more || s.removed == s.limit;
	if (store_transact(store, sweep_owners, &s, err) < 0)
		return err_wrap(err, "sweeping deleted users");
	more = more || s.removed == s.limit;
	if (store_transact(store, sweep_purges, &s, err) < 0)
		return err_wrap(err, "sweeping deleted folders");
	more = more || s.removed == s.limit;
	rc = store_body_sweep(store, s.limit, err);
	if (rc < 0)
		return err_wrap(err, "sweeping body files");
	return more || rc > 0 ? 1 : 0;
}
