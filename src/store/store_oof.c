/*
 * What a user's phones say of his absence: a state, its time, and a message for each audience. Kept
 * and given back as it came; no row is the same as a state of 0.
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

int store_oof_save(
	struct store_tx *tx, struct owner_id owner, const struct oof *oof, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
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
