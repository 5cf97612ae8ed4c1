#ifndef BELLHOP_SUBMIT_OOF_REPLY_H
#define BELLHOP_SUBMIT_OOF_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "mime/mime.h"
#include "store/store.h"
#include "submit/queue.h"

/*
 * Answers of users who are out of office (RFC 3834). Whoever delivers a message prepares them
 * before his transaction, and applies them in it, for each mailbox that the message went into: the
 * answer goes out (queue, or the Inbox of a sender who is a user here) exactly when the message is
 * delivered.
 *
 * Threads: any worker. Preparing blocks on the store and the body files.
 */
struct oof_reply_request {
	const char *sender; /* of the envelope; "": nobody is to be answered */
	const void *raw;    /* the message */
	size_t len;
	const struct owner_id *owners; /* who get it */
	size_t owner_count;
	int64_t now_at;
	const struct mime_limits *limits;
	const struct settings *settings; /* must outlive the replies; NULL: nobody answers */
	struct submit_queue *queue;      /* told of new work; may be NULL */
};

struct oof_replies;

/* NULL: nobody answers, which is most of the time. Trouble is logged and means no answer: mail is
 * delivered all the same. No transaction open. */
struct oof_replies *oof_replies_prepare(struct store *store, const struct oof_reply_request *req);
/* Inside the transaction that puts the message into this mailbox; it may run again. A full queue or
 * mailbox means no answer, not a failure. replies may be NULL. */
NODISCARD int oof_replies_apply(
	struct store_tx *tx, struct oof_replies *replies, struct owner_id owner, struct err *err);
/* After the commit. */
void oof_replies_kick(const struct oof_replies *replies);
void oof_replies_free(struct oof_replies **replies);

#endif
