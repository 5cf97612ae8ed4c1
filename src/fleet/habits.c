/*
 * How long phones of each kind wait, and what they make of it when a wait held, was answered, or
 * was cut. Pure. The values of the two kinds beside Windows Mobile's are in struct heartbeat, too:
 * current_s, good_s, max_s.
 */
#include "base/mem.h"
#include "fleet/fleet_internal.h"

#define ANDROID_STEP_S 180u
#define ANDROID_MAX_S  1020u
#define SHORTEST_S     60u

void habits_init(const struct scenario_group *g, struct heartbeat *hb)
{
	heartbeat_init(hb, g->heartbeat_s);
	hb->max_s = g->heartbeat_max_s;
	if (g->behaviour == SCENARIO_ANDROID)
		hb->max_s = MIN(hb->max_s, MAX(ANDROID_MAX_S, g->heartbeat_s));
}

uint32_t habits_wait_s(const struct scenario_group *g, const struct heartbeat *hb)
{
	(void)g;
	return hb->current_s;
}

void habits_expired(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s)
{
	switch (g->behaviour) {
	case SCENARIO_FIXED:
		break;
	case SCENARIO_WINDOWS_MOBILE:
		heartbeat_on_expired(hb, waited_s);
		break;
	case SCENARIO_IOS:
		hb->current_s = MIN(MAX(g->heartbeat_s, hb->min_s), hb->max_s);
		break;
	case SCENARIO_ANDROID:
		hb->good_s = MAX(hb->good_s, hb->current_s);
		if (hb->bad_s == 0 || hb->current_s + ANDROID_STEP_S < hb->bad_s)
			hb->current_s = MIN(hb->current_s + ANDROID_STEP_S, hb->max_s);
		break;
	}
}

void habits_answered(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s)
{
	if (g->behaviour == SCENARIO_WINDOWS_MOBILE)
		heartbeat_on_answer(hb, waited_s);
}

void habits_cut(const struct scenario_group *g, struct heartbeat *hb, uint32_t waited_s)
{
	switch (g->behaviour) {
	case SCENARIO_FIXED:
		break;
	case SCENARIO_WINDOWS_MOBILE:
		(void)heartbeat_on_cut(hb, waited_s);
		break;
	case SCENARIO_IOS:
		hb->current_s = MAX(hb->current_s / 2, MAX(SHORTEST_S, hb->min_s));
		break;
	case SCENARIO_ANDROID:
		hb->bad_s = hb->current_s;
		hb->current_s = hb->good_s != 0 && hb->good_s < hb->current_s
					? hb->good_s
					: MAX(hb->current_s / 2, MAX(SHORTEST_S, hb->min_s));
		break;
	}
}

void habits_bound(const struct scenario_group *g, struct heartbeat *hb, uint32_t bound_s)
{
	(void)g;
	heartbeat_on_bound(hb, bound_s);
}
