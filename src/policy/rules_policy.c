/*
 * The policies in the picture of the rules, and which of them a phone has. What a damaged row says
 * beyond what this program knows is left out, so that one row cannot keep everybody out. No state.
 */
#include "base/mem.h"
#include "policy/rules.h"
#include "store/store_policy.h"

/* 2.5; 12.0; all later ones. */
static size_t form_of(unsigned version)
{
	return version < 120 ? 0 : version < 121 ? 1 : 2;
}

static void fill(struct rules_policy *p, const struct policy_row *row, struct arena *arena)
{
	static const unsigned versions[] = {25, 120, 161};

	*p = (struct rules_policy){.id = row->id,
		.name = row->name,
		.is_default = row->is_default,
		.version = row->version,
		.document = policy_restore(row->settings, arena),
		.options = policy_options_restore(row->options)};
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		p->hashes[form_of(versions[i])] = policy_hash(p->document, versions[i]);
}

uint64_t rules_policy_hash(const struct rules_policy *policy, unsigned version)
{
	return policy->hashes[form_of(version)];
}

static const struct rules_policy *policy_of(const struct rules *rules, uint64_t id)
{
	for (size_t i = 0; i < rules->policy_count; i++) {
		if (rules->policies[i].id == id)
			return &rules->policies[i];
	}
	return id == 0 ? rules->no_policy : NULL;
}

static int load_scopes(struct store_read *rd, struct rules *rules, struct err *err)
{
	struct policy_scope *scopes;
	size_t count;

	rules->policy_assignments = rules_table_new(rules);
	rules->policy_exceptions = rules_table_new(rules);
	if (store_policy_scopes(rd, rules->arena, &scopes, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct rules_policy *policy = policy_of(rules, scopes[i].policy);

		if (policy != NULL)
			rules_table_put(scopes[i].exception ? rules->policy_exceptions
							    : rules->policy_assignments,
				&scopes[i].scope, policy);
	}
	return 0;
}

int rules_load_policies(struct store_read *rd, struct rules *rules, struct err *err)
{
	static const struct policy_row exempt = {
		.name = "", .settings = "", .options = "{\"required\":false}"};
	struct rules_policy *none = arena_x_new(rules->arena, struct rules_policy);
	struct policy_row *rows;
	size_t count;

	if (store_policy_list(rd, rules->arena, &rows, &count, err) < 0)
		return -1;
	if (count == 0 || !rows[0].is_default)
		return err_set(err, ERR_BACKEND, "there is no default policy");
	fill(none, &exempt, rules->arena);
	rules->no_policy = none;
	rules->policies = arena_x_alloc(rules->arena, count * sizeof(*rules->policies));
	rules->policy_count = count;
	for (size_t i = 0; i < count; i++)
		fill(&rules->policies[i], &rows[i], rules->arena);
	return load_scopes(rd, rules, err);
}

const struct rules_policy *rules_policy(const struct rules *rules,
	const struct rules_subject *subject, struct rules_policy_from *ret_from)
{
	struct rules_policy_from from = {.exception = true};
	const struct rules_policy *policy =
		rules_pick(rules, rules->policy_exceptions, subject, &from.scope);

	if (policy == NULL) {
		from.exception = false;
		policy = rules_pick(rules, rules->policy_assignments, subject, &from.scope);
	}
	if (policy == NULL) {
		from.scope = (struct scope){.kind = SCOPE_ORG, .name = ""};
		policy = &rules->policies[0];
	}
	if (ret_from != NULL)
		*ret_from = from;
	return policy;
}
