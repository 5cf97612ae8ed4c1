#ifndef BELLHOP_DAEMON_SUPERVISOR_H
#define BELLHOP_DAEMON_SUPERVISOR_H

#include <stdbool.h>

#include "base/err.h"

struct listeners;
struct settings;

struct supervisor_options {
	const char *program;     /* absolute path of the program to start children from */
	const char *source_path; /* absolute path of the administrator's configuration */
	const struct settings
		*settings;           /* as loaded, before certificates are filled in; borrowed */
	struct listeners *listeners; /* must outlive the run */
	int lock_fd;                 /* kept open over an upgrade; -1: none */
};

/*
 * Starts the engine and the fronts, keeps them alive, reloads on SIGHUP and on the administrator's
 * wish, until SIGTERM or SIGINT: then the fronts stop first, so that requests on their way are
 * still answered, then the engine. Returns 0 after that. -1: it could not start (a child that ends
 * before the house first served is a failed start), or lost control. Tells systemd: READY,
 * RELOADING, STOPPING, STATUS, WATCHDOG. One thread; blocks for files at a start and a reload only.
 */
NODISCARD int supervisor_run(const struct supervisor_options *options, struct err *err);

/*
 * The same process with the new program: `bellhop upgrade` had the old one write down what it
 * had into state_fd, and execute this. Children, their lines and all sockets are those of before.
 * *options is filled; settings (a reference), listeners, program and source_path are the caller's
 * then. dry: only whether the state can be read and the configuration is good.
 */
NODISCARD int supervisor_resume(
	int state_fd, bool dry, struct supervisor_options *options, struct err *err);

#endif
