/*
 * What must hold whatever happens: many writers at once, failing disks, a killed process, old and
 * newer databases.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "store/store_wipe.h"
#include "store/test_store_util.h"

/* ---- invariants: each query counts what must not be ---- */

static void check_invariants(struct world *w)
{
	static const char *const queries[] = {
		/* every item has its body, of its size */
		"SELECT count(*) FROM items i WHERE NOT EXISTS (SELECT 1 FROM bodies b"
		" WHERE b.owner = i.owner AND b.id = i.body_id AND b.body_bytes = i.body_bytes)",
		/* every body has one item */
		"SELECT count(*) FROM bodies b WHERE (SELECT count(*) FROM items i"
		" WHERE i.owner = b.owner AND i.body_id = b.id) <> 1",
		/* used_bytes is what is there */
		"SELECT count(*) FROM owners o WHERE used_bytes <>"
		" (SELECT coalesce(sum(body_bytes), 0) FROM bodies b WHERE b.owner = o.id)",
		/* no seq is ahead of its owner */
		"SELECT count(*) FROM items i JOIN owners o ON o.id = i.owner"
		" WHERE i.changed_seq > o.seq",
		"SELECT count(*) FROM tombstones t JOIN owners o ON o.id = t.owner"
		" WHERE t.seq > o.seq",
		/* changed_seq is the newest of the groups, created_seq the oldest */
		"SELECT count(*) FROM items WHERE changed_seq <> max(content_seq, read_seq, "
		"flag_seq,"
		" categories_seq, verb_seq) OR created_seq > min(content_seq, read_seq, flag_seq,"
		" categories_seq, verb_seq)",
		/* ids come from the folder's counter, items_seq is the newest change */
		"SELECT count(*) FROM folders f WHERE last_item <> (SELECT max(coalesce((SELECT "
		"max(id)"
		" FROM items i WHERE i.owner = f.owner AND i.folder = f.id), 0), coalesce((SELECT"
		" max(id) FROM tombstones t WHERE t.owner = f.owner AND t.folder = f.id), 0)))",
		"SELECT count(*) FROM folders f WHERE items_seq <> (SELECT max(coalesce((SELECT"
		" max(changed_seq) FROM items i WHERE i.owner = f.owner AND i.folder = f.id), 0),"
		" coalesce((SELECT max(seq) FROM tombstones t WHERE t.owner = f.owner"
		" AND t.folder = f.id), 0)))",
		/* an id is an item or a tombstone */
		"SELECT count(*) FROM items i JOIN tombstones t ON t.owner = i.owner"
		" AND t.folder = i.folder AND t.id = i.id",
		/* users and owners come together, each with an address */
		"SELECT count(*) FROM owners o WHERE deleted = 0 AND (NOT EXISTS (SELECT 1 FROM "
		"users u"
		" WHERE u.owner = o.id) OR NOT EXISTS (SELECT 1 FROM addresses a"
		" WHERE a.owner = o.id AND a.position = 0))",
	};
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;
		uint64_t bad = 99;

		REQUIRE_OK(store_prepare(rd, queries[i], &st, &err), &err);
		REQUIRE_OK(store_run_u64(st, &bad, &err), &err);
		if (bad != 0)
			test_fail_(__FILE__, __LINE__, "%llu rows of: %s", (unsigned long long)bad,
				queries[i]);
	}
}

