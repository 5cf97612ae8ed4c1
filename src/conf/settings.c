/*
 * The settings table, the snapshots, and the check of one value.
 *
 * Owns: struct settings, each in an arena of its own that holds its strings. Invariant: after
 * settings_finish() a snapshot never changes; only its reference count does, atomically. Limits:
 * those of settings.def.
 */
#include "conf/settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/settings_internal.h"

#define ROW(section, name, type, default_text, min, max, unit, choices, reloadable, text)          \
	{#section, #name, type, default_text, min, max, unit, choices, (reloadable) != 0, text,    \
		offsetof(struct settings, section##_##name)},
#define SETTING_UINT(s, n, d, min, max, unit, r, text)                                             \
	ROW(s, n, SETTING_TYPE_UINT, #d, min, max, unit, "", r, text)
#define SETTING_AUTO(s, n, d, min, max, unit, r, text)                                             \
	ROW(s, n, SETTING_TYPE_UINT, #d, min, max, unit, "auto", r, text)
#define SETTING_BOOL(s, n, d, r, text) ROW(s, n, SETTING_TYPE_BOOL, d, 0, 0, "", "", r, text)
#define SETTING_STR(s, n, d, min, max, unit, r, text)                                              \
	ROW(s, n, SETTING_TYPE_STR, d, min, max, unit, "", r, text)
#define SETTING_PATH(s, n, d, min, max, unit, r, text)                                             \
	ROW(s, n, SETTING_TYPE_PATH, d, min, max, unit, "", r, text)
#define SETTING_ENUM(s, n, d, choices, r, text)                                                    \
	ROW(s, n, SETTING_TYPE_ENUM, d, 0, 0, "", choices, r, text)
#define SETTING_LIST(s, n, d, min, max, unit, r, text)                                             \
	ROW(s, n, SETTING_TYPE_LIST, d, min, max, unit, "", r, text)
#define SETTING_ADDRESSES(s, n, d, min, max, unit, r, text)                                        \
	ROW(s, n, SETTING_TYPE_ADDRESSES, d, min, max, unit, "", r, text)

static const struct setting_def table[] = {
#include "conf/settings.def"
};

const struct setting_def *settings_table(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(table);
	return table;
}

/* ---- snapshots ---- */

struct settings *settings_new(void)
{
	struct arena *arena = arena_new(0);
	struct settings *s = arena_x_new(arena, struct settings);

	s->private = arena_x_new(arena, struct settings_private);
	s->private->refs = 1;
	s->private->arena = arena;
	return s;
}

const struct settings *settings_default(void)
{
	struct settings *s = settings_new();
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (settings_set(s, &table[i], table[i].default_text, NULL, &err) < 0)
			__builtin_trap(); /* a default out of its own range: the unit test says
					     which */
	}
	settings_finish(s);
	return s;
}

const struct settings *settings_ref(const struct settings *s)
{
	(void)__atomic_add_fetch(&s->private->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void settings_unref(const struct settings **s)
{
	struct settings_private *private;

	if (*s == NULL)
		return;
	private = (*s)->private;
	*s = NULL;
	if (__atomic_sub_fetch(&private->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct arena *arena = private->arena;

		arena_free(&arena);
	}
}

void settings_finish(struct settings *s)
{
	char name[256] = "";

	if (s->server_hostname[0] == '\0' && gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	if (s->server_hostname[0] != '\0')
		s->hostname = s->server_hostname;
	else
		s->hostname = arena_x_strdup(s->private->arena, name[0] ? name : "localhost");
}

/* ---- one value ---- */

static bool is_host(const char *host)
{
	struct in6_addr address;

	return str_eq(host, "*") || str_eq_nocase(host, "localhost") ||
	       inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool settings_parse_address(const char *word, struct settings_address *ret)
{
	struct settings_address address = {"", 0, NULL};
	const char *colon = strrchr(word, ':');
	const char *host = word, *host_end = colon;
	struct err err = ERR_INIT;
	uint64_t port;

	if (str_starts(word, "unix:")) {
		address.unix_path = word + 5;
		*ret = address;
		return word[5] != '\0';
	}
	if (colon == NULL || str_parse_u64(colon + 1, 65535, &port, &err) < 0)
		return false;
	if (*host == '[') {
		host++;
		if (host_end - host < 2 || *--host_end != ']')
			return false;
	} else if (memchr(host, ':', (size_t)(host_end - host)) != NULL) {
		return false; /* IPv6 without brackets: where would the port begin? */
	}
	if (host_end <= host || (size_t)(host_end - host) >= sizeof(address.host))
		return false;
	memcpy(address.host, host, (size_t)(host_end - host));
	address.port = (uint16_t)port;
	if (!is_host(address.host))
		return false;
	*ret = address;
	return true;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; *p != '\0';) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, value, n) == 0)
			return true;
		p += n;
		p += *p == '|';
	}
	return false;
}

void settings_describe_range(const struct setting_def *def, struct buf *out)
{
	switch (def->type) {
	case SETTING_TYPE_UINT:
		buf_addf(out, "%s%llu to %llu%s%s", def->choices[0] != '\0' ? "auto, or " : "",
			(unsigned long long)def->min, (unsigned long long)def->max,
			def->unit[0] ? " " : "", def->unit);
		break;
	case SETTING_TYPE_BOOL:
		buf_add_str(out, "yes or no");
		break;
	case SETTING_TYPE_ENUM:
		for (const char *p = def->choices; *p != '\0'; p++) {
			if (*p != '|')
				buf_add_byte(out, (uint8_t)*p);
			else
				buf_add_str(out, strchr(p + 1, '|') != NULL ? ", " : " or ");
		}
		break;
	case SETTING_TYPE_STR:
	case SETTING_TYPE_PATH:
		buf_addf(out, "%s of %llu to %llu bytes",
			def->type == SETTING_TYPE_PATH ? "a path" : "text",
			(unsigned long long)def->min, (unsigned long long)def->max);
		break;
	case SETTING_TYPE_LIST:
		buf_addf(out, "words separated by blanks, %llu to %llu bytes in all",
			(unsigned long long)def->min, (unsigned long long)def->max);
		break;
	case SETTING_TYPE_ADDRESSES:
		buf_add_str(out,
			"address:port (numeric, [..] around IPv6), *:port or unix:path, several "
			"separated by blanks");
		break;
	}
}

static int refuse(const struct setting_def *def, const char *text, struct err *err)
{
	struct buf range = BUF_INIT;

	settings_describe_range(def, &range);
	(void)err_set(err, ERR_BAD_INPUT, "%s.%s: \"%.60s\" is not allowed; allowed: %s",
		def->section, def->name, text, buf_cstr(&range));
	buf_deinit(&range);
	return -1;
}

static int set_words(
	struct settings *s, const struct setting_def *def, const char *text, struct err *err)
{
	struct settings_words *field = (void *)((char *)s + def->offset);
	size_t count = 0, max = strlen(text) / 2 + 1;
	const char **words = arena_x_alloc(s->private->arena, max * sizeof(*words));

	for (const char *p = text;;) {
		size_t n;

		p += strspn(p, " \t");
		n = strcspn(p, " \t");
		if (n == 0)
			break;
		words[count++] = arena_x_strndup(s->private->arena, p, n);
		p += n;
	}
	for (size_t i = 0; i < count && def->type == SETTING_TYPE_ADDRESSES; i++) {
		struct settings_address address;

		if (!settings_parse_address(words[i], &address))
			return refuse(def, words[i], err);
	}
	*field = (struct settings_words){words, count};
	return 0;
}

static const char *resolve(
	struct settings *s, const struct setting_def *def, const char *text, const char *folder)
{
	if (def->type != SETTING_TYPE_PATH || text[0] == '/' || text[0] == '\0' || folder == NULL)
		return arena_x_strdup(s->private->arena, text);
	while (str_starts(text, "./"))
		text += 2;
	return arena_x_printf(s->private->arena, "%s/%s", folder, text);
}

static int set_text(struct settings *s, const struct setting_def *def, const char *text,
	const char *folder, struct err *err)
{
	const char **field = (void *)((char *)s + def->offset);
	const char *value = resolve(s, def, text, folder);

	if (strlen(value) > def->max)
		return refuse(def, value, err);
	*field = value;
	return 0;
}

int settings_set(struct settings *s, const struct setting_def *def, const char *text,
	const char *folder, struct err *err)
{
	char *field = (char *)s + def->offset;
	struct err number_err = ERR_INIT;
	uint64_t number;
	size_t len = strlen(text);

	switch (def->type) {
	case SETTING_TYPE_UINT:
		if (def->choices[0] != '\0' && str_eq(text, def->choices)) /* auto */
			text = "0";
		if (str_parse_u64(text, def->max, &number, &number_err) < 0 || number < def->min)
			return refuse(def, text, err);
		*(uint64_t *)(void *)field = number;
		return 0;
	case SETTING_TYPE_BOOL:
		if (!str_eq(text, "yes") && !str_eq(text, "no"))
			return refuse(def, text, err);
		*(bool *)(void *)field = str_eq(text, "yes");
		return 0;
	case SETTING_TYPE_ENUM:
		if (!is_choice(def->choices, text))
			return refuse(def, text, err);
		*(const char **)(void *)field = arena_x_strdup(s->private->arena, text);
		return 0;
	case SETTING_TYPE_STR:
	case SETTING_TYPE_PATH:
	case SETTING_TYPE_LIST:
	case SETTING_TYPE_ADDRESSES:
		break;
	}
	if (len < def->min || len > def->max)
		return refuse(def, text, err);
	if (def->type == SETTING_TYPE_STR || def->type == SETTING_TYPE_PATH)
		return set_text(s, def, text, folder, err);
	return set_words(s, def, text, err);
}
