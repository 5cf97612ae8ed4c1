/*
 * The tables, as steps from one version to the next. A step, once released, is never changed: a new
 * one is added. All missing steps run in one transaction, so a database has one version or the
 * other.
 *
 * Every primary key of an owner's data begins with the owner's id. Rows live in their key's tree
 * (WITHOUT ROWID), so a listing walks neighbours. Raw bodies are apart from the items, in the order
 * of their arrival.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_internal.h"

static const char *const step_1[] = {
	"CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL) WITHOUT ROWID",

	"CREATE TABLE domains (name TEXT PRIMARY KEY) WITHOUT ROWID",

	/* next_: the last id given out. deleted: the user is gone, the sweep removes the rest. */
	"CREATE TABLE owners (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL,"
	" quota_bytes BIGINT NOT NULL, used_bytes BIGINT NOT NULL,"
	" tombstone_floor BIGINT NOT NULL, last_folder BIGINT NOT NULL, last_body BIGINT NOT NULL,"
	" deleted BIGINT NOT NULL) WITHOUT ROWID",
	"CREATE INDEX owners_deleted ON owners (id) WHERE deleted = 1",

	"CREATE TABLE users (owner BIGINT PRIMARY KEY, login TEXT NOT NULL, domain TEXT NOT NULL,"
	" display_name TEXT NOT NULL, password_hash TEXT NOT NULL, disabled BIGINT NOT NULL,"
	" epoch BIGINT NOT NULL, created_at BIGINT NOT NULL) WITHOUT ROWID",
	"CREATE UNIQUE INDEX users_by_domain ON users (domain, login)",
	"CREATE INDEX users_by_login ON users (login)",

	/* position 0: the user's own address; aliases follow. */
	"CREATE TABLE addresses (owner BIGINT NOT NULL, position BIGINT NOT NULL,"
	" address TEXT NOT NULL, domain TEXT NOT NULL, PRIMARY KEY (owner, position)) WITHOUT "
	"ROWID",
	"CREATE UNIQUE INDEX addresses_by_address ON addresses (address)",
	"CREATE INDEX addresses_by_domain ON addresses (domain)",

	"CREATE TABLE folders (owner BIGINT NOT NULL, id BIGINT NOT NULL, parent BIGINT NOT NULL,"
	" name TEXT NOT NULL, type BIGINT NOT NULL, role BIGINT NOT NULL,"
	" created_seq BIGINT NOT NULL, changed_seq BIGINT NOT NULL, items_seq BIGINT NOT NULL,"
	" last_item BIGINT NOT NULL, deleted BIGINT NOT NULL, PRIMARY KEY (owner, id)) WITHOUT "
	"ROWID",

	"CREATE TABLE items (owner BIGINT NOT NULL, folder BIGINT NOT NULL, id BIGINT NOT NULL,"
	" date_at BIGINT NOT NULL, changed_seq BIGINT NOT NULL, created_seq BIGINT NOT NULL,"
	" content_seq BIGINT NOT NULL, read_seq BIGINT NOT NULL, flag_seq BIGINT NOT NULL,"
	" categories_seq BIGINT NOT NULL, verb_seq BIGINT NOT NULL, item_class BIGINT NOT NULL,"
	" is_read BIGINT NOT NULL, flag_status BIGINT NOT NULL, last_verb BIGINT NOT NULL,"
	" last_verb_at BIGINT NOT NULL, body_id BIGINT NOT NULL, body_bytes BIGINT NOT NULL,"
	" flag BYTEA, categories BYTEA, summary BYTEA,"
	" PRIMARY KEY (owner, folder, id)) WITHOUT ROWID",
	"CREATE INDEX items_by_change ON items (owner, folder, changed_seq, id)",
	"CREATE INDEX items_by_date ON items (owner, folder, date_at, id)",

	"CREATE TABLE tombstones (owner BIGINT NOT NULL, folder BIGINT NOT NULL,"
	" seq BIGINT NOT NULL, id BIGINT NOT NULL, created_seq BIGINT NOT NULL,"
	" date_at BIGINT NOT NULL, item_class BIGINT NOT NULL, deleted_at BIGINT NOT NULL,"
	" PRIMARY KEY (owner, folder, seq, id)) WITHOUT ROWID",
	"CREATE INDEX tombstones_by_age ON tombstones (deleted_at)",

	/* Either bytes, or the name of a file (its content's hash). */
	"CREATE TABLE bodies (owner BIGINT NOT NULL, id BIGINT NOT NULL, body_bytes BIGINT NOT "
	"NULL,"
	" file TEXT, bytes BYTEA, PRIMARY KEY (owner, id)) WITHOUT ROWID",
	"CREATE INDEX bodies_by_file ON bodies (file) WHERE file IS NOT NULL",

	"CREATE TABLE devices (owner BIGINT NOT NULL, id BIGINT NOT NULL, device_id TEXT NOT NULL,"
	" device_type TEXT NOT NULL, user_agent TEXT NOT NULL, model TEXT NOT NULL,"
	" os TEXT NOT NULL, friendly_name TEXT NOT NULL, phone_number TEXT NOT NULL,"
	" imei TEXT NOT NULL, language TEXT NOT NULL, operator_name TEXT NOT NULL,"
	" protocol_version BIGINT NOT NULL, first_seen_at BIGINT NOT NULL,"
	" last_seen_at BIGINT NOT NULL, policy_key BIGINT NOT NULL,"
	" policy_key_temporary BIGINT NOT NULL, policy_status BIGINT NOT NULL,"
	" policy_version BIGINT NOT NULL, provisioned_at BIGINT NOT NULL, wipe BIGINT NOT NULL,"
	" wipe_at BIGINT NOT NULL, blocked BIGINT NOT NULL, epoch BIGINT NOT NULL,"
	" ping_heartbeat_s BIGINT NOT NULL, ping_folders BYTEA, sync_request BYTEA,"
	" PRIMARY KEY (owner, id)) WITHOUT ROWID",
	"CREATE UNIQUE INDEX devices_by_id ON devices (id)",
	"CREATE UNIQUE INDEX devices_by_device_id ON devices (owner, device_id)",

	"CREATE TABLE policies (id BIGINT PRIMARY KEY, version BIGINT NOT NULL,"
	" settings TEXT NOT NULL) WITHOUT ROWID",

	"CREATE TABLE sync_states (owner BIGINT NOT NULL, device BIGINT NOT NULL,"
	" folder BIGINT NOT NULL, generation BIGINT NOT NULL, sync_key BIGINT NOT NULL, state "
	"BYTEA,"
	" PRIMARY KEY (owner, device, folder, generation)) WITHOUT ROWID",
	"CREATE INDEX sync_states_by_device ON sync_states (device)",

	"CREATE TABLE sent (owner BIGINT NOT NULL, device BIGINT NOT NULL, sent_key TEXT NOT NULL,"
	" sent_at BIGINT NOT NULL, PRIMARY KEY (owner, device, sent_key)) WITHOUT ROWID",

	"CREATE TABLE event_log (id BIGINT PRIMARY KEY, logged_at BIGINT NOT NULL,"
	" actor TEXT NOT NULL, user_name TEXT NOT NULL, address TEXT NOT NULL,"
	" device_id TEXT NOT NULL, device_type TEXT NOT NULL, action TEXT NOT NULL,"
	" result TEXT NOT NULL) WITHOUT ROWID",
	"CREATE INDEX event_log_by_user ON event_log (user_name, id)",
	NULL,
};

