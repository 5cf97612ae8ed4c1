/*
 * Walks over users and devices. A text for each order, because statements are known by their text.
 * Devices are walked along an index of the order that is asked for, so a page of a large list costs
 * the rows that are shown and what is skipped before them; users are sorted, by ids and keys only.
 */
#include "store/store_page.h"

#include <assert.h>

#include "base/mem.h"
#include "store/store_access.h"
#include "store/store_internal.h"

char *store_like(const char *text)
{
	struct buf b = BUF_INIT;
	char *made;

	if (text == NULL || *text == '\0')
		return x_strdup("");
	buf_add_byte(&b, '%');
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '%' || *p == '_' || *p == '\\')
			buf_add_byte(&b, '\\');
		buf_add_byte(&b, (uint8_t)*p);
	}
	buf_add_byte(&b, '%');
	made = x_strdup(buf_cstr(&b));
	buf_deinit(&b);
	return made;
}

/* ---- users ---- */

#define USERS(order)                                                                               \
	"SELECT u.owner FROM users u JOIN owners o ON o.id = u.owner WHERE $1 = '' OR"             \
	" u.display_name LIKE $1 ESCAPE '\\' OR EXISTS (SELECT 1 FROM addresses a WHERE"           \
	" a.owner = u.owner AND a.address LIKE $1 ESCAPE '\\') ORDER BY " order

static int prepare_users(struct store_read *rd, enum store_user_sort sort, bool down,
	struct db_stmt **ret, struct err *err)
{
	switch (sort) {
	case USERS_BY_NAME:
		return down ? store_prepare(rd,
				      USERS("lower(u.display_name) DESC, u.domain, u.login"), ret,
				      err)
			    : store_prepare(rd, USERS("lower(u.display_name), u.domain, u.login"),
				      ret, err);
	case USERS_BY_CREATED:
		return down ? store_prepare(
				      rd, USERS("u.created_at DESC, u.domain, u.login"), ret, err)
			    : store_prepare(rd, USERS("u.created_at, u.domain, u.login"), ret, err);
	case USERS_BY_USED:
		return down ? store_prepare(
				      rd, USERS("o.used_bytes DESC, u.domain, u.login"), ret, err)
			    : store_prepare(rd, USERS("o.used_bytes, u.domain, u.login"), ret, err);
	case USERS_BY_ADDRESS:
		break;
	}
	return down ? store_prepare(rd, USERS("u.domain DESC, u.login DESC"), ret, err)
		    : store_prepare(rd, USERS("u.domain, u.login"), ret, err);
}

int store_user_walk(struct store_read *rd, const char *search, enum store_user_sort sort, bool down,
	store_user_fn fn, void *owner, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(search);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (prepare_users(rd, sort, down, &st, err) < 0)
		return -1;
	db_bind_text(st, 1, like);
	while ((rc = db_step(st, err)) > 0) {
		rc = fn(owner, (struct owner_id){db_col_u64(st, 0)}, err);
		if (rc <= 0)
			return rc;
	}
	return rc;
}

/* ---- aliases ---- */

/* The few aliases first, then their users: a join the other way round would read all users. */
#define ALIASES(where)                                                                             \
	"SELECT a.address, u.login || '@' || u.domain FROM addresses a CROSS JOIN users u"         \
	" WHERE u.owner = a.owner AND a.position > 0 AND " where                                   \
	" AND ($2 = '' OR a.address LIKE $2 ESCAPE '\\')"                                          \
	" ORDER BY u.domain, u.login, a.position LIMIT $3 OFFSET $4"

