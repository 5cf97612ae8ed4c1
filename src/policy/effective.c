/*
 * What phones really do with a policy: a table, searched. No state; any thread.
 */
#include "policy/effective.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define POLICY_SOURCE(id, text) static const char source_##id[] = text;
#include "policy/effective.def"
#undef POLICY_SOURCE

struct entry {
	const char *setting;
	enum policy_platform platform;
	struct policy_finding finding;
};

static const struct entry entries[] = {
#define POLICY_EFFECT(setting, platform, effect, note, source)                                     \
	{#setting, POLICY_##platform, {POLICY_EFFECT_##effect, note, source_##source}},
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

struct policy_finding policy_effect_of(
	const struct policy_setting_info *info, enum policy_platform platform)
{
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		if (entries[i].platform == platform && strcmp(entries[i].setting, info->name) == 0)
			return entries[i].finding;
	}
	return (struct policy_finding){POLICY_EFFECT_UNKNOWN, "", ""};
}

static bool of_passwords(const struct policy_setting_info *info)
{
	return info->group == POLICY_PASSWORD ||
	       (info->group == POLICY_CLASSIC && !str_eq(info->name, "DevicePasswordEnabled"));
}

/* The setting without which the phone takes no heed of this one; NULL: it stands for itself. */
static const char *depends_on(const struct policy *policy, const struct policy_setting_info *info,
	enum policy_platform platform)
{
	if (policy_value(policy, "DevicePasswordEnabled") == 0 &&
		(of_passwords(info) ||
			(platform == POLICY_IOS && str_eq(info->name, "RequireDeviceEncryption"))))
		return "DevicePasswordEnabled";
	if ((platform == POLICY_IOS || platform == POLICY_ANDROID) &&
		str_eq(info->name, "MinDevicePasswordComplexCharacters") &&
		policy_value(policy, "AlphanumericDevicePasswordRequired") == 0)
		return "AlphanumericDevicePasswordRequired";
	return NULL;
}

static const char *depends_source(enum policy_platform platform)
{
	return platform == POLICY_IOS       ? source_IOS_DAEAS
	       : platform == POLICY_ANDROID ? source_AOSP
					    : source_MS_ASPROV;
}

struct policy_finding policy_effect_on(const struct policy *policy,
	const struct policy_setting *setting, const struct device *device)
{
	const struct policy_setting_info *info = setting->info;
	enum policy_platform platform = policy_platform_of(device);
	unsigned version = device->protocol_version;
	const char *master;

	if (version < 120 ? !info->wap : info->since > version)
		return (struct policy_finding){POLICY_EFFECT_NOT_SENT,
			info->since > 120 ? "needs protocol version 12.1"
					  : "needs protocol version 12.0",
			source_MS_ASPROV};
	master = depends_on(policy, info, platform);
	if (master == NULL)
		return policy_effect_of(info, platform);
	return (struct policy_finding){POLICY_EFFECT_OFF,
		str_eq(master, "DevicePasswordEnabled")
			? "DevicePasswordEnabled is off"
			: "AlphanumericDevicePasswordRequired is off",
		depends_source(platform)};
}
