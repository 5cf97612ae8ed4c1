/*
 * What backups do with files: copy and hash, make and remove trees, sync. Owns nothing; any thread.
 * Limits: COPY_BYTES of memory per call.
 */
#include "store/store_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define COPY_BYTES   ((size_t)256 * 1024)
#define HASH_BYTES   32
#define WALK_FOLDERS 16 /* descriptors of a walk through a tree */

static void free_digest(EVP_MD_CTX **digest)
{
	EVP_MD_CTX_free(*digest);
}

/* One piece; 0: the end. */
static ssize_t read_some(int fd, uint8_t *bytes, size_t len)
{
	ssize_t n;

	do
		n = read(fd, bytes, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static int finish_hash(EVP_MD_CTX *digest, char ret_hex[STORE_HASH_HEX], struct err *err)
{
	uint8_t bytes[HASH_BYTES];
	struct buf hex = BUF_INIT;

	if (EVP_DigestFinal_ex(digest, bytes, NULL) != 1)
		return err_set(err, ERR_INTERNAL, "hashing a file failed");
	hex_add(&hex, bytes, sizeof(bytes));
	(void)snprintf(ret_hex, STORE_HASH_HEX, "%s", buf_cstr(&hex));
	buf_deinit(&hex);
	return 0;
}

/* to_fd -1: only hashes. */
static int pump(int from_fd, const char *from, int to_fd, const char *to,
	char ret_hex[STORE_HASH_HEX], uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(free_digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	CLEANUP(mem_freep) uint8_t *piece = x_calloc(1, COPY_BYTES);
	uint64_t total = 0;
	ssize_t n;

	if (digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "hashing a file failed");
	while ((n = read_some(from_fd, piece, COPY_BYTES)) > 0) {
		total += (uint64_t)n;
		if (EVP_DigestUpdate(digest, piece, (size_t)n) != 1)
			return err_set(err, ERR_INTERNAL, "hashing a file failed");
		if (to_fd >= 0 && fd_write_all(to_fd, piece, (size_t)n) < 0)
			return err_set_errno(err, errno, "writing %s", to);
	}
	if (n < 0)
		return err_set_errno(err, errno, "reading %s", from);
	if (ret_bytes != NULL)
		*ret_bytes = total;
	return ret_hex != NULL ? finish_hash(digest, ret_hex, err) : 0;
}

static int open_regular(const char *path, int *ret, struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)err_set_errno(err, errno, "opening %s", path);
		if (errno == ENOENT)
			err->code = ERR_NOT_FOUND;
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_BACKEND, "%s is not a file", path);
	*ret = fd;
	fd = -1; /* NOLINT: for fd_close() */
	return 0;
}

int store_files_hash(
	const char *path, char ret_hex[STORE_HASH_HEX], uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(fd_close) int fd = -1;

	if (open_regular(path, &fd, err) < 0)
		return -1;
	return pump(fd, path, -1, NULL, ret_hex, ret_bytes, err);
}

int store_files_copy(const char *from, const char *to, char ret_hex[STORE_HASH_HEX],
	uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(fd_close) int from_fd = -1;
	CLEANUP(fd_close) int to_fd = -1;

	if (open_regular(from, &from_fd, err) < 0)
		return -1;
	to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to_fd < 0)
		return err_set_errno(err, errno, "creating %s", to);
	if (pump(from_fd, from, to_fd, to, ret_hex, ret_bytes, err) == 0)
		return 0;
	(void)unlink(to);
	return -1;
}

int store_files_write(const char *path, const void *bytes, size_t len, struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set_errno(err, errno, "creating %s", path);
	if (fd_write_all(fd, bytes, len) == 0 && fsync(fd) == 0)
		return 0;
	(void)err_set_errno(err, errno, "writing %s", path);
	(void)unlink(path);
	return -1;
}

int store_files_make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0)
		return 0;
	(void)err_set_errno(err, errno, "creating folder %s", path);
	if (errno == EEXIST)
		err->code = ERR_CONFLICT;
	return -1;
}

static int with_folder(const char *path, int (*fn)(int fd), struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, errno, "opening folder %s", path);
	return fn(fd) < 0 ? err_set_errno(err, errno, "syncing folder %s", path) : 0;
}

int store_files_sync_folder(const char *path, struct err *err)
{
	return with_folder(path, fsync, err);
}

int store_files_sync_all(const char *folder, struct err *err)
{
	return with_folder(folder, syncfs, err);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	(void)remove(path);
	return 0;
}

void store_files_remove(const char *path)
{
	(void)nftw(path, remove_one, WALK_FOLDERS, FTW_DEPTH | FTW_PHYS);
}

static int give_folder(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL)
		return err_set_errno(err, errno, "opening folder %s", path);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		CLEANUP(mem_freep) char *inner = NULL;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		inner = x_printf("%s/%s", path, entry->d_name);
		rc = store_files_give(inner, uid, gid, err);
	}
	(void)closedir(dir);
	return rc;
}

int store_files_give(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0 || lchown(path, uid, gid) < 0)
		return err_set_errno(err, errno, "changing the owner of %s", path);
	return S_ISDIR(st.st_mode) ? give_folder(path, uid, gid, err) : 0;
}

int store_files_is_empty(const char *path, struct err *err)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	bool empty = true;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "looking at %s", path);
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	if (dir == NULL)
		return S_ISDIR(st.st_mode)
			       ? err_set_errno(err, errno, "opening folder %s", path)
			       : err_set(err, ERR_CONFLICT, "%s is there already", path);
	while (empty && (entry = readdir(dir)) != NULL)
		empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
	(void)closedir(dir);
	return empty ? 1 : err_set(err, ERR_CONFLICT, "%s is there already and not empty", path);
}

char *store_files_parent(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len == 0 ? x_strdup(".") : x_strndup(path, len);
}
