/*
 * Provision ([MS-ASPROV] 2.2.2, 3.2.5.1): a policy in two phases (temporary key, acknowledgment,
 * final key), DeviceInformation, and the wipe. The temporary key is kept after the acknowledgment,
 * so that a repeated one is answered the same.
 */
#include "eas/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/request.h"
#include "store/store_wipe.h"

enum {
	STATUS_OK = 1,
	STATUS_PROTOCOL = 2,
	POLICY_OK = 1,
	POLICY_TYPE_UNKNOWN = 3,
	POLICY_KEY_MISMATCH = 5,
	STATUS_PARTLY = 139,
	STATUS_MANAGED_ELSEWHERE = 145,
	STATUS_DEVICE_INFORMATION = 165,
};

struct provision {
	struct eas_call *call;
	const struct rules_policy *policy;
	struct policy_rules rules;
	/* for the transaction */
	uint32_t temporary, final;
	uint8_t acknowledged;
	enum wipe_event event;
	const char *address; /* of the user */
	uint64_t hash;       /* of the document that the temporary key belongs to */
	bool told;           /* something is to stand in the event log */
	struct device_information information;
};

static uint32_t new_policy_key(void)
{
	uint32_t key;

	do
		random_bytes(&key, sizeof(key));
	while (key == 0);
	return key;
}

/* That a phone does not obey, and what came of it. */
static int log_acknowledgment(struct store_tx *tx, const struct provision *p, struct err *err)
{
	struct log_row row = {
		.at = p->call->now_at,
		.actor = "device",
		.user = p->address,
		.address = p->call->request->http->address,
		.device_id = p->call->device->device_id,
		.device_type = p->call->device->device_type,
		.action = "policy acknowledged",
		.result = arena_x_printf(p->call->arena, "%s: %s, %s", p->policy->name,
			policy_status_to_str(p->acknowledged),
			p->final != 0 ? "let in" : "kept out"),
	};

	return store_log_add(tx, &row, err);
}

static int policy_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct provision *p = owner;

	if (p->told && log_acknowledgment(tx, p, err) < 0)
		return -1;
	return store_device_set_policy(tx, p->call->device->id, p->temporary, p->final,
		p->acknowledged, p->hash, p->call->now_at, err);
}

static int wipe_tx(struct store_tx *tx, void *owner, struct err *err)
{
	static const char *const results[WIPE_EVENT_COUNT] = {[WIPE_EVENT_SEND] = "sent",
		[WIPE_EVENT_ACKNOWLEDGE] = "acknowledged",
		[WIPE_EVENT_FAIL] = "failed"};
	struct provision *p = owner;
	struct log_row row = {
		.at = p->call->now_at,
		.actor = "device",
		.user = p->address,
		.address = p->call->request->http->address,
		.device_id = p->call->device->device_id,
		.device_type = p->call->device->device_type,
		.action = p->call->device->wipe_account ? "account wipe" : "wipe",
		.result = results[p->event],
	};
	enum wipe_state from, to;
	struct device *now;

	/* Taken back, and another kind ordered, since the request came: it asks again, and hears
	 * that one. */
	if (store_device_load(store_tx_read(tx), p->call->device->id, p->call->arena, &now, err) <
		0)
		return -1;
	if (now->wipe_account != p->call->device->wipe_account)
		return err_set(err, ERR_CONFLICT, "another wipe was ordered meanwhile");
	if (store_wipe_move(tx, p->call->device->id, p->event, "", p->call->now_at, &from, err) < 0)
		return -1;
	/* What it says again is no news. */
	return wipe_next(from, p->event, &to) && to == from ? 0 : store_log_add(tx, &row, err);
}

static int information_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct provision *p = owner;

	return store_device_set_information(tx, p->call->device->id, &p->information, err);
}

static void begin(struct provision *p, unsigned status)
{
	struct wbxml_writer *w = &p->call->writer;

	wbxml_writer_init(w, &p->call->reply->body);
	wbxml_start(w, TAG_Provision_Provision);
	if (wbxml_find(p->call->root, TAG_Settings_DeviceInformation) != NULL) {
		wbxml_start(w, TAG_Settings_DeviceInformation);
		wbxml_add_uint(w, TAG_Settings_Status, STATUS_OK);
		wbxml_end(w);
	}
	wbxml_add_uint(w, TAG_Provision_Status, status);
}

static void encode_list(struct wbxml_writer *w, const struct policy_setting *s)
{
	if (s->list_count == 0) {
		wbxml_add_empty(w, s->info->tag);
		return;
	}
	wbxml_start(w, s->info->tag);
	for (size_t i = 0; i < s->list_count; i++)
		wbxml_add_text(w, s->info->item_tag, s->list[i]);
	wbxml_end(w);
}

