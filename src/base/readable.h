#ifndef BELLHOP_BASE_READABLE_H
#define BELLHOP_BASE_READABLE_H

#include "base/err.h"

/*
 * Can this user (NULL or "": we ourselves) read that file? Asked of the kernel, by a child process
 * that becomes the user, so that groups, ACLs and the folders above count as they will. -1 with
 * what to do about it, or why it cannot be told. Where we may not become the user, and are not he,
 * the answer is 0. For processes of one thread; blocks.
 */
NODISCARD int readable_by(const char *user, const char *path, struct err *err);

#endif
