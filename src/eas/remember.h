#ifndef BELLHOP_EAS_REMEMBER_H
#define BELLHOP_EAS_REMEMBER_H

#include "eas/command.h"

/*
 * What is remembered of requests and answers (telemetry/telemetry.h). Nothing happens where the
 * server has no telemetry. Any thread.
 */

/* In the order of telemetry.syncs. */
#define EAS_REMEMBER_CLASSES "Email", "Calendar", "Contacts", "Tasks", "Notes", "SMS", "other"

/* A request is done; before its answer is compressed. */
void eas_remember(const struct eas_call *call, int64_t begun_us);
/* A phone that waited is answered. version 0: not known. */
void eas_remember_wake(struct eas_server *server, struct device_id device, enum watch_kind kind,
	unsigned version, const struct eas_reply *reply);
/* A login of this user was refused, with 401 or 503: counted, and kept for the device that it
 * names, if there is one. Reads the store. */
void eas_remember_refused(struct telemetry *telemetry, struct store *store,
	const struct ipc_request *http, struct owner_id user, unsigned http_status,
	struct arena *arena);
/* A collection of a Sync is answered. class_name NULL: not known. */
void eas_remember_collection(const struct eas_call *call, const char *class_name, unsigned status);

#endif
