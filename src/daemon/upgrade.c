/*
 * `bellhop upgrade`: every process is replaced by the program that is installed now, and no phone
 * notices.
 *
 * A normal case: the engine writes 'U'. The new program is tried: it must read our state, the
 * configuration and the store (--dry). Then this process executes it: same pid, same children, same
 * sockets. The new supervisor stops the engine; the next one is started, and when it serves, one
 * front after the other gets a successor: a process with the same number and listeners, and a
 * socket to the old one, which gets the other end with 'H'. The successor takes everything over,
 * says 't', and has the place; the old process retires: it ends by itself with its last connection.
 *
 * When the new program lays the memory that the fronts share out differently, it makes another one,
 * with all that was learnt in it; connections are counted there as they come over.
 *
 * A successor that dies, or is not done within PATIENCE_MS, ends the upgrade; the old process goes
 * on. When the old one dies in the middle, the successor has its place.
 *
 * Blocks for PROBE_MS at most while the new program is tried. Limits: one successor at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "daemon/supervisor_internal.h"
#include "net/fds.h"
#include "shared/shared_carry.h"

#define PROBE_MS    10000
#define PATIENCE_MS 60000
#define CARRY_MAX   ((off_t)256 * 1024 * 1024)

/* ---- the end ---- */

static void tell_engine(const struct supervisor *s, char what)
{
	if (s->children[0]->control_fd >= 0)
		(void)send(s->children[0]->control_fd, &what, 1, MSG_NOSIGNAL);
}

static void finish(struct supervisor *s, const char *failure)
{
	loop_timer_clear(&s->upgrade.patience);
	s->upgrade.step = UPGRADE_NONE;
	if (failure == NULL)
		log_info(NULL, "upgrade_finished", F_STR("result", "ok"));
	else
		log_error(NULL, "upgrade_finished", F_STR("result", "failed"),
			F_STR("reason", failure));
	tell_engine(s, failure == NULL ? 'F' : 'X');
}

/* ---- fronts ---- */

static int order_handover(const struct child *old, int fd)
{
	return net_fds_send(old->control_fd, "H", 1, &fd, 1) == 1 ? 0 : -1;
}

/* False: it could not even be begun. */
static bool begin_successor(struct supervisor *s, struct child *old)
{
	struct child *c = child_new(s, CHILD_FRONT, old->number, old->life + 1);
	int pair[2] = {-1, -1};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		child_free(c);
		return false;
	}
	list_append(&s->extras, &c->extra);
	c->takeover_fd = pair[0];
	supervisor_start_child(c);
	fd_close(&c->takeover_fd);
	if (c->pid == 0 || order_handover(old, pair[1]) < 0) {
		fd_close(&pair[1]);
		if (c->pid == 0)
			child_free(c);
		else
			supervisor_stop_child(c, GRACE_FRONT_MS); /* it is freed when it is dead */
		return false;
	}
	fd_close(&pair[1]);
	s->upgrade.successor = c;
	loop_timer_set(&s->upgrade.patience, clock_now_ms() + PATIENCE_MS);
	return true;
}

static void next_front(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;

	while (u->next < s->child_count) {
		struct child *old = s->children[u->next];

		/* One that is dead comes back as the new program anyway. */
		if (old->pid != 0 && old->serving && old->control_fd >= 0) {
			if (!begin_successor(s, old))
				finish(s, "a new process could not be started");
			return;
		}
		u->next++;
	}
	finish(s, NULL);
}

/* It has its time to come to an end by itself. */
static void await_end(struct child *old)
{
	const struct settings *settings = old->supervisor->settings;

	old->retiring = true;
	old->reloading = false;
	loop_timer_set(&old->kill_timer,
		clock_now_ms() + (int64_t)settings->server_drain_s * 1000 + GRACE_FRONT_MS);
}

/* The successor has the place; the old one ends by itself, in time. */
static void take_place(struct supervisor *s, struct child *c)
{
	struct child *old = s->children[c->number + 1];

	s->children[c->number + 1] = c;
	list_remove(&c->extra);
	c->serving = true;
	loop_timer_clear(&s->upgrade.patience);
	s->upgrade.successor = NULL;
	if (old->pid == 0) {
		child_free(old);
	} else {
		list_append(&s->extras, &old->extra);
		await_end(old);
	}
	log_info(NULL, "front_replaced", F_STR("child", c->name), F_INT("pid", c->pid),
		F_INT("old_pid", old->pid));
}

