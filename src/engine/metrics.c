/*
 * The metrics: families of the fronts' counters, of the engine's (telemetry/), of the store, the
 * queue and what is around them. Every name is made here, from tables of a fixed size: labels are
 * commands, versions, classes, Status and HTTP codes, never a user or a phone.
 *
 * Threads: the loop samples for the series; any other thread renders. The lock guards the settings,
 * the LMTP server and what is remembered, and is not held while anything slow is read.
 */
#include "engine/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/remember.h"
#include "ingest/lmtp.h"
#include "net/certificate.h"
#include "store/store_queue.h"
#include "submit/queue.h"
#include "telemetry/prometheus.h"

#define SLOW_EVERY_MS 60000

struct metrics {
	struct metrics_sources from;
	struct loop_timer sample;
	bool begun; /* the loop's: the series has its first counts */
	int64_t started_at;
	pthread_mutex_t lock; /* all below */
	const struct settings *settings;
	struct metrics_slow slow;
	int64_t slow_until_ms;
};

/* ---- what the fronts say ---- */

static uint64_t value_of(const struct stats_counter *counters, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(counters[i].name, name))
			return counters[i].value;
	}
	return 0;
}

static void read_push(
	const struct stats_counter *counters, size_t count, struct histogram_view *ret)
{
	char name[32];

	*ret = (struct histogram_view){.sum_us = value_of(counters, count, "push_us")};
	for (unsigned i = 0; i < HISTOGRAM_RANGES; i++) {
		(void)snprintf(name, sizeof(name), "push_range_%u", i);
		ret->counts[i] = value_of(counters, count, name);
		ret->count += ret->counts[i];
	}
}

/* ---- the series ---- */

void metrics_counts(struct metrics *m, struct series_counts *ret)
{
	const struct telemetry *t = m->from.engine->telemetry;
	struct stats_counter fronts[IPC_STATS_MAX];
	size_t count = stats_known(m->from.engine->stats, fronts, ARRAY_LEN(fronts));

	*ret = (struct series_counts){.parked = value_of(fronts, count, "parked"),
		.connections = value_of(fronts, count, "connections"),
		.heartbeat_s = value_of(fronts, count, "all_heartbeat_average_s"),
		.syncs = telemetry_requests_of(t, EAS_CMD_Sync),
		.requests = telemetry_requests(t),
		.errors = telemetry_value(&t->errors) + value_of(fronts, count, "requests_503"),
		.logins_refused = telemetry_value(&t->logins[AUTH_WRONG]),
		.logins_throttled = telemetry_value(&t->logins[AUTH_THROTTLED]),
		.turned_away = {[SERIES_FULL] = value_of(fronts, count, "refused_all"),
			[SERIES_ADDRESS] = value_of(fronts, count, "refused_address"),
			[SERIES_BUSY] = atomic_load(&m->from.engine->refused_busy)}};
	read_push(fronts, count, &ret->push);
	ret->pushes = ret->push.count;
}

static void on_sample(void *owner)
{
	struct metrics *m = owner;
	struct series_counts counts;

	/* Fronts outlive an engine, so do their counts: what they told this one first is where it
	 * begins, and nothing that happened since. */
	m->begun = m->begun || stats_told_by_all(m->from.engine->stats);
	if (m->begun) {
		metrics_counts(m, &counts);
		series_add(m->from.engine->telemetry->series, clock_now_at(), &counts);
	}
	loop_timer_set(&m->sample, clock_now_ms() + (int64_t)SERIES_STEP_S * 1000);
}

/* ---- life ---- */

struct metrics *metrics_new(const struct metrics_sources *sources, const struct settings *settings)
{
	struct metrics *m = x_new(struct metrics);

	m->from = *sources;
	m->started_at = clock_now_at();
	m->settings = settings_ref(settings);
	(void)pthread_mutex_init(&m->lock, NULL);
	loop_timer_init(&m->sample, m->from.engine->loop, "metrics_sample", on_sample, m);
	on_sample(m);
	return m;
}

void metrics_free(struct metrics **metrics)
{
	struct metrics *m = *metrics;

	if (m == NULL)
		return;
	loop_timer_clear(&m->sample);
	settings_unref(&m->settings);
	(void)pthread_mutex_destroy(&m->lock);
	mem_free(m);
	*metrics = NULL;
}

void metrics_detach(struct metrics *m)
{
	(void)pthread_mutex_lock(&m->lock);
	m->from.lmtp = NULL;
	(void)pthread_mutex_unlock(&m->lock);
}

