/*
 * What is laid down for devices which were not seen yet, which quarantines administrators have not
 * been told of, and how much each device was sent on its newest day. What is laid down for a device
 * that is there stands in its row (store_device.c).
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_access.h"
#include "store/store_internal.h"

/* ---- devices that were not seen yet ---- */

int store_unseen_set(struct store_tx *tx, const struct unseen_device *device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    device->state == ACCESS_NONE
			    ? "DELETE FROM unseen_devices WHERE owner = $1 AND device_id = $2"
			    : "INSERT INTO unseen_devices (owner, device_id, state, laid_down_at)"
			      " VALUES ($1, $2, $3, $4) ON CONFLICT (owner, device_id) DO UPDATE"
			      " SET state = excluded.state, laid_down_at = excluded.laid_down_at",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device->owner.v);
	db_bind_text(st, 2, device->device_id);
	if (device->state != ACCESS_NONE) {
		db_bind_u64(st, 3, device->state);
		db_bind_i64(st, 4, device->at);
	}
	return store_run(st, err);
}

int store_unseen_take(struct store_tx *tx, struct owner_id owner, const char *device_id,
	enum access_state *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t state = ACCESS_NONE;

	if (store_prepare_tx(tx,
		    "DELETE FROM unseen_devices WHERE owner = $1 AND device_id = $2 RETURNING "
		    "state",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_text(st, 2, device_id);
	if (store_run_u64(st, &state, err) < 0)
		return -1;
	*ret = state < ACCESS_STATES ? (enum access_state)state : ACCESS_NONE;
	return 0;
}

int store_unseen_list(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct unseen_device **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct unseen_device *devices = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT owner, device_id, state, laid_down_at FROM unseen_devices"
		    " WHERE $1 = 0 OR owner = $1 ORDER BY owner, device_id",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &devices, count, &cap, err) < 0)
			return -1;
		devices[count].owner.v = store_row_u64(&row);
		devices[count].device_id = store_row_text(&row);
		devices[count].state = (enum access_state)store_row_u64(&row);
		devices[count].at = store_row_i64(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = devices;
	*ret_count = count;
	return 0;
}

/* ---- what administrators are to be told ---- */

static int due_ids(struct store_read *rd, size_t limit, struct arena *arena, struct device_id **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct device_id *ids = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT id FROM devices WHERE access_report = 1 ORDER BY access_at, id LIMIT "
		    "$1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, limit);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &ids, count, &cap, err) < 0)
			return -1;
		ids[count++].v = db_col_u64(st, 0);
	}
	*ret = ids;
	*ret_count = count;
	return rc < 0 ? -1 : 0;
}

int store_access_due(struct store_read *rd, size_t limit, struct arena *arena, struct device **ret,
	size_t *ret_count, struct err *err)
{
	struct device_id *ids;
	struct device *devices;
	size_t count;

	if (due_ids(rd, limit, arena, &ids, &count, err) < 0)
		return -1;
	devices = arena_try_alloc(arena, (count + 1) * sizeof(*devices));
	if (devices == NULL)
		return err_set(err, ERR_INTERNAL, "devices are beyond the memory of the task");
	for (size_t i = 0; i < count; i++) {
		struct device *device;

		if (store_device_load(rd, ids[i], arena, &device, err) < 0)
			return -1;
		devices[i] = *device;
	}
	*ret = devices;
	*ret_count = count;
	return 0;
}

int store_access_due_count(struct store_read *rd, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	*ret = 0;
	if (store_prepare(rd, "SELECT COUNT(*) FROM devices WHERE access_report = 1", &st, err) < 0)
		return -1;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_access_reported(
	struct store_tx *tx, const struct device *devices, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (store_run_id(tx,
			    "UPDATE devices SET access_report = 2 WHERE id = $1"
			    " AND access_report = 1",
			    devices[i].id.v, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- how much a device was sent ---- */

int store_usage(struct store_read *rd, struct device_id device, uint64_t day,
	struct device_usage *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	*ret = (struct device_usage){0, 0};
	if (store_prepare(rd,
		    "SELECT items, bytes FROM device_usage WHERE device = $1 AND day = $2", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_u64(st, 2, day);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	*ret = (struct device_usage){db_col_u64(st, 0), db_col_u64(st, 1)};
	return 0;
}

int store_usage_add(struct store_tx *tx, struct device_id device, uint64_t day,
	const struct device_usage *more, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO device_usage (device, day, items, bytes) VALUES ($1, $2, $3, $4)"
		    " ON CONFLICT (device) DO UPDATE SET"
		    " items = CASE WHEN device_usage.day = excluded.day THEN device_usage.items"
		    " ELSE 0 END + excluded.items,"
		    " bytes = CASE WHEN device_usage.day = excluded.day THEN device_usage.bytes"
		    " ELSE 0 END + excluded.bytes, day = excluded.day",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, device.v);
	db_bind_u64(st, 2, day);
	db_bind_u64(st, 3, more->items);
	db_bind_u64(st, 4, more->bytes);
	return store_run(st, err);
}
