/*
 * Reads what servers send. Invariant: nothing here trusts the server; numbers are bounded, ids that
 * are empty or longer than the protocol's 64 characters (we take 256) are skipped with the item
 * that needs them. One thread per arena.
 */
#include "client/answer.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/answer_internal.h"

#define ID_MAX 256

int answer_decode(struct arena *arena, const void *bytes, size_t len, struct wbxml_node **ret_root,
	struct err *err)
{
	/* A window of 512 messages has some 30 elements each; texts are whole messages. */
	static const struct wbxml_limits limits = {
		.depth = 64, .nodes = 2000000, .text_bytes = (size_t)256 << 20};

	if (len == 0) {
		*ret_root = NULL;
		return 0;
	}
	if (wbxml_decode(arena, bytes, len, &limits, ret_root, err) < 0)
		return err_wrap(err, "reading the server's answer");
	return 0;
}

unsigned answer_number(const char *text, unsigned otherwise)
{
	struct err ignored;
	uint64_t v;

	if (text == NULL || str_parse_u64(text, UINT32_MAX, &v, &ignored) < 0)
		return otherwise;
	return (unsigned)v;
}

static unsigned child_number(const struct wbxml_node *node, unsigned tag, unsigned otherwise)
{
	return answer_number(wbxml_text(node, tag), otherwise);
}

bool answer_true(const char *text)
{
	return text != NULL && (*text == 0 || strcmp(text, "1") == 0);
}

static bool child_true(const struct wbxml_node *node, unsigned tag)
{
	return answer_true(wbxml_text(node, tag));
}

const char *answer_id(const struct wbxml_node *node, unsigned tag)
{
	const struct wbxml_node *found = wbxml_find(node, tag);

	return found != NULL && found->len > 0 && found->len <= ID_MAX &&
			       strlen(found->text) == found->len
		       ? found->text
		       : NULL;
}

unsigned answer_status(const struct wbxml_node *root)
{
	static const unsigned tags[] = {TAG_AirSync_Status, TAG_FolderHierarchy_Status,
		TAG_Ping_Status, TAG_Provision_Status, TAG_ItemOperations_Status,
		TAG_ComposeMail_Status};

	for (size_t i = 0; root != NULL && i < ARRAY_LEN(tags); i++) {
		if (wbxml_find(root, tags[i]) != NULL)
			return child_number(root, tags[i], 0);
	}
	return 0;
}

const char *answer_common_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {
		{101, "invalid content"},
		{102, "invalid WBXML"},
		{103, "invalid XML"},
		{104, "invalid date or time"},
		{105, "invalid combination of ids"},
		{107, "invalid MIME"},
		{108, "device id missing or invalid"},
		{109, "device type missing or invalid"},
		{110, "server error"},
		{111, "server error, retry later"},
		{113, "mailbox quota exceeded"},
		{114, "mailbox server offline"},
		{115, "send quota exceeded"},
		{116, "message recipient unresolved"},
		{118, "message previously sent"},
		{119, "message has no recipient"},
		{120, "mail submission failed"},
		{121, "message reply failed"},
		{122, "message is too large"},
		{123, "user has no mailbox"},
		{126, "user disabled for synchronisation"},
		{129, "device blocked for this user"},
		{130, "access denied"},
		{131, "account disabled"},
		{137, "command not supported"},
		{138, "version not supported"},
		{139, "device cannot fulfil the policy"},
		{140, "remote wipe requested"},
		{141, "device cannot be provisioned"},
		{142, "device not provisioned"},
		{143, "policy refresh"},
		{144, "invalid policy key"},
		{145, "externally managed devices not allowed"},
		{150, "item not found"},
		{165, "device information required"},
		{177, "too many devices for this user"},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	return NULL;
}

static int expect_root(const struct wbxml_node *root, unsigned tag, struct err *err)
{
	char want[64], got[64];

	if (root == NULL)
		return err_set(err, ERR_BAD_INPUT, "the server's answer is empty; %s expected",
			wbxml_tag_to_str(tag, want, sizeof(want)));
	if (root->tag != tag)
		return err_set(err, ERR_BAD_INPUT, "the server answered with %s; %s expected",
			wbxml_tag_to_str(root->tag, got, sizeof(got)),
			wbxml_tag_to_str(tag, want, sizeof(want)));
	return 0;
}

