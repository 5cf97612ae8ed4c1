/*
 * The arguments of a request, checked against the verb's table before the verb runs: no verb checks
 * shapes by hand. Pure. Limits: texts of TEXT_MAX bytes.
 */
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"

#define TEXT_MAX      1024
#define LOGIN_MAX     64
#define DOMAIN_MAX    253
#define PASSWORD_MAX  256 /* crypt(3) takes 512 bytes */
#define DEVICE_ID_MAX 32  /* [MS-ASHTTP] 2.2.1.1.1 */

static bool is_domain(const char *text)
{
	size_t len = strlen(text), label = 0;

	if (len == 0 || len > DOMAIN_MAX)
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool inner = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p >= 0x80;

		if (*p == '.' || *p == '-') {
			if (label == 0 || (*p == '.' && p[-1] == '-'))
				return false;
			label = *p == '.' ? 0 : label + 1;
		} else if (inner) {
			label++;
		} else {
			return false;
		}
	}
	return label > 0 && text[len - 1] != '-' && utf8_valid(text, len);
}

/* Unquoted local parts only; UTF-8 is fine (SMTPUTF8). */
static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');
	size_t len = at != NULL ? (size_t)(at - text) : 0;

	if (at == NULL || len == 0 || len > LOGIN_MAX || !is_domain(at + 1) || text[0] == '.' ||
		at[-1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c == 0x7f || strchr("()<>[]:;,\\\"", c) != NULL)
			return false;
	}
	return utf8_valid(text, len);
}

static bool is_text(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return false;
	}
	return strlen(text) <= TEXT_MAX;
}

static int lower(json_t *args, const char *name)
{
	char *copy = str_lower(x_strdup(json_string_value(json_object_get(args, name))));
	int status = json_object_set_new(args, name, json_string(copy));

	mem_free(copy);
	return status;
}

static int check_string(
	const struct admin_arg *arg, json_t *args, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return err_set(err, ERR_BAD_INPUT, "%s must be text", arg->name);
	if (arg->type == ADMIN_ARG_SECRET) {
		if (text[0] == '\0' || strlen(text) > PASSWORD_MAX || !is_text(text))
			return err_set(err, ERR_BAD_INPUT,
				"a password has 1 to %d bytes, and no control characters",
				PASSWORD_MAX);
		return 0;
	}
	if (arg->type == ADMIN_ARG_TEXT)
		return is_text(text) ? 0
				     : err_set(err, ERR_BAD_INPUT,
					       "%s: control characters, or more than %d bytes",
					       arg->name, TEXT_MAX);
	if (lower(args, arg->name) < 0)
		return err_set(err, ERR_INTERNAL, "%s", arg->name);
	text = json_string_value(json_object_get(args, arg->name));
	if (arg->type == ADMIN_ARG_ADDRESS && !is_address(text))
		return err_set(err, ERR_BAD_INPUT,
			"%s: \"%.80s\" is not a mail address (name@domain)", arg->name, text);
	if (arg->type == ADMIN_ARG_DOMAIN && !is_domain(text))
		return err_set(
			err, ERR_BAD_INPUT, "%s: \"%.80s\" is not a domain", arg->name, text);
	return 0;
}

static int check_one(
	const struct admin_arg *arg, json_t *args, const json_t *value, struct err *err)
{
	switch (arg->type) {
	case ADMIN_ARG_INT:
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return err_set(err, ERR_BAD_INPUT, "%s must be a number", arg->name);
		return 0;
	case ADMIN_ARG_FLAG:
		return json_is_boolean(value)
			       ? 0
			       : err_set(err, ERR_BAD_INPUT, "%s must be true or false", arg->name);
	case ADMIN_ARG_JSON:
		return json_is_object(value)
			       ? 0
			       : err_set(err, ERR_BAD_INPUT, "%s must be a JSON object", arg->name);
	case ADMIN_ARG_TEXT:
	case ADMIN_ARG_ADDRESS:
	case ADMIN_ARG_DOMAIN:
	case ADMIN_ARG_SECRET:
		break;
	}
	return check_string(arg, args, value, err);
}

static bool is_known(const struct admin_verb *verb, const char *name)
{
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		if (str_eq(verb->args[i].name, name))
			return true;
	}
	return false;
}

static bool is_given(const json_t *args, const char *name)
{
	const json_t *value = name != NULL ? json_object_get(args, name) : NULL;

	return value != NULL && !json_is_false(value);
}

static const char *wrong_choice(const struct admin_verb *verb, const json_t *args)
{
	return admin_verb_choice(
		verb, is_given(args, verb->choice.first), is_given(args, verb->choice.second));
}

int admin_check_args(const struct admin_verb *verb, json_t *args, struct err *err)
{
	const char *key, *wrong;
	json_t *value;

	json_object_foreach(args, key, value)
	{
		if (!is_known(verb, key))
			return err_set(err, ERR_BAD_INPUT, "%s has no argument \"%.40s\"",
				verb->name, key);
	}
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		const struct admin_arg *arg = &verb->args[i];

		value = json_object_get(args, arg->name);
		if (value == NULL && arg->required && arg->type != ADMIN_ARG_FLAG)
			return err_set(err, ERR_BAD_INPUT, "%s needs %s: %s", verb->name, arg->name,
				arg->help);
		if (value != NULL && check_one(arg, args, value, err) < 0)
			return -1;
	}
	wrong = wrong_choice(verb, args);
	if (wrong != NULL)
		return err_set(err, ERR_BAD_INPUT, "%s", wrong);
	if (verb->confirm == ADMIN_CONFIRM_YES && !json_is_true(json_object_get(args, "yes")))
		return err_set(err, ERR_BAD_INPUT, "%s cannot be taken back: say so with --yes",
			verb->name);
	return 0;
}

int admin_check_device_id(const char *device_id, struct err *err)
{
	size_t len = strlen(device_id);

	if (len > 0 && len <= DEVICE_ID_MAX &&
		strspn(device_id,
			"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == len)
		return 0;
	return err_set(err, ERR_BAD_INPUT,
		"a DeviceId has 1 to %d letters and digits, not \"%.40s\"", DEVICE_ID_MAX,
		device_id);
}
