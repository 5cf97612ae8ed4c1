#ifndef BELLHOP_FLEET_MAILER_H
#define BELLHOP_FLEET_MAILER_H

#include "base/err.h"
#include "fleet/fleet.h"

/*
 * Mail for the users of a fleet, by LMTP, at a steady rate, each message to one user. A process of
 * its own, which dies with the caller. The news of a user count from the last byte of the message
 * sent, so what phones take them for has the server's parsing and its commit in it.
 */
struct mailer;

struct mailer_options {
	const char *lmtp; /* host:port */
	const char *user; /* "%u" becomes the number of the user */
	uint32_t users, mail_bytes;
	double rate; /* messages per second */
	uint64_t seed;
};

NODISCARD int mailer_start(struct fleet *fleet, const struct mailer_options *options,
	struct mailer **ret, struct err *err);
/* One message to the user of that number, now, and from here. Blocks. */
NODISCARD int mailer_deliver(
	const struct mailer_options *options, uint64_t number, struct err *err);
/* Messages accepted, and refused, so far. */
void mailer_read(const struct mailer *m, uint64_t *ret_sent, uint64_t *ret_failed);
void mailer_stop(struct mailer **m);

#endif
