/*
 * What the supervisor must not forget when it becomes the new program: a JSON document in an
 * anonymous file, and descriptors that stay open; beside it what the fronts have learnt
 * (shared/shared_carry.h), for a release that lays their memory out differently. Written by one
 * release and read by the next, so names are only added, and what this program does not know is
 * left alone. It is looked at as a whole before any of it is used; what is missing or wrong is said
 * before anything happens (--dry).
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/capacity.h"
#include "conf/settings.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/supervisor_internal.h"
#include "shared/shared_carry.h"

#define STATE_MAX     ((size_t)4 * 1024 * 1024)
#define STATE_VERSION 1

/* ---- writing ---- */

static json_t *fds_to_json(const struct fd_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append_new(array, json_integer(list->fds[i]));
	return array;
}

static json_t *listeners_to_json(const struct listeners *l)
{
	json_t *https = json_array(), *http = json_array();

	for (unsigned i = 0; i < l->fronts; i++) {
		(void)json_array_append_new(https, fds_to_json(&l->https[i]));
		(void)json_array_append_new(http, fds_to_json(&l->http[i]));
	}
	return json_pack("{s:o, s:o, s:b, s:b, s:o}", "https", https, "http", http, "https_shared",
		l->https_shared, "http_shared", l->http_shared, "lmtp", fds_to_json(&l->lmtp));
}

static json_t *child_to_json(const struct child *c)
{
	return json_pack("{s:b, s:i, s:I, s:i, s:i, s:b, s:b, s:I}", "engine",
		c->role == CHILD_ENGINE, "number", (int)c->number, "life", (json_int_t)c->life,
		"pid", (int)c->pid, "control_fd", c->control_fd, "serving", c->serving, "retiring",
		c->retiring, "started_ms", (json_int_t)c->started_ms);
}

static json_t *to_json(const struct supervisor *s)
{
	json_t *children = json_array();

	for (size_t i = 0; i < s->child_count; i++)
		(void)json_array_append_new(children, child_to_json(s->children[i]));
	LIST_FOREACH(node, &s->extras)
		(void)json_array_append_new(
			children, child_to_json(LIST_ENTRY(node, const struct child, extra)));
	return json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:i, s:i, s:i, s:o, s:o}",
		"version", STATE_VERSION, "program", s->options->program, "source",
		s->options->source_path, "config", s->config_path, "ticket_fd", s->ticket_fd,
		"shared_fd", s->shared_fd, "carry_fd", s->carry_fd, "admin_fd", s->admin_fd,
		"baton", fds_to_json(&s->baton), "notes_fd", s->notes_fd, "lock_fd",
		s->options->lock_fd, "notify_fd", notify_descriptor(), "listeners",
		listeners_to_json(s->options->listeners), "children", children);
}

/* Inherited: not CLOEXEC. -1: it failed. */
static int write_down(const void *bytes, size_t len)
{
	int fd = memfd_create("bellhop-upgrade", 0);

	if (fd >= 0 && write(fd, bytes, len) != (ssize_t)len)
		fd_close(&fd);
	return fd;
}

int state_save(struct supervisor *s, int *ret_fd, struct err *err)
{
	struct buf carry = BUF_INIT;
	json_t *json;
	char *text;

	if (s->shared != NULL)
		shared_export(s->shared, &carry);
	s->carry_fd = carry.failed ? -1 : write_down(carry.data, carry.len);
	buf_deinit(&carry);
	json = to_json(s);
	text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	*ret_fd = text != NULL && s->carry_fd >= 0 ? write_down(text, strlen(text)) : -1;
	mem_free(text);
	if (*ret_fd >= 0)
		return 0;
	fd_close(&s->carry_fd);
	return err_set(err, ERR_INTERNAL, "writing down what must not be forgotten");
}

/* ---- descriptors ---- */

static void inherit(int fd, bool inherited)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

