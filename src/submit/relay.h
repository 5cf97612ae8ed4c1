#ifndef BELLHOP_SUBMIT_RELAY_H
#define BELLHOP_SUBMIT_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"

/*
 * One SMTP transaction with the relay, by libcurl: a connection, a message, its recipients, an
 * answer for each.
 *
 * Threads: any; blocks up to the settings' time-outs. relay_global_init() in main, before the first
 * thread.
 */
void relay_global_init(void);

enum relay_outcome {
	RELAY_LATER = 0, /* 4xx, or no answer: may be tried again */
	RELAY_ACCEPTED,  /* 2xx: the relay has it */
	RELAY_REFUSED,   /* 5xx: never */
};

struct relay_answer {
	enum relay_outcome outcome;
	char text[512]; /* what the relay said, clean; or what went wrong */
};

struct relay_message {
	const char *sender; /* "": the null sender */
	const char *const *recipients;
	size_t recipient_count;
	const void *head; /* put before the message: our Received field */
	size_t head_len;
	const void *raw; /* lines end with CRLF */
	size_t len;
};

/*
 * 0: the relay spoke about this message; answers has one for each recipient. -1: it did not come to
 * that (no connection, TLS, login); err says why, and answers is not touched. *stopping true ends
 * it soon, but not while the relay makes up its mind about a whole message.
 */
NODISCARD int relay_send(const struct settings *settings, const struct relay_message *message,
	const _Atomic(bool) *stopping, struct relay_answer *answers, struct err *err);

#endif
