/*
 * Putting a backup in the place of the data folder.
 *
 * The new store is built in a folder of its own, beside the old one (DATA.restore-<random>) or in
 * it: files copied, the schema brought up to date, keys renewed and ids skipped, everything synced.
 * Then it takes the place of the old one (store_place.c), which is kept under another name. The
 * lock of the server is held on both.
 *
 * Why ids skip: after the backup the server gave out more of them, to mail that the phones have and
 * the backup has not. Given out again, an old id would name something new, and whoever still knows
 * the old meaning (a phone's search result, a draft of a reply) would act on the wrong item. So
 * every counter moves on by 2^32, which no server reaches between two backups. And because one
 * backup may be restored twice, with ids given out in between that nobody can know any more, they
 * move on at least to a number made of the clock, which is ahead of them as long as less than a
 * million ids a second are given out.
 *
 * Threads: the caller's. Limits: SKIP a restore, below 2^62 in all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_backup.h"
#include "store/store_files.h"
#include "store/store_internal.h"
#include "store/store_manifest.h"
#include "store/store_place.h"
#include "store/store_queue.h"
#include "store/store_wipe.h"

#define SKIP            UINT64_C(0x100000000)
#define COUNTER_MAX     ((uint64_t)1 << 62)
#define IDS_PER_MS_BITS 10
#define YEAR_2026_MS    INT64_C(1767225600000)
/* Beside the files themselves: folders, the log of the renewal. */
#define ROOM_EXTRA ((uint64_t)32 << 20)
#define LOCK_FILE  "bellhopd.lock"

/* ---- the lock of the server ---- */

/* A file that root makes must not keep the server out of its own folder. */
static int give_lock(int fd, const char *data_dir, const char *path, struct err *err)
{
	struct stat st;

	if (geteuid() != 0 || stat(data_dir, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) == 0)
		return 0;
	return err_set_errno(err, errno, "giving %s to the owner of its folder", path);
}

int store_lock(const char *data_dir, int *ret_fd, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/" LOCK_FILE, data_dir);
	CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	if (give_lock(fd, data_dir, path, err) < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, ERR_BUSY,
					 "the server is running on %s: stop it first", data_dir)
			       : err_set_errno(err, errno, "locking %s", path);
	*ret_fd = fd;
	fd = -1; /* NOLINT: for fd_close() */
	return 0;
}

/* ---- keys and ids ---- */

struct renewal {
	const struct store_restore_options *options;
	const struct store_manifest *manifest;
};

static int check_counters(struct store_tx *tx, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t highest = 0;

	if (store_prepare_tx(tx,
		    "SELECT MAX(n) FROM (SELECT MAX(last_item) AS n FROM folders"
		    " UNION ALL SELECT MAX(last_folder) FROM owners"
		    " UNION ALL SELECT MAX(last_body) FROM owners"
		    " UNION ALL SELECT MAX(seq) FROM owners"
		    " UNION ALL SELECT MAX(value) FROM counters) AS all_of_them",
		    &st, err) < 0 ||
		store_run_u64(st, &highest, err) < 0)
		return -1;
	return highest < COUNTER_MAX
		       ? 0
		       : err_set(err, ERR_BACKEND,
				 "an id of the backup is too high (%" PRIu64 "): damaged", highest);
}

/* sql raises counters to $1 more than they are, and at least to $2. */
static int move_on(struct store_tx *tx, const char *sql, uint64_t at_least, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, SKIP);
	db_bind_u64(st, 2, at_least);
	return store_run(st, err);
}

#define RAISED(counter)                                                                            \
	counter " = CASE WHEN " counter " + $1 > $2 THEN " counter " + $1 ELSE $2 END"

static int skip_ids(struct store_tx *tx, int64_t now_ms, struct err *err)
{
	uint64_t at_least = 0;

	if (now_ms > YEAR_2026_MS && now_ms < YEAR_2026_MS + ((int64_t)1 << 51))
		at_least = (uint64_t)(now_ms - YEAR_2026_MS) << IDS_PER_MS_BITS;
	if (check_counters(tx, err) < 0 ||
		move_on(tx, "UPDATE folders SET " RAISED("last_item"), at_least, err) < 0 ||
		move_on(tx,
			"UPDATE owners SET " RAISED("last_folder") ", " RAISED(
				"last_body") ", seq = seq + $1",
			at_least, err) < 0)
		return -1;
	/* One of them is a time (store_expire.c). */
	return move_on(tx, "UPDATE counters SET " RAISED("value") " WHERE name <> 'expiry_since'",
		at_least, err);
}

/* Policy keys stay: a phone that got another one after the backup is refused with it, and
 * provisions. */
