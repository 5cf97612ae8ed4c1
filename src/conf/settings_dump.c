/*
 * Settings as text: `bellhop config dump`, the example file, and comparing snapshots. What is
 * dumped parses to the same values.
 */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/settings_internal.h"

void settings_value_text(const struct settings *s, const struct setting_def *def, struct buf *out)
{
	const char *field = (const char *)s + def->offset;
	const struct settings_words *list;

	switch (def->type) {
	case SETTING_TYPE_UINT:
		buf_addf(out, "%llu", (unsigned long long)*(const uint64_t *)(const void *)field);
		break;
	case SETTING_TYPE_BOOL:
		buf_add_str(out, *(const bool *)(const void *)field ? "yes" : "no");
		break;
	case SETTING_TYPE_STR:
	case SETTING_TYPE_PATH:
	case SETTING_TYPE_ENUM:
		buf_add_str(out, *(const char *const *)(const void *)field);
		break;
	case SETTING_TYPE_LIST:
	case SETTING_TYPE_ADDRESSES:
		list = (const void *)field;
		for (size_t i = 0; i < list->count; i++)
			buf_addf(out, "%s%s", i > 0 ? " " : "", list->words[i]);
		break;
	}
}

/* Quotes only where the parser would take the bare text for something else; such a value came from
 * quotes and holds none. */
static void add_value(struct buf *out, const char *value)
{
	size_t len = strlen(value);
	bool quote =
		len > 0 &&
		(value[0] == '#' || strstr(value, " #") != NULL || strstr(value, "\t#") != NULL ||
			strchr(" \t", value[0]) != NULL || strchr(" \t", value[len - 1]) != NULL);

	buf_addf(out, quote ? "\"%s\"" : "%s", value);
}

/* The text of a setting as comment lines of at most 96 columns. */
static void add_comment(struct buf *out, const char *text)
{
	size_t column = 0;

	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, " ");

		if (column > 0 && column + 1 + n > 96) {
			buf_add_byte(out, '\n');
			column = 0;
		}
		buf_add_str(out, column == 0 ? "# " : " ");
		column += column == 0 ? 2 : 1;
		buf_add(out, p, n);
		column += n;
		p += n;
		p += strspn(p, " ");
	}
	buf_add_byte(out, '\n');
}

static void add_documented(struct buf *out, const struct setting_def *def, const char *value)
{
	add_comment(out, def->text);
	buf_add_str(out, "# Allowed: ");
	settings_describe_range(def, out);
	buf_addf(out, ". Default: %s.%s\n", def->default_text[0] ? def->default_text : "(empty)",
		def->reloadable ? "" : " Takes effect at a restart.");
	buf_addf(out, "%s%s = ", str_eq(value, def->default_text) ? "#" : "", def->name);
	add_value(out, value);
	buf_add_str(out, "\n\n");
}

void settings_dump(const struct settings *s, bool only_changed, struct buf *out)
{
	const char *section = "";
	struct buf value = BUF_INIT;
	size_t count;
	const struct setting_def *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct setting_def *def = &table[i];

		buf_clear(&value);
		settings_value_text(s, def, &value);
		if (only_changed && str_eq(buf_cstr(&value), def->default_text))
			continue;
		if (!str_eq(section, def->section)) {
			buf_addf(out, "%s[%s]\n", section[0] && only_changed ? "\n" : "",
				def->section);
			section = def->section;
		}
		if (only_changed) {
			buf_addf(out, "%s = ", def->name);
			add_value(out, buf_cstr(&value));
			buf_add_byte(out, '\n');
		} else {
			add_documented(out, def, buf_cstr(&value));
		}
	}
	buf_deinit(&value);
}

static const struct setting_def *find(const char *name)
{
	size_t count;
	const struct setting_def *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(table[i].section);

		if (strncmp(name, table[i].section, n) == 0 && name[n] == '.' &&
			str_eq(name + n + 1, table[i].name))
			return &table[i];
	}
	return NULL;
}

bool settings_reloadable(const char *name)
{
	const struct setting_def *def = find(name);

	return def != NULL && def->reloadable;
}

static bool same_value(
	const struct settings *a, const struct settings *b, const struct setting_def *def)
{
	struct buf text_a = BUF_INIT, text_b = BUF_INIT;
	bool same;

	settings_value_text(a, def, &text_a);
	settings_value_text(b, def, &text_b);
	same = str_eq(buf_cstr(&text_a), buf_cstr(&text_b));
	buf_deinit(&text_a);
	buf_deinit(&text_b);
	return same;
}

bool settings_equal(const struct settings *a, const struct settings *b)
{
	size_t count;
	const struct setting_def *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		if (!same_value(a, b, &table[i]))
			return false;
	}
	return true;
}

const struct settings *settings_merge(
	const struct settings *running, const struct settings *next, struct buf *held_back)
{
	struct settings *merged = settings_new();
	struct buf value = BUF_INIT;
	struct err err = ERR_INIT;
	size_t count;
	const struct setting_def *table = settings_table(&count);

	for (size_t i = 0; i < count; i++) {
		const struct setting_def *def = &table[i];
		bool hold = !def->reloadable && !same_value(running, next, def);

		if (hold)
			buf_addf(held_back, "%s%s.%s", held_back->len > 0 ? " " : "", def->section,
				def->name);
		buf_clear(&value);
		settings_value_text(hold ? running : next, def, &value);
		if (settings_set(merged, def, buf_cstr(&value), NULL, &err) < 0)
			__builtin_trap(); /* it was accepted before */
	}
	buf_deinit(&value);
	settings_finish(merged);
	return merged;
}

int settings_with(const struct settings *s, const char *name, const char *value,
	const struct settings **ret, struct err *err)
{
	const struct setting_def *def = find(name);
	struct buf held_back = BUF_INIT;
	const struct settings *copy;
	int status = -1;

	if (def == NULL)
		return err_set(err, ERR_BAD_INPUT, "there is no setting %s", name);
	copy = settings_merge(s, s, &held_back);
	buf_deinit(&held_back);
	status = settings_set((struct settings *)(uintptr_t)copy, def, value, NULL, err);
	if (status == 0) {
		settings_finish((struct settings *)(uintptr_t)copy); /* nobody else has it yet */
		*ret = TAKE(copy);
	}
	settings_unref(&copy);
	return status;
}
