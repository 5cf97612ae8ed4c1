#ifndef BELLHOP_POLICY_POLICY_H
#define BELLHOP_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Device policies ([MS-ASPROV] 2.2.2.28): what a phone is told to enforce, and whether it may go
 * on. The document is kept as a JSON object of EASProvisionDoc settings; what is absent has its
 * default, which demands nothing. Pure but for policy_load(). Any thread.
 */
struct policy_setting {
	const char *name; /* "MinDevicePasswordLength" */
	unsigned tag;     /* enum wbxml_tag */
	uint16_t since;   /* protocol version times ten */
	int64_t value;
	bool empty; /* sent as an empty element: no limit */
};

struct policy {
	uint64_t version;
	size_t count;
	const struct policy_setting *settings; /* in the order of the specification */
};

/* The policy in force, in the arena. */
NODISCARD int policy_load(
	struct store_read *rd, struct arena *arena, struct policy **ret, struct err *err);
/* ERR_BAD_INPUT names the setting, its value and what is allowed. "" is the default document. */
NODISCARD int policy_parse(
	const char *json, struct arena *arena, struct policy **ret, struct err *err);
/* The value of a setting; the default when the name is unknown is 0. */
int64_t policy_value(const struct policy *policy, const char *name);
/* The 2.5 form, MS-WAP-Provisioning-XML ([MS-ASPROV] 2.2.2.24.2). */
void policy_to_wap(const struct policy *policy, struct buf *out);

/* What stands between a phone and its commands ([MS-ASPROV] 3.2.5.1). The numbers are common
 * statuses. */
enum policy_gate {
	POLICY_PASS = 0,
	POLICY_WIPE = 140,
	POLICY_LEGACY = 141,
	POLICY_NOT_PROVISIONED = 142,
	POLICY_REFRESH = 143,
	POLICY_KEY_INVALID = 144,
};

struct policy_rules {
	bool required; /* phones must provision at all */
	bool allow_non_provisionable;
	uint32_t refresh_interval_h; /* 0: never */
};

/* How often a phone that sends no key is told to provision before it counts as one that cannot. */
#define POLICY_TELLINGS 3

/* How often a phone that sends no key is told to provision before it counts as one that cannot. */
#define POLICY_TELLINGS 3

struct policy_request {
	uint32_t key;
	bool key_sent;    /* the request carried one, be it 0 */
	uint16_t version; /* times ten */
	unsigned told;    /* how often in a row the phone was turned away */
	bool never_provisions; /* a client that is known not to be able to, whatever its version */
};

enum policy_gate policy_check(const struct device *device, uint64_t policy_version,
	const struct policy_rules *rules, const struct policy_request *request, int64_t now_at);
/* The same for a phone that waits and so sends no key: would its next command be turned away? */
bool policy_pending(const struct device *device, uint64_t policy_version,
	const struct policy_rules *rules, int64_t now_at);

#endif
