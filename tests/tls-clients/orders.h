/*
 * What our small clients have in common. Standard input has orders: four bytes of length (big
 * endian), then so many bytes for the server; length 0: update the keys, on both sides. Its end:
 * close_notify. What the server says goes to standard output as it is; "closed" is its last line
 * when the server has answered our close_notify.
 *
 * Arguments of all: PORT VERSION SUITE, the suite by the name that the library has for it.
 */
#ifndef TLS_CLIENTS_ORDERS_H
#define TLS_CLIENTS_ORDERS_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ORDER_MAX 16384

_Noreturn static inline void die(const char *what)
{
	(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

static inline int read_whole(unsigned char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(0, bytes + at, len - at);

		if (n <= 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

/* Count of bytes; 0: update the keys; -1: the end. */
static inline int next_order(unsigned char bytes[ORDER_MAX])
{
	unsigned char head[4];
	size_t len;

	if (read_whole(head, 4) < 0)
		return -1;
	len = (size_t)head[2] << 8 | head[3];
	if (len > ORDER_MAX || read_whole(bytes, len) < 0)
		die("a broken order");
	return (int)len;
}

static inline void show(const unsigned char *bytes, int len)
{
	if (write(1, bytes, (size_t)len) != len)
		die("output");
}

/* Waits for orders or for the server. */
static inline void wait_both(int fd, int *ret_order, int *ret_server)
{
	struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	if (poll(fds, 2, -1) < 0)
		die("poll");
	*ret_order = fds[0].revents != 0;
	*ret_server = fds[1].revents != 0;
}

#endif
