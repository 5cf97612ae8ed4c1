/*
 * Waiting: registering watches, and what is said to those that got a mark.
 *
 * The order is register, look (wait_look.c), park (watch.h). There is one look, for it is what a
 * Ping costs. When it finds news, the registration was in vain, which costs little.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/notes.h"
#include "eas/access.h"
#include "eas/command/sync_internal.h"
#include "eas/remember.h"
#include "eas/wait_internal.h"

#define VERSION_FORGOTTEN 141 /* of a device of which nothing is known any more */

void eas_wait_cookie(
	struct eas_call *call, enum watch_kind kind, uint32_t heartbeat_s, uint64_t clean_seq)
{
	struct wait_cookie cookie = {
		.user = call->user->id.v,
		.device = call->device->id.v,
		.user_epoch = call->user->epoch,
		.device_epoch = call->device->epoch,
		.heartbeat_s = heartbeat_s,
		.kind = (uint8_t)kind,
		.provisioning_known = call->reply->no_renewal,
		.plain = call->plain,
		.muted = call->mute != EAS_MUTE_NONE,
		.clean_seq = clean_seq,
	};

	memcpy(call->reply->cookie, &cookie, sizeof(cookie));
	call->reply->cookie_len = sizeof(cookie);
}

void eas_watch_cookie(
	const struct watch_known *known, uint8_t cookie[IPC_COOKIE_MAX], uint8_t *ret_len)
{
	struct wait_cookie made = {
		.user = known->user.v,
		.device = known->device.v,
		.user_epoch = known->user_epoch,
		.device_epoch = known->device_epoch,
		.heartbeat_s = known->heartbeat_s,
		.kind = (uint8_t)known->kind,
		.plain = known->plain,
		.muted = known->muted,
		.clean_seq = known->seen_seq,
	};

	memcpy(cookie, &made, sizeof(made));
	*ret_len = sizeof(made);
}

struct device_id eas_watch_cookie_device(const uint8_t *cookie, size_t len)
{
	struct wait_cookie c = {.device = 0};

	if (len >= WAIT_COOKIE_V1)
		memcpy(&c, cookie, MIN(len, sizeof(c)));
	return (struct device_id){c.device};
}

void eas_hold_muted(struct eas_call *call, size_t *folder_count, uint32_t *heartbeat_s)
{
	int64_t left_s = call->mute_until_at - call->now_at + 1;

	if (call->mute == EAS_MUTE_NONE)
		return;
	*folder_count = 0;
	/* Nobody tells when the time is over: the phone asks then. */
	if (call->mute_until_at > 0 && left_s < (int64_t)*heartbeat_s) {
		*heartbeat_s = (uint32_t)MAX(left_s, (int64_t)1);
		call->reply->no_renewal = true;
	}
}

bool eas_hold(struct eas_call *call, enum watch_kind kind, const struct watch_folder *folders,
	size_t count, bool settled, uint32_t heartbeat_s, struct wait_verdict *ret)
{
	struct watch_spec spec = {
		.kind = kind,
		.user = call->user->id,
		.device = call->device->id,
		.heartbeat_s = heartbeat_s,
		.user_epoch = call->user->epoch,
		.device_epoch = call->device->epoch,
		.hierarchy = true,
		.plain = call->plain,
		.muted = call->mute != EAS_MUTE_NONE,
		.folders = folders,
		.folder_count = count,
	};
	struct wait_subject subject = {
		.kind = kind,
		.user = call->user->id,
		.device = call->device->id,
		.user_epoch = call->user->epoch,
		.folders = folders,
		.folder_count = count,
		.provisioning_known = call->reply->no_renewal,
		.plain = call->plain,
		.muted = call->mute != EAS_MUTE_NONE,
		.heartbeat_s = heartbeat_s,
		.call = call,
		.call_settled = settled,
	};
	struct watch_id id = watch_begin(call->server->watches, &spec);
	struct err err = ERR_INIT;

	subject.watch = id;
	if (eas_wait_look(call->server, call->arena, &subject, ret, &err) < 0) {
		(void)watch_end(call->server->watches, id, NULL);
		eas_reply_error(call, &err);
		return true;
	}
	if (eas_wait_verdict_any(ret)) {
		(void)watch_end(call->server->watches, id, NULL);
		return false;
	}
	call->reply->kind = EAS_REPLY_WAIT;
	call->reply->watch = id;
	call->reply->heartbeat_s = heartbeat_s;
	call->reply->expiry = kind == WATCH_PING ? IPC_EXPIRY_PING : IPC_EXPIRY_SYNC;
	eas_wait_cookie(call, kind, heartbeat_s, ret->seq);
	return true;
}

