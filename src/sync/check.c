/*
 * Looking whether sync states are right. Owns nothing, changes nothing; any thread.
 *
 * A collection is judged by playing on: a copy of a state collects all that is pending, then as
 * much as a repair would look for. What the second part would send is what the phone lacks, or has
 * and should not. So the check can never disagree with Sync: it is Sync.
 *
 * Limits: FINDING_IDS of one kind are counted, FINDING_BYTES of them named.
 */
#include "sync/check.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/mem.h"
#include "sync/collect.h"
#include "sync/generations.h"
#include "sync/hierarchy.h"

#define FINDING_IDS   1000000
#define FINDING_BYTES 120

struct states_check {
	struct store_read *rd;
	const struct device *device;
	sync_finding_fn found;
	void *owner;
	uint64_t count;
};

static void tell(const struct states_check *c, struct folder_id folder, const char *what)
{
	char *text =
		x_printf("device %s folder %" PRIu64 ": %s", c->device->device_id, folder.v, what);

	c->found(text, c->owner);
	mem_free(text);
}

/* The generations of one collection as they are stored. */
struct stored {
	struct sync_state_row *rows;
	struct sync_chunk_row *chunks;
	size_t count, chunk_count;
};

static void check_state(struct states_check *c, struct folder_id folder, uint64_t owner_seq,
	const struct stored *stored, const struct sync_state_row *row)
{
	struct err err = ERR_INIT;
	struct sync_state state;

	c->count++;
	sync_state_init(&state);
	if (row->generation >= SYNC_GENERATIONS)
		tell(c, folder, "a generation that there is not");
	else if (row->key == 0)
		tell(c, folder, "a state without a key");
	else if (sync_state_decode(row->blob, row->blob_len, stored->chunks, stored->chunk_count,
			 &state, &err) < 0)
		tell(c, folder, err.text);
	else if (state.position > owner_seq)
		tell(c, folder, "its position is beyond the owner's newest change");
	sync_state_deinit(&state);
}

static int check_collection(
	struct states_check *c, const struct sync_collection_ref *ref, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct stored stored;
	uint64_t owner_seq;

	if (store_owner_seq(c->rd, ref->owner, &owner_seq, err) < 0 ||
		store_sync_state_load(c->rd, c->device->id, ref->owner, ref->folder, arena,
			&stored.rows, &stored.count, &stored.chunks, &stored.chunk_count, err) < 0)
		return -1;
	for (size_t i = 0; i < stored.count; i++) {
		check_state(c, ref->folder, owner_seq, &stored, &stored.rows[i]);
		for (size_t k = 0; k < i; k++) {
			if (stored.rows[k].key == stored.rows[i].key)
				tell(c, ref->folder, "two states with one key");
		}
	}
	return 0;
}

int sync_check_states(struct store_read *rd, sync_finding_fn found, void *owner,
	uint64_t *ret_count, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(arena_free) struct arena *refs_arena = arena_new(0);
	struct states_check c = {.rd = rd, .found = found, .owner = owner};
	struct device *devices;
	size_t device_count;

	if (store_device_list(rd, (struct owner_id){0}, arena, &devices, &device_count, err) < 0)
		return -1;
	for (size_t i = 0; i < device_count; i++) {
		struct sync_collection_ref *refs;
		size_t count;

		c.device = &devices[i];
		arena_clear(refs_arena);
		if (store_sync_state_list(rd, devices[i].id, refs_arena, &refs, &count, err) < 0)
			return -1;
		for (size_t k = 0; k < count; k++) {
			if (check_collection(&c, &refs[k], err) < 0)
				return -1;
		}
	}
	*ret_count = c.count;
	return 0;
}

/* ---- one collection against its folder ---- */

/* What a repair would still send, by kind. */
struct rest {
	struct id_set missing, gone, outside;
	uint64_t count;
	const struct sync_state *state; /* after all that was pending */
};

