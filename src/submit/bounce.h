#ifndef BELLHOP_SUBMIT_BOUNCE_H
#define BELLHOP_SUBMIT_BOUNCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * The report that tells a sender what did not arrive (RFC 3464): a text for people, the facts for
 * programs, the head of the message. Pure but for the random part of names.
 */
struct bounce_recipient {
	const char *address;
	const char *answer; /* of the relay, or what went wrong */
	int64_t last_at;    /* 0: never tried */
};

struct bounce {
	const char *hostname;
	const char *to; /* the sender of the message */
	const struct bounce_recipient *recipients;
	size_t recipient_count;
	int64_t queued_at, now_at;
	const void *raw; /* the message */
	size_t len;
};

/* Appends the report; out->failed when there is no memory. */
void bounce_compose(const struct bounce *bounce, struct buf *out);

#endif
