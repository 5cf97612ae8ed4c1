/* Scenarios of limits: users, devices, handshakes; and phones that are sent away. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "front/front_internal.h"
#include "front/test_rig.h"
#include "loop/loop.h"

static struct rig rig;

static void begin(const char *conf, bool tls)
{
	rig_start(&rig, conf, tls);
	engine_up(&rig);
}

static void send_as(struct phone *p, const char *query, const char *credentials)
{
	char text[400];

	(void)snprintf(text, sizeof(text),
		"POST /Microsoft-Server-ActiveSync?%s HTTP/1.1\r\nHost: h\r\n"
		"Authorization: Basic %s\r\nContent-Length: 2\r\n\r\nhi",
		query, credentials);
	phone_send(&rig, p, text);
}

/* The engine gets it and answers. */
static void expect_served(struct phone *p)
{
	struct ipc_handle h = engine_next(&rig, IPC_REQUEST)->request.handle;

	engine_answer(&rig, IPC_RESPONSE, &h, 200, "done");
	CHECK(str_starts(phone_answer(&rig, p, NULL), "HTTP/1.1 200 "));
}

/* The front answers by itself; gives Retry-After. */
static uint32_t expect_refused(struct phone *p)
{
	const char *text = phone_answer(&rig, p, NULL), *after = strstr(text, "\r\nRetry-After: ");
	uint64_t s = 0;
	struct err err = ERR_INIT;
	char number[16] = "";

	CHECK(str_starts(text, "HTTP/1.1 503 "));
	REQUIRE(after != NULL);
	after += strlen("\r\nRetry-After: ");
	memcpy(number, after, MIN(strcspn(after, "\r"), sizeof(number) - 1));
	REQUIRE_OK(str_parse_u64(number, 1000000, &s, &err), &err);
	CHECK(s >= 5);
	CHECK(engine_poll(&rig) == NULL);
	return (uint32_t)s;
}

static void test_connections_per_user(void)
{
	struct phone p[4];

	begin("[http]\nconnections_per_user = 2\n", false);
	for (int i = 0; i < 4; i++)
		phone_connect(&rig, &p[i]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			send_as(&p[i], "Cmd=Sync&DeviceId=A", "YTpi");
			expect_served(&p[i]);
		}
	}
	send_as(&p[2], "Cmd=Sync&DeviceId=B", "YTpi");
	(void)expect_refused(&p[2]);
	CHECK_INT(rig_count(&rig, "refused_user"), 1);
	/* Another user; and this connection, when it comes to be another user's. */
	send_as(&p[3], "Cmd=Sync&DeviceId=A", "YzpkZQ==");
	expect_served(&p[3]);
	send_as(&p[2], "Cmd=Sync&DeviceId=B", "ZTpm");
	expect_served(&p[2]);
	phone_close(&p[0]);
	rig_spin(&rig);
	send_as(&p[2], "Cmd=Sync&DeviceId=B", "YTpi");
	expect_served(&p[2]);
	for (int i = 1; i < 4; i++)
		phone_close(&p[i]);
	rig_stop(&rig);

	begin("[http]\nconnections_per_user = 0\n", false);
	for (int i = 0; i < 4; i++) {
		phone_connect(&rig, &p[i]);
		send_as(&p[i], "Cmd=Sync&DeviceId=A", "YTpi");
		expect_served(&p[i]);
	}
	for (int i = 0; i < 4; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

/* Both forms of the query, whatever the command and the connection. */
static void test_requests_per_device(void)
{
	static const struct {
		const char *one, *other, *stranger;
	} forms[] = {
		{"Cmd=Sync&User=a&DeviceId=AAAA&DeviceType=T", "DeviceId=AAAA&Cmd=FolderSync",
			"Cmd=Sync&User=a&DeviceId=AAAB&DeviceType=T"},
		/* 14.1, Sync and Ping, locale 1033, 16 bytes of DeviceId. */
		{"jQAJBBAwMTIzNDU2Nzg5QUJDREVGAAABVA==", "jRIJBBAwMTIzNDU2Nzg5QUJDREVGAAABVA==",
			"jQAJBBAwMTIzNDU2Nzg5QUJDREVHAAABVA=="},
	};
	struct phone p, q;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		begin("[http]\nrequests_per_device = 1\nrequests_burst = 3\n", false);
		phone_connect(&rig, &p);
		phone_connect(&rig, &q);
		send_as(&p, forms[i].one, "YTpi");
		expect_served(&p);
		send_as(&p, forms[i].other, "YTpi");
		expect_served(&p);
		send_as(&q, forms[i].one, "YTpi");
		expect_served(&q);
		send_as(&q, forms[i].other, "YTpi");
		(void)expect_refused(&q);
		send_as(&p, forms[i].one, "YTpi");
		(void)expect_refused(&p);
		CHECK_INT(rig_count(&rig, "refused_rate"), 2);
		/* Who does not know the password uses up nothing of it. */
		send_as(&p, forms[i].one, "YTpj");
		expect_served(&p);
		send_as(&q, forms[i].stranger, "YTpi");
		expect_served(&q);
		rig_pass(&rig, 1000);
		send_as(&p, forms[i].one, "YTpi");
		expect_served(&p);
		send_as(&p, forms[i].one, "YTpi");
		(void)expect_refused(&p);
		phone_close(&p);
		phone_close(&q);
		rig_stop(&rig);
	}
}

