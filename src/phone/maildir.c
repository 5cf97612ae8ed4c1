/*
 * The Maildir++ tree on disk. A message becomes visible by rename only. Names are made from a hash
 * of folder and server id, so that an answer that is applied twice (the process died between the
 * message and the state) writes over the same file and duplicates nothing.
 */
#include "phone/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf7.h"
#include "phone/durable.h"

static const char *const subdirs[] = {"tmp", "new", "cur"};

int maildir_create(const char *dir, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(subdirs); i++) {
		CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, subdirs[i]);

		if (durable_mkdirs(path, err) < 0)
			return -1;
	}
	return 0;
}

static void file_free(struct maildir_file *f)
{
	mem_free(f->base);
	mem_free(f->path);
	mem_free(f);
}

static void free_entry(const void *key, size_t key_len, void *value, void *owner)
{
	(void)key;
	(void)key_len;
	(void)owner;
	file_free(value);
}

void maildir_scan_clear(struct maildir_scan *scan)
{
	if (scan->files != NULL)
		map_each(scan->files, free_entry, NULL);
	map_free(&scan->files);
}

const struct maildir_file *maildir_scan_find(const struct maildir_scan *scan, const char *base)
{
	return map_find_str(scan->files, base);
}

static void scan_name(struct maildir_scan *scan, const char *subdir, const char *name)
{
	const char *info = strstr(name, ":2,");
	size_t base_len = info != NULL ? (size_t)(info - name) : strlen(name);
	size_t suffix_len = strlen(MAILDIR_SUFFIX);
	struct maildir_file *f, *old;

	if (base_len <= suffix_len ||
		memcmp(name + base_len - suffix_len, MAILDIR_SUFFIX, suffix_len) != 0)
		return;
	f = x_new(struct maildir_file);
	f->base = x_strndup(name, base_len);
	f->path = x_printf("%s/%s", subdir, name);
	f->flags.read = info != NULL && strchr(info + 3, 'S') != NULL;
	f->flags.flagged = info != NULL && strchr(info + 3, 'F') != NULL;
	old = map_put_str(scan->files, f->base, f);
	if (old != NULL)
		file_free(old); /* seen twice: renamed while we looked; the later sight counts */
}

/* 1 read, 0 not there, -1 error. */
static int scan_subdir(
	struct maildir_scan *scan, const char *dir, const char *subdir, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, subdir);
	DIR *d = opendir(path);
	struct dirent *entry;
	int saved;

	if (d == NULL && errno == ENOENT)
		return 0;
	if (d == NULL)
		return err_set_errno(err, errno, "opening %s", path);
	errno = 0;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.')
			scan_name(scan, subdir, entry->d_name);
		errno = 0;
	}
	saved = errno;
	(void)closedir(d);
	return saved != 0 ? err_set_errno(err, saved, "reading %s", path) : 1;
}

int maildir_scan(const char *dir, struct maildir_scan *ret, struct err *err)
{
	struct maildir_scan scan = {.files = map_new()};
	int in_new, in_cur;

	/* new before cur: a mail program moves that way, so nothing slips past between the two. */
	in_new = scan_subdir(&scan, dir, "new", err);
	in_cur = in_new < 0 ? -1 : scan_subdir(&scan, dir, "cur", err);
	if (in_cur < 0) {
		maildir_scan_clear(&scan);
		return -1;
	}
	scan.missing = in_cur == 0;
	*ret = scan;
	return 0;
}

/* The name below the folder that a file gets: other letters than ours are kept, in ASCII order. */
static char *flagged_path(
	const char *base, struct maildir_flags flags, const struct maildir_file *old)
{
	const char *info = old == NULL ? NULL : strstr(old->path, ":2,");
	char letters[27], *p = letters;

	if (old != NULL ? str_starts(old->path, "new/") && !flags.read && !flags.flagged
			: !flags.read && !flags.flagged)
		return x_printf("new/%s", base);
	for (char c = 'A'; c <= 'Z'; c++) {
		bool on = info != NULL && strchr(info + 3, c) != NULL;

		if (c == 'S' ? flags.read : c == 'F' ? flags.flagged : on)
			*p++ = c;
	}
	*p = 0;
	return x_printf("cur/%s:2,%s", base, letters);
}

