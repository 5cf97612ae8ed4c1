/*
 * Verbs about access: rules, what is laid down for organisation, domains, groups, users and
 * devices, the message of the quarantine. Threads and transactions: see admin.c.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_page.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/access.h"
#include "policy/service.h"
#include "store/store_access.h"
#include "store/store_page.h"

enum { TEXT_MAX_BYTES = 8000 };

int admin_scope_arg(struct admin_call *call, struct scope *ret, struct err *err)
{
	const char *domain = admin_text(call, "domain");
	bool exists;
	struct user_group *group;
	struct user *user;

	*ret = (struct scope){.kind = SCOPE_ORG, .name = ""};
	if ((admin_text(call, "address") != NULL) + (admin_text(call, "group") != NULL) +
			(domain != NULL) >
		1)
		return err_set(err, ERR_BAD_INPUT, "name a user, a group or a domain: one of them");
	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		*ret = (struct scope){SCOPE_USER, user->id.v, admin_user_address(call, user)};
	} else if (admin_text(call, "group") != NULL) {
		if (admin_group_find(call, &group, err) < 0)
			return -1;
		*ret = (struct scope){SCOPE_GROUP, group->id, group->name};
	} else if (domain != NULL) {
		if (store_domain_exists(call->rd, domain, &exists, err) < 0)
			return -1;
		if (!exists)
			return err_set(err, ERR_NOT_FOUND, "there is no domain %.200s", domain);
		*ret = (struct scope){SCOPE_DOMAIN, 0, domain};
	}
	return 0;
}

int admin_scope_name(
	struct admin_call *call, const struct scope *scope, const char **ret, struct err *err)
{
	struct user_group *group;
	struct user *user;

	*ret = scope->name;
	if (scope->kind == SCOPE_USER) {
		if (store_user_load(
			    call->rd, (struct owner_id){scope->id}, call->arena, &user, err) < 0)
			return -1;
		*ret = admin_user_address(call, user);
	} else if (scope->kind == SCOPE_GROUP) {
		if (store_group_load(call->rd, scope->id, call->arena, &group, err) < 0)
			return -1;
		*ret = group->name;
	}
	return 0;
}

/* ---- rules ---- */

static json_t *rule_to_json(const struct access_rule_row *rule)
{
	json_t *object = json_object();

	admin_put_number(object, "id", rule->id);
	admin_put_number(object, "position", rule->position);
	admin_put(object, "access", access_state_to_str(rule->state));
	admin_put(object, "rule", rule->rule);
	admin_put(object, "note", rule->note);
	return object;
}

