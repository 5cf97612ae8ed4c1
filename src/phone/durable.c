/*
 * File helpers of the phone. stdio and opendir() throughout, so that no descriptor is held bare;
 * all are closed on every path. One thread.
 */
#include "phone/durable.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

static void closep(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
	*f = NULL;
}

int durable_put(const char *scratch, const char *path, const void *bytes, size_t len,
	int64_t mtime_at, struct err *err)
{
	CLEANUP(closep) FILE *f = NULL;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_at}};
	mode_t before = umask(077);

	f = fopen(scratch, "wbe");
	(void)umask(before);
	if (f == NULL)
		return err_set_errno(err, errno, "creating %s", scratch);
	if ((len > 0 && fwrite(bytes, 1, len, f) != len) || fflush(f) != 0 ||
		fsync(fileno(f)) < 0) {
		int saved = errno;

		(void)unlink(scratch);
		return err_set_errno(err, saved, "writing %s", scratch);
	}
	if (mtime_at > 0)
		(void)futimens(fileno(f), times); /* nice to have, not needed */
	if (rename(scratch, path) < 0) {
		int saved = errno;

		(void)unlink(scratch);
		return err_set_errno(err, saved, "renaming %s to %s", scratch, path);
	}
	return 0;
}

int durable_sync_dir(const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	int rc, saved;

	if (d == NULL)
		return err_set_errno(err, errno, "opening %s", dir);
	rc = fsync(dirfd(d));
	saved = errno;
	(void)closedir(d);
	/* Some file systems cannot sync a folder and say EINVAL; they need not. */
	if (rc < 0 && saved != EINVAL)
		return err_set_errno(err, saved, "syncing %s", dir);
	return 0;
}

int durable_write(const char *dir, const char *path, const void *bytes, size_t len, struct err *err)
{
	CLEANUP(mem_freep) char *scratch = x_printf("%s.tmp", path);

	if (durable_put(scratch, path, bytes, len, 0, err) < 0)
		return -1;
	return durable_sync_dir(dir, err);
}

int durable_read(const char *path, struct buf *out, struct err *err)
{
	CLEANUP(closep) FILE *f = fopen(path, "rbe");
	char chunk[65536];
	size_t n;

	if (f == NULL && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
	if (f == NULL)
		return err_set_errno(err, errno, "opening %s", path);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	if (ferror(f))
		return err_set_errno(err, errno, "reading %s", path);
	if (out->failed)
		return err_set(err, ERR_BAD_INPUT, "%s is too large", path);
	return 0;
}

int durable_mkdirs(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *part = x_strdup(path);

	for (char *p = part + 1;; p++) {
		char kept = *p;

		if (kept != '/' && kept != 0)
			continue;
		*p = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return err_set_errno(err, errno, "creating the folder %s", part);
		if (kept == 0)
			return 0;
		*p = kept;
	}
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int durable_remove_tree(const char *path, struct err *err)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "removing %s", path);
	return 0;
}
