/*
 * The steps of the gate that access and services decide. No state; any thread.
 */
#include "eas/access.h"
#include "eas/command.h"
#include "eas/gate_internal.h"
#include "policy/access.h"
#include "policy/service.h"

enum gate_answer gate_check_user(const struct gate_subject *s, struct gate_verdict *v)
{
	if (s->user->disabled || !service_on(s->services, SERVICE_sync))
		return gate_stop(v, EAS_STATUS_USER_DISABLED);
	return GATE_NEXT;
}

/* ---- access ---- */

/* What a phone in quarantine may still ask; ItemOperations and Settings look closer themselves. */
static bool may_ask_in_quarantine(const struct gate_subject *s)
{
	if (s->query == NULL)
		return true;
	switch (s->query->command) {
	case EAS_CMD_Provision:
	case EAS_CMD_Settings:
	case EAS_CMD_FolderSync:
	case EAS_CMD_Sync:
	case EAS_CMD_Ping:
	case EAS_CMD_GetItemEstimate:
	case EAS_CMD_ItemOperations:
		return true;
	default:
		return false;
	}
}

/* From 14.1 on a phone says what it is when it provisions; before, when it likes, in Settings. */
static enum gate_answer wait_for_information(const struct gate_subject *s, struct gate_verdict *v)
{
	enum eas_command command = s->query != NULL ? s->query->command : EAS_CMD_Ping;
	bool asked = s->query != NULL && command != EAS_CMD_Ping;

	v->mute = EAS_MUTE_SILENT;
	if (s->version < 141) {
		v->mute_until_at = access_discovery_until(s->device, s->version, s->settings);
		return may_ask_in_quarantine(s) ? GATE_NEXT
						: gate_stop(v, EAS_STATUS_DEVICE_BLOCKED);
	}
	if (command == EAS_CMD_Provision || command == EAS_CMD_Settings)
		return GATE_NEXT;
	/* A Ping goes on to the look, which asks again without a query. */
	if (!asked && (s->query != NULL || s->provisioning_known))
		return GATE_NEXT;
	v->provision = true;
	return gate_stop(v, EAS_STATUS_NOT_PROVISIONED);
}

enum gate_answer gate_check_access(const struct gate_subject *s, struct gate_verdict *v)
{
	const struct rules_subject subject = {s->user->id, s->device->id, s->user->domain};
	struct access_facts facts;

	eas_access_facts(s->device, s->query != NULL ? s->query->user_agent : NULL, s->version,
		s->settings, s->now_at, &facts);
	access_decide(
		s->rules, &subject, (enum access_state)s->device->access_own, &facts, &v->access);
	v->judged = true;
	if (v->access.undecided)
		return wait_for_information(s, v);
	if (v->access.state == ACCESS_BLOCK)
		return gate_stop(v, EAS_STATUS_DEVICE_BLOCKED);
	if (v->access.state != ACCESS_QUARANTINE)
		return GATE_NEXT;
	v->mute = EAS_MUTE_NOTICE;
	return may_ask_in_quarantine(s) ? GATE_NEXT : gate_stop(v, EAS_STATUS_DEVICE_BLOCKED);
}

/* ---- services ---- */

static bool version_fits(const struct gate_subject *s)
{
	if (!service_has_version(s->services->values[SERVICE_versions], s->version))
		return false;
	return s->device == NULL || s->device->ceiling == 0 || s->version <= s->device->ceiling;
}

enum gate_answer gate_check_service(const struct gate_subject *s, struct gate_verdict *v)
{
	enum eas_command command = s->query != NULL ? s->query->command : EAS_CMD_Sync;

	if (s->plain && !service_on(s->services, SERVICE_plain_http)) {
		v->http = 403;
		return gate_stop(v, EAS_STATUS_ACCESS_DENIED);
	}
	/* One that has never asked has no version. */
	if ((s->query != NULL || s->version != 0) && !version_fits(s))
		return gate_stop(v, EAS_STATUS_VERSION_NOT_SUPPORTED);
	if (service_on(s->services, SERVICE_direct_push))
		return GATE_NEXT;
	/* A Sync that waits is answered, and told when it asks again (sync.c). */
	if (command == EAS_CMD_Ping || s->waits_by_ping)
		return gate_stop(v, EAS_STATUS_COMMAND_NOT_SUPPORTED);
	return GATE_NEXT;
}
