/*
 * ItemOperations ([MS-ASCMD] 2.2.1.10): Fetch of items and attachments, inline or as multipart
 * ([MS-ASHTTP]; http.md 5). Operations are independent: the failure of one is its own Status.
 * EmptyFolderContents and Move are refused one by one.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/class/email.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

enum {
	OPERATION_OK = 1,
	OPERATION_PROTOCOL = 2,
	OPERATION_SERVER = 3,
	OPERATION_NOT_FOUND = 6,
	OPERATION_BAD_RANGE = 8,
	OPERATION_UNKNOWN_STORE = 9,
	OPERATION_TOO_LARGE = 11,
	OPERATION_CONVERSION = 14,
	OPERATION_BAD_ATTACHMENT = 15,
	OPERATION_DENIED = 16,
};

#define MULTIPART_TYPE "application/vnd.ms-sync.multipart"

struct operations {
	struct eas_call *call;
	struct store_read *rd;
	bool multipart;
	struct buf parts;       /* bytes of parts 1, 2 ... one after the other */
	uint32_t *part_lengths; /* in the arena */
	unsigned part_count, part_room;
};

static void add_part(void *owner, const void *bytes, size_t len, unsigned *ret_number)
{
	struct operations *op = owner;

	buf_add(&op->parts, bytes, len);
	if (op->part_count < op->part_room)
		op->part_lengths[op->part_count++] = (uint32_t)len;
	*ret_number = op->part_count;
}

static unsigned status_of(const struct err *err, unsigned not_found)
{
	switch (err->code) {
	case ERR_NOT_FOUND:
		return not_found;
	case ERR_BAD_INPUT:
		return OPERATION_CONVERSION;
	case ERR_QUOTA:
		return OPERATION_TOO_LARGE;
	default:
		return OPERATION_SERVER;
	}
}

/* ---- items ---- */

static int load_folder(
	struct operations *op, const char *id_text, struct folder **ret, struct err *err)
{
	struct folder_id id;

	if (!eas_folder_id_parse(id_text, &id))
		return err_set(err, ERR_NOT_FOUND, "no folder has that id");
	return store_folder_load(op->rd, op->call->user->id, id, op->call->arena, ret, err);
}

static int encode_properties(struct operations *op, const struct email *email,
	const struct wbxml_node *options, struct err *err)
{
	struct sync_options wanted;
	struct email_view view = {.version = op->call->version, .options = &wanted};
	int result;

	(void)sync_options_read(options, op->call->version, &wanted);
	if (op->multipart) {
		view.add_part = add_part;
		view.part_owner = op;
	}
	wbxml_start(&op->call->writer, TAG_ItemOperations_Properties);
	result = email_encode(&op->call->writer, email, &view, err);
	wbxml_end(&op->call->writer);
	return result;
}

static unsigned fetch_item(struct operations *op, const struct wbxml_node *fetch)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_writer *w = &op->call->writer;
	const char *collection_id = eas_get_text(fetch, TAG_AirSync_CollectionId, "");
	const char *server_id = eas_get_text(fetch, TAG_AirSync_ServerId, "");
	struct err err = ERR_INIT;
	struct folder *folder;
	struct item_id item;
	struct email email;
	int result;

	if (load_folder(op, collection_id, &folder, &err) < 0)
		return status_of(&err, OPERATION_NOT_FOUND);
	if (!eas_server_id_parse(server_id, folder->id, &item))
		return OPERATION_NOT_FOUND;
	if (email_load(op->rd, op->call->user->id, folder->id, folder->type, item, true, arena,
		    &email, &err) < 0)
		return status_of(&err, OPERATION_NOT_FOUND);
	wbxml_add_uint(w, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_add_text(w, TAG_AirSync_CollectionId, collection_id);
	wbxml_add_text(w, TAG_AirSync_ServerId, server_id);
	wbxml_add_text(w, TAG_AirSync_Class,
		email.item->row.item_class == ITEM_SMS ? "SMS" : eas_folder_class(folder->type));
	result = encode_properties(op, &email, wbxml_find(fetch, TAG_ItemOperations_Options), &err);
	email_release(&email);
	return result == 0 ? OPERATION_OK : status_of(&err, OPERATION_NOT_FOUND);
}

