#include "policy/access.h"

#include "base/str.h"
#include "policy/service.h"
#include "store/test_store_util.h"

static const struct access_facts iphone = {"ApplDN123", "iPhone", "iPhone 8", "iOS 12.4.1 16G102",
	"Apple-iPhone10C1/1607.102", 141, true};

static void test_patterns(void)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"iPhone", "iphone", true},
		{"iPhone", "iPhone 8", false},
		{"iPhone*", "iPhone 8", true},
		{"*", "", true},
		{"?", "", false},
		{"", "", true},
		{"", "x", false},
		{"*.4.*", "iOS 12.4.1", true},
		{"*.4", "iOS 12.4.1", false},
		{"a*b*c", "axxbyybzzc", true},
		{"a*b*c", "axxbyybzz", false},
		{"i?S", "iOS", true},
		{"100\\*", "100*", true},
		{"100\\*", "1000", false},
		{"\\?", "?", true},
		{"\\", "\\", true},
		{"\\", "a", false},
		{"a\\", "a\\", true},
		{"*\\*", "x*", true},
		{"*\\*", "x", false},
		{"*?", "", false},
		{"*??", "ab", true},
		{"??*", "a", false},
		{"**a**", "xay", true},
		{"*aab", "aaaab", true},
		{"Ger?t", "Ger\xC3\xA4t", true},
		{"Ger??t", "Ger\xC3\xA4t", false},
		{"*??", "\xC3\xA4", false},
		{"*?\xE2\x82\xAC", "\xC3\xA4\xE2\x82\xAC", true},
		{"?", "\xFF", true},
		{"??", "\xA4\xA4", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (access_pattern_match(cases[i].pattern, cases[i].text) != cases[i].matches)
			CHECK_STR(cases[i].pattern, cases[i].text);
	}
}

static void test_rules(void)
{
	static const struct {
		const char *rule;
		enum access_match match;
	} cases[] = {
		{"type = iPhone", ACCESS_YES},
		{"TYPE=iphone", ACCESS_YES},
		{"type != iPhone", ACCESS_NO},
		{"type = iPhone and os = \"iOS 12*\"", ACCESS_YES},
		{"type = iPhone AND os = \"iOS 13*\"", ACCESS_NO},
		{"model = \"iPhone 8\" and agent = Apple-*/1607.*", ACCESS_YES},
		{"device = Appl*", ACCESS_YES},
		{"version = 14.1", ACCESS_YES},
		{"version = 14.*", ACCESS_YES},
		{"version < 14.1", ACCESS_NO},
		{"version <= 14.1 and version >= 12.0", ACCESS_YES},
		{"version > 2.5 and version != 16.1", ACCESS_YES},
		{"agent = \"*\\\"*\"", ACCESS_NO},
	};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct access_rule *rule;
		struct err err = ERR_INIT;

		REQUIRE_OK(access_rule_parse(cases[i].rule, arena, &rule, &err), &err);
		if (access_rule_match(rule, &iphone) != cases[i].match)
			CHECK_STR(cases[i].rule, "another match");
	}
}

static void test_bad_rules(void)
{
	static const struct {
		const char *rule, *says;
	} cases[] = {
		{"", "expected type"},
		{"typ = x", "expected type"},
		{"type", "expected = or !="},
		{"type < x", "only version"},
		{"version ~ 1", "expected =, !="},
		{"type =", "expected a value"},
		{"type = \"x", "closing quote"},
		{"type = x\"y", "quote within"},
		{"type = x or os = y", "expected \"and\""},
		{"type = x and",
			"expected type, model, os, agent, device or version at \"the end\", "
			"character 13 of"},
		{"type = x andos = y", "expected \"and\""},
		{"version < 14.5", "no protocol version"},
		{"version = 99", "\"99\" is no protocol version"},
		{"version != 14", "no protocol version"},
		{"type=a and type=a and type=a and type=a and type=a and type=a and type=a and "
		 "type=a and type=a",
			"at most 8"},
	};
	CLEANUP(arena_free) struct arena *arena = arena_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct access_rule *rule;
		struct err err = ERR_INIT;

		CHECK_INT(access_rule_parse(cases[i].rule, arena, &rule, &err), -1);
		CHECK_INT(err.code, ERR_BAD_INPUT);
		if (strstr(err.text, cases[i].says) == NULL)
			CHECK_STR(err.text, cases[i].says);
	}
}

static void test_unknown(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct access_facts mute = iphone;
	struct access_rule *rule;
	struct err err = ERR_INIT;

	mute.model = mute.os = "";
	mute.told = false;
	REQUIRE_OK(
		access_rule_parse("type = iPhone and os != \"iOS 12*\"", arena, &rule, &err), &err);
	CHECK_INT(access_rule_match(rule, &mute), ACCESS_UNKNOWN);
	mute.type = "Android";
	CHECK_INT(access_rule_match(rule, &mute), ACCESS_NO);
	mute.type = "iPhone";
	mute.told = true;
	CHECK_INT(access_rule_match(rule, &mute), ACCESS_YES);
}

/* ---- decisions ---- */

