/*
 * Writing items. Each change looks first: what is as it should be takes no seq and makes no event.
 * The order within a change: checks, then the owner's seq, then rows, so a refused change leaves
 * nothing behind even when the transaction goes on.
 *
 * Item ids come from their folder's counter, which never goes back; the folder's items_seq is the
 * seq of the newest change in it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_internal.h"

struct place {
	struct owner_id owner;
	struct folder_id folder;
	struct item_id id;
	struct device_id device; /* who does it */
};

/* What a change must know of the item before. */
struct before {
	int64_t date_at;
	uint64_t group_seq; /* of the property group to be set */
	uint64_t created_seq, body_id, body_bytes, conversation;
	uint8_t item_class;
	bool same; /* the property has the value already */
};

static void bind_place(struct db_stmt *st, const struct place *at)
{
	db_bind_u64(st, 1, at->owner.v);
	db_bind_u64(st, 2, at->folder.v);
	db_bind_u64(st, 3, at->id.v);
}

/* st: SELECT date_at, item_class, group's seq, same ... with the place and the new value bound. */
static int look(struct db_stmt *st, const struct place *at, struct before *ret, struct err *err)
{
	int rc = db_step(st, err);

	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no item %" PRIu64 " in folder %" PRIu64,
			at->id.v, at->folder.v);
	if (rc < 0)
		return -1;
	*ret = (struct before){.date_at = db_col_i64(st, 0),
		.item_class = (uint8_t)db_col_u64(st, 1),
		.group_seq = db_col_u64(st, 2),
		.same = db_col_u64(st, 3) != 0};
	return 0;
}

static int touch_folder(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	uint64_t seq, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx, "UPDATE folders SET items_seq = $3 WHERE owner = $1 AND id = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_u64(st, 3, seq);
	return store_run(st, err);
}

static void publish(struct store_tx *tx, const struct place *at, unsigned kind, uint64_t seq,
	int64_t date_at, uint8_t item_class)
{
	struct change_event event = {.owner = at->owner,
		.folder = at->folder,
		.item = at->id,
		.seq = seq,
		.kinds = kind,
		.date_at = date_at,
		.item_class = item_class,
		.device = at->device};

	store_tx_event(tx, &event);
}

/* ---- properties ---- */

struct value {
	int64_t number;
	int64_t time_at;
	const void *bytes; /* NULL when there are none */
	size_t len;
};

/* A property group: how to compare it and how to set it. The value's parameters begin at $4, the
 * seq follows them. */
struct property {
	unsigned kind; /* enum change_kind */
	const char *peek, *update;
	void (*bind)(struct db_stmt *st, const struct value *value);
	int seq_at;
};

static int set_property(struct store_tx *tx, const struct place *at, const struct property *p,
	const struct value *value, uint64_t *ret_seq, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *peek = NULL, *st = NULL;
	struct before before;
	uint64_t seq = 0;

	if (store_prepare_tx(tx, p->peek, &peek, err) < 0)
		return -1;
	bind_place(peek, at);
	p->bind(peek, value);
	if (look(peek, at, &before, err) < 0)
		return -1;
	if (before.same) {
		if (ret_seq != NULL)
			*ret_seq = before.group_seq;
		return 0;
	}
	if (store_tx_seq(tx, at->owner, &seq, err) < 0 ||
		store_prepare_tx(tx, p->update, &st, err) < 0)
		return -1;
	bind_place(st, at);
	p->bind(st, value);
	db_bind_u64(st, p->seq_at, seq);
	if (store_run(st, err) < 0 || touch_folder(tx, at->owner, at->folder, seq, err) < 0)
		return -1;
	publish(tx, at, p->kind, seq, before.date_at, before.item_class);
	if (ret_seq != NULL)
		*ret_seq = seq;
	return 0;
}

#define AT_PLACE " WHERE owner = $1 AND folder = $2 AND id = $3"

static void bind_number(struct db_stmt *st, const struct value *value)
{
	db_bind_i64(st, 4, value->number);
}

int store_item_set_read(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, bool is_read, struct device_id device, uint64_t *ret_seq,
	struct err *err)
{
	static const struct property property = {
		.kind = CHANGE_READ,
		.peek = "SELECT date_at, item_class, read_seq, is_read = $4 FROM items" AT_PLACE,
		.update = "UPDATE items SET is_read = $4, read_seq = $5, changed_seq = $5" AT_PLACE,
		.bind = bind_number,
		.seq_at = 5,
	};

	return set_property(tx, &(struct place){owner, folder, id, device}, &property,
		&(struct value){.number = is_read}, ret_seq, err);
}

