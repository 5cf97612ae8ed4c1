/*
 * Changes and scans (DESIGN.md, section 5).
 *
 * Changes are read oldest first by (seq, item). A transaction may touch many items under one seq,
 * so beside the position (all seqs up to it are done) the state keeps how far it came within the
 * next one. A scan walks the folder newest first and compares filter membership with the inventory;
 * it goes on only when all changes fitted. While a scan runs the cutoff stands still, so that what
 * it has passed and what it will meet are judged alike; an aged cutoff is a short scan of its own
 * afterwards.
 *
 * Costs follow the number of changes. No state of its own; any thread.
 */
#include "sync/collect.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"

#define BATCH_ROWS 256

struct collector {
	struct store_read *rd;
	struct owner_id owner;
	struct folder_id folder;
	struct sync_state *state;
	const struct sync_collect_options *options;
	struct sync_collect_result *result;
	unsigned visible_groups;
	bool stopped;
};

/* Groups that a phone of this version can be told of: what it cannot see is no change for it. */
static unsigned visible_groups(uint16_t version)
{
	if (version < 120)
		return SYNC_CONTENT | SYNC_READ;
	if (version < 140)
		return SYNC_CONTENT | SYNC_READ | SYNC_FLAG;
	return SYNC_CONTENT | SYNC_READ | SYNC_FLAG | SYNC_CATEGORIES | SYNC_VERB;
}

/* 1: sent. 0: full, stop. -1: failed. */
static int emit_one(struct collector *c, enum sync_emit_kind kind, struct item_id item,
	unsigned groups, struct err *err)
{
	struct sync_emit emit = {kind, item, groups};

	switch (c->options->emit(&emit, c->options->owner, err)) {
	case SYNC_EMIT_SENT:
		c->result->emitted++;
		if (kind == SYNC_EMIT_ADD)
			(void)id_set_add(&c->state->inventory, item.v);
		else if (kind != SYNC_EMIT_CHANGE)
			(void)id_set_remove(&c->state->inventory, item.v);
		return 1;
	case SYNC_EMIT_FULL:
		c->stopped = true;
		return 0;
	case SYNC_EMIT_FAILED:
		break;
	}
	return -1;
}

static unsigned moved_groups(const struct collector *c, const struct item_row *row)
{
	const struct {
		uint8_t group;
		uint64_t seq;
	} groups[] = {{SYNC_CONTENT, row->content_seq}, {SYNC_READ, row->read_seq},
		{SYNC_FLAG, row->flag_seq}, {SYNC_CATEGORIES, row->categories_seq},
		{SYNC_VERB, row->verb_seq}};
	unsigned moved = 0;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (groups[i].seq > c->state->position &&
			(groups[i].group & c->visible_groups) != 0 &&
			!sync_state_is_own(c->state, row->id.v, groups[i].group, groups[i].seq))
			moved |= groups[i].group;
	}
	return moved;
}

/* Decides one row of the change log. As emit_one(); 1 also when there is nothing to tell. */
static int visit_change(struct collector *c, const struct item_row *row, struct err *err)
{
	bool held = id_set_has(&c->state->inventory, row->id.v);
	bool in_filter = row->date_at >= c->state->cutoff_at && row->item_class == ITEM_MAIL;
	unsigned groups;

	if (row->deleted)
		return held ? emit_one(c, SYNC_EMIT_DELETE, row->id, 0, err) : 1;
	if (!held)
		return in_filter ? emit_one(c, SYNC_EMIT_ADD, row->id, 0, err) : 1;
	if (!in_filter)
		return emit_one(c, SYNC_EMIT_SOFT_DELETE, row->id, 0, err);
	groups = moved_groups(c, row);
	return groups != 0 ? emit_one(c, SYNC_EMIT_CHANGE, row->id, groups, err) : 1;
}

static bool already_visited(const struct sync_state *s, const struct item_row *row)
{
	return row->changed_seq == s->partial_seq && row->id.v <= s->partial_item;
}

