/*
 * Access rules, the values laid down for scopes, the texts of the quarantine: what administrators
 * lay down for many. Each change raises the number of the rules. Positions of rules are 1, 2, 3 ...
 * without gaps.
 */
#include "store/store_access.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

static const char *const state_names[ACCESS_STATES] = {"none", "allow", "block", "quarantine"};

const char *access_state_to_str(enum access_state state)
{
	return (unsigned)state < ACCESS_STATES ? state_names[state] : "";
}

enum access_state access_state_find(const char *text)
{
	for (int s = 0; s < ACCESS_STATES; s++) {
		if (strcmp(state_names[s], text) == 0)
			return (enum access_state)s;
	}
	return ACCESS_STATES;
}

/* ---- rules ---- */

int store_access_rules(struct store_read *rd, struct arena *arena, struct access_rule_row **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct access_rule_row *rules = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT id, position, state, rule, note FROM access_rules ORDER BY position, "
		    "id",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &rules, count, &cap, err) < 0)
			return -1;
		rules[count].id = store_row_u64(&row);
		rules[count].position = store_row_u64(&row);
		rules[count].state = (enum access_state)store_row_u64(&row);
		rules[count].rule = store_row_text(&row);
		rules[count].note = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = rules;
	*ret_count = count;
	return 0;
}

