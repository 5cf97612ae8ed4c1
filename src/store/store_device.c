/*
 * Devices: one row each. Commands running side by side save single groups of columns, so that they
 * do not undo each other. Administrative changes (wipe, blocked, removal) raise the device's epoch,
 * take a seq of the owner and publish CHANGE_DEVICE.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_access.h"
#include "store/store_internal.h"
#include "store/store_rules.h"

#define DEVICE_COLUMNS                                                                             \
	"id, owner, device_id, device_type, user_agent, model, os, friendly_name, phone_number,"   \
	" imei, language, operator_name, protocol_version, first_seen_at, last_seen_at,"           \
	" policy_key, policy_key_temporary, policy_status, policy_version, provisioned_at, wipe,"  \
	" wipe_at, wipe_account, blocked, epoch, credential, ping_heartbeat_s, ping_folders,"      \
	" sync_request"

/* Written by functions of their own alone. */
#define ACCESS_COLUMNS                                                                             \
	", access_own, access_state, access_reason, access_at, access_report, informed_at, "       \
	"ceiling"

static int read_device(struct db_stmt *st, struct arena *arena, void *ret, struct err *err)
{
	struct device *device = ret;
	struct store_row row = {.st = st, .arena = arena};

	device->id.v = store_row_u64(&row);
	device->owner.v = store_row_u64(&row);
	device->device_id = store_row_text(&row);
	device->device_type = store_row_text(&row);
	device->user_agent = store_row_text(&row);
	device->model = store_row_text(&row);
	device->os = store_row_text(&row);
	device->friendly_name = store_row_text(&row);
	device->phone_number = store_row_text(&row);
	device->imei = store_row_text(&row);
	device->language = store_row_text(&row);
	device->operator_name = store_row_text(&row);
	device->protocol_version = (uint16_t)store_row_u64(&row);
	device->first_seen_at = store_row_i64(&row);
	device->last_seen_at = store_row_i64(&row);
	device->policy_key = (uint32_t)store_row_u64(&row);
	device->policy_key_temporary = (uint32_t)store_row_u64(&row);
	device->policy_status = (uint8_t)store_row_u64(&row);
	device->policy_version = store_row_u64(&row);
	device->provisioned_at = store_row_i64(&row);
	device->wipe = (enum wipe_state)store_row_u64(&row);
	device->wipe_at = store_row_i64(&row);
	device->wipe_account = store_row_u64(&row) != 0;
	device->blocked = store_row_u64(&row) != 0;
	device->epoch = store_row_u64(&row);
	device->credential = store_row_text(&row);
	device->ping_heartbeat_s = (uint32_t)store_row_u64(&row);
	device->ping_folders = store_row_blob(&row, &device->ping_folders_len);
	device->sync_request = store_row_blob(&row, &device->sync_request_len);
	device->access_own = (uint8_t)store_row_u64(&row);
	device->access_state = (uint8_t)store_row_u64(&row);
	device->access_reason = store_row_text(&row);
	device->access_at = store_row_i64(&row);
	device->access_report = (uint8_t)store_row_u64(&row);
	device->informed_at = store_row_i64(&row);
	device->ceiling = (uint16_t)store_row_u64(&row);
	device->blocked = device->access_own == ACCESS_BLOCK;
	return store_row_end(&row, err);
}

static int no_device(struct device_id id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no device %" PRIu64, id.v);
}

int store_device_find(struct store_read *rd, struct owner_id owner, const char *device_id,
	struct arena *arena, struct device **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT " DEVICE_COLUMNS ACCESS_COLUMNS
		    " FROM devices WHERE owner = $1 AND device_id = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_text(st, 2, device_id);
	rc = STORE_READ_ONE(st, arena, read_device, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "owner %" PRIu64 " has no device %.100s",
			owner.v, device_id);
	return rc < 0 ? -1 : 0;
}

int store_device_load(struct store_read *rd, struct device_id id, struct arena *arena,
	struct device **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, "SELECT " DEVICE_COLUMNS ACCESS_COLUMNS " FROM devices WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	rc = STORE_READ_ONE(st, arena, read_device, ret, err);
	if (rc == 0)
		return no_device(id, err);
	return rc < 0 ? -1 : 0;
}

