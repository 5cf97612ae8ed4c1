#ifndef BELLHOP_STORE_PAGE_H
#define BELLHOP_STORE_PAGE_H

#include "store/store.h"

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
/* user: whose; 0: everybody's. search: in the user's own address, or in what the phone says of
 * itself. Equal ones by user and id. */
NODISCARD int store_device_walk(struct store_read *rd, struct owner_id user, const char *search,
	enum store_device_sort sort, bool down, store_device_fn fn, void *owner, struct err *err);
/* How many devices a user has, and when one of them was here last (0: never). */
NODISCARD int store_device_summary(struct store_read *rd, struct owner_id user, uint64_t *ret_count,
	int64_t *ret_seen_at, struct err *err);
/* "%text%", with what LIKE takes for more than itself marked; "" for none. x_ memory. */
char *store_like(const char *text);

#endif
