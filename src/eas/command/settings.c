/*
 * Settings ([MS-ASCMD] 2.2.1.18): properties of the user and of the device, read and written one
 * after the other, each with a Status of its own; the answer has the order of the request. The
 * schema knows which of them, and which of their fields, a version has.
 *
 * Out of office is kept and given back, and sent by submit/oof_reply.c. A Set replaces what it
 * names and leaves the rest: the state, the time (of a state of 2 only), and of each audience the
 * switch and the message.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "eas/command.h"
#include "eas/date.h"
#include "eas/request.h"
#include "mime/mime.h"
#include "policy/policy.h"

enum {
	SETTINGS_OK = 1,
	SETTINGS_DENIED = 3,
	SETTINGS_UNAVAILABLE = 4,
	SETTINGS_BAD_ARGUMENT = 5,
	SETTINGS_CONFLICT = 6,
	SETTINGS_POLICY = 7,
};

enum { OOF_TIMED = 2 };

static unsigned trouble(struct eas_call *call, const struct err *err)
{
	log_warn(&call->reply->log, "settings_failed", F_STR("code", err_code_to_str(err->code)),
		F_ERR(err));
	return SETTINGS_UNAVAILABLE;
}

/* ---- DeviceInformation: absent keeps what is known, empty deletes ([MS-ASCMD] 2.2.3.44) ---- */

void eas_device_information(const struct wbxml_node *set, struct device_information *ret)
{
	*ret = (struct device_information){
		.model = wbxml_text(set, TAG_Settings_Model),
		.imei = wbxml_text(set, TAG_Settings_IMEI),
		.friendly_name = wbxml_text(set, TAG_Settings_FriendlyName),
		.os = wbxml_text(set, TAG_Settings_OS),
		.language = wbxml_text(set, TAG_Settings_OSLanguage),
		.phone_number = wbxml_text(set, TAG_Settings_PhoneNumber),
		.operator_name = wbxml_text(set, TAG_Settings_MobileOperator),
		.outbound_sms = -1,
	};
	if (eas_has(set, TAG_Settings_EnableOutboundSMS))
		ret->outbound_sms = eas_get_uint(set, TAG_Settings_EnableOutboundSMS, 0) == 1;
}

static bool is_new(const char *text, const char *known)
{
	return text != NULL && strcmp(text, known) != 0;
}

bool eas_device_information_is_new(const struct device_information *i, const struct device *d)
{
	return is_new(i->model, d->model) || is_new(i->imei, d->imei) ||
	       is_new(i->friendly_name, d->friendly_name) || is_new(i->os, d->os) ||
	       is_new(i->language, d->language) || is_new(i->phone_number, d->phone_number) ||
	       is_new(i->operator_name, d->operator_name) || i->outbound_sms >= 0 ||
	       d->informed_at == 0;
}

struct information {
	struct device_id device;
	struct device_information fields;
};

static int information_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct information *i = owner;

	return store_device_set_information(tx, i->device, &i->fields, err);
}

static unsigned set_information(struct eas_call *call, const struct wbxml_node *node)
{
	struct information i = {.device = call->device->id};
	struct err err = ERR_INIT;

	eas_device_information(wbxml_find(node, TAG_Settings_Set), &i.fields);
	i.fields.at = call->now_at;
	if (eas_device_information_is_new(&i.fields, call->device) && !eas_only_validates(call) &&
		store_transact(call->server->store, information_tx, &i, &err) < 0)
		return trouble(call, &err);
	wbxml_add_uint(&call->writer, TAG_Settings_Status, SETTINGS_OK);
	return SETTINGS_OK;
}

/* ---- DevicePassword: for the administrator, when the phone's own is forgotten ---- */

struct recovery {
	struct device_id device;
	const char *password;
};

static int recovery_tx(struct store_tx *tx, void *owner, struct err *err)
{
	const struct recovery *r = owner;

	return store_device_set_recovery(tx, r->device, r->password, err);
}

static bool recovery_allowed(struct eas_call *call)
{
	struct policy_rules rules;
	const struct rules_policy *policy =
		eas_policy(call->settings, call->rules, call->user, call->device->id, &rules);

	return policy_value(policy->document, "PasswordRecoveryEnabled") != 0;
}

static unsigned set_password(struct eas_call *call, const struct wbxml_node *node)
{
	struct recovery r = {call->device->id,
		eas_get_text(wbxml_find(node, TAG_Settings_Set), TAG_Settings_Password, "")};
	struct err err = ERR_INIT;

	if (!recovery_allowed(call))
		return SETTINGS_POLICY;
	if (!eas_only_validates(call) &&
		store_transact(call->server->store, recovery_tx, &r, &err) < 0)
		return trouble(call, &err);
	wbxml_add_uint(&call->writer, TAG_Settings_Status, SETTINGS_OK);
	return SETTINGS_OK;
}

