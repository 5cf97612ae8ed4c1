/*
 * The real supervisor with real processes: this program stands in for the engine and the fronts.
 * They report what happens to them on a datagram socket, and the test waits for these reports;
 * nothing here sleeps.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "base/test.h"
#include "conf/settings.h"
#include "daemon/config.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/supervisor.h"

static uint64_t number_of(const char *text)
{
	struct err err = ERR_INIT;
	uint64_t number = 0;

	(void)!str_parse_u64(text, INT32_MAX, &number, &err);
	return number;
}

/* ---- the child's side ---- */

static int line_fd;

static void on_usr1(int signo)
{
	(void)signo;
	(void)!write(line_fd, "E", 1);
}

static void on_usr2(int signo)
{
	(void)signo;
	(void)!write(line_fd, "R", 1);
}

static void on_alarm(int signo)
{
	(void)signo;
	abort();
}

static struct sockaddr_un report_address(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", getenv("TEST_REPORT"));
	return a;
}

static void report(const char *what, const char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un a = report_address();
	char text[128];

	(void)snprintf(text, sizeof(text), "%s %s %d", what, name, getpid());
	(void)sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, sizeof(a));
	(void)close(fd);
}

/* What the engine does with its notes: says whether the one before left a mark, and is at work. */
static void use_notes(int fd, const char *name)
{
	struct sigaction alarm = {.sa_handler = on_alarm};
	struct err err = ERR_INIT;
	uint64_t crash = 0;
	struct note note;

	REQUIRE_OK(notes_attach(fd, &err), &err);
	if (notes_guilty(&note, 1, &crash) == 1 && note.hash == 4711 && crash != 0)
		report("blamed", name);
	notes_begin_process();
	notes_thread_join();
	notes_begin(NOTE_REQUEST, 4711, 1, 2, "Sync");
	(void)sigaction(SIGALRM, &alarm, NULL);
}

static int child_main(int argc, char **argv)
{
	const char *role = argv[1] + strlen("--role="), *number = "";
	struct sigaction usr1 = {.sa_handler = on_usr1}, usr2 = {.sa_handler = on_usr2};
	char name[64], byte;
	int notes_fd = -1;
	ssize_t n;

	for (int i = 2; i < argc; i++) {
		if (str_starts(argv[i], "--control-fd="))
			line_fd = (int)number_of(argv[i] + 13);
		if (str_starts(argv[i], "--number="))
			number = argv[i] + 9;
		if (str_starts(argv[i], "--notes-fd="))
			notes_fd = (int)number_of(argv[i] + 11);
	}
	(void)snprintf(name, sizeof(name), "%s%s", role, number);
	(void)signal(SIGPIPE, SIG_IGN); /* as the real ones do */
	(void)sigaction(SIGUSR1, &usr1, NULL);
	(void)sigaction(SIGUSR2, &usr2, NULL);
	if (str_eq(getenv("TEST_FAIL"), name))
		return 3;
	if (notes_fd >= 0)
		use_notes(notes_fd, name);
	report("start", name);
	(void)!write(line_fd, "r", 1);
	while ((n = read(line_fd, &byte, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n == 1 && byte == 'R') {
			report("reload", name);
			(void)!write(line_fd, "d", 1);
		}
		if (n == 1 && byte == '+')
			report("reloaded", name);
		if (n == 1 && byte == '-') {
			while (read(line_fd, &byte, 1) == 1 && byte != '\n')
				;
			report("refused", name);
		}
	}
	report("stop", name);
	return 0;
}

/* ---- the test's side ---- */

static char folder[64];
static char config_path[128];
static int report_fd = -1, notify_fd = -1;

static int datagram_socket(const char *variable, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 15};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.60s/%s", folder, name);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	REQUIRE(setenv(variable, a.sun_path, 1) == 0);
	return fd;
}

static void write_config(const char *more)
{
	FILE *f = fopen(config_path, "w");

	REQUIRE(f != NULL);
	(void)fprintf(f,
		"[server]\ndata_dir = .\nruntime_dir = .\nlog_level = error\n[listen]\nhttps "
		"=\nhttp = 127.0.0.1:0\nlmtp =\n%s",
		more);
	(void)fclose(f);
}

