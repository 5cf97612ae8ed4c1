/*
 * The model test: seeds and named scenarios.
 *
 *   test_model                       all scenarios, and 1,000 seeds
 *   test_model --seeds A-B           these seeds
 *   test_model --seed N -v           one seed, with everything that happens
 *   test_model --scenario NAME       one scenario
 *   test_model --script N            what happens by that seed, as JSON lines
 *
 * Seeds are shared out over two processes (--processes).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "model.h"

struct options {
	uint64_t first, last;
	unsigned processes;
	const char *scenario, *script;
	bool seeds, verbose;
};

static bool parse(int argc, char **argv, struct options *ret)
{
	*ret = (struct options){.first = 1, .last = 1000, .processes = 2};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end = NULL;

		if (strcmp(argv[i], "-v") == 0) {
			ret->verbose = true;
			continue;
		}
		if (value == NULL)
			return false;
		i++;
		if (strcmp(argv[i - 1], "--seed") == 0 || strcmp(argv[i - 1], "--seeds") == 0) {
			ret->first = ret->last = strtoull(value, &end, 10);
			if (*end == '-')
				ret->last = strtoull(end + 1, &end, 10);
			ret->seeds = true;
		} else if (strcmp(argv[i - 1], "--processes") == 0) {
			ret->processes = (unsigned)strtoul(value, &end, 10);
		} else if (strcmp(argv[i - 1], "--scenario") == 0) {
			ret->scenario = value;
		} else if (strcmp(argv[i - 1], "--script") == 0) {
			ret->script = value;
		} else {
			return false;
		}
		if (end != NULL && *end != 0)
			return false;
	}
	return ret->processes > 0 && ret->first <= ret->last;
}

static const struct world *watched;

/* Something goes round and round. */
static void on_alarm(int number)
{
	(void)number;
	printf("# seed %" PRIu64 ": it does not come to an end\n", watched->seed);
	model_print_trace(watched, -1);
	(void)fflush(stdout);
	_exit(1);
}

/* How many of every n-th seed failed. A process of its own, or the only one. */
static unsigned run_share(const struct options *o, unsigned share)
{
	struct world w;
	unsigned failed = 0;

	world_init(&w);
	watched = &w;
	(void)signal(SIGALRM, on_alarm);
	w.verbose = o->verbose;
	for (uint64_t seed = o->first + share; seed <= o->last && failed < 20;
		seed += o->processes) {
		(void)alarm(20);
		failed += run_seed(&w, seed) ? 0 : 1;
	}
	(void)alarm(0);
	world_deinit(&w);
	if (o->verbose)
		printf("# %lu requests, %lu faults\n", w.requests, vfs_fault_count());
	return failed;
}

static unsigned run_seeds(const struct options *o)
{
	unsigned failed = 0;
	int status;

	if (o->processes == 1 || o->first == o->last)
		return run_share(
			&(struct options){o->first, o->last, 1, NULL, NULL, true, o->verbose}, 0);
	(void)fflush(stdout);
	for (unsigned share = 0; share < o->processes; share++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0) {
			status = (int)run_share(o, share);
			(void)fflush(stdout);
			_exit(status);
		}
	}
	while (wait(&status) > 0)
		failed += WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 1;
	return failed;
}

static bool run_scenario(const struct scenario *s, bool verbose)
{
	struct world w;
	bool good;

	world_init(&w);
	watched = &w;
	w.verbose = verbose;
	world_reset(&w, 1);
	(void)signal(SIGALRM, on_alarm);
	(void)alarm(60);
	s->run(&w);
	(void)alarm(0);
	good = !w.failed;
	world_deinit(&w);
	return good;
}

static unsigned tell(unsigned number, bool good, const char *name)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", number, name);
	(void)fflush(stdout);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o;
	unsigned failed = 0, number = 0;
	char name[80];

	if (!parse(argc, argv, &o)) {
		(void)fprintf(stderr,
			"usage: test_model [-v] [--seed N | --seeds A-B] [--processes N] "
			"[--scenario NAME] [--script N]\n");
		return 2;
	}
	if (o.script != NULL) {
		struct script *script = x_new(struct script);

		script_make(script, strtoull(o.script, NULL, 10));
		script_print(script);
		mem_free(script);
		return 0;
	}
	for (size_t i = 0; !o.seeds && i < scenario_count; i++) {
		if (o.scenario == NULL || strcmp(o.scenario, scenarios[i].name) == 0)
			failed += tell(++number, run_scenario(&scenarios[i], o.verbose),
				scenarios[i].name);
	}
	if (o.scenario == NULL) {
		(void)snprintf(
			name, sizeof(name), "seeds %" PRIu64 " to %" PRIu64, o.first, o.last);
		failed += tell(number + 1, run_seeds(&o) == 0, name);
		number++;
	}
	printf("1..%u\n", number);
	return failed == 0 && number > 0 ? 0 : 1;
}
