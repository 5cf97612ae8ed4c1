#ifndef BELLHOP_ADMIN_ADMIN_INTERNAL_H
#define BELLHOP_ADMIN_ADMIN_INTERNAL_H

#include <jansson.h>
#include <pthread.h>

#include "admin/admin.h"
#include "admin/verbs.h"
#include "base/arena.h"
#include "policy/rules.h"

struct admin {
	struct admin_options options;
	char *config_path; /* owned; NULL: none */
	pthread_mutex_t limits_lock;
	struct admin_limits limits;      /* under the lock */
	const struct settings *settings; /* in force, under the lock; a reference */
};

/* One request on its way through a verb. */
struct admin_call {
	struct admin *admin;
	const struct admin_verb *verb;
	const struct admin_caller *caller;
	json_t *args;        /* checked against the verb */
	const uint8_t *body; /* what followed the request; borrowed */
	size_t body_len;
	struct arena *arena;
	struct store_read *rd;     /* the snapshot; inside a change that of the transaction */
	struct store_tx *tx;       /* NULL: a reading verb */
	const struct rules *rules; /* once a verb has loaded them; a reference */
	const char *password_hash; /* for verbs with a password */
	int64_t now_at;
	/* Both as they were when it began: a verb takes no lock, it may be in a transaction. */
	struct admin_limits limits;
	const struct settings *settings; /* a reference of the call */
	/* Set by a verb that works outside: what is left to be done, in the transaction of the row
	 * in the event log. NULL: nothing. */
	int (*then)(struct admin_call *call, struct err *err);
	void *then_owner;       /* what the verb left for it; borrowed */
	const char *warning;    /* an event for the log once the change is made; NULL: none */
	const char *log_result; /* what that row says; NULL: the item, else "ok" */
	/* Whom and what that row is about, as the store has them; NULL: as the arguments say. */
	const char *log_user, *log_device_id, *log_device_type;
	json_t *result; /* an object or, for verbs with columns, an array; filled by the verb. Owned
			 */
};

typedef int (*admin_verb_fn)(struct admin_call *call, struct err *err);

/* An argument; NULL when it was not given. */
const char *admin_text(const struct admin_call *call, const char *name);
/* fallback when it was not given. */
uint64_t admin_number(const struct admin_call *call, const char *name, uint64_t fallback);
/* Of a phone that was not seen yet, too: is it one that a phone can have? */
NODISCARD int admin_check_device_id(const char *device_id, struct err *err);
/* The user of the argument "address"; ERR_NOT_FOUND says so. */
NODISCARD int admin_user(struct admin_call *call, struct user **ret, struct err *err);
/* The device of the argument "device", and its user: that of "address", or the only one who has it.
 */
NODISCARD int admin_device(
	struct admin_call *call, struct user **ret_user, struct device **ret, struct err *err);
/* The group of the argument "group". */
struct user_group;
NODISCARD int admin_group_find(struct admin_call *call, struct user_group **ret, struct err *err);
/* What policy a phone has, and what it said of it, as fields of the object. */
NODISCARD int admin_policy_put_device(struct admin_call *call, const struct user *user,
	const struct device *device, json_t *object, struct err *err);
/* What comes of its settings on the phone, those that demand something, as "policy_settings". */
NODISCARD int admin_policy_put_effects(struct admin_call *call, const struct user *user,
	const struct device *device, json_t *object, struct err *err);
/* call->rules, once. */
NODISCARD int admin_need_rules(struct admin_call *call, struct err *err);
/* Whether a user, or a domain's users, may synchronize, and how many phones they may have; where
 * that is said, too. After admin_need_rules(). */
struct rules_subject;
void admin_put_services(struct admin_call *call, const struct rules_subject *subject,
	json_t *object, bool with_from);
/* What device list shows of one. */
json_t *admin_device_to_json(
	struct admin_call *call, const struct device *device, const char *address);
/* The device's last wipe, and whether one can reach it. */
NODISCARD int admin_put_wipe(
	struct admin_call *call, json_t *object, const struct device *device, struct err *err);
/* ERR_CONFLICT: phones of the user, this phone, would not hear of their pending wipe any more.
 * ERR_DENIED: it was wiped by an administrator, and a user asks. */
