#ifndef BELLHOP_SUBMIT_QUEUE_INTERNAL_H
#define BELLHOP_SUBMIT_QUEUE_INTERNAL_H

#include "store/store_queue.h"
#include "submit/queue.h"

/* What the files of the queue share. All on the thread that has claimed the message. */

/* One message at work. */
struct work {
	struct submit_queue *queue;
	struct store *store;
	const struct settings *settings;
	struct arena *arena;
	struct queue_mail *mail;
	struct store_body body; /* no bytes: it cannot be read, body_err says why */
	struct err body_err;
	struct queue_result *results; /* room for each recipient */
	size_t result_count;
	int64_t now_at;
	bool reported; /* a report went out */
};

/* When trying ends. */
int64_t queue_deadline(const struct work *w);
/* How long until the next attempt, after so many. */
int64_t queue_pause_after(const struct settings *s, uint32_t attempts);
/* One more result, with the recipient as it is. */
struct queue_result *queue_add_result(struct work *w, const struct queue_recipient *r);
/* Inside a transaction of its own or of somebody else: the results; owner is the work. */
int queue_set_tx(struct store_tx *tx, void *owner, struct err *err);
/* Until it is done; false: a stop left the message as it was. */
bool queue_commit_results(struct work *w);

/* Tells the sender about all who have failed, and takes them out. */
void queue_report_failures(struct work *w);

#endif
