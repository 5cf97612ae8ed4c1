#ifndef BELLHOP_CONF_SETTINGS_H
#define BELLHOP_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The configuration: one file with [section] lines, `name = value`, comments after #. Every setting
 * stands once, in settings.def; the parser, `bellhop config dump` and bellhop.conf(5) come from it.
 *
 * A struct settings is an immutable snapshot with a reference count: a reload makes a new one,
 * whoever works with the old one keeps it until settings_unref(). Fields are named section_name:
 * s->push_heartbeat_max_s. Strings live as long as the snapshot and are never NULL.
 *
 * Threads: any; nothing here blocks but settings_parse_file(), which reads.
 */
struct settings_words {
	const char *const *words;
	size_t count;
};

struct settings_private;

struct settings {
#define SETTING_UINT(section, name, default_value, min, max, unit, reloadable, text)               \
	uint64_t section##_##name;
#define SETTING_AUTO                                                 SETTING_UINT
#define SETTING_BOOL(section, name, default_value, reloadable, text) bool section##_##name;
#define SETTING_STR(section, name, default_value, min, max, unit, reloadable, text)                \
	const char *section##_##name;
#define SETTING_PATH SETTING_STR
#define SETTING_ENUM(section, name, default_value, choices, reloadable, text)                      \
	const char *section##_##name;
#define SETTING_LIST(section, name, default_value, min, max, unit, reloadable, text)               \
	struct settings_words section##_##name;
#define SETTING_ADDRESSES SETTING_LIST
#include "conf/settings.def"
#undef SETTING_UINT
#undef SETTING_AUTO
#undef SETTING_BOOL
#undef SETTING_STR
#undef SETTING_PATH
#undef SETTING_ENUM
#undef SETTING_LIST
#undef SETTING_ADDRESSES
	/* server.hostname, or the system's name where that is empty. */
	const char *hostname;
	struct settings_private *private;
};

/* What is wrong with a file, as lines "file:line: error: ..." and "file:line: warning: ...". At
 * most 100 are kept. */
struct settings_report {
	struct buf text;
	unsigned errors, warnings;
};

#define SETTINGS_REPORT_INIT                                                                       \
	{                                                                                          \
		BUF_INIT, 0, 0                                                                     \
	}

void settings_report_deinit(struct settings_report *report);

/* All defaults; reference 1. */
const struct settings *settings_default(void);
/* The same snapshot, one reference more. */
const struct settings *settings_ref(const struct settings *s);
/* Drops *s and clears the pointer; NULL inside is fine. */
void settings_unref(const struct settings **s);

/*
 * Reads a configuration. filename is for messages; its folder is where relative paths start.
 * On errors nothing is set, err names the first one with file and line, and report (may be NULL)
 * holds them all; warnings do not fail.
 */
NODISCARD int settings_parse(const char *text, size_t len, const char *filename,
	const struct settings **ret, struct settings_report *report, struct err *err);
NODISCARD int settings_parse_file(const char *path, const struct settings **ret,
	struct settings_report *report, struct err *err);

/*
 * What a running server makes of a newly read configuration: `next`, but with the values of
 * `running` where a setting needs a restart. The names of those that were held back are appended to
 * held_back, separated by blanks. A new snapshot.
 */
const struct settings *settings_merge(
	const struct settings *running, const struct settings *next, struct buf *held_back);

/* A new snapshot: s, but with one setting ("section.name", which must exist) as if the file said
 * so. ERR_BAD_INPUT. */
NODISCARD int settings_with(const struct settings *s, const char *name, const char *value,
	const struct settings **ret, struct err *err);

/* A complete configuration file with a comment above each setting; only_changed: just the settings
 * that are not the default, without comments. */
void settings_dump(const struct settings *s, bool only_changed, struct buf *out);
/* "section.name"; false for unknown ones too. */
bool settings_reloadable(const char *name);
/* True when both hold the same values. */
bool settings_equal(const struct settings *a, const struct settings *b);

/* The table itself, for the manual page and for tests. */
enum setting_type {
	SETTING_TYPE_UINT,
	SETTING_TYPE_BOOL,
	SETTING_TYPE_STR,
	SETTING_TYPE_PATH,
	SETTING_TYPE_ENUM,
	SETTING_TYPE_LIST,
	SETTING_TYPE_ADDRESSES
};

struct setting_def {
	const char *section, *name;
	enum setting_type type;
	const char *default_text;
	uint64_t min, max; /* UINT: of the value; STR, PATH, LIST: of the length in bytes */
	const char *unit;
	const char *choices; /* ENUM: "a|b|c"; else "" */
	bool reloadable;
	const char *text;
	size_t offset; /* of the field in struct settings */
};

const struct setting_def *settings_table(size_t *ret_count);
/* The value as it would stand in a file (unquoted), appended. */
void settings_value_text(const struct settings *s, const struct setting_def *def, struct buf *out);
/* "1 to 3540 s", "yes or no", "error, warn, info or debug", ... appended. */
void settings_describe_range(const struct setting_def *def, struct buf *out);

/*
 * One word of an ADDRESSES setting: *:port, localhost:port, v4:port, [v6]:port, unix:path
 * (addresses are numeric). Gives the host without brackets ("*" for every address) and the port, or
 * an empty host and the path. False: not an address. Port 0 is any free one.
 */
struct settings_address {
	char host[256];
	uint16_t port;
	const char *unix_path; /* borrowed from word; NULL: not a Unix socket */
};
bool settings_parse_address(const char *word, struct settings_address *ret);

#endif
