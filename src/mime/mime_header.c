/*
 * Header fields: found line by line without copying, unfolded and decoded on demand. Encoded words
 * and dates that are not plain go to GMime.
 *
 * Limits: one value is looked at up to MIME_VALUE_MAX bytes. Broken lines end the block, as readers
 * of real mail do it. Pure; any thread.
 */
#include "mime/mime_internal.h"

#include <string.h>

#include "mime/mime_gmime.h"

#include "base/mem.h"
#include "base/str.h"

static const char *line_end(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl != NULL ? nl + 1 : end;
}

/* Length of a field's name at p, or 0; *ret_value stands behind the colon. */
static size_t field_name(const char *p, const char *end, const char **ret_value)
{
	const char *q = p, *name_end;

	while (q<end && * q> ' ' && *q < 127 && *q != ':')
		q++;
	name_end = q;
	while (q < end && (*q == ' ' || *q == '\t'))
		q++;
	if (name_end == p || q == end || *q != ':')
		return 0;
	*ret_value = q + 1;
	return (size_t)(name_end - p);
}

/* Lines which are no fields and yet do not end a header: mbox separators, a fold of nothing, a
 * colon without a name. */
static bool is_skippable(const char *p, size_t len)
{
	return *p == ' ' || *p == '\t' || *p == ':' || (len > 5 && memcmp(p, "From ", 5) == 0) ||
	       (len > 6 && memcmp(p, ">From ", 6) == 0);
}

/* Lists of addresses have no parameters, and some end with a ';'. */
static bool is_of_addresses(const struct mime_field *f)
{
	static const char *const names[] = {"to", "cc", "bcc", "from", "sender", "reply-to"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (mime_header_is(f, names[i]))
			return true;
	}
	return false;
}

/* A parameter whose sender, or a list server on the way, forgot to indent it: behind a ';', a name
 * and '='. No field that means anything looks so. */
static bool is_lost_param(
	const struct mime_field *f, const char *value, const char *p, const char *end)
{
	const char *last = p - 1, *name = p;

	while (last > value && (*last == '\n' || *last == '\r' || *last == ' ' || *last == '\t'))
		last--;
	if (last <= value || *last != ';')
		return false;
	while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
				  (*p >= '0' && *p <= '9') || *p == '-' || *p == '*'))
		p++;
	return p > name && p < end && *p == '=' && !is_of_addresses(f);
}

int mime_header_next(struct mime_header_reader *r, struct mime_field *ret)
{
	while (r->p < r->end) {
		const char *p = r->p, *next = line_end(p, r->end), *value;
		size_t name_len;

		if (*p == '\n' || (*p == '\r' && r->end - p > 1 && p[1] == '\n')) {
			r->p = next;
			return 0;
		}
		name_len = field_name(p, next, &value);
		if (name_len == 0 && !is_skippable(p, (size_t)(next - p)))
			return 0;
		r->p = next;
		if (name_len == 0)
			continue;
		ret->name = (struct mime_slice){p, name_len};
		while (r->p < r->end &&
			(*r->p == ' ' || *r->p == '\t' || is_lost_param(ret, value, r->p, r->end)))
			r->p = line_end(r->p, r->end);
		next = r->p;
		if (next > value && next[-1] == '\n')
			next--;
		if (next > value && next[-1] == '\r')
			next--;
		ret->value = (struct mime_slice){value, (size_t)(next - value)};
		return 1;
	}
	return 0;
}

bool mime_header_is(const struct mime_field *f, const char *name)
{
	size_t i = 0;

	for (; i < f->name.len; i++) {
		char c = f->name.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if (c != name[i]) /* also at its end */
			return false;
	}
	return name[i] == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *mime_header_unfold(struct arena *arena, struct mime_slice value)
{
	const char *p = value.p, *end;
	char *copy, *to;

	if (p == NULL)
		return arena_x_strdup(arena, "");
	end = p + MIN(value.len, MIME_VALUE_MAX);
	while (p < end && is_blank(*p))
		p++;
	while (end > p && is_blank(end[-1]))
		end--;
	to = copy = arena_x_strndup(arena, p, (size_t)(end - p));
	if (strcspn(copy, "\r\n\t") == (size_t)(end - p))
		return copy;
	for (; p < end; p++) {
		if (*p != 0 && *p != '\n' && !(*p == '\r' && end - p > 1 && p[1] == '\n'))
			*to++ = *p == '\r' || *p == '\t' ? ' ' : *p;
	}
	*to = 0;
	return copy;
}

char *mime_header_clean(struct arena *arena, const char *s, size_t len, size_t max)
{
	struct buf clean = BUF_INIT;
	char *copy;

	if (len > 0)
		utf8_add_clean(&clean, s, len);
	if (clean.failed || clean.len == 0)
		return arena_x_strdup(arena, "");
	len = utf8_floor((const char *)clean.data, clean.len, max);
	copy = arena_x_strndup(arena, (const char *)clean.data, len);
	buf_deinit(&clean);
	return copy;
}

/* Nothing that needs decoding, cleaning or a cut. */
static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((uint8_t)s[i] < 0x20 && s[i] != '\t') || (uint8_t)s[i] >= 0x7f)
			return false;
		if (s[i] == '=' && s[i + 1] == '?')
			return false;
	}
	return len <= MIME_TEXT_FIELD_MAX;
}

