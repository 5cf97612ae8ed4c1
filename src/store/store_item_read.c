/*
 * Reading items: the change log, scans, counts, one item. Rows of the change log are read by index
 * in the order in which they are wanted, so the cost follows what is returned and not the size of
 * the folder.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_internal.h"

#define ROW_COLUMNS                                                                                \
	"id, date_at, changed_seq, created_seq, content_seq, read_seq, flag_seq, categories_seq,"  \
	" verb_seq, item_class, conversation"

static void read_row(struct store_row *row, struct item_row *ret)
{
	ret->id.v = store_row_u64(row);
	ret->date_at = store_row_i64(row);
	ret->changed_seq = store_row_u64(row);
	ret->created_seq = store_row_u64(row);
	ret->content_seq = store_row_u64(row);
	ret->read_seq = store_row_u64(row);
	ret->flag_seq = store_row_u64(row);
	ret->categories_seq = store_row_u64(row);
	ret->verb_seq = store_row_u64(row);
	ret->item_class = (uint8_t)store_row_u64(row);
	ret->conversation = store_row_u64(row);
}

static void read_tombstone(struct store_row *row, struct item_row *ret)
{
	ret->id.v = store_row_u64(row);
	ret->date_at = store_row_i64(row);
	ret->changed_seq = store_row_u64(row);
	ret->created_seq = store_row_u64(row);
	ret->item_class = (uint8_t)store_row_u64(row);
	ret->conversation = store_row_u64(row);
	ret->deleted = true;
}

/* SQL integers have a sign; a limit or id beyond it is as good as none. */
static int64_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* One of the two ordered lists that are merged: the row at its head, if any. */
struct source {
	struct db_stmt *st;
	void (*read)(struct store_row *row, struct item_row *ret);
	struct item_row head;
	bool has_head;
};

static int advance(struct source *s, struct err *err)
{
	struct store_row row = {.st = s->st};
	int rc = db_step(s->st, err);

	s->has_head = rc > 0;
	if (rc <= 0)
		return rc;
	s->head = (struct item_row){0};
	s->read(&row, &s->head);
	return 0;
}

/* The one whose change is older; of one transaction, that with the smaller id. */
static struct source *first_of(struct source *a, struct source *b)
{
	if (!a->has_head || !b->has_head)
		return a->has_head ? a : b;
	if (a->head.changed_seq != b->head.changed_seq)
		return a->head.changed_seq < b->head.changed_seq ? a : b;
	return a->head.id.v < b->head.id.v ? a : b;
}

static int merge(struct source *items, struct source *tombstones, size_t limit, struct arena *arena,
	struct item_row **ret, size_t *ret_count, bool *ret_more, struct err *err)
{
	struct item_row *rows = NULL;
	size_t count = 0, cap = 0;
	struct source *next;

	if (advance(items, err) < 0 || advance(tombstones, err) < 0)
		return -1;
	while (count < limit && (next = first_of(items, tombstones))->has_head) {
		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count++] = next->head;
		if (advance(next, err) < 0)
			return -1;
	}
	*ret = rows;
	*ret_count = count;
	*ret_more = items->has_head || tombstones->has_head;
	return 0;
}

int store_item_changes(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	uint64_t after_seq, size_t limit, struct arena *arena, struct item_row **ret,
	size_t *ret_count, bool *ret_more, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *items = NULL, *tombstones = NULL;

	if (store_prepare(rd,
		    "SELECT " ROW_COLUMNS
		    " FROM items WHERE owner = $1 AND folder = $2 AND changed_seq > $3"
		    " ORDER BY changed_seq, id",
		    &items, err) < 0 ||
		store_prepare(rd,
			"SELECT id, date_at, seq, created_seq, item_class, conversation"
			" FROM tombstones"
			" WHERE owner = $1 AND folder = $2 AND seq > $3 ORDER BY seq, id",
			&tombstones, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		struct db_stmt *st = i == 0 ? items : tombstones;

		db_bind_u64(st, 1, owner.v);
		db_bind_u64(st, 2, folder.v);
		db_bind_i64(st, 3, clamp(after_seq));
	}
	return merge(&(struct source){.st = items, .read = read_row},
		&(struct source){.st = tombstones, .read = read_tombstone}, limit, arena, ret,
		ret_count, ret_more, err);
}

int store_item_row(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct item_id id, struct item_row *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.st = NULL};
	int rc;

	if (store_prepare(rd,
		    "SELECT " ROW_COLUMNS
		    " FROM items WHERE owner = $1 AND folder = $2 AND id = $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, clamp(id.v));
	rc = db_step(st, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no item %" PRIu64 " in folder %" PRIu64, id.v,
			folder.v);
	if (rc < 0)
		return -1;
	row.st = st;
	*ret = (struct item_row){0};
	read_row(&row, ret);
	return 0;
}

static int tombstone_class(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct item_id id, uint64_t after_seq, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT item_class FROM tombstones WHERE owner = $1 AND folder = $2"
		    " AND seq > $3 AND id = $4 LIMIT 1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_u64(st, 3, after_seq);
	db_bind_i64(st, 4, clamp(id.v));
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_item_class(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct item_id id, uint64_t deleted_after_seq, uint8_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t item_class = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT item_class FROM items WHERE owner = $1 AND folder = $2 AND id = $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, clamp(id.v));
	rc = store_run_u64(st, &item_class, err);
	if (rc == 0)
		rc = tombstone_class(rd, owner, folder, id, deleted_after_seq, &item_class, err);
	if (rc < 0)
		return -1;
	*ret = (uint8_t)item_class;
	return 0;
}

static int read_rows(struct db_stmt *st, struct arena *arena, struct item_row **ret,
	size_t *ret_count, struct err *err)
{
	struct item_row *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st};

		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count] = (struct item_row){0};
		read_row(&row, &rows[count++]);
	}
	if (rc < 0)
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

