/*
 * The command line of `bellhop`: options anywhere, the words name a verb and its arguments by
 * place. Pure.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/ctl_internal.h"

/* Is argv[*at] this option? Then *ret is its value, from "--name=value" or the next word. -1: the
 * value is missing. */
static int take_value(
	int argc, char **argv, int *at, const char *name, const char **ret, struct err *err)
{
	size_t len = strlen(name);
	const char *word = argv[*at];

	if (strncmp(word, name, len) != 0)
		return 0;
	if (word[len] == '=') {
		*ret = word + len + 1;
		return 1;
	}
	if (word[len] != '\0')
		return 0;
	if (*at + 1 >= argc)
		return err_set(err, ERR_BAD_INPUT, "%s needs a value", name);
	*ret = argv[++*at];
	return 1;
}

static int global_option(int argc, char **argv, int *at, struct ctl_command *c, struct err *err)
{
	const struct {
		const char *name;
		const char **field;
	} valued[] = {{"-c", &c->config}, {"--config", &c->config}, {"--socket", &c->socket},
		{"--password-file", &c->password_file}};
	const struct {
		const char *name;
		bool *field;
	} flags[] = {{"--json", &c->json}, {"--wide", &c->wide}, {"--help", &c->help},
		{"-h", &c->help}, {"--version", &c->version}, {"-V", &c->version},
		{"--changed", &c->changed_only}};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (str_eq(argv[*at], flags[i].name)) {
			*flags[i].field = true;
			return 1;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(valued); i++) {
		int found = take_value(argc, argv, at, valued[i].name, valued[i].field, err);

		if (found != 0)
			return found;
	}
	return 0;
}

/* "--first-use" is as good as "--first_use". */
static bool is_option(const struct admin_arg *arg, const char *name, size_t len)
{
	if (arg->positional || strlen(arg->name) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (arg->name[i] != name[i] && !(arg->name[i] == '_' && name[i] == '-'))
			return false;
	}
	return true;
}

/* The type of an option of any verb; -1: no verb has it. */
static int option_type(const char *name, size_t len)
{
	for (int v = 0; v < CTL_VERB_COUNT; v++) {
		for (size_t i = 0; i < admin_verb_arg_count(ctl_verb(v)); i++) {
			const struct admin_arg *arg = &ctl_verb(v)->args[i];

			if (arg->type != ADMIN_ARG_SECRET && is_option(arg, name, len))
				return (int)arg->type;
		}
	}
	return -1;
}

static int verb_option(int argc, char **argv, int *at, struct ctl_command *c, struct err *err)
{
	const char *word = argv[*at], *name = word + 2;
	size_t len = strcspn(name, "=");
	int type = option_type(name, len);
	const char *value = name[len] == '=' ? name + len + 1 : NULL;

	if (type < 0)
		return err_set(err, ERR_BAD_INPUT, "there is no option %.60s", word);
	if (c->option_count == ARRAY_LEN(c->options))
		return err_set(err, ERR_BAD_INPUT, "%.60s is one option too many", word);
	if (type == ADMIN_ARG_FLAG && value != NULL)
		return err_set(err, ERR_BAD_INPUT, "--%.*s takes no value", (int)len, name);
	if (type != ADMIN_ARG_FLAG && value == NULL) {
		if (*at + 1 >= argc)
			return err_set(err, ERR_BAD_INPUT, "%s needs a value", word);
		value = argv[++*at];
	}
	c->options[c->option_count].name = name;
	c->options[c->option_count++].value = value;
	return 0;
}

int ctl_command_parse(int argc, char **argv, struct ctl_command *ret, struct err *err)
{
	struct ctl_command c = {0};
	bool only_words = false;

	c.words = x_calloc((size_t)argc + 1, sizeof(*c.words));
	for (int at = 1; at < argc; at++) {
		int found = 0;

		if (!only_words && str_eq(argv[at], "--")) {
			only_words = true;
			continue;
		}
		if (!only_words && argv[at][0] == '-' && argv[at][1] != '\0') {
			found = global_option(argc, argv, &at, &c, err);
			if (found == 0 && str_starts(argv[at], "--"))
				found = verb_option(argc, argv, &at, &c, err) < 0 ? -1 : 1;
			else if (found == 0)
				found = err_set(
					err, ERR_BAD_INPUT, "there is no option %.60s", argv[at]);
		} else {
			c.words[c.word_count++] = argv[at];
		}
		if (found < 0) {
			ctl_command_deinit(&c);
			return -1;
		}
	}
	*ret = c;
	return 0;
}

void ctl_command_deinit(struct ctl_command *command)
{
	mem_free(command->words);
	command->words = NULL;
}

const struct admin_verb *ctl_verb(int at)
{
	return at < ADMIN_VERB_COUNT ? &admin_verbs[at] : &admin_local_verbs[at - ADMIN_VERB_COUNT];
}

