/*
 * The heartbeat against a network on virtual time: no test waits.
 */
#include "client/heartbeat.h"

#include "base/mem.h"
#include "base/test.h"

/* A network that forgets connections silent for cut_s (0: never); a server with bounds. */
struct network {
	unsigned cut_s, server_min_s, server_max_s;
	unsigned virtual_s, pings, cuts;
};

static void ping(struct heartbeat *hb, struct network *net)
{
	net->pings++;
	if (hb->current_s > net->server_max_s) {
		heartbeat_on_bound(hb, net->server_max_s);
	} else if (hb->current_s < net->server_min_s) {
		heartbeat_on_bound(hb, net->server_min_s);
	} else if (net->cut_s != 0 && hb->current_s >= net->cut_s) {
		net->virtual_s += net->cut_s;
		net->cuts++;
		(void)heartbeat_on_cut(hb, net->cut_s);
	} else {
		net->virtual_s += hb->current_s;
		heartbeat_on_expired(hb, hb->current_s);
	}
}

static void test_grows_step_by_step(void)
{
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	CHECK_INT(hb.current_s, 480);
	heartbeat_on_expired(&hb, 480);
	CHECK_INT(hb.current_s, 780);
	heartbeat_on_expired(&hb, 780);
	CHECK_INT(hb.current_s, 1080);
	for (int i = 0; i < 20; i++)
		heartbeat_on_expired(&hb, hb.current_s);
	CHECK_INT(hb.current_s, HEARTBEAT_MAX_S);
	CHECK_INT(hb.state, HEARTBEAT_STEADY);
}

static void test_goes_back_when_cut(void)
{
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	heartbeat_on_expired(&hb, 480);
	CHECK(heartbeat_on_cut(&hb, 700));
	CHECK_INT(hb.current_s, 480);
	CHECK_INT(hb.state, HEARTBEAT_NARROWING);
	heartbeat_on_expired(&hb, 480);
	CHECK_INT(hb.current_s, 590); /* half-way to 700 */
	/* The first Ping of all is cut: nothing is known to work, so half of it. */
	heartbeat_init(&hb, 0);
	CHECK(heartbeat_on_cut(&hb, 400));
	CHECK_INT(hb.current_s, 200);
	/* Cuts in the first seconds are not about waiting. */
	heartbeat_init(&hb, 0);
	CHECK(!heartbeat_on_cut(&hb, 3));
	CHECK_INT(hb.current_s, 480);
}

static void test_one_cut_of_a_good_length_is_chance(void)
{
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	heartbeat_on_expired(&hb, 480);
	CHECK_INT(hb.current_s, 780);
	CHECK(!heartbeat_on_cut(&hb, 300));
	CHECK_INT(hb.current_s, 780);
	CHECK(heartbeat_on_cut(&hb, 300));
	CHECK_INT(hb.current_s, 150);
}

static void test_settles_below_every_cut(void)
{
	static const unsigned cuts[] = {100, 181, 300, 420, 481, 600, 900, 1000, 1800, 3000, 3540};

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		struct network net = {.cut_s = cuts[i], .server_min_s = 60, .server_max_s = 3540};
		struct heartbeat hb;

		heartbeat_init(&hb, 0);
		for (int n = 0; n < 24; n++)
			ping(&hb, &net);
		CHECK_INT(hb.state, HEARTBEAT_STEADY);
		CHECK(hb.current_s < cuts[i]);
		CHECK(hb.current_s + 120 >= cuts[i] || hb.current_s >= cuts[i] * 6 / 10);
		CHECK(net.cuts <= 8);
	}
}

static void test_tries_the_ceiling_again(void)
{
	struct network net = {.cut_s = 600, .server_min_s = 60, .server_max_s = 3540};
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	for (int n = 0; n < 15; n++)
		ping(&hb, &net);
	CHECK(hb.current_s < 600);
	net.cut_s = 0; /* another network */
	for (int n = 0; n < 60; n++)
		ping(&hb, &net);
	CHECK_INT(hb.current_s, HEARTBEAT_MAX_S);
}

static void test_keeps_the_servers_bounds(void)
{
	struct network net = {.cut_s = 0, .server_min_s = 60, .server_max_s = 900};
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	for (int n = 0; n < 10; n++)
		ping(&hb, &net);
	CHECK_INT(hb.current_s, 900);
	CHECK_INT(hb.max_s, 900);
	CHECK(net.pings * 900 >= net.virtual_s);

	heartbeat_init(&hb, 30); /* the user's wish; the server wants more */
	CHECK_INT(hb.current_s, 30);
	heartbeat_on_bound(&hb, 60);
	CHECK_INT(hb.current_s, 60);
	heartbeat_on_bound(&hb, 0); /* nonsense is ignored */
	CHECK_INT(hb.current_s, 60);
	heartbeat_on_bound(&hb, 4000000000u);
	CHECK_INT(hb.current_s, 60);
}

static void test_takes_the_servers_hint(void)
{
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	heartbeat_on_expired(&hb, 290); /* answered early: the server has seen cuts at 300 */
	CHECK_INT(hb.current_s, 290);
	heartbeat_on_expired(&hb, 290);
	CHECK_INT(hb.current_s, 290);
}

static void test_answers_prove_the_path(void)
{
	struct heartbeat hb;

	heartbeat_init(&hb, 0);
	heartbeat_on_answer(&hb, 200);
	CHECK_INT(hb.good_s, 200);
	CHECK_INT(hb.current_s, 480);
	CHECK(heartbeat_on_cut(&hb, 480));
	CHECK_INT(hb.current_s, 200);
}

static void test_restores(void)
{
	struct heartbeat hb;

	heartbeat_restore(&hb, 780, 480, 900, 60, 3540);
	CHECK_INT(hb.current_s, 780);
	CHECK_INT(hb.state, HEARTBEAT_NARROWING);
	heartbeat_restore(&hb, 999999, 999999, 3, 9, 2);
	CHECK_INT(hb.current_s, HEARTBEAT_MAX_S);
	CHECK_INT(hb.bad_s, 0);
	heartbeat_restore(&hb, 0, 0, 0, 0, 0);
	CHECK_INT(hb.current_s, HEARTBEAT_START_S);
	CHECK_STR(heartbeat_state_to_str(hb.state), "probing");
	CHECK_STR(heartbeat_state_to_str((enum heartbeat_state)9), "?");
}

TEST_MAIN(TEST(test_grows_step_by_step), TEST(test_goes_back_when_cut),
	TEST(test_one_cut_of_a_good_length_is_chance), TEST(test_settles_below_every_cut),
	TEST(test_tries_the_ceiling_again), TEST(test_keeps_the_servers_bounds),
	TEST(test_takes_the_servers_hint), TEST(test_answers_prove_the_path), TEST(test_restores))
