/*
 * One request: who may, which verb, its arguments, the transaction with its row in the event log,
 * the answer.
 *
 * The normal case: admin_handle() parses the line; admin_check_args(); a password is hashed before
 * the transaction, because that is slow; the verb runs inside store_transact() (it may run twice:
 * the result is made anew each time), the log row with it; the result becomes one line.
 *
 * Threads: any worker; of a struct admin only the limits change, under their lock. Limits:
 * ADMIN_REQUEST_MAX.
 */
#include "admin/admin.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"

#define ARENA_MAX_BYTES (256u << 20) /* lists of very many users */

static const admin_verb_fn verb_functions[ADMIN_VERB_COUNT] = {
	[ADMIN_USER_ADD] = admin_user_add,
	[ADMIN_USER_PASSWD] = admin_user_passwd,
	[ADMIN_USER_LIST] = admin_user_list,
	[ADMIN_USER_SHOW] = admin_user_show,
	[ADMIN_USER_DISABLE] = admin_user_disable,
	[ADMIN_USER_ENABLE] = admin_user_enable,
	[ADMIN_USER_QUOTA] = admin_user_quota,
	[ADMIN_USER_EXPIRY] = admin_user_expiry,
	[ADMIN_USER_DEL] = admin_user_del,
	[ADMIN_USER_ADMIN] = admin_user_admin,
	[ADMIN_APP_PASSWORD_ADD] = admin_app_password_add,
	[ADMIN_APP_PASSWORD_LIST] = admin_app_password_list,
	[ADMIN_APP_PASSWORD_REVOKE] = admin_app_password_revoke,
	[ADMIN_OOF_SHOW] = admin_oof_show,
	[ADMIN_OOF_SET] = admin_oof_set,
	[ADMIN_SESSION_LIST] = admin_session_list,
	[ADMIN_SESSION_END] = admin_session_end,
	[ADMIN_TOKEN_ADD] = admin_token_add,
	[ADMIN_TOKEN_LIST] = admin_token_list,
	[ADMIN_TOKEN_REVOKE] = admin_token_revoke,
	[ADMIN_ALIAS_ADD] = admin_alias_add,
	[ADMIN_ALIAS_DEL] = admin_alias_del,
	[ADMIN_ALIAS_LIST] = admin_alias_list,
	[ADMIN_DOMAIN_ADD] = admin_domain_add,
	[ADMIN_DOMAIN_DEL] = admin_domain_del,
	[ADMIN_DOMAIN_LIST] = admin_domain_list,
	[ADMIN_GROUP_ADD] = admin_group_add,
	[ADMIN_GROUP_RANK] = admin_group_rank,
	[ADMIN_GROUP_DEL] = admin_group_del,
	[ADMIN_GROUP_LIST] = admin_group_list,
	[ADMIN_GROUP_SHOW] = admin_group_show,
	[ADMIN_GROUP_JOIN] = admin_group_join,
	[ADMIN_GROUP_LEAVE] = admin_group_leave,
	[ADMIN_DEVICE_LIST] = admin_device_list,
	[ADMIN_DEVICE_SHOW] = admin_device_show,
	[ADMIN_DEVICE_WIPE] = admin_device_wipe,
	[ADMIN_DEVICE_CANCEL] = admin_device_cancel,
	[ADMIN_DEVICE_CLEAR] = admin_device_clear,
	[ADMIN_DEVICE_WIPES] = admin_device_wipes,
	[ADMIN_DEVICE_BLOCK] = admin_device_block,
	[ADMIN_DEVICE_UNBLOCK] = admin_device_unblock,
	[ADMIN_DEVICE_DEL] = admin_device_del,
	[ADMIN_DEVICE_ALLOW] = admin_device_allow,
	[ADMIN_DEVICE_QUARANTINE] = admin_device_quarantine,
	[ADMIN_DEVICE_CEILING] = admin_device_ceiling,
	[ADMIN_ACCESS_LIST] = admin_access_list,
	[ADMIN_ACCESS_SET] = admin_access_set,
	[ADMIN_ACCESS_RULES] = admin_access_rules,
	[ADMIN_ACCESS_ADD] = admin_access_add,
	[ADMIN_ACCESS_MOVE] = admin_access_move,
	[ADMIN_ACCESS_DEL] = admin_access_del,
	[ADMIN_ACCESS_TEST] = admin_access_test,
	[ADMIN_ACCESS_MESSAGE] = admin_access_message,
	[ADMIN_ACCESS_SET_MESSAGE] = admin_access_set_message,
	[ADMIN_SERVICE_LIST] = admin_service_list,
	[ADMIN_SERVICE_SHOW] = admin_service_show,
	[ADMIN_SERVICE_SET] = admin_service_set,
	[ADMIN_SERVICE_UNSET] = admin_service_unset,
	[ADMIN_DEVICE_CHECK] = admin_device_check,
	[ADMIN_DEVICE_REPAIR] = admin_device_repair,
	[ADMIN_DEVICE_RESYNC] = admin_device_resync,
	[ADMIN_DEVICE_FOLDERS] = admin_device_folders,
	[ADMIN_DEVICE_WAITS] = admin_device_waits,
	[ADMIN_DEVICE_ERRORS] = admin_device_errors,
	[ADMIN_TRACE] = admin_trace,
	[ADMIN_ITEM_LIST] = admin_item_list,
	[ADMIN_ITEM_RELEASE] = admin_item_release,
	[ADMIN_QUEUE_LIST] = admin_queue_list,
	[ADMIN_QUEUE_RETRY] = admin_queue_retry,
	[ADMIN_QUEUE_DROP] = admin_queue_drop,
	[ADMIN_POLICY_SHOW] = admin_policy_show,
	[ADMIN_POLICY_SET] = admin_policy_set,
	[ADMIN_POLICY_ASSIGN] = admin_policy_assign,
	[ADMIN_POLICY_UNASSIGN] = admin_policy_unassign,
	[ADMIN_POLICY_ASSIGNMENTS] = admin_policy_assignments,
	[ADMIN_POLICY_EXCEPT] = admin_policy_except,
	[ADMIN_POLICY_UNEXCEPT] = admin_policy_unexcept,
	[ADMIN_POLICY_EXCEPTIONS] = admin_policy_exceptions,
	[ADMIN_POLICY_EFFECTIVE] = admin_policy_effective,
	[ADMIN_POLICY_SETTINGS] = admin_policy_settings,
	[ADMIN_POLICY_CREATE] = admin_policy_create,
	[ADMIN_POLICY_COPY] = admin_policy_copy,
	[ADMIN_POLICY_DELETE] = admin_policy_delete,
	[ADMIN_POLICY_DEFAULT] = admin_policy_default,
	[ADMIN_POLICY_LIST] = admin_policy_list,
	[ADMIN_LOG_LIST] = admin_log_list,
	[ADMIN_LOG_ACTIONS] = admin_log_actions,
	[ADMIN_LOG_EXPORT] = admin_log_export,
	[ADMIN_STATUS] = admin_status,
	[ADMIN_STATS] = admin_stats,
	[ADMIN_METRICS] = admin_metrics_verb,
	[ADMIN_OVERVIEW] = admin_overview,
	[ADMIN_RELOAD] = admin_reload,
	[ADMIN_RESTART] = admin_restart,
	[ADMIN_UPGRADE] = admin_upgrade,
	[ADMIN_IMPORT_BEGIN] = admin_import_begin,
	[ADMIN_IMPORT_BATCH] = admin_import_batch,
};

