/*
 * Policies: the table of settings, the gate, and what a policy says beyond its document. No state;
 * any thread. The document itself: policy_document.c.
 */
#include "policy/policy.h"

#include <jansson.h>

#include "base/mem.h"
#include "base/str.h"

/* ---- options ---- */

static const struct policy_options no_say = {-1, -1, -1, -1, -1, -1};

enum { REFRESH_MAX_H = 9999 };

static int *flag_of(struct policy_options *o, const char *name)
{
	if (str_eq(name, "required"))
		return &o->required;
	if (str_eq(name, "allow_non_provisionable"))
		return &o->allow_non_provisionable;
	if (str_eq(name, "allow_partial"))
		return &o->allow_partial;
	if (str_eq(name, "allow_refused"))
		return &o->allow_refused;
	return str_eq(name, "allow_other") ? &o->allow_other : NULL;
}

static int apply_option(
	struct policy_options *o, const char *name, const json_t *value, struct err *err)
{
	int *flag = flag_of(o, name);

	if (flag != NULL) {
		if (!json_is_boolean(value) && !json_is_null(value))
			return err_set(err, ERR_BAD_INPUT,
				"policy option %s is true, false, or null for the default", name);
		*flag = json_is_null(value) ? -1 : json_is_true(value);
		return 0;
	}
	if (!str_eq(name, "refresh_interval_h"))
		return err_set(err, ERR_BAD_INPUT, "no policy option is called \"%.60s\"", name);
	if (json_is_null(value)) {
		o->refresh_interval_h = -1;
		return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		json_integer_value(value) > REFRESH_MAX_H)
		return err_set(err, ERR_BAD_INPUT,
			"policy option refresh_interval_h is a number of hours up to %d, 0 for "
			"never, or null for the default",
			REFRESH_MAX_H);
	o->refresh_interval_h = json_integer_value(value);
	return 0;
}

/* strict: the first mistake ends it; else what is wrong is left out. */
static int apply_options(struct policy_options *o, const char *json, bool strict, struct err *err)
{
	json_error_t where;
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &where), *value;
	const char *name;
	int result = 0;

	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(err, ERR_BAD_INPUT, "the options of a policy are a JSON object");
	}
	json_object_foreach(root, name, value)
	{
		if (result == 0 && apply_option(o, name, value, err) < 0 && strict)
			result = -1;
	}
	json_decref(root);
	return result;
}

int policy_options_parse(const char *json, struct policy_options *ret, struct err *err)
{
	struct policy_options options = no_say;

	if (json[0] != '\0' && apply_options(&options, json, true, err) < 0)
		return -1;
	*ret = options;
	return 0;
}

struct policy_options policy_options_restore(const char *json)
{
	struct policy_options options = no_say;
	struct err ignored = ERR_INIT;

	if (json[0] != '\0')
		(void)apply_options(&options, json, false, &ignored);
	return options;
}

void policy_options_resolve(const struct policy_options *options,
	const struct policy_rules *fallback, struct policy_rules *ret)
{
	bool lenient = options->allow_non_provisionable >= 0 ? options->allow_non_provisionable
							     : fallback->allow_non_provisionable;

	*ret = (struct policy_rules){
		.required = options->required >= 0 ? options->required : fallback->required,
		.allow_non_provisionable = lenient,
		.allow_partial = options->allow_partial >= 0 ? options->allow_partial : lenient,
		.allow_refused = options->allow_refused >= 0 ? options->allow_refused : lenient,
		.allow_other = options->allow_other >= 0 ? options->allow_other : lenient,
		.refresh_interval_h = options->refresh_interval_h >= 0
					      ? (uint32_t)options->refresh_interval_h
					      : fallback->refresh_interval_h,
	};
}

/* ---- acknowledgments ---- */

const char *policy_status_to_str(unsigned status)
{
	static const char *const names[] = {"none", "full", "partial", "refused", "other"};

	return status < ARRAY_LEN(names) ? names[status] : "other";
}

bool policy_accepts(const struct policy_rules *rules, unsigned status)
{
	switch (status) {
	case POLICY_STATUS_FULL:
		return true;
	case POLICY_STATUS_PARTIAL:
		return rules->allow_partial;
	case POLICY_STATUS_REFUSED:
		return rules->allow_refused;
	default:
		return rules->allow_other;
	}
}

