/*
 * The document of a policy: from JSON, as WAP provisioning XML, as a hash. Pure; any thread.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/policy.h"
#include "wbxml/wbxml.h"

enum { HASH_HEX = 40, WIRE_LENGTH_MAX = 16 };

/* ---- the table ---- */

#define ITEM_TAG_BOOL   0
#define ITEM_TAG_NUMBER 0
#define ITEM_TAG_NAMES  TAG_Provision_ApplicationName
#define ITEM_TAG_HASHES TAG_Provision_Hash

const struct policy_setting_info policy_settings[] = {
#define POLICY_SETTING(name, kind, group, since, fallback, minimum, maximum, unit, text)           \
	{#name, TAG_Provision_##name, ITEM_TAG_##kind, POLICY_##kind, POLICY_##group, since,       \
		POLICY_##group == POLICY_CLASSIC, fallback, minimum, maximum, unit, text},
#include "policy/settings.def"
#undef POLICY_SETTING
};
#define SETTINGS ARRAY_LEN(policy_settings)
const size_t policy_settings_count = SETTINGS;

const char *policy_kind_to_str(enum policy_kind kind)
{
	static const char *const names[POLICY_KINDS] = {"boolean", "number", "names", "hashes"};

	return (unsigned)kind < POLICY_KINDS ? names[kind] : "";
}

const char *policy_group_to_str(enum policy_group group)
{
	static const char *const names[POLICY_GROUPS] = {
		"classic", "password", "encryption", "device", "applications", "mail", "smime"};

	return (unsigned)group < POLICY_GROUPS ? names[group] : "";
}

/* ---- from JSON ---- */

static bool is_entry(const struct policy_setting_info *info, const char *text)
{
	size_t len = strlen(text);

	if (info->kind == POLICY_HASHES)
		return len == HASH_HEX && strspn(text, "0123456789abcdefABCDEF") == len;
	return len > 0 && len <= POLICY_LIST_TEXT_MAX && text[0] != ' ' && text[len - 1] != ' ' &&
	       utf8_visible(text, len);
}

static int apply_entry(const struct policy_setting_info *info, size_t number, const json_t *value,
	struct arena *arena, const char **ret, struct err *err)
{
	const char *text = json_string_value(value);

	if (text == NULL || !is_entry(info, text))
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s: entry %zu%s%.60s%s is not %s", info->name, number,
			text != NULL ? ", \"" : "", text != NULL ? text : "",
			text != NULL ? "\"," : "",
			info->kind == POLICY_HASHES ? "a SHA-1 hash of 40 hex digits"
						    : "the name of a file, of visible characters");
	*ret = arena_x_strdup(arena, text);
	return 0;
}

static int apply_list(
	struct policy_setting *s, const json_t *value, struct arena *arena, struct err *err)
{
	size_t count = json_array_size(value);
	const char **list;

	if (!json_is_array(value) || count > POLICY_LIST_MAX)
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s must be a list of at most %d %s", s->info->name,
			POLICY_LIST_MAX,
			s->info->kind == POLICY_HASHES ? "SHA-1 hashes in hex" : "names of files");
	list = arena_x_alloc(arena, (count + 1) * sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		if (apply_entry(s->info, i + 1, json_array_get(value, i), arena, &list[i], err) < 0)
			return -1;
	}
	s->list = list;
	s->list_count = count;
	return 0;
}

/* Values of FilterType that the calendar does not have. */
static bool in_a_gap(const struct policy_setting_info *info, int64_t v)
{
	return info->tag == TAG_Provision_MaxCalendarAgeFilter && v >= 1 && v <= 3;
}

/* 0 and 1 are what the protocol writes for no and yes. */
static int apply_bool(struct policy_setting *s, const json_t *value, struct err *err)
{
	json_int_t v = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);

	if ((!json_is_boolean(value) && !json_is_integer(value)) || v < 0 || v > 1)
		return err_set(err, ERR_BAD_INPUT, "policy setting %s must be true or false",
			s->info->name);
	s->value = v;
	return 0;
}

static int apply_number(struct policy_setting *s, const json_t *value, struct err *err)
{
	const struct policy_setting_info *info = s->info;
	json_int_t v = json_integer_value(value);

	if (json_is_null(value) && info->fallback == POLICY_EMPTY) {
		s->empty = true;
		return 0;
	}
	if (!json_is_integer(value))
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s must be a number from %" PRId64 " to %" PRId64 "%s",
			info->name, info->minimum, info->maximum,
			info->fallback == POLICY_EMPTY ? ", or null for none" : "");
	if (v < info->minimum || v > info->maximum || in_a_gap(info, v))
		return err_set(err, ERR_BAD_INPUT,
			"policy setting %s is %" PRId64 ", outside %" PRId64 " to %" PRId64 "%s",
			info->name, (int64_t)v, info->minimum, info->maximum,
			in_a_gap(info, v) ? " without 1 to 3" : "");
	s->value = v;
	s->empty = false;
	return 0;
}

