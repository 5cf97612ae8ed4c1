#ifndef BELLHOP_STORE_STORE_RULES_H
#define BELLHOP_STORE_STORE_RULES_H

#include "store/store.h"

/*
 * What administrators lay down for many at once: groups of users, and for whom something is laid
 * down (scopes). The engine keeps all of it in memory (policy/rules.h); a number in the database
 * says whether what it has is still right.
 */

/* For whom; from the least to the most specific. */
enum scope_kind {
	SCOPE_ORG = 0,    /* everybody */
	SCOPE_DOMAIN = 1, /* users whose own address is in it */
	SCOPE_GROUP = 2,
	SCOPE_USER = 3,
	SCOPE_DEVICE = 4,
	SCOPE_KINDS
};

struct scope {
	enum scope_kind kind;
	uint64_t id;      /* of the group, the owner, the device; else 0 */
	const char *name; /* of the domain, in lower case; else "" or what people call it */
};

/* "organisation", "domain", "group", "user", "device". */
const char *scope_kind_to_str(enum scope_kind kind);
/* In a table with columns scope, scope_id, scope_name: three parameters from that number on. */
struct db_stmt;
void store_bind_scope(struct db_stmt *st, int first, const struct scope *scope);

/* All that is laid down for a domain, group, user or device which is going; no event. */
NODISCARD int store_scope_forget(struct store_tx *tx, const struct scope *scope, struct err *err);

/* How often the rules were changed; 0: never. */
NODISCARD int store_rules_version(struct store_read *rd, uint64_t *ret, struct err *err);
/* Something of them changed in this transaction: every parked phone is looked at again. */
NODISCARD int store_rules_changed(struct store_tx *tx, struct err *err);

/* ---- groups ---- */
struct user_group {
	uint64_t id;
	const char *name; /* unique, ASCII case ignored */
	uint32_t rank;    /* of a user's groups the smallest counts, then the first by name */
	uint64_t members; /* how many; not in store_group_load() */
};
enum { STORE_GROUP_RANK = 100, STORE_GROUP_RANK_MAX = 9999 };

/* ERR_CONFLICT when the name is taken. */
NODISCARD int store_group_add(
	struct store_tx *tx, const char *name, uint32_t rank, uint64_t *ret, struct err *err);
NODISCARD int store_group_set_rank(
	struct store_tx *tx, uint64_t id, uint32_t rank, struct err *err);
/* With its members and whatever is laid down for it. */
NODISCARD int store_group_delete(struct store_tx *tx, uint64_t id, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_group_find(struct store_read *rd, const char *name, struct arena *arena,
	struct user_group **ret, struct err *err);
NODISCARD int store_group_load(struct store_read *rd, uint64_t id, struct arena *arena,
	struct user_group **ret, struct err *err);
/* By rank and name. */
NODISCARD int store_group_list(struct store_read *rd, struct arena *arena, struct user_group **ret,
	size_t *ret_count, struct err *err);
/* 1: changed, 0: it was so already. */
NODISCARD int store_group_join(
	struct store_tx *tx, uint64_t id, struct owner_id owner, struct err *err);
NODISCARD int store_group_leave(
	struct store_tx *tx, uint64_t id, struct owner_id owner, struct err *err);
/* Who is in which, by owner; groups by rank and name. Of one group, or of all (0). */
struct group_member {
	uint64_t group;
	struct owner_id owner;
};
NODISCARD int store_group_members(struct store_read *rd, uint64_t group, struct arena *arena,
	struct group_member **ret, size_t *ret_count, struct err *err);

#endif