static int read_list(struct db_stmt *st, struct arena *arena, struct device **ret,
	size_t *ret_count, struct err *err)
{
	return STORE_READ_ALL(st, arena, read_device, ret, ret_count, err);
}

int store_device_list(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct device **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (owner.v == 0) {
		if (store_prepare(rd,
			    "SELECT " DEVICE_COLUMNS ACCESS_COLUMNS
			    " FROM devices ORDER BY owner, id",
			    &st, err) < 0)
			return -1;
		return read_list(st, arena, ret, ret_count, err);
	}
	if (store_prepare(rd,
		    "SELECT " DEVICE_COLUMNS ACCESS_COLUMNS
		    " FROM devices WHERE owner = $1 ORDER BY id",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return read_list(st, arena, ret, ret_count, err);
}

int store_device_count(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT COUNT(*) FROM devices WHERE owner = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	if (db_step(st, err) <= 0)
		return -1;
	*ret = db_col_u64(st, 0);
	return 0;
}

/* ---- saving ---- */

static void bind_all(struct db_stmt *st, const struct device *d)
{
	db_bind_u64(st, 1, d->id.v);
	db_bind_u64(st, 2, d->owner.v);
	db_bind_text(st, 3, store_text(d->device_id));
	db_bind_text(st, 4, store_text(d->device_type));
	db_bind_text(st, 5, store_text(d->user_agent));
	db_bind_text(st, 6, store_text(d->model));
	db_bind_text(st, 7, store_text(d->os));
	db_bind_text(st, 8, store_text(d->friendly_name));
	db_bind_text(st, 9, store_text(d->phone_number));
	db_bind_text(st, 10, store_text(d->imei));
	db_bind_text(st, 11, store_text(d->language));
	db_bind_text(st, 12, store_text(d->operator_name));
	db_bind_u64(st, 13, d->protocol_version);
	db_bind_i64(st, 14, d->first_seen_at);
	db_bind_i64(st, 15, d->last_seen_at);
	db_bind_u64(st, 16, d->policy_key);
	db_bind_u64(st, 17, d->policy_key_temporary);
	db_bind_u64(st, 18, d->policy_status);
	db_bind_u64(st, 19, d->policy_version);
	db_bind_i64(st, 20, d->provisioned_at);
	db_bind_u64(st, 21, d->wipe);
	db_bind_i64(st, 22, d->wipe_at);
	db_bind_u64(st, 23, d->wipe_account);
	db_bind_u64(st, 24, d->blocked);
	db_bind_u64(st, 25, d->epoch);
	db_bind_text(st, 26, store_text(d->credential));
	db_bind_u64(st, 27, d->ping_heartbeat_s);
	db_bind_blob(st, 28, d->ping_folders, d->ping_folders_len);
	db_bind_blob(st, 29, d->sync_request, d->sync_request_len);
}

static int insert(struct store_tx *tx, const struct device *device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO devices (" DEVICE_COLUMNS
		    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8,"
		    " $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, "
		    "$24,"
		    " $25, $26, $27, $28, $29) ON CONFLICT (owner, device_id) DO NOTHING",
		    &st, err) < 0)
		return -1;
	bind_all(st, device);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "owner %" PRIu64 " has a device %.100s already",
			device->owner.v, device->device_id);
	return 0;
}

/* After an UPDATE of one device. */
static int updated(struct store_tx *tx, struct db_stmt *st, struct device_id id, struct err *err)
{
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? no_device(id, err) : 0;
}

