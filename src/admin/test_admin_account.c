/*
 * Verbs about credentials, out-of-office, the event log, and lists in pages: against a real store.
 */
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/log_export.h"
#include "admin/verbs.h"
#include "auth/auth.h"
#include "auth/auth_secret.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/test.h"
#include "store/store_page.h"

static struct store *store;
static struct admin *admin;
static struct arena *arena;
static char folder[64];

static void set_up(void)
{
	const struct admin_limits limits = {.app_passwords_max = 2, .oof_max_bytes = 100};
	struct store_options options = {
		.data_dir = folder, .readers_max = 2, .group_max = 8, .cache_kib = 1024};
	struct err err = ERR_INIT;

	(void)snprintf(folder, sizeof(folder), "/tmp/bellhop-admin-XXXXXX");
	REQUIRE(mkdtemp(folder) != NULL);
	REQUIRE_OK(store_open(&options, &store, &err), &err);
	admin = admin_new(&(struct admin_options){.store = store, .control_fd = -1});
	admin_set_limits(admin, &limits);
	arena = arena_new(0);
}

static void tear_down(void)
{
	static const char *const names[] = {
		"bellhop.db", "bellhop.db-wal", "bellhop.db-shm", "bodies/incoming", "bodies", ""};
	char path[128];

	admin_free(&admin);
	store_close(&store);
	arena_free(&arena);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)remove(path);
	}
}

/* The whole answer, in the arena. */
static const char *ask(const char *verb, const char *args)
{
	struct buf out = BUF_INIT;
	struct admin_caller caller;
	char actor[ADMIN_ACTOR_MAX];
	const char *request =
		arena_x_printf(arena, "{\"verb\": \"%s\", \"args\": {%s}}", verb, args);
	const char *answer;

	admin_caller_local(&caller, actor, 0);
	admin_handle(admin, request, strlen(request), &caller, &out);
	answer = arena_x_strdup(arena, buf_cstr(&out));
	buf_deinit(&out);
	return answer;
}

