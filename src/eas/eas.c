/*
 * One request from top to bottom, in the order in which [MS-ASCMD] wants failures to be found: the
 * query, the user, the version, the device, its policy key, the body, the schema; then the command.
 * Straight code on a worker; no state but the server's memory.
 */
#include "eas/eas.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/crash_test.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/notes.h"
#include "base/str.h"
#include "eas/access.h"
#include "eas/command.h"
#include "eas/gate.h"
#include "eas/remember.h"
#include "eas/schema.h"
#include "store/store_wipe.h"

#define WBXML_TYPE "application/vnd.ms-sync.wbxml"
/* last_seen is for people: a write per hour and phone is enough. */
#define SEEN_INTERVAL_S 3600

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

/* ---- the device ---- */

static int create_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct eas_call *call = owner;
	enum access_state own;
	uint64_t count;

	if (store_device_count(store_tx_read(tx), call->user->id, &count, err) < 0)
		return -1;
	if (count >= call->services.values[SERVICE_devices_per_user])
		return err_set(err, ERR_DENIED, "the user has %" PRIu64 " devices", count);
	call->device->id.v = 0;
	if (store_device_save(tx, call->device, err) < 0 ||
		store_unseen_take(tx, call->user->id, call->device->device_id, &own, err) < 0)
		return -1;
	call->device->access_own = (uint8_t)own;
	call->device->blocked = own == ACCESS_BLOCK;
	return own == ACCESS_NONE ? 0 : store_device_set_access(tx, call->device->id, own, err);
}

static int get_rules(struct eas_call *call, struct store_read *rd, struct err *err)
{
	struct rules_subject subject = {call->user->id, {0}, call->user->domain};

	rules_unref(&call->rules);
	if (rules_get(call->server->rules, rd, &call->rules, err) < 0)
		return -1;
	services_resolve(call->rules, &subject, call->settings, &call->services);
	return 0;
}

/* The device, and with it the rules: one snapshot for what every command needs. */
static int find_device(struct eas_call *call, struct err *err)
{
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = get_rules(call, rd, err);
	if (result == 0)
		result = store_device_find(rd, call->user->id, call->query->device_id, call->arena,
			&call->device, err);
	store_read_end(&rd);
	return result;
}

static void fill_device(struct eas_call *call)
{
	*call->device = (struct device){
		.owner = call->user->id,
		.device_id = call->query->device_id,
		.device_type = call->query->device_type,
		.user_agent = call->query->user_agent,
		.model = "",
		.os = "",
		.friendly_name = "",
		.phone_number = "",
		.imei = "",
		.language = "",
		.operator_name = "",
		.credential = "",
		.access_reason = "",
		.protocol_version = (uint16_t)call->version,
		.first_seen_at = call->now_at,
		.last_seen_at = call->now_at,
	};
}

/* What let it in, by which a wipe may reach it one day; not what a pending wipe let in. */
static const char *credential_of(const struct eas_call *call)
{
	const struct auth_grant *grant = call->request->grant;

	return grant == NULL || grant->by_fallback || call->device->wipe == WIPE_DONE
		       ? call->device->credential
		       : grant->verifier;
}

static int create_device(struct eas_call *call, struct err *err)
{
	call->device = arena_x_new(call->arena, struct device);
	fill_device(call);
	call->device->credential = credential_of(call);
	if (store_transact(call->server->store, create_tx, call, err) == 0) {
		log_info(&call->reply->log, "device_created",
			F_STR("type", call->query->device_type));
		return 0;
	}
	/* Another request of the same phone was faster. */
	return err->code == ERR_CONFLICT ? find_device(call, err) : -1;
}

/* Windows Phone leaves it out at times: what is known stays. */
static const char *agent_of(const struct eas_call *call)
{
	const char *agent = call->query->user_agent;

	return agent[0] != 0 ? agent : call->device->user_agent;
}

static int seen_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct eas_call *call = owner;
	const char *credential = credential_of(call);

	if (!str_eq(credential, call->device->credential) &&
		store_device_set_credential(tx, call->device->id, credential, err) < 0)
		return -1;
	return store_device_set_seen(tx, call->device->id, (uint16_t)call->version, agent_of(call),
		call->query->device_type, call->now_at, err);
}

