/*
 * bellhopd: reads the command line, prepares what needs rights, and becomes the supervisor; or,
 * started by it, the engine or a front.
 *
 * Exit status: 0 after an orderly stop, 1 when something failed, 2 for a wrong command line or
 * configuration.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "daemon/config.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/privileges.h"
#include "daemon/role.h"
#include "daemon/supervisor.h"
#include "net/stream.h"
#include "store/store.h"

#define DEFAULT_CONFIG "/etc/bellhop/bellhop.conf"

static const char usage[] =
	"Usage: bellhopd [-c FILE] [-f]\n"
	"The Bellhop server: Exchange ActiveSync Direct Push.\n\n"
	"  -c, --config FILE   the configuration (" DEFAULT_CONFIG ")\n"
	"  -f, --foreground    stay in the foreground; it always does\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this\n\n"
	"It logs to standard error. SIGHUP reloads the configuration, SIGTERM stops it.\n"
	"See bellhopd(8), bellhop.conf(5), bellhop(1).\n";

/* 0: go on; else the exit status plus one. */
static int parse_command_line(int argc, char **argv, const char **ret_config)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:fVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			*ret_config = optarg;
			break;
		case 'f':
			break;
		case 'V':
			printf("bellhopd %s\n", BELLHOP_VERSION);
			return 1;
		case 'h':
			(void)fputs(usage, stdout);
			return 1;
		default:
			(void)fputs(usage, stderr);
			return 3;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "bellhopd: \"%s\" is one argument too many\n%s", argv[optind],
			usage);
		return 3;
	}
	return 0;
}

/* Where children are started from: our own file, also after a new version was installed over it. */
static int own_program(char path[PATH_MAX], struct err *err)
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n < 0)
		return err_set_errno(err, errno, "/proc/self/exe");
	path[n] = '\0';
	if (str_ends(path, deleted))
		path[n - (ssize_t)strlen(deleted)] = '\0';
	return 0;
}

/* The engine's sockets, so that after an orderly stop nobody takes them for a server that is away.
 */
static void remove_sockets(const struct settings *settings)
{
	static const char *const names[] = {"admin.sock", "engine.sock"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = x_printf("%s/%s", settings->server_runtime_dir, names[i]);

		(void)unlink(path);
		mem_free(path);
	}
}

static int serve(const char *source_path, const struct settings *settings, struct err *err)
{
	struct supervisor_options options = {.source_path = source_path, .settings = settings};
	char program[PATH_MAX];
	unsigned long descriptors;
	int lock_fd = -1, status;

	if (own_program(program, err) < 0 || privileges_make_dirs(settings, &lock_fd, err) < 0)
		return -1;
	options.program = program;
	notify_open();
	descriptors = privileges_raise_descriptors(settings);
	privileges_raise_locked_memory();
	status = listeners_open(
		settings, privileges_front_count(settings, descriptors), &options.listeners, err);
	if (status == 0)
		status = privileges_drop(settings, err);
	options.lock_fd = lock_fd;
	if (status == 0)
		status = supervisor_run(&options, err);
	if (options.listeners != NULL)
		remove_sockets(settings);
	listeners_free(&options.listeners);
	fd_close(&lock_fd);
	return status;
}

/* Of a store that is newer than the program no engine comes up: who would go back finds out now. */
static int try_store(const struct settings *settings, struct err *err)
{
	const struct store_options options = {.data_dir = settings->server_data_dir,
		.readers_max = 1,
		.group_max = 1,
		.cache_kib = 256,
		.read_only = true};
	struct store *store = NULL;
	int status = store_open(&options, &store, err);

	store_close(&store);
	return status;
}

/* The new program in the place of the old one (daemon/upgrade.c): its command line is our own. */
static int resume(int argc, char **argv)
{
	static const char name[] = "--state-fd=";
	struct supervisor_options options = {.lock_fd = -1};
	struct err err = ERR_INIT;
	uint64_t state_fd = 0;
	bool dry = argc > 3 && str_eq(argv[3], "--dry");
	int status, fd;

	log_setup("bellhopd", LOG_LEVEL_INFO);
	net_setup();
	if (argc < 3 || !str_starts(argv[2], name) ||
		str_parse_u64(argv[2] + strlen(name), INT32_MAX, &state_fd, &err) < 0)
		return 2;
	fd = (int)state_fd;
	status = supervisor_resume(fd, dry, &options, &err);
	if (status == 0 && dry)
		status = try_store(options.settings, &err);
	if (status < 0 && dry)
		printf("%s\n", err.text);
	if (status < 0)
		log_error(NULL, "server_failed", F_ERR(&err));
	else if (argc == 3)
		log_info(NULL, "server_stopped");
	if (argc == 3 && options.settings != NULL)
		remove_sockets(options.settings);
	listeners_free(&options.listeners);
	settings_unref(&options.settings);
	mem_free((char *)(uintptr_t)options.program);
	mem_free((char *)(uintptr_t)options.source_path);
	fd_close(&options.lock_fd);
	fd_close(&fd);
	return status < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *config = DEFAULT_CONFIG;
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	char source_path[PATH_MAX];
	int status;

	if (argc > 1 && str_eq(argv[1], "--role=supervisor"))
		return resume(argc, argv);
	if (argc > 1 && str_starts(argv[1], "--role="))
		return role_main(argc, argv);
	status = parse_command_line(argc, argv, &config);
	if (status > 0)
		return status - 1;
	log_setup("bellhopd", LOG_LEVEL_INFO);
	net_setup();
	if (config_load(config, &settings, &err) < 0)
		return 2;
	log_set_level((enum log_level)log_level_parse(settings->server_log_level));
	if (realpath(config, source_path) == NULL)
		status = err_set_errno(&err, errno, "%s", config);
	else
		status = serve(source_path, settings, &err);
	if (status < 0)
		log_error(NULL, "server_failed", F_ERR(&err));
	else
		log_info(NULL, "server_stopped");
	settings_unref(&settings);
	return status < 0 ? 1 : 0;
}
