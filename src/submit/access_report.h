#ifndef BELLHOP_SUBMIT_ACCESS_REPORT_H
#define BELLHOP_SUBMIT_ACCESS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/settings.h"
#include "store/store.h"
#include "submit/queue.h"

/*
 * The mail that tells administrators (access.notify) of phones in quarantine: one for all that came
 * since the last, to local mailboxes or through the queue. That a phone was told of is written in
 * the transaction that delivers, so none is told twice and none is forgotten.
 *
 * Any worker; blocks on the store. *ret_sent: there was something to tell.
 */
NODISCARD int access_report_send(struct store *store, const struct settings *settings,
	struct submit_queue *queue, int64_t now_at, bool *ret_sent, struct err *err);

#endif
