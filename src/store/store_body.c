/*
 * Raw bodies. Small ones live in the database, in rows of their own in the order of their arrival,
 * so that a listing reads neighbours. A large one is a file named by the hash of its content,
 * bodies/ab/<sha256>; equal bodies share it.
 *
 * A file is written as bodies/incoming/<random>, synced, put in its place and the folder synced
 * before the transaction that names it begins. Files are never changed. The sweep removes one which
 * no row names and which is older than STORE_BODY_GRACE_S; preparing a body whose file is there
 * makes the file young again. Both look and act under bodies_mutex, so no file goes which somebody
 * is about to name.
 *
 * Whoever reads files by a snapshot of the database (a backup, also of another process) holds the
 * folder bodies/ with a shared lock (flock); the sweep passes on while somebody does.
 *
 * Threads: any; never the database's writer for what touches files in preparation.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blocking.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_files.h"
#include "store/store_internal.h"

enum { HASH_BYTES = 32 };

char *store_body_file_path(const char *data_dir, const char *file)
{
	return x_printf("%s/bodies/%.2s/%s", data_dir, file, file);
}

static char *body_path(const struct store *store, const char *file)
{
	return store_body_file_path(store->data_dir, file);
}

/* ---- reading ---- */

static int map_file(struct store_read *rd, const char *file, size_t len, struct store_body *ret,
	struct err *err)
{
	CLEANUP(mem_freep) char *path = body_path(rd->store, file);
	struct stat st;
	void *mapped;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return err_set_errno(err, errno, "opening body %s", path);
	if (fstat(fileno(f), &st) < 0 || (uint64_t)st.st_size != len || len == 0) {
		(void)fclose(f);
		return err_set(err, ERR_BACKEND, "body %s is damaged: it should have %zu bytes",
			path, len);
	}
	mapped = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fileno(f), 0);
	(void)fclose(f);
	if (mapped == MAP_FAILED)
		return err_set_errno(err, errno, "mapping body %s", path);
	*ret = (struct store_body){
		.bytes = mapped, .len = len, .mapped = mapped, .mapped_len = len};
	return 0;
}

static int copy_inline(struct db_stmt *st, int at, struct store_body *ret, struct err *err)
{
	size_t len = 0;
	const void *bytes = db_col_blob(st, at, &len);
	uint8_t *heap = mem_try_alloc(len + 1);

	if (heap == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for a body of %zu bytes", len);
	if (len > 0)
		memcpy(heap, bytes, len);
	*ret = (struct store_body){.bytes = heap, .len = len, .heap = heap};
	return 0;
}

int store_body_load(struct store_read *rd, struct owner_id owner, uint64_t body_id,
	struct store_body *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT body_bytes, file, bytes FROM bodies WHERE owner = $1 AND id = $2", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, body_id);
	rc = db_step(st, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "owner %" PRIu64 " has no body %" PRIu64,
			owner.v, body_id);
	if (rc < 0)
		return -1;
	if (!db_col_null(st, 1))
		return map_file(rd, db_col_text(st, 1), db_col_u64(st, 0), ret, err);
	return copy_inline(st, 2, ret, err);
}

void store_body_release(struct store_body *body)
{
	if (body->mapped != NULL)
		(void)munmap(body->mapped, body->mapped_len);
	mem_free(body->heap);
	*body = (struct store_body){0};
}

void store_body_forget(const struct store_body *body, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (body->mapped != NULL && len >= page)
		(void)madvise(
			body->mapped, MIN(len, body->mapped_len) / page * page, MADV_DONTNEED);
}

/* ---- writing a file ---- */

static int hash(const void *bytes, size_t len, char *ret_hex, size_t hex_size, struct err *err)
{
	struct buf hex = BUF_INIT;
	uint8_t digest[HASH_BYTES];

	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "hashing a body failed");
	hex_add(&hex, digest, sizeof(digest));
	(void)snprintf(ret_hex, hex_size, "%s", buf_cstr(&hex));
	buf_deinit(&hex);
	return 0;
}

/* Young again: the sweep leaves it alone for a while. */
static int make_young(int fd)
{
	struct timespec times[2] = {{.tv_sec = clock_now_at()}, {.tv_sec = clock_now_at()}};

	return futimens(fd, times);
}

static int write_file(const char *path, const void *bytes, size_t len, struct err *err)
{
	FILE *f = fopen(path, "wxe");
	bool good;
	int errnum;

	if (f == NULL)
		return err_set_errno(err, errno, "creating %s", path);
	(void)setvbuf(f, NULL, _IONBF, 0);
	good = fchmod(fileno(f), S_IRUSR | S_IWUSR) == 0 && fwrite(bytes, 1, len, f) == len &&
	       fflush(f) == 0 && make_young(fileno(f)) == 0 && fsync(fileno(f)) == 0;
	errnum = errno;
	if (fclose(f) != 0 && good) {
		errnum = errno;
		good = false;
	}
	if (good)
		return 0;
	(void)unlink(path);
	return err_set_errno(err, errnum, "writing %s", path);
}