/* ---- UserInformation ---- */

static void encode_addresses(struct eas_call *call, const char **addresses, size_t count)
{
	struct wbxml_writer *w = &call->writer;

	wbxml_start(w, TAG_Settings_EmailAddresses);
	for (size_t i = 0; i < count; i++)
		wbxml_add_text(w, TAG_Settings_SMTPAddress, addresses[i]);
	if (call->version >= 141 && count > 0)
		wbxml_add_text(w, TAG_Settings_PrimarySmtpAddress, addresses[0]);
	wbxml_end(w);
}

static unsigned get_user(struct eas_call *call, const struct wbxml_node *node)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct wbxml_writer *w = &call->writer;
	struct err err = ERR_INIT;
	const char **addresses;
	size_t count;

	(void)node;
	if (store_read_begin(call->server->store, &rd, &err) < 0 ||
		store_user_addresses(rd, call->user->id, call->arena, &addresses, &count, &err) < 0)
		return trouble(call, &err);
	wbxml_add_uint(w, TAG_Settings_Status, SETTINGS_OK);
	wbxml_start(w, TAG_Settings_Get);
	if (call->version >= 141) {
		/* The account that the phone logs in to has no AccountId. */
		wbxml_start(w, TAG_Settings_Accounts);
		wbxml_start(w, TAG_Settings_Account);
	}
	encode_addresses(call, addresses, count);
	if (call->version >= 141) {
		wbxml_end(w);
		wbxml_end(w);
	}
	wbxml_end(w);
	return SETTINGS_OK;
}

/* ---- Oof ---- */

static const unsigned audience_tags[OOF_AUDIENCES] = {
	[OOF_INTERNAL] = TAG_Settings_AppliesToInternal,
	[OOF_EXTERNAL_KNOWN] = TAG_Settings_AppliesToExternalKnown,
	[OOF_EXTERNAL_UNKNOWN] = TAG_Settings_AppliesToExternalUnknown,
};

struct oof_change {
	struct eas_call *call;
	const struct wbxml_node *set;
	unsigned status;
};

static void take_message(const struct wbxml_node *node, struct oof *oof)
{
	const char *text = wbxml_text(node, TAG_Settings_ReplyMessage);

	for (size_t i = 0; i < OOF_AUDIENCES; i++) {
		struct oof_message *message = &oof->messages[i];

		if (!eas_has(node, audience_tags[i]))
			continue;
		message->enabled = eas_get_bool(node, TAG_Settings_Enabled, message->enabled);
		if (text != NULL) {
			message->text = text;
			message->html =
				str_eq_nocase(wbxml_text(node, TAG_Settings_BodyType), "HTML");
		}
	}
}

static unsigned take_oof(const struct eas_call *call, const struct wbxml_node *set, struct oof *oof)
{
	const struct wbxml_node *message = wbxml_find(set, TAG_Settings_OofMessage);

	oof->state = (uint8_t)eas_get_uint(set, TAG_Settings_OofState, oof->state);
	if (oof->state == OOF_TIMED && eas_has(set, TAG_Settings_StartTime)) {
		oof->start_at = eas_get_date_ms(set, TAG_Settings_StartTime, 0) / 1000;
		oof->end_at = eas_get_date_ms(set, TAG_Settings_EndTime, 0) / 1000;
	}
	if (oof->state == OOF_TIMED && oof->start_at == 0 && oof->end_at == 0)
		return SETTINGS_BAD_ARGUMENT;
	if (oof->state == OOF_TIMED && oof->start_at >= oof->end_at)
		return SETTINGS_CONFLICT;
	for (; message != NULL; message = wbxml_next(message, TAG_Settings_OofMessage)) {
		const char *text = wbxml_text(message, TAG_Settings_ReplyMessage);

		if (text != NULL && strlen(text) > call->settings->eas_oof_max_bytes)
			return SETTINGS_BAD_ARGUMENT;
		take_message(message, oof);
	}
	return SETTINGS_OK;
}

static int oof_tx(struct store_tx *tx, void *owner, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct oof_change *change = owner;
	struct oof oof;

	if (store_oof_load(store_tx_read(tx), change->call->user->id, arena, &oof, err) < 0)
		return -1;
	change->status = take_oof(change->call, change->set, &oof);
	return change->status == SETTINGS_OK ? store_oof_save(tx, change->call->user->id, &oof, err)
					     : 0;
}

static unsigned set_oof(struct eas_call *call, const struct wbxml_node *set)
{
	struct oof_change change = {.call = call, .set = set};
	struct err err = ERR_INIT;

	if (store_transact(call->server->store, oof_tx, &change, &err) < 0)
		return trouble(call, &err);
	if (change.status == SETTINGS_OK)
		wbxml_add_uint(&call->writer, TAG_Settings_Status, SETTINGS_OK);
	return change.status;
}

