/*
 * One request from top to bottom, in the order in which [MS-ASCMD] wants failures to be found: the
 * query, the user, the version, the device, its policy key, the body, the schema; then the command.
 * Straight code on a worker; no state but the server's memory.
 */
#include "eas/eas.h"

#include <string.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "eas/access.h"
#include "eas/eas_internal.h"
#include "eas/gate.h"
#include "eas/remember.h"
#include "store/store_wipe.h"

static void (*const commands[EAS_CMD_COUNT])(struct eas_call *call) = {
	[EAS_CMD_OPTIONS] = eas_options,
	[EAS_CMD_Provision] = eas_provision,
	[EAS_CMD_FolderSync] = eas_folder_sync,
	[EAS_CMD_FolderCreate] = eas_folder_create,
	[EAS_CMD_FolderUpdate] = eas_folder_update,
	[EAS_CMD_FolderDelete] = eas_folder_delete,
	[EAS_CMD_MoveItems] = eas_move_items,
	[EAS_CMD_Settings] = eas_settings,
	[EAS_CMD_Sync] = eas_sync,
	[EAS_CMD_Ping] = eas_ping,
	[EAS_CMD_GetItemEstimate] = eas_get_item_estimate,
	[EAS_CMD_GetAttachment] = eas_get_attachment,
	[EAS_CMD_ItemOperations] = eas_item_operations,
	[EAS_CMD_SendMail] = eas_send_mail,
	[EAS_CMD_SmartForward] = eas_smart_forward,
	[EAS_CMD_SmartReply] = eas_smart_reply,
};

const char *eas_versions_offered(uint64_t versions, unsigned ceiling, struct arena *arena)
{
	struct buf out = BUF_INIT;
	const char *text;

	/* Ascending: one client takes the last entry. */
	for (const uint8_t *v = eas_versions(); *v != 0; v++) {
		if (service_has_version(versions, *v) && (ceiling == 0 || *v <= ceiling))
			buf_addf(&out, "%s%s", out.len > 0 ? "," : "", eas_version_to_str(*v));
	}
	text = arena_x_strdup(arena, buf_cstr(&out));
	buf_deinit(&out);
	return text;
}

const char *eas_commands_offered(struct eas_call *call)
{
	struct buf out = BUF_INIT;
	const char *text;

	eas_add_commands(&out, service_on(&call->services, SERVICE_direct_push));
	text = arena_x_strdup(call->arena, buf_cstr(&out));
	buf_deinit(&out);
	return text;
}

const struct rules_policy *eas_policy(const struct settings *settings, const struct rules *rules,
	const struct user *user, struct device_id device, struct policy_rules *ret)
{
	struct policy_rules configured = {
		.required = settings->policy_required,
		.allow_non_provisionable = settings->policy_allow_non_provisionable,
		.refresh_interval_h = (uint32_t)settings->policy_refresh_interval_h,
	};
	struct rules_subject subject = {user->id, device, user->domain};
	const struct rules_policy *policy = rules_policy(rules, &subject, NULL);

	policy_options_resolve(&policy->options, &configured, ret);
	return policy;
}

/* ---- the answer's last touches ---- */

static bool has_header(const struct eas_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->header_count; i++) {
		if (str_eq_nocase(reply->headers[i].name, name))
			return true;
	}
	return false;
}

static void finish(struct eas_call *call, int64_t begun_us)
{
	struct eas_reply *reply = call->reply;

	if (reply->kind == EAS_REPLY_WAIT) {
		eas_remember(call, begun_us);
		return;
	}
	if (reply->body.failed) {
		struct err err = ERR_INIT;

		(void)err_set(&err, ERR_BUSY, "no memory for a reply");
		reply->header_count = 0;
		eas_reply_error(call, &err);
	}
	if (reply->body.len > 0 && !has_header(reply, "Content-Type"))
		eas_reply_header(reply, "Content-Type", WBXML_TYPE);
	eas_reply_header(reply, "Cache-Control", "private");
	eas_remember(call, begun_us);
	if (call->query->accept_gzip && reply->body.len >= call->settings->eas_response_gzip_min &&
		eas_body_compress(call))
		eas_reply_header(reply, "Content-Encoding", "gzip");
}

