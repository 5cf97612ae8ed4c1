/*
 * Remembers good credentials by keyed hashes of the header, never by their text.
 *
 * Invariants: an entry lies in the set that its tag names; at most one entry of a set has a tag.
 * Threads: one lock, held for a look at eight entries. Limits: the number of entries, fixed at
 * birth (64 bytes each).
 */
#include "auth/auth_internal.h"

#include <pthread.h>

#include "base/mem.h"

#define WAYS 8u

struct auth_cache {
	pthread_mutex_t lock;
	struct auth_cache_entry *entries; /* sets * WAYS */
	uint64_t sets;
	uint64_t clock; /* counts uses */
};

struct auth_cache *auth_cache_new(uint32_t entries)
{
	struct auth_cache *cache = x_new(struct auth_cache);

	(void)pthread_mutex_init(&cache->lock, NULL);
	cache->sets = MAX(entries / WAYS, 1u);
	cache->entries = x_calloc(cache->sets * WAYS, sizeof(*cache->entries));
	return cache;
}

void auth_cache_free(struct auth_cache **cache)
{
	if (*cache == NULL)
		return;
	mem_free((*cache)->entries);
	(void)pthread_mutex_destroy(&(*cache)->lock);
	mem_free(*cache);
	*cache = NULL;
}

static struct auth_cache_entry *set_of(struct auth_cache *cache, const struct auth_tag *tag)
{
	return &cache->entries[tag->a % cache->sets * WAYS];
}

static bool is_it(const struct auth_cache_entry *entry, const struct auth_tag *tag)
{
	return entry->used != 0 && entry->tag.a == tag->a && entry->tag.b == tag->b;
}

bool auth_cache_find(struct auth_cache *cache, const struct auth_tag *tag, int64_t now_at,
	struct auth_cache_entry *ret)
{
	struct auth_cache_entry *set = set_of(cache, tag);
	bool found = false;

	(void)pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < WAYS && !found; i++) {
		if (!is_it(&set[i], tag))
			continue;
		if (set[i].expires_at <= now_at) {
			set[i].used = 0;
			break;
		}
		set[i].used = ++cache->clock;
		*ret = set[i];
		found = true;
	}
	(void)pthread_mutex_unlock(&cache->lock);
	return found;
}

void auth_cache_put(struct auth_cache *cache, const struct auth_cache_entry *entry, int64_t now_at)
{
	struct auth_cache_entry *set = set_of(cache, &entry->tag), *place = set;

	(void)pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < WAYS; i++) {
		if (is_it(&set[i], &entry->tag)) {
			place = &set[i];
			break;
		}
		if (set[i].expires_at <= now_at)
			set[i].used = 0;
		if (set[i].used < place->used)
			place = &set[i];
	}
	*place = *entry;
	place->used = ++cache->clock;
	(void)pthread_mutex_unlock(&cache->lock);
}
