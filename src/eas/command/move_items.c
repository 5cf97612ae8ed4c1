/*
 * MoveItems ([MS-ASCMD] 2.2.1.12). A few moves at a time are one transaction, and what the device
 * moved is remembered with them: when the answer gets lost and the request comes again, an item
 * that already is where it should be is answered with its new id. The memory holds the moves of the
 * device's last request, no more.
 *
 * The phone's collections are not touched: its next Syncs tell it of the Delete in the source and
 * the Add in the target, as everybody else's do.
 */
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "base/mem.h"
#include "eas/command.h"
#include "eas/request.h"

enum {
	MOVE_BAD_SOURCE = 1,
	MOVE_BAD_TARGET = 2,
	MOVE_OK = 3,
	MOVE_SAME_FOLDER = 4,
	MOVE_IMPOSSIBLE = 5,
	MOVE_LOCKED = 7,
};

/* Moves in one transaction. */
#define MOVE_BATCH 100

struct one_move {
	const struct wbxml_node *node;
	unsigned status;
	struct store_move move;
};

struct move_items {
	struct eas_call *call;
	const struct account_ops *ops;
	struct one_move *moves; /* in the arena */
	size_t count;
	size_t begin, end;        /* of this batch */
	struct store_move *known; /* of the last request; in the arena */
	size_t known_count;
	struct store_move *done; /* of this one; room for all of it and the known ones */
	size_t done_count;
	/* in the transaction */
	struct folder *folders;
	size_t folder_count;
};

static const struct folder *find_folder(const struct move_items *m, const char *text)
{
	struct folder_id id;

	if (!eas_folder_id_parse(text, &id))
		return NULL;
	for (size_t i = 0; i < m->folder_count; i++) {
		if (m->folders[i].id.v == id.v)
			return &m->folders[i];
	}
	return NULL;
}

/* 1: the item is there, 0: it is not. */
static int item_exists(struct move_items *m, struct store_tx *tx, struct folder_id folder,
	struct item_id id, struct err *err)
{
	struct item_row row;

	if (store_item_row(store_tx_read(tx), m->call->user->id, folder, id, &row, err) == 0)
		return 1;
	return err->code == ERR_NOT_FOUND ? 0 : -1;
}

static const struct store_move *find_move(
	const struct store_move *moves, size_t count, const struct store_move *wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (moves[i].from.v == wanted->from.v && moves[i].item.v == wanted->item.v &&
			moves[i].to.v == wanted->to.v)
			return &moves[i];
	}
	return NULL;
}

/* Has this phone moved it there already, and is it still there? */
static int recall(struct move_items *m, struct store_tx *tx, struct one_move *one, struct err *err)
{
	const struct store_move *found = find_move(m->done, m->done_count, &one->move);
	int there;

	if (found == NULL)
		found = find_move(m->known, m->known_count, &one->move);
	one->status = MOVE_BAD_SOURCE;
	if (found == NULL)
		return 0;
	there = item_exists(m, tx, found->to, found->moved, err);
	if (there > 0) {
		one->status = MOVE_OK;
		one->move.moved = found->moved;
	}
	return there < 0 ? -1 : 0;
}

/* Mail to mail, contacts to contacts. */
static bool fits(const struct folder *from, const struct folder *to)
{
	return from->type != FOLDER_RECIPIENT_CACHE && to->type != FOLDER_RECIPIENT_CACHE &&
	       eas_folder_is_mail(from->type) == eas_folder_is_mail(to->type) &&
	       strcmp(store_folder_class(from->type), store_folder_class(to->type)) == 0;
}

static int move_one(
	struct move_items *m, struct store_tx *tx, struct one_move *one, struct err *err)
{
	const struct folder *from = find_folder(m, eas_get_text(one->node, TAG_Move_SrcFldId, ""));
	const struct folder *to = find_folder(m, eas_get_text(one->node, TAG_Move_DstFldId, ""));
	int there;

	one->status = one->node->fault != 0 ? one->node->fault : MOVE_BAD_SOURCE;
	if (one->node->fault != 0 || from == NULL ||
		!eas_server_id_parse(
			eas_get_text(one->node, TAG_Move_SrcMsgId, ""), from->id, &one->move.item))
		return 0;
	there = item_exists(m, tx, from->id, one->move.item, err);
	if (there < 0)
		return -1;
	one->move.from = from->id;
	one->move.to = to != NULL ? to->id : (struct folder_id){0};
	if (there == 0)
		return to != NULL ? recall(m, tx, one, err) : 0;
	if (to == NULL)
		one->status = MOVE_BAD_TARGET;
	else if (to->id.v == from->id.v)
		one->status = MOVE_SAME_FOLDER;
	else if (!fits(from, to))
		one->status = MOVE_IMPOSSIBLE;
	else if (m->ops->move_item(tx, m->call->user->id, from->id, one->move.item, to->id,
			 m->call->device->id, &one->move.moved, err) < 0)
		return -1;
	else
		one->status = MOVE_OK;
	return 0;
}

