/*
 * What the server remembers between requests and may forget at any time: which collections a
 * request works on just now, and (in slots, so that memory is bounded) how often a phone pinged in
 * spite of a pending provisioning, and of which folders a Ping told it.
 *
 * Collections in work are few, not more than workers times collections of a request: a list under
 * one mutex, held for the time of a search. All of a request's are taken at once, so no two
 * requests can wait for each other.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/blocking.h"
#include "base/map.h"
#include "base/mem.h"
#include "eas/command.h"

#define PENDING_SLOTS  4096
#define PENDING_OF(id) ((id).v % PENDING_SLOTS)
#define TOLD_SLOTS     16384
#define RESYNC_SLOTS   1024

struct eas_memory {
	pthread_mutex_t mutex;
	pthread_cond_t released;
	struct eas_collection *busy; /* owned */
	size_t busy_count, busy_cap;
	struct {
		_Atomic uint64_t device;
		_Atomic uint32_t count;
	} pending[PENDING_SLOTS];
	_Atomic uint64_t told[TOLD_SLOTS];      /* marks of a device and a folder; 0: free */
	_Atomic uint64_t resyncs[RESYNC_SLOTS]; /* the same, of those that are to start over */
};

void eas_server_init(struct eas_server *server, struct store *store, struct watches *watches,
	const struct settings *settings)
{
	*server = (struct eas_server){
		store, watches, settings, x_new(struct eas_memory), .rules = rules_cache_new()};
	(void)pthread_mutex_init(&server->memory->mutex, NULL);
	(void)pthread_cond_init(&server->memory->released, NULL);
}

void eas_server_deinit(struct eas_server *server)
{
	(void)pthread_cond_destroy(&server->memory->released);
	(void)pthread_mutex_destroy(&server->memory->mutex);
	rules_cache_free(&server->rules);
	mem_free(server->memory->busy);
	mem_free(server->memory);
	server->memory = NULL;
}

static bool same_collection(const struct eas_collection *a, const struct eas_collection *b)
{
	return a->device.v == b->device.v && a->owner.v == b->owner.v && a->folder.v == b->folder.v;
}

/* Index in the list; busy_count: not in it. */
static size_t find_busy(const struct eas_memory *m, const struct eas_collection *collection)
{
	size_t i = 0;

	while (i < m->busy_count && !same_collection(&m->busy[i], collection))
		i++;
	return i;
}

static bool any_busy(
	const struct eas_memory *m, const struct eas_collection *collections, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (find_busy(m, &collections[i]) < m->busy_count)
			return true;
	}
	return false;
}

void eas_collections_lock(
	struct eas_server *server, const struct eas_collection *collections, size_t count)
{
	struct eas_memory *m = server->memory;

	(void)pthread_mutex_lock(&m->mutex);
	while (any_busy(m, collections, count)) {
		blocking_begin();
		(void)pthread_cond_wait(&m->released, &m->mutex);
		blocking_end();
	}
	if (m->busy_count + count > m->busy_cap) {
		m->busy_cap = MAX(m->busy_cap * 2, m->busy_count + count);
		m->busy = x_realloc(m->busy, m->busy_cap * sizeof(*m->busy));
	}
	for (size_t i = 0; i < count; i++)
		m->busy[m->busy_count++] = collections[i];
	(void)pthread_mutex_unlock(&m->mutex);
}

void eas_collections_unlock(
	struct eas_server *server, const struct eas_collection *collections, size_t count)
{
	struct eas_memory *m = server->memory;

	(void)pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < count; i++)
		m->busy[find_busy(m, &collections[i])] = m->busy[--m->busy_count];
	(void)pthread_cond_broadcast(&m->released);
	(void)pthread_mutex_unlock(&m->mutex);
}

unsigned eas_pending_count(struct eas_server *server, struct device_id device)
{
	/* Another device in the same slot resets the count: a phone is then told once more, no
	 * harm. */
	if (atomic_exchange(&server->memory->pending[PENDING_OF(device)].device, device.v) !=
		device.v)
		atomic_store(&server->memory->pending[PENDING_OF(device)].count, 0);
	return atomic_fetch_add(&server->memory->pending[PENDING_OF(device)].count, 1) + 1;
}

unsigned eas_pending_seen(struct eas_server *server, struct device_id device)
{
	if (atomic_load(&server->memory->pending[PENDING_OF(device)].device) != device.v)
		return 0;
	return atomic_load(&server->memory->pending[PENDING_OF(device)].count);
}

void eas_pending_clear(struct eas_server *server, struct device_id device)
{
	if (atomic_load(&server->memory->pending[PENDING_OF(device)].device) == device.v)
		atomic_store(&server->memory->pending[PENDING_OF(device)].count, 0);
}

/* Never 0. What shares a slot displaces another's mark: that phone gets an empty answer then. */
static uint64_t told_mark(struct device_id device, struct folder_id folder)
{
	static const uint8_t key[16];
	const uint64_t pair[2] = {device.v, folder.v};

	return siphash(key, pair, sizeof(pair)) | 1;
}

void eas_told_note(struct eas_server *server, struct device_id device, struct folder_id folder)
{
	uint64_t mark = told_mark(device, folder);

	atomic_store(&server->memory->told[(mark >> 1) % TOLD_SLOTS], mark);
}

bool eas_told_take(struct eas_server *server, struct device_id device, struct folder_id folder)
{
	uint64_t mark = told_mark(device, folder), expected = mark;

	return atomic_compare_exchange_strong(
		&server->memory->told[(mark >> 1) % TOLD_SLOTS], &expected, 0);
}

/* What shares a slot displaces another's mark: that phone starts over when it next synchronizes. */
void eas_resync_note(struct eas_server *server, struct device_id device, struct folder_id folder)
{
	uint64_t mark = told_mark(device, folder);

	atomic_store(&server->memory->resyncs[(mark >> 1) % RESYNC_SLOTS], mark);
}

bool eas_resync_due(struct eas_server *server, struct device_id device, struct folder_id folder)
{
	uint64_t mark = told_mark(device, folder);

	return atomic_load(&server->memory->resyncs[(mark >> 1) % RESYNC_SLOTS]) == mark;
}

bool eas_resync_take(struct eas_server *server, struct device_id device, struct folder_id folder)
{
	uint64_t mark = told_mark(device, folder), expected = mark;

	return atomic_compare_exchange_strong(
		&server->memory->resyncs[(mark >> 1) % RESYNC_SLOTS], &expected, 0);
}
