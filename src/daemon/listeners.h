#ifndef BELLHOP_DAEMON_LISTENERS_H
#define BELLHOP_DAEMON_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct settings;

/* A few descriptors, owned. */
struct fd_list {
	int *fds;
	size_t count;
};

/*
 * All listening sockets, open for the life of the supervisor: a front that died leaves its
 * connections waiting for the next one. Each front has TCP sockets of its own (SO_REUSEPORT);
 * sockets from systemd are shared by all fronts.
 */
struct listeners {
	unsigned fronts;
	struct fd_list *https, *http;   /* one list per front */
	bool https_shared, http_shared; /* the lists of all fronts hold the same descriptors */
	struct fd_list lmtp;
};

/*
 * Opens what the configuration asks for, or takes what systemd opened: sockets called https, http
 * and lmtp (FileDescriptorName=), which replace the configured ones of that kind. Logs each
 * address. Paths of Unix sockets start at runtime_dir. The environment of socket activation is used
 * up.
 */
NODISCARD int listeners_open(
	const struct settings *settings, unsigned fronts, struct listeners **ret, struct err *err);
void listeners_free(struct listeners **l);
/* Any address for HTTPS? */
bool listeners_have_https(const struct listeners *l);

#endif
