/*
 * Ping ([MS-ASCMD] 2.2.1.13, 2.2.3.177.11): which folders, how long, and then nothing, for as long
 * as nothing happens.
 *
 * Heartbeat and folders are remembered per device, so that a phone may leave them out. Folders
 * which the device never synced are watched in vain on purpose: a Sync of them could bring nothing
 * (iOS names such folders). So is the Outbox, which Android names: nothing comes there but by the
 * phone itself.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eas/ping_internal.h"
#include "eas/request.h"
#include "store/store_wipe.h"
#include "sync/collect.h"
#include "sync/hierarchy.h"

/* How often a phone is told to provision before it is left to wait. */
#define PROVISION_HINTS 3

struct ping {
	struct eas_call *call;
	uint32_t heartbeat_s;   /* as it is remembered */
	uint32_t hold_s;        /* as long as it may be held */
	const uint8_t *folders; /* varint ids */
	size_t folders_len;
	size_t folder_count;
};

static int remember_tx(struct store_tx *tx, void *owner, struct err *err)
{
	struct ping *p = owner;

	return store_device_set_ping(
		tx, p->call->device->id, p->heartbeat_s, p->folders, p->folders_len, err);
}

static int remember(struct ping *p, struct err *err)
{
	const struct device *d = p->call->device;

	if (d->ping_heartbeat_s == p->heartbeat_s && d->ping_folders != NULL &&
		d->ping_folders_len == p->folders_len &&
		memcmp(d->ping_folders, p->folders, p->folders_len) == 0)
		return 0;
	return store_transact(p->call->server->store, remember_tx, p, err);
}

/* False: an id that cannot be one of ours. */
static bool read_folders(struct ping *p, const struct wbxml_node *folders)
{
	struct buf blob = BUF_INIT;
	uint8_t *copy;
	bool good = true;

	for (const struct wbxml_node *n = folders->child; n != NULL; n = n->next) {
		struct folder_id id = {0};

		good = good && eas_folder_id_parse(eas_get_text(n, TAG_Ping_Id, ""), &id);
		buf_add_varint(&blob, id.v);
		p->folder_count++;
	}
	copy = arena_x_alloc(p->call->arena, blob.len + 1);
	memcpy(copy, blob.data, blob.len);
	p->folders = copy;
	p->folders_len = blob.len;
	buf_deinit(&blob);
	return good;
}

size_t eas_ping_folder_count(const struct device *device)
{
	size_t count = 0;
	struct rd in;

	rd_init(&in, device->ping_folders, device->ping_folders_len);
	while (device->ping_folders != NULL && rd_left(&in) > 0 && !in.failed) {
		(void)rd_varint(&in);
		count++;
	}
	return count;
}

static void remembered_folders(struct ping *p)
{
	const struct device *d = p->call->device;

	p->folders = d->ping_folders;
	p->folders_len = d->ping_folders_len;
	p->folder_count = eas_ping_folder_count(d);
}

/* Request over memory. True: go on. */
static bool merge(struct ping *p)
{
	const uint64_t *values = p->call->services.values;
	uint64_t low = values[SERVICE_heartbeat_min_s], high = values[SERVICE_heartbeat_max_s];
	const struct wbxml_node *folders = wbxml_find(p->call->root, TAG_Ping_Folders);
	bool heartbeat_sent = wbxml_find(p->call->root, TAG_Ping_HeartbeatInterval) != NULL;
	uint64_t heartbeat_s = eas_get_uint(
		p->call->root, TAG_Ping_HeartbeatInterval, p->call->device->ping_heartbeat_s);
	bool ids_good = true;

	if (folders != NULL)
		ids_good = read_folders(p, folders);
	else
		remembered_folders(p);
	if ((heartbeat_s == 0 && !heartbeat_sent) || p->folder_count == 0) {
		eas_reply_status(p->call, PING_MISSING);
		return false;
	}
	if (heartbeat_s < low || heartbeat_s > high) {
		eas_reply_limit(p->call, PING_BAD_HEARTBEAT, heartbeat_s < low ? low : high);
		return false;
	}
	if (p->folder_count > values[SERVICE_folders_per_ping]) {
		eas_reply_limit(p->call, PING_TOO_MANY_FOLDERS, values[SERVICE_folders_per_ping]);
		return false;
	}
	if (!ids_good) {
		eas_reply_status(p->call, PING_HIERARCHY);
		return false;
	}
	p->heartbeat_s = p->hold_s = (uint32_t)heartbeat_s;
	return true;
}

int eas_ping_watch_folders(struct store_read *rd, struct owner_id user, struct device_id device,
	struct arena *arena, const uint8_t *blob, size_t len, struct watch_folder **ret,
	size_t *ret_count, bool *ret_pending, struct err *err)
{
	struct watch_folder *folders = arena_x_alloc(arena, (len + 1) * sizeof(*folders));
	struct sync_look *looks = arena_x_alloc(arena, (len + 1) * sizeof(*looks));
	size_t named = 0, count = 0;
	bool pending = false;
	struct rd in;

	rd_init(&in, blob, len);
	while (rd_left(&in) > 0 && !in.failed)
		looks[named++].folder.v = rd_varint(&in);
	if (in.failed)
		return err_set(err, ERR_INTERNAL, "a list of folders is broken");
	if (sync_look(rd, device, user, clock_now_at(), looks, named, err) < 0)
		return -1;
	for (size_t i = 0; i < named; i++) {
		if (!looks[i].found)
			return err_set(err, ERR_NOT_FOUND, "no folder %llu",
				(unsigned long long)looks[i].folder.v);
		pending = pending || looks[i].pending;
		if (looks[i].synced && looks[i].type != FOLDER_OUTBOX)
			folders[count++] = (struct watch_folder){
				.owner = user,
				.folder = looks[i].folder,
				.cutoff_at = looks[i].cutoff_at,
				.item_class = ITEM_MAIL,
			};
	}
	*ret = folders;
	*ret_count = count;
	*ret_pending = pending;
	return 0;
}

