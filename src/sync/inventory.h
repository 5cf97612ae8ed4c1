#ifndef BELLHOP_SYNC_INVENTORY_H
#define BELLHOP_SYNC_INVENTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "sync/id_set.h"

/*
 * How an inventory is stored. A small one stands in the state's blob. A large one (beyond 4 KB) is
 * cut at fixed ids into chunks which are named by their content, so that a Sync writes only the
 * chunks that changed and all generations share the others. Pure; the lists own their bytes.
 */
struct sync_chunk_list {
	struct sync_chunk_row *rows; /* owned, bytes too; each id once */
	size_t count, cap;
};

#define SYNC_CHUNK_LIST_INIT                                                                       \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void sync_chunk_list_deinit(struct sync_chunk_list *list);

void sync_inventory_encode(
	const struct id_set *set, struct buf *out, struct sync_chunk_list *chunks);
/* chunks: sorted by id. ERR_BAD_INPUT, also for a chunk that is missing. */
NODISCARD int sync_inventory_decode(struct rd *in, const struct sync_chunk_row *chunks,
	size_t count, struct id_set *ret, struct err *err);

/*
 * Makes a set of many runs smaller: a gap without any live id is swallowed, because nothing in it
 * can ever be sent again. Only when all deletions up to now were told. live: sorted. Returns
 * whether a gap was swallowed.
 */
bool sync_inventory_swallow(struct id_set *set, const struct item_id *live, size_t count);

#endif
