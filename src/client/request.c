/*
 * Builds queries and bodies. The order of elements is that of [MS-ASCMD]; servers are strict from
 * 12.1 on. Owns nothing, one thread per call.
 */
#include "client/request.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wbxml/wbxml.h"

#define LOCALE_EN_US 0x0409

static const struct {
	enum request_command command;
	const char *name;
} commands[] = {
	{REQUEST_SYNC, "Sync"},
	{REQUEST_SEND_MAIL, "SendMail"},
	{REQUEST_FOLDER_SYNC, "FolderSync"},
	{REQUEST_MOVE_ITEMS, "MoveItems"},
	{REQUEST_GET_ITEM_ESTIMATE, "GetItemEstimate"},
	{REQUEST_PING, "Ping"},
	{REQUEST_ITEM_OPERATIONS, "ItemOperations"},
	{REQUEST_PROVISION, "Provision"},
};

const char *request_command_to_str(enum request_command command)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].command == command)
			return commands[i].name;
	}
	return NULL;
}

bool request_uses_base64(const struct request_device *device)
{
	return device->base64 && device->version >= VERSION_121;
}

static void add_escaped(struct buf *out, const char *s)
{
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c) != NULL)
			buf_add_byte(out, c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

static void query_plain(const struct request_device *device, enum request_command command,
	bool save_in_sent, struct buf *out)
{
	buf_addf(out, "Cmd=%s&User=", request_command_to_str(command));
	add_escaped(out, device->user);
	buf_add_str(out, "&DeviceId=");
	add_escaped(out, device->id);
	buf_add_str(out, "&DeviceType=");
	add_escaped(out, device->type);
	if (save_in_sent && device->version < VERSION_140)
		buf_add_str(out, "&SaveInSent=T");
}

/* Length byte and bytes. */
static int add_counted(struct buf *out, const char *s, struct err *err)
{
	size_t len = strlen(s);

	if (len > 255)
		return err_set(err, ERR_BAD_INPUT,
			"\"%.40s...\" is longer than the 255 bytes of a base64 query", s);
	buf_add_byte(out, (uint8_t)len);
	buf_add(out, s, len);
	return 0;
}

static int query_base64(const struct request_device *device, enum request_command command,
	bool save_in_sent, struct buf *out, struct err *err)
{
	CLEANUP(buf_deinit) struct buf raw = BUF_INIT;

	buf_add_byte(&raw, (uint8_t)device->version);
	buf_add_byte(&raw, (uint8_t)command);
	buf_add_u16(&raw, LOCALE_EN_US);
	if (add_counted(&raw, device->id, err) < 0)
		return -1;
	if (device->policy_key != 0) {
		buf_add_byte(&raw, 4);
		buf_add_u32(&raw, device->policy_key);
	} else {
		buf_add_byte(&raw, 0);
	}
	if (add_counted(&raw, device->type, err) < 0)
		return -1;
	if (save_in_sent && device->version < VERSION_140) {
		buf_add_byte(&raw, 7); /* Options: one byte, 0x01 is SaveInSent */
		buf_add_byte(&raw, 1);
		buf_add_byte(&raw, 1);
	}
	buf_add_byte(&raw, 8); /* User */
	if (add_counted(&raw, device->user, err) < 0)
		return -1;
	base64_add(out, raw.data, raw.len);
	return 0;
}

int request_query(const struct request_device *device, enum request_command command,
	bool save_in_sent, struct buf *out, struct err *err)
{
	if (request_uses_base64(device))
		return query_base64(device, command, save_in_sent, out, err);
	query_plain(device, command, save_in_sent, out);
	return 0;
}

static const char *policy_type(unsigned version)
{
	return version < VERSION_120 ? "MS-WAP-Provisioning-XML" : "MS-EAS-Provisioning-WBXML";
}

static void add_if_set(struct wbxml_writer *w, unsigned tag, const char *text)
{
	if (text != NULL && *text != 0)
		wbxml_add_text(w, tag, text);
}

void request_provision(unsigned version, const struct request_device_info *info, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_Provision_Provision);
	if (version >= VERSION_141) {
		wbxml_start(&w, TAG_Settings_DeviceInformation);
		wbxml_start(&w, TAG_Settings_Set);
		wbxml_add_text(&w, TAG_Settings_Model, info->model);
		add_if_set(&w, TAG_Settings_FriendlyName, info->friendly_name);
		add_if_set(&w, TAG_Settings_OS, info->os);
		add_if_set(&w, TAG_Settings_OSLanguage, info->os_language);
		add_if_set(&w, TAG_Settings_UserAgent, info->user_agent);
		wbxml_end(&w);
		wbxml_end(&w);
	}
	wbxml_start(&w, TAG_Provision_Policies);
	wbxml_start(&w, TAG_Provision_Policy);
	wbxml_add_text(&w, TAG_Provision_PolicyType, policy_type(version));
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
}

