#ifndef BELLHOP_BENCH_OPTIONS_H
#define BELLHOP_BENCH_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the command line of a benchmark may be. bench_options() checks all of it before anything
 * else is done: a run of an hour shall not turn out to have been another one. The values are read
 * with bench_number() and bench_only() (bench.h).
 */
struct bench_option {
	const char *name; /* "--phones" */
	uint32_t min, max;
	const char *text; /* what it is, and what it is when it is not given */
};

struct bench_usage {
	const char *name, *what;  /* "park"; a sentence */
	const char *const *parts; /* that --only may name, and NULL; NULL: there are none */
	const struct bench_option *options; /* NULL: none of its own */
	size_t count;
};

/* --help prints the usage and ends the program with 0; what is unknown, doubled, without a value
 * or out of bounds is named, and ends it with 2. */
void bench_options(int argc, char **argv, const struct bench_usage *usage);

#endif