static void add_lf(struct buf *out, const char *mime, size_t len)
{
	(void)buf_reserve(out, len + 1);
	for (size_t i = 0; i < len;) {
		const char *cr = memchr(mime + i, '\r', len - i);
		size_t n = cr == NULL ? len - i : (size_t)(cr - mime) - i;

		buf_add(out, mime + i, n);
		i += n;
		if (cr != NULL && (i + 1 >= len || mime[i + 1] != '\n'))
			buf_add_byte(out, '\r');
		i += cr != NULL;
	}
}

int maildir_put(const char *dir, const char *base, struct maildir_flags flags, const void *mime,
	size_t len, int64_t received_at, const struct maildir_file *old, char **ret_path,
	struct err *err)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(mem_freep) char *name = flagged_path(base, flags, old);
	CLEANUP(mem_freep) char *scratch = x_printf("%s/tmp/%s", dir, base);
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, name);

	add_lf(&text, mime, len);
	if (text.failed)
		return err_set(
			err, ERR_QUOTA, "a message of %zu bytes does not fit into memory", len);
	if (durable_put(scratch, path, text.data, text.len, received_at, err) < 0)
		return -1;
	if (old != NULL && strcmp(old->path, name) != 0 && maildir_remove(dir, old, err) < 0)
		return -1;
	*ret_path = TAKE(path);
	return 0;
}

int maildir_set_flags(const char *dir, const struct maildir_file *file, struct maildir_flags flags,
	struct err *err)
{
	CLEANUP(mem_freep) char *name = flagged_path(file->base, flags, file);
	CLEANUP(mem_freep) char *from = x_printf("%s/%s", dir, file->path);
	CLEANUP(mem_freep) char *to = x_printf("%s/%s", dir, name);

	/* Gone or renamed meanwhile: the next scan sees it, and the user's change wins. */
	if (rename(from, to) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "renaming %s", from);
	return 0;
}

int maildir_remove(const char *dir, const struct maildir_file *file, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, file->path);

	if (unlink(path) < 0 && errno != ENOENT)
		return err_set_errno(err, errno, "removing %s", path);
	return 0;
}

int maildir_sync(const char *dir, struct err *err)
{
	for (size_t i = 1; i < ARRAY_LEN(subdirs); i++) {
		CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, subdirs[i]);

		if (durable_sync_dir(path, err) < 0)
			return -1;
	}
	return 0;
}

void maildir_remove_empty(const char *dir)
{
	for (size_t i = 0; i < ARRAY_LEN(subdirs); i++) {
		CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, subdirs[i]);

		(void)rmdir(path);
	}
	(void)rmdir(dir);
}

char *maildir_base(const char *collection_id, const char *server_id, int64_t received_at)
{
	/* A fixed key: the name must be the same in every run. */
	static const uint8_t key[16] = "bellhop maildir";
	CLEANUP(buf_deinit) struct buf id = BUF_INIT;

	buf_add(&id, collection_id, strlen(collection_id) + 1);
	buf_add_str(&id, server_id);
	return x_printf("%" PRId64 ".%016" PRIx64 MAILDIR_SUFFIX, MAX(received_at, 0),
		siphash(key, id.data, id.len));
}

void maildir_add_name(struct buf *out, const char *name)
{
	CLEANUP(mem_freep) char *flat = x_strdup(name);

	for (char *p = flat; *p != 0; p++) {
		if (*p == '.' || *p == '/')
			*p = '_';
	}
	utf7_add_name(out, flat, "");
}