/* Which messages belong together: a hash of the conversation's id; 0: unknown, a conversation of
 * its own. */
static const char *const step_2[] = {
	"ALTER TABLE items ADD COLUMN conversation BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE tombstones ADD COLUMN conversation BIGINT NOT NULL DEFAULT 0",
	"CREATE INDEX items_by_conversation ON items (owner, folder, conversation, date_at, id)"
	" WHERE conversation <> 0",

	/* Pieces of large inventories, named by their content, shared by the generations. */
	"CREATE TABLE sync_chunks (owner BIGINT NOT NULL, device BIGINT NOT NULL,"
	" folder BIGINT NOT NULL, chunk BIGINT NOT NULL, bytes BYTEA NOT NULL,"
	" PRIMARY KEY (owner, device, folder, chunk)) WITHOUT ROWID",
	"CREATE INDEX sync_chunks_by_device ON sync_chunks (device)",
	NULL,
};

/* What crashed the engine. set_aside_at, refused_at: 0 while it is only counted. */
static const char *const step_3[] = {
	"CREATE TABLE poison_items (owner BIGINT NOT NULL, folder BIGINT NOT NULL,"
	" item BIGINT NOT NULL, crashes BIGINT NOT NULL, last_crash BIGINT NOT NULL,"
	" last_at BIGINT NOT NULL, set_aside_at BIGINT NOT NULL, reason TEXT NOT NULL,"
	" content BIGINT NOT NULL, PRIMARY KEY (owner, folder, item)) WITHOUT ROWID",
	"CREATE INDEX poison_items_by_content ON poison_items (content) WHERE content <> 0",

	/* Copies of one message lie in many mailboxes: a hash of what they have in common. */
	"CREATE TABLE poison_contents (content BIGINT PRIMARY KEY, crashes BIGINT NOT NULL,"
	" last_crash BIGINT NOT NULL, last_at BIGINT NOT NULL) WITHOUT ROWID",

	/* owner 0: a message that came in and had no owner yet. */
	"CREATE TABLE poison_requests (owner BIGINT NOT NULL, hash BIGINT NOT NULL,"
	" device BIGINT NOT NULL, command TEXT NOT NULL, crashes BIGINT NOT NULL,"
	" last_crash BIGINT NOT NULL, last_at BIGINT NOT NULL, refused_at BIGINT NOT NULL,"
	" PRIMARY KEY (owner, hash)) WITHOUT ROWID",
	"CREATE INDEX poison_requests_by_age ON poison_requests (last_at)",
	NULL,
};

