/*
 * Counting, and times in buckets. Pure; one writer for each struct. The buckets: below 32
 * microseconds one each, above sixteen to each doubling.
 */
#include "fleet/tally.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

#define STEPS 16u
#define EXACT (2 * STEPS)

static size_t bucket_of(uint64_t us)
{
	unsigned shift;
	size_t bucket;

	if (us < EXACT)
		return (size_t)us;
	shift = 59u - (unsigned)__builtin_clzll(us); /* us >> shift has five bits */
	bucket = (size_t)shift * STEPS + (size_t)(us >> shift);
	return MIN(bucket, (size_t)TALLY_BUCKETS - 1);
}

uint64_t tally_bucket_end(size_t bucket)
{
	size_t shift;

	if (bucket < EXACT)
		return bucket;
	shift = bucket / STEPS - 1;
	return ((uint64_t)(bucket - shift * STEPS) + 1) << shift;
}

void tally_time(struct tally_times *t, uint64_t us)
{
	t->count++;
	t->sum_us += us;
	t->max_us = MAX(t->max_us, us);
	t->buckets[bucket_of(us)]++;
}

uint64_t tally_percentile(const struct tally_times *t, double p)
{
	uint64_t wanted = (uint64_t)(p * (double)t->count), seen = 0;

	if (t->count == 0)
		return 0;
	wanted = MIN(wanted, t->count - 1);
	for (size_t i = 0; i < TALLY_BUCKETS; i++) {
		seen += t->buckets[i];
		if (seen > wanted)
			return MIN(tally_bucket_end(i), t->max_us);
	}
	return t->max_us;
}

uint64_t tally_mean(const struct tally_times *t)
{
	return t->count == 0 ? 0 : t->sum_us / t->count;
}

static void add_times(struct tally_times *sum, const struct tally_times *other)
{
	sum->count += other->count;
	sum->sum_us += other->sum_us;
	sum->max_us = MAX(sum->max_us, other->max_us);
	for (size_t i = 0; i < TALLY_BUCKETS; i++)
		sum->buckets[i] += other->buckets[i];
}

void tally_trouble(struct tally *t, uint64_t count, const char *fmt, ...)
{
	struct tally_trouble *found = t->troubles;
	char text[TALLY_TROUBLE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c != 0; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	}
	while (found < &t->troubles[TALLY_TROUBLES - 1] && found->count > 0 &&
		!str_eq(found->text, text))
		found++;
	if (found->count == 0)
		(void)snprintf(found->text, sizeof(found->text), "%s",
			found < &t->troubles[TALLY_TROUBLES - 1] ? text : "something else");
	/* Whoever reads it has another process; the text is there first. */
	atomic_signal_fence(memory_order_release);
	found->count += count;
}

void tally_add(struct tally *sum, const struct tally *other)
{
#define ADD(name, text) sum->name += other->name;
	TALLY_FIELDS(ADD)
#undef ADD
	add_times(&sum->connect, &other->connect);
	add_times(&sum->answer, &other->answer);
	add_times(&sum->wake, &other->wake);
	add_times(&sum->settled, &other->settled);
	for (size_t i = 0; i < TALLY_TROUBLES && other->troubles[i].count > 0; i++)
		tally_trouble(sum, other->troubles[i].count, "%s", other->troubles[i].text);
}