struct admin *admin_new(const struct admin_options *options)
{
	struct admin *admin = x_new(struct admin);

	admin->options = *options;
	if (options->config_path != NULL)
		admin->config_path = x_strdup(options->config_path);
	(void)pthread_mutex_init(&admin->limits_lock, NULL);
	return admin;
}

void admin_set_limits(struct admin *admin, const struct admin_limits *limits)
{
	(void)pthread_mutex_lock(&admin->limits_lock);
	admin->limits = *limits;
	(void)pthread_mutex_unlock(&admin->limits_lock);
}

struct admin_limits admin_limits_now(struct admin *admin)
{
	struct admin_limits limits;

	(void)pthread_mutex_lock(&admin->limits_lock);
	limits = admin->limits;
	(void)pthread_mutex_unlock(&admin->limits_lock);
	return limits;
}

void admin_set_settings(struct admin *admin, const struct settings *settings)
{
	const struct settings *old;

	(void)pthread_mutex_lock(&admin->limits_lock);
	old = admin->settings;
	admin->settings = settings_ref(settings);
	(void)pthread_mutex_unlock(&admin->limits_lock);
	settings_unref(&old);
}

const struct settings *admin_settings(struct admin *admin)
{
	const struct settings *settings = NULL;

	(void)pthread_mutex_lock(&admin->limits_lock);
	if (admin->settings != NULL)
		settings = settings_ref(admin->settings);
	(void)pthread_mutex_unlock(&admin->limits_lock);
	return settings != NULL ? settings : settings_default();
}

