/*
 * The supervisor: a loop over signals, the lines of the children, and timers.
 *
 * Phases: STARTING (the engine first, the fronts when it has said 'r', until all have) -> SERVING
 * -> STOPPING_FRONTS -> STOPPING_ENGINE -> the end. A child that dies while STARTING ends the house
 * with an error; while SERVING it is started again: at once when it had lived QUICK_MS, else after
 * a pause that doubles with each quick death. A child's exit is always seen as SIGCHLD; its line
 * only carries wishes.
 *
 * The normal case of a restart: `bellhop restart engine` writes 'E' up the engine's line; the
 * supervisor closes that line; the engine finishes what it is doing and exits; SIGCHLD;
 * child_start(). The fronts notice on their own sockets to the engine and keep their phones.
 *
 * One thread. Limits: one engine, at most 256 fronts.
 */
#include "daemon/supervisor_internal.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "conf/settings.h"
#include "daemon/config.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "net/baton.h"
#include "net/listen.h"
#include "net/tickets.h"
#include "shared/shared.h"

#define SLOTS_TO_SPARE  64    /* for connections that a front refuses (front/admit.c) */
#define SHARED_RATES    16384 /* devices that are busy at the same moment */
#define TICKETS_LOOK_MS 20000

/* ---- systemd ---- */

void supervisor_tell_status(struct supervisor *s)
{
	size_t serving = 0;

	for (size_t i = 1; i < s->child_count; i++)
		serving += s->children[i]->serving;
	notify_systemd(false, "STATUS=engine %s, %zu of %zu fronts serving",
		s->children[0]->serving ? "serving" : "starting", serving, s->child_count - 1);
}

static void on_watchdog(void *owner)
{
	struct supervisor *s = owner;

	notify_systemd(false, "WATCHDOG=1");
	loop_timer_set(&s->watchdog_timer, clock_now_ms() + (int64_t)s->watchdog_ms / 2);
}

/* The file says how old the newest key is, so this goes on over an upgrade. */
static void on_tickets(void *owner)
{
	struct supervisor *s = owner;
	struct err err = ERR_INIT;
	bool rotated = false;

	if (s->ticket_fd >= 0 && net_tickets_rotate(s->ticket_fd, s->settings->tls_ticket_rotate_s,
					 &rotated, &err) < 0)
		log_error(NULL, "ticket_keys_rotated", F_ERR(&err));
	else if (rotated)
		log_info(NULL, "ticket_keys_rotated",
			F_UINT("every_s", s->settings->tls_ticket_rotate_s));
	loop_timer_set(&s->ticket_timer, clock_now_ms() + TICKETS_LOOK_MS);
}

/* ---- phases ---- */

static const char *phase_to_str(enum phase phase)
{
	static const char *const names[] = {[PHASE_STARTING] = "starting",
		[PHASE_SERVING] = "serving",
		[PHASE_STOPPING_FRONTS] = "stopping_fronts",
		[PHASE_STOPPING_ENGINE] = "stopping_engine"};

	return names[phase];
}

static void enter_phase(struct supervisor *s, enum phase phase)
{
	assert(phase > s->phase);
	log_debug(NULL, "phase_entered", F_STR("from", phase_to_str(s->phase)),
		F_STR("to", phase_to_str(phase)));
	s->phase = phase;
	switch (phase) {
	case PHASE_STARTING:
		break;
	case PHASE_SERVING:
		log_info(NULL, "server_ready", F_UINT("fronts", s->child_count - 1),
			F_INT("engine_pid", s->children[0]->pid));
		notify_systemd(true, "READY=1");
		break;
	case PHASE_STOPPING_FRONTS:
		notify_systemd(true, "STOPPING=1");
		for (size_t i = 1; i < s->child_count; i++)
			supervisor_stop_child(s->children[i], GRACE_FRONT_MS);
		LIST_FOREACH(node, &s->extras)
			supervisor_stop_child(
				LIST_ENTRY(node, struct child, extra), GRACE_FRONT_MS);
		break;
	case PHASE_STOPPING_ENGINE:
		/* No engine follows: it says so to whom it would have left to the next one. */
		if (s->baton.count == 2)
			(void)shutdown(s->baton.fds[1], SHUT_RDWR);
		supervisor_stop_child(s->children[0], GRACE_ENGINE_MS);
		break;
	}
}

