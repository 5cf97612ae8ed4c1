/*
 * Local accounts: the store is the truth, so each write is the store's own. Incoming mail is parsed
 * and its large body written before the transaction, so that the transaction itself does nothing
 * but insert. No state; any thread.
 */
#include "account/account.h"

#include "base/mem.h"
#include "base/notes.h"

const struct account_ops account_local = {
	.set_read = store_item_set_read,
	.set_flag = store_item_set_flag,
	.set_categories = store_item_set_categories,
	.delete_item = store_item_delete,
	.move_item = store_item_move,
	.add_folder = store_folder_add,
	.update_folder = store_folder_update,
	.set_conversation_rule = store_conversation_rule_set,
	.delete_folders_below = store_folder_delete_below,
	.empty_folder = store_folder_empty,
	.delete_folder = store_folder_delete,
	.add_item = store_item_add,
	.set_content = store_item_set_content,
};

const struct account_ops *account_ops_of(struct owner_id owner)
{
	(void)owner;
	return &account_local;
}

/* Databases keep signed integers, so the highest bit stays clear. An id of zeros is none. */
uint64_t account_conversation(const uint8_t conversation_id[16])
{
	struct rd in;

	rd_init(&in, conversation_id, 16);
	return (rd_u64(&in) ^ rd_u64(&in)) & INT64_MAX;
}

int account_mail_prepare(struct store *store, const void *raw, size_t len,
	const struct mime_limits *limits, struct account_mail *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct mime_summary *summary;
	struct buf blob = BUF_INIT;
	struct account_mail mail = {.summary = NULL};

	if (mime_summarize(arena, raw, len, limits, &summary, err) < 0)
		return err_wrap(err, "reading the message");
	if (store_body_prepare(store, raw, len, &mail.body, err) < 0)
		return err_wrap(err, "storing the message");
	mime_summary_encode(summary, &blob);
	mail.conversation = account_conversation(summary->conversation_id);
	mail.summary = buf_take(&blob, &mail.summary_len);
	buf_deinit(&blob);
	if (mail.summary == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for the summary of a message");
	*ret = mail;
	return 0;
}

int account_mail_prepare_unread(
	struct store *store, const void *raw, size_t len, struct account_mail *ret, struct err *err)
{
	struct account_mail mail = {.unread = true, .content = notes_hash(2, raw, len)};

	if (store_body_prepare(store, raw, len, &mail.body, err) < 0)
		return err_wrap(err, "storing the message");
	*ret = mail;
	return 0;
}

void account_mail_release(struct account_mail *mail)
{
	mem_free(mail->summary);
	mail->summary = NULL;
}

/* Where it goes: the folder of that type, but new mail of a conversation where the user wants it.
 */
static int find_folder(struct store_read *rd, struct owner_id owner, enum folder_type type,
	uint64_t conversation, struct folder_id *ret, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder_id wanted = {0};
	struct folder *folder;

	if (type == FOLDER_INBOX &&
		store_conversation_rule_find(rd, owner, conversation, &wanted, err) < 0)
		return -1;
	if (wanted.v == 0) {
		if (store_folder_by_type(rd, owner, type, arena, &folder, err) < 0)
			return -1;
		wanted = folder->id;
	}
	*ret = wanted;
	return 0;
}

static int add(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	const struct account_mail *mail, const struct account_past *past, struct device_id device,
	struct item_id *ret, struct err *err)
{
	struct new_item item = {
		.item_class = ITEM_MAIL,
		.date_at = past->received_at,
		.is_read = past->is_read,
		.body = &mail->body,
		.summary = mail->summary,
		.summary_len = mail->summary_len,
		.conversation = mail->conversation,
		.device = device,
		.flag_status = past->flag_status,
		.last_verb = past->last_verb,
		.last_verb_at = past->last_verb_at,
	};

	if (store_item_add(tx, owner, folder, &item, ret, err) < 0)
		return -1;
	return !mail->unread ? 0
			     : store_poison_set_aside(tx, owner, folder, *ret, mail->content,
				       "the engine crashed while it read it", err);
}

int account_mail_add(struct store_tx *tx, struct owner_id owner, enum folder_type folder_type,
	const struct account_mail *mail, int64_t received_at, bool is_read, struct device_id device,
	struct item_id *ret, struct err *err)
{
	const struct account_past past = {.received_at = received_at, .is_read = is_read};
	struct folder_id folder;

	if (find_folder(store_tx_read(tx), owner, folder_type, mail->conversation, &folder, err) <
		0)
		return -1;
	return add(tx, owner, folder, mail, &past, device, ret, err);
}

int account_mail_add_past(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	const struct account_mail *mail, const struct account_past *past, struct item_id *ret,
	struct err *err)
{
	return add(tx, owner, folder, mail, past, (struct device_id){0}, ret, err);
}

struct delivery {
	struct owner_id owner;
	enum folder_type folder_type;
	const struct account_mail *mail;
	int64_t received_at;
};

static int deliver_tx(struct store_tx *tx, void *arg, struct err *err)
{
	struct delivery *d = arg;
	struct item_id id;

	return account_mail_add(tx, d->owner, d->folder_type, d->mail, d->received_at, false,
		(struct device_id){0}, &id, err);
}

int account_deliver(struct store *store, struct owner_id owner, enum folder_type folder_type,
	const void *raw, size_t len, const struct mime_limits *limits, int64_t received_at,
	struct err *err)
{
	struct account_mail mail;
	struct delivery d = {owner, folder_type, &mail, received_at};
	int result;

	if (account_mail_prepare(store, raw, len, limits, &mail, err) < 0)
		return -1;
	result = store_transact(store, deliver_tx, &d, err);
	account_mail_release(&mail);
	return result;
}
