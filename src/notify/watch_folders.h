#ifndef BELLHOP_NOTIFY_WATCH_FOLDERS_H
#define BELLHOP_NOTIFY_WATCH_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "notify/watch.h"

/*
 * The folders of a watch, packed: a million phones wait with some twenty folders each, so they are
 * kept as two or three bytes, not as structs. Folders of the watch's own user and with the cutoff
 * of the folder before (most, of a phone) cost a byte and the id.
 *
 * Only `changed` of a packed folder can be altered. Pure; the lock is the watches'.
 */
void watch_folders_pack(
	struct buf *out, struct owner_id user, const struct watch_folder *folders, size_t count);

struct watch_folders {
	uint8_t *at, *end;
	uint8_t *flags; /* of the folder that was read last */
	struct owner_id user;
	int64_t cutoff_at;
};

void watch_folders_begin(
	struct watch_folders *it, uint8_t *packed, size_t len, struct owner_id user);
/* False: there was no other. */
bool watch_folders_next(struct watch_folders *it, struct watch_folder *ret);
/* Of the folder that was read last. */
bool watch_folders_changed(const struct watch_folders *it);
void watch_folders_set_changed(struct watch_folders *it, bool changed);

#endif
