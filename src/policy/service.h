#ifndef BELLHOP_POLICY_SERVICE_H
#define BELLHOP_POLICY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "conf/settings.h"
#include "policy/rules.h"
#include "store/store_access.h"

/*
 * The switches of mobile services (services.def): what holds for a user, and where it is said. The
 * most specific scope that says something counts: user, group, domain, organisation; else the
 * configuration. Pure but for services_load(). Any thread.
 */
enum service {
#define SERVICE(name, kind, minimum, maximum, unit, help) SERVICE_##name,
#include "policy/services.def"
#undef SERVICE
	SERVICE_COUNT
};

enum service_kind { SERVICE_BOOL, SERVICE_UINT, SERVICE_VERSIONS /* a bit for each version */ };

struct service_info {
	const char *name;
	enum service_kind kind;
	uint64_t minimum, maximum;
	const char *unit, *help;
};

const struct service_info *service_info(enum service service);
/* SERVICE_COUNT: there is none of that name. */
enum service service_find(const char *name);

/* What holds. */
struct services {
	uint64_t values[SERVICE_COUNT];
	struct scope from[SERVICE_COUNT]; /* meaningful where said has the bit */
	uint32_t said;                    /* a bit for each that some scope says */
	bool heartbeats_reverted;         /* the minimum exceeded the maximum */
};

/* What the configuration says. */
void service_defaults(const struct settings *settings, struct services *ret);
void services_resolve(const struct rules *rules, const struct rules_subject *subject,
	const struct settings *settings, struct services *ret);
/* The same for whoever has no more specific scope than that one: a group over the organisation. */
void services_resolve_group(const struct rules *rules, const struct scope *group,
	const struct settings *settings, struct services *ret);
static inline bool service_on(const struct services *s, enum service service)
{
	return s->values[service] != 0;
}
static inline bool service_limits_usage(const struct services *s)
{
	return s->values[SERVICE_items_per_day] != 0 || s->values[SERVICE_megabytes_per_day] != 0;
}
/* Is that version (times ten) among those of a switch? */
bool service_has_version(uint64_t versions, unsigned version);

/* "on", "off", "300", "2.5,12.1". In the arena. */
const char *service_print(enum service service, uint64_t value, struct arena *arena);
/* on/off (also true/false, yes/no, 1/0), a number, versions apart by commas or blanks.
 * ERR_BAD_INPUT says what is allowed. */
NODISCARD int service_parse(enum service service, const char *text, uint64_t *ret, struct err *err);

/* "14.1" -> 141; 0: not one that the protocol has. */
unsigned service_version_parse(const char *text);
/* "" for an unknown one. */
const char *service_version_to_str(unsigned version);
/* Those that the protocol has, one after the other; 0: no more. */
unsigned service_version_at(size_t i);

/* ---- of a snapshot ---- */

/* Fills rules->scope_values. */
NODISCARD int services_load(struct store_read *rd, struct rules *rules, struct err *err);
/* What is laid down as the default access for groups, domain, organisation; ACCESS_NONE: nothing.
 */
enum access_state services_access(
	const struct rules *rules, const struct rules_subject *subject, struct scope *ret_from);
enum access_state services_access_of_user(const struct rules *rules, struct owner_id user);
/* What is said for exactly that scope: false: nothing. */
bool services_said(
	const struct rules *rules, const struct scope *scope, enum service service, uint64_t *ret);

#endif
