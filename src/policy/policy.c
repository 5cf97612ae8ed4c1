/*
 * Policies: one table of settings, the document made of it, the gate. No state; any thread.
 */
#include "policy/policy.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "wbxml/wbxml.h"

#define POLICY_EMPTY (-2)

struct setting_def {
	const char *name;
	unsigned tag;
	uint16_t since;
	int64_t fallback, minimum, maximum;
};

static const struct setting_def defs[] = {
#define POLICY_SETTING(name, since, fallback, minimum, maximum)                                    \
	{#name, TAG_Provision_##name, since, fallback, minimum, maximum},
#include "policy/settings.def"
#undef POLICY_SETTING
};

static size_t find_def(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(defs); i++) {
		if (strcmp(defs[i].name, name) == 0)
			return i;
	}
	return ARRAY_LEN(defs);
}

static int apply_value(struct policy_setting *s, const struct setting_def *def, const json_t *value,
	struct err *err)
{
	json_int_t v;

	if (json_is_null(value) && def->fallback == POLICY_EMPTY) {
		s->empty = true;
		return 0;
	}
	if (json_is_boolean(value))
		v = json_is_true(value) ? 1 : 0;
	else if (json_is_integer(value))
		v = json_integer_value(value);
	else
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s must be a number from %" PRId64 " to %" PRId64,
			def->name, def->minimum, def->maximum);
	if (v < def->minimum || v > def->maximum)
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s is %" PRId64 ", outside %" PRId64 " to %" PRId64,
			def->name, (int64_t)v, def->minimum, def->maximum);
	s->value = v;
	s->empty = false;
	return 0;
}

static int apply_json(struct policy_setting *settings, const char *text, struct err *err)
{
	json_error_t where;
	json_t *root, *value;
	const char *name;
	int result = 0;

	root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(err, ERR_BAD_INPUT, "a policy is a JSON object of settings: %s",
			root == NULL ? where.text : "this is another value");
	}
	json_object_foreach(root, name, value)
	{
		size_t at = find_def(name);

		if (at == ARRAY_LEN(defs))
			result = err_set(
				err, ERR_BAD_INPUT, "no policy setting is called \"%.60s\"", name);
		else
			result = apply_value(&settings[at], &defs[at], value, err);
		if (result < 0)
			break;
	}
	json_decref(root);
	return result;
}

int policy_parse(const char *json, struct arena *arena, struct policy **ret, struct err *err)
{
	struct policy_setting *settings = arena_x_alloc(arena, sizeof(*settings) * ARRAY_LEN(defs));
	struct policy *policy = arena_x_new(arena, struct policy);

	for (size_t i = 0; i < ARRAY_LEN(defs); i++) {
		settings[i] = (struct policy_setting){
			.name = defs[i].name,
			.tag = defs[i].tag,
			.since = defs[i].since,
			.value = defs[i].fallback,
			.empty = defs[i].fallback == POLICY_EMPTY,
		};
	}
	if (json[0] != 0 && apply_json(settings, json, err) < 0)
		return -1;
	policy->settings = settings;
	policy->count = ARRAY_LEN(defs);
	*ret = policy;
	return 0;
}

int policy_load(struct store_read *rd, struct arena *arena, struct policy **ret, struct err *err)
{
	struct policy_row *row;

	if (store_policy_load(rd, arena, &row, err) < 0 ||
		policy_parse(row->settings, arena, ret, err) < 0)
		return err_wrap(err, "loading the policy");
	(*ret)->version = row->version;
	return 0;
}

int64_t policy_value(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->count; i++) {
		if (strcmp(policy->settings[i].name, name) == 0)
			return policy->settings[i].empty ? 0 : policy->settings[i].value;
	}
	return 0;
}

static void wap_parm(struct buf *out, const char *name, int64_t value)
{
	buf_addf(out, "<parm name=\"%s\" value=\"%" PRId64 "\"/>", name, value);
}