static struct scope for_user(struct owner_id user)
{
	return (struct scope){SCOPE_USER, user.v, ""};
}

static int add_rule(struct store_tx *tx, const char *text, enum access_state state,
	uint64_t position, struct err *err)
{
	const struct access_rule_row row = {
		.position = position, .state = state, .rule = text, .note = ""};
	uint64_t id;

	return store_access_rule_add(tx, &row, &id, err);
}

static int lay_down(struct store_tx *tx, struct world *w, struct err *err)
{
	const struct scope bob = for_user(w->bob);
	const struct scope_value org = {{SCOPE_ORG, 0, ""}, STORE_VALUE_ACCESS, ACCESS_QUARANTINE};
	const struct scope_value domain = {
		{SCOPE_DOMAIN, 0, "example.net"}, STORE_VALUE_ACCESS, ACCESS_BLOCK};
	const struct scope_value user = {bob, STORE_VALUE_ACCESS, ACCESS_ALLOW};

	return add_rule(tx, "type = Android", ACCESS_BLOCK, 0, err) < 0 ||
			       add_rule(tx, "type = iPhone and model = \"iPhone 8\"", ACCESS_ALLOW,
				       0, err) < 0 ||
			       add_rule(tx, "os = \"iOS 12*\"", ACCESS_QUARANTINE, 1, err) < 0 ||
			       store_scope_value_set(tx, &org, err) < 0 ||
			       store_scope_value_set(tx, &domain, err) < 0 ||
			       store_scope_value_set(tx, &user, err) < 0
		       ? -1
		       : 0;
}

static const struct rules *load(struct world *w)
{
	CLEANUP(store_read_end) struct store_read *rd = reading(w);
	const struct rules *rules = NULL;
	struct err err = ERR_INIT;

	REQUIRE_OK(rules_load(rd, &rules, &err), &err);
	return rules;
}

static void check_decision(const struct rules *rules, struct owner_id user, const char *domain,
	enum access_state own, const struct access_facts *facts, enum access_state want,
	const char *reason)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct rules_subject subject = {user, {7}, domain};
	struct access_decision d;

	access_decide(rules, &subject, own, facts, &d);
	CHECK_STR(access_state_to_str(d.state), access_state_to_str(want));
	CHECK_STR(access_reason(&d, arena), reason);
}

static void test_decision(void)
{
	struct world *w = world_new();
	struct access_facts facts = iphone;
	struct rules_subject anna = {w->anna, {7}, "example.org"};
	struct access_decision d;
	struct err err = ERR_INIT;
	const struct rules *rules = load(w);

	check_decision(rules, w->anna, "example.org", 0, &facts, ACCESS_ALLOW, "the default");
	rules_unref(&rules);
	REQUIRE_OK(transact(w, lay_down, &err), &err);
	rules = load(w);
	/* The third was put first. */
	check_decision(rules, w->anna, "example.org", 0, &facts, ACCESS_QUARANTINE, "rule 3");
	check_decision(
		rules, w->anna, "example.org", ACCESS_BLOCK, &facts, ACCESS_BLOCK, "the device");
	check_decision(rules, w->bob, "example.org", 0, &facts, ACCESS_ALLOW, "the user");
	facts.os = "iOS 13";
	check_decision(rules, w->anna, "example.org", 0, &facts, ACCESS_ALLOW, "rule 2");
	facts.type = "WindowsMail";
	check_decision(rules, w->anna, "example.org", 0, &facts, ACCESS_QUARANTINE, "the default");
	check_decision(rules, w->anna, "example.net", 0, &facts, ACCESS_BLOCK,
		"the default of domain example.net");
	/* Not told: the first rule would say quarantine, and so says the default: nothing is open.
	 */
	facts.told = false;
	access_decide(rules, &anna, ACCESS_NONE, &facts, &d);
	CHECK_INT(d.state, ACCESS_QUARANTINE);
	CHECK(!d.undecided);
	facts.type = "Android";
	access_decide(rules, &anna, ACCESS_NONE, &facts, &d);
	CHECK_INT(d.state, ACCESS_BLOCK);
	CHECK(d.undecided);
	CHECK_INT(d.open_rule, 3); /* the first in the order, not of the numbers */
	rules_unref(&rules);
	world_free(&w);
}

static int move_rules(struct store_tx *tx, struct world *w, struct err *err)
{
	(void)w;
	return store_access_rule_move(tx, 3, 0, err) < 0 ||
			       store_access_rule_move(tx, 2, 1, err) < 0 ||
			       store_access_rule_delete(tx, 1, err) < 0
		       ? -1
		       : 0;
}

static void test_order(void)
{
	struct world *w = world_new();
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct access_rule_row *rules;
	struct store_read *rd;
	struct err err = ERR_INIT;
	size_t count;

	REQUIRE_OK(transact(w, lay_down, &err), &err);
	REQUIRE_OK(transact(w, move_rules, &err), &err);
	rd = reading(w);
	REQUIRE_OK(store_access_rules(rd, arena, &rules, &count, &err), &err);
	store_read_end(&rd);
	REQUIRE(count == 2);
	CHECK_INT(rules[0].id, 2);
	CHECK_INT(rules[0].position, 1);
	CHECK_INT(rules[1].id, 3);
	CHECK_INT(rules[1].position, 2);
	world_free(&w);
}

