/*
 * Reads a configuration file. Goes on after an error, so that one run shows them all; a file with
 * errors yields no settings.
 *
 * A file: [section] lines, `name = value`, # begins a comment at the start of a line or after a
 * blank. A value may stand in double quotes, which keeps blanks at its ends and # in it. Limits: 1
 * MiB, valid UTF-8, no control characters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/settings_internal.h"

#define FILE_MAX_BYTES (1u << 20)
#define REPORT_MAX     100

struct parser {
	struct settings *settings;
	const char *filename;
	const char *folder; /* where relative paths start; NULL: they stay relative */
	unsigned line;
	const char *section; /* of the table; NULL: none yet; "": an unknown one, reported */
	unsigned *seen;      /* per setting: the line it was set in; 0: not yet */
	const struct setting_def *table;
	size_t count;
	struct settings_report *report;
	struct err first;
};

void settings_report_deinit(struct settings_report *report)
{
	buf_deinit(&report->text);
}

static PRINTF_LIKE(4, 5) void complain(
	struct parser *p, unsigned line, bool is_warning, const char *fmt, ...)
{
	struct settings_report *report = p->report;
	char text[512];
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	__builtin_va_end(ap);
	report->errors += !is_warning;
	report->warnings += is_warning;
	if (!is_warning && report->errors == 1)
		(void)err_set(&p->first, ERR_BAD_INPUT, "%s:%u: %s", p->filename, line, text);
	if (report->errors + report->warnings <= REPORT_MAX)
		buf_addf(&report->text, "%s:%u: %s: %s\n", p->filename, line,
			is_warning ? "warning" : "error", text);
}

/* ---- lines ---- */

static void list_names(const struct parser *p, const char *section, struct buf *out)
{
	const char *last = "";

	for (size_t i = 0; i < p->count; i++) {
		const char *name = section != NULL ? p->table[i].name : p->table[i].section;

		if ((section != NULL && !str_eq(section, p->table[i].section)) ||
			str_eq(name, last))
			continue;
		buf_addf(out, "%s%s", last[0] ? ", " : "", name);
		last = name;
	}
}

static void parse_section(struct parser *p, char *line)
{
	size_t len = strlen(line);
	struct buf known = BUF_INIT;
	const char *name;

	p->section = "";
	if (line[len - 1] != ']') {
		complain(p, p->line, false, "\"%.60s\": a section line is [name]", line);
		return;
	}
	line[len - 1] = '\0';
	name = str_trim(line + 1);
	for (size_t i = 0; i < p->count; i++) {
		if (str_eq(p->table[i].section, name)) {
			p->section = p->table[i].section;
			return;
		}
	}
	list_names(p, NULL, &known);
	complain(p, p->line, false, "unknown section [%.60s]; known: %s", name, buf_cstr(&known));
	buf_deinit(&known);
}

/* Cuts a trailing comment, takes quotes off. NULL: reported. */
static char *parse_value(struct parser *p, char *text)
{
	char *value = str_trim(text), *end;

	if (*value == '"') {
		value++;
		end = strchr(value, '"');
		if (end == NULL) {
			complain(p, p->line, false, "the closing quote is missing");
			return NULL;
		}
		*end = '\0';
		end = str_trim(end + 1);
		if (*end != '\0' && *end != '#') {
			complain(p, p->line, false, "text after the closing quote: \"%.60s\"", end);
			return NULL;
		}
		return value;
	}
	for (end = value; *end != '\0'; end++) {
		if (*end == '#' && (end == value || end[-1] == ' ' || end[-1] == '\t')) {
			*end = '\0';
			break;
		}
	}
	return str_trim(value);
}

static void parse_setting(struct parser *p, char *line)
{
	char *equals = strchr(line, '='), *name, *value;
	struct buf known = BUF_INIT;
	struct err err = ERR_INIT;

	if (p->section == NULL) {
		complain(p, p->line, false, "a setting before the first [section] line");
		p->section = "";
		return;
	}
	if (equals == NULL) {
		complain(p, p->line, false, "\"%.60s\": a setting is written name = value", line);
		return;
	}
	*equals = '\0';
	name = str_trim(line);
	value = parse_value(p, equals + 1);
	if (value == NULL || p->section[0] == '\0')
		return;
	for (size_t i = 0; i < p->count; i++) {
		if (!str_eq(p->table[i].section, p->section) || !str_eq(p->table[i].name, name))
			continue;
		if (p->seen[i] != 0)
			complain(p, p->line, false, "%s.%s is set already in line %u", p->section,
				name, p->seen[i]);
		else if (settings_set(p->settings, &p->table[i], value, p->folder, &err) < 0)
			complain(p, p->line, false, "%s", err.text);
		p->seen[i] = p->line;
		return;
	}
	list_names(p, p->section, &known);
	complain(p, p->line, false, "unknown setting \"%.60s\" in [%s]; known: %s", name,
		p->section, buf_cstr(&known));
	buf_deinit(&known);
}