/* ---- attachments ---- */

static void encode_attachment(struct operations *op, const struct mime_part *part,
	const struct buf *bytes, uint64_t first, uint64_t count, bool ranged)
{
	struct wbxml_writer *w = &op->call->writer;
	struct buf text = BUF_INIT;
	unsigned number;

	wbxml_start(w, TAG_ItemOperations_Properties);
	if (ranged) {
		wbxml_add_text(w, TAG_ItemOperations_Range,
			arena_x_printf(
				op->call->arena, "%" PRIu64 "-%" PRIu64, first, first + count - 1));
		wbxml_add_uint(w, TAG_ItemOperations_Total, bytes->len);
	}
	wbxml_add_text(w, TAG_AirSyncBase_ContentType, part->content_type);
	if (op->multipart) {
		add_part(op, count > 0 ? bytes->data + first : NULL, count, &number);
		wbxml_add_uint(w, TAG_ItemOperations_Part, number);
	} else {
		base64_add(&text, count > 0 ? bytes->data + first : NULL, count);
		if (text.failed)
			w->out->failed = true;
		else
			wbxml_add_clean(
				w, TAG_ItemOperations_Data, (const char *)text.data, text.len);
	}
	wbxml_end(w);
	buf_deinit(&text);
}

static unsigned send_attachment(struct operations *op, const struct wbxml_node *fetch,
	const char *reference, const struct email *email, uint32_t number)
{
	struct wbxml_writer *w = &op->call->writer;
	const struct wbxml_node *options = wbxml_find(fetch, TAG_ItemOperations_Options);
	struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	uint64_t first = 0, last = 0;
	bool ranged = eas_get_range(options, TAG_ItemOperations_Range, &first, &last);

	if (mime_part_decode(
		    email->summary, email->body.bytes, email->body.len, number, &bytes, &err) < 0) {
		buf_deinit(&bytes);
		return status_of(&err, OPERATION_BAD_ATTACHMENT);
	}
	if (ranged && (first > last || first >= bytes.len)) {
		buf_deinit(&bytes);
		return OPERATION_BAD_RANGE;
	}
	if (!ranged || last >= bytes.len)
		last = bytes.len - 1;
	wbxml_add_uint(w, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_add_text(w, TAG_AirSyncBase_FileReference, reference);
	encode_attachment(op, &email->summary->parts[number], &bytes, first,
		bytes.len == 0 ? 0 : last - first + 1, ranged);
	buf_deinit(&bytes);
	return OPERATION_OK;
}

static unsigned fetch_attachment(struct operations *op, const struct wbxml_node *fetch)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const char *reference = eas_get_text(fetch, TAG_AirSyncBase_FileReference, "");
	struct err err = ERR_INIT;
	struct folder_id folder;
	struct item_id item;
	struct email email;
	uint32_t number;
	unsigned status;

	if (email_file_reference_parse(reference, &folder, &item, &number, &err) < 0)
		return OPERATION_BAD_ATTACHMENT;
	if (email_load(op->rd, op->call->user->id, folder, FOLDER_USER_MAIL, item, true, arena,
		    &email, &err) < 0)
		return status_of(&err, OPERATION_BAD_ATTACHMENT);
	/* A placeholder has no attachments, whatever the true message has. */
	status = number < email.summary->part_count && !email.set_aside
			 ? send_attachment(op, fetch, reference, &email, number)
			 : OPERATION_BAD_ATTACHMENT;
	email_release(&email);
	return status;
}

/* ---- operations ---- */

