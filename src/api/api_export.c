/*
 * Tables to take along: the event log as CSV (RFC 4180) and as lines of JSON, the settings with
 * their documentation.
 *
 * Threads: any worker. Limits: web.export_rows_max.
 */
#include "admin/log_export.h"
#include "api/api_extra.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- the event log ---- */

static int add_rows(
	struct api_call *call, struct log_filter *filter, enum log_format format, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	uint64_t pages = call->settings->web_export_rows_max / LOG_PAGE_ROWS;
	int more = 1;

	log_export_begin(&call->reply->body, format);
	for (uint64_t i = 0; more == 1 && i < pages; i++) {
		more = log_export_page(
			call->api->options.store, filter, format, arena, &call->reply->body, err);
		arena_clear(arena);
	}
	return more < 0 ? -1 : 0;
}

static void export_log(
	struct api_call *call, json_t *args, enum log_format format, const char *name)
{
	struct log_filter filter;
	struct err err = ERR_INIT;

	if (json_object_get(args, "format") != NULL) {
		api_reply_trouble(call, 400, "bad_input", "the path says the format");
		return;
	}
	if (admin_log_filter(args, call->arena, &filter, &err) < 0 ||
		add_rows(call, &filter, format, &err) < 0) {
		api_reply_error(call, &err);
		return;
	}
	call->reply->status = 200;
	api_add_header(call, "Content-Type", log_format_type(format));
	api_add_header(call, "Cache-Control", "no-store");
	api_add_header(call, "Content-Disposition",
		arena_x_printf(call->arena, "attachment; filename=\"bellhop-log.%s\"", name));
}

void api_export_csv(struct api_call *call, json_t *args)
{
	export_log(call, args, LOG_CSV, "csv");
}

void api_export_lines(struct api_call *call, json_t *args)
{
	export_log(call, args, LOG_JSONL, "jsonl");
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
