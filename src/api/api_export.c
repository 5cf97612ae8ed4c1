/*
 * Tables to take along: the event log as CSV (RFC 4180) and as lines of JSON, the settings with
 * their documentation. The log comes from its verb, page by page.
 *
 * Threads: any worker. Limits: web.export_rows_max.
 */
#include <string.h>

#include "api/api_extra.h"
#include "base/str.h"

#define PAGE 1000

/* ---- the event log ---- */

typedef void (*row_fn)(struct buf *out, const struct admin_verb *verb, json_t *row);

static void add_cell(struct buf *out, const char *text)
{
	/* A spreadsheet takes these for the beginning of a formula, and some texts are of phones.
	 */
	bool formula = text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;

	buf_add_byte(out, '"');
	if (formula)
		buf_add_byte(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_add_byte(out, '"');
		buf_add_byte(out, (uint8_t)*text);
	}
	buf_add_byte(out, '"');
}

static void each_column(struct buf *out, const struct admin_verb *verb, json_t *row)
{
	const char *name = verb->columns;

	for (bool first = true; *name != '\0'; first = false) {
		size_t len = strcspn(name, " ");
		char key[64] = "";
		json_t *value;

		memcpy(key, name, len < sizeof(key) ? len : 0);
		if (!first)
			buf_add_byte(out, ',');
		value = json_object_get(row, key);
		if (row == NULL)
			add_cell(out, key);
		else if (json_is_integer(value))
			buf_addf(out, "%lld", (long long)json_integer_value(value));
		else if (json_is_boolean(value))
			buf_add_str(out, json_is_true(value) ? "true" : "false");
		else if (json_is_string(value))
			add_cell(out, json_string_value(value));
		name += len + (name[len] == ' ');
	}
	buf_add_str(out, "\r\n");
}

static int dump_into(const char *bytes, size_t len, void *owner)
{
	struct buf *out = owner;

	buf_add(out, bytes, len);
	return out->failed ? -1 : 0;
}

static void as_line(struct buf *out, const struct admin_verb *verb, json_t *row)
{
	(void)verb;
	(void)json_dump_callback(row, dump_into, out, JSON_COMPACT);
	buf_add_byte(out, '\n');
}

/* One page of the verb's rows; *before: where the next begins. Returns their number; -1: err. */
static int add_page(struct api_call *call, json_t *args, row_fn add, struct err *err)
{
	json_t *rows = NULL, *row, *page_args = json_copy(args);
	size_t i;
	int count;

	if (admin_run(call->api->options.admin, ADMIN_LOG_LIST, page_args, &call->caller, &rows,
		    err) < 0) {
		json_decref(page_args);
		return -1;
	}
	json_array_foreach(rows, i, row)
	{
		add(&call->reply->body, &admin_verbs[ADMIN_LOG_LIST], row);
		(void)json_object_set(args, "before", json_object_get(row, "id"));
	}
	count = (int)json_array_size(rows);
	json_decref(rows);
	json_decref(page_args);
	return count;
}

static void export_log(struct api_call *call, json_t *args, row_fn add)
{
	uint64_t left = call->settings->web_export_rows_max;
	struct err err = ERR_INIT;
	int count;

	do {
		uint64_t page = left < PAGE ? left : PAGE;

		(void)json_object_set_new(args, "limit", json_integer((json_int_t)page));
		count = add_page(call, args, add, &err);
		if (count < 0) {
			api_reply_error(call, &err);
			return;
		}
		left -= (uint64_t)count < left ? (uint64_t)count : left;
	} while (count == PAGE && left > 0);
}

void api_export_csv(struct api_call *call, json_t *args)
{
	api_add_header(call, "Cache-Control", "no-store");
	api_add_header(call, "Content-Disposition", "attachment; filename=\"bellhop-log.csv\"");
	call->reply->status = 200;
	each_column(&call->reply->body, &admin_verbs[ADMIN_LOG_LIST], NULL);
	export_log(call, args, each_column);
	if (call->reply->status == 200)
		api_add_header(call, "Content-Type", "text/csv; charset=utf-8; header=present");
}

void api_export_lines(struct api_call *call, json_t *args)
{
	api_add_header(call, "Cache-Control", "no-store");
	api_add_header(call, "Content-Disposition", "attachment; filename=\"bellhop-log.jsonl\"");
	call->reply->status = 200;
	export_log(call, args, as_line);
	if (call->reply->status == 200)
		api_add_header(call, "Content-Type", "application/jsonl");
}

/* ---- the settings ---- */

static json_t *setting_to_json(const struct setting_def *def, const char *value)
{
	struct buf range = BUF_INIT;
	json_t *object = json_object();

	settings_describe_range(def, &range);
	(void)json_object_set_new(object, "section", json_string(def->section));
	(void)json_object_set_new(object, "name", json_string(def->name));
	(void)json_object_set_new(object, "value", json_string(value));
	(void)json_object_set_new(object, "default", json_string(def->default_text));
	(void)json_object_set_new(
		object, "changed", json_boolean(!str_eq(value, def->default_text)));
	(void)json_object_set_new(object, "unit", json_string(def->unit));
	(void)json_object_set_new(object, "range", json_string(buf_cstr(&range)));
	(void)json_object_set_new(object, "reloadable", json_boolean(def->reloadable));
	(void)json_object_set_new(object, "text", json_string(def->text));
	buf_deinit(&range);
	return object;
}

void api_export_settings(struct api_call *call, json_t *args)
{
	size_t count;
	const struct setting_def *table = settings_table(&count);
	json_t *list = json_array();

	(void)args;
	for (size_t i = 0; i < count; i++) {
		struct buf value = BUF_INIT;

		settings_value_text(call->settings, &table[i], &value);
		(void)json_array_append_new(list, setting_to_json(&table[i], buf_cstr(&value)));
		buf_deinit(&value);
	}
	api_reply_json(call, 200, list);
	json_decref(list);
}
