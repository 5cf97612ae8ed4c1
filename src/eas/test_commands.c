/* Provision, FolderSync, GetItemEstimate and ItemOperations, driven through eas_handle(). */
#include "eas/test_eas_util.h"

static void add_policy(
	struct wbxml_writer *w, const char *type, const char *key, const char *status)
{
	wbxml_start(w, TAG_Provision_Policies);
	wbxml_start(w, TAG_Provision_Policy);
	wbxml_add_text(w, TAG_Provision_PolicyType, type);
	if (key != NULL) {
		wbxml_add_text(w, TAG_Provision_PolicyKey, key);
		wbxml_add_text(w, TAG_Provision_Status, status);
	}
	wbxml_end(w);
	wbxml_end(w);
}

static void add_information(struct wbxml_writer *w)
{
	wbxml_start(w, TAG_Settings_DeviceInformation);
	wbxml_start(w, TAG_Settings_Set);
	wbxml_add_text(w, TAG_Settings_Model, "Test phone");
	wbxml_end(w);
	wbxml_end(w);
}

/* One phase; returns the Policy element of the answer. */
static const struct wbxml_node *provision(
	struct phone *p, const char *key, const char *status, bool information)
{
	bool old = strcmp(p->version, "2.5") == 0;
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_Provision_Provision);
	if (information)
		add_information(&w);
	add_policy(&w, old ? "MS-WAP-Provisioning-XML" : "MS-EAS-Provisioning-WBXML", key, status);
	wbxml_end(&w);
	phone_send(p, "Provision", &body);
	return wbxml_find(wbxml_find(p->root, TAG_Provision_Policies), TAG_Provision_Policy);
}

static void folder_sync(struct phone *p, const char *key)
{
	struct buf body = BUF_INIT;
	struct wbxml_writer w;

	wbxml_writer_init(&w, &body);
	wbxml_start(&w, TAG_FolderHierarchy_FolderSync);
	wbxml_add_text(&w, TAG_FolderHierarchy_SyncKey, key);
	wbxml_end(&w);
	phone_send(p, "FolderSync", &body);
}

static void test_provision_phases(void)
{
	static const char *const versions[] = {"2.5", "12.1", "14.0", "14.1", "16.1"};
	static const char *const devices[] = {"a", "b", "c", "d", "e"};
	struct world *w = world_new("");

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct phone p = {
			.w = w, .login = "anna", .device_id = devices[i], .version = versions[i]};
		bool information = i >= 3;
		const struct wbxml_node *policy;
		char temporary[16] = "", final[16];

		policy = provision(&p, NULL, NULL, information);
		CHECK_INT(root_status(&p, TAG_Provision_Status), 1);
		CHECK_STR(wbxml_text(policy, TAG_Provision_Status), "1");
		CHECK(wbxml_find(policy, TAG_Provision_Data) != NULL);
		REQUIRE(wbxml_text(policy, TAG_Provision_PolicyKey) != NULL);
		(void)snprintf(temporary, sizeof(temporary), "%s",
			wbxml_text(policy, TAG_Provision_PolicyKey));
		policy = provision(&p, "1", "1", false);
		CHECK_STR(wbxml_text(policy, TAG_Provision_Status), "5");
		policy = provision(&p, temporary, "1", false);
		CHECK_STR(wbxml_text(policy, TAG_Provision_Status), "1");
		CHECK(wbxml_find(policy, TAG_Provision_Data) == NULL);
		(void)snprintf(
			final, sizeof(final), "%s", wbxml_text(policy, TAG_Provision_PolicyKey));
		CHECK(strcmp(final, temporary) != 0);
		/* The answer got lost: the same key again. */
		policy = provision(&p, temporary, "1", false);
		CHECK_STR(wbxml_text(policy, TAG_Provision_PolicyKey), final);
		phone_forget(&p);
	}
	world_free(&w);
}

static void test_unprovisioned_is_stopped(void)
{
	struct world *w = world_new("");
	struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "12.1"};

	folder_sync(&p, "0");
	CHECK_INT(p.reply.status, 449);
	p.version = "14.1";
	folder_sync(&p, "0");
	CHECK_INT(p.reply.status, 200);
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 142);
	(void)provision(&p, NULL, NULL, false);
	CHECK_INT(root_status(&p, TAG_Provision_Status), 165);
	phone_forget(&p);
	world_free(&w);
}

static void test_folder_sync(void)
{
	struct world *w = world_new("[policy]\nrequired = no\n");
	struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "14.1"};
	struct wbxml_node *changes;
	char key[20];

	folder_sync(&p, "0");
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 1);
	changes = wbxml_find(p.root, TAG_FolderHierarchy_Changes);
	CHECK_STR(wbxml_text(changes, TAG_FolderHierarchy_Count), "11");
	(void)snprintf(key, sizeof(key), "%s", wbxml_text(p.root, TAG_FolderHierarchy_SyncKey));
	folder_sync(&p, key);
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 1);
	CHECK_STR(wbxml_text(p.root, TAG_FolderHierarchy_SyncKey), key);
	CHECK_STR(wbxml_text(wbxml_find(p.root, TAG_FolderHierarchy_Changes),
			  TAG_FolderHierarchy_Count),
		"0");
	folder_sync(&p, "1234");
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 9);
	phone_forget(&p);
	world_free(&w);
}

static void test_disabled_and_blocked(void)
{
	struct world *w = world_new("[policy]\nrequired = no\n");
	struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "14.1"};
	struct phone bad = {.w = w, .login = "anna", .device_id = "one", .version = "14.7"};

	folder_sync(&bad, "0");
	CHECK_INT(bad.reply.status, 400);
	phone_send(&p, "ValidateCert", NULL);
	CHECK_INT(p.reply.status, 200);
	CHECK_INT(root_status(&p, TAG_ValidateCert_Status), 137);
	p.version = "12.1";
	phone_send(&p, "ValidateCert", NULL);
	CHECK_INT(p.reply.status, 501);
	phone_forget(&p);
	phone_forget(&bad);
	world_free(&w);
}

static void test_limit_of_devices(void)
{
	struct world *w = world_new("[policy]\nrequired = no\n[eas]\ndevices_per_user = 1\n");
	struct phone p = {.w = w, .login = "anna", .device_id = "one", .version = "14.1"};
	struct phone q = {.w = w, .login = "anna", .device_id = "two", .version = "14.1"};

	folder_sync(&p, "0");
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 1);
	folder_sync(&q, "0");
	CHECK_INT(root_status(&q, TAG_FolderHierarchy_Status), 177);
	q.version = "12.1";
	folder_sync(&q, "0");
	CHECK_INT(q.reply.status, 403);
	folder_sync(&p, "0");
	CHECK_INT(root_status(&p, TAG_FolderHierarchy_Status), 1);
	phone_forget(&p);
	phone_forget(&q);
	world_free(&w);
}

TEST_MAIN(TEST(test_provision_phases), TEST(test_unprovisioned_is_stopped), TEST(test_folder_sync),
	TEST(test_disabled_and_blocked), TEST(test_limit_of_devices))
