/*
 * What the tables cannot say: elements that need or exclude each other, and counts over a whole
 * request. Called when an element's children have passed one by one. The rules for items are in
 * schema_item_rules.c. Pure.
 */
#include "eas/schema_internal.h"

#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "eas/request.h"

#define HALF_HOUR_MS      INT64_C(1800000)
#define SPAN_MAX_MS       (INT64_C(42) * 86400000)
#define PING_COMPARED_MAX 32u /* folders that are compared one by one, which is what phones have   \
			       */

static size_t count_children(const struct wbxml_node *node)
{
	size_t n = 0;

	for (const struct wbxml_node *child = node == NULL ? NULL : node->child; child != NULL;
		child = child->next)
		n++;
	return n;
}

static size_t count_tag(const struct wbxml_node *node, unsigned tag)
{
	size_t n = 0;

	for (const struct wbxml_node *child = wbxml_find(node, tag); child != NULL;
		child = wbxml_next(child, tag))
		n++;
	return n;
}

/* ---- Sync ---- */

static size_t count_commands(const struct wbxml_node *collections)
{
	const struct wbxml_node *collection = wbxml_find(collections, TAG_AirSync_Collection);
	size_t n = 0;

	for (; collection != NULL; collection = wbxml_next(collection, TAG_AirSync_Collection))
		n += count_children(wbxml_find(collection, TAG_AirSync_Commands));
	return n;
}

SCHEMA_RULE(sync)
{
	struct wbxml_node *collections = wbxml_find(node, TAG_AirSync_Collections);
	bool partial = eas_has(node, TAG_AirSync_Partial);

	if (collections == NULL && !partial)
		return schema_raise(c, node, 0, "has neither Collections nor Partial");
	if (collections == NULL && count_children(node) == 1)
		return schema_raise(c, node, 0, "has nothing but Partial");
	if (eas_has(node, TAG_AirSync_Wait) && eas_has(node, TAG_AirSync_HeartbeatInterval))
		return schema_raise(c, node, 0, "has both Wait and HeartbeatInterval");
	if (count_children(collections) > c->limits->sync_collections) {
		c->fault->limit = c->version >= 121 ? c->limits->sync_collections : 0;
		return schema_raise(c, collections, c->version >= 121 ? 15 : 4,
			"has more than %u collections", c->limits->sync_collections);
	}
	if (count_commands(collections) > c->limits->sync_commands)
		return schema_raise(
			c, collections, 0, "has more than %u commands", c->limits->sync_commands);
	return 0;
}

/* Two blocks are one for SMS and one for the mail beside it. */
static int check_options_pair(struct schema_checker *c, struct wbxml_node *node)
{
	struct wbxml_node *first = wbxml_find(node, TAG_AirSync_Options);
	struct wbxml_node *second = wbxml_next(first, TAG_AirSync_Options);
	const char *a, *b;

	if (second == NULL)
		return 0;
	a = eas_get_text(first, TAG_AirSync_Class, "Email");
	b = eas_get_text(second, TAG_AirSync_Class, "Email");
	if ((str_eq(a, "SMS") && str_eq(b, "Email")) || (str_eq(a, "Email") && str_eq(b, "SMS")))
		return 0;
	return schema_raise(c, second, 0, "is a second one for %s beside %s", b, a);
}

SCHEMA_RULE(sync_collection)
{
	bool old_default = c->version == 25 && eas_has(node, TAG_AirSync_Class);

	if (!eas_has(node, TAG_AirSync_CollectionId) && !old_default)
		return schema_raise(c, node, 0, "CollectionId is missing");
	if (str_eq(wbxml_text(node, TAG_AirSync_SyncKey), "0")) {
		if (eas_get_bool(node, TAG_AirSync_GetChanges, false))
			return schema_raise(c, node, 0, "asks for changes with SyncKey 0");
		if (count_children(wbxml_find(node, TAG_AirSync_Commands)) > 0)
			return schema_raise(c, node, 0, "has commands with SyncKey 0");
	}
	return check_options_pair(c, node);
}

/* Also of Fetch and Search: one BodyPreference per type. */
SCHEMA_RULE(options)
{
	struct wbxml_node *preference = wbxml_find(node, TAG_AirSyncBase_BodyPreference);
	unsigned seen = 0;

	for (; preference != NULL;
		preference = wbxml_next(preference, TAG_AirSyncBase_BodyPreference)) {
		unsigned bit = 1u << (eas_get_uint(preference, TAG_AirSyncBase_Type, 0) & 7);

		if ((seen & bit) != 0)
			return schema_raise(c, preference, c->command == EAS_CMD_Search ? 2 : 0,
				"repeats a Type");
		seen |= bit;
	}
	return 0;
}

