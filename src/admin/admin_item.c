/*
 * Verbs about what the server keeps away from phones: items on which the engine crashed, requests
 * on which it did, and what single phones withhold. Threads and transactions: see admin.c.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "sync/generations.h"

#define REQUEST_PREFIX "request:"
#define MESSAGE_PREFIX "message:"

/* ---- the list ---- */

static const char *address_of(struct admin_call *call, struct owner_id owner)
{
	struct err ignored = ERR_INIT;
	struct user *user;

	if (owner.v == 0 || store_user_load(call->rd, owner, call->arena, &user, &ignored) < 0)
		return "";
	return admin_user_address(call, user);
}

static const char *device_of(struct admin_call *call, struct device_id id)
{
	struct err ignored = ERR_INIT;
	struct device *device;

	if (id.v == 0 || store_device_load(call->rd, id, call->arena, &device, &ignored) < 0)
		return "";
	return device->device_id;
}

static const char *folder_of(
	struct admin_call *call, struct owner_id owner, struct folder_id folder)
{
	struct err ignored = ERR_INIT;
	struct folder *found;

	if (store_folder_load(call->rd, owner, folder, call->arena, &found, &ignored) < 0)
		return "";
	return found->name;
}

static void add_row(struct admin_call *call, const char *kind, const char *address,
	const char *item, const char *folder, const char *device, int64_t since_at,
	const char *reason)
{
	json_t *row = json_object();

	admin_put(row, "address", address);
	admin_put(row, "item", item);
	admin_put(row, "kind", kind);
	admin_put(row, "folder", folder);
	admin_put(row, "device", device);
	admin_put_number(row, "since_at", (uint64_t)since_at);
	admin_put(row, "reason", reason);
	(void)json_array_append_new(call->result, row);
}

static const char *item_text(struct admin_call *call, struct folder_id folder, uint64_t item)
{
	return arena_x_printf(call->arena, "%" PRIu64 ":%" PRIu64, folder.v, item);
}

