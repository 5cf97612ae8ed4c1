/*
 * Exchanging two stores.
 *
 * Beside: one rename exchanges the two folders.
 *
 * Inside, where the data folder must stay what it is (a mount point, a folder of somebody else's),
 * two renames are needed, of the body files' folder and of the database. So the new body files are
 * first joined by links to all old ones: then that folder serves either database, and it does not
 * matter when the power fails. What no row names is swept later. The old database gets a second
 * name before its first is taken over; its log is brought in before that, because SQLite would take
 * it for the new one's.
 *
 * Threads: the caller's, who holds the lock of the server.
 */
#include "store/store_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "db/db.h"
#include "store/store_files.h"

int store_place_can_exchange(const char *data_dir, bool *ret, struct err *err)
{
	CLEANUP(mem_freep) char *parent = store_files_parent(data_dir);
	bool writable = access(parent, W_OK) == 0;
	struct stat own, above;

	if (stat(data_dir, &own) < 0) {
		if (errno != ENOENT)
			return err_set_errno(err, errno, "%s", data_dir);
		if (!writable)
			return err_set_errno(err, EACCES, "making %s", data_dir);
		*ret = true;
		return 0;
	}
	if (stat(parent, &above) < 0)
		return err_set_errno(err, errno, "%s", parent);
	*ret = writable && own.st_dev == above.st_dev;
	return 0;
}

/* A name that is not taken. */
static char *aside_name(const char *prefix, int64_t now_at)
{
	time_t t = (time_t)now_at;
	char when[32] = "";
	char *name, *other;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	name = x_printf("%sbefore-restore-%s", prefix, when);
	if (access(name, F_OK) < 0)
		return name;
	other = x_printf("%s-%08x", name, (unsigned)random_u64());
	mem_free(name);
	return other;
}

static int exchange(const char *a, const char *b, struct err *err)
{
	if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
		return err_set_errno(err, errno, "exchanging %s and %s", a, b);
	return 0;
}

static int move(const char *from, const char *to, struct err *err)
{
	return rename(from, to) < 0 ? err_set_errno(err, errno, "renaming %s to %s", from, to) : 0;
}

int store_place_beside(
	const char *stage, const char *data_dir, int64_t now_at, char **ret_aside, struct err *err)
{
	CLEANUP(mem_freep) char *parent = store_files_parent(data_dir);
	CLEANUP(mem_freep) char *prefix = x_printf("%s.", data_dir);
	struct err ignored = ERR_INIT;
	char *aside;

	if (access(data_dir, F_OK) < 0) {
		if (move(stage, data_dir, err) < 0)
			return -1;
		*ret_aside = NULL;
	} else {
		if (exchange(stage, data_dir, err) < 0)
			return -1;
		/* It is done; under which name the old data lies is not worth undoing it. */
		aside = aside_name(prefix, now_at);
		if (rename(stage, aside) < 0) {
			mem_free(aside);
			aside = x_strdup(stage);
		}
		*ret_aside = aside;
	}
	/* Neither is a sync which says no, after everything else was synced. */
	(void)!store_files_sync_folder(parent, &ignored);
	return 0;
}

/* ---- inside ---- */

static int link_folder(const char *from, const char *to, struct err *err)
{
	struct dirent *entry;
	DIR *dir = opendir(from);
	int rc = 0;

	if (dir == NULL)
		return errno == ENOTDIR ? 0 : err_set_errno(err, errno, "opening folder %s", from);
	if (mkdir(to, 0700) < 0 && errno != EEXIST)
		rc = err_set_errno(err, errno, "creating folder %s", to);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *old = x_printf("%s/%s", from, entry->d_name);
		CLEANUP(mem_freep) char *new = x_printf("%s/%s", to, entry->d_name);

		if (entry->d_name[0] != '.' && link(old, new) < 0 && errno != EEXIST)
			rc = err_set_errno(err, errno, "linking %s to %s", new, old);
	}
	(void)closedir(dir);
	return rc;
}

