#ifndef BELLHOP_PHONE_MAILDIR_H
#define BELLHOP_PHONE_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A Maildir++ tree: the Inbox is the root, every other folder is ".Name" or ".Parent.Name" in it.
 * Only files whose name ends in MAILDIR_SUFFIX (before ":2,") are ours; anything else in it is left
 * alone and never seen. Blocking; one thread.
 */
#define MAILDIR_SUFFIX ".bellhop"

/* ":2,FS": what we keep in step. Other letters stay as they are. */
struct maildir_flags {
	bool read, flagged;
};

struct maildir_file {
	char *base; /* without ":2,..." */
	char *path; /* below the folder: "cur/<base>:2,S" */
	struct maildir_flags flags;
};

struct map;

/* What lies in a folder now; base -> struct maildir_file. */
struct maildir_scan {
	struct map *files;
	bool missing; /* the folder has no cur/: not ours to call its messages deleted */
};

/* Makes cur, new and tmp. */
NODISCARD int maildir_create(const char *dir, struct err *err);
NODISCARD int maildir_scan(const char *dir, struct maildir_scan *ret, struct err *err);
void maildir_scan_clear(struct maildir_scan *scan);
const struct maildir_file *maildir_scan_find(const struct maildir_scan *scan, const char *base);

/*
 * Writes (or writes over) the message with that base name; LF line ends. A new unread one goes to
 * new/, all others to cur/. `old` is the file it replaces, or NULL. *ret_path: mem_free. The folder
 * is synced by maildir_sync().
 */
NODISCARD int maildir_put(const char *dir, const char *base, struct maildir_flags flags,
	const void *mime, size_t len, int64_t received_at, const struct maildir_file *old,
	char **ret_path, struct err *err);
/* Renames so that it carries these flags. */
NODISCARD int maildir_set_flags(const char *dir, const struct maildir_file *file,
	struct maildir_flags flags, struct err *err);
/* Gone already is fine. */
NODISCARD int maildir_remove(const char *dir, const struct maildir_file *file, struct err *err);
NODISCARD int maildir_sync(const char *dir, struct err *err);
/* Removes the folders if nothing is left in them; otherwise leaves what is there. */
void maildir_remove_empty(const char *dir);

/* The base name for a message: the same for the same message, always. mem_free. */
char *maildir_base(const char *collection_id, const char *server_id, int64_t received_at);
/* Appends one level of a folder's name: modified UTF-7 (RFC 3501 5.1.3), '.' and '/' as '_'. */
void maildir_add_name(struct buf *out, const char *name);

#endif
