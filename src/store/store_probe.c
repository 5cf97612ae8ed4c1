/* Does the store take writes? One row among the counters, written anew. */
#include "base/mem.h"
#include "store/store_internal.h"

int store_probe(struct store_tx *tx, int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO counters (name, value) VALUES ('probe', $1)"
		    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		    &st, err) < 0)
		return -1;
	db_bind_i64(st, 1, now_at);
	return store_run(st, err);
}