uint64_t admin_body_bytes(const char *line, size_t len)
{
	static const char key[] = "{\"body\": ";
	uint64_t n = 0;
	size_t at = strlen(key);

	if (len < at || memcmp(line, key, at) != 0)
		return 0;
	for (; at < len && line[at] >= '0' && line[at] <= '9'; at++) {
		if (n > UINT64_MAX / 100)
			return UINT64_MAX;
		n = n * 10 + (uint64_t)(line[at] - '0');
	}
	return at < len && line[at] == ',' ? n : UINT64_MAX;
}

void admin_free(struct admin **admin)
{
	if (*admin == NULL)
		return;
	mem_free((*admin)->config_path);
	settings_unref(&(*admin)->settings);
	(void)pthread_mutex_destroy(&(*admin)->limits_lock);
	mem_free(*admin);
	*admin = NULL;
}

/* ---- for the verbs ---- */

const char *admin_text(const struct admin_call *call, const char *name)
{
	return json_string_value(json_object_get(call->args, name));
}

uint64_t admin_number(const struct admin_call *call, const char *name, uint64_t fallback)
{
	const json_t *value = json_object_get(call->args, name);

	return value != NULL ? (uint64_t)json_integer_value(value) : fallback;
}

void admin_put(json_t *object, const char *key, const char *text)
{
	struct buf clean = BUF_INIT;

	if (text == NULL)
		text = "";
	utf8_add_clean(&clean, text, strlen(text)); /* some of it comes from phones */
	(void)json_object_set_new(object, key, json_string(buf_cstr(&clean)));
	buf_deinit(&clean);
}

void admin_put_number(json_t *object, const char *key, uint64_t number)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)number));
}

void admin_put_bool(json_t *object, const char *key, bool value)
{
	(void)json_object_set_new(object, key, json_boolean(value));
}

int admin_user(struct admin_call *call, struct user **ret, struct err *err)
{
	const char *address = admin_text(call, "address");

	if (store_user_find_address(call->rd, address, call->arena, ret, err) == 0) {
		call->log_user = admin_user_address(call, *ret);
		return 0;
	}
	if (err->code == ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "there is no user %.200s", address);
	return -1;
}

const char *admin_user_address(struct admin_call *call, const struct user *user)
{
	return arena_x_printf(call->arena, "%s@%s", user->login, user->domain);
}

int admin_need_rules(struct admin_call *call, struct err *err)
{
	return call->rules != NULL ? 0 : rules_load(call->rd, &call->rules, err);
}

/* ---- running a verb ---- */

static void new_result(struct admin_call *call)
{
	rules_unref(&call->rules);
	json_decref(call->result);
	call->result = call->verb->columns[0] != '\0' ? json_array() : json_object();
}

static const char *first_of(const char *a, const char *b, const char *c)
{
	return a != NULL ? a : b != NULL ? b : c != NULL ? c : "";
}

/* Is it of use to whoever reads the event log, and nobody's words? */
static bool is_told(const struct admin_arg *arg)
{
	static const char *const said_elsewhere[] = {
		"address", "device", "item", "mail", "name", "subject", "text"};

	for (size_t i = 0; i < ARRAY_LEN(said_elsewhere); i++) {
		if (strcmp(arg->name, said_elsewhere[i]) == 0)
			return false;
	}
	return arg->type == ADMIN_ARG_TEXT || arg->type == ADMIN_ARG_DOMAIN ||
	       arg->type == ADMIN_ARG_ADDRESS || arg->type == ADMIN_ARG_INT;
}

/* What the change was asked with, beside the user and the device: "sales, rank 50". "ok" where
 * nothing is left to say. */
