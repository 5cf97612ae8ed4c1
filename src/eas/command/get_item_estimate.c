/*
 * GetItemEstimate ([MS-ASCMD] 2.2.1.9): how many changes the next Sync would send. The key is
 * looked at, never moved.
 */
#include <string.h>

#include "base/mem.h"
#include "eas/command/sync_internal.h"
#include "eas/request.h"

enum {
	ESTIMATE_OK = 1,
	ESTIMATE_BAD_COLLECTION = 2,
	ESTIMATE_NOT_PRIMED = 3,
	ESTIMATE_BAD_KEY = 4,
};

/* Counting stops here ([MS-ASCMD] 2.2.3.62). */
#define ESTIMATE_MAX_WITHOUT_OPTIONS 512
#define ESTIMATE_MAX                 10000000

struct estimate {
	const char *collection_id;
	const char *class_name; /* <= 12.1 */
	unsigned status;
	size_t count;
};

static const struct sync_state *find_state(
	const struct sync_collection *gens, uint64_t key, unsigned version)
{
	size_t g = sync_collection_find(gens, key, version);

	return g < SYNC_GENERATIONS ? &gens->states[g] : NULL;
}

/* Which options count: the request's, else none at all (no filter). 0 or the common status that
 * ends the request. */
static unsigned read_scope(struct eas_call *call, const struct wbxml_node *node,
	const struct sync_state *state, struct folder *folder, struct sync_scope *ret)
{
	const struct wbxml_node *block = wbxml_find(node, TAG_AirSync_Options);

	*ret = state->scope;
	ret->options.filter = 0;
	if (call->version < 140)
		ret->options.filter = (uint8_t)eas_get_uint(node, TAG_AirSync_FilterType, 0);
	else
		ret->conversation_mode = eas_get_bool(
			node, TAG_AirSync_ConversationMode, state->scope.conversation_mode);
	if (call->version >= 140 && block != NULL)
		ret->sms = false;
	for (; call->version >= 140 && block != NULL;
		block = wbxml_next(block, TAG_AirSync_Options)) {
		bool is_sms = strcmp(eas_get_text(block, TAG_AirSync_Class, ""), "SMS") == 0;
		struct sync_options *options = is_sms ? &ret->sms_options : &ret->options;

		ret->sms = ret->sms || is_sms;
		options->filter = (uint8_t)eas_get_uint(block, TAG_AirSync_FilterType, 0);
	}
	return sync_filter_allowed(ret->options.filter, folder->type) &&
			       sync_filter_allowed(ret->sms_options.filter, folder->type)
		       ? 0
		       : EAS_STATUS_SERVER_ERROR;
}

/* Two blocks are one for SMS and one for the mail beside it; SMS is beside mail only. */
static bool blocks_fit(const struct wbxml_node *node, const struct folder *folder)
{
	const struct wbxml_node *block = wbxml_find(node, TAG_AirSync_Options);
	unsigned sms = 0, others = 0, strangers = 0;

	for (; block != NULL; block = wbxml_next(block, TAG_AirSync_Options)) {
		const char *class_name = eas_get_text(block, TAG_AirSync_Class, "");

		if (strcmp(class_name, "SMS") == 0)
			sms++;
		else
			others++;
		if (class_name[0] != 0 && strcmp(class_name, "SMS") != 0 &&
			strcmp(class_name, store_folder_class(folder->type)) != 0)
			strangers++;
	}
	return sms <= 1 && others <= 1 && (sms == 0 || eas_folder_is_mail(folder->type)) &&
	       (strangers == 0 || sms + others == 1);
}

/* MaxItems is of the recipient information cache only. */
static bool asks_for_recipients(const struct wbxml_node *node)
{
	const struct wbxml_node *block = wbxml_find(node, TAG_AirSync_Options);

	for (; block != NULL; block = wbxml_next(block, TAG_AirSync_Options)) {
		if (eas_has(block, TAG_AirSync_MaxItems))
			return true;
	}
	return false;
}

static int count_changes(struct eas_call *call, struct store_read *rd,
	const struct wbxml_node *node, struct folder *folder, const struct sync_state *state,
	struct estimate *e, unsigned *ret_common, struct err *err)
{
	bool has_options = call->version < 140 || wbxml_find(node, TAG_AirSync_Options) != NULL;
	struct sync_scope scope;

