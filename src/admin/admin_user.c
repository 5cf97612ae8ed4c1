/* Verbs about users, aliases and domains. Threads and transactions: see admin.c. */
#include <stdio.h>
#include <string.h>

#include "admin/admin_page.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/rules.h"
#include "store/store_page.h"

static void put_use(json_t *object, const struct user *user)
{
	admin_put_number(object, "used_bytes", user->used_bytes);
	if (user->quota_bytes > 0)
		admin_put_number(object, "quota_bytes", user->quota_bytes);
	else
		admin_put(object, "quota_bytes", "none");
}

static void put_one_days(json_t *object, const char *key, int64_t days)
{
	if (days > 0)
		admin_put_number(object, key, (uint64_t)days);
	else
		admin_put(object, key, days == 0 ? "never" : "default");
}

static void put_days(json_t *object, int64_t junk_days, int64_t deleted_days)
{
	put_one_days(object, "junk_days", junk_days);
	put_one_days(object, "deleted_days", deleted_days);
}

/* After admin_need_rules(). */
static json_t *user_to_json(struct admin_call *call, const struct user *user, bool with_from)
{
	const struct rules_subject subject = {.user = user->id, .domain = user->domain};
	json_t *object = json_object();

	admin_put(object, "address", admin_user_address(call, user));
	admin_put(object, "name", user->display_name);
	admin_put_bool(object, "enabled", !user->disabled);
	admin_put_bool(object, "admin", user->admin);
	put_use(object, user);
	admin_put_services(call, &subject, object, with_from);
	admin_put_number(object, "created_at", (uint64_t)user->created_at);
	return object;
}

static int put_devices(
	struct admin_call *call, const struct user *user, json_t *object, struct err *err)
{
	uint64_t count;
	int64_t seen_at;

	if (store_device_summary(call->rd, user->id, &count, &seen_at, err) < 0)
		return -1;
	admin_put_number(object, "device_count", count);
	admin_put_number(object, "last_seen_at", (uint64_t)seen_at);
	return 0;
}

static int ensure_domain(struct admin_call *call, const char *domain, struct err *err)
{
	bool exists = false;

	if (store_domain_exists(call->rd, domain, &exists, err) < 0)
		return -1;
	if (exists)
		return 0;
	admin_put(call->result, "domain_added", domain);
	return store_domain_add(call->tx, domain, err);
}

int admin_user_add(struct admin_call *call, struct err *err)
{
	const char *address = admin_text(call, "address"), *name = admin_text(call, "name");
	const char *at = strchr(address, '@');
	const char *login = arena_x_strndup(call->arena, address, (size_t)(at - address));
	struct owner_id id;

	if (ensure_domain(call, at + 1, err) < 0)
		return -1;
	if (store_user_add(call->tx, login, at + 1, name != NULL ? name : "", call->password_hash,
		    call->now_at, &id, err) < 0) {
		if (err->code == ERR_CONFLICT)
			return err_set(err, ERR_CONFLICT, "the address %.200s is taken", address);
		return -1;
	}
	admin_put(call->result, "address", address);
	return 0;
}

