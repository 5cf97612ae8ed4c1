#ifndef BELLHOP_STORE_STORE_PLACE_H
#define BELLHOP_STORE_STORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Puts a complete store, which was built and synced in a folder of its own (the stage), in the
 * place of another one. At any moment there is one whole store or the other. Within this room.
 *
 * *ret_aside (x_ memory, untouched on failure): where the old one is now; NULL: there was none.
 * After a failure the old one is in its place, and the stage may be removed.
 */

/* Can the folder itself be exchanged? Not a mount point, nor one in a folder that is not ours. */
NODISCARD int store_place_can_exchange(const char *data_dir, bool *ret, struct err *err);
/* The stage lies beside the data folder and becomes it. */
NODISCARD int store_place_beside(
	const char *stage, const char *data_dir, int64_t now_at, char **ret_aside, struct err *err);
/* The stage lies inside the data folder, whose other files stay. */
NODISCARD int store_place_inside(
	const char *stage, const char *data_dir, int64_t now_at, char **ret_aside, struct err *err);

#endif
