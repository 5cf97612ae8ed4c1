#ifndef BELLHOP_BASE_CRASH_TEST_H
#define BELLHOP_BASE_CRASH_TEST_H

/*
 * Faults that a test orders with a word in a message or a request, to see what becomes of everybody
 * else. Only in programs that are built for it (meson's crash_subject, bellhopd-crash); elsewhere
 * nothing is left of it.
 */
#ifndef BELLHOP_CRASH_SUBJECT
#define BELLHOP_CRASH_SUBJECT 0
#endif

#if BELLHOP_CRASH_SUBJECT

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_TEST_HAS(bytes, len, word) (memmem((bytes), (len), (word), strlen(word)) != NULL)
/* As a failed assertion does. */
#define CRASH_TEST_ABORT(bytes, len, word)                                                         \
	do {                                                                                       \
		if (CRASH_TEST_HAS(bytes, len, word))                                              \
			abort();                                                                   \
	} while (0)
/* As a stray pointer does. */
#define CRASH_TEST_FAULT(bytes, len, word)                                                         \
	do {                                                                                       \
		volatile uintptr_t stray = 8;                                                      \
                                                                                                   \
		if (CRASH_TEST_HAS(bytes, len, word))                                              \
			*(volatile char *)stray = 1;                                               \
	} while (0)

#else

#define CRASH_TEST_HAS(bytes, len, word)   0
#define CRASH_TEST_ABORT(bytes, len, word) ((void)0)
#define CRASH_TEST_FAULT(bytes, len, word) ((void)0)

#endif

#endif
