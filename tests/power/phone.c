/*
 * The server's EAS code on a store, and phones calling it (eas_handle()).
 */
#include "phone.h"

#include <string.h>

#include "base/mem.h"

#define SYNCS_MAX 1000

/* ---- the world ---- */

static void on_marked(struct watch_id id, unsigned marks, void *owner)
{
	(void)id;
	(void)marks;
	(void)owner;
}

static void on_ended(const struct ipc_handle *handle, enum watch_kind kind, void *owner)
{
	(void)handle;
	(void)kind;
	(void)owner;
}

static void on_stale(const struct ipc_handle *handle, void *owner)
{
	(void)handle;
	(void)owner;
}

int power_world_open(
	const char *data_dir, const char *config, struct power_world *ret, struct err *err)
{
	struct store_options options = {.data_dir = data_dir,
		.readers_max = 2,
		.group_max = 16,
		.body_inline_max = 4096,
		.cache_kib = 4096};
	struct watch_options watch_options = {15, 0, on_marked, on_ended, on_stale, ret};

	*ret = (struct power_world){0};
	if (settings_parse(config, strlen(config), "check", &ret->settings, NULL, err) < 0 ||
		store_open(&options, &ret->store, err) < 0)
		return -1;
	ret->watches = watches_new(&watch_options);
	eas_server_init(&ret->server, ret->store, ret->watches, ret->settings);
	return 0;
}

void power_world_close(struct power_world *w)
{
	if (w->watches != NULL)
		eas_server_deinit(&w->server);
	store_close(&w->store);
	watches_free(&w->watches);
	settings_unref(&w->settings);
}

/* ---- a request ---- */

static int load_user(struct power_phone *p, struct arena *arena, struct user **ret, struct err *err)
{
	struct store_read *rd;
	int rc;

	if (store_read_begin(p->world->store, &rd, err) < 0)
		return -1;
	rc = store_user_find_login(rd, p->login, "example.org", arena, ret, err);
	store_read_end(&rd);
	return rc < 0 ? err_wrap(err, "user %s", p->login) : 0;
}

static int call(struct power_phone *p, enum request_command command, const struct buf *body,
	struct arena *arena, struct wbxml_node **ret, struct err *err)
{
	CLEANUP(buf_deinit) struct buf target = BUF_INIT;
	struct request_device device = {
		.user = p->login, .id = p->device, .type = "TestPhone", .version = VERSION_141};
	struct ipc_request *http = arena_x_new(arena, struct ipc_request);
	struct eas_request request = {arena, NULL, http, body->data, body->len};
	struct eas_reply reply = {.kind = EAS_REPLY_ANSWER};
	struct user *user = NULL;
	int rc;

	buf_add_str(&target, "/Microsoft-Server-ActiveSync?");
	if (load_user(p, arena, &user, err) < 0 ||
		request_query(&device, command, false, &target, err) < 0)
		return -1;
	request.user = user;
	http->method = "POST";
	http->address = "127.0.0.1";
	http->target = arena_x_strdup(arena, buf_cstr(&target));
	http->headers[0] = (struct ipc_header){"ms-asprotocolversion", "14.1"};
	http->headers[1] = (struct ipc_header){"content-type", "application/vnd.ms-sync.wbxml"};
	http->headers[2] = (struct ipc_header){
		"x-ms-policykey", arena_x_printf(arena, "%u", (unsigned)p->policy_key)};
	http->header_count = 3;
	eas_handle(&p->world->server, &request, &reply);
	if (reply.kind != EAS_REPLY_ANSWER || reply.status != 200)
		rc = err_set(err, ERR_INTERNAL, "%s: HTTP status %d",
			request_command_to_str(command), reply.status);
	else
		rc = answer_decode(arena, reply.body.data, reply.body.len, ret, err);
	buf_deinit(&reply.body);
	return rc;
}

/* ---- what it holds ---- */

void power_phone_deinit(struct power_phone *p)
{
	mem_free(p->items);
	arena_free(&p->arena);
	*p = (struct power_phone){0};
}

struct power_item *power_phone_find(struct power_phone *p, const char *id)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->items[i].id, id) == 0)
			return &p->items[i];
	}
	return NULL;
}

void power_phone_add(struct power_phone *p, const struct power_item *item)
{
	if (p->count == p->cap) {
		p->cap = MAX(p->cap * 2, (size_t)64);
		p->items = x_realloc(p->items, p->cap * sizeof(*p->items));
	}
	p->items[p->count++] = *item;
}

void power_phone_remove(struct power_phone *p, struct power_item *item)
{
	*item = p->items[--p->count];
}

/* ---- beginning ---- */

static int provision(struct power_phone *p, struct arena *arena, struct err *err)
{
	static const struct request_device_info info = {.model = "Tester", .os = "None 1.0"};

	for (int phase = 0; phase < 2; phase++) {
		CLEANUP(buf_deinit) struct buf body = BUF_INIT;
		struct wbxml_node *root = NULL;
		struct answer_provision a;

		if (phase == 0)
			request_provision(VERSION_141, &info, &body);
		else
			request_provision_ack(VERSION_141, p->policy_key, 1, &body);
		if (call(p, REQUEST_PROVISION, &body, arena, &root, err) < 0 ||
			answer_provision(root, &a, err) < 0)
			return -1;
		if (a.status != 1 || a.policy_status != 1)
			return err_set(err, ERR_INTERNAL, "Provision: Status %u, policy Status %u",
				a.status, a.policy_status);
		p->policy_key = a.policy_key;
	}
	return 0;
}

