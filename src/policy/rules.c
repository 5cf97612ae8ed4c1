/*
 * The rules as a picture in memory: made from one snapshot, shared by references, replaced when the
 * number in the database has moved.
 *
 * The maps are all that is not in the picture's arena. Threads: one mutex around the pointer of the
 * cache, another around the making, so that one thread makes what many wait for.
 */
#include "policy/rules.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "policy/access.h"
#include "policy/service.h"

struct rules_table {
	struct map *values;
	struct rules_table *next;
};

struct rules_member {
	size_t count;
	const struct user_group *groups[];
};

struct rules_cache {
	pthread_mutex_t lock;
	const struct rules *now; /* under the lock; NULL: none yet */
	pthread_mutex_t making;
};

/* ---- scopes as keys ---- */

#define KEY_BYTES 256

/* A domain's name, or the number of anything else, behind the kind. */
static size_t scope_key(const struct scope *scope, uint8_t key[KEY_BYTES])
{
	size_t len = sizeof(scope->id);

	key[0] = (uint8_t)scope->kind;
	if (scope->kind == SCOPE_DOMAIN) {
		len = MIN(strlen(scope->name), (size_t)KEY_BYTES - 1);
		memcpy(key + 1, scope->name, len);
	} else {
		memcpy(key + 1, &scope->id, len);
	}
	return len + 1;
}

struct rules_table *rules_table_new(struct rules *rules)
{
	struct rules_table *table = arena_x_new(rules->arena, struct rules_table);

	table->values = map_new();
	table->next = rules->tables;
	rules->tables = table;
	return table;
}

void rules_table_put(struct rules_table *table, const struct scope *scope, const void *value)
{
	uint8_t key[KEY_BYTES];
	size_t len = scope_key(scope, key);

	(void)map_put(table->values, key, len, (void *)(uintptr_t)value);
}

const void *rules_table_find(const struct rules_table *table, const struct scope *scope)
{
	uint8_t key[KEY_BYTES];
	size_t len = scope_key(scope, key);

	return map_find(table->values, key, len);
}

/* ---- the walk ---- */

size_t rules_groups_of(
	const struct rules *rules, struct owner_id user, const struct user_group *const **ret)
{
	const struct rules_member *member = map_find(rules->members, &user.v, sizeof(user.v));

	*ret = member != NULL ? member->groups : NULL;
	return member != NULL ? member->count : 0;
}

void rules_walk_begin(struct rules_walk *walk, const struct rules *rules,
	const struct rules_table *table, const struct rules_subject *subject)
{
	*walk = (struct rules_walk){.rules = rules,
		.table = table,
		.subject = subject,
		.kind = SCOPE_DEVICE,
		.over = map_count(table->values) == 0};
}

/* The next scope of the walk; leaves the walk behind it. */
static void next_scope(struct rules_walk *walk, struct scope *ret)
{
	const struct user_group *const *groups = NULL;

	*ret = (struct scope){.kind = walk->kind, .name = ""};
	switch (walk->kind) {
	case SCOPE_DEVICE:
		ret->id = walk->subject->device.v;
		break;
	case SCOPE_USER:
		ret->id = walk->subject->user.v;
		break;
	case SCOPE_GROUP:
		if (walk->group < rules_groups_of(walk->rules, walk->subject->user, &groups)) {
			ret->id = groups[walk->group]->id;
			ret->name = groups[walk->group]->name;
			walk->group++;
			return;
		}
		break;
	case SCOPE_DOMAIN:
		ret->name = walk->subject->domain;
		break;
	case SCOPE_ORG:
	case SCOPE_KINDS:
		walk->over = true;
		return;
	}
	walk->kind--;
}

const void *rules_walk_next(struct rules_walk *walk, struct scope *ret_from)
{
	while (!walk->over) {
		struct scope scope;
		const void *value;

		next_scope(walk, &scope);
		value = rules_table_find(walk->table, &scope);
		if (value == NULL)
			continue;
		if (ret_from != NULL)
			*ret_from = scope;
		return value;
	}
	return NULL;
}

const void *rules_pick(const struct rules *rules, const struct rules_table *table,
	const struct rules_subject *subject, struct scope *ret_from)
{
	struct rules_walk walk;

	rules_walk_begin(&walk, rules, table, subject);
	return rules_walk_next(&walk, ret_from);
}

/* ---- making ---- */

static const struct user_group *group_of(const struct rules *rules, uint64_t id)
{
	for (size_t i = 0; i < rules->group_count; i++) {
		if (rules->groups[i].id == id)
			return &rules->groups[i];
	}
	return NULL;
}

