/*
 * What ItemOperations changes: folders are emptied, conversations move.
 *
 * Neither is one transaction, for there may be very much to do. A folder's emptying is noted first
 * (with the deletion of the folders below, when that is wanted, in the same transaction), then done
 * in steps; what is left when the time is over, or when the engine dies, the sweep does. The phone
 * is told of all of it by its next Syncs and FolderSync, as of anybody's changes.
 */
#include <assert.h>
#include <string.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "eas/command/item_operations_internal.h"
#include "eas/request.h"

/* Items in one transaction. */
#define EMPTY_BATCH        500
#define CONVERSATION_BATCH 100

#define CONVERSATION_ID_BYTES 16

static unsigned status_of(const struct err *err)
{
	return err->code == ERR_NOT_FOUND ? OPERATION_NOT_FOUND : OPERATION_SERVER;
}

/* ---- EmptyFolderContents ---- */

struct emptying {
	const struct eas_call *call;
	struct folder_id folder;
	bool subfolders;
	unsigned status;
};

static int empty_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct emptying *e = owner;
	const struct account_ops *ops = account_ops_of(e->call->user->id);
	struct folder *folder;

	if (store_folder_load(
		    store_tx_read(tx), e->call->user->id, e->folder, arena, &folder, err) < 0)
		return -1;
	e->status = folder->type == FOLDER_RECIPIENT_CACHE ? OPERATION_DENIED : OPERATION_OK;
	if (e->status != OPERATION_OK)
		return 0;
	if (e->subfolders && ops->delete_folders_below(tx, e->call->user->id, e->folder, err) < 0)
		return -1;
	return ops->empty_folder(tx, e->call->user->id, e->folder, e->call->device->id, err);
}

/* Of the folder itself first, then what the folders below held. */
static int purge(struct operations *op, struct folder_id folder, struct err *err)
{
	int rc;

	do
		rc = store_purge_step(
			op->call->server->store, op->call->user->id, folder, EMPTY_BATCH, err);
	while (rc > 0 && clock_now_ms() < op->deadline_ms);
	return rc;
}

