#ifndef BELLHOP_SYNC_GENERATIONS_H
#define BELLHOP_SYNC_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "sync/state.h"

/*
 * The generations of one collection of one device ([MS-ASCMD] 2.2.3.181.4): the current one, the
 * one before it, and, after a request was repeated, siblings: other answers to the same request,
 * which the phone may have got instead. All of them stay valid until the phone uses one of the
 * newer ones; then that one becomes the one before, and the others are gone.
 *
 * The caller holds the lock of the collection from load to save.
 */
enum sync_generation {
	SYNC_CURRENT = 0,
	SYNC_PREVIOUS = 1,
	SYNC_SIBLING = 2, /* the newest sibling; older ones follow */
	SYNC_GENERATIONS = STORE_SYNC_GENERATIONS_MAX
};

struct sync_collection {
	struct device_id device;
	struct owner_id owner; /* of the folder */
	struct folder_id folder;
	bool present[SYNC_GENERATIONS];
	struct sync_state states[SYNC_GENERATIONS];
};

void sync_collection_deinit(struct sync_collection *c);
/* A collection without a state has nothing present. A blob that does not decode counts as absent:
 * the phone starts over. Sets all of *ret. */
NODISCARD int sync_collection_load(struct store_read *rd, struct device_id device,
	struct owner_id owner, struct folder_id folder, struct sync_collection *ret,
	struct err *err);
/* Stores what is present, with `current` (NULL: none) in place of the current generation. */
NODISCARD int sync_collection_save(struct store_tx *tx, const struct sync_collection *c,
	const struct sync_state *current, struct err *err);

/* The generation with that key and protocol version; SYNC_GENERATIONS: none. */
size_t sync_collection_find(const struct sync_collection *c, uint64_t key, unsigned version);
/*
 * The phone has sent this generation's key. It moves to where the one before belongs; the place of
 * the current one is free for what follows. When the key was used before, its answer got lost: what
 * was answered then lives on as a sibling, and the repetition is counted. Returns the state (in c),
 * and whether it was a repetition.
 */
struct sync_state *sync_collection_use(
	struct sync_collection *c, size_t generation, bool *ret_repeated);
/* Key 0. What the phone may hold lives on as siblings: the request may be one that arrives late. */
void sync_collection_restart(struct sync_collection *c);

/* Of a repeated request: what a sibling has answered to that command. NULL: it is new. */
const struct sync_answer *sync_collection_find_answer(
	const struct sync_collection *c, uint64_t command_hash);
/* Was that change made by the phone in a request whose answer got lost? */
bool sync_collection_is_own(
	const struct sync_collection *c, uint64_t item, uint8_t group, uint64_t seq);
/* When a sibling knows exactly what `next` knows, that sibling is current again: true, and next
 * gets its key. */
bool sync_collection_same_again(struct sync_collection *c, struct sync_state *next);

/* "0" gives 0. False: not a key of ours. Text form: 16 hex digits. */
bool sync_key_parse(const char *text, uint64_t *ret);
void sync_key_print(uint64_t key, char text[17]);
uint64_t sync_key_new(void);

#endif
