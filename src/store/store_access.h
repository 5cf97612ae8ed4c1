#ifndef BELLHOP_STORE_STORE_ACCESS_H
#define BELLHOP_STORE_STORE_ACCESS_H

#include "store/store_rules.h"

/*
 * Which devices may synchronize, and with what: access rules, the switches of mobile services, what
 * is laid down for single devices, and how much a device was sent today. What counts for many is
 * part of the rules in memory (policy/rules.h); what is about one device stands in its row.
 */
/* The numbers are stored. */
enum access_state {
	ACCESS_NONE = 0, /* nothing is laid down */
	ACCESS_ALLOW = 1,
	ACCESS_BLOCK = 2,
	ACCESS_QUARANTINE = 3,
	ACCESS_STATES
};
/* "none", "allow", "block", "quarantine". */
const char *access_state_to_str(enum access_state state);
/* ACCESS_STATES: no such word. */
enum access_state access_state_find(const char *text);

/* ---- rules, in their order ---- */
struct access_rule_row {
	uint64_t id;
	uint64_t position; /* 1 is asked first */
	enum access_state state;
	const char *rule; /* policy/access.h */
	const char *note; /* for people */
};
enum { STORE_ACCESS_RULES_MAX = 1000 };
NODISCARD int store_access_rules(struct store_read *rd, struct arena *arena,
	struct access_rule_row **ret, size_t *ret_count, struct err *err);
/* position 0, or behind the last: at the end. ERR_QUOTA: there are STORE_ACCESS_RULES_MAX. */
NODISCARD int store_access_rule_add(
	struct store_tx *tx, const struct access_rule_row *row, uint64_t *ret_id, struct err *err);
/* ERR_NOT_FOUND. */
NODISCARD int store_access_rule_delete(struct store_tx *tx, uint64_t id, struct err *err);
NODISCARD int store_access_rule_move(
	struct store_tx *tx, uint64_t id, uint64_t position, struct err *err);

/* ---- values laid down for scopes: services, and "access" (enum access_state) ---- */
struct scope_value {
	struct scope scope; /* name: what people call it */
	const char *name;
	uint64_t value;
};
#define STORE_VALUE_ACCESS "access"
NODISCARD int store_scope_values(struct store_read *rd, struct arena *arena,
	struct scope_value **ret, size_t *ret_count, struct err *err);
/* 1: changed, 0: it was so already. */
NODISCARD int store_scope_value_set(
	struct store_tx *tx, const struct scope_value *value, struct err *err);
NODISCARD int store_scope_value_unset(
	struct store_tx *tx, const struct scope *scope, const char *name, struct err *err);
/* All of a scope that goes. */
NODISCARD int store_scope_values_forget(
	struct store_tx *tx, const struct scope *scope, struct err *err);

/* ---- texts of the message in quarantine; "" where the built-in one holds ---- */
enum access_text { ACCESS_TEXT_SUBJECT, ACCESS_TEXT_BODY, ACCESS_TEXTS };
NODISCARD int store_access_texts(
	struct store_read *rd, struct arena *arena, const char *ret[ACCESS_TEXTS], struct err *err);
NODISCARD int store_access_text_set(
	struct store_tx *tx, enum access_text which, const char *text, struct err *err);

/* ---- single devices ---- */
/* Raises the epoch and publishes CHANGE_DEVICE. ACCESS_NONE takes back what was laid down. */
NODISCARD int store_device_set_access(
	struct store_tx *tx, struct device_id id, enum access_state state, struct err *err);
/* The highest protocol version that the device may use, times ten; 0: any. The same. */
NODISCARD int store_device_set_ceiling(
	struct store_tx *tx, struct device_id id, uint16_t ceiling, struct err *err);
/* What was decided, for people and for the mail to administrators; no event, no epoch. */
enum access_report { ACCESS_REPORT_NONE = 0, ACCESS_REPORT_DUE = 1, ACCESS_REPORT_DONE = 2 };
NODISCARD int store_device_note_access(struct store_tx *tx, struct device_id id,
	enum access_state state, const char *reason, int64_t at, enum access_report report,
	struct err *err);

/* Of a device that was not seen yet; ACCESS_NONE takes it back. device_list_unseen: by owner and
 * DeviceId. */
struct unseen_device {
	struct owner_id owner;
	const char *device_id;
	enum access_state state;
	int64_t at;
};
NODISCARD int store_unseen_set(
	struct store_tx *tx, const struct unseen_device *device, struct err *err);
/* The state, and forgets it: it stands in the device's row from now on. */
NODISCARD int store_unseen_take(struct store_tx *tx, struct owner_id owner, const char *device_id,
	enum access_state *ret, struct err *err);
NODISCARD int store_unseen_list(struct store_read *rd, struct owner_id owner, struct arena *arena,
	struct unseen_device **ret, size_t *ret_count, struct err *err);

/* ---- the mail to administrators ---- */
/* Devices whose quarantine is to be told, the oldest decision first, at most limit. */
NODISCARD int store_access_due(struct store_read *rd, size_t limit, struct arena *arena,
	struct device **ret, size_t *ret_count, struct err *err);
NODISCARD int store_access_due_count(struct store_read *rd, uint64_t *ret, struct err *err);
/* They were told. A device that is not due any more stays as it is. */
NODISCARD int store_access_reported(
	struct store_tx *tx, const struct device *devices, size_t count, struct err *err);

/* ---- how much a device was sent on a day (days since 1970, UTC) ---- */
struct device_usage {
	uint64_t items, bytes;
};
NODISCARD int store_usage(struct store_read *rd, struct device_id device, uint64_t day,
	struct device_usage *ret, struct err *err);
NODISCARD int store_usage_add(struct store_tx *tx, struct device_id device, uint64_t day,
	const struct device_usage *more, struct err *err);

#endif