/* Waiting again from memory is not held against anybody. */
static void test_renewals_are_free(void)
{
	struct ipc_handle h;
	struct phone p;

	begin("[http]\nrequests_per_device = 1\nrequests_burst = 1\n", false);
	phone_connect(&rig, &p);
	send_as(&p, "Cmd=Ping&DeviceId=A", "YTpi");
	h = engine_next(&rig, IPC_REQUEST)->request.handle;
	engine_park(&rig, &h, 60, 3600);
	for (int i = 0; i < 3; i++) {
		rig_pass(&rig, 61000);
		CHECK(str_starts(phone_answer(&rig, &p, NULL), "HTTP/1.1 200 "));
		send_as(&p, "Cmd=Ping&DeviceId=A", "YTpi");
		CHECK(phone_silent(&rig, &p));
	}
	CHECK_INT(rig_count(&rig, "renewals_memory"), 3);
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- TLS handshakes ---- */

/* So many clients connect and say nothing: no more are taken than may be unfinished, the others
 * wait for their turn, and the silent ones lose theirs early. */
/* Free memory between what is in use: malloc keeps it until it is told to let it go. */
#define LEFT_BLOCKS 4000u
#define LEFT_BYTES  2000u
static void *left_end;
static size_t left_kib;

static size_t dirty_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	size_t kib = 0;
	char line[200];

	CHECK(f != NULL);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "Private_Dirty: %zu kB", &kib);
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

static void leave_memory_behind(void)
{
	static void *blocks[LEFT_BLOCKS];

	for (size_t i = 0; i < LEFT_BLOCKS; i++)
		blocks[i] = x_calloc(1, LEFT_BYTES);
	left_end = x_calloc(1, LEFT_BYTES);
	for (size_t i = 0; i < LEFT_BLOCKS; i++)
		mem_free(blocks[i]);
	left_kib = dirty_kib();
}

static void expect_memory_gone(void)
{
#if !POOLS_ARE_MALLOC /* else malloc is another one */
	CHECK(dirty_kib() + LEFT_BLOCKS * LEFT_BYTES / 2048 < left_kib);
#endif
	mem_freep(&left_end);
}