/* True when the file is there, and young now. Under bodies_mutex. */
static bool reuse(const char *path, size_t len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	bool good;

	if (f == NULL)
		return false;
	good = fstat(fileno(f), &st) == 0 && (uint64_t)st.st_size == len &&
	       make_young(fileno(f)) == 0;
	(void)fclose(f);
	return good;
}

static int put_in_place(
	struct store *store, const char *incoming, const char *path, struct err *err)
{
	int rc;

	(void)pthread_mutex_lock(&store->bodies_mutex);
	rc = rename(incoming, path);
	if (rc < 0)
		rc = err_set_errno(err, errno, "renaming %s to %s", incoming, path);
	(void)pthread_mutex_unlock(&store->bodies_mutex);
	return rc;
}

static bool reuse_safely(struct store *store, const char *path, size_t len)
{
	bool there;

	(void)pthread_mutex_lock(&store->bodies_mutex);
	there = reuse(path, len);
	(void)pthread_mutex_unlock(&store->bodies_mutex);
	return there;
}

/* bodies/ab, which is there to stay. That it exists says nothing of the disk: whoever made it, a
 * thread beside us or a process before us, may not have come to syncing it. */
static int make_hash_folder(
	struct store *store, const char *file, const char *folder, struct err *err)
{
	CLEANUP(mem_freep) char *parent = x_printf("%s/bodies", store->data_dir);
	char hex[3] = {file[0], file[1], '\0'};
	unsigned long number = strtoul(hex, NULL, 16);
	bool made = mkdir(folder, S_IRWXU) == 0, synced;

	if (!made && errno != EEXIST)
		return err_set_errno(err, errno, "creating folder %s", folder);
	(void)pthread_mutex_lock(&store->bodies_mutex);
	synced = store->folder_synced[number];
	(void)pthread_mutex_unlock(&store->bodies_mutex);
	if (!made && synced)
		return 0;
	if (store_files_sync_folder(parent, err) < 0)
		return -1;
	(void)pthread_mutex_lock(&store->bodies_mutex);
	store->folder_synced[number] = true;
	(void)pthread_mutex_unlock(&store->bodies_mutex);
	return 0;
}

static int store_file(struct store *store, const struct store_new_body *body, struct err *err)
{
	CLEANUP(mem_freep) char *path = body_path(store, body->file);
	CLEANUP(mem_freep) char *folder = x_printf("%s/bodies/%.2s", store->data_dir, body->file);
	CLEANUP(mem_freep)
	char *incoming = x_printf("%s/bodies/incoming/%016" PRIx64 "%016" PRIx64, store->data_dir,
		random_u64(), random_u64());

	if (make_hash_folder(store, body->file, folder, err) < 0)
		return -1;
	if (!reuse_safely(store, path, body->len)) {
		if (write_file(incoming, body->bytes, body->len, err) < 0)
			return -1;
		if (put_in_place(store, incoming, path, err) < 0) {
			(void)unlink(incoming);
			return -1;
		}
	}
	/* Also for a file that was there: whoever put it there may not have come this far yet. */
	return store_files_sync_folder(folder, err);
}

int store_body_prepare(struct store *store, const void *bytes, size_t len,
	struct store_new_body *ret, struct err *err)
{
	struct store_new_body body = {.bytes = bytes, .len = len};

	assert(!db_on_writer(store->db));
	if (len > store->body_inline_max) {
		int rc = hash(bytes, len, body.file, sizeof(body.file), err);

		blocking_begin();
		if (rc == 0)
			rc = store_file(store, &body, err);
		blocking_end();
		if (rc < 0)
			return -1;
	}
	*ret = body;
	return 0;
}

/* ---- rows ---- */