void eas_ping_changes(
	struct eas_call *call, struct device_id device, const struct wait_verdict *verdict)
{
	struct wbxml_writer *w = &call->writer;
	char id[24];

	buf_clear(&call->reply->body);
	call->reply->status = 200;
	wbxml_writer_init(w, &call->reply->body);
	wbxml_start(w, TAG_Ping_Ping);
	wbxml_add_uint(w, TAG_Ping_Status, PING_CHANGES);
	wbxml_start(w, TAG_Ping_Folders);
	for (size_t i = 0; i < verdict->changed_count; i++) {
		eas_folder_id_print(verdict->changed[i]->folder, id);
		wbxml_add_text(w, TAG_Ping_Folder, id);
		eas_told_note(call->server, device, verdict->changed[i]->folder);
	}
	wbxml_end(w);
	wbxml_end(w);
}

void eas_ping_answer_verdict(struct eas_call *call, const struct wait_verdict *verdict)
{
	if (verdict->http != 0)
		eas_reply_http(call, verdict->http);
	else if (verdict->common != 0)
		eas_reply_common(call, verdict->common);
	else if (verdict->provision || verdict->hierarchy)
		eas_reply_status(call, PING_HIERARCHY);
	else if (verdict->heartbeat_bound != 0)
		eas_reply_limit(call, PING_BAD_HEARTBEAT, verdict->heartbeat_bound);
	else if (verdict->folders_bound != 0)
		eas_reply_limit(call, PING_TOO_MANY_FOLDERS, verdict->folders_bound);
	else if (verdict->changed_count == 0)
		eas_reply_status(call, PING_EXPIRED);
	else
		eas_ping_changes(call, call->device->id, verdict);
}

/*
 * settled: that is all, there is nothing to tell the phone of. ERR_NOT_FOUND: the phone is to ask
 * for the folders; also one of which nothing is known, neither folders nor a Sync of any. It was
 * deleted, and would wait in vain.
 */
static int load_watch_folders(struct ping *p, struct watch_folder **ret, size_t *ret_count,
	bool *ret_settled, struct err *err)
{
	struct eas_call *call = p->call;
	bool pending = false, hierarchy = false, known = true;
	struct store_read *rd;
	size_t count = 0;
	int result;

	if (store_read_begin(call->server->store, &rd, err) < 0)
		return -1;
	result = eas_ping_watch_folders(rd, call->user->id, call->device->id, call->arena,
		p->folders, p->folders_len, ret, &count, &pending, err);
	if (result == 0 && !pending)
		result = hierarchy_pending(
			rd, call->device->id, call->user->id, &hierarchy, &known, err);
	store_read_end(&rd);
	if (result == 0 && !known && count == 0)
		result = err_set(err, ERR_NOT_FOUND, "a phone without folders");
	if (result < 0)
		return -1;
	*ret_count = count;
	*ret_settled = !pending && !hierarchy;
	return 0;
}

/* The hint to provision, a few times; then the phone is held for the shortest heartbeat, never
 * renewed from memory. */
static bool hint_at_provisioning(struct ping *p)
{
	if (eas_pending_count(p->call->server, p->call->device->id) <= PROVISION_HINTS)
		return true;
	p->call->reply->no_renewal = true;
	p->hold_s = (uint32_t)p->call->services.values[SERVICE_heartbeat_min_s];
	return false;
}

static int ping(struct ping *p, struct err *err)
{
	struct eas_call *call = p->call;
	struct watch_folder *folders;
	struct wait_verdict verdict;
	bool settled;
	size_t count;

	if (load_watch_folders(p, &folders, &count, &settled, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		eas_reply_status(call, PING_HIERARCHY);
		return 0;
	}
	if (remember(p, err) < 0)
		return -1;
	eas_hold_muted(call, &count, &p->hold_s);
	if (eas_hold(call, WATCH_PING, folders, count, settled, p->hold_s, &verdict))
		return 0;
	if (verdict.provision && !hint_at_provisioning(p) &&
		eas_hold(call, WATCH_PING, folders, count, settled, p->hold_s, &verdict))
		return 0;
	eas_ping_answer_verdict(call, &verdict);
	return 0;
}

/* It is to be erased: whatever it asks for, it is told to provision. One that does not and asks at
 * once again is left to wait, and hears of nothing else. */
static void ping_for_wipe(struct eas_call *call)
{
	uint32_t heartbeat_s = (uint32_t)call->settings->push_heartbeat_min_s;
	struct wait_verdict verdict;

	if (eas_pending_count(call->server, call->device->id) > PROVISION_HINTS) {
		call->reply->no_renewal = true;
		if (eas_hold(call, WATCH_PING, NULL, 0, false, heartbeat_s, &verdict))
			return;
		call->reply->no_renewal = false;
	}
	eas_reply_status(call, PING_HIERARCHY);
}

void eas_ping(struct eas_call *call)
{
	struct ping p = {.call = call};
	struct err err = ERR_INIT;

	if (wipe_is_pending(call->device->wipe)) {
		ping_for_wipe(call);
		return;
	}
	if (!merge(&p))
		return;
	if (ping(&p, &err) < 0)
		eas_reply_error(call, &err);
}
