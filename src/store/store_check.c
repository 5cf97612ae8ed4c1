/*
 * Checking a whole store. The rules are a table: each is a query whose rows are places that break
 * it. The database is read in one snapshot, so a running server cannot make it look inconsistent;
 * body files are looked at afterwards, with the sweep held back, those that rows name then.
 *
 * What deleted users left behind is not looked at: the sweep removes it bit by bit.
 *
 * Threads: the caller's. Limits: PLACES_MAX places of one rule are named, the others counted.
 */
#include "store/store_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_files.h"
#include "store/store_internal.h"

#define PLACES_MAX  20
#define BATCH_FILES 512

struct rule {
	const char *broken; /* said of each place */
	const char *sql;    /* gives places as text */
};

/* clang-format off */
/* An owner as people know it; x is a table with a column owner. */
#define WHO(x)                                                                                     \
	"COALESCE((SELECT address FROM addresses a WHERE a.owner = " x                             \
	".owner AND a.position = 0), 'owner ' || " x ".owner)"
#define ITEM(x)   WHO(x) " || ' folder ' || " x ".folder || ' item ' || " x ".id"
#define FOLDER(x) WHO(x) " || ' folder ' || " x ".id"
#define BODY(x)   WHO(x) " || ' body ' || " x ".id"
#define LIVE(x)   " JOIN owners o ON o.id = " x ".owner AND o.deleted = 0 "
#define OWNER     "COALESCE((SELECT address FROM addresses a WHERE a.owner = o.id AND a.position = 0), 'owner ' || o.id)"
#define NOBODY(table)                                                                              \
	"SELECT DISTINCT 'owner ' || owner FROM " table " WHERE owner NOT IN (SELECT id FROM "     \
	"owners)"

#define NO_MORE(table)                                                                             \
	"SELECT DISTINCT 'owner ' || owner FROM " table " WHERE owner IN (SELECT id FROM owners"   \
	" WHERE deleted = 1)"
#define NO_DEVICE(table)                                                                           \
	"SELECT DISTINCT 'device ' || device FROM " table " WHERE device NOT IN (SELECT id FROM "  \
	"devices)"
/* Of sync_states and sync_chunks. A deleted folder keeps its row; what phones know of it goes with
 * the last of its items (store_purge.c). */
#define PHONE(x) WHO(x) " || ' device ' || " x ".device || ' folder ' || " x ".folder"
#define FOLDERLESS(x)                                                                              \
	x ".folder <> 0 AND NOT EXISTS (SELECT 1 FROM folders f WHERE f.owner = " x ".owner AND"   \
	" f.id = " x ".folder AND (f.deleted = 0 OR EXISTS (SELECT 1 FROM purges p WHERE p.owner"  \
	" = f.owner AND p.folder = f.id)))"
#define STATELESS(x)                                                                               \
	"NOT EXISTS (SELECT 1 FROM sync_states s WHERE s.owner = " x ".owner AND s.device = " x    \
	".device AND s.folder = " x ".folder)"
/* Nobody asks for these any more: no phone has a key to them, or there is nothing behind it. */
#define ORPHANS(table)                                                                             \
	"DELETE FROM " table " WHERE device NOT IN (SELECT id FROM devices) OR owner NOT IN"       \
	" (SELECT id FROM owners WHERE deleted = 0) OR (" FOLDERLESS(table) ")"
#define DEVICELESS(table) "DELETE FROM " table " WHERE device NOT IN (SELECT id FROM devices)"

