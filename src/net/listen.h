#ifndef BELLHOP_NET_LISTEN_H
#define BELLHOP_NET_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Listening sockets and who comes in. Descriptors are CLOEXEC and non-blocking from birth. IPv4 and
 * IPv6 are always two sockets: a dual-stack socket costs each IPv4 phone more.
 */

/* An address of a client: IPv6, or IPv4 mapped into it (::ffff:a.b.c.d). */
struct net_address {
	uint8_t bytes[16];
};

#define NET_ADDRESS_TEXT 46

/*
 * Listens on host:port. host: "*" (every address of both families), "localhost", or a numeric
 * address. reuse_port: several processes may each have a listener of their own. Fills ret_fds, at
 * most two; on failure none is left open. A family that the machine does not have is left out of
 * "*" and "localhost".
 */
NODISCARD int net_listen_tcp(const char *host, uint16_t port, bool reuse_port, int ret_fds[2],
	unsigned *ret_count, struct err *err);
/* A Unix stream socket; a stale one in its place is removed first. mode: permission bits, for
 * example 0600. */
NODISCARD int net_listen_unix(const char *path, unsigned mode, int *ret_fd, struct err *err);
/*
 * Prepares a listener that was made here or elsewhere (socket activation) for phones: non-blocking,
 * CLOEXEC, and what its connections inherit: no Nagle delay, keep-alive probes, and an end for data
 * that nobody acknowledges. Does nothing to Unix sockets but the first two.
 */
NODISCARD int net_listen_tune(int fd, struct err *err);

/* When a silent connection of the listener is probed first, and when one ends whose data nobody
 * acknowledges. Does nothing to Unix sockets. */
NODISCARD int net_listen_patience(
	int fd, unsigned keepalive_idle_s, unsigned timeout_s, struct err *err);

/* A new connection, non-blocking and CLOEXEC. -1 with errno: EAGAIN when there is none; errors of
 * single connections are skipped. */
int net_accept(int listen_fd, struct net_address *ret_address);

/* Connects to a Unix stream socket; does not block. */
NODISCARD int net_connect_unix(const char *path, int *ret_fd, struct err *err);
/* Port of a listener; 0 for Unix sockets. */
uint16_t net_local_port(int fd);

/* Text form; IPv4-mapped as IPv4. Returns text. */
const char *net_address_to_str(const struct net_address *a, char text[NET_ADDRESS_TEXT]);
bool net_address_is_ipv4(const struct net_address *a);
/* Numeric only, without brackets. */
bool net_address_parse(const char *text, struct net_address *ret);

#endif
