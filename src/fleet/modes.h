#ifndef BELLHOP_FLEET_MODES_H
#define BELLHOP_FLEET_MODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * The modes of bellhop-bench. Each takes its command line, argv[0] being the mode's name, says on
 * standard error what is wrong, and returns the exit status.
 */
#define MODES_FAILED 1 /* the run could not be made, or a worker died */
#define MODES_USAGE  2

int modes_run(int argc, char **argv);
int modes_check(int argc, char **argv);
int modes_compare(int argc, char **argv);

/* The first line of that file. */
NODISCARD int modes_password(const char *path, char *ret, size_t size, struct err *err);

/* ---- command lines: tables of options ---- */
/* Makes the folder for plots, before hours of work for them; NULL and one that is there are well.
 */
NODISCARD int modes_folder(const char *path, struct err *err);

enum modes_kind { MODES_TEXT, MODES_NUMBER, MODES_SPAN, MODES_REAL, MODES_FLAG };

struct modes_option {
	const char *name; /* "--phones" */
	enum modes_kind kind;
	void *to; /* const char **, uint64_t *, uint64_t * in seconds, double *, bool * */
	uint64_t min, max;
};

/* One word without "--" is allowed when ret_word is not NULL. ERR_BAD_INPUT names the option. */
NODISCARD int modes_parse(int argc, char **argv, const struct modes_option *options, size_t count,
	const char **ret_word, struct err *err);

#endif
