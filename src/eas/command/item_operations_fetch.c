/*
 * Fetch of ItemOperations: items by CollectionId and ServerId or by LongId, attachments by
 * FileReference, whole or in ranges. It marks nothing as read and changes nothing.
 *
 * A LongId is the item's ServerId: as long as an item lies where it lies, it names it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/access.h"
#include "eas/class/email.h"
#include "eas/command/attachment.h"
#include "eas/command/item_operations_internal.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

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

/* Body data of a multipart answer (email_view). */
static void add_part(void *owner, const void *bytes, size_t len, unsigned *ret_number)
{
	struct operations *op = owner;
	size_t begin = op->parts.len;

	buf_add(&op->parts, bytes, len);
	*ret_number = operations_end_part(op, begin);
}

/* ---- Schema: the properties that are wanted ([MS-ASCMD] 2.2.3.158) ---- */

static void copy_node(struct wbxml_writer *w, const struct wbxml_node *node)
{
	if (node->child != NULL) {
		wbxml_start(w, node->tag);
		for (const struct wbxml_node *n = node->child; n != NULL; n = n->next)
			copy_node(w, n);
		wbxml_end(w);
	} else if (node->opaque) {
		wbxml_add_opaque(w, node->tag, node->text, node->len);
	} else if (node->len > 0) {
		wbxml_add_clean(w, node->tag, node->text, node->len);
	} else {
		wbxml_add_empty(w, node->tag);
	}
}

/* All properties are rendered, and those that the Schema names are copied. */
static int encode_chosen(struct wbxml_writer *w, const struct email *email,
	const struct email_view *view, const struct wbxml_node *schema, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct wbxml_limits limits = {.depth = 64, .nodes = 1000000, .text_bytes = SIZE_MAX};
	struct buf all = BUF_INIT;
	struct wbxml_writer part;
	struct wbxml_node *root = NULL;
	int result;

	wbxml_writer_init(&part, &all);
	wbxml_start(&part, TAG_ItemOperations_Properties);
	result = email_encode(&part, email, view, err);
	wbxml_end(&part);
	if (result == 0 && all.failed)
		result = err_set(err, ERR_BUSY, "no memory for an item");
	if (result == 0)
		result = wbxml_decode(arena, all.data, all.len, &limits, &root, err);
	for (const struct wbxml_node *n = root != NULL ? root->child : NULL; n != NULL;
		n = n->next) {
		if (wbxml_find(schema, n->tag) != NULL)
			copy_node(w, n);
	}
	buf_deinit(&all);
	return result;
}

/* ---- items ---- */

static int encode_properties(struct operations *op, const struct email *email,
	const struct wbxml_node *options, struct err *err)
{
	const struct wbxml_node *schema = wbxml_find(options, TAG_ItemOperations_Schema);
	struct sync_options wanted;
	struct email_view view = {.version = op->call->version, .options = &wanted};
	const char **addresses;
	int result;

	if (store_user_addresses(op->rd, op->call->user->id, op->call->arena, &addresses,
		    &view.address_count, err) < 0)
		return -1;
	view.addresses = addresses;
	sync_options_default(&wanted);
	(void)sync_options_read(options, op->call->version, &wanted);
	if (schema != NULL)
		view.no_body = wbxml_find(schema, TAG_AirSyncBase_Body) == NULL &&
			       wbxml_find(schema, TAG_AirSyncBase_BodyPart) == NULL;
	if (op->multipart) {
		view.add_part = add_part;
		view.part_owner = op;
	}
	wbxml_start(&op->call->writer, TAG_ItemOperations_Properties);
	if (schema != NULL)
		result = encode_chosen(&op->call->writer, email, &view, schema, err);
	else
		result = email_encode(&op->call->writer, email, &view, err);
	wbxml_end(&op->call->writer);
	return result;
}

static void encode_names(
	struct operations *op, const struct wbxml_node *fetch, const struct email *email)
{
	static const unsigned echoed[] = {
		TAG_AirSync_CollectionId, TAG_AirSync_ServerId, TAG_Search_LongId};
	struct wbxml_writer *w = &op->call->writer;

	wbxml_add_uint(w, TAG_ItemOperations_Status, OPERATION_OK);
	for (size_t i = 0; i < ARRAY_LEN(echoed); i++) {
		const char *text = wbxml_text(fetch, echoed[i]);

		if (text != NULL)
			wbxml_add_text(w, echoed[i], text);
	}
	wbxml_add_text(w, TAG_AirSync_Class,
		email->item->row.item_class == ITEM_SMS ? "SMS"
							: store_folder_class(email->folder_type));
}

/* False: it cannot be an id of an item of ours. */
static bool read_place(
	const struct wbxml_node *fetch, struct folder_id *ret_folder, struct item_id *ret_item)
{
	const char *long_id = wbxml_text(fetch, TAG_Search_LongId);
	char folder[24];
	size_t len;

	if (long_id == NULL)
		return eas_folder_id_parse(
			       eas_get_text(fetch, TAG_AirSync_CollectionId, ""), ret_folder) &&
		       eas_server_id_parse(eas_get_text(fetch, TAG_AirSync_ServerId, ""),
			       *ret_folder, ret_item);
	len = strcspn(long_id, ":");
	if (len >= sizeof(folder))
		return false;
	memcpy(folder, long_id, len);
	folder[len] = 0;
	return eas_folder_id_parse(folder, ret_folder) &&
	       eas_server_id_parse(long_id, *ret_folder, ret_item);
}

