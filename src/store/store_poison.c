/*
 * What crashed the engine: items and requests with the number of their crashes. The second crash
 * sets an item aside for everybody, or refuses a request (docs/POISON.md). One message may
 * lie in a thousand mailboxes: its copies are counted together, and set aside when they are met.
 *
 * Invariants: a crash has a number and counts once, however often the next engine reads it. A row
 * of an item follows it when it is moved; one whose item is gone means nothing and is swept. Rows
 * are few: nobody but crashes makes them. Threads: as the transactions and snapshots they run in;
 * the hints in
 * struct store are atomic and only ever say "maybe".
 */
#include <inttypes.h>

#include "base/mem.h"
#include "base/notes.h"
#include "store/store_internal.h"

static int64_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void bind_item(
	struct db_stmt *st, struct owner_id owner, struct folder_id folder, struct item_id item)
{
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_i64(st, 3, clamp(item.v));
}

/* ---- items ---- */

/* What copies of a message have in common: the summary, which names sizes, dates and the message's
 * own id. *ret 0: it has none. False in *ret_exists: the item is gone. */
static int content_of(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, bool *ret_exists, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	const void *summary;
	size_t len = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT summary FROM items WHERE owner = $1 AND folder = $2 AND id = $3", &st,
		    err) < 0)
		return -1;
	bind_item(st, owner, folder, item);
	rc = db_step(st, err);
	*ret_exists = rc > 0;
	*ret = 0;
	if (rc > 0) {
		summary = db_col_blob(st, 0, &len);
		*ret = len > 0 ? notes_hash(1, summary, len) : 0;
	}
	return rc < 0 ? -1 : 0;
}

int store_poison_set_aside(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, uint64_t content, const char *reason, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO poison_items (owner, folder, item, crashes, last_crash, last_at,"
		    " set_aside_at, reason, content) VALUES ($1, $2, $3, 0, 0, $4, $4, $5, $6)"
		    " ON CONFLICT (owner, folder, item) DO UPDATE SET set_aside_at ="
		    " excluded.set_aside_at, reason = excluded.reason",
		    &st, err) < 0)
		return -1;
	bind_item(st, owner, folder, item);
	db_bind_i64(st, 4, tx->now_at);
	db_bind_text(st, 5, store_text(reason));
	db_bind_i64(st, 6, clamp(content));
	return store_run(st, err);
}

