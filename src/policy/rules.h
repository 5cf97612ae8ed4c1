#ifndef BELLHOP_POLICY_RULES_H
#define BELLHOP_POLICY_RULES_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "policy/policy.h"
#include "store/store_access.h"
#include "store/store_rules.h"

/*
 * The rules: all that administrators lay down for many phones at once (groups, policies and whom
 * they are for, ...), as one picture in memory that never changes once it is made. A request takes
 * the picture of its own snapshot of the database; that costs the reading of one number, as long as
 * nobody changes a rule.
 *
 * What is laid down for several scopes is a rules_table: scope -> value. For a phone the values are
 * walked from the most to the least specific: the device, its user, the user's groups (the smaller
 * rank first, then by name), the domain of the user's own address, the organisation.
 *
 * Threads: the cache may be used by any thread; a picture is read by any number.
 */
struct access_rules;
struct rules_table;

struct rules {
	uint64_t version;
	struct arena *arena;       /* of everything below */
	struct user_group *groups; /* by rank and name */
	size_t group_count;
	struct map *members; /* owner -> struct rules_member */
	/* Access and services (access.h, service.h): */
	const struct access_rules *access;
	struct rules_table *scope_values; /* of struct scope_values */
	const char *access_texts[ACCESS_TEXTS];
	/* Policies (rules_policy.c): */
	struct rules_policy *policies; /* the default first, then by name */
	size_t policy_count;
	const struct rules_policy *no_policy;                       /* of who is exempt */
	struct rules_table *policy_assignments, *policy_exceptions; /* of struct rules_policy */

	/* private */
	struct rules_table *tables;
	_Atomic unsigned refs;
};

/* Whom a question is about. device 0: none yet. */
struct rules_subject {
	struct owner_id user;
	struct device_id device;
	const char *domain; /* lower case */
};

/* ---- policies (rules_policy.c) ---- */

struct rules_policy {
	uint64_t id; /* 0: no policy at all */
	const char *name;
	bool is_default;
	uint64_t version;
	const struct policy *document;
	struct policy_options options;
	uint64_t hashes[3]; /* rules_policy_hash() */
};

/* Why it is that policy. */
struct rules_policy_from {
	bool exception;
	struct scope scope; /* SCOPE_ORG: it is the default */
};
/* Never NULL. An exception for the device, then for its user, goes before all assignments.
 * *ret_from may be NULL. */
const struct rules_policy *rules_policy(const struct rules *rules,
	const struct rules_subject *subject, struct rules_policy_from *ret_from);
/* policy_hash() of its document. */
uint64_t rules_policy_hash(const struct rules_policy *policy, unsigned version);
/* While the rules are made. */
NODISCARD int rules_load_policies(struct store_read *rd, struct rules *rules, struct err *err);

/* ---- from the database ---- */

/* A picture of its own, for administration; rules_unref() frees it. */
NODISCARD int rules_load(struct store_read *rd, const struct rules **ret, struct err *err);

struct rules_cache;
struct rules_cache *rules_cache_new(void);
void rules_cache_free(struct rules_cache **cache);
/* The picture that belongs to this snapshot, or a newer one; made when the number moved. *ret is a
 * reference. */
NODISCARD int rules_get(struct rules_cache *cache, struct store_read *rd, const struct rules **ret,
	struct err *err);
const struct rules *rules_ref(const struct rules *rules);
/* NULL inside is fine. */
void rules_unref(const struct rules **rules);

/* ---- tables ---- */

/* An empty one, which ends with the rules. Only while they are made. */
struct rules_table *rules_table_new(struct rules *rules);
/* value lives in rules->arena. One that is there for the scope is replaced. */
void rules_table_put(struct rules_table *table, const struct scope *scope, const void *value);
/* Exactly that scope; NULL. */
const void *rules_table_find(const struct rules_table *table, const struct scope *scope);

/* The values for a subject one after the other: for what is inherited piece by piece. */
struct rules_walk {
	const struct rules *rules;
	const struct rules_table *table;
	const struct rules_subject *subject;
	enum scope_kind kind;
	size_t group; /* the next of the user's */
	bool over;
};
void rules_walk_begin(struct rules_walk *walk, const struct rules *rules,
	const struct rules_table *table, const struct rules_subject *subject);
/* NULL: no more. *ret_from (may be NULL): the scope that it is laid down for; its name is that of
 * the domain or the group, else "". */
const void *rules_walk_next(struct rules_walk *walk, struct scope *ret_from);
/* The first of the walk; NULL: nothing is laid down. */
const void *rules_pick(const struct rules *rules, const struct rules_table *table,
	const struct rules_subject *subject, struct scope *ret_from);

/* The user's groups, by rank and name. */
size_t rules_groups_of(
	const struct rules *rules, struct owner_id user, const struct user_group *const **ret);

#endif
