/*
 * bellhop-phone: takes the command line, the password and the account's folder, then runs one of
 * the modes, again and again after failures that pass. One thread; SIGTERM and SIGINT arrive on a
 * descriptor that every wait looks at.
 */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/durable.h"
#include "phone/phone.h"

#define EXIT_FAILED   1
#define EXIT_USAGE    2
#define EXIT_PASSWORD 3
#define EXIT_WIPED    4

#define PASSWORD_MAX   1024
#define ONCE_TRIES     4
#define BACKOFF_MAX_MS 300000u

static int read_password_file(const char *path, struct buf *out, struct err *err)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	size_t len;

	text.max = 65536;
	if (durable_read(path, &text, err) < 0)
		return err_wrap(err, "--password-file");
	len = strcspn(buf_cstr(&text), "\r\n");
	buf_add(out, text.data, len);
	secret_wipe(text.data, text.len);
	if (len == 0)
		return err_set(
			err, ERR_BAD_INPUT, "--password-file: the first line of %s is empty", path);
	return 0;
}

/* Asks on the terminal without echo. */
static int ask_password(const char *user, struct buf *out, struct err *err)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	struct termios before, silent;
	char line[PASSWORD_MAX];
	char *got;

	if (tty == NULL)
		return err_set(err, ERR_BAD_INPUT,
			"there is no terminal to ask for the password; use --password-file");
	(void)fprintf(tty, "Password of %s: ", user);
	(void)fflush(tty);
	if (tcgetattr(fileno(tty), &before) == 0) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(fileno(tty), TCSAFLUSH, &silent);
		got = fgets(line, sizeof(line), tty);
		(void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
	} else {
		got = fgets(line, sizeof(line), tty);
	}
	(void)fprintf(tty, "\n");
	(void)fclose(tty);
	if (got == NULL || *line == '\n')
		return err_set(err, ERR_BAD_INPUT, "no password was given");
	line[strcspn(line, "\r\n")] = 0;
	buf_add(out, line, strlen(line));
	secret_wipe(line, sizeof(line));
	return 0;
}

/* <data>/<user>@<host>, with nothing in it that a path minds. */
static char *default_data_dir(const struct options *o)
{
	const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	const char *host = strstr(o->server, "://");
	CLEANUP(mem_freep) char *name = NULL;

	host = host != NULL ? host + 3 : o->server;
	name = x_printf("%s@%.*s", o->user, (int)strcspn(host, "/?#"), host);
	for (char *p = name; *p != 0; p++) {
		if (*p == '/' || *p == '\\' || (unsigned char)*p < ' ')
			*p = '_';
	}
	if (base != NULL && *base == '/')
		return x_printf("%s/bellhop-phone/%s", base, name);
	return x_printf("%s/.local/share/bellhop-phone/%s", home != NULL ? home : ".", name);
}

/* The same machine, folder and user give the same id, also after a wipe has taken the state. */
static char *make_device_id(const struct phone *p)
{
	static const uint8_t key[16] = "bellhop devices";
	CLEANUP(buf_deinit) struct buf who = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *real = realpath(p->data_dir, NULL);

	if (durable_read("/etc/machine-id", &who, &ignored) < 0)
		buf_clear(&who);
	buf_addf(&who, "%s|%s", real != NULL ? real : p->data_dir, p->options->user);
	mem_free(real);
	return x_printf("BELLHOP%016llX", (unsigned long long)siphash(key, who.data, who.len));
}