const struct admin_verb *ctl_command_verb(const struct ctl_command *command, size_t *ret_words)
{
	for (size_t n = 2; n > 0; n--) {
		const struct admin_verb *found = NULL;
		char *name;

		if (command->word_count < n)
			continue;
		name = n == 2 ? x_printf("%s %s", command->words[0], command->words[1])
			      : x_strdup(command->words[0]);
		for (int v = 0; v < CTL_VERB_COUNT && found == NULL; v++) {
			if (!ctl_verb(v)->hidden && str_eq(ctl_verb(v)->name, name))
				found = ctl_verb(v);
		}
		mem_free(name);
		if (found != NULL) {
			*ret_words = n;
			return found;
		}
	}
	return NULL;
}

/* ---- arguments ---- */

static int put_value(json_t *args, const struct admin_arg *arg, const char *text, struct err *err)
{
	struct err number_err = ERR_INIT;
	json_error_t where;
	json_t *value = NULL;
	uint64_t number;

	switch (arg->type) {
	case ADMIN_ARG_INT:
		if (str_parse_u64(text, INT64_MAX, &number, &number_err) < 0)
			return err_set(err, ERR_BAD_INPUT, "%s: \"%.40s\" is not a number",
				arg->name, text);
		value = json_integer((json_int_t)number);
		break;
	case ADMIN_ARG_JSON:
		value = json_loads(text, JSON_REJECT_DUPLICATES, &where);
		if (value == NULL)
			return err_set(err, ERR_BAD_INPUT, "%s: not JSON: column %d: %s", arg->name,
				where.column, where.text);
		break;
	case ADMIN_ARG_FLAG:
		value = json_true();
		break;
	case ADMIN_ARG_TEXT:
	case ADMIN_ARG_ADDRESS:
	case ADMIN_ARG_DOMAIN:
	case ADMIN_ARG_SECRET:
		value = json_string(text);
		if (value == NULL)
			return err_set(err, ERR_BAD_INPUT, "%s is not UTF-8", arg->name);
		break;
	}
	(void)json_object_set_new(args, arg->name, value);
	return 0;
}

static const struct admin_arg *find_option(const struct admin_verb *verb, const char *name)
{
	size_t len = strcspn(name, "=");

	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		if (is_option(arg, name, len))
			return arg;
	}
	return NULL;
}

/* An optional address in front of other words is known by its @, unless those then lack a word. */
static bool is_left_out(
	const struct ctl_command *c, const struct admin_verb *verb, size_t at, size_t word)
{
	size_t needed = 0;

	for (size_t i = at + 1; i < admin_verb_arg_count(verb); i++)
		needed += verb->args[i].positional && verb->args[i].required;
	return verb->args[at].type == ADMIN_ARG_ADDRESS && !verb->args[at].required && needed > 0 &&
	       (strchr(c->words[word], '@') == NULL || c->word_count - word <= needed);
}

static int check_choice(const struct admin_verb *verb, const json_t *args, struct err *err)
{
	const char *wrong;

	if (verb->choice.first == NULL)
		return 0;
	wrong = admin_verb_choice(verb, json_object_get(args, verb->choice.first) != NULL,
		json_object_get(args, verb->choice.second) != NULL);
	return wrong != NULL ? err_set(err, ERR_BAD_INPUT, "%s", wrong) : 0;
}

static int fill_args(const struct ctl_command *c, const struct admin_verb *verb, size_t word,
	json_t *args, struct err *err)
{
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		if (!arg->positional || (word < c->word_count && is_left_out(c, verb, i, word)))
			continue;
		if (word < c->word_count) {
			if (put_value(args, arg, c->words[word++], err) < 0)
				return -1;
		} else if (arg->required) {
			return err_set(err, ERR_BAD_INPUT, "%s needs %s: %s", verb->name, arg->name,
				arg->help);
		}
	}
	if (word < c->word_count)
		return err_set(err, ERR_BAD_INPUT, "\"%.60s\" is one argument too many for %s",
			c->words[word], verb->name);
	for (size_t i = 0; i < c->option_count; i++) {
		const struct admin_arg *arg = find_option(verb, c->options[i].name);

		if (arg == NULL)
			return err_set(err, ERR_BAD_INPUT, "%s has no option --%.60s", verb->name,
				c->options[i].name);
		if (put_value(args, arg, c->options[i].value, err) < 0)
			return -1;
	}
	return check_choice(verb, args, err);
}

int ctl_command_args(const struct ctl_command *command, const struct admin_verb *verb,
	size_t verb_words, json_t **ret, struct err *err)
{
	json_t *args = json_object();

	if (fill_args(command, verb, verb_words, args, err) < 0) {
		json_decref(args);
		return -1;
	}
	*ret = args;
	return 0;
}
