#ifndef BELLHOP_ADMIN_ADMIN_POLICY_H
#define BELLHOP_ADMIN_ADMIN_POLICY_H

#include "admin/admin_internal.h"
#include "policy/effective.h"
#include "policy/rules.h"
#include "store/store_policy.h"

/* What the verbs about policies share. */

/* The policy of the argument "policy"; the default one without it. */
NODISCARD int admin_policy_find(struct admin_call *call, struct policy_row **ret, struct err *err);
/* A boolean, a number, null or a list. */
json_t *admin_policy_value(const struct policy_setting *setting);
/* What such phones do with it: "ios" and "ios_confirmed"; with words "ios_note" and "ios_source".
 */
void admin_policy_put_finding(json_t *object, const struct policy_setting_info *info,
	enum policy_platform platform, bool words);
json_t *admin_policy_rules(const struct policy_rules *rules);
/* The phones that a policy is for, whether they have it or not, and what they answered to it as it
 * is now; POLICY_STATUS_NONE: nothing yet. */
struct admin_policy_count {
	uint64_t policy, devices;
	uint64_t by_status[POLICY_STATUS_OTHER + 1];
};
/* Of all policies, the default first, then by name, as store_policy_list() has them. Reads a row of
 * every phone. In the arena. */
NODISCARD int admin_policy_count(
	struct admin_call *call, struct admin_policy_count **ret, struct err *err);
void admin_policy_put_count(json_t *object, const struct admin_policy_count *count);
/* Whom the policy is for, as "assignments" and "exceptions" of the object. */
NODISCARD int admin_policy_put_scopes(
	struct admin_call *call, uint64_t policy, json_t *object, struct err *err);

#endif
