/*
 * Expiry: what lies in Junk and in Deleted Items for longer than the owner, or the server, wants.
 * Age counts from when the item came into that folder, whatever the date of the mail.
 *
 * A pass walks over the folders of all mailboxes in the order of their ids, some hundreds at a
 * time, and looks at the oldest item of each. Ids of a folder ascend as items come, so where the
 * oldest may stay all may: a folder without anything to do costs one look, and no index is needed.
 * Items from before arrival was written down count from the first pass of all.
 *
 * Limits: LOOK_MAX folders and `limit` items a step, a transaction for each folder that has
 * something to lose. The pass itself is the caller's; one that is lost with the process begins
 * anew.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_internal.h"

#define DAY_S    86400
#define LOOK_MAX 500

struct candidate {
	struct owner_id owner;
	struct folder_id folder;
	int64_t before_at; /* what came before that goes; 0: everything stays */
};

/* One folder's transaction. */
struct removal {
	const struct candidate *at;
	int64_t since_at;
	size_t limit, removed;
};

struct old_item {
	struct item_id id;
	int64_t arrived_at;
};

/* Since when arrivals are written down, at the latest: noted by the first pass. */
static int note_since(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int64_t *since_at = owner;

	if (store_prepare_tx(tx,
		    "INSERT INTO counters (name, value) VALUES ('expiry_since', $1)"
		    " ON CONFLICT DO NOTHING",
		    &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, *since_at);
	return store_run(st, err);
}

static int load_since(struct store *store, int64_t now_at, int64_t *ret, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t since = 0;
	int rc;

	if (store_read_begin(store, &rd, err) < 0 ||
		store_prepare(
			rd, "SELECT value FROM counters WHERE name = 'expiry_since'", &st, err) < 0)
		return -1;
	rc = store_run_u64(st, &since, err);
	if (rc < 0)
		return -1;
	*ret = rc > 0 ? (int64_t)since : now_at;
	return rc > 0 ? 0 : store_transact(store, note_since, ret, err);
}

static int64_t before_of(const struct store_expiry *e, bool junk, int64_t wish_days)
{
	uint64_t days =
		wish_days >= 0 ? (uint64_t)wish_days : (junk ? e->junk_days : e->deleted_days);

	return days == 0 ? 0 : MAX(e->now_at - (int64_t)days * DAY_S, (int64_t)1);
}

/* The next folders of the pass, whether anything is to be done in them or not. */
static int list_folders(struct store_read *rd, const struct store_expiry *e, struct candidate *ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT f.owner, f.id, f.role, o.junk_days, o.deleted_days FROM folders f"
		    " JOIN owners o ON o.id = f.owner WHERE (f.owner, f.id) > ($1, $2)"
		    " AND f.deleted = 0 AND o.deleted = 0 AND (f.type = 4 OR f.role = 1)"
		    " ORDER BY f.owner, f.id LIMIT $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, e->owner.v);
	db_bind_u64(st, 2, e->folder.v);
	db_bind_u64(st, 3, LOOK_MAX);
	while ((rc = db_step(st, err)) > 0) {
		bool junk = db_col_u64(st, 2) == FOLDER_ROLE_JUNK;

		ret[count++] = (struct candidate){{db_col_u64(st, 0)}, {db_col_u64(st, 1)},
			before_of(e, junk, db_col_i64(st, junk ? 3 : 4))};
	}
	*ret_count = count;
	return rc;
}

/* The oldest items of a folder. */
static int list_items(struct store_read *rd, const struct candidate *c, size_t limit,
	struct old_item *ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT id, arrived_at FROM items WHERE owner = $1 AND folder = $2"
		    " ORDER BY id LIMIT $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, c->owner.v);
	db_bind_u64(st, 2, c->folder.v);
	db_bind_u64(st, 3, limit);
	while ((rc = db_step(st, err)) > 0)
		ret[count++] = (struct old_item){{db_col_u64(st, 0)}, db_col_i64(st, 1)};
	*ret_count = count;
	return rc;
}

static bool is_due(const struct candidate *c, const struct old_item *item, int64_t since_at)
{
	return (item->arrived_at != 0 ? item->arrived_at : since_at) < c->before_at;
}

static int remove_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct device_id nobody = {0};
	struct removal *r = owner;
	CLEANUP(mem_freep) struct old_item *items = x_calloc(r->limit, sizeof(*items));
	size_t count = 0;

	r->removed = 0;
	if (list_items(store_tx_read(tx), r->at, r->limit, items, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count && is_due(r->at, &items[i], r->since_at); i++) {
		if (store_item_delete(tx, r->at->owner, r->at->folder, items[i].id, nobody, err) <
			0)
			return -1;
		r->removed++;
	}
	return 0;
}

/* Marks what has nothing to lose. */
static int look(struct store *store, struct store_expiry *e, int64_t since_at,
	struct candidate *folders, size_t *ret_count, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	if (store_read_begin(store, &rd, err) < 0 ||
		list_folders(rd, e, folders, ret_count, err) < 0)
		return -1;
	for (size_t i = 0; i < *ret_count; i++) {
		struct candidate *c = &folders[i];
		struct old_item oldest;
		size_t found = 0;

		if (c->before_at > 0 && list_items(rd, c, 1, &oldest, &found, err) < 0)
			return -1;
		if (found == 0 || !is_due(c, &oldest, since_at))
			c->before_at = 0;
	}
	return 0;
}

int store_expire_step(struct store *store, struct store_expiry *e, size_t limit, struct err *err)
{
	CLEANUP(mem_freep) struct candidate *folders = x_calloc(LOOK_MAX, sizeof(*folders));
	size_t count = 0, room = MAX(limit, (size_t)1);
	int64_t since_at;

	if (load_since(store, e->now_at, &since_at, err) < 0 ||
		look(store, e, since_at, folders, &count, err) < 0)
		return err_wrap(err, "looking for old items");
	for (size_t i = 0; i < count; i++) {
		struct removal r = {.at = &folders[i], .since_at = since_at, .limit = room};

		if (r.at->before_at > 0 && room == 0)
			return 1;
		if (r.at->before_at > 0 && store_transact(store, remove_tx, &r, err) < 0)
			return err_wrap(err, "removing old items");
		e->mailboxes += r.removed > 0 && e->last.v != r.at->owner.v;
		if (r.removed > 0)
			e->last = r.at->owner;
		e->removed += r.removed;
		room -= r.removed;
		/* There may be more in this one. */
		if (r.at->before_at > 0 && room == 0)
			return 1;
		e->owner = r.at->owner;
		e->folder = r.at->folder;
	}
	return count == LOOK_MAX ? 1 : 0;
}
