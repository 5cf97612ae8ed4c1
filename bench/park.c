/*
 * park: what waiting costs. Phones with real authenticated Pings are parked, as many as --phones
 * and --tls-phones say; measured are how many stay, the memory of all processes of the server for
 * each (Private_Dirty growth from the first tenth of them to all, so that what a server has anyway
 * is not counted; fresh, and after churn), the kernel's, the CPU of a server that only waits, of a
 * renewal, and of Pings on new connections.
 *
 * Parts: plain tls held renewal repings rate, or a figure of these. Idle CPU is measured for
 * --idle-s seconds; only a whole heartbeat's time shows every renewal once. --small: phones of the
 * parts that measure CPU per event. --help has all options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "base/mem.h"
#include "crowd.h"
#include "fleet/procs.h"
#include "options.h"

#define PHONES      20000u
#define SMALL       4000u
#define FOLDERS     20u
#define CHURN_S     20u
#define CHURN_RATE  2000u /* phones a second that come back */
#define CHURN_PARTS 20u   /* so many parts of the fleet come and go in turn */
#define REST_S      6u
#define RENEW_S     10u
#define RENEW_TURNS 10u
#define TURN_S      1.0   /* no shorter: waits end in slots of a second */
#define FRONTS      2u    /* of the bare server, too */
#define RENEW_RATE  1000u /* a second: what a million phones make at 15 minutes */
#define SPREAD_MS   2000u
#define MANY        100000u
#define SETTINGS    "[push]\nheartbeat_min_s = 1\n[policy]\nrequired = no\n[store]\ncache_kib = 2048\n"

struct park {
	int argc;
	char **argv;
	unsigned phones, tls_phones, users, folders, heartbeat_s, idle_s, churn_s, small, renew_s;
	unsigned churn_pause_s;
};

static void begin(
	const struct park *k, struct bench *b, struct crowd *c, const struct crowd_options *options)
{
	bench_init(b, "park", k->argc, k->argv);
	b->settings = SETTINGS;
	crowd_make(c, b, options);
	bench_start(b);
}

/* ---- many ---- */

struct memory {
	double server, engine, kernel;
	unsigned phones;
};

/* What waiting costs, so not in the moment after a crowd came: the fronts give back what that took
 * once they are at rest. */
static struct memory memory_at_rest(struct crowd *c, struct fleet *fleet, unsigned phones)
{
	crowd_pause(c, fleet, REST_S, "at rest");
	return (struct memory){crowd_memory(c),
		(double)procs_memory_of(bench_engine_pid(c->bench)).private_dirty,
		(double)procs_kernel().total, phones};
}

static double growth(const struct memory *from, const struct memory *to)
{
	return (to->server - from->server) / (double)(to->phones - from->phones);
}

static double growth_engine(const struct memory *from, const struct memory *to)
{
	return (to->engine - from->engine) / (double)(to->phones - from->phones);
}

/* Parts of the fleet go and come back, one after the other, for so long. */
static void churn(const struct park *k, struct crowd *c, struct fleet *fleet, unsigned phones)
{
	int64_t end_us = bench_now_us() + (int64_t)k->churn_s * 1000000;
	unsigned part = MAX(phones / CHURN_PARTS, 1u);

	for (unsigned i = 0; bench_now_us() < end_us; i++) {
		struct fleet_command command = {
			.order = i % 2 == 0 ? FLEET_CUT : FLEET_CLOSE,
			.first = i % CHURN_PARTS * part,
			.count = part,
			.on_news = FLEET_STAY_OUT,
			.spread_ms = MAX(part * 1000 / CHURN_RATE, 1000u),
		};

		fleet_give(fleet, &command);
		command.order = FLEET_RETURN;
		fleet_give(fleet, &command);
		(void)crowd_wait_parked(c, fleet, phones, "churn");
		if (k->churn_pause_s > 0)
			crowd_pause(c, fleet, k->churn_pause_s, "between two parts");
	}
}

