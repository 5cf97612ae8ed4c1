/*
 * FolderSync ([MS-ASCMD] 2.2.1.5, 3.1.5.3). The hierarchy has generations of its own under folder
 * 0: the newest key and the one before are good, so that a repeated request is answered again; key
 * 0 starts the hierarchy over and touches no collection (a mail app sends it on every manual
 * refresh).
 */
#include "eas/command.h"

#include "base/mem.h"
#include "eas/request.h"
#include "sync/hierarchy.h"

#define STATUS_KEY_MISMATCH 9

struct folder_sync {
	struct eas_call *call;
	struct sync_collection gens;
	struct sync_state next; /* what the phone will know after this answer */
	bool repeated;          /* the last answer got lost */
	struct hierarchy_change *changes;
	size_t count;
};

static int save_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct folder_sync *fs = owner;

	return sync_collection_save(tx, &fs->gens, &fs->next, err);
}

static int reset_tx(struct store_tx *tx, void *owner, struct err *err)
{
	return eas_log_reset(tx, owner, "phone sent back", "folders", err);
}

static void begin_generation(struct folder_sync *fs, uint64_t key, size_t used)
{
	if (key == 0) {
		sync_collection_restart(&fs->gens);
	} else {
		sync_state_copy(&fs->next, sync_collection_use(&fs->gens, used, &fs->repeated));
	}
	fs->next.version = (uint16_t)fs->call->version;
}

static void encode_change(struct wbxml_writer *w, const struct hierarchy_change *change)
{
	const struct folder *f = change->folder;
	char text[24];

	eas_folder_id_print(f->id, text);
	if (change->deleted) {
		wbxml_start(w, TAG_FolderHierarchy_Delete);
		wbxml_add_text(w, TAG_FolderHierarchy_ServerId, text);
		wbxml_end(w);
		return;
	}
	wbxml_start(w, change->is_new ? TAG_FolderHierarchy_Add : TAG_FolderHierarchy_Update);
	wbxml_add_text(w, TAG_FolderHierarchy_ServerId, text);
	eas_folder_id_print(f->parent, text);
	wbxml_add_text(w, TAG_FolderHierarchy_ParentId, text);
	wbxml_add_text(w, TAG_FolderHierarchy_DisplayName, f->name);
	wbxml_add_uint(w, TAG_FolderHierarchy_Type, f->type);
	wbxml_end(w);
}

/* Parents come before children; where folders go, children before parents. */
static void encode_kind(struct folder_sync *fs, bool deleted, bool is_new)
{
	for (size_t i = 0; i < fs->count; i++) {
		const struct hierarchy_change *change =
			&fs->changes[deleted ? fs->count - 1 - i : i];

		if (change->deleted == deleted && (deleted || change->is_new == is_new))
			encode_change(&fs->call->writer, change);
	}
}

static void encode(struct folder_sync *fs)
{
	struct wbxml_writer *w = &fs->call->writer;
	char key[17];

	sync_key_print(fs->next.key, key);
	wbxml_writer_init(w, &fs->call->reply->body);
	wbxml_start(w, TAG_FolderHierarchy_FolderSync);
	wbxml_add_uint(w, TAG_FolderHierarchy_Status, 1);
	wbxml_add_text(w, TAG_FolderHierarchy_SyncKey, key);
	wbxml_start(w, TAG_FolderHierarchy_Changes);
	wbxml_add_uint(w, TAG_FolderHierarchy_Count, fs->count);
	encode_kind(fs, false, false);
	encode_kind(fs, true, false);
	encode_kind(fs, false, true);
	wbxml_end(w);
	wbxml_end(w);
}

static int load(struct folder_sync *fs, uint64_t key, size_t *ret_used, struct err *err)
{
	struct eas_call *call = fs->call;
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = sync_collection_load(
		rd, call->device->id, call->user->id, (struct folder_id){0}, &fs->gens, err);
	if (result == 0) {
		*ret_used = key == 0 ? SYNC_CURRENT
				     : sync_collection_find(&fs->gens, key, call->version);
		if (*ret_used < SYNC_GENERATIONS) {
			begin_generation(fs, key, *ret_used);
			result = hierarchy_collect(rd, call->user->id, &fs->next, call->arena,
				&fs->changes, &fs->count, err);
		}
	}
	store_read_end(&rd);
	return result;
}

static int folder_sync_locked(struct folder_sync *fs, uint64_t key, struct err *err)
{
	size_t used = SYNC_GENERATIONS;

	if (load(fs, key, &used, err) < 0)
		return -1;
	if (used == SYNC_GENERATIONS) {
		eas_reply_status(fs->call, STATUS_KEY_MISMATCH);
		return eas_only_validates(fs->call)
			       ? 0
			       : store_transact(fs->call->server->store, reset_tx, fs->call, err);
	}
	/* Nothing new: the key stays, nothing is written. */
	if (key != 0 && fs->count == 0 && !fs->repeated) {
		encode(fs);
		return 0;
	}
	if (!fs->repeated || !sync_collection_same_again(&fs->gens, &fs->next))
		fs->next.key = sync_key_new();
	if (!eas_only_validates(fs->call) &&
		store_transact(fs->call->server->store, save_tx, fs, err) < 0)
		return -1;
	encode(fs);
	return 0;
}

void eas_folder_sync(struct eas_call *call)
{
	struct folder_sync fs = {.call = call};
	struct eas_collection hierarchy = {call->device->id, call->user->id, {0}};
	struct err err = ERR_INIT;
	uint64_t key;
	int result;

	if (!sync_key_parse(eas_get_text(call->root, TAG_FolderHierarchy_SyncKey, ""), &key)) {
		eas_reply_status(call, STATUS_KEY_MISMATCH);
		return;
	}
	sync_state_init(&fs.next);
	eas_collections_lock(call->server, &hierarchy, 1);
	result = folder_sync_locked(&fs, key, &err);
	eas_collections_unlock(call->server, &hierarchy, 1);
	sync_state_deinit(&fs.next);
	sync_collection_deinit(&fs.gens);
	if (result < 0) {
		eas_reply_error(call, &err);
		return;
	}
	if (key == 0) {
		eas_reply_header(call->reply, "MS-ASProtocolVersions",
			eas_versions_offered(call->services.values[SERVICE_versions],
				call->device->ceiling, call->arena));
		eas_reply_header(call->reply, "MS-ASProtocolCommands", eas_commands_offered(call));
	}
}