int store_body_add(struct store_tx *tx, struct owner_id owner, const struct store_new_body *body,
	uint64_t *ret_body_id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *next = NULL, *st = NULL;
	bool in_file = body->file[0] != '\0';
	uint64_t id = 0;

	if (store_prepare_tx(tx,
		    "UPDATE owners SET last_body = last_body + 1, used_bytes = used_bytes + $2"
		    " WHERE id = $1 RETURNING last_body",
		    &next, err) < 0)
		return -1;
	db_bind_u64(next, 1, owner.v);
	db_bind_u64(next, 2, body->len);
	if (store_run_u64(next, &id, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO bodies (owner, id, body_bytes, file, bytes)"
		    " VALUES ($1, $2, $3, $4, $5)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id);
	db_bind_u64(st, 3, body->len);
	db_bind_text(st, 4, in_file ? body->file : NULL);
	if (in_file)
		db_bind_null(st, 5);
	else
		db_bind_blob(st, 5, body->len > 0 ? body->bytes : (const uint8_t *)"", body->len);
	if (store_run(st, err) < 0)
		return -1;
	*ret_body_id = id;
	return 0;
}

int store_body_delete(struct store_tx *tx, struct owner_id owner, uint64_t body_id,
	uint64_t body_bytes, struct err *err)
{
	uint64_t percent = atomic_load(&tx->read.store->quota_warn_percent);
	CLEANUP(db_done) struct db_stmt *st = NULL, *used = NULL;

	if (store_prepare_tx(tx, "DELETE FROM bodies WHERE owner = $1 AND id = $2", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, body_id);
	if (store_run(st, err) < 0)
		return -1;
	/* A mailbox that has a tenth of its quota free again is warned of anew. */
	if (store_prepare_tx(tx,
		    "UPDATE owners SET used_bytes = used_bytes - $2, quota_warned = CASE WHEN"
		    " used_bytes - $2 < quota_bytes / 100 * $3 THEN 0 ELSE quota_warned END"
		    " WHERE id = $1",
		    &used, err) < 0)
		return -1;
	db_bind_u64(used, 1, owner.v);
	db_bind_u64(used, 2, body_bytes);
	db_bind_u64(used, 3, percent > 10 ? percent - 10 : 0);
	return store_run(used, err);
}

/* Nothing else may become a part of a path. */
static bool is_hash(const char *file)
{
	return strlen(file) == (size_t)2 * HASH_BYTES &&
	       strspn(file, "0123456789abcdef") == (size_t)2 * HASH_BYTES;
}

int store_body_files(struct store *store, const char *after, struct store_body_file *ret,
	size_t max, size_t *ret_count, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	CLEANUP(db_done) struct db_stmt *st = NULL;
	size_t count = 0;
	int rc = 0;

	if (store_read_begin(store, &rd, err) < 0 ||
		store_prepare(rd,
			"SELECT file, MAX(body_bytes) FROM bodies WHERE file > $1"
			" GROUP BY file ORDER BY file LIMIT $2",
			&st, err) < 0)
		return -1;
	db_bind_text(st, 1, after);
	db_bind_u64(st, 2, max);
	while (count < max && (rc = db_step(st, err)) > 0) {
		const char *file = db_col_text(st, 0);

		if (!is_hash(file))
			return err_set(
				err, ERR_BACKEND, "\"%.80s\" is no name of a body file", file);
		(void)snprintf(ret[count].name, sizeof(ret[count].name), "%s", file);
		ret[count++].bytes = db_col_u64(st, 1);
	}
	if (rc < 0)
		return -1;
	*ret_count = count;
	return 0;
}

/* ---- the sweep ---- */

/* 1: a row names it. */
static int is_named(struct store *store, const char *file, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t one;

	if (store_read_begin(store, &rd, err) < 0)
		return -1;
	if (store_prepare(rd, "SELECT 1 FROM bodies WHERE file = $1 LIMIT 1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, file);
	return store_run_u64(st, &one, err);
}

/* Under bodies_mutex, so that nobody makes it young between the look and the removal. */
static int sweep_file(struct store *store, int dir_fd, const char *name, struct err *err)
{
	struct stat st;
	int rc;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
		st.st_mtim.tv_sec > clock_now_at() - STORE_BODY_GRACE_S)
		return 0;
	rc = is_named(store, name, err);
	if (rc == 0)
		(void)unlinkat(dir_fd, name, 0);
	return rc < 0 ? -1 : 0;
}

static int sweep_dir(struct store *store, unsigned number, size_t *looked_at, struct err *err)
{
	CLEANUP(mem_freep)
	char *path = number < STORE_HASH_DIRS ? x_printf("%s/bodies/%02x", store->data_dir, number)
					      : x_printf("%s/bodies/incoming", store->data_dir);
	struct dirent *entry;
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "opening folder %s", path);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(*looked_at)++;
		(void)pthread_mutex_lock(&store->bodies_mutex);
		rc = sweep_file(store, dirfd(dir), entry->d_name, err);
		(void)pthread_mutex_unlock(&store->bodies_mutex);
	}
	(void)closedir(dir);
	return rc;
}

int store_bodies_hold(const char *data_dir, int *ret_fd, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/bodies", data_dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_set_errno(err, errno, "opening folder %s", path);
	do
		rc = flock(fd, LOCK_SH);
	while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		(void)err_set_errno(err, errno, "locking folder %s", path);
		fd_close(&fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static int sweep_some(struct store *store, size_t limit, struct err *err)
{
	size_t looked_at = 0;
	unsigned number;

	for (;;) {
		(void)pthread_mutex_lock(&store->bodies_mutex);
		number = store->sweep_dir;
		store->sweep_dir = number == STORE_HASH_DIRS ? 0 : number + 1;
		(void)pthread_mutex_unlock(&store->bodies_mutex);
		if (sweep_dir(store, number, &looked_at, err) < 0)
			return -1;
		/* The last one is the folder of what is being written. */
		if (number == STORE_HASH_DIRS)
			return 0;
		if (looked_at >= limit)
			return 1;
	}
}

int store_body_sweep(struct store *store, size_t limit, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/bodies", store->data_dir);
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, errno, "opening folder %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0
					    : err_set_errno(err, errno, "locking folder %s", path);
	return sweep_some(store, limit, err);
}
