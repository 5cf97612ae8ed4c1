/*
 * What the sync room remembers of each device and collection, as blobs: up to three generations.
 * And the keys of mail that devices sent, so that a repeated request is not a second mail.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_internal.h"

enum { GENERATIONS = 3 };

static void bind_place(
	struct db_stmt *st, struct owner_id owner, struct device_id device, struct folder_id folder)
{
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	db_bind_u64(st, 3, folder.v);
}

int store_sync_state_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct arena *arena, struct sync_state_row **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct sync_state_row *rows = arena_try_alloc(arena, GENERATIONS * sizeof(*rows));
	size_t count = 0;
	int rc = 0;

	if (rows == NULL)
		return err_set(err, ERR_INTERNAL, "a sync state is beyond the request's memory");
	if (store_prepare(rd,
		    "SELECT sync_key, generation, state FROM sync_states WHERE owner = $1"
		    " AND device = $2 AND folder = $3 ORDER BY generation",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	while (count < GENERATIONS && (rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		rows[count].key = store_row_u64(&row);
		rows[count].generation = (uint8_t)store_row_u64(&row);
		rows[count].blob = store_row_blob(&row, &rows[count].blob_len);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

static int save_row(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_state_row *row, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO sync_states (owner, device, folder, generation, sync_key, state)"
		    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, device, folder, "
		    "generation)"
		    " DO UPDATE SET sync_key = excluded.sync_key, state = excluded.state",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	db_bind_u64(st, 4, row->generation);
	db_bind_u64(st, 5, row->key);
	db_bind_blob(st, 6, row->blob, row->blob_len);
	return store_run(st, err);
}

static int delete_row(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, uint64_t generation, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM sync_states WHERE owner = $1 AND device = $2 AND folder = $3"
		    " AND generation = $4",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	db_bind_u64(st, 4, generation);
	return store_run(st, err);
}

int store_sync_state_save(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_state_row *rows, size_t count, struct err *err)
{
	bool saved[GENERATIONS] = {false};

	for (size_t i = 0; i < count; i++) {
		if (rows[i].generation >= GENERATIONS || saved[rows[i].generation])
			return err_set(err, ERR_INTERNAL, "generation %d of a sync state",
				rows[i].generation);
		if (save_row(tx, device, owner, folder, &rows[i], err) < 0)
			return -1;
		saved[rows[i].generation] = true;
	}
	for (uint64_t generation = 0; generation < GENERATIONS; generation++) {
		if (!saved[generation] &&
			delete_row(tx, device, owner, folder, generation, err) < 0)
			return -1;
	}
	return 0;
}

int store_sync_state_folders(struct store_read *rd, struct device_id device, struct arena *arena,
	struct folder_id **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct folder_id *ids = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT DISTINCT folder FROM sync_states WHERE device = $1 ORDER BY folder",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &ids, count, &cap, err) < 0)
			return -1;
		ids[count++].v = db_col_u64(st, 0);
	}
	if (rc < 0)
		return -1;
	*ret = ids;
	*ret_count = count;
	return 0;
}

/* ---- sent mail ---- */

static int owner_of(
	struct store_tx *tx, struct device_id device, struct owner_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare_tx(tx, "SELECT owner FROM devices WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	rc = store_run_u64(st, &ret->v, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no device %" PRIu64, device.v);
	return rc < 0 ? -1 : 0;
}

int store_sent_note(struct store_tx *tx, struct device_id device, const char *key, int64_t now_at,
	int64_t forget_before_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *forget = NULL, *st = NULL;
	struct owner_id owner = {0};

	if (owner_of(tx, device, &owner, err) < 0 ||
		store_prepare_tx(tx,
			"DELETE FROM sent WHERE owner = $1 AND device = $2 AND sent_at < $3",
			&forget, err) < 0)
		return -1;
	db_bind_u64(forget, 1, owner.v);
	db_bind_u64(forget, 2, device.v);
	db_bind_i64(forget, 3, forget_before_at);
	if (store_run(forget, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO sent (owner, device, sent_key, sent_at) VALUES ($1, $2, $3, $4)"
		    " ON CONFLICT (owner, device, sent_key) DO NOTHING",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	db_bind_text(st, 3, key);
	db_bind_i64(st, 4, now_at);
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? 1 : 0;
}
