/*
 * Looking ahead: what the next Sync would send, without sending it.
 */
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

int sync_pending(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, int64_t now_at, bool *ret, struct err *err)
{
	struct sync_collection c;
	struct counter counter = {.limit = 1, .ignore_aged = true};
	int result = sync_collection_load(rd, device, owner, folder, &c, err);
	/* The notice of a quarantine that is over goes. */
	bool held = result == 0 && c.present[SYNC_CURRENT] &&
		    c.states[SYNC_CURRENT].notice == SYNC_NOTICE_HELD;

	if (result == 0 && c.present[SYNC_CURRENT] && !held)
		result = count_changes(
			rd, owner, folder, &c.states[SYNC_CURRENT], now_at, &counter, err);
	sync_collection_deinit(&c);
	if (result == 0)
		*ret = counter.count > 0 || held;
	return result;
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
