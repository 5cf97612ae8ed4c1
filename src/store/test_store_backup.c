/* Backup, restore and check of a store in one process. tests/test_backup.py has the rest. */
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "store/store_backup.h"
#include "store/store_check.h"
#include "store/store_files.h"
#include "store/store_queue.h"
#include "store/test_store_util.h"

#define BIG 5000

static char *big(char filler)
{
	char *text = x_calloc(1, BIG + 1);

	memset(text, filler, BIG);
	return text;
}

static int back_up(struct world *w, const char *dir, struct store_manifest *ret, struct err *err)
{
	struct store_backup_options o = {.data_dir = w->dir, .dir = dir, .now_at = 5000};

	return store_backup(&o, ret, err);
}

static int restore(struct world *w, const char *dir, int64_t now_ms, struct err *err)
{
	struct store_restore_options o = {
		.data_dir = w->dir, .dir = dir, .now_ms = now_ms, .actor = "test"};
	struct store_manifest m;
	struct store_restored r;

	if (store_restore(&o, &m, &r, err) < 0)
		return -1;
	if (r.put_aside != NULL)
		store_files_remove(r.put_aside);
	store_manifest_deinit(&m);
	store_restored_deinit(&r);
	return 0;
}

static uint64_t findings;

static void on_finding(const char *text, void *owner)
{
	(void)owner;
	printf("# found: %s\n", text);
	findings++;
}

static uint64_t check(struct world *w)
{
	struct store_check_options o = {.found = on_finding};
	struct store_check_result result;
	struct err err = ERR_INIT;

	findings = 0;
	REQUIRE_OK(store_check(w->store, &o, &result, &err), &err);
	return findings;
}

static void test_there_and_back(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	CLEANUP(mem_freep) char *a = big('a');
	CLEANUP(mem_freep) char *b = big('b');
	struct store_manifest m;
	struct err err = ERR_INIT;
	struct item_id small = add_item(w, "small", 10), first = add_item(w, a, 20), after;

	new_phone(w);
	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	CHECK_INT(m.items, 2);
	CHECK_INT(m.body_files, 1);
	CHECK_INT(m.body_files_bytes, BIG);
	CHECK_INT(m.users, 2);
	CHECK_INT(m.created_at, 5000);
	store_manifest_deinit(&m);
	CHECK(back_up(w, dir, &m, &err) < 0);
	CHECK_INT(err.code, ERR_CONFLICT);
	after = add_item(w, b, 30);
	store_close(&w->store);

	REQUIRE_OK(restore(w, dir, 0, &err), &err);
	world_open_store(w);
	CHECK_INT(check(w), 0);
	CHECK(load_item(w, w->inbox, small) != NULL);
	CHECK(load_item(w, w->inbox, first) != NULL);
	CHECK(load_item(w, w->inbox, after) == NULL);
	CHECK(add_item(w, b, 30).v > after.v + UINT32_MAX);
	store_close(&w->store);
	store_files_remove(dir);
	world_open_store(w);
	world_free(&w);
}

static int enqueue(struct store_tx *tx, struct world *w, struct err *err)
{
	static const char *const to[] = {"a@far.example"};
	const struct store_new_body body = {.bytes = (const uint8_t *)"x", .len = 1};
	const struct queue_new mail = {.owner = w->anna,
		.sender = "anna@example.org",
		.recipients = to,
		.recipient_count = 1,
		.body = &body,
		.now_at = 1};
	struct queue_id id;

	return store_queue_add(tx, &mail, &id, err);
}

/* It may have been sent after the backup: the administrator decides. */
static void test_queued_mail_is_held(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	struct queue_counts counts = {0};
	struct store_manifest m;
	struct store_read *rd;
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, enqueue, &err), &err);
	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	store_manifest_deinit(&m);
	store_close(&w->store);
	REQUIRE_OK(restore(w, dir, 0, &err), &err);
	world_open_store(w);
	CHECK_INT(check(w), 0);
	rd = reading(w);
	REQUIRE_OK(store_queue_count(rd, &counts, &err), &err);
	store_read_end(&rd);
	CHECK(counts.mails == 1 && counts.recipients == 1 && counts.held == 1);
	store_close(&w->store);
	store_files_remove(dir);
	world_open_store(w);
	world_free(&w);
}

