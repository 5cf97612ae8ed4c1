/*
 * Listeners. What a phone's socket needs is set on the listener and inherited: a million setsockopt
 * calls less.
 *
 * The times: a phone on a mobile network pays for each probe with battery, and a waiting phone
 * costs us little, so they begin when no phone waits for so long any more, and come every 75 s.
 * Data that is not acknowledged ends a connection after some minutes, because a phone may be in a
 * tunnel for them.
 */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define BACKLOG          65535 /* the kernel makes it net.core.somaxconn at most */
#define KEEPALIVE_IDLE_S 3600
#define USER_TIMEOUT_S   600
#define KEEPALIVE_PROBES 4 /* within the time-out, where it is the longer one */

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int bind_and_listen(
	int family, const union any_address *a, socklen_t len, bool reuse_port, int *ret_fd)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
		(!reuse_port || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
		(family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0) &&
		bind(fd, &a->any, len) == 0 && listen(fd, BACKLOG) == 0) {
		*ret_fd = fd;
		return 0;
	}
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

static int listen_v4(struct in_addr host, uint16_t port, bool reuse_port, int *ret_fd)
{
	union any_address a = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

	a.v4.sin_addr = host;
	return bind_and_listen(AF_INET, &a, sizeof(a.v4), reuse_port, ret_fd);
}

static int listen_v6(struct in6_addr host, uint16_t port, bool reuse_port, int *ret_fd)
{
	union any_address a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

	a.v6.sin6_addr = host;
	return bind_and_listen(AF_INET6, &a, sizeof(a.v6), reuse_port, ret_fd);
}

static bool no_such_family(int errnum)
{
	return errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL || errnum == EPROTONOSUPPORT;
}

static int listen_both(struct in_addr v4, struct in6_addr v6, const char *host, uint16_t port,
	bool reuse_port, int ret_fds[2], unsigned *ret_count, struct err *err)
{
	unsigned count = 0;
	int fds[2] = {-1, -1};

	if (listen_v4(v4, port, reuse_port, &fds[0]) == 0)
		count++;
	else if (!no_such_family(errno))
		return err_set_errno(err, errno, "listening on %s:%u", host, port);
	/* Port 0 is any free one, but the same in both families. */
	if (count == 1 && port == 0)
		port = net_local_port(fds[0]);
	if (listen_v6(v6, port, reuse_port, &fds[count]) == 0) {
		count++;
	} else if (!no_such_family(errno) || count == 0) {
		int saved = errno;

		if (count > 0)
			(void)close(fds[0]);
		return err_set_errno(err, saved, "listening on %s:%u (IPv6)", host, port);
	}
	memcpy(ret_fds, fds, sizeof(fds));
	*ret_count = count;
	return 0;
}

int net_listen_tcp(const char *host, uint16_t port, bool reuse_port, int ret_fds[2],
	unsigned *ret_count, struct err *err)
{
	struct in_addr v4 = {htonl(INADDR_ANY)};
	struct in6_addr v6 = in6addr_any;
	int rc;

	if (str_eq(host, "*"))
		return listen_both(v4, v6, host, port, reuse_port, ret_fds, ret_count, err);
	if (str_eq_nocase(host, "localhost")) {
		v4.s_addr = htonl(INADDR_LOOPBACK);
		v6 = in6addr_loopback;
		return listen_both(v4, v6, host, port, reuse_port, ret_fds, ret_count, err);
	}
	if (inet_pton(AF_INET, host, &v4) == 1)
		rc = listen_v4(v4, port, reuse_port, &ret_fds[0]);
	else if (inet_pton(AF_INET6, host, &v6) == 1)
		rc = listen_v6(v6, port, reuse_port, &ret_fds[0]);
	else
		return err_set(
			err, ERR_BAD_INPUT, "\"%s\" is not an address of this machine", host);
	if (rc < 0)
		return err_set_errno(err, errno, "listening on %s port %u", host, port);
	*ret_count = 1;
	return 0;
}

static int unix_address(const char *path, union any_address *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->local.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(ret->local.sun_path))
		return err_set(err, ERR_BAD_INPUT, "socket path %s is too long", path);
	memcpy(ret->local.sun_path, path, strlen(path) + 1);
	return 0;
}

int net_listen_unix(const char *path, unsigned mode, int *ret_fd, struct err *err)
{
	union any_address a;
	struct stat st;
	mode_t before;
	int rc, saved;

	if (unix_address(path, &a, err) < 0)
		return -1;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	/* bind() makes the file: it must never be more open than asked for, not even for a moment.
	 */
	before = umask(~(mode_t)mode & 0777);
	rc = bind_and_listen(AF_UNIX, &a, sizeof(a.local), false, ret_fd);
	saved = errno;
	(void)umask(before);
	return rc < 0 ? err_set_errno(err, saved, "listening on %s", path) : 0;
}