/* ---- watches that got a mark ---- */

bool eas_wait_call(struct eas_server *server, struct arena *arena, enum watch_kind kind,
	struct owner_id user_id, struct device_id device_id, struct eas_reply *reply,
	struct eas_call *ret)
{
	struct eas_query *query = arena_x_new(arena, struct eas_query);
	struct err err = ERR_INIT;
	struct store_read *rd;
	struct device *device;
	struct user *user;
	bool found;

	*reply = (struct eas_reply){.status = 503, .reason = ""};
	if (store_read_begin(server->store, &rd, &err) < 0)
		return false;
	found = store_user_load(rd, user_id, arena, &user, &err) == 0;
	if (found && store_device_load(rd, device_id, arena, &device, &err) < 0) {
		/* Forgotten: the look will say so, in words of any version. */
		found = err.code == ERR_NOT_FOUND;
		device = arena_x_new(arena, struct device);
		device->id = device_id;
		device->device_id = "";
		device->protocol_version = VERSION_FORGOTTEN;
	}
	store_read_end(&rd);
	if (!found)
		return false;
	query->command = kind == WATCH_PING ? EAS_CMD_Ping : EAS_CMD_Sync;
	query->version = device->protocol_version;
	query->policy_key_sent = true;
	*ret = (struct eas_call){
		.server = server,
		.settings = server->settings,
		.reply = reply,
		.arena = arena,
		.query = query,
		.version = device->protocol_version,
		.user = user,
		.device = device,
		.now_at = clock_now_at(),
	};
	reply->log = (struct log_context){.user = user->login,
		.device = device->device_id,
		.command = eas_command_info(query->command)->name};
	return true;
}

void eas_wait_seal(struct eas_call *call)
{
	if (call->reply->kind == EAS_REPLY_ANSWER && call->reply->body.len > 0)
		eas_reply_header(call->reply, "Content-Type", "application/vnd.ms-sync.wbxml");
	if (call->reply->status == 401)
		eas_reply_header(call->reply, "WWW-Authenticate",
			arena_x_printf(
				call->arena, "Basic realm=\"%s\"", call->settings->auth_realm));
}

/* A held Sync: what was asked is asked again, of the store as it is now. */
static void resume_sync(struct eas_call *call, const struct wait_verdict *verdict)
{
	struct sync_run run = {.call = call};

	if (verdict->http != 0) {
		eas_reply_http(call, verdict->http);
	} else if (verdict->common != 0) {
		eas_reply_common(call, verdict->common);
	} else if (verdict->provision) {
		eas_reply_common(call, verdict->gate);
	} else if (verdict->hierarchy) {
		eas_reply_status(call, SYNC_STATUS_HIERARCHY);
	} else if (!sync_request_restore(&run)) {
		eas_reply_status(call, SYNC_STATUS_INCOMPLETE);
	} else {
		run.wait_s = 0;
		call->mute = verdict->mute;
		call->services = verdict->services;
		call->items_left = verdict->items_left;
		memcpy(call->access_texts, verdict->access_texts, sizeof(call->access_texts));
		sync_run(&run);
		eas_usage_note(call);
		/* Nothing after all: the phone goes on waiting, or asks anew. */
		if (call->reply->status == 200 && call->reply->body.len == 0 && !verdict->renew)
			call->reply->kind = EAS_REPLY_WAIT;
	}
}

