/*
 * The gate: its steps in their order. No state of its own but the count of how often a phone was
 * told to provision, which is the server's memory; any thread.
 */
#include "eas/gate.h"

#include <assert.h>

#include "base/mem.h"
#include "eas/command.h"
#include "eas/gate_internal.h"
#include "policy/wipe.h"

static bool needs_no_key(const struct gate_subject *s)
{
	return s->query != NULL && eas_command_info(s->query->command)->no_policy_key;
}

/* A pending one: nothing but Provision, which brings it, and Ping, which tells to provision. Once
 * wiped the phone stays out; it may repeat an acknowledgment whose answer it did not get. */
static enum gate_answer check_wipe(const struct gate_subject *s, struct gate_verdict *v)
{
	bool provisions = s->query != NULL && s->query->command == EAS_CMD_Provision;

	if (s->device == NULL || s->device->wipe == WIPE_NONE)
		return GATE_NEXT;
	if (s->device->wipe == WIPE_DONE)
		return provisions ? GATE_PASS : gate_stop(v, EAS_STATUS_DEVICE_BLOCKED);
	/* It cannot be told to erase the account alone, and is never told to erase more. */
	if (s->device->wipe_account && s->version < WIPE_ACCOUNT_SINCE)
		return gate_stop(v, EAS_STATUS_DEVICE_BLOCKED);
	if (needs_no_key(s) || (s->query == NULL && s->provisioning_known))
		return GATE_PASS;
	v->provision = true;
	return gate_stop(v, EAS_STATUS_REMOTE_WIPE);
}

/* A waiting phone sends no key: would its next command be turned away? */
static enum gate_answer check_waiting_policy(const struct gate_subject *s, struct gate_verdict *v)
{
	struct policy_rules rules;
	const struct rules_policy *policy =
		eas_policy(s->settings, s->rules, s->user, s->device->id, &rules);
	enum policy_gate gate = policy_pending(s->device, rules_policy_hash(policy, s->version),
		&rules, eas_pending_seen(s->server, s->device->id), s->now_at);

	if (s->provisioning_known || gate == POLICY_PASS)
		return GATE_NEXT;
	v->provision = true;
	return gate_stop(v, gate);
}

static enum gate_answer check_asking_policy(const struct gate_subject *s, struct gate_verdict *v)
{
	struct policy_request request = {s->query->policy_key, s->query->policy_key_sent,
		(uint16_t)s->version, 0, policy_never_provisions(s->query->device_type)};
	struct policy_rules rules;
	const struct rules_policy *policy =
		eas_policy(s->settings, s->rules, s->user, s->device->id, &rules);
	/* A device that only tries an account out has no row and no memory. */
	bool counts = (!request.key_sent || !rules.required) && s->device->id.v != 0;
	enum policy_gate gate;

	if (counts)
		request.told = eas_pending_seen(s->server, s->device->id);
	gate = policy_check(
		s->device, rules_policy_hash(policy, s->version), &rules, &request, s->now_at);
	if (gate == POLICY_PASS)
		return GATE_NEXT;
	if (counts)
		(void)eas_pending_count(s->server, s->device->id);
	v->provision = true;
	return gate_stop(v, gate);
}

static enum gate_answer check_policy(const struct gate_subject *s, struct gate_verdict *v)
{
	if (s->query == NULL)
		return check_waiting_policy(s, v);
	return needs_no_key(s) ? GATE_NEXT : check_asking_policy(s, v);
}

static const struct {
	bool of_device; /* cannot be asked without one */
	enum gate_answer (*check)(const struct gate_subject *s, struct gate_verdict *v);
} steps[GATE_STEPS] = {
	[GATE_WIPE] = {false, check_wipe},
	[GATE_USER] = {false, gate_check_user},
	[GATE_ACCESS] = {true, gate_check_access},
	[GATE_SERVICE] = {false, gate_check_service},
	[GATE_POLICY] = {true, check_policy},
};

enum gate_answer gate_check(const struct gate_subject *subject, enum gate_step first,
	enum gate_step last, struct gate_verdict *ret)
{
	*ret = (struct gate_verdict){.status = 0};
	assert(last < GATE_STEPS);
	for (int step = (int)first; step <= (int)last; step++) {
		enum gate_answer answer;

		assert(subject->device != NULL || !steps[step].of_device);
		answer = steps[step].check(subject, ret);
		if (answer == GATE_NEXT)
			continue;
		if (answer == GATE_STOP)
			ret->step = (enum gate_step)step;
		return answer;
	}
	return GATE_NEXT;
}