static int forget_keys(struct store_tx *tx, struct err *err)
{
	/* Queued mail may have been sent since the backup: the administrator decides. */
	if (store_queue_hold(tx, err) < 0 ||
		store_run_id(tx, "DELETE FROM sync_states WHERE owner >= $1", 0, err) < 0 ||
		store_run_id(tx, "DELETE FROM sync_chunks WHERE owner >= $1", 0, err) < 0 ||
		/* Who signed out since the backup stays out. */
		store_run_id(tx, "DELETE FROM web_sessions WHERE owner >= $1", 0, err) < 0 ||
		store_run_id(tx, "UPDATE users SET epoch = epoch + 1 WHERE owner >= $1", 0, err) <
			0)
		return -1;
	return store_run_id(tx,
		"UPDATE devices SET ping_heartbeat_s = 0, ping_folders = NULL, sync_request = NULL,"
		" epoch = epoch + 1 WHERE owner >= $1",
		0, err);
}

static int renew(struct store_tx *tx, void *owner, struct err *err)
{
	const struct renewal *r = owner;
	struct log_row row = {.at = r->options->now_ms / 1000,
		.actor = r->options->actor,
		.user = "",
		.address = "",
		.device_id = "",
		.device_type = "",
		.action = "restore"};
	time_t made_at = (time_t)r->manifest->created_at;
	char result[128] = "ok";
	uint64_t suspended = 0;
	size_t len;
	struct tm tm;

	if (gmtime_r(&made_at, &tm) != NULL)
		(void)strftime(result, sizeof(result), "ok, a backup of %Y-%m-%dT%H:%M:%SZ", &tm);
	if (skip_ids(tx, r->options->now_ms, err) < 0 || forget_keys(tx, err) < 0 ||
		store_wipe_suspend_all(tx, row.actor, row.at, &suspended, err) < 0)
		return -1;
	len = strlen(result);
	if (suspended > 0)
		(void)snprintf(result + len, sizeof(result) - len,
			"; %" PRIu64 " pending wipes suspended, their phones blocked", suspended);
	row.result = result;
	return store_log_add(tx, &row, err);
}

static int renew_all(const char *dir, const struct store_restore_options *o,
	const struct store_manifest *m, struct err *err)
{
	const struct store_options options = {.data_dir = dir,
		.readers_max = 1,
		.group_max = 1,
		.body_inline_max = 0,
		.cache_kib = 8192};
	CLEANUP(store_close) struct store *store = NULL;
	struct renewal r = {o, m};

	if (store_open(&options, &store, err) < 0)
		return -1;
	return store_transact(store, renew, &r, err);
}

/* ---- the files ---- */

static int check_room(const char *parent, const struct store_manifest *m, struct err *err)
{
	uint64_t needed = m->database_bytes + m->body_files_bytes, room;
	struct statvfs fs;

	needed += needed / 20 + ROOM_EXTRA;
	if (statvfs(parent, &fs) < 0)
		return err_set_errno(err, errno, "looking for room in %s", parent);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room >= needed)
		return 0;
	return err_set(err, ERR_QUOTA,
		"%s has room for %" PRIu64 " MB, the restored data needs %" PRIu64
		" MB beside what is there",
		parent, room >> 20, needed >> 20);
}

static int copy_folder(
	const char *from, const char *to, const struct store_restore_options *o, struct err *err)
{
	CLEANUP(mem_freep) char *made = x_strdup(to);
	struct dirent *entry;
	DIR *dir = opendir(from);
	int rc = 0;

	if (dir == NULL)
		return err_set_errno(err, errno, "opening folder %s", from);
	rc = store_files_make_folder(made, err);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *source = x_printf("%s/%s", from, entry->d_name);
		CLEANUP(mem_freep) char *target = x_printf("%s/%s", to, entry->d_name);
		struct stat st;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		if (o->go_on != NULL && !o->go_on(o->owner))
			rc = err_set(err, ERR_BUSY, "ended early; nothing was done");
		else if (lstat(source, &st) < 0)
			rc = err_set_errno(err, errno, "looking at %s", source);
		else if (S_ISDIR(st.st_mode))
			rc = copy_folder(source, target, o, err);
		else
			rc = store_files_copy(source, target, NULL, NULL, err);
	}
	(void)closedir(dir);
	return rc;
}

static bool is_ours(const char *name)
{
	return name[0] == '.' || str_starts(name, "bellhop.db") || str_eq(name, LOCK_FILE) ||
	       str_eq(name, "bodies");
}

/* The self-signed certificate, and whatever else somebody keeps there. Nobody restores who has
 * nothing broken: what cannot be read stays behind. */
static void carry(const char *data_dir, const char *stage, struct store_restored *r)
{
	struct dirent *entry;
	DIR *dir = opendir(data_dir);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *from = x_printf("%s/%s", data_dir, entry->d_name);
		CLEANUP(mem_freep) char *to = x_printf("%s/%s", stage, entry->d_name);
		struct err ignored = ERR_INIT;

		if (is_ours(entry->d_name) || store_files_copy(from, to, NULL, NULL, &ignored) < 0)
			continue;
		r->carried = x_realloc(r->carried, (r->carried_count + 1) * sizeof(*r->carried));
		r->carried[r->carried_count++] = x_strdup(entry->d_name);
	}
	if (dir != NULL)
		(void)closedir(dir);
}

