#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"

static struct err err;
static struct loop *loop;

static void begin(void)
{
	clock_fake_set(1600000000000, 1000);
	REQUIRE_OK(loop_new(&loop, &err), &err);
}

static void end(void)
{
	loop_free(&loop);
	clock_fake_off();
}

struct seen {
	int calls;
	unsigned events;
	struct loop_fd **free_on_call;
};

static void on_fd(void *owner, unsigned events)
{
	struct seen *s = owner;

	s->calls++;
	s->events |= events;
	if (s->free_on_call != NULL)
		loop_fd_free(s->free_on_call);
}

static void test_descriptor_events(void)
{
	struct seen s = {0};
	struct loop_fd *f;
	int pair[2];

	begin();
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	REQUIRE_OK(loop_fd_new(loop, pair[0], "test", on_fd, &s, &f, &err), &err);
	(void)loop_run_once(loop, 0);
	CHECK_INT(s.events, LOOP_WRITE);
	s.events = 0;
	REQUIRE(write(pair[1], "x", 1) == 1);
	(void)loop_run_once(loop, 0);
	CHECK((s.events & LOOP_READ) != 0);
	s.calls = 0;
	(void)loop_run_once(loop, 0); /* edge-triggered: told once */
	CHECK_INT(s.calls, 0);
	(void)shutdown(pair[1], SHUT_WR);
	(void)loop_run_once(loop, 0);
	CHECK((s.events & LOOP_HANGUP) != 0);
	loop_fd_free(&f);
	(void)close(pair[0]);
	(void)close(pair[1]);
	end();
}

/* Two descriptors become ready in one round; whichever comes first takes the other away. */
static void test_freed_in_the_same_round(void)
{
	struct seen a = {0}, b = {0};
	struct loop_fd *fa, *fb;
	int p[2], q[2];

	begin();
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p) == 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, q) == 0);
	REQUIRE_OK(loop_fd_new(loop, p[0], "a", on_fd, &a, &fa, &err), &err);
	REQUIRE_OK(loop_fd_new(loop, q[0], "b", on_fd, &b, &fb, &err), &err);
	a.free_on_call = &fb;
	b.free_on_call = &fa;
	(void)loop_run_once(loop, 0);
	CHECK_INT(a.calls + b.calls, 1);
	loop_fd_free(&fa);
	loop_fd_free(&fb);
	for (int i = 0; i < 2; i++) {
		(void)close(p[i]);
		(void)close(q[i]);
	}
	end();
}

static uint32_t many_index, many_tag;

static void on_many(void *owner, uint32_t index, uint32_t tag, unsigned events)
{
	many_index = index;
	many_tag = tag;
	*(unsigned *)owner |= events;
}

static void test_many(void)
{
	unsigned events = 0;
	uint8_t kind;
	int p[2];

	begin();
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p) == 0);
	kind = loop_kind_new(loop, "many", on_many, &events);
	REQUIRE_OK(loop_many_add(loop, kind, p[0], 0xfffffff0u, 0x1234567u, &err), &err);
	(void)loop_run_once(loop, 0);
	CHECK_INT(events, LOOP_WRITE);
	CHECK_INT(many_index, 0xfffffff0u);
	CHECK_INT(many_tag, 0x234567);
	events = 0;
	loop_many_remove(loop, p[0]);
	(void)close(p[1]);
	(void)loop_run_once(loop, 0);
	CHECK_INT(events, 0);
	(void)close(p[0]);
	end();
}

static char fired[64];
static struct loop_timer timers[8];

static void on_timer(void *owner)
{
	size_t at = strlen(fired);

	fired[at] = *(const char *)owner;
	fired[at + 1] = 0;
}

static void on_timer_again(void *owner)
{
	on_timer(owner);
	loop_timer_set(&timers[0], 0);
}

static void test_timers_in_order(void)
{
	static const char names[] = "01234567";
	static const int due[] = {70, 10, 50, 30, 20, 60, 40, 80};

	begin();
	fired[0] = 0;
	for (int i = 0; i < 8; i++) {
		loop_timer_init(&timers[i], loop, "t", on_timer, (void *)(uintptr_t)&names[i]);
		loop_timer_set(&timers[i], 1000 + due[i]);
	}
	loop_timer_clear(&timers[3]);
	loop_timer_clear(&timers[3]);
	loop_timer_set(&timers[7], 1015);
	(void)loop_run_once(loop, 0);
	CHECK_STR(fired, "");
	clock_fake_advance_ms(20);
	(void)loop_run_once(loop, -1);
	CHECK_STR(fired, "174");
	clock_fake_advance_ms(1000);
	(void)loop_run_once(loop, -1);
	CHECK_STR(fired, "1746250");
	end();
}

