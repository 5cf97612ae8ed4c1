/*
 * The children as the supervisor keeps them: their lines, their births, their deaths, and when they
 * are started again. What the death of one means for the house is said in supervisor.c.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "daemon/listeners.h"
#include "daemon/supervisor_internal.h"
#include "shared/shared.h"

#define QUICK_MS         5000 /* a child that lived shorter died quickly */
#define PAUSE_FIRST_MS   100
#define PAUSE_MAX_MS     10000
#define PAUSE_COUNTED_MS 200 /* after a crash that is counted: it comes to an end by itself */

/* ---- the line of a child ---- */

/* What one read of a line said. */
struct wishes {
	bool reload, restart, upgrade, serves, taken;
};

static struct wishes read_wishes(struct child *c, const char *bytes, size_t len)
{
	struct wishes w = {.reload = memchr(bytes, 'R', len) != NULL,
		.restart = memchr(bytes, 'E', len) != NULL,
		.upgrade = memchr(bytes, 'U', len) != NULL,
		.serves = memchr(bytes, 'r', len) != NULL,
		.taken = memchr(bytes, 't', len) != NULL};

	c->serving = c->serving || w.serves;
	c->reloading = c->reloading && memchr(bytes, 'd', len) == NULL;
	return w;
}

static void do_wishes(struct child *c, const struct wishes *w)
{
	struct supervisor *s = c->supervisor;

	s->reload_asked = s->reload_asked || w->reload || w->upgrade;
	if (w->reload)
		supervisor_reload(s);
	else if (w->upgrade)
		upgrade_asked(s);
	else
		supervisor_answer(s, NULL);
	if (w->restart && s->phase == PHASE_SERVING) {
		log_info(NULL, "restart_begun", F_STR("child", "engine"));
		supervisor_stop_child(s->children[0], GRACE_ENGINE_MS);
	}
	if (w->serves && c->role == CHILD_ENGINE)
		upgrade_on_engine(s);
	if (w->taken)
		upgrade_on_taken(c);
	supervisor_tell_status(s);
	supervisor_advance(s);
}

static void on_line(void *owner, unsigned events)
{
	struct child *c = owner;
	char bytes[64];
	ssize_t n;

	(void)events; /* end of file needs no answer: SIGCHLD follows */
	while (c->control_fd >= 0 && (n = read(c->control_fd, bytes, sizeof(bytes))) > 0) {
		struct wishes w = read_wishes(c, bytes, (size_t)n);

		do_wishes(c, &w);
	}
}

int child_watch(struct child *c, struct err *err)
{
	return loop_fd_new(
		c->supervisor->loop, c->control_fd, "child_line", on_line, c, &c->watch, err);
}

/* ---- births and deaths ---- */

static void on_restart(void *owner)
{
	supervisor_start_child(owner);
}

static void on_kill(void *owner)
{
	struct child *c = owner;

	log_error(NULL, "child_stuck", F_STR("child", c->name), F_INT("pid", c->pid));
	if (c->pid != 0) {
		c->hung = true;
		(void)kill(c->pid, SIGKILL);
	}
}

/* counted: the child left a note of what it died of, and the second such death has consequences. */
static void schedule_restart(struct child *c, bool was_asked, bool counted)
{
	int64_t now_ms = clock_now_ms(), pause_ms = 0;

	if (was_asked || now_ms - c->started_ms >= QUICK_MS) {
		c->quick_deaths = 0;
	} else {
		if (c->quick_deaths > 0)
			pause_ms = MIN((int64_t)PAUSE_FIRST_MS << MIN(c->quick_deaths - 1, 10),
				counted ? PAUSE_COUNTED_MS : PAUSE_MAX_MS);
		c->quick_deaths++;
	}
	loop_timer_set(&c->restart_timer, now_ms + pause_ms);
}

