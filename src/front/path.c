/*
 * How long a phone may wait in silence: its heartbeat, less when something on the way would cut the
 * connection before, and a little less for each, so that a thousand which came together do not come
 * together again.
 *
 * What is known of paths lies in the shared memory, per network prefix and listener, and per
 * listener alone: that is where a proxy or firewall in front of this server shows. Evidence of a
 * cut is a reset or time-out in mid-wait, a device which asks again from the same network while its
 * old request still waits, or an answer at the wait's end that nobody acknowledged. A phone that
 * closes its connection is none: it means to; nor is one whose TLS ends with an alert or breaks
 * ours.
 *
 * conn.wait_s is how long the wait is to be, while it lasts; then how long it was, until the phone
 * is heard again; else 0. Limits: those of the settings push_path_*.
 */
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "front/front_internal.h"

#define MARGIN_MIN_S     5   /* before the expected cut; more of long silences: */
#define MARGIN_PART      32  /* the silence divided by this */
#define JITTER_MIN_S     300 /* shorter waits are not shortened: little would be spread */
#define LISTENER_OUTVOTE 4
#define HOUR_S           3600u
#define EXPIRED_TOLD     100u /* waits a second that came to their end, of all fronts together */

static struct shared_path_terms terms_of_net(const struct front *f)
{
	const struct settings *s = f->settings;

	return (struct shared_path_terms){.evidence = (uint32_t)s->push_path_evidence,
		.outvote = 1,
		.min_s = (uint32_t)s->push_path_min_s,
		.memory_s = (uint32_t)s->push_path_memory_h * HOUR_S};
}

/* What shortens the waits of everybody has to be true of nearly everybody. */
static struct shared_path_terms terms_of_listener(const struct front *f)
{
	struct shared_path_terms terms = terms_of_net(f);

	terms.evidence *= LISTENER_OUTVOTE;
	terms.outvote = LISTENER_OUTVOTE;
	return terms;
}

/* ---- names ---- */

/* The first bits of the address, and where it came to. */
static uint64_t net_of(const struct front *f, const struct conn *c)
{
	bool v4 = net_address_is_ipv4(&c->address);
	unsigned bits = v4 ? 96 + (unsigned)f->settings->push_path_prefix_v4
			   : (unsigned)f->settings->push_path_prefix_v6;
	uint8_t key[18] = {0};

	memcpy(key, c->address.bytes, (bits + 7) / 8);
	if (bits % 8 != 0)
		key[bits / 8] &= (uint8_t)(0xff << (8 - bits % 8));
	memcpy(key + 16, &c->port, sizeof(c->port));
	return shared_hash(f->shared, key, sizeof(key));
}

static uint32_t listener_path(struct front *f, uint16_t port, int64_t now_ms)
{
	uint8_t key[3] = {'L', (uint8_t)port, (uint8_t)(port >> 8)};

	return shared_path_find(f->shared, shared_hash(f->shared, key, sizeof(key)), now_ms);
}

static uint32_t net_path(struct front *f, const struct conn *c, int64_t now_ms)
{
	uint32_t path = shared_slot_path(f->shared, f->part, c->slot);

	if (path == SHARED_NO_PATH) {
		path = shared_path_find(f->shared, net_of(f, c), now_ms);
		shared_slot_set_path(f->shared, f->part, c->slot, path);
	}
	return path;
}

/* ---- waits ---- */

static uint32_t path_limit(struct front *f, const struct conn *c, int64_t now_ms)
{
	struct shared_path_terms terms = terms_of_net(f);
	uint32_t limit_s = shared_path_limit(f->shared, net_path(f, c, now_ms), &terms, now_ms);

	if (limit_s != 0)
		return limit_s;
	terms = terms_of_listener(f);
	return shared_path_limit(f->shared, listener_path(f, c->port, now_ms), &terms, now_ms);
}

/* Raises the counter of the range; `first` is that of the shortest, the others follow it. */
static void count_range(struct front *f, enum front_counter_id first, uint32_t seconds)
{
	static const uint32_t up_to_s[] = {120, 300, 540, 900, 1800, 2700};
	size_t i = 0;

	while (i < ARRAY_LEN(up_to_s) && seconds > up_to_s[i])
		i++;
	f->counters[first + i]++;
}

_Static_assert(COUNT_waits_longer == COUNT_waits_to_120 + 6 &&
		       COUNT_lasted_longer == COUNT_lasted_to_120 + 6,
	"the ranges stand in a row");

static void count_heartbeat(struct front *f, uint32_t heartbeat_s)
{
	const struct settings *s = f->settings;

	count_range(f, COUNT_waits_to_120, heartbeat_s);
	f->counters[COUNT_waits_asked_s] += heartbeat_s;
	switch (shared_heartbeat_note(f->shared, heartbeat_s, (uint32_t)s->push_short_window,
		(uint32_t)s->push_short_threshold_s)) {
	case SHARED_HEARTBEAT_SAME:
		return;
	case SHARED_HEARTBEAT_SHORT:
		log_warn(&f->lc, "heartbeats_short",
			F_UINT("average_s", path_heartbeat_average_s(f)),
			F_UINT("threshold_s", s->push_short_threshold_s),
			F_STR("advice",
				"when phones are not just finding out how long they can wait, "
				"something on the way cuts idle connections: let firewall, NAT and "
				"proxy keep them for an hour"));
		return;
	case SHARED_HEARTBEAT_WELL:
		log_info(&f->lc, "heartbeats_well",
			F_UINT("average_s", path_heartbeat_average_s(f)));
		return;
	}
}