static void run_command(struct eas_call *call)
{
	if (eas_body_read(call, &call->inflated)) {
		/* Whatever a command has to say is in the document; it sets another one where not.
		 */
		call->reply->status = 200;
		/* The others may wait for each other, or for long. */
		if (call->query->command != EAS_CMD_Ping)
			store_hold_end(call->server->store);
		commands[call->query->command](call);
	}
}

/* Without a state there is nothing to synchronize with, and nothing may go unprovisioned. */
static bool may_validate(enum eas_command command)
{
	return command == EAS_CMD_Provision || command == EAS_CMD_FolderSync ||
	       command == EAS_CMD_Settings;
}

/* ---- the gate ---- */

/* STOP: the reply is set. */
static enum gate_answer ask_gate(struct eas_call *call, enum gate_step first, enum gate_step last)
{
	struct gate_subject subject = {
		.server = call->server,
		.settings = call->settings,
		.user = call->user,
		.device = call->device,
		.query = call->query,
		.version = call->version,
		.rules = call->rules,
		.services = &call->services,
		.plain = call->plain,
		.now_at = call->now_at,
	};
	struct gate_verdict verdict;
	enum gate_answer answer = gate_check(&subject, first, last, &verdict);

	if (verdict.judged) {
		eas_access_note(call, &verdict);
		call->mute = verdict.mute;
		call->mute_until_at = verdict.mute_until_at;
		if (call->mute == EAS_MUTE_NOTICE)
			eas_access_texts(call->rules, call->arena, call->access_texts);
	}
	if (answer == GATE_STOP && verdict.http != 0)
		eas_reply_http(call, verdict.http);
	else if (answer == GATE_STOP)
		eas_reply_common(call, verdict.status);
	return answer;
}

/* The device, if it has a row; call->device stays NULL for one that is new. False: the reply is
 * set. */
static bool find_known(struct eas_call *call, bool validates)
{
	struct err err = ERR_INIT;
	int result =
		validates ? eas_device_make_validating(call, &err) : eas_device_find(call, &err);

	if (result == 0 || err.code == ERR_NOT_FOUND)
		return true;
	eas_reply_error(call, &err);
	return false;
}

/* False: the reply is set. */
static bool enter_device(struct eas_call *call, bool validates)
{
	struct err err = ERR_INIT;
	int result = 0;

	if (call->device == NULL)
		result = eas_device_create(call, &err);
	else if (!validates)
		result = eas_device_note_seen(call, &err);
	if (result == 0)
		return true;
	if (err.code == ERR_DENIED)
		eas_reply_common(call, EAS_STATUS_TOO_MANY_DEVICES);
	else
		eas_reply_error(call, &err);
	return false;
}

/* False: the reply is set. */
static bool command_is_known(struct eas_call *call, bool validates)
{
	const struct eas_command_info *info = eas_command_info(call->query->command);

	if (!info->works || commands[call->query->command] == NULL) {
		eas_reply_common(call, EAS_STATUS_COMMAND_NOT_SUPPORTED);
		return false;
	}
	if (validates && !may_validate(call->query->command)) {
		log_info(&call->reply->log, "request_refused",
			F_STR("reason", "this DeviceId is for trying an account out"));
		eas_reply_common(call, EAS_STATUS_DEVICE_ID_INVALID);
		return false;
	}
	return true;
}

static bool by_fallback(const struct eas_call *call)
{
	const struct auth_grant *grant = call->request->grant;

	return grant != NULL && grant->by_fallback;
}

/* Its old credential is good for hearing of a wipe, and there is none any more. */
static void refuse_fallback(struct eas_call *call)
{
	eas_reply_http(call, 401);
	eas_reply_header(call->reply, "WWW-Authenticate",
		arena_x_printf(call->arena, "Basic realm=\"%s\"", call->settings->auth_realm));
	call->reply->login_refused = "password";
}