static void inherit_list(const struct fd_list *list, bool inherited)
{
	for (size_t i = 0; i < list->count; i++)
		inherit(list->fds[i], inherited);
}

void state_inherit(const struct supervisor *s, bool inherited)
{
	const struct listeners *l = s->options->listeners;

	for (unsigned i = 0; i < l->fronts; i++) {
		inherit_list(&l->https[i], inherited);
		inherit_list(&l->http[i], inherited);
	}
	inherit_list(&l->lmtp, inherited);
	inherit(s->ticket_fd, inherited);
	inherit(s->shared_fd, inherited);
	inherit(s->admin_fd, inherited);
	inherit_list(&s->baton, inherited);
	inherit(s->notes_fd, inherited);
	inherit(s->options->lock_fd, inherited);
	inherit(notify_descriptor(), inherited);
	for (size_t i = 0; i < s->child_count; i++)
		inherit(s->children[i]->control_fd, inherited);
	LIST_FOREACH(node, &s->extras)
		inherit(LIST_ENTRY(node, const struct child, extra)->control_fd, inherited);
}

/* ---- whether it is one ---- */

/* A whole number between the two. needed: it must be there. */
static int check_number(const json_t *json, const char *name, json_int_t min, json_int_t max,
	bool needed, struct err *err)
{
	const json_t *value = json_object_get(json, name);

	if (value == NULL && !needed)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < min ||
		json_integer_value(value) > max)
		return err_set(err, ERR_BAD_INPUT, "the state: %s is missing, or wrong", name);
	return 0;
}

static int check_text(const json_t *json, const char *name, struct err *err)
{
	if (json_string_length(json_object_get(json, name)) == 0)
		return err_set(err, ERR_BAD_INPUT, "the state: %s is missing, or wrong", name);
	return 0;
}

static int check_fds(const json_t *array, const char *name, struct err *err)
{
	const json_t *fd;
	size_t i;

	if (!json_is_array(array))
		return err_set(err, ERR_BAD_INPUT, "the state: %s is not a list", name);
	json_array_foreach((json_t *)(uintptr_t)array, i, fd)
	{
		if (!json_is_integer(fd) || json_integer_value(fd) < 0 ||
			json_integer_value(fd) > INT_MAX)
			return err_set(err, ERR_BAD_INPUT,
				"the state: descriptor %zu of %s is none", i, name);
	}
	return 0;
}

/* One list of descriptors for each front. */
static int check_front_fds(
	const json_t *listeners, const char *name, size_t fronts, struct err *err)
{
	const json_t *array = json_object_get(listeners, name);

	if (!json_is_array(array) || json_array_size(array) != fronts)
		return err_set(err, ERR_BAD_INPUT,
			"the state: listeners of %s are not those of %zu fronts", name, fronts);
	for (size_t i = 0; i < fronts; i++)
		if (check_fds(json_array_get(array, i), name, err) < 0)
			return -1;
	return 0;
}

static int check_listeners(const json_t *json, size_t *ret_fronts, struct err *err)
{
	size_t fronts = json_array_size(json_object_get(json, "https"));

	if (fronts == 0 || fronts > CAPACITY_FRONTS_MAX)
		return err_set(err, ERR_BAD_INPUT, "the state has %zu fronts", fronts);
	if (check_front_fds(json, "https", fronts, err) < 0 ||
		check_front_fds(json, "http", fronts, err) < 0 ||
		check_fds(json_object_get(json, "lmtp"), "lmtp", err) < 0)
		return -1;
	*ret_fronts = fronts;
	return 0;
}

