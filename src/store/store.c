/*
 * The store itself: opening, snapshots, transactions, and the helpers that its files share.
 *
 * A transaction (struct store_tx) collects the seqs that it took and the events of what it did.
 * Both are set up anew each time its function runs, on the database's writer thread; the events go
 * out on the thread that called store_transact(), after the commit.
 *
 * Threads: struct store is shared; everything in it but sweep_dir is fixed after the start. A read
 * or a transaction belongs to one thread, and so does the snapshot that a thread holds on to
 * (store_hold_begin()): at most one of each thread.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_files.h"
#include "store/store_internal.h"

enum { BUSY_TIMEOUT_MS = 5000 };

/* ---- opening ---- */

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "creating folder %s", path);
	return 0;
}

static int make_folders(const char *data_dir, struct err *err)
{
	CLEANUP(mem_freep) char *bodies = x_printf("%s/bodies", data_dir);
	CLEANUP(mem_freep) char *incoming = x_printf("%s/bodies/incoming", data_dir);

	if (make_folder(data_dir, err) < 0 || make_folder(bodies, err) < 0 ||
		make_folder(incoming, err) < 0)
		return -1;
	/* Also what was there: whoever made it may not have come to this. */
	return store_files_sync_folder(data_dir, err);
}

static int open_read_only(struct store *store, const struct db_options *options, struct err *err)
{
	if (access(options->path, F_OK) < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no store")
				       : err_set_errno(err, errno, "looking for the store");
	if (db_open(options, &store->db, err) < 0)
		return -1;
	return store_schema_read(store->db, &store->schema_version, err);
}

int store_open(const struct store_options *options, struct store **ret, struct err *err)
{
	CLEANUP(store_close) struct store *store = x_new(struct store);
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.db", options->data_dir);
	struct db_options db_options = {.path = path,
		.readers_max = options->readers_max,
		.group_max = options->group_max,
		.busy_timeout_ms = BUSY_TIMEOUT_MS,
		.cache_kib = options->cache_kib,
		.mmap_bytes = options->mmap_bytes,
		.read_only = options->read_only};

	(void)pthread_mutex_init(&store->bodies_mutex, NULL);
	store->data_dir = x_strdup(options->data_dir);
	atomic_init(&store->commits, 1);
	store->body_inline_max = options->body_inline_max;
	if (options->read_only) {
		if (open_read_only(store, &db_options, err) < 0)
			return err_wrap(err, "%s", path);
		*ret = TAKE(store);
		return 0;
	}
	if (make_folders(options->data_dir, err) < 0 || db_open(&db_options, &store->db, err) < 0)
		return -1;
	store->schema_version = store_schema_step_count;
	if (store_schema_migrate(store->db, store_schema_steps, store_schema_step_count, err) < 0)
		return err_wrap(err, "%s", path);
	if (store_poison_open(store, err) < 0)
		return -1;
	*ret = TAKE(store);
	return 0;
}

void store_close(struct store **store)
{
	if (*store == NULL)
		return;
	db_close(&(*store)->db);
	(void)pthread_mutex_destroy(&(*store)->bodies_mutex);
	mem_free((*store)->data_dir);
	mem_free(*store);
	*store = NULL;
}

uint64_t store_schema_version(const struct store *store)
{
	return store->schema_version;
}

uint64_t store_schema_newest(void)
{
	return store_schema_step_count;
}

void store_set_publisher(struct store *store, store_publish_fn fn, void *owner)
{
	store->publish = fn;
	store->publish_owner = owner;
}

void store_fail_after(struct store *store, unsigned n, enum err_code code)
{
	db_fail_after(store->db, n, code);
}

/* ---- reading ---- */

/* What this thread holds on to. */
static _Thread_local struct {
	struct store *store;  /* NULL: nothing is held on to */
	struct db_conn *kept; /* a snapshot that nobody reads from at the moment */
	uint64_t commits;     /* before that was begun */
} hold;

static void let_go(void)
{
	db_read_end(&hold.kept);
}

void store_hold_begin(struct store *store)
{
	assert(hold.store == NULL);
	hold.store = store;
}

void store_hold_end(struct store *store)
{
	if (hold.store != store)
		return;
	let_go();
	hold.store = NULL;
}

/* NULL: there is none, or something has been committed since. */
static struct db_conn *take_kept(const struct store *store, uint64_t commits)
{
	if (hold.store != store || hold.kept == NULL)
		return NULL;
	if (hold.commits != commits) {
		let_go();
		return NULL;
	}
	return TAKE(hold.kept);
}

int store_read_begin(struct store *store, struct store_read **ret, struct err *err)
{
	uint64_t commits = store_commits(store);
	struct db_conn *conn = take_kept(store, commits);

	if (conn == NULL && db_read_begin(store->db, &conn, err) < 0)
		return -1;
	*ret = x_new(struct store_read);
	(*ret)->conn = conn;
	(*ret)->store = store;
	(*ret)->commits = commits;
	return 0;
}

void store_read_end(struct store_read **rd)
{
	if (*rd == NULL)
		return;
	if (hold.store == (*rd)->store && hold.kept == NULL) {
		hold.kept = TAKE((*rd)->conn);
		hold.commits = (*rd)->commits;
	}
	db_read_end(&(*rd)->conn);
	mem_free(*rd);
	*rd = NULL;
}

struct store_read *store_tx_read(struct store_tx *tx)
{
	return &tx->read;
}

/* ---- writing ---- */

struct call {
	store_tx_fn fn;
	void *owner;
	struct store_tx tx;
};

static int run_call(struct db_conn *conn, void *owner, struct err *err)
{
	struct call *call = owner;

	/* What an earlier run collected was taken back with it. */
	call->tx.seq_count = 0;
	call->tx.event_count = 0;
	call->tx.read.conn = conn;
	return call->fn(&call->tx, call->owner, err);
}

int store_transact(struct store *store, store_tx_fn fn, void *owner, struct err *err)
{
	struct call call = {.fn = fn, .owner = owner};
	int rc;

	/* Commits wait for the disk, and a snapshot is in the way of checkpoints. */
	if (hold.store == store)
		let_go();
	call.tx.read.store = store;
	call.tx.now_at = clock_now_at();
	rc = db_transact(store->db, run_call, &call, err);
	/* Before the events: see store_commits(). Also of those that failed, for what they left. */
	(void)atomic_fetch_add(&store->commits, 1);
	if (rc == 0 && call.tx.event_count > 0 && store->publish != NULL)
		store->publish(call.tx.events, call.tx.event_count, store->publish_owner);
	mem_free(call.tx.events);
	mem_free(call.tx.seqs);
	return rc;
}

uint64_t store_commits(const struct store *store)
{
	return atomic_load(&store->commits);
}

int store_tx_seq(struct store_tx *tx, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t seq = 0;
	int rc;

	for (size_t i = 0; i < tx->seq_count; i++) {
		if (tx->seqs[i].owner.v == owner.v) {
			*ret = tx->seqs[i].seq;
			return 0;
		}
	}
	if (store_prepare_tx(tx,
		    "UPDATE owners SET seq = seq + 1 WHERE id = $1 AND deleted = 0 RETURNING seq",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	rc = store_run_u64(st, &seq, err);
	if (rc <= 0)
		return rc < 0 ? -1
			      : err_set(err, ERR_NOT_FOUND, "no owner %llu",
					(unsigned long long)owner.v);
	if (tx->seq_count == tx->seq_cap) {
		tx->seq_cap = MAX(tx->seq_cap * 2, (size_t)4);
		tx->seqs = x_realloc(tx->seqs, tx->seq_cap * sizeof(*tx->seqs));
	}
	tx->seqs[tx->seq_count++] = (struct store_taken_seq){owner, seq};
	*ret = seq;
	return 0;
}

static const unsigned property_kinds =
	CHANGE_CONTENT | CHANGE_READ | CHANGE_FLAG | CHANGE_CATEGORIES | CHANGE_VERB;

static bool merges(const struct change_event *last, const struct change_event *event)
{
	return ((last->kinds | event->kinds) & ~property_kinds) == 0 &&
	       last->owner.v == event->owner.v && last->folder.v == event->folder.v &&
	       last->item.v == event->item.v && last->device.v == event->device.v;
}

void store_tx_event(struct store_tx *tx, const struct change_event *event)
{
	struct change_event *last = tx->event_count > 0 ? &tx->events[tx->event_count - 1] : NULL;

	if (last != NULL && merges(last, event)) {
		last->kinds |= event->kinds;
		return;
	}
	if (tx->event_count == tx->event_cap) {
		tx->event_cap = MAX(tx->event_cap * 2, (size_t)4);
		tx->events = x_realloc(tx->events, tx->event_cap * sizeof(*tx->events));
	}
	tx->events[tx->event_count++] = *event;
}

/* ---- statements ---- */

int store_prepare(struct store_read *rd, const char *sql, struct db_stmt **ret, struct err *err)
{
	return db_prepare(rd->conn, sql, ret, err);
}

int store_prepare_tx(struct store_tx *tx, const char *sql, struct db_stmt **ret, struct err *err)
{
	return db_prepare(tx->read.conn, sql, ret, err);
}

int store_run(struct db_stmt *st, struct err *err)
{
	int rc;

	while ((rc = db_step(st, err)) > 0)
		;
	return rc;
}

int store_run_u64(struct db_stmt *st, uint64_t *ret, struct err *err)
{
	uint64_t value;
	int rc = db_step(st, err);

	if (rc <= 0)
		return rc;
	value = db_col_u64(st, 0);
	if (store_run(st, err) < 0)
		return -1;
	*ret = value;
	return 1;
}

int store_run_id(struct store_tx *tx, const char *sql, uint64_t id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	return store_run(st, err);
}

struct sweep {
	const char *sql;
	int64_t before_at;
	size_t limit, removed;
};

static int sweep_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct sweep *s = owner;

	if (store_prepare_tx(tx, s->sql, &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, s->before_at);
	db_bind_u64(st, 2, s->limit);
	if (store_run(st, err) < 0)
		return -1;
	s->removed = (size_t)db_changes(tx->read.conn);
	return 0;
}

int store_sweep_rows(struct store *store, const char *sql, int64_t before_at, size_t limit,
	const char *what, struct err *err)
{
	struct sweep s = {.sql = sql, .before_at = before_at, .limit = limit};

	if (store_transact(store, sweep_tx, &s, err) < 0)
		return err_wrap(err, "%s", what);
	return s.removed == limit && limit > 0 ? 1 : 0;
}

int store_counter_next(struct store_tx *tx, const char *name, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO counters (name, value) VALUES ($1, 1)"
		    " ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, name);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

/* ---- rows ---- */

uint64_t store_row_u64(struct store_row *row)
{
	return db_col_u64(row->st, row->at++);
}

int64_t store_row_i64(struct store_row *row)
{
	return db_col_i64(row->st, row->at++);
}

const char *store_row_text(struct store_row *row)
{
	const char *text = db_col_text(row->st, row->at++);
	const char *copy = arena_try_strndup(row->arena, text, strlen(text));

	row->failed = row->failed || copy == NULL;
	return copy;
}

const uint8_t *store_row_blob(struct store_row *row, size_t *ret_len)
{
	const void *bytes;
	uint8_t *copy;
	size_t len = 0;

	*ret_len = 0;
	if (db_col_null(row->st, row->at)) {
		row->at++;
		return NULL;
	}
	bytes = db_col_blob(row->st, row->at++, &len);
	copy = arena_try_alloc(row->arena, len + 1);
	if (copy == NULL) {
		row->failed = true;
		return NULL;
	}
	if (len > 0)
		memcpy(copy, bytes, len);
	*ret_len = len;
	return copy;
}

static int no_room(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "the result of a query is beyond the request's memory");
}

int store_row_end(const struct store_row *row, struct err *err)
{
	return row->failed ? no_room(err) : 0;
}

int store_grow(
	struct arena *arena, void **array, size_t count, size_t *cap, size_t size, struct err *err)
{
	size_t wanted = MAX(*cap * 2, (size_t)8);
	void *grown;

	if (count < *cap)
		return 0;
	grown = arena_try_alloc(arena, wanted * size);
	if (grown == NULL)
		return no_room(err);
	if (count > 0)
		memcpy(grown, *array, count * size);
	*array = grown;
	*cap = wanted;
	return 0;
}

int store_read_one(struct db_stmt *st, struct arena *arena, size_t size, store_read_row_fn *read,
	void **ret, struct err *err)
{
	void *row;
	int rc = db_step(st, err);

	if (rc <= 0)
		return rc;
	row = arena_try_alloc(arena, size);
	if (row == NULL)
		return no_room(err);
	if (read(st, arena, row, err) < 0)
		return -1;
	*ret = row;
	return 1;
}

int store_read_all(struct db_stmt *st, struct arena *arena, size_t size, store_read_row_fn *read,
	void **ret, size_t *ret_count, struct err *err)
{
	void *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		if (store_grow(arena, &rows, count, &cap, size, err) < 0 ||
			read(st, arena, (char *)rows + count * size, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

int store_read_texts(struct db_stmt *st, struct arena *arena, const char ***ret, size_t *ret_count,
	struct err *err)
{
	const char **texts = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &texts, count, &cap, err) < 0)
			return -1;
		assert(texts != NULL);
		texts[count++] = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
	}
	if (rc < 0)
		return -1;
	*ret = texts;
	*ret_count = count;
	return 0;
}
