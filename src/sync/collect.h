#ifndef BELLHOP_SYNC_COLLECT_H
#define BELLHOP_SYNC_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "sync/state.h"

/*
 * What a phone must be told of a collection: the changes since its position, then whatever a scan
 * still has to compare. One snapshot, no writes; the state that is passed in moves along with what
 * was emitted, and the caller saves it as a new generation or throws it away.
 */
enum sync_emit_kind { SYNC_EMIT_ADD, SYNC_EMIT_CHANGE, SYNC_EMIT_DELETE, SYNC_EMIT_SOFT_DELETE };

struct sync_emit {
	enum sync_emit_kind kind;
	struct item_id item;
	unsigned groups; /* CHANGE: which moved, enum sync_group or-ed */
};

enum sync_emit_result {
	SYNC_EMIT_SENT, /* written; counts */
	SYNC_EMIT_FULL, /* not written, no room: stop here */
	SYNC_EMIT_FAILED = -1,
};
typedef enum sync_emit_result (*sync_emit_fn)(
	const struct sync_emit *emit, void *owner, struct err *err);

struct sync_collect_result {
	bool more;      /* something is left: MoreAvailable */
	size_t emitted; /* how often emit said SENT */
	size_t visited; /* rows that were read */
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
 * Would the next Sync of the phone send anything but items that merely aged out of its filter? The
 * newest generation decides. *ret is false too when nothing was ever synced.
 */
NODISCARD int sync_pending(struct store_read *rd, struct device_id device, struct owner_id owner,
	struct folder_id folder, int64_t now_at, bool *ret, struct err *err);

/* How many changes the next Sync would send, counting at most limit. The state is not changed. */
NODISCARD int sync_estimate(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const struct sync_state *state, const struct sync_options *options, int64_t now_at,
	size_t limit, size_t *ret, struct err *err);

/* Begins a collection: nothing held, everything to be listed. version: times ten. */
void sync_state_begin(struct sync_state *state, uint16_t version, uint64_t owner_seq,
	const struct sync_options *options, int64_t now_at);
/* New Options: a changed filter starts a scan. */
void sync_state_set_options(
	struct sync_state *state, const struct sync_options *options, int64_t now_at);

#endif