void request_provision_ack(unsigned version, uint32_t key, unsigned status, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_Provision_Provision);
	wbxml_start(&w, TAG_Provision_Policies);
	wbxml_start(&w, TAG_Provision_Policy);
	wbxml_add_text(&w, TAG_Provision_PolicyType, policy_type(version));
	wbxml_add_uint(&w, TAG_Provision_PolicyKey, key);
	wbxml_add_uint(&w, TAG_Provision_Status, status);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
}

void request_wipe_ack(bool account_only, unsigned status, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_Provision_Provision);
	wbxml_start(
		&w, account_only ? TAG_Provision_AccountOnlyRemoteWipe : TAG_Provision_RemoteWipe);
	wbxml_add_uint(&w, TAG_Provision_Status, status);
	wbxml_end(&w);
	wbxml_end(&w);
}

void request_folder_sync(const char *sync_key, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_FolderHierarchy_FolderSync);
	wbxml_add_text(&w, TAG_FolderHierarchy_SyncKey, sync_key);
	wbxml_end(&w);
}

static void add_change(struct wbxml_writer *w, unsigned version, const struct request_change *c)
{
	if (c->kind == REQUEST_DELETE || c->kind == REQUEST_FETCH) {
		wbxml_start(w, c->kind == REQUEST_DELETE ? TAG_AirSync_Delete : TAG_AirSync_Fetch);
		wbxml_add_text(w, TAG_AirSync_ServerId, c->server_id);
		wbxml_end(w);
		return;
	}
	/* Flags came with 12.0. */
	if (c->kind == REQUEST_CHANGE_FLAG && version < VERSION_120)
		return;
	wbxml_start(w, TAG_AirSync_Change);
	wbxml_add_text(w, TAG_AirSync_ServerId, c->server_id);
	wbxml_start(w, TAG_AirSync_ApplicationData);
	if (c->kind == REQUEST_CHANGE_READ) {
		wbxml_add_bool(w, TAG_Email_Read, c->on);
	} else if (c->on) {
		wbxml_start(w, TAG_Email_Flag);
		wbxml_add_text(w, TAG_Email_Status, "2");
		wbxml_add_text(w, TAG_Email_FlagType, "Flag for follow up");
		wbxml_end(w);
	} else {
		wbxml_add_empty(w, TAG_Email_Flag); /* an empty Flag clears */
	}
	wbxml_end(w);
	wbxml_end(w);
}

static void add_options(struct wbxml_writer *w, unsigned version, const struct request_sync *c)
{
	wbxml_start(w, TAG_AirSync_Options);
	wbxml_add_uint(w, TAG_AirSync_FilterType, c->filter);
	if (version < VERSION_120) {
		/* Truncation counts for text bodies, MIMETruncation for MIME: 9 and 8 mean all. */
		wbxml_add_uint(w, TAG_AirSync_Truncation, c->truncation == 0 ? 0 : 9);
		wbxml_add_uint(w, TAG_AirSync_Conflict, c->conflict_client_wins ? 0 : 1);
		wbxml_add_uint(w, TAG_AirSync_MIMESupport, c->body_type == 4 ? 2 : 0);
		if (c->body_type == 4)
			wbxml_add_uint(w, TAG_AirSync_MIMETruncation, 8);
		wbxml_end(w);
		return;
	}
	wbxml_start(w, TAG_AirSyncBase_BodyPreference);
	wbxml_add_uint(w, TAG_AirSyncBase_Type, c->body_type);
	if (c->truncation >= 0)
		wbxml_add_uint(w, TAG_AirSyncBase_TruncationSize, (uint64_t)c->truncation);
	wbxml_end(w);
	wbxml_add_uint(w, TAG_AirSync_Conflict, c->conflict_client_wins ? 0 : 1);
	wbxml_add_uint(w, TAG_AirSync_MIMESupport, c->body_type == 4 ? 2 : 0);
	wbxml_end(w);
}

