/*
 * Heap memory: abort on small failures, report on large ones. Thread-safe.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sizes that malloc keeps for a thread, 7 blocks of each; and how many to choose from. */
#define CACHED_MIN  24u
#define CACHED_MAX  1032u
#define CACHED_STEP 16u
#define CACHE_ROUND 32u

static _Atomic unsigned fail_countdown; /* 0 = off; tests only */

static void *must(void *p)
{
	if (p == NULL) {
		(void)fputs("bellhop: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *x_calloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *x_realloc(void *old, size_t size)
{
	return must(realloc(old, size ? size : 1));
}

char *x_strdup(const char *s)
{
	return must(strdup(s));
}

char *x_strndup(const char *s, size_t len)
{
	return must(strndup(s, len));
}

char *x_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : text);
}

static int injected_failure(void)
{
	unsigned left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);

	if (left == 0)
		return 0;
	return atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1;
}

void *mem_try_alloc(size_t size)
{
	return injected_failure() ? NULL : calloc(1, size ? size : 1);
}

void *mem_try_realloc(void *old, size_t size)
{
	return injected_failure() ? NULL : realloc(old, size ? size : 1);
}

void mem_free(void *p)
{
	free(p);
}

void mem_freep(void *p)
{
	void **slot = p;

	free(*slot);
	*slot = NULL;
}

void mem_return_large(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, (int)MEM_LARGE_BYTES);
	/* Each heap keeps a little, so that a busy thread does not give back and ask again. */
	(void)mallopt(M_TRIM_THRESHOLD, (int)(2 * MEM_LARGE_BYTES));
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;

	return (x > y) - (x < y);
}

/* Frees the lowest first: as many stay in malloc's cache of this thread. */
static void refill_cache(size_t size)
{
	void *held[CACHE_ROUND];
	size_t count = 0;

	while (count < CACHE_ROUND && (held[count] = malloc(size)) != NULL)
		count++;
	qsort(held, count, sizeof(*held), by_address);
	for (size_t i = 0; i < count; i++)
		free(held[i]);
}

/*
 * malloc keeps the last few freed blocks of each small size for its thread, and to malloc_trim()
 * they are in use. After a crowd they lie all over a heap of tens of MB, each in a page of its own,
 * which is kept for it: up to 448 pages. So they are changed for blocks from the beginning of the
 * heap, where what stays lies, too.
 */
void mem_trim(void)
{
	for (size_t size = CACHED_MIN; size <= CACHED_MAX; size += CACHED_STEP)
		refill_cache(size);
	(void)malloc_trim(0);
}

void mem_fail_after(unsigned n)
{
	atomic_store(&fail_countdown, n);
}