int store_item_conversation(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	uint64_t conversation, struct item_cursor before, size_t limit, struct arena *arena,
	struct item_row **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " ROW_COLUMNS
		    " FROM items WHERE owner = $1 AND folder = $2 AND conversation = $3"
		    " AND conversation <> 0 AND (date_at, id) < ($4, $5)"
		    " ORDER BY date_at DESC, id DESC LIMIT $6",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_u64(st, 3, conversation);
	db_bind_i64(st, 4, before.date_at);
	db_bind_i64(st, 5, clamp(before.id.v));
	db_bind_i64(st, 6, clamp(limit));
	return read_rows(st, arena, ret, ret_count, err);
}

int store_item_ids(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct arena *arena, struct item_id **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct item_id *ids = NULL;
	size_t count = 0, cap = 0;
	int rc;

	/* The order of items_by_date: the index alone answers, which is a tenth of the table. */
	if (store_prepare(rd,
		    "SELECT id FROM items WHERE owner = $1 AND folder = $2 ORDER BY date_at, id",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &ids, count, &cap, err) < 0)
			return -1;
		ids[count++].v = db_col_u64(st, 0);
	}
	if (rc < 0)
		return -1;
	*ret = ids;
	*ret_count = count;
	return 0;
}

int store_item_scan(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct item_cursor before, int64_t since_at, size_t limit, struct arena *arena,
	struct item_row **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " ROW_COLUMNS
		    " FROM items WHERE owner = $1 AND folder = $2 AND (date_at, id) < ($3, $4)"
		    " AND date_at >= $5 ORDER BY date_at DESC, id DESC LIMIT $6",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, before.date_at);
	db_bind_i64(st, 4, clamp(before.id.v));
	db_bind_i64(st, 5, since_at);
	db_bind_i64(st, 6, clamp(limit));
	return read_rows(st, arena, ret, ret_count, err);
}

int store_item_count(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	int64_t since_at, uint64_t limit, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT count(*) FROM (SELECT 1 FROM items WHERE owner = $1 AND folder = $2"
		    " AND date_at >= $3 LIMIT $4) AS counted",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, since_at);
	db_bind_i64(st, 4, limit == 0 ? INT64_MAX : clamp(limit));
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_tombstone_floor(
	struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, "SELECT tombstone_floor FROM owners WHERE id = $1 AND deleted = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	rc = store_run_u64(st, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no owner %" PRIu64, owner.v);
	return rc < 0 ? -1 : 0;
}

int store_item_load(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct item_id id, struct arena *arena, struct item **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_row row = {.arena = arena};
	struct item *item;
	int rc;

	if (store_prepare(rd,
		    "SELECT " ROW_COLUMNS
		    ", is_read, flag_status, flag, categories, last_verb, last_verb_at, body_bytes,"
		    " body_id, summary, (SELECT set_aside_at FROM poison_items p WHERE p.owner ="
		    " items.owner AND p.folder = items.folder AND p.item = items.id)"
		    " FROM items WHERE owner = $1 AND folder = $2 AND id = $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, clamp(id.v));
	rc = db_step(st, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no item %" PRIu64 " in folder %" PRIu64, id.v,
			folder.v);
	if (rc < 0)
		return -1;
	item = arena_try_alloc(arena, sizeof(*item));
	if (item == NULL)
		return err_set(err, ERR_INTERNAL, "an item is beyond the request's memory");
	row.st = st;
	read_row(&row, &item->row);
	item->is_read = store_row_u64(&row) != 0;
	item->flag_status = (uint8_t)store_row_u64(&row);
	item->flag = store_row_blob(&row, &item->flag_len);
	item->categories = store_row_blob(&row, &item->categories_len);
	item->last_verb = (uint8_t)store_row_u64(&row);
	item->last_verb_at = store_row_i64(&row);
	item->body_bytes = store_row_u64(&row);
	item->body_id = store_row_u64(&row);
	item->summary = store_row_blob(&row, &item->summary_len);
	item->set_aside_at = store_row_i64(&row);
	if (store_row_end(&row, err) < 0)
		return -1;
	*ret = item;
	return 0;
}
