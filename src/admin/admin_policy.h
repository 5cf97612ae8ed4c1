#ifndef BELLHOP_ADMIN_ADMIN_POLICY_H
#define BELLHOP_ADMIN_ADMIN_POLICY_H

#include "admin/admin_internal.h"
#include "policy/rules.h"
#include "store/store_policy.h"

/* What the verbs about policies share. */

/* The policy of the argument "policy"; the default one without it. */
NODISCARD int admin_policy_find(struct admin_call *call, struct policy_row **ret, struct err *err);
/* A boolean, a number, null or a list. */
json_t *admin_policy_value(const struct policy_setting *setting);
json_t *admin_policy_rules(const struct policy_rules *rules);
/* Whom the policy is for, as "assignments" and "exceptions" of the object. */
NODISCARD int admin_policy_put_scopes(
	struct admin_call *call, uint64_t policy, json_t *object, struct err *err);

#endif
