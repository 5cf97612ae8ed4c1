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
#define GAP         2  /* characters between columns */
#define LEAST       10 /* of a text that is cut */
#define PROSE       24 /* of one that takes several lines */
#define INDENT_MAX  50 /* behind which a text is not broken into lines */
#define DATE        10 /* "2026-11-23" of a time, */
#define MINUTES     16 /* and "2026-11-23T20:15" */

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

static bool is_time(const char *key)
{
	size_t len = strlen(key);

	return str_eq(key, "at") || (len > 3 && str_ends(key, "_at"));
}

/* "-": there is no value. */
static void add_value(struct buf *out, const char *key, const json_t *value)
{
	if (json_is_integer(value) && is_time(key))
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

/* Bytes of the words that fit into so many characters; of a word that is longer than that, all of
 * it, or what fits. */
static size_t line_of(const char *text, size_t width, bool may_split)
{
	size_t chars = 0, end = 0, split = 0;

	for (size_t i = 0;; i++) {
		if (text[i] == ' ' || text[i] == '\0') {
			if (chars > width && end > 0)
				return end;
			if (i == 0 || text[i - 1] != ' ')
				end = i;
			if (chars > width || text[i] == '\0')
				return chars > width && may_split ? split : end;
		}
		if (((unsigned char)text[i] & 0xc0) != 0x80) {
			if (chars == width)
				split = i;
			chars++;
		}
	}
}

void ctl_add_wrapped(struct buf *out, const char *text, size_t indent, size_t width)
{
	size_t room = width > indent ? width - indent : 0;

	if (room == 0 || indent > INDENT_MAX) {
		buf_add_str(out, text);
		return;
	}
	for (;;) {
		size_t len = line_of(text, room, false);

		buf_add(out, text, len);
		text += len + strspn(text + len, " ");
		if (*text == '\0')
			return;
		buf_addf(out, "\n%*s", (int)indent, "");
	}
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

/* ---- tables ---- */

struct column {
	const char *name;
	size_t natural; /* characters of the widest cell */
	size_t least;   /* down to which it may be cut */
	size_t width;   /* as it is shown */
	bool is_time;
	bool is_prose; /* goes on in further lines, and is never cut */
	bool is_empty; /* in every row */
	bool left_out;
};

struct table {
	struct column columns[COLUMNS_MAX];
	size_t count;
	bool is_cut; /* a column is shorter than its cells, or left out */
};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(name, names[i]))
			return true;
	}
	return false;
}

/* Names by which one goes on: what is cut of them is of no use. */
static bool is_key(const char *name)
{
	static const char *const keys[] = {
		"device", "item", "mail", "id", "number", "address", "name", "recipient"};

	return is_one_of(name, keys, ARRAY_LEN(keys));
}

/* Whole sentences: what the rest of the row is shown for. */
static bool is_prose(const char *name)
{
	static const char *const names[] = {
		"answer", "note", "reason", "rule", "scopes", "text", "warning"};

	return is_one_of(name, names, ARRAY_LEN(names));
}

/* At most so many characters; the last one says that there were more. */
static void add_cut(struct buf *out, const char *text, size_t width)
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		n += (*p & 0xc0) != 0x80;
		if (n == width)
			break;
		buf_add_byte(out, *p);
	}
	buf_add_str(out, "\u2026");
}

/* What of a cell stands in this line of its row; gives the rest, "" for none. */
static const char *add_line(const struct column *column, const char *text, struct buf *out)
{
	size_t len;

	if (width_of(text) <= column->width) {
		buf_add_str(out, text);
		return "";
	}
	if (column->is_time) {
		buf_add(out, text, column->width < MINUTES ? DATE : MINUTES);
		return "";
	}
	if (!column->is_prose) {
		add_cut(out, text, column->width);
		return "";
	}
	len = line_of(text, column->width, true);
	buf_add(out, text, len);
	return text + len + strspn(text + len, " ");
}