static void encode_message(
	struct wbxml_writer *w, unsigned audience, const struct oof_message *message, bool html)
{
	struct buf text = BUF_INIT;

	wbxml_start(w, TAG_Settings_OofMessage);
	wbxml_add_empty(w, audience);
	wbxml_add_bool(w, TAG_Settings_Enabled, message->enabled);
	if (message->text[0] != 0) {
		if (message->html == html)
			buf_add_str(&text, message->text);
		else if (html)
			mime_text_to_html(&text, message->text);
		else
			mime_text_from_html(&text, message->text);
		wbxml_add_text(w, TAG_Settings_ReplyMessage, buf_cstr(&text));
		wbxml_add_text(w, TAG_Settings_BodyType, html ? "HTML" : "Text");
		w->out->failed = w->out->failed || text.failed;
	}
	wbxml_end(w);
	buf_deinit(&text);
}

static unsigned get_oof(struct eas_call *call, const struct wbxml_node *get)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	bool html = str_eq_nocase(wbxml_text(get, TAG_Settings_BodyType), "HTML");
	struct wbxml_writer *w = &call->writer;
	struct err err = ERR_INIT;
	char date[EAS_DATE_SIZE];
	struct oof oof;

	if (store_read_begin(call->server->store, &rd, &err) < 0 ||
		store_oof_load(rd, call->user->id, call->arena, &oof, &err) < 0)
		return trouble(call, &err);
	wbxml_add_uint(w, TAG_Settings_Status, SETTINGS_OK);
	wbxml_start(w, TAG_Settings_Get);
	wbxml_add_uint(w, TAG_Settings_OofState, oof.state);
	if (oof.state == OOF_TIMED) {
		wbxml_add_text(w, TAG_Settings_StartTime,
			eas_date_format(oof.start_at * 1000, EAS_DATE_DASHED, date));
		wbxml_add_text(w, TAG_Settings_EndTime,
			eas_date_format(oof.end_at * 1000, EAS_DATE_DASHED, date));
	}
	for (size_t i = 0; i < OOF_AUDIENCES; i++)
		encode_message(w, audience_tags[i], &oof.messages[i], html);
	wbxml_end(w);
	return SETTINGS_OK;
}

static unsigned run_oof(struct eas_call *call, const struct wbxml_node *node)
{
	const struct wbxml_node *set = wbxml_find(node, TAG_Settings_Set);

	return set != NULL ? set_oof(call, set) : get_oof(call, wbxml_find(node, TAG_Settings_Get));
}

/* ---- the request ---- */

static unsigned get_rights(struct eas_call *call, const struct wbxml_node *node)
{
	(void)call;
	(void)node;
	return EAS_STATUS_IRM_DISABLED;
}

static const struct {
	unsigned tag;
	unsigned (*run)(struct eas_call *call, const struct wbxml_node *node);
} properties[] = {
	{TAG_Settings_Oof, run_oof},
	{TAG_Settings_DevicePassword, set_password},
	{TAG_Settings_DeviceInformation, set_information},
	{TAG_Settings_UserInformation, get_user},
	{TAG_Settings_RightsManagementInformation, get_rights},
};

/* A phone in quarantine says what it is, and learns whose it is. */
static bool is_closed(const struct eas_call *call, unsigned tag)
{
	return eas_mute_closes(call->mute) && tag != TAG_Settings_DeviceInformation &&
	       tag != TAG_Settings_UserInformation;
}

/* Success has written its Status and what belongs to it. */
static void run_property(struct eas_call *call, const struct wbxml_node *node)
{
	struct wbxml_writer *w = &call->writer;
	unsigned status = node->fault;
	struct wbxml_mark mark;

	wbxml_start(w, node->tag);
	mark = wbxml_mark(w);
	if (status == 0 && is_closed(call, node->tag))
		status = SETTINGS_DENIED;
	for (size_t i = 0; i < ARRAY_LEN(properties) && status == 0; i++) {
		if (properties[i].tag == node->tag)
			status = properties[i].run(call, node);
	}
	if (status != SETTINGS_OK && !w->out->failed) {
		wbxml_rewind(w, &mark);
		wbxml_add_uint(w, TAG_Settings_Status, status);
	}
	wbxml_end(w);
}

void eas_settings(struct eas_call *call)
{
	struct wbxml_writer *w = &call->writer;

	wbxml_writer_init(w, &call->reply->body);
	wbxml_start(w, TAG_Settings_Settings);
	wbxml_add_uint(w, TAG_Settings_Status, SETTINGS_OK);
	for (const struct wbxml_node *n = call->root->child; n != NULL; n = n->next)
		run_property(call, n);
	wbxml_end(w);
}