static unsigned fetch(struct operations *op, const struct wbxml_node *node)
{
	if (node->fault != 0)
		return node->fault;
	if (strcmp(eas_get_text(node, TAG_ItemOperations_Store, ""), "Mailbox") != 0)
		return strcmp(eas_get_text(node, TAG_ItemOperations_Store, ""),
			       "DocumentLibrary") == 0
			       ? OPERATION_DENIED
			       : OPERATION_UNKNOWN_STORE;
	if (wbxml_find(node, TAG_AirSyncBase_FileReference) != NULL)
		return fetch_attachment(op, node);
	if (wbxml_find(node, TAG_AirSync_ServerId) != NULL)
		return fetch_item(op, node);
	return OPERATION_NOT_FOUND; /* a LongId: there is no Search that could have given one */
}

/* A failed operation tells its Status and what it was about. */
static void encode_failure(struct operations *op, const struct wbxml_node *node, unsigned status)
{
	static const unsigned echoed[] = {TAG_AirSync_CollectionId, TAG_AirSync_ServerId,
		TAG_Search_LongId, TAG_AirSyncBase_FileReference, TAG_DocumentLibrary_LinkId};
	struct wbxml_writer *w = &op->call->writer;

	wbxml_add_uint(w, TAG_ItemOperations_Status, status);
	for (size_t i = 0; i < ARRAY_LEN(echoed); i++) {
		const char *text = wbxml_text(node, echoed[i]);

		if (text != NULL)
			wbxml_add_text(w, echoed[i], text);
	}
}

static void run_operation(struct operations *op, const struct wbxml_node *node)
{
	struct wbxml_writer *w = &op->call->writer;
	size_t parts_len = op->parts.len;
	unsigned part_count = op->part_count;
	struct wbxml_mark mark;
	unsigned status = OPERATION_DENIED;

	wbxml_start(w, node->tag);
	mark = wbxml_mark(w);
	if (node->tag == TAG_ItemOperations_Fetch)
		status = fetch(op, node);
	else if (node->fault != 0)
		status = node->fault;
	if (status != OPERATION_OK && !w->out->failed) {
		wbxml_rewind(w, &mark);
		op->parts.len = parts_len;
		op->part_count = part_count;
		encode_failure(op, node, status);
	}
	wbxml_end(w);
}

static void add_le32(struct buf *out, size_t v)
{
	buf_add_u32(out, (uint32_t)v);
}

/* PartsCount, then offset and length of each, then the parts; the document is part 0. */
static void wrap_multipart(struct operations *op)
{
	struct buf *document = &op->call->reply->body;
	size_t offset = 4 + 8 * (size_t)(op->part_count + 1);
	struct buf out = BUF_INIT;

	add_le32(&out, op->part_count + 1);
	add_le32(&out, offset);
	add_le32(&out, document->len);
	offset += document->len;
	for (unsigned i = 0; i < op->part_count; i++) {
		add_le32(&out, offset);
		add_le32(&out, op->part_lengths[i]);
		offset += op->part_lengths[i];
	}
	buf_add(&out, document->data, document->len);
	buf_add(&out, op->parts.data, op->parts.len);
	out.failed = out.failed || document->failed || op->parts.failed;
	buf_deinit(document);
	*document = out;
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

void eas_item_operations(struct eas_call *call)
{
	struct operations op = {.call = call, .multipart = call->query->accept_multipart};
	struct err err = ERR_INIT;

	for (const struct wbxml_node *n = call->root->child; n != NULL; n = n->next)
		op.part_room++;
	op.part_lengths = arena_x_alloc(call->arena, (op.part_room + 1) * sizeof(*op.part_lengths));
	if (store_read_begin(call->server->store, &op.rd, &err) < 0) {
		eas_reply_error(call, &err);
		return;
	}
	call->reply->status = 200;
	run_all(&op);
	store_read_end(&op.rd);
	buf_deinit(&op.parts);
}