/* The rows of one owner stand together, in the order that counts. */
static int load_members(struct store_read *rd, struct rules *rules, struct err *err)
{
	CLEANUP(arena_free) struct arena *scratch = arena_new(0);
	struct group_member *rows;
	size_t count;

	if (store_group_members(rd, 0, scratch, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0, n; i < count; i += n) {
		struct rules_member *member;

		for (n = 1; i + n < count && rows[i + n].owner.v == rows[i].owner.v;)
			n++;
		member = arena_x_alloc(
			rules->arena, sizeof(*member) + n * sizeof(member->groups[0]));
		for (size_t k = 0; k < n; k++) {
			const struct user_group *group = group_of(rules, rows[i + k].group);

			if (group != NULL)
				member->groups[member->count++] = group;
		}
		(void)map_put(rules->members, &rows[i].owner.v, sizeof(rows[i].owner.v), member);
	}
	return 0;
}

static void rules_free(struct rules *rules)
{
	for (struct rules_table *t = rules->tables; t != NULL; t = t->next)
		map_free(&t->values);
	map_free(&rules->members);
	arena_free(&rules->arena);
	mem_free(rules);
}

int rules_load(struct store_read *rd, const struct rules **ret, struct err *err)
{
	struct rules *rules = x_new(struct rules);

	rules->arena = arena_new(0);
	rules->members = map_new();
	atomic_init(&rules->refs, 1);
	if (store_rules_version(rd, &rules->version, err) < 0 ||
		store_group_list(rd, rules->arena, &rules->groups, &rules->group_count, err) < 0 ||
		load_members(rd, rules, err) < 0 || rules_load_policies(rd, rules, err) < 0 ||
		access_rules_load(rd, rules->arena, &rules->access, err) < 0 ||
		services_load(rd, rules, err) < 0 ||
		store_access_texts(rd, rules->arena, rules->access_texts, err) < 0) {
		rules_free(rules);
		return err_wrap(err, "loading the rules");
	}
	*ret = rules;
	return 0;
}

/* ---- references ---- */

const struct rules *rules_ref(const struct rules *rules)
{
	unsigned before = atomic_fetch_add(&((struct rules *)(uintptr_t)rules)->refs, 1);

	assert(before > 0);
	return rules;
}

void rules_unref(const struct rules **rules)
{
	struct rules *r = (struct rules *)(uintptr_t)*rules;
	unsigned before;

	*rules = NULL;
	if (r == NULL)
		return;
	before = atomic_fetch_sub(&r->refs, 1);
	assert(before > 0);
	if (before == 1)
		rules_free(r);
}

/* ---- the cache ---- */

struct rules_cache *rules_cache_new(void)
{
	struct rules_cache *cache = x_new(struct rules_cache);

	(void)pthread_mutex_init(&cache->lock, NULL);
	(void)pthread_mutex_init(&cache->making, NULL);
	return cache;
}

void rules_cache_free(struct rules_cache **cache)
{
	if (*cache == NULL)
		return;
	rules_unref(&(*cache)->now);
	(void)pthread_mutex_destroy(&(*cache)->making);
	(void)pthread_mutex_destroy(&(*cache)->lock);
	mem_free(*cache);
	*cache = NULL;
}

/* A reference to what is there, if it is no older; else NULL. */
static const struct rules *cached(struct rules_cache *cache, uint64_t version)
{
	const struct rules *rules = NULL;

	(void)pthread_mutex_lock(&cache->lock);
	if (cache->now != NULL && cache->now->version >= version)
		rules = rules_ref(cache->now);
	(void)pthread_mutex_unlock(&cache->lock);
	return rules;
}

static void keep(struct rules_cache *cache, const struct rules *rules)
{
	const struct rules *old;

	(void)pthread_mutex_lock(&cache->lock);
	old = cache->now;
	cache->now = rules_ref(rules);
	(void)pthread_mutex_unlock(&cache->lock);
	rules_unref(&old);
}

int rules_get(
	struct rules_cache *cache, struct store_read *rd, const struct rules **ret, struct err *err)
{
	const struct rules *rules;
	uint64_t version;
	int result = 0;

	if (store_rules_version(rd, &version, err) < 0)
		return -1;
	rules = cached(cache, version);
	if (rules == NULL) {
		(void)pthread_mutex_lock(&cache->making);
		rules = cached(cache, version);
		if (rules == NULL && (result = rules_load(rd, &rules, err)) == 0)
			keep(cache, rules);
		(void)pthread_mutex_unlock(&cache->making);
	}
	if (result == 0)
		*ret = rules;
	return result;
}
