#ifndef BELLHOP_ENGINE_POISON_H
#define BELLHOP_ENGINE_POISON_H

struct settings;
struct store;

/*
 * Counts what the engine before this one died of, as its notes say (base/notes.h): against the item
 * that was at hand, else against the request. What reaches the second crash is set aside or
 * refused, with an event and a log line. Before notes_begin_process() and the first other thread.
 * Trouble is logged: the server starts all the same.
 */
void poison_count(struct store *store, const struct settings *settings);

#endif
