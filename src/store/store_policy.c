/*
 * Policies by name, and whom they are for. One is always the default; the migration made it.
 */
#include "store/store_policy.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

enum { DESCRIPTION_MAX_BYTES = 500 };

/* ---- reading ---- */

#define POLICY_COLUMNS                                                                             \
	"SELECT id, name, description, is_default, version, settings, options FROM policies"

static int read_policy(
	struct db_stmt *st, struct arena *arena, struct policy_row *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	ret->id = store_row_u64(&row);
	ret->name = store_row_text(&row);
	ret->description = store_row_text(&row);
	ret->is_default = store_row_u64(&row) != 0;
	ret->version = store_row_u64(&row);
	ret->settings = store_row_text(&row);
	ret->options = store_row_text(&row);
	return store_row_end(&row, err);
}

int store_policy_list(struct store_read *rd, struct arena *arena, struct policy_row **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct policy_row *rows = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd, POLICY_COLUMNS " ORDER BY is_default DESC, name_key", &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &rows, count, &cap, err) < 0 ||
			read_policy(st, arena, &rows[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = rows;
	*ret_count = count;
	return 0;
}

int store_policy_find(struct store_read *rd, const char *name, struct arena *arena,
	struct policy_row **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	CLEANUP(mem_freep) char *key = store_name_key(name != NULL ? name : "");
	struct policy_row *row = arena_try_alloc(arena, sizeof(*row));
	int rc;

	if (row == NULL)
		return err_set(err, ERR_INTERNAL, "the policy is beyond the request's memory");
	if (store_prepare(rd,
		    name != NULL ? POLICY_COLUMNS " WHERE name_key = $1"
				 : POLICY_COLUMNS " WHERE is_default = 1",
		    &st, err) < 0)
		return -1;
	if (name != NULL)
		db_bind_text(st, 1, key);
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no policy %.200s",
			name != NULL ? name : "that is the default");
	if (read_policy(st, arena, row, err) < 0)
		return -1;
	*ret = row;
	return 0;
}

/* ---- changing ---- */

static int check_description(const char *text, struct err *err)
{
	size_t len = strlen(text);

	return len <= DESCRIPTION_MAX_BYTES && utf8_valid(text, len)
		       ? 0
		       : err_set(err, ERR_BAD_INPUT,
				 "a policy's description has at most %d bytes of UTF-8",
				 DESCRIPTION_MAX_BYTES);
}

