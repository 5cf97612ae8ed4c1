#ifndef BELLHOP_STORE_STORE_MANIFEST_H
#define BELLHOP_STORE_STORE_MANIFEST_H

#include "store/store_backup.h"

/* manifest.json of a backup. Within this room. */

NODISCARD int store_manifest_save(const struct store_manifest *m, const char *dir, struct err *err);
/* ERR_NOT_FOUND: no backup; ERR_BACKEND: another format, or damaged. */
NODISCARD int store_manifest_load(const char *dir, struct store_manifest *ret, struct err *err);
void store_manifest_add_damaged(struct store_manifest *m, const char *file);
bool store_manifest_is_damaged(const struct store_manifest *m, const char *file);

#endif
