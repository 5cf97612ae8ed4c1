/*
 * The event log: who did what, and what came of it. Rows are only added.
 */
#include "base/mem.h"
#include "store/store_internal.h"

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

int store_log_list(struct store_read *rd, const char *user, uint64_t before_id, size_t limit,
	struct arena *arena, struct log_row **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	bool all = user == NULL || *user == '\0';

	/* Two texts, so that each walks an index. */
	if (all && store_prepare(rd,
			   "SELECT " LOG_COLUMNS
			   " FROM event_log WHERE id < $1 ORDER BY id DESC LIMIT $2",
			   &st, err) < 0)
		return -1;
	if (!all && store_prepare(rd,
			    "SELECT " LOG_COLUMNS " FROM event_log WHERE id < $1 AND user_name = $3"
			    " ORDER BY id DESC LIMIT $2",
			    &st, err) < 0)
		return -1;
	db_bind_i64(
		st, 1, before_id == 0 || before_id > INT64_MAX ? INT64_MAX : (int64_t)before_id);
	db_bind_i64(st, 2, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	if (!all)
		db_bind_text(st, 3, user);
	return read_rows(st, arena, ret, ret_count, err);
}
