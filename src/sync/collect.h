#ifndef BELLHOP_SYNC_COLLECT_H
#define BELLHOP_SYNC_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "sync/generations.h"

/*
 * What a phone must be told of a collection (docs/internals/sync.md): ids that vanished, the
 * changes since its position, what was refused and must be put right, then whatever a scan still
 * has to compare. One snapshot, no writes; the state that is passed in moves along with what was
 * emitted, and the caller saves it as a new generation or throws it away.
 */
enum sync_emit_kind { SYNC_EMIT_ADD, SYNC_EMIT_CHANGE, SYNC_EMIT_DELETE, SYNC_EMIT_SOFT_DELETE };

struct sync_emit {
	enum sync_emit_kind kind;
	struct item_id item;
	unsigned groups;    /* CHANGE: which moved, enum sync_group or-ed */
	uint8_t item_class; /* enum item_class; 0 for DELETE of an id that vanished */
	bool outside;       /* older than the filter, there for its conversation: no body */
};

enum sync_emit_result {
	SYNC_EMIT_SENT,     /* written; counts */
	SYNC_EMIT_FULL,     /* not written, no room: stop here */
	SYNC_EMIT_WITHHELD, /* not written, nor will it be: set aside for this phone (ADD, CHANGE)
			     */
	SYNC_EMIT_FAILED = -1,
};
typedef enum sync_emit_result (*sync_emit_fn)(
	const struct sync_emit *emit, void *owner, struct err *err);

struct sync_collect_result {
	bool more;         /* something is left: MoreAvailable */
	size_t emitted;    /* how often emit said SENT */
	size_t visited;    /* rows that were read */
	bool compared_ids; /* with all ids of the folder: worth to be remembered */
};

struct sync_collect_options {
	int64_t now_at;
	int64_t deadline_ms; /* monotonic; 0: none. A long scan stops there too */
	sync_emit_fn emit;
	void *owner;
};

/* ERR_* of the store or of emit. The state is then half moved: throw it away. */
NODISCARD int sync_collect(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct sync_state *state, const struct sync_collect_options *options,
	struct sync_collect_result *ret, struct err *err);

/*
 * For a state that is going to be stored, after a collection from the same snapshot: an inventory
 * of very many runs swallows the ids that are gone and whose deletion the phone is told. Reads the
 * ids of the folder then, which is seldom.
 */
NODISCARD int sync_swallow(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	struct sync_state *state, struct err *err);

/* What a phone that waits for a folder must know of it. The newest generation decides. */
struct sync_look {
	struct folder_id folder;
	bool found; /* false: unknown or deleted, and nothing else is set */
	enum folder_type type;
	bool synced;       /* there is a state */
	int64_t cutoff_at; /* of the filter in force */
	/* The next Sync of the phone would send something, and not merely items that aged out of
	 * its filter. False when nothing was ever synced. */
	bool pending;
};

/* Fills in all that is behind `folder`, of folders of one owner, in any order. Some statements for
 * all of them together; more only for those in which something has happened. */
NODISCARD int sync_look(struct store_read *rd, struct device_id device, struct owner_id owner,
	int64_t now_at, struct sync_look *looks, size_t count, struct err *err);

/* How many changes the next Sync would send, counting at most limit. The state is not changed. */
NODISCARD int sync_estimate(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const struct sync_state *state, const struct sync_scope *scope, int64_t now_at,
	size_t limit, size_t *ret, struct err *err);

#endif
