/*
 * Conversations that shall go to another folder than the Inbox: one row each, bounded per owner;
 * the oldest gives way. A rule whose folder is deleted counts for nothing.
 */
#include "base/mem.h"
#include "store/store_internal.h"

int store_conversation_rule_find(struct store_read *rd, struct owner_id owner,
	uint64_t conversation, struct folder_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	ret->v = 0;
	if (conversation == 0)
		return 0;
	if (store_prepare(rd,
		    "SELECT r.folder FROM conversation_rules r JOIN folders f ON f.owner = r.owner"
		    " AND f.id = r.folder WHERE r.owner = $1 AND r.conversation = $2"
		    " AND f.deleted = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, conversation);
	return store_run_u64(st, &ret->v, err) < 0 ? -1 : 0;
}

static int forget(
	struct store_tx *tx, struct owner_id owner, uint64_t conversation, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM conversation_rules WHERE owner = $1 AND conversation = $2", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, conversation);
	return store_run(st, err);
}

static int make_room(struct store_tx *tx, struct owner_id owner, uint64_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM conversation_rules WHERE owner = $1 AND conversation IN"
		    " (SELECT conversation FROM conversation_rules WHERE owner = $1"
		    " ORDER BY made_at DESC, conversation LIMIT 1000000 OFFSET $2)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, max - 1);
	return store_run(st, err);
}

int store_conversation_rule_set(struct store_tx *tx, struct owner_id owner, uint64_t conversation,
	struct folder_id folder, uint64_t max, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (forget(tx, owner, conversation, err) < 0)
		return -1;
	if (folder.v == 0 || max == 0)
		return 0;
	if (make_room(tx, owner, max, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO conversation_rules (owner, conversation, folder, made_at)"
			" VALUES ($1, $2, $3, $4)",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, conversation);
	db_bind_u64(st, 3, folder.v);
	db_bind_i64(st, 4, tx->now_at);
	return store_run(st, err);
}
