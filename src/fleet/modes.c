/*
 * Command lines as tables, and the mode that only looks at a scenario. Pure but for messages.
 */
#include "fleet/modes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/version.h"
#include "fleet/scenario.h"

int modes_folder(const char *path, struct err *err)
{
	struct stat st;

	if (path == NULL || mkdir(path, 0777) == 0)
		return 0;
	if (errno != EEXIST)
		return err_set_errno(err, errno, "--plots %s", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_BAD_INPUT, "--plots %s: it is not a folder", path);
	return 0;
}

/* "90", "90s", "15m", "2h", "3d" */
static bool parse_span(const char *text, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	struct err ignored = ERR_INIT;
	size_t len = strlen(text);
	uint64_t factor = 1, n;
	char number[24];

	if (len == 0 || len >= sizeof(number))
		return false;
	(void)snprintf(number, sizeof(number), "%s", text);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (text[len - 1] == units[i].unit) {
			factor = units[i].s;
			number[len - 1] = 0;
		}
	}
	if (str_parse_u64(number, 1000000000, &n, &ignored) < 0)
		return false;
	*ret = n * factor;
	return true;
}

/* "0.26", "11" */
static bool parse_real(const char *text, const struct modes_option *o, double *ret)
{
	char *end = NULL;
	double value;

	/* Neither signs nor "inf", "0x1" or blanks, which strtod() would take. */
	if (text[0] == 0 || text[strspn(text, "0123456789.")] != 0)
		return false;
	value = strtod(text, &end);
	if (*end != 0 || value < (double)o->min || value > (double)o->max)
		return false;
	*ret = value;
	return true;
}

static int take(const struct modes_option *o, const char *value, struct err *err)
{
	uint64_t n = 0;
	struct err ignored = ERR_INIT;

	if (o->kind == MODES_TEXT) {
		*(const char **)o->to = value;
		return 0;
	}
	if (o->kind == MODES_REAL) {
		if (parse_real(value, o, o->to))
			return 0;
		return err_set(err, ERR_BAD_INPUT,
			"%s: \"%.60s\" is not a number (0.5) from %llu to %llu", o->name, value,
			(unsigned long long)o->min, (unsigned long long)o->max);
	}
	if ((o->kind == MODES_NUMBER && str_parse_u64(value, o->max, &n, &ignored) < 0) ||
		(o->kind == MODES_SPAN && !parse_span(value, &n)) || n < o->min || n > o->max)
		return err_set(err, ERR_BAD_INPUT, "%s: \"%.60s\" is not a %s from %llu to %llu",
			o->name, value, o->kind == MODES_SPAN ? "time (90s, 15m, 2h)" : "number",
			(unsigned long long)o->min, (unsigned long long)o->max);
	*(uint64_t *)o->to = n;
	return 0;
}

int modes_parse(int argc, char **argv, const struct modes_option *options, size_t count,
	const char **ret_word, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		const struct modes_option *found = NULL;

		if (strncmp(argv[i], "--", 2) != 0 && ret_word != NULL && *ret_word == NULL) {
			*ret_word = argv[i];
			continue;
		}
		for (size_t n = 0; n < count; n++) {
			if (str_eq(argv[i], options[n].name))
				found = &options[n];
		}
		if (found == NULL)
			return err_set(err, ERR_BAD_INPUT,
				"\"%.60s\" is no option here; see --help", argv[i]);
		if (found->kind == MODES_FLAG) {
			*(bool *)found->to = true;
			continue;
		}
		if (i + 1 == argc)
			return err_set(err, ERR_BAD_INPUT, "%s needs a value", argv[i]);
		if (take(found, argv[++i], err) < 0)
			return -1;
	}
	return 0;
}

int modes_password(const char *path, char *ret, size_t size, struct err *err)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return err_set_errno(err, errno, "--password-file %s", path);
	if (fgets(ret, (int)size, f) == NULL)
		ret[0] = 0;
	(void)fclose(f);
	ret[strcspn(ret, "\r\n")] = 0;
	if (ret[0] == 0)
		return err_set(
			err, ERR_BAD_INPUT, "--password-file: the first line of %s is empty", path);
	return 0;
}

static void print_paths(const struct scenario_group *g)
{
	if (g->path_count == 0)
		(void)printf(" none");
	for (size_t i = 0; i < g->path_count; i++)
		(void)printf(" %us:%u", g->paths[i].idle_s, g->paths[i].weight);
}

int modes_check(int argc, char **argv)
{
	const char *path = NULL;
	struct scenario s;
	struct err err = ERR_INIT;

	if (modes_parse(argc, argv, NULL, 0, &path, &err) < 0 ||
		(path == NULL && err_set(&err, ERR_BAD_INPUT, "check: name a scenario file") < 0)) {
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
		return MODES_USAGE;
	}
	if (scenario_load(path, &s, &err) < 0) {
		(void)fprintf(stderr, "bellhop-bench: %s\n", err.text);
		return MODES_FAILED;
	}
	(void)printf(
		"%u phones of %u users, %u s, %u phones per second, %.3g messages per second\n",
		s.phones, s.users, s.duration_s, s.connect_rate, s.mail_rate);
	for (size_t i = 0; i < s.group_count; i++) {
		const struct scenario_group *g = &s.groups[i];

		(void)printf("%-20s share %u, version %s, %s, %s, heartbeat %us to %us, %u folders,"
			     " paths",
			g->name, g->share, version_to_str(g->version),
			scenario_behaviour_to_str(g->behaviour),
			g->held_sync ? "held Sync" : "Ping", g->heartbeat_s, g->heartbeat_max_s,
			g->folders);
		print_paths(g);
		(void)printf("\n");
	}
	return 0;
}
