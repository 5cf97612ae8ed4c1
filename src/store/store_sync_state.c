/*
 * What the sync room remembers of each device and collection, as blobs: a few generations, and the
 * chunks of large inventories, which they share. And the keys of mail that devices sent, so that a
 * repeated request is not a second mail.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_internal.h"

static void bind_place(
	struct db_stmt *st, struct owner_id owner, struct device_id device, struct folder_id folder)
{
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	db_bind_u64(st, 3, folder.v);
}

int store_sync_chunks_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct arena *arena, struct sync_chunk_row **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct sync_chunk_row *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT chunk, bytes FROM sync_chunks WHERE owner = $1 AND device = $2"
		    " AND folder = $3 ORDER BY chunk",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count].id = store_row_u64(&row);
		rows[count].bytes = store_row_blob(&row, &rows[count].len);
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

int store_sync_state_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct arena *arena, struct sync_state_row **ret,
	size_t *ret_count, struct sync_chunk_row **ret_chunks, size_t *ret_chunk_count,
	struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct sync_state_row *rows =
		arena_try_alloc(arena, STORE_SYNC_GENERATIONS_MAX * sizeof(*rows));
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
	while (count < STORE_SYNC_GENERATIONS_MAX && (rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		rows[count].key = store_row_u64(&row);
		rows[count].generation = (uint8_t)store_row_u64(&row);
		rows[count].blob = store_row_blob(&row, &rows[count].blob_len);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0 || (ret_chunks != NULL && store_sync_chunks_load(rd, device, owner, folder,
						     arena, ret_chunks, ret_chunk_count, err) < 0))
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

#define FOLDER_STATES                                                                              \
	"SELECT f.id, f.type, f.items_seq, s.generation, s.sync_key, s.state FROM folders f"       \
	" LEFT JOIN sync_states s ON s.owner = $1 AND s.device = $2 AND s.folder = f.id AND"       \
	" s.generation = 0 WHERE f.owner = $1 AND f.deleted = 0 AND f.id IN ($3, $4, $5, $6, $7, " \
	"$8"

/* The list of a statement has a fixed length; nothing equals the rest, which is NULL. */
static int prepare_folder_states(struct store_read *rd, size_t count, struct db_stmt **ret,
	size_t *ret_room, struct err *err)
{
	*ret_room = count <= 6 ? 6 : STORE_FOLDER_STATES_MAX;
	return count <= 6 ? store_prepare(rd, FOLDER_STATES ")", ret, err)
			  : store_prepare(rd,
				    FOLDER_STATES
				    ", $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,"
				    " $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32,"
				    " $33, $34)",
				    ret, err);
}

static int read_folder_state(
	struct db_stmt *st, struct arena *arena, struct folder_state_row *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	*ret = (struct folder_state_row){.folder.v = store_row_u64(&row)};
	ret->type = (enum folder_type)store_row_u64(&row);
	ret->items_seq = store_row_u64(&row);
	ret->has_state = !db_col_null(st, 3);
	ret->state.generation = (uint8_t)store_row_u64(&row);
	ret->state.key = store_row_u64(&row);
	ret->state.blob = store_row_blob(&row, &ret->state.blob_len);
	return store_row_end(&row, err);
}

