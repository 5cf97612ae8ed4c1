#ifndef BELLHOP_SUBMIT_SUBMIT_H
#define BELLHOP_SUBMIT_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mime/mime.h"
#include "store/store.h"

/*
 * Outgoing mail. A message reaches all of its recipients or none: everything, the sender's copy and
 * the memory of its ClientId included, is one transaction.
 *
 * Threads: any worker; blocks on the store.
 */
struct submit_request {
	const struct user *sender;
	struct device_id device; /* that sends it */
	const char *client_key;  /* the request's ClientId, or a hash of it; NULL: repeats are not
				    recognised */
	const void *raw;         /* as mime_prepare_send() left it */
	size_t len;
	const char *const
		*recipients; /* bare addresses; the same user may be named more than once */
	size_t recipient_count;
	bool save_in_sent;
	int64_t now_at;
	uint32_t sent_memory_h; /* how long client_key is remembered */
	const struct mime_limits *limits;
};

enum submit_result {
	SUBMIT_SENT = 1,
	SUBMIT_REPEATED,   /* client_key is known: it was sent before, and nothing was done now */
	SUBMIT_UNRESOLVED, /* a recipient is not local, or none was named: nothing was sent; err
			      (ERR_NOT_FOUND) names the address */
	SUBMIT_QUOTA, /* a mailbox or the disk is full: nothing was sent; err (ERR_QUOTA) says whose
		       */
};

/* 0: *ret says what became of it. -1: trouble (err), nothing was sent, and the same request may
 * come again. */
NODISCARD int submit_send(struct store *store, const struct submit_request *req,
	enum submit_result *ret, struct err *err);

#endif