void supervisor_advance(struct supervisor *s)
{
	size_t fronts_running = !list_empty(&s->extras), serving = 0;

	for (size_t i = 0; i < s->child_count; i++) {
		fronts_running += i > 0 && s->children[i]->pid != 0;
		serving += s->children[i]->serving;
	}
	/* A front that is up before the engine would answer the first phones with 503. */
	for (size_t i = 1; s->phase == PHASE_STARTING && serving == 1 && i < s->child_count; i++) {
		if (s->children[i]->pid == 0)
			supervisor_start_child(s->children[i]);
	}
	if (s->phase == PHASE_STARTING && serving == s->child_count)
		enter_phase(s, PHASE_SERVING);
	if (s->phase == PHASE_STOPPING_FRONTS && fronts_running == 0)
		enter_phase(s, PHASE_STOPPING_ENGINE);
	if (s->phase == PHASE_STOPPING_ENGINE && s->children[0]->pid == 0)
		loop_stop(s->loop);
}

void supervisor_fail(struct supervisor *s, const char *fmt, ...)
{
	__builtin_va_list ap;

	if (!s->failed) {
		s->failed = true;
		s->failure.code = ERR_INTERNAL;
		__builtin_va_start(ap, fmt);
		(void)vsnprintf(s->failure.text, sizeof(s->failure.text), fmt, ap);
		__builtin_va_end(ap);
	}
	if (s->phase < PHASE_STOPPING_FRONTS)
		enter_phase(s, PHASE_STOPPING_FRONTS);
	supervisor_advance(s);
}

/* ---- reload ---- */

/* What the supervisor itself takes from new settings; then everybody is told. */
static void take_settings(struct supervisor *s, const struct settings *settings)
{
	assert(settings != NULL);
	settings_unref(&s->settings);
	s->settings = settings;
	log_set_level((enum log_level)log_level_parse(settings->server_log_level));
	for (size_t i = 0; i < s->child_count; i++) {
		struct child *c = s->children[i];

		/* A child that died reads the new file when it starts; a full socket holds an 'R'
		 * already. */
		if (c->control_fd >= 0)
			c->reloading = send(c->control_fd, "R", 1, MSG_NOSIGNAL) == 1 && c->serving;
	}
	LIST_FOREACH(node, &s->extras) {
		const struct child *c = LIST_ENTRY(node, const struct child, extra);

		if (c->control_fd >= 0)
			(void)send(c->control_fd, "R", 1, MSG_NOSIGNAL);
	}
}

/* refusal NULL: well, as soon as every child has taken a reload over. */
void supervisor_answer(struct supervisor *s, const char *refusal)
{
	char line[sizeof(((struct err *)0)->text) + 2] = "+";

	for (size_t i = 0; refusal == NULL && i < s->child_count; i++) {
		if (s->children[i]->reloading)
			return;
	}
	if (!s->reload_asked)
		return;
	s->reload_asked = false;
	if (refusal != NULL)
		(void)snprintf(line, sizeof(line), "-%.*s\n", (int)strcspn(refusal, "\n"), refusal);
	if (s->children[0]->control_fd >= 0)
		(void)send(s->children[0]->control_fd, line, strlen(line), MSG_NOSIGNAL);
}