static bool line_is_clean(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t' && !(c == '\r' && i + 1 == len)) || c == 0x7f)
			return false;
	}
	return utf8_valid(line, len);
}

static void parse_line(struct parser *p, const char *bytes, size_t len)
{
	char *copy, *line;

	if (!line_is_clean(bytes, len)) {
		complain(p, p->line, false, "not text: a control character or broken UTF-8");
		return;
	}
	copy = x_strndup(bytes, len);
	line = str_trim(copy);
	if (*line == '[')
		parse_section(p, line);
	else if (*line != '\0' && *line != '#')
		parse_setting(p, line);
	mem_free(copy);
}

/* ---- what only the whole file can tell ---- */

static unsigned line_of(const struct parser *p, const char *section, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		if (str_eq(p->table[i].section, section) && str_eq(p->table[i].name, name))
			return p->seen[i];
	}
	return 0;
}

static void check_versions(struct parser *p)
{
	static const char *const known[] = {"2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1"};
	const struct settings_words *versions = &p->settings->eas_versions;

	for (size_t i = 0; i < versions->count; i++) {
		bool found = false;

		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found = found || str_eq(versions->words[i], known[k]);
		if (!found)
			complain(p, line_of(p, "eas", "versions"), false,
				"eas.versions: \"%.20s\" is not one of 2.5, 12.0, 12.1, 14.0, "
				"14.1, 16.0, 16.1",
				versions->words[i]);
	}
}

/* An address, or one with the length of a net behind it. */
static bool is_net(const char *word)
{
	const char *slash = strchr(word, '/');
	size_t len = slash != NULL ? (size_t)(slash - word) : strlen(word);
	struct err ignored = ERR_INIT;
	uint64_t bits, max_bits;
	uint8_t bytes[16];
	char text[64];

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, bytes) == 1)
		max_bits = 32;
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		max_bits = 128;
	else
		return false;
	return slash == NULL || str_parse_u64(slash + 1, max_bits, &bits, &ignored) == 0;
}

static void check_nets(struct parser *p)
{
	const struct settings *s = p->settings;
	const struct {
		const char *name;
		const struct settings_words *words;
	} lists[] = {{"trusted_proxies", &s->http_trusted_proxies},
		{"address_exceptions", &s->http_address_exceptions}};

	for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
		for (size_t i = 0; i < lists[k].words->count; i++) {
			if (is_net(lists[k].words->words[i]))
				continue;
			complain(p, line_of(p, "http", lists[k].name), false,
				"http.%s: \"%.50s\" is no address; allowed: numeric "
				"IPv4 and IPv6 addresses and nets (10.0.0.0/8), separated by "
				"blanks",
				lists[k].name, lists[k].words->words[i]);
		}
	}
}

static void check_listeners(struct parser *p)
{
	const struct settings *s = p->settings;
	const struct {
		const char *name;
		const struct settings_words *words;
	} lists[] = {{"https", &s->listen_https}, {"http", &s->listen_http}};
	struct settings_address address;

	for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
		for (size_t i = 0; i < lists[k].words->count; i++) {
			if (settings_parse_address(lists[k].words->words[i], &address) &&
				address.unix_path != NULL)
				complain(p, line_of(p, "listen", lists[k].name), false,
					"listen.%s: phones need address:port, not unix:",
					lists[k].name);
		}
	}
	if (s->listen_https.count + s->listen_http.count == 0)
		complain(p, MAX(line_of(p, "listen", "https"), 1), true,
			"listen.https and listen.http are both empty: no phone can connect");
}

static bool is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80)
		text++;
	return *text == '\0';
}

/* The name goes into greetings, Message-IDs and the certificate: a host name (RFC 1123) and no
 * more. */
static void check_host_name(
	struct parser *p, const char *section, const char *name, const char *value)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t len = strlen(value);

	if (strspn(value, allowed) == len && value[0] != '.' && value[0] != '-' &&
		(len == 0 || value[len - 1] != '.'))
		return;
	complain(p, line_of(p, section, name), false,
		"%s.%s: \"%.60s\" is not allowed; allowed: a host name of letters, digits, - and .",
		section, name, value);
}

