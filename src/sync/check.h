#ifndef BELLHOP_SYNC_CHECK_H
#define BELLHOP_SYNC_CHECK_H

#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

/* Are the sync states what they should be? Reads only; any thread. */
typedef void (*sync_finding_fn)(const char *text, void *owner);

/* Every state of every phone, by itself: does it decode, is its position one that the owner has
 * reached, are its keys different ones. *ret_count: states looked at. */
NODISCARD int sync_check_states(struct store_read *rd, sync_finding_fn found, void *owner,
	uint64_t *ret_count, struct err *err);

#endif
