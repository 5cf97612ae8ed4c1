#ifndef BELLHOP_EAS_STATUS_H
#define BELLHOP_EAS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "eas/protocol.h"

/*
 * What the client sees of a failure. Values below 100 belong to a command and travel as WBXML in
 * every version; the common ones (101 to 184) are WBXML from 14.0 on and an HTTP status before.
 * Pure, any thread.
 */
enum eas_status {
	EAS_STATUS_SUCCESS = 1,
#define EAS_COMMON(value, name, http) EAS_STATUS_##name = (value),
#include "eas/status.def"
#undef EAS_COMMON
};

/* Where in the answer a Status stands. */
enum eas_place {
	EAS_PLACE_ROOT = 0, /* child of the root (MeetingResponse: in a Result) */
	EAS_PLACE_STORE,    /* Search: Response/Store/Status under a root Status 1 */
};

struct eas_outcome {
	bool wbxml; /* 200 with a body: eas_status_write(); else an empty body with the HTTP status
		     */
	uint16_t http;
	uint16_t status; /* 0 when not wbxml */
};

/*
 * The form in which a Status reaches a client of that version (0: unknown). policy_key_sent: the
 * request had a policy key, be it 0.
 */
struct eas_outcome eas_status_outcome(
	enum eas_command command, unsigned version, unsigned status, bool policy_key_sent);

/*
 * The whole WBXML document of a failure: the command's root with its Status, and the bound that
 * belongs to it (Sync 14 and 15: Limit, Ping 5: HeartbeatInterval, Ping 6: MaxFolders; limit 0:
 * none). The command must have a root.
 */
void eas_status_write(struct buf *out, enum eas_command command, enum eas_place place,
	unsigned status, uint64_t limit);

/* The Status of a failure that the command has no better word for. */
unsigned eas_status_of_err(enum eas_command command, unsigned version, enum err_code code);

/* "INVALID_XML" for 103; "" for values that are not common. For logs. Static storage. */
const char *eas_status_to_str(unsigned status);

#endif