static void set_up(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/bellhop-super-XXXXXX");
	REQUIRE(mkdtemp(folder) != NULL);
	(void)snprintf(config_path, sizeof(config_path), "%s/b.conf", folder);
	report_fd = datagram_socket("TEST_REPORT", "report");
	notify_fd = datagram_socket("NOTIFY_SOCKET", "notify");
	(void)unsetenv("TEST_FAIL");
	write_config("");
}

static void tear_down(void)
{
	static const char *const files[] = {"report", "notify", "b.conf", "active.conf"};
	char path[160];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
	(void)close(report_fd);
	(void)close(notify_fd);
}

static pid_t start_supervisor(void)
{
	pid_t pid = fork();
	struct supervisor_options options = {.source_path = config_path};
	struct err err = ERR_INIT;
	char program[512] = "";

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when a check ends the test */
	log_setup("bellhopd", LOG_LEVEL_ERROR);
	notify_open();
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0 ||
		config_load(config_path, &options.settings, &err) < 0 ||
		listeners_open(options.settings, 2, &options.listeners, &err) < 0)
		_exit(9);
	options.program = program;
	if (supervisor_run(&options, &err) < 0) {
		char *name = err.text, *end = strstr(err.text, " ended before it served");

		if (end != NULL)
			*end = '\0';
		report("failed", str_eq(name, "front 1") ? "front1" : name);
		_exit(1);
	}
	settings_unref(&options.settings);
	listeners_free(&options.listeners);
	_exit(0);
}

