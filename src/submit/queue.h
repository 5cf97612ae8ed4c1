#ifndef BELLHOP_SUBMIT_QUEUE_H
#define BELLHOP_SUBMIT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "store/store.h"
#include "submit/relay.h"

/*
 * What gets the queue (store/store_queue.h) out of the house: threads that sleep until the next
 * attempt is due, give messages to the relay, and write down what it said: gone, tried again by the
 * schedule, or failed, and then the sender gets a report in the Inbox.
 *
 * A crash between the relay's 250 and our commit repeats that message, with the same Message-ID;
 * nothing else does.
 */
struct submit_queue;

/* relay_send(), or what a test has instead. */
typedef int (*submit_transport_fn)(const struct settings *settings,
	const struct relay_message *message, const _Atomic(bool) *stopping,
	struct relay_answer *answers, struct err *err);

struct submit_queue_options {
	struct store *store;             /* must outlive it */
	const struct settings *settings; /* a reference is taken */
	submit_transport_fn transport;   /* NULL: relay_send() */
	uint32_t threads;                /* 0: none; submit_queue_step() does the work (tests) */
};

/* ERR_INTERNAL when there are no threads. */
NODISCARD int submit_queue_start(
	const struct submit_queue_options *options, struct submit_queue **ret, struct err *err);
/* Lets a message that is out get its answer, cuts what is under way, waits for the threads. */
void submit_queue_stop(struct submit_queue **queue);
/* Reload. Any thread. */
void submit_queue_set_settings(struct submit_queue *queue, const struct settings *settings);
/* There is new work. Any thread. */
void submit_queue_kick(struct submit_queue *queue);
/* The same, and the relay is asked at once, also right after trouble with it. */
void submit_queue_retry_now(struct submit_queue *queue);

/* One message, if one is due. False: none is; *ret_wait_s: look again after so long, at the latest.
 */
bool submit_queue_step(struct submit_queue *queue, uint32_t *ret_wait_s);

struct submit_queue_counters {
	uint64_t sent, deferred, failed, reports, trouble; /* recipients; but reports and trouble */
};
void submit_queue_read_counters(struct submit_queue *queue, struct submit_queue_counters *ret);

#endif
