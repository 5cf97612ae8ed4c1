/*
 * Values of leaf elements: are they what the schema says they are? Texts come as STR_I (valid
 * UTF-8) or as OPAQUE (any bytes), and where a text is meant both are taken. Pure.
 */
#include "eas/schema_internal.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/date.h"

#define ID_CHARACTERS  64u
#define TIMEZONE_BYTES 172u

/* A number with at most 19 digits; false for anything else. */
static bool read_number(const char *text, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	if (len == 0 || len > 19)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = v;
	return true;
}

static const char *check_uint(const struct schema_row *row, const struct wbxml_node *node)
{
	uint64_t v;

	if (!read_number(node->text, node->len, &v))
		return "is not a number";
	return v < row->low || v > row->high ? "is out of range" : NULL;
}

static const char *check_choice(const struct schema_row *row, const struct wbxml_node *node)
{
	uint64_t v;

	if (!read_number(node->text, node->len, &v))
		return "is not a number";
	return v > 31 || (row->low >> v & 1) == 0 ? "is none of the allowed values" : NULL;
}

static const char *check_number(const struct wbxml_node *node)
{
	size_t sign = node->len > 0 && node->text[0] == '-';

	if (node->len <= sign)
		return "is not a number";
	for (size_t i = sign; i < node->len; i++)
		if (node->text[i] < '0' || node->text[i] > '9')
			return "is not a number";
	return NULL;
}

static const char *check_text(const struct wbxml_node *node, size_t least, size_t most)
{
	size_t characters = 0;

	if (node->opaque &&
		(!utf8_valid(node->text, node->len) || memchr(node->text, 0, node->len) != NULL))
		return "is not text";
	for (size_t i = 0; i < node->len; i++)
		characters += ((uint8_t)node->text[i] & 0xc0) != 0x80;
	if (characters < least)
		return "is too short";
	return most != 0 && characters > most ? "is too long" : NULL;
}

static const char *check_class(
	const struct schema_row *row, unsigned version, const struct wbxml_node *node)
{
	static const struct {
		const char *name;
		unsigned bit, since;
	} classes[] = {
		{"Email", CLASS_EMAIL, 25},
		{"Calendar", CLASS_CALENDAR, 25},
		{"Contacts", CLASS_CONTACTS, 25},
		{"Tasks", CLASS_TASKS, 25},
		{"Notes", CLASS_NOTES, 140},
		{"SMS", CLASS_SMS, 140},
	};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(node->text, classes[i].name) == 0 && strlen(node->text) == node->len &&
			(row->low & classes[i].bit) != 0 && version >= classes[i].since)
			return NULL;
	return "is no class that can stand here";
}

static const char *check_base64(const struct wbxml_node *node, size_t most, size_t exact_bytes)
{
	struct buf bytes;
	const char *bad = NULL;

	if (most != 0 && node->len > most)
		return "is too long";
	buf_init(&bytes, node->len + 1);
	if (base64_decode(&bytes, node->text, node->len) < 0)
		bad = "is not base64";
	else if (exact_bytes != 0 && bytes.len != exact_bytes)
		bad = "has the wrong length";
	buf_deinit(&bytes);
	return bad;
}

static const char *check_double(const struct wbxml_node *node)
{
	const char *p = node->text;
	size_t digits;

	p += *p == '-' || *p == '+';
	digits = strspn(p, "0123456789");
	p += digits;
	if (*p == '.') {
		size_t fraction = strspn(++p, "0123456789");

		digits += fraction;
		p += fraction;
	}
	if (digits > 0 && (*p == 'e' || *p == 'E')) {
		p++;
		p += *p == '-' || *p == '+';
		digits = strspn(p, "0123456789");
		p += digits;
	}
	return digits == 0 || digits > 300 || p != node->text + node->len ? "is not a number"
									  : NULL;
}

static const char *check_range(const struct schema_row *row, const struct wbxml_node *node)
{
	const char *dash = memchr(node->text, '-', node->len);
	uint64_t first, last;

	if (dash == NULL || !read_number(node->text, (size_t)(dash - node->text), &first) ||
		!read_number(dash + 1, node->len - (size_t)(dash - node->text) - 1, &last))
		return "is not m-n";
	return first > last || last > row->high ? "is no range" : NULL;
}

static const char *check_date(unsigned forms, const struct wbxml_node *node)
{
	int64_t at;

	return eas_date_parse(node->text, node->len, forms, &at) ? NULL : "is not a date";
}

static const char *check_format(const struct wbxml_node *node)
{
	return str_eq_nocase(node->text, "Text") || str_eq_nocase(node->text, "HTML")
		       ? NULL
		       : "is neither Text nor HTML";
}

const char *schema_check_value(
	const struct schema_row *row, unsigned version, const struct wbxml_node *node)
{
	if (row->nullable && node->len == 0)
		return NULL;
	switch ((enum schema_type)row->type) {
	case SCHEMA_EMPTY:
		return node->len == 0 || strcmp(node->text, "1") == 0 ? NULL : "is not empty";
	case SCHEMA_BOOL:
		return node->len == 0 || strcmp(node->text, "1") == 0 ||
				       strcmp(node->text, "0") == 0
			       ? NULL
			       : "is not a boolean";
	case SCHEMA_UINT:
		return check_uint(row, node);
	case SCHEMA_NUMBER:
		return check_number(node);
	case SCHEMA_CHOICE:
		return check_choice(row, node);
	case SCHEMA_TEXT:
		return check_text(node, row->low, row->high);
	case SCHEMA_ID:
		return check_text(node, 1, ID_CHARACTERS);
	case SCHEMA_CLASS:
		return check_class(row, version, node);
	case SCHEMA_DATE:
		return check_date(EAS_DATE_ANY, node);
	case SCHEMA_DASHED:
		return check_date(EAS_DATE_DASHED, node);
	case SCHEMA_DAY:
		return check_date(
			version >= 160 ? EAS_DATE_ANY | EAS_DATE_DAY : EAS_DATE_ANY, node);
	case SCHEMA_BLOB:
		return node->len == 0 ? "is empty" : NULL;
	case SCHEMA_BASE64:
		return check_base64(node, row->high, 0);
	case SCHEMA_TIMEZONE:
		return check_base64(node, 0, TIMEZONE_BYTES);
	case SCHEMA_DOUBLE:
		return check_double(node);
	case SCHEMA_RANGE:
		return check_range(row, node);
	case SCHEMA_FORMAT:
		return check_format(node);
	case SCHEMA_FORBIDDEN:
		return "does not exist in this version";
	default:
		return NULL;
	}
}
