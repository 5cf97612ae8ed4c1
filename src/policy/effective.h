#ifndef BELLHOP_POLICY_EFFECTIVE_H
#define BELLHOP_POLICY_EFFECTIVE_H

#include "policy/policy.h"

/*
 * What phones really do with a policy, as far as their makers have written it down (effective.def).
 * Pure. Any thread.
 */
enum policy_platform {
	POLICY_PLATFORM_UNKNOWN,
	POLICY_IOS,
	POLICY_ANDROID,
	POLICY_WINDOWS_MOBILE,
	POLICY_PLATFORMS
};
/* By what the phone says of itself. */
enum policy_platform policy_platform_of(const struct device *device);
/* "unknown", "ios", "android", "windows_mobile". */
const char *policy_platform_to_str(enum policy_platform platform);

enum policy_effect {
	POLICY_EFFECT_UNKNOWN,
	POLICY_EFFECT_ENFORCED,
	POLICY_EFFECT_IGNORED,
	POLICY_EFFECT_REFUSED,  /* it says that it cannot */
	POLICY_EFFECT_NOT_SENT, /* the protocol version of the phone has no such setting */
	POLICY_EFFECT_OFF,      /* no password is asked for, so nothing of passwords counts */
	POLICY_EFFECTS
};
const char *policy_effect_to_str(enum policy_effect effect);

struct policy_finding {
	enum policy_effect effect;
	const char *note; /* "", or what is to be added */
	const char
		*source; /* where it is written; "": nowhere that we could read, so unconfirmed */
};
struct policy_finding policy_effect_of(
	const struct policy_setting_info *info, enum policy_platform platform);
/* The same for one phone, with its version and the rest of its policy. */
struct policy_finding policy_effect_on(const struct policy *policy,
	const struct policy_setting *setting, const struct device *device);

#endif
