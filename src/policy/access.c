/*
 * Access rules: parsing, matching, the decision. A parsed rule is an array of conditions in its
 * arena. Pure; any thread. Limits: ACCESS_RULE_MAX_BYTES, ACCESS_CONDITIONS_MAX. Matching costs at
 * most pattern times text and allocates nothing.
 */
#include "policy/access.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/service.h"

enum field { FIELD_TYPE, FIELD_MODEL, FIELD_OS, FIELD_AGENT, FIELD_DEVICE, FIELD_VERSION, FIELDS };

static const char *const field_names[FIELDS] = {
	"type", "model", "os", "agent", "device", "version"};

enum comparison { IS, IS_NOT, BELOW, AT_MOST, ABOVE, AT_LEAST };

static const struct {
	const char *text;
	enum comparison comparison;
} comparisons[] = {
	{"!=", IS_NOT},
	{"<=", AT_MOST},
	{">=", AT_LEAST},
	{"=", IS},
	{"<", BELOW},
	{">", ABOVE},
};

struct condition {
	enum field field;
	enum comparison comparison;
	const char *pattern; /* IS, IS_NOT */
	unsigned version;    /* the others */
};

struct access_rule {
	size_t count;
	struct condition conditions[ACCESS_CONDITIONS_MAX];
};

/* ---- patterns ---- */

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Behind a character, which has several bytes when it is not ASCII. What is no UTF-8 ends too. */
static const char *after_character(const char *text)
{
	do {
		text++;
	} while (((uint8_t)*text & 0xC0) == 0x80);
	return text;
}

/* One element of the pattern, which is not *, against what *text begins with. Both are moved
 * behind it when it matches. */
static bool one_matches(const char **pattern, const char **text)
{
	const char *p = *pattern;

	if (*p == '?') {
		*pattern = p + 1;
		*text = after_character(*text);
		return true;
	}
	if (*p == '\\' && p[1] != '\0')
		p++;
	if (fold(*p) != fold(**text))
		return false;
	*pattern = p + 1;
	*text += 1;
	return true;
}