static void move_position(struct sync_state *s, const struct item_row *row)
{
	if (row->changed_seq != s->partial_seq)
		s->position = row->changed_seq - 1;
	s->partial_seq = row->changed_seq;
	s->partial_item = row->id.v;
}

/* One batch. 1: there are further rows. 0: done or stopped. */
static int collect_batch(struct collector *c, size_t limit, size_t *ret_new, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_row *rows;
	size_t count;
	bool more;

	*ret_new = 0;
	if (store_item_changes(c->rd, c->owner, c->folder, c->state->position, limit, arena, &rows,
		    &count, &more, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int sent;

		if (already_visited(c->state, &rows[i]))
			continue;
		c->result->visited++;
		(*ret_new)++;
		sent = visit_change(c, &rows[i], err);
		if (sent <= 0)
			return sent;
		move_position(c->state, &rows[i]);
	}
	return more ? 1 : 0;
}

static bool out_of_time(const struct collector *c)
{
	return c->options->deadline_ms != 0 && clock_now_ms() >= c->options->deadline_ms;
}

static int collect_changes(struct collector *c, uint64_t owner_seq, struct err *err)
{
	size_t limit = BATCH_ROWS, fresh;

	for (;;) {
		int further = collect_batch(c, limit, &fresh, err);

		if (further < 0)
			return -1;
		if (c->stopped)
			return 0;
		if (further == 0)
			break;
		/* All of the batch belonged to a seq which is half done: look further ahead. */
		if (fresh == 0)
			limit *= 2;
		if (out_of_time(c)) {
			c->stopped = true;
			return 0;
		}
	}
	c->state->position = MAX(c->state->position, owner_seq);
	c->state->partial_seq = c->state->partial_item = 0;
	sync_state_prune(c->state);
	return 0;
}

static int visit_scanned(struct collector *c, const struct item_row *row, struct err *err)
{
	bool held = id_set_has(&c->state->inventory, row->id.v);
	bool in_filter = row->date_at >= c->state->cutoff_at && row->item_class == ITEM_MAIL;

	if (in_filter && !held)
		return emit_one(c, SYNC_EMIT_ADD, row->id, 0, err);
	if (!in_filter && held)
		return emit_one(c, SYNC_EMIT_SOFT_DELETE, row->id, 0, err);
	return 1;
}

static int collect_scan(struct collector *c, struct err *err)
{
	struct sync_scan *scan = &c->state->scan;
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	while (scan->active && !c->stopped) {
		struct item_row *rows;
		size_t count;

		arena_clear(arena);
		if (store_item_scan(c->rd, c->owner, c->folder, scan->cursor, scan->since_at,
			    BATCH_ROWS, arena, &rows, &count, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			int sent = visit_scanned(c, &rows[i], err);

			c->result->visited++;
			if (sent <= 0)
				return sent;
			scan->cursor = (struct item_cursor){rows[i].date_at, rows[i].id};
		}
		if (count < BATCH_ROWS)
			scan->active = false;
		else if (out_of_time(c))
			c->stopped = true;
	}
	return 0;
}

static void scan_range(struct sync_state *s, int64_t below_at, int64_t since_at)
{
	s->scan.active = true;
	s->scan.cursor = (struct item_cursor){below_at, {below_at == INT64_MAX ? UINT64_MAX : 0}};
	s->scan.since_at = since_at;
}

/* Mail ages out of the filter while nobody changes anything. */
static void age_cutoff(struct sync_state *s, int64_t now_at)
{
	int64_t cutoff_at = sync_filter_cutoff(s->options.filter, now_at);

	if (s->scan.active || cutoff_at == s->cutoff_at)
		return;
	scan_range(s, MAX(cutoff_at, s->cutoff_at), MIN(cutoff_at, s->cutoff_at));
	s->cutoff_at = cutoff_at;
}

/* Which ids of the inventory are not in the folder any more: tombstones that were swept cannot
 * tell. */
static int collect_vanished(struct collector *c, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_cursor cursor = {INT64_MAX, {UINT64_MAX}};
	struct id_set gone = ID_SET_INIT;
	int result = 0;
	size_t count;

	id_set_copy(&gone, &c->state->inventory);
	do {
		struct item_row *rows;

		arena_clear(arena);
		if (store_item_scan(c->rd, c->owner, c->folder, cursor, INT64_MIN, BATCH_ROWS,
			    arena, &rows, &count, err) < 0) {
			id_set_deinit(&gone);
			return -1;
		}
		for (size_t i = 0; i < count; i++) {
			(void)id_set_remove(&gone, rows[i].id.v);
			cursor = (struct item_cursor){rows[i].date_at, rows[i].id};
		}
	} while (count == BATCH_ROWS);
	for (size_t r = 0; r < gone.count && result >= 0 && !c->stopped; r++) {
		for (uint64_t id = gone.runs[r].first; id <= gone.runs[r].last && !c->stopped;
			id++) {
			result = emit_one(c, SYNC_EMIT_DELETE, (struct item_id){id}, 0, err);
			if (result < 0)
				break;
		}
	}
	id_set_deinit(&gone);
	return result < 0 ? -1 : 0;
}

int sync_collect(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct sync_state *state, const struct sync_collect_options *options,
	struct sync_collect_result *ret, struct err *err)
{
	struct sync_collect_result result = {.more = false};
	struct collector c = {
		rd, owner, folder, state, options, &result, visible_groups(state->version), false};
	uint64_t owner_seq, floor_seq;

	if (store_owner_seq(rd, owner, &owner_seq, err) < 0 ||
		store_tombstone_floor(rd, owner, &floor_seq, err) < 0)
		return -1;
	age_cutoff(state, options->now_at);
	if (state->position < floor_seq && state->inventory.count > 0 &&
		collect_vanished(&c, err) < 0)
		return -1;
	if (!c.stopped && owner_seq > state->position && collect_changes(&c, owner_seq, err) < 0)
		return -1;
	if (!c.stopped && collect_scan(&c, err) < 0)
		return -1;
	result.more = c.stopped || state->scan.active;
	*ret = result;
	return 0;
}

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

	if (result == 0 && c.present[SYNC_CURRENT])
		result = count_changes(
			rd, owner, folder, &c.states[SYNC_CURRENT], now_at, &counter, err);
	sync_collection_deinit(&c);
	if (result == 0)
		*ret = counter.count > 0;
	return result;
}

int sync_estimate(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const struct sync_state *state, const struct sync_options *options, int64_t now_at,
	size_t limit, size_t *ret, struct err *err)
{
	struct counter counter = {.limit = limit};
	struct sync_state copy;
	int result;

	sync_state_init(&copy);
	sync_state_copy(&copy, state);
	sync_state_set_options(&copy, options, now_at);
	result = count_changes(rd, owner, folder, &copy, now_at, &counter, err);
	sync_state_deinit(&copy);
	if (result == 0)
		*ret = counter.count;
	return result;
}

void sync_state_begin(struct sync_state *state, uint16_t version, uint64_t owner_seq,
	const struct sync_options *options, int64_t now_at)
{
	state->version = version;
	state->position = owner_seq;
	state->options = *options;
	state->cutoff_at = sync_filter_cutoff(options->filter, now_at);
	scan_range(state, INT64_MAX, state->cutoff_at);
}

void sync_state_set_options(
	struct sync_state *state, const struct sync_options *options, int64_t now_at)
{
	bool same_filter = options->filter == state->options.filter;
	int64_t cutoff_at = sync_filter_cutoff(options->filter, now_at);

	state->options = *options;
	if (same_filter)
		return;
	scan_range(state, INT64_MAX, MIN(cutoff_at, state->cutoff_at));
	state->cutoff_at = cutoff_at;
}