static void bind_flag(struct db_stmt *st, const struct value *value)
{
	db_bind_i64(st, 4, value->number);
	db_bind_blob(st, 5, value->bytes, value->len);
}

int store_item_set_flag(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, uint8_t flag_status, const void *flag, size_t flag_len,
	struct device_id device, uint64_t *ret_seq, struct err *err)
{
	static const struct property property = {
		.kind = CHANGE_FLAG,
		.peek = "SELECT date_at, item_class, flag_seq,"
			" flag_status = $4 AND flag IS NOT DISTINCT FROM $5 FROM items" AT_PLACE,
		.update = "UPDATE items SET flag_status = $4, flag = $5, flag_seq = $6,"
			  " changed_seq = $6" AT_PLACE,
		.bind = bind_flag,
		.seq_at = 6,
	};
	struct value value = {
		.number = flag_status, .bytes = flag_len > 0 ? flag : NULL, .len = flag_len};

	return set_property(
		tx, &(struct place){owner, folder, id, device}, &property, &value, ret_seq, err);
}

static void bind_bytes(struct db_stmt *st, const struct value *value)
{
	db_bind_blob(st, 4, value->bytes, value->len);
}

int store_item_set_categories(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, const void *categories, size_t len, struct device_id device,
	uint64_t *ret_seq, struct err *err)
{
	static const struct property property = {
		.kind = CHANGE_CATEGORIES,
		.peek = "SELECT date_at, item_class, categories_seq,"
			" categories IS NOT DISTINCT FROM $4 FROM items" AT_PLACE,
		.update = "UPDATE items SET categories = $4, categories_seq = $5,"
			  " changed_seq = $5" AT_PLACE,
		.bind = bind_bytes,
		.seq_at = 5,
	};
	struct value value = {.bytes = len > 0 ? categories : NULL, .len = len};

	return set_property(
		tx, &(struct place){owner, folder, id, device}, &property, &value, ret_seq, err);
}

static void bind_verb(struct db_stmt *st, const struct value *value)
{
	db_bind_i64(st, 4, value->number);
	db_bind_i64(st, 5, value->time_at);
}

int store_item_set_verb(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, uint8_t verb, int64_t verb_at, struct device_id device, struct err *err)
{
	static const struct property property = {
		.kind = CHANGE_VERB,
		.peek = "SELECT date_at, item_class, verb_seq,"
			" last_verb = $4 AND last_verb_at = $5 FROM items" AT_PLACE,
		.update = "UPDATE items SET last_verb = $4, last_verb_at = $5, verb_seq = $6,"
			  " changed_seq = $6" AT_PLACE,
		.bind = bind_verb,
		.seq_at = 6,
	};

	return set_property(tx, &(struct place){owner, folder, id, device}, &property,
		&(struct value){.number = verb, .time_at = verb_at}, NULL, err);
}

static void bind_nothing(struct db_stmt *st, const struct value *value)
{
	(void)st;
	(void)value;
}

int store_item_touch(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, struct err *err)
{
	static const struct property property = {
		.kind = CHANGE_CONTENT,
		.peek = "SELECT date_at, item_class, content_seq, 0 FROM items" AT_PLACE,
		.update = "UPDATE items SET content_seq = $4, changed_seq = $4" AT_PLACE,
		.bind = bind_nothing,
		.seq_at = 4,
	};
	const struct device_id nobody = {0};

	return set_property(tx, &(struct place){owner, folder, id, nobody}, &property,
		&(struct value){.number = 0}, NULL, err);
}

/* ---- coming ---- */

/* The folder lives, and so many more bytes fit into the owner's quota. *ret_near: with them the
 * mailbox is nearly full, and nobody has been told. */
static int check_room(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	uint64_t bytes, bool *ret_near, struct err *err)
{
	uint64_t percent = atomic_load(&tx->read.store->quota_warn_percent);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t quota, used;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT o.quota_bytes, o.used_bytes, o.quota_warned FROM owners o"
		    " JOIN folders f ON f.owner = o.id"
		    " WHERE o.id = $1 AND o.deleted = 0 AND f.id = $2 AND f.deleted = 0",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	rc = db_step(st, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "owner %" PRIu64 " has no folder %" PRIu64,
			owner.v, folder.v);
	if (rc < 0)
		return -1;
	quota = db_col_u64(st, 0);
	used = db_col_u64(st, 1);
	if (bytes > 0 && quota > 0 && (used > quota || bytes > quota - used))
		return err_set(err, ERR_QUOTA,
			"owner %" PRIu64 " uses %" PRIu64 " of %" PRIu64 " bytes, another %" PRIu64
			" do not fit",
			owner.v, used, quota, bytes);
	*ret_near = quota > 0 && percent > 0 && db_col_u64(st, 2) == 0 &&
		    used + bytes >= store_quota_near(quota, percent);
	return 0;
}