static int count_rules(struct store_tx *tx, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	*ret = 0;
	if (store_prepare_tx(tx, "SELECT COUNT(*) FROM access_rules", &st, err) < 0)
		return -1;
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

static int no_rule(uint64_t id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no access rule %" PRIu64, id);
}

static int rule_position(struct store_tx *tx, uint64_t id, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare_tx(tx, "SELECT position FROM access_rules WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	rc = store_run_u64(st, ret, err);
	return rc == 0 ? no_rule(id, err) : rc < 0 ? -1 : 0;
}

/* Makes room at a position, or closes the gap there. */
static int shift(struct store_tx *tx, uint64_t from, int by, struct err *err)
{
	return store_run_id(tx,
		by > 0 ? "UPDATE access_rules SET position = position + 1 WHERE position >= $1"
		       : "UPDATE access_rules SET position = position - 1 WHERE position > $1",
		from, err);
}

int store_access_rule_add(
	struct store_tx *tx, const struct access_rule_row *row, uint64_t *ret_id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t position = row->position, count, id;

	if (count_rules(tx, &count, err) < 0)
		return -1;
	if (count >= STORE_ACCESS_RULES_MAX)
		return err_set(err, ERR_QUOTA, "there are %" PRIu64 " access rules already", count);
	if (position == 0 || position > count)
		position = count + 1;
	if (shift(tx, position, 1, err) < 0 ||
		store_counter_next(tx, "access_rule", &id, err) < 0 ||
		store_prepare_tx(tx,
			"INSERT INTO access_rules (id, position, state, rule, note)"
			" VALUES ($1, $2, $3, $4, $5)",
			&st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, position);
	db_bind_u64(st, 3, row->state);
	db_bind_text(st, 4, row->rule);
	db_bind_text(st, 5, store_text(row->note));
	if (store_run(st, err) < 0)
		return -1;
	*ret_id = id;
	return store_rules_changed(tx, err);
}

int store_access_rule_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
	uint64_t position;

	if (rule_position(tx, id, &position, err) < 0 ||
		store_run_id(tx, "DELETE FROM access_rules WHERE id = $1", id, err) < 0 ||
		shift(tx, position, -1, err) < 0)
		return -1;
	return store_rules_changed(tx, err);
}

int store_access_rule_move(struct store_tx *tx, uint64_t id, uint64_t position, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t now, count;

	if (rule_position(tx, id, &now, err) < 0 || count_rules(tx, &count, err) < 0)
		return -1;
	if (position == 0 || position > count)
		position = count;
	if (position == now)
		return 0;
	if (shift(tx, now, -1, err) < 0 || shift(tx, position, 1, err) < 0 ||
		store_prepare_tx(
			tx, "UPDATE access_rules SET position = $2 WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id);
	db_bind_u64(st, 2, position);
	return store_run(st, err) < 0 ? -1 : store_rules_changed(tx, err);
}

/* ---- values of scopes ---- */

int store_scope_values(struct store_read *rd, struct arena *arena, struct scope_value **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct scope_value *values = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd,
		    "SELECT scope, scope_id, scope_name, name, value FROM scope_values"
		    " ORDER BY scope, scope_name, scope_id, name",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &values, count, &cap, err) < 0)
			return -1;
		values[count].scope.kind = (enum scope_kind)store_row_u64(&row);
		values[count].scope.id = store_row_u64(&row);
		values[count].scope.name = store_row_text(&row);
		values[count].name = store_row_text(&row);
		values[count].value = store_row_u64(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = values;
	*ret_count = count;
	return 0;
}

/* What is laid down for one user concerns the phones of that user alone. */
static int scope_changed(struct store_tx *tx, const struct scope *scope, struct err *err)
{
	struct change_event event = {.owner = {scope->id}, .kinds = CHANGE_USER};
	uint64_t version;

	if (scope->kind != SCOPE_USER)
		return store_rules_changed(tx, err);
	if (store_counter_next(tx, "rules", &version, err) < 0 ||
		store_tx_seq(tx, event.owner, &event.seq, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}

int store_scope_value_set(struct store_tx *tx, const struct scope_value *value, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO scope_values (scope, scope_id, scope_name, name, value)"
		    " VALUES ($1, $2, $3, $4, $5)"
		    " ON CONFLICT (scope, scope_id, scope_name, name)"
		    " DO UPDATE SET value = excluded.value WHERE scope_values.value <> "
		    "excluded.value",
		    &st, err) < 0)
		return -1;
	store_bind_scope(st, 1, &value->scope);
	db_bind_text(st, 4, value->name);
	db_bind_u64(st, 5, value->value);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return 0;
	return scope_changed(tx, &value->scope, err) < 0 ? -1 : 1;
}

int store_scope_value_unset(
	struct store_tx *tx, const struct scope *scope, const char *name, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM scope_values WHERE scope = $1 AND scope_id = $2"
		    " AND scope_name = $3 AND name = $4",
		    &st, err) < 0)
		return -1;
	store_bind_scope(st, 1, scope);
	db_bind_text(st, 4, name);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return 0;
	return scope_changed(tx, scope, err) < 0 ? -1 : 1;
}

int store_scope_values_forget(struct store_tx *tx, const struct scope *scope, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "DELETE FROM scope_values WHERE scope = $1 AND scope_id = $2"
		    " AND scope_name = $3",
		    &st, err) < 0)
		return -1;
	store_bind_scope(st, 1, scope);
	return store_run(st, err);
}

/* ---- texts ---- */

static const char *const text_names[ACCESS_TEXTS] = {"subject", "body"};

int store_access_texts(
	struct store_read *rd, struct arena *arena, const char *ret[ACCESS_TEXTS], struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	for (int i = 0; i < ACCESS_TEXTS; i++)
		ret[i] = "";
	if (store_prepare(rd, "SELECT name, value FROM access_texts", &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};
		const char *name = store_row_text(&row), *value = store_row_text(&row);

		if (store_row_end(&row, err) < 0)
			return -1;
		for (int i = 0; i < ACCESS_TEXTS; i++) {
			if (strcmp(name, text_names[i]) == 0)
				ret[i] = value;
		}
	}
	return rc < 0 ? -1 : 0;
}

int store_access_text_set(
	struct store_tx *tx, enum access_text which, const char *text, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO access_texts (name, value) VALUES ($1, $2)"
		    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, text_names[which]);
	db_bind_text(st, 2, text);
	return store_run(st, err) < 0 ? -1 : store_rules_changed(tx, err);
}
