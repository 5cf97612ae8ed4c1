#ifndef BELLHOP_EAS_COMMAND_H
#define BELLHOP_EAS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eas/eas.h"
#include "eas/protocol.h"
#include "eas/query.h"
#include "eas/status.h"
#include "policy/policy.h"
#include "policy/rules.h"
#include "policy/service.h"
#include "wbxml/wbxml.h"

/* A phone that is let in, but is told of nothing that happens in the mailbox. */
enum eas_mute {
	EAS_MUTE_NONE,
	EAS_MUTE_NOTICE, /* quarantine: one message, which explains it */
	EAS_MUTE_SILENT, /* it has not said yet what it is, and a rule asks for that */
	EAS_MUTE_QUOTA,  /* it was sent all that it may be sent today; what it sends is taken */
};
/* Nothing that it sends is taken either. */
static inline bool eas_mute_closes(enum eas_mute mute)
{
	return mute == EAS_MUTE_NOTICE || mute == EAS_MUTE_SILENT;
}

/*
 * One command being run: what every file in command/ gets. The request has been authenticated,
 * decoded and validated by the schema; commands read it through the getters of request.h and check
 * no shapes by hand.
 */
struct eas_call {
	struct eas_server *server;
	const struct settings *settings;
	const struct eas_request *request;
	struct eas_reply *reply;
	struct arena *arena;
	const struct eas_query *query;
	unsigned version; /* times ten */
	const struct user *user;
	const struct rules *rules; /* of the snapshot that the device was loaded from; referenced */
	struct device *device;     /* as loaded at the start of the request */
	struct wbxml_node *root;   /* NULL: the request has no body */
	const uint8_t *body;       /* decompressed */
	size_t body_len;
	struct buf inflated;        /* what it is in, if it came compressed */
	struct wbxml_writer writer; /* of the reply's body */
	bool plain;                 /* it came, or its phone waits, without TLS */
	/* What the gate has found (gate.h): */
	struct services services;
	enum eas_mute mute;
	int64_t mute_until_at; /* 0: no end is known */
	uint64_t items_left;   /* that it may be sent today; UINT64_MAX: no limit */
	uint64_t items_sent;   /* with this reply */
	const char *access_texts[ACCESS_TEXTS]; /* when mute is EAS_MUTE_NOTICE */
	int64_t now_at;
	uint64_t commits; /* store_commits() before the user was read; 0: not known */
};

void eas_options(struct eas_call *call);
void eas_provision(struct eas_call *call);
void eas_folder_sync(struct eas_call *call);
void eas_folder_create(struct eas_call *call);
void eas_folder_update(struct eas_call *call);
void eas_folder_delete(struct eas_call *call);
void eas_move_items(struct eas_call *call);
void eas_settings(struct eas_call *call);
void eas_sync(struct eas_call *call);
void eas_ping(struct eas_call *call);
void eas_get_item_estimate(struct eas_call *call);
void eas_get_attachment(struct eas_call *call);
void eas_item_operations(struct eas_call *call);
void eas_send_mail(struct eas_call *call);
void eas_smart_reply(struct eas_call *call);
void eas_smart_forward(struct eas_call *call);

/* ---- replies ---- */
/* An HTTP status without a body. */
void eas_reply_http(struct eas_call *call, int status);
/* 503: not before so many seconds. */
void eas_reply_retry(struct eas_call *call, uint64_t after_s);
void eas_reply_header(struct eas_reply *reply, const char *name, const char *value);
/* A common status (101 ... 184): <Command>{Status} from 14.0 on, its HTTP form before. */
void eas_reply_common(struct eas_call *call, unsigned status);
/* <Command>{Status n} in every version, for statuses that the command owns. */
void eas_reply_status(struct eas_call *call, unsigned status);
/* The same with the bound that belongs to it (Sync 14 and 15, Ping 5 and 6). */
void eas_reply_limit(struct eas_call *call, unsigned status, uint64_t limit);
/* A Status in the answer: the first that is not success says what came of the request. */
void eas_reply_note(struct eas_reply *reply, unsigned status);
void eas_reply_outcome(struct eas_call *call, const struct eas_outcome *outcome);
/* What an error of a lower room means to the phone: logged once, answered with the command's own
 * server error, or 503 / 111 when it may pass. */
void eas_reply_error(struct eas_call *call, const struct err *err);

/* "2.5,12.0,...", "Sync,SendMail,...": what OPTIONS announces. In the arena. */
const char *eas_versions_offered(uint64_t versions, unsigned ceiling, struct arena *arena);
const char *eas_commands_offered(struct eas_call *call);