static void idle(const struct park *k, struct crowd *c, struct fleet *fleet, unsigned phones)
{
	static struct tally t;
	char conditions[200];
	double before_us, used_us, begin_s;
	uint64_t expired;

	if (k->idle_s == 0)
		return;
	fleet_read(fleet, &t);
	expired = t.expired;
	before_us = bench_server_cpu_now_us(c->bench);
	begin_s = (double)bench_now_us() / 1e6;
	crowd_pause(c, fleet, k->idle_s, "idle");
	used_us = bench_server_cpu_now_us(c->bench) - before_us;
	fleet_read(fleet, &t);
	begin_s = (double)bench_now_us() / 1e6 - begin_s;
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones parked, heartbeat %u s, %u s long: %.0f renewals a second; all "
		"processes",
		phones, c->options.heartbeat_s, k->idle_s, (double)(t.expired - expired) / begin_s);
	bench_figure(c->bench, "idle_cpu", used_us / (begin_s * 1e4), "% of a core",
		"under 3 with 1000000 at 900 s", conditions);
}

struct names {
	const char *parked, *fresh, *churned, *kernel, *aim_parked, *aim_bytes;
};

static void park_many(
	const struct park *k, const struct names *n, unsigned phones, bool tls, bool held)
{
	struct crowd_options options = {.phones = phones,
		.users = k->users,
		.folders = k->folders,
		.heartbeat_s = k->heartbeat_s,
		.held_sync = held};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	struct memory base, full, churned;
	unsigned tenth = MAX(phones / 10, 1u);
	char conditions[240];
	struct fleet *fleet;
	struct bench b;
	static struct crowd c;
	double fill_s;

	begin(k, &b, &c, &options);
	fleet = crowd_fleet(&c, tls, false);
	(void)crowd_fill(&c, fleet, &how, 0, tenth, 0, CROWD_CHUNK);
	base = memory_at_rest(&c, fleet, tenth);
	fill_s = crowd_fill(&c, fleet, &how, tenth, phones - tenth, tenth, CROWD_CHUNK);
	full = memory_at_rest(&c, fleet, phones);
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones of %u users, %u folders each, %s, 14.1, %s; fleet on the same machine; "
		"filled at %.0f/s; the engine's part: %.0f",
		phones, c.options.users, k->folders, held ? "held Sync" : "Ping",
		tls ? "TLS 1.3, AES-256-GCM" : "plain HTTP", (phones - tenth) / MAX(fill_s, 0.001),
		growth_engine(&base, &full));
	bench_figure(&b, n->parked, (double)crowd_parked(&c), "phones", n->aim_parked, conditions);
	bench_figure(&b, n->fresh, growth(&base, &full), "bytes", NULL, conditions);
	if (full.kernel > 0)
		bench_figure(&b, n->kernel, (full.kernel - base.kernel) / (double)(phones - tenth),
			"bytes", NULL,
			"the kernel's slab caches (TCP, sock_inode_cache, dentry, filp, "
			"eventpoll_epi) for each phone: both ends of the connection");
	churn(k, &c, fleet, phones);
	churned = memory_at_rest(&c, fleet, phones);
	(void)snprintf(conditions, sizeof(conditions),
		"the same after %u s of churn: a twentieth at a time cut, or closed, and back; the "
		"engine's "
		"part: %.0f",
		k->churn_s, growth_engine(&base, &churned));
	bench_figure(&b, n->churned, growth(&base, &churned), "bytes", n->aim_bytes, conditions);
	if (!tls && !held)
		idle(k, &c, fleet, phones);
	if (k->heartbeat_s > 60)
		crowd_check(&c, fleet, "at the end");
	fleet_close(&fleet);
	bench_finish(&b);
}

/* ---- per event ---- */

/* CPU for each renewal, in one turn of the measuring. */
struct turn {
	double us, count; /* of all renewals in it, and how many they were */
};

/* Over loopback the sender wakes the receiver's process, which no server does that has a network in
 * between; so what the server takes for a fleet that is always awake is measured beside it. */
struct renewed {
	struct turn turns[2][RENEW_TURNS]; /* asleep, awake */
	size_t count[2];
	double all_us; /* of all processes, in the turns asleep */
};

/* What the turns of one kind say. */
struct spread {
	double median_us, least_us, most_us, mean_us, renewals;
};

/* The CPU time that is measured, now. */
typedef double (*spent_fn)(const void *owner);

