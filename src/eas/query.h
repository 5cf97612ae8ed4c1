#ifndef BELLHOP_EAS_QUERY_H
#define BELLHOP_EAS_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "eas/protocol.h"
#include "eas/status.h"
#include "ipc/ipc.h"

/*
 * The request line and its headers ([MS-ASHTTP] 2.2.1.1): who asks for what, in which version. Both
 * query forms, plain and base64, and the habits of clients. Pure; texts live
 * in the arena or in the request.
 */
struct eas_query {
	enum eas_command command;
	unsigned version;      /* times ten; 0: none or unknown */
	const char *user;      /* for logs only; "" when absent */
	const char *device_id; /* 1..32 letters and digits; a binary one in hex */
	const char *device_type;
	bool policy_key_sent; /* by header or by the query, be it 0 */
	uint32_t policy_key;  /* 0: none */
	uint16_t locale;      /* LCID of a base64 query, or 0 */
	const char *attachment_name, *collection_id, *item_id, *long_id,
		*occurrence;                     /* "" when absent */
	const char *collection_name, *parent_id; /* of the old commands */
	bool save_in_sent, accept_multipart;
	const char *user_agent; /* "" when absent */
	bool accept_gzip;
	/*
	 * On failure: the common Status, and what to answer where HTTP alone can say it. `version`
	 * and `command` are set as far as they are known, so eas_query_outcome() gives the form
	 * that this client understands.
	 */
	uint16_t fault_status, fault_http;
};

/*
 * Reads method, target and headers. -1: the request is refused, ret->fault_... say how, err what
 * was wrong; the other fields hold what could be read (texts never NULL). OPTIONS fails only for a
 * wrong path.
 */
NODISCARD int eas_query_parse(struct arena *arena, const struct ipc_request *http,
	struct eas_query *ret, struct err *err);
/* After a failure: HTTP status or WBXML Status. */
struct eas_outcome eas_query_outcome(const struct eas_query *query);

/* True for /Microsoft-Server-ActiveSync, in any case, with or without a slash and a query behind
 * it. */
bool eas_target_matches(const char *target);
/* True when the value of Accept-Encoding takes gzip. NULL: false. */
bool eas_accepts_gzip(const char *accept_encoding);

#endif
