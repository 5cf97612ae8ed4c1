#ifndef BELLHOP_STORE_PAGE_H
#define BELLHOP_STORE_PAGE_H

#include "store/store.h"
#include "store/store_access.h"
#include "store/store_rules.h"

/*
 * Users and devices in an order that people ask for, those alone that have a text in them. Nothing
 * is loaded but ids: who walks loads what he shows, and ends the walk when his page is full.
 */
enum store_user_sort { USERS_BY_ADDRESS, USERS_BY_NAME, USERS_BY_CREATED, USERS_BY_USED };
enum store_device_sort {
	DEVICES_BY_ADDRESS,
	DEVICES_BY_SEEN,
	DEVICES_BY_MODEL,
	DEVICES_BY_TYPE,
	DEVICES_BY_VERSION,
	DEVICES_BY_FIRST_SEEN,
};

/* 1: go on; 0: enough; -1: failed. May read in the same snapshot. */
typedef int (*store_user_fn)(void *owner, struct owner_id user, struct err *err);
typedef int (*store_device_fn)(void *owner, struct device_id device, struct err *err);

/* search: in an address or the name; NULL or "": everybody. ASCII case ignored. down: the largest
 * first. Equal ones by domain and login. */
NODISCARD int store_user_walk(struct store_read *rd, const char *search, enum store_user_sort sort,
	bool down, store_user_fn fn, void *owner, struct err *err);

struct store_alias {
	const char *alias, *address; /* address: the user's own */
};
/* Of one user, or of all (user.v 0) by their domains and logins: those alone with search in them
 * (NULL or "": all), at most limit, without the first offset. */
NODISCARD int store_alias_list(struct store_read *rd, struct owner_id user, const char *search,
	uint64_t offset, uint64_t limit, struct arena *arena, struct store_alias **ret,
	size_t *ret_count, struct err *err);

/* How a device stands with us: what is laid down for it counts, else what was decided last. */
enum store_device_state {
	DEVICE_UNPROVISIONED = 0,
	DEVICE_WIPE_PENDING = WIPE_ORDERED,
	DEVICE_WIPE_SENT = WIPE_SENT,
	DEVICE_WIPED = WIPE_DONE,
	DEVICE_WIPE_FAILED = WIPE_FAILED,
	DEVICE_BLOCKED = 5,
	DEVICE_QUARANTINED = 6,
	DEVICE_PROVISIONED = 7,
	DEVICE_STATES
};
enum store_device_state store_device_state_of(const struct device *device);
/* "not provisioned", "wipe pending", "wipe sent", "wiped", "wipe failed", "blocked", "quarantine",
 * "provisioned". */
const char *store_device_state_to_str(enum store_device_state state);

struct store_device_filter {
	struct owner_id user; /* whose; 0: everybody's */
	const char *search;   /* in the user's own address, or in what the phone says of itself */
	uint32_t states;      /* 1 << enum store_device_state, several; 0: all */
	bool has_policy_status;
	uint8_t policy_status; /* with has_policy_status: only these */
	uint64_t offset;       /* so many are left out first */
	uint64_t limit;        /* so many at most; 0: all that there are */
};
/* Equal ones in the order in which users and devices came. Few rows are read for states which few
 * phones are in (wipes, blocked, quarantine) and for answers to policies other than full. */
NODISCARD int store_device_walk(struct store_read *rd, const struct store_device_filter *filter,
	enum store_device_sort sort, bool down, store_device_fn fn, void *owner, struct err *err);
/* What decides which policy a device has, and whether it has it. domain: until fn returns. */
struct store_device_policy {
	struct device_id device;
	struct owner_id user;
	const char *domain;
	unsigned policy_status, protocol_version;
	uint64_t policy_version;
};
typedef int (*store_device_policy_fn)(
	void *owner, const struct store_device_policy *policy, struct err *err);
/* All devices, in no order. */
NODISCARD int store_device_walk_policies(
	struct store_read *rd, store_device_policy_fn fn, void *owner, struct err *err);
/* Those of that DeviceId, of all users, at most limit. */
NODISCARD int store_device_walk_named(struct store_read *rd, const char *device_id, size_t limit,
	store_device_fn fn, void *owner, struct err *err);
/* How many devices a user has, and when one of them was here last (0: never). */
NODISCARD int store_device_summary(struct store_read *rd, struct owner_id user, uint64_t *ret_count,
	int64_t *ret_seen_at, struct err *err);
/* ---- whom something is laid down for, by the names that people know (store_scope_page.c) ---- */

struct store_piece {
	const char *search;     /* in the name; NULL or "": all. ASCII case ignored */
	uint64_t offset, limit; /* without the first so many, at most so many */
};

struct policy_whom {
	enum scope_kind kind;
	const char *name;   /* "anna@example.org ABC123" of a device */
	const char *policy; /* "": none */
	bool exempt;        /* from all policies */
};
/* Assignments, or exceptions, of one policy (0: of all), by kind. */
NODISCARD int store_policy_whom(struct store_read *rd, bool exceptions, uint64_t policy,
	const struct store_piece *piece, struct arena *arena, struct policy_whom **ret,
	size_t *ret_count, struct err *err);
/* Addresses, in the order in which users came. */
NODISCARD int store_group_member_names(struct store_read *rd, uint64_t group,
	const struct store_piece *piece, struct arena *arena, const char ***ret, size_t *ret_count,
	struct err *err);
NODISCARD int store_group_member_count(
	struct store_read *rd, uint64_t group, uint64_t *ret, struct err *err);
struct access_whom {
	enum scope_kind kind;
	const char *name, *device_id; /* of a device: the user's address, and its DeviceId */
	enum access_state state;
	bool seen; /* false: no such device has come yet */
};
/* The default, which is for everybody, first; searches do not find it. */
NODISCARD int store_access_whom(struct store_read *rd, const struct store_piece *piece,
	struct arena *arena, struct access_whom **ret, size_t *ret_count, struct err *err);

/* "%text%", with what LIKE takes for more than itself marked; "" for none. x_ memory. */
char *store_like(const char *text);

#endif
