#ifndef BELLHOP_BASE_MAP_H
#define BELLHOP_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A hash map from byte strings to pointers, keyed with a random SipHash so that peers cannot choose
 * collisions. Keys are copied; values are the caller's. One thread, or the caller's lock.
 */
struct map;

struct map *map_new(void);
/* Frees the map and its keys; the values are not touched. */
void map_free(struct map **m);
/* NULL when absent. */
void *map_find(const struct map *m, const void *key, size_t key_len);
/* Puts or replaces; returns the value that was there, or NULL. value must not be NULL. */
void *map_put(struct map *m, const void *key, size_t key_len, void *value);
/* Removes; returns the value, or NULL when absent. */
void *map_remove(struct map *m, const void *key, size_t key_len);
size_t map_count(const struct map *m);
/* Calls fn for each entry, in no order. fn may not change the map. */
void map_each(const struct map *m,
	void (*fn)(const void *key, size_t key_len, void *value, void *owner), void *owner);

#define map_find_str(m, s)   map_find((m), (s), strlen(s))
#define map_put_str(m, s, v) map_put((m), (s), strlen(s), (v))
#define map_remove_str(m, s) map_remove((m), (s), strlen(s))

/* SipHash-2-4 with a 128-bit key. */
uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len);

/* SipHash-2-4 with 128 bits of result, over bytes that come in pieces. */
struct siphash128 {
	uint64_t v[4];
	uint64_t len;
	uint8_t tail[8]; /* len % 8 bytes that make no word yet */
};

void siphash128_init(struct siphash128 *h, const uint8_t key[16]);
void siphash128_add(struct siphash128 *h, const void *bytes, size_t len);
/* Ends it. */
void siphash128_get(struct siphash128 *h, uint64_t ret[2]);

#endif
