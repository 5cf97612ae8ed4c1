/*
 * FolderCreate, FolderUpdate, FolderDelete ([MS-ASCMD] 2.2.1.3, 2.2.1.4, 2.2.1.6): one change of
 * the hierarchy under its newest key. The change and the hierarchy's next generation are one
 * transaction; what is answered is on disk.
 *
 * The key before the newest is good for one thing: the same request again, because its answer got
 * lost. It finds what it was answered in the generation that it made, and is not done twice.
 * Another request with that key gets Status 9.
 *
 * The phone's own change is in the next generation (inventory and own changes), so FolderSync does
 * not tell it; what others changed meanwhile stays to be told.
 */
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/notes.h"
#include "eas/command.h"
#include "eas/request.h"
#include "sync/generations.h"

enum {
	FOLDER_OK = 1,
	FOLDER_NAME_TAKEN = 2,
	FOLDER_SPECIAL = 3,
	FOLDER_NOT_FOUND = 4,
	FOLDER_NO_PARENT = 5,
	FOLDER_TROUBLE = 6,
	FOLDER_BAD_KEY = 9,
	FOLDER_MALFORMED = 10,
};

/* What a deleted folder held goes at once as far as this; the sweep does the rest. */
#define PURGE_BATCH   500
#define PURGE_TIME_MS 1000

struct folder_change {
	struct eas_call *call;
	const struct account_ops *ops;
	struct folder_id id, parent;
	bool parent_valid;
	const char *name;
	enum folder_type type;
	uint64_t hash; /* the same request again has the same */
	struct sync_collection gens;
	struct sync_state base, next;
	uint64_t next_key;
	/* the hierarchy as it is, in the transaction */
	const struct folder **folders; /* by id */
	size_t folder_count;
	unsigned status;
};

/* ---- looking ---- */

static int by_id(const void *a, const void *b)
{
	const struct folder *const *x = a, *const *y = b;

	return ((*x)->id.v > (*y)->id.v) - ((*x)->id.v < (*y)->id.v);
}

static int load_folders(
	struct folder_change *fc, struct store_tx *tx, struct arena *arena, struct err *err)
{
	struct folder *folders;

	if (store_folder_list(store_tx_read(tx), fc->call->user->id, arena, &folders,
		    &fc->folder_count, err) < 0)
		return -1;
	fc->folders = arena_x_alloc(arena, (fc->folder_count + 1) * sizeof(struct folder *));
	for (size_t i = 0; i < fc->folder_count; i++)
		fc->folders[i] = &folders[i];
	qsort(fc->folders, fc->folder_count, sizeof(struct folder *), by_id);
	return 0;
}

static const struct folder *find(const struct folder_change *fc, struct folder_id id)
{
	const struct folder wanted = {.id = id}, *key = &wanted;
	const struct folder *const *found =
		bsearch(&key, fc->folders, fc->folder_count, sizeof(struct folder *), by_id);

	return found != NULL ? *found : NULL;
}

/* How deep a folder lies (1: below the root; 0: the root). Passes at most folder_count ancestors.
 * *ret_distance (may be NULL): how far below `top` it lies; untouched when it does not. */
static size_t depth_of(const struct folder_change *fc, struct folder_id id, struct folder_id top,
	size_t *ret_distance)
{
	const struct folder *folder;
	size_t depth = 0;

	while (depth <= fc->folder_count && (folder = find(fc, id)) != NULL) {
		if (id.v == top.v && ret_distance != NULL)
			*ret_distance = depth;
		id = folder->parent;
		depth++;
	}
	return depth;
}

/* How many levels hang below that folder. */
static size_t height_of(const struct folder_change *fc, struct folder_id id)
{
	size_t height = 0;

	for (size_t i = 0; i < fc->folder_count; i++) {
		size_t distance = 0;

		(void)depth_of(fc, fc->folders[i]->id, id, &distance);
		height = MAX(height, distance);
	}
	return height;
}