static int list_items(struct admin_call *call, struct owner_id owner, struct err *err)
{
	struct poison_item *items;
	size_t count;

	if (store_poison_items(call->rd, owner, call->arena, &items, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		add_row(call, "set aside", address_of(call, items[i].owner),
			item_text(call, items[i].folder, items[i].item.v),
			folder_of(call, items[i].owner, items[i].folder), "", items[i].set_aside_at,
			items[i].reason);
	return 0;
}

/* The sweep removes rows whose time is over. */
static int list_requests(struct admin_call *call, struct owner_id owner, struct err *err)
{
	struct poison_request *requests;
	size_t count;

	if (store_poison_requests(call->rd, owner, 0, call->arena, &requests, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct poison_request *r = &requests[i];
		const char *prefix = r->owner.v != 0 ? REQUEST_PREFIX : MESSAGE_PREFIX;

		add_row(call, r->owner.v != 0 ? "refused" : "taken unread",
			address_of(call, r->owner),
			arena_x_printf(call->arena, "%s%016" PRIx64, prefix, r->hash), "",
			device_of(call, r->device), r->refused_at,
			arena_x_printf(call->arena, "the engine crashed on it (%s)", r->command));
	}
	return 0;
}

static void add_withheld(struct admin_call *call, const struct device *device, const char *address,
	const struct folder *folder, const struct id_set *withheld)
{
	for (size_t r = 0; r < withheld->count; r++) {
		for (uint64_t id = withheld->runs[r].first; id <= withheld->runs[r].last; id++)
			add_row(call, "withheld", address, item_text(call, folder->id, id),
				folder->name, device->device_id, 0,
				"this phone cannot be given it; see log list");
	}
}

static int list_withheld_of(
	struct admin_call *call, const struct device *device, const char *address, struct err *err)
{
	struct folder *folders;
	size_t count;

	if (store_folder_list(call->rd, device->owner, call->arena, &folders, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct sync_collection c;

		if (sync_collection_load(
			    call->rd, device->id, device->owner, folders[i].id, &c, err) < 0)
			return -1;
		if (c.present[SYNC_CURRENT])
			add_withheld(call, device, address, &folders[i],
				&c.states[SYNC_CURRENT].withheld);
		sync_collection_deinit(&c);
	}
	return 0;
}

static int list_withheld(struct admin_call *call, const struct user *user, struct err *err)
{
	struct device *devices;
	size_t count;

	if (store_device_list(call->rd, user->id, call->arena, &devices, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (list_withheld_of(call, &devices[i], admin_user_address(call, user), err) < 0)
			return -1;
	}
	return 0;
}

int admin_item_list(struct admin_call *call, struct err *err)
{
	struct owner_id owner = {0};
	struct user *user = NULL;

	if (admin_text(call, "address") != NULL) {
		if (admin_user(call, &user, err) < 0)
			return -1;
		owner = user->id;
	}
	if (list_items(call, owner, err) < 0 || list_requests(call, owner, err) < 0)
		return -1;
	/* Reads the states of all phones: of one user only. */
	return user != NULL ? list_withheld(call, user, err) : 0;
}

/* ---- release ---- */

/* What one request releases. */
struct release {
	struct user *user;
	struct folder_id folder;
	struct item_id item;
	size_t phones; /* that have had it withheld */
};

static int nothing_there(struct admin_call *call, const struct user *user, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"nothing is set aside, withheld or refused as %.40s for %s; see item list",
		admin_text(call, "item"), admin_user_address(call, user));
}

static int bad_item(struct admin_call *call, struct err *err)
{
	return err_set(err, ERR_BAD_INPUT, "\"%.40s\" is not an item of item list",
		admin_text(call, "item"));
}

static void put_released(struct admin_call *call, const struct user *user)
{
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "item", admin_text(call, "item"));
}

static int release_request(struct admin_call *call, struct err *err)
{
	const char *text = admin_text(call, "item");
	struct owner_id owner = {0}; /* a message is nobody's in particular */
	struct user *user;
	uint64_t number;

	if (admin_user(call, &user, err) < 0)
		return -1;
	if (!str_starts(text, MESSAGE_PREFIX))
		owner = user->id;
	/* 16 hex digits, like a key. */
	if (!sync_key_parse(strchr(text, ':') + 1, &number))
		return bad_item(call, err);
	if (store_poison_release_request(call->tx, owner, number, err) < 0)
		return err->code == ERR_NOT_FOUND ? nothing_there(call, user, err) : -1;
	put_released(call, user);
	return 0;
}

static int parse_item(struct admin_call *call, struct release *ret, struct err *err)
{
	const char *text = admin_text(call, "item"), *colon = strchr(text, ':');
	char folder_text[24] = "";

	if (colon != NULL && (size_t)(colon - text) < sizeof(folder_text))
		memcpy(folder_text, text, (size_t)(colon - text));
	if (folder_text[0] == '\0' ||
		str_parse_u64(folder_text, INT64_MAX, &ret->folder.v, err) < 0 ||
		str_parse_u64(colon + 1, INT64_MAX, &ret->item.v, err) < 0)
		return bad_item(call, err);
	return 0;
}

static int is_withheld(struct admin_call *call, const struct release *r, struct device_id device,
	bool *ret, struct err *err)
{
	struct sync_collection c;

	if (sync_collection_load(call->rd, device, r->user->id, r->folder, &c, err) < 0)
		return -1;
	*ret = c.present[SYNC_CURRENT] && id_set_has(&c.states[SYNC_CURRENT].withheld, r->item.v);
	sync_collection_deinit(&c);
	return 0;
}

/* The phones that withhold it, from one snapshot, which is over before anything is changed. */
static int find_phones_in(struct admin_call *call, struct release *r, struct device **ret,
	size_t *ret_count, struct err *err)
{
	struct device *devices;
	size_t count, kept = 0;

	if (admin_user(call, &r->user, err) < 0 || parse_item(call, r, err) < 0 ||
		store_device_list(call->rd, r->user->id, call->arena, &devices, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		bool withheld = false;

		if (is_withheld(call, r, devices[i].id, &withheld, err) < 0)
			return -1;
		if (withheld)
			devices[kept++] = devices[i];
	}
	*ret = devices;
	*ret_count = kept;
	return 0;
}

static int find_phones(struct admin_call *call, struct release *r, struct device **ret,
	size_t *ret_count, struct err *err)
{
	int result;

	if (store_read_begin(call->admin->options.store, &call->rd, err) < 0)
		return -1;
	result = find_phones_in(call, r, ret, ret_count, err);
	store_read_end(&call->rd);
	return result;
}

/* The engine does it: it knows whether the phone is being served just now. */
static int release_to_phones(struct admin_call *call, struct release *r, struct err *err)
{
	const struct admin_options *o = &call->admin->options;
	struct device *devices = NULL;
	size_t count = 0;

	if (find_phones(call, r, &devices, &count, err) < 0)
		return -1;
	if (count > 0 && o->release == NULL)
		return err_set(err, ERR_BUSY, "this engine serves no phones");
	for (size_t i = 0; i < count; i++) {
		if (o->release(o->owner, devices[i].id, r->user->id, r->folder, r->item, err) ==
			0) {
			r->phones++;
			continue;
		}
		if (err->code != ERR_NOT_FOUND) /* else it was quicker than we */
			return err_wrap(err, "phone %.80s", devices[i].device_id);
		*err = (struct err)ERR_INIT;
	}
	return 0;
}

/* The item and its copies, for everybody; may run twice. */
static int release_item(struct admin_call *call, struct err *err)
{
	const struct release *r = call->then_owner;
	size_t count = 1;

	if (store_poison_release_item(call->tx, r->user->id, r->folder, r->item, &count, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		if (r->phones == 0)
			return nothing_there(call, r->user, err);
		*err = (struct err)ERR_INIT;
	}
	put_released(call, r->user);
	admin_put_number(call->result, "released", count);
	admin_put_number(call->result, "phones", r->phones);
	return 0;
}

int admin_item_release(struct admin_call *call, struct err *err)
{
	const char *text = admin_text(call, "item");
	struct release *r = arena_x_alloc(call->arena, sizeof(*r));

	if (str_starts(text, REQUEST_PREFIX) || str_starts(text, MESSAGE_PREFIX)) {
		call->then = release_request;
		return 0;
	}
	*r = (struct release){.phones = 0};
	if (release_to_phones(call, r, err) < 0)
		return -1;
	call->then_owner = r;
	call->then = release_item;
	return 0;
}