/* ---- the gate ---- */

int64_t policy_refresh_at(const struct device *device, const struct policy_rules *rules)
{
	if (!rules->required || rules->refresh_interval_h == 0 || device->policy_key == 0)
		return 0;
	return device->provisioned_at + (int64_t)rules->refresh_interval_h * 3600;
}

static bool refresh_due(
	const struct device *device, const struct policy_rules *rules, int64_t now_at)
{
	int64_t at = policy_refresh_at(device, rules);

	return at != 0 && now_at >= at;
}

/* It has a key, to a document that is not its own any more, or to one it may not answer so. */
static bool outdated(const struct device *device, uint64_t hash, const struct policy_rules *rules)
{
	return device->policy_version != hash || !policy_accepts(rules, device->policy_status);
}

bool policy_never_provisions(const char *device_type)
{
	return str_eq_nocase(device_type, "TestActiveSyncConnectivity");
}

/* Need not provision; but one that did once still obeys what it was told then, and should hear that
 * it need not. */
static bool should_hear(const struct device *device, uint64_t hash, unsigned told)
{
	return device->policy_key != 0 && device->policy_version != hash && told < POLICY_TELLINGS;
}

enum policy_gate policy_check(const struct device *device, uint64_t hash,
	const struct policy_rules *rules, const struct policy_request *request, int64_t now_at)
{
	if (device->wipe != WIPE_NONE)
		return POLICY_WIPE;
	if (!rules->required)
		return request->key_sent && request->key == device->policy_key &&
				       should_hear(device, hash, request->told)
			       ? POLICY_KEY_INVALID
			       : POLICY_PASS;
	/* A phone of old that knows nothing of policies never sends the header. That it cannot, and
	 * not merely has not yet, shows when it comes again and again all the same. */
	if (request->never_provisions && request->key == 0)
		return rules->allow_non_provisionable ? POLICY_PASS : POLICY_LEGACY;
	if (!request->key_sent && request->version <= 25) {
		if (!rules->allow_non_provisionable)
			return POLICY_LEGACY;
		return request->told >= POLICY_TELLINGS ? POLICY_PASS : POLICY_NOT_PROVISIONED;
	}
	if (request->key == 0 || device->policy_key == 0)
		return POLICY_NOT_PROVISIONED;
	if (request->key != device->policy_key || outdated(device, hash, rules))
		return POLICY_KEY_INVALID;
	return refresh_due(device, rules, now_at) ? POLICY_REFRESH : POLICY_PASS;
}

/* Waits without a key, which it must have: it never had to provision, or was kept out, or stopped
 * in the middle. */
static enum policy_gate pending_without_key(
	const struct device *device, uint64_t hash, const struct policy_rules *rules, unsigned told)
{
	unsigned status = device->policy_status;

	/* It has seen the document as it is, and what it said of that counts as it did: it was told
	 * all that there is. */
	if (device->policy_key_temporary != 0 && device->policy_version == hash &&
		(status <= POLICY_STATUS_FULL || !policy_accepts(rules, status)))
		return POLICY_PASS;
	if (policy_never_provisions(device->device_type))
		return rules->allow_non_provisionable ? POLICY_PASS : POLICY_LEGACY;
	/* As for a command: one of old that was told often enough cannot. */
	if (device->policy_key_temporary == 0 && device->protocol_version <= 25 &&
		rules->allow_non_provisionable && told >= POLICY_TELLINGS)
		return POLICY_PASS;
	return POLICY_NOT_PROVISIONED;
}

enum policy_gate policy_pending(const struct device *device, uint64_t hash,
	const struct policy_rules *rules, unsigned told, int64_t now_at)
{
	if (device->wipe != WIPE_NONE)
		return POLICY_WIPE;
	if (device->policy_key == 0)
		return rules->required ? pending_without_key(device, hash, rules, told)
				       : POLICY_PASS;
	if (rules->required ? outdated(device, hash, rules) : should_hear(device, hash, told))
		return POLICY_KEY_INVALID;
	return refresh_due(device, rules, now_at) ? POLICY_REFRESH : POLICY_PASS;
}
