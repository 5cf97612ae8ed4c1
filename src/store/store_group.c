/*
 * Groups of users, and the number which says that rules changed. A group's name is unique without
 * regard to ASCII case (column key).
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"
#include "store/store_rules.h"

enum { NAME_MAX_BYTES = 64 };

/* ---- scopes and the number ---- */

const char *scope_kind_to_str(enum scope_kind kind)
{
	static const char *const names[SCOPE_KINDS] = {
		"organisation", "domain", "group", "user", "device"};

	return (unsigned)kind < SCOPE_KINDS ? names[kind] : "";
}

void store_bind_scope(struct db_stmt *st, int first, const struct scope *scope)
{
	bool named = scope->kind == SCOPE_DOMAIN;

	db_bind_u64(st, first, scope->kind);
	db_bind_u64(st, first + 1, named ? 0 : scope->id);
	db_bind_text(st, first + 2, named ? scope->name : "");
}

/* Every table with the columns of a scope. */
static const char *const forget_scope[] = {
	"DELETE FROM policy_scopes WHERE scope = $1 AND scope_id = $2 AND scope_name = $3",
};

int store_scope_forget(struct store_tx *tx, const struct scope *scope, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(forget_scope); i++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;

		if (store_prepare_tx(tx, forget_scope[i], &st, err) < 0)
			return -1;
		store_bind_scope(st, 1, scope);
		if (store_run(st, err) < 0)
			return -1;
	}
	return 0;
}