static const char *receive(int fd)
{
	static char text[512];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Reads reports until each of these has come once, in any order; gives the pid of the last named
 * one. */
static pid_t expect(const char *const *wanted, size_t count)
{
	unsigned seen = 0;
	pid_t pid = 0;

	while (seen != (1u << count) - 1) {
		const char *text = receive(report_fd);
		bool known = false;

		for (size_t i = 0; i < count; i++) {
			size_t n = strlen(wanted[i]);

			if (!str_starts(text, wanted[i]) || text[n] != ' ')
				continue;
			known = true;
			seen |= 1u << i;
			if (i + 1 == count)
				pid = (pid_t)number_of(text + n + 1);
		}
		if (!known)
			test_fail_(__FILE__, __LINE__, "unexpected report \"%s\" instead of \"%s\"",
				text, wanted[0]);
		REQUIRE(known);
	}
	return pid;
}

#define EXPECT(...)                                                                                \
	expect((const char *const[]){__VA_ARGS__}, ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void expect_notify(const char *word)
{
	const char *text;

	while (strstr(text = receive(notify_fd), word) == NULL)
		REQUIRE(text[0] != '\0');
}

/* The queue of a datagram socket is short, and what does not fit is not said: reads what is there.
 */
static void drain_notify(void)
{
	char text[512];

	while (recv(notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
}

static void expect_exit(pid_t pid, int status)
{
	int wait_status = -1;

	CHECK(waitpid(pid, &wait_status, 0) == pid);
	CHECK(WIFEXITED(wait_status));
	CHECK_INT(WEXITSTATUS(wait_status), status);
}

static void test_children_are_restarted(void)
{
	pid_t supervisor, engine, front, again;

	set_up();
	supervisor = start_supervisor();
	engine = EXPECT("start front0", "start front1", "start engine");
	expect_notify("READY=1");

	CHECK(kill(engine, SIGKILL) == 0);
	again = EXPECT("start engine");
	CHECK(again > 0 && again != engine);
	engine = again;
	/* Again and again, with a pause that grows but ends. */
	for (int i = 0; i < 3; i++) {
		CHECK(kill(engine, SIGKILL) == 0);
		engine = EXPECT("start engine");
		drain_notify();
	}
	/* The administrator's restart lets it finish first. */
	CHECK(kill(engine, SIGUSR1) == 0);
	(void)EXPECT("stop engine");
	(void)EXPECT("start engine");

	drain_notify();
	CHECK(kill(supervisor, SIGTERM) == 0);
	front = EXPECT("stop front0", "stop front1");
	CHECK(front > 0);
	(void)EXPECT("stop engine");
	expect_notify("STOPPING=1");
	expect_exit(supervisor, 0);
	tear_down();
}

/* What an engine died of reaches the next one, and only that; fronts get no notes. */
static void test_notes_are_passed_on(void)
{
	pid_t supervisor, engine;

	set_up();
	supervisor = start_supervisor();
	engine = EXPECT("start front0", "start front1", "start engine");
	expect_notify("READY=1");
	drain_notify();
	for (int i = 0; i < 3; i++) {
		CHECK(kill(engine, SIGALRM) == 0);
		engine = EXPECT("blamed engine", "start engine");
		/* Killed from outside: nobody is blamed, and the mark before is not seen again. */
		CHECK(kill(engine, SIGKILL) == 0);
		engine = EXPECT("start engine");
		drain_notify();
	}
	CHECK(kill(supervisor, SIGTERM) == 0);
	(void)EXPECT("stop front0", "stop front1");
	(void)EXPECT("stop engine");
	expect_exit(supervisor, 0);
	tear_down();
}

static void test_reload(void)
{
	const struct settings *active = NULL;
	struct err err = ERR_INIT;
	char path[160];
	pid_t supervisor, engine;

	set_up();
	supervisor = start_supervisor();
	engine = EXPECT("start front0", "start front1", "start engine");
	expect_notify("READY=1");

	write_config("[push]\nheartbeat_min_s = 77\n[store]\nreaders = 3\n");
	CHECK(kill(supervisor, SIGHUP) == 0);
	(void)EXPECT("reload front0", "reload front1", "reload engine");
	expect_notify("RELOADING=1");
	expect_notify("READY=1");
	(void)snprintf(path, sizeof(path), "%s/active.conf", folder);
	REQUIRE_OK(settings_parse_file(path, &active, NULL, &err), &err);
	CHECK_INT(active->push_heartbeat_min_s, 77);
	CHECK_INT(active->store_readers, 8); /* needs a restart */
	settings_unref(&active);

	/* A broken file changes nothing, and nobody is told. */
	write_config("[push]\nheartbeat_min_s = soon\n");
	CHECK(kill(supervisor, SIGHUP) == 0);
	expect_notify("RELOADING=1");
	expect_notify("READY=1");
	REQUIRE_OK(settings_parse_file(path, &active, NULL, &err), &err);
	CHECK_INT(active->push_heartbeat_min_s, 77);
	settings_unref(&active);

	/* The engine passes the administrator's wish on. */
	write_config("[push]\nheartbeat_min_s = 78\n");
	CHECK(kill(engine, SIGUSR2) == 0);
	(void)EXPECT("reload front0", "reload front1", "reload engine", "reloaded engine");
	write_config("[push]\nheartbeat_min_s = soon\n");
	CHECK(kill(engine, SIGUSR2) == 0);
	(void)EXPECT("refused engine");

	CHECK(kill(supervisor, SIGINT) == 0);
	(void)EXPECT("stop front0", "stop front1");
	(void)EXPECT("stop engine");
	expect_exit(supervisor, 0);
	tear_down();
}

/* A house that cannot come up says so and takes everybody down again. */
static void test_failed_start(void)
{
	pid_t supervisor;

	set_up();
	(void)setenv("TEST_FAIL", "engine", 1);
	supervisor = start_supervisor();
	(void)EXPECT("failed engine");
	expect_exit(supervisor, 1);
	(void)setenv("TEST_FAIL", "front1", 1);
	supervisor = start_supervisor();
	(void)EXPECT("start engine", "start front0", "stop front0", "stop engine", "failed front1");
	expect_exit(supervisor, 1);
	(void)unsetenv("TEST_FAIL");
	tear_down();
}

static const struct test_case_ all_tests[] = {TEST(test_children_are_restarted),
	TEST(test_notes_are_passed_on), TEST(test_reload), TEST(test_failed_start)};

int main(int argc, char **argv)
{
	if (argc > 1 && str_starts(argv[1], "--role="))
		return child_main(argc, argv);
	return test_run_(all_tests, ARRAY_LEN(all_tests), argc, argv);
}