static unsigned check_parent(const struct folder_change *fc, size_t height)
{
	const struct folder *parent = find(fc, fc->parent);

	if (!fc->parent_valid || (fc->parent.v != 0 && parent == NULL))
		return FOLDER_NO_PARENT;
	if (parent != NULL && parent->type == FOLDER_RECIPIENT_CACHE)
		return FOLDER_SPECIAL;
	if (depth_of(fc, fc->parent, fc->parent, NULL) + 1 + height >
		fc->call->settings->eas_folder_depth_max)
		return FOLDER_MALFORMED;
	return FOLDER_OK;
}

/* ---- the three changes, each inside the transaction ---- */

static void note_own(struct folder_change *fc, uint64_t seq)
{
	struct sync_state *next = &fc->next;
	size_t kept = 0;

	/* An older change of the same folder is no longer in the log. */
	for (size_t i = 0; i < next->own_count; i++) {
		if (next->own[i].item != fc->id.v)
			next->own[kept++] = next->own[i];
	}
	next->own_count = kept;
	if (seq > next->position)
		sync_state_add_own(next, fc->id.v, SYNC_CONTENT, seq);
}

static int create(
	struct folder_change *fc, struct store_tx *tx, struct sync_answer *answer, struct err *err)
{
	const struct eas_call *call = fc->call;

	fc->status = check_parent(fc, 0);
	if (fc->status == FOLDER_OK && fc->folder_count >= call->settings->eas_folders_max)
		fc->status = call->version >= 140 ? EAS_STATUS_TOO_MANY_FOLDERS : FOLDER_TROUBLE;
	if (fc->status != FOLDER_OK)
		return 0;
	if (fc->ops->add_folder(tx, call->user->id, fc->parent, fc->name, fc->type, &fc->id, err) <
			0 ||
		store_owner_seq(store_tx_read(tx), call->user->id, &answer->own_seq, err) < 0)
		return -1;
	answer->added = true;
	(void)id_set_add(&fc->next.inventory, fc->id.v);
	note_own(fc, answer->own_seq);
	return 0;
}

static int update(
	struct folder_change *fc, struct store_tx *tx, struct sync_answer *answer, struct err *err)
{
	const struct folder *folder = find(fc, fc->id);

	if (folder == NULL)
		fc->status = FOLDER_NOT_FOUND;
	else if (folder->type == FOLDER_RECIPIENT_CACHE)
		fc->status = FOLDER_SPECIAL;
	else if (store_folder_is_special(folder))
		fc->status = FOLDER_NAME_TAKEN;
	else
		fc->status = check_parent(fc, height_of(fc, fc->id));
	if (fc->status != FOLDER_OK)
		return 0;
	if (fc->ops->update_folder(tx, fc->call->user->id, fc->id, fc->parent, fc->name,
		    &answer->own_seq, err) < 0)
		return -1;
	note_own(fc, answer->own_seq);
	return 0;
}

/* The folders that a deletion took with it, as the phone sees it: all of that seq. */
static int forget_deleted(
	struct folder_change *fc, struct store_read *rd, uint64_t seq, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder *folders;
	size_t count;

	if (store_folder_changes(rd, fc->call->user->id, seq - 1, arena, &folders, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (folders[i].deleted && folders[i].changed_seq == seq)
			(void)id_set_remove(&fc->next.inventory, folders[i].id.v);
	}
	return 0;
}

static int remove_folder(
	struct folder_change *fc, struct store_tx *tx, struct sync_answer *answer, struct err *err)
{
	const struct folder *folder = find(fc, fc->id);

	if (folder == NULL)
		fc->status = FOLDER_NOT_FOUND;
	else if (store_folder_is_special(folder))
		fc->status = FOLDER_SPECIAL;
	if (fc->status != FOLDER_OK)
		return 0;
	answer->removed = true;
	if (fc->ops->delete_folder(tx, fc->call->user->id, fc->id, &answer->own_seq, err) < 0)
		return -1;
	return forget_deleted(fc, store_tx_read(tx), answer->own_seq, err);
}

static int change(
	struct folder_change *fc, struct store_tx *tx, struct sync_answer *answer, struct err *err)
{
	switch (fc->call->query->command) {
	case EAS_CMD_FolderCreate:
		return create(fc, tx, answer, err);
	case EAS_CMD_FolderUpdate:
		return update(fc, tx, answer, err);
	default:
		return remove_folder(fc, tx, answer, err);
	}
}

static int change_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder_change *fc = owner;
	struct sync_answer answer = {.command_hash = fc->hash, .status = FOLDER_OK};

	fc->status = FOLDER_OK;
	sync_state_copy(&fc->next, &fc->base);
	fc->next.key = fc->next_key;
	if (load_folders(fc, tx, arena, err) < 0 || change(fc, tx, &answer, err) < 0)
		return -1;
	if (fc->status != FOLDER_OK)
		return 0;
	answer.item = fc->id.v;
	sync_state_add_answer(&fc->next, &answer);
	return sync_collection_save(tx, &fc->gens, &fc->next, err);
}

