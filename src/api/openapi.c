/*
 * The description of the API (OpenAPI 3.1), made from the table of verbs, that of api_extra.c, and
 * results.json, which says for each verb what its result looks like. So it never lags behind what
 * the server does. Pure; made anew for each who asks, which few do.
 */
#include <string.h>

#include "api/api_extra.h"
#include "api/api_static.h"
#include "base/str.h"

static json_t *ref(const char *kind, const char *name)
{
	json_t *object = json_object();
	struct buf text = BUF_INIT;

	buf_addf(&text, "#/components/%s/%s", kind, name);
	(void)json_object_set_new(object, "$ref", json_string(buf_cstr(&text)));
	buf_deinit(&text);
	return object;
}

/* ---- arguments ---- */

static json_t *schema_of_arg(const struct admin_arg *arg)
{
	switch (arg->type) {
	case ADMIN_ARG_INT:
		return json_pack("{s:s,s:i}", "type", "integer", "minimum", 0);
	case ADMIN_ARG_FLAG:
		return json_pack("{s:s}", "type", "boolean");
	case ADMIN_ARG_JSON:
		return json_pack("{s:s}", "type", "object");
	case ADMIN_ARG_SECRET:
		return json_pack("{s:s,s:s}", "type", "string", "format", "password");
	case ADMIN_ARG_ADDRESS:
		return json_pack("{s:s,s:s}", "type", "string", "format", "email");
	case ADMIN_ARG_DOMAIN:
		return json_pack("{s:s,s:s}", "type", "string", "format", "hostname");
	case ADMIN_ARG_TEXT:
		break;
	}
	return json_pack("{s:s}", "type", "string");
}

static bool is_in_path(const char *path, const char *name)
{
	const char *at = strchr(path, '{');
	size_t len = strlen(name);

	for (; at != NULL; at = strchr(at + 1, '{')) {
		if (strncmp(at + 1, name, len) == 0 && at[len + 1] == '}')
			return true;
	}
	return false;
}

static bool has_body(const struct admin_verb *verb)
{
	return str_eq(verb->method, "POST") || str_eq(verb->method, "PUT");
}

static json_t *parameter(const struct admin_arg *arg, const char *in)
{
	return json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", arg->name, "in", in, "required",
		arg->required || str_eq(in, "path"), "description", arg->help, "schema",
		schema_of_arg(arg));
}

/* What is neither in the path nor, for oneself, known. */
static bool is_free(const struct admin_arg *arg, const char *path, bool self)
{
	return !is_in_path(path, arg->name) && !(self && str_eq(arg->name, "address"));
}

static void add_parameters(
	json_t *operation, const struct admin_verb *args, const char *path, bool self, bool body)
{
	json_t *list = json_array();

	for (size_t i = 0; i < admin_verb_arg_count(args); i++) {
		const struct admin_arg *arg = &args->args[i];

		if (is_in_path(path, arg->name))
			(void)json_array_append_new(list, parameter(arg, "path"));
		else if (!body && is_free(arg, path, self) && arg->type != ADMIN_ARG_SECRET &&
			 arg->type != ADMIN_ARG_JSON)
			(void)json_array_append_new(list, parameter(arg, "query"));
	}
	if (json_array_size(list) > 0)
		(void)json_object_set(operation, "parameters", list);
	json_decref(list);
}

static void add_body(json_t *operation, const struct admin_verb *args, const char *path, bool self)
{
	json_t *properties = json_object(), *required = json_array(), *schema;

	for (size_t i = 0; i < admin_verb_arg_count(args); i++) {
		const struct admin_arg *arg = &args->args[i];
		json_t *property;

		if (!is_free(arg, path, self))
			continue;
		property = schema_of_arg(arg);
		(void)json_object_set_new(property, "description", json_string(arg->help));
		(void)json_object_set_new(properties, arg->name, property);
		if (arg->required)
			(void)json_array_append_new(required, json_string(arg->name));
	}
	schema = json_pack("{s:s,s:b,s:o,s:o}", "type", "object", "additionalProperties", false,
		"properties", properties, "required", required);
	(void)json_object_set_new(operation, "requestBody",
		json_pack("{s:b,s:{s:{s:o}}}", "required", json_array_size(required) > 0, "content",
			"application/json", "schema", schema));
}

/* ---- results ---- */

/* As far as the table of verbs knows them: rows, by their columns. */
static json_t *schema_of_columns(const char *columns)
{
	json_t *properties = json_object(), *required = json_array();

	while (*columns != '\0') {
		size_t len = strcspn(columns, " ");
		char name[64] = "";

		memcpy(name, columns, len < sizeof(name) ? len : 0);
		(void)json_object_set_new(properties, name, json_object());
		(void)json_array_append_new(required, json_string(name));
		columns += len + (columns[len] == ' ');
	}
	return json_pack("{s:s,s:{s:s,s:o,s:o}}", "type", "array", "items", "type", "object",
		"properties", properties, "required", required);
}

