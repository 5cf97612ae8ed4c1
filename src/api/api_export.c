/*
 * Tables to take along: the event log as CSV (RFC 4180) and as lines of JSON, the settings with
 * their documentation.
 *
 * The log goes out piece by piece, so its size costs no memory. Each page begins behind the row
 * that the one before ended with, in a snapshot of its own: what is logged meanwhile stands before
 * all of them, so no row comes twice, none is missing, and the store may go on.
 *
 * Threads: any worker. Limits: web.export_rows_max.
 */
#include "admin/log_export.h"
#include "api/api_extra.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- the event log ---- */

struct log_stream {
	struct api_stream stream;
	struct store *store;
	json_t *args; /* the texts of the filter */
	struct log_filter filter;
	enum log_format format;
	uint64_t left; /* rows that may still come */
	struct arena *arena;
};

static int next_piece(struct api_stream *stream, struct buf *out, struct err *err)
{
	struct log_stream *s = LIST_ENTRY(stream, struct log_stream, stream);
	size_t begin = out->len;
	int more = 1;

	while (more == 1 && out->len - begin < API_PIECE_BYTES) {
		size_t rows = (size_t)MIN(s->left, (uint64_t)LOG_PAGE_ROWS);

		more = log_export_page(s->store, &s->filter, rows, s->format, s->arena, out, err);
		arena_clear(s->arena);
		s->left -= rows;
		if (s->left == 0)
			more = MIN(more, 0);
	}
	return more;
}

static void free_stream(struct api_stream *stream)
{
	struct log_stream *s = LIST_ENTRY(stream, struct log_stream, stream);

	json_decref(s->args);
	arena_free(&s->arena);
	mem_free(s);
}

static struct log_stream *stream_new(struct api_call *call, json_t *args, enum log_format format)
{
	struct log_stream *s = x_new(struct log_stream);
	uint64_t max = call->settings->web_export_rows_max;

	s->stream = (struct api_stream){next_piece, free_stream};
	s->store = call->api->options.store;
	s->args = json_incref(args);
	s->format = format;
	s->left = max > 0 ? max : UINT64_MAX;
	s->arena = arena_new(0);
	return s;
}

/* The head, and as much as comes in one piece: what goes wrong there is still an error of its own.
 */
static int begin_log(struct api_call *call, json_t *args, enum log_format format, struct err *err)
{
	struct log_stream *s = stream_new(call, args, format);
	struct api_stream *stream = &s->stream;
	int more = admin_log_filter(args, call->arena, &s->filter, err);

	if (more == 0) {
		log_export_begin(&call->reply->body, format);
		more = next_piece(stream, &call->reply->body, err);
	}
	if (more == 1)
		call->reply->stream = TAKE(stream);
	api_stream_free(&stream);
	return MIN(more, 0);
}

static void export_log(
	struct api_call *call, json_t *args, enum log_format format, const char *name)
{
	struct err err = ERR_INIT;

	if (json_object_get(args, "format") != NULL) {
		api_reply_trouble(call, 400, "bad_input", "the path says the format");
		return;
	}
	if (begin_log(call, args, format, &err) < 0) {
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