int admin_access_rules(struct admin_call *call, struct err *err)
{
	struct access_rule_row *rules;
	size_t count;

	if (store_access_rules(call->rd, call->arena, &rules, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(call->result, rule_to_json(&rules[i]));
	return 0;
}

/* The rule as it stands after a change. */
/* *ret: NULL when there is none. */
static int find_rule(
	struct admin_call *call, uint64_t id, const struct access_rule_row **ret, struct err *err)
{
	struct access_rule_row *rules;
	size_t count;

	*ret = NULL;
	if (store_access_rules(call->rd, call->arena, &rules, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (rules[i].id == id)
			*ret = &rules[i];
	}
	return 0;
}

static void log_rule(struct admin_call *call, const struct access_rule_row *rule)
{
	call->log_result =
		arena_x_printf(call->arena, "%s: %s", access_state_to_str(rule->state), rule->rule);
}

static int answer_rule(struct admin_call *call, uint64_t id, struct err *err)
{
	const struct access_rule_row *rule;

	if (find_rule(call, id, &rule, err) < 0)
		return -1;
	if (rule != NULL) {
		json_decref(call->result);
		call->result = rule_to_json(rule);
		log_rule(call, rule);
	}
	return 0;
}

/* Of a rule, or of something that it says. none: may it be taken back? */
static int state_arg(struct admin_call *call, bool none, enum access_state *ret, struct err *err)
{
	const char *text = admin_text(call, "access");
	enum access_state state = access_state_find(text);

	if (state == ACCESS_STATES || (state == ACCESS_NONE && !none))
		return err_set(err, ERR_BAD_INPUT,
			"access is allow, block%s quarantine%s, not \"%.40s\"", none ? "," : " or",
			none ? " or none" : "", text);
	*ret = state;
	return 0;
}

int admin_access_add(struct admin_call *call, struct err *err)
{
	struct access_rule_row row = {
		.position = admin_number(call, "position", 0),
		.rule = admin_text(call, "rule"),
		.note = admin_text(call, "note"),
	};
	struct access_rule *parsed;
	uint64_t id;

	if (row.note != NULL && strlen(row.note) > ACCESS_RULE_MAX_BYTES)
		return err_set(
			err, ERR_BAD_INPUT, "a note has at most %d bytes", ACCESS_RULE_MAX_BYTES);
	if (state_arg(call, false, &row.state, err) < 0 ||
		access_rule_parse(row.rule, call->arena, &parsed, err) < 0 ||
		store_access_rule_add(call->tx, &row, &id, err) < 0)
		return -1;
	return answer_rule(call, id, err);
}

int admin_access_move(struct admin_call *call, struct err *err)
{
	uint64_t id = admin_number(call, "id", 0);

	if (store_access_rule_move(call->tx, id, admin_number(call, "position", 0), err) < 0)
		return -1;
	return answer_rule(call, id, err);
}

int admin_access_del(struct admin_call *call, struct err *err)
{
	const struct access_rule_row *rule;
	uint64_t id = admin_number(call, "id", 0);

	if (find_rule(call, id, &rule, err) < 0)
		return -1;
	if (rule != NULL)
		log_rule(call, rule);
	admin_put_number(call->result, "id", id);
	return store_access_rule_delete(call->tx, id, err);
}

/* ---- what is laid down ---- */

static int set_for_device(struct admin_call *call, enum access_state state, struct err *err)
{
	struct unseen_device unseen = {
		.device_id = admin_text(call, "device"), .state = state, .at = call->now_at};
	struct device *device;
	struct user *user;

	if (admin_user(call, &user, err) < 0)
		return -1;
	admin_put(call->result, "scope", "device");
	admin_put(call->result, "name", admin_user_address(call, user));
	admin_put(call->result, "device", unseen.device_id);
	admin_put(call->result, "access", access_state_to_str(state));
	if (store_device_find(call->rd, user->id, unseen.device_id, call->arena, &device, err) ==
		0) {
		call->log_device_type = device->device_type;
		return store_device_set_access(call->tx, device->id, state, err);
	}
	if (err->code != ERR_NOT_FOUND)
		return -1;
	*err = (struct err)ERR_INIT;
	unseen.owner = user->id;
	if (admin_check_device_id(unseen.device_id, err) < 0)
		return -1;
	return store_unseen_set(call->tx, &unseen, err);
}

int admin_access_set(struct admin_call *call, struct err *err)
{
	enum access_state state;
	struct scope_value value = {.name = STORE_VALUE_ACCESS};
	int result;

	if (state_arg(call, true, &state, err) < 0)
		return -1;
	call->log_result = access_state_to_str(state);
	if (admin_scope_arg(call, &value.scope, err) < 0)
		return -1;
	if (admin_text(call, "device") != NULL && value.scope.kind != SCOPE_USER)
		return err_set(err, ERR_BAD_INPUT, "name the user of the device");
	if (admin_text(call, "device") != NULL)
		return set_for_device(call, state, err);
	if (value.scope.kind != SCOPE_USER)
		call->log_result = arena_x_printf(call->arena, "%s for %s", call->log_result,
			admin_scope_text(call, &value.scope));
	value.value = state;
	result = state == ACCESS_NONE
			 ? store_scope_value_unset(call->tx, &value.scope, value.name, err)
			 : store_scope_value_set(call->tx, &value, err);
	admin_put(call->result, "scope", scope_kind_to_str(value.scope.kind));
	admin_put(call->result, "name", value.scope.name);
	admin_put(call->result, "device", "");
	admin_put(call->result, "access", access_state_to_str(state));
	return result < 0 ? -1 : 0;
}

int admin_access_list(struct admin_call *call, struct err *err)
{
	const struct store_piece piece = admin_piece(call);
	struct access_whom *rows;
	size_t count;

	if (store_access_whom(call->rd, &piece, call->arena, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		admin_put(object, "scope", scope_kind_to_str(rows[i].kind));
		admin_put(object, "name", rows[i].name);
		admin_put(object, "device", rows[i].device_id);
		admin_put(object, "access", access_state_to_str(rows[i].state));
		admin_put_bool(object, "seen", rows[i].seen);
		(void)json_array_append_new(call->result, object);
	}
	return 0;
}

static int change_device(struct admin_call *call, enum access_state state, struct err *err)
{
	struct device *device;
	struct user *user;

	if (admin_device(call, &user, &device, err) < 0 ||
		store_device_set_access(call->tx, device->id, state, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "device", device->device_id);
	admin_put(call->result, "access", access_state_to_str(state));
	return 0;
}

int admin_device_allow(struct admin_call *call, struct err *err)
{
	return change_device(call, ACCESS_ALLOW, err);
}

int admin_device_quarantine(struct admin_call *call, struct err *err)
{
	return change_device(call, ACCESS_QUARANTINE, err);
}

int admin_device_ceiling(struct admin_call *call, struct err *err)
{
	const char *text = admin_text(call, "version");
	unsigned version = service_version_parse(text);
	struct device *device;
	struct user *user;

	if (version == 0 && !str_eq(text, "none"))
		return err_set(err, ERR_BAD_INPUT,
			"\"%.20s\" is none of 2.5, 12.0, 12.1, 14.0, 14.1, 16.0, 16.1; none lifts "
			"it",
			text);
	if (admin_device(call, &user, &device, err) < 0 ||
		store_device_set_ceiling(call->tx, device->id, (uint16_t)version, err) < 0)
		return -1;
	call->log_result = text;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "device", device->device_id);
	admin_put(call->result, "ceiling", service_version_to_str(version));
	return 0;
}

/* ---- trying ---- */

/* What the request says over what is known of the device. */
static const char *either(const struct admin_call *call, const char *name, const char *known)
{
	return admin_text(call, name) != NULL ? admin_text(call, name) : known;
}

/* Would the gate wait for the model and the system? */
static bool is_told(const struct admin_call *call, const struct device *device, unsigned version)
{
	if (admin_text(call, "model") != NULL || admin_text(call, "os") != NULL ||
		device->informed_at != 0)
		return true;
	if (version == 0 || call->settings == NULL)
		return false;
	/* Not seen yet: it has all the time that there is for telling. */
	if (device->id.v == 0)
		return version < 120;
	return call->now_at >= access_discovery_until(device, version, call->settings);
}

static int test_facts(struct admin_call *call, const struct device *device,
	struct access_facts *ret, struct err *err)
{
	const char *version = admin_text(call, "protocol");

	*ret = (struct access_facts){
		.device_id = device->device_id,
		.type = either(call, "type", device->device_type),
		.model = either(call, "model", device->model),
		.os = either(call, "os", device->os),
		.agent = either(call, "agent", device->user_agent),
		.version =
			version != NULL ? service_version_parse(version) : device->protocol_version,
	};
	if (version != NULL && ret->version == 0)
		return err_set(err, ERR_BAD_INPUT, "\"%.20s\" is no protocol version such as 14.1",
			version);
	ret->told = is_told(call, device, ret->version);
	return 0;
}

/* The device of the arguments, known or not. */
static int test_device(
	struct admin_call *call, const struct user *user, struct device **ret, struct err *err)
{
	static const struct device nobody = {
		.device_type = "", .user_agent = "", .model = "", .os = ""};
	const char *id = admin_text(call, "device");
	struct unseen_device *unseen;
	struct device *device;
	size_t count;

	if (id != NULL && store_device_find(call->rd, user->id, id, call->arena, ret, err) == 0)
		return 0;
	if (err->code != ERR_NONE && err->code != ERR_NOT_FOUND)
		return -1;
	*err = (struct err)ERR_INIT;
	device = arena_x_new(call->arena, struct device);
	*device = nobody;
	device->device_id = id != NULL ? id : "";
	if (store_unseen_list(call->rd, user->id, call->arena, &unseen, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (str_eq(unseen[i].device_id, device->device_id))
			device->access_own = (uint8_t)unseen[i].state;
	}
	*ret = device;
	return 0;
}

int admin_access_test(struct admin_call *call, struct err *err)
{
	struct rules_subject subject;
	struct access_decision d;
	const struct rules *rules;
	struct access_facts facts;
	struct device *device;
	struct user *user;

	if (admin_user(call, &user, err) < 0 || test_device(call, user, &device, err) < 0 ||
		test_facts(call, device, &facts, err) < 0 || rules_load(call->rd, &rules, err) < 0)
		return -1;
	subject = (struct rules_subject){user->id, device->id, user->domain};
	access_decide(rules, &subject, (enum access_state)device->access_own, &facts, &d);
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "device", device->device_id);
	admin_put(call->result, "access", d.undecided ? "undecided" : access_state_to_str(d.state));
	admin_put(call->result, "by",
		d.undecided ? arena_x_printf(call->arena,
				      "rule %" PRIu64 " asks for the model or the system, and the "
				      "device has not said it",
				      d.open_rule)
			    : access_reason(&d, call->arena));
	admin_put_number(call->result, "rule",
		d.undecided                  ? d.open_rule
		: d.from == ACCESS_FROM_RULE ? d.rule
					     : 0);
	admin_put(call->result, "type", facts.type);
	admin_put(call->result, "model", facts.model);
	admin_put(call->result, "os", facts.os);
	admin_put(call->result, "agent", facts.agent);
	admin_put(call->result, "version", service_version_to_str(facts.version));
	rules_unref(&rules);
	return 0;
}

/* ---- the message ---- */

static int put_notice(struct admin_call *call, struct err *err)
{
	bool told = call->settings != NULL && call->settings->access_notify.count > 0;
	const char *texts[ACCESS_TEXTS];

	if (store_access_texts(call->rd, call->arena, texts, err) < 0)
		return -1;
	for (int i = 0; i < ACCESS_TEXTS; i++) {
		enum access_text which = (enum access_text)i;

		admin_put(call->result, which == ACCESS_TEXT_SUBJECT ? "subject" : "text",
			texts[i][0] != '\0' ? texts[i] : access_text_built_in(which, told));
	}
	admin_put_bool(call->result, "built_in",
		texts[ACCESS_TEXT_SUBJECT][0] == '\0' && texts[ACCESS_TEXT_BODY][0] == '\0');
	return 0;
}

int admin_access_message(struct admin_call *call, struct err *err)
{
	return put_notice(call, err);
}

int admin_access_set_message(struct admin_call *call, struct err *err)
{
	static const char *const names[ACCESS_TEXTS] = {"subject", "text"};

	for (int i = 0; i < ACCESS_TEXTS; i++) {
		const char *text = admin_text(call, names[i]);

		if (text == NULL)
			continue;
		if (strlen(text) > TEXT_MAX_BYTES ||
			(i == ACCESS_TEXT_SUBJECT && strpbrk(text, "\r\n") != NULL))
			return err_set(err, ERR_BAD_INPUT,
				"a text has at most %d bytes, a subject is one line",
				TEXT_MAX_BYTES);
		if (access_text_check(text, err) < 0 ||
			store_access_text_set(call->tx, (enum access_text)i, text, err) < 0)
			return -1;
	}
	return put_notice(call, err);
}
