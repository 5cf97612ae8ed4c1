/*
 * The event log: who did what, and what came of it. Rows are only added, and forgotten when they
 * are old. They are listed by time, then id, so that a clock which was put back leaves no row in a
 * wrong place; ids name rows and pages.
 */
#include "base/mem.h"
#include "store/store_internal.h"
#include "store/store_page.h"

int store_log_add(struct store_tx *tx, const struct log_row *row, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t id = 0;

	if (store_counter_next(tx, "event_log", &id, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO event_log (id, logged_at, actor, user_name, address, device_id,"
		    " device_type, action, result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_i64(st, 2, row->at);
	db_bind_text(st, 3, store_text(row->actor));
	db_bind_text(st, 4, store_text(row->user));
	db_bind_text(st, 5, store_text(row->address));
	db_bind_text(st, 6, store_text(row->device_id));
	db_bind_text(st, 7, store_text(row->device_type));
	db_bind_text(st, 8, store_text(row->action));
	db_bind_text(st, 9, store_text(row->result));
	return store_run(st, err);
}

int store_log_add_once(
	struct store_tx *tx, const struct log_row *row, int64_t within_s, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t id;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT id FROM event_log WHERE device_id = $1 AND device_id <> ''"
		    " AND logged_at > $2 AND user_name = $3 AND action = $4 AND result = $5 LIMIT "
		    "1",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, store_text(row->device_id));
	db_bind_i64(st, 2, row->at - within_s);
	db_bind_text(st, 3, store_text(row->user));
	db_bind_text(st, 4, store_text(row->action));
	db_bind_text(st, 5, store_text(row->result));
	rc = store_run_u64(st, &id, err);
	return rc != 0 ? MIN(rc, 0) : store_log_add(tx, row, err);
}

static int read_rows(struct db_stmt *st, struct arena *arena, struct log_row **ret,
	size_t *ret_count, struct err *err)
{
	struct log_row *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count].id = store_row_u64(&row);
		rows[count].at = store_row_i64(&row);
		rows[count].actor = store_row_text(&row);
		rows[count].user = store_row_text(&row);
		rows[count].address = store_row_text(&row);
		rows[count].device_id = store_row_text(&row);
		rows[count].device_type = store_row_text(&row);
		rows[count].action = store_row_text(&row);
		rows[count].result = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

#define LOG_COLUMNS                                                                                \
	"id, logged_at, actor, user_name, address, device_id, device_type, action, result"

/* Everything that an index need not answer. */
#define FIND(where)                                                                                \
	"SELECT " LOG_COLUMNS " FROM event_log WHERE " where                                       \
	" AND logged_at >= $1 AND logged_at < $2 AND (logged_at, id) < ($3, $4)"                   \
	" AND ($5 = '' OR user_name = $5) AND ($6 = '' OR device_id = $6)"                         \
	" AND ($7 = '' OR actor = $7) AND ($8 = '' OR action = $8) AND ($9 = '' OR result = $9)"   \
	" AND ($10 = '' OR actor LIKE $10 ESCAPE '\\' OR user_name LIKE $10 ESCAPE '\\'"           \
	" OR address LIKE $10 ESCAPE '\\' OR device_id LIKE $10 ESCAPE '\\'"                       \
	" OR device_type LIKE $10 ESCAPE '\\' OR action LIKE $10 ESCAPE '\\'"                      \
	" OR result LIKE $10 ESCAPE '\\')"                                                         \
	" ORDER BY logged_at DESC, id DESC LIMIT $11"

static bool is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* One text for each index, the narrowest first: each walks its rows in the wanted order. */
static int prepare_find(
	struct store_read *rd, const struct log_filter *f, struct db_stmt **ret, struct err *err)
{
	if (is_given(f->device_id))
		return store_prepare(rd, FIND("device_id = $6 AND device_id <> ''"), ret, err);
	if (is_given(f->user))
		return store_prepare(rd, FIND("user_name = $5"), ret, err);
	if (is_given(f->action))
		return store_prepare(rd, FIND("action = $8"), ret, err);
	if (is_given(f->actor))
		return store_prepare(rd, FIND("actor = $7"), ret, err);
	return store_prepare(rd, FIND("1 = 1"), ret, err);
}

/* Where the page before ended. A row that the sweep has taken was older than all that is left. */
static int load_cursor(struct store_read *rd, uint64_t before_id, int64_t *ret_at, int64_t *ret_id,
	struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t at = 0;
	int rc;

	*ret_at = *ret_id = INT64_MAX;
	if (before_id == 0 || before_id > INT64_MAX)
		return 0;
	if (store_prepare(rd, "SELECT logged_at FROM event_log WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, before_id);
	rc = store_run_u64(st, &at, err);
	*ret_at = rc > 0 ? (int64_t)at : INT64_MIN;
	*ret_id = (int64_t)before_id;
	return rc < 0 ? -1 : 0;
}

int store_log_find(struct store_read *rd, const struct log_filter *filter, size_t limit,
	struct arena *arena, struct log_row **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(filter->text);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int64_t at, id, until_at = filter->until_at > 0 ? filter->until_at : INT64_MAX;

	if (load_cursor(rd, filter->before_id, &at, &id, err) < 0 ||
		prepare_find(rd, filter, &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, filter->since_at);
	/* The cursor's second bounds the walk along the index: a page costs its rows, wherever it
	 * stands. */
	db_bind_i64(st, 2, at < until_at ? at + 1 : until_at);
	db_bind_i64(st, 3, at);
	db_bind_i64(st, 4, id);
	db_bind_text(st, 5, store_text(filter->user));
	db_bind_text(st, 6, store_text(filter->device_id));
	db_bind_text(st, 7, store_text(filter->actor));
	db_bind_text(st, 8, store_text(filter->action));
	db_bind_text(st, 9, store_text(filter->result));
	db_bind_text(st, 10, like);
	db_bind_i64(st, 11, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	return read_rows(st, arena, ret, ret_count, err);
}

int store_log_list(struct store_read *rd, const char *user, uint64_t before_id, size_t limit,
	struct arena *arena, struct log_row **ret, size_t *ret_count, struct err *err)
{
	const struct log_filter filter = {.user = user, .before_id = before_id};

	return store_log_find(rd, &filter, limit, arena, ret, ret_count, err);
}

int store_log_actions(struct store_read *rd, struct arena *arena, const char ***ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	/* From one to the next along the index: as many steps as there are actions. */
	if (store_prepare(rd,
		    "WITH RECURSIVE names (name) AS (SELECT MIN(action) FROM event_log UNION ALL"
		    " SELECT (SELECT MIN(action) FROM event_log WHERE action > name) FROM names"
		    " WHERE name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL",
		    &st, err) < 0)
		return -1;
	return store_read_texts(st, arena, ret, ret_count, err);
}

/* ---- forgetting ---- */

int store_log_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err)
{
	return store_sweep_rows(store,
		"DELETE FROM event_log WHERE id"
		" IN (SELECT id FROM event_log WHERE logged_at < $1 ORDER BY logged_at LIMIT $2)",
		before_at, limit, "sweeping the event log", err);
}