unsigned operations_empty_folder(struct operations *op, const struct wbxml_node *node)
{
	const char *id = eas_get_text(node, TAG_AirSync_CollectionId, "");
	struct emptying e = {
		.call = op->call,
		.subfolders = eas_has(wbxml_find(node, TAG_ItemOperations_Options),
			TAG_ItemOperations_DeleteSubFolders),
	};
	struct err err = ERR_INIT;

	if (!eas_folder_id_parse(id, &e.folder))
		return OPERATION_NOT_FOUND;
	if (store_transact(op->call->server->store, empty_tx, &e, &err) < 0)
		return status_of(&err);
	if (e.status != OPERATION_OK)
		return e.status;
	/* From here on it is promised, whatever becomes of this. */
	if (purge(op, e.folder, &err) < 0 ||
		(e.subfolders && purge(op, (struct folder_id){0}, &err) < 0))
		log_warn(&op->call->reply->log, "folder_emptied_later", F_ERR(&err));
	wbxml_add_uint(&op->call->writer, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_add_text(&op->call->writer, TAG_AirSync_CollectionId, id);
	return OPERATION_OK;
}

/* ---- Move of a conversation ([MS-ASCON] 3.1.4.4, 3.1.4.6) ---- */

struct conversation {
	const struct eas_call *call;
	const struct account_ops *ops;
	uint64_t number;
	struct folder_id target;
	unsigned status;
	size_t moved; /* by the last transaction */
	/* in the transaction */
	struct store_tx *tx;
	struct folder *folders;
	size_t folder_count;
};

/* What was received moves. What the user sent, or is about to, stays. */
static bool takes_part(const struct conversation *c, const struct folder *folder)
{
	return eas_folder_is_mail(folder->type) && folder->type != FOLDER_SENT &&
	       folder->type != FOLDER_DRAFTS && folder->type != FOLDER_OUTBOX &&
	       folder->id.v != c->target.v;
}

static unsigned check_target(const struct folder *target)
{
	if (target == NULL)
		return OPERATION_NOT_FOUND;
	if (target->type == FOLDER_RECIPIENT_CACHE)
		return EAS_STATUS_INVALID_COMBINATION_OF_IDS;
	if (!eas_folder_is_mail(target->type) || target->type == FOLDER_OUTBOX ||
		target->type == FOLDER_DRAFTS)
		return EAS_STATUS_MOVE_DESTINATION;
	return OPERATION_OK;
}

static int list_some(const struct conversation *c, struct folder_id folder,
	struct item_cursor before, struct arena *arena, struct item_row **ret, size_t *ret_count,
	struct err *err)
{
	return store_item_conversation(store_tx_read(c->tx), c->call->user->id, folder, c->number,
		before, CONVERSATION_BATCH, arena, ret, ret_count, err);
}

/* *ret_target: the target, or NULL. Status 6 when nobody ever saw the conversation. */
static int check(struct conversation *c, const struct folder **ret_target, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct item_cursor start = {INT64_MAX, {UINT64_MAX}};
	struct item_row *rows;
	size_t count = 0;

	*ret_target = NULL;
	for (size_t i = 0; i < c->folder_count; i++) {
		if (c->folders[i].id.v == c->target.v)
			*ret_target = &c->folders[i];
		if (count == 0 &&
			list_some(c, c->folders[i].id, start, arena, &rows, &count, err) < 0)
			return -1;
	}
	c->status = count == 0 ? OPERATION_NOT_FOUND : check_target(*ret_target);
	return 0;
}

static int move_from(struct conversation *c, const struct folder *folder, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_cursor before = {INT64_MAX, {UINT64_MAX}};
	size_t count = CONVERSATION_BATCH;
	struct item_row *rows;
	struct item_id moved;

	while (c->moved < CONVERSATION_BATCH && count == CONVERSATION_BATCH) {
		if (list_some(c, folder->id, before, arena, &rows, &count, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			before = (struct item_cursor){rows[i].date_at, rows[i].id};
			/* Text messages have no place elsewhere. */
			if (rows[i].item_class != ITEM_MAIL)
				continue;
			if (c->ops->move_item(c->tx, c->call->user->id, folder->id, rows[i].id,
				    c->target, c->call->device->id, &moved, err) < 0)
				return -1;
			c->moved++;
		}
	}
	return 0;
}

/* The rule stands before the first mail moves: none that comes meanwhile goes astray. */
static int move_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct conversation *c = owner;
	const struct folder *target;
	struct folder_id rule = c->target;

	c->tx = tx;
	c->moved = 0;
	if (store_folder_list(store_tx_read(tx), c->call->user->id, arena, &c->folders,
		    &c->folder_count, err) < 0 ||
		check(c, &target, err) < 0)
		return -1;
	if (c->status != OPERATION_OK)
		return 0;
	assert(target != NULL);
	/* To the Inbox mail comes by itself. */
	if (target->type == FOLDER_INBOX)
		rule.v = 0;
	if (c->ops->set_conversation_rule(tx, c->call->user->id, c->number, rule,
		    c->call->settings->mail_conversation_rules_max, err) < 0)
		return -1;
	for (size_t i = 0; i < c->folder_count && c->moved < CONVERSATION_BATCH; i++) {
		if (takes_part(c, &c->folders[i]) && move_from(c, &c->folders[i], err) < 0)
			return -1;
	}
	return 0;
}

static unsigned move_all(struct operations *op, struct conversation *c)
{
	struct err err = ERR_INIT;
	bool begun = false;

	do {
		if (store_transact(op->call->server->store, move_tx, c, &err) < 0) {
			log_warn(&op->call->reply->log, "conversation_move_failed", F_ERR(&err));
			return begun ? OPERATION_PARTIAL : OPERATION_SERVER;
		}
		if (c->status != OPERATION_OK)
			return c->status;
		begun = true;
	} while (c->moved >= CONVERSATION_BATCH && clock_now_ms() < op->deadline_ms);
	return c->moved >= CONVERSATION_BATCH ? OPERATION_PARTIAL : OPERATION_OK;
}

unsigned operations_move(struct operations *op, const struct wbxml_node *node)
{
	const struct wbxml_node *id = wbxml_find(node, TAG_ItemOperations_ConversationId);
	struct conversation c = {.call = op->call, .ops = account_ops_of(op->call->user->id)};
	unsigned status;

	if (id == NULL || id->len != CONVERSATION_ID_BYTES ||
		!eas_folder_id_parse(
			eas_get_text(node, TAG_ItemOperations_DstFldId, ""), &c.target))
		return OPERATION_NOT_FOUND;
	c.number = account_conversation((const uint8_t *)id->text);
	status = move_all(op, &c);
	if (status != OPERATION_OK)
		return status;
	wbxml_add_uint(&op->call->writer, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_add_opaque(&op->call->writer, TAG_ItemOperations_ConversationId, id->text, id->len);
	return OPERATION_OK;
}