static int next_id(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	uint64_t seq, struct item_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE folders SET last_item = last_item + 1, items_seq = $3"
		    " WHERE owner = $1 AND id = $2 RETURNING last_item",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_u64(st, 3, seq);
	return store_run_u64(st, &ret->v, err) < 0 ? -1 : 0;
}

static int insert(struct store_tx *tx, const struct place *at, const struct new_item *item,
	uint64_t seq, uint64_t body_id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO items (owner, folder, id, date_at, changed_seq, created_seq,"
		    " content_seq, read_seq, flag_seq, categories_seq, verb_seq, item_class, "
		    "is_read,"
		    " flag_status, last_verb, last_verb_at, body_id, body_bytes, flag, categories,"
		    " summary, conversation, arrived_at) VALUES ($1, $2, $3, $5, $4, $4, $4, $4, "
		    "$4, $4, $4, $6,"
		    " $7, $12, $13, $14, $8, $9, NULL, NULL, $10, $11, $15)",
		    &st, err) < 0)
		return -1;
	bind_place(st, at);
	db_bind_u64(st, 4, seq);
	db_bind_i64(st, 5, item->date_at);
	db_bind_u64(st, 6, item->item_class);
	db_bind_u64(st, 7, item->is_read);
	db_bind_u64(st, 8, body_id);
	db_bind_u64(st, 9, item->body->len);
	db_bind_blob(st, 10, item->summary_len > 0 ? item->summary : NULL, item->summary_len);
	db_bind_u64(st, 11, item->conversation);
	db_bind_u64(st, 12, item->flag_status);
	db_bind_u64(st, 13, item->last_verb);
	db_bind_i64(st, 14, item->last_verb_at);
	db_bind_i64(st, 15, tx->now_at);
	return store_run(st, err);
}

int store_item_add(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	const struct new_item *item, struct item_id *ret, struct err *err)
{
	struct place at = {.owner = owner, .folder = folder, .device = item->device};
	uint64_t seq = 0, body_id = 0;
	bool near = false;

	if (check_room(tx, owner, folder, item->body->len, &near, err) < 0 ||
		store_tx_seq(tx, owner, &seq, err) < 0 ||
		next_id(tx, owner, folder, seq, &at.id, err) < 0 ||
		store_body_add(tx, owner, item->body, &body_id, err) < 0 ||
		insert(tx, &at, item, seq, body_id, err) < 0 ||
		(near && store_quota_warn(tx, owner, err) < 0))
		return -1;
	publish(tx, &at, CHANGE_ADD, seq, item->date_at, (uint8_t)item->item_class);
	*ret = at.id;
	return 0;
}

/* ---- going ---- */

static int load_before(
	struct store_tx *tx, const struct place *at, struct before *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "SELECT date_at, item_class, 0, 0, created_seq, body_id, body_bytes,"
		    " conversation FROM items"
		    " WHERE owner = $1 AND folder = $2 AND id = $3",
		    &st, err) < 0)
		return -1;
	bind_place(st, at);
	if (look(st, at, ret, err) < 0)
		return -1;
	ret->created_seq = db_col_u64(st, 4);
	ret->body_id = db_col_u64(st, 5);
	ret->body_bytes = db_col_u64(st, 6);
	ret->conversation = db_col_u64(st, 7);
	return 0;
}

