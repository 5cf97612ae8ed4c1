/*
 * Bump allocation in chunks. Limits: max_bytes counts what was handed out, not the chunks.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CHUNK_BYTES ((size_t)16 * 1024)
#define ALIGN_BYTES ((size_t)16)

struct chunk {
	struct chunk *next;
	size_t size, used; /* of data */
	_Alignas(16) uint8_t data[];
};

struct arena {
	struct chunk *chunks; /* newest first */
	size_t max, used;
};

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = x_new(struct arena);

	a->max = max_bytes;
	return a;
}

static void free_chunks(struct chunk *c)
{
	while (c != NULL) {
		struct chunk *next = c->next;

		mem_free(c);
		c = next;
	}
}

void arena_free(struct arena **a)
{
	if (*a == NULL)
		return;
	free_chunks((*a)->chunks);
	mem_free(*a);
	*a = NULL;
}

void arena_clear(struct arena *a)
{
	struct chunk *c = a->chunks;

	a->used = 0;
	if (c == NULL)
		return;
	free_chunks(c->next);
	c->next = NULL;
	if (c->size > CHUNK_BYTES || POOLS_ARE_MALLOC) {
		mem_free(c);
		a->chunks = NULL;
		return;
	}
	memset(c->data, 0, c->used);
	c->used = 0;
}

/* may_fail: NULL when memory is short; else aborts then, as the x_ functions do. */
static void *alloc(struct arena *a, size_t size, bool may_fail)
{
	struct chunk *c = a->chunks;
	size_t room = POOLS_ARE_MALLOC ? size : (size + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
	void *p;

	if (room < size || (a->max != 0 && room > a->max - MIN(a->used, a->max)))
		return NULL;
	if (POOLS_ARE_MALLOC || c == NULL || c->size - c->used < room) {
		size_t chunk_size = POOLS_ARE_MALLOC ? room : MAX(room, CHUNK_BYTES);

		c = may_fail ? mem_try_alloc(sizeof(*c) + chunk_size)
			     : x_calloc(1, sizeof(*c) + chunk_size);
		if (c == NULL)
			return NULL;
		c->size = chunk_size;
		/* A large object gets a chunk of its own behind the current one, which stays in
		 * use. */
		if (!POOLS_ARE_MALLOC && room > CHUNK_BYTES / 4 && a->chunks != NULL) {
			c->next = a->chunks->next;
			a->chunks->next = c;
		} else {
			c->next = a->chunks;
			a->chunks = c;
		}
	}
	p = c->data + c->used;
	c->used += room;
	a->used += room;
	return p;
}

void *arena_try_alloc(struct arena *a, size_t size)
{
	return alloc(a, size, true);
}

void *arena_x_alloc(struct arena *a, size_t size)
{
	void *p = alloc(a, size, false);

	if (p == NULL) {
		(void)fputs("bellhop: arena exhausted\n", stderr);
		abort();
	}
	return p;
}

char *arena_try_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_try_alloc(a, len + 1);

	if (copy != NULL && len > 0)
		memcpy(copy, s, len);
	return copy;
}

char *arena_x_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_x_alloc(a, len + 1);

	if (len > 0)
		memcpy(copy, s, len);
	return copy;
}

char *arena_x_strdup(struct arena *a, const char *s)
{
	return arena_x_strndup(a, s, strlen(s));
}

char *arena_x_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *text;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = arena_x_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	if (n > 0)
		(void)vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
