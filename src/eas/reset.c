/*
 * What the event log says of phones that begin a collection again, because they forgot what they
 * held, or because the server does not know their key. Such a phone loads its mail anew, so people
 * ask; a phone that does nothing else fills no log.
 */
#include "eas/command.h"

#define ONCE_IN_S 600

int eas_log_reset(struct store_tx *tx, const struct eas_call *call, const char *action,
	const char *collection_id, struct err *err)
{
	const struct log_row row = {
		.at = call->now_at,
		.actor = "device",
		.user = arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain),
		.address = call->request != NULL ? call->request->http->address : "",
		.device_id = call->device->device_id,
		.device_type = call->device->device_type,
		.action = action,
		.result = collection_id,
	};

	return store_log_add_once(tx, &row, ONCE_IN_S, err);
}
