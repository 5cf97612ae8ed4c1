#ifndef BELLHOP_POLICY_ACCESS_H
#define BELLHOP_POLICY_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "policy/rules.h"
#include "store/store_access.h"

/*
 * Which devices may synchronize. What is asked, the first that has an answer counts:
 *
 *   1. what was laid down for this device of this user,
 *   2. what was laid down for the user,
 *   3. the rules, in their order,
 *   4. the defaults: of the user's groups, the domain, the organisation; else allow.
 *
 * A rule is conditions, all of which must hold:
 *
 *   type = iPhone and os = "iOS 12*" and version < 14.0
 *
 * Fields: type, model, os, agent, device (the DeviceId), version. `=` and `!=` take a pattern:
 * * stands for any text, ? for one character, \ takes the next one as it is; ASCII case does not
 * count. version also knows <, <=, > and >=. A value with blanks stands in "...".
 *
 * Pure. Any thread.
 */
struct access_rule;

/* What is known of a device. The texts are never NULL. */
struct access_facts {
	const char *device_id, *type, *model, *os, *agent;
	unsigned version; /* times ten */
	bool told;        /* the device has said its model and its system, or never will */
};

struct device;
struct settings;
/* Until when it may still say what it is; 0: it has, or will not. */
int64_t access_discovery_until(
	const struct device *device, unsigned version, const struct settings *settings);

enum access_match { ACCESS_NO, ACCESS_YES, ACCESS_UNKNOWN /* until the device has told more */ };

enum { ACCESS_RULE_MAX_BYTES = 500, ACCESS_CONDITIONS_MAX = 8 };

/* ERR_BAD_INPUT says what is wrong, and where. The rule lives in the arena. */
NODISCARD int access_rule_parse(
	const char *text, struct arena *arena, struct access_rule **ret, struct err *err);
enum access_match access_rule_match(
	const struct access_rule *rule, const struct access_facts *facts);
/* Does the whole text match? */
bool access_pattern_match(const char *pattern, const char *text);

enum access_from {
	ACCESS_FROM_DEFAULT, /* scope: whose */
	ACCESS_FROM_DEVICE,
	ACCESS_FROM_USER,
	ACCESS_FROM_RULE,
};

struct access_decision {
	enum access_state state;
	bool undecided;     /* a rule asks for what the device has not told; state is what holds
			       without it */
	uint64_t open_rule; /* when undecided: the first such rule */
	enum access_from from;
	uint64_t rule; /* when from a rule */
	struct scope scope;
};

/* own: what was laid down for the device; ACCESS_NONE: nothing. */
void access_decide(const struct rules *rules, const struct rules_subject *subject,
	enum access_state own, const struct access_facts *facts, struct access_decision *ret);
/* "rule 3", "the device", "the user", "the default", "the default of domain example.org". In the
 * arena. */
const char *access_reason(const struct access_decision *decision, struct arena *arena);

/* The rules of a snapshot, compiled; in its order. One that does not parse any more is left out. */
struct access_rules;
NODISCARD int access_rules_load(struct store_read *rd, struct arena *arena,
	const struct access_rules **ret, struct err *err);

/* ---- the message that a device in quarantine gets ---- */

/* administrators_told: access.notify names somebody; else the text asks the user to tell one. */
const char *access_text_built_in(enum access_text which, bool administrators_told);
/* Stands for words in braces: {user}, {device}, {type}, {model}, {os}, {agent}, {version}. {{ is a
 * brace. ERR_BAD_INPUT names an unknown one. */
NODISCARD int access_text_check(const char *text, struct err *err);
void access_text_expand(
	const char *text, const char *user, const struct access_facts *facts, struct buf *out);

#endif
