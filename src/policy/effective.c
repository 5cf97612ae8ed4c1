/*
 * What phones really do with a policy: a table, searched. No state; any thread.
 */
#include "policy/effective.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct entry {
	const char *setting;
	enum policy_platform platform;
	enum policy_effect effect;
	const char *note;
};

static const struct entry entries[] = {
#define POLICY_EFFECT(setting, platform, effect, note)                                             \
	{#setting, POLICY_##platform, POLICY_EFFECT_##effect, note},
#include "policy/effective.def"
#undef POLICY_EFFECT
};

const char *policy_platform_to_str(enum policy_platform platform)
{
	static const char *const names[POLICY_PLATFORMS] = {
		"unknown", "ios", "android", "windows_mobile"};

	return (unsigned)platform < POLICY_PLATFORMS ? names[platform] : "unknown";
}

const char *policy_effect_to_str(enum policy_effect effect)
{
	static const char *const names[POLICY_EFFECTS] = {
		"unknown", "enforced", "ignored", "refused", "not_sent", "off"};

	return (unsigned)effect < POLICY_EFFECTS ? names[effect] : "unknown";
}

enum policy_platform policy_platform_of(const struct device *device)
{
	static const struct {
		const char *type;
		enum policy_platform platform;
	} types[] = {{"iPhone", POLICY_IOS}, {"iPad", POLICY_IOS}, {"iPod", POLICY_IOS},
		{"Android", POLICY_ANDROID}, {"SAMSUNG", POLICY_ANDROID},
		{"PocketPC", POLICY_WINDOWS_MOBILE}, {"SmartPhone", POLICY_WINDOWS_MOBILE},
		{"PPC", POLICY_WINDOWS_MOBILE}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_starts_nocase(device->device_type, types[i].type))
			return types[i].platform;
	}
	if (str_starts_nocase(device->user_agent, "Apple-") || str_starts_nocase(device->os, "iOS"))
		return POLICY_IOS;
	if (str_starts_nocase(device->user_agent, "Android") ||
		str_starts_nocase(device->os, "Android"))
		return POLICY_ANDROID;
	if (str_starts_nocase(device->user_agent, "MSFT-PPC") ||
		str_starts_nocase(device->user_agent, "MSFT-SPhone"))
		return POLICY_WINDOWS_MOBILE;
	return POLICY_PLATFORM_UNKNOWN;
}

enum policy_effect policy_effect_of(const struct policy_setting_info *info,
	enum policy_platform platform, const char **ret_note)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(entries) && found == NULL; i++) {
		if (entries[i].platform == platform && strcmp(entries[i].setting, info->name) == 0)
			found = &entries[i];
	}
	if (ret_note != NULL)
		*ret_note = found != NULL ? found->note : "";
	return found != NULL ? found->effect : POLICY_EFFECT_UNKNOWN;
}

static bool of_passwords(const struct policy_setting_info *info)
{
	return info->group == POLICY_PASSWORD ||
	       (info->group == POLICY_CLASSIC && !str_eq(info->name, "DevicePasswordEnabled"));
}

enum policy_effect policy_effect_on(const struct policy *policy,
	const struct policy_setting *setting, const struct device *device, const char **ret_note)
{
	const struct policy_setting_info *info = setting->info;
	unsigned version = device->protocol_version;
	bool sent = version < 120 ? info->wap : info->since <= version;

	*ret_note = "";
	if (!sent) {
		*ret_note = info->since > 120 ? "needs protocol version 12.1"
					      : "needs protocol version 12.0";
		return POLICY_EFFECT_NOT_SENT;
	}
	if (of_passwords(info) && policy_value(policy, "DevicePasswordEnabled") == 0) {
		*ret_note = "DevicePasswordEnabled is off";
		return POLICY_EFFECT_OFF;
	}
	return policy_effect_of(info, policy_platform_of(device), ret_note);
}
