/*
 * Scenario files: sections, `key = value`, `#` comments. Every key is one row of a table which
 * says how its value is read; a key that is missing keeps its default, one that comes twice in a
 * section is an error, and so is a group that comes twice. Pure but for scenario_load(), which
 * reads at most FILE_MAX bytes.
 */
#include "fleet/scenario.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/version.h"

#define FILE_MAX   65536
#define LINE_BYTES 512
#define DAY_S      86400u
#define CHANCE_ONE 1000000u

enum kind {
	KIND_COUNT,   /* min..max */
	KIND_SECONDS, /* 90, 90s, 15m, 2h */
	KIND_RATE,    /* per second, with a fraction: double */
	KIND_SEED,    /* uint64_t */
	KIND_THINK,   /* 2s..10s, or 0 */
	KIND_PATHS,   /* 4m:10 31m:50 none:40 */
	KIND_PERCENT, /* 0.5% */
	KIND_VERSION,
	KIND_BEHAVIOUR,
	KIND_CHOICE, /* bool by two words */
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t min, max;
	const char *yes, *no; /* CHOICE */
};

#define F(member) offsetof(struct scenario, member)
static const struct key fleet_keys[] = {
	{"phones", KIND_COUNT, F(phones), 1, SCENARIO_PHONES_MAX},
	{"users", KIND_COUNT, F(users), 1, SCENARIO_PHONES_MAX},
	{"duration", KIND_SECONDS, F(duration_s), 1, 31 * DAY_S},
	{"connect_rate", KIND_COUNT, F(connect_rate), 1, 1000000},
	{"seed", KIND_SEED, F(seed), 0, 0},
	{"mail_rate", KIND_RATE, F(mail_rate), 0, 100000},
	{"mail_bytes", KIND_COUNT, F(mail_bytes), 1, 10000000},
	{"cut_at", KIND_SECONDS, F(cut_at_s), 0, 31 * DAY_S},
	{"cut_spread", KIND_SECONDS, F(cut_spread_s), 0, DAY_S},
};
#undef F
#define G(member) offsetof(struct scenario_group, member)
static const struct key group_keys[] = {
	{"share", KIND_COUNT, G(share), 1, 1000000},
	{"version", KIND_VERSION, G(version), 0, 0},
	{"behaviour", KIND_BEHAVIOUR, G(behaviour), 0, 0},
	{"wait_with", KIND_CHOICE, G(held_sync), 0, 0, "sync", "ping"},
	{"heartbeat", KIND_SECONDS, G(heartbeat_s), 1, 3540},
	{"heartbeat_max", KIND_SECONDS, G(heartbeat_max_s), 1, 3540},
	{"folders", KIND_COUNT, G(folders), 1, 1000},
	{"think", KIND_THINK, G(think_min_ms), 0, DAY_S},
	{"move", KIND_SECONDS, G(move_s), 0, 31 * DAY_S},
	{"loss", KIND_PERCENT, G(loss_ppm), 0, CHANCE_ONE},
	{"path", KIND_PATHS, 0, 0, DAY_S},
	{"path_end", KIND_CHOICE, G(path_reset), 0, 0, "reset", "silent"},
	{"connection", KIND_CHOICE, G(new_connection), 0, 0, "new", "keep"},
};
#undef G

static const char *const behaviours[] = {"fixed", "windows-mobile", "ios", "android"};

const char *scenario_behaviour_to_str(enum scenario_behaviour behaviour)
{
	return (unsigned)behaviour < ARRAY_LEN(behaviours) ? behaviours[behaviour] : "?";
}

struct parser {
	const char *name;
	unsigned line;
	struct scenario *s;
	struct scenario_group *group; /* NULL: in [fleet], or before any section */
	bool in_fleet, had_fleet;
	unsigned seen; /* keys of this section */
	struct err *err;
};

static int bad(const struct parser *p, const char *what, const char *value, const char *right)
{
	return err_set(p->err, ERR_BAD_INPUT, "%.160s:%u: %.32s: \"%.64s\" is not %s", p->name,
		p->line, what, value, right);
}

static void group_default(struct scenario_group *g)
{
	*g = (struct scenario_group){.share = 1,
		.version = VERSION_141,
		.heartbeat_s = 900,
		.heartbeat_max_s = 3540,
		.folders = 1};
}

void scenario_default(struct scenario *s)
{
	*s = (struct scenario){.phones = 100,
		.users = 0,
		.duration_s = 60,
		.connect_rate = 100,
		.seed = 1,
		.mail_bytes = 4000,
		.cut_spread_s = 30,
		.group_count = 1};
	group_default(&s->groups[0]);
	(void)snprintf(s->groups[0].name, sizeof(s->groups[0].name), "all");
}