/* The new bodies' folder serves the old database, too. */
static int link_old_bodies(const char *old, const char *new, struct err *err)
{
	struct dirent *entry;
	DIR *dir = opendir(old);
	int rc = 0;

	if (dir == NULL)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening folder %s", old);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *from = x_printf("%s/%s", old, entry->d_name);
		CLEANUP(mem_freep) char *to = x_printf("%s/%s", new, entry->d_name);

		if (entry->d_name[0] != '.' && !str_eq(entry->d_name, "incoming"))
			rc = link_folder(from, to, err);
	}
	(void)closedir(dir);
	return rc;
}

/* Brings the log into the database. One that cannot be opened is as it is: that may be why somebody
 * restores. */
static void settle(const char *db_path)
{
	const struct db_options options = {
		.path = db_path, .readers_max = 1, .group_max = 1, .cache_kib = 2048};
	struct err ignored = ERR_INIT;
	struct db *db = NULL;

	if (access(db_path, F_OK) == 0 && db_open(&options, &db, &ignored) == 0)
		db_close(&db);
}

/* A log that is still there would be taken for that of the new database. */
static int move_log(const char *data_dir, const char *aside, struct err *err)
{
	static const char *const names[] = {"bellhop.db-wal", "bellhop.db-shm"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_freep) char *from = x_printf("%s/%s", data_dir, names[i]);
		CLEANUP(mem_freep) char *to = x_printf("%s/%s", aside, names[i]);

		if (access(from, F_OK) == 0 && move(from, to, err) < 0)
			return -1;
	}
	return 0;
}

struct inside {
	const char *stage, *data_dir, *aside;
	char *old_db, *new_db, *kept_db;
	char *old_bodies, *new_bodies, *kept_bodies;
};

static void inside_init(
	struct inside *i, const char *stage, const char *data_dir, const char *aside)
{
	*i = (struct inside){stage, data_dir, aside, x_printf("%s/bellhop.db", data_dir),
		x_printf("%s/bellhop.db", stage), x_printf("%s/bellhop.db", aside),
		x_printf("%s/bodies", data_dir), x_printf("%s/bodies", stage),
		x_printf("%s/bodies", aside)};
}

static void inside_deinit(struct inside *i)
{
	mem_free(i->old_db);
	mem_free(i->new_db);
	mem_free(i->kept_db);
	mem_free(i->old_bodies);
	mem_free(i->new_bodies);
	mem_free(i->kept_bodies);
}

/* Nothing of the old store is touched yet. */
static int prepare(const struct inside *i, struct err *err)
{
	struct stat st;

	settle(i->old_db);
	if (link_old_bodies(i->old_bodies, i->new_bodies, err) < 0 ||
		store_files_make_folder(i->aside, err) < 0)
		return -1;
	if (geteuid() == 0 && stat(i->data_dir, &st) == 0 &&
		lchown(i->aside, st.st_uid, st.st_gid) < 0)
		return err_set_errno(err, errno, "changing the owner of %s", i->aside);
	if (link(i->old_db, i->kept_db) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "linking %s to %s", i->kept_db, i->old_db);
	return store_files_sync_all(i->data_dir, err);
}

static int take_over(const struct inside *i, struct err *err)
{
	if (access(i->old_bodies, F_OK) == 0) {
		if (exchange(i->new_bodies, i->old_bodies, err) < 0)
			return -1;
	} else if (move(i->new_bodies, i->old_bodies, err) < 0) {
		return -1;
	}
	if (store_files_sync_folder(i->data_dir, err) < 0 ||
		move_log(i->data_dir, i->aside, err) < 0 ||
		store_files_sync_folder(i->data_dir, err) < 0)
		return -1;
	return move(i->new_db, i->old_db, err);
}

int store_place_inside(
	const char *stage, const char *data_dir, int64_t now_at, char **ret_aside, struct err *err)
{
	CLEANUP(mem_freep) char *prefix = x_printf("%s/", data_dir);
	CLEANUP(mem_freep) char *aside = aside_name(prefix, now_at);
	CLEANUP(inside_deinit) struct inside i;
	struct err ignored = ERR_INIT;

	inside_init(&i, stage, data_dir, aside);
	if (prepare(&i, err) < 0) {
		store_files_remove(aside);
		return -1;
	}
	if (take_over(&i, err) < 0)
		return -1;
	(void)rename(i.new_bodies, i.kept_bodies);
	store_files_remove(stage);
	(void)!store_files_sync_folder(data_dir, &ignored);
	*ret_aside = TAKE(aside);
	return 0;
}