/* *ret: crashes of all copies together. */
static int count_content(
	struct store_tx *tx, uint64_t content, uint64_t crash, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	/* Before the commit, so that nobody misses it after. */
	atomic_store(&tx->read.store->poisoned_contents, true);
	if (store_prepare_tx(tx,
		    "INSERT INTO poison_contents (content, crashes, last_crash, last_at)"
		    " VALUES ($1, 1, $2, $3) ON CONFLICT (content) DO UPDATE SET crashes ="
		    " poison_contents.crashes + CASE WHEN poison_contents.last_crash ="
		    " excluded.last_crash THEN 0 ELSE 1 END, last_crash = excluded.last_crash,"
		    " last_at = excluded.last_at RETURNING crashes",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, content);
	db_bind_u64(st, 2, crash);
	db_bind_i64(st, 3, tx->now_at);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

static int count_item(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, uint64_t content, uint64_t crash, uint64_t *ret_crashes,
	bool *ret_set_aside, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO poison_items (owner, folder, item, crashes, last_crash, last_at,"
		    " set_aside_at, reason, content) VALUES ($1, $2, $3, 1, $4, $5, 0, '', $6)"
		    " ON CONFLICT (owner, folder, item) DO UPDATE SET crashes ="
		    " poison_items.crashes + CASE WHEN poison_items.last_crash ="
		    " excluded.last_crash THEN 0 ELSE 1 END, last_crash = excluded.last_crash,"
		    " last_at = excluded.last_at RETURNING crashes, set_aside_at",
		    &st, err) < 0)
		return -1;
	bind_item(st, owner, folder, item);
	db_bind_u64(st, 4, crash);
	db_bind_i64(st, 5, tx->now_at);
	db_bind_u64(st, 6, content);
	if (db_step(st, err) < 0)
		return -1;
	*ret_crashes = db_col_u64(st, 0);
	*ret_set_aside = db_col_u64(st, 1) != 0;
	return store_run(st, err);
}

int store_poison_count_item(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, uint64_t crash, bool *ret_now, struct err *err)
{
	uint64_t content, crashes = 0, of_copies = 0;
	bool exists = false, set_aside = false;

	*ret_now = false;
	if (content_of(tx, owner, folder, item, &exists, &content, err) < 0)
		return -1;
	if (!exists)
		return 0;
	if (content != 0 && count_content(tx, content, crash, &of_copies, err) < 0)
		return -1;
	if (count_item(tx, owner, folder, item, content, crash, &crashes, &set_aside, err) < 0)
		return -1;
	if (MAX(crashes, of_copies) < STORE_POISON_CRASHES || set_aside)
		return 0;
	*ret_now = true;
	return store_poison_set_aside(
		tx, owner, folder, item, content, "the engine crashed on it", err);
}

/* ---- copies ---- */

struct copy {
	struct owner_id owner;
	struct folder_id folder;
	struct item_id item;
	uint64_t content;
};

static int set_copy_aside(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	const struct copy *c = owner;
	struct log_row row = {.at = tx->now_at, .actor = "server", .action = "item set aside"};
	struct user *user;

	if (store_user_load(store_tx_read(tx), c->owner, arena, &user, err) < 0 ||
		store_poison_set_aside(tx, c->owner, c->folder, c->item, c->content,
			"the engine crashed on a copy of it", err) < 0)
		return -1;
	row.user = arena_x_printf(arena, "%s@%s", user->login, user->domain);
	row.result = arena_x_printf(arena, "%" PRIu64 ":%" PRIu64, c->folder.v, c->item.v);
	return store_log_add(tx, &row, err);
}

int store_poison_check_copy(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const struct item *item, bool *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct copy copy = {owner, folder, item->row.id, 0};
	uint64_t crashes = 0;

	*ret = false;
	if (item->summary_len == 0 ||
		!atomic_load_explicit(&rd->store->poisoned_contents, memory_order_relaxed))
		return 0;
	copy.content = notes_hash(1, item->summary, item->summary_len);
	if (store_prepare(rd, "SELECT crashes FROM poison_contents WHERE content = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, copy.content);
	if (store_run_u64(st, &crashes, err) < 0)
		return -1;
	if (crashes < STORE_POISON_CRASHES)
		return 0;
	*ret = true;
	return store_transact(rd->store, set_copy_aside, &copy, err);
}

int store_poison_move(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, struct folder_id target, struct item_id target_item, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE poison_items SET folder = $4, item = $5"
		    " WHERE owner = $1 AND folder = $2 AND item = $3",
		    &st, err) < 0)
		return -1;
	bind_item(st, owner, folder, item);
	db_bind_u64(st, 4, target.v);
	db_bind_u64(st, 5, target_item.v);
	return store_run(st, err);
}

static int content_set_aside(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT content FROM poison_items WHERE owner = $1 AND folder = $2 AND item ="
		    " $3 AND set_aside_at <> 0",
		    &st, err) < 0)
		return -1;
	bind_item(st, owner, folder, item);
	rc = store_run_u64(st, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND,
			"item %" PRIu64 " of folder %" PRIu64 " is not set aside", item.v,
			folder.v);
	return rc < 0 ? -1 : 0;
}

static int release_one(struct store_tx *tx, const struct copy *c, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_item_touch(tx, c->owner, c->folder, c->item, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "DELETE FROM poison_items WHERE owner = $1 AND folder = $2 AND item = $3", &st,
		    err) < 0)
		return -1;
	bind_item(st, c->owner, c->folder, c->item);
	return store_run(st, err);
}

/* The others of that content that are there and set aside. */
static int find_copies(struct store_tx *tx, uint64_t content, struct arena *arena,
	struct copy **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct copy *copies = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT p.owner, p.folder, p.item FROM poison_items p JOIN items i ON i.owner ="
		    " p.owner AND i.folder = p.folder AND i.id = p.item WHERE p.content = $1"
		    " AND p.content <> 0 AND p.set_aside_at <> 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, content);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &copies, count, &cap, err) < 0)
			return -1;
		copies[count++] = (struct copy){
			{db_col_u64(st, 0)}, {db_col_u64(st, 1)}, {db_col_u64(st, 2)}, content};
	}
	*ret = copies;
	*ret_count = count;
	return rc < 0 ? -1 : 0;
}