/* ---- GetItemEstimate ---- */

SCHEMA_RULE(estimate)
{
	if (count_children(node) > c->limits->estimate_collections)
		return schema_raise(c, node, 0, "has more than %u collections",
			c->limits->estimate_collections);
	return 0;
}

SCHEMA_RULE(estimate_options)
{
	return node->child == NULL ? schema_raise(c, node, 0, "is empty") : 0;
}

/* ---- Ping ---- */

SCHEMA_RULE(ping)
{
	return node->child == NULL ? schema_raise(c, node, 0, "is empty") : 0;
}

/* The first folder of a long list that comes again; NULL: none. */
static struct wbxml_node *repeated_by_map(const struct wbxml_node *folders)
{
	struct wbxml_node *folder = folders->child, *again = NULL;
	struct map *ids = map_new();

	for (; folder != NULL && again == NULL; folder = folder->next) {
		const struct wbxml_node *id = wbxml_find(folder, TAG_Ping_Id);

		if (map_put(ids, id->text, id->len, folder) != NULL)
			again = folder;
	}
	map_free(&ids);
	return again;
}

static struct wbxml_node *repeated(const struct wbxml_node *folders)
{
	const struct wbxml_node *ids[PING_COMPARED_MAX];
	size_t count = 0;

	for (struct wbxml_node *folder = folders->child; folder != NULL; folder = folder->next) {
		const struct wbxml_node *id = wbxml_find(folder, TAG_Ping_Id);

		for (size_t i = 0; i < count; i++) {
			if (ids[i]->len == id->len && memcmp(ids[i]->text, id->text, id->len) == 0)
				return folder;
		}
		if (count == PING_COMPARED_MAX)
			return repeated_by_map(folders);
		ids[count++] = id;
	}
	return NULL;
}

SCHEMA_RULE(ping_folders)
{
	struct wbxml_node *again = repeated(node);

	return again == NULL ? 0 : schema_raise(c, again, 0, "comes twice");
}

/* ---- Provision ---- */

SCHEMA_RULE(provision)
{
	const struct wbxml_node *policy =
		wbxml_find(wbxml_find(node, TAG_Provision_Policies), TAG_Provision_Policy);
	struct wbxml_node *stray = wbxml_find(node, TAG_Provision_Status);

	if (stray != NULL && !eas_has(node, TAG_Provision_RemoteWipe) &&
		!eas_has(node, TAG_Provision_AccountOnlyRemoteWipe))
		return schema_raise(c, stray, 0, "stands without a wipe");
	if (c->version >= 141 && policy != NULL && !eas_has(policy, TAG_Provision_Status) &&
		!eas_has(policy, TAG_Provision_PolicyKey) &&
		!eas_has(node, TAG_Settings_DeviceInformation))
		return schema_raise(
			c, node, EAS_STATUS_DEVICE_INFORMATION, "DeviceInformation is missing");
	return 0;
}

/* An acknowledgment names the key, then what became of it; PolicyType may stand anywhere. */
SCHEMA_RULE(policy)
{
	struct wbxml_node *status = wbxml_find(node, TAG_Provision_Status);

	if (status == NULL)
		return eas_has(node, TAG_Provision_PolicyKey)
			       ? schema_raise(c, node, 0, "Status is missing")
			       : 0;
	if (!eas_has(node, TAG_Provision_PolicyKey))
		return schema_raise(c, node, 0, "PolicyKey is missing");
	if (wbxml_next(status, TAG_Provision_PolicyKey) != NULL)
		return schema_raise(c, status, 0, "stands before PolicyKey");
	return 0;
}

SCHEMA_RULE(device_information_set)
{
	if (c->command == EAS_CMD_Provision && !eas_has(node, TAG_Settings_Model))
		return schema_raise(c, node, 0, "Model is missing");
	return node->child == NULL ? schema_raise(c, node, 0, "is empty") : 0;
}

/* ---- SmartForward, SmartReply ---- */

SCHEMA_RULE(smart_forward)
{
	static const unsigned excluded[] = {TAG_ComposeMail_Mime, TAG_ComposeMail_SaveInSentItems,
		TAG_ComposeMail_ReplaceMime, TAG_RightsManagement_TemplateID};

	if (!eas_has(node, TAG_ComposeMail_Forwardees) && !eas_has(node, TAG_AirSyncBase_Body)) {
		if (!eas_has(node, TAG_ComposeMail_Mime))
			return schema_raise(c, node, 0, "Mime is missing");
		return 0;
	}
	for (size_t i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++) {
		struct wbxml_node *other = wbxml_find(node, excluded[i]);

		if (other != NULL)
			return schema_raise(c, other, EAS_STATUS_INVALID_MIME_BODY,
				"excludes Forwardees and Body");
	}
	return 0;
}

