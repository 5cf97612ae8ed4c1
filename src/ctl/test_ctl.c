#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "ctl/ctl_internal.h"

static const struct {
	const char *line; /* words separated by blanks */
	const char *verb; /* NULL: no verb */
	const char *args; /* sorted compact JSON; NULL: an error */
	const char *error;
} commands[] = {
	{"user list", "user list", "{}", NULL},
	{"-c x.conf user list --json", "user list", "{}", NULL},
	{"user --config=x.conf add a@b.c --name Anna", "user add",
		"{\"address\":\"a@b.c\",\"name\":\"Anna\"}", NULL},
	{"user add a@b.c --name=Anna=B --password-file f", "user add",
		"{\"address\":\"a@b.c\",\"name\":\"Anna=B\"}", NULL},
	{"device wipe a@b.c ABC --yes", "device wipe",
		"{\"address\":\"a@b.c\",\"device\":\"ABC\",\"yes\":true}", NULL},
	{"log list --limit 5", "log list", "{\"limit\":5}", NULL},
	{"policy set {\"AllowCamera\":0}", "policy set", "{\"settings\":{\"AllowCamera\":0}}",
		NULL},
	{"restart engine", "restart", "{\"part\":\"engine\"}", NULL},
	{"user add -- -x@b.c", "user add", "{\"address\":\"-x@b.c\"}", NULL},
	{"alias list", "alias list", "{}", NULL},
	{"device check ABC", "device check", "{\"device\":\"ABC\"}", NULL},
	{"device check A@C", "device check", "{\"device\":\"A@C\"}", NULL},
	{"device check a@b.c ABC", "device check", "{\"address\":\"a@b.c\",\"device\":\"ABC\"}",
		NULL},
	{"device repair ABC Inbox", "device repair", "{\"device\":\"ABC\",\"folder\":\"Inbox\"}",
		NULL},
	{"device repair a@b.c ABC --all", "device repair",
		"{\"address\":\"a@b.c\",\"all\":true,\"device\":\"ABC\"}", NULL},
	{"device repair a@b.c ABC 5", "device repair",
		"{\"address\":\"a@b.c\",\"device\":\"ABC\",\"folder\":\"5\"}", NULL},
	{"backup x --damaged", "backup", "{\"damaged\":true,\"dir\":\"x\"}", NULL},
	{"check", "check", "{}", NULL},
	{"user", NULL, NULL, NULL},
	{"nonsense", NULL, NULL, NULL},
	{"", NULL, NULL, NULL},
	{"user add", "user add", NULL, "user add needs address"},
	{"user add a@b.c extra", "user add", NULL, "\"extra\" is one argument too many"},
	{"device check", "device check", NULL, "device check needs device"},
	{"restore", "restore", NULL, "restore needs dir"},
	{"device repair ABC", "device repair", NULL, "needs a folder, its name or its number, or"},
	{"device repair a@b.c ABC", "device repair", NULL, "needs a folder"},
	{"device repair ABC Inbox --all", "device repair", NULL, "a folder or --all, not both"},
	{"user list --yes", "user list", NULL, "user list has no option --yes"},
	{"log list --limit x", "log list", NULL, "not a number"},
	{"policy set {", "policy set", NULL, "not JSON"},
};

static const struct {
	const char *line, *error;
} wrong[] = {
	{"user list --nonsense", "there is no option --nonsense"},
	{"user list -x", "there is no option -x"},
	{"user add a@b.c --name", "--name needs a value"},
	{"user del a@b.c --yes=1", "--yes takes no value"},
	{"-c", "-c needs a value"},
	{"user add a@b.c --password geheim", "there is no option --password"},
	{"user del a --yes --yes --yes --yes --yes --yes --yes --yes --yes --yes --yes --yes --yes",
		"one option too many"},
};

/* Splits a copy of the line into argv. */
static int split(char *copy, char **argv)
{
	int argc = 0;

	argv[argc++] = copy;
	for (char *p = copy; *p != '\0';) {
		size_t n = strcspn(p, " ");

		argv[argc++] = p;
		p += n;
		if (*p == ' ')
			*p++ = '\0';
	}
	return argc;
}