/* What handshakes took goes back when they are over, however few they were; not in their midst. */
static void test_memory_of_handshakes_goes_back(void)
{
	enum { CROWDED = 17 };
	struct phone silent[CROWDED], p;

	begin("", true);
	CHECK_INT(rig.front->trim.place, 0);
	phone_connect(&rig, &p);
	rig_until(&rig, "tls_handshakes", 1);
	CHECK(rig.front->trim.place != 0);
	for (int i = 0; i < CROWDED; i++)
		phone_connect_raw(&rig, &silent[i]);
	rig_until(&rig, "accepted", CROWDED + 1);
	rig_pass(&rig, 2000);
	CHECK(rig.front->trim.place != 0);
	phone_close(&silent[0]);
	rig_spin(&rig);
	CHECK_INT(rig.front->handshakes, CROWDED - 1);
	leave_memory_behind();
	rig_pass(&rig, 2000);
	CHECK_INT(rig.front->trim.place, 0);
	expect_memory_gone();
	for (int i = 1; i < CROWDED; i++)
		phone_close(&silent[i]);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_unfinished_handshakes(void)
{
	enum { SILENT = 60, MAX_UNFINISHED = 32 };
	struct phone silent[SILENT], p;

	begin("[tls]\nhandshakes_max = 32\nhandshake_timeout_s = 30\n"
	      "handshakes_address_percent = 100\n",
		true);
	for (int i = 0; i < SILENT; i++)
		phone_connect_raw(&rig, &silent[i]);
	rig_until(&rig, "accepted", MAX_UNFINISHED);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "accepted"), MAX_UNFINISHED);
	/* One goes: the next comes. */
	phone_close(&silent[0]);
	rig_until(&rig, "accepted", MAX_UNFINISHED + 1);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "accepted"), MAX_UNFINISHED + 1);
	/* Those that came when it was crowded have 10 s, the first ones 30. */
	rig_pass(&rig, 11000);
	rig_until(&rig, "accepted", SILENT - 10);
	rig_pass(&rig, 11000);
	rig_pass(&rig, 11000);
	rig_pass(&rig, 11000);
	rig_until(&rig, "timeouts", SILENT - 1);
	phone_connect(&rig, &p);
	send_as(&p, "Cmd=Sync&DeviceId=A", "YTpi");
	expect_served(&p);
	for (int i = 1; i < SILENT; i++)
		phone_close(&silent[i]);
	phone_close(&p);
	rig_stop(&rig);
}

