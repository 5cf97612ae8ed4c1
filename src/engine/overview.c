/*
 * The overview: the series as the pages draw them, numbers of now, and what should be looked at,
 * each with its remedy in plain words. Any thread but the loop's; owns nothing.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/metrics.h"

#define HOUR_S             3600
#define DAY_S              86400
#define CERTIFICATE_WARN_S (14 * DAY_S)
#define DISK_WARN_PERCENT  10
#define QUEUE_WARN_S       HOUR_S
#define CUT_PHONES_MIN     3     /* fewer may be chance */
#define CUT_PART_MIN       4     /* one in so many of what ended early */
#define CUTS_MAX           65536 /* looked at */
#define REMEDY_HEARTBEAT   "30 minutes"

/* ---- the series ---- */

static void append(json_t *object, const char *key, json_t *value)
{
	json_t *list = json_object_get(object, key);

	if (list == NULL)
		(void)json_object_set_new(object, key, list = json_array());
	(void)json_array_append_new(list, value);
}

/* To a hundredth: what is drawn needs no more. */
static json_t *rounded(double value)
{
	return json_real((double)(int64_t)(value * 100 + 0.5) / 100);
}

static json_t *points_to_json(const struct series_point *points, size_t count, unsigned step_s)
{
	static const char *const keys[] = {"at", "parked", "connections", "heartbeat_s",
		"pushes_per_min", "syncs_per_min", "requests_per_min", "errors_per_min",
		"push_p50_ms", "push_p99_ms"};
	json_t *object = json_object();

	(void)json_object_set_new(object, "step_s", json_integer(step_s));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		(void)json_object_set_new(object, keys[i], json_array());
	for (size_t i = 0; i < count; i++) {
		const struct series_point *p = &points[i];

		append(object, "at", json_integer(p->at));
		append(object, "parked", json_integer(p->parked));
		append(object, "connections", json_integer(p->connections));
		append(object, "heartbeat_s", json_integer(p->heartbeat_s));
		append(object, "pushes_per_min", rounded((double)p->pushes));
		append(object, "syncs_per_min", rounded((double)p->syncs));
		append(object, "requests_per_min", rounded((double)p->requests));
		append(object, "errors_per_min", rounded((double)p->errors));
		append(object, "push_p50_ms", rounded(p->push_p50_us / 1000.0));
		append(object, "push_p99_ms", rounded(p->push_p99_us / 1000.0));
	}
	return object;
}

/* ---- warnings ---- */

