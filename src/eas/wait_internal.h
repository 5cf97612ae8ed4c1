#ifndef BELLHOP_EAS_WAIT_INTERNAL_H
#define BELLHOP_EAS_WAIT_INTERNAL_H

#include <assert.h>

#include "eas/ping_internal.h"

/* What wait.c, wait_look.c and wait_restore.c share. */

/* What a front keeps for us with a parked phone; from one engine to the next, so fields are only
 * ever added, at the end. */
struct wait_cookie {
	uint64_t user, device, user_epoch, device_epoch;
	uint32_t heartbeat_s;
	uint8_t kind, provisioning_known;
	uint8_t plain; /* without TLS */
	uint8_t muted; /* watches nothing: it is to hear of nothing */
	uint64_t clean_seq; /* of the user: nothing up to it is news to the phone; 0: not known */
};

#define WAIT_COOKIE_V1 offsetof(struct wait_cookie, clean_seq)

static_assert(WAIT_COOKIE_V1 == 40, "what the release before wrote");
static_assert(sizeof(struct wait_cookie) <= IPC_COOKIE_MAX, "the cookie does not fit its frame");

void eas_wait_cookie(
	struct eas_call *call, enum watch_kind kind, uint32_t heartbeat_s, uint64_t clean_seq);
/* The headers that an answer of a watch needs. */
void eas_wait_seal(struct eas_call *call);
/* ANSWER, or WAIT when there is nothing to say. */
void eas_wait_answer(
	struct eas_call *call, enum watch_kind kind, const struct wait_verdict *verdict);
/* False: the look at this watch has crashed the engine twice. The phone is to ask again itself. */
bool eas_wait_note(struct eas_server *server, uint64_t user, uint64_t device, enum watch_kind kind,
	struct eas_reply *reply);

#endif