/* place 0: the engine; from 1 on the fronts, each in its place; behind them those that retire. */
static int check_child(const json_t *json, size_t place, size_t fronts, struct err *err)
{
	bool in_place = place >= 1 && place <= fronts;
	json_int_t first = in_place ? (json_int_t)place - 1 : 0;
	json_int_t last = in_place ? first : (json_int_t)fronts - 1;

	if (json_is_true(json_object_get(json, "engine")) != (place == 0))
		return err_set(
			err, ERR_BAD_INPUT, "the state: child %zu has the wrong role", place);
	if (check_number(json, "number", first, last, true, err) < 0 ||
		check_number(json, "life", 0, UINT32_MAX, true, err) < 0 ||
		check_number(json, "pid", 0, INT_MAX, true, err) < 0 ||
		check_number(json, "control_fd", -1, INT_MAX, true, err) < 0 ||
		check_number(json, "started_ms", 0, INT64_MAX, false, err) < 0)
		return err_wrap(err, "child %zu", place);
	return 0;
}

static int check_children(const json_t *array, size_t fronts, struct err *err)
{
	size_t count = json_array_size(array);

	if (count < fronts + 1)
		return err_set(err, ERR_BAD_INPUT, "the state has %zu children for %zu fronts",
			count, fronts);
	for (size_t i = 0; i < count; i++)
		if (check_child(json_array_get(array, i), i, fronts, err) < 0)
			return -1;
	return 0;
}

/* Both ends, or none. */
static int check_baton(const json_t *array, struct err *err)
{
	if (array == NULL || (json_is_array(array) && json_array_size(array) == 0))
		return 0;
	if (json_array_size(array) != 2)
		return err_set(err, ERR_BAD_INPUT, "the state: baton is not a pair");
	return check_fds(array, "baton", err);
}

static int check(const json_t *json, struct err *err)
{
	size_t fronts = 0;

	if (check_number(json, "version", STATE_VERSION, STATE_VERSION, true, err) < 0 ||
		check_text(json, "program", err) < 0 || check_text(json, "source", err) < 0 ||
		check_text(json, "config", err) < 0 ||
		check_number(json, "ticket_fd", 0, INT_MAX, true, err) < 0 ||
		check_number(json, "shared_fd", 0, INT_MAX, true, err) < 0 ||
		check_number(json, "carry_fd", -1, INT_MAX, false, err) < 0 ||
		check_number(json, "admin_fd", -1, INT_MAX, false, err) < 0 ||
		check_baton(json_object_get(json, "baton"), err) < 0 ||
		check_number(json, "notes_fd", -1, INT_MAX, false, err) < 0 ||
		check_number(json, "lock_fd", -1, INT_MAX, false, err) < 0 ||
		check_number(json, "notify_fd", -1, INT_MAX, false, err) < 0 ||
		check_listeners(json_object_get(json, "listeners"), &fronts, err) < 0)
		return -1;
	return check_children(json_object_get(json, "children"), fronts, err);
}

/* ---- reading: what check() has passed ---- */

static void fds_from_json(const json_t *array, struct fd_list *ret)
{
	ret->count = json_array_size(array);
	ret->fds = x_calloc(MAX(ret->count, (size_t)1), sizeof(*ret->fds));
	for (size_t i = 0; i < ret->count; i++)
		ret->fds[i] = (int)json_integer_value(json_array_get(array, i));
}

static struct listeners *listeners_from_json(const json_t *json)
{
	const json_t *https = json_object_get(json, "https"), *http = json_object_get(json, "http");
	struct listeners *l = x_new(struct listeners);

	l->fronts = (unsigned)json_array_size(https);
	l->https = x_calloc(MAX(l->fronts, 1u), sizeof(*l->https));
	l->http = x_calloc(MAX(l->fronts, 1u), sizeof(*l->http));
	for (unsigned i = 0; i < l->fronts; i++) {
		fds_from_json(json_array_get(https, i), &l->https[i]);
		fds_from_json(json_array_get(http, i), &l->http[i]);
	}
	l->https_shared = json_is_true(json_object_get(json, "https_shared"));
	l->http_shared = json_is_true(json_object_get(json, "http_shared"));
	fds_from_json(json_object_get(json, "lmtp"), &l->lmtp);
	return l;
}

static int number_of(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	return value != NULL ? (int)json_integer_value(value) : -1;
}

