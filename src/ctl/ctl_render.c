/*
 * Results for people: tables and lists of fields. Some texts come from phones: nothing that a
 * terminal obeys gets through.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

#define COLUMNS_MAX 16

/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069: three bytes each. */
static bool turns(const unsigned char *p)
{
	if (p[0] != 0xe2)
		return false;
	if (p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

void ctl_add_visible(struct buf *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		/* C0 is one byte, C1 is C2 80 to C2 9F. */
		if (*p < 0x20 || *p == 0x7f) {
			buf_add_byte(out, ' ');
		} else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			buf_add_byte(out, '?');
			p++;
		} else if (turns(p)) {
			buf_add_byte(out, '?');
			p += 2;
		} else {
			buf_add_byte(out, *p);
		}
	}
}

static void add_time(struct buf *out, json_int_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[32] = "-";

	if (at != 0 && gmtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_add_str(out, text);
}

static void add_list(struct buf *out, const json_t *list);

/* "-": there is no value. */
static void add_value(struct buf *out, const char *key, const json_t *value)
{
	size_t len = strlen(key);
	bool is_time = str_eq(key, "at") || (len > 3 && str_ends(key, "_at"));

	if (json_is_integer(value) && is_time)
		add_time(out, json_integer_value(value));
	else if (json_is_integer(value))
		buf_addf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		buf_add_str(out, json_is_true(value) ? "yes" : "no");
	else if (json_is_string(value) && json_string_value(value)[0] != '\0')
		ctl_add_visible(out, json_string_value(value));
	else if (json_is_array(value))
		add_list(out, value);
	else
		buf_add_byte(out, '-');
}

static void add_list(struct buf *out, const json_t *list)
{
	if (json_array_size(list) == 0)
		buf_add_str(out, "none");
	for (size_t i = 0; i < json_array_size(list); i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		add_value(out, "", json_array_get(list, i));
	}
}

/* Characters, not bytes. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		n += (*p & 0xc0) != 0x80;
	return n;
}

/* "last_seen_at" -> "LAST SEEN". */
static void add_title(struct buf *out, const char *column)
{
	size_t len = strlen(column);

	if (len > 3 && str_ends(column, "_at"))
		len -= 3;
	for (size_t i = 0; i < len; i++) {
		char c = column[i];

		buf_add_byte(out, (uint8_t)(c == '_' ? ' ' : c >= 'a' && c <= 'z' ? c - 32 : c));
	}
}

static char *cell(const json_t *row, const char *column)
{
	struct buf text = BUF_INIT;
	char *copy;

	if (row == NULL)
		add_title(&text, column);
	else
		add_value(&text, column, json_object_get(row, column));
	copy = x_strdup(buf_cstr(&text));
	buf_deinit(&text);
	return copy;
}

/* row NULL: the titles. out NULL: only measures. */
static void table_row(
	const json_t *row, char **columns, size_t count, size_t *widths, struct buf *out)
{
	for (size_t c = 0; c < count; c++) {
		char *text = cell(row, columns[c]);
		size_t width = width_of(text);

		widths[c] = MAX(widths[c], width);
		if (out != NULL) {
			buf_add_str(out, text);
			for (size_t pad = width; c + 1 < count && pad < widths[c] + 2; pad++)
				buf_add_byte(out, ' ');
		}
		mem_free(text);
	}
	if (out != NULL)
		buf_add_byte(out, '\n');
}

static void render_table(const json_t *rows, const char *columns, struct buf *out)
{
	char *copy = x_strdup(columns), *names[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX] = {0}, count = 0;

	for (char *p = copy; *p != '\0' && count < COLUMNS_MAX;) {
		size_t n = strcspn(p, " ");

		names[count++] = p;
		p += n;
		if (*p == ' ')
			*p++ = '\0';
	}
	table_row(NULL, names, count, widths, NULL);
	for (size_t i = 0; i < json_array_size(rows); i++)
		table_row(json_array_get(rows, i), names, count, widths, NULL);
	table_row(NULL, names, count, widths, out);
	for (size_t i = 0; i < json_array_size(rows); i++)
		table_row(json_array_get(rows, i), names, count, widths, out);
	mem_free(copy);
}

/* A table with a column for each field of the first one. */
static void render_objects(const json_t *rows, struct buf *out)
{
	struct buf columns = BUF_INIT;
	json_t *first = json_array_get(rows, 0);

	for (void *it = json_object_iter(first); it != NULL; it = json_object_iter_next(first, it))
		buf_addf(&columns, "%s%s", columns.len > 0 ? " " : "", json_object_iter_key(it));
	render_table(rows, buf_cstr(&columns), out);
	buf_deinit(&columns);
}

/* One on a line. */
static void render_findings(const json_t *findings, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(findings); i++) {
		ctl_add_visible(out, json_string_value(json_array_get(findings, i)));
		buf_add_byte(out, '\n');
	}
	if (json_array_size(findings) == 0)
		buf_add_str(out, "nothing found\n");
}

static void render_object(const json_t *object, unsigned depth, struct buf *out)
{
	size_t width = 0;
	void *it;

	for (it = json_object_iter((json_t *)(uintptr_t)object); it != NULL;
		it = json_object_iter_next((json_t *)(uintptr_t)object, it))
		width = MAX(width, strlen(json_object_iter_key(it)));
	for (it = json_object_iter((json_t *)(uintptr_t)object); it != NULL;
		it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
		const char *key = json_object_iter_key(it);
		const json_t *value = json_object_iter_value(it);

		if (depth == 0 && str_eq(key, "findings"))
			continue; /* they come last */
		if (json_is_string(value) && json_string_value(value)[0] == '\0' && depth == 0 &&
			json_object_size(object) == 1)
			continue; /* an answer that has nothing to say */
		buf_addf(out, "%*s%s", (int)(2 * depth), "", key);
		if (json_is_object(value) && depth < 4) {
			buf_add_str(out, ":\n");
			render_object(value, depth + 1, out);
			continue;
		}
		if (json_is_object(json_array_get(value, 0))) {
			buf_add_str(out, ":\n");
			render_objects(value, out);
			continue;
		}
		buf_addf(out, ":%*s", (int)(width - strlen(key) + 1), "");
		add_value(out, key, value);
		buf_add_byte(out, '\n');
	}
	if (depth == 0 && json_is_array(json_object_get(object, "findings")))
		render_findings(json_object_get(object, "findings"), out);
}

void ctl_render(const json_t *result, const char *columns, struct buf *out)
{
	if (json_is_array(result))
		render_table(result, columns, out);
	else
		render_object(result, 0, out);
}