int store_policy_add(
	struct store_tx *tx, const struct policy_row *row, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	CLEANUP(mem_freep) char *key = store_name_key(row->name);
	uint64_t id;

	if (store_check_name("policy", row->name, err) < 0 ||
		check_description(row->description, err) < 0 ||
		store_counter_next(tx, "policy", &id, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO policies (id, name, name_key, description, is_default,"
			" version, settings, options) VALUES ($1, $2, $3, $4, 0, 1, $5, $6)"
			" ON CONFLICT (name_key) DO NOTHING",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_text(st, 2, row->name);
	db_bind_text(st, 3, key);
	db_bind_text(st, 4, row->description);
	db_bind_text(st, 5, row->settings);
	db_bind_text(st, 6, row->options);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "there is a policy %s already", row->name);
	*ret = id;
	return store_rules_changed(tx, err);
}

static int no_policy(uint64_t id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "no policy %" PRIu64, id);
}

static int load(struct store_tx *tx, uint64_t id, struct arena *arena, struct policy_row *ret,
	struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare_tx(tx, POLICY_COLUMNS " WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	rc = db_step(st, err);
	if (rc <= 0)
		return rc < 0 ? -1 : no_policy(id, err);
	return read_policy(st, arena, ret, err);
}

int store_policy_change(struct store_tx *tx, uint64_t id, const char *description,
	const char *settings, const char *options, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct policy_row row;

	if (load(tx, id, arena, &row, err) < 0 ||
		(description != NULL && check_description(description, err) < 0))
		return -1;
	if ((description == NULL || str_eq(description, row.description)) &&
		(settings == NULL || str_eq(settings, row.settings)) &&
		(options == NULL || str_eq(options, row.options)))
		return 0;
	if (store_prepare_tx(tx,
		    "UPDATE policies SET version = version + 1, description = $2, settings = $3,"
		    " options = $4 WHERE id = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_text(st, 2, description != NULL ? description : row.description);
	db_bind_text(st, 3, settings != NULL ? settings : row.settings);
	db_bind_text(st, 4, options != NULL ? options : row.options);
	return store_run(st, err) < 0 ? -1 : store_rules_changed(tx, err);
}

static int check_unused(struct store_tx *tx, uint64_t id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t count = 0;

	if (store_prepare_tx(tx, "SELECT COUNT(*) FROM policy_scopes WHERE policy = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, id);
	if (store_run_u64(st, &count, err) < 0)
		return -1;
	return count == 0 ? 0
			  : err_set(err, ERR_CONFLICT,
				    count == 1 ? "the policy has %" PRIu64
						 " assignment or exception: take it away first"
					       : "the policy has %" PRIu64
						 " assignments or exceptions: take them away first",
				    count);
}

int store_policy_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct policy_row row;

	if (load(tx, id, arena, &row, err) < 0)
		return -1;
	if (row.is_default)
		return err_set(err, ERR_CONFLICT,
			"%s is the default policy: make another one the default first", row.name);
	if (check_unused(tx, id, err) < 0 ||
		store_run_id(tx, "DELETE FROM policies WHERE id = $1", id, err) < 0)
		return -1;
	return store_rules_changed(tx, err);
}

int store_policy_set_default(struct store_tx *tx, uint64_t id, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct policy_row row;

	if (load(tx, id, arena, &row, err) < 0)
		return -1;
	if (row.is_default)
		return 0;
	if (store_run_id(tx, "UPDATE policies SET is_default = CASE WHEN id = $1 THEN 1 ELSE 0 END",
		    id, err) < 0)
		return -1;
	return store_rules_changed(tx, err);
}

/* ---- whom they are for ---- */

int store_policy_scopes(struct store_read *rd, struct arena *arena, struct policy_scope **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct policy_scope *scopes = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT s.scope, s.scope_id, CASE WHEN s.scope = 2 THEN g.name ELSE"
		    " s.scope_name END, s.exception, s.policy FROM policy_scopes s"
		    " LEFT JOIN user_groups g ON s.scope = 2 AND g.id = s.scope_id"
		    " ORDER BY s.exception, s.scope, s.scope_name, g.rank_number, g.name_key,"
		    " s.scope_id",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &scopes, count, &cap, err) < 0)
			return -1;
		scopes[count].scope.kind = (enum scope_kind)store_row_u64(&row);
		scopes[count].scope.id = store_row_u64(&row);
		scopes[count].scope.name = store_row_text(&row);
		scopes[count].exception = store_row_u64(&row) != 0;
		scopes[count].policy = store_row_u64(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = scopes;
	*ret_count = count;
	return 0;
}

int store_policy_assign(struct store_tx *tx, const struct policy_scope *scope, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO policy_scopes (exception, scope, scope_id, scope_name, policy)"
		    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (exception, scope, scope_id,"
		    " scope_name) DO UPDATE SET policy = excluded.policy"
		    " WHERE policy_scopes.policy <> excluded.policy",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, scope->exception);
	store_bind_scope(st, 2, &scope->scope);
	db_bind_u64(st, 5, scope->policy);
	if (store_run(st, err) < 0)
		return -1;
	return db_changes(tx->read.conn) == 0 ? 0 : store_rules_changed(tx, err);
}

int store_policy_unassign(struct store_tx *tx, const struct policy_scope *scope, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM policy_scopes WHERE exception = $1 AND scope = $2 AND"
		    " scope_id = $3 AND scope_name = $4",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, scope->exception);
	store_bind_scope(st, 2, &scope->scope);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no such %s",
			scope->exception ? "exception" : "assignment");
	return store_rules_changed(tx, err);
}
