/*
 * From a method and a path to a verb and its arguments. The table of verbs is all there is: a verb
 * that is in it can be called, one that is not cannot. Pure but for the arena. Limits: those of
 * admin_check_args(), which looks at every value once more.
 *
 * An argument stands in the path ({address}), or in the query of a GET or DELETE, where it is text
 * and becomes a number or a flag as the table says, or in the JSON object that is the body of the
 * others. One that stands in two places must not say two things, so it is refused.
 */
#include <string.h>

#include "api/api_extra.h"
#include "base/str.h"

/* Does the path fit the template, "/users/{address}"? */
static bool fits(const char *path, const char *const *segments, size_t count)
{
	size_t i = 0;

	for (const char *p = path; *p == '/'; i++) {
		size_t len = strcspn(++p, "/");

		if (i == count)
			return false;
		if (p[0] != '{' &&
			(strlen(segments[i]) != len || strncmp(p, segments[i], len) != 0))
			return false;
		p += len;
	}
	return i == count;
}

static void note_method(struct arena *arena, const char *method, const char **allow)
{
	const char *also = str_eq(method, "GET") ? "GET, HEAD" : method;

	if (*allow == NULL)
		*allow = also;
	else if (strstr(*allow, method) == NULL)
		*allow = arena_x_printf(arena, "%s, %s", *allow, also);
}

/* "/queue/retry" and "/queue/{mail}" fit the same path: the one with fewer {} is meant. */
static size_t variables(const char *path)
{
	size_t n = 0;

	for (; *path != '\0'; path++)
		n += *path == '{';
	return n;
}

struct search {
	const char *const *segments;
	size_t count;
	const char *method;
	struct arena *arena;
	struct api_route *best;
	size_t best_variables; /* SIZE_MAX: none fits */
	const char *allow;
};

/* The two paths of one verb. */
static void look_at(struct search *s, const struct admin_verb *verb, struct api_route route)
{
	for (int self = 0; self < 2; self++) {
		const char *path = self ? verb->self_path : verb->path;

		if (path == NULL || !fits(path, s->segments, s->count))
			continue;
		note_method(s->arena, verb->method, &s->allow);
		if (!str_eq(verb->method, s->method) || variables(path) >= s->best_variables)
			continue;
		s->best_variables = variables(path);
		*s->best = route;
		s->best->path = path;
		s->best->for_self = self == 1;
	}
}

enum api_found api_route_find(const char *const *segments, size_t count, const char *method,
	struct arena *arena, struct api_route *ret, const char **ret_allow)
{
	struct search s = {.segments = segments,
		.count = count,
		.method = method,
		.arena = arena,
		.best = ret,
		.best_variables = SIZE_MAX};

	/* They come first: one that has the path of a verb stands before it (PUT /me/password). */
	for (size_t i = 0; i < api_extra_count; i++) {
		const struct api_extra *extra = &api_extras[i];

		look_at(&s, &extra->verb, (struct api_route){&extra->verb, .extra = extra});
	}
	for (int i = 0; i < ADMIN_VERB_COUNT; i++)
		look_at(&s, &admin_verbs[i],
			(struct api_route){&admin_verbs[i], (enum admin_verb_id)i});
	if (s.best_variables != SIZE_MAX)
		return API_FOUND;
	if (s.allow == NULL)
		return API_NOT_FOUND;
	*ret_allow = s.allow;
	return API_OTHER_METHOD;
}

/* ---- arguments ---- */

/* The verb whose table says what they are. */
static const struct admin_verb *args_of(const struct api_route *route)
{
	enum admin_verb_id id = ADMIN_VERB_COUNT;

	if (route->extra != NULL && route->extra->args_of != NULL)
		id = admin_verb_find(route->extra->args_of);
	return id != ADMIN_VERB_COUNT ? &admin_verbs[id] : route->verb;
}

static const struct admin_arg *arg_find(const struct admin_verb *verb, const char *name, size_t len)
{
	for (size_t i = 0; i < admin_verb_arg_count(verb); i++) {
		if (strlen(verb->args[i].name) == len &&
			strncmp(verb->args[i].name, name, len) == 0)
			return &verb->args[i];
	}
	return NULL;
}