static void test_commands(void)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		char *copy = x_strdup(commands[i].line), *argv[32];
		int argc = split(copy, argv);
		struct ctl_command c;
		struct err err = ERR_INIT;
		const struct admin_verb *verb;
		size_t words = 0;
		json_t *args = NULL;

		REQUIRE_OK(ctl_command_parse(argc, argv, &c, &err), &err);
		verb = ctl_command_verb(&c, &words);
		CHECK_STR(verb != NULL ? verb->name : NULL, commands[i].verb);
		if (verb != NULL && ctl_command_args(&c, verb, words, &args, &err) == 0) {
			char *dump = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);

			CHECK_STR(dump, commands[i].args);
			free(dump);
			json_decref(args);
		} else if (verb != NULL) {
			CHECK(commands[i].error != NULL &&
				strstr(err.text, commands[i].error) != NULL);
		}
		ctl_command_deinit(&c);
		free(copy);
	}
}

static void test_wrong_options(void)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char *copy = x_strdup(wrong[i].line), *argv[32];
		int argc = split(copy, argv);
		struct ctl_command c;
		struct err err = ERR_INIT;

		CHECK(ctl_command_parse(argc, argv, &c, &err) < 0);
		if (strstr(err.text, wrong[i].error) == NULL)
			test_fail_(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", err.text,
				wrong[i].error);
		free(copy);
	}
}

static void test_help_names_every_verb(void)
{
	struct buf text = BUF_INIT;

	ctl_help_all(&text);
	for (int i = 0; i < ADMIN_VERB_COUNT; i++)
		CHECK((strstr(buf_cstr(&text), admin_verbs[i].name) != NULL) ==
			!admin_verbs[i].hidden);
	buf_clear(&text);
	CHECK(ctl_help_verbs("user", &text));
	CHECK(strstr(buf_cstr(&text),
		      "bellhop user add address [--password-file FILE] [--name TEXT]") != NULL);
	CHECK(strstr(buf_cstr(&text), "alias") == NULL);
	buf_clear(&text);
	CHECK(ctl_help_verbs("device wipe", &text));
	CHECK(strstr(buf_cstr(&text), "device wipe address device [--account] [--yes]\n") != NULL);
	CHECK(ctl_help_verbs("device list", &text));
	CHECK(strstr(buf_cstr(&text), "\n    --policy-status  only those") != NULL);
	CHECK(strstr(buf_cstr(&text), "Exit status: 0") != NULL);
	ctl_help_all(&text);
	for (const char *line = buf_cstr(&text); *line != '\0'; line += strcspn(line, "\n") + 1)
		CHECK(strcspn(line, "\n") <= 80);
	CHECK(!ctl_help_verbs("use", &text));
	buf_deinit(&text);
}

static void check_narrow(const char *json, const char *columns, size_t width, const char *want)
{
	json_error_t where;
	json_t *value = json_loads(json, 0, &where);
	struct buf text = BUF_INIT;

	REQUIRE(value != NULL);
	ctl_render(value, columns, width, &text);
	CHECK_STR(buf_cstr(&text), want);
	buf_deinit(&text);
	json_decref(value);
}

static void check_render(const char *json, const char *columns, const char *want)
{
	check_narrow(json, columns, 0, want);
}

static void test_render(void)
{
	check_render("[{\"address\":\"a@b.c\",\"enabled\":true,\"created_at\":86400},{\"address\":"
		     "\"\\u00e4rger@b.c\",\"enabled\":false}]",
		"address enabled created_at",
		"ADDRESS    ENABLED  CREATED\n"
		"a@b.c      yes      1970-01-02T00:00:00Z\n"
		"\xc3\xa4rger@b.c  no       -\n");
	check_render("[]", "domain", "DOMAIN\n(none)\n");
	check_render("{\"version\":\"1\",\"users\":3,\"aliases\":[\"x\",\"y\"],\"none\":[],"
		     "\"settings\":{\"A\":1}}",
		"",
		"version:  1\nusers:    3\naliases:  x, y\nnone:     none\nsettings:\n  A: 1\n");
	check_render("{\"warnings\":\"\"}", "", "");
	/* Nothing that a phone says reaches the terminal as a command. */
	check_render("[{\"model\":\"a\\u001b[31m\\u009bb\\nc\"}]", "model", "MODEL\na [31m?b c\n");
	/* Nor does one name look like another one. */
	check_render("[{\"model\":\"\\u202ea\\u2066b\\u2028c\\u200fd \\u2019\"}]", "model",
		"MODEL\n?a?b?c?d \xe2\x80\x99\n");
}

