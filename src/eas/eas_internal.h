#ifndef BELLHOP_EAS_EAS_INTERNAL_H
#define BELLHOP_EAS_EAS_INTERNAL_H

#include "eas/command.h"

/* The parts of eas_handle(). All run on the worker that handles the call. */

#define WBXML_TYPE "application/vnd.ms-sync.wbxml"

/* ---- eas_device.c ---- */

/* The rules and services of the user alone, into call; for a request that names no device. */
NODISCARD int eas_device_rules(struct eas_call *call, struct store_read *rd, struct err *err);
/* The device, and with it the rules: one snapshot for what every command needs. ERR_NOT_FOUND: the
 * rules are there, and the device has no row yet. */
NODISCARD int eas_device_find(struct eas_call *call, struct err *err);
/* One that is made up anew for each request, and no row. Its policy keys follow from the user and
 * the policy, so that a validating phone gets through both phases of Provision. */
NODISCARD int eas_device_make_validating(struct eas_call *call, struct err *err);
/* ERR_DENIED: the user has as many as are allowed. */
NODISCARD int eas_device_create(struct eas_call *call, struct err *err);
/* A device that is there was here. */
NODISCARD int eas_device_note_seen(struct eas_call *call, struct err *err);

/* ---- eas_body.c ---- */

/* Decodes and checks the request: call->body, and call->root where it is WBXML. *scratch holds what
 * was decompressed, as long as the call. False: the reply is set. */
bool eas_body_read(struct eas_call *call, struct buf *scratch);
/* The reply's, by gzip. False: it stays as it was, for want of memory or because it would grow. */
bool eas_body_compress(struct eas_call *call);

#endif