	*ret_common = read_scope(call, node, state, folder, &scope);
	if (*ret_common != 0)
		return 0;
	e->status = ESTIMATE_OK;
	if (call->mute != EAS_MUTE_NONE) {
		e->count = call->mute == EAS_MUTE_NOTICE && folder->type == FOLDER_INBOX &&
			   state->notice == SYNC_NOTICE_NONE;
		return 0;
	}
	return sync_estimate(rd, call->user->id, folder->id, state, &scope, call->now_at,
		has_options ? ESTIMATE_MAX : ESTIMATE_MAX_WITHOUT_OPTIONS, &e->count, err);
}

static int estimate_one(struct eas_call *call, struct store_read *rd, const struct wbxml_node *node,
	struct estimate *e, unsigned *ret_common, struct err *err)
{
	struct sync_collection gens = {.owner = call->user->id};
	const struct sync_state *state;
	struct folder *folder;
	struct folder_id id;
	uint64_t key = 0;
	int result;

	e->collection_id = eas_get_text(node, TAG_GetItemEstimate_CollectionId, "");
	e->class_name = wbxml_text(node, TAG_GetItemEstimate_Class);
	e->status = ESTIMATE_BAD_COLLECTION;
	if (!eas_folder_id_parse(e->collection_id, &id))
		return 0;
	if (store_folder_load(rd, call->user->id, id, call->arena, &folder, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	if (eas_has(node, TAG_AirSync_ConversationMode) && !eas_folder_is_mail(folder->type)) {
		*ret_common = EAS_STATUS_INVALID_XML;
		return 0;
	}
	if (asks_for_recipients(node) && folder->type != FOLDER_RECIPIENT_CACHE)
		return 0;
	e->status = ESTIMATE_BAD_KEY;
	if (call->version >= 140 && !blocks_fit(node, folder))
		return 0;
	if (sync_collection_load(rd, call->device->id, call->user->id, id, &gens, err) < 0)
		return -1;
	result = 0;
	if (sync_key_parse(eas_get_text(node, TAG_AirSync_SyncKey, ""), &key)) {
		state = find_state(&gens, key, call->version);
		if (key == 0 || (state == NULL && !gens.present[SYNC_CURRENT]))
			e->status = ESTIMATE_NOT_PRIMED;
		else if (state != NULL)
			result = count_changes(call, rd, node, folder, state, e, ret_common, err);
	}
	sync_collection_deinit(&gens);
	return result;
}

static void encode_one(struct eas_call *call, const struct estimate *e)
{
	struct wbxml_writer *w = &call->writer;

	wbxml_start(w, TAG_GetItemEstimate_Response);
	wbxml_add_uint(w, TAG_GetItemEstimate_Status, e->status);
	eas_reply_note(call->reply, e->status);
	if (e->status == ESTIMATE_OK) {
		wbxml_start(w, TAG_GetItemEstimate_Collection);
		if (call->version <= 121 && e->class_name != NULL)
			wbxml_add_text(w, TAG_GetItemEstimate_Class, e->class_name);
		wbxml_add_text(w, TAG_GetItemEstimate_CollectionId, e->collection_id);
		wbxml_add_uint(w, TAG_GetItemEstimate_Estimate, e->count);
		wbxml_end(w);
	}
	wbxml_end(w);
}

static int estimate_all(
	struct eas_call *call, struct store_read *rd, unsigned *ret_common, struct err *err)
{
	const struct wbxml_node *collections =
		wbxml_find(call->root, TAG_GetItemEstimate_Collections);
	const struct wbxml_node *n = wbxml_find(collections, TAG_GetItemEstimate_Collection);

	wbxml_writer_init(&call->writer, &call->reply->body);
	wbxml_start(&call->writer, TAG_GetItemEstimate_GetItemEstimate);
	for (; n != NULL && *ret_common == 0; n = wbxml_next(n, TAG_GetItemEstimate_Collection)) {
		struct estimate e = {.count = 0};

		if (estimate_one(call, rd, n, &e, ret_common, err) < 0)
			return -1;
		encode_one(call, &e);
	}
	wbxml_end(&call->writer);
	return 0;
}

void eas_get_item_estimate(struct eas_call *call)
{
	struct err err = ERR_INIT;
	struct store_read *rd;
	unsigned common = 0;
	int result;

	call->reply->status = 200;
	if (store_read_begin(call->server->store, &rd, &err) < 0) {
		eas_reply_error(call, &err);
		return;
	}
	result = estimate_all(call, rd, &common, &err);
	store_read_end(&rd);
	if (result < 0)
		eas_reply_error(call, &err);
	else if (common != 0)
		eas_reply_common(call, common);
}
