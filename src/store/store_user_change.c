/*
 * Users as they come, change and go. All addresses of all users are in one table, whose unique
 * index decides who is first.
 *
 * Whatever may end a login or a waiting phone (password, disabled, addresses, deletion) raises the
 * user's epoch, takes a seq of the owner and publishes CHANGE_USER.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_credential.h"
#include "store/store_internal.h"
#include "store/store_rules.h"
#include "store/store_wipe.h"

/* RFC 5321, 4.5.3.1; the domain's limit is in store_domain.c. */
enum { LOGIN_MAX_BYTES = 64, DISPLAY_NAME_MAX_BYTES = 256 };

/* ---- creating ---- */

static int check_login(const char *login, struct err *err)
{
	size_t len = strlen(login);

	if (len == 0 || len > LOGIN_MAX_BYTES || !utf8_valid(login, len))
		return err_set(err, ERR_BAD_INPUT, "a user name has 1 to %d bytes of UTF-8",
			LOGIN_MAX_BYTES);
	for (const char *p = login; *p != '\0'; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("@\\:<>()[],;\"", *p) != NULL)
			return err_set(err, ERR_BAD_INPUT,
				"a user name has no blanks, controls or any of @\\:<>()[],;\"");
	}
	return 0;
}

/* address: lower case. position 0: the user's own. */
static int insert_address(struct store_tx *tx, struct owner_id owner, uint64_t position,
	const char *address, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	const char *domain = strrchr(address, '@') + 1;
	bool exists = false;

	if (store_domain_exists(&tx->read, domain, &exists, err) < 0)
		return -1;
	if (!exists)
		return err_set(err, ERR_NOT_FOUND, "there is no domain %s here", domain);
	if (store_prepare_tx(tx,
		    "INSERT INTO addresses (owner, position, address, domain)"
		    " VALUES ($1, $2, $3, $4) ON CONFLICT (address) DO NOTHING",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, position);
	db_bind_text(st, 3, address);
	db_bind_text(st, 4, domain);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "the address %s is taken", address);
	return 0;
}

static int insert_owner(struct store_tx *tx, struct owner_id *ret, struct err *err)
{
	if (store_counter_next(tx, "owner", &ret->v, err) < 0)
		return -1;
	return store_run_id(tx,
		"INSERT INTO owners (id, seq, quota_bytes, used_bytes, tombstone_floor, "
		"last_folder,"
		" last_body, deleted) VALUES ($1, 0, 0, 0, 0, 0, 0, 0)",
		ret->v, err);
}