static void test_handshakes_a_second(void)
{
	enum { PHONES = 12 };
	struct phone p[PHONES];

	begin("[tls]\nhandshakes_rate = 60\n", true); /* three in 50 ms */
	for (int i = 0; i < PHONES; i++)
		phone_connect_raw(&rig, &p[i]);
	rig_until(&rig, "accepted", 3);
	rig_spin(&rig);
	CHECK_INT(rig_count(&rig, "accepted"), 3);
	for (int i = 2; i <= PHONES / 3; i++) {
		rig_pass(&rig, 50);
		rig_until(&rig, "accepted", 3 * (uint64_t)i);
		rig_spin(&rig);
		CHECK_INT(rig_count(&rig, "accepted"), 3 * i);
	}
	for (int i = 0; i < PHONES; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

/* A crowd that speaks at once: all are served, and between their steps so is who is in already. */
static void test_crowd(void)
{
	enum { PHONES = 40 };
	struct phone crowd[PHONES], in;
	struct err err = ERR_INIT;
	bool done[PHONES] = {false};
	int finished = 0;

	begin("", true);
	phone_connect(&rig, &in);
	for (int i = 0; i < PHONES; i++) {
		phone_connect_raw(&rig, &crowd[i]);
		REQUIRE_OK(net_stream_init_client(
				   &crowd[i].stream, crowd[i].stream.fd, rig.client_tls, &err),
			&err);
		CHECK_INT(net_stream_handshake(&crowd[i].stream, &err), NET_AGAIN);
	}
	/* The whole crowd is before him in the kernel, and he is answered all the same before half
	 * of it is in. */
	send_as(&in, "Cmd=Sync&DeviceId=A", "YTpi");
	expect_served(&in);
	CHECK(rig_count(&rig, "tls_handshakes") < PHONES / 2 + 1);
	for (int round = 0; round < 2000 && finished < PHONES; round++) {
		rig_spin(&rig);
		for (int i = 0; i < PHONES; i++) {
			if (!done[i] && net_stream_handshake(&crowd[i].stream, &err) == 1) {
				done[i] = true;
				finished++;
			}
		}
	}
	CHECK_INT(finished, PHONES);
	for (int i = 0; i < PHONES; i++)
		phone_close(&crowd[i]);
	phone_close(&in);
	rig_stop(&rig);
}

/* The time that a handshake waits for its turn with us is not the client's: it does not count. */
static void test_queue_is_our_time(void)
{
	enum { PHONES = 40 };
	struct phone crowd[PHONES];
	struct err err = ERR_INIT;
	uint64_t waited;

	begin("[tls]\nhandshake_timeout_s = 5\n", true);
	for (int i = 0; i < PHONES; i++) {
		phone_connect_raw(&rig, &crowd[i]);
		REQUIRE_OK(net_stream_init_client(
				   &crowd[i].stream, crowd[i].stream.fd, rig.client_tls, &err),
			&err);
	}
	rig_until(&rig, "accepted", PHONES);
	/* All speak at once; after one round most still wait. Then we are busy for a minute. */
	for (int i = 0; i < PHONES; i++)
		CHECK_INT(net_stream_handshake(&crowd[i].stream, &err), NET_AGAIN);
	(void)loop_run_once(front_loop(rig.front), 1);
	clock_fake_advance_ms(60000);
	for (int round = 0; round < 200; round++) {
		rig_spin(&rig);
		for (int i = 0; i < PHONES; i++)
			(void)net_stream_handshake(&crowd[i].stream, &err);
	}
	/* Who had his turn before had a minute for the rest, and lost it. */
	waited = rig_count(&rig, "tls_handshakes");
	CHECK(waited >= PHONES / 2);
	CHECK_INT(rig_count(&rig, "timeouts"), PHONES - (int64_t)waited);
	for (int i = 0; i < PHONES; i++)
		phone_close(&crowd[i]);
	rig_stop(&rig);
}

static void greet_from(struct phone *p, int host)
{
	struct err err = ERR_INIT;

	phone_connect_from(&rig, p, host);
	REQUIRE_OK(net_stream_init_client(&p->stream, p->stream.fd, rig.client_tls, &err), &err);
	CHECK_INT(net_stream_handshake(&p->stream, &err), NET_AGAIN);
}

static void greet(struct phone *p)
{
	greet_from(p, 1);
}

/* In a crowd the silent are hurried; who has begun to speak, and is slow, has all the time. */
static void test_slow_phones_in_a_crowd(void)
{
	enum { SILENT = 18, SLOW = 10 };
	struct phone silent[SILENT], slow[SLOW];
	struct err err = ERR_INIT;

	begin("[tls]\nhandshakes_max = 32\nhandshake_timeout_s = 30\n"
	      "handshakes_address_percent = 100\n",
		true);
	for (int i = 0; i < SILENT; i++)
		phone_connect_raw(&rig, &silent[i]);
	rig_until(&rig, "accepted", SILENT);
	for (int i = 0; i < SLOW; i++)
		greet(&slow[i]);
	rig_until(&rig, "accepted", SILENT + SLOW);
	for (int i = 0; i < 20; i++)
		rig_spin(&rig);
	for (int i = 0; i < 5; i++)
		rig_pass(&rig, 5000);
	CHECK_INT(rig_count(&rig, "handshakes"), SLOW + 16); /* 16 came before there was a crowd */
	for (int i = 0; i < 2; i++)
		rig_pass(&rig, 4000);
	CHECK_INT(rig_count(&rig, "timeouts"), SILENT + SLOW);
	for (int i = 0; i < SILENT; i++)
		phone_close(&silent[i]);
	for (int i = 0; i < SLOW; i++)
		phone_close(&slow[i]);
	/* Again, and they finish in the last second. */
	for (int i = 0; i < SLOW; i++)
		greet(&slow[i]);
	for (int i = 0; i < 20; i++)
		rig_spin(&rig);
	for (int i = 0; i < 7; i++)
		rig_pass(&rig, 4000);
	for (int i = 0; i < SLOW; i++)
		CHECK_INT(net_stream_handshake(&slow[i].stream, &err), 1);
	rig_until(&rig, "tls_handshakes", SLOW);
	for (int i = 0; i < SLOW; i++)
		phone_close(&slow[i]);
	rig_stop(&rig);
}

/* Of 32 that may be unfinished 16 make a crowd, in which an address may have 8. */
#define SHARES                                                                                     \
	"[tls]\nhandshakes_max = 32\nhandshake_timeout_s = 30\nhandshakes_address_percent = 25\n"

static bool finishes(struct phone *p)
{
	struct err err = ERR_INIT;
	int rc = NET_AGAIN;

	for (int i = 0; i < 50 && rc == NET_AGAIN; i++) {
		rc = net_stream_handshake(&p->stream, &err);
		rig_spin(&rig);
	}
	return rc == 1;
}

/* One address brings twice as many as may be unfinished, and says nothing. */
static void test_others_come_in(void)
{
	enum { SILENT = 64, BEGUN = 17 };
	struct phone silent[SILENT], speaking, p;

	begin(SHARES, true);
	for (int i = 0; i < SILENT; i++)
		phone_connect_from(&rig, &silent[i], 1);
	rig_until(&rig, "accepted", SILENT);
	CHECK_INT(rig.front->handshakes, BEGUN);
	CHECK_INT(rig_count(&rig, "handshakes_held"), SILENT - BEGUN);
	greet_from(&p, 2);
	CHECK(finishes(&p));
	send_as(&p, "Cmd=Sync&DeviceId=A", "YTpi");
	expect_served(&p);
	/* Who speaks stands in line, and comes before all that wait and are silent. */
	greet_from(&speaking, 1);
	rig_until(&rig, "accepted", SILENT + 2);
	CHECK(!finishes(&speaking));
	for (int i = 0; i < 3; i++)
		rig_pass(&rig, 11000);
	CHECK_INT(rig_count(&rig, "timeouts"), SILENT);
	CHECK_INT(rig.front->handshakes, 1);
	CHECK(finishes(&speaking));
	CHECK_INT(rig.front->handshakes, 0);
	phone_close(&speaking);
	for (int i = 0; i < SILENT; i++)
		phone_close(&silent[i]);
	phone_close(&p);
	rig_stop(&rig);
}

/* All are served in the end, however many come from an address; each in his line's order. */
static void test_turns(void)
{
	enum { EACH = 40, HOSTS = 3 };
	struct phone all[HOSTS][EACH];
	bool done[HOSTS][EACH] = {{false}};
	int finished = 0, early = 0;
	struct err err = ERR_INIT;

	begin(SHARES, true);
	for (int h = 0; h < HOSTS; h++) {
		for (int i = 0; i < EACH; i++)
			greet_from(&all[h][i], h + 1);
	}
	rig_until(&rig, "accepted", 2 * EACH + 7);
	rig_spin(&rig);
	CHECK_INT(rig.front->handshakes, 17 + 8 + 7);
	for (int round = 0; round < 2000 && finished < HOSTS * EACH; round++) {
		rig_spin(&rig);
		CHECK(rig.front->handshakes <= 32);
		for (int h = 0; h < HOSTS; h++) {
			for (int i = 0; i < EACH; i++) {
				if (done[h][i] ||
					net_stream_handshake(&all[h][i].stream, &err) != 1)
					continue;
				done[h][i] = true;
				finished++;
				early += h > 0 && finished <= HOSTS * EACH / 2;
			}
		}
	}
	CHECK_INT(finished, HOSTS * EACH);
	CHECK(early >= EACH / 2); /* those who came last did not have to wait for the first */
	for (int h = 0; h < HOSTS; h++) {
		for (int i = 0; i < EACH; i++)
			phone_close(&all[h][i]);
	}
	for (int i = 0; i < 5; i++)
		rig_spin(&rig);
	CHECK_INT(map_count(rig.front->turns), 0);
	rig_stop(&rig);
}

/* Who leaves the line, with and without a word, leaves nothing behind. */
static void test_leaving_the_line(void)
{
	enum { BEGUN = 17, WAITING = 12 };
	struct phone begun[BEGUN], waiting[WAITING];

	begin(SHARES, true);
	for (int i = 0; i < BEGUN; i++)
		greet_from(&begun[i], 1);
	rig_until(&rig, "accepted", BEGUN);
	for (int i = 0; i < WAITING; i++)
		greet_from(&waiting[i], 1);
	rig_until(&rig, "accepted", BEGUN + WAITING);
	rig_spin(&rig);
	CHECK_INT(rig.front->handshakes, BEGUN);
	for (int i = 0; i < WAITING; i += 2)
		phone_close(&waiting[i]);
	rig_spin(&rig);
	/* Nine are too many for a share and make a crowd no more: then all go. */
	for (int i = 0; i < BEGUN; i++)
		CHECK(finishes(&begun[i]));
	for (int i = 1; i < WAITING; i += 2) {
		CHECK(finishes(&waiting[i]));
		phone_close(&waiting[i]);
	}
	for (int i = 0; i < BEGUN; i++)
		phone_close(&begun[i]);
	for (int i = 0; i < 5; i++)
		rig_spin(&rig);
	CHECK_INT(map_count(rig.front->turns), 0);
	rig_stop(&rig);
}

/* A cloud that brings the phones of thousands. */
static void test_excepted_addresses_do_not_wait(void)
{
	enum { PHONES = 30 };
	struct phone p[PHONES];

	begin(SHARES "[http]\naddress_exceptions = 127.0.0.2\n", true);
	for (int i = 0; i < PHONES; i++)
		phone_connect_from(&rig, &p[i], 2);
	rig_until(&rig, "accepted", PHONES);
	CHECK_INT(rig.front->handshakes, PHONES);
	for (int i = 0; i < PHONES; i++)
		phone_close(&p[i]);
	rig_stop(&rig);
}

/* What came in time is heard, although we look at it when the time is over. */
static void test_heard_late(void)
{
	struct phone p;
	struct err err = ERR_INIT;

	begin("[tls]\nhandshake_timeout_s = 5\n", true);
	phone_connect_raw(&rig, &p);
	rig_until(&rig, "accepted", 1);
	REQUIRE_OK(net_stream_init_client(&p.stream, p.stream.fd, rig.client_tls, &err), &err);
	CHECK_INT(net_stream_handshake(&p.stream, &err), NET_AGAIN);
	clock_fake_advance_ms(60000);
	conn_on_deadline(rig.front, 0);
	CHECK_INT(rig_count(&rig, "timeouts"), 0);
	for (int i = 0; i < 20 && net_stream_handshake(&p.stream, &err) != 1; i++)
		rig_spin(&rig);
	rig_until(&rig, "tls_handshakes", 1);
	phone_close(&p);
	rig_stop(&rig);
}

/* ---- sent away ---- */

/* Not all at the same second. */
static void test_retry_spreads(void)
{
	uint32_t least = UINT32_MAX, most = 0;
	struct phone in, p;

	begin("[http]\nconnections_per_user = 1\n", false);
	phone_connect(&rig, &in);
	send_as(&in, "Cmd=Sync&DeviceId=A", "YTpi");
	expect_served(&in);
	phone_connect(&rig, &p);
	for (int i = 0; i < 40; i++) {
		uint32_t after_s;

		send_as(&p, "Cmd=Sync&DeviceId=A", "YTpi");
		after_s = expect_refused(&p);
		least = MIN(least, after_s);
		most = MAX(most, after_s);
	}
	CHECK(least < 12 && most > 15 && most <= 25);
	phone_close(&in);
	phone_close(&p);
	rig_stop(&rig);
}

TEST_MAIN(TEST(test_connections_per_user), TEST(test_requests_per_device),
	TEST(test_renewals_are_free), TEST(test_unfinished_handshakes),
	TEST(test_memory_of_handshakes_goes_back), TEST(test_handshakes_a_second), TEST(test_crowd),
	TEST(test_queue_is_our_time), TEST(test_slow_phones_in_a_crowd), TEST(test_others_come_in),
	TEST(test_turns), TEST(test_leaving_the_line), TEST(test_excepted_addresses_do_not_wait),
	TEST(test_heard_late), TEST(test_retry_spreads))