static uint64_t lmtp_connections(struct metrics *m)
{
	uint64_t count = 0;

	(void)pthread_mutex_lock(&m->lock);
	if (m->from.lmtp != NULL)
		count = lmtp_server_connections(m->from.lmtp);
	(void)pthread_mutex_unlock(&m->lock);
	return count;
}

void metrics_set_settings(struct metrics *m, const struct settings *settings)
{
	const struct settings *old;

	(void)pthread_mutex_lock(&m->lock);
	old = m->settings;
	m->settings = settings_ref(settings);
	m->slow_until_ms = 0;
	(void)pthread_mutex_unlock(&m->lock);
	settings_unref(&old);
}

const struct settings *metrics_settings(struct metrics *m)
{
	const struct settings *settings;

	(void)pthread_mutex_lock(&m->lock);
	settings = settings_ref(m->settings);
	(void)pthread_mutex_unlock(&m->lock);
	return settings;
}

int64_t metrics_started_at(const struct metrics *m)
{
	return m->started_at;
}

/* ---- what costs to count ---- */

static void read_tables(struct store *store, struct metrics_slow *slow)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct queue_counts queue;
	struct err err = ERR_INIT;

	if (store_read_begin(store, &rd, &err) < 0 ||
		store_counts_read(rd, &slow->counts, &err) < 0 ||
		store_queue_count(rd, &queue, &err) < 0) {
		log_warn(NULL, "metrics_incomplete", F_ERR(&err));
		return;
	}
	slow->queue_mails = queue.mails;
	slow->queue_recipients = queue.recipients;
	slow->queue_held = queue.held;
	slow->queue_bytes = queue.bytes;
	slow->counted = true;
}

static void read_around(const struct settings *s, struct metrics_slow *slow)
{
	struct certificate *certificate = NULL;
	struct err ignored = ERR_INIT;
	struct statvfs disk;
	char program[512];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (statvfs(s->server_data_dir, &disk) == 0) {
		slow->disk_known = true;
		slow->disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
		slow->disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	}
	if (s->tls_certificate[0] != '\0' &&
		certificate_load(s->tls_certificate, &certificate, &ignored) == 0) {
		slow->certificate_known = true;
		slow->certificate_until_at = certificate_not_after_at(certificate);
		slow->certificate_self_signed = certificate_is_self_signed(certificate);
		certificate_free(&certificate);
	}
	program[n > 0 ? n : 0] = '\0';
	slow->program_replaced = str_ends(program, " (deleted)");
}

void metrics_slow_read(struct metrics *m, struct metrics_slow *ret)
{
	struct metrics_slow slow = {.counted = false};
	const struct settings *settings;
	bool fresh;

	(void)pthread_mutex_lock(&m->lock);
	fresh = clock_now_ms() < m->slow_until_ms;
	*ret = m->slow;
	(void)pthread_mutex_unlock(&m->lock);
	if (fresh)
		return;
	settings = metrics_settings(m);
	read_tables(m->from.store, &slow);
	read_around(settings, &slow);
	settings_unref(&settings);
	(void)pthread_mutex_lock(&m->lock);
	m->slow = slow;
	m->slow_until_ms = clock_now_ms() + SLOW_EVERY_MS;
	(void)pthread_mutex_unlock(&m->lock);
	*ret = slow;
}

/* ---- rendering ---- */

/* Shown as histograms, or under another name. */
static bool is_hidden(const char *name)
{
	return str_starts(name, "waits_to_") || str_starts(name, "lasted_to_") ||
	       str_eq(name, "waits_longer") || str_eq(name, "lasted_longer") ||
	       str_eq(name, "waits_asked_s") || str_eq(name, "waits_lasted_s") ||
	       str_eq(name, "all_connections");
}

enum kind { KIND_LEVEL, KIND_COUNT, KIND_ALL, KIND_PUSH };

static void render_fronts(const struct stats_counter *fronts, size_t count, struct buf *out)
{
	static const struct {
		const char *name, *help;
		enum kind kind;
	} counters[] = {
#define COUNTER(name, kind, help) {#name, help, KIND_##kind},
#include "front/counters.def"
#undef COUNTER
	};
	char name[80];

	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		const char *base = counters[i].name;
		bool grows = counters[i].kind == KIND_COUNT;
		size_t len;

		if (counters[i].kind == KIND_PUSH || is_hidden(base))
			continue;
		if (counters[i].kind == KIND_ALL)
			base += strlen("all_");
		len = str_ends(base, "_s") ? strlen(base) - 2 : strlen(base);
		(void)snprintf(name, sizeof(name), "bellhop_%.*s%s%s", (int)len, base,
			str_ends(base, "_s") ? "_seconds" : "", grows ? "_total" : "");
		prometheus_single(out, name, grows ? PROMETHEUS_COUNTER : PROMETHEUS_GAUGE,
			counters[i].help, value_of(fronts, count, counters[i].name));
	}
	prometheus_single(out, "bellhop_fronts", PROMETHEUS_GAUGE, "Front processes",
		value_of(fronts, count, "fronts"));
}

