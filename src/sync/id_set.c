/*
 * Interval sets. Invariant: runs are sorted and between two of them at least one id is missing.
 */
#include "sync/id_set.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

void id_set_deinit(struct id_set *s)
{
	mem_free(s->runs);
	*s = (struct id_set)ID_SET_INIT;
}

void id_set_copy(struct id_set *to, const struct id_set *from)
{
	id_set_deinit(to);
	if (from->count == 0)
		return;
	to->runs = x_calloc(from->count, sizeof(*to->runs));
	memcpy(to->runs, from->runs, from->count * sizeof(*to->runs));
	to->count = to->cap = from->count;
}

/* Index of the first run whose last is >= id; count when there is none. */
static size_t find_run(const struct id_set *s, uint64_t id)
{
	size_t low = 0, high = s->count;

	/* Appending at the end is the usual case. */
	if (high > 0 && s->runs[high - 1].last < id)
		return high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->runs[mid].last < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool id_set_has(const struct id_set *s, uint64_t id)
{
	size_t at = find_run(s, id);

	return at < s->count && s->runs[at].first <= id;
}

static void insert_run(struct id_set *s, size_t at, uint64_t first, uint64_t last)
{
	if (s->count == s->cap) {
		s->cap = MAX(s->cap * 2, (size_t)4);
		s->runs = x_realloc(s->runs, s->cap * sizeof(*s->runs));
	}
	memmove(s->runs + at + 1, s->runs + at, (s->count - at) * sizeof(*s->runs));
	s->runs[at] = (struct id_interval){first, last};
	s->count++;
}

static void remove_run(struct id_set *s, size_t at)
{
	s->count--;
	memmove(s->runs + at, s->runs + at + 1, (s->count - at) * sizeof(*s->runs));
}

bool id_set_add(struct id_set *s, uint64_t id)
{
	size_t at = find_run(s, id);
	bool joins_left = at > 0 && s->runs[at - 1].last + 1 == id;
	bool joins_right = at < s->count && s->runs[at].first == id + 1;

	if (at < s->count && s->runs[at].first <= id)
		return false;
	if (joins_left && joins_right) {
		s->runs[at - 1].last = s->runs[at].last;
		remove_run(s, at);
	} else if (joins_left) {
		s->runs[at - 1].last = id;
	} else if (joins_right) {
		s->runs[at].first = id;
	} else {
		insert_run(s, at, id, id);
	}
	return true;
}

bool id_set_remove(struct id_set *s, uint64_t id)
{
	size_t at = find_run(s, id);
	struct id_interval *run;

	if (at >= s->count || s->runs[at].first > id)
		return false;
	run = &s->runs[at];
	if (run->first == run->last) {
		remove_run(s, at);
	} else if (run->first == id) {
		run->first++;
	} else if (run->last == id) {
		run->last--;
	} else {
		uint64_t last = run->last;

		run->last = id - 1;
		insert_run(s, at + 1, id + 1, last);
	}
	return true;
}

uint64_t id_set_count(const struct id_set *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->runs[i].last - s->runs[i].first + 1;
	return n;
}

void id_set_encode(const struct id_set *s, struct buf *out)
{
	uint64_t before = 0;

	buf_add_varint(out, s->count);
	for (size_t i = 0; i < s->count; i++) {
		buf_add_varint(out, s->runs[i].first - before);
		buf_add_varint(out, s->runs[i].last - s->runs[i].first);
		before = s->runs[i].last;
	}
}

int id_set_decode(struct rd *in, struct id_set *ret, struct err *err)
{
	struct id_set s = ID_SET_INIT;
	uint64_t count = rd_varint(in), before = 0;

	/* Each run takes two bytes at least. */
	if (in->failed || count > rd_left(in) / 2)
		return err_set(err, ERR_BAD_INPUT, "id set: its count exceeds its bytes");
	for (uint64_t i = 0; i < count; i++) {
		uint64_t gap = rd_varint(in), more = rd_varint(in), first, last;

		if (in->failed || gap == 0 || (i > 0 && gap < 2) ||
			__builtin_add_overflow(before, gap, &first) ||
			__builtin_add_overflow(first, more, &last) || last == UINT64_MAX) {
			id_set_deinit(&s);
			return err_set(err, ERR_BAD_INPUT, "id set: run %zu is broken", (size_t)i);
		}
		insert_run(&s, s.count, first, last);
		before = last;
	}
	id_set_deinit(ret);
	*ret = s;
	return 0;
}

void id_set_print(const struct id_set *s, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		buf_addf(out, "%s%" PRIu64, i > 0 ? "," : "", s->runs[i].first);
		if (s->runs[i].last != s->runs[i].first)
			buf_addf(out, ":%" PRIu64, s->runs[i].last);
	}
}