/* Held until the process ends. */
static int lock_state(const struct phone *p, struct err *err)
{
	static FILE *lock;
	CLEANUP(mem_freep) char *path = x_printf("%s/lock", p->state_dir);

	lock = fopen(path, "we");
	if (lock == NULL)
		return err_set_errno(err, errno, "creating %s", path);
	if (flock(fileno(lock), LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_BUSY, "another bellhop-phone is using %s", p->data_dir);
	return 0;
}

/* Loads or makes the partnership and brings it in line with the options. */
static int open_profile(struct phone *p, struct err *err)
{
	const struct options *o = p->options;
	CLEANUP(mem_freep) char *url = NULL, *made = NULL;

	if (http_url(o->server, o->insecure, &url, err) < 0)
		return -1;
	p->wiping = provision_wipe_note(p, err) == 0;
	if (!p->wiping && profile_load(p->state_dir, &p->profile, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		p->profile = profile_new(url, o->user);
	}
	if (!http_same_host(p->profile->server, url) || strcmp(p->profile->user, o->user) != 0)
		return err_set(err, ERR_BAD_INPUT,
			"%s belongs to the account %s at %s; give this one another folder with "
			"--data",
			p->data_dir, p->profile->user, p->profile->server);
	/* Another port or path is what the user says now; a redirect is forgotten with it. */
	if (p->profile->url == NULL || strcmp(p->profile->server, url) != 0)
		profile_set(&p->profile->url, url);
	profile_set(&p->profile->server, url);
	made = make_device_id(p);
	if (o->device_id != NULL || p->profile->device_id == NULL)
		profile_set(&p->profile->device_id, o->device_id != NULL ? o->device_id : made);
	if (o->device_type != NULL || p->profile->device_type == NULL)
		profile_set(&p->profile->device_type,
			o->device_type != NULL ? o->device_type : "BellhopPhone");
	if (o->heartbeat_s != 0)
		heartbeat_init(&p->profile->heartbeat, o->heartbeat_s);
	return 0;
}

static int open_folders(struct phone *p, struct err *err)
{
	p->data_dir = p->options->data_dir != NULL ? x_strdup(p->options->data_dir)
						   : default_data_dir(p->options);
	p->maildir = x_printf("%s/Maildir", p->data_dir);
	p->state_dir = x_printf("%s/state", p->data_dir);
	if (durable_mkdirs(p->state_dir, err) < 0 || lock_state(p, err) < 0)
		return -1;
	return open_profile(p, err);
}

static int open_signals(struct phone *p, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	p->stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->stop_fd < 0)
		return err_set_errno(err, errno, "signalfd");
	/* Without it (limit of the system reached) local changes go up with the next sync. */
	p->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return 0;
}

/* From the start to the mode's end, or to the first error. */
static int run_mode(struct phone *p, struct err *err)
{
	if (p->wiping)
		return provision_wipe_resume(p, err);
	if (!p->version_known && exchange_options(p, err) < 0)
		return -1;
	if (p->profile->policy_key == 0 && provision_run(p, err) < 0)
		return -1;
	if (p->options->mode == OPTIONS_SEND)
		return send_run(p, err);
	if (hierarchy_run(p, err) < 0 || mail_sync_all(p, err) < 0)
		return -1;
	return p->options->mode == OPTIONS_ONCE ? 0 : push_run(p, err);
}

static bool passes(const struct err *err)
{
	return err->code == ERR_TIMEOUT || err->code == ERR_BACKEND || err->code == ERR_BUSY;
}

/* Seconds with jitter, so that a fleet does not come back in step. */
static unsigned backoff_ms(const struct phone *p, unsigned failures)
{
	unsigned ms = MIN(1000u << MIN(failures, 9u), BACKOFF_MAX_MS);

	if (p->retry_after_s > 0)
		return p->retry_after_s * 1000;
	return ms / 2 + (unsigned)(random_u64() % (ms / 2 + 1));
}

static int run(struct phone *p, struct err *err)
{
	unsigned failures = 0;

	for (;;) {
		int64_t began_us = events_now_us();
		bool stale = p->hierarchy_stale;

		if (run_mode(p, err) == 0)
			return 0;
		if (p->wiped || exchange_stopped(p) || !passes(err))
			return -1;
		if (!stale && p->hierarchy_stale)
			continue; /* the folder list changed under us: at once, but once */
		if (events_now_us() - began_us > 60 * 1000000LL)
			failures = 0;
		failures++;
		if (p->options->mode == OPTIONS_SEND ||
			(p->options->mode == OPTIONS_ONCE && failures >= ONCE_TRIES))
			return -1;
		events_error(&p->events, err_code_to_str(err->code), err->text);
		exchange_pause(p, backoff_ms(p, failures));
		p->retry_after_s = 0;
		if (exchange_stopped(p))
			return -1;
	}
}

static int exit_status(const struct phone *p, const struct err *err)
{
	if (p->wiped)
		return EXIT_WIPED;
	if (exchange_stopped(p))
		return 0; /* asked to stop: everything is kept */
	events_error(&p->events, err_code_to_str(err->code), err->text);
	return err->code == ERR_AUTH ? EXIT_PASSWORD : EXIT_FAILED;
}

static void phone_clear(struct phone *p)
{
	http_free(&p->http);
	profile_free(&p->profile);
	mem_free(p->data_dir);
	mem_free(p->maildir);
	mem_free(p->state_dir);
}

static int work(const struct options *o, const char *password)
{
	struct phone p = {.options = o, .events = {.json = o->json, .quiet = o->quiet}};
	struct http_options http = {.user = o->user,
		.password = password,
		.insecure = o->insecure,
		.cacert = o->cacert,
		.pin = o->pin,
		.user_agent = "Bellhop-Phone/" BELLHOP_VERSION};
	struct err err = ERR_INIT;
	int status = EXIT_FAILED;

	if (open_signals(&p, &err) < 0 || open_folders(&p, &err) < 0) {
		events_error(&p.events, err_code_to_str(err.code), err.text);
		phone_clear(&p);
		return EXIT_FAILED;
	}
	http.stop_fd = p.stop_fd;
	p.http = http_new(&http);
	if (p.http == NULL)
		events_error(&p.events, "internal", "libcurl cannot be started");
	else
		status = run(&p, &err) == 0 ? 0 : exit_status(&p, &err);
	phone_clear(&p);
	return status;
}

int main(int argc, char **argv)
{
	CLEANUP(buf_deinit) struct buf password = BUF_INIT;
	struct options options;
	struct err err = ERR_INIT;
	int status;

	if (options_parse(argc, argv, &options, &err) < 0) {
		(void)fprintf(stderr, "bellhop-phone: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (options.mode == OPTIONS_HELP || options.mode == OPTIONS_VERSION) {
		(void)fputs(options.mode == OPTIONS_HELP ? options_help()
							 : "bellhop-phone " BELLHOP_VERSION "\n",
			stdout);
		return 0;
	}
	log_setup("bellhop-phone", options.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	if ((options.password_file != NULL
			    ? read_password_file(options.password_file, &password, &err)
			    : ask_password(options.user, &password, &err)) < 0) {
		(void)fprintf(stderr, "bellhop-phone: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		(void)fprintf(stderr, "bellhop-phone: libcurl cannot be started\n");
		return EXIT_FAILED;
	}
	status = work(&options, buf_cstr(&password));
	secret_wipe(password.data, password.len);
	curl_global_cleanup();
	return status;
}
