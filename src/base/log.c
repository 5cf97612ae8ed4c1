/*
 * Structured logging. The repeat limiter is a small table keyed by the event's name; a lost race
 * there costs a line more or less, so it takes no lock.
 */
#include "base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pure.h"

#define LINE_BYTES        2048
#define REPEAT_SLOTS      64
#define REPEAT_PER_MINUTE 60

static char process_name[32] = "bellhop";
static _Atomic int level_now = LOG_LEVEL_INFO;
static bool journal;
static void (*capture_sink)(const char *line, void *owner);
static void *capture_owner;

static struct {
	_Atomic(const char *) event;
	_Atomic int64_t minute;
	_Atomic uint32_t count;
} repeats[REPEAT_SLOTS];

struct line {
	char text[LINE_BYTES];
	size_t len;
};

void log_setup(const char *process, enum log_level level)
{
	(void)snprintf(process_name, sizeof(process_name), "%s", process);
	atomic_store(&level_now, level);
	journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	atomic_store(&level_now, level);
}

bool log_enabled(enum log_level level)
{
	pure_check("the log");
	return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_capture(void (*sink)(const char *line, void *owner), void *owner)
{
	capture_sink = sink;
	capture_owner = owner;
}

int log_level_parse(const char *name)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	for (int i = 0; i < 4; i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	return -1;
}

static void add_char(struct line *l, char c)
{
	if (l->len < sizeof(l->text) - 2)
		l->text[l->len++] = c;
}

static void add_raw(struct line *l, const char *s)
{
	while (*s != 0)
		add_char(l, *s++);
}

static bool needs_quotes(const char *s)
{
	if (*s == 0)
		return true;
	for (; *s != 0; s++) {
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\' || *s == '=' || *s == 0x7f)
			return true;
	}
	return false;
}

static void add_value(struct line *l, const char *s)
{
	if (!needs_quotes(s)) {
		add_raw(l, s);
		return;
	}
	add_char(l, '"');
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			add_char(l, '\\');
			add_char(l, (char)c);
		} else if (c < ' ' || c == 0x7f) {
			char hex[8];

			(void)snprintf(hex, sizeof(hex), "\\x%02x", c);
			add_raw(l, hex);
		} else {
			add_char(l, (char)c);
		}
	}
	add_char(l, '"');
}

static void add_str(struct line *l, const char *key, const char *value)
{
	if (value == NULL)
		return;
	add_char(l, ' ');
	add_raw(l, key);
	add_char(l, '=');
	add_value(l, value);
}

static void add_num(struct line *l, const char *key, int64_t value, bool is_unsigned)
{
	char text[24];

	if (is_unsigned)
		(void)snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)value);
	else
		(void)snprintf(text, sizeof(text), "%" PRId64, value);
	add_str(l, key, text);
}

/* False: swallow this line. *ret_repeated: how many were swallowed before it. */
static bool repeat_allows(enum log_level level, const char *event, uint32_t *ret_repeated)
{
	size_t slot = ((uintptr_t)event >> 3) % REPEAT_SLOTS;
	int64_t minute = clock_now_ms() / 60000;
	uint32_t seen;

	*ret_repeated = 0;
	if (level > LOG_LEVEL_WARN)
		return true;
	if (atomic_load(&repeats[slot].event) != event ||
		atomic_load(&repeats[slot].minute) != minute) {
		seen = atomic_exchange(&repeats[slot].count, 1);
		if (atomic_load(&repeats[slot].event) == event && seen > REPEAT_PER_MINUTE)
			*ret_repeated = seen - REPEAT_PER_MINUTE;
		atomic_store(&repeats[slot].event, event);
		atomic_store(&repeats[slot].minute, minute);
		return true;
	}
	return atomic_fetch_add(&repeats[slot].count, 1) < REPEAT_PER_MINUTE;
}

static void add_time(struct line *l)
{
	int64_t wall_ms = clock_wall_ms();
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[48];

	(void)gmtime_r(&at, &tm);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(wall_ms % 1000));
	add_raw(l, text);
}

void log_write(enum log_level level, const struct log_context *lc, const char *event,
	const struct log_field *fields)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
	struct line l = {.len = 0};
	uint32_t repeated;

	if (!log_enabled(level) || !repeat_allows(level, event, &repeated))
		return;
	if (journal)
		add_raw(&l, prefixes[level]);
	else
		add_time(&l);
	add_raw(&l, names[level]);
	add_char(&l, ' ');
	add_raw(&l, event);
	add_str(&l, "process", lc != NULL && lc->process != NULL ? lc->process : process_name);
	if (lc != NULL) {
		add_str(&l, "user", lc->user);
		add_str(&l, "device", lc->device);
		add_str(&l, "command", lc->command);
		add_str(&l, "address", lc->address);
		if (lc->connection != 0)
			add_num(&l, "connection", (int64_t)lc->connection, true);
	}
	for (; fields->kind != LOG_FIELD_END; fields++) {
		if (fields->kind == LOG_FIELD_STR)
			add_str(&l, fields->key, fields->str);
		else
			add_num(&l, fields->key, fields->num, fields->kind == LOG_FIELD_UINT);
	}
	if (repeated > 0)
		add_num(&l, "repeated", repeated, true);
	l.text[l.len] = 0;
	if (capture_sink != NULL) {
		capture_sink(l.text, capture_owner);
		return;
	}
	l.text[l.len++] = '\n';
	(void)!write(STDERR_FILENO, l.text, l.len);
}
