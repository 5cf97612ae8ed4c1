/*
 * The command lines of the benchmarks: usage, and the check of what was given. No state.
 */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

#define USAGE 2 /* exit status */

static void print_usage(const struct bench_usage *u, FILE *out)
{
	(void)fprintf(out, "bench-%s [options]: %s\n\n", u->name, u->what);
	(void)fprintf(out, "  %-18s %s\n", "--build-dir DIR", "where the programs are (build)");
	if (u->parts != NULL) {
		(void)fprintf(out, "  %-18s one of:", "--only PART");
		for (size_t i = 0; u->parts[i] != NULL; i++)
			(void)fprintf(out, "%s %s",
				i % 5 == 0 && i > 0 ? "\n                    " : "", u->parts[i]);
		(void)fputs("\n", out);
	}
	for (size_t i = 0; i < u->count; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "%s N", u->options[i].name);
		(void)fprintf(out, "  %-18s %s; %u to %u\n", name, u->options[i].text,
			u->options[i].min, u->options[i].max);
	}
	(void)fputs(
		"\nFigures are rows and JSON lines on standard output, progress goes to standard "
		"error.\nThe server's files lie below BENCH_FOLDER (/var/tmp).\n",
		out);
}

__attribute__((format(printf, 2, 3))) _Noreturn static void refuse(
	const struct bench_usage *u, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fprintf(stderr, "bench-%s: ", u->name);
	(void)vfprintf(stderr, fmt, ap);
	(void)fprintf(stderr, "; see --help\n");
	va_end(ap);
	exit(USAGE);
}

static void check_part(const struct bench_usage *u, const char *part)
{
	for (size_t i = 0; u->parts[i] != NULL; i++) {
		if (str_eq(u->parts[i], part))
			return;
	}
	refuse(u, "--only: there is no part \"%.60s\"", part);
}

static void check_number(
	const struct bench_usage *u, const struct bench_option *o, const char *value)
{
	struct err ignored = ERR_INIT;
	uint64_t n;

	if (str_parse_u64(value, o->max, &n, &ignored) < 0 || n < o->min)
		refuse(u, "%s: \"%.60s\" is not a number from %u to %u", o->name, value, o->min,
			o->max);
}

static const struct bench_option *find(const struct bench_usage *u, const char *name)
{
	for (size_t i = 0; i < u->count; i++) {
		if (str_eq(u->options[i].name, name))
			return &u->options[i];
	}
	return NULL;
}

void bench_options(int argc, char **argv, const struct bench_usage *u)
{
	for (int i = 1; i < argc; i++) {
		if (!str_eq(argv[i], "--help"))
			continue;
		print_usage(u, stdout);
		exit(0);
	}
	for (int i = 1; i < argc; i += 2) {
		const struct bench_option *o = find(u, argv[i]);
		bool only = u->parts != NULL && str_eq(argv[i], "--only");

		if (o == NULL && !only && !str_eq(argv[i], "--build-dir"))
			refuse(u, "\"%.60s\" is no option here", argv[i]);
		if (i + 1 == argc)
			refuse(u, "%s needs a value", argv[i]);
		for (int before = 1; before < i; before += 2) {
			if (str_eq(argv[before], argv[i]))
				refuse(u, "%s comes twice", argv[i]);
		}
		if (only)
			check_part(u, argv[i + 1]);
		if (o != NULL)
			check_number(u, o, argv[i + 1]);
	}
}