/* Everything a reader could see, as one number. */
static uint64_t fingerprint(struct world *w)
{
	static const char *const tables[] = {
		"SELECT id, seq, used_bytes, last_folder, last_body, deleted FROM owners ORDER BY "
		"id",
		"SELECT owner, epoch, disabled, login, domain, 0 FROM users ORDER BY owner",
		"SELECT owner, position, address, domain, 0, 0 FROM addresses ORDER BY owner, "
		"position",
		"SELECT owner, id, changed_seq, items_seq, last_item, name FROM folders ORDER BY "
		"owner, id",
		"SELECT owner, folder, id, changed_seq, body_id, is_read FROM items"
		" ORDER BY owner, folder, id",
		"SELECT owner, folder, id, seq, date_at, 0 FROM tombstones ORDER BY owner, folder, "
		"seq, id",
		"SELECT owner, id, body_bytes, file, bytes, 0 FROM bodies ORDER BY owner, id",
		"SELECT owner, id, epoch, wipe, blocked, device_id FROM devices ORDER BY owner, id",
		"SELECT owner, device, folder, generation, sync_key, state FROM sync_states"
		" ORDER BY owner, device, folder, generation",
		"SELECT name, value, 0, 0, 0, 0 FROM counters ORDER BY name",
	};
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	struct err err = ERR_INIT;
	uint64_t sum = 1469598103934665603u;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;

		REQUIRE_OK(store_prepare(rd, tables[i], &st, &err), &err);
		while (db_step(st, &err) > 0) {
			for (int col = 0; col < 6; col++) {
				for (const char *p = db_col_text(st, col); *p != '\0'; p++)
					sum = (sum ^ (unsigned char)*p) * 1099511628211u;
				sum = (sum ^ '|') * 1099511628211u;
			}
		}
	}
	return sum;
}

/* ---- failing disks ---- */

/* A transaction that touches everything. */
struct everything {
	struct world *w;
	unsigned round;
	struct store_new_body body;
};

static int do_items(struct store_tx *tx, const struct everything *e, struct err *err)
{
	struct world *w = e->w;
	struct device_id nobody = {0};
	struct item_id one, two, moved;
	struct new_item item = {.item_class = ITEM_MAIL, .date_at = 5, .body = &e->body};

	if (store_item_add(tx, w->anna, w->inbox, &item, &one, err) < 0 ||
		store_item_add(tx, w->anna, w->inbox, &item, &two, err) < 0 ||
		store_item_set_read(tx, w->anna, w->inbox, one, true, nobody, NULL, err) < 0 ||
		store_item_set_flag(tx, w->anna, w->inbox, one, 2, "f", 1, nobody, NULL, err) < 0)
		return -1;
	if (store_item_move(tx, w->anna, w->inbox, one, w->trash, nobody, &moved, err) < 0)
		return -1;
	return store_item_delete(tx, w->anna, w->inbox, two, nobody, err);
}

static int do_people(struct store_tx *tx, const struct everything *e, struct err *err)
{
	CLEANUP(mem_freep) char *login = x_printf("user%u", e->round);
	CLEANUP(mem_freep) char *alias = x_printf("alias%u@example.org", e->round);
	struct device device = {.device_id = "DEV"};
	struct sync_state_row state = STATE(1, 0, "state");
	struct owner_id id;

	if (store_user_add(tx, login, "example.org", "", "h", 1, &id, err) < 0 ||
		store_alias_add(tx, id, alias, err) < 0)
		return -1;
	device.owner = id;
	if (store_device_save(tx, &device, err) < 0 ||
		store_sync_state_save(tx, device.id, id, (struct folder_id){1}, &state, 1, NULL, 0, err) < 0)
		return -1;
	return store_wipe_order(tx, device.id, false, false, "root", 1, err);
}

static int do_everything(struct store_tx *tx, void *owner, struct err *err)
{
	const struct everything *e = owner;

	return do_items(tx, e, err) < 0 || do_people(tx, e, err) < 0 ? -1 : 0;
}

static void test_failing_disk(void)
{
	struct world *w = world_new();
	struct everything e = {.w = w};
	struct err err = ERR_INIT;
	uint64_t before = fingerprint(w);
	unsigned n;

	REQUIRE_OK(store_body_prepare(w->store, "hello", 5, &e.body, &err), &err);
	for (n = 1; n < 500; n++) {
		enum err_code code = n % 2 == 0 ? ERR_QUOTA : ERR_BACKEND;

		w->event_count = 0;
		store_fail_after(w->store, n, code);
		if (store_transact(w->store, do_everything, &e, &err) == 0)
			break;
		CHECK_INT(err.code, code);
		CHECK_INT(w->event_count, 0);
		CHECK(fingerprint(w) == before);
		store_fail_after(w->store, 0, ERR_NONE);
		/* The next one works. */
		if (n % 10 == 0) {
			e.round = n;
			REQUIRE_OK(store_transact(w->store, do_everything, &e, &err), &err);
			check_invariants(w);
			before = fingerprint(w);
			e.round = 0;
		}
	}
	store_fail_after(w->store, 0, ERR_NONE);
	CHECK(n > 40);
	CHECK(w->event_count > 5);
	check_invariants(w);
	world_free(&w);
}

