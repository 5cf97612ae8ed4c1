/*
 * One datagram per state, to the socket that systemd named. Keeps nothing open. One thread.
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

void notify_systemd(bool important, const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_usec = 500000};
	char state[512];
	__builtin_va_list ap;
	socklen_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
		strlen(path) >= sizeof(address.sun_path))
		return;
	__builtin_va_start(ap, fmt);
	(void)vsnprintf(state, sizeof(state), fmt, ap);
	__builtin_va_end(ap);
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* an abstract one */
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | (important ? 0 : MSG_DONTWAIT),
		    (struct sockaddr *)&address, len) < 0 &&
		important)
		log_warn(NULL, "notify_failed", F_STR("state", state),
			F_STR("error", strerror(errno)));
	fd_close(&fd);
}
