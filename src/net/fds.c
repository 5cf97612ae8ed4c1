/* Descriptors between processes. Owns nothing; what it receives it hands over or closes. */
#include "net/fds.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"
#include "net/stream.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * NET_FDS_MAX)];
};

int64_t net_fds_send(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
	struct iovec part = {(void *)(uintptr_t)bytes, len};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (count > NET_FDS_MAX)
		return NET_FAILED;
	if (count > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do {
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? NET_AGAIN : NET_FAILED;
	return (size_t)n == len ? n : NET_FAILED;
}

/* All that came along. */
static size_t take_fds(struct msghdr *m, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = MIN((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), NET_FDS_MAX - count);
		memcpy(fds + count, CMSG_DATA(c), n * sizeof(int));
		count += n;
	}
	return count;
}

int64_t net_fds_receive(int fd, void *bytes, size_t max, int *fds, size_t *ret_count)
{
	struct iovec part = {bytes, max};
	union control control;
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	size_t count;
	ssize_t n;

	*ret_count = 0;
	do {
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? NET_AGAIN : NET_FAILED;
	count = take_fds(&m, fds);
	if (n == 0 || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
		return n == 0 ? NET_EOF : NET_FAILED;
	}
	*ret_count = count;
	return n;
}