int admin_user_passwd(struct admin_call *call, struct err *err)
{
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_change(call, user, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	return store_user_set_password(call->tx, user->id, call->password_hash, err);
}

struct user_list {
	struct admin_call *call;
	struct admin_page page;
};

static int list_one(void *owner, struct owner_id id, struct err *err)
{
	struct user_list *list = owner;
	struct user *user;
	json_t *object;

	if (!admin_page_takes(&list->page))
		return 1;
	if (store_user_load(list->call->rd, id, list->call->arena, &user, err) < 0)
		return -1;
	object = user_to_json(list->call, user, false);
	(void)json_array_append_new(list->call->result, object);
	if (put_devices(list->call, user, object, err) < 0)
		return -1;
	return list->page.left > 0 ? 1 : 0;
}

int admin_user_list(struct admin_call *call, struct err *err)
{
	static const struct admin_sort sorts[] = {{"address", USERS_BY_ADDRESS, false},
		{"name", USERS_BY_NAME, false}, {"created_at", USERS_BY_CREATED, false},
		{"used_bytes", USERS_BY_USED, false}};
	struct user_list list = {.call = call};

	if (admin_page_begin(call, sorts, ARRAY_LEN(sorts), &list.page, err) < 0)
		return -1;
	if (list.page.left == 0)
		return 0;
	if (admin_need_rules(call, err) < 0)
		return -1;
	return store_user_walk(call->rd, list.page.search, (enum store_user_sort)list.page.sort,
		list.page.down, list_one, &list, err);
}

int admin_user_show(struct admin_call *call, struct err *err)
{
	struct user *user;
	const char **addresses;
	struct device *devices;
	size_t count;
	json_t *list = json_array();

	if (admin_user(call, &user, err) < 0 || admin_need_rules(call, err) < 0 ||
		store_user_addresses(call->rd, user->id, call->arena, &addresses, &count, err) <
			0) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 1; i < count; i++)
		(void)json_array_append_new(list, json_string(addresses[i]));
	json_decref(call->result);
	call->result = user_to_json(call, user, true);
	(void)json_object_set_new(call->result, "aliases", list);
	put_days(call->result, user->junk_days, user->deleted_days);
	if (store_device_list(call->rd, user->id, call->arena, &devices, &count, err) < 0)
		return -1;
	if (put_devices(call, user, call->result, err) < 0)
		return -1;
	(void)json_object_set_new(call->result, "devices", list = json_array());
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, json_string(devices[i].device_id));
	return 0;
}

