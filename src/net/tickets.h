#ifndef BELLHOP_NET_TICKETS_H
#define BELLHOP_NET_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The keys of session tickets (RFC 5077, RFC 8446 4.6.1) in memory that processes share: a session
 * resumes at any of them. One process, the supervisor, makes and changes them; the others read. New
 * tickets get the newest key, those of the two keys before it are still good; older keys are gone
 * from memory, and what was sealed with them can never be opened again.
 */
struct net_tickets;
struct ssl_ctx_st;

#define NET_TICKETS_GENERATIONS 3

/* A memory file with a first key. */
NODISCARD int net_tickets_create(int *ret_fd, struct err *err);
/* The writer: a new key if the newest is interval_s old by the wall clock (0: in any case). */
NODISCARD int net_tickets_rotate(int fd, uint64_t interval_s, bool *ret_rotated, struct err *err);

/* A reader's view; fd may be closed afterwards. */
NODISCARD int net_tickets_open(int fd, struct net_tickets **ret, struct err *err);
void net_tickets_close(struct net_tickets **t);
/* Connections of this context use them. lifetime_s: what clients are told. Kept, must outlive the
 * context. */
void net_tickets_use(struct ssl_ctx_st *ctx, struct net_tickets *t, uint64_t lifetime_s);

#endif