/* Which item a phone's Add became, so that one which comes again is not a second item. add_hash: of
 * all that is in the Add. */
static const char *const step_4[] = {
	"CREATE TABLE added (owner BIGINT NOT NULL, device BIGINT NOT NULL,"
	" folder BIGINT NOT NULL, add_hash BIGINT NOT NULL, item BIGINT NOT NULL,"
	" added_at BIGINT NOT NULL, PRIMARY KEY (owner, device, folder, add_hash)) WITHOUT ROWID",
	NULL,
};

/* Items of deleted and of emptied folders, up to that id, which are to go; device: whose wish it
 * was. */
static const char *const step_5[] = {
	"CREATE TABLE purges (owner BIGINT NOT NULL, folder BIGINT NOT NULL,"
	" up_to BIGINT NOT NULL, device BIGINT NOT NULL, PRIMARY KEY (owner, folder))"
	" WITHOUT ROWID",
	NULL,
};

/* What each device moved with its last request. */
static const char *const step_6[] = {
	"CREATE TABLE device_moves (owner BIGINT NOT NULL, device BIGINT NOT NULL, moves BYTEA,"
	" PRIMARY KEY (owner, device)) WITHOUT ROWID",
	NULL,
};

/* Mail on its way out (store_queue.c). A message's body is a body of owner 0 under its number.
 * next_at: the soonest of its recipients'; the largest number while all are held. */
static const char *const step_7[] = {
	"CREATE TABLE queue_mails (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL,"
	" sender TEXT NOT NULL, queued_at BIGINT NOT NULL, bytes BIGINT NOT NULL,"
	" next_at BIGINT NOT NULL) WITHOUT ROWID",
	"CREATE INDEX queue_mails_by_time ON queue_mails (next_at, id)",
	"CREATE INDEX queue_mails_by_owner ON queue_mails (owner)",

	"CREATE TABLE queue_recipients (mail BIGINT NOT NULL, position BIGINT NOT NULL,"
	" address TEXT NOT NULL, state BIGINT NOT NULL, attempts BIGINT NOT NULL,"
	" next_at BIGINT NOT NULL, last_at BIGINT NOT NULL, answer TEXT NOT NULL,"
	" PRIMARY KEY (mail, position)) WITHOUT ROWID",
	NULL,
};

