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
 * default, which demands nothing. Which policy is whose: policy/rules.h. Pure. Any thread.
 */

/* ---- the table of settings ---- */

enum policy_kind { POLICY_BOOL, POLICY_NUMBER, POLICY_NAMES, POLICY_HASHES, POLICY_KINDS };
/* As people are shown them; classic: what every version since 2.5 can say. */
enum policy_group {
	POLICY_CLASSIC,
	POLICY_PASSWORD,
	POLICY_ENCRYPTION,
	POLICY_DEVICE,
	POLICY_APPLICATIONS,
	POLICY_MAIL,
	POLICY_SMIME,
	POLICY_GROUPS
};

#define POLICY_EMPTY (-2)
enum { POLICY_LIST_MAX = 200, POLICY_LIST_TEXT_MAX = 255 };

struct policy_setting_info {
	const char *name;  /* "MinDevicePasswordLength" */
	unsigned tag;      /* enum wbxml_tag */
	unsigned item_tag; /* of what a list holds */
	enum policy_kind kind;
	enum policy_group group;
	uint16_t since;                     /* protocol version times ten, of EASProvisionDoc */
	bool wap;                           /* 2.5 can say it */
	int64_t fallback, minimum, maximum; /* POLICY_EMPTY: no limit, null in JSON */
	const char *unit, *text;
};
/* In the order in which people are shown them. */
extern const struct policy_setting_info policy_settings[];
extern const size_t policy_settings_count;

const char *policy_kind_to_str(enum policy_kind kind);
const char *policy_group_to_str(enum policy_group group);

/* ---- a document ---- */

struct policy_setting {
	const struct policy_setting_info *info;
	int64_t value;
	bool empty; /* sent as an empty element: no limit */
	const char *const *list;
	size_t list_count;
};

struct policy {
	size_t count;
	const struct policy_setting *settings; /* in the order of the wire */
};

/* ERR_BAD_INPUT names the setting, its value and what is allowed. "" is the default document. */
NODISCARD int policy_parse(
	const char *json, struct arena *arena, struct policy **ret, struct err *err);
/* The same for what is in the database: what this program does not know, or would not take, has its
 * default. */
struct policy *policy_restore(const char *json, struct arena *arena);
const struct policy_setting *policy_find(const struct policy *policy, const char *name);
/* The value of a setting; 0 when the name is unknown or there is no limit. */
int64_t policy_value(const struct policy *policy, const char *name);
/* Does it say anything but the defaults? */
bool policy_setting_is_default(const struct policy_setting *setting);
/* As a phone of that protocol version is sent it: numbers within the bounds of that version. */
int64_t policy_wire_value(const struct policy_setting *setting, unsigned version);
/* The 2.5 form, MS-WAP-Provisioning-XML ([MS-ASPROV] 2.2.2.24.2). */
void policy_to_wap(const struct policy *policy, struct buf *out);
/* Of all that it says, and of the form in which a phone of that protocol version is sent it (2.5,
 * 12.0, 12.1 and later). Never 0, at most INT64_MAX. */
uint64_t policy_hash(const struct policy *policy, unsigned version);

/* ---- beyond the document ---- */

/* What the phone said of the document ([MS-ASPROV] 2.2.2.54). */
enum policy_status {
	POLICY_STATUS_NONE = 0, /* nothing yet */
	POLICY_STATUS_FULL = 1,
	POLICY_STATUS_PARTIAL = 2,
	POLICY_STATUS_REFUSED = 3,
	POLICY_STATUS_OTHER = 4, /* others manage it */
};
const char *policy_status_to_str(unsigned status);

/* Each -1 where the next has the say: allow_partial, _refused and _other fall back to
 * allow_non_provisionable, and all others to the configuration. */
struct policy_options {
	int required, allow_non_provisionable, allow_partial, allow_refused, allow_other;
	int64_t refresh_interval_h;
};
/* ERR_BAD_INPUT. "" has no say in anything. */
NODISCARD int policy_options_parse(const char *json, struct policy_options *ret, struct err *err);
struct policy_options policy_options_restore(const char *json);

struct policy_rules {
	bool required; /* phones must provision at all */
	bool allow_non_provisionable, allow_partial, allow_refused, allow_other;
	uint32_t refresh_interval_h; /* 0: never */
};
/* fallback: what the configuration says; its allow_partial and so on do not count. */
void policy_options_resolve(const struct policy_options *options,
	const struct policy_rules *fallback, struct policy_rules *ret);
/* Is a phone let in which said so? */
bool policy_accepts(const struct policy_rules *rules, unsigned status);

/* ---- may it go on? ---- */

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

/* How often a phone that sends no key, or need not obey, is told to provision before it counts as
 * one that cannot. */
#define POLICY_TELLINGS 3

struct policy_request {
	uint32_t key;
	bool key_sent;         /* the request carried one, be it 0 */
	uint16_t version;      /* times ten */
	unsigned told;         /* how often in a row the phone was turned away */
	bool never_provisions; /* a client that is known not to be able to, whatever its version */
};

/* Known not to be able to, whatever its version: Microsoft's tester of connections. */
bool policy_never_provisions(const char *device_type);

/* hash: policy_hash() of the phone's policy, for the version that it speaks. */
enum policy_gate policy_check(const struct device *device, uint64_t hash,
	const struct policy_rules *rules, const struct policy_request *request, int64_t now_at);
/* The same for a phone that waits and so sends no key: what would its next command meet? */
enum policy_gate policy_pending(const struct device *device, uint64_t hash,
	const struct policy_rules *rules, unsigned told, int64_t now_at);
/* When the phone is to provision again by itself; 0: never. */
int64_t policy_refresh_at(const struct device *device, const struct policy_rules *rules);

#endif
