#ifndef BELLHOP_DAEMON_CHILD_H
#define BELLHOP_DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "daemon/listeners.h"

/*
 * One child process of the supervisor, as a program started anew (fork and exec of our own file),
 * so that a restart after an upgrade runs the new code and no child inherits memory. Its line to
 * the supervisor is a stream socket: 'R' down: reload; closed: stop in order; 'r' up: serving; 'd'
 * up: the reload is done. Of the engine only: 'R' and 'E' up, the administrator wants a reload, or
 * the engine restarted; 'U' up, he wants an upgrade; '+' down, every child has taken the reload
 * that he wanted over, or the upgrade begins; '-' with a text and a newline, it was refused; 'F'
 * and 'X' down, the upgrade is over, well or not. Of a front only: 'H' down with a socket, hand
 * everything over to the process at its other end; 't' up, everything was taken over.
 */
enum child_role {
	CHILD_ENGINE,
	CHILD_FRONT,
};

const char *child_role_to_str(enum child_role role);

struct child_spec {
	const char *program;     /* absolute */
	const char *config_path; /* active.conf */
	const char *source_path; /* the administrator's file */
	enum child_role role;
	unsigned number;                           /* of a front, from 0 */
	unsigned fronts;                           /* how many there are */
	const struct fd_list *https, *http, *lmtp; /* NULL: none */
	int ticket_fd;               /* key material that all fronts share; -1: none */
	uint32_t life;               /* of a front: processes of its number before */
	int takeover_fd;             /* of a front: to the process whose place it takes; -1: none */
	bool upgrading;              /* of the engine: it starts in the middle of an upgrade */
	int shared_fd;               /* what all fronts know together (shared/shared.h); -1: none */
	int admin_fd;                /* of the engine: the administrator's listener; -1: none */
	const struct fd_list *baton; /* of the engine: net/baton.h; NULL: none */
	int notes_fd; /* what the engine's threads are at work on (base/notes.h); -1: none */
};

/* Starts it; *ret_control_fd is our end of the line (non-blocking). */
NODISCARD int child_start(
	const struct child_spec *spec, pid_t *ret_pid, int *ret_control_fd, struct err *err);

/* "killed by signal 9", "exit status 1"; text is filled and returned. */
const char *child_status_text(int wait_status, char text[64]);

#endif
