/*
 * Looking ahead: what the next Sync would send, without sending it.
 *
 * A phone names dozens of folders, and in nearly all of them nothing has happened. So one statement
 * reads the newest generation of each beside the seq of its folder's newest change; a state that is
 * at least as new has nothing to tell, and only the others are collected. No state of its own; any
 * thread.
 */
#include "base/arena.h"
#include "base/mem.h"
#include "sync/collect.h"

struct counter {
	size_t count, limit;
	bool ignore_aged;
};

static enum sync_emit_result count_emit(const struct sync_emit *emit, void *owner, struct err *err)
{
	struct counter *counter = owner;

	(void)err;
	if (counter->ignore_aged && emit->kind == SYNC_EMIT_SOFT_DELETE)
		return SYNC_EMIT_SENT;
	if (counter->count == counter->limit)
		return SYNC_EMIT_FULL;
	counter->count++;
	return counter->count == counter->limit ? SYNC_EMIT_FULL : SYNC_EMIT_SENT;
}

static int count_changes(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct sync_state *state, int64_t now_at, struct counter *counter, struct err *err)
{
	struct sync_collect_options options = {
		.now_at = now_at, .emit = count_emit, .owner = counter};
	struct sync_collect_result result;

	return sync_collect(rd, owner, folder, state, &options, &result, err);
}

/* Nothing is left of what sync_collect() would look at. Ages the state, as that does. */
static bool is_settled(struct sync_state *s, uint64_t items_seq, uint64_t floor_seq, int64_t now_at)
{
	sync_state_age(s, now_at);
	return items_seq <= s->position && s->resend_count == 0 && !s->scan.active &&
	       ((!s->scan.vanished && s->position >= floor_seq) || s->inventory.count == 0);
}

struct looking {
	struct store_read *rd;
	struct device_id device;
	struct owner_id owner;
	int64_t now_at;
	uint64_t floor_seq;
};

static int look_at_state(const struct looking *l, const struct folder_state_row *row,
	struct sync_state *state, struct sync_look *ret, struct err *err)
{
	struct counter counter = {.limit = 1, .ignore_aged = true};

	ret->synced = true;
	ret->cutoff_at = state->cutoff_at;
	/* The notice of a quarantine that is over goes. */
	ret->pending = state->notice == SYNC_NOTICE_HELD;
	if (ret->pending || is_settled(state, row->items_seq, l->floor_seq, l->now_at))
		return 0;
	if (count_changes(l->rd, l->owner, row->folder, state, l->now_at, &counter, err) < 0)
		return -1;
	ret->pending = counter.count > 0;
	return 0;
}

/* Its inventory is in chunks, or it is broken. */
static int look_at_large(const struct looking *l, const struct folder_state_row *row,
	struct sync_look *ret, struct err *err)
{
	struct sync_collection c;
	int result = sync_collection_load(l->rd, l->device, l->owner, row->folder, &c, err);

	if (result == 0 && c.present[SYNC_CURRENT])
		result = look_at_state(l, row, &c.states[SYNC_CURRENT], ret, err);
	sync_collection_deinit(&c);
	return result;
}

static int look_at(const struct looking *l, const struct folder_state_row *row,
	struct sync_look *ret, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct sync_state state;
	int result;

	*ret = (struct sync_look){.folder = row->folder, .found = true, .type = row->type};
	if (!row->has_state)
		return 0;
	sync_state_init(&state);
	if (sync_state_decode(row->state.blob, row->state.blob_len, NULL, 0, &state, &ignored) < 0)
		result = look_at_large(l, row, ret, err);
	else
		result = look_at_state(l, row, &state, ret, err);
	sync_state_deinit(&state);
	return result;
}

static int look_at_some(
	const struct looking *l, struct sync_look *looks, size_t count, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder_state_row rows[STORE_FOLDER_STATES_MAX];
	struct folder_id ids[STORE_FOLDER_STATES_MAX];
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		ids[i] = looks[i].folder;
	if (store_folder_states_load(
		    l->rd, l->device, l->owner, ids, count, arena, rows, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		size_t r = 0;

		while (r < found && rows[r].folder.v != ids[i].v)
			r++;
		looks[i] = (struct sync_look){.folder = ids[i]};
		if (r < found && look_at(l, &rows[r], &looks[i], err) < 0)
			return -1;
	}
	return 0;
}

int sync_look(struct store_read *rd, struct device_id device, struct owner_id owner, int64_t now_at,
	struct sync_look *looks, size_t count, struct err *err)
{
	struct looking l = {rd, device, owner, now_at, 0};

	if (count > 0 && store_tombstone_floor(rd, owner, &l.floor_seq, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i += STORE_FOLDER_STATES_MAX) {
		size_t n = MIN(count - i, (size_t)STORE_FOLDER_STATES_MAX);

		if (look_at_some(&l, looks + i, n, err) < 0)
			return -1;
	}
	return 0;
}

int sync_estimate(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const struct sync_state *state, const struct sync_scope *scope, int64_t now_at,
	size_t limit, size_t *ret, struct err *err)
{
	struct counter counter = {.limit = limit};
	struct sync_state copy;
	int result;

	sync_state_init(&copy);
	sync_state_copy(&copy, state);
	sync_state_set_scope(&copy, scope, now_at);
	result = count_changes(rd, owner, folder, &copy, now_at, &counter, err);
	sync_state_deinit(&copy);
	if (result == 0)
		*ret = counter.count + (state->notice == SYNC_NOTICE_HELD && counter.count < limit);
	return result;
}
