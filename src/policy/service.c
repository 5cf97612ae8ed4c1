/*
 * The switches of mobile services: their table, their values as text, and which of them holds.
 * What is laid down lies in the rules in memory, a set of values for each scope. Pure; any thread.
 */
#include "policy/service.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct service_info infos[SERVICE_COUNT] = {
#define SERVICE(name, kind, minimum, maximum, unit, help)                                          \
	[SERVICE_##name] = {#name, SERVICE_##kind, minimum, maximum, unit, help},
#include "policy/services.def"
#undef SERVICE
};

static const struct {
	unsigned version;
	const char *text;
} versions[] = {
	{25, "2.5"},
	{120, "12.0"},
	{121, "12.1"},
	{140, "14.0"},
	{141, "14.1"},
	{160, "16.0"},
	{161, "16.1"},
};

const struct service_info *service_info(enum service service)
{
	return &infos[service];
}

enum service service_find(const char *name)
{
	for (int s = 0; s < SERVICE_COUNT; s++) {
		if (strcmp(infos[s].name, name) == 0)
			return (enum service)s;
	}
	return SERVICE_COUNT;
}

/* ---- versions ---- */

unsigned service_version_parse(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (strcmp(versions[i].text, text) == 0)
			return versions[i].version;
	}
	return 0;
}

const char *service_version_to_str(unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i].version == version)
			return versions[i].text;
	}
	return "";
}

unsigned service_version_at(size_t i)
{
	return i < ARRAY_LEN(versions) ? versions[i].version : 0;
}

static uint64_t version_bit(unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i].version == version)
			return (uint64_t)1 << i;
	}
	return 0;
}

bool service_has_version(uint64_t set, unsigned version)
{
	return (set & version_bit(version)) != 0;
}

/* ---- values as text ---- */

const char *service_print(enum service service, uint64_t value, struct arena *arena)
{
	struct buf out = BUF_INIT;
	const char *text;

	switch (infos[service].kind) {
	case SERVICE_BOOL:
		return value != 0 ? "on" : "off";
	case SERVICE_UINT:
		return arena_x_printf(arena, "%" PRIu64, value);
	case SERVICE_VERSIONS:
		break;
	}
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if ((value & (uint64_t)1 << i) != 0)
			buf_addf(&out, "%s%s", out.len > 0 ? "," : "", versions[i].text);
	}
	text = arena_x_strdup(arena, buf_cstr(&out));
	buf_deinit(&out);
	return text;
}

static int parse_bool(enum service service, const char *text, uint64_t *ret, struct err *err)
{
	static const char *const on[] = {"on", "true", "yes", "1"};
	static const char *const off[] = {"off", "false", "no", "0"};

	for (size_t i = 0; i < ARRAY_LEN(on); i++) {
		if (str_eq_nocase(text, on[i]) || str_eq_nocase(text, off[i])) {
			*ret = str_eq_nocase(text, on[i]);
			return 0;
		}
	}
	return err_set(
		err, ERR_BAD_INPUT, "%s is on or off, not \"%.40s\"", infos[service].name, text);
}

static int parse_number(enum service service, const char *text, uint64_t *ret, struct err *err)
{
	const struct service_info *info = &infos[service];
	struct err ignored = ERR_INIT;
	uint64_t value;

	if (str_parse_u64(text, info->maximum, &value, &ignored) < 0 || value < info->minimum)
		return err_set(err, ERR_BAD_INPUT,
			"%s is a number from %" PRIu64 " to %" PRIu64 ", not \"%.40s\"", info->name,
			info->minimum, info->maximum, text);
	*ret = value;
	return 0;
}

static int parse_versions(const char *text, uint64_t *ret, struct err *err)
{
	uint64_t set = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ", ");
		char one[8] = "";

		if (len > 0 && len < sizeof(one)) {
			memcpy(one, text, len);
			one[len] = '\0';
		}
		if (len > 0 && version_bit(service_version_parse(one)) == 0)
			return err_set(err, ERR_BAD_INPUT,
				"\"%.*s\" is none of 2.5, 12.0, 12.1, 14.0, 14.1, 16.0, 16.1",
				(int)MIN(len, (size_t)40), text);
		set |= version_bit(service_version_parse(one));
		text += len;
		text += *text != '\0';
	}
	if (set == 0)
		return err_set(err, ERR_BAD_INPUT,
			"name at least one protocol version; sync off closes the service");
	*ret = set;
	return 0;
}

int service_parse(enum service service, const char *text, uint64_t *ret, struct err *err)
{
	switch (infos[service].kind) {
	case SERVICE_BOOL:
		return parse_bool(service, text, ret, err);
	case SERVICE_UINT:
		return parse_number(service, text, ret, err);
	case SERVICE_VERSIONS:
		break;
	}
	return parse_versions(text, ret, err);
}

/* ---- what holds ---- */

