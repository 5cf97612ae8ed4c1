/*
 * Verbs about whom policies are for, and what comes of it for a phone. Threads and transactions:
 * see admin.c.
 */
#include <string.h>

#include "admin/admin_page.h"
#include "admin/admin_policy.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/effective.h"

/* ---- scopes as people read them ---- */

/* "anna@example.org", "anna@example.org ABC123": of users and devices. */
static int name_of(
	struct admin_call *call, const struct scope *scope, const char **ret, struct err *err)
{
	struct device *device;
	struct user *user;

	if (scope->kind == SCOPE_DEVICE) {
		if (store_device_load(call->rd, (struct device_id){scope->id}, call->arena, &device,
			    err) < 0 ||
			store_user_load(call->rd, device->owner, call->arena, &user, err) < 0)
			return -1;
		*ret = arena_x_printf(
			call->arena, "%s %s", admin_user_address(call, user), device->device_id);
		return 0;
	}
	if (scope->kind == SCOPE_USER) {
		if (store_user_load(
			    call->rd, (struct owner_id){scope->id}, call->arena, &user, err) < 0)
			return -1;
		*ret = admin_user_address(call, user);
		return 0;
	}
	*ret = scope->name;
	return 0;
}

/* with_policy: the list is of all policies, so each row says its own. */
static int put_scopes(struct admin_call *call, uint64_t policy, const struct store_piece *piece,
	bool with_policy, bool exceptions, json_t *list, struct err *err)
{
	struct policy_whom *rows;
	size_t count;

	if (store_policy_whom(
		    call->rd, exceptions, policy, piece, call->arena, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		admin_put(object, "kind", scope_kind_to_str(rows[i].kind));
		admin_put(object, "name", rows[i].name);
		if (with_policy)
			admin_put(object, "policy", rows[i].policy);
		if (with_policy && exceptions)
			admin_put_bool(object, "exempt", rows[i].exempt);
		(void)json_array_append_new(list, object);
	}
	return 0;
}

int admin_policy_put_scopes(
	struct admin_call *call, uint64_t policy, json_t *object, struct err *err)
{
	const struct store_piece all = {.limit = UINT64_MAX};
	json_t *assignments = json_array(), *exceptions = json_array();

	(void)json_object_set_new(object, "assignments", assignments);
	(void)json_object_set_new(object, "exceptions", exceptions);
	return put_scopes(call, policy, &all, false, false, assignments, err) < 0
		       ? -1
		       : put_scopes(call, policy, &all, false, true, exceptions, err);
}

static int list_scopes(struct admin_call *call, bool exceptions, struct err *err)
{
	struct store_piece piece = admin_piece(call);
	struct policy_row *row = NULL;

	if (admin_text(call, "policy") != NULL && admin_policy_find(call, &row, err) < 0)
		return -1;
	return put_scopes(
		call, row != NULL ? row->id : 0, &piece, true, exceptions, call->result, err);
}

int admin_policy_assignments(struct admin_call *call, struct err *err)
{
	return list_scopes(call, false, err);
}

int admin_policy_exceptions(struct admin_call *call, struct err *err)
{
	return list_scopes(call, true, err);
}

/* ---- changing ---- */

/* Exactly one of the arguments "domain", "group" and "address". */
static int scope_of(struct admin_call *call, struct scope *ret, struct err *err)
{
	const char *domain = admin_text(call, "domain"), *group = admin_text(call, "group"),
		   *address = admin_text(call, "address");
	struct user_group *row;
	struct user *user;
	bool exists = false;

	if ((domain != NULL) + (group != NULL) + (address != NULL) != 1)
		return err_set(err, ERR_BAD_INPUT,
			"%s needs one of --domain, --group and --address", call->verb->name);
	if (domain != NULL) {
		*ret = (struct scope){SCOPE_DOMAIN, 0, domain};
		if (store_domain_exists(call->rd, domain, &exists, err) < 0)
			return -1;
		return exists ? 0
			      : err_set(err, ERR_NOT_FOUND, "there is no domain %.200s", domain);
	}
	if (group != NULL) {
		if (admin_group_find(call, &row, err) < 0)
			return -1;
		*ret = (struct scope){SCOPE_GROUP, row->id, row->name};
		return 0;
	}
	if (admin_user(call, &user, err) < 0)
		return -1;
	*ret = (struct scope){SCOPE_USER, user->id.v, ""};
	return 0;
}

static int answer_scope(
	struct admin_call *call, const struct scope *scope, const char *policy, struct err *err)
{
	const char *name;

	if (name_of(call, scope, &name, err) < 0)
		return -1;
	admin_put(call->result, "kind", scope_kind_to_str(scope->kind));
	admin_put(call->result, "name", name);
	if (policy != NULL)
		admin_put(call->result, "policy", policy);
	if (policy != NULL && policy[0] == '\0')
		policy = "exempt";
	call->log_result = arena_x_printf(call->arena, "%s %s%s%s", scope_kind_to_str(scope->kind),
		name, policy != NULL ? ": " : "", policy != NULL ? policy : "");
	return 0;
}

int admin_policy_assign(struct admin_call *call, struct err *err)
{
	struct policy_scope scope = {.exception = false};
	struct policy_row *row;

	if (admin_policy_find(call, &row, err) < 0 || scope_of(call, &scope.scope, err) < 0)
		return -1;
	scope.policy = row->id;
	if (store_policy_assign(call->tx, &scope, err) < 0)
		return -1;
	return answer_scope(call, &scope.scope, row->name, err);
}

int admin_policy_unassign(struct admin_call *call, struct err *err)
{
	struct policy_scope scope = {.exception = false};

	if (scope_of(call, &scope.scope, err) < 0 ||
		store_policy_unassign(call->tx, &scope, err) < 0)
		return -1;
	return answer_scope(call, &scope.scope, NULL, err);
}

/* A user, or one of the user's devices. */
static int exception_of(struct admin_call *call, struct policy_scope *ret, struct err *err)
{
	struct device *device;
	struct user *user;

	ret->exception = true;
	if (admin_text(call, "device") != NULL) {
		if (admin_device(call, &user, &device, err) < 0)
			return -1;
		ret->scope = (struct scope){SCOPE_DEVICE, device->id.v, ""};
		return 0;
	}
	if (admin_user(call, &user, err) < 0)
		return -1;
	ret->scope = (struct scope){SCOPE_USER, user->id.v, ""};
	return 0;
}

int admin_policy_except(struct admin_call *call, struct err *err)
{
	struct policy_scope scope = {.policy = 0};
	struct policy_row *row = NULL;

	if (exception_of(call, &scope, err) < 0 ||
		(admin_text(call, "policy") != NULL && admin_policy_find(call, &row, err) < 0))
		return -1;
	if (row != NULL)
		scope.policy = row->id;
	if (store_policy_assign(call->tx, &scope, err) < 0 ||
		answer_scope(call, &scope.scope, row != NULL ? row->name : "", err) < 0)
		return -1;
	admin_put_bool(call->result, "exempt", row == NULL);
	return 0;
}

int admin_policy_unexcept(struct admin_call *call, struct err *err)
{
	struct policy_scope scope = {.policy = 0};

	if (exception_of(call, &scope, err) < 0 || store_policy_unassign(call->tx, &scope, err) < 0)
		return -1;
	return answer_scope(call, &scope.scope, NULL, err);
}

/* ---- what comes of it ---- */

static const char *from_text(struct admin_call *call, const struct rules_policy_from *from)
{
	switch (from->scope.kind) {
	case SCOPE_DEVICE:
		return "exception for the phone";
	case SCOPE_USER:
		return from->exception ? "exception for the user" : "the user";
	case SCOPE_GROUP:
	case SCOPE_DOMAIN:
		return arena_x_printf(call->arena, "%s %s", scope_kind_to_str(from->scope.kind),
			from->scope.name);
	case SCOPE_ORG:
	case SCOPE_KINDS:
		break;
	}
	return "default";
}

/* device NULL: of the user, without an exception for a phone. */
static int find_policy(struct admin_call *call, const struct user *user,
	const struct device *device, json_t *object, const struct rules_policy **ret,
	struct policy_rules *ret_rules, struct err *err)
{
	struct policy_rules configured = call->limits.policy;
	struct rules_subject subject = {.user = user->id, .domain = user->domain};
	struct rules_policy_from from;

	if (device != NULL)
		subject.device = device->id;
	if (admin_need_rules(call, err) < 0)
		return -1;
	*ret = rules_policy(call->rules, &subject, &from);
	policy_options_resolve(&(*ret)->options, &configured, ret_rules);
	admin_put(object, "policy", (*ret)->name);
	admin_put_bool(object, "policy_exempt", (*ret)->id == 0);
	admin_put(object, "policy_from", from_text(call, &from));
	return 0;
}

static void put_state(json_t *object, const struct rules_policy *policy,
	const struct policy_rules *rules, const struct device *device)
{
	bool has = device->policy_key != 0 &&
		   device->policy_version == rules_policy_hash(policy, device->protocol_version);

	admin_put(object, "policy_status", policy_status_to_str(device->policy_status));
	admin_put_bool(object, "policy_current", has);
	admin_put_number(object, "policy_refresh_at", (uint64_t)policy_refresh_at(device, rules));
}

int admin_policy_put_device(struct admin_call *call, const struct user *user,
	const struct device *device, json_t *object, struct err *err)
{
	const struct rules_policy *policy;
	struct policy_rules rules;

	if (find_policy(call, user, device, object, &policy, &rules, err) < 0)
		return -1;
	put_state(object, policy, &rules, device);
	return 0;
}

/* One setting, on one phone or on all kinds of them. */
static json_t *effect_row(
	const struct policy *policy, const struct policy_setting *s, const struct device *device)
{
	json_t *row = json_object();

	admin_put(row, "setting", s->info->name);
	(void)json_object_set_new(row, "value", admin_policy_value(s));
	admin_put_bool(row, "is_default", policy_setting_is_default(s));
	if (device != NULL) {
		struct policy_finding finding = policy_effect_on(policy, s, device);

		admin_put(row, "effect", policy_effect_to_str(finding.effect));
		admin_put_bool(row, "confirmed", *finding.source != '\0');
		admin_put(row, "note", finding.note);
		admin_put(row, "source", finding.source);
		return row;
	}
	for (int p = POLICY_IOS; p < POLICY_PLATFORMS; p++)
		admin_policy_put_finding(row, s->info, (enum policy_platform)p, false);
	return row;
}

static void put_effects(
	json_t *list, const struct policy *policy, const struct device *device, bool all)
{
	for (size_t i = 0; i < policy_settings_count; i++) {
		const struct policy_setting *s = policy_find(policy, policy_settings[i].name);

		if (all || !policy_setting_is_default(s))
			(void)json_array_append_new(list, effect_row(policy, s, device));
	}
}

int admin_policy_put_effects(struct admin_call *call, const struct user *user,
	const struct device *device, json_t *object, struct err *err)
{
	const struct rules_policy *policy;
	struct policy_rules rules;
	json_t *list = json_array();

	admin_put(object, "platform", policy_platform_to_str(policy_platform_of(device)));
	(void)json_object_set_new(object, "policy_settings", list);
	if (find_policy(call, user, device, object, &policy, &rules, err) < 0)
		return -1;
	put_effects(list, policy->document, device, false);
	return 0;
}

int admin_policy_effective(struct admin_call *call, struct err *err)
{
	bool all = json_is_true(json_object_get(call->args, "all"));
	const struct rules_policy *policy;
	json_t *list;
	struct device *device = NULL;
	struct policy_rules rules;
	struct user *user;

	if (admin_text(call, "device") != NULL ? admin_device(call, &user, &device, err) < 0
					       : admin_user(call, &user, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	if (device != NULL) {
		admin_put(call->result, "device", device->device_id);
		admin_put(call->result, "platform",
			policy_platform_to_str(policy_platform_of(device)));
	}
	if (find_policy(call, user, device, call->result, &policy, &rules, err) < 0)
		return -1;
	if (device != NULL)
		put_state(call->result, policy, &rules, device);
	(void)json_object_set_new(call->result, "rules", admin_policy_rules(&rules));
	list = json_array();
	(void)json_object_set_new(call->result, "settings", list);
	put_effects(list, policy->document, device, all);
	return 0;
}