/* Where new mail of a conversation goes instead of the Inbox. */
static const char *const step_8[] = {
	"CREATE TABLE conversation_rules (owner BIGINT NOT NULL, conversation BIGINT NOT NULL,"
	" folder BIGINT NOT NULL, made_at BIGINT NOT NULL, PRIMARY KEY (owner, conversation))"
	" WITHOUT ROWID",
	NULL,
};

/* Which messages an import brought into a folder, by a hash of their bytes: a second run brings
 * none twice, also of those that were deleted or moved since. */
static const char *const step_9[] = {
	"CREATE TABLE imported (owner BIGINT NOT NULL, folder BIGINT NOT NULL,"
	" hash BYTEA NOT NULL, imported_at BIGINT NOT NULL,"
	" PRIMARY KEY (owner, folder, hash)) WITHOUT ROWID",
	"CREATE INDEX imported_by_age ON imported (imported_at)",
	NULL,
};

/* Out of office, as phones set it; what a phone leaves for the case that its password is forgotten.
 */
static const char *const step_10[] = {
	"CREATE TABLE oof (owner BIGINT PRIMARY KEY, state BIGINT NOT NULL,"
	" start_at BIGINT NOT NULL, end_at BIGINT NOT NULL) WITHOUT ROWID",
	"CREATE TABLE oof_messages (owner BIGINT NOT NULL, audience BIGINT NOT NULL,"
	" enabled BIGINT NOT NULL, html BIGINT NOT NULL, message TEXT NOT NULL,"
	" PRIMARY KEY (owner, audience)) WITHOUT ROWID",
	"ALTER TABLE devices ADD COLUMN recovery_password TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE devices ADD COLUMN outbound_sms BIGINT NOT NULL DEFAULT 0",
	NULL,
};

/* When a folder was deleted, so that its row need not stay for ever. folder_floor: the newest
 * deletion of a folder that is forgotten. */
static const char *const step_11[] = {
	"ALTER TABLE folders ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0",
	"CREATE INDEX folders_deleted ON folders (deleted_at, owner, id) WHERE deleted = 1",
	"ALTER TABLE owners ADD COLUMN folder_floor BIGINT NOT NULL DEFAULT 0",
	NULL,
};

/* When an item came into its folder (0: before this version; counters has when that began, as
 * expiry_since). How many days a user's Junk and Deleted Items are kept: -1: as the server says.
 * quota_warned: the warning that the mailbox is nearly full was given. */
static const char *const step_12[] = {
	"ALTER TABLE items ADD COLUMN arrived_at BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE owners ADD COLUMN junk_days BIGINT NOT NULL DEFAULT -1",
	"ALTER TABLE owners ADD COLUMN deleted_days BIGINT NOT NULL DEFAULT -1",
	"ALTER TABLE owners ADD COLUMN quota_warned BIGINT NOT NULL DEFAULT 0",
	NULL,
};

/* Groups of users. */
static const char *const step_13[] = {
	"CREATE TABLE user_groups (id BIGINT PRIMARY KEY, name TEXT NOT NULL,"
	" name_key TEXT NOT NULL, rank_number BIGINT NOT NULL) WITHOUT ROWID",
	"CREATE UNIQUE INDEX user_groups_by_name ON user_groups (name_key)",
	"CREATE TABLE group_members (group_id BIGINT NOT NULL, owner BIGINT NOT NULL,"
	" PRIMARY KEY (group_id, owner)) WITHOUT ROWID",
	"CREATE INDEX group_members_by_owner ON group_members (owner)",
	NULL,
};

/* Who administers; what lets in beside a password (store_credential.h); the event log in the order
 * of its times, for each way to search it. */
