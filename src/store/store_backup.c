/*
 * Making and verifying backups.
 *
 * Order makes a copy of two things, database and body files, consistent: the sweep is held back
 * first; then the database is copied, one snapshot; then the files that the copy names. A file is
 * written before the transaction that names it and never changed, so each of them is there, and
 * whatever comes meanwhile is not named by the copy. Everything goes to DIR.partial-<random>, is
 * synced, read back, and only then renamed to DIR. manifest.json is the last file.
 *
 * Works on the data folder itself, from any process, with or without a server; a reader among
 * others. Threads: the caller's.
 */
#include "store/store_backup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_files.h"
#include "store/store_internal.h"
#include "store/store_manifest.h"

#define BATCH_FILES 512
#define CACHE_KIB   8192

/* For reading, beside whoever else has it open. */
static int open_quietly(const char *data_dir, struct store **ret, struct err *err)
{
	const struct store_options options = {.data_dir = data_dir,
		.readers_max = 2,
		.group_max = 1,
		.cache_kib = CACHE_KIB,
		.read_only = true};

	return store_open(&options, ret, err);
}

static int stopped(struct err *err)
{
	return err_set(err, ERR_BUSY, "ended early; nothing was done");
}

/* ---- what is in a database ---- */

static int count_rows(struct store_read *rd, const char *sql, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, sql, &st, err) < 0)
		return -1;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

static int count_all(struct store *store, struct store_manifest *m, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;

	m->schema = store_schema_version(store);
	if (store_read_begin(store, &rd, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM users", &m->users, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM devices", &m->devices, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM folders", &m->folders, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM items", &m->items, err) < 0)
		return -1;
	return count_rows(rd, "SELECT COUNT(*) FROM bodies", &m->bodies, err);
}

static void on_damage(const char *text, void *owner)
{
	struct err *first = owner;

	if (first->code == ERR_NONE)
		(void)err_set(
			first, ERR_BACKEND, "the database of the backup is damaged: %s", text);
}

static int check_database(struct store *store, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err damage = ERR_INIT;

	if (store_read_begin(store, &rd, err) < 0 ||
		db_check(rd->conn, true, on_damage, &damage, err) < 0)
		return -1;
	if (damage.code == ERR_NONE)
		return 0;
	*err = damage;
	return -1;
}

/* ---- body files ---- */

/* One file: 0, or -1. */
typedef int (*file_fn)(const struct store_body_file *file, void *owner, struct err *err);

