/*
 * The crowd: bulk set-up by copying one phone's rows, and fleets over it. One process, one thread;
 * the fleet's workers are its children.
 */
#include "crowd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/answer.h"
#include "client/version.h"
#include "fleet/procs.h"
#include "sync/generations.h"

#define PHONES_OF_USER 20u
#define STUCK_S        330.0 /* who was sent away may be told to stay so for 300 */
#define SAMPLES        50
#define POLL_MS        20

/* ---- the one that is copied ---- */

struct template
{
	struct crowd *crowd;
	const char *hash;
	struct owner_id owner;
};

static bool is_mail(unsigned type)
{
	return type == 2 || type == 3 || type == 4 || type == 5 || type == 12;
}

static int add_template(struct store_tx *tx, void *owner, struct err *err)
{
	struct template *t = owner;
	struct folder_id ignored;
	char name[32];

	if (store_domain_add(tx, "bench.example", err) < 0 ||
		store_user_add(tx, "user0", "bench.example", "Bench", t->hash, 1700000000,
			&t->owner, err) < 0)
		return -1;
	for (unsigned i = 0; i < t->crowd->options.folders; i++) {
		(void)snprintf(name, sizeof(name), "Folder %u", i);
		if (store_folder_add(tx, t->owner, (struct folder_id){0}, name, FOLDER_USER_MAIL,
			    &ignored, err) < 0)
			return -1;
	}
	return 0;
}

static void add_user(struct crowd *c, struct template *t)
{
	/* The cheapest that crypt(3) has: no figure contains a first login. */
	static struct crypt_data crypt;
	struct err err = ERR_INIT;

	t->crowd = c;
	t->hash = crypt_r("secret0", "be", &crypt);
	if (t->hash == NULL || t->hash[0] == '*')
		bench_die("crypt cannot do its oldest scheme");
	BENCH_OK(store_transact(c->bench->store, add_template, t, &err), &err);
}

static void list_folders(struct crowd *c, struct bench_phone *p, struct arena *arena)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct answer_folders answer;
	struct err err = ERR_INIT;
	size_t count = 0;

	request_folder_sync("0", &body);
	BENCH_OK(answer_folders(arena, bench_phone_call(p, REQUEST_FOLDER_SYNC, &body, arena),
			 &answer, &err),
		&err);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < answer.added_count && count < c->options.folders; i++) {
			if (is_mail(answer.added[i].type) &&
				(pass == 0) == (answer.added[i].type == 2))
				(void)snprintf(c->ids[count++], sizeof(c->ids[0]), "%s",
					answer.added[i].id);
		}
	}
	if (count != c->options.folders)
		bench_die("there are %zu mail folders", count);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(c->keys[i], sizeof(c->keys[i]), "0");
		c->id_list[i] = c->ids[i];
		c->key_list[i] = c->keys[i];
	}
}

static void sync_folders(struct crowd *c, struct bench_phone *p, struct arena *arena)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct request_sync collections[CROWD_FOLDERS_MAX] = {0};
	const struct wbxml_node *root;
	struct answer_sync answer;
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < c->options.folders; i++)
		collections[i] = (struct request_sync){.sync_key = c->keys[i],
			.collection_id = c->ids[i],
			.window = 100,
			.body_type = 1,
			.truncation = 4096};
	request_sync(VERSION_141, collections, c->options.folders, 0, &body);
	root = bench_phone_call(p, REQUEST_SYNC, &body, arena);
	if (root == NULL)
		return;
	BENCH_OK(answer_sync(arena, root, &answer, &err), &err);
	for (unsigned i = 0; i < c->options.folders; i++) {
		const struct answer_collection *a = answer_sync_find(&answer, c->ids[i]);

		if (a != NULL && a->sync_key != NULL)
			(void)snprintf(c->keys[i], sizeof(c->keys[i]), "%s", a->sync_key);
		if (strcmp(c->keys[i], "0") == 0)
			bench_die("folder %s got no SyncKey", c->ids[i]);
	}
}

/* The device remembers what its Ping asked for; then the first Ping of a copy writes nothing. */
static void ping_once(struct crowd *c, struct bench_phone *p)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT, request = BUF_INIT;
	struct request_ping_folder folders[CROWD_FOLDERS_MAX];

	for (unsigned i = 0; i < c->options.folders; i++)
		folders[i] = (struct request_ping_folder){c->ids[i], "Email"};
	request_ping(c->options.heartbeat_s, folders, c->options.folders, &body);
	bench_phone_request(p, REQUEST_PING, body.data, body.len, &request);
	bench_phone_send(p, &request);
	for (int i = 0; i < 100 && bench_counter(c->bench, "parked") == 0; i++)
		(void)poll(NULL, 0, 20);
}

