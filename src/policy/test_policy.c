#include "policy/effective.h"

#include "base/mem.h"
#include "base/str.h"
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

#define HASH "0123456789012345678901234567890123456789"

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
		{"{\"MinDevicePasswordLength\":19}", "outside 1 to 18"},
		{"{\"AllowCamera\":null}", "AllowCamera"},
		{"{\"MaxCalendarAgeFilter\":2}", "without 1 to 3"},
		{"{\"MinDevicePasswordLength\":true}", "must be a number from 1 to 18, or null"},
		{"{\"AllowBluetooth\":true}", "must be a number from 0 to 2"},
		{"{\"AllowCamera\":2}", "AllowCamera must be true or false"},
		{"{\"AllowCamera\":\"no\"}", "AllowCamera must be true or false"},
		{"{\"AllowCamera\":0.5}", "AllowCamera must be true or false"},
		{"{\"ApprovedApplicationList\":[\"" HASH "\",\"abc\"]}",
			"entry 2, \"abc\", is not a SHA-1"},
		{"{\"ApprovedApplicationList\":\"abc\"}", "SHA-1"},
		{"{\"UnapprovedInROMApplicationList\":[\"\"]}", "entry 1, \"\", is not"},
		{"{\"UnapprovedInROMApplicationList\":[\"a.exe\",1]}", "entry 2 is not the name"},
		{"{\"UnapprovedInROMApplicationList\":[\"a.exe \"]}",
			"\"a.exe \", is not the name"},
		{"{\"UnapprovedInROMApplicationList\":[\"\\u202eexe.a\"]}", "visible"},
		{"{\"UnapprovedInROMApplicationList\":\"a.exe\"}", "names of files"},
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
	struct policy_rules rules = {true, true, true, true, true, 1};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct device device = {
			.policy_key = cases[i].stored,
			.policy_version = cases[i].acknowledged,
			.policy_status = POLICY_STATUS_FULL,
			.provisioned_at = cases[i].provisioned_at,
			.wipe = cases[i].wipe,
		};

		struct policy_request request = {cases[i].key, cases[i].sent, cases[i].version, 0};

		CHECK_INT(policy_check(&device, 3, &rules, &request, 200), cases[i].want);
	}
}

