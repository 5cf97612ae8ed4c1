/*
 * Verbs about out-of-office: what phones set by Settings.Oof, with the same limits, and seen by
 * them at once. Threads and transactions: see admin.c.
 */
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"

enum { OOF_OFF = 0, OOF_ON = 1, OOF_TIMED = 2, OOF_STATES };

static const char *const state_names[OOF_STATES] = {"off", "on", "timed"};
static const char *const audience_names[OOF_AUDIENCES] = {
	[OOF_INTERNAL] = "internal",
	[OOF_EXTERNAL_KNOWN] = "external_known",
	[OOF_EXTERNAL_UNKNOWN] = "external_unknown",
};

static void put_oof(json_t *object, const struct oof *oof)
{
	admin_put(object, "state", oof->state < OOF_STATES ? state_names[oof->state] : "off");
	admin_put_number(object, "start_at", (uint64_t)oof->start_at);
	admin_put_number(object, "end_at", (uint64_t)oof->end_at);
	for (size_t i = 0; i < OOF_AUDIENCES; i++) {
		json_t *message = json_object();

		admin_put_bool(message, "enabled", oof->messages[i].enabled);
		admin_put_bool(message, "html", oof->messages[i].html);
		admin_put(message, "text", oof->messages[i].text);
		(void)json_object_set_new(object, audience_names[i], message);
	}
}

int admin_oof_show(struct admin_call *call, struct err *err)
{
	struct user *user;
	struct oof oof;

	if (admin_user(call, &user, err) < 0 ||
		store_oof_load(call->rd, user->id, call->arena, &oof, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	put_oof(call->result, &oof);
	return 0;
}

/* ---- setting ---- */

static int take_state(const json_t *value, struct oof *oof, struct err *err)
{
	const char *name = json_string_value(value);

	for (uint8_t i = 0; i < OOF_STATES && name != NULL; i++) {
		if (str_eq(name, state_names[i])) {
			oof->state = i;
			return 0;
		}
	}
	return err_set(err, ERR_BAD_INPUT, "state must be off, on or timed");
}

static int take_time(const char *key, const json_t *value, int64_t *at, struct err *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, ERR_BAD_INPUT, "%s must be seconds since 1970", key);
	*at = json_integer_value(value);
	return 0;
}

static int take_text(struct admin_call *call, const char *key, const json_t *value,
	struct oof_message *message, struct err *err)
{
	uint64_t max = call->limits.oof_max_bytes;
	const char *text = json_string_value(value);

	if (text == NULL)
		return err_set(err, ERR_BAD_INPUT, "%s: text must be text", key);
	if (strlen(text) > max)
		return err_set(err, ERR_BAD_INPUT, "%s: text has at most %llu bytes", key,
			(unsigned long long)max);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if ((*p < 0x20 && *p != '\n' && *p != '\r' && *p != '\t') || *p == 0x7f)
			return err_set(err, ERR_BAD_INPUT, "%s: text has control characters", key);
	}
	message->text = text;
	return 0;
}

static int take_message(struct admin_call *call, const char *key, json_t *value,
	struct oof_message *message, struct err *err)
{
	const char *name;
	json_t *field;

	if (!json_is_object(value))
		return err_set(err, ERR_BAD_INPUT, "%s must be an object", key);
	json_object_foreach(value, name, field)
	{
		bool is_enabled = str_eq(name, "enabled");

		if (is_enabled || str_eq(name, "html")) {
			if (!json_is_boolean(field))
				return err_set(err, ERR_BAD_INPUT, "%s: %s must be true or false",
					key, name);
			*(is_enabled ? &message->enabled : &message->html) = json_is_true(field);
		} else if (!str_eq(name, "text")) {
			return err_set(err, ERR_BAD_INPUT,
				"%s has no \"%.40s\"; it has enabled, html, text", key, name);
		} else if (take_text(call, key, field, message, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int take_one(
	struct admin_call *call, const char *key, json_t *value, struct oof *oof, struct err *err)
{
	if (str_eq(key, "state"))
		return take_state(value, oof, err);
	if (str_eq(key, "start_at"))
		return take_time(key, value, &oof->start_at, err);
	if (str_eq(key, "end_at"))
		return take_time(key, value, &oof->end_at, err);
	if (str_eq(key, "address")) /* as oof show gives it */
		return 0;
	for (size_t i = 0; i < OOF_AUDIENCES; i++) {
		if (str_eq(key, audience_names[i]))
			return take_message(call, key, value, &oof->messages[i], err);
	}
	return err_set(err, ERR_BAD_INPUT, "there is no \"%.40s\" in an out-of-office", key);
}

/* What is not named stays. */
int admin_oof_set(struct admin_call *call, struct err *err)
{
	json_t *settings = json_object_get(call->args, "settings"), *value;
	struct user *user;
	const char *key;
	struct oof oof;

	if (admin_user(call, &user, err) < 0 ||
		store_oof_load(call->rd, user->id, call->arena, &oof, err) < 0)
		return -1;
	json_object_foreach(settings, key, value)
	{
		if (take_one(call, key, value, &oof, err) < 0)
			return -1;
	}
	if (oof.state == OOF_TIMED && oof.start_at >= oof.end_at)
		return err_set(err, ERR_BAD_INPUT,
			"state timed needs start_at, and an end_at that is later");
	if (store_oof_save(call->tx, user->id, &oof, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	put_oof(call->result, &oof);
	call->log_result = state_names[oof.state];
	return 0;
}
