#ifndef BELLHOP_NOTIFY_WATCH_INDEX_H
#define BELLHOP_NOTIFY_WATCH_INDEX_H

#include <stddef.h>
#include <stdint.h>

/*
 * A chained hash table whose links lie inside the objects: 8 bytes an object, many objects under
 * one key. Removal walks the chain. Not for keys that a peer chooses: the hash is public. One
 * lock of the owner's around everything.
 */
struct watch_link {
	struct watch_link *next;
};

struct watch_index {
	struct watch_link **slots;
	size_t slot_count, count;
	uint64_t (*hash)(const struct watch_link *link);
};

#define WATCH_OF(link, type, member) ((type *)((uintptr_t)(link)-offsetof(type, member)))

void watch_index_init(struct watch_index *ix, uint64_t (*hash)(const struct watch_link *link));
void watch_index_deinit(struct watch_index *ix);
void watch_index_add(struct watch_index *ix, struct watch_link *link);
/* It must be in the table. */
void watch_index_remove(struct watch_index *ix, struct watch_link *link);
/* The chain that holds everything with this hash, and more: the caller compares. */
struct watch_link *watch_index_chain(const struct watch_index *ix, uint64_t hash);

/* Mixes one or two words into a hash (splitmix64). */
uint64_t watch_hash(uint64_t a, uint64_t b);

#endif
