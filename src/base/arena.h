#ifndef BELLHOP_BASE_ARENA_H
#define BELLHOP_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"

/*
 * One arena per request: many small objects, freed together. Memory is zeroed. With -Dpools=malloc
 * every object is a malloc of its own, so that ASan sees overruns.
 *
 * The bound (bytes; 0 = none) is against what a peer can make us keep: arena_try_alloc() returns
 * NULL beyond it; the x_ flavour aborts and is for sizes of our own choosing only.
 */
struct arena;

struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena **a);
/* Forgets all objects, keeps one chunk. */
void arena_clear(struct arena *a);

void *arena_try_alloc(struct arena *a, size_t size);
void *arena_x_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
#define arena_x_new(a, type) ((type *)arena_x_alloc((a), sizeof(type)))
char *arena_x_strdup(struct arena *a, const char *s);
char *arena_x_strndup(struct arena *a, const char *s, size_t len);
char *arena_x_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Copies len bytes and terminates them; NULL beyond the bound. */
char *arena_try_strndup(struct arena *a, const char *s, size_t len);
/* Bytes handed out since the last clear. */
size_t arena_used(const struct arena *a);

#endif