bool access_pattern_match(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	/* Only the last * needs to be tried again: what stood before it has matched already. */
	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (*pattern != '\0' && one_matches(&pattern, &text)) {
			continue;
		} else if (star != NULL) {
			pattern = star;
			text = retry = after_character(retry);
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* ---- parsing ---- */

struct reader {
	const char *begin, *at;
	struct arena *arena;
};

static void skip_blanks(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\t')
		r->at++;
}

static int fault(const struct reader *r, struct err *err, const char *what)
{
	return err_set(err, ERR_BAD_INPUT, "%s at \"%.40s\", character %zu of the rule", what,
		*r->at != '\0' ? r->at : "the end", (size_t)(r->at - r->begin) + 1);
}

static int read_field(struct reader *r, enum field *ret, struct err *err)
{
	size_t len = 0;

	skip_blanks(r);
	while ((r->at[len] >= 'a' && r->at[len] <= 'z') || (r->at[len] >= 'A' && r->at[len] <= 'Z'))
		len++;
	for (int f = 0; f < FIELDS; f++) {
		const char *name = field_names[f];

		if (strlen(name) == len && str_starts_nocase(r->at, name)) {
			r->at += len;
			*ret = (enum field)f;
			return 0;
		}
	}
	return fault(r, err, "expected type, model, os, agent, device or version");
}

static int read_comparison(struct reader *r, struct condition *c, struct err *err)
{
	skip_blanks(r);
	for (size_t i = 0; i < ARRAY_LEN(comparisons); i++) {
		if (!str_starts(r->at, comparisons[i].text))
			continue;
		c->comparison = comparisons[i].comparison;
		if (c->comparison > IS_NOT && c->field != FIELD_VERSION)
			return fault(r, err, "only version can be compared so");
		r->at += strlen(comparisons[i].text);
		return 0;
	}
	return fault(r, err,
		c->field == FIELD_VERSION ? "expected =, !=, <, <=, > or >=" : "expected = or !=");
}

/* A backslash stays with what it protects: the matcher knows it. */
static int read_value(struct reader *r, char **ret, struct err *err)
{
	const char *begin;
	bool quoted;

	skip_blanks(r);
	quoted = *r->at == '"';
	if (quoted)
		r->at++;
	begin = r->at;
	while (*r->at != '\0' && (quoted ? *r->at != '"' : *r->at != ' ' && *r->at != '\t')) {
		if (!quoted && *r->at == '"')
			return fault(r, err, "a quote within a value");
		r->at += *r->at == '\\' && r->at[1] != '\0' ? 2 : 1;
	}
	*ret = arena_x_strndup(r->arena, begin, (size_t)(r->at - begin));
	if (quoted && *r->at++ != '"') {
		r->at--;
		return fault(r, err, "expected a closing quote");
	}
	if (!quoted && **ret == '\0')
		return fault(r, err, "expected a value");
	return 0;
}

/* Does the pattern stand for a version that there is? */
static bool some_version(const char *pattern)
{
	for (size_t i = 0; service_version_at(i) != 0; i++) {
		if (access_pattern_match(pattern, service_version_to_str(service_version_at(i))))
			return true;
	}
	return false;
}

static int read_condition(struct reader *r, struct condition *c, struct err *err)
{
	char *value = NULL;

	if (read_field(r, &c->field, err) < 0 || read_comparison(r, c, err) < 0 ||
		read_value(r, &value, err) < 0)
		return -1;
	c->pattern = value;
	if (c->field != FIELD_VERSION)
		return 0;
	c->version = service_version_parse(value);
	if (c->comparison <= IS_NOT ? some_version(value) : c->version != 0)
		return 0;
	return err_set(
		err, ERR_BAD_INPUT, "\"%.40s\" is no protocol version such as 14.1", value);
}

int access_rule_parse(
	const char *text, struct arena *arena, struct access_rule **ret, struct err *err)
{
	struct access_rule *rule = arena_x_new(arena, struct access_rule);
	struct reader r = {text, text, arena};

	if (strlen(text) > ACCESS_RULE_MAX_BYTES || !utf8_valid(text, strlen(text)))
		return err_set(err, ERR_BAD_INPUT, "a rule is UTF-8 text of at most %d bytes",
			ACCESS_RULE_MAX_BYTES);
	for (;;) {
		if (rule->count == ACCESS_CONDITIONS_MAX)
			return err_set(err, ERR_BAD_INPUT, "a rule has at most %d conditions",
				ACCESS_CONDITIONS_MAX);
		if (read_condition(&r, &rule->conditions[rule->count], err) < 0)
			return -1;
		rule->count++;
		skip_blanks(&r);
		if (*r.at == '\0')
			break;
		/* An and at the end lacks a field: strchr() finds the end, too. */
		if (!str_starts_nocase(r.at, "and") || strchr(" \t", r.at[3]) == NULL)
			return fault(&r, err, "expected \"and\"");
		r.at += 3;
	}
	*ret = rule;
	return 0;
}

/* ---- what is known ---- */

int64_t access_discovery_until(
	const struct device *device, unsigned version, const struct settings *settings)
{
	/* 2.5 has no words for it, and who only tries an account out has no row for it. */
	if (device->id.v == 0 || device->informed_at != 0 || version < 120)
		return 0;
	/* From 14.1 on Provision is not possible without. */
	if (version >= 141)
		return INT64_MAX;
	return device->first_seen_at + (int64_t)settings->access_discovery_s;
}

/* ---- matching ---- */

static bool version_holds(const struct condition *c, unsigned version)
{
	switch (c->comparison) {
	case BELOW:
		return version < c->version;
	case AT_MOST:
		return version <= c->version;
	case ABOVE:
		return version > c->version;
	case AT_LEAST:
		return version >= c->version;
	case IS:
	case IS_NOT:
		break;
	}
	return false;
}

static const char *fact(const struct access_facts *f, enum field field)
{
	switch (field) {
	case FIELD_TYPE:
		return f->type;
	case FIELD_MODEL:
		return f->model;
	case FIELD_OS:
		return f->os;
	case FIELD_AGENT:
		return f->agent;
	case FIELD_DEVICE:
		return f->device_id;
	case FIELD_VERSION:
		return service_version_to_str(f->version);
	case FIELDS:
		break;
	}
	return "";
}

static enum access_match condition_match(const struct condition *c, const struct access_facts *f)
{
	bool holds;

	if (!f->told && (c->field == FIELD_MODEL || c->field == FIELD_OS))
		return ACCESS_UNKNOWN;
	if (c->comparison > IS_NOT)
		holds = version_holds(c, f->version);
	else
		holds = access_pattern_match(c->pattern, fact(f, c->field)) ==
			(c->comparison == IS);
	return holds ? ACCESS_YES : ACCESS_NO;
}

enum access_match access_rule_match(
	const struct access_rule *rule, const struct access_facts *facts)
{
	enum access_match result = ACCESS_YES;

	for (size_t i = 0; i < rule->count; i++) {
		enum access_match one = condition_match(&rule->conditions[i], facts);

		if (one == ACCESS_NO)
			return ACCESS_NO;
		if (one == ACCESS_UNKNOWN)
			result = ACCESS_UNKNOWN;
	}
	return result;
}

/* ---- the decision ---- */

struct ordered_rule {
	uint64_t id;
	enum access_state state;
	const struct access_rule *rule;
};

struct access_rules {
	size_t count;
	struct ordered_rule rules[];
};

int access_rules_load(struct store_read *rd, struct arena *arena, const struct access_rules **ret,
	struct err *err)
{
	struct access_rule_row *rows;
	struct access_rules *rules;
	size_t count;

	if (store_access_rules(rd, arena, &rows, &count, err) < 0)
		return -1;
	rules = arena_x_alloc(arena, sizeof(*rules) + count * sizeof(rules->rules[0]));
	rules->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct err ignored = ERR_INIT;
		struct access_rule *rule;

		if (access_rule_parse(rows[i].rule, arena, &rule, &ignored) == 0)
			rules->rules[rules->count++] =
				(struct ordered_rule){rows[i].id, rows[i].state, rule};
	}
	*ret = rules;
	return 0;
}

/* What holds behind the rules. */
static void take_default(
	const struct rules *rules, const struct rules_subject *subject, struct access_decision *ret)
{
	enum access_state state = services_access(rules, subject, &ret->scope);

	ret->from = ACCESS_FROM_DEFAULT;
	ret->state = state != ACCESS_NONE ? state : ACCESS_ALLOW;
}

static void take_rules(const struct rules *rules, const struct rules_subject *subject,
	const struct access_facts *facts, struct access_decision *ret)
{
	const struct access_rules *list = rules->access;
	/* The first rule that cannot be judged yet, by what it would lead to: its place, from 1. */
	size_t open[ACCESS_STATES] = {0}, first = SIZE_MAX, i;

	for (i = 0; list != NULL && i < list->count; i++) {
		enum access_match match = access_rule_match(list->rules[i].rule, facts);

		if (match == ACCESS_YES)
			break;
		if (match == ACCESS_UNKNOWN && open[list->rules[i].state] == 0)
			open[list->rules[i].state] = i + 1;
	}
	if (list != NULL && i < list->count) {
		ret->from = ACCESS_FROM_RULE;
		ret->state = list->rules[i].state;
		ret->rule = list->rules[i].id;
	} else {
		take_default(rules, subject, ret);
	}
	for (int state = 0; state < ACCESS_STATES; state++) {
		if (state != (int)ret->state && open[state] != 0)
			first = MIN(first, open[state]);
	}
	ret->undecided = first != SIZE_MAX;
	ret->open_rule = ret->undecided ? list->rules[first - 1].id : 0;
}

void access_decide(const struct rules *rules, const struct rules_subject *subject,
	enum access_state own, const struct access_facts *facts, struct access_decision *ret)
{
	enum access_state user = services_access_of_user(rules, subject->user);

	*ret = (struct access_decision){.scope = {.name = ""}};
	if (own != ACCESS_NONE) {
		ret->state = own;
		ret->from = ACCESS_FROM_DEVICE;
	} else if (user != ACCESS_NONE) {
		ret->state = user;
		ret->from = ACCESS_FROM_USER;
	} else {
		take_rules(rules, subject, facts, ret);
	}
}

const char *access_reason(const struct access_decision *d, struct arena *arena)
{
	switch (d->from) {
	case ACCESS_FROM_DEVICE:
		return "the device";
	case ACCESS_FROM_USER:
		return "the user";
	case ACCESS_FROM_RULE:
		return arena_x_printf(arena, "rule %" PRIu64, d->rule);
	case ACCESS_FROM_DEFAULT:
		break;
	}
	if (d->scope.kind == SCOPE_ORG)
		return "the default";
	return arena_x_printf(
		arena, "the default of %s %s", scope_kind_to_str(d->scope.kind), d->scope.name);
}

/* ---- texts ---- */

static const char default_subject[] = "Your phone must be released before it can synchronize";
/* A paragraph is one line: phones break lines where their screens end. */
#define TEXT_WHY                                                                                   \
	"This phone ({type} {model}, id {device}) is in quarantine: an administrator has to "      \
	"release it before it gets the mail of {user}.\n\n"
#define TEXT_THEN                                                                                  \
	"There is nothing else that you need to do on the phone: as soon as it is released this "  \
	"message goes away and your mail comes.\n"
static const char text_told[] = TEXT_WHY "Administrators are told by mail. " TEXT_THEN;
static const char text_not_told[] =
	TEXT_WHY "Nobody is told of this by itself: please ask an administrator. " TEXT_THEN;

const char *access_text_built_in(enum access_text which, bool administrators_told)
{
	if (which == ACCESS_TEXT_SUBJECT)
		return default_subject;
	return administrators_told ? text_told : text_not_told;
}

static const char *const words[] = {"user", "device", "type", "model", "os", "agent", "version"};

/* Behind "{"; the number of the word, ARRAY_LEN(words) when there is none. */
static size_t find_word(const char *text, size_t *ret_len)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);

		if (strncmp(text, words[i], len) == 0 && text[len] == '}') {
			*ret_len = len + 1;
			return i;
		}
	}
	*ret_len = 0;
	return ARRAY_LEN(words);
}

