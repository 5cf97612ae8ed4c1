/*
 * Folders. A deleted folder keeps its row (deleted = 1) so that phones learn of it. Ids come from
 * the owner's counter; a parent is always older than its children, so the order of ids has parents
 * first.
 *
 * Limits: a name has 1 to NAME_MAX_BYTES bytes.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

enum { NAME_MAX_BYTES = 1024 };

#define FOLDER_COLUMNS                                                                             \
	"id, parent, name, type, role, created_seq, changed_seq, items_seq, deleted FROM folders "

static int read_folder(struct db_stmt *st, struct arena *arena, struct folder *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	ret->id.v = store_row_u64(&row);
	ret->parent.v = store_row_u64(&row);
	ret->name = store_row_text(&row);
	ret->type = (enum folder_type)store_row_u64(&row);
	ret->role = (enum folder_role)store_row_u64(&row);
	ret->created_seq = store_row_u64(&row);
	ret->changed_seq = store_row_u64(&row);
	ret->items_seq = store_row_u64(&row);
	ret->deleted = store_row_u64(&row) != 0;
	return store_row_end(&row, err);
}

static int read_folders(struct db_stmt *st, struct arena *arena, struct folder **ret,
	size_t *ret_count, struct err *err)
{
	struct folder *folders = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &folders, count, &cap, err) < 0 ||
			read_folder(st, arena, &folders[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
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
	return read_folders(st, arena, ret, ret_count, err);
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
	return read_folders(st, arena, ret, ret_count, err);
}

static int read_one(struct db_stmt *st, struct arena *arena, struct folder **ret, struct err *err)
{
	struct folder *folder;
	int rc = db_step(st, err);

	if (rc <= 0)
		return rc;
	folder = arena_try_alloc(arena, sizeof(*folder));
	if (folder == NULL)
		return err_set(err, ERR_INTERNAL, "a folder is beyond the request's memory");
	if (read_folder(st, arena, folder, err) < 0)
		return -1;
	*ret = folder;
	return 1;
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
	rc = read_one(st, arena, ret, err);
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
	rc = read_one(st, arena, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no folder of type %d", (int)type);
	return rc < 0 ? -1 : 0;
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
		    " AND deleted = 0",
		    &twin, err) < 0)
		return -1;
	db_bind_u64(twin, 1, owner.v);
	db_bind_u64(twin, 2, folder->parent.v);
	db_bind_text(twin, 3, folder->name);
	rc = store_run_u64(twin, &found, err);
	if (rc > 0)
		return err_set(err, ERR_CONFLICT, "there is a folder of that name already");
	return rc;
}

int store_folder_add(struct store_tx *tx, struct owner_id owner, struct folder_id parent,
	const char *name, enum folder_type type, struct folder_id *ret, struct err *err)
{
	struct folder folder = {.parent = parent, .name = name, .type = type};
	struct change_event event = {.owner = owner, .kinds = CHANGE_HIERARCHY};
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES || !utf8_valid(name, len))
		return err_set(err, ERR_BAD_INPUT,
			"a folder's name has 1 to %d bytes of UTF-8, this one %zu", NAME_MAX_BYTES,
			len);
	if (type < FOLDER_USER_GENERIC || type > FOLDER_RECIPIENT_CACHE)
		return err_set(err, ERR_BAD_INPUT, "%d is no folder type", (int)type);
	if (check_place(tx, owner, &folder, err) < 0 ||
		insert(tx, owner, &folder, &event.folder, err) < 0 ||
		store_tx_seq(tx, owner, &event.seq, err) < 0)
		return -1;
	store_tx_event(tx, &event);
	*ret = event.folder;
	return 0;
}