/* One backup restored twice: what was given out in between has another id than what comes now. */
static void test_ids_are_ahead_of_the_clock(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	const int64_t now_ms = INT64_C(1795000000000);
	struct item_id ids[3];
	struct store_manifest m;
	struct err err = ERR_INIT;

	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	for (int i = 0; i < 3; i++) {
		store_close(&w->store);
		REQUIRE_OK(restore(w, dir, now_ms + i, &err), &err);
		world_open_store(w);
		for (int k = 0; k < 50; k++)
			ids[i] = add_item(w, "x", 10);
		CHECK(i == 0 || ids[i].v - 50 >= ids[i - 1].v);
	}
	CHECK_INT(check(w), 0);
	store_files_remove(dir);
	world_free(&w);
}

static int forget_arrivals(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_run_id(tx, "UPDATE items SET arrived_at = 0 WHERE owner = $1", w->anna.v, err);
}

/* Among the counters is a time, since which arrivals are written down: it stays what it was. */
static void test_expiry_after_a_restore(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	struct store_expiry e = {.now_at = 1000, .deleted_days = 1};
	struct op move = {.kind = OP_MOVE, .id = add_item(w, "old", 10), .target = w->trash};
	struct store_manifest m;
	struct err err = ERR_INIT;

	REQUIRE_OK(do_op(w, &move, &err), &err);
	REQUIRE_OK(transact(w, forget_arrivals, &err), &err);
	CHECK_INT(store_expire_step(w->store, &e, 10, &err), 0);
	CHECK_INT(e.removed, 0);
	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	store_manifest_deinit(&m);
	store_close(&w->store);
	REQUIRE_OK(restore(w, dir, INT64_C(1795000000000), &err), &err);
	world_open_store(w);
	e = (struct store_expiry){.now_at = 1000 + 86401, .deleted_days = 1};
	CHECK_INT(store_expire_step(w->store, &e, 10, &err), 0);
	CHECK_INT(e.removed, 1);
	store_files_remove(dir);
	world_free(&w);
}

static bool ask_n_times(void *owner)
{
	int *left = owner;

	return (*left)-- > 0;
}

/* Ended at any question: there is no backup, and no other trace. */
static void test_ended_early(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *parent = x_printf("%s.backups", w->dir);
	CLEANUP(mem_freep) char *dir = x_printf("%s/one", parent);
	struct store_backup_options o = {.data_dir = w->dir, .dir = dir, .go_on = ask_n_times};
	struct store_manifest m;
	struct err err = ERR_INIT;
	int n = 0;

	REQUIRE_OK(store_files_make_folder(parent, &err), &err);
	for (char c = 'a'; c < 'f'; c++) {
		CLEANUP(mem_freep) char *text = big(c);

		(void)add_item(w, text, 10);
	}
	for (;; n++) {
		int left = n;

		o.owner = &left;
		if (store_backup(&o, &m, &err) == 0)
			break;
		CHECK_INT(err.code, ERR_BUSY);
		CHECK_INT(store_files_is_empty(parent, &err), 1);
		REQUIRE(n < 100);
	}
	CHECK(n >= 5);
	store_manifest_deinit(&m);
	store_files_remove(parent);
	world_free(&w);
}

/* The sweep leaves alone what a backup may be about to copy. */
static void test_sweep_is_held_back(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *text = big('a');
	CLEANUP(mem_freep) char *path = NULL;
	struct store_body_file file;
	struct err err = ERR_INIT;
	struct op op = {.kind = OP_DELETE, .id = add_item(w, text, 10)};
	size_t count = 0;
	struct stat st;
	int fd = -1;

	REQUIRE_OK(store_body_files(w->store, "", &file, 1, &count, &err), &err);
	REQUIRE(count == 1);
	path = store_body_file_path(w->dir, file.name);
	REQUIRE_OK(do_op(w, &op, &err), &err);
	clock_fake_set((clock_now_at() + 2 * STORE_BODY_GRACE_S) * 1000, 0);
	REQUIRE_OK(store_bodies_hold(w->dir, &fd, &err), &err);
	CHECK_INT(store_sweep(w->store, 0, 1000, &err), 0);
	CHECK_INT(stat(path, &st), 0);
	fd_close(&fd);
	CHECK_INT(store_sweep(w->store, 0, 1000, &err), 0);
	CHECK(stat(path, &st) < 0);
	clock_fake_off();
	world_free(&w);
}

static void test_lock(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	struct store_manifest m;
	struct err err = ERR_INIT;
	int fd = -1, other = -1;

	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	REQUIRE_OK(store_lock(w->dir, &fd, &err), &err);
	CHECK(store_lock(w->dir, &other, &err) < 0);
	CHECK_INT(err.code, ERR_BUSY);
	CHECK(restore(w, dir, 0, &err) < 0);
	CHECK_INT(err.code, ERR_BUSY);
	fd_close(&fd);
	store_files_remove(dir);
	world_free(&w);
}

