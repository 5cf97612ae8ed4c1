#ifndef BELLHOP_ENGINE_HOUSEKEEPING_H
#define BELLHOP_ENGINE_HOUSEKEEPING_H

#include "engine/engine_internal.h"

/*
 * Every minute, on a worker: the store drops what is older than its settings say (tombstones,
 * crashes, the memory of imports, sessions, absences, the event log), and every hour old mail in
 * Junk and Deleted Items. Loop thread, unless said otherwise.
 */
struct housekeeping;
struct housekeeping *housekeeping_new(struct engine *engine, struct store *store);
/* Other days take effect at once. */
void housekeeping_settings_changed(struct housekeeping *h);
/* Items deleted for their age since the start. Any thread. */
uint64_t housekeeping_expired(const struct housekeeping *h);
/* No job of it is on its way any more: the workers have ended. */
void housekeeping_free(struct housekeeping **housekeeping);

#endif