static int put(json_t *args, const char *name, json_t *value, struct err *err)
{
	if (json_object_get(args, name) != NULL) {
		json_decref(value);
		return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is given twice", name);
	}
	if (json_object_set_new(args, name, value) < 0)
		return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is no UTF-8", name);
	return 0;
}

/* Text of a path or query, as the table wants it. */
static int put_text(const struct admin_arg *arg, const char *text, json_t *args, struct err *err)
{
	uint64_t number;

	switch (arg->type) {
	case ADMIN_ARG_INT:
		if (str_parse_u64(text, INT64_MAX, &number, err) < 0)
			return err_wrap(err, "%s", arg->name);
		return put(args, arg->name, json_integer((json_int_t)number), err);
	case ADMIN_ARG_FLAG:
		if (!str_eq(text, "true") && !str_eq(text, "false"))
			return err_set(err, ERR_BAD_INPUT, "%s must be true or false", arg->name);
		return put(args, arg->name, json_boolean(str_eq(text, "true")), err);
	case ADMIN_ARG_SECRET:
	case ADMIN_ARG_JSON:
		return err_set(err, ERR_BAD_INPUT, "%s belongs into the body", arg->name);
	case ADMIN_ARG_TEXT:
	case ADMIN_ARG_ADDRESS:
	case ADMIN_ARG_DOMAIN:
		break;
	}
	return put(args, arg->name, json_string(text), err);
}

static int args_of_path(
	const struct api_route *route, const char *const *segments, json_t *args, struct err *err)
{
	const char *p = route->for_self ? route->verb->self_path : route->verb->path;

	for (size_t i = 0; *p == '/'; i++) {
		size_t len = strcspn(++p, "/");
		const struct admin_arg *arg =
			p[0] == '{' ? arg_find(route->verb, p + 1, len - 2) : NULL;

		if (arg != NULL && put_text(arg, segments[i], args, err) < 0)
			return -1;
		p += len;
	}
	return 0;
}

static int args_of_query(
	struct api_call *call, const struct api_route *route, json_t *args, struct err *err)
{
	for (size_t i = 0; i < call->target.pair_count; i++) {
		const struct api_pair *pair = &call->target.pairs[i];
		const struct admin_arg *arg =
			arg_find(args_of(route), pair->name, strlen(pair->name));

		if (arg == NULL)
			return err_set(err, ERR_BAD_INPUT, "%s has no argument \"%.40s\"",
				route->verb->name, pair->name);
		if (put_text(arg, pair->value, args, err) < 0)
			return -1;
	}
	return 0;
}

static int args_of_body(struct api_call *call, json_t *args, struct err *err)
{
	json_t *body, *value;
	json_error_t where;
	const char *name;
	int status = 0;

	if (call->http->body_len == 0)
		return 0;
	body = json_loadb((const char *)call->http->body, call->http->body_len,
		JSON_REJECT_DUPLICATES, &where);
	if (body == NULL)
		return err_set(err, ERR_BAD_INPUT, "the body is not JSON: column %d: %s",
			where.column, where.text);
	if (!json_is_object(body))
		status = err_set(err, ERR_BAD_INPUT, "the body must be a JSON object");
	json_object_foreach(body, name, value)
	{
		if (status == 0)
			status = put(args, name, json_incref(value), err);
	}
	json_decref(body);
	return status;
}

int api_route_args(
	struct api_call *call, const struct api_route *route, json_t **ret, struct err *err)
{
	json_t *args = json_object();
	const char *const *segments = call->target.segments + 2; /* behind /api/v1 */
	int status = args_of_path(route, segments, args, err);

	if (status == 0 && route->for_self)
		status = put(args, "address", json_string(call->caller.user_address), err);
	if (status == 0)
		status = args_of_query(call, route, args, err);
	if (status == 0)
		status = args_of_body(call, args, err);
	if (status < 0) {
		json_decref(args);
		return -1;
	}
	*ret = args;
	return 0;
}
