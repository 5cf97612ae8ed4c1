/* How much there is of everything: for metrics. Reads whole tables of users and devices; whoever
 * asks often remembers the answer. */
#include "store/store_counts.h"

#include "base/mem.h"
#include "store/store_access.h"
#include "store/store_internal.h"

void store_writer_stats(const struct store *store, struct db_stats *ret)
{
	db_stats_read(store->db, ret);
}

static int read_one(struct store_read *rd, const char *sql, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, sql, &st, err) < 0)
		return -1;
	rc = store_run_u64(st, ret, err);
	return rc < 0 ? -1 : 0;
}

/* What is laid down for the device counts, else what was decided last. */
#define ACCESS "CASE access_own WHEN 0 THEN access_state ELSE access_own END"

static int read_devices(struct store_read *rd, struct store_counts *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT wipe, " ACCESS ", policy_key <> 0, COUNT(*) FROM devices"
		    " GROUP BY 1, 2, 3",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) == 1) {
		uint64_t wipe = db_col_u64(st, 0), access = db_col_u64(st, 1);
		uint64_t count = db_col_u64(st, 3);

		if (wipe != WIPE_NONE)
			ret->wipes[wipe < STORE_WIPE_STATES ? wipe : 0] += count;
		else if (access == ACCESS_BLOCK)
			ret->blocked += count;
		else if (access == ACCESS_QUARANTINE)
			ret->quarantined += count;
		else if (db_col_u64(st, 2) != 0)
			ret->provisioned += count;
		else
			ret->unprovisioned += count;
	}
	return rc;
}

int store_count_all(
	struct store_read *rd, uint64_t *ret_users, uint64_t *ret_devices, struct err *err)
{
	if (read_one(rd, "SELECT COUNT(*) FROM users", ret_users, err) < 0)
		return -1;
	return read_one(rd, "SELECT COUNT(*) FROM devices", ret_devices, err);
}

int store_counts_read(struct store_read *rd, struct store_counts *ret, struct err *err)
{
	struct store_counts counts = {0};

	if (read_devices(rd, &counts, err) < 0 ||
		read_one(rd, "SELECT COUNT(*) FROM users", &counts.users, err) < 0 ||
		read_one(rd, "SELECT COALESCE(MIN(queued_at), 0) FROM queue_mails",
			&counts.queue_oldest_at, err) < 0)
		return -1;
	*ret = counts;
	return 0;
}
