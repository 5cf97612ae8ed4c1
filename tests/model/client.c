/*
 * The second client: what somebody at a desk does, written into the store directly.
 */
#include "base/mem.h"
#include "model.h"

/* One transaction. */
struct client {
	struct world *w;
	const struct effect *effects;
	size_t count;
	unsigned target; /* of deletions that are moves; FOLDERS: none */
};

static int set_groups(struct store_tx *tx, struct world *w, const struct effect *e, struct err *err)
{
	struct folder_id folder = w->folders[e->folder];
	struct item_id item = {e->item};
	struct device_id nobody = {0};
	struct buf blob = BUF_INIT;
	int result = 0;

	if ((e->groups & 1u << GROUP_READ) != 0)
		result = store_item_set_read(
			tx, w->anna, folder, item, e->values[GROUP_READ] != 0, nobody, NULL, err);
	if (result == 0 && (e->groups & 1u << GROUP_FLAG) != 0) {
		flag_blob(e->values[GROUP_FLAG], &blob);
		result = store_item_set_flag(tx, w->anna, folder, item,
			e->values[GROUP_FLAG] != 0 ? 2 : 0, blob.data, blob.len, nobody, NULL, err);
	}
	buf_clear(&blob);
	if (result == 0 && (e->groups & 1u << GROUP_CATEGORY) != 0) {
		category_blob(e->values[GROUP_CATEGORY], &blob);
		result = store_item_set_categories(
			tx, w->anna, folder, item, blob.data, blob.len, nobody, NULL, err);
	}
	buf_deinit(&blob);
	return result;
}

static int client_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct client *c = owner;

	for (size_t i = 0; i < c->count; i++) {
		const struct effect *e = &c->effects[i];
		struct folder_id folder = c->w->folders[e->folder];
		struct item_id item = {e->item}, moved;
		struct device_id nobody = {0};
		int result;

		if (!e->deletes)
			result = set_groups(tx, c->w, e, err);
		else if (c->target < FOLDERS)
			result = store_item_move(tx, c->w->anna, folder, item,
				c->w->folders[c->target], nobody, &moved, err);
		else
			result = store_item_delete(tx, c->w->anna, folder, item, nobody, err);
		if (result < 0 && err->code != ERR_NOT_FOUND)
			return -1;
	}
	return 0;
}

void client_write(struct world *w, const struct effect *effects, size_t count, unsigned target)
{
	struct client c = {w, effects, count, target};
	struct err err = ERR_INIT;

	if (count == 0 || store_transact(w->store, client_tx, &c, &err) == 0)
		return;
	w->troubles++;
	ledger_doubt(w, fiber_owner());
}

void client_do(struct world *w, const struct effect *effect, unsigned target)
{
	struct writer writer = {.effects = {*effect}, .effect_count = 1};
	void *owner = fiber_owner();

	fiber_set_owner(&writer);
	client_write(w, effect, 1, target);
	fiber_set_owner(owner);
	ledger_flush(w);
}