/* The ranges of heartbeats that fronts count (front/path.c). */
static void render_heartbeats(const struct stats_counter *fronts, size_t count, const char *family,
	const char *help, const char *prefix, const char *sum, struct buf *out)
{
	static const unsigned bounds_s[] = {120, 300, 540, 900, 1800, 2700};
	uint64_t total = 0;
	char name[80];

	prometheus_family(out, family, PROMETHEUS_HISTOGRAM, help);
	for (size_t i = 0; i <= ARRAY_LEN(bounds_s); i++) {
		bool last = i == ARRAY_LEN(bounds_s);

		(void)snprintf(name, sizeof(name), last ? "%s_longer" : "%s_to_%u", prefix,
			last ? 0 : bounds_s[i]);
		total += value_of(fronts, count, name);
		if (last)
			buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", family, total);
		else
			buf_addf(out, "%s_bucket{le=\"%u\"} %" PRIu64 "\n", family, bounds_s[i],
				total);
	}
	(void)snprintf(name, sizeof(name), "%s_sum", family);
	prometheus_sample(out, name, NULL, value_of(fronts, count, sum));
	(void)snprintf(name, sizeof(name), "%s_count", family);
	prometheus_sample(out, name, NULL, total);
}

static void render_waits(const struct stats_counter *fronts, size_t count, struct buf *out)
{
	struct histogram_view push;

	read_push(fronts, count, &push);
	prometheus_family(out, "bellhop_push_latency_seconds", PROMETHEUS_HISTOGRAM,
		"From the commit of what a waiting phone is told to the last byte of its answer in "
		"the socket");
	prometheus_histogram(out, "bellhop_push_latency_seconds", NULL, &push);
	render_heartbeats(fronts, count, "bellhop_heartbeat_asked_seconds",
		"Waits as phones asked for them", "waits", "waits_asked_s", out);
	render_heartbeats(fronts, count, "bellhop_heartbeat_achieved_seconds",
		"Waits as long as they were", "lasted", "waits_lasted_s", out);
}

static const char *command_label(struct buf *labels, unsigned command)
{
	buf_clear(labels);
	prometheus_label(labels, "command", eas_command_info((enum eas_command)command)->name);
	return buf_cstr(labels);
}

static void render_requests(const struct telemetry *t, struct buf *out)
{
	static const char *const logins[] = {"ok", "wrong", "throttled", "failed"};
	struct buf labels = BUF_INIT;
	struct histogram_view v;
	char text[16];

	prometheus_family(out, "bellhop_request_duration_seconds", PROMETHEUS_HISTOGRAM,
		"Requests of phones on a worker, by command, without their waiting");
	for (unsigned c = 0; c < EAS_CMD_COUNT && c < TELEMETRY_COMMANDS; c++) {
		histogram_read(&t->request[c], &v);
		if (v.count > 0)
			prometheus_histogram(out, "bellhop_request_duration_seconds",
				command_label(&labels, c), &v);
	}
	prometheus_family(out, "bellhop_http_answers_total", PROMETHEUS_COUNTER,
		"Answers to EAS requests by HTTP status");
	for (size_t i = 0; i < ARRAY_LEN(t->http); i++) {
		if (telemetry_value(&t->http[i]) == 0)
			continue;
		buf_clear(&labels);
		(void)snprintf(text, sizeof(text), "%zu", i + TELEMETRY_HTTP_MIN);
		prometheus_label(&labels, "code", text);
		prometheus_sample(out, "bellhop_http_answers_total", buf_cstr(&labels),
			telemetry_value(&t->http[i]));
	}
	prometheus_family(out, "bellhop_authentications_total", PROMETHEUS_COUNTER,
		"Credentials that came with requests of phones, by result");
	for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
		buf_clear(&labels);
		prometheus_label(&labels, "result", logins[i]);
		prometheus_sample(out, "bellhop_authentications_total", buf_cstr(&labels),
			telemetry_value(&t->logins[i]));
	}
	buf_deinit(&labels);
}

