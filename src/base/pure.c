/*
 * Which threads are in a pure stretch, and what happens to those that break it. One pointer per
 * thread, and nothing shared.
 */
#include "base/pure.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local const char *inside;

void pure_begin(const char *name)
{
	assert(inside == NULL);
	inside = name;
}

void pure_end(void)
{
	assert(inside != NULL);
	inside = NULL;
}

bool pure_inside(void)
{
	return inside != NULL;
}

#if PURE_CHECKS
void pure_check(const char *call)
{
	const char *name = inside;

	if (name == NULL)
		return;
	inside = NULL; /* what follows may write */
	(void)fprintf(stderr, "%s called within %s, which may touch nothing but its memory\n", call,
		name);
	abort();
}
#endif