static void add_collection(struct wbxml_writer *w, unsigned version, const struct request_sync *c)
{
	bool first = strcmp(c->sync_key, "0") == 0;
	struct wbxml_mark mark;

	wbxml_start(w, TAG_AirSync_Collection);
	if (version <= VERSION_121)
		wbxml_add_text(w, TAG_AirSync_Class, "Email");
	wbxml_add_text(w, TAG_AirSync_SyncKey, c->sync_key);
	wbxml_add_text(w, TAG_AirSync_CollectionId, c->collection_id);
	if (!first) {
		wbxml_add_bool(w, TAG_AirSync_DeletesAsMoves, true);
		wbxml_add_bool(w, TAG_AirSync_GetChanges, !c->no_changes);
		if (c->window != 0)
			wbxml_add_uint(w, TAG_AirSync_WindowSize, c->window);
	}
	add_options(w, version, c);
	if (!first && c->change_count > 0) {
		mark = wbxml_mark(w);
		wbxml_start(w, TAG_AirSync_Commands);
		for (size_t i = 0; i < c->change_count; i++)
			add_change(w, version, &c->changes[i]);
		if (w->open_empty) /* nothing of it exists in this version */
			wbxml_rewind(w, &mark);
		else
			wbxml_end(w);
	}
	wbxml_end(w);
}

void request_sync(unsigned version, const struct request_sync *collections, size_t count,
	unsigned heartbeat_s, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_AirSync_Sync);
	wbxml_start(&w, TAG_AirSync_Collections);
	for (size_t i = 0; i < count; i++)
		add_collection(&w, version, &collections[i]);
	wbxml_end(&w);
	if (heartbeat_s > 0 && version >= VERSION_140)
		wbxml_add_uint(&w, TAG_AirSync_HeartbeatInterval, heartbeat_s);
	else if (heartbeat_s > 0 && version == VERSION_121)
		wbxml_add_uint(&w, TAG_AirSync_Wait, MAX(1, MIN(59, heartbeat_s / 60)));
	wbxml_end(&w);
}

void request_ping(unsigned heartbeat_s, const struct request_ping_folder *folders, size_t count,
	struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_Ping_Ping);
	wbxml_add_uint(&w, TAG_Ping_HeartbeatInterval, heartbeat_s);
	wbxml_start(&w, TAG_Ping_Folders);
	for (size_t i = 0; i < count; i++) {
		wbxml_start(&w, TAG_Ping_Folder);
		wbxml_add_text(&w, TAG_Ping_Id, folders[i].id);
		wbxml_add_text(&w, TAG_Ping_Class, folders[i].class_name);
		wbxml_end(&w);
	}
	wbxml_end(&w);
	wbxml_end(&w);
}

void request_fetch(
	const char *collection_id, const char *server_id, unsigned body_type, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_ItemOperations_ItemOperations);
	wbxml_start(&w, TAG_ItemOperations_Fetch);
	wbxml_add_text(&w, TAG_ItemOperations_Store, "Mailbox");
	wbxml_add_text(&w, TAG_AirSync_CollectionId, collection_id);
	wbxml_add_text(&w, TAG_AirSync_ServerId, server_id);
	wbxml_start(&w, TAG_ItemOperations_Options);
	wbxml_add_uint(&w, TAG_AirSync_MIMESupport, body_type == 4 ? 2 : 0);
	wbxml_start(&w, TAG_AirSyncBase_BodyPreference);
	wbxml_add_uint(&w, TAG_AirSyncBase_Type, body_type);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
	wbxml_end(&w);
}

void request_send_mail(
	const char *client_id, bool save_in_sent, const void *mime, size_t len, struct buf *out)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	wbxml_start(&w, TAG_ComposeMail_SendMail);
	wbxml_add_text(&w, TAG_ComposeMail_ClientId, client_id);
	if (save_in_sent)
		wbxml_add_empty(&w, TAG_ComposeMail_SaveInSentItems);
	wbxml_add_opaque(&w, TAG_ComposeMail_Mime, mime, len);
	wbxml_end(&w);
}
