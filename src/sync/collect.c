/*
 * Changes and scans (docs/internals/sync.md).
 *
 * Changes are read oldest first by (seq, item). A transaction may touch many items under one seq,
 * so beside the position (all seqs up to it are done) the state keeps how far it came within the
 * next one. An item has one row in the log, at its newest seq: what moved earlier is told with that
 * row, so groups are compared with the seq at which the run of changes began (since), however many
 * windows it takes. A scan walks the folder newest first and compares scope with inventory; it goes
 * on only when all changes fitted.
 *
 * In ConversationMode an older message is in scope while a member of its conversation in the same
 * folder is in the filter. So all members are in or all are out, and the newest decides: whenever
 * it may have become another one, the members are compared, too.
 *
 * Costs follow the number of changes. No state of its own; any thread.
 */
#include "sync/collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"

#define BATCH_ROWS   256
#define BATCH_THREAD 64
/* Inventories of fewer runs are small enough as they are. */
#define SWALLOW_RUNS 512

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

struct group_seq {
	uint8_t group;
	uint64_t seq;
};

#define GROUPS 5

static void group_seqs(const struct item_row *row, struct group_seq ret[GROUPS])
{
	const struct group_seq groups[GROUPS] = {{SYNC_CONTENT, row->content_seq},
		{SYNC_READ, row->read_seq}, {SYNC_FLAG, row->flag_seq},
		{SYNC_CATEGORIES, row->categories_seq}, {SYNC_VERB, row->verb_seq}};

	memcpy(ret, groups, sizeof(groups));
}

/* What was sent settles what had to be put right. */
static void note_sent(struct collector *c, enum sync_emit_kind kind, const struct item_row *row)
{
	(void)sync_state_take_resend(c->state, row->id.v);
	if (kind == SYNC_EMIT_ADD)
		(void)id_set_add(&c->state->inventory, row->id.v);
	else if (kind != SYNC_EMIT_CHANGE)
		(void)id_set_remove(&c->state->inventory, row->id.v);
}

/* 1: sent or set aside. 0: full, stop. -1: failed. */
static int emit_one(struct collector *c, enum sync_emit_kind kind, const struct item_row *row,
	unsigned groups, struct err *err)
{
	bool shows = kind == SYNC_EMIT_ADD || kind == SYNC_EMIT_CHANGE;
	struct sync_emit emit = {
		.kind = kind, .item = row->id, .groups = groups, .item_class = row->item_class};

	if (shows && id_set_has(&c->state->withheld, row->id.v))
		return 1;
	emit.outside = shows && row->item_class == ITEM_MAIL && row->date_at < c->state->cutoff_at;
	switch (c->options->emit(&emit, c->options->owner, err)) {
	case SYNC_EMIT_SENT:
		c->result->emitted++;
		note_sent(c, kind, row);
		return 1;
	case SYNC_EMIT_FULL:
		c->stopped = true;
		return 0;
	case SYNC_EMIT_WITHHELD:
		sync_state_withhold(c->state, row->id.v);
		(void)sync_state_take_resend(c->state, row->id.v);
		return 1;
	case SYNC_EMIT_FAILED:
		break;
	}
	return -1;
}

/* ---- scope ---- */

static bool in_filter(const struct sync_state *s, const struct item_row *row)
{
	if (row->item_class == ITEM_SMS)
		return s->scope.sms && row->date_at >= s->sms_cutoff_at;
	return row->item_class == ITEM_MAIL && row->date_at >= s->cutoff_at;
}

static bool has_members(const struct collector *c, const struct item_row *row)
{
	return c->state->scope.conversation_mode && row->conversation != 0 &&
	       row->item_class == ITEM_MAIL;
}

static int in_scope(struct collector *c, const struct item_row *row, bool *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = NULL;
	struct item_row *newest;
	size_t count;

	*ret = in_filter(c->state, row);
	if (*ret || !has_members(c, row))
		return 0;
	arena = arena_new(0);
	if (store_item_conversation(c->rd, c->owner, c->folder, row->conversation,
		    (struct item_cursor){INT64_MAX, {UINT64_MAX}}, 1, arena, &newest, &count,
		    err) < 0)
		return -1;
	*ret = count > 0 && newest[0].date_at >= c->state->cutoff_at;
	return 0;
}

/* Brings what the phone holds in line with the scope. As emit_one(). */
static int compare_one(
	struct collector *c, const struct item_row *row, bool wanted, struct err *err)
{
	bool held = id_set_has(&c->state->inventory, row->id.v);