static int set_disabled(struct admin_call *call, bool disabled, struct err *err)
{
	struct user *user;

	if (admin_user(call, &user, err) < 0 || admin_may_change(call, user, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put_bool(call->result, "enabled", !disabled);
	return store_user_set_disabled(call->tx, user->id, disabled, err);
}

int admin_user_disable(struct admin_call *call, struct err *err)
{
	return set_disabled(call, true, err);
}

int admin_user_enable(struct admin_call *call, struct err *err)
{
	return set_disabled(call, false, err);
}

/* "500M", "none". */
static int parse_size(const char *text, uint64_t *ret, struct err *err)
{
	static const char units[] = "KMGT";
	struct err ignored = ERR_INIT;
	size_t len = strlen(text);
	char digits[24];
	const char *unit;
	unsigned shift = 0;
	uint64_t number;

	if (str_eq_nocase(text, "none")) {
		*ret = 0;
		return 0;
	}
	unit = len > 1 ? strchr(units, text[len - 1] & ~0x20) : NULL;
	if (unit != NULL && *unit != 0) {
		shift = 10 * ((unsigned)(unit - units) + 1);
		len--;
	}
	(void)snprintf(digits, sizeof(digits), "%.*s", (int)MIN(len, sizeof(digits) - 1), text);
	if (len == 0 || len >= sizeof(digits) ||
		str_parse_u64(digits, INT64_MAX >> shift, &number, &ignored) < 0 || number == 0)
		return err_set(err, ERR_BAD_INPUT,
			"\"%.40s\" is no size: bytes, or a number with K, M, G or T, or none",
			text);
	*ret = number << shift;
	return 0;
}

int admin_user_quota(struct admin_call *call, struct err *err)
{
	struct user *user;
	uint64_t quota_bytes;

	if (admin_user(call, &user, err) < 0 ||
		parse_size(admin_text(call, "size"), &quota_bytes, err) < 0)
		return -1;
	user->quota_bytes = quota_bytes;
	admin_put(call->result, "address", admin_user_address(call, user));
	put_use(call->result, user);
	return store_user_set_quota(call->tx, user->id, quota_bytes, err);
}

/* NULL: it stays. */
static int parse_days(const char *text, int64_t *days, struct err *err)
{
	struct err ignored = ERR_INIT;
	uint64_t number;

	if (text == NULL)
		return 0;
	if (str_eq_nocase(text, "default")) {
		*days = STORE_DAYS_DEFAULT;
	} else if (str_eq_nocase(text, "never")) {
		*days = 0;
	} else {
		if (str_parse_u64(text, STORE_DAYS_MAX, &number, &ignored) < 0)
			return err_set(err, ERR_BAD_INPUT,
				"\"%.40s\": a number of days up to %d, never, or default", text,
				STORE_DAYS_MAX);
		*days = (int64_t)number;
	}
	return 0;
}

int admin_user_expiry(struct admin_call *call, struct err *err)
{
	struct user *user;

	if (admin_user(call, &user, err) < 0 ||
		parse_days(admin_text(call, "junk"), &user->junk_days, err) < 0 ||
		parse_days(admin_text(call, "deleted"), &user->deleted_days, err) < 0)
		return -1;
	if (admin_text(call, "junk") == NULL && admin_text(call, "deleted") == NULL)
		return err_set(err, ERR_BAD_INPUT, "user expiry needs --junk, --deleted or both");
	admin_put(call->result, "address", admin_user_address(call, user));
	put_days(call->result, user->junk_days, user->deleted_days);
	return store_user_set_expiry(call->tx, user->id, user->junk_days, user->deleted_days, err);
}

int admin_user_del(struct admin_call *call, struct err *err)
{
	struct user *user;
	const char *address = admin_text(call, "address"), *own;

	if (admin_user(call, &user, err) < 0)
		return -1;
	own = admin_user_address(call, user);
	if (!str_eq(own, address))
		return err_set(err, ERR_CONFLICT,
			"%.100s is an alias of %.100s; name the user itself", address, own);
	if (admin_may_change(call, user, err) < 0 || admin_refuse_pending(call, user, err) < 0)
		return -1;
	admin_put(call->result, "address", own);
	return store_user_delete(call->tx, user->id, err);
}

/* ---- aliases ---- */

int admin_alias_add(struct admin_call *call, struct err *err)
{
	const char *alias = admin_text(call, "alias");
	struct user *user;

	if (admin_user(call, &user, err) < 0 ||
		ensure_domain(call, strchr(alias, '@') + 1, err) < 0)
		return -1;
	if (store_alias_add(call->tx, user->id, alias, err) < 0)
		return err->code == ERR_CONFLICT
			       ? err_set(err, ERR_CONFLICT, "the address %.200s is taken", alias)
			       : -1;
	admin_put(call->result, "alias", alias);
	admin_put(call->result, "address", admin_user_address(call, user));
	return 0;
}

int admin_alias_del(struct admin_call *call, struct err *err)
{
	const char *alias = admin_text(call, "alias");

	admin_put(call->result, "alias", alias);
	if (store_alias_delete(call->tx, alias, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_NOT_FOUND, "there is no alias %.200s", alias)
			       : -1;
	return 0;
}

int admin_alias_list(struct admin_call *call, struct err *err)
{
	struct owner_id whose = {0};
	struct store_alias *list;
	struct user *user;
	size_t count;

	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		whose = user->id;
	}
	if (store_alias_list(call->rd, whose, admin_text(call, "search"),
		    admin_number(call, "offset", 0), admin_number(call, "limit", UINT64_MAX),
		    call->arena, &list, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		admin_put(row, "alias", list[i].alias);
		admin_put(row, "address", list[i].address);
		(void)json_array_append_new(call->result, row);
	}
	return 0;
}

/* ---- domains ---- */

int admin_domain_add(struct admin_call *call, struct err *err)
{
	const char *domain = admin_text(call, "domain");

	admin_put(call->result, "domain", domain);
	if (store_domain_add(call->tx, domain, err) < 0)
		return err->code == ERR_CONFLICT
			       ? err_set(err, ERR_CONFLICT, "the domain %.200s exists already",
					 domain)
			       : -1;
	return 0;
}

int admin_domain_del(struct admin_call *call, struct err *err)
{
	const char *domain = admin_text(call, "domain");

	admin_put(call->result, "domain", domain);
	if (store_domain_delete(call->tx, domain, err) == 0)
		return 0;
	if (err->code == ERR_CONFLICT)
		return err_set(err, ERR_CONFLICT, "users or aliases are still in %.200s", domain);
	return err->code == ERR_NOT_FOUND
		       ? err_set(err, ERR_NOT_FOUND, "there is no domain %.200s", domain)
		       : -1;
}

int admin_domain_list(struct admin_call *call, struct err *err)
{
	const char **domains;
	size_t count;

	if (store_domain_list(call->rd, call->arena, &domains, &count, err) < 0 ||
		admin_need_rules(call, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct rules_subject subject = {.domain = domains[i]};
		json_t *row = json_object();

		admin_put(row, "domain", domains[i]);
		admin_put_services(call, &subject, row, false);
		(void)json_array_append_new(call->result, row);
	}
	return 0;
}