void upgrade_on_taken(struct child *c)
{
	struct supervisor *s = c->supervisor;

	if (c != s->upgrade.successor)
		return;
	take_place(s, c);
	if (s->upgrade.step != UPGRADE_FRONTS)
		return;
	s->upgrade.next++;
	next_front(s);
}

static void on_patience(void *owner)
{
	struct supervisor *s = owner;
	struct child *c = s->upgrade.successor;

	if (c == NULL)
		return;
	log_error(NULL, "child_stuck", F_STR("child", c->name), F_INT("pid", c->pid));
	(void)kill(c->pid, SIGKILL);
}

bool upgrade_is_passing(const struct child *c)
{
	const struct child *successor = c->supervisor->upgrade.successor;

	return successor != NULL && c->role == CHILD_FRONT &&
	       c == c->supervisor->children[successor->number + 1];
}

bool upgrade_on_death(struct child *c, const char *how)
{
	struct supervisor *s = c->supervisor;
	struct child *successor = s->upgrade.successor;
	char text[128];

	if (c == successor) {
		(void)snprintf(text, sizeof(text), "the new process of %s ended: %s", c->name, how);
		s->upgrade.successor = NULL;
		child_free(c);
		if (s->phase == PHASE_SERVING)
			finish(s, text);
		return true;
	}
	if (!list_empty(&c->extra)) {
		child_free(c);
		return true;
	}
	/* The old one died in the middle of it. */
	if (successor != NULL && c == s->children[successor->number + 1] &&
		s->phase == PHASE_SERVING) {
		take_place(s, successor);
		s->upgrade.next++;
		next_front(s);
		return true;
	}
	return false;
}

/* ---- the engine ---- */

void upgrade_on_engine(struct supervisor *s)
{
	if (s->upgrade.step != UPGRADE_ENGINE || s->phase != PHASE_SERVING)
		return;
	s->upgrade.step = UPGRADE_FRONTS;
	s->upgrade.next = 1;
	next_front(s);
}

/* ---- what the fronts share ---- */

