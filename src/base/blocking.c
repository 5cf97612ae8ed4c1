/*
 * Threads that say when they wait: a listener and a depth for each thread, nothing shared.
 */
#include "base/blocking.h"

#include <assert.h>
#include <stddef.h>

static _Thread_local struct blocking *listener;
static _Thread_local unsigned depth;

void blocking_listen(struct blocking *b)
{
	assert(depth == 0);
	listener = b;
}

void blocking_begin(void)
{
	if (depth++ == 0 && listener != NULL)
		listener->changed(listener, true);
}

void blocking_end(void)
{
	assert(depth > 0);
	if (--depth == 0 && listener != NULL)
		listener->changed(listener, false);
}
