/*
 * The adaptive heartbeat. Invariants: min_s <= current_s <= max_s; good_s < bad_s when both are
 * known; NARROWING only while bad_s is known. heartbeat_enter_state() is the only writer of state.
 */
#include "client/heartbeat.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"

#define STEP_S       300 /* growth while no upper end is known */
#define RESOLUTION_S 60  /* a smaller gap between good and bad is not worth another cut */
#define STEADY_RETRIES                                                                             \
	24 /* networks change: after so many good Pings the ceiling is tried again                 \
	    */

const char *heartbeat_state_to_str(enum heartbeat_state state)
{
	static const char *const names[] = {"probing", "narrowing", "steady"};

	return (unsigned)state < ARRAY_LEN(names) ? names[state] : "?";
}

static unsigned clamp(const struct heartbeat *hb, unsigned s)
{
	return MAX(hb->min_s, MIN(s, hb->max_s));
}

static void heartbeat_enter_state(struct heartbeat *hb, enum heartbeat_state state)
{
	assert(hb->min_s <= hb->current_s && hb->current_s <= hb->max_s);
	assert(state != HEARTBEAT_NARROWING || hb->bad_s != 0);
	if (hb->state != state)
		hb->steady_count = 0;
	hb->state = state;
	log_debug(NULL, "heartbeat_chosen", F_STR("state", heartbeat_state_to_str(state)),
		F_UINT("seconds", hb->current_s), F_UINT("good", hb->good_s),
		F_UINT("bad", hb->bad_s));
}

/* Between good and bad: the middle, or good itself when the gap is small. */
static void narrow(struct heartbeat *hb)
{
	if (hb->good_s == 0) {
		/* Nothing is known to work yet: half of what broke. */
		hb->current_s = clamp(hb, hb->bad_s / 2);
		heartbeat_enter_state(
			hb, hb->current_s == hb->min_s ? HEARTBEAT_STEADY : HEARTBEAT_NARROWING);
	} else if (hb->bad_s - hb->good_s <= RESOLUTION_S) {
		hb->current_s = clamp(hb, hb->good_s);
		heartbeat_enter_state(hb, HEARTBEAT_STEADY);
	} else {
		hb->current_s = clamp(hb, hb->good_s + (hb->bad_s - hb->good_s) / 2);
		heartbeat_enter_state(hb, HEARTBEAT_NARROWING);
	}
}

static void step_up(struct heartbeat *hb)
{
	hb->current_s = clamp(hb, hb->current_s + STEP_S);
	heartbeat_enter_state(
		hb, hb->current_s == hb->max_s ? HEARTBEAT_STEADY : HEARTBEAT_PROBING);
}

void heartbeat_init(struct heartbeat *hb, unsigned start_s)
{
	*hb = (struct heartbeat){.min_s = HEARTBEAT_MIN_S, .max_s = HEARTBEAT_MAX_S};
	/* A start below the usual minimum is the user's wish (a server may allow it). */
	if (start_s != 0)
		hb->min_s = MIN(hb->min_s, start_s);
	hb->current_s = clamp(hb, start_s != 0 ? start_s : HEARTBEAT_START_S);
	heartbeat_enter_state(hb, HEARTBEAT_PROBING);
}

void heartbeat_restore(struct heartbeat *hb, unsigned current_s, unsigned good_s, unsigned bad_s,
	unsigned min_s, unsigned max_s)
{
	heartbeat_init(hb, 0);
	if (min_s >= 1 && min_s <= max_s && max_s <= HEARTBEAT_MAX_S) {
		hb->min_s = min_s;
		hb->max_s = max_s;
	}
	if (current_s != 0)
		hb->current_s = clamp(hb, current_s);
	hb->current_s = clamp(hb, hb->current_s);
	hb->good_s = MIN(good_s, hb->max_s);
	if (bad_s > hb->good_s && bad_s <= HEARTBEAT_MAX_S * 2)
		hb->bad_s = bad_s;
	heartbeat_enter_state(hb, hb->bad_s != 0 ? HEARTBEAT_NARROWING : HEARTBEAT_PROBING);
}

void heartbeat_on_answer(struct heartbeat *hb, unsigned waited_s)
{
	hb->cuts_in_row = 0;
	hb->good_s = MAX(hb->good_s, MIN(waited_s, hb->max_s));
	if (hb->bad_s != 0 && hb->bad_s <= hb->good_s) {
		/* What once broke has lived: the network is another one now. */
		hb->bad_s = 0;
		heartbeat_enter_state(hb, HEARTBEAT_PROBING);
	}
}

void heartbeat_on_expired(struct heartbeat *hb, unsigned waited_s)
{
	heartbeat_on_answer(hb, waited_s);
	if (waited_s + waited_s / 10 + 1 < hb->current_s) {
		hb->current_s = clamp(hb, waited_s);
		heartbeat_enter_state(hb, HEARTBEAT_STEADY);
		return;
	}
	hb->good_s = MAX(hb->good_s, hb->current_s);
	if (hb->bad_s != 0 && hb->bad_s <= hb->good_s)
		hb->bad_s = 0;
	switch (hb->state) {
	case HEARTBEAT_PROBING:
		step_up(hb);
		return;
	case HEARTBEAT_NARROWING:
		if (hb->bad_s == 0)
			step_up(hb);
		else
			narrow(hb);
		return;
	case HEARTBEAT_STEADY:
		if (++hb->steady_count >= STEADY_RETRIES && hb->current_s < hb->max_s) {
			hb->bad_s = 0;
			step_up(hb);
		}
		return;
	}
}

bool heartbeat_on_cut(struct heartbeat *hb, unsigned waited_s)
{
	unsigned before = hb->current_s;

	if (waited_s < hb->min_s / 2 || waited_s == 0)
		return false;
	waited_s = MIN(waited_s, hb->current_s);
	hb->cuts_in_row++;
	if (waited_s <= hb->good_s) {
		/* This length has worked: once may be chance (a restart, a tunnel), twice is not.
		 */
		if (hb->cuts_in_row < 2)
			return false;
		hb->good_s = 0;
	}
	hb->bad_s = waited_s;
	if (hb->good_s != 0) {
		/* First back to what works; the narrowing goes on when that has lived again. */
		hb->current_s = clamp(hb, hb->good_s);
		heartbeat_enter_state(hb, HEARTBEAT_NARROWING);
	} else {
		narrow(hb);
	}
	return hb->current_s < before;
}

void heartbeat_on_bound(struct heartbeat *hb, unsigned bound_s)
{
	if (bound_s == 0 || bound_s > 86400)
		return;
	if (bound_s < hb->current_s) {
		hb->max_s = bound_s;
		hb->min_s = MIN(hb->min_s, bound_s);
	} else {
		hb->min_s = bound_s;
		hb->max_s = MAX(hb->max_s, bound_s);
	}
	hb->good_s = MIN(hb->good_s, hb->max_s);
	hb->cuts_in_row = 0;
	hb->current_s = clamp(hb, bound_s);
	heartbeat_enter_state(
		hb, hb->current_s == hb->max_s ? HEARTBEAT_STEADY : HEARTBEAT_PROBING);
}
