/* Arithmetic about descriptors; see capacity.h. Pure. */
#include "conf/capacity.h"

#include "base/mem.h"

/* Beside phones: logs, listeners, the engine's connections; connections that are refused. */
#define OUR_OWN           192
#define ROOM_MIN          64 /* whatever the limit is */
#define HEAD_ROOM_PERCENT 5

uint64_t capacity_front_room(uint64_t descriptors)
{
	return descriptors > 2 * OUR_OWN ? descriptors - OUR_OWN : ROOM_MIN;
}

uint64_t capacity_fronts_needed(uint64_t connections, uint64_t descriptors)
{
	uint64_t usable = capacity_front_room(descriptors) * (100 - HEAD_ROOM_PERCENT) / 100;

	return (connections + usable - 1) / usable;
}

uint64_t capacity_descriptors(uint64_t connections, uint64_t fronts)
{
	uint64_t usable = (connections + fronts - 1) / fronts, spare = 100 - HEAD_ROOM_PERCENT;

	return MAX((usable * 100 + spare - 1) / spare, OUR_OWN + 1) + OUR_OWN;
}

uint64_t capacity_fronts(
	uint64_t configured, uint64_t connections, uint64_t descriptors, uint64_t cores)
{
	if (configured == 0)
		configured = MAX(capacity_fronts_needed(connections, descriptors), MAX(cores, 1));
	return MIN(configured, (uint64_t)CAPACITY_FRONTS_MAX);
}
