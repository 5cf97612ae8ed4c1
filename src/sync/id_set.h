#ifndef BELLHOP_SYNC_ID_SET_H
#define BELLHOP_SYNC_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A set of ids as sorted, disjoint, non-touching intervals. Ids ascend in a folder, so what a phone
 * holds of a mailbox is typically one interval, whatever its size. Pure; storage of the caller.
 */
struct id_interval {
	uint64_t first, last; /* both inside */
};

struct id_set {
	struct id_interval *runs; /* owned */
	size_t count, cap;
};

#define ID_SET_INIT                                                                                \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void id_set_deinit(struct id_set *s);
void id_set_copy(struct id_set *to, const struct id_set *from); /* to: initialised */
bool id_set_has(const struct id_set *s, uint64_t id);
/* True when that changed the set. */
bool id_set_add(struct id_set *s, uint64_t id);
bool id_set_remove(struct id_set *s, uint64_t id);
uint64_t id_set_count(const struct id_set *s);

/* Varint pairs (gap to the one before, length - 1), preceded by their count. */
void id_set_encode(const struct id_set *s, struct buf *out);
/* ERR_BAD_INPUT for overlaps, overflow or truncation. */
NODISCARD int id_set_decode(struct rd *in, struct id_set *ret, struct err *err);
/* IMAP notation, "1:480,512", for people. */
void id_set_print(const struct id_set *s, struct buf *out);

#endif