static const char *const step_14[] = {
	"ALTER TABLE users ADD COLUMN admin BIGINT NOT NULL DEFAULT 0",

	"CREATE TABLE app_passwords (owner BIGINT NOT NULL, id BIGINT NOT NULL, name TEXT NOT NULL,"
	" verifier TEXT NOT NULL, binding BIGINT NOT NULL, device_id TEXT NOT NULL,"
	" created_at BIGINT NOT NULL, created_by TEXT NOT NULL, last_used_at BIGINT NOT NULL,"
	" last_device_id TEXT NOT NULL, last_address TEXT NOT NULL, PRIMARY KEY (owner, id))"
	" WITHOUT ROWID",
	"CREATE UNIQUE INDEX app_passwords_by_verifier ON app_passwords (verifier)",

	"CREATE TABLE api_tokens (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, name TEXT NOT NULL,"
	" hash TEXT NOT NULL, scopes TEXT NOT NULL, created_at BIGINT NOT NULL,"
	" created_by TEXT NOT NULL, expires_at BIGINT NOT NULL, last_used_at BIGINT NOT NULL,"
	" last_address TEXT NOT NULL) WITHOUT ROWID",
	"CREATE UNIQUE INDEX api_tokens_by_name ON api_tokens (name)",
	"CREATE UNIQUE INDEX api_tokens_by_hash ON api_tokens (hash)",
	"CREATE INDEX api_tokens_by_owner ON api_tokens (owner)",

	"CREATE TABLE web_sessions (hash TEXT PRIMARY KEY, owner BIGINT NOT NULL,"
	" csrf TEXT NOT NULL, created_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL,"
	" expires_at BIGINT NOT NULL, address TEXT NOT NULL, user_agent TEXT NOT NULL)"
	" WITHOUT ROWID",
	"CREATE INDEX web_sessions_by_owner ON web_sessions (owner)",
	"CREATE INDEX web_sessions_by_end ON web_sessions (expires_at)",

	"DROP INDEX event_log_by_user",
	"CREATE INDEX event_log_by_time ON event_log (logged_at, id)",
	"CREATE INDEX event_log_by_user ON event_log (user_name, logged_at, id)",
	"CREATE INDEX event_log_by_actor ON event_log (actor, logged_at, id)",
	"CREATE INDEX event_log_by_action ON event_log (action, logged_at, id)",
	"CREATE INDEX event_log_by_device ON event_log (device_id, logged_at, id)"
	" WHERE device_id <> ''",
	NULL,
};

/* Which devices may synchronize, and with what. scope_values: service switches and default access,
 * by scope. devices.blocked is of before: access_own has it since. */
static const char *const step_15[] = {
	"CREATE TABLE access_rules (id BIGINT PRIMARY KEY, position BIGINT NOT NULL,"
	" state BIGINT NOT NULL, rule TEXT NOT NULL, note TEXT NOT NULL) WITHOUT ROWID",
	"CREATE TABLE access_texts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
	"CREATE TABLE scope_values (scope BIGINT NOT NULL, scope_id BIGINT NOT NULL,"
	" scope_name TEXT NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL,"
	" PRIMARY KEY (scope, scope_id, scope_name, name)) WITHOUT ROWID",
	"CREATE TABLE unseen_devices (owner BIGINT NOT NULL, device_id TEXT NOT NULL,"
	" state BIGINT NOT NULL, laid_down_at BIGINT NOT NULL, PRIMARY KEY (owner, device_id))"
	" WITHOUT ROWID",
	"CREATE TABLE device_usage (device BIGINT PRIMARY KEY, day BIGINT NOT NULL,"
	" items BIGINT NOT NULL, bytes BIGINT NOT NULL) WITHOUT ROWID",
	"ALTER TABLE devices ADD COLUMN access_own BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN access_state BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN access_reason TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE devices ADD COLUMN access_at BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN access_report BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN informed_at BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN ceiling BIGINT NOT NULL DEFAULT 0",
	"UPDATE devices SET access_own = 2 WHERE blocked = 1",
	"UPDATE devices SET informed_at = last_seen_at WHERE model <> '' OR os <> ''",
	"CREATE INDEX devices_to_report ON devices (access_at, id) WHERE access_report = 1",
	NULL,
};

