#ifndef BELLHOP_ACCOUNT_ACCOUNT_H
#define BELLHOP_ACCOUNT_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mime/mime.h"
#include "store/store.h"

/*
 * Every write to a user's data goes through here. An account behind another server will be a second
 * implementation of the same struct of functions; the local one, where the store is the truth, is
 * account_local.
 *
 * The _prepare step does the slow, pure work (parsing, body files) before the transaction; the
 * functions with a struct store_tx run inside it.
 */
struct account_ops {
	int (*set_read)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, bool is_read, struct device_id device, uint64_t *ret_seq,
		struct err *err);
	int (*set_flag)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, uint8_t status, const void *flag, size_t flag_len,
		struct device_id device, uint64_t *ret_seq, struct err *err);
	int (*set_categories)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, const void *categories, size_t len, struct device_id device,
		uint64_t *ret_seq, struct err *err);
	int (*delete_item)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, struct device_id device, struct err *err);
	int (*move_item)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, struct folder_id target, struct device_id device,
		struct item_id *ret, struct err *err);
	/* item->body, summary and conversation come from a prepared mail. */
	int (*add_item)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		const struct new_item *item, struct item_id *ret, struct err *err);
	/* The same for item->body and so on of a draft that was written anew. */
	int (*set_content)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct item_id id, const struct item_content *content, struct device_id device,
		uint64_t *ret_seq, struct err *err);
	int (*add_folder)(struct store_tx *tx, struct owner_id owner, struct folder_id parent,
		const char *name, enum folder_type type, struct folder_id *ret, struct err *err);
	int (*update_folder)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct folder_id parent, const char *name, uint64_t *ret_seq, struct err *err);
	int (*set_conversation_rule)(struct store_tx *tx, struct owner_id owner,
		uint64_t conversation, struct folder_id folder, uint64_t max, struct err *err);
	int (*delete_folders_below)(struct store_tx *tx, struct owner_id owner,
		struct folder_id folder, struct err *err);
	/* What is in it goes in steps, see store_folder_empty(). */
	int (*empty_folder)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		struct device_id device, struct err *err);
	int (*delete_folder)(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
		uint64_t *ret_seq, struct err *err);
};

extern const struct account_ops account_local;

/* Which implementation serves this owner. */
const struct account_ops *account_ops_of(struct owner_id owner);

/* A message on its way into a folder. The raw bytes stay the caller's and must outlive it. */
struct account_mail {
	struct store_new_body body;
	uint8_t *summary; /* owned; NULL: unread */
	size_t summary_len;
	uint64_t conversation; /* hash of its conversation id */
	bool unread;           /* it goes in set aside */
	uint64_t content;      /* of an unread one: a hash of its bytes */
};

/* Parses and, when it is large, writes the body's file. Blocks; no transaction open. */
NODISCARD int account_mail_prepare(struct store *store, const void *raw, size_t len,
	const struct mime_limits *limits, struct account_mail *ret, struct err *err);
/* The same without reading a byte of what it means, for a message that crashes who reads it: phones
 * see a placeholder until it is released. */
NODISCARD int account_mail_prepare_unread(struct store *store, const void *raw, size_t len,
	struct account_mail *ret, struct err *err);
void account_mail_release(struct account_mail *mail);

/* The number of a ConversationId, as items have it; 0 for one of zeros. */
uint64_t account_conversation(const uint8_t conversation_id[16]);

/* Inside a transaction: the message becomes an item of the owner's folder of that type (created by
 * default for every user); one for the Inbox goes where the user wants its conversation. */
NODISCARD int account_mail_add(struct store_tx *tx, struct owner_id owner,
	enum folder_type folder_type, const struct account_mail *mail, int64_t received_at,
	bool is_read, struct device_id device, struct item_id *ret, struct err *err);

/* What a message from another mailbox brings along. */
struct account_past {
	int64_t received_at;
	bool is_read;
	uint8_t flag_status, last_verb; /* as in struct item */
	int64_t last_verb_at;
};
/* Inside a transaction: the same into any folder. */
NODISCARD int account_mail_add_past(struct store_tx *tx, struct owner_id owner,
	struct folder_id folder, const struct account_mail *mail, const struct account_past *past,
	struct item_id *ret, struct err *err);

/* The whole of it for one owner: prepare, one transaction, release. What LMTP does for each
 * recipient. */
NODISCARD int account_deliver(struct store *store, struct owner_id owner,
	enum folder_type folder_type, const void *raw, size_t len, const struct mime_limits *limits,
	int64_t received_at, struct err *err);

#endif