int store_folder_states_load(struct store_read *rd, struct device_id device, struct owner_id owner,
	const struct folder_id *ids, size_t count, struct arena *arena,
	struct folder_state_row *ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t room, found = 0;
	int rc = 0;

	assert(count <= STORE_FOLDER_STATES_MAX);
	if (prepare_folder_states(rd, count, &st, &room, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	for (size_t i = 0; i < room; i++) {
		if (i < count)
			db_bind_u64(st, (int)(3 + i), ids[i].v);
		else
			db_bind_null(st, (int)(3 + i));
	}
	while (found < count && (rc = db_step(st, err)) > 0) {
		if (read_folder_state(st, arena, &ret[found], err) < 0)
			return -1;
		found++;
	}
	if (rc < 0)
		return -1;
	*ret_count = found;
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

/* All but those that are kept; at most STORE_SYNC_GENERATIONS_MAX of them. */
static int delete_others(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_state_row *rows, size_t count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM sync_states WHERE owner = $1 AND device = $2 AND folder = $3"
		    " AND generation NOT IN ($4, $5, $6, $7, $8, $9)",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	for (size_t i = 0; i < STORE_SYNC_GENERATIONS_MAX; i++)
		db_bind_i64(st, (int)(4 + i), i < count ? rows[i].generation : -1);
	return store_run(st, err);
}

static int insert_chunk(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_chunk_row *chunk, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO sync_chunks (owner, device, folder, chunk, bytes)"
		    " VALUES ($1, $2, $3, $4, $5)",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	db_bind_u64(st, 4, chunk->id);
	db_bind_blob(st, 5, chunk->bytes, chunk->len);
	return store_run(st, err);
}

static int delete_chunk(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, uint64_t chunk, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM sync_chunks WHERE owner = $1 AND device = $2 AND folder = $3"
		    " AND chunk = $4",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	db_bind_u64(st, 4, chunk);
	return store_run(st, err);
}

/* Marks in `there` which chunks are stored; deletes the others that are. */
static int compare_chunks(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_chunk_row *chunks, size_t count, bool *there,
	struct arena *arena, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t *stale = NULL;
	size_t stale_count = 0, cap = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT chunk FROM sync_chunks WHERE owner = $1 AND device = $2"
		    " AND folder = $3",
		    &st, err) < 0)
		return -1;
	bind_place(st, owner, device, folder);
	while ((rc = db_step(st, err)) > 0) {
		uint64_t id = db_col_u64(st, 0);
		size_t i = 0;

		while (i < count && chunks[i].id != id)
			i++;
		if (i < count) {
			there[i] = true;
			continue;
		}
		if (STORE_GROW(arena, &stale, stale_count, &cap, err) < 0)
			return -1;
		stale[stale_count++] = id;
	}
	for (size_t i = 0; rc == 0 && i < stale_count; i++)
		rc = delete_chunk(tx, device, owner, folder, stale[i], err);
	return rc;
}

static int save_chunks(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_chunk_row *chunks, size_t count, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	bool *there = arena_x_alloc(arena, (count + 1) * sizeof(*there));

	memset(there, 0, (count + 1) * sizeof(*there));
	if (compare_chunks(tx, device, owner, folder, chunks, count, there, arena, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!there[i] && insert_chunk(tx, device, owner, folder, &chunks[i], err) < 0)
			return -1;
	}
	return 0;
}

/* A phone may be forgotten while it is served: nobody would ever remove what is saved after. */
static int check_device(struct store_tx *tx, struct device_id device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t one;
	int rc;

	if (store_prepare_tx(tx, "SELECT 1 FROM devices WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	rc = store_run_u64(st, &one, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no device %" PRIu64, device.v);
	return rc < 0 ? -1 : 0;
}

int store_sync_state_save(struct store_tx *tx, struct device_id device, struct owner_id owner,
	struct folder_id folder, const struct sync_state_row *rows, size_t count,
	const struct sync_chunk_row *chunks, size_t chunk_count, struct err *err)
{
	bool saved[STORE_SYNC_GENERATIONS_MAX] = {false};

	if (check_device(tx, device, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (rows[i].generation >= STORE_SYNC_GENERATIONS_MAX || saved[rows[i].generation])
			return err_set(err, ERR_INTERNAL, "generation %d of a sync state",
				rows[i].generation);
		if (save_row(tx, device, owner, folder, &rows[i], err) < 0)
			return -1;
		saved[rows[i].generation] = true;
	}
	if (delete_others(tx, device, owner, folder, rows, count, err) < 0)
		return -1;
	return save_chunks(tx, device, owner, folder, chunks, chunk_count, err);
}

int store_sync_state_list(struct store_read *rd, struct device_id device, struct arena *arena,
	struct sync_collection_ref **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct sync_collection_ref *refs = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT DISTINCT owner, folder FROM sync_states WHERE device = $1"
		    " ORDER BY owner, folder",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &refs, count, &cap, err) < 0)
			return -1;
		refs[count].owner.v = db_col_u64(st, 0);
		refs[count++].folder.v = db_col_u64(st, 1);
	}
	if (rc < 0)
		return -1;
	*ret = refs;
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

/* ---- items added by devices ---- */

int store_added_find(struct store_read *rd, struct owner_id owner, struct device_id device,
	struct folder_id folder, uint64_t add_hash, struct item_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT item FROM added WHERE owner = $1 AND device = $2 AND folder = $3"
		    " AND add_hash = $4",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	db_bind_u64(st, 3, folder.v);
	db_bind_u64(st, 4, add_hash);
	rc = store_run_u64(st, &ret->v, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "the device has not added that");
	return rc < 0 ? -1 : 0;
}

int store_added_note(struct store_tx *tx, struct owner_id owner, struct device_id device,
	struct folder_id folder, uint64_t add_hash, struct item_id item, int64_t now_at,
	int64_t forget_before_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *forget = NULL, *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM added WHERE owner = $1 AND device = $2 AND added_at < $3", &forget,
		    err) < 0)
		return -1;
	db_bind_u64(forget, 1, owner.v);
	db_bind_u64(forget, 2, device.v);
	db_bind_i64(forget, 3, forget_before_at);
	if (store_run(forget, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO added (owner, device, folder, add_hash, item, added_at)"
		    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, device, folder, add_hash)"
		    " DO UPDATE SET item = excluded.item, added_at = excluded.added_at",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	db_bind_u64(st, 3, folder.v);
	db_bind_u64(st, 4, add_hash);
	db_bind_u64(st, 5, item.v);
	db_bind_i64(st, 6, now_at);
	return store_run(st, err);
}
