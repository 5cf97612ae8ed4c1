#ifndef BELLHOP_ENGINE_LANE_H
#define BELLHOP_ENGINE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/*
 * Fair shares of the workers: whoever sends with the same credentials (a user, with all devices) is
 * in one lane, and a lane has a bound of jobs that run at once. What is beyond waits in the lane,
 * not in the queue that is everybody's. Loop thread only.
 */
struct lanes;

/* Embedded in what runs. */
struct lane_member {
	struct list_node node; /* waiting */
	struct lane *lane;     /* NULL: in none */
	bool running;
};

/* start: called when a waiting member's turn has come. */
struct lanes *lanes_new(
	unsigned running_max, unsigned waiting_max, void (*start)(struct lane_member *member));
void lanes_free(struct lanes **lanes);

enum lane_result { LANE_RUN, LANE_WAIT, LANE_FULL };
/* key: the lane's name; it is hashed with a secret, not kept. LANE_WAIT: start() comes later. */
enum lane_result lane_enter(struct lanes *lanes, struct lane_member *member, const char *key);
/* It has run, or gave up waiting; harmless in no lane. May call start() for another. */
void lane_leave(struct lanes *lanes, struct lane_member *member);

#endif
