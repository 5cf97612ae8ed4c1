#ifndef BELLHOP_BENCH_POSTMEN_H
#define BELLHOP_BENCH_POSTMEN_H

#include "bench.h"

/*
 * Deliveries at a steady rate over several LMTP connections, each message to one user, and when
 * each was accepted: the moment at which the 250 left the server, by the kernel's stamp, so neither
 * this process nor its threads add to it. The commit was some tens of microseconds before.
 */
struct post {
	unsigned user;    /* in: to whom */
	uint64_t sent_us; /* the last byte of the message; clock of fleet_now_us() */
	uint64_t done_us; /* the 250; 0: the server was away, and the message may be there or not */
};

struct postmen_options {
	unsigned threads;
	double rate; /* messages per second over all threads; 0: as fast as they can */
	unsigned body_bytes;
	bool patient; /* a server that is away is tried again; else it ends the program */
};

struct postmen;

/* Begins; the posts are filled in while it works. They must outlive it. */
struct postmen *postmen_start(const struct bench *b, const struct postmen_options *options,
	struct post *posts, unsigned count);
unsigned postmen_done(const struct postmen *p);
/* Waits until all are delivered (patient ones: or were tried). */
void postmen_finish(struct postmen **p);

#endif