void supervisor_start_child(struct child *c)
{
	struct supervisor *s = c->supervisor;
	struct listeners *l = s->options->listeners;
	struct err err = ERR_INIT;
	struct child_spec spec = {.program = s->options->program,
		.config_path = s->config_path,
		.source_path = s->options->source_path,
		.role = c->role,
		.number = c->number,
		.life = c->life,
		.takeover_fd = c->takeover_fd,
		.upgrading = s->upgrade.step != UPGRADE_NONE,
		.fronts = l->fronts,
		.ticket_fd = -1,
		.shared_fd = -1,
		.admin_fd = -1,
		.notes_fd = -1};

	if (c->role == CHILD_ENGINE) {
		spec.lmtp = &l->lmtp;
		spec.notes_fd = s->notes_fd;
		spec.admin_fd = s->admin_fd;
		spec.baton = &s->baton;
	} else {
		spec.https = &l->https[c->number];
		spec.http = &l->http[c->number];
		spec.ticket_fd = s->ticket_fd;
		spec.shared_fd = s->shared_fd;
	}
	c->started_ms = clock_now_ms();
	c->serving = c->asked_to_stop = c->hung = false;
	if (child_start(&spec, &c->pid, &c->control_fd, &err) < 0 || child_watch(c, &err) < 0) {
		log_error(NULL, "child_start_failed", F_STR("child", c->name), F_ERR(&err));
		if (c->pid !=
			0) /* it runs, but we cannot hear it: its line closes, it ends, SIGCHLD */
			fd_close(&c->control_fd);
		else if (s->phase == PHASE_STARTING)
			supervisor_fail(s, "%s: %s", c->name, err.text);
		else if (list_empty(&c->extra))
			schedule_restart(c, false, false);
		return;
	}
	log_info(NULL, "child_started", F_STR("child", c->name), F_INT("pid", c->pid));
}

static void bury(struct child *c, int wait_status)
{
	struct supervisor *s = c->supervisor;
	bool was_asked = c->asked_to_stop;
	char text[64];

	(void)child_status_text(wait_status, text);
	if ((was_asked || c->retiring || upgrade_is_passing(c)) && wait_status == 0)
		log_info(NULL, "child_ended", F_STR("child", c->name), F_INT("pid", c->pid));
	else
		log_error(NULL, "child_ended", F_STR("child", c->name), F_INT("pid", c->pid),
			F_STR("how", text));
	if (c->role == CHILD_FRONT)
		shared_bury(s->shared, c->pid);
	c->pid = 0;
	/* Whatever it worked on all that time kept it from stopping. */
	if (c->hung && c->role == CHILD_ENGINE)
		(void)notes_blame_oldest(s->notes_fd, GRACE_ENGINE_MS);
	c->serving = c->asked_to_stop = c->reloading = false;
	s->reload_asked = s->reload_asked && c->role != CHILD_ENGINE;
	supervisor_answer(s, NULL);
	loop_timer_clear(&c->kill_timer);
	loop_fd_free(&c->watch);
	fd_close(&c->control_fd);
	if (s->phase == PHASE_STARTING)
		supervisor_fail(s, "%s ended before it served: %s", c->name, text);
	else if (upgrade_on_death(c, text))
		; /* another process has its place */
	else if (s->phase == PHASE_SERVING)
		schedule_restart(
			c, was_asked, c->role == CHILD_ENGINE && notes_marked(s->notes_fd));
	supervisor_tell_status(s);
	supervisor_advance(s);
}

static void bury_if_dead(struct child *c)
{
	int wait_status;

	if (c->pid != 0 && waitpid(c->pid, &wait_status, WNOHANG) == c->pid)
		bury(c, wait_status);
}

/* One SIGCHLD may stand for many. */
void supervisor_bury(struct supervisor *s)
{
	for (size_t i = 0; i < s->child_count; i++)
		bury_if_dead(s->children[i]);
	LIST_FOREACH_SAFE(node, &s->extras)
		bury_if_dead(LIST_ENTRY(node, struct child, extra));
}

void supervisor_stop_child(struct child *c, int64_t grace_ms)
{
	loop_timer_clear(&c->restart_timer);
	if (c->pid == 0 || c->asked_to_stop)
		return;
	c->asked_to_stop = true;
	loop_fd_free(&c->watch);
	fd_close(&c->control_fd);
	loop_timer_set(&c->kill_timer, clock_now_ms() + grace_ms);
}

/* ---- one of them ---- */

struct child *child_new(struct supervisor *s, enum child_role role, unsigned number, uint32_t life)
{
	struct child *c = x_new(struct child);

	c->supervisor = s;
	c->role = role;
	c->number = number;
	c->life = life;
	c->control_fd = c->takeover_fd = -1;
	list_init(&c->extra);
	(void)snprintf(
		c->name, sizeof(c->name), role == CHILD_ENGINE ? "engine" : "front %u", number);
	loop_timer_init(&c->restart_timer, s->loop, "child_restart", on_restart, c);
	loop_timer_init(&c->kill_timer, s->loop, "child_kill", on_kill, c);
	return c;
}

void child_free(struct child *c)
{
	loop_timer_clear(&c->restart_timer);
	loop_timer_clear(&c->kill_timer);
	loop_fd_free(&c->watch);
	fd_close(&c->control_fd);
	list_remove(&c->extra);
	mem_free(c);
}
