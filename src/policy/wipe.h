#ifndef BELLHOP_POLICY_WIPE_H
#define BELLHOP_POLICY_WIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"

/*
 * Whether an order to erase can get to a phone, as far as the server can know; for people. Pure,
 * any thread.
 */
enum wipe_reach {
	WIPE_REACH_YES,      /* it hears of it when it calls next */
	WIPE_REACH_DOUBTFUL, /* it may not; the text says why */
	WIPE_REACH_NO,       /* not in the state it is in */
};

/* The first protocol version that knows AccountOnlyRemoteWipe, times ten. */
#define WIPE_ACCOUNT_SINCE 161

/* account_only: of the order that is meant. stale_s: a phone that was not here for so long may not
 * come again. Appends sentences, or nothing, to text. */
enum wipe_reach wipe_reach(const struct device *device, bool account_only, int64_t now_at,
	int64_t stale_s, struct buf *text);
/* "yes", "doubtful", "no". */
const char *wipe_reach_to_str(enum wipe_reach reach);

#endif