/* ---- values ---- */

/* "900", "900s", "15m", "2h"; scale: of the unit wanted to a second (1 or 1000). */
static bool parse_span(const char *text, uint64_t max_s, uint32_t scale, uint32_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	uint64_t factor = scale, n;
	struct err err = ERR_INIT;
	char number[16];

	if (digits == 0 || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = 0;
	if (str_parse_u64(number, UINT32_MAX, &n, &err) < 0)
		return false;
	if (str_eq(unit, "ms") && scale == 1000)
		factor = 1;
	else if (str_eq(unit, "m"))
		factor = 60ull * scale;
	else if (str_eq(unit, "h"))
		factor = 3600ull * scale;
	else if (*unit != 0 && !str_eq(unit, "s"))
		return false;
	if (n * factor > max_s * scale)
		return false;
	*ret = (uint32_t)(n * factor);
	return true;
}

/* A number with at most six digits behind the point, in millionths. */
static bool parse_millionths(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t whole = 0, part = 0, place = 1000000;
	const char *p = text;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (uint64_t)(*p - '0');
		if (whole > max)
			return false;
	}
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && place > 1; p++) {
			place /= 10;
			part += (uint64_t)(*p - '0') * place;
		}
	}
	if (*p != 0 || whole * 1000000 + part > max * 1000000)
		return false;
	*ret = whole * 1000000 + part;
	return true;
}

static int parse_think(const struct parser *p, const char *value)
{
	char text[64];
	char *dots;
	uint32_t min, max;

	(void)snprintf(text, sizeof(text), "%s", value);
	dots = strstr(text, "..");
	if (dots != NULL)
		*dots = 0;
	if (!parse_span(text, DAY_S, 1000, &min) ||
		!parse_span(dots != NULL ? dots + 2 : text, DAY_S, 1000, &max) || max < min)
		return bad(p, "think", value, "a time, or two as in 500ms..10s");
	p->group->think_min_ms = min;
	p->group->think_max_ms = max;
	return 0;
}

static int parse_paths(const struct parser *p, const char *value)
{
	struct scenario_group *g = p->group;
	char text[LINE_BYTES];
	char *save = NULL;

	(void)snprintf(text, sizeof(text), "%s", value);
	g->path_count = 0;
	for (char *word = strtok_r(text, " \t", &save); word != NULL;
		word = strtok_r(NULL, " \t", &save)) {
		struct scenario_path *path = &g->paths[g->path_count];
		char *colon = strchr(word, ':');
		uint64_t weight = 1;
		struct err ignored = ERR_INIT;

		if (g->path_count == SCENARIO_PATHS_MAX)
			return bad(p, "path", value, "a list of at most 8 paths");
		if (colon != NULL)
			*colon = 0;
		*path = (struct scenario_path){0};
		if ((!str_eq(word, "none") && !parse_span(word, DAY_S, 1, &path->idle_s)) ||
			(colon != NULL &&
				(str_parse_u64(colon + 1, 1000000, &weight, &ignored) < 0 ||
					weight == 0)))
			return bad(p, "path", value, "a list such as 4m:10 31m:50 none:40");
		path->weight = (uint32_t)weight;
		g->path_count++;
	}
	return 0;
}

static int parse_percent(const struct parser *p, const struct key *key, const char *value, void *to)
{
	char text[64];
	uint64_t millionths;
	size_t len = strlen(value);

	(void)snprintf(text, sizeof(text), "%s", value);
	if (len == 0 || len >= sizeof(text) || text[len - 1] != '%')
		return bad(p, key->name, value, "a percentage such as 0.5%");
	text[len - 1] = 0;
	if (!parse_millionths(text, 100, &millionths))
		return bad(p, key->name, value, "a percentage from 0% to 100%");
	*(uint32_t *)to = (uint32_t)(millionths / 100);
	return 0;
}

static int parse_word(const struct parser *p, const struct key *key, const char *value, void *to)
{
	if (key->kind == KIND_VERSION) {
		*(unsigned *)to = version_parse(value);
		return *(unsigned *)to != 0 ? 0
					    : bad(p, key->name, value,
						      "2.5, 12.0, 12.1, 14.0, 14.1, 16.0 or 16.1");
	}
	if (key->kind == KIND_CHOICE) {
		char right[48];

		(void)snprintf(right, sizeof(right), "%s or %s", key->yes, key->no);
		*(bool *)to = str_eq(value, key->yes);
		return *(bool *)to || str_eq(value, key->no) ? 0 : bad(p, key->name, value, right);
	}
	for (size_t i = 0; i < ARRAY_LEN(behaviours); i++) {
		if (str_eq(value, behaviours[i])) {
			*(enum scenario_behaviour *)to = (enum scenario_behaviour)i;
			return 0;
		}
	}
	return bad(p, key->name, value, "fixed, windows-mobile, ios or android");
}

