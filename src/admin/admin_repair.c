/*
 * device check, folders, repair, resync: what a phone holds against what is there. Checking reads
 * in one snapshot; a repair or a new start is done by the engine, which knows whether the phone is
 * being served just now. Threads: see admin.c. Limits: about LOG_BYTES of folder names in a row of
 * the event log.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "sync/check.h"

#define LOG_BYTES 400

/* A folder of a phone under the name that people know. */
static const char *folder_name(
	struct admin_call *call, const struct sync_collection_ref *ref, struct err *err)
{
	struct folder *folder;

	if (ref->folder.v == 0)
		return "(list of folders)";
	if (store_folder_load(call->rd, ref->owner, ref->folder, call->arena, &folder, err) == 0)
		return folder->name;
	return err->code == ERR_NOT_FOUND ? "(deleted)" : NULL;
}

/* ---- check ---- */

static void on_finding(const char *text, void *owner)
{
	struct buf clean = BUF_INIT;

	utf8_add_clean(&clean, text, strlen(text));
	(void)json_array_append_new(owner, json_string(buf_cstr(&clean)));
	buf_deinit(&clean);
}

static void on_nothing(const char *text, void *owner)
{
	(void)text;
	(void)owner;
}

static json_t *counts_to_json(const struct sync_collection_ref *ref, const char *name,
	const struct sync_check_counts *counts)
{
	json_t *row = json_object();

	admin_put_number(row, "folder", ref->folder.v);
	admin_put(row, "name", name);
	admin_put_number(row, "held", counts->held);
	admin_put_number(row, "pending", counts->pending);
	admin_put_number(row, "withheld", counts->withheld);
	admin_put_number(row, "behind", counts->behind);
	admin_put_bool(row, "comparing", counts->scan_unfinished);
	admin_put_number(row, "state_bytes", counts->state_bytes);
	return row;
}

static int check_one(struct admin_call *call, const struct device *device,
	const struct sync_collection_ref *ref, json_t *collections, json_t *findings,
	struct err *err)
{
	const char *name = folder_name(call, ref, err);
	struct sync_check_counts counts;

	if (name == NULL)
		return -1;
	*err = (struct err)ERR_INIT;
	if (sync_check_collection(
		    call->rd, device, ref, call->now_at, on_finding, findings, &counts, err) < 0)
		return -1;
	(void)json_array_append_new(collections, counts_to_json(ref, name, &counts));
	return 0;
}

