/*
 * Counters that outlive their process. Each part has room for some, by name; its process counts
 * there with plain stores. When the part is released, by its process or after its death, what it
 * counted goes into one table of all parts, and from there to whichever front asks first. So the
 * sum over all fronts and the table never falls.
 *
 * A process killed while it takes from the table loses what it had taken: the counts of one name,
 * of a process that was gone before. Limits: SHARED_COUNTERS names; a release of this program that
 * has other names than the next loses none of those that both have.
 */
#include "base/mem.h"
#include "shared/shared_internal.h"

/* FNV-1a; never 0. */
static uint64_t key_of(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3u;
	return h | 1;
}

static struct shared_counters *counters_of(const struct shared *s, int part)
{
	return &s->counters[part];
}

uint64_t *shared_counters(struct shared *s, int part, const char *const *names, size_t count)
{
	static const struct shared_counters none;
	struct shared_counters *c = counters_of(s, part);

	*c = none;
	for (size_t i = 0; i < MIN(count, (size_t)SHARED_COUNTERS); i++)
		c->keys[i] = names[i] != NULL ? key_of(names[i]) : 0;
	return c->values;
}

/* Its place in the table; NULL: there is no room. */
static atomic_uint_least64_t *place_of(struct shared *s, uint64_t key, bool make)
{
	for (size_t i = 0; i < SHARED_COUNTERS; i++) {
		uint64_t there = atomic_load(&s->page->past_keys[i]);

		if (there == 0 && !make)
			return NULL;
		if (there == 0 &&
			atomic_compare_exchange_strong(&s->page->past_keys[i], &there, key))
			return &s->page->past[i];
		if (there == key)
			return &s->page->past[i];
	}
	return NULL;
}

size_t shared_counters_take(
	struct shared *s, int part, struct shared_counted out[2 * SHARED_COUNTERS])
{
	struct shared_counters *c = counters_of(s, part);
	size_t count = 0;

	for (size_t i = 0; i < SHARED_COUNTERS; i++) {
		uint64_t key = atomic_load(&s->page->past_keys[i]);
		uint64_t value = key != 0 ? atomic_exchange(&s->page->past[i], 0) : 0;

		if (value != 0)
			out[count++] = (struct shared_counted){key, value};
		if (c->keys[i] != 0 && c->values[i] != 0)
			out[count++] = (struct shared_counted){c->keys[i], c->values[i]};
		c->values[i] = 0;
	}
	return count;
}

void shared_counters_give(struct shared *s, const struct shared_counted *in, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		atomic_uint_least64_t *place = in[i].key != 0 ? place_of(s, in[i].key, true) : NULL;

		if (place != NULL)
			(void)atomic_fetch_add(place, in[i].value);
	}
}

void shared_counters_release(struct shared *s, int part)
{
	struct shared_counters *c = counters_of(s, part);

	for (size_t i = 0; i < SHARED_COUNTERS; i++) {
		atomic_uint_least64_t *place;

		if (c->keys[i] == 0 || c->values[i] == 0)
			continue;
		place = place_of(s, c->keys[i], true);
		if (place != NULL)
			(void)atomic_fetch_add(place, c->values[i]);
		c->values[i] = 0;
	}
}

void shared_counters_inherit(
	struct shared *s, const char *const *names, size_t count, uint64_t *values)
{
	for (size_t i = 0; i < count; i++) {
		atomic_uint_least64_t *place =
			names[i] != NULL ? place_of(s, key_of(names[i]), false) : NULL;

		if (place != NULL && atomic_load(place) != 0)
			values[i] += atomic_exchange(place, 0);
	}
}