static int parse_number(const struct parser *p, const struct key *key, const char *value, void *to)
{
	struct err ignored = ERR_INIT;
	char right[64];
	uint64_t n = 0;
	uint32_t s = 0;

	switch (key->kind) {
	case KIND_COUNT:
		if (str_parse_u64(value, key->max, &n, &ignored) == 0 && n >= key->min) {
			*(uint32_t *)to = (uint32_t)n;
			return 0;
		}
		(void)snprintf(right, sizeof(right), "a number from %u to %u", key->min, key->max);
		return bad(p, key->name, value, right);
	case KIND_SECONDS:
		if (parse_span(value, key->max, 1, &s) && s >= key->min) {
			*(uint32_t *)to = s;
			return 0;
		}
		(void)snprintf(right, sizeof(right),
			"a time such as 90s, 15m or 2h, from %us to %us", key->min, key->max);
		return bad(p, key->name, value, right);
	case KIND_RATE:
		if (!parse_millionths(value, key->max, &n))
			return bad(p, key->name, value, "a number per second such as 0.5");
		*(double *)to = (double)n / 1e6;
		return 0;
	default:
		return str_parse_u64(value, UINT64_MAX, (uint64_t *)to, &ignored) == 0
			       ? 0
			       : bad(p, key->name, value, "a whole number");
	}
}

static int parse_value(struct parser *p, const struct key *key, const char *value)
{
	char *base = p->group != NULL ? (char *)p->group : (char *)p->s;
	void *to = base + key->offset;

	switch (key->kind) {
	case KIND_THINK:
		return parse_think(p, value);
	case KIND_PATHS:
		return parse_paths(p, value);
	case KIND_PERCENT:
		return parse_percent(p, key, value, to);
	case KIND_VERSION:
	case KIND_BEHAVIOUR:
	case KIND_CHOICE:
		return parse_word(p, key, value, to);
	default:
		return parse_number(p, key, value, to);
	}
}

/* ---- lines ---- */

static int begin_group(struct parser *p, char *name)
{
	struct scenario *s = p->s;

	name = str_trim(name);
	if (*name == 0 || strlen(name) >= sizeof(s->groups[0].name))
		return bad(p, "group", name, "a name of 1 to 31 characters");
	for (size_t i = 0; i < s->group_count; i++) {
		if (str_eq(s->groups[i].name, name))
			return err_set(p->err, ERR_BAD_INPUT, "%.160s:%u: group %s comes twice",
				p->name, p->line, name);
	}
	if (s->group_count == SCENARIO_GROUPS_MAX)
		return err_set(p->err, ERR_BAD_INPUT, "%.160s:%u: more than %u groups", p->name,
			p->line, (unsigned)SCENARIO_GROUPS_MAX);
	p->group = &s->groups[s->group_count++];
	group_default(p->group);
	(void)snprintf(p->group->name, sizeof(p->group->name), "%s", name);
	return 0;
}

static int parse_section(struct parser *p, char *line)
{
	size_t len = strlen(line);

	if (line[len - 1] != ']')
		return bad(p, "section", line, "[fleet] or [group NAME]");
	line[len - 1] = 0;
	p->seen = 0;
	p->in_fleet = false;
	if (str_starts(line, "[group ") || str_starts(line, "[group\t"))
		return begin_group(p, line + 7);
	p->group = NULL;
	if (!str_eq(line, "[fleet]") && !str_eq(line, "[fleet"))
		return bad(p, "section", line + 1, "fleet or group NAME");
	if (p->had_fleet)
		return err_set(p->err, ERR_BAD_INPUT, "%.160s:%u: section fleet comes twice",
			p->name, p->line);
	p->in_fleet = p->had_fleet = true;
	return 0;
}

static int parse_line(struct parser *p, char *line)
{
	const struct key *keys = p->group != NULL ? group_keys : fleet_keys;
	size_t count = p->group != NULL ? ARRAY_LEN(group_keys) : ARRAY_LEN(fleet_keys);
	char *equals;
	const char *name;

	line[strcspn(line, "#")] = 0;
	line = str_trim(line);
	if (*line == 0)
		return 0;
	if (*line == '[')
		return parse_section(p, line);
	equals = strchr(line, '=');
	if (equals == NULL)
		return bad(p, "line", line, "a section, a comment or key = value");
	*equals = 0;
	name = str_trim(line);
	if (p->group == NULL && !p->in_fleet)
		return err_set(p->err, ERR_BAD_INPUT,
			"%.160s:%u: %.32s stands before any section; begin with [fleet]", p->name,
			p->line, name);
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(name, keys[i].name))
			continue;
		if ((p->seen & (1u << i)) != 0)
			return err_set(p->err, ERR_BAD_INPUT, "%.160s:%u: %s comes twice", p->name,
				p->line, name);
		p->seen |= 1u << i;
		return parse_value(p, &keys[i], str_trim(equals + 1));
	}
	return bad(p, p->group != NULL ? "group" : "fleet", name, "a key of this section");
}