static int folder_sync(struct power_phone *p, const char *key, struct arena *arena,
	struct answer_folders *ret, struct err *err)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct wbxml_node *root = NULL;

	request_folder_sync(key, &body);
	if (call(p, REQUEST_FOLDER_SYNC, &body, arena, &root, err) < 0 ||
		answer_folders(arena, root, ret, err) < 0)
		return -1;
	return ret->status == 1 ? 0
				: err_set(err, ERR_INTERNAL, "FolderSync with key %s: Status %u",
					  key, ret->status);
}

int power_phone_check_folders(struct power_phone *p, const char *key, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct answer_folders folders;

	if (folder_sync(p, key, arena, &folders, err) < 0)
		return -1;
	if (folders.added_count + folders.updated_count + folders.deleted_count > 0)
		return err_set(err, ERR_INTERNAL,
			"FolderSync with key %s brings what the phone knows", key);
	return 0;
}

int power_phone_begin(struct power_phone *p, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct answer_folders folders;

	if (provision(p, arena, err) < 0 || folder_sync(p, "0", arena, &folders, err) < 0)
		return -1;
	for (size_t i = 0; i < folders.added_count; i++) {
		if (folders.added[i].type == FOLDER_INBOX)
			p->inbox = arena_x_strdup(p->arena, folders.added[i].id);
	}
	if (p->inbox == NULL)
		return err_set(err, ERR_INTERNAL, "no Inbox");
	p->sync_key = "0";
	return 0;
}

/* ---- Sync ---- */

static int take_add(struct power_phone *p, const struct answer_item *item, struct err *err)
{
	struct power_item new = {.read = item->mail.read, .flag = item->mail.flagged};

	if (power_phone_find(p, item->server_id) != NULL)
		return err_set(err, ERR_INTERNAL, "item %s is added twice", item->server_id);
	new.id = arena_x_strdup(p->arena, item->server_id);
	new.subject = arena_x_strdup(
		p->arena, item->mail.subject != NULL ? item->mail.subject : "(none)");
	if (item->mail.data != NULL) {
		new.data = (const uint8_t *)arena_x_strndup(
			p->arena, item->mail.data, item->mail.data_len);
		new.len = item->mail.data_len;
	}
	power_phone_add(p, &new);
	return 0;
}

static int take_item(struct power_phone *p, const struct answer_item *item, struct err *err)
{
	struct power_item *held;

	if (item->kind == ANSWER_ADD)
		return take_add(p, item, err);
	held = power_phone_find(p, item->server_id);
	if (held == NULL)
		return err_set(err, ERR_INTERNAL, "%s of item %s, which the phone does not hold",
			item->kind == ANSWER_CHANGE ? "Change" : "Delete", item->server_id);
	if (item->kind != ANSWER_CHANGE) {
		power_phone_remove(p, held);
		return 0;
	}
	if (item->mail.has_read)
		held->read = item->mail.read;
	if (item->mail.has_flag)
		held->flag = item->mail.flagged;
	return 0;
}

/* *ret_more: it wants another one. */
static int sync_once(struct power_phone *p, bool *ret_more, struct err *err)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct request_sync request = {.sync_key = p->sync_key,
		.collection_id = p->inbox,
		.window = 512,
		.body_type = p->body_type,
		.truncation = p->truncation};
	bool first = strcmp(p->sync_key, "0") == 0;
	const struct answer_collection *c;
	struct wbxml_node *root = NULL;
	struct answer_sync sync;

	*ret_more = false;
	request_sync(VERSION_141, &request, 1, 0, &body);
	if (call(p, REQUEST_SYNC, &body, arena, &root, err) < 0)
		return -1;
	if (root == NULL)
		return 0;
	if (answer_sync(arena, root, &sync, err) < 0)
		return -1;
	c = answer_sync_find(&sync, p->inbox);
	if (sync.status > 1 || c == NULL || c->status != 1 || c->sync_key == NULL)
		return err_set(err, ERR_INTERNAL, "Sync with key %s: Status %u, of the folder %u",
			p->sync_key, sync.status, c != NULL ? c->status : 0);
	p->sync_key = arena_x_strdup(p->arena, c->sync_key);
	for (size_t i = 0; i < c->item_count; i++) {
		if (take_item(p, &c->items[i], err) < 0)
			return -1;
	}
	*ret_more = c->more || c->item_count > 0 || first;
	return 0;
}

int power_phone_sync(struct power_phone *p, struct err *err)
{
	bool more = true;

	for (unsigned n = 0; more; n++) {
		if (n == SYNCS_MAX)
			return err_set(err, ERR_INTERNAL, "Sync never ends");
		if (sync_once(p, &more, err) < 0)
			return -1;
	}
	return 0;
}
