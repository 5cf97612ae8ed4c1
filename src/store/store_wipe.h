#ifndef BELLHOP_STORE_STORE_WIPE_H
#define BELLHOP_STORE_STORE_WIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/*
 * Orders to erase a phone. A device has at most one that is not over; its state stands in the
 * device's row, where every request sees it, and the order with its times in a row of its own. What
 * is over stays as history, the last STORE_WIPES_KEPT of a device.
 *
 *     none -order-> pending -send-> sent -acknowledge-> acknowledged -clear-> none
 *                      |  \         |  \                     ^
 *                      |   `--------+---`-fail-> failed -----'
 *                      `------------+--------------' -cancel-> none
 *
 * Each change is one transaction of its caller, so a crash leaves the state before it or after it.
 */
#define STORE_WIPES_KEPT 20

enum wipe_event {
	WIPE_EVENT_ORDER,
	WIPE_EVENT_SEND,        /* the order is about to be in an answer */
	WIPE_EVENT_ACKNOWLEDGE, /* the phone says that it is done */
	WIPE_EVENT_FAIL,        /* the phone says that it could not; it is ordered again */
	WIPE_EVENT_CANCEL,
	WIPE_EVENT_CLEAR, /* a wiped phone may come back */
	WIPE_EVENT_COUNT,
};

struct wipe {
	uint64_t number; /* ascending, of the device */
	struct owner_id owner;
	struct device_id device;
	bool account_only;
	bool by_owner;         /* asked for by the user, not by an administrator */
	enum wipe_state state; /* WIPE_NONE: cancelled */
	const char *asked_by;
	int64_t asked_at;
	int64_t sent_at, answered_at; /* 0: not yet */
	const char *ended_by;
	int64_t ended_at; /* cancelled, or cleared; 0: not */
};

/* Ordered and not answered with success: the phone is to hear of it. */
static inline bool wipe_is_pending(enum wipe_state state)
{
	return state == WIPE_ORDERED || state == WIPE_SENT || state == WIPE_FAILED;
}
/* "pending", "sent", "acknowledged", "failed"; "none". */
const char *wipe_state_to_str(enum wipe_state state);
/* The same of an order, which may also be "cancelled" or "cleared". */
const char *wipe_to_str(const struct wipe *wipe);
/* What an event leads to. False: it cannot be in that state. */
bool wipe_next(enum wipe_state from, enum wipe_event event, enum wipe_state *ret);

/* ERR_CONFLICT: one is under way, or the phone was wiped and has not been cleared. ERR_NOT_FOUND.
 * Raises the device's epoch and publishes CHANGE_DEVICE. */
NODISCARD int store_wipe_order(struct store_tx *tx, struct device_id device, bool account_only,
	bool by_owner, const char *by, int64_t at, struct err *err);
/*
 * Any other event. *ret_from: the state before. ERR_CONFLICT: it cannot be now; ERR_NOT_FOUND.
 * Where the state does not change nothing is written. ACKNOWLEDGE takes the device's policy keys
 * and its credential; CLEAR also all that it had synchronized. by: who cancels or clears.
 */
NODISCARD int store_wipe_move(struct store_tx *tx, struct device_id device, enum wipe_event event,
	const char *by, int64_t at, enum wipe_state *ret_from, struct err *err);

/* Before a user is deleted: the phones that are to stay out are noted, by each of his addresses. */
NODISCARD int store_wipe_keep(struct store_tx *tx, struct owner_id owner, struct err *err);
/* For whom gets that address, in lower case: they are his devices, wiped and not cleared. */
NODISCARD int store_wipe_bring_back(
	struct store_tx *tx, const char *address, struct owner_id owner, struct err *err);

/* The device's last order; *ret NULL: there was none. */
NODISCARD int store_wipe_last(struct store_read *rd, struct owner_id owner, struct device_id device,
	struct arena *arena, struct wipe **ret, struct err *err);
/* Of one owner, or all (owner.v 0), newest first: at most limit, without the first offset. */
NODISCARD int store_wipe_list(struct store_read *rd, struct owner_id owner, uint64_t offset,
	uint64_t limit, struct arena *arena, struct wipe **ret, size_t *ret_count, struct err *err);
/* How many devices of the owner have a pending one. */
NODISCARD int store_wipe_pending(
	struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err);
/*
 * The credential that a device with a pending wipe was let in by. device_id NULL: of any such
 * device of the owner, that which was ordered last. *ret NULL: there is none.
 * *ret_policy_key: that device's (0: it has none, or device_id is NULL).
 */
NODISCARD int store_wipe_credential(struct store_read *rd, struct owner_id owner,
	const char *device_id, struct arena *arena, const char **ret, uint32_t *ret_policy_key,
	struct err *err);
/* In a restored store: nobody knows any more whether they were obeyed or cancelled. Each is
 * cancelled, and its device blocked. *ret: how many. */
NODISCARD int store_wipe_suspend_all(
	struct store_tx *tx, const char *by, int64_t at, uint64_t *ret, struct err *err);

#endif