/* ---- copies ---- */

static void run_sql(sqlite3 *db, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		bench_die("%s: %.300s", message != NULL ? message : "SQLite", sql);
}

struct replaced {
	const char *column, *expression;
};

/* INSERT INTO table SELECT with some columns replaced: from the template's rows, `t`, and what
 * `from` names. */
static void copy_rows(sqlite3 *db, const char *table, const struct replaced *replaced, size_t count,
	const char *from, const char *where)
{
	CLEANUP(buf_deinit) struct buf sql = BUF_INIT, columns = BUF_INIT;
	CLEANUP(mem_freep) char *query = x_printf("PRAGMA table_info(%s)", table);
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, query, -1, &st, NULL) != SQLITE_OK)
		bench_die("%s", sqlite3_errmsg(db));
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 1), *as = NULL;

		for (size_t i = 0; i < count; i++) {
			if (strcmp(replaced[i].column, name) == 0)
				as = replaced[i].expression;
		}
		if (columns.len > 0)
			buf_add_str(&columns, ", ");
		if (as != NULL)
			buf_add_str(&columns, as);
		else
			buf_addf(&columns, "t.%s", name);
	}
	(void)sqlite3_finalize(st);
	buf_addf(&sql,
		"CREATE TEMP TABLE t AS SELECT * FROM %s WHERE %s; INSERT INTO main.%s SELECT %s"
		" FROM %s CROSS JOIN t; DROP TABLE t;",
		table, where, table, buf_cstr(&columns), from);
	run_sql(db, buf_cstr(&sql));
}

/* Users first .. last, and for each of them `each` devices, whose database ids ascend with the
 * user. The template is user 0 and its first device. */
struct span {
	unsigned first_user, last_user, each;
	uint64_t first_device;   /* of first_user's first */
	const char *device_text; /* SQL for the number behind the prefix */
	const char *prefix;
};

static void copy_span(sqlite3 *db, uint64_t owner, uint64_t device, const struct span *s)
{
	CLEANUP(mem_freep)
	char *users = x_printf(
		"(WITH RECURSIVE n(u) AS (SELECT %u UNION ALL SELECT u + 1 FROM n WHERE u < %u)"
		" SELECT u FROM n)",
		s->first_user, s->last_user);
	CLEANUP(mem_freep)
	char *devices = x_printf(
		"%s CROSS JOIN (WITH RECURSIVE m(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM m"
		" WHERE k < %u) SELECT k FROM m)",
		users, s->each - 1);
	CLEANUP(mem_freep) char *owner_is = x_printf("%llu + u", (unsigned long long)owner);
	CLEANUP(mem_freep)
	char *device_is = x_printf("%llu + (u - %u) * %u + k", (unsigned long long)s->first_device,
		s->first_user, s->each);
	CLEANUP(mem_freep) char *text_is = x_printf("'%s' || (%s)", s->prefix, s->device_text);
	CLEANUP(mem_freep) char *owned = x_printf("owner = %llu", (unsigned long long)owner);
	CLEANUP(mem_freep) char *own = x_printf("id = %llu", (unsigned long long)owner);
	CLEANUP(mem_freep) char *one = x_printf("id = %llu", (unsigned long long)device);
	CLEANUP(mem_freep)
	char *states = x_printf(
		"device = %llu AND generation = %d", (unsigned long long)device, SYNC_CURRENT);
	CLEANUP(mem_freep) char *new_users = x_printf("(SELECT u FROM %s WHERE u > 0)", users);
	/* The template's own device stands for user 0, k 0. */
	CLEANUP(mem_freep)
	char *new_devices = x_printf("(SELECT u, k FROM %s WHERE u > 0 OR k > 0)", devices);
	const struct replaced owners_as[] = {{"id", owner_is}};
	const struct replaced users_as[] = {{"owner", owner_is}, {"login", "'user' || u"}};
	const struct replaced addresses_as[] = {
		{"owner", owner_is}, {"address", "'user' || u || '@bench.example'"}};
	const struct replaced folders_as[] = {{"owner", owner_is}};
	const struct replaced devices_as[] = {
		{"owner", owner_is}, {"id", device_is}, {"device_id", text_is}};
	const struct replaced states_as[] = {{"owner", owner_is}, {"device", device_is}};

	copy_rows(db, "owners", owners_as, ARRAY_LEN(owners_as), new_users, own);
	copy_rows(db, "users", users_as, ARRAY_LEN(users_as), new_users, owned);
	copy_rows(db, "addresses", addresses_as, ARRAY_LEN(addresses_as), new_users, owned);
	copy_rows(db, "folders", folders_as, ARRAY_LEN(folders_as), new_users, owned);
	copy_rows(db, "devices", devices_as, ARRAY_LEN(devices_as), new_devices, one);
	copy_rows(db, "sync_states", states_as, ARRAY_LEN(states_as), new_devices, states);
}

