/*
 * The coordinator's side: workers as child processes, the memory shared with them, orders, sums.
 *
 * Owns the shared memory and the workers. The workers are forked before anything else happens, each
 * with its share of the phones. They are killed by their pids; a worker also dies when the
 * coordinator does.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "fleet/fleet_internal.h"

#define WORKER_PHONES_MAX 19000u
#define FILES_SPARE       200u
#define WORKERS_MAX       256u
#define ORDER_PATIENCE_MS 30000

struct fleet_worker {
	pid_t pid; /* 0: gone */
	int order_fd;
};

struct fleet {
	struct fleet_options options;
	struct target target;
	uint32_t worker_count, worker_phones, order_number;
	struct fleet_worker *workers;
	struct shared_worker *shared; /* mapped, worker_count of them */
	struct fleet_mark *marks;     /* mapped, one for each phone; NULL */
	_Atomic uint64_t *news_us;    /* mapped, one for each user */
};

uint64_t fleet_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void *map_shared(size_t bytes, struct err *err)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		(void)err_set_errno(err, errno, "%zu bytes of shared memory", bytes);
		return NULL;
	}
	return p;
}

static uint32_t users_of(const struct fleet *f)
{
	const struct scenario *s = f->options.scenario;

	return s->users != 0 ? s->users : s->phones;
}

/* Phones of one worker: as many as it may have descriptors, and evenly. */
static int share_out(struct fleet *f, struct err *err)
{
	struct rlimit files = {0};
	uint64_t each = f->options.worker_phones, phones = f->options.scenario->phones;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	if (each == 0 || each > WORKER_PHONES_MAX)
		each = WORKER_PHONES_MAX;
	if (files.rlim_max < FILES_SPARE * 2)
		return err_set(err, ERR_BACKEND, "the limit of %llu descriptors is too small",
			(unsigned long long)files.rlim_max);
	each = MIN(each, (uint64_t)files.rlim_max - FILES_SPARE);
	f->worker_count = (uint32_t)((phones + each - 1) / each);
	if (f->worker_count > WORKERS_MAX)
		return err_set(err, ERR_BAD_INPUT,
			"%llu phones want %u processes of %llu; %u are the most",
			(unsigned long long)phones, f->worker_count, (unsigned long long)each,
			WORKERS_MAX);
	f->worker_phones = (uint32_t)((phones + f->worker_count - 1) / f->worker_count);
	return 0;
}

_Noreturn static void be_worker(struct fleet *f, uint32_t number)
{
	struct rlimit files;
	struct worker *w = x_new(struct worker);
	uint32_t phones = f->options.scenario->phones;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "bench-phones");
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	for (uint32_t i = 0; i < number; i++)
		fd_close(&f->workers[i].order_fd);
	w->options = &f->options;
	w->scenario = f->options.scenario;
	w->target = &f->target;
	w->shared = &f->shared[number];
	w->tally = &w->shared->tally;
	w->marks = f->marks;
	w->news_us = f->news_us;
	w->number = number;
	w->first = number * f->worker_phones;
	w->count = MIN(f->worker_phones, phones - MIN(phones, w->first));
	w->order_fd = f->workers[number].order_fd;
	worker_run(w);
}

static int start_worker(struct fleet *f, uint32_t number, struct err *err)
{
	struct fleet_worker *w = &f->workers[number];

	w->order_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->order_fd < 0)
		return err_set_errno(err, errno, "eventfd");
	(void)fflush(NULL);
	w->pid = fork();
	if (w->pid < 0) {
		w->pid = 0;
		return err_set_errno(err, errno, "fork");
	}
	if (w->pid == 0)
		be_worker(f, number);
	return 0;
}

int fleet_open(const struct fleet_options *options, struct fleet **ret, struct err *err)
{
	struct fleet *f = x_new(struct fleet);

	f->options = *options;
	if (wire_target(options->url, &f->target, err) < 0 || share_out(f, err) < 0)
		goto failed;
	f->workers = x_calloc(f->worker_count, sizeof(*f->workers));
	for (uint32_t i = 0; i < f->worker_count; i++)
		f->workers[i].order_fd = -1;
	f->shared = map_shared(f->worker_count * sizeof(*f->shared), err);
	f->news_us = map_shared(users_of(f) * sizeof(*f->news_us), err);
	if (f->shared == NULL || f->news_us == NULL)
		goto failed;
	if (options->marks) {
		f->marks = map_shared(options->scenario->phones * sizeof(*f->marks), err);
		if (f->marks == NULL)
			goto failed;
	}
	for (uint32_t i = 0; i < f->worker_count; i++) {
		if (start_worker(f, i, err) < 0)
			goto failed;
	}
	*ret = f;
	return 0;
failed:
	fleet_close(&f);
	return -1;
}

void fleet_close(struct fleet **fleet)
{
	struct fleet *f = *fleet;

	if (f == NULL)
		return;
	for (uint32_t i = 0; f->workers != NULL && i < f->worker_count; i++) {
		if (f->workers[i].pid > 0)
			(void)kill(f->workers[i].pid, SIGKILL);
	}
	for (uint32_t i = 0; f->workers != NULL && i < f->worker_count; i++) {
		if (f->workers[i].pid > 0)
			(void)waitpid(f->workers[i].pid, NULL, 0);
		fd_close(&f->workers[i].order_fd);
	}
	if (f->shared != NULL)
		(void)munmap(f->shared, f->worker_count * sizeof(*f->shared));
	if (f->news_us != NULL)
		(void)munmap(f->news_us, users_of(f) * sizeof(*f->news_us));
	if (f->marks != NULL)
		(void)munmap(f->marks, f->options.scenario->phones * sizeof(*f->marks));
	mem_free(f->workers);
	mem_free(f);
	*fleet = NULL;
}

void fleet_give(struct fleet *f, const struct fleet_command *command)
{
	int64_t end_ms = clock_now_ms() + ORDER_PATIENCE_MS;
	uint64_t one = 1;

	f->order_number++;
	for (uint32_t i = 0; i < f->worker_count; i++) {
		f->shared[i].command = *command;
		atomic_store_explicit(
			&f->shared[i].order_number, f->order_number, memory_order_release);
		(void)!write(f->workers[i].order_fd, &one, sizeof(one));
	}
	for (uint32_t i = 0; i < f->worker_count; i++) {
		struct timespec pause = {.tv_nsec = 1000000};

		while (atomic_load_explicit(&f->shared[i].done_number, memory_order_acquire) !=
				f->order_number &&
			clock_now_ms() < end_ms)
			(void)nanosleep(&pause, NULL);
	}
}

void fleet_read(struct fleet *f, struct tally *ret)
{
	*ret = (struct tally){0};
	for (uint32_t i = 0; i < f->worker_count; i++)
		tally_add(ret, &f->shared[i].tally);
}

int fleet_alive(struct fleet *f, struct err *err)
{
	for (uint32_t i = 0; i < f->worker_count; i++) {
		int status;

		if (f->workers[i].pid <= 0 ||
			waitpid(f->workers[i].pid, &status, WNOHANG) != f->workers[i].pid)
			continue;
		f->workers[i].pid = 0;
		return err_set(err, ERR_INTERNAL, "worker %u ended with %s %d", i,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	return 0;
}

const struct fleet_mark *fleet_marks(const struct fleet *f)
{
	return f->marks;
}

void fleet_news(struct fleet *f, uint32_t user, uint64_t at_us)
{
	atomic_store_explicit(&f->news_us[user], at_us, memory_order_relaxed);
}