static int bury(struct store_tx *tx, const struct place *at, const struct before *before,
	uint64_t seq, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *remove = NULL, *stone = NULL;

	if (store_prepare_tx(tx, "DELETE FROM items WHERE owner = $1 AND folder = $2 AND id = $3",
		    &remove, err) < 0)
		return -1;
	bind_place(remove, at);
	if (store_run(remove, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO tombstones (owner, folder, id, seq, created_seq, date_at, "
		    "item_class,"
		    " deleted_at, conversation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		    &stone, err) < 0)
		return -1;
	bind_place(stone, at);
	db_bind_u64(stone, 4, seq);
	db_bind_u64(stone, 5, before->created_seq);
	db_bind_i64(stone, 6, before->date_at);
	db_bind_u64(stone, 7, before->item_class);
	db_bind_i64(stone, 8, tx->now_at);
	db_bind_u64(stone, 9, before->conversation);
	if (store_run(stone, err) < 0)
		return -1;
	return touch_folder(tx, at->owner, at->folder, seq, err);
}

int store_item_delete(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, struct device_id device, struct err *err)
{
	struct place at = {owner, folder, id, device};
	struct before before;
	uint64_t seq = 0;

	if (load_before(tx, &at, &before, err) < 0 || store_tx_seq(tx, owner, &seq, err) < 0 ||
		bury(tx, &at, &before, seq, err) < 0 ||
		store_body_delete(tx, owner, before.body_id, before.body_bytes, err) < 0)
		return -1;
	publish(tx, &at, CHANGE_DELETE, seq, before.date_at, before.item_class);
	return 0;
}

static int copy_row(struct store_tx *tx, const struct place *from, const struct place *to,
	uint64_t seq, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO items (owner, folder, id, date_at, changed_seq, created_seq,"
		    " content_seq, read_seq, flag_seq, categories_seq, verb_seq, item_class, "
		    "is_read,"
		    " flag_status, last_verb, last_verb_at, body_id, body_bytes, flag, categories,"
		    " summary, conversation, arrived_at) SELECT owner, $5, $6, date_at, $4, $4, "
		    "$4, $4, $4, "
		    "$4, $4, "
		    "item_class,"
		    " is_read, flag_status, last_verb, last_verb_at, body_id, body_bytes, flag,"
		    " categories, summary, conversation, $7 FROM items WHERE owner = $1 AND folder "
		    "= "
		    "$2 AND id = $3",
		    &st, err) < 0)
		return -1;
	bind_place(st, from);
	db_bind_u64(st, 4, seq);
	db_bind_u64(st, 5, to->folder.v);
	db_bind_u64(st, 6, to->id.v);
	db_bind_i64(st, 7, tx->now_at);
	return store_run(st, err);
}

int store_item_move(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, struct folder_id target, struct device_id device, struct item_id *ret,
	struct err *err)
{
	struct place from = {owner, folder, id, device};
	struct place to = {.owner = owner, .folder = target, .device = device};
	struct before before;
	uint64_t seq = 0;
	bool near;

	/* No byte more: a full mailbox can be tidied up. */
	if (load_before(tx, &from, &before, err) < 0 ||
		check_room(tx, owner, target, 0, &near, err) < 0)
		return -1;
	if (folder.v == target.v) {
		*ret = id;
		return 0;
	}
	if (store_tx_seq(tx, owner, &seq, err) < 0 ||
		next_id(tx, owner, target, seq, &to.id, err) < 0 ||
		copy_row(tx, &from, &to, seq, err) < 0 ||
		store_poison_move(tx, owner, folder, id, target, to.id, err) < 0 ||
		bury(tx, &from, &before, seq, err) < 0)
		return -1;
	publish(tx, &from, CHANGE_DELETE, seq, before.date_at, before.item_class);
	publish(tx, &to, CHANGE_ADD, seq, before.date_at, before.item_class);
	*ret = to.id;
	return 0;
}

/* ---- another content ---- */

static int replace_content(struct store_tx *tx, const struct place *at,
	const struct item_content *content, uint64_t seq, uint64_t body_id, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE items SET date_at = $4, body_id = $5, body_bytes = $6, summary = $7,"
		    " conversation = $8, content_seq = $9, changed_seq = $9" AT_PLACE,
		    &st, err) < 0)
		return -1;
	bind_place(st, at);
	db_bind_i64(st, 4, content->date_at);
	db_bind_u64(st, 5, body_id);
	db_bind_u64(st, 6, content->body->len);
	db_bind_blob(
		st, 7, content->summary_len > 0 ? content->summary : NULL, content->summary_len);
	db_bind_u64(st, 8, content->conversation);
	db_bind_u64(st, 9, seq);
	return store_run(st, err);
}

int store_item_set_content(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct item_id id, const struct item_content *content, struct device_id device,
	uint64_t *ret_seq, struct err *err)
{
	struct place at = {owner, folder, id, device};
	uint64_t len = content->body->len, seq = 0, body_id = 0;
	struct before before;
	bool near = false;

	if (load_before(tx, &at, &before, err) < 0 ||
		check_room(tx, owner, folder, len > before.body_bytes ? len - before.body_bytes : 0,
			&near, err) < 0 ||
		store_tx_seq(tx, owner, &seq, err) < 0 ||
		store_body_add(tx, owner, content->body, &body_id, err) < 0 ||
		replace_content(tx, &at, content, seq, body_id, err) < 0 ||
		store_body_delete(tx, owner, before.body_id, before.body_bytes, err) < 0 ||
		touch_folder(tx, owner, folder, seq, err) < 0 ||
		(near && store_quota_warn(tx, owner, err) < 0))
		return -1;
	publish(tx, &at, CHANGE_CONTENT, seq, content->date_at, before.item_class);
	*ret_seq = seq;
	return 0;
}