static void encode_document(struct provision *p)
{
	const struct policy *policy = p->policy->document;
	struct wbxml_writer *w = &p->call->writer;
	struct buf wap = BUF_INIT;

	if (p->call->version < 120) {
		policy_to_wap(policy, &wap);
		wbxml_add_textn(w, TAG_Provision_Data, buf_cstr(&wap), wap.len);
		buf_deinit(&wap);
		return;
	}
	wbxml_start(w, TAG_Provision_Data);
	wbxml_start(w, TAG_Provision_EASProvisionDoc);
	for (size_t i = 0; i < policy->count; i++) {
		const struct policy_setting *s = &policy->settings[i];
		char value[24];

		if (s->info->since > p->call->version)
			continue;
		if (s->info->item_tag != 0) {
			encode_list(w, s);
			continue;
		}
		(void)snprintf(
			value, sizeof(value), "%" PRId64, policy_wire_value(s, p->call->version));
		wbxml_add_text(w, s->info->tag, s->empty ? "" : value);
	}
	wbxml_end(w);
	wbxml_end(w);
}

/* A failure that stands in the document. */
static void fault(struct provision *p, unsigned status, const char *why)
{
	eas_reply_note(p->call->reply, status);
	p->call->reply->why = why;
}

/* key 0: none is sent; document: with the policy itself. */
static void encode_policy(
	struct provision *p, const char *type, unsigned status, uint32_t key, bool document)
{
	struct wbxml_writer *w = &p->call->writer;

	wbxml_start(w, TAG_Provision_Policies);
	if (status != POLICY_OK)
		fault(p, status,
			status == POLICY_TYPE_UNKNOWN
				? "the phone asks for a policy of another type"
				: "the phone acknowledges another policy key than it was given");
	wbxml_start(w, TAG_Provision_Policy);
	wbxml_add_text(w, TAG_Provision_PolicyType, type);
	wbxml_add_uint(w, TAG_Provision_Status, status);
	if (key != 0)
		wbxml_add_uint(w, TAG_Provision_PolicyKey, key);
	if (document)
		encode_document(p);
	wbxml_end(w);
	wbxml_end(w);
	wbxml_end(w);
}

static bool type_is_known(const struct provision *p, const char *type)
{
	if (p->call->version < 120)
		return strcmp(type, "MS-WAP-Provisioning-XML") == 0;
	return strcmp(type, "MS-EAS-Provisioning-WBXML") == 0;
}

/* Nothing is written for a phone that only tries. */
static int save_policy(struct provision *p, struct err *err)
{
	if (eas_only_validates(p->call))
		return 0;
	return store_transact(p->call->server->store, policy_tx, p, err);
}

static int phase_initial(struct provision *p, const char *type, struct err *err)
{
	p->temporary = eas_only_validates(p->call) ? p->call->device->policy_key_temporary
						   : new_policy_key();
	p->hash = rules_policy_hash(p->policy, p->call->version);
	/* What the phone said last of this document stays to be seen until it says something new;
	 * of another one it has said nothing yet. */
	p->acknowledged = p->hash == p->call->device->policy_version
				  ? p->call->device->policy_status
				  : POLICY_STATUS_NONE;
	if (save_policy(p, err) < 0)
		return -1;
	begin(p, STATUS_OK);
	encode_policy(p, type, POLICY_OK, p->temporary, true);
	return 0;
}

/* Which status an acknowledgment of this kind leads to; STATUS_OK: accepted. */
static unsigned judge(const struct provision *p, unsigned reported)
{
	if (policy_accepts(&p->rules, reported))
		return STATUS_OK;
	return reported == POLICY_STATUS_OTHER ? STATUS_MANAGED_ELSEWHERE : STATUS_PARTLY;
}

static int phase_acknowledge(
	struct provision *p, const struct wbxml_node *element, const char *type, struct err *err)
{
	const struct device *d = p->call->device;
	uint64_t key = eas_get_uint(element, TAG_Provision_PolicyKey, 0);
	unsigned reported = (unsigned)eas_get_uint(element, TAG_Provision_Status, 0);
	unsigned verdict = judge(p, reported);

	if (key == 0 || key != d->policy_key_temporary) {
		begin(p, STATUS_OK);
		encode_policy(p, type, POLICY_KEY_MISMATCH, 0, false);
		return 0;
	}
	p->temporary = d->policy_key_temporary;
	p->acknowledged = (uint8_t)reported;
	p->told = reported != POLICY_STATUS_FULL && reported != d->policy_status;
	/* The policy may have changed meanwhile: then the phone learns it with its next command. */
	p->hash = d->policy_version;
	/* The final key was given before and the answer got lost: the same again. */
	p->final = d->policy_key;
	if (verdict != STATUS_OK)
		p->final = 0;
	else if (p->final == 0)
		p->final = new_policy_key();
	if (save_policy(p, err) < 0)
		return -1;
	eas_pending_clear(p->call->server, d->id);
	if (verdict != STATUS_OK) {
		eas_reply_common(p->call, verdict);
		return 0;
	}
	begin(p, STATUS_OK);
	encode_policy(p, type, POLICY_OK, p->final, false);
	return 0;
}

