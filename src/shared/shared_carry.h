#ifndef BELLHOP_SHARED_SHARED_CARRY_H
#define BELLHOP_SHARED_SHARED_CARRY_H

#include "base/buf.h"
#include "shared/shared.h"

/*
 * What must outlive the memory itself when the next release lays it out differently: a sequence of
 * entries, each with a tag, a version and its length, integers little-endian. Written before every
 * upgrade, read only when the layouts differ. Who does not know a tag, or a version of it, skips
 * the entry.
 *
 * The key of the hashes, the evidence about paths, the window over heartbeats, and when those that
 * were sent away may come back. Counts of connections are not in it: they are made anew as the
 * connections come over (front/adopt.c). Counters travel apart (shared_counters_take()), because
 * whoever counts goes on until it ends.
 */

/* Any thread of any process that maps it. */
void shared_export(const struct shared *s, struct buf *out);
/* Into an empty one, before anybody else maps it. ERR_BAD_INPUT: malformed; what came before that
 * stays taken. */
NODISCARD int shared_import(struct shared *s, const uint8_t *bytes, size_t len, struct err *err);

#endif