NODISCARD int admin_refuse_pending(
	struct admin_call *call, const struct user *user, struct err *err);
NODISCARD int admin_refuse_wiped(
	struct admin_call *call, const struct device *device, struct err *err);
/* A user may end (what: "let it in again") a wipe that he ordered himself. */
NODISCARD int admin_may_end_wipe(
	struct admin_call *call, const struct device *device, const char *what, struct err *err);
/*
 * What lets an administrator in, and who is one, is for administrators alone: ERR_DENIED to a token
 * that may not do everything they may, or one of the scope "users" could become any of them.
 */
NODISCARD int admin_may_change(
	const struct admin_call *call, const struct user *user, struct err *err);
NODISCARD int admin_may_rule(const struct admin_call *call, struct err *err);
/* "anna@example.org", in the arena. */
const char *admin_user_address(struct admin_call *call, const struct user *user);
/* Puts text or a number into an object; NULL text becomes "". Text that is no UTF-8 is cleaned. */
void admin_put(json_t *object, const char *key, const char *text);
void admin_put_number(json_t *object, const char *key, uint64_t number);
void admin_put_bool(json_t *object, const char *key, bool value);

/* The verbs, by file. */
int admin_user_add(struct admin_call *call, struct err *err);
int admin_user_passwd(struct admin_call *call, struct err *err);
int admin_user_list(struct admin_call *call, struct err *err);
int admin_user_show(struct admin_call *call, struct err *err);
int admin_user_disable(struct admin_call *call, struct err *err);
int admin_user_enable(struct admin_call *call, struct err *err);
int admin_user_quota(struct admin_call *call, struct err *err);
int admin_user_expiry(struct admin_call *call, struct err *err);
int admin_user_del(struct admin_call *call, struct err *err);
int admin_user_admin(struct admin_call *call, struct err *err);
int admin_app_password_add(struct admin_call *call, struct err *err);
int admin_app_password_list(struct admin_call *call, struct err *err);
int admin_app_password_revoke(struct admin_call *call, struct err *err);
int admin_oof_show(struct admin_call *call, struct err *err);
int admin_oof_set(struct admin_call *call, struct err *err);
int admin_session_list(struct admin_call *call, struct err *err);
int admin_session_end(struct admin_call *call, struct err *err);
int admin_token_add(struct admin_call *call, struct err *err);
int admin_token_list(struct admin_call *call, struct err *err);
int admin_token_revoke(struct admin_call *call, struct err *err);
int admin_alias_add(struct admin_call *call, struct err *err);
int admin_alias_del(struct admin_call *call, struct err *err);
int admin_alias_list(struct admin_call *call, struct err *err);
int admin_domain_add(struct admin_call *call, struct err *err);
int admin_domain_del(struct admin_call *call, struct err *err);
int admin_domain_list(struct admin_call *call, struct err *err);
int admin_group_add(struct admin_call *call, struct err *err);
int admin_group_rank(struct admin_call *call, struct err *err);
int admin_group_del(struct admin_call *call, struct err *err);
int admin_group_list(struct admin_call *call, struct err *err);
int admin_group_show(struct admin_call *call, struct err *err);
int admin_group_join(struct admin_call *call, struct err *err);
int admin_group_leave(struct admin_call *call, struct err *err);
int admin_device_list(struct admin_call *call, struct err *err);
int admin_device_show(struct admin_call *call, struct err *err);
int admin_device_wipe(struct admin_call *call, struct err *err);
int admin_device_cancel(struct admin_call *call, struct err *err);
int admin_device_clear(struct admin_call *call, struct err *err);
int admin_device_wipes(struct admin_call *call, struct err *err);
int admin_device_block(struct admin_call *call, struct err *err);
int admin_device_unblock(struct admin_call *call, struct err *err);
int admin_device_del(struct admin_call *call, struct err *err);
int admin_device_allow(struct admin_call *call, struct err *err);
int admin_device_quarantine(struct admin_call *call, struct err *err);
int admin_device_ceiling(struct admin_call *call, struct err *err);
int admin_access_list(struct admin_call *call, struct err *err);
int admin_access_set(struct admin_call *call, struct err *err);
int admin_access_rules(struct admin_call *call, struct err *err);
int admin_access_add(struct admin_call *call, struct err *err);
int admin_access_move(struct admin_call *call, struct err *err);
int admin_access_del(struct admin_call *call, struct err *err);
int admin_access_test(struct admin_call *call, struct err *err);
int admin_access_message(struct admin_call *call, struct err *err);
int admin_access_set_message(struct admin_call *call, struct err *err);
int admin_service_list(struct admin_call *call, struct err *err);
int admin_service_show(struct admin_call *call, struct err *err);
int admin_service_set(struct admin_call *call, struct err *err);
int admin_service_unset(struct admin_call *call, struct err *err);
int admin_device_check(struct admin_call *call, struct err *err);
int admin_device_repair(struct admin_call *call, struct err *err);
int admin_device_resync(struct admin_call *call, struct err *err);
int admin_device_folders(struct admin_call *call, struct err *err);
int admin_device_waits(struct admin_call *call, struct err *err);
int admin_device_errors(struct admin_call *call, struct err *err);
int admin_trace(struct admin_call *call, struct err *err);
int admin_metrics_verb(struct admin_call *call, struct err *err);
int admin_overview(struct admin_call *call, struct err *err);
int admin_item_list(struct admin_call *call, struct err *err);
int admin_item_release(struct admin_call *call, struct err *err);
int admin_queue_list(struct admin_call *call, struct err *err);
int admin_queue_retry(struct admin_call *call, struct err *err);
int admin_queue_drop(struct admin_call *call, struct err *err);
int admin_policy_show(struct admin_call *call, struct err *err);
int admin_policy_set(struct admin_call *call, struct err *err);
int admin_policy_assign(struct admin_call *call, struct err *err);
int admin_policy_unassign(struct admin_call *call, struct err *err);
int admin_policy_assignments(struct admin_call *call, struct err *err);
int admin_policy_except(struct admin_call *call, struct err *err);
int admin_policy_unexcept(struct admin_call *call, struct err *err);
int admin_policy_exceptions(struct admin_call *call, struct err *err);
int admin_policy_effective(struct admin_call *call, struct err *err);
int admin_policy_settings(struct admin_call *call, struct err *err);
int admin_policy_create(struct admin_call *call, struct err *err);
int admin_policy_copy(struct admin_call *call, struct err *err);
int admin_policy_delete(struct admin_call *call, struct err *err);
int admin_policy_default(struct admin_call *call, struct err *err);
int admin_policy_list(struct admin_call *call, struct err *err);
int admin_log_list(struct admin_call *call, struct err *err);
int admin_log_actions(struct admin_call *call, struct err *err);
int admin_log_export(struct admin_call *call, struct err *err);
int admin_status(struct admin_call *call, struct err *err);
int admin_stats(struct admin_call *call, struct err *err);
int admin_reload(struct admin_call *call, struct err *err);
int admin_restart(struct admin_call *call, struct err *err);
int admin_upgrade(struct admin_call *call, struct err *err);
int admin_import_begin(struct admin_call *call, struct err *err);
int admin_import_batch(struct admin_call *call, struct err *err);

/* "2026-11-22", "2026-11-22 20:15:30" (UTC), or seconds since 1970. */
bool admin_time_parse(const char *text, int64_t *ret);

struct admin_limits admin_limits_now(struct admin *admin);
/* Those in force; settings_unref() them. */
const struct settings *admin_settings(struct admin *admin);

/* For whom something is laid down: the arguments address, group, domain, at most one; none is the
 * organisation. name: what people call it. */
struct scope;
NODISCARD int admin_scope_arg(struct admin_call *call, struct scope *ret, struct err *err);
/* "group sales", for the event log; of a scope with its name. */
const char *admin_scope_text(struct admin_call *call, const struct scope *scope);
/* What people call a scope that was read from the rules. */
NODISCARD int admin_scope_name(
	struct admin_call *call, const struct scope *scope, const char **ret, struct err *err);

/* Checks "args" of a request against its verb, puts addresses and domains into lower case. */
NODISCARD int admin_check_args(const struct admin_verb *verb, json_t *args, struct err *err);

#endif
