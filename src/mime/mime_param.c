/*
 * Content-Type, Content-Disposition and Content-Transfer-Encoding. The plain form, type/subtype and
 * name=value or name="value", is taken apart here; everything else (RFC 2231 pieces, encoded words,
 * comments, 8-bit bytes) by GMime.
 *
 * Limits: PARAMS_MAX parameters of a field, PARAM_MAX bytes of each are kept. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "mime/mime_gmime.h"

#include "base/mem.h"
#include "base/str.h"

enum { PARAMS_MAX = 16, PARAM_MAX = 1000, CHARSET_MAX = 60 };

struct param {
	const char *name, *value;
};

/* A field cut in place: head, then parameters with names in lower case. */
struct params {
	const char *head;
	struct param v[PARAMS_MAX];
	size_t count;
};

static char *skip_blank(char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* A character that the plain form can do without. */
static bool is_odd(char c)
{
	return (uint8_t)c < 0x20 || (uint8_t)c >= 0x7f || c == '(' || c == '*' || c == '\\';
}

/* Only plain characters, no encoded word. */
static bool is_simple(const char *s)
{
	for (; *s != 0; s++) {
		if ((is_odd(*s) && *s != '\t') || (*s == '=' && s[1] == '?'))
			return false;
	}
	return true;
}

/* p stands behind '='. Terminates the value; the place to go on, or NULL when it is not plain. */
static char *cut_value(char *p, const char **ret)
{
	char *stop;

	p = skip_blank(p);
	if (*p == '"') {
		stop = strchr(p + 1, '"');
		if (stop == NULL)
			return NULL;
		*stop = 0;
		*ret = p + 1;
		p = skip_blank(stop + 1);
		if (*p != 0 && *p != ';')
			return NULL;
		return *p == ';' ? p + 1 : p;
	}
	stop = p + strcspn(p, ";");
	*ret = p;
	p = *stop == ';' ? stop + 1 : stop;
	while (stop > *ret && (stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	*stop = 0;
	return strpbrk(*ret, " \t\"") == NULL ? p : NULL;
}

/* Cuts a copy of the field. False: give it to GMime. */
static bool cut(char *s, struct params *ret)
{
	char *p, *stop;

	if (!is_simple(s))
		return false;
	s = skip_blank(s);
	stop = s + strcspn(s, "; \t"); /* some forget the first ';' */
	p = *stop != 0 ? stop + 1 : stop;
	*stop = 0;
	ret->head = str_lower(s);
	ret->count = 0;
	while (*(p = skip_blank(p)) != 0) {
		char *name = p;

		if (*p == ';') {
			p++;
			continue;
		}
		p += strcspn(p, "=;");
		if (*p != '=' || ret->count == PARAMS_MAX)
			return false;
		*p++ = 0;
		ret->v[ret->count].name = str_lower(str_trim(name));
		p = cut_value(p, &ret->v[ret->count].value);
		if (p == NULL)
			return false;
		ret->count++;
	}
	return true;
}

static const char *param_find(const struct params *params, const char *name)
{
	for (size_t i = 0; i < params->count; i++) {
		if (strcmp(params->v[i].name, name) == 0)
			return params->v[i].value;
	}
	return "";
}

/* From GMime: copies into the arena. */
static void take_list(struct arena *arena, GMimeParamList *list, struct params *ret)
{
	int n = list != NULL ? g_mime_param_list_length(list) : 0;

	ret->count = 0;
	for (int i = 0; i < n && ret->count < PARAMS_MAX; i++) {
		GMimeParam *param = g_mime_param_list_get_parameter_at(list, i);
		const char *value = g_mime_param_get_value(param);

		if (value == NULL)
			continue;
		value += *value == '"'; /* whose other end is missing */
		ret->v[ret->count].name =
			str_lower(arena_x_strdup(arena, g_mime_param_get_name(param)));
		ret->v[ret->count].value =
			mime_header_clean(arena, value, strlen(value), MIME_TEXT_FIELD_MAX);
		ret->count++;
	}
}

static void content_type_params(struct arena *arena, struct mime_slice value, struct params *ret)
{
	char *copy = mime_header_utf8(arena, value);
	GMimeContentType *type;

	if (cut(copy, ret))
		return;
	copy = mime_header_utf8(arena, value);
	type = g_mime_content_type_parse(mime_init_options(), copy);
	take_list(arena, g_mime_content_type_get_parameters(type), ret);
	copy[strcspn(copy, "; \t(")] = 0;
	ret->head = str_lower(mime_header_clean(arena, copy, strlen(copy), 200));
	g_object_unref(type);
}

/* type "/" subtype of token characters. */
static bool is_type(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash != NULL && slash != s && slash[1] != 0 && strlen(s) < 200 &&
	       s[strcspn(s, " \t\"<>@,:[]?=")] == 0 && strchr(slash + 1, '/') == NULL;
}

/* A copy in the arena, of a length that many parts may have. */
static const char *keep(struct arena *arena, const char *s)
{
	size_t len = strlen(s);

	return len > 0 ? arena_x_strndup(arena, s, utf8_floor(s, len, PARAM_MAX)) : "";
}

void mime_param_content_type(struct arena *arena, struct arena *scratch, struct mime_slice value,
	struct mime_content_type *ret)
{
	struct params params = {.head = ""};
	const char *charset;

	if (value.p != NULL)
		content_type_params(scratch, value, &params);
	charset = param_find(&params, "charset");
	*ret = (struct mime_content_type){
		.type = is_type(params.head) ? keep(arena, params.head) : "",
		.charset = *charset != 0 && strlen(charset) <= CHARSET_MAX
				   ? str_lower(arena_x_strdup(arena, charset))
				   : "",
		.boundary = keep(arena, param_find(&params, "boundary")),
		.name = keep(arena, param_find(&params, "name")),
		.method = keep(arena, param_find(&params, "method")),
		.protocol = keep(arena, param_find(&params, "protocol")),
		.smime_type = keep(arena, param_find(&params, "smime-type")),
		.format_flowed = str_eq_nocase(param_find(&params, "format"), "flowed"),
		.delsp = str_eq_nocase(param_find(&params, "delsp"), "yes"),
	};
}

static void disposition_params(struct arena *arena, const char *field, struct params *ret)
{
	char *copy = arena_x_strdup(arena, field);
	GMimeContentDisposition *parsed;

	if (cut(copy, ret))
		return;
	copy = arena_x_strdup(arena, field);
	parsed = g_mime_content_disposition_parse(mime_init_options(), copy);
	take_list(arena, g_mime_content_disposition_get_parameters(parsed), ret);
	copy[strcspn(copy, "; \t(")] = 0;
	ret->head = str_lower(mime_header_clean(arena, copy, strlen(copy), 200));
	g_object_unref(parsed);
}

void mime_param_disposition(struct arena *arena, struct arena *scratch, struct mime_slice value,
	const char **disposition, const char **filename)
{
	struct params params = {.head = ""};
	char *field;

	*disposition = *filename = "";
	if (value.p == NULL)
		return;
	field = mime_header_utf8(scratch, value);
	/* Some forget to say what it is. */
	if (str_starts_nocase(field, "filename"))
		field = arena_x_printf(scratch, "attachment; %s", field);
	disposition_params(scratch, field, &params);
	*disposition = keep(arena, params.head);
	*filename = keep(arena, param_find(&params, "filename"));
}

enum mime_encoding mime_param_encoding(struct mime_slice value)
{
	static const struct {
		const char *name;
		enum mime_encoding encoding;
	} table[] = {
		{"7bit", MIME_ENC_7BIT},
		{"8bit", MIME_ENC_8BIT},
		{"binary", MIME_ENC_BINARY},
		{"quoted-printable", MIME_ENC_QP},
		{"base64", MIME_ENC_BASE64},
		{"x-uuencode", MIME_ENC_UUENCODE},
		{"x-uue", MIME_ENC_UUENCODE},
		{"uuencode", MIME_ENC_UUENCODE},
	};
	char word[20];
	size_t n = 0;

	for (size_t i = 0; value.p != NULL && i < value.len && n < sizeof(word) - 1; i++) {
		char c = value.p[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"') {
			if (n > 0)
				break;
			continue;
		}
		if (c == ';' || c == '(')
			break;
		word[n++] = c;
	}
	word[n] = 0;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq_nocase(word, table[i].name))
			return table[i].encoding;
	}
	return n == 0 ? MIME_ENC_7BIT : MIME_ENC_8BIT;
}
