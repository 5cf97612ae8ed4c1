/*
 * Verbs that order a phone to erase itself, take that back, and let it in again. Threads and
 * transactions: see admin.c.
 *
 * A user may order it for his own phones, where the configuration lets him, and takes back only
 * what he ordered himself: else whoever stole the phone and knows the password would.
 */
#include <inttypes.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "policy/wipe.h"
#include "store/store_wipe.h"

static void put_reach(
	struct admin_call *call, json_t *object, const struct device *device, bool account_only)
{
	int64_t stale_s = (int64_t)call->limits.wipe_stale_days * 86400;
	struct buf text = BUF_INIT;
	enum wipe_reach reach = WIPE_REACH_YES; /* it did when it is done */

	if (device->wipe != WIPE_DONE)
		reach = wipe_reach(device, account_only, call->now_at, stale_s, &text);

	admin_put(object, "wipe_reach", wipe_reach_to_str(reach));
	admin_put(object, "wipe_reach_text", buf_cstr(&text));
	buf_deinit(&text);
}

static void put_order(json_t *object, const struct wipe *w)
{
	admin_put(object, "wipe", w == NULL ? "none" : wipe_to_str(w));
	admin_put(object, "wipe_kind", w == NULL ? "" : w->account_only ? "account" : "device");
	admin_put(object, "wipe_asked_by", w == NULL ? "" : w->asked_by);
	admin_put_number(object, "wipe_asked_at", w == NULL ? 0 : (uint64_t)w->asked_at);
	admin_put_number(object, "wipe_sent_at", w == NULL ? 0 : (uint64_t)w->sent_at);
	admin_put_number(object, "wipe_answered_at", w == NULL ? 0 : (uint64_t)w->answered_at);
	admin_put(object, "wipe_ended_by", w == NULL ? "" : w->ended_by);
	admin_put_number(object, "wipe_ended_at", w == NULL ? 0 : (uint64_t)w->ended_at);
}

int admin_put_wipe(
	struct admin_call *call, json_t *object, const struct device *device, struct err *err)
{
	bool under_way = device->wipe != WIPE_NONE;
	struct wipe *last;

	if (store_wipe_last(call->rd, device->owner, device->id, call->arena, &last, err) < 0)
		return -1;
	put_order(object, last);
	put_reach(call, object, device, under_way && device->wipe_account);
	return 0;
}

/* ---- may it be? ---- */

static int may_order(const struct admin_call *call, const struct device *device, bool account_only,
	struct err *err)
{
	struct admin_limits limits = call->limits;

	if (account_only && device->protocol_version < WIPE_ACCOUNT_SINCE)
		return err_set(err, ERR_CONFLICT,
			"impossible for this phone: it speaks %u.%u, and only phones of 16.1 know "
			"how to erase one account and leave the rest; device block keeps it out",
			device->protocol_version / 10u, device->protocol_version % 10u);
	if (account_only)
		return 0;
	if (!limits.wipe_device)
		return err_set(err, ERR_DENIED,
			"erasing whole phones is off: wipe.device = yes in the configuration "
			"allows it%s",
			device->protocol_version < WIPE_ACCOUNT_SINCE
				? ""
				: "; this one can erase the account alone (account)");
	if (call->caller->for_self && !limits.wipe_users_device)
		return err_set(err, ERR_DENIED,
			"users may not have their whole phone erased here (wipe.users_device): "
			"ask the administrator");
	return 0;
}

int admin_may_end_wipe(
	struct admin_call *call, const struct device *device, const char *what, struct err *err)
{
	struct wipe *last;

	if (!call->caller->for_self)
		return 0;
	if (store_wipe_last(call->rd, device->owner, device->id, call->arena, &last, err) < 0)
		return -1;
	if (last == NULL || last->by_owner || device->wipe == WIPE_NONE)
		return 0;
	return err_set(err, ERR_DENIED,
		"an administrator had this phone erased: only an administrator can %s", what);
}

/* ---- the verbs ---- */

