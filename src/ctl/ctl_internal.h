#ifndef BELLHOP_CTL_CTL_INTERNAL_H
#define BELLHOP_CTL_CTL_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "admin/verbs.h"
#include "base/buf.h"
#include "base/err.h"

/* What `bellhop` ends with; bellhop(1) lists them. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_REFUSED = 1,     /* the server said no, something failed, or a check found something */
	CTL_USAGE = 2,       /* the command line is wrong */
	CTL_UNREACHABLE = 3, /* no server answers on the socket */
	CTL_CONFIG = 4,      /* the configuration has errors */
};

/* A command line taken apart; the texts are those of argv. */
struct ctl_command {
	const char *config;        /* -c; NULL: not given */
	const char *socket;        /* --socket; NULL: from the configuration */
	const char *password_file; /* NULL: prompt or standard input; "-": standard input */
	bool json, wide, help, version, changed_only;
	char **words; /* everything that is no option; owned array */
	size_t word_count;
	struct {
		const char *name, *value; /* value NULL: given alone */
	} options[ADMIN_ARGS_MAX];
	size_t option_count;
};

/* All verbs in one row: those of the server, then those that need none. */
#define CTL_VERB_COUNT (ADMIN_VERB_COUNT + ADMIN_LOCAL_COUNT)
const struct admin_verb *ctl_verb(int at);

/* ctl_command.c: ERR_BAD_INPUT says what is wrong. */
NODISCARD int ctl_command_parse(int argc, char **argv, struct ctl_command *ret, struct err *err);
void ctl_command_deinit(struct ctl_command *command);
/* The verb that the words begin with, and how many words name it. NULL: none. */
const struct admin_verb *ctl_command_verb(const struct ctl_command *command, size_t *ret_words);
/* "args" of a request from the words after the verb and the options; passwords are not in it yet.
 */
NODISCARD int ctl_command_args(const struct ctl_command *command, const struct admin_verb *verb,
	size_t verb_words, json_t **ret, struct err *err);

/* ctl_help.c */
void ctl_help_all(struct buf *out);
/* Of every verb that begins with these words; false when there is none. */
bool ctl_help_verbs(const char *prefix, struct buf *out);

/* ctl_password.c: from a file, a terminal (twice, unseen) or standard input. Heap; the caller wipes
 * it. */
NODISCARD int ctl_password_read(const char *file, char **ret, struct err *err);

/* ctl_client.c: sends one request, gives the answer's "result". ERR_TIMEOUT: no server there; other
 * codes: its refusal. */
NODISCARD int ctl_client_ask(const char *socket_path, const char *verb, json_t *args,
	json_t **ret_result, struct err *err);

/* A connection for many requests; -1: none. Bytes go behind the request (admin/admin.h);
 * ERR_TIMEOUT: the server is not, or no more, there. */
NODISCARD int ctl_client_open(const char *socket_path, int *ret_fd, struct err *err);
NODISCARD int ctl_client_send(int fd, const char *verb, json_t *args, const struct buf *body,
	json_t **ret_result, struct err *err);

/* ctl_log.c: the event log as the arguments of `log export` want it. */
NODISCARD int ctl_log_export(const char *socket_path, json_t *args, FILE *out, struct err *err);

/* ctl_signal.c: SIGINT and SIGTERM are remembered instead of ending the process. */
void ctl_signal_catch(void);
bool ctl_signal_caught(void);

/* ctl_progress.c: a bar on standard error, when that is a terminal and it is wanted. */
struct ctl_progress {
	bool on;
	uint64_t total, done; /* in whatever is counted; total 0: unknown */
	uint64_t messages;
	int64_t begun_ms, shown_ms;
};
void ctl_progress_begin(struct ctl_progress *p, bool wanted);
void ctl_progress_show(struct ctl_progress *p, bool now);
/* Takes the bar away. */
void ctl_progress_end(struct ctl_progress *p);

/* ctl_import.c, ctl_export.c: an object with "failed" and "failures", of which at most
 * CTL_FAILURES_MAX are listed. */
#define CTL_FAILURES_MAX 10000
NODISCARD int ctl_import_run(const json_t *args, const char *socket_path, bool json,
	json_t **ret_result, struct err *err);
struct settings;
NODISCARD int ctl_export_run(const json_t *args, const struct settings *settings, bool json,
	json_t **ret_result, struct err *err);
void ctl_failures_add(json_t *failures, const char *source, const char *text);

/* ctl_store.c: the local verbs on the data folder. An object; "findings" in it are what a check
 * found. */
struct settings;
NODISCARD int ctl_store_run(enum admin_local_id verb, const json_t *args,
	const struct settings *settings, json_t **ret_result, struct err *err);

/* ctl_trace.c */
void ctl_trace_render(const json_t *result, struct buf *out);
/* Asks for traces after that one until Ctrl-C, and prints them. */
NODISCARD int ctl_trace_follow(
	const char *path, json_t *args, bool json, json_int_t last, struct err *err);

/* ctl_overview.c; width as of ctl_render() */
void ctl_overview_render(const json_t *result, size_t width, struct buf *out);

/* ctl_render.c: text of whomever, with a blank or ? for what a terminal obeys: control characters,
 * lines, and marks that turn the direction of writing and so could make one name look like another.
 */
void ctl_add_visible(struct buf *out, const char *text);
/* A text behind so many characters of a line, broken between words; further lines begin below it.
 * width 0: not broken. */
void ctl_add_wrapped(struct buf *out, const char *text, size_t indent, size_t width);
/* A result for people. columns: of the verb, "" for one object. width: of the terminal, into which
 * tables are fitted by cutting texts and leaving out columns, and saying so; sentences take several
 * lines instead. 0: as wide as it is. */
void ctl_render(const json_t *result, const char *columns, size_t width, struct buf *out);

#endif