/* ---- the same request again ---- */

static int save_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct folder_change *fc = owner;

	return sync_collection_save(tx, &fc->gens, &fc->next, err);
}

/* What the deletion took from the phone the first time. The generation it made says so: the log may
 * have forgotten it by now. */
static void forget_again(struct folder_change *fc, const struct sync_answer *answer)
{
	const struct id_set *before = &fc->base.inventory;

	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		const struct sync_state *made = &fc->gens.states[g];

		if (!fc->gens.present[g] ||
			sync_state_find_answer(made, answer->command_hash) != answer)
			continue;
		for (size_t r = 0; r < before->count; r++) {
			for (uint64_t id = before->runs[r].first; id <= before->runs[r].last;
				id++) {
				if (!id_set_has(&made->inventory, id))
					(void)id_set_remove(&fc->next.inventory, id);
			}
		}
	}
}

static int replay(struct folder_change *fc, const struct sync_answer *answer, struct err *err)
{
	struct err ignored = ERR_INIT;

	fc->status = answer->status;
	fc->id.v = answer->item;
	sync_state_copy(&fc->next, &fc->base);
	if (answer->removed) {
		forget_again(fc, answer);
	} else {
		if (answer->added)
			(void)id_set_add(&fc->next.inventory, answer->item);
		note_own(fc, answer->own_seq);
	}
	sync_state_add_answer(&fc->next, answer);
	if (sync_collection_same_again(&fc->gens, &fc->next)) {
		/* The answer stands in the store since the first time; that it was asked for again
		 * is noted where it can be. Told of a full disk now, the phone would give up a
		 * change that was made. */
		(void)!store_transact(fc->call->server->store, save_tx, fc, &ignored);
		return 0;
	}
	fc->next.key = fc->next_key;
	return store_transact(fc->call->server->store, save_tx, fc, err);
}

/* ---- the request ---- */

static int load(struct folder_change *fc, struct err *err)
{
	struct eas_call *call = fc->call;
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = sync_collection_load(
		rd, call->device->id, call->user->id, (struct folder_id){0}, &fc->gens, err);
	store_read_end(&rd);
	return result;
}

static unsigned status_of(const struct err *err)
{
	switch (err->code) {
	case ERR_CONFLICT:
		return FOLDER_NAME_TAKEN;
	case ERR_BAD_INPUT:
		return FOLDER_MALFORMED;
	default:
		return 0;
	}
}

static int run_locked(struct folder_change *fc, uint64_t key, struct err *err)
{
	struct eas_call *call = fc->call;
	const struct sync_answer *answer = NULL;
	bool repeated = false;
	size_t used;

	fc->status = FOLDER_BAD_KEY;
	if (load(fc, err) < 0)
		return -1;
	used = key == 0 ? SYNC_GENERATIONS : sync_collection_find(&fc->gens, key, call->version);
	if (used == SYNC_GENERATIONS)
		return 0;
	sync_state_copy(&fc->base, sync_collection_use(&fc->gens, used, &repeated));
	fc->base.version = (uint16_t)call->version;
	fc->next_key = sync_key_new();
	if (repeated) {
		answer = sync_collection_find_answer(&fc->gens, fc->hash);
		return answer == NULL ? 0 : replay(fc, answer, err);
	}
	if (store_transact(call->server->store, change_tx, fc, err) == 0)
		return 0;
	fc->status = status_of(err);
	return fc->status == 0 ? -1 : 0;
}