int admin_device_check(struct admin_call *call, struct err *err)
{
	json_t *collections = json_array(), *findings = json_array();
	struct sync_collection_ref *refs;
	struct device *device;
	struct user *user;
	size_t count;
	int result = 0;

	(void)json_object_set_new(call->result, "address", json_string(""));
	(void)json_object_set_new(call->result, "device", json_string(""));
	(void)json_object_set_new(call->result, "collections", collections);
	(void)json_object_set_new(call->result, "findings", findings);
	if (admin_device(call, &user, &device, err) < 0 ||
		store_sync_state_list(call->rd, device->id, call->arena, &refs, &count, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "device", device->device_id);
	for (size_t i = 0; i < count && result == 0; i++)
		result = check_one(call, device, &refs[i], collections, findings, err);
	return result;
}

/* ---- repair ---- */

struct chosen {
	struct device *device;
	struct sync_collection_ref *refs; /* those to repair come first */
	size_t count;
	const char **names;
};

static bool is_asked_for(
	const struct admin_call *call, const struct sync_collection_ref *ref, const char *name)
{
	const char *asked = admin_text(call, "folder");
	struct err not_a_number = ERR_INIT;
	uint64_t number;

	if (json_is_true(json_object_get(call->args, "all")))
		return ref->folder.v != 0;
	if (str_parse_u64(asked, INT64_MAX, &number, &not_a_number) == 0)
		return ref->folder.v == number;
	return str_eq_nocase(name, asked);
}

/* Which collections, from one snapshot, which is over before anything is changed. */
static int choose_in(struct admin_call *call, struct chosen *ret, struct err *err)
{
	struct user *user;
	size_t count, kept = 0;

	if (admin_device(call, &user, &ret->device, err) < 0 ||
		store_sync_state_list(
			call->rd, ret->device->id, call->arena, &ret->refs, &count, err) < 0)
		return -1;
	/* For the event log. */
	if (admin_text(call, "address") == NULL)
		admin_put(call->args, "address", admin_user_address(call, user));
	ret->names = arena_x_alloc(call->arena, (count + 1) * sizeof(*ret->names));
	for (size_t i = 0; i < count; i++) {
		const char *name = folder_name(call, &ret->refs[i], err);

		if (name == NULL)
			return -1;
		*err = (struct err)ERR_INIT;
		if (!is_asked_for(call, &ret->refs[i], name))
			continue;
		ret->names[kept] = name;
		ret->refs[kept++] = ret->refs[i];
	}
	ret->count = kept;
	return 0;
}

static int choose(struct admin_call *call, struct chosen *ret, struct err *err)
{
	int result;

	if (store_read_begin(call->admin->options.store, &call->rd, err) < 0)
		return -1;
	result = choose_in(call, ret, err);
	store_read_end(&call->rd);
	if (result < 0)
		return -1;
	if (ret->count == 0)
		return err_set(err, ERR_NOT_FOUND, "the phone has not synchronized %s%.80s",
			admin_text(call, "folder") != NULL ? "a folder " : "any folder",
			admin_text(call, "folder") != NULL ? admin_text(call, "folder") : "");
	if (ret->count > 1 && admin_text(call, "folder") != NULL)
		return err_set(err, ERR_CONFLICT,
			"several folders are called \"%.80s\": give the number, see device check",
			admin_text(call, "folder"));
	return 0;
}

/* For the event log: "5 (Inbox), 7 (Sent Items)", and how many more than it has room for. */
static void name_repaired(struct admin_call *call, const struct chosen *chosen)
{
	struct buf text = BUF_INIT;
	size_t i;

	for (i = 0; i < chosen->count && text.len < LOG_BYTES; i++)
		buf_addf(&text, "%s%" PRIu64 " (%.80s)", i > 0 ? ", " : "",
			chosen->refs[i].folder.v, chosen->names[i]);
	if (i < chosen->count)
		buf_addf(&text, ", and %zu more", chosen->count - i);
	call->log_result = arena_x_strdup(call->arena, buf_cstr(&text));
	buf_deinit(&text);
}

/* What is done to each of the chosen collections. */
typedef int (*each_fn)(void *owner, struct device_id device, struct owner_id folder_owner,
	struct folder_id folder, struct err *err);

static int do_each(struct admin_call *call, each_fn fn, const char *key, struct err *err)
{
	json_t *done = json_array();
	struct chosen chosen;

	(void)json_object_set_new(call->result, key, done);
	if (fn == NULL)
		return err_set(err, ERR_BUSY, "this engine serves no phones");
	if (choose(call, &chosen, err) < 0)
		return -1;
	for (size_t i = 0; i < chosen.count; i++) {
		if (fn(call->admin->options.owner, chosen.device->id, chosen.refs[i].owner,
			    chosen.refs[i].folder, err) < 0)
			return err_wrap(err, "folder %" PRIu64, chosen.refs[i].folder.v);
		(void)json_array_append_new(done, json_string(chosen.names[i]));
	}
	name_repaired(call, &chosen);
	return 0;
}

int admin_device_repair(struct admin_call *call, struct err *err)
{
	return do_each(call, call->admin->options.repair, "repaired", err);
}

int admin_device_resync(struct admin_call *call, struct err *err)
{
	return do_each(call, call->admin->options.resync, "resynced", err);
}

/* ---- folders ---- */

static int add_folder(struct admin_call *call, const struct device *device,
	const struct sync_collection_ref *ref, struct err *err)
{
	struct sync_check_counts counts;
	struct folder *folder;
	uint64_t items;
	json_t *row;

	if (store_folder_load(call->rd, ref->owner, ref->folder, call->arena, &folder, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)
			ERR_INIT; /* deleted since: its state goes with the next FolderSync */
		return 0;
	}
	if (sync_check_collection(
		    call->rd, device, ref, call->now_at, on_nothing, NULL, &counts, err) < 0 ||
		store_item_count(call->rd, ref->owner, ref->folder, INT64_MIN, 0, &items, err) < 0)
		return -1;
	row = json_object();
	admin_put_number(row, "folder", ref->folder.v);
	admin_put(row, "name", folder->name);
	admin_put(row, "class", store_folder_class(folder->type));
	admin_put_number(row, "held", counts.held);
	admin_put_number(row, "pending", counts.pending);
	admin_put_number(row, "withheld", counts.withheld);
	admin_put_number(row, "items", items);
	admin_put_bool(row, "comparing", counts.scan_unfinished);
	(void)json_array_append_new(call->result, row);
	return 0;
}

int admin_device_folders(struct admin_call *call, struct err *err)
{
	struct sync_collection_ref *refs;
	struct device *device;
	struct user *user;
	size_t count;
	int result = 0;

	if (admin_device(call, &user, &device, err) < 0 ||
		store_sync_state_list(call->rd, device->id, call->arena, &refs, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count && result == 0; i++) {
		if (refs[i].folder.v != 0)
			result = add_folder(call, device, &refs[i], err);
	}
	return result;
}