static void add_row(const json_t *row, const struct table *t, struct buf *out)
{
	char *texts[COLUMNS_MAX];
	const char *rest[COLUMNS_MAX];
	bool more = true;

	for (size_t c = 0; c < t->count; c++)
		rest[c] = texts[c] = cell(row, t->columns[c].name);
	while (more) {
		size_t at = 0, begin = 0;

		more = false;
		for (size_t c = 0; c < t->count; c++) {
			if (t->columns[c].left_out)
				continue;
			if (rest[c][0] != '\0') {
				size_t before;

				buf_addf(out, "%*s", (int)(begin - at), "");
				before = out->len;
				rest[c] = add_line(&t->columns[c], rest[c], out);
				at = begin + width_of(buf_cstr(out) + before);
				more = more || rest[c][0] != '\0';
			}
			begin += t->columns[c].width + GAP;
		}
		buf_add_byte(out, '\n');
	}
	for (size_t c = 0; c < t->count; c++)
		mem_free(texts[c]);
}

/* How short a column may become. */
static size_t least_width(const struct column *column, bool is_first, const json_t *value)
{
	size_t title = width_of(column->name), least;

	/* Half a number is another number. */
	if (is_first || is_key(column->name) || json_is_boolean(value) ||
		(json_is_integer(value) && !column->is_time))
		return column->natural;
	if (column->is_time && str_ends(column->name, "_at"))
		title -= strlen("_at");
	least = column->is_prose ? PROSE : LEAST;
	return MIN(column->natural, MAX(least, title));
}

static void measure(const json_t *rows, struct table *t)
{
	for (size_t c = 0; c < t->count; c++) {
		struct column *column = &t->columns[c];
		const json_t *first = json_object_get(json_array_get(rows, 0), column->name);

		column->is_empty = json_array_size(rows) > 0;
		for (size_t i = 0; i <= json_array_size(rows); i++) {
			char *text = cell(i > 0 ? json_array_get(rows, i - 1) : NULL, column->name);

			column->natural = MAX(column->natural, width_of(text));
			if (i > 0 && !str_eq(text, "-"))
				column->is_empty = false;
			mem_free(text);
		}
		column->width = column->natural;
		column->is_time = is_time(column->name);
		column->is_prose = is_prose(column->name);
		column->least = least_width(column, c == 0, first);
	}
}

/* What all columns take that are shown, each as short as it may be. */
static size_t least_of(const struct table *t)
{
	size_t sum = 0;

	for (size_t c = 0; c < t->count; c++) {
		if (!t->columns[c].left_out)
			sum += t->columns[c].least + (c > 0 ? GAP : 0);
	}
	return sum;
}

/* The one that is missed least; NULL: none may go. */
static struct column *least_wanted(struct table *t)
{
	static const char *const first_to_go[] = {"policy_status", "version", "policy",
		"created_at", "quota_bytes", "device_limit", "used_bytes", "device_count",
		"description", "settings", "required", "ios_confirmed", "android_confirmed",
		"windows_mobile_confirmed", "since", "unit", "minimum", "maximum", "type"};

	for (size_t c = t->count; c-- > 1;) {
		if (!t->columns[c].left_out && t->columns[c].is_empty)
			return &t->columns[c];
	}
	for (size_t i = 0; i < ARRAY_LEN(first_to_go); i++) {
		for (size_t c = 1; c < t->count; c++) {
			if (!t->columns[c].left_out && str_eq(t->columns[c].name, first_to_go[i]))
				return &t->columns[c];
		}
	}
	/* A phone is the user's address with the DeviceId behind it. */
	for (size_t c = t->count; c-- > 1;) {
		if (!t->columns[c].left_out && !t->columns[c].is_prose &&
			!str_eq(t->columns[c].name, "state") &&
			(c > 1 || !str_eq(t->columns[c].name, "device")))
			return &t->columns[c];
	}
	return NULL;
}