static struct child *child_from_json(struct supervisor *s, const json_t *json)
{
	bool engine = json_is_true(json_object_get(json, "engine"));
	struct child *c = child_new(s, engine ? CHILD_ENGINE : CHILD_FRONT,
		(unsigned)MAX(number_of(json, "number"), 0),
		(uint32_t)json_integer_value(json_object_get(json, "life")));

	c->pid = (pid_t)MAX(number_of(json, "pid"), 0);
	c->control_fd = number_of(json, "control_fd");
	c->serving = json_is_true(json_object_get(json, "serving"));
	c->retiring = json_is_true(json_object_get(json, "retiring"));
	c->started_ms = json_integer_value(json_object_get(json, "started_ms"));
	return c;
}

/* The engine, each front, then those that retire. */
static void children_from_json(struct supervisor *s, const json_t *array, unsigned fronts)
{
	s->child_count = fronts + 1;
	s->children = x_calloc(s->child_count, sizeof(struct child *));
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct child *c = child_from_json(s, json_array_get(array, i));

		if (i < s->child_count)
			s->children[i] = c;
		else
			list_append(&s->extras, &c->extra);
	}
}

static void from_json(const json_t *json, struct supervisor *s, struct supervisor_options *options,
	int *ret_notify_fd)
{
	s->config_path = x_strdup(json_string_value(json_object_get(json, "config")));
	options->program = x_strdup(json_string_value(json_object_get(json, "program")));
	options->source_path = x_strdup(json_string_value(json_object_get(json, "source")));
	options->lock_fd = number_of(json, "lock_fd");
	s->ticket_fd = number_of(json, "ticket_fd");
	s->shared_fd = number_of(json, "shared_fd");
	s->carry_fd = number_of(json, "carry_fd");
	s->admin_fd = number_of(json, "admin_fd");
	if (json_array_size(json_object_get(json, "baton")) > 0)
		fds_from_json(json_object_get(json, "baton"), &s->baton);
	s->notes_fd = number_of(json, "notes_fd");
	*ret_notify_fd = number_of(json, "notify_fd");
	options->listeners = listeners_from_json(json_object_get(json, "listeners"));
	children_from_json(s, json_object_get(json, "children"), options->listeners->fronts);
}

int state_parse(const char *text, size_t len, struct supervisor *s,
	struct supervisor_options *options, int *ret_notify_fd, struct err *err)
{
	json_error_t why;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int status;

	if (json == NULL)
		return err_set(err, ERR_BAD_INPUT, "the state: %s", why.text);
	status = check(json, err);
	if (status == 0)
		from_json(json, s, options, ret_notify_fd);
	json_decref(json);
	return status;
}

/* ---- from the old program ---- */

static int read_all(int fd, char **ret, size_t *ret_len, struct err *err)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (size_t)st.st_size > STATE_MAX)
		return err_set(err, ERR_BAD_INPUT, "no state in descriptor %d", fd);
	text = x_calloc(1, (size_t)st.st_size);
	if (pread(fd, text, (size_t)st.st_size, 0) != (ssize_t)st.st_size) {
		mem_free(text);
		return err_set_errno(err, errno, "reading the state");
	}
	*ret = text;
	*ret_len = (size_t)st.st_size;
	return 0;
}

int state_load(int fd, struct supervisor *s, struct supervisor_options *options, struct err *err)
{
	size_t len = 0;
	char *text = NULL;
	int status, its_notify_fd = -1;

	if (read_all(fd, &text, &len, err) < 0)
		return -1;
	status = state_parse(text, len, s, options, &its_notify_fd, err);
	mem_free(text);
	if (status < 0)
		return -1;
	notify_adopt(its_notify_fd);
	state_inherit(s, false);
	if (settings_parse_file(s->config_path, &s->settings, NULL, err) < 0)
		return -1;
	options->settings = settings_ref(s->settings);
	log_set_level((enum log_level)log_level_parse(s->settings->server_log_level));
	return 0;
}
