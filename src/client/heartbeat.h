#ifndef BELLHOP_CLIENT_HEARTBEAT_H
#define BELLHOP_CLIENT_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How long the next Ping asks to be held. The longer, the less radio; but somewhere on the way a
 * NAT or a proxy forgets connections that are silent for too long. So: start at 480 s, longer step
 * by step while Pings live to their end, back when the network cuts one, and then halve the gap
 * between what is known to work and what is known to break until it is small.
 *
 * Pure: no clock, no I/O; the caller says what happened and after how many seconds. One thread.
 * Seconds throughout.
 */
#define HEARTBEAT_START_S 480
#define HEARTBEAT_MIN_S   60
#define HEARTBEAT_MAX_S   3540

enum heartbeat_state {
	HEARTBEAT_PROBING,   /* growing by whole steps; no upper end known */
	HEARTBEAT_NARROWING, /* between good_s and bad_s, halving the gap */
	HEARTBEAT_STEADY,    /* gap small, or the maximum reached */
};

struct heartbeat {
	enum heartbeat_state state;
	unsigned current_s;    /* what the next Ping asks for */
	unsigned min_s, max_s; /* ours, narrowed by the server's Status 5 */
	unsigned good_s;       /* longest wait that lived; 0: none yet */
	unsigned bad_s;        /* shortest wait that was cut; 0: none */
	unsigned cuts_in_row;  /* since the last Ping that was answered */
	unsigned steady_count; /* answered at their end while steady */
};

/* start_s 0: HEARTBEAT_START_S. */
void heartbeat_init(struct heartbeat *hb, unsigned start_s);
/* Takes up values kept from an earlier run; values out of range are brought into it. */
void heartbeat_restore(struct heartbeat *hb, unsigned current_s, unsigned good_s, unsigned bad_s,
	unsigned min_s, unsigned max_s);

/* Status 1 after waited_s. Clearly before the end: the server knows the path and chose for us. */
void heartbeat_on_expired(struct heartbeat *hb, unsigned waited_s);
/* Status 2 or any other answer after waited_s: the path lived that long. */
void heartbeat_on_answer(struct heartbeat *hb, unsigned waited_s);
/*
 * The connection broke, or no answer came until heartbeat and slack were over. Cuts in the first
 * seconds say nothing about waiting and change nothing. Returns whether current_s went down.
 */
bool heartbeat_on_cut(struct heartbeat *hb, unsigned waited_s);
/* Status 5 with the nearest value that the server takes. */
void heartbeat_on_bound(struct heartbeat *hb, unsigned bound_s);

const char *heartbeat_state_to_str(enum heartbeat_state state);

#endif
