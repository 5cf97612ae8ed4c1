/*
 * What the store keeps of one phone and one folder of 100,000 messages, in the best case and in bad
 * ones, read from the tables themselves; and what an empty Sync costs after 100,000 messages came
 * that the phone's filter hides.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "bench.h"
#include "sync.h"

#define MESSAGES     100000u
#define VISIBLE      10000u
#define EMPTY_SYNCS  5000u
#define DELETE_GROUP 512u
#define WEEK         3u /* FilterType */

static void make_small(unsigned i, struct buf *out)
{
	bench_mail(i, BENCH_PLAIN, "user@bench.example", 600, out);
}

/* ---- the bytes ---- */

static sqlite3_stmt *prepare(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(handle, sql, -1, &st, NULL) != SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(handle));
	return st;
}

/* The bytes of all blobs in this table that belong to a collection of the owner; its hierarchy,
 * which is folder 0, is none. */
static uint64_t table_bytes(sqlite3 *handle, const char *table, struct owner_id owner)
{
	CLEANUP(buf_deinit) struct buf sql = BUF_INIT;
	CLEANUP(mem_freep) char *info = x_printf("PRAGMA table_info(\"%s\")", table);
	sqlite3_stmt *st = prepare(handle, info);
	bool has_folder = false, has_blob = false;
	uint64_t sum = 0;

	buf_add_str(&sql, "SELECT 0");
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 1);
		const char *type = (const char *)sqlite3_column_text(st, 2);

		has_folder = has_folder || strcmp(name, "folder") == 0;
		if (strcmp(type, "BYTEA") == 0) {
			buf_addf(&sql, " + coalesce(sum(length(\"%s\")), 0)", name);
			has_blob = true;
		}
	}
	(void)sqlite3_finalize(st);
	if (!has_folder || !has_blob)
		return 0;
	buf_addf(&sql, " FROM \"%s\" WHERE owner = ?1 AND folder <> 0", table);
	st = prepare(handle, buf_cstr(&sql));
	(void)sqlite3_bind_int64(st, 1, (int64_t)owner.v);
	if (sqlite3_step(st) == SQLITE_ROW)
		sum = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return sum;
}

/* All generations of the only collection that the owner's only phone has. */
static double state_bytes(const struct bench *b, struct owner_id owner)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/data/bellhop.db", b->folder);
	sqlite3 *handle = NULL;
	sqlite3_stmt *st;
	uint64_t sum = 0;

	if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		bench_die("%s: %s", path, sqlite3_errmsg(handle));
	(void)sqlite3_busy_timeout(handle, 5000);
	st = prepare(handle,
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'sync\\_%' "
		"ESCAPE '\\'");
	while (sqlite3_step(st) == SQLITE_ROW)
		sum += table_bytes(handle, (const char *)sqlite3_column_text(st, 0), owner);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(handle);
	if (sum == 0)
		bench_die("nothing is stored of the phone");
	return (double)sum;
}

/* Syncs until nothing is left, and once more, so that the phone has acknowledged all of it; returns
 * the most bytes that were stored on the way. */
static double sync_all(
	const struct bench *b, struct bench_phone *p, struct owner_id owner, unsigned expected)
{
	struct arena *arena = arena_new(0);
	unsigned total = 0;
	double peak = 0;
	bool more = true;

	while (more) {
		arena_clear(arena);
		total += bench_phone_sync(p, arena, &more);
		peak = MAX(peak, state_bytes(b, owner));
	}
	if (total != expected || bench_phone_sync(p, arena, &more) != 0 || more)
		bench_die("a phone got %u changes, not %u", total, expected);
	arena_free(&arena);
	return peak;
}

/* ---- every second one deleted ---- */

struct deletion {
	struct owner_id owner;
	struct folder_id inbox;
	struct item_row *rows;
	size_t first, count;
};

static int delete_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct deletion *d = owner;

	for (size_t i = 0; i < DELETE_GROUP && d->first + 2 * i < d->count; i++) {
		if (store_item_delete(tx, d->owner, d->inbox, d->rows[d->first + 2 * i].id,
			    (struct device_id){0}, err) < 0)
			return -1;
	}
	return 0;
}

static unsigned delete_every_second(struct bench *b, struct owner_id owner)
{
	static const struct item_cursor newest = {INT64_MAX, {UINT64_MAX}};
	struct arena *arena = arena_new(0);
	struct deletion d = {.owner = owner};
	struct store_read *rd = NULL;
	struct folder *inbox = NULL;
	struct err err = ERR_INIT;
	unsigned deleted;

	BENCH_OK(store_read_begin(b->store, &rd, &err), &err);
	BENCH_OK(store_folder_by_type(rd, owner, FOLDER_INBOX, arena, &inbox, &err), &err);
	d.inbox = inbox->id;
	BENCH_OK(store_item_scan(rd, owner, d.inbox, newest, INT64_MIN, MESSAGES, arena, &d.rows,
			 &d.count, &err),
		&err);
	store_read_end(&rd);
	deleted = (unsigned)((d.count + 1) / 2);
	for (; d.first < d.count; d.first += (size_t)2 * DELETE_GROUP)
		BENCH_OK(store_transact(b->store, delete_tx, &d, &err), &err);
	arena_free(&arena);
	return deleted;
}

