#ifndef BELLHOP_NET_BATON_H
#define BELLHOP_NET_BATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Connections that outlive the process that serves them. Whoever ends puts each into a socket, with
 * what it knows of it; it stays there until the next process takes it out. Both ends are held open
 * by somebody who outlives them all. Nobody blocks.
 */

#define NET_BATON_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* [0]: to pass; [1]: to take. Both CLOEXEC. */
NODISCARD int net_baton_pair(int ret_fds[2], struct err *err);
/* kind: a letter that says whose it is. False: nobody will take it, or there is no room; nothing
 * has happened. The connection stays the caller's in any case, to be closed without a word after
 * true. */
bool net_baton_pass(int fd, char kind, int connection, const void *state, size_t len);
/* False: nothing is there. Else connection (CLOEXEC) and state are the caller's; mem_free(). */
bool net_baton_take(
	int fd, char *ret_kind, int *ret_connection, uint8_t **ret_state, size_t *ret_len);

#endif