static void warn(json_t *list, const char *code, const char *severity, const char *remedy,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

static void warn(json_t *list, const char *code, const char *severity, const char *remedy,
	const char *fmt, ...)
{
	json_t *row = json_object();
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_object_set_new(row, "code", json_string(code));
	(void)json_object_set_new(row, "severity", json_string(severity));
	(void)json_object_set_new(row, "text", json_string(text));
	(void)json_object_set_new(row, "remedy", json_string(remedy));
	(void)json_array_append_new(list, row);
}

/* "1 phone is", "2 phones are": the number and what follows it. */
#define MANY(n, one, many) (uint64_t)(n), (n) == 1 ? (one) : (many)

/* Those that may have one cause stand together. */
static unsigned side_of(const struct wait *w)
{
	return w->proxy * 2u + (w->end == WAIT_CUT);
}

static int compare_cuts(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;

	if (side_of(x) != side_of(y))
		return side_of(x) < side_of(y) ? -1 : 1;
	return x->lasted_s < y->lasted_s ? -1 : x->lasted_s > y->lasted_s;
}

static int compare_devices(const void *a, const void *b)
{
	uint64_t x = ((const struct wait *)a)->device, y = ((const struct wait *)b)->device;

	return x < y ? -1 : x > y;
}

static size_t count_phones(struct wait *waits, size_t count)
{
	size_t phones = 0;

	qsort(waits, count, sizeof(*waits), compare_devices);
	for (size_t i = 0; i < count; i++)
		phones += i == 0 || waits[i].device != waits[i - 1].device;
	return phones;
}

/* proxy: the address of the one that all of them came through; "": of none. */
static void warn_cuts(json_t *list, const char *proxy, size_t phones, unsigned seconds)
{
	char remedy[400];

	if (proxy[0] != '\0')
		(void)snprintf(remedy, sizeof(remedy),
			"raise the idle time-out of the proxy at %s to " REMEDY_HEARTBEAT
			" (docs/PROXIES.md)",
			proxy);
	else
		(void)snprintf(remedy, sizeof(remedy),
			"let whatever stands between the phones and this server, a firewall, NAT "
			"or proxy, keep silent connections for " REMEDY_HEARTBEAT
			" (docs/PROXIES.md)");
	warn(list, "connections_cut", "warning", remedy, "%" PRIu64 " %s after %u s",
		MANY(phones, "phone loses its connection", "phones lose their connection"),
		seconds);
}

/* Of waits of one side, by length: a part of them that is more than chance. */
static void look_at_side(json_t *list, struct telemetry *t, const struct settings *s,
	struct wait *cuts, size_t count)
{
	for (size_t i = 0, end; i < count; i = end) {
		unsigned from_s = cuts[i].lasted_s, seconds;
		size_t phones;

		for (end = i; end < count && cuts[end].lasted_s <= from_s + MAX(from_s / 20, 2);)
			end++;
		seconds = cuts[i + (end - i) / 2].lasted_s;
		if (seconds < s->push_path_min_s / 2 || (end - i) * CUT_PART_MIN < count)
			continue;
		phones = count_phones(&cuts[i], end - i);
		if (phones >= CUT_PHONES_MIN)
			warn_cuts(list, waits_proxy_address(t->waits, cuts[i].proxy), phones,
				seconds);
	}
}

/* Many phones whose silence ended at the same moment of it: not by their own will. */
static void look_at_cuts(json_t *list, struct telemetry *t, const struct settings *s)
{
	struct wait *cuts = x_calloc(CUTS_MAX, sizeof(*cuts));
	size_t count =
		waits_read_ended(t->waits, (uint32_t)(clock_now_at() - DAY_S), cuts, CUTS_MAX);

	qsort(cuts, count, sizeof(*cuts), compare_cuts);
	for (size_t i = 0, end; i < count; i = end) {
		unsigned side = side_of(&cuts[i]);

		for (end = i; end < count && side_of(&cuts[end]) == side;)
			end++;
		look_at_side(list, t, s, &cuts[i], end - i);
	}
	mem_free(cuts);
}

static int compare_histories(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->ended_at < y->ended_at ? -1 : x->ended_at > y->ended_at;
}

/* Did the phone learn that it may not wait longer? It would have, after a wait that held, or it
 * waits less after one that did not. */
static bool is_settled(const struct wait *before, const struct wait *after)
{
	if (before->device != after->device || before->ended_at == after->ended_at)
		return false;
	return (before->end == WAIT_EXPIRED && after->asked_s <= before->asked_s) ||
	       (before->end != WAIT_WOKEN && after->asked_s < before->asked_s);
}

/* Of the phones whose waits were short: as many as are more than chance do not make them longer. A
 * phone that is new here begins with short ones and is still finding out. */
static bool are_settled(struct telemetry *t, const struct settings *s)
{
	struct wait *waits = x_calloc(CUTS_MAX, sizeof(*waits));
	size_t phones = 0, settled = 0,
	       count = waits_read_short(t->waits, (uint32_t)(clock_now_at() - DAY_S),
		       (uint32_t)s->push_short_threshold_s, waits, CUTS_MAX);

	qsort(waits, count, sizeof(*waits), compare_histories);
	for (size_t i = 0, end; i < count; i = end) {
		bool one = false;

		for (end = i + 1; end < count && waits[end].device == waits[i].device; end++)
			one = one || is_settled(&waits[end - 1], &waits[end]);
		phones++;
		settled += one;
	}
	mem_free(waits);
	return settled > 0 && settled * CUT_PART_MIN >= phones;
}

static uint64_t front_value(struct engine *e, const char *name)
{
	struct stats_counter fronts[IPC_STATS_MAX];
	size_t count = stats_known(e->stats, fronts, ARRAY_LEN(fronts));

	for (size_t i = 0; i < count; i++) {
		if (str_eq(fronts[i].name, name))
			return fronts[i].value;
	}
	return 0;
}

static void look_at_heartbeats(json_t *list, struct engine *e, const struct settings *s)
{
	if (front_value(e, "all_heartbeats_short") == 0)
		return;
	if (are_settled(e->telemetry, s))
		warn(list, "heartbeats_short", "warning",
			"let firewall, NAT, load balancer and proxy keep idle TCP connections for "
			"an hour (docs/PROXIES.md)",
			"phones wait only %" PRIu64
			" s on average, which empties their batteries: something on the way cuts "
			"idle connections",
			front_value(e, "all_heartbeat_average_s"));
	else
		warn(list, "heartbeats_short", "info",
			"look again in some hours: when it is still so, something on the way cuts "
			"idle connections (docs/PROXIES.md)",
			"phones wait only %" PRIu64
			" s on average: they are new here, and find out how long they can",
			front_value(e, "all_heartbeat_average_s"));
}

/* Who was turned away in the last hour, and since when; no longer than an hour after it ended. */
static void look_at_turned_away(json_t *list, const struct series_point *points, size_t count)
{
	static const struct {
		enum series_turned_away why;
		const char *code, *severity, *remedy, *one, *many;
	} rows[] = {
		{SERIES_FULL, "connections_full", "problem",
			"raise server.max_connections; bellhop doctor says what this system allows",
			"connection was refused because too many were there",
			"connections were refused because too many were there"},
		{SERIES_ADDRESS, "address_full", "warning",
			"when they were phones behind one address, put it into "
			"http.address_exceptions",
			"connection was refused by http.connections_per_address",
			"connections were refused by http.connections_per_address"},
		{SERIES_BUSY, "workers_full", "warning",
			"look at request durations and the disk; raise server.workers",
			"request was told to come later, because all workers were busy",
			"requests were told to come later, because all workers were busy"},
	};
	int64_t now_at = clock_now_at();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct series_recent recent;
		int64_t first_min, last_min;

		series_recent(points, count, now_at, HOUR_S, rows[i].why, &recent);
		if (recent.count == 0)
			continue;
		first_min = (now_at - recent.first_at) / 60 + 1;
		last_min = MAX(now_at - recent.last_at, 0) / 60;
		if (last_min == 0)
			warn(list, rows[i].code, rows[i].severity, rows[i].remedy,
				"%" PRIu64 " %s, in the last %" PRIu64 " %s; the last just now",
				MANY(recent.count, rows[i].one, rows[i].many),
				MANY(first_min, "minute", "minutes"));
		else
			warn(list, rows[i].code, rows[i].severity, rows[i].remedy,
				"%" PRIu64 " %s, in the last %" PRIu64 " %s; the last %" PRIu64
				" %s ago",
				MANY(recent.count, rows[i].one, rows[i].many),
				MANY(first_min, "minute", "minutes"),
				MANY(last_min, "minute", "minutes"));
	}
}