/* It has paragraphs and no lines: where these end is for the phone to say. */
static void check_built_in(const char *text)
{
	for (const char *p = text; *p != '\0';) {
		size_t line = strcspn(p, "\n"), ends = strspn(p + line, "\n");

		CHECK(ends == 2 || p[line + ends] == '\0');
		p += line + ends;
	}
}

static void test_texts(void)
{
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;

	CHECK_INT(access_text_check("Dear {user}: {{x} {device}", &err), 0);
	access_text_expand("Dear {user}: {{x} {device} {version}", "anna", &iphone, &out);
	CHECK_STR(buf_cstr(&out), "Dear anna: {x} ApplDN123 14.1");
	CHECK_INT(access_text_check("{users}", &err), -1);
	CHECK(strstr(err.text, "{users}") != NULL);
	check_built_in(access_text_built_in(ACCESS_TEXT_BODY, true));
	check_built_in(access_text_built_in(ACCESS_TEXT_BODY, false));
	CHECK(strstr(access_text_built_in(ACCESS_TEXT_BODY, true), "are told") != NULL);
	CHECK(strstr(access_text_built_in(ACCESS_TEXT_BODY, false), "are told") == NULL);
	buf_deinit(&out);
}

/* ---- services ---- */

static int lay_services(struct store_tx *tx, struct world *w, struct err *err)
{
	const struct scope anna = for_user(w->anna), org = {SCOPE_ORG, 0, ""};
	const struct scope_value values[] = {
		{org, "heartbeat_min_s", 600},
		{org, "sync", 0},
		{anna, "sync", 1},
		{anna, "heartbeat_max_s", 300},
		{org, "versions", 6},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (store_scope_value_set(tx, &values[i], err) != 1)
			return -1;
	}
	return 0;
}

static void test_services(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct world *w = world_new();
	struct rules_subject anna = {w->anna, {7}, "example.org"},
			     bob = {w->bob, {8}, "example.net"};
	const struct settings *settings = settings_default();
	struct services s;
	struct err err = ERR_INIT;
	const struct rules *rules;

	REQUIRE_OK(transact(w, lay_services, &err), &err);
	rules = load(w);
	services_resolve(rules, &bob, settings, &s);
	CHECK(!service_on(&s, SERVICE_sync));
	CHECK_INT(s.values[SERVICE_heartbeat_min_s], 600);
	CHECK(!s.heartbeats_reverted);
	CHECK_STR(service_print(SERVICE_versions, s.values[SERVICE_versions], arena), "12.0,12.1");
	CHECK(service_has_version(s.values[SERVICE_versions], 121));
	CHECK(!service_has_version(s.values[SERVICE_versions], 141));
	services_resolve(rules, &anna, settings, &s);
	CHECK(service_on(&s, SERVICE_sync));
	CHECK_INT(s.from[SERVICE_sync].kind, SCOPE_USER);
	/* 600 to 300 is no range: both are what the configuration says. */
	CHECK(s.heartbeats_reverted);
	CHECK_INT(s.values[SERVICE_heartbeat_min_s], settings->push_heartbeat_min_s);
	CHECK_INT(s.values[SERVICE_heartbeat_max_s], settings->push_heartbeat_max_s);
	rules_unref(&rules);
	settings_unref(&settings);
	world_free(&w);
}

static void test_service_values(void)
{
	CLEANUP(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	uint64_t value = 7;

	REQUIRE_OK(service_parse(SERVICE_versions, "16.1, 2.5", &value, &err), &err);
	CHECK_STR(service_print(SERVICE_versions, value, arena), "2.5,16.1");
	CHECK_INT(service_parse(SERVICE_versions, "15.0", &value, &err), -1);
	CHECK(strstr(err.text, "15.0") != NULL);
	CHECK_INT(service_parse(SERVICE_versions, "", &value, &err), -1);
	REQUIRE_OK(service_parse(SERVICE_sync, "Off", &value, &err), &err);
	CHECK_INT(value, 0);
	CHECK_INT(service_parse(SERVICE_sync, "maybe", &value, &err), -1);
	CHECK_INT(service_parse(SERVICE_heartbeat_min_s, "3541", &value, &err), -1);
	CHECK(strstr(err.text, "1 to 3540") != NULL);
	CHECK_INT(service_find("nothing"), SERVICE_COUNT);
}

static void test_service_table(void)
{
	for (int s = 0; s < SERVICE_COUNT; s++) {
		const struct service_info *info = service_info((enum service)s);

		CHECK(info->help[0] != '\0');
		CHECK_INT(service_find(info->name), s);
	}
}

TEST_MAIN(TEST(test_patterns), TEST(test_rules), TEST(test_bad_rules), TEST(test_unknown),
	TEST(test_decision), TEST(test_order), TEST(test_texts), TEST(test_services),
	TEST(test_service_values), TEST(test_service_table))
