/*
 * OPTIONS ([MS-ASHTTP] 2.2.3): what this server speaks. Only what works is listed, and only what is
 * offered to this user and this device.
 *
 * Most phones do not say here which device they are. One with a ceiling must not be offered more
 * all the same, or it would ask, be refused and ask again: where no DeviceId is named, all devices
 * of the user with the same User-Agent count, if each of them has a ceiling.
 */
#include "eas/command.h"

#include "base/mem.h"
#include "base/str.h"

/* 0: any. */
static unsigned ceiling_of(
	const struct eas_query *query, const struct device *devices, size_t count)
{
	unsigned ceiling = 0;

	for (size_t i = 0; i < count; i++) {
		const struct device *d = &devices[i];

		if (query->device_id != NULL && query->device_id[0] != '\0') {
			if (str_eq(query->device_id, d->device_id))
				return d->ceiling;
			continue;
		}
		if (query->user_agent[0] == '\0' || !str_eq(query->user_agent, d->user_agent))
			continue;
		if (d->ceiling == 0)
			return 0;
		ceiling = MAX(ceiling, (unsigned)d->ceiling);
	}
	return ceiling;
}

static unsigned find_ceiling(struct eas_call *call)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err ignored = ERR_INIT;
	struct device *devices;
	size_t count;

	if (store_read_begin(call->server->store, &rd, &ignored) < 0 ||
		store_device_list(rd, call->user->id, call->arena, &devices, &count, &ignored) < 0)
		return 0;
	return ceiling_of(call->query, devices, count);
}

void eas_options(struct eas_call *call)
{
	call->reply->status = 200;
	eas_reply_header(call->reply, "MS-Server-ActiveSync", "16.1");
	eas_reply_header(call->reply, "MS-ASProtocolVersions",
		eas_versions_offered(
			call->services.values[SERVICE_versions], find_ceiling(call), call->arena));
	eas_reply_header(call->reply, "MS-ASProtocolCommands", eas_commands_offered(call));
	eas_reply_header(call->reply, "Public", "OPTIONS,POST");
	eas_reply_header(call->reply, "Allow", "OPTIONS,POST");
}
