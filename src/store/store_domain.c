/*
 * The domains for which this server takes mail.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store_access.h"
#include "store/store_internal.h"
#include "store/store_rules.h"

enum { DOMAIN_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX_BYTES || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		/* Above ASCII: an internationalized domain, written as such. */
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			    c >= 0x80))
			return false;
	}
	return true;
}

static int check_domain(const char *domain, struct err *err)
{
	size_t len = strlen(domain);
	bool good = len > 0 && len <= DOMAIN_MAX_BYTES && utf8_valid(domain, len);

	for (const char *label = domain; good;) {
		size_t label_len = strcspn(label, ".");

		good = is_label(label, label_len);
		if (label[label_len] == '\0')
			break;
		label += label_len + 1;
	}
	return good ? 0 : err_set(err, ERR_BAD_INPUT, "%.200s is no domain name", domain);
}

int store_domain_add(struct store_tx *tx, const char *domain, struct err *err)
{
	CLEANUP(mem_freep) char *lower = str_lower(x_strdup(domain));
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (check_domain(lower, err) < 0)
		return -1;
	if (store_prepare_tx(tx,
		    "INSERT INTO domains (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", &st,
		    err) < 0)
		return -1;
	db_bind_text(st, 1, lower);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_CONFLICT, "the domain %s is there already", lower);
	return 0;
}

int store_domain_delete(struct store_tx *tx, const char *domain, struct err *err)
{
	CLEANUP(mem_freep) char *lower = str_lower(x_strdup(domain));
	CLEANUP(db_done) struct db_stmt *used = NULL, *st = NULL;
	const struct scope scope = {SCOPE_DOMAIN, 0, lower};
	uint64_t count = 0;

	if (store_prepare_tx(tx, "SELECT count(*) FROM addresses WHERE domain = $1", &used, err) <
		0)
		return -1;
	db_bind_text(used, 1, lower);
	if (store_run_u64(used, &count, err) < 0)
		return -1;
	if (count > 0)
		return err_set(err, ERR_CONFLICT, "%llu addresses are in the domain %.200s",
			(unsigned long long)count, domain);
	if (store_scope_forget(tx, &scope, err) < 0 ||
		store_prepare_tx(tx, "DELETE FROM domains WHERE name = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, lower);
	if (store_run(st, err) < 0)
		return -1;
	if (db_changes(tx->read.conn) == 0)
		return err_set(err, ERR_NOT_FOUND, "no domain %.200s", domain);
	return store_scope_values_forget(tx, &scope, err);
}

int store_domain_list(struct store_read *rd, struct arena *arena, const char ***ret,
	size_t *ret_count, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare(rd, "SELECT name FROM domains ORDER BY name", &st, err) < 0)
		return -1;
	return store_read_texts(st, arena, ret, ret_count, err);
}

int store_domain_exists(struct store_read *rd, const char *domain, bool *ret, struct err *err)
{
	CLEANUP(mem_freep) char *lower = str_lower(x_strdup(domain));
	CLEANUP(db_done) struct db_stmt *st = NULL;
	uint64_t one;
	int rc;

	if (store_prepare(rd, "SELECT 1 FROM domains WHERE name = $1", &st, err) < 0)
		return -1;
	db_bind_text(st, 1, lower);
	rc = store_run_u64(st, &one, err);
	if (rc < 0)
		return -1;
	*ret = rc > 0;
	return 0;
}