/*
 * Beside TCP_USER_TIMEOUT Linux does not count unanswered probes: after the first one it gives up
 * as soon as the whole silence is longer than the time-out. So who is probed late is asked once,
 * and has as long for its answer as for sent data; there would be no second probe whatever the
 * interval.
 */
static int probe_interval_s(unsigned idle_s, unsigned timeout_s)
{
	return (int)(idle_s >= timeout_s ? timeout_s : MAX(timeout_s / KEEPALIVE_PROBES, 1));
}

static int set_patience(int fd, unsigned idle_s, unsigned timeout_s)
{
	if (set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s) < 0 ||
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_interval_s(idle_s, timeout_s)) <
			0 ||
		set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES) < 0)
		return -1;
	return set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)timeout_s * 1000);
}

int net_listen_tune(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL), fd_flags = fcntl(fd, F_GETFD);
	union any_address a;
	socklen_t len = sizeof(a);

	if (flags < 0 || fd_flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		fcntl(fd, F_SETFD, fd_flags | FD_CLOEXEC) < 0 || getsockname(fd, &a.any, &len) < 0)
		return err_set_errno(err, errno, "listener %d", fd);
	if (a.any.sa_family != AF_INET && a.any.sa_family != AF_INET6)
		return 0;
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) < 0 ||
		set_patience(fd, KEEPALIVE_IDLE_S, USER_TIMEOUT_S) < 0)
		return err_set_errno(err, errno, "preparing listener %d", fd);
	return 0;
}

int net_listen_patience(int fd, unsigned keepalive_idle_s, unsigned timeout_s, struct err *err)
{
	union any_address a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return err_set_errno(err, errno, "listener %d", fd);
	if (a.any.sa_family != AF_INET && a.any.sa_family != AF_INET6)
		return 0;
	if (set_patience(fd, keepalive_idle_s, timeout_s) < 0)
		return err_set_errno(err, errno, "preparing listener %d", fd);
	return 0;
}

static void fill_address(const union any_address *a, struct net_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->any.sa_family == AF_INET6) {
		memcpy(ret->bytes, &a->v6.sin6_addr, 16);
	} else if (a->any.sa_family == AF_INET) {
		memcpy(ret->bytes, mapped_prefix, 12);
		memcpy(ret->bytes + 12, &a->v4.sin_addr, 4);
	} else {
		ret->bytes[15] = 1; /* a Unix socket: the machine itself, ::1 */
	}
}

int net_accept(int listen_fd, struct net_address *ret_address)
{
	for (;;) {
		union any_address a;
		socklen_t len = sizeof(a);
		int fd;

		memset(&a, 0, sizeof(a));
		fd = accept4(listen_fd, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			fill_address(&a, ret_address);
			return fd;
		}
		/* These are about one connection, which went away while it waited. */
		if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO &&
			errno != ENETDOWN && errno != EHOSTDOWN && errno != EHOSTUNREACH &&
			errno != ENETUNREACH && errno != ENOPROTOOPT)
			return -1;
	}
}

int net_connect_unix(const char *path, int *ret_fd, struct err *err)
{
	union any_address a;
	int fd, saved;

	if (unix_address(path, &a, err) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "socket");
	if (connect(fd, &a.any, sizeof(a.local)) == 0) {
		*ret_fd = fd;
		return 0;
	}
	saved = errno;
	(void)close(fd);
	return err_set_errno(err, saved, "connecting to %s", path);
}

uint16_t net_local_port(int fd)
{
	union any_address a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return 0;
	if (a.any.sa_family == AF_INET)
		return ntohs(a.v4.sin_port);
	return a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : 0;
}

bool net_address_is_ipv4(const struct net_address *a)
{
	return memcmp(a->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

const char *net_address_to_str(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
	const char *done = net_address_is_ipv4(a)
				   ? inet_ntop(AF_INET, a->bytes + 12, text, NET_ADDRESS_TEXT)
				   : inet_ntop(AF_INET6, a->bytes, text, NET_ADDRESS_TEXT);

	return done != NULL ? done : "";
}

bool net_address_parse(const char *text, struct net_address *ret)
{
	struct net_address a;

	memcpy(a.bytes, mapped_prefix, sizeof(mapped_prefix));
	if (inet_pton(AF_INET, text, a.bytes + 12) != 1 && inet_pton(AF_INET6, text, a.bytes) != 1)
		return false;
	*ret = a;
	return true;
}
