/*
 * Real processes that really die: a child attaches to the page, its threads note and fault, and the
 * parent, as the next process, reads whom the page blames. Nothing here sleeps: threads meet at
 * barriers, the parent waits for the child's end.
 */
#include "base/notes.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"

enum death {
	DIE_ABORT,
	DIE_SEGV,
	DIE_BUS,
	DIE_FPE,
	DIE_ILL,
	DIE_STACK,   /* no room for a handler on it */
	DIE_LENT,    /* on another thread, which works for the guilty one */
	DIE_OUTSIDE, /* kill -9 */
	DIE_OUTSIDE_SEGV,
	DIE_OUTSIDE_ABORT,
	DIE_IDLE, /* a fault of a thread that noted nothing */
};

struct scene {
	enum death death;
	pthread_barrier_t ready, noted;
	struct notes_slot *lender;
	int ready_fd; /* tells the parent that all have noted */
};

static volatile int sink;
static volatile uintptr_t nowhere = 8; /* which no compiler knows */

/* Never returns, but the compiler cannot know. */
static __attribute__((noinline)) int overflow(volatile int *deeper)
{
	volatile int here[1024];

	here[0] = *deeper + 1;
	return here[0] == 0 ? 0 : overflow(here) + here[0];
}

static void die(enum death death)
{
	switch (death) {
	case DIE_SEGV:
		*(volatile int *)nowhere = 1;
		break;
	case DIE_BUS:
		(void)raise(SIGBUS);
		break;
	case DIE_FPE:
		(void)raise(SIGFPE);
		break;
	case DIE_ILL:
		(void)raise(SIGILL);
		break;
	case DIE_STACK:
		sink = 1;
		sink = overflow(&sink);
		break;
	default:
		abort();
	}
}

static void *run_guilty(void *arg)
{
	struct scene *s = arg;

	notes_thread_join();
	notes_begin(NOTE_REQUEST, 11, 22, 33, "Sync");
	notes_item(22, 5, 17);
	s->lender = notes_self();
	(void)pthread_barrier_wait(&s->ready);
	(void)pthread_barrier_wait(&s->noted);
	if (s->death < DIE_LENT)
		die(s->death);
	for (;;)
		(void)pause();
	return NULL;
}

static void *run_innocent(void *arg)
{
	struct scene *s = arg;

	notes_thread_join();
	notes_begin(NOTE_MAIL, 44, 0, 0, "LMTP");
	(void)pthread_barrier_wait(&s->ready);
	(void)pthread_barrier_wait(&s->noted);
	for (;;)
		(void)pause();
	return NULL;
}

/* Has a slot and nothing in it, or works for the guilty one. */
static void *run_helper(void *arg)
{
	struct scene *s = arg;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL); /* as the store's writer */
	if (s->death == DIE_IDLE)
		notes_thread_join();
	(void)pthread_barrier_wait(&s->ready);
	(void)pthread_barrier_wait(&s->noted);
	if (s->death == DIE_LENT)
		notes_work_for(s->lender);
	if (s->death == DIE_LENT || s->death == DIE_IDLE)
		die(DIE_SEGV);
	for (;;)
		(void)pause();
	return NULL;
}

