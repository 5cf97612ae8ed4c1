#ifndef BELLHOP_EAS_COMMAND_OUTGOING_H
#define BELLHOP_EAS_COMMAND_OUTGOING_H

#include "eas/command.h"
#include "submit/submit.h"

/*
 * Mail that a phone sends: what SendMail, SmartReply and SmartForward share ([MS-ASCMD] 2.2.1.17,
 * .19, .20). The request's form differs: before 14.0 the body is the message and the query holds
 * the rest.
 */
struct outgoing {
	struct eas_call *call;
	const uint8_t *message; /* as the phone wrote it, or composed from that */
	size_t len;
	bool save_in_sent;
	const char *key;                    /* by which a repeat is known */
	const struct submit_source *source; /* NULL: none */
};

/* Fills message, save_in_sent and key. False: the reply is set. */
bool outgoing_read(struct eas_call *call, struct outgoing *ret);

/*
 * Checks sender and recipients, completes the message, hands it over. 0: *ret_status is 0 when it
 * was sent, or the common Status that says why not. -1: trouble (err); nothing was sent.
 */
NODISCARD int outgoing_submit(const struct outgoing *o, unsigned *ret_status, struct err *err);

/*
 * The same in steps, for what has more to do in the transaction. prepare: *ret_mail, or NULL and
 * the common Status that says why not. apply, inside the transaction, which may run again: -1 when
 * it must be given up, *ret_status is the refusal or 0 for trouble; 0 when it goes,
 * EAS_STATUS_PREVIOUSLY_SENT when it went before. finish: after the commit of one that goes. o->key
 * NULL: repeats are known otherwise. The message and the call must outlive the mail.
 */
struct outgoing_mail;
NODISCARD int outgoing_prepare(const struct outgoing *o, struct outgoing_mail **ret_mail,
	unsigned *ret_status, struct err *err);
NODISCARD int outgoing_apply(
	struct store_tx *tx, struct outgoing_mail *mail, unsigned *ret_status, struct err *err);
void outgoing_finish(struct outgoing_mail *mail);
void outgoing_mail_free(struct outgoing_mail **mail);

/* The From of a message that this user writes. */
NODISCARD int outgoing_own_from(const struct eas_call *call, const char **ret, struct err *err);

/* Of a request that is refused with *status: where it was sent before, *status says that instead.
 * What made it good may be gone by now: the source, a recipient, the address in From. Remembers
 * nothing. */
NODISCARD int outgoing_forgive_repeat(const struct outgoing *o, unsigned *status, struct err *err);

/* The reply to what outgoing_submit() said. */
void outgoing_reply(struct eas_call *call, unsigned status);

#endif
