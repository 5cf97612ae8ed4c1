#ifndef BELLHOP_STORE_STORE_POLICY_H
#define BELLHOP_STORE_STORE_POLICY_H

#include "store/store_rules.h"

/*
 * Policies by name, one of them the default, and whom they are for. What a document and options
 * may say is the policy room's; here they are texts. Every change is a change of the rules.
 */
struct policy_row {
	uint64_t id;
	const char *name; /* unique, ASCII case ignored */
	const char *description;
	bool is_default;
	uint64_t version;     /* from 1 on; raised by each change of what follows */
	const char *settings; /* JSON object of EASProvisionDoc settings; "": all defaults */
	const char *options;  /* JSON object; "": all as configured */
};

/* The default first, then by name. */
NODISCARD int store_policy_list(struct store_read *rd, struct arena *arena, struct policy_row **ret,
	size_t *ret_count, struct err *err);
/* name NULL: the default. ERR_NOT_FOUND. */
NODISCARD int store_policy_find(struct store_read *rd, const char *name, struct arena *arena,
	struct policy_row **ret, struct err *err);
/* row's name, description, settings and options. ERR_CONFLICT when the name is taken. */
NODISCARD int store_policy_add(
	struct store_tx *tx, const struct policy_row *row, uint64_t *ret, struct err *err);
/* NULL: as it is. What is the same already is no change. */
NODISCARD int store_policy_change(struct store_tx *tx, uint64_t id, const char *description,
	const char *settings, const char *options, struct err *err);
/* ERR_CONFLICT: it is the default, or for somebody. */
NODISCARD int store_policy_delete(struct store_tx *tx, uint64_t id, struct err *err);
NODISCARD int store_policy_set_default(struct store_tx *tx, uint64_t id, struct err *err);

/* Whom a policy is for: assignments to domains, groups and users, and the list of exceptions, users
 * and devices, which goes before all assignments. */
struct policy_scope {
	struct scope scope; /* of a group its name, of users and devices "" */
	bool exception;
	uint64_t policy; /* 0: none, of an exception */
};
NODISCARD int store_policy_scopes(struct store_read *rd, struct arena *arena,
	struct policy_scope **ret, size_t *ret_count, struct err *err);
/* In place of what was there for the scope. */
NODISCARD int store_policy_assign(
	struct store_tx *tx, const struct policy_scope *scope, struct err *err);
/* ERR_NOT_FOUND: there was nothing for it. */
NODISCARD int store_policy_unassign(
	struct store_tx *tx, const struct policy_scope *scope, struct err *err);

#endif