static void look_at_certificate(json_t *list, const struct metrics_slow *slow)
{
	int64_t left_s = slow->certificate_until_at - clock_now_at();

	if (slow->certificate_known && left_s < 0)
		warn(list, "certificate_expired", "problem",
			"install a new one, then: bellhop reload",
			"the certificate has expired: phones refuse to connect");
	else if (slow->certificate_known && left_s < CERTIFICATE_WARN_S)
		warn(list, "certificate_expires", "warning",
			"install a new one, then: bellhop reload",
			"the certificate expires in %" PRIu64 " %s",
			MANY(left_s / DAY_S, "day", "days"));
	if (slow->certificate_known && slow->certificate_self_signed)
		warn(list, "certificate_self_signed", "warning",
			"set tls.certificate and tls.key to one that phones trust",
			"the certificate is self-signed: phones warn, or refuse");
}

static void look_at_stock(json_t *list, const struct metrics_slow *slow)
{
	int64_t oldest_at = (int64_t)slow->counts.queue_oldest_at;
	uint64_t waiting = slow->counts.wipes[WIPE_ORDERED] + slow->counts.wipes[WIPE_SENT];

	if (slow->disk_known && slow->disk_free_bytes < slow->disk_bytes / 100 * DISK_WARN_PERCENT)
		warn(list, "disk_full", "problem",
			"make room, or lower quotas; without room mail is refused",
			"only %" PRIu64 " MB of %" PRIu64 " MB are free in server.data_dir",
			slow->disk_free_bytes >> 20, slow->disk_bytes >> 20);
	if (slow->counted && oldest_at != 0 && clock_now_at() - oldest_at > QUEUE_WARN_S)
		warn(list, "queue_stuck", "warning", "bellhop queue list shows what the relay says",
			"%" PRIu64 " %s for the relay, the oldest for %" PRId64 " minutes",
			MANY(slow->queue_mails, "message waits", "messages wait"),
			(clock_now_at() - oldest_at) / 60);
	if (slow->counted && slow->queue_held > 0)
		warn(list, "queue_held", "warning",
			"look with bellhop queue list, then bellhop queue retry or queue drop",
			"%" PRIu64 " %s held since a restore",
			MANY(slow->queue_held, "recipient is", "recipients are"));
	if (slow->counted && waiting > 0)
		warn(list, "wipe_waits", "warning",
			"bellhop device wipes shows them, and device show whether the phone can "
			"hear of it",
			"%" PRIu64 " %s",
			MANY(waiting, "phone is to be erased and has not said that it is",
				"phones are to be erased and have not said that they are"));
	if (slow->counted && slow->counts.wipes[WIPE_FAILED] > 0)
		warn(list, "wipe_failed", "problem",
			"look at the devices; what lies on them is not erased",
			"%" PRIu64 " %s could not do the wipe",
			MANY(slow->counts.wipes[WIPE_FAILED], "phone", "phones"));
	if (slow->counted && slow->counts.quarantined > 0)
		warn(list, "quarantine", "warning",
			"look with bellhop device list --state quarantine, then bellhop device "
			"allow or device block",
			"%" PRIu64 " %s for your decision",
			MANY(slow->counts.quarantined, "phone is in quarantine and waits",
				"phones are in quarantine and wait"));
	if (slow->program_replaced)
		warn(list, "upgrade_due", "warning", "bellhop upgrade",
			"another version is installed than the one that runs");
}