/* What a report means; whoever erased the whole phone erased the account, too. */
static enum wipe_event event_of(const struct provision *p, const struct wbxml_node *report)
{
	bool whole = wbxml_find(p->call->root, TAG_Provision_RemoteWipe) != NULL;

	if (report == NULL)
		return WIPE_EVENT_SEND;
	if (eas_get_uint(report, TAG_Provision_Status, 0) != 1)
		return WIPE_EVENT_FAIL;
	return whole || p->call->device->wipe_account ? WIPE_EVENT_ACKNOWLEDGE : WIPE_EVENT_FAIL;
}

/* A wipe goes before everything else; what the phone asked for is not answered. The order is noted
 * as sent before it is sent, so what a crash leaves is an order that goes out again. */
static int phase_wipe(struct provision *p, const struct wbxml_node *report, struct err *err)
{
	struct eas_call *call = p->call;

	p->event = event_of(p, report);
	p->address = arena_x_printf(call->arena, "%s@%s", call->user->login, call->user->domain);
	if (store_transact(call->server->store, wipe_tx, p, err) < 0) {
		if (err->code != ERR_CONFLICT)
			return -1;
		/* Wiped, and not to be told again; or taken back a moment ago. */
		eas_reply_common(call, call->device->wipe == WIPE_DONE ? EAS_STATUS_DEVICE_BLOCKED
								       : EAS_STATUS_RETRY_LATER);
		return 0;
	}
	eas_pending_clear(call->server, call->device->id);
	if (p->event == WIPE_EVENT_FAIL)
		fault(p, STATUS_PROTOCOL, "the phone says that it could not do the wipe");
	begin(p, p->event == WIPE_EVENT_FAIL ? STATUS_PROTOCOL : STATUS_OK);
	if (p->event != WIPE_EVENT_ACKNOWLEDGE)
		wbxml_add_empty(&call->writer, call->device->wipe_account
						       ? TAG_Provision_AccountOnlyRemoteWipe
						       : TAG_Provision_RemoteWipe);
	wbxml_end(&call->writer);
	return 0;
}

static int phase_policy(struct provision *p, const struct wbxml_node *element, struct err *err)
{
	const char *type = eas_get_text(element, TAG_Provision_PolicyType, "");

	if (!type_is_known(p, type)) {
		begin(p, STATUS_OK);
		encode_policy(p, type, POLICY_TYPE_UNKNOWN, 0, false);
		return 0;
	}
	if (wbxml_find(element, TAG_Provision_PolicyKey) != NULL)
		return phase_acknowledge(p, element, type, err);
	/* A phone of an earlier revision leaves DeviceInformation to Settings; from 14.1 on it is
	 * due here. */
	if (p->call->version >= 141 &&
		wbxml_find(p->call->root, TAG_Settings_DeviceInformation) == NULL) {
		eas_reply_common(p->call, STATUS_DEVICE_INFORMATION);
		return 0;
	}
	return phase_initial(p, type, err);
}

static int provision(struct provision *p, struct err *err)
{
	const struct wbxml_node *root = p->call->root;
	const struct wbxml_node *report = wbxml_find(root, TAG_Provision_RemoteWipe);
	const struct wbxml_node *set =
		wbxml_find(wbxml_find(root, TAG_Settings_DeviceInformation), TAG_Settings_Set);
	const struct wbxml_node *element =
		wbxml_find(wbxml_find(root, TAG_Provision_Policies), TAG_Provision_Policy);

	if (report == NULL)
		report = wbxml_find(root, TAG_Provision_AccountOnlyRemoteWipe);
	if (p->call->device->wipe != WIPE_NONE)
		return phase_wipe(p, report, err);
	if (report != NULL) {
		eas_reply_status(p->call, STATUS_PROTOCOL);
		p->call->reply->why = "the phone tells of a wipe that nobody ordered";
		return 0;
	}
	if (set != NULL)
		eas_device_information(set, &p->information);
	p->information.at = p->call->now_at;
	if (set != NULL && !eas_only_validates(p->call) &&
		eas_device_information_is_new(&p->information, p->call->device) &&
		store_transact(p->call->server->store, information_tx, p, err) < 0)
		return -1;
	p->policy = eas_policy(
		p->call->settings, p->call->rules, p->call->user, p->call->device->id, &p->rules);
	if (element != NULL)
		return phase_policy(p, element, err);
	begin(p, STATUS_OK);
	wbxml_end(&p->call->writer);
	return 0;
}

void eas_provision(struct eas_call *call)
{
	struct provision p = {.call = call};
	struct err err = ERR_INIT;

	if (provision(&p, &err) < 0)
		eas_reply_error(call, &err);
}
