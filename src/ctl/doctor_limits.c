/*
 * What the limits of the system allow: for each, how many phones it leaves room for, compared with
 * server.max_connections. Pure on struct doctor.
 *
 * The figures per phone are measured (docs/PERFORMANCE.md), with something to spare.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "conf/capacity.h"
#include "ctl/doctor.h"

#define KERNEL_BYTES    4608           /* of a waiting connection */
#define USER_BYTES      1024           /* of ours, with TLS */
#define SERVER_BYTES    (512ull << 20) /* everything else */
#define FRONT_BYTES     (3ull << 20)
#define BACKLOG         4096 /* what listeners ask for */
#define FILES_OF_OTHERS 20000
#define TCP_BYTES       1024 /* in buffers, on average, of a connection in a storm */
#define FRONTS_PER_CORE 4    /* and more: that was not meant so */
#define HOUR_S          3600

static uint64_t wanted(const struct doctor *d)
{
	return d->settings->server_max_connections;
}

/* More fronts than cores work, and share the cores: say what makes do with one each. */
static char *advise_fewer_fronts(const struct doctor *d, uint64_t fronts)
{
	uint64_t cores = MAX(d->system.cores, 1);
	uint64_t enough = capacity_descriptors(wanted(d), cores);

	if (d->settings->server_fronts != 0 || fronts < cores * FRONTS_PER_CORE)
		return NULL;
	return x_printf(
		"raise LimitNOFILE of the service (systemctl edit bellhopd; without systemd "
		"nofile in /etc/security/limits.conf) to %" PRIu64
		" or more%s, so that a front for each core does: %" PRIu64,
		enough, enough > d->system.nr_open ? ", and fs.nr_open above it" : "", cores);
}

void doctor_check_descriptors(struct doctor *d)
{
	uint64_t limit = d->system.open_hard, cores = d->system.cores;
	uint64_t fronts = capacity_fronts(d->settings->server_fronts, wanted(d), limit, cores);
	uint64_t room = fronts * capacity_front_room(limit);

	doctor_phones(d, "descriptors", room);
	if (room >= wanted(d)) {
		char *advice = advise_fewer_fronts(d, fronts);

		doctor_say(d, "descriptors", DOCTOR_OK, advice,
			"a process may have %" PRIu64 " descriptors: %" PRIu64 " %s %" PRIu64
			" phones",
			limit, fronts, fronts == 1 ? "front holds" : "fronts hold", room);
		mem_free(advice);
		return;
	}
	doctor_say(d, "descriptors", DOCTOR_PROBLEM,
		d->settings->server_fronts == 0
			? "raise LimitNOFILE of the service (ulimit -n), and fs.nr_open above it"
			: "set server.fronts to 0, so that there are as many as it takes, or raise "
			  "LimitNOFILE of the service (ulimit -n)",
		"a process may have %" PRIu64 " descriptors: %" PRIu64 " %s only %" PRIu64
		" phones; %" PRIu64 " fronts would do",
		limit, fronts, fronts == 1 ? "front holds" : "fronts hold", room,
		capacity_fronts_needed(wanted(d), limit));
}

void doctor_check_files(struct doctor *d)
{
	uint64_t max = d->system.file_max;
	uint64_t phones = max > FILES_OF_OTHERS ? max - FILES_OF_OTHERS : 0;

	if (max == 0)
		return;
	doctor_phones(d, "files", phones);
	if (phones >= wanted(d))
		doctor_say(d, "files", DOCTOR_OK, NULL,
			"the system may have %" PRIu64 " files open (fs.file-max)", max);
	else
		doctor_say(d, "files", DOCTOR_PROBLEM,
			"raise it: sysctl -w fs.file-max=..., and in /etc/sysctl.d",
			"the system may have %" PRIu64 " files open (fs.file-max), %" PRIu64
			" are needed",
			max, wanted(d) + FILES_OF_OTHERS);
}

void doctor_check_memory(struct doctor *d)
{
	const uint64_t mib = 1 << 20;
	uint64_t fronts = capacity_fronts(
		d->settings->server_fronts, wanted(d), d->system.open_hard, d->system.cores);
	uint64_t own = SERVER_BYTES + fronts * FRONT_BYTES, all = d->system.memory_bytes;
	uint64_t phones = all > own ? (all - own) / (KERNEL_BYTES + USER_BYTES) : 0;

	if (all == 0)
		return;
	doctor_phones(d, "memory", phones);
	doctor_say(d, "memory", phones >= wanted(d) ? DOCTOR_OK : DOCTOR_PROBLEM,
		phones >= wanted(d) ? NULL : "lower server.max_connections, or give it more",
		"%" PRIu64 " MiB are enough for %" PRIu64 " waiting phones", all / mib, phones);
}

void doctor_check_tcp_memory(struct doctor *d)
{
	uint64_t bytes = d->system.tcp_mem_pages * d->system.page_bytes;

	if (bytes == 0)
		return;
	doctor_say(d, "tcp_mem", bytes >= wanted(d) * TCP_BYTES ? DOCTOR_OK : DOCTOR_WARNING,
		bytes >= wanted(d) * TCP_BYTES
			? NULL
			: "raise net.ipv4.tcp_mem (three numbers of pages): when all phones come "
			  "back at once, TCP would drop what does not fit",
		"TCP may have %" PRIu64 " MiB in buffers", bytes >> 20);
}

void doctor_check_backlog(struct doctor *d)
{
	const struct doctor_system *y = &d->system;
	bool well = y->somaxconn == 0 || y->somaxconn >= BACKLOG;

	if (y->somaxconn == 0)
		return;
	doctor_say(d, "backlog", well ? DOCTOR_OK : DOCTOR_WARNING,
		well ? NULL
		     : "sysctl -w net.core.somaxconn=4096: when many phones come at once, those "
		       "that do not fit are slow to get in",
		"%" PRIu64 " connections may wait to be accepted (net.core.somaxconn), %" PRIu64
		" to be opened (net.ipv4.tcp_max_syn_backlog)",
		y->somaxconn, y->syn_backlog);
}

/* Only where netfilter follows connections. */
void doctor_check_conntrack(struct doctor *d)
{
	const struct doctor_system *y = &d->system;

	if (y->conntrack_max == 0)
		return;
	if (y->conntrack_max < wanted(d) + wanted(d) / 10) {
		doctor_phones(d, "conntrack", y->conntrack_max);
		doctor_say(d, "conntrack", DOCTOR_PROBLEM,
			"raise net.netfilter.nf_conntrack_max, or exempt the listeners (notrack)",
			"the firewall follows at most %" PRIu64 " connections", y->conntrack_max);
	} else if (y->conntrack_s < HOUR_S) {
		doctor_say(d, "conntrack", DOCTOR_PROBLEM,
			"raise net.netfilter.nf_conntrack_tcp_timeout_established above 3600",
			"the firewall forgets connections that are silent for %" PRIu64
			" s, and phones wait for up to an hour",
			y->conntrack_s);
	} else {
		doctor_say(d, "conntrack", DOCTOR_OK, NULL,
			"the firewall follows %" PRIu64 " connections and keeps silent ones for "
			"%" PRIu64 " s",
			y->conntrack_max, y->conntrack_s);
	}
}