SCHEMA_RULE(mail_source)
{
	bool by_id = eas_has(node, TAG_ComposeMail_ItemId);
	bool by_folder = eas_has(node, TAG_ComposeMail_FolderId);
	bool by_long_id = eas_has(node, TAG_ComposeMail_LongId);

	if (by_long_id && (by_id || by_folder))
		return schema_raise(c, node, EAS_STATUS_INVALID_COMBINATION_OF_IDS,
			"has LongId beside other ids");
	return by_long_id || by_id ? 0 : schema_raise(c, node, 0, "names no item");
}

/* ---- Search ---- */

static int check_search_by_store(
	struct schema_checker *c, const char *name, struct wbxml_node *query)
{
	const struct wbxml_node *and = wbxml_find(query, TAG_Search_And);

	if (str_eq_nocase(name, "GAL"))
		return query->child != NULL || query->len == 0
			       ? schema_raise(c, query, 2, "is not a text")
			       : 0;
	if (c->version < 120)
		return schema_raise(c, query, 2, "is for a store of a later version");
	if (str_eq_nocase(name, "Mailbox")) {
		if (and == NULL)
			return schema_raise(c, query, 2, "And is missing");
		if (eas_has(wbxml_find(query->parent, TAG_Search_Options),
			    TAG_AirSyncBase_BodyPartPreference) &&
			!eas_has(and, TAG_Search_ConversationId))
			return schema_raise(c, query, 2, "BodyPartPreference needs ConversationId");
		return 0;
	}
	if (str_eq_nocase(name, "DocumentLibrary"))
		return eas_has(query, TAG_Search_EqualTo)
			       ? 0
			       : schema_raise(c, query, 2, "EqualTo is missing");
	return schema_raise(c, query, 2, "is for an unknown store");
}

SCHEMA_RULE(search_store)
{
	return check_search_by_store(
		c, wbxml_text(node, TAG_Search_Name), wbxml_find(node, TAG_Search_Query));
}

SCHEMA_RULE(search_query)
{
	if (eas_has(node, TAG_Search_Or))
		return schema_raise(c, node, 8, "Or is not supported");
	if (eas_has(node, TAG_Search_And) && eas_has(node, TAG_Search_EqualTo))
		return schema_raise(c, node, 2, "has both And and EqualTo");
	return 0;
}

SCHEMA_RULE(find_search)
{
	return count_children(node) == 1 ? 0 : schema_raise(c, node, 0, "is not one criterion");
}

/* ---- Settings ---- */

SCHEMA_RULE(oof)
{
	return count_children(node) == 1
		       ? 0
		       : schema_raise(c, node, 0, "is neither one Get nor one Set");
}

SCHEMA_RULE(oof_set)
{
	if (eas_has(node, TAG_Settings_StartTime) != eas_has(node, TAG_Settings_EndTime))
		return schema_raise(c, node, 2, "has one of StartTime and EndTime");
	return 0;
}

SCHEMA_RULE(oof_message)
{
	size_t audiences = count_tag(node, TAG_Settings_AppliesToInternal) +
			   count_tag(node, TAG_Settings_AppliesToExternalKnown) +
			   count_tag(node, TAG_Settings_AppliesToExternalUnknown);

	if (audiences != 1)
		return schema_raise(c, node, 0, "is not for one audience");
	if (eas_has(node, TAG_Settings_ReplyMessage) && !eas_has(node, TAG_Settings_BodyType))
		return schema_raise(c, node, 0, "BodyType is missing");
	return 0;
}

/* ---- ResolveRecipients, ValidateCert ---- */

SCHEMA_RULE(recipients)
{
	if (count_tag(node, TAG_ResolveRecipients_To) > c->limits->recipients)
		return schema_raise(
			c, node, 0, "has more than %u recipients", c->limits->recipients);
	return 0;
}

SCHEMA_RULE(availability)
{
	int64_t start = eas_get_date_ms(node, TAG_ResolveRecipients_StartTime, 0);
	int64_t end =
		eas_get_date_ms(node, TAG_ResolveRecipients_EndTime, start + INT64_C(7) * 86400000);

	if (end < start + HALF_HOUR_MS || end - start > SPAN_MAX_MS)
		return schema_raise(
			c, node, 0, "is shorter than 30 minutes or longer than 42 days");
	return 0;
}

SCHEMA_RULE(validate_cert)
{
	size_t n = count_children(wbxml_find(node, TAG_ValidateCert_Certificates)) +
		   count_children(wbxml_find(node, TAG_ValidateCert_CertificateChain));

	if (n > c->limits->certificates)
		return schema_raise(
			c, node, 0, "has more than %u certificates", c->limits->certificates);
	return 0;
}