static int check(const struct parser *p)
{
	const struct scenario *s = p->s;

	if (s->group_count == 0)
		return err_set(p->err, ERR_BAD_INPUT, "%.160s: there is no [group NAME]", p->name);
	for (size_t i = 0; i < s->group_count; i++) {
		const struct scenario_group *g = &s->groups[i];

		if (g->heartbeat_max_s < g->heartbeat_s)
			return err_set(p->err, ERR_BAD_INPUT,
				"%.160s: group %s: heartbeat_max (%us) is below heartbeat (%us)",
				p->name, g->name, g->heartbeat_max_s, g->heartbeat_s);
		if (g->held_sync && g->version < VERSION_121)
			return err_set(p->err, ERR_BAD_INPUT,
				"%.160s: group %s: held Syncs came with 12.1, the version is %s",
				p->name, g->name, version_to_str(g->version));
	}
	if (s->users > s->phones)
		return err_set(p->err, ERR_BAD_INPUT,
			"%.160s: %u users have more than the %u phones", p->name, s->users,
			s->phones);
	return 0;
}

int scenario_parse(
	const char *text, size_t len, const char *name, struct scenario *ret, struct err *err)
{
	struct scenario s;
	struct parser p = {.name = name, .s = &s, .err = err};
	size_t at = 0;

	scenario_default(&s);
	s.group_count = 0;
	while (at < len) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - text) - at : len - at;
		char line[LINE_BYTES];

		p.line++;
		if (n >= sizeof(line) || memchr(text + at, 0, n) != NULL)
			return err_set(err, ERR_BAD_INPUT,
				"%.160s:%u: the line is longer than %u bytes, or holds a NUL", name,
				p.line, (unsigned)sizeof(line) - 1);
		memcpy(line, text + at, n);
		line[n] = 0;
		if (parse_line(&p, line) < 0)
			return -1;
		at += n + 1;
	}
	if (s.users == 0)
		s.users = s.phones;
	if (check(&p) < 0)
		return -1;
	*ret = s;
	return 0;
}

int scenario_load(const char *path, struct scenario *ret, struct err *err)
{
	CLEANUP(mem_freep) char *text = x_calloc(1, FILE_MAX);
	FILE *f = fopen(path, "re");
	size_t len;

	if (f == NULL)
		return err_set_errno(err, errno, "%s", path);
	len = fread(text, 1, FILE_MAX, f);
	(void)fclose(f);
	if (len == FILE_MAX)
		return err_set(err, ERR_BAD_INPUT, "%s is longer than %u bytes", path,
			(unsigned)FILE_MAX - 1);
	return scenario_parse(text, len, path, ret, err);
}

/* ---- who is who ---- */

uint64_t scenario_chance(uint64_t seed, uint64_t a, uint64_t b)
{
	/* The finaliser of splitmix64: cheap, and good enough for dice. */
	uint64_t x = seed + a * 0x9E3779B97F4A7C15ull + b * 0xD1B54A32D192ED03ull;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
	return x ^ (x >> 31);
}

const struct scenario_group *scenario_group_of(const struct scenario *s, uint32_t phone)
{
	uint64_t sum = 0, at;

	for (size_t i = 0; i < s->group_count; i++)
		sum += s->groups[i].share;
	assert(sum > 0);
	at = scenario_chance(s->seed, phone, 1) % sum;
	for (size_t i = 0; i < s->group_count; i++) {
		if (at < s->groups[i].share)
			return &s->groups[i];
		at -= s->groups[i].share;
	}
	return &s->groups[0];
}

uint32_t scenario_path_of(
	const struct scenario *s, const struct scenario_group *g, uint32_t phone, uint32_t number)
{
	uint64_t sum = 0, at;

	for (size_t i = 0; i < g->path_count; i++)
		sum += g->paths[i].weight;
	if (sum == 0)
		return 0;
	at = scenario_chance(s->seed ^ 0x70617468u, phone, number) % sum;
	for (size_t i = 0; i < g->path_count; i++) {
		if (at < g->paths[i].weight)
			return g->paths[i].idle_s;
		at -= g->paths[i].weight;
	}
	return 0;
}