void service_defaults(const struct settings *settings, struct services *ret)
{
	uint64_t *v = ret->values;

	*ret = (struct services){.said = 0};
	v[SERVICE_sync] = v[SERVICE_direct_push] = v[SERVICE_plain_http] = 1;
	for (size_t i = 0; i < settings->eas_versions.count; i++)
		v[SERVICE_versions] |=
			version_bit(service_version_parse(settings->eas_versions.words[i]));
	v[SERVICE_heartbeat_min_s] = settings->push_heartbeat_min_s;
	v[SERVICE_heartbeat_max_s] = settings->push_heartbeat_max_s;
	v[SERVICE_folders_per_ping] = settings->push_folders_max;
	v[SERVICE_devices_per_user] = settings->eas_devices_per_user;
}

/* What one scope says; the last is "access". */
struct scope_values {
	uint32_t said;
	uint64_t values[SERVICE_COUNT];
	enum access_state access;
};

static void take_scope(
	struct services *s, const struct scope_values *values, const struct scope *scope)
{
	for (int i = 0; i < SERVICE_COUNT; i++) {
		uint32_t bit = (uint32_t)1 << i;

		if ((values->said & bit) == 0 || (s->said & bit) != 0)
			continue;
		s->said |= bit;
		s->values[i] = values->values[i];
		s->from[i] = *scope;
	}
}

/* What no scope may say: more versions than there are, and a range that is none. */
static void bound(struct services *s, const struct settings *settings, uint64_t offered)
{
	s->values[SERVICE_versions] &= offered;
	if (s->values[SERVICE_heartbeat_min_s] <= s->values[SERVICE_heartbeat_max_s])
		return;
	s->values[SERVICE_heartbeat_min_s] = settings->push_heartbeat_min_s;
	s->values[SERVICE_heartbeat_max_s] = settings->push_heartbeat_max_s;
	s->heartbeats_reverted = true;
}

void services_resolve(const struct rules *rules, const struct rules_subject *subject,
	const struct settings *settings, struct services *ret)
{
	const struct scope_values *values;
	struct rules_walk walk;
	struct scope scope;
	uint64_t offered;

	service_defaults(settings, ret);
	offered = ret->values[SERVICE_versions];
	rules_walk_begin(&walk, rules, rules->scope_values, subject);
	while ((values = rules_walk_next(&walk, &scope)) != NULL)
		take_scope(ret, values, &scope);
	bound(ret, settings, offered);
}

void services_resolve_group(const struct rules *rules, const struct scope *group,
	const struct settings *settings, struct services *ret)
{
	const struct scope org = {SCOPE_ORG, 0, ""};
	const struct scope *const scopes[] = {group, &org};
	uint64_t offered;

	service_defaults(settings, ret);
	offered = ret->values[SERVICE_versions];
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		const struct scope_values *values =
			rules_table_find(rules->scope_values, scopes[i]);

		if (values != NULL)
			take_scope(ret, values, scopes[i]);
	}
	bound(ret, settings, offered);
}

enum access_state services_access(
	const struct rules *rules, const struct rules_subject *subject, struct scope *ret_from)
{
	const struct scope_values *values;
	struct rules_walk walk;
	struct scope scope;

	*ret_from = (struct scope){.name = ""};
	rules_walk_begin(&walk, rules, rules->scope_values, subject);
	while ((values = rules_walk_next(&walk, &scope)) != NULL) {
		if (values->access == ACCESS_NONE || scope.kind >= SCOPE_USER)
			continue;
		*ret_from = scope;
		return values->access;
	}
	return ACCESS_NONE;
}

enum access_state services_access_of_user(const struct rules *rules, struct owner_id user)
{
	const struct scope scope = {SCOPE_USER, user.v, ""};
	const struct scope_values *values = rules_table_find(rules->scope_values, &scope);

	return values != NULL ? values->access : ACCESS_NONE;
}

bool services_said(
	const struct rules *rules, const struct scope *scope, enum service service, uint64_t *ret)
{
	const struct scope_values *values = rules_table_find(rules->scope_values, scope);

	if (values == NULL || (values->said & (uint32_t)1 << service) == 0)
		return false;
	*ret = values->values[service];
	return true;
}

/* ---- loading ---- */

int services_load(struct store_read *rd, struct rules *rules, struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct scope_value *rows;
	size_t count;

	rules->scope_values = rules_table_new(rules);
	if (store_scope_values(rd, scratch, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct scope_values *values = (struct scope_values *)(uintptr_t)rules_table_find(
			rules->scope_values, &rows[i].scope);
		enum service service = service_find(rows[i].name);

		if (values == NULL) {
			values = arena_x_new(rules->arena, struct scope_values);
			rules_table_put(rules->scope_values, &rows[i].scope, values);
		}
		if (service < SERVICE_COUNT) {
			values->said |= (uint32_t)1 << service;
			values->values[service] = rows[i].value;
		} else if (strcmp(rows[i].name, STORE_VALUE_ACCESS) == 0 &&
			   rows[i].value < ACCESS_STATES) {
			values->access = (enum access_state)rows[i].value;
		}
	}
	return 0;
}
