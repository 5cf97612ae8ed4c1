#ifndef BELLHOP_BASE_LOG_H
#define BELLHOP_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Structured log lines to standard error: `level event key=value ...`, one write(2) each. Event
 * names are stable, `noun_finished`, one for success and failure. Values are quoted when they hold
 * blanks, quotes or controls; a line is cut at 2 KB. Never log passwords, tokens, subjects or
 * bodies.
 *
 *     log_warn(&lc, "ping_finished", F_STR("result", "timeout"), F_INT("waited_ms", ms));
 *
 * The context carries who it is about; NULL fields are left out. Under systemd (JOURNAL_STREAM) the
 * level is written as a <N> prefix. Repeats of one event at warning or above are limited to
 * log_repeat_limit a minute; the next line through carries repeated=N. Thread-safe.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_context {
	const char *process; /* "front 2", "engine"; NULL: the name given to log_setup() */
	const char *user, *device, *command, *address;
	uint64_t connection; /* 0: none */
};

enum log_field_kind { LOG_FIELD_END = 0, LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT };

struct log_field {
	enum log_field_kind kind;
	const char *key;
	const char *str;
	int64_t num;
};

#define F_STR(k, v)  ((struct log_field){LOG_FIELD_STR, (k), (v), 0})
#define F_INT(k, v)  ((struct log_field){LOG_FIELD_INT, (k), NULL, (int64_t)(v)})
#define F_UINT(k, v) ((struct log_field){LOG_FIELD_UINT, (k), NULL, (int64_t)(v)})
#define F_ERR(e)     F_STR("error", (e)->text)

/* lc may be NULL. */
#define log_error(lc, event, ...) LOG_AT(LOG_LEVEL_ERROR, lc, event, __VA_ARGS__)
#define log_warn(lc, event, ...)  LOG_AT(LOG_LEVEL_WARN, lc, event, __VA_ARGS__)
#define log_info(lc, event, ...)  LOG_AT(LOG_LEVEL_INFO, lc, event, __VA_ARGS__)
#define log_debug(lc, event, ...) LOG_AT(LOG_LEVEL_DEBUG, lc, event, __VA_ARGS__)
#ifdef __cppcheck__ /* which does not know __VA_OPT__ */
void log_cppcheck(int level, const struct log_context *lc, const char *event, ...);
#define LOG_AT(level, lc, event, ...) log_cppcheck(level, lc, event, ##__VA_ARGS__)
#else
#define LOG_AT(level, lc, event, ...)                                                              \
	do {                                                                                       \
		if (log_enabled(level)) {                                                          \
			struct log_field log_fields_[] = {__VA_ARGS__ __VA_OPT__(, )(              \
				struct log_field){LOG_FIELD_END, 0, 0, 0}};                        \
			log_write(level, lc, event, log_fields_);                                  \
		}                                                                                  \
	} while (0)
#endif

/* Names the process (copied) and sets the level. Before the first thread. */
void log_setup(const char *process, enum log_level level);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const struct log_context *lc, const char *event,
	const struct log_field *fields);
/* Tests only: lines go here instead; NULL restores standard error. */
void log_capture(void (*sink)(const char *line, void *owner), void *owner);
/* "error" ... "debug"; -1 for anything else. */
int log_level_parse(const char *name);

#endif
