#ifndef BELLHOP_ENGINE_ENGINE_H
#define BELLHOP_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * The engine: the process that does the work. It listens on <runtime_dir>/engine.sock for the
 * fronts (ipc.h) and on <runtime_dir>/admin.sock for the administrator's command, takes mail on the
 * LMTP listeners, and runs every request on a worker thread.
 */
struct settings;

struct engine_options {
	const struct settings *settings; /* borrowed: the engine takes references of its own */
	/*
	 * Reads the configuration again (already merged with the running one); the engine takes
	 * over the reference. ERR_BAD_INPUT: the old settings stay. Called on the loop's thread.
	 * NULL: no reload.
	 */
	int (*reload)(void *owner, const struct settings **ret, struct err *err);
	void *owner;
	const char *config_path; /* for the admin verbs; may be NULL */

	const int *lmtp_fds; /* listening sockets, TCP or Unix; the engine closes them at its end */
	size_t lmtp_fd_count;
	/*
	 * The supervisor's line, a stream socket. From the supervisor: 'R' reload; end of file: an
	 * orderly stop. To it: 'r' once, when the engine listens; 'd' after each reload; 'R',
	 * 'E' and 'U' when the administrator asks for a reload, a restart of the engine, or an
	 * upgrade. His reload and his upgrade are answered '+', or '-', why not, and a newline. -1:
	 * none, then the engine runs until SIGTERM.
	 */
	int control_fd;
	bool upgrading; /* the fronts are still to be replaced: 'F' or 'X' says when that is over */
	/* The administrator's listener, whose path stays when the engine ends; the engine closes
	 * it. -1: it makes one itself. */
	int admin_fd;
	/* Where connections of LMTP and of the administrator go at the end, and come from at the
	 * start (net/baton.h); the caller's. -1: none. */
	int baton_fds[2];
	/* The page of notes (base/notes.h), which tells what the engine before this one died of;
	 * the caller's. -1: none. */
	int notes_fd;
};

/*
 * Runs until it is told to stop: no new work, the running requests finish, the store closes.
 * Returns 0 after an orderly stop. Starts threads; call it once, in a process of its own, before
 * any other thread (it initialises the libraries).
 */
NODISCARD int engine_run(const struct engine_options *options, struct err *err);

#endif
