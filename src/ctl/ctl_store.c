/*
 * backup, restore and check: on the data folder itself, beside a running server or without one. So
 * they may write where the server may not, take as long as they take, and outlive an engine.
 *
 * SIGINT and SIGTERM end the work between two files; nothing half done is left. Threads: main.
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "ctl/ctl_internal.h"
#include "store/store_backup.h"
#include "store/store_check.h"
#include "sync/check.h"

#define READERS 2

static bool go_on(void *owner)
{
	(void)owner;
	return !ctl_signal_caught();
}

static bool flag(const json_t *args, const char *name)
{
	return json_is_true(json_object_get(args, name));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
	(void)json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void put_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);

	(void)json_object_set_new(object, key, value != NULL ? value : json_string("?"));
}

static json_t *texts(char **list, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, json_string(list[i]));
	return array;
}

static json_t *manifest_to_json(const struct store_manifest *m, const char *dir)
{
	json_t *object = json_object();

	put_text(object, "dir", dir);
	put_number(object, "made_at", (uint64_t)m->created_at);
	put_text(object, "version", m->program);
	put_number(object, "users", m->users);
	put_number(object, "devices", m->devices);
	put_number(object, "folders", m->folders);
	put_number(object, "items", m->items);
	put_number(object, "database_bytes", m->database_bytes);
	put_number(object, "body_files", m->body_files);
	put_number(object, "body_files_bytes", m->body_files_bytes);
	if (m->damaged_count > 0)
		(void)json_object_set_new(object, "damaged", texts(m->damaged, m->damaged_count));
	return object;
}

static const char *actor(void)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "admin:uid=%u", (unsigned)getuid());
	return text;
}

/* ---- backup, restore ---- */

static int run_backup(
	const json_t *args, const struct settings *settings, json_t **ret, struct err *err)
{
	const struct store_backup_options options = {.data_dir = settings->server_data_dir,
		.dir = json_string_value(json_object_get(args, "dir")),
		.damaged_ok = flag(args, "damaged"),
		.now_at = clock_now_at(),
		.go_on = go_on};
	struct store_manifest m;

	if (flag(args, "verify") ? store_backup_verify(options.dir, go_on, NULL, &m, err) < 0
				 : store_backup(&options, &m, err) < 0)
		return -1;
	*ret = manifest_to_json(&m, options.dir);
	store_manifest_deinit(&m);
	return 0;
}

static int find_owner(
	const struct settings *settings, struct store_restore_options *o, struct err *err)
{
	const struct passwd *pw;

	if (settings->server_user[0] == '\0' || geteuid() != 0)
		return 0;
	pw = getpwnam(settings->server_user);
	if (pw == NULL)
		return err_set(err, ERR_BAD_INPUT,
			"server.user: there is no user \"%s\" on this system",
			settings->server_user);
	o->have_owner = true;
	o->uid = pw->pw_uid;
	o->gid = pw->pw_gid;
	return 0;
}

static int run_restore(
	const json_t *args, const struct settings *settings, json_t **ret, struct err *err)
{
	struct store_restore_options options = {
		.dir = json_string_value(json_object_get(args, "dir")),
		.data_dir = settings->server_data_dir,
		.inside = flag(args, "inside"),
		.actor = actor(),
		.now_ms = clock_wall_ms(),
		.go_on = go_on};
	struct store_restored restored;
	struct store_manifest m;

	if (find_owner(settings, &options, err) < 0 ||
		store_restore(&options, &m, &restored, err) < 0)
		return -1;
	*ret = manifest_to_json(&m, options.dir);
	put_text(*ret, "data_dir", settings->server_data_dir);
	put_text(*ret, "put_aside", restored.put_aside != NULL ? restored.put_aside : "");
	(void)json_object_set_new(*ret, "carried", texts(restored.carried, restored.carried_count));
	store_restored_deinit(&restored);
	store_manifest_deinit(&m);
	return 0;
}

/* ---- check ---- */

static void on_finding(const char *text, void *owner)
{
	struct buf clean = BUF_INIT;

	utf8_add_clean(&clean, text, strlen(text));
	(void)json_array_append_new(owner, json_string(buf_cstr(&clean)));
	buf_deinit(&clean);
}

static int repair(const struct store_options *options, json_t *result, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(fd_close) int lock_fd = -1;
	struct store_options writing = *options;
	uint64_t changed;

	writing.read_only = false;
	if (store_lock(options->data_dir, &lock_fd, err) < 0)
		return err_wrap(err, "check --repair");
	/* Looked at first, so that no store is made where there is none. */
	if (store_open(options, &store, err) < 0)
		return -1;
	store_close(&store);
	if (store_open(&writing, &store, err) < 0 ||
		store_check_repair(store, actor(), &changed, err) < 0)
		return -1;
	put_number(result, "repaired", changed);
	return 0;
}

static int check(const struct store_options *options, bool quick, json_t *result, json_t *findings,
	struct err *err)
{
	const struct store_check_options o = {
		.quick = quick, .found = on_finding, .go_on = go_on, .owner = findings};
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct store_check_result counts;
	uint64_t states;

	if (store_open(options, &store, err) < 0 || store_check(store, &o, &counts, err) < 0 ||
		store_read_begin(store, &rd, err) < 0 ||
		sync_check_states(rd, on_finding, findings, &states, err) < 0)
		return -1;
	put_number(result, "users", counts.owners);
	put_number(result, "folders", counts.folders);
	put_number(result, "items", counts.items);
	put_number(result, "bodies", counts.bodies);
	put_number(result, "body_files", counts.body_files);
	put_number(result, "sync_states", states);
	return 0;
}

static int run_check(
	const json_t *args, const struct settings *settings, json_t **ret, struct err *err)
{
	const struct store_options options = {.data_dir = settings->server_data_dir,
		.readers_max = READERS,
		.group_max = 1,
		.body_inline_max = settings->store_body_inline_max,
		.cache_kib = settings->store_cache_kib,
		.mmap_bytes = settings->store_mmap_bytes,
		.read_only = true};
	json_t *result = json_object(), *findings = json_array();
	int rc = flag(args, "repair") ? repair(&options, result, err) : 0;

	if (rc == 0)
		rc = check(&options, flag(args, "quick"), result, findings, err);
	(void)json_object_set_new(result, "findings", findings);
	if (rc == 0)
		*ret = result;
	else
		json_decref(result);
	return rc;
}

int ctl_store_run(enum admin_local_id verb, const json_t *args, const struct settings *settings,
	json_t **ret_result, struct err *err)
{
	ctl_signal_catch();
	switch (verb) {
	case ADMIN_LOCAL_BACKUP:
		return run_backup(args, settings, ret_result, err);
	case ADMIN_LOCAL_RESTORE:
		return run_restore(args, settings, ret_result, err);
	case ADMIN_LOCAL_CHECK:
		return run_check(args, settings, ret_result, err);
	case ADMIN_LOCAL_IMPORT:
	case ADMIN_LOCAL_EXPORT:
	case ADMIN_LOCAL_DOCTOR:
	case ADMIN_LOCAL_COUNT:
		break;
	}
	return err_set(err, ERR_INTERNAL, "no such verb");
}