static double spent_by_fronts(const void *owner)
{
	return crowd_fronts_cpu_us(owner);
}

static double spent_by_bare(const void *owner)
{
	return bare_cpu_us(owner);
}

static void renew_once(struct crowd *c, struct fleet *fleet, spent_fn spent, const void *owner,
	double s, bool awake, struct renewed *sum)
{
	struct fleet_command how = {.on_news = FLEET_STAY_OUT, .order = FLEET_SET, .awake = awake};
	static struct tally before, after;
	double us, all_us;

	fleet_give(fleet, &how);
	all_us = bench_server_cpu_now_us(c->bench);
	us = spent(owner);
	fleet_read(fleet, &before);
	crowd_pause(c, fleet, s, awake ? "renewals, the fleet awake" : "renewals");
	fleet_read(fleet, &after);
	us = spent(owner) - us;
	sum->turns[awake][sum->count[awake]++] =
		(struct turn){us, (double)(after.expired - before.expired)};
	if (!awake)
		sum->all_us += bench_server_cpu_now_us(c->bench) - all_us;
}

static int dearer(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;
	double left = x->us * y->count, right = y->us * x->count;

	return left < right ? -1 : left > right;
}

/* The median of the renewals, each taken to cost what its turn's cost on average: a turn in which
 * few phones were due weighs little. Sorts the turns. */
static struct spread spread_of(struct renewed *r, bool awake, const char *figure)
{
	struct turn *turns = r->turns[awake];
	struct spread s = {0};
	size_t count = 0;
	double us = 0, half = 0;

	for (size_t i = 0; i < r->count[awake]; i++) {
		s.renewals += turns[i].count;
		us += turns[i].us;
		if (turns[i].count > 0)
			turns[count++] = turns[i];
	}
	r->count[awake] = count;
	if (count == 0)
		bench_die("%s: there was no renewal", figure);
	qsort(turns, count, sizeof(*turns), dearer);
	for (size_t i = 0; i < count && half < s.renewals / 2; i++) {
		half += turns[i].count;
		s.median_us = turns[i].us / turns[i].count;
	}
	s.least_us = turns[0].us / turns[0].count;
	s.most_us = turns[count - 1].us / turns[count - 1].count;
	s.mean_us = us / s.renewals;
	return s;
}

/* For renew_s seconds awake and for as many asleep, in turns: what the machine does to one it does
 * to the other, and what it does to one turn is not the figure. Altogether they are as long as the
 * phones' own rhythm at least, so each phone is in them. */
static void renew(const struct park *k, struct crowd *c, struct fleet *fleet, spent_fn spent,
	const void *owner, struct renewed *ret)
{
	double all_s = MAX((double)k->renew_s, c->options.heartbeat_s + 1.0);
	unsigned turns = (unsigned)MIN(all_s / TURN_S, (double)RENEW_TURNS);

	*ret = (struct renewed){0};
	for (unsigned i = 0; i < 2 * turns; i++)
		renew_once(c, fleet, spent, owner, all_s / turns, (i + 1) / 2 % 2 == 1, ret);
}

/* Phones that came in a crowd would be due in a crowd; these are due all the time, as a million
 * are. (Those of the bare server begin one by one.) */
static void spread_out(struct crowd *c, struct fleet *fleet)
{
	struct fleet_command how = {.on_news = FLEET_STAY_OUT,
		.order = FLEET_CLOSE,
		.spread_ms = c->options.heartbeat_s * 1000};

	fleet_give(fleet, &how);
	how.order = FLEET_RETURN;
	fleet_give(fleet, &how);
	crowd_pause(c, fleet, c->options.heartbeat_s, "coming back one by one");
}