static uint64_t ask_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	uint64_t value;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW)
		bench_die("%s: %s", sqlite3_errmsg(db), sql);
	value = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return value;
}

static void copy_all(struct crowd *c)
{
	const struct crowd_options *o = &c->options;
	CLEANUP(mem_freep) char *path = x_printf("%s/data/bellhop.db", c->bench->folder);
	CLEANUP(mem_freep) char *text = x_printf("k * %u + u", o->users);
	struct span span = {.last_user = o->users - 1,
		.each = (o->phones + o->users - 1) / o->users,
		.device_text = text,
		.prefix = "BENCH"};
	uint64_t owner, device;
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		bench_die("%s: %s", path, sqlite3_errmsg(db));
	run_sql(db,
		"PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
		"PRAGMA cache_size = -200000; PRAGMA temp_store = MEMORY; BEGIN");
	owner = ask_number(db, "SELECT owner FROM users WHERE login = 'user0'");
	device = ask_number(db, "SELECT id FROM devices WHERE device_id = 'BENCH0'");
	span.first_device = device;
	copy_span(db, owner, device, &span);
	if (o->burst > 0) {
		struct span burst = {.first_user = o->users,
			.last_user = o->users,
			.each = o->burst,
			.first_device = device + (uint64_t)span.each * o->users,
			.device_text = "k",
			.prefix = "BURST"};

		copy_span(db, owner, device, &burst);
	}
	if (o->first_every > 1) {
		/* What those remember who do not watch the Inbox: the list without its first id,
		 * which is one byte long. */
		CLEANUP(mem_freep)
		char *sql = x_printf(
			"UPDATE devices SET ping_folders = CAST(substr(ping_folders, 2) AS BLOB)"
			" WHERE device_id LIKE 'BENCH%%' AND CAST(substr(device_id, 6) AS INTEGER)"
			" / %u %% %u <> 0",
			o->users, o->first_every);

		run_sql(db, sql);
	}
	/* What the fleet's phones say they are; else the first request of each would write it down,
	 * which a phone does once in its life, and not when it comes back. */
	run_sql(db, "UPDATE devices SET user_agent = '" FLEET_USER_AGENT
		    "', device_type = '" FLEET_DEVICE_TYPE "'");
	run_sql(db, "UPDATE counters SET value = (SELECT MAX(id) FROM owners) WHERE name = 'owner';"
		    "UPDATE counters SET value = (SELECT MAX(id) FROM devices) WHERE name = "
		    "'device'; COMMIT; PRAGMA journal_mode = WAL");
	if (sqlite3_close(db) != SQLITE_OK)
		bench_die("%s: not closed", path);
}

static void make_scenario(
	struct scenario *s, const struct crowd_options *o, unsigned phones, unsigned users)
{
	scenario_default(s);
	s->phones = phones;
	s->users = users;
	s->groups[0].heartbeat_s = o->heartbeat_s;
	s->groups[0].heartbeat_max_s = 3540;
	s->groups[0].folders = o->folders;
	s->groups[0].held_sync = o->held_sync;
}

