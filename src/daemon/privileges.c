/*
 * What only root may do, and how we stop being root: folders, limits, user. Not thread-safe: the
 * supervisor is one thread.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/capacity.h"
#include "conf/settings.h"

#define DESCRIPTORS_OF_OUR_OWN 192 /* of a front, beside phones: conf/capacity.c */

/* NULL: none configured. */
static int find_user(const struct settings *settings, const struct passwd **ret, struct err *err)
{
	const struct passwd *pw = NULL;

	if (settings->server_user[0] != '\0') {
		errno = 0;
		pw = getpwnam(settings->server_user);
		if (pw == NULL && (errno == 0 || errno == ENOENT))
			return err_set(err, ERR_BAD_INPUT,
				"server.user: there is no user \"%s\" on this system",
				settings->server_user);
		if (pw == NULL)
			return err_set_errno(
				err, errno, "server.user \"%s\"", settings->server_user);
	}
	*ret = pw;
	return 0;
}

static int make_dir(const char *path, mode_t mode, const struct passwd *pw, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		if (pw != NULL && geteuid() == 0 && chown(path, pw->pw_uid, pw->pw_gid) < 0)
			return err_set_errno(err, errno, "giving %s to %s", path, pw->pw_name);
	} else if (errno != EEXIST) {
		return err_set_errno(err, errno, "making %s", path);
	}
	if (stat(path, &st) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_BAD_INPUT, "%s is not a folder", path);
	if (pw != NULL && geteuid() == 0 && st.st_uid != pw->pw_uid)
		return err_set(err, ERR_DENIED, "%s does not belong to %s (server.user)", path,
			pw->pw_name);
	return 0;
}

int privileges_make_dirs(const struct settings *settings, int *ret_lock_fd, struct err *err)
{
	const struct passwd *pw = NULL;
	char *path;
	int fd, status = 0;

	if (find_user(settings, &pw, err) < 0 ||
		make_dir(settings->server_data_dir, 0700, pw, err) < 0 ||
		make_dir(settings->server_runtime_dir, 0755, pw, err) < 0)
		return -1;
	path = x_printf("%s/bellhopd.lock", settings->server_data_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EROFS)
		status = err_set_errno(err, errno,
			"%s, which the systemd unit may keep from being written (ReadWritePaths=, "
			"bellhopd(8))",
			path);
	else if (fd < 0)
		status = err_set_errno(err, errno, "%s", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		status = errno == EWOULDBLOCK
				 ? err_set(err, ERR_BUSY, "another bellhopd is running on %s",
					   settings->server_data_dir)
				 : err_set_errno(err, errno, "%s", path);
	if (status < 0)
		fd_close(&fd);
	else
		*ret_lock_fd = fd;
	mem_free(path);
	return status;
}

unsigned long privileges_raise_descriptors(const struct settings *settings)
{
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	wanted.rlim_cur = wanted.rlim_max =
		MAX(limit.rlim_max, settings->server_max_connections + DESCRIPTORS_OF_OUR_OWN);
	if (setrlimit(RLIMIT_NOFILE, &wanted) < 0) {
		/* Not root, or above what the kernel allows: then what we have. */
		wanted.rlim_cur = wanted.rlim_max = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &wanted) < 0)
			return (unsigned long)limit.rlim_cur;
	}
	return (unsigned long)wanted.rlim_cur;
}

void privileges_raise_locked_memory(void)
{
	struct rlimit limit, wanted = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &wanted) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

unsigned privileges_front_count(const struct settings *settings, unsigned long descriptors)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t wanted = settings->server_max_connections;
	uint64_t fronts = capacity_fronts(
		settings->server_fronts, wanted, descriptors, cores > 0 ? (uint64_t)cores : 1);
	uint64_t possible = fronts * capacity_front_room(descriptors);

	if (possible < wanted)
		log_warn(NULL, "descriptors_short", F_UINT("limit", descriptors),
			F_UINT("fronts", fronts), F_UINT("max_connections", wanted),
			F_UINT("possible", possible));
	return (unsigned)fronts;
}

int privileges_drop(const struct settings *settings, struct err *err)
{
	const struct passwd *pw = NULL;

	if (find_user(settings, &pw, err) < 0)
		return -1;
	if (pw != NULL && pw->pw_uid != geteuid()) {
		if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
			setuid(pw->pw_uid) < 0)
			return err_set_errno(err, errno, "becoming %s (server.user)", pw->pw_name);
		if (pw->pw_uid != 0 && setuid(0) == 0)
			return err_set(err, ERR_INTERNAL, "could become root again");
	}
	if (geteuid() == 0)
		log_warn(NULL, "running_as_root", F_STR("advice", "set server.user"));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_errno(err, errno, "PR_SET_NO_NEW_PRIVS");
	return 0;
}