static json_t *schema_of_result(const struct admin_verb *verb, json_t *results)
{
	json_t *schema = json_object_get(results, verb->name);

	if (schema != NULL)
		return json_incref(schema);
	if (verb->columns[0] != '\0')
		return schema_of_columns(verb->columns);
	return json_pack("{s:s}", "type", "object");
}

static json_t *success(const struct admin_verb *verb, const char *type, json_t *results)
{
	json_t *schema = str_eq(type, "application/json") ? schema_of_result(verb, results)
							  : json_pack("{s:s}", "type", "string");

	return json_pack(
		"{s:s,s:{s:{s:o}}}", "description", "done", "content", type, "schema", schema);
}

static json_t *responses(const struct admin_verb *verb, const char *type, json_t *results)
{
	static const char *const codes[] = {"400", "401", "403", "404", "409", "503"};
	json_t *all = json_object();

	(void)json_object_set_new(all, "200", success(verb, type, results));
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		(void)json_object_set_new(all, codes[i], ref("responses", "Error"));
	return all;
}

/* ---- operations ---- */

static char *operation_id(const char *name, bool self, char *out, size_t max)
{
	size_t n = 0;

	for (const char *p = self && !str_starts(name, "me") ? "me_" : ""; *p != '\0'; p++)
		out[n++] = *p;
	for (const char *p = name; *p != '\0' && n + 1 < max; p++)
		out[n++] = *p == ' ' || *p == '-' ? '_' : *p;
	out[n] = '\0';
	return out;
}

static void add_operation(json_t *paths, const struct admin_verb *verb,
	const struct admin_verb *args, const char *type, bool self, json_t *results)
{
	const char *path = self ? verb->self_path : verb->path;
	const char *scope = admin_scope_to_str(self ? ADMIN_SCOPE_SELF : verb->scope);
	struct buf full = BUF_INIT;
	char id[96], method[8] = "";
	json_t *operation, *item;

	for (size_t i = 0; i + 1 < sizeof(method) && verb->method[i] != '\0'; i++)
		method[i] = (char)(verb->method[i] | 0x20);
	operation = json_pack("{s:s,s:s,s:[s],s:s,s:o}", "operationId",
		operation_id(verb->name, self, id, sizeof(id)), "summary", verb->help, "tags",
		scope, "x-scope", scope, "security",
		json_pack("[{s:[]},{s:[s]}]", "session", "token", scope));
	add_parameters(operation, args, path, self, has_body(verb));
	if (has_body(verb))
		add_body(operation, args, path, self);
	(void)json_object_set_new(operation, "responses", responses(verb, type, results));
	buf_addf(&full, "/api/v1%s", path);
	item = json_object_get(paths, buf_cstr(&full));
	if (item == NULL)
		(void)json_object_set_new(paths, buf_cstr(&full), item = json_object());
	(void)json_object_set_new(item, method, operation);
	buf_deinit(&full);
}

static void add_both(json_t *paths, const struct admin_verb *verb, const struct admin_verb *args,
	const char *type, json_t *results)
{
	if (verb->path != NULL)
		add_operation(paths, verb, args, type, false, results);
	if (verb->self_path != NULL)
		add_operation(paths, verb, args, type, true, results);
}

static json_t *scopes_text(void)
{
	struct buf text = BUF_INIT;
	json_t *value;

	buf_add_str(&text, "A token of the command line or of the pages. Scopes:");
	for (int i = ADMIN_SCOPE_NONE + 1; i < ADMIN_SCOPE_COUNT; i++)
		buf_addf(&text, "%s %s", i > 1 ? "," : "", admin_scope_to_str((enum admin_scope)i));
	value = json_string(buf_cstr(&text));
	buf_deinit(&text);
	return value;
}

json_t *api_openapi(void)
{
	json_t *results = json_loadb((const char *)api_results, api_results_len, 0, NULL);
	json_t *fixed = json_object_get(results, "$fixed"), *paths, *document;

	document = json_pack("{s:s,s:{s:s,s:s,s:s}}", "openapi", "3.1.0", "info", "title",
		"Bellhop", "version", BELLHOP_VERSION, "description",
		"Administration and self-service of a Bellhop server. Every operation is a verb of "
		"the command bellhop, too.");
	(void)json_object_update(document, fixed);
	(void)json_object_set_new(
		json_object_get(
			json_object_get(json_object_get(document, "components"), "securitySchemes"),
			"token"),
		"description", scopes_text());
	paths = json_object_get(document, "paths");
	for (int i = 0; i < ADMIN_VERB_COUNT; i++)
		add_both(paths, &admin_verbs[i], &admin_verbs[i], "application/json", results);
	for (size_t i = 0; i < api_extra_count; i++) {
		const struct api_extra *extra = &api_extras[i];
		enum admin_verb_id id =
			extra->args_of != NULL ? admin_verb_find(extra->args_of) : ADMIN_VERB_COUNT;

		add_both(paths, &extra->verb,
			id != ADMIN_VERB_COUNT ? &admin_verbs[id] : &extra->verb, extra->type,
			results);
	}
	json_decref(results);
	return document;
}
