#ifndef BELLHOP_MODEL_SCENARIO_H
#define BELLHOP_MODEL_SCENARIO_H

#include "model.h"

/*
 * What the named scenarios are written with. All of it runs on main: one thing after the other.
 */

/* A phone that has listed every folder. */
struct phone *scenario_phone(
	struct world *w, unsigned number, const char *version, uint8_t filter, uint8_t conflict);
/* Wants one property of an item changed; or the item deleted. */
void scenario_want(struct world *w, struct phone *p, unsigned folder, uint64_t item,
	enum group group, uint32_t value);
void scenario_want_gone(struct phone *p, unsigned folder, uint64_t item);
/* The other client does. */
void scenario_client(
	struct world *w, unsigned folder, uint64_t item, enum group group, uint32_t value);
/* Writes a Sync of one folder, with all that is pending. */
struct request *scenario_write(struct world *w, struct phone *p, unsigned folder, uint16_t window);
/* The same for whichever fields of it. */
struct request *scenario_write_as(struct world *w, struct phone *p, struct sent_collection sent,
	unsigned wait_s, bool partial);
/* Sends it (again); the phone takes the answer, or nobody does. */
void scenario_send(struct world *w, struct phone *p, struct request *r, bool taken);
/* Writes, sends and takes. */
void scenario_sync(struct world *w, struct phone *p, unsigned folder, uint16_t window);
/* Until no MoreAvailable comes. */
void scenario_sync_all(struct world *w, struct phone *p, unsigned folder, uint16_t window);
void scenario_filter(struct phone *p, unsigned folder, uint8_t filter);
void scenario_check(struct world *w, struct phone *p, bool good, const char *what);

/* scenario_phones.c: phones and each other */
void scenario_alternating(struct world *w);
void scenario_two_groups(struct world *w);
void scenario_refused(struct world *w);
void scenario_retry(struct world *w);
void scenario_late(struct world *w);
void scenario_partial(struct world *w);
void scenario_held_without_changes(struct world *w);
void scenario_version(struct world *w);
void scenario_restored(struct world *w);
void scenario_text_message(struct world *w);
/* scenario_many.c: filters, moves, tombstones */
void scenario_soft_delete(struct world *w);
void scenario_move(struct world *w);
void scenario_conversation(struct world *w);
void scenario_filter_in_listing(struct world *w);
void scenario_tombstones(struct world *w);
void scenario_many_soft_deletes(struct world *w);
/* scenario_faults.c: each step fails */
void scenario_faults(struct world *w);
void scenario_cuts(struct world *w);
/* scenario_sends.c: each step of a reply fails */
void scenario_sends(struct world *w);
/* scenario_commands.c: answers lost at a bad moment */
void scenario_folder_forgotten(struct world *w);

#endif
