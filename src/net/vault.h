#ifndef BELLHOP_NET_VAULT_H
#define BELLHOP_NET_VAULT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Memory for keys: many small objects of one size, locked into memory as far as the system allows,
 * left out of core dumps and of forks, wiped when they are given back. No bytes beside an object;
 * what it belongs to is found from its address. Objects do not move. One thread.
 *
 * With -Dpools=malloc every object is an allocation of its own, so that ASan sees overruns.
 */
struct vault;

/* owner: what vault_owner() gives. object_size: 16 to 1,024 bytes. */
struct vault *vault_new(size_t object_size, void *owner);
/* Wipes what is left. */
void vault_free(struct vault **v);

/* A zeroed object; NULL when memory is short. */
void *vault_take(struct vault *v);
/* Wipes it and gives it back; NULL is fine. */
void vault_put(void *object);
void *vault_owner(const void *object);

size_t vault_count(const struct vault *v);
/* Bytes that the system was asked for. */
size_t vault_bytes(const struct vault *v);
/* 0: everything is locked; else the errno of the first attempt that failed (it is not repeated). */
int vault_lock_error(const struct vault *v);

#endif