/* Into so many characters, as far as that can be. */
static void fit(struct table *t, size_t width)
{
	struct column *gone;
	size_t spare;

	while (least_of(t) > width && (gone = least_wanted(t)) != NULL)
		gone->left_out = true;
	spare = width - MIN(width, least_of(t));
	for (size_t c = 0; c < t->count; c++) {
		struct column *column = &t->columns[c];
		size_t more = MIN(spare, column->natural - column->least);

		/* A time is shown to the second, the minute, or the day. */
		if (column->is_time && column->least + more < column->natural)
			more = column->least + more < MINUTES ? 0 : MINUTES - column->least;
		if (!column->left_out) {
			column->width = column->least + more;
			spare -= more;
		}
		t->is_cut = t->is_cut || column->left_out ||
			    (column->width < column->natural && !column->is_prose);
	}
}

static void say_what_is_cut(const struct table *t, size_t width, struct buf *out)
{
	struct buf names = BUF_INIT;
	unsigned gone = 0;

	for (size_t c = 0; c < t->count; c++) {
		if (t->columns[c].left_out)
			buf_addf(&names, "%s%s", gone++ > 0 ? ", " : "", t->columns[c].name);
	}
	if (gone == 0)
		buf_add_str(out, "(cut; --wide shows all)\n");
	else if (names.len + strlen("(left out: ; --wide shows all)") <= width)
		buf_addf(out, "(left out: %s; --wide shows all)\n", buf_cstr(&names));
	else
		buf_addf(out, "(%u %s left out; --wide shows all)\n", gone,
			gone == 1 ? "column" : "columns");
	buf_deinit(&names);
}

/* width 0: as wide as it is. */
static void render_table(const json_t *rows, const char *columns, size_t width, struct buf *out)
{
	char *copy = x_strdup(columns);
	struct table t = {.count = 0};

	for (char *p = copy; *p != '\0' && t.count < COLUMNS_MAX;) {
		size_t n = strcspn(p, " ");

		t.columns[t.count++].name = p;
		p += n;
		if (*p == ' ')
			*p++ = '\0';
	}
	measure(rows, &t);
	if (width > 0)
		fit(&t, width);
	add_row(NULL, &t, out);
	for (size_t i = 0; i < json_array_size(rows); i++)
		add_row(json_array_get(rows, i), &t, out);
	if (json_array_size(rows) == 0)
		buf_add_str(out, "(none)\n");
	else if (t.is_cut)
		say_what_is_cut(&t, width, out);
	mem_free(copy);
}

/* A table with a column for each field of the first one. */
static void render_objects(const json_t *rows, size_t width, struct buf *out)
{
	struct buf columns = BUF_INIT;
	json_t *first = json_array_get(rows, 0);

	for (void *it = json_object_iter(first); it != NULL; it = json_object_iter_next(first, it))
		buf_addf(&columns, "%s%s", columns.len > 0 ? " " : "", json_object_iter_key(it));
	render_table(rows, buf_cstr(&columns), width, out);
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

static void render_object(const json_t *object, unsigned depth, size_t terminal, struct buf *out)
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
		struct buf text = BUF_INIT;

		if (depth == 0 && str_eq(key, "findings"))
			continue; /* they come last */
		if (json_is_string(value) && json_string_value(value)[0] == '\0' && depth == 0 &&
			json_object_size(object) == 1)
			continue; /* an answer that has nothing to say */
		buf_addf(out, "%*s%s", (int)(2 * depth), "", key);
		if (json_is_object(value) && depth < 4) {
			buf_add_str(out, ":\n");
			render_object(value, depth + 1, terminal, out);
			continue;
		}
		if (json_is_object(json_array_get(value, 0))) {
			buf_add_str(out, ":\n");
			render_objects(value, terminal, out);
			continue;
		}
		buf_addf(out, ":%*s", (int)(width - strlen(key) + 1), "");
		add_value(&text, key, value);
		ctl_add_wrapped(out, buf_cstr(&text), 2 * depth + width + 2, terminal);
		buf_deinit(&text);
		buf_add_byte(out, '\n');
	}
	if (depth == 0 && json_is_array(json_object_get(object, "findings")))
		render_findings(json_object_get(object, "findings"), out);
}

void ctl_render(const json_t *result, const char *columns, size_t width, struct buf *out)
{
	if (json_is_array(result))
		render_table(result, columns, width, out);
	else
		render_object(result, 0, width, out);
}