/* Orders to erase phones, and what authenticates a phone that is to hear of one. */
static const char *const step_16[] = {
	"ALTER TABLE devices ADD COLUMN wipe_account BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE devices ADD COLUMN credential TEXT NOT NULL DEFAULT ''",
	"CREATE TABLE wipes (owner BIGINT NOT NULL, device BIGINT NOT NULL,"
	" number BIGINT NOT NULL, account_only BIGINT NOT NULL, by_owner BIGINT NOT NULL,"
	" state BIGINT NOT NULL, asked_by TEXT NOT NULL, asked_at BIGINT NOT NULL,"
	" sent_at BIGINT NOT NULL, answered_at BIGINT NOT NULL, ended_by TEXT NOT NULL,"
	" ended_at BIGINT NOT NULL, PRIMARY KEY (owner, device, number)) WITHOUT ROWID",
	"INSERT INTO wipes (owner, device, number, account_only, by_owner, state, asked_by,"
	" asked_at, sent_at, answered_at, ended_by, ended_at)"
	" SELECT owner, id, 1, 0, 0, wipe, '', wipe_at, 0, 0, '', 0 FROM devices WHERE wipe <> 0",
	NULL,
};

/* Policies by name, and whom they are for; policy 0, of an exception: none. */
static const char *const step_17[] = {
	"ALTER TABLE policies ADD COLUMN name TEXT NOT NULL DEFAULT 'default'",
	"ALTER TABLE policies ADD COLUMN name_key TEXT NOT NULL DEFAULT 'default'",
	"ALTER TABLE policies ADD COLUMN description TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE policies ADD COLUMN is_default BIGINT NOT NULL DEFAULT 0",
	"ALTER TABLE policies ADD COLUMN options TEXT NOT NULL DEFAULT ''",
	"INSERT INTO policies (id, version, settings) VALUES (1, 1, '') ON CONFLICT (id) DO "
	"NOTHING",
	"UPDATE policies SET is_default = 1 WHERE id = 1",
	"CREATE UNIQUE INDEX policies_by_name ON policies (name_key)",
	"INSERT INTO counters (name, value) VALUES ('policy', 1)",
	"CREATE TABLE policy_scopes (exception BIGINT NOT NULL, scope BIGINT NOT NULL,"
	" scope_id BIGINT NOT NULL, scope_name TEXT NOT NULL, policy BIGINT NOT NULL,"
	" PRIMARY KEY (exception, scope, scope_id, scope_name)) WITHOUT ROWID",
	NULL,
};

/* Who got an automatic reply in the absence that is. */
static const char *const step_18[] = {
	"CREATE TABLE oof_replies (owner BIGINT NOT NULL, address TEXT NOT NULL,"
	" replied_at BIGINT NOT NULL, PRIMARY KEY (owner, address)) WITHOUT ROWID",
	"CREATE INDEX oof_replies_by_age ON oof_replies (replied_at)",
	NULL,
};

/* A phone by its DeviceId alone; the few phones that something is the matter with (store_page.c
 * says the same words); the few addresses that are aliases; wipes by their time. */
static const char *const step_19[] = {
	"CREATE INDEX devices_by_name ON devices (device_id)",
	"CREATE INDEX devices_apart ON devices (owner, id) WHERE"
	" (wipe <> 0 OR access_own <> 0 OR access_state > 1 OR policy_status > 1)",
	"CREATE INDEX aliases ON addresses (owner, position) WHERE position > 0",
	"CREATE INDEX wipes_by_time ON wipes (asked_at, owner, device, number)",
	NULL,
};

/* Devices in the orders that lists have (store_page.c), so that a page is read where it stands. */
static const char *const step_20[] = {
	"CREATE INDEX devices_by_seen ON devices (last_seen_at, owner, id)",
	"CREATE INDEX devices_by_first_seen ON devices (first_seen_at, owner, id)",
	"CREATE INDEX devices_by_model ON devices (lower(model), owner, id)",
	"CREATE INDEX devices_by_type ON devices (lower(device_type), owner, id)",
	"CREATE INDEX devices_by_version ON devices (protocol_version, owner, id)",
	NULL,
};

