/*
 * What a device moved with its last request: one row a device, replaced by each request, so that it
 * is bounded by what one request may hold.
 */
#include "base/mem.h"
#include "store/store_internal.h"

static int read_moves(const uint8_t *bytes, size_t len, struct arena *arena,
	struct store_move **ret, size_t *ret_count, struct err *err)
{
	struct store_move *moves = NULL;
	size_t count = 0, cap = 0;
	struct rd in;

	rd_init(&in, bytes, len);
	while (rd_left(&in) > 0 && !in.failed) {
		if (STORE_GROW(arena, &moves, count, &cap, err) < 0)
			return -1;
		moves[count].from.v = rd_varint(&in);
		moves[count].item.v = rd_varint(&in);
		moves[count].to.v = rd_varint(&in);
		moves[count++].moved.v = rd_varint(&in);
	}
	*ret = moves;
	/* The last one of a damaged row. */
	*ret_count = in.failed ? count - 1 : count;
	return 0;
}

int store_moves_load(struct store_read *rd, struct owner_id owner, struct device_id device,
	struct arena *arena, struct store_move **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	const uint8_t *bytes;
	size_t len = 0;
	int rc;

	*ret = NULL;
	*ret_count = 0;
	if (store_prepare(rd, "SELECT moves FROM device_moves WHERE owner = $1 AND device = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, device.v);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	row.st = st;
	bytes = store_row_blob(&row, &len);
	if (store_row_end(&row, err) < 0)
		return -1;
	return read_moves(bytes, len, arena, ret, ret_count, err);
}

int store_moves_save(struct store_tx *tx, struct owner_id owner, struct device_id device,
	const struct store_move *moves, size_t count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct buf bytes = BUF_INIT;
	int result;

	for (size_t i = 0; i < count; i++) {
		buf_add_varint(&bytes, moves[i].from.v);
		buf_add_varint(&bytes, moves[i].item.v);
		buf_add_varint(&bytes, moves[i].to.v);
		buf_add_varint(&bytes, moves[i].moved.v);
	}
	if (bytes.failed)
		return err_set(err, ERR_BUSY, "no memory for what a device moved");
	result = store_prepare_tx(tx,
		"INSERT INTO device_moves (owner, device, moves) VALUES ($1, $2, $3)"
		" ON CONFLICT (owner, device) DO UPDATE SET moves = excluded.moves",
		&st, err);
	if (result == 0) {
		db_bind_u64(st, 1, owner.v);
		db_bind_u64(st, 2, device.v);
		db_bind_blob(st, 3, bytes.data, bytes.len);
		result = store_run(st, err);
	}
	buf_deinit(&bytes);
	return result;
}
