/* --help, from the table of verbs. Pure. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

static const char head[] = "Usage: bellhop [-c FILE] VERB ...\n"
			   "Administers a Bellhop server.\n\n";

static const char options[] =
	"\nOptions, anywhere:\n"
	"  -c, --config FILE     the server's configuration (/etc/bellhop/bellhop.conf)\n"
	"  --socket PATH         the server's admin socket, instead of the configured one\n"
	"  --json                print the answer as JSON\n"
	"  --password-file FILE  read a password from the first line of FILE; - is standard input\n"
	"  -h, --help            help; also for one verb: bellhop user add --help\n"
	"  -V, --version         print the version\n\n"
	"Without --password-file a password is asked for on the terminal, or read from standard "
	"input.\n"
	"Exit status: 0 done, 1 refused or failed, or a check found something, 2 wrong command "
	"line, 3 no server there, 4 "
	"errors in the\n"
	"configuration. See bellhop(1).\n";

static void add_usage(const struct admin_verb *verb, struct buf *out)
{
	buf_add_str(out, verb->name);
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		if (arg->type == ADMIN_ARG_SECRET)
			buf_add_str(out, " [--password-file FILE]");
		else if (arg->positional)
			buf_addf(out, arg->required ? " %s" : " [%s]", arg->name);
		else if (arg->type == ADMIN_ARG_FLAG)
			buf_addf(out, verb->confirm == ADMIN_CONFIRM_YES ? " --%s" : " [--%s]",
				arg->name);
		else
			buf_addf(out, " [--%s %s]", arg->name,
				arg->type == ADMIN_ARG_INT ? "N" : "TEXT");
	}
}

void ctl_help_all(struct buf *out)
{
	buf_add_str(out, head);
	for (int i = 0; i < CTL_VERB_COUNT; i++) {
		if (ctl_verb(i)->hidden)
			continue;
		buf_add_str(out, "  ");
		add_usage(ctl_verb(i), out);
		buf_addf(out, "\n      %s\n", ctl_verb(i)->help);
	}
	buf_add_str(out, "  config check\n      Check the configuration; all errors with file and "
			 "line. Needs no server.\n"
			 "  config dump [--changed]\n      Print every setting with its text, or "
			 "those that are not the default.\n");
	buf_add_str(out, options);
}

static void add_argument(const struct admin_arg *arg, struct buf *out)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s%s%s", arg->positional ? "" : "--", arg->name,
		arg->type == ADMIN_ARG_SECRET ? "-file" : "");
	buf_addf(out, "    %-16s %s%s\n", name, arg->help,
		arg->type == ADMIN_ARG_SECRET ? ": the first line of FILE; - is standard input"
					      : "");
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
		buf_add_str(out, "Usage: bellhop ");
		add_usage(verb, out);
		buf_addf(out, "\n  %s\n", verb->help);
		for (size_t k = 0; k < admin_verb_arg_count(verb); k++)
			add_argument(&verb->args[k], out);
	}
	return found;
}