static void test_phone_without_policies(void)
{
	struct policy_rules rules = {true, true, true, true, true, 1};
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

/* Need not provision; one that did once hears of it, but not for ever. */
static void test_not_required(void)
{
	struct policy_rules rules = {.required = false};
	struct device device = {
		.policy_key = 7, .policy_version = 3, .policy_status = POLICY_STATUS_FULL};
	struct policy_request request = {.key = 7, .key_sent = true, .version = 141};

	CHECK_INT(policy_check(&device, 3, &rules, &request, 200), POLICY_PASS);
	CHECK(!policy_pending(&device, 3, &rules, 0, 200));
	CHECK_INT(policy_check(&device, 4, &rules, &request, 200), POLICY_KEY_INVALID);
	CHECK(policy_pending(&device, 4, &rules, 0, 200));
	request.told = POLICY_TELLINGS;
	CHECK_INT(policy_check(&device, 4, &rules, &request, 200), POLICY_PASS);
	CHECK(!policy_pending(&device, 4, &rules, POLICY_TELLINGS, 200));
	device.policy_key = 0;
	request = (struct policy_request){.version = 141};
	CHECK_INT(policy_check(&device, 4, &rules, &request, 200), POLICY_PASS);
	CHECK(!policy_pending(&device, 4, &rules, 0, 200));
}

/* What a phone that waits without a key would hear. */
static void test_waiting_without_key(void)
{
	static const struct {
		uint32_t temporary;
		uint64_t version;
		uint8_t status;
		uint16_t protocol;
		unsigned told;
		bool lenient;
		const char *type;
		enum policy_gate want;
	} cases[] = {
		/* Never had to before. */
		{0, 0, POLICY_STATUS_NONE, 141, 0, true, "Phone", POLICY_NOT_PROVISIONED},
		{0, 0, POLICY_STATUS_NONE, 141, 9, true, "Phone", POLICY_NOT_PROVISIONED},
		{0, 3, POLICY_STATUS_NONE, 141, 0, true, "Phone", POLICY_NOT_PROVISIONED},
		{0, 0, POLICY_STATUS_NONE, 25, 0, true, "Phone", POLICY_NOT_PROVISIONED},
		/* Knows nothing of policies. */
		{0, 0, POLICY_STATUS_NONE, 25, POLICY_TELLINGS, true, "Phone", POLICY_PASS},
		{0, 0, POLICY_STATUS_NONE, 25, POLICY_TELLINGS, false, "Phone",
			POLICY_NOT_PROVISIONED},
		{0, 0, POLICY_STATUS_NONE, 141, 0, true, "TestActiveSyncConnectivity", POLICY_PASS},
		{0, 0, POLICY_STATUS_NONE, 141, 0, false, "TestActiveSyncConnectivity",
			POLICY_LEGACY},
		/* In the middle; kept out, by this document, or by another one. */
		{5, 3, POLICY_STATUS_NONE, 141, 0, false, "Phone", POLICY_PASS},
		{5, 3, POLICY_STATUS_PARTIAL, 141, 0, false, "Phone", POLICY_PASS},
		{5, 2, POLICY_STATUS_PARTIAL, 141, 0, false, "Phone", POLICY_NOT_PROVISIONED},
		/* What kept it out does no more. */
		{5, 3, POLICY_STATUS_PARTIAL, 141, 0, true, "Phone", POLICY_NOT_PROVISIONED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool in = cases[i].lenient;
		struct policy_rules rules = {true, in, in, in, in, 0};
		struct device device = {.policy_key_temporary = cases[i].temporary,
			.policy_version = cases[i].version,
			.policy_status = cases[i].status,
			.protocol_version = cases[i].protocol,
			.device_type = cases[i].type};

		CHECK_INT(policy_pending(&device, 3, &rules, cases[i].told, 200), cases[i].want);
	}
}

static void test_acknowledgments(void)
{
	struct policy_rules rules = {.required = true, .allow_partial = true};
	struct policy_request request = {.key = 7, .key_sent = true, .version = 141};
	struct device device = {.policy_key = 7, .policy_version = 3};

	for (unsigned status = POLICY_STATUS_FULL; status <= POLICY_STATUS_OTHER; status++) {
		bool in = status <= POLICY_STATUS_PARTIAL;

		device.policy_status = (uint8_t)status;
		CHECK_INT(policy_accepts(&rules, status), in);
		CHECK_INT(policy_check(&device, 3, &rules, &request, 200),
			in ? POLICY_PASS : POLICY_KEY_INVALID);
		CHECK_INT(policy_pending(&device, 3, &rules, 0, 200),
			in ? POLICY_PASS : POLICY_KEY_INVALID);
	}
	CHECK_STR(policy_status_to_str(POLICY_STATUS_REFUSED), "refused");
}

static void test_options(void)
{
	struct policy_rules configured = {.required = true, .refresh_interval_h = 24}, rules;
	struct policy_options options;
	struct err err = ERR_INIT;

	REQUIRE_OK(policy_options_parse("", &options, &err), &err);
	policy_options_resolve(&options, &configured, &rules);
	CHECK(rules.required && !rules.allow_non_provisionable && !rules.allow_partial);
	CHECK_INT(rules.refresh_interval_h, 24);
	REQUIRE_OK(policy_options_parse("{\"required\":false,\"allow_non_provisionable\":true,"
					"\"allow_refused\":false,\"refresh_interval_h\":0}",
			   &options, &err),
		&err);
	policy_options_resolve(&options, &configured, &rules);
	CHECK(!rules.required && rules.allow_non_provisionable && rules.allow_partial &&
		!rules.allow_refused && rules.allow_other);
	CHECK_INT(rules.refresh_interval_h, 0);
	CHECK_INT(policy_options_parse("{\"required\":1}", &options, &err), -1);
	CHECK_INT(policy_options_parse("{\"refresh_interval_h\":10000}", &options, &err), -1);
	CHECK_INT(policy_options_parse("{\"nonsense\":true}", &options, &err), -1);
	CHECK_INT(policy_options_parse("[]", &options, &err), -1);
	options = policy_options_restore("{\"nonsense\":true,\"required\":true}");
	CHECK_INT(options.required, 1);
}

static uint64_t hash_of(const char *json, unsigned version)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct policy *policy;

	REQUIRE_OK(policy_parse(json, arena, &policy, &err), &err);
	return policy_hash(policy, version);
}

/* The number follows what the policy says, and the form in which it is sent, and nothing else. */
static void test_hash(void)
{
	static const char camera[] = "{\"AllowCamera\":false}";
	static const char same[] = "{\"AllowCamera\":0,\"AllowBluetooth\":2}";

	CHECK(hash_of(camera, 161) != hash_of("", 161));
	CHECK(hash_of(camera, 121) == hash_of(same, 161));
	CHECK(hash_of(camera, 25) == hash_of(same, 25));
	CHECK(hash_of(camera, 25) != hash_of(camera, 120));
	CHECK(hash_of(camera, 120) != hash_of(camera, 121));
	CHECK(hash_of("{\"UnapprovedInROMApplicationList\":[\"a\",\"b\"]}", 141) !=
		hash_of("{\"UnapprovedInROMApplicationList\":[\"ab\"]}", 141));
}

static void test_restore(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct policy *policy =
		policy_restore("{\"Nonsense\":1,\"AllowCamera\":9,\"AllowWiFi\":0}", arena);

	CHECK_INT(policy_value(policy, "AllowCamera"), 1);
	CHECK_INT(policy_value(policy, "AllowWiFi"), 0);
	CHECK_INT(policy_value(policy_restore("{", arena), "AllowWiFi"), 1);
	for (size_t i = 0; i + 1 < policy->count; i++)
		CHECK(policy->settings[i].info->tag < policy->settings[i + 1].info->tag);
}

/* Every setting has its words, and each kind of phone is thought of. */
static void test_table(void)
{
	for (size_t i = 0; i < policy_settings_count; i++) {
		const struct policy_setting_info *info = &policy_settings[i];

		CHECK(str_ends(info->text, "."));
		CHECK(i == 0 || info->group != POLICY_CLASSIC ||
			policy_settings[i - 1].group == POLICY_CLASSIC);
		CHECK(policy_effect_of(info, POLICY_ANDROID).effect != POLICY_EFFECT_UNKNOWN);
		CHECK(policy_effect_of(info, POLICY_ANDROID).source[0] != '\0');
		CHECK(policy_effect_of(info, POLICY_WINDOWS_MOBILE).effect !=
			POLICY_EFFECT_UNKNOWN);
		CHECK_INT(policy_effect_of(info, POLICY_PLATFORM_UNKNOWN).effect,
			POLICY_EFFECT_UNKNOWN);
		CHECK_STR(policy_effect_of(info, POLICY_PLATFORM_UNKNOWN).source, "");
	}
	CHECK_INT(policy_settings_count, 42);
}

static struct policy_finding on(
	const struct policy *policy, const char *setting, const struct device *device)
{
	return policy_effect_on(policy, policy_find(policy, setting), device);
}

static void test_effects(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct policy *policy =
		policy_restore("{\"AllowCamera\":false,\"RequireDeviceEncryption\":true}", arena);
	struct device phone = {
		.device_type = "iPhone", .user_agent = "", .os = "", .protocol_version = 161};

	CHECK_INT(on(policy, "AllowCamera", &phone).effect, POLICY_EFFECT_ENFORCED);
	CHECK_STR(on(policy, "AllowCamera", &phone).source, "");
	CHECK_INT(on(policy, "MinDevicePasswordLength", &phone).effect, POLICY_EFFECT_OFF);
	CHECK_INT(on(policy, "RequireDeviceEncryption", &phone).effect, POLICY_EFFECT_OFF);
	phone.protocol_version = 25;
	CHECK_INT(on(policy, "AllowCamera", &phone).effect, POLICY_EFFECT_NOT_SENT);
	CHECK_STR(on(policy, "AllowCamera", &phone).note, "needs protocol version 12.1");
	phone = (struct device){.device_type = "SAMSUNGSGHI317M", .user_agent = "", .os = ""};
	CHECK_INT(policy_platform_of(&phone), POLICY_ANDROID);
	phone.device_type = "WP8";
	CHECK_INT(policy_platform_of(&phone), POLICY_PLATFORM_UNKNOWN);
	phone.user_agent = "MSFT-PPC/5.2.5067";
	CHECK_INT(policy_platform_of(&phone), POLICY_WINDOWS_MOBILE);
}

/* iOS and Android count kinds of characters only while letters and digits are asked for. */
static void test_effects_of_kinds(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	static const char loose[] = "{\"DevicePasswordEnabled\":true,"
				    "\"MinDevicePasswordComplexCharacters\":3,"
				    "\"AlphanumericDevicePasswordRequired\":false}";
	static const char strict[] = "{\"DevicePasswordEnabled\":true,"
				     "\"MinDevicePasswordComplexCharacters\":3,"
				     "\"AlphanumericDevicePasswordRequired\":true}";
	static const char *const types[] = {"iPhone", "Android"};
	static const char name[] = "MinDevicePasswordComplexCharacters";
	struct device phone = {.user_agent = "", .os = "", .protocol_version = 141};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		phone.device_type = types[i];
		CHECK_INT(on(policy_restore(loose, arena), name, &phone).effect, POLICY_EFFECT_OFF);
		CHECK_STR(on(policy_restore(loose, arena), name, &phone).note,
			"AlphanumericDevicePasswordRequired is off");
		CHECK_INT(on(policy_restore(strict, arena), name, &phone).effect,
			POLICY_EFFECT_ENFORCED);
		CHECK(on(policy_restore(strict, arena), name, &phone).source[0] != '\0');
	}
	phone.device_type = "PocketPC";
	CHECK_INT(on(policy_restore(loose, arena), name, &phone).effect, POLICY_EFFECT_ENFORCED);
}

TEST_MAIN(TEST(test_not_required), TEST(test_waiting_without_key), TEST(test_acknowledgments),
	TEST(test_options), TEST(test_hash), TEST(test_restore), TEST(test_table),
	TEST(test_effects), TEST(test_effects_of_kinds), TEST(test_default_demands_nothing),
	TEST(test_password_in_wap), TEST(test_bad_documents), TEST(test_gate),
	TEST(test_phone_without_policies))
