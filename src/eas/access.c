/*
 * Access and services beside the gate: see the header. No state; any thread. What a phone is sent
 * is counted where a limit holds, and nowhere else: no limit costs nothing.
 */
#include "eas/access.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sync/generations.h"

#define DAY_S    86400
#define MEGABYTE 1000000u

/* ---- what is known ---- */

void eas_access_facts(const struct device *device, const char *agent, unsigned version,
	const struct settings *settings, int64_t now_at, struct access_facts *ret)
{
	*ret = (struct access_facts){
		.device_id = device->device_id,
		.type = device->device_type,
		.model = device->model,
		.os = device->os,
		.agent = agent != NULL && agent[0] != '\0' ? agent : device->user_agent,
		.version = version,
		.told = now_at >= access_discovery_until(device, version, settings),
	};
}

/* ---- decisions ---- */

struct note {
	struct eas_call *call;
	const struct gate_verdict *verdict;
	const char *reason;
	enum access_report report;
};

static int note_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct note *n = owner;
	const struct eas_call *call = n->call;
	enum access_state state = n->verdict->access.state;
	const struct log_row row = {
		.at = call->now_at,
		.actor = "server",
		.user = arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain),
		.address = call->request->http->address,
		.device_id = call->device->device_id,
		.device_type = call->device->device_type,
		.action = "access",
		.result = arena_x_printf(
			call->arena, "%s: %s", access_state_to_str(state), n->reason),
	};

	if (store_device_note_access(
		    tx, call->device->id, state, n->reason, call->now_at, n->report, err) < 0)
		return -1;
	return store_log_add(tx, &row, err);
}

void eas_access_note(struct eas_call *call, const struct gate_verdict *verdict)
{
	struct device *d = call->device;
	enum access_state known = d->access_state == ACCESS_NONE ? ACCESS_ALLOW : d->access_state;
	struct note n = {.call = call, .verdict = verdict, .report = d->access_report};
	enum access_state state = verdict->access.state;
	struct err err = ERR_INIT;

	if (!verdict->judged || verdict->access.undecided || state == known ||
		eas_only_validates(call))
		return;
	n.reason = access_reason(&verdict->access, call->arena);
	if (state == ACCESS_QUARANTINE && n.report == ACCESS_REPORT_NONE)
		n.report = ACCESS_REPORT_DUE;
	else if (state == ACCESS_ALLOW || (state == ACCESS_BLOCK && n.report == ACCESS_REPORT_DUE))
		n.report = ACCESS_REPORT_NONE;
	if (store_transact(call->server->store, note_tx, &n, &err) < 0) {
		log_warn(&call->reply->log, "access_not_noted", F_ERR(&err));
		return;
	}
	log_info(&call->reply->log, "access_changed", F_STR("state", access_state_to_str(state)),
		F_STR("reason", n.reason));
	d->access_state = (uint8_t)state;
	d->access_at = call->now_at;
}

/* ---- the message ---- */

void eas_access_texts(const struct rules *rules, struct arena *arena, const char *ret[ACCESS_TEXTS])
{
	for (int i = 0; i < ACCESS_TEXTS; i++)
		ret[i] = arena_x_strdup(arena, rules->access_texts[i]);
}

static const char *expand(struct eas_call *call, enum access_text which)
{
	const char *text = call->access_texts[which];
	struct access_facts facts;
	struct buf out = BUF_INIT;
	const char *result;

	eas_access_facts(call->device, NULL, call->version, call->settings, call->now_at, &facts);
	if (text[0] == '\0')
		text = access_text_built_in(which, call->settings->access_notify.count > 0);
	access_text_expand(text,
		arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain), &facts,
		&out);
	result = arena_x_strdup(call->arena, buf_cstr(&out));
	buf_deinit(&out);
	return result;
}

int eas_notice_load(struct eas_call *call, struct store_read *rd, const struct folder *folder,
	struct arena *arena, struct email *ret, struct err *err)
{
	const struct email_notice notice = {
		.subject = expand(call, ACCESS_TEXT_SUBJECT),
		.text = expand(call, ACCESS_TEXT_BODY),
		.domain = call->user->domain,
		.to = arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain),
		.at = call->device->access_at != 0 ? call->device->access_at : call->now_at,
	};

	(void)rd;
	return email_notice_make(&notice, call->user->id, folder, EAS_NOTICE_ITEM, arena, ret, err);
}

int eas_notice_due(struct store_read *rd, struct owner_id user, struct device_id device,
	struct folder_id *ret_folder, bool *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct sync_collection gens;
	struct folder *inbox;

	*ret = false;
	if (store_folder_by_type(rd, user, FOLDER_INBOX, arena, &inbox, err) < 0 ||
		sync_collection_load(rd, device, user, inbox->id, &gens, err) < 0)
		return -1;
	*ret_folder = inbox->id;
	*ret = gens.present[SYNC_CURRENT] && gens.states[SYNC_CURRENT].notice == SYNC_NOTICE_NONE;
	sync_collection_deinit(&gens);
	return 0;
}

/* ---- how much ---- */

int eas_usage_over(struct store_read *rd, const struct services *s, struct device_id device,
	int64_t now_at, bool *ret, int64_t *ret_until, uint64_t *ret_items_left, struct err *err)
{
	uint64_t items = s->values[SERVICE_items_per_day];
	uint64_t bytes = s->values[SERVICE_megabytes_per_day] * MEGABYTE;
	struct device_usage used;

	*ret = false;
	*ret_until = (now_at / DAY_S + 1) * DAY_S;
	*ret_items_left = UINT64_MAX;
	if (!service_limits_usage(s) || device.v == 0)
		return 0;
	if (store_usage(rd, device, (uint64_t)(now_at / DAY_S), &used, err) < 0)
		return -1;
	if (items != 0)
		*ret_items_left = items - MIN(items, used.items);
	*ret = *ret_items_left == 0 || (bytes != 0 && used.bytes >= bytes);
	return 0;
}

bool eas_usage_check(struct eas_call *call)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err err = ERR_INIT;
	int64_t until_at;
	bool over;

	if (!service_limits_usage(&call->services) || eas_only_validates(call))
		return true;
	if (store_read_begin(call->server->store, &rd, &err) < 0 ||
		eas_usage_over(rd, &call->services, call->device->id, call->now_at, &over,
			&until_at, &call->items_left, &err) < 0) {
		eas_reply_error(call, &err);
		return false;
	}
	if (!over)
		return true;
	if (call->query->command == EAS_CMD_GetAttachment) {
		eas_reply_retry(call, (uint64_t)(until_at - call->now_at));
		return false;
	}
	if (call->mute == EAS_MUTE_NONE) {
		call->mute = EAS_MUTE_QUOTA;
		call->mute_until_at = until_at;
	}
	return true;
}

struct usage {
	struct eas_call *call;
	struct device_usage more;
};

static int usage_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct usage *u = owner;

	return store_usage_add(
		tx, u->call->device->id, (uint64_t)(u->call->now_at / DAY_S), &u->more, err);
}

void eas_usage_note(struct eas_call *call)
{
	struct usage u = {call, {call->items_sent, call->reply->body.len}};
	struct err err = ERR_INIT;

	if (call->device == NULL || eas_only_validates(call) ||
		!service_limits_usage(&call->services) || call->reply->kind != EAS_REPLY_ANSWER ||
		u.more.bytes == 0)
		return;
	if (store_transact(call->server->store, usage_tx, &u, &err) < 0 &&
		err.code != ERR_NOT_FOUND)
		log_warn(&call->reply->log, "usage_not_counted", F_ERR(&err));
}