static enum sync_emit_result take(const struct sync_emit *emit, void *owner, struct err *err)
{
	(void)emit;
	(void)owner;
	(void)err;
	return SYNC_EMIT_SENT;
}

static enum sync_emit_result take_rest(const struct sync_emit *emit, void *owner, struct err *err)
{
	struct rest *rest = owner;

	(void)err;
	if (rest->count++ == FINDING_IDS)
		return SYNC_EMIT_FULL;
	switch (emit->kind) {
	case SYNC_EMIT_ADD:
		if (!id_set_has(&rest->state->withheld, emit->item.v))
			(void)id_set_add(&rest->missing, emit->item.v);
		break;
	case SYNC_EMIT_DELETE:
		/* An inventory that swallowed gaps names ids that are gone, and says so. */
		if (!rest->state->swallowed)
			(void)id_set_add(&rest->gone, emit->item.v);
		break;
	case SYNC_EMIT_SOFT_DELETE:
		(void)id_set_add(&rest->outside, emit->item.v);
		break;
	case SYNC_EMIT_CHANGE:
		break;
	}
	return SYNC_EMIT_SENT;
}

static void tell_ids(const struct states_check *c, struct folder_id folder, const char *generation,
	const struct id_set *ids, const char *what)
{
	CLEANUP(mem_freep) char *text = NULL;
	struct buf list = BUF_INIT;

	if (ids->count == 0)
		return;
	id_set_print(ids, &list);
	text = x_printf("%s%" PRIu64 " %s: %.*s%s", generation, id_set_count(ids), what,
		(int)MIN(list.len, (size_t)FINDING_BYTES), buf_cstr(&list),
		list.len > FINDING_BYTES ? " ..." : "");
	tell(c, folder, text);
	buf_deinit(&list);
}

static const char *generation_name(size_t g)
{
	return g == SYNC_CURRENT ? "" : g == SYNC_PREVIOUS ? "state before: " : "sibling state: ";
}

static int collect_all(struct states_check *c, const struct sync_collection *collection,
	struct sync_state *state, int64_t now_at, sync_emit_fn emit, void *owner, struct err *err)
{
	struct sync_collect_options options = {.now_at = now_at, .emit = emit, .owner = owner};
	struct sync_collect_result result;

	return sync_collect(
		c->rd, collection->owner, collection->folder, state, &options, &result, err);
}

static int check_generation(struct states_check *c, const struct sync_collection *collection,
	size_t g, int64_t now_at, struct err *err)
{
	const char *name = generation_name(g);
	struct sync_state done, repaired;
	struct rest rest = {.state = &done};
	int result;

	sync_state_init(&done);
	sync_state_init(&repaired);
	sync_state_copy(&done, &collection->states[g]);
	result = collect_all(c, collection, &done, now_at, take, NULL, err);
	if (result == 0) {
		sync_state_copy(&repaired, &done);
		sync_state_request_repair(&repaired);
		result = collect_all(c, collection, &repaired, now_at, take_rest, &rest, err);
	}
	if (result == 0) {
		tell_ids(c, collection->folder, name, &rest.missing,
			"in the folder are neither held nor pending");
		tell_ids(c, collection->folder, name, &rest.gone,
			"held are gone, and no deletion is pending");
		tell_ids(c, collection->folder, name, &rest.outside,
			"held are outside the filter, and no removal is pending");
	}
	id_set_deinit(&rest.missing);
	id_set_deinit(&rest.gone);
	id_set_deinit(&rest.outside);
	sync_state_deinit(&done);
	sync_state_deinit(&repaired);
	return result;
}

