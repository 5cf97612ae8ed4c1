#ifndef BELLHOP_ENGINE_ENGINE_H
#define BELLHOP_ENGINE_ENGINE_H

#include <stddef.h>

#include "base/err.h"

/*
 * The engine: the process that does the work. It listens on <runtime_dir>/engine.sock for the fronts (ipc.h) and on
 * <runtime_dir>/admin.sock for the administrator's command, takes mail on the LMTP listeners, and runs every
 * request on a worker thread.
 */
struct settings;

struct engine_options {
	const struct settings *settings; /* borrowed; good until engine_run() returns */
	/*
	 * Reads the configuration again. The engine keeps the result, and gives it to free_settings when the last request that uses it has ended.
	 * ERR_BAD_INPUT: the old settings stay. Called on the loop's thread. Both NULL: no reload.
	 */
	int (*reload)(void *owner, struct settings **ret, struct err *err);
	void (*free_settings)(struct settings **settings);
	void *owner;

	const int *lmtp_fds; /* listening sockets, TCP or Unix; the engine closes them at its end */
	size_t lmtp_fd_count;
	/*
	 * The supervisor's line, a stream socket: byte 'R' means reload; end of file means an orderly stop. The engine writes
	 * one byte 'r' when it listens. -1: none, then it runs until SIGTERM.
	 */
	int control_fd;
};

/*
 * Runs until it is told to stop: no new work, the running requests finish, the store closes. Returns 0 after an orderly stop. Starts threads; call it once,
 * in a process of its own, before any other thread (it initialises the libraries).
 */
NODISCARD int engine_run(const struct engine_options *options, struct err *err);

#endif