/* st changes one device and returns its owner. */
static int administer(struct store_tx *tx, struct db_stmt *st, struct device_id id, struct err *err)
{
	struct change_event event = {.device = id, .kinds = CHANGE_DEVICE};
	int rc = store_run_u64(st, &event.owner.v, err);

	if (rc == 0)
		return no_device(id, err);
	if (rc < 0 || store_tx_seq(tx, event.owner, &event.seq, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}

int store_device_save(struct store_tx *tx, struct device *device, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct device fresh = *device;

	if (device->id.v == 0) {
		if (store_counter_next(tx, "device", &fresh.id.v, err) < 0 ||
			insert(tx, &fresh, err) < 0)
			return -1;
		device->id = fresh.id;
		return 0;
	}
	if (store_prepare_tx(tx,
		    "UPDATE devices SET device_id = $3, device_type = $4, user_agent = $5, model = "
		    "$6,"
		    " os = $7, friendly_name = $8, phone_number = $9, imei = $10, language = $11,"
		    " operator_name = $12, protocol_version = $13, first_seen_at = $14,"
		    " last_seen_at = $15, policy_key = $16, policy_key_temporary = $17,"
		    " policy_status = $18, policy_version = $19, provisioned_at = $20, wipe = $21,"
		    " wipe_at = $22, wipe_account = $23, blocked = $24, epoch = $25,"
		    " credential = $26, ping_heartbeat_s = $27,"
		    " ping_folders = $28, sync_request = $29 WHERE id = $1 AND owner = $2",
		    &st, err) < 0)
		return -1;
	bind_all(st, device);
	return updated(tx, st, device->id, err);
}

int store_device_set_ping(struct store_tx *tx, struct device_id id, uint32_t heartbeat_s,
	const void *folders, size_t len, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET ping_heartbeat_s = $2, ping_folders = $3 WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, heartbeat_s);
	db_bind_blob(st, 3, folders, len);
	return updated(tx, st, id, err);
}

int store_device_sync_request(struct store_read *rd, struct device_id id, struct arena *arena,
	const uint8_t **ret, size_t *ret_len, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	int rc;

	*ret = NULL;
	*ret_len = 0;
	if (store_prepare(rd, "SELECT sync_request FROM devices WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	row.st = st;
	*ret = store_row_blob(&row, ret_len);
	return store_row_end(&row, err);
}

int store_device_set_sync_request(
	struct store_tx *tx, struct device_id id, const void *bytes, size_t len, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "UPDATE devices SET sync_request = $2 WHERE id = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_blob(st, 2, bytes, len);
	return updated(tx, st, id, err);
}

int store_device_set_seen(struct store_tx *tx, struct device_id id, uint16_t version,
	const char *user_agent, const char *device_type, int64_t at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET protocol_version = $2, user_agent = $3, device_type = $4,"
		    " last_seen_at = $5 WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, version);
	db_bind_text(st, 3, store_text(user_agent));
	db_bind_text(st, 4, store_text(device_type));
	db_bind_i64(st, 5, at);
	return updated(tx, st, id, err);
}

int store_device_set_credential(
	struct store_tx *tx, struct device_id id, const char *verifier, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "UPDATE devices SET credential = $2 WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, store_text(verifier));
	return updated(tx, st, id, err);
}

int store_device_set_policy(struct store_tx *tx, struct device_id id, uint32_t temporary,
	uint32_t final, uint8_t status, uint64_t policy_version, int64_t at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET policy_key_temporary = $2, policy_key = $3,"
		    " policy_status = $4, policy_version = $5, provisioned_at = $6 WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, temporary);
	db_bind_u64(st, 3, final);
	db_bind_u64(st, 4, status);
	db_bind_u64(st, 5, policy_version);
	db_bind_i64(st, 6, at);
	return updated(tx, st, id, err);
}

int store_device_set_information(struct store_tx *tx, struct device_id id,
	const struct device_information *information, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET model = COALESCE($2, model), imei = COALESCE($3, imei),"
		    " friendly_name = COALESCE($4, friendly_name), os = COALESCE($5, os),"
		    " language = COALESCE($6, language),"
		    " phone_number = COALESCE($7, phone_number),"
		    " operator_name = COALESCE($8, operator_name),"
		    " outbound_sms = CASE WHEN $9 < 0 THEN outbound_sms ELSE $9 END,"
		    " informed_at = $10 WHERE id = $1 RETURNING owner",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, information->model);
	db_bind_text(st, 3, information->imei);
	db_bind_text(st, 4, information->friendly_name);
	db_bind_text(st, 5, information->os);
	db_bind_text(st, 6, information->language);
	db_bind_text(st, 7, information->phone_number);
	db_bind_text(st, 8, information->operator_name);
	db_bind_i64(st, 9, information->outbound_sms);
	db_bind_i64(st, 10, information->at);
	/* Access rules may say something else of it now. */
	return administer(tx, st, id, err);
}

int store_device_recovery(struct store_read *rd, struct device_id id, struct arena *arena,
	const char **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	int rc;

	*ret = "";
	if (store_prepare(rd, "SELECT recovery_password FROM devices WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	row.st = st;
	*ret = store_row_text(&row);
	return store_row_end(&row, err);
}

int store_device_set_recovery(
	struct store_tx *tx, struct device_id id, const char *password, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(
		    tx, "UPDATE devices SET recovery_password = $2 WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, store_text(password));
	return updated(tx, st, id, err);
}

/* ---- administrative changes ---- */

int store_device_set_wipe(struct store_tx *tx, struct device_id id, enum wipe_state state,
	int64_t at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET wipe = $2, wipe_at = $3, epoch = epoch + 1 WHERE id = $1"
		    " RETURNING owner",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, state);
	db_bind_i64(st, 3, at);
	return administer(tx, st, id, err);
}

/* sql sets one column of a device to a number. */
static int administer_column(
	struct store_tx *tx, const char *sql, struct device_id id, uint64_t value, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, value);
	return administer(tx, st, id, err);
}

int store_device_set_access(
	struct store_tx *tx, struct device_id id, enum access_state state, struct err *err)
{
	return administer_column(tx,
		"UPDATE devices SET access_own = $2, epoch = epoch + 1 WHERE id = $1"
		" RETURNING owner",
		id, state, err);
}

int store_device_touch(struct store_tx *tx, struct device_id id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET epoch = epoch + 1 WHERE id = $1 RETURNING owner", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	return administer(tx, st, id, err);
}

int store_device_set_blocked(
	struct store_tx *tx, struct device_id id, bool blocked, struct err *err)
{
	return store_device_set_access(tx, id, blocked ? ACCESS_BLOCK : ACCESS_NONE, err);
}

int store_device_set_ceiling(
	struct store_tx *tx, struct device_id id, uint16_t ceiling, struct err *err)
{
	return administer_column(tx,
		"UPDATE devices SET ceiling = $2, epoch = epoch + 1 WHERE id = $1"
		" RETURNING owner",
		id, ceiling, err);
}

int store_device_note_access(struct store_tx *tx, struct device_id id, enum access_state state,
	const char *reason, int64_t at, enum access_report report, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE devices SET access_state = $2, access_reason = $3, access_at = $4,"
		    " access_report = $5 WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, state);
	db_bind_text(st, 3, store_text(reason));
	db_bind_i64(st, 4, at);
	db_bind_u64(st, 5, report);
	return updated(tx, st, id, err);
}

int store_device_forget(struct store_tx *tx, struct device_id id, struct err *err)
{
	if (store_run_id(tx,
		    "DELETE FROM sent WHERE owner = (SELECT owner FROM devices WHERE id = $1)"
		    " AND device = $1",
		    id.v, err) < 0 ||
		store_run_id(tx,
			"DELETE FROM added WHERE owner = (SELECT owner FROM devices WHERE id = $1)"
			" AND device = $1",
			id.v, err) < 0 ||
		store_run_id(tx,
			"DELETE FROM device_moves WHERE owner ="
			" (SELECT owner FROM devices WHERE id = $1) AND device = $1",
			id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM sync_states WHERE device = $1", id.v, err) < 0)
		return -1;
	return store_run_id(tx, "DELETE FROM sync_chunks WHERE device = $1", id.v, err);
}

int store_device_delete(struct store_tx *tx, struct device_id id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct scope scope = {SCOPE_DEVICE, id.v, ""};

	if (store_scope_forget(tx, &scope, err) < 0 || store_device_forget(tx, id, err) < 0 ||
		store_run_id(tx, "DELETE FROM device_usage WHERE device = $1", id.v, err) < 0 ||
		store_run_id(tx,
			"DELETE FROM wipes WHERE owner = (SELECT owner FROM devices WHERE id = $1)"
			" AND device = $1",
			id.v, err) < 0 ||
		store_prepare_tx(
			tx, "DELETE FROM devices WHERE id = $1 RETURNING owner", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	return administer(tx, st, id, err);
}