/* What a later batch may need of the last request stays until it was its turn. */
static int remember(struct move_items *m, struct store_tx *tx, struct err *err)
{
	size_t count = m->done_count;

	if (count == 0)
		return 0;
	if (m->end < m->count && m->known_count > 0) {
		memcpy(m->done + count, m->known, m->known_count * sizeof(*m->done));
		count += m->known_count;
	}
	return store_moves_save(tx, m->call->user->id, m->call->device->id, m->done, count, err);
}

static int batch_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct move_items *m = owner;
	size_t done_before = m->done_count;
	int result = store_folder_list(
		store_tx_read(tx), m->call->user->id, arena, &m->folders, &m->folder_count, err);

	for (size_t i = m->begin; i < m->end && result == 0; i++) {
		struct one_move *one = &m->moves[i];

		result = move_one(m, tx, one, err);
		if (result == 0 && one->status == MOVE_OK)
			m->done[m->done_count++] = one->move;
	}
	if (result == 0)
		result = remember(m, tx, err);
	/* It may run again: what counts is what was committed (run_batch()). */
	m->done_count = done_before;
	return result;
}

static int run_batch(struct move_items *m, struct err *err)
{
	if (store_transact(m->call->server->store, batch_tx, m, err) < 0)
		return -1;
	for (size_t i = m->begin; i < m->end; i++) {
		if (m->moves[i].status == MOVE_OK)
			m->done[m->done_count++] = m->moves[i].move;
	}
	return 0;
}

static int load_known(struct move_items *m, struct err *err)
{
	struct eas_call *call = m->call;
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = store_moves_load(
		rd, call->user->id, call->device->id, call->arena, &m->known, &m->known_count, err);
	store_read_end(&rd);
	return result;
}

/* One after the other: the same request may come again while the first one is still at work. */
static int run_locked(struct move_items *m, struct err *err)
{
	if (load_known(m, err) < 0)
		return -1;
	m->done = arena_x_alloc(m->call->arena, (m->count + m->known_count + 1) * sizeof(*m->done));
	for (m->begin = 0; m->begin < m->count; m->begin = m->end) {
		m->end = MIN(m->begin + MOVE_BATCH, m->count);
		if (run_batch(m, err) == 0)
			continue;
		if (m->begin == 0)
			return -1;
		/* What was moved is told; the rest may be tried again. */
		log_warn(&m->call->reply->log, "move_failed", F_ERR(err));
		for (size_t i = m->begin; i < m->count; i++)
			m->moves[i].status = MOVE_LOCKED;
		return 0;
	}
	return 0;
}

static void encode(const struct move_items *m)
{
	struct wbxml_writer *w = &m->call->writer;
	char id[48];

	wbxml_writer_init(w, &m->call->reply->body);
	wbxml_start(w, TAG_Move_MoveItems);
	for (size_t i = 0; i < m->count; i++) {
		const struct one_move *one = &m->moves[i];

		wbxml_start(w, TAG_Move_Response);
		wbxml_add_text(
			w, TAG_Move_SrcMsgId, eas_get_text(one->node, TAG_Move_SrcMsgId, ""));
		wbxml_add_uint(w, TAG_Move_Status, one->status);
		eas_reply_note(
			m->call->reply, one->status == MOVE_OK ? EAS_STATUS_SUCCESS : one->status);
		if (one->status == MOVE_OK) {
			eas_server_id_print(one->move.to, one->move.moved, id);
			wbxml_add_text(w, TAG_Move_DstMsgId, id);
		}
		wbxml_end(w);
	}
	wbxml_end(w);
}

void eas_move_items(struct eas_call *call)
{
	struct move_items m = {.call = call, .ops = account_ops_of(call->user->id)};
	struct eas_collection turn = {call->device->id, call->user->id, EAS_FOLDER_MOVES};
	struct err err = ERR_INIT;
	size_t room = 0;
	int result;

	for (const struct wbxml_node *n = call->root->child; n != NULL; n = n->next)
		room++;
	m.moves = arena_x_alloc(call->arena, (room + 1) * sizeof(*m.moves));
	for (const struct wbxml_node *n = call->root->child; n != NULL; n = n->next)
		m.moves[m.count++] = (struct one_move){.node = n};
	eas_collections_lock(call->server, &turn, 1);
	result = run_locked(&m, &err);
	eas_collections_unlock(call->server, &turn, 1);
	if (result < 0)
		eas_reply_error(call, &err);
	else
		encode(&m);
}
