/*
 * Who is let in: the limits of connections, in all, per address and per user, and of the requests
 * of a device, over all fronts together.
 *
 * The counts lie in the memory that the fronts share (shared/shared.h), under this front's part and
 * the slot of each connection; so they are exact whichever front a connection comes to, and are
 * given back when this process dies.
 *
 * A connection beyond server_max_connections, or beyond what this process has descriptors for, is
 * taken to be told so: it counts for nothing, and its first request is answered 503 with
 * Retry-After. REFUSALS_MAX of them at once; more are closed, as are those beyond the limit of an
 * address, which no phone meets.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "front/front_internal.h"

#define RATES 16384 /* devices that are busy at the same moment */

/* ---- the shared memory ---- */

/* One of its own, for a front that has nobody to share with. */
static int share_with_nobody(struct front *f, struct err *err)
{
	const struct shared_sizes sizes = {.parts = 1,
		.part_slots = f->connections_max + ADMIT_REFUSALS_MAX,
		.counts = 2 * f->connections_max,
		.rates = RATES,
		.paths = (uint32_t)f->settings->push_paths_max};
	int fd = -1, status;

	if (shared_create(&sizes, &fd, err) < 0)
		return -1;
	status = shared_open(fd, &f->shared, err);
	fd_close(&fd);
	return status;
}

int admit_start(struct front *f, int shared_fd, struct err *err)
{
	if (shared_fd >= 0 && shared_open(shared_fd, &f->shared, err) == 0)
		f->part = shared_part_take(f->shared, getpid());
	if (shared_fd >= 0 && (f->shared == NULL || f->part < 0)) {
		/* An upgrade with another layout: limits count for this front alone. */
		log_warn(&f->lc, "limits_not_shared",
			F_STR("reason", f->shared == NULL ? err->text : "no part is free"));
		shared_close(&f->shared);
	}
	if (f->shared == NULL) {
		*err = (struct err)ERR_INIT;
		if (share_with_nobody(f, err) < 0)
			return -1;
		f->part = shared_part_take(f->shared, getpid());
	}
	f->counters = shared_counters(f->shared, f->part, front_lasting_counters, COUNT_MAX);
	shared_counters_inherit(f->shared, front_lasting_counters, COUNT_MAX, f->counters);
	f->connections_max =
		MIN(f->connections_max, shared_part_slots(f->shared) - ADMIT_REFUSALS_MAX);
	return 0;
}

void admit_stop(struct front *f)
{
	f->counters = f->own_counters;
	if (f->shared != NULL)
		shared_part_release(f->shared, f->part);
	shared_close(&f->shared);
}

/* ---- addresses ---- */

/* One customer has a whole /64 of IPv6. */
size_t admit_address_key(const struct net_address *a, uint8_t key[ADMIT_KEY_MAX])
{
	bool v4 = net_address_is_ipv4(a);

	memcpy(key, v4 ? a->bytes + 12 : a->bytes, v4 ? 4 : 8);
	return v4 ? 4 : 8;
}

bool admit_address(struct front *f, uint32_t slot, const struct net_address *a)
{
	const struct settings *s = f->settings;
	uint8_t key[ADMIT_KEY_MAX];
	size_t len = admit_address_key(a, key);

	if (shared_enter(f->shared, f->part, slot, SHARED_ADDRESS, key, len,
		    (uint32_t)s->http_connections_per_address))
		return true;
	return forwarded_is_in(&s->http_address_exceptions, a) &&
	       shared_enter(f->shared, f->part, slot, SHARED_ADDRESS, key, len, 0);
}

/* ---- connections ---- */

enum admit_result admit_connection(struct front *f, const struct net_address *a, uint32_t slot)
{
	shared_slot_forget(f->shared, f->part, slot);
	if (slab_count(f->conns) - f->refusing + f->adopt.coming > f->connections_max)
		return ADMIT_FULL;
	if (!shared_connect(f->shared, f->part, f->settings->server_max_connections))
		return ADMIT_FULL;
	if (admit_address(f, slot, a))
		return ADMIT_IN;
	shared_disconnect(f->shared, f->part);
	return ADMIT_ADDRESS;
}

void admit_adopted(struct front *f, const struct conn *c, uint32_t old_slot)
{
	uint8_t key[ADMIT_KEY_MAX];
	size_t len = admit_address_key(&c->address, key);

	shared_slot_forget(f->shared, f->part, c->slot);
	if (f->adopt.part >= 0 && shared_move(f->shared, f->adopt.part, old_slot, f->part, c->slot))
		return;
	(void)shared_connect(f->shared, f->part, 0);
	if (!shared_enter(f->shared, f->part, c->slot, SHARED_ADDRESS, key, len, 0))
		log_debug(&f->lc, "connection_uncounted");
}

void admit_leave(struct front *f, const struct conn *c)
{
	if (c->uncounted)
		return;
	if (c->refused) {
		f->refusing--;
		return;
	}
	shared_leave(f->shared, f->part, c->slot, SHARED_ADDRESS);
	shared_leave(f->shared, f->part, c->slot, SHARED_USER);
	shared_disconnect(f->shared, f->part);
}

void admit_refused(struct front *f, const struct net_address *a, const char *why)
{
	static const struct {
		const char *why;
		enum front_counter_id counter;
	} reasons[] = {{"max_connections", COUNT_refused_all},
		{"connections_per_address", COUNT_refused_address},
		{"proxy_protocol", COUNT_refused_proxy}, {"memory", COUNT_refused_memory}};
	struct log_context lc = f->lc;
	char text[NET_ADDRESS_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		f->counters[reasons[i].counter] += str_eq(reasons[i].why, why);
	front_count(f, refused);
	lc.address = net_address_to_str(a, text);
	log_warn(&lc, "connection_refused", F_STR("reason", why));
}

/* ---- requests ---- */

const char *admit_request(struct front *f, struct conn *c, uint32_t *ret_wait_s)
{
	const struct settings *s = f->settings;
	struct device_keys keys;

	*ret_wait_s = 0;
	if (!device_keys(f, &c->request->http, &keys))
		return NULL;
	path_seen(f, c, keys.device);
	if (!shared_rate_try(f->shared, keys.device, (uint32_t)s->http_requests_per_device,
		    (uint32_t)s->http_requests_burst, clock_now_ms(), ret_wait_s)) {
		front_count(f, refused_rate);
		return "requests_per_device";
	}
	if (!shared_enter(f->shared, f->part, c->slot, SHARED_USER, &keys.user, sizeof(keys.user),
		    (uint32_t)s->http_connections_per_user)) {
		front_count(f, refused_user);
		return "connections_per_user";
	}
	return NULL;
}