/* The new store, complete. */
static int build(const struct store_restore_options *o, const struct store_manifest *m,
	const char *stage, struct err *err)
{
	CLEANUP(mem_freep) char *db = x_printf("%s/bellhop.db", o->dir);
	CLEANUP(mem_freep) char *bodies = x_printf("%s/bodies", o->dir);
	CLEANUP(mem_freep) char *new_db = x_printf("%s/bellhop.db", stage);
	CLEANUP(mem_freep) char *new_bodies = x_printf("%s/bodies", stage);
	char hash[STORE_HASH_HEX];

	if (store_files_make_folder(stage, err) < 0 ||
		store_files_copy(db, new_db, hash, NULL, err) < 0)
		return -1;
	if (!str_eq(hash, m->database_sha256))
		return err_set(err, ERR_BACKEND, "the backup is damaged: bellhop.db changed");
	if (copy_folder(bodies, new_bodies, o, err) < 0)
		return -1;
	return renew_all(stage, o, m, err);
}

/* The owner of the folder that is replaced, or else the server's. */
static int give(const struct store_restore_options *o, const char *data_dir, const char *stage,
	struct err *err)
{
	uid_t uid = o->uid;
	gid_t gid = o->gid;
	bool known = o->have_owner;
	struct stat st;

	if (stat(data_dir, &st) == 0) {
		uid = st.st_uid;
		gid = st.st_gid;
		known = true;
	}
	return known && geteuid() == 0 ? store_files_give(stage, uid, gid, err) : 0;
}

static int place(const struct store_restore_options *o, bool inside, const char *stage,
	const char *data_dir, struct store_restored *r, struct err *err)
{
	int64_t now_at = o->now_ms / 1000;

	return inside ? store_place_inside(stage, data_dir, now_at, &r->put_aside, err)
		      : store_place_beside(stage, data_dir, now_at, &r->put_aside, err);
}

static int restore_at(const struct store_restore_options *o, const char *data_dir, bool inside,
	struct store_manifest *m, struct store_restored *r, struct err *err)
{
	CLEANUP(mem_freep) char *parent = store_files_parent(data_dir);
	CLEANUP(mem_freep)
	char *stage = x_printf(
		inside ? "%s/.restore-%08x" : "%s.restore-%08x", data_dir, (unsigned)random_u64());
	CLEANUP(fd_close) int lock_fd = -1;

	if (store_backup_verify(o->dir, o->go_on, o->owner, m, err) < 0 ||
		check_room(inside ? data_dir : parent, m, err) < 0)
		return -1;
	if (build(o, m, stage, err) == 0) {
		if (!inside)
			carry(data_dir, stage, r);
		/* A folder that becomes the data folder is locked before anybody can find it. */
		if ((inside || store_lock(stage, &lock_fd, err) == 0) &&
			give(o, data_dir, stage, err) == 0 &&
			store_files_sync_all(stage, err) == 0 &&
			place(o, inside, stage, data_dir, r, err) == 0)
			return 0;
	}
	store_files_remove(stage);
	return -1;
}

int store_restore(const struct store_restore_options *o, struct store_manifest *ret,
	struct store_restored *ret_restored, struct err *err)
{
	struct store_manifest m = {.damaged = NULL};
	struct store_restored r = {.put_aside = NULL};
	/* A symbolic link stays; what it points to is replaced. */
	char *real = realpath(o->data_dir, NULL);
	CLEANUP(mem_freep) char *data_dir = real != NULL ? real : x_strdup(o->data_dir);
	CLEANUP(fd_close) int lock_fd = -1;
	bool exchangeable = false, is_there = access(data_dir, F_OK) == 0;
	int rc;

	while (strlen(data_dir) > 1 && str_ends(data_dir, "/"))
		data_dir[strlen(data_dir) - 1] = '\0';
	if (store_place_can_exchange(data_dir, &exchangeable, err) < 0 ||
		(is_there && store_lock(data_dir, &lock_fd, err) < 0))
		return -1;
	rc = restore_at(o, data_dir, (o->inside && is_there) || !exchangeable, &m, &r, err);
	if (rc < 0) {
		store_manifest_deinit(&m);
		store_restored_deinit(&r);
		return -1;
	}
	*ret = m;
	*ret_restored = r;
	return 0;
}

void store_restored_deinit(struct store_restored *r)
{
	for (size_t i = 0; i < r->carried_count; i++)
		mem_free(r->carried[i]);
	mem_free(r->carried);
	mem_free(r->put_aside);
	*r = (struct store_restored){.put_aside = NULL};
}
