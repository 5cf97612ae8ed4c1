#ifndef BELLHOP_NET_FDS_H
#define BELLHOP_NET_FDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Messages with descriptors over Unix sockets, between processes of our own (SCM_RIGHTS). On a
 * SOCK_SEQPACKET socket a message arrives whole or not at all.
 */
#define NET_FDS_MAX 253 /* the kernel's SCM_MAX_FD */

/* Sends all or nothing; the descriptors stay the caller's. len must not be 0. NET_AGAIN,
 * NET_FAILED, or len; does not block. */
int64_t net_fds_send(int fd, const void *bytes, size_t len, const int *fds, size_t count);
/*
 * One message of at most max bytes (on a stream socket: what is there). Its descriptors, CLOEXEC,
 * are the caller's: fds has room for NET_FDS_MAX. NET_AGAIN, NET_EOF, or NET_FAILED (also for what
 * was cut off; then none is left open); does not block.
 */
int64_t net_fds_receive(int fd, void *bytes, size_t max, int *fds, size_t *ret_count);

#endif