/* The device after a change, with what people check first: whose, which, seen when. */
static int answer(struct admin_call *call, const struct user *user, struct device_id id,
	const char *hint, struct err *err)
{
	struct device *device;

	if (store_device_load(call->rd, id, call->arena, &device, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = admin_device_to_json(call, device, admin_user_address(call, user));
	admin_put(call->result, "friendly_name", device->friendly_name);
	if (hint != NULL)
		admin_put(call->result, "hint", hint);
	return admin_put_wipe(call, call->result, device, err);
}

int admin_device_wipe(struct admin_call *call, struct err *err)
{
	bool account_only = json_is_true(json_object_get(call->args, "account"));
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		may_order(call, device, account_only, err) < 0 ||
		store_wipe_order(call->tx, device->id, account_only, call->caller->for_self,
			call->caller->actor, call->now_at, err) < 0)
		return -1;
	call->log_result = account_only ? "pending, the account alone" : "pending, whole device";
	return answer(call, user, device->id, NULL, err);
}

int admin_device_cancel(struct admin_call *call, struct err *err)
{
	enum wipe_state from;
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		admin_may_end_wipe(call, device, "take that back", err) < 0 ||
		store_wipe_move(call->tx, device->id, WIPE_EVENT_CANCEL, call->caller->actor,
			call->now_at, &from, err) < 0)
		return -1;
	call->log_result =
		arena_x_printf(call->arena, "cancelled, was %s", wipe_state_to_str(from));
	return answer(call, user, device->id,
		from == WIPE_ORDERED ? NULL
				     : "The order has been sent to the phone already: it may erase "
				       "itself all the same.",
		err);
}

int admin_device_clear(struct admin_call *call, struct err *err)
{
	enum wipe_state from;
	struct user *user;
	struct device *device;

	if (admin_device(call, &user, &device, err) < 0 ||
		admin_may_end_wipe(call, device, "let it in again", err) < 0 ||
		store_wipe_move(call->tx, device->id, WIPE_EVENT_CLEAR, call->caller->actor,
			call->now_at, &from, err) < 0)
		return -1;
	call->log_result = "cleared";
	return answer(call, user, device->id, NULL, err);
}

static int list_row(struct admin_call *call, const struct wipe *w, struct err *err)
{
	struct device *device;
	struct user *user;
	json_t *row;

	if (store_device_load(call->rd, w->device, call->arena, &device, err) < 0 ||
		store_user_load(call->rd, w->owner, call->arena, &user, err) < 0)
		return -1;
	row = json_object();
	admin_put(row, "address", admin_user_address(call, user));
	admin_put(row, "device", device->device_id);
	admin_put(row, "model", device->model);
	put_order(row, w);
	(void)json_array_append_new(call->result, row);
	return 0;
}

int admin_device_wipes(struct admin_call *call, struct err *err)
{
	struct owner_id owner = {0};
	struct user *user;
	struct wipe *wipes;
	size_t count;

	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		owner = user->id;
	}
	if (store_wipe_list(call->rd, owner, admin_number(call, "offset", 0),
		    admin_number(call, "limit", UINT64_MAX), call->arena, &wipes, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (list_row(call, &wipes[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what would lose a wipe ---- */

int admin_refuse_pending(struct admin_call *call, const struct user *user, struct err *err)
{
	uint64_t pending = 0;

	if (store_wipe_pending(call->rd, user->id, &pending, err) < 0)
		return -1;
	if (pending == 0)
		return 0;
	return err_set(err, ERR_CONFLICT,
		"%" PRIu64 " of this user's phones have a pending wipe, of which they would never "
		"hear: device wipes shows them. user disable locks the user out and lets the wipe "
		"through; delete the user when it is acknowledged, or take it back with device "
		"cancel first",
		pending);
}

int admin_refuse_wiped(struct admin_call *call, const struct device *device, struct err *err)
{
	if (wipe_is_pending(device->wipe))
		return err_set(err, ERR_CONFLICT,
			"a wipe of this phone is under way (%s), of which it would never hear: "
			"take "
			"it back with device cancel first, or wait until it is acknowledged",
			wipe_state_to_str(device->wipe));
	if (admin_may_end_wipe(call, device, "let it begin anew", err) < 0)
		return -1;
	/* Its row is what keeps it out. */
	if (device->wipe == WIPE_DONE)
		return err_set(err, ERR_CONFLICT,
			"this phone was wiped and stays out; once deleted nobody would know: let "
			"it in again with device clear first");
	return 0;
}