static void wap_registry(struct buf *out, const struct policy *policy)
{
	int64_t idle_s = policy_value(policy, "MaxInactivityTimeDeviceLock");
	int64_t attempts = policy_value(policy, "MaxDevicePasswordFailedAttempts");
	int64_t length = policy_value(policy, "MinDevicePasswordLength");

	buf_add_str(out, "<characteristic type=\"Registry\"><characteristic type=\""
			 "HKLM\\Comm\\Security\\Policy\\LASSD\\AE\\{50C13377-C66D-400C-889E-"
			 "C316FC4AB374}\">");
	wap_parm(out, "AEFrequencyType", idle_s > 0 ? 1 : 0);
	if (idle_s > 0)
		wap_parm(out, "AEFrequencyValue", (idle_s + 59) / 60);
	buf_add_str(out,
		"</characteristic><characteristic type=\"HKLM\\Comm\\Security\\Policy\\LASSD\">");
	wap_parm(out, "DeviceWipeThreshold", attempts > 0 ? attempts : -1);
	/* Half of the threshold, as is usual, so that a pocket is told from a person in time. */
	wap_parm(out, "CodewordFrequency", attempts > 0 ? attempts / 2 : -1);
	buf_add_str(out, "</characteristic><characteristic "
			 "type=\"HKLM\\Comm\\Security\\Policy\\LASSD\\LAP\\lap_pw\">");
	wap_parm(out, "MinimumPasswordLength", length > 0 ? length : 1);
	wap_parm(out, "PasswordComplexity",
		policy_value(policy, "AlphanumericDevicePasswordRequired") ? 0 : 2);
	buf_add_str(out, "</characteristic></characteristic>");
}

void policy_to_wap(const struct policy *policy, struct buf *out)
{
	bool password = policy_value(policy, "DevicePasswordEnabled") != 0;

	buf_add_str(out, "<wap-provisioningdoc><characteristic type=\"SecurityPolicy\">");
	wap_parm(out, "4131", password ? 0 : 1);
	if (!password)
		wap_parm(out, "4133", 1);
	buf_add_str(out, "</characteristic>");
	if (password)
		wap_registry(out, policy);
	buf_add_str(out, "</wap-provisioningdoc>");
}

static bool refresh_due(
	const struct device *device, const struct policy_rules *rules, int64_t now_at)
{
	return rules->refresh_interval_h > 0 &&
	       now_at - device->provisioned_at >= (int64_t)rules->refresh_interval_h * 3600;
}

enum policy_gate policy_check(const struct device *device, uint64_t policy_version,
	const struct policy_rules *rules, const struct policy_request *request, int64_t now_at)
{
	if (device->wipe != WIPE_NONE)
		return POLICY_WIPE;
	if (!rules->required)
		return POLICY_PASS;
	/* A phone of old that knows nothing of policies never sends the header. That it cannot, and
	 * not merely has not yet, shows when it comes again and again all the same. */
	if (request->never_provisions && request->key == 0)
		return rules->allow_non_provisionable ? POLICY_PASS : POLICY_LEGACY;
	if (!request->key_sent && request->version <= 25) {
		if (!rules->allow_non_provisionable)
			return POLICY_LEGACY;
		return request->told >= POLICY_TELLINGS ? POLICY_PASS : POLICY_NOT_PROVISIONED;
	}
	if (request->key == 0 || device->policy_key == 0)
		return POLICY_NOT_PROVISIONED;
	if (request->key != device->policy_key || device->policy_version != policy_version)
		return POLICY_KEY_INVALID;
	return refresh_due(device, rules, now_at) ? POLICY_REFRESH : POLICY_PASS;
}

bool policy_pending(const struct device *device, uint64_t policy_version,
	const struct policy_rules *rules, int64_t now_at)
{
	if (device->wipe != WIPE_NONE)
		return true;
	if (!rules->required || device->policy_key == 0)
		return false;
	return device->policy_version != policy_version || refresh_due(device, rules, now_at);
}