int access_text_check(const char *text, struct err *err)
{
	size_t len;

	if (!utf8_valid(text, strlen(text)))
		return err_set(err, ERR_BAD_INPUT, "a text is UTF-8");
	for (const char *p = strchr(text, '{'); p != NULL; p = strchr(p, '{')) {
		if (p[1] == '{') {
			p += 2;
			continue;
		}
		if (find_word(p + 1, &len) == ARRAY_LEN(words))
			return err_set(err, ERR_BAD_INPUT,
				"\"%.30s\" is none of {user}, {device}, {type}, {model}, {os}, "
				"{agent}, {version}; {{ is a brace",
				p);
		p += 1 + len;
	}
	return 0;
}

void access_text_expand(
	const char *text, const char *user, const struct access_facts *facts, struct buf *out)
{
	const char *const values[ARRAY_LEN(words)] = {user, facts->device_id, facts->type,
		facts->model, facts->os, facts->agent, service_version_to_str(facts->version)};

	while (*text != '\0') {
		size_t len = 0, word;

		if (*text != '{') {
			buf_add_byte(out, (uint8_t)*text++);
			continue;
		}
		word = find_word(text + 1, &len);
		if (word < ARRAY_LEN(words)) {
			utf8_add_clean(out, values[word], strlen(values[word]));
			text += 1 + len;
		} else {
			buf_add_byte(out, '{');
			text += text[1] == '{' ? 2 : 1;
		}
	}
}
