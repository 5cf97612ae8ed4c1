/*
 * Walks over users and devices. A text for each order, because statements are known by their text;
 * the database sorts ids and keys only, so a page of a large list costs a sort of small rows and
 * the rows that are shown.
 */
#include "store/store_page.h"

#include "base/mem.h"
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

/* ---- devices ---- */

#define DEVICES(order)                                                                             \
	"SELECT d.id FROM devices d JOIN users u ON u.owner = d.owner WHERE ($1 = 0 OR"            \
	" d.owner = $1) AND ($2 = '' OR u.login || '@' || u.domain LIKE $2 ESCAPE '\\' OR"         \
	" d.device_id LIKE $2 ESCAPE '\\' OR d.device_type LIKE $2 ESCAPE '\\' OR"                 \
	" d.model LIKE $2 ESCAPE '\\' OR d.os LIKE $2 ESCAPE '\\' OR"                              \
	" d.friendly_name LIKE $2 ESCAPE '\\' OR d.user_agent LIKE $2 ESCAPE '\\') ORDER "         \
	"BY " order "u.domain, u.login, d.id"

static int prepare_devices(struct store_read *rd, enum store_device_sort sort, bool down,
	struct db_stmt **ret, struct err *err)
{
	switch (sort) {
	case DEVICES_BY_SEEN:
		return down ? store_prepare(rd, DEVICES("d.last_seen_at DESC, "), ret, err)
			    : store_prepare(rd, DEVICES("d.last_seen_at, "), ret, err);
	case DEVICES_BY_MODEL:
		return down ? store_prepare(rd, DEVICES("lower(d.model) DESC, "), ret, err)
			    : store_prepare(rd, DEVICES("lower(d.model), "), ret, err);
	case DEVICES_BY_TYPE:
		return down ? store_prepare(rd, DEVICES("lower(d.device_type) DESC, "), ret, err)
			    : store_prepare(rd, DEVICES("lower(d.device_type), "), ret, err);
	case DEVICES_BY_VERSION:
		return down ? store_prepare(rd, DEVICES("d.protocol_version DESC, "), ret, err)
			    : store_prepare(rd, DEVICES("d.protocol_version, "), ret, err);
	case DEVICES_BY_FIRST_SEEN:
		return down ? store_prepare(rd, DEVICES("d.first_seen_at DESC, "), ret, err)
			    : store_prepare(rd, DEVICES("d.first_seen_at, "), ret, err);
	case DEVICES_BY_ADDRESS:
		break;
	}
	return down ? store_prepare(rd, DEVICES("u.domain DESC, u.login DESC, "), ret, err)
		    : store_prepare(rd, DEVICES(""), ret, err);
}

int store_device_walk(struct store_read *rd, struct owner_id user, const char *search,
	enum store_device_sort sort, bool down, store_device_fn fn, void *owner, struct err *err)
{
	CLEANUP(mem_freep) char *like = store_like(search);
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (prepare_devices(rd, sort, down, &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, user.v);
	db_bind_text(st, 2, like);
	while ((rc = db_step(st, err)) > 0) {
		rc = fn(owner, (struct device_id){db_col_u64(st, 0)}, err);
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