static const struct rule rules[] = {
	/* Whose. */
	{"folders of an owner that is not there", NOBODY("folders")},
	{"items of an owner that is not there", NOBODY("items")},
	{"bodies of an owner that is not there", NOBODY("bodies") " AND owner <> 0"},
	{"tombstones of an owner that is not there", NOBODY("tombstones")},
	{"memory of imports of an owner that is not there", NOBODY("imported")},
	{"sync states of an owner that is not there", NOBODY("sync_states")},
	{"pieces of sync states of an owner that is not there", NOBODY("sync_chunks")},
	{"no user has this data",
		"SELECT 'owner ' || id FROM owners WHERE deleted = 0"
		" AND id NOT IN (SELECT owner FROM users)"},
	{"the user has no data",
		"SELECT login || '@' || domain FROM users WHERE owner NOT IN"
		" (SELECT id FROM owners WHERE deleted = 0)"},
	{"the user's domain is not there",
		"SELECT login || '@' || domain FROM users WHERE domain NOT IN"
		" (SELECT name FROM domains)"},
	{"the user's own address is missing or another one",
		"SELECT u.login || '@' || u.domain FROM users u LEFT JOIN addresses a"
		" ON a.owner = u.owner AND a.position = 0"
		" WHERE a.address IS NULL OR a.address <> u.login || '@' || u.domain"},
	{"the address belongs to nobody",
		"SELECT address FROM addresses WHERE owner NOT IN (SELECT owner FROM users)"},
	{"the address is in a domain that is not there",
		"SELECT address FROM addresses WHERE domain NOT IN (SELECT name FROM domains)"},
	{"the address is not in the domain that it is filed under",
		"SELECT address FROM addresses WHERE address NOT LIKE '%_@' || domain"},
	{"the device belongs to nobody",
		"SELECT 'device ' || device_id FROM devices WHERE owner NOT IN"
		" (SELECT owner FROM users)"},
	{"app passwords of nobody",
		"SELECT DISTINCT 'owner ' || owner FROM app_passwords WHERE owner NOT IN"
		" (SELECT owner FROM users)"},
	{"API tokens of nobody",
		"SELECT 'token ' || name FROM api_tokens WHERE owner <> 0 AND owner NOT IN"
		" (SELECT owner FROM users)"},
	{"web sessions of nobody",
		"SELECT DISTINCT 'owner ' || owner FROM web_sessions WHERE owner NOT IN"
		" (SELECT owner FROM users)"},
	{"automatic replies of nobody",
		"SELECT DISTINCT 'owner ' || owner FROM oof_replies WHERE owner NOT IN"
		" (SELECT owner FROM users)"},
	{"sync states of a user who was deleted", NO_MORE("sync_states")},
	{"pieces of sync states of a user who was deleted", NO_MORE("sync_chunks")},
	{"sync states of a device that is not there", NO_DEVICE("sync_states")},
	{"pieces of sync states of a device that is not there", NO_DEVICE("sync_chunks")},
	{"pieces of sync states that are not there",
		"SELECT DISTINCT 'device ' || c.device || ' folder ' || c.folder FROM sync_chunks c"
		" WHERE " STATELESS("c") " AND c.device IN (SELECT id FROM devices)"},
	{"sent mail of a device that is not there",
		"SELECT DISTINCT 'device ' || device FROM sent WHERE device NOT IN"
		" (SELECT id FROM devices)"},
	{"memory of what a device added, of a device that is not there",
		"SELECT DISTINCT 'device ' || device FROM added WHERE device NOT IN"
		" (SELECT id FROM devices)"},
	{"memory of what a device moved, of a device that is not there",
		"SELECT DISTINCT 'device ' || device FROM device_moves WHERE device NOT IN"
		" (SELECT id FROM devices)"},
	{"orders to erase a device that is not there", NO_DEVICE("wipes")},
	{"a device is to be erased, and no order says so",
		"SELECT 'device ' || d.device_id FROM devices d WHERE d.wipe <> 0 AND NOT EXISTS"
		" (SELECT 1 FROM wipes w WHERE w.owner = d.owner AND w.device = d.id AND w.state ="
		" d.wipe AND w.ended_at = 0)"},
	{"sync states of a folder that is not there",
		"SELECT DISTINCT " PHONE("s") " FROM sync_states s" LIVE("s") "WHERE " FOLDERLESS("s")},
	{"pieces of sync states of a folder that is not there",
		"SELECT DISTINCT " PHONE("s") " FROM sync_chunks s" LIVE("s") "WHERE " FOLDERLESS("s")},

	{"the member of a group is not there",
		"SELECT 'group ' || group_id || ' owner ' || owner FROM group_members WHERE owner"
		" NOT IN (SELECT owner FROM users) OR group_id NOT IN (SELECT id FROM user_groups)"},

	{"what is laid down for devices of a user who is not there",
		"SELECT DISTINCT 'owner ' || owner FROM unseen_devices WHERE owner NOT IN"
		" (SELECT owner FROM users)"},
	{"counts of what was sent to a device that is not there", NO_DEVICE("device_usage")},
	{"a service is laid down for what is not there",
		"SELECT name || ' of scope ' || scope || ' ' || scope_id || scope_name FROM"
		" scope_values WHERE (scope = 1 AND scope_name NOT IN (SELECT name FROM domains))"
		" OR (scope = 2 AND scope_id NOT IN (SELECT id FROM user_groups))"
		" OR (scope = 3 AND scope_id NOT IN (SELECT owner FROM users))"},
	{"nobody can have this policy, or it is not there",
		"SELECT 'scope ' || scope || ' ' || scope_id || scope_name FROM policy_scopes WHERE"
		" (policy <> 0 AND policy NOT IN (SELECT id FROM policies)) OR (policy = 0 AND"
		" exception = 0) OR (scope = 1 AND scope_name NOT IN (SELECT name FROM domains)) OR"
		" (scope = 2 AND scope_id NOT IN (SELECT id FROM user_groups)) OR (scope = 3 AND"
		" scope_id NOT IN (SELECT owner FROM users)) OR (scope = 4 AND scope_id NOT IN"
		" (SELECT id FROM devices))"},
	{"one policy must be the default",
		"SELECT 'policies' WHERE (SELECT COUNT(*) FROM policies WHERE is_default = 1) <> 1"},

	/* Folders. */
	{"there is no Inbox",
		"SELECT " OWNER " FROM owners o WHERE o.deleted = 0 AND NOT EXISTS (SELECT 1 FROM"
		" folders f WHERE f.owner = o.id AND f.type = 2 AND f.deleted = 0)"},
	{"the parent folder is not there",
		"SELECT " FOLDER("f") " FROM folders f" LIVE(
			"f") "WHERE f.deleted = 0 AND f.parent <> 0 AND NOT EXISTS (SELECT 1 FROM"
			     " folders p WHERE p.owner = f.owner AND p.id = f.parent AND"
			     " p.deleted = 0)"},
	{"an id in it is above the last one given out",
		"SELECT " FOLDER("f") " FROM folders f" LIVE(
			"f") "WHERE f.last_item < COALESCE((SELECT MAX(i.id) FROM items i WHERE"
			     " i.owner = f.owner AND i.folder = f.id), 0) OR f.last_item <"
			     " COALESCE((SELECT MAX(t.id) FROM tombstones t WHERE t.owner ="
			     " f.owner AND t.folder = f.id), 0)"},
	{"its change is newer than the owner's newest",
		"SELECT " FOLDER("f") " FROM folders f" LIVE(
			"f") "WHERE f.changed_seq > o.seq OR f.items_seq > o.seq OR f.created_seq >"
			     " f.changed_seq"},
	{"a change of an item is newer than the folder's newest",
		"SELECT " FOLDER("f") " FROM folders f" LIVE(
			"f") "WHERE f.items_seq < COALESCE((SELECT MAX(i.changed_seq) FROM items i"
			     " WHERE i.owner = f.owner AND i.folder = f.id), 0)"},

	/* Owners. */
	{"a folder's id is above the last one given out",
		"SELECT " OWNER " FROM owners o WHERE o.deleted = 0 AND o.last_folder < COALESCE("
		"(SELECT MAX(id) FROM folders f WHERE f.owner = o.id), 0)"},
	{"a body's id is above the last one given out",
		"SELECT " OWNER " FROM owners o WHERE o.deleted = 0 AND o.last_body < COALESCE("
		"(SELECT MAX(id) FROM bodies b WHERE b.owner = o.id), 0)"},
	{"the bytes in use are counted wrongly",
		"SELECT " OWNER " FROM owners o WHERE o.deleted = 0 AND o.used_bytes <> COALESCE("
		"(SELECT SUM(body_bytes) FROM bodies b WHERE b.owner = o.id), 0)"},
	{"the floor of tombstones is above the newest change",
		"SELECT " OWNER " FROM owners o WHERE o.deleted = 0 AND o.tombstone_floor > o.seq"},
	{"an id in use is above the counter",
		"SELECT 'owners' WHERE (SELECT MAX(id) FROM owners) > COALESCE((SELECT value FROM"
		" counters WHERE name = 'owner'), 0)"
		" UNION ALL SELECT 'devices' WHERE (SELECT MAX(id) FROM devices) > COALESCE((SELECT"
		" value FROM counters WHERE name = 'device'), 0)"
		" UNION ALL SELECT 'the event log' WHERE (SELECT MAX(id) FROM event_log) >"
		" COALESCE((SELECT value FROM counters WHERE name = 'event_log'), 0)"
		" UNION ALL SELECT 'the app passwords' WHERE (SELECT MAX(id) FROM app_passwords) >"
		" COALESCE((SELECT value FROM counters WHERE name = 'app_password'), 0)"
		" UNION ALL SELECT 'the API tokens' WHERE (SELECT MAX(id) FROM api_tokens) >"
		" COALESCE((SELECT value FROM counters WHERE name = 'api_token'), 0)"
		" UNION ALL SELECT 'the queue' WHERE (SELECT MAX(id) FROM queue_mails) >"
		" COALESCE((SELECT value FROM counters WHERE name = 'queue'), 0)"},

	/* Items. */
	{"its folder is not there",
		"SELECT " ITEM("i") " FROM items i" LIVE(
			"i") "WHERE NOT EXISTS (SELECT 1 FROM folders f WHERE f.owner = i.owner AND"
			     " f.id = i.folder)"},
	{"its body is not there",
		"SELECT " ITEM("i") " FROM items i" LIVE(
			"i") "WHERE NOT EXISTS (SELECT 1 FROM bodies b WHERE b.owner = i.owner AND"
			     " b.id = i.body_id)"},
	{"it has another size than its body",
		"SELECT " ITEM("i") " FROM items i" LIVE(
			"i") "JOIN bodies b ON b.owner = i.owner AND b.id = i.body_id"
			     " WHERE b.body_bytes <> i.body_bytes"},
	{"its change numbers contradict each other",
		"SELECT " ITEM("i") " FROM items i" LIVE(
			"i") "WHERE i.changed_seq > o.seq OR i.created_seq > i.changed_seq OR"
			     " i.content_seq > i.changed_seq OR i.read_seq > i.changed_seq OR"
			     " i.flag_seq > i.changed_seq OR i.categories_seq > i.changed_seq OR"
			     " i.verb_seq > i.changed_seq OR i.changed_seq NOT IN (i.content_seq,"
			     " i.read_seq, i.flag_seq, i.categories_seq, i.verb_seq)"},
	{"it is there and has a tombstone",
		"SELECT " ITEM("t") " FROM tombstones t" LIVE(
			"t") "WHERE EXISTS (SELECT 1 FROM items i WHERE i.owner = t.owner AND"
			     " i.folder = t.folder AND i.id = t.id)"},
	{"its tombstone is newer than the owner's newest change",
		"SELECT " ITEM("t") " FROM tombstones t" LIVE("t") "WHERE t.seq > o.seq"},
	{"it has several tombstones",
		"SELECT " ITEM("t") " FROM (SELECT t.owner, t.folder, t.id FROM tombstones t" LIVE(
			"t") "GROUP BY t.owner, t.folder, t.id HAVING COUNT(*) > 1) AS t"},

	/* Bodies. */
	{"several items have it",
		"SELECT " BODY("b") " FROM (SELECT i.owner, i.body_id AS id FROM items i" LIVE(
			"i") "GROUP BY i.owner, i.body_id HAVING COUNT(*) > 1) AS b"},
	{"no item has it",
		"SELECT " BODY("b") " FROM (SELECT b.owner, b.id FROM bodies b" LIVE(
			"b") "EXCEPT SELECT i.owner, i.body_id FROM items i) AS b"},
	{"it has another size than its row says",
		"SELECT " BODY("b") " FROM bodies b" LIVE(
			"b") "WHERE b.file IS NULL AND (b.bytes IS NULL OR LENGTH(b.bytes) <>"
			     " b.body_bytes)"},

	/* The queue: bodies of owner 0 are those of its messages. */
	{"its body is not there",
		"SELECT 'queued message ' || id FROM queue_mails m WHERE NOT EXISTS (SELECT 1 FROM"
		" bodies b WHERE b.owner = 0 AND b.id = m.id AND b.body_bytes = m.bytes)"},
	{"no queued message has it",
		"SELECT 'body ' || id FROM bodies WHERE owner = 0 AND id NOT IN (SELECT id FROM"
		" queue_mails)"},
	{"nobody is to get it",
		"SELECT 'queued message ' || id FROM queue_mails WHERE id NOT IN (SELECT mail FROM"
		" queue_recipients)"},
	{"recipients of a message that is not there",
		"SELECT DISTINCT 'queued message ' || mail FROM queue_recipients WHERE mail NOT IN"
		" (SELECT id FROM queue_mails)"},
	{"equal content with different sizes",
		"SELECT 'body file ' || file FROM bodies WHERE file IS NOT NULL GROUP BY file"
		" HAVING MIN(body_bytes) <> MAX(body_bytes)"},
};
/* clang-format on */

