/*
 * A child's main(): takes its command line apart and hands over to the engine or the front. What
 * goes wrong before is a bug of ours, because only the supervisor writes this command line.
 */
#include "daemon/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/capacity.h"
#include "conf/settings.h"
#include "engine/engine.h"
#include "front/front.h"
#include "loop/loop.h"
#include "net/stream.h"
#include "net/tickets.h"

#define FDS_MAX 64

struct fds {
	int fd[FDS_MAX];
	size_t count;
};

struct role {
	const char *role, *config, *source;
	uint64_t number, fronts, life, upgrading;
	int control_fd, ticket_fd, shared_fd, notes_fd, takeover_fd, admin_fd;
	struct fds https, http, lmtp, baton;
	const struct settings *settings; /* running; owned */
};

/* ---- command line ---- */

static int parse_fd(const char *text, int *ret, struct err *err)
{
	uint64_t fd;

	if (str_parse_u64(text, 1u << 20, &fd, err) < 0)
		return -1;
	*ret = (int)fd;
	if (fcntl(*ret, F_SETFD, FD_CLOEXEC) < 0) /* it was open for this exec only */
		return err_set_errno(err, errno, "descriptor %d", *ret);
	return 0;
}

static int parse_fds(const char *text, struct fds *ret, struct err *err)
{
	char *copy = x_strdup(text);
	int status = 0;

	for (char *p = copy, *end; status == 0 && *p != '\0'; p = end) {
		end = p + strcspn(p, ",");
		if (*end == ',')
			*end++ = '\0';
		if (ret->count == FDS_MAX)
			status = err_set(err, ERR_INTERNAL, "more than %d descriptors", FDS_MAX);
		else if ((status = parse_fd(p, &ret->fd[ret->count], err)) == 0)
			ret->count++;
	}
	mem_free(copy);
	return status;
}

/* The text after "--name=", or NULL. */
static const char *value_of(const char *argument, const char *name)
{
	size_t len = strlen(name);

	if (!str_starts(argument, "--") || strncmp(argument + 2, name, len) != 0 ||
		argument[2 + len] != '=')
		return NULL;
	return argument + 3 + len;
}

static int parse_argument(struct role *r, const char *argument, struct err *err)
{
	const char *value;

	if ((value = value_of(argument, "role")) != NULL)
		r->role = value;
	else if ((value = value_of(argument, "config")) != NULL)
		r->config = value;
	else if ((value = value_of(argument, "source")) != NULL)
		r->source = value;
	else if ((value = value_of(argument, "number")) != NULL)
		return str_parse_u64(value, 1u << 16, &r->number, err);
	else if ((value = value_of(argument, "fronts")) != NULL)
		return str_parse_u64(value, 1u << 16, &r->fronts, err);
	else if ((value = value_of(argument, "upgrading")) != NULL)
		return str_parse_u64(value, 1, &r->upgrading, err);
	else if ((value = value_of(argument, "life")) != NULL)
		return str_parse_u64(value, UINT32_MAX, &r->life, err);
	else if ((value = value_of(argument, "takeover-fd")) != NULL)
		return parse_fd(value, &r->takeover_fd, err);
	else if ((value = value_of(argument, "control-fd")) != NULL)
		return parse_fd(value, &r->control_fd, err);
	else if ((value = value_of(argument, "ticket-fd")) != NULL)
		return parse_fd(value, &r->ticket_fd, err);
	else if ((value = value_of(argument, "shared-fd")) != NULL)
		return parse_fd(value, &r->shared_fd, err);
	else if ((value = value_of(argument, "notes-fd")) != NULL)
		return parse_fd(value, &r->notes_fd, err);
	else if ((value = value_of(argument, "admin-fd")) != NULL)
		return parse_fd(value, &r->admin_fd, err);
	else if ((value = value_of(argument, "baton-fds")) != NULL)
		return parse_fds(value, &r->baton, err);
	else if ((value = value_of(argument, "https-fds")) != NULL)
		return parse_fds(value, &r->https, err);
	else if ((value = value_of(argument, "http-fds")) != NULL)
		return parse_fds(value, &r->http, err);
	else if ((value = value_of(argument, "lmtp-fds")) != NULL)
		return parse_fds(value, &r->lmtp, err);
	else
		return err_set(err, ERR_INTERNAL, "unknown argument %s", argument);
	return 0;
}

/* ---- engine ---- */

static int reload_engine(void *owner, const struct settings **ret, struct err *err)
{
	struct role *r = owner;
	const struct settings *next = NULL;

	if (settings_parse_file(r->config, &next, NULL, err) < 0)
		return -1;
	settings_unref(&r->settings);
	r->settings = settings_ref(next);
	log_set_level((enum log_level)log_level_parse(next->server_log_level));
	*ret = next;
	return 0;
}

