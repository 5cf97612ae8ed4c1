/*
 * Folders. A deleted folder keeps its row (deleted = 1) as long as tombstones are kept, so that
 * phones learn of it; what it held is removed bit by bit (store_purge.c). Ids come from the owner's
 * counter. A folder may be moved below a younger one, so lists are put into an order that has
 * parents first.
 *
 * Limits: a name has 1 to NAME_MAX_BYTES bytes. How many folders there may be, and how deep, is the
 * caller's to say.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

enum { NAME_MAX_BYTES = 1024 };

#define FOLDER_COLUMNS                                                                             \
	"id, parent, name, type, role, created_seq, changed_seq, items_seq, deleted FROM folders "

static int read_folder(struct db_stmt *st, struct arena *arena, void *ret, struct err *err)
{
	struct folder *folder = ret;
	struct store_row row = {.st = st, .arena = arena};

	folder->id.v = store_row_u64(&row);
	folder->parent.v = store_row_u64(&row);
	folder->name = store_row_text(&row);
	folder->type = (enum folder_type)store_row_u64(&row);
	folder->role = (enum folder_role)store_row_u64(&row);
	folder->created_seq = store_row_u64(&row);
	folder->changed_seq = store_row_u64(&row);
	folder->items_seq = store_row_u64(&row);
	folder->deleted = store_row_u64(&row) != 0;
	return store_row_end(&row, err);
}

static int read_folders(struct db_stmt *st, struct arena *arena, struct folder **ret,
	size_t *ret_count, struct err *err)
{
	return STORE_READ_ALL(st, arena, read_folder, ret, ret_count, err);
}

/* ---- parents first ---- */

struct rank {
	uint64_t id;
	size_t at, depth; /* in the array; how many of its ancestors are in it, too */
};

