/*
 * Deliveries against waiting phones, on many threads: register, check, park must lose no wake-up.
 * The "store" is a counter per mailbox; a delivery raises it, then publishes; a phone syncs up to
 * what it saw, waits for more, and the test ends when each phone has everything. A lost wake-up is
 * a phone that waits for ever: the deadline below turns it into a failure.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/test.h"
#include "notify/watch.h"

#define PHONES     4
#define ROUNDS     20000
#define DEADLINE_S 60

struct phone {
	uint64_t number;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	uint64_t marked_id; /* under lock: the watch that on_marked named last */
	atomic_ullong delivered;
	uint64_t synced, wakes, checks;
};

static struct phone phones[PHONES + 1];
static struct watches *watches;
static atomic_bool stop;
/* Which phone a watch belongs to: watch ids are shared by all. */
static atomic_ullong id_owner[1 << 20];

static void on_marked(struct watch_id id, unsigned marks, void *owner)
{
	struct phone *phone = &phones[atomic_load(&id_owner[id.v % ARRAY_LEN(id_owner)])];

	(void)marks;
	(void)owner;
	(void)pthread_mutex_lock(&phone->lock);
	if (id.v > phone->marked_id)
		phone->marked_id = id.v;
	(void)pthread_cond_signal(&phone->woken);
	(void)pthread_mutex_unlock(&phone->lock);
}

static void note_owner(void *arg)
{
	const uint64_t *pair = arg;

	atomic_store(&id_owner[pair[0] % ARRAY_LEN(id_owner)], pair[1]);
}

static bool wait_for_mark(struct phone *phone, struct watch_id id)
{
	struct timespec until;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_S;
	(void)pthread_mutex_lock(&phone->lock);
	while (phone->marked_id < id.v && rc == 0)
		rc = pthread_cond_timedwait(&phone->woken, &phone->lock, &until);
	(void)pthread_mutex_unlock(&phone->lock);
	return rc == 0;
}

/* One Ping: until there is something to sync. False: the wake-up was lost. */
static bool ping(struct phone *phone)
{
	struct watch_folder folder = {{phone->number}, {2}, INT64_MIN, ITEM_MAIL, false};
	struct watch_spec spec = {.kind = WATCH_PING,
		.user = {phone->number},
		.device = {phone->number},
		.heartbeat_s = 60,
		.folders = &folder,
		.folder_count = 1};
	struct watch_id id = watch_begin(watches, &spec);
	struct ipc_handle handle = {1, (uint32_t)phone->number, 1, (uint32_t)id.v};
	uint64_t pair[2] = {id.v, phone->number};
	struct arena *arena = arena_new(0);
	struct watch_view view;
	unsigned marks;
	bool ok = true;

	while (ok && atomic_load(&phone->delivered) == phone->synced) {
		phone->checks++;
		watch_checked(watches, id, spec.user, phone->synced);
		if (!watch_park(watches, id, &handle, &marks, note_owner, pair)) {
			CHECK(marks != 0);
			continue;
		}
		ok = wait_for_mark(phone, id);
		phone->wakes++;
		CHECK(!ok || watch_check_begin(watches, id, arena, &view));
		/* A certain change is there when the check looks. */
		CHECK(!ok || view.marks != WATCH_MARK_CHANGED ||
			atomic_load(&phone->delivered) > phone->synced);
		(void)pthread_mutex_lock(&phone->lock);
		phone->marked_id = 0;
		(void)pthread_mutex_unlock(&phone->lock);
	}
	(void)watch_end(watches, id, NULL);
	arena_free(&arena);
	return ok;
}

static void *run_phone(void *arg)
{
	struct phone *phone = arg;

	while (phone->synced < ROUNDS) {
		if (!ping(phone)) {
			test_fail_(__FILE__, __LINE__,
				"phone %" PRIu64 " sleeps over delivery %" PRIu64, phone->number,
				phone->synced + 1);
			break;
		}
		phone->synced = atomic_load(&phone->delivered);
	}
	return NULL;
}

/* Delivers to all phones, one message each; waits for nobody but keeps within a few messages of the
 * slowest. */
static void *run_deliveries(void *arg)
{
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		for (uint64_t i = 1; i <= PHONES; i++) {
			struct change_event e = {.owner = {i},
				.folder = {2},
				.item = {round},
				.seq = round,
				.kinds = round % 5 == 0 ? CHANGE_DELETE : CHANGE_ADD,
				.item_class = ITEM_MAIL};

			(void)atomic_fetch_add(&phones[i].delivered, 1);
			watches_publish(watches, &e, 1);
		}
		if (round % 3 == 0)
			(void)sched_yield();
	}
	(void)arg;
	return NULL;
}

/* Everything else that goes on meanwhile, for the thread sanitizer. */
static void *run_noise(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct watch_folder folder = {{1}, {2}, INT64_MIN, ITEM_MAIL, false};
		struct watch_spec spec = {
			.user = {900}, .device = {900}, .folders = &folder, .folder_count = 1};
		struct change_event e = {.owner = {900}, .kinds = CHANGE_USER};
		struct ipc_handle handle = {9, 9, 9, 9};
		uint64_t pair[2] = {0, 0};
		struct watch_id id = watch_begin(watches, &spec);
		unsigned marks;

		pair[0] = id.v;
		(void)watch_park(watches, id, &handle, &marks, note_owner, pair);
		watch_touch_device(watches, (struct device_id){900});
		watches_publish(watches, &e, 1);
		watches_run_timers(watches, INT64_MAX);
		watch_gone(watches, &handle);
		watch_front_gone(watches, 9);
		(void)sched_yield();
	}
	return NULL;
}

static void test_no_wake_up_is_lost(void)
{
	struct watch_options o = {.flag_wake_delay_s = 15, .on_marked = on_marked};
	pthread_t threads[PHONES], deliveries, noise;
	uint64_t wakes = 0;

	watches = watches_new(&o);
	for (uint64_t i = 0; i <= PHONES; i++) {
		phones[i].number = i;
		(void)pthread_mutex_init(&phones[i].lock, NULL);
		(void)pthread_cond_init(&phones[i].woken, NULL);
	}
	for (size_t i = 0; i < PHONES; i++)
		REQUIRE(pthread_create(&threads[i], NULL, run_phone, &phones[i + 1]) == 0);
	REQUIRE(pthread_create(&noise, NULL, run_noise, NULL) == 0);
	REQUIRE(pthread_create(&deliveries, NULL, run_deliveries, NULL) == 0);
	(void)pthread_join(deliveries, NULL);
	for (size_t i = 0; i < PHONES; i++) {
		(void)pthread_join(threads[i], NULL);
		CHECK_INT(phones[i + 1].synced, ROUNDS);
		wakes += phones[i + 1].wakes;
	}
	atomic_store(&stop, true);
	(void)pthread_join(noise, NULL);
	printf("# %d deliveries, %" PRIu64 " wakes\n", PHONES * ROUNDS, wakes);
	watches_free(&watches);
}

TEST_MAIN(TEST(test_no_wake_up_is_lost))