int store_poison_release_item(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id item, size_t *ret_count, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct copy self = {owner, folder, item, 0}, *copies = NULL;
	size_t count = 0;

	if (content_set_aside(tx, owner, folder, item, &self.content, err) < 0 ||
		release_one(tx, &self, err) < 0 ||
		find_copies(tx, self.content, arena, &copies, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (release_one(tx, &copies[i], err) < 0)
			return -1;
	}
	*ret_count = count + 1;
	if (store_prepare_tx(tx, "DELETE FROM poison_contents WHERE content = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, self.content);
	return store_run(st, err);
}

int store_poison_items(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct poison_item **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct poison_item *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT p.owner, p.folder, p.item, p.crashes, p.set_aside_at, i.date_at,"
		    " p.reason FROM poison_items p JOIN items i ON i.owner = p.owner AND i.folder ="
		    " p.folder AND i.id = p.item WHERE p.set_aside_at <> 0 AND (p.owner = $1 OR $1"
		    " = 0) ORDER BY p.owner, p.folder, p.item",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count].owner.v = store_row_u64(&row);
		rows[count].folder.v = store_row_u64(&row);
		rows[count].item.v = store_row_u64(&row);
		rows[count].crashes = store_row_u64(&row);
		rows[count].set_aside_at = store_row_i64(&row);
		rows[count].received_at = store_row_i64(&row);
		rows[count].reason = store_row_text(&row);
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

/* ---- requests ---- */

bool store_poison_any(const struct store *store)
{
	return atomic_load_explicit(&store->poisoned, memory_order_relaxed);
}

static int look_for_rows(struct store_read *rd, const char *sql, bool *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t one;
	int rc;

	if (store_prepare(rd, sql, &st, err) < 0)
		return -1;
	rc = store_run_u64(st, &one, err);
	*ret = rc > 0;
	return rc < 0 ? -1 : 0;
}

int store_poison_open(struct store *store, struct err *err)
{
	struct store_read *rd;
	bool requests = true, contents = true;
	int result;

	if (store_read_begin(store, &rd, err) < 0)
		return -1;
	result = look_for_rows(rd, "SELECT 1 FROM poison_requests LIMIT 1", &requests, err);
	if (result == 0)
		result = look_for_rows(rd, "SELECT 1 FROM poison_contents LIMIT 1", &contents, err);
	store_read_end(&rd);
	atomic_store(&store->poisoned, requests);
	atomic_store(&store->poisoned_contents, contents);
	return result;
}

/* *ret_refused: the row says so already. */
static int count_request(struct store_tx *tx, const struct poison_request *request, uint64_t crash,
	int64_t since_at, uint64_t *ret_crashes, bool *ret_refused, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO poison_requests (owner, hash, device, command, crashes,"
		    " last_crash, last_at, refused_at) VALUES ($1, $2, $3, $4, 1, $5, $6, 0)"
		    " ON CONFLICT (owner, hash) DO UPDATE SET crashes = CASE"
		    " WHEN poison_requests.last_crash = excluded.last_crash THEN"
		    " poison_requests.crashes WHEN poison_requests.last_at < $7 THEN 1"
		    " ELSE poison_requests.crashes + 1 END, refused_at = CASE"
		    " WHEN poison_requests.last_at < $7 THEN 0 ELSE poison_requests.refused_at END,"
		    " last_crash = excluded.last_crash, last_at = excluded.last_at"
		    " RETURNING crashes, refused_at",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, request->owner.v);
	db_bind_u64(st, 2, request->hash);
	db_bind_u64(st, 3, request->device.v);
	db_bind_text(st, 4, store_text(request->command));
	db_bind_u64(st, 5, crash);
	db_bind_i64(st, 6, tx->now_at);
	db_bind_i64(st, 7, since_at);
	if (db_step(st, err) < 0)
		return -1;
	*ret_crashes = db_col_u64(st, 0);
	*ret_refused = db_col_u64(st, 1) != 0;
	return store_run(st, err);
}

int store_poison_count_request(struct store_tx *tx, const struct poison_request *request,
	uint64_t crash, int64_t since_at, bool *ret_now, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	bool refused = false;
	uint64_t crashes;

	*ret_now = false;
	if (count_request(tx, request, crash, since_at, &crashes, &refused, err) < 0)
		return -1;
	/* Before the commit, so that nobody misses it after. */
	atomic_store(&tx->read.store->poisoned, true);
	if (crashes < STORE_POISON_CRASHES || refused)
		return 0;
	*ret_now = true;
	if (store_prepare_tx(tx,
		    "UPDATE poison_requests SET refused_at = $3 WHERE owner = $1 AND hash = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, request->owner.v);
	db_bind_u64(st, 2, request->hash);
	db_bind_i64(st, 3, tx->now_at);
	return store_run(st, err);
}

int store_poison_crashes(struct store_read *rd, struct owner_id owner, uint64_t hash,
	int64_t since_at, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t crashes = 0;

	if (store_prepare(rd,
		    "SELECT crashes FROM poison_requests WHERE owner = $1 AND hash = $2"
		    " AND last_at >= $3",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, hash);
	db_bind_i64(st, 3, since_at);
	if (store_run_u64(st, &crashes, err) < 0)
		return -1;
	*ret = crashes;
	return 0;
}

int store_poison_release_request(
	struct store_tx *tx, struct owner_id owner, uint64_t hash, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(
		    tx, "DELETE FROM poison_requests WHERE owner = $1 AND hash = $2", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_i64(st, 2, clamp(hash));
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "no request %" PRIx64 " is refused", hash);
	return 0;
}

int store_poison_requests(struct store_read *rd, struct owner_id owner, int64_t since_at,
	struct arena *arena, struct poison_request **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct poison_request *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT owner, hash, device, command, crashes, last_at, refused_at"
		    " FROM poison_requests WHERE refused_at <> 0 AND last_at >= $2"
		    " AND (owner = $1 OR $1 = 0) ORDER BY owner, hash",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_i64(st, 2, since_at);
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &rows, count, &cap, err) < 0)
			return -1;
		rows[count].owner.v = store_row_u64(&row);
		rows[count].hash = store_row_u64(&row);
		rows[count].device.v = store_row_u64(&row);
		rows[count].command = store_row_text(&row);
		rows[count].crashes = store_row_u64(&row);
		rows[count].last_at = store_row_i64(&row);
		rows[count].refused_at = store_row_i64(&row);
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

/* ---- housekeeping ---- */

struct sweep {
	int64_t before_at;
	size_t limit, removed;
};

static int sweep_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *old = NULL, *contents = NULL, *orphans = NULL;
	struct sweep *s = owner;

	if (store_prepare_tx(tx,
		    "DELETE FROM poison_requests WHERE (owner, hash) IN (SELECT owner, hash FROM"
		    " poison_requests WHERE last_at < $1 ORDER BY last_at LIMIT $2)",
		    &old, err) < 0)
		return -1;
	db_bind_i64(old, 1, s->before_at);
	db_bind_i64(old, 2, clamp(s->limit));
	if (store_run(old, err) < 0)
		return -1;
	s->removed = (size_t)db_changes(tx->read.conn);
	if (store_prepare_tx(tx, "DELETE FROM poison_contents WHERE last_at < $1", &contents, err) <
		0)
		return -1;
	db_bind_i64(contents, 1, s->before_at);
	if (store_run(contents, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "DELETE FROM poison_items WHERE NOT EXISTS (SELECT 1 FROM items i WHERE"
		    " i.owner = poison_items.owner AND i.folder = poison_items.folder"
		    " AND i.id = poison_items.item)",
		    &orphans, err) < 0 ||
		store_run(orphans, err) < 0)
		return -1;
	return 0;
}

int store_poison_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err)
{
	struct sweep s = {.before_at = before_at, .limit = limit};

	if (store_transact(store, sweep_tx, &s, err) < 0)
		return err_wrap(err, "sweeping what crashed the engine");
	return s.removed == limit && limit > 0 ? 1 : 0;
}