static int insert_user(struct store_tx *tx, const struct user *user, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO users (owner, login, domain, display_name, password_hash, "
		    "disabled,"
		    " epoch, created_at) VALUES ($1, $2, $3, $4, $5, 0, 1, $6)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, user->id.v);
	db_bind_text(st, 2, user->login);
	db_bind_text(st, 3, user->domain);
	db_bind_text(st, 4, user->display_name);
	db_bind_text(st, 5, user->password_hash);
	db_bind_i64(st, 6, user->created_at);
	return store_run(st, err);
}

static int publish_user(struct store_tx *tx, struct owner_id id, struct err *err)
{
	struct change_event event = {.owner = id, .kinds = CHANGE_USER};

	if (store_tx_seq(tx, id, &event.seq, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}

int store_user_add(struct store_tx *tx, const char *login, const char *domain,
	const char *display_name, const char *password_hash, int64_t now_at, struct owner_id *ret,
	struct err *err)
{
	CLEANUP(mem_freep) char *login_lower = str_lower(x_strdup(login));
	CLEANUP(mem_freep) char *domain_lower = str_lower(x_strdup(domain));
	CLEANUP(mem_freep) char *address = x_printf("%s@%s", login_lower, domain_lower);
	struct user user = {.login = login_lower,
		.domain = domain_lower,
		.display_name = display_name,
		.password_hash = password_hash,
		.created_at = now_at};
	size_t name_len = strlen(display_name);

	if (check_login(login, err) < 0)
		return -1;
	if (name_len > DISPLAY_NAME_MAX_BYTES || !utf8_valid(display_name, name_len))
		return err_set(err, ERR_BAD_INPUT, "a display name has at most %d bytes of UTF-8",
			DISPLAY_NAME_MAX_BYTES);
	if (insert_owner(tx, &user.id, err) < 0 ||
		insert_address(tx, user.id, 0, address, err) < 0 ||
		insert_user(tx, &user, err) < 0 ||
		store_folder_add_defaults(tx, user.id, err) < 0 ||
		store_wipe_bring_back(tx, address, user.id, err) < 0 ||
		publish_user(tx, user.id, err) < 0)
		return -1;
	*ret = user.id;
	return 0;
}

/* ---- changing ---- */

/* After a statement that raised the epoch. */
static int changed_user(
	struct store_tx *tx, struct db_stmt *st, struct owner_id id, struct err *err)
{
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "no user with id %" PRIu64, id.v);
	return publish_user(tx, id, err);
}

int store_user_touch(struct store_tx *tx, struct owner_id id, struct err *err)
{
	return publish_user(tx, id, err);
}

static int raise_epoch(struct store_tx *tx, struct owner_id id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "UPDATE users SET epoch = epoch + 1 WHERE owner = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, id.v);
	return changed_user(tx, st, id, err);
}

int store_user_set_password(
	struct store_tx *tx, struct owner_id id, const char *password_hash, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE users SET password_hash = $2, epoch = epoch + 1 WHERE owner = $1", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_text(st, 2, password_hash);
	if (changed_user(tx, st, id, err) < 0)
		return -1;
	return store_session_end_all(tx, id, err);
}

int store_user_set_disabled(struct store_tx *tx, struct owner_id id, bool disabled, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL, *look = NULL;
	uint64_t now = 0;
	int rc;

	if (store_prepare_tx(tx, "SELECT disabled FROM users WHERE owner = $1", &look, err) < 0)
		return -1;
	db_bind_u64(look, 1, id.v);
	rc = store_run_u64(look, &now, err);
	if (rc < 0 || (rc > 0 && (now != 0) == disabled))
		return rc < 0 ? -1 : 0;
	if (store_prepare_tx(tx,
		    "UPDATE users SET disabled = $2, epoch = epoch + 1 WHERE owner = $1", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, disabled);
	if (changed_user(tx, st, id, err) < 0)
		return -1;
	return store_session_end_all(tx, id, err);
}

int store_user_set_admin(struct store_tx *tx, struct owner_id id, bool admin, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	/* Phones have nothing to do with it: no epoch, no event. */
	if (store_prepare_tx(tx, "UPDATE users SET admin = $2 WHERE owner = $1 AND admin <> $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, admin);
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? 0 : store_session_end_all(tx, id, err);
}

int store_user_set_quota(
	struct store_tx *tx, struct owner_id id, uint64_t quota_bytes, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (quota_bytes > INT64_MAX)
		return err_set(err, ERR_BAD_INPUT, "a quota of %" PRIu64 " bytes is too large",
			quota_bytes);
	if (store_prepare_tx(tx,
		    "UPDATE owners SET quota_bytes = $2, quota_warned = 0 WHERE id = $1 AND "
		    "deleted = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_u64(st, 2, quota_bytes);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "no user with id %" PRIu64, id.v);
	return 0;
}

void store_set_quota_warning(struct store *store, uint64_t percent)
{
	atomic_store(&store->quota_warn_percent, MIN(percent, (uint64_t)100));
}

int store_quota_warn(struct store_tx *tx, struct owner_id owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct log_row row = {.at = tx->now_at,
		.actor = "server",
		.address = "",
		.device_id = "",
		.device_type = "",
		.action = "mailbox nearly full"};
	struct user *user;

	if (store_run_id(tx, "UPDATE owners SET quota_warned = 1 WHERE id = $1", owner.v, err) <
			0 ||
		store_user_load(store_tx_read(tx), owner, arena, &user, err) < 0)
		return -1;
	row.user = arena_x_printf(arena, "%s@%s", user->login, user->domain);
	row.result = arena_x_printf(
		arena, "%" PRIu64 " of %" PRIu64 " bytes", user->used_bytes, user->quota_bytes);
	return store_log_add(tx, &row, err);
}

int store_user_set_expiry(struct store_tx *tx, struct owner_id id, int64_t junk_days,
	int64_t deleted_days, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (junk_days < STORE_DAYS_DEFAULT || junk_days > STORE_DAYS_MAX ||
		deleted_days < STORE_DAYS_DEFAULT || deleted_days > STORE_DAYS_MAX)
		return err_set(err, ERR_BAD_INPUT, "days go from 0 to %d", STORE_DAYS_MAX);
	if (store_prepare_tx(tx,
		    "UPDATE owners SET junk_days = $2, deleted_days = $3 WHERE id = $1 AND deleted "
		    "= 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	db_bind_i64(st, 2, junk_days);
	db_bind_i64(st, 3, deleted_days);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "no user with id %" PRIu64, id.v);
	return 0;
}

/* What is laid down for the user and for each of the devices. */
static int forget_scopes(struct store_tx *tx, struct owner_id id, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct scope user = {SCOPE_USER, id.v, ""};
	struct device *devices;
	size_t count;

	if (store_scope_forget(tx, &user, err) < 0 ||
		store_device_list(&tx->read, id, arena, &devices, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct scope device = {SCOPE_DEVICE, devices[i].id.v, ""};

		if (store_scope_forget(tx, &device, err) < 0)
			return -1;
	}
	return 0;
}

int store_user_delete(struct store_tx *tx, struct owner_id id, struct err *err)
{
	/* What there is much of waits for the sweep; nobody finds it any more. */
	if (raise_epoch(tx, id, err) < 0 || forget_scopes(tx, id, err) < 0 ||
		store_wipe_keep(tx, id, err) < 0 ||
		store_run_id(tx, "DELETE FROM users WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM addresses WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM folders WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx,
			"DELETE FROM sync_states WHERE owner = $1 OR device IN"
			" (SELECT id FROM devices WHERE owner = $1)",
			id.v, err) < 0 ||
		store_run_id(tx,
			"DELETE FROM sync_chunks WHERE owner = $1 OR device IN"
			" (SELECT id FROM devices WHERE owner = $1)",
			id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM sent WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM added WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM purges WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM app_passwords WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM api_tokens WHERE owner = $1", id.v, err) < 0 ||
		store_session_end_all(tx, id, err) < 0 ||
		store_run_id(tx, "DELETE FROM oof WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM oof_messages WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM oof_replies WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM device_moves WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM group_members WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM conversation_rules WHERE owner = $1", id.v, err) <
			0 ||
		store_run_id(tx, "DELETE FROM unseen_devices WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM scope_values WHERE scope = 3 AND scope_id = $1", id.v,
			err) < 0 ||
		store_run_id(tx,
			"DELETE FROM device_usage WHERE device IN"
			" (SELECT id FROM devices WHERE owner = $1)",
			id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM wipes WHERE owner = $1", id.v, err) < 0 ||
		store_run_id(tx, "DELETE FROM devices WHERE owner = $1", id.v, err) < 0)
		return -1;
	return store_run_id(tx, "UPDATE owners SET deleted = 1 WHERE id = $1", id.v, err);
}

/* ---- aliases ---- */

static char *alias_of(const char *address, struct err *err)
{
	CLEANUP(mem_freep) char *lower = str_lower(x_strdup(address));
	char *at = strrchr(lower, '@');

	if (at == NULL) {
		(void)err_set(err, ERR_BAD_INPUT, "%.200s is no address: it has no @", address);
		return NULL;
	}
	*at = '\0';
	if (check_login(lower, err) < 0)
		return NULL;
	*at = '@';
	return TAKE(lower);
}

static int next_position(struct store_tx *tx, struct owner_id id, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "SELECT coalesce(max(position), 0) + 1 FROM addresses WHERE owner = $1", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_alias_add(struct store_tx *tx, struct owner_id id, const char *address, struct err *err)
{
	CLEANUP(mem_freep) char *alias = alias_of(address, err);
	uint64_t position = 0;

	if (alias == NULL || raise_epoch(tx, id, err) < 0 ||
		next_position(tx, id, &position, err) < 0)
		return -1;
	if (insert_address(tx, id, position, alias, err) < 0)
		return -1;
	return store_wipe_bring_back(tx, alias, id, err);
}

int store_alias_delete(struct store_tx *tx, const char *address, struct err *err)
{
	CLEANUP(mem_freep) char *alias = str_lower(x_strdup(address));
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct owner_id id;
	int rc;

	if (store_prepare_tx(tx,
		    "DELETE FROM addresses WHERE address = $1 AND position > 0 RETURNING owner",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, alias);
	rc = store_run_u64(st, &id.v, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no alias %.200s", address);
	return rc < 0 ? -1 : raise_epoch(tx, id, err);
}
