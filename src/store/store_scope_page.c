/*
 * Lists of whom something is laid down for, with the names that people know, in pieces: policies,
 * members of groups, access. Rows come in the order of keys, so a piece costs its rows and what is
 * skipped before them, and a search what it looks through. No threads of its own.
 */
#include "base/mem.h"
#include "store/store_internal.h"
#include "store/store_page.h"

/* Of a row s with columns scope, scope_id and scope_name. */
#define SCOPE_NAME                                                                                 \
	"CASE s.scope WHEN 2 THEN g.name WHEN 3 THEN u.login || '@' || u.domain"                   \
	" WHEN 4 THEN u.login || '@' || u.domain || ' ' || d.device_id ELSE s.scope_name END"

#define SCOPE_JOINS                                                                                \
	" LEFT JOIN user_groups g ON s.scope = 2 AND g.id = s.scope_id"                            \
	" LEFT JOIN devices d ON s.scope = 4 AND d.id = s.scope_id"                                \
	" LEFT JOIN users u ON s.scope IN (3, 4) AND"                                              \
	" u.owner = CASE s.scope WHEN 3 THEN s.scope_id ELSE d.owner END"

_Static_assert(SCOPE_GROUP == 2 && SCOPE_USER == 3 && SCOPE_DEVICE == 4, "the texts say so");

static void bind_piece(struct db_stmt *st, int first, const struct store_piece *piece)
{
	db_bind_u64(st, first, MIN(piece->limit, INT64_MAX));
	db_bind_u64(st, first + 1, MIN(piece->offset, INT64_MAX));
}

/* ---- policies ---- */

static int read_policy_scopes(struct db_stmt *st, struct arena *arena, struct policy_whom **ret,
	size_t *ret_count, struct err *err)
{
	struct policy_whom *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &list, count, &cap, err) < 0)
			return -1;
		list[count].kind = (enum scope_kind)store_row_u64(&row);
		list[count].name = store_row_text(&row);
		list[count].exempt = store_row_u64(&row) == 0;
		list[count].policy = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	*ret = list;
	*ret_count = count;
	return rc;
}

int store_policy_whom(struct store_read *rd, bool exceptions, uint64_t policy,
	const struct store_piece *piece, struct arena *arena, struct policy_whom **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(piece->search);
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT s.scope, COALESCE(" SCOPE_NAME ", ''), s.policy, COALESCE(p.name, '')"
		    " FROM policy_scopes s LEFT JOIN policies p ON p.id = s.policy" SCOPE_JOINS
		    " WHERE s.exception = $1 AND ($2 = 0 OR s.policy = $2)"
		    " AND ($3 = '' OR " SCOPE_NAME " LIKE $3 ESCAPE '\\')"
		    " ORDER BY s.exception, s.scope, s.scope_id, s.scope_name LIMIT $4 OFFSET $5",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, exceptions);
	db_bind_u64(st, 2, policy);
	db_bind_text(st, 3, like);
	bind_piece(st, 4, piece);
	return read_policy_scopes(st, arena, ret, ret_count, err);
}

/* ---- groups ---- */

int store_group_member_names(struct store_read *rd, uint64_t group, const struct store_piece *piece,
	struct arena *arena, const char ***ret, size_t *ret_count, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(piece->search);
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT u.login || '@' || u.domain FROM group_members m CROSS JOIN users u"
		    " WHERE u.owner = m.owner AND m.group_id = $1"
		    " AND ($2 = '' OR u.login || '@' || u.domain LIKE $2 ESCAPE '\\')"
		    " ORDER BY m.owner LIMIT $3 OFFSET $4",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, group);
	db_bind_text(st, 2, like);
	bind_piece(st, 3, piece);
	return store_read_texts(st, arena, ret, ret_count, err);
}

int store_group_member_count(struct store_read *rd, uint64_t group, uint64_t *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT COUNT(*) FROM group_members WHERE group_id = $1", &st, err) <
		0)
		return -1;
	db_bind_u64(st, 1, group);
	return store_run_u64(st, ret, err) < 0 ? -1 : 0;
}

/* ---- access ---- */

/* The default comes first, laid down or not; then scopes; then devices that are here; then those
 * that nobody has seen. */
static const char *const access_texts[] = {
	"SELECT 0, '', '', 1, 1 WHERE $1 = '' AND NOT EXISTS"
	" (SELECT 1 FROM scope_values WHERE scope = 0 AND name = 'access')",

	"SELECT s.scope, COALESCE(" SCOPE_NAME
	", ''), '', s.value, 1 FROM scope_values s" SCOPE_JOINS
	" WHERE s.name = 'access' AND ($1 = '' OR " SCOPE_NAME " LIKE $1 ESCAPE '\\')"
	" ORDER BY s.scope, s.scope_id, s.scope_name",

	/* By the index devices_apart, whose words these are. */
	"SELECT 4, u.login || '@' || u.domain, d.device_id, d.access_own, 1 FROM devices d"
	" CROSS JOIN users u WHERE u.owner = d.owner AND"
	" (d.wipe <> 0 OR d.access_own <> 0 OR d.access_state > 1 OR d.policy_status > 1)"
	" AND d.access_own <> 0 AND ($1 = '' OR u.login || '@' || u.domain LIKE $1 ESCAPE '\\'"
	" OR d.device_id LIKE $1 ESCAPE '\\') ORDER BY d.owner, d.id",

	"SELECT 4, u.login || '@' || u.domain, s.device_id, s.state, 0 FROM unseen_devices s"
	" CROSS JOIN users u WHERE u.owner = s.owner"
	" AND ($1 = '' OR u.login || '@' || u.domain LIKE $1 ESCAPE '\\'"
	" OR s.device_id LIKE $1 ESCAPE '\\') ORDER BY s.owner, s.device_id",
};

struct access_list {
	struct access_whom *rows;
	size_t count, cap;
	uint64_t skip, left;
};

static int read_access(
	struct db_stmt *st, struct arena *arena, struct access_list *list, struct err *err)
{
	int rc = 1;

	while (list->left > 0 && (rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};
		struct access_whom *whom;

		if (list->skip > 0) {
			list->skip--;
			continue;
		}
		if (STORE_GROW(arena, &list->rows, list->count, &list->cap, err) < 0)
			return -1;
		whom = &list->rows[list->count++];
		whom->kind = (enum scope_kind)store_row_u64(&row);
		whom->name = store_row_text(&row);
		whom->device_id = store_row_text(&row);
		whom->state = (enum access_state)store_row_u64(&row);
		whom->seen = store_row_u64(&row) != 0;
		if (store_row_end(&row, err) < 0)
			return -1;
		list->left--;
	}
	return rc < 0 ? -1 : 0;
}

int store_access_whom(struct store_read *rd, const struct store_piece *piece, struct arena *arena,
	struct access_whom **ret, size_t *ret_count, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(piece->search);
	struct access_list list = {.skip = piece->offset, .left = piece->limit};

	for (size_t i = 0; i < ARRAY_LEN(access_texts) && list.left > 0; i++) {
		CLEANUP(db_done) struct db_stmt *st = NULL;

		if (store_prepare(rd, access_texts[i], &st, err) < 0)
			return -1;
		db_bind_text(st, 1, like);
		if (read_access(st, arena, &list, err) < 0)
			return -1;
	}
	*ret = list.rows;
	*ret_count = list.count;
	return 0;
}
