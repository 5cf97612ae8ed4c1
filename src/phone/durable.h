#ifndef BELLHOP_PHONE_DURABLE_H
#define BELLHOP_PHONE_DURABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Files that are either the old one or the new one, whatever happens: written beside, synced,
 * renamed, and the folder synced. Blocking. ERR_QUOTA when the disk is full, else ERR_BACKEND.
 */

/* Writes a file through `dir`/`scratch` to `path` (same file system), mode 0600. mtime_at 0: now.
 * Does not sync the folder: durable_sync_dir() once for many files. */
NODISCARD int durable_put(const char *scratch, const char *path, const void *bytes, size_t len,
	int64_t mtime_at, struct err *err);
/* durable_put() by way of "<path>.tmp", and the folder. */
NODISCARD int durable_write(
	const char *dir, const char *path, const void *bytes, size_t len, struct err *err);
NODISCARD int durable_sync_dir(const char *dir, struct err *err);
/* Appends the file to out, bounded by out->max. ERR_NOT_FOUND when there is none. */
NODISCARD int durable_read(const char *path, struct buf *out, struct err *err);
/* mkdir -p, mode 0700. */
NODISCARD int durable_mkdirs(const char *path, struct err *err);
/* Removes a folder with everything in it; symbolic links are removed, not followed. None: fine. */
NODISCARD int durable_remove_tree(const char *path, struct err *err);

#endif
