/*
 * Folder hierarchies: few rows, so each FolderSync compares what changed since its position. No
 * state of its own; any thread.
 */
#include "sync/hierarchy.h"

#include "base/mem.h"

/* Folders that the phone has and whose deletion the log no longer holds; the state forgets them.
 * Appended to changes, which has room for what the inventory counts. */
static int add_forgotten(struct store_read *rd, struct owner_id owner, struct sync_state *state,
	struct arena *arena, struct hierarchy_change *changes, size_t *count, struct err *err)
{
	struct id_set gone = ID_SET_INIT;
	struct folder *folders;
	size_t folder_count;

	if (store_folder_list(rd, owner, arena, &folders, &folder_count, err) < 0)
		return -1;
	id_set_copy(&gone, &state->inventory);
	for (size_t i = 0; i < folder_count; i++)
		(void)id_set_remove(&gone, folders[i].id.v);
	for (size_t r = 0; r < gone.count; r++) {
		for (uint64_t id = gone.runs[r].first; id <= gone.runs[r].last; id++) {
			struct folder *folder = arena_x_new(arena, struct folder);

			folder->id.v = id;
			folder->deleted = true;
			changes[(*count)++] = (struct hierarchy_change){true, false, folder};
			(void)id_set_remove(&state->inventory, id);
		}
	}
	id_set_deinit(&gone);
	return 0;
}

int hierarchy_collect(struct store_read *rd, struct owner_id owner, struct sync_state *state,
	struct arena *arena, struct hierarchy_change **ret, size_t *ret_count, struct err *err)
{
	struct hierarchy_change *changes;
	struct folder *folders;
	size_t folder_count, count = 0;
	uint64_t owner_seq, floor_seq, held = id_set_count(&state->inventory);

	if (store_owner_seq(rd, owner, &owner_seq, err) < 0 ||
		store_folder_floor(rd, owner, &floor_seq, err) < 0)
		return -1;
	if (state->inventory.count == 0) {
		if (store_folder_list(rd, owner, arena, &folders, &folder_count, err) < 0)
			return -1;
	} else if (store_folder_changes(
			   rd, owner, state->position, arena, &folders, &folder_count, err) < 0) {
		return -1;
	}
	changes = arena_x_alloc(arena, (folder_count + held + 1) * sizeof(*changes));
	for (size_t i = 0; i < folder_count; i++) {
		bool known = id_set_has(&state->inventory, folders[i].id.v);

		/* What the phone does not have need not go; its own change is no news to it. */
		if (folders[i].deleted ? !known
				       : known && sync_state_is_own(state, folders[i].id.v,
							  SYNC_CONTENT, folders[i].changed_seq))
			continue;
		changes[count++] =
			(struct hierarchy_change){folders[i].deleted, !known, &folders[i]};
		if (folders[i].deleted)
			(void)id_set_remove(&state->inventory, folders[i].id.v);
		else
			(void)id_set_add(&state->inventory, folders[i].id.v);
	}
	if (state->position < floor_seq && held > 0 &&
		add_forgotten(rd, owner, state, arena, changes, &count, err) < 0)
		return -1;
	state->since = state->position = owner_seq;
	sync_state_prune(state);
	*ret = changes;
	*ret_count = count;
	return 0;
}

int hierarchy_pending(struct store_read *rd, struct device_id device, struct owner_id owner,
	bool *ret, bool *ret_known, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct sync_collection c;
	struct hierarchy_change *changes;
	size_t count = 0;
	int result = sync_collection_load(rd, device, owner, (struct folder_id){0}, &c, err);

	if (result == 0 && c.present[SYNC_CURRENT])
		result = hierarchy_collect(
			rd, owner, &c.states[SYNC_CURRENT], arena, &changes, &count, err);
	if (result == 0)
		*ret = count > 0;
	if (result == 0 && ret_known != NULL)
		*ret_known = c.present[SYNC_CURRENT];
	sync_collection_deinit(&c);
	return result;
}
