#ifndef BELLHOP_SYNC_HIERARCHY_H
#define BELLHOP_SYNC_HIERARCHY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"
#include "sync/generations.h"

/*
 * The hierarchy's own state ([MS-ASCMD] 2.2.1.5): the same generations as a collection's, kept
 * under folder 0; its inventory is the list of folders that the phone has, and its own changes are
 * noted as those of the group SYNC_CONTENT.
 */
struct hierarchy_change {
	bool deleted, is_new;
	const struct folder *folder;
};

/* Changes that turn what the state's phone has into what is there; the state moves along. Parents
 * come before children. A state of position 0 with an empty inventory gives everything as new. */
NODISCARD int hierarchy_collect(struct store_read *rd, struct owner_id owner,
	struct sync_state *state, struct arena *arena, struct hierarchy_change **ret,
	size_t *ret_count, struct err *err);

/* Is there a change which the phone's newest hierarchy state has not seen? False without a state;
 * *ret_known (may be NULL) says whether there is one. */
NODISCARD int hierarchy_pending(struct store_read *rd, struct device_id device,
	struct owner_id owner, bool *ret, bool *ret_known, struct err *err);

#endif
