#ifndef BELLHOP_SYNC_CHECK_H
#define BELLHOP_SYNC_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

/* Are the sync states what they should be? Reads only; any thread. */
typedef void (*sync_finding_fn)(const char *text, void *owner);

/* Every state of every phone, by itself: does it decode, is its position one that the owner has
 * reached, are its keys different ones. *ret_count: states looked at. */
NODISCARD int sync_check_states(struct store_read *rd, sync_finding_fn found, void *owner,
	uint64_t *ret_count, struct err *err);

/* What a phone is to hold of one collection, by its newest state. */
struct sync_check_counts {
	bool present;         /* there is a newest state */
	bool scan_unfinished; /* a listing or comparison goes on at the next Sync */
	uint64_t held;        /* items in the inventory */
	uint64_t pending;     /* changes that are yet to be sent, as GetItemEstimate counts */
	uint64_t withheld;    /* set aside for this phone */
	uint64_t state_bytes; /* of all states as they are stored */
	uint64_t behind;      /* how many changes of the owner the position has not passed */
};
/*
 * One collection (folder 0: the hierarchy) of one phone against the store: would each of its states
 * lead to what is in the folder now? What a repair would still send after all that is pending is a
 * finding. Costs as much as listing the folder.
 */
NODISCARD int sync_check_collection(struct store_read *rd, const struct device *device,
	const struct sync_collection_ref *ref, int64_t now_at, sync_finding_fn found, void *owner,
	struct sync_check_counts *ret, struct err *err);

#endif