static int run_engine(struct role *r, struct err *err)
{
	/* r->settings changes at a reload; what is lent for the whole run needs a reference of its
	 * own. */
	const struct settings *first = settings_ref(r->settings);
	struct engine_options options = {.settings = first,
		.reload = reload_engine,
		.owner = r,
		.config_path = r->source,
		.lmtp_fds = r->lmtp.fd,
		.lmtp_fd_count = r->lmtp.count,
		.control_fd = r->control_fd,
		.admin_fd = r->admin_fd,
		.baton_fds = {-1, -1},
		.notes_fd = r->notes_fd,
		.upgrading = r->upgrading != 0};
	int status;

	if (r->baton.count == 2)
		memcpy(options.baton_fds, r->baton.fd, sizeof(options.baton_fds));
	status = engine_run(&options, err);
	settings_unref(&first);
	return status;
}

/* ---- front ---- */

static void add_listeners(
	struct front_listener *listeners, size_t *count, const struct fds *fds, bool tls)
{
	for (size_t i = 0; i < fds->count; i++)
		listeners[(*count)++] = (struct front_listener){.fd = fds->fd[i], .tls = tls};
}

/*
 * Keys of connections are in here: no core, and nobody of the same user may look in. Both, because
 * a program that takes cores from the kernel gets them whatever the limit says.
 */
static void keep_secrets(const struct settings *settings)
{
	const struct rlimit none = {0, 0};

	if (settings->server_front_core)
		return;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* As many as this process has descriptors for. */
static uint32_t connections_max(const struct settings *settings)
{
	struct rlimit limit = {.rlim_cur = 1024};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return (uint32_t)MIN(settings->server_max_connections, capacity_front_room(limit.rlim_cur));
}

static int run_front(struct role *r, struct err *err)
{
	struct front_listener listeners[2 * FDS_MAX];
	struct net_tickets *tickets = NULL;
	char *engine_path = x_printf("%s/engine.sock", r->settings->server_runtime_dir);
	struct front_options options = {.number = (uint32_t)r->number,
		.life = (uint32_t)r->life,
		.settings = r->settings,
		.config_path = r->config,
		.listeners = listeners,
		.engine_path = engine_path,
		.fronts = (uint32_t)r->fronts,
		.connections_max = connections_max(r->settings),
		.shared_fd = r->shared_fd,
		.takeover_fd = r->takeover_fd,
		.control_fd = r->control_fd};
	struct front *front = NULL;
	int status = 0;

	add_listeners(listeners, &options.listener_count, &r->https, true);
	add_listeners(listeners, &options.listener_count, &r->http, false);
	keep_secrets(r->settings);
	if (r->ticket_fd >= 0) {
		status = net_tickets_open(r->ticket_fd, &tickets, err);
		options.tickets = tickets;
		fd_close(&r->ticket_fd);
	}
	if (status == 0)
		status = front_new(&options, &front, err);
	fd_close(&r->shared_fd);
	if (status == 0) {
		/* Serving means more than listening: without its engine a front can only say 503.
		 */
		while (front_counter(front, "engine_connects") == 0 &&
			loop_run_once(front_loop(front), -1))
			;
		(void)send(r->control_fd, "r", 1, MSG_NOSIGNAL);
		loop_run(front_loop(front));
		front_free(&front);
	}
	net_tickets_close(&tickets);
	mem_free(engine_path);
	return status;
}

/* ---- entry ---- */

static int run(struct role *r, int argc, char **argv, struct err *err)
{
	char name[32];

	for (int i = 1; i < argc; i++) {
		if (parse_argument(r, argv[i], err) < 0)
			return -1;
	}
	if (r->config == NULL || r->role == NULL)
		return err_set(err, ERR_INTERNAL, "not started by the supervisor");
	if (str_eq(r->role, "front"))
		(void)snprintf(name, sizeof(name), "front %u", (unsigned)r->number);
	else
		(void)snprintf(name, sizeof(name), "engine");
	log_setup(name, LOG_LEVEL_INFO);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	/* At a limit of file sizes a write fails like on a full disk, and nobody dies. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (settings_parse_file(r->config, &r->settings, NULL, err) < 0)
		return -1;
	log_set_level((enum log_level)log_level_parse(r->settings->server_log_level));
	net_setup();
	if (str_eq(r->role, "engine")) {
		mem_return_large();
		return run_engine(r, err);
	}
	return run_front(r, err);
}

int role_main(int argc, char **argv)
{
	struct role r = {.control_fd = -1,
		.ticket_fd = -1,
		.shared_fd = -1,
		.notes_fd = -1,
		.takeover_fd = -1,
		.admin_fd = -1};
	struct err err = ERR_INIT;
	int status = run(&r, argc, argv, &err);

	if (status < 0)
		log_error(NULL, "process_failed", F_ERR(&err));
	settings_unref(&r.settings);
	return status < 0 ? 1 : 0;
}
