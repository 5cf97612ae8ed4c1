#ifndef BELLHOP_STORE_QUEUE_H
#define BELLHOP_STORE_QUEUE_H

#include "store/store.h"

/*
 * The queue of mail that is on its way out of the house: a message once, and for each recipient a
 * row with what has become of it. A message whose last recipient is gone is gone itself.
 *
 * Times are wall-clock seconds. What is written here is written in transactions, together with what
 * it belongs to: the copy in Sent, the note of the ClientId, the report to the sender.
 */
struct queue_id {
	uint64_t v;
};

enum queue_state {
	QUEUE_WAITING = 0, /* for its next attempt */
	QUEUE_HELD = 1,    /* for the administrator: a restored backup does not know what was sent
			      since */
	QUEUE_FAILED = 2,  /* for good: a report to the sender is due */
};

struct queue_new {
	struct owner_id owner; /* who sends it */
	const char *sender;    /* in the envelope; "" for reports */
	const char *const *recipients;
	size_t recipient_count;
	/* Of whom it is known already that they do not get it: the queue tells the sender. */
	const char *const *failed;
	size_t failed_count;
	const char *failed_answer;
	const struct store_new_body *body;
	int64_t now_at;
	/* 0: no bound. */
	uint64_t mails_max, mails_per_owner_max, bytes_max;
};

/* ERR_BUSY: the queue is full. ERR_DENIED: it has too many messages of this owner. */
NODISCARD int store_queue_add(
	struct store_tx *tx, const struct queue_new *mail, struct queue_id *ret, struct err *err);

struct queue_due {
	struct queue_id id;
	int64_t next_at;
};
/* The messages with something to do next, soonest first, whether their time has come or not. */
NODISCARD int store_queue_next(struct store_read *rd, size_t limit, struct arena *arena,
	struct queue_due **ret, size_t *ret_count, struct err *err);

struct queue_recipient {
	uint64_t position; /* in its message */
	const char *address;
	enum queue_state state;
	uint32_t attempts;
	int64_t next_at, last_at; /* last_at 0: no attempt yet */
	const char *answer;       /* the last one; "" */
};

struct queue_mail {
	struct queue_id id;
	struct owner_id owner;
	const char *sender;
	int64_t queued_at;
	uint64_t bytes;
	struct queue_recipient *recipients; /* those who are left, by position */
	size_t recipient_count;
};

/* ERR_NOT_FOUND. */
NODISCARD int store_queue_load(struct store_read *rd, struct queue_id id, struct arena *arena,
	struct queue_mail **ret, struct err *err);
/* As store_body_load(). */
NODISCARD int store_queue_body(
	struct store_read *rd, struct queue_id id, struct store_body *ret, struct err *err);
/* Whole messages, oldest first, until there are limit recipients or more. */
NODISCARD int store_queue_list(struct store_read *rd, size_t limit, struct arena *arena,
	struct queue_mail **ret, size_t *ret_count, struct err *err);

struct queue_counts {
	uint64_t mails, bytes, recipients, held;
};
NODISCARD int store_queue_count(struct store_read *rd, struct queue_counts *ret, struct err *err);

/* What one recipient came to. Gone rows are removed. 0 also when the row is not there any more. */
struct queue_result {
	uint64_t position;
	bool gone; /* accepted, reported, dropped: the rest does not count */
	enum queue_state state;
	uint32_t attempts;
	int64_t next_at, last_at;
	const char *answer; /* cut to STORE_QUEUE_ANSWER_MAX bytes */
};
enum { STORE_QUEUE_ANSWER_MAX = 500 };
NODISCARD int store_queue_set(struct store_tx *tx, struct queue_id id,
	const struct queue_result *results, size_t count, struct err *err);

/* Now, also what is held. id 0: all. *ret_count: recipients. */
NODISCARD int store_queue_retry(struct store_tx *tx, struct queue_id id, int64_t now_at,
	uint64_t *ret_count, struct err *err);
/* Forgotten, without a report. address NULL: all of them. */
NODISCARD int store_queue_drop(struct store_tx *tx, struct queue_id id, const char *address,
	uint64_t *ret_count, struct err *err);
/* After a restore: what waited may have been sent since the backup. */
NODISCARD int store_queue_hold(struct store_tx *tx, struct err *err);

#endif
