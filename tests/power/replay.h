#ifndef BELLHOP_TESTS_POWER_REPLAY_H
#define BELLHOP_TESTS_POWER_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "log.h"

/*
 * From a recorder's log to the files that a power loss leaves behind.
 *
 * What was synced is there: the bytes of a file up to the beginning of a sync that has ended, the
 * names of a folder likewise. Of everything else chance decides, sector by sector and name by name:
 * a sector shows any of its states since the last sync, the size is any since then, a name that
 * was made, moved or removed since then may not have been. So a page can be torn, a later write can
 * be there without an earlier one, a new file empty, a rename undone. A rename is never half done
 * in the way that no journal allows: gone from its old place and not in the new one.
 *
 * One thread. Everything belongs to the struct and lives until replay_free().
 */
struct replay;

/* The whole log is read. ERR_BAD_INPUT names the record that cannot be. */
NODISCARD int replay_open(const char *log_path, struct replay **ret, struct err *err);
void replay_free(struct replay **r);

size_t replay_count(const struct replay *r);
const struct power_record *replay_record(const struct replay *r, size_t at);
const char *replay_path(const struct power_record *record); /* not terminated: path_len */
const uint8_t *replay_bytes(const struct power_record *record);

/*
 * Tests of the test: syncs of paths with this in them count for nothing, as if the server had left
 * them out; "/" at the end: those of folders only. Before the first replay_cut().
 */
void replay_skip_syncs(struct replay *r, const char *text);

/*
 * Moves on to the moment before record `at` (never backwards), and writes into `folder` (made, must
 * not exist) what a loss at that moment may leave, chosen by the seed.
 */
NODISCARD int replay_cut(
	struct replay *r, size_t at, uint64_t seed, const char *folder, struct err *err);
/* The same without a loss: everything that was done. */
NODISCARD int replay_whole(struct replay *r, const char *folder, struct err *err);

#endif