static void test_timer_sets_itself(void)
{
	begin();
	fired[0] = 0;
	loop_timer_init(&timers[0], loop, "t", on_timer_again, (void *)(uintptr_t) "x");
	loop_timer_set(&timers[0], 0);
	(void)loop_run_once(loop, -1);
	CHECK_STR(fired, "x");
	(void)loop_run_once(loop, -1);
	CHECK_STR(fired, "xx");
	loop_timer_clear(&timers[0]);
	end();
}

static int notes_run;

static void on_note(struct loop_note *note)
{
	notes_run++;
}

static void on_note_again(struct loop_note *note)
{
	notes_run++;
	loop_post(loop, note);
}

static void test_notes(void)
{
	struct loop_note a = {.name = "a", .fn = on_note}, b = {.name = "b", .fn = on_note};
	struct loop_note again = {.name = "again", .fn = on_note_again};

	begin();
	notes_run = 0;
	loop_post(loop, &a);
	loop_post(loop, &a);
	loop_post(loop, &b);
	(void)loop_run_once(loop, -1);
	CHECK_INT(notes_run, 2);
	loop_post(loop, &a);
	loop_post(loop, &b);
	loop_post_cancel(loop, &b);
	loop_post_cancel(loop, &b);
	(void)loop_run_once(loop, -1);
	CHECK_INT(notes_run, 3);
	loop_post(loop, &again);
	(void)loop_run_once(loop, -1);
	CHECK_INT(notes_run, 4);
	(void)loop_run_once(loop, -1);
	CHECK_INT(notes_run, 5);
	end();
}

static int rounds_run;

static void on_round(void *owner)
{
	(*(int *)owner)++;
}

static void on_timer_stop(void *owner)
{
	loop_stop(owner);
}

/* To be woken by a note is one round, and no other follows from it. */
static void test_note_is_one_round(void)
{
	struct loop_note note = {.name = "note", .fn = on_note};
	struct loop_timer timer;

	begin();
	clock_fake_off(); /* the next round is that of a timer, after a true wait */
	notes_run = rounds_run = 0;
	loop_set_round_end(loop, "round", on_round, &rounds_run);
	loop_post(loop, &note);
	(void)loop_run_once(loop, -1);
	CHECK_INT(notes_run, 1);
	loop_timer_init(&timer, loop, "stop", on_timer_stop, loop);
	loop_timer_set(&timer, clock_now_ms() + 5);
	loop_run(loop);
	CHECK_INT(rounds_run, 2);
	end();
}

static void *poster(void *arg)
{
	loop_post(loop, arg);
	return NULL;
}

static void on_note_stop(struct loop_note *note)
{
	loop_stop(loop);
}

static void test_note_from_a_thread_ends_the_loop(void)
{
	struct loop_note n = {.name = "stop", .fn = on_note_stop};
	pthread_t thread;

	begin();
	REQUIRE(pthread_create(&thread, NULL, poster, &n) == 0);
	loop_run(loop);
	CHECK(loop_stopping(loop));
	(void)pthread_join(thread, NULL);
	end();
}

static void on_signal(void *owner, int signo)
{
	*(int *)owner = signo;
}

static void test_signals(void)
{
	int got = 0, other = 0;

	begin();
	REQUIRE_OK(loop_signal_add(loop, SIGUSR1, "usr1", on_signal, &got, &err), &err);
	REQUIRE_OK(loop_signal_add(loop, SIGUSR2, "usr2", on_signal, &other, &err), &err);
	(void)kill(getpid(), SIGUSR2);
	(void)loop_run_once(loop, 1000);
	CHECK_INT(got, 0);
	CHECK_INT(other, SIGUSR2);
	(void)kill(getpid(), SIGUSR1);
	(void)loop_run_once(loop, 1000);
	CHECK_INT(got, SIGUSR1);
	end();
}

static void on_counted(void *owner, uint32_t index, uint32_t tag, unsigned events)
{
	(*(int *)owner)++;
}

/* So many events at once, of descriptors that are one of very many. */
static void press(int kind, int pairs[][2], int count)
{
	for (int i = 0; i < count; i++) {
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				pairs[i]) == 0);
		REQUIRE_OK(loop_many_add(loop, (uint8_t)kind, pairs[i][0], (uint32_t)i, 1, &err),
			&err);
	}
	(void)loop_run_once(loop, 0);
}