int store_rules_version(struct store_read *rd, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT value FROM counters WHERE name = 'rules'", &st, err) < 0)
		return -1;
	*ret = 0;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_rules_changed(struct store_tx *tx, struct err *err)
{
	struct change_event event = {.kinds = CHANGE_GLOBAL};
	uint64_t version;

	if (store_counter_next(tx, "rules", &version, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}

/* ---- groups ---- */

int store_check_name(const char *what, const char *name, struct err *err)
{
	size_t len = strlen(name);
	bool good = len > 0 && len <= NAME_MAX_BYTES && utf8_visible(name, len) && name[0] != ' ' &&
		    name[len - 1] != ' ';

	for (const unsigned char *p = (const unsigned char *)name; good && *p != '\0'; p++)
		good = strchr("/\\\"<>", *p) == NULL;
	return good ? 0
		    : err_set(err, ERR_BAD_INPUT,
			      "the name of a %s has 1 to %d bytes of UTF-8, no blank at its "
			      "ends, no character that does not show, and none of /\\\"<>",
			      what, NAME_MAX_BYTES);
}

char *store_name_key(const char *name)
{
	return str_lower(x_strdup(name));
}

static int no_group(uint64_t id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no group %" PRIu64, id);
}

static int check_rank(uint32_t rank, struct err *err)
{
	return rank <= STORE_GROUP_RANK_MAX
		       ? 0
		       : err_set(err, ERR_BAD_INPUT, "the rank of a group goes from 0 to %d",
				 STORE_GROUP_RANK_MAX);
}

int store_group_add(
	struct store_tx *tx, const char *name, uint32_t rank, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	CLEANUP(mem_freep) char *key = store_name_key(name);
	uint64_t id;

	if (store_check_name("group", name, err) < 0 || check_rank(rank, err) < 0 ||
		store_counter_next(tx, "group", &id, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO user_groups (id, name, name_key, rank_number)"
			" VALUES ($1, $2, $3, $4) ON CONFLICT (name_key) DO NOTHING",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_text(st, 2, name);
	db_bind_text(st, 3, key);
	db_bind_u64(st, 4, rank);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "there is a group %s already", name);
	*ret = id;
	return store_rules_changed(tx, err);
}

int store_group_set_rank(struct store_tx *tx, uint64_t id, uint32_t rank, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (check_rank(rank, err) < 0 ||
		store_prepare_tx(
			tx, "UPDATE user_groups SET rank_number = $2 WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, rank);
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? no_group(id, err) : store_rules_changed(tx, err);
}

int store_group_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct scope scope = {SCOPE_GROUP, id, ""};

	if (store_run_id(tx, "DELETE FROM group_members WHERE group_id = $1", id, err) < 0 ||
		store_run_id(tx, "DELETE FROM scope_values WHERE scope = 2 AND scope_id = $1", id,
			err) < 0 ||
		store_scope_forget(tx, &scope, err) < 0 ||
		store_prepare_tx(tx, "DELETE FROM user_groups WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? no_group(id, err) : store_rules_changed(tx, err);
}

#define GROUP_COLUMNS "SELECT g.id, g.name, g.rank_number"

static int read_group(struct db_stmt *st, struct arena *arena, bool counted, struct user_group *ret,
	struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	ret->id = store_row_u64(&row);
	ret->name = store_row_text(&row);
	ret->rank = (uint32_t)store_row_u64(&row);
	ret->members = counted ? store_row_u64(&row) : 0;
	return store_row_end(&row, err);
}

static int read_one(
	struct db_stmt *st, struct arena *arena, struct user_group **ret, struct err *err)
{
	struct user_group *group;
	int rc = db_step(st, err);

	if (rc <= 0)
		return rc;
	group = arena_try_alloc(arena, sizeof(*group));
	if (group == NULL)
		return err_set(err, ERR_INTERNAL, "a group is beyond the request's memory");
	if (read_group(st, arena, false, group, err) < 0)
		return -1;
	*ret = group;
	return 1;
}

int store_group_find(struct store_read *rd, const char *name, struct arena *arena,
	struct user_group **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	CLEANUP(mem_freep) char *key = store_name_key(name);
	int rc;

	if (store_prepare(rd, GROUP_COLUMNS " FROM user_groups g WHERE g.name_key = $1", &st, err) <
		0)
		return -1;
	db_bind_text(st, 1, key);
	rc = read_one(st, arena, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no group %.200s", name);
	return rc < 0 ? -1 : 0;
}

int store_group_load(struct store_read *rd, uint64_t id, struct arena *arena,
	struct user_group **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, GROUP_COLUMNS " FROM user_groups g WHERE g.id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	rc = read_one(st, arena, ret, err);
	return rc == 0 ? no_group(id, err) : rc < 0 ? -1 : 0;
}

int store_group_list(struct store_read *rd, struct arena *arena, struct user_group **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct user_group *groups = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    GROUP_COLUMNS ", (SELECT COUNT(*) FROM group_members m WHERE m.group_id = g.id)"
				  " FROM user_groups g ORDER BY g.rank_number, g.name_key",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &groups, count, &cap, err) < 0 ||
			read_group(st, arena, true, &groups[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = groups;
	*ret_count = count;
	return 0;
}

/* ---- members ---- */

/* sql changes the row of (group, owner), or nothing. */
static int change_member(
	struct store_tx *tx, const char *sql, uint64_t id, struct owner_id owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, sql, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, owner.v);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return 0;
	return store_rules_changed(tx, err) < 0 ? -1 : 1;
}

int store_group_join(struct store_tx *tx, uint64_t id, struct owner_id owner, struct err *err)
{
	return change_member(tx,
		"INSERT INTO group_members (group_id, owner) VALUES ($1, $2)"
		" ON CONFLICT (group_id, owner) DO NOTHING",
		id, owner, err);
}

int store_group_leave(struct store_tx *tx, uint64_t id, struct owner_id owner, struct err *err)
{
	return change_member(
		tx, "DELETE FROM group_members WHERE group_id = $1 AND owner = $2", id, owner, err);
}

int store_group_members(struct store_read *rd, uint64_t group, struct arena *arena,
	struct group_member **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct group_member *members = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT m.group_id, m.owner FROM group_members m JOIN user_groups g"
		    " ON g.id = m.group_id WHERE $1 = 0 OR m.group_id = $1"
		    " ORDER BY m.owner, g.rank_number, g.name_key",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, group);
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &members, count, &cap, err) < 0)
			return -1;
		members[count].group = db_col_u64(st, 0);
		members[count++].owner.v = db_col_u64(st, 1);
	}
	if (rc < 0)
		return -1;
	*ret = members;
	*ret_count = count;
	return 0;
}
