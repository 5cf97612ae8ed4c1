/*
 * Watches that outlive an engine: a front gives back the cookie that the dead one wrote, and the
 * watch is registered, looked at and parked again.
 *
 * The look is short when the cookie says that the phone knew everything up to a seq of its user,
 * and user and device are where they were: then no folder is read, and the folders are watched
 * "exact", for what a decision from memory needs was not read either. The phone's next Ping comes
 * to the engine (its credentials were not seen here) and makes a watch like any other.
 *
 * A device that has begun another watch meanwhile is not taken back to the older one.
 */
#include <string.h>

#include "base/mem.h"
#include "base/notes.h"
#include "eas/command/sync_internal.h"
#include "eas/remember.h"
#include "eas/wait_internal.h"
#include "store/store_wipe.h"

struct restore {
	struct eas_call call;
	struct wait_cookie cookie;
	const struct ipc_register *reg;
	bool clean; /* as far as one can tell before the registration */
	struct watch_folder *folders;
	size_t folder_count;
};

/* Varint ids of what the phone wanted watched. */
static void wanted_folders(struct restore *r, struct buf *ids)
{
	struct sync_run run = {.call = &r->call};

	if (r->cookie.kind == WATCH_PING) {
		buf_add(ids, r->call.device->ping_folders, r->call.device->ping_folders_len);
	} else if (sync_request_restore(&run)) {
		for (size_t i = 0; i < run.job_count; i++) {
			struct folder_id id = {0};

			(void)eas_folder_id_parse(run.jobs[i].collection_id, &id);
			buf_add_varint(ids, id.v);
		}
	}
}

/* Without a look at any. */
static void list_folders(struct restore *r, const struct buf *ids)
{
	struct rd in;

	r->folders = arena_x_alloc(r->call.arena, (ids->len + 1) * sizeof(*r->folders));
	rd_init(&in, ids->data, ids->len);
	while (rd_left(&in) > 0 && !in.failed)
		r->folders[r->folder_count++] = (struct watch_folder){
			.owner = r->call.user->id,
			.folder = {rd_varint(&in)},
			.cutoff_at = INT64_MIN,
			.item_class = ITEM_MAIL,
			.exact = true,
		};
}

static int load_folders(struct restore *r, const struct buf *ids, struct err *err)
{
	struct store_read *rd;
	bool ignored;
	int result;

	if (store_read_begin(r->call.server->store, &rd, err) < 0)
		return -1;
	result = eas_ping_watch_folders(rd, r->call.user->id, r->call.device->id, r->call.arena,
		ids->data, ids->len, &r->folders, &r->folder_count, &ignored, err);
	store_read_end(&rd);
	for (size_t i = 0; result == 0 && i < r->folder_count; i++)
		r->folders[i].exact = r->cookie.kind == WATCH_SYNC;
	return result;
}

static int find_folders(struct restore *r, struct err *err)
{
	struct buf ids = BUF_INIT;
	int result = 0;

	if (r->cookie.muted == 0)
		wanted_folders(r, &ids);
	if (r->clean)
		list_folders(r, &ids);
	else
		result = load_folders(r, &ids, err);
	buf_deinit(&ids);
	return result;
}

/* An engine of the release before wrote a shorter one, a later one may write more behind it. */
static bool read_cookie(const struct ipc_register *reg, struct wait_cookie *ret)
{
	*ret = (struct wait_cookie){.user = 0};
	if (reg->cookie_len < WAIT_COOKIE_V1)
		return false;
	memcpy(ret, reg->cookie, MIN((size_t)reg->cookie_len, sizeof(*ret)));
	return ret->kind == WATCH_PING || ret->kind == WATCH_SYNC;
}

static struct watch_id register_again(const struct restore *r)
{
	struct watch_spec spec = {
		.kind = (enum watch_kind)r->cookie.kind,
		.user = r->call.user->id,
		.device = r->call.device->id,
		.heartbeat_s = r->cookie.heartbeat_s,
		.user_epoch = r->cookie.user_epoch,
		.device_epoch = r->cookie.device_epoch,
		.hierarchy = true,
		.plain = r->cookie.plain != 0,
		.muted = r->cookie.muted != 0,
		.folders = r->folders,
		.folder_count = r->folder_count,
		.handle = r->reg->handle,
		.replaces = r->reg->moved ? &r->reg->before : &r->reg->handle,
	};

