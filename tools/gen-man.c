/*
 * Makes manual pages and the example configuration from the tables that the programs use, so that
 * they cannot differ:
 *
 *     gen-man TEMPLATE    the template, with the line `.\" @SETTINGS@` replaced by all settings and
 *                         the line `.\" @VERBS@` by all verbs of the administrator's command, and
 *                         `.\" @SERVICES@` by the switches of mobile services
 *     gen-man --example   a configuration file with every default, commented out
 *
 * Writes to standard output. Runs at build time only.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "admin/verbs.h"
#include "base/buf.h"
#include "base/str.h"
#include "conf/settings.h"

/* Text as roff means it: no character that it would take for something else. */
static void put_text(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			(void)fputs("\\e", stdout);
		else if (*p == '-')
			(void)fputs("\\-", stdout);
		else if (*p == '\'')
			(void)fputs("\\(aq", stdout);
		else if (p == text && *p == '.')
			(void)fputs("\\&.", stdout);
		else
			(void)fputc(*p, stdout);
	}
}

static void put_upper(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		(void)fputc(*p == '_' ? '-' : toupper((unsigned char)*p), stdout);
}

/* ---- the switches of mobile services ---- */

static void put_services(void)
{
	static const char *const services[][2] = {
#define SERVICE(name, kind, minimum, maximum, unit, help) {#name, help},
#include "policy/services.def"
#undef SERVICE
	};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		printf(".TP\n.B ");
		put_text(services[i][0]);
		printf("\n");
		put_text(services[i][1]);
		printf("\n");
	}
}

/* ---- settings ---- */

static void put_setting(const struct setting_def *def)
{
	struct buf range = BUF_INIT;

	printf(".TP\n.B ");
	put_text(def->name);
	printf("\n");
	put_text(def->text);
	printf("\n.br\nAllowed: ");
	settings_describe_range(def, &range);
	put_text(buf_cstr(&range));
	printf(". Default: ");
	put_text(def->default_text[0] != '\0' ? def->default_text : "empty");
	printf(".%s\n", def->reloadable ? "" : " Takes effect at a restart.");
	buf_deinit(&range);
}

static void put_settings(void)
{
	const char *section = "";
	size_t count;
	const struct setting_def *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (!str_eq(section, table[i].section)) {
			section = table[i].section;
			printf(".SS [%s]\n", section);
		}
		put_setting(&table[i]);
	}
}

/* ---- verbs ---- */

static const char *metavariable(const struct admin_arg *arg)
{
	switch (arg->type) {
	case ADMIN_ARG_ADDRESS:
		return "ADDRESS";
	case ADMIN_ARG_DOMAIN:
		return "DOMAIN";
	case ADMIN_ARG_INT:
		return "N";
	case ADMIN_ARG_JSON:
		return "JSON";
	case ADMIN_ARG_SECRET:
		return "FILE";
	case ADMIN_ARG_TEXT:
	case ADMIN_ARG_FLAG:
		break;
	}
	return "TEXT";
}

/* As people type it, and bellhop --help has it. */
static void put_option(const char *name)
{
	for (; *name != '\0'; name++)
		(void)fputs(*name == '_' || *name == '-' ? "\\-" : (char[]){*name, '\0'}, stdout);
}

static void put_argument(const struct admin_verb *verb, const struct admin_arg *arg)
{
	/* A password is asked for when no file is named; so is the word of somebody at a terminal.
	 */
	bool optional = !arg->required || arg->type == ADMIN_ARG_SECRET ||
			(arg->type == ADMIN_ARG_FLAG && verb->confirm != ADMIN_CONFIRM_YES);

	if (arg->positional) {
		printf(optional ? " [\\fI" : " \\fI");
		put_upper(arg->name);
		printf(optional ? "\\fR]" : "\\fR");
		return;
	}
	printf(optional ? " [\\fB\\-\\-" : " \\fB\\-\\-");
	put_option(arg->name);
	if (arg->type == ADMIN_ARG_SECRET)
		printf("\\-file");
	printf("\\fR");
	if (arg->type != ADMIN_ARG_FLAG)
		printf(" \\fI%s\\fR", metavariable(arg));
	if (optional)
		printf("]");
}

/* What each argument is; that of passwords is told once, at the top of the page. */
static void put_arguments_help(const struct admin_verb *verb)
{
	bool first = true;

	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		if (arg->type == ADMIN_ARG_SECRET)
			continue;
		printf(first ? ".br\n" : ";\n");
		first = false;
		if (arg->positional) {
			printf("\\fI");
			put_upper(arg->name);
		} else {
			printf("\\fB\\-\\-");
			put_option(arg->name);
		}
		printf("\\fR: ");
		put_text(arg->help);
	}
	if (!first)
		printf(".\n");
}

static void put_verb(const struct admin_verb *verb)
{
	size_t count = admin_verb_arg_count(verb);

	printf(".TP\n\\fB");
	put_text(verb->name);
	printf("\\fR");
	for (size_t i = 0; i < count; i++)
		put_argument(verb, &verb->args[i]);
	printf("\n");
	put_text(verb->help);
	printf("\n");
	put_arguments_help(verb);
}

/* ---- the page ---- */

static int put_page(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[4096];

	if (f == NULL) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		if (str_eq(line, ".\\\" @SETTINGS@\n")) {
			put_settings();
		} else if (str_eq(line, ".\\\" @SERVICES@\n")) {
			put_services();
		} else if (str_eq(line, ".\\\" @VERBS@\n")) {
			for (size_t i = 0; i < ADMIN_VERB_COUNT; i++) {
				if (!admin_verbs[i].hidden)
					put_verb(&admin_verbs[i]);
			}
			for (size_t i = 0; i < ADMIN_LOCAL_COUNT; i++)
				put_verb(&admin_local_verbs[i]);
		} else {
			(void)fputs(line, stdout);
		}
	}
	(void)fclose(f);
	return 0;
}

static void put_example(void)
{
	const struct settings *s = settings_default();
	struct buf out = BUF_INIT;

	settings_dump(s, false, &out);
	printf("# The configuration of bellhopd; see bellhop.conf(5). Every setting stands here "
	       "with "
	       "its default,\n# commented out. After a change: bellhop config check, bellhop "
	       "reload.\n\n%s",
		buf_cstr(&out));
	buf_deinit(&out);
	settings_unref(&s);
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc != 2) {
		(void)fprintf(stderr, "Usage: gen-man TEMPLATE | --example\n");
		return 2;
	}
	if (str_eq(argv[1], "--example"))
		put_example();
	else
		status = put_page(argv[1]);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("standard output");
		status = 1;
	}
	return status;
}
