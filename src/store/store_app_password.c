/*
 * App passwords: one row each, found by the owner and what auth/auth_secret.c makes of the secret.
 * The index is on the hash alone, so a look costs the same whether there is such a one or not.
 *
 * A deletion publishes CHANGE_USER, so phones that wait by it are asked to sign in.
 */
#include "base/mem.h"
#include "store/store_credential.h"
#include "store/store_internal.h"

#define COLUMNS                                                                                    \
	"owner, id, name, verifier, binding, device_id, created_at, created_by, last_used_at,"     \
	" last_device_id, last_address FROM app_passwords "

static int read_row(struct db_stmt *st, struct arena *arena, void *ret, struct err *err)
{
	struct app_password *app = ret;
	struct store_row row = {.st = st, .arena = arena};

	app->owner.v = store_row_u64(&row);
	app->id = store_row_u64(&row);
	app->name = store_row_text(&row);
	app->verifier = store_row_text(&row);
	app->binding = (enum app_binding)store_row_u64(&row);
	app->device_id = store_row_text(&row);
	app->created_at = store_row_i64(&row);
	app->created_by = store_row_text(&row);
	app->last_used_at = store_row_i64(&row);
	app->last_device_id = store_row_text(&row);
	app->last_address = store_row_text(&row);
	return store_row_end(&row, err);
}

/* Not found is an error. */
static int read_single(
	struct db_stmt *st, struct arena *arena, struct app_password **ret, struct err *err)
{
	int rc = STORE_READ_ONE(st, arena, read_row, ret, err);

	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such app password");
	return rc < 0 ? -1 : 0;
}

int store_app_password_find(struct store_read *rd, struct owner_id owner, const char *verifier,
	struct arena *arena, struct app_password **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "WHERE verifier = $1 AND owner = $2", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, verifier);
	db_bind_u64(st, 2, owner.v);
	return read_single(st, arena, ret, err);
}

int store_app_password_load(struct store_read *rd, struct owner_id owner, uint64_t id,
	struct arena *arena, struct app_password **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "WHERE owner = $1 AND id = $2", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id);
	return read_single(st, arena, ret, err);
}

int store_app_password_list(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct app_password **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "WHERE owner = $1 ORDER BY id", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return STORE_READ_ALL(st, arena, read_row, ret, ret_count, err);
}

/* Is there room, and the name free? */
static int check_new(
	struct store_tx *tx, const struct app_password *app, size_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *count = NULL, *same = NULL;
	uint64_t n = 0;
	int rc;

	if (store_prepare_tx(
		    tx, "SELECT count(*) FROM app_passwords WHERE owner = $1", &count, err) < 0)
		return -1;
	db_bind_u64(count, 1, app->owner.v);
	if (store_run_u64(count, &n, err) < 0)
		return -1;
	if (n >= max)
		return err_set(err, ERR_QUOTA, "there are %zu app passwords already: revoke one",
			(size_t)n);
	if (store_prepare_tx(tx, "SELECT id FROM app_passwords WHERE owner = $1 AND name = $2",
		    &same, err) < 0)
		return -1;
	db_bind_u64(same, 1, app->owner.v);
	db_bind_text(same, 2, app->name);
	rc = store_run_u64(same, &n, err);
	if (rc > 0)
		return err_set(
			err, ERR_CONFLICT, "there is an app password \"%s\" already", app->name);
	return rc;
}

int store_app_password_add(
	struct store_tx *tx, struct app_password *app, size_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (check_new(tx, app, max, err) < 0 ||
		store_counter_next(tx, "app_password", &app->id, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO app_passwords (owner, id, name, verifier, binding, device_id,"
		    " created_at, created_by, last_used_at, last_device_id, last_address)"
		    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '', '')",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, app->owner.v);
	db_bind_u64(st, 2, app->id);
	db_bind_text(st, 3, app->name);
	db_bind_text(st, 4, app->verifier);
	db_bind_u64(st, 5, app->binding);
	db_bind_text(st, 6, store_text(app->device_id));
	db_bind_i64(st, 7, app->created_at);
	db_bind_text(st, 8, store_text(app->created_by));
	return store_run(st, err);
}

int store_app_password_bind(struct store_tx *tx, struct owner_id owner, uint64_t id,
	const char *device_id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE app_passwords SET binding = 2, device_id = $3 WHERE owner = $1"
		    " AND id = $2 AND (binding = 1 OR (binding = 2 AND device_id = $3))",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id);
	db_bind_text(st, 3, device_id);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "the app password belongs to another device");
	return 0;
}

int store_app_password_used(struct store_tx *tx, struct owner_id owner, uint64_t id,
	const char *device_id, const char *address, int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE app_passwords SET last_used_at = $3, last_device_id = $4,"
		    " last_address = $5 WHERE owner = $1 AND id = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id);
	db_bind_i64(st, 3, now_at);
	db_bind_text(st, 4, store_text(device_id));
	db_bind_text(st, 5, store_text(address));
	return store_run(st, err);
}

int store_app_password_delete(
	struct store_tx *tx, struct owner_id owner, uint64_t id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(
		    tx, "DELETE FROM app_passwords WHERE owner = $1 AND id = $2", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such app password");
	return store_user_touch(tx, owner, err);
}
