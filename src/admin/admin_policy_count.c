/*
 * How many phones each policy is for, and what they answered. One pass over all phones, of which
 * only what decides is read. Threads and transactions: see admin.c.
 */
#include "admin/admin_policy.h"
#include "base/mem.h"
#include "policy/policy.h"
#include "store/store_page.h"

struct counting {
	const struct rules *rules;
	struct admin_policy_count *counts; /* as rules->policies */
};

static int count_one(void *owner, const struct store_device_policy *d, struct err *err)
{
	struct counting *c = owner;
	const struct rules_subject subject = {d->user, d->device, d->domain};
	const struct rules_policy *policy = rules_policy(c->rules, &subject, NULL);
	struct admin_policy_count *count;

	(void)err;
	if (policy->id == 0)
		return 1; /* exempt */
	count = &c->counts[policy - c->rules->policies];
	count->devices++;
	if (d->policy_version != rules_policy_hash(policy, d->protocol_version))
		count->by_status[POLICY_STATUS_NONE]++;
	else
		count->by_status[MIN(d->policy_status, (unsigned)POLICY_STATUS_OTHER)]++;
	return 1;
}

int admin_policy_count(struct admin_call *call, struct admin_policy_count **ret, struct err *err)
{
	struct counting c;

	if (admin_need_rules(call, err) < 0)
		return -1;
	c.rules = call->rules;
	c.counts = arena_x_alloc(call->arena, c.rules->policy_count * sizeof(*c.counts));
	for (size_t i = 0; i < c.rules->policy_count; i++)
		c.counts[i] = (struct admin_policy_count){.policy = c.rules->policies[i].id};
	if (store_device_walk_policies(call->rd, count_one, &c, err) < 0)
		return -1;
	*ret = c.counts;
	return 0;
}

void admin_policy_put_count(json_t *object, const struct admin_policy_count *count)
{
	admin_put_number(object, "devices", count->devices);
	for (unsigned i = POLICY_STATUS_FULL; i <= POLICY_STATUS_OTHER; i++)
		admin_put_number(object, policy_status_to_str(i), count->by_status[i]);
	admin_put_number(object, "waiting", count->by_status[POLICY_STATUS_NONE]);
}