/* Whether the phone is to hear of a wipe, or nothing; STOP: the reply is set. */
static enum gate_answer ask_wipe_and_user(struct eas_call *call, bool validates)
{
	enum gate_answer answer = ask_gate(call, GATE_WIPE, GATE_WIPE);
	struct err ignored = ERR_INIT;

	/* Administrators want to see that it called, and in which version. */
	if (answer == GATE_STOP && !validates && eas_device_note_seen(call, &ignored) < 0)
		log_debug(&call->reply->log, "device_seen_failed", F_ERR(&ignored));
	if (answer != GATE_NEXT)
		return answer;
	if (!by_fallback(call))
		return ask_gate(call, GATE_USER, GATE_USER);
	refuse_fallback(call);
	return GATE_STOP;
}

/* Everything behind the query. */
static void run_authorized(struct eas_call *call)
{
	bool validates = str_eq_nocase(call->query->device_id, "validate");
	enum gate_answer answer;

	if (!find_known(call, validates))
		return;
	answer = ask_wipe_and_user(call, validates);
	if (answer == GATE_STOP)
		return;
	/* Nothing is kept of a phone that is not served at all. */
	if (call->device == NULL && ask_gate(call, GATE_SERVICE, GATE_SERVICE) == GATE_STOP)
		return;
	if (!command_is_known(call, validates) || !enter_device(call, validates))
		return;
	notes_device(call->device->id.v);
	/* Whatever the phone does beside waiting ends a renewal from memory
	 * (docs/internals/fronts.md). */
	if (call->query->command != EAS_CMD_Ping && !validates)
		watch_touch_device(call->server->watches, call->device->id);
	if (answer == GATE_PASS ||
		(ask_gate(call, GATE_ACCESS, GATE_POLICY) != GATE_STOP && eas_usage_check(call))) {
		run_command(call);
		eas_usage_note(call);
	}
}

/* Where no device is named. False: the reply is set. */
static bool load_rules(struct eas_call *call)
{
	struct err err = ERR_INIT;
	struct store_read *rd;
	int result = store_read_begin(call->server->store, &rd, &err);

	if (result == 0) {
		result = eas_device_rules(call, rd, &err);
		store_read_end(&rd);
	}
	if (result == 0)
		return true;
	log_warn(&call->reply->log, "command_failed", F_ERR(&err));
	eas_reply_http(call, 503);
	return false;
}

/* May the answer lead a phone to its wipe? Most phones do not say here which one they are. */
static bool leads_to_wipe(const struct eas_call *call, bool named)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err ignored = ERR_INIT;
	uint64_t pending = 0;

	if (by_fallback(call) || (call->device != NULL && wipe_is_pending(call->device->wipe)))
		return true;
	return !named && store_read_begin(call->server->store, &rd, &ignored) == 0 &&
	       store_wipe_pending(rd, call->user->id, &pending, &ignored) == 0 && pending > 0;
}

/* Before there is a partnership, so mostly of the user alone; a device that is named may be one
 * that is to be erased, and then nothing keeps the answer from it. */
static void run_options(struct eas_call *call)
{
	const char *device_id = call->query->device_id;
	bool named = device_id != NULL && device_id[0] != 0;

	if (named ? !find_known(call, false) : !load_rules(call))
		return;
	if (!leads_to_wipe(call, named) &&
		(ask_gate(call, GATE_WIPE, GATE_USER) == GATE_STOP ||
			(call->plain && !service_on(&call->services, SERVICE_plain_http))))
		eas_reply_http(call, 403);
	else
		eas_options(call);
}

/* ---- what a crash is counted against ---- */

bool eas_note(struct eas_server *server, uint64_t hash, struct owner_id owner,
	struct device_id device, const char *what)
{
	int64_t since_at = clock_now_at() - (int64_t)server->settings->poison_request_refuse_s;
	struct err ignored = ERR_INIT;
	struct store_read *rd;
	uint64_t crashes = 0;

