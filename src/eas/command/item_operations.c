/*
 * ItemOperations ([MS-ASCMD] 2.2.1.10): operations one after the other, each with a Status of its
 * own, inline or as multipart ([MS-ASHTTP]). A Fetch sees what the operations before it
 * did.
 *
 * Memory: the answer grows up to eas.operations_max_bytes; an operation beyond it gets Status 11.
 */
#include "eas/command/item_operations_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define MULTIPART_TYPE "application/vnd.ms-sync.multipart"

unsigned operations_end_part(struct operations *op, size_t begin)
{
	if (op->part_count < op->part_room)
		op->part_lengths[op->part_count++] = (uint32_t)(op->parts.len - begin);
	return op->part_count;
}

bool operations_full(const struct operations *op, size_t more_bytes)
{
	size_t used = op->parts.len + op->call->reply->body.len;

	return used + more_bytes > op->call->settings->eas_operations_max_bytes;
}

/* A failed operation tells its Status and what it was about. */
static void encode_failure(struct operations *op, const struct wbxml_node *node, unsigned status)
{
	static const unsigned echoed[] = {TAG_AirSync_CollectionId, TAG_AirSync_ServerId,
		TAG_Search_LongId, TAG_AirSyncBase_FileReference, TAG_DocumentLibrary_LinkId};
	const struct wbxml_node *conversation = wbxml_find(node, TAG_ItemOperations_ConversationId);
	struct wbxml_writer *w = &op->call->writer;

	wbxml_add_uint(w, TAG_ItemOperations_Status, status);
	eas_reply_note(op->call->reply, status);
	for (size_t i = 0; i < ARRAY_LEN(echoed); i++) {
		const char *text = wbxml_text(node, echoed[i]);

		if (text != NULL)
			wbxml_add_text(w, echoed[i], text);
	}
	if (conversation != NULL)
		wbxml_add_opaque(w, TAG_ItemOperations_ConversationId, conversation->text,
			conversation->len);
}

static unsigned run(struct operations *op, const struct wbxml_node *node)
{
	if (node->fault != 0)
		return node->fault;
	if (eas_mute_closes(op->call->mute) && !operations_is_notice(op, node))
		return OPERATION_DENIED;
	if (node->tag == TAG_ItemOperations_Fetch)
		return operations_fetch(op, node);
	/* The next Fetch shall see what is done here. */
	store_read_end(&op->rd);
	return node->tag == TAG_ItemOperations_Move ? operations_move(op, node)
						    : operations_empty_folder(op, node);
}

static void run_operation(struct operations *op, const struct wbxml_node *node)
{
	struct wbxml_writer *w = &op->call->writer;
	size_t parts_len = op->parts.len;
	unsigned part_count = op->part_count, status;
	struct wbxml_mark mark;

	wbxml_start(w, node->tag);
	mark = wbxml_mark(w);
	status = run(op, node);
	if (status != OPERATION_OK && !w->out->failed) {
		wbxml_rewind(w, &mark);
		op->parts.len = parts_len;
		op->part_count = part_count;
		encode_failure(op, node, status);
	}
	wbxml_end(w);
}

static void put_le32(uint8_t *at, size_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

/* PartsCount, then offset and length of each, then the parts; the document is part 0. They move
 * over inside their own buffer, since there may be much of them. */
static void wrap_multipart(struct operations *op)
{
	struct buf *document = &op->call->reply->body, *out = &op->parts;
	size_t head = 4 + 8 * (size_t)(op->part_count + 1), offset = head, parts_len = out->len;
	uint8_t *at;

	if (!buf_reserve(out, head + document->len) || document->failed) {
		document->failed = true;
		return;
	}
	at = out->data;
	memmove(at + head + document->len, at, parts_len);
	memcpy(at + head, document->data, document->len);
	put_le32(at, op->part_count + 1);
	put_le32(at + 4, offset);
	put_le32(at + 8, document->len);
	offset += document->len;
	for (unsigned i = 0; i < op->part_count; i++) {
		put_le32(at + 12 + (size_t)8 * i, offset);
		put_le32(at + 16 + (size_t)8 * i, op->part_lengths[i]);
		offset += op->part_lengths[i];
	}
	out->len = offset;
	buf_deinit(document);
	*document = op->parts;
	buf_init(&op->parts, 0);
	eas_reply_header(op->call->reply, "Content-Type", MULTIPART_TYPE);
}

static void run_all(struct operations *op)
{
	struct wbxml_writer *w = &op->call->writer;

	wbxml_writer_init(w, &op->call->reply->body);
	wbxml_start(w, TAG_ItemOperations_ItemOperations);
	wbxml_add_uint(w, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_start(w, TAG_ItemOperations_Response);
	for (const struct wbxml_node *n = op->call->root->child; n != NULL; n = n->next)
		run_operation(op, n);
	wbxml_end(w);
	wbxml_end(w);
	if (op->multipart)
		wrap_multipart(op);
}

/* Beyond its share of the day a phone may still empty folders and move, but fetch nothing. */
static bool fetches_too_much(const struct eas_call *call)
{
	return call->mute == EAS_MUTE_QUOTA &&
	       wbxml_find(call->root, TAG_ItemOperations_Fetch) != NULL;
}

void eas_item_operations(struct eas_call *call)
{
	struct operations op = {
		.call = call,
		.multipart = call->query->accept_multipart,
		.deadline_ms =
			clock_now_ms() + (int64_t)call->settings->sync_response_time_s * 1000,
	};

	if (fetches_too_much(call)) {
		eas_reply_retry(call, (uint64_t)(call->mute_until_at - call->now_at));
		return;
	}
	for (const struct wbxml_node *n = call->root->child; n != NULL; n = n->next)
		op.part_room++;
	op.part_lengths = arena_x_alloc(call->arena, (op.part_room + 1) * sizeof(*op.part_lengths));
	run_all(&op);
	store_read_end(&op.rd);
	if (op.parts.failed)
		call->reply->body.failed = true;
	buf_deinit(&op.parts);
}