/* A refused change inside a transaction that goes on leaves nothing behind. */
static int go_on_after_refusals(struct store_tx *tx, void *owner, struct err *err)
{
	struct world *w = owner;
	struct store_new_body body = {.bytes = (const uint8_t *)"x", .len = 1};
	struct store_new_body large = {.bytes = (const uint8_t *)"xxxxxxxxxx", .len = 10};
	struct new_item item = {.item_class = ITEM_MAIL, .body = &body};
	struct device_id nobody = {0};
	struct item_id id;

	if (store_user_set_quota(tx, w->anna, 5, err) < 0)
		return -1;
	CHECK_INT(store_item_add(tx, w->anna, (struct folder_id){99}, &item, &id, err), -1);
	item.body = &large;
	CHECK_INT(store_item_add(tx, w->anna, w->inbox, &item, &id, err), -1);
	CHECK_INT(err->code, ERR_QUOTA);
	CHECK_INT(store_item_move(tx, w->anna, w->inbox, (struct item_id){1},
			  (struct folder_id){99}, nobody, &id, err),
		-1);
	CHECK_INT(store_item_delete(tx, w->anna, w->inbox, (struct item_id){9}, nobody, err), -1);
	return 0;
}

static void test_refusals_leave_nothing(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t before;

	(void)add_item(w, "x", 1);
	w->event_count = 0;
	before = fingerprint(w);
	REQUIRE_OK(store_transact(w->store, go_on_after_refusals, w, &err), &err);
	CHECK(fingerprint(w) == before);
	CHECK_INT(w->event_count, 0);
	check_invariants(w);
	world_free(&w);
}

/* ---- many at once ---- */

enum { WORKERS = 8, OPS = 120 };

struct worker {
	pthread_t thread;
	struct world *w;
	unsigned number;
	unsigned added, failed;
};

/* Adds, reads, moves, deletes in one owner's inbox; some transactions fail on purpose. */
static void *work(void *owner)
{
	struct worker *worker = owner;
	struct item_id last = {0};

	for (unsigned i = 0; i < OPS; i++) {
		struct err err = ERR_INIT;
		struct op op = {.kind = OP_ADD,
			.owner = worker->w->anna,
			.folder = worker->w->inbox,
			.text = "body",
			.device = {worker->number}};

		if (i % 4 == 1) {
			op.kind = OP_READ;
			op.value = 1;
		} else if (i % 4 == 2) {
			op.kind = i % 8 == 2 ? OP_MOVE : OP_DELETE;
			op.target = worker->w->trash;
		} else if (i % 4 == 3) {
			op.folder.v = 99;
		}
		op.id = last;
		if (do_op(worker->w, &op, &err) < 0) {
			CHECK_INT(err.code, ERR_NOT_FOUND);
			worker->failed++;
			continue;
		}
		if (op.kind == OP_ADD) {
			worker->added++;
			last = op.id;
		}
	}
	return NULL;
}

static pthread_mutex_t seen_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool seen[WORKERS * OPS * 2];
static uint64_t seen_base, seen_count;

static void note_seqs(const struct change_event *events, size_t count, void *owner)
{
	(void)owner;
	(void)pthread_mutex_lock(&seen_mutex);
	for (size_t i = 0; i < count; i++) {
		/* The two events of a move share one. */
		if (i > 0 && events[i].seq == events[i - 1].seq)
			continue;
		CHECK(events[i].seq > seen_base && events[i].seq - seen_base < ARRAY_LEN(seen));
		CHECK(!seen[events[i].seq - seen_base]);
		seen[events[i].seq - seen_base] = true;
		seen_count++;
	}
	(void)pthread_mutex_unlock(&seen_mutex);
}

