#ifndef BELLHOP_DAEMON_PRIVILEGES_H
#define BELLHOP_DAEMON_PRIVILEGES_H

#include "base/err.h"

struct settings;

/* Once, in main(), before the first child. All block. */

/*
 * data_dir (0700) and runtime_dir (0755), made when they are not there (their parents must be),
 * owned by server.user; and a lock in data_dir, held by *ret_lock_fd as long as it is open, so that
 * no two servers work on one store.
 */
NODISCARD int privileges_make_dirs(
	const struct settings *settings, int *ret_lock_fd, struct err *err);
/* Raises the limit of descriptors as far as it is allowed; returns what one process may have. */
unsigned long privileges_raise_descriptors(const struct settings *settings);
/* As far as we may: the fronts keep the keys of TLS connections out of the swap. */
void privileges_raise_locked_memory(void);
/* Fronts to start: the configured number, or one per core and more where a process may not have
 * enough descriptors. */
unsigned privileges_front_count(const struct settings *settings, unsigned long descriptors);
/* Becomes server.user with its groups, for good, when one is configured; and gives up gaining
 * rights by exec. */
NODISCARD int privileges_drop(const struct settings *settings, struct err *err);

#endif
