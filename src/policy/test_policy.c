#include "policy/policy.h"

#include "base/mem.h"
#include "base/test.h"

static void test_default_demands_nothing(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct policy *policy;
	struct buf wap = BUF_INIT;

	REQUIRE_OK(policy_parse("", arena, &policy, &err), &err);
	CHECK_INT(policy_value(policy, "DevicePasswordEnabled"), 0);
	CHECK_INT(policy_value(policy, "AllowCamera"), 1);
	policy_to_wap(policy, &wap);
	CHECK_STR(buf_cstr(&wap),
		"<wap-provisioningdoc><characteristic type=\"SecurityPolicy\"><parm name=\"4131\" "
		"value=\"1\"/>"
		"<parm name=\"4133\" value=\"1\"/></characteristic></wap-provisioningdoc>");
	buf_deinit(&wap);
}

static void test_password_in_wap(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct policy *policy;
	struct buf wap = BUF_INIT;

	REQUIRE_OK(
		policy_parse(
			"{\"DevicePasswordEnabled\":true,\"MinDevicePasswordLength\":6,"
			"\"MaxInactivityTimeDeviceLock\":90,\"MaxDevicePasswordFailedAttempts\":8}",
			arena, &policy, &err),
		&err);
	policy_to_wap(policy, &wap);
	CHECK(strstr(buf_cstr(&wap), "<parm name=\"4131\" value=\"0\"/>") != NULL);
	CHECK(strstr(buf_cstr(&wap), "<parm name=\"AEFrequencyValue\" value=\"2\"/>") != NULL);
	CHECK(strstr(buf_cstr(&wap), "<parm name=\"MinimumPasswordLength\" value=\"6\"/>") != NULL);
	CHECK(strstr(buf_cstr(&wap), "<parm name=\"DeviceWipeThreshold\" value=\"8\"/>") != NULL);
	buf_deinit(&wap);
}

static void test_bad_documents(void)
{
	static const struct {
		const char *json, *names;
	} cases[] = {
		{"[]", "JSON object"},
		{"{", "JSON object"},
		{"{\"AllowCamara\":1}", "AllowCamara"},
		{"{\"AllowBluetooth\":3}", "AllowBluetooth"},
		{"{\"MinDevicePasswordLength\":\"x\"}", "MinDevicePasswordLength"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(arena_free) struct arena *arena = arena_new(0);
		struct err err = ERR_INIT;
		struct policy *policy;

		CHECK_INT(policy_parse(cases[i].json, arena, &policy, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		CHECK(strstr(err.text, cases[i].names) != NULL);
	}
}

static void test_gate(void)
{
	static const struct {
		uint32_t key, stored;
		bool sent;
		uint16_t version;
		uint64_t acknowledged;
		int64_t provisioned_at;
		enum wipe_state wipe;
		enum policy_gate want;
	} cases[] = {
		{7, 7, true, 141, 3, 100, WIPE_NONE, POLICY_PASS},
		{0, 7, true, 141, 3, 100, WIPE_NONE, POLICY_NOT_PROVISIONED},
		{7, 0, true, 141, 3, 100, WIPE_NONE, POLICY_NOT_PROVISIONED},
		{8, 7, true, 141, 3, 100, WIPE_NONE, POLICY_KEY_INVALID},
		{7, 7, true, 141, 2, 100, WIPE_NONE, POLICY_KEY_INVALID},
		{7, 7, true, 141, 3, -4000, WIPE_NONE, POLICY_REFRESH},
		{7, 7, true, 141, 3, 100, WIPE_ORDERED, POLICY_WIPE},
		{0, 0, false, 25, 3, 100, WIPE_NONE, POLICY_NOT_PROVISIONED},
		{0, 0, false, 141, 3, 100, WIPE_NONE, POLICY_NOT_PROVISIONED},
	};
	struct policy_rules rules = {true, true, 1};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct device device = {
			.policy_key = cases[i].stored,
			.policy_version = cases[i].acknowledged,
			.provisioned_at = cases[i].provisioned_at,
			.wipe = cases[i].wipe,
		};

		struct policy_request request = {cases[i].key, cases[i].sent, cases[i].version, 0};

		CHECK_INT(policy_check(&device, 3, &rules, &request, 200), cases[i].want);
	}
}

static void test_phone_without_policies(void)
{
	struct policy_rules rules = {true, true, 1};
	struct policy_request request = {.version = 25};
	struct device device = {.policy_key = 0};

	CHECK_INT(policy_check(&device, 3, &rules, &request, 200), POLICY_NOT_PROVISIONED);
	request.told = POLICY_TELLINGS;
	CHECK_INT(policy_check(&device, 3, &rules, &request, 200), POLICY_PASS);
	rules.allow_non_provisionable = false;
	CHECK_INT(policy_check(&device, 3, &rules, &request, 200), POLICY_LEGACY);
	rules.required = false;
	request = (struct policy_request){.version = 141};
	CHECK_INT(policy_check(&device, 3, &rules, &request, 200), POLICY_PASS);
}

TEST_MAIN(TEST(test_default_demands_nothing), TEST(test_password_in_wap), TEST(test_bad_documents),
	TEST(test_gate), TEST(test_phone_without_policies))