bool operations_is_notice(const struct operations *op, const struct wbxml_node *fetch)
{
	struct folder_id folder;
	struct item_id item;

	return op->call->mute == EAS_MUTE_NOTICE && fetch->tag == TAG_ItemOperations_Fetch &&
	       read_place(fetch, &folder, &item) && item.v == EAS_NOTICE_ITEM.v;
}

static int load_item(struct operations *op, const struct wbxml_node *fetch,
	const struct folder *folder, struct item_id item, struct arena *arena, struct email *ret,
	struct err *err)
{
	if (operations_is_notice(op, fetch))
		return eas_notice_load(op->call, op->rd, folder, arena, ret, err);
	return email_load(
		op->rd, op->call->user->id, folder->id, folder->type, item, true, arena, ret, err);
}

static unsigned fetch_item(struct operations *op, const struct wbxml_node *fetch)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct folder_id folder_id;
	struct folder *folder;
	struct item_id item;
	struct email email;
	int result;

	if (!read_place(fetch, &folder_id, &item))
		return OPERATION_NOT_FOUND;
	if (store_folder_load(op->rd, op->call->user->id, folder_id, arena, &folder, &err) < 0)
		return status_of(&err, OPERATION_NOT_FOUND);
	if (folder->type == FOLDER_RECIPIENT_CACHE)
		return OPERATION_DENIED;
	if (load_item(op, fetch, folder, item, arena, &email, &err) < 0)
		return status_of(&err, OPERATION_NOT_FOUND);
	encode_names(op, fetch, &email);
	result = encode_properties(op, &email, wbxml_find(fetch, TAG_ItemOperations_Options), &err);
	email_release(&email);
	if (result < 0)
		return status_of(&err, OPERATION_NOT_FOUND);
	return operations_full(op, 0) ? OPERATION_TOO_LARGE : OPERATION_OK;
}

/* ---- attachments ---- */

struct range {
	bool given;
	uint64_t first, last; /* last: beyond the end is its end */
};

static int encode_data(struct operations *op, const struct attachment *a, const struct range *range,
	uint64_t count, struct err *err)
{
	struct wbxml_writer *w = &op->call->writer;
	size_t begin = op->parts.len;
	int result;

	if (op->multipart) {
		result = attachment_read(a, range->first, count, false, &op->parts, err);
		wbxml_add_uint(w, TAG_ItemOperations_Part, operations_end_part(op, begin));
	} else if (count == 0) {
		wbxml_add_empty(w, TAG_ItemOperations_Data);
		result = 0;
	} else {
		wbxml_text_begin(w, TAG_ItemOperations_Data);
		result = attachment_read(a, range->first, count, true, w->out, err);
		wbxml_text_end(w);
	}
	return result;
}

static void encode_head(struct operations *op, const struct wbxml_node *fetch,
	const struct range *range, uint64_t total, const char *type)
{
	struct wbxml_writer *w = &op->call->writer;

	wbxml_add_uint(w, TAG_ItemOperations_Status, OPERATION_OK);
	wbxml_add_text(w, TAG_AirSyncBase_FileReference,
		eas_get_text(fetch, TAG_AirSyncBase_FileReference, ""));
	wbxml_start(w, TAG_ItemOperations_Properties);
	if (range->given) {
		wbxml_add_text(w, TAG_ItemOperations_Range,
			arena_x_printf(op->call->arena, "%" PRIu64 "-%" PRIu64, range->first,
				range->last));
		wbxml_add_uint(w, TAG_ItemOperations_Total, total);
	}
	wbxml_add_text(w, TAG_AirSyncBase_ContentType, type);
}

static unsigned encode_attachment(
	struct operations *op, const struct wbxml_node *fetch, const struct attachment *a)
{
	const struct wbxml_node *options = wbxml_find(fetch, TAG_ItemOperations_Options);
	struct range range = {.given = false};
	struct err err = ERR_INIT;
	uint64_t count;
	int result;

	range.given = eas_get_range(options, TAG_ItemOperations_Range, &range.first, &range.last);
	if (range.given && (range.first > range.last || range.first >= a->total))
		return OPERATION_BAD_RANGE;
	if (!range.given || range.last >= a->total)
		range.last = a->total - 1;
	count = a->total == 0 ? 0 : range.last - range.first + 1;
	if (operations_full(op, (size_t)(op->multipart ? count : (count + 2) / 3 * 4)))
		return OPERATION_TOO_LARGE;
	encode_head(op, fetch, &range, a->total, a->type);
	result = encode_data(op, a, &range, count, &err);
	wbxml_end(&op->call->writer);
	return result < 0 ? status_of(&err, OPERATION_BAD_ATTACHMENT) : OPERATION_OK;
}

static unsigned fetch_attachment(struct operations *op, const struct wbxml_node *fetch)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct attachment a;
	unsigned status;

	if (attachment_open(op->rd, op->call->user->id,
		    eas_get_text(fetch, TAG_AirSyncBase_FileReference, ""), arena, &a, &err) < 0)
		return status_of(&err, OPERATION_BAD_ATTACHMENT);
	status = encode_attachment(op, fetch, &a);
	attachment_close(&a);
	return status;
}

unsigned operations_fetch(struct operations *op, const struct wbxml_node *node)
{
	struct err err = ERR_INIT;

	/* The schema has checked what belongs to which Store; there are no document libraries. */
	if (!str_eq_nocase(wbxml_text(node, TAG_ItemOperations_Store), "Mailbox"))
		return OPERATION_DENIED;
	if (op->rd == NULL && store_read_begin(op->call->server->store, &op->rd, &err) < 0)
		return status_of(&err, OPERATION_SERVER);
	return wbxml_find(node, TAG_AirSyncBase_FileReference) != NULL ? fetch_attachment(op, node)
								       : fetch_item(op, node);
}
