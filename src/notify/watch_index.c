/*
 * The hash tables of the watches. Grows at a load of four and never shrinks: a watch is in five of
 * them, so slots that stay empty cost a waiting phone more than a longer chain costs who looks.
 */
#include "notify/watch_index.h"

#include <assert.h>

#include "base/mem.h"

#define LOAD 4

uint64_t watch_hash(uint64_t a, uint64_t b)
{
	uint64_t h = a + 0x9e3779b97f4a7c15ull * (b + 1);

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 27) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

void watch_index_init(struct watch_index *ix, uint64_t (*hash)(const struct watch_link *link))
{
	ix->slot_count = 16;
	ix->slots = x_calloc(ix->slot_count, sizeof(*ix->slots));
	ix->count = 0;
	ix->hash = hash;
}

void watch_index_deinit(struct watch_index *ix)
{
	mem_free(ix->slots);
	ix->slots = NULL;
}

static void put(struct watch_index *ix, struct watch_link *link)
{
	struct watch_link **slot = &ix->slots[ix->hash(link) & (ix->slot_count - 1)];

	link->next = *slot;
	*slot = link;
}

static void grow(struct watch_index *ix)
{
	struct watch_link **old = ix->slots;
	size_t old_count = ix->slot_count;

	ix->slot_count *= 2;
	ix->slots = x_calloc(ix->slot_count, sizeof(*ix->slots));
	for (size_t i = 0; i < old_count; i++) {
		struct watch_link *link = old[i];

		while (link != NULL) {
			struct watch_link *next = link->next;

			put(ix, link);
			link = next;
		}
	}
	mem_free(old);
}

void watch_index_add(struct watch_index *ix, struct watch_link *link)
{
	if (ix->count >= LOAD * ix->slot_count)
		grow(ix);
	put(ix, link);
	ix->count++;
}

void watch_index_remove(struct watch_index *ix, struct watch_link *link)
{
	struct watch_link **at = &ix->slots[ix->hash(link) & (ix->slot_count - 1)];

	while (*at != link) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
	link->next = NULL;
	ix->count--;
}

struct watch_link *watch_index_chain(const struct watch_index *ix, uint64_t hash)
{
	return ix->slots[hash & (ix->slot_count - 1)];
}