void crowd_make(struct crowd *c, struct bench *b, const struct crowd_options *options)
{
	struct arena *arena = arena_new(0);
	struct template template = {0};
	struct bench_phone phone;
	int64_t start_us = bench_now_us();

	*c = (struct crowd){.bench = b, .options = *options};
	if (c->options.users == 0)
		c->options.users = (c->options.phones + PHONES_OF_USER - 1) / PHONES_OF_USER;
	if (c->options.folders == 0 || c->options.folders > CROWD_FOLDERS_MAX)
		bench_die("folders: from 1 to %u", CROWD_FOLDERS_MAX);
	add_user(c, &template);
	b->phones = c->options.phones + c->options.burst;
	bench_start(b);
	bench_phone_init(b, &phone, 0, "BENCH");
	list_folders(c, &phone, arena);
	sync_folders(c, &phone, arena);
	sync_folders(c, &phone, arena);
	ping_once(c, &phone);
	bench_phone_clear(&phone);
	arena_free(&arena);
	bench_stop(b);
	store_close(&b->store);
	copy_all(c);
	c->known = (struct fleet_known){.count = c->options.folders,
		.ids = c->id_list,
		.sync_keys = c->key_list,
		.first_every = c->options.first_every};
	make_scenario(&c->scenario, &c->options, c->options.phones, c->options.users);
	make_scenario(&c->burst_scenario, &c->options, MAX(c->options.burst, 1u), 1);
	(void)fprintf(stderr, "%s: %u users and %u phones with %u folders set up in %.1f s\n",
		b->name, c->options.users, b->phones, c->options.folders,
		(double)(bench_now_us() - start_us) / 1e6);
}

/* ---- fleets ---- */

static struct fleet *open_fleet_at(struct crowd *c, const struct scenario *scenario,
	const char *user, const char *prefix, bool tls, uint16_t port, bool marks)
{
	CLEANUP(mem_freep)
	char *url = x_printf("%s://127.0.0.1:%u", tls ? "https" : "http", port);
	struct fleet_options options = {.url = url,
		.user = user,
		.password = "secret0",
		.device_prefix = prefix,
		.scenario = scenario,
		.known = &c->known,
		.marks = marks,
		.spread = true};
	struct fleet *fleet = NULL;
	struct err err = ERR_INIT;

	BENCH_OK(fleet_open(&options, &fleet, &err), &err);
	return fleet;
}

static struct fleet *open_fleet(struct crowd *c, const struct scenario *scenario, const char *user,
	const char *prefix, bool tls, bool marks)
{
	return open_fleet_at(c, scenario, user, prefix, tls,
		tls ? c->bench->https_port : c->bench->http_port, marks);
}

struct fleet *crowd_fleet(struct crowd *c, bool tls, bool marks)
{
	return open_fleet(c, &c->scenario, "user%u@bench.example", "BENCH", tls, marks);
}

struct fleet *crowd_fleet_at(struct crowd *c, uint16_t port)
{
	return open_fleet_at(c, &c->scenario, "user%u@bench.example", "BENCH", false, port, false);
}

struct fleet *crowd_burst_fleet(struct crowd *c, bool tls)
{
	static char user[64];

	(void)snprintf(user, sizeof(user), "user%u@bench.example", c->options.users);
	return open_fleet(c, &c->burst_scenario, user, "BURST", tls, true);
}

static void show(const struct crowd *c, struct fleet *fleet, const char *what, uint64_t parked,
	unsigned wanted, double s)
{
	static struct tally t;

	fleet_read(fleet, &t);
	(void)fprintf(stderr,
		"\r%s: %s: %llu of %u parked after %.0f s; refused %llu, dropped %llu, failed %llu "
		"  ",
		c->bench->name, what, (unsigned long long)parked, wanted, s,
		(unsigned long long)t.refused, (unsigned long long)t.dropped,
		(unsigned long long)t.connect_failed);
	(void)fflush(stderr);
}

static void must_live(struct fleet *fleet)
{
	struct err err = ERR_INIT;

	if (fleet_alive(fleet, &err) < 0)
		bench_die("%s", err.text);
}

/* Of very many phones some are always between the end of a heartbeat and its renewal. */
static unsigned between(const struct crowd *c, unsigned phones)
{
	return c->options.heartbeat_s < 3540 ? phones / 2000 : 0;
}

/* Until at least so many are parked. */
static void wait_for(struct crowd *c, struct fleet *fleet, unsigned wanted, unsigned goal,
	const char *what, int64_t start_us)
{
	int64_t moved_us = bench_now_us();
	uint64_t best = 0;

	for (;;) {
		uint64_t parked = bench_counter(c->bench, "parked");
		double s = (double)(bench_now_us() - start_us) / 1e6;

		show(c, fleet, what, parked, goal, s);
		if (parked + between(c, wanted) >= wanted)
			return;
		if (parked > best) {
			best = parked;
			moved_us = bench_now_us();
		}
		if ((double)(bench_now_us() - moved_us) > STUCK_S * 1e6) {
			(void)fprintf(stderr, "\n");
			bench_die("%s: %llu of %u are parked, and nothing has moved for %.0f s",
				what, (unsigned long long)parked, goal, STUCK_S);
		}
		must_live(fleet);
		(void)poll(NULL, 0, POLL_MS);
	}
}