char *mime_header_utf8(struct arena *arena, struct mime_slice value)
{
	char *raw = mime_header_unfold(arena, value);
	size_t len = strlen(raw);
	struct buf out = BUF_INIT;

	if (mime_charset_is_utf8("", raw, len))
		return raw;
	mime_charset_add(&out, "", raw, len);
	raw = arena_x_strdup(arena, buf_cstr(&out));
	buf_deinit(&out);
	return raw;
}

/*
 * GMime decodes a run of words of one charset as one, for the sake of senders who cut characters in
 * two, and stops at the first padding: all words behind it were lost. An empty word of another kind
 * ends the run.
 */
static char *part_padded_words(struct arena *arena, char *raw)
{
	static const char word[] = " =?us-ascii?Q?"
				   "?=";
	struct buf out = BUF_INIT;
	char *at = raw, *end;

	while ((end = strstr(at, "=?=")) != NULL) {
		size_t blanks = strspn(end + 3, " \t");
		const char *start = end;

		while (start > at && !is_blank(start[-1]))
			start--;
		buf_add(&out, at, (size_t)(end + 3 - at));
		if (blanks > 0 && strncmp(start, "=?", 2) == 0 &&
			strncmp(end + 3 + blanks, "=?", 2) == 0)
			buf_add_str(&out, word);
		at = end + 3;
	}
	if (at != raw) {
		buf_add_str(&out, at);
		raw = arena_x_strdup(arena, buf_cstr(&out));
	}
	buf_deinit(&out);
	return raw;
}

char *mime_header_text(struct arena *arena, struct mime_slice value)
{
	char *raw = mime_header_unfold(arena, value), *decoded, *copy;
	size_t len = strlen(raw);

	if (is_plain(raw, len))
		return raw;
	if (strstr(raw, "=?") == NULL) {
		raw = mime_header_utf8(arena, value);
		return mime_header_clean(arena, raw, strlen(raw), MIME_TEXT_FIELD_MAX);
	}
	raw = part_padded_words(arena, raw);
	decoded = g_mime_utils_header_decode_text(mime_init_options(), raw);
	copy = mime_header_clean(
		arena, decoded ? decoded : "", decoded ? strlen(decoded) : 0, MIME_TEXT_FIELD_MAX);
	g_free(decoded);
	return copy;
}

char *mime_field_text(struct arena *arena, const void *raw, size_t len, const char *name)
{
	const char *bytes = mime_bytes(raw, len);
	struct mime_header_reader reader = {bytes, bytes + len};
	struct mime_field field;

	while (mime_header_next(&reader, &field) == 1) {
		if (mime_header_is(&field, name))
			return mime_header_text(arena, field.value);
	}
	return NULL;
}

char *mime_header_msgid(struct arena *arena, struct mime_slice value)
{
	char *raw = mime_header_unfold(arena, value), *start = strchr(raw, '<'), *stop;
	size_t len;

	start = start != NULL ? start + 1 : raw;
	stop = start + strcspn(start, "> \t");
	len = MIN((size_t)(stop - start), (size_t)998);
	return mime_header_clean(arena, start, len, 998);
}

int64_t mime_header_date(struct arena *arena, struct mime_slice value)
{
	char *raw;
	GDateTime *when;
	int64_t at = 0;

	if (value.p == NULL || value.len > 200)
		return 0;
	raw = mime_header_unfold(arena, value);
	when = g_mime_utils_header_decode_date(raw);
	if (when != NULL) {
		at = g_date_time_to_unix(when);
		g_date_time_unref(when);
	}
	/* Before 1970 and after 9999 no client can show it. */
	return at > 0 && at < INT64_C(253402300800) ? at : 0;
}
