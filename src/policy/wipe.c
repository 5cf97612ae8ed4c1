/* What is in the way of an order to erase, in words. No state. */
#include "policy/wipe.h"

#include <inttypes.h>

static void say(struct buf *text, const char *sentence)
{
	if (text->len > 0)
		buf_add_str(text, " ");
	buf_add_str(text, sentence);
}

enum wipe_reach wipe_reach(const struct device *device, bool account_only, int64_t now_at,
	int64_t stale_s, struct buf *text)
{
	enum wipe_reach reach = WIPE_REACH_YES;
	int64_t silent_s = now_at - device->last_seen_at;

	if (account_only && device->protocol_version < WIPE_ACCOUNT_SINCE) {
		say(text, "The phone speaks a version before 16.1, which cannot erase one account "
			  "alone: it is kept out and erases nothing.");
		return WIPE_REACH_NO;
	}
	if (device->credential == NULL || device->credential[0] == 0) {
		say(text, "No password is known by which this phone was let in: the wipe reaches "
			  "it only if the password that it has is still good.");
		reach = WIPE_REACH_DOUBTFUL;
	}
	if (device->provisioned_at == 0) {
		say(text, "The phone has never asked for a policy, which is how it would hear of "
			  "a wipe: if it cannot, it is kept out and erases nothing.");
		reach = WIPE_REACH_DOUBTFUL;
	}
	if (stale_s > 0 && silent_s > stale_s) {
		if (text->len > 0)
			buf_add_str(text, " ");
		buf_addf(text,
			"The phone was last seen %" PRId64
			" days ago: it hears of the wipe if it ever calls again.",
			silent_s / 86400);
		reach = WIPE_REACH_DOUBTFUL;
	}
	return reach;
}

const char *wipe_reach_to_str(enum wipe_reach reach)
{
	static const char *const names[] = {[WIPE_REACH_YES] = "yes",
		[WIPE_REACH_DOUBTFUL] = "doubtful",
		[WIPE_REACH_NO] = "no"};

	return names[reach];
}