double crowd_fill(struct crowd *c, struct fleet *fleet, const struct fleet_command *how,
	unsigned first, unsigned count, unsigned already, unsigned chunk)
{
	int64_t start_us = bench_now_us();
	struct fleet_command command = *how;

	command.order = FLEET_START;
	command.rate = 20000;
	for (unsigned done = 0; done < count; done += command.count) {
		command.first = first + done;
		command.count = MIN(chunk, count - done);
		fleet_give(fleet, &command);
		/* All but these: so the server never waits for the fleet, nor has more to do than
		 * it takes without sending some away. */
		wait_for(c, fleet, already + done, already + count, "filling", start_us);
	}
	wait_for(c, fleet, already + count, already + count, "filling", start_us);
	(void)fprintf(stderr, "\n");
	return (double)(bench_now_us() - start_us) / 1e6;
}

double crowd_wait_parked(struct crowd *c, struct fleet *fleet, unsigned wanted, const char *what)
{
	int64_t start_us = bench_now_us();

	wait_for(c, fleet, wanted, wanted, what, start_us);
	(void)fprintf(stderr, "\n");
	return (double)(bench_now_us() - start_us) / 1e6;
}

void crowd_check(struct crowd *c, struct fleet *fleet, const char *when)
{
	static struct tally t;

	must_live(fleet);
	fleet_read(fleet, &t);
	if (t.dropped + t.wrong + t.unauthorized + t.connect_failed + t.timed_out + t.hierarchy > 0)
		bench_die("%s: %s: dropped %llu, wrong %llu, 401 %llu, connect_failed %llu,"
			  " timed_out %llu, hierarchy %llu",
			c->bench->name, when, (unsigned long long)t.dropped,
			(unsigned long long)t.wrong, (unsigned long long)t.unauthorized,
			(unsigned long long)t.connect_failed, (unsigned long long)t.timed_out,
			(unsigned long long)t.hierarchy);
}

unsigned crowd_parked(struct crowd *c)
{
	uint64_t best = 0;

	for (int i = 0; i < SAMPLES && best < c->options.phones; i++) {
		uint64_t parked = bench_counter(c->bench, "parked");

		best = MAX(best, parked);
		(void)poll(NULL, 0, POLL_MS);
	}
	return (unsigned)best;
}

/* The system counts pages of a mapped file that are yet to be written as dirty memory of the one
 * process which maps it: tens of MB of database for half a minute after a crowd was set up. */
static void write_files(const struct crowd *c)
{
	int fd = open(c->bench->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		bench_die("%s: %s", c->bench->folder, strerror(errno));
	(void)close(fd);
}

double crowd_memory(const struct crowd *c)
{
	write_files(c);
	return (double)procs_memory_of_tree(c->bench->pid).private_dirty;
}

double crowd_fronts_cpu_us(const struct crowd *c)
{
	pid_t pids[512];
	size_t count = procs_tree(c->bench->pid, pids, ARRAY_LEN(pids));
	double sum_us = 0;

	for (size_t i = 0; i < count; i++) {
		char name[64];

		procs_name(pids[i], name, sizeof(name));
		if (str_starts(name, "front"))
			sum_us += procs_cpu_us(pids[i]);
	}
	return sum_us;
}

void crowd_pause(struct crowd *c, struct fleet *fleet, double s, const char *what)
{
	int64_t start_us = bench_now_us(), end_us = start_us + (int64_t)(s * 1e6);

	while (bench_now_us() < end_us) {
		int64_t left_ms = (end_us - bench_now_us()) / 1000 + 1;

		must_live(fleet);
		(void)poll(NULL, 0, (int)MIN(left_ms, (int64_t)1000));
		(void)fprintf(stderr, "\r%s: %s: %.0f of %.0f s   ", c->bench->name, what,
			(double)(bench_now_us() - start_us) / 1e6, s);
		(void)fflush(stderr);
	}
	(void)fprintf(stderr, "\n");
}