static void *read_along(void *owner)
{
	struct worker *worker = owner;
	struct world *w = worker->w;
	uint64_t newest = 0;

	while (newest < seen_base + (uint64_t)WORKERS * OPS * 3 / 4) {
		CLEANUP(arena_free) struct arena *arena = arena_new(0);
		CLEANUP(store_read_end) struct store_read *rd = reading(w);
		struct err err = ERR_INIT;
		struct item_row *rows = NULL;
		size_t count = 0;
		uint64_t seq = 0;
		bool more;

		REQUIRE_OK(store_item_changes(rd, w->anna, w->inbox, 0, 10000, arena, &rows, &count,
				   &more, &err),
			&err);
		REQUIRE_OK(store_owner_seq(rd, w->anna, &seq, &err), &err);
		/* One snapshot: nothing in it is newer than its owner's seq, and no seq goes back.
		 */
		CHECK(seq >= newest);
		CHECK(count == 0 || rows[count - 1].changed_seq <= seq);
		newest = seq;
	}
	return NULL;
}

static void test_many_writers(void)
{
	struct world *w = world_new();
	struct worker workers[WORKERS], reader = {.w = w};
	unsigned added = 0, failed = 0;
	uint64_t last;

	memset(seen, 0, sizeof(seen));
	seen_count = 0;
	seen_base = seq_of(w, w->anna);
	store_set_publisher(w->store, note_seqs, NULL);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.w = w, .number = i + 1};
		REQUIRE(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	REQUIRE(pthread_create(&reader.thread, NULL, read_along, &reader) == 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		added += workers[i].added;
		failed += workers[i].failed;
	}
	(void)pthread_join(reader.thread, NULL);
	CHECK_INT(added, WORKERS * OPS / 4);
	CHECK_INT(failed, WORKERS * OPS / 4);
	last = seq_of(w, w->anna);
	CHECK_INT(last - seen_base, WORKERS * OPS * 3 / 4);
	CHECK_INT(seen_count, last - seen_base);
	for (uint64_t i = 1; i <= last - seen_base; i++)
		CHECK(seen[i]);
	check_invariants(w);
	world_free(&w);
}

/* ---- a killed process ---- */

static void child_writes(struct world *w, int fd)
{
	CLEANUP(mem_freep) char *text = x_calloc(1, 9001);

	memset(text, 'k', 9000);
	for (uint64_t i = 0;; i++) {
		/* Every other one goes to a file. */
		struct op op = {.kind = OP_ADD, .text = i % 2 == 0 ? "small" : text};
		struct err err = ERR_INIT;

		text[0] = (char)('a' + i % 20);
		if (do_op(w, &op, &err) < 0 ||
			write(fd, &op.id.v, sizeof(op.id.v)) != (ssize_t)sizeof(op.id.v))
			_exit(1);
	}
}

