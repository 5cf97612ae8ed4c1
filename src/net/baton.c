/*
 * A message is one letter with two descriptors, the connection and an anonymous file with the
 * state, so it is small whatever the state is, and the socket takes some hundreds of them.
 *
 * Limits: NET_BATON_BYTES_MAX of a state; what the socket's buffer takes.
 */
#include "net/baton.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "net/fds.h"

#define BUFFER_BYTES (1024 * 1024)

int net_baton_pair(int ret_fds[2], struct err *err)
{
	int bytes = BUFFER_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_set_errno(err, errno, "socketpair");
	(void)setsockopt(ret_fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

bool net_baton_pass(int fd, char kind, int connection, const void *state, size_t len)
{
	int fds[2] = {connection, memfd_create("baton", MFD_CLOEXEC)};
	bool passed;

	passed = len <= NET_BATON_BYTES_MAX && fds[1] >= 0 &&
		 fd_write_all(fds[1], state, len) == 0 && net_fds_send(fd, &kind, 1, fds, 2) == 1;
	fd_close(&fds[1]);
	return passed;
}

static bool read_all(int fd, uint8_t **ret, size_t *ret_len)
{
	struct stat st;
	uint8_t *bytes;
	size_t len, at = 0;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size > NET_BATON_BYTES_MAX)
		return false;
	len = (size_t)st.st_size;
	bytes = x_calloc(1, MAX(len, (size_t)1));
	while (at < len) {
		ssize_t n = pread(fd, bytes + at, len - at, (off_t)at);

		if (n <= 0) {
			mem_free(bytes);
			return false;
		}
		at += (size_t)n;
	}
	*ret = bytes;
	*ret_len = len;
	return true;
}

bool net_baton_take(
	int fd, char *ret_kind, int *ret_connection, uint8_t **ret_state, size_t *ret_len)
{
	int fds[NET_FDS_MAX];
	size_t count = 0;

	while (net_fds_receive(fd, ret_kind, 1, fds, &count) > 0) {
		bool whole = count == 2 && read_all(fds[1], ret_state, ret_len);

		for (size_t i = whole ? 1 : 0; i < count; i++)
			fd_close(&fds[i]);
		if (!whole)
			continue;
		*ret_connection = fds[0];
		return true;
	}
	return false;
}