/* The same renewals by a server that only receives and sends: what this machine takes for them. */
static void bare_renewal(const struct park *k, struct crowd *c, double front_us)
{
	unsigned heartbeat_s = c->options.heartbeat_s;
	struct fleet_command how = {.on_news = FLEET_STAY_OUT,
		.order = FLEET_START,
		.count = k->small,
		.rate = k->small / heartbeat_s};
	struct bare *server = bare_start(FRONTS, heartbeat_s);
	struct fleet *fleet = crowd_fleet_at(c, bare_port(server));
	struct spread asleep, awake;
	struct renewed bare;
	char conditions[240];

	fleet_give(fleet, &how);
	crowd_pause(c, fleet, 2 * heartbeat_s + 3, "warming the bare server");
	renew(k, c, fleet, spent_by_bare, server, &bare);
	asleep = spread_of(&bare, false, "renewal_bare_cpu");
	awake = spread_of(&bare, true, "renewal_bare_cpu");
	(void)snprintf(conditions, sizeof(conditions),
		"the same phones, renewed by a server that only calls recv and send; median of %zu "
		"turns (%.1f to %.1f, mean %.1f); with a fleet that polls %.1f (%.1f to %.1f)",
		bare.count[0], asleep.least_us, asleep.most_us, asleep.mean_us, awake.median_us,
		awake.least_us, awake.most_us);
	bench_figure(c->bench, "renewal_bare_cpu", asleep.median_us, "us", NULL, conditions);
	bench_figure(c->bench, "renewal_over_bare", front_us / asleep.median_us, "", NULL,
		"renewal_plain_cpu for each microsecond of that, both of this run");
	fleet_close(&fleet);
	bare_stop(&server);
}

struct renewal {
	const char *figure, *awake, *aim;
	bool tls, held;
};

/* Returns the front's microseconds for a fleet that sleeps. */
static double show_renewal(
	const struct park *k, struct crowd *c, const struct renewal *what, struct renewed *sum)
{
	struct spread asleep = spread_of(sum, false, what->figure);
	struct spread awake = spread_of(sum, true, what->awake);
	char conditions[400];

	if (MIN(asleep.renewals, awake.renewals) < k->small / 2)
		bench_die("%s: only %.0f and %.0f renewals", what->figure, asleep.renewals,
			awake.renewals);
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones, heartbeat %u s, %s, %s: %.0f renewals; CPU of the fronts, the median "
		"of %zu turns (%.1f to %.1f, mean %.1f); mean with the engine's %.1f; the fleet "
		"sleeps until something comes",
		k->small, c->options.heartbeat_s, what->held ? "held Sync" : "Ping",
		what->tls ? "TLS 1.3, AES-256-GCM" : "plain HTTP", asleep.renewals, sum->count[0],
		asleep.least_us, asleep.most_us, asleep.mean_us, sum->all_us / asleep.renewals);
	bench_figure(c->bench, what->figure, asleep.median_us, "us", what->aim, conditions);
	(void)snprintf(conditions, sizeof(conditions),
		"the same phones, in turns with that: %.0f renewals, the median of %zu turns (%.1f "
		"to %.1f, mean %.1f); the fleet polls and is never woken",
		awake.renewals, sum->count[1], awake.least_us, awake.most_us, awake.mean_us);
	bench_figure(c->bench, what->awake, awake.median_us, "us", NULL, conditions);
	return asleep.median_us;
}

static void renewal(const struct park *k, const struct renewal *what)
{
	struct crowd_options options = {.phones = k->small,
		.folders = k->folders,
		.heartbeat_s = MAX(k->small / RENEW_RATE, 1u),
		.held_sync = what->held};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	struct renewed sum;
	struct fleet *fleet;
	struct bench b;
	static struct crowd c;
	double us;

	begin(k, &b, &c, &options);
	fleet = crowd_fleet(&c, what->tls, false);
	/* All are in, and have renewed once: nothing but renewals is measured. */
	(void)crowd_fill(&c, fleet, &how, 0, k->small, 0, CROWD_CHUNK);
	spread_out(&c, fleet);
	(void)crowd_wait_parked(&c, fleet, k->small, "coming back one by one");
	crowd_pause(&c, fleet, options.heartbeat_s + 1, "warming");
	renew(k, &c, fleet, spent_by_fronts, &c, &sum);
	us = show_renewal(k, &c, what, &sum);
	fleet_close(&fleet);
	if (!what->tls && !what->held)
		bare_renewal(k, &c, us);
	bench_finish(&b);
}

