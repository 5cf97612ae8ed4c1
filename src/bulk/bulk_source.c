/*
 * A walk through what another program keeps: a file of one message, an mbox, a Maildir with its
 * folders, or a tree of any of these. A folder with cur/ is a Maildir; ".A.B" in one is its folder
 * A/B (Maildir++), any other folder is one of that name. In a folder that is no Maildir, files
 * named *.eml are messages and files that begin like an mbox are folders of their name.
 *
 * Files may come and go meanwhile. One that cannot be read is a problem of its own; the walk goes
 * on. Symbolic links are followed at the top only, so nothing is met twice. Memory: one message and
 * a folder per level. Threads: one. Limits: BULK_DEPTH_MAX levels, message_max.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "bulk/bulk.h"

#define PEEK_BYTES 512

struct walk {
	const struct bulk_source *source;
	const struct bulk_visitor *visitor;
	struct bulk_path path;
	struct buf bytes; /* the message at hand */
	bool counting;    /* only sizes are wanted */
	bool in_new;      /* what is gone from here has gone to cur/, which comes next */
	uint64_t total;
	unsigned depth;
};

static int walk_dir(struct walk *w, const char *dir, struct err *err);

int bulk_format_parse(const char *name)
{
	static const char *const names[] = {
		"auto", "mbox", "mboxrd", "mboxo", "mboxcl", "mboxcl2", "maildir", "eml"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq_nocase(names[i], name))
			return (int)i;
	}
	return -1;
}

static bool is_mbox_format(enum bulk_format format)
{
	return format >= BULK_FORMAT_MBOX && format <= BULK_FORMAT_MBOXCL2;
}

static enum bulk_mbox_style style_of(enum bulk_format format)
{
	return is_mbox_format(format) ? (enum bulk_mbox_style)(format - BULK_FORMAT_MBOX)
				      : BULK_MBOX_AUTO;
}

/* ---- telling the visitor ---- */

static int visit_problem(struct walk *w, const char *where, const char *text, struct err *err)
{
	return w->visitor->problem != NULL
		       ? w->visitor->problem(w->visitor->owner, where, text, err)
		       : 0;
}

static int visit_errno(struct walk *w, const char *where, struct err *err)
{
	struct err why = ERR_INIT;

	(void)err_set_errno(&why, errno, "reading it");
	return w->counting ? 0 : visit_problem(w, where, why.text, err);
}

static int visit_folder(struct walk *w, struct err *err)
{
	return w->visitor->folder != NULL ? w->visitor->folder(w->visitor->owner, &w->path, err)
					  : 0;
}

static void visit_progress(struct walk *w, uint64_t bytes)
{
	if (w->visitor->progress != NULL)
		w->visitor->progress(w->visitor->owner, bytes);
}

static int visit_mail(
	struct walk *w, const struct bulk_mail *mail, const char *where, struct err *err)
{
	char text[128];

	if (mail->too_large) {
		(void)snprintf(text, sizeof(text), "%llu bytes are more than the limit of %llu",
			(unsigned long long)mail->bytes,
			(unsigned long long)w->source->message_max);
		return visit_problem(w, where, text, err);
	}
	if (mail->bytes == 0)
		return visit_problem(w, where, "the message is empty", err);
	return w->visitor->message != NULL ? w->visitor->message(w->visitor->owner, &w->path, mail,
						     &w->bytes, where, err)
					   : 0;
}

/* ---- files ---- */