/* Of the last hour. */
static void look_at_logins(json_t *list, const struct series_point *points, size_t count)
{
	double throttled = 0;

	for (size_t i = 0; i < count; i++)
		throttled += (double)points[i].logins_throttled * SERIES_STEP_S / 60;
	if (throttled >= 1)
		warn(list, "logins_throttled", "warning",
			"bellhop log list shows whose logins fail; packaging/fail2ban keeps "
			"strangers out",
			"%.0f requests of the last hour were refused because too many logins had "
			"failed before",
			throttled);
}

/* ---- the whole ---- */

static json_t *now_to_json(struct metrics *m, const struct metrics_slow *slow)
{
	struct series_counts counts;
	json_t *now = json_object();
	uint64_t wipes = slow->counts.wipes[WIPE_ORDERED] + slow->counts.wipes[WIPE_SENT] +
			 slow->counts.wipes[WIPE_FAILED]; /* it is told again */

	metrics_counts(m, &counts);
	(void)json_object_set_new(now, "at", json_integer(clock_now_at()));
	(void)json_object_set_new(now, "started_at", json_integer(metrics_started_at(m)));
	(void)json_object_set_new(now, "version", json_string(BELLHOP_VERSION));
	(void)json_object_set_new(now, "parked", json_integer((json_int_t)counts.parked));
	(void)json_object_set_new(now, "connections", json_integer((json_int_t)counts.connections));
	(void)json_object_set_new(now, "heartbeat_s", json_integer((json_int_t)counts.heartbeat_s));
	(void)json_object_set_new(
		now, "queue_messages", json_integer((json_int_t)slow->queue_mails));
	(void)json_object_set_new(now, "users", json_integer((json_int_t)slow->counts.users));
	(void)json_object_set_new(now, "wipes_pending", json_integer((json_int_t)wipes));
	return now;
}

int overview_fill(struct metrics *m, struct engine *engine, json_t *result, struct err *err)
{
	struct series_point *points = x_calloc(SERIES_LONG, sizeof(*points));
	json_t *series = json_object(), *warnings = json_array();
	const struct settings *settings = metrics_settings(m);
	struct metrics_slow slow;
	size_t count;

	(void)err;
	metrics_slow_read(m, &slow);
	count = series_read_long(engine->telemetry->series, points);
	(void)json_object_set_new(
		series, "day", points_to_json(points, count, SERIES_STEP_S * SERIES_PER_LONG));
	count = series_read_fine(engine->telemetry->series, points);
	(void)json_object_set_new(series, "hour", points_to_json(points, count, SERIES_STEP_S));
	look_at_cuts(warnings, engine->telemetry, settings);
	look_at_heartbeats(warnings, engine, settings);
	look_at_turned_away(warnings, points, count);
	look_at_certificate(warnings, &slow);
	look_at_stock(warnings, &slow);
	look_at_logins(warnings, points, count);
	(void)json_object_set_new(result, "now", now_to_json(m, &slow));
	(void)json_object_set_new(result, "series", series);
	(void)json_object_set_new(result, "warnings", warnings);
	settings_unref(&settings);
	mem_free(points);
	return 0;
}
