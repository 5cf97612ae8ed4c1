/* Verbs about policies. Threads and transactions: see admin.c. */
#include <string.h>

#include "admin/admin_policy.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/effective.h"

int admin_policy_find(struct admin_call *call, struct policy_row **ret, struct err *err)
{
	return store_policy_find(call->rd, admin_text(call, "policy"), call->arena, ret, err);
}

/* ---- showing ---- */

json_t *admin_policy_value(const struct policy_setting *s)
{
	json_t *list;

	if (s->info->kind == POLICY_BOOL)
		return json_boolean(s->value != 0);
	if (s->info->item_tag == 0)
		return s->empty ? json_null() : json_integer((json_int_t)s->value);
	list = json_array();
	for (size_t i = 0; i < s->list_count; i++)
		(void)json_array_append_new(list, json_string(s->list[i]));
	return list;
}

static void put_flag(json_t *object, const char *name, int flag)
{
	(void)json_object_set_new(object, name, flag < 0 ? json_null() : json_boolean(flag));
}

static json_t *options_to_json(const struct policy_options *o)
{
	json_t *object = json_object();

	put_flag(object, "required", o->required);
	(void)json_object_set_new(object, "refresh_interval_h",
		o->refresh_interval_h < 0 ? json_null()
					  : json_integer((json_int_t)o->refresh_interval_h));
	put_flag(object, "allow_non_provisionable", o->allow_non_provisionable);
	put_flag(object, "allow_partial", o->allow_partial);
	put_flag(object, "allow_refused", o->allow_refused);
	put_flag(object, "allow_other", o->allow_other);
	return object;
}

json_t *admin_policy_rules(const struct policy_rules *r)
{
	json_t *object = json_object();

	admin_put_bool(object, "required", r->required);
	admin_put_number(object, "refresh_interval_h", r->refresh_interval_h);
	admin_put_bool(object, "allow_non_provisionable", r->allow_non_provisionable);
	admin_put_bool(object, "allow_partial", r->allow_partial);
	admin_put_bool(object, "allow_refused", r->allow_refused);
	admin_put_bool(object, "allow_other", r->allow_other);
	return object;
}

static void put_policy(json_t *object, const struct policy_row *row)
{
	admin_put(object, "policy", row->name);
	admin_put(object, "description", row->description);
	admin_put_bool(object, "default", row->is_default);
	admin_put_number(object, "version", row->version);
}

static size_t demands_of(const struct policy *policy)
{
	size_t n = 0;

	for (size_t i = 0; i < policy->count; i++)
		n += !policy_setting_is_default(&policy->settings[i]);
	return n;
}

int admin_policy_list(struct admin_call *call, struct err *err)
{
	struct policy_rules configured = call->limits.policy, rules;
	struct admin_policy_count *counts;
	struct policy_scope *scopes;
	struct policy_row *rows;
	size_t count, scope_count;

	if (store_policy_list(call->rd, call->arena, &rows, &count, err) < 0 ||
		admin_policy_count(call, &counts, err) < 0 ||
		store_policy_scopes(call->rd, call->arena, &scopes, &scope_count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct policy_options options = policy_options_restore(rows[i].options);
		json_t *object = json_object();
		uint64_t assigned = 0;

		for (size_t k = 0; k < scope_count; k++)
			assigned += scopes[k].policy == rows[i].id;
		policy_options_resolve(&options, &configured, &rules);
		put_policy(object, &rows[i]);
		admin_put_number(object, "settings",
			demands_of(policy_restore(rows[i].settings, call->arena)));
		admin_put_bool(object, "required", rules.required);
		admin_put_number(object, "refresh_interval_h", rules.refresh_interval_h);
		admin_put_number(object, "assigned", assigned);
		admin_policy_put_count(object, &counts[i]);
		(void)json_array_append_new(call->result, object);
	}
	return 0;
}

int admin_policy_show(struct admin_call *call, struct err *err)
{
	struct policy_rules configured = call->limits.policy, rules;
	struct policy_options options;
	struct policy_row *row;
	struct policy *policy;
	json_t *settings;

	if (admin_policy_find(call, &row, err) < 0)
		return -1;
	policy = policy_restore(row->settings, call->arena);
	options = policy_options_restore(row->options);
	policy_options_resolve(&options, &configured, &rules);
	put_policy(call->result, row);
	(void)json_object_set_new(call->result, "options", options_to_json(&options));
	(void)json_object_set_new(call->result, "rules", admin_policy_rules(&rules));
	(void)json_object_set_new(call->result, "settings", settings = json_object());
	for (size_t i = 0; i < policy_settings_count; i++) {
		const char *name = policy_settings[i].name;

		(void)json_object_set_new(
			settings, name, admin_policy_value(policy_find(policy, name)));
	}
	return admin_policy_put_scopes(call, row->id, call->result, err);
}

/* ---- the table of settings ---- */

static json_t *default_of(const struct policy_setting_info *info)
{
	struct policy_setting s = {
		.info = info, .value = info->fallback, .empty = info->fallback == POLICY_EMPTY};

	return admin_policy_value(&s);
}

void admin_policy_put_finding(json_t *object, const struct policy_setting_info *info,
	enum policy_platform platform, bool words)
{
	struct policy_finding finding = policy_effect_of(info, platform);
	char key[40];

	admin_put(object, policy_platform_to_str(platform), policy_effect_to_str(finding.effect));
	(void)snprintf(key, sizeof(key), "%s_confirmed", policy_platform_to_str(platform));
	admin_put_bool(object, key, *finding.source != '\0');
	if (!words)
		return;
	(void)snprintf(key, sizeof(key), "%s_note", policy_platform_to_str(platform));
	admin_put(object, key, finding.note);
	(void)snprintf(key, sizeof(key), "%s_source", policy_platform_to_str(platform));
	admin_put(object, key, finding.source);
}

int admin_policy_settings(struct admin_call *call, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < policy_settings_count; i++) {
		const struct policy_setting_info *info = &policy_settings[i];
		json_t *object = json_object();

		admin_put(object, "setting", info->name);
		admin_put(object, "group", policy_group_to_str(info->group));
		admin_put(object, "type", policy_kind_to_str(info->kind));
		if (info->kind == POLICY_NUMBER) {
			(void)json_object_set_new(
				object, "minimum", json_integer((json_int_t)info->minimum));
			(void)json_object_set_new(
				object, "maximum", json_integer((json_int_t)info->maximum));
		}
		(void)json_object_set_new(object, "default", default_of(info));
		admin_put_bool(object, "nullable", info->fallback == POLICY_EMPTY);
		admin_put(object, "unit", info->unit);
		admin_put(object, "since",
			info->wap ? "2.5"
				  : arena_x_printf(call->arena, "%u.%u", info->since / 10u,
					    info->since % 10u));
		admin_put(object, "text", info->text);
		for (int p = POLICY_IOS; p < POLICY_PLATFORMS; p++)
			admin_policy_put_finding(object, info, (enum policy_platform)p, true);
		(void)json_array_append_new(call->result, object);
	}
	return 0;
}

