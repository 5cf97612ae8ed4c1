/*
 * The device that a request names: found with what is decided about it, made where it is new, and
 * what is noted of its visit.
 */
#include "eas/eas_internal.h"

#include <inttypes.h>

#include "auth/auth.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_wipe.h"

/* last_seen is for people: a write per hour and phone is enough. */
#define SEEN_INTERVAL_S 3600

static int create_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct eas_call *call = owner;
	enum access_state own;
	uint64_t count;

	if (store_device_count(store_tx_read(tx), call->user->id, &count, err) < 0)
		return -1;
	if (count >= call->services.values[SERVICE_devices_per_user])
		return err_set(err, ERR_DENIED, "the user has %" PRIu64 " devices", count);
	call->device->id.v = 0;
	if (store_device_save(tx, call->device, err) < 0 ||
		store_unseen_take(tx, call->user->id, call->device->device_id, &own, err) < 0)
		return -1;
	call->device->access_own = (uint8_t)own;
	call->device->blocked = own == ACCESS_BLOCK;
	return own == ACCESS_NONE ? 0 : store_device_set_access(tx, call->device->id, own, err);
}

int eas_device_rules(struct eas_call *call, struct store_read *rd, struct err *err)
{
	struct rules_subject subject = {call->user->id, {0}, call->user->domain};

	rules_unref(&call->rules);
	if (rules_get(call->server->rules, rd, &call->rules, err) < 0)
		return -1;
	services_resolve(call->rules, &subject, call->settings, &call->services);
	return 0;
}

int eas_device_find(struct eas_call *call, struct err *err)
{
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = eas_device_rules(call, rd, err);
	if (result == 0)
		result = store_device_find(rd, call->user->id, call->query->device_id, call->arena,
			&call->device, err);
	store_read_end(&rd);
	return result;
}

static void fill_device(struct eas_call *call)
{
	*call->device = (struct device){
		.owner = call->user->id,
		.device_id = call->query->device_id,
		.device_type = call->query->device_type,
		.user_agent = call->query->user_agent,
		.model = "",
		.os = "",
		.friendly_name = "",
		.phone_number = "",
		.imei = "",
		.language = "",
		.operator_name = "",
		.credential = "",
		.access_reason = "",
		.protocol_version = (uint16_t)call->version,
		.first_seen_at = call->now_at,
		.last_seen_at = call->now_at,
	};
}

/* What let it in, by which a wipe may reach it one day; not what a pending wipe let in. */
static const char *credential_of(const struct eas_call *call)
{
	const struct auth_grant *grant = call->request->grant;

	return grant == NULL || grant->by_fallback || call->device->wipe == WIPE_DONE
		       ? call->device->credential
		       : grant->verifier;
}

int eas_device_create(struct eas_call *call, struct err *err)
{
	call->device = arena_x_new(call->arena, struct device);
	fill_device(call);
	call->device->credential = credential_of(call);
	if (store_transact(call->server->store, create_tx, call, err) == 0) {
		log_info(&call->reply->log, "device_created",
			F_STR("type", call->query->device_type));
		return 0;
	}
	/* Another request of the same phone was faster. */
	return err->code == ERR_CONFLICT ? eas_device_find(call, err) : -1;
}

/* Windows Phone leaves it out at times: what is known stays. */
static const char *agent_of(const struct eas_call *call)
{
	const char *agent = call->query->user_agent;

	return agent[0] != 0 ? agent : call->device->user_agent;
}

static int seen_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct eas_call *call = owner;
	const char *credential = credential_of(call);

	if (!str_eq(credential, call->device->credential) &&
		store_device_set_credential(tx, call->device->id, credential, err) < 0)
		return -1;
	return store_device_set_seen(tx, call->device->id, (uint16_t)call->version, agent_of(call),
		call->query->device_type, call->now_at, err);
}

int eas_device_make_validating(struct eas_call *call, struct err *err)
{
	static const uint8_t key[16];
	uint64_t seed[3] = {call->user->id.v, 0, 0};
	const struct rules_policy *policy;
	struct policy_rules rules;
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = eas_device_rules(call, rd, err);
	store_read_end(&rd);
	if (result < 0)
		return -1;
	call->device = arena_x_new(call->arena, struct device);
	fill_device(call);
	policy = eas_policy(call->settings, call->rules, call->user, call->device->id, &rules);
	seed[1] = rules_policy_hash(policy, call->version);
	call->device->policy_version = seed[1];
	call->device->policy_status = POLICY_STATUS_FULL;
	call->device->policy_key_temporary = (uint32_t)siphash(key, seed, sizeof(seed)) | 1;
	seed[2] = 1;
	call->device->policy_key = ((uint32_t)siphash(key, seed, sizeof(seed)) & ~1u) | 2;
	call->device->provisioned_at = call->now_at;
	return 0;
}

int eas_device_note_seen(struct eas_call *call, struct err *err)
{
	const struct device *d = call->device;

	if (d->protocol_version == call->version && str_eq(d->user_agent, agent_of(call)) &&
		str_eq(d->device_type, call->query->device_type) &&
		str_eq(d->credential, credential_of(call)) &&
		call->now_at - d->last_seen_at < SEEN_INTERVAL_S)
		return 0;
	return store_transact(call->server->store, seen_tx, call, err);
}
