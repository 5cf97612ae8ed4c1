/* Verbs about the event log. Threads and transactions: see admin.c. */
#include <string.h>
#include <time.h>

#include "admin/admin_internal.h"
#include "admin/log_export.h"
#include "base/mem.h"
#include "base/str.h"

#define LOG_LIMIT_DEFAULT 100
#define LOG_LIMIT_MAX     10000

/* ---- times ---- */

/* n digits at *p; -1: there are none. */
static int digits(const char **p, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return -1;
		value = value * 10 + ((*p)[i] - '0');
	}
	*p += n;
	return value;
}

static bool skip(const char **p, const char *any)
{
	if (**p == '\0' || strchr(any, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* "2026-11-22", with " 20:15", ":30" and "Z" or without. */
static bool parse_date(const char *p, struct tm *tm)
{
	tm->tm_year = digits(&p, 4) - 1900;
	if (tm->tm_year < 0 || !skip(&p, "-") || (tm->tm_mon = digits(&p, 2) - 1) < 0 ||
		tm->tm_mon > 11 || !skip(&p, "-") || (tm->tm_mday = digits(&p, 2)) < 1 ||
		tm->tm_mday > 31)
		return false;
	if (*p == '\0')
		return true;
	if (!skip(&p, " T") || (tm->tm_hour = digits(&p, 2)) < 0 || tm->tm_hour > 23 ||
		!skip(&p, ":") || (tm->tm_min = digits(&p, 2)) < 0 || tm->tm_min > 59)
		return false;
	if (skip(&p, ":") && ((tm->tm_sec = digits(&p, 2)) < 0 || tm->tm_sec > 60))
		return false;
	(void)skip(&p, "Z");
	return *p == '\0';
}

bool admin_time_parse(const char *text, int64_t *ret)
{
	struct err ignored = ERR_INIT;
	struct tm tm = {0};
	uint64_t seconds;
	struct tm wanted;
	time_t at;

	if (str_parse_u64(text, INT64_MAX, &seconds, &ignored) == 0) {
		*ret = (int64_t)seconds;
		return true;
	}
	if (!parse_date(text, &tm))
		return false;
	wanted = tm;
	at = timegm(&tm);
	if (at < 0 || tm.tm_mon != wanted.tm_mon || tm.tm_mday != wanted.tm_mday)
		return false; /* before 1970; the 31st of February */
	*ret = (int64_t)at;
	return true;
}

static int take_time(struct admin_call *call, const char *name, int64_t *at, struct err *err)
{
	const char *text = admin_text(call, name);

	if (text == NULL || admin_time_parse(text, at))
		return 0;
	return err_set(err, ERR_BAD_INPUT,
		"%s: \"%.40s\" is no time: 2026-11-22, \"2026-11-22 20:15\" (UTC), or seconds "
		"since "
		"1970",
		name, text);
}

/* ---- searching ---- */

/* Users stand in the log in lower case. */
static const char *lowered(struct admin_call *call, const char *name)
{
	const char *text = admin_text(call, name);

	return text != NULL ? str_lower(arena_x_strdup(call->arena, text)) : NULL;
}

static int take_filter(struct admin_call *call, struct log_filter *ret, struct err *err)
{
	*ret = (struct log_filter){.actor = admin_text(call, "actor"),
		.user = lowered(call, "user"),
		.device_id = admin_text(call, "device"),
		.action = admin_text(call, "action"),
		.result = admin_text(call, "result"),
		.text = admin_text(call, "text"),
		.before_id = admin_number(call, "before", 0)};
	if (take_time(call, "since", &ret->since_at, err) < 0)
		return -1;
	return take_time(call, "until", &ret->until_at, err);
}

static json_t *row_to_json(const struct log_row *row)
{
	json_t *object = json_object();

	admin_put_number(object, "id", row->id);
	admin_put_number(object, "at", (uint64_t)row->at);
	admin_put(object, "actor", row->actor);
	admin_put(object, "action", row->action);
	admin_put(object, "result", row->result);
	admin_put(object, "user", row->user);
	admin_put(object, "device", row->device_id);
	admin_put(object, "device_type", row->device_type);
	admin_put(object, "address", row->address);
	return object;
}

int admin_log_list(struct admin_call *call, struct err *err)
{
	uint64_t limit = MIN(admin_number(call, "limit", LOG_LIMIT_DEFAULT), LOG_LIMIT_MAX);
	struct log_filter filter;
	struct log_row *rows;
	size_t count;

	if (take_filter(call, &filter, err) < 0 ||
		store_log_find(call->rd, &filter, limit, call->arena, &rows, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(call->result, row_to_json(&rows[i]));
	return 0;
}

int admin_log_filter(
	const json_t *args, struct arena *arena, struct log_filter *ret, struct err *err)
{
	struct admin_call call = {
		.args = (json_t *)(uintptr_t)args, .arena = arena}; /* only read */

	return take_filter(&call, ret, err);
}

/* A page of the file, and where the next one begins. */
int admin_log_export(struct admin_call *call, struct err *err)
{
	const char *name = admin_text(call, "format");
	int format = log_format_parse(name != NULL ? name : "csv");
	struct log_filter filter;
	struct buf text = BUF_INIT;
	struct log_row *rows;
	size_t count;

	if (format < 0)
		return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is no format: csv or jsonl", name);
	if (take_filter(call, &filter, err) < 0 || store_log_find(call->rd, &filter, LOG_PAGE_ROWS,
							   call->arena, &rows, &count, err) < 0)
		return -1;
	if (filter.before_id == 0)
		log_export_begin(&text, (enum log_format)format);
	for (size_t i = 0; i < count; i++)
		log_export_row(&text, (enum log_format)format, &rows[i]);
	admin_put(call->result, "text", buf_cstr(&text));
	buf_deinit(&text);
	admin_put_number(call->result, "before", count == LOG_PAGE_ROWS ? rows[count - 1].id : 0);
	return 0;
}

/* ---- what may stand in it ---- */

static const struct {
	const char *name, *text;
} actions[] = {
#define LOG_ACTION(name, text) {name, text},
#include "admin/log_actions.def"
#undef LOG_ACTION
};

static void add_action(struct admin_call *call, const char *name, const char *text)
{
	json_t *row = json_object();

	admin_put(row, "action", name);
	admin_put(row, "text", text);
	(void)json_array_append_new(call->result, row);
}

int admin_log_actions(struct admin_call *call, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		add_action(call, actions[i].name, actions[i].text);
	for (size_t i = 0; i < ADMIN_VERB_COUNT; i++) {
		if (admin_verbs[i].changes)
			add_action(call, admin_verbs[i].name, admin_verbs[i].help);
	}
	return 0;
}