static void test_gathers_under_pressure(void)
{
	struct seen news = {0};
	struct loop_fd *urgent;
	int pairs[16][2], link[2], calls = 0;
	uint8_t kind;

	begin();
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, link) == 0);
	REQUIRE_OK(loop_fd_new(loop, link[0], "link", on_fd, &news, &urgent, &err), &err);
	loop_fd_set_urgent(urgent);
	kind = loop_kind_new(loop, "many", on_counted, &calls);
	loop_set_gather(loop, 100);
	(void)loop_run_once(loop, 0);
	press(kind, pairs, 15);
	CHECK_INT(calls, 15);
	REQUIRE(write(link[1], "x", 1) == 1);
	(void)loop_run_once(loop, 1000); /* not yet enough of them */
	CHECK_INT(loop_gathers(loop), 0);
	press(kind, pairs + 15, 1);
	CHECK_INT(calls, 16);
	news = (struct seen){0};
	REQUIRE(write(link[1], "x", 1) == 1);
	REQUIRE(write(pairs[3][1], "x", 1) == 1);
	(void)loop_run_once(loop, 1000);
	CHECK_INT(loop_gathers(loop), 1);
	CHECK_INT(news.calls, 1);
	CHECK_INT(calls, 17);
	/* Nobody waits when there is no time to; what was long ago does not press. */
	(void)loop_run_once(loop, 0);
	CHECK_INT(loop_gathers(loop), 1);
	clock_fake_advance_ms(2);
	REQUIRE(write(pairs[3][1], "x", 1) == 1);
	(void)loop_run_once(loop, 1000);
	CHECK_INT(loop_gathers(loop), 1);
	loop_fd_free(&urgent);
	(void)close(link[0]);
	(void)close(link[1]);
	for (int i = 0; i < 16; i++) {
		(void)close(pairs[i][0]);
		(void)close(pairs[i][1]);
	}
	end();
}

static int urgent_notes;

static void on_urgent_note(struct loop_note *note)
{
	urgent_notes++;
}

/* With an hour to gather in, only what is urgent can end it, also after another was taken away. */
static void test_urgent_ends_gathering(void)
{
	struct seen news[2] = {0};
	struct loop_fd *urgent[2];
	int pairs[16][2], links[2][2], calls = 0;
	struct loop_note note = {.name = "note", .fn = on_urgent_note};

	begin();
	for (int i = 0; i < 2; i++) {
		REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				links[i]) == 0);
		REQUIRE_OK(
			loop_fd_new(loop, links[i][0], "link", on_fd, &news[i], &urgent[i], &err),
			&err);
		loop_fd_set_urgent(urgent[i]);
	}
	(void)loop_run_once(loop, 0);
	press(loop_kind_new(loop, "many", on_counted, &calls), pairs, 16);
	loop_set_gather(loop, 3600u * 1000 * 1000);
	loop_fd_free(&urgent[0]);
	REQUIRE(write(links[1][1], "x", 1) == 1);
	news[1] = (struct seen){0};
	(void)loop_run_once(loop, 1000);
	CHECK_INT(news[1].calls, 1);
	loop_post(loop, &note);
	(void)loop_run_once(loop, 1000);
	CHECK_INT(urgent_notes, 1);
	CHECK_INT(loop_gathers(loop), 1); /* a note that waits already is not slept upon */
	loop_fd_free(&urgent[1]);
	for (int i = 0; i < 2; i++) {
		(void)close(links[i][0]);
		(void)close(links[i][1]);
	}
	for (int i = 0; i < 16; i++) {
		(void)close(pairs[i][0]);
		(void)close(pairs[i][1]);
	}
	end();
}

static char slow_line[256];

static void keep_line(const char *line, void *owner)
{
	(void)snprintf(slow_line, sizeof(slow_line), "%s", line);
}

static void on_slow(struct loop_note *note)
{
	clock_fake_advance_ms(6);
}

static void test_watchdog_names_the_slow(void)
{
	struct loop_note n = {.name = "turtle", .fn = on_slow};

	begin();
	log_set_level(LOG_LEVEL_DEBUG);
	log_capture(keep_line, NULL);
	loop_post(loop, &n);
	(void)loop_run_once(loop, 0);
	log_capture(NULL, NULL);
	log_set_level(LOG_LEVEL_INFO);
	CHECK(strstr(slow_line, "callback_slow") != NULL);
	CHECK(strstr(slow_line, "name=turtle") != NULL);
	CHECK(strstr(slow_line, "took_ms=6") != NULL);
	end();
}

static void test_round_end(void)
{
	int rounds = 0;

	begin();
	loop_set_round_end(loop, "round", on_round, &rounds);
	(void)loop_run_once(loop, 0);
	(void)loop_run_once(loop, 0);
	CHECK_INT(rounds, 2);
	end();
}

TEST_MAIN(TEST(test_descriptor_events), TEST(test_freed_in_the_same_round), TEST(test_many),
	TEST(test_timers_in_order), TEST(test_timer_sets_itself), TEST(test_notes),
	TEST(test_note_is_one_round), TEST(test_note_from_a_thread_ends_the_loop),
	TEST(test_signals), TEST(test_gathers_under_pressure), TEST(test_urgent_ends_gathering),
	TEST(test_watchdog_names_the_slow), TEST(test_round_end))