	notes_begin(NOTE_REQUEST, hash, owner.v, device.v, what);
	if (!store_poison_any(server->store) || store_read_begin(server->store, &rd, &ignored) < 0)
		return true;
	/* A store that cannot answer has more to say to the command itself. */
	if (store_poison_crashes(rd, owner, hash, since_at, &crashes, &ignored) < 0)
		crashes = 0;
	store_read_end(&rd);
	if (crashes >= STORE_POISON_CRASHES)
		notes_end();
	return crashes < STORE_POISON_CRASHES;
}

/* Before the query is parsed there is nothing but its text. False: refused. */
static bool note_target(struct eas_call *call)
{
	const char *target = call->request->http->target;
	uint64_t hash = notes_hash(call->user->id.v, target, strlen(target));

	return eas_note(call->server, hash, call->user->id, (struct device_id){0}, "query");
}

/* The same request by user, device, command and body. False: refused. */
static bool note_request(struct eas_call *call)
{
	const struct eas_query *q = call->query;
	const char *command = eas_command_info(q->command)->name;
	const char *device = q->device_id != NULL ? q->device_id : "";
	uint64_t hash = notes_hash(call->user->id.v, device, strlen(device));

	hash = notes_hash(hash, command, strlen(command));
	hash = notes_hash(hash, call->request->body, call->request->body_len);
	return eas_note(call->server, hash, call->user->id, (struct device_id){0}, command);
}

void eas_handle(
	struct eas_server *server, const struct eas_request *request, struct eas_reply *reply)
{
	struct eas_query *query = arena_x_new(request->arena, struct eas_query);
	int64_t begun_us = clock_now_us();
	struct err err = ERR_INIT;
	struct eas_call call = {
		.server = server,
		.settings = server->settings,
		.request = request,
		.reply = reply,
		.arena = request->arena,
		.query = query,
		.user = request->user,
		.plain = !request->http->tls,
		.items_left = UINT64_MAX,
		.now_at = clock_now_at(),
		.commits = request->commits,
	};
	int parsed;

	*reply = (struct eas_reply){.status = 500, .reason = ""};
	parsed = note_target(&call) ? eas_query_parse(request->arena, request->http, query, &err)
				    : err_set(&err, ERR_DENIED, "the engine crashed on it");
	call.version = query->version;
	reply->log = (struct log_context){
		.user = request->user->login,
		.device = query->device_id,
		.address = request->http->address,
		.command = eas_command_info(query->command)->name,
	};
	if (parsed < 0 && err.code == ERR_DENIED) {
		log_info(&reply->log, "request_refused", F_ERR(&err));
		eas_reply_http(&call, 500);
	} else if (parsed < 0) {
		struct eas_outcome outcome = eas_query_outcome(query);

		log_info(&reply->log, "request_refused", F_UINT("status", query->fault_status),
			F_ERR(&err));
		eas_reply_outcome(&call, &outcome);
	} else if (!note_request(&call)) {
		log_info(&reply->log, "request_refused",
			F_STR("reason", "the engine crashed on it twice"));
		eas_reply_common(&call, EAS_STATUS_SERVER_ERROR);
	} else if (!eas_app_password_pass(&call)) {
		log_info(&reply->log, "request_refused",
			F_STR("reason", "the app password is not for this device"));
	} else if (query->command == EAS_CMD_OPTIONS) {
		run_options(&call);
	} else {
		run_authorized(&call);
	}
	finish(&call, begun_us);
	buf_deinit(&call.inflated);
	rules_unref(&call.rules);
	notes_end();
	log_debug(&reply->log, "command_finished", F_INT("http", reply->status),
		F_UINT("bytes", reply->body.len), F_UINT("waits", reply->kind == EAS_REPLY_WAIT),
		F_INT("ms", (clock_now_us() - begun_us) / 1000));
}
