/*
 * What is noted to go: the items of deleted folders, and those that an emptied folder held when it
 * was emptied (up to an id). A row of purges is the promise; it is kept in transactions of a
 * bounded size, by the command that gave it, by the sweep, or after a crash by the next engine's
 * sweep.
 *
 * Items of a living folder go like any deletion, with tombstones and events. Those of a deleted
 * folder are seen by nobody any more: they just go, and at the end what phones knew of the folder.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_internal.h"

struct purge {
	struct owner_id owner;
	struct folder_id folder;
	uint64_t up_to;
	struct device_id device;
	bool living;
};

static int note(struct store_tx *tx, const struct purge *p, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO purges (owner, folder, up_to, device) VALUES ($1, $2, $3, $4)"
		    " ON CONFLICT (owner, folder) DO UPDATE SET device = excluded.device, up_to ="
		    " CASE WHEN excluded.up_to > purges.up_to THEN excluded.up_to ELSE"
		    " purges.up_to END",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, p->owner.v);
	db_bind_u64(st, 2, p->folder.v);
	db_bind_u64(st, 3, p->up_to);
	db_bind_u64(st, 4, p->device.v);
	return store_run(st, err);
}

int store_purge_folder(
	struct store_tx *tx, struct owner_id owner, struct folder_id folder, struct err *err)
{
	struct purge p = {.owner = owner, .folder = folder, .up_to = INT64_MAX};

	return note(tx, &p, err);
}

int store_folder_empty(struct store_tx *tx, struct owner_id owner, struct folder_id id,
	struct device_id device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct purge p = {.owner = owner, .folder = id, .device = device};
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT last_item FROM folders WHERE owner = $1 AND id = $2 AND deleted = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id.v);
	rc = store_run_u64(st, &p.up_to, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no folder %" PRIu64, id.v);
	return rc < 0 ? -1 : note(tx, &p, err);
}

/* ---- keeping the promise ---- */

struct doomed {
	struct item_id id;
	uint64_t body_id, body_bytes;
};

static int list_doomed(struct store_tx *tx, const struct purge *p, struct doomed *doomed,
	size_t limit, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT id, body_id, body_bytes FROM items WHERE owner = $1 AND folder = $2"
		    " AND id <= $3 ORDER BY id LIMIT $4",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, p->owner.v);
	db_bind_u64(st, 2, p->folder.v);
	db_bind_u64(st, 3, p->up_to);
	db_bind_u64(st, 4, limit);
	while ((rc = db_step(st, err)) > 0)
		doomed[count++] =
			(struct doomed){{db_col_u64(st, 0)}, db_col_u64(st, 1), db_col_u64(st, 2)};
	*ret_count = count;
	return rc;
}

/* Nobody can see the item any more: no tombstone, no event. */
static int drop_item(
	struct store_tx *tx, const struct purge *p, const struct doomed *d, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "DELETE FROM items WHERE owner = $1 AND folder = $2 AND id = $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, p->owner.v);
	db_bind_u64(st, 2, p->folder.v);
	db_bind_u64(st, 3, d->id.v);
	if (store_run(st, err) < 0)
		return -1;
	return store_body_delete(tx, p->owner, d->body_id, d->body_bytes, err);
}

static int run_at(struct store_tx *tx, const char *sql, const struct purge *p, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, p->owner.v);
	db_bind_u64(st, 2, p->folder.v);
	return store_run(st, err);
}

/* The promise is kept. */
static int finish(struct store_tx *tx, const struct purge *p, struct err *err)
{
	static const char *const traces[] = {
		"DELETE FROM sync_states WHERE owner = $1 AND folder = $2",
		"DELETE FROM sync_chunks WHERE owner = $1 AND folder = $2",
		"DELETE FROM poison_items WHERE owner = $1 AND folder = $2",
		"DELETE FROM conversation_rules WHERE owner = $1 AND folder = $2",
	};

	for (size_t i = 0; !p->living && i < ARRAY_LEN(traces); i++) {
		if (run_at(tx, traces[i], p, err) < 0)
			return -1;
	}
	return run_at(tx, "DELETE FROM purges WHERE owner = $1 AND folder = $2", p, err);
}

/* *room goes down by the items that went, and by one for a promise that is kept. */
static int keep(struct store_tx *tx, const struct purge *p, size_t *room, struct err *err)
{
	CLEANUP(mem_freep) struct doomed *doomed = x_calloc(*room, sizeof(*doomed));
	size_t limit = *room, count = 0;

	if (list_doomed(tx, p, doomed, limit, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (p->living && store_item_delete(
					 tx, p->owner, p->folder, doomed[i].id, p->device, err) < 0)
			return -1;
		if (!p->living && drop_item(tx, p, &doomed[i], err) < 0)
			return -1;
	}
	*room -= count;
	if (count == limit)
		return 0;
	(*room)--;
	return finish(tx, p, err);
}

/* st: the first purge there is. 1: found. */
static int read_purge(struct db_stmt *st, struct purge *ret, struct err *err)
{
	int rc = db_step(st, err);

	if (rc > 0)
		*ret = (struct purge){{db_col_u64(st, 0)}, {db_col_u64(st, 1)}, db_col_u64(st, 2),
			{db_col_u64(st, 3)}, db_col_u64(st, 4) != 0};
	return rc;
}

#define PURGE_COLUMNS                                                                              \
	"SELECT p.owner, p.folder, p.up_to, p.device, EXISTS (SELECT 1 FROM folders f WHERE"       \
	" f.owner = p.owner AND f.id = p.folder AND f.deleted = 0) FROM purges p "

int store_purge_any(struct store_tx *tx, size_t *room, struct err *err)
{
	while (*room > 0) {
		CLEANUP(db_done) struct db_stmt *st = NULL;
		struct purge p;
		int rc;

		if (store_prepare_tx(
			    tx, PURGE_COLUMNS "ORDER BY p.owner, p.folder LIMIT 1", &st, err) < 0)
			return -1;
		rc = read_purge(st, &p, err);
		db_done(&st);
		if (rc <= 0)
			return rc;
		if (keep(tx, &p, room, err) < 0)
			return -1;
	}
	return 0;
}

struct step {
	struct owner_id owner;
	struct folder_id folder;
	size_t limit;
	bool done;
};

static int step_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct step *s = owner;
	size_t room = s->limit;
	struct purge p;
	int rc;

	if (store_prepare_tx(tx,
		    PURGE_COLUMNS
		    "WHERE p.owner = $1 AND ($2 = 0 OR p.folder = $2) ORDER BY p.folder LIMIT 1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, s->owner.v);
	db_bind_u64(st, 2, s->folder.v);
	rc = read_purge(st, &p, err);
	db_done(&st);
	s->done = rc == 0;
	return rc <= 0 ? rc : keep(tx, &p, &room, err);
}

int store_purge_step(struct store *store, struct owner_id owner, struct folder_id folder,
	size_t limit, struct err *err)
{
	struct step s = {owner, folder, limit, false};

	if (store_transact(store, step_tx, &s, err) < 0)
		return -1;
	return s.done ? 0 : 1;
}
