/*
 * Slabs: chunks of CHUNK_SLOTS objects each, and beside each chunk one small record per slot.
 *
 * Invariants: a slot is either live (next_free == SLOT_LIVE) or on the free list exactly once. The
 * generation goes up when a slot is given back, so an old handle never finds the next tenant; it
 * skips 0. Free slots are reused last in, first out, which keeps the used memory warm.
 */
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#define CHUNK_SHIFT 10
#define CHUNK_SLOTS (1u << CHUNK_SHIFT)
#define SLOT_LIVE   (UINT32_MAX - 1)

struct slot {
	uint32_t generation;
	uint32_t next_free; /* SLOT_LIVE, or the next free slot, or SLAB_NONE */
};

struct chunk {
	struct slot slots[CHUNK_SLOTS];
#if POOLS_ARE_MALLOC
	void *objects[CHUNK_SLOTS];
#else
	uint8_t *objects;
#endif
};

struct slab {
	size_t object_size;
	uint32_t max_count, count, used; /* used: slots below it were handed out at least once */
	uint32_t first_free;
	struct chunk **chunks;
	size_t chunk_count;
};

struct slab *slab_new(size_t object_size, uint32_t max_count)
{
	struct slab *s = x_new(struct slab);

	assert(max_count < SLOT_LIVE);
	s->object_size = (object_size + 15) & ~(size_t)15;
	s->max_count = max_count;
	s->first_free = SLAB_NONE;
	return s;
}

void slab_free(struct slab **sp)
{
	struct slab *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->chunk_count; i++) {
#if POOLS_ARE_MALLOC
		for (size_t j = 0; j < CHUNK_SLOTS; j++)
			mem_free(s->chunks[i]->objects[j]);
#else
		mem_free(s->chunks[i]->objects);
#endif
		mem_free(s->chunks[i]);
	}
	mem_free(s->chunks);
	mem_free(s);
}

static struct slot *slot_of(const struct slab *s, uint32_t slot)
{
	return &s->chunks[slot >> CHUNK_SHIFT]->slots[slot & (CHUNK_SLOTS - 1)];
}

static void *object_of(const struct slab *s, uint32_t slot)
{
	struct chunk *c = s->chunks[slot >> CHUNK_SHIFT];
	uint32_t at = slot & (CHUNK_SLOTS - 1);

#if POOLS_ARE_MALLOC
	return c->objects[at];
#else
	return c->objects + at * s->object_size;
#endif
}

static bool grow(struct slab *s)
{
	struct chunk **chunks, *c;

	chunks = mem_try_realloc(s->chunks, (s->chunk_count + 1) * sizeof(*chunks));
	if (chunks == NULL)
		return false;
	s->chunks = chunks;
	c = mem_try_alloc(sizeof(*c));
	if (c == NULL)
		return false;
#if !POOLS_ARE_MALLOC
	c->objects = mem_try_alloc(s->object_size * CHUNK_SLOTS);
	if (c->objects == NULL) {
		mem_free(c);
		return false;
	}
#endif
	s->chunks[s->chunk_count++] = c;
	return true;
}

/* A slot that is not live; SLAB_NONE when there can be none. */
static uint32_t pick_slot(struct slab *s)
{
	if (s->count >= s->max_count)
		return SLAB_NONE;
	if (s->first_free != SLAB_NONE)
		return s->first_free;
	if (s->used >> CHUNK_SHIFT >= s->chunk_count && !grow(s))
		return SLAB_NONE;
	return s->used;
}

void *slab_take(struct slab *s, struct slab_handle *ret_handle)
{
	uint32_t at = pick_slot(s);
	struct slot *slot;
	void *object;

	if (at == SLAB_NONE)
		return NULL;
#if POOLS_ARE_MALLOC
	object = mem_try_alloc(s->object_size);
	if (object == NULL)
		return NULL;
	s->chunks[at >> CHUNK_SHIFT]->objects[at & (CHUNK_SLOTS - 1)] = object;
#else
	object = object_of(s, at);
	memset(object, 0, s->object_size);
#endif
	slot = slot_of(s, at);
	if (at == s->used) {
		s->used++;
		slot->generation = 1;
	} else {
		s->first_free = slot->next_free;
	}
	slot->next_free = SLOT_LIVE;
	s->count++;
	*ret_handle = (struct slab_handle){at, slot->generation};
	return object;
}

void slab_put(struct slab *s, uint32_t at)
{
	struct slot *slot = slot_of(s, at);

	assert(at < s->used && slot->next_free == SLOT_LIVE);
	slot->generation++;
	if (slot->generation == 0)
		slot->generation = 1;
	slot->next_free = s->first_free;
	s->first_free = at;
	s->count--;
#if POOLS_ARE_MALLOC
	mem_freep(&s->chunks[at >> CHUNK_SHIFT]->objects[at & (CHUNK_SLOTS - 1)]);
#endif
}

void *slab_get(const struct slab *s, uint32_t slot)
{
	if (slot >= s->used || slot_of(s, slot)->next_free != SLOT_LIVE)
		return NULL;
	return object_of(s, slot);
}

void *slab_find(const struct slab *s, struct slab_handle handle)
{
	if (handle.slot >= s->used || slot_of(s, handle.slot)->generation != handle.generation)
		return NULL;
	return slab_get(s, handle.slot);
}

uint32_t slab_count(const struct slab *s)
{
	return s->count;
}

uint32_t slab_slots(const struct slab *s)
{
	return s->used;
}