static void read_request(struct folder_change *fc)
{
	const struct wbxml_node *root = fc->call->root;
	const char *id = eas_get_text(root, TAG_FolderHierarchy_ServerId, "");
	const char *parent = eas_get_text(root, TAG_FolderHierarchy_ParentId, "");
	uint64_t hash = fc->call->query->command;

	fc->name = eas_get_text(root, TAG_FolderHierarchy_DisplayName, "");
	fc->type = (enum folder_type)eas_get_uint(root, TAG_FolderHierarchy_Type, 0);
	if (!eas_folder_id_parse(id, &fc->id))
		fc->id.v = 0;
	fc->parent_valid = strcmp(parent, "0") == 0 || eas_folder_id_parse(parent, &fc->parent);
	hash = notes_hash(hash, id, strlen(id));
	hash = notes_hash(hash, parent, strlen(parent));
	hash = notes_hash(hash ^ (uint64_t)fc->type, fc->name, strlen(fc->name));
	fc->hash = hash;
}

static void encode(struct folder_change *fc)
{
	struct wbxml_writer *w = &fc->call->writer;
	char key[17], id[24];

	sync_key_print(fc->next.key, key);
	eas_folder_id_print(fc->id, id);
	wbxml_writer_init(w, &fc->call->reply->body);
	wbxml_start(w, eas_command_info(fc->call->query->command)->root);
	wbxml_add_uint(w, TAG_FolderHierarchy_Status, FOLDER_OK);
	wbxml_add_text(w, TAG_FolderHierarchy_SyncKey, key);
	if (fc->call->query->command == EAS_CMD_FolderCreate)
		wbxml_add_text(w, TAG_FolderHierarchy_ServerId, id);
	wbxml_end(w);
}

/* Frees the room that the folder took as far as that is quick. */
static void purge(struct eas_call *call)
{
	int64_t until_ms = clock_now_ms() + PURGE_TIME_MS;
	struct err ignored = ERR_INIT;

	while (store_purge_step(call->server->store, call->user->id, (struct folder_id){0},
		       PURGE_BATCH, &ignored) > 0 &&
		clock_now_ms() < until_ms)
		;
}

static void run(struct eas_call *call)
{
	struct folder_change fc = {.call = call, .ops = account_ops_of(call->user->id)};
	struct eas_collection hierarchy = {call->device->id, call->user->id, {0}};
	struct err err = ERR_INIT;
	uint64_t key;
	int result = 0;

	read_request(&fc);
	sync_state_init(&fc.base);
	sync_state_init(&fc.next);
	fc.status = FOLDER_BAD_KEY;
	if (sync_key_parse(eas_get_text(call->root, TAG_FolderHierarchy_SyncKey, ""), &key)) {
		eas_collections_lock(call->server, &hierarchy, 1);
		result = run_locked(&fc, key, &err);
		eas_collections_unlock(call->server, &hierarchy, 1);
	}
	if (result < 0)
		eas_reply_error(call, &err);
	else if (fc.status == FOLDER_OK)
		encode(&fc);
	else if (fc.status >= 100)
		eas_reply_common(call, fc.status);
	else
		eas_reply_status(call, fc.status);
	sync_state_deinit(&fc.base);
	sync_state_deinit(&fc.next);
	sync_collection_deinit(&fc.gens);
}

void eas_folder_create(struct eas_call *call)
{
	run(call);
}

void eas_folder_update(struct eas_call *call)
{
	run(call);
}

void eas_folder_delete(struct eas_call *call)
{
	run(call);
	purge(call);
}