static void tell(const struct store_check_options *o, const char *place, const char *broken)
{
	char *text = x_printf("%s: %s", place, broken);

	o->found(text, o->owner);
	mem_free(text);
}

static int check_rule(struct store_read *rd, const struct rule *rule,
	const struct store_check_options *o, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t count = 0;
	int rc;

	if (store_prepare(rd, rule->sql, &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		if (++count <= PLACES_MAX)
			tell(o, db_col_text(st, 0), rule->broken);
	}
	if (rc == 0 && count > PLACES_MAX) {
		char more[64];

		(void)snprintf(more, sizeof(more), "and %" PRIu64 " others", count - PLACES_MAX);
		tell(o, more, rule->broken);
	}
	return rc;
}

static int stopped(struct err *err)
{
	return err_set(err, ERR_BUSY, "ended early");
}

static bool goes_on(const struct store_check_options *o)
{
	return o->go_on == NULL || o->go_on(o->owner);
}

static void on_damage(const char *text, void *owner)
{
	tell(owner, "database", text);
}

static int count_rows(struct store_read *rd, const char *sql, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, sql, &st, err) < 0)
		return -1;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

static int check_rows(struct store *store, const struct store_check_options *o,
	struct store_check_result *ret, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct store_check_options copy = *o;

	if (store_read_begin(store, &rd, err) < 0 ||
		db_check(rd->conn, o->quick, on_damage, &copy, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM owners WHERE deleted = 0", &ret->owners, err) <
			0 ||
		count_rows(rd, "SELECT COUNT(*) FROM folders", &ret->folders, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM items", &ret->items, err) < 0 ||
		count_rows(rd, "SELECT COUNT(*) FROM bodies", &ret->bodies, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (!goes_on(o))
			return stopped(err);
		if (check_rule(rd, &rules[i], o, err) < 0)
			return err_wrap(err, "checking: %s", rules[i].broken);
	}
	return 0;
}

/* ---- body files ---- */

static void check_file(struct store *store, const struct store_body_file *file,
	const struct store_check_options *o)
{
	CLEANUP(mem_freep) char *path = store_body_file_path(store->data_dir, file->name);
	CLEANUP(mem_freep) char *place = x_printf("body file %s", file->name);
	struct err err = ERR_INIT;
	char hash[STORE_HASH_HEX];
	uint64_t bytes;
	struct stat st;

	if (o->quick) {
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
			tell(o, place, "it is not there");
		else if ((uint64_t)st.st_size != file->bytes)
			tell(o, place, "it has another size than its row says");
		return;
	}
	if (store_files_hash(path, hash, &bytes, &err) < 0)
		tell(o, place, err.code == ERR_NOT_FOUND ? "it is not there" : err.text);
	else if (bytes != file->bytes)
		tell(o, place, "it has another size than its row says");
	else if (!str_eq(hash, file->name))
		tell(o, place, "its content is damaged");
}

static int check_files(
	struct store *store, const struct store_check_options *o, uint64_t *ret, struct err *err)
{
	CLEANUP(mem_freep) struct store_body_file *files = x_calloc(BATCH_FILES, sizeof(*files));
	CLEANUP(fd_close) int hold_fd = -1;
	char after[sizeof(files->name)] = "";
	size_t count;

	if (store_bodies_hold(store->data_dir, &hold_fd, err) < 0)
		return -1;
	do {
		if (store_body_files(store, after, files, BATCH_FILES, &count, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			if (!goes_on(o))
				return stopped(err);
			check_file(store, &files[i], o);
		}
		if (count > 0)
			(void)snprintf(after, sizeof(after), "%s", files[count - 1].name);
		*ret += count;
	} while (count == BATCH_FILES);
	return 0;
}

int store_check(struct store *store, const struct store_check_options *options,
	struct store_check_result *ret, struct err *err)
{
	struct store_check_result result = {0};

	if (store_schema_version(store) != store_schema_newest())
		return err_set(err, ERR_BACKEND,
			"the database has schema version %" PRIu64
			", this program checks version %" PRIu64 ": start the server once",
			store_schema_version(store), store_schema_newest());
	if (check_rows(store, options, &result, err) < 0 ||
		check_files(store, options, &result.body_files, err) < 0)
		return -1;
	*ret = result;
	return 0;
}

/* ---- repair ---- */

struct repair {
	const char *actor;
	uint64_t changed;
};

static int repair_all(struct store_tx *tx, void *owner, struct err *err)
{
	static const char *const statements[] = {
		"UPDATE owners SET used_bytes = COALESCE((SELECT SUM(body_bytes) FROM bodies b"
		" WHERE b.owner = owners.id), 0) WHERE deleted = 0 AND used_bytes <>"
		" COALESCE((SELECT SUM(body_bytes) FROM bodies b WHERE b.owner = owners.id), 0)",
		"UPDATE owners SET last_body = (SELECT MAX(id) FROM bodies b WHERE b.owner ="
		" owners.id) WHERE last_body < (SELECT MAX(id) FROM bodies b WHERE b.owner ="
		" owners.id)",
		"UPDATE owners SET last_folder = (SELECT MAX(id) FROM folders f WHERE f.owner ="
		" owners.id) WHERE last_folder < (SELECT MAX(id) FROM folders f WHERE f.owner ="
		" owners.id)",
		"UPDATE folders SET last_item = (SELECT MAX(id) FROM items i WHERE i.owner ="
		" folders.owner AND i.folder = folders.id) WHERE last_item < (SELECT MAX(id) FROM"
		" items i WHERE i.owner = folders.owner AND i.folder = folders.id)",
		"UPDATE folders SET last_item = (SELECT MAX(id) FROM tombstones t WHERE t.owner ="
		" folders.owner AND t.folder = folders.id) WHERE last_item < (SELECT MAX(id) FROM"
		" tombstones t WHERE t.owner = folders.owner AND t.folder = folders.id)",
		"UPDATE counters SET value = (SELECT MAX(id) FROM owners) WHERE name = 'owner' AND"
		" value < (SELECT MAX(id) FROM owners)",
		"UPDATE counters SET value = (SELECT MAX(id) FROM devices) WHERE name = 'device'"
		" AND value < (SELECT MAX(id) FROM devices)",
		"UPDATE counters SET value = (SELECT MAX(id) FROM event_log) WHERE name ="
		" 'event_log' AND value < (SELECT MAX(id) FROM event_log)",
		ORPHANS("sync_states"),
		ORPHANS("sync_chunks"),
		"DELETE FROM sync_chunks WHERE " STATELESS("sync_chunks"),
		DEVICELESS("sent"),
		DEVICELESS("added"),
		DEVICELESS("device_moves"),
		DEVICELESS("wipes"),
	};
	struct repair *r = owner;
	struct log_row row = {.at = tx->now_at,
		.actor = r->actor,
		.user = "",
		.address = "",
		.device_id = "",
		.device_type = "",
		.action = "check repair",
		.result = "ok"};

	r->changed = 0;
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;

		if (store_prepare_tx(tx, statements[i], &st, err) < 0 || store_run(st, err) < 0)
			return -1;
		r->changed += db_changes(tx->read.conn);
	}
	return r->changed > 0 ? store_log_add(tx, &row, err) : 0;
}

int store_check_repair(struct store *store, const char *actor, uint64_t *ret, struct err *err)
{
	struct repair r = {.actor = actor};

	if (store_transact(store, repair_all, &r, err) < 0)
		return -1;
	*ret = r.changed;
	return 0;
}
