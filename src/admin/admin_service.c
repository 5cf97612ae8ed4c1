/* Verbs about the switches of mobile services. Threads and transactions: see admin.c. */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "policy/service.h"
#include "store/store_access.h"

/* What holds for a scope: for a user all that is above counts, for others the organisation. */
struct view {
	struct scope scope;
	const struct rules *rules;
	struct services services;
};

static void view_free(struct view *v)
{
	rules_unref(&v->rules);
}

/* The settings are those of the configuration in force. */
static int open_view(
	struct admin_call *call, const struct scope *scope, struct view *ret, struct err *err)
{
	struct rules_subject subject = {.domain = ""};
	struct user *user;

	*ret = (struct view){.scope = *scope};
	if (scope->kind == SCOPE_USER) {
		subject.user.v = scope->id;
		if (store_user_load(call->rd, subject.user, call->arena, &user, err) < 0)
			return -1;
		subject.domain = user->domain;
	} else if (scope->kind == SCOPE_DOMAIN) {
		subject.domain = scope->name;
	}
	if (rules_load(call->rd, &ret->rules, err) < 0)
		return -1;
	if (scope->kind == SCOPE_GROUP)
		services_resolve_group(ret->rules, scope, call->settings, &ret->services);
	else
		services_resolve(ret->rules, &subject, call->settings, &ret->services);
	return 0;
}

static const char *from_text(
	struct admin_call *call, const struct services *s, enum service service)
{
	const struct scope *from = &s->from[service];
	struct err ignored = ERR_INIT;
	const char *name;

	if ((s->said & (uint32_t)1 << service) == 0)
		return "settings";
	if (admin_scope_name(call, from, &name, &ignored) < 0 || name[0] == '\0')
		return scope_kind_to_str(from->kind);
	return arena_x_printf(call->arena, "%s %s", scope_kind_to_str(from->kind), name);
}

/* What is laid down and cannot hold; "": nothing of that kind. */
static const char *warning_of(struct admin_call *call, const struct view *v, enum service service)
{
	const uint64_t *values = v->services.values;

	if (v->services.heartbeats_reverted &&
		(service == SERVICE_heartbeat_min_s || service == SERVICE_heartbeat_max_s))
		return arena_x_printf(call->arena,
			"the shortest heartbeat exceeds the longest one: for this scope both are "
			"what the configuration says, %" PRIu64 " and %" PRIu64 " s",
			values[SERVICE_heartbeat_min_s], values[SERVICE_heartbeat_max_s]);
	if (service == SERVICE_versions && values[service] == 0)
		return "eas.versions offers none of these: no phone of this scope can synchronise";
	return "";
}

static json_t *service_to_json(struct admin_call *call, const struct view *v, enum service service)
{
	static const char *const types[] = {"switch", "number", "versions"};
	const struct service_info *info = service_info(service);
	json_t *object = json_object();
	uint64_t own;

	admin_put(object, "service", info->name);
	admin_put(object, "type", types[info->kind]);
	admin_put(
		object, "value", service_print(service, v->services.values[service], call->arena));
	admin_put(object, "from", from_text(call, &v->services, service));
	admin_put(object, "own",
		services_said(v->rules, &v->scope, service, &own)
			? service_print(service, own, call->arena)
			: "");
	admin_put_number(object, "minimum", info->minimum);
	admin_put_number(object, "maximum", info->maximum);
	admin_put(object, "unit", info->unit);
	admin_put(object, "text", info->help);
	admin_put(object, "warning", warning_of(call, v, service));
	return object;
}

void admin_put_services(struct admin_call *call, const struct rules_subject *subject,
	json_t *object, bool with_from)
{
	struct services services;

	services_resolve(call->rules, subject, call->settings, &services);
	admin_put_bool(object, "eas", service_on(&services, SERVICE_sync));
	admin_put_number(object, "device_limit", services.values[SERVICE_devices_per_user]);
	if (!with_from)
		return;
	admin_put(object, "eas_from", from_text(call, &services, SERVICE_sync));
	admin_put(
		object, "device_limit_from", from_text(call, &services, SERVICE_devices_per_user));
}

int admin_service_list(struct admin_call *call, struct err *err)
{
	struct scope scope;
	struct view v;

	if (admin_scope_arg(call, &scope, err) < 0 || open_view(call, &scope, &v, err) < 0)
		return -1;
	for (int s = 0; s < SERVICE_COUNT; s++)
		(void)json_array_append_new(
			call->result, service_to_json(call, &v, (enum service)s));
	view_free(&v);
	return 0;
}

static int service_arg(struct admin_call *call, enum service *ret, struct err *err)
{
	const char *name = admin_text(call, "service");

	*ret = service_find(name);
	return *ret < SERVICE_COUNT
		       ? 0
		       : err_set(err, ERR_NOT_FOUND,
				 "there is no service \"%.60s\": see service list", name);
}

/* What stands after a change; a warning goes to the logs, too. */
static int answer(
	struct admin_call *call, const struct scope *scope, enum service service, struct err *err)
{
	const char *warning;
	struct view v;

	if (open_view(call, scope, &v, err) < 0)
		return -1;
	json_decref(call->result);
	call->result = service_to_json(call, &v, service);
	warning = warning_of(call, &v, service);
	if (*warning != '\0' && call->tx != NULL)
		call->log_result = arena_x_printf(call->arena, "%s; %s", call->log_result, warning);
	if (*warning != '\0')
		call->warning = service == SERVICE_versions ? "no_version_offered"
							    : "heartbeat_bounds_reverted";
	view_free(&v);
	return 0;
}

int admin_service_show(struct admin_call *call, struct err *err)
{
	enum service service;
	struct scope scope;

	if (service_arg(call, &service, err) < 0 || admin_scope_arg(call, &scope, err) < 0)
		return -1;
	return answer(call, &scope, service, err);
}

const char *admin_scope_text(struct admin_call *call, const struct scope *scope)
{
	if (scope->kind == SCOPE_ORG)
		return scope_kind_to_str(scope->kind);
	return arena_x_printf(call->arena, "%s %s", scope_kind_to_str(scope->kind), scope->name);
}

int admin_service_set(struct admin_call *call, struct err *err)
{
	struct scope_value value;
	enum service service;

	if (service_arg(call, &service, err) < 0 || admin_scope_arg(call, &value.scope, err) < 0 ||
		service_parse(service, admin_text(call, "value"), &value.value, err) < 0)
		return -1;
	value.name = service_info(service)->name;
	if (store_scope_value_set(call->tx, &value, err) < 0)
		return -1;
	call->log_result = arena_x_printf(call->arena, "%s = %s for %s", value.name,
		service_print(service, value.value, call->arena), admin_scope_text(call, &value.scope));
	return answer(call, &value.scope, service, err);
}

int admin_service_unset(struct admin_call *call, struct err *err)
{
	enum service service;
	struct scope scope;

	if (service_arg(call, &service, err) < 0 || admin_scope_arg(call, &scope, err) < 0 ||
		store_scope_value_unset(call->tx, &scope, service_info(service)->name, err) < 0)
		return -1;
	call->log_result = arena_x_printf(
		call->arena, "%s for %s", service_info(service)->name, admin_scope_text(call, &scope));
	return answer(call, &scope, service, err);
}