/* The WAP form of 2.5: enough of it to know whether a password is demanded. */
static bool wap_wants_password(const char *text)
{
	const char *p = text == NULL ? NULL : strstr(text, "4131");

	if (p == NULL)
		return false;
	p = strstr(p, "value=");
	return p != NULL && (p[6] == '"' || p[6] == '\'') && p[7] == '0';
}

/* Anything that it forbids beside what is read by itself. */
static bool forbids_something(const struct wbxml_node *document)
{
	static const struct {
		unsigned tag;
		const char *harmless; /* an empty element is, too */
	} settings[] = {
		{TAG_Provision_AttachmentsEnabled, "1"},
		{TAG_Provision_MaxAttachmentSize, ""},
		{TAG_Provision_AllowStorageCard, "1"},
		{TAG_Provision_AllowCamera, "1"},
		{TAG_Provision_AllowBluetooth, "2"},
		{TAG_Provision_AllowWiFi, "1"},
		{TAG_Provision_AllowIrDA, "1"},
		{TAG_Provision_AllowTextMessaging, "1"},
		{TAG_Provision_AllowInternetSharing, "1"},
		{TAG_Provision_AllowDesktopSync, "1"},
		{TAG_Provision_AllowRemoteDesktop, "1"},
		{TAG_Provision_AllowBrowser, "1"},
		{TAG_Provision_AllowConsumerEmail, "1"},
		{TAG_Provision_AllowPOPIMAPEmail, "1"},
		{TAG_Provision_AllowUnsignedApplications, "1"},
		{TAG_Provision_AllowUnsignedInstallationPackages, "1"},
		{TAG_Provision_AllowHTMLEmail, "1"},
		{TAG_Provision_RequireManualSyncWhenRoaming, "0"},
		{TAG_Provision_MaxEmailBodyTruncationSize, "-1"},
		{TAG_Provision_MaxEmailHTMLBodyTruncationSize, "-1"},
	};
	const struct wbxml_node *list;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const char *text = wbxml_text(document, settings[i].tag);

		if (text != NULL && text[0] != 0 && strcmp(text, settings[i].harmless) != 0)
			return true;
	}
	list = wbxml_find(document, TAG_Provision_UnapprovedInROMApplicationList);
	if (list != NULL && list->child != NULL)
		return true;
	list = wbxml_find(document, TAG_Provision_ApprovedApplicationList);
	return list != NULL && list->child != NULL;
}

static void read_policy(const struct wbxml_node *document, struct answer_provision *ret)
{
	ret->wants_other = forbids_something(document);
	ret->wants_password = child_true(document, TAG_Provision_DevicePasswordEnabled);
	ret->wants_encryption = child_true(document, TAG_Provision_RequireDeviceEncryption) ||
				child_true(document, TAG_Provision_RequireStorageCardEncryption);
	ret->wants_smime = child_true(document, TAG_Provision_RequireSignedSMIMEMessages) ||
			   child_true(document, TAG_Provision_RequireEncryptedSMIMEMessages);
	ret->max_filter = child_number(document, TAG_Provision_MaxEmailAgeFilter, 0);
	if (ret->max_filter > 5)
		ret->max_filter = 0;
}

int answer_provision(const struct wbxml_node *root, struct answer_provision *ret, struct err *err)
{
	struct answer_provision a = {0};
	const struct wbxml_node *policy, *bytes, *document;

	if (expect_root(root, TAG_Provision_Provision, err) < 0)
		return -1;
	a.status = child_number(root, TAG_Provision_Status, 0);
	a.remote_wipe = wbxml_find(root, TAG_Provision_RemoteWipe) != NULL;
	a.account_only_wipe = wbxml_find(root, TAG_Provision_AccountOnlyRemoteWipe) != NULL;
	policy = wbxml_find(wbxml_find(root, TAG_Provision_Policies), TAG_Provision_Policy);
	a.policy_status = child_number(policy, TAG_Provision_Status, 0);
	a.policy_key = child_number(policy, TAG_Provision_PolicyKey, 0);
	bytes = wbxml_find(policy, TAG_Provision_Data);
	document = wbxml_find(bytes, TAG_Provision_EASProvisionDoc);
	a.has_policy = bytes != NULL;
	if (document != NULL)
		read_policy(document, &a);
	else if (bytes != NULL)
		a.wants_password = wap_wants_password(bytes->text);
	*ret = a;
	return 0;
}