/* One that is made up anew for each request, and no row. Its policy keys follow from the user and
 * the policy, so that a validating phone gets through both phases of Provision. */
static int make_validating_device(struct eas_call *call, struct err *err)
{
	static const uint8_t key[16];
	uint64_t seed[3] = {call->user->id.v, 0, 0};
	const struct rules_policy *policy;
	struct policy_rules rules;
	struct store_read *rd;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = get_rules(call, rd, err);
	store_read_end(&rd);
	if (result < 0)
		return -1;
	call->device = arena_x_new(call->arena, struct device);
	fill_device(call);
	policy = eas_policy(call->settings, call->rules, call->user, call->device->id, &rules);
	seed[1] = rules_policy_hash(policy, call->version);
	call->device->policy_version = seed[1];
	call->device->policy_status = POLICY_STATUS_FULL;
	call->device->policy_key_temporary = (uint32_t)siphash(key, seed, sizeof(seed)) | 1;
	seed[2] = 1;
	call->device->policy_key = ((uint32_t)siphash(key, seed, sizeof(seed)) & ~1u) | 2;
	call->device->provisioned_at = call->now_at;
	return 0;
}

/* A device that is there was here. */
static int note_seen(struct eas_call *call, struct err *err)
{
	const struct device *d = call->device;

	if (d->protocol_version == call->version && str_eq(d->user_agent, agent_of(call)) &&
		str_eq(d->device_type, call->query->device_type) &&
		str_eq(d->credential, credential_of(call)) &&
		call->now_at - d->last_seen_at < SEEN_INTERVAL_S)
		return 0;
	return store_transact(call->server->store, seen_tx, call, err);
}

/* ---- the body ---- */

static int inflate_body(struct eas_call *call, struct buf *out, struct err *err)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)call->request->body,
		.avail_in = (uInt)call->request->body_len};
	int result = Z_OK;

	if (inflateInit2(&z, 15 + 32) != Z_OK)
		return err_set(err, ERR_INTERNAL, "no memory to decompress a request");
	while (result == Z_OK) {
		if (!buf_reserve(out, 65536))
			break;
		z.next_out = out->data + out->len;
		z.avail_out = 65536;
		result = inflate(&z, Z_NO_FLUSH);
		out->len += 65536 - z.avail_out;
	}
	(void)inflateEnd(&z);
	if (out->failed)
		return err_set(err, ERR_QUOTA,
			"a compressed request grows beyond http.inflated_max_bytes");
	return result == Z_STREAM_END
		       ? 0
		       : err_set(err, ERR_BAD_INPUT, "a compressed request is broken");
}

