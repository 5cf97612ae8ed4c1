#ifndef BELLHOP_CLIENT_ANSWER_H
#define BELLHOP_CLIENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "wbxml/wbxml.h"

/*
 * What a server says. Any server: elements that are missing, in another order, doubled or unknown
 * never break anything; what is read is checked. Pure. Everything returned lives in the arena that
 * the document was decoded into. ERR_BAD_INPUT says what the server got wrong.
 */

/* Decodes an answer's body within bounds that fit a phone. An empty body: *ret_root is NULL. */
NODISCARD int answer_decode(struct arena *arena, const void *bytes, size_t len,
	struct wbxml_node **ret_root, struct err *err);
/* The Status directly under the root of any command; 0 when there is none. */
unsigned answer_status(const struct wbxml_node *root);
/* A short English text for the common statuses 101..183; NULL for others. */
const char *answer_common_text(unsigned status);

/* Provision. */
struct answer_provision {
	unsigned status;        /* of the command; 0: absent */
	unsigned policy_status; /* of the policy; 0: absent. 2: there is none for this user */
	uint32_t policy_key;    /* 0: none */
	bool remote_wipe, account_only_wipe;
	bool has_policy; /* a document came with it */
	/* What it demands that software of our kind cannot enforce by itself. */
	bool wants_password, wants_encryption, wants_smime;
	bool wants_other; /* cameras, attachments, browsers, ... */
	unsigned max_filter; /* MaxEmailAgeFilter 1..5; 0: no limit */
};
NODISCARD int answer_provision(
	const struct wbxml_node *root, struct answer_provision *ret, struct err *err);

/* FolderSync. */
struct answer_folder {
	const char *id, *parent_id, *name;
	unsigned type;
};
struct answer_folders {
	unsigned status;
	const char *sync_key; /* NULL when none came */
	const struct answer_folder *added, *updated;
	const char **deleted;
	size_t added_count, updated_count, deleted_count;
};
NODISCARD int answer_folders(struct arena *arena, const struct wbxml_node *root,
	struct answer_folders *ret, struct err *err);

/* One message, or the part of it that an answer carries. Strings are NULL when they did not come.
 */
struct answer_mail {
	bool has_read, read;
	bool has_flag, flagged;
	const char *from, *to, *cc, *reply_to, *subject, *message_class;
	int64_t received_at; /* 0: not said */
	unsigned importance; /* 0 low, 1 normal, 2 high */
	bool has_body;
	unsigned body_type; /* 1, 2, 3, 4; 0 when not said */
	bool truncated;     /* the server holds more than data */
	const char *data;   /* NULL: no bytes came; may hold any bytes */
	size_t data_len;
	uint64_t estimated_bytes;
};

enum answer_item_kind {
	ANSWER_ADD,
	ANSWER_CHANGE,
	ANSWER_DELETE,
	ANSWER_SOFT_DELETE,
	ANSWER_FETCH, /* in responses only */
};
struct answer_item {
	enum answer_item_kind kind;
	unsigned status; /* responses only */
	const char *server_id;
	struct answer_mail mail;
};
struct answer_collection {
	const char *id, *sync_key; /* NULL when absent */
	unsigned status;           /* 1 when absent */
	bool more;
	const struct answer_item *items;
	const struct answer_item *responses;
	size_t item_count, response_count;
};
struct answer_sync {
	unsigned status; /* of the whole; 0 when absent */
	unsigned limit;
	const struct answer_collection *collections;
	size_t collection_count;
};
NODISCARD int answer_sync(struct arena *arena, const struct wbxml_node *root,
	struct answer_sync *ret, struct err *err);
/* The collection with that id; the only one when it carries no id; else NULL. */
const struct answer_collection *answer_sync_find(const struct answer_sync *s, const char *id);

/* Ping. */
struct answer_ping {
	unsigned status;
	unsigned heartbeat_s; /* with status 5; 0: absent */
	unsigned max_folders; /* with status 6; 0: absent */
	const char **folders;
	size_t folder_count;
};
NODISCARD int answer_ping(struct arena *arena, const struct wbxml_node *root,
	struct answer_ping *ret, struct err *err);

/* ItemOperations Fetch of one message: the status of the fetch in *ret_status. */
NODISCARD int answer_fetch(const struct wbxml_node *root, unsigned *ret_status,
	struct answer_mail *ret, struct err *err);

/* "2010-03-01T12:00:00.000Z" and "20100301T120000Z"; 0 for anything else. */
int64_t answer_date(const char *text);

#endif