/* On a terminal nothing is wider than it, names stay whole, and what was cut is said. */
static void test_narrow_tables(void)
{
	static const char columns[] =
		"address device type model version last_seen_at state policy policy_status";
	json_t *rows = json_pack("[{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s}]", "address",
		"anna.archer@example.org", "device", "ANDROIDC1234567", "type", "Android", "model",
		"A model with a rather l\xc3\xb6ng name", "version", "16.1", "last_seen_at",
		1767323045, "state", "provisioned", "policy", "default", "policy_status",
		"partial");
	struct buf text = BUF_INIT;

	REQUIRE(rows != NULL);
	ctl_render(rows, columns, 80, &text);
	for (const char *line = buf_cstr(&text); *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t n = 0;

		for (const char *p = line; *p != '\n'; p++)
			n += (*p & 0xc0) != 0x80;
		CHECK(n <= 80);
	}
	CHECK(strstr(buf_cstr(&text), "anna.archer@example.org  ANDROIDC1234567  A model ") !=
		NULL);
	CHECK(strstr(buf_cstr(&text), "2026-01-02 ") != NULL);
	CHECK(strstr(buf_cstr(&text), "provis") != NULL);
	CHECK(strstr(buf_cstr(&text), "policy_status; --wide shows all)\n") != NULL);
	buf_clear(&text);
	ctl_render(rows, columns, 0, &text);
	CHECK(strstr(buf_cstr(&text), "rather l\xc3\xb6ng name  16.1") != NULL);
	CHECK(strstr(buf_cstr(&text), "partial\n") != NULL);
	CHECK(strstr(buf_cstr(&text), "--wide") == NULL);
	buf_clear(&text);
	ctl_render(rows, "address device", 80, &text);
	CHECK(strstr(buf_cstr(&text), "--wide") == NULL);
	buf_clear(&text);
	ctl_render(rows, columns, 10, &text); /* what goes on a command line is never cut */
	CHECK(strstr(buf_cstr(&text), "anna.archer@example.org  ANDROIDC1234567") != NULL);
	CHECK(strstr(buf_cstr(&text), "columns left out; --wide shows all)\n") != NULL);
	buf_deinit(&text);
	json_decref(rows);
}

/* What a row is shown for takes several lines before any of it is lost. */
static void test_sentences(void)
{
	check_narrow("[{\"mail\":7,\"state\":\"waiting\",\"answer\":\"451 4.7.1 Greylisted, please "
		     "come back in a while\"},{\"mail\":12,\"state\":\"held\",\"answer\":\"\"}]",
		"mail state answer", 40,
		"MAIL  STATE    ANSWER\n"
		"7     waiting  451 4.7.1 Greylisted,\n"
		"               please come back in a\n"
		"               while\n"
		"12    held     -\n");
	/* A word that is longer than the column, as UTF-8. */
	check_narrow("[{\"id\":1,\"text\":\"0123456789012345678\u00e4\u00f6\u00fc23456789 end\"}]",
		"id text", 28,
		"ID  TEXT\n1   0123456789012345678\xc3\xa4\xc3\xb6\xc3\xbc"
		"23\n    456789 end\n");
	/* What says nothing in any row goes before what does; a heading is never cut. */
	check_narrow(
		"[{\"address\":\"a@b.c\",\"model\":\"\",\"wipe_asked_by\":\"administrator of this "
		"machine\",\"wipe_sent_at\":86400}]",
		"address model wipe_asked_by wipe_sent_at", 36,
		"ADDRESS  WIPE ASKED BY    WIPE SENT\n"
		"a@b.c    administrator \xe2\x80\xa6  1970-01-02\n"
		"(left out: model; --wide shows all)\n");
	/* Fields of one object: below each other. */
	check_narrow(
		"{\"service\":\"sync\",\"text\":\"Whether phones may  synchronize at all, now  \"}",
		"", 30,
		"service: sync\n"
		"text:    Whether phones may\n"
		"         synchronize at all,\n"
		"         now\n");
}

TEST_MAIN(TEST(test_sentences), TEST(test_narrow_tables), TEST(test_commands),
	TEST(test_wrong_options), TEST(test_help_names_every_verb), TEST(test_render))