/* Content-Encoding; *scratch holds what was decompressed. False: the reply is set. */
static bool decode_content(struct eas_call *call, struct buf *scratch)
{
	const char *encoding = ipc_header_find(call->request->http->headers,
		call->request->http->header_count, "content-encoding");
	struct err err = ERR_INIT;

	call->body = call->request->body;
	call->body_len = call->request->body_len;
	if (encoding == NULL || str_eq_nocase(encoding, "identity") || call->body_len == 0)
		return true;
	if (!str_eq_nocase(encoding, "gzip") && !str_eq_nocase(encoding, "x-gzip") &&
		!str_eq_nocase(encoding, "deflate")) {
		eas_reply_http(call, 415);
		return false;
	}
	scratch->max = call->settings->http_inflated_max_bytes + 65536;
	if (inflate_body(call, scratch, &err) < 0) {
		log_info(&call->reply->log, "request_refused", F_ERR(&err));
		if (err.code == ERR_QUOTA)
			eas_reply_http(call, 413);
		else
			eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	call->body = scratch->data;
	call->body_len = scratch->len;
	return true;
}

static bool type_is(const char *header, const char *type)
{
	size_t n = strlen(type);

	return header != NULL && str_starts_nocase(header, type) &&
	       (header[n] == 0 || header[n] == ';' || header[n] == ' ');
}

/* Before 14.0 mail comes as it is. */
static bool body_is_message(const struct eas_call *call)
{
	enum eas_command command = call->query->command;

	return call->version < 140 &&
	       (command == EAS_CMD_SendMail || command == EAS_CMD_SmartReply ||
		       command == EAS_CMD_SmartForward);
}

static bool content_type_fits(const struct eas_call *call)
{
	const char *type = ipc_header_find(
		call->request->http->headers, call->request->http->header_count, "content-type");

	if (body_is_message(call))
		return type == NULL || type_is(type, "message/rfc822");
	return type_is(type, WBXML_TYPE) || type_is(type, "application/vnd.ms-sync");
}

static bool decode_wbxml(struct eas_call *call)
{
	const struct eas_command_info *info = eas_command_info(call->query->command);
	struct wbxml_limits limits = {
		.depth = call->settings->eas_wbxml_depth_max,
		.nodes = call->settings->eas_wbxml_nodes_max,
		.text_bytes = call->settings->http_inflated_max_bytes,
		/* Messages to be sent: call->body stays as long as the call. */
		.borrowed_tag = TAG_ComposeMail_Mime,
	};
	struct schema_limits counts = schema_limits_default();
	struct schema_fault fault;
	struct err err = ERR_INIT;

	CRASH_TEST_FAULT(call->body, call->body_len, "bellhop-crash-request");
	if (wbxml_decode(call->arena, call->body, call->body_len, &limits, &call->root, &err) < 0) {
		log_info(&call->reply->log, "request_refused", F_UINT("status", info->undecodable),
			F_ERR(&err));
		call->reply->why = arena_x_strdup(call->arena, err.text);
		if (info->undecodable >= 100)
			eas_reply_common(call, info->undecodable);
		else
			eas_reply_status(call, info->undecodable);
		return false;
	}
	counts.sync_commands = (uint32_t)call->settings->sync_commands_max;
	counts.sync_collections = (uint32_t)call->settings->sync_collections_max;
	if (schema_check(call->query->command, call->version, call->root, &counts, &fault) < 0) {
		log_info(&call->reply->log, "request_refused", F_UINT("status", fault.status),
			F_STR("element", fault.text));
		call->reply->why = arena_x_strdup(call->arena, fault.text);
		if (fault.status >= 100)
			eas_reply_common(call, fault.status);
		else
			eas_reply_limit(call, fault.status, fault.limit);
		return false;
	}
	if (fault.item_faults > 0)
		log_info(&call->reply->log, "request_items_refused",
			F_UINT("items", fault.item_faults), F_STR("element", fault.text));
	return true;
}

/* False: the reply is set. */
static bool read_body(struct eas_call *call, struct buf *scratch)
{
	const struct eas_command_info *info = eas_command_info(call->query->command);

	if (!decode_content(call, scratch))
		return false;
	if (call->body_len == 0) {
		if (info->empty_body)
			return true;
		log_info(&call->reply->log, "request_refused",
			F_STR("reason", "the body is missing"));
		eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	if (!content_type_fits(call)) {
		log_info(&call->reply->log, "request_refused",
			F_STR("reason", "wrong Content-Type"),
			F_STR("content_type",
				ipc_header_find(call->request->http->headers,
					call->request->http->header_count, "content-type")));
		eas_reply_common(call, EAS_STATUS_INVALID_CONTENT);
		return false;
	}
	return body_is_message(call) || decode_wbxml(call);
}

/* ---- the answer's last touches ---- */

static bool compress_body(struct eas_call *call)
{
	struct buf *body = &call->reply->body;
	struct buf out = BUF_INIT;
	z_stream z = {.next_in = body->data, .avail_in = (uInt)body->len};
	bool good;

	if (deflateInit2(&z, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	good = buf_reserve(&out, deflateBound(&z, body->len));
	if (good) {
		z.next_out = out.data;
		z.avail_out = (uInt)(out.cap - 1);
		good = deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < body->len;
		out.len = z.total_out;
	}
	(void)deflateEnd(&z);
	if (!good) {
		buf_deinit(&out);
		return false;
	}
	buf_deinit(body);
	*body = out;
	return true;
}

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
		compress_body(call))
		eas_reply_header(reply, "Content-Encoding", "gzip");
}

static void run_command(struct eas_call *call)
{
	if (read_body(call, &call->inflated)) {
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
	int result = validates ? make_validating_device(call, &err) : find_device(call, &err);

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
		result = create_device(call, &err);
	else if (!validates)
		result = note_seen(call, &err);
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
	if (answer == GATE_STOP && !validates && note_seen(call, &ignored) < 0)
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
		result = get_rules(call, rd, &err);
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