int store_alias_list(struct store_read *rd, struct owner_id user, const char *search,
	uint64_t offset, uint64_t limit, struct arena *arena, struct store_alias **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(search);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct store_alias *list = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if ((user.v != 0 ? store_prepare(rd, ALIASES("a.owner = $1"), &st, err)
			 : store_prepare(rd, ALIASES("$1 = 0"), &st, err)) < 0)
		return -1;
	db_bind_u64(st, 1, user.v);
	db_bind_text(st, 2, like);
	db_bind_i64(st, 3, (int64_t)MIN(limit, (uint64_t)INT64_MAX));
	db_bind_i64(st, 4, (int64_t)MIN(offset, (uint64_t)INT64_MAX));
	while ((rc = db_step(st, err)) > 0) {
		struct store_row row = {.st = st, .arena = arena};

		if (STORE_GROW(arena, &list, count, &cap, err) < 0)
			return -1;
		list[count].alias = store_row_text(&row);
		list[count].address = store_row_text(&row);
		if (store_row_end(&row, err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = list;
	*ret_count = count;
	return 0;
}

/* ---- devices ---- */

enum store_device_state store_device_state_of(const struct device *device)
{
	unsigned access =
		device->access_own != ACCESS_NONE ? device->access_own : device->access_state;

	if (device->wipe != WIPE_NONE)
		return (enum store_device_state)device->wipe;
	if (access == ACCESS_BLOCK)
		return DEVICE_BLOCKED;
	if (access == ACCESS_QUARANTINE)
		return DEVICE_QUARANTINED;
	return device->policy_key != 0 ? DEVICE_PROVISIONED : DEVICE_UNPROVISIONED;
}

const char *store_device_state_to_str(enum store_device_state state)
{
	static const char *const names[DEVICE_STATES] = {"not provisioned", "wipe pending",
		"wipe sent", "wiped", "wipe failed", "blocked", "quarantine", "provisioned"};

	return state < DEVICE_STATES ? names[state] : "unknown";
}

/* The same as store_device_state_of(). */
#define STATE                                                                                      \
	"CASE WHEN d.wipe <> 0 THEN d.wipe WHEN d.access_own = 2 THEN 5"                           \
	" WHEN d.access_own = 3 THEN 6 WHEN d.access_own = 0 AND d.access_state = 2 THEN 5"        \
	" WHEN d.access_own = 0 AND d.access_state = 3 THEN 6"                                     \
	" WHEN d.policy_key = 0 THEN 0 ELSE 7 END"

static_assert(ACCESS_BLOCK == 2 && ACCESS_QUARANTINE == 3 && DEVICE_BLOCKED == 5 &&
		      DEVICE_QUARANTINED == 6 && DEVICE_PROVISIONED == 7,
	"STATE and devices_apart say so");

#define IS_APART                                                                                   \
	"(d.wipe <> 0 OR d.access_own <> 0 OR d.access_state > 1 OR d.policy_status > 1) AND "

#define IS_WANTED "($5 = 0 OR ($5 >> " STATE ") % 2 = 1) AND ($6 < 0 OR d.policy_status = $6)"

/* In the order of users: they lead. */
#define BY_USER(where, order)                                                                      \
	"SELECT d.id FROM users u CROSS JOIN devices d WHERE d.owner = u.owner AND " where         \
	"($4 = '' OR " HAS_TEXT ") AND " IS_WANTED " ORDER BY " order " LIMIT $1 OFFSET $2"

/* In an order of devices: users are looked at where one searches in their addresses. */
#define BY_DEVICE(where, order)                                                                    \
	"SELECT d.id FROM devices d WHERE " where "($4 = '' OR (SELECT " HAS_TEXT                  \
	" FROM users u WHERE u.owner = d.owner)) AND " IS_WANTED " ORDER BY " order                \
	" LIMIT $1 OFFSET $2"

#define HAS_TEXT                                                                                   \
	"u.login || '@' || u.domain LIKE $4 ESCAPE '\\' OR d.device_id LIKE $4 ESCAPE '\\'"        \
	" OR d.device_type LIKE $4 ESCAPE '\\' OR d.model LIKE $4 ESCAPE '\\'"                     \
	" OR d.os LIKE $4 ESCAPE '\\' OR d.friendly_name LIKE $4 ESCAPE '\\'"                      \
	" OR d.user_agent LIKE $4 ESCAPE '\\'"

/* A way to find the rows, each with its own index: that of the order, whose rows are walked until
 * the page is full, or that of the few which can be meant, which are sorted. Where nothing is asked
 * of the rows, the index alone is read. */
enum way { WAY_ALL, WAY_UNASKED, WAY_USER, WAY_APART, WAYS };

#define OF_USER  "d.owner = $3 AND "
#define OF_APART IS_APART "($3 = 0 OR d.owner = $3) AND "

#define ALL_WAYS(key, none, down)                                                                  \
	{                                                                                          \
		[WAY_ALL] = BY_DEVICE("$3 = 0 AND ", key down ", d.owner" down ", d.id" down),     \
		[WAY_UNASKED] = "SELECT d.id FROM devices d ORDER BY " key down ", d.owner" down   \
				", d.id" down " LIMIT $1 OFFSET $2",                               \
		[WAY_USER] = BY_DEVICE(OF_USER, key none down ", d.id" down),                      \
		[WAY_APART] = BY_DEVICE(OF_APART, key none down ", d.owner" down ", d.id" down),   \
	}

/* none: makes of a key what it is and no index has. */
#define BOTH(key, none)                                                                            \
	{                                                                                          \
		ALL_WAYS(key, none, ""), ALL_WAYS(key, none, " DESC")                              \
	}

#define BY_ADDRESS(down)                                                                           \
	{                                                                                          \
		[WAY_ALL] = BY_USER("$3 = 0 AND ", "u.domain" down ", u.login" down ", d.id"),     \
		[WAY_UNASKED] = "SELECT d.id FROM users u CROSS JOIN devices d WHERE"              \
				" d.owner = u.owner ORDER BY u.domain" down ", u.login" down       \
				", d.id LIMIT $1 OFFSET $2",                                       \
		[WAY_USER] = BY_DEVICE(OF_USER, "d.id"),                                           \
		[WAY_APART] =                                                                      \
			"SELECT d.id FROM devices d JOIN users u ON u.owner = d.owner "            \
			"WHERE " OF_APART "($4 = '' OR " HAS_TEXT ") AND " IS_WANTED               \
			" ORDER BY u.domain" down ", u.login" down ", d.id LIMIT $1 OFFSET $2",    \
	}

static const char *const device_texts[][2][WAYS] = {
	[DEVICES_BY_ADDRESS] = {BY_ADDRESS(""), BY_ADDRESS(" DESC")},
	[DEVICES_BY_SEEN] = BOTH("d.last_seen_at", " + 0"),
	[DEVICES_BY_MODEL] = BOTH("lower(d.model)", " || ''"),
	[DEVICES_BY_TYPE] = BOTH("lower(d.device_type)", " || ''"),
	[DEVICES_BY_VERSION] = BOTH("d.protocol_version", " + 0"),
	[DEVICES_BY_FIRST_SEEN] = BOTH("d.first_seen_at", " + 0"),
};

static enum way way_of(const struct store_device_filter *f)
{
	const uint32_t many = 1u << DEVICE_UNPROVISIONED | 1u << DEVICE_PROVISIONED;

	if (f->user.v != 0)
		return WAY_USER;
	if (f->states == 0 && !f->has_policy_status && (f->search == NULL || *f->search == '\0'))
		return WAY_UNASKED;
	return (f->states != 0 && (f->states & many) == 0) ||
			       (f->has_policy_status && f->policy_status > 1)
		       ? WAY_APART
		       : WAY_ALL;
}

static int walk(struct db_stmt *st, store_device_fn fn, void *owner, struct err *err)
{
	int rc;

	while ((rc = db_step(st, err)) > 0) {
		rc = fn(owner, (struct device_id){db_col_u64(st, 0)}, err);
		if (rc <= 0)
			return rc;
	}
	return rc;
}

int store_device_walk(struct store_read *rd, const struct store_device_filter *filter,
	enum store_device_sort sort, bool down, store_device_fn fn, void *owner, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(filter->search);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	enum way way = way_of(filter);

	if (store_prepare(rd, device_texts[sort][down][way], &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, filter->limit > 0 ? MIN(filter->limit, INT64_MAX) : INT64_MAX);
	db_bind_u64(st, 2, MIN(filter->offset, INT64_MAX));
	if (way != WAY_UNASKED) {
		db_bind_u64(st, 3, filter->user.v);
		db_bind_text(st, 4, like);
		db_bind_u64(st, 5, filter->states);
		db_bind_i64(st, 6, filter->has_policy_status ? filter->policy_status : -1);
	}
	return walk(st, fn, owner, err);
}

int store_device_walk_named(struct store_read *rd, const char *device_id, size_t limit,
	store_device_fn fn, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT id FROM devices WHERE device_id = $1 ORDER BY id LIMIT $2",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, device_id);
	db_bind_u64(st, 2, limit);
	return walk(st, fn, owner, err);
}

int store_device_walk_policies(
	struct store_read *rd, store_device_policy_fn fn, void *owner, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT d.id, d.owner, u.domain, d.policy_status, d.protocol_version,"
		    " d.policy_version FROM devices d JOIN users u ON u.owner = d.owner",
		    &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		struct store_device_policy policy = {.device = {db_col_u64(st, 0)},
			.user = {db_col_u64(st, 1)},
			.domain = db_col_text(st, 2),
			.policy_status = (unsigned)db_col_u64(st, 3),
			.protocol_version = (unsigned)db_col_u64(st, 4),
			.policy_version = db_col_u64(st, 5)};

		rc = fn(owner, &policy, err);
		if (rc <= 0)
			return rc;
	}
	return rc;
}

int store_device_summary(struct store_read *rd, struct owner_id user, uint64_t *ret_count,
	int64_t *ret_seen_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT COUNT(*), COALESCE(MAX(last_seen_at), 0) FROM devices WHERE owner = $1",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, user.v);
	if (db_step(st, err) <= 0)
		return err->code == ERR_NONE ? err_set(err, ERR_INTERNAL, "no count of devices")
					     : -1;
	*ret_count = db_col_u64(st, 0);
	*ret_seen_at = db_col_i64(st, 1);
	return 0;
}
