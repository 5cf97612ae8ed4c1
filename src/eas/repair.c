/*
 * Putting right what a phone holds, without key 0. Owns nothing; the collection is held as by a
 * Sync of the phone, so the two never overwrite each other.
 */
#include "eas/repair.h"

#include <inttypes.h>

#include "base/mem.h"
#include "eas/command.h"
#include "sync/generations.h"

/* A request to put something right. */
struct repair {
	struct device_id device;
	struct owner_id owner;
	struct folder_id folder;
	/* ERR_NOT_FOUND: there is nothing to do. */
	int (*mark)(const struct repair *r, struct sync_collection *c, struct err *err);
	struct item_id item; /* of a release */
};

static bool is_empty(const struct sync_collection *c)
{
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (c->present[g])
			return false;
	}
	return true;
}

/* The hierarchy has no scans: from position 0 each folder is told again, known ones as a change. */
static int mark_all(const struct repair *r, struct sync_collection *c, struct err *err)
{
	if (is_empty(c))
		return err_set(err, ERR_NOT_FOUND,
			"the phone has no state of folder %" PRIu64 " that could be repaired",
			r->folder.v);
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (!c->present[g])
			continue;
		if (c->folder.v == 0)
			c->states[g].position = c->states[g].own_count = 0;
		else
			sync_state_request_repair(&c->states[g]);
	}
	return 0;
}

/* Sent whatever has changed since: what changed while it was withheld counts as told. */
static void try_again(struct sync_state *s, uint64_t item)
{
	s->repeats = 0;
	s->suspect = 0;
	if (id_set_remove(&s->withheld, item) && !sync_state_add_resend(s, item, SYNC_ALL_GROUPS))
		sync_state_request_repair(s); /* there is no room for one more */
}

static int mark_item(const struct repair *r, struct sync_collection *c, struct err *err)
{
	if (!c->present[SYNC_CURRENT] || !id_set_has(&c->states[SYNC_CURRENT].withheld, r->item.v))
		return err_set(err, ERR_NOT_FOUND,
			"item %" PRIu64 " of folder %" PRIu64 " is not withheld", r->item.v,
			r->folder.v);
	for (size_t g = 0; g < SYNC_GENERATIONS; g++) {
		if (c->present[g])
			try_again(&c->states[g], r->item.v);
	}
	return 0;
}

static int save(struct store_tx *tx, void *owner, struct err *err)
{
	const struct sync_collection *c = owner;

	if (sync_collection_save(
		    tx, c, c->present[SYNC_CURRENT] ? &c->states[SYNC_CURRENT] : NULL, err) < 0)
		return -1;
	/* The next engine, should this one die now, knows by the epoch that it has to look. */
	return store_device_touch(tx, c->device, err);
}

static int load(struct eas_server *server, const struct repair *r, struct sync_collection *ret,
	struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(server->store, &rd, err) < 0)
		return -1;
	return sync_collection_load(rd, r->device, r->owner, r->folder, ret, err);
}

static int repair_locked(struct eas_server *server, const struct repair *r, struct err *err)
{
	struct sync_collection c;
	int result;

	if (load(server, r, &c, err) < 0)
		return -1;
	result = r->mark(r, &c, err);
	if (result == 0)
		result = store_transact(server->store, save, &c, err);
	sync_collection_deinit(&c);
	return result;
}

static int repair(struct eas_server *server, const struct repair *r, struct err *err)
{
	const struct eas_collection collection = {r->device, r->owner, r->folder};
	struct change_event event = {
		.owner = r->owner, .device = r->device, .kinds = CHANGE_DEVICE};
	int result;

	eas_collections_lock(server, &collection, 1);
	result = repair_locked(server, r, err);
	eas_collections_unlock(server, &collection, 1);
	/* The store knows nothing of sync states, so it published nothing. */
	if (result == 0)
		watches_publish(server->watches, &event, 1);
	return result;
}

int eas_repair(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err)
{
	const struct repair r = {device, owner, folder, mark_all, {0}};

	return repair(server, &r, err);
}

int eas_release(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct item_id item, struct err *err)
{
	const struct repair r = {device, owner, folder, mark_item, item};

	return repair(server, &r, err);
}

/* ---- starting over ---- */

static int forget(struct store_tx *tx, void *owner, struct err *err)
{
	const struct eas_collection *c = owner;

	if (store_sync_state_save(tx, c->device, c->owner, c->folder, NULL, 0, NULL, 0, err) < 0)
		return -1;
	return store_device_touch(tx, c->device, err);
}

int eas_resync(struct eas_server *server, struct device_id device, struct owner_id owner,
	struct folder_id folder, struct err *err)
{
	struct eas_collection collection = {device, owner, folder};
	struct change_event event = {.owner = owner, .device = device, .kinds = CHANGE_DEVICE};
	int result;

	eas_collections_lock(server, &collection, 1);
	result = store_transact(server->store, forget, &collection, err);
	if (result == 0)
		eas_resync_note(server, device, folder);
	eas_collections_unlock(server, &collection, 1);
	if (result == 0)
		watches_publish(server->watches, &event, 1);
	return result;
}
