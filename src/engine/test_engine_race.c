/*
 * Deliveries against Pings through the whole middle of the engine: frames, workers, watches. A
 * thread delivers at random moments; the front pings each mailbox again as soon as it was told. No
 * delivery may be left behind, and no phone may be woken for nothing.
 */
#include <pthread.h>

#include "base/mem.h"
#include "base/test.h"
#include "engine/test_engine_world.h"

#define PHONES 8
#define ROUNDS 5000 /* deliveries per mailbox */

static atomic_ullong total_synced;

/* Keeps within a few messages of the phones, so that most deliveries meet a phone that is about to
 * wait, or waits. */
static void *run_deliveries(void *arg)
{
	(void)arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* Now all phones are about to wait, now some are behind. */
		uint64_t behind = round % 4 == 3 ? 2 : 0;

		for (uint64_t mailbox = 1; mailbox <= PHONES; mailbox++)
			world_deliver(mailbox);

		while (atomic_load(&total_synced) + behind * PHONES <
			(uint64_t)(round + 1) * PHONES)
			(void)sched_yield();
	}
	return NULL;
}

static void ping(uint64_t mailbox, uint32_t number)
{
	char target[64];

	(void)snprintf(
		target, sizeof(target), "/Microsoft-Server-ActiveSync?Ping=%u", (unsigned)mailbox);
	world_request(number, target, "Basic good", "");
}

static void test_no_delivery_is_left_behind(void)
{
	uint64_t mailbox_of[1 << 16] = {0}, woken_for_nothing = 0, answers = 0, done = 0;
	uint32_t number = 0;
	pthread_t deliveries;

	world_open();
	REQUIRE(pthread_create(&deliveries, NULL, run_deliveries, NULL) == 0);
	for (uint64_t m = 1; m <= PHONES; m++) {
		mailbox_of[++number] = m;
		ping(m, number);
	}
	while (done < PHONES) {
		const struct ipc_frame *f = world_next();
		uint64_t mailbox, delivered, synced;

		if (f == NULL) {
			test_fail_(__FILE__, __LINE__, "a phone sleeps over its mail");
			break;
		}
		if (f->type == IPC_PARK)
			continue;
		CHECK(f->type == IPC_WAKE || f->type == IPC_RESPONSE);
		mailbox = mailbox_of[f->response.handle.request % ARRAY_LEN(mailbox_of)];
		answers++;
		/* The Sync: */
		delivered = atomic_load(&world.delivered[mailbox]);
		synced = atomic_exchange(&world.synced[mailbox], delivered);
		woken_for_nothing += delivered == synced;
		atomic_fetch_add(&total_synced, delivered - synced);
		done += delivered == ROUNDS;
		if (delivered == ROUNDS)
			continue;
		number++;
		mailbox_of[number % ARRAY_LEN(mailbox_of)] = mailbox;
		ping(mailbox, number);
	}
	(void)pthread_join(deliveries, NULL);
	for (uint64_t m = 1; m <= PHONES; m++)
		CHECK_INT(atomic_load(&world.synced[m]), ROUNDS);
	CHECK_INT(woken_for_nothing, 0);
	printf("# %d deliveries, %" PRIu64 " Pings answered, %d checks, %d answers from memory\n",
		PHONES * ROUNDS, answers, atomic_load(&world.checks), atomic_load(&world.answers));
	world_close();
}

TEST_MAIN(TEST(test_no_delivery_is_left_behind))
