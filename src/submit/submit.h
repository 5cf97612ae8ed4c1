#ifndef BELLHOP_SUBMIT_SUBMIT_H
#define BELLHOP_SUBMIT_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "mime/mime.h"
#include "store/store.h"
#include "submit/queue.h"

/*
 * Outgoing mail. A message is taken for all of its recipients or for none: the copies of local
 * ones, the queue for all others, the sender's copy, the memory of its ClientId and the verb of the
 * message it answers are one transaction.
 *
 * Threads: any worker; blocks on the store.
 */

/* The message that is answered or forwarded. */
struct submit_source {
	struct owner_id owner;
	struct folder_id folder;
	struct item_id item;
	uint8_t verb; /* LastVerbExecuted: 1 reply, 2 reply to all, 3 forward */
};

struct submit_request {
	const struct user *sender;
	const char *from;        /* their address that the message leaves under */
	struct device_id device; /* that sends it */
	const char *client_key;  /* the request's ClientId, or a hash of it; NULL: repeats are not
				    recognised */
	const void *raw;         /* as mime_prepare_send() left it */
	size_t len;
	const void *sent_raw; /* the copy in Sent where it is another one (Bcc); NULL: raw */
	size_t sent_len;
	const char *const
		*recipients; /* bare addresses; the same user may be named more than once */
	size_t recipient_count;
	bool save_in_sent;
	const struct submit_source *source; /* NULL: none */
	int64_t now_at;
	uint32_t sent_memory_h; /* how long client_key is remembered */
	const struct mime_limits *limits;
	const struct settings *settings; /* the relay's; NULL: there is none */
	struct submit_queue *queue;      /* told of new work; may be NULL */
};

enum submit_result {
	SUBMIT_SENT = 1,
	SUBMIT_REPEATED, /* client_key is known: it was sent before, and nothing was done now */
	/* Nothing was sent, err says more: */
	SUBMIT_UNRESOLVED, /* a recipient is neither local nor for the relay, or none was named */
	SUBMIT_QUOTA,      /* a mailbox or the disk is full */
	SUBMIT_SOURCE_GONE,
	SUBMIT_TOO_LARGE,  /* for the relay */
	SUBMIT_SEND_QUOTA, /* too many of this user's messages wait in the queue */
	SUBMIT_BUSY,       /* the queue is full */
};

/* 0: *ret says what became of it. -1: trouble (err), nothing was sent, and the same request may
 * come again. */
NODISCARD int submit_send(struct store *store, const struct submit_request *req,
	enum submit_result *ret, struct err *err);

/*
 * The same in steps, for a sender that has more to do in the transaction. The request with
 * everything in it must outlive the mail.
 */
struct submit_mail;
/* Recipients, body files. 0 with *ret_mail NULL: refused, *ret says why. Blocks; no transaction
 * open. */
NODISCARD int submit_prepare(struct store *store, const struct submit_request *req,
	struct submit_mail **ret_mail, enum submit_result *ret, struct err *err);
/* Inside a transaction, which may run again. 0: SUBMIT_SENT or SUBMIT_REPEATED. -1: the transaction
 * must be given up; *ret is the refusal, or 0 for trouble. */
NODISCARD int submit_apply(
	struct store_tx *tx, struct submit_mail *mail, enum submit_result *ret, struct err *err);
/* After the commit. */
void submit_kick(struct submit_mail *mail);
void submit_mail_free(struct submit_mail **mail);

#endif
