#ifndef BELLHOP_DAEMON_SUPERVISOR_INTERNAL_H
#define BELLHOP_DAEMON_SUPERVISOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "daemon/child.h"
#include "daemon/supervisor.h"
#include "loop/loop.h"

/* What supervisor.c, children.c, upgrade.c and state.c share. */

#define GRACE_FRONT_MS  10000 /* for an orderly stop, then SIGKILL */
#define GRACE_ENGINE_MS 20000

enum phase {
	PHASE_STARTING, /* not all children have served yet */
	PHASE_SERVING,
	PHASE_STOPPING_FRONTS, /* the engine still answers them */
	PHASE_STOPPING_ENGINE,
};

struct child {
	struct supervisor *supervisor;
	enum child_role role;
	unsigned number;
	uint32_t life;          /* processes of that front before */
	int takeover_fd;        /* for the start of a successor; -1: none */
	struct list_node extra; /* in supervisor.extras, or alone */
	bool retiring;          /* another process has its place; it ends by itself */
	char name[24];          /* "engine", "front 2" */
	pid_t pid;              /* 0: not running */
	int control_fd;         /* -1: it was told to stop, or is not running */
	struct loop_fd *watch;
	bool serving;   /* it said 'r' */
	bool reloading; /* it was told 'R' and has not said 'd' */
	bool asked_to_stop;
	bool hung; /* it did not stop when it was asked to, and got SIGKILL */
	int64_t started_ms;
	unsigned quick_deaths;
	struct loop_timer restart_timer, kill_timer;
};

/* upgrade.c */
enum upgrade_step { UPGRADE_NONE, UPGRADE_ENGINE, UPGRADE_FRONTS };

struct upgrade {
	enum upgrade_step step;
	size_t next;             /* front, as index of children */
	struct child *successor; /* of it, in extras; NULL: none */
	struct loop_timer patience;
};

struct supervisor {
	const struct supervisor_options *options;
	const struct settings *settings; /* what the children run with; owned reference */
	char *config_path;               /* active.conf; owned */
	struct loop *loop;
	enum phase phase;
	struct child **children; /* [0]: the engine; those that have their place */
	size_t child_count;
	struct list_node extras; /* successors and retiring fronts */
	struct upgrade upgrade;
	int ticket_fd;
	int shared_fd;         /* what all fronts know together */
	int carry_fd;          /* what of it the next release needs when its memory is another */
	struct shared *shared; /* the same, mapped */
	int admin_fd;          /* the administrator's listener; the engine's, but it outlives it */
	struct fd_list baton;  /* connections between two engines (net/baton.h); none or two */
	int notes_fd;          /* what the engine is at work on: outlives it, for the next one */
	bool reload_asked;     /* the engine waits for the result of a reload */
	struct loop_timer watchdog_timer, ticket_timer;
	uint64_t watchdog_ms; /* 0: systemd does not watch */
	bool failed;
	struct err failure;
};

/* ---- children.c ---- */
/* Not started yet. The engine's number is 0. */
struct child *child_new(struct supervisor *s, enum child_role role, unsigned number, uint32_t life);
void child_free(struct child *c);
void supervisor_start_child(struct child *c);
void supervisor_stop_child(struct child *c, int64_t grace_ms);
/* One that runs already, with its line. */
int child_watch(struct child *c, struct err *err);
/* Those that are dead; one SIGCHLD may stand for many. */
void supervisor_bury(struct supervisor *s);

/* ---- supervisor.c ---- */
/* Reads the configuration again; the children are told, or whoever asked is told why not. */
void supervisor_reload(struct supervisor *s);
/* Tells the engine how what it asked for ended; NULL: well. */
void supervisor_answer(struct supervisor *s, const char *refusal);
/* Goes on to the next phase when this one has reached its end. */
void supervisor_advance(struct supervisor *s);
/* Ends the house, with the first such error. */
PRINTF_LIKE(2, 3) void supervisor_fail(struct supervisor *s, const char *fmt, ...);
void supervisor_tell_status(struct supervisor *s);

/* The memory that the fronts share, empty. */
int supervisor_make_shared(struct supervisor *s, struct err *err);

/* ---- upgrade.c ---- */
void upgrade_init(struct supervisor *s);
/* The administrator wants one. Does not return when all is well: the new program goes on. */
void upgrade_asked(struct supervisor *s);
/* In the new program: the memory that the fronts share, or one that has what was learnt in it. dry:
 * it is only tried. */
int upgrade_take_shared(struct supervisor *s, bool dry, struct err *err);
/* In the new program. */
void upgrade_resume(struct supervisor *s);
/* The engine serves. */
void upgrade_on_engine(struct supervisor *s);
/* A successor has all that its front had. */
void upgrade_on_taken(struct child *c);
/* Is it handing over to its successor just now? Then its end is in order. */
bool upgrade_is_passing(const struct child *c);
/* A child is dead. True: nothing more is to be done about it, and it may be gone. */
bool upgrade_on_death(struct child *c, const char *how);

/* ---- state.c ---- */
/* All that must outlive the program, in an anonymous file, and another one, s->carry_fd. */
int state_save(struct supervisor *s, int *ret_fd, struct err *err);
/*
 * A fresh supervisor, from these bytes; *options: program, paths, lock and listeners. Descriptors
 * are only numbers here. Failed: nothing has changed. ERR_BAD_INPUT, with the name of what is
 * wrong.
 */
int state_parse(const char *text, size_t len, struct supervisor *s,
	struct supervisor_options *options, int *ret_notify_fd, struct err *err);
/* In the new one: the same from the file, with the settings; all descriptors are ours then. */
int state_load(int fd, struct supervisor *s, struct supervisor_options *options, struct err *err);
/* Whether they are inherited by the program that is to come. */
void state_inherit(const struct supervisor *s, bool inherited);

#endif
