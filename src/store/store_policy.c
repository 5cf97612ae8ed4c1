/*
 * The default policy document: one row. Without a row it is version 1 with the default settings.
 */
#include <assert.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

int store_policy_load(
	struct store_read *rd, struct arena *arena, struct policy_row **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct policy_row *policy = arena_try_alloc(arena, sizeof(*policy));
	struct store_row row = {.arena = arena};
	int rc;

	if (policy == NULL)
		return err_set(err, ERR_INTERNAL, "the policy is beyond the request's memory");
	if (store_prepare(rd, "SELECT version, settings FROM policies WHERE id = 1", &st, err) < 0)
		return -1;
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	*policy = (struct policy_row){.version = 1, .settings = ""};
	row.st = st;
	if (rc > 0) {
		policy->version = store_row_u64(&row);
		policy->settings = store_row_text(&row);
	}
	if (store_row_end(&row, err) < 0)
		return -1;
	*ret = policy;
	return 0;
}

int store_policy_save(struct store_tx *tx, const char *settings, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct change_event event = {.kinds = CHANGE_GLOBAL};
	struct policy_row *now = NULL;

	if (store_policy_load(&tx->read, arena, &now, err) < 0)
		return -1;
	assert(now != NULL);
	if (str_eq(now->settings, settings))
		return 0;
	if (store_prepare_tx(tx,
		    "INSERT INTO policies (id, version, settings) VALUES (1, 2, $1)"
		    " ON CONFLICT (id) DO UPDATE SET version = policies.version + 1,"
		    " settings = excluded.settings",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, settings);
	if (store_run(st, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}
