/* Verbs about phones. Threads and transactions: see admin.c. */
#include "admin/admin_page.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/service.h"
#include "store/store_access.h"
#include "store/store_page.h"

static const char *state_of(const struct device *device)
{
	switch (device->wipe) {
	case WIPE_ORDERED:
		return "wipe pending";
	case WIPE_SENT:
		return "wipe sent";
	case WIPE_DONE:
		return "wiped";
	case WIPE_FAILED:
		return "wipe failed";
	case WIPE_NONE:
		break;
	}
	if (device->blocked)
		return "blocked";
	if (device->access_own == ACCESS_QUARANTINE ||
		(device->access_own == ACCESS_NONE && device->access_state == ACCESS_QUARANTINE))
		return "quarantine";
	return device->policy_key != 0 ? "provisioned" : "not provisioned";
}

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
	admin_put(object, "state", state_of(device));
	return object;
}

struct device_list {
	struct admin_call *call;
	struct admin_page page;
	const char *state;       /* only those; NULL: all */
	const struct user *user; /* of the device before */
};

static bool state_fits(const struct device_list *list, const json_t *object)
{
	return list->state == NULL ||
	       str_starts(json_string_value(json_object_get(object, "state")), list->state);
}

static int list_one(void *owner, struct device_id id, struct err *err)
{
	struct device_list *list = owner;
	struct admin_call *call = list->call;
	struct device *device;
	struct user *user;
	json_t *object;

	/* A state is known only when the device is loaded. */
	if (list->state == NULL && !admin_page_takes(&list->page))
		return 1;
	if (store_device_load(call->rd, id, call->arena, &device, err) < 0)
		return -1;
	if (list->user == NULL || list->user->id.v != device->owner.v) {
		if (store_user_load(call->rd, device->owner, call->arena, &user, err) < 0)
			return -1;
		list->user = user;
	}
	object = admin_device_to_json(call, device, admin_user_address(call, list->user));
	if (admin_policy_put_device(call, list->user, device, object, err) < 0) {
		json_decref(object);
		return -1;
	}
	if (state_fits(list, object) && (list->state == NULL || admin_page_takes(&list->page)))
		(void)json_array_append(call->result, object);
	json_decref(object);
	return list->page.left > 0 ? 1 : 0;
}

int admin_device_list(struct admin_call *call, struct err *err)
{
	static const struct admin_sort sorts[] = {{"address", DEVICES_BY_ADDRESS, false},
		{"last_seen_at", DEVICES_BY_SEEN, false},
		{"first_seen_at", DEVICES_BY_FIRST_SEEN, false}, {"model", DEVICES_BY_MODEL, false},
		{"type", DEVICES_BY_TYPE, false}, {"version", DEVICES_BY_VERSION, false}};
	struct device_list list = {.call = call, .state = admin_text(call, "state")};
	struct owner_id whose = {0};
	struct user *user;

	if (admin_page_begin(call, sorts, ARRAY_LEN(sorts), &list.page, err) < 0)
		return -1;
	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		whose = user->id;
	}
	if (list.page.left == 0)
		return 0;
	return store_device_walk(call->rd, whose, list.page.search,
		(enum store_device_sort)list.page.sort, list.page.down, list_one, &list, err);
}

/* By its DeviceId alone: somebody must be the only one who has it. */
static int find_unowned(
	struct admin_call *call, struct user **ret_user, struct device **ret, struct err *err)
{
	const char *name = admin_text(call, "device");
	struct device *devices, *found = NULL;
	size_t count;

	if (store_device_list(call->rd, (struct owner_id){0}, call->arena, &devices, &count, err) <
		0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(devices[i].device_id, name))
			continue;
		if (found != NULL)
			return err_set(err, ERR_CONFLICT,
				"several users have a phone \"%.80s\": name the user", name);
		found = &devices[i];
	}
	if (found == NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no phone \"%.80s\"", name);
	*ret = found;
	return store_user_load(call->rd, found->owner, call->arena, ret_user, err);
}

int admin_device(
	struct admin_call *call, struct user **ret_user, struct device **ret, struct err *err)
{
	const char *name = admin_text(call, "device");

	if (admin_text(call, "address") == NULL)
		return find_unowned(call, ret_user, ret, err);
	if (admin_user(call, ret_user, err) < 0)
		return -1;
	if (store_device_find(call->rd, (*ret_user)->id, name, call->arena, ret, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "%s has no phone \"%.80s\"",
					 admin_user_address(call, *ret_user), name)
			       : -1;
	return 0;
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

int admin_device_del(struct admin_call *call, struct err *err)
{
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		admin_refuse_wiped(call, device, err) < 0)
		return -1;
	admin_put(call->result, "device", device->device_id);
	return store_device_delete(call->tx, device->id, err);
}
