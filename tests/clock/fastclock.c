/*
 * Preloaded by tests into all processes of a server: its clocks run faster, or from another day on.
 *
 * FAST_CLOCK="RATE ORIGIN_NS WALL_NS [ROLE]": at ORIGIN_NS of CLOCK_MONOTONIC the server's
 * monotonic clock is right, its wall clock shows WALL_NS, and from then on both run RATE times as
 * fast; the same in every process, whenever it starts, as that of the kernel is. With a ROLE only
 * the clocks of processes with the argument --role=ROLE are faster, those of the others run as they
 * always do. Time-outs of the calls that the server waits in are so much shorter; those of the
 * kernel itself (TCP) stay.
 *
 * Any thread; nothing is kept but what the variable says.
 */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

static int64_t rate = 1, origin_ns, wall_ns;

static int is_role(int argc, char **argv, const char *role)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--role=", 7) == 0 && strcmp(argv[i] + 7, role) == 0)
			return 1;
	return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *text = getenv("FAST_CLOCK");
	long long r, o, w;
	char role[16] = "";

	if (text == NULL || sscanf(text, "%lld %lld %lld %15s", &r, &o, &w, role) < 3 || r < 1)
		abort();
	rate = role[0] == '\0' || is_role(argc, argv, role) ? r : 1;
	origin_ns = o;
	wall_ns = w;
}

static int64_t passed_ns(void)
{
	struct timespec ts;

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * SECOND_NS + ts.tv_nsec - origin_ns) * rate;
}

static int64_t now_ns(clockid_t clock)
{
	int64_t from_ns =
		clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? wall_ns : origin_ns;

	return from_ns + passed_ns();
}

static int is_faked(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
	       clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
	       clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME;
}

/* ---- clocks ---- */

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int64_t ns;

	if (!is_faked(clock))
		return (int)syscall(SYS_clock_gettime, clock, ret);
	ns = now_ns(clock);
	*ret = (struct timespec){ns / SECOND_NS, ns % SECOND_NS};
	return 0;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	int64_t ns = now_ns(CLOCK_REALTIME);

	(void)zone;
	*ret = (struct timeval){ns / SECOND_NS, ns % SECOND_NS / 1000};
	return 0;
}

time_t time(time_t *ret)
{
	time_t seconds = now_ns(CLOCK_REALTIME) / SECOND_NS;

	if (ret != NULL)
		*ret = seconds;
	return seconds;
}

/* ---- waiting ---- */

/* Never a moment too short: who waits looks at its clock, and would begin again. */
static int shorter_ms(int ms)
{
	return ms <= 0 ? ms : (int)((ms + rate - 1) / rate);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int ms)
{
	static int (*next)(int, struct epoll_event *, int, int);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
	return next(fd, events, count, shorter_ms(ms));
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
	static int (*next)(struct pollfd *, nfds_t, int);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "poll");
	return next(fds, count, shorter_ms(ms));
}

/* The true CLOCK_MONOTONIC of a deadline on one of the faked clocks. */
static struct timespec truth(clockid_t clock, const struct timespec *deadline)
{
	int64_t ns = deadline->tv_sec * SECOND_NS + deadline->tv_nsec;
	int64_t from_ns = clock == CLOCK_REALTIME ? wall_ns : origin_ns;
	int64_t true_ns = origin_ns + (ns - from_ns + rate - 1) / rate;

	if (true_ns < 0)
		true_ns = 0;
	return (struct timespec){true_ns / SECOND_NS, true_ns % SECOND_NS};
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t clock,
	const struct timespec *deadline)
{
	static int (*next)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
	struct timespec true_deadline = truth(clock, deadline);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
	return next(cond, lock, CLOCK_MONOTONIC, &true_deadline);
}

/* Of conditions whose clock is the wall's, which is the default. */
int pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *deadline)
{
	return pthread_cond_clockwait(cond, lock, CLOCK_REALTIME, deadline);
}

int usleep(useconds_t us)
{
	int64_t ns = (int64_t)us * 1000 / rate;
	struct timespec ts = {ns / SECOND_NS, ns % SECOND_NS};

	return (int)syscall(SYS_nanosleep, &ts, NULL);
}
