/* Asks whether another user may read a file. No state; forks, so for processes of one thread. */
#include "base/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define NOT_HIM 255 /* no errno is as great */

/* errno; 0: it can be read. */
static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), trouble = fd < 0 ? errno : 0;

	fd_close(&fd);
	return trouble;
}

static int try_as(const struct passwd *pw, const char *path)
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		return NOT_HIM;
	if (child == 0) {
		if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
			setuid(pw->pw_uid) < 0)
			_exit(NOT_HIM);
		_exit(try_open(path));
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return NOT_HIM;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : NOT_HIM;
}

int readable_by(const char *user, const char *path, struct err *err)
{
	const struct passwd *pw = user != NULL && *user != '\0' ? getpwnam(user) : NULL;
	int trouble;

	if (user != NULL && *user != '\0' && pw == NULL)
		return err_set(
			err, ERR_BAD_INPUT, "there is no user \"%.80s\" on this system", user);
	if (pw != NULL && pw->pw_uid != geteuid()) {
		if (geteuid() != 0)
			return 0;
		trouble = try_as(pw, path);
		if (trouble == NOT_HIM)
			return err_set(
				err, ERR_INTERNAL, "cannot try to read %s as %s", path, user);
	} else {
		trouble = try_open(path);
	}
	if (trouble == 0)
		return 0;
	if (trouble != EACCES || pw == NULL)
		return err_set(err, trouble == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, "%s: %s", path,
			strerror(trouble));
	return err_set(err, ERR_DENIED,
		"%s: the user %s cannot read it; let him, for example: chgrp %s %s && chmod g+r "
		"%s; "
		"and the folders above must let him pass",
		path, user, user, path, path);
}
