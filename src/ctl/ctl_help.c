/* --help, from the table of verbs, in lines of at most WIDTH columns. Pure. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

#define WIDTH 80u

static const char head[] = "Usage: bellhop [-c FILE] VERB ...\n"
			   "Administers a Bellhop server.\n\n";

static const char options[] =
	"\nOptions, anywhere:\n"
	"  -c, --config FILE     the server's configuration (/etc/bellhop/bellhop.conf)\n"
	"  --socket PATH         the server's admin socket, instead of the configured one\n"
	"  --json                print the answer as JSON\n"
	"  --wide                on a terminal: cut nothing of a table\n"
	"  --password-file FILE  read a password from the first line of FILE; - is\n"
	"                        standard input\n"
	"  -h, --help            help; also for one verb: bellhop user add --help\n"
	"  -V, --version         print the version\n\n"
	"Without --password-file a password is asked for on the terminal, or read from\n"
	"standard input. Exit status: 0 done, 1 refused or failed, or a check found\n"
	"something, 2 wrong command line, 3 no server there, 4 errors in the\n"
	"configuration. See bellhop(1).\n";

static const char foot[] =
	"\nEach also takes --json (the answer as JSON), -c FILE and --socket PATH.\n"
	"Exit status: 0 done, 1 refused or failed, 2 wrong command line, 3 no server\n"
	"there, 4 errors in the configuration. See bellhop(1).\n";

/* The words of text behind the column `at`, further lines indented; "[--name TEXT]" is one. */
static void add_wrapped(struct buf *out, size_t at, size_t indent, const char *text)
{
	bool first = true;

	while (*text != '\0') {
		size_t len = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, " ");

		if (!first && at + 1 + len > WIDTH) {
			buf_addf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			buf_add_byte(out, ' ');
			at++;
		}
		buf_add(out, text, len);
		at += len;
		first = false;
		text += len;
		text += strspn(text, " ");
	}
	buf_add_byte(out, '\n');
}

/* "--policy-status": as people type it. */
static void add_option_name(const char *name, struct buf *out)
{
	for (; *name != '\0'; name++)
		buf_add_byte(out, *name == '_' ? '-' : (uint8_t)*name);
}

static void add_option(const struct admin_arg *arg, struct buf *out)
{
	buf_add_str(out, " [--");
	add_option_name(arg->name, out);
	if (arg->type != ADMIN_ARG_FLAG)
		buf_add_str(out, arg->type == ADMIN_ARG_INT ? " N" : " TEXT");
	buf_add_byte(out, ']');
}

static void add_usage(const struct admin_verb *verb, struct buf *out)
{
	buf_add_str(out, verb->name);
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		if (arg->type == ADMIN_ARG_SECRET)
			buf_add_str(out, " [--password-file FILE]");
		else if (arg->positional)
			buf_addf(out, arg->required ? " %s" : " [%s]", arg->name);
		else
			add_option(arg, out);
	}
}

static void add_usage_line(const char *before, const struct admin_verb *verb, struct buf *out)
{
	struct buf text = BUF_INIT;

	add_usage(verb, &text);
	buf_add_str(out, before);
	add_wrapped(out, strlen(before), strlen(before) + 4, buf_cstr(&text));
	buf_deinit(&text);
}

void ctl_help_all(struct buf *out)
{
	buf_add_str(out, head);
	for (int i = 0; i < CTL_VERB_COUNT; i++) {
		if (ctl_verb(i)->hidden)
			continue;
		add_usage_line("  ", ctl_verb(i), out);
		buf_add_str(out, "      ");
		add_wrapped(out, 6, 6, ctl_verb(i)->help);
	}
	buf_add_str(out, "  config check\n"
			 "      Check the configuration; all errors with file and line. Needs no "
			 "server.\n"
			 "  config dump [--changed]\n"
			 "      Print every setting with its text, or those that are not the "
			 "default.\n");
	buf_add_str(out, options);
}

static void add_argument(const struct admin_arg *arg, struct buf *out)
{
	bool secret = arg->type == ADMIN_ARG_SECRET;
	struct buf name = BUF_INIT, help = BUF_INIT;

	buf_add_str(&name, arg->positional ? "" : "--");
	add_option_name(arg->name, &name);
	buf_add_str(&name, secret ? "-file" : "");
	buf_addf(&help, "%s%s", arg->help,
		secret ? ": the first line of FILE; - is standard input" : "");
	buf_addf(out, "    %-16s ", buf_cstr(&name));
	add_wrapped(out, 21, 21, buf_cstr(&help));
	buf_deinit(&name);
	buf_deinit(&help);
}

bool ctl_help_verbs(const char *prefix, struct buf *out)
{
	bool found = false;

	for (int i = 0; i < CTL_VERB_COUNT; i++) {
		const struct admin_verb *verb = ctl_verb(i);
		size_t len = strlen(prefix);

		if (verb->hidden || !str_starts(verb->name, prefix) ||
			(verb->name[len] != '\0' && verb->name[len] != ' '))
			continue;
		found = true;
		add_usage_line("Usage: bellhop ", verb, out);
		buf_add_str(out, "  ");
		add_wrapped(out, 2, 2, verb->help);
		for (size_t k = 0; k < admin_verb_arg_count(verb); k++)
			add_argument(&verb->args[k], out);
	}
	if (found)
		buf_add_str(out, foot);
	return found;
}
