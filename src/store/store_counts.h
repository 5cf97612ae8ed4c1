#ifndef BELLHOP_STORE_STORE_COUNTS_H
#define BELLHOP_STORE_STORE_COUNTS_H

#include "db/db.h"
#include "store/store.h"

/* How much there is of everything. Any thread. */
#define STORE_WIPE_STATES 5 /* enum wipe_state */

struct store_counts {
	uint64_t users;
	/* Each device is in one of these; wipes[WIPE_NONE] is not used. */
	uint64_t wipes[STORE_WIPE_STATES], blocked, quarantined, provisioned, unprovisioned;
	uint64_t queue_oldest_at; /* 0: the queue is empty */
};

/* Just how many; from the smallest indexes. */
NODISCARD int store_count_all(
	struct store_read *rd, uint64_t *ret_users, uint64_t *ret_devices, struct err *err);
/* Costs as much as reading all devices. */
NODISCARD int store_counts_read(struct store_read *rd, struct store_counts *ret, struct err *err);
/* What the thread that writes has done since the start. */
void store_writer_stats(const struct store *store, struct db_stats *ret);

#endif