static void check_whole(struct parser *p)
{
	struct settings *s = p->settings;

	if (s->push_heartbeat_min_s > s->push_heartbeat_max_s) {
		const struct settings *defaults = settings_default();

		complain(p,
			MAX(line_of(p, "push", "heartbeat_min_s"),
				line_of(p, "push", "heartbeat_max_s")),
			true,
			"push.heartbeat_min_s %llu is above push.heartbeat_max_s %llu: both are "
			"taken as their defaults, %llu and %llu",
			(unsigned long long)s->push_heartbeat_min_s,
			(unsigned long long)s->push_heartbeat_max_s,
			(unsigned long long)defaults->push_heartbeat_min_s,
			(unsigned long long)defaults->push_heartbeat_max_s);
		s->push_heartbeat_min_s = defaults->push_heartbeat_min_s;
		s->push_heartbeat_max_s = defaults->push_heartbeat_max_s;
		settings_unref(&defaults);
	}
	if ((s->tls_certificate[0] == '\0') != (s->tls_key[0] == '\0'))
		complain(p, MAX(line_of(p, "tls", "certificate"), line_of(p, "tls", "key")), false,
			"tls.certificate and tls.key belong together: set both or none");
	if ((s->web_profile_certificate[0] == '\0') != (s->web_profile_key[0] == '\0'))
		complain(p,
			MAX(line_of(p, "web", "profile_certificate"),
				line_of(p, "web", "profile_key")),
			false,
			"web.profile_certificate and web.profile_key belong together: set both or "
			"none");
	check_host_name(p, "server", "hostname", s->server_hostname);
	if (is_ascii(s->auth_default_domain)) /* domains of mail may have other letters */
		check_host_name(p, "auth", "default_domain", s->auth_default_domain);
	check_versions(p);
	check_nets(p);
	check_listeners(p);
}

/* ---- entry ---- */

static int parse_all(struct parser *p, const char *text, size_t len, struct err *err)
{
	const char *at = text, *end = text + len;

	if (len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
		at += 3;
	for (p->line = 1; at < end; p->line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline != NULL ? newline : end;

		parse_line(p, at, (size_t)(line_end - at));
		at = line_end + (newline != NULL);
	}
	if (p->report->errors == 0)
		check_whole(p);
	if (p->report->errors == 0)
		return 0;
	*err = p->first;
	return -1;
}

static int parse_in(const char *text, size_t len, const char *filename, const char *folder,
	const struct settings **ret, struct settings_report *report, struct err *err)
{
	struct settings_report own = SETTINGS_REPORT_INIT;
	struct parser p = {.filename = filename, .report = report != NULL ? report : &own};
	int status;

	if (len > FILE_MAX_BYTES)
		return err_set(
			err, ERR_BAD_INPUT, "%s: larger than %u bytes", filename, FILE_MAX_BYTES);
	p.settings = settings_new();
	p.table = settings_table(&p.count);
	p.seen = x_calloc(p.count, sizeof(*p.seen));
	p.folder = folder;
	for (size_t i = 0; i < p.count; i++) {
		if (settings_set(p.settings, &p.table[i], p.table[i].default_text, p.folder, err) <
			0)
			__builtin_trap(); /* a default out of its own range: the unit test says
					     which */
	}
	status = parse_all(&p, text, len, err);
	mem_free(p.seen);
	settings_report_deinit(&own);
	if (status < 0) {
		const struct settings *s = p.settings;

		settings_unref(&s);
		return -1;
	}
	settings_finish(p.settings);
	*ret = p.settings;
	return 0;
}

int settings_parse(const char *text, size_t len, const char *filename, const struct settings **ret,
	struct settings_report *report, struct err *err)
{
	const char *slash = strrchr(filename, '/');
	char *folder = slash != NULL ? x_strndup(filename, (size_t)(slash - filename)) : NULL;
	int status = parse_in(text, len, filename, folder, ret, report, err);

	mem_free(folder);
	return status;
}

/* The folder of a file, absolute, so that a later chdir() changes nothing. Heap. */
static char *folder_of(const char *path)
{
	char real[PATH_MAX];
	char *slash;

	if (realpath(path, real) == NULL || (slash = strrchr(real, '/')) == NULL)
		return NULL;
	return x_strndup(real, slash == real ? 1 : (size_t)(slash - real));
}

int settings_parse_file(const char *path, const struct settings **ret,
	struct settings_report *report, struct err *err)
{
	char *text = x_calloc(1, FILE_MAX_BYTES + 2);
	FILE *f = fopen(path, "re");
	char *folder = folder_of(path);
	size_t len;
	int status = -1;

	if (f == NULL) {
		(void)err_set_errno(err, errno, "cannot open the configuration %s", path);
	} else {
		len = fread(text, 1, FILE_MAX_BYTES + 1, f);
		if (ferror(f))
			(void)err_set_errno(err, errno, "cannot read the configuration %s", path);
		else
			status = parse_in(text, len, path, folder, ret, report, err);
		(void)fclose(f);
	}
	mem_free(folder);
	mem_free(text);
	return status;
}