static struct policy_setting *find(struct policy_setting *settings, const char *name)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (strcmp(settings[i].info->name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

static int apply_one(struct policy_setting *settings, const char *name, const json_t *value,
	struct arena *arena, struct err *err)
{
	struct policy_setting *s = find(settings, name);

	if (s == NULL)
		return err_set(err, ERR_BAD_INPUT, "no policy setting is called \"%.60s\"", name);
	if (s->info->item_tag != 0)
		return apply_list(s, value, arena, err);
	return s->info->kind == POLICY_BOOL ? apply_bool(s, value, err)
					    : apply_number(s, value, err);
}

/* strict: the first mistake ends it; else what is wrong is left out. */
static int apply_json(struct policy_setting *settings, const char *text, bool strict,
	struct arena *arena, struct err *err)
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
		if (result == 0 && apply_one(settings, name, value, arena, err) < 0 && strict)
			result = -1;
	}
	json_decref(root);
	return result;
}

static int by_tag(const void *a, const void *b)
{
	const struct policy_setting *one = a, *other = b;

	return one->info->tag < other->info->tag ? -1 : one->info->tag > other->info->tag;
}

static struct policy *new_policy(struct arena *arena, struct policy_setting **ret_settings)
{
	struct policy_setting *settings = arena_x_alloc(arena, sizeof(*settings) * SETTINGS);
	struct policy *policy = arena_x_new(arena, struct policy);

	for (size_t i = 0; i < SETTINGS; i++)
		settings[i] = (struct policy_setting){
			.info = &policy_settings[i],
			.value = policy_settings[i].fallback,
			.empty = policy_settings[i].fallback == POLICY_EMPTY,
		};
	qsort(settings, SETTINGS, sizeof(*settings), by_tag);
	*policy = (struct policy){SETTINGS, settings};
	*ret_settings = settings;
	return policy;
}

int policy_parse(const char *json, struct arena *arena, struct policy **ret, struct err *err)
{
	struct policy_setting *settings;
	struct policy *policy = new_policy(arena, &settings);

	if (json[0] != '\0' && apply_json(settings, json, true, arena, err) < 0)
		return -1;
	*ret = policy;
	return 0;
}

struct policy *policy_restore(const char *json, struct arena *arena)
{
	struct err ignored = ERR_INIT;
	struct policy_setting *settings;
	struct policy *policy = new_policy(arena, &settings);

	if (json[0] != '\0')
		(void)apply_json(settings, json, false, arena, &ignored);
	return policy;
}

/* ---- looking into it ---- */

const struct policy_setting *policy_find(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->count; i++) {
		if (strcmp(policy->settings[i].info->name, name) == 0)
			return &policy->settings[i];
	}
	return NULL;
}

int64_t policy_value(const struct policy *policy, const char *name)
{
	const struct policy_setting *s = policy_find(policy, name);

	return s == NULL || s->empty ? 0 : s->value;
}

bool policy_setting_is_default(const struct policy_setting *setting)
{
	const struct policy_setting_info *info = setting->info;

	if (info->item_tag != 0)
		return setting->list_count == 0;
	if (setting->empty)
		return info->fallback == POLICY_EMPTY;
	return setting->value == info->fallback;
}

int64_t policy_wire_value(const struct policy_setting *setting, unsigned version)
{
	if (version >= 120 && setting->info->tag == TAG_Provision_MinDevicePasswordLength)
		return MIN(setting->value, WIRE_LENGTH_MAX);
	return setting->value;
}

/* ---- 2.5 ---- */

static void wap_parm(struct buf *out, const char *name, int64_t value)
{
	buf_addf(out, "<parm name=\"%s\" value=\"%" PRId64 "\"/>", name, value);
}

static void wap_registry(struct buf *out, const struct policy *policy)
{
	int64_t idle_s = policy_value(policy, "MaxInactivityTimeDeviceLock");
	int64_t attempts = policy_value(policy, "MaxDevicePasswordFailedAttempts");
	int64_t length = policy_value(policy, "MinDevicePasswordLength");
	bool locks = idle_s > 0 && idle_s < 9999;

	buf_add_str(out, "<characteristic type=\"Registry\"><characteristic type=\""
			 "HKLM\\Comm\\Security\\Policy\\LASSD\\AE\\{50C13377-C66D-400C-889E-"
			 "C316FC4AB374}\">");
	wap_parm(out, "AEFrequencyType", locks ? 1 : 0);
	if (locks)
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

/* ---- the document as a number ---- */

static void add_setting(struct buf *out, const struct policy_setting *s)
{
	buf_addf(out, "%s=", s->info->name);
	if (s->info->item_tag == 0 && !s->empty)
		buf_addf(out, "%" PRId64, s->value);
	for (size_t i = 0; i < s->list_count; i++)
		buf_addf(out, "%s\n", s->list[i]);
	buf_add_byte(out, '\n');
}

uint64_t policy_hash(const struct policy *policy, unsigned version)
{
	static const uint8_t key[16];
	struct buf text = BUF_INIT;
	uint64_t hash;

	buf_add_str(&text, version < 120 ? "2.5\n" : version < 121 ? "12.0\n" : "12.1\n");
	for (size_t i = 0; i < policy->count; i++)
		add_setting(&text, &policy->settings[i]);
	hash = siphash(key, text.data, text.len) & INT64_MAX;
	buf_deinit(&text);
	return hash != 0 ? hash : 1;
}
