/*
 * Numbers of a draft's attachments. They stand in X-Bellhop-Attachments, in the order of the parts:
 * the next number, then number:mark for each. A message without that field, or one that does not
 * fit it, numbers its attachments by their parts. Pure; any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mime/mime_draft_internal.h"

static void number_by_part(const struct mime_summary *s, struct mime_draft_numbers *ret)
{
	for (size_t i = 0; i < ret->count; i++) {
		ret->v[i].number = ret->v[i].part;
		ret->v[i].mark = 0;
	}
	ret->next = s->part_count;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool are_distinct(struct arena *arena, const struct mime_draft_numbers *n)
{
	uint32_t *sorted = arena_x_alloc(arena, (n->count + 1) * sizeof(*sorted));

	for (size_t i = 0; i < n->count; i++) {
		if (n->v[i].number >= n->next)
			return false;
		sorted[i] = n->v[i].number;
	}
	qsort(sorted, n->count, sizeof(*sorted), compare_u32);
	for (size_t i = 1; i < n->count; i++) {
		if (sorted[i] == sorted[i - 1])
			return false;
	}
	return true;
}

/* The next word, cut off at its end; NULL when there is none. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t");

	*at = word + strcspn(word, " \t");
	if (**at != 0)
		*(*at)++ = 0;
	return *word != 0 ? word : NULL;
}

static bool parse_numbers(struct arena *arena, char *text, struct mime_draft_numbers *n)
{
	struct err ignored = ERR_INIT;
	char *word = next_word(&text), *mark;
	uint64_t number;
	size_t i = 0;

	if (word == NULL || str_parse_u64(word, UINT32_MAX - 1, &number, &ignored) < 0)
		return false;
	n->next = (uint32_t)number;
	for (; (word = next_word(&text)) != NULL; i++) {
		mark = strchr(word, ':');
		if (mark == NULL || i >= n->count)
			return false;
		*mark++ = 0;
		if (str_parse_u64(word, UINT32_MAX, &number, &ignored) < 0 ||
			str_parse_u64(mark, UINT64_MAX, &n->v[i].mark, &ignored) < 0)
			return false;
		n->v[i].number = (uint32_t)number;
	}
	return i == n->count && are_distinct(arena, n);
}

void mime_draft_numbers_read(struct arena *arena, const struct mime_summary *s, const void *raw,
	size_t len, struct mime_draft_numbers *ret)
{
	char *text = mime_field_text(arena, raw, len, MIME_DRAFT_NUMBERS);

	*ret = (struct mime_draft_numbers){
		.v = arena_x_alloc(arena, (s->part_count + 1) * sizeof(*ret->v))};
	for (uint32_t i = 0; i < s->part_count; i++) {
		if (s->parts[i].is_attachment)
			ret->v[ret->count++] = (struct mime_draft_number){.part = i};
	}
	if (text == NULL || !parse_numbers(arena, text, ret))
		number_by_part(s, ret);
}
