#ifndef BELLHOP_BASE_SLAB_H
#define BELLHOP_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

/*
 * Many objects of one type, named by slot + generation instead of pointers. An object never moves
 * while it lives. Memory grows in chunks up to the peak and stays. With -Dpools=malloc every object
 * is a malloc of its own, so that ASan sees overruns and use after free. One thread.
 */
struct slab;

struct slab_handle {
	uint32_t slot, generation; /* generation is never 0 for a live object */
};

#define SLAB_NONE UINT32_MAX /* a slot that is no slot */

/* max_count: objects at once, below SLAB_NONE. */
struct slab *slab_new(size_t object_size, uint32_t max_count);
/* Frees the objects that are left, too. */
void slab_free(struct slab **s);

/* A zeroed object and its handle; NULL beyond max_count or when memory is short. */
void *slab_take(struct slab *s, struct slab_handle *ret_handle);
/* Gives it back; its handle is dead from now on. */
void slab_put(struct slab *s, uint32_t slot);

/* The live object in a slot; NULL when there is none. */
void *slab_get(const struct slab *s, uint32_t slot);
/* The object of a handle; NULL when it is gone. */
void *slab_find(const struct slab *s, struct slab_handle handle);
uint32_t slab_count(const struct slab *s);
/* Slots ever used: every live object has a slot below. For walks. */
uint32_t slab_slots(const struct slab *s);

#endif
