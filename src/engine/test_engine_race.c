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

struct fleet {
	uint64_t mailbox_of[1 << 16];
	uint32_t current[PHONES + 1]; /* the request with which each phone waits */
	uint32_t number;
	uint64_t answers, woken_for_nothing, done, walks;
};

static void ping(struct fleet *f, uint64_t mailbox)
{
	char target[64];

	f->number++;
	f->mailbox_of[f->number % ARRAY_LEN(f->mailbox_of)] = mailbox;
	f->current[mailbox] = f->number;
	(void)snprintf(
		target, sizeof(target), "/Microsoft-Server-ActiveSync?Ping=%u", (unsigned)mailbox);
	world_request(f->number, target, "Basic good", "");
}

/* Its phone closes the connection and comes back on another one with the same Ping. What crosses
 * that on its way is for nobody. */
static void walk(struct fleet *f, uint64_t mailbox)
{
	struct ipc_frame gone = {.type = IPC_GONE, .handle = world_handle(f->current[mailbox])};

	f->walks++;
	world_send(&gone);
	ping(f, mailbox);
}

static void on_answer(struct fleet *f, uint64_t mailbox)
{
	uint64_t delivered, synced;

	f->answers++;
	/* The Sync: */
	delivered = atomic_load(&world.delivered[mailbox]);
	synced = atomic_exchange(&world.synced[mailbox], delivered);
	f->woken_for_nothing += delivered == synced;
	atomic_fetch_add(&total_synced, delivered - synced);
	f->done += delivered == ROUNDS;
	if (delivered != ROUNDS)
		ping(f, mailbox);
}

static void run_fleet(struct fleet *f, bool restless)
{
	for (uint64_t m = 1; m <= PHONES; m++)
		ping(f, m);
	while (f->done < PHONES) {
		const struct ipc_frame *frame = world_next();
		uint32_t number;
		uint64_t mailbox;

		if (frame == NULL) {
			test_fail_(__FILE__, __LINE__, "a phone sleeps over its mail");
			break;
		}
		CHECK(frame->type == IPC_PARK || frame->type == IPC_WAKE ||
			frame->type == IPC_RESPONSE);
		/* The handle comes first in all of them. */
		number = frame->type == IPC_PARK ? frame->park.handle.request
						 : frame->response.handle.request;
		mailbox = f->mailbox_of[number % ARRAY_LEN(f->mailbox_of)];
		if (f->current[mailbox] != number)
			continue;
		if (frame->type != IPC_PARK)
			on_answer(f, mailbox);
		else if (restless && number % 3 != 0)
			walk(f, mailbox);
	}
}

/* In the rush a phone hardly ever comes back to a watch that nothing has happened to: once there is
 * no mail any more it does, or never will. */
static void walk_in_peace(struct fleet *f)
{
	const struct ipc_frame *frame;

	ping(f, 1);
	for (unsigned i = 0; i < 100 && atomic_load(&world.engine.pings_known) == 0;) {
		frame = world_next();
		REQUIRE(frame != NULL);
		if (frame->type != IPC_PARK || frame->park.handle.request != f->current[1])
			continue; /* of the rush */
		walk(f, 1);
		i++;
	}
}

static void story(bool restless)
{
	struct fleet *f = x_new(struct fleet);
	pthread_t deliveries;

	atomic_store(&total_synced, 0);
	world_open();
	REQUIRE(pthread_create(&deliveries, NULL, run_deliveries, NULL) == 0);
	run_fleet(f, restless);
	(void)pthread_join(deliveries, NULL);
	for (uint64_t m = 1; m <= PHONES; m++)
		CHECK_INT(atomic_load(&world.synced[m]), ROUNDS);
	CHECK_INT(f->woken_for_nothing, 0);
	if (restless) {
		walk_in_peace(f);
		CHECK(atomic_load(&world.engine.pings_known) > 0);
	}
	printf("# %d deliveries, %" PRIu64
	       " Pings answered, %d checks, %d answers from memory, %" PRIu64 " walks, %" PRIu64
	       " parked from memory\n",
		PHONES * ROUNDS, f->answers, atomic_load(&world.checks),
		atomic_load(&world.answers), f->walks, atomic_load(&world.engine.pings_known));
	world_close();
	mem_free(f);
}

static void test_no_delivery_is_left_behind(void)
{
	story(false);
}

/* Phones that come and go: what is known of them from before never hides a delivery. */
static void test_nor_when_phones_come_back(void)
{
	story(true);
}

TEST_MAIN(TEST(test_no_delivery_is_left_behind), TEST(test_nor_when_phones_come_back))
