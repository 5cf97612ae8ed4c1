/* The event log as CSV and as JSON lines. No state, any thread. */
#include "admin/log_export.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

int log_format_parse(const char *name)
{
	if (str_eq(name, "csv"))
		return LOG_CSV;
	return str_eq(name, "jsonl") ? LOG_JSONL : -1;
}

const char *log_format_type(enum log_format format)
{
	return format == LOG_CSV ? "text/csv; charset=utf-8; header=present" : "application/jsonl";
}

static const char *time_of(int64_t at, char text[32])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	return text;
}

/* In quotes, always; those within are doubled. Text that a spreadsheet would calculate is marked.
 */
static void add_field(struct buf *out, const char *text)
{
	struct buf clean = BUF_INIT;
	const char *p;

	utf8_add_clean(&clean, text, strlen(text));
	p = buf_cstr(&clean);
	buf_add_byte(out, '"');
	if (p[0] != '\0' && strchr("=+-@\t\r\n", p[0]) != NULL)
		buf_add_byte(out, '\'');
	for (; *p != '\0'; p++) {
		if (*p == '"')
			buf_add_byte(out, '"');
		buf_add_byte(out, (uint8_t)*p);
	}
	buf_add_byte(out, '"');
	buf_deinit(&clean);
}

static void add_csv(struct buf *out, const struct log_row *row)
{
	const char *const fields[] = {row->actor, row->action, row->result, row->user,
		row->device_id, row->device_type, row->address};
	char time[32];

	buf_addf(out, "%" PRIu64 ",%" PRId64 ",%s", row->id, row->at, time_of(row->at, time));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		buf_add_byte(out, ',');
		add_field(out, fields[i] != NULL ? fields[i] : "");
	}
	buf_add_str(out, "\r\n");
}

static void put(json_t *object, const char *key, const char *text)
{
	struct buf clean = BUF_INIT;

	if (text == NULL)
		text = "";
	utf8_add_clean(&clean, text, strlen(text));
	(void)json_object_set_new(object, key, json_string(buf_cstr(&clean)));
	buf_deinit(&clean);
}

static int dump_into(const char *bytes, size_t len, void *owner)
{
	buf_add(owner, bytes, len);
	return 0;
}

static void add_jsonl(struct buf *out, const struct log_row *row)
{
	json_t *object = json_object();
	char time[32];

	(void)json_object_set_new(object, "id", json_integer((json_int_t)row->id));
	(void)json_object_set_new(object, "at", json_integer((json_int_t)row->at));
	put(object, "time", time_of(row->at, time));
	put(object, "actor", row->actor);
	put(object, "action", row->action);
	put(object, "result", row->result);
	put(object, "user", row->user);
	put(object, "device", row->device_id);
	put(object, "device_type", row->device_type);
	put(object, "address", row->address);
	(void)json_dump_callback(object, dump_into, out, JSON_COMPACT);
	buf_add_byte(out, '\n');
	json_decref(object);
}

void log_export_begin(struct buf *out, enum log_format format)
{
	if (format == LOG_CSV)
		buf_add_str(
			out, "id,at,time,actor,action,result,user,device,device_type,address\r\n");
}

void log_export_row(struct buf *out, enum log_format format, const struct log_row *row)
{
	if (format == LOG_CSV)
		add_csv(out, row);
	else
		add_jsonl(out, row);
}

int log_export_page(struct store *store, struct log_filter *filter, size_t rows_max,
	enum log_format format, struct arena *arena, struct buf *out, struct err *err)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct log_row *rows;
	size_t count;

	if (store_read_begin(store, &rd, err) < 0 ||
		store_log_find(rd, filter, rows_max, arena, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		log_export_row(out, format, &rows[i]);
	if (out->failed)
		return err_set(err, ERR_BUSY, "no memory for a page of the event log");
	if (count > 0)
		filter->before_id = rows[count - 1].id;
	return count == rows_max ? 1 : 0;
}