static void render_statuses(const struct telemetry *t, struct buf *out)
{
	struct buf labels = BUF_INIT;
	char text[16];

	prometheus_family(out, "bellhop_eas_answers_total", PROMETHEUS_COUNTER,
		"Answers by command and EAS Status: the first in them that is not success, else 1");
	for (unsigned c = 0; c < EAS_CMD_COUNT && c < TELEMETRY_COMMANDS; c++) {
		for (size_t s = 0; s < TELEMETRY_STATUSES; s++) {
			if (telemetry_value(&t->status[c][s]) == 0)
				continue;
			(void)command_label(&labels, c);
			(void)snprintf(text, sizeof(text), "%zu", s);
			prometheus_label(&labels, "status", text);
			prometheus_sample(out, "bellhop_eas_answers_total", buf_cstr(&labels),
				telemetry_value(&t->status[c][s]));
		}
	}
	prometheus_single(out, "bellhop_errors_total", PROMETHEUS_COUNTER,
		"Answers to phones that were not success", telemetry_value(&t->errors));
	buf_deinit(&labels);
}

static void render_syncs(const struct telemetry *t, struct buf *out)
{
	static const char *const classes[] = {EAS_REMEMBER_CLASSES};
	const uint8_t *versions = eas_versions();
	struct buf labels = BUF_INIT;

	prometheus_family(out, "bellhop_syncs_total", PROMETHEUS_COUNTER,
		"Collections answered in Sync, by class and protocol version");
	for (size_t c = 0; c < ARRAY_LEN(classes); c++) {
		for (size_t v = 0; v < TELEMETRY_VERSIONS && versions[v] != 0; v++) {
			if (telemetry_value(&t->syncs[c][v]) == 0)
				continue;
			buf_clear(&labels);
			prometheus_label(&labels, "class", classes[c]);
			prometheus_label(&labels, "version", eas_version_to_str(versions[v]));
			prometheus_sample(out, "bellhop_syncs_total", buf_cstr(&labels),
				telemetry_value(&t->syncs[c][v]));
		}
	}
	buf_deinit(&labels);
}

static void render_engine(struct metrics *m, struct buf *out)
{
	struct engine *e = m->from.engine;
	const struct {
		const char *name, *help;
		uint64_t value;
		bool grows;
	} rows[] = {
		{"bellhop_engine_start_time_seconds",
			"When this engine began; its counters begin then, the fronts' do not",
			(uint64_t)m->started_at, false},
		{"bellhop_workers_busy", "Workers that are at work", workers_running(e->workers),
			false},
		{"bellhop_workers_waiting", "Requests that wait for a worker",
			workers_waiting(e->workers), false},
		{"bellhop_watches", "Waiting phones that the engine knows",
			watches_count(e->watches), false},
		{"bellhop_watches_remembered", "Watches kept for phones that come back",
			watches_remembered_count(e->watches), false},
		{"bellhop_watches_returning", "Watches that wait for their first look",
			atomic_load(&e->restores_left), false},
		{"bellhop_pings_known_total", "Pings parked by the engine from memory",
			e->pings_known, true},
		{"bellhop_requests_refused_busy_total", "Requests refused for lack of workers",
			atomic_load(&e->refused_busy), true},
		{"bellhop_requests_refused_newcomers_total",
			"The same of phones that were not in yet",
			atomic_load(&e->refused_newcomers), true},
		{"bellhop_requests_refused_user_total",
			"Requests refused because their user has too many",
			atomic_load(&e->refused_lane), true},
		{"bellhop_lmtp_connections", "Connections that bring mail", lmtp_connections(m),
			false},
	};

	prometheus_family(out, "bellhop_build_info", PROMETHEUS_GAUGE, "The version, as a label");
	prometheus_sample(out, "bellhop_build_info", "version=\"" BELLHOP_VERSION "\"", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		prometheus_single(out, rows[i].name,
			rows[i].grows ? PROMETHEUS_COUNTER : PROMETHEUS_GAUGE, rows[i].help,
			rows[i].value);
}

static void render_store(struct metrics *m, struct buf *out)
{
	struct db_stats writer;

	store_writer_stats(m->from.store, &writer);
	prometheus_single(out, "bellhop_store_groups_total", PROMETHEUS_COUNTER,
		"Groups of transactions that were committed together", writer.groups);
	prometheus_single(out, "bellhop_store_transactions_total", PROMETHEUS_COUNTER,
		"Transactions in them", writer.transactions);
	prometheus_family(out, "bellhop_store_commit_seconds", PROMETHEUS_HISTOGRAM,
		"Commits of groups, until they are on disk");
	prometheus_histogram(out, "bellhop_store_commit_seconds", NULL, &writer.commit);
}

static void render_devices(const struct store_counts *counts, struct buf *out)
{
	const struct {
		const char *state;
		uint64_t count;
	} states[] = {{"provisioned", counts->provisioned},
		{"not_provisioned", counts->unprovisioned}, {"blocked", counts->blocked},
		{"quarantine", counts->quarantined}, {"wipe_pending", counts->wipes[WIPE_ORDERED]},
		{"wipe_sent", counts->wipes[WIPE_SENT]}, {"wiped", counts->wipes[WIPE_DONE]},
		{"wipe_failed", counts->wipes[WIPE_FAILED]}};
	struct buf labels = BUF_INIT;

	prometheus_family(out, "bellhop_devices", PROMETHEUS_GAUGE, "Phones, by state");
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		buf_clear(&labels);
		prometheus_label(&labels, "state", states[i].state);
		prometheus_sample(out, "bellhop_devices", buf_cstr(&labels), states[i].count);
	}
	prometheus_single(out, "bellhop_users", PROMETHEUS_GAUGE, "Users", counts->users);
	buf_deinit(&labels);
}