static void block_everything(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static _Noreturn void child(int fd, enum death death, int ready_fd)
{
	const struct rlimit no_core = {0, 0};
	struct scene s = {.death = death, .ready_fd = ready_fd};
	struct err err = ERR_INIT;
	pthread_t thread;

	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (notes_attach(fd, &err) < 0)
		_exit(1);
	notes_begin_process();
	(void)pthread_barrier_init(&s.ready, NULL, 4);
	(void)pthread_barrier_init(&s.noted, NULL, 4);
	block_everything(); /* as the worker pool does for its threads */
	if (pthread_create(&thread, NULL, run_guilty, &s) != 0 ||
		pthread_create(&thread, NULL, run_innocent, &s) != 0 ||
		pthread_create(&thread, NULL, run_helper, &s) != 0)
		_exit(1);
	(void)pthread_barrier_wait(&s.ready);
	(void)!write(ready_fd, "", 1);
	(void)pthread_barrier_wait(&s.noted);
	for (;;)
		(void)pause();
}

/* The wait status of a child that died in this way. */
static int let_die(int fd, enum death death)
{
	int line[2], status = 0;
	char byte;
	pid_t pid;

	REQUIRE(pipe(line) == 0);
	pid = fork();
	if (pid == 0)
		child(fd, death, line[1]);
	REQUIRE(read(line[0], &byte, 1) == 1);
	if (death == DIE_OUTSIDE)
		(void)kill(pid, SIGKILL);
	if (death == DIE_OUTSIDE_SEGV)
		(void)kill(pid, SIGSEGV);
	if (death == DIE_OUTSIDE_ABORT)
		(void)kill(pid, SIGABRT);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	(void)close(line[0]);
	(void)close(line[1]);
	return status;
}

static int new_page(void)
{
	struct err err = ERR_INIT;
	int fd = -1;

	REQUIRE_OK(notes_create(&fd, &err), &err);
	return fd;
}

static void test_whom_it_blames(void)
{
	static const struct {
		enum death death;
		bool blamed;
		int signo; /* it died of; 0: not looked at (a sanitizer exits) */
	} cases[] = {{DIE_ABORT, true, SIGABRT}, {DIE_SEGV, true, 0}, {DIE_BUS, true, 0},
		{DIE_FPE, true, 0}, {DIE_ILL, true, 0}, {DIE_STACK, true, 0}, {DIE_LENT, true, 0},
		{DIE_OUTSIDE, false, SIGKILL}, {DIE_OUTSIDE_SEGV, false, 0},
		{DIE_OUTSIDE_ABORT, false, SIGABRT}, {DIE_IDLE, false, 0}};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = new_page(), status = let_die(fd, cases[i].death);
		struct note notes[4];
		uint64_t crash = 0;
		size_t count;

		CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
		if (cases[i].signo != 0)
			CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, cases[i].signo);
		REQUIRE_OK(notes_attach(fd, &err), &err);
		count = notes_guilty(notes, ARRAY_LEN(notes), &crash);
		if (count != (cases[i].blamed ? 1 : 0))
			test_fail_(__FILE__, __LINE__, "case %zu: %zu blamed", i, count);
		if (count == 1) {
			CHECK_INT(notes[0].kind, NOTE_REQUEST);
			CHECK_INT(notes[0].hash, 11);
			CHECK_INT(notes[0].owner, 22);
			CHECK_INT(notes[0].device, 33);
			CHECK_INT(notes[0].item_owner, 22);
			CHECK_INT(notes[0].folder, 5);
			CHECK_INT(notes[0].item, 17);
			CHECK_STR(notes[0].what, "Sync");
			CHECK(crash != 0);
		}
		notes_begin_process();
		CHECK_INT(notes_guilty(notes, ARRAY_LEN(notes), &crash), 0);
		(void)close(fd);
	}
}

static void test_each_process_has_a_number(void)
{
	int fd = new_page();
	uint64_t first = 0, again = 0, second = 0;
	struct err err = ERR_INIT;
	struct note note;

	(void)let_die(fd, DIE_ABORT);
	REQUIRE_OK(notes_attach(fd, &err), &err);
	CHECK_INT(notes_guilty(&note, 1, &first), 1);
	CHECK_INT(notes_guilty(&note, 1, &again), 1);
	CHECK(first == again && first <= INT64_MAX);
	(void)let_die(fd, DIE_ABORT);
	CHECK_INT(notes_guilty(&note, 1, &second), 1);
	CHECK(first != second);
	(void)close(fd);
}

