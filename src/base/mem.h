#ifndef BELLHOP_BASE_MEM_H
#define BELLHOP_BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

/*
 * Heap memory. The plain functions succeed or abort and give zeroed memory; they are for sizes that
 * we choose. Sizes that a peer chooses go through the _try_ functions, which can refuse.
 *
 * CLEANUP(foo_free) runs foo_free(&variable) at the end of the scope; TAKE(variable) hands the
 * pointer out and leaves NULL behind.
 */

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define TAKE(ptr)                                                                                  \
	__extension__({                                                                            \
		__typeof__(ptr) taken_ = (ptr);                                                    \
		(ptr) = NULL;                                                                      \
		taken_;                                                                            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Each operand is evaluated once: it may be a clock, or an atomic that others change meanwhile. */
#define MIN(a, b)             MEM_PICK(a, b, <, __COUNTER__)
#define MAX(a, b)             MEM_PICK(a, b, >, __COUNTER__)
#define MEM_PICK(a, b, op, n) MEM_PICK_(a, b, op, n)
#ifdef __cppcheck__ /* does not understand statements in expressions */
#define MEM_PICK_(a, b, op, n) ((a)op(b) ? (a) : (b))
#else
#define MEM_PICK_(a, b, op, n)                                                                     \
	({                                                                                         \
		__typeof__(1 ? (a) : (b)) a_##n = (a), b_##n = (b);                                \
		a_##n op b_##n ? a_##n : b_##n;                                                    \
	})
#endif

/* One zeroed object of a type. */
#define x_new(type) ((type *)x_calloc(1, sizeof(type)))

void *x_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *x_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *x_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *x_strndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
char *x_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* NULL when memory is short, or when failure injection says so (mem_fail_after). */
void *mem_try_alloc(size_t size);
void *mem_try_realloc(void *old, size_t size);

/* free() under the house's name; NULL is fine. */
void mem_free(void *p);
/* For CLEANUP(mem_freep) on plain pointers: frees *p, clears it. */
void mem_freep(void *p);

/*
 * For a process of many threads that now and then needs a lot: blocks of MEM_LARGE_BYTES and more
 * are mapped one by one and go back to the system when they are freed. (By itself, malloc learns
 * from the first such block to keep them in the heap of each thread.) Before the first thread.
 *
 * Mapping costs a page fault for every 4 KB, so what is usual, a Sync response of 2 MB on its way,
 * stays below.
 */
#define MEM_LARGE_BYTES ((size_t)5 << 20)
void mem_return_large(void);

/* Gives back to the system whatever whole pages of the heap are free, also those below what is in
 * use, or what malloc keeps for this thread: after many objects that came and went. Walks all free
 * blocks: some milliseconds for tens of MB. */
void mem_trim(void);

/* Tests only: the n-th _try_ allocation from now on fails (1 = the next); 0 switches it off. */
void mem_fail_after(unsigned n);

#endif
