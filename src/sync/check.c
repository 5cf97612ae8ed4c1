/*
 * Looking whether sync states can be right. Owns nothing, changes nothing; any thread.
 */
#include "sync/check.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/mem.h"
#include "sync/generations.h"

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
