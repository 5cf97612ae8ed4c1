/* Verbs about phones. Threads and transactions: see admin.c. */
#include "admin/admin_page.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/service.h"
#include "store/store_access.h"
#include "store/store_page.h"

json_t *admin_device_to_json(
	struct admin_call *call, const struct device *device, const char *address)
{
	json_t *object = json_object();

	admin_put(object, "address", address);
	admin_put(object, "device", device->device_id);
	admin_put(object, "type", device->device_type);
	admin_put(object, "model", device->model);
	admin_put(object, "version",
		device->protocol_version == 0
			? ""
			: arena_x_printf(call->arena, "%u.%u", device->protocol_version / 10u,
				  device->protocol_version % 10u));
	admin_put_number(object, "last_seen_at", (uint64_t)device->last_seen_at);
	admin_put(object, "state", store_device_state_to_str(store_device_state_of(device)));
	return object;
}

struct device_list {
	struct admin_call *call;
	struct admin_page page;
	const struct user *user; /* of the device before */
};

static int list_one(void *owner, struct device_id id, struct err *err)
{
	struct device_list *list = owner;
	struct admin_call *call = list->call;
	struct device *device;
	struct user *user;
	json_t *object;

	if (store_device_load(call->rd, id, call->arena, &device, err) < 0)
		return -1;
	if (list->user == NULL || list->user->id.v != device->owner.v) {
		if (store_user_load(call->rd, device->owner, call->arena, &user, err) < 0)
			return -1;
		list->user = user;
	}
	object = admin_device_to_json(call, device, admin_user_address(call, list->user));
	(void)json_array_append_new(call->result, object);
	if (admin_policy_put_device(call, list->user, device, object, err) < 0)
		return -1;
	return 1;
}

/* All states that begin so. */
static int take_states(struct admin_call *call, uint32_t *ret, struct err *err)
{
	const char *text = admin_text(call, "state");
	uint32_t states = 0;

	for (unsigned i = 0; text != NULL && i < DEVICE_STATES; i++) {
		if (str_starts(store_device_state_to_str((enum store_device_state)i), text))
			states |= 1u << i;
	}
	if (text != NULL && states == 0)
		return err_set(err, ERR_BAD_INPUT,
			"\"%.40s\" begins no state: provisioned, not provisioned, quarantine, "
			"blocked, wipe pending, wipe sent, wipe failed or wiped",
			text);
	*ret = states;
	return 0;
}

static int take_policy_status(
	struct admin_call *call, struct store_device_filter *filter, struct err *err)
{
	const char *text = admin_text(call, "policy_status");
	unsigned status = POLICY_STATUS_NONE;

	if (text == NULL)
		return 0;
	while (status < POLICY_STATUS_OTHER && !str_eq(policy_status_to_str(status), text))
		status++;
	if (!str_eq(policy_status_to_str(status), text))
		return err_set(err, ERR_BAD_INPUT,
			"\"%.40s\" is no answer to a policy: none, full, partial, refused or other",
			text);
	filter->has_policy_status = true;
	filter->policy_status = (uint8_t)status;
	return 0;
}

int admin_device_list(struct admin_call *call, struct err *err)
{
	static const struct admin_sort sorts[] = {{"address", DEVICES_BY_ADDRESS, false},
		{"last_seen_at", DEVICES_BY_SEEN, false},
		{"first_seen_at", DEVICES_BY_FIRST_SEEN, false}, {"model", DEVICES_BY_MODEL, false},
		{"type", DEVICES_BY_TYPE, false}, {"version", DEVICES_BY_VERSION, false}};
	struct device_list list = {.call = call};
	struct store_device_filter filter = {.has_policy_status = false};
	struct user *user;

	if (admin_page_begin(call, sorts, ARRAY_LEN(sorts), &list.page, err) < 0 ||
		take_states(call, &filter.states, err) < 0 ||
		take_policy_status(call, &filter, err) < 0)
		return -1;
	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		filter.user = user->id;
	}
	if (list.page.left == 0)
		return 0;
	filter.search = list.page.search;
	filter.offset = list.page.skip;
	filter.limit = list.page.left;
	return store_device_walk(call->rd, &filter, (enum store_device_sort)list.page.sort,
		list.page.down, list_one, &list, err);
}

struct named {
	struct device_id first;
	size_t count;
};

static int found_named(void *owner, struct device_id id, struct err *err)
{
	struct named *named = owner;

	(void)err;
	if (named->count++ == 0)
		named->first = id;
	return 1;
}

/* By its DeviceId alone: somebody must be the only one who has it. */
static int find_unowned(
	struct admin_call *call, struct user **ret_user, struct device **ret, struct err *err)
{
	const char *name = admin_text(call, "device");
	struct named named = {.count = 0};

	if (store_device_walk_named(call->rd, name, 2, found_named, &named, err) < 0)
		return -1;
	if (named.count > 1)
		return err_set(err, ERR_CONFLICT,
			"several users have a phone \"%.80s\": name the user", name);
	if (named.count == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no phone \"%.80s\"", name);
	if (store_device_load(call->rd, named.first, call->arena, ret, err) < 0)
		return -1;
	return store_user_load(call->rd, (*ret)->owner, call->arena, ret_user, err);
}