/* Into memory that is empty. What cannot be read is learnt anew. */
static void take_knowledge(struct supervisor *s)
{
	struct err err = ERR_INIT;
	struct stat st;
	uint8_t *bytes;
	int status;

	if (s->carry_fd < 0 || fstat(s->carry_fd, &st) < 0 || st.st_size <= 0 ||
		st.st_size > CARRY_MAX) {
		log_warn(NULL, "knowledge_lost", F_STR("reason", "the old program left none"));
		return;
	}
	bytes = x_calloc(1, (size_t)st.st_size);
	if (pread(s->carry_fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		status = err_set_errno(&err, errno, "reading it");
	else
		status = shared_import(s->shared, bytes, (size_t)st.st_size, &err);
	if (status < 0)
		log_warn(NULL, "knowledge_lost", F_ERR(&err));
	secret_wipe(bytes, (size_t)st.st_size);
	mem_free(bytes);
}

int upgrade_take_shared(struct supervisor *s, bool dry, struct err *err)
{
	int old_fd = s->shared_fd;

	if (shared_open(s->shared_fd, &s->shared, err) < 0) {
		if (err->code != ERR_CONFLICT)
			return -1;
		/* The fronts that still run have it mapped. */
		*err = (struct err)ERR_INIT;
		fd_close(&old_fd);
		s->shared_fd = -1;
		if (supervisor_make_shared(s, err) < 0)
			return -1;
		take_knowledge(s);
		if (!dry)
			log_info(NULL, "shared_memory_made_anew");
	}
	fd_close(&s->carry_fd);
	return 0;
}

void upgrade_init(struct supervisor *s)
{
	loop_timer_init(&s->upgrade.patience, s->loop, "upgrade", on_patience, s);
}

void upgrade_resume(struct supervisor *s)
{
	log_info(NULL, "upgrade_begun", F_STR("version", BELLHOP_VERSION));
	s->upgrade.step = UPGRADE_ENGINE;
	/* Who died while the programs changed was not noticed. */
	supervisor_bury(s);
	LIST_FOREACH(node, &s->extras)
		await_end(LIST_ENTRY(node, struct child, extra));
	supervisor_tell_status(s);
	if (s->children[0]->pid != 0)
		supervisor_stop_child(s->children[0], GRACE_ENGINE_MS);
}

/* ---- the program ---- */

#define STATE_ARGUMENT 40
#define REASON_MAX     512

/* In the child that tries, and in this process. */
static void execute(const char *program, int state_fd, bool dry)
{
	char state[STATE_ARGUMENT], supervisor[] = "--role=supervisor", name[] = "bellhopd",
				    dry_run[] = "--dry";
	char *args[] = {name, supervisor, state, dry ? dry_run : NULL, NULL};

	(void)snprintf(state, sizeof(state), "--state-fd=%d", state_fd);
	(void)execv(program, args);
}

/* What the one that tried has against it: the first line that it wrote, if any. */
static void read_reason(int reason_fd, char reason[REASON_MAX])
{
	ssize_t n = read(reason_fd, reason, REASON_MAX - 1);

	reason[n > 0 ? n : 0] = '\0';
	for (char *c = reason; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '\0';
	}
}

/* Waits for the one that tries. */
static int await_probe(pid_t pid, int reason_fd, struct err *err)
{
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0), wait_status = 0, ready = 0;
	char text[64], reason[REASON_MAX];

	if (pid_fd >= 0) {
		struct pollfd p = {.fd = pid_fd, .events = POLLIN};

		ready = poll(&p, 1, PROBE_MS);
		fd_close(&pid_fd);
	}
	if (ready != 1)
		(void)kill(pid, SIGKILL);
	if (waitpid(pid, &wait_status, 0) != pid)
		return err_set_errno(err, errno, "waitpid");
	if (wait_status == 0)
		return 0;
	read_reason(reason_fd, reason);
	if (ready == 1 && reason[0] != '\0')
		return err_set(
			err, ERR_BAD_INPUT, "the new program does not take over: %s", reason);
	return err_set(err, ERR_BAD_INPUT, "the new program does not take over: %s; see the log",
		ready == 1 ? child_status_text(wait_status, text) : "it does not end");
}

static int probe(const char *program, int state_fd, struct err *err)
{
	int reason[2], status;
	pid_t pid;

	if (pipe2(reason, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_set_errno(err, errno, "pipe2");
	pid = fork();
	if (pid == 0) {
		/* Its standard output is where it says what it has against it. */
		if (dup2(reason[1], STDOUT_FILENO) >= 0)
			execute(program, state_fd, true);
		_exit(127);
	}
	status = pid < 0 ? err_set_errno(err, errno, "fork") : await_probe(pid, reason[0], err);
	fd_close(&reason[0]);
	fd_close(&reason[1]);
	return status;
}

static int begin(struct supervisor *s, struct err *err)
{
	const char *program = s->options->program;
	int state_fd = -1;

	if (s->phase != PHASE_SERVING)
		return err_set(err, ERR_BUSY, "the server is starting or stopping");
	if (s->upgrade.step != UPGRADE_NONE || s->upgrade.successor != NULL)
		return err_set(err, ERR_BUSY, "an upgrade is under way");
	if (state_save(s, &state_fd, err) < 0)
		return -1;
	state_inherit(s, true);
	if (probe(program, state_fd, err) == 0) {
		supervisor_answer(s, NULL);
		execute(program, state_fd, false);
		(void)err_set_errno(err, errno, "%s", program);
	}
	/* Still here: nothing has changed. */
	state_inherit(s, false);
	fd_close(&state_fd);
	fd_close(&s->carry_fd);
	return -1;
}

void upgrade_asked(struct supervisor *s)
{
	struct err err = ERR_INIT;

	if (begin(s, &err) == 0)
		return;
	log_error(NULL, "upgrade_refused", F_ERR(&err));
	supervisor_answer(s, err.text);
}