static double deleted_case(struct bench *b, struct owner_id owner)
{
	struct bench_phone p;
	double peak, end;
	unsigned deleted;

	bench_phone_init(b, &p, 0, "INORDER");
	bench_phone_set_up(&p);
	peak = sync_all(b, &p, owner, MESSAGES);
	bench_figure(b, "state_bytes", state_bytes(b, owner), "bytes", "under 1024",
		"all that is stored of one phone's Inbox of 100000 messages, listed newest first "
		"in "
		"the order of their arrival, when all was acknowledged");
	bench_figure(b, "state_bytes_listing", peak, "bytes", NULL,
		"the same, the most on the way of that listing");
	bench_stop(b);
	deleted = delete_every_second(b, owner);
	bench_start(b);
	bench_phone_reconnect(b, &p);
	p.gone_counts = true;
	peak = sync_all(b, &p, owner, deleted);
	end = state_bytes(b, owner);
	bench_figure(b, "state_bytes_deleted", end, "bytes", NULL,
		"the same after every second message was deleted and the phone had acknowledged "
		"it");
	bench_figure(b, "state_bytes_deleted_peak", peak, "bytes", NULL,
		"the most on the way of those 50000 deletions");
	bench_phone_clear(&p);
	return MAX(end, peak);
}

/* ---- in random order ---- */

/* Each minute once, in an order without any (the multiplier is prime to MESSAGES, the exclusive or
 * breaks up its steps). */
static int64_t random_date(unsigned i)
{
	uint64_t z = (uint64_t)i * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 31)) * 0xbf58476d1ce4e5b9u;
	return 1700000000 + (int64_t)((z >> 20) % (60ULL * MESSAGES));
}

static double random_case(struct bench *b, struct owner_id owner)
{
	struct bench_phone p;
	double peak, end;

	bench_phone_init(b, &p, 1, "RANDOM");
	bench_phone_set_up(&p);
	peak = sync_all(b, &p, owner, MESSAGES);
	end = state_bytes(b, owner);
	bench_figure(b, "state_bytes_random", end, "bytes", NULL,
		"all that is stored of one phone's Inbox of 100000 messages that came in random "
		"order "
		"of "
		"their dates, when all was acknowledged");
	bench_figure(b, "state_bytes_random_peak", peak, "bytes", NULL,
		"the most on the way of that listing");
	bench_phone_clear(&p);
	return MAX(end, peak);
}

void sync_bench_state(int argc, char **argv)
{
	struct owner_id in_order, random;
	double deleted, mixed;
	struct bench b;

	bench_init(&b, "sync", argc, argv);
	in_order = bench_add_user(&b, 0);
	random = bench_add_user(&b, 1);
	bench_fill(&b, in_order, MESSAGES, make_small);
	bench_fill_dated(&b, random, MESSAGES, make_small, random_date);
	bench_start(&b);
	deleted = deleted_case(&b, in_order);
	mixed = random_case(&b, random);
	bench_figure(&b, "state_bytes_worst", MAX(deleted, mixed), "bytes", NULL,
		"the largest of these");
	bench_finish(&b);
}

/* ---- what the phone cannot see ---- */

static int64_t began_at;

static int64_t today(unsigned i)
{
	return began_at - (int64_t)i;
}

/* The engine knows the user, and its threads have been used; the folder's own state is untouched.
 */
static void warm(struct bench *b)
{
	struct bench_phone other;

	bench_phone_init(b, &other, 0, "WARM");
	bench_phone_set_up(&other);
	bench_phone_clear(&other);
}

static double empty_syncs(struct bench *b, struct bench_phone *p, unsigned count)
{
	struct arena *arena = arena_new(0);
	double before_us = bench_server_cpu_us(b);
	bool more;

	for (unsigned i = 0; i < count; i++) {
		arena_clear(arena);
		if (bench_phone_sync(p, arena, &more) != 0 || more)
			bench_die("an empty Sync brought something");
	}
	arena_free(&arena);
	return (bench_server_cpu_us(b) - before_us) / count;
}

void sync_bench_invisible(int argc, char **argv)
{
	struct owner_id owner;
	struct bench_phone p;
	struct bench b;

	bench_init(&b, "sync", argc, argv);
	began_at = (int64_t)time(NULL) - 3600;
	owner = bench_add_user(&b, 0);
	bench_fill_dated(&b, owner, VISIBLE, make_small, today);
	bench_start(&b);
	bench_phone_init(&b, &p, 0, "FILTER");
	p.filter = WEEK;
	bench_phone_set_up(&p);
	if (bench_phone_sync_all(&p) != VISIBLE)
		bench_die("the first listing was not complete");
	bench_stop(&b);
	bench_fill(&b, owner, MESSAGES, make_small);
	bench_start(&b);
	bench_phone_reconnect(&b, &p);
	warm(&b);
	bench_figure(&b, "invisible_first_cpu", empty_syncs(&b, &p, 1), "us", NULL,
		"the first Sync after 100000 messages from before the filter of one week were "
		"imported; "
		"brings nothing; CPU of all processes");
	bench_figure(&b, "empty_sync_cpu_invisible", empty_syncs(&b, &p, EMPTY_SYNCS), "us", "100",
		"each of the 5000 that follow; as empty_sync_cpu, with that filter");
	bench_phone_clear(&p);
	bench_finish(&b);
}
