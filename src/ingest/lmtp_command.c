/*
 * One LMTP command line (RFC 5321 section 4.1, RFC 2033): verb, path, parameters. Pure; works
 * inside the line.
 */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ingest/lmtp_internal.h"

static const struct {
	const char *name;
	enum lmtp_verb verb;
	bool bare; /* takes no argument */
} verbs[] = {
	{"LHLO", LMTP_LHLO, false},
	{"MAIL", LMTP_MAIL, false},
	{"RCPT", LMTP_RCPT, false},
	{"DATA", LMTP_DATA, true},
	{"RSET", LMTP_RSET, true},
	{"NOOP", LMTP_NOOP, false},
	{"QUIT", LMTP_QUIT, true},
	{"VRFY", LMTP_VRFY, false},
	{"HELP", LMTP_HELP, false},
	{"HELO", LMTP_HELO, false},
	{"EHLO", LMTP_HELO, false},
};

/* Up to the '>' that ends the path; NULL when there is none. Quoted pairs and strings may hold one.
 */
static char *path_end(char *p)
{
	bool quoted = false;

	for (; *p != '\0'; p++) {
		if (*p == '\\' && quoted && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '>')
			return p;
		else if (!quoted && (*p == ' ' || *p == '<'))
			return NULL;
	}
	return NULL;
}

/* "anna"@x is anna@x: takes needless quotes away. */
static char *unquote(char *address)
{
	char *end = *address == '"' ? strchr(address + 1, '"') : NULL;

	if (end == NULL || end[1] != '@' || end == address + 1)
		return address;
	for (const char *p = address + 1; p < end; p++) {
		if (!isalnum((unsigned char)*p) && strchr("!#$%&'*+-/=?^_`{|}~.", *p) == NULL &&
			(unsigned char)*p < 0x80)
			return address;
	}
	memmove(end, end + 1, strlen(end + 1) + 1);
	return address + 1;
}

static bool address_ok(const char *address)
{
	const char *at = strrchr(address, '@');

	if (strlen(address) > LMTP_ADDRESS_MAX || !utf8_valid(address, strlen(address)))
		return false;
	if (at == NULL)
		return *address != '\0';
	return at != address && at[1] != '\0' && strpbrk(at, " \"\\") == NULL;
}

/* "<path>" and what follows it; NULL: no path. */
static char *take_path(char *p, const char **ret_address)
{
	char *end, *address;

	while (*p == ' ') /* not allowed, and seen often */
		p++;
	if (*p != '<')
		return NULL;
	address = p + 1;
	end = path_end(address);
	if (end == NULL || (end[1] != '\0' && end[1] != ' '))
		return NULL;
	*end = '\0';
	if (*address == '@') { /* a source route: ignored (RFC 5321, appendix C) */
		address = strchr(address, ':');
		if (address == NULL)
			return NULL;
		address++;
	}
	address = unquote(address);
	if (*address != '\0' && !address_ok(address))
		return NULL;
	*ret_address = address;
	return end + 1;
}

static const char *mail_parameter(struct lmtp_command *ret, const char *word)
{
	struct err err;

	if (str_starts_nocase(word, "SIZE=")) {
		if (str_parse_u64(word + 5, UINT64_MAX, &ret->size, &err) < 0)
			return "501 5.5.4 SIZE wants a number";
		return NULL;
	}
	if (str_eq_nocase(word, "SMTPUTF8")) {
		ret->smtputf8 = true;
		return NULL;
	}
	if (str_eq_nocase(word, "BODY=7BIT") || str_eq_nocase(word, "BODY=8BITMIME"))
		return NULL;
	return "555 5.5.4 MAIL parameter not recognised";
}

static const char *parse_parameters(struct lmtp_command *ret, char *p)
{
	while (*(p += strspn(p, " ")) != '\0') {
		char *word = p;
		const char *reply;

		p += strcspn(p, " ");
		if (*p != '\0')
			*p++ = '\0';
		reply = ret->verb == LMTP_MAIL ? mail_parameter(ret, word)
					       : "555 5.5.4 RCPT parameter not recognised";
		if (reply != NULL)
			return reply;
	}
	return NULL;
}

static const char *parse_mail(struct lmtp_command *ret, char *rest)
{
	char *after;

	if (!str_starts_nocase(rest, "FROM:"))
		return "501 5.5.4 Syntax: MAIL FROM:<address>";
	after = take_path(rest + 5, &ret->argument);
	if (after == NULL)
		return "501 5.1.7 Bad sender address syntax";
	return parse_parameters(ret, after);
}

static const char *parse_rcpt(struct lmtp_command *ret, char *rest)
{
	char *after;

	if (!str_starts_nocase(rest, "TO:"))
		return "501 5.5.4 Syntax: RCPT TO:<address>";
	after = take_path(rest + 3, &ret->argument);
	if (after == NULL || *ret->argument == '\0')
		return "501 5.1.3 Bad recipient address syntax";
	return parse_parameters(ret, after);
}

static const char *parse_lhlo(struct lmtp_command *ret, const char *rest)
{
	size_t len = strlen(rest);

	if (len == 0 || len > 255 || strpbrk(rest, " ()<>\"\\;") != NULL)
		return "501 5.5.4 Syntax: LHLO hostname";
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)rest[i] >= 0x7f)
			return "501 5.5.4 Syntax: LHLO hostname";
	}
	ret->argument = rest;
	return NULL;
}

static const char *parse_argument(struct lmtp_command *ret, char *rest, bool bare)
{
	if (bare && *rest != '\0')
		return "501 5.5.4 No argument is allowed";
	switch (ret->verb) {
	case LMTP_LHLO:
		return parse_lhlo(ret, rest);
	case LMTP_MAIL:
		return parse_mail(ret, rest);
	case LMTP_RCPT:
		return parse_rcpt(ret, rest);
	default:
		return NULL;
	}
}

const char *lmtp_command_parse(char *line, size_t len, struct lmtp_command *ret)
{
	char *rest;
	size_t verb_len;

	*ret = (struct lmtp_command){.argument = ""};
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return "500 5.5.2 Control characters are not allowed";
	}
	line = str_trim(line);
	rest = strchr(line, ' ');
	verb_len = rest != NULL ? (size_t)(rest - line) : strlen(line);
	rest = rest != NULL ? str_trim(rest) : line + verb_len;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (verb_len == strlen(verbs[i].name) &&
			strncasecmp(line, verbs[i].name, verb_len) == 0) {
			ret->verb = verbs[i].verb;
			return parse_argument(ret, rest, verbs[i].bare);
		}
	}
	return "500 5.5.1 Command not recognised";
}