/* The policy of a phone, and what it says of provisioning. */
const struct rules_policy *eas_policy(const struct settings *settings, const struct rules *rules,
	const struct user *user, struct device_id device, struct policy_rules *ret);

/* ---- DeviceInformation (settings.c), which Provision has, too ---- */
/* set: the element Set in it. */
void eas_device_information(const struct wbxml_node *set, struct device_information *ret);
/* Does it say anything that is not known? (outbound_sms counts as new.) */
bool eas_device_information_is_new(
	const struct device_information *information, const struct device *device);

/* ---- waiting (wait.c) ---- */
struct wait_verdict;
/*
 * Registers a watch, then looks whether there is anything to say. True: there is not, and the reply
 * is a WAIT. False: there is, and *ret says what; the watch is ended. Records errors by answering
 * them: then true, too.
 */
/* For a phone that is to hear of nothing: no folder is watched, and it is held no longer than that
 * lasts. */
void eas_hold_muted(struct eas_call *call, size_t *folder_count, uint32_t *heartbeat_s);
/* settled: neither the folders nor the hierarchy have anything to tell, as read since
 * call->commits. */
bool eas_hold(struct eas_call *call, enum watch_kind kind, const struct watch_folder *folders,
	size_t count, bool settled, uint32_t heartbeat_s, struct wait_verdict *ret);

/*
 * Notes what the calling thread is at work on: a crash from here to notes_end() is counted against
 * it. False: the engine crashed on the same hash twice; nothing of it may be read, and the note is
 * ended.
 */
bool eas_note(struct eas_server *server, uint64_t hash, struct owner_id owner,
	struct device_id device, const char *what);

/* ---- the server's memory ---- */
struct eas_collection {
	struct device_id device;
	struct owner_id owner;   /* of the folder */
	struct folder_id folder; /* 0: the hierarchy */
};
/* No folder: MoveItems takes its turns by it. */
#define EAS_FOLDER_MOVES ((struct folder_id){UINT64_MAX})
/* One request at a time per device and collection: waits until none of these is held by another
 * thread, then holds them all. A thread holds one set at a time. Blocks. */
void eas_collections_lock(
	struct eas_server *server, const struct eas_collection *collections, size_t count);
void eas_collections_unlock(
	struct eas_server *server, const struct eas_collection *collections, size_t count);
/* How often in a row a phone was told to provision; counts this one. */
unsigned eas_pending_count(struct eas_server *server, struct device_id device);
/* The same without counting. */
unsigned eas_pending_seen(struct eas_server *server, struct device_id device);
void eas_pending_clear(struct eas_server *server, struct device_id device);
/* A Ping told the phone of changes in this folder. */
void eas_told_note(struct eas_server *server, struct device_id device, struct folder_id folder);
/* Was it told so, and has not synchronized the folder since? Forgets it. */
bool eas_told_take(struct eas_server *server, struct device_id device, struct folder_id folder);

/* The phone is to start over with this folder: its next look at a watch of it finds a change. */
void eas_resync_note(struct eas_server *server, struct device_id device, struct folder_id folder);
/* Is it? */
bool eas_resync_due(struct eas_server *server, struct device_id device, struct folder_id folder);
/* The same; forgets it. */
bool eas_resync_take(struct eas_server *server, struct device_id device, struct folder_id folder);

/* ---- the event log ---- */
/* The phone begins a collection again, for that reason; once in a while, however often it does. */
NODISCARD int eas_log_reset(struct store_tx *tx, const struct eas_call *call, const char *action,
	const char *collection_id, struct err *err);

/* ---- app passwords ---- */
/* Was the app password revoked that let the device in last? */
NODISCARD int eas_app_password_gone(struct store_read *rd, const struct device *device,
	struct arena *arena, bool *ret, struct err *err);
/* Is the phone the one whose app password it came with? Notes the use. False: the reply is set. */
bool eas_app_password_pass(struct eas_call *call);

/* ---- phones that only try ---- */
/* While an account is set up, Android's mail programs ask with a DeviceId of "validate", all of
 * them: nothing is kept for it, call->device is made up, with the id 0. */
static inline bool eas_only_validates(const struct eas_call *call)
{
	return call->device->id.v == 0;
}

/* ---- ids ---- */
/* "5" -> folder 5. False for anything that cannot be an id of ours. */
bool eas_folder_id_parse(const char *text, struct folder_id *ret);
/* "5:17", within that folder. */
bool eas_server_id_parse(const char *text, struct folder_id folder, struct item_id *ret);
void eas_folder_id_print(struct folder_id id, char text[24]);
void eas_server_id_print(struct folder_id folder, struct item_id item, char text[48]);
bool eas_folder_is_mail(enum folder_type type);

#endif