	if (wanted && !held)
		return emit_one(c, SYNC_EMIT_ADD, row, 0, err);
	if (!wanted && held)
		return emit_one(c, SYNC_EMIT_SOFT_DELETE, row, 0, err);
	return 1;
}

/* A member that goes out before its own row in the change log is reached is no news there. */
static int compare_member(
	struct collector *c, const struct item_row *row, bool wanted, struct err *err)
{
	bool held = id_set_has(&c->state->inventory, row->id.v);
	struct group_seq groups[GROUPS];
	int sent = compare_one(c, row, wanted, err);

	if (sent <= 0 || held || !id_set_has(&c->state->inventory, row->id.v))
		return sent;
	group_seqs(row, groups);
	for (size_t i = 0; i < GROUPS; i++) {
		if (groups[i].seq > c->state->since)
			sync_state_add_own(c->state, row->id.v, groups[i].group, groups[i].seq);
	}
	return sent;
}

/* The other members of a conversation, after its newest one may have come or gone. */
static int compare_members(struct collector *c, const struct item_row *row, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct item_cursor cursor = {INT64_MAX, {UINT64_MAX}};
	bool first = true, wanted = false;
	size_t count;

	do {
		struct item_row *rows;

		arena_clear(arena);
		if (store_item_conversation(c->rd, c->owner, c->folder, row->conversation, cursor,
			    BATCH_THREAD, arena, &rows, &count, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			int sent = 1;

			if (first) {
				wanted = rows[i].date_at >= c->state->cutoff_at;
				first = false;
				/* It is not the newest: the newest speaks for all. */
				if (!row->deleted && rows[i].id.v != row->id.v)
					return 1;
			}
			if (rows[i].id.v != row->id.v)
				sent = compare_member(c, &rows[i], wanted, err);
			if (sent <= 0)
				return sent;
			cursor = (struct item_cursor){rows[i].date_at, rows[i].id};
		}
	} while (count == BATCH_THREAD);
	return 1;
}

/* ---- changes ---- */

static unsigned moved_groups(const struct collector *c, const struct item_row *row)
{
	struct group_seq groups[GROUPS];
	unsigned moved = sync_state_find_resend(c->state, row->id.v);

	group_seqs(row, groups);
	for (size_t i = 0; i < GROUPS; i++) {
		if (groups[i].seq > c->state->since &&
			!sync_state_is_own(c->state, row->id.v, groups[i].group, groups[i].seq))
			moved |= groups[i].group;
	}
	return moved & c->visible_groups;
}

/* Another content is another chance. */
static void release_changed(struct collector *c, const struct item_row *row)
{
	if (row->deleted || row->content_seq > c->state->since)
		(void)id_set_remove(&c->state->withheld, row->id.v);
}

/* Decides one row of the change log. As emit_one(); 1 also when there is nothing to tell. */
static int visit_change(struct collector *c, const struct item_row *row, struct err *err)
{
	bool held = id_set_has(&c->state->inventory, row->id.v);
	bool wanted;
	unsigned groups;

	if (row->deleted)
		return held ? emit_one(c, SYNC_EMIT_DELETE, row, 0, err) : 1;
	if (in_scope(c, row, &wanted, err) < 0)
		return -1;
	if (!held || !wanted)
		return compare_one(c, row, wanted, err);
	groups = moved_groups(c, row);
	return groups != 0 ? emit_one(c, SYNC_EMIT_CHANGE, row, groups, err) : 1;
}

/* The members come first: they are compared by what the phone holds, so a window that ends among
 * them has got on. The row itself would be told again with each window. */
static int visit_changed_row(struct collector *c, const struct item_row *row, struct err *err)
{
	release_changed(c, row);
	if (has_members(c, row) && (row->deleted || row->content_seq > c->state->since)) {
		int sent = compare_members(c, row, err);

		if (sent <= 0)
			return sent;
	}
	return visit_change(c, row, err);
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
		sent = visit_changed_row(c, &rows[i], err);
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
	c->state->since = c->state->position;
	c->state->partial_seq = c->state->partial_item = 0;
	sync_state_prune(c->state);
	return 0;
}

/* ---- what was refused ---- */

/* 1: settled. As emit_one() else. */
static int put_right(struct collector *c, struct sync_resend entry, struct err *err)
{
	struct item_row row;
	bool wanted;
	unsigned groups = entry.groups & c->visible_groups;
	int sent;

	if (store_item_row(c->rd, c->owner, c->folder, (struct item_id){entry.item}, &row, err) <
		0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT;
		row = (struct item_row){.id = {entry.item}, .deleted = true};
		sent = id_set_has(&c->state->inventory, entry.item)
			       ? emit_one(c, SYNC_EMIT_DELETE, &row, 0, err)
			       : 1;
	} else if (in_scope(c, &row, &wanted, err) < 0) {
		return -1;
	} else if (wanted && id_set_has(&c->state->inventory, entry.item)) {
		sent = groups != 0 ? emit_one(c, SYNC_EMIT_CHANGE, &row, groups, err) : 1;
	} else {
		sent = compare_one(c, &row, wanted, err);
	}
	if (sent > 0)
		(void)sync_state_take_resend(c->state, entry.item);
	return sent;
}

static int collect_resends(struct collector *c, struct err *err)
{
	while (c->state->resend_count > 0 && !c->stopped) {
		if (put_right(c, c->state->resend[0], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- scans ---- */

static int visit_scanned(struct collector *c, const struct item_row *row, struct err *err)
{
	bool wanted;
	int sent;

	if (in_scope(c, row, &wanted, err) < 0)
		return -1;
	sent = compare_one(c, row, wanted, err);
	return sent > 0 && has_members(c, row) ? compare_members(c, row, err) : sent;
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

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = ((const struct item_id *)a)->v, right = ((const struct item_id *)b)->v;

	return left < right ? -1 : left > right;
}

static int live_ids(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct arena *arena, struct item_id **ret, size_t *ret_count, struct err *err)
{
	if (store_item_ids(rd, owner, folder, arena, ret, ret_count, err) < 0)
		return -1;
	if (*ret_count > 0)
		qsort(*ret, *ret_count, sizeof(**ret), compare_ids);
	return 0;
}

/* Which ids of the inventory are not in the folder any more: tombstones that were swept cannot
 * tell. */
static int collect_vanished(struct collector *c, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct id_set gone = ID_SET_INIT;
	struct item_id *live;
	size_t count;
	int sent = 1;

	c->result->compared_ids = true;
	/* What vanished may have been the newest of a conversation, and no row says of which. */
	if (c->state->scope.conversation_mode)
		sync_state_rescan(c->state);
	if (live_ids(c->rd, c->owner, c->folder, arena, &live, &count, err) < 0)
		return -1;
	id_set_copy(&gone, &c->state->inventory);
	for (size_t i = 0; i < count; i++)
		(void)id_set_remove(&gone, live[i].v);
	for (size_t r = 0; r < gone.count && sent > 0; r++) {
		uint64_t id = gone.runs[r].first;

		for (; id <= gone.runs[r].last && sent > 0; id++)
			sent = emit_one(c, SYNC_EMIT_DELETE,
				&(struct item_row){.id = {id}, .deleted = true}, 0, err);
	}
	id_set_deinit(&gone);
	if (sent > 0)
		c->state->scan.vanished = false;
	return sent < 0 ? -1 : 0;
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
	sync_state_age(state, options->now_at);
	if ((state->scan.vanished || state->position < floor_seq) && state->inventory.count > 0 &&
		collect_vanished(&c, err) < 0)
		return -1;
	if (!c.stopped && owner_seq > state->position && collect_changes(&c, owner_seq, err) < 0)
		return -1;
	if (!c.stopped && collect_resends(&c, err) < 0)
		return -1;
	if (!c.stopped && collect_scan(&c, err) < 0)
		return -1;
	result.more = c.stopped || state->scan.active;
	*ret = result;
	return 0;
}

int sync_swallow(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct sync_state *state, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = NULL;
	struct item_id *live;
	uint64_t owner_seq;
	size_t count;

	if (state->inventory.count < SWALLOW_RUNS ||
		state->inventory.count / 2 < state->runs_swallowed)
		return 0;
	if (store_owner_seq(rd, owner, &owner_seq, err) < 0)
		return -1;
	/* A deletion that was not told yet must find its id in the inventory as it is. */
	if (state->position < owner_seq || state->scan.vanished)
		return 0;
	arena = arena_new(0);
	if (live_ids(rd, owner, folder, arena, &live, &count, err) < 0)
		return -1;
	if (sync_inventory_swallow(&state->inventory, live, count))
		state->swallowed = true;
	state->runs_swallowed = (uint32_t)MIN(state->inventory.count, (size_t)UINT32_MAX);
	return 0;
}
