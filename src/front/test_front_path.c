/* Scenarios of paths: connections that are cut, phones that notice, waits that end before. */
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/front_internal.h"
#include "front/test_rig.h"
#include "net/listen.h"

static struct rig rig;

static void begin(const char *conf)
{
	rig_start(&rig, conf, false);
	engine_up(&rig);
}

static void send_ping(struct phone *p, unsigned device)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
		"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=D%u HTTP/1.1\r\n"
		"Host: h\r\nAuthorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345",
		device);
	phone_send(&rig, p, text);
}

/* Past what it says of phones that went. */
static struct ipc_handle next_request(void)
{
	const struct ipc_frame *f;

	while ((f = engine_poll(&rig)) == NULL || f->type != IPC_REQUEST)
		;
	return f->request.handle;
}

static struct ipc_handle park(struct phone *p, unsigned device, uint32_t heartbeat_s)
{
	struct ipc_handle h;

	send_ping(p, device);
	h = next_request();
	engine_park(&rig, &h, heartbeat_s, 3600);
	return h;
}

static struct ipc_handle connect_and_park(struct phone *p, unsigned device, uint32_t heartbeat_s)
{
	phone_connect(&rig, p);
	return park(p, device, heartbeat_s);
}

/* As a firewall that has forgotten the connection. */
static void reset(struct phone *p)
{
	const struct linger now = {1, 0};

	REQUIRE(setsockopt(p->stream.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	phone_close(p);
	rig_spin(&rig);
}

static void expect_expired(struct phone *p)
{
	CHECK(str_starts(phone_answer(&rig, p, NULL), "HTTP/1.1 200 "));
}

/* So many waits are cut after so long, one after the other. */
static void cut(int count, uint32_t after_s)
{
	for (int i = 0; i < count; i++) {
		uint64_t gone = rig_count(&rig, "gone");
		struct phone p;

		(void)connect_and_park(&p, 1000 + (unsigned)i, 3000);
		rig_pass(&rig, (int64_t)after_s * 1000);
		reset(&p);
		rig_until(&rig, "gone", gone + 1);
	}
}

/* How long a wait of this heartbeat lasts, to ten seconds. */
static uint32_t wait_of(uint32_t heartbeat_s)
{
	uint64_t expired = rig_count(&rig, "heartbeats_expired");
	uint32_t waited_s = 0;
	struct phone p;

	(void)connect_and_park(&p, 1, heartbeat_s);
	while (rig_count(&rig, "heartbeats_expired") == expired && waited_s < 4000) {
		rig_pass(&rig, 10000);
		waited_s += 10;
	}
	expect_expired(&p);
	phone_close(&p);
	rig_spin(&rig);
	return waited_s;
}

static void test_resets(void)
{
	uint32_t waited_s;

	begin("");
	CHECK_INT(wait_of(900), 900);
	cut(4, 240);
	CHECK_INT(wait_of(900), 900);
	cut(3, 240);
	waited_s = wait_of(900);
	CHECK(waited_s >= 230 && waited_s <= 240);
	CHECK(rig_count(&rig, "waits_shortened") >= 1);
	CHECK_INT(rig_count(&rig, "path_cuts"), 7);
	/* Shorter ones are as they were asked for. */
	CHECK_INT(wait_of(120), 120);
	rig_stop(&rig);
}

/* What phones do of their own will, or what happens to all at one moment, is no time-out. */
static void test_no_evidence(void)
{
	enum { PHONES = 30 };
	struct phone p[PHONES];

	for (int tls = 1; tls >= 0; tls--) {
		rig_start(&rig, "", tls == 1);
		engine_up(&rig);
		for (int i = 0; i < 10; i++) {
			(void)connect_and_park(&p[0], 1, 900);
			rig_pass(&rig, 240000);
			CHECK(phone_silent(&rig, &p[0])); /* and the tickets are read */
			phone_close(&p[0]); /* over TLS its end of TCP resets what we say to it */
			rig_spin(&rig);
		}
		CHECK_INT(rig_count(&rig, "path_cuts"), 0);
		if (tls == 1)
			rig_stop(&rig);
	}
	CHECK_INT(wait_of(900), 900);
	for (unsigned i = 0; i < PHONES; i++)
		(void)connect_and_park(&p[i], i, 900);
	rig_pass(&rig, 300000);
	for (int i = 0; i < PHONES; i++)
		reset(&p[i]);
	rig_until(&rig, "gone", PHONES);
	CHECK_INT(wait_of(900), 900);
	rig_stop(&rig);

	begin("[push]\npath_learning = no\n");
	cut(10, 240);
	CHECK_INT(wait_of(900), 900);
	rig_stop(&rig);
}

/* Nor is a phone's own TLS that breaks: its bytes came through. Both forms of TLS count it. */
static void test_broken_tls(void)
{
	static const uint8_t record[5 + 32] = {23, 3, 3, 0, 32};
	static const char *const forms[] = {"[tls]\npark = detach\n", "[tls]\npark = keep\n"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		rig_start(&rig, forms[i], true);
		engine_up(&rig);
		for (unsigned mid_wait = 0; mid_wait < 2; mid_wait++) {
			struct phone p;

			(void)connect_and_park(&p, 1, 900);
			rig_pass(&rig, mid_wait == 1 ? 240000 : 900000);
			if (mid_wait == 0)
				expect_expired(&p);
			REQUIRE(send(p.stream.fd, record, sizeof(record), 0) == sizeof(record));
			rig_until(&rig, "tls_broken", mid_wait + 1);
			phone_close(&p);
			rig_spin(&rig);
		}
		CHECK_INT(rig_count(&rig, i == 0 ? "tls_detached" : "tls_kept"), 2);
		CHECK_INT(rig_count(&rig, "waits_cut"), 0);
		CHECK_INT(rig_count(&rig, "path_cuts"), 0);
		rig_stop(&rig);
	}
}

/* Waits that are survived outvote. */
static void test_survivors(void)
{
	struct phone p;

	begin("");
	(void)connect_and_park(&p, 1, 900);
	for (int i = 0; i < 20; i++) {
		rig_pass(&rig, 901000);
		expect_expired(&p);
		send_ping(&p, 1);
		rig_until(&rig, "requests", (uint64_t)i + 2);
		if (rig_count(&rig, "parked") == 0) { /* the lease is over */
			struct ipc_handle h = next_request();

			engine_park(&rig, &h, 900, 3600);
		}
	}
	phone_close(&p);
	rig_spin(&rig);
	cut(12, 240);
	CHECK_INT(wait_of(900), 900);
	rig_stop(&rig);
}

/* The device asks again on another connection: from the same network it has noticed a cut; from
 * another one it has moved. */
static void test_device_comes_back(void)
{
	static const char *const lines[] = {"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n",
		"PROXY TCP4 192.0.2.8 10.0.0.1 56325 443\r\n",
		"PROXY TCP4 198.51.100.9 10.0.0.1 56326 443\r\n"};

	for (int moved = 0; moved < 2; moved++) {
		uint64_t expired;

		begin("[http]\nproxy_protocol = required\n");
		for (unsigned i = 0; i < 6; i++) {
			struct ipc_frame wake = {.type = IPC_WAKE};
			struct phone old, new;

			phone_connect(&rig, &old);
			phone_send(&rig, &old, lines[0]);
			wake.response = (struct ipc_response){.handle = park(&old, i, 900),
				.status = 200,
				.reason = "",
				.close = true};
			rig_pass(&rig, 300000);
			phone_connect(&rig, &new);
			phone_send(&rig, &new, lines[1 + moved]);
			(void)park(&new, i, 900);
			engine_send(&rig, &wake);
			expect_expired(&old);
			phone_close(&old);
			phone_close(&new);
			rig_spin(&rig);
		}
		CHECK_INT(rig_count(&rig, "path_cuts"), moved ? 0 : 6);
		expired = rig_count(&rig, "heartbeats_expired");
		{
			struct phone p;

			phone_connect(&rig, &p);
			phone_send(&rig, &p, lines[0]);
			(void)park(&p, 77, 900);
			rig_pass(&rig, 299000);
			CHECK_INT(rig_count(&rig, "heartbeats_expired") - expired, moved ? 0 : 1);
			phone_close(&p);
		}
		rig_stop(&rig);
	}
}

/* ---- jitter ---- */

/* A thousand that came together go on at different times, never after their heartbeat, never much
 * before, and drift apart further. */
static void test_jitter(void)
{
	enum { PHONES = 60, HEARTBEAT = 1000 };
	struct phone p[PHONES];
	uint64_t most = 0, last = 0;

	begin("[push]\njitter_percent = 10\n");
	for (unsigned i = 0; i < PHONES; i++)
		(void)connect_and_park(&p[i], i, HEARTBEAT);
	rig_pass(&rig, (HEARTBEAT * 9 / 10 - 1) * 1000);
	CHECK_INT(rig_count(&rig, "heartbeats_expired"), 0);
	for (int s = 0; s <= HEARTBEAT / 10 + 1; s++) {
		uint64_t expired;

		rig_pass(&rig, 1000);
		expired = rig_count(&rig, "heartbeats_expired");
		most = MAX(most, expired - last);
		last = expired;
	}
	CHECK_INT(last, PHONES);
	CHECK(most <= 8);
	for (int i = 0; i < PHONES; i++)
		phone_close(&p[i]);
	rig_stop(&rig);

	/* A short one is kept to the second. */
	begin("[push]\njitter_percent = 20\n");
	for (unsigned i = 0; i < 20; i++)
		(void)connect_and_park(&p[i], i, 240);
	rig_pass(&rig, 239000);
	CHECK_INT(rig_count(&rig, "heartbeats_expired"), 0);
	rig_pass(&rig, 1000);
	CHECK_INT(rig_count(&rig, "heartbeats_expired"), 20);
	for (int i = 0; i < 20; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

/* ---- through whom ---- */

/* How the wait of a phone is told that begins with these bytes. */
static const struct ipc_waited *waited_of(const char *before, const char *header)
{
	const struct ipc_frame *frame;
	struct phone p;
	char text[300];

	(void)snprintf(text, sizeof(text),
		"%sPOST /Microsoft-Server-ActiveSync?Cmd=Ping&User=a&DeviceId=D1 HTTP/1.1\r\n"
		"Host: h\r\n%sAuthorization: Basic YTpi\r\nContent-Length: 5\r\n\r\n12345",
		before, header);
	phone_connect(&rig, &p);
	phone_send(&rig, &p, text);
	{
		struct ipc_handle h = next_request();

		engine_park(&rig, &h, 900, 3600);
	}
	rig_pass(&rig, 300000);
	phone_close(&p);
	frame = engine_next(&rig, IPC_WAITED);
	CHECK_INT(frame->waited.asked_s, 900);
	CHECK_INT(frame->waited.lasted_s, 300);
	CHECK_INT(frame->waited.end, IPC_WAIT_CLOSED);
	rig_spin(&rig);
	return &frame->waited;
}

static void check_proxy(const struct ipc_waited *w, const char *want)
{
	char address[NET_ADDRESS_TEXT];
	struct net_address a;

	memcpy(a.bytes, w->proxy, sizeof(a.bytes));
	CHECK_STR(w->proxied ? net_address_to_str(&a, address) : "", want);
}

/* The address of the proxy itself, whichever way it tells of the phone; of nobody else. */
static void test_through_a_proxy(void)
{
#define FORWARDED "X-Forwarded-For: 192.0.2.7\r\n"
#define PROXY     "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"
	begin("");
	check_proxy(waited_of("", ""), "");
	check_proxy(waited_of("", FORWARDED), "127.0.0.1");
	check_proxy(waited_of("", "X-Forwarded-For: 127.0.0.1\r\n"), "127.0.0.1");
	rig_stop(&rig);
	begin("[http]\ntrusted_proxies = 192.0.2.1\n");
	check_proxy(waited_of("", FORWARDED), "");
	rig_stop(&rig);
	begin("[http]\nproxy_protocol = optional\n");
	check_proxy(waited_of(PROXY, ""), "127.0.0.1");
	check_proxy(waited_of(PROXY, FORWARDED), "127.0.0.1");
	check_proxy(waited_of("", ""), "");
	rig_stop(&rig);
}

/* ---- the warning, and TCP ---- */

static uint64_t told(const char *name)
{
	const struct ipc_frame *f;

	while (engine_poll(&rig) != NULL)
		;
	/* The levels of all fronts are filled in when they are told. */
	rig_pass(&rig, 5000);
	f = engine_next(&rig, IPC_STATS);
	for (size_t i = 0; i < f->stats.count; i++) {
		if (str_eq(f->stats.counters[i].name, name))
			return f->stats.counters[i].value;
	}
	REQUIRE(!"no such counter");
	return 0;
}

static void park_and_go(uint32_t heartbeat_s, int count)
{
	for (int i = 0; i < count; i++) {
		struct phone p;

		(void)connect_and_park(&p, 1, heartbeat_s);
		phone_close(&p);
		rig_spin(&rig);
	}
}

static void test_short_heartbeats(void)
{
	begin("[push]\nshort_window = 10\nshort_threshold_s = 540\n");
	park_and_go(480, 9);
	CHECK_INT(told("all_heartbeats_short"), 0);
	park_and_go(480, 1);
	CHECK_INT(told("all_heartbeats_short"), 1);
	CHECK_INT(told("all_heartbeat_average_s"), 480);
	CHECK_INT(rig_count(&rig, "waits_to_540"), 10);
	park_and_go(900, 5);
	CHECK_INT(told("all_heartbeats_short"), 0);
	CHECK_INT(rig_count(&rig, "waits_to_900"), 5);
	rig_stop(&rig);
}

static int option(int level, int name)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int value = -1;

	/* Of the front's end of the connection: it is of this process. */
	for (int fd = 3; fd < 200; fd++) {
		len = sizeof(a);
		if (getpeername(fd, (struct sockaddr *)(void *)&a, &len) < 0 ||
			a.sin_family != AF_INET || ntohs(a.sin_port) == rig.port)
			continue;
		len = sizeof(value);
		REQUIRE(getsockopt(fd, level, name, &value, &len) == 0);
	}
	return value;
}

/* A longer heartbeat reaches the sockets that are here, each when its phone waits again. */
static void test_tcp_after_a_reload(void)
{
	static const char text[] = "[push]\nheartbeat_max_s = 3540\n";
	char path[] = "/tmp/bellhop-front-XXXXXX";
	int fd = mkstemp(path);
	struct phone p;

	REQUIRE(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
	begin("[push]\nheartbeat_max_s = 1800\njitter_percent = 0\n");
	(void)connect_and_park(&p, 1, 900);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPIDLE), 1860);
	mem_free(rig.front->config_path);
	rig.front->config_path = x_strdup(path);
	front_reload(rig.front);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPIDLE), 1860);
	CHECK(phone_silent(&rig, &p));
	rig_pass(&rig, 900000);
	expect_expired(&p);
	send_ping(&p, 1);
	rig_until(&rig, "renewals_memory", 1);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPIDLE), 3600);
	phone_close(&p);
	rig_stop(&rig);
	(void)close(fd);
	(void)unlink(path);
}