static int by_id(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_depth(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

/* A circle, which only a damaged database has, ends at the number of folders. */
static size_t depth_of(
	const struct folder *folders, size_t count, const struct rank *ranks, struct folder_id id)
{
	size_t depth = 0;

	while (depth < count) {
		const struct rank *found =
			bsearch(&(struct rank){.id = id.v}, ranks, count, sizeof(*ranks), by_id);

		if (found == NULL)
			break;
		id = folders[found->at].parent;
		depth++;
	}
	return depth;
}

static int order_parents_first(
	struct folder *folders, size_t count, struct arena *arena, struct err *err)
{
	struct rank *ranks = arena_try_alloc(arena, (count + 1) * sizeof(*ranks));
	struct folder *copy = arena_try_alloc(arena, (count + 1) * sizeof(*copy));

	if (ranks == NULL || copy == NULL)
		return err_set(err, ERR_INTERNAL, "folders are beyond the request's memory");
	for (size_t i = 0; i < count; i++)
		ranks[i] = (struct rank){.id = folders[i].id.v, .at = i};
	qsort(ranks, count, sizeof(*ranks), by_id);
	for (size_t i = 0; i < count; i++)
		ranks[i].depth = depth_of(folders, count, ranks, folders[ranks[i].at].parent);
	qsort(ranks, count, sizeof(*ranks), by_depth);
	for (size_t i = 0; i < count; i++)
		copy[i] = folders[ranks[i].at];
	if (count > 0)
		memcpy(folders, copy, count * sizeof(*folders));
	return 0;
}

static int read_ordered(struct db_stmt *st, struct arena *arena, struct folder **ret,
	size_t *ret_count, struct err *err)
{
	struct folder *folders;
	size_t count;

	if (read_folders(st, arena, &folders, &count, err) < 0 ||
		order_parents_first(folders, count, arena, err) < 0)
		return -1;
	*ret = folders;
	*ret_count = count;
	return 0;
}

int store_folder_list(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct folder **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " FOLDER_COLUMNS "WHERE owner = $1 AND deleted = 0 ORDER BY id", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return read_ordered(st, arena, ret, ret_count, err);
}

int store_folder_changes(struct store_read *rd, struct owner_id owner, uint64_t after_seq,
	struct arena *arena, struct folder **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " FOLDER_COLUMNS
		    "WHERE owner = $1 AND changed_seq > $2 ORDER BY changed_seq, id",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, after_seq);
	return read_ordered(st, arena, ret, ret_count, err);
}

int store_folder_load(struct store_read *rd, struct owner_id owner, struct folder_id id,
	struct arena *arena, struct folder **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT " FOLDER_COLUMNS "WHERE owner = $1 AND id = $2 AND deleted = 0", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id.v);
	rc = STORE_READ_ONE(st, arena, read_folder, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no folder %llu", (unsigned long long)id.v);
	return rc < 0 ? -1 : 0;
}

int store_folder_by_type(struct store_read *rd, struct owner_id owner, enum folder_type type,
	struct arena *arena, struct folder **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT " FOLDER_COLUMNS
		    "WHERE owner = $1 AND type = $2 AND deleted = 0 ORDER BY id LIMIT 1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, type);
	rc = STORE_READ_ONE(st, arena, read_folder, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no folder of type %d", (int)type);
	return rc < 0 ? -1 : 0;
}

int store_folder_floor(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	*ret = 0;
	if (store_prepare(rd, "SELECT folder_floor FROM owners WHERE id = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

int store_owner_seq(struct store_read *rd, struct owner_id owner, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, "SELECT seq FROM owners WHERE id = $1 AND deleted = 0", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	rc = store_run_u64(st, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no owner %llu", (unsigned long long)owner.v);
	return rc < 0 ? -1 : 0;
}

/* ---- writing ---- */

static int next_id(
	struct store_tx *tx, struct owner_id owner, struct folder_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE owners SET last_folder = last_folder + 1 WHERE id = $1"
		    " RETURNING last_folder",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	return store_run_u64(st, &ret->v, err) < 0 ? -1 : 0;
}

/* Everything but the checks and the event. */
static int insert(struct store_tx *tx, struct owner_id owner, const struct folder *folder,
	struct folder_id *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct folder_id id = {0};
	uint64_t seq = 0;

	if (store_tx_seq(tx, owner, &seq, err) < 0 || next_id(tx, owner, &id, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO folders (owner, id, parent, name, type, role, created_seq,"
		    " changed_seq, items_seq, last_item, deleted)"
		    " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, 0, 0)",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id.v);
	db_bind_u64(st, 3, folder->parent.v);
	db_bind_text(st, 4, folder->name);
	db_bind_u64(st, 5, folder->type);
	db_bind_u64(st, 6, folder->role);
	db_bind_u64(st, 7, seq);
	if (store_run(st, err) < 0)
		return -1;
	*ret = id;
	return 0;
}

int store_folder_add_defaults(struct store_tx *tx, struct owner_id owner, struct err *err)
{
	static const struct folder defaults[] = {
		{.name = "Inbox", .type = FOLDER_INBOX},
		{.name = "Drafts", .type = FOLDER_DRAFTS},
		{.name = "Sent Items", .type = FOLDER_SENT},
		{.name = "Deleted Items", .type = FOLDER_DELETED},
		{.name = "Junk E-mail", .type = FOLDER_USER_MAIL, .role = FOLDER_ROLE_JUNK},
		{.name = "Outbox", .type = FOLDER_OUTBOX},
		{.name = "Calendar", .type = FOLDER_CALENDAR},
		{.name = "Contacts", .type = FOLDER_CONTACTS},
		{.name = "Tasks", .type = FOLDER_TASKS},
		{.name = "Notes", .type = FOLDER_NOTES},
		{.name = "Journal", .type = FOLDER_JOURNAL},
	};
	struct folder_id id;

	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		if (insert(tx, owner, &defaults[i], &id, err) < 0)
			return -1;
	}
	return 0;
}

/* The parent is there, and nobody else below it (but folder->id) has the name. */
static int check_place(
	struct store_tx *tx, struct owner_id owner, const struct folder *folder, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *parent = NULL, *twin = NULL;
	uint64_t found;
	int rc;

	if (store_prepare_tx(tx,
		    "SELECT 1 FROM folders WHERE owner = $1 AND id = $2 AND deleted = 0", &parent,
		    err) < 0)
		return -1;
	db_bind_u64(parent, 1, owner.v);
	db_bind_u64(parent, 2, folder->parent.v);
	rc = folder->parent.v == 0 ? 1 : store_run_u64(parent, &found, err);
	if (rc <= 0)
		return rc < 0 ? -1
			      : err_set(err, ERR_NOT_FOUND, "no parent folder %llu",
					(unsigned long long)folder->parent.v);
	if (store_prepare_tx(tx,
		    "SELECT 1 FROM folders WHERE owner = $1 AND parent = $2 AND name = $3"
		    " AND id <> $4 AND deleted = 0",
		    &twin, err) < 0)
		return -1;
	db_bind_u64(twin, 1, owner.v);
	db_bind_u64(twin, 2, folder->parent.v);
	db_bind_text(twin, 3, folder->name);
	db_bind_u64(twin, 4, folder->id.v);
	rc = store_run_u64(twin, &found, err);
	if (rc > 0)
		return err_set(err, ERR_CONFLICT, "there is a folder of that name already");
	return rc;
}

static int check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES || !utf8_valid(name, len))
		return err_set(err, ERR_BAD_INPUT,
			"a folder's name has 1 to %d bytes of UTF-8, this one %zu", NAME_MAX_BYTES,
			len);
	return 0;
}

static int publish(struct store_tx *tx, struct owner_id owner, struct folder_id id, struct err *err)
{
	struct change_event event = {.owner = owner, .folder = id, .kinds = CHANGE_HIERARCHY};

	if (store_tx_seq(tx, owner, &event.seq, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	return 0;
}

int store_folder_add(struct store_tx *tx, struct owner_id owner, struct folder_id parent,
	const char *name, enum folder_type type, struct folder_id *ret, struct err *err)
{
	struct folder folder = {.parent = parent, .name = name, .type = type};
	struct folder_id id;

	if (check_name(name, err) < 0)
		return -1;
	if (type < FOLDER_USER_GENERIC || type > FOLDER_RECIPIENT_CACHE)
		return err_set(err, ERR_BAD_INPUT, "%d is no folder type", (int)type);
	if (check_place(tx, owner, &folder, err) < 0 || insert(tx, owner, &folder, &id, err) < 0 ||
		publish(tx, owner, id, err) < 0)
		return -1;
	*ret = id;
	return 0;
}

/* ---- changing, deleting ---- */

const char *store_folder_class(enum folder_type type)
{
	switch (type) {
	case FOLDER_CALENDAR:
	case FOLDER_USER_CALENDAR:
		return "Calendar";
	case FOLDER_CONTACTS:
	case FOLDER_USER_CONTACTS:
	case FOLDER_RECIPIENT_CACHE:
		return "Contacts";
	case FOLDER_TASKS:
	case FOLDER_USER_TASKS:
		return "Tasks";
	case FOLDER_NOTES:
	case FOLDER_USER_NOTES:
		return "Notes";
	default:
		return "Email";
	}
}

bool store_folder_is_special(const struct folder *folder)
{
	return folder->role != FOLDER_ROLE_NONE ||
	       !(folder->type == FOLDER_USER_GENERIC ||
		       (folder->type >= FOLDER_USER_MAIL && folder->type <= FOLDER_UNKNOWN));
}

static int special(const struct folder *folder, struct err *err)
{
	return err_set(err, ERR_DENIED, "folder %" PRIu64 " is one of those that every user has",
		folder->id.v);
}

/* Is id the folder itself, or below it? */
static int check_not_below(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	struct folder_id id, struct arena *arena, struct err *err)
{
	struct folder *at;

	while (id.v != 0) {
		if (id.v == folder.v)
			return err_set(err, ERR_BAD_INPUT, "a folder cannot lie below itself");
		if (store_folder_load(store_tx_read(tx), owner, id, arena, &at, err) < 0)
			return -1;
		id = at->parent;
	}
	return 0;
}

static int write_place(
	struct store_tx *tx, struct owner_id owner, const struct folder *folder, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE folders SET parent = $3, name = $4, changed_seq = $5"
		    " WHERE owner = $1 AND id = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder->id.v);
	db_bind_u64(st, 3, folder->parent.v);
	db_bind_text(st, 4, folder->name);
	db_bind_u64(st, 5, folder->changed_seq);
	return store_run(st, err);
}

int store_folder_update(struct store_tx *tx, struct owner_id owner, struct folder_id id,
	struct folder_id parent, const char *name, uint64_t *ret_seq, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder *folder;

	if (check_name(name, err) < 0 ||
		store_folder_load(store_tx_read(tx), owner, id, arena, &folder, err) < 0)
		return -1;
	if (store_folder_is_special(folder))
		return special(folder, err);
	if (folder->parent.v == parent.v && str_eq(folder->name, name)) {
		*ret_seq = folder->changed_seq;
		return 0;
	}
	folder->parent = parent;
	folder->name = name;
	if (check_place(tx, owner, folder, err) < 0 ||
		check_not_below(tx, owner, id, parent, arena, err) < 0 ||
		store_tx_seq(tx, owner, &folder->changed_seq, err) < 0 ||
		write_place(tx, owner, folder, err) < 0 || publish(tx, owner, id, err) < 0)
		return -1;
	*ret_seq = folder->changed_seq;
	return 0;
}

static int mark_deleted(struct store_tx *tx, struct owner_id owner, struct folder_id id,
	uint64_t seq, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "UPDATE folders SET deleted = 1, changed_seq = $3, deleted_at = $4"
		    " WHERE owner = $1 AND id = $2",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, id.v);
	db_bind_u64(st, 3, seq);
	db_bind_i64(st, 4, tx->now_at);
	if (store_run(st, err) < 0 || store_purge_folder(tx, owner, id, err) < 0)
		return -1;
	return publish(tx, owner, id, err);
}

/* The folders below top, and itself unless only_below; -1 when one of them is special. Ordered so
 * that parents come first, one pass finds them all. */
static int subtree(struct store_tx *tx, struct owner_id owner, struct folder_id top,
	bool only_below, struct arena *arena, struct folder_id **ret, size_t *ret_count,
	struct err *err)
{
	struct folder *folders;
	struct folder_id *ids;
	size_t count, found = 1;

	if (store_folder_list(store_tx_read(tx), owner, arena, &folders, &count, err) < 0)
		return -1;
	ids = arena_x_alloc(arena, (count + 1) * sizeof(*ids));
	ids[0] = top;
	for (size_t i = 0; i < count; i++) {
		bool below = !only_below && folders[i].id.v == top.v;

		for (size_t k = 0; k < found && folders[i].id.v != top.v; k++)
			below = below || folders[i].parent.v == ids[k].v;
		if (!below)
			continue;
		if (store_folder_is_special(&folders[i]))
			return special(&folders[i], err);
		if (folders[i].id.v != top.v)
			ids[found++] = folders[i].id;
	}
	*ret = only_below ? ids + 1 : ids;
	*ret_count = only_below ? found - 1 : found;
	return 0;
}

static int delete_tree(struct store_tx *tx, struct owner_id owner, struct folder_id top,
	bool only_below, uint64_t *ret_seq, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct folder *folder;
	struct folder_id *ids = NULL;
	uint64_t seq = 0;
	size_t count = 0;

	if (store_folder_load(store_tx_read(tx), owner, top, arena, &folder, err) < 0 ||
		subtree(tx, owner, top, only_below, arena, &ids, &count, err) < 0)
		return -1;
	if (count > 0 && store_tx_seq(tx, owner, &seq, err) < 0)
		return -1;
	for (size_t i = count; i-- > 0;) {
		if (mark_deleted(tx, owner, ids[i], seq, err) < 0)
			return -1;
	}
	if (ret_seq != NULL)
		*ret_seq = seq;
	return 0;
}

int store_folder_delete(struct store_tx *tx, struct owner_id owner, struct folder_id id,
	uint64_t *ret_seq, struct err *err)
{
	return delete_tree(tx, owner, id, false, ret_seq, err);
}

int store_folder_delete_below(
	struct store_tx *tx, struct owner_id owner, struct folder_id id, struct err *err)
{
	return delete_tree(tx, owner, id, true, NULL, err);
}