static int64_t read_file(void *owner, uint64_t at, void *out, size_t max, struct err *err)
{
	const int *fd = owner;
	ssize_t n;

	do {
		n = pread(*fd, out, max, (off_t)at);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_set_errno(err, errno, "reading at byte %llu", (unsigned long long)at)
		     : n;
}

static int read_mbox(struct walk *w, int fd, const char *path, struct err *err)
{
	struct bulk_mbox *m =
		bulk_mbox_new(read_file, &fd, style_of(w->source->format), w->source->message_max);
	struct bulk_mail mail;
	struct err why = ERR_INIT;
	uint64_t before = 0;
	int rc, result = 0;

	while (result == 0 && (rc = bulk_mbox_next(m, &w->bytes, &mail, &why)) > 0) {
		CLEANUP(mem_freep)
		char *where = x_printf("%s: message %llu, byte %llu", path,
			(unsigned long long)mail.number, (unsigned long long)mail.at);

		if (!mail.not_a_mail)
			result = visit_mail(w, &mail, where, err);
		visit_progress(w, bulk_mbox_at(m) - before);
		before = bulk_mbox_at(m);
	}
	if (result == 0 && rc < 0)
		result = visit_problem(w, path, why.text, err);
	bulk_mbox_free(&m);
	return result;
}

/* The file is one message. */
static int read_message(struct walk *w, int fd, const struct stat *st, unsigned flags,
	const char *path, struct err *err)
{
	struct bulk_mail mail = {.flags = flags,
		.date_at = st->st_mtime,
		.number = 1,
		.bytes = (uint64_t)st->st_size};
	struct err why = ERR_INIT;
	int result;

	mail.too_large = mail.bytes > w->source->message_max;
	buf_clear(&w->bytes);
	while (!mail.too_large && w->bytes.len < mail.bytes) {
		size_t room = (size_t)mail.bytes - w->bytes.len;
		int64_t n;

		if (!buf_reserve(&w->bytes, room))
			return err_set(err, ERR_INTERNAL, "no memory for %s", path);
		n = read_file(&fd, w->bytes.len, w->bytes.data + w->bytes.len, room, &why);
		if (n < 0)
			return visit_problem(w, path, why.text, err);
		if (n == 0)
			mail.bytes = w->bytes.len;
		w->bytes.len += (size_t)n;
	}
	result = visit_mail(w, &mail, path, err);
	visit_progress(w, (uint64_t)st->st_size);
	return result;
}

enum kind { KIND_OTHER, KIND_MBOX, KIND_MESSAGE };

/* "Name:" or "Name :", as every message begins. */
static bool begins_like_message(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] > ' ' && p[n] < 0x7f && p[n] != ':')
		n++;
	while (n > 0 && n < len && (p[n] == ' ' || p[n] == '\t'))
		n++;
	return n > 0 && n < len && p[n] == ':';
}

static enum kind kind_of(struct walk *w, int fd, const char *name, bool alone)
{
	struct err ignored = ERR_INIT;
	char head[PEEK_BYTES];
	int64_t n;

	if (is_mbox_format(w->source->format))
		return KIND_MBOX;
	if (w->source->format == BULK_FORMAT_EML || str_ends(name, ".eml") ||
		str_ends(name, ".EML"))
		return KIND_MESSAGE;
	n = read_file(&fd, 0, head, sizeof(head), &ignored);
	if (n >= 5 && memcmp(head, "From ", 5) == 0)
		return KIND_MBOX;
	if (n == 0 && (alone || str_ends(name, ".mbox")))
		return KIND_MBOX;
	return alone && n > 0 && begins_like_message(head, (size_t)n) ? KIND_MESSAGE : KIND_OTHER;
}

/* The folder that an mbox in a tree is: its name without ".mbox". */
static int walk_mbox(struct walk *w, int fd, const char *path, const char *name, struct err *err)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	size_t len = strlen(name) - (str_ends(name, ".mbox") ? strlen(".mbox") : 0);
	int result;

	bulk_name_decode(&text, name, len);
	if (text.len == 0 || !bulk_path_push(&w->path, buf_cstr(&text), text.len))
		return visit_problem(w, path, "too deep, or without a name", err);
	result = visit_folder(w, err);
	if (result == 0)
		result = read_mbox(w, fd, path, err);
	bulk_path_pop(&w->path);
	return result;
}

/* A regular file in a tree, or alone. flags: NULL when it lies in no Maildir. */
static int walk_file(struct walk *w, const char *path, const char *name, const unsigned *flags,
	bool alone, struct err *err)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum kind kind;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT && w->in_new ? 0 : visit_errno(w, path, err);
	if (!S_ISREG(st.st_mode))
		return visit_problem(w, path, "no regular file", err);
	kind = flags != NULL ? KIND_MESSAGE : kind_of(w, fd, name, alone);
	if (w->counting) {
		w->total += kind != KIND_OTHER ? (uint64_t)st.st_size : 0;
		return 0;
	}
	if (kind == KIND_MESSAGE)
		return read_message(w, fd, &st, flags != NULL ? *flags : 0, path, err);
	if (kind == KIND_MBOX)
		return alone ? read_mbox(w, fd, path, err) : walk_mbox(w, fd, path, name, err);
	return alone ? err_set(err, ERR_BAD_INPUT,
			       "%s is neither an mbox nor a message; --format says what it is",
			       path)
		     : 0;
}

/* ---- folders ---- */

static bool has_folder(const char *dir, const char *name)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, name);
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_maildir(const struct walk *w, const char *dir)
{
	return w->source->format != BULK_FORMAT_EML && !is_mbox_format(w->source->format) &&
	       has_folder(dir, "cur");
}