#define CHECK_HAS(got, part)                                                                       \
	do {                                                                                       \
		const char *has_ = (got);                                                          \
		if (strstr(has_, (part)) == NULL)                                                  \
			test_fail_(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", has_, (part));       \
	} while (0)
#define CHECK_LACKS(got, part)                                                                     \
	do {                                                                                       \
		const char *has_ = (got);                                                          \
		if (strstr(has_, (part)) != NULL)                                                  \
			test_fail_(__FILE__, __LINE__, "\"%s\" has \"%s\"", has_, (part));         \
	} while (0)

/* A text of the answer's result, in the arena. */
static const char *field(const char *answer, const char *name)
{
	json_t *root = json_loads(answer, 0, NULL);
	const char *text =
		json_string_value(json_object_get(json_object_get(root, "result"), name));
	const char *copy = arena_x_strdup(arena, text != NULL ? text : "");

	json_decref(root);
	return copy;
}

static int add_users(struct store_tx *tx, void *owner, struct err *err)
{
	static const char *const names[] = {"anna", "bert", "carl", "dora"};
	struct owner_id id;

	(void)owner;
	if (store_domain_add(tx, "example.org", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (store_user_add(tx, names[i], "example.org", i == 2 ? "Zoe 100%" : names[3 - i],
			    "h", 1000 - (int64_t)i, &id, err) < 0)
			return -1;
	}
	return 0;
}

static void add_everybody(void)
{
	struct err err = ERR_INIT;

	REQUIRE_OK(store_transact(store, add_users, NULL, &err), &err);
}

#define ANNA "\"address\": \"anna@example.org\""

/* ---- credentials ---- */

static void test_app_passwords(void)
{
	char letters[AUTH_APP_LETTERS + 1];
	const char *made, *password;

	set_up();
	add_everybody();
	made = ask("app-password add", ANNA ", \"name\": \"Phone\", \"first_use\": true");
	password = field(made, "password");
	CHECK(auth_app_parse(password, letters));
	CHECK_HAS(made, "\"binding\":\"first_use\"");
	/* Shown once. */
	CHECK_LACKS(ask("app-password list", ANNA), password);
	CHECK_LACKS(ask("app-password list", ANNA), letters);
	CHECK_LACKS(ask("log list", ""), password);
	CHECK_LACKS(ask("log list", ""), letters);
	CHECK_HAS(ask("log list", "\"action\": \"app-password add\""), "\"result\":\"Phone\"");
	CHECK_HAS(ask("app-password list", ANNA), "\"name\":\"Phone\"");
	CHECK_HAS(ask("app-password add", ANNA ", \"name\": \"Phone\""), "\"conflict\"");
	CHECK_HAS(ask("app-password add", ANNA ", \"name\": \"  \""), "\"bad_input\"");
	CHECK_HAS(ask("app-password add", ANNA ", \"name\": \"Pad\", \"bind\": \"ABC\""),
		"\"binding\":\"bound\",\"device\":\"ABC\"");
	CHECK_HAS(ask("app-password add", ANNA ", \"name\": \"Third\""), "\"quota\"");
	CHECK_HAS(ask("app-password revoke", "\"address\": \"bert@example.org\", \"id\": 1"),
		"bert@example.org has no app password 1");
	CHECK_HAS(ask("app-password revoke", ANNA ", \"id\": 1"), "\"name\":\"Phone\"");
	CHECK_LACKS(ask("app-password list", ANNA), "Phone");
	tear_down();
}

static void test_tokens(void)
{
	const char *made, *secret;
	struct api_token *token;
	char hash[AUTH_HASH_SIZE];
	struct store_read *rd;
	struct err err = ERR_INIT;

	set_up();
	add_everybody();
	made = ask("token add",
		"\"name\": \"mon\", \"scopes\": \"metrics, read\", \"days\": 2, \"for\": "
		"\"anna@example.org\"");
	secret = field(made, "token");
	CHECK(str_starts(secret, "bht_"));
	CHECK_HAS(made, "\"scopes\":\"metrics read\"");
	CHECK_LACKS(ask("token list", ""), secret);
	CHECK_LACKS(ask("log list", ""), secret);
	CHECK_HAS(ask("log list", "\"action\": \"token add\""), "\"result\":\"mon: metrics read\"");
	auth_secret_hash(AUTH_API_TOKEN, secret, hash);
	REQUIRE_OK(store_read_begin(store, &rd, &err), &err);
	REQUIRE_OK(store_token_find(rd, hash, arena, &token, &err), &err);
	CHECK_INT(token->expires_at, token->created_at + 2 * 86400);
	store_read_end(&rd);
	CHECK_HAS(ask("token add", "\"name\": \"mon\", \"scopes\": \"read\""), "\"conflict\"");
	CHECK_HAS(ask("token add", "\"name\": \"x\", \"scopes\": \"root\""), "is no scope");
	CHECK_HAS(ask("token add", "\"name\": \"x\", \"scopes\": \" , \""), "needs a scope");
	CHECK_HAS(ask("token add", "\"name\": \"x\", \"scopes\": \"none\""), "is no scope");
	CHECK_HAS(ask("token revoke", "\"name\": \"mon\""), "\"ok\":true");
	CHECK_HAS(ask("token revoke", "\"name\": \"mon\""), "\"not_found\"");
	tear_down();
}

static void test_administrators(void)
{
	set_up();
	add_everybody();
	CHECK_HAS(ask("user show", ANNA), "\"admin\":false");
	CHECK_HAS(ask("user admin", ANNA), "needs --on or --off");
	CHECK_HAS(ask("user admin", ANNA ", \"on\": true, \"off\": true"), "not both");
	CHECK_HAS(ask("user admin", ANNA ", \"on\": true"), "\"admin\":true");
	CHECK_HAS(ask("user show", ANNA), "\"admin\":true");
	CHECK_HAS(ask("user admin", ANNA ", \"off\": true"), "\"admin\":false");
	CHECK_HAS(
		ask("log list", "\"action\": \"user admin\", \"limit\": 1"), "\"result\":\"off\"");
	CHECK_HAS(ask("session list", ANNA), "\"result\":[]");
	CHECK_HAS(ask("session end", ANNA), "\"ok\":true");
	tear_down();
}

/* The same by a token of the machine's administrator. */
static const char *ask_by_token(uint32_t scopes, const char *verb, const char *args)
{
	const struct admin_caller caller = {.kind = ADMIN_CALLER_TOKEN,
		.actor = "token:x",
		.address = "",
		.scopes = scopes,
		.is_admin = true};
	struct buf out = BUF_INIT;
	const char *request =
		arena_x_printf(arena, "{\"verb\": \"%s\", \"args\": {%s}}", verb, args);
	const char *answer;

	admin_handle(admin, request, strlen(request), &caller, &out);
	answer = arena_x_strdup(arena, buf_cstr(&out));
	buf_deinit(&out);
	return answer;
}

/* A token cannot become an administrator by what it may do to users. */
static void test_tokens_and_administrators(void)
{
	static const struct {
		const char *verb, *args;
		bool any_user; /* refused whoever it is about */
	} rows[] = {{"user admin", ", \"on\": true", true},
		{"user passwd", ", \"password\": \"secret\"", false},
		{"app-password add", ", \"name\": \"x\"", false},
		{"app-password revoke", ", \"id\": 2", false}, {"session end", "", false},
		{"user disable", "", false}, {"user enable", "", false},
		{"user del", ", \"yes\": true", false}};
	const uint32_t every = (1u << ADMIN_SCOPE_METRICS) - (1u << ADMIN_SCOPE_READ);
	const uint32_t users = 1u << ADMIN_SCOPE_USERS, server = 1u << ADMIN_SCOPE_SERVER;

	set_up();
	add_everybody();
	CHECK_HAS(ask("user admin", ANNA ", \"on\": true"), "\"admin\":true");
	CHECK_HAS(ask("token add", "\"name\": \"mon\", \"scopes\": \"read\""), "\"ok\":true");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *anna = arena_x_printf(arena, ANNA "%s", rows[i].args);
		const char *bert =
			arena_x_printf(arena, "\"address\": \"bert@example.org\"%s", rows[i].args);

		CHECK_HAS(ask_by_token(users, rows[i].verb, anna), "\"denied\"");
		CHECK_HAS(ask_by_token(every & ~server, rows[i].verb, anna), "\"denied\"");
		if (rows[i].any_user)
			CHECK_HAS(ask_by_token(users, rows[i].verb, bert), "\"denied\"");
		else
			CHECK_LACKS(ask_by_token(users, rows[i].verb, bert), "\"denied\"");
		CHECK_HAS(ask_by_token(every, rows[i].verb, anna), "\"ok\":true");
	}
	CHECK_HAS(ask_by_token(server, "token revoke", "\"name\": \"mon\""), "\"denied\"");
	CHECK_HAS(ask_by_token(every, "token revoke", "\"name\": \"mon\""), "\"ok\":true");
	tear_down();
}

static void test_oof(void)
{
	static const char *const wrong[] = {"\"state\": \"away\"", "\"state\": 1",
		"\"state\": \"timed\"", "\"state\": \"timed\", \"start_at\": 9, \"end_at\": 9",
		"\"start_at\": -1", "\"start_at\": \"tomorrow\"", "\"internal\": \"x\"",
		"\"internal\": {\"txt\": \"x\"}", "\"internal\": {\"enabled\": 1}",
		"\"internal\": {\"text\": \"\\u0007\"}", "\"everybody\": {}",
		"\"internal\": {\"text\": "
		"\"1234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901\"}"};

	set_up();
	add_everybody();
	CHECK_HAS(ask("oof show", ANNA), "\"state\":\"off\"");
	CHECK_HAS(
		ask("oof set", ANNA ", \"settings\": {\"state\": \"timed\", \"start_at\": 100, "
				    "\"end_at\": 200, \"internal\": {\"enabled\": true, \"text\": "
				    "\"Back on\\nMonday\"}}"),
		"\"ok\":true");
	CHECK_HAS(ask("oof show", ANNA),
		"\"state\":\"timed\",\"start_at\":100,\"end_at\":200,\"internal\":{\"enabled\":"
		"true,\"html\":false,\"text\":\"Back on\\nMonday\"}");
	/* What is not named stays. */
	CHECK_HAS(ask("oof set", ANNA ", \"settings\": {\"state\": \"on\"}"), "Back on");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_HAS(ask("oof set",
				  arena_x_printf(arena, ANNA ", \"settings\": {%s%s}", wrong[i],
					  strstr(wrong[i], "timed") != NULL &&
							  strstr(wrong[i], "start") == NULL
						  ? ", \"start_at\": 5, \"end_at\": 4"
						  : "")),
			"\"bad_input\"");
	CHECK_LACKS(ask("log list", ""), "Monday");
	CHECK_HAS(ask("log list", "\"action\": \"oof set\", \"limit\": 1"), "\"result\":\"on\"");
	tear_down();
}

/* ---- pages ---- */

/* The first letters of what is listed, in order. */
static const char *order(const char *verb, const char *args, const char *key)
{
	json_t *root = json_loads(ask(verb, args), 0, NULL),
	       *list = json_object_get(root, "result");
	const char *text = "";

	if (!json_is_array(list))
		text = "?";
	for (size_t i = 0; i < json_array_size(list); i++)
		text = arena_x_printf(arena, "%s%c", text,
			json_string_value(json_object_get(json_array_get(list, i), key))[0]);
	json_decref(root);
	return text;
}

static void test_user_pages(void)
{
	static const struct {
		const char *args, *order;
	} rows[] = {{"", "abcd"}, {"\"limit\": 2", "ab"}, {"\"limit\": 0", ""},
		{"\"limit\": 2, \"offset\": 3", "d"}, {"\"offset\": 4", ""},
		{"\"sort\": \"-address\"", "dcba"}, {"\"sort\": \"name\"", "dbac"},
		{"\"sort\": \"-name\", \"limit\": 1", "c"}, {"\"sort\": \"created_at\"", "dcba"},
		{"\"sort\": \"-created_at\"", "abcd"}, {"\"sort\": \"used_bytes\"", "abcd"},
		{"\"search\": \"ZOE\"", "c"}, {"\"search\": \"%\"", "c"}, {"\"search\": \"_\"", ""},
		{"\"search\": \"a@ex\"", "ad"}, {"\"search\": \"alias\"", "b"},
		{"\"sort\": \"password\"", "?"}};

	set_up();
	add_everybody();
	CHECK_HAS(ask("alias add",
			  "\"alias\": \"alias@example.org\", \"address\": \"bert@example.org\""),
		"\"ok\":true");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(order("user list", rows[i].args, "address"), rows[i].order);
	tear_down();
}

static int add_devices(struct store_tx *tx, void *owner, struct err *err)
{
	static const struct {
		const char *login, *id, *model;
		int64_t seen_at;
		uint16_t version;
		bool blocked;
	} rows[] = {{"anna", "X1", "Pixel", 30, 161, false},
		{"bert", "Y2", "iPhone", 10, 141, true}, {"anna", "Z3", "Nokia", 20, 25, true}};

	(void)owner;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct user *user;
		struct device d = {.device_id = rows[i].id,
			.model = rows[i].model,
			.last_seen_at = rows[i].seen_at,
			.protocol_version = rows[i].version};

		if (store_user_find_login(
			    store_tx_read(tx), rows[i].login, "example.org", arena, &user, err) < 0)
			return -1;
		d.owner = user->id;
		if (store_device_save(tx, &d, err) < 0 ||
			(rows[i].blocked && store_device_set_blocked(tx, d.id, true, err) < 0))
			return -1;
	}
	return 0;
}

static void test_device_pages(void)
{
	static const struct {
		const char *args, *order;
	} rows[] = {{"", "XZY"}, {ANNA, "XZ"}, {"\"sort\": \"-last_seen_at\"", "XZY"},
		{"\"sort\": \"last_seen_at\"", "YZX"}, {"\"sort\": \"model\"", "YZX"},
		{"\"sort\": \"version\"", "ZYX"}, {"\"sort\": \"-address\"", "YXZ"},
		{"\"search\": \"pix\"", "X"}, {"\"search\": \"anna@\"", "XZ"},
		{"\"state\": \"blocked\"", "ZY"}, {"\"state\": \"gone\"", "?"},
		{"\"policy_status\": \"full\"", ""}, {"\"policy_status\": \"none\"", "XZY"},
		{"\"policy_status\": \"all\"", "?"},
		{"\"state\": \"blocked\", \"limit\": 1, \"offset\": 1", "Y"},
		{"\"state\": \"blocked\", \"search\": \"nokia\"", "Z"},
		{"\"limit\": 1, \"offset\": 1", "Z"}, {"\"sort\": \"shoe\"", "?"}};
	struct err err = ERR_INIT;

	set_up();
	add_everybody();
	REQUIRE_OK(store_transact(store, add_devices, NULL, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(order("device list", rows[i].args, "device"), rows[i].order);
	CHECK_HAS(ask("user list", "\"search\": \"anna@\""),
		"\"device_count\":2,\"last_seen_at\":30");
	CHECK_HAS(ask("user show", ANNA), "\"device_count\":2");
	tear_down();
}

/* ---- the event log ---- */

static void test_csv(void)
{
	static const struct log_row rows[] = {
		{.id = 7,
			.at = 1767323045,
			.actor = "admin:uid=0",
			.action = "user passwd",
			.result = "ok",
			.user = "anna@example.org"},
		{.id = 8,
			.actor = "device",
			.action = "=HYPERLINK(\"http://x\")",
			.result = "a,b\r\nc",
			.user = "+1",
			.device_id = "-2",
			.device_type = "@SUM(A1)",
			.address = "\tx\xff"},
	};
	struct buf out = BUF_INIT;
	json_t *object;

	log_export_begin(&out, LOG_CSV);
	log_export_row(&out, LOG_CSV, &rows[0]);
	CHECK_STR(buf_cstr(&out),
		"id,at,time,actor,action,result,user,device,device_type,address\r\n"
		"7,1767323045,2026-01-02T03:04:05Z,\"admin:uid=0\",\"user passwd\",\"ok\","
		"\"anna@example.org\",\"\",\"\",\"\"\r\n");
	buf_clear(&out);
	log_export_row(&out, LOG_CSV, &rows[1]);
	CHECK_STR(buf_cstr(&out),
		"8,0,1970-01-01T00:00:00Z,\"device\",\"'=HYPERLINK(\"\"http://x\"\")\","
		"\"a,b\r\nc\",\"'+1\",\"'-2\",\"'@SUM(A1)\",\"'\tx\xef\xbf\xbd\"\r\n");
	buf_clear(&out);
	log_export_begin(&out, LOG_JSONL);
	log_export_row(&out, LOG_JSONL, &rows[1]);
	CHECK(str_ends(buf_cstr(&out), "}\n"));
	CHECK(memchr(out.data, '\n', out.len - 1) == NULL);
	object = json_loads(buf_cstr(&out), 0, NULL);
	CHECK_STR(json_string_value(json_object_get(object, "result")), "a,b\r\nc");
	CHECK_STR(json_string_value(json_object_get(object, "user")), "+1");
	json_decref(object);
	buf_deinit(&out);
}

static int add_rows(struct store_tx *tx, void *owner, struct err *err)
{
	(void)owner;
	for (int i = 0; i < 1200; i++) {
		struct log_row row = {
			.at = 1000 + i, .actor = "test", .action = i % 2 != 0 ? "odd" : "even"};

		if (store_log_add(tx, &row, err) < 0)
			return -1;
	}
	return 0;
}

static void test_export_pages(void)
{
	struct log_filter filter = {.action = "odd"};
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t lines = 0;
	int pages = 1;

	set_up();
	REQUIRE_OK(store_transact(store, add_rows, NULL, &err), &err);
	while (log_export_page(store, &filter, LOG_PAGE_ROWS, LOG_JSONL, arena, &out, &err) > 0)
		pages++;
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	CHECK_INT(lines, 600);
	CHECK_INT(pages, 2);
	CHECK_HAS(buf_cstr(&out), "\"at\":1001,");
	CHECK_LACKS(buf_cstr(&out), "even");
	buf_deinit(&out);
	/* By the verb: the first page has the names, the next begins where it ended. */
	CHECK_HAS(ask("log export", "\"action\": \"odd\""), "\"text\":\"id,at,");
	CHECK_HAS(ask("log export", "\"action\": \"odd\""), "\"before\":202}");
	CHECK_LACKS(ask("log export", "\"action\": \"odd\", \"before\": 202"), "id,at");
	CHECK_HAS(ask("log export", "\"action\": \"odd\", \"before\": 202"), "\"before\":0}");
	CHECK_HAS(ask("log export", "\"format\": \"xml\""), "is no format");
	tear_down();
}

/* Whom something is laid down for: searched, and in pieces that join. */
static void test_whom_pages(void)
{
	static const struct {
		const char *verb, *args, *want;
	} rows[] = {
		{"policy assignments", "", "\"name\":\"example.org\""},
		{"policy assignments", "\"limit\": 1", "[{\"kind\":\"domain\""},
		{"policy assignments", "\"offset\": 1, \"limit\": 1",
			"[{\"kind\":\"user\",\"name\":\"u1@example.org\",\"policy\":\"strict\"}]"},
		{"policy assignments", "\"search\": \"U2@\"", "[{\"kind\":\"user\",\"name\":\"u2@"},
		{"policy assignments", "\"policy\": \"default\"", "\"result\":[]"},
		{"policy assignments", "\"policy\": \"none\"", "not_found"},
		{"policy exceptions", "\"limit\": 1, \"offset\": 1",
			"[{\"kind\":\"user\",\"name\":\"u2@example.org\",\"policy\":\"\","
			"\"exempt\":true}]"},
		{"policy exceptions", "\"policy\": \"strict\"",
			"[{\"kind\":\"user\",\"name\":\"u3@example.org\",\"policy\":\"strict\","
			"\"exempt\":false}]"},
		{"policy show", "\"policy\": \"strict\"", "\"name\":\"u3@example.org\"}]"},
		{"group show", "\"group\": \"all\"",
			"{\"members\":[\"u1@example.org\",\"u2@example.org\",\"u3@example.org\"]"},
		{"group show", "\"group\": \"all\", \"offset\": 1, \"limit\": 1",
			"{\"members\":[\"u2@example.org\"],"},
		{"group show", "\"group\": \"all\", \"search\": \"u3\"",
			"{\"members\":[\"u3@example.org\"],"},
		{"group show", "\"group\": \"all\", \"limit\": 1", "\"member_count\":3"},
		{"access list", "\"limit\": 1",
			"[{\"scope\":\"organisation\",\"name\":\"\",\"device\":\"\",\"access\":"
			"\"allow\",\"seen\":true}]"},
		{"access list", "\"offset\": 1, \"limit\": 2",
			"[{\"scope\":\"group\",\"name\":\"all\",\"device\":\"\",\"access\":"
			"\"quarantine\",\"seen\":true},"
			"{\"scope\":\"user\",\"name\":\"u1@example.org\",\"device\":\"\","
			"\"access\":\"block\",\"seen\":true}]"},
		{"access list", "\"offset\": 3",
			"[{\"scope\":\"device\",\"name\":\"u2@example.org\",\"device\":\"UNSEEN1\","
			"\"access\":\"block\",\"seen\":false}]"},
		{"access list", "\"search\": \"unseen\"", "[{\"scope\":\"device\",\"name\":\"u2@"},
		{"access list", "\"search\": \"nobody\"", "\"result\":[]"},
		{"access list", "\"offset\": 4", "\"result\":[]"},
	};

	set_up();
	(void)ask("group add", "\"group\": \"all\"");
	(void)ask("policy create", "\"policy\": \"strict\"");
	for (int i = 1; i <= 3; i++) {
		char who[60];

		(void)snprintf(who, sizeof(who), "\"address\": \"u%d@example.org\"", i);
		(void)ask("user add",
			arena_x_printf(arena, "%s, \"password\": \"correct horse %d\"", who, i));
		(void)ask("group join", arena_x_printf(arena, "%s, \"group\": \"all\"", who));
		(void)ask(
			"policy assign", arena_x_printf(arena, "%s, \"policy\": \"strict\"", who));
		(void)ask("policy except",
			i < 3 ? who : arena_x_printf(arena, "%s, \"policy\": \"strict\"", who));
	}
	(void)ask("policy assign", "\"domain\": \"example.org\", \"policy\": \"strict\"");
	(void)ask("access set", "\"group\": \"all\", \"access\": \"quarantine\"");
	(void)ask("access set", "\"address\": \"u1@example.org\", \"access\": \"block\"");
	(void)ask("access set",
		"\"address\": \"u2@example.org\", \"device\": \"UNSEEN1\", \"access\": \"block\"");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_HAS(ask(rows[i].verb, rows[i].args), rows[i].want);
	tear_down();
}

static void test_log_times(void)
{
	static const struct {
		const char *text;
		int64_t at; /* -1: no time */
	} rows[] = {{"0", 0}, {"1767323045", 1767323045}, {"2026-01-02", 1767312000},
		{"2026-01-02 03:04", 1767323040}, {"2026-01-02T03:04:05Z", 1767323045},
		{"2026-01-02T03:04:05", 1767323045}, {"2026-13-02", -1}, {"2026-1-2", -1},
		{"2026-01-02 25:00", -1}, {"2026-01-02 03:04:05x", -1}, {"yesterday", -1}, {"", -1},
		{"-1", -1}, {"1200-01-01", -1}};
	struct err err = ERR_INIT;

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_HAS(ask("log list", arena_x_printf(arena, "\"since\": \"%s\"", rows[i].text)),
			rows[i].at >= 0 ? "\"ok\":true" : "is no time");
	REQUIRE_OK(store_transact(store, add_rows, NULL, &err), &err);
	CHECK_HAS(ask("log list", "\"since\": \"1969\", \"until\": \"1002\", \"limit\": 5"), "[]");
	CHECK_HAS(ask("log list", "\"since\": \"1001\", \"until\": \"1970-01-01 00:16:42\""),
		"[{\"id\":2,\"at\":1001,");
	CHECK_HAS(ask("log list", "\"text\": \"EVE\", \"limit\": 1"), "\"id\":1199,");
	CHECK_HAS(ask("log actions", ""), "{\"action\":\"login_failed\",\"text\":");
	CHECK_HAS(ask("log actions", ""), "{\"action\":\"user passwd\",\"text\":");
	tear_down();
}

TEST_MAIN(TEST(test_app_passwords), TEST(test_tokens), TEST(test_administrators),
	TEST(test_tokens_and_administrators), TEST(test_oof), TEST(test_user_pages),
	TEST(test_device_pages), TEST(test_csv), TEST(test_export_pages), TEST(test_log_times),
	TEST(test_whom_pages))