/* Phones which were wiped and whose user is gone, for a user of the same address to come. */
static const char *const step_21[] = {
	"CREATE TABLE wiped_devices (address TEXT NOT NULL, device_id TEXT NOT NULL,"
	" device_type TEXT NOT NULL, user_agent TEXT NOT NULL, model TEXT NOT NULL,"
	" first_seen_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL,"
	" protocol_version BIGINT NOT NULL, account_only BIGINT NOT NULL, asked_by TEXT NOT NULL,"
	" asked_at BIGINT NOT NULL, sent_at BIGINT NOT NULL, answered_at BIGINT NOT NULL,"
	" PRIMARY KEY (address, device_id)) WITHOUT ROWID",
	NULL,
};

const struct store_schema_step store_schema_steps[] = {{step_1}, {step_2}, {step_3}, {step_4},
	{step_5}, {step_6}, {step_7}, {step_8}, {step_9}, {step_10}, {step_11}, {step_12},
	{step_13}, {step_14}, {step_15}, {step_16}, {step_17}, {step_18}, {step_19}, {step_20},
	{step_21}};
const size_t store_schema_step_count = sizeof(store_schema_steps) / sizeof(store_schema_steps[0]);

struct migration {
	const struct store_schema_step *steps;
	size_t count;
};

static int read_version(struct db_conn *conn, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (db_exec(conn,
		    "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY,"
		    " version BIGINT NOT NULL) WITHOUT ROWID",
		    err) < 0)
		return -1;
	if (db_prepare(conn, "SELECT version FROM schema_version WHERE id = 1", &st, err) < 0)
		return -1;
	*ret = 0;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

static int too_new(uint64_t version, size_t known, struct err *err)
{
	return err_set(err, ERR_BACKEND,
		"the database has schema version %" PRIu64
		", this program knows versions up to %zu: use the newer program",
		version, known);
}

int store_schema_read(struct db *db, uint64_t *ret, struct err *err)
{
	struct db_conn *conn = NULL;
	struct db_stmt *st = NULL;
	uint64_t version = 0;
	int rc;

	if (db_read_begin(db, &conn, err) < 0)
		return -1;
	rc = db_prepare(conn, "SELECT version FROM schema_version WHERE id = 1", &st, err);
	if (rc == 0)
		rc = store_run_u64(st, &version, err);
	db_done(&st);
	db_read_end(&conn);
	if (rc < 0)
		return -1;
	if (version == 0)
		return err_set(err, ERR_BACKEND, "the database is not a store of ours");
	if (version > store_schema_step_count)
		return too_new(version, store_schema_step_count, err);
	*ret = version;
	return 0;
}

static int write_version(struct db_conn *conn, uint64_t version, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (db_prepare(conn,
		    "INSERT INTO schema_version (id, version) VALUES (1, $1)"
		    " ON CONFLICT (id) DO UPDATE SET version = excluded.version",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, version);
	return store_run(st, err);
}

static int migrate(struct db_conn *conn, void *owner, struct err *err)
{
	const struct migration *m = owner;
	uint64_t version;

	if (read_version(conn, &version, err) < 0)
		return -1;
	if (version > m->count)
		return too_new(version, m->count, err);
	if (version == m->count)
		return 0;
	for (size_t i = version; i < m->count; i++) {
		for (const char *const *sql = m->steps[i].statements; *sql != NULL; sql++) {
			if (db_exec(conn, *sql, err) < 0)
				return err_wrap(err, "schema version %zu", i + 1);
		}
	}
	return write_version(conn, m->count, err);
}

int store_schema_migrate(
	struct db *db, const struct store_schema_step *steps, size_t count, struct err *err)
{
	struct migration m = {steps, count};

	return db_transact(db, migrate, &m, err);
}
