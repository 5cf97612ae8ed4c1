#ifndef BELLHOP_STORE_STORE_CHECK_H
#define BELLHOP_STORE_STORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

/*
 * Is the store whole? The database's own check, rows against each other, body files against the
 * rows that name them. Reads only; works beside a running server. What only the sync room can judge
 * (the content of sync states) is checked there.
 */
typedef void (*store_finding_fn)(const char *text, void *owner);

struct store_check_options {
	bool quick; /* body files: sizes, not contents; indexes are not compared with tables */
	store_finding_fn found;
	bool (*go_on)(void *owner); /* as in store_backup.h; may be NULL */
	void *owner;                /* of both */
};
struct store_check_result {
	uint64_t owners, folders, items, bodies, body_files;
};
/* 0, also with findings; -1 when it could not look. The schema must be this program's. */
NODISCARD int store_check(struct store *store, const struct store_check_options *options,
	struct store_check_result *ret, struct err *err);

/*
 * Puts right what has only one right value: used bytes, and counters of ids that are behind the ids
 * in use. Removes what nobody can ask for any more: what is left of phones that are gone, and what
 * phones knew of folders and users that are. *ret: how many were changed. Nobody else may have the
 * store open.
 */
NODISCARD int store_check_repair(
	struct store *store, const char *actor, uint64_t *ret, struct err *err);

#endif
