#ifndef BELLHOP_EAS_ACCESS_H
#define BELLHOP_EAS_ACCESS_H

#include "eas/class/email.h"
#include "eas/command.h"
#include "eas/gate.h"
#include "policy/access.h"

/*
 * What access and services mean for a request: the message of the quarantine, what is noted when a
 * decision changes, how much a device may be sent today. The gate decides (gate.c), this is what
 * follows from it. Any thread.
 */

/* The ServerId of the message that explains a quarantine: no item has so high a number. */
#define EAS_NOTICE_ITEM ((struct item_id){INT64_MAX})

/* What is known of a device. agent: of the request; NULL: the one it had last. */
void eas_access_facts(const struct device *device, const char *agent, unsigned version,
	const struct settings *settings, int64_t now_at, struct access_facts *ret);

/* Notes a decision that is another than the last one, with a row in the event log. Trouble is
 * logged: the decision holds all the same. */
void eas_access_note(struct eas_call *call, const struct gate_verdict *verdict);

/* The texts of rules, in the arena: rules come and go. */
void eas_access_texts(
	const struct rules *rules, struct arena *arena, const char *ret[ACCESS_TEXTS]);
/* The message for a device in quarantine, as email_load() gives others; email_release() it. */
NODISCARD int eas_notice_load(struct eas_call *call, struct store_read *rd,
	const struct folder *folder, struct arena *arena, struct email *ret, struct err *err);
/* Must a device in quarantine be given the message: it synchronizes the Inbox and does not hold it.
 * *ret_folder: the Inbox. */
NODISCARD int eas_notice_due(struct store_read *rd, struct owner_id user, struct device_id device,
	struct folder_id *ret_folder, bool *ret, struct err *err);

/* ---- how much a device is sent in a day ---- */
/* Does a limit hold for this user, and is it reached? *ret_until: when it ends; items: how many
 * are left (UINT64_MAX: no limit). */
NODISCARD int eas_usage_over(struct store_read *rd, const struct services *services,
	struct device_id device, int64_t now_at, bool *ret, int64_t *ret_until,
	uint64_t *ret_items_left, struct err *err);
/* Before a command: says in the call how much may still be sent, or that nothing may. False: it is
 * refused, the reply is set. */
bool eas_usage_check(struct eas_call *call);
/* Counts what the reply holds, if a limit holds. Trouble is logged. */
void eas_usage_note(struct eas_call *call);

#endif
