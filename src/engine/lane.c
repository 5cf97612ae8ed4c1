/*
 * Lanes. One exists while a member of it runs. A hash collision of two users only makes them share
 * a lane.
 */
#include "engine/lane.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

struct lane {
	uint64_t key;
	unsigned running, waiting;
	struct list_node members; /* waiting, oldest first */
};

struct lanes {
	struct map *by_key;
	unsigned running_max, waiting_max;
	void (*start)(struct lane_member *member);
	uint8_t secret[16];
};

struct lanes *lanes_new(
	unsigned running_max, unsigned waiting_max, void (*start)(struct lane_member *member))
{
	struct lanes *lanes = x_new(struct lanes);

	lanes->by_key = map_new();
	lanes->running_max = running_max;
	lanes->waiting_max = waiting_max;
	lanes->start = start;
	random_bytes(lanes->secret, sizeof(lanes->secret));
	return lanes;
}

static void free_lane(const void *key, size_t key_len, void *value, void *owner)
{
	(void)key;
	(void)key_len;
	(void)owner;
	mem_free(value);
}

void lanes_free(struct lanes **lanes)
{
	if (*lanes == NULL)
		return;
	map_each((*lanes)->by_key, free_lane, NULL);
	map_free(&(*lanes)->by_key);
	mem_free(*lanes);
	*lanes = NULL;
}

static struct lane *get_lane(struct lanes *lanes, const char *key)
{
	uint64_t hash = siphash(lanes->secret, key, strlen(key));
	struct lane *lane = map_find(lanes->by_key, &hash, sizeof(hash));

	if (lane == NULL) {
		lane = x_new(struct lane);
		lane->key = hash;
		list_init(&lane->members);
		(void)map_put(lanes->by_key, &hash, sizeof(hash), lane);
	}
	return lane;
}

enum lane_result lane_enter(struct lanes *lanes, struct lane_member *member, const char *key)
{
	struct lane *lane = get_lane(lanes, key);

	list_init(&member->node);
	if (lane->running < lanes->running_max) {
		lane->running++;
		member->lane = lane;
		member->running = true;
		return LANE_RUN;
	}
	if (lane->waiting >= lanes->waiting_max)
		return LANE_FULL;
	lane->waiting++;
	member->lane = lane;
	member->running = false;
	list_append(&lane->members, &member->node);
	return LANE_WAIT;
}

void lane_leave(struct lanes *lanes, struct lane_member *member)
{
	struct lane *lane = TAKE(member->lane);
	struct lane_member *next;

	if (lane == NULL)
		return;
	if (!member->running) {
		list_remove(&member->node);
		lane->waiting--;
		return; /* others run, or it would not have waited */
	}
	member->running = false;
	if (list_empty(&lane->members)) {
		if (--lane->running == 0) {
			(void)map_remove(lanes->by_key, &lane->key, sizeof(lane->key));
			mem_free(lane);
		}
		return;
	}
	next = LIST_ENTRY(lane->members.next, struct lane_member, node);
	list_remove(&next->node);
	lane->waiting--;
	next->running = true;
	lanes->start(next);
}