/* Folders are few: what is there and what the phone will have been sent, one by one. */
static int check_hierarchy(struct states_check *c, const struct sync_collection *collection,
	size_t g, uint64_t *ret_pending, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct id_set missing = ID_SET_INIT;
	struct hierarchy_change *changes;
	struct sync_state state;
	struct folder *folders;
	size_t count, pending;
	int result = -1;

	sync_state_init(&state);
	sync_state_copy(&state, &collection->states[g]);
	if (store_folder_list(c->rd, collection->owner, arena, &folders, &count, err) == 0 &&
		hierarchy_collect(
			c->rd, collection->owner, &state, arena, &changes, &pending, err) == 0)
		result = 0;
	for (size_t i = 0; i < count && result == 0; i++) {
		if (!id_set_remove(&state.inventory, folders[i].id.v))
			(void)id_set_add(&missing, folders[i].id.v);
	}
	if (result == 0) {
		tell_ids(c, collection->folder, generation_name(g), &missing,
			"folders are neither held nor pending");
		tell_ids(c, collection->folder, generation_name(g), &state.inventory,
			"folders held are gone, and no deletion is pending");
		*ret_pending = pending;
	}
	id_set_deinit(&missing);
	sync_state_deinit(&state);
	return result;
}

static int count_collection(struct states_check *c, const struct sync_collection *collection,
	int64_t now_at, struct sync_check_counts *counts, struct err *err)
{
	const struct sync_state *state = &collection->states[SYNC_CURRENT];
	uint64_t owner_seq;
	size_t pending = 0;

	if (store_owner_seq(c->rd, collection->owner, &owner_seq, err) < 0)
		return -1;
	if (!collection->present[SYNC_CURRENT])
		return 0;
	if (collection->folder.v != 0 &&
		sync_estimate(c->rd, collection->owner, collection->folder, state, &state->scope,
			now_at, SIZE_MAX, &pending, err) < 0)
		return -1;
	counts->present = true;
	counts->scan_unfinished = state->scan.active || state->scan.vanished;
	counts->held = id_set_count(&state->inventory);
	counts->withheld = id_set_count(&state->withheld);
	counts->behind = owner_seq > state->position ? owner_seq - state->position : 0;
	counts->pending = pending;
	return 0;
}

/* Of all states as they are stored. */
static int count_bytes(struct states_check *c, const struct sync_collection_ref *ref, uint64_t *ret,
	struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct stored stored;

	if (store_sync_state_load(c->rd, c->device->id, ref->owner, ref->folder, arena,
		    &stored.rows, &stored.count, &stored.chunks, &stored.chunk_count, err) < 0)
		return -1;
	for (size_t i = 0; i < stored.count; i++)
		*ret += stored.rows[i].blob_len;
	for (size_t i = 0; i < stored.chunk_count; i++)
		*ret += stored.chunks[i].len;
	return 0;
}

int sync_check_collection(struct store_read *rd, const struct device *device,
	const struct sync_collection_ref *ref, int64_t now_at, sync_finding_fn found, void *owner,
	struct sync_check_counts *ret, struct err *err)
{
	struct states_check c = {.rd = rd, .device = device, .found = found, .owner = owner};
	struct sync_check_counts counts = {.present = false};
	struct sync_collection collection;
	int result;

	if (check_collection(&c, ref, err) < 0 ||
		count_bytes(&c, ref, &counts.state_bytes, err) < 0)
		return -1;
	result = sync_collection_load(rd, device->id, ref->owner, ref->folder, &collection, err);
	if (result == 0)
		result = count_collection(&c, &collection, now_at, &counts, err);
	for (size_t g = 0; g < SYNC_GENERATIONS && result == 0; g++) {
		uint64_t pending = 0;

		if (!collection.present[g])
			continue;
		result = ref->folder.v == 0 ? check_hierarchy(&c, &collection, g, &pending, err)
					    : check_generation(&c, &collection, g, now_at, err);
		if (g == SYNC_CURRENT && ref->folder.v == 0)
			counts.pending = pending;
	}
	sync_collection_deinit(&collection);
	if (result == 0)
		*ret = counts;
	return result;
}