static int load_next(struct supervisor *s, const struct settings **ret, struct err *err)
{
	const struct settings *source = NULL, *filled = NULL, *merged;
	struct buf held_back = BUF_INIT;
	char *path = NULL;
	int status;

	if (config_load(s->options->source_path, &source, err) < 0)
		return -1;
	merged = settings_merge(s->settings, source, &held_back);
	settings_unref(&source);
	status = config_check_signer(merged, err);
	if (status == 0)
		status = config_ensure_certificate(
			merged, listeners_have_https(s->options->listeners), &filled, err);
	settings_unref(&merged);
	if (status == 0)
		status = config_activate(filled, &path, err);
	if (status == 0) {
		if (held_back.len > 0)
			log_warn(NULL, "config_needs_restart",
				F_STR("settings", buf_cstr(&held_back)));
		mem_free(s->config_path);
		s->config_path = path;
		*ret = TAKE(filled);
	}
	settings_unref(&filled);
	buf_deinit(&held_back);
	return status;
}

void supervisor_reload(struct supervisor *s)
{
	const struct settings *next = NULL;
	struct err err = ERR_INIT;
	struct timespec now;

	if (s->phase > PHASE_SERVING) {
		supervisor_answer(s, "the server is stopping");
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	notify_systemd(true, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (load_next(s, &next, &err) < 0) {
		log_error(NULL, "reload_finished", F_STR("result", "failed"), F_ERR(&err),
			F_STR("consequence", "the running configuration stays"));
		supervisor_answer(s, err.text);
	} else {
		take_settings(s, next);
		log_info(NULL, "reload_finished", F_STR("result", "ok"));
		supervisor_answer(s, NULL);
	}
	if (s->phase == PHASE_SERVING)
		notify_systemd(true, "READY=1");
}

/* ---- signals ---- */

static void on_signal(void *owner, int signo)
{
	struct supervisor *s = owner;

	if (signo == SIGHUP) {
		supervisor_reload(s);
		return;
	}
	if (signo != SIGCHLD) {
		if (s->phase < PHASE_STOPPING_FRONTS) {
			log_info(NULL, "server_stopping", F_INT("signal", signo));
			enter_phase(s, PHASE_STOPPING_FRONTS);
		}
		supervisor_advance(s);
		return;
	}
	supervisor_bury(s);
}

/* ---- the whole ---- */

/* Twice as many parts as fronts: at an upgrade the old ones and the new ones count. */
int supervisor_make_shared(struct supervisor *s, struct err *err)
{
	struct rlimit limit = {.rlim_cur = 1024};
	uint64_t connections = s->options->settings->server_max_connections;
	struct shared_sizes sizes = {.parts = 2 * s->options->listeners->fronts + 2,
		.counts = (uint32_t)(2 * connections),
		.rates = SHARED_RATES,
		.paths = (uint32_t)s->options->settings->push_paths_max};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	sizes.part_slots = (uint32_t)MIN(connections + SLOTS_TO_SPARE, (uint64_t)limit.rlim_cur);
	if (shared_create(&sizes, &s->shared_fd, err) < 0)
		return -1;
	return shared_open(s->shared_fd, &s->shared, err);
}

static void make_children(struct supervisor *s)
{
	s->child_count = 1 + s->options->listeners->fronts;
	s->children = x_calloc(s->child_count, sizeof(struct child *));
	s->children[0] = child_new(s, CHILD_ENGINE, 0, 0);
	for (size_t i = 1; i < s->child_count; i++)
		s->children[i] = child_new(s, CHILD_FRONT, (unsigned)(i - 1), 0);
}

/* What stays while engines come and go. Also in a program that follows one which had none. */
static int make_engine_sockets(struct supervisor *s, struct err *err)
{
	CLEANUP(mem_freep) char *path = x_printf("%s/admin.sock", s->settings->server_runtime_dir);

	if (s->admin_fd < 0 && net_listen_unix(path, 0600, &s->admin_fd, err) < 0)
		return err_wrap(err, "the administrator's socket");
	if (s->baton.count > 0)
		return 0;
	s->baton.fds = x_calloc(2, sizeof(*s->baton.fds));
	if (net_baton_pair(s->baton.fds, err) < 0)
		return -1;
	s->baton.count = 2;
	return 0;
}

/* Loop, signals, timers: what begins anew with each program. */
static int set_up_loop(struct supervisor *s, struct err *err)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	if (loop_new(&s->loop, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		if (loop_signal_add(s->loop, signals[i], "supervisor_signal", on_signal, s, err) <
			0)
			return -1;
	}
	loop_timer_init(&s->watchdog_timer, s->loop, "watchdog", on_watchdog, s);
	loop_timer_init(&s->ticket_timer, s->loop, "tickets", on_tickets, s);
	upgrade_init(s);
	return 0;
}

static void begin_watchdog(struct supervisor *s)
{
	uint64_t watchdog_us = 0;

	if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
		s->watchdog_ms = watchdog_us / 1000;
		on_watchdog(s);
	}
}

/* Phones that are there already need no profile: no reason not to start. */
static void look_at_signer(const struct settings *settings)
{
	struct err err = ERR_INIT;

	if (config_check_signer(settings, &err) < 0)
		log_error(NULL, "profile_certificate_unusable", F_ERR(&err),
			F_STR("consequence", "no profiles for iOS can be made"));
}

static int set_up(struct supervisor *s, struct err *err)
{
	look_at_signer(s->options->settings);
	if (config_ensure_certificate(s->options->settings,
		    listeners_have_https(s->options->listeners), &s->settings, err) < 0 ||
		config_activate(s->settings, &s->config_path, err) < 0 ||
		net_tickets_create(&s->ticket_fd, err) < 0 || supervisor_make_shared(s, err) < 0 ||
		notes_create(&s->notes_fd, err) < 0 || make_engine_sockets(s, err) < 0 ||
		set_up_loop(s, err) < 0)
		return -1;
	make_children(s);
	return 0;
}

static int run_and_end(struct supervisor *s, struct err *err)
{
	begin_watchdog(s);
	loop_run(s->loop);
	if (!s->failed)
		return 0;
	*err = s->failure;
	return -1;
}

static void tear_down(struct supervisor *s)
{
	for (size_t i = 0; i < s->child_count; i++)
		child_free(s->children[i]);
	mem_free(s->children);
	while (!list_empty(&s->extras))
		child_free(LIST_ENTRY(s->extras.next, struct child, extra));
	loop_free(&s->loop);
	fd_close(&s->ticket_fd);
	shared_close(&s->shared);
	fd_close(&s->shared_fd);
	fd_close(&s->carry_fd);
	fd_close(&s->admin_fd);
	for (size_t i = 0; i < s->baton.count; i++)
		fd_close(&s->baton.fds[i]);
	mem_free(s->baton.fds);
	fd_close(&s->notes_fd);
	mem_free(s->config_path);
	settings_unref(&s->settings);
}

static void set_empty(struct supervisor *s, const struct supervisor_options *options)
{
	*s = (struct supervisor){.options = options,
		.ticket_fd = -1,
		.shared_fd = -1,
		.carry_fd = -1,
		.admin_fd = -1,
		.notes_fd = -1};
	list_init(&s->extras);
}

int supervisor_run(const struct supervisor_options *options, struct err *err)
{
	struct supervisor s;
	int status;

	set_empty(&s, options);
	status = set_up(&s, err);
	if (status == 0) {
		on_tickets(&s);
		supervisor_start_child(s.children[0]);
		status = run_and_end(&s, err);
	}
	tear_down(&s);
	return status;
}

int supervisor_resume(int state_fd, bool dry, struct supervisor_options *options, struct err *err)
{
	struct supervisor s;
	int status;

	set_empty(&s, options);
	status = set_up_loop(&s, err);
	if (status == 0)
		status = state_load(state_fd, &s, options, err);
	if (status == 0)
		status = upgrade_take_shared(&s, dry, err);
	if (status == 0 && !dry)
		status = make_engine_sockets(&s, err);
	for (size_t i = 0; status == 0 && !dry && i < s.child_count; i++) {
		if (s.children[i]->control_fd >= 0)
			status = child_watch(s.children[i], err);
	}
	if (status == 0 && !dry) {
		s.phase = PHASE_SERVING;
		on_tickets(&s);
		upgrade_resume(&s);
		status = run_and_end(&s, err);
	}
	tear_down(&s);
	return status;
}
