#include "base/pure.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void call_open(void)
{
	(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void call_write(void)
{
	(void)!write(-1, "x", 1);
}

static void call_fsync(void)
{
	(void)!fsync(-1);
}

static void call_rename(void)
{
	(void)!rename("/nonexistent/a", "/nonexistent/b");
}

static void call_send(void)
{
	(void)!send(-1, "x", 1, 0);
}

static void call_fopen(void)
{
	(void)!fopen("/nonexistent/file", "re");
}

static void call_printf(void)
{
	(void)fprintf(stderr, "text\n");
}

static void call_nanosleep(void)
{
	struct timespec none = {0};

	(void)nanosleep(&none, NULL);
}

static void call_lock(void)
{
	(void)pthread_mutex_lock(&mutex);
	(void)pthread_mutex_unlock(&mutex);
}

static void call_time(void)
{
	(void)time(NULL);
}

static void call_clock(void)
{
	(void)clock_now_ms();
}

static void call_fake_clock(void)
{
	clock_fake_set(1, 1);
	(void)clock_now_at();
}

static void call_log(void)
{
	/* Also a line that is not wanted: it would be in another configuration. */
	log_debug(NULL, "thing_finished", F_STR("result", "good"));
}

static void call_nothing(void)
{
	mem_free(x_strdup("memory is fine"));
	(void)random_u64();
}

/* True: it aborted, and named the call. */
static bool aborts(void (*fn)(void), const char *named)
{
	char text[256] = "";
	int fds[2], status = 0;
	ssize_t len;
	pid_t child;

	REQUIRE(pipe(fds) == 0);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		(void)dup2(fds[1], STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		pure_begin("a test");
		fn();
		pure_end();
		fn(); /* and outside it is allowed */
		_exit(0);
	}
	(void)close(fds[1]);
	len = read(fds[0], text, sizeof(text) - 1);
	(void)close(fds[0]);
	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status)) {
		CHECK_INT(WEXITSTATUS(status), 0);
		return false;
	}
	CHECK_INT(WTERMSIG(status), SIGABRT);
	CHECK(len > 0 && strncmp(text, named, strlen(named)) == 0);
	CHECK(strstr(text, "a test") != NULL);
	return true;
}

static void test_what_aborts(void)
{
	static const struct {
		void (*fn)(void);
		const char *named;
	} rows[] = {
		{call_open, "open"},
		{call_write, "write"},
		{call_fsync, "fsync"},
		{call_rename, "rename"},
		{call_send, "send"},
		{call_fopen, "fopen"},
		{call_printf, "fprintf"},
		{call_nanosleep, "nanosleep"},
		{call_lock, "pthread_mutex_lock"},
		{call_time, "time"},
		{call_clock, "the clock"},
		{call_fake_clock, "the clock"},
		{call_log, "the log"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (aborts(rows[i].fn, rows[i].named) != (PURE_CHECKS != 0))
			CHECK_STR(rows[i].named, "what a debug build, and no other, aborts on");
	}
}

static void test_what_does_not(void)
{
	CHECK(!aborts(call_nothing, ""));
}

static pthread_barrier_t barrier;

static void *stay_inside(void *owner)
{
	pure_begin("a test");
	(void)pthread_barrier_wait(&barrier);
	(void)pthread_barrier_wait(&barrier);
	*(bool *)owner = pure_inside();
	pure_end();
	return NULL;
}

/* Others go on while one thread is inside. */
static void test_per_thread(void)
{
	pthread_t thread;
	bool was_inside = false;

	REQUIRE(pthread_barrier_init(&barrier, NULL, 2) == 0);
	REQUIRE(pthread_create(&thread, NULL, stay_inside, &was_inside) == 0);
	(void)pthread_barrier_wait(&barrier);
	CHECK(!pure_inside());
	call_clock();
	call_lock();
	(void)pthread_barrier_wait(&barrier);
	(void)pthread_join(thread, NULL);
	CHECK(was_inside);
	(void)pthread_barrier_destroy(&barrier);
}

TEST_MAIN(TEST(test_what_aborts), TEST(test_what_does_not), TEST(test_per_thread))
