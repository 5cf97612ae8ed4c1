/*
 * What a user's phones say of his absence: a state, its time, and a message for each audience. Kept
 * and given back as it came; no row is the same as a state of 0. And who got the message: a row for
 * each sender, as long as this absence lasts, at most until a sweep finds it too old.
 */
#include "base/mem.h"
#include "store/store_internal.h"

static int load_messages(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct oof *oof, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	int rc;

	if (store_prepare(rd,
		    "SELECT audience, enabled, html, message FROM oof_messages WHERE owner = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	while ((rc = db_step(st, err)) > 0) {
		uint64_t audience;

		row = (struct store_row){.st = st, .arena = arena};
		audience = store_row_u64(&row);
		if (audience >= OOF_AUDIENCES)
			continue;
		oof->messages[audience].enabled = store_row_u64(&row) != 0;
		oof->messages[audience].html = store_row_u64(&row) != 0;
		oof->messages[audience].text = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
	}
	return rc;
}

int store_oof_load(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct oof *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct oof oof = {.state = 0};
	int rc;

	for (size_t i = 0; i < OOF_AUDIENCES; i++)
		oof.messages[i].text = "";
	if (store_prepare(
		    rd, "SELECT state, start_at, end_at FROM oof WHERE owner = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	if (rc > 0) {
		oof.state = (uint8_t)db_col_u64(st, 0);
		oof.start_at = db_col_i64(st, 1);
		oof.end_at = db_col_i64(st, 2);
	}
	if (load_messages(rd, owner, arena, &oof, err) < 0)
		return -1;
	*ret = oof;
	return 0;
}

static int save_message(struct store_tx *tx, struct owner_id owner, size_t audience,
	const struct oof_message *message, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO oof_messages (owner, audience, enabled, html, message)"
		    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (owner, audience) DO UPDATE SET"
		    " enabled = excluded.enabled, html = excluded.html,"
		    " message = excluded.message",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, audience);
	db_bind_u64(st, 3, message->enabled);
	db_bind_u64(st, 4, message->html);
	db_bind_text(st, 5, store_text(message->text));
	return store_run(st, err);
}

static int forget_replies(
	struct store_tx *tx, struct owner_id owner, const struct oof *oof, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM oof_replies WHERE owner = $1 AND NOT EXISTS (SELECT 1 FROM oof"
		    " WHERE owner = $1 AND state = $2 AND start_at = $3 AND end_at = $4)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, oof->state);
	db_bind_i64(st, 3, oof->start_at);
	db_bind_i64(st, 4, oof->end_at);
	return store_run(st, err);
}

int store_oof_save(
	struct store_tx *tx, struct owner_id owner, const struct oof *oof, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (forget_replies(tx, owner, oof, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO oof (owner, state, start_at, end_at) VALUES ($1, $2, $3, $4)"
			" ON CONFLICT (owner) DO UPDATE SET state = excluded.state,"
			" start_at = excluded.start_at, end_at = excluded.end_at",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, oof->state);
	db_bind_i64(st, 3, oof->start_at);
	db_bind_i64(st, 4, oof->end_at);
	if (store_run(st, err) < 0)
		return -1;
	for (size_t i = 0; i < OOF_AUDIENCES; i++) {
		if (save_message(tx, owner, i, &oof->messages[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- who got it ---- */

int store_oof_may_reply(struct store_tx *tx, struct owner_id owner, const char *address,
	int64_t since_at, uint64_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *known = NULL, *all = NULL;
	uint64_t count = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT replied_at FROM oof_replies WHERE owner = $1 AND address = $2", &known,
		    err) < 0)
		return -1;
	db_bind_u64(known, 1, owner.v);
	db_bind_text(known, 2, address);
	rc = db_step(known, err);
	if (rc != 0)
		return rc < 0 ? -1 : db_col_i64(known, 0) < since_at;
	if (store_prepare_tx(tx,
		    "SELECT COUNT(*) FROM (SELECT 1 FROM oof_replies WHERE owner = $1 LIMIT $2)"
		    " AS some",
		    &all, err) < 0)
		return -1;
	db_bind_u64(all, 1, owner.v);
	db_bind_u64(all, 2, max);
	if (store_run_u64(all, &count, err) < 0)
		return -1;
	return count < max;
}

int store_oof_note_reply(struct store_tx *tx, struct owner_id owner, const char *address,
	int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO oof_replies (owner, address, replied_at) VALUES ($1, $2, $3)"
		    " ON CONFLICT (owner, address) DO UPDATE SET replied_at = excluded.replied_at",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_text(st, 2, address);
	db_bind_i64(st, 3, now_at);
	return store_run(st, err);
}

int store_oof_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err)
{
	return store_sweep_rows(store,
		"DELETE FROM oof_replies WHERE (owner, address)"
		" IN (SELECT owner, address FROM oof_replies WHERE replied_at < $1 ORDER BY "
		"replied_at LIMIT $2)",
		before_at, limit, "sweeping the memory of automatic replies", err);
}