static int each_file(struct store *store, file_fn fn, void *fn_owner, bool (*go_on)(void *owner),
	void *owner, struct err *err)
{
	CLEANUP(mem_freep) struct store_body_file *files = x_calloc(BATCH_FILES, sizeof(*files));
	char after[sizeof(files->name)] = "";
	size_t count;

	do {
		if (store_body_files(store, after, files, BATCH_FILES, &count, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			if (go_on != NULL && !go_on(owner))
				return stopped(err);
			if (fn(&files[i], fn_owner, err) < 0)
				return -1;
		}
		if (count > 0)
			(void)snprintf(after, sizeof(after), "%s", files[count - 1].name);
	} while (count == BATCH_FILES);
	return 0;
}

struct files {
	const char *from, *to; /* folders of the store and of the backup */
	bool damaged_ok;
	struct store_manifest *manifest;
};

static int is_whole(const struct store_body_file *file, const char *path, const char *hash,
	uint64_t bytes, struct err *err)
{
	if (bytes == file->bytes && str_eq(hash, file->name))
		return 0;
	return err_set(err, ERR_BACKEND, "body file %s is damaged", path);
}

static int copy_file(const struct store_body_file *file, void *owner, struct err *err)
{
	struct files *f = owner;
	CLEANUP(mem_freep) char *from = store_body_file_path(f->from, file->name);
	CLEANUP(mem_freep) char *to = store_body_file_path(f->to, file->name);
	CLEANUP(mem_freep) char *folder = store_files_parent(to);
	struct err trouble = ERR_INIT;
	char hash[STORE_HASH_HEX];
	uint64_t bytes;
	int rc;

	if (store_files_make_folder(folder, err) < 0 && err->code != ERR_CONFLICT)
		return -1;
	rc = store_files_copy(from, to, hash, &bytes, &trouble);
	if (rc == 0) {
		rc = is_whole(file, from, hash, bytes, &trouble);
		if (rc < 0)
			(void)unlink(to);
	}
	if (rc < 0) {
		if (!f->damaged_ok || trouble.code == ERR_QUOTA) {
			*err = trouble;
			return -1;
		}
		store_manifest_add_damaged(f->manifest, file->name);
		return 0;
	}
	f->manifest->body_files++;
	f->manifest->body_files_bytes += bytes;
	return 0;
}

/* ---- making one ---- */

static int copy_database(
	struct store *store, const struct store_backup_options *o, const char *to, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.db", to);

	/* SQLite would make it with the mode of the process. */
	if (store_files_write(path, "", 0, err) < 0 || store_read_begin(store, &rd, err) < 0)
		return -1;
	return db_copy(rd->conn, path, o->go_on, o->owner, err);
}

static int copy_files(const struct store_backup_options *o, const char *to,
	struct store_manifest *m, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.db", to);
	CLEANUP(mem_freep) char *bodies = x_printf("%s/bodies", to);
	CLEANUP(store_close) struct store *copy = NULL;
	struct files f = {o->data_dir, to, o->damaged_ok, m};

	if (store_files_make_folder(bodies, err) < 0 || open_quietly(to, &copy, err) < 0 ||
		each_file(copy, copy_file, &f, o->go_on, o->owner, err) < 0 ||
		count_all(copy, m, err) < 0)
		return -1;
	return store_files_hash(path, m->database_sha256, &m->database_bytes, err);
}

/* Into a folder that nobody takes for a backup. */
static int fill(const struct store_backup_options *o, const char *partial, struct store_manifest *m,
	struct err *err)
{
	CLEANUP(fd_close) int hold_fd = -1;
	CLEANUP(store_close) struct store *store = NULL;
	struct store_manifest again = {.damaged = NULL};

	(void)snprintf(m->program, sizeof(m->program), "%s", BELLHOP_VERSION);
	m->created_at = o->now_at;
	if (open_quietly(o->data_dir, &store, err) < 0 ||
		store_bodies_hold(o->data_dir, &hold_fd, err) < 0 ||
		copy_database(store, o, partial, err) < 0 || copy_files(o, partial, m, err) < 0 ||
		store_manifest_save(m, partial, err) < 0 || store_files_sync_all(partial, err) < 0)
		return -1;
	if (store_backup_verify(partial, o->go_on, o->owner, &again, err) < 0)
		return err_wrap(err, "reading the backup back");
	store_manifest_deinit(&again);
	return 0;
}

static int put_in_place(const char *partial, const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *parent = store_files_parent(dir);

	/* Takes the place of an empty folder, and of nothing else. */
	if (rename(partial, dir) < 0) {
		(void)err_set_errno(err, errno, "renaming %s to %s", partial, dir);
		if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
			err->code = ERR_CONFLICT;
		return -1;
	}
	return store_files_sync_folder(parent, err);
}

int store_backup(const struct store_backup_options *o, struct store_manifest *ret, struct err *err)
{
	CLEANUP(mem_freep) char *dir = x_strdup(o->dir);
	CLEANUP(mem_freep) char *partial = NULL;
	struct store_manifest m = {.damaged = NULL};

	while (strlen(dir) > 1 && str_ends(dir, "/"))
		dir[strlen(dir) - 1] = '\0';
	partial = x_printf("%s.partial-%08x", dir, (unsigned)random_u64());
	if (store_files_is_empty(dir, err) < 0 || store_files_make_folder(partial, err) < 0)
		return -1;
	if (fill(o, partial, &m, err) < 0 || put_in_place(partial, dir, err) < 0) {
		store_files_remove(partial);
		store_manifest_deinit(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

/* ---- verifying ---- */

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_BACKEND, "the backup is damaged: %s", what);
}

static int verify_file(const struct store_body_file *file, void *owner, struct err *err)
{
	struct files *f = owner;
	CLEANUP(mem_freep) char *path = store_body_file_path(f->from, file->name);
	char hash[STORE_HASH_HEX];
	uint64_t bytes;

	if (store_manifest_is_damaged(f->manifest, file->name))
		return 0;
	if (store_files_hash(path, hash, &bytes, err) < 0 ||
		is_whole(file, path, hash, bytes, err) < 0)
		return err_wrap(err, "the backup is damaged");
	return 0;
}

static int verify_database(const char *dir, const struct store_manifest *m, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/bellhop.db", dir);
	char hash[STORE_HASH_HEX];
	uint64_t bytes;

	if (m->schema > store_schema_newest())
		return err_set(err, ERR_BACKEND,
			"the backup has schema version %" PRIu64
			", this program knows versions up to %" PRIu64 ": use the newer program",
			m->schema, store_schema_newest());
	if (store_files_hash(path, hash, &bytes, err) < 0)
		return err_wrap(err, "the backup is damaged");
	if (bytes != m->database_bytes || !str_eq(hash, m->database_sha256))
		return damaged(err, "bellhop.db is not what the manifest says");
	return 0;
}

static int verify_content(const char *dir, bool (*go_on)(void *owner), void *owner,
	struct store_manifest *m, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	struct store_manifest counted = {.damaged = NULL};
	struct files f = {.from = dir, .manifest = m};

	if (verify_database(dir, m, err) < 0 || open_quietly(dir, &store, err) < 0 ||
		check_database(store, err) < 0 || count_all(store, &counted, err) < 0)
		return -1;
	if (counted.users != m->users || counted.devices != m->devices ||
		counted.folders != m->folders || counted.items != m->items ||
		counted.bodies != m->bodies || counted.schema != m->schema)
		return damaged(err, "the manifest's numbers are not those of bellhop.db");
	return each_file(store, verify_file, &f, go_on, owner, err);
}

int store_backup_verify(const char *dir, bool (*go_on)(void *owner), void *owner,
	struct store_manifest *ret, struct err *err)
{
	struct store_manifest m = {.damaged = NULL};

	if (store_manifest_load(dir, &m, err) < 0)
		return -1;
	if (verify_content(dir, go_on, owner, &m, err) < 0) {
		store_manifest_deinit(&m);
		return -1;
	}
	*ret = m;
	return 0;
}