/* A hung process: the oldest note, if it is old enough and nobody faulted. */
static void test_blame_oldest(void)
{
	int fd = new_page();
	struct err err = ERR_INIT;
	struct note note;
	uint64_t crash;

	(void)let_die(fd, DIE_OUTSIDE);
	REQUIRE_OK(notes_attach(fd, &err), &err);
	CHECK(!notes_blame_oldest(fd, 3600000));
	CHECK_INT(notes_guilty(&note, 1, &crash), 0);
	CHECK(notes_blame_oldest(fd, 0));
	CHECK(!notes_blame_oldest(fd, 0));
	CHECK_INT(notes_guilty(&note, 1, &crash), 1);
	(void)close(fd);
	fd = new_page();
	CHECK(!notes_blame_oldest(fd, 0));
	(void)close(fd);
}

static void test_without_a_slot(void)
{
	notes_work_for(NULL);
	CHECK(notes_self() == NULL);
	notes_begin(NOTE_REQUEST, 1, 2, 3, "nothing happens");
	notes_device(4);
	notes_item(1, 2, 3);
	notes_item_done();
	notes_end();
	notes_thread_leave();
}

/* Slots are given back; what does not fit is cut. */
static void test_slots(void)
{
	int fd = new_page();
	struct err err = ERR_INIT;
	struct notes_slot *slot;
	struct note note;
	uint64_t crash;

	REQUIRE_OK(notes_attach(fd, &err), &err);
	notes_begin_process();
	notes_thread_join();
	slot = notes_self();
	CHECK(slot != NULL);
	notes_begin(NOTE_REQUEST, 1, 2, 3, "a command with far too many letters");
	CHECK(notes_blame_oldest(fd, 0));
	CHECK_INT(notes_guilty(&note, 1, &crash), 1);
	CHECK_INT(strlen(note.what), NOTE_WHAT_MAX - 1);
	notes_begin(NOTE_MAIL, 1, 0, 0, "x");
	CHECK_INT(notes_guilty(&note, 1, &crash), 1);
	CHECK_STR(note.what, "x");
	notes_end();
	CHECK_INT(notes_guilty(&note, 1, &crash), 0);
	notes_thread_leave();
	CHECK(notes_self() == NULL);
	notes_thread_join();
	CHECK(notes_self() == slot);
	notes_thread_leave();
	(void)close(fd);
}

/* A page that another version made, or that a crash overwrote, is begun anew. */
static void test_foreign_page(void)
{
	int fd = new_page();
	struct err err = ERR_INIT;
	uint64_t junk[64], crash;
	struct note note;

	memset(junk, 0x5a, sizeof(junk));
	REQUIRE(pwrite(fd, junk, sizeof(junk), 0) == (ssize_t)sizeof(junk));
	CHECK(!notes_blame_oldest(fd, 0));
	REQUIRE_OK(notes_attach(fd, &err), &err);
	CHECK_INT(notes_guilty(&note, 1, &crash), 0);
	(void)close(fd);
	CHECK(notes_attach(-1, &err) < 0);
}

static void test_hash(void)
{
	size_t len = (size_t)1024 * 1024;
	char *bytes = x_calloc(1, len);
	uint64_t whole = notes_hash(1, bytes, len), empty = notes_hash(1, NULL, 0);

	/* The same in every process: what is stored must be found again. */
	CHECK_INT(notes_hash(0, "abc", 3), notes_hash(0, "abc", 3));
	CHECK(notes_hash(0, "abc", 3) != notes_hash(1, "abc", 3));
	CHECK(notes_hash(0, "abc", 3) != notes_hash(0, "abd", 3));
	CHECK(notes_hash(0, "abc", 3) <= INT64_MAX);
	CHECK(empty == notes_hash(1, "", 0));
	CHECK(whole != notes_hash(1, bytes, len - 1));
	bytes[0] = 1;
	CHECK(whole != notes_hash(1, bytes, len));
	bytes[0] = 0;
	bytes[len - 1] = 1;
	CHECK(whole != notes_hash(1, bytes, len));
	mem_free(bytes);
}

TEST_MAIN(TEST(test_without_a_slot), TEST(test_whom_it_blames),
	TEST(test_each_process_has_a_number), TEST(test_blame_oldest), TEST(test_slots),
	TEST(test_foreign_page), TEST(test_hash))