static int spoil(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_run_id(tx, "UPDATE owners SET used_bytes = used_bytes + $1", 7, err);
}

static int raise_counter(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_run_id(tx, "UPDATE folders SET last_item = $1", (uint64_t)INT64_MAX - 5, err);
}

static void test_repair(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t changed = 0;

	(void)add_item(w, "x", 10);
	CHECK_INT(check(w), 0);
	REQUIRE_OK(transact(w, spoil, &err), &err);
	CHECK_INT(check(w), 2);
	REQUIRE_OK(store_check_repair(w->store, "test", &changed, &err), &err);
	CHECK_INT(changed, 2);
	CHECK_INT(check(w), 0);
	world_free(&w);
}

struct orphan {
	uint64_t owner, device, folder;
};

static int add_orphan(struct store_tx *tx, void *owner, struct err *err)
{
	const struct orphan *o = owner;
	struct sync_state_row row = {.key = 5, .blob = (const uint8_t *)"x", .blob_len = 1};
	struct sync_chunk_row chunk = {.id = 6, .bytes = (const uint8_t *)"y", .len = 1};

	return store_sync_state_save(tx, (struct device_id){o->device}, (struct owner_id){o->owner},
		(struct folder_id){o->folder}, &row, 1, &chunk, 1, err);
}

static int delete_bob(struct store_tx *tx, struct world *w, struct err *err)
{
	return store_user_delete(tx, w->bob, err);
}

static int forget_phone(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_run_id(tx, "DELETE FROM devices WHERE id = $1", phone.id.v, err);
}

/* What is known of phones, of nothing that is there: two findings and two rows each. */
static void test_orphans(void)
{
	struct world *w = world_new();
	struct err err = ERR_INIT;
	uint64_t changed = 0;
	struct orphan orphans[5];

	new_phone(w);
	orphans[2] = (struct orphan){w->anna.v, phone.id.v, w->inbox.v};
	REQUIRE_OK(store_transact(w->store, add_orphan, &orphans[2], &err), &err);
	REQUIRE_OK(transact(w, forget_phone, &err), &err);
	/* Nothing is kept of a phone that was forgotten while it was served. */
	CHECK(store_transact(w->store, add_orphan, &orphans[2], &err) < 0);
	CHECK_INT(err.code, ERR_NOT_FOUND);
	new_phone(w);
	REQUIRE_OK(transact(w, delete_bob, &err), &err);
	orphans[0] = (struct orphan){w->anna.v, phone.id.v, w->inbox.v}; /* this one has all */
	orphans[1] = (struct orphan){w->anna.v, phone.id.v, 0};          /* and this */
	orphans[2] = (struct orphan){w->anna.v, phone.id.v, 4711};
	orphans[3] = (struct orphan){w->bob.v, phone.id.v, 0};
	orphans[4] = (struct orphan){4711, phone.id.v, 0};
	for (size_t i = 0; i < ARRAY_LEN(orphans); i++)
		REQUIRE_OK(store_transact(w->store, add_orphan, &orphans[i], &err), &err);
	CHECK_INT(check(w), 8);
	REQUIRE_OK(store_check_repair(w->store, "test", &changed, &err), &err);
	CHECK_INT(changed, 8);
	CHECK_INT(check(w), 0);
	REQUIRE_OK(store_check_repair(w->store, "test", &changed, &err), &err);
	CHECK_INT(changed, 0);
	world_free(&w);
}

/* Nobody restores into an overflow. */
static void test_ids_run_out(void)
{
	struct world *w = world_new();
	CLEANUP(mem_freep) char *dir = x_printf("%s.backup", w->dir);
	struct store_manifest m;
	struct err err = ERR_INIT;

	REQUIRE_OK(transact(w, raise_counter, &err), &err);
	REQUIRE_OK(back_up(w, dir, &m, &err), &err);
	store_close(&w->store);
	CHECK(restore(w, dir, 0, &err) < 0);
	CHECK(strstr(err.text, "too high") != NULL);
	world_open_store(w);
	store_files_remove(dir);
	world_free(&w);
}

TEST_MAIN(TEST(test_there_and_back), TEST(test_queued_mail_is_held),
	TEST(test_ids_are_ahead_of_the_clock), TEST(test_expiry_after_a_restore),
	TEST(test_ended_early), TEST(test_sweep_is_held_back), TEST(test_lock), TEST(test_repair),
	TEST(test_orphans), TEST(test_ids_run_out))
