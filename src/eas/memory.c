/*
 * What the server remembers between requests and may forget at any time: a lock per device
 * (striped, so that memory is bounded) and, per stripe, how often a phone pinged in spite of a
 * pending provisioning.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "eas/command.h"

#define LOCK_STRIPES   1024
#define PENDING_SLOTS  4096
#define STRIPE_OF(id)  ((id).v % LOCK_STRIPES)
#define PENDING_OF(id) ((id).v % PENDING_SLOTS)

struct eas_memory {
	pthread_mutex_t locks[LOCK_STRIPES];
	struct {
		_Atomic uint64_t device;
		_Atomic uint32_t count;
	} pending[PENDING_SLOTS];
};

void eas_server_init(struct eas_server *server, struct store *store, struct watches *watches,
	const struct settings *settings)
{
	*server = (struct eas_server){store, watches, settings, x_new(struct eas_memory)};
	for (size_t i = 0; i < LOCK_STRIPES; i++)
		(void)pthread_mutex_init(&server->memory->locks[i], NULL);
}

void eas_server_deinit(struct eas_server *server)
{
	for (size_t i = 0; i < LOCK_STRIPES; i++)
		(void)pthread_mutex_destroy(&server->memory->locks[i]);
	mem_free(server->memory);
	server->memory = NULL;
}

void eas_device_lock(struct eas_server *server, struct device_id device)
{
	(void)pthread_mutex_lock(&server->memory->locks[STRIPE_OF(device)]);
}

void eas_device_unlock(struct eas_server *server, struct device_id device)
{
	(void)pthread_mutex_unlock(&server->memory->locks[STRIPE_OF(device)]);
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
