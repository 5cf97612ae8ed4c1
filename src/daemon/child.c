/*
 * Starting a child: the command line, the descriptors it inherits, a clean set of signals. The
 * supervisor has one thread, so everything is allowed between fork and exec.
 */
#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define ARGS_MAX 20

const char *child_role_to_str(enum child_role role)
{
	static const char *const names[] = {[CHILD_ENGINE] = "engine", [CHILD_FRONT] = "front"};

	return names[role];
}

static char *fd_argument(const char *name, const struct fd_list *list)
{
	struct buf text = BUF_INIT;
	size_t len;

	buf_addf(&text, "--%s-fds=", name);
	for (size_t i = 0; i < list->count; i++)
		buf_addf(&text, "%s%d", i > 0 ? "," : "", list->fds[i]);
	return (char *)buf_take(&text, &len);
}

static char **make_arguments(const struct child_spec *spec, int control_fd)
{
	char **args = x_calloc(ARGS_MAX, sizeof(*args));
	size_t n = 0;

	args[n++] = x_strdup("bellhopd");
	args[n++] = x_printf("--role=%s", child_role_to_str(spec->role));
	args[n++] = x_printf("--config=%s", spec->config_path);
	args[n++] = x_printf("--control-fd=%d", control_fd);
	if (spec->role == CHILD_ENGINE)
		args[n++] = x_printf("--source=%s", spec->source_path);
	else
		args[n++] = x_printf("--number=%u", spec->number);
	if (spec->https != NULL && spec->https->count > 0)
		args[n++] = fd_argument("https", spec->https);
	if (spec->http != NULL && spec->http->count > 0)
		args[n++] = fd_argument("http", spec->http);
	if (spec->lmtp != NULL && spec->lmtp->count > 0)
		args[n++] = fd_argument("lmtp", spec->lmtp);
	if (spec->ticket_fd >= 0)
		args[n++] = x_printf("--ticket-fd=%d", spec->ticket_fd);
	if (spec->role == CHILD_FRONT)
		args[n++] = x_printf("--fronts=%u", spec->fronts);
	if (spec->role == CHILD_FRONT && spec->life > 0)
		args[n++] = x_printf("--life=%u", spec->life);
	if (spec->role == CHILD_FRONT && spec->takeover_fd >= 0)
		args[n++] = x_printf("--takeover-fd=%d", spec->takeover_fd);
	if (spec->role == CHILD_ENGINE && spec->upgrading)
		args[n++] = x_strdup("--upgrading=1");
	if (spec->shared_fd >= 0)
		args[n++] = x_printf("--shared-fd=%d", spec->shared_fd);
	if (spec->admin_fd >= 0)
		args[n++] = x_printf("--admin-fd=%d", spec->admin_fd);
	if (spec->baton != NULL && spec->baton->count > 0)
		args[n++] = fd_argument("baton", spec->baton);
	if (spec->notes_fd >= 0)
		args[n++] = x_printf("--notes-fd=%d", spec->notes_fd);
	return args;
}

static void inherit(const struct fd_list *list)
{
	for (size_t i = 0; list != NULL && i < list->count; i++)
		(void)fcntl(list->fds[i], F_SETFD, 0);
}

static _Noreturn void become(const struct child_spec *spec, char **args, int control_fd)
{
	sigset_t none;

	inherit(spec->https);
	inherit(spec->http);
	inherit(spec->lmtp);
	(void)fcntl(control_fd, F_SETFD, 0);
	if (spec->takeover_fd >= 0)
		(void)fcntl(spec->takeover_fd, F_SETFD, 0);
	if (spec->ticket_fd >= 0)
		(void)fcntl(spec->ticket_fd, F_SETFD, 0);
	if (spec->shared_fd >= 0)
		(void)fcntl(spec->shared_fd, F_SETFD, 0);
	inherit(spec->baton);
	if (spec->admin_fd >= 0)
		(void)fcntl(spec->admin_fd, F_SETFD, 0);
	if (spec->notes_fd >= 0)
		(void)fcntl(spec->notes_fd, F_SETFD, 0);
	/* Ctrl-C and a lost terminal reach the whole group; only the supervisor decides what they
	 * mean. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	(void)execv(spec->program, args);
	/* Most often a folder above it that the user of server.user may not enter. */
	log_error(NULL, "program_refused", F_STR("program", spec->program),
		F_STR("error", strerror(errno)));
	_exit(127);
}

int child_start(const struct child_spec *spec, pid_t *ret_pid, int *ret_control_fd, struct err *err)
{
	int line[2] = {-1, -1};
	char **args;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
		return err_set_errno(err, errno, "socketpair");
	if (fd_set_blocking(line[0], 0, err) < 0) {
		fd_close(&line[0]);
		fd_close(&line[1]);
		return -1;
	}
	args = make_arguments(spec, line[1]);
	pid = fork();
	if (pid == 0)
		become(spec, args, line[1]);
	for (size_t i = 0; args[i] != NULL; i++)
		mem_free(args[i]);
	mem_free(args);
	fd_close(&line[1]);
	if (pid < 0) {
		fd_close(&line[0]);
		return err_set_errno(err, errno, "fork");
	}
	*ret_pid = pid;
	*ret_control_fd = line[0];
	return 0;
}

const char *child_status_text(int wait_status, char text[64])
{
	if (WIFSIGNALED(wait_status))
		(void)snprintf(text, 64, "killed by signal %d", WTERMSIG(wait_status));
	else
		(void)snprintf(text, 64, "exit status %d", WEXITSTATUS(wait_status));
	return text;
}
