/*
 * bellhop: the administrator's command. Builds one request from the command line, asks the server,
 * shows the answer. The verbs come from admin/verbs.h; `config`, and what works on the data folder
 * (ctl_store.c), is at home here, because it needs no server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "ctl/ctl_internal.h"
#include "ctl/doctor.h"
#include "net/stream.h"
#include "net/tls.h"

#define DEFAULT_CONFIG "/etc/bellhop/bellhop.conf"

#define RESTART_POLL_MS     50
#define RESTART_PATIENCE_MS 45000
#define UPGRADE_PATIENCE_MS 600000

static void print(FILE *to, struct buf *text)
{
	(void)fputs(buf_cstr(text), to);
	buf_deinit(text);
}

static int complain(int status, const struct err *err)
{
	(void)fprintf(stderr, "bellhop: %s\n", err->text);
	return status;
}

/* Without -c a missing file means: all defaults. Everything that is wrong goes to standard error.
 */
static int load_config(const struct ctl_command *c, const struct settings **ret, struct err *err)
{
	struct settings_report report = SETTINGS_REPORT_INIT;
	int status;

	if (c->config == NULL && access(DEFAULT_CONFIG, F_OK) < 0 && errno == ENOENT) {
		*ret = settings_default();
		return 0;
	}
	status = settings_parse_file(
		c->config != NULL ? c->config : DEFAULT_CONFIG, ret, &report, err);
	if (status < 0 && report.errors == 0)
		(void)complain(0, err);
	print(stderr, &report.text);
	return status;
}

/* ---- config ---- */

/* As the server does at its start and at a reload. */
static int check_certificate(const struct settings *s, struct err *err)
{
	struct ssl_ctx_st *tls = NULL;
	int status;

	if (s->tls_certificate[0] == '\0')
		return 0;
	if ((access(s->tls_certificate, R_OK) < 0 || access(s->tls_key, R_OK) < 0) &&
		errno == EACCES) {
		(void)fprintf(stderr,
			"bellhop: certificate and key are not looked at: not readable for "
			"whom you are\n");
		return 0;
	}
	net_setup();
	status = net_tls_server_new(s->tls_certificate, s->tls_key, NULL, &tls, err);
	net_tls_free(&tls);
	return status < 0 ? err_wrap(err, "tls.certificate, tls.key") : 0;
}

static int run_config(const struct ctl_command *c)
{
	const char *what = c->word_count == 2 ? c->words[1] : "";
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;

	if (!str_eq(what, "check") && !str_eq(what, "dump")) {
		(void)fputs("Usage: bellhop [-c FILE] config check\n       bellhop [-c FILE] "
			    "config dump [--changed]\n",
			stderr);
		return CTL_USAGE;
	}
	if (load_config(c, &settings, &err) < 0)
		return CTL_CONFIG;
	if (str_eq(what, "check") && check_certificate(settings, &err) < 0) {
		settings_unref(&settings);
		return complain(CTL_CONFIG, &err);
	}
	if (str_eq(what, "dump"))
		settings_dump(settings, c->changed_only, &text);
	else if (c->config == NULL && access(DEFAULT_CONFIG, F_OK) < 0)
		buf_add_str(&text, DEFAULT_CONFIG " is not there: all defaults\n");
	else
		buf_addf(&text, "%s: no errors\n", c->config != NULL ? c->config : DEFAULT_CONFIG);
	print(stdout, &text);
	settings_unref(&settings);
	return CTL_DONE;
}

/* ---- verbs ---- */

static bool wants(const struct admin_verb *verb, enum admin_arg_type type)
{
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		if (verb->args[i].type == type)
			return true;
	}
	return false;
}

static int add_password(
	const struct ctl_command *c, const struct admin_verb *verb, json_t *args, struct err *err)
{
	char *password = NULL;
	json_t *value;

	if (!wants(verb, ADMIN_ARG_SECRET))
		return c->password_file == NULL
			       ? 0
			       : err_set(err, ERR_BAD_INPUT, "%s takes no password", verb->name);
	if (ctl_password_read(c->password_file, &password, err) < 0)
		return -1;
	value = json_string(password);
	secret_wipe(password, strlen(password));
	mem_free(password);
	if (value == NULL)
		return err_set(err, ERR_BAD_INPUT, "the password is not UTF-8");
	(void)json_object_set_new(args, "password", value);
	return 0;
}

