/*
 * Chunks of CHUNK_BYTES, aligned to their own size, so that an object's address leads to its chunk
 * and that to the vault. A chunk has a list of its free objects, linked by numbers inside them;
 * chunks with room are in a list, the last one used first, so that a few are full and empty ones
 * go back to the system. One empty chunk is kept against the to and fro at a border.
 *
 * Locking may fail (RLIMIT_MEMLOCK): then the vault works on without, and says why when asked.
 */
#include "net/vault.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

#if POOLS_ARE_MALLOC
#define CHUNK_BYTES ((size_t)4096)
#else
#define CHUNK_BYTES ((size_t)64 * 1024)
#endif
#define FIRST_OBJECT 64u
#define NONE         UINT16_MAX

struct chunk {
	struct list_node node; /* in vault.roomy, or alone */
	struct vault *vault;
	uint16_t first_free, live, used; /* used: objects below were handed out before */
};

_Static_assert(sizeof(struct chunk) <= FIRST_OBJECT, "the head of a chunk");

struct vault {
	size_t object_size, chunk_count, count;
	uint16_t per_chunk;
	struct list_node roomy;
	struct chunk *empty; /* in roomy, too; NULL: none is empty */
	void *owner;
	int lock_error;
};

struct vault *vault_new(size_t object_size, void *owner)
{
	struct vault *v = x_new(struct vault);

	assert(object_size >= 16 && object_size <= 1024);
	v->object_size = (object_size + 7) & ~(size_t)7;
	v->per_chunk =
		POOLS_ARE_MALLOC ? 1 : (uint16_t)((CHUNK_BYTES - FIRST_OBJECT) / v->object_size);
	v->owner = owner;
	list_init(&v->roomy);
	return v;
}

static void list_prepend(struct list_node *head, struct list_node *node)
{
	list_append(head->next, node);
}

static struct chunk *chunk_of(const void *object)
{
	return (struct chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK_BYTES - 1));
}

static uint8_t *object_at(const struct vault *v, struct chunk *c, uint16_t at)
{
	return (uint8_t *)c + FIRST_OBJECT + at * v->object_size;
}

#if POOLS_ARE_MALLOC
static void *chunk_map(struct vault *v)
{
	void *p = NULL;

	return posix_memalign(&p, CHUNK_BYTES, FIRST_OBJECT + v->object_size) == 0 ? p : NULL;
}

static void chunk_unmap(struct chunk *c)
{
	free(c);
}
#else
/* Twice the size holds an aligned one; the rest goes back at once. */
static void *chunk_map(struct vault *v)
{
	uint8_t *p = mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (CHUNK_BYTES - ((uintptr_t)p & (CHUNK_BYTES - 1))) & (CHUNK_BYTES - 1);
	if (before > 0)
		(void)munmap(p, before);
	(void)munmap(p + before + CHUNK_BYTES, CHUNK_BYTES - before);
	p += before;
	(void)madvise(p, CHUNK_BYTES, MADV_DONTDUMP);
	(void)madvise(p, CHUNK_BYTES, MADV_WIPEONFORK);
	if (v->lock_error == 0 && mlock(p, CHUNK_BYTES) < 0)
		v->lock_error = errno;
	return p;
}

static void chunk_unmap(struct chunk *c)
{
	(void)munmap(c, CHUNK_BYTES);
}
#endif

static struct chunk *chunk_new(struct vault *v)
{
	struct chunk *c = chunk_map(v);

	if (c == NULL)
		return NULL;
	*c = (struct chunk){.vault = v, .first_free = NONE};
	list_init(&c->node);
	v->chunk_count++;
	return c;
}

static void chunk_free(struct chunk *c)
{
	list_remove(&c->node);
	c->vault->chunk_count--;
	chunk_unmap(c);
}

void *vault_take(struct vault *v)
{
	struct chunk *c = list_empty(&v->roomy) ? chunk_new(v)
						: LIST_ENTRY(v->roomy.next, struct chunk, node);
	uint8_t *object;

	if (c == NULL)
		return NULL;
	if (c->first_free != NONE) {
		object = object_at(v, c, c->first_free);
		c->first_free = *(uint16_t *)(void *)object;
	} else {
		object = object_at(v, c, c->used++);
	}
	secret_wipe(object, v->object_size);
	if (v->empty == c)
		v->empty = NULL;
	c->live++;
	v->count++;
	list_remove(&c->node);
	if (c->live < v->per_chunk)
		list_prepend(&v->roomy, &c->node);
	return object;
}

void vault_put(void *object)
{
	struct chunk *c;
	struct vault *v;

	if (object == NULL)
		return;
	c = chunk_of(object);
	v = c->vault;
	secret_wipe(object, v->object_size);
	*(uint16_t *)object = c->first_free;
	c->first_free =
		(uint16_t)(((uint8_t *)object - (uint8_t *)c - FIRST_OBJECT) / v->object_size);
	c->live--;
	v->count--;
	if (c->live == 0 && (v->empty != NULL || POOLS_ARE_MALLOC)) {
		chunk_free(c);
		return;
	}
	list_remove(&c->node);
	/* A chunk that empties is used last, so that it can stay empty. */
	if (c->live == 0) {
		v->empty = c;
		list_append(&v->roomy, &c->node);
	} else {
		list_prepend(&v->roomy, &c->node);
	}
}

void *vault_owner(const void *object)
{
	return chunk_of(object)->vault->owner;
}

size_t vault_count(const struct vault *v)
{
	return v->count;
}

size_t vault_bytes(const struct vault *v)
{
	return v->chunk_count * CHUNK_BYTES;
}

int vault_lock_error(const struct vault *v)
{
	return v->lock_error;
}

void vault_free(struct vault **vp)
{
	struct vault *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	assert(v->count == 0);
	if (v->empty != NULL)
		chunk_free(v->empty);
	mem_free(v);
}
