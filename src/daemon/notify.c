/*
 * One datagram per state, to the socket that systemd named. Owns that one connection, for the life
 * of the process: the only global state of the supervisor. One thread.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/log.h"

static int notify_fd = -1;

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_usec = 500000};
	socklen_t len;

	fd_close(&notify_fd);
	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
		strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* an abstract one */
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify_fd < 0)
		return;
	(void)setsockopt(notify_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(notify_fd, (struct sockaddr *)&address, len) < 0) {
		log_warn(NULL, "notify_failed", F_STR("socket", path),
			F_STR("error", strerror(errno)));
		fd_close(&notify_fd);
	}
}

int notify_descriptor(void)
{
	return notify_fd;
}

void notify_adopt(int fd)
{
	fd_close(&notify_fd);
	notify_fd = fd;
}

void notify_systemd(bool important, const char *fmt, ...)
{
	int flags = MSG_NOSIGNAL | (important ? 0 : MSG_DONTWAIT);
	char state[512];
	__builtin_va_list ap;

	if (notify_fd < 0)
		return;
	__builtin_va_start(ap, fmt);
	(void)vsnprintf(state, sizeof(state), fmt, ap);
	__builtin_va_end(ap);
	if (send(notify_fd, state, strlen(state), flags) >= 0)
		return;
	/* The receiver was started again. */
	if (errno == ECONNREFUSED || errno == ENOTCONN || errno == EPIPE) {
		notify_open();
		if (notify_fd >= 0 && send(notify_fd, state, strlen(state), flags) >= 0)
			return;
	}
	if (important)
		log_warn(NULL, "notify_failed", F_STR("state", state),
			F_STR("error", strerror(errno)));
}
