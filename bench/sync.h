#ifndef BELLHOP_BENCH_SYNC_H
#define BELLHOP_BENCH_SYNC_H

/* The parts of bench-sync that have a server, or a store, of their own. */

/* sync_state.c: how much is stored of what a phone holds, and what changes cost that it cannot see.
 */
void sync_bench_state(int argc, char **argv);
void sync_bench_invisible(int argc, char **argv);
/* sync_load.c: deliveries beside a large import, and the engine's memory beside large messages. */
void sync_bench_import(int argc, char **argv);
void sync_bench_memory(int argc, char **argv);

#endif
