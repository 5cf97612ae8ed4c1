/*
 * What imports brought into a folder: a hash of each message's bytes. So a second run of an import,
 * or one that goes on after it was cut off, brings no message twice, whatever has become of the
 * first one since; Message-IDs do not matter.
 *
 * A row costs some 50 bytes; old ones are forgotten (store_import_sweep()), a deleted user's go
 * with the rest. Threads: any.
 */
#include <openssl/sha.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_internal.h"

void store_import_hash(const void *bytes, size_t len, uint8_t ret[STORE_IMPORT_HASH])
{
	uint8_t whole[SHA256_DIGEST_LENGTH];

	(void)SHA256(bytes, len, whole);
	memcpy(ret, whole, STORE_IMPORT_HASH);
}

int store_import_known(struct store_read *rd, struct owner_id owner, struct folder_id folder,
	const uint8_t hash[STORE_IMPORT_HASH], bool *ret, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;
	int rc;

	if (store_prepare(rd,
		    "SELECT 1 FROM imported WHERE owner = $1 AND folder = $2 AND hash = $3", &st,
		    err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_blob(st, 3, hash, STORE_IMPORT_HASH);
	rc = db_step(st, err);
	if (rc < 0)
		return -1;
	*ret = rc > 0;
	return 0;
}

int store_import_note(struct store_tx *tx, struct owner_id owner, struct folder_id folder,
	const uint8_t hash[STORE_IMPORT_HASH], int64_t now_at, struct err *err)
{
	CLEANUP(db_done) struct db_stmt *st = NULL;

	if (store_prepare_tx(tx,
		    "INSERT INTO imported (owner, folder, hash, imported_at)"
		    " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		    &st, err) < 0)
		return -1;
	db_bind_u64(st, 1, owner.v);
	db_bind_u64(st, 2, folder.v);
	db_bind_blob(st, 3, hash, STORE_IMPORT_HASH);
	db_bind_i64(st, 4, now_at);
	return store_run(st, err);
}

int store_import_sweep(struct store *store, int64_t before_at, size_t limit, struct err *err)
{
	return store_sweep_rows(store,
		"DELETE FROM imported WHERE (owner, folder, hash)"
		" IN (SELECT owner, folder, hash FROM imported WHERE imported_at < $1 ORDER BY "
		"imported_at LIMIT $2)",
		before_at, limit, "forgetting old imports", err);
}
