/* Connections on their way from one process to the next. */
#include "net/baton.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/test.h"
#include "net/fds.h"

static bool take(int fd, char kind, const char *state, size_t len)
{
	uint8_t *got = NULL;
	size_t got_len = 0;
	char got_kind = 0;
	int connection = -1;
	bool same;

	if (!net_baton_take(fd, &got_kind, &connection, &got, &got_len))
		return false;
	same = got_kind == kind && got_len == len && memcmp(got, state, len) == 0 &&
	       send(connection, "hi", 2, MSG_NOSIGNAL) == 2;
	mem_free(got);
	fd_close(&connection);
	return same;
}

static void test_passed(void)
{
	static char large[300000];
	struct err err = ERR_INIT;
	int baton[2], pair[2];
	char text[8];

	REQUIRE_OK(net_baton_pair(baton, &err), &err);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	memset(large, 'x', sizeof(large));
	CHECK(!take(baton[1], 'A', "", 0));
	CHECK(net_baton_pass(baton[0], 'A', pair[0], NULL, 0));
	CHECK(net_baton_pass(baton[0], 'B', pair[0], large, sizeof(large)));
	(void)close(pair[0]);
	CHECK(take(baton[1], 'A', "", 0));
	CHECK(take(baton[1], 'B', large, sizeof(large)));
	CHECK(!take(baton[1], 'A', "", 0));
	CHECK_INT(recv(pair[1], text, sizeof(text), 0), 4);
	CHECK_INT(recv(pair[1], text, sizeof(text), 0), 0);
	(void)close(pair[1]);
	(void)close(baton[0]);
	(void)close(baton[1]);
}

/* As many as there are mail servers; when there is no room it is said, and nothing blocks. */
static void test_room(void)
{
	struct err err = ERR_INIT;
	int baton[2], pair[2], count = 0, taken = 0, fd = -1;
	uint8_t *state = NULL;
	size_t len = 0;
	char kind;

	REQUIRE_OK(net_baton_pair(baton, &err), &err);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	while (count < 10000 && net_baton_pass(baton[0], 'A', pair[0], "state", 5))
		count++;
	CHECK(count >= 64);
	while (net_baton_take(baton[1], &kind, &fd, &state, &len)) {
		taken++;
		mem_free(state);
		fd_close(&fd);
	}
	CHECK_INT(taken, count);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(baton[0]);
	(void)close(baton[1]);
}

/* Nobody follows: it is known before the connection is given away. */
static void test_nobody_follows(void)
{
	struct err err = ERR_INIT;
	int baton[2];

	REQUIRE_OK(net_baton_pair(baton, &err), &err);
	(void)shutdown(baton[1], SHUT_RDWR);
	CHECK(!net_baton_pass(baton[0], 'A', 0, "state", 5));
	(void)close(baton[0]);
	(void)close(baton[1]);
}

/* What is none is skipped. */
static void test_malformed(void)
{
	struct err err = ERR_INIT;
	int baton[2], pair[2];

	REQUIRE_OK(net_baton_pair(baton, &err), &err);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	REQUIRE(net_fds_send(baton[0], "A", 1, NULL, 0) == 1);
	REQUIRE(net_fds_send(baton[0], "A", 1, pair, 1) == 1);
	CHECK(net_baton_pass(baton[0], 'A', pair[0], "state", 5));
	CHECK(take(baton[1], 'A', "state", 5));
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(baton[0]);
	(void)close(baton[1]);
}

TEST_MAIN(TEST(test_passed), TEST(test_room), TEST(test_nobody_follows), TEST(test_malformed))