/* new/ or cur/. */
static int walk_messages(struct walk *w, const char *dir, const char *sub, struct err *err)
{
	CLEANUP(mem_freep) char *at = x_printf("%s/%s", dir, sub);
	DIR *d = opendir(at);
	struct dirent *entry;
	int result = 0;

	if (d == NULL)
		return errno == ENOENT ? 0 : visit_errno(w, at, err);
	while (result == 0 && (entry = readdir(d)) != NULL) {
		CLEANUP(mem_freep) char *path = NULL;
		unsigned flags = bulk_flags_parse(entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		path = x_printf("%s/%s", at, entry->d_name);
		result = walk_file(w, path, entry->d_name, &flags, false, err);
	}
	(void)closedir(d);
	return result;
}

static int walk_maildir(struct walk *w, const char *dir, struct err *err)
{
	int rc;

	if (!w->counting && visit_folder(w, err) < 0)
		return -1;
	w->in_new = true;
	rc = walk_messages(w, dir, "new", err);
	w->in_new = false;
	return rc == 0 ? walk_messages(w, dir, "cur", err) : rc;
}

/* One level of a Maildir++ name, or a folder's name as it is. */
static bool push_name(struct walk *w, const char *name, size_t len)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	bulk_name_decode(&text, name, len);
	return text.len > 0 && bulk_path_push(&w->path, buf_cstr(&text), text.len);
}

static bool push_levels(struct walk *w, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		if (len > 0 && !push_name(w, name, len))
			return false;
		name += len + (name[len] == '.');
	}
	return true;
}

static int walk_subfolder(
	struct walk *w, const char *path, const char *name, bool in_maildir, struct err *err)
{
	size_t before = w->path.count;
	bool pushed;
	int result = 0;

	if (in_maildir && (str_eq(name, "cur") || str_eq(name, "new") || str_eq(name, "tmp")))
		return 0;
	if (name[0] == '.' && !is_maildir(w, path))
		return 0; /* some program's own */
	/* Thunderbird keeps the folders of Archive in Archive.sbd. */
	pushed = name[0] == '.' && in_maildir
			 ? push_levels(w, name + 1)
			 : push_name(w, name, strlen(name) - (str_ends(name, ".sbd") ? 4 : 0));
	if (pushed)
		result = walk_dir(w, path, err);
	else if (!w->counting)
		result = visit_problem(w, path, "folders in it are too deep", err);
	while (w->path.count > before)
		bulk_path_pop(&w->path);
	return result;
}

static int walk_entry(
	struct walk *w, const char *dir, const char *name, bool in_maildir, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/%s", dir, name);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : visit_errno(w, path, err);
	if (S_ISDIR(st.st_mode))
		return walk_subfolder(w, path, name, in_maildir, err);
	if (in_maildir || name[0] == '.' || !S_ISREG(st.st_mode) ||
		w->source->format == BULK_FORMAT_MAILDIR)
		return 0;
	return walk_file(w, path, name, NULL, false, err);
}

static int walk_dir(struct walk *w, const char *dir, struct err *err)
{
	bool maildir = is_maildir(w, dir);
	struct dirent *entry;
	DIR *d;
	int result = 0;

	if (w->depth == BULK_DEPTH_MAX)
		return w->counting ? 0 : visit_problem(w, dir, "too deep", err);
	if (maildir && walk_maildir(w, dir, err) < 0)
		return -1;
	d = opendir(dir);
	if (d == NULL)
		return visit_errno(w, dir, err);
	w->depth++;
	while (result == 0 && (entry = readdir(d)) != NULL) {
		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		result = walk_entry(w, dir, entry->d_name, maildir, err);
	}
	w->depth--;
	(void)closedir(d);
	return result;
}

/* ---- the whole ---- */

static int walk(struct walk *w, struct err *err)
{
	const char *path = w->source->path, *name = strrchr(path, '/');
	struct stat st;
	int result;

	if (stat(path, &st) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode) && w->source->format == BULK_FORMAT_MAILDIR)
		return err_set(err, ERR_BAD_INPUT, "%s is no folder, so no Maildir", path);
	if (S_ISDIR(st.st_mode) && w->source->format == BULK_FORMAT_MAILDIR &&
		!has_folder(path, "cur") && !has_folder(path, "new"))
		return err_set(err, ERR_BAD_INPUT, "%s has no cur/: it is no Maildir", path);
	if (S_ISDIR(st.st_mode) && access(path, R_OK | X_OK) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode) && access(path, R_OK) < 0)
		return err_set_errno(err, errno, "%s", path);
	buf_init(&w->bytes, 0);
	result = S_ISDIR(st.st_mode)
			 ? walk_dir(w, path, err)
			 : walk_file(w, path, name != NULL ? name + 1 : path, NULL, true, err);
	buf_deinit(&w->bytes);
	bulk_path_clear(&w->path);
	return result;
}

int bulk_source_walk(
	const struct bulk_source *source, const struct bulk_visitor *visitor, struct err *err)
{
	struct walk w = {.source = source, .visitor = visitor};

	return walk(&w, err);
}

uint64_t bulk_source_bytes(const struct bulk_source *source)
{
	const struct bulk_visitor nobody = {.owner = NULL};
	struct walk w = {.source = source, .visitor = &nobody, .counting = true};
	struct err ignored = ERR_INIT;

	return walk(&w, &ignored) == 0 ? w.total : 0;
}