/* From now on the phone's kernel throws away what comes, before TCP sees it: nothing is
 * acknowledged, nothing is said. */
static void vanish(const struct phone *p)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog all = {1, &drop};

	REQUIRE(setsockopt(p->stream.fd, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof(all)) == 0);
}

/* What the settings set, in the shortest time that TCP knows. */
static void hurry(const struct ipc_handle *h)
{
	const struct conn *c = slab_get(rig.front->conns, h->slot);
	struct err err = ERR_INIT;

	REQUIRE_OK(net_listen_patience(c->stream.fd, 1, 1, &err), &err);
}

/* Who vanished without a word: one whose answer nobody acknowledges, one that is only probed. */
static void test_dead_peers(void)
{
	struct ipc_frame wake = {.type = IPC_WAKE};
	struct ipc_handle woken, silent, alive;
	struct phone p[3];

	begin("");
	woken = connect_and_park(&p[0], 1, 900);
	silent = connect_and_park(&p[1], 2, 900);
	alive = connect_and_park(&p[2], 3, 900);
	rig_until(&rig, "parked", 3);
	for (int i = 0; i < 2; i++)
		vanish(&p[i]);
	hurry(&woken);
	hurry(&silent);
	hurry(&alive);
	wake.response = (struct ipc_response){.handle = woken, .status = 200, .reason = ""};
	engine_send(&rig, &wake);
	rig_until(&rig, "peers_dead", 2);
	rig_until(&rig, "gone", 1);
	CHECK_INT(rig_count(&rig, "connections"), 1);
	CHECK_INT(rig_count(&rig, "parked"), 1);
	CHECK_INT(rig_count(&rig, "waits_cut"), 1);
	CHECK(phone_silent(&rig, &p[2]));
	for (int i = 0; i < 3; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

static void test_tcp(void)
{
	struct phone p;

	begin("[push]\nheartbeat_max_s = 1800\ntcp_timeout_s = 120\n");
	phone_connect(&rig, &p);
	rig_until(&rig, "connections", 1);
	CHECK_INT(option(SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPIDLE), 1860);
	CHECK_INT(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 120000);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPINTVL), 120);
	phone_close(&p);
	rig_stop(&rig);
	begin("[push]\ntcp_keepalive_s = 200\n");
	phone_connect(&rig, &p);
	rig_until(&rig, "connections", 1);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPIDLE), 200);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPINTVL), 75);
	CHECK_INT(option(IPPROTO_TCP, TCP_KEEPCNT), 4);
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_resets), TEST(test_no_evidence), TEST(test_broken_tls), TEST(test_survivors),
	TEST(test_device_comes_back), TEST(test_jitter), TEST(test_through_a_proxy),
	TEST(test_short_heartbeats), TEST(test_dead_peers), TEST(test_tcp),
	TEST(test_tcp_after_a_reload))
