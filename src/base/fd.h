#ifndef BELLHOP_BASE_FD_H
#define BELLHOP_BASE_FD_H

#include <stddef.h>

#include "base/err.h"

/* Descriptors: the few calls that everybody needs. Any thread. */

/* Closes and sets to -1; a negative one is left alone. For CLEANUP(fd_close) too. */
void fd_close(int *fd);
/* O_NONBLOCK on or off. */
NODISCARD int fd_set_blocking(int fd, int blocking, struct err *err);
/* All of it, to a file. -1 with errno: some of it may be there. */
NODISCARD int fd_write_all(int fd, const void *bytes, size_t len);

#endif
