/*
 * API tokens: one row each, found by the hash of the secret. Few; nothing is published, as nobody
 * waits by one.
 */
#include "base/mem.h"
#include "store/store_credential.h"
#include "store/store_internal.h"

#define COLUMNS                                                                                    \
	"id, owner, name, hash, scopes, created_at, created_by, expires_at, last_used_at,"         \
	" last_address FROM api_tokens "

static int read_row(struct db_stmt *st, struct arena *arena, void *ret, struct err *err)
{
	struct api_token *token = ret;
	struct store_row row = {.st = st, .arena = arena};

	token->id = store_row_u64(&row);
	token->owner.v = store_row_u64(&row);
	token->name = store_row_text(&row);
	token->hash = store_row_text(&row);
	token->scopes = store_row_text(&row);
	token->created_at = store_row_i64(&row);
	token->created_by = store_row_text(&row);
	token->expires_at = store_row_i64(&row);
	token->last_used_at = store_row_i64(&row);
	token->last_address = store_row_text(&row);
	return store_row_end(&row, err);
}

/* Not found is an error. */
static int read_single(
	struct db_stmt *st, struct arena *arena, struct api_token **ret, struct err *err)
{
	int rc = STORE_READ_ONE(st, arena, read_row, ret, err);

	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such token");
	return rc < 0 ? -1 : 0;
}

int store_token_find(struct store_read *rd, const char *hash, struct arena *arena,
	struct api_token **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "WHERE hash = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, hash);
	return read_single(st, arena, ret, err);
}

int store_token_load(struct store_read *rd, const char *name, struct arena *arena,
	struct api_token **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "WHERE name = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, name);
	return read_single(st, arena, ret, err);
}

int store_token_list(struct store_read *rd, struct arena *arena, struct api_token **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " COLUMNS "ORDER BY name", &st, err) < 0)
		return -1;
	return STORE_READ_ALL(st, arena, read_row, ret, ret_count, err);
}

int store_token_add(struct store_tx *tx, struct api_token *token, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_counter_next(tx, "api_token", &token->id, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO api_tokens (id, owner, name, hash, scopes, created_at, created_by,"
		    " expires_at, last_used_at, last_address)"
		    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '') ON CONFLICT (name) DO NOTHING",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, token->id);
	db_bind_u64(st, 2, token->owner.v);
	db_bind_text(st, 3, token->name);
	db_bind_text(st, 4, token->hash);
	db_bind_text(st, 5, token->scopes);
	db_bind_i64(st, 6, token->created_at);
	db_bind_text(st, 7, store_text(token->created_by));
	db_bind_i64(st, 8, token->expires_at);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "there is a token \"%s\" already", token->name);
	return 0;
}

int store_token_used(
	struct store_tx *tx, uint64_t id, const char *address, int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE api_tokens SET last_used_at = $2, last_address = $3 WHERE id = $1", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_i64(st, 2, now_at);
	db_bind_text(st, 3, store_text(address));
	return store_run(st, err);
}

int store_token_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
	if (store_run_id(tx, "DELETE FROM api_tokens WHERE id = $1", id, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such token");
	return 0;
}