static void test_killed(void)
{
	struct world *w = world_new();
	struct store_body body;
	struct err err = ERR_INIT;
	uint64_t told = 0;
	int fds[2];
	pid_t child;

	store_close(&w->store);
	REQUIRE(pipe(fds) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		world_open_store(w);
		child_writes(w, fds[1]);
	}
	while (told < 100 && read(fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
		;
	REQUIRE(kill(child, SIGKILL) == 0);
	REQUIRE(waitpid(child, NULL, 0) == child);
	CHECK_INT(told, 100);
	world_open_store(w);
	check_invariants(w);
	for (uint64_t id = 1; id <= told; id++) {
		struct item *item = load_item(w, w->inbox, (struct item_id){id});
		struct store_read *rd = reading(w);

		REQUIRE(item != NULL);
		REQUIRE_OK(store_body_load(rd, w->anna, item->body_id, &body, &err), &err);
		CHECK_INT(body.len, id % 2 == 1 ? 5 : 9000);
		store_body_release(&body);
		store_read_end(&rd);
	}
	world_free(&w);
}

/* ---- schema versions ---- */

static const char *const made_up_1[] = {"CREATE TABLE pets (owner BIGINT NOT NULL, id BIGINT NOT "
					"NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID",
	"INSERT INTO pets (owner, id) VALUES (1, 1)", NULL};
static const char *const made_up_2[] = {
	"ALTER TABLE pets ADD COLUMN legs BIGINT NOT NULL DEFAULT 4", NULL};
static const char *const made_up_broken[] = {"DELETE FROM pets", "CREATE NONSENSE", NULL};
static const struct store_schema_step made_up[] = {{made_up_1}, {made_up_2}};
static const struct store_schema_step made_up_bad[] = {{made_up_1}, {made_up_2}, {made_up_broken}};

static uint64_t legs(struct db *db)
{
	CLEANUP(db_read_end) struct db_conn *conn = NULL;
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(db_read_begin(db, &conn, &err), &err);
	REQUIRE_OK(db_prepare(conn, "SELECT sum(legs) FROM pets", &st, &err), &err);
	REQUIRE(db_step(st, &err) == 1);
	return db_col_u64(st, 0);
}

static void test_migration(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *path = x_printf("%s/other.db", w->dir);
	struct db_options options = {.path = path, .readers_max = 1, .group_max = 1};
	struct err err = ERR_INIT;
	struct db *db = NULL;

	REQUIRE_OK(db_open(&options, &db, &err), &err);
	REQUIRE_OK(store_schema_migrate(db, made_up, 1, &err), &err);
	db_close(&db);
	REQUIRE_OK(db_open(&options, &db, &err), &err);
	REQUIRE_OK(store_schema_migrate(db, made_up, 2, &err), &err);
	CHECK_INT(legs(db), 4);
	REQUIRE_OK(store_schema_migrate(db, made_up, 2, &err), &err);
	CHECK_INT(legs(db), 4);
	/* A step that fails takes all of itself back. */
	CHECK_INT(store_schema_migrate(db, made_up_bad, 3, &err), -1);
	CHECK(strstr(err.text, "version 3") != NULL);
	CHECK_INT(legs(db), 4);
	/* An older program refuses, naming both versions. */
	CHECK_INT(store_schema_migrate(db, made_up, 1, &err), -1);
	CHECK_INT(err.code, ERR_BACKEND);
	CHECK(strstr(err.text, "schema version 2") != NULL && strstr(err.text, "up to 1") != NULL);
	REQUIRE_OK(store_schema_migrate(db, made_up, 2, &err), &err);
	db_close(&db);
	world_free(&w);
}

static int pretend_newer(struct db_conn *conn, void *owner, struct err *err)
{
	(void)owner;
	return db_exec(conn, "UPDATE schema_version SET version = 99", err);
}

static void test_newer_database(void)
{
	struct world *w = world_new();
	struct store_options options = {.data_dir = w->dir, .readers_max = 1, .group_max = 1};
	struct store *store = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(db_transact(w->store->db, pretend_newer, NULL, &err), &err);
	store_close(&w->store);
	CHECK_INT(store_open(&options, &store, &err), -1);
	CHECK_INT(err.code, ERR_BACKEND);
	CHECK(strstr(err.text, "schema version 99") != NULL);
	CHECK(strstr(err.text, "bellhop.db") != NULL);
	CHECK(store == NULL);
	world_free(&w);
}

static void test_reopen(void)
{
	struct world *w = world_new();
	uint64_t before;

	(void)add_item(w, "x", 1);
	before = fingerprint(w);
	store_close(&w->store);
	world_open_store(w);
	CHECK(fingerprint(w) == before);
	CHECK_INT(add_item(w, "x", 1).v, 2);
	world_free(&w);
}

static void test_foreign_file(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.db", w->dir);
	struct store_options options = {.data_dir = w->dir, .readers_max = 1, .group_max = 1};
	struct store *store = NULL;
	struct err err = ERR_INIT;
	FILE *f;

	store_close(&w->store);
	f = fopen(path, "w");
	REQUIRE(f != NULL);
	for (int i = 0; i < 10000; i++)
		(void)fputs("no database ", f);
	(void)fclose(f);
	CHECK_INT(store_open(&options, &store, &err), -1);
	CHECK_INT(err.code, ERR_BACKEND);
	CHECK(strstr(err.text, "bellhop.db") != NULL);
	world_free(&w);
}

TEST_MAIN(TEST(test_failing_disk), TEST(test_refusals_leave_nothing), TEST(test_many_writers),
	TEST(test_killed), TEST(test_migration), TEST(test_newer_database), TEST(test_reopen),
	TEST(test_foreign_file))
