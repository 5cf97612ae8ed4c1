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

/* Listens on path (mode 0600). The loop and admin must outlive it. Loop thread. */
NODISCARD int admin_link_start(struct loop *loop, struct admin *admin, const char *path,
	struct admin_link **ret, struct err *err);
/* Waits for requests that run. NULL inside is fine. */
void admin_link_stop(struct admin_link **link);

#endif
