#ifndef BELLHOP_CONF_CAPACITY_H
#define BELLHOP_CONF_CAPACITY_H

#include <stdint.h>

/*
 * How many fronts it takes for how many phones, where a process may have only so many descriptors.
 * Pure: for the supervisor, which starts them, and for whoever wants to say what a system allows.
 */
#define CAPACITY_FRONTS_MAX 256

/* Phones that one front can take. */
uint64_t capacity_front_room(uint64_t descriptors);
/* Fronts needed, with 5 % to spare: the kernel spreads connections by chance, and none of them may
 * be full before the others are. */
uint64_t capacity_fronts_needed(uint64_t connections, uint64_t descriptors);
/* The other way round: descriptors of a process with which so many fronts are enough. */
uint64_t capacity_descriptors(uint64_t connections, uint64_t fronts);
/* Fronts to start: as configured (server.fronts), or, with 0, one per core and as many as needed.
 */
uint64_t capacity_fronts(
	uint64_t configured, uint64_t connections, uint64_t descriptors, uint64_t cores);

#endif
