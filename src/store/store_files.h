#ifndef BELLHOP_STORE_STORE_FILES_H
#define BELLHOP_STORE_STORE_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Files and folders of backups. Within this room. All block; any thread. */

enum { STORE_HASH_HEX = 65 }; /* SHA-256 in hex, terminated */

/* Reads to the end. ret_bytes may be NULL. */
NODISCARD int store_files_hash(
	const char *path, char ret_hex[STORE_HASH_HEX], uint64_t *ret_bytes, struct err *err);
/* Into a new file of mode 0600, which is removed when that fails. Not synced. The hash is of what
 * was read; both ret_ may be NULL. */
NODISCARD int store_files_copy(const char *from, const char *to, char ret_hex[STORE_HASH_HEX],
	uint64_t *ret_bytes, struct err *err);
/* A new small file of mode 0600, synced. */
NODISCARD int store_files_write(const char *path, const void *bytes, size_t len, struct err *err);
/* Mode 0700; ERR_CONFLICT when something of that name is there. */
NODISCARD int store_files_make_folder(const char *path, struct err *err);
NODISCARD int store_files_sync_folder(const char *path, struct err *err);
/* Everything that was written to the file system of this folder is on disk. */
NODISCARD int store_files_sync_all(const char *folder, struct err *err);
/* With everything in it; symbolic links are not followed. As far as it goes. */
void store_files_remove(const char *path);
/* The folder and everything in it. */
NODISCARD int store_files_give(const char *path, uid_t uid, gid_t gid, struct err *err);
/* 1: it is there and nothing is in it; 0: not there. ERR_CONFLICT for anything else. */
NODISCARD int store_files_is_empty(const char *path, struct err *err);
/* The folder that the last name of a path is in; x_ memory. */
char *store_files_parent(const char *path);

#endif
