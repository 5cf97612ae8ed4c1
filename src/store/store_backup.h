#ifndef BELLHOP_STORE_STORE_BACKUP_H
#define BELLHOP_STORE_STORE_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Backup and restore of a data folder.
 *
 * A backup is a folder: bellhop.db, one snapshot of the database; bodies/, the files that this
 * snapshot names; manifest.json, which is written last: without it a folder is no backup. It is
 * made beside a running server, in whatever process, and nobody waits for it.
 *
 * All functions block for as long as the copying takes. Threads: any. go_on may be NULL; it is
 * asked now and then, and false ends the work with ERR_BUSY, leaving nothing behind.
 */
#define STORE_BACKUP_FORMAT 1

struct store_manifest {
	char program[32]; /* the version that made it */
	uint64_t schema;
	int64_t created_at;
	uint64_t users, devices, folders, items, bodies;
	uint64_t database_bytes;
	char database_sha256[65];
	uint64_t body_files, body_files_bytes; /* without the damaged ones */
	char **damaged; /* names of body files which were missing or damaged already; owned */
	size_t damaged_count;
};

void store_manifest_deinit(struct store_manifest *m);

struct store_backup_options {
	const char *data_dir;
	const char *dir; /* the backup: not there yet, or an empty folder */
	bool damaged_ok; /* go on when a body file is missing or damaged, and list it */
	int64_t now_at;
	bool (*go_on)(void *owner);
	void *owner;
};
/* ERR_CONFLICT: something is there. ERR_QUOTA: no room. A failure leaves nothing of the backup. */
NODISCARD int store_backup(
	const struct store_backup_options *options, struct store_manifest *ret, struct err *err);

/* Every byte of a backup against its manifest, names and database. ERR_NOT_FOUND: no backup;
 * ERR_BACKEND: damaged. Nothing is written. */
NODISCARD int store_backup_verify(const char *dir, bool (*go_on)(void *owner), void *owner,
	struct store_manifest *ret, struct err *err);

struct store_restore_options {
	const char *dir;
	const char *data_dir;
	/* Change the data folder's content and not the folder. Done anyhow where that cannot be
	 * renamed: a mount point, or in a folder where we may not write. */
	bool inside;
	bool have_owner; /* who gets a data folder that was not there before; needs root */
	uid_t uid;
	gid_t gid;
	const char *actor; /* for the event log */
	int64_t now_ms;    /* wall clock: milliseconds since 1970 */
	bool (*go_on)(void *owner);
	void *owner;
};
struct store_restored {
	char *put_aside; /* the data folder as it was before; NULL: there was none. Owned */
	char **carried;  /* files that the data folder had beside the store, taken along; owned */
	size_t carried_count;
};
/*
 * Puts a backup in the place of the store; at any moment there is one whole store or the other, and
 * the old one is kept under another name. Every phone starts over (no old SyncKey is known any
 * more), and no id that was ever given out, also after the backup, is given to something new.
 * ERR_BUSY: the server is running.
 */
NODISCARD int store_restore(const struct store_restore_options *options, struct store_manifest *ret,
	struct store_restored *ret_restored, struct err *err);
void store_restored_deinit(struct store_restored *r);

/* Nobody else may start a server on this folder until *ret_fd is closed. ERR_BUSY: one runs. */
NODISCARD int store_lock(const char *data_dir, int *ret_fd, struct err *err);

#endif