	return watch_begin(r->call.server->watches, &spec);
}

/* The device waits elsewhere by now: here it is told that its heartbeat is over. */
static void answer_superseded(struct eas_call *call, enum watch_kind kind)
{
	call->reply->status = 200;
	if (kind == WATCH_PING)
		eas_reply_status(call, PING_EXPIRED);
	eas_wait_seal(call);
}

static int restore(struct restore *r, struct err *err)
{
	struct eas_call *call = &r->call;
	struct wait_subject subject = {
		.kind = (enum watch_kind)r->cookie.kind,
		.user = call->user->id,
		.device = call->device->id,
		.user_epoch = r->cookie.user_epoch,
		/* One that is to be erased is told again. */
		.provisioning_known =
			r->cookie.provisioning_known != 0 && !wipe_is_pending(call->device->wipe),
		.plain = r->cookie.plain != 0,
		.muted = r->cookie.muted != 0,
		.heartbeat_s = r->cookie.heartbeat_s,
	};
	struct wait_verdict verdict = {.http = 0};

	call->plain = r->cookie.plain != 0;
	call->mute = r->cookie.muted != 0 ? EAS_MUTE_SILENT : EAS_MUTE_NONE;
	r->clean = !r->reg->stale && r->cookie.clean_seq != 0 &&
		   r->cookie.clean_seq == call->user->seq;
	if (find_folders(r, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		verdict.hierarchy = true;
		eas_wait_answer(call, subject.kind, &verdict);
		return 0;
	}
	subject.folders = r->folders;
	subject.folder_count = r->folder_count;
	subject.watch = call->reply->watch = register_again(r);
	if (subject.watch.v == 0) {
		answer_superseded(call, subject.kind);
		return 0;
	}
	if (r->clean) {
		subject.clean_seq = r->cookie.clean_seq;
		subject.clean_device_epoch = r->cookie.device_epoch;
	}
	call->reply->heartbeat_s = r->cookie.heartbeat_s;
	call->reply->expiry = subject.kind == WATCH_PING ? IPC_EXPIRY_PING : IPC_EXPIRY_SYNC;
	call->reply->no_renewal = subject.provisioning_known;
	if (eas_wait_look(call->server, call->arena, &subject, &verdict, err) < 0)
		return -1;
	eas_wait_cookie(call, subject.kind, r->cookie.heartbeat_s, verdict.seq);
	eas_wait_answer(call, subject.kind, &verdict);
	return 0;
}

static void restore_watch(
	struct eas_server *server, struct arena *arena, struct restore *r, struct eas_reply *reply)
{
	struct err err = ERR_INIT;

	if (!eas_wait_call(server, arena, (enum watch_kind)r->cookie.kind,
		    (struct owner_id){r->cookie.user}, (struct device_id){r->cookie.device}, reply,
		    &r->call)) {
		*reply = (struct eas_reply){.status = 503, .reason = ""};
		return;
	}
	if (restore(r, &err) < 0) {
		reply->kind = EAS_REPLY_ANSWER;
		eas_reply_error(&r->call, &err);
		eas_wait_seal(&r->call);
	}
	if (reply->kind == EAS_REPLY_ANSWER && reply->watch.v != 0)
		(void)watch_end(server->watches, reply->watch, NULL);
}

void eas_watch_restore(struct eas_server *server, struct arena *arena,
	const struct ipc_register *reg, struct eas_reply *reply)
{
	struct restore r = {.reg = reg};

	if (!read_cookie(reg, &r.cookie))
		*reply = (struct eas_reply){.status = 503, .reason = ""};
	else if (eas_wait_note(server, r.cookie.user, r.cookie.device,
			 (enum watch_kind)r.cookie.kind, reply)) {
		restore_watch(server, arena, &r, reply);
		eas_remember_wake(server, (struct device_id){r.cookie.device},
			(enum watch_kind)r.cookie.kind, 0, reply);
	}
	notes_end();
}