static const char *arguments_told(struct admin_call *call, const char *user)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;

	for (const struct admin_arg *arg = call->verb->args; arg->name != NULL; arg++) {
		const json_t *value = json_object_get(call->args, arg->name);
		const char *text = json_string_value(value);

		if (!is_told(arg) || value == NULL || json_is_null(value) ||
			(text != NULL && str_eq_nocase(text, user)))
			continue;
		buf_addf(&out, "%s%s%s", out.len > 0 ? ", " : "", arg->positional ? "" : arg->name,
			arg->positional ? "" : " ");
		if (text != NULL)
			buf_addf(&out, "%.200s", text);
		else
			buf_addf(&out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	}
	return out.len > 0 ? arena_x_strdup(call->arena, buf_cstr(&out)) : "ok";
}

/* What a change leaves in the event log. */
static int log_change(struct admin_call *call, struct err *err)
{
	struct log_row row = {.at = call->now_at,
		.actor = call->caller->actor,
		.address = call->caller->address,
		.action = call->verb->name};

	row.user = first_of(call->log_user, admin_text(call, "address"), admin_text(call, "alias"));
	row.device_id = first_of(call->log_device_id, admin_text(call, "device"), NULL);
	row.device_type = first_of(call->log_device_type, NULL, NULL);
	/* Addresses are found by the log as users are, however somebody typed them. */
	row.user = str_lower(arena_x_strdup(call->arena, row.user));
	row.result = arguments_told(call, row.user);
	if (admin_text(call, "item") != NULL)
		row.result = admin_text(call, "item");
	if (admin_number(call, "mail", 0) != 0)
		row.result = arena_x_printf(
			call->arena, "message %" PRIu64, admin_number(call, "mail", 0));
	if (call->log_result != NULL)
		row.result = call->log_result;
	return store_log_add(call->tx, &row, err);
}

struct change {
	struct admin_call *call;
	admin_verb_fn fn;
};

/* fn NULL: all of the change was made elsewhere, only the row is wanted. */
static int run_change(struct store_tx *tx, void *owner, struct err *err)
{
	struct change *change = owner;

	change->call->tx = tx;
	change->call->rd = store_tx_read(tx);
	if (change->fn != NULL) {
		new_result(change->call);
		if (change->fn(change->call, err) < 0)
			return -1;
	}
	return log_change(change->call, err);
}

static int run_verb(struct admin_call *call, admin_verb_fn fn, struct err *err)
{
	struct change change = {call, fn};
	const char *password = admin_text(call, "password");
	char *hash = NULL;
	int status;

	call->limits = admin_limits_now(call->admin);
	if (password != NULL) {
		if (auth_hash_password(password, &hash, err) < 0)
			return -1;
		call->password_hash = arena_x_strdup(call->arena, hash);
		mem_free(hash);
	}
	if (call->verb->outside) {
		new_result(call);
		if (fn(call, err) < 0)
			return -1;
		if (!call->verb->changes)
			return 0;
		change.fn = call->then;
	}
	if (call->verb->changes)
		return store_transact(call->admin->options.store, run_change, &change, err);
	new_result(call);
	if (store_read_begin(call->admin->options.store, &call->rd, err) < 0)
		return -1;
	status = fn(call, err);
	store_read_end(&call->rd);
	return status;
}

/* call->args are set. */
static int handle_args(struct admin_call *call, enum admin_verb_id id, struct err *err)
{
	call->verb = &admin_verbs[id];
	if (admin_may(call->caller, call->verb, call->args, err) < 0 ||
		admin_check_args(call->verb, call->args, err) < 0)
		return -1;
	return run_verb(call, verb_functions[id], err);
}

static int handle_parsed(json_t *request, struct admin_call *call, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "verb"));
	enum admin_verb_id id;

	if (name == NULL)
		return err_set(
			err, ERR_BAD_INPUT, "a request is {\"verb\": \"...\", \"args\": {...}}");
	id = admin_verb_find(name);
	if (id == ADMIN_VERB_COUNT)
		return err_set(err, ERR_NOT_FOUND, "there is no verb \"%.60s\"", name);
	call->args = json_object_get(request, "args");
	if (call->args == NULL)
		(void)json_object_set_new(request, "args", call->args = json_object());
	if (!json_is_object(call->args))
		return err_set(err, ERR_BAD_INPUT, "\"args\" must be an object");
	return handle_args(call, id, err);
}

