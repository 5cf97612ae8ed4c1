/*
 * Sessions of web browsers: one row each, found by the hash of the cookie. A row says until when it
 * is good; being seen moves that on, up to what the caller allows. Rows that are over stay until
 * the sweep, and are not found.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_credential.h"
#include "store/store_internal.h"

#define COLUMNS                                                                                    \
	"s.hash, s.owner, s.csrf, s.created_at, s.last_seen_at, s.expires_at, s.address,"          \
	" s.user_agent FROM web_sessions s "

enum { AGENT_MAX_BYTES = 256 };

static int read_row(struct db_stmt *st, struct arena *arena, void *ret, struct err *err)
{
	struct web_session *session = ret;
	struct store_row row = {.st = st, .arena = arena};

	session->hash = store_row_text(&row);
	session->owner.v = store_row_u64(&row);
	session->csrf = store_row_text(&row);
	session->created_at = store_row_i64(&row);
	session->last_seen_at = store_row_i64(&row);
	session->expires_at = store_row_i64(&row);
	session->address = store_row_text(&row);
	session->user_agent = store_row_text(&row);
	return store_row_end(&row, err);
}

int store_session_find(struct store_read *rd, const char *hash, int64_t now_at, struct arena *arena,
	struct web_session **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT " COLUMNS "JOIN users u ON u.owner = s.owner AND u.disabled = 0"
		    " WHERE s.hash = $1 AND s.expires_at > $2",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, hash);
	db_bind_i64(st, 2, now_at);
	rc = STORE_READ_ONE(st, arena, read_row, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such session, or it is over");
	return rc < 0 ? -1 : 0;
}

static int make_room(struct store_tx *tx, struct owner_id owner, size_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM web_sessions WHERE owner = $1 AND hash NOT IN (SELECT hash FROM"
		    " web_sessions WHERE owner = $1 ORDER BY created_at DESC, hash LIMIT $2)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, max > 0 ? max - 1 : 0);
	return store_run(st, err);
}

int store_session_add(
	struct store_tx *tx, const struct web_session *session, size_t max, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	const char *agent = store_text(session->user_agent);

	if (make_room(tx, session->owner, max, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO web_sessions (hash, owner, csrf, created_at, last_seen_at,"
		    " expires_at, address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, session->hash);
	db_bind_u64(st, 2, session->owner.v);
	db_bind_text(st, 3, session->csrf);
	db_bind_i64(st, 4, session->created_at);
	db_bind_i64(st, 5, session->created_at);
	db_bind_i64(st, 6, session->expires_at);
	db_bind_text(st, 7, store_text(session->address));
	db_bind_text(st, 8,
		arena_x_strndup(arena, agent, utf8_floor(agent, strlen(agent), AGENT_MAX_BYTES)));
	return store_run(st, err);
}

int store_session_seen(
	struct store_tx *tx, const char *hash, int64_t now_at, int64_t expires_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE web_sessions SET last_seen_at = $2, expires_at = $3"
		    " WHERE hash = $1 AND expires_at > $2",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, hash);
	db_bind_i64(st, 2, now_at);
	db_bind_i64(st, 3, expires_at);
	return store_run(st, err);
}

int store_session_end(struct store_tx *tx, const char *hash, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "DELETE FROM web_sessions WHERE hash = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, hash);
	return store_run(st, err);
}

int store_session_end_all(struct store_tx *tx, struct owner_id owner, struct err *err)
{
	return store_run_id(tx, "DELETE FROM web_sessions WHERE owner = $1", owner.v, err);
}

int store_session_list(struct store_read *rd, struct owner_id owner, int64_t now_at,
	struct arena *arena, struct web_session **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " COLUMNS "WHERE s.owner = $1 AND s.expires_at > $2"
		    " ORDER BY s.created_at DESC, s.hash",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_i64(st, 2, now_at);
	return STORE_READ_ALL(st, arena, read_row, ret, ret_count, err);
}

int store_session_sweep(struct store *store, int64_t now_at, size_t limit, struct err *err)
{
	return store_sweep_rows(store,
		"DELETE FROM web_sessions WHERE hash"
		" IN (SELECT hash FROM web_sessions WHERE expires_at <= $1 ORDER BY expires_at "
		"LIMIT $2)",
		now_at, limit, "sweeping web sessions", err);
}