uint64_t path_heartbeat_average_s(const struct front *f)
{
	struct shared_heartbeats h = shared_heartbeats_of(f->shared);

	return h.count > 0 ? h.sum_s / h.count : 0;
}

uint32_t path_wait_s(struct front *f, const struct conn *c)
{
	const struct settings *s = f->settings;
	uint32_t wait_s = c->heartbeat_s, limit_s = 0;
	int64_t now_ms = clock_now_ms();

	count_heartbeat(f, wait_s);
	if (s->push_path_learning)
		limit_s = path_limit(f, c, now_ms);
	if (limit_s != 0)
		limit_s -= MIN(limit_s - 1, MAX(MARGIN_MIN_S, limit_s / MARGIN_PART));
	if (limit_s != 0 && limit_s < wait_s) {
		wait_s = limit_s;
		front_count(f, waits_shortened);
	}
	/* The hash of the request: another one for each device, the same for each of its waits, so
	 * that those who began together drift apart more and more. */
	if (wait_s >= JITTER_MIN_S)
		wait_s -= (uint32_t)(c->print.a % (wait_s * s->push_jitter_percent / 100 + 1));
	return MAX(wait_s, 1);
}

uint32_t path_waited_s(const struct conn *c)
{
	int64_t left_ms = c->deadline_ms - clock_now_ms();

	return left_ms <= 0 ? c->wait_s : c->wait_s - (uint32_t)MIN(left_ms / 1000, c->wait_s);
}

/* Renewals are no business of the engine's: of a million phones a sample is told, of a few all. */
static bool tell_expired(struct front *f)
{
	int64_t second = clock_now_ms() / 1000;

	if (f->told_second != second) {
		f->told_second = second;
		f->told = 0;
	}
	return f->told++ < MAX(EXPIRED_TOLD / MAX(f->options.fronts, 1u), 1u);
}

void path_set_proxy(struct front *f, struct conn *c, const struct net_address *proxy)
{
	uint8_t i = 0;

	while (i < f->proxy_count && memcmp(&f->proxies[i], proxy, sizeof(*proxy)) != 0)
		i++;
	if (i == f->proxy_count && i < FRONT_PROXIES)
		f->proxies[f->proxy_count++] = *proxy;
	c->proxy = i < FRONT_PROXIES ? (uint8_t)(i + 1) : 0;
}

void path_wait_over(struct front *f, const struct conn *c, enum ipc_wait_end end)
{
	struct ipc_frame frame = {.type = IPC_WAITED};
	uint32_t lasted_s = path_waited_s(c);

	count_range(f, COUNT_lasted_to_120, lasted_s);
	f->counters[COUNT_waits_lasted_s] += lasted_s;
	f->counters[COUNT_waits_woken] += end == IPC_WAIT_WOKEN;
	f->counters[COUNT_waits_expired] += end == IPC_WAIT_EXPIRED;
	f->counters[COUNT_waits_closed] += end == IPC_WAIT_CLOSED;
	f->counters[COUNT_waits_cut] += end == IPC_WAIT_CUT;
	if (c->cookie_len == 0 || (end == IPC_WAIT_EXPIRED && !tell_expired(f)))
		return;
	frame.waited = (struct ipc_waited){.asked_s = c->heartbeat_s,
		.lasted_s = lasted_s,
		.end = end,
		.proxied = c->proxy > 0,
		.cookie_len = c->cookie_len};
	if (c->proxy > 0)
		memcpy(frame.waited.proxy, f->proxies[c->proxy - 1].bytes,
			sizeof(frame.waited.proxy));
	memcpy(frame.waited.cookie, c->cookie, c->cookie_len);
	link_send(f, &frame);
}

/* ---- evidence ---- */

static void note(
	struct front *f, const struct conn *c, enum shared_silence what, uint32_t silence_s)
{
	struct shared_path_terms net = terms_of_net(f), listener = terms_of_listener(f);
	int64_t now_ms = clock_now_ms();

	if (!f->settings->push_path_learning || silence_s < net.min_s)
		return;
	shared_path_note(f->shared, net_path(f, c, now_ms), what, silence_s, &net, now_ms);
	shared_path_note(
		f->shared, listener_path(f, c->port, now_ms), what, silence_s, &listener, now_ms);
	if (what != SHARED_LIVED)
		front_count(f, path_cuts);
}

void path_heard(struct front *f, struct conn *c)
{
	if (c->wait_s == 0)
		return;
	note(f, c, SHARED_LIVED, c->wait_s);
	c->wait_s = 0;
}

void path_broken(struct front *f, struct conn *c)
{
	if (c->wait_s == 0)
		return;
	if (c->state == CONN_PARKED)
		note(f, c, SHARED_CUT, path_waited_s(c));
	else
		note(f, c, SHARED_FOUND, c->wait_s);
	c->wait_s = 0;
}

void path_replaced(struct front *f, struct conn *c)
{
	if (c->wait_s > 0 && shared_device_is_in(f->shared, f->part, c->slot, net_of(f, c)))
		path_broken(f, c);
}

void path_unheard(struct front *f, struct conn *c)
{
	int unacknowledged = 0;

	if (c->wait_s == 0)
		return;
	if (ioctl(c->stream.fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0)
		path_broken(f, c);
	c->wait_s = 0;
}

void path_seen(struct front *f, const struct conn *c, uint64_t device)
{
	shared_device_seen(f->shared, f->part, c->slot, device, net_of(f, c));
}