/* 0: not cut, for another program reads it, or somebody who asked for all. */
static size_t terminal_width(const struct ctl_command *c)
{
	struct winsize size = {0};

	if (c->wide || !isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void show(const struct ctl_command *c, const struct admin_verb *verb, const json_t *result)
{
	struct buf text = BUF_INIT;

	if (c->json) {
		char *dump = json_dumps(result, JSON_INDENT(2));

		(void)puts(dump != NULL ? dump : "null");
		mem_free(dump);
		return;
	}
	if (verb == &admin_verbs[ADMIN_TRACE])
		ctl_trace_render(result, &text);
	else if (verb == &admin_verbs[ADMIN_OVERVIEW])
		ctl_overview_render(result, terminal_width(c), &text);
	else if (verb == &admin_verbs[ADMIN_METRICS])
		buf_add_str(&text, json_string_value(json_object_get(result, "text")));
	else
		ctl_render(result, verb->columns, terminal_width(c), &text);
	print(stdout, &text);
}

static bool has_findings(const json_t *result)
{
	return json_array_size(json_object_get(result, "findings")) > 0;
}

/* Of the engine that answers now; 0: none does. */
static json_int_t engine_pid(const char *path)
{
	json_t *args = json_object(), *result = NULL;
	json_int_t pid = 0;
	struct err err = ERR_INIT;

	if (ctl_client_ask(path, "status", args, &result, &err) == 0)
		pid = json_integer_value(json_object_get(result, "engine_pid"));
	json_decref(result);
	json_decref(args);
	return pid;
}

/* Until another engine answers: who restarts one wants the next command to meet the new one. */
static int await_restart(const char *path, json_int_t old_pid, struct err *err)
{
	const struct timespec pause = {.tv_nsec = RESTART_POLL_MS * 1000000L};

	for (int tries = 0; tries < RESTART_PATIENCE_MS / RESTART_POLL_MS; tries++) {
		json_int_t pid = engine_pid(path);

		if (pid != 0 && pid != old_pid)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_BUSY, "the restart was ordered; no new engine has come up yet");
}

/* One counter of the server; -1: it does not answer just now. */
static json_int_t counter(const char *path, const char *name)
{
	json_t *args = json_object(), *result = NULL;
	json_int_t value = -1;
	struct err err = ERR_INIT;

	if (ctl_client_ask(path, "stats", args, &result, &err) == 0)
		value = json_integer_value(json_object_get(result, name));
	json_decref(result);
	json_decref(args);
	return value;
}

/* Until the fronts, too, are those of the new program, and every waiting phone was looked at. */
static int await_upgrade(const char *path, json_int_t old_pid, struct err *err)
{
	const struct timespec pause = {.tv_nsec = RESTART_POLL_MS * 1000000L};

	if (await_restart(path, old_pid, err) < 0)
		return -1;
	for (int tries = 0; tries < UPGRADE_PATIENCE_MS / RESTART_POLL_MS; tries++) {
		if (counter(path, "upgrading") == 0 && counter(path, "watches_returning") == 0)
			return counter(path, "upgrade_failed") == 0
				       ? 0
				       : err_set(err, ERR_BUSY,
						 "the engine is the new one, but not every front; "
						 "the log says why");
		(void)nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_BUSY, "the fronts are still being replaced");
}

static int ask_and_wait(const char *path, const struct admin_verb *verb, json_t *args,
	json_t **ret_result, struct err *err)
{
	bool is_upgrade = verb == &admin_verbs[ADMIN_UPGRADE];
	bool is_restart = verb == &admin_verbs[ADMIN_RESTART] || is_upgrade;
	json_int_t old_pid = is_restart ? engine_pid(path) : 0;

	if (ctl_client_ask(path, verb->name, args, ret_result, err) < 0)
		return -1;
	if (is_upgrade)
		return await_upgrade(path, old_pid, err);
	return is_restart ? await_restart(path, old_pid, err) : 0;
}

/* NULL: the configuration is wrong. */
static char *socket_path(const struct ctl_command *c)
{
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	char *path;

	if (c->socket != NULL)
		return x_strdup(c->socket);
	if (load_config(c, &settings, &err) < 0)
		return NULL;
	path = x_printf("%s/admin.sock", settings->server_runtime_dir);
	settings_unref(&settings);
	return path;
}

/* Nothing but a clear yes: what else begins with y may be the answer to another question. */
static bool is_yes(void)
{
	char answer[16] = "";

	if (fgets(answer, sizeof(answer), stdin) == NULL)
		return false;
	answer[strcspn(answer, " \t\r\n")] = '\0';
	return str_eq_nocase(answer, "y") || str_eq_nocase(answer, "yes");
}

static void show_line(const json_t *device, const char *name, const char *key)
{
	const char *text = json_string_value(json_object_get(device, key));
	struct buf line = BUF_INIT;

	if (text == NULL || text[0] == '\0')
		return;
	/* What the phone says of itself must not be able to write lines of this. */
	ctl_add_visible(&line, text);
	(void)fprintf(stderr, "  %-10s %s\n", name, buf_cstr(&line));
	buf_deinit(&line);
}

/* Which phone that is, before anybody says yes. */
static int show_phone(const struct ctl_command *c, const json_t *args, struct err *err)
{
	json_t *wanted = json_object(), *device = NULL;
	char *path = socket_path(c);
	char seen[32] = "";
	time_t seen_at;
	struct tm tm;
	int status = path == NULL ? err_set(err, ERR_BAD_INPUT, "the configuration is wrong") : 0;

	(void)json_object_set(wanted, "address", json_object_get(args, "address"));
	(void)json_object_set(wanted, "device", json_object_get(args, "device"));
	if (status == 0)
		status = ctl_client_ask(path, "device show", wanted, &device, err);
	json_decref(wanted);
	mem_free(path);
	if (status < 0)
		return -1;
	seen_at = (time_t)json_integer_value(json_object_get(device, "last_seen_at"));
	if (localtime_r(&seen_at, &tm) != NULL)
		(void)strftime(seen, sizeof(seen), "%Y-%m-%d %H:%M:%S", &tm);
	show_line(device, "user", "address");
	show_line(device, "device", "device");
	show_line(device, "model", "model");
	show_line(device, "type", "type");
	show_line(device, "name", "friendly_name");
	(void)fprintf(stderr, "  %-10s %s\n", "last seen", seen);
	show_line(device, "note", "wipe_reach_text");
	json_decref(device);
	return 0;
}

/* For verbs that only a person should think twice about. */
static int confirm(
	const struct ctl_command *c, const struct admin_verb *verb, json_t *args, struct err *err)
{
	if (verb->confirm == ADMIN_CONFIRM_NONE || json_is_true(json_object_get(args, "yes")) ||
		!isatty(STDIN_FILENO))
		return 0;
	if (verb == &admin_verbs[ADMIN_DEVICE_WIPE] && show_phone(c, args, err) < 0)
		return -1;
	(void)fprintf(stderr, "%s %s: this cannot be taken back. Go on? [y/N] ", verb->name,
		c->words[c->word_count - 1]);
	if (!is_yes())
		return err_set(err, ERR_BAD_INPUT, "nothing was done");
	(void)json_object_set_new(args, "yes", json_true());
	return 0;
}

static int ask(const struct ctl_command *c, const struct admin_verb *verb, json_t *args)
{
	char *path = socket_path(c);
	struct err err = ERR_INIT;
	json_t *result = NULL;
	int status;

	if (path == NULL)
		return CTL_CONFIG;
	status = ask_and_wait(path, verb, args, &result, &err);
	if (status == 0)
		show(c, verb, result);
	if (status == 0 && verb == &admin_verbs[ADMIN_TRACE] &&
		json_is_true(json_object_get(args, "follow")))
		status = ctl_trace_follow(path, args, c->json,
			json_integer_value(json_object_get(result, "last")), &err);
	mem_free(path);
	if (status < 0) {
		json_decref(result);
		return complain(err.code == ERR_TIMEOUT ? CTL_UNREACHABLE : CTL_REFUSED, &err);
	}
	status = has_findings(result) ? CTL_REFUSED : CTL_DONE;
	json_decref(result);
	return status;
}

static int run_log_export(const struct ctl_command *c, json_t *args)
{
	char *path = socket_path(c);
	struct err err = ERR_INIT;
	int status;

	if (path == NULL)
		return CTL_CONFIG;
	status = ctl_log_export(path, args, stdout, &err);
	mem_free(path);
	if (status < 0)
		return complain(err.code == ERR_TIMEOUT ? CTL_UNREACHABLE : CTL_REFUSED, &err);
	return CTL_DONE;
}

/* Without a server: on the data folder itself. */
static int run_local(const struct ctl_command *c, const struct admin_verb *verb, const json_t *args)
{
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	json_t *result = NULL;
	int status;

	if (load_config(c, &settings, &err) < 0)
		return CTL_CONFIG;
	status = ctl_store_run(
		(enum admin_local_id)(verb - admin_local_verbs), args, settings, &result, &err);
	settings_unref(&settings);
	if (status < 0)
		return complain(CTL_REFUSED, &err);
	show(c, verb, result);
	status = has_findings(result) ? CTL_REFUSED : CTL_DONE;
	json_decref(result);
	return status;
}

/* What failed goes to standard error, one line each. */
static int show_bulk(
	const struct ctl_command *c, const struct admin_verb *verb, json_t *result, bool quiet)
{
	bool whole = json_integer_value(json_object_get(result, "failed")) == 0 &&
		     !json_is_true(json_object_get(result, "interrupted"));
	const json_t *failures = json_object_get(result, "failures");

	for (size_t i = 0; !c->json && i < json_array_size(failures); i++) {
		const json_t *row = json_array_get(failures, i);

		(void)fprintf(stderr, "bellhop: %s: %s\n",
			json_string_value(json_object_get(row, "source")),
			json_string_value(json_object_get(row, "text")));
	}
	if (!c->json)
		(void)json_object_del(result, "failures");
	if (c->json || !quiet)
		show(c, verb, result);
	if (json_is_true(json_object_get(result, "interrupted")))
		(void)fputs("bellhop: interrupted\n", stderr);
	return whole ? CTL_DONE : CTL_REFUSED;
}

static int run_import(
	const struct ctl_command *c, const struct admin_verb *verb, const json_t *args)
{
	char *path = socket_path(c);
	struct err err = ERR_INIT;
	json_t *result = NULL;
	int status, failed;

	if (path == NULL)
		return CTL_CONFIG;
	failed = ctl_import_run(args, path, c->json, &result, &err);
	mem_free(path);
	/* Also when it broke off: what had come in by then, and what had not. */
	status = result != NULL
			 ? show_bulk(c, verb, result, json_is_true(json_object_get(args, "quiet")))
			 : CTL_DONE;
	json_decref(result);
	if (failed < 0)
		return complain(err.code == ERR_TIMEOUT ? CTL_UNREACHABLE : CTL_REFUSED, &err);
	return status;
}

static int run_export(
	const struct ctl_command *c, const struct admin_verb *verb, const json_t *args)
{
	const struct settings *settings = NULL;
	struct err err = ERR_INIT;
	json_t *result = NULL;
	int status;

	if (load_config(c, &settings, &err) < 0)
		return CTL_CONFIG;
	status = ctl_export_run(args, settings, c->json, &result, &err);
	settings_unref(&settings);
	if (status < 0)
		return complain(CTL_REFUSED, &err);
	status = show_bulk(c, verb, result, json_is_true(json_object_get(args, "quiet")));
	json_decref(result);
	return status;
}

static int run_doctor(
	const struct ctl_command *c, const struct admin_verb *verb, const json_t *args)
{
	const struct settings *settings = NULL;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *result = NULL;
	char *path = socket_path(c);
	int status;

	if (path == NULL || load_config(c, &settings, &err) < 0) {
		mem_free(path);
		return CTL_CONFIG;
	}
	status = doctor_examine(settings, path, args, &result, &err);
	settings_unref(&settings);
	mem_free(path);
	if (status < 0)
		return complain(CTL_REFUSED, &err);
	if (c->json) {
		show(c, verb, result);
	} else {
		doctor_render(result, terminal_width(c), &text);
		print(stdout, &text);
	}
	status = has_findings(result) ? CTL_REFUSED : CTL_DONE;
	json_decref(result);
	return status;
}

static bool is_local(const struct admin_verb *verb)
{
	for (int i = 0; i < ADMIN_LOCAL_COUNT; i++) {
		if (verb == &admin_local_verbs[i])
			return true;
	}
	return false;
}

static int run_verb(const struct ctl_command *c, const struct admin_verb *verb, size_t verb_words)
{
	struct err err = ERR_INIT;
	json_t *args = NULL;
	int status;

	if (ctl_command_args(c, verb, verb_words, &args, &err) < 0) {
		struct buf text = BUF_INIT;

		(void)complain(0, &err);
		(void)ctl_help_verbs(verb->name, &text);
		print(stderr, &text);
		return CTL_USAGE;
	}
	if (confirm(c, verb, args, &err) < 0 || add_password(c, verb, args, &err) < 0)
		status = complain(CTL_USAGE, &err);
	else if (verb == &admin_local_verbs[ADMIN_LOCAL_IMPORT])
		status = run_import(c, verb, args);
	else if (verb == &admin_local_verbs[ADMIN_LOCAL_DOCTOR])
		status = run_doctor(c, verb, args);
	else if (verb == &admin_local_verbs[ADMIN_LOCAL_EXPORT])
		status = run_export(c, verb, args);
	else if (verb == &admin_verbs[ADMIN_LOG_EXPORT])
		status = run_log_export(c, args);
	else
		status = is_local(verb) ? run_local(c, verb, args) : ask(c, verb, args);
	json_decref(args);
	return status;
}

/* ---- main ---- */

static int no_such_verb(const struct ctl_command *c)
{
	struct buf text = BUF_INIT;

	if (c->word_count == 0)
		ctl_help_all(&text);
	else if (ctl_help_verbs(c->words[0], &text))
		(void)fprintf(stderr,
			c->word_count > 1 ? "bellhop: %s cannot %s\n" : "bellhop: %s what?\n",
			c->words[0], c->word_count > 1 ? c->words[1] : "");
	else
		buf_addf(&text, "bellhop: there is no \"%s\"; bellhop --help shows what there is\n",
			c->words[0]);
	print(stderr, &text);
	return CTL_USAGE;
}

static int help(const struct ctl_command *c, const struct admin_verb *verb)
{
	struct buf text = BUF_INIT;

	if (c->word_count == 0 || str_eq(c->words[0], "config"))
		ctl_help_all(&text);
	else if (verb == NULL && (c->word_count > 1 || !ctl_help_verbs(c->words[0], &text)))
		return no_such_verb(c);
	else if (verb != NULL)
		(void)ctl_help_verbs(verb->name, &text);
	print(stdout, &text);
	return CTL_DONE;
}

int main(int argc, char **argv)
{
	struct ctl_command c;
	struct err err = ERR_INIT;
	const struct admin_verb *verb;
	size_t verb_words = 0;
	int status;

	if (ctl_command_parse(argc, argv, &c, &err) < 0)
		return complain(CTL_USAGE, &err);
	verb = ctl_command_verb(&c, &verb_words);
	if (c.version) {
		printf("bellhop %s\n", BELLHOP_VERSION);
		status = CTL_DONE;
	} else if (c.help) {
		status = help(&c, verb);
	} else if (c.word_count > 0 && str_eq(c.words[0], "config")) {
		status = run_config(&c);
	} else if (verb == NULL) {
		status = no_such_verb(&c);
	} else {
		status = run_verb(&c, verb, verb_words);
	}
	ctl_command_deinit(&c);
	return status;
}