/* For the row in the event log. */
static int note(struct admin_call *call, const struct user *user, const struct device *device)
{
	call->log_user = admin_user_address(call, user);
	call->log_device_id = device->device_id;
	call->log_device_type = device->device_type;
	return 0;
}

int admin_device(
	struct admin_call *call, struct user **ret_user, struct device **ret, struct err *err)
{
	const char *name = admin_text(call, "device");

	if (admin_text(call, "address") == NULL)
		return find_unowned(call, ret_user, ret, err) < 0 ? -1
								  : note(call, *ret_user, *ret);
	if (admin_user(call, ret_user, err) < 0)
		return -1;
	if (store_device_find(call->rd, (*ret_user)->id, name, call->arena, ret, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "%s has no phone \"%.80s\"",
					 admin_user_address(call, *ret_user), name)
			       : -1;
	return note(call, *ret_user, *ret);
}

int admin_device_show(struct admin_call *call, struct err *err)
{
	const char *recovery;
	struct user *user;
	struct device *d;

	if (admin_device(call, &user, &d, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = admin_device_to_json(call, d, admin_user_address(call, user));
	admin_put(call->result, "user_agent", d->user_agent);
	admin_put(call->result, "os", d->os);
	admin_put(call->result, "friendly_name", d->friendly_name);
	admin_put(call->result, "phone_number", d->phone_number);
	admin_put(call->result, "imei", d->imei);
	admin_put(call->result, "language", d->language);
	admin_put(call->result, "operator", d->operator_name);
	if (admin_policy_put_device(call, user, d, call->result, err) < 0 ||
		admin_policy_put_effects(call, user, d, call->result, err) < 0)
		return -1;
	if (store_device_recovery(call->rd, d->id, call->arena, &recovery, err) < 0)
		return -1;
	admin_put(call->result, "recovery_password", recovery);
	admin_put_number(call->result, "first_seen_at", (uint64_t)d->first_seen_at);
	admin_put_number(call->result, "provisioned_at", (uint64_t)d->provisioned_at);
	admin_put_number(call->result, "heartbeat_s", d->ping_heartbeat_s);
	admin_put_bool(call->result, "blocked", d->blocked);
	admin_put(call->result, "access",
		access_state_to_str(d->access_state != ACCESS_NONE
					    ? (enum access_state)d->access_state
					    : ACCESS_ALLOW));
	admin_put(
		call->result, "access_own", access_state_to_str((enum access_state)d->access_own));
	admin_put(call->result, "access_reason", d->access_reason);
	admin_put_number(call->result, "access_at", (uint64_t)d->access_at);
	admin_put(call->result, "ceiling", service_version_to_str(d->ceiling));
	return admin_put_wipe(call, call->result, d, err);
}

/* The device after a change, as the answer. */
static int answer_device(
	struct admin_call *call, const struct user *user, struct device_id id, struct err *err)
{
	struct device *device;

	if (store_device_load(call->rd, id, call->arena, &device, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = admin_device_to_json(call, device, admin_user_address(call, user));
	return 0;
}

int admin_device_block(struct admin_call *call, struct err *err)
{
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		store_device_set_blocked(call->tx, device->id, true, err) < 0)
		return -1;
	return answer_device(call, user, device->id, err);
}

int admin_device_unblock(struct admin_call *call, struct err *err)
{
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		store_device_set_blocked(call->tx, device->id, false, err) < 0)
		return -1;
	return answer_device(call, user, device->id, err);
}

/* Whoever removes his phone and sets it up again is not let in by that. */
static int keep_bar(struct admin_call *call, const struct device *device, struct err *err)
{
	struct unseen_device unseen = {.owner = device->owner,
		.device_id = device->device_id,
		.state = (enum access_state)device->access_own,
		.at = call->now_at};

	if (!call->caller->for_self ||
		(unseen.state != ACCESS_BLOCK && unseen.state != ACCESS_QUARANTINE))
		return 0;
	return store_unseen_set(call->tx, &unseen, err);
}

/* Nor gets he rid of a policy that was given to this phone alone, and would go with it. */
static int refuse_excepted(struct admin_call *call, const struct user *user,
	const struct device *device, struct err *err)
{
	struct rules_subject subject = {user->id, device->id, user->domain};
	const struct rules_policy *policy;
	struct rules_policy_from from;

	if (!call->caller->for_self)
		return 0;
	if (admin_need_rules(call, err) < 0)
		return -1;
	policy = rules_policy(call->rules, &subject, &from);
	if (from.scope.kind != SCOPE_DEVICE || policy->id == 0)
		return 0;
	return err_set(err, ERR_CONFLICT,
		"the administrator has given this phone a policy of its own (%s), which would go "
		"with it: only an administrator can remove it",
		policy->name);
}

int admin_device_del(struct admin_call *call, struct err *err)
{
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		admin_refuse_wiped(call, device, err) < 0 ||
		refuse_excepted(call, user, device, err) < 0 || keep_bar(call, device, err) < 0)
		return -1;
	admin_put(call->result, "device", device->device_id);
	return store_device_delete(call->tx, device->id, err);
}