void eas_wait_answer(
	struct eas_call *call, enum watch_kind kind, const struct wait_verdict *verdict)
{
	if (!eas_wait_verdict_any(verdict)) {
		call->reply->kind = EAS_REPLY_WAIT;
		return;
	}
	if (kind == WATCH_SYNC)
		resume_sync(call, verdict);
	else
		eas_ping_answer_verdict(call, verdict);
	eas_wait_seal(call);
}

static void check_watch(struct eas_server *server, struct arena *arena,
	const struct watch_view *view, struct eas_reply *reply)
{
	struct wait_subject subject = {
		.kind = view->spec.kind,
		.user = view->spec.user,
		.device = view->spec.device,
		.user_epoch = view->spec.user_epoch,
		.folders = view->spec.folders,
		.folder_count = view->spec.folder_count,
		.plain = view->spec.plain,
		.muted = view->spec.muted,
		.heartbeat_s = view->spec.heartbeat_s,
		.watch = view->id,
	};
	struct wait_verdict verdict;
	struct err err = ERR_INIT;
	struct eas_call call;

	if (!eas_wait_call(server, arena, view->spec.kind, view->spec.user, view->spec.device,
		    reply, &call)) {
		/* Without its user the phone must sign in anew. */
		reply->status = 401;
		eas_reply_header(reply, "WWW-Authenticate",
			arena_x_printf(arena, "Basic realm=\"%s\"", server->settings->auth_realm));
		return;
	}
	call.plain = view->spec.plain;
	call.mute = view->spec.muted ? EAS_MUTE_SILENT : EAS_MUTE_NONE;
	if (eas_wait_look(server, arena, &subject, &verdict, &err) < 0) {
		eas_reply_error(&call, &err);
		eas_wait_seal(&call);
		return;
	}
	reply->watch = view->id;
	reply->heartbeat_s = view->spec.heartbeat_s;
	reply->expiry = view->spec.kind == WATCH_PING ? IPC_EXPIRY_PING : IPC_EXPIRY_SYNC;
	eas_wait_cookie(&call, view->spec.kind, view->spec.heartbeat_s, verdict.seq);
	eas_wait_answer(&call, view->spec.kind, &verdict);
}

bool eas_wait_note(struct eas_server *server, uint64_t user, uint64_t device, enum watch_kind kind,
	struct eas_reply *reply)
{
	const char *what = kind == WATCH_PING ? "waiting Ping" : "waiting Sync";

	if (eas_note(server, notes_hash(device, what, strlen(what)), (struct owner_id){user},
		    (struct device_id){device}, what))
		return true;
	*reply = (struct eas_reply){.status = 503, .reason = ""};
	eas_reply_header(reply, "Retry-After", "30");
	return false;
}

void eas_watch_check(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply)
{
	if (!eas_wait_note(server, view->spec.user.v, view->spec.device.v, view->spec.kind, reply))
		return;
	check_watch(server, arena, view, reply);
	eas_remember_wake(server, view->spec.device, view->spec.kind, 0, reply);
	notes_end();
}

void eas_watch_answer(struct eas_server *server, struct arena *arena, const struct watch_view *view,
	struct eas_reply *reply)
{
	struct eas_query query = {.command = EAS_CMD_Ping, .version = 141};
	struct wait_verdict verdict = {
		.changed =
			arena_x_alloc(arena, (view->changed_count + 1) * sizeof(*verdict.changed)),
		.changed_count = view->changed_count,
	};
	struct eas_call call = {.server = server,
		.settings = server->settings,
		.reply = reply,
		.arena = arena,
		.query = &query};

	*reply = (struct eas_reply){.status = 200, .reason = "", .watch = view->id};
	for (size_t i = 0; i < view->changed_count; i++)
		verdict.changed[i] = &view->spec.folders[view->changed[i]];
	eas_ping_changes(&call, view->spec.device, &verdict);
	eas_wait_seal(&call);
	eas_remember_wake(server, view->spec.device, WATCH_PING, 0, reply);
}
