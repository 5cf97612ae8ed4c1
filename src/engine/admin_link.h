#ifndef BELLHOP_ENGINE_ADMIN_LINK_H
#define BELLHOP_ENGINE_ADMIN_LINK_H

#include "admin/admin.h"
#include "base/err.h"
#include "loop/loop.h"

/*
 * The administrator's socket: lines of JSON in, lines of JSON out (admin.h), each on a thread of
 * its own small pool, so that it answers while all workers are busy.
 */
struct admin_link;

struct admin_link_options {
	struct loop *loop; /* both must outlive it */
	struct admin *admin;
	const char *path; /* is listened on, mode 0600, when there is no listener yet */
	int listen_fd;    /* a listener; owned from now on. -1: none */
	/* Where connections go at the stop (net/baton.h), as ADMIN_LINK_BATON; the caller's. -1:
	 * nowhere. */
	int baton_fd;
};

#define ADMIN_LINK_BATON 'A'

/* Loop thread. */
NODISCARD int admin_link_start(
	const struct admin_link_options *options, struct admin_link **ret, struct err *err);
/* A connection that another process had, and what came over it; owned. Loop thread. */
void admin_link_adopt(struct admin_link *link, int fd, const uint8_t *request, size_t len);
/* Waits for requests that run; connections go to the next process. NULL inside is fine. */
void admin_link_stop(struct admin_link **link);

#endif