/* All close, the server gets quiet, all come back on new connections. */
static void repings(const struct park *k, const char *figure, const char *aim, bool tls, bool held)
{
	struct crowd_options options = {
		.phones = k->small, .folders = k->folders, .heartbeat_s = 3540, .held_sync = held};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	static struct tally before, after;
	double open_us, close_us;
	char conditions[300];
	struct fleet *fleet;
	struct bench b;
	static struct crowd c;

	begin(k, &b, &c, &options);
	fleet = crowd_fleet(&c, tls, false);
	(void)crowd_fill(&c, fleet, &how, 0, k->small, 0, CROWD_CHUNK);
	fleet_read(fleet, &before);
	close_us = bench_server_cpu_us(&b);
	how.order = FLEET_CLOSE;
	fleet_give(fleet, &how);
	while (bench_counter(&b, "parked") > 0)
		crowd_pause(&c, fleet, 0.2, "closing");
	open_us = bench_server_cpu_us(&b);
	close_us = open_us - close_us;
	how.order = FLEET_RETURN;
	how.spread_ms = SPREAD_MS;
	fleet_give(fleet, &how);
	crowd_pause(&c, fleet, SPREAD_MS / 1000.0 + 1, "coming back");
	(void)crowd_wait_parked(&c, fleet, k->small, "coming back");
	open_us = bench_server_cpu_us(&b) - open_us;
	fleet_read(fleet, &after);
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones with %u folders come back within %u ms, %s, each on a new connection%s; "
		"CPU of "
		"all processes from accept to parked; closing the old one: %.1f; %llu sessions "
		"resumed",
		k->small, k->folders, SPREAD_MS, held ? "held Sync" : "Ping",
		tls ? " (TLS 1.3)" : "", close_us / k->small,
		(unsigned long long)(after.resumed - before.resumed));
	bench_figure(&b, figure, open_us / k->small, "us", aim, conditions);
	crowd_check(&c, fleet, figure);
	fleet_close(&fleet);
	bench_finish(&b);
}

/* Phones that the server meets for the first time, of users whose password it knows. */
static void rate(const struct park *k)
{
	unsigned users = MAX(k->small / 20, 1u);
	struct crowd_options options = {.phones = k->small + users,
		.users = users,
		.folders = k->folders,
		.heartbeat_s = 3540};
	struct fleet_command how = {.on_news = FLEET_STAY_OUT};
	double cpu_us, took_s;
	char conditions[200];
	struct fleet *fleet;
	struct bench b;
	static struct crowd c;

	begin(k, &b, &c, &options);
	fleet = crowd_fleet(&c, true, false);
	(void)crowd_fill(&c, fleet, &how, 0, users, 0, CROWD_CHUNK);
	cpu_us = bench_server_cpu_us(&b);
	took_s = crowd_fill(&c, fleet, &how, users, k->small, users, CROWD_CHUNK);
	cpu_us = bench_server_cpu_us(&b) - cpu_us;
	(void)snprintf(conditions, sizeof(conditions),
		"%u phones with %u folders, full handshakes (TLS 1.3, P-256), password cached, "
		"from connect "
		"to parked: %.0f us of the server's CPU each; with the fleet on the same cores "
		"%.0f/s",
		k->small, k->folders, cpu_us / k->small, k->small / took_s);
	bench_figure(&b, "new_tls_rate", k->small * 1e6 / cpu_us, "phones/s and core", "over 2000",
		conditions);
	fleet_close(&fleet);
	bench_finish(&b);
}

/* --only names a part, or one figure of it. */
static bool wants(const struct park *k, const char *part, const char *figure)
{
	const char *only = bench_only(k->argc, k->argv);

	return only == NULL || strcmp(only, part) == 0 || strcmp(only, figure) == 0;
}