/* ---- the answer ---- */

static int dump_into(const char *bytes, size_t len, void *owner)
{
	struct buf *out = owner;

	buf_add(out, bytes, len);
	return out->failed ? -1 : 0;
}

static void add_answer(struct buf *out, json_t *result, const struct err *err)
{
	json_t *answer = json_object();

	(void)json_object_set_new(answer, "ok", json_boolean(result != NULL));
	if (result != NULL) {
		(void)json_object_set(answer, "result", result);
	} else {
		json_t *error = json_object();

		admin_put(error, "code", err_code_to_str(err->code));
		admin_put(error, "text", err->text);
		(void)json_object_set_new(answer, "error", error);
	}
	(void)json_dump_callback(answer, dump_into, out, JSON_COMPACT);
	buf_add_byte(out, '\n');
	json_decref(answer);
}

static void log_answer(const struct admin_call *call, int status, const struct err *err)
{
	const char *verb = call->verb != NULL ? call->verb->name : NULL;
	const char *actor = call->caller->actor;

	if (status == 0 && call->warning != NULL)
		log_warn(NULL, call->warning, F_STR("verb", verb), F_STR("actor", actor),
			F_STR("result", call->log_result));
	if (status < 0 && err->code == ERR_DENIED)
		log_warn(NULL, "admin_finished", F_STR("verb", verb), F_STR("actor", actor),
			F_STR("address", call->caller->address), F_STR("result", "denied"));
	else if (status < 0)
		log_info(NULL, "admin_finished", F_STR("verb", verb), F_STR("actor", actor),
			F_STR("result", err_code_to_str(err->code)), F_ERR(err));
	else if (call->verb != NULL && call->verb->changes)
		log_info(NULL, "admin_finished", F_STR("verb", verb), F_STR("actor", actor),
			F_STR("user", admin_text(call, "address")),
			F_STR("device", admin_text(call, "device")), F_STR("result", "ok"));
}

static void call_init(
	struct admin_call *call, struct admin *admin, const struct admin_caller *caller)
{
	*call = (struct admin_call){.admin = admin, .caller = caller, .now_at = clock_now_at()};
	call->settings = admin_settings(admin);
	call->arena = arena_new(ARENA_MAX_BYTES);
}

void admin_handle(struct admin *admin, const char *line, size_t len,
	const struct admin_caller *caller, struct buf *out)
{
	admin_handle_body(admin, line, len, NULL, 0, caller, out);
}

void admin_handle_body(struct admin *admin, const char *line, size_t len, const void *body,
	size_t body_len, const struct admin_caller *caller, struct buf *out)
{
	struct err err = ERR_INIT;
	json_error_t where;
	json_t *request = NULL;
	struct admin_call call;
	int status;

	call_init(&call, admin, caller);
	call.body = body;
	call.body_len = body_len;
	if (len <= ADMIN_REQUEST_MAX)
		request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (len > ADMIN_REQUEST_MAX)
		status = err_set(
			&err, ERR_BAD_INPUT, "a request has at most %u bytes", ADMIN_REQUEST_MAX);
	else if (request == NULL)
		status = err_set(
			&err, ERR_BAD_INPUT, "not JSON: column %d: %s", where.column, where.text);
	else
		status = handle_parsed(request, &call, &err);
	log_answer(&call, status, &err);
	add_answer(out, status == 0 ? call.result : NULL, &err);
	json_decref(call.result);
	json_decref(request);
	rules_unref(&call.rules);
	settings_unref(&call.settings);
	arena_free(&call.arena);
}

int admin_run(struct admin *admin, unsigned verb, json_t *args, const struct admin_caller *caller,
	json_t **ret_result, struct err *err)
{
	struct admin_call call;
	int status;

	call_init(&call, admin, caller);
	call.args = args;
	status = handle_args(&call, (enum admin_verb_id)verb, err);
	log_answer(&call, status, err);
	if (status == 0)
		*ret_result = call.result;
	else
		json_decref(call.result);
	rules_unref(&call.rules);
	settings_unref(&call.settings);
	arena_free(&call.arena);
	return status;
}