static void render_queue(
	const struct submit_queue_counters *c, const struct metrics_slow *slow, struct buf *out)
{
	prometheus_single(out, "bellhop_relay_sent_total", PROMETHEUS_COUNTER,
		"Recipients whose mail the relay took", c->sent);
	prometheus_single(out, "bellhop_relay_deferred_total", PROMETHEUS_COUNTER,
		"Recipients to be tried again", c->deferred);
	prometheus_single(out, "bellhop_relay_failed_total", PROMETHEUS_COUNTER,
		"Recipients given up", c->failed);
	prometheus_single(out, "bellhop_relay_reports_total", PROMETHEUS_COUNTER,
		"Reports to senders", c->reports);
	prometheus_single(out, "bellhop_relay_trouble_total", PROMETHEUS_COUNTER,
		"Times that the relay could not be talked to", c->trouble);
	if (!slow->counted)
		return;
	prometheus_single(out, "bellhop_queue_messages", PROMETHEUS_GAUGE,
		"Messages that wait for the relay", slow->queue_mails);
	prometheus_single(out, "bellhop_queue_recipients", PROMETHEUS_GAUGE, "Recipients of them",
		slow->queue_recipients);
	prometheus_single(out, "bellhop_queue_held", PROMETHEUS_GAUGE,
		"Recipients held for the administrator", slow->queue_held);
	prometheus_single(out, "bellhop_queue_bytes", PROMETHEUS_GAUGE, "Bytes of these messages",
		slow->queue_bytes);
	prometheus_single(out, "bellhop_queue_oldest_seconds", PROMETHEUS_GAUGE,
		"Age of the oldest of them",
		slow->counts.queue_oldest_at == 0
			? 0
			: (uint64_t)MAX(clock_now_at() - (int64_t)slow->counts.queue_oldest_at, 0));
}

static void render_around(const struct metrics_slow *slow, struct buf *out)
{
	if (slow->disk_known) {
		prometheus_single(out, "bellhop_disk_size_bytes", PROMETHEUS_GAUGE,
			"The file system of server.data_dir", slow->disk_bytes);
		prometheus_single(out, "bellhop_disk_free_bytes", PROMETHEUS_GAUGE,
			"What is free of it", slow->disk_free_bytes);
	}
	if (slow->certificate_known)
		prometheus_single(out, "bellhop_certificate_expiry_time_seconds", PROMETHEUS_GAUGE,
			"When the certificate ends", (uint64_t)slow->certificate_until_at);
}

void metrics_render(struct metrics *m, struct buf *out)
{
	const struct telemetry *t = m->from.engine->telemetry;
	struct stats_counter fronts[IPC_STATS_MAX];
	size_t count = stats_read(m->from.engine->stats, fronts, ARRAY_LEN(fronts));
	struct submit_queue_counters queue;
	struct metrics_slow slow;

	submit_queue_read_counters(m->from.queue, &queue);
	metrics_slow_read(m, &slow);
	render_engine(m, out);
	render_fronts(fronts, count, out);
	render_waits(fronts, count, out);
	render_requests(t, out);
	render_statuses(t, out);
	render_syncs(t, out);
	render_store(m, out);
	render_queue(&queue, &slow, out);
	if (slow.counted)
		render_devices(&slow.counts, out);
	render_around(&slow, out);
}