static void all_renewals(const struct park *k)
{
	static const struct renewal all[] = {
		{"renewal_plain_cpu", "renewal_plain_awake", "under 8", false, false},
		{"renewal_tls_cpu", "renewal_tls_awake", "under 12", true, false},
		{"renewal_held_cpu", "renewal_held_awake", NULL, false, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (wants(k, "renewal", all[i].figure))
			renewal(k, &all[i]);
	}
}

static void all_repings(const struct park *k)
{
	static const char part[] = "repings";

	if (wants(k, part, "repings_new_conn_cpu"))
		repings(k, "repings_new_conn_cpu", "under 60", false, false);
	if (wants(k, part, "repings_new_tls_cpu"))
		repings(k, "repings_new_tls_cpu", "under 450", true, false);
	if (wants(k, part, "resyncs_new_conn_cpu"))
		repings(k, "resyncs_new_conn_cpu", NULL, false, true);
}

static const struct bench_option all_options[] = {
	{"--phones", 10, CROWD_PHONES_MAX, "phones of plain and held (20000; held alone: all)"},
	{"--tls-phones", 10, CROWD_PHONES_MAX, "phones of tls (as --phones)"},
	{"--users", 1, CROWD_PHONES_MAX, "whose they are (a twentieth of them)"},
	{"--folders", 1, CROWD_FOLDERS_MAX, "that each watches (20)"},
	{"--heartbeat-s", 1, 3540, "of plain, tls, held (60; 900 from 100000 phones on)"},
	{"--idle-s", 0, 86400, "measure idle_cpu for so long (the heartbeat, 60 at most)"},
	{"--churn-s", 0, 86400, "phones come and go for so long (20)"},
	{"--churn-pause-s", 0, 3600, "between two parts of them (0)"},
	{"--small", 20, 100000, "phones of renewal, repings, rate (4000)"},
	{"--renew-s", 1, 3600, "measure renewals for so long, asleep and awake each (10)"},
};
static const char *const part_names[] = {"plain", "tls", "held", "renewal", "repings", "rate",
	"plain_bytes", "tls_bytes", "held_bytes", "renewal_plain_cpu", "renewal_tls_cpu",
	"renewal_held_cpu", "repings_new_conn_cpu", "repings_new_tls_cpu", "resyncs_new_conn_cpu",
	"new_tls_rate", NULL};
static const struct bench_usage usage = {.name = "park",
	.what = "what waiting costs: memory, CPU, renewals, new connections.",
	.parts = part_names,
	.options = all_options,
	.count = ARRAY_LEN(all_options)};

int main(int argc, char **argv)
{
	static const struct names plain = {"plain_parked", "plain_bytes_fresh", "plain_bytes",
		"plain_kernel_bytes", "1000000 in the long form", "640"};
	static const struct names tls = {"tls_parked", "tls_bytes_fresh", "tls_bytes",
		"tls_kernel_bytes", "300000 in the long form", "720"};
	static const struct names held = {
		"held_parked", "held_bytes_fresh", "held_bytes", "held_kernel_bytes", NULL, NULL};
	struct park k = {argc, argv};

	bench_options(argc, argv, &usage);
	k.phones = (unsigned)bench_number(argc, argv, "--phones", PHONES);
	k.tls_phones = (unsigned)bench_number(argc, argv, "--tls-phones", k.phones);
	k.users = (unsigned)bench_number(argc, argv, "--users", 0);
	k.folders = (unsigned)bench_number(argc, argv, "--folders", FOLDERS);
	k.heartbeat_s =
		(unsigned)bench_number(argc, argv, "--heartbeat-s", k.phones >= MANY ? 900 : 60);
	k.idle_s = (unsigned)bench_number(argc, argv, "--idle-s", MIN(k.heartbeat_s, 60u));
	k.churn_s = (unsigned)bench_number(argc, argv, "--churn-s", CHURN_S);
	k.churn_pause_s = (unsigned)bench_number(argc, argv, "--churn-pause-s", 0);
	k.small = (unsigned)bench_number(argc, argv, "--small", SMALL);
	k.renew_s = (unsigned)bench_number(argc, argv, "--renew-s", RENEW_S);
	if (wants(&k, "plain", "plain_bytes"))
		park_many(&k, &plain, k.phones, false, false);
	if (wants(&k, "tls", "tls_bytes"))
		park_many(&k, &tls, k.tls_phones, true, false);
	if (wants(&k, "held", "held_bytes"))
		park_many(&k, &held,
			bench_only(argc, argv) != NULL ? k.phones : MIN(k.phones, PHONES), false,
			true);
	all_renewals(&k);
	all_repings(&k);
	if (wants(&k, "rate", "new_tls_rate"))
		rate(&k);
	return 0;
}
