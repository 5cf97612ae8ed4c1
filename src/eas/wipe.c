/*
 * Which credential a phone may still use to hear of its wipe. Asked only when a login is about to
 * be refused; for a user without a pending wipe it costs one look at the user's devices. And which
 * phone it is that was refused, asked when that is written down. No state.
 */
#include "eas/wipe.h"

#include "base/mem.h"
#include "eas/query.h"
#include "store/store_wipe.h"

static const char *find(struct store_read *rd, const struct eas_wipe_request *request,
	const struct user *user, struct arena *arena, bool *ret_proved, struct err *err)
{
	struct eas_query *query = arena_x_new(arena, struct eas_query);
	const char *credential = NULL;
	uint64_t pending = 0;
	uint32_t policy_key = 0;

	/* Nothing of a stranger's request is read for users whom this does not concern. */
	if (store_wipe_pending(rd, user->id, &pending, err) < 0 || pending == 0)
		return NULL;
	/* What is wrong with it, it is told later. */
	if (eas_query_parse(arena, request->http, query, err) < 0)
		*err = (struct err)ERR_INIT;
	if (query->command != EAS_CMD_OPTIONS &&
		(query->device_id == NULL || query->device_id[0] == 0))
		return NULL;
	if (store_wipe_credential(
		    rd, user->id, query->device_id, arena, &credential, &policy_key, err) < 0)
		return NULL;
	*ret_proved = policy_key != 0 && query->policy_key == policy_key;
	return credential;
}

const char *eas_wipe_credential(
	void *owner, const struct user *user, struct arena *arena, bool *ret_proved)
{
	struct eas_wipe_request *request = owner;
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err ignored = ERR_INIT; /* the login is refused, and that is logged */

	request->refused = user->id;
	if (store_read_begin(request->store, &rd, &ignored) < 0)
		return NULL;
	return find(rd, request, user, arena, ret_proved, &ignored);
}

void eas_wipe_device(void *owner, const struct user *user, struct arena *arena, const char **ret_id,
	const char **ret_type)
{
	const struct eas_wipe_request *request = owner;
	struct eas_query *query = arena_x_new(arena, struct eas_query);
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err ignored = ERR_INIT; /* the row does without */
	struct device *device;

	if (eas_query_parse(arena, request->http, query, &ignored) < 0 ||
		query->device_id == NULL || store_read_begin(request->store, &rd, &ignored) < 0 ||
		store_device_find(rd, user->id, query->device_id, arena, &device, &ignored) < 0)
		return;
	*ret_id = device->device_id;
	*ret_type = device->device_type;
}
