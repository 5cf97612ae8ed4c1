/*
 * Putting right what a phone holds, without key 0. Owns nothing; the collection is held as by a
 * Sync of the phone, so the two never overwrite each other.
 */
#include "eas/repair.h"

#include <inttypes.h>

#include "base/mem.h"
#include "eas/command.h"
#include "sync/generations.h"

/* The hierarchy has no scans: from position 0 each folder is told again, known ones as a change. */
static void mark(struct sync_collection *c)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (!c->present[g])
			continue;
		if (c->folder.v == 0)
			c->states[g].position = c->states[g].own_count = 0;
		else
			sync_state_request_repair(&c->states[g]);
	}
}

static bool is_empty(const struct sync_collection *c)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (c->present[g])
			return false;
	}
	return true;
}

static int save(struct store_tx *tx, void *owner, struct err *err)
{
	const struct sync_collection *c = owner;

	return sync_collection_save(
		tx, c, c->present[SYNC_CURRENT] ? &c->states[SYNC_CURRENT] : NULL, err);
}

static int load(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct sync_collection *ret, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(server->store, &rd, err) < 0)
		return -1;
	return sync_collection_load(rd, device, owner, folder, ret, err);
}

/* Under the lock of the collection. */
static int repair(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err)
{
	struct sync_collection c;
	int result;

	if (load(server, device, owner, folder, &c, err) < 0)
		return -1;
	mark(&c);
	if (is_empty(&c))
		result = err_set(err, ERR_NOT_FOUND,
			"the phone has no state of folder %" PRIu64 " that could be repaired",
			folder.v);
	else
		result = store_transact(server->store, save, &c, err);
	sync_collection_deinit(&c);
	return result;
}

int eas_repair(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err)
{
	const struct eas_collection collection = {device, owner, folder};
	struct change_event event = {.owner = owner, .device = device, .kinds = CHANGE_DEVICE};
	int result;

	eas_collections_lock(server, &collection, 1);
	result = repair(server, device, owner, folder, err);
	eas_collections_unlock(server, &collection, 1);
	/* The store knows nothing of sync states, so it published nothing. */
	if (result == 0)
		watches_publish(server->watches, &event, 1);
	return result;
}