/* ---- changing ---- */

static const char *dump(struct admin_call *call, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	const char *copy = arena_x_strdup(call->arena, text != NULL ? text : "{}");

	mem_free(text);
	return copy;
}

/* The argument as text; merged into what was there, if the request says so. NULL: not given. */
static const char *object_argument(struct admin_call *call, const char *name, const char *before)
{
	const json_t *given = json_object_get(call->args, name);
	json_t *merged = NULL;
	const char *text;

	if (given == NULL)
		return NULL;
	if (json_is_true(json_object_get(call->args, "merge")) && before[0] != '\0')
		merged = json_loads(before, 0, NULL);
	if (!json_is_object(merged)) {
		json_decref(merged);
		return dump(call, given);
	}
	(void)json_object_update(merged, (json_t *)(uintptr_t)given);
	text = dump(call, merged);
	json_decref(merged);
	return text;
}

/* What is given, checked: its errors name the setting and what is allowed. */
static int check(
	struct admin_call *call, const char *settings, const char *options, struct err *err)
{
	struct policy_options ignored;
	struct policy *policy;

	if (settings != NULL && policy_parse(settings, call->arena, &policy, err) < 0)
		return -1;
	return options != NULL ? policy_options_parse(options, &ignored, err) : 0;
}

static void note(
	struct admin_call *call, const char *name, const char *settings, const char *options)
{
	call->log_result = arena_x_printf(call->arena, "%s%s%.300s%s%.150s", name,
		settings != NULL ? " " : "", settings != NULL ? settings : "",
		options != NULL ? " " : "", options != NULL ? options : "");
}

static int answer(struct admin_call *call, const char *name, struct err *err)
{
	struct policy_row *row;

	if (store_policy_find(call->rd, name, call->arena, &row, err) < 0)
		return -1;
	put_policy(call->result, row);
	return 0;
}

int admin_policy_set(struct admin_call *call, struct err *err)
{
	const char *description = admin_text(call, "description"), *settings, *options;
	struct policy_row *row;

	if (admin_policy_find(call, &row, err) < 0)
		return -1;
	settings = object_argument(call, "settings", row->settings);
	options = object_argument(call, "options", row->options);
	if (settings == NULL && options == NULL && description == NULL)
		return err_set(err, ERR_BAD_INPUT,
			"policy set needs settings, --options, --description, or several of them");
	if (check(call, settings, options, err) < 0 ||
		store_policy_change(call->tx, row->id, description, settings, options, err) < 0)
		return -1;
	note(call, row->name, settings, options);
	return answer(call, row->name, err);
}

static int add(struct admin_call *call, const struct policy_row *row, struct err *err)
{
	uint64_t id;

	if (check(call, row->settings, row->options, err) < 0 ||
		store_policy_add(call->tx, row, &id, err) < 0)
		return -1;
	note(call, row->name, row->settings[0] != '\0' ? row->settings : NULL,
		row->options[0] != '\0' ? row->options : NULL);
	return answer(call, row->name, err);
}

int admin_policy_create(struct admin_call *call, struct err *err)
{
	const char *description = admin_text(call, "description");
	const char *settings = object_argument(call, "settings", "");
	const char *options = object_argument(call, "options", "");
	struct policy_row row = {.name = admin_text(call, "policy"),
		.description = description != NULL ? description : "",
		.settings = settings != NULL ? settings : "",
		.options = options != NULL ? options : ""};

	return add(call, &row, err);
}

int admin_policy_copy(struct admin_call *call, struct err *err)
{
	const char *description = admin_text(call, "description");
	struct policy_row *row;

	if (admin_policy_find(call, &row, err) < 0)
		return -1;
	row->name = admin_text(call, "new");
	if (description != NULL)
		row->description = description;
	return add(call, row, err);
}

int admin_policy_delete(struct admin_call *call, struct err *err)
{
	struct policy_row *row;

	if (admin_policy_find(call, &row, err) < 0)
		return -1;
	admin_put(call->result, "policy", row->name);
	note(call, row->name, NULL, NULL);
	return store_policy_delete(call->tx, row->id, err);
}

int admin_policy_default(struct admin_call *call, struct err *err)
{
	struct policy_row *row;

	if (admin_policy_find(call, &row, err) < 0 ||
		store_policy_set_default(call->tx, row->id, err) < 0)
		return -1;
	note(call, row->name, NULL, NULL);
	return answer(call, row->name, err);
}