static size_t count_children(const struct wbxml_node *node)
{
	size_t n = 0;

	for (const struct wbxml_node *c = node == NULL ? NULL : node->child; c != NULL; c = c->next)
		n++;
	return n;
}

/* Reads Add or Update. False: an entry that cannot be used. */
static bool read_folder(const struct wbxml_node *node, struct answer_folder *ret)
{
	const char *name = wbxml_text(node, TAG_FolderHierarchy_DisplayName);
	const char *parent = answer_id(node, TAG_FolderHierarchy_ParentId);

	ret->id = answer_id(node, TAG_FolderHierarchy_ServerId);
	ret->parent_id = parent == NULL ? "0" : parent;
	ret->name = name == NULL ? "" : name;
	ret->type = child_number(node, TAG_FolderHierarchy_Type, 18);
	return ret->id != NULL;
}

int answer_folders(struct arena *arena, const struct wbxml_node *root, struct answer_folders *ret,
	struct err *err)
{
	struct answer_folders a = {0};
	struct answer_folder *added, *updated;
	const struct wbxml_node *changes;
	size_t n;

	if (expect_root(root, TAG_FolderHierarchy_FolderSync, err) < 0)
		return -1;
	a.status = child_number(root, TAG_FolderHierarchy_Status, 0);
	a.sync_key = answer_id(root, TAG_FolderHierarchy_SyncKey);
	changes = wbxml_find(root, TAG_FolderHierarchy_Changes);
	n = count_children(changes) + 1;
	a.added = added = arena_x_alloc(arena, n * sizeof(*added));
	a.updated = updated = arena_x_alloc(arena, n * sizeof(*updated));
	a.deleted = arena_x_alloc(arena, n * sizeof(*a.deleted));
	for (const struct wbxml_node *c = changes == NULL ? NULL : changes->child; c != NULL;
		c = c->next) {
		if (c->tag == TAG_FolderHierarchy_Add && read_folder(c, &added[a.added_count]))
			a.added_count++;
		else if (c->tag == TAG_FolderHierarchy_Update &&
			 read_folder(c, &updated[a.updated_count]))
			a.updated_count++;
		else if (c->tag == TAG_FolderHierarchy_Delete &&
			 answer_id(c, TAG_FolderHierarchy_ServerId) != NULL)
			a.deleted[a.deleted_count++] = answer_id(c, TAG_FolderHierarchy_ServerId);
	}
	if (a.status == 0)
		return err_set(err, ERR_BAD_INPUT, "the FolderSync answer has no Status");
	if (a.status == 1 && a.sync_key == NULL)
		return err_set(err, ERR_BAD_INPUT, "the FolderSync answer has no SyncKey");
	*ret = a;
	return 0;
}

int answer_ping(struct arena *arena, const struct wbxml_node *root, struct answer_ping *ret,
	struct err *err)
{
	struct answer_ping a = {0};
	const struct wbxml_node *folders;

	if (expect_root(root, TAG_Ping_Ping, err) < 0)
		return -1;
	a.status = child_number(root, TAG_Ping_Status, 0);
	a.heartbeat_s = child_number(root, TAG_Ping_HeartbeatInterval, 0);
	a.max_folders = child_number(root, TAG_Ping_MaxFolders, 0);
	folders = wbxml_find(root, TAG_Ping_Folders);
	a.folders = arena_x_alloc(arena, (count_children(folders) + 1) * sizeof(*a.folders));
	for (const struct wbxml_node *c = wbxml_find(folders, TAG_Ping_Folder); c != NULL;
		c = wbxml_next(c, TAG_Ping_Folder)) {
		if (c->len > 0 && c->len <= ID_MAX)
			a.folders[a.folder_count++] = c->text;
	}
	if (a.status == 0)
		return err_set(err, ERR_BAD_INPUT, "the Ping answer has no Status");
	*ret = a;
	return 0;
}
