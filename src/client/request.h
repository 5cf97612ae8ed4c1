#ifndef BELLHOP_CLIENT_REQUEST_H
#define BELLHOP_CLIENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "client/heartbeat.h"
#include "client/version.h"

/*
 * What a phone says: the query string and the body of each command, in the shape that each protocol
 * version wants. Pure: no I/O. Everything given is borrowed until return.
 */
enum request_command {
	REQUEST_SYNC = 0, /* the numbers are those of the base64 query, [MS-ASHTTP] 2.2.1.1.1.1.2 */
	REQUEST_SEND_MAIL = 1,
	REQUEST_FOLDER_SYNC = 9,
	REQUEST_MOVE_ITEMS = 13,
	REQUEST_GET_ITEM_ESTIMATE = 14,
	REQUEST_PING = 18,
	REQUEST_ITEM_OPERATIONS = 19,
	REQUEST_PROVISION = 20,
};

/* "FolderSync"; NULL for numbers that are none of the above. */
const char *request_command_to_str(enum request_command command);

/* Who asks; the same on every request of a device. */
struct request_device {
	const char *user;
	const char *id;   /* 1..32 letters and digits */
	const char *type; /* at most 255 bytes */
	unsigned version;
	uint32_t policy_key; /* 0: none yet */
	bool base64; /* the base64 form of the query; plain below version 12.1 all the same */
};

/* Whether the base64 form is used for this device: asked for, and the version knows it. */
bool request_uses_base64(const struct request_device *device);
/*
 * Appends the query, without '?'. save_in_sent: SendMail up to 12.1 (later versions say it in the
 * body). ERR_BAD_INPUT: a field too long for the base64 form.
 */
NODISCARD int request_query(const struct request_device *device, enum request_command command,
	bool save_in_sent, struct buf *out, struct err *err);

/* What the device says about itself in its first Provision (14.1 and later). */
struct request_device_info {
	const char *model, *friendly_name, *os, *os_language, *user_agent;
};

/* The first phase: asks for the policy. */
void request_provision(unsigned version, const struct request_device_info *info, struct buf *out);
/* The second phase: key is the temporary one; status 1 applied, 2 in part, 3 not at all. */
void request_provision_ack(unsigned version, uint32_t key, unsigned status, struct buf *out);
/* "Done" (status 1) or "failed" (2) to a RemoteWipe or an AccountOnlyRemoteWipe. */
void request_wipe_ack(bool account_only, unsigned status, struct buf *out);

void request_folder_sync(const char *sync_key, struct buf *out);

enum request_change_kind {
	REQUEST_CHANGE_READ,
	REQUEST_CHANGE_FLAG,
	REQUEST_DELETE,
	REQUEST_FETCH
};

struct request_change {
	enum request_change_kind kind;
	const char *server_id;
	bool on; /* READ: read; FLAG: flagged */
};

/* One collection of a mail Sync. Key "0" starts it: no changes, no window then. */
struct request_sync {
	const char *sync_key, *collection_id;
	unsigned window;    /* 0: the server's default */
	unsigned filter;    /* FilterType 0..5 */
	unsigned body_type; /* 1 text, 2 HTML, 4 MIME */
	int64_t truncation; /* bytes; -1: whole */
	bool no_changes;    /* GetChanges 0: only our own commands */
	bool conflict_client_wins;
	const struct request_change *changes;
	size_t change_count;
};

/* heartbeat_s: held that long when there is nothing to say (14.0 and later, in minutes at 12.1); 0:
 * not held. */
void request_sync(unsigned version, const struct request_sync *collections, size_t count,
	unsigned heartbeat_s, struct buf *out);

struct request_ping_folder {
	const char *id;
	const char *class_name; /* "Email", "Calendar", "Contacts", "Tasks", "Notes" */
};
void request_ping(unsigned heartbeat_s, const struct request_ping_folder *folders, size_t count,
	struct buf *out);

/* ItemOperations Fetch of one message, whole, as MIME (12.0 and later). */
void request_fetch(
	const char *collection_id, const char *server_id, unsigned body_type, struct buf *out);

/* SendMail from 14.0 on; before, the body is the message itself. */
void request_send_mail(
	const char *client_id, bool save_in_sent, const void *mime, size_t len, struct buf *out);

#endif
