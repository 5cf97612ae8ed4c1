/* Typed values out of a checked tree. Pure; any thread. */
#include "eas/request.h"

#include <string.h>

#include "base/map.h"
#include "eas/date.h"

static uint64_t read_digits(const char *text, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return UINT64_MAX;
	return v;
}

uint64_t eas_get_uint(const struct wbxml_node *node, unsigned tag, uint64_t value_if_absent)
{
	const struct wbxml_node *child = wbxml_find(node, tag);

	return child == NULL || child->len == 0 ? value_if_absent
						: read_digits(child->text, child->len);
}

int64_t eas_get_int(const struct wbxml_node *node, unsigned tag, int64_t value_if_absent)
{
	const struct wbxml_node *child = wbxml_find(node, tag);
	bool negative;
	uint64_t v;

	if (child == NULL || child->len == 0)
		return value_if_absent;
	negative = child->text[0] == '-';
	v = read_digits(child->text + negative, child->len - negative);
	if (v > INT64_MAX)
		return negative ? INT64_MIN : INT64_MAX;
	return negative ? -(int64_t)v : (int64_t)v;
}

bool eas_get_bool(const struct wbxml_node *node, unsigned tag, bool value_if_absent)
{
	const struct wbxml_node *child = wbxml_find(node, tag);

	return child == NULL ? value_if_absent : child->len == 0 || child->text[0] != '0';
}

const char *eas_get_text(const struct wbxml_node *node, unsigned tag, const char *value_if_absent)
{
	const struct wbxml_node *child = wbxml_find(node, tag);

	return child == NULL || child->len == 0 ? value_if_absent : child->text;
}

bool eas_has(const struct wbxml_node *node, unsigned tag)
{
	return wbxml_find(node, tag) != NULL;
}

int64_t eas_get_date_ms(const struct wbxml_node *node, unsigned tag, int64_t value_if_absent)
{
	const struct wbxml_node *child = wbxml_find(node, tag);
	int64_t at;

	if (child != NULL &&
		eas_date_parse(child->text, child->len, EAS_DATE_ANY | EAS_DATE_DAY, &at))
		return at;
	return value_if_absent;
}

bool eas_get_range(
	const struct wbxml_node *node, unsigned tag, uint64_t *ret_first, uint64_t *ret_last)
{
	const struct wbxml_node *child = wbxml_find(node, tag);
	const char *dash = child == NULL ? NULL : strchr(child->text, '-');

	if (dash == NULL)
		return false;
	*ret_first = read_digits(child->text, child->len);
	*ret_last = read_digits(dash + 1, strlen(dash + 1));
	return true;
}

uint64_t eas_hash_node(const struct wbxml_node *node, uint64_t seed)
{
	uint8_t key[16] = {0};
	uint64_t hash;

	memcpy(key, &seed, sizeof(seed));
	memcpy(key + 8, &node->tag, sizeof(node->tag));
	hash = siphash(key, node->text, node->len);
	for (const struct wbxml_node *n = node->child; n != NULL; n = n->next)
		hash = eas_hash_node(n, hash);
	return hash;
}
