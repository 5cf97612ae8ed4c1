/*
 * Users: an owner who can log in, with an address of their own and aliases. How they are found;
 * store_user_change.c is how they come, change and go.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_internal.h"

enum { NAME_MAX_BYTES = 512 };

#define USER_COLUMNS                                                                               \
	"u.owner, u.login, u.domain, u.display_name, u.password_hash, u.disabled, u.epoch, o.seq," \
	" u.created_at, o.quota_bytes, o.used_bytes, o.junk_days, o.deleted_days, u.admin FROM "   \
	"users u "                                                                                 \
	"JOIN owners o ON o.id = u.owner "

static int read_user(struct db_stmt *st, struct arena *arena, struct user *ret, struct err *err)
{
	struct store_row row = {.st = st, .arena = arena};

	ret->id.v = store_row_u64(&row);
	ret->login = store_row_text(&row);
	ret->domain = store_row_text(&row);
	ret->display_name = store_row_text(&row);
	ret->password_hash = store_row_text(&row);
	ret->disabled = store_row_u64(&row) != 0;
	ret->epoch = store_row_u64(&row);
	ret->seq = store_row_u64(&row);
	ret->created_at = store_row_i64(&row);
	ret->quota_bytes = store_row_u64(&row);
	ret->used_bytes = store_row_u64(&row);
	ret->junk_days = store_row_i64(&row);
	ret->deleted_days = store_row_i64(&row);
	ret->admin = store_row_u64(&row) != 0;
	return store_row_end(&row, err);
}

/* 1: the one user; 0: none, or several. */
static int read_single(struct db_stmt *st, struct arena *arena, struct user **ret, struct err *err)
{
	struct user *user = arena_try_alloc(arena, sizeof(*user));
	int rc = db_step(st, err);

	if (rc <= 0)
		return rc;
	if (user == NULL)
		return err_set(err, ERR_INTERNAL, "a user is beyond the request's memory");
	if (read_user(st, arena, user, err) < 0)
		return -1;
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	if (rc > 0)
		return 0;
	*ret = user;
	return 1;
}

static char *lower_copy(struct arena *arena, const char *s, struct err *err)
{
	size_t len = strlen(s);
	char *copy = len <= NAME_MAX_BYTES ? arena_try_strndup(arena, s, len) : NULL;

	if (copy == NULL) {
		(void)err_set(err, ERR_NOT_FOUND, "no user has a name of %zu bytes", len);
		return NULL;
	}
	return str_lower(copy);
}

/* ---- finding ---- */

/* address is lower case. 1, 0, -1. */
static int by_address(struct store_read *rd, const char *address, struct arena *arena,
	struct user **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " USER_COLUMNS
		    "WHERE u.owner = (SELECT a.owner FROM addresses a WHERE a.address = $1)",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, address);
	return read_single(st, arena, ret, err);
}

/* The only user of that login, in whatever domain. */
static int by_login(struct store_read *rd, const char *login, struct arena *arena,
	struct user **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT " USER_COLUMNS "WHERE u.login = $1 LIMIT 2", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, login);
	return read_single(st, arena, ret, err);
}

/* DOMAIN\login with the first label of the domain, as Windows writes it. */
static int by_short_domain(struct store_read *rd, const char *domain, const char *login,
	struct arena *arena, struct user **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd,
		    "SELECT " USER_COLUMNS "WHERE u.login = $1 AND substr(u.domain, 1, length($2) "
		    "+ 1) = $2 || '.' LIMIT 2",
		    &st, err) < 0)
		return -1;
	db_bind_text(st, 1, login);
	db_bind_text(st, 2, domain);
	return read_single(st, arena, ret, err);
}

static int at_domain(struct store_read *rd, const char *login, const char *domain,
	struct arena *arena, struct user **ret, struct err *err)
{
	CLEANUP(mem_freep) char *address = x_printf("%s@%s", login, domain);

	return by_address(rd, str_lower(address), arena, ret, err);
}

static int find_login(struct store_read *rd, char *name, const char *default_domain,
	struct arena *arena, struct user **ret, struct err *err)
{
	char *slash = strchr(name, '\\');
	const char *login = slash != NULL ? slash + 1 : name;
	int rc = 0;

	if (slash != NULL)
		*slash = '\0';
	/* DOMAIN\user@domain says everything after the backslash. */
	if (strchr(login, '@') != NULL)
		return by_address(rd, login, arena, ret, err);
	if (slash != NULL && *name != '\0') {
		rc = at_domain(rd, login, name, arena, ret, err);
		return rc != 0 ? rc : by_short_domain(rd, name, login, arena, ret, err);
	}
	if (default_domain != NULL && *default_domain != '\0')
		rc = at_domain(rd, login, default_domain, arena, ret, err);
	return rc != 0 ? rc : by_login(rd, login, arena, ret, err);
}

static int found(int rc, const char *name, struct err *err)
{
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no user %.200s", name);
	return rc < 0 ? -1 : 0;
}

int store_user_find_login(struct store_read *rd, const char *name, const char *default_domain,
	struct arena *arena, struct user **ret, struct err *err)
{
	char *lower = lower_copy(arena, name, err);

	if (lower == NULL)
		return -1;
	return found(find_login(rd, lower, default_domain, arena, ret, err), name, err);
}

int store_user_find_address(struct store_read *rd, const char *address, struct arena *arena,
	struct user **ret, struct err *err)
{
	char *lower = lower_copy(arena, address, err);

	if (lower == NULL)
		return -1;
	return found(by_address(rd, lower, arena, ret, err), address, err);
}

int store_user_load(struct store_read *rd, struct owner_id id, struct arena *arena,
	struct user **ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd, "SELECT " USER_COLUMNS "WHERE u.owner = $1", &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	rc = read_single(st, arena, ret, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no user with id %" PRIu64, id.v);
	return rc < 0 ? -1 : 0;
}

int store_user_list(struct store_read *rd, struct arena *arena, struct user **ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	struct user *users = NULL;
	size_t count = 0, cap = 0;
	int rc;

	if (store_prepare(rd, "SELECT " USER_COLUMNS "ORDER BY u.domain, u.login", &st, err) < 0)
		return -1;
	while ((rc = db_step(st, err)) > 0) {
		if (STORE_GROW(arena, &users, count, &cap, err) < 0 ||
			read_user(st, arena, &users[count], err) < 0)
			return -1;
		count++;
	}
	if (rc < 0)
		return -1;
	*ret = users;
	*ret_count = count;
	return 0;
}

int store_user_addresses(struct store_read *rd, struct owner_id id, struct arena *arena,
	const char ***ret, size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT address FROM addresses WHERE owner = $1 ORDER BY position",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, id.v);
	return store_read_texts(st, arena, ret, ret_count, err);
}
